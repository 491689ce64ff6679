"""The same picture for Graphviz: a DOT file with labels, styles and places, and graphs of the package graphviz to restyle.

Labels are data here too. Those of a picture are HTML-like, so that its boxes look as in the SVG; those of `draw_dot` records.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from ..formulas.notation import width as columns
from .layout import Curve, Point
from .svg import CELL, FAINT, HEADER, INK, LINE, MARGIN, PADDING, ROW, STYLES, Box, Link, to_foot

if TYPE_CHECKING:
    import graphviz

__all__ = ["BARE", "digraph", "dot_file", "head", "html", "record_graph", "spline"]

BARE = 'CELLBORDER="0" CELLSPACING="0" CELLPADDING="0"'


def head(name: str, rankdir: str) -> list[str]:
    """The first lines of a DOT file: its name, and what holds for the graph, for all nodes and for all edges."""
    defaults: dict[str, dict[str, Any]] = {
        "graph": {"rankdir": rankdir, "ordering": "in", "bgcolor": "white", "pad": round(MARGIN / 72, 3)},
        "node": {"shape": "box", "fontname": "monospace", "fontsize": 12, "fontcolor": INK, "margin": 0, "height": 0.3},
        "edge": {"color": LINE, "arrowsize": 0.7, "fontname": "monospace", "fontsize": 12, "fontcolor": INK}}
    return [f'digraph "{name}" {{', *[f"  {kind} [" + " ".join([f'{key}="{x}"' for key, x in found.items()]) + "]"
                                      for kind, found in defaults.items()]]


def dot_file(boxes: Sequence[Box], links: Sequence[Link], centres: Sequence[Point], curves: Sequence[Curve], *,
             rankdir: str, prefix: str) -> str:
    """The picture for Graphviz: `neato -n2` keeps the places, `dot` finds others."""
    lines = head(prefix, rankdir)
    for box, (x, y) in zip(boxes, centres, strict=True):
        fill, border, thickness, radius, dashes = STYLES[box.kind]
        style = "filled" + ",rounded" * (radius > 5) + ",dashed" * bool(dashes)
        width, height = box.size
        lines.append(f'  {box.key} [id="{prefix}-{box.key}" label=<{_label(box)}> style="{style}" fillcolor="{fill}" '
                     f'color="{border}" penwidth="{thickness}" width="{width / 72:.4f}" height="{height / 72:.4f}" '
                     f'pos="{x:.1f},{-y:.1f}"]')
    for link, curve in zip(links, curves, strict=True):
        lines.append(f'  {boxes[link.tail].key} -> {boxes[link.head].key} [id="{prefix}-{link.key}" pos="{spline(curve)}"]')
    return "\n".join([*lines, "}"]) + "\n"


def spline(curve: Curve) -> str:
    """A curve as the place of an edge: the arrow's tip, then the curve to its foot."""
    return "e," + " ".join([f"{x:.1f},{-y:.1f}" for x, y in (curve[-1], *to_foot(curve))])


def _label(box: Box) -> str:
    """The box's texts where the SVG has them."""
    border = STYLES[box.kind][1]
    if not box.rows:
        return f'<FONT COLOR="{INK if box.kind == "leaf" else FAINT}">{html(box.name)}</FONT>'
    inner = 2.5 * (box.kind == "root")   # px from the border to the second one
    width, line = box.size[0] - 2 * inner, box.size[0] - 2 * PADDING - 2 * inner
    named = f"<B>{html(box.name)}</B>" if box.name else ""
    operation = f'<FONT COLOR="{border}"><B>{html(box.op)}</B></FONT>' if box.op else ""
    lines = [_line(named, columns(box.name), operation, line)]
    lines += [_line(f'<FONT POINT-SIZE="10" COLOR="{FAINT}">{caption}</FONT>', columns(caption), html(number), line)
              for caption, number in box.rows]
    spare = (box.size[1] - HEADER - ROW * len(box.rows)) / 2 - inner
    heights = [HEADER + spare, *[ROW] * (len(box.rows) - 1), ROW + spare]
    cells = [f'<TR><TD WIDTH="{int(width)}" HEIGHT="{int(height)}">{text}</TD></TR>'
             for text, height in zip(lines, heights, strict=True)]
    return f'<TABLE BORDER="{int(inner > 0)}" COLOR="{border}" {BARE}>{cells[0]}<HR/>{"".join(cells[1:])}</TABLE>'


def _line(left: str, taken: int, right: str, width: float) -> str:
    """Two texts at the ends of a line, the left one of so many columns."""
    rest = max(width - CELL * taken, 0.0)
    ends = f'<TD ALIGN="LEFT" WIDTH="{int(width - rest * bool(right))}">{left}</TD>'
    ends += f'<TD ALIGN="RIGHT" WIDTH="{int(rest)}">{right}</TD>' if right else ""
    margin = f'<TD WIDTH="{PADDING:.0f}"></TD>'
    return f'<TABLE BORDER="0" {BARE}><TR>{margin}{ends}{margin}</TR></TABLE>'


def html(text: str) -> str:
    r"""`text` inside an HTML-like label, which may not be empty, and where Graphviz reads \N as the node's name."""
    return escape(text or " ", {'"': "&quot;", "\\": "\\\\", " ": "&#160;"})


def _record(text: str) -> str:
    r"""`text` inside a field of a record's quoted label: Graphviz reads \ and HTML's & there, and loses spaces."""
    return "".join([{"&": "&amp;", " ": "&#160;"}.get(c) or ("\\" + c if c in '\\"{}|<>' else c) for c in text])


def digraph(dot: str) -> graphviz.Digraph:
    """A DOT file that begins with a `head`, as a graph of the package: its attributes are the head's, its body the rest."""
    first, *defaults = (lines := dot.splitlines(keepends=True))[:4]
    found = [dict(re.findall(r'(\w+)="([^"]*)"', line)) for line in defaults]
    return _graphviz().Digraph(first.split('"')[1], graph_attr=found[0], node_attr=found[1], edge_attr=found[2],
                               body=lines[4:-1])


def record_graph(boxes: Sequence[Box], links: Sequence[Link], rankdir: str, format: str) -> graphviz.Digraph:
    """A record for each box, a small node for each operation."""
    graph = _graphviz().Digraph(format=format, graph_attr={"rankdir": rankdir, "ordering": "in"})
    for box in boxes:
        fields = [_record(box.name)] * bool(box.name) + [f"{caption} {_record(number)}" for caption, number in box.rows]
        graph.node(box.key, f"{{ {' | '.join(fields)} }}", shape="record")
        if box.op:
            graph.node(f"{box.key}-op", _record(box.op))
            graph.edge(f"{box.key}-op", box.key)
    for link in links:
        head = boxes[link.head]
        graph.edge(boxes[link.tail].key, f"{head.key}-op" if head.op else head.key)
    return graph


def _graphviz() -> Any:
    try:
        import graphviz
    except ImportError as error:
        raise ImportError("a graphviz.Digraph needs the package graphviz: pip install graphviz") from error
    return graphviz
