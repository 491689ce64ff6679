"""Columns of numbers from a CSV file, for the command line; what is wrong is named by line, column and text."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path

__all__ = ["DataError", "read_columns"]


class DataError(ValueError):
    """A file that is not a table of numbers."""


def read_columns(path: str, wanted: Sequence[str], given: Sequence[str] = ()) -> list[dict[str, float]]:
    """The rows of a CSV file (comma, semicolon or tab; a header line; UTF-8) as {column: number}, `wanted` columns only.

    Raises DataError if a wanted column is missing or stands twice, if it is also `given` elsewhere, for a row with
    more or fewer cells than the header, an empty cell, a word or nan where a number should be, and a file without rows.
    """
    try:
        with Path(path).open(newline="", encoding="utf-8-sig") as file:
            first = file.readline()
            file.seek(0)
            delimiter = max(",;\t", key=first.count)
            reader = csv.reader(file, delimiter=delimiter, skipinitialspace=True, strict=True)
            head = [name.strip() for name in next(reader, [])]
            _check_head(path, head, wanted, given)
            place = {name: head.index(name) for name in wanted}
            rows = []
            for cells in reader:
                where = f"{path}, line {reader.line_num}"
                if not cells:
                    continue
                if len(cells) != len(head):
                    raise DataError(f"{where}: {len(cells)} cells, but the header has {len(head)}")
                rows.append({name: _number(cells[i], f"{where}, column {name!r}") for name, i in place.items()})
    except (OSError, UnicodeError, csv.Error) as error:
        raise DataError(f"{path}: {error.strerror if isinstance(error, OSError) else error}") from None
    if not rows:
        raise DataError(f"{path}: no rows below the header")
    return rows


def _check_head(path: str, head: Sequence[str], wanted: Sequence[str], given: Sequence[str]) -> None:
    for name in wanted:
        if head.count(name) != 1:
            raise DataError(f"{path}: column {name!r} {'is missing' if name not in head else 'stands twice'}; "
                            f"its columns are {', '.join(map(repr, head[:20]))}{', …' * (len(head) > 20)}")
    for name in given:
        if name in head:
            raise DataError(f"{path}: {name!r} is a column and also given as {name}=…: rename one of them")


def _number(cell: str, where: str) -> float:
    text = cell.strip()
    if not text:
        raise DataError(f"{where}: the cell is empty")
    try:
        x = float(text)
    except ValueError:
        x = math.nan
    if not math.isfinite(x):
        raise DataError(f"{where}: {text[:60]!r} is not a number")
    return x
