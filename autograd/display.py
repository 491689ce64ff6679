"""Where things are shown: how a notebook finds the picture of a Value (the engine draws nothing, it knows the name of what
does), and how wide a terminal is.
"""

from __future__ import annotations

import shutil
import sys
from pkgutil import resolve_name
from typing import Any

__all__ = ["picture", "terminal_width"]

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
