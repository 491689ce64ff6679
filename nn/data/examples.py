"""Examples as `fit` takes them: n rows and their targets, made arrays once, and what is wrong with them told by its place.

X   float64, of shape (n, *shape of a row): a row is a number, a list of numbers, an image …
y   the targets, of shape (n,) or (n, numbers of one): whole numbers stay whole, being class indices
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import index
from typing import Any, NoReturn

import numpy as np

from autograd.conversion import bounded, to_float

from .datasets import Array

__all__ = ["Batch", "Examples"]

Batch = Sequence[int] | Array   # the numbers of examples

_REAL = "fiub"   # kinds of dtypes that hold real numbers


@dataclass(frozen=True, eq=False)
class Examples:
    """n examples (xᵢ, yᵢ): a sequence of pairs of what a model is called with, floats or nested lists of them, and its target.

    >>> examples = Examples.of([[1, 2], (3, 4), [5, 6]], [0, 1, 1])
    >>> examples.X.shape, examples[2], list(examples.take([1]))
    ((3, 2), ([5.0, 6.0], 1), [([3.0, 4.0], 1)])
    """

    X: Array
    y: Array

    @classmethod
    def of(cls, X: Any, y: Any = ..., names: tuple[str, str] = ("X", "y")) -> Examples:
        """Of n rows of one shape and n targets; where these are left out, y has shape (n, 0).

        Both are sequences: lists, tuples, arrays, DataFrames, generators. An array of floats is used where it is, without a
        copy. A target in a list of its own becomes that number.

        ValueError for no rows, rows or targets of different shapes or numbers, and what is nan, infinite or masked; TypeError
        for what is no real number; both name the place, as X[3][1].
        """
        rows = _numbers(X, names[0], "rows", to_float)
        if not len(rows):
            raise ValueError(f"{names[0]} is empty: there is nothing to learn from or to predict")
        rows = np.asarray(rows, dtype=np.float64, order="C")   # no copy of what is so already
        if y is ...:
            return cls(rows, np.empty((len(rows), 0)))
        targets = _numbers(y, names[1], "targets", _whole_or_float)
        if len(targets) != len(rows):
            raise ValueError(f"{names[1]} has {len(targets)} targets and {names[0]} has {len(rows)} rows: give one for each")
        targets = targets.astype(np.int64) if targets.dtype.kind == "b" else targets
        return cls(rows, targets[:, 0] if targets.shape[1:] == (1,) else targets)

    def __len__(self) -> int:
        return len(self.X)

    def __getitem__(self, i: int) -> tuple[Any, Any]:
        return self.row(i), self.y[i].tolist()

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        return ((x.tolist(), y.tolist()) for x, y in zip(self.X, self.y, strict=True))

    def row(self, i: int) -> Any:
        """xᵢ as a model is called with it."""
        return self.X[i].tolist()

    def rows(self) -> Iterator[Any]:
        """Every xᵢ."""
        return (x.tolist() for x in self.X)

    def lists(self, batch: Batch) -> tuple[list[Any], list[Any]]:
        """The rows and the targets of a batch."""
        return self.X.take(batch, axis=0).tolist(), self.y.take(batch, axis=0).tolist()

    def take(self, batch: Batch) -> Examples:
        """Some of the examples, in the order of their numbers in `batch`."""
        return Examples(self.X.take(batch, axis=0), self.y.take(batch, axis=0))

    def one_hot(self, width: int) -> bool:
        """Whether every target is `width` numbers, one of them 1 and the others 0."""
        y = self.y
        return y.shape[1:] == (width,) and bool(((y == 0) | (y == 1)).all() and ((y == 1).sum(axis=1) == 1).all())


def _numbers(x: Any, name: str, what: str, number: Callable[[Any, str], float]) -> Array:
    """The numbers of rows or targets, finite, as an array of float64 or of a type of whole numbers."""
    if isinstance(x, (str, bytes, dict)) or not (hasattr(x, "__iter__") or hasattr(x, "__getitem__")) or (
            getattr(x, "shape", None) == ()):
        raise TypeError(f"{name} is {bounded(x)}: it must be a sequence with one entry for each example")
    x = _opened(x, (name,))
    if not (isinstance(x, np.ndarray) and x.dtype.kind in _REAL):
        x = list(x.tolist() if hasattr(x, "tolist") else x)
        found = _regular(x)
        x = _one_by_one(x, name, what, number) if found is None else found
    with np.errstate(over="ignore"):
        made: Array = np.asarray(x, dtype=np.float64 if x.dtype.kind == "f" else None)
    if not np.isfinite(made).all():
        place = np.argwhere(~np.isfinite(made))[0].tolist()
        _refuse(f"{made[tuple(place)]}", (name, *place))
    return made


def _regular(x: list[Any]) -> Array | None:
    """Nested lists of numbers and nothing else, of one shape, as an array, quickly; None for others."""
    if not _plain(x):
        return None
    try:
        found = np.array(x)
    except ValueError:   # of different shapes
        return None
    return found if found.dtype.kind in _REAL else None


def _plain(x: Any) -> bool:
    """Whether it is (nested) lists, tuples and arrays of nothing but real numbers, by their types."""
    if isinstance(x, np.ndarray):
        return x.dtype.kind in _REAL
    kinds = set(map(type, x))
    return all([issubclass(kind, (float, int, np.floating, np.integer, np.bool_)) for kind in kinds]) or (
        kinds <= {list, tuple, np.ndarray} and all(map(_plain, x)))


def _one_by_one(x: list[Any], name: str, what: str, number: Callable[[Any, str], float]) -> Array:
    """The same of whatever else is numbers; or the error that says what is wrong and where."""
    found = [_row(part, (name, i), number) for i, part in enumerate(x)]
    first = _shape(found[0], f"{name}[0]") if found else ()
    for i, part in enumerate(found):
        if (shape := _shape(part, f"{name}[{i}]")) != first:
            raise ValueError(f"{name}[{i}] has shape {shape} and {name}[0] has {first}: all {what} need the same shape")
    made = np.array(found)
    return made if made.dtype.kind in _REAL else made.astype(np.float64)   # ints beyond 64 bits


def _row(x: Any, place: tuple[Any, ...], number: Callable[[Any, str], float]) -> Any:
    x = _opened(x, place)
    x = x.tolist() if hasattr(x, "tolist") else x
    if isinstance(x, (list, tuple)):
        return [_row(part, (*place, i), number) for i, part in enumerate(x)]
    found = number(x, _where(place))
    return found if math.isfinite(found) else _refuse(f"{found}", place)


def _opened(x: Any, place: tuple[Any, ...]) -> Any:
    """A DataFrame's array, a masked array without its mask; an error if that hides something, or if it holds times."""
    x = x.to_numpy() if hasattr(x, "to_numpy") else x
    if isinstance(x, np.ma.MaskedArray):
        for i in np.argwhere(np.ma.getmaskarray(x))[:1].tolist():
            _refuse("masked", (*place, *i))
        x = x.data
    if getattr(getattr(x, "dtype", None), "kind", None) in ("m", "M") and x.size:   # of which tolist makes whole numbers
        to_float(x.flat[0], _where((*place, *[0] * x.ndim)))
    return x


def _refuse(what: str, place: tuple[Any, ...]) -> NoReturn:
    raise ValueError(f"{_where(place)} is {what}: every number must be finite; drop the row or fill the gap, "
                     "as load_csv(missing='drop' or 'mean') does")


def _where(place: tuple[Any, ...]) -> str:
    return f"{place[0]}{''.join([f'[{i}]' for i in place[1:]])}"


def _whole_or_float(x: Any, where: str) -> float:
    found = to_float(x, where)
    return index(x) if hasattr(x, "__index__") else found


def _shape(x: Any, where: str) -> tuple[int, ...]:
    if not isinstance(x, list):
        return ()
    shapes = {_shape(part, where) for part in x}
    if len(shapes) > 1:
        raise ValueError(f"{where} has parts of different shapes, {' and '.join(map(str, sorted(shapes)))}: it needs one shape")
    return (len(x), *(shapes.pop() if shapes else ()))
