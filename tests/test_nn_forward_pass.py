"""forward_pass: the z and a of every layer, of every network that is made of layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autograd import Value, grad, numbers, sigmoid, tanh, topological
from autograd.structure import leaves_of
from nn import (
    ACTIVATIONS,
    GAN,
    MLP,
    AvgPool2d,
    Conv2d,
    Flatten,
    GeneralisedReLU,
    Layer,
    LeNet,
    Maxout,
    MaxPool2d,
    Module,
    Neuron,
    Sequential,
    maxout,
)

X = [0.5, -1.0, 2.0]
IMAGE = np.random.default_rng(0).uniform(size=(1, 6, 6))


class Residual(Module):
    """A user's network: the layer's result is added to its input."""

    def __init__(self) -> None:
        self.inner, self.out = Layer(3, 3, "tanh", rng=0), Layer(3, 1, rng=1)

    def forward(self, x: Any) -> Any:
        return self.out([a + b for a, b in zip(x, self.inner(x), strict=True)])


class Gated(Layer):
    """A user's layer, which changes what it gives."""

    def forward(self, x: Any) -> Any:
        return [2.0 * a for a in super().forward(x)]


class Squares(Module):
    """A user's layer with a z and a g of its own."""

    def __init__(self) -> None:
        self.w = [Value(1.0), Value(2.0)]
        self.g = tanh

    def z(self, x: Any) -> Any:
        return [w * x[0] ** 2 for w in self.w]


class Own(Module):
    """Parameters, and nothing that says what they sum up."""

    def __init__(self) -> None:
        self.w = Value(1.0)

    def forward(self, x: Any) -> Any:
        return [self.w * v for v in x] if isinstance(x, list) else self.w * x


NETWORKS: dict[str, tuple[Module, Any, list[tuple[int, ...]]]] = {   # a network, its input, the shapes of z
    "Neuron": (Neuron(3, "tanh", rng=0), X, [(1,)]),
    "Layer": (Layer(3, 2, "sigmoid", rng=0), X, [(2,)]),
    "learned activation": (Layer(3, 2, "generalised_relu", rng=0), X, [(2,)]),
    "MLP": (MLP(3, [4, 2, 1], "tanh", "sigmoid", rng=0), np.array(X), [(4,), (2,), (1,)]),
    "one number": (MLP(1, [2, 2], rng=0), 0.5, [(2,), (2,)]),
    "Sequential": (Sequential(Layer(3, 2, rng=0), Sequential(MLP(2, [3, 1], rng=1)), Neuron(1, "tanh")), X,
                   [(2,), (3,), (1,), (1,)]),
    "Maxout": (Sequential(Maxout(3, 2, 4, rng=0), Layer(2, 1, rng=0)), X, [(2, 4), (1,)]),
    "images": (Sequential(Conv2d(1, 2, 3, activation="relu", rng=0), MaxPool2d(2), AvgPool2d(1), Flatten(), Layer(8, 2, rng=0)),
               IMAGE, [(2, 4, 4), (2, 2, 2), (2, 2, 2), (8,), (2,)]),
    "LeNet": (LeNet(3, rng=0), np.arange(64) / 64, [(6, 8, 8), (6, 4, 4), (16, 2, 2), (64,), (32,), (3,)]),
    "GAN": (GAN(3, rng=0), 0.5, [(3,), (1,)]),
    "Residual": (Residual(), X, [(3,), (1,)]),
    "Gated": (Sequential(Gated(3, 2, "tanh", rng=0), Layer(2, 1, rng=0)), X, [(2,), (1,)]),
    "Squares": (Sequential(Squares(), Layer(2, 1, rng=0)), X[:1], [(2,), (1,)]),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_forward_pass_lists_every_layer(name: str) -> None:
    network, x, shapes = NETWORKS[name]
    a, z = network.forward_pass(x)
    assert [np.shape(numbers(part)) for part in z] == shapes and len(a) == len(z) + 1
    assert numbers(a[0]) == (x.tolist() if hasattr(x, "tolist") else x if isinstance(x, list) else [x])
    output = network(x)
    assert numbers(a[-1]) == numbers(output if isinstance(output, list) else [output])
    assert all(type(part) is list for part in [*a, *z])
    layers = [m for m in (network.layers if isinstance(network, MLP) else [network]) if isinstance(m, (Neuron, Layer))]
    for k, layer in enumerate(layers):
        theta = np.atleast_2d(numbers(layer.theta))
        assert np.array(numbers(z[k])) == pytest.approx(theta @ [1.0, *numbers(a[k])])
        g = layer.activation
        if isinstance(g, str) and g in ACTIVATIONS and g != "generalised_relu":
            assert numbers(a[k + 1]) == [ACTIVATIONS[g](v) for v in numbers(z[k])]


def test_what_sums_nothing_up_has_z_and_a_alike() -> None:
    a, z = NETWORKS["images"][0].forward_pass(IMAGE)
    assert all(numbers(a[k + 1]) == numbers(z[k]) for k in (1, 2, 3))
    assert numbers(a[1]) == np.maximum(numbers(z[0]), 0).tolist() and numbers(a[2]) != numbers(a[1])
    a, z = NETWORKS["Maxout"][0].forward_pass(X)
    assert [v.data for v in a[1]] == [maxout(numbers(pieces)) for pieces in z[0]]


def test_the_listed_values_are_those_of_the_graph() -> None:
    """CS114's δ of every layer, ∂L/∂z, is asked of what the pass lists."""
    model = NETWORKS["LeNet"][0]
    a, z = model.forward_pass([0.0] * 64)
    L = a[-1][0] - a[-1][1]
    assert numbers(grad(L, z[-1])) == [1.0, -1.0, 0.0]
    deltas = grad(L, z)
    assert [np.shape(part) for part in deltas] == [np.shape(part) for part in z] and np.abs(numbers(deltas[0])).max() > 0


@pytest.mark.parametrize("model", [Own(), Sequential(Layer(3, 3, rng=0), Own()), GeneralisedReLU()],
                         ids=["root", "part", "function"])
def test_what_is_not_made_of_layers_is_told(model: Module) -> None:
    with pytest.raises(NotImplementedError, match=r"(Own|GeneralisedReLU)\(.*\) does not tell what it sums up: .* z\(x\)"):
        model.forward_pass(1.0 if isinstance(model, GeneralisedReLU) else X)
    assert numbers(MLP(1, [1], init="zeros").forward_pass(0.0)[1]) == [[0.0]]   # and the next pass is a pass of its own


def test_an_input_that_does_not_fit_is_told() -> None:
    with pytest.raises(ValueError, match="takes 3 inputs, and was given 2"):
        MLP(3, [1]).forward_pass([1.0, 2.0])
    with pytest.raises(TypeError, match=r"an input of MLP\(nin=1, nouts=\[1\]\) got the text"):
        MLP(1, [1]).forward_pass(["1"])
    x = [Value(1.0), Value(2.0)]
    assert MLP(2, [1]).forward_pass(x)[0][0] == x


def test_the_lectures_activation_by_hand() -> None:
    a, z = MLP.from_theta([[[0.5, 1.0, -1.0]], [[0.0, 2.0]]], "sigmoid", "sigmoid").forward_pass([1.0, 2.0])
    assert numbers(z) == [[-0.5], [2 * sigmoid(-0.5)]] and numbers(a[1:]) == [[sigmoid(-0.5)], [sigmoid(2 * sigmoid(-0.5))]]


def test_plain_inputs_have_the_names_that_layers_give_them() -> None:
    u = Value(1.0, label="u")
    for model, x, names in ((MLP(2, [2, 1], rng=0), [1.0, 2.0], ["x1", "x2"]), (MLP(2, [2, 1], rng=0), [u, 2.0], ["u", "x2"]),
                            (Neuron(1, rng=0), 3.0, ["x1"]), (Neuron(2, rng=0), np.ones(2), ["x1", "x2"]),
                            (Conv2d(1, 1, 2, rng=0), [[[1, 2], [3, 4]]], ["x₁₁", "x₁₂", "x₂₁", "x₂₂"])):
        a, z = model.forward_pass(x)
        assert [v.label for v in leaves_of(a[0])] == names
        assert {v.label for v in topological(*leaves_of(z[0])) if v.constant} <= {*names}
