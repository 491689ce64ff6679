"""Losses: their slopes are the lectures' closed forms, exact for logits of any size; and what they refuse."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from mpmath import mp, mpf

from autograd import Value, errstate, gradcheck, jacobian, log_softmax, softmax
from nn import (
    LOSSES,
    MLP,
    OUTPUT_UNITS,
    LinearRegression,
    LogisticRegression,
    SoftmaxRegression,
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    hinge,
    l2,
    mse,
    nll,
    output_unit,
    perceptron_loss,
    squared_error,
)

Array = npt.NDArray[np.float64]
LOGITS = st.floats(-1e8, 1e8) | st.floats(-50, 50) | st.sampled_from([0.0, 1e8, -1e8, 709.0, -745.0])
SEEDS = st.integers(0, 2**32 - 1)


def close(found: float, truth: Any) -> bool:
    """1e-12 relative to a truth of many digits; below the smallest normal number digits run out."""
    return bool(abs(mpf(found) - truth) <= 1e-12 * abs(truth) + mpf(10)**-307)


def slopes(loss: Value, xs: list[Value]) -> list[float]:
    for x in xs:
        x.grad = 0.0
    loss.backward()
    return [x.grad for x in xs]


# ---- values and slopes, against many digits

@given(LOGITS, st.sampled_from([0, 1, 0.25, True, np.float64(1.0), np.int64(0)]))
def test_binary_cross_entropy_with_logits(z: float, y: float) -> None:
    x = Value(z)
    L = binary_cross_entropy_with_logits(x, y)
    [slope] = slopes(L, [x])
    with mp.workdps(60):
        up, down = (mp.log1p(mp.exp(-abs(mpf(z)))) + max(mpf(0), s * mpf(z)) for s in (-1, 1))   # −log σ(z), −log σ(−z)
        assert close(L.data, y * up + (1 - y) * down)
        p, q = 1 / (1 + mp.exp(-mpf(z))), 1 / (1 + mp.exp(mpf(z)))
        error = -q if y == 1 else p - float(y)
        # of a soft target σ(z) − y crosses 0, where only its terms, of size ½, are known to 1e-12
        assert close(slope, error) or (0 < y < 1 and abs(slope - error) < 1e-15)


@given(st.lists(LOGITS, min_size=2, max_size=5), st.data())
def test_cross_entropy(zs: list[float], data: st.DataObject) -> None:
    k = data.draw(st.integers(0, len(zs) - 1))
    z = [Value(x) for x in zs]
    one_hot = [float(j == k) for j in range(len(zs))]
    L = cross_entropy(z, k)
    assert {L.data} == {cross_entropy(z, y).data for y in (one_hot, np.array(one_hot), float(k), np.int8(k))}
    found = slopes(L, z)
    with mp.workdps(700):   # so that 1 + 1e-300 is more than 1
        e = [mp.exp(mpf(x) - max(zs)) for x in zs]
        p = [x / sum(e) for x in e]
        differences = [mpf(x) - mpf(zs[k]) for x in zs]
        rest = sum(mp.exp(d - max(differences)) for d in differences)
        assert close(L.data, mp.log(rest) + max(differences))
        for j, slope in enumerate(found):
            assert close(slope, -sum(q for i, q in enumerate(p) if i != k) if j == k else p[j])


@given(st.lists(st.floats(-30, 30), min_size=2, max_size=4), SEEDS)
def test_cross_entropy_of_soft_labels(zs: list[float], seed: int) -> None:
    y = np.random.default_rng(seed).dirichlet(np.ones(len(zs)))
    z = [Value(x) for x in zs]
    L = cross_entropy(z, y)
    assert L.data == pytest.approx(-sum(y * log_softmax(zs)), rel=1e-12)
    assert slopes(L, z) == pytest.approx(np.array(softmax(zs)) - y, rel=1e-12, abs=1e-13)   # Σ y_k(…) where ŷ_k ≈ y_k


@pytest.mark.parametrize("z", [1e8, -1e8])
def test_extreme_logits_are_exact(z: float) -> None:
    for y in (0, 1):
        x = Value(z)
        L = binary_cross_entropy_with_logits(x, y)
        right = (z > 0) == (y == 1)
        assert (L.data, slopes(L, [x])) == ((0.0, [0.0]) if right else (1e8, [1.0 if z > 0 else -1.0]))
    zs = [Value(z), Value(z + 1.0), Value(-z)]
    L = cross_entropy(zs, 0)
    expected = math.log1p(math.e) if z > 0 else 2e8
    assert L.data == pytest.approx(expected, rel=1e-15)
    assert slopes(L, zs) == pytest.approx([-1 / (1 + math.exp(-1)), 1 / (1 + math.exp(-1)), 0.0] if z > 0 else [-1.0, 0.0, 1.0])


# ---- the closed forms of the lectures

def assert_same(found: Any, expected: Any) -> None:
    """To 1e-12, relative to the largest of the numbers, as sums of terms of both signs are."""
    found, expected = np.asarray(found, dtype=float), np.asarray(expected, dtype=float)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1e-12 * np.abs(expected).max() + 1e-300, (found, expected)


def problem(seed: int) -> tuple[Any, int, int, Array]:
    rng = np.random.default_rng(seed)
    m, n = rng.integers(1, 6, 2)
    return rng, int(m), int(n), rng.normal(size=(m, n))


@given(SEEDS)
def test_linear_regression(seed: int) -> None:
    rng, m, n, X = problem(seed)
    model, y = LinearRegression(n), rng.normal(size=m)
    for p in model.parameters():
        p.data = rng.normal()
    error = X @ [w.data for w in model.w] + model.theta[0].data - y
    assert_same(slopes(model.cost(X, y), model.theta), [2 * error.sum(), *(2 * error @ X)])


@given(SEEDS)
def test_logistic_regression_of_one_and_many_examples(seed: int) -> None:
    """∂L/∂w = (ŷ−y)x, ∂L/∂b = ŷ−y; ∂J/∂w = (A−Y)Xᵀ, ∂J/∂b = (A−Y)·1 (CS230); ∂LL/∂θⱼ = Σ [y − σ(θᵀx)] xⱼ (CS109)."""
    rng, m, n, X = problem(seed)
    model, y = LogisticRegression(n), rng.integers(0, 2, m)
    for p in model.parameters():
        p.data = rng.normal()
    z = X @ [w.data for w in model.w] + model.theta[0].data
    error = np.where(y == 1, -1 / (1 + np.exp(z)), 1 / (1 + np.exp(-z)))   # A − Y, without cancelling
    assert_same(slopes(binary_cross_entropy_with_logits(model(X[0]), y[0]), model.theta), error[0] * np.array([1, *X[0]]))
    assert_same(slopes(model.cost(X, y), model.theta), [error.sum(), *(error @ X)])
    assert_same(slopes(model.log_likelihood(X, y), model.theta), [-error.sum(), *(-error @ X)])


def test_the_factors_of_the_logistic_loss_one_by_one() -> None:
    """∂L/∂a = −y/a + (1−y)/(1−a) = (a−y)/(a(1−a)); ∂a/∂z = a(1−a)."""
    for y in (0, 1, 0.3):
        a = Value(0.2)
        assert slopes(binary_cross_entropy(a, y), [a]) == pytest.approx([(0.2 - y) / (0.2 * 0.8)], rel=1e-14)
    z = Value(-1.5)
    [slope] = slopes(OUTPUT_UNITS["binary"].link(z), [z])
    a = OUTPUT_UNITS["binary"].link(-1.5)
    assert slope == pytest.approx(a * (1 - a), rel=1e-14)


@given(SEEDS)
def test_softmax_regression(seed: int) -> None:
    """∂L/∂w_ic = (ŷ_c − y_c)xᵢ, ∂L/∂b_c = ŷ_c − y_c."""
    rng, m, n, X = problem(seed)
    c = int(rng.integers(2, 5))
    model, y = SoftmaxRegression(n, c), rng.integers(0, c, m)
    for p in model.parameters():
        p.data = rng.normal()
    W, b = np.array([[w.data for w in row] for row in model.W]), np.array([v.data for v in model.b])
    e, Y = np.exp(X @ W.T + b), np.eye(c)[y]
    A = e / e.sum(axis=1, keepdims=True)
    error = np.where(Y == 1, -(A * (1 - Y)).sum(axis=1, keepdims=True), A)   # A − Y, without cancelling
    assert_same([slopes(model.cost(X, y), row) for row in model.theta], np.hstack([error.sum(axis=0)[:, None], error.T @ X]))
    assert_same(model.cost(X, y).data, model.cost(X, np.eye(c)[y]).data)


@given(st.lists(st.floats(-20, 20), min_size=2, max_size=5))
def test_softmax_jacobian(zs: list[float]) -> None:
    """∂aᵢ/∂zⱼ = aᵢ(1−aᵢ) if i = j else −aᵢaⱼ, and 1 − aᵢ is the sum of the others."""
    a = np.array(softmax(zs))
    expected = -np.outer(a, a)
    for i in range(len(a)):
        expected[i, i] = a[i] * np.delete(a, i).sum()
    found = np.array(jacobian(softmax)(zs))
    off = ~np.eye(len(a), dtype=bool)
    assert np.allclose(found[off], expected[off], rtol=1e-12, atol=1e-300)
    assert np.allclose(found, expected, rtol=1e-12, atol=1e-15)   # the engine's diagonal is a(1 − a): small where a is near 1


@given(st.lists(st.floats(-3, 3), min_size=2, max_size=5, unique=True), st.data())
def test_max_margin(scores: list[float], data: st.DataObject) -> None:
    k = data.draw(st.integers(0, len(scores) - 1))
    margins = [1 + s - scores[k] for s in scores]
    assume(all(abs(m) > 1e-9 for m in margins))
    s = [Value(x) for x in scores]
    L = hinge(s, k)
    over = [float(m > 0 and j != k) for j, m in enumerate(margins)]
    assert L.data == pytest.approx(sum(m for m, o in zip(margins, over, strict=True) if o), rel=1e-12)
    assert slopes(L, s) == [o if j != k else -sum(over) for j, o in enumerate(over)]
    assert hinge(s, [float(j == k) for j in range(len(s))]).data == L.data


@given(st.floats(-1e8, 1e8), st.sampled_from([-1, 1]))
def test_scores_with_labels(score: float, y: int) -> None:
    assume(abs(1 - y * score) > 1e-9)
    s = Value(score)
    assert (hinge(s, y).data, slopes(hinge(s, y), [s])) == (max(0.0, 1 - y * score), [-y if y * score < 1 else 0.0])
    L = perceptron_loss(s, y)
    assert (L.data, slopes(L, [s])) == (max(0.0, -y * score), [-y if y * score < 0 else 0.0])


def test_squares() -> None:
    z = [Value(3.0), Value(-1.0)]
    assert (squared_error(z, [1, 1]).data, slopes(squared_error(z, [1, 1]), z)) == (4.0, [2.0, -2.0])
    assert (mse(z, [1, 1]).data, slopes(mse(z, [1, 1]), z)) == (4.0, [2.0, -2.0])
    assert squared_error(z[0], 1).data == 2.0 and mse(z[0], np.array([1.0])).data == 4.0


@pytest.mark.parametrize("loss, output, target", [
    (squared_error, [0.3, -0.2], [1.0, 2.0]), (mse, [0.3, -0.2, 1.0], [1.0, 2.0, 0.0]),
    (binary_cross_entropy, [0.3, 0.2], [1, 0.4]),
    (binary_cross_entropy_with_logits, [0.3, -2.0], [1, 0.4]), (cross_entropy, [0.3, -2.0, 1.0], [0.2, 0.3, 0.5]),
    (nll, [0.3, 0.2, 0.5], [0.2, 0.3, 0.5]), (nll, [0.3, 0.2, 0.5], 2), (hinge, [0.3, 0.2, 3.0], 1), (hinge, [0.3], [-1]),
    (perceptron_loss, [0.3, -0.2], [-1, 1]),
])
def test_slopes_of_slopes(loss: Callable[..., Any], output: list[float], target: Any) -> None:
    assert gradcheck(lambda z: loss(z, target), output)


def test_nll_of_softmax_is_cross_entropy_and_bce_of_sigmoid_is_that_with_logits() -> None:
    z, (link, _) = [0.3, -2.0, 1.0], output_unit("binary")
    for y in (0, 1, 2, [0.2, 0.3, 0.5]):
        assert nll(softmax([Value(x) for x in z]), y).data == pytest.approx(cross_entropy(z, y).data, rel=1e-14)
    for t in (0, 1, 0.25):
        L = binary_cross_entropy_with_logits(0.3, t)
        assert binary_cross_entropy(link(Value(0.3)), t).data == pytest.approx(L.data, rel=1e-14)


def test_a_target_may_be_a_value() -> None:
    y = Value(1.0)
    z = Value(0.5)
    assert slopes(binary_cross_entropy_with_logits(z, y), [y]) == [-0.5]          # softplus(−z) − softplus(z) = −z
    assert slopes(squared_error(z, y), [z, y]) == [-0.5, 0.5]


# ---- what is refused

@pytest.mark.parametrize("loss, output, target, said", [
    (squared_error, [1.0, 2.0], [1.0], "the output has 2 numbers and the target 1"),
    (mse, 1.0, [1.0, 2.0], "the output has 1 number and the target 2"),
    (mse, [], [], "0 numbers"),
    (binary_cross_entropy_with_logits, 0.5, 2, "the target is 2, and must be 0, 1 or a probability"),
    (binary_cross_entropy_with_logits, 0.5, -1, r"give \(y \+ 1\)/2"),
    (binary_cross_entropy, 1.5, 1, "1.5 is no probability: of logits use binary_cross_entropy_with_logits"),
    (binary_cross_entropy, 0.0, 1, "loss is infinite.*binary_cross_entropy_with_logits"),
    (binary_cross_entropy, 1.0, 0, "loss is infinite"),
    (binary_cross_entropy, 1.0, 0.5, "loss is infinite"),
    (cross_entropy, [1.0, 2.0], 2, "the target 2 is no class: with 2 outputs they are 0 … 1"),
    (cross_entropy, [1.0, 2.0], -1, "no class"),
    (cross_entropy, [1.0, 2.0], 0.5, "0.5 is no class"),
    (cross_entropy, 1.0, 0, "K ≥ 2 classes"),
    (cross_entropy, [1.0], 0, "K ≥ 2 classes"),
    (cross_entropy, [1.0, 2.0], [1.0, 1.0], "must sum to 1"),
    (cross_entropy, [1.0, 2.0], [2.0, -1.0], "must not be negative"),
    (cross_entropy, [1.0, 2.0], [1.0, 0.0, 0.0], "has 2 numbers and the target 3"),
    (nll, [0.0, 1.0], 0, "loss is infinite.*cross_entropy"),
    (nll, [-0.5, -0.9], 0, "-0.5 is no probability: of logits use cross_entropy"),
    (nll, 0.5, 0, "K ≥ 2 classes"),
    (hinge, 0.5, 0, "must be −1 or 1"),
    (hinge, [0.5, 1.0], 2, "no class"),
    (perceptron_loss, 0.5, 0, r"give 2y − 1"),
])
def test_what_makes_no_sense_is_told(loss: Callable[..., Any], output: Any, target: Any, said: str) -> None:
    output = [Value(x) for x in output] if isinstance(output, list) else Value(output)
    with pytest.raises(ValueError, match=said) as error:
        loss(output, target)
    assert str(error.value).startswith(loss.__name__)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=list(LOSSES))
@pytest.mark.parametrize("target", ["1", None, [None, 1.0], 1j])
def test_a_target_is_made_of_numbers(loss: Callable[..., Any], target: Any) -> None:
    with pytest.raises(TypeError):
        loss([Value(0.5), Value(0.5)], target)


def test_a_term_of_weight_0_is_never_computed() -> None:
    for p, y in ((0.0, 0), (1.0, 1)):
        x = Value(p)
        L = binary_cross_entropy(x, y)
        assert L.data == 0.0 and math.isfinite(slopes(L, [x])[0])
    assert nll([Value(0.0), Value(1.0)], 1).data == 0.0 == nll([Value(0.0), Value(1.0)], [0, 1]).data
    with errstate(divide="ignore"):
        assert binary_cross_entropy(Value(0.0), 1).data == math.inf


def test_nan_and_numpy_numbers_pass_through() -> None:
    nan = Value(math.nan)
    assert math.isnan(binary_cross_entropy_with_logits(nan, 1).data) and math.isnan(binary_cross_entropy(nan, 0).data)
    assert math.isnan(cross_entropy([nan, Value(0.0)], 0).data)
    assert cross_entropy([Value(0.0), Value(0.0)], np.array(1)).data == cross_entropy(np.zeros(2), 1).data == math.log(2)


# ---- the regularised cost, and the table of output units

@given(SEEDS, st.floats(0, 10), st.integers(1, 50))
def test_l2_is_over_weights_and_no_biases(seed: int, lam: float, n: int) -> None:
    model = MLP(2, [3, 1], rng=seed)
    for i, p in enumerate(model.parameters()):
        p.data = p.data or float(i)
    w = np.array([p.data for p in model.weights()])
    term = l2(model, lam, n)
    assert len(w) == 9 and term.data == pytest.approx(lam / (2 * n) * (w @ w), rel=1e-12)
    model.zero_grad()
    term.backward()
    assert [p.grad for p in model.weights()] == pytest.approx(lam / n * w, rel=1e-12)
    assert all(neuron.b is not None and neuron.b.grad == 0 for layer in model.layers for neuron in layer.neurons)


def test_l2_refuses_and_takes_nothing() -> None:
    class Empty(MLP):
        def weights(self) -> list[Value]:
            return []
    assert l2(Empty(1, [1]), 1.0).data == 0.0
    for lam, n in ((-1.0, 1), (math.nan, 1), (1.0, 0)):
        with pytest.raises(ValueError, match="λ is not negative"):
            l2(MLP(1, [1]), lam, n)


def test_output_units_are_the_lectures() -> None:
    table = {kind: (unit.distribution, unit.loss.__name__) for kind, unit in OUTPUT_UNITS.items()}
    assert table == {"binary": ("Bernoulli", "binary_cross_entropy_with_logits"), "discrete": ("multinoulli", "cross_entropy"),
                     "continuous": ("Gaussian", "mse"), "arbitrary": ("arbitrary", "binary_cross_entropy_with_logits")}
    assert [output_unit(kind).link(z) for kind, z in (("binary", 0.0), ("discrete", [1.0, 1.0]), ("continuous", -3.0))] == [
        0.5, [0.5, 0.5], -3.0]
    assert all(unit.loss is LOSSES[unit.loss.__name__] for unit in OUTPUT_UNITS.values())
    with pytest.raises(ValueError, match="binary, discrete, continuous"):
        output_unit("ordinal")
