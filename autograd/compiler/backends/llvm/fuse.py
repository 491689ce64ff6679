"""Which instructions are done together, in one loop over rows: what a value is needed for is done while it is in a register.

    z = W h + b     a matrix product …
    a = tanh z      … and what takes its results row by row: z is not even stored, if nothing else reads it

An instruction joins the group that computes the last of its arguments, unless it needs another row of that group than the one
at hand. So it may come earlier than in the program, and never before its arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from ...instructions import Apply, Array, Instruction, Linear, MatMul, Products, Spread

__all__ = ["Group", "columns", "fused", "is_by_rows"]

_LONGEST = 16   # terms of a sum that is written out
_SHORT = 12     # operations of an instruction that is written out for each of the results of a matrix product
_FEW = 2        # rows of a matrix product, of which a longer one is


@dataclass
class Group:
    """Instructions on as many rows, one after another in each row. The first may be a matrix product, or a sum that is a loop
    of its own, and then there is no other.

    starts   where the rows begin that they write
    stored   of these, those that somebody else reads, or reads elsewhere
    """

    size: int
    members: list[Instruction] = field(default_factory=list)
    starts: set[int] = field(default_factory=set)
    stored: set[int] = field(default_factory=set)

    @property
    def head(self) -> MatMul | None:
        """The matrix product."""
        first = self.members[0]
        return first if isinstance(first, MatMul) else None

    def holds(self, index: Array) -> bool:
        """Whether these rows are those of a member, in order: the value is in a register."""
        return int(index[0]) in self.starts and np.array_equal(index, np.arange(index[0], index[0] + self.size))


def is_by_rows(i: Instruction) -> bool:
    """Whether row k of the result needs row k of some columns, and is written out."""
    return isinstance(i, (Apply, Spread)) or (isinstance(i, (Products, Linear)) and i.A.shape[1] <= _LONGEST)


def columns(i: Instruction) -> list[tuple[bool, Array]]:
    """Of an instruction that is done row by row, what it takes: whether that is in U, and its rows."""
    if isinstance(i, Apply):
        return i.args
    if isinstance(i, Spread):
        return [(True, i.A)]
    assert isinstance(i, (Products, Linear))
    factors = [i.A, i.B] if isinstance(i, Products) else [i.A]
    return [(i.shared, column) for A in factors for column in A.T]


def fused(body: Sequence[Instruction], rows: int, read: Iterable[Array], length: Callable[[Instruction], int]) -> list[Group]:
    """The instructions on V, which has so many rows, in groups.

    read     rows that are read after all of them
    length   of an instruction that is done row by row, about how many operations it is

    A layer, z = W h and a = 2·z, and a product W a, in rows 4 … 7, 8 … 11 and 12 … 15 of V:

    >>> two, W = np.array([2.0]), np.arange(16).reshape(1, 4, 4)
    >>> def h(start): return np.arange(start, start + 4).reshape(1, 4, 1)
    >>> layer = [MatMul(False, 4, 4, True, W, h(0)), Linear(False, 8, 4, True, two, h(4)[0])]
    >>> for group in fused([*layer, MatMul(False, 12, 4, True, W, h(8))], 16, [np.arange(12, 16)], lambda i: 1):
    ...     print([type(i).__name__ for i in group.members], "stores", group.stored)
    ['MatMul', 'Linear'] stores {8}
    ['MatMul'] stores {12}
    """
    groups: list[Group] = []
    writer = np.full(rows, -1)   # of every row, the group that computes it
    readers: dict[object, int] = {}   # groups by what primitives take
    for i in body:
        own = np.arange(i.start, i.start + i.size)
        taken = [index for shared, index in columns(i) if not shared] if is_by_rows(i) else []
        place = -1
        if is_by_rows(i):
            needs = [*taken, *([] if i.first else [own])]
            last = int(max([writer[index].max() for index in needs], default=-1))
            key = tuple([index.tobytes() for index in taken])
            for candidate in (last, readers.get(key, -1)):
                if candidate >= last and _joins(i, needs, candidate, groups, writer, length):
                    place = candidate
                    break
        if place < 0:
            place = len(groups)
            groups.append(Group(i.size))
        if isinstance(i, Apply):
            readers[key] = place
        groups[place].members.append(i)
        groups[place].starts.add(i.start)
        writer[own] = place
    _mark_stored(groups, rows, read)
    return groups


def _joins(i: Instruction, needs: Sequence[Array], place: int, groups: Sequence[Group], writer: Array,
           length: Callable[[Instruction], int]) -> bool:
    """Whether the instruction can be a member of that group too."""
    if place < 0 or groups[place].size != i.size:
        return False
    group = groups[place]
    if group.head:
        if group.size > _FEW and length(i) > _SHORT:
            return False
    elif not is_by_rows(group.members[0]):
        return False
    return all([group.holds(index) or not (writer[index] == place).any() for index in needs])


def _mark_stored(groups: Sequence[Group], rows: int, read: Iterable[Array]) -> None:
    needed = np.zeros(rows, bool)
    for index in read:
        needed[index] = True
    for group in groups:
        begun: set[int] = set()   # where rows start that are in registers
        for i in group.members:
            if not i.first and i.start not in begun:   # it adds to what others have stored
                needed[i.start:i.start + i.size] = True
            begun.add(i.start)
            if isinstance(i, MatMul):
                needed[i.H] = True
            elif is_by_rows(i):
                for shared, index in columns(i):
                    if not shared and not group.holds(index):
                        needed[index] = True
            else:
                for A in (i.A, i.B) if isinstance(i, Products) else (i.A,):   # type: ignore[attr-defined]
                    needed[A] = True
    for group in groups:
        group.stored = {start for start in group.starts if needed[start:start + group.size].any()}
