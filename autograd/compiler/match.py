"""Rows that share their factors: how a sum of products is found to be a matrix product.

Index arrays only: a pair (a, b) is a product of row a and row b, and a group of r a's that each meet the same c b's is a
matrix product with r rows and c columns, a complete bipartite graph (a biclique) of factors.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from .instructions import Array


def row_ids(M: Array) -> Array:
    """A number for each row of M (k, m), the same for equal rows, in the order of the rows' first entries."""
    if M.shape[1] == 1:
        return np.unique(M[:, 0], return_inverse=True)[1].ravel()
    with np.errstate(over="ignore"):
        _, first, ids = np.unique(M @ _weights(M.shape[1]), return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.lexsort((first, M[first, 0]))] = np.arange(len(first))
    return rank[ids.ravel()]


@lru_cache(64)
def _weights(n: int) -> Array:
    """Odd numbers at random, always the same."""
    return np.random.default_rng(2).integers(1, 2 ** 62, n, np.int64) | 1


def one_order(W: Array, H: Array) -> tuple[Array, Array]:
    """The terms of every row in one order, by W or by H: whichever leaves fewer different rows."""
    def by(key: Array, other: Array) -> tuple[int, Array, Array]:
        order = np.lexsort((other, key), axis=1)
        key, other = np.take_along_axis(key, order, 1), np.take_along_axis(other, order, 1)
        return int(row_ids(key).max() + row_ids(other).max()), key, other
    if W.shape[1] == 1:
        return W, H
    (first, w1, h1), (second, h2, w2) = by(W, H), by(H, W)
    return (w1, h1) if first <= second else (w2, h2)


def sorted_within(C: Array, A: Array, B: Array) -> tuple[Array, Array]:
    """The terms of every row sorted, those of equal coefficients among themselves."""
    if A.shape[1] < 2:
        return A, B
    A, B = A.copy(), B.copy()
    cuts = np.flatnonzero(np.diff(C)) + 1
    for columns in np.split(np.arange(len(C)), cuts):
        if len(columns) > 1:
            A[:, columns], B[:, columns] = one_order(A[:, columns], B[:, columns])
    return A, B


def bicliques(a: Array, b: Array) -> Iterator[Array]:
    """Positions of pairs (a, b), cut into arrays (g, r, c) so that in each group every one of r a's meets every of c b's."""
    pairs = a * (int(b.max()) + 1) + b
    if len(np.unique(pairs)) < len(pairs):   # a pair that is there twice
        yield np.arange(len(a)).reshape(-1, 1, 1)
        return
    by_a, by_b = _grouped(a, b), _grouped(b, a)
    groups = by_a if len(by_a) <= len(by_b) else [group.T for group in by_b]
    shapes: dict[tuple[int, ...], list[Array]] = {}
    for group in groups:
        shapes.setdefault(group.shape, []).append(group)
    for same in shapes.values():
        first = [group.flat[0] for group in same]
        yield np.stack([same[k] for k in np.lexsort((b[first], a[first]))])


def _grouped(a: Array, b: Array) -> list[Array]:
    """Positions (r, c) of the pairs: the a's that meet the same b's are the r of one group."""
    order = np.lexsort((b, a))
    starts = np.flatnonzero(np.diff(a[order], prepend=-1))
    lengths = np.diff(np.append(starts, len(a)))
    groups = []
    for length in np.unique(lengths):
        at = order[starts[lengths == length][:, None] + np.arange(length)]
        ids = row_ids(b[at])
        by = np.argsort(ids, kind="stable")
        groups += np.split(at[by], np.flatnonzero(np.diff(ids[by])) + 1)
    return groups
