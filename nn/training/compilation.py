"""Training and prediction on compiled graphs: the graph of one example, made of symbols, runs on whole batches.

    Θ     the parameters, an array in the order of model.parameters()
    X, Y  examples, arrays of shape (n, numbers of one)

What is compiled must hold for every example and for every Θ. So the graph is traced twice, on copies of the model: with its
parameters, and with symbols in their place. A branch on a number raises TraceError, and a model that draws random numbers
or remembers its calls is found by giving two different graphs. Nothing compiled is kept in a model.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import chain
from typing import Any

import numpy as np

from autograd import Value, errstate, no_grad
from autograd.compiler import Compiled, TraceError
from autograd.compiler.compare import different, of_function, of_trace
from autograd.conversion import bounded
from autograd.guard import guarded
from autograd.structure import leaves_of, shape_of, shaped
from autograd.value import literal

from ..data.examples import Batch, Examples
from ..labels import OneHot, is_list
from ..losses import (
    LOSSES,
    Loss,
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    hinge,
    mse,
    nll,
    squared_error,
)
from ..module import Module
from ..optimizer import Array, Optimizer, finite, put
from .gradients import EagerDescent, loss_of, tell
from .reading import Reading, chance_kept, unchanged
from .tracing import Graph, compiled_of, copied, flat, symbols, traced

__all__ = ["CompiledDescent", "check_targets", "forward"]

_FEWEST, _MOST, _SOON = 2, 10, 30_000   # examples that are compared; nodes of all of them
_WORTH, _IN_VAIN = 100, 10   # examples between two compilations that pay; how often there may be fewer
FEW_ROWS, LITTLE = 32, 50_000   # rows, and nodes of all of them, below which a prediction is sooner made than compiled
_BINARY = (binary_cross_entropy, binary_cross_entropy_with_logits)   # of several outputs: each class against the rest
Forward = Callable[[Examples], Any]   # from examples to outputs: an array if it is compiled, else a list


class CompiledDescent:
    """Gradient descent on a compiled cost, a step at a time. Between `begin` and `end` the parameters' numbers are in an array.

    eager     what trains from when on the model or the loss cannot be compiled any more; None if they must be
    watched   whether somebody else, as a callback of the user's, may change what they read
    TraceError if the model or the loss cannot be compiled.
    """

    def __init__(self, model: Module, loss: Loss, l2: float, optimizer: Optimizer, examples: Examples,
                 backend: str = "auto", eager: EagerDescent | None = None, watched: bool = True) -> None:
        self.eager, self.watched = eager, watched
        self.instead: EagerDescent | None = None   # when it has come to that
        self.model, self.loss, self.l2, self.optimizer, self.backend = model, loss, l2, optimizer, backend
        self.examples, trained, all_of_them = examples, set(optimizer.params), model.parameters()
        weights = set(model.weights()) if l2 else ()
        self.parameters = [*optimizer.params, *[p for p in all_of_them if p not in trained]]
        self.mask = np.array([float(p in weights) for p in self.parameters])
        place = {p: i for i, p in enumerate(self.parameters)}
        self.places = np.array([place[p] for p in all_of_them])
        self.theta: Array | None = None
        self.gradient: Array | None = None
        self.f: Compiled
        self.graph: Graph | None = None   # of which it is compiled
        self.turn, self.since, self.in_vain = 0, 0, 0   # epochs; examples since it was compiled; how often that did not pay
        self._compile()
        self.data = self._arrays(examples)
        self._taken: tuple[Any, Any] = None, None
        self._held: tuple[Any, Any] = None, None

    def _compile(self) -> None:
        """Trace, compare with the model and the loss themselves on some examples, and compile; TraceError if that cannot be."""
        self.read = read = Reading(self.model, self.loss)
        with chance_kept(read.generators):
            self.outputs_of: Forward | None = None
            model = self._apart()[0]
            with no_grad(), errstate(invalid="ignore", divide="ignore"):
                self.output = model(self.examples.row(0))
            targets = _encoded(self.loss, self.output, self.examples.y)
            x, y = symbols(self.examples.row(0), "x"), symbols(targets[0].tolist(), "y")
            self.one_hot = self.loss is cross_entropy and _is_one_hot(targets)
            of: Any = OneHot(y) if self.one_hot else y
            graph = traced(lambda model, loss: loss_of(loss, model(x), of), self.model, self.loss, [x, y], self.parameters,
                           once=read.ours)
            if self.graph and graph.is_again(self.graph):
                return   # what has changed does not matter
            self.in_vain = self.in_vain + 1 if self.graph and self.since < _WORTH else 0
            self.graph, self.f = compiled_of(graph, partial(_compiled_cost, backend=self.backend), "cost", self.backend)
            self.since = 0
            for k, i in enumerate(self._witnesses(graph.nodes)):
                if told := self._differs(i, not k):
                    raise TraceError(told)

    def _apart(self) -> tuple[Module, Loss]:
        """The model and the loss, to be called without being changed; what remembers no calls is its own copy."""
        return (self.model, self.loss) if self.read.ours else copied((self.model, self.loss), self.parameters)

    def _arrays(self, examples: Examples) -> tuple[Array, Array]:
        y = _encoded(self.loss, self.output, examples.y)
        if self.one_hot and not _is_one_hot(y):
            raise ValueError("what is compiled for targets of one class takes none of several")
        return flat(examples.X), flat(y)

    # ---- comparing what was traced with the model and the loss themselves

    def _witnesses(self, nodes: int) -> list[int]:
        """A few examples of different targets, from the smallest to the largest: as many as are soon computed."""
        y, n = self.examples.y, len(self.examples)
        places = _first_places(y)
        if y.ndim == 1:
            places.sort(key=y.__getitem__)
        if len(places) < _FEWEST:
            places = [*dict.fromkeys([*places, *range(min(n, _FEWEST))])]
        k = min(max(_FEWEST, min(_MOST, _SOON // nodes)), len(places))
        return [places[round(j)] for j in np.linspace(0, len(places) - 1, k)]

    def _differs(self, i: int, slopes: bool = False) -> str:
        """How the loss of example i, and its slopes by the parameters, differ from what was traced; "" if they do not.

        Where compiled code gives the same, all is well; else the graph that was traced tells exactly."""
        assert self.graph
        xs, own = (self.parameters, self.graph.parameters) if slopes else ([], [])
        x, y, rows = self.examples.row(i), self.examples.y[i].tolist(), self.examples.take([i])
        numbers = [part[0].tolist() for part in self._arrays(rows)]
        told = ""
        with suppress(Exception), chance_kept(self.read.generators):   # what has no number is told when it is trained on
            model, loss = self._apart()
            true = of_function(lambda: loss_of(loss, model(x), y), xs)
            theta = np.array([p.data for p in self.parameters])
            found, g = self.f.value_and_grad(theta, *[np.array([part]) for part in numbers])
            if abs(found - true[0][0]) <= 1e-9 * abs(found) and not (xs and abs(g - true[1]).max() > 1e-9 * abs(g).max()):
                return ""
            leaves = [*self.graph.parameters, *chain(*self.graph.inputs)]
            told = different(true, *of_trace([self.graph.outputs], leaves, [*theta.tolist(), *chain(*numbers)], own))
        return told and (f"the model and the loss are not what was traced: of X[{i}], y[{i}] = {bounded(y)}, the {told}; they "
                         "ask for what a traced value has not (its type, its text, its place in a dict), catch a TraceError, "
                         "or read what changes")

    # ---- training

    def begin(self, anew: bool = False) -> None:
        """Take the parameters' numbers, unless they are here. Compile again if what the model or the loss reads has changed;
        where others had the word since, once an epoch, `anew`, an example is compared too.

        If it cannot be compiled any more, one warning tells so and the training goes on eagerly; TraceError if it must be."""
        if self.theta is not None or self.instead:
            return
        try:
            self.turn += anew
            hidden = self.watched and anew and not self.read.ours   # what others may have changed without being seen
            if not unchanged(self.read.kept) or (hidden and self._differs(self.turn % len(self.examples))):
                self._compile()
                if self.in_vain > _IN_VAIN and self.eager:
                    raise TraceError("what the model or the loss reads changes so often that to compile takes longer; as a "
                                     "Value it may change, and is read at every step")
        except TraceError as error:
            if self.eager is None:
                raise
            warnings.warn(f"fit() trains eagerly from here on, which is slower: {error} (compiled=False says that this is "
                          "meant)", RuntimeWarning, stacklevel=4)
            self.instead = self.eager
            return
        self.theta = np.array([p.data for p in self.parameters])

    def end(self) -> None:
        """Give them back, with the last gradient; again, if that was interrupted."""
        if self.theta is not None:
            put(self.parameters, "data", self.theta)
            if self.gradient is not None:
                put(self.parameters, "grad", self.gradient)
            self.theta = None

    def numbers(self) -> list[float]:
        """The numbers of model.parameters()."""
        if self.theta is None:
            return [p.data for p in self.model.parameters()]
        found: list[float] = self.theta[self.places].tolist()
        return found

    def step(self, batch: Batch) -> float:
        """n·J of a batch, before a step of the optimizer. FloatingPointError as from `Cost` and `Optimizer.step`."""
        if self.instead:
            return self.instead.step(batch)
        assert self.theta is not None
        theta, self.since = self.theta, self.since + len(batch)
        total, self.gradient = self.cost(theta, batch)
        if type(self.optimizer).step is not Optimizer.step:   # the user's own, on Values
            self.end()
            self.optimizer.step()
            self.theta = np.array([p.data for p in self.parameters])
            return total
        k = len(self.optimizer.params)
        moved, kept = self.optimizer.moved(theta[:k], self.gradient[:k])
        x = moved if k == len(theta) else np.concatenate([moved, theta[k:]])
        try:
            self.theta, self.optimizer.kept = x, kept
        except KeyboardInterrupt:   # both or none
            self.theta, self.optimizer.kept = x, kept
            raise
        return total

    def cost(self, theta: Array, batch: Batch) -> tuple[float, Array]:
        """(n·J, ∂J/∂Θ) of a batch; FloatingPointError as from `Cost`."""
        n, (X, Y) = len(batch), self._of(batch)
        try:
            with np.errstate(all="ignore"):
                total, g = self.f.value_and_grad(theta, X, Y)
                if self.l2:
                    weights = theta * self.mask
                    total += np.cumsum(self.l2 / 2 * weights * weights)[-1]   # in this order, which looped.py keeps
                    g = g + self.l2 * weights
                if not (math.isfinite(total) and finite(g)):
                    raise FloatingPointError(f"the sum of the losses is {total:g}, or a gradient's is not finite")
        except Exception as error:   # of what the kernel met, the graph of an example tells more
            self.end()
            tell(error, self.model, self.loss, self.examples, batch)
        return float(total), g / n

    def _of(self, batch: Batch) -> tuple[Array, Array]:
        if batch is not self._taken[0]:   # the full batch is the same in every epoch, and mostly all examples in order
            n = len(self.examples)
            everything = len(batch) == n and np.array_equal(batch, np.arange(n))
            self._taken = batch, self.data if everything else tuple([part.take(batch, axis=0) for part in self.data])
        return self._taken[1]  # type: ignore[no-any-return]

    # ---- evaluation

    def mean_loss(self, examples: Examples) -> float | None:
        """The mean of L without l2; None where there is none: the eager loss says why."""
        if self.instead:
            return None
        try:
            if examples is not self._held[0]:
                check_targets(self.loss, self.output, examples)
                self._held = examples, self._arrays(examples)
            with np.errstate(all="ignore"):
                mean = self.f(np.array([p.data for p in self.parameters]), *self._held[1]) / len(examples)
        except Exception:
            return None
        return float(mean) if math.isfinite(mean) else None

    def outputs(self, examples: Examples) -> Any:
        """What the model gives for every row."""
        if self.instead:
            return eager_forward(self.model)(examples)
        if self.outputs_of is None:
            self.outputs_of = forward(self.model, examples, self.backend)
        return self.outputs_of(examples)


def forward(model: Module, examples: Examples, backend: str = "auto") -> Forward:
    """The function from rows like those of `examples` to outputs as plain numbers; compiled if that pays for so many rows
    and can be done. It holds as long as the model is made as it is; its parameters may change."""
    if len(examples) >= FEW_ROWS:
        try:
            return _compiled_forward(model, examples, backend) or eager_forward(model)
        except Exception:
            pass
    return eager_forward(model)


def eager_forward(model: Module) -> Forward:
    """The same, row by row."""
    def outputs(examples: Examples) -> list[Any]:
        with no_grad():
            return [plain(guarded(model, x)) for x in examples.rows()]
    return outputs


def plain(output: Any) -> Any:
    """An output as numbers: Values become floats, sequences and arrays lists."""
    if isinstance(output, np.ndarray):
        output = output.tolist()
    if isinstance(output, (list, tuple)):
        return [plain(part) for part in output]
    return output.data if isinstance(output, Value) else float(output)


def _compiled_forward(model: Module, examples: Examples, backend: str) -> Forward | None:
    parameters, x, read = model.parameters(), symbols(examples.row(0), "x"), Reading(model)
    with chance_kept(read.generators):
        graph = traced(lambda model, _: model(x), model, None, [x], parameters, once=read.ours)
    if graph.nodes * len(examples) < LITTLE:
        return None
    found = graph.outputs
    np.array(shaped(found, [0.0 for _ in leaves_of(found)]), dtype=float)   # ValueError or TypeError unless it is regular
    _, f = compiled_of(graph, partial(_compiled_outputs, backend=backend), shape_of(found), backend)

    def outputs(examples: Examples) -> Any:
        with np.errstate(all="ignore"):
            return f(np.array([p.data for p in parameters]), flat(examples.X))
    return outputs


def _compiled_cost(graph: Graph, backend: str) -> Compiled:
    return Compiled(graph.outputs, [graph.parameters, *graph.inputs], batch=(1, 2), reduce="sum", backend=backend)


def _compiled_outputs(graph: Graph, backend: str) -> Compiled:
    return Compiled(graph.outputs, [graph.parameters, *graph.inputs], batch=1, backend=backend)


# ---- targets

def check_targets(loss: Loss, output: Any, examples: Examples) -> None:
    """Raise what the loss, if it is one of ours, says about a target that it cannot take beside such an output: compiled,
    it looks at none."""
    if not any([loss is known for known in LOSSES.values()]):
        return
    output = shaped(output, [literal(0.5) for _ in leaves_of(output)])   # ½: a logit, a score and a probability
    for i in [0] if loss in (mse, squared_error) else _first_places(examples.y):   # these two take any number
        y = examples.y[i].tolist()
        try:
            with no_grad():
                loss(output, y)
        except Exception as error:
            error.add_note(f"with the example X[{i}], y[{i}] = {bounded(y)}")
            raise


def _first_places(y: Array) -> list[int]:
    """Where each target stands first."""
    places: dict[Any, int] = {}
    for i, key in enumerate(y.tolist() if y.ndim == 1 else map(bytes, np.ascontiguousarray(y))):
        places.setdefault(key, i)
    return list(places.values())


def _encoded(loss: Loss, output: Any, y: Array) -> Array:
    """Targets as the compiled loss takes them: weights of classes for the cross-entropies, a class for the hinge."""
    several = is_list(output) and len(output) > 1
    if y.ndim == 1 and (loss in (cross_entropy, nll) or (several and loss in _BINARY)):
        y = y[:, None] == np.arange(len(output))
    elif loss is hinge and y.ndim > 1 and several:
        y = y.argmax(axis=1)
    return np.asarray(y, dtype=np.float64)


def _is_one_hot(y: Array) -> bool:
    """Whether every row is of one class: a 1 and else zeros."""
    return y.ndim > 1 and bool(((y == 0) | (y == 1)).all() and (y.sum(axis=1) == 1).all())
