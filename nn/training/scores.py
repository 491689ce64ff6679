"""What a model gives and how good it is: predictions, the loss that suits the targets, accuracy, confusion matrix."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from autograd import errstate, no_grad
from autograd.conversion import bounded

from ..data.examples import Examples
from ..labels import class_of
from ..losses import LOSSES, OUTPUT_UNITS, Loss
from ..module import Module
from .compilation import CompiledDescent, eager_forward, forward, plain
from .gradients import loss_of

__all__ = ["Metric", "accuracy", "choose_loss", "confusion_matrix", "evaluate", "metrics_by_name", "outputs", "predict"]

Metric = Callable[[list[Any], list[Any]], float]   # (outputs, targets) → a number


def predict(model: Module, X: Any) -> list[Any]:
    """What the model computes of every row of X, as a float or a list of floats: of a classifier logits, and not classes.
    Nothing is recorded.

    Classes are what the lectures' models say themselves, `model.predict(X)`, and what `accuracy` counts. Of many rows the
    outputs are computed by a compiled graph, if the model has one for all rows: to 1e-12 the same numbers.

    >>> from nn import LogisticRegression
    >>> model, X = LogisticRegression(1), [[0.0], [1.0]]
    >>> model.theta = [-1.0, 3.0]
    >>> predict(model, X), model.predict(X)
    ([-1.0, 2.0], array([0, 1]))
    """
    return listed(outputs(model, Examples.of(X)))


def outputs(model: Module, examples: Examples) -> Any:
    """The same as an array, if it was computed as one, else as a list."""
    return forward(model, examples)(examples)


def choose_loss(model: Module, examples: Examples, loss: str | Loss = "auto") -> tuple[Loss, Examples, str]:
    """(the loss, the examples with targets as it takes them, its name) for a model.

    "auto" takes the output unit that the model says (`unit`), else it is told by the outputs and targets: one output
    and only 0 and 1 → binary, several outputs and class indices or one-hot rows → discrete, else continuous. Its loss is
    that of `OUTPUT_UNITS`, for logits. A model that ends in sigmoids asks one yes or no of each output: its loss is
    binary_cross_entropy, summed over them (CS539's one-vs-rest), for rows of any zeros and ones too.
    """
    with no_grad(), errstate(invalid="ignore", divide="ignore"):
        output = plain(model(examples.row(0)))
    y, width = examples.y, len(output) if isinstance(output, list) else 1
    classes = width > 1 and y.ndim == 1 and bool((y == np.trunc(y)).all())
    if classes:
        for i in np.flatnonzero((y < 0) | (y >= width))[:1]:
            raise ValueError(f"y[{i}] is the class {y[i]:g}, but the model has the outputs 0 to {width - 1}: "
                             "count classes from 0, and give the model one output for each")
        examples = replace(examples, y=y.astype(np.int64))
    if loss == "auto":
        sigmoids, bits = ends_in_sigmoid(model), bool(((y == 0) | (y == 1)).all())
        binary = bits and (y.ndim == 1 if width == 1 else sigmoids and y.shape[1:] == (width,))
        discrete = classes or (width > 1 and examples.one_hot(width))
        unit = getattr(model, "unit", "binary" if binary else "discrete" if discrete else "continuous")
        loss = "binary_cross_entropy" if sigmoids and unit != "continuous" else OUTPUT_UNITS[unit].loss
    if isinstance(loss, str):
        if loss not in LOSSES:
            raise ValueError(f"fit(loss={bounded(loss)}): there are auto, {', '.join(LOSSES)}, or give a function")
        return LOSSES[loss], examples, loss
    return loss, examples, getattr(loss, "__name__", type(loss).__name__)


def ends_in_sigmoid(model: Module) -> bool:
    """Whether the last units are sigmoids, so that the outputs are probabilities and no logits."""
    while getattr(model, "modules", None):
        model = model.modules[-1]  # type: ignore[attr-defined]
    return getattr(model, "output", getattr(model, "activation", None)) in ("sigmoid", "logistic")


def metrics_by_name(metrics: Sequence[str] | Mapping[str, Metric] | None, model: Module, examples: Examples
                    ) -> dict[str, Metric]:
    """{name: function}; "accuracy" is known by its name."""
    if isinstance(metrics, Mapping):
        return dict(metrics)
    for name in metrics or ():
        if name != "accuracy":
            raise ValueError(f"fit(metrics=[{bounded(name)}]): by name there is 'accuracy'; give others as {{name: function}}")
    several, threshold = _several(examples), 0.5 if ends_in_sigmoid(model) else 0.0

    def accuracy_of(outputs: list[Any], y: list[Any]) -> float:
        return _agreement(outputs, y, threshold, several)
    return {"accuracy": accuracy_of} if metrics else {}


def evaluate(model: Module, loss: Loss | None, examples: Examples | None, metrics: Mapping[str, Metric],
             epoch: int = 0, compiled: CompiledDescent | None = None) -> dict[str, float]:
    """The mean loss (unless `loss` is None) and the metrics of the examples, without recording; by `compiled` graphs, if any.

    FloatingPointError naming the epoch and the example if its loss is nan or infinite.
    """
    if examples is None or (loss is None and not metrics):
        return {}
    found: dict[str, float] = {}
    given = None
    with no_grad(), errstate(invalid="ignore", divide="ignore"):
        mean = compiled.mean_loss(examples) if compiled and loss else None
        if loss is not None and mean is None:
            given = [model(x) for x in examples.rows()]
            losses = [loss_of(loss, output, y).data for output, y in zip(given, examples.y.tolist(), strict=True)]
            for i, L in enumerate(losses):
                if not math.isfinite(L):
                    raise FloatingPointError(f"epoch {epoch}: the loss of validation example {i} is {L:g}")
            mean = sum(losses) / len(examples)
        if mean is not None:
            found["loss"] = mean
        if not metrics:
            return found
        numbers = plain(given) if given else listed(
            compiled.outputs(examples) if compiled else eager_forward(model)(examples))
    return found | {name: float(metric(numbers, examples.y.tolist())) for name, metric in metrics.items()}


def accuracy(model: Module, X: Any, y: Any, threshold: float | None = None) -> float:
    """The share of rows whose class is predicted.

    Several outputs: the class is the largest output's; targets are indices or one-hot rows. One output: the class
    is 1 where it exceeds `threshold`: by default ½ if the model ends in a sigmoid, else 0, as for a logit; targets are
    0 and 1, or −1 and 1. Several outputs and rows of any zeros and ones: every output must be on the right side of it.

    >>> from nn import gate
    >>> accuracy(gate("XNOR"), [[0, 0], [0, 1], [1, 0], [1, 1]], [1, 0, 0, 1])
    1.0
    """
    examples = Examples.of(X, y)
    threshold = threshold if threshold is not None else 0.5 if ends_in_sigmoid(model) else 0.0
    return _agreement(listed(outputs(model, examples)), examples.y.tolist(), threshold, _several(examples))


def confusion_matrix(truth: Sequence[int], predicted: Sequence[int], classes: int) -> list[list[int]]:
    """How often class i (row) was predicted as class j (column).

    >>> confusion_matrix([0, 0, 1], [0, 1, 1], 2)
    [[1, 1], [0, 1]]
    """
    if len(truth) != len(predicted):
        raise ValueError(f"confusion_matrix() of {len(truth)} truths and {len(predicted)} predictions: give "
                         "one of each per row")
    counts = [[0] * classes for _ in range(classes)]
    for i, (t, p) in enumerate(zip(truth, predicted, strict=True)):
        if not (0 <= t < classes and 0 <= p < classes and t == int(t) and p == int(p)):
            raise ValueError(f"confusion_matrix(): example {i} is of class {t}, predicted as {p}; there are 0 to {classes - 1}")
        counts[int(t)][int(p)] += 1
    return counts


def listed(found: Any) -> list[Any]:
    """Outputs as a list."""
    return list(found.tolist() if isinstance(found, np.ndarray) else found)


def _several(examples: Examples) -> bool:
    """Whether the targets are rows of zeros and ones, any number of them ones."""
    y = examples.y
    return y.ndim == 2 and bool(((y == 0) | (y == 1)).all()) and not examples.one_hot(y.shape[1])


def _agreement(outputs: Sequence[Any], y: Sequence[Any], threshold: float, several: bool) -> float:
    """The share of outputs that say what the targets do."""
    if several:
        right = [[x > threshold for x in output] == [t > 0 for t in row] for output, row in zip(outputs, y, strict=True)]
    else:
        right = [class_of(output, threshold) == (class_of(t) if isinstance(t, list) or t < 0 else t)
                 for output, t in zip(outputs, y, strict=True)]
    return sum(right) / len(right)
