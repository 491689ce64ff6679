"""The loop of a compiled training in machine code: the steps that `CompiledDescent` makes one by one, bit for bit, without
Python between them. The optimiser's `update` is traced on Values, with lr and t as its inputs.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np

from autograd.compiler import Compiled
from autograd.compiler.descent import Descent, Rule

from ..optimizer import Array, Optimizer
from .reading import snapshot, unchanged

__all__ = ["Loop"]


class Loop:
    """The machine code of steps on the cost `f` by an optimiser of all its parameters, in their order.

    descent    it, or None where the steps are to be made one by one: `update` looks at a number, computes with all parameters
               at once or has no machine code, a step is the user's own, or the cost is not compiled to machine code
    compared   whether a step was as the one that was made without it
    in_vain    how many steps were not finite here, and were there
    """

    def __init__(self, f: Compiled, optimizer: Optimizer, l2: float, mask: Array) -> None:
        self.f, self.settings = f, _settings(optimizer)
        self.read = snapshot(type(optimizer), *self.settings.values())
        self.descent: Descent | None = None
        self.compared, self.in_vain = False, 0
        kind = type(optimizer)
        if kind.step is Optimizer.step and kind.moved is Optimizer.moved and len(optimizer.params) == len(mask):
            try:
                self.descent = Descent(f, _rule(optimizer, l2), len(optimizer.slots), mask[None] if l2 else mask[None][:0])
            except Exception:   # of the user's formula too, which is told where it is computed
                self.descent = None

    def holds(self, f: Compiled, optimizer: Optimizer) -> bool:
        """Whether it is still of this cost, and of the optimiser as it is set now."""
        now = _settings(optimizer)
        return (f is self.f and now.keys() == self.settings.keys() and unchanged(self.read)
                and all([now[name] is x for name, x in self.settings.items()]))

    def agrees(self, x: Array, kept: tuple[int, tuple[Any, ...]]) -> bool:
        """Whether it came to these parameters and slots, to rounding."""
        assert self.descent
        t, slots = self.descent.kept
        return t == kept[0] and all([np.allclose(a, b, rtol=1e-9, atol=1e-300) for a, b in
                                     zip((self.descent.x, *slots), (x, *kept[1]), strict=True)])


def _settings(optimizer: Optimizer) -> dict[str, Any]:
    """What may change its formula, besides lr and t."""
    return {name: x for name, x in vars(optimizer).items() if name not in ("lr", "kept", "params")}


def _rule(optimizer: Optimizer, l2: float) -> Rule:
    """A step of one parameter: the gradient of J, with that of the penalty, and the optimiser's `update`."""
    traced = deepcopy(optimizer, {id(p): p for p in optimizer.params})

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
