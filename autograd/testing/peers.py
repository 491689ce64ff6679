"""Other libraries as ways: PyTorch, JAX and mpmath, where they are installed."""

from __future__ import annotations

import importlib.util

from .ways import Way

__all__ = ["peers"]


def peers() -> tuple[list[Way], list[str]]:
    """(the ways that are here, the names of what is not installed)."""
    return [], [name for name in ("torch", "jax", "mpmath") if importlib.util.find_spec(name) is None]
