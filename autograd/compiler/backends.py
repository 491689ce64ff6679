"""Step 4, run: which backend takes a program, and the kernel it makes of it.

A kernel is called as kernel(shared, varying, B): lists of arrays (n,) and (B, n) → (sums (m,), each (k, B)), the program's
outputs summed over the batch, and those of each example. `single`, where there is one, takes the floats of one example.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any, Protocol

from .python import python_function, python_source
from .simplify import Program

__all__ = ["Kernel", "check", "finite", "kernel", "python_function"]

NAMES = ("auto", "python", "numpy", "llvm")


class Kernel(Protocol):
    """What runs a program."""

    single: Callable[[Sequence[float]], Sequence[float]] | None
    source: str
    stats: dict[str, Any]

    def __call__(self, shared: Sequence[Any], varying: Sequence[Any], B: int) -> tuple[Any, Any]:
        """The sums and each example's outputs."""


class PythonKernel:
    """Straight-line floats: bit-equal to the graph, one example after another."""

    def __init__(self, program: Program) -> None:
        start = perf_counter()
        self.program, self.single, self.source = program, python_function(program), python_source(program)
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


def check(backend: str) -> None:
    """ValueError unless there is a backend of that name, ImportError if it needs what is not installed."""
    if backend not in NAMES:
        raise ValueError(f"compile(backend={backend!r}): there are {', '.join(NAMES)}")


def kernel(program: Program, backend: str, batched: bool, threads: int | None) -> Any:
    """The kernel that runs `program`."""
    return PythonKernel(program)


def finite(x: Any) -> bool:
    """Whether all numbers of an array are finite; in one product, unless that overflows."""
    if x.size == 0:
        return True
    flat = x.ravel()
    if flat.dot(flat) < math.inf:
        return True
    import numpy as np
    return bool(np.isfinite(flat).all())
