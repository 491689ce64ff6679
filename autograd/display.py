"""How a notebook finds the picture of a Value: the engine draws nothing, it knows the name of what does."""

from __future__ import annotations

from pkgutil import resolve_name
from typing import Any

__all__ = ["picture"]

DRAWN_BY = "viz:picture_or_none"   # module:function, (Value) → SVG or None; another name exchanges the picture


def picture(value: Any) -> str | None:
    """The SVG that a notebook shows for `value`; None where nothing draws."""
    try:
        return resolve_name(DRAWN_BY)(value)  # type: ignore[no-any-return]
    except (ImportError, AttributeError):
        return None
