"""Examples: input checks, tables from files, data sets. It needs nothing of the other wings."""

from .rows import (
    DATASETS,
    Dataset,
    Standardizer,
    load_breast_cancer,
    load_csv,
    load_diabetes,
    load_digits,
    load_iris,
    load_wine,
    make_circles,
    make_moons,
    mini_batches,
    one_hot,
    train_test_split,
)
from .tables import DataError

__all__ = [
    "DATASETS", "DataError", "Dataset", "Standardizer", "load_breast_cancer", "load_csv", "load_diabetes", "load_digits",
    "load_iris", "load_wine", "make_circles", "make_moons", "mini_batches", "one_hot", "train_test_split",
]
