"""The kernel that runs machine code: its buffers and their addresses."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from itertools import accumulate, chain
from struct import Struct
from typing import Any

from ...instructions import Rolled
from ..chunks import FEW, MANY, ArrayKernel

_WIDEST = 104      # examples in a tile, at most
_SIZES = 8         # of small batches whose buffers are kept
_TILE = 3 << 15    # bytes of the stored rows of a tile, which should stay in a core's second cache


class LLVMKernel(ArrayKernel):
    """Machine code: loops over what is rolled, or instruction after instruction where there is no regularity."""

    straight = True

    def make(self, rolled: Rolled) -> Any:
        """Compile."""
        if rolled.irregular:
            from .straight import StraightProgram
            return StraightProgram(rolled.program, self.widths, self.batched)
        from .loops import LoopProgram
        return LoopProgram(rolled, self.widths)

    def ready(self) -> None:
        """How many examples are a tile, and the buffers."""
        self.lanes, self.loops, rolled = 1024, self.made, self.rolled
        unit = self.most = self.loops.unit
        if not rolled.irregular:
            fit = max(_TILE // (8 * max(self.loops.stored, 1)) // unit, 2)
            if rolled.rows_shared > _TILE >> 3:   # over so many weights it should pass seldom
                fit = _WIDEST
            self.most = min(fit, _WIDEST // unit) * unit
        self.source = self.loops.source
        self.free: list[Any] = []   # buffers that no call is using
        self.spare: dict[int, list[Small]] = {}   # those of small batches, by their number of examples

    def measures(self) -> dict[str, Any]:
        """What `stats` tells."""
        return {"backend": "llvm", "statements": self.source.count("\n"), "flops": self.rolled.flops,
                "bytes": sum([x.nbytes for buffers in chain(self.free, *self.spare.values()) for x in buffers.memory])}

    def tiles(self, B: int) -> tuple[int, int, int]:
        """Of a chunk: its B examples, how many of them are a tile, and how many tiles there are."""
        tiles, unit = -(-B // self.most), self.loops.unit
        T = -(-B // (tiles * unit)) * unit
        return B, T, -(-B // T)

    def small(self, B: int) -> Small | None:
        """Buffers of a batch of B examples that nobody else uses now, to be given back to `spare`; None if it is too large."""
        spare = self.spare.get(B)
        if spare:
            with suppress(IndexError):   # another thread was faster
                return spare.pop()
        elif spare is None:
            if B * sum(self.widths) > MANY or self.sums + self.outputs * B > FEW or self.chunks(B)[1:]:
                return None
            if len(self.spare) > _SIZES:
                self.spare = {}
            self.spare[B] = []
        return Small(self, B)

    def single(self, x: Sequence[float]) -> Sequence[float]:
        """The outputs of one example that is no batch, of the captured numbers and those of the arguments."""
        try:
            small = self.spare[1].pop()
        except (KeyError, IndexError):
            small = Small(self, 1)
        if n := self.program.shared:
            small.U[:n], x = x[:n], x[n:]
        small.put(small.x, 0, *x)
        found: Sequence[float] = small.run()
        self.spare.setdefault(1, []).append(small)
        return found

    def run(self, shared: Sequence[Any], varying: Sequence[Any], B: int) -> tuple[Any, Any]:
        """One chunk, on buffers that nobody else uses now."""
        try:
            buffers = self.free.pop()
        except IndexError:
            buffers = _Buffers(self)
        found: tuple[Any, Any] = buffers.run(self, shared, varying, B)
        self.free.append(buffers)
        return found


class Memory:
    """What a call of machine code writes on, whatever the size of the batch."""

    def __init__(self, kernel: LLVMKernel) -> None:
        import numpy as np
        self.np, loops = np, kernel.loops
        self.U = np.zeros(max(loops.rows_shared, 1))
        for row, x in loops.numbers:
            self.U[row] = x
        self.V, self.S = np.empty(max(loops.rows * kernel.most, 1)), np.empty(max(loops.scratch * kernel.most, 1))

    @property
    def memory(self) -> list[Any]:
        """All its arrays of numbers."""
        return [x for x in vars(self).values() if isinstance(x, self.np.ndarray)]


class Small(Memory):
    """The buffers of small batches of B examples, and of one that is no batch: arguments are copied into them, results are
    taken out as floats, and nobody asks for an address, which takes longer than all the rest.

    X   the arguments that vary, one after another, each (B, numbers of an example)
    R   the sums, then the outputs of each example, (outputs, B)
    """

    def __init__(self, kernel: LLVMKernel, B: int) -> None:
        super().__init__(kernel)
        widths = kernel.loops.widths
        ends = [B * n for n in accumulate(widths, initial=0)]
        self.X, self.R = self.np.empty(ends[-1]), self.np.empty(kernel.sums + kernel.outputs * B)
        self.sizes = self.np.array([*kernel.tiles(B), *[x for width in widths for x in (width, 1)]], self.np.int64)
        U, V, S, X, R, sizes = [x.ctypes.data for x in (self.U, self.V, self.S, self.X, self.R, self.sizes)]
        self.table = self.np.array([U, V, R, R + 8 * kernel.sums, S, sizes, *[X + 8 * end for end in ends[:-1]]], self.np.int64)
        self.at, self.go = self.table.ctypes.data, kernel.loops.native.go
        self.x, self.r = self.X.data, self.R.data   # which are written and read without numpy
        X_format, R_format = Struct(f"{len(self.X)}d"), Struct(f"{len(self.R)}d")
        self.put, self.take, self.give = X_format.pack_into, R_format.unpack_from, R_format.pack_into
        self.rooms: list[Any] = []     # where its user's arguments are put,
        self.results: list[Any] = []   # and where the results are found

    def run(self) -> tuple[float, ...]:
        """What stands in R after a call."""
        self.go(self.at)
        return self.take(self.r)


class _Buffers(Memory):
    """Those of larger batches, and their addresses."""

    def __init__(self, kernel: LLVMKernel) -> None:
        super().__init__(kernel)
        np, loops = self.np, kernel.loops
        self.G = np.empty(max(kernel.sums if kernel.sums <= MANY else 1, 1))
        self.sizes = np.zeros(3 + 2 * len(loops.widths), np.int64)
        self.u, self.v, self.g, self.s, self.z = [x.ctypes.data for x in (self.U, self.V, self.G, self.S, self.sizes)]
        self.copies: list[Any] = [None] * len(loops.widths)
        self.at, self.B = [0] * len(loops.widths), 0

    def _strided(self, k: int, x: Any) -> int:
        """The address of argument k, whose strides are noted."""
        if self.strides[k] != x.strides:
            self.strides[k] = x.strides
            self.sizes[3 + 2 * k:5 + 2 * k] = x.strides[0] // 8, x.strides[1] // 8
        return int(x.ctypes.data)

    def run(self, kernel: LLVMKernel, shared: Sequence[Any], varying: Sequence[Any], B: int) -> tuple[Any, Any]:
        """The sums and each example's outputs of a batch that is one chunk."""
        place = 0
        for x in shared:
            end = place + len(x)
            self.U[place:end] = x
            place = end
        if B != self.B:
            self.sizes[:3] = kernel.tiles(B)
            self.B = B
            self.few = [self.np.empty((B, width)) if B * width <= MANY else None for width in kernel.loops.widths]
            self.strides = [(0, 0)] * len(self.few)
        for k, x in enumerate(varying):
            few = self.few[k]
            if few is not None:   # a copy is faster than asking for an address
                few[...] = x
                if self.strides[k] != few.strides:
                    self.at[k] = self._strided(k, few)
                continue
            between, within = x.strides
            if between < 0 or within < 0 or between % 8 or within % 8 or not x.flags.aligned:
                self.copies[k] = x = x.copy()   # noqa: PLW2901   # machine code counts in numbers
            self.at[k] = self._strided(k, x)
        E = self.np.empty((kernel.outputs, B))
        if kernel.sums > MANY:   # written where they stay: a copy of few is faster than asking for an address
            G = self.np.empty(kernel.sums)
            kernel.loops.native.call(self.u, self.v, G.ctypes.data, E.ctypes.data if kernel.outputs else 0, self.s, self.z,
                                     *self.at)
            return G, E
        kernel.loops.native.call(self.u, self.v, self.g, E.ctypes.data if kernel.outputs else 0, self.s, self.z, *self.at)
        return self.G[:kernel.sums].copy(), E
