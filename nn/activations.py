"""Activations: a = g(z), what a unit makes of its weighted input. The table of the lectures, one row each.

A row's function takes a Value or a number. Its derivative is here to read: the engine differentiates by itself. Where a
slope jumps it is the engine's convention: 0 for relu at 0, the mean of both sides for piecewise_linear and maxout.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from autograd import Value, heaviside, leaky_relu, maximum, minimum, relu, sigmoid, sign, silu, softplus, tanh

from .module import Module
from .printed import Printed

__all__ = ["ACTIVATIONS", "ALIASES", "Activation", "GeneralisedReLU", "activation", "activation_name", "generalised_relu",
           "linear", "maxout", "piecewise_linear"]

Function = Callable[[Any], Any]


@dataclass(frozen=True)
class Activation:
    """A row of the table: the function and, in words, its equation, its derivative and where it is used."""

    name: str
    function: Callable[..., Any]
    equation: str
    derivative: str
    example: str

    def __call__(self, z: Any) -> Any:
        """g(z)."""
        return self.function(z)

    @property
    def cells(self) -> tuple[str, str, str]:
        """What its row of the table says."""
        return self.equation, self.derivative, self.example

    def curve(self, z: float) -> Any:
        """g(z) of a number; of maxout the largest of z and −z."""
        return self.function(z, -z) if self.function is maxout else self.function(z)


def linear(z: Any) -> Any:
    """z itself; derivative 1.

    >>> linear(-2.0)
    -2.0
    """
    return z


def piecewise_linear(z: Any) -> Any:
    """clip(z + ½, 0, 1): 0 up to −½, 1 from ½ on, a line between; derivative 1 on the line, else 0.

    >>> [piecewise_linear(z) for z in (-3.0, 0.25, 3.0)]
    [0.0, 0.75, 1.0]
    """
    return minimum(maximum(z + 0.5, 0.0), 1.0)


def generalised_relu(z: Any, alpha: Any = 0.25) -> Any:
    """max(0, z) + α·min(0, z); derivative 1 above 0, α below; by α min(0, z).

    >>> generalised_relu(-2.0, 0.5)
    -1.0
    """
    return leaky_relu(z, alpha)


def maxout(*zs: Any) -> Any:
    """The largest of several weighted inputs; derivative 1 in the largest, 0 in the others, shared where they are equal.

    >>> maxout(1.0, -2.0)
    1.0
    """
    found: Sequence[Any] = zs[0] if len(zs) == 1 and hasattr(zs[0], "__iter__") else zs
    return maximum(*found)


class GeneralisedReLU(Module):
    """max(0, z) + α·min(0, z) with an α that is learned, and that the L2 term leaves out (He et al., 2015: PReLU).

    >>> g = GeneralisedReLU(0.5)
    >>> g(Value(-2.0)).data, g.state_dict()
    (-1.0, {'alpha': 0.5})
    """

    biases = ("alpha",)
    inline = True

    def __init__(self, alpha: float = 0.25) -> None:
        self.alpha = Value(alpha)

    def forward(self, x: Any) -> Any:
        """max(0, x) + α·min(0, x)."""
        return generalised_relu(x, self.alpha)

    def _symbols(self) -> dict[Value, str]:
        return {self.alpha: "α"}

    def config(self) -> dict[str, Any]:
        """The α that it has now."""
        return {"alpha": self.alpha.data}


ACTIVATIONS = Printed("Activations", ("activation", "a = g(z)", "g′(z)", "example of use"), [(row.name, row) for row in (
    Activation("heaviside", heaviside, "0 if z < 0, ½ if z = 0, 1 if z > 0", "0", "the perceptron"),
    Activation("sign", sign, "−1 if z < 0, 0 if z = 0, 1 if z > 0", "0", "the perceptron with labels ±1"),
    Activation("linear", linear, "z", "1", "linear regression, Adaline; the output unit of a continuous target"),
    Activation("piecewise_linear", piecewise_linear, "min(max(z + ½, 0), 1)", "1 if −½ < z < ½ else 0",
               "support vector machines"),
    Activation("sigmoid", sigmoid, "1/(1 + e^(−z))", "σ(z)·σ(−z) = a(1 − a)",
               "logistic regression; the output unit of a binary target; hidden layers"),
    Activation("tanh", tanh, "(e^z − e^(−z))/(e^z + e^(−z))", "1 − tanh² z", "hidden layers, recurrent networks, LeNet"),
    Activation("relu", relu, "max(0, z)", "1 if z > 0 else 0", "deep and convolutional networks"),
    Activation("leaky_relu", leaky_relu, "max(0, z) + 0.01·min(0, z)", "1 if z > 0 else 0.01",
               "deep networks whose relu units die"),
    Activation("generalised_relu", generalised_relu, "max(0, z) + α·min(0, z)", "1 if z > 0 else α; ∂/∂α = min(0, z)",
               "deep networks; α is learned with the weights (GeneralisedReLU)"),
    Activation("maxout", maxout, "max(z₁, …, z_k)", "1 in the largest, else 0",
               "deep networks with dropout: a layer of its own, Maxout"),
    Activation("softplus", softplus, "log(1 + e^z)", "σ(z)", "a smooth relu; a positive output, as a variance"),
    Activation("swish", silu, "z·σ(z)", "σ(z) + z·σ(z)·σ(−z)", "deep networks"),
)], text_columns=(0, 1, 3))
ALIASES = {"logistic": "sigmoid", "identity": "linear", "silu": "swish", "prelu": "generalised_relu"}
_NAMES = {row.function: name for name, row in ACTIVATIONS.items() if name not in ("generalised_relu", "maxout")}


def activation(g: str | Function) -> Function:
    """The activation of that name, or g itself if it is a function. "generalised_relu" makes a Module, with an α of its own.

    ValueError for other names, with the choices.

    >>> activation("tanh")(0.0)
    0.0
    """
    if callable(g):
        return g
    name = ALIASES.get(g, g)
    if name in ("maxout", "softmax"):
        raise ValueError(f"activation={g!r} is not of one number: " + (
            "use a Maxout(nin, nout, pieces) as the layer" if name == "maxout" else
            "leave the output linear, train with cross_entropy, which takes logits, and apply autograd.softmax to them"))
    if name not in ACTIVATIONS:
        raise ValueError(f"activation={g!r}: there are {', '.join(ACTIVATIONS)}, or give a function of one Value")
    return GeneralisedReLU() if name == "generalised_relu" else ACTIVATIONS[name].function


def activation_name(g: str | Function) -> str | Function:
    """The name of an activation, if the table has it, so that a model can be saved; else g.

    >>> activation_name(tanh)
    'tanh'
    """
    if isinstance(g, Activation):
        return g.name
    if isinstance(g, str):
        return ALIASES.get(g, g)
    try:
        return _NAMES.get(g, g)
    except TypeError:   # a callable without a hash
        return g
