"""Weights as matrices: read, set and differentiated by as the lectures write them."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograd import Value, grad, grads, hessian, jacobian, numbers, values
from nn import (
    MLP,
    Conv2d,
    Layer,
    LogisticRegression,
    Module,
    Neuron,
    Perceptron,
    SoftmaxRegression,
    binary_cross_entropy_with_logits,
    cross_entropy,
    fit,
    gate,
    load,
    save,
)

Array = np.ndarray[Any, Any]
# (what makes it, the name, the shape)
SETTABLE: list[tuple[Callable[[], Module], str, tuple[int, ...]]] = [
    (lambda: Layer(3, 2, "tanh", rng=0), "W", (2, 3)), (lambda: Layer(3, 2, "tanh", rng=0), "b", (2,)),
    (lambda: Layer(3, 2, rng=0), "theta", (2, 4)), (lambda: Layer(3, 2, bias=False, rng=0), "theta", (2, 3)),
    (lambda: Layer(1, 1, rng=0), "W", (1, 1)), (lambda: SoftmaxRegression(2, 3), "theta", (3, 3)),
    (lambda: Neuron(3, rng=0), "w", (3,)), (lambda: Neuron(3, rng=0), "b", ()), (lambda: Neuron(3, rng=0), "theta", (4,)),
    (lambda: Neuron(3, bias=False, rng=0), "theta", (3,)), (lambda: Perceptron(2), "theta", (3,)),
    (lambda: LogisticRegression(2), "w", (2,)), (lambda: Conv2d(2, 3, 2, rng=0), "w", (3, 2, 2, 2)),
    (lambda: Conv2d(2, 3, 2, rng=0), "b", (3,))]
IDS = [f"{type(make()).__name__}.{name}{shape}" for make, name, shape in SETTABLE]


def parameters(module: Module) -> dict[str, float]:
    return module.state_dict()


@pytest.mark.parametrize(("make", "name", "shape"), SETTABLE, ids=IDS)
def test_a_matrix_is_read_and_set(make: Callable[[], Module], name: str, shape: tuple[int, ...]) -> None:
    module, new = make(), np.random.default_rng(1).normal(size=shape)
    before, held = parameters(module), module.parameters()
    assert np.shape(numbers(getattr(module, name))) == shape
    forms: list[Any] = [new, new.tolist(), np.float32(new) if shape else float(np.float32(new)), np.array(new, dtype=object)]
    for given_ in forms:
        setattr(module, name, given_)
        assert numbers(getattr(module, name)) == np.asarray(given_, dtype=float).tolist()
        assert module.parameters() == held and list(parameters(module)) == list(before)   # the same Values, by the same names
    others = {n for n, x in parameters(module).items() if x == before[n]}
    assert len(before) - len(others) == int(np.prod(shape))                               # and nothing else is touched


@pytest.mark.parametrize(("make", "name", "shape"), SETTABLE, ids=IDS)
@pytest.mark.parametrize("wrong", ["more", "fewer", "transposed", "number", "text", "nan", "none", "mixed", "ragged"])
def test_what_does_not_fit_is_told_and_nothing_is_set(make: Callable[[], Module], name: str, shape: tuple[int, ...],
                                                      wrong: str) -> None:
    module = make()
    before, n = parameters(module), int(np.prod(shape))
    bad = np.ones(shape).tolist()
    flat: Any = [1.0] * n
    flat[-1] = {"text": "1", "nan": float("nan"), "none": None, "mixed": Value(1.0)}.get(wrong)
    if wrong == "more":
        bad = np.ones((*shape[:-1], shape[-1] + 1) if shape else (1,)).tolist()
    elif wrong == "fewer":
        bad = np.ones((*shape[:-1], shape[-1] - 1) if shape else (0,)).tolist()
    elif wrong in ("transposed", "number", "ragged"):
        bad = {"transposed": np.ones((*shape, 1)).T.tolist(), "number": 1.0, "ragged": [[1.0], 2.0]}[wrong]
        if np.shape(bad if wrong != "ragged" else ()) == shape:
            bad = [bad]
    elif wrong == "mixed" and n == 1:
        bad = "1"   # one Value alone may take the parameter's place
    else:
        bad = np.array(flat, dtype=object).reshape(shape).tolist()
    with pytest.raises((TypeError, ValueError)) as error:
        setattr(module, name, bad)
    assert f"{module.called()}.{name}" in str(error.value)
    assert parameters(module) == before


def test_an_error_names_both_shapes() -> None:
    layer = Layer(3, 2)
    with pytest.raises(ValueError, match=r"Layer\(nin=3, nout=2\)\.W has the shape \(2, 3\), and was given \(3, 2\)"):
        layer.W = np.zeros((3, 2))
    with pytest.raises(ValueError, match=r"\.theta has the shape \(2, 4\), and was given \[\[·, ·, ·\], \[·\]\]"):
        layer.theta = [[1.0, 2.0, 3.0], [4.0]]
    with pytest.raises(ValueError, match=r"\.b has the shape \(2,\), and was given 0\.5"):
        layer.b = 0.5
    with pytest.raises(ValueError, match=r"Neuron\(nin=3\)\.w was given nan: a parameter is a finite number"):
        Neuron(3).w = [1.0, 2.0, float("nan")]


@pytest.mark.parametrize("module", [Neuron(2, bias=False), Layer(2, 3, bias=False), Conv2d(1, 1, 1, bias=False)])
def test_a_bias_that_is_not_there_is_not_set(module: Any) -> None:
    assert not module.b
    with pytest.raises(ValueError, match="it has no bias: make it with bias=True"):
        module.b = 1.0
    if not isinstance(module, Conv2d):
        with pytest.raises(ValueError, match=r"theta has the shape"):
            module.theta = np.ones((3, 3) if isinstance(module, Layer) else 3)


def test_a_fixed_bias_is_set_and_stays_fixed() -> None:
    neuron = Neuron(2, rng=0)
    neuron.b = Value(-1.0).detach()
    neuron.theta = [2.0, 3.0, 4.0]
    assert (neuron([1.0, 1.0]).data, [name for name, _ in neuron.named_parameters()]) == (9.0, ["w.0", "w.1"])
    neuron.w = [x := Value(1.0), x * 2.0]
    with pytest.raises(ValueError, match=r"Neuron\(nin=2\)\.w holds .* which is no parameter"):
        neuron.w = [5.0, 6.0]
    assert x.data == 1.0


def test_values_take_the_place_of_parameters() -> None:
    W = values([[1.0, 2.0], [3.0, 4.0]], label="w")
    layer = Layer(2, 2)
    layer.W, layer.b = W, values(np.zeros(2), label="b")
    assert [v.label for v in layer.parameters()] == ["w11", "w12", "b1", "w21", "w22", "b2"]
    assert layer.parameters()[0] is W[0][0]
    theta = values(np.ones((2, 3)))
    layer.theta = theta
    assert layer.parameters()[2] is theta[0, 0] and layer.W[1][1] is theta[1, 2]   # the neuron's bias is its last parameter


def test_a_graph_made_before_is_stale() -> None:
    layer = Layer(1, 1, "tanh", rng=0)
    y = layer([1.0])[0]
    layer.W = [[0.5]]
    with pytest.raises(RuntimeError, match="assigned"):
        y.backward()
    copied = deepcopy(layer)
    copied.W = [[2.0]]
    assert layer.W[0][0].data == 0.5


def test_what_was_set_is_trained_and_saved(tmp_path: Any) -> None:
    model = MLP(1, [2, 1], "tanh", rng=0)
    model.layers[0].theta, model.layers[1].W = [[0.1, 0.2], [0.3, -0.4]], [[0.5, -0.6]]
    save(model, tmp_path / "m")
    again = load(tmp_path / "m")
    assert isinstance(again, MLP) and numbers(again.layers[0].theta) == [[0.1, 0.2], [0.3, -0.4]]
    runs = [fit(m, [[0.0], [1.0]], [0.0, 1.0], epochs=3, compiled=c)["loss"] for m, c in ((model, True), (again, False))]
    assert runs[0] == pytest.approx(runs[1], rel=1e-9)


# ---- networks of matrices

@given(st.lists(st.integers(1, 3), min_size=2, max_size=4), st.booleans(), st.integers(0, 2**32 - 1))
def test_a_network_of_its_matrices(sizes: list[int], bias: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    thetas = [rng.normal(size=(m, n + bias)) for n, m in pairwise(sizes)]
    model, a = MLP.from_theta(thetas, "tanh", "sigmoid", bias=bias), rng.normal(size=sizes[0])
    assert [numbers(layer.theta) for layer in model.layers] == [theta.tolist() for theta in thetas]
    assert model.config() == {"nin": sizes[0], "nouts": sizes[1:], "activation": "tanh", "output": "sigmoid", "bias": bias}
    y = model(a)
    for theta in thetas:
        z = theta @ ([1.0, *a] if bias else a)
        a = np.tanh(z)
    assert numbers(y if isinstance(y, list) else [y]) == pytest.approx((1 / (1 + np.exp(-z))).tolist(), rel=1e-12)


@pytest.mark.parametrize(("thetas", "match"), [
    ([], "give the matrix of each layer"), ([[1.0, 2.0]], r"matrix 1 is \[·, ·\]: it needs a row for each unit"),
    ([[[1.0]]], "a number for each input and one for the bias"), ([[[1.0, 2.0], [3.0]]], "it needs a row for each unit"),
    ([np.ones((3, 4)), np.ones((1, 3))], r"matrix 2 has the shape \(1, 3\), and the layer before it 3 units: it needs a column "
                                         "for each and one for the bias"),
    ([[["1", 2.0]]], "text"),
])
def test_matrices_that_make_no_network(thetas: Any, match: str) -> None:
    with pytest.raises((TypeError, ValueError), match=match):
        MLP.from_theta(thetas)


def test_the_gates_are_their_matrices() -> None:
    assert numbers(gate("XNOR").layers[1].theta) == [[-10.0, 20.0, 20.0]]


# ---- derivatives by matrices: the formulas of the lectures

@pytest.mark.parametrize("c", range(3))
def test_softmax_regression_by_its_matrix(c: int) -> None:
    """CS114: ∂L/∂W = (ŷ − y) xᵀ, ∂L/∂b = ŷ − y; ∂z/∂W holds x in the row of z."""
    rng = np.random.default_rng(c)
    model, x, y = SoftmaxRegression(2, 3), rng.normal(size=2), np.eye(3)[c]
    model.theta = rng.normal(size=(3, 3))
    L = cross_entropy(model(x), c)
    p = np.array(numbers(model.probabilities(x)))
    assert np.array(numbers(grad(L, model.W))) == pytest.approx(np.outer(p - y, x))
    assert np.array(numbers(grad(L, model.theta))) == pytest.approx(np.outer(p - y, [1.0, *x]))
    assert numbers(grad(L, model.b)) == pytest.approx(p - y)
    L.backward()
    assert np.array(grads(model.W)) == pytest.approx(np.outer(p - y, x))
    J = np.array(numbers(jacobian(model.z(x), model.W)))
    assert J.shape == (3, 3, 2) and pytest.approx(J) == np.einsum("cd,i->cdi", np.eye(3), x)
    H = np.array(numbers(hessian(L, model.W)))
    assert H.shape == (3, 2, 3, 2) and pytest.approx(H) == np.einsum("cd,i,j->cidj", np.diag(p) - np.outer(p, p), x, x)


def test_logistic_regression_of_many_examples() -> None:
    """CS230: ∂J/∂w = (A − Y)Xᵀ and ∂J/∂b = (A − Y)·1, of examples in columns."""
    rng = np.random.default_rng(0)
    model, X, Y = Layer(3, 1), rng.normal(size=(3, 5)), rng.integers(0, 2, size=(1, 5))
    model.W, model.b = rng.normal(size=(1, 3)), [0.5]
    J = sum([binary_cross_entropy_with_logits(model(x), y) for x, y in zip(X.T, Y.T, strict=True)], Value(0.0))
    A = 1 / (1 + np.exp(-(np.array(numbers(model.W)) @ X + numbers(model.b))))
    assert np.array(numbers(grad(J, model.W))) == pytest.approx((A - Y) @ X.T)
    assert numbers(grad(J, model.b)) == pytest.approx((A - Y).sum(axis=1))
