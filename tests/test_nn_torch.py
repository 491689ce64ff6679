"""Values and slopes of layers and losses are torch's, in float64, to 1e-12."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograd import Value, softmax
from nn import (
    ACTIVATIONS,
    MLP,
    AvgPool2d,
    Conv2d,
    Flatten,
    GeneralisedReLU,
    Layer,
    LeNet,
    Maxout,
    MaxPool2d,
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    hinge,
    mse,
    nll,
    perceptron_loss,
    squared_error,
)

torch = pytest.importorskip("torch")
F = pytest.importorskip("torch.nn.functional")
SEEDS = st.integers(0, 2**32 - 1)
TORCHS: dict[str, Callable[[Any], Any]] = {
    "sigmoid": torch.sigmoid, "tanh": torch.tanh, "relu": torch.relu, "leaky_relu": F.leaky_relu, "softplus": F.softplus,
    "swish": F.silu, "linear": lambda z: z, "sign": torch.sign,
    "heaviside": lambda z: torch.heaviside(z, torch.tensor(0.5).double()),
    "piecewise_linear": lambda z: (z + 0.5).clamp(0, 1), "generalised_relu": lambda z: F.prelu(z, torch.tensor(0.25).double()),
}


def tensor(x: Any) -> Any:
    """The numbers of nested Values, as a tensor that wants a gradient."""
    return torch.tensor(np.vectorize(lambda v: v.data, otypes=[float])(np.array(x, dtype=object)), requires_grad=True)


def same(found: Any, expected: Any) -> None:
    """To 1e-12, relative to the largest of the numbers: sums of terms of both signs, added in different orders."""
    found, expected = np.array(found, dtype=float).ravel(), expected.detach().numpy().ravel()
    assert found.shape == expected.shape and np.abs(found - expected).max() <= 1e-12 * np.abs(expected).max() + 1e-300


def slopes(x: Any) -> list[float]:
    return [v.grad for v in np.array(x, dtype=object).ravel()]


def compare(ours: Any, theirs: Any, pairs: list[tuple[Any, Any]]) -> None:
    """Both outputs, and both slopes of their sum of squares by each pair (Values, tensor)."""
    flat = Flatten()(ours) if isinstance(ours, list) else [ours]
    same([v.data for v in flat], theirs)
    sum(v * v for v in flat).backward()
    (theirs * theirs).sum().backward()
    for values, found in pairs:
        same(slopes(values), found.grad)


@given(st.lists(st.integers(1, 4), min_size=2, max_size=4), st.sampled_from(sorted(set(TORCHS) - {"sign", "heaviside"})), SEEDS)
def test_mlp(sizes: list[int], name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    model, x = MLP(sizes[0], sizes[1:], name, rng=rng), [Value(v) for v in rng.normal(size=sizes[0])]
    pairs = [([n.w for n in layer.neurons], tensor([n.w for n in layer.neurons])) for layer in model.layers]
    biases = [([n.b for n in layer.neurons], tensor([n.b for n in layer.neurons])) for layer in model.layers]
    x_, a = (x, tensor(x)), None
    for i, ((_, w), (_, b)) in enumerate(zip(pairs, biases, strict=True)):
        a = F.linear(x_[1] if a is None else a, w, b)
        a = TORCHS[name](a) if i < len(pairs) - 1 else a
    compare(model(x), a, [*pairs, *biases, x_])


@given(st.tuples(*[st.integers(1, 2)] * 2), st.tuples(*[st.integers(1, 3)] * 2), st.integers(1, 2), st.integers(0, 2), SEEDS)
def test_conv2d(channels: tuple[int, int], k: tuple[int, int], stride: int, padding: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    model = Conv2d(*channels, k, stride, padding, "tanh", rng=rng)
    x = [[[Value(v) for v in row] for row in c] for c in rng.normal(size=(channels[0], 4, 5))]
    x_, w_, b_ = tensor(x), tensor(model.w), tensor(model.b)
    compare(model(x), torch.tanh(F.conv2d(x_[None], w_, b_, stride, padding)), [(x, x_), (model.w, w_), (model.b, b_)])


@pytest.mark.parametrize("ours, theirs", [(AvgPool2d, F.avg_pool2d), (MaxPool2d, F.max_pool2d)])
@given(k=st.tuples(*[st.integers(1, 3)] * 2), seed=SEEDS)
def test_pools(ours: Any, theirs: Any, k: tuple[int, int], seed: int) -> None:
    x = [[[Value(v) for v in row] for row in c] for c in np.random.default_rng(seed).normal(size=(2, 5, 7))]
    x_ = tensor(x)
    compare(ours(k)(x), theirs(x_[None], k), [(x, x_)])


@given(SEEDS)
def test_maxout_and_generalised_relu(seed: int) -> None:
    rng = np.random.default_rng(seed)
    model, x = Maxout(3, 2, 3, rng=rng), [Value(v) for v in rng.normal(size=3)]
    w = [[n.w for n in layer.neurons] for layer in model.layers]
    x_, w_ = tensor(x), tensor(w)
    compare(model(x), (w_ @ x_).max(dim=0).values, [(x, x_), (w, w_)])
    g, z = GeneralisedReLU(0.3), [Value(v) for v in rng.normal(size=5)]
    z_, alpha = tensor(z), tensor([g.alpha])
    compare([g(v) for v in z], F.prelu(z_, alpha), [(z, z_), ([g.alpha], alpha)])


def test_lenet() -> None:
    model, rng = LeNet(rng=0), np.random.default_rng(0)
    one, _, two, _, three, four = model.modules
    assert isinstance(one, Conv2d) and isinstance(two, Conv2d) and isinstance(three, Layer) and isinstance(four, Layer)
    parts = [one.w, one.b, two.w, two.b, *[p for layer in (three, four) for p in (
        [n.w for n in layer.neurons], [n.b for n in layer.neurons])]]
    t = [tensor(p) for p in parts]
    x = rng.random((1, 8, 8))
    a = torch.tanh(F.conv2d(torch.tensor(x)[None], t[0], t[1], padding=1))
    a = torch.tanh(F.conv2d(F.avg_pool2d(a, 2), t[2], t[3])).flatten()
    theirs = F.linear(torch.tanh(F.linear(a, t[4], t[5])), t[6], t[7])
    logits = model(x)
    same([z.data for z in logits], theirs)
    cross_entropy(logits, 3).backward()
    F.cross_entropy(theirs, torch.tensor(3)).backward()
    for p, found in zip(parts, t, strict=True):
        same(slopes(p), found.grad)


@pytest.mark.parametrize("name", TORCHS)
@given(z=st.floats(-15, 15).filter(lambda z: abs(z) > 1e-9 and abs(abs(z) - 0.5) > 1e-9))   # torch cuts softplus at 20
def test_activations(name: str, z: float) -> None:
    x = Value(z)
    x_ = tensor([x])
    y, y_ = ACTIVATIONS[name](x), TORCHS[name](x_)
    y.backward()
    same([y.data], y_)
    if y_.requires_grad and name != "heaviside":
        y_.sum().backward()
        # torch's σ′ and tanh′ are y(1 − y) and 1 − y², which lose digits in the tails: their own error is allowed for
        assert abs(x.grad - x_.grad.item()) <= 1e-12 * abs(x.grad) + 1e-15


LOSSES: list[tuple[Callable[..., Any], Callable[..., Any], str]] = [
    (squared_error, lambda z, y: 0.5 * F.mse_loss(z, y, reduction="sum"), "real"),
    (mse, F.mse_loss, "real"),
    (binary_cross_entropy_with_logits, lambda z, y: F.binary_cross_entropy_with_logits(z, y, reduction="sum"), "01"),
    (binary_cross_entropy_with_logits, lambda z, y: F.binary_cross_entropy_with_logits(z, y, reduction="sum"), "soft"),
    (binary_cross_entropy, lambda p, y: F.binary_cross_entropy(p, y, reduction="sum"), "01 of p"),
    (binary_cross_entropy, lambda p, y: F.binary_cross_entropy(p, y, reduction="sum"), "soft of p"),
    (cross_entropy, F.cross_entropy, "class"),
    (cross_entropy, F.cross_entropy, "weights"),
    (nll, lambda p, y: F.nll_loss(torch.log(p), y), "class of p"),
    (hinge, lambda z, y: F.multi_margin_loss(z, y) * len(z), "class"),
    (hinge, lambda z, y: torch.relu(1 - y * z).sum(), "±1"),
    (perceptron_loss, lambda z, y: torch.relu(-y * z).sum(), "±1"),
]


@pytest.mark.parametrize("ours, theirs, kind", LOSSES, ids=[f"{loss.__name__} {kind}" for loss, _, kind in LOSSES])
@given(k=st.integers(2, 5), seed=SEEDS)
def test_losses(ours: Callable[..., Any], theirs: Callable[..., Any], kind: str, k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    zs = rng.normal(size=k) * 3
    if kind.endswith("of p"):
        zs = np.array(softmax(zs))
    targets: dict[str, Any] = {"real": rng.normal(size=k), "01": rng.integers(0, 2, k).astype(float), "soft": rng.random(k),
                               "weights": rng.dirichlet(np.ones(k)), "class": int(rng.integers(k)),
                               "±1": rng.choice([-1.0, 1.0], k)}
    y = targets[kind.removesuffix(" of p")]
    if ours is hinge and kind == "±1":   # of a score alone; several are the scores of classes
        zs, y = zs[:1], y[:1]
    z = [Value(x) for x in zs]
    z_ = tensor(z)
    L, L_ = ours(z, y), theirs(z_, torch.tensor(y))
    L.backward()
    L_.backward()
    # torch subtracts, log Σ e^z − z_y and σ(z) − y, and loses digits where the result is nearly 0: the scale is at least ½
    assert abs(L.data - L_.item()) <= 1e-12 * max(0.5, abs(L_.item()))
    assert np.abs(np.array(slopes(z)) - z_.grad.numpy()).max() <= 1e-12 * max(0.5, z_.grad.abs().max().item())
