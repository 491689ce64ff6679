"""How fast `nn.fit` trains, beside numpy and numba by hand, PyTorch, JAX and scikit-learn, as far as this Python has them.

    python3 tests/benchmarks/fit.py                     everything
    python3 tests/benchmarks/fit.py --only moons-32     some of the cases
    python3 tests/benchmarks/fit.py --quick             fewer repetitions

Everybody trains the same network by Adam from the same start, in float64 and one thread, over mini-batches that are drawn anew
in every epoch. Three epochs without shuffling must lead to the same parameters, or a system is not timed (scikit-learn draws
its own start). A step's time is that of many epochs less that of few, so that compiling is not in it; "first" is a hundred
epochs of the first model, compiling included, "again" of another one. Systems take turns; times are CPU times, the medians of
the rounds. It reports; it asserts nothing.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any

os.environ.update({   # read when the packages are imported
    "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "NPROC": "1", "JAX_PLATFORMS": "cpu",
    "NUMBA_NUM_THREADS": "1", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"})
if "--once" not in sys.argv:   # what this run compiles: the first model finds nothing, a process that it begins finds that
    KEPT = TemporaryDirectory()
    os.environ.update({name: str(Path(KEPT.name) / name) for name in ("XIGRAD_CACHE", "JAX_COMPILATION_CACHE_DIR",
                                                                     "NUMBA_CACHE_DIR")})
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
from peers import importable

Array = np.ndarray[Any, Any]
RATE, B1, B2, EPS = 1e-3, 0.9, 0.999, 1e-8
OURS = "xigrad llvm"


@dataclass(frozen=True)
class Task:
    """Examples, their classes (0 and 1 for one output), the network's sizes, its start, the size of a batch.

    A network without sizes is the LeNet of nn. Steps are timed by runs of `many` of them."""

    title: str
    X: Array
    y: Array
    sizes: tuple[int, ...]
    start: list[Array]   # W and b of each layer
    batch: int
    many: int = 4200

    @property
    def steps(self) -> int:
        """Of an epoch."""
        return -(-len(self.X) // self.batch)

    def orders(self, epochs: int, rng: np.random.Generator | None) -> Array:
        """Of every epoch, in which order the examples come: (epochs, n); as they are without `rng`."""
        n = len(self.X)
        return np.array([np.arange(n) if rng is None or self.batch == n else rng.permutation(n) for _ in range(epochs)])

    def batches(self, epochs: int, rng: np.random.Generator | None) -> Iterator[Array]:
        """The examples of every step."""
        for order in self.orders(epochs, rng):
            yield from [order[a:a + self.batch] for a in range(0, len(order), self.batch)]


Train = Callable[[list[Array], int, Any], list[Array]]   # (start, epochs, rng) → the parameters; a new model every time


def made(title: str, X: Array, y: Array, hidden: tuple[int, ...], batch: int) -> Task:
    rng = np.random.default_rng(0)
    outputs = int(y.max()) + 1 if y.max() > 1 else 1
    sizes = (X.shape[1], *hidden, outputs)
    start = [part for a, b in pairwise(sizes) for part in (rng.uniform(-1, 1, (b, a)) / np.sqrt(a), np.zeros(b))]
    return Task(title, X, y, sizes, start, batch)


def moons(n: int, batch: int) -> Task:
    from nn import make_moons
    X, y = make_moons(n, noise=0.1, rng=0)
    return made(f"moons, {n} points in batches of {batch}, 2-16-16-1", np.array(X), np.array(y), (16, 16), batch)


def digits(batch: int) -> Task:
    from nn import load_digits
    data = load_digits()
    X = np.array(data.X, float)
    return made(f"digits, 1797 images in batches of {batch}, 64-32-10", X / X.max(), np.array(data.y, int), (32,), batch)


def lenet(batch: int) -> Task:
    rng, task = np.random.default_rng(0), digits(batch)
    shapes = [(6, 1, 3, 3), (16, 6, 3, 3), (32, 64), (10, 32)]
    start = [part for shape in shapes
             for part in (rng.uniform(-1, 1, shape) / np.sqrt(np.prod(shape[1:])), np.zeros(shape[0]))]
    return replace(task, title=f"LeNet, 1797 images in batches of {batch}", sizes=(), start=start, many=300)


CASES: dict[str, Callable[[], Task]] = {
    "moons": lambda: moons(100, 100), "moons-32": lambda: moons(1000, 32), "digits": lambda: digits(128),
    "lenet": lambda: lenet(128)}


# ---- the systems: each makes of a task a function that trains

def xigrad(backend: str) -> Callable[[Task], Train]:
    """`nn.fit`."""
    def make(task: Task) -> Train:
        import nn
        from autograd import numbers

        def train(start: list[Array], epochs: int, rng: Any) -> list[Array]:
            model: Any = nn.MLP(task.sizes[0], list(task.sizes[1:]), rng=0) if task.sizes else nn.LeNet(rng=0)
            layers = model.layers if task.sizes else [part for part in model.modules if hasattr(part, "b")]
            for layer, W, b in zip(layers, start[::2], start[1::2], strict=True):
                if W.ndim == 2:
                    layer.W, layer.b = W, b
                else:
                    layer.w, layer.b = W, b
            nn.fit(model, task.X, task.y, epochs=epochs, batch_size=task.batch, lr=RATE, shuffle=rng is not None,
                   rng=rng, optimizer="adam", verbose=False, compiled=backend)
            return [np.array(numbers(part)) for layer in layers
                    for part in (layer.W if hasattr(layer, "W") else layer.w, layer.b)]
        return train
    return make


def slopes_by_hand(task: Task, P: list[Array], X: Array, y: Array) -> list[Array]:
    """The gradient of the mean cross-entropy."""
    a, below = X, []
    for k in range(0, len(P), 2):
        below.append(a)
        a = a @ P[k].T + P[k + 1]
        if k < len(P) - 2:
            a = np.maximum(a, 0.0)
    if task.sizes[-1] == 1:
        d = (1 / (1 + np.exp(-a)) - y[:, None]) / len(X)
    else:
        d = np.exp(a - a.max(axis=1, keepdims=True))
        d /= d.sum(axis=1, keepdims=True)
        d[np.arange(len(X)), y] -= 1
        d /= len(X)
    found = []
    for k in reversed(range(0, len(P), 2)):
        a = below[k // 2]
        found += [d.sum(axis=0), d.T @ a]
        d = (d @ P[k]) * (a > 0)
    return found[::-1]


def dense(task: Task) -> None:
    """NotImplementedError for what has convolutions."""
    if not task.sizes:
        raise NotImplementedError("written for dense layers")


def numpy_by_hand(task: Task) -> Train:
    """All parameters in one array, so that Adam takes few operations."""
    dense(task)
    ends = np.cumsum([part.size for part in task.start])

    def train(start: list[Array], epochs: int, rng: Any) -> list[Array]:
        theta = np.concatenate([part.ravel() for part in start])
        P = [part.reshape(like.shape) for part, like in zip(np.split(theta, ends[:-1]), start, strict=True)]
        m, v = np.zeros_like(theta), np.zeros_like(theta)
        for t, batch in enumerate(task.batches(epochs, rng), 1):
            g = np.concatenate([part.ravel() for part in slopes_by_hand(task, P, task.X[batch], task.y[batch])])
            m += (1 - B1) * (g - m)
            v += (1 - B2) * (g * g - v)
            np.subtract(theta, RATE / (1 - B1 ** t) * m / (np.sqrt(v / (1 - B2 ** t)) + EPS), out=theta)
        return P
    return train


def numba_by_hand(task: Task) -> Train:
    """Loops over examples and units, as one writes them for numba, and the whole training in one compiled function."""
    dense(task)
    train_all = numba_function()
    sizes = np.array(task.sizes)
    offsets = np.concatenate([[0], np.cumsum([part.size for part in task.start])])
    y = task.y.astype(np.int64)

    def train(start: list[Array], epochs: int, rng: Any) -> list[Array]:
        theta = np.concatenate([part.ravel() for part in start])
        train_all(theta, sizes, offsets, task.X, y, task.orders(epochs, rng), task.batch)
        return [theta[a:b].reshape(like.shape) for (a, b), like in zip(pairwise(offsets), start, strict=True)]
    return train


def numba_function() -> Any:
    """(theta, sizes, offsets, X, y, orders, batch) → theta trained in place."""
    import numba

    @numba.njit(fastmath=True, cache=True)
    def train_all(theta, sizes, offsets, X, y, orders, batch):  # type: ignore[no-untyped-def]
        layers, widest = len(sizes) - 1, sizes.max()
        a, d = np.zeros((layers + 1, widest)), np.zeros((layers + 1, widest))
        g, m, v = np.zeros_like(theta), np.zeros_like(theta), np.zeros_like(theta)
        t = 0
        for order in orders:
            for start in range(0, len(order), batch):
                some = order[start:start + batch]
                g[:] = 0.0
                for i in some:
                    a[0, :sizes[0]] = X[i]
                    for k in range(layers):
                        W, b, n = offsets[2 * k], offsets[2 * k + 1], sizes[k]
                        for r in range(sizes[k + 1]):
                            z = theta[b + r]
                            for c in range(n):
                                z += theta[W + r * n + c] * a[k, c]
                            a[k + 1, r] = z if k == layers - 1 else max(z, 0.0)
                    outputs = sizes[layers]
                    if outputs == 1:
                        d[layers, 0] = 1 / (1 + np.exp(-a[layers, 0])) - y[i]
                    else:
                        top, total = a[layers, :outputs].max(), 0.0
                        for r in range(outputs):
                            d[layers, r] = np.exp(a[layers, r] - top)
                            total += d[layers, r]
                        for r in range(outputs):
                            d[layers, r] /= total
                        d[layers, y[i]] -= 1
                    for k in range(layers - 1, -1, -1):
                        W, b, n = offsets[2 * k], offsets[2 * k + 1], sizes[k]
                        d[k, :n] = 0.0
                        for r in range(sizes[k + 1]):
                            e = d[k + 1, r]
                            g[b + r] += e
                            for c in range(n):
                                g[W + r * n + c] += e * a[k, c]
                                d[k, c] += e * theta[W + r * n + c]
                        for c in range(n):
                            if a[k, c] <= 0:
                                d[k, c] = 0.0
                t += 1
                for j in range(len(theta)):
                    x = g[j] / len(some)
                    m[j] += (1 - B1) * (x - m[j])
                    v[j] += (1 - B2) * (x * x - v[j])
                    theta[j] -= RATE / (1 - B1 ** t) * m[j] / (np.sqrt(v[j] / (1 - B2 ** t)) + EPS)
    return train_all


def torch_eager(task: Task) -> Train:
    """PyTorch's layers, loss and Adam."""
    import torch
    torch.set_num_threads(1)
    one, functional, layer = task.sizes[-1:] == (1,), torch.nn.functional, torch.nn
    X, y = torch.from_numpy(task.X), torch.from_numpy(task.y.astype(float)[:, None] if one else task.y.astype(np.int64))
    cost = functional.binary_cross_entropy_with_logits if one else functional.cross_entropy

    def train(start: list[Array], epochs: int, rng: Any) -> list[Array]:
        if task.sizes:
            parts: list[Any] = [part for a, b in pairwise(task.sizes) for part in (layer.Linear(a, b), layer.ReLU())][:-1]
        else:
            parts = [layer.Unflatten(1, (1, 8, 8)), layer.Conv2d(1, 6, 3, padding=1), layer.Tanh(), layer.AvgPool2d(2),
                     layer.Conv2d(6, 16, 3), layer.Tanh(), layer.Flatten(), layer.Linear(64, 32), layer.Tanh(),
                     layer.Linear(32, 10)]
        net = layer.Sequential(*parts).double()
        with torch.no_grad():
            for p, x in zip(net.parameters(), start, strict=True):
                p.copy_(torch.from_numpy(x))
        adam = torch.optim.Adam(net.parameters(), lr=RATE, betas=(B1, B2), eps=EPS)
        for batch in task.batches(epochs, rng):
            which = torch.from_numpy(batch)
            adam.zero_grad()
            loss = cost(net(X[which]), y[which])
            loss.backward()
            adam.step()
            loss.item()   # what a history keeps
        return [p.detach().numpy() for p in net.parameters()]
    return train


def jax_step(scan: bool) -> Callable[[Task], Train]:
    """A jitted step; or all steps of a training in one jitted lax.scan, which waits for the end."""
    def make(task: Task) -> Train:
        import jax
        from jax import numpy as jnp
        jax.config.update("jax_enable_x64", True)
        X, y, one = jnp.asarray(task.X), jnp.asarray(task.y), task.sizes[-1:] == (1,)

        def convolved(x: Any, W: Any, b: Any, padding: str) -> Any:
            return jnp.tanh(jax.lax.conv(x, W, (1, 1), padding) + b[:, None, None])

        def cost(P: Any, x: Any, t: Any, w: Any) -> Any:
            if not task.sizes:
                x = convolved(x.reshape(-1, 1, 8, 8), P[0], P[1], "SAME")
                x = x.reshape(-1, 6, 4, 2, 4, 2).mean(axis=(3, 5))
                x = convolved(x, P[2], P[3], "VALID").reshape(-1, 64)
                x = jnp.tanh(x @ P[4].T + P[5]) @ P[6].T + P[7]
                P = []
            for k in range(0, len(P), 2):
                x = x @ P[k].T + P[k + 1]
                x = jnp.maximum(x, 0.0) if k < len(P) - 2 else x
            each = (jnp.logaddexp(x[:, 0], 0.0) - t * x[:, 0] if one else
                    jax.scipy.special.logsumexp(x, axis=1) - jnp.take_along_axis(x, t[:, None], 1)[:, 0])
            return (each * w).sum() / w.sum()

        def step(carry: Any, given: Any) -> Any:
            P, m, v, t = carry
            which, w = given   # the last batch is filled up with examples of weight 0
            loss, g = jax.value_and_grad(cost)(P, X[which], y[which], w)
            t = t + 1
            m = jax.tree.map(lambda m, g: m + (1 - B1) * (g - m), m, g)
            v = jax.tree.map(lambda v, g: v + (1 - B2) * (g * g - v), v, g)
            P = jax.tree.map(lambda p, m, v: p - RATE / (1 - B1 ** t) * m / (jnp.sqrt(v / (1 - B2 ** t)) + EPS), P, m, v)
            return (P, m, v, t), loss
        one_step, all_steps = jax.jit(step), jax.jit(lambda carry, given: jax.lax.scan(step, carry, given))

        def train(start: list[Array], epochs: int, rng: Any) -> list[Array]:
            batches = list(task.batches(epochs, rng))
            which = np.zeros((len(batches), task.batch), np.int32)
            w = np.zeros((len(batches), task.batch))
            for k, batch in enumerate(batches):
                which[k, :len(batch)], w[k, :len(batch)] = batch, 1.0
            P = [jnp.asarray(p) for p in start]
            zeros = jax.tree.map(jnp.zeros_like, P)
            carry = (P, zeros, zeros, 0.0)
            if scan:
                carry, losses = all_steps(carry, (which, w))
                losses.block_until_ready()
            else:
                for k in range(len(batches)):
                    carry, loss = one_step(carry, (which[k], w[k]))
                    float(loss)
            return [np.asarray(p) for p in jax.block_until_ready(carry[0])]
        return train
    return make


def scikit_learn(task: Task) -> Train:
    """MLPClassifier with the same layers, rate and batches, without its L2; from a start of its own."""
    dense(task)
    from sklearn.neural_network import MLPClassifier
    warnings.filterwarnings("ignore", module="sklearn")

    def train(start: list[Array], epochs: int, rng: Any) -> list[Array]:
        MLPClassifier(task.sizes[1:-1], alpha=0.0, batch_size=task.batch, learning_rate_init=RATE, max_iter=epochs, tol=0.0,
                      n_iter_no_change=10 ** 9, shuffle=rng is not None, random_state=0).fit(task.X, task.y)
        return []
    return train


SYSTEMS: dict[str, tuple[str, Callable[[Task], Train]]] = {   # name → (the package it needs, how it trains)
    "xigrad numpy": ("numpy", xigrad("numpy")), OURS: ("llvmlite", xigrad("llvm")),
    "numpy by hand": ("numpy", numpy_by_hand), "numba by hand": ("numba", numba_by_hand),
    "PyTorch eager": ("torch", torch_eager), "JAX step": ("jax", jax_step(False)), "JAX lax.scan": ("jax", jax_step(True)),
    "scikit-learn": ("sklearn.neural_network", scikit_learn)}


# ---- the measurement

@dataclass
class Result:
    """Seconds: a hundred epochs of the first model, of another one, and of one in another process; a step in every round."""

    cold: float
    again: float
    kept: float
    train: Train
    steps: list[float] = field(default_factory=list)


def seconds(run: Callable[[], Any]) -> float:
    """CPU seconds."""
    start = process_time()
    run()
    return process_time() - start


def first_time(task: Task, make: Callable[[Task], Train]) -> tuple[float, Train]:
    """Seconds of a hundred epochs with what has to be made for them; and what was made."""
    found: list[Train] = []

    def run() -> None:
        found.append(make(task))
        found[0](task.start, 100, np.random.default_rng(1))
    return seconds(run), found[0]


def measured(case: str, name: str, task: Task, reference: list[Array] | None) -> tuple[Result, list[Array]]:
    """A system on a task, before the rounds; ValueError if it does not lead where the reference led."""
    package, make = SYSTEMS[name]
    import_module(package)
    cold, train = first_time(task, make)
    again = seconds(lambda: train([-part for part in task.start], 100, np.random.default_rng(2)))
    found = train(task.start, 3, None)
    if reference is not None and found:
        error = max([float(np.abs(a - b).max()) for a, b in zip(found, reference, strict=True)])
        if not error <= 1e-9:
            raise ValueError(f"DIFFERS by {error:.1e}")
    other = subprocess.run([sys.executable, __file__, "--once", case, name], capture_output=True, text=True, check=True)
    return Result(cold, again, float(other.stdout), train), found


def once(case: str, name: str) -> None:
    """Print the seconds of a hundred epochs in this process."""
    package, make = SYSTEMS[name]
    import_module(package)
    print(first_time(CASES[case](), make)[0])


def measure(case: str, task: Task, quick: bool) -> tuple[dict[str, Result], dict[str, str]]:
    """All systems in turns; and of the others, why they were not timed."""
    results: dict[str, Result] = {}
    why: dict[str, str] = {}
    reference: list[Array] | None = None
    for name, (package, _) in SYSTEMS.items():
        if not importable(package.partition(".")[0]):
            why[name] = f"no {package.partition('.')[0]} here"
            continue
        try:
            results[name], found = measured(case, name, task, reference)
            reference = reference or found
        except Exception as error:   # whatever one raises, the others go on
            why[name] = f"{type(error).__name__}: {error}"[:120]
    rounds = 3 if quick else 9
    few, many = [-(-steps // task.steps) for steps in (task.many // 21, task.many // (4 if quick else 1))]   # epochs
    for _ in range(rounds):
        for result in results.values():
            rng = np.random.default_rng(3)
            spent = [seconds(lambda n=n, r=result, rng=rng: r.train(task.start, n, rng)) for n in (few, many)]  # type: ignore[misc]
            result.steps.append((spent[1] - spent[0]) / ((many - few) * task.steps))
    return results, why


def table(task: Task, results: dict[str, Result], why: dict[str, str]) -> None:
    """Print what was measured of a task."""
    print(f"\n{task.title}\n\n| {'':<14} | step µs | × {OURS} | 100 epochs, cold s | again s | new process s |")
    for name in SYSTEMS:
        cells = ["—"] * 5
        if name in results:
            r = results[name]
            step = median(r.steps)
            ratio = f"{step / median(results[OURS].steps):.2f}" if OURS in results else "—"
            cells = [f"{step * 1e6:.1f}", ratio, *[f"{x:.3f}" for x in (r.cold, r.again, r.kept)]]
        widths = 7, 13, 18, 7, 13
        print(f"| {name:<14} | {' | '.join([f'{cell:>{width}}' for cell, width in zip(cells, widths, strict=True)])} |")
    for name, reason in why.items():
        print(f"{name}: {reason}")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n\n", maxsplit=1)[0])
    parser.add_argument("--only", metavar="CASES", default=",".join(CASES), help=f"some of {', '.join(CASES)}")
    parser.add_argument("--quick", action="store_true", help="fewer repetitions")
    parser.add_argument("--once", nargs=2, metavar=("CASE", "SYSTEM"), help="a hundred epochs, the seconds alone")
    options = parser.parse_args()
    if options.once:
        once(*options.once)
        return
    chosen = options.only.split(",")
    if unknown := [name for name in chosen if name not in CASES]:
        parser.error(f"no {', '.join(unknown)}: there are {', '.join(CASES)}")
    print(f"Python {platform.python_version()}, numpy {np.__version__}, {platform.system()} {platform.machine()}, "
          f"{os.cpu_count()} cores, one thread, float64, Adam", flush=True)
    for name in chosen:
        task = CASES[name]()
        table(task, *measure(name, task, options.quick))


if __name__ == "__main__":
    main()
