"""The models of the lectures, each with the lecture's own way to train it; any of them can be given to `fit` too.

    X, y    n examples: rows of numbers x, and their targets
    θ       the parameters, θ₀ being the bias, the weight of x₀ = 1; they begin at 0
    z = θ·x what a model gives: a prediction, a logit, a score (several of them for several classes)
    ŷ       what its output unit makes of z: z itself, σ(z), softmax(z); the last a of `forward_pass`

Costs are sums over the examples, as in the lectures, so a good rate is smaller for more examples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import reduce
from itertools import count
from operator import add
from typing import Any, ClassVar

import numpy as np

from autograd import Value, log_sigmoid, no_grad, numbers, sigmoid, sign, softmax
from autograd.conversion import bounded
from autograd.structure import shape_of

from ..checks import at_least_1
from ..data.examples import Examples
from ..labels import class_of
from ..layers import Layer, Neuron
from ..losses import binary_cross_entropy_with_logits, cross_entropy, output_unit
from ..module import Module, numbered
from .networks import GAN, LeNet, gate

__all__ = ["GAN", "LeNet", "LinearRegression", "LogisticRegression", "OneVsRest", "Perceptron", "SoftmaxRegression", "descend",
           "gate"]


def descend(model: Module, cost: Callable[[], Value], rate: float, epochs: int, maximize: bool = False) -> list[float]:
    """Gradient descent, θⱼ ← θⱼ − η ∂J/∂θⱼ, `epochs` times; gives the cost before each step.

    maximize   whether to ascend instead, θⱼ ← θⱼ + η ∂J/∂θⱼ: J is then to be large, as a log likelihood

    >>> model = LinearRegression(1)
    >>> [round(J, 3) for J in descend(model, lambda: (model([1.0]) - 2.0) ** 2, rate=0.25, epochs=3)]
    [4.0, 0.0, 0.0]
    """
    parameters, costs, step = model.parameters(), [], rate if maximize else -rate
    for _ in range(epochs):
        model.zero_grad()
        J = cost()
        J.backward()
        for p in parameters:
            p.data += step * p.grad
        costs.append(J.data)
    return costs


class Predictor(Module):
    """What the models share: what they predict, and the forward pass up to ŷ."""

    nin: int
    unit: ClassVar[str]   # of `nn.OUTPUT_UNITS`

    @property
    def link_name(self) -> str:
        """The name of the output unit, of what `link` is."""
        return output_unit(self.unit).name

    def link(self, z: list[Value]) -> list[Value]:
        """ŷ of the linear outputs."""
        g = output_unit(self.unit).link
        return g(z) if self.unit == "discrete" else [g(v) for v in z]

    def forward_pass(self, x: Any) -> tuple[list[Any], list[Any]]:
        """([x, ŷ], [z]), each a list of Values: z = θ·x, and what the output unit makes of it."""
        (x, *_), z = super().forward_pass(x)
        return [x, self.link(z[-1])], z

    def decided(self, output: Any) -> Any:
        """What is predicted of an output: a float, or a list of them."""
        return class_of(output)

    def predict(self, X: Any) -> Any:
        """What the model decides, a class unless it is a regression: of one example x, or of n rows an array of shape (n,), as
        scikit-learn's.

        X   one example of `nin` numbers, or rows of them; of one feature a row may be a number, and [x] is one example
        (`nn.predict` gives what the model computes: z.) ValueError for no rows, or rows of another size.
        """
        if shape_of(X) in ((self.nin,), () if self.nin == 1 else None):
            with no_grad():
                return self.decided(numbers(self(X)))
        examples = Examples.of(X)
        if examples.X.shape[1:] not in ((self.nin,), () if self.nin == 1 else None):
            raise ValueError(f"{self.called()}.predict() takes {self.nin} feature{'s' * (self.nin != 1)}, and X has the shape "
                             f"{examples.X.shape}: give one example, or a row for each")
        with no_grad():
            return np.array([self.decided(numbers(self(x))) for x in examples.rows()])


class LinearRegression(Predictor, Neuron):
    """ŷ = b + w·x, for f = Σ (yᵢ − ŷᵢ)² (CS109B).

    >>> model = LinearRegression(1).closed_form([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0])
    >>> [round(t.data, 12) for t in model.theta], round(model.predict([10.0]), 9)
    ([1.0, 2.0], 21.0)
    """

    unit: ClassVar[str] = "continuous"
    letter = "β"

    def __init__(self, nin: int) -> None:
        super().__init__(nin, init="zeros")

    def decided(self, output: Any) -> Any:
        """ŷ itself."""
        return output

    def cost(self, X: Any, y: Any) -> Value:
        """f = Σ (yᵢ − ŷᵢ)²."""
        return _sum([(self(x) - t) ** 2 for x, t in Examples.of(X, y)])

    def descend(self, X: Any, y: Any, rate: float = 0.01, epochs: int = 1000) -> list[float]:
        """Gradient descent on f; it reaches the closed form if the rate is small enough. Gives f before each step."""
        return descend(self, lambda: self.cost(X, y), rate, epochs)

    def closed_form(self, X: Any, y: Any) -> LinearRegression:
        """Set θ to where f is least: of one feature, w = Σ(xᵢ−x̄)(yᵢ−ȳ)/Σ(xᵢ−x̄)², b = ȳ − w·x̄; least squares of several."""
        examples = Examples.of(X, y)
        x, t = examples.X.reshape(len(examples), -1), examples.y.astype(float)
        if x.shape[1] != self.nin:
            raise ValueError(f"{self.called()} takes {self.nin} features, and X has {x.shape[1]}")
        w = np.linalg.lstsq(x - x.mean(axis=0), t - t.mean(), rcond=None)[0]
        self.theta = [t.mean() - w @ x.mean(axis=0), *w]
        return self


class LogisticRegression(Predictor, Neuron):
    """z = θ·x, the logit of ŷ = σ(z) = P(y = 1); for fit and metrics it gives z (all five lectures). Class 1 is where ŷ > ½.

    >>> model = LogisticRegression(1)
    >>> LL = model.ascend([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1], rate=0.5, epochs=100)
    >>> model.probability([3.0]).data > 0.9, LL[-1] > LL[0]
    (True, True)
    >>> model.predict([[0.5], [2.5]]), model.predict([2.5])
    (array([0, 1]), 1)
    """

    unit: ClassVar[str] = "binary"
    letter = "θ"

    def __init__(self, nin: int) -> None:
        super().__init__(nin, init="zeros")

    def probability(self, x: Any) -> Value:
        """ŷ = σ(z)."""
        return sigmoid(self.z(x))

    def cost(self, X: Any, y: Any) -> Value:
        """Σ L = −Σ [y log ŷ + (1−y) log(1−ŷ)]; ∂/∂θⱼ = Σ (ŷ−y)xⱼ."""
        return _sum([binary_cross_entropy_with_logits(self(x), t) for x, t in Examples.of(X, y)])

    def log_likelihood(self, X: Any, y: Any) -> Value:
        """LL = Σ [y log σ(z) + (1−y) log σ(−z)]; ∂/∂θⱼ = Σ (y − σ(z))xⱼ (CS109)."""
        return _sum([t * log_sigmoid(z) + (1 - t) * log_sigmoid(-z) for z, t in [(self(x), t) for x, t in Examples.of(X, y)]])

    def descend(self, X: Any, y: Any, rate: float = 0.1, epochs: int = 100) -> list[float]:
        """Gradient descent on the loss; gives it before each step."""
        return descend(self, lambda: self.cost(X, y), rate, epochs)

    def ascend(self, X: Any, y: Any, rate: float = 0.1, epochs: int = 100) -> list[float]:
        """Gradient ascent on the log likelihood, θⱼ += η ∂LL/∂θⱼ (CS109); gives LL before each step."""
        return descend(self, lambda: self.log_likelihood(X, y), rate, epochs, maximize=True)


class SoftmaxRegression(Predictor, Layer):
    """z = Wx + b, the logits of ŷ = softmax(z): W of shape (c, p), b of shape (c,) for p features and c classes.

    >>> model = SoftmaxRegression(2, 3)
    >>> [p.data for p in model.probabilities([1.0, 2.0])] == [1 / 3] * 3, len(model.W), len(model.W[0])
    (True, 3, 2)
    >>> model.b = [0.0, 0.5, 0.0]
    >>> model.predict([1.0, 2.0])
    1
    """

    unit: ClassVar[str] = "discrete"

    def __init__(self, nin: int, classes: int) -> None:
        super().__init__(nin, _classes(classes), init="zeros")
        self.classes = self.nout
        unit: Any
        for unit in self.neurons:
            unit.link_name = self.link_name   # a unit by itself has no link: softmax takes them all

    def probabilities(self, x: Any) -> list[Value]:
        """ŷ = softmax(z)."""
        return softmax(self.z(x))

    def cost(self, X: Any, y: Any) -> Value:
        """Σ L = −Σ log ŷ_y; ∂/∂w_ci = Σ (ŷ_c − y_c)xᵢ. The targets are class indices, or one-hot rows."""
        return _sum([cross_entropy(self(x), t) for x, t in Examples.of(X, y)])

    def descend(self, X: Any, y: Any, rate: float = 0.1, epochs: int = 100) -> list[float]:
        """Gradient descent on the loss; gives it before each step."""
        return descend(self, lambda: self.cost(X, y), rate, epochs)


class Perceptron(Predictor, Neuron):
    """The score θ·x, whose sign is the class ±1; trained by the batch rule of CS539.

    >>> model, X, y = Perceptron(2), [[0, 0], [0, 1], [1, 0], [1, 1]], [-1, -1, -1, 1]
    >>> epochs = model.train(X, y)
    >>> numbers(model.theta), model.predict(X), model.predict([1, 1])
    ([-0.75, 0.5, 0.5], array([-1, -1, -1,  1]), 1)
    """

    unit: ClassVar[str] = "binary"
    letter = "θ"

    def __init__(self, nin: int) -> None:
        super().__init__(nin, init="zeros")

    link_name = "sign"   # of the score

    def link(self, z: list[Value]) -> list[Value]:
        """The sign of the score."""
        return [sign(v) for v in z]

    def decided(self, output: Any) -> Any:
        """The class: 1 where θ·x > 0, else −1."""
        return 1 if output > 0 else -1

    def train(self, X: Any, y: Any, rate: float = 1.0, epsilon: float = 1e-6, max_epochs: int = 1000,
              normalize: bool = True) -> int:
        """Δ = (1/n) Σ y·x over the examples with y·(θ·x) ≤ 0, x₀ = 1 included; θ += αΔ; until ‖Δ‖₂ < ε.

        rate, epsilon   α and ε;  n is the number of all examples
        normalize       False leaves out the division by n: with α = 1, the fixed increment perceptron

        Gives the number of epochs. It is gradient descent on the mean (or sum) of `perceptron_loss`, but for examples on the
        line, θ·x = 0, which have no slope there and count as wrong here. Where no line separates the classes the rule may
        go on for ever, a RuntimeError after `max_epochs`, or stop where the y·x cancel, as at once for XOR. ValueError for
        labels that are not ±1.
        """
        examples = [([1.0, *(x if isinstance(x, list) else [x])], t) for x, t in Examples.of(X, y)]
        labels = {t for _, t in examples}
        if not labels <= {-1, 1}:
            raise ValueError(f"{self.called()}: the labels are {bounded(sorted(labels))}, and must be −1 and 1 "
                             "(of 0 and 1 give 2y − 1)")
        n = len(examples) if normalize else 1
        for epoch in count():
            with no_grad():
                wrong = [[t * xi for xi in x] for x, t in examples if t * self(x[1:]) <= 0]
            delta = [math.fsum(column) / n for column in zip(*wrong, strict=True)] or [0.0]
            if math.hypot(*delta) < epsilon:
                return epoch
            if epoch >= max_epochs:
                break
            self.theta = [p.data + rate * d for p, d in zip(self.theta, delta, strict=True)]
        raise RuntimeError(f"{self.called()} has {len(wrong)} of {len(examples)} examples on the wrong side after {max_epochs} "
                           "epochs: perhaps no line separates the classes; use LogisticRegression, or an MLP")


class OneVsRest(Predictor):
    """K logistic regressions, the k-th of class k against the rest; the largest logit is the class (CS539).

    >>> model = OneVsRest(1, 3)
    >>> costs = model.descend([[-2.0], [-1.5], [0.0], [1.5], [2.0]], [0, 0, 1, 2, 2], rate=0.5, epochs=50)
    >>> model.predict([-3.0]), model.predict([3.0])
    (0, 2)
    """

    unit: ClassVar[str] = "binary"   # K of them

    def __init__(self, nin: int, classes: int) -> None:
        self.nin, self.classes = nin, _classes(classes)
        self.models = [LogisticRegression(nin) for _ in range(classes)]

    def z(self, x: Any) -> list[Value]:
        """The K logits."""
        return [model.z(x) for model in self.models]

    def activated(self, z: Any) -> Any:
        """The logits, as they are trained on."""
        return z

    def _symbols(self) -> dict[Value, str]:
        return numbered(self.models)

    def cost(self, X: Any, y: Any) -> Value:
        """The sum of all classifiers' losses; the targets are class indices, or rows of K zeros and ones."""
        return _sum([binary_cross_entropy_with_logits(self(x), t) for x, t in Examples.of(X, y)])

    def descend(self, X: Any, y: Any, rate: float = 0.1, epochs: int = 100) -> list[float]:
        """Gradient descent on the cost, which trains each classifier by itself; gives the cost before each step."""
        return descend(self, lambda: self.cost(X, y), rate, epochs)


def _classes(n: int) -> int:
    if at_least_1("classes", n) < 2:
        raise ValueError("classes = 1: there is nothing to tell apart")
    return n


def _sum(terms: Sequence[Value]) -> Value:
    return reduce(add, terms)
