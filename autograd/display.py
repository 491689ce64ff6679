"""Where things are shown: how a notebook finds the picture of a Value (the engine draws nothing, it knows the name of what
does), how wide a terminal is, and in which order names stand.
"""

from __future__ import annotations

import re
import shutil
import sys
import unicodedata
from pkgutil import resolve_name
from typing import Any

__all__ = ["natural", "picture", "terminal_width"]

DRAWN_BY = "viz:picture_or_none"   # module:function, (Value) → SVG or None; another name exchanges the picture


def picture(value: Any) -> str | None:
    """The SVG that a notebook shows for `value`; None where nothing draws."""
    try:
        return resolve_name(DRAWN_BY)(value)  # type: ignore[no-any-return]
    except (ImportError, AttributeError):
        return None


def terminal_width(stream: Any = None) -> int | None:
    """The columns, at least 20, of the terminal that `stream`, by default `sys.stdout`, writes to; None if it is none."""
    stream = sys.stdout if stream is None else stream
    try:
        columns = shutil.get_terminal_size((0, 0)).columns if stream.isatty() else 0
    except (AttributeError, ValueError):   # no stream, or a closed one
        return None
    return max(columns, 20) if columns else None


def natural(text: str) -> list[tuple[int, str]]:
    """What names are sorted by: their letters, and numbers by size, x9 before x10; of W₁₂ digit by digit, of W₁,₁₂ as they are.

    >>> sorted(["W₂₁", "x10", "W₁,₁₀", "x9", "W₁₂"], key=natural)
    ['W₁₂', 'W₁,₁₀', 'W₂₁', 'x9', 'x10']
    """
    text = re.sub("[₀-₉][₀-₉,]*", lambda m: m[0] if "," in m[0] else ",".join(m[0]), text)
    parts = re.split(r"(\d+)", unicodedata.normalize("NFKC", text))
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
