"""Training: gradient descent on the cost of examples (xᵢ, yᵢ), in batches of n (CS109B, CS114, CS539).

J(Θ) = (1/n) Σ L(h(xᵢ), yᵢ) + (λ/2n) Σ Θ²     the second sum over the weights, without the biases; λ is `l2`
epoch   every example once; full batch: n = all of them; stochastic: n = 1; mini-batch: between
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from os import PathLike
from typing import Any, TextIO

import numpy as np

from autograd import Value
from autograd.compiler import TraceError
from autograd.compiler.descent import Epochs
from autograd.conversion import bounded

from ..checks import not_negative, whole
from ..data.datasets import Array
from ..data.examples import Examples
from ..losses import Loss
from ..module import Module
from ..optim import OPTIMIZERS, Adam, Optimizer
from ..schedules import ReduceLROnPlateau, Schedule
from .callbacks import Callback, Checkpoint, EarlyStopping
from .compilation import check_targets
from .gradients import Cost, EagerDescent, Gradients, diagnose, eager_gradients, executor_gradients
from .looped import LoopedDescent
from .scores import Metric, accuracy, choose_loss, confusion_matrix, evaluate, metrics_by_name, predict
from .state import History, TrainingState, resume_from, rng_state

__all__ = ["History", "TrainingState", "accuracy", "confusion_matrix", "eager_gradients", "executor_gradients", "fit",
           "predict"]


def fit(model: Module, X: Any, y: Any, *, loss: str | Loss = "auto",
        optimizer: Optimizer | str | Callable[[list[Value]], Optimizer] | None = None, lr: float | None = None,
        maximize: bool = False, epochs: int = 100, batch_size: int | None = None, l2: float = 0.0, shuffle: bool = True,
        rng: Any = None,
        validation: float | tuple[Any, Any] | None = None, metrics: Sequence[str] | Mapping[str, Metric] | None = None,
        schedule: Schedule | Callable[[Optimizer], Schedule] | None = None, callbacks: Iterable[Any] = (),
        verbose: bool | None = None, compiled: bool | str = "auto", gradients: Gradients | None = None,
        resume: str | PathLike[str] | None = None, out: TextIO | None = None) -> History:
    """Train `model` on rows X and targets y; its parameters change, the returned History tells how it went.

    X, y        n rows of one shape (lists, arrays, a DataFrame) and n targets: numbers, class indices or one-hot rows; an
                array of floats is read where it is, not copied
    loss        a name in nn.losses, a function (output, target) → Value, or "auto": what `choose_loss` says
    optimizer   an Optimizer of the model's parameters, a name as "sgd" (then `lr` is its learning rate), a function of
                the parameters, or None: Adam with lr=0.01
    maximize    whether to ascend: `loss` is then a function to be made large, as a log likelihood, and J, in the history too,
                is its mean minus the term of l2. An optimizer made with maximize=True says so by itself
    batch_size  None for all examples in one batch, 1 for stochastic, k for mini-batches; the last may be smaller
    l2          λ of J. (CS539's slide updates with the averaged gradient plus λΘ; the derivative of J as it is written
                there is (λ/n)Θ, with n the examples of the batch, and that is what is added here.)
    shuffle     whether mini-batches are drawn anew in every epoch, by `rng`: a numpy Generator, a seed (the same seed
                gives the same run, bit for bit) or None for fresh entropy
    validation  (Xv, yv), or the share of the rows to hold out at random: its mean loss, without l2, is val_loss
    metrics     ["accuracy"], or {name: function (outputs, targets) → number}, after every epoch
    schedule    a Schedule of the optimizer or a function of it; it steps after every epoch, ReduceLROnPlateau with
                val_loss, else with the loss
    callbacks   objects with methods of `Callback`: EarlyStopping, Checkpoint, your own
    verbose     None: a progress bar on a terminal if tqdm is installed; True: there, else a line per epoch to `out`
                (stderr by default); False: nothing
    compiled    "auto": the graph of one example is compiled once, for all batches, unless the model or the loss branches
                on a number, which a RuntimeWarning tells; True, or the name of a backend of autograd.compiler: it must be
                (TraceError); False: eagerly. The losses agree to rounding: the graph is compared with the loss itself on
                examples of different targets, and compiled anew when what the model or the loss reads (attributes,
                closures, globals, arrays) was changed by a callback; what cannot be seen there, an example shows once an
                epoch. Values are read at every step. In machine code ("auto" where llvmlite is installed) the loop
                over the steps is compiled as well, with the optimizer's `update` if that looks at no number: bit for bit the
                same steps, many in a call, or an epoch's or one, where a callback, a metric or a schedule of yours looks;
                with a `step` or `moved` of your own, and of fewer than 100 steps, each is made by Python, which is slower
    gradients   how the sums over a batch are computed, eagerly: `eager_gradients`, or as `executor_gradients(pool)`
    resume      a file of Checkpoint: go on where it was written, with otherwise the same arguments, bit for bit

    Ctrl-C ends the training after a whole step of the optimizer: the history of the finished epochs is returned, with
    `.interrupted` set. A loss, gradient or parameter that becomes nan or infinite raises FloatingPointError with the
    epoch, the batch, the example and the node, and leaves the parameters of the last finite step. ValueError or
    TypeError names what else is wrong with the arguments.

    >>> from nn import LinearRegression
    >>> line = LinearRegression(1)
    >>> history = fit(line, [[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0], optimizer="sgd", lr=0.3, epochs=200)
    >>> round(line([10.0]).data, 6), history.loss_name
    (21.0, 'mse')
    """
    L, examples, loss_name = choose_loss(model, Examples.of(X, y), loss)
    made = _optimizer(model, optimizer, lr, maximize)
    if made.maximize and loss == "auto":
        raise ValueError(f"fit(maximize=True) and loss='auto', which is {loss_name}, to be made small: give the function "
                         "(output, target) → Value that is to be made large")
    size = len(examples) if batch_size is None else whole("fit(batch_size)", batch_size, 1)
    generator = _generator(rng) if (shuffle and size < len(examples)) or isinstance(validation, (int, float)) else None
    told = sorted(callbacks, key=lambda c: isinstance(c, Checkpoint))   # last: it holds what the others have seen
    state = TrainingState(model, made, _schedule(schedule, made), History(loss_name=loss_name, maximize=made.maximize),
                          whole("fit(epochs)", epochs, 0), generator, rng_state(generator), tuple(told))
    l2 = not_negative("fit(l2)", l2)
    metric = metrics_by_name(metrics, model, examples)
    if resume is not None:
        resume_from(resume, state)
    train, held = _held_out(validation, examples, state)
    signed = -l2 if made.maximize else l2   # the penalty is subtracted from what is to be large
    eager = EagerDescent(Cost(model, L, signed, gradients or eager_gradients), made, examples)
    strangers = [*state.callbacks, state.schedule, made, *(metrics.values() if isinstance(metrics, Mapping) else ())]
    watched = not all([x is None or type(x).__module__.partition(".")[0] in ("nn", "viz") for x in strangers])
    graph = None
    if state.epoch < state.epochs:
        graph = _compiled(compiled, gradients, model, L, signed, made, examples, eager, watched)
    if graph:
        graph.steps = (state.epochs - state.epoch) * -(-len(train) // size)
    descent, trained = graph or eager, examples.take(train) if metric and len(train) < len(examples) else examples

    state.descent = descent
    looks = [c for c in state.callbacks if type(c) is not EarlyStopping]   # which asks for the numbers alone
    seen = bool(looks or metric or held or watched)   # whether anybody looks at the parameters between two epochs
    told_of_each = bool(seen or state.callbacks or isinstance(state.schedule, ReduceLROnPlateau))

    def record(run: Epochs, first: int, lr: float) -> None:
        """What follows the epochs of a run that are made and have no row yet; before it there were `first`."""
        for mean in (run.totals[:run.place[0]] / run.n).tolist()[state.epoch - first:]:
            row = {"epoch": state.epoch + 1, "loss": mean,
                   "lr": lr if run.rates is None else float(run.rates[state.epoch - first])}
            if seen:
                row |= evaluate(model, None, trained, metric, compiled=graph)
                row |= {f"val_{name}": x for name, x in evaluate(model, L, held, metric, state.epoch + 1, graph).items()}
            if isinstance(state.schedule, ReduceLROnPlateau):
                state.schedule.step(row.get("val_loss", row["loss"]))
            elif state.schedule:
                state.schedule.step()
            state.epoch += 1
            state.history.rows.append(row)
            show(row)
            state.tell("on_epoch_end")

    with _progress(verbose, sys.stderr if out is None else out, state) as show:
        run, first, lr = Epochs(train, size, 0), state.epoch, made.lr
        try:
            state.tell("on_fit_start")
            while state.epoch < state.epochs and not state.stop:
                many = 1 if told_of_each else min(descent.ahead(len(train), size), state.epochs - state.epoch)
                rates = np.array(state.schedule.ahead(many)) if state.schedule and many > 1 else None
                run, first, lr = Epochs(_order(state, train, size, shuffle, many), size, many, rates), state.epoch, made.lr
                _train(state, descent, run)
                if seen:
                    descent.end()
                record(run, first, lr)
            descent.end()
        except KeyboardInterrupt:
            descent.end()   # which the interrupt may have met
            if not seen:
                record(run, first, lr)
            state.history.interrupted = True
        except BaseException:
            descent.end()
            if not seen:
                record(run, first, lr)
            raise
        state.tell("on_fit_end")
    return state.history


def _order(state: TrainingState, train: Array, size: int, shuffle: bool, epochs: int) -> Array:
    """The examples `train` as the epochs take them: anew in each, or as they stand."""
    if not shuffle or size >= len(train):
        return train
    return np.array([train[state.rng.permutation(len(train))] for _ in range(epochs)])


def _train(state: TrainingState, descent: EagerDescent | LoopedDescent, run: Epochs) -> None:
    """A step of the optimizer for every batch of a run; its totals are of n·J, each before its step."""
    watched = any([_defined(callback, "on_batch_end") for callback in state.callbacks])
    descent.begin(anew=True)
    while run.left:
        try:
            descent.go(run, watched)
        except FloatingPointError as error:
            epoch, batch = run.place.tolist()
            raise FloatingPointError(f"epoch {state.epoch + epoch + 1}, batch {batch + 1}: {error}") from error
        if watched:   # by somebody who may look at the parameters, and change them
            descent.end()
            state.tell("on_batch_end")
            descent.begin()


def _defined(callback: Any, event: str) -> bool:
    """Whether it does something at that event."""
    method = getattr(callback, event, None)
    return method is not None and getattr(method, "__func__", None) is not getattr(Callback, event)


def _compiled(compiled: bool | str, gradients: Gradients | None, model: Module, loss: Loss, l2: float, optimizer: Optimizer,
              examples: Examples, eager: EagerDescent, watched: bool) -> LoopedDescent | None:
    """The descent, compiled; None if it is to be eager, or cannot be compiled, which is told in a warning."""
    if gradients is not None and compiled not in ("auto", False):
        raise ValueError(f"fit(compiled={compiled!r}) and gradients, which are eager: give one of them")
    if gradients is not None or compiled is False:
        return None
    backend = compiled if isinstance(compiled, str) else "auto"
    try:
        descent = LoopedDescent(model, loss, l2, optimizer, examples, backend, eager if compiled == "auto" else None, watched)
    except Exception as error:
        if compiled != "auto":
            raise
        if not isinstance(error, TraceError):   # is it wrong eagerly, too?
            diagnose(model, loss, examples, [0])
        warnings.warn(f"fit() trains eagerly, which is slower: {error} (compiled=False says that this is meant)",
                      RuntimeWarning, stacklevel=3)
        return None
    check_targets(loss, descent.output, examples)
    return descent


def _optimizer(model: Module, optimizer: Any, lr: float | None, maximize: bool) -> Optimizer:
    """The optimizer, made if it is not; one that is made here ascends if it is to `maximize`."""
    made = _made(model, optimizer, lr)
    if maximize and made is optimizer and not made.maximize:
        raise ValueError(f"fit(maximize=True) and an optimizer that descends: make it with maximize=True, as "
                         f"nn.{type(made).__name__}(model.parameters(), lr={made.lr!r}, maximize=True)")
    made.maximize = made.maximize or maximize
    return made


def _made(model: Module, optimizer: Any, lr: float | None) -> Optimizer:
    rate: dict[str, Any] = {} if lr is None else {"lr": lr}
    if isinstance(optimizer, str):
        if optimizer.lower() not in OPTIMIZERS:
            raise ValueError(f"fit(optimizer={bounded(optimizer)}): there are {', '.join(OPTIMIZERS)}")
        return OPTIMIZERS[optimizer.lower()](model.parameters(), **rate)
    if optimizer is None:
        return Adam(model.parameters(), **{"lr": 0.01, **rate})
    made = optimizer if isinstance(optimizer, Optimizer) else optimizer(model.parameters(), **rate)
    if not isinstance(made, Optimizer):
        raise TypeError(f"fit(optimizer=…) gave {bounded(made)}: it must be an Optimizer, as "
                        "nn.SGD(model.parameters(), lr=0.1)")
    if made is optimizer and lr is not None:
        raise ValueError(f"fit(lr={lr!r}) and an optimizer that has lr={made.lr!r}: give one of them")
    if not set(made.params) <= set(model.parameters()):
        raise ValueError("fit(optimizer=…) changes parameters that are not the model's: make it of this model.parameters()")
    return made


def _schedule(schedule: Any, optimizer: Optimizer) -> Schedule | None:
    if schedule is None:
        return None
    made = schedule if isinstance(schedule, Schedule) else schedule(optimizer)
    if not isinstance(made, Schedule):
        raise TypeError(f"fit(schedule=…) gave {bounded(made)}: it must be a Schedule, as nn.StepLR(optimizer, 10)")
    if made.optimizer is not optimizer:
        raise ValueError("fit(schedule=…) belongs to another optimizer: make it of the optimizer that fit gets, or give "
                         "a function, as schedule=lambda optimizer: StepLR(optimizer, 10)")
    return made


def _generator(rng: Any) -> Any:
    return np.random.default_rng(rng)


def _held_out(validation: Any, examples: Examples, state: TrainingState) -> tuple[Array, Examples | None]:
    """(the numbers of the examples to train on, those to validate with)."""
    n = len(examples)
    if validation is None:
        return np.arange(n), None
    if not isinstance(validation, (int, float)):
        return np.arange(n), Examples.of(validation[0], validation[1], ("Xv", "yv"))
    k = round(validation * n) if 0 < validation < 1 else 0
    if not 0 < k < n:
        raise ValueError(f"fit(validation={validation!r}) of {n} rows holds out {k}: give a share between 0 and 1 that "
                         "leaves rows on both sides, or (Xv, yv)")
    now, state.rng.bit_generator.state = rng_state(state.rng), state.rng_start
    order = state.rng.permutation(n)
    if now != state.rng_start:   # a resumed training, which has drawn more since
        state.rng.bit_generator.state = now
    return np.sort(order[k:]), examples.take(np.sort(order[:k]))


@contextmanager
def _progress(verbose: bool | None, out: TextIO, state: TrainingState) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """A function that shows a finished epoch: in a bar, in a line, or not at all."""
    bar = None
    if verbose is not False and out.isatty():
        with suppress(ImportError):
            from tqdm import tqdm  # type: ignore[import-untyped,unused-ignore]
            bar = tqdm(total=state.epochs, initial=state.epoch, file=out, unit="epoch")

    def show(row: Mapping[str, Any]) -> None:
        if bar is None and not verbose:
            return
        text = ", ".join([f"{name} {x:.4g}" for name, x in row.items() if name != "epoch"])
        if bar is not None:
            bar.set_postfix_str(text, refresh=False)
            bar.update()
        else:
            print(f"epoch {row['epoch']}/{state.epochs}: {text}", file=out, flush=True)
    try:
        yield show
    finally:
        if bar is not None:
            bar.close()
