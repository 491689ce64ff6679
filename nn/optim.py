"""Optimisers: how a step is made of a gradient.   As in torch.optim: the same formulas, names and defaults.

    x, g    a parameter and its gradient: p.data, p.grad
    η, λ    lr, weight_decay
    t       how many steps there were, with this one

`update` is the formula: from x, g, t and the numbers that the optimiser keeps for each parameter (its `slots`) it gives
the new x and the new slots. It is written once, for floats, for arrays of all parameters and for Values, of which `fit` makes
machine code; it changes none in place.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from autograd import Value
from autograd.conversion import bounded

from .optimizer import Optimizer, Update

__all__ = ["OPTIMIZERS", "SGD", "Adagrad", "Adam", "AdamW", "Optimizer", "RMSprop"]


class SGD(Optimizer):
    """Gradient descent, w ← w − η ∂L/∂w; with momentum μ and dampening τ: b ← μb + (1−τ)g, w ← w − ηb.

    Nesterov's form takes w ← w − η(g + μb). `maximize=True` ascends: CS109's θ += η ∂LL/∂θ.

    >>> w = Value(3.0)
    >>> sgd = SGD([w], lr=0.1)
    >>> (w ** 2).backward()
    >>> sgd.step()
    >>> w.data
    2.4
    """

    slots = ("momentum_buffer",)
    settings = ("lr", "momentum", "dampening", "weight_decay", "nesterov", "maximize")

    def __init__(self, params: Iterable[Value], lr: float = 1e-3, momentum: float = 0.0, dampening: float = 0.0,
                 weight_decay: float = 0.0, nesterov: bool = False, *, maximize: bool = False) -> None:
        super().__init__(params, lr, weight_decay, maximize)
        self.momentum = self._number("momentum", momentum)
        self.dampening = self._number("dampening", dampening, -math.inf)
        self.nesterov = bool(nesterov)
        if self.nesterov and (self.momentum == 0 or self.dampening != 0):
            raise ValueError(f"SGD(nesterov=True, momentum={momentum!r}, dampening={dampening!r}): "
                             "Nesterov's form needs momentum > 0 and dampening = 0")

    def update(self, x: Any, g: Any, t: int, *slots: Any) -> Update:
        g = self.decayed(x, g)
        if self.momentum == 0:
            return x - self.lr * g, (0.0,)
        b = self.momentum * slots[0] + (1 - self.dampening * np.minimum(t - 1, 1)) * g   # the first g is taken whole
        return x - self.lr * (g + self.momentum * b if self.nesterov else b), (b,)


class Adam(Optimizer):
    """Adaptive moments: m, v are running means of g and g²; w ← w − η m̂ / (√v̂ + ε) (Kingma and Ba 2015, Algorithm 1).

    The hats divide by 1 − βᵗ, which corrects for the start at 0. `amsgrad` divides by the largest v so far.
    weight_decay adds λw to the gradient; AdamW applies it to the parameter instead.

    >>> w = Value(3.0)
    >>> adam = Adam([w], lr=0.1)
    >>> (w ** 2).backward()
    >>> adam.step()
    >>> round(w.data, 9)
    2.9
    """

    slots = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")
    settings = ("lr", "betas", "eps", "weight_decay", "amsgrad", "maximize")

    def __init__(self, params: Iterable[Value], lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999),
                 eps: float = 1e-8, weight_decay: float = 0.0, amsgrad: bool = False, *, maximize: bool = False) -> None:
        super().__init__(params, lr, weight_decay, maximize)
        if len(betas) != 2:
            raise ValueError(f"{type(self).__name__}(betas={bounded(betas)}): it takes two numbers")
        self.betas = tuple([self._number(f"betas[{i}]", b, 0.0, 1.0) for i, b in enumerate(betas)])
        self.eps = self._number("eps", eps)
        self.amsgrad = bool(amsgrad)

    def update(self, x: Any, g: Any, t: int, *slots: Any) -> Update:
        return self._moments(x, self.decayed(x, g), t, *slots)

    def _moments(self, x: Any, g: Any, t: int, m: Any, v: Any, top: Any) -> Update:
        b1, b2 = self.betas
        m = m + (1 - b1) * (g - m)
        v = b2 * v + (1 - b2) * g * g
        top = np.maximum(top, v) if self.amsgrad else 0.0
        root = np.sqrt(top if self.amsgrad else v) / np.sqrt(1 - b2 ** t)
        return x - self.lr / (1 - b1 ** t) * m / (root + self.eps), (m, v, top)


class AdamW(Adam):
    """Adam with decoupled weight decay: w ← w − ηλw before Adam's own step (Loshchilov and Hutter 2019).

    >>> w = Value(3.0)
    >>> adamw = AdamW([w], lr=0.1, weight_decay=0.5)
    >>> (w ** 2).backward()
    >>> adamw.step()
    >>> round(w.data, 9)
    2.75
    """

    def __init__(self, params: Iterable[Value], lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999),
                 eps: float = 1e-8, weight_decay: float = 1e-2, amsgrad: bool = False, *, maximize: bool = False) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)

    def update(self, x: Any, g: Any, t: int, *slots: Any) -> Update:
        return self._moments(x * (1 - self.lr * self.weight_decay), g, t, *slots)


class RMSprop(Optimizer):
    """The gradient over the root of the running mean of its square: v ← αv + (1−α)g², w ← w − η g / (√v + ε).

    `centered` subtracts the square of the running mean of g from v; with momentum the quotient is what accumulates.
    (Hinton, lecture 6e of Neural Networks for Machine Learning.)

    >>> w = Value(3.0)
    >>> rms = RMSprop([w], lr=0.1)
    >>> (w ** 2).backward()
    >>> rms.step()
    >>> round(w.data, 6)
    2.0
    """

    slots = ("square_avg", "grad_avg", "momentum_buffer")
    settings = ("lr", "alpha", "eps", "weight_decay", "momentum", "centered", "maximize")

    def __init__(self, params: Iterable[Value], lr: float = 1e-2, alpha: float = 0.99, eps: float = 1e-8,
                 weight_decay: float = 0.0, momentum: float = 0.0, centered: bool = False, *, maximize: bool = False) -> None:
        super().__init__(params, lr, weight_decay, maximize)
        self.alpha = self._number("alpha", alpha, 0.0, 1.0)
        self.eps = self._number("eps", eps)
        self.momentum = self._number("momentum", momentum)
        self.centered = bool(centered)

    def update(self, x: Any, g: Any, t: int, *slots: Any) -> Update:
        v, mean, b = slots
        g = self.decayed(x, g)
        v = self.alpha * v + (1 - self.alpha) * g * g
        if self.centered:
            mean = mean + (1 - self.alpha) * (g - mean)
        b = self.momentum * b + g / (np.sqrt(np.maximum(v - mean * mean, 0.0)) + self.eps)
        return x - self.lr * b, (v, mean, b)


class Adagrad(Optimizer):
    """The gradient over the root of the sum of its squares so far: s ← s + g², w ← w − η g / (√s + ε).

    η falls with `lr_decay` as η / (1 + (t−1)·lr_decay). (Duchi, Hazan and Singer 2011.)

    >>> w = Value(3.0)
    >>> adagrad = Adagrad([w], lr=0.1)
    >>> (w ** 2).backward()
    >>> adagrad.step()
    >>> round(w.data, 9)
    2.9
    """

    slots = ("sum",)
    settings = ("lr", "lr_decay", "weight_decay", "initial_accumulator_value", "eps", "maximize")

    def __init__(self, params: Iterable[Value], lr: float = 1e-2, lr_decay: float = 0.0, weight_decay: float = 0.0,
                 initial_accumulator_value: float = 0.0, eps: float = 1e-10, *, maximize: bool = False) -> None:
        super().__init__(params, lr, weight_decay, maximize)
        self.lr_decay = self._number("lr_decay", lr_decay)
        self.initial_accumulator_value = self._number("initial_accumulator_value", initial_accumulator_value)
        self.eps = self._number("eps", eps)
        self.kept = 0, (self.initial_accumulator_value,)

    def update(self, x: Any, g: Any, t: int, *slots: Any) -> Update:
        g = self.decayed(x, g)
        s = slots[0] + g * g
        return x - self.lr / (1 + (t - 1) * self.lr_decay) * g / (np.sqrt(s) + self.eps), (s,)


OPTIMIZERS: dict[str, type[Optimizer]] = {c.__name__.lower(): c for c in (SGD, Adam, AdamW, RMSprop, Adagrad)}
