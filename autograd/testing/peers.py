"""Ways of others to the same derivatives: differences, mpmath's many digits, JAX and PyTorch.

They have the rows' array forms, as every target of the compiler has, but differentiate on their own: no partial of a row is
used. They are asked where a function is smooth and finite; elsewhere they follow other conventions, and are `Unjudged`.
"""

from __future__ import annotations

import importlib.util
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from ..derive import grad
from ..form import Argument, Formula, calls, expanded
from ..graph import topological
from ..primitive import Primitive, errstate
from ..structure import leaves_of, shaped
from ..value import Value
from .ways import Outcome, Unjudged, Way, built

__all__ = ["Exact", "differences", "peers"]

Row = Callable[..., Any]
Asked = Callable[[Callable[..., Any], tuple[Any, ...], Value, list[Value]], Outcome]
STEP = 1e-4   # of differences, relative to numbers beyond 1; one of half the size says how good they are,
FAR = 1e4     # up to inputs of this size: a step that is longer than 1 may pass over all that a function does


def _sides(y: Value) -> list[bool]:
    """On which side of its row's kink every node is; Unjudged where one is at it, or is not finite."""
    sides = []
    for v in topological(y):
        if not math.isfinite(v._data):
            raise Unjudged(f"{v!r} is not finite")
        if v.op and v.op.kink:
            with errstate(invalid="ignore", divide="ignore"):
                distance = float(v.op.kink(*[a._data for a in v.args]))
            if not abs(distance) > 1e-9 * max(1.0, *[abs(a._data) for a in v.args]):   # of a whole number 1e122, all are near
                raise Unjudged(f"{v!r} is at a kink")
            sides.append(distance > 0)
    return sides


def _way(name: str, order: int, ask: Asked) -> Way:
    """A way that is Unjudged where f has a number and it has none."""
    def run(f: Callable[..., Any], args: tuple[Any, ...]) -> Outcome:
        y, xs = built(f, args)
        try:
            return ask(f, args, y, xs)
        except Exception as error:
            raise Unjudged(f"{name}: {error}") from None
    return Way(name, order, run)


# ---- differences

def _by_differences(order: int) -> Asked:
    def ask(f: Callable[..., Any], args: tuple[Any, ...], y: Value, xs: list[Value]) -> Outcome:
        at, sides = leaves_of(args), _sides(y)
        if max(map(abs, at), default=0.0) > FAR:
            raise Unjudged("a step would be too long")

        def below(inputs: Sequence[float]) -> list[float]:
            """What is differentiated: the value, or the gradient."""
            z, zs = built(f, shaped(args, inputs))
            if _sides(z) != sides:
                raise Unjudged("a kink is too near")
            return [d.data for d in grad(z, zs)] if order > 1 else [z.data]

        def central(i: int, h: float) -> list[float]:
            high, low = at[i] + h, at[i] - h
            return [(a - b) / (high - low) for a, b in zip(
                below([*at[:i], high, *at[i + 1:]]), below([*at[:i], low, *at[i + 1:]]), strict=True)]
        found, off = [] if order > 1 else [y.data], [] if order > 1 else [0.0]
        size = 1 + max(map(abs, below(at)))
        for i, x in enumerate(at):
            h = STEP * max(1.0, abs(x))
            for a, b in zip(central(i, h), central(i, h / 2), strict=True):
                found.append((4 * b - a) / 3)   # Richardson's extrapolation
                off.append(abs(a - b) + 1e-15 * size / h)
        if not all([d <= 1e-5 + 1e-5 * abs(z) for z, d in zip(found, off, strict=True)]):
            raise Unjudged("differences of two steps do not agree")
        return Outcome(tuple(found), off=tuple(off))
    return ask


def differences() -> list[Way]:
    """Central differences: of the value, and of the gradient."""
    return [_way(name, order, _by_differences(order)) for order, name in
            ((1, "differences of f"), (2, "differences of grad(f)"))]


# ---- the graph in the numbers of another library

class Evaluator:
    """The graph of y in other numbers: `leaves` are functions of them under numpy's names, `rows` functions for whole rows."""

    def __init__(self, y: Value, xs: Sequence[Value], leaves: Mapping[str, Row], rows: Mapping[str, Row],
                 number: Callable[[float], Any]) -> None:
        self.order, self.xs, self.leaves, self.rows, self.number = topological(y), xs, leaves, rows, number
        self.place = {x: i for i, x in enumerate(xs)}

    def __call__(self, *at: Any) -> Any:
        """y where the xs are these numbers."""
        made: dict[Value, Any] = {}
        for v in self.order:
            made[v] = (self.row(v.op, [made[a] for a in v.args]) if v.op else
                       at[self.place[v]] if v in self.place else self.number(v._data))
        return made[self.order[-1]]

    def row(self, op: Primitive, xs: Sequence[Any]) -> Any:
        """One row of numbers."""
        if op.name in self.rows:
            return self.rows[op.name](*xs)
        made: dict[Any, Any] = {}
        formula = _expanded(op, len(xs), frozenset(self.leaves))
        for call in calls(formula):
            made[call] = self.leaves[call.name](*[
                xs[x.place] if isinstance(x, Argument) else made[x] if isinstance(x, Formula) else self.number(x)
                for x in call.args])
        if isinstance(formula, Argument):
            return xs[formula.place]
        return made[formula] if isinstance(formula, Formula) else self.number(formula)


@cache
def _expanded(op: Primitive, n: int, known: frozenset[str]) -> Any:
    try:
        return expanded(op.formula(n), known)
    except TypeError as error:
        raise Unjudged(f"{op.name} has no form for other libraries: {error}") from None


OPERATORS: dict[str, Row] = {
    "add": operator.add, "subtract": operator.sub, "multiply": operator.mul, "divide": operator.truediv,
    "negative": operator.neg, "power": operator.pow, "absolute": abs,
    "equal": operator.eq, "not_equal": operator.ne, "less": operator.lt, "less_equal": operator.le,
    "greater": operator.gt, "greater_equal": operator.ge, "logical_and": operator.and_, "logical_or": operator.or_,
}


# ---- mpmath

@cache
def _mpmath() -> tuple[dict[str, Row], dict[str, Row]]:
    from mpmath import mp
    names = ("exp", "expm1", "log", "log1p", "log10", "sqrt", "cbrt", "sin", "cos", "tan", "sinh", "cosh", "tanh", "hypot",
             "floor", "ceil", "erf", "erfc")
    inverse = {f"arc{name}": getattr(mp, f"a{name}") for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh")}
    leaves = {**OPERATORS, **{name: getattr(mp, name) for name in names}, **inverse, "arctan2": mp.atan2, "rint": mp.nint,
              "exp2": lambda x: mp.mpf(2) ** x, "log2": lambda x: mp.log(x, 2), "fmod": lambda a, b: a - b * _truncated(a / b),
              "where": lambda c, a, b: a if c else b, "copysign": lambda a, b: abs(a) * (-1 if b < 0 else 1),
              "logical_not": operator.not_}
    rows = {"lgamma": lambda x: mp.re(mp.loggamma(x)), "digamma": mp.digamma, "trigamma": lambda x: mp.polygamma(1, x),
            **{f"polygamma{n}": (lambda x, n=n: mp.polygamma(n, x)) for n in range(2, 12)}}
    return leaves, rows


def _truncated(x: Any) -> Any:
    from mpmath import mp
    return mp.floor(x) if x > 0 else mp.ceil(x)


class Exact:
    """A graph in mpmath's numbers: its value, and derivatives by central differences of steps so small, beside 1 and beside
    the input, and of so many bits that more than 100 remain, to third order. It knows no rule of differentiation.

    rows   what is taken for the rows of these names, in place of their array forms
    """

    BITS, STEP = 320, 64

    def __init__(self, y: Value, xs: Sequence[Value], rows: Mapping[str, Row] | None = None) -> None:
        from mpmath import mp
        leaves, known = _mpmath()
        self.mp, self.at = mp, [mp.mpf(x.data) for x in xs]
        exponents = [min(0, math.frexp(x.data)[1]) if math.isfinite(x.data) and x.data else 0 for x in xs]
        self.steps = [mp.ldexp(1, exponent - self.STEP) for exponent in exponents]
        self.bits = self.BITS - 3 * min(exponents, default=0)
        self.graph = Evaluator(y, xs, leaves, known if rows is None else rows, mp.mpf)

    def value(self, *moved: tuple[int, Any]) -> Any:
        """y, with the inputs of these places moved by so much."""
        with self.mp.workprec(self.bits):
            at = list(self.at)
            for i, h in moved:
                at[i] = at[i] + h
            return self.graph(*at)

    def derivative(self, *places: int) -> Any:
        """The derivative by the inputs of these places, one after another."""
        with self.mp.workprec(self.bits):
            total = 0
            for signs in range(2 ** len(places)):
                moved = [(i, self.steps[i] * (1 - 2 * (signs >> k & 1))) for k, i in enumerate(places)]
                total += (-1) ** signs.bit_count() * self.value(*moved)
            return total / self.mp.fprod([2 * self.steps[i] for i in places])


def _by_mpmath(order: int) -> Asked:
    def ask(f: Callable[..., Any], args: tuple[Any, ...], y: Value, xs: list[Value]) -> Outcome:
        _sides(y)
        exact, every = Exact(y, xs), range(len(xs))
        if order == 1:
            found = [exact.value(), *[exact.derivative(i) for i in every]]
        else:
            known = {places: exact.derivative(*places) for places in {_places(order, i, k) for i in every for k in every}}
            found = [known[_places(order, i, k)] for i in every for k in every]
        rounding = 2.0 ** (exact.STEP * order + 10 - exact.BITS) * (1 + abs(y.data))
        return _finite([float(d) for d in found], 1e-25, rounding)
    return ask


def _places(order: int, i: int, k: int) -> tuple[int, ...]:
    """By which inputs the derivative of that order is: which one comes first does not matter."""
    return tuple(sorted([i] * (order - 1) + [k]))


def _finite(numbers: Sequence[float], relative: float, absolute: float = 0.0) -> Outcome:
    """Numbers that are off by so much of the largest of them, and by so much in any case."""
    if not all(map(math.isfinite, numbers)):
        raise Unjudged("it is not finite")
    return Outcome(tuple(numbers), off=(relative * max(map(abs, numbers)) + absolute,) * len(numbers))


# ---- JAX and PyTorch: to fewer digits, since their own functions are good to fewer

RELATIVE, ABSOLUTE = 1e-9, 1e-30   # what is 0 here may be a few rounding errors there


def _names(library: Any, of: Sequence[str]) -> dict[str, Row]:
    return {name: getattr(library, name) for name in of if hasattr(library, name)}


_ALIKE = ("exp", "exp2", "expm1", "log", "log1p", "log2", "log10", "sqrt", "cbrt", "sin", "cos", "tan", "sinh", "cosh", "tanh",
          "hypot", "floor", "ceil", "arcsin", "arccos", "arctan", "arcsinh", "arccosh", "arctanh", "arctan2", "where",
          "copysign", "fmod", "logical_not")


@cache
def _jax() -> tuple[dict[str, Row], dict[str, Row]]:
    import jax
    import jax.numpy as jnp
    from jax.scipy import special
    jax.config.update("jax_enable_x64", True)
    leaves = {**OPERATORS, **_names(jnp, _ALIKE), "power": jnp.power, "rint": jnp.rint, **_names(special, ("erf", "erfc"))}
    rows = {"sigmoid": jax.nn.sigmoid, "softplus": jax.nn.softplus, "lgamma": special.gammaln, "digamma": special.digamma,
            "trigamma": lambda x: special.polygamma(1, x)}
    return leaves, rows


def _by_jax(order: int) -> Asked:
    def ask(f: Callable[..., Any], args: tuple[Any, ...], y: Value, xs: list[Value]) -> Outcome:
        import jax
        leaves, rows = _jax()
        _sides(y)
        graph = Evaluator(y, xs, leaves, rows, float)
        at = jax.numpy.array([x.data for x in xs])

        def g(at: Any) -> Any:
            return graph(*at) * 1.0
        if order == 1:
            value, slopes = jax.value_and_grad(g)(at)
            return _finite([float(value), *slopes.tolist()], RELATIVE, ABSOLUTE)
        if order == 2:
            return _finite(jax.hessian(g)(at).ravel().tolist(), RELATIVE, ABSOLUTE)
        tensor = jax.jacfwd(jax.hessian(g))(at)
        return _finite([d for i in range(len(xs)) for d in tensor[i, i].tolist()], RELATIVE, ABSOLUTE)
    return ask


@cache
def _torch() -> tuple[dict[str, Row], dict[str, Row]]:
    import torch

    def tensors(function: Row) -> Row:
        return lambda *xs: function(*[torch.as_tensor(x, dtype=torch.float64) if isinstance(x, float) else x for x in xs])
    leaves = {**OPERATORS, **{name: tensors(function) for name, function in _names(torch, _ALIKE).items()},
              "cbrt": lambda x: torch.sign(x) * torch.abs(x) ** (1 / 3), "rint": torch.round, **_names(torch, ("erf", "erfc"))}
    rows = {"sigmoid": torch.sigmoid, "softplus": lambda x: torch.logaddexp(x, torch.zeros_like(x))}   # forms with kinks at 0
    return leaves, rows   # its digamma and polygamma have nine digits: the array forms have more


def _by_torch(order: int) -> Asked:
    def ask(f: Callable[..., Any], args: tuple[Any, ...], y: Value, xs: list[Value]) -> Outcome:
        import torch
        leaves, rows = _torch()
        _sides(y)
        at = [torch.tensor(x.data, dtype=torch.float64, requires_grad=True) for x in xs]

        def slopes(z: Any) -> list[Any]:
            if not z.requires_grad:
                return [torch.zeros((), dtype=torch.float64) for _ in at]
            found = torch.autograd.grad(z, at, create_graph=True, allow_unused=True)
            return [torch.zeros((), dtype=torch.float64) if d is None else d for d in found]
        z = Evaluator(y, xs, leaves, rows, lambda x: torch.tensor(x, dtype=torch.float64))(*at)
        rows_of = slopes(z)
        if order == 1:
            return _finite([float(z), *map(float, rows_of)], RELATIVE, ABSOLUTE)
        matrix = [slopes(d) for d in rows_of]
        found = [d for i, row in enumerate(matrix) for d in (row if order == 2 else slopes(row[i]))]
        return _finite([*map(float, found)], RELATIVE, ABSOLUTE)
    return ask


_OTHERS = {"mpmath": _by_mpmath, "jax": _by_jax, "torch": _by_torch}


def peers() -> tuple[list[Way], list[str]]:
    """(the ways of libraries that are installed, and of differences; the names of the libraries that are not)."""
    found, absent = differences(), []
    for name, way in _OTHERS.items():
        if importlib.util.find_spec(name):
            found += [_way(name, order, way(order)) for order in (1, 2, 3)]
        else:
            absent.append(name)
    return found, absent
