"""Ascent: what is to be large is made large, and everything that watches a training looks for the highest."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autograd import Value, log_sigmoid
from nn import (
    MLP,
    OPTIMIZERS,
    SGD,
    Checkpoint,
    EarlyStopping,
    LogisticRegression,
    Module,
    ReduceLROnPlateau,
    binary_cross_entropy_with_logits,
    descend,
    fit,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 2))
Y = (X[:, 0] + 0.5 * RNG.normal(size=12) > 0).astype(int)


def log_likelihood(z: Any, y: Any) -> Any:
    """y log σ(z) + (1−y) log σ(−z) (CS109)."""
    return y * log_sigmoid(z) + (1 - y) * log_sigmoid(-z)


def parameters(model: Module) -> list[float]:
    return [p.data for p in model.parameters()]


# ---- the steps

@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("l2", [0.0, 0.5])
def test_ascent_on_the_log_likelihood_is_descent_on_the_loss(name: str, l2: float) -> None:
    """And (λ/2n) Σ Θ² is subtracted from what is maximised: it still makes weights small."""
    for batch_size, compiled in ((None, True), (None, False), (5, True), (5, False)):
        up, down = MLP(2, [3, 1], "tanh", rng=0), MLP(2, [3, 1], "tanh", rng=0)
        options: dict[str, Any] = {"optimizer": name, "lr": 0.05, "l2": l2, "epochs": 6, "batch_size": batch_size, "rng": 0,
                                   "validation": (X[:5], Y[:5]), "compiled": compiled}
        high = fit(up, X, Y, loss=log_likelihood, maximize=True, **options)
        low = fit(down, X, Y, loss="binary_cross_entropy_with_logits", **options)
        assert parameters(up) == pytest.approx(parameters(down), rel=1e-9)
        assert high["loss"] == pytest.approx([-x for x in low["loss"]], rel=1e-9)
        assert high["val_loss"] == pytest.approx([-x for x in low["val_loss"]], rel=1e-9)
        assert high.maximize and not low.maximize


def test_every_backend_ascends(backend: str) -> None:
    found = []
    for compiled in (backend, False):
        model = MLP(2, [3, 1], "tanh", rng=0)
        history = fit(model, X, Y, loss=log_likelihood, maximize=True, l2=0.1, lr=0.05, epochs=5, compiled=compiled)
        found.append([*history["loss"], *parameters(model), *[p.grad for p in model.parameters()]])
        assert history["loss"][-1] > history["loss"][0]
    assert found[0] == pytest.approx(found[1], rel=1e-9)


def test_the_lectures_ascent() -> None:
    """CS109: θⱼ += η Σ [y − σ(θᵀx)] xⱼ, by the model's own rule, by descend and by fit, whose J is the mean."""
    own, by_rule, fitted = LogisticRegression(2), LogisticRegression(2), LogisticRegression(2)
    likelihoods = own.ascend(X, Y, rate=0.1, epochs=20)
    assert descend(by_rule, lambda: by_rule.log_likelihood(X, Y), 0.1, 20, maximize=True) == likelihoods
    history = fit(fitted, X, Y, loss=log_likelihood, maximize=True, optimizer="sgd", lr=0.1 * len(X), epochs=20)
    theta, X1 = np.zeros(3), np.c_[np.ones(12), X]
    for _ in range(20):
        theta += 0.1 * X1.T @ (Y - 1 / (1 + np.exp(-X1 @ theta)))
    assert parameters(own) == parameters(by_rule) == pytest.approx([*theta[1:], theta[0]], rel=1e-12)
    assert parameters(fitted) == pytest.approx(parameters(own), rel=1e-9)
    assert [len(X) * x for x in history["loss"]] == pytest.approx(likelihoods, rel=1e-9)
    assert likelihoods == sorted(likelihoods)


def test_an_optimizer_that_maximises_says_so_by_itself() -> None:
    runs = []
    for how in range(4):
        model = LogisticRegression(2)
        optimizer: Any = [SGD(model.parameters(), lr=0.5, maximize=True), SGD, partial(SGD, momentum=0.0), "sgd"][how]
        options: dict[str, Any] = {} if how == 0 else {"lr": 0.5, "maximize": True}
        history = fit(model, X, Y, loss=log_likelihood, optimizer=optimizer, epochs=3, **options)
        assert history.maximize
        runs.append(parameters(model))
    assert runs[1:] == runs[:1] * 3


def test_what_cannot_be_meant_is_told() -> None:
    model = LogisticRegression(2)
    with pytest.raises(ValueError, match=r"maximize=True\) and loss='auto', which is binary_cross_entropy_with_logits, to be "
                                         "made small: give the function"):
        fit(model, X, Y, maximize=True)
    with pytest.raises(ValueError, match=r"an optimizer that descends: make it with maximize=True, as nn.SGD\("
                                         r"model.parameters\(\), lr=0.5, maximize=True\)"):
        fit(model, X, Y, loss=log_likelihood, maximize=True, optimizer=SGD(model.parameters(), lr=0.5))
    assert parameters(model) == [0.0, 0.0, 0.0]


# ---- who watches

def watched(objective: list[float], **options: Any) -> tuple[int, float | None, int]:
    """(the epochs, the best, its epoch) of a training whose objective takes these numbers, and whose lr falls."""
    model, stopping, kept = LogisticRegression(2), EarlyStopping(**{"patience": 2} | options), list[list[float]]()

    class Script:
        def on_epoch_end(self, state: Any) -> None:
            kept.append(parameters(model))
            state.history.rows[-1] |= {"val_loss": objective[len(kept) - 1], "loss": -objective[len(kept) - 1]}
    history = fit(model, X, Y, loss=log_likelihood, maximize=True, optimizer="sgd", lr=0.1, epochs=len(objective),
                  callbacks=[Script(), stopping])
    assert parameters(model) == kept[stopping.best_epoch - 1]
    return len(history), stopping.best, stopping.best_epoch


def test_early_stopping_keeps_the_highest() -> None:
    numbers = [-3.0, -1.0, -2.0, -0.5, -0.6, -0.7, 9.0]
    assert watched(numbers) == (6, -0.5, 4)
    assert watched(numbers, min_delta=0.7) == (4, -1.0, 2)
    assert watched(numbers, monitor="loss") == (3, 3.0, 1)          # which is their negative here
    assert watched(numbers, mode="min") == (3, -3.0, 1)             # what is said holds
    assert watched(numbers, monitor="lr") == (3, 0.1, 1)            # and another column is no objective


@pytest.mark.parametrize("values", [[-3.0, -2.0, -2.0, -2.0, -2.0, -1.0], [1.0, 2.0, 2.0, 2.0, 2.0, 3.0]])
def test_a_plateau_of_an_ascent(values: list[float]) -> None:
    """A standstill is no improvement, above 0 and below."""
    optimizer = SGD([Value(0.0)], lr=1.0, maximize=True)
    schedule, found = ReduceLROnPlateau(optimizer, patience=1), []
    for value in values:
        schedule.step(value)
        found.append(optimizer.lr)
    assert schedule.mode == "max" and found == [1, 1, 1, 0.1, 0.1, 0.1]
    descent = SGD([Value(0.0)], lr=1.0)
    schedule, found = ReduceLROnPlateau(descent, patience=1), []
    for value in values:
        schedule.step(-value)
        found.append(descent.lr)
    assert schedule.mode == "min" and found == [1, 1, 1, 0.1, 0.1, 0.1]


def test_fit_lowers_the_rate_where_the_objective_stands_still() -> None:
    def capped(z: Any, y: Any) -> Any:
        return 0.0 * z - 1.0
    history = fit(LogisticRegression(2), X, Y, loss=capped, maximize=True, optimizer="sgd", lr=0.5, epochs=6,
                  schedule=lambda optimizer: ReduceLROnPlateau(optimizer, patience=1))
    assert history["loss"] == [-1.0] * 6 and history["lr"] == [0.5, 0.5, 0.5, pytest.approx(0.05), pytest.approx(0.05),
                                                              pytest.approx(0.005)]


def test_a_history_tells_what_was_maximised() -> None:
    history = fit(LogisticRegression(2), X, Y, loss=log_likelihood, maximize=True, epochs=1)
    assert (history.maximize, history.loss_name) == (True, "log_likelihood")
    assert repr(history).startswith("History(log_likelihood maximised; epoch=1, loss=-0.693147")


def test_a_checkpoint_keeps_its_direction(tmp_path: Path) -> None:
    path = tmp_path / "c"
    options: dict[str, Any] = {"loss": log_likelihood, "optimizer": "adam", "lr": 0.1, "rng": 0, "batch_size": 4}
    whole, part, rest = (LogisticRegression(2) for _ in range(3))
    expected = fit(whole, X, Y, maximize=True, epochs=6, **options)
    fit(part, X, Y, maximize=True, epochs=3, callbacks=[Checkpoint(path)], **options)
    found = fit(rest, X, Y, maximize=True, epochs=6, callbacks=[Checkpoint(tmp_path / "d")], resume=path, **options)
    assert parameters(rest) == parameters(whole) and found.rows == expected.rows
    other = LogisticRegression(2)
    with pytest.raises(ValueError, match=r"of a training with another direction \(maximize\)"):
        fit(other, X, Y, epochs=6, callbacks=[Checkpoint(tmp_path / "d")], resume=path, **options)
    assert parameters(other) == [0.0, 0.0, 0.0]


def test_descent_is_what_it_was() -> None:
    model, other = LogisticRegression(2), LogisticRegression(2)
    costs = descend(model, lambda: model.cost(X, Y), 0.1, 5)
    assert costs == other.descend(X, Y, 0.1, 5) and costs == sorted(costs, reverse=True)
    loss = binary_cross_entropy_with_logits
    history = fit(other, X, Y, loss=loss, epochs=2)
    assert not history.maximize and history["loss"][0] < math.log(2)
