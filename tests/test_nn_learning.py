"""What networks learn, and what a linear model cannot: universal approximation, XOR, circles, the accuracies."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nn.command.report import TRIALS
from nn.data.rows import make_circles, train_test_split
from nn.layers import MLP
from nn.training.estimators import NeuralNetClassifier
from nn.training.loop import accuracy, fit, predict
from nn.training.scipy import minimize


def test_one_hidden_layer_approximates_the_sine() -> None:
    """To 0.02 on all of [−π, π], seen at 41 points (CS109: one hidden layer approximates any function)."""
    pytest.importorskip("scipy")
    model = MLP(1, [8, 1], activation="tanh", init="xavier", rng=0)
    x = np.linspace(-math.pi, math.pi, 41)
    minimize(model, x[:, None], np.sin(x), loss="squared_error", maxiter=300)
    between = np.linspace(-math.pi, math.pi, 1001)
    assert np.abs(np.array(predict(model, between[:, None])) - np.sin(between)).max() < 0.02


XOR = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [0, 1, 1, 0]


def test_xor_by_a_network_and_not_by_logistic_regression() -> None:
    network, line = (MLP(2, sizes, activation="tanh", init="xavier", rng=0) for sizes in ([4, 1], [1]))
    for model in (network, line):
        fit(model, *XOR, loss="binary_cross_entropy_with_logits", optimizer="adam", lr=0.05, epochs=300)
    assert accuracy(network, *XOR) == 1.0
    assert accuracy(line, *XOR) <= 0.75   # a line has at most three of the four corners right


@pytest.mark.parametrize("seed", [0, 1])
def test_circles_by_a_network_and_not_by_logistic_regression(seed: int) -> None:
    """The best line leaves the inner circle (radius f) on one side: it has ½ + arccos(f)/2π right, 0.63 at f = 0.7.

    At f = 0.5 that would be 0.67, more than 0.15 above chance without anything being learned of the circles.
    """
    points, labels = make_circles(200, noise=0.02, factor=0.7, rng=seed)
    X, held, y, classes = train_test_split(points, labels, test=0.5, rng=seed, stratify=True)
    network = NeuralNetClassifier(hidden=(16,), lr=0.1, epochs=60, random_state=seed).fit(X, y)
    line = NeuralNetClassifier(hidden=(), lr=0.1, epochs=60, random_state=seed).fit(X, y)
    assert network.score(held, classes) >= 0.99
    assert line.score(held, classes) <= 0.5 + 0.15


@pytest.mark.parametrize(("data", "least"), [
    ("moons", 0.99), ("wine", 0.95), ("cancer", 0.96),
    ("iris", 0.94),   # 36 of its 38 held-out rows; the report's goal of 0.95 is for five folds, where each row counts less
])
def test_accuracies_of_the_report(data: str, least: float) -> None:
    if data != "moons":
        pytest.importorskip("sklearn")
    [trial] = [trial for trial in TRIALS if trial.data == data]
    assert trial.run(*train_test_split(*trial.rows(), test=0.25, rng=0, stratify=True)) >= least
