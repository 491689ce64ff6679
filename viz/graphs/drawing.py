"""A Value's graph as a picture.

What is drawn is decided here, once: boxes, edges, names and numbers. An engine only finds places for boxes whose sizes it is
told, so that Graphviz and the built-in layout give the same picture but for positions, and no label can reach either.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from autograd.conversion import bounded
from autograd.faults import check_unchanged
from autograd.graph import topological
from autograd.rewritten import labels_of, moved, shown
from autograd.steps import within_sums, xi_names
from autograd.sweep import numbers
from autograd.value import Value

from ..formulas.names import unicode
from ..formulas.notation import TEXT, formula
from ..formulas.vectors import Vectors
from .dot import record_graph
from .layout import Point
from .picture import PORT, TURNS, Picture, arranged, check_choices
from .svg import Box, Link, visible, whole

if TYPE_CHECKING:
    import graphviz

__all__ = ["Picture", "draw", "draw_dot", "picture_or_none"]

WIDE = 1500    # px; of a cell's 1000 two thirds, at which 12 px are read as 8
GLANCE = 80    # boxes in a notebook's picture of a large graph
EDGES = 4      # per node that `limit` allows
SUM = 40       # characters of a sum of products in its box
NUMBERED = 10_000   # nodes up to which a graph's rows are counted, for their ξ


def draw(value: Value, *, engine: str | None = None, rankdir: str = "LR", depth: int | None = None, limit: int = 300,
         rows: str = "all", names: Mapping[Value, str] | None = None, prefix: str | None = None) -> Picture:
    """A picture of everything that `value` was computed from.

    engine    what places the boxes: "dot" (Graphviz's program) or "builtin", a layout that needs nothing; by default dot,
              where it is installed and will soon be done
    rankdir   "LR" from left to right, "TB" from top to bottom
    depth     how many operations to go down from `value`; what is left out is counted in dashed boxes
    limit     how many boxes a picture may have
    rows      "all" operations, or "sums": b + w1·x1 + w2·x2 and every other sum of products is one box, as it is one row of
              `table(rows="sums")`; it says wᵀ·x + b, where that is what it is
    names     what to call nodes, beside what they are called in every ξ table of `value`, `autograd.steps.xi_names`
    prefix    what every id in the picture begins with: node i, arguments before results, is "{prefix}-n{i}", the edge of its
              operand k "{prefix}-e{i}-{k}"; by default a hash of what is drawn

    Gradients are shown after `value.backward()`, as long as no other result was differentiated through the same nodes since.
    The 0 with which Python's `sum` begins is not drawn; a weighted sum that is one node is, as its products and sums.
    TypeError unless `value` is a Value, ValueError for another choice or a graph beyond the limit, RuntimeError if the engine
    that was asked for is missing or fails, or if a leaf was assigned after
    it was used.

    >>> a, b = Value(2.0, label="a"), Value(-3.0, label="b")
    >>> draw(a * b + a, engine="builtin")
    <Picture of 4 nodes, placed by builtin>
    """
    check_choices("draw", engine, rankdir)
    if prefix is not None and not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", prefix):
        raise ValueError(f"draw(prefix={bounded(prefix)}): a letter, then letters, digits, - and _")
    graph, drawn, names = _chosen("draw", value, depth, limit, rows, names)
    return _picture(graph, drawn, engine=engine, rankdir=rankdir, limit=limit, names=names, prefix=prefix)


def draw_dot(value: Value, format: str = "svg", rankdir: str = "LR", *, depth: int | None = None, limit: int = 300,
             rows: str = "all", names: Mapping[Value, str] | None = None) -> graphviz.Digraph:
    """The same graph as plain as micrograd draws it, for the package graphviz: a record for each Value, with its label, data
    and, once there is one, gradient, behind it the operation that made it. To restyle, to render, or to show in a notebook.

    format    what `render()` and `pipe()` make of it, by Graphviz: "svg", "png", "pdf", …

    The rest, and errors, are as for `draw`; ImportError without the package.

    >>> a = Value(2.0, label="a")
    >>> print(draw_dot(a * 3.0).source.expandtabs(2))
    digraph {
      graph [ordering=in rankdir=LR]
      n0 [label="{ a | data 2 }" shape=record]
      n1 [label="{ 3 }" shape=record]
      n2 [label="{ L | data 6 }" shape=record]
      "n2-op" [label="×"]
      "n2-op" -> n2
      n0 -> "n2-op"
      n1 -> "n2-op"
    }
    <BLANKLINE>
    """
    check_choices("draw_dot", None, rankdir)
    graph, drawn, names = _chosen("draw_dot", value, depth, limit, rows, names)
    return record_graph(*_contents(graph, drawn, names, rankdir, limit), rankdir, format)


@dataclass(frozen=True)
class _Graph:
    """The nodes of a graph, arguments before results, and of those that may be drawn their operands."""

    order: Sequence[Value]
    operands: dict[Value, Sequence[Value]]

    @classmethod
    def of(cls, order: Sequence[Value], folded: Collection[Value] = ()) -> _Graph:
        """The operands of a node are its arguments, and in place of a `folded` one that one's operands."""
        if not folded:
            return cls(order, {v: v.args for v in order})
        operands: dict[Value, Sequence[Value]] = {}
        for v in order:
            operands[v] = [u for a in v.args for u in (operands[a] if a in folded else [a])]
        return cls(order, {v: operands[v] for v in order if v not in folded})

    def depths(self) -> dict[Value, int]:
        """How many operations each node is below the last, by the shortest way."""
        depth = {self.order[-1]: 0}
        for v, args in reversed(self.operands.items()):
            k = depth[v] + 1
            for a in args:
                if depth.get(a, k) >= k:
                    depth[a] = k
        return depth

    def down_to(self, depth: int, depths: Mapping[Value, int]) -> list[tuple[int, Value]]:
        """The nodes at most `depth` operations below the last, each with its place among all."""
        return [(i, v) for i, v in enumerate(self.operands) if depths[v] <= depth]


def _chosen(name: str, value: Value, depth: int | None, limit: int, rows: str, names: Mapping[Value, str] | None
            ) -> tuple[_Graph, list[tuple[int, Value]], dict[Value, str]]:
    """The graph, the nodes that the function `name` draws, each with its place among all, and their given names."""
    if not isinstance(value, Value):
        raise TypeError(f"{name}() got {bounded(value)}: draw one Value, for example a loss or one output of a network")
    if depth is not None and depth < 0:
        raise ValueError(f"{name}(depth={bounded(depth)}): a number of operations, at least 0")
    if rows not in ("all", "sums"):
        raise ValueError(f"{name}(rows={bounded(rows)}): choose one of all, sums")
    value, stands = shown(value, names)
    names = moved(names, stands)
    order = topological(value)
    graph = _Graph.of(order, within_sums(order, labels_of(order, names)) if rows == "sums" else ())
    drawn = [*enumerate(graph.operands)] if depth is None else graph.down_to(depth, graph.depths())
    if len(drawn) > limit:
        raise ValueError(f"the picture would have {len(drawn)} nodes, the limit is {limit}: "
                         f"draw its last operations (depth={_depth_within(limit, graph.depths())}), "
                         f"a Value in the middle, or all of it with limit={len(drawn)}")
    return graph, drawn, names


def picture_or_none(value: Any) -> str | None:
    """The SVG that a notebook shows for `value`: of a large graph its last operations; None if there can be no picture.

    It is no wider than the cell; what would then be too small to read is drawn from top to bottom, if that is narrower. It
    never raises, and takes a second for a million nodes.

    >>> picture_or_none(Value(2.0))[:4]
    '<svg'
    """
    try:
        order = topological(value)
        if len(order) <= NUMBERED:
            order = topological(shown(value)[0])
        graph = _Graph.of(order)
        depths = graph.depths()
        depth = _depth_within(GLANCE, depths) if len(order) > GLANCE else len(order)
        drawn = graph.down_to(depth, depths)
        picture = _picture(graph, drawn, limit=GLANCE)
        if picture.width > WIDE:
            picture = min(picture, _picture(graph, drawn, limit=GLANCE, rankdir="TB"), key=lambda picture: picture.width)
        return picture._repr_svg_()
    except Exception:   # a notebook falls back on repr
        return None


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


def _picture(graph: _Graph, drawn: Sequence[tuple[int, Value]], *, engine: str | None = None, rankdir: str = "LR",
             limit: int, names: Mapping[Value, str] | None = None, prefix: str | None = None) -> Picture:
    boxes, links = _contents(graph, drawn, names, rankdir, limit)
    return arranged(boxes, links, title=f"Graph of {boxes[-1].name}: {len(drawn)} nodes, {len(links)} edges",
                    engine=engine, rankdir=rankdir, prefix=prefix, nodes=len(drawn))


def _contents(graph: _Graph, drawn: Sequence[tuple[int, Value]], names: Mapping[Value, str] | None, rankdir: str,
              limit: int) -> tuple[list[Box], list[Link]]:
    order = graph.order
    check_unchanged(order)
    known = xi_names(order[-1], names) if len(order) <= NUMBERED else names or {}
    known = {v: name for v, name in known.items() if v in graph.operands}
    boxes, links = _boxes_and_links(graph, drawn, known, TURNS[rankdir], _is_swept(order))
    if len(links) > EDGES * limit:
        raise ValueError(f"the picture would have {len(links)} edges, the limit is {EDGES * limit}: "
                         f"draw it with a smaller depth, or with limit={len(links) // EDGES + 1}")
    return boxes, links


def _is_swept(order: Sequence[Value]) -> bool:
    """Whether the gradients between the leaves and the last node are that node's: 1, and from there down the chain rule.

    Where another result was differentiated since, or none, they are not; a leaf keeps what it has accumulated.
    """
    root = order[-1]
    if not root.args or root.grad != 1:
        return False
    if len(order) > NUMBERED:
        return True
    expected = dict.fromkeys(order, 0.0)
    expected[root] = 1.0
    for v in reversed(order):
        if v.args and not math.isclose(v.grad, expected[v], rel_tol=1e-9) and math.isfinite(v.grad + expected[v]):
            return False
        if v.args and v.grad:
            for a, d in zip(v.args, numbers(v), strict=True):
                expected[a] += v.grad * d
    return True


def _boxes_and_links(graph: _Graph, drawn: Sequence[tuple[int, Value]], names: Mapping[Value, str],
                     turn: Callable[[Point], Point], swept: bool) -> tuple[list[Box], list[Link]]:
    boxes: list[Box] = []
    links: list[Link] = []
    at = dict.fromkeys([v for _, v in drawn], -1)   # each node's place in `boxes`
    vectors = Vectors(names)
    for i, v in drawn:
        operands = graph.operands[v]
        name = unicode(names.get(v) or str(v.label or ""))
        called = whole(name or (v.op.name if v.op else _number(v.data)), 60)
        cut = [k for k, a in enumerate(operands) if a not in at]
        if cut:
            boxes.append(Box(f"m{i}", "more", f"… {len(cut)} more", "", (),
                             f"{len(cut)} operands of {called} are not drawn: a greater depth shows them"))
        for k, a in enumerate(operands):
            if a in at:
                links.append(Link(f"e{i}-{k}", at[a], len(boxes), f"operand {k + 1} of {called}"))
            elif k == cut[0]:
                links.append(Link(f"e{i}-more", len(boxes) - 1, len(boxes), f"operands of {called} that are not drawn"))
        at[v] = len(boxes)
        inputs = len(operands) - len(cut) + bool(cut)
        symbol = "" if v.op is None else v.op.symbol if all([a in graph.operands for a in v.args]) else _sum(v, vectors)
        boxes.append(_box(v, name, symbol, f"n{i}", graded=swept and not v.constant, least=turn((0.0, PORT * inputs))))
    if boxes[-1].kind == "result":
        boxes[-1] = replace(boxes[-1], kind="root")
    return boxes, links


def _sum(v: Value, vectors: Vectors) -> str:
    """A sum of products in a box: wᵀ·x + b, or else its formula, or Σ."""
    found = vectors.read(v)
    text = found.typeset(vectors.names, TEXT) if found else formula(v, vectors.names)
    return text if len(text) <= SUM else "Σ"


def _box(v: Value, name: str, symbol: str, key: str, *, graded: bool, least: Point) -> Box:
    op = v.op.name if v.op else ""
    kind = "constant" if v.constant else "result" if op else "leaf"
    numbers = {"data": v.data, "grad": v.grad or 0.0} if graded else {"data": v.data}
    title = "\n".join([whole(" = ".join(filter(None, (name, op))) or "a number"),
                       *[f"{caption} {x!r}" for caption, x in numbers.items()]])
    rows = [(caption, _number(x)) for caption, x in numbers.items()]
    if not (name or op):   # a plain number is its own name
        name = rows.pop(0)[1]
    return Box(key, kind, visible(name), visible(symbol), tuple(rows), title, least)


def _number(x: float) -> str:
    return f"{x + 0.0:.6g}".replace("-", "−").replace("inf", "∞")


# ---- engines: places for boxes of given sizes, as `layout.layout`
