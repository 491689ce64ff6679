"""A picture: boxes and links, whatever they stand for, placed by an engine and written as SVG and DOT."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from autograd.conversion import bounded
from autograd.files import write_whole

from .engines import ENGINES, placed
from .layout import Point
from .svg import Box, Link, dot_file, svg_file

__all__ = ["PORT", "TURNS", "Picture", "arranged", "check_choices"]

PORT = 9.0     # px of a box's side that an arriving edge takes
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


def arranged(boxes: Sequence[Box], links: Sequence[Link], *, title: str, engine: str | None = None, rankdir: str = "LR",
             prefix: str | None = None, nodes: int, room: float = 0.0) -> Picture:
    """The picture of `boxes`, a link's tail before its head, and `links`, sorted by head; `room` as for `layout`."""
    turn = TURNS[rankdir]
    edges = [(link.tail, link.head) for link in links]
    engine, (centres, curves) = placed(engine, [turn(box.size) for box in boxes], edges, room)
    prefix = prefix or "g" + hashlib.sha256(repr((boxes, links, rankdir)).encode()).hexdigest()[:8]
    svg = svg_file(boxes, links, [turn(p) for p in centres], [[turn(p) for p in curve] for curve in curves],
                   prefix=prefix, title=title)
    return Picture(svg, dot_file(boxes, links, rankdir, prefix), engine, nodes)
