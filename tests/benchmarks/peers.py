"""The systems that the benchmark of compilation compares: each makes of a model a training step on a batch.

A step is the loss, all its gradients, and θ ← θ − rate · gradient. All of it in float64, in one thread.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import importlib.util
import math
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import perf_counter
from types import SimpleNamespace
from typing import Any

import numpy as np
from models import Array, Model


@dataclass
class Step:
    """What a system made of a model: `run` takes a step and gives the loss before it, `theta` the parameters after it."""

    run: Callable[[], float]
    theta: Callable[[], Array]
    settle: Callable[[], Any] = lambda: None   # wait for what a step left to be done
    compiled: Any = None   # ours


@dataclass(frozen=True)
class Task:
    """A model, where its training starts, and a batch; B = 0 is a single example that is no batch."""

    model: Model
    B: int
    rate: float
    theta: Array
    X: Array
    T: Array


Maker = Callable[[Task], Step]


def task(model: Model, B: int, rate: float) -> Task:
    """With the same numbers every time."""
    rng = np.random.default_rng(0)
    return Task(model, B, rate, model.start(rng), *model.data(rng, max(B, 1)))


# ---- ours

def xigrad(backend: str) -> Maker:
    """`compile`, on a backend."""
    def make(task: Task) -> Step:
        from autograd import functions
        from autograd.compiler import compile
        from autograd.compiler.trace import Symbol, tracing
        model, rate, theta = task.model, task.rate, task.theta.copy()
        params, x, t = ([Symbol(f"{name}{i}") for i in range(n)] for name, n in
                        zip(("p", "x", "t"), (model.size, *model.widths), strict=True))
        with tracing(), collector_off():
            loss = model.loss(functions, params, x, t)
        inputs, arrays = [params, *[part for part in (x, t) if part]], [part for part in (task.X, task.T) if part.size]
        if task.B:
            f = compile(loss, inputs, wrt=0, batch=tuple(range(1, len(inputs))), reduce="mean", backend=backend)
        else:
            f = compile(loss, inputs, wrt=0, backend=backend)
            arrays = [a[0] for a in arrays]
            if backend == "python":
                return on_floats(f, theta, [a.tolist() for a in arrays], rate)

        def run() -> float:
            found, slopes = f.value_and_grad(theta, *arrays)
            np.multiply(slopes, rate, out=slopes)
            np.subtract(theta, slopes, out=theta)
            return float(found)
        return Step(run, lambda: theta, compiled=f)
    return make


def on_floats(f: Any, theta: Array, arrays: list[list[float]], rate: float) -> Step:
    """A single example in Python's floats, from lists to lists."""
    numbers = theta.tolist()

    def run() -> float:
        found, slopes = f.value_and_grad(numbers, *arrays)
        numbers[:] = [p - rate * g for p, g in zip(numbers, slopes, strict=True)]
        return float(found)
    return Step(run, lambda: np.array(numbers), compiled=f)


@contextlib.contextmanager
def collector_off() -> Iterator[None]:
    """Within it Python's cyclic collector waits, as it does within `compile_function`."""
    import gc
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


# ---- the peers

def micrograd(task: Task) -> Step:
    """One graph for the batch, built anew at every step as its demo does."""
    from micrograd.engine import Value
    model = task.model
    F = SimpleNamespace(relu=Value.relu)
    params = [Value(p) for p in task.theta.tolist()]
    data = list(zip(task.X.tolist(), task.T.tolist(), strict=True))

    def run() -> float:
        loss = sum([model.example(F, params, list(map(Value, x)), t) for x, t in data], Value(0.0)) * (1 / len(data))
        if model.penalty:
            loss = loss + model.penalty(F, params)
        for p in params:
            p.grad = 0.0
        loss.backward()
        for p in params:
            p.data -= task.rate * p.grad
        return float(loss.data)
    return Step(run, lambda: np.array([p.data for p in params]))


def numpy_by_hand(task: Task) -> Step:
    """All parameters in one array, and all gradients in another, so that the update is two operations."""
    by_hand, theta, slopes = task.model.by_hand, task.theta.copy(), np.empty(task.model.size)
    assert by_hand
    P, G = list(task.model.parts(theta)), list(task.model.parts(slopes))

    def run() -> float:
        loss = by_hand(P, G, task.X, task.T)
        np.multiply(slopes, task.rate, out=slopes)
        np.subtract(theta, slopes, out=theta)
        return loss
    return Step(run, lambda: theta)


def torch_functions() -> Any:
    """What `vectorised` asks of PyTorch."""
    import torch
    from torch.nn import functional
    return SimpleNamespace(
        linear=functional.linear, relu=torch.relu, exp=torch.exp, logsumexp=torch.logsumexp, conv=functional.conv2d,
        cross_entropy=functional.cross_entropy)


def torch_step(compiled: bool) -> Maker:
    """PyTorch on plain tensors; a model without a vectorised form as scalar code on tensors that hold the batch."""
    def make(task: Task) -> Step:
        import torch
        torch.set_num_threads(1)
        if compiled:
            warnings.filterwarnings("ignore", "dynamo_pgo")   # says that it keeps nothing for the next run
            torch._dynamo.reset()
        F, model = torch_functions(), task.model
        X, T = torch.from_numpy(task.X), torch.from_numpy(task.T)
        if model.widths[1] > 1:   # one-hot: the classes' numbers, which are quicker
            T = T.argmax(1)
        P = [torch.from_numpy(p.copy()).requires_grad_() for p in model.parts(task.theta)]

        def loss_of(P: Any, X: Any, T: Any) -> Any:
            if model.vectorised:
                return model.vectorised(F, P, X, T)
            scalars = SimpleNamespace(tanh=torch.tanh, sin=torch.sin)
            return model.example(scalars, P[0].unbind(), X.unbind(1), T.unbind(1)).mean()
        f = torch.compile(loss_of) if compiled else loss_of

        def run() -> float:
            loss = f(P, X, T)
            slopes = torch.autograd.grad(loss, P)
            with torch.no_grad():
                torch._foreach_add_(P, slopes, alpha=-task.rate)
            return float(loss.detach())
        return Step(run, lambda: np.concatenate([p.detach().numpy().ravel() for p in P]))
    return make


def jax_functions() -> Any:
    """What `vectorised` and `example` ask of JAX."""
    import jax
    from jax import numpy as jnp
    return SimpleNamespace(
        linear=lambda x, w, b: x @ w.T + b, relu=lambda x: jnp.maximum(x, 0.0), exp=jnp.exp, tanh=jnp.tanh, sin=jnp.sin,
        logsumexp=lambda z, axis: jax.scipy.special.logsumexp(z, axis=axis),
        conv=lambda x, w, b: jax.lax.conv(x, w, (1, 1), "VALID") + b[:, None, None],
        cross_entropy=lambda z, t: (jax.scipy.special.logsumexp(z, axis=1) - (z * t).sum(axis=1)).mean())


def jax_step(strict: bool, unrolled: bool = False) -> Maker:
    """jit of loss, gradients and update; strict waits at every step for all it computes, lenient for the loss alone."""
    def make(task: Task) -> Step:
        import jax
        from jax import numpy as jnp
        jax.config.update("jax_enable_x64", True)
        F, model = jax_functions(), task.model
        X, T = jnp.asarray(task.X), jnp.asarray(task.T)
        if unrolled:
            scalars = SimpleNamespace(**vars(F) | {
                "logsumexp": lambda *xs: jax.scipy.special.logsumexp(jnp.stack(xs))})

            def loss_of(theta: Any, X: Any, T: Any) -> Any:
                p = list(theta[0])
                each = jax.vmap(lambda x, t: model.example(scalars, p, list(x), list(t)))(X, T)
                return each.mean() + (model.penalty(scalars, p) if model.penalty else 0.0)
            P = [jnp.array(task.theta)]
        else:
            def loss_of(theta: Any, X: Any, T: Any) -> Any:
                assert model.vectorised
                return model.vectorised(F, theta, X, T)
            P = [jnp.array(p) for p in model.parts(task.theta)]

        def update(P: Any, X: Any, T: Any) -> Any:
            loss, slopes = jax.value_and_grad(loss_of)(P, X, T)
            return loss, [p - task.rate * g for p, g in zip(P, slopes, strict=True)]
        step = jax.jit(update, donate_argnums=0)

        def run() -> float:
            nonlocal P
            loss, P = step(P, X, T)
            if strict:
                jax.block_until_ready((loss, P))
            return float(loss)
        return Step(run, lambda: np.concatenate([np.asarray(p).ravel() for p in P]), lambda: jax.block_until_ready(P))
    return make


def casadi(task: Task, **options: Any) -> Step:
    """An SX function of loss and gradient of one example, mapped over the batch with its sums, run on buffers."""
    import casadi as ca
    model, n = task.model, max(task.B, 1)
    F = SimpleNamespace(relu=lambda x: ca.fmax(x, 0), exp=ca.exp, tanh=ca.tanh, sin=ca.sin,
                        logsumexp=lambda *xs: ca.logsumexp(ca.vertcat(*xs)))
    p, x, t = ca.SX.sym("p", model.size), ca.SX.sym("x", model.widths[0]), ca.SX.sym("t", model.widths[1])
    params = ca.vertsplit(p)

    def with_gradient(loss: Any) -> list[Any]:
        return [ca.densify(loss), ca.densify(ca.gradient(loss, p))]
    f = ca.Function("f", [p, x, t], with_gradient(model.example(F, params, ca.vertsplit(x), ca.vertsplit(t))), options)
    if n > 1:
        f = f.map("batch", "serial", n, [0], [0, 1])   # theta is the same for all, the results are added up
    theta, value, slopes = task.theta.copy(), np.zeros(1), np.zeros(model.size)
    fixed = np.zeros(model.size)
    calls = [buffered(f, [theta, task.X, task.T], [value, slopes])]
    extra = np.zeros(1)
    if model.penalty:
        g = ca.Function("g", [p], with_gradient(model.penalty(F, params)))
        calls.append(buffered(g, [theta], [extra, fixed]))

    def run() -> float:
        for _, call in calls:
            call()
        np.multiply(slopes, task.rate / n, out=slopes)
        np.subtract(theta, slopes, out=theta)
        if model.penalty:
            np.multiply(fixed, task.rate, out=fixed)
            np.subtract(theta, fixed, out=theta)
        return float(value[0] / n + extra[0])
    return Step(run, lambda: theta)


def casadi_c(task: Task) -> Step:
    """The same as C code, which gcc compiles; without optimisation, which takes minutes for long straight lines."""
    if shutil.which("gcc") is None:
        raise RuntimeError("no gcc here")
    compiler = {"flags": ["-O0", "-march=native"], "verbose": False, "cleanup": False}
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):   # it writes where it is called
        return casadi(task, jit=True, jit_cleanup=False, compiler="shell", jit_options=compiler)


def pytensor(task: Task) -> Step:
    """A function of PyTensor's, by numba, which updates the parameters itself."""
    import pytensor as pt
    from pytensor import tensor as at
    F = SimpleNamespace(
        linear=lambda x, w, b: x @ w.T + b, relu=lambda x: at.maximum(x, 0.0), exp=at.exp, tanh=at.tanh, sin=at.sin,
        logsumexp=lambda z, axis: at.logsumexp(z, axis=axis),
        cross_entropy=lambda z, t: (at.logsumexp(z, axis=1) - (z * t).sum(axis=1)).mean())
    model = task.model
    assert model.vectorised
    P = [pt.shared(p.copy()) for p in model.parts(task.theta)]
    X, T = pt.shared(task.X), pt.shared(task.T)
    loss = model.vectorised(F, P, X, T)
    f = pt.function([], loss, updates=[(p, p - task.rate * g) for p, g in zip(P, pt.grad(loss, P), strict=True)], mode="NUMBA")
    return Step(lambda: float(f()), lambda: np.concatenate([p.get_value().ravel() for p in P]))


def heyoka(task: Task) -> Step:
    """A compiled function of heyoka's: loss and gradient of one example, evaluated for the batch."""
    import heyoka as hy
    model, n = task.model, max(task.B, 1)
    F = SimpleNamespace(relu=hy.relu, exp=hy.exp, tanh=hy.tanh, sin=hy.sin,
                        logsumexp=lambda *xs: hy.log(hy.sum([hy.exp(x) for x in xs])))
    p, x, t = ([hy.expression(f"{name}{i:05}") for i in range(k)] for name, k in
               zip(("p", "x", "t"), (model.size, *model.widths), strict=True))
    loss = model.example(F, p, x, t)
    if model.penalty:
        loss = loss + model.penalty(F, p)
    f = hy.cfunc([loss, *hy.diff_tensors([loss], diff_args=p, diff_order=1).gradient], vars=[*p, *x, *t])
    theta, inputs = task.theta.copy(), np.empty((model.size + sum(model.widths), n))
    inputs[model.size:] = np.concatenate([task.X, task.T], axis=1).T
    outputs = np.empty((1 + model.size, n))

    def run() -> float:
        inputs[:model.size] = theta[:, None]
        f(inputs, outputs=outputs)
        found = outputs.mean(axis=1)
        np.subtract(theta, task.rate * found[1:], out=theta)
        return float(found[0])
    return Step(run, lambda: theta)


def buffered(f: Any, inputs: list[Any], outputs: list[Any]) -> tuple[Any, Callable[[], None]]:
    """A CasADi function that reads and writes arrays in place: the quickest way to call it."""
    buffer, call = f.buffer()
    for i, x in enumerate(inputs):
        if x.size:
            buffer.set_arg(i, memoryview(x))
    for i, x in enumerate(outputs):
        buffer.set_res(i, memoryview(x))
    return buffer, call


# ---- all of them

PEERS: dict[str, tuple[str, Maker]] = {   # name → (the package it needs, how it makes a step)
    "micrograd": ("micrograd", micrograd),
    "numpy by hand": ("numpy", numpy_by_hand),
    "PyTorch eager": ("torch", torch_step(False)),
    "torch.compile": ("torch", torch_step(True)),
    "JAX strict": ("jax", jax_step(True)),
    "JAX lenient": ("jax", jax_step(False)),
    "JAX unrolled": ("jax", jax_step(True, unrolled=True)),
    "CasADi": ("casadi", casadi),
    "CasADi, gcc": ("casadi", casadi_c),
    "PyTensor": ("pytensor", pytensor),
    "heyoka": ("heyoka", heyoka),
}
OURS: dict[str, tuple[str, Maker]] = {
    "xigrad python": ("autograd", xigrad("python")),
    "xigrad numpy": ("numpy", xigrad("numpy")),
    "xigrad llvm": ("llvmlite", xigrad("llvm")),
}


def importable(package: str) -> bool:
    """Whether a package is there; it is imported, so that no measurement contains that."""
    if importlib.util.find_spec(package) is None:
        return False
    importlib.import_module(package)
    return True


# ---- the machine

class Peak:
    """Independent fused multiply-adds in registers, as many as a core can do; needs llvmlite."""

    REPEATS, CHAINS = 100_000, 10   # ten cover the latency, and fit into 16 registers with what they multiply by

    def __init__(self) -> None:
        import llvmlite.binding as llvm
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        features = llvm.get_host_cpu_features()
        self.lanes = 8 if features.get("avx512f") else 4 if features.get("avx2") else 2
        v, chains = f"<{self.lanes} x double>", range(self.CHAINS)
        fma = f"@llvm.fma.v{self.lanes}f64"
        lines = [f"declare {v} {fma}({v}, {v}, {v})", "define void @f(ptr %p) {", "entry:",
                 f"  %x = load {v}, ptr %p, align 8", "  br label %loop", "loop:", "  %i = phi i64 [0, %entry], [%j, %loop]",
                 *[f"  %a{k} = phi {v} [%x, %entry], [%b{k}, %loop]" for k in chains],
                 *[f"  %b{k} = call {v} {fma}({v} %x, {v} %a{k}, {v} %x)" for k in chains],
                 "  %j = add i64 %i, 1", f"  %c = icmp ult i64 %j, {self.REPEATS}", "  br i1 %c, label %loop, label %end",
                 "end:",
                 *[f"  %q{k} = getelementptr {v}, ptr %p, i64 {k}\n  store {v} %b{k}, ptr %q{k}, align 8" for k in chains],
                 "  ret void", "}"]
        machine = llvm.Target.from_default_triple().create_target_machine(
            cpu=llvm.get_host_cpu_name(), features=features.flatten(), opt=2)
        self.engine = llvm.create_mcjit_compiler(llvm.parse_assembly("\n".join(lines)), machine)
        self.engine.finalize_object()
        self.call = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(self.engine.get_function_address("f"))

    def __call__(self) -> float:
        """Flops per second: the best of a few calls."""
        best = math.inf
        for _ in range(5):
            room = np.full(self.lanes * self.CHAINS, 0.5)
            start = perf_counter()
            self.call(room.ctypes.data)
            best = min(best, perf_counter() - start)
        return 2 * self.lanes * self.CHAINS * self.REPEATS / best
