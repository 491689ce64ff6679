"""The training step of micrograd's demo notebook, from one source for every engine: `Value` is an argument.

Data: two half moons of 50 points each, noise 0.1. Model: MLP 2-16-16-1 with ReLU. Loss: max-margin + 10⁻⁴ · L2.
"""

from __future__ import annotations

import math
import random
from itertools import pairwise
from typing import Any

Scalar = Any   # an engine's Value


class Neuron:
    """ReLU(w · x + b), or without the ReLU."""

    def __init__(self, Value: Scalar, inputs: int, relu: bool, rng: random.Random) -> None:
        self.w = [Value(rng.uniform(-1, 1)) for _ in range(inputs)]
        self.b = Value(0.0)
        self.relu = relu

    def __call__(self, x: list[Scalar]) -> Scalar:
        act = sum((wi * xi for wi, xi in zip(self.w, x, strict=True)), self.b)
        return act.relu() if self.relu else act


class Moons:
    """The data, the model and its training; the same numbers for the same seed."""

    def __init__(self, Value: Scalar, sizes: tuple[int, ...] = (2, 16, 16, 1), points: int = 100, seed: int = 1337) -> None:
        rng = random.Random(seed)
        self.Value, self.k = Value, 0
        angles = [math.pi * i / (points // 2 - 1) for i in range(points // 2)]
        data = [([math.cos(t), math.sin(t)], -1) for t in angles] + [([1 - math.cos(t), 0.5 - math.sin(t)], 1) for t in angles]
        rng.shuffle(data)
        self.xs = [[rng.gauss(x, 0.1) for x in point] for point, _ in data]
        self.ys = [y for _, y in data]
        self.layers = [[Neuron(Value, a, b != sizes[-1], rng) for _ in range(b)] for a, b in pairwise(sizes)]
        self.parameters = [p for layer in self.layers for neuron in layer for p in [*neuron.w, neuron.b]]

    def model(self, x: list[Scalar]) -> Scalar:
        for layer in self.layers:
            x = [neuron(x) for neuron in layer]
        return x[0]

    def loss(self) -> Scalar:
        scores = [self.model(list(map(self.Value, x))) for x in self.xs]
        losses = [(1 + -y * score).relu() for y, score in zip(self.ys, scores, strict=True)]
        return sum(losses) * (1.0 / len(losses)) + 1e-4 * sum(p * p for p in self.parameters)

    def step(self) -> float:
        """Forward, zero_grad, backward, update; the loss before the update."""
        total = self.loss()
        for p in self.parameters:
            p.grad = 0.0
        total.backward()
        rate = 1.0 - 0.9 * self.k / 100
        for p in self.parameters:
            p.data -= rate * p.grad
        self.k += 1
        return float(total.data)


class MoonsOfLayers(Moons):
    """The same with the engine's own MLP, at the same weights."""

    def __init__(self, Value: Scalar, MLP: Any) -> None:
        super().__init__(Value)
        made = MLP(2, [16, 16, 1])
        for mine, theirs in zip(made.parameters(), self.parameters, strict=True):
            mine.data = theirs.data
        self.model, self.parameters = made, made.parameters()   # type: ignore[method-assign]
