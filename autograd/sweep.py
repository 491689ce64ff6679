"""Sweeps over a graph: the chain rule, node by node.

    reverse    g = ∂L/∂y flows from the last row up:      ∂L/∂x += g · ∂y/∂x
    forward    t = dx/dw flows from the first row down:   dy/dw = Σ ∂y/∂x · t

An adjoint or tangent that is exactly 0 contributes nothing, whatever it meets: a strong zero. The generic sweeps are
written once for numbers (here) and for formulas (derive.py); `sweep` is the reverse one again, on `Value.grad`, for speed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from .graph import N, Node
from .primitive import errstate
from .primitives import add, mul, pow_

Local = Callable[[Any], Sequence[Any]]       # a node's local partials
Times = Callable[[Any, Any], Any]             # the product of two derivatives, None for a strong zero


def sweep(root: Node, order: Sequence[Node]) -> None:
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


def reverse(order: Sequence[N], seeds: Mapping[N, Any], needed: Collection[N], local: Local, times: Times) -> dict[N, Any]:
    """The adjoint of every `needed` node of `order`: `seeds` on the roots, carried down by the local partials."""
    adjoint = dict(seeds)
    for v in reversed(order):
        if v.args and v in adjoint:
            g = adjoint[v]
            for a, d in zip(v.args, local(v), strict=True):
                if a in needed:
                    term = times(g, d)
                    if term is not None:
                        adjoint[a] = adjoint[a] + term if a in adjoint else term
    return adjoint


def forward(order: Sequence[N], seeds: Mapping[N, Any], local: Local, times: Times) -> dict[N, Any]:
    """The tangent of every node of `order` that depends on the seeds."""
    tangent = dict(seeds)
    for v in order:
        if any([a in tangent for a in v.args]):
            for a, d in zip(v.args, local(v), strict=True):
                if a in tangent and (term := times(tangent[a], d)) is not None:
                    tangent[v] = tangent[v] + term if v in tangent else term
    return tangent


def dependents(order: Iterable[N], xs: Iterable[N]) -> set[N]:
    """`xs` and the nodes of `order` that depend on them."""
    found = set(xs)
    for v in order:
        if not found.isdisjoint(v.args):
            found.add(v)
    return found


def numbers(v: Node) -> Sequence[float]:
    """The local partials of `v` under IEEE rules: infinite at a pole, nan where there is none; never raises."""
    op, xs = v.op, [a._data for a in v.args]
    assert op is not None
    try:
        if op is pow_ and v.args[1].constant:
            return power_slopes(*xs)
        return op.partials(v._data, *xs)  # type: ignore[no-any-return]
    except (ArithmeticError, ValueError):   # Python's 1/0 raises; that of Values is inf
        with errstate(invalid="ignore", divide="ignore"):
            return [getattr(d, "_data", d) for d in op.partials(v.detach(), *[a.detach() for a in v.args])]


def power_slopes(x: Any, n: float) -> tuple[Any, float]:
    """The partials of x**n for a plain number n: no log x, which a negative x does not have."""
    slope = n * x ** (n - 1) if n else 0.0
    return math.nan if isinstance(slope, complex) else slope, 0.0   # Python's (-8.0)**0.5 is complex


def times_numbers(g: float, d: float) -> float | None:
    """g · d, with a strong zero in g."""
    return g * d if g else None

