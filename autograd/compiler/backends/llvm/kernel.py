"""The kernel that runs machine code: its buffers and their addresses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...instructions import Rolled
from ..chunks import MANY, ArrayKernel

_WIDEST = 104      # examples in a tile, at most
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

    def measures(self) -> dict[str, Any]:
        """What `stats` tells."""
        return {"backend": "llvm", "statements": self.source.count("\n"), "flops": self.rolled.flops,
                "bytes": sum([x.nbytes for buffers in self.free for x in (buffers.U, buffers.V, buffers.S, buffers.G)])}

    def tiles(self, B: int) -> tuple[int, int, int]:
        """Of a chunk: its B examples, how many of them are a tile, and how many tiles there are."""
        tiles, unit = -(-B // self.most), self.loops.unit
        T = -(-B // (tiles * unit)) * unit
        return B, T, -(-B // T)

    def run(self, shared: Sequence[Any], varying: Sequence[Any], B: int) -> tuple[Any, Any]:
        """One chunk, on buffers that nobody else uses now."""
        try:
            buffers = self.free.pop()
        except IndexError:
            buffers = _Buffers(self)
        found: tuple[Any, Any] = buffers.run(self, shared, varying, B)
        self.free.append(buffers)
        return found


class _Buffers:
    """What a call of machine code writes on, and the addresses of that."""

    def __init__(self, kernel: LLVMKernel) -> None:
        import numpy as np
        self.np, loops = np, kernel.loops
        self.U = np.zeros(max(loops.rows_shared, 1))
        for row, x in loops.numbers:
            self.U[row] = x
        self.V, self.S = np.empty(max(loops.rows * kernel.most, 1)), np.empty(max(loops.scratch * kernel.most, 1))
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
