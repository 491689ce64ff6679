"""Schedules: the learning rate from epoch to epoch.   As torch.optim.lr_scheduler, in the same recursive forms:

η       optimizer.lr, which `step()` replaces once per epoch; base_lr is what it was at the start
epoch   how many steps there were
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from copy import copy
from typing import Any, ClassVar

from autograd.conversion import bounded, to_float

from .optimizer import Optimizer

__all__ = ["CosineAnnealingLR", "ExponentialLR", "ReduceLROnPlateau", "Schedule", "StepLR"]


class Schedule:
    """What all schedules share: they hold the optimiser, count the epochs, and can be saved."""

    settings: ClassVar[tuple[str, ...]] = ()
    kept: ClassVar[tuple[str, ...]] = ("epoch", "base_lr")   # the numbers that go on from step to step

    def __init__(self, optimizer: Optimizer) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{type(self).__name__}() got {bounded(optimizer)}: it takes an optimiser, "
                            "as in StepLR(SGD(params), 10)")
        self.optimizer = optimizer
        self.base_lr = optimizer.lr
        self.epoch = 0

    def next_lr(self, lr: float) -> float:
        """The learning rate of epoch `self.epoch`, from the one before."""
        raise NotImplementedError

    def step(self) -> None:
        """An epoch has ended: set the learning rate of the next."""
        self.epoch += 1
        self.optimizer.lr = self.next_lr(self.optimizer.lr)

    def ahead(self, epochs: int) -> list[float]:
        """The learning rates of this epoch and those that follow, as `step()` will set them.

        >>> from autograd import Value
        >>> from nn.optim import SGD
        >>> ExponentialLR(SGD([Value(0.0)], lr=1.0), gamma=0.5).ahead(3)
        [1.0, 0.5, 0.25]
        """
        then, rates = copy(self), [self.optimizer.lr]
        for _ in range(epochs - 1):
            then.epoch += 1
            rates.append(then.next_lr(rates[-1]))
        return rates

    def state_dict(self) -> dict[str, Any]:
        """What a run needs to be continued, JSON-able; the learning rate itself is in the optimiser's."""
        return {"name": type(self).__name__, "settings": {name: getattr(self, name) for name in self.settings},
                "kept": {name: getattr(self, name) for name in self.kept}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on as the schedule that gave `state`; ValueError if it was of another kind. All or nothing."""
        name = type(self).__name__
        if state.get("name") != name:
            raise ValueError(f"{name}.load_state_dict() got the state of {bounded(state.get('name'))}: make that schedule")
        try:
            made = type(self)(self.optimizer, **state["settings"])
            for key in self.kept:
                x = state["kept"][key]
                if x is not None and not math.isfinite(to_float(x, key)):
                    raise ValueError(f"{name}.load_state_dict(): {key} is {x!r}, not a finite number")
                setattr(made, key, x)
        except (KeyError, TypeError) as error:
            raise ValueError(f"{name}.load_state_dict(): {error} is missing or is no number") from None
        self.__dict__.update(made.__dict__)

    def _number(self, name: str, x: float, low: float, high: float = math.inf) -> float:
        found = to_float(x, f"{type(self).__name__}({name})")
        if not low <= found < high:
            limits = f"≥ {low:g}" if high == math.inf else f"in [{low:g}, {high:g})"
            raise ValueError(f"{type(self).__name__}({name}={found!r}): it must be a finite number {limits}")
        return found

    def _count(self, name: str, x: int, low: int) -> int:
        found = self._number(name, x, low)
        if found != int(found):
            raise ValueError(f"{type(self).__name__}({name}={x!r}): it must be a whole number of epochs")
        return int(found)

    def __repr__(self) -> str:
        shown = "".join([f"{name}={getattr(self, name)!r}, " for name in self.settings])
        return f"{type(self).__name__}({shown}epoch={self.epoch}, lr={self.optimizer.lr!r})"


class StepLR(Schedule):
    """η ← γη every `step_size` epochs.

    >>> from autograd import Value
    >>> from nn.optim import SGD
    >>> schedule = StepLR(SGD([Value(0.0)], lr=0.5), step_size=2, gamma=0.5)
    >>> for _ in range(4):
    ...     schedule.step()
    >>> schedule.optimizer.lr
    0.125
    """

    settings = ("step_size", "gamma")

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        super().__init__(optimizer)
        self.step_size = self._count("step_size", step_size, 1)
        self.gamma = self._number("gamma", gamma, 0.0)

    def next_lr(self, lr: float) -> float:
        return lr if self.epoch % self.step_size else lr * self.gamma


class ExponentialLR(Schedule):
    """η ← γη every epoch.

    >>> from autograd import Value
    >>> from nn.optim import SGD
    >>> schedule = ExponentialLR(SGD([Value(0.0)], lr=1.0), gamma=0.5)
    >>> schedule.step()
    >>> schedule.optimizer.lr
    0.5
    """

    settings = ("gamma",)

    def __init__(self, optimizer: Optimizer, gamma: float) -> None:
        super().__init__(optimizer)
        self.gamma = self._number("gamma", gamma, 0.0)

    def next_lr(self, lr: float) -> float:
        return lr * self.gamma


class CosineAnnealingLR(Schedule):
    """η = η_min + ½(η₀ − η_min)(1 + cos(π·epoch/T_max)): half a cosine from η₀ to η_min (Loshchilov and Hutter 2017).

    It is computed from the η before, so that a learning rate that was changed by hand stays changed; beyond
    T_max it rises again, as torch's.

    >>> from autograd import Value
    >>> from nn.optim import SGD
    >>> schedule = CosineAnnealingLR(SGD([Value(0.0)], lr=1.0), T_max=2)
    >>> schedule.step()
    >>> schedule.optimizer.lr
    0.5
    """

    settings = ("T_max", "eta_min")

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0) -> None:
        super().__init__(optimizer)
        self.T_max = self._count("T_max", T_max, 1)
        self.eta_min = self._number("eta_min", eta_min, 0.0)

    def next_lr(self, lr: float) -> float:
        def height(epoch: int) -> float:
            return 1 + math.cos(math.pi * epoch / self.T_max)
        if (self.epoch - 1 - self.T_max) % (2 * self.T_max) == 0:   # from the bottom, where the ratio is 0/0
            return lr + (self.base_lr - self.eta_min) * (1 - math.cos(math.pi / self.T_max)) / 2
        return height(self.epoch) / height(self.epoch - 1) * (lr - self.eta_min) + self.eta_min


class ReduceLROnPlateau(Schedule):
    """η ← max(η·factor, min_lr) when the metric has not improved for more than `patience` epochs.

    mode             "min" for a loss, "max" for an accuracy; by default "max" if the optimizer maximises, else "min"
    threshold        what counts as better: by this share of |best| ("rel") or by this amount ("abs")
    cooldown         epochs after a reduction in which nothing is counted
    eps              smaller changes of η are not made

    >>> from autograd import Value
    >>> from nn.optim import SGD
    >>> schedule = ReduceLROnPlateau(SGD([Value(0.0)], lr=1.0), patience=1)
    >>> for loss in (3.0, 2.0, 2.0, 2.0):
    ...     schedule.step(loss)
    >>> schedule.optimizer.lr
    0.1
    """

    settings = ("mode", "factor", "patience", "threshold", "threshold_mode", "cooldown", "min_lr", "eps")
    kept = (*Schedule.kept, "best", "num_bad_epochs", "cooldown_counter")

    def __init__(self, optimizer: Optimizer, mode: str | None = None, factor: float = 0.1, patience: int = 10,
                 threshold: float = 1e-4, threshold_mode: str = "rel", cooldown: int = 0, min_lr: float = 0.0,
                 eps: float = 1e-8) -> None:
        super().__init__(optimizer)
        mode = mode or ("max" if optimizer.maximize else "min")
        if mode not in ("min", "max") or threshold_mode not in ("rel", "abs"):
            raise ValueError(f"ReduceLROnPlateau(mode={mode!r}, threshold_mode={threshold_mode!r}): "
                             "choose 'min' or 'max', and 'rel' or 'abs'")
        self.mode, self.threshold_mode = mode, threshold_mode
        self.factor = self._number("factor", factor, 0.0, 1.0)
        self.patience = self._count("patience", patience, 0)
        self.threshold = self._number("threshold", threshold, 0.0)
        self.cooldown = self._count("cooldown", cooldown, 0)
        self.min_lr = self._number("min_lr", min_lr, 0.0)
        self.eps = self._number("eps", eps, 0.0)
        self.best: float | None = None
        self.num_bad_epochs = self.cooldown_counter = 0

    def step(self, metric: float | None = None) -> None:
        """An epoch has ended with this metric: set the learning rate of the next."""
        if metric is None:
            raise TypeError("ReduceLROnPlateau.step() needs the metric of the epoch, as in step(loss)")
        self.epoch += 1
        metric = to_float(metric, "ReduceLROnPlateau.step()")
        if self.better(metric):
            self.best, self.num_bad_epochs = metric, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter, self.num_bad_epochs = self.cooldown_counter - 1, 0
        if self.num_bad_epochs > self.patience:
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
            lr = max(self.optimizer.lr * self.factor, self.min_lr)
            if self.optimizer.lr - lr > self.eps:
                self.optimizer.lr = lr

    def better(self, metric: float) -> bool:
        """Whether the metric is better than the best by more than the threshold."""
        if self.best is None:
            return math.isfinite(metric)
        margin = self.threshold if self.mode == "max" else -self.threshold
        if self.threshold_mode == "abs":
            bar = self.best + margin
        else:   # of a negative best, as a log likelihood, torch's share goes the other way: there a standstill is better
            bar = self.best * (1 + math.copysign(margin, margin * self.best))
        return metric > bar if self.mode == "max" else metric < bar
