"""The models that the benchmark of compilation trains: each written once in scalars, for every engine that has scalars.

    example(F, theta, x, t)   the loss of one example: sequences of numbers, and F the engine's functions
    penalty(F, theta)         what is added once, however many examples there are

Beside it: `vectorised`, the mean loss over a batch as an expert writes it for PyTorch and JAX, and `by_hand`, loss and
gradient as an expert writes them for numpy. theta is one vector; `shapes` says of which arrays it consists.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from operator import add
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Arrays = Sequence[Array]
Functions = Any   # an engine's relu, exp, tanh, sin, logsumexp(*xs)
Hand = Callable[[Arrays, Arrays, Array, Array], float]


@dataclass
class Model:
    """A model, its data for a batch of any size, and the multiply-adds of its matrix products for an example."""

    shapes: list[tuple[int, ...]]
    widths: tuple[int, int]   # of x and t
    data: Callable[[np.random.Generator, int], tuple[Array, Array]]
    example: Callable[..., Any]
    penalty: Callable[..., Any] | None = None
    vectorised: Callable[..., Any] | None = None
    by_hand: Hand | None = None   # (parameters, gradients to be written, X, T) → loss
    multiply_adds: int = 0

    @property
    def size(self) -> int:
        """How many parameters it has."""
        return sum(map(math.prod, self.shapes))

    def start(self, rng: np.random.Generator) -> Array:
        """Parameters from which training starts."""
        return np.concatenate([rng.normal(size=math.prod(s)) / math.sqrt(s[-1]) for s in self.shapes])

    def parts(self, theta: Any) -> Iterator[Any]:
        """The arrays of which theta consists: views."""
        at = 0
        for shape in self.shapes:
            n = math.prod(shape)
            yield theta[at:at + n].reshape(shape)
            at += n

    def loss(self, F: Functions, theta: Sequence[Any], x: Sequence[Any], t: Sequence[Any]) -> Any:
        """The whole loss of an example."""
        loss = self.example(F, theta, x, t)
        return loss if self.penalty is None else loss + self.penalty(F, theta)


def total(terms: Any) -> Any:
    """The sum, without a 0 in front."""
    return reduce(add, terms)


# ---- multilayer perceptrons

def dense(weights: Sequence[Any], biases: Sequence[Any], x: Sequence[Any]) -> list[Any]:
    """W x + b, the rows of W one after another."""
    n = len(x)
    return [total([b, *[w * xi for w, xi in zip(weights[j * n:j * n + n], x, strict=True)]]) for j, b in enumerate(biases)]


def perceptron(F: Functions, sizes: Sequence[int], theta: Sequence[Any], x: Sequence[Any]) -> list[Any]:
    """Layers with relu between them."""
    h, at = list(x), 0
    for k, (n, m) in enumerate(pairwise(sizes)):
        z = dense(theta[at:at + n * m], theta[at + n * m:at + n * m + m], h)
        at += n * m + m
        h = z if k == len(sizes) - 2 else [F.relu(a) for a in z]
    return h


def cross_entropy(F: Functions, z: Sequence[Any], t: Sequence[Any]) -> Any:
    """Of softmax z, with t one-hot."""
    return F.logsumexp(*z) - total([ti * zi for ti, zi in zip(t, z, strict=True)])


def cross_entropy_by_hand(z: Array, T: Array) -> float:
    """Mean cross-entropy; z becomes its gradient by z."""
    z -= z.max(axis=1, keepdims=True)
    loss = -float(np.vdot(z, T))
    np.exp(z, out=z)
    norm = z.sum(axis=1, keepdims=True)
    loss += float(np.log(norm).sum())
    z /= norm
    z -= T
    z *= 1 / len(z)
    return loss / len(z)


def forward_by_hand(P: Arrays, X: Array) -> list[Array]:
    """X and every layer's outputs."""
    hs = [X]
    for k in range(0, len(P), 2):
        z = hs[-1] @ P[k].T
        z += P[k + 1]
        hs.append(z if k == len(P) - 2 else np.maximum(z, 0, out=z))
    return hs


def backward_by_hand(P: Arrays, G: Arrays, hs: list[Array], d: Array) -> None:
    """The gradients, from d, that by the outputs of the last layer."""
    for k in reversed(range(0, len(P), 2)):
        h = hs[k // 2]
        np.matmul(d.T, h, out=G[k])
        d.sum(axis=0, out=G[k + 1])
        if k:
            d = d @ P[k]
            d *= h > 0


def layers(xp: Functions, P: Any, X: Any) -> Any:
    """The outputs for a batch, with PyTorch or JAX."""
    for k in range(0, len(P), 2):
        X = xp.linear(X, P[k], P[k + 1])
        if k < len(P) - 2:
            X = xp.relu(X)
    return X


def mlp_shapes(sizes: Sequence[int]) -> list[tuple[int, ...]]:
    return [shape for n, m in pairwise(sizes) for shape in ((m, n), (m,))]


def mlp_multiply_adds(sizes: Sequence[int]) -> int:
    """Forward, gradients by the weights, gradients by what enters all layers but the first."""
    products = [n * m for n, m in pairwise(sizes)]
    return 3 * sum(products) - products[0]


def half_moons(rng: np.random.Generator, B: int) -> tuple[Array, Array]:
    """Points of two half moons with noise 0.1, and on which each lies: −1, 1."""
    angle, t = rng.uniform(0, math.pi, B), rng.choice([-1.0, 1.0], (B, 1))
    x = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return np.where(t < 0, x, [1, 0.5] - x) + rng.normal(0, 0.1, (B, 2)), t


def classes(n: int, k: int) -> Callable[[np.random.Generator, int], tuple[Array, Array]]:
    """Data of n features in [0, 1] and k classes, one-hot."""
    return lambda rng, B: (rng.uniform(0, 1, (B, n)), np.eye(k)[rng.integers(0, k, B)])


def moons() -> Model:
    """MLP 2-16-16-1, max-margin loss and 10⁻⁴ · L2: the demo of micrograd."""
    sizes = (2, 16, 16, 1)

    def vectorised(xp: Functions, P: Any, X: Any, T: Any) -> Any:
        return xp.relu(1 - T * layers(xp, P, X)).mean() + 1e-4 * total([(p * p).sum() for p in P])

    def by_hand(P: Arrays, G: Arrays, X: Array, T: Array) -> float:
        hs = forward_by_hand(P, X)
        margin = T * hs[-1]
        np.subtract(1, margin, out=margin)
        d = (margin > 0) * T
        d *= -1 / len(X)
        loss = float(np.maximum(margin, 0, out=margin).sum()) / len(X)
        backward_by_hand(P, G, hs, d)
        for p, g in zip(P, G, strict=True):
            loss += 1e-4 * float(np.vdot(p, p))
            np.add(g, 2e-4 * p, out=g)
        return loss

    return Model(mlp_shapes(sizes), (2, 1), half_moons, vectorised=vectorised, by_hand=by_hand,
                 example=lambda F, theta, x, t: F.relu(1 - t[0] * perceptron(F, sizes, theta, x)[0]),
                 penalty=lambda F, theta: 1e-4 * total([p * p for p in theta]), multiply_adds=mlp_multiply_adds(sizes))


def classifier(*sizes: int) -> Model:
    """An MLP with softmax cross-entropy."""
    def by_hand(P: Arrays, G: Arrays, X: Array, T: Array) -> float:
        hs = forward_by_hand(P, X)
        loss = cross_entropy_by_hand(hs[-1], T)
        backward_by_hand(P, G, hs, hs[-1])
        return loss

    return Model(mlp_shapes(sizes), (sizes[0], sizes[-1]), classes(sizes[0], sizes[-1]), by_hand=by_hand,
                 example=lambda F, theta, x, t: cross_entropy(F, perceptron(F, sizes, theta, x), t),
                 vectorised=lambda xp, P, X, T: xp.cross_entropy(layers(xp, P, X), T), multiply_adds=mlp_multiply_adds(sizes))


# ---- a convolutional network

def cnn(n: int = 8, filters: int = 4, k: int = 3, out: int = 10) -> Model:
    """An image of n×n, filters of k×k, relu, a dense layer, softmax cross-entropy."""
    m = n - k + 1   # the side of a filter's output
    kernel, features = filters * k * k, filters * m * m

    def example(F: Functions, theta: Sequence[Any], x: Sequence[Any], t: Sequence[Any]) -> Any:
        h = [F.relu(total([theta[kernel + f], *[theta[(f * k + di) * k + dj] * x[(i + di) * n + j + dj]
                                                for di in range(k) for dj in range(k)]]))
             for f in range(filters) for i in range(m) for j in range(m)]
        at = kernel + filters
        return cross_entropy(F, dense(theta[at:at + features * out], theta[at + features * out:], h), t)

    def vectorised(xp: Functions, P: Any, X: Any, T: Any) -> Any:
        h = xp.relu(xp.conv(X.reshape(-1, 1, n, n), P[0].reshape(filters, 1, k, k), P[1]))
        return xp.cross_entropy(xp.linear(h.reshape(-1, features), P[2], P[3]), T)

    def by_hand(P: Arrays, G: Arrays, X: Array, T: Array) -> float:
        B = len(X)
        windows = np.lib.stride_tricks.sliding_window_view(X.reshape(B, n, n), (k, k), axis=(1, 2))
        patches = np.ascontiguousarray(windows.transpose(3, 4, 0, 1, 2)).reshape(k * k, B * m * m)
        h = P[0] @ patches
        h += P[1][:, None]
        np.maximum(h, 0, out=h)
        flat = h.reshape(filters, B, m * m).transpose(1, 0, 2).reshape(B, features)
        z = flat @ P[2].T
        z += P[3]
        loss = cross_entropy_by_hand(z, T)
        np.matmul(z.T, flat, out=G[2])
        z.sum(axis=0, out=G[3])
        d = (z @ P[2]).reshape(B, filters, m * m).transpose(1, 0, 2).reshape(filters, B * m * m)
        d *= h > 0
        np.matmul(d, patches.T, out=G[0])
        d.sum(axis=1, out=G[1])
        return loss

    return Model([(filters, k * k), (filters,), (out, features), (out,)], (n * n, out), classes(n * n, out),
                 example=example, vectorised=vectorised, by_hand=by_hand,
                 multiply_adds=2 * filters * m * m * k * k + 3 * features * out)


# ---- a Gaussian mixture

def row_dots(a: Array, b: Array) -> Array:
    """Of every row of a with that of b."""
    dots: Array = np.einsum("kb,kb->k", a, b)
    return dots


def mixture(K: int = 5) -> Model:
    """The negative log-likelihood of a point in the plane, and a prior.

    Of component k: the logit a of its weight, its mean m, and its precision's factor (e^q₀ 0; l e^q₁).
    """
    def example(F: Functions, theta: Sequence[Any], x: Sequence[Any], t: Sequence[Any]) -> Any:
        a, m, q, low = theta[:K], theta[K:3 * K], theta[3 * K:5 * K], theta[5 * K:]
        terms = []
        for k in range(K):
            c = [x[i] - m[i * K + k] for i in range(2)]
            z = F.exp(q[k]) * c[0], F.exp(q[K + k]) * c[1] + low[k] * c[0]
            terms.append(a[k] + q[k] + q[K + k] - 0.5 * (z[0] * z[0] + z[1] * z[1]))
        return F.logsumexp(*a) - F.logsumexp(*terms)

    def penalty(F: Functions, theta: Sequence[Any]) -> Any:
        return 1e-3 * (total([F.exp(2 * q) for q in theta[3 * K:5 * K]]) + total([v * v for v in theta[5 * K:]]))

    def vectorised(xp: Functions, P: Any, X: Any, T: Any) -> Any:
        a, m, q, low = P
        e, c = xp.exp(q), X[:, :, None] - m
        z0, z1 = e[0] * c[:, 0], e[1] * c[:, 1] + low * c[:, 0]
        likelihood = xp.logsumexp(a + q[0] + q[1] - 0.5 * (z0 * z0 + z1 * z1), 1).mean()
        return xp.logsumexp(a, 0) - likelihood + 1e-3 * ((e * e).sum() + (low * low).sum())

    def by_hand(P: Arrays, G: Arrays, X: Array, T: Array) -> float:
        (a, m, q, low), B = P, len(X)
        e = np.exp(q)
        c = X.T[:, None, :] - m[:, :, None]   # (2, K, B)
        z = e[:, :, None] * c
        scaled = z[1].copy()
        z[1] += low[:, None] * c[0]
        w = z[0] * z[0]
        w += z[1] * z[1]
        w *= -0.5
        w += (a + q[0] + q[1])[:, None]
        top = w.max(axis=0)
        w -= top
        np.exp(w, out=w)
        norm = w.sum(axis=0)
        w *= 1 / (B * norm)                   # how far each component is responsible for each point, over B
        weights = np.exp(a - a.max())
        constant = a.max() + math.log(weights.sum())
        loss = constant - float(np.log(norm).sum() + top.sum()) / B + 1e-3 * float(np.vdot(e, e) + np.vdot(low, low))
        share = w.sum(axis=1)
        G[0][:] = weights / weights.sum() - share
        d0, d1 = w * z[0], w * z[1]
        s0, s1 = d0.sum(axis=1), d1.sum(axis=1)
        G[1][0], G[1][1] = -(e[0] * s0 + low * s1), -e[1] * s1
        G[2][0], G[2][1] = row_dots(d0, z[0]) - share, row_dots(d1, scaled) - share
        G[2][:] += 2e-3 * e * e
        G[3][:] = row_dots(d1, c[0]) + 2e-3 * low
        return float(loss)

    return Model([(K,), (2, K), (2, K), (K,)], (2, 0), lambda rng, B: (rng.normal(size=(B, 2)), np.zeros((B, 0))),
                 example=example, penalty=penalty, vectorised=vectorised, by_hand=by_hand)


# ---- a graph without structure

def dag(operations: int = 10_000, parameters: int = 50, inputs: int = 20) -> Model:
    """Sums, products, tanh(a − b) and sines of random earlier nodes; the mean of those that nothing uses.

    A node's bound holds for all parameters and inputs within ±1; where it would pass 4, tanh(a − b) is taken.
    """
    rng = random.Random(0)
    bounds, tape, unused = [1.0] * (parameters + inputs), [], set(range(parameters + inputs))
    for n in range(operations):
        a, b, op = rng.randrange(len(bounds)), rng.randrange(len(bounds)), rng.choice("++**ts")
        bound = bounds[a] + bounds[b] if op == "+" else bounds[a] * bounds[b] if op == "*" else 1.0
        op, bound = ("t", 1.0) if bound > 4 else (op, bound)
        tape.append((op, a, b))
        bounds.append(bound)
        unused -= {a} if op == "s" else {a, b}
        unused.add(parameters + inputs + n)

    def example(F: Functions, theta: Sequence[Any], x: Sequence[Any], t: Sequence[Any]) -> Any:
        v = [*theta, *x]
        for op, a, b in tape:
            v.append(v[a] + v[b] if op == "+" else v[a] * v[b] if op == "*" else
                     F.tanh(v[a] - v[b]) if op == "t" else F.sin(v[a]))
        return total([v[i] for i in sorted(unused)]) * (1 / len(unused))

    return Model([(parameters,)], (inputs, 0),
                 lambda rng, B: (rng.uniform(-1, 1, (B, inputs)), np.zeros((B, 0))), example)
