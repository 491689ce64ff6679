"""The gradient of a batch, Σ ∂L(model(xᵢ), yᵢ)/∂θ: the one seam between training and how derivatives are computed.

A `Gradients` is called as gradients(model, loss, xs, ys) and gives the sum of the losses and the sums of the gradients,
in the order of model.parameters(). "The gradient of a sum is the sum of gradients": a batch may be split at will.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from copy import deepcopy
from functools import cached_property
from itertools import pairwise
from typing import Any, NoReturn

from autograd import Value, errstate, topological
from autograd.compiler.descent import Epochs
from autograd.compiler.trace import collector_off
from autograd.conversion import bounded
from autograd.guard import guarded
from autograd.rewritten import opened

from ..checks import whole
from ..data.examples import Batch, Examples
from ..losses import Loss
from ..module import Module
from ..optimizer import Optimizer

__all__ = ["Cost", "EagerDescent", "Gradients", "eager_gradients", "executor_gradients"]

Sums = tuple[float, list[float]]
Gradients = Callable[[Module, Loss, Sequence[Any], Sequence[Any]], Sums]


def eager_gradients(model: Module, loss: Loss, xs: Sequence[Any], ys: Sequence[Any]) -> Sums:
    """(Σ L, [Σ ∂L/∂θ for every parameter θ]), added from left to right: the graph of one example is there at a time.

    The sums are also left in the parameters' `grad`. ValueError or FloatingPointError as the model, the loss and
    `Value.backward` raise them; TypeError if the loss gives no Value.

    >>> from nn import Neuron, squared_error
    >>> neuron = Neuron(1, bias=False)
    >>> neuron.load_state_dict({"w.0": 2.0})
    >>> eager_gradients(neuron, squared_error, [[1.0], [3.0]], [1.0, 1.0])
    (13.0, [16.0])
    """
    parameters = model.parameters()
    for p in parameters:
        p.grad = 0.0
    total = 0.0
    with collector_off():
        for x, y in zip(xs, ys, strict=True):
            L = guarded(lambda x, y=y: loss_of(loss, model(x), y), x)
            L.backward()
            total += L.data
    return total, [p.grad for p in parameters]


def executor_gradients(executor: Executor, shards: int = 8) -> Gradients:
    """Gradients computed by the workers of any concurrent.futures.Executor: threads, processes, dask's, mpi4py's.

    A batch is cut into `shards` runs of examples of nearly equal length, whose sums are added in their order: the
    result depends on `shards` and never on the number of workers. Every worker differentiates a copy of the model.
    With processes the model and the loss must be picklable: named activations and functions, no lambdas.

    >>> from concurrent.futures import ThreadPoolExecutor
    >>> from nn import Neuron, squared_error
    >>> with ThreadPoolExecutor(2) as executor:
    ...     executor_gradients(executor)(Neuron(1, rng=0), squared_error, [[0.0], [0.0]], [1.0, 3.0])
    (5.0, [0.0, -4.0])
    """
    shards = whole("executor_gradients(shards)", shards, 1)

    def gradients(model: Module, loss: Loss, xs: Sequence[Any], ys: Sequence[Any]) -> Sums:
        cuts = [len(xs) * k // shards for k in range(shards + 1)]
        futures = [executor.submit(_shard, model, loss, xs[a:b], ys[a:b]) for a, b in pairwise(cuts) if a < b]
        try:
            found = [future.result() for future in futures]
        except BaseException:
            for future in futures:
                future.cancel()
            raise
        total, sums = found[0]
        for part, more in found[1:]:
            total += part
            sums = [a + b for a, b in zip(sums, more, strict=True)]
        return total, sums
    return gradients


def _shard(model: Module, loss: Loss, xs: Sequence[Any], ys: Sequence[Any]) -> Sums:
    return eager_gradients(deepcopy(model), loss, xs, ys)


def loss_of(loss: Loss, output: Any, y: Any) -> Value:
    """L(output, y); TypeError if it is no Value."""
    L = loss(output, y)
    if not isinstance(L, Value):
        raise TypeError(f"the loss {getattr(loss, '__name__', bounded(loss))} gave {bounded(L)}: it must give one Value, "
                        "the loss of one example, computed with autograd's functions")
    return L


class Cost:
    """J of a batch of examples, with its gradient: (1/n) Σ L + (λ/2n) Σ Θ², and ∂J/∂Θ = (1/n) Σ ∂L/∂Θ + (λ/n) Θ.

    `l2` is λ; it is negative where J is to be large.
    """

    def __init__(self, model: Module, loss: Loss, l2: float, gradients: Gradients) -> None:
        self.model, self.loss, self.l2, self.gradients = model, loss, l2, gradients

    @cached_property
    def parameters(self) -> list[Value]:
        """The model's."""
        return self.model.parameters()

    @cached_property
    def weights(self) -> list[Value]:
        """Those that the penalty covers."""
        return self.model.weights() if self.l2 else []

    def __call__(self, examples: Examples, batch: Batch) -> float:
        """n·J of the examples whose numbers are in `batch`; ∂J/∂Θ is put into the parameters' `grad`.

        FloatingPointError saying at which example and node, if one of them is nan or infinite.
        """
        n, (xs, ys) = len(batch), examples.lists(batch)
        try:
            total, sums = self.gradients(self.model, self.loss, xs, ys)
            total += self.l2 / 2 * sum([w.data * w.data for w in self.weights])
            if not all(map(math.isfinite, (total, *sums))):
                raise FloatingPointError(f"the sum of the losses is {total:g}, or a gradient's is not finite")
        except (ArithmeticError, ValueError) as error:
            tell(error, self.model, self.loss, examples, batch)
        for p, g in zip(self.parameters, sums, strict=True):
            p.grad = g / n
        for w in self.weights:
            w.grad += self.l2 / n * w.data
        return total


class EagerDescent:
    """Gradient descent on a cost, a step at a time, on the Values themselves; `CompiledDescent` is called alike."""

    def __init__(self, cost: Cost, optimizer: Optimizer, examples: Examples) -> None:
        self.cost, self.optimizer, self.examples = cost, optimizer, examples

    def begin(self, anew: bool = False) -> None:
        """The parameters are where they are."""

    end = begin

    def step(self, batch: Batch) -> float:
        """n·J of a batch, before a step of the optimizer."""
        total = self.cost(self.examples, batch)
        self.optimizer.step()
        return total

    def go(self, epochs: Epochs, single: bool = True) -> None:
        """Make the next step of the epochs."""
        epochs.add(self.step(epochs.batch()))

    def numbers(self) -> list[float]:
        """The numbers of model.parameters()."""
        return [p.data for p in self.cost.parameters]

    def ahead(self, n: int, size: int) -> int:
        """How many epochs are made at once."""
        return 1


def tell(error: Exception, model: Module, loss: Loss, examples: Examples, batch: Batch) -> NoReturn:
    """Raise FloatingPointError with what `diagnose` finds, else `error`."""
    found = diagnose(model, loss, examples, batch)
    if found is None and not isinstance(error, ArithmeticError):
        raise error
    raise FloatingPointError(found or str(error)) from error


def diagnose(model: Module, loss: Loss, examples: Examples, batch: Batch) -> str | None:
    """Of a batch with a loss or gradient that is not finite: at which example and at which node it went wrong.

    None if every example is finite alone. What is no matter of numbers, as a wrong size, raises its own error.
    """
    names = [name for name, _ in model.named_parameters()]
    for i in batch:
        x, y = examples[i]
        try:
            with errstate(invalid="ignore", divide="ignore"):
                L = loss_of(loss, model(x), y)
        except Exception as error:
            error.add_note(f"with the example X[{i}], y[{i}] = {bounded(y)}")
            raise error from None
        try:
            total, sums = eager_gradients(model, loss, [x], [y])
        except (ArithmeticError, ValueError) as error:
            return f"example X[{i}]: {error}"
        if not math.isfinite(total):
            v = next(v for v in topological(opened(L)[0]) if not math.isfinite(v.data))
            return f"example X[{i}]: the loss is {total:g}, since {_called(v)} is {v.data:g}"
        for name, g in zip(names, sums, strict=True):
            if not math.isfinite(g):
                return f"example X[{i}]: the gradient of {name} is {g:g}"
    return None


def _called(v: Value) -> str:
    """A node as an error names it."""
    text = v.op.called(*[a.data for a in v.args]) if v.op else f"the number {v.data:g}"
    return text if v.label is None else f"node {bounded(v.label)} = {text}"
