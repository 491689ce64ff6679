"""A Value's graph as a picture.

What is drawn is decided here, once: boxes, edges, names and numbers. An engine only finds places for boxes whose sizes it is
told, so that Graphviz and the built-in layout give the same picture but for positions, and no label can reach either.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from threading import Lock

from autograd.graph import topological
from autograd.primitive import bounded
from autograd.steps import xi_names
from autograd.sweep import check_unchanged
from autograd.value import Value

from .layout import Curve, Point, layout, lead, ports
from .svg import Box, Link, dot_file, svg_file, visible, whole

__all__ = ["Picture", "draw", "picture_or_none"]

# notation that is shorter to read in a corner of a box than the operation's name
SYMBOLS = {"mul": "×", "add": "+", "neg": "−x", "reciprocal": "1/x", "div": "÷", "pow": "xⁿ", "exp2": "2ˣ", "sqrt": "√x",
           "cbrt": "∛x", "abs": "|x|", "sigmoid": "σ", "maximum": "max", "minimum": "min", "sign": "sgn"}
GLANCE = 80    # boxes in a notebook's picture of a large graph
PORT = 9.0     # px of a box's side that an arriving edge takes
PATIENCE = 5   # seconds that dot may take; 300 nodes take it 0.2
EDGES = 4      # per node that `limit` allows
NUMBERED = 10_000   # nodes up to which a graph's rows are counted, for their ξ
_ONE_AT_A_TIME = Lock()   # Graphviz as a library is not for threads
Places = tuple[list[Point], list[Curve]]
TURNS: dict[str, Callable[[Point], Point]] = {"LR": lambda p: p, "TB": lambda p: (p[1], p[0])}


@dataclass(frozen=True, slots=True, repr=False)
class Picture:
    """A drawn graph: `svg` and `dot` are whole files as text, `engine` is what placed the boxes, `nodes` how many there are.

    A notebook shows it by itself. The DOT file has the labels, for a layout of your own with Graphviz.
    """

    svg: str
    dot: str
    engine: str
    nodes: int

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file: .svg or .dot, as its name ends; whole or not at all.

        ValueError for another ending, OSError where it cannot be written.
        """
        path = Path(path)
        text = {".svg": self.svg, ".dot": self.dot}.get(path.suffix.lower())
        if text is None:
            raise ValueError(f"save({bounded(str(path))}): let the name end in .svg or .dot; "
                             "for other formats save .dot and run Graphviz's dot -Tpng or -Tpdf on it")
        write_whole(path, text)

    def _repr_svg_(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        return f"<Picture of {self.nodes} nodes, placed by {self.engine}>"


def check_choices(name: str, engine: str | None, rankdir: str) -> None:
    """ValueError unless the function `name` was given an engine and a direction that there are."""
    if engine is not None and engine not in ENGINES:
        raise ValueError(f"{name}(engine={bounded(engine)}): choose one of {', '.join(map(repr, ENGINES))}, or None")
    if rankdir not in TURNS:
        raise ValueError(f"{name}(rankdir={bounded(rankdir)}): choose 'LR' or 'TB'")


def write_whole(path: Path, text: str) -> None:
    """Write a file, whole or not at all; OSError where it cannot be written."""
    part = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with part.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def draw(value: Value, *, engine: str | None = None, rankdir: str = "LR", depth: int | None = None, limit: int = 300,
         names: Mapping[Value, str] | None = None, prefix: str | None = None) -> Picture:
    """A picture of everything that `value` was computed from.

    engine    what places the boxes: "dot" (Graphviz's program), "pygraphviz" or "builtin"; by default the first that works
    rankdir   "LR" from left to right, "TB" from top to bottom
    depth     how many operations to go down from `value`; what is left out is counted in dashed boxes
    limit     how many boxes a picture may have
    names     what to call nodes that have no label; by default as in the ξ table, `autograd.steps.xi_names`
    prefix    what every id in the picture begins with: node i of `topological(value)` is "{prefix}-n{i}", the edge of its
              operand k "{prefix}-e{i}-{k}"; by default a hash of what is drawn

    Gradients are shown once there are any. TypeError unless `value` is a Value, ValueError for another choice or a graph
    beyond the limit, RuntimeError if the engine that was asked for is missing or fails, or if a leaf was assigned after it
    was used.

    >>> a, b = Value(2.0, label="a"), Value(-3.0, label="b")
    >>> draw(a * b + a, engine="builtin")
    <Picture of 4 nodes, placed by builtin>
    """
    if not isinstance(value, Value):
        raise TypeError(f"draw() got {bounded(value)}: draw one Value, for example a loss or one output of a network")
    check_choices("draw", engine, rankdir)
    if depth is not None and depth < 0:
        raise ValueError(f"draw(depth={bounded(depth)}): a number of operations, at least 0")
    if prefix is not None and not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", prefix):
        raise ValueError(f"draw(prefix={bounded(prefix)}): a letter, then letters, digits, - and _")
    order = topological(value)
    drawn = [*enumerate(order)] if depth is None else _down_to(depth, order, _depths(order))
    if len(drawn) > limit:
        raise ValueError(f"the picture would have {len(drawn)} nodes, the limit is {limit}: "
                         f"draw its last operations (depth={_depth_within(limit, _depths(order))}), "
                         f"a Value in the middle, or all of it with limit={len(drawn)}")
    return _picture(order, drawn, engine=engine, rankdir=rankdir, limit=limit, names=names, prefix=prefix)


def picture_or_none(value: Value) -> str | None:
    """The SVG that a notebook shows for `value`: of a large graph its last operations; None if there can be no picture.

    It never raises, and takes a second for a million nodes.

    >>> picture_or_none(Value(2.0))[:4]
    '<svg'
    """
    try:
        order = topological(value)
        depths = _depths(order)
        depth = _depth_within(GLANCE, depths) if len(order) > GLANCE else len(order)
        return _picture(order, _down_to(depth, order, depths), limit=GLANCE).svg
    except Exception:   # a notebook falls back on repr
        return None


def _depths(order: Sequence[Value]) -> dict[Value, int]:
    """How many operations each node is below the last, by the shortest way."""
    depth = {order[-1]: 0}
    for v in reversed(order):
        k = depth[v] + 1
        for a in v.args:
            if depth.get(a, k) >= k:
                depth[a] = k
    return depth


def _down_to(depth: int, order: Sequence[Value], depths: Mapping[Value, int]) -> list[tuple[int, Value]]:
    """The nodes at most `depth` operations below the last, each with its place in `order`."""
    return [(i, v) for i, v in enumerate(order) if depths[v] <= depth]


def _depth_within(limit: int, depths: Mapping[Value, int]) -> int:
    """The greatest depth of which a picture has at most `limit` boxes, what is left out included."""
    levels = Counter(depths.values())
    count, deepest = 0, 0
    for depth in range(len(levels)):
        count += levels[depth]
        if count > limit:
            break
        if count + levels[depth] <= limit:   # at most one dashed box for each node of the last level
            deepest = depth
    return deepest


def _picture(order: Sequence[Value], drawn: Sequence[tuple[int, Value]], *, engine: str | None = None, rankdir: str = "LR",
             limit: int, names: Mapping[Value, str] | None = None, prefix: str | None = None) -> Picture:
    check_unchanged(order)
    if names is None:
        names = xi_names(order[-1]) if len(order) <= NUMBERED else {}
    boxes, links = _boxes_and_links(drawn, names, TURNS[rankdir])
    if len(links) > EDGES * limit:
        raise ValueError(f"the picture would have {len(links)} edges, the limit is {EDGES * limit}: "
                         f"draw it with a smaller depth, or with limit={len(links) // EDGES + 1}")
    return arranged(boxes, links, title=f"Graph of {boxes[-1].name}: {len(drawn)} nodes, {len(links)} edges",
                    engine=engine, rankdir=rankdir, prefix=prefix, nodes=len(drawn))


def arranged(boxes: Sequence[Box], links: Sequence[Link], *, title: str, engine: str | None = None, rankdir: str = "LR",
             prefix: str | None = None, nodes: int, room: float = 0.0) -> Picture:
    """The picture of `boxes`, a link's tail before its head, and `links`, sorted by head; `room` as for `layout`."""
    turn = TURNS[rankdir]
    edges = [(link.tail, link.head) for link in links]
    engine, (centres, curves) = _placed(engine, [turn(box.size) for box in boxes], edges, room)
    prefix = prefix or "g" + hashlib.sha256(repr((boxes, links, rankdir)).encode()).hexdigest()[:8]
    svg = svg_file(boxes, links, [turn(p) for p in centres], [[turn(p) for p in curve] for curve in curves],
                   prefix=prefix, title=title)
    return Picture(svg, dot_file(boxes, links, rankdir, prefix), engine, nodes)


def _boxes_and_links(drawn: Sequence[tuple[int, Value]], names: Mapping[Value, str],
                     turn: Callable[[Point], Point]) -> tuple[list[Box], list[Link]]:
    boxes: list[Box] = []
    links: list[Link] = []
    at = dict.fromkeys([v for _, v in drawn], -1)   # each node's place in `boxes`
    swept = any(v.grad for v in at)
    for i, v in drawn:
        name = str(v.label or names.get(v, ""))
        called = whole(name or (v.op.name if v.op else _number(v.data)), 60)
        cut = [k for k, a in enumerate(v.args) if a not in at]
        if cut:
            boxes.append(Box(f"m{i}", "more", f"… {len(cut)} more", "", (),
                             f"{len(cut)} operands of {called} are not drawn: a greater depth shows them"))
        for k, a in enumerate(v.args):
            if a in at:
                links.append(Link(f"e{i}-{k}", at[a], len(boxes), f"operand {k + 1} of {called}"))
            elif k == cut[0]:
                links.append(Link(f"e{i}-more", len(boxes) - 1, len(boxes), f"operands of {called} that are not drawn"))
        at[v] = len(boxes)
        inputs = len(v.args) - len(cut) + bool(cut)
        boxes.append(_box(v, name, f"n{i}", graded=swept and not v.constant, least=turn((0.0, PORT * inputs))))
    if boxes[-1].kind == "result":
        boxes[-1] = replace(boxes[-1], kind="root")
    return boxes, links


def _box(v: Value, name: str, key: str, *, graded: bool, least: Point) -> Box:
    op = v.op.name if v.op else ""
    kind = "constant" if v.constant else "result" if op else "leaf"
    numbers = {"data": v.data, "grad": v.grad or 0.0} if graded else {"data": v.data}
    title = "\n".join([whole(" = ".join(filter(None, (name, op))) or "a number"),
                       *[f"{caption} {x!r}" for caption, x in numbers.items()]])
    rows = [(caption, _number(x)) for caption, x in numbers.items()]
    if not (name or op):   # a plain number is its own name
        name = rows.pop(0)[1]
    return Box(key, kind, visible(name), visible(SYMBOLS.get(op, op)), tuple(rows), title, least)


def _number(x: float) -> str:
    return f"{x:.6g}".replace("-", "−").replace("inf", "∞")


# ---- engines: places for boxes of given sizes, as `layout.layout`

def _placed(engine: str | None, sizes: Sequence[Point], edges: Sequence[tuple[int, int]], room: float) -> tuple[str, Places]:
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
