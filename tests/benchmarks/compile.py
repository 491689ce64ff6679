"""How fast compiled graphs are, beside numpy by hand, PyTorch, JAX, CasADi, PyTensor, heyoka and micrograd, as far as this
Python has them.

    python3 tests/benchmarks/compile.py                     everything
    python3 tests/benchmarks/compile.py --quick             fewer repetitions, without what is slow to compile
    python3 tests/benchmarks/compile.py --only moons,cnn    some of the cases
    python3 tests/benchmarks/compile.py --skip CasADi       without some of the systems

Everybody takes the same step, in float64 and one thread: the loss, all its gradients, the update of the parameters. The
first step must agree with ours in loss and parameters, or the system is not timed. Systems take turns, and a ratio is the
median of those of the rounds. Seconds to compile go from the scalar code to the first result: graph, gradient, machine code.
The limit is what a core does in independent multiply-adds, measured in the same rounds. It reports; it asserts nothing.
"""

from __future__ import annotations

import argparse
import gc
import os
import platform
import sys
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter

os.environ.update({   # read when the packages are imported
    "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "NPROC": "1", "JAX_PLATFORMS": "cpu",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "TORCHINDUCTOR_FORCE_DISABLE_CACHES": "1"})   # else a second run would not compile
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
from models import Array, Model, classifier, cnn, dag, mixture, moons
from peers import OURS, PEERS, Maker, Peak, Step, Task, importable, task

RATE = 1e-3
NUMPY, LLVM = "xigrad numpy", "xigrad llvm"
MAKERS = OURS | PEERS


@dataclass(frozen=True)
class Case:
    """A model on a batch; B = 0 is a single example that is no batch. `never` are systems that would take minutes."""

    title: str
    model: Callable[[], Model]
    B: int
    never: tuple[str, ...] = ("JAX unrolled",)
    not_quick: tuple[str, ...] = ()


CASES = {
    "moons": Case("moons, MLP 2-16-16-1, hinge and L2", moons, 100, never=(), not_quick=("JAX unrolled",)),
    "digits": Case("digits, MLP 64-32-10, softmax", lambda: classifier(64, 32, 10), 128),
    "digits-all": Case("digits, MLP 64-32-10, softmax", lambda: classifier(64, 32, 10), 1797, not_quick=("torch.compile",)),
    "784": Case("MLP 784-100-10, softmax", lambda: classifier(784, 100, 10), 100,
                not_quick=("CasADi", "CasADi, gcc", "torch.compile")),
    "cnn": Case("CNN in scalars: 8×8, 4 filters 3×3, dense 10", cnn, 128),
    "mixture": Case("Gaussian mixture in the plane, K = 5", mixture, 1000, never=(),
                    not_quick=("torch.compile", "JAX unrolled")),
    "dag": Case("random DAG of 10⁴ operations", dag, 0, not_quick=("heyoka",)),
    "dag-1000": Case("random DAG of 10⁴ operations", dag, 1000, not_quick=("PyTorch eager", "heyoka")),
}


@dataclass
class Result:
    """What was measured of a system in a case."""

    step: Step
    seconds: float
    times: list[float] = field(default_factory=list)   # of a step, in every round

    @property
    def time(self) -> float:
        """Of a step."""
        return median(self.times)


@dataclass
class Outcome:
    """What was measured in a case; `why` says of the others why they were not."""

    case: Case
    model: Model
    results: dict[str, Result] = field(default_factory=dict)
    why: dict[str, str] = field(default_factory=dict)
    peaks: list[float] = field(default_factory=list)   # flops per second, in every round
    memory: dict[str, int] = field(default_factory=dict)

    @property
    def flops(self) -> int:
        """Of a step's matrix products."""
        return 2 * self.model.multiply_adds * max(self.case.B, 1)

    def ratio(self, a: str, b: str) -> float | None:
        """How many times longer a takes than b: the median over the rounds that both took part in."""
        if a not in self.results or b not in self.results:
            return None
        return median([x / y for x, y in zip(self.results[a].times, self.results[b].times, strict=False)])

    def share(self, name: str) -> float | None:
        """Of the limit, in per cent."""
        if not (self.flops and self.peaks and name in self.results):
            return None
        return 100 * self.flops / self.results[name].time / median(self.peaks)


def applies(name: str, case: Case, model: Model) -> bool:
    """Whether a system has something to say to a case."""
    return {"micrograd": case.model is moons, "numpy by hand": model.by_hand is not None,
            "torch.compile": model.vectorised is not None, "heyoka": case.model in (moons, mixture, dag),   # minutes to compile
            "PyTensor": model.vectorised is not None and case.model is not cnn, "JAX strict": model.vectorised is not None,
            "JAX lenient": model.vectorised is not None, "xigrad python": not case.B, NUMPY: bool(case.B)}.get(name, True)


def timed(make: Maker, given: Task) -> tuple[Step, float, float]:
    """A step that was taken once; its loss; seconds from the scalar code to that. What is quick is done three times."""
    seconds: list[float] = []
    while not seconds or (seconds[0] < 0.2 and len(seconds) < 3):
        start = perf_counter()
        step = make(given)
        loss = step.run()
        step.settle()
        seconds.append(perf_counter() - start)
    return step, loss, median(seconds)


def measure(case: Case, quick: bool, skip: list[str], peak: Peak | None) -> Outcome:
    """All systems on a case, in turns."""
    out = Outcome(case, case.model())
    given = task(out.model, case.B, RATE)
    reference: tuple[float, Array] | None = None   # what ours gave: loss, gradient
    left_out = {*skip, *case.never, *(case.not_quick if quick else ())}
    for name, (package, make) in MAKERS.items():
        if name in left_out or not applies(name, case, out.model):
            continue
        if not importable(package):
            out.why[name] = f"no {package} here"
            continue
        try:
            step, loss, seconds = timed(make, given)
        except Exception as reason:   # whatever one raises, the others go on
            out.why[name] = f"FAILED: {type(reason).__name__}: {reason}"[:120]
            continue
        slopes = (given.theta - step.theta()) / RATE
        reference = reference or (loss, slopes)
        error = max(abs(loss - reference[0]) / abs(reference[0]),
                    np.abs(slopes - reference[1]).max() / np.abs(reference[1]).max())
        if not error <= 1e-9:
            out.why[name] = f"DIFFERS by {error:.1e}"
            continue
        out.results[name] = Result(step, seconds)
    turns(out, quick, peak)
    for name in (NUMPY, LLVM):
        if name in out.results:
            out.memory[name] = memory(MAKERS[name][1], given, out.results[name].step)
    return out


def turns(out: Outcome, quick: bool, peak: Peak | None) -> None:
    """Time everybody in every round; whoever used up a budget takes part in the first three only."""
    rounds, turn, budget = (5, 0.02, 1.0) if quick else (15, 0.1, 5.0)
    for k in range(rounds):
        if peak:
            out.peaks.append(peak())
        results = list(out.results.values())
        first = k % max(len(results), 1)
        for result in results[first:] + results[:first]:   # nobody always comes after the same neighbour
            if k < 3 or result.time * k < budget:
                result.times.append(one_turn(result.step, turn))


def one_turn(step: Step, seconds: float) -> float:
    """The median time of a step, after one that is not counted."""
    start = perf_counter()
    step.run()
    if perf_counter() - start > seconds:
        times = [perf_counter() - start]   # it is too long for warm caches to matter
    else:
        times = []
        while perf_counter() - start < seconds or len(times) < 3:
            before = perf_counter()
            step.run()
            times.append(perf_counter() - before)
    step.settle()
    return median(times)


def memory(make: Maker, given: Task, step: Step) -> int:
    """Bytes that a compiled model keeps: what it says itself, or what tracemalloc finds, its graph included."""
    if step.compiled.stats.get("bytes"):
        return int(step.compiled.stats["bytes"])
    gc.collect()
    tracemalloc.start()
    again = make(given)
    again.run()
    gc.collect()
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return size


# ---- the tables

def line(*cells: str) -> None:
    """Print a line of a case's table."""
    widths = (16, 10, 10, 17, 9, 9, 9)
    padded = [f"{cell:{'>' if k else '<'}{n}}" for k, (cell, n) in enumerate(zip(cells, widths, strict=True))]
    print(f"| {' | '.join(padded)} |", flush=True)


def figure(x: float | None) -> str:
    return "—" if x is None else f"{x:,.0f}" if x >= 100 else f"{x:.3g}"


def table(out: Outcome) -> None:
    """Print what was measured in a case."""
    examples = f"B = {out.case.B}" if out.case.B else "one example"
    print(f"\n{out.case.title}, {examples}: {out.model.size} parameters\n")
    line("", "compile s", "step µs", "quartiles", "× numpy", "× llvm", "% limit")
    for name in MAKERS:
        if name in out.results:
            r = out.results[name]
            quartiles = quantiles(r.times, n=4, method="inclusive")
            line(name, f"{r.seconds:.3f}", figure(r.time * 1e6), f"{figure(quartiles[0] * 1e6)}–{figure(quartiles[2] * 1e6)}",
                 figure(out.ratio(name, NUMPY)), figure(out.ratio(name, LLVM)), figure(out.share(name)))
        else:
            line(name, *["—"] * 6)
    for name, why in out.why.items():
        print(f"{name}: {why}")
    if out.peaks:
        peak = median(out.peaks)
        products = f"; {out.flops / 1e6:.3g} Mflop in matrix products: {out.flops / peak * 1e6:.3g} µs" if out.flops else ""
        print(f"limit {peak / 1e9:.0f} Gflop/s{products}")
    for name, size in out.memory.items():
        stats = out.results[name].step.compiled.stats
        print(f"{name}: {stats['nodes']:,} nodes, {stats['statements']:,} statements, {size / 1e6:.2f} MB", flush=True)


class Summary:
    """The targets, met or missed."""

    def __init__(self) -> None:
        self.missed = self.seen = 0

    def row(self, what: str, case: str, found: float | None, sense: str, bound: float, unit: str = "") -> None:
        """A line, if there is a figure."""
        if found is None:
            return
        met = found >= bound if sense == "≥" else found <= bound
        self.seen += 1
        self.missed += not met
        goal, verdict = f"{sense} {bound:,g}{unit}", "met" if met else "MISSED"
        print(f"| {what:<47} | {case:<10} | {figure(found) + unit:>10} | {goal:<11} | {verdict:<6} |")

    def faster(self, ours: str, peer: str, bound: float, key: str, out: Outcome) -> None:
        """So many times faster than a peer."""
        self.row(f"{ours}: times faster than {peer}", key, out.ratio(peer, ours), "≥", bound, "×")

    def part(self, ours: str, peer: str, bound: float, key: str, out: Outcome) -> None:
        """At most this part of a peer's time."""
        self.row(f"{ours}: part of the time of {peer}", key, out.ratio(ours, peer), "≤", bound)

    def case(self, key: str, out: Outcome) -> None:
        """The targets of a case."""
        if not key.startswith("dag"):
            large = key == "784"
            self.faster(NUMPY, "micrograd", 20_000, key, out)
            self.part(NUMPY, "numpy by hand", 1.10, key, out)
            self.part(NUMPY, "PyTorch eager", 0.85, key, out)
            self.part(NUMPY, "JAX lenient", 1.5, key, out)
            self.faster(NUMPY, "CasADi", 8, key, out)
            self.faster(LLVM, "micrograd", 100_000, key, out)
            self.part(LLVM, "numpy by hand", 0.9 if large else 0.6, key, out)
            self.part(LLVM, "PyTorch eager", 0.6 if large else 0.35, key, out)
            self.part(LLVM, "JAX lenient", 1.0 if large else 0.7, key, out)
            self.faster(LLVM, "CasADi", 40, key, out)
            self.row(f"{LLVM}: share of the limit", key, out.share(LLVM), "≥", 20 if key == "moons" else 45, " %")
        elif key == "dag":
            self.faster(LLVM, "CasADi", 4, key, out)
        for name, small, large_bound in ((NUMPY, 0.05, 1.5), (LLVM, 0.15, 1.6)):
            if name in out.results and not key.startswith("dag"):
                r = out.results[name]
                bound = small if r.step.compiled.stats["nodes"] <= 15_000 else large_bound
                self.row(f"{name}: from graph to callable", key, r.seconds, "≤", bound, " s")
            if name in out.memory:
                self.row(f"{name}: memory", key, out.memory[name] / 1e6, "≤", 6, " MB")


def warm() -> None:
    """Import what compiling imports, so that no measurement contains it."""
    tiny = task(classifier(2, 2), 2, RATE)
    for package, make in OURS.values():
        if importable(package):
            make(tiny).run()


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n\n", maxsplit=1)[0])
    parser.add_argument("--quick", action="store_true", help="fewer repetitions, without what is slow to compile")
    parser.add_argument("--only", metavar="CASES", default=",".join(CASES), help=f"some of {', '.join(CASES)}")
    parser.add_argument("--skip", metavar="SYSTEMS", default="", help=f"none of these: {', '.join(MAKERS)}")
    options = parser.parse_args()
    chosen, skip = options.only.split(","), list(filter(None, options.skip.split(",")))
    for names, known in ((chosen, list(CASES)), (skip, list(MAKERS))):
        if unknown := [name for name in names if name not in known]:
            parser.error(f"no {', '.join(unknown)}: there are {', '.join(known)}")
    print(f"Python {platform.python_version()}, numpy {np.__version__}, {platform.system()} {platform.machine()}, "
          f"{os.cpu_count()} cores, one thread, float64", flush=True)
    start, found = perf_counter(), {}
    peak = Peak() if importable("llvmlite") else None
    warm()
    for key in chosen:
        found[key] = measure(CASES[key], options.quick, skip, peak)
        table(found[key])
        for result in found[key].results.values():
            result.step = Step(float, lambda: np.empty(0), compiled=result.step.compiled)   # frees a peer's memory
    print("\nTargets\n")
    summary = Summary()
    for key, out in found.items():
        summary.case(key, out)
    for key, out in found.items():
        for name, why in out.why.items():
            if why.startswith(("FAILED", "DIFFERS")):
                print(f"{key}, {name}: {why}")
    print(f"\n{summary.missed} of {summary.seen} targets missed; {perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
