"""Arguments of compiled functions: options and positions, and what their structures say."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import Any

from ..conversion import bounded
from ..structure import is_flat, leaves_of, shaped
from .backends.choose import check

__all__ = ["check_options", "copied", "first_example", "positions", "structure_key"]


# ---- options

def check_options(reduce: str | None, backend: str, threads: int | None) -> None:
    """ValueError or ImportError for an option that cannot be had."""
    if reduce not in (None, "sum", "mean"):
        raise ValueError(f"compile(reduce={bounded(reduce)}): choose None, 'sum' or 'mean'")
    if threads is not None and not (isinstance(threads, int) and threads >= 1):
        raise ValueError(f"compile(threads={bounded(threads)}): a number of threads is a whole number from 1")
    check(backend)


def positions(chosen: int | Sequence[int], n: int, name: str) -> list[int]:
    """Argument positions as a list of numbers from 0; ValueError if there is no such argument."""
    try:
        found = [index(i) for i in (chosen if hasattr(chosen, "__iter__") else [chosen])]
    except TypeError:
        found = [n]
    for i in found:
        if not -n <= i < n:
            raise ValueError(f"compile({name}={bounded(chosen)}) of a function of {n} arguments: give positions from 0 "
                             f"to {n - 1}")
    return [i % n for i in found]


# ---- structures

def copied(x: Any) -> Any:
    """The structure again, so that a list may change after it was given."""
    return list(x) if type(x) is list and is_flat(x) else shaped(x, leaves_of(x))


def structure_key(x: Any, batched: bool, inside: bool = False) -> Any:
    """What a function's trace depends on: the structure of an argument, and whether it is a batch."""
    if isinstance(x, dict):
        return "dict", tuple([(name, structure_key(part, batched, True)) for name, part in x.items()])
    if hasattr(x, "shape"):
        return "array", tuple(x.shape[1:] if batched else x.shape)
    if isinstance(x, (list, tuple)):
        if not batched or inside:
            return type(x), tuple([structure_key(part, batched, inside) for part in x])
        return structure_key(x[0], False) if x else ()
    return ()


def first_example(x: Any, inside: bool = False) -> Any:
    """The first example of a batch: an array, or a list of examples; in a dict, arrays."""
    if isinstance(x, dict):
        return {name: first_example(part, True) for name, part in x.items()}
    if inside and isinstance(x, (list, tuple)):
        return [first_example(part, True) for part in x]
    if not (hasattr(x, "__len__") and getattr(x, "shape", None) != () and len(x)):
        raise ValueError(f"a batched argument of a compiled function has its examples in front, and was {bounded(x)}")
    return x[0]
