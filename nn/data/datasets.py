"""Data sets: the well-known ones, and points in the plane that no line separates.

X    features, a float array of shape (n, d): n rows (examples), d columns
y    targets, shape (n,): class indices 0…k−1, or floats for regression
rng  a numpy.random.Generator, a seed, or None for fresh entropy: the same seed gives the same numbers
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from .tables import Column

__all__ = ["DATASETS", "Dataset", "load_breast_cancer", "load_diabetes", "load_digits", "load_iris", "load_wine",
           "make_circles", "make_moons"]

Array = npt.NDArray[Any]
Rng = np.random.Generator | int | None


@dataclass(frozen=True, repr=False)
class Dataset:
    """Features and target of n rows, with their names. `classes` holds the names of the classes; it is () for regression.

    `columns` tells how a file's columns became features, and `missing` how many cells each column lacked.
    """

    X: Array
    y: Array
    feature_names: tuple[str, ...]
    target_name: str
    classes: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    missing: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.X)

    def __repr__(self) -> str:
        names = ", ".join(self.classes[:4]) + ", …" * (len(self.classes) > 4) if self.classes else "a number"
        return f"Dataset({len(self)} rows, {len(self.feature_names)} features, {self.target_name}: {names})"


def load_iris() -> Dataset:
    """Fisher's irises: 150 rows, 4 features, 3 species. ImportError without scikit-learn (extra `data`)."""
    return _from_sklearn("iris", "species")


def load_digits() -> Dataset:
    """Handwritten digits: 1797 rows of 8×8 pixels from 0 to 16, row by row, 10 classes. ImportError without scikit-learn."""
    return _from_sklearn("digits", "digit")


def load_breast_cancer() -> Dataset:
    """Breast cancer, Wisconsin: 569 rows, 30 features, malignant or benign. ImportError without scikit-learn."""
    return _from_sklearn("breast_cancer", "diagnosis")


def load_wine() -> Dataset:
    """Wines of three cultivars: 178 rows, 13 features, 3 classes. ImportError without scikit-learn."""
    return _from_sklearn("wine", "cultivar")


def load_diabetes() -> Dataset:
    """Diabetes: 442 rows, 10 features, how far the disease went in a year (regression). ImportError without scikit-learn."""
    return _from_sklearn("diabetes", "progression")


DATASETS: dict[str, Callable[[], Dataset]] = {
    "iris": load_iris, "digits": load_digits, "cancer": load_breast_cancer, "wine": load_wine, "diabetes": load_diabetes}


def _from_sklearn(name: str, target: str) -> Dataset:
    try:
        from sklearn import datasets
    except ImportError as error:
        raise ImportError(f"the data set {name!r} comes with scikit-learn, which is not installed: "
                          "pip install 'xigrad[data]'") from error
    found = getattr(datasets, f"load_{name}")()
    classes = tuple(str(label) for label in found.target_names) if "target_names" in found else ()
    names = tuple(str(name) for name in found.feature_names)
    return Dataset(found.data.astype(float), found.target.astype(int if classes else float), names, target, classes,
                   tuple(Column(name) for name in names))


def make_moons(n: int = 100, noise: float = 0.0, rng: Rng = None) -> tuple[Array, Array]:
    """Two interleaving half circles, as scikit-learn's: X of shape (n, 2) and classes y, in random order.

    `noise` is the standard deviation of the Gaussian that is added to every coordinate.

    >>> X, y = make_moons(200, noise=0.1, rng=0)
    >>> X.shape, int(y.sum())
    ((200, 2), 100)
    """
    angles = np.concatenate([np.linspace(0, np.pi, n // 2), np.linspace(0, np.pi, n - n // 2)])
    y = (np.arange(n) >= n // 2).astype(int)
    X = np.column_stack([np.cos(angles), np.sin(angles)])
    X[y == 1] = np.array([1.0, 0.5]) - X[y == 1]
    return _scattered(X, y, noise, rng)


def make_circles(n: int = 100, noise: float = 0.0, factor: float = 0.5, rng: Rng = None) -> tuple[Array, Array]:
    """A circle of radius 1 (class 0) around one of radius `factor` (class 1): no line separates them.

    >>> X, y = make_circles(100, factor=0.3, rng=0)
    >>> [float(round(abs(x @ x) ** 0.5, 12)) for x in (X[y == 0][0], X[y == 1][0])]
    [1.0, 0.3]
    """
    if not 0 <= factor < 1:
        raise ValueError(f"make_circles(factor={factor!r}): the inner circle's radius is at least 0 and below 1")
    angles = np.concatenate([np.linspace(0, 2 * np.pi, k, endpoint=False) for k in (n // 2, n - n // 2)])
    y = (np.arange(n) >= n // 2).astype(int)
    X = np.where(y == 1, factor, 1.0)[:, None] * np.column_stack([np.cos(angles), np.sin(angles)])
    return _scattered(X, y, noise, rng)


def _scattered(X: Array, y: Array, noise: float, rng: Rng) -> tuple[Array, Array]:
    generator = np.random.default_rng(rng)
    order = generator.permutation(len(y))
    return (X + generator.normal(scale=noise, size=X.shape))[order], y[order]
