"""micrograd's demo notebook, with our imports: a 2-16-16-1 network learns the moons with a max-margin loss and L2."""

import gc

import numpy as np
import pytest

from autograd import Value
from nn import MLP, make_moons


@pytest.mark.slow
def test_the_demo_reaches_99_percent() -> None:
    X, y = make_moons(n=100, noise=0.1, rng=1337)
    y = y * 2 - 1   # −1 or 1
    model = MLP(2, [16, 16, 1], rng=1337)
    assert len(model.parameters()) == 337

    def loss() -> tuple[Value, float]:
        inputs = [list(map(Value, row)) for row in X]
        scores = list(map(model, inputs))
        losses = [(1 + -yi * scorei).relu() for yi, scorei in zip(y, scores, strict=True)]
        data_loss = sum(losses, Value(0.0)) * (1.0 / len(losses))
        reg_loss = 1e-4 * sum((p * p for p in model.parameters()), Value(0.0))
        accuracy = [bool(yi > 0) == (scorei.data > 0) for yi, scorei in zip(y, scores, strict=True)]
        return data_loss + reg_loss, float(np.mean(accuracy))

    gc.disable()   # graphs die by reference count; the collector would look through all of pytest for each of them
    try:
        for k in range(100):   # of the notebook; half of them are enough
            total_loss, accuracy = loss()
            if accuracy >= 0.99 and total_loss.data < 0.05:
                break
            model.zero_grad()
            total_loss.backward()
            learning_rate = 1.0 - 0.9 * k / 100
            for p in model.parameters():
                p.data -= learning_rate * p.grad
    finally:
        gc.enable()
    assert accuracy >= 0.99
    assert total_loss.data < 0.05
