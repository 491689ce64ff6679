"""Training and prediction on compiled graphs: the graph of one example, made of symbols, runs on whole batches.

    Θ     the parameters, an array in the order of model.parameters()
    X, Y  examples, arrays of shape (n, numbers of one)

What is compiled must hold for every example and for every Θ. So the graph is traced twice, on copies of the model: with its
parameters, and with symbols in their place. A branch on a number raises TraceError, and a model that draws random numbers
or remembers its calls is found by giving two different graphs. Nothing compiled is kept in a model.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from operator import is_
from typing import Any

import numpy as np

from autograd import Value, errstate, no_grad, topological
from autograd.compiler import TraceError, compile
from autograd.compiler.trace import Symbol, collector_off, tracing
from autograd.conversion import bounded, to_float
from autograd.guard import guarded
from autograd.structure import leaves_of, shaped
from autograd.value import literal

from ..data.examples import Batch, Examples
from ..labels import OneHot, is_list
from ..losses import LOSSES, Loss, cross_entropy, hinge, mse, nll, squared_error
from ..module import Module, parts_of, walk
from ..optimizer import Array, Optimizer, finite, put
from .gradients import loss_of, tell

__all__ = ["CompiledDescent", "check_targets", "forward"]

_TRIES = 1000             # nodes that are traced, over and over, before a graph is believed to be always the same
FEW_ROWS, LITTLE = 32, 50_000   # rows, and nodes of all of them, below which a prediction is sooner made than compiled
Forward = Callable[[Examples], Any]   # from examples to outputs: an array if it is compiled, else a list


class CompiledDescent:
    """Gradient descent on a compiled cost, a step at a time. Between `begin` and `end` the parameters' numbers are in an array.

    TraceError if the model or the loss cannot be compiled.
    """

    def __init__(self, model: Module, loss: Loss, l2: float, optimizer: Optimizer, examples: Examples,
                 backend: str = "auto") -> None:
        self.model, self.loss, self.l2, self.optimizer, self.backend = model, loss, l2, optimizer, backend
        self.examples, self.parameters = examples, model.parameters()
        place = {p: i for i, p in enumerate(self.parameters)}
        places = [place[p] for p in optimizer.params]
        self.places = None if places == list(range(len(place))) else np.array(places)
        self.mask = np.zeros(len(place))
        self.mask[[place[w] for w in model.weights()]] = 1.0
        self.theta: Array | None = None
        self.gradient: Array | None = None
        self._compile()
        self.data = self._arrays(examples)
        self._taken: tuple[Any, Any] = None, None
        self._held: tuple[Any, Any] = None, None

    def _compile(self) -> None:
        self.kept = snapshot(self.model, self.loss)
        self.outputs_of: Forward | None = None
        with no_grad(), errstate(invalid="ignore", divide="ignore"):
            self.output = _copy(self.model, self.model.parameters())(self.examples.row(0))
        targets = _encoded(self.loss, self.output, self.examples.y)
        x, y = _symbols(self.examples.row(0), "x"), _symbols(targets[0].tolist(), "y")
        self.one_hot = self.loss is cross_entropy and _is_one_hot(targets)
        if self.one_hot:
            y = OneHot(y)
        L, _ = traced(lambda model, loss: loss_of(loss, model(x), y), self.model, self.loss)
        self.f = compile(L, [self.parameters, leaves_of(x), leaves_of(y)], batch=(1, 2), reduce="sum", backend=self.backend)

    def _arrays(self, examples: Examples) -> tuple[Array, Array]:
        y = _encoded(self.loss, self.output, examples.y)
        if self.one_hot and not _is_one_hot(y):
            raise ValueError("what is compiled for targets of one class takes none of several")
        return _flat(examples.X), _flat(y)

    # ---- training

    def begin(self) -> None:
        """Take the parameters' numbers, unless they are here; compile again if the model is not made as it was."""
        if self.theta is not None:
            return
        if not unchanged(self.kept):
            self._compile()
        self.theta = np.array([p.data for p in self.parameters])

    def end(self) -> None:
        """Give them back, with the last gradient; again, if that was interrupted."""
        if self.theta is not None:
            put(self.parameters, "data", self.theta)
            if self.gradient is not None:
                put(self.parameters, "grad", self.gradient)
            self.theta = None

    def step(self, batch: Batch) -> float:
        """n·J of a batch, before a step of the optimizer. FloatingPointError as from `Cost` and `Optimizer.step`."""
        assert self.theta is not None
        theta = self.theta
        total, self.gradient = self.cost(theta, batch)
        if type(self.optimizer).step is not Optimizer.step:   # the user's own, on Values
            self.end()
            self.optimizer.step()
            self.theta = np.array([p.data for p in self.parameters])
            return total
        if self.places is None:
            x, kept = self.optimizer.moved(theta, self.gradient)
        else:
            x = theta.copy()
            x[self.places], kept = self.optimizer.moved(theta[self.places], self.gradient[self.places])
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
                    total += self.l2 / 2 * weights.dot(weights)
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
    parameters, x = model.parameters(), _symbols(examples.row(0), "x")
    found, nodes = traced(lambda model, _: model(x), model)
    if nodes * len(examples) < LITTLE:
        return None
    np.array(shaped(found, [0.0 for _ in leaves_of(found)]), dtype=float)   # ValueError or TypeError unless it is regular
    f = compile(found, [parameters, leaves_of(x)], batch=1, backend=backend)

    def outputs(examples: Examples) -> Any:
        with np.errstate(all="ignore"):
            return f(np.array([p.data for p in parameters]), _flat(examples.X))
    return outputs


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
    if loss in (cross_entropy, nll) and y.ndim == 1:
        y = y[:, None] == np.arange(len(output))
    elif loss is hinge and y.ndim > 1 and is_list(output) and len(output) > 1:
        y = y.argmax(axis=1)
    return np.asarray(y, dtype=np.float64)


def _is_one_hot(y: Array) -> bool:
    """Whether every row is of one class: a 1 and else zeros."""
    return y.ndim > 1 and bool(((y == 0) | (y == 1)).all() and (y.sum(axis=1) == 1).all())


# ---- tracing

def traced(graph: Callable[[Any, Any], Any], model: Module, loss: Any = None) -> tuple[Any, int]:
    """(graph(model, loss), how many nodes it has); TraceError if it does not hold for all numbers."""
    parameters = model.parameters()
    symbols = [Symbol(p.label) for p in parameters]
    copy, other = _copy((model, loss), parameters), None

    def outputs(of: Any) -> Any:
        with tracing():
            return _valued(graph(*of))
    with collector_off():
        found, nodes, tries = outputs(copy), 1, 1
        while nodes and tries * nodes < _TRIES:   # a small graph may come out alike by chance, so it is made more often
            other = _copy(other or copy, *((symbols,) if other else (parameters, symbols)))
            nodes = _same(leaves_of(found), leaves_of(outputs(other)), dict(zip(symbols, parameters, strict=True)))
            tries += 1
    if not nodes:
        raise TraceError("called twice, the model or the loss made two different graphs: it draws random numbers, or "
                         "remembers its calls, and would be compiled as it was once")
    return found, nodes


def _copy(x: Any, parameters: Sequence[Value], instead: Sequence[Value] | None = None) -> Any:
    """A copy with the same parameters, or others instead: of what it remembers, and how it draws numbers, but not of them."""
    return deepcopy(x, {id(p): q for p, q in zip(parameters, instead or parameters, strict=True)})


def _same(found: list[Value], again: list[Value], parameters: dict[Value, Value]) -> int:
    """How many nodes a graph has that was traced twice, `parameters` telling whose places symbols took; 0 if it differs."""
    mine, theirs = topological(*found), topological(*again)
    results, others = [v for v in mine if v.args], [v for v in theirs if v.args]
    twin: dict[Value, Value] = dict(parameters)   # from a node of the second graph to that of the first
    if len(results) != len(others) or len(found) != len(again):
        return 0

    def same(v: Value, w: Value) -> bool:   # the node; or a number that is made anew in every call
        return twin.get(w, w) is v or not (v.args or w.args or v.symbolic or w.symbolic or v.data != w.data)
    for v, w in zip(results, others, strict=True):
        if v.op is not w.op or len(v.args) != len(w.args) or not all(map(same, v.args, w.args)):
            return 0
        twin[w] = v
    return len(mine) if all(map(same, found, again)) else 0


def _valued(outputs: Any) -> Any:
    return shaped(outputs, [y if isinstance(y, Value) else literal(to_float(y)) for y in leaves_of(outputs)])


def _symbols(like: Any, name: str) -> Any:
    return shaped(like, [Symbol(f"{name}{i}") for i in range(len(leaves_of(like)))])


def _flat(x: Array) -> Array:
    """The numbers of each example in a row, of shape (n, numbers of one)."""
    return x.reshape(len(x), -1)


# ---- noticing that a model is not made as it was

def snapshot(*roots: Any) -> list[tuple[Any, Any]]:
    """(an object, what it holds) of all Modules, containers and arrays in `roots`."""
    return [(x, held) for _, x, _ in walk(roots) if (held := _held(x)) is not None]


def unchanged(kept: Iterable[tuple[Any, Any]]) -> bool:
    """Whether each of them holds the same objects, and each array the same numbers."""
    return all([np.array_equal(x, held) if isinstance(held, np.ndarray) else
                len(now := _held(x)) == len(held) and all(map(is_, now, held)) for x, held in kept])


def _held(x: Any) -> Any:
    """The names and objects in a Module or dict, the objects in another container, a copy of an array of numbers; else None."""
    if (parts := parts_of(x)) is None:
        return x.copy() if isinstance(x, np.ndarray) else None
    return [*(parts[0] if isinstance(x, (Module, dict)) else ()), *parts[1]]
