"""Instructions on arrays: what the lines of a program are rolled into, and index arrays that are views.

    U   a vector: a row is one number that all examples share
    V   rows of B numbers, one for each example of the batch

An instruction names rows of U and V by index arrays; `affine` says whether such an array is a view.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..primitive import Primitive
from .program import Program

Array = Any   # a numpy array


@dataclass
class Instruction:
    """What is written: the rows start … start + size of U (shared) or V. `first`: it sets them, else it adds to them."""

    shared: bool
    start: int
    size: int
    first: bool


@dataclass
class Apply(Instruction):
    """A primitive, row by row: of each argument, whether it is in U, and its rows."""

    op: Primitive
    args: list[tuple[bool, Array]]


@dataclass
class MatMul(Instruction):
    """Of each group g: rows of W (g, r, m) in U times rows of H (g, m, c) in V; the results lie in the order (g, r, c)."""

    W: Array
    H: Array


@dataclass
class Products(Instruction):
    """Σ_j C[j] · A[:, j] · B[:, j], both in U or both in V."""

    C: Array
    A: Array
    B: Array


@dataclass
class Linear(Instruction):
    """Σ_j C[j] · A[:, j]."""

    C: Array
    A: Array


@dataclass
class Spread(Instruction):
    """Rows of U, the same for every example."""

    A: Array


@dataclass
class Outer:
    """sums[dst[g, r, c]] = Σ over the batch and j of C[j] · A[g, r, j] · B[g, c, j]: a matrix product over the batch.

    It sets these sums: each is in one of them, and what else is in it comes later."""

    C: Array
    A: Array
    B: Array
    dst: Array

    @property
    def oriented(self) -> tuple[Array, Array, Array]:
        """A, B and dst, or with A and B exchanged: so that rows of the result lie in `sums` as rows, where they can."""
        found = affine(self.dst)
        turned = found and found[1][1] == 1 and found[1][2] != 1
        return (self.B, self.A, self.dst.swapaxes(1, 2)) if turned else (self.A, self.B, self.dst)


@dataclass
class RowSum:
    """sums[dst[k]] += C[k] · the sum of row A[k] over the batch; where first[k], it sets the sum."""

    C: Array
    A: Array
    dst: Array
    first: Array


@dataclass
class Repeated:
    """sums[dst[k]] += B · row A[k] of U, the part of a sum that is the same in every example; where first[k], it sets it."""

    A: Array
    dst: Array
    first: Array


@dataclass
class Rolled:
    """Instructions on U (`rows_shared` numbers) and V (`rows` × B), and what becomes of the outputs.

    numbers      (row of U, number) of the plain numbers
    body         instructions in order: first all shared ones
    totals       what is summed over the batch, in order, and then `repeated`: of every sum, the first sets it
    each         (positions, rows of V), and the same of U: outputs of each example
    """

    program: Program
    rows_shared: int = 0
    rows: int = 0
    numbers: list[tuple[int, float]] = field(default_factory=list)
    body: list[Any] = field(default_factory=list)
    totals: list[Any] = field(default_factory=list)
    repeated: Repeated = field(default_factory=lambda: Repeated(np.zeros(0, int), np.zeros(0, int), np.zeros(0, bool)))
    each: tuple[Array, Array] = field(default_factory=lambda: (np.zeros(0, int), np.zeros(0, int)))
    each_shared: tuple[Array, Array] = field(default_factory=lambda: (np.zeros(0, int), np.zeros(0, int)))
    irregular: bool = False

    @property
    def flops(self) -> int:
        """Multiplications and additions of an example."""
        count = 0
        for i in [*self.body, *self.totals]:
            if isinstance(i, MatMul):
                count += 2 * i.W.size * i.H.shape[2]
            elif isinstance(i, Outer):
                count += 2 * i.A.size * i.B.shape[1]
            elif isinstance(i, Products):
                count += 2 * i.A.size
            else:
                count += i.size if isinstance(i, Apply) else i.A.size
        return count


def by_first(first: Array) -> Iterator[tuple[Array, bool]]:
    """(places, True) of those that are the first of their sum, then (places, False) of the others, where there are any."""
    for at, sets in ((np.flatnonzero(first), True), (np.flatnonzero(~first), False)):
        if len(at):
            yield at, sets


def affine(index: Array) -> tuple[int, list[int]] | None:
    """(start, strides) if index[i, j, …] = start + Σ strides · (i, j, …), none of them negative, else None.

    >>> affine(np.array([[3, 4], [7, 8]]))
    (3, [4, 1])
    """
    start, strides = int(index.flat[0]), []
    for axis, n in enumerate(index.shape):
        at: list[int] = [0] * index.ndim
        at[axis] = min(1, n - 1)
        strides.append(int(index[tuple(at)]) - start)
    expected: Array = start
    for axis, (n, stride) in enumerate(zip(index.shape, strides, strict=True)):
        expected = expected + (np.arange(n) * stride).reshape([-1 if q == axis else 1 for q in range(index.ndim)])
    return (start, strides) if min(strides, default=0) >= 0 and np.array_equal(expected, index) else None
