"""Shifts that cancel: exp(x − m) changes with m, and exp(x − m) / Σ exp(x − m) does not.

Only the latter may be written without m. A node that is not `shifted` says the same with any m.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from . import primitives as p
from .value import Value

__all__ = ["shifted"]

Change = tuple[float, float]   # (k, j): where m grows by d, the node becomes itself · e^(k·d) + j·d
STILL: Change = (0.0, 0.0)


def shifted(order: Sequence[Value]) -> set[Value]:
    """The nodes of a topological order that change with a shift below them; what is not in the order stands still.

    >>> from autograd import softmax, topological
    >>> a, b = softmax([Value(1.0), Value(2.0)])
    >>> order = topological(a)
    >>> a in shifted(order), len(shifted(order))
    (False, 7)
    """
    found: set[Value] = set()
    for m in order:
        if m.op is p.shift:
            changes: dict[Value, Change | None] = {m: (0.0, 1.0)}
            for v in order:
                if v.args and v is not m:
                    changes[v] = _change(v, changes)
            found.update([v for v, change in changes.items() if change != STILL])
    return found


def _change(v: Value, changes: Mapping[Value, Change | None]) -> Change | None:
    """How `v` changes, by how its arguments do; None where that has no such form."""
    args = [changes.get(a, STILL) for a in v.args]
    if args.count(STILL) == len(args):
        return STILL
    if None in args:
        return None
    (k, j), (other, i) = (*args, STILL)[:2]   # type: ignore[misc]
    if v.op is p.neg:
        return k, -j
    if v.op is p.add:
        return (k, j + i) if k == other and (k == 0 or j == i == 0) else None
    if v.op is p.exp:
        return (j, 0.0) if k == 0 else None
    if j or i:
        return None
    if v.op in (p.mul, p.strong_mul):
        return k + other, 0.0
    if v.op in (p.div, p.strong_div):
        return k - other, 0.0
    if v.op is p.reciprocal:
        return -k, 0.0
    if v.op is p.log:
        return 0.0, k
    return STILL if v.op is p.share and k == other else None
