"""A layered drawing of a directed acyclic graph, in columns from left to right, with nothing but the standard library.

    column   a box stands just before the first of its users; an edge across several columns gets a bend in each
    order    of the boxes in a column: barycentre sweeps to and fro; the order with the fewest crossings is kept
    height   edges as level as possible, boxes apart; a column at a time, by isotonic regression
    curve    level across a column, a cubic between columns, so that no curve can run through a box

Lengths are px, y points down, a box is given by its size and placed by its centre. Edges leave a box in the middle of its
right border and arrive at its left border, first operand on top. Source: Sugiyama, Tagawa, Toda, Methods for visual
understanding of hierarchical system structures (1981).
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate, pairwise

__all__ = ["Curve", "Point", "bends", "layout", "lead", "ports"]

Point = tuple[float, float]
Curve = list[Point]   # of cubics: the start, then two control points and an end for each
Near = list[list[tuple[int, float]]]   # of every box and bend: its neighbours on one side, and the port at the edge's head

COLUMN_GAP, BOX_GAP, BEND_GAP = 36.0, 14.0, 12.0
SWEEPS = 12   # more change little on graphs of up to 300 nodes
EFFORT = 60_000   # boxes and bends in all sweeps: graphs that nobody can read get fewer, so that they too take seconds


def layout(sizes: Sequence[Point], edges: Sequence[tuple[int, int]], room: float = 0.0) -> tuple[list[Point], list[Curve]]:
    """The centre of every box and the curve of every edge.

    sizes   (width, height) of every box, in px
    edges   (tail, head) as places in `sizes`, sorted by head and there by operand; the tail is the smaller of the two
    room    px to add between columns, for what is written on the edges

    The same drawing in every run.

    >>> layout([(40, 20), (40, 20)], [(0, 1)])
    ([(20.0, 0.0), (96.0, 0.0)], [[(40.0, 0.0), (58.0, 0.0), (58.0, 0.0), (76.0, 0.0)]])
    """
    column = _columns(len(sizes), edges)
    heights = [height for _, height in sizes]
    after: Near = [[] for _ in sizes]
    before: Near = [[] for _ in sizes]
    paths = []   # of every edge: its tail, its bends, its head
    arrivals = ports(edges)
    for (a, b), port in zip(edges, arrivals, strict=True):
        bends = range(len(column), len(column) + column[b] - column[a] - 1)
        column += range(column[a] + 1, column[b])
        heights += [0.0] * len(bends)
        after += [[] for _ in bends]
        before += [[] for _ in bends]
        paths.append([a, *bends, b])
        for u, v in pairwise(paths[-1]):
            after[u].append((v, port))
            before[v].append((u, port))

    sweeps = max(1, min(SWEEPS, EFFORT // len(column))) if column else 0
    columns = _order(column, before, after, sweeps)
    y = _heights(columns, heights, before, after, sweeps)
    left, right, x = [], [], 0.0   # the borders of the columns, further apart where edges are steep
    for boxes in columns:
        left.append(x)
        right.append(x + max([sizes[v][0] for v in boxes if v < len(sizes)], default=0.0))
        rise = max([abs(y[w] + p * heights[w] - y[v]) for v in boxes for w, p in after[v]], default=0.0)
        x = right[-1] + room + COLUMN_GAP + min(0.12 * rise, 2 * COLUMN_GAP)

    centres = [((left[c] + right[c]) / 2, y[v]) for v, c in enumerate(column[:len(sizes)])]
    curves = []
    for path, port in zip(paths, arrivals, strict=True):
        start, end = [(centres[v][0] + side * sizes[v][0] / 2, y[v]) for v, side in ((path[0], 1), (path[-1], -1))]
        curve = [start]
        for u, v in pairwise(path):
            lead(curve, right[column[u]], curve[-1][1])
            lead(curve, left[column[v]], y[v] + port * heights[v])
        lead(curve, end[0], curve[-1][1])
        curves.append(curve)
    return centres, curves


def _columns(boxes: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """The column of every box."""
    behind = [0] * boxes
    for a, b in reversed(edges):
        behind[a] = max(behind[a], behind[b] + 1)
    return [max(behind, default=0) - k for k in behind]


def bends(boxes: int, edges: Sequence[tuple[int, int]]) -> int:
    """How many columns edges run across: what the work of any layered drawing grows with.

    >>> bends(4, [(0, 1), (1, 2), (0, 3), (2, 3)])
    2
    """
    column = _columns(boxes, edges)
    return sum([column[b] - column[a] - 1 for a, b in edges])


def lead(curve: Curve, x: float, y: float) -> None:
    """Lead the curve on to (x, y), level where it begins and ends."""
    start, level = curve[-1]
    if x - start > 0.01:
        curve += [((start + x) / 2, level), ((start + x) / 2, y), (x, y)]


def ports(edges: Sequence[tuple[int, int]]) -> list[float]:
    """Where each edge arrives at its head, as a part of the box's height from the centre: −½ is the upper corner.

    >>> ports([(0, 2), (1, 2)])
    [-0.25, 0.25]
    """
    count = Counter([b for _, b in edges])
    arrived: Counter[int] = Counter()
    places = []
    for _, b in edges:
        places.append((arrived[b] + 0.5) / count[b] - 0.5)
        arrived[b] += 1
    return places


def _order(column: Sequence[int], before: Near, after: Near, sweeps: int) -> list[list[int]]:
    """The boxes and bends of every column, from top to bottom."""
    columns: list[list[int]] = [[] for _ in range(max(column, default=-1) + 1)]
    seen: set[int] = set()
    stack = [v for v in range(len(column)) if not after[v]]
    while stack:   # depth first from the results, operands in order: a tree comes out without a crossing
        v = stack.pop()
        if v not in seen:
            seen.add(v)
            columns[column[v]].append(v)
            stack += [u for u, _ in reversed(before[v])]

    place = [0.0] * len(column)   # from 0 at the top of its column to 1 at the bottom
    share = [1 / len(columns[c]) for c in column]

    def settle(boxes: Sequence[int]) -> None:
        for k, v in enumerate(boxes):
            place[v] = (k + 0.5) * share[v]

    def upstream(v: int) -> float:
        return sum([place[u] for u, _ in before[v]]) / len(before[v]) if before[v] else downstream(v)

    def downstream(v: int) -> float:
        return sum([place[w] + p * share[w] for w, p in after[v]]) / len(after[v]) if after[v] else place[v]

    def crossings() -> int:
        count = 0
        for boxes in columns:
            ends_above: list[float] = []
            for v in boxes:
                ends = [place[w] + p * share[w] for w, p in after[v]]
                count += sum([len(ends_above) - bisect_right(ends_above, end) for end in ends])
                for end in ends:
                    insort(ends_above, end)
        return count

    for boxes in columns:
        settle(boxes)
    fewest, best = crossings(), [*map(list, columns)]
    for sweep in range(sweeps):
        if fewest == 0:
            break
        for boxes in columns if sweep % 2 else reversed(columns):
            boxes.sort(key=upstream if sweep % 2 else downstream)
            settle(boxes)
        count = crossings()
        if count < fewest:
            fewest, best = count, [*map(list, columns)]
    return best


def _heights(columns: Sequence[Sequence[int]], heights: Sequence[float], before: Near, after: Near,
             sweeps: int) -> list[float]:
    """The y of every box and bend.

    One column at a time, the others held: the weighted mean of where its edges would be level, as far as boxes fit.
    Weights ∝ 1/rise in the later sweeps minimise the sum of rises instead of their squares: most edges become level.
    """
    y = [0.0] * len(heights)
    stiffness = [1.0 if h else 4.0 for h in heights]   # the parts of a long edge should be level first
    gaps = [[(heights[u] + heights[v]) / 2 + (BOX_GAP if heights[u] and heights[v] else BEND_GAP) for u, v in pairwise(boxes)]
            for boxes in columns]
    near = [[(u, -p * heights[v], stiffness[u] + stiffness[v]) for u, p in before[v]]
            + [(w, p * heights[w], stiffness[v] + stiffness[w]) for w, p in after[v]] for v in range(len(heights))]
    for sweep in range(3 * sweeps):
        slack = (1e9, BOX_GAP, 1.0)[sweep // sweeps]
        for c in range(len(columns)) if sweep % 2 else reversed(range(len(columns))):
            wanted, weights = [], []
            for v in columns[c]:
                pulls = [(y[u] + level, k / max(abs(y[u] + level - y[v]), slack)) for u, level, k in near[v]] or [(y[v], 1.0)]
                weights.append(sum([pull for _, pull in pulls]))
                wanted.append(sum([there * pull for there, pull in pulls]) / weights[-1])
            for v, height in zip(columns[c], apart(wanted, weights, gaps[c]), strict=True):
                y[v] = height
    return [round(height, 2) for height in y]


def apart(wanted: Sequence[float], weights: Sequence[float], gaps: Sequence[float]) -> list[float]:
    """The heights nearest to those `wanted` (weighted squares), each at least its gap below the one before.

    Isotonic regression: neighbours that want to be closer are pooled.

    >>> apart([0, 0, 9], [1, 1, 1], [4, 4])
    [-2.0, 2.0, 9.0]
    """
    shifts = [0.0, *accumulate(gaps)]
    pools: list[tuple[float, float, int]] = []   # (Σ weight · wish, Σ weight, how many)
    for wish, weight, shift in zip(wanted, weights, shifts, strict=True):
        pool = weight * (wish - shift), weight, 1
        while pools and pools[-1][0] * pool[1] >= pool[0] * pools[-1][1]:
            last = pools.pop()
            pool = pool[0] + last[0], pool[1] + last[1], pool[2] + last[2]
        pools.append(pool)
    places = [total / weight for total, weight, count in pools for _ in range(count)]
    return [place + shift for place, shift in zip(places, shifts, strict=True)]
