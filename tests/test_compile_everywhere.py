"""Compiled programs against the graphs that they were made of: in every backend, at every point, of any shape."""

from __future__ import annotations

import copy
import math
import pickle
import threading
from collections.abc import Callable
from itertools import islice, pairwise
from typing import Any

import numpy as np
import pytest
from helpers import EFFORT, ROWS, Program, anywhere, inside, path_sums, programs, same
from hypothesis import assume, given
from hypothesis import strategies as st

import autograd as ag
from autograd import PRIMITIVES, Primitive, TraceError, Value, compile, compile_function, errstate, exp, hessian, log, relu
from autograd.compiler.backends.llvm.functions import RULES, llvm_rule

BACKENDS = ["python", "numpy", "llvm"]
ignoring = {"invalid": "ignore", "divide": "ignore"}


@pytest.fixture(autouse=True)
def dirty(monkeypatch: pytest.MonkeyPatch) -> None:
    """What numpy allocates without setting it is nan, so that reading it shows."""
    def empty(shape: Any, dtype: Any = float, *args: Any, **options: Any) -> Any:
        x = made(shape, dtype, *args, **options)
        if x.dtype == float:
            x.fill(math.nan)
        return x
    made = np.empty
    monkeypatch.setattr(np, "empty", empty)


def near(a: float, b: float, scale: float = 0.0) -> bool:
    """Equal up to 1e-12 of the larger of |b| and `scale`, a few of the smallest numbers, or both nan."""
    return a == b or (a != a and b != b) or abs(a - b) <= 1e-12 * max(abs(b), scale) + 2e-322


def eager(f: Callable[..., Any], xs: list[float]) -> tuple[float, list[float]]:
    """f(*xs) and its gradient, by the graph; a gradient that the graph refuses is nan."""
    values = [Value(x) for x in xs]
    y = f(*values)
    try:
        y.backward()
    except FloatingPointError:
        return y.data, [math.nan] * len(xs)
    return y.data, [v.grad for v in values]


# ---- every primitive, everywhere

@pytest.mark.parametrize("p", ROWS, ids=lambda p: p.name)
def test_primitives_everywhere(p: Primitive, backend: str) -> None:
    points = [*islice(anywhere(p, 200 * EFFORT), 3000), *inside(p, 50)]
    xs = [Value(0.5, label=f"x{i}") for i in range(len(points[0]))]
    with errstate(**ignoring):
        f = compile(p(*xs), xs, batch=range(len(xs)), wrt=range(len(xs)), backend=backend)
        columns = list(np.array(points).T)
        found = f(*columns)
        for x, y in zip(points, found.tolist(), strict=True):
            true = p(*map(Value, x)).data
            assert same(y, true) if backend == "python" else near(y, true), (x, y, true)


@pytest.mark.parametrize("p", ROWS, ids=lambda p: p.name)
def test_slopes_everywhere(p: Primitive, backend: str) -> None:
    points = [*islice(anywhere(p, 100 * EFFORT), 700), *inside(p, 50)]
    xs = [Value(0.5) for _ in points[0]]
    with errstate(**ignoring):
        f = compile(p(*xs), xs, batch=range(len(xs)), wrt=range(len(xs)), backend=backend)
        for x in points:
            true = eager(p, x)[1]
            if any(d != d for d in true):
                continue   # where the graph refuses, so does the program: below
            found = f.value_and_grad(*[np.array([v]) for v in x])[1]
            for d, t in zip(found, true, strict=True):
                assert near(float(d[0]), t, 1e-300), (x, found, true)


@given(programs)
def test_random_graphs(program: Program) -> None:
    xs, y = program.values()
    sums = path_sums(y, xs)
    assume(max(sums) < 1e6)
    y.backward()
    at = [x.data for x in xs]
    value, slopes = compile(y, [xs], backend="python").value_and_grad(at)
    assert same(value, y.data)
    assert all(d == x.grad for d, x in zip(slopes, xs, strict=True))
    for backend in BACKENDS[1:]:
        value, slopes = compile(y, [xs], backend=backend).value_and_grad(at)
        scale = 1 + sum(sums)
        assert near(value, y.data, scale)
        for d, x, total in zip(slopes, xs, sums, strict=True):
            assert abs(d - x.grad) <= 1e-11 * (1 + total), backend


@given(programs, st.integers(1, 11))
def test_batches_of_random_graphs(program: Program, B: int) -> None:
    """One variable varies from example to example, the others are shared."""
    xs, y = program.values()
    assume(max(path_sums(y, xs)) < 1e4)
    rows = [xs[0].data + 1e-3 * b for b in range(B)]
    results = []
    for backend in BACKENDS:
        f = compile(y, [xs[1:], xs[0]], wrt=(0, 1), batch=1, reduce="sum", backend=backend)
        value, (shared, own) = f.value_and_grad([x.data for x in xs[1:]], rows)
        assert own.shape == (B,)
        results.append([value, *np.ravel(shared), *own])
    for other in results[1:]:
        assert np.allclose(other, results[0], rtol=1e-9, atol=1e-9)


# ---- models

def network(sizes: list[int], activation: Callable[[Any], Any], share: bool = False) -> tuple[Value, list[Value], Any, Any]:
    """A network with softmax cross-entropy and a penalty, written with Values; `share` uses one layer twice."""
    rng = np.random.default_rng(0)
    parameters: list[Value] = []
    x, t = [Value(0.0, label=f"x{i}") for i in range(sizes[0])], [Value(0.0, label=f"t{i}") for i in range(sizes[-1])]
    h, layers = x, {}
    for n, m in pairwise(sizes):
        if not (share and (n, m) in layers):
            layers[n, m] = [[Value(v) for v in row] for row in rng.normal(size=(m, n + 1)) / 2]
            parameters += [w for row in layers[n, m] for w in row]
        h = [activation(sum((w * v for w, v in zip(row, h, strict=False)), row[-1])) for row in layers[n, m]]
    loss = ag.logsumexp(h) - sum(a * b for a, b in zip(t, h, strict=True))
    return loss + 0.01 * sum(p * p for p in parameters) + relu(parameters[0]), parameters, x, t


def convolution() -> tuple[Value, list[Value], Any, Any]:
    """Two filters over a 5 × 5 image with zeros around it, and a dense layer."""
    rng = np.random.default_rng(1)
    w, v = [[Value(z) for z in rng.normal(size=n)] for n in (20, 50)]
    x = [[Value(0.0) for _ in range(5)] for _ in range(5)]
    maps = []
    for k in range(2):
        for i in range(5):
            for j in range(5):
                terms = [w[10 * k + 3 * a + b] * x[i + a - 1][j + b - 1] for a in range(3) for b in range(3)
                         if 0 <= i + a - 1 < 5 and 0 <= j + b - 1 < 5]
                maps.append(ag.tanh(sum(terms, w[10 * k + 9])))
    t = Value(0.0)
    return (sum(a * b for a, b in zip(v, maps, strict=True)) - t) ** 2, w + v, x, t


MODELS: dict[str, Callable[[], tuple[Value, list[Value], Any, Any]]] = {
    "relu": lambda: network([5, 7, 4, 3], relu), "tanh": lambda: network([2, 16, 3], ag.tanh),
    "shared layer": lambda: network([4, 4, 4, 2], ag.sigmoid, share=True), "softplus": lambda: network([3, 2], ag.softplus),
    "convolution": convolution,
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("B", [1, 2, 3, 8, 33, 1100])
def test_models(name: str, B: int, backend: str) -> None:
    loss, parameters, x, t = MODELS[name]()
    rng = np.random.default_rng(B)
    shape = (5, 5) if isinstance(x[0], list) else (len(x),)
    X, T = rng.normal(size=(B, *shape)), rng.normal(size=(B, *((len(t),) if isinstance(t, list) else ())))
    theta = np.array([p.data for p in parameters])
    reference = compile(loss, [parameters, x, t], wrt=0, batch=(1, 2), reduce="sum", backend="python")
    total, slopes = reference.value_and_grad(theta, X, T)
    if B <= 3:
        sums, value = np.zeros(len(theta)), 0.0
        for row, target in zip(X, T, strict=True):
            y = graph_at(loss, [*parameters, *np.ravel(x), *np.ravel(t)], [*theta, *row.ravel(), *np.ravel(target)])
            sums, value = sums + y[1][:len(theta)], value + y[0]
        assert value == total and (sums == slopes).all()
    f = compile(loss, [parameters, x, t], wrt=0, batch=(1, 2), reduce="mean", backend=backend)
    before = X.copy(), T.copy(), theta.copy()
    mean, derivative = f.value_and_grad(theta, X, T)
    assert mean == pytest.approx(total / B, rel=1e-12)
    assert np.allclose(derivative, slopes / B, rtol=0, atol=1e-12 * abs(slopes).max() / B)
    kept = derivative.copy()
    poison(f)
    again = f.value_and_grad(theta, np.asfortranarray(X), T)
    assert again[0] == mean and (again[1] == kept).all() and (derivative == kept).all()
    assert all((a == b).all() for a, b in zip(before, (X, T, theta), strict=True))
    each = compile(loss, [parameters, x, t], batch=(1, 2), backend=backend)
    values = each(theta, X, T)
    assert values.shape == (B,) and values.sum() == pytest.approx(total, rel=1e-11)
    if B == 3:
        own = each.value_and_grad(theta, X, T)[1]
        assert own.shape == (B, len(theta)) and np.allclose(own.sum(axis=0), slopes, atol=1e-11 * abs(slopes).max())


def graph_at(y: Value, leaves: list[Value], at: list[float]) -> tuple[float, Any]:
    """The value and gradient of a graph at other numbers, by Values."""
    twin, places = copy.deepcopy((y, leaves)), range(len(leaves))
    for k in places:
        twin[1][k].data = float(at[k])
    made: dict[Value, Value] = {}
    for v in ag.topological(twin[0]):
        made[v] = v.op(*[made[a] for a in v.args]) if v.op else v
    made[twin[0]].backward()
    return made[twin[0]].data, np.array([twin[1][k].grad for k in places])


def poison(f: Any) -> None:
    """Every buffer that no argument is copied into is nan."""
    kernel = f._last.kernel
    for entry in getattr(kernel, "free", {}).values() if isinstance(getattr(kernel, "free", None), dict) else []:
        for _, buffers, _ in entry:
            buffers["V"][...] = np.nan
    for buffers in kernel.free if isinstance(getattr(kernel, "free", None), list) else []:
        for array in (buffers.V, buffers.S, buffers.G):
            array[...] = np.nan


def test_arguments_of_every_kind(backend: str) -> None:
    w, x = [Value(1.0), Value(2.0)], [Value(0.0), Value(0.0)]
    f = compile(w[0] * x[0] + w[1] * x[1] * x[1], [w, x], wrt=(0, 1), backend=backend)
    X = np.arange(12.0).reshape(6, 2)
    true = 3 * X[:, 0] + 4 * X[:, 1] ** 2
    for given_ in (X, X.tolist(), X.astype(int), X.astype(np.float32), np.asfortranarray(X), np.repeat(X, 2, axis=0)[::2],
                   np.hstack([X, X])[:, :2], X[::-1][::-1]):
        assert (f([3.0, 4.0], given_) == true).all()
    value, (dw, dx) = f.value_and_grad([3, 4], (1.0, 2.0))
    assert (value, dw, dx) == (19.0, [1.0, 4.0], [3.0, 16.0])
    assert isinstance(f.value_and_grad(np.array([3.0, 4.0]), [1.0, 2.0])[1][0], np.ndarray)


def test_outputs_that_are_inputs_constants_or_unused(backend: str) -> None:
    a, b, unused = Value(1.0), Value(2.0), Value(3.0)
    f = compile([a, a * b, ag.value.literal(7.0), b, a, a * b], [a, b, unused], backend=backend)
    assert f(2.0, 3.0, 4.0) == [2.0, 6.0, 7.0, 3.0, 2.0, 6.0]
    assert f(np.array([2.0, 5.0]), 3.0, 4.0).tolist() == [[2.0, 6.0, 7.0, 3.0, 2.0, 6.0], [5.0, 15.0, 7.0, 3.0, 5.0, 15.0]]
    g = compile(a * a, [a, unused], wrt=(0, 1), batch=0, reduce="sum", backend=backend)
    assert g.value_and_grad([1.0, 2.0], 3.0)[1][1] == 0.0
    same_ = compile(a, [a], batch=0, reduce="sum", backend=backend)
    assert same_.value_and_grad(np.array([1.0, 2.0]))[0] == 3.0


def test_captured_values_are_read_at_every_call(backend: str) -> None:
    w, x = Value(2.0, label="w"), Value(0.0)
    f = compile(w * x + 1, [x], backend=backend)
    assert f(3.0) == 7.0
    w.data = 10.0
    assert f(3.0) == 31.0 and f(np.array([1.0, 2.0])).tolist() == [11.0, 21.0]


def test_an_input_that_was_computed_itself(backend: str) -> None:
    x = Value(2.0)
    h = x * x
    assert compile(h * x + h, [x, h], wrt=(0, 1), backend=backend).value_and_grad(3.0, 5.0) == (20.0, (5.0, 4.0))


def test_hessians_and_products(backend: str) -> None:
    def f(v: Any) -> Any:
        return exp(v[0] * v[1]) + v[1] ** 3 * v[2] + ag.logsumexp(v)
    at, v = [0.3, -0.5, 1.1], [1.0, 2.0, -1.0]
    true = np.array(hessian(f)(at))
    xs = [Value(x) for x in at]
    compiled = compile(hessian(f(xs), xs), [xs], backend=backend)
    assert np.allclose(compiled(at), true, rtol=1e-12)
    assert np.allclose(compiled(np.array([at, at]))[1], true, rtol=1e-12)
    traced = compile_function(hessian(f), backend=backend)
    assert np.allclose(traced(at), true, rtol=1e-12)
    product = compile_function(lambda x, u: ag.hvp(f, x, u)[1], backend=backend)
    assert np.allclose(product(at, v), true @ v, rtol=1e-12)


# ---- what is not finite

def test_products_of_different_weights_summed_over_a_batch(backend: str) -> None:
    x, y = [Value(0.0) for _ in range(4)], [Value(0.0) for _ in range(4)]
    terms = [c * a * b for c, a, b in zip((2.0, -1.0, 0.5, 3.0), x, y, strict=True)]
    X, Y = np.arange(12.0).reshape(3, 4), np.arange(12.0)[::-1].reshape(3, 4)
    total = compile(sum(terms), [x, y], batch=(0, 1), reduce="sum", backend=backend)(X, Y)
    assert total == pytest.approx(float((X * Y * [2.0, -1.0, 0.5, 3.0]).sum()), rel=1e-14)


def test_sums_that_overflow_are_infinite(backend: str) -> None:
    x = Value(1.0)
    assert compile(x * 1e300, [x], batch=0, reduce="sum", backend=backend)(np.full(3, 1e8)) == math.inf


def test_errors_are_those_of_the_graph(backend: str) -> None:
    x = Value(1.0, label="height")
    f = compile(log(x) * 2, [x], backend=backend)
    with pytest.raises(ValueError, match=r"log\(-1\) of node 'height'"):
        f(-1.0)
    with pytest.raises(ValueError, match=r"log\(-1\) of node 'height'") as caught:
        f(np.array([1.0, 2.0, -1.0]))
    assert caught.value.__notes__ == ["in example 2 of the batch"]
    with errstate(**ignoring):
        assert np.isnan(f(np.array([1.0, -1.0]))).tolist() == [False, True]
    assert f(math.inf) == math.inf and math.isnan(f(math.nan))
    g = compile(1 / x, [x], backend=backend)
    with pytest.raises(ZeroDivisionError, match="reciprocal"):
        g(0.0)


def test_a_strong_zero_is_the_graphs(backend: str) -> None:
    x = Value(1.0)
    f = compile(relu(ag.sqrt(x) - 1), [x], batch=0, reduce="sum", backend=backend)
    assert f.value_and_grad(np.array([0.0, 4.0]))[1].tolist() == [0.0, 0.25]
    with pytest.raises(FloatingPointError, match="nan gradient"):
        compile(ag.sqrt(x * x), [x], backend=backend).value_and_grad(0.0)


# ---- tracing

@pytest.mark.parametrize("f", [
    lambda x: x if x > 0 else -x, lambda x: x * (1 if x else 2), lambda x: float(x) * x, lambda x: x * x.data,
    lambda x: max(x, 0.0), lambda x: x * x.item(), lambda x: x.detach() * x, lambda x: x * int(x),
    lambda x: 2 * x if x == 1 else x, lambda x: [x * x] if Value(1.0) * 2 < x else x,
])
def test_what_needs_a_number_is_refused(f: Callable[[Any], Any]) -> None:
    with pytest.raises(TraceError, match="traced value"):
        compile_function(f)(2.0)


def test_no_grad_in_a_trace_is_refused() -> None:
    def f(x: Any) -> Any:
        with ag.no_grad():
            y = x * 2
        return x * y
    with pytest.raises(TraceError, match="no_grad"):
        compile_function(f)(2.0)


def test_symbols_do_not_leak() -> None:
    kept: list[Any] = []
    compile_function(lambda x: kept.append(x) or x * x)(2.0)  # type: ignore[func-returns-value]
    with pytest.raises(TraceError, match="another trace"):
        compile_function(lambda x: x * kept[0])(2.0)
    assert "Symbol" in f"{kept[0]}" and "Symbol" in f"{kept[0]:.3f}"


def test_functions_of_structures(backend: str) -> None:
    def f(p: dict[str, Any], x: Any) -> Any:
        return {"sum": p["w"][0] * x + p["b"], "both": (x, p["w"][1] * x)}
    g = compile_function(f, backend=backend)
    assert g({"w": [2.0, 3.0], "b": 1.0}, 4.0) == {"sum": 9.0, "both": (4.0, 12.0)}
    h = compile_function(lambda w, x: (w @ x).sum(), wrt=(0, 1), backend=backend)
    W, x = np.arange(6.0).reshape(2, 3), np.ones(3)
    value, (dW, dx) = h.value_and_grad(W, x)
    assert value == 15.0 and (dW == np.ones((2, 3))).all() and (dx == W.sum(axis=0)).all()
    batched = compile_function(lambda w, x: (w @ x).sum(), batch=1, reduce="mean", backend=backend)
    assert batched.value_and_grad(W, np.ones((4, 3)))[0] == 15.0
    assert batched(W, np.ones((7, 3))) == 15.0


# ---- primitives of one's own

def test_own_primitives(require_tool: Callable[[str], None]) -> None:
    name = "test_compiled_cube"
    cube = PRIMITIVES.get(name) or Primitive(name, value=lambda x: x * x * x, partials=lambda y, x: (3 * x * x,))
    x = Value(2.0)
    for backend in ("python", "numpy", "auto"):
        f = compile(cube(x) + 1, [x], batch=0, reduce="sum", backend=backend)
        assert f.value_and_grad(np.array([1.0, 2.0]))[0] == 11.0
        assert f.value_and_grad(np.array([1.0, 2.0]))[1].tolist() == [3.0, 12.0]
    require_tool("llvmlite")
    with pytest.raises(NotImplementedError, match=name):
        compile(cube(x), [x], batch=0, backend="llvm")(np.ones(2))
    llvm_rule(cube)(lambda s, x: s.op("fmul", s.op("fmul", x, x), x))
    try:
        assert compile(cube(x), [x], batch=0, backend="llvm")(np.array([1.0, 2.0, 3.0])).tolist() == [1.0, 8.0, 27.0]
    finally:
        del RULES[cube]


# ---- threads, pickles, depth, size

def test_many_threads_and_chunks(backend: str) -> None:
    loss, parameters, x, t = network([3, 8, 2], ag.tanh)
    rng = np.random.default_rng(0)
    theta, X, T = rng.normal(size=len(parameters)), rng.normal(size=(2500, 3)), rng.normal(size=(2500, 2))
    found = []
    for threads in (None, 1, 2, 4):
        f = compile(loss, [parameters, x, t], batch=(1, 2), reduce="sum", backend=backend, threads=threads)
        found.append(f.value_and_grad(theta, X, T))
    assert all(v == found[0][0] and (g == found[0][1]).all() for v, g in found)
    rows = [slice(k, k + 40 + k) for k in range(0, 200, 10)]
    alone = [f.value_and_grad(theta, X[r], T[r]) for r in rows]
    results: dict[int, Any] = {}

    def work(k: int) -> None:
        for _ in range(5):
            results[k] = f.value_and_grad(theta, X[rows[k]], T[rows[k]])
    workers = [threading.Thread(target=work, args=(k,)) for k in range(len(rows))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert all(results[k][0] == v and (results[k][1] == g).all() for k, (v, g) in enumerate(alone))


def test_pickles(backend: str) -> None:
    loss, parameters, x, t = network([3, 4, 2], relu)
    f = compile(loss, [parameters, x, t], batch=(1, 2), reduce="mean", backend=backend)
    arguments = [np.ones(len(parameters)), np.ones((2, 3)), np.ones((2, 2))]
    before = f.value_and_grad(*arguments)
    after = pickle.loads(pickle.dumps(f)).value_and_grad(*arguments)
    assert before[0] == after[0] and (before[1] == after[1]).all()


@pytest.mark.parametrize("depth", [20_000])
def test_deep_graphs(depth: int, backend: str) -> None:
    x = Value(1.0)
    y = x
    for _ in range(depth):
        y = ag.sin(y) if _ % 2 else y * 1.0000001
    y.backward()
    f = compile(y, [x], backend=backend)
    value, slope = f.value_and_grad(1.0)
    assert value == pytest.approx(y.data, rel=1e-9) and slope == pytest.approx(x.grad, rel=1e-9)


def test_programs_say_what_they_are(backend: str) -> None:
    loss, parameters, x, t = network([3, 4, 2], relu)
    f = compile(loss, [parameters, x, t], batch=(1, 2), reduce="mean", backend=backend)
    f.value_and_grad(np.ones(len(parameters)), np.ones((2, 3)), np.ones((2, 2)))
    text = str(f)
    if backend == "python":
        assert text.startswith("def f(x):")
    else:
        assert text.count("= W") == 3 and text.count("∂W") == 2   # W1 @ x, W2 @ h1, W2.T @ d, and two outer products
        assert "z1 = W1 @ x + b1" in text and "h1 = relu(z1)" in text and "∂W1 += " in text
    assert f.stats["backend"] == backend and f.stats["nodes"] > 0 and f.stats["statements"] > 0
    assert 0 <= f.stats["bytes"] < 1e6 and f.source


# ---- mistakes

def test_mistakes_are_told() -> None:
    x, y = Value(1.0), Value(2.0)
    cases: list[tuple[Any, Any, Any, str]] = [
        (([x * y], [x, y]), {"backend": "cuda"}, ValueError, "there are"),
        (([x * y], [x, y]), {"reduce": "max"}, ValueError, "'sum' or 'mean'"),
        (([x * y], [x, y]), {"wrt": 2}, ValueError, "wrt=2"),
        (([x * y], [x, y]), {"batch": (0, 5)}, ValueError, "batch"),
        (([x * y], [x, 3.0]), {}, TypeError, "input 1"),
        (([x * y], [x, x]), {}, ValueError, "twice"),
        (([x * y], [x, y]), {"threads": 0}, ValueError, "threads"),
    ]
    for arguments, options, error, match in cases:
        with pytest.raises(error, match=match):
            compile(*arguments, **options)
    f = compile(x * y, [x, y])
    with pytest.raises(TypeError, match="2 arguments"):
        f(1.0)
    with pytest.raises(TypeError, match="text"):
        f("1", 2.0)
    with pytest.raises(ValueError, match="examples"):
        f(np.ones(2), np.ones(3))
    with pytest.raises(ValueError, match="argument 0"):
        f(np.ones((2, 2)), 1.0)
    with pytest.raises(ValueError, match="at least one"):
        f(np.ones(0), 1.0)
    with pytest.raises(TypeError, match="one Value"):
        compile([x, y], [x, y]).value_and_grad(1.0, 2.0)
    g = compile(ag.grad(x * x * y, x), [x, y])
    assert g(3.0, 2.0) == 12.0
