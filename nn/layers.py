"""Layers.   x: the input; z = b + Σ wᵢxᵢ: what a unit sums up; a = g(z): what it gives, g its activation.

An input is a sequence of numbers or Values, and a layer gives a list of Values, even of one. MLP and Sequential unwrap
a single output: theirs is then a Value. A wrong size is a ValueError that names both sizes and the layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np

from autograd import Value, affine, dot
from autograd.conversion import bounded, to_float
from autograd.structure import outline, shape_of
from autograd.value import literal

from .activations import Function, activation, activation_name, maxout
from .checks import at_least_1
from .init import Initialiser, Rng, initialiser
from .matrices import Parameters, assigned
from .module import Module, indexed, matrix, numbered, raised, symbols_of

__all__ = ["MLP", "Layer", "Maxout", "Neuron", "Sequential"]

_INPUTS = [indexed("x", i) for i in range(1, 1000)]


class Neuron(Module):
    """g(b + Σ wᵢxᵢ) of `nin` inputs.

    activation  a name of `ACTIVATIONS`, or a function of one Value
    init, rng   how the weights are drawn (see `nn.init`); the bias begins at 0
    .w, .b      the weights, a list of `nin` Values, and the bias; .theta has both. Assign numbers to change theirs

    >>> AND = Neuron(2, "sigmoid")
    >>> AND.w, AND.b = [20, 20], -30
    >>> [round(AND([x1, x2]).data, 3) for x1 in (0, 1) for x2 in (0, 1)]
    [0.0, 0.0, 0.0, 1.0]
    """

    inline = True
    w, b = Parameters(), Parameters()
    letter: ClassVar[str] = ""   # what the lecture calls all its parameters, the bias being the one of index 0

    def __init__(self, nin: int, activation: str | Function = "linear", bias: bool = True, rng: Rng = None,
                 init: str | Initialiser = "uniform") -> None:
        self.nin, self.bias = at_least_1("Neuron(nin)", nin), bool(bias)
        self.activation, self.g = named(activation)
        draw, rng = initialiser(init), np.random.default_rng(rng)
        self.w = [Value(draw(rng, self.nin, 1)) for _ in range(self.nin)]
        self.b = Value(0.0) if bias else None

    def z(self, x: Any) -> Value:
        """b + Σ wᵢxᵢ."""
        return self.sum(inputs(x, self.nin, self))

    def sum(self, x: Sequence[Value]) -> Value:
        """z of inputs that have been checked: `nin` Values."""
        return dot(self.w, x) if self.b is None else affine(self.w, x, self.b)  # type: ignore[no-any-return]

    @property
    def theta(self) -> list[Value]:
        """θ of the lectures: the bias, being the weight of x₀ = 1, and then the weights."""
        return [*self.w] if self.b is None else [self.b, *self.w]

    @theta.setter
    def theta(self, given: Any) -> None:
        theta = assigned(self, "theta", self.theta, given)
        if self.b is not None:
            self.b, *theta = theta
        self.w = theta

    def _symbols(self) -> dict[Value, str]:
        if self.letter:
            return {p: f"{self.letter}{j}" for j, p in enumerate(self.theta, int(self.b is None))}
        return {w: f"w{i}" for i, w in enumerate(self.w, 1)} | ({} if self.b is None else {self.b: "b"}) | symbols_of(self.g)


class Layer(Module):
    """`nout` neurons that see the same `nin` inputs: a = g(Wx + b), a list of `nout` Values, even of one.

    A learned activation, as "generalised_relu", is shared by its neurons. The matrices of the lectures are lists of
    Values: W of shape (nout, nin), b of shape (nout,), theta of shape (nout, nin + 1). Assign lists or arrays of numbers to
    change theirs; ValueError, with both shapes, for others.

    >>> layer = Layer(3, 2, "tanh", rng=0)
    >>> len(layer([1.0, 2.0, 3.0])), len(layer.theta), len(layer.theta[0])
    (2, 2, 4)
    >>> layer
    Layer(nin=3, nout=2, activation='tanh'): 8 parameters
    >>> layer.W, layer.b = [[1, 2, 3], [4, 5, 6]], np.zeros(2)
    >>> layer.W[1][0].data, [t.data for t in layer.theta[1]]
    (4.0, [0.0, 4.0, 5.0, 6.0])
    """

    inline = True

    def __init__(self, nin: int, nout: int, activation: str | Function = "linear", bias: bool = True, rng: Rng = None,
                 init: str | Initialiser = "uniform") -> None:
        self.nin, self.nout, self.bias = at_least_1("Layer(nin)", nin), at_least_1("Layer(nout)", nout), bool(bias)
        self.activation, self.g = named(activation)
        draw, rng = initialiser(init), np.random.default_rng(rng)
        self.neurons = [Neuron(self.nin, self.g, bias, rng, lambda rng, nin, _: draw(rng, nin, nout)) for _ in range(self.nout)]

    def z(self, x: Any) -> list[Value]:
        """z = Wx + b."""
        xs = inputs(x, self.nin, self)
        return [neuron.sum(xs) for neuron in self.neurons]

    @property
    def W(self) -> list[list[Value]]:
        """The weights, a row for each neuron."""
        return [neuron.w for neuron in self.neurons]

    @W.setter
    def W(self, given: Any) -> None:
        for neuron, row in zip(self.neurons, assigned(self, "W", self.W, given), strict=True):
            neuron.w = row

    @property
    def b(self) -> Any:
        """The biases; None if there are none."""
        return [neuron.b for neuron in self.neurons] if self.bias else None

    @b.setter
    def b(self, given: Any) -> None:
        for neuron, b in zip(self.neurons, assigned(self, "b", self.b, given), strict=True):
            neuron.b = b

    @property
    def theta(self) -> list[list[Value]]:
        """Θ of the lectures, `nout` rows of nin + 1 Values: the bias, being the weight of x₀ = 1, comes first."""
        return [neuron.theta for neuron in self.neurons]

    @theta.setter
    def theta(self, given: Any) -> None:
        for neuron, row in zip(self.neurons, assigned(self, "theta", self.theta, given), strict=True):
            neuron.theta = row

    def _symbols(self) -> dict[Value, str]:
        biases = {neuron.b: f"b{i}" for i, neuron in enumerate(self.neurons, 1) if neuron.b is not None}
        return matrix("W", [neuron.w for neuron in self.neurons]) | biases | symbols_of(self.g)


class Maxout(Module):
    """`nout` units, each the largest of `pieces` weighted inputs: a_k = max over p of (b_kp + Σ w_kpi xᵢ).

    >>> absolute = Maxout(1, 1, pieces=2)
    >>> absolute.load_state_dict({name: x for (name, _), x in zip(absolute.named_parameters(), [1, 0, -1, 0])})
    >>> [absolute([x])[0].data for x in (-3.0, 2.0)]
    [3.0, 2.0]
    """

    inline = True

    def __init__(self, nin: int, nout: int, pieces: int = 2, rng: Rng = None, init: str | Initialiser = "uniform") -> None:
        self.nin, self.nout, self.pieces = nin, nout, at_least_1("Maxout(pieces)", pieces)
        rng = np.random.default_rng(rng)
        self.layers = [Layer(nin, nout, rng=rng, init=init) for _ in range(self.pieces)]

    def z(self, x: Any) -> list[tuple[Value, ...]]:
        """The pieces of each unit."""
        xs = inputs(x, self.nin, self)
        return list(zip(*[layer.z(xs) for layer in self.layers], strict=True))

    def activated(self, z: Any) -> list[Value]:
        """The largest piece of each unit."""
        return list(map(maxout, z))

    def _symbols(self) -> dict[Value, str]:
        return numbered(self.layers)


class Sequential(Module):
    """One module after another; a single output at the end is given as a Value.

    >>> Sequential(Layer(2, 3, "tanh", rng=0), Layer(3, 1, rng=1))
    Sequential(): 13 parameters
      modules.0  Layer(nin=2, nout=3, activation='tanh'): 9 parameters
      modules.1  Layer(nin=3, nout=1): 4 parameters
    """

    def __init__(self, *modules: Module) -> None:
        for i, module in enumerate(modules):
            if not isinstance(module, Module):
                raise TypeError(f"Sequential: argument {i} is {bounded(module)}: it takes Modules, one by one")
        self.modules = list(modules)

    def forward(self, x: Any) -> Any:
        """The last module's output."""
        for module in self.modules:
            x = module(x)
        return unwrapped(x)

    def _symbols(self) -> dict[Value, str]:
        return numbered(self.modules)


class MLP(Module):
    """A feed-forward network with bias units, as micrograd's: layers of sizes nin → nouts[0] → nouts[1] → …

    activation  of the hidden layers;  output: of the last one
    The result is a list of nouts[-1] Values, or a Value if that is 1. Train it on logits: keep the output linear.

    >>> model = MLP(3, [4, 4, 1], rng=0)
    >>> model
    MLP(nin=3, nouts=[4, 4, 1]): 41 parameters
      layers.0  Layer(nin=3, nout=4, activation='relu'): 16 parameters
      layers.1  Layer(nin=4, nout=4, activation='relu'): 20 parameters
      layers.2  Layer(nin=4, nout=1): 5 parameters
    >>> model([2.0, 3.0, -1.0]).backward()
    """

    def __init__(self, nin: int, nouts: Sequence[int], activation: str | Function = "relu", output: str | Function = "linear",
                 bias: bool = True, rng: Rng = None, init: str | Initialiser = "uniform") -> None:
        if not hasattr(nouts, "__len__") or len(nouts) == 0:
            raise ValueError(f"MLP(nouts={bounded(nouts)}): give the sizes of its layers, as [16, 1]")
        self.nin, self.nouts, self.bias = at_least_1("MLP(nin)", nin), [at_least_1("MLP(nouts)", n) for n in nouts], bool(bias)
        self.activation, self.output = activation_name(activation), activation_name(output)
        rng, sizes = np.random.default_rng(rng), [self.nin, *self.nouts]
        units = [activation] * (len(self.nouts) - 1) + [output]
        self.layers = [Layer(n, m, g, bias, rng, init) for n, m, g in zip(sizes, sizes[1:], units, strict=False)]

    @classmethod
    def from_theta(cls, thetas: Sequence[Any], activation: str | Function = "relu", output: str | Function = "linear",
                   bias: bool = True) -> Self:
        """The network whose layers have these matrices: Θ⁽ˡ⁾ of shape s_{l+1} × (s_l + 1), the bias being column 0; without
        `bias`, s_{l+1} × s_l. ValueError, with the shapes, if one does not follow on another.

        >>> XNOR = MLP.from_theta([[[-30, 20, 20], [10, -20, -20]], [[-10, 20, 20]]], "sigmoid", "sigmoid")
        >>> XNOR.nouts, [round(XNOR([x1, x2]).data) for x1 in (0, 1) for x2 in (0, 1)]
        ([2, 1], [1, 0, 0, 1])
        """
        thetas, sizes = list(thetas), list[int]()
        for number, theta in enumerate(thetas, 1):
            shape, column = shape_of(theta), " and one for the bias" * bias
            if shape is None or len(shape) != 2 or shape[1] < 1 + bias:
                raise ValueError(f"MLP.from_theta: matrix {number} is {outline(theta)}: it needs a row for each unit, with a "
                                 f"number for each input{column}")
            if sizes and shape[1] != sizes[-1] + bias:
                raise ValueError(f"MLP.from_theta: matrix {number} has the shape {shape}, and the layer before it {sizes[-1]} "
                                 f"unit{'s' * (sizes[-1] != 1)}: it needs a column for each{column}")
            sizes += [shape[0]] if sizes else [shape[1] - bias, shape[0]]
        if not sizes:
            raise ValueError("MLP.from_theta([]): give the matrix of each layer")
        made = cls(sizes[0], sizes[1:], activation, output, bias, init="zeros")
        for layer, theta in zip(made.layers, thetas, strict=True):
            layer.theta = theta
        return made

    def forward(self, x: Any) -> Any:
        """The last layer's output."""
        for layer in self.layers:
            x = layer(x)
        return unwrapped(x)

    def _symbols(self) -> dict[Value, str]:
        found: dict[Value, str] = {}
        for k, layer in enumerate(self.layers, 1):   # Θ⁽ᵏ⁾, whose column 0 are the biases
            found |= matrix(raised("Θ", k), layer.theta, int(not layer.bias))
            found |= {p: raised(symbol, k) for p, symbol in symbols_of(layer.g).items()}
        return found


def named(g: str | Function) -> tuple[str | Function, Function]:
    """(the name if it has one, the function) of an activation."""
    return activation_name(g), activation(g)


def inputs(x: Any, n: int, to: Module, at: tuple[int, ...] = ()) -> list[Value]:
    """The n inputs of a module as Values, a number alone being one input; ValueError if there are more or fewer.

    Plain numbers are called x1, x2 …; x₃₁, x₃₂ … in row 3 of an image, which is then `at`."""
    if isinstance(x, (Value, int, float)) or getattr(x, "shape", None) == ():
        x = [x]
    xs = x.tolist() if hasattr(x, "tolist") else list(x)
    if len(xs) != n:
        raise ValueError(f"{to.called()} takes {n} input{'s' * (n != 1)}, and was given {len(xs)}")
    names = _INPUTS if n <= len(_INPUTS) and not at else [indexed("x", *at, i) for i in range(1, n + 1)]
    try:
        return [v if isinstance(v, Value) else literal(to_float(v), name) for v, name in zip(xs, names, strict=False)]
    except TypeError as error:
        raise TypeError(f"an input of {to.called()} is no number: {error}") from None


def unwrapped(x: Any) -> Any:
    """The Value of a list that holds one Value, else the list."""
    return x[0] if isinstance(x, list) and len(x) == 1 and isinstance(x[0], Value) else x

