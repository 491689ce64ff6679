"""What was traced, beside the function itself: the two are compared on numbers before a trace is trusted.

A symbol refuses what would need its number, but not everything can be told: what asks for a type or a text, or catches the
error, is traced as one branch for all numbers.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from ..conversion import to_float
from ..derive import adjoints
from ..guard import guarded
from ..recording import recording
from ..structure import leaves_of
from ..value import Result, Value, literal
from .trace import evaluated

__all__ = ["Numbers", "different", "of_function", "of_trace", "quiet"]

Numbers = tuple[list[float], list[float]]   # of outputs, and of the slopes of the first of them
_RELATIVE, _ABSOLUTE = 1e-9, 1e-12   # of a number, of the largest number on the way: numpy's sums have another order


def quiet() -> AbstractContextManager[Any]:
    """Within it, the caller's numpy.errstate holds for nothing, and numpy warns of nothing."""
    numpy = sys.modules.get("numpy")
    return numpy.errstate(all="ignore") if numpy else nullcontext()


def of_function(f: Callable[[], Any], xs: Sequence[Value]) -> Numbers:
    """What f() gives, and its slopes by the `xs`, which it is computed from."""
    with recording(Result), quiet():
        ys = [y if isinstance(y, Value) else literal(to_float(y)) for y in leaves_of(guarded(f))]
        return [y._data for y in ys], adjoints({ys[0]: 1.0}, xs, symbolic=False) if xs else []


def of_trace(ys: Sequence[Value], leaves: Iterable[Value], numbers: Iterable[Any],
             xs: Sequence[Value]) -> tuple[Numbers, float]:
    """The same of a graph with numbers in the place of its `leaves`, and the largest number on the way."""
    made: dict[Value, Value] = {v: Value(x, v.label) for v, x in zip(leaves, numbers, strict=True)}
    with recording(Result):
        found = evaluated(ys, made)
        slopes = adjoints({found[0]: 1.0}, [made.get(x, x) for x in xs], symbolic=False) if xs else []
    largest = max([abs(v._data) for v in made.values() if math.isfinite(v._data)], default=0.0)
    return ([y._data for y in found], slopes), largest


def different(function: Numbers, trace: Numbers, largest: float) -> str:
    """What the two differ in, beyond rounding, as words of an error; "" if in nothing, or if it is not finite."""
    for what, true, found in zip(("value", "slope"), function, trace, strict=True):
        if len(true) != len(found):
            return f"it gave {len(found)} numbers when it was traced, and gives {len(true)} when it is called"
        floor = _ABSOLUTE * max([largest, *[abs(x) for x in true if math.isfinite(x)]])
        for k, (a, b) in enumerate(zip(true, found, strict=True)):
            if math.isfinite(a) and not abs(a - b) <= _RELATIVE * max(abs(a), abs(b)) + floor:
                which = f" {k}" if len(true) > 1 else ""
                return f"{what}{which} is {b!r} as it was traced, and {a!r} when it is called with numbers"
    return ""
