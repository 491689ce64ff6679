"""What happens between epochs: callbacks that `fit` tells about the training, early stopping, checkpoints.

A callback is any object with some of the methods of `Callback`; a method it does not have is not called.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from os import PathLike
from typing import Any

from autograd.conversion import to_float

from ..checks import not_negative, whole
from ..saving.models import write
from .state import TrainingState

__all__ = ["Callback", "Checkpoint", "EarlyStopping"]


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
    mode          "min", or "max" for an accuracy; by default "max" for the loss of a training that maximises, else "min"
    restore_best  at the end give the model the parameters of its best epoch (not after Ctrl-C)
    Afterwards `best` and `best_epoch` tell which it was.

    >>> from nn import LinearRegression, fit
    >>> stopping = EarlyStopping(patience=2)
    >>> history = fit(LinearRegression(1), [[0.0], [1.0]], [0.0, 2.0], optimizer="sgd", lr=0.8, callbacks=[stopping])
    >>> len(history) - stopping.best_epoch
    2
    """

    def __init__(self, patience: int = 10, min_delta: float = 0.0, restore_best: bool = True, monitor: str | None = None,
                 mode: str | None = None) -> None:
        if mode not in ("min", "max", None):
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
        highest = self.mode == "max" or (self.mode is None and state.optimizer.maximize and monitor in ("loss", "val_loss"))
        sign = -1 if highest else 1
        x = sign * row[monitor]
        if math.isfinite(x) and (self.best is None or x < sign * self.best - self.min_delta):
            self.best, self.best_epoch, self.waited = row[monitor], state.epoch, 0
            self.best_parameters = state.numbers()
        else:
            self.waited += 1
            state.stop = state.stop or self.waited >= self.patience

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

