"""Places for boxes of given sizes: by Graphviz's program, its Python package, or the layout of our own.

An engine is told sizes and edges and no label, so no label can reach one.
"""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from threading import Lock

from .layout import Curve, Point, layout, lead, ports

__all__ = ["ENGINES", "Places", "placed"]

PATIENCE = 5   # seconds that dot may take; 300 nodes take it 0.2
_ONE_AT_A_TIME = Lock()   # Graphviz as a library is not for threads
Places = tuple[list[Point], list[Curve]]


def placed(engine: str | None, sizes: Sequence[Point], edges: Sequence[tuple[int, int]], room: float) -> tuple[str, Places]:
    """(the engine's name, the places): by the one asked for, else by the first that works; RuntimeError if none does."""
    problem = None
    for name in ENGINES if engine is None else [engine]:
        try:
            return name, ENGINES[name](sizes, edges, room)
        except Exception as error:   # whatever is wrong with it, there may be another
            problem = error
    raise RuntimeError(f"draw(engine={engine!r}) did not work: {problem}; install Graphviz (for 'dot') or pygraphviz>=2, "
                       "or choose 'builtin'") from problem


def _by_dot(sizes: Sequence[Point], edges: Sequence[tuple[int, int]], room: float = 0.0) -> Places:
    """By Graphviz's program, wherever it is installed."""
    program = shutil.which("dot")
    if program is None:
        raise FileNotFoundError("there is no program dot on the PATH")
    done = subprocess.run([program, "-Tplain"], input=_sizes_file(sizes, edges, room).encode(), capture_output=True,
                          timeout=PATIENCE, check=True)
    return _places(done.stdout.decode(), sizes, edges)


def _by_pygraphviz(sizes: Sequence[Point], edges: Sequence[tuple[int, int]], room: float = 0.0) -> Places:
    """By the package, whose wheels carry Graphviz from version 2 on."""
    import pygraphviz
    if int(pygraphviz.__version__.split(".")[0]) < 2:
        raise ImportError(f"pygraphviz {pygraphviz.__version__} is too old")
    with _ONE_AT_A_TIME:
        plain: bytes = pygraphviz.AGraph(string=_sizes_file(sizes, edges, room)).draw(format="plain", prog="dot")
    return _places(plain.decode(), sizes, edges)


def _sizes_file(sizes: Sequence[Point], edges: Sequence[tuple[int, int]], room: float = 0.0) -> str:
    """DOT without labels: boxes of given sizes, in inches, with a port for every edge that arrives."""
    arrived: Counter[int] = Counter()
    arrows = []
    for a, b in edges:
        arrows.append(f"n{a}:e -> n{b}:{arrived[b]}:w")
        arrived[b] += 1
    nodes = [f'n{i} [width={w / 72:.4f} height={h / 72:.4f} label="{"|".join([f"<{k}>" for k in range(arrived[i])])}"]'
             for i, (w, h) in enumerate(sizes)]
    return "\n".join([f"digraph {{ rankdir=LR nodesep=0.2 ranksep={0.7 + room / 72:.4f}",
                      "node [shape=record fixedsize=true margin=0 fontsize=1]; edge [dir=none]", *nodes, *arrows, "}"])


def _places(plain: str, sizes: Sequence[Point], edges: Sequence[tuple[int, int]]) -> Places:
    """Graphviz's answer, where y points up and an inch is 72 px; the ends of curves, rounded there, exactly at the borders."""
    rows = [line.split() for line in plain.splitlines()]
    place = {row[1]: (72 * float(row[2]), -72 * float(row[3])) for row in rows if row[0] == "node"}
    centres = [place[f"n{i}"] for i in range(len(sizes))]
    found = []
    for row in rows:
        if row[0] == "edge":
            xs = [72 * float(word) for word in row[4:4 + 2 * int(row[3])]]
            found.append((int(row[1][1:]), int(row[2][1:]), -xs[-1], [*zip(xs[::2], [-y for y in xs[1::2]], strict=True)]))
    left: dict[float, float] = {}   # of every column, by the x of its middle: its borders
    right: dict[float, float] = {}
    for (x, _), (w, _) in zip(centres, sizes, strict=True):
        left[x] = min(left.get(x, x), x - w / 2)
        right[x] = max(right.get(x, x), x + w / 2)
    following = dict(pairwise(sorted(left)))
    arrivals = ports(edges)   # of several edges between the same boxes, the uppermost is the first
    curves: list[Curve] = [[] for _ in edges]
    for i, (a, b, _, curve) in zip(sorted(range(len(edges)), key=edges.__getitem__), sorted(found), strict=True):
        (xa, ya), (xb, yb) = centres[a], centres[b]
        start, end = (xa + sizes[a][0] / 2, ya), (xb - sizes[b][0] / 2, yb + arrivals[i] * sizes[b][1])
        curves[i] = [start, *curve[1:-1], end]
        if following[xa] == xb:   # between neighbouring columns Graphviz likes to loop back, and need not
            curves[i] = [start]
            lead(curves[i], right[xa], start[1])
            lead(curves[i], left[xb], end[1])
            lead(curves[i], *end)
    return centres, curves
ENGINES: dict[str, Callable[..., Places]] = {
    "dot": _by_dot, "pygraphviz": _by_pygraphviz, "builtin": layout}
