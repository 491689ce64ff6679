"""Step 4, classify: which terms vary from example to example, and so which instruction will take them.

    W · x     shared × varying: in matrix products        x · y, w · v    both alike: row by row        2 · x    linear

Where a form is nearly one that arrays are good at, lines are made that the program has not, to make it one: each function
below that does so says which.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np

from .flatten import NOTHING, Flat, Terms
from .instructions import Array
from .program import Program

__all__ = ["KINDS", "Forms", "Kind", "Lines", "classify"]

_LINEAR_MOST = 8   # a longer sum of varying lines is a matrix product with numbers


class Kind(IntEnum):
    """Of a term."""

    SHARED_TIMES_VARYING = 0   # A is shared by all examples, B varies, C is 1: part of a matrix product W @ x
    BOTH_ALIKE = 1             # A and B both vary, or are both shared
    LINEAR = 2                 # there is no B


KINDS = len(Kind)


@dataclass
class Lines:
    """What is known of every line: those of the program, and those that `classify` makes for the sake of the form."""

    varies: Array
    is_sum: Array
    computed: Array      # whether it needs rows
    only_summed: Array   # a varying sum that nothing needs but the sum over the batch
    shared_part: Array   # of a varying sum, the line that is the sum of all its shared terms, or NOTHING
    numbers: dict[int, float]

    def new(self, count: int, varies: bool = False, is_sum: bool = True) -> Array:
        """So many lines more."""
        n = len(self.varies)
        for name, x in (("varies", varies), ("is_sum", is_sum), ("computed", is_sum), ("only_summed", False),
                        ("shared_part", NOTHING)):
            setattr(self, name, np.append(getattr(self, name), np.full(count, x)))
        return np.arange(n, n + count)


@dataclass
class Forms:
    """What `classify` gives: the lines, and the terms sorted by sum and kind, products by C too.

    coefficient   of a term, the place of C among all different ones
    starts        where the terms of line i of a kind begin, at 3·i + kind
    """

    lines: Lines
    terms: Terms
    coefficient: Array
    starts: Array

    def count(self, sums: Array, kind: Kind) -> Array:
        """How many terms of a kind each of the sums has."""
        at = KINDS * sums + kind
        return self.starts[at + 1] - self.starts[at]

    def of(self, sums: Array, kind: Kind) -> tuple[Array, Array, Array]:
        """C (m,) and the lines A, B (k, m) of the terms of a kind of k sums of one form."""
        at = self.starts[KINDS * sums + kind][:, None] + np.arange(self.count(sums[0], kind))
        return self.terms.C[at[0]], self.terms.A[at], self.terms.B[at]


def classify(program: Program, flat: Flat) -> Forms:
    """The terms by kinds. For the sake of the form lines are made that are no lines of the program: see each function below."""
    n, outputs = len(program.ops), np.array(program.outputs[:program.sums], np.int64)
    varies = np.array(program.varies, bool)
    once = (flat.uses == 1) & (np.bincount(outputs, minlength=n) == 1)
    lines = Lines(varies, flat.is_sum, flat.computed, flat.is_sum & varies & once, np.full(n, NOTHING), dict(program.numbers))
    terms = _without_shared_parts(flat.terms, lines)
    terms = _of_kinds(terms, lines)
    terms = _long_sums_as_products(terms, lines)
    terms = _numbers_within_weights(terms, lines)
    terms = _products_before_their_sum(terms, lines)
    _, coefficient = np.unique(terms.C, return_inverse=True)
    order = np.lexsort((np.where(terms.kind == Kind.LINEAR, 0, coefficient), terms.kind, terms.root))   # single terms stay
    counts = np.bincount(KINDS * terms.root + terms.kind, minlength=KINDS * len(lines.varies))
    return Forms(lines, terms.where(order), coefficient[order], np.append(0, np.cumsum(counts)))


def _without_shared_parts(terms: Terms, lines: Lines) -> Terms:
    """The shared terms of a varying sum, w·v + b, are a shared line of their own, unless they are one line already."""
    root, varies = terms.root.copy(), lines.varies
    fixed = varies[root] & ~varies[terms.A] & ~((terms.B >= 0) & varies[terms.B])
    _, where, count = np.unique(root[fixed], return_inverse=True, return_counts=True)
    alone = np.zeros(len(root), bool)
    alone[np.flatnonzero(fixed)] = (count[where] == 1) & (terms.C[fixed] == 1) & (terms.B[fixed] < 0)
    lines.shared_part[root[alone]] = terms.A[alone]
    rest = fixed & ~alone
    sums, where = np.unique(root[rest], return_inverse=True)
    made = lines.new(len(sums))
    lines.shared_part[sums] = made
    root[rest] = made[where]
    return replace(terms, root=root).where(~alone)


def _of_kinds(terms: Terms, lines: Lines) -> Terms:
    """Each term's kind; where one of two factors varies, that is B."""
    A, B, varies = terms.A, terms.B, lines.varies
    a, two = varies[A], terms.B >= 0
    mixed = varies[terms.root] & (a != (two & varies[B])) & two
    swap = mixed & a
    return replace(terms, A=np.where(swap, B, A), B=np.where(swap, A, B),
                   kind=np.where(mixed, Kind.SHARED_TIMES_VARYING, np.where(two, Kind.BOTH_ALIKE, Kind.LINEAR)))


def _long_sums_as_products(terms: Terms, lines: Lines) -> Terms:
    """A long sum Σ C·A of varying lines is a product of the numbers C with them, unless the batch is summed too."""
    root = terms.root
    linear = (terms.kind == Kind.LINEAR) & lines.varies[root] & ~lines.only_summed[root]
    long = linear & (np.bincount(root[linear], minlength=len(lines.varies))[root] > _LINEAR_MOST)
    values, where = np.unique(terms.C[long], return_inverse=True)
    made = lines.new(len(values), is_sum=False)
    lines.numbers.update(zip(made.tolist(), values.tolist(), strict=True))
    A, B, C, kind = terms.A.copy(), terms.B.copy(), terms.C.copy(), terms.kind.copy()
    B[long], A[long], C[long], kind[long] = A[long], made[where], 1.0, Kind.SHARED_TIMES_VARYING
    return Terms(root, C, A, B, kind)


def _numbers_within_weights(terms: Terms, lines: Lines) -> Terms:
    """Of C · weight · varying, C · weight is a shared line."""
    other = (terms.kind == Kind.SHARED_TIMES_VARYING) & (terms.C != 1)
    (C, weights), where = np.unique(np.stack([terms.C[other], terms.A[other]]), axis=1, return_inverse=True)
    made = lines.new(len(C))
    A, ones = terms.A.copy(), np.where(other, 1.0, terms.C)
    A[other] = made[where.ravel()]
    return _and_linear(replace(terms, A=A, C=ones), made, C, weights.astype(np.int64))


def _products_before_their_sum(terms: Terms, lines: Lines) -> Terms:
    """What is shared × varying in a sum that is only summed over the batch is a line of its own, and then a term of it."""
    move = (terms.kind == Kind.SHARED_TIMES_VARYING) & lines.only_summed[terms.root]
    sums, where = np.unique(terms.root[move], return_inverse=True)
    made = lines.new(len(sums), varies=True)
    root = terms.root.copy()
    root[move] = made[where]
    return _and_linear(replace(terms, root=root), sums, np.ones(len(made)), made)


def _and_linear(terms: Terms, root: Array, C: Array, A: Array) -> Terms:
    """The terms, and after them C · A of the sums `root`."""
    n = len(root)
    return Terms(np.append(terms.root, root), np.append(terms.C, C), np.append(terms.A, A),
                 np.append(terms.B, np.full(n, NOTHING)), np.append(terms.kind, np.full(n, Kind.LINEAR)))
