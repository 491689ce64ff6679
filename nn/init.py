"""First numbers for weights: drawn at random, since equal weights would stay equal (symmetry); biases begin at 0.

rng             a numpy.random.Generator; or a seed: the same seed gives the same numbers, bit for bit; None: fresh entropy
fan_in, fan_out how many numbers the weight's unit takes, and how many take its result's
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

__all__ = ["INITIALISERS", "Initialiser", "he", "initialiser", "uniform", "xavier", "zeros"]

Initialiser = Callable[[np.random.Generator, int, int], float]
Rng = np.random.Generator | int | None


def uniform(rng: np.random.Generator, fan_in: int, fan_out: int) -> float:
    """Uniform on [−1, 1], as micrograd."""
    return float(rng.uniform(-1.0, 1.0))


def xavier(rng: np.random.Generator, fan_in: int, fan_out: int) -> float:
    """Uniform on ±√(6/(fan_in + fan_out)), for sigmoid and tanh (Glorot and Bengio, 2010)."""
    bound = math.sqrt(6.0 / (fan_in + fan_out))
    return float(rng.uniform(-bound, bound))


def he(rng: np.random.Generator, fan_in: int, fan_out: int) -> float:
    """Normal with standard deviation √(2/fan_in), for relu and its kin (He et al., 2015)."""
    return float(rng.normal(0.0, math.sqrt(2.0 / fan_in)))


def zeros(rng: np.random.Generator, fan_in: int, fan_out: int) -> float:
    """0: for convex models (linear, logistic and softmax regression, the perceptron), never for hidden layers."""
    return 0.0


INITIALISERS: dict[str, Initialiser] = {"uniform": uniform, "xavier": xavier, "he": he, "zeros": zeros}


def initialiser(init: str | Initialiser) -> Initialiser:
    """The initialiser of that name, or the function (rng, fan_in, fan_out) → float as it is; ValueError for other names.

    >>> initialiser("zeros")(np.random.default_rng(0), 3, 2)
    0.0
    """
    if callable(init):
        return init
    if init not in INITIALISERS:
        raise ValueError(f"init={init!r}: there are {', '.join(INITIALISERS)}, or a function (rng, fan_in, fan_out) → float")
    return INITIALISERS[init]
