"""The lectures' models, trained by the lectures' rules: what they must reach, and what they must say."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from autograd import Value, no_grad, numbers
from nn import (
    GAN,
    GATES,
    MLP,
    LinearRegression,
    LogisticRegression,
    Module,
    Neuron,
    OneVsRest,
    Perceptron,
    SoftmaxRegression,
    binary_cross_entropy_with_logits,
    descend,
    gate,
    make_circles,
    output_unit,
    perceptron_loss,
)

SEEDS = st.integers(0, 2**32 - 1)
TRUTH: dict[str, Callable[..., bool]] = {
    "AND": lambda a, b: a and b, "OR": lambda a, b: a or b, "NOR": lambda a, b: not (a or b), "NOT": lambda a: not a,
    "NOT_AND_NOT": lambda a, b: not a and not b, "XNOR": lambda a, b: a == b, "XOR": lambda a, b: a != b}
CORNERS = [(0, 0), (0, 1), (1, 0), (1, 1)]


def theta(model: Any) -> list[float]:
    return [p.data for p in model.theta]


@given(SEEDS)
def test_the_closed_form_is_the_lectures(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, 6)
    y = 2 - 3 * x + rng.normal(size=6)
    assume(np.ptp(x) > 0.5)
    closed = theta(LinearRegression(1).closed_form(x[:, None], y))
    slope = ((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean())**2).sum()
    assert closed == pytest.approx([y.mean() - slope * x.mean(), slope], rel=1e-9)
    assert theta(LinearRegression(1).closed_form(x, y)) == closed      # a column of one number each may be a plain list


@pytest.mark.parametrize("n", [1, 2])
def test_descent_reaches_the_closed_form(n: int) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(8, n))
    y = X @ [1.0, -2.0][:n] + 0.5 + rng.normal(size=8)
    model, closed = LinearRegression(n), LinearRegression(n).closed_form(X, y)
    model.descend(X, y, rate=0.03, epochs=600)
    expected = np.linalg.lstsq(np.c_[np.ones(8), X], y, rcond=None)[0]
    assert theta(closed) == pytest.approx(expected, rel=1e-12) and theta(model) == pytest.approx(expected, rel=1e-9)
    with pytest.raises(ValueError, match=rf"LinearRegression\(nin={n}\) takes {n} features, and X has 3"):
        closed.closed_form(np.zeros((8, 3)), y)


def test_descent_on_the_loss_is_ascent_on_the_log_likelihood() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(12, 2))
    y = (X[:, 0] + 0.3 * rng.normal(size=12) > 0).astype(int)
    down, up, by_hand = LogisticRegression(2), LogisticRegression(2), np.zeros(3)
    assert theta(down) == [0.0, 0.0, 0.0]
    costs, likelihoods = down.descend(X, y, 0.2, 30), up.ascend(X, y, 0.2, 30)
    X1 = np.c_[np.ones(12), X]
    for _ in range(30):
        by_hand += 0.2 * X1.T @ (y - 1 / (1 + np.exp(-X1 @ by_hand)))   # CS109: θⱼ += η Σ [y − σ(θᵀx)] xⱼ
    assert theta(down) == pytest.approx(theta(up), rel=1e-12) and theta(up) == pytest.approx(by_hand, rel=1e-12)
    assert costs == pytest.approx([-LL for LL in likelihoods], rel=1e-12) and costs[0] == pytest.approx(12 * math.log(2))
    assert all(a > b for a, b in pairwise(costs))
    assert up.probability(X[0]).data == pytest.approx(1 / (1 + math.exp(-up(X[0]).data)))


def test_softmax_regression_learns_three_classes() -> None:
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], 8)
    X = np.array([[2, 0], [-1, 2], [-1, -2]])[y] + 0.3 * rng.normal(size=(24, 2))
    model = SoftmaxRegression(2, 3)
    assert len(model.parameters()) == 9 and np.shape(np.array(model.W, dtype=object)) == (3, 2) and len(model.b) == 3
    costs = model.descend(X, y, 0.1, 30)
    assert costs[0] == pytest.approx(24 * math.log(3)) and costs[-1] < 2
    with no_grad():
        found = [np.array([p.data for p in model.probabilities(x)]) for x in X]
    assert [int(np.argmax(p)) for p in found] == list(y) and all(abs(p.sum() - 1) < 1e-12 for p in found)


def test_one_vs_rest_is_k_logistic_regressions() -> None:
    y = np.array([0, 0, 1, 1, 2, 2])   # no line separates the middle class, and the largest logit finds it all the same
    X = np.array([[-2.0, 1], [-2.5, 0], [0, 2], [0.2, 2], [2, 0], [2.5, 1]])
    together, alone = OneVsRest(2, 3), LogisticRegression(2)
    together.descend(X, y, 0.3, 40)
    alone.descend(X, y == 1, 0.3, 40)
    assert theta(together.models[1]) == pytest.approx(theta(alone), rel=1e-12)
    assert [together.predict(x) for x in X] == list(y) and len(together(X[0])) == 3
    with pytest.raises(ValueError, match="nothing to tell apart"):
        OneVsRest(2, 1)


# ---- the perceptron

def batch(X: np.ndarray[Any, Any], y: np.ndarray[Any, Any], alpha: float, epsilon: float, normalize: bool = True
          ) -> tuple[list[np.ndarray[Any, Any]], int]:
    """CS539, in numpy: (θ after every epoch, the number of epochs)."""
    X1, w = np.c_[np.ones(len(X)), X], [np.zeros(X.shape[1] + 1)]
    while True:
        wrong = y * (X1 @ w[-1]) <= 0
        delta = (y[wrong, None] * X1[wrong]).sum(axis=0) / (len(X) if normalize else 1)
        if np.linalg.norm(delta) < epsilon:
            return w, len(w) - 1
        w.append(w[-1] + alpha * delta)


@given(SEEDS, st.sampled_from([0.5, 1.0]), st.booleans())
def test_the_batch_perceptron(seed: int, alpha: float, normalize: bool) -> None:
    X = np.random.default_rng(seed).integers(-4, 5, size=(8, 2)).astype(float)   # whole numbers, and eighths: all is exact
    margin = X @ [2.0, -1.0] + 0.5
    y = np.sign(margin)
    expected, epochs = batch(X, y, alpha, 1e-6, normalize)
    model = Perceptron(2)
    assert model.train(X, y, alpha, 1e-6, normalize=normalize) == epochs and theta(model) == list(expected[-1])
    assert model.predict(X).tolist() == list(y)
    assert all(perceptron_loss(model(x), t).data == 0 for x, t in zip(X, y, strict=True))
    assert model.train(X, y) == 0


def after(epochs: int, **options: Any) -> list[float]:
    """θ on AND after so many epochs."""
    model = Perceptron(2)
    with pytest.raises(RuntimeError, match=f"of 4 examples on the wrong side after {epochs} epochs"):
        model.train(CORNERS, [-1, -1, -1, 1], max_epochs=epochs, **options)
    return theta(model)


def test_the_slides_perceptron_of_and() -> None:
    """CS539: Δ over n = all four instances; the fixed increment perceptron without it."""
    model, y = Perceptron(2), [-1, -1, -1, 1]
    epochs = model.train(CORNERS, y)
    assert after(2) == [-0.25, 0.25, 0.25] and theta(model) == [-0.75, 0.5, 0.5] and model.predict(CORNERS).tolist() == y
    assert len(batch(np.array(CORNERS), np.array(y), 1.0, 1e-6)[0]) - 1 == epochs
    assert model.train(CORNERS, y, max_epochs=0) == 0 and after(0) == [0.0, 0.0, 0.0]
    again = Perceptron(2)
    assert again.train(CORNERS, y, max_epochs=epochs) == epochs       # the last epoch allowed is one that counts
    fixed = Perceptron(2)
    assert fixed.train(CORNERS, y, normalize=False) == epochs and theta(fixed) == [-3.0, 2.0, 2.0]   # θ grows n-fold
    assert after(1, normalize=False) == [-2.0, 0.0, 0.0]


@pytest.mark.parametrize("normalize", [True, False])
def test_the_perceptron_stops_where_the_step_is_small(normalize: bool) -> None:
    """‖Δ‖₂ < ε, of the Δ that is added: here Σ y·x = (−2, 0, 0) and (1, 1, 1) in the first two epochs of AND."""
    n = 4 if normalize else 1
    epochs = [Perceptron(2).train(CORNERS, [-1, -1, -1, 1], epsilon=length / n, normalize=normalize)
              for length in (2.001, 1.999, 1.74, 1.73)]
    assert epochs[:3] == [0, 1, 1] and epochs[3] > 1


def test_the_perceptron_steps_down_the_perceptron_loss() -> None:
    X, y = [[1.0, 2.0], [-1.0, 0.5]], [-1, 1]
    model, other = Perceptron(2), Perceptron(2)
    for m in (model, other):
        m.load_state_dict({"w.0": 1.0, "w.1": 1.0, "b": 0.25})
    descend(other, lambda: (perceptron_loss(other(X[0]), -1) + perceptron_loss(other(X[1]), 1)) * 0.5, 1.0, 1)
    with pytest.raises(RuntimeError, match="after 1 epochs: perhaps no line separates"):
        model.train(X, y, max_epochs=1)
    assert theta(model) == pytest.approx(theta(other))


def test_the_perceptron_tells_what_it_cannot() -> None:
    with pytest.raises(RuntimeError, match="perhaps no line separates the classes; use LogisticRegression, or an MLP"):
        Perceptron(1).train([0.0, 1.0, 2.0], [1, -1, 1], max_epochs=50)
    assert Perceptron(2).train(CORNERS, [-1, 1, 1, -1]) == 0   # of XOR the mean is 0 at once: the rule stops
    with pytest.raises(ValueError, match="give 2y − 1"):
        Perceptron(2).train(CORNERS, [0, 1, 1, 1])


# ---- what the models predict

PREDICTORS: list[tuple[Any, list[list[float]], list[Any]]] = [   # a model, θ (row by row), what it predicts of ROWS
    (LinearRegression(2), [[0.5, 1.0, -1.0]], [0.5, 3.5, -0.5]), (LogisticRegression(2), [[0.0, 1.0, -1.0]], [0, 1, 0]),
    (Perceptron(2), [[0.0, 1.0, -1.0]], [-1, 1, -1]),
    (SoftmaxRegression(2, 3), [[0.0, 0.0, 0.0], [0.0, 1.0, -1.0], [-1.0, 0.0, 1.0]], [0, 1, 2]),
    (OneVsRest(2, 3), [[0.0, 0.0, 0.0], [0.0, 1.0, -1.0], [-1.0, 0.0, 1.0]], [0, 1, 2])]
ROWS = [[0.0, 0.0], [3.0, 0.0], [2.0, 3.0]]


def set_theta(model: Any, rows: list[list[float]]) -> Any:
    for part, row in zip(getattr(model, "models", getattr(model, "neurons", [model])), rows, strict=True):
        part.theta = row
    return model


@pytest.mark.parametrize(("model", "rows", "expected"), PREDICTORS, ids=lambda x: type(x).__name__)
def test_a_model_predicts_one_example_or_many(model: Any, rows: list[list[float]], expected: list[Any]) -> None:
    set_theta(model, rows)
    for x, y in zip(ROWS, expected, strict=True):
        for form in (x, tuple(x), np.array(x), [Value(v) for v in x]):
            found = model.predict(form)
            assert found == y and type(found) is type(y)                      # a plain number, of one example
        one = model.predict([x])
        assert isinstance(one, np.ndarray) and one.shape == (1,) and one[0] == y   # a batch of one is a batch
    for many in (ROWS, np.array(ROWS), tuple(ROWS)):
        found = model.predict(many)
        assert isinstance(found, np.ndarray) and found.tolist() == expected
        assert found.dtype.kind == ("f" if isinstance(model, LinearRegression) else "i")
    assert (model.predict(ROWS) == expected).mean() == 1.0                    # as users of scikit-learn count
    none: Any
    for none in ([], np.empty((0, 2))):
        with pytest.raises(ValueError, match="X is empty: there is nothing to learn from or to predict"):
            model.predict(none)
    wrong: Any
    for wrong in ([1.0, 2.0, 3.0], [[1.0], [2.0]], np.zeros((2, 3)), np.zeros((1, 2, 2))):
        with pytest.raises(ValueError, match=r"predict\(\) takes 2 features, and X has the shape \("):
            model.predict(wrong)
    with pytest.raises((TypeError, ValueError)):
        model.predict([[0.0, math.nan]])


@pytest.mark.parametrize("make", [LinearRegression, LogisticRegression, Perceptron, lambda n: SoftmaxRegression(n, 2),
                                  lambda n: OneVsRest(n, 2)])
def test_one_feature_may_come_without_brackets(make: Callable[[int], Any]) -> None:
    model = make(1)
    assert np.ndim(model.predict(2.0)) == np.ndim(model.predict([2.0])) == 0
    assert model.predict([2.0, 3.0]).shape == model.predict([[2.0], [3.0]]).shape == (2,)
    assert model.predict([[2.0]]).shape == (1,)


@pytest.mark.parametrize(("model", "rows", "expected"), PREDICTORS, ids=lambda x: type(x).__name__)
def test_the_last_activation_of_a_model_is_its_prediction(model: Any, rows: list[list[float]], expected: list[Any]) -> None:
    """ŷ of the lectures: z, σ(z), softmax(z), and the sign of the perceptron's score."""
    z_of = np.array(rows)[:, 1:] @ [0.5, 1.5] + np.array(rows)[:, 0]
    (x, y), (z,) = set_theta(model, rows).forward_pass([0.5, 1.5])
    links: dict[str, Callable[[Any], Any]] = {
        "LinearRegression": lambda z: z, "Perceptron": np.sign, "SoftmaxRegression": lambda z: np.exp(z) / np.exp(z).sum()}
    assert numbers(x) == [0.5, 1.5] and numbers(z) == pytest.approx(list(z_of))
    assert numbers(y) == pytest.approx(list(links.get(type(model).__name__, lambda z: 1 / (1 + np.exp(-z)))(z_of)))
    output = model([0.5, 1.5])
    assert numbers(output if isinstance(output, list) else [output]) == numbers(z)   # what it is trained on is the logit


# ---- gates

@pytest.mark.parametrize("name", GATES)
def test_gates_by_hand_set_weights(name: str) -> None:
    model = gate(name)
    for x in CORNERS if model.nin == 2 else [(0,), (1,)]:
        assert model(x).data == pytest.approx(float(TRUTH[name](*x)), abs=1e-4)


def test_and_is_the_lectures_and() -> None:
    _, z = zip(*[gate("AND").forward_pass(x) for x in CORNERS], strict=True)
    assert [sums[0][0].data for sums in z] == [-30, -10, -10, 10]
    with pytest.raises(ValueError, match="AND, OR, NOR"):
        gate("NAND")


@pytest.mark.parametrize("name", ["AND", "OR", "NOT_AND_NOT"])
def test_gates_by_learning(name: str) -> None:
    model, y = LogisticRegression(2), [int(TRUTH[name](*x)) for x in CORNERS]
    model.descend(CORNERS, y, 1.0, 100)
    assert [round(model.probability(x).data) for x in CORNERS] == y


def test_xnor_is_learned_by_a_hidden_layer_and_by_no_line() -> None:
    y = [1, 0, 0, 1]
    model, line = MLP(2, [3, 1], "tanh", rng=1), LogisticRegression(2)
    descend(model, lambda: binary_cross_entropy_with_logits([model(x) for x in CORNERS], y), 0.3, 200)
    assert [int(model(x) > 0) for x in CORNERS] == y
    line.descend(CORNERS, y, 0.3, 100)
    assert all(abs(line.probability(x).data - 0.5) < 1e-9 for x in CORNERS)   # its best is chance


# ---- a learned feature map, and the rest

def test_logistic_regression_does_not_separate_circles() -> None:
    X, y = make_circles(60, noise=0.05, factor=0.4, rng=0)
    line = LogisticRegression(2)
    line.descend(X, y, 0.05, 50)
    assert np.mean([(line(x) > 0) == t for x, t in zip(X, y, strict=True)]) < 0.65


def test_the_generated_mean_moves_to_the_datas() -> None:
    data = np.random.default_rng(0).normal(4.0, 0.5, 200)
    gan = GAN(rng=0)
    before = np.mean(gan.samples(200, rng=1))
    losses = gan.train(data, steps=200, batch=8, lr=0.05, rng=2)
    after = np.mean(gan.samples(200, rng=1))
    assert abs(before - 4.0) > 3 and abs(after - 4.0) < 1 and len(losses) == 200 and np.isfinite(losses).all()
    again = GAN(rng=0)
    assert again.train(data, steps=3, batch=8, lr=0.05, rng=2) == losses[:3]


def test_each_model_names_its_output_unit() -> None:
    models: list[Any] = [LinearRegression(1), LogisticRegression(1), Perceptron(1), SoftmaxRegression(1, 2), OneVsRest(1, 2)]
    assert [output_unit(model.unit).distribution for model in models] == ["Gaussian", "Bernoulli", "Bernoulli", "multinoulli",
                                                                         "Bernoulli"]


@pytest.mark.parametrize("model", [LinearRegression(2), LogisticRegression(2), Perceptron(2), SoftmaxRegression(2, 3),
                                   OneVsRest(2, 3), GAN(3)], ids=lambda m: type(m).__name__)
def test_models_are_modules_that_can_be_made_again(model: Module) -> None:
    again = type(model)(**model.config())
    again.load_state_dict(model.state_dict())
    assert again.state_dict() == model.state_dict() and repr(again) == repr(model)
    assert isinstance(model, GAN) or set(model.state_dict().values()) == {0.0}


@pytest.mark.parametrize("model", [LinearRegression(1), LogisticRegression(1), SoftmaxRegression(1, 2), OneVsRest(1, 2)],
                         ids=lambda m: type(m).__name__)
def test_examples_are_checked(model: Any) -> None:
    with pytest.raises(ValueError, match="2 rows"):
        model.descend([[1.0], [2.0]], [1])
    with pytest.raises(ValueError, match="empty"):
        model.descend([], [])
    assert isinstance(model, Neuron | SoftmaxRegression | OneVsRest)
