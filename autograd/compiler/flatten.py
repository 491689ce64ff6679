"""Step 3, flatten: sums inside sums become one sum of terms.

    y = Σ C · A · B     of each term: C a number, A and B lines of the program; B is NOTHING where there is one factor

A neuron w·x + (v·y + b) is four lines; flat, it is one sum of three terms. All is done on index arrays, the whole program
at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from itertools import chain

import numpy as np

from ..primitives import add, mul, neg
from .instructions import Array
from .program import Program

__all__ = ["NOTHING", "Flat", "Terms", "flatten"]

NOTHING = -1                # in place of a line
_MODERATE = 1e-9, 1e9       # numbers that may be multiplied together,
_PRODUCTS = 1e-200, 1e200   # as long as their products are in this range, and all of them on one side of 1


class Code(IntEnum):
    """What a line does, as far as it matters to sums."""

    LEAF = 0
    ADD = 1
    MUL = 2
    NEG = 3
    OTHER = 4


@dataclass
class Terms:
    """Term t belongs to the sum that is the line root[t], and is C[t] · A[t] · B[t]."""

    root: Array
    C: Array
    A: Array
    B: Array
    kind: Array = None   # which `classify` finds

    def where(self, chosen: Array) -> Terms:
        """Those that are chosen, in that order."""
        return Terms(*[None if x is None else x[chosen] for x in (self.root, self.C, self.A, self.B, self.kind)])

    def __str__(self) -> str:
        """Sum by sum: n4 = n0·n1 - 2·n3."""
        sums: dict[int, str] = {}
        for root, C, A, B in zip(*[x.tolist() for x in (self.root, self.C, self.A, self.B)], strict=True):
            factors = ([] if abs(C) == 1 else [f"{abs(C):g}"]) + [f"n{i}" for i in (A, B) if i != NOTHING]
            before = f"{sums[root]} {'-' if C < 0 else '+'} " if root in sums else f"n{root} = {'-' * (C < 0)}"
            sums[root] = before + "·".join(factors)
        return "\n".join(sums.values())


@dataclass
class Flat:
    """What `flatten` gives: the terms, sorted by their sums and in these in the order of the program; and of every line

    is_sum     whether it is a sum that has terms
    computed   whether it needs rows: the sums, and the results of other primitives
    uses       how often it is used, as an argument or as an output
    """

    terms: Terms
    is_sum: Array
    computed: Array
    uses: Array


def flatten(program: Program) -> Flat:
    """Every sum of the program as its terms. A sum that one other sum alone uses has none: its terms are the other's.

    A sum of products has no order: its last bits may change, relative to the largest of them. One of single terms keeps the
    order that the program has: what cancels is subtracted when the program does it. Numbers are multiplied together where no
    product of them can leave the range of a float unless the result does; that changes last bits too, and nothing else does.
    """
    code, a, b, uses, user = _columns(program)
    linear, gives, inner = _linear(program, code, a, b)
    absorbed = (uses == 1) & (user >= 0) & (linear | (code == Code.MUL)) & linear[user]
    root, times, mixed = _roots(absorbed, user, gives)
    if (mixed := mixed & (code == Code.MUL) & linear).any():   # these stay products of a number and a line
        linear &= ~mixed
        absorbed &= linear[user] & ~mixed
        root, times, _ = _roots(absorbed, user, gives)
    if (apart := _out_of_order(program, code, a, b, linear, inner, absorbed, root, times)).any():
        absorbed &= ~apart
        root, times, _ = _roots(absorbed, user, gives)

    is_absorbed = np.append(absorbed, False)   # of NOTHING too
    products = np.flatnonzero((code == Code.MUL) & ~linear)
    left, right, sign = a[products], b[products], times[products]
    stripped = np.zeros(len(code), bool)   # a minus sign inside a product is a sign of the product
    for factors in (left, right):
        minus = (code[factors] == Code.NEG) & (uses[factors] == 1) & ~is_absorbed[a[factors]]
        stripped[factors[minus]] = True
        sign[minus] *= -1
        factors[minus] = a[factors[minus]]

    one, two = np.flatnonzero(linear), np.flatnonzero(code == Code.ADD)   # a term for each argument, and one for a product
    line, C = np.concatenate([one, two, products]), times * gives
    terms = Terms(root[line], np.concatenate([C[one], C[two], sign]), np.concatenate([inner[one], b[two], left]),
                  np.concatenate([np.full(len(one) + len(two), NOTHING), right]))
    place = 2 * line   # where it stands in the program
    place[len(one):len(one) + len(two)] += 1
    own = np.flatnonzero(~stripped[terms.root] & ~is_absorbed[terms.A])   # of an absorbed line the terms are there themselves
    is_sum = (code != Code.LEAF) & (code != Code.OTHER) & ~absorbed & ~stripped
    return Flat(terms.where(own[np.lexsort((place[own], terms.root[own]))]), is_sum, is_sum | (code == Code.OTHER), uses)


def _columns(program: Program) -> tuple[Array, Array, Array, Array, Array]:
    """The program as arrays. Of every line: its code; its first and second argument, or NOTHING; how often it is used; the
    line that uses it, or NOTHING if there is none or it is an output."""
    n, outputs, other = len(program.ops), np.array(program.outputs, np.int64), int(Code.OTHER)
    codes = {None: int(Code.LEAF), add: int(Code.ADD), mul: int(Code.MUL), neg: int(Code.NEG)}
    code = np.array([codes.get(op, other) for op in program.ops], np.int64)
    lengths = np.fromiter(map(len, program.args), np.int64, n)
    used = np.fromiter(chain(*program.args, (NOTHING, NOTHING)), np.int64, int(lengths.sum()) + 2)
    start, user = np.cumsum(lengths) - lengths, np.full(n, NOTHING)
    a, b = np.where(lengths > 0, used[start], NOTHING), np.where(lengths > 1, used[start + 1], NOTHING)
    user[used[:-2]] = np.repeat(np.arange(n), lengths)
    user[outputs] = NOTHING
    return code, a, b, np.bincount(np.append(used[:-2], outputs), minlength=n), user


def _linear(program: Program, code: Array, a: Array, b: Array) -> tuple[Array, Array, Array]:
    """Of every line: whether it is a sum, a minus, or a moderate number times a line; what it multiplies its arguments by;
    its (first) argument."""
    n, (low, high) = len(code), _MODERATE
    is_number, value = np.zeros(n + 1, bool), np.zeros(n + 1)   # of NOTHING too
    is_number[list(program.numbers)], value[list(program.numbers)] = True, list(program.numbers.values())
    factor = np.where(is_number[a], value[a], value[b])
    scaled = (code == Code.MUL) & (is_number[a] != is_number[b]) & (abs(factor) >= low) & (abs(factor) <= high)
    return ((code == Code.ADD) | (code == Code.NEG) | scaled,
            np.where(code == Code.NEG, -1.0, np.where(scaled, factor, 1.0)), np.where(scaled & is_number[a], b, a))


def _roots(absorbed: Array, user: Array, gives: Array) -> tuple[Array, Array, Array]:
    """Of every line: the sum that it ends up in; what it is multiplied by on the way; whether its own number and those on the
    way may not be multiplied together, some of them being above 1 and some below, or the product out of range.

    All lines jump at once, each to where the one is that it jumps to: as many rounds as the logarithm of the depth."""
    up = np.where(absorbed, user, np.arange(len(user)))
    times, size = np.where(absorbed, gives[up], 1.0), abs(gives)
    above, below = absorbed & (size[up] > 1), absorbed & (size[up] < 1)
    while not np.array_equal(further := up[up], up):
        times, above, below, up = times * times[up], above | above[up], below | below[up], further
    product = abs(times * gives)
    return up, times, ((size > 1) & below) | ((size < 1) & above) | (product < _PRODUCTS[0]) | (product > _PRODUCTS[1])


def _out_of_order(program: Program, code: Array, a: Array, b: Array, linear: Array, inner: Array, absorbed: Array, root: Array,
                  times: Array) -> Array:
    """The absorbed sums that have to stay apart, so that a sum of single terms keeps its order: where both arguments of a sum
    are such sums, the second; one that is multiplied by a number; and, since shared terms are added last, one that is shared
    within a sum that varies, and one with shared terms of its own."""
    n, varies = len(code), np.array(program.varies, bool)
    placed = ~varies   # a shared term that is 0, as the first one of Python's sum(), may come last
    placed[[i for i, x in program.numbers.items() if x == 0]] = False
    single = np.bincount(root[(code == Code.MUL) & ~linear], minlength=n) == 0
    sums = (code == Code.ADD) & absorbed & single[root]
    if not sums.any():
        return sums
    under = np.where((code == Code.NEG) & absorbed[a], a, np.arange(n))   # what stands behind the minus signs of an argument
    while not np.array_equal(further := under[under], under):
        under = further
    owner = np.flatnonzero((code == Code.ADD) & single[root])
    left, right = under[a[owner]], under[b[owner]]
    second = np.zeros(n, bool)
    second[right[sums[left] & sums[right]]] = True
    with_shared = np.zeros(n, bool)
    for term in left, right:
        with_shared[owner[placed[term]]] = True
    return sums & (second | (abs(times) != 1) | (varies[root] & with_shared))
