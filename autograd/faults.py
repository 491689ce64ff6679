"""What can be wrong with a graph: a leaf that was assigned after it was used, and a gradient that became nan."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from .graph import N, Node
from .sweep import numbers

__all__ = ["blame", "check_unchanged"]


def check_unchanged(order: Sequence[Node]) -> None:
    """RuntimeError if a leaf was assigned after a node of `order` was computed from it; TraceError for a symbol that was kept
    from a function that was traced."""
    if order:
        order[-1]._data   # noqa: B018   # which such a symbol refuses
    newest = max([v._time for v in order if not v.args], default=0)
    for v in order:
        if v._time < newest:
            for a in v.args:
                if a._time > v._time:
                    raise RuntimeError(f"the data of {a!r} was assigned after {v._name()} was computed from its old "
                                       "number: build the expression again, or differentiate before assigning")


def blame(order: Sequence[N], adjoint: Callable[[N], float | None]) -> None:
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
