"""Places for boxes of given sizes: by Graphviz's program `dot`, or by the layout of our own.

An engine is told sizes and edges and no label, so no label can reach one. The package `graphviz` finds and runs the program;
what it runs is stopped after a few seconds, and Ctrl-C stops it too.
"""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise

from .layout import Curve, Point, bends, layout, lead, ports

__all__ = ["ENGINES", "PATIENCE", "Places", "placed", "run"]

PATIENCE = 5     # seconds that Graphviz may take; 300 nodes of a usual graph take it 0.2
TANGLED = 2000   # bends up to which dot is asked first: they take it a second, 3000 take it 4 and 9600 minutes
Places = tuple[list[Point], list[Curve]]


def placed(engine: str | None, sizes: Sequence[Point], edges: Sequence[tuple[int, int]], room: float) -> tuple[str, Places]:
    """(the engine's name, the places): by the one asked for, else by dot where it works and will soon be done, else by the
    layout of our own. RuntimeError if the one asked for does not work."""
    if engine is None:
        if bends(len(sizes), edges) <= TANGLED:
            try:
                return "dot", _by_dot(sizes, edges, room)
            except Exception:   # whatever is wrong with it, there is another
                pass
        engine = "builtin"
    try:
        return engine, ENGINES[engine](sizes, edges, room)
    except Exception as error:
        raise RuntimeError(f"draw(engine={engine!r}) did not work: {' '.join(str(error).split())}; install Graphviz and the "
                           "package graphviz, draw less of the graph, or choose 'builtin'") from error


def run(program: str, dot: str, format: str, *options: str, patience: float | None = None) -> bytes:
    """What Graphviz's `program`, "dot" or "neato", makes of a DOT file, in a format, if it takes no more seconds than its
    `patience`, by default PATIENCE.

    ImportError without the package graphviz, RuntimeError without the program, TimeoutError when it was stopped,
    subprocess.CalledProcessError when it failed.
    """
    patience = PATIENCE if patience is None else patience
    from graphviz.backend.dot_command import command
    from graphviz.backend.execute import run_check
    try:
        done = run_check([*command(program, format), *options], input=dot.encode(), capture_output=True, quiet=True,
                         timeout=patience)
    except subprocess.TimeoutExpired:
        raise TimeoutError(f"Graphviz's {program} was stopped after {patience:g} seconds") from None
    return bytes(done.stdout)


def _by_dot(sizes: Sequence[Point], edges: Sequence[tuple[int, int]], room: float = 0.0) -> Places:
    """By Graphviz's program, wherever it is installed."""
    return _places(run("dot", _sizes_file(sizes, edges, room), "plain").decode(), sizes, edges)


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


ENGINES: dict[str, Callable[..., Places]] = {"dot": _by_dot, "builtin": layout}
