"""Examples as `fit` takes them: rows and targets turned into plain numbers, and what is wrong with them told by its place."""

from __future__ import annotations

import math
from operator import index
from typing import Any

from autograd.conversion import bounded, to_float

__all__ = ["one_hot_targets", "rows", "targets"]


def rows(X: Any, name: str = "X") -> list[Any]:
    """Every row of X as a float or as (nested) lists of floats, all of one shape.

    X is a sequence of rows: lists, tuples, arrays, a DataFrame. ValueError for no rows, rows of different shapes and
    numbers that are nan or infinite; TypeError for what is no number.

    >>> rows([[1, 2], (3, 4)])
    [[1.0, 2.0], [3.0, 4.0]]
    """
    found = [_row(x, (name, i), to_float) for i, x in enumerate(_listed(X, name))]
    if not found:
        raise ValueError(f"{name} is empty: there is nothing to learn from or to predict")
    first = _shape(found[0], f"{name}[0]")
    for i, x in enumerate(found):
        if (shape := _shape(x, f"{name}[{i}]")) != first:
            raise ValueError(f"{name}[{i}] has shape {shape} and {name}[0] has {first}: all rows need the same shape")
    return found


def targets(y: Any, n: int, name: str = "y") -> list[Any]:
    """The n targets: ints stay ints (class indices), a column of one number each becomes those numbers.

    >>> targets([[0.5], [2]], 2)
    [0.5, 2]
    """
    listed = _listed(y, name)
    if len(listed) != n:
        raise ValueError(f"{name} has {len(listed)} targets and {name.replace('y', 'X')} has {n} rows: give one "
                         "for each")
    found = [_row(t, (name, i), _whole_or_float) for i, t in enumerate(listed)]
    first = _shape(found[0], f"{name}[0]")
    for i, t in enumerate(found):
        if (shape := _shape(t, f"{name}[{i}]")) != first:
            raise ValueError(f"{name}[{i}] has shape {shape} and {name}[0] has {first}: all targets need the same shape")
    return [t[0] for t in found] if first == (1,) else found


def one_hot_targets(y: list[Any], width: int) -> bool:
    """Whether every target is a list of `width` numbers, one of them 1 and the others 0."""
    return all([isinstance(t, list) and len(t) == width and sorted(t) == [0] * (width - 1) + [1] for t in y])


def _listed(x: Any, name: str) -> list[Any]:
    """The rows of an array, a DataFrame or Series, or any iterable."""
    if isinstance(x, (str, bytes, dict)) or not (hasattr(x, "__iter__") or hasattr(x, "__getitem__")):
        raise TypeError(f"{name} is {bounded(x)}: it must be a sequence with one entry for each example")
    x = x.to_numpy() if hasattr(x, "to_numpy") else x
    return list(x.tolist() if hasattr(x, "tolist") else x)


def _row(x: Any, place: tuple[Any, ...], number: Any) -> Any:
    if hasattr(x, "to_numpy") or hasattr(x, "tolist"):
        x = (x.to_numpy() if hasattr(x, "to_numpy") else x).tolist()
    if isinstance(x, (list, tuple)):
        return [_row(part, (*place, i), number) for i, part in enumerate(x)]
    where = f"{place[0]}{''.join([f'[{i}]' for i in place[1:]])}"
    found = number(x, where)
    if not math.isfinite(found):
        raise ValueError(f"{where} is {found}: every number must be finite; drop the row or fill the gap, "
                         "as load_csv(missing='drop' or 'mean') does")
    return found


def _whole_or_float(x: Any, where: str) -> float:
    return index(x) if hasattr(x, "__index__") else to_float(x, where)


def _shape(x: Any, where: str) -> tuple[int, ...]:
    if not isinstance(x, list):
        return ()
    shapes = {_shape(part, where) for part in x}
    if len(shapes) > 1:
        raise ValueError(f"{where} has parts of different shapes, {' and '.join(map(str, sorted(shapes)))}: it needs one shape")
    return (len(x), *(shapes.pop() if shapes else ()))
