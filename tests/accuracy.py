"""How exact every row of the table is: the largest relative error of its value, its slopes and its second derivatives.

    python3 tests/accuracy.py > docs/ACCURACY.md   the table, in Markdown, as it is kept
    python3 tests/accuracy.py exp,atan2            some rows, and the points where their errors are largest

The truth is each row's definition in mpmath (TRUTHS in helpers.py), to a thousand digits, so that 1 + 1e-307 is more than 1.
The points are spread over the whole range of floats, near 0, in the tails, beside the ends of domains. Slopes are those
that `grad` gives, and second derivatives those of `grad` of `grad`. It needs mpmath, and a few minutes.
"""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

from helpers import LARGEST, ROWS, SMALLEST, curvature, largest_term, slope, truth  # noqa: E402
from mpmath import mp, mpc, mpf  # noqa: E402

from autograd import Primitive, Value, grad  # noqa: E402

# Rows whose second derivatives nobody asks for but a third derivative of other rows.
INNER = {"direction", "inversion", "share"}
MAGNITUDES = [
    *[10.0 ** k for k in (-307, -300, -250, -200, -154, -150, -100, -50, -20, -16, -12, -10, -8, -6, -5, -4, -3, -2, -1)],
    0.3, 0.5, 0.75, 0.9, 0.99, 1 - 1e-6, 1 - 1e-12, math.nextafter(1, 0), 1.0, math.nextafter(1, 2), 1 + 1e-12, 1 + 1e-6, 1.1,
    1.5, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 20.0, 25.0, 30.0, 37.0, 50.0, 100.0, 300.0, 355.0, 370.0, 500.0, 700.0, 709.0, 740.0,
    *[10.0 ** k for k in (3, 4, 5, 6, 8, 10, 12, 15, 16, 20, 50, 77, 100, 102, 120, 150, 154, 200, 250, 300, 307)]]

HEAD = """\
# How exact the derivatives are

The largest relative error of each row of the table, its value, its first and its second derivatives, against truths of many
digits: over the whole range of floats, near 0, in the tails, beside the ends of domains. An error of 1.1e-16 is half a unit
in the last place. Promised are 2 units for values (glibc's erfc has 5), 1e-12 and 1e-10 for derivatives.

`python3 tests/accuracy.py > docs/ACCURACY.md` writes this. log Γ and its derivatives, of which each is the slope of the one
before it, have their promise in `autograd/special.py`.

| row | points | value | first | second |
|---|---|---|---|---|"""
FOOT = """
Of logsumexp and surprisal the value's error is relative to the largest of |y| and |x|, since differences of the arguments are
rounded; of weighted_sum, to its largest term. pow is measured where x > 0 and xⁿ and xⁿ⁻¹ are from 1e-280 to 1e280. Of hypot
with more than two arguments the second derivative's error is relative to 1/y. Rows marked — are there for the second
derivatives of others."""


@dataclass
class Worst:
    """The largest errors of a row's value, slopes and second derivatives, and where they are: (error, point)."""

    value: tuple[float, Sequence[float]] = (0.0, ())
    first: tuple[float, Sequence[float]] = (0.0, ())
    second: tuple[float, Sequence[float]] = (0.0, ())
    points: int = 0

    def note(self, what: str, error: float, xs: Sequence[float]) -> None:
        """Keep an error if it is the largest."""
        if error > getattr(self, what)[0]:
            setattr(self, what, (error, xs))


def points(p: Primitive, n: int) -> Iterator[list[float]]:
    """Points of the whole range: of one argument every magnitude, of several n combinations."""
    signed = [s * x for x in MAGNITUDES for s in (1.0, -1.0)]
    if p.arity == 1:
        yield from ([x] for x in signed)
        return
    chance, arguments = random.Random(p.name), 2 if p.name == "hypot" else p.arity or 3
    for k in range(n):
        yield [chance.choice(signed) if k % 3 else chance.uniform(-4, 4) for _ in range(arguments)]


def error(found: float, true: Any, scale: Any = 0) -> float:
    """|found − true| / |true|; what no float holds is to be 0, or infinite. A true 0 is known to 2⁻¹¹⁹⁰ of `scale`."""
    if abs(true) < SMALLEST or (found == 0 and abs(true) < mpf(2) ** -1190 * scale):
        return 0.0 if abs(found) <= 1.001 * SMALLEST else math.inf
    if abs(true) > LARGEST:
        return 0.0 if abs(found) > LARGEST / 2 and (found > 0) == (true > 0) else math.inf
    return float(abs(mpf(found) - true) / abs(true)) if math.isfinite(found) else math.inf


def measured(p: Primitive, xs: Sequence[float]) -> bool:
    """Whether the row is smooth at xs, and neither it nor what its derivatives are made of leaves the range of floats there."""
    try:
        y = p(*xs)
    except (ValueError, ZeroDivisionError):
        return False
    if p.name == "pow":
        return xs[0] > 0 and abs(xs[1]) < 2.0 ** 53 and 1e-280 < y < 1e280 and 1e-280 < y / xs[0] < 1e280
    if p.name in {"xlogy", "mod", "floor_divide"}:   # beyond 2**53 a floor is no longer known
        return xs[1] > 0 and (p.name == "xlogy" or abs(xs[0] / xs[1]) < 2.0 ** 53)
    if p.name == "share":
        return all(x > 0 for x in xs) and math.isfinite(sum(xs))
    return p.kink is None or (p.kink(*xs) != 0 and len(set(xs)) == len(xs))


def worst(p: Primitive, n: int = 400, every: int = 1) -> Worst:
    """The largest errors over the points, or over one of `every` so many."""
    found = Worst()
    for xs in filter(lambda xs: measured(p, xs), islice(points(p, n), 0, None, every)):
        with mp.workprec(3600):
            true = truth(p, xs)
            if mp.isinf(true) or mp.isnan(true):
                continue
            found.points += 1
            y = p(*xs)
            if (scale := largest_term(p, xs)) and math.isfinite(y):
                found.note("value", float(abs(y - true)) / max(abs(y), scale), xs)
            else:
                found.note("value", error(y, true), xs)
            for i in range(len(xs)):
                vs = [Value(x) for x in xs]
                first, slope_i = grad(p(*vs), vs[i]), slope(p, i, xs)
                found.note("first", error(first.data, slope_i), xs)
                for j in () if p.name in INNER else range(len(xs)):
                    second = 0 if p.kink is not None else curvature(p, i, j, xs)
                    if not isinstance(second, mpc):
                        found.note("second", error(grad(first, vs[j]).data, second, abs(slope_i / (xs[j] or 1))), xs)
    return found


def figure(error: float) -> str:
    """An error in print."""
    return f"{error:.1e}" if error else "0"


def main(names: Sequence[str]) -> None:
    """Print the table."""
    chosen = [p for p in ROWS if not names or p.name in names]
    print(HEAD)
    for p in chosen:
        found = worst(p)
        second = "—" if p.name in INNER else figure(found.second[0])
        print(f"| {p.name} | {found.points} | {figure(found.value[0])} | {figure(found.first[0])} | {second} |", flush=True)
        if names:
            print(f"worst at {found.value[1]}, {found.first[1]}, {found.second[1]}", file=sys.stderr)
    print(FOOT)


if __name__ == "__main__":
    main(sys.argv[1].split(",") if len(sys.argv) > 1 else [])
