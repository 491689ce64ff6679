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
_PRODUCTS = 1e-200, 1e200   # as long as their products are in this range


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

    Reordering a sum changes its last bits, and so does multiplying its numbers together; nothing else is changed."""
    code, a, b, uses, user = _columns(program)
    linear, gives, inner = _linear(program, code, a, b)
    absorbed, root, times = _roots(code, uses, user, linear, gives)
    if not ((abs(times) > _PRODUCTS[0]) & (abs(times) < _PRODUCTS[1])).all():
        linear &= code != Code.MUL   # numbers may not be multiplied together: that leaves the range where the graph stays
        absorbed, root, times = _roots(code, uses, user, linear, gives)

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


def _roots(code: Array, uses: Array, user: Array, linear: Array, gives: Array) -> tuple[Array, Array, Array]:
    """Of every line: whether another sum absorbs it, the sum that it ends up in, and what it is multiplied by on the way.

    All lines jump at once, each to where the one is that it jumps to: as many rounds as the logarithm of the depth."""
    absorbed = (uses == 1) & (user >= 0) & (linear | (code == Code.MUL)) & linear[user]
    up = np.where(absorbed, user, np.arange(len(code)))
    times = np.where(absorbed, gives[up], 1.0)
    while not np.array_equal(further := up[up], up):
        times, up = times * times[up], further
    return absorbed, up, times
