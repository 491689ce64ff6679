"""Sweeps over a graph: the chain rule, node by node.

    reverse    g = ∂L/∂y flows from the last row up:      ∂L/∂x += g · ∂y/∂x
    forward    t = dx/dw flows from the first row down:   dy/dw = Σ ∂y/∂x · t

An adjoint or tangent that is exactly 0 contributes nothing, whatever it meets: a strong zero. The generic sweeps are
written once for numbers (here) and for formulas (derive.py); `sweep` is the reverse one again, on `Value.grad`, for speed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .primitive import errstate
from .primitives import add, mul, pow_

if TYPE_CHECKING:
    from .value import Value

Local = Callable[["Value"], Sequence[Any]]   # a node's local partials
Times = Callable[[Any, Any], Any]             # the product of two derivatives, None for a strong zero


def sweep(root: Value, order: Sequence[Value]) -> None:
    """Set v.grad = ∂root/∂v on every node of the topological `order`.

    Sums and products are written out: 1.5 times faster than asking every node's primitive (tests/benchmarks/eager.py)."""
    for v in order:
        v.grad = 0.0
    root.grad = 1.0
    for v in reversed(order):
        args = v.args
        if args:
            g = v.grad
            if g:
                if v.op is mul:
                    a, b = args
                    a.grad += g * b._data
                    b.grad += g * a._data
                elif v.op is add:
                    a, b = args
                    a.grad += g
                    b.grad += g
                else:
                    for a, d in zip(args, numbers(v), strict=True):
                        a.grad += g * d


def reverse(order: Sequence[Value], seeds: Mapping[Value, Any], needed: Collection[Value],
            local: Local, times: Times) -> dict[Value, Any]:
    """The adjoint of every `needed` node of `order`: `seeds` on the roots, carried down by the local partials."""
    adjoint = dict(seeds)
    for v in reversed(order):
        if v.args and v in adjoint:
            g = adjoint[v]
            for a, d in zip(v.args, local(v)):   # noqa: B905   # strict is slower, and the partials' arity is the row's
                if a in needed:
                    term = times(g, d)
                    if term is not None:
                        adjoint[a] = adjoint[a] + term if a in adjoint else term
    return adjoint


def forward(order: Sequence[Value], seeds: Mapping[Value, Any], local: Local, times: Times) -> dict[Value, Any]:
    """The tangent of every node of `order` that depends on the seeds."""
    tangent = dict(seeds)
    for v in order:
        if any([a in tangent for a in v.args]):
            for a, d in zip(v.args, local(v), strict=True):
                if a in tangent and (term := times(tangent[a], d)) is not None:
                    tangent[v] = tangent[v] + term if v in tangent else term
    return tangent


def dependents(order: Iterable[Value], xs: Iterable[Value]) -> set[Value]:
    """`xs` and the nodes of `order` that depend on them."""
    found = set(xs)
    for v in order:
        if not found.isdisjoint(v.args):
            found.add(v)
    return found


def numbers(v: Value) -> Sequence[float]:
    """The local partials of `v` under IEEE rules: infinite at a pole, nan where there is none; never raises."""
    op, xs = v.op, [a._data for a in v.args]
    assert op is not None
    try:
        if op is pow_ and v.args[1].constant:
            return power_slopes(*xs)
        return op.partials(v._data, *xs)  # type: ignore[no-any-return]
    except (ArithmeticError, ValueError):   # Python's 1/0 raises; that of Values, below, is inf
        from .value import Value, no_grad
        with errstate(invalid="ignore", divide="ignore"), no_grad():
            return [d.data if isinstance(d, Value) else d for d in op.partials(Value(v._data), *map(Value, xs))]


def power_slopes(x: Any, n: float) -> tuple[Any, float]:
    """The partials of x**n for a plain number n: no log x, which a negative x does not have."""
    slope = n * x ** (n - 1) if n else 0.0
    return math.nan if isinstance(slope, complex) else slope, 0.0   # Python's (-8.0)**0.5 is complex


def times_numbers(g: float, d: float) -> float | None:
    """g · d, with a strong zero in g."""
    return g * d if g else None


def check_unchanged(order: Sequence[Value]) -> None:
    """RuntimeError if a leaf was assigned after a node of `order` was computed from it."""
    newest = max([v._time for v in order if not v.args], default=0)
    for v in order:
        if v._time < newest:
            for a in v.args:
                if a._time > v._time:
                    raise RuntimeError(f"the data of {a!r} was assigned after {v._name()} was computed from its old "
                                       "number: build the expression again, or differentiate before assigning")


def blame(order: Sequence[Value], adjoint: Callable[[Value], float | None]) -> None:
    """Say where a gradient became nan: FloatingPointError, unless a leaf itself is nan or infinite."""
    if not all([math.isfinite(v._data) for v in order if not v.args]):
        return
    advice = next((v.op.advice for v in order if v.op and not math.isfinite(v._data)), "")
    for v in reversed(order):
        g = adjoint(v)
        if v.op and g and g == g:
            for a, d in zip(v.args, numbers(v), strict=True):
                if math.isinf(g * d) and math.isfinite(g):   # here it became infinite, to meet a 0 below
                    advice = advice or v.op.advice
                if g * d != g * d and not a.constant:
                    raise FloatingPointError(f"nan gradient of {a._name()}: {v._name()} has slope {d:g} there and "
                                             f"receives {g:g} from above; {advice or v.op.advice or 'it has no derivative'}")
    raise FloatingPointError("nan gradient: infinite contributions of both signs meet in one node"
                             + (f"; {advice}" if advice else ""))
