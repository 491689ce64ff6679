"""Step 1, trace: from Values, or from a Python function, to a graph of symbols.

A graph of Values is a trace already; `cut` takes what is above its inputs. A function is traced by calling it with symbols,
within `tracing`: Values whose number is not known, and whose results are symbols. What would need the number (a comparison,
bool, float, `.data`, a look-up in a dict) raises TraceError, so that no branch is taken silently for all numbers to come; so
does an operation on a symbol that was kept when its trace had ended. Derivatives are traced too: `gradient` is the reverse
sweep on symbols.
"""

from __future__ import annotations

import gc
import math
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NoReturn

from ..conversion import TraceError
from ..copies import beyond
from ..forks import in_forked_child
from ..graph import topological
from ..guard import settle
from ..primitive import Primitive, deferred, no_pole
from ..primitives import add, exp, mul, pow_, total, weighted_sum, where
from ..recording import recording
from ..structure import leaves_of, shaped
from ..sweep import dependents, formulas, product, reverse
from ..value import RECORDING, Result, Value, _operand, apply, literal

__all__ = ["Symbol", "SymbolicResult", "collector_off", "condition", "cut", "evaluated", "gradient", "rebuild", "run",
           "tracing"]


def _refused(what: str, instead: str) -> Any:
    def refuse(self: Value, *_: Any) -> NoReturn:
        name = "a traced value" if self.label is None else f"the traced value {self.label!r}"
        raise TraceError(f"{what} of {name}: a compiled function runs for all numbers, so while it is traced there is none; "
                         f"{instead}")
    return refuse


_BRANCH = "use relu, maximum, minimum, abs, or where(step(a - b), …, …) in place of a branch"
_NUMBER = "keep to arithmetic and autograd's functions, or do not compile it"


def _number_of(self: Value) -> float:
    if not RECORDING.get().symbolic:
        raise TraceError(f"{self!r} was kept from a function that was traced, and has no number: let the function return it, "
                         "and use what the compiled function gives")
    return math.nan


class Symbol(Value):
    """A Value that stands for a number which is not known yet. Outside of a trace no operation takes it."""

    __slots__ = ()
    symbolic = True

    def __init__(self, label: str | None = None) -> None:
        self._time = self._now()
        self.grad = 0.0
        self.label = label

    _data = property(_number_of, lambda self, _: None)   # in the place of the field
    data = property(_refused(".data", _NUMBER), _refused("assignment to .data", _NUMBER))
    item = __float__ = __int__ = __complex__ = __index__ = __round__ = _refused("float()", _NUMBER)
    detach = _refused("detach()", "give the number to the function as an argument that is not differentiated")
    backward = _refused("backward()", "use autograd.grad, which gives the derivative as Values")
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _refused("a comparison", _BRANCH)
    __bool__ = _refused("the truth", _BRANCH)
    __hash__ = object.__hash__

    # Sums and products of a Value are written out and read its number; these do not, and Python asks them first.

    def __add__(self, other: Any) -> Any:
        return apply(add, self, other) if isinstance(other, Value) else _with_number(add, self, other)

    def __radd__(self, other: Any) -> Any:
        return _with_number(add, other, self)

    def __mul__(self, other: Any) -> Any:
        return apply(mul, self, other) if isinstance(other, Value) else _with_number(mul, self, other)

    def __rmul__(self, other: Any) -> Any:
        return _with_number(mul, other, self)

    def __getstate__(self) -> tuple[Any, dict[str, Any]]:
        return None, {"grad": self.grad, "label": self.label}

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __repr__(self) -> str:
        return f"Symbol({self.label or (self.op.name if self.op else '')!r})"


class SymbolicResult(Symbol, Result):
    """What an operation on symbols gives."""

    __slots__ = ()


def _with_number(op: Primitive, a: Any, b: Any) -> Any:
    """op(a, b) of which one is a symbol, and the other a Value or a number."""
    a, b = [x if isinstance(x, Value) else _operand(x) for x in (a, b)]
    return NotImplemented if a is NotImplemented or b is NotImplemented else apply(op, a, b)


# ---- while a function of the user's runs

_frame, _hash = sys._getframe, object.__hash__


class _Guarded:
    """A symbol that only the engine looks up by its identity: a user's dict, set or cache would look for its number."""

    __slots__ = ()

    def __hash__(self) -> int:
        if _frame(1).f_globals.get("__name__", "")[:9] != "autograd.":
            _unhashable(self)
        return _hash(self)


_unhashable = _refused("a look-up in a dict, a set or a cache",
                       "of a whole number, 1 - abs(sign(x - number)) is 1 where it is the one that is meant")


class _GuardedSymbol(_Guarded, Symbol):
    __slots__ = ()


class _GuardedResult(_Guarded, SymbolicResult):
    __slots__ = ()


def run(f: Callable[[], Any], symbols: Iterable[Symbol]) -> Any:
    """f(), a function of the user's, within `tracing`: `symbols` are what it is called with, and may be what it gives.

    They are guarded while it runs, and so is what it makes of them. Afterwards they are looked up at full speed.
    """
    given = list(symbols)
    for v in given:
        v.__class__ = _GuardedSymbol
    with tracing(_GuardedResult):
        outputs = f()
    rest: list[Any] = [*given, *leaves_of(outputs)]
    while rest:
        v = rest.pop()
        kind = type(v)
        if kind is _GuardedResult:
            v.__class__ = SymbolicResult
            rest.extend(v.args if not hasattr(v, "origin") else [*v.args, *v.origin[0].inputs()])
        elif kind is _GuardedSymbol:
            v.__class__ = Symbol
    return outputs


@contextmanager
def tracing(kind: type[Value] = SymbolicResult) -> Iterator[None]:
    """Within it, every operation gives a symbol, and none is computed."""
    with recording(kind), collector_off():
        yield


def gradient(seeds: dict[Value, Any], xs: Sequence[Value], order: Sequence[Value]) -> list[Value]:
    """Σ seed · ∂y/∂x for every x, as symbols: no number is looked at, so the formulas hold for all of them.

    seeds   {y: what its slopes are multiplied by}; of one y, {y: 1.0} gives its gradient
    order   the nodes from the xs up to the y, in topological order
    """
    with tracing():
        adjoint = reverse(order, seeds, formulas, product, dependents(order, xs))
        found = [adjoint.get(x, 0.0) for x in xs]
    return [x if isinstance(x, Value) else literal(x) for x in found]


def cut(outputs: Any, arguments: list[Any]) -> tuple[Any, list[Any]]:
    """The graph with symbols in place of inputs that were computed themselves: nothing below them belongs to the function."""
    inputs = [v for argument in arguments for v in leaves_of(argument)]
    if not any([v.args for v in inputs]):
        return outputs, arguments
    made: dict[Value, Value] = {v: Symbol(v.label) for v in inputs}
    ys = leaves_of(outputs)
    with tracing():
        rebuild([y for y in ys if isinstance(y, Value)], made)
    return (shaped(outputs, [made[y] if isinstance(y, Value) else y for y in ys]),
            [shaped(x, [made[v] for v in leaves_of(x)]) for x in arguments])


def rebuild(roots: Iterable[Value], made: dict[Value, Value], errors: list[Exception] | None = None) -> None:
    """Make the roots anew, and what they need, out of what `made` has in place of some nodes: from their arguments, and a
    derivative from what it is a derivative of, so that it is right for the new numbers, or raises. `errors` are those that
    were deferred."""
    inner, derived = _parted(roots, made)
    for v in derived:
        if v not in made:
            derivation, _ = v.origin
            rebuild(derivation.inputs(), made, errors)
            settle(errors or [], [made[y] for y in derivation.roots()], all_of_them=False)
            found = derivation.again(made)
            made |= {u: found[u.origin[1]] for u in derived if u.origin[0] is derivation}
    for v in inner:
        if v not in made:
            made[v] = v.op(*[made[a] for a in v.args]) if v.op else v
            if v.op:
                made[v].label = v.label


def evaluated(ys: Sequence[Value], made: dict[Value, Value]) -> list[Value]:
    """The graphs of `ys` with what `made` has in place of some nodes; an error of an operation that no `where` drops."""
    with deferred() as errors:
        rebuild(ys, made, errors)
    found = [made[y] for y in ys]
    settle(errors, found, all_of_them=False)
    return found


def condition(ys: Sequence[Value], order: Sequence[Value], stop: Collection[Value]) -> tuple[Value | None, list[Value]]:
    """What has to be finite besides the outputs `ys`, that all operations have a number; None if there is nothing.

    It is the sum of results that may fail to be numbers: where there is no value, there is no derivative, so of those among
    what was differentiated and is not needed otherwise; and of those whose pole no output would show, as in 1/(1/x) at 0.
    With the nodes that it needs beyond the `order` of the outputs, in topological order.
    """
    more: list[Value] = beyond(order, stop)
    found = [v for v in more if _may_fail(v)]
    poles = [v for v in order if v.op and v.op.pole is not no_pole and _may_fail(v)]
    shown = _shown(ys, order) if poles else ()
    found += [v for v in poles if v not in shown]
    if not found:
        return None, []
    with tracing():
        return total(found), more


def _may_fail(v: Value) -> bool:
    """Whether there are finite arguments for which it is no number. (Where exp has advice, it is infinite.)"""
    op = v.op
    if op is None or (op.builtin and (not op.advice or op is exp)):
        return False
    return not (op is pow_ and v.args[1].constant and v.args[1]._data >= 0 and v.args[1]._data % 1 == 0)


def _shown(ys: Sequence[Value], order: Sequence[Value]) -> set[Value]:
    """The nodes whose infinity makes an output infinite or nan, or is dropped by a `where`."""
    shown = set(ys)
    for v in reversed(order):
        if v.op is add or v.op is mul or v.op is weighted_sum:   # nearly all
            if v in shown:
                shown.update(v.args)
        elif v.op and v in shown:
            known = tuple([a._data if a.constant else 0.5 for a in v.args])
            shown.update([a for i, a in enumerate(v.args) if a not in shown and _passes_on(v.op, i, known)])
    return shown


@lru_cache(4096)
def _passes_on(op: Primitive, i: int, xs: tuple[float, ...]) -> bool:
    """Whether op(*xs) is finite for no infinite argument i."""
    if op is where:
        return i > 0
    return not any([math.isfinite(op.ieee(*xs[:i], x, *xs[i + 1:])) for x in (math.inf, -math.inf)])


def _parted(roots: Iterable[Value], stop: Collection[Value]) -> tuple[list[Value], list[Any]]:
    """The nodes from `stop` up to the roots, without derivatives and what is below them, and those derivatives."""
    roots = [v for v in roots if v not in stop]
    order = topological(*roots, stop=stop)
    derived = {v for v in order if hasattr(v, "origin")}
    if not derived:
        return order, []
    inner = topological(*[v for v in roots if v not in derived], stop=derived.union(stop))
    needed = derived.intersection([*roots, *[a for v in inner for a in v.args]])
    return inner, [v for v in order if v in needed]


@contextmanager
def collector_off() -> Iterator[None]:
    """Within it, Python's cyclic collector waits: of graphs, which have no cycles, it would free nothing and look at all."""
    on = gc.isenabled()
    gc.disable()
    if on:
        _WAITING.append(1)
    try:
        yield
    finally:
        if on:
            gc.enable()
            _WAITING.clear()


_WAITING: list[int] = []   # whether the collector is to be switched on again
in_forked_child(lambda: gc.enable() if _WAITING else None)   # by a thread that the child has not
