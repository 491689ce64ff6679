"""What the eager benchmark measures: `python3 measures.py '["train", "autograd", true, 10]'` prints one measurement as JSON.

`engine` names the package whose `Value` is measured, `collect` says whether the garbage collector stays as Python sets it.
Times are in seconds, sizes in bytes.
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
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import Any

from moons import Moons, MoonsOfLayers

clock = time.perf_counter


def value_of(engine: str) -> Any:
    return importlib.import_module("micrograd.engine" if engine == "micrograd" else engine).Value


def mlp_of(engine: str) -> Any:
    return importlib.import_module("micrograd.nn" if engine == "micrograd" else "nn").MLP


def train(engine: str, collect: bool, steps: int, layers: bool = False) -> dict[str, Any]:
    """Seconds per step of the demo after one step to warm up, and the losses; with the engine's own MLP, if `layers`."""
    demo = MoonsOfLayers(value_of(engine), mlp_of(engine)) if layers else Moons(value_of(engine))
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


class Stopwatch:
    """Seconds spent in each phase: `with watch("forward"): …`."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}

    def __call__(self, phase: str) -> Stopwatch:
        self.phase = phase
        return self

    def __enter__(self) -> None:
        self.start = clock()

    def __exit__(self, *error: object) -> None:
        self.spent[self.phase] = clock() - self.start + self.spent.get(self.phase, 0.0)


def scale(shape: str, n: int, total: int, collect: bool) -> dict[str, float]:
    """Seconds per node of what can be done to a graph of n nodes, repeated until `total` nodes were done.

    A chain is y ← y·a + b, n/2 products and n/2 sums; a sum has n leaves.
    """
    from autograd import Value, grad
    sys.setrecursionlimit(200)
    if not collect:
        gc.disable()
    watch = Stopwatch()
    a, b = Value(0.999), Value(0.001)
    xs = [a, b] if shape == "chain" else [Value(1 / (i + 1)) for i in range(n)]
    for _ in range(total // n):
        with watch("forward"):
            y: Any = a
            if shape == "chain":
                for _ in range(n // 2):
                    y = y * a + b
            else:
                y = sum(xs)
        with watch("backward"):
            y.backward()
        with watch("second derivative"):
            first = grad(y, xs)
            second = grad(sum(first, Value(0.0)), xs)
        del first, second
        with watch("pickle: dumps"):
            saved = pickle.dumps(y, -1)
        with watch("pickle: loads"):
            copy = pickle.loads(saved)
        del copy, saved
        with watch("deepcopy"):
            copy = deepcopy(y)
        del copy
        with watch("deletion"):
            del y
    return {phase: t / (total // n * n) for phase, t in watch.spent.items()}


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


def refusal() -> dict[str, Any]:
    """Seconds for parsing the longest expression that is allowed, and for refusing one of a million characters."""
    from autograd.expression import LONGEST, ExpressionError, parse

    def seconds(text: str) -> float:
        start = clock()
        with suppress(ExpressionError):
            parse(text)
        return clock() - start
    texts = {"longest": "+".join(["x"] * (LONGEST // 2)), "refused": "x+" * 500_000}
    return {name: min([seconds(text) for _ in range(20)]) for name, text in texts.items()}


MEASURES: dict[str, Callable[..., dict[str, Any]]] = {
    f.__name__: f for f in (train, forward, peak, node, scale, diamond, refusal)}

if __name__ == "__main__":
    name, *arguments = json.loads(sys.argv[1])
    print(json.dumps(MEASURES[name](*arguments)))
