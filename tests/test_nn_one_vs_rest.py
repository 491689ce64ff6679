"""One class against the rest (CS539): K sigmoids are K logistic regressions, whatever the targets look like."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from autograd import grad, numbers
from nn import (
    MLP,
    Layer,
    LogisticRegression,
    Module,
    OneVsRest,
    Sequential,
    accuracy,
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    confusion_matrix,
    fit,
    minimize,
    one_hot,
    predict,
)

RNG = np.random.default_rng(0)
Y = np.arange(12) % 3
X = (np.array([[2.0, 0.0], [-1.0, 2.0], [-1.0, -2.0]])[Y] + RNG.normal(size=(12, 2))).round(2)
ROWS = one_hot(Y, 3)                                     # 1-of-K
SEVERAL = np.column_stack([X[:, 0] > 0, X[:, 1] > 0])    # any number of ones, and none
TARGETS = {"indices": Y, "floats": Y.astype(float), "one-hot": ROWS, "bools": np.array(ROWS) > 0}
NETWORKS: dict[str, Callable[[], Module]] = {
    "MLP": lambda: MLP(2, [3], output="sigmoid", init="zeros"), "Layer": lambda: Layer(2, 3, "logistic", init="zeros"),
    "Sequential": lambda: Sequential(Layer(2, 3, "sigmoid", init="zeros")), "OneVsRest": lambda: OneVsRest(2, 3)}


def by_hand(y: Any, epochs: int = 30, lr: float = 0.4) -> np.ndarray[Any, Any]:
    """θ of a logistic regression on each column of targets, by descent on the mean of its loss."""
    theta, X1 = np.zeros((np.shape(y)[1], 3)), np.c_[np.ones(len(X)), X]
    for _ in range(epochs):
        theta -= lr * (1 / (1 + np.exp(-X1 @ theta.T)) - np.asarray(y, dtype=float)).T @ X1 / len(X)
    return theta


def theta(model: Any) -> list[list[float]]:
    parts = model.models if isinstance(model, OneVsRest) else getattr(model, "layers", getattr(model, "modules", [model]))
    found = [numbers(part.theta) for part in parts]
    return found if isinstance(model, OneVsRest) else found[0]


@pytest.mark.parametrize("targets", TARGETS)
@pytest.mark.parametrize("name", NETWORKS)
def test_sigmoids_learn_one_class_against_the_rest(name: str, targets: str) -> None:
    for compiled in (True, False):
        model = NETWORKS[name]()
        history = fit(model, X, TARGETS[targets], optimizer="sgd", lr=0.4, epochs=30, metrics=["accuracy"], compiled=compiled)
        assert history.loss_name == "binary_cross_entropy" + "_with_logits" * (name == "OneVsRest")
        assert history["loss"][0] == pytest.approx(3 * math.log(2), rel=1e-12)   # K of them: no softmax, which has log K
        assert np.array(theta(model)) == pytest.approx(by_hand(ROWS), rel=1e-9)
        assert history["accuracy"][-1] == accuracy(model, X, TARGETS[targets]) == accuracy(model, X, Y) > 0.8


def test_every_backend_trains_sigmoids(backend: str) -> None:
    for y in (*TARGETS.values(), SEVERAL):
        k = 2 if y is SEVERAL else 3
        found = []
        for compiled in (backend, False):
            model = MLP(2, [4, k], "tanh", "sigmoid", rng=0)
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                history = fit(model, X, y, batch_size=5, epochs=8, lr=0.05, rng=0, compiled=compiled, validation=(X[:4], y[:4]),
                              metrics=["accuracy"])
            found.append([x for row in history for x in row.values()] + [p.data for p in model.parameters()])
        assert found[0] == pytest.approx(found[1], rel=1e-9)


def test_rows_of_any_zeros_and_ones_are_a_yes_or_no_each() -> None:
    model = MLP(2, [2], output="sigmoid", init="zeros")
    history = fit(model, X, SEVERAL, optimizer="sgd", lr=0.4, epochs=30, metrics=["accuracy"])
    assert history.loss_name == "binary_cross_entropy"
    assert np.array(theta(model)) == pytest.approx(by_hand(SEVERAL), rel=1e-9)
    found = np.array(predict(model, X)) > 0.5
    assert history["accuracy"][-1] == accuracy(model, X, SEVERAL) == (found == SEVERAL).all(axis=1).mean()
    assert (found == SEVERAL).all(axis=1).mean() > 0 and accuracy(model, X, ~found) == 0.0
    logits = MLP(2, [2], init="zeros")
    assert fit(logits, X, SEVERAL, epochs=1).loss_name == "mse"   # of linear outputs nothing says that they are logits
    history = fit(logits, X, SEVERAL, loss="binary_cross_entropy_with_logits", optimizer="sgd", lr=0.4, epochs=30)
    assert accuracy(logits, X, SEVERAL) > 0.5                     # and the threshold of a logit is 0


def test_validation_may_have_the_other_kind_of_targets() -> None:
    for y, yv in ((Y, ROWS), (ROWS, Y)):
        for compiled in (True, False):
            history = fit(MLP(2, [3], output="sigmoid", rng=0), X, y, epochs=2, validation=(X, yv), compiled=compiled,
                          metrics=["accuracy"], optimizer="sgd", lr=1e-9)
            assert history["val_loss"][-1] == pytest.approx(history["loss"][-1], rel=1e-6)
            assert history["val_accuracy"] == history["accuracy"]


def test_the_losses_take_a_class_index() -> None:
    """∂L/∂z = σ(z) − y, in each output."""
    model = Layer(2, 3, rng=1)
    for k in range(3):
        row = [float(k == j) for j in range(3)]
        z = model(X[0])
        L, other = (binary_cross_entropy_with_logits(z, target) for target in (k, row))
        assert L.data == other.data
        assert numbers(grad(L, z)) == pytest.approx((1 / (1 + np.exp(-np.array(numbers(z)))) - row).tolist())
        p = [0.2, 0.5, 0.7]
        assert binary_cross_entropy(p, k).data == binary_cross_entropy(p, row).data
    assert binary_cross_entropy([0.2], 1).data == binary_cross_entropy(0.2, 1).data   # one output has no classes
    for loss in (binary_cross_entropy, binary_cross_entropy_with_logits):
        for bad in (3, -1, 0.5):
            with pytest.raises(ValueError, match=rf"{loss.__name__}: the target {bad} is no class: with 3 outputs"):
                loss([0.2, 0.5, 0.7], bad)
        with pytest.raises(ValueError, match="the output has 3 numbers and the target 2"):
            loss([0.2, 0.5, 0.7], [1, 0])


def test_a_class_that_the_model_has_not_is_told() -> None:
    for compiled in (True, False):
        with pytest.raises(ValueError, match=r"y\[2\] is the class 2, but the model has the outputs 0 to 1"):
            fit(MLP(2, [2], output="sigmoid"), X, Y, epochs=1, compiled=compiled)


def test_minimize_and_the_models_own_descent_agree() -> None:
    model, own = MLP(2, [3], output="sigmoid", init="zeros"), OneVsRest(2, 3)
    minimize(model, X, Y, l2=0.5)
    fit(own, X, ROWS, optimizer="sgd", lr=1.0, epochs=400, l2=0.5)
    assert np.array(theta(model)) == pytest.approx(np.array(theta(own)), abs=1e-3)
    by_rule = OneVsRest(2, 3)
    by_rule.descend(X, ROWS, rate=0.4 / len(X), epochs=30)
    assert np.array(theta(by_rule)) == pytest.approx(by_hand(ROWS), rel=1e-9)
    other = OneVsRest(2, 3)
    other.descend(X, Y, rate=0.4 / len(X), epochs=30)
    assert theta(other) == theta(by_rule)
    with pytest.raises(ValueError, match="is no class"):
        other.descend(X, Y + 1, epochs=1)
    found = by_rule.predict(X)
    assert (found == Y).mean() == accuracy(by_rule, X, Y) == np.trace(confusion_matrix(Y.tolist(), found, 3)) / len(Y)


def test_one_logistic_regression_is_one_of_them() -> None:
    alone = LogisticRegression(2)
    fit(alone, X, Y == 1, optimizer="sgd", lr=0.4, epochs=30)
    assert numbers(alone.theta) == pytest.approx(by_hand(ROWS)[1].tolist(), rel=1e-9)
