"""Modules and layers: sizes, names, states, and the layer formulas of the lectures, which the engine must give exactly."""

from __future__ import annotations

import math
import pickle
import subprocess
import sys
from collections import deque, namedtuple
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

import viz
from autograd import Value, compile, no_grad, sigmoid, tanh, topological
from autograd.steps import xi_names
from nn import (
    ACTIVATIONS,
    GAN,
    INITIALISERS,
    MLP,
    AvgPool2d,
    Conv2d,
    Flatten,
    GeneralisedReLU,
    Layer,
    LeNet,
    LinearRegression,
    LogisticRegression,
    Maxout,
    MaxPool2d,
    Module,
    Neuron,
    OneVsRest,
    Perceptron,
    Sequential,
    SoftmaxRegression,
    activation,
    binary_cross_entropy_with_logits,
    initialiser,
)
from nn.activations import ALIASES

Array = npt.NDArray[np.float64]
SEEDS, SIZES = st.integers(0, 2**32 - 1), st.lists(st.integers(1, 4), min_size=2, max_size=4)


def sigma(z: Any) -> Any:
    return 0.5 * (1 + np.tanh(z / 2))


def numbers(x: Any) -> Any:
    """Nested lists of Values as an array of their numbers."""
    return np.vectorize(lambda v: v.data if isinstance(v, Value) else v, otypes=[float])(np.array(x, dtype=object))


def grads(x: Any) -> Any:
    return np.vectorize(lambda v: v.grad, otypes=[float])(np.array(x, dtype=object))


def assert_same(found: Any, expected: Any, relative: float = 1e-12) -> None:
    """Equal up to rounding: relative to the largest of the numbers, as sums of terms of both signs are."""
    found, expected = np.asarray(found, dtype=float), np.asarray(expected, dtype=float)
    assert found.shape == expected.shape
    scale = np.abs(expected).max(initial=0.0)
    assert np.abs(found - expected).max(initial=0.0) <= relative * scale + 1e-300, (found, expected)


# ---- sizes

def test_micrograd_code_runs() -> None:
    x, model = [2.0, 3.0, -1.0], MLP(3, [4, 4, 1], rng=0)
    assert isinstance(Neuron(3)(x), Value) and isinstance(model(x), Value) and len(model.parameters()) == 41
    loss = (model(x) - 1.0) ** 2
    model.zero_grad()
    loss.backward()
    for p in model.parameters():
        p.data += -0.01 * p.grad
    assert [layer.activation for layer in model.layers] == ["relu", "relu", "linear"]
    assert all(-1 <= w.data <= 1 for w in model.weights())


def test_parameter_counts_of_the_lectures() -> None:
    hidden, output = MLP(40, [20, 1], bias=False).layers
    assert (len(hidden.parameters()), len(output.parameters())) == (800, 20)
    one, two = MLP(3, [3, 1], "sigmoid").layers
    assert np.shape(np.array(one.theta, dtype=object)) == (3, 4) and np.shape(np.array(two.theta, dtype=object)) == (1, 4)
    assert one.theta[0][0] is one.neurons[0].b and one.theta[2][1] is one.neurons[2].w[0]


def test_a_layer_gives_a_list_and_a_network_unwraps() -> None:
    assert isinstance(Layer(2, 1)([1, 2]), list) and isinstance(MLP(2, [1, 3, 1])([1, 2]), Value)
    assert isinstance(Sequential(MLP(2, [1]), Layer(1, 1))([1, 2]), Value)
    assert len(MLP(1, [2])(0.5)) == len(MLP(1, [2])(np.array([0.5]))) == len(MLP(1, [2])(np.float64(0.5))) == 2


@pytest.mark.parametrize("module, x, said", [
    (Neuron(3), [1.0, 2.0], "Neuron(nin=3) takes 3 inputs, and was given 2"),
    (MLP(3, [2, 1]), [1.0], "Layer(nin=3, nout=2, activation='relu') takes 3 inputs, and was given 1"),
    (Sequential(Layer(1, 2), Layer(3, 1)), 1.0, "Layer(nin=3, nout=1) takes 3 inputs, and was given 2"),
    (Maxout(1, 1), [1, 2], "takes 1 input, and was given 2"),
    (Conv2d(2, 1, 1), [[[1.0]]], "takes 2 channels, and was given 1"),
    (Conv2d(1, 1, 3), [[1.0, 2.0], [3.0, 4.0]], "the window of 3 is larger than the 2 pixels"),
    (MaxPool2d(2), [[[1.0, 2.0], [3.0]]], r"different sizes (height, width): [(2, 1), (2, 2)]"),
    (AvgPool2d(2), [1.0, 2.0], "images of shape (channels, height, width), and was given 1 dimension"),
    (AvgPool2d(2), [[[[1.0]]]], "was given 4 dimensions"),
])
def test_a_mismatch_names_both_sizes_and_the_layer(module: Module, x: Any, said: str) -> None:
    with pytest.raises(ValueError) as error:
        module(x)
    assert said in str(error.value)


def test_what_is_no_size_or_no_number() -> None:
    with pytest.raises(ValueError, match=r"Layer\(nout\) = 0"):
        Layer(2, 0)
    with pytest.raises(TypeError, match="whole number"):
        Neuron(2.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="give the sizes of its layers"):
        MLP(2, [])
    with pytest.raises(TypeError, match=r"an input of Neuron\(nin=1\)"):
        Neuron(1)(["1"])
    with pytest.raises(TypeError, match="argument 1 is 'relu'"):
        Sequential(Layer(1, 1), "relu")  # type: ignore[arg-type]
    with pytest.raises(NotImplementedError, match="define it"):
        Module()([1])


# ---- forward and backward by layers

@given(SIZES, SEEDS)
def test_forward_pass_is_the_lectures(sizes: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    model, x = MLP(sizes[0], sizes[1:], "tanh", "sigmoid", rng=rng), rng.normal(size=sizes[0])
    a, z = model.forward_pass(x)
    assert_same(numbers(a[0]), x)
    for layer, before, sums, after in zip(model.layers, a, z, a[1:], strict=False):
        assert_same(numbers(sums), numbers(layer.theta) @ np.array([1.0, *numbers(before)]))
        assert_same(numbers(after), (np.tanh if layer.activation == "tanh" else sigma)(numbers(sums)))
    y = model(x)
    assert [v.data for v in (y if isinstance(y, list) else [y])] == [v.data for v in a[-1]]


@given(SIZES, SEEDS)
def test_backpropagation_by_layers(sizes: list[int], seed: int) -> None:
    """CS114: δ_L = ŷ − y; δ_J = (W_Kᵀ δ_K) ⊙ σ′(z_J); ∇W = δ aᵀ, ∇b = δ."""
    rng = np.random.default_rng(seed)
    model, x = MLP(sizes[0], sizes[1:], "sigmoid", rng=rng, init="xavier"), rng.normal(size=sizes[0])
    y = rng.integers(0, 2, sizes[-1])
    a, z = model.forward_pass(x)
    binary_cross_entropy_with_logits(z[-1], y).backward()
    delta = sigma(numbers(z[-1])) - y
    for j in reversed(range(len(model.layers))):
        theta = model.layers[j].theta
        assert_same(grads(theta), np.outer(delta, [1.0, *numbers(a[j])]))
        if j:
            zj = numbers(z[j - 1])
            delta = numbers(theta)[:, 1:].T @ delta * sigma(zj) * sigma(-zj)


@given(st.integers(1, 4), st.integers(1, 4), SEEDS)
def test_two_layer_formulas(n: int, hidden: int, seed: int) -> None:
    """CS539: ∂L/∂Θ⁽²⁾ = a⁽²⁾(a⁽³⁾ − y); ∂L/∂Θ⁽¹⁾ = (a⁽³⁾ − y)·Θ⁽²⁾·a⁽²⁾(1 − a⁽²⁾)·x."""
    rng = np.random.default_rng(seed)
    model, x, y = MLP(n, [hidden, 1], "sigmoid", rng=rng), [1.0, *rng.normal(size=n)], float(rng.integers(0, 2))
    logit = model(x[1:])
    binary_cross_entropy_with_logits(logit, y).backward()
    one, two = numbers(model.layers[0].theta), numbers(model.layers[1].theta)[0]
    a2 = sigma(one @ x)
    error = sigma(two @ [1.0, *a2]) - y
    assert_same(grads(model.layers[1].theta)[0], error * np.array([1.0, *a2]))
    assert_same(grads(model.layers[0].theta), np.outer(error * two[1:] * a2 * (1 - a2), x))


# ---- images

def convolved(x: Array, w: Array, b: Array, s: int, p: int) -> Array:
    """The formula of Conv2d, term by term."""
    x = np.pad(x, ((0, 0), (p, p), (p, p)))
    h, k = (x.shape[1] - w.shape[2]) // s + 1, (x.shape[2] - w.shape[3]) // s + 1
    return np.array([[[b[o] + (w[o] * x[:, r * s:r * s + w.shape[2], q * s:q * s + w.shape[3]]).sum() for q in range(k)]
                      for r in range(h)] for o in range(len(w))])


@given(st.tuples(*[st.integers(1, 2)] * 2), st.tuples(*[st.integers(1, 3)] * 2), st.integers(1, 2), st.integers(0, 2), SEEDS)
def test_conv2d_is_its_formula(channels: tuple[int, int], k: tuple[int, int], stride: int, padding: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    model, x = Conv2d(*channels, k, stride, padding, rng=rng), rng.normal(size=(channels[0], 4, 5))
    for v in model.b:
        v.data = rng.normal()
    w, b, found = numbers(model.w), numbers(model.b), model(x)
    expected = convolved(x, w, b, stride, padding)
    assert_same(numbers(found), expected)
    G = rng.normal(size=expected.shape)
    sum(g * v for g, v in zip(G.flat, Flatten()(found), strict=True)).backward()
    assert_same(grads(model.b), G.sum(axis=(1, 2)))
    units = np.eye(w.size).reshape(w.size, *w.shape)   # linear in w: the slope by a weight is what its unit alone would give
    assert_same(grads(model.w).ravel(), [(G * convolved(x, unit, 0 * b, stride, padding)).sum() for unit in units])


@pytest.mark.parametrize("pool, of", [(AvgPool2d, np.mean), (MaxPool2d, np.max)])
def test_pools_look_at_windows_side_by_side(pool: Any, of: Callable[..., Any]) -> None:
    x = np.random.default_rng(0).normal(size=(2, 5, 7))   # what is left over at the edges is not seen
    expected = [[[of(c[r:r + 2, q:q + 2]) for q in (0, 2, 4)] for r in (0, 2)] for c in x]
    assert_same(numbers(pool(2)(x)), expected)
    assert numbers(pool((1, 7))(x.tolist())).shape == (2, 5, 1)


def test_equal_numbers_share_the_slope_of_a_maximum() -> None:
    v = [Value(1.0), Value(1.0)]
    MaxPool2d((1, 2))([[v]])[0][0][0].backward()
    assert [x.grad for x in v] == [0.5, 0.5]


def test_flatten_is_in_row_major_order() -> None:
    x = np.arange(24.0).reshape(2, 3, 4)
    assert Flatten()(x) == x.ravel().tolist() and Flatten()([1, 2]) == [1, 2]


def test_an_image_of_one_channel_needs_no_brackets_and_lenet_takes_rows_of_64() -> None:
    x, model = np.random.default_rng(0).random(64), LeNet(rng=0)
    forms = [x, x.tolist(), x.reshape(8, 8), x.reshape(1, 8, 8), x.reshape(1, 8, 8).tolist()]
    with no_grad():
        assert len({tuple(v.data for v in model(form)) for form in forms}) == 1
    assert len(LeNet(3)(x)) == 3


@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), SEEDS)
def test_maxout_is_the_largest_piece(nin: int, nout: int, pieces: int, seed: int) -> None:
    model, x = Maxout(nin, nout, pieces, rng=seed), np.random.default_rng(seed).normal(size=nin)
    w = np.array([numbers(layer.theta) for layer in model.layers])
    assert_same(numbers(model(x)), (w @ [1.0, *x]).max(axis=0))


# ---- names, states, structure

def modules() -> list[Module]:
    """One of each, with arguments that are not the defaults."""
    return [Neuron(2, "tanh", False), Layer(2, 3, "relu"), MLP(2, [3, 1], "swish", "sigmoid", False), Maxout(2, 1, 3),
            Flatten(), Conv2d(1, 2, (2, 1), 2, 1, "relu", False), AvgPool2d((1, 2)), MaxPool2d(2), LeNet(3),
            GeneralisedReLU(0.125), Sequential(Layer(1, 2, "generalised_relu"), Layer(2, 1))]


def test_names_are_paths_as_in_torch() -> None:
    names = [name for name, _ in MLP(2, [2, 1]).named_parameters()]
    assert names[:3] == ["layers.0.neurons.0.w.0", "layers.0.neurons.0.w.1", "layers.0.neurons.0.b"] and len(names) == 9
    assert [n for n, _ in Conv2d(1, 1, (1, 2)).named_parameters()] == ["w.0.0.0.0", "w.0.0.0.1", "b.0"]
    assert [n for n, _ in Layer(1, 2, "generalised_relu").named_parameters()] == [
        "g.alpha", "neurons.0.w.0", "neurons.0.b", "neurons.1.w.0", "neurons.1.b"]


class Two(Module):
    def __init__(self) -> None:
        self.hidden, self.out, self.scale = Layer(1, 1), Layer(1, 1), Value(2.0)


class Wrapped(Module):
    def __init__(self) -> None:
        self.net, self.T, self.by = MLP(1, [1]), np.array([[Value(1.0), Value(2.0)]]), {"a": Value(3.0)}
        self.late = []
        self.late.append(Value(4.0))


@dataclass(eq=False)
class Dataclass(Module):
    w: list[Value] = field(default_factory=lambda: [Value(1.0)])


@pytest.mark.parametrize(("make", "labels"), [
    (lambda: Neuron(2), "w1 w2 b"),
    (lambda: Layer(2, 2), "W₁₁ W₁₂ b1 W₂₁ W₂₂ b2"),
    (lambda: MLP(2, [2, 1]), "Θ⁽¹⁾₁₁ Θ⁽¹⁾₁₂ Θ⁽¹⁾₁₀ Θ⁽¹⁾₂₁ Θ⁽¹⁾₂₂ Θ⁽¹⁾₂₀ Θ⁽²⁾₁₁ Θ⁽²⁾₁₂ Θ⁽²⁾₁₀"),
    (lambda: MLP(1, [1, 1], "generalised_relu", bias=False), "α⁽¹⁾ Θ⁽¹⁾₁₁ Θ⁽²⁾₁₁"),
    (lambda: LinearRegression(2), "β1 β2 β0"),
    (lambda: LogisticRegression(1), "θ1 θ0"),
    (lambda: Perceptron(1), "θ1 θ0"),
    (lambda: SoftmaxRegression(1, 2), "W₁₁ b1 W₂₁ b2"),
    (lambda: OneVsRest(1, 2), "θ⁽¹⁾₁ θ⁽¹⁾₀ θ⁽²⁾₁ θ⁽²⁾₀"),
    (lambda: Maxout(1, 1, 2), "W⁽¹⁾₁₁ b⁽¹⁾₁ W⁽²⁾₁₁ b⁽²⁾₁"),
    (lambda: Sequential(Layer(1, 1), Flatten(), Layer(1, 1)), "W⁽¹⁾₁₁ b⁽¹⁾₁ W⁽²⁾₁₁ b⁽²⁾₁"),
    (lambda: Sequential(Layer(1, 1), Flatten()), "W₁₁ b1"),
    (lambda: Sequential(MLP(1, [1, 1], bias=False), Layer(1, 1, bias=False)), "Θ⁽¹,¹⁾₁₁ Θ⁽¹,²⁾₁₁ W⁽²⁾₁₁"),
    (lambda: Conv2d(1, 1, (1, 2)), "w₁₁₁₁ w₁₁₁₂ b1"),
    (lambda: GAN(1), " ".join([f"{player}.Θ⁽{k}⁾₁{j}" for player in ("generator", "discriminator")
                               for k in "¹²" for j in "₁₀"])),
    (Two, "hidden.W₁₁ hidden.b1 out.W₁₁ out.b1 scale"),
    (Wrapped, "Θ⁽¹⁾₁₁ Θ⁽¹⁾₁₀ T₁₁ T₁₂ a late1"),
    (Dataclass, "w1"),
])
def test_parameters_know_their_names(make: Callable[[], Module], labels: str) -> None:
    model = make()
    assert [p.label for p in model.parameters()] == labels.split(" ")
    for copy in (deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert [p.label for p in copy.parameters()] == labels.split(" ")


def test_each_parameter_of_a_large_model_has_a_name_of_its_own() -> None:
    for model in (MLP(64, [32, 10]), LeNet(), Layer(112, 12)):
        labels = [p.label for p in model.parameters()]
        assert None not in labels and len({*labels}) == len(labels)
    assert {"W₁₁₂,₁", "W₁₁,₂", "W₁,₁₂", "W₁₁"} <= {p.label for p in Layer(12, 112).parameters()}


def test_labels_that_were_given_stay() -> None:
    layer = Layer(1, 1)
    layer.neurons[0].w[0].label = "mine"
    assert [p.label for p in Sequential(layer, Layer(1, 1)).parameters()] == ["mine", "b⁽¹⁾₁", "W⁽²⁾₁₁", "b⁽²⁾₁"]

    class Named(Module):
        def __init__(self) -> None:
            self.w = Value(1.0, label="slope")
    assert [p.label for p in Named().parameters()] == ["slope"]


def test_a_constructor_that_fails_leaves_the_next_one_as_it_is() -> None:
    with pytest.raises(ValueError, match="nin"):
        Neuron(0)
    assert Neuron(1).w[0].label == "w1"


def test_modules_that_hold_each_other_are_named() -> None:
    class Child(Module):
        def __init__(self, parent: Module) -> None:
            self.parent, self.w = parent, Value(1.0)

    class Parent(Module):
        def __init__(self) -> None:
            self.v = Value(0.0)
            self.children = Sequential(Child(self), Child(self))
    labels = [str(p.label) for p in Parent().parameters()]
    assert labels[0] == "v" and len({*labels}) == 3 and all("w" in label for label in labels[1:])


def test_plain_inputs_are_x1_x2_and_pixels_their_row_and_column() -> None:
    def inputs(z: Any) -> list[str | None]:
        return [v.label for v in topological(z) if v.constant]
    x = Value(3.0, label="mine")
    assert inputs(Neuron(3)([1.0, 2.0, x])) == ["x1", "x2"] and inputs(Neuron(1)(4.0)) == ["x1"]
    assert inputs(Conv2d(1, 1, 2, bias=False)([[1, 2], [3, 4]])[0][0][0]) == ["x₁₁", "x₁₂", "x₂₁", "x₂₂"]
    assert inputs(Conv2d(2, 1, 1, bias=False)([[[1]], [[2]]])[0][0][0]) == ["x₁₁₁", "x₂₁₁"]


def test_names_in_table_picture_and_page_are_the_models() -> None:
    neuron = Neuron(2, rng=0)
    y = neuron([1.0, 2.0])
    assert [v for v in xi_names(y).values() if v[0] not in "ξL"] == ["b", "w1", "w2", "x1", "x2"]
    assert [v.label for v in viz.table(y).steps.variables] == ["b", "w1", "w2"]
    x = [Value(1.0, label="size"), Value(2.0, label="age")]
    assert [row.partials[0].arg.label for row in viz.table(neuron(x), model=neuron).steps.rows[:1]] == ["w1"]
    assert "w1·size" in viz.table(neuron(x), x).text() and "0.27" not in viz.table(neuron(x), x).text().split("\n\n")[0]
    gan = GAN(1, rng=0)
    twice = MLP(1, [1], rng=0)([gan(0.5)]) * gan.generator(0.25)
    names = [*xi_names(twice).values()]
    assert len({*names}) == len(names) and {"Θ⁽¹⁾₁₁", "generator.Θ⁽¹⁾₁₁", "x1", "x1′"} <= {*names}


def test_after_a_training_no_old_gradient_is_shown() -> None:
    model = MLP(1, [1], rng=0)
    loss = (model([2.0]) - 1.0) ** 2
    loss.backward()
    assert "grad" in viz.draw(loss, engine="builtin").svg
    for p in model.parameters():
        p.data -= 0.1 * p.grad
    assert "grad" not in viz.draw(model([2.0]), engine="builtin").svg + str(viz.picture_or_none(model([2.0])))


def test_labels_alter_no_compiled_program() -> None:
    def program(labelled: bool) -> str:
        model, x = MLP(2, [2, 1], "tanh", rng=0), [Value(0.5), Value(1.0)]
        if not labelled:
            for p in model.parameters():
                p.label = None
        return str(compile(model(x), [model.parameters(), x], wrt=0, batch=1, backend="numpy"))
    assert program(True) == program(False)


class Shared(Module):
    def __init__(self) -> None:
        self.scale = Value(1.0)
        self.parts = {"a": [Value(2.0), (Value(3.0),)], "b": Neuron(1)}
        self.again, self.itself = [self.scale, self.parts], self
        self.bias = [Value(4.0)]
        self.constant, self.computed = Value(1.0).detach(), self.scale * 2


def test_parameters_are_the_leaves_each_once() -> None:
    model = Shared()
    named = dict(model.named_parameters())
    assert list(named) == ["scale", "parts.a.0", "parts.a.1.0", "parts.b.w.0", "parts.b.b", "bias.0"]
    assert [v.data for v in model.weights()] == [1.0, 2.0, 3.0, named["parts.b.w.0"].data]
    for v in model.parameters():
        v.grad = 1.0
    model.zero_grad()
    assert {v.grad for v in model.parameters()} == {0.0}


@dataclass
class Gains:
    up: Value
    down: Any = None
    later: Value = field(init=False)


Pair = namedtuple("Pair", "first second")


class Held(Module):
    """Parameters in every kind of container."""

    def __init__(self) -> None:
        self.W = np.array([[Value(1.0), Value(2.0)], [Value(3.0), Neuron(1, bias=False)]])
        self.b, self.alone = np.array([Value(4.0)]), np.array(Value(5.0))
        self.recent, self.pair = deque([Value(6.0), [Value(7.0)]]), Pair(Value(8.0), Value(9.0))
        self.gains, self.kind = Gains(Value(10.0), Value(11.0)), Gains
        self.again, self.numbers = [self.W.T, self.W], np.ones((2, 2))
        self.cube = np.empty((1, 2, 1), dtype=object)
        self.cube[0, 1, 0] = Value(12.0)


NAMES = ["W.0.0", "W.0.1", "W.1.0", "W.1.1.w.0", "b.0", "alone.0", "recent.0", "recent.1.0", "pair.0", "pair.1", "gains.up",
         "gains.down", "cube.0.1.0"]


def test_parameters_are_found_in_arrays_and_other_containers() -> None:
    model = Held()
    assert list(model.state_dict()) == NAMES
    assert len(model.weights()) == len(NAMES) - 1   # without b
    model.load_state_dict({name: float(i) for i, name in enumerate(NAMES)})
    assert model.W[1, 0].data == 2.0 and model.cube[0, 1, 0].data == 12.0 and model.gains.down.data == 11.0
    for again in (deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert again.state_dict() == model.state_dict() and not set(again.parameters()) & set(model.parameters())
        assert again.W[0, 0] is again.parameters()[0] and again.W.shape == (2, 2)
    model.cube[0, 0, 0] = model.cube   # in a circle
    assert list(model.state_dict()) == NAMES


def test_modules_are_shown_wherever_they_are_held() -> None:
    model = Held()
    model.recent.append({"a": Sequential(Neuron(1, rng=0))})
    assert repr(model).split("\n") == [
        "Held(): 15 parameters", "  W.1.1  Neuron(nin=1, bias=False): 1 parameter", "  recent.2.a  Sequential(): 2 parameters",
        "    modules.0  Neuron(nin=1): 2 parameters"]


def test_a_container_that_is_made_anew_hides_nothing() -> None:
    """A part that lives no longer than the look at it must not lend its identity to the next."""
    class Fresh(dict[str, Any]):
        def values(self) -> Any:
            return [[v] for v in super().values()]
    model = Module()
    model.x = Fresh({f"{i}": Value(i) for i in range(50)})  # type: ignore[attr-defined]
    assert [v.data for v in model.parameters()] == list(range(50))


def test_weights_are_without_biases() -> None:
    assert len(MLP(3, [4, 1], "generalised_relu").weights()) == 3 * 4 + 4 and len(Conv2d(2, 3, 2).weights()) == 24


@pytest.mark.parametrize("module", modules(), ids=lambda m: type(m).__name__)
def test_a_state_goes_round(module: Module) -> None:
    state = module.state_dict()
    for p in module.parameters():
        p.data += 1.0
    assert not state or module.state_dict() != state
    module.load_state_dict(state)
    assert module.state_dict() == state


@pytest.mark.parametrize("change, error, said", [
    ({"b": None}, TypeError, "'b'"), ({"b": "1"}, TypeError, "'b'"), ({"b": math.nan}, ValueError, "'b' = nan"),
    ({"w.0": -math.inf}, ValueError, "'w.0' = -inf"), ({"c": 1.0}, KeyError, "unexpected 'c'"),
    ({"w.0": ...}, KeyError, "misses 'w.0'"),
])
def test_a_state_is_taken_entirely_or_not_at_all(change: dict[str, Any], error: type[Exception], said: str) -> None:
    model = Neuron(2, rng=0)
    before = model.state_dict()
    state = {k: v for k, v in {"w.0": 5.0, "w.1": 6.0, "b": 7.0, **change}.items() if v is not ...}
    with pytest.raises(error, match=said):
        model.load_state_dict(state)
    assert model.state_dict() == before


def test_two_parameters_of_one_name_are_an_error() -> None:
    model = Module()
    model.x = {"a.b": Value(1.0), "a": {"b": Value(2.0)}}  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match=r"'x\.a\.b'"):
        model.state_dict()


@pytest.mark.parametrize("module", [m for m in modules() if type(m) is not Sequential], ids=lambda m: type(m).__name__)
def test_a_config_makes_the_module_again(module: Module) -> None:
    again = type(module)(**module.config())
    assert again.config() == module.config() and list(again.state_dict()) == list(module.state_dict())
    assert repr(again) == repr(module)


def test_a_config_describes_modules_and_refuses_what_is_not_kept() -> None:
    assert Sequential(Flatten(), AvgPool2d(2)).config() == {
        "modules": [{"module": "Flatten", "config": {}}, {"module": "AvgPool2d", "config": {"k": 2}}]}

    class Forgetful(Module):
        def __init__(self, n: int) -> None: ...
    class Parts(Module):
        def __init__(self, parts: Any) -> None:
            self.parts = parts
    flat = {"module": "Flatten", "config": {}}
    for parts, described in ((np.array([[Flatten(), 1.5]]), [[flat, 1.5]]), (deque([Flatten()]), [flat]),
                             ({"a": (Flatten(), None)}, {"a": [flat, None]})):
        assert Parts(parts).config() == {"parts": described}
    with pytest.raises(TypeError, match=r"'n': set self\.n"):
        Forgetful(1).config()
    assert repr(Forgetful(1)) == "Forgetful(n='…'): 0 parameters"
    assert Module().config() == {}


@pytest.mark.parametrize("module", modules(), ids=lambda m: type(m).__name__)
def test_copies_are_independent_and_equal(module: Module) -> None:
    for again in (deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert again.state_dict() == module.state_dict() and repr(again) == repr(module)
        assert not set(again.parameters()) & set(module.parameters())


def test_repr_tells_each_layer_and_its_parameters() -> None:
    assert repr(Sequential(Sequential(Layer(2, 1)), MLP(1, [1]))).splitlines() == [
        "Sequential(): 5 parameters", "  modules.0  Sequential(): 3 parameters",
        "    modules.0  Layer(nin=2, nout=1): 3 parameters",
        "  modules.1  MLP(nin=1, nouts=[1]): 2 parameters", "    layers.0  Layer(nin=1, nout=1): 2 parameters"]


# ---- activations

TABLE: dict[str, tuple[Callable[[float], float], Callable[[float], float]]] = {   # value and derivative, written anew
    "heaviside": (lambda z: (z > 0) + 0.5 * (z == 0), lambda z: 0.0),
    "sign": (lambda z: math.copysign(1, z) if z else 0.0, lambda z: 0.0),
    "linear": (lambda z: z, lambda z: 1.0),
    "piecewise_linear": (lambda z: min(max(z + 0.5, 0), 1), lambda z: float(abs(z) < 0.5)),
    "sigmoid": (lambda z: 1 / (1 + math.exp(-z)), lambda z: 1 / (1 + math.exp(-z)) / (1 + math.exp(z))),
    "tanh": (math.tanh, lambda z: 1 / math.cosh(z)**2),
    "relu": (lambda z: max(0.0, z), lambda z: float(z > 0)),
    "leaky_relu": (lambda z: z if z > 0 else 0.01 * z, lambda z: 1.0 if z > 0 else 0.01),
    "generalised_relu": (lambda z: z if z > 0 else 0.25 * z, lambda z: 1.0 if z > 0 else 0.25),
    "maxout": (lambda z: z, lambda z: 1.0),
    "softplus": (lambda z: math.log(1 + math.exp(z)), lambda z: 1 / (1 + math.exp(-z))),
    "swish": (lambda z: z / (1 + math.exp(-z)), lambda z: (1 + math.exp(-z) + z * math.exp(-z)) / (1 + math.exp(-z))**2),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
@given(z=st.floats(-5, 5).filter(lambda z: abs(z) > 1e-6 and abs(abs(z) - 0.5) > 1e-6))
def test_every_row_is_its_equation_and_derivative(name: str, z: float) -> None:
    row, (value, slope) = ACTIVATIONS[name], TABLE[name]
    x = Value(z)
    y = row(x)
    y.backward()
    assert row.name == name and row.equation and row.derivative and row.example
    assert y.data == pytest.approx(value(z), rel=1e-12) and x.grad == pytest.approx(slope(z), rel=1e-12)
    assert row(z) == y.data   # of a plain number, a plain number


def test_values_and_slopes_at_the_kinks() -> None:
    found = {}
    for name, z in (("heaviside", 0.0), ("sign", 0.0), ("relu", 0.0), ("piecewise_linear", 0.5), ("piecewise_linear", -0.5)):
        x = Value(z)
        y = activation(name)(x)
        y.backward()
        found[name, z] = y.data, x.grad
    assert list(found.values()) == [(0.5, 0.0), (0.0, 0.0), (0.0, 0.0), (1.0, 0.5), (0.0, 0.5)]


def test_activations_by_name_and_by_function() -> None:
    for alias, name in ALIASES.items():
        assert Layer(1, 1, alias).activation == name
    assert Neuron(1, tanh).activation == "tanh" and MLP(1, [1, 1], sigmoid).activation == "sigmoid"
    square = Neuron(1, lambda z: z * z, bias=False, rng=0)
    assert square([3.0]).data == (3 * square.w[0].data)**2
    for wrong, said in (("rleu", "heaviside, sign, linear"), ("maxout", "Maxout"), ("softmax", "cross_entropy")):
        with pytest.raises(ValueError, match=said):
            MLP(1, [1, 1], activation=wrong)


def test_the_slope_of_generalised_relu_is_learned() -> None:
    layer = Layer(1, 2, "generalised_relu", init=lambda rng, fan_in, fan_out: 1.0)
    (layer([-3.0])[0] + layer([-3.0])[1]).backward()
    assert layer.state_dict()["g.alpha"] == 0.25 and dict(layer.named_parameters())["g.alpha"].grad == -6.0
    assert len(MLP(1, [1, 1, 1], GeneralisedReLU()).parameters()) == 7   # one, shared by both hidden layers
    assert len(MLP(1, [1, 1, 1], "generalised_relu").parameters()) == 8  # one for each


# ---- first numbers

@pytest.mark.parametrize("make", [lambda rng: MLP(3, [4, 2], rng=rng), lambda rng: Conv2d(1, 2, 3, rng=rng),
                                  lambda rng: Maxout(2, 2, 2, rng), lambda rng: LeNet(rng=rng)])
def test_the_same_seed_gives_the_same_weights(make: Callable[[Any], Module]) -> None:
    assert make(7).state_dict() == make(np.random.default_rng(7)).state_dict() == make(7).state_dict()
    assert make(None).state_dict() != make(None).state_dict() != make(7).state_dict()


def test_initialisers() -> None:
    rng = np.random.default_rng(0)
    drawn = {name: np.array([f(rng, 50, 25) for _ in range(4000)]) for name, f in INITIALISERS.items()}
    spreads = {"uniform": 1 / math.sqrt(3), "xavier": math.sqrt(2 / 75), "he": math.sqrt(2 / 50), "zeros": 0.0}
    for name, spread in spreads.items():
        assert drawn[name].std() == pytest.approx(spread, rel=0.05) and abs(drawn[name].mean()) <= 0.05 * spread   # 3 σ of 4000
    assert np.abs(drawn["xavier"]).max() <= math.sqrt(6 / 75) and np.abs(drawn["uniform"]).max() <= 1
    fans: set[tuple[int, int]] = set()

    def noted(rng: np.random.Generator, fan_in: int, fan_out: int) -> float:
        fans.add((fan_in, fan_out))
        return 0.0
    Layer(3, 5, init=noted)
    Conv2d(2, 3, (2, 4), init=noted)
    assert fans == {(3, 5), (16, 24)}
    with pytest.raises(ValueError, match="uniform, xavier, he, zeros"):
        initialiser("random")


def test_another_package_called_autograd_is_named(tmp_path: Path) -> None:
    (tmp_path / "autograd").mkdir()
    (tmp_path / "autograd" / "__init__.py").write_text("def grad(f): ...")
    (tmp_path / "nn").symlink_to(Path(__file__).parents[1] / "nn")
    done = subprocess.run([sys.executable, "-c", "import nn"], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert "ImportError" in done.stderr and "HIPS" in done.stderr


def test_importing_nn_loads_nothing_optional() -> None:
    optional = {"viz", "sklearn", "scipy", "pandas", "matplotlib", "tqdm", "torch"}
    done = subprocess.run([sys.executable, "-c", f"import sys, nn; print([m for m in {optional} if m in sys.modules])"],
                          capture_output=True, text=True, cwd=Path(__file__).parents[1], check=True)
    assert done.stdout == "[]\n"
