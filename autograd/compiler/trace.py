"""Step 1, trace: from Values, or from a Python function, to a graph of symbols.

A graph of Values is a trace already; `cut` takes what is above its inputs. A function is traced by calling it with symbols,
within `tracing`: Values whose number is not known, and whose results are symbols. What would need the number (a comparison,
bool, float, `.data`) raises TraceError, so that no branch is taken silently for all numbers to come. Derivatives are traced
too: `gradient` is the reverse sweep on symbols.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from ..conversion import TraceError
from ..graph import topological
from ..guard import settle
from ..primitives import exp, pow_, total
from ..recording import recording
from ..structure import leaves_of, shaped
from ..sweep import dependents, formulas, product, reverse
from ..value import Result, Value, literal

__all__ = ["Symbol", "collector_off", "condition", "cut", "gradient", "rebuild", "tracing"]


def _refused(what: str, instead: str) -> Any:
    def refuse(self: Value, *_: Any) -> NoReturn:
        name = "a traced value" if self.label is None else f"the traced value {self.label!r}"
        raise TraceError(f"{what} of {name}: a compiled function runs for all numbers, so while it is traced there is none; "
                         f"{instead}")
    return refuse


_BRANCH = "use relu, maximum, minimum, abs, or where(step(a - b), …, …) in place of a branch"
_NUMBER = "keep to arithmetic and autograd's functions, or do not compile it"


class Symbol(Value):
    """A Value that stands for a number which is not known yet."""

    __slots__ = ()
    symbolic = True

    def __init__(self, label: str | None = None) -> None:
        super().__init__(math.nan, label)

    data = property(_refused(".data", _NUMBER), _refused("assignment to .data", _NUMBER))
    item = __float__ = __int__ = __complex__ = __index__ = _refused("float()", _NUMBER)
    detach = _refused("detach()", "give the number to the function as an argument that is not differentiated")
    backward = _refused("backward()", "use autograd.grad, which gives the derivative as Values")
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _refused("a comparison", _BRANCH)
    __bool__ = _refused("the truth", _BRANCH)
    __hash__ = object.__hash__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __repr__(self) -> str:
        return f"Symbol({self.label or (self.op.name if self.op else '')!r})"


class SymbolicResult(Symbol, Result):
    """What an operation on symbols gives."""

    __slots__ = ()


@contextmanager
def tracing() -> Iterator[None]:
    """Within it, every operation gives a symbol, and none is computed."""
    with recording(SymbolicResult), collector_off():
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
    with tracing():
        rebuild(leaves_of(outputs), made)
    return (shaped(outputs, [made[y] for y in leaves_of(outputs)]),
            [shaped(x, [made[v] for v in leaves_of(x)]) for x in arguments])


def rebuild(roots: Iterable[Value], made: dict[Value, Value], errors: Sequence[Exception] = ()) -> None:
    """Make the roots anew, and what they need, out of what `made` has in place of some nodes: from their arguments, and a
    derivative from what it is a derivative of, so that it is right for the new numbers, or raises. `errors` are those that
    were deferred."""
    inner, derived = _parted(roots, made)
    for v in derived:
        if v not in made:
            derivation, _ = v.origin
            rebuild(derivation.inputs(), made, errors)
            settle(errors, [made[y] for y in derivation.roots()], all_of_them=False)
            found = derivation.again(made)
            made |= {u: found[u.origin[1]] for u in derived if u.origin[0] is derivation}
    for v in inner:
        if v not in made:
            made[v] = v.op(*[made[a] for a in v.args]) if v.op else v
            if v.op:
                made[v].label = v.label


def condition(order: Sequence[Value], stop: Collection[Value]) -> tuple[Value | None, list[Value]]:
    """What has to be finite, that the derivatives in `order` may be: where there is no value, there is no derivative.

    It is the sum of the results that may fail to be numbers, among what was differentiated and is not in `order` itself.
    With the nodes that it needs beyond `order`, in topological order.
    """
    known, more, new = {*order, *stop}, [], order
    while derivations := {id(v.origin[0]): v.origin[0] for v in new if hasattr(v, "origin")}.values():
        new = topological(*[v for by in derivations for v in by.inputs() if v not in known], stop=known)
        known.update(new)
        more += new
    if not (found := [v for v in more if _may_fail(v)]):
        return None, []
    with tracing():
        return total(found), more


def _may_fail(v: Value) -> bool:
    """Whether there are finite arguments for which it is no number. (Where exp has advice, it is infinite.)"""
    op = v.op
    if op is None or (op.builtin and (not op.advice or op is exp)):
        return False
    return not (op is pow_ and v.args[1].constant and v.args[1]._data >= 0 and v.args[1]._data % 1 == 0)


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
    try:
        yield
    finally:
        if on:
            gc.enable()
