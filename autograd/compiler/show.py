"""What a rolled program computes, in the notation of the lectures: z1 = W1 @ x + b1, h1 = relu(z1), ∂W1 = d2 @ h1.T …"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from .instructions import Apply, Array, Linear, MatMul, Outer, Products, Rolled, RowSum, Spread, affine

__all__ = ["shown"]


def shown(rolled: Rolled, widths: Sequence[int]) -> str:
    """One line for every group of instructions; a batch is the last axis, which is not written."""
    return "\n".join(_Writer(rolled, widths).lines)


class _Writer:
    def __init__(self, rolled: Rolled, widths: Sequence[int]) -> None:
        self.rolled, self.program = rolled, rolled.program
        self.lines: list[str] = []
        self.blocks: dict[bool, list[tuple[int, int, str]]] = {True: [], False: []}   # first row, end, name
        self.counts: dict[str, int] = {}
        self.weights: dict[Any, tuple[str, tuple[int, ...]]] = {}   # of rows of U: the matrix's or vector's name and shape
        self.numbers = dict(rolled.numbers)
        at = 0
        for k, width in enumerate(widths):
            label = self.program.labels.get(self.program.shared + at, "")
            name = re.match(r"[^\W\d]+", label)
            taken = {name for _, _, name in self.blocks[False]}
            self.blocks[False].append((at, at + width, name[0] if name and name[0] not in taken else f"x{k}"))
            at += width
        for i in rolled.body:
            if isinstance(i, MatMul) and i.W.max() < self.program.shared and not self._known(i.W[0]):
                self._name(i.W[0], "W")
            if isinstance(i, Spread) and i.A.max() < self.program.shared and not self._known(i.A):
                self._name(i.A, "b")
        body = list(rolled.body)
        while body:
            group = [body.pop(0)]
            while body and not body[0].first and body[0].start >= group[0].start and not isinstance(body[0], Apply):
                group.append(body.pop(0))
            self._body(group)
        for total in rolled.totals:
            self._total(total)
        if len(rolled.repeated.A):
            self.lines.append(f"sums += B · {self._rows(True, rolled.repeated.A)}")

    # ---- names

    def _fresh(self, letter: str) -> str:
        self.counts[letter] = self.counts.get(letter, 0) + 1
        return f"{letter}{self.counts[letter]}"

    @staticmethod
    def _key(index: Array) -> Any:
        found = affine(index)
        if not found:
            return index.shape, index.tobytes()
        return found[0], tuple(sorted((s, n) for s, n in zip(found[1], index.shape, strict=True) if n > 1))

    def _known(self, index: Array) -> str | None:
        if self._key(index) not in self.weights:
            return None
        (name, shape), found = self.weights[self._key(index)], affine(index)
        turned = index.shape == shape[::-1] != shape   # of a row or column
        if found and index.ndim == 2 and min(index.shape) > 1:
            turned = found[1][0] < found[1][1]
        return f"{name}.T" if turned else name

    def _name(self, index: Array, letter: str) -> None:
        self.weights[self._key(index)] = self._fresh(letter), index.shape

    def _rows(self, shared: bool, index: Array) -> str:
        """Rows as the user may recognise them."""
        if shared and (name := self._known(index)):
            return name
        low, high = int(index.min()), int(index.max())
        if shared and low == high and low in self.numbers:
            return f"{self.numbers[low]:.6g}"
        for first, end, name in self.blocks[shared]:
            if first <= low and high < end:
                if end == first + 1 or (index.size == end - first and np.array_equal(index.ravel(), np.arange(first, end))):
                    return name
                if low == high:
                    return f"{name}[{low - first}]"
                return f"{name}[{low - first}:{high + 1 - first}]" if high - low + 1 == index.size else f"{name}[…]"
        space = "p" if shared and high < self.program.shared else "u" if shared else "v"
        return f"{space}[{low}:{high + 1}]" if high - low + 1 == index.size else f"{space}[…]"

    # ---- lines

    def _body(self, group: Sequence[Any]) -> None:
        terms: list[str] = []
        letter = "z" if any(isinstance(i, MatMul) for i in group) else "v"
        for i in group:
            if isinstance(i, MatMul):
                terms.append(f"{self._rows(True, i.W[0] if len(i.W) == 1 else i.W)} @ {self._rows(False, i.H)}")
            elif isinstance(i, Spread):
                terms.append(self._rows(True, i.A))
            elif isinstance(i, Apply):
                letter = "h" if len(i.args) == 1 and not i.shared else "v"
                args = [self._rows(shared, index) for shared, index in i.args]
                terms.append(f"{i.op.name}({', '.join(args if len(args) <= 4 else [*args[:2], '…', args[-1]])})")
            else:
                terms += self._sum(i)
        size = max(i.start + i.size for i in group) - group[0].start
        name = self._fresh(letter if not group[0].shared else "u")
        self.blocks[group[0].shared].append((group[0].start, group[0].start + size, name))
        self.lines.append(f"{name} = {' + '.join(terms).replace('+ -', '- ')}".ljust(56) + f"  # {size} row{'s' * (size > 1)}")

    def _sum(self, i: Linear | Products) -> list[str]:
        terms = []
        m = i.A.shape[1]
        if m > 6:
            inner = self._rows(i.shared, i.A) + (f" * {self._rows(i.shared, i.B)}" if isinstance(i, Products) else "")
            return [f"sum({inner})" if (i.C == 1).all() else f"sum(c * {inner})"]
        for j, c in enumerate(i.C.tolist()):
            term = self._rows(i.shared, i.A[:, j])
            if isinstance(i, Products):
                term += f" * {self._rows(i.shared, i.B[:, j])}"
            terms.append(term if c == 1 else f"-{term}" if c == -1 else f"{c:.6g} * {term}")
        return terms

    def _total(self, i: Outer | RowSum) -> None:
        if isinstance(i, RowSum):
            for at in np.split(np.arange(len(i.A)), np.flatnonzero(np.diff(i.A) != 1) + 1)[:8]:
                self.lines.append(f"{self._target(i.dst[at])} += sum({self._rows(False, i.A[at])})")
            return
        a, b = self._rows(False, i.A), self._rows(False, i.B)
        target = self._target(i.dst[0] if len(i.dst) == 1 else i.dst)
        if target.endswith(".T"):
            a, b, target = b, a, target[:-2]
        sign = "" if (i.C == 1).all() else "-" if (i.C == -1).all() else "c * "
        self.lines.append(f"{target} += {sign}{a} @ {b}.T")

    def _target(self, dst: Array) -> str:
        """The name of a sum: the derivative by a parameter whose rows it has, when the first sum is the value."""
        first = self.program.sums - self.program.shared   # the value, and then one derivative for each shared input
        if 0 <= first <= 1 and dst.min() >= first:
            name = self._known(dst - first)
            return f"∂{name}" if name else f"∂{self._rows(True, dst - first)}"
        return "L" if dst.size == 1 and int(dst.flat[0]) == 0 else "sums[…]"
