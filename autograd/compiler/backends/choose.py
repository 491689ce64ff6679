"""Step 4, run: which backend takes a program, and the kernel it makes of it.

A kernel is called as kernel(shared, varying, B): lists of arrays (n,) and (B, n) → (sums (m,), each (k, B)), the program's
outputs summed over the batch, and those of each example. `single`, where there is one, takes the floats of one example.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from itertools import pairwise
from time import perf_counter
from typing import Any, Protocol

from .python import python_function
from ..simplify import Program

__all__ = ["Kernel", "check", "finite", "kernel", "python_function"]

NAMES = ("auto", "python", "numpy", "llvm")
_CHUNK = 1 << 19   # numbers in the buffer of a chunk: 4 MiB
_SHORT, _LONG = 5000, 50_000   # lines that Python runs, and that are compiled one by one, without being asked
_MANY = 1 << 13    # sums
_WIDEST = 104      # examples in a tile, at most
_TILE = 1 << 17    # bytes of the rows of a tile, which should stay in a core's second cache


class Kernel(Protocol):
    """What runs a program."""

    @property
    def single(self) -> Callable[[Sequence[float]], Sequence[float]] | None:
        """The function of one example's floats, where there is one."""

    @property
    def source(self) -> str:
        """The program as it runs."""

    @property
    def stats(self) -> dict[str, Any]:
        """What it costs."""

    def __call__(self, shared: Sequence[Any], varying: Sequence[Any], B: int) -> tuple[Any, Any]:
        """The sums and each example's outputs."""


class PythonKernel:
    """Straight-line floats: bit-equal to the graph, one example after another."""

    def __init__(self, program: Program) -> None:
        start = perf_counter()
        self.program, (self.single, self.source) = program, python_function(program)
        lines = sum([op is not None for op in program.ops])
        self.stats = {"backend": "python", "nodes": len(program.ops), "statements": lines, "flops": lines,
                      "bytes": 0, "seconds": perf_counter() - start}

    def __call__(self, shared: Sequence[Any], varying: Sequence[Any], B: int) -> tuple[Any, Any]:
        """Where a primitive raises, nan: the caller asks the graph."""
        import numpy as np
        common = [x for part in shared for x in part.tolist()]
        k = self.program.sums
        sums, each = [0.0] * k, np.empty((len(self.program.outputs) - k, B))
        for b in range(B):
            try:
                found = self.single(common + [x for part in varying for x in part[b].tolist()])
            except (ArithmeticError, ValueError):
                found = (math.nan,) * len(self.program.outputs)
            sums = [a + x for a, x in zip(sums, found, strict=False)]
            each[:, b] = found[k:]
        return np.array(sums), each

    def __str__(self) -> str:
        return self.source


class ArrayKernel:
    """A rolled program on buffers of chunks of the batch. A chunk's size depends on the program alone, and the chunks' sums
    are added in their order, so that the result does not depend on the number of threads."""

    single = None
    source = ""
    straight = False   # whether it has another way for programs without regularity

    def __init__(self, program: Program, widths: Sequence[int], threads: int | None, batched: bool,
                 limit: int = sys.maxsize) -> None:
        from concurrent.futures import ThreadPoolExecutor

        from ..roll import roll
        start = perf_counter()
        self.program, self.batched, self.widths = program, batched, widths
        self.nodes, self.sums = len(program.ops), program.sums
        self.outputs = len(program.outputs) - self.sums
        self.rolled = roll(program, regular=self.straight or self.nodes > limit)
        if self.rolled.irregular and self.nodes > limit:
            raise NotImplementedError(f"the program is irregular, and with {self.nodes} lines too long to compile unasked")
        self.pool = None if threads in (None, 1) else ThreadPoolExecutor(threads, "autograd")
        self.lanes = max(64, _CHUNK // max(self.rolled.rows, 1) // 8 * 8)
        self.make()
        self.program = self.rolled.program = replace(program, ops=[], args=[], varies=[])   # the lines have done their work
        self.seconds = perf_counter() - start

    @property
    def stats(self) -> dict[str, Any]:
        """What it costs; `bytes` are of the buffers that it keeps."""
        return {"nodes": self.nodes, **self.measures(), "seconds": self.seconds}

    def make(self) -> None:
        """Write or compile the program."""
        raise NotImplementedError

    def measures(self) -> dict[str, Any]:
        """What `stats` tells of this backend."""
        raise NotImplementedError

    def run(self, shared: Sequence[Any], varying: Sequence[Any], B: int) -> tuple[Any, Any]:
        """One chunk."""
        raise NotImplementedError

    def __call__(self, shared: Sequence[Any], varying: Sequence[Any], B: int) -> tuple[Any, Any]:
        """In one chunk, or in several of nearly equal size."""
        if B <= self.lanes:   # noqa: SIM300
            return self.run(shared, varying, B)
        import numpy as np
        parts = -(-B // self.lanes)
        cuts = [B * k // parts for k in range(parts + 1)]
        pieces = [[x[a:b] for x in varying] for a, b in pairwise(cuts)]
        each_map = self.pool.map if self.pool else map
        done = list(each_map(lambda piece: self.run(shared, piece, len(piece[0])), pieces))
        sums = done[0][0]
        with np.errstate(all="ignore"):
            for part, _ in done[1:]:
                sums += part
        return sums, np.concatenate([each for _, each in done], axis=1)

    def __str__(self) -> str:
        if self.rolled.irregular or (self.nodes > _LONG and len(self.rolled.body) > _SHORT):
            return f"{self.nodes} lines without regularity, one instruction each; see .source"
        from ..show import shown
        return shown(self.rolled, self.widths)


class NumpyKernel(ArrayKernel):
    """Rolled, as numpy statements."""

    def make(self) -> None:
        """Write the statements."""
        from .numpy import NumpyProgram
        self.numpy = NumpyProgram(self.rolled, self.widths)
        self.source = self.numpy.source
        self.free: dict[int, list[Any]] = {}   # size of a chunk → functions that no call is using

    def measures(self) -> dict[str, Any]:
        """What `stats` tells."""
        return {"backend": "numpy", "statements": len(self.numpy.lines), "flops": self.rolled.flops,
                "bytes": sum([bytes_ for free in self.free.values() for _, _, bytes_ in free])}

    def run(self, shared: Sequence[Any], varying: Sequence[Any], B: int) -> tuple[Any, Any]:
        """One chunk, on buffers of its size that nobody else uses now."""
        import numpy as np
        try:
            f, buffers, bytes_ = self.free[B].pop()
        except (KeyError, IndexError):
            f, buffers, bytes_ = self.numpy.bind(B)
        U, V, G, at = buffers["U"], buffers["V"], np.empty(self.sums), 0
        for x in shared:
            U[at:at + len(x)] = x
            at += len(x)
        with np.errstate(all="ignore"):
            f(G, *varying)
        each = np.empty((self.outputs, B))
        if self.outputs:
            each[self.rolled.each[0]] = V[self.rolled.each[1]]
            each[self.rolled.each_shared[0]] = U[self.rolled.each_shared[1], None]
        if len(self.free) > 2 and B not in self.free:
            self.free = {}
        self.free.setdefault(B, []).append((f, buffers, bytes_))
        return G, each


class LLVMKernel(ArrayKernel):
    """Machine code: loops over what is rolled, or instruction after instruction where there is no regularity."""

    straight = True

    def make(self) -> None:
        """Compile."""
        self.lanes, rolled = 1024, self.rolled
        if rolled.irregular:
            from .llvm.straight import StraightProgram
            self.loops: Any = StraightProgram(self.program, self.widths, self.batched)
            self.most = self.loops.step
        else:
            from .llvm.loops import LoopProgram
            self.loops = LoopProgram(rolled, self.widths)
            step = self.loops.step
            fit = max(_TILE // (8 * max(rolled.rows, 1)) // step, 2)
            if rolled.rows_shared > _TILE >> 3:   # over so many weights it should pass seldom
                fit = _WIDEST
            self.most = min(fit, _WIDEST // step) * step
        self.source = self.loops.source
        self.free: list[Any] = []   # buffers that no call is using

    def measures(self) -> dict[str, Any]:
        """What `stats` tells."""
        return {"backend": "llvm", "statements": self.source.count("\n"), "flops": self.rolled.flops,
                "bytes": sum([x.nbytes for buffers in self.free for x in (buffers.U, buffers.V, buffers.S, buffers.G)])}

    def run(self, shared: Sequence[Any], varying: Sequence[Any], B: int) -> tuple[Any, Any]:
        """One chunk, on buffers that nobody else uses now."""
        try:
            buffers = self.free.pop()
        except IndexError:
            buffers = _Buffers(self)
        found: tuple[Any, Any] = buffers.run(shared, varying, B)
        self.free.append(buffers)
        return found

class _Buffers:
    """What a call of machine code writes on, and the addresses of that."""

    def __init__(self, kernel: LLVMKernel) -> None:
        import numpy as np
        self.np, self.kernel, loops = np, kernel, kernel.loops
        self.U = np.zeros(max(loops.rows_shared, 1))
        for row, x in loops.numbers:
            self.U[row] = x
        self.V, self.S = np.empty(max(loops.rows * kernel.most, 1)), np.empty(max(loops.scratch * kernel.most, 1))
        self.G = np.empty(max(kernel.sums if kernel.sums <= _MANY else 1, 1))
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

    def run(self, shared: Sequence[Any], varying: Sequence[Any], B: int) -> tuple[Any, Any]:
        """The sums and each example's outputs of a batch that is one chunk."""
        kernel, place = self.kernel, 0
        for x in shared:
            end = place + len(x)
            self.U[place:end] = x
            place = end
        if B != self.B:
            tiles, step = -(-B // kernel.most), kernel.loops.step
            T = -(-B // (tiles * step)) * step
            self.sizes[:3] = B, T, -(-B // T)
            self.B = B
            self.few = [self.np.empty((B, width)) if B * width <= _MANY else None for width in kernel.loops.widths]
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
        if kernel.sums > _MANY:   # written where they stay: a copy of few is faster than asking for an address
            G = self.np.empty(kernel.sums)
            kernel.loops.native.call(self.u, self.v, G.ctypes.data, E.ctypes.data if kernel.outputs else 0, self.s, self.z,
                                     *self.at)
            return G, E
        kernel.loops.native.call(self.u, self.v, self.g, E.ctypes.data if kernel.outputs else 0, self.s, self.z, *self.at)
        return self.G[:kernel.sums].copy(), E


def check(backend: str) -> None:
    """ValueError unless there is a backend of that name, ImportError if it needs what is not installed."""
    if backend not in NAMES:
        raise ValueError(f"compile(backend={backend!r}): there are {', '.join(NAMES)}")
    if backend == "llvm" and not find_spec("llvmlite"):
        raise ImportError("compile(backend='llvm') needs llvmlite: pip install 'xigrad[jit]'")


def kernel(program: Callable[[bool], Program], backend: str, batched: bool, widths: Sequence[int],
           threads: int | None) -> Kernel:
    """The kernel of `program(lowered)`, whose varying inputs come in arguments of these widths.

    "auto" takes Python for a single example of a short program; else machine code, if llvmlite is there and the program is
    not both irregular and very long; else numpy for a batch.
    """
    auto = backend == "auto"
    if backend == "python" or (auto and not batched and len(program(False).ops) <= _SHORT):
        return PythonKernel(program(False))
    lowered = program(True)
    if backend == "llvm" or (auto and find_spec("llvmlite")):
        try:
            return LLVMKernel(lowered, widths, threads, batched, _LONG if auto else sys.maxsize)
        except NotImplementedError:
            if not auto:
                raise
    try:
        if batched or not auto:
            return NumpyKernel(lowered, widths, threads, batched, _LONG if auto else sys.maxsize)
    except NotImplementedError:
        pass
    return PythonKernel(program(False))


def finite(x: Any) -> bool:
    """Whether all numbers of an array are finite; of many it is asked in one product, unless that overflows."""
    import numpy as np
    if x.size > _MANY:
        with np.errstate(all="ignore"):
            if np.vdot(x, x) < math.inf:
                return True
    return bool(np.isfinite(x).all())
