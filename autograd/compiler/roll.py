"""Step 3, roll: from lines of scalars to instructions on arrays.

    flatten   sums inside sums become one sum of products:        y = Σ c·a·b + Σ c·a
    pack      lines of one form and level are computed together, in rows that lie side by side
    match     rows that share their factors are a matrix product: forward W x, backward Wᵀδ, and δ hᵀ summed over a batch

What all examples share is in U, one number a row; what varies in V, a row of B numbers. Reordering a sum changes its
last bits; nothing else is changed. All is done on index arrays, a few numpy calls for a pack: a graph of a third of
a million nodes takes half a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..primitives import add, mul, neg
from .instructions import Apply, Array, Linear, MatMul, Outer, Products, Rolled, RowSum, Spread
from .match import bicliques, one_order, row_ids, sorted_within
from .program import Program

__all__ = ["roll"]

_LINEAR_MOST = 8            # a longer sum of rows is a matrix product with numbers
_PACKS, _LINES = 100, 64    # regular: at most 100 packs, or 64 lines of the program for each
_MODERATE = 1e-9, 1e9       # constants that may be multiplied together,
_PRODUCTS = 1e-200, 1e200   # as long as their products are in this range


def roll(program: Program, regular: bool = False) -> Rolled:
    """The program as instructions on arrays. If it must be `regular`, and is not, only that is said: `irregular`."""
    return _Roller(program, regular).rolled


class _Roller:
    """The three passes; arrays over lines grow where a pass makes a line of its own."""

    def __init__(self, program: Program, regular: bool) -> None:
        self.program, self.regular = program, regular
        self.rolled = Rolled(program)
        self.varies = np.array(program.varies, bool)
        self.numbers = dict(program.numbers)
        self._columns()
        self._flatten()
        self._classify()
        self._levels()
        self._pack()

    # ---- flatten

    def _columns(self) -> None:
        """Operations and arguments as arrays."""
        program = self.program
        codes: dict[Any, int] = {None: 0, add: 1, mul: 2, neg: 3}
        code = np.array([codes.setdefault(op, len(codes)) for op in program.ops], np.int64)
        self.ops: list[Any] = list(codes)
        first = np.array([of[0] if of else -1 for of in program.args], np.int64)
        second = np.array([of[1] if len(of) > 1 else -1 for of in program.args], np.int64)
        self.code, self.first, self.second = code, first, second

    def _flatten(self, scaling: bool = True) -> None:
        """Terms (root, C, A, B): root = Σ C·A·B, B = −1 where there is no second factor."""
        code, a, b, n = self.code, self.first, self.second, len(self.code)
        is_number = np.zeros(n + 1, bool)
        is_number[list(self.numbers)] = True
        value = np.zeros(n + 1)
        value[list(self.numbers)] = list(self.numbers.values())
        low, high = _MODERATE
        scaled = (code == 2) & (is_number[a] != is_number[b]) & scaling
        factor = np.where(is_number[a], value[a], value[b])
        scaled &= (abs(factor) >= low) & (abs(factor) <= high)
        inner = np.where(is_number[a], b, a)   # of a scaled line, what is scaled
        linear = (code == 1) | (code == 3) | scaled
        summed = linear | (code == 2)

        more = [(i, x) for i, of in enumerate(self.program.args) if len(of) > 2 for x in of[2:]]
        users = np.concatenate([np.flatnonzero(a >= 0), np.flatnonzero(b >= 0), np.array([i for i, _ in more], np.int64)])
        used = np.concatenate([a[a >= 0], b[b >= 0], np.array([x for _, x in more], np.int64)])
        outputs = np.array(self.program.outputs, np.int64)
        uses = np.bincount(used, minlength=n) + np.bincount(outputs, minlength=n)
        is_output = np.zeros(n, bool)
        is_output[outputs] = True
        user = np.full(n, -1)
        user[used] = users
        absorbed = (uses == 1) & ~is_output & summed & (user >= 0) & linear[user]
        up = np.where(absorbed, user, np.arange(n))
        times = np.where(absorbed, np.where(code[up] == 3, -1.0, np.where(scaled[up], factor[up], 1.0)), 1.0)
        while True:   # every line jumps to the root of its sum, in as many steps as the logarithm of its depth
            further = up[up]
            if np.array_equal(further, up):
                break
            times, up = times * times[up], further
        if scaling and not ((abs(times) > _PRODUCTS[0]) & (abs(times) < _PRODUCTS[1])).all():
            self._flatten(scaling=False)   # constants may not be multiplied together: that leaves the range of numbers
            return

        is_absorbed = np.append(absorbed, False)
        product = (code == 2) & ~scaled
        parts = []
        s = np.flatnonzero(code == 1)
        for slot, child in enumerate((a, b)):
            parts.append((s, 2 * s + slot, times[s], child[s]))
        s = np.flatnonzero(code == 3)
        parts.append((s, 2 * s, -times[s], a[s]))
        s = np.flatnonzero(scaled)
        parts.append((s, 2 * s, times[s] * factor[s], inner[s]))
        line, place, C, A = [np.concatenate([part[k] for part in parts]) for k in range(4)]
        keep = ~is_absorbed[A]
        line, place, C, A = line[keep], place[keep], C[keep], A[keep]
        B = np.full(len(A), -1)
        s = np.flatnonzero(product)
        pa, pb, pc = a[s], b[s], times[s]
        stripped = np.zeros(n, bool)   # a minus sign inside a product is a sign of the product
        for factors in (pa, pb):
            minus = (code[factors] == 3) & (uses[factors] == 1) & ~is_absorbed[a[factors]]
            stripped[factors[minus]] = True
            pc[minus] *= -1
            factors[minus] = a[factors[minus]]
        root = np.concatenate([up[line], up[s]])
        place = np.concatenate([place, 2 * s])
        self.C, self.A, self.B = np.concatenate([C, pc]), np.concatenate([A, pa]), np.concatenate([B, pb])
        dead = stripped[root]
        order = np.lexsort((place[~dead], root[~dead]))
        self.root, self.C, self.A, self.B = [x[~dead][order] for x in (root, self.C, self.A, self.B)]
        self.is_root = summed & ~absorbed & ~stripped
        self.uses = uses

    # ---- which terms vary, and lines that are made for the sake of the form

    def _new(self, count: int, varies: bool) -> Array:
        made = np.arange(len(self.varies), len(self.varies) + count)
        self.varies = np.append(self.varies, np.full(count, varies))
        self.is_root = np.append(self.is_root, np.full(count, True))
        return made

    def _classify(self) -> None:
        """Every term's kind: 0 shared × varying, 1 both alike, 2 linear; shared terms of a varying line become one line."""
        program = self.program
        n, k = len(self.code), program.sums
        outputs = np.array(program.outputs, np.int64)
        candidates = outputs[:k]
        counts = np.bincount(candidates, minlength=n) if k else np.zeros(n, int)
        final = np.zeros(n, bool)   # lines that are only summed over the batch
        if k:
            only = self.is_root[:n] & self.varies[:n] & (self.uses == 1) & (counts == 1)
            final[only] = True
        self.shared_term = np.full(n, -1)

        root, A, B, C = self.root, self.A, self.B, self.C
        varying = self.varies
        a, b = varying[A], (B >= 0) & varying[B]
        fixed = varying[root] & ~a & ~b
        # the shared terms of a varying line: one line of U
        roots, where, count = np.unique(root[fixed], return_inverse=True, return_counts=True)
        alone = np.zeros(len(root), bool)
        alone[np.flatnonzero(fixed)] = (count[where] == 1) & (C[fixed] == 1) & (B[fixed] < 0)
        self.shared_term[root[alone]] = A[alone]
        rest = fixed & ~alone
        roots, where = np.unique(root[rest], return_inverse=True)
        made = self._new(len(roots), False)
        self.shared_term[roots] = made
        root = root.copy()
        root[rest] = made[where]
        keep = ~alone
        root, A, B, C, a, b = [x[keep] for x in (root, A, B, C, a, b)]
        # shared × varying: the coefficient belongs to the shared factor
        mixed = self.varies[root] & (a != b) & (B >= 0)
        swap = mixed & a
        A[swap], B[swap] = B[swap], A[swap]
        kind = np.where(mixed, 0, np.where(B >= 0, 1, 2))
        # long sums of varying lines: products with numbers, unless the batch is summed too
        linear = (kind == 2) & self.varies[root] & ~np.append(final, np.zeros(len(self.varies) - n, bool))[root]
        length = np.bincount(root[linear], minlength=len(self.varies))
        long = linear & (length[root] > _LINEAR_MOST)
        if long.any():
            values, where = np.unique(C[long], return_inverse=True)
            made = self._new(len(values), False)
            self.is_root[made] = False
            self.numbers.update(zip(made.tolist(), values.tolist(), strict=True))
            A, B, C, kind = A.copy(), B.copy(), C.copy(), kind.copy()
            B[long], A[long], C[long], kind[long] = A[long], made[where], 1.0, 0
        other = (kind == 0) & (C != 1)
        if other.any():
            pairs, where = np.unique(np.stack([C[other], A[other]]), axis=1, return_inverse=True)
            made = self._new(pairs.shape[1], False)
            A[other], C[other] = made[where.ravel()], 1.0
            root, A, B = np.append(root, made), np.append(A, pairs[1].astype(np.int64)), np.append(B, np.full(len(made), -1))
            C, kind = np.append(C, pairs[0]), np.append(kind, np.full(len(made), 2))
        # of a line that is only summed: what is shared × varying is a line of its own, which is then summed
        is_final = np.zeros(len(self.varies), bool)
        is_final[:n] = final
        move = (kind == 0) & is_final[root]
        if move.any():
            roots, where = np.unique(root[move], return_inverse=True)
            made = self._new(len(roots), True)
            is_final = np.append(is_final, np.zeros(len(made), bool))
            root[move] = made[where]
            root, A, B = np.append(root, roots), np.append(A, made), np.append(B, np.full(len(made), -1))
            C, kind = np.append(C, np.ones(len(made))), np.append(kind, np.full(len(made), 2))
        self.shared_term = np.append(self.shared_term, np.full(len(self.varies) - n, -1))
        _, coefficient = np.unique(C, return_inverse=True)
        order = np.lexsort((coefficient, kind, root))
        self.root, self.A, self.B, self.C = root[order], A[order], B[order], C[order]
        self.kind, self.coefficient = kind[order], coefficient[order]
        self.final = is_final
        lines = len(self.varies)
        self.starts = np.searchsorted(self.root, np.arange(lines + 1))
        self.count = np.stack([np.bincount(self.root[self.kind == q], minlength=lines) for q in range(3)])

    # ---- levels

    def _levels(self) -> None:
        """The level of every line that is computed: one more than the highest of its arguments."""
        program = self.program
        lines = len(self.varies)
        level = [0] * lines
        final, is_root = self.final.tolist(), self.is_root.tolist()
        shared = self.shared_term.tolist()
        code = self.code.tolist()
        A, B, starts = self.A.tolist(), self.B.tolist(), self.starts.tolist()
        level.append(0)   # of −1
        n = len(code)
        varies = self.varies.tolist()
        absorbed_or_leaf = [not r and (i >= n or self._is_summed(code[i]) or code[i] == 0) for i, r in enumerate(is_root)]
        computed = [i for i in range(lines) if not absorbed_or_leaf[i] and not final[i]]
        order = ([i for i in computed if i < n and not varies[i]] + [i for i in computed if i >= n and not varies[i]]
                 + [i for i in computed if varies[i]])
        args = program.args
        for i in order:
            if is_root[i]:
                s, e = starts[i], starts[i + 1]
                of = A[s:e] + B[s:e]
                of.append(shared[i])
            else:
                of = list(args[i])
            level[i] = 1 + max([level[j] for j in of])
        self.level = level
        self.computed = order

    @staticmethod
    def _is_summed(code: int) -> bool:
        return code in (1, 2, 3)

    # ---- pack and match

    def _pack(self) -> None:
        """Rows for every line: the inputs, the numbers, and then pack after pack."""
        rolled, program, lines = self.rolled, self.program, len(self.varies)
        self.row = np.full(lines, -1)
        inputs = program.shared
        self.row[:inputs] = np.arange(inputs)
        self.row[inputs:inputs + program.varying] = np.arange(program.varying)
        self.filled = [inputs + len(self.numbers), program.varying]   # rows of U and of V so far
        for k, (i, x) in enumerate(self.numbers.items()):
            self.row[i] = inputs + k
            rolled.numbers.append((inputs + k, x))
        marks = np.random.default_rng(0).integers(1, 2 ** 63, (3, int(self.coefficient.max(initial=0)) + 1), np.uint64)
        mark = marks[self.kind, self.coefficient]
        total = np.zeros(lines, np.uint64)
        np.add.at(total, self.root, mark)
        total += np.where(self.shared_term[:lines] >= 0, np.uint64(7919), np.uint64(0))
        forms = total.tolist()
        is_root, varies, level = self.is_root.tolist(), self.varies.tolist(), self.level
        packs: dict[Any, list[int]] = {}
        for i in self.computed:
            of = None if is_root[i] else tuple([varies[j] for j in program.args[i]])
            key = (varies[i], level[i], is_root[i], forms[i] if of is None else self.code[i], of)
            packs.setdefault(key, []).append(i)
        rolled.irregular = self.regular and len(packs) > max(_PACKS, len(program.ops) // _LINES)
        if rolled.irregular:
            return
        for key in sorted(packs, key=lambda key: key[:2]):
            members = np.array(packs[key], np.int64)
            if key[2]:
                self._sum_pack(members, not key[0])
            else:
                self._apply_pack(members, not key[0], key[4])
        rolled.rows_shared, rolled.rows = self.filled
        self._totals()

    def _take(self, members: Array, shared: bool) -> int:
        """The next rows of U or V for the lines, in their order; the first of them."""
        start = self.filled[not shared]
        self.row[members] = np.arange(start, start + len(members))
        self.filled[not shared] += len(members)
        return start

    def _apply_pack(self, members: Array, shared: bool, of: Sequence[bool]) -> None:
        args = self.program.args
        rows = self.row[np.array([args[i] for i in members.tolist()], np.int64)]
        order = np.lexsort(rows.T[::-1])
        start = self._take(members[order], shared)
        op = self.ops[int(self.code[members[0]])]
        self.rolled.body.append(Apply(shared, start, len(members), True, op,
                                      [(not v, rows[order, q]) for q, v in enumerate(of)]))

    def _terms(self, members: Array, kind: int) -> tuple[Array, Array, Array]:
        """C (m,), and the rows A, B (k, m) of the terms of a kind of all members."""
        before = sum([int(self.count[q][members[0]]) for q in range(kind)])
        at = self.starts[members][:, None] + before + np.arange(self.count[kind][members[0]])
        B = self.B[at]
        return self.C[at[0]] if len(at) else np.zeros(0), self.row[self.A[at]], np.where(B >= 0, self.row[B], -1)

    def _sum_pack(self, members: Array, shared: bool) -> None:
        body = self.rolled.body
        (_, W, H), (C, A, B), (D, E, _) = [self._terms(members, kind) for kind in range(3)]
        spread = self.shared_term[members[0]] >= 0
        parts: list[tuple[int, Array, Array]] = []
        if W.shape[1]:
            W, H = one_order(W, H)
            members_in_order = []
            offset = 0
            for group in bicliques(row_ids(W), row_ids(H)):
                g, r, c = group.shape
                parts.append((offset, W[group[:, :, 0]], H[group[:, 0, :]].swapaxes(1, 2)))
                members_in_order.append(group.ravel())
                offset += g * r * c
            order = np.concatenate(members_in_order)
        else:
            A, B = np.minimum(A, B), np.maximum(A, B)
            keys = [E, A, B] if E.shape[1] else [A, B]
            order = np.lexsort(np.concatenate(keys, axis=1).T[::-1]) if sum([key.shape[1] for key in keys]) else (
                np.arange(len(members)))
        if A.shape[1]:
            A, B = sorted_within(C, np.minimum(A, B)[order], np.maximum(A, B)[order])
        members = members[order]
        start = self._take(members, shared)
        first = True
        for offset, w, h in parts:
            body.append(MatMul(shared, start + offset, w.shape[0] * w.shape[1] * h.shape[2], True, w, h))
            first = False
        size = len(members)
        if A.shape[1]:
            body.append(Products(shared, start, size, first, C, A, B))
            first = False
        if E.shape[1]:
            body.append(Linear(shared, start, size, first, D, E[order]))
            first = False
        if spread:
            body.append(Spread(shared, start, size, first, self.row[self.shared_term[members]]))

    def _totals(self) -> None:
        """What becomes of the outputs."""
        program, rolled = self.program, self.rolled
        k = program.sums
        outputs = np.array(program.outputs, np.int64)
        lines, dst = outputs[:k], np.arange(k)
        final = self.final[lines] if k else np.zeros(0, bool)
        roots, dst_of = lines[final], dst[final]
        if len(roots):
            place = np.full(len(self.varies), -1)
            place[roots] = dst_of
            products = self.kind == 1
            inside = products & (place[self.root] >= 0)
            if inside.any():
                count = self.count[1][roots]
                mark = np.zeros(len(self.varies), np.uint64)
                marks = np.random.default_rng(1).integers(1, 2 ** 63, int(self.coefficient.max()) + 1, np.uint64)
                np.add.at(mark, self.root[inside], marks[self.coefficient[inside]])
                with_products = roots[count > 0]
                forms, where = np.unique(mark[with_products], return_inverse=True)
                for q in range(len(forms)):
                    members = with_products[where == q]
                    C, A, B = self._terms(members, 1)
                    A, B = sorted_within(C, np.minimum(A, B), np.maximum(A, B))
                    for group in bicliques(row_ids(A), row_ids(B)):
                        rolled.totals.append(Outer(C, A[group[:, :, 0]], B[group[:, 0, :]], place[members[group]]))
            linear = (self.kind == 2) & (place[self.root] >= 0)
            sums = [(self.C[linear], self.row[self.A[linear]], place[self.root[linear]])]
            spread = roots[self.shared_term[roots] >= 0]
            constant = [(place[spread], self.row[self.shared_term[spread]])]
        else:
            sums, constant = [], []
        lines, dst = lines[~final], dst[~final]
        varies = self.varies[lines]
        sums.append((np.ones(int(varies.sum())), self.row[lines[varies]], dst[varies]))
        constant.append((dst[~varies], self.row[lines[~varies]]))
        C, A, to = [np.concatenate([part[q] for part in sums]) for q in range(3)]
        if len(A):
            order = np.lexsort((to, A))
            rolled.totals.append(RowSum(C[order], A[order], to[order]))
        rolled.constant = np.concatenate([to for to, _ in constant]), np.concatenate([rows for _, rows in constant])
        lines, dst = outputs[k:], np.arange(len(outputs) - k)
        varies = self.varies[lines]
        rolled.each = dst[varies], self.row[lines[varies]]
        rolled.each_shared = dst[~varies], self.row[lines[~varies]]


# ---- index arrays
