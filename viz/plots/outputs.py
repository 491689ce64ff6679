"""What the plots and the movie read: the examples, what a model gives for them, and the columns of a history."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from autograd import no_grad
from autograd.conversion import bounded

from .common import number, numbers

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

__all__ = ["chosen", "class_names", "class_values", "ends_in_sigmoid", "examples", "history_columns", "outputs", "spread"]


def examples(X: Any, y: Any, where: str) -> tuple[Array, Array]:
    """(n rows of numbers, n labels): a row for each example; the labels of one-hot rows are their columns' numbers."""
    import numpy as np
    try:
        rows = np.asarray(X, dtype=float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: X is no table of numbers ({error})") from None
    rows = rows[:, None] if rows.ndim == 1 else rows
    labels = np.asarray(y)
    labels = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
    if rows.ndim != 2 or rows.size == 0:
        raise ValueError(f"{where}: X has the shape {rows.shape}: give at least one row, each of the same length")
    for i, row in enumerate(rows):
        if not np.isfinite(row).all():
            raise ValueError(f"{where}: X[{i}] = {row.tolist()} is not finite: leave the row out")
    if labels.ndim not in (1, 2) or len(labels) != len(rows):
        raise ValueError(f"{where}: X has {len(rows)} rows, and y the shape {labels.shape}: give one class for each row")
    if labels.ndim == 2:
        labels = labels.argmax(axis=1)
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        raise ValueError(f"{where}: y[{int(np.argmin(np.isfinite(labels)))}] is not finite: leave the row out")
    return rows, labels


def spread(column: Array, resolution: int, margin: float) -> Array:
    """`resolution` points evenly over the range of `column` and a margin."""
    import numpy as np
    low, high = float(column.min()), float(column.max())
    space = (high - low or 1.0) * margin
    return np.linspace(low - space, high + space, resolution)


def outputs(model: Any, rows: Array) -> Array:
    """What a function of a row gives for each: shape (n, k) of floats, or (n,) of labels if it gives ints or texts."""
    import numpy as np
    with no_grad():
        given = [model(row) for row in rows.tolist()]
    if isinstance(given[0], (str, int, np.integer)):
        return np.asarray(given)
    found = np.array([numbers(z) for z in given])
    bad = ~np.isfinite(found).all(axis=1)
    if bad.any():
        i = int(bad.argmax())
        raise ValueError(f"the model gives {found[i].tolist()} at {rows[i].tolist()}: its outputs must be finite")
    return found


def class_values(labels: Array, k: int) -> Array:
    """The label of each class, in the order of a model's k outputs; of two classes, if k is 1."""
    import numpy as np
    n, values = max(k, 2), np.unique(labels)
    if values.dtype.kind in "iufb" and set(values.tolist()) <= set(range(n)):
        return np.arange(n)
    if len(values) != n:
        raise ValueError(f"the model has {k} output{'s' * (k > 1)}, for {n} classes, and y has {len(values)}: "
                         f"{bounded(values.tolist())}")
    return values


def chosen(found: Array, threshold: float) -> Array:
    """The class, from 0, of each row of outputs."""
    return (found[:, 0] > threshold).astype(int) if found.shape[1] == 1 else found.argmax(axis=1)


def class_names(values: Array, names: Sequence[Any] | None) -> list[str]:
    """What to call each class."""
    if names is None:
        return [f"class {value:g}" if isinstance(value, (int, float)) else str(value) for value in values.tolist()]
    if len(names) != len(values):
        raise ValueError(f"classes={bounded(list(names))} has {len(names)} names for {len(values)} classes")
    return [str(name) for name in names]


def ends_in_sigmoid(model: Any) -> bool:
    """Whether the last units of a network are sigmoids, so that its outputs are probabilities and no logits."""
    while parts := getattr(model, "modules", None) or getattr(model, "layers", None):
        model = parts[-1]
    return getattr(model, "activation", None) in ("sigmoid", "logistic")


def history_columns(history: Any, names: Sequence[str], where: str) -> tuple[list[float], dict[str, list[float]]]:
    """(the epochs, {name: numbers} for those of `names` that a history has)."""
    rows = getattr(history, "rows", history)
    if isinstance(rows, Mapping):
        table = {str(name): list(column) for name, column in rows.items()}
    elif isinstance(rows, Iterable) and not isinstance(rows, (str, bytes)):
        rows = list(rows)
        if not any(isinstance(row, Mapping) for row in rows):
            rows = [{names[0]: x} for x in rows]
        table = {name: [row.get(name, math.nan) for row in rows] for name in (rows[0] if rows else ())}
    else:
        raise TypeError(f"{where}({bounded(history)}): give the history that nn.fit returns, or the losses as numbers")
    try:
        columns = {name: [number(x) for x in table[name]] for name in names if name in table}
    except (TypeError, ValueError) as error:
        raise TypeError(f"{where}({bounded(history)}): a loss is no number ({error}): give what nn.fit returns") from None
    if not columns or not any(columns.values()):
        raise ValueError(f"{where}: the history has no {' or '.join(names)} to draw; it has {', '.join(table) or 'no epoch'}")
    n = len(next(iter(columns.values())))
    epochs = [float(e) for e in table.get("epoch", range(1, n + 1))]
    for name, column in columns.items():
        if len(column) != len(epochs):
            raise ValueError(f"{where}: {name} has {len(column)} numbers for {len(epochs)} epochs")
        for epoch, x in zip(epochs, column, strict=True):
            if not math.isfinite(x):
                raise ValueError(f"{where}: {name} is {x} in epoch {epoch:g}: draw the epochs before it, as history.rows[:k]")
    return epochs, columns
