"""A picture: boxes and links, whatever they stand for, placed by an engine and written as SVG and DOT."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from autograd.conversion import bounded
from autograd.files import write_whole

from .dot import digraph, dot_file
from .engines import ENGINES, placed, run
from .layout import Point
from .svg import Box, Link, svg_file

if TYPE_CHECKING:
    import graphviz

__all__ = ["PORT", "TURNS", "Picture", "arranged", "check_choices"]

DPI = 144      # of a PNG: two of its px for one of the SVG's
SAVING = 60    # seconds that Graphviz may take for a file
FORMATS = (".svg", ".dot", ".png", ".pdf")
PORT = 9.0     # px of a box's side that an arriving edge takes
TURNS: dict[str, Callable[[Point], Point]] = {"LR": lambda p: p, "TB": lambda p: (p[1], p[0])}


@dataclass(frozen=True, slots=True, repr=False)
class Picture:
    """A drawn graph: `svg` and `dot` are whole files as text, `engine` is what placed the boxes, `nodes` how many there are.

    A notebook shows it by itself, no wider than its cell. The DOT file has the labels and the places: `neato -n2` draws the
    same picture of it, `dot` places the boxes anew.
    """

    svg: str
    dot: str
    engine: str
    nodes: int

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file, as its name ends: .svg or .dot, or, with Graphviz, .png or .pdf; whole or not at all.

        ValueError for another ending, RuntimeError where Graphviz is missing or fails, OSError where it cannot be written.
        """
        path = Path(path)
        kind = path.suffix.lower()
        if kind not in FORMATS:
            raise ValueError(f"save({bounded(str(path))}): let the name end in {', '.join(FORMATS[:-1])} or {FORMATS[-1]}")
        if kind in (".svg", ".dot"):
            write_whole(path, self.svg if kind == ".svg" else self.dot)
            return
        try:
            drawn = run("neato", self.dot, kind[1:], "-n2", "-Gmargin=0", *[f"-Gdpi={DPI}"] * (kind == ".png"), patience=SAVING)
        except Exception as error:
            raise RuntimeError(f"save({bounded(str(path))}) did not work: {' '.join(str(error).split())}; a {kind} needs "
                               "Graphviz and the package graphviz, an .svg does not") from error
        write_whole(path, drawn)

    def to_graphviz(self) -> graphviz.Digraph:
        """The graph for the package graphviz, to restyle and render: its labels, numbers and styles, and the places.

        `render()` places the boxes anew; with `engine="neato"` and `neato_no_op=2` they stay where they are. ImportError
        without the package.

        >>> from autograd import Value
        >>> from viz import draw
        >>> graph = draw(Value(2.0, label="x") * 3, rankdir="TB").to_graphviz()
        >>> graph.graph_attr["rankdir"], "data" in graph.source
        ('TB', True)
        """
        return digraph(self.dot)

    @property
    def width(self) -> int:
        """How wide the SVG is, in px."""
        return int(self.svg.partition(' width="')[2].partition('"')[0])

    def _repr_svg_(self) -> str:
        return self.svg.replace("<svg ", '<svg style="max-width: 100%; height: auto" ', 1)

    def __repr__(self) -> str:
        return f"<Picture of {self.nodes} nodes, placed by {self.engine}>"


def check_choices(name: str, engine: str | None, rankdir: str) -> None:
    """ValueError unless the function `name` was given an engine and a direction that there are."""
    if engine is not None and engine not in ENGINES:
        raise ValueError(f"{name}(engine={bounded(engine)}): choose one of {', '.join(map(repr, ENGINES))}, or None")
    if rankdir not in TURNS:
        raise ValueError(f"{name}(rankdir={bounded(rankdir)}): choose 'LR' or 'TB'")


def arranged(boxes: Sequence[Box], links: Sequence[Link], *, title: str, engine: str | None = None, rankdir: str = "LR",
             prefix: str | None = None, nodes: int, room: float = 0.0) -> Picture:
    """The picture of `boxes`, a link's tail before its head, and `links`, sorted by head; `room` as for `layout`."""
    turn = TURNS[rankdir]
    edges = [(link.tail, link.head) for link in links]
    engine, (centres, curves) = placed(engine, [turn(box.size) for box in boxes], edges, room)
    prefix = prefix or "g" + hashlib.sha256(repr((boxes, links, rankdir)).encode()).hexdigest()[:8]
    centres, curves = [turn(p) for p in centres], [[turn(p) for p in curve] for curve in curves]
    return Picture(svg_file(boxes, links, centres, curves, prefix=prefix, title=title),
                   dot_file(boxes, links, centres, curves, rankdir=rankdir, prefix=prefix), engine, nodes)
