"""The accuracies that this package reaches on rows that it was not trained on: `python3 -m nn --report`.

split    one quarter of the rows, drawn by class with seed 0, is held out; the other three are trained on
5-fold   of small tables, where a quarter is few rows (one of iris's 38 is 2.6 %): five trainings, each on four fifths
         of the rows, drawn by class with seed 0, so that every row is held out once

The settings were chosen among the training rows of the split, with vectorised networks of the same kind: by the lowest
cross-entropy in cross-validation there, over hidden layers of 0, 8 and 16, lr 0.003 to 0.1, 10 to 100 epochs and l2 of 0,
0.1 and 1; for digits by the highest accuracy in three folds of them, over epochs, lr, l2 and with or without the training
images moved by one pixel. The goal is compared with the five folds where there are such, else with the split.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data.datasets import Array
from ..data.rows import DATASETS, Standardizer, make_moons, train_test_split
from ..layers import MLP
from ..lectures.networks import LeNet
from ..module import Module
from ..schedules import CosineAnnealingLR
from ..training.estimators import NeuralNetClassifier
from ..training.loop import fit
from ..training.scores import accuracy, confusion_matrix

__all__ = ["TRIALS", "Trial", "report", "scores"]


@dataclass(frozen=True)
class Trial:
    """A line of the report: what is trained on which data, the accuracy to reach, and how to reach it.

    run   from (X_train, X_held, y_train, y_held) to the accuracy on the held-out rows
    """

    data: str
    model: str
    goal: float
    run: Callable[[Array, Array, Array, Array], float]
    folds: int = 5

    def rows(self) -> tuple[Array, Array]:
        """All rows and their classes."""
        if self.data == "moons":
            return make_moons(400, noise=0.1, rng=0)
        data = DATASETS[self.data]()
        return data.X, data.y

    def line(self, clock: Callable[[], float] = time.perf_counter) -> str:
        """The line: data, model, rows, goal, accuracy in the split and in the folds, seconds of one training."""
        X, y = self.rows()
        start = clock()
        split = self.run(*train_test_split(X, y, test=0.25, rng=0, stratify=True))
        seconds, fold = clock() - start, folds(y, self.folds)
        parts = [(self.run(X[fold != k], X[fold == k], y[fold != k], y[fold == k]), int((fold == k).sum()))
                 for k in range(self.folds)]
        mean = sum([a * n for a, n in parts]) / len(y) if parts else None
        return (f"{self.data:<7}{self.model:<32}{len(y):>5}{self.goal:>6.2f}{split:>7.4f}"
                f"{'—' if mean is None else format(mean, '.4f'):>7}{seconds:>8.1f}"
                f"{'' if (split if mean is None else mean) >= self.goal else ' missed'}")


def folds(y: Array, k: int, rng: int = 0) -> Array:
    """The fold, 0 … k−1, of every row: of each class as many in one as in another.

    >>> folds(np.array([0, 0, 1, 1]), 2).reshape(2, 2).sum(axis=1).tolist()
    [1, 1]
    """
    generator, fold, dealt = np.random.default_rng(rng), np.full(len(y), -1), 0
    for c in np.unique(y) if k else ():
        rows = generator.permutation(np.flatnonzero(y == c))
        fold[rows] = (np.arange(len(rows)) + dealt) % k
        dealt += len(rows)   # the next class goes on where this one ended, so that the folds are of one size
    return fold


def perceptron(**settings: Any) -> Callable[[Array, Array, Array, Array], float]:
    """Train a NeuralNetClassifier of these settings."""
    def run(X: Array, X_held: Array, y: Array, y_held: Array) -> float:
        return NeuralNetClassifier(random_state=0, batch_size=16, **settings).fit(X, y).score(X_held, y_held)
    return run


def of_digits(network: Callable[[], Module], epochs: int, **settings: Any) -> Callable[[Array, Array, Array, Array], float]:
    """Train it on standardised images and the same moved by a pixel, with a learning rate that falls to 0."""
    def run(X: Array, X_held: Array, y: Array, y_held: Array) -> float:
        X, model = shifted(X), network()
        standard = Standardizer().fit(X)
        fit(model, standard.transform(X), np.tile(y, 5), loss="cross_entropy", optimizer="adam", epochs=epochs, rng=0,
            schedule=lambda optimizer: CosineAnnealingLR(optimizer, epochs), verbose=False, **settings)
        return accuracy(model, standard.transform(X_held), y_held)
    return run


def shifted(X: Array) -> Array:
    """Images of 8×8 pixels, rows of 64, followed by all of them moved by a pixel right, left, down and up: five times as many.

    >>> shifted(np.eye(1, 64)).argmax(axis=1).tolist()   # what leaves the image is lost
    [0, 1, 0, 8, 0]
    """
    images = np.pad(X.reshape(-1, 8, 8), ((0, 0), (1, 1), (1, 1)))
    return np.concatenate([images[:, 1 - r:9 - r, 1 - q:9 - q].reshape(-1, 64)
                           for r, q in ((0, 0), (0, 1), (0, -1), (1, 0), (-1, 0))])


MLP_OF_DIGITS: dict[str, Any] = {"layers": (32,), "activation": "relu", "epochs": 60, "lr": 0.01, "batch_size": 32, "l2": 0.1}
CNN_OF_DIGITS: dict[str, Any] = {"epochs": 25, "lr": 0.01, "batch_size": 32, "l2": 0.1}
_OF_STEPS = ("epochs", "lr", "batch_size", "l2")
TRIALS = (
    Trial("iris", "MLP 4-16-3, tanh", 0.95, perceptron(hidden=(16,), lr=0.03, epochs=100, l2=0.1)),
    Trial("wine", "MLP 13-16-3, tanh", 0.95, perceptron(hidden=(16,), lr=0.01, epochs=20)),
    Trial("cancer", "softmax regression 30-2", 0.96, perceptron(hidden=(), lr=0.01, epochs=20, l2=0.1)),
    Trial("moons", "MLP 2-8-2, tanh", 0.99, perceptron(hidden=(8,), lr=0.1, epochs=60)),
    Trial("digits", "softmax regression 64-10", 0.93, perceptron(hidden=(), lr=0.01, epochs=20), folds=0),
    Trial("digits", "MLP 64-32-10, relu, moved images", 0.97,
          of_digits(lambda: MLP(64, [32, 10], init="xavier", rng=0), **{k: MLP_OF_DIGITS[k] for k in _OF_STEPS}), folds=0),
    Trial("digits", "LeNet, moved images", 0.97, of_digits(lambda: LeNet(rng=0), **CNN_OF_DIGITS), folds=0),
)


def report(trials: tuple[Trial, ...] = TRIALS) -> Iterator[str]:
    """The lines of the table, each when its training is done."""
    yield f"{'data':<7}{'model':<32}{'rows':>5}{'goal':>6}{'split':>7}{'5-fold':>7}{'seconds':>8}"
    for trial in trials:
        yield trial.line()


def scores(classes: Sequence[str], y: Array, outputs: Array, columns: int | None = None) -> Iterator[str]:
    """What is printed about held-out rows: accuracy and confusion matrix, or RMSE and R².

    A matrix wider than `columns`, if they are given, is printed in parts, one below the other.
    """
    if classes:
        found = outputs.argmax(axis=1)
        right = int((found == y).sum())
        yield f"held-out accuracy: {right / len(y):.3f} ({right} of {len(y)} rows)"
        yield "confusion matrix, a row for each true class, a column for each predicted one:"
        counts = confusion_matrix(y.tolist(), found.tolist(), len(classes))
        cells = [["", *classes], *[[name, *map(str, row)] for name, row in zip(classes, counts, strict=True)]]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        for part in _parts(widths, columns):
            for row in cells:
                yield "  ".join([row[0].ljust(widths[0]), *[row[k].rjust(widths[k]) for k in part]])
    else:
        rest, total = float(((y - outputs) ** 2).sum()), float(((y - y.mean()) ** 2).sum())
        yield f"held-out RMSE: {(rest / len(y)) ** 0.5:.4g}"
        yield f"held-out R2: {1 - rest / total:.3f}" if total else "held-out R2: none, since the held-out targets are all equal"


def _parts(widths: Sequence[int], columns: int | None) -> Iterator[range]:
    """The columns of a table after the first, in as many parts as it takes for each to fit beside the first."""
    start, used = 1, widths[0]
    for k in range(1, len(widths)):
        used += 2 + widths[k]
        if columns is not None and used > columns and k > start:
            yield range(start, k)
            start, used = k, widths[0] + 2 + widths[k]
    yield range(start, len(widths))
