"""Boxes and curves as an SVG file.

Labels are data, never markup: whatever is drawn has passed `visible` (short, for the box) or `whole` (for its tooltip), which
leave no control character, and is escaped for its format where it is written.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from ..formulas.notation import width as columns
from .layout import Curve, Point

__all__ = ["Box", "Link", "svg_file", "to_foot", "visible", "whole"]

CELL, HEADER, ROW, PADDING, MARGIN = 7.3, 22.0, 16.0, 8.0, 14.0   # px; a cell is one character of 12 px
ARROW = 7.0
MONOSPACE = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
INK, FAINT, LINE = "#1f2328", "#656d76", "#6e7781"
# fill, border, border's width, corner's radius, dashes; shapes differ too, so that the picture reads without colour
STYLES = {
    "leaf": ("#e8f2fc", "#3573b1", 1.2, 9.0, ""),
    "constant": ("#ffffff", "#a3abb4", 1.0, 10.0, ""),
    "result": ("#f6f6f4", "#6b6b66", 1.2, 2.0, ""),
    "root": ("#fdf1da", "#b06f00", 1.2, 2.0, ""),
    "group": ("#eef5ee", "#3f7d45", 1.6, 2.0, "7 2"),
    "more": ("#ffffff", "#a3abb4", 1.0, 10.0, "3 3"),
}


@dataclass(frozen=True, slots=True)
class Box:
    """A node as it is drawn: `name` and `op` in the header, below it a row for every (caption, number).

    `key` ends its id, `title` is its tooltip, `least` the width and height it has at least.
    """

    key: str
    kind: str
    name: str
    op: str
    rows: tuple[tuple[str, str], ...]
    title: str
    least: Point = (0.0, 0.0)

    @property
    def size(self) -> Point:
        """Width and height in px, with room for the text in any monospace font; no less than `least`."""
        header = columns(self.name) + (2 + columns(self.op) if self.op else 0)
        cells = max([header, *[columns(caption) + 1 + columns(number) for caption, number in self.rows]])
        width, height = cells * CELL + 2 * PADDING, HEADER + (ROW * len(self.rows) + 6 if self.rows else -2)
        return round(max(width, 72.0 if self.rows else 28.0, self.least[0]), 1), max(height, self.least[1])


@dataclass(frozen=True, slots=True)
class Link:
    """An edge as it is drawn, from box `tail` to box `head`."""

    key: str
    tail: int
    head: int
    title: str


def visible(text: str, limit: int = 24) -> str:
    r"""`text` as it is drawn: one line of at most `limit` cells, controls replaced by symbols, … for what is left out.

    >>> visible("line\nbreak"), visible("abcdefgh", 5)
    ('line␊break', 'abcd…')
    """
    kept, marks = [], 0
    for c in whole(text, 4 * limit):
        marks = 0 if columns(c) else marks + 1
        if marks <= 2:   # combining marks pile up without bound
            kept.append(c)
    excess = columns(kept) - limit
    if excess > 0:
        while excess > -1:
            excess -= columns(kept.pop())
        kept.append("…")
    shown = "".join(kept)
    return f"\u2068{shown}\u2069" if any(unicodedata.bidirectional(c) in ("R", "AL", "AN") for c in shown) else shown


def whole(text: str, limit: int = 500) -> str:
    """`text` as its tooltip has it: up to `limit` characters, controls replaced by symbols."""
    return "".join([_symbol(c) for c in text[:limit]]) + "…" * (len(text) > limit)


def _symbol(c: str) -> str:
    """`c`; or what stands for it, if XML forbids it or it would direct the text around it."""
    if c < " " or c == "\x7f":
        return chr(0x2400 + ord(c)) if c < " " else "␡"
    directs = unicodedata.bidirectional(c) in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
    return "\ufffd" if directs or unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") or c in "\ufffe\uffff" else c


def svg_file(boxes: Sequence[Box], links: Sequence[Link], centres: Sequence[Point], curves: Sequence[Curve], *,
             prefix: str, title: str) -> str:
    """The picture; `prefix` begins every id in it, `title` describes it to a screen reader."""
    corners = [(x + side * box.size[0] / 2, y + side * box.size[1] / 2)
               for box, (x, y) in zip(boxes, centres, strict=True) for side in (-1, 1)]
    xs, ys = zip(*corners, *[point for curve in curves for point in curve], strict=True)
    left, top = min(xs) - MARGIN, min(ys) - MARGIN
    width, height = max(xs) + MARGIN - left, max(ys) + MARGIN - top
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" id="{prefix}" class="graph" role="img" aria-label="{_xml(title)}" '
        f'width="{width:.0f}" height="{height:.0f}" viewBox="{left:.1f} {top:.1f} {width:.1f} {height:.1f}" '
        f'font-family="{MONOSPACE}" font-size="12" fill="{INK}">',
        f'<rect class="background" x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" rx="8" fill="#fff"/>',
        f'<g class="edges" fill="{LINE}" stroke="{LINE}" stroke-width="1.2">',
        *[_edge(f"{prefix}-{link.key}", link, curve) for link, curve in zip(links, curves, strict=True)],
        '</g>',
        *[_node(f"{prefix}-{box.key}", box, *centre) for box, centre in zip(boxes, centres, strict=True)],
        '</svg>',
    ]
    return "\n".join(parts) + "\n"


def to_foot(curve: Curve) -> Curve:
    """The curve as far as the foot of its arrow's head."""
    (x, y), (tip_x, tip_y) = curve[-2:]
    length = ((tip_x - x) ** 2 + (tip_y - y) ** 2) ** 0.5 or 1.0
    foot = (tip_x - ARROW * (tip_x - x) / length, tip_y - ARROW * (tip_y - y) / length)
    return [*curve[:-2], curve[-2] if length > ARROW else foot, foot]


def _edge(key: str, link: Link, curve: Curve) -> str:
    (tip_x, tip_y), line = curve[-1], to_foot(curve)
    x, y = line[-1]
    ux, uy = (tip_x - x) / ARROW, (tip_y - y) / ARROW
    points = [f"{x:.1f} {y:.1f}" for x, y in line]
    cubics = "".join([f"C{points[i]} {points[i + 1]} {points[i + 2]}" for i in range(1, len(points), 3)])
    sides = " ".join([f"{x + s * 3 * uy:.1f},{y - s * 3 * ux:.1f}" for s in (-1, 1)])
    return (f'<g id="{key}" class="edge"><title>{_xml(link.title)}</title><path d="M{points[0]}{cubics}" fill="none"/>'
            f'<polygon points="{tip_x:.1f},{tip_y:.1f} {sides}" stroke="none"/></g>')


def _node(key: str, box: Box, x: float, y: float) -> str:
    width, height = box.size
    fill, border, thickness, radius, dashes = STYLES[box.kind]
    line = f'fill="{fill}" stroke="{border}" stroke-width="{thickness}"' + (f' stroke-dasharray="{dashes}"' if dashes else "")
    parts = [f'<g id="{key}" class="node {box.kind}" transform="translate({x - width / 2:.1f} {y - height / 2:.1f})">',
             f'<title>{_xml(box.title)}</title><rect width="{width:.1f}" height="{height:.1f}" rx="{radius}" {line}/>']
    if box.kind == "root":
        parts.append(f'<rect x="2.5" y="2.5" width="{width - 5:.1f}" height="{height - 5:.1f}" fill="none" stroke="{border}" '
                     'stroke-width="0.8"/>')
    if not box.rows:
        ink = INK if box.kind == "leaf" else FAINT
        parts.append(f'<text class="name" x="{width / 2:.1f}" y="{height / 2 + 4:.1f}" text-anchor="middle" fill="{ink}">'
                     f'{_xml(box.name)}</text>')
    else:
        parts.append(f'<text class="name" x="{PADDING}" y="15.5" font-weight="bold">{_xml(box.name)}</text>')
        if box.op:
            parts.append(f'<text class="op" x="{width - PADDING:.1f}" y="15.5" text-anchor="end" fill="{border}" '
                         f'font-weight="bold">{_xml(box.op)}</text>')
        parts.append(f'<path d="M{PADDING} {HEADER}H{width - PADDING:.1f}" stroke="{border}" stroke-width="0.6"/>')
    for k, (caption, number) in enumerate(box.rows):
        base = HEADER + ROW * (k + 1) - 2
        parts.append(f'<text x="{PADDING}" y="{base}" font-size="10" fill="{FAINT}">{caption}</text>'
                     f'<text class="{caption}" x="{width - PADDING:.1f}" y="{base}" text-anchor="end">{_xml(number)}</text>')
    return "".join([*parts, "</g>"])


def _xml(text: str) -> str:
    return escape(text, {'"': "&quot;"})
