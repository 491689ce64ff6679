"""Step 5, roll: lines of one form become instructions on arrays.

    pack    lines of one form and level are computed together, in rows that lie side by side
    match   rows that share their factors are a matrix product: forward W x, backward Wᵀδ, and δ hᵀ summed over a batch

What all examples share is in U, one number a row; what varies in V, a row of B numbers. All is done on index arrays, a few
numpy calls for a pack: a graph of a third of a million nodes takes less than a second.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..primitive import Primitive
from .classify import KINDS, Forms, Kind, classify
from .flatten import NOTHING, flatten
from .instructions import Apply, Array, Instruction, Linear, MatMul, Outer, Products, Repeated, Rolled, RowSum, Spread
from .match import bicliques, one_order, row_ids, sorted_within
from .program import Program

__all__ = ["Pack", "levels", "packs_of", "roll"]

_PACKS, _LINES = 100, 64    # regular: at most 100 packs, or 64 lines of the program for each


def roll(program: Program, regular: bool = False) -> Rolled:
    """The program as instructions on arrays. If it must be `regular`, and is not, only that is said: `irregular`."""
    forms = classify(program, flatten(program))
    packs = packs_of(program, forms)
    if regular and len(packs) > max(_PACKS, len(program.ops) // _LINES):
        return Rolled(program, irregular=True)
    rows = _first_rows(program, forms)
    numbers = [(int(rows.of[i]), x) for i, x in forms.lines.numbers.items()]
    body: list[Instruction] = []
    for pack in packs:
        body += _applied(pack, program, forms, rows) if pack.op else _summed(pack, forms, rows)
    totals, repeated = _totals(program, forms, rows)
    each = np.array(program.outputs[program.sums:], np.int64)
    dst, varies = np.arange(len(each)), forms.lines.varies[each]
    return Rolled(program, rows.shared, rows.varying, numbers, body, totals, repeated,
                  each=(dst[varies], rows.of[each[varies]]), each_shared=(dst[~varies], rows.of[each[~varies]]))


# ---- levels and packs

@dataclass
class Pack:
    """Lines that are computed together: results of the primitive `op`; or, if that is None, sums with terms of the same kinds
    and numbers."""

    varies: bool
    level: int
    op: Primitive | None
    lines: Array


def levels(program: Program, forms: Forms) -> dict[int, int]:
    """{line: its level} of all that is computed, arguments before results: one more than the highest of its arguments."""
    lines, args = forms.lines, program.args
    level = [0] * (len(lines.varies) + 1)   # that of NOTHING too
    is_sum, shared_part, starts = lines.is_sum.tolist(), lines.shared_part.tolist(), forms.starts[::KINDS].tolist()
    A, B = forms.terms.A.tolist(), forms.terms.B.tolist()
    computed = np.flatnonzero(lines.computed & ~lines.only_summed)
    varies = lines.varies[computed]
    order = np.concatenate([computed[~varies], computed[varies]]).tolist()   # for shared lines that were made come last
    for i in order:
        of = [*A[starts[i]:starts[i + 1]], *B[starts[i]:starts[i + 1]], shared_part[i]] if is_sum[i] else args[i]
        level[i] = 1 + max([level[j] for j in of])
    return {i: level[i] for i in order}


def packs_of(program: Program, forms: Forms) -> list[Pack]:
    """All that is computed, the shared packs first, and of these and the others level after level."""
    lines, terms, args = forms.lines, forms.terms, program.args
    marks = np.random.default_rng(0).integers(1, 2 ** 63, (KINDS, int(forms.coefficient.max(initial=0)) + 1), np.uint64)
    form = np.where(lines.shared_part == NOTHING, np.uint64(0), np.uint64(7919))   # sums of one form have one mark
    at = np.arange(len(terms.root)) - forms.starts[KINDS * terms.root + terms.kind]   # single terms have an order
    np.add.at(form, terms.root, marks[terms.kind, forms.coefficient] * np.where(terms.kind == Kind.LINEAR, 2 * at + 1, 1)
              .astype(np.uint64))
    mark, is_sum, varies = form.tolist(), lines.is_sum.tolist(), lines.varies.tolist()
    found: dict[tuple[bool, int, Primitive | None, object], list[int]] = {}
    for i, level in levels(program, forms).items():
        op, same = (None, mark[i]) if is_sum[i] else (program.ops[i], tuple([varies[j] for j in args[i]]))
        found.setdefault((varies[i], level, op, same), []).append(i)
    return [Pack(*key[:3], np.array(found[key], np.int64)) for key in sorted(found, key=lambda key: key[:2])]


# ---- rows, and the instructions that write them

@dataclass
class Rows:
    """of[i] is the row of line i, of U if it is shared and of V if it varies; and how many rows are taken."""

    of: Array
    shared: int
    varying: int

    def take(self, lines: Array, varies: bool) -> int:
        """The next rows of U or V for the lines, in their order; the first of them."""
        start = self.varying if varies else self.shared
        self.of[lines] = np.arange(start, start + len(lines))
        self.varying, self.shared = self.varying + varies * len(lines), self.shared + (not varies) * len(lines)
        return start


def _first_rows(program: Program, forms: Forms) -> Rows:
    """The inputs have the first rows, and then the numbers."""
    rows = Rows(np.full(len(forms.lines.varies), NOTHING), 0, 0)
    rows.take(np.arange(program.shared), False)
    rows.take(np.arange(program.shared, program.shared + program.varying), True)
    rows.take(np.array(list(forms.lines.numbers), np.int64), False)
    return rows


def _applied(pack: Pack, program: Program, forms: Forms, rows: Rows) -> list[Instruction]:
    """A primitive, its lines in the order of their arguments' rows."""
    args = np.array([program.args[i] for i in pack.lines.tolist()], np.int64)
    of, varies = rows.of[args], forms.lines.varies[args[0]].tolist()
    order = np.lexsort(of.T[::-1])
    start = rows.take(pack.lines[order], pack.varies)
    assert pack.op is not None
    return [Apply(not pack.varies, start, len(order), True, pack.op, [(not v, of[order, q]) for q, v in enumerate(varies)])]


def _summed(pack: Pack, forms: Forms, rows: Rows) -> list[Instruction]:
    """Sums of one form. They lie in the order that makes them matrix products, or else in that of their arguments' rows."""
    shared, size = not pack.varies, len(pack.lines)
    (_, W, H), (C, A, B), (D, E, _) = [_factors(pack.lines, kind, forms, rows) for kind in Kind]
    A, B = np.minimum(A, B), np.maximum(A, B)
    order, matrices = np.arange(size), list[tuple[Array, Array]]()
    if W.shape[1]:
        order, matrices = _matched(W, H)
    elif keys := [x for x in (E, A, B) if x.shape[1]]:
        order = np.lexsort(np.concatenate(keys, axis=1).T[::-1])
    body: list[Instruction] = []
    start = at = rows.take(pack.lines[order], pack.varies)
    for w, h in matrices:
        body.append(MatMul(shared, at, w.shape[0] * w.shape[1] * h.shape[2], True, w, h))
        at += body[-1].size
    if A.shape[1]:
        body.append(Products(shared, start, size, not body, C, *sorted_within(C, A[order], B[order])))
    if E.shape[1]:
        body.append(Linear(shared, start, size, not body, D, E[order]))
    parts = forms.lines.shared_part[pack.lines[order]]
    if parts[0] != NOTHING:
        body.append(Spread(shared, start, size, not body, rows.of[parts]))
    return body


def _factors(lines: Array, kind: Kind, forms: Forms, rows: Rows) -> tuple[Array, Array, Array]:
    """C (m,), and the rows of A and B (k, m) of the terms of a kind of k sums of one form."""
    C, A, B = forms.of(lines, kind)
    return C, rows.of[A], rows.of[B]


def _matched(W: Array, H: Array) -> tuple[Array, list[tuple[Array, Array]]]:
    """Sums of products of rows W (k, m) of U and H (k, m) of V as matrix products (g, r, m) · (g, m, c): the order in which
    the sums are their results, and the factors of each."""
    W, H = one_order(W, H)
    groups = list(bicliques(row_ids(W), row_ids(H)))
    return (np.concatenate([at.ravel() for at in groups]),
            [(W[at[:, :, 0]], H[at[:, 0, :]].swapaxes(1, 2)) for at in groups])


# ---- sums over the batch

def _totals(program: Program, forms: Forms, rows: Rows) -> tuple[list[Outer | RowSum], Repeated]:
    """How the sums over the batch are made: of products, of rows, and of what is the same in every example.

    Whoever is the first to have a sum sets it, and all later ones add to it, so that no sum needs to begin at 0."""
    lines, terms = forms.lines, forms.terms
    sums, dst = np.array(program.outputs[:program.sums], np.int64), np.arange(program.sums)
    only, varies = lines.only_summed[sums], lines.varies[sums]
    place = np.full(len(lines.varies), NOTHING)
    place[sums[only]] = dst[only]
    begun = np.zeros(len(sums), bool)
    totals: list[Outer | RowSum] = []
    for outer in _outer(forms, rows, sums[only], place):
        begun[outer.dst] = True
        totals.append(outer)

    linear = (terms.kind == Kind.LINEAR) & (place[terms.root] >= 0)
    own = varies & ~only
    C = np.concatenate([terms.C[linear], np.ones(int(own.sum()))])
    A = np.concatenate([rows.of[terms.A[linear]], rows.of[sums[own]]])
    to = np.concatenate([place[terms.root[linear]], dst[own]])
    if len(A):
        order = np.lexsort((to, A))
        totals.append(RowSum(C[order], A[order], to[order], _first(to[order], begun)))

    part = lines.shared_part[sums]
    with_part = only & (part != NOTHING)
    A = rows.of[np.concatenate([part[with_part], sums[~varies]])]
    to = np.concatenate([dst[with_part], dst[~varies]])
    repeated = Repeated(A, to, _first(to, begun))
    assert begun.all()
    return totals, repeated


def _outer(forms: Forms, rows: Rows, sums: Array, place: Array) -> list[Outer]:
    """The products in sums that are only summed over the batch. A sum is in one of them at most."""
    terms, products = forms.terms, forms.count(sums, Kind.BOTH_ALIKE) > 0
    inside = (terms.kind == Kind.BOTH_ALIKE) & (place[terms.root] >= 0)
    mark = np.zeros(len(place), np.uint64)   # of sums of one form: the same
    marks = np.random.default_rng(1).integers(1, 2 ** 63, int(forms.coefficient.max(initial=0)) + 1, np.uint64)
    np.add.at(mark, terms.root[inside], marks[forms.coefficient[inside]])
    found = []
    for form in np.unique(mark[sums[products]]):
        members = sums[products & (mark[sums] == form)]
        C, A, B = _factors(members, Kind.BOTH_ALIKE, forms, rows)
        A, B = sorted_within(C, np.minimum(A, B), np.maximum(A, B))
        found += [Outer(C, A[at[:, :, 0]], B[at[:, 0, :]], place[members[at]]) for at in bicliques(row_ids(A), row_ids(B))]
    return found


def _first(dst: Array, begun: Array) -> Array:
    """Of every place in dst, whether it is the first that has that sum; from then on it is `begun`."""
    first = np.zeros(len(dst), bool)
    first[np.unique(dst, return_index=True)[1]] = True
    first &= ~begun[dst]
    begun[dst] = True
    return first
