"""Tables of the lectures that are mappings: what code looks up prints for people, as text, Markdown and HTML.

    name → row     a row has `cells`, a text for each column, and a `curve`, a function of one number z, or None
    graph          the curve for z from −3 to 3: a line of blocks in text, a small picture in HTML

Source: CS109B, the tables of activations and of output units.
"""

from __future__ import annotations

import html
import math
import re
import textwrap
from collections.abc import Callable, Iterable
from itertools import zip_longest
from typing import Protocol, TypeVar

__all__ = ["Printed", "Row"]

ENDS, POINTS = 3.0, 13   # z from −ENDS to ENDS; the blocks of a graph in text
BLOCKS = "▁▂▃▄▅▆▇█"
WIDTH, HEIGHT, FINE = 96, 48, 240   # px of a picture, and the points that it joins
_CELL = "text-align: left; padding: 0.2em 1em 0.2em 0; border-bottom: 1px solid #8888"


class Row(Protocol):
    """What a row of a table shows."""

    @property
    def cells(self) -> tuple[str, ...]:
        """The texts after its name."""

    @property
    def curve(self) -> Callable[[float], float] | None:
        """What its graph shows."""


R = TypeVar("R", bound=Row)


class Printed(dict[str, R]):
    """{name: row} with a `title` and the `head` of each column; `text_columns` are those that fit in a terminal.

    >>> class Square:
    ...     cells, curve = ("z²", "a bowl"), staticmethod(lambda z: z * z)
    >>> print(Printed("Functions", ("name", "equation", "use"), [("square", Square())]).text())
    Functions, with graphs for z from −3 to 3
    name          │ equation │ use
    ──────────────┼──────────┼───────
    square        │ z²       │ a bowl
    █▆▄▃▂▁▁▁▂▃▄▆█ │          │
    """

    def __init__(self, title: str, head: Iterable[str], rows: Iterable[tuple[str, R]],
                 text_columns: Iterable[int] | None = None) -> None:
        super().__init__(rows)
        self.title, self.head = title, tuple(head)
        self.text_columns = tuple(range(len(self.head)) if text_columns is None else text_columns)

    def text(self, width: int = 80) -> str:
        """Columns of a terminal that has `width` of them, the graph below the name; longer cells go on in the next line."""
        kept = self.text_columns
        rows = [[(name, *row.cells)[i] for i in kept] for name, row in self.items()]
        heads = [self.head[i] for i in kept]
        widths = [max(POINTS * (i == 0), *map(len, column)) for i, column in enumerate(zip(heads, *rows, strict=True))]
        while sum(widths) + 3 * (len(widths) - 1) > width and max(widths) > 12:
            widths[widths.index(max(widths))] -= 1
        lines = [_line(heads, widths), "─┼─".join(["─" * w for w in widths])]
        for cells, row in zip(rows, self.values(), strict=True):
            wrapped = [textwrap.wrap(cell, w, break_on_hyphens=False) for cell, w in zip(cells, widths, strict=True)]
            wrapped[0] += [_blocks(row.curve)] if row.curve else []
            lines += [_line(parts, widths) for parts in zip_longest(*wrapped, fillvalue="")]
        return "\n".join([f"{self.title}, with graphs for z from −{ENDS:g} to {ENDS:g}", *lines])

    def markdown(self) -> str:
        """A table of GitHub's Markdown."""
        lines = ["| " + " | ".join(map(_markdown, (*self.head, "graph"))) + " |", "|" + "---|" * (len(self.head) + 1)]
        lines += ["| " + " | ".join(map(_markdown, (name, *row.cells, _blocks(row.curve) if row.curve else ""))) + " |"
                  for name, row in self.items()]
        return "\n".join([f"**{_markdown(self.title)}**\n", *lines])

    def html(self) -> str:
        """A table of HTML whose graphs are pictures."""
        head = "".join([f'<th scope="col" style="{_CELL}">{html.escape(h)}</th>' for h in (*self.head, "graph")])
        rows = []
        for name, row in self.items():
            cells = [*map(html.escape, row.cells), _picture(name, row.curve) if row.curve else ""]
            rows.append(f'<tr><th scope="row" style="{_CELL}">{html.escape(name)}</th>'
                        + "".join([f'<td style="{_CELL}">{cell}</td>' for cell in cells]) + "</tr>")
        caption = f'<caption style="text-align: left; font-weight: bold">{html.escape(self.title)}</caption>'
        return f'<table style="border-collapse: collapse">{caption}<tr>{head}</tr>{"".join(rows)}</table>'

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        return self.html()


def _line(cells: Iterable[str], widths: Iterable[int]) -> str:
    return " │ ".join([f"{cell:{w}}" for cell, w in zip(cells, widths, strict=True)]).rstrip()


def _markdown(text: str) -> str:
    return re.sub(r"([\\`*_|<>\[\]])", r"\\\1", text)


def _points(curve: Callable[[float], float], n: int) -> list[tuple[float, float]]:
    zs = [ENDS * (2 * i / (n - 1) - 1) for i in range(n)]
    return [(z, float(curve(z))) for z in zs]


def _blocks(curve: Callable[[float], float]) -> str:
    ys = [y for _, y in _points(curve, POINTS)]
    low, high = min(ys), max(ys)
    return "".join([BLOCKS[round((y - low) / ((high - low) or 1.0) * (len(BLOCKS) - 1))] for y in ys])


def _picture(name: str, curve: Callable[[float], float]) -> str:
    """A curve and its axes as SVG; a jump leaves a gap."""
    points = _points(curve, FINE + 1)
    low, high = min(0.0, *[y for _, y in points]), max(0.0, *[y for _, y in points])
    jump = 0.2 * (high - low) if high > low else math.inf

    def x(z: float) -> str:
        return f"{3 + (z + ENDS) / (2 * ENDS) * (WIDTH - 6):.1f}"

    def y(a: float) -> str:
        return f"{HEIGHT - 3 - (a - low) / ((high - low) or 1.0) * (HEIGHT - 6):.1f}"
    path, before = "", math.inf
    for z, a in points:
        path += f"{'M' if abs(a - before) > jump else 'L'}{x(z)} {y(a)}"
        before = a
    return (f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="graph of {html.escape(name)}" width="{WIDTH}" '
            f'height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" fill="none" style="display: block">'
            f'<path d="M0 {y(0.0)}H{WIDTH}M{x(0.0)} 0V{HEIGHT}" stroke="#888" stroke-width="0.7"/>'
            f'<path d="{path}" stroke="#0072b2" stroke-width="2" stroke-linejoin="round"/></svg>')
