"""Every way to a derivative, each of which gives numbers or the error that it raised.

A way takes a function f and its arguments, and gives one flat list, in the order of the numbers in the arguments:

| order | what |
|---|---|
| 1 | the value, ∂f/∂x for every x |
| 2 | ∂²f/∂x∂y for every x and every y |
| 3 | ∂³f/∂x²∂y for every x and every y |
"""

from __future__ import annotations

import importlib.util
import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from ..conversion import to_float
from ..derive import grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp
from ..guard import guarded
from ..structure import leaves_of, shaped, variables
from ..value import Value, literal

__all__ = ["Outcome", "Unjudged", "Way", "backends", "built", "outcome", "targets", "ways"]

Run = Callable[[Callable[..., Any], tuple[Any, ...]], "Sequence[Any] | Outcome"]


class Unjudged(Exception):
    """A way has nothing to say here."""


@dataclass(frozen=True)
class Way:
    """A way to the derivatives of some order; its name is what a user would write."""

    name: str
    order: int
    run: Run

    def __call__(self, f: Callable[..., Any], args: tuple[Any, ...]) -> Outcome:
        return outcome(lambda: self.run(f, args))


@dataclass(frozen=True)
class Outcome:
    """Numbers, or an error.

    off   how far each number may be off by itself, whatever the function's rounding errors are: of differences, say
    """

    numbers: tuple[float, ...] = ()
    error: Exception | None = None
    off: tuple[float, ...] = ()

    @property
    def kind(self) -> str:
        """The error's type, or "" if there is none."""
        return type(self.error).__name__ if self.error else ""

    def __str__(self) -> str:
        if self.error:
            text = " ".join(str(self.error).split())
            return f"{self.kind}: {text if len(text) <= 60 else text[:59] + '…'}"
        return repr(self.numbers[0] if len(self.numbers) == 1 else list(self.numbers))


def outcome(run: Callable[[], Sequence[Any] | Outcome]) -> Outcome:
    """What it gives, as floats, or what it raises; warnings are let through to nobody."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = run()
            return found if isinstance(found, Outcome) else Outcome(
                tuple([x.data if isinstance(x, Value) else float(x) for x in found]))
    except Exception as error:
        return Outcome(error=error)


@cache
def backends() -> tuple[str, ...]:
    """Those that can be used here."""
    from ..compiler.backends.choose import no_llvm
    numpy = ["numpy"] if importlib.util.find_spec("numpy") else []
    return ("python", *numpy, *(["llvm"] if numpy and not no_llvm() else []))


def ways(order: int, of: Sequence[str] | None = None) -> list[Way]:
    """All ways to the derivatives of an order; compiled, on the backends `of`: all that are here by default."""
    return [way for way in (*_EAGER, *[way for backend in (backends() if of is None else of) for way in _compiled(backend)])
            if way.order == order]


# ---- what is computed: as Values

def built(f: Callable[..., Any], args: tuple[Any, ...]) -> tuple[Value, list[Value]]:
    """(f of new Values in place of the numbers, these Values); f gives one number."""
    made = variables(args)
    found = leaves_of(guarded(f, *made))
    if len(found) != 1:
        raise TypeError(f"{getattr(f, '__name__', 'f')} gave {len(found)} numbers: all ways lead to the derivatives of one; "
                        "test a sum of them, or each")
    y = found[0] if isinstance(found[0], Value) else literal(to_float(found[0], "the result of a function to differentiate"))
    return y, leaves_of(made)


def targets(order: int, y: Value, xs: Sequence[Value]) -> list[Value]:
    """What the ways of an order compute, as graphs: reverse mode every time."""
    slopes = grad(y, xs)
    if order == 1:
        return [y, *slopes]
    rows = [grad(slope, xs) for slope in slopes]
    return [d for i, row in enumerate(rows) for d in (row if order == 2 else grad(row[i], xs))]


def _units(args: tuple[Any, ...]) -> list[Any]:
    """Directions along one number each, in the structure of the arguments."""
    n = len(leaves_of(args))
    return [shaped(args, [float(i == k) for k in range(n)]) for i in range(n)]


def _forward(y: Value, xs: Sequence[Value], i: int) -> Value:
    return jvp(y, xs, [float(i == k) for k in range(len(xs))])  # type: ignore[no-any-return]


# ---- eager ways

def _backward(y: Value, xs: Sequence[Value]) -> list[float]:
    for x in xs:
        x.grad = 0.0
    if not y.constant:
        y.backward()
    return [x.grad for x in xs]


def _of_values(run: Callable[[Value, list[Value]], Sequence[Any]]) -> Run:
    return lambda f, args: run(*built(f, args))


def _both(pair: tuple[Any, Any]) -> list[Any]:
    return [pair[0], *leaves_of(pair[1])]


def _all(args: tuple[Any, ...]) -> tuple[int, ...]:
    return tuple(range(len(args)))


def _jvp(f: Callable[..., Any], args: tuple[Any, ...]) -> list[Any]:
    pairs = [jvp(f, args, e) for e in _units(args)]
    return [pairs[0][0], *[tangent for _, tangent in pairs]]


def _second(f: Callable[..., Any], args: tuple[Any, ...]) -> list[Any]:
    """The Hessian by all arguments of a function of one list, as `hessian(f)` has it."""
    return leaves_of(hessian(lambda xs: f(*shaped(args, xs)))(leaves_of(args)))


def _third(f: Callable[..., Any], args: tuple[Any, ...]) -> list[Any]:
    tensor = jacobian(hessian(lambda xs: f(*shaped(args, xs))))(leaves_of(args))
    return [d for i, matrix in enumerate(tensor) for d in matrix[i]]


_EAGER = [
    Way("y.backward()", 1, _of_values(lambda y, xs: [y, *_backward(y, xs)])),
    Way("grad(y, xs)", 1, _of_values(lambda y, xs: targets(1, y, xs))),
    Way("value_and_grad(f)", 1, lambda f, args: _both(value_and_grad(f, _all(args))(*args))),
    Way("vjp(f, x)", 1, lambda f, args: _both(vjp(f, args))),
    Way("jvp(y, xs, e)", 1, _of_values(lambda y, xs: [y, *[_forward(y, xs, i) for i in range(len(xs))]])),
    Way("jvp(f, x, e)", 1, _jvp),
    Way("hessian(y, xs)", 2, _of_values(lambda y, xs: targets(2, y, xs))),
    Way("hessian(f)", 2, _second),
    Way("grad(y, x).backward()", 2, _of_values(lambda y, xs: [d for slope in grad(y, xs) for d in _backward(slope, xs)])),
    Way("jacobian(grad(f))", 2, lambda f, args: leaves_of(
        jacobian(grad(lambda xs: f(*shaped(args, xs))))(leaves_of(args)))),
    Way("hvp(y, xs, e)", 2, _of_values(lambda y, xs: [
        d for i in range(len(xs)) for d in hvp(y, xs, [float(i == k) for k in range(len(xs))])])),
    Way("hvp(f, x, e)", 2, lambda f, args: [d for e in _units(args) for d in leaves_of(hvp(f, args, e)[1])]),
    Way("jvp(jvp(y, xs, e), xs, e)", 2, _of_values(lambda y, xs: [
        _forward(_forward(y, xs, i), xs, k) for i in range(len(xs)) for k in range(len(xs))])),
    Way("grad(jvp(y, xs, e), xs)", 2, _of_values(lambda y, xs: [
        d for i in range(len(xs)) for d in grad(_forward(y, xs, i), xs)])),
    Way("grad(hessian(y, xs), xs)", 3, _of_values(lambda y, xs: targets(3, y, xs))),
    Way("jacobian(hessian(f))", 3, _third),
    Way("jvp(jvp(jvp(y, xs, e), xs, e), xs, e)", 3, _of_values(lambda y, xs: [
        _forward(_forward(_forward(y, xs, i), xs, i), xs, k) for i in range(len(xs)) for k in range(len(xs))])),
    Way("jvp(hessian(y, xs), xs, e)", 3, _of_values(lambda y, xs: [
        _forward(row[i], xs, k) for i, row in enumerate(hessian(y, xs)) for k in range(len(xs))])),
]


# ---- compiled ways

NEIGHBOURS = (0.5, -math.inf, 1e200)   # in the first input of the other rows of a batch


def _compiled(backend: str) -> list[Way]:
    from ..compiler import compile as compiled
    from ..compiler import compile_function

    def numbers(name: str, order: int, outputs: Callable[[Value, list[Value]], Sequence[Any]]) -> Way:
        def run(f: Callable[..., Any], args: tuple[Any, ...]) -> Any:
            y, xs = built(f, args)
            return compiled(list(outputs(y, xs)), xs, backend=backend)(*leaves_of(args))
        return Way(f"compile({name}, xs, backend={backend!r})", order, run)

    def slopes(f: Callable[..., Any], args: tuple[Any, ...]) -> list[Any]:
        made = variables(args)
        y = guarded(f, *made)
        return _both(compiled(y if isinstance(y, Value) else literal(float(y)), made, wrt=_all(args),
                              backend=backend).value_and_grad(*args))

    def traced(f: Callable[..., Any], args: tuple[Any, ...]) -> list[Any]:
        return _both(compile_function(f, wrt=_all(args), backend=backend).value_and_grad(*args))

    def inside(name: str, order: int, derivative: Callable[..., Sequence[Any]]) -> Way:
        """A function with a derivative in it, traced as a function of the arguments."""
        def run(f: Callable[..., Any], args: tuple[Any, ...]) -> list[Any]:
            return list(compile_function(lambda *xs: list(derivative(f, xs)), backend=backend)(*args))
        return Way(f"compile_function({name}, backend={backend!r})", order, run)

    def batched(name: str, order: int, outputs: Callable[[Value, list[Value]], Sequence[Any]] | None) -> Way:
        """As the last row of a batch. Where there is no number for a row before it, the batch has none: then without these."""
        def run(f: Callable[..., Any], args: tuple[Any, ...]) -> Sequence[Any]:
            import numpy as np
            y, xs = built(f, args)
            every, at = tuple(range(len(xs))), leaves_of(args)
            program = compiled(y if outputs is None else list(outputs(y, xs)), xs, wrt=every, batch=every, backend=backend)

            def last(rows: list[list[float]]) -> Sequence[Any]:
                columns = np.array(rows, dtype=float).T
                if outputs is not None:
                    return program(*columns)[-1]  # type: ignore[no-any-return]
                value, slopes = program.value_and_grad(*columns)
                return [value[-1], *[slope[-1] for slope in slopes]]
            try:
                return last([*[[x, *at[1:]] for x in NEIGHBOURS], at])
            except (ArithmeticError, ValueError):
                return last([at, at])
        return Way(f"compile({name}, xs, batch=…, backend={backend!r})", order, run)

    made = [
        Way(f"compile(y, xs, backend={backend!r}).value_and_grad", 1, slopes),
        Way(f"compile_function(f, backend={backend!r}).value_and_grad", 1, traced),
        numbers("[y, *grad(y, xs)]", 1, lambda y, xs: targets(1, y, xs)),
        inside("value_and_grad(f)", 1, lambda f, xs: _both(value_and_grad(f, _all(xs))(*xs))),
        inside("jvp(f, x, e)", 1, _jvp),
        numbers("hessian(y, xs)", 2, lambda y, xs: targets(2, y, xs)),
        inside("hessian(f)", 2, _second),
        inside("hvp(f, x, e)", 2, lambda f, xs: [d for e in _units(xs) for d in leaves_of(hvp(f, xs, e)[1])]),
        numbers("grad(hessian(y, xs), xs)", 3, lambda y, xs: targets(3, y, xs)),
        inside("jacobian(hessian(f))", 3, _third),
    ]
    if backend != "python":
        made += [batched("y", 1, None), batched("[y, *grad(y, xs)]", 1, lambda y, xs: targets(1, y, xs)),
                 batched("hessian(y, xs)", 2, lambda y, xs: targets(2, y, xs))]
    return made
