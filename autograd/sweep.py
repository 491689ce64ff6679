"""Sweeps over a graph: the chain rule, node by node.

    reverse    g = ∂L/∂y flows from the last row up:      ∂L/∂x += g · ∂y/∂x
    forward    t = dx/dw flows from the first row down:   dy/dw = Σ ∂y/∂x · t

Both are written once, for numbers and for formulas (Values); `sweep` is the reverse one again, on `Value.grad`, for speed.
What a zero is worth that meets an infinity is told in zeros.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from .graph import N, Node
from .primitive import errstate
from .primitives import add, mul, pow_, weighted_sum, weights_and_inputs

Local = Callable[[Any], Sequence[Any]]    # a node's local partials
Times = Callable[[Any, Any], Any]         # the product of two derivatives, None for one that contributes nothing
PLAIN = float, int


# ---- the three sweeps

def sweep(root: Node, order: Sequence[Node]) -> bool:
    """Set v.grad = ∂root/∂v on every node of the topological `order`; whether no zero met a slope that is not finite.

    Sums and products, weighted ones too, are written out: 1.5 times faster than asking every node's primitive
    (tests/benchmarks/eager.py)."""
    for v in order:
        v.grad = 0.0
    root.grad = 1.0
    sound = True
    for v in reversed(order):
        args = v.args
        if args:
            g = v.grad
            op = v.op
            if g:
                if op is mul:
                    a, b = args
                    a.grad += g * b._data
                    b.grad += g * a._data
                elif op is add:
                    a, b = args
                    a.grad += g
                    b.grad += g
                elif op is weighted_sum:
                    bias, ws, xs = weights_and_inputs(args)
                    for a in bias:
                        a.grad += g
                    for w, x in zip(ws, xs, strict=True):
                        w.grad += g * x._data
                        x.grad += g * w._data
                else:
                    for a, d in zip(args, numbers(v), strict=True):
                        a.grad += g * d
            elif op is not add and (op is not mul or v._data - v._data):   # of a finite product both factors are finite
                sound = sound and all(map(math.isfinite, numbers(v)))
    return sound


def reverse(order: Sequence[N], seeds: Mapping[N, Any], local: Local, times: Times, needed: Collection[N]) -> dict[N, Any]:
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


# ---- local partials, as numbers and as formulas

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


def formulas(v: Node) -> Sequence[Any]:
    """The local partials of `v` as Values, to differentiate again; plain numbers stay plain."""
    op = v.op
    if op is add:   # sums and products are nearly all nodes of most graphs
        return 1.0, 1.0
    xs = [a._data if a.constant else a for a in v.args]
    if op is mul:
        return xs[1], xs[0]
    assert op is not None
    with errstate(invalid="ignore", divide="ignore"):
        try:
            if op is pow_ and v.args[1].constant:
                return power_slopes(xs[0], v.args[1]._data)
            return op.partials(v, *xs)  # type: ignore[no-any-return]
        except (ArithmeticError, ValueError):   # of the plain numbers among them
            return op.partials(v, *v.args)  # type: ignore[no-any-return]


def product(g: Any, d: Any) -> Any:
    """g · d of Values: a plain 0 gives None and a plain ±1 leaves no product."""
    if not isinstance(d, PLAIN):
        g, d = d, g   # a plain number, if there is one, last
    if not isinstance(d, PLAIN):
        return g * d
    if d == 0 or (isinstance(g, PLAIN) and g == 0):
        return None
    return g if d == 1 else -g if d == -1 else g * d


def number_of(x: Any) -> float:
    """The number of a number or Value."""
    return float(getattr(x, "_data", x))
