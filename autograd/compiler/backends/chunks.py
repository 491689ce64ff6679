"""What a kernel is, and how a large batch is cut into chunks.

A kernel is called as kernel(shared, varying, B): lists of arrays (n,) and (B, n) → (sums (m,), each (k, B)), the program's
outputs summed over the batch, and those of each example. `single`, where there is one, takes the floats of one example.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol

from ..program import Program
from .recent import Recent, key_of

if TYPE_CHECKING:
    from ..instructions import Rolled

_CHUNK = 1 << 19   # numbers in the buffer of a chunk: 4 MiB
SHORT, LONG = 5000, 50_000   # lines that Python runs, and that are compiled one by one, without being asked
MANY = 1 << 13    # sums
_RECENT = Recent[tuple["Rolled", Any]](300_000)   # lines of all programs that were made last; their plans' lock guards it


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


class ArrayKernel:
    """A rolled program on buffers of chunks of the batch. A chunk's size depends on the program alone, and the chunks' sums
    are added in their order, so that the result does not depend on the number of threads."""

    single = None
    source = ""
    pool: tuple[int, Any] = 0, None   # the process that it belongs to, and its threads
    straight = False   # whether it has another way for programs without regularity

    def __init__(self, program: Program, widths: Sequence[int], threads: int | None, batched: bool,
                 limit: int = sys.maxsize) -> None:
        start = perf_counter()
        self.batched, self.widths, self.threads = batched, widths, threads or 1
        self.nodes, self.sums = len(program.ops), program.sums
        self.outputs = len(program.outputs) - self.sums
        regular = self.straight or self.nodes > limit
        key = type(self), key_of(program), batched, tuple(widths), regular
        rolled, self.made = _RECENT.get(key, self.nodes, partial(self._rolled, program, regular, limit))
        self.program = replace(program, ops=[], args=[], varies=[])   # the lines have done their work
        self.rolled = replace(rolled, program=self.program)   # with labels of its own
        self.lanes = max(64, _CHUNK // max(rolled.rows, 1) // 8 * 8)
        self.ready()
        self.seconds = perf_counter() - start

    def _rolled(self, program: Program, regular: bool, limit: int) -> tuple[Rolled, Any]:
        """The instructions, and what runs them."""
        from ..roll import roll
        rolled = roll(program, regular)
        if rolled.irregular and self.nodes > limit:
            raise NotImplementedError(f"the program is irregular, and with {self.nodes} lines too long to compile unasked")
        made = self.make(rolled)
        rolled.program = replace(program, ops=[], args=[], varies=[], labels={})
        return rolled, made

    @property
    def stats(self) -> dict[str, Any]:
        """What it costs; `bytes` are of the buffers that it keeps."""
        return {"nodes": self.nodes, **self.measures(), "seconds": self.seconds}

    def make(self, rolled: Rolled) -> Any:
        """What runs the program: statements or machine code, on which no call writes."""
        raise NotImplementedError

    def ready(self) -> None:
        """Take what was `made` into use."""
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
        pieces = [[x[a:b] for x in varying] for a, b in self.chunks(B)]
        each_map: Any = self._workers().map if self.threads > 1 else map
        done = list(each_map(lambda piece: self.run(shared, piece, len(piece[0])), pieces))
        sums = done[0][0]
        with np.errstate(all="ignore"):
            for part, _ in done[1:]:
                sums += part
        return sums, np.concatenate([each for _, each in done], axis=1)

    def chunks(self, B: int) -> list[tuple[int, int]]:
        """Where the chunks of a batch begin and end."""
        parts = -(-B // self.lanes)
        return [*pairwise([B * k // parts for k in range(parts + 1)])]

    def _workers(self) -> Any:
        """The pool of threads: made when it is first needed, and again in a process that was forked, which has none of them."""
        process, pool = self.pool
        if process != os.getpid():
            from concurrent.futures import ThreadPoolExecutor
            pool = ThreadPoolExecutor(self.threads, "autograd")
            self.pool = os.getpid(), pool
        return pool

    def __str__(self) -> str:
        if self.rolled.irregular or (self.nodes > LONG and len(self.rolled.body) > SHORT):
            return f"{self.nodes} lines without regularity, one instruction each; see .source"
        from ..show import shown
        return shown(self.rolled, self.widths)


def finite(x: Any) -> bool:
    """Whether all numbers of an array are finite; of many it is asked in one product, unless that overflows."""
    import numpy as np
    if x.size > MANY:
        with np.errstate(all="ignore"):
            if np.vdot(x, x) < math.inf:
                return True
    return bool(np.isfinite(x).all())
