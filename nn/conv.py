"""Layers for images. An image is a list of channels, a channel a list of rows, a row a list of numbers or Values:
shape (channels, height, width). One channel may come without its brackets. Arrays of that shape are taken too.

k: the side of a window (or the pair height, width); s: the stride, how far it moves; p: the padding, zeros around.
Of height h the output has (h + 2p − k) // s + 1 rows, and columns likewise; what is left over at the end is not seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from itertools import product
from operator import add
from typing import Any

import numpy as np

from autograd import Value, affine, dot
from autograd.value import literal

from .activations import Function, maxout
from .checks import at_least_1
from .init import Initialiser, Rng, initialiser
from .layers import inputs, named
from .matrices import Parameters
from .module import Module

__all__ = ["AvgPool2d", "Conv2d", "Flatten", "MaxPool2d"]

Image = list[list[list[Value]]]


class Conv2d(Module):
    """z[o][r][q] = b[o] + Σ w[o][c][i][j] · x[c][r·s + i − p][q·s + j − p], then g: `cout` channels from `cin`.

    The weights have shape (cout, cin, k, k), as torch's; also a pair (height, width) as kernel_size. (Like torch's, it does
    not mirror the window: a cross-correlation.) ValueError for an image of another shape, or smaller than the window.

    >>> edge = Conv2d(1, 1, (1, 2), bias=False)
    >>> edge.w = [[[[-1.0, 1.0]]]]
    >>> [[x.data for x in row] for row in edge([[0, 0, 5], [0, 5, 5]])[0]]
    [[0.0, 5.0], [5.0, 0.0]]
    """

    inline = True
    w, b = Parameters(), Parameters()

    def __init__(self, cin: int, cout: int, kernel_size: int | Sequence[int], stride: int = 1, padding: int = 0,
                 activation: str | Function = "linear", bias: bool = True, rng: Rng = None,
                 init: str | Initialiser = "uniform") -> None:
        self.cin, self.cout = at_least_1("Conv2d(cin)", cin), at_least_1("Conv2d(cout)", cout)
        self.kernel_size, self.k = sides("Conv2d(kernel_size)", kernel_size)
        self.stride, self.padding, self.bias = at_least_1("Conv2d(stride)", stride), padding, bool(bias)
        at_least_1("Conv2d(padding) + 1", padding + 1)
        self.activation, self.g = named(activation)
        draw, rng, area = initialiser(init), np.random.default_rng(rng), self.k[0] * self.k[1]
        self.w = [[[[Value(draw(rng, cin * area, cout * area)) for _ in range(self.k[1])] for _ in range(self.k[0])]
                   for _ in range(cin)] for _ in range(cout)]
        self.b = [Value(0.0) for _ in range(cout)] if bias else []

    def z(self, x: Any) -> Image:
        """The weighted sums, before the activation, of shape (cout, rows, columns)."""
        image = grid(x, self.cin, self)
        (height, width), s, p = shape(image), self.stride, self.padding
        rows, columns = places(height + 2 * p, self.k[0], s, self), places(width + 2 * p, self.k[1], s, self)
        seen = {(r, q): [(c, i, j, image[c][r + i - p][q + j - p]) for c, i, j in product(range(self.cin), *map(range, self.k))
                         if 0 <= r + i - p < height and 0 <= q + j - p < width] for r in rows for q in columns}
        return [[[self._sum(o, seen[r, q]) for q in columns] for r in rows] for o in range(self.cout)]

    def _sum(self, o: int, seen: list[tuple[int, int, int, Value]]) -> Value:
        """The weighted sum of what a window sees, for channel o; 0 where it sees nothing but padding."""
        w, xs = [self.w[o][c][i][j] for c, i, j, _ in seen], [x for *_, x in seen]
        if not self.bias:
            return dot(w, xs) if xs else literal(0.0)
        return affine(w, xs, self.b[o])  # type: ignore[no-any-return]


class Pool2d(Module):
    """What a k × k window sees, made one number; the windows lie side by side."""

    inline = True

    def __init__(self, k: int | Sequence[int]) -> None:
        self.k, self.window = sides(f"{type(self).__name__}(k)", k)

    def pool(self, xs: list[Value]) -> Value:
        """The number of one window."""
        raise NotImplementedError

    def forward(self, x: Any) -> Image:
        """Each channel, pooled."""
        (h, w), image = self.window, grid(x, None, self)
        height, width = shape(image)
        rows, columns = places(height, h, h, self), places(width, w, w, self)
        return [[[self.pool([v for row in channel[r:r + h] for v in row[q:q + w]]) for q in columns] for r in rows]
                for channel in image]


class AvgPool2d(Pool2d):
    """The mean of every k × k window (subsampling in LeNet).

    >>> [[x.data for x in row] for row in AvgPool2d(2)([[1, 2, 0, 0], [3, 4, 0, 4]])[0]]
    [[2.5, 1.0]]
    """

    def pool(self, xs: list[Value]) -> Value:
        """The mean."""
        return reduce(add, xs) * (1.0 / len(xs))


class MaxPool2d(Pool2d):
    """The largest number of every k × k window; equal ones share the slope.

    >>> [[x.data for x in row] for row in MaxPool2d(2)([[1, 2, 0, 0], [3, 4, 0, 4]])[0]]
    [[4.0, 4.0]]
    """

    def pool(self, xs: list[Value]) -> Value:
        """The largest."""
        return maxout(xs)  # type: ignore[no-any-return]


class Flatten(Module):
    """An image as one list: channel by channel, row by row.

    >>> Flatten()([[[1, 2], [3, 4]], [[5, 6], [7, 8]]])
    [1, 2, 3, 4, 5, 6, 7, 8]
    """

    inline = True

    def forward(self, x: Any) -> list[Any]:
        """The numbers in order."""
        found = list(x)
        while any([hasattr(part, "__len__") for part in found]):
            found = [v for part in found for v in (part if hasattr(part, "__len__") else [part])]
        return found


def grid(x: Any, channels: int | None, to: Module) -> Image:
    """The image as Values, checked: as many channels as said, rows of one length."""
    found = x.tolist() if hasattr(x, "tolist") else list(x)
    if found and hasattr(found[0], "__len__") and len(found[0]) and not hasattr(found[0][0], "__len__"):
        found = [found]
    depth = next((d for d, v in enumerate([found, *first(found)]) if not hasattr(v, "__len__")), 0)
    if depth != 3:
        raise ValueError(f"{to.called()} takes images of shape (channels, height, width), and was given {max(depth, 1)} "
                         f"dimension{'s' * (depth > 1)}")
    if channels is not None and len(found) != channels:
        raise ValueError(f"{to.called()} takes {channels} channel{'s' * (channels != 1)}, and was given {len(found)}")
    sizes = {(len(channel), len(row)) for channel in found for row in channel}
    if len(sizes) != 1:
        raise ValueError(f"{to.called()} was given rows or channels of different sizes (height, width): {sorted(sizes)}")
    width = sizes.pop()[1]
    return [[inputs(row, width, to, (c, r)[len(found) == 1:]) for r, row in enumerate(channel, 1)]
            for c, channel in enumerate(found, 1)]


def first(x: Any) -> Any:
    """x[0], x[0][0], … down to what has no parts."""
    while hasattr(x, "__len__") and len(x):
        x = x[0]
        yield x


def shape(image: Image) -> tuple[int, int]:
    """(height, width)."""
    return len(image[0]), len(image[0][0])


def places(n: int, k: int, stride: int, of: Module) -> range:
    """Where a window of k begins along n; ValueError if it does not fit."""
    if k > n:
        raise ValueError(f"{of.called()}: the window of {k} is larger than the {n} pixels that it was given, with padding")
    return range(0, n - k + 1, stride)


def sides(name: str, k: int | Sequence[int]) -> tuple[int | tuple[int, int], tuple[int, int]]:
    """A window as it was given, and its (height, width)."""
    h, w = (k, k) if isinstance(k, int) else tuple(k)
    checked = at_least_1(name, h), at_least_1(name, w)
    return k if isinstance(k, int) else checked, checked
