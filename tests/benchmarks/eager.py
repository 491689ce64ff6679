"""How fast and how small the eager engine is, beside micrograd 0.1.0 where that can do the same.

    python3 tests/benchmarks/eager.py            everything: about ten minutes
    python3 tests/benchmarks/eager.py --quick    fewer repetitions, graphs of 10⁵ nodes instead of 10⁶: about one minute

Every measurement (measures.py says what each times) has a process of its own; what is compared is run alternately, by
one interpreter, and a ratio is the median of the rounds with the smallest and the largest. It reports; it asserts nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).resolve().parent
PEER = "micrograd==0.1.0"
Goal = tuple[str, float]   # ("≥", 10.0)
ENV = os.environ | {"PYTHONPATH": str(HERE.parent.parent)}


class Bench:
    """An interpreter that has autograd, and micrograd if `peer`; how often to repeat; and the table that is printed."""

    def __init__(self, python: str, peer: bool, rounds: int) -> None:
        self.python, self.engines, self.rounds, self.missed = python, ["autograd", *["micrograd"][:peer]], rounds, 0

    def measure(self, *call: Any) -> dict[str, Any]:
        """One measurement in a new process."""
        done = subprocess.run([self.python, str(HERE / "measures.py"), json.dumps(call)],
                              env=ENV, stdout=subprocess.PIPE, text=True, check=True)
        return dict(json.loads(done.stdout))

    def alternate(self, *calls: Sequence[Any]) -> list[list[dict[str, Any]]]:
        """For each call its results, the calls taking turns."""
        return list(map(list, zip(*[[self.measure(*call) for call in calls] for _ in range(self.rounds)], strict=True)))

    def row(self, what: str, measured: str, ratios: Sequence[float] = (), goal: Goal | None = None, unit: str = "×") -> None:
        """Print a line of the table: what, the measurements, their ratio (or one number), the goal and whether it is met."""
        found = verdict = "—"
        if ratios:
            middle = median(ratios)
            found = f"{middle:.3g}{unit}" + (f" ({min(ratios):.3g}–{max(ratios):.3g})" if len(ratios) > 1 else "")
        if ratios and goal:
            verdict = "met" if (middle >= goal[1] if goal[0] == "≥" else middle <= goal[1]) else "MISSED"
            self.missed += verdict == "MISSED"
        self.line(what, measured, found, f"{goal[0]} {goal[1]:g}" if goal else "", verdict)

    @staticmethod
    def line(*cells: str) -> None:
        """Print a line of the table."""
        print(f"| {' | '.join([f'{cell:<{n}}' for cell, n in zip(cells, (46, 46, 24, 7, 6), strict=True)])} |", flush=True)


def demo(bench: Bench, steps: int) -> None:
    """The demo of micrograd: its training step, written out and of the layers of nn, its memory, its forward pass without
    recording."""
    for layers, collect, goal in ((False, True, 10.0), (False, False, 2.2), (True, True, 25.0)):
        what = f"demo training step{' of layers' * layers}, {collector(collect)}"
        ours, *theirs = bench.alternate(*[["train", engine, collect, steps, layers] for engine in bench.engines])
        if not theirs:
            bench.row(what, f"ours {milliseconds(ours)}", (), ("≥", goal))
            continue
        bench.row(what, f"micrograd {milliseconds(theirs[0])} / ours {milliseconds(ours)}",
                  [b["time"] / a["time"] for a, b in zip(ours, theirs[0], strict=True)], ("≥", goal))
        losses = [(x, y) for a, b in zip(ours, theirs[0], strict=True) for x, y in zip(a["losses"], b["losses"], strict=True)]
        bench.row("  its losses: largest difference in any step", f"{steps + 1} steps, the last {losses[-1][0]:.12f}",
                  [max(abs(x - y) for x, y in losses)], ("≤", 1e-9), unit="")

    sizes = [[r["size"] for r in results] for results in bench.alternate(*[["peak", engine, 20] for engine in bench.engines])]
    bench.row("peak memory of 20 steps above imports, gc off",
              " / ".join([f"{who} {median(s) / 2**20:.1f} MiB" for who, s in zip(("ours", "micrograd"), sizes, strict=False)]),
              [a / b for a, b in zip(*sizes, strict=True)] if len(sizes) == 2 else (), ("≤", 0.2))

    for collect in (True, False):
        on, off = bench.alternate(["forward", True, collect, steps], ["forward", False, collect, steps])
        bench.row(f"demo forward, {collector(collect)}", f"recording {milliseconds(on)} / no_grad {milliseconds(off)}",
                  [a["time"] / b["time"] for a, b in zip(on, off, strict=True)], ("≥", 2))


def nodes(bench: Bench) -> None:
    """Bytes of a binary node by tracemalloc: the object with its collector header, the arguments, the number; the gradient."""
    for op in ("mul", "add"):
        ours, *theirs = [bench.measure("node", engine, op) for engine in bench.engines]
        for when, phrase in (("recorded", "recorded"), ("backward", "with its gradient after backward")):
            bench.row(f"{op} node, {phrase}", f"micrograd {theirs[0][when]:.0f} B" if theirs else "micrograd —",
                      [ours[when]], ("≤", 240), unit=" B")


def scale(bench: Bench, large: int) -> None:
    """Cost per node of a large graph relative to that of graphs of 10³ nodes, recursion limit 200.

    A ratio above 1 that is the same at 10⁵ and 10⁶ is not the algorithm: a graph of 10³ nodes fits into the processor's
    cache, and while objects become many, Python's collector, if on, traverses them all each time they grew by a quarter.
    """
    for shape in ("chain", "sum"):
        for collect in (True, False):
            bench.line(f"{shape} of {large:,}, {collector(collect)}", "cost per node / that in graphs of 1,000", "", "", "")
            big, little = bench.alternate(["scale", shape, large, large, collect], ["scale", shape, 1000, 200_000, collect])
            for phase in big[0]:
                a, b = [r[phase] * 1e9 for r in big], [r[phase] * 1e9 for r in little]
                bench.row(f"  {phase}", f"{median(a):.0f} ns / {median(b):.0f} ns",
                          [x / y for x, y in zip(a, b, strict=True)], ("≤", 1.5))


def small(bench: Bench, starts: int) -> None:
    """What should cost next to nothing."""
    result = bench.measure("diamond")
    bench.row("x ← x + x sixty times: 2⁶⁰ paths", f"forward and backward; gradient is 2⁶⁰: {result['gradient'] == 2.0**60}",
              [result["time"] * 1e6], unit=" µs")

    result = bench.measure("refusal")
    bench.row("x + x + …, a million characters, refused", f"parsing 10,000: {result['longest'] * 1e3:.1f} ms",
              [result["refused"] / result["longest"]], ("≤", 1))

    def start(code: str) -> float:
        before = time.perf_counter()
        subprocess.run([bench.python, "-c", code], env=ENV, check=True)
        return (time.perf_counter() - before) * 1e3
    start("import autograd")
    pairs = [(start("import autograd"), start("pass")) for _ in range(starts)]
    with_import, bare = (median(times) for times in zip(*pairs, strict=True))
    bench.row("import autograd, above bare Python", f"{with_import:.1f} ms − {bare:.1f} ms, {starts} starts each",
              [a - b for a, b in pairs], ("≤", 30), unit=" ms")


def collector(collect: bool) -> str:
    return "gc as Python sets it" if collect else "gc off"


def milliseconds(results: Sequence[dict[str, Any]]) -> str:
    return f"{median([r['time'] for r in results]) * 1e3:.1f} ms"


@contextmanager
def peer_python(given: str | None) -> Iterator[str]:
    """An interpreter that has micrograd, if it can be had."""
    if given:
        yield given
        return
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=False)
        python = Path(folder) / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        if python.exists():
            subprocess.run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", PEER], check=False)
        yield str(python) if python.exists() else sys.executable


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n\n", maxsplit=1)[0])
    parser.add_argument("--quick", action="store_true", help="fewer repetitions, smaller graphs")
    parser.add_argument("--peer-python", metavar="PATH", help=f"an interpreter with {PEER}; by default a temporary environment")
    options = parser.parse_args()
    with peer_python(options.peer_python) as python:
        peer = subprocess.run([python, "-c", "import micrograd.engine"], env=ENV, stderr=subprocess.DEVNULL, check=False)
        version = subprocess.run([python, "-V"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
        bench = Bench(python, peer.returncode == 0, 2 if options.quick else 5)
        print(f"{version}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores, "
              f"{'without micrograd' if peer.returncode else PEER}\n")
        bench.line("what", "measured: medians", "ratio (min–max)", "target", "")
        demo(bench, 10)
        nodes(bench)
        small(bench, 20)
        bench.rounds = 1 if options.quick else 3
        scale(bench, 10**5 if options.quick else 10**6)
        print(f"\n{bench.missed} targets missed" if bench.missed else "\nevery target is met")


if __name__ == "__main__":
    main()
