"""Hyperparameters as they come in: whole numbers and finite ones, or an error that names the argument."""

from __future__ import annotations

import math
from operator import index
from typing import Any

from autograd.conversion import bounded, to_float


def whole(name: str, x: Any, least: int) -> int:
    """A whole number of at least `least`; ValueError naming it if it is not."""
    if not hasattr(x, "__index__") or index(x) < least:
        raise ValueError(f"{name} = {bounded(x)}: it must be a whole number ≥ {least}")
    return index(x)


def not_negative(name: str, x: Any) -> float:
    """A finite number ≥ 0; ValueError naming it if it is not."""
    found = to_float(x, name)
    if not 0 <= found < math.inf:
        raise ValueError(f"{name} = {bounded(x)}: it must be a finite number ≥ 0")
    return found


def at_least_1(name: str, n: int) -> int:
    """A size, as an int ≥ 1; ValueError naming it otherwise, TypeError if it is no whole number."""
    try:
        found = index(n)
    except TypeError:
        raise TypeError(f"{name} = {bounded(n)}: a size is a whole number") from None
    if found < 1:
        raise ValueError(f"{name} = {n}: a size is at least 1")
    return found
