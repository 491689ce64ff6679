"""Networks of the lectures that are made of the layers: boolean gates, a LeNet-style network, adversarial networks."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from operator import add
from typing import Any

import numpy as np

from autograd import Value, no_grad

from ..checks import at_least_1
from ..conv import AvgPool2d, Conv2d, Flatten
from ..init import Rng
from ..layers import MLP, Layer, Sequential
from ..losses import binary_cross_entropy_with_logits
from ..module import Module
from ..optim import Adam

__all__ = ["GAN", "GATES", "LeNet", "gate"]

# Θ of each layer, the bias first (CS539). XNOR has AND and NOR as its hidden units, and OR as its output.
GATES: dict[str, list[list[list[float]]]] = {
    "AND": [[[-30, 20, 20]]],
    "OR": [[[-10, 20, 20]]],
    "NOR": [[[10, -20, -20]]],
    "NOT_AND_NOT": [[[10, -20, -20]]],
    "NOT": [[[10, -20]]],
    "XNOR": [[[-30, 20, 20], [10, -20, -20]], [[-10, 20, 20]]],
    "XOR": [[[-30, 20, 20], [10, -20, -20]], [[10, -20, -20]]],
}


def gate(name: str) -> MLP:
    """A boolean function as a network of sigmoid units with the weights of CS539: g(−30 + 20x₁ + 20x₂) is AND.

    name   AND, OR, NOR (or NOT_AND_NOT: NOT x₁ AND NOT x₂), NOT, XNOR, XOR; ValueError for another

    >>> [round(gate("XNOR")([x1, x2]).data) for x1 in (0, 1) for x2 in (0, 1)]
    [1, 0, 0, 1]
    """
    if name not in GATES:
        raise ValueError(f"gate({name!r}): there are {', '.join(GATES)}")
    return MLP.from_theta(GATES[name], "sigmoid", "sigmoid")


class LeNet(Sequential):
    """A LeNet-style network for images of 8×8 pixels: convolution, mean pooling, convolution, two layers; gives logits.

    An image is [[8 rows of 8 numbers]], or 64 numbers row by row; best between 0 and 1 (or −1 and 1).

    >>> LeNet(rng=0)
    LeNet(): 3350 parameters
      modules.0  Conv2d(cin=1, cout=6, kernel_size=3, padding=1, activation='tanh'): 60 parameters
      modules.1  AvgPool2d(k=2): 0 parameters
      modules.2  Conv2d(cin=6, cout=16, kernel_size=3, activation='tanh'): 880 parameters
      modules.3  Flatten(): 0 parameters
      modules.4  Layer(nin=64, nout=32, activation='tanh'): 2080 parameters
      modules.5  Layer(nin=32, nout=10): 330 parameters
    """

    def __init__(self, classes: int = 10, rng: Rng = None) -> None:
        self.classes, rng = at_least_1("LeNet(classes)", classes), np.random.default_rng(rng)
        draw: dict[str, Any] = {"rng": rng, "init": "xavier"}
        super().__init__(Conv2d(1, 6, 3, padding=1, activation="tanh", **draw), AvgPool2d(2),
                         Conv2d(6, 16, 3, activation="tanh", **draw), Flatten(),
                         Layer(64, 32, "tanh", **draw), Layer(32, self.classes, **draw))

    def forward(self, x: Any) -> Any:
        """The logits of the classes."""
        if len(x) == 64:
            x = [[list(x[r:r + 8]) for r in range(0, 64, 8)]]
        return super().forward(x)


class GAN(Module):
    """Generative adversarial networks for numbers: the output unit of a continuous, arbitrary distribution (CS109B).

    The generator turns normal noise into numbers; the discriminator gives the logit of a number's being real. They take
    turns: the discriminator learns to tell the two apart, the generator to be taken for real (Goodfellow et al., 2014).

    >>> gan = GAN(hidden=4, rng=0)
    >>> losses = gan.train([3.9, 4.0, 4.1], steps=2, rng=0)
    >>> len(losses), len(gan.samples(5, rng=0))
    (2, 5)
    """

    def __init__(self, hidden: int = 8, rng: Rng = None) -> None:
        self.hidden, rng = hidden, np.random.default_rng(rng)
        self.generator = MLP(1, [hidden, 1], "tanh", rng=rng, init="xavier")
        self.discriminator = MLP(1, [hidden, 1], "tanh", rng=rng, init="xavier")

    def forward(self, x: Any) -> Value:
        """The number that the generator makes of the noise x."""
        return self.generator(x)  # type: ignore[no-any-return]

    def samples(self, n: int, rng: Rng = None) -> list[float]:
        """n generated numbers."""
        with no_grad():
            return [self(z).data for z in np.random.default_rng(rng).normal(size=n)]

    def train(self, data: Any, steps: int = 200, batch: int = 16, lr: float = 0.03, rng: Rng = None
              ) -> list[tuple[float, float]]:
        """Alternate `steps` times on batches of real and generated numbers; gives (discriminator's, generator's loss) of each.

        The discriminator descends on −[log D(x) + log(1 − D(G(z)))], the generator on −log D(G(z)).
        """
        rng, real = np.random.default_rng(rng), np.array(data, dtype=float)
        players = [Adam(player.parameters(), lr=lr, betas=(0.5, 0.999)) for player in (self.discriminator, self.generator)]

        def told(x: Any, label: int) -> Value:
            return binary_cross_entropy_with_logits(self.discriminator(x), label)

        def turn(player: Adam, terms: Callable[[float, float], Value]) -> float:
            self.zero_grad()
            pairs = zip(rng.choice(real, batch).tolist(), rng.normal(size=batch).tolist(), strict=True)
            cost = reduce(add, [terms(x, z) for x, z in pairs]) * (1 / batch)
            cost.backward()
            player.step()
            return cost.data

        return [(turn(players[0], lambda x, z: told(x, 1) + told(self(z).detach(), 0)),
                 turn(players[1], lambda x, z: told(self(z), 1))) for _ in range(steps)]
