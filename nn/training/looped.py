"""The loop of a compiled training in machine code: the steps that `CompiledDescent` makes one by one, without Python between
them. The optimiser's `update` is traced on Values, with lr and t as its inputs. Of arithmetic and roots, as in all of
nn's optimisers, the steps are the same bit for bit; where a first one is not, there is no loop.

The machine code is of the rule alone, whatever the model: a short training takes it where it is there already, and only for one
of many steps it is compiled.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from copy import deepcopy
from typing import Any

from autograd.compiler import Compiled
from autograd.compiler.descent import Descent, Epochs, Rule, traced_rule

from ..data.examples import Batch
from ..optimizer import Array, Optimizer
from .compilation import CompiledDescent
from .reading import snapshot, unchanged

__all__ = ["LoopedDescent"]

SOON, _SOON_AT_HAND = 100, 10   # steps of a training, for which it pays to compile the loop, or to take one that is at hand
_MOST = 10   # steps that may not be finite here, and are there


class LoopedDescent(CompiledDescent):
    """A compiled descent that makes many steps at once, where that pays. The numbers are in `theta`, or in the loop."""

    steps = 0                   # of the training, at most
    first = 0                   # steps that are made one by one in any case
    loop: _Loop | None = None
    held: Descent | None = None   # the loop's machine code, while the numbers are in it
    doubtful = True             # whether the optimiser may have been changed

    def go(self, epochs: Epochs, single: bool = False) -> None:
        """Make steps of the epochs: in machine code all that are left, else one, or where it is to be a `single` one.
        FloatingPointError as from `step`."""
        descent = None if self.instead else self._looped()
        if descent is None:
            self._one(epochs)
            return
        data = self._of(epochs.order) if epochs.per == 1 else self.data
        assert self.loop
        if not self.loop.compared:
            self._compare(self.loop, descent, epochs, data)
            return
        if not self.held:
            self._load(descent)
            self.held = descent
        most = 1 if single else None
        self.since += (most or epochs.left) * epochs.size
        if not descent.go(epochs, data, self.optimizer.lr, most):
            self._one(epochs)   # which tells what is not finite, or is finite by what the graph knows
            self.loop.failed += 1

    def _one(self, epochs: Epochs) -> None:
        """Make a single step of the epochs, at their rate."""
        lr = self.optimizer.lr
        if epochs.rates is not None:
            self.optimizer.lr = float(epochs.rates[epochs.place[0]])
        try:
            epochs.add(self.step(epochs.batch()))
        finally:
            self.optimizer.lr = lr

    def ahead(self, n: int, size: int) -> int:
        """How many epochs of n examples may be made at once, if nobody looks."""
        return max(1, self.held.at_once(size) // -(-n // size)) if self.held else 1

    def end(self) -> None:
        """Give the numbers back, as CompiledDescent does."""
        self._take_back()
        self.doubtful = True
        super().end()

    def numbers(self) -> list[float]:
        """The numbers of model.parameters()."""
        if self.held:
            self.theta = self.held.x
        return super().numbers()

    def step(self, batch: Batch) -> float:
        """A single step, as CompiledDescent makes it."""
        self._take_back()
        return super().step(batch)

    def _load(self, descent: Descent) -> None:
        assert self.theta is not None
        t, slots = self.optimizer.kept
        descent.load(self.theta, slots, t, 0.0 if self.gradient is None else self.gradient)

    def _take_back(self) -> None:
        if self.held:
            self.theta, self.optimizer.kept, self.gradient = self.held.x, self.held.kept, self.held.gradient
            self.held = None

    def _looped(self) -> Descent | None:
        """The machine code of the loop, if it pays and there is one."""
        if self.held:
            return self.held
        if self.first:
            self.first -= 1
            return None
        if self.loop is None or (self.doubtful and not self.loop.holds(self.f, self.optimizer)):
            self.loop = _Loop(self.f, self.optimizer, self.l2, self.mask, self.steps)
        self.doubtful = False
        return self.loop.descent if self.loop.failed <= _MOST else None

    def _compare(self, loop: _Loop, descent: Descent, epochs: Epochs, data: Sequence[Array]) -> None:
        """Make a step, and once more in the loop; where they differ, the loop is used no more."""
        self._load(descent)
        again, lr = epochs.again(), self.optimizer.lr
        self._one(epochs)
        if descent.go(again, data, lr, 1):
            slots: Any = descent.kept[1]
            pairs = zip((descent.x, *slots), (self.theta, *self.optimizer.kept[1]), strict=True)
            loop.compared = all([bool((a == b).all()) for a, b in pairs])   # a slot may be the number of all parameters
        if not loop.compared:
            loop.descent = None


class _Loop:
    """The machine code of steps on the cost `f` by an optimiser of its first parameters, in their order.

    descent    it, or None where the steps are to be made one by one: `update` looks at a number, computes with all parameters
               at once or has no machine code, a step is the user's own, the cost is not compiled to machine code, or there are
               so few `steps` that it does not pay
    compared   whether a step was as the one that was made without it
    failed     how many steps were not finite here
    """

    def __init__(self, f: Compiled, optimizer: Optimizer, l2: float, mask: Array, steps: int) -> None:
        self.f, self.settings = f, _settings(optimizer)
        self.read = snapshot(type(optimizer), *self.settings.values())
        self.descent: Descent | None = None
        self.compared, self.failed = False, 0
        kind, slots = type(optimizer), len(optimizer.slots)
        if steps < min(SOON, _SOON_AT_HAND) or not (kind.step is Optimizer.step and kind.moved is Optimizer.moved):
            return
        columns = mask[None] if l2 else mask[None][:0]
        with suppress(Exception):   # of the user's formula too, which is told where it is computed
            rule = traced_rule(_rule(optimizer, l2), len(columns), slots)
            self.descent = Descent(f, rule, slots, columns, len(optimizer.params), at_hand=steps < SOON)

    def holds(self, f: Compiled, optimizer: Optimizer) -> bool:
        """Whether it is still of this cost, and of the optimiser as it is set now."""
        now = _settings(optimizer)
        return (f is self.f and now.keys() == self.settings.keys() and unchanged(self.read)
                and all([now[name] is x for name, x in self.settings.items()]))


def _settings(optimizer: Optimizer) -> dict[str, Any]:
    """What may change its formula, besides lr and t."""
    return {name: x for name, x in vars(optimizer).items() if name not in ("lr", "kept", "params")}


def _rule(optimizer: Optimizer, l2: float) -> Rule:
    """A step of one parameter: the gradient of J, with that of the penalty, and the optimiser's `update`."""
    traced = deepcopy(optimizer, {id(p): p for p in optimizer.params})
    del traced.kept, traced.params   # which change: a formula of them is no rule for one parameter

    def rule(x: Any, s: Any, columns: Any, slots: Any, lr: Any, t: Any, n: Any) -> Any:
        penalty = 0.0
        if l2:
            weight = x * columns[0]
            s, penalty = s + l2 * weight, l2 / 2 * weight * weight
        g = s / n
        traced.lr = lr
        y, new = traced.update(x, -g if traced.maximize else g, t, *slots)
        return y, new, g, penalty
    return rule
