"""Data: tables from CSV files, and what is done to rows before training.

X    features, a float array of shape (n, d): n rows (examples), d columns
y    targets, shape (n,): class indices 0…k−1, or floats for regression
rng  a numpy.random.Generator, a seed, or None for fresh entropy: the same seed gives the same numbers
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from .datasets import (
    DATASETS,
    Array,
    Dataset,
    Rng,
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
    load_wine,
    make_circles,
    make_moons,
)
from .examples import Examples
from .tables import Cells, DataError, Source

__all__ = ["DATASETS", "DataError", "Dataset", "Standardizer", "load_breast_cancer", "load_csv", "load_diabetes", "load_digits",
           "load_iris", "load_wine", "make_circles", "make_moons", "mini_batches", "one_hot", "train_test_split"]


def load_csv(source: Source, target: str | None = None, categorical: str = "onehot", missing: str = "error",
             categories: Mapping[str, Sequence[str]] | None = None, ignore: Collection[str] = ()) -> Dataset:
    """A CSV file (comma, semicolon or tab; a header line; UTF-8) as numbers; `source` is a path or an open text file.

    target       the column to predict, the last one by default: words make a classification, numbers a regression
    categorical  "onehot" makes a feature of each category, called ChestPain=typical; "ordinal" makes the column its index
    missing      what to do about a cell that is empty, NA, N/A, NaN or ?: "error", "drop" its row, or "mean", which fills
                 in the mean of a column of numbers and the most frequent category of another; never in the target
    categories   columns to take as categories even if they are numbers, with the order of the categories, () for sorted
    ignore       columns to leave out; a first column without a name, the row names of R and pandas, is left out anyway

    Raises DataError, a ValueError that names the line and the column: for a cell that is missing, a word among numbers, an
    unknown target, a column that stands twice, rows of different lengths, a column of words that hardly ever repeat.

    >>> from io import StringIO
    >>> heart = load_csv(StringIO("Age,ChestPain,AHD\\n63,typical,No\\n67,asymptomatic,Yes\\n"))
    >>> heart.feature_names, heart.classes
    (('Age', 'ChestPain=asymptomatic', 'ChestPain=typical'), ('No', 'Yes'))
    >>> heart.X.tolist(), heart.y.tolist()
    ([[63.0, 0.0, 1.0], [67.0, 1.0, 0.0]], [0, 1])
    """
    for word, known in ((categorical, ("onehot", "ordinal")), (missing, ("error", "drop", "mean"))):
        if word not in known:
            raise ValueError(f"load_csv: {word!r} is none of {', '.join(map(repr, known))}")
    cells = Cells.read(source)
    for name in (*(categories or ()), *ignore, *([] if target is None else [target])):
        cells.place(name)
    target = cells.names[-1] if target is None else target
    if target in ignore:
        raise DataError(f"{cells.source}: {target!r} is the target and cannot be ignored")
    cells = cells.without(ignore)
    lacking = cells.missing()
    if missing == "drop":
        cells = cells.complete()
    columns = {name: cells.column(name, (categories or {}).get(name), onehot=categorical == "onehot" and name != target,
                                  fill=missing == "mean" and name != target) for name in cells.names}
    goal = columns.pop(target)
    if not columns:
        raise DataError(f"{cells.source}: no column is left to predict {target!r} from")
    y = cells.encode([goal])[:, 0]
    features = tuple(feature for column in columns.values() for feature in column.features)
    return Dataset(cells.encode(list(columns.values())), y.astype(int) if goal.categories else y, features, target,
                   goal.categories, tuple(columns.values()), lacking)


class Standardizer:
    """z = (x − mean) / scale, column by column, with the mean and the standard deviation of the rows it was fitted to.

    A constant column has scale 1, so it becomes 0.

    >>> standard = Standardizer().fit([[1, 7], [3, 7]])
    >>> standard.transform([[1, 7], [5, 8]]).tolist()
    [[-1.0, 0.0], [3.0, 1.0]]
    >>> standard.inverse([[3, 1]]).tolist()
    [[5.0, 8.0]]
    """

    mean: Array
    scale: Array

    @classmethod
    def of(cls, mean: npt.ArrayLike, scale: npt.ArrayLike) -> Standardizer:
        """One with this mean and this scale. ValueError unless they are finite, of one shape, and every scale > 0."""
        made = cls()
        made.mean, made.scale = np.array(mean, dtype=float), np.array(scale, dtype=float)
        if made.mean.shape != made.scale.shape or not (np.isfinite([made.mean, made.scale]).all() and (made.scale > 0).all()):
            raise ValueError("Standardizer: mean and scale must be finite, of one shape, and every scale positive")
        return made

    def fit(self, X: npt.ArrayLike) -> Standardizer:
        """Learn from the rows of X, shape (n, d) with n ≥ 1; also from (n,) numbers. ValueError unless all are finite."""
        rows = Examples.of(X).X
        unit = np.ldexp(1.0, np.frexp(np.abs(rows).max(axis=0))[1] - 1)   # a power of two, exact: no square overflows
        parts = rows / unit
        self.mean = np.where(np.ptp(parts, axis=0) == 0, rows[0], parts.mean(axis=0) * unit)
        self.scale = np.where(np.ptp(parts, axis=0) == 0, 1.0, parts.std(axis=0) * unit)
        return self

    def transform(self, X: npt.ArrayLike) -> Array:
        """The rows, standardised. ValueError if they have another number of columns."""
        rows = np.asanyarray(X, dtype=float)   # what is masked stays masked
        if rows.shape[1:] != self.mean.shape:
            raise ValueError(f"Standardizer of shape {self.mean.shape} given rows of shape {rows.shape[1:]}")
        result: Array = (rows - self.mean) / self.scale
        return result

    def inverse(self, Z: npt.ArrayLike) -> Array:
        """The rows from which `transform` made Z."""
        result: Array = np.asarray(Z, dtype=float) * self.scale + self.mean
        return result


def one_hot(y: npt.ArrayLike, k: int | None = None) -> Array:
    """Class indices as rows of zeros with a single 1 (the lectures' 1-of-K); shape (n, k). ValueError outside 0…k−1.

    >>> one_hot([0, 2, 1]).tolist()
    [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0]]
    """
    given = np.asarray(y)
    indices = given.astype(int)
    k = (int(indices.max(initial=-1)) + 1) if k is None else k
    for i in np.flatnonzero((indices != given) | (indices < 0) | (indices >= k))[:1]:
        raise ValueError(f"one_hot: y[{i}] = {given[i]} is not one of the classes 0…{k - 1}")
    result: Array = np.eye(k)[indices]
    return result


def train_test_split(X: npt.ArrayLike, y: npt.ArrayLike, test: float | int = 0.25, rng: Rng = None,
                     stratify: bool = False) -> tuple[Array, Array, Array, Array]:
    """X_train, X_test, y_train, y_test: rows drawn without replacement, as scikit-learn's.

    `test` is a fraction of the rows, or a number of rows if it is an int. With `stratify` each class gives its share,
    but keeps a row for training. ValueError if either part would be empty.

    >>> a, b, c, d = train_test_split(range(8), [0, 1] * 4, test=0.5, rng=0, stratify=True)
    >>> len(a), sorted(d.tolist())
    (4, [0, 0, 1, 1])
    """
    rows, targets = np.asanyarray(X), np.asanyarray(y)   # what is masked stays masked
    n = len(targets)
    if len(rows) != n:
        raise ValueError(f"train_test_split: {len(rows)} rows in X, but {n} in y")
    size = test if isinstance(test, int) else round(test * n)
    if not 0 < size < n:
        raise ValueError(f"train_test_split(test={test!r}) of {n} rows leaves a part empty: 0 < test < {n}, or a fraction")
    order = np.random.default_rng(rng).permutation(n)
    held = np.zeros(n, dtype=bool)
    held[order[:size]] = True
    if stratify:
        labels, member, count = np.unique(targets, return_inverse=True, return_counts=True)
        if size > n - len(labels):
            raise ValueError(f"train_test_split: {size} test rows of {n} leave a class without a row to train on")
        quota = np.minimum(count * size // n, count - 1)
        while quota.sum() < size:                              # the largest remainder first
            quota[np.argmax(np.where(quota < count - 1, count * size / n - quota, -np.inf))] += 1
        held = np.zeros(n, dtype=bool)
        for c, k in enumerate(quota):
            held[order[member[order] == c][:k]] = True
    training, testing = order[~held[order]], order[held[order]]
    return rows[training], rows[testing], targets[training], targets[testing]


def mini_batches(n: int, size: int | None = None, rng: Rng = None) -> Iterator[Array]:
    """The indices 0…n−1 of one epoch, shuffled, `size` at a time; the last batch may be smaller, None is the full batch.

    >>> [len(batch) for batch in mini_batches(10, 4, rng=0)]
    [4, 4, 2]
    """
    if size is not None and size < 1:
        raise ValueError(f"mini_batches(size={size!r}): a batch has at least one row")
    order = np.random.default_rng(rng).permutation(n)
    for start in range(0, n, size or max(n, 1)):
        yield order[start:start + (size or n)]
