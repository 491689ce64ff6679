"""What a call of a tiny compiled function costs, beside JAX, CasADi and numba by hand, as far as this Python has them.

    python3 tests/benchmarks/calls.py

The function is exp(−w·x) and its slope in w: of two numbers, and as a mean over three examples. Systems take turns, a turn is
the quickest of many short runs, and a ratio is the median of those of the rounds. It reports; it asserts nothing.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import Any
from unittest.mock import patch

os.environ.update({"JAX_PLATFORMS": "cpu", "OMP_NUM_THREADS": "1"})   # read when the packages are imported

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
from peers import importable

from autograd import Compiled, Value, compile, exp
from autograd.compiler.backends.choose import no_llvm

Call = Callable[[], Any]
ROUNDS, RUNS, CALLS = 5, 30, 100
X = np.array([1.0, 2.0, 3.0])
KINDS = ("f(w, x)", "f.value_and_grad(w, x)", "f(w, X)", "f.value_and_grad(w, X)")


def calls(f: Any, value_and_grad: Any, batch: Any, batch_and_grad: Any) -> dict[str, Call]:
    """Of every kind a call."""
    return dict(zip(KINDS, (lambda: f(0.5, 2.0), lambda: value_and_grad(0.5, 2.0), lambda: batch(0.5, X),
                            lambda: batch_and_grad(0.5, X)), strict=True))


def ours(backend: str, builtin: bool) -> dict[str, Call]:
    """A compiled function that was called often, with a builtin or without."""
    def made() -> Compiled:
        w, x = Value(1.0), Value(1.0)
        return compile(exp(-w * x), [w, x], reduce="mean", backend=backend)
    f, batch = made(), made()
    found = calls(f, f.value_and_grad, batch, batch.value_and_grad)
    with patch.dict(os.environ, {"XIGRAD_BUILTIN": "1" if builtin else "0"}):
        for call in found.values():
            for _ in range(600):
                call()
    return found


def jax() -> dict[str, Call]:
    """Jitted, until the result is there."""
    import jax
    import jax.numpy as jnp
    jax.config.update("jax_enable_x64", True)

    def f(w: Any, x: Any) -> Any:
        return jnp.mean(jnp.exp(-w * x))
    value, both = jax.jit(f), jax.jit(jax.value_and_grad(f))

    def waits(g: Any) -> Any:
        return lambda *args: jax.block_until_ready(g(*args))
    return calls(waits(value), waits(both), waits(value), waits(both))


def casadi() -> dict[str, Call]:
    """Functions of its virtual machine."""
    import casadi as c

    def made(n: int) -> tuple[Any, Any]:
        w, x = c.SX.sym("w"), c.SX.sym("x", n)
        y = c.sum1(c.exp(-w * x)) / n
        return c.Function("f", [w, x], [y]), c.Function("g", [w, x], [y, c.gradient(y, w)])
    return calls(*made(1), *made(3))


def numba() -> dict[str, Call]:
    """Loops and slopes by hand."""
    import math

    import numba as n

    def f(w: float, x: float) -> float:
        return math.exp(-w * x)

    def both(w: float, x: float) -> tuple[float, float]:
        y = math.exp(-w * x)
        return y, -x * y

    def batch(w: float, X: Any) -> float:
        y = 0.0
        for x in X:
            y += math.exp(-w * x)
        return y / len(X)

    def batch_and_grad(w: float, X: Any) -> tuple[float, float]:
        y = slope = 0.0
        for x in X:
            e = math.exp(-w * x)
            y += e
            slope -= x * e
        return y / len(X), slope / len(X)
    return calls(*[n.njit(g) for g in (f, both, batch, batch_and_grad)])


SYSTEMS: dict[str, tuple[str, Callable[[], dict[str, Call]]]] = {
    "llvm, builtin": ("llvmlite", lambda: ours("llvm", True)), "llvm": ("llvmlite", lambda: ours("llvm", False)),
    "python": ("numpy", lambda: ours("python", False)),
    "JAX jit": ("jax", jax), "CasADi": ("casadi", casadi), "numba by hand": ("numba", numba)}


def seconds(call: Call) -> float:
    """Of a call, in the quickest of many short runs."""
    best = 1.0
    for _ in range(RUNS):
        start = perf_counter()
        for _ in range(CALLS):
            call()
        best = min(best, (perf_counter() - start) / CALLS)
    return best


def row(name: str, cells: list[str]) -> None:
    print(f"| {name:<14} | {' | '.join([f'{cell:>{len(kind)}}' for cell, kind in zip(cells, KINDS, strict=True)])} |")


def main() -> None:
    print(f"Python {platform.python_version()}, numpy {np.__version__}, {platform.system()} {platform.machine()}")
    found = {name: make() for name, (package, make) in SYSTEMS.items()
             if importable(package) and not (package == "llvmlite" and no_llvm())}
    times: dict[tuple[str, str], list[float]] = {}
    for _ in range(ROUNDS):
        for name, kinds in found.items():
            for kind, call in kinds.items():
                times.setdefault((name, kind), []).append(seconds(call))
    print("\nµs of a call, the median of the rounds\n")
    row("", list(KINDS))
    for name in SYSTEMS:
        row(name, [f"{median(times[name, kind]) * 1e6:.2f}" if name in found else "—" for kind in KINDS])
    first = next(iter(found))
    print(f"\ntimes as long as {first}\n")
    for name in SYSTEMS:
        row(name, [f"{median([b / a for a, b in zip(times[first, kind], times[name, kind], strict=True)]):.2g}"
                   if name in found else "—" for kind in KINDS])


if __name__ == "__main__":
    main()
