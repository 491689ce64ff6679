"""Losses: L(output, target) of one example, a Value.   The notation of the lectures:

    y       the target; y_k of a one-hot (1-of-K) one, or of class weights that sum to 1
    z       logits: what a linear output unit gives;  p, a: probabilities;  s: a score;  ŷ: a prediction

From logits they are exact, value and slope, to ±10⁸ and beyond: differences are formed before anything is exponentiated.
Where an output is a list of K Values, the target is a list of K numbers or, for the cross-entropies, nll and hinge, a class
index 0 … K−1, which to the binary cross-entropies is K questions, each class against the rest (CS539). Lists of different
lengths are a ValueError that names both. `fit` averages over examples, J = (1/n) Σ L.

Outputs and targets may be symbols, whose numbers are not known while a graph is compiled: then a loss takes a form without
branches, of the same value, and looks at no target.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any

from autograd import Value, exp, expm1, log, log1p, relu, sigmoid, softmax, softplus, step, where
from autograd.conversion import to_float
from autograd.primitives import shift, strong_mul, surprisal
from autograd.value import literal

from .activations import linear
from .labels import OneHot, classes_of, is_list, pairs_of, rest, signed_pairs, symbolic, yes_or_no
from .module import Module
from .printed import Printed

__all__ = ["LOSSES", "OUTPUT_UNITS", "Loss", "OutputUnit", "binary_cross_entropy", "binary_cross_entropy_with_logits",
           "cross_entropy", "hinge", "l2", "mse", "nll", "output_unit", "perceptron_loss", "squared_error"]

Loss = Callable[[Any, Any], Value]


def squared_error(output: Any, target: Any) -> Value:
    """½(ŷ − y)², summed over the outputs (CS539); slope ŷ − y.

    >>> squared_error(Value(3.0), 1.0).data
    2.0
    """
    return _total([0.5 * _square(a - y) for a, y in pairs_of(output, target, "squared_error")])


def mse(output: Any, target: Any) -> Value:
    """(ŷ − y)², the mean over the outputs: the negative log likelihood of a Gaussian, up to constants (CS109B).

    >>> mse([Value(3.0), Value(1.0)], [1.0, 1.0]).data
    2.0
    """
    pairs = pairs_of(output, target, "mse")
    total = _total([_square(a - y) for a, y in pairs])
    return total if len(pairs) == 1 else total * (1 / len(pairs))


def binary_cross_entropy_with_logits(output: Any, target: Any) -> Value:
    """−[y log σ(z) + (1−y) log(1 − σ(z))] = y·softplus(−z) + (1−y)·softplus(z), summed over the outputs; slope σ(z) − y.

    The target is 0 or 1, or a probability between them; of K logits a row of these, or a class index: one-vs-rest.

    >>> z = Value(-1e8)
    >>> L = binary_cross_entropy_with_logits(z, 1)
    >>> L.backward()
    >>> L.data, z.grad
    (100000000.0, -1.0)
    """
    name = "binary_cross_entropy_with_logits"
    pairs = yes_or_no(output, target, name)
    return _weighted([row for z, y in pairs for row in ((y, softplus, -z), (rest(y, name), softplus, z))])


def binary_cross_entropy(output: Any, target: Any) -> Value:
    """−[y log p + (1−y) log(1−p)] of a probability p, summed over the outputs; slope (p − y)/(p(1 − p)).

    A term of weight 0 is left out. ValueError where p is 0 or 1 and the target says otherwise: the loss is infinite there.
    Prefer binary_cross_entropy_with_logits, which takes the number before the sigmoid.

    >>> binary_cross_entropy(Value(0.5), 1).data
    0.6931471805599453
    """
    name = "binary_cross_entropy"
    pairs = [(_probability(p, name), y) for p, y in yes_or_no(output, target, name)]
    rows = [row for p, y in pairs for row in ((y, log, p), (rest(y, name), log1p, -p))]
    with _infinite(name):
        return -_weighted(rows)


def cross_entropy(output: Any, target: Any) -> Value:
    """−Σ y_k log ŷ_k with ŷ = softmax(z); slope ŷ_k − y_k.

    It is Σ y_k log Σ_j exp(z_j − z_k), where differences are formed first. Of one class k the slope ŷ_k − 1 is minus the sum
    of the other ŷ, so that it keeps its digits where ŷ_k is nearly 1.

    output   K ≥ 2 logits; target: a class index, a one-hot list, or K weights that sum to 1

    >>> cross_entropy([Value(1e8), Value(0.0), Value(1e8)], 1).data
    100000000.69314718
    """
    classes = classes_of(output, target, "cross_entropy")
    if symbolic(*[y for _, y in classes]):
        return _of_symbols(output, classes, is_list(target) and not isinstance(target, OneHot))
    return _weighted([(y, lambda k: surprisal(output[k], *output[:k], *output[k + 1:]), k) for k, y in classes])


def _of_symbols(output: Sequence[Any], classes: Sequence[tuple[int, Any]], soft: bool) -> Value:
    """The cross-entropy where weights are not known: those that are 0 or 1, or `soft` ones between.

    With z the logit of the class, m the largest, and r = Σ exp(z_j − m) over the other classes, it is m − z + log1p(r +
    expm1(z − m)). Derivatives flow to z from r, which is multiplied by e^(z₀ − z) = 1 with z₀ = z a constant.
    """
    m = shift(*output)
    weights = [exp(z - m) for z in output]
    if soft:
        return _total([strong_mul(y, m - output[k]) for k, y in classes]) + log(_total(weights))
    z = _total([y * output[k] for k, y in classes])
    z0 = shift(z)
    rest = _total([(1 - y) * weights[k] for k, y in classes])
    apart = z0 - m
    return _total([log1p(rest * exp(z0 - z) + expm1(apart)), -apart])


def nll(output: Any, target: Any) -> Value:
    """−log a_y of K probabilities a, the softmax's output, and the class y (CS539); −Σ y_k log a_k of K weights.

    (torch's nll_loss takes log-probabilities.) ValueError where a_y is 0; prefer cross_entropy, which takes logits.

    >>> nll([Value(0.25), Value(0.75)], 0).data
    1.3862943611198906
    """
    rows = [(y, log, _probability(output[k], "nll")) for k, y in classes_of(output, target, "nll")]
    with _infinite("nll"):
        return -_weighted(rows)


def hinge(output: Any, target: Any) -> Value:
    """max(0, 1 − y·s) of a score and a label y = ±1; of K scores and a class y, Σ_{j≠y} max(0, 1 + s_j − s_y).

    >>> hinge(Value(0.5), -1).data, hinge([Value(2.0), Value(1.5), Value(0.0)], 0).data
    (1.5, 0.5)
    """
    if not is_list(output) or len(output) < 2:
        return _total([relu(1 - y * s) for s, y in signed_pairs(output, target, "hinge")])
    if symbolic(target):
        classes = classes_of(output, target, "hinge")
        score = _total([y * output[k] for k, y in classes])
        return _total([(1 - y) * relu(1 + output[k] - score) for k, y in classes])
    right = max(classes_of(output, target, "hinge"), key=lambda row: row[1])[0]
    return _total([relu(1 + s - output[right]) for j, s in enumerate(output) if j != right])


def perceptron_loss(output: Any, target: Any) -> Value:
    """max(0, −y·s) of a score and a label y = ±1: its slope −y·x is what the perceptron learns from; 0 at s = 0.

    >>> perceptron_loss(Value(0.5), -1).data, perceptron_loss(Value(0.5), 1).data
    (0.5, 0.0)
    """
    return _total([relu(-(y * s)) for s, y in signed_pairs(output, target, "perceptron_loss")])


def l2(module: Module, lam: float, n: int = 1) -> Value:
    """(λ/2n) Σ Θ² over all weights and no biases (CS539): the term of the regularised cost J for n examples.

    Its slope is (λ/n)Θ. (The slide's update rule adds λΘ to an averaged gradient; this is J as it is written.)

    >>> from nn import Neuron
    >>> neuron = Neuron(2)
    >>> neuron.load_state_dict({"w.0": 3.0, "w.1": 4.0, "b": 100.0})
    >>> l2(neuron, lam=0.2, n=10).data
    0.25
    """
    if not (to_float(lam, "l2(lam)") >= 0 and n > 0):
        raise ValueError(f"l2(lam={lam}, n={n}): λ is not negative, and n, the number of examples, is positive")
    weights = module.weights()
    return lam / (2 * n) * _total([w * w for w in weights]) if weights else literal(0.0)


LOSSES: dict[str, Loss] = {loss.__name__: loss for loss in (
    squared_error, mse, binary_cross_entropy, binary_cross_entropy_with_logits, cross_entropy, nll, hinge, perceptron_loss)}


@dataclass(frozen=True)
class OutputUnit:
    """What a kind of target wants (CS109B): its distribution, the link from the linear output to the prediction, the loss;
    and the unit and the loss in words.

    The loss takes the linear output, before the link. `link, loss = unit` works.
    """

    distribution: str
    link: Callable[[Any], Any]
    loss: Loss
    name: str
    equation: str
    cost: str
    curve: Callable[[float], float] | None = None

    @property
    def cells(self) -> tuple[str, str, str]:
        """What its row of the table says."""
        return self.distribution, f"{self.name}: {self.equation}", self.cost

    def __iter__(self) -> Any:
        return iter((self.link, self.loss))


OUTPUT_UNITS = Printed("Output units", ("target", "distribution", "output unit", "loss"), [
    ("binary", OutputUnit("Bernoulli", sigmoid, binary_cross_entropy_with_logits, "sigmoid", "ŷ = 1/(1 + e^(−z))",
                          "binary cross-entropy", sigmoid)),
    ("discrete", OutputUnit("multinoulli", softmax, cross_entropy, "softmax", "ŷ_c = e^z_c / Σ e^z_k", "cross-entropy",
                            lambda z: softmax([z, 0.0])[0])),
    ("continuous", OutputUnit("Gaussian", linear, mse, "linear", "ŷ = z", "mean squared error", linear)),
    # the loss is that of its discriminator, which gives a logit
    ("arbitrary", OutputUnit("arbitrary", linear, binary_cross_entropy_with_logits, "GAN", "the generator's output",
                             "binary cross-entropy of the discriminator")),
])


def output_unit(kind: str) -> OutputUnit:
    """The output unit for a kind of target: "binary", "discrete", "continuous" or "arbitrary"; ValueError for another.

    >>> link, loss = output_unit("binary")
    >>> link(0.0), loss.__name__, output_unit("binary").distribution
    (0.5, 'binary_cross_entropy_with_logits', 'Bernoulli')
    """
    if kind not in OUTPUT_UNITS:
        raise ValueError(f"output_unit({kind!r}): there are {', '.join(OUTPUT_UNITS)}")
    return OUTPUT_UNITS[kind]


# ---- what the losses share

_OF_LOGITS = {"binary_cross_entropy": "binary_cross_entropy_with_logits", "nll": "cross_entropy"}


def _square(x: Any) -> Any:
    return x * x


def _total(terms: Sequence[Any]) -> Value:
    """The sum, a Value even of plain numbers."""
    total = reduce(add, terms)
    return total if isinstance(total, Value) else literal(to_float(total))


_HARMLESS: dict[Any, float] = {log: 1.0, log1p: 0.0}   # arguments at which these have a value and a slope


def _weighted(rows: Sequence[tuple[Any, Callable[[Any], Any], Any]]) -> Value:
    """Σ weight · f(x) of (weight, f, x); where the weight is 0, f is not even computed, and a weight of 1 leaves no node."""
    kept = [row for row in rows if isinstance(row[0], Value) or row[0] != 0]
    kept = [(y, f, where(y, x, _HARMLESS[f]) if f in _HARMLESS and symbolic(y) else x) for y, f, x in kept]
    return _total([f(x) if not isinstance(y, Value) and y == 1 else y * f(x) for y, f, x in kept])


def _probability(p: Any, name: str) -> Any:
    if symbolic(p):
        return where(step(p - 1) + step(-p), math.inf, p)   # so that the loss is not finite: then fit asks the numbers
    if p < 0 or p > 1:
        raise ValueError(f"{name}: the output {p.data if isinstance(p, Value) else p:g} is no probability: "
                         f"of logits use {_OF_LOGITS[name]}")
    return p


@contextmanager
def _infinite(name: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{name}: a probability is exactly 0 or 1, and the target says otherwise, so the loss is infinite "
                         f"({error}): give the logits to {_OF_LOGITS[name]}, which is exact") from None
