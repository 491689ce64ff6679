"""Tables as text that fits a terminal.

    broken     a cell on several lines: first before its "= number", then before an operator or after a word
    aligned    columns side by side, the widest broken first until all fit
    records    where they cannot: a block for every row, a line for every cell, as in "partial: 1/ξ3"

Nothing is left out: where there is no other way, a word goes on in the next line.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from .notation import width

__all__ = ["LEAST", "broken", "fitted", "flowed", "sides"]

LEAST = 20      # columns that a table needs
WHOLE = 12      # columns of a text that is not broken for a column's sake
HANG = 4        # columns by which the next line of a record is indented
_BREAK = re.compile(r"(?<![+−=-]) (?=\S)|(?<=[^\s(])(?=[·*/])")   # between words, before a sign


def sides(text: str) -> list[str]:
    """What stands between the equals signs of a cell, but for those of [a = b].

    >>> sides("∂ξ2/∂ξ1 = [ξ1 = max(ξ1, x)] = 1")
    ['∂ξ2/∂ξ1', '[ξ1 = max(ξ1, x)]', '1']
    """
    found: list[str] = []
    for part in text.split(" = "):
        if found and found[-1].count("[") > found[-1].count("]"):
            found[-1] += f" = {part}"
        else:
            found.append(part)
    return found


@lru_cache(maxsize=4096)
def broken(text: str, limit: int) -> tuple[str, ...]:
    """`text` on lines of at most `limit` columns.

    >>> broken("1 + e⁻⁹ = 1.0001234", 14)
    ('1 + e⁻⁹', '= 1.0001234')
    >>> broken("−y·X·e^(−W·X)/(1 + e^(−W·X))", 20)
    ('−y·X·e^(−W·X)', '/(1 + e^(−W·X))')
    """
    if width(text) <= limit:
        return (text,)
    *formulas, number = sides(text)
    if formulas:
        return (*broken(" = ".join(formulas), limit), *broken(f"= {number}", limit))
    lines = []
    while width(text) > limit:
        end, start = _best_break(text, limit)
        lines.append(text[:end])
        text = text[start:]
    return (*lines, text)


def _best_break(text: str, limit: int) -> tuple[int, int]:
    """Where the first line ends, and where the next begins: late, and outside brackets; within a word if it is too long."""
    best, found = -float(limit), (0, 0)
    for place in _BREAK.finditer(text):
        end = place.start()
        columns = width(text[:end])
        if columns > limit:
            break
        depth = text.count("(", 0, end) - text.count(")", 0, end)
        if end and columns - depth * limit / 4 > best:
            best, found = columns - depth * limit / 4, (end, place.end())
    if found == (0, 0):
        end = max(k for k in range(1, len(text) + 1) if k == 1 or width(text[:k]) <= limit)
        found = end, end
    return found


def _narrowest(text: str) -> int:
    """The columns that a text needs where no word is broken; of a short one, all that it has."""
    if width(text) <= WHOLE:
        return width(text)
    return max(map(width, _BREAK.split(text)))


def fitted(title: str, rows: Sequence[Sequence[str]], limit: int | None) -> str:
    """The title, the head, a rule and the rows below one another; no line longer than `limit`, if there is one."""
    widths = [max(map(width, column)) for column in zip(*rows, strict=True)]
    if limit is None or sum(widths) + 3 * (len(widths) - 1) <= limit:
        return "\n".join([title if limit is None else flowed(title, limit), *_aligned(rows, widths)])
    columns = [*zip(*rows, strict=True)]
    floors = [max(map(_narrowest, column)) for column in columns]
    room = limit - 3 * (len(widths) - 1)
    if sum(floors) > room:
        return "\n".join([flowed(title, limit), *_records(rows, limit)])
    fit, high = 0, max(widths)   # the widest that a column may be, unless its words are longer: bisected
    while high - fit > 1:
        middle = (fit + high) // 2
        fit, high = (middle, high) if sum(_capped(columns, floors, middle)) <= room else (fit, middle)
    return "\n".join([flowed(title, limit), *_aligned(rows, _capped(columns, floors, fit))])


def _capped(columns: Sequence[Sequence[str]], floors: Sequence[int], cap: int) -> list[int]:
    """The columns' widths where none is wider than `cap`, or than it must be."""
    return [max([width(line) for cell in column for line in broken(cell, max(cap, floor))])
            for column, floor in zip(columns, floors, strict=True)]


def _aligned(rows: Sequence[Sequence[str]], widths: Sequence[int]) -> list[str]:
    lines = []
    for i, row in enumerate(rows):
        cells = [broken(cell, w) for cell, w in zip(row, widths, strict=True)]
        for k in range(max(map(len, cells))):
            parts = [cell[k] if k < len(cell) else "" for cell in cells]
            lines.append(" │ ".join([part + " " * (w - width(part)) for part, w in zip(parts, widths, strict=True)]).rstrip())
        if i == 0:
            lines.append("─┼─".join(["─" * w for w in widths]))
    return lines


def _records(rows: Sequence[Sequence[str]], limit: int) -> list[str]:
    lines: list[str] = []
    head, *rest = rows
    for row in rest:
        lines += broken(row[0], limit) if row[0] else []
        for name, cell in zip(head[1:], row[1:], strict=True):
            alone = len(sides(cell)) == 1 and width(cell) + HANG <= limit < width(name) + width(cell) + 4   # on the next line
            first, *more = [*broken(f"  {name}:", limit), cell] if alone else broken(f"  {name}: {cell}", limit)
            lines += [first, *[" " * HANG + line for part in more for line in broken(part, limit - HANG)]] if cell else []
    return lines


def flowed(text: str, limit: int) -> str:
    """Words on lines of at most `limit` columns."""
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        lines[-1:] = [longer] if width(longer) <= limit else [*lines[-1:], word] if lines[-1] else [word]
    return "\n".join([part for line in lines for part in broken(line, limit)])
