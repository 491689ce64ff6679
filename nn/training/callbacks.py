"""What happens between epochs: callbacks that `fit` tells about the training, early stopping, checkpoints.

A callback is any object with some of the methods of `Callback`; a method it does not have is not called.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from os import PathLike
from typing import Any

from autograd.primitive import bounded, to_float

from ..saving.archive import read_archive
from ..data.examples import not_negative, whole
from ..module import Module
from ..optimizer import Optimizer
from ..saving.models import write
from ..schedules import Schedule

__all__ = ["Callback", "Checkpoint", "EarlyStopping", "History", "TrainingState"]


class History:
    """What a training gave: one row per finished epoch.

    rows         dicts: epoch (from 1), loss (the mean of J over the epoch's batches, each before its step), lr, the
                 metrics, and after validation val_loss and the metrics as val_…
    loss_name    the loss that was minimised
    interrupted  whether Ctrl-C ended it

    >>> history = History([{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25}], "mse")
    >>> history["loss"], len(history)
    ([0.5, 0.25], 2)
    """

    def __init__(self, rows: list[dict[str, Any]] | None = None, loss_name: str = "") -> None:
        self.rows = [] if rows is None else rows
        self.loss_name = loss_name
        self.interrupted = False

    def __getitem__(self, name: str) -> list[Any]:
        """A column."""
        if self.rows and name not in self.rows[0]:
            raise KeyError(f"the history has no {bounded(name)}: it has {', '.join(self.rows[0])}")
        return [row[name] for row in self.rows]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.rows)

    def to_pandas(self) -> Any:
        """The rows as a pandas.DataFrame, with the epochs as its index."""
        import pandas as pd
        return pd.DataFrame(self.rows, columns=list(self.rows[0]) if self.rows else ["epoch"]).set_index("epoch")

    def __repr__(self) -> str:
        last = ", ".join([f"{name}={x:.6g}" for name, x in self.rows[-1].items()][:8]) if self.rows else "no epoch"
        return f"History({self.loss_name}; {last}{', interrupted' if self.interrupted else ''})"


@dataclass
class TrainingState:
    """A training between two epochs: all that callbacks may look at, and what a checkpoint holds.

    epoch  how many epochs are finished;  stop  set it to True to make this epoch the last
    """

    model: Module
    optimizer: Optimizer
    schedule: Schedule | None
    history: History
    epochs: int
    rng: Any = None                      # the numpy.random.Generator of the shuffling, None if nothing is random
    rng_start: Any = None                # its state before anything was drawn, so that a resumed run splits alike
    callbacks: tuple[Any, ...] = field(default=(), repr=False)
    epoch: int = 0
    stop: bool = False

    def tell(self, event: str) -> None:
        """Call the method `event` of every callback that has it."""
        for callback in self.callbacks:
            if method := getattr(callback, event, None):
                method(self)

    def state_dict(self) -> dict[str, Any]:
        """All but the parameters, JSON-able."""
        history = [{name: x if math.isfinite(x) else str(x) for name, x in row.items()} for row in self.history.rows]
        return {"epoch": self.epoch, "stop": self.stop, "optimizer": self.optimizer.state_dict(),
                "schedule": self.schedule and self.schedule.state_dict(), "history": history,
                "loss": self.history.loss_name, "rng": rng_state(self.rng), "rng_start": self.rng_start,
                "callbacks": [[type(c).__name__, c.state_dict()] for c in self.callbacks if hasattr(c, "state_dict")]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where the training was that gave `state`; ValueError if it was another one."""
        kept = [c for c in self.callbacks if hasattr(c, "state_dict")]
        if type(state["epoch"]) is not int or not all([isinstance(row, dict) for row in state["history"]]):
            raise ValueError(f"its epoch is {bounded(state['epoch'])}, or its history has no rows")
        for what, mine, theirs in (("loss", self.history.loss_name, state["loss"]),
                                   ("schedule", self.schedule is None, state["schedule"] is None),
                                   ("random generator", self.rng is None, state["rng"] is None),
                                   ("callbacks", [type(c).__name__ for c in kept], [name for name, _ in state["callbacks"]])):
            if mine != theirs:
                raise ValueError(f"the checkpoint is of a training with another {what}: call fit with the arguments it had")
        self.optimizer.load_state_dict(state["optimizer"])
        if self.schedule:
            self.schedule.load_state_dict(state["schedule"])
        for callback, (_, found) in zip(kept, state["callbacks"], strict=True):
            callback.load_state_dict(found)
        if self.rng is not None:
            self.rng.bit_generator.state, self.rng_start = state["rng"], state["rng_start"]
        self.epoch, self.stop = state["epoch"], bool(state["stop"])
        self.history.rows[:] = [{name: float(x) if isinstance(x, str) else x for name, x in row.items()}
                                for row in state["history"]]


class Callback:
    """What `fit` calls, each with the TrainingState. Derive from it, or write any object with some of these methods."""

    def on_fit_start(self, state: TrainingState) -> None:
        """Before the first epoch, and after a checkpoint was resumed."""

    def on_batch_end(self, state: TrainingState) -> None:
        """After every step of the optimiser."""

    def on_epoch_end(self, state: TrainingState) -> None:
        """After every epoch; its row is state.history.rows[-1]."""

    def on_fit_end(self, state: TrainingState) -> None:
        """After the last epoch, and after Ctrl-C (state.history.interrupted); not after an error."""


class EarlyStopping(Callback):
    """Stop when `monitor` has not improved by more than `min_delta` for `patience` epochs.

    monitor       a column of the history: by default val_loss, or loss where there is no validation
    mode          "min", or "max" for an accuracy
    restore_best  at the end give the model the parameters of its best epoch (not after Ctrl-C)
    Afterwards `best` and `best_epoch` tell which it was.

    >>> from nn import LinearRegression, fit
    >>> stopping = EarlyStopping(patience=2)
    >>> history = fit(LinearRegression(1), [[0.0], [1.0]], [0.0, 2.0], optimizer="sgd", lr=0.8, callbacks=[stopping])
    >>> len(history) - stopping.best_epoch
    2
    """

    def __init__(self, patience: int = 10, min_delta: float = 0.0, restore_best: bool = True, monitor: str | None = None,
                 mode: str = "min") -> None:
        if mode not in ("min", "max"):
            raise ValueError(f"EarlyStopping(mode={mode!r}): choose 'min' or 'max'")
        self.patience, self.restore_best = whole("EarlyStopping(patience)", patience, 1), restore_best
        self.min_delta = not_negative("EarlyStopping(min_delta)", min_delta)
        self.monitor, self.mode = monitor, mode
        self._forget()

    def _forget(self) -> None:
        self.best: float | None = None
        self.best_epoch, self.waited, self.best_parameters = 0, 0, list[float]()

    def on_fit_start(self, state: TrainingState) -> None:
        """Forget an earlier training, unless this one is resumed."""
        if state.epoch == 0:
            self._forget()

    def on_epoch_end(self, state: TrainingState) -> None:
        """Compare the epoch with the best."""
        row = state.history.rows[-1]
        monitor = self.monitor or ("val_loss" if "val_loss" in row else "loss")
        if monitor not in row:
            raise ValueError(f"EarlyStopping(monitor={monitor!r}): the history has {', '.join(row)}")
        x = row[monitor] if self.mode == "min" else -row[monitor]
        if math.isfinite(x) and (self.best is None or x < self._signed(self.best) - self.min_delta):
            self.best, self.best_epoch, self.waited = row[monitor], state.epoch, 0
            self.best_parameters = [p.data for p in state.model.parameters()]
        else:
            self.waited += 1
            state.stop = state.stop or self.waited >= self.patience

    def _signed(self, x: float) -> float:
        return x if self.mode == "min" else -x

    def on_fit_end(self, state: TrainingState) -> None:
        """Give the model its best parameters."""
        if self.restore_best and self.best_parameters and not state.history.interrupted:
            for p, x in zip(state.model.parameters(), self.best_parameters, strict=True):
                p.data = x

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs."""
        return {name: getattr(self, name) for name in ("best", "best_epoch", "waited", "best_parameters")}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`."""
        self.best, self.best_epoch, self.waited = state["best"], int(state["best_epoch"]), int(state["waited"])
        self.best_parameters = [to_float(x, "best_parameters") for x in state["best_parameters"]]


class Checkpoint(Callback):
    """Write the whole training to one file after every `every`th epoch: `fit(…, resume=path)` goes on from it, bit for bit.

    The file is replaced in one motion, so a kill at any moment leaves the last one or the new one (and beside it, at
    worst, an unfinished .tmp file). It is also a model file: `load(path)` gives the model as it was. `extra` is kept in
    it, as by `save`.
    """

    def __init__(self, path: str | PathLike[str], every: int = 1, extra: Mapping[str, Any] | None = None) -> None:
        self.path, self.every, self.extra = path, whole("Checkpoint(every)", every, 1), extra

    def on_epoch_end(self, state: TrainingState) -> None:
        """Write it, if it is the turn of this epoch or the last one."""
        if state.epoch % self.every == 0 or state.stop or state.epoch == state.epochs:
            write(self.path, state.model, self.extra, training=state.state_dict())


def resume_from(path: str | PathLike[str], state: TrainingState) -> None:
    """Put the training that a Checkpoint wrote into `state` and its model."""
    document, parameters = read_archive(path)
    training = document["training"]
    if training is None:
        raise ValueError(f"{str(path)!r} holds a model and no training to resume: use load(path)")
    before = state.model.state_dict()
    try:
        state.model.load_state_dict(parameters)
        state.load_state_dict(training)
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
        state.model.load_state_dict(before)
        raise ValueError(f"{str(path)!r} cannot be resumed: {error}") from error


def rng_state(rng: Any) -> Any:
    """The state of a numpy.random.Generator, JSON-able."""
    def plain(x: Any) -> Any:
        if isinstance(x, dict):
            return {key: plain(part) for key, part in x.items()}
        return x.tolist() if hasattr(x, "tolist") else x
    return None if rng is None else plain(rng.bit_generator.state)
