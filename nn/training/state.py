"""A training between two epochs: its history, and all that is needed to go on, bit for bit."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from os import PathLike
from typing import Any

from autograd.conversion import bounded

from ..module import Module
from ..optimizer import Optimizer
from ..saving.archive import read_archive
from ..schedules import Schedule


class History:
    """What a training gave: one row per finished epoch.

    rows         dicts: epoch (from 1), loss (the mean of J over the epoch's batches, each before its step), lr, the
                 metrics, and after validation val_loss and the metrics as val_…
    loss_name    the loss that was minimised, or, if `maximize` is set, the function that was maximised
    interrupted  whether Ctrl-C ended it

    >>> history = History([{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25}], "mse")
    >>> history["loss"], len(history)
    ([0.5, 0.25], 2)
    """

    def __init__(self, rows: list[dict[str, Any]] | None = None, loss_name: str = "", maximize: bool = False) -> None:
        self.rows = [] if rows is None else rows
        self.loss_name, self.maximize = loss_name, maximize
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
        return f"History({self.loss_name}{' maximised' * self.maximize}; {last}{', interrupted' if self.interrupted else ''})"


@dataclass
class TrainingState:
    """A training between two epochs: all that callbacks may look at, and what a checkpoint holds.

    epoch    how many epochs are finished
    stop     set it to True to make this epoch the last
    descent  what makes the steps, and has the parameters' numbers
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
    descent: Any = field(default=None, repr=False)

    def numbers(self) -> list[float]:
        """The numbers of model.parameters(). Where EarlyStopping alone looks, the Values themselves need not be up to date."""
        found: list[float] = self.descent.numbers() if self.descent else [p.data for p in self.model.parameters()]
        return found

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"descent": None}   # a copy or a pickle trains nothing

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
        ascends = state["optimizer"]["settings"].get("maximize", False)
        for what, mine, theirs in (("loss", self.history.loss_name, state["loss"]),
                                   ("direction (maximize)", self.optimizer.maximize, ascends),
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
    return None if rng is None else _plain(rng.bit_generator.state)


def _plain(x: Any) -> Any:
    if isinstance(x, dict):
        return {key: _plain(part) for key, part in x.items()}
    return x.tolist() if hasattr(x, "tolist") else x
