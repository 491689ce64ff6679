"""What it means that two ways agree: the same numbers, up to what rounding can do to them, or the same kind of error.

How far two right answers may lie apart is not one number for all functions: (x + 1e10) − 1e10 has six digits, whatever way
leads to it. `bounds` carries the rounding errors of every operation through the graph (Wilkinson's running error analysis, to
first order): two ways may differ by a few times that. Where that says nothing the numbers are not judged:

- a number that is not exact meets a kink, or a pole: which side of it a way is on, is chance;
- products of slopes along a path leave the range of a float in one order and not in another, as 1e200 · 1e200 · 1e-300.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..graph import topological
from ..primitive import errstate
from ..primitives import add
from ..sweep import numbers
from ..value import Value
from .ways import Outcome, Unjudged, Way, built, targets

__all__ = ["Disagreement", "bounds", "clusters", "compared", "same", "ulps"]

SAFE = 290.0     # decimal orders: products that stay below need no particular order
FACTOR = 16.0    # two ways may differ by so many times the bound: each has its own order of sums, and functions' last places
ULPS = 2.0       # what a primitive promises: its value within so many ulp


def bounds(outputs: Sequence[Value]) -> list[float]:
    """How far the number of each output may be off, by rounding alone; inf where that is not known.

    >>> x = Value(0.1)
    >>> bounds([x]), bounds([(x + 1e10) - 1e10])[0] > 1e-7
    ([0.0], True)
    """
    off: dict[Value, float] = {}
    most: dict[Value, float] = {}    # decimal orders: the largest product of slopes along a path that ends here,
    least: dict[Value, float] = {}   # and the smallest
    for v in topological(*outputs):
        if v.op is None:
            off[v] = most[v] = least[v] = 0.0
            continue
        slopes = numbers(v)
        data = [a._data for a in v.args]
        error, high, low = 0.0, 0.0, 0.0
        for a, d in zip(v.args, slopes, strict=True):
            if off[a] and d:   # a slope of 0 lets nothing through
                error += off[a] * abs(d) if d == d else math.inf
            if d and math.isfinite(d) and not a.constant:
                order = math.log10(abs(d))
                high, low = max(high, max(0.0, most[a]) + order), min(low, min(0.0, least[a]) + order)
        most[v], least[v] = high, low
        if error and v.op.kink is not None and _near(v, data, [off[a] for a in v.args]):
            error = math.inf
        if max(high, -low, _orders(v._data)) > SAFE and not all([a.constant for a in v.args]):
            error = math.inf
        if math.isfinite(v._data):
            sized = [v._data, *data] if v.op is add or v.op.arity is None else [v._data]   # sums, whose terms may be larger
            error += ULPS * math.ulp(max([abs(x) for x in sized if math.isfinite(x)]))
        elif not math.isinf(error):
            error = 0.0
        off[v] = error
    return [off[y] for y in outputs]


def _orders(x: float) -> float:
    return abs(math.log10(abs(x))) if x and math.isfinite(x) else 0.0


def _near(v: Value, data: Sequence[float], off: Sequence[float]) -> bool:
    """Whether a kink is as near as the arguments are off."""
    assert v.op is not None and v.op.kink is not None
    with errstate(invalid="ignore", divide="ignore"):
        try:
            distance = abs(float(v.op.kink(*data)))
        except (ArithmeticError, ValueError):
            return True
    return not distance > FACTOR * sum(off)


def ulps(found: float, expected: float) -> float:
    """|found − expected| in units of the last place of what was expected; 0 for the same infinity and for two nans.

    >>> ulps(1.0 + 2**-52, 1.0), ulps(math.inf, 1.0)
    (1.0, inf)
    """
    if found == expected or (found != found and expected != expected):
        return 0.0
    if not (math.isfinite(found) and math.isfinite(expected)):
        return math.inf
    return abs(found - expected) / math.ulp(expected)


def same(a: Outcome, b: Outcome, off: Sequence[float]) -> bool:
    """Whether two outcomes are one: the same kind of error, or numbers no further apart than `off` allows.

    A nan is the same as a nan, and an infinity as the same infinity. Who is `Unjudged` contradicts nobody, and who knows only
    how far off he is (differences, other libraries) does not contradict an error.
    """
    if isinstance(b.error, Unjudged) or (b.off and a.error):
        return True
    if a.error or b.error:
        return a.kind == b.kind
    if len(a.numbers) != len(b.numbers):
        return False
    own = b.off or [0.0] * len(off)
    return all([x == y or (x != x and y != y) or bound == math.inf or abs(x - y) <= FACTOR * bound + more + 1e-300
                for x, y, bound, more in zip(a.numbers, b.numbers, off, own, strict=True)])


@dataclass(frozen=True)
class Disagreement:
    """Ways that gave one thing, where the way of reference gave another."""

    order: int
    reference: Way
    expected: Outcome
    ways: tuple[Way, ...]
    found: Outcome

    @property
    def kind(self) -> str:
        """What either gave, whatever the numbers: "ValueError / number"."""
        return _sort(self.expected, self.found)

    def __str__(self) -> str:
        return f"{self.reference.name} gives {self.expected}, but {self.ways[0].name} gives {self.found}"


def _sort(a: Outcome, b: Outcome) -> str:
    if a.error or b.error:
        return f"{a.kind or 'number'} / {b.kind or 'number'}"
    differing = [(_sort_of(x), _sort_of(y)) for x, y in zip(a.numbers, b.numbers, strict=False)
                 if not (x == y or (x != x and y != y))]
    return " / ".join(next((pair for pair in differing if pair[0] != pair[1]), ("number", "number")))


def _sort_of(x: float) -> str:
    return "nan" if x != x else "inf" if math.isinf(x) else "number"


def clusters(order: int, outcomes: Sequence[tuple[Way, Outcome]], off: Sequence[float]) -> list[Disagreement]:
    """One disagreement for each different thing that ways gave; the first of `outcomes` is the reference."""
    (reference, expected), *others = outcomes
    apart: list[tuple[Outcome, list[Way]]] = []
    for way, found in others:
        if not same(expected, found, off):
            ways = next((ways for known, ways in apart if same(known, found, off) and known.kind == found.kind), None)
            if ways is None:
                apart.append((found, [way]))
            else:
                ways.append(way)
    return [Disagreement(order, reference, expected, tuple(ways), found) for found, ways in apart]


def compared(f: Callable[..., Any], args: tuple[Any, ...], order: int,
             among: Sequence[Way]) -> tuple[list[tuple[Way, Outcome]], list[float]]:
    """(what every way gives, how far each number may be off: inf where that is not known)."""
    outcomes = [(way, way(f, args)) for way in among]
    try:
        off = bounds(targets(order, *built(f, args)))
    except Exception:   # the ways themselves tell
        off = [math.inf] * max([len(found.numbers) for _, found in outcomes])
    return outcomes, off
