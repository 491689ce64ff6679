"""What the eager benchmark measures, each in a process of its own: `python3 measures.py '["train", "autograd", …]'` prints JSON.

Every function is one measurement; `engine` names the package whose `Value` is measured. Times are seconds, sizes bytes.
"""

from __future__ import annotations

import gc
import importlib
import json
import pickle
import sys
import time
import tracemalloc
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

from moons import Moons

clock = time.perf_counter


def value_of(engine: str) -> Any:
    return importlib.import_module("micrograd.engine" if engine == "micrograd" else engine).Value


def train(engine: str, collect: bool, steps: int) -> dict[str, Any]:
    """Seconds per step of the demo after one step to warm up, and the losses."""
    demo = Moons(value_of(engine))
    if not collect:
        gc.disable()
    losses = [demo.step()]
    start = clock()
    losses += [demo.step() for _ in range(steps)]
    return {"time": (clock() - start) / steps, "losses": losses}


def forward(recording: bool, collect: bool, steps: int) -> dict[str, Any]:
    """Seconds per forward pass of the demo, its graph dropped after each."""
    from autograd import Value, no_grad
    demo = Moons(Value)
    if not collect:
        gc.disable()

    def passes(n: int) -> float:
        start = clock()
        for _ in range(n):
            demo.loss()
        return (clock() - start) / n
    if recording:
        passes(1)
        return {"time": passes(steps)}
    with no_grad():
        passes(1)
        return {"time": passes(steps)}


def peak(engine: str, steps: int) -> dict[str, Any]:
    """Bytes by which `steps` of the demo raise the process's peak memory, garbage collector off."""
    Value = value_of(engine)
    gc.disable()
    before = high_water()
    demo = Moons(Value)
    for _ in range(steps):
        demo.step()
    return {"size": high_water() - before}


def high_water() -> int:
    """The largest resident size so far. Linux's own figure if there is one: ru_maxrss also counts the parent's until exec."""
    status = Path("/proc/self/status")
    if status.exists():
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) * 1024
    import resource
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def node(engine: str, op: str) -> dict[str, Any]:
    """Bytes per node of a chain y ← y·x or y + x, before and after backward: object, arguments, number; gradient."""
    n = 10_000
    sys.setrecursionlimit(10 * n)   # micrograd recurses
    Value = value_of(engine)
    x = Value(1.0001)
    tracemalloc.start()
    y = x * 1.0
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]
    if op == "mul":
        for _ in range(n):
            y = y * x
    else:
        for _ in range(n):
            y = y + x
    gc.collect()
    recorded = tracemalloc.get_traced_memory()[0]
    y.backward()
    gc.collect()
    return {"recorded": (recorded - before) / n, "backward": (tracemalloc.get_traced_memory()[0] - before) / n}


def scale(shape: str, n: int, total: int, collect: bool) -> dict[str, float]:
    """Seconds per node of what can be done to a graph of n nodes, repeated until `total` nodes were done."""
    from autograd import Value, grad
    sys.setrecursionlimit(200)
    if not collect:
        gc.disable()
    spent: dict[str, float] = {}

    def timed(phase: str, work: Callable[[], Any]) -> Any:
        start = clock()
        result = work()
        spent[phase] = spent.get(phase, 0.0) + clock() - start
        return result

    def chain() -> Any:   # y ← y·a + b: n/2 products, n/2 sums
        y = a
        for _ in range(n // 2):
            y = y * a + b
        return y

    def second() -> Any:
        first = grad(y, xs)
        return first, grad(sum(first), xs)

    a, b = Value(0.999), Value(0.001)
    many = [Value(1 / (i + 1)) for i in range(n)]
    xs = [a, b] if shape == "chain" else many
    for _ in range(total // n):
        y = timed("forward", chain if shape == "chain" else lambda: sum(xs))
        timed("backward", lambda: y.backward())
        derivatives = timed("second derivative", second)
        del derivatives
        saved = timed("pickle: dumps", lambda: pickle.dumps(y, -1))
        copy = timed("pickle: loads", lambda: pickle.loads(saved))
        del copy, saved
        copy = timed("deepcopy", lambda: deepcopy(y))
        del copy
        start = clock()
        del y
        spent["deletion"] = spent.get("deletion", 0.0) + clock() - start
    return {phase: t / (total // n * n) for phase, t in spent.items()}


def diamond() -> dict[str, Any]:
    """Seconds for the graph of x ← x + x sixty times and its gradient over 2⁶⁰ paths."""
    from autograd import Value
    best = 1.0
    for _ in range(100):
        start = clock()
        x = y = Value(1.0)
        for _ in range(60):
            y = y + y
        y.backward()
        best = min(best, clock() - start)
    return {"time": best, "gradient": x.grad}


MEASURES: dict[str, Callable[..., dict[str, Any]]] = {
    f.__name__: f for f in (train, forward, peak, node, scale, diamond)}

if __name__ == "__main__":
    name, *arguments = json.loads(sys.argv[1])
    print(json.dumps(MEASURES[name](*arguments)))
