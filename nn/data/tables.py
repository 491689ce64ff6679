"""A CSV file as cells, and how its columns become numbers.

Cells holds them as they were written; a Column tells how to encode one of them, learned from the rows of one
file and applied to any other: a model that was trained on a file reads the next one by the same columns.
"""

from __future__ import annotations

import csv
import io
import math
import os
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import numpy.typing as npt

from autograd.command.columns import DataError

__all__ = ["Cells", "Column", "DataError"]

Source = str | os.PathLike[str] | TextIO
MISSING = frozenset({"", "NA", "N/A", "NaN", "nan", "?"})


@dataclass(frozen=True)
class Column:
    """How a column becomes features.

    categories  the words it may hold; () for a column of numbers
    onehot      whether each category is a feature of its own, or the column is the category's index
    fill        the cell that stands in for one that is missing

    >>> Column("Thal", ("fixed", "normal")).features
    ('Thal=fixed', 'Thal=normal')
    >>> Column("Thal", ("fixed", "normal")).encode("normal", "line 2")
    [0.0, 1.0]
    """

    name: str
    categories: tuple[str, ...] = ()
    onehot: bool = True
    fill: str | None = None

    @property
    def features(self) -> tuple[str, ...]:
        """The names of its features."""
        return tuple(f"{self.name}={word}" for word in self.categories) if self.categories and self.onehot else (self.name,)

    def encode(self, cell: str, where: str) -> list[float]:
        """The features of a cell. DataError, which says `where`, if it is missing, not a number, or an unknown category."""
        if cell in MISSING:
            if self.fill is None:
                raise DataError(f"{where}: the value is missing ({cell!r}); drop such rows or fill them in")
            cell = self.fill
        if not self.categories:
            x = _number(cell)
            if not math.isfinite(x):
                raise DataError(f"{where}: {cell[:60]!r} is not a {'finite ' if x == x else ''}number")
            return [x]
        if cell not in self.categories:
            raise DataError(f"{where}: {cell[:60]!r} is none of its categories {_listed(self.categories)}")
        place = self.categories.index(cell)
        return [float(i == place) for i in range(len(self.categories))] if self.onehot else [float(place)]


@dataclass(frozen=True)
class Cells:
    """The cells of a file: its `source` for messages, the columns' names, and the rows with their line numbers."""

    source: str
    names: list[str]
    lines: list[int]
    rows: list[list[str]]

    @classmethod
    def read(cls, source: Source) -> Cells:
        """Read a file whose first line names the columns. DataError if it is not a table, naming the line."""
        name = os.fspath(source) if isinstance(source, str | os.PathLike) else str(getattr(source, "name", "the table"))
        try:
            text = Path(source).read_text(encoding="utf-8") if isinstance(source, str | os.PathLike) else source.read()
            text = text.removeprefix("\ufeff")
            first = re.sub('"[^"]*"', "", text.partition("\n")[0])
            reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=first.count), skipinitialspace=True,
                                strict=True)
            head = [cell.strip() for cell in next(reader, [])]
            lines, rows = [], []
            for cells in reader:
                if not cells:
                    continue
                if len(cells) != len(head):
                    raise DataError(f"{name}, line {reader.line_num}: {len(cells)} cells, but the header has {len(head)}")
                lines.append(reader.line_num)
                rows.append([cell.strip() for cell in cells])
        except (OSError, UnicodeError, csv.Error) as error:
            raise DataError(f"{name}: {error.strerror if isinstance(error, OSError) else error}") from None
        if head[:1] == [""] and len(head) > 1:   # row names, as R and pandas write them
            head, rows = head[1:], [row[1:] for row in rows]
        for place, column in enumerate(head):
            if not column or head.count(column) > 1:
                fault = f"{column!r} stands twice" if column else f"{place + 1} has no name"
                raise DataError(f"{name}, line 1: column {fault}; the columns are {_listed(head)}")
        if not rows:
            raise DataError(f"{name}: no rows below the header" if head else f"{name}: the file is empty")
        return cls(name, head, lines, rows)

    def place(self, name: str) -> int:
        """Where a column stands. DataError if there is none of that name."""
        if name not in self.names:
            raise DataError(f"{self.source}: no column {name!r}; the columns are {_listed(self.names)}")
        return self.names.index(name)

    def of(self, name: str) -> Iterator[tuple[str, str]]:
        """The cells of a column, each with the words that say where it is."""
        place = self.place(name)
        for line, row in zip(self.lines, self.rows, strict=True):
            yield row[place], f"{self.source}, line {line}, column {name!r}"

    def without(self, names: Collection[str]) -> Cells:
        """The cells without some columns."""
        kept = [i for i, name in enumerate(self.names) if name not in names]
        return Cells(self.source, [self.names[i] for i in kept], self.lines, [[row[i] for i in kept] for row in self.rows])

    def missing(self) -> dict[str, int]:
        """How many cells are missing, by column; columns that lack none are not listed."""
        counts = {name: sum(cell in MISSING for cell, _ in self.of(name)) for name in self.names}
        return {name: count for name, count in counts.items() if count}

    def complete(self) -> Cells:
        """The rows without a missing cell. DataError if there is none."""
        kept = [i for i, row in enumerate(self.rows) if not MISSING.intersection(row)]
        if not kept:
            raise DataError(f"{self.source}: every row has a missing cell; {self.missing()} are missing")
        return Cells(self.source, self.names, [self.lines[i] for i in kept], [self.rows[i] for i in kept])

    def column(self, name: str, categories: Sequence[str] | None = None, onehot: bool = True, fill: bool = False) -> Column:
        """How to encode a column, from what it holds.

        Numbers if more than half of its cells are numbers, so that a word among them is an error. `categories` makes it
        categories, in the order given or, if that is empty, sorted. With `fill` missing cells get the mean or the mode.
        """
        cells = [(cell, where) for cell, where in self.of(name) if cell not in MISSING]
        if not cells:
            raise DataError(f"{self.source}: column {name!r} holds nothing; ignore it")
        words = [(cell, where) for cell, where in cells if math.isnan(_number(cell))]
        if categories is None and 2 * len(words) < len(cells):
            for cell, where in words[:1]:
                raise DataError(f"{where}: {cell[:60]!r} is a word, but most of the column is numbers; correct it, or say that "
                                f"{name!r} holds categories")
            mean = math.fsum(x for cell, where in cells for x in Column(name).encode(cell, where)) / len(cells)
            return Column(name, fill=repr(mean) if fill else None)
        counts = Counter(cell for cell, _ in cells)
        if categories is None and len(counts) > max(10, len(cells) // 2):
            raise DataError(f"{self.source}: column {name!r} holds {len(counts)} different words in {len(cells)} rows, "
                            "too many to learn from; ignore it, or say that it holds categories")
        found = tuple(categories or ()) or tuple(sorted(counts, key=lambda word: (_number(word), word)
                                                        if not words else (0.0, word)))
        return Column(name, found, onehot, max(found, key=lambda word: counts[word]) if fill else None)

    def encode(self, columns: Sequence[Column]) -> npt.NDArray[np.float64]:
        """The rows as numbers, shape (rows, features): each column by its own rule, found by its name."""
        parts = [[column.encode(cell, where) for cell, where in self.of(column.name)] for column in columns]
        return np.concatenate([np.empty((len(self.rows), 0)), *[np.array(part) for part in parts]], axis=1)


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return math.nan


def _listed(names: Sequence[Any], limit: int = 20) -> str:
    return ", ".join(map(repr, names[:limit])) + ", …" * (len(names) > limit)
