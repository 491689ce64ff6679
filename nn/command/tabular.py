"""A network with all that it needs to read the rows of a table: what `python3 -m nn` trains and saves."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from os import PathLike
from typing import Any

import numpy as np

from autograd.conversion import bounded

from ..data.datasets import Array
from ..data.examples import Examples
from ..data.rows import Dataset, Standardizer
from ..data.tables import Cells, Column
from ..module import Module
from ..saving.models import load, load_extra, save
from ..training.scores import outputs, predict

__all__ = ["TableModel"]


@dataclass(frozen=True)
class TableModel:
    """A trained network, the columns that it reads, what it predicts, and the standardisation of both.

    network   gives logits, or one number in a regression, for a row of standardised features
    columns   how a file's columns become features
    target    the name of what is predicted; `classes` names its classes, and is () for a number
    rows      the standardisation of the features; `goal` that of the target, None for classes
    """

    network: Module
    columns: tuple[Column, ...]
    target: str
    classes: tuple[str, ...]
    rows: Standardizer
    goal: Standardizer | None = None

    @classmethod
    def around(cls, network: Module, data: Dataset, rows: Standardizer, goal: Standardizer | None) -> TableModel:
        """The model of a network that was trained on `data`."""
        return cls(network, data.columns, data.target_name, data.classes, rows, goal)

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the features, in the network's order."""
        return tuple(feature for column in self.columns for feature in column.features)

    def outputs(self, X: Array) -> Array:
        """Logits of shape (n, classes), or numbers in the target's unit of shape (n,), for rows in their own units."""
        found = np.asarray(outputs(self.network, Examples.of(self.rows.transform(X))), dtype=float)
        return self.goal.inverse(found) if self.goal else found

    def predict(self, cells: Cells) -> Array:
        """The outputs for the rows of a file. DataError for a column that is missing or a cell that cannot be read."""
        return self.outputs(cells.encode(self.columns))

    def save(self, path: str | PathLike[str]) -> None:
        """Write it as `nn.save` does, with the rest beside the network; `nn.load` reads the network alone."""
        save(self.network, path, extra={"table": {
            "target": self.target, "classes": list(self.classes), "columns": [asdict(column) for column in self.columns],
            "rows": _numbers(self.rows), "goal": self.goal and _numbers(self.goal)}})

    @classmethod
    def load(cls, path: str | PathLike[str]) -> TableModel:
        """What `save` wrote. ValueError for a file that holds something else, or parts that do not fit together."""
        network, found = load(path), load_extra(path).get("table")
        if found is None:
            raise ValueError(f"{os.fspath(path)!r} holds a {type(network).__name__} without the columns that it reads: "
                             "only what python3 -m nn has saved has them; use nn.load from Python")
        try:
            columns = tuple(_column(**column) for column in found["columns"])
            goal = None if found["goal"] is None else Standardizer.of(**found["goal"])
            model = cls(network, columns, _text(found["target"]), tuple(map(_text, found["classes"])),
                        Standardizer.of(**found["rows"]), goal)
            d = len(model.features)
            shape = np.shape(predict(network, [[0.0] * d]))[1:]
            if model.rows.mean.shape != (d,) or shape != ((len(model.classes),) if model.classes else ()):
                raise ValueError(f"{d} features, {model.rows.mean.shape} means, {len(model.classes)} classes and outputs of "
                                 f"shape {shape} do not fit together")
            if (goal is None) != bool(model.classes) or (goal is not None and goal.mean.shape != ()):
                raise ValueError("a model has either classes or a standardised target")
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"{os.fspath(path)!r} has no sound description of its columns: {type(error).__name__}: {error}"
                             ) from error
        return model

    def __repr__(self) -> str:
        what = f"{self.target} (one of {', '.join(self.classes)})" if self.classes else f"{self.target} (a number)"
        return f"{what} from {', '.join([column.name for column in self.columns])}\n{self.network!r}"


def _numbers(standard: Standardizer) -> dict[str, Any]:
    return {"mean": standard.mean.tolist(), "scale": standard.scale.tolist()}


def _column(name: str, categories: list[str], onehot: bool, fill: str | None) -> Column:
    return Column(_text(name), tuple(map(_text, categories)), bool(onehot), None if fill is None else _text(fill))


def _text(x: object) -> str:
    if not isinstance(x, str):
        raise TypeError(f"{bounded(x)} is no text")
    return x
