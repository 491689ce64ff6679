"""Numbers at the door, and how errors show what was given."""

from __future__ import annotations

from typing import Any

__all__ = ["TraceError", "bounded", "to_float"]


def to_float(x: Any, where: str = "Value()") -> float:
    """The number at the door: int, bool, float, Fraction, Decimal, numpy scalars and 0-d arrays become a float.

    TypeError for what is not one real number, OverflowError for an int beyond the largest float.

    >>> to_float(True), to_float(7)
    (1.0, 7.0)
    """
    kind = type(x)
    if kind is float:
        return x  # type: ignore[no-any-return]
    if getattr(kind, "symbolic", False):
        raise TraceError(f"{where} got the traced value {bounded(x)}, whose number is not known yet: use it as it is")
    if hasattr(kind, "__primitive__"):
        raise TypeError(f"{where} got a {kind.__name__}: use it as it is, or its .data for a new number")
    if isinstance(x, (str, bytes, bytearray)):
        raise TypeError(f"{where} got the text {bounded(x)}: convert it with float() first")
    if getattr(x, "shape", ()) != ():
        raise TypeError(f"{where} got an array of shape {bounded(x.shape)}: make one Value of each element")
    if getattr(getattr(x, "dtype", None), "kind", "") == "O" and hasattr(x, "item"):
        return to_float(x.item(), where)
    if isinstance(x, complex) or getattr(getattr(x, "dtype", None), "kind", "f") not in "fiub" or not (
            hasattr(kind, "__float__") or hasattr(kind, "__index__")):
        raise TypeError(f"{where} got {bounded(x)} of type {kind.__name__}: it needs one real number")
    try:
        return float(x)
    except OverflowError:
        raise OverflowError(f"{where} got an int beyond the largest float, 1.8e308: scale it first") from None


def bounded(x: object, width: int = 60) -> str:
    """repr(x) in one line of at most `width` characters, for error messages.

    >>> bounded("a" * 100, 12)
    "'aaaaaaaaaa…"
    """
    try:
        text = repr(x[: 2 * width] if isinstance(x, (str, bytes, bytearray, list, tuple)) else x)
    except Exception:  # a broken __repr__ must not hide the error that is being told
        text = object.__repr__(x)
    text = " ".join(text.split())
    return text if len(text) <= width else text[:width - 1] + "…"


class TraceError(RuntimeError):
    """A traced function asked for a number that is not known while it is traced, or is not the function that it was traced as.

    It is no TypeError, which code that asks what a thing is would take for an answer."""
