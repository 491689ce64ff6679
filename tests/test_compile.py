"""Compiled graphs and functions: what they take, what they give and what they refuse, in every backend."""

from __future__ import annotations

import gc
import math
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from threading import Barrier
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest

from autograd import (
    PRIMITIVES,
    Primitive,
    Value,
    errstate,
    exp,
    grad,
    hessian,
    hvp,
    jvp,
    log,
    log1p,
    logsumexp,
    no_grad,
    relu,
    sigmoid,
    sin,
    softmax,
    sqrt,
    step,
    tanh,
    topological,
    value_and_grad,
    where,
)
from autograd.compiler import Compiled, TraceError, compile, compile_function
from autograd.compiler.backends.choose import no_llvm
from autograd.structure import leaves_of
from autograd.value import literal

pytestmark = [pytest.mark.usefixtures("dirty_memory"),   # and inputs that do not matter are among the cases
              pytest.mark.filterwarnings("ignore:compile.*do not depend on")]

Array = Any
SIZES = (1, 2, 3, 7, 8, 100, 1025)


def near(found: Any, true: Any, scale: float = 1.0) -> bool:
    """Whether two structures of numbers agree to 1e-12 of `scale`: sums are added up in another order."""
    a, b = (np.array([float(x) for x in leaves_of(part)]) for part in (found, true))
    return a.shape == b.shape and bool(np.all(np.abs(a - b) <= 1e-12 * np.maximum(scale, np.abs(b))))


# ---- a small network: parameters W, b, v and an example x, z

def network(W: Any, b: Any, v: Any, x: Any, z: Any) -> Any:
    hidden = [tanh(sum([w * t for w, t in zip(row, x, strict=True)], c)) for row, c in zip(W, b, strict=True)]
    error = sum([h * u for h, u in zip(hidden, v, strict=True)], 0.1) - z
    return error * error + 0.01 * sum([u * u for u in v], 0.0)


def leaves(shape: tuple[int, ...], name: str) -> Any:
    if not shape:
        return Value(0.5, label=name)
    return [leaves(shape[1:], f"{name}{i}") for i in range(shape[0])]


def network_graph() -> tuple[Value, list[Any]]:
    inputs = [leaves((4, 3), "w"), leaves((4,), "b"), leaves((4,), "v"), leaves((3,), "x"), leaves((), "z")]
    return network(*inputs), inputs


CHANCE = np.random.default_rng(7)
W, BIAS, V = CHANCE.normal(size=(4, 3)), CHANCE.normal(size=4), CHANCE.normal(size=4)
X, Z = CHANCE.normal(size=(max(SIZES), 3)), CHANCE.normal(size=max(SIZES))


@lru_cache
def truth() -> tuple[Array, list[Array]]:
    """Each example's loss, and its derivatives by all five arguments, one example after another by the eager engine."""
    f = value_and_grad(network, (0, 1, 2, 3, 4))
    rows = [f(W.tolist(), BIAS.tolist(), V.tolist(), x, z) for x, z in zip(X.tolist(), Z.tolist(), strict=True)]
    return np.array([loss for loss, _ in rows]), [np.array([slopes[k] for _, slopes in rows]) for k in range(5)]


@lru_cache
def compiled_network(backend: str, reduce: str | None, batch: Any) -> Compiled:
    """By all five arguments: one for all sizes of batches and places of numbers."""
    y, inputs = network_graph()
    return compile(y, inputs, wrt=(0, 1, 2, 3, 4), batch=batch, reduce=reduce, backend=backend)


@pytest.mark.parametrize("B", SIZES)
@pytest.mark.parametrize("reduce", [None, "sum", "mean"])
@pytest.mark.parametrize("given", [None, (3, 4)], ids=["automatic", "explicit"])
def test_a_batch_is_its_examples(backend: str, B: int, reduce: str | None, given: Any) -> None:
    f = compiled_network(backend, reduce, given)
    args = W, BIAS, V, X[:B], Z[:B]
    losses, slopes = truth()[0][:B], [part[:B] for part in truth()[1]]
    value, found = f.value_and_grad(*args)
    if reduce is None:
        assert near(value, losses)
        assert near(f(*args), losses)
        for one, true in zip(found, slopes, strict=True):
            assert one.shape == true.shape
            assert near(one, true)
        return
    scale = B if reduce == "sum" else 1
    combined = [part.sum(axis=0) if reduce == "sum" else part.mean(axis=0) for part in slopes[:3]]
    assert isinstance(value, float)
    assert near(value, losses.sum() if reduce == "sum" else losses.mean(), scale)
    assert near(f(*args), value, scale)
    for one, true in zip(found[:3], combined, strict=True):
        assert one.shape == true.shape
        assert near(one, true, scale)
    parts = 1 if reduce == "sum" else B
    for one, true in zip(found[3:], [part / parts for part in slopes[3:]], strict=True):   # the examples' own: B in front
        assert one.shape == true.shape


LAYOUTS: dict[str, Callable[[Array], Any]] = {
    "contiguous": lambda x: x, "Fortran": np.asfortranarray, "every second": lambda x: np.repeat(x, 2, axis=0)[::2],
    "reversed": lambda x: x[::-1].copy()[::-1], "mirrored": lambda x: x[..., ::-1].copy()[..., ::-1],
    "columns": lambda x: np.concatenate([x, x], axis=-1)[..., :x.shape[-1]] if x.ndim > 1 else np.stack([x, x], axis=1)[:, 0],
    "list": lambda x: x.tolist(), "big-endian": lambda x: x.astype(">f8"), "long double": lambda x: x.astype(np.longdouble),
    "list of arrays": list, "matrix of a subclass": lambda x: x.view(type("Sub", (np.ndarray,), {})),
}


def record(x: Array) -> Array:
    """A field of an array of records: its numbers lie 12 bytes or so apart."""
    made = np.zeros(x.shape, dtype=[("tag", "i4"), ("number", "f8")])
    made["number"] = x
    return made["number"]


def readonly(x: Array) -> Array:
    y = x.copy()
    y.flags.writeable = False
    return y


@pytest.mark.parametrize("layout", [*LAYOUTS.values(), record, readonly], ids=[*LAYOUTS, "record", "readonly"])
@pytest.mark.parametrize("reduce", [None, "mean"])
def test_numbers_may_lie_as_they_like(backend: str, layout: Callable[[Array], Any], reduce: str | None) -> None:
    f = compiled_network(backend, reduce, (3, 4))
    plain = f.value_and_grad(W, BIAS, V, X[:20], Z[:20])
    given = [layout(part) for part in (W, BIAS, V, X[:20], Z[:20])]
    before = [np.array(part) for part in given]
    value, slopes = f.value_and_grad(*given)
    assert near(value, plain[0])
    for one, true in zip(slopes, plain[1], strict=True):
        assert near(one, true)
    for part, kept in zip(given, before, strict=True):   # inputs are never modified
        assert np.array_equal(np.array(part), kept)


@lru_cache
def weighted_sum(backend: str, n: int) -> Compiled:
    x, z = leaves((n,), "x"), leaves((), "z")
    return compile([sum([(i + 1) * t for i, t in enumerate(x)], z), z], [x, z], batch=(0, 1), backend=backend)


@pytest.mark.parametrize("layout", [*LAYOUTS.values(), record, readonly], ids=[*LAYOUTS, "record", "readonly"])
@pytest.mark.parametrize("n", [1, 2, 3, 40])
def test_every_number_is_read_from_its_place(backend: str, layout: Callable[[Array], Any], n: int) -> None:
    f = weighted_sum(backend, n)
    given, target = np.arange(20.0 * n).reshape(20, n), np.arange(100.0, 120.0)
    found = f(layout(given), layout(target))
    assert np.array_equal(found, np.stack([given @ np.arange(1, n + 1) + target, target], axis=1))


@lru_cache
def wide_layer(backend: str) -> Compiled:
    W, x, z = leaves((6, 53), "w"), leaves((53,), "x"), leaves((), "z")
    y = sum([tanh(sum([w * t for w, t in zip(row, x, strict=True)], 0.0)) for row in W], -z) * 1.0
    return compile(y, [W, x, z], batch=(1, 2), reduce="mean", backend=backend)


@pytest.mark.parametrize("layout", [*LAYOUTS.values(), record], ids=[*LAYOUTS, "record"])
def test_wide_layers_read_their_arguments_where_they_are(backend: str, layout: Callable[[Array], Any]) -> None:
    """Weights' gradients are sums over the batch of products with the argument itself."""
    f = wide_layer(backend)
    given, target, at = CHANCE.normal(size=(70, 53)), CHANCE.normal(size=70), CHANCE.normal(size=(6, 53)) / 8
    h = np.tanh(given @ at.T)
    value, slopes = f.value_and_grad(layout(at), layout(given), layout(target))
    assert near(value, h.sum(axis=1).mean() - target.mean(), 10)
    assert near(slopes, (1 - h * h).T @ given / 70, 1)


@pytest.mark.parametrize("kind", [np.float32, np.float16, np.int64, np.int8, np.uint16, bool])
def test_other_numbers_become_floats(backend: str, kind: Any) -> None:
    x, w = leaves((2,), "x"), Value(1.0, label="w")
    f = compile(w * x[0] - x[1] / 3, [w, x], wrt=(0, 1), backend=backend)
    batch = np.array([[0, 1], [1, 1], [1, 0]]).astype(kind)
    value, (by_w, by_x) = f.value_and_grad(2, batch)
    assert near(value, 2 * batch[:, 0].astype(float) - batch[:, 1].astype(float) / 3)
    assert near(by_w, batch[:, 0].astype(float))
    assert near(by_x, [[2, -1 / 3]] * 3)
    assert near(f(kind(1), batch[0]), float(batch[0, 0]) - float(batch[0, 1]) / 3)
    assert by_x.dtype == value.dtype == float


@pytest.mark.parametrize("stored", [np.longdouble, np.float32, np.float64])
def test_a_parameter_of_any_float_type_is_read_as_a_float(backend: str, stored: Any) -> None:
    w, x = leaves((2,), "w"), Value(1.0, label="x")
    f = compile((w[0] + w[1]) * x - w[0] * x, [w, x], backend=backend)
    ws = np.array([1.0, 2.0 ** -60], dtype=stored)
    assert f(ws, 1.0) == 0.0   # in double precision, the second is lost
    assert np.array_equal(f(ws, np.ones(3)), [0.0] * 3)


def test_an_array_that_was_resized_is_read_where_it_is_now(backend: str) -> None:
    x = leaves((2,), "x")
    f = compile(x[0] + 10 * x[1], [x], backend=backend)
    given = np.zeros((4, 2))
    assert f(given).tolist() == [0.0] * 4
    given.resize((1000, 2), refcheck=False)   # the same object, elsewhere in memory
    given[...] = 1.0
    assert f(given).tolist() == [11.0] * 1000


def test_a_compiled_function_does_not_hold_on_to_its_arguments(backend: str) -> None:
    x = leaves((2,), "x")
    f = compile(x[0] + 10 * x[1], [x], backend=backend)
    given = np.ones((4, 2))
    f(given)
    given.resize((2, 2))   # refused if anybody else has it
    assert f(given).tolist() == [11.0] * 2


def test_lists_that_change_after_compilation_change_nothing(backend: str) -> None:
    x = leaves((2,), "x")
    outputs: list[Any] = [x[0] * x[1], x[0]]
    f, g = compile(x[0] * x[1], [x], backend=backend), compile(outputs, [x], backend=backend)
    x.append(Value(3.0))
    outputs.append(x[0])
    assert f.value_and_grad([2.0, 3.0]) == f.value_and_grad((2, 3)) == (6.0, [3.0, 2.0])
    assert f.grad(np.ones((2, 2))).tolist() == [[1.0, 1.0]] * 2
    assert g([2.0, 3.0]) == [6.0, 2.0]
    assert g(np.ones((2, 2))).tolist() == [[1.0, 1.0]] * 2


def test_no_outputs(backend: str) -> None:
    f = compile([], [Value(1.0)], backend=backend)
    assert f(2.0) == []
    assert f(np.ones(3)).shape == (3, 0)


def test_outputs_in_dicts_and_arrays(backend: str) -> None:
    x = Value(1.0, label="x")
    tree = {"a": x * 2, "b": [x, {"c": x * x}]}
    f = compile(tree, [x], backend=backend)
    assert f(3.0) == {"a": 6.0, "b": [3.0, {"c": 9.0}]}
    found = f(np.array([3.0, 4.0]))
    assert (found["a"].tolist(), found["b"][0].tolist(), found["b"][1]["c"].tolist()) == ([6.0, 8.0], [3.0, 4.0], [9.0, 16.0])
    assert compile(tree, [x], reduce="mean", backend=backend)(np.array([3.0, 5.0])) == {"a": 8.0, "b": [4.0, {"c": 17.0}]}
    array = np.array([[x, x * 2]], dtype=object)
    assert compile(array, [x], backend=backend)(3.0).tolist() == [[3.0, 6.0]]
    assert compile(array, [x], backend=backend)(np.array([3.0, 4.0])).tolist() == [[[3.0, 6.0]], [[4.0, 8.0]]]
    given = np.array([x, Value(2.0)], dtype=object)
    assert compile(given[0] * given[1], [given], backend=backend).grad([2.0, 3.0]).tolist() == [3.0, 2.0]


def test_products_of_different_weights_summed_over_a_batch(backend: str) -> None:
    x, y, weights = leaves((4,), "x"), leaves((4,), "y"), (2.0, -1.0, 0.5, 3.0)
    at, by = np.arange(12.0).reshape(3, 4), np.arange(12.0)[::-1].reshape(3, 4)
    f = compile(sum([c * a * b for c, a, b in zip(weights, x, y, strict=True)]), [x, y], batch=(0, 1), reduce="sum",
                backend=backend)
    assert f(at, by) == pytest.approx(float((at * by * weights).sum()), rel=1e-14)


def test_a_broadcast_batch(backend: str) -> None:
    x = leaves((2,), "x")
    f = compile(x[0] - 10 * x[1], [x], backend=backend)
    assert np.array_equal(f(np.broadcast_to(np.array([1.0, 2.0]), (5, 2))), [-19.0] * 5)


# ---- single examples, and structures

def test_a_single_example_gives_plain_floats(backend: str) -> None:
    y, inputs = network_graph()
    f = compile(y, inputs, wrt=(0, 3, 4), backend=backend)
    args = W.tolist(), BIAS.tolist(), V.tolist(), X[0].tolist(), float(Z[0])
    value, slopes = f.value_and_grad(*args)
    true, slopes_true = value_and_grad(network, (0, 3, 4))(*args)
    assert type(value) is float
    assert all(type(leaf) is float for leaf in leaves_of(slopes))
    assert near(value, true)
    assert near(slopes, slopes_true)
    assert f.grad(*args) == slopes
    if backend == "python":   # the same operations in the same order
        assert value == true
        assert list(map(leaves_of, slopes)) == list(map(leaves_of, slopes_true))
    for arrays in (f.grad(W, BIAS, V, X[0], Z[0]), f.grad(W, *args[1:])):   # an array for an array
        assert isinstance(arrays[0], np.ndarray)
        assert arrays[0].shape == (4, 3)
        assert near(arrays, slopes)


def test_structures_come_back(backend: str) -> None:
    def f(p: dict[str, Any], q: Any) -> Any:
        a, (b, c) = p["a"], p["bc"]
        return {"sum": a + b * c, "rest": [a * q[0][0], (q[1], c)]}
    g = compile_function(f, backend=backend)
    assert g({"a": 2.0, "bc": (3.0, [4.0][0])}, [[5.0], 6.0]) == {"sum": 14.0, "rest": [10.0, (6.0, 4.0)]}
    h = compile_function(lambda p, q: f(p, q)["sum"] * q[0][0], wrt=(0, 1), backend=backend)
    value, (by_p, by_q) = h.value_and_grad({"a": 2.0, "bc": (3.0, 4.0)}, [[5.0], 6.0])
    assert (value, by_p, by_q) == (70.0, {"a": 5.0, "bc": (20.0, 15.0)}, [[14.0], 0.0])


def test_functions_of_arrays(backend: str) -> None:
    def f(w: Any, x: Any) -> Any:
        return (w @ x).sum()
    at, x = np.arange(6.0).reshape(2, 3), np.ones(3)
    value, (by_w, by_x) = compile_function(f, wrt=(0, 1), backend=backend).value_and_grad(at, x)
    assert value == 15.0
    assert np.array_equal(by_w, np.ones((2, 3)))
    assert np.array_equal(by_x, at.sum(axis=0))
    batched = compile_function(f, batch=1, reduce="mean", backend=backend)
    assert batched.value_and_grad(at, np.ones((4, 3)))[0] == batched(at, np.ones((7, 3))) == 15.0


def test_the_keys_of_a_dict_say_which_number_is_meant(backend: str) -> None:
    a, b = Value(1.0, label="a"), Value(2.0, label="b")
    f = compile(a - b, [{"a": a, "b": b}], backend=backend)
    assert f({"a": 5.0, "b": 3.0}) == 2.0
    try:   # another order is understood, or refused; not taken for the first
        assert f({"b": 3.0, "a": 5.0}) == 2.0
    except (TypeError, ValueError) as error:
        assert "argument 0" in str(error)
    with pytest.raises((TypeError, ValueError, KeyError), match="argument 0"):
        f({"a": 5.0, "c": 3.0})
    g = compile_function(lambda p: p["a"] - p["b"], backend=backend)
    assert g({"a": 5.0, "b": 3.0}) == g({"b": 3.0, "a": 5.0}) == 2.0


@pytest.mark.parametrize("reduce", [None, "sum"])
def test_dicts_and_ragged_lists_may_be_batched(backend: str, reduce: str | None) -> None:
    f = compile_function(lambda w, p: w * p["a"] - p["b"][0] * p["b"][1], wrt=(0, 1), batch=1, reduce=reduce, backend=backend)
    a, b = np.array([1.0, 2.0, 3.0]), np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    value, (by_w, by_p) = f.value_and_grad(2.0, {"a": a, "b": [b[:, 0], b[:, 1]]})
    true = 2 * a - b[:, 0] * b[:, 1]
    assert near(value, true if reduce is None else true.sum())
    assert near(by_w, a if reduce is None else a.sum())
    assert near(by_p["a"], [2.0] * 3)
    assert near(by_p["b"][0], -b[:, 1])


def test_outputs_that_are_inputs_numbers_or_there_twice(backend: str) -> None:
    x, w, unused = Value(1.0, label="x"), Value(2.0, label="w"), Value(3.0)
    y = x * w
    five = Value(5.0) * 1.0
    outputs = [x, y, y, w, five, -x, y, literal(7.0)]
    for reduce in (None, "sum", "mean"):
        f = compile(outputs, [w, x, unused], reduce=reduce, backend=backend)
        assert f(2.0, 3.0, 9.0) == [3.0, 6.0, 6.0, 2.0, 5.0, -3.0, 6.0, 7.0]
        found = f(2.0, np.array([3.0, 4.0]), 9.0)
        columns = [[3.0, 4.0], [6.0, 8.0], [6.0, 8.0], [2.0] * 2, [5.0] * 2, [-3.0, -4.0], [6.0, 8.0], [7.0] * 2]
        factor = {None: 0, "sum": 1, "mean": 0.5}[reduce]
        true = [sum(column) * factor for column in columns] if factor else np.transpose(columns)
        assert near(found, true)


def test_what_is_constant_or_an_input_has_a_derivative(backend: str) -> None:
    x, w = Value(1.0, label="x"), Value(2.0, label="w")
    for y, slopes in ((x, (1.0, 0.0)), (Value(5.0) * 2.0, (0.0, 0.0)), (w * 1.0, (0.0, 1.0)), (x - x, (0.0, 0.0)),
                      (x * x, (6.0, 0.0))):
        f = compile(y, [x, w], wrt=(0, 1), backend=backend)
        assert f.grad(3.0, 4.0) == slopes
        three = np.full(3, 3.0)
        by_x, by_w = f.grad(three, 4.0)
        assert by_x.tolist() == [slopes[0]] * 3
        assert by_w.tolist() == [slopes[1]] * 3
        value, total = compile(y, [x, w], wrt=(0, 1), reduce="sum", backend=backend).value_and_grad(three, 4.0)
        assert value == 3 * f(3.0, 4.0)
        assert total[0].tolist() == [slopes[0]] * 3
        assert total[1] == 3 * slopes[1]


def test_a_graph_without_inputs_and_inputs_without_numbers(backend: str) -> None:
    w = Value(2.0, label="w")
    f = compile(w * 3, [], backend=backend)
    assert f() == 6.0
    w.data = 5.0
    assert f() == 15.0
    g = compile(w * 3, [[], Value(1.0)], backend=backend)
    assert g([], 1.0) == 15.0
    assert g([], np.ones(2)).tolist() == [15.0, 15.0]
    h = compile(w * 3, [[], Value(1.0)], wrt=(0, 1), backend=backend)
    assert h.value_and_grad([], 1.0) == (15.0, ([], 0.0))
    value, (by_none, by_one) = h.value_and_grad([], np.ones(2))
    assert (value.tolist(), by_none.shape, by_one.tolist()) == ([15.0, 15.0], (2, 0), [0.0, 0.0])


def test_inputs_may_be_results_themselves(backend: str) -> None:
    a, b = Value(2.0, label="a"), Value(3.0, label="b")
    c = a * b
    y = c * c + a
    f = compile(y, [c], backend=backend)
    assert f.value_and_grad(10.0) == (102.0, 20.0)
    a.data = 7.0   # what is not above c is read at every call
    assert f(10.0) == 107.0
    assert compile(c * a + c, [a, c], wrt=(0, 1), backend=backend).value_and_grad(3.0, 5.0) == (20.0, (5.0, 4.0))


@pytest.mark.parametrize("wrt", [0, 1, -1, (0, 1), (1, 0), (0, 0), [2], ()])
def test_the_derivative_is_by_the_arguments_of_wrt(backend: str, wrt: Any) -> None:
    x = leaves((3,), "x")
    f = compile(x[0] * x[1] * x[1] + x[2], x, wrt=wrt, backend=backend)
    slopes = [9.0, 12.0, 1.0]
    value, found = f.value_and_grad(2.0, 3.0, 1.0)
    assert value == 19.0
    assert found == (slopes[wrt] if isinstance(wrt, int) else tuple([slopes[i] for i in wrt]))
    batch = f.grad(2.0, np.array([3.0, 3.0]), 1.0)
    assert near(batch, [slopes[wrt]] * 2 if isinstance(wrt, int) else [[slopes[i]] * 2 for i in wrt])
    total = compile(x[0] * x[1] * x[1] + x[2], x, wrt=wrt, reduce="sum", backend=backend).grad(2.0, np.array([3.0] * 2), 1.0)
    for i, part in zip([wrt] if isinstance(wrt, int) else wrt, [total] if isinstance(wrt, int) else total, strict=True):
        assert near(part, [12.0, 12.0] if i in (1, -2) else 2 * slopes[i])


# ---- captured leaves

def test_captured_leaves_are_read_at_every_call(backend: str) -> None:
    w, b = Value(2.0, label="w"), Value(1.0, label="b")
    half = w / 2   # computed outside: its leaves are read all the same
    f = compile_function(lambda x: half * x + b, backend=backend)
    x = Value(0.0)
    g = compile(half * x + b, [x], backend=backend, reduce="sum")
    for a, c in ((2.0, 1.0), (6.0, -1.0), (0.5, 0.0)):
        w.data, b.data = a, c
        assert f.value_and_grad(10.0) == (5 * a + c, a / 2)
        assert f(np.array([10.0, 20.0])).tolist() == [5 * a + c, 10 * a + c]
        assert g(10.0) == 5 * a + c
        assert near(g(np.array([10.0, 20.0])), 15 * a + 2 * c)


def test_inputs_and_captured_leaves_keep_their_own_numbers(backend: str) -> None:
    w, x = Value(2.0, label="w"), Value(3.0, label="x")
    y = w * x
    f = compile(y, [x], backend=backend)
    f(100.0)
    f.grad(np.ones(4))
    assert (w.data, x.data, y.data, w.grad, x.grad) == (2.0, 3.0, 6.0, 0.0, 0.0)


@pytest.mark.parametrize("read", [
    lambda w: w if w > 0 else -w, lambda w: w.detach(), lambda w: w.data, lambda w: w.item(), lambda w: w if w else -w,
], ids=["comparison", "detach", "data", "item", "truth"])
def test_the_number_of_a_captured_leaf_is_not_baked_in(read: Callable[[Value], Any]) -> None:
    """It is read at every call, so while the function is traced it is as unknown as an argument's."""
    w = Value(2.0, label="w")
    f = compile_function(lambda x: x * read(w), backend="python")
    try:
        f(1.0)
    except TraceError as error:
        assert "w" in str(error)
        return
    w.data = -3.0
    assert f(1.0) == (Value(1.0) * read(w)).data


# ---- the buffers

@pytest.mark.parametrize("reduce", [None, "sum"])
def test_buffers_do_not_show(backend: str, reduce: str | None, poison: Callable[[Compiled], int]) -> None:
    y, inputs = network_graph()
    f = compile(y, inputs, wrt=(0, 1, 2, 3), batch=(3, 4), reduce=reduce, backend=backend)
    for B in (1, 5, 64, 1100, 5):
        first = f.value_and_grad(W, BIAS, V, X[:B % 1025], Z[:B % 1025])
        kept = [np.array(x) for x in (first[0], *first[1])]
        assert poison(f) or backend == "python"
        other = f.value_and_grad(2 * W, BIAS, V, -X[:B % 1025], Z[:B % 1025])
        poison(f)
        again = f.value_and_grad(W, BIAS, V, X[:B % 1025], Z[:B % 1025])
        for one, old, new in zip((first[0], *first[1]), kept, (again[0], *again[1]), strict=True):
            assert np.array_equal(one, old)        # what was returned is no buffer
            assert np.array_equal(old, np.array(new))   # the same bits
        assert not np.array_equal(other[1][0], kept[1])


def test_a_result_may_be_written_on(backend: str) -> None:
    x = leaves((2,), "x")
    for outputs in ([x[0], x[1] * 2.0], [x[0], x[1]]):
        f = compile(outputs, [x], backend=backend)
        given = np.array([[1.0, 2.0], [3.0, 4.0]])
        found = f(given)
        found[...] = -1.0
        assert given.tolist() == [[1.0, 2.0], [3.0, 4.0]]
        assert f(given)[1, 0] == 3.0


def test_an_array_that_is_changed_in_place_is_read_anew(backend: str) -> None:
    x = leaves((2,), "x")
    f = compile(x[0] + 10 * x[1], [x], backend=backend, reduce="sum")
    given = np.arange(8.0).reshape(4, 2)
    before = f(given)
    given += 1.0
    assert f(given) == before + 44
    assert f(given[:2]) == (1 + 20) + (3 + 40)
    assert f(given) == before + 44


# ---- threads and pickles

def test_many_threads_may_call_one_function(backend: str) -> None:
    y, inputs = network_graph()
    f = compile(y, inputs, wrt=(0, 1), batch=(3, 4), reduce="sum", backend=backend)
    sizes = [3, 50, 51, 200, 7, 50, *range(40, 240, 10)]
    cases = [(W * (k + 1) / 4, BIAS, V, X[k:k + n], Z[k:k + n]) for k, n in enumerate(sizes)]
    alone = compile(y, inputs, wrt=(0, 1), batch=(3, 4), reduce="sum", backend=backend)
    expected = [alone.value_and_grad(*case) for case in cases]
    start = Barrier(len(cases))

    def work(k: int) -> bool:
        start.wait()   # the first calls, which compile, come at once
        right = True
        for _ in range(20 if backend != "python" else 5):
            value, slopes = f.value_and_grad(*cases[k])
            right &= value == expected[k][0] and all(map(np.array_equal, slopes, expected[k][1]))
        return right
    with ThreadPoolExecutor(len(cases)) as pool:
        assert all(pool.map(work, range(len(cases))))


def test_the_number_of_threads_does_not_show(backend: str) -> None:
    y, inputs = network_graph()
    B = 2500 if backend == "python" else 40_000
    x, z = np.resize(X, (B, 3)), np.resize(Z, B)
    found = [compile(y, inputs, wrt=(0, 3), batch=(3, 4), reduce="mean", backend=backend, threads=threads)
             .value_and_grad(W, BIAS, V, x, z) for threads in (None, 1, 2, 4)]
    for one, two in pairwise(found):
        assert one[0] == two[0]
        assert all(map(np.array_equal, one[1], two[1]))


def test_a_function_may_be_called_inside_no_grad_and_errstate(backend: str) -> None:
    x = Value(2.0, label="x")
    y = log(x) * x
    f = compile(y, [x], backend=backend)
    with no_grad():
        assert near(f.value_and_grad(2.0), (2 * math.log(2.0), 1 + math.log(2.0)))
        g = compile_function(lambda x: x * x, backend=backend)
        assert g.value_and_grad(3.0) == (9.0, 6.0)
        assert near(compile(y, [x], backend=backend).grad(3.0), 1 + math.log(3.0))   # what was recorded is compiled
    with errstate(invalid="ignore", divide="ignore"):
        assert math.isnan(f(-1.0))
        assert np.isnan(f(np.array([1.0, -1.0]))).tolist() == [False, True]
    with pytest.raises(ValueError, match=r"log\(-1\) of node 'x'"):
        f(-1.0)


def module_function(x: Any, y: Any) -> Any:
    return x * y + sin(x)


def test_pickles(backend: str) -> None:
    y, inputs = network_graph()
    f = compile(y, inputs, wrt=(0, 3), batch=(3, 4), reduce="mean", backend=backend, threads=2)
    args = W, BIAS, V, X[:10], Z[:10]
    expected = f.value_and_grad(*args)
    again = pickle.loads(pickle.dumps(f))
    assert repr(again) == repr(f)
    value, slopes = again.value_and_grad(*args)
    assert value == expected[0]
    assert all(map(np.array_equal, slopes, expected[1]))
    g = compile_function(module_function, backend=backend)
    assert near(pickle.loads(pickle.dumps(g)).value_and_grad(2.0, 3.0), g.value_and_grad(2.0, 3.0))


def test_pickles_of_what_was_traced(backend: str) -> None:
    traced = compile_function(module_function, backend=backend).compiled(2.0, 3.0)
    assert near(pickle.loads(pickle.dumps(traced)).value_and_grad(2.0, 3.0), traced.value_and_grad(2.0, 3.0))
    a, b = Value(2.0), Value(3.0)
    c = a * b
    cut = compile([c * 2, c + 1], [c], backend=backend)
    assert pickle.loads(pickle.dumps(cut))(5.0) == [10.0, 6.0]


# ---- derivatives of derivatives

def rosenbrock(x: Any) -> Any:
    return sum([100 * (b - a * a) ** 2 + (1 - a) ** 2 for a, b in pairwise(x)], 0.0)


def mixed(x: Any) -> Any:
    return exp(x[0] * x[1]) + x[1] ** 3 * x[2] * x[3] + logsumexp(x)


AT = [0.3, -0.7, 1.2, 0.9]
of_second_order = pytest.mark.parametrize(("function", "scale"), [(rosenbrock, 1e3), (mixed, 1.0)])


@of_second_order
def test_hessians_by_compiling_gradients(function: Callable[[Any], Any], scale: float, backend: str) -> None:
    x = [Value(t, label=f"x{i}") for i, t in enumerate(AT)]
    y = function(x)
    matrix = hessian(y, x)
    true = [[v.data for v in row] for row in matrix]
    for f in (compile([grad(g, x) for g in grad(y, x)], [x], backend=backend), compile(matrix, [x], backend=backend)):
        assert near(f(AT), true, scale)
        batch = f(np.array([AT[::-1], AT]))
        assert np.shape(batch) == (2, 4, 4)
        assert near(batch[1], true, scale)
    traced = compile_function(hessian(function), backend=backend)
    assert near(traced(AT), true, scale)
    second = compile(grad(y, x)[1], [x], backend=backend)   # a row is the gradient of a component of the gradient
    assert near(second.grad(AT), true[1], scale)


@of_second_order
def test_products_with_hessians_and_jacobians(function: Callable[[Any], Any], scale: float, backend: str) -> None:
    v = [1.0, -2.0, 0.5, 3.0]
    x = [Value(t, label=f"x{i}") for i, t in enumerate(AT)]
    true = [p.data for p in hvp(function(x), x, v)]
    f = compile_function(lambda x, v: hvp(function, x, v)[1], backend=backend)
    assert near(f(AT, v), true, scale)
    assert near(f(np.array(AT), np.array(v)), true, scale)
    assert near(true, np.array([[d.data for d in row] for row in hessian(function(x), x)]) @ v, scale)
    g = compile_function(lambda x, v: jvp(function, x, v)[1], backend=backend)
    assert near(g(AT, v), jvp(function, AT, v)[1], scale)
    h = compile_function(lambda x: value_and_grad(function)(x)[1], backend=backend)
    assert near(h(AT), grad(function)(AT), scale)


def test_derivatives_are_functions_and_graphs(backend: str) -> None:
    f = grad(grad(grad(lambda t: sin(t) * t)))
    assert near(compile_function(f, backend=backend)(0.7), f(0.7), 10)
    x, y = Value(1.0), Value(2.0)
    assert compile(grad(x * x * y, x), [x, y], backend=backend)(3.0, 2.0) == 12.0


# ---- deep graphs

def chain(n: int) -> tuple[Value, list[Value]]:
    """n nodes below each other, whose result and slopes every one of them shows in."""
    x, a = Value(1e-6, label="x"), Value(1.0000001, label="a")
    y = a
    for _ in range(n // 3):
        y = sin(y * a) + x
    return y, [x, a]


DEEP = {"python": 100_000, "numpy": 8000, "llvm": 100_000}   # of so irregular a graph numpy's statements are slow to make


@pytest.mark.slow
def test_a_very_deep_chain(backend: str) -> None:
    y, inputs = chain(DEEP[backend])
    found = compile(y, inputs, backend=backend)(*[v.data for v in inputs])
    assert found == y.data if backend == "python" else near(found, y.data)


@pytest.mark.slow
def test_the_gradient_of_a_deep_chain(backend: str) -> None:
    y, inputs = chain(20_000 if backend == "python" else 4000)   # deeper than Python's stack
    y.backward()
    x, a = inputs
    f = compile(y, inputs, wrt=(0, 1), backend=backend)
    value, slopes = f.value_and_grad(x.data, a.data)
    assert near(value, y.data)
    assert near(slopes, (x.grad, a.grad), 1e3)
    if backend == "python":
        assert (value, *slopes) == (y.data, x.grad, a.grad)
    _, (by_x, by_a) = f.value_and_grad(np.array([x.data, 2 * x.data]), a.data)
    assert near([by_x[0], by_a[0]], (x.grad, a.grad), 1e3)


# ---- tracing

def _numpy_truth(x: Any) -> Any:
    return np.maximum(x, 0.0) if np.array([x])[0] > 0 else x


@pytest.mark.parametrize("f", [
    lambda x: x if x > 0 else -x, lambda x: x if x >= 0 else -x, lambda x: x if x <= 0 else -x, lambda x: x if x == 1 else -x,
    lambda x: x if x != 1 else -x, lambda x: x if x else -x, lambda x: max(x, 0.0), lambda x: min([x, 2 * x]),
    lambda x: sorted([x, 2 * x])[0], lambda x: x if x in (1.0, 2.0) else -x, lambda x: x * float(x), lambda x: x * int(x),
    lambda x: x * complex(x), lambda x: x * x.data, lambda x: x * x.item(), lambda x: x * x.detach(), math.exp,
    lambda x: x * [1.0, 2.0][x], lambda x: x if x * 2 > 1 else 3 * x, lambda x: x and 2.0, lambda x: not x,
    lambda x: x * np.array([x], dtype=float)[0], _numpy_truth, lambda x: where(x > 0, x, -x), lambda x: sum(range(x)),
    lambda x: x * (1 if x else 2), lambda x: [x * x] if Value(1.0) * 2 < x else x,
])
def test_what_needs_a_number_is_refused(f: Any, backend: str) -> None:
    with pytest.raises(TraceError, match=r"traced value '?x'?.*(use |keep to |give )|traced value: .*(use |keep to )"):
        compile_function(f, backend=backend)(1.0)


def test_the_error_says_what_to_use_instead() -> None:
    for f, advice in ((lambda x: x if x > 0 else -x, r"a comparison of the traced value 'x'.*relu, maximum.*where"),
                      (lambda x: 1.0 if x else x, "relu, maximum"), (math.sin, "autograd's functions"),
                      (lambda x: x.detach(), "argument that is not differentiated"),
                      (lambda x: (x * x).backward(), "autograd.grad")):
        with pytest.raises(TraceError, match=advice):
            compile_function(f)(1.0)
    assert not issubclass(TraceError, (TypeError, ValueError, ArithmeticError))   # by which a function asks what a thing is


def test_no_grad_in_a_traced_function_is_refused() -> None:
    def f(x: Any) -> Any:
        with no_grad():
            scale = x * 2
        return x * scale

    @no_grad()
    def g(x: Any) -> Any:
        return x * 3

    def h(x: Any) -> Any:
        x.data = 3.0
        return x
    for refused, told in ((f, "no_grad"), (g, "no_grad"), (h, "data")):
        with pytest.raises(TraceError, match=told):
            compile_function(refused)(1.0)
    assert compile_function(lambda x: x * x)(3.0) == 9.0   # and nothing stays behind
    assert (Value(2.0) * 3).data == 6.0


def test_texts_and_plain_numbers_are_fine(backend: str) -> None:
    texts = []

    def f(x: Any, n: float = 2.0) -> Any:
        texts.append(f"{x} {x:.3f} {x!r} {x * 2}")
        return x * n if n > 1 else x
    assert compile_function(f, backend=backend)(3.0) == 6.0
    assert texts
    assert "nan" not in texts[0]
    assert "x" in texts[0]


def test_a_function_is_traced_once_for_a_structure(backend: str) -> None:
    calls = []

    def f(x: Any) -> Any:
        calls.extend([1 for v in leaves_of(x)[:1] if getattr(v, "symbolic", False)])   # not by the comparison with f itself
        return sum(leaves_of(x), 0.0)
    g = compile_function(f, backend=backend)
    for given in ([1.0, 2.0], [3.0, 4.0], np.array([1.0, 2.0]), np.array([5.0, 6.0]), [1.0, 2.0, 3.0], (1.0, 2.0), 7.0, 8):
        assert g(given) == sum(leaves_of(given))
    assert len(calls) == 5
    h = compile_function(lambda x: f(list(x)), batch=0, backend=backend)
    calls.clear()
    for B in (1, 2, 5):
        assert near(h(np.ones((B, 3))), [3.0] * B)
    assert len(calls) == 1


def leak() -> Any:
    kept: list[Any] = []

    def f(x: Any) -> Any:
        kept.append(x * 2)
        return x * 3
    assert compile_function(f, backend="python")(1.0) == 3.0
    return kept[0]


def test_symbols_that_leak_are_refused(backend: str) -> None:
    leaked = leak()
    with pytest.raises(TraceError, match="another trace"):
        compile_function(lambda x: x + leaked, backend=backend)(1.0)
    with pytest.raises(TraceError):
        compile(leaked * 2, [Value(1.0)], backend=backend)(1.0)
    for use in (lambda: leaked.data, lambda: leaked > 1, lambda: float(leaked), leaked.backward):
        with pytest.raises(TraceError):
            use()
    assert "Symbol" in f"{leaked}"
    assert "Symbol" in f"{leaked:.3f}"


def test_a_function_that_fails_leaves_no_trace_behind(backend: str) -> None:
    nothing: list[float] = []
    f = compile_function(lambda x: x / nothing[0], backend=backend)
    with pytest.raises(IndexError):
        f(1.0)
    y = Value(2.0) * 3
    assert type(y).__name__ == "Result"
    assert y.data == 6.0


def test_a_compiled_function_inside_a_traced_one_is_refused_clearly() -> None:
    inner = compile_function(lambda x: x * 2, backend="python")
    with pytest.raises(TraceError, match=r"traced|compiled function") as raised:
        compile_function(lambda x: inner(x) + 1, backend="python")(1.0)
    assert ".data" not in str(raised.value)   # which a traced value does not have


# ---- a primitive of the user's own

@pytest.fixture
def cube() -> Iterator[Primitive]:
    yield Primitive("test_cube", value=lambda x: x * x * x, partials=lambda y, x: (3 * x * x,))
    del PRIMITIVES["test_cube"]


def test_a_users_primitive_is_compiled_at_once(cube: Primitive, backend: str) -> None:
    x, w = Value(2.0, label="x"), Value(3.0, label="w")
    f = compile(cube(x) * w + cube(w), [x, w], wrt=(0, 1), backend=backend)
    if backend == "llvm":
        with pytest.raises(NotImplementedError, match=r"test_cube.*llvm_rule.*numpy"):
            f(2.0, 3.0)
        return
    assert f.value_and_grad(2.0, 3.0) == (51.0, (36.0, 35.0))
    value, (by_x, by_w) = f.value_and_grad(np.array([2.0, -1.0]), 3.0)
    assert (value.tolist(), by_x.tolist(), by_w.tolist()) == ([51.0, 24.0], [36.0, 9.0], [35.0, 26.0])
    total, (by_x, by_w) = compile(cube(x) * w + cube(w), [x, w], wrt=(0, 1), batch=0, reduce="sum", backend=backend
                                  ).value_and_grad(np.array([2.0, -1.0]), 3.0)
    assert (total, by_x.tolist(), by_w) == (75.0, [36.0, 9.0], 61.0)


def test_a_users_primitive_with_a_rule_is_machine_code(cube: Primitive, require_tool: Callable[[str], None]) -> None:
    require_tool("llvmlite")
    from autograd.compiler.backends.llvm.functions import RULES, llvm_rule
    x = Value(2.0, label="x")
    f = compile(cube(x) + x, [x], backend="llvm")
    with pytest.raises(NotImplementedError):
        f(2.0)
    try:
        llvm_rule(cube)(lambda s, a: s.op("fmul", s.op("fmul", a, a), a))
        assert f.value_and_grad(2.0) == (10.0, 13.0)
        assert f(np.array([1.0, 2.0, 3.0])).tolist() == [2.0, 10.0, 30.0]
        assert f.stats["backend"] == "llvm"
    finally:
        RULES.pop(cube, None)


def test_llvm_rule_is_where_the_error_says_it_is(require_tool: Callable[[str], None]) -> None:
    require_tool("llvmlite")
    import autograd.compiler
    assert hasattr(autograd.compiler, "llvm_rule")


def test_auto_takes_what_can_run_it(cube: Primitive) -> None:
    x = Value(2.0, label="x")
    f = compile(cube(x) + x, [x])
    assert f.value_and_grad(2.0) == (10.0, 13.0)
    assert f.stats["backend"] == "python"
    value, slope = f.value_and_grad(np.array([2.0, 1.0]))
    assert (value.tolist(), slope.tolist()) == ([10.0, 2.0], [13.0, 4.0])
    assert f.stats["backend"] == "numpy"
    total, slope = compile(cube(x) + x, [x], batch=0, reduce="sum").value_and_grad(np.array([2.0, 1.0]))
    assert (total, slope.tolist()) == (12.0, [13.0, 4.0])


@pytest.mark.parametrize("name", ["f", "x", "v", "v_1", "v_3", "inf", "nan", "lambda", "G", "U", "V", "x0", "take", "multiply",
                                  "t0", "c30", "f_0", "reduce", "B", "lse", "ones"])
def test_a_users_primitive_may_have_any_name(name: str) -> None:
    row = Primitive(name, value=lambda a, b: a * b - 2.0, partials=lambda y, a, b: (b, a))
    try:
        x, w = Value(2.0, label="x"), Value(3.0, label="w")
        y = row(row(x, w), exp(x) * row(w, x * w) + math.inf ** -1) * row(w, w) + 0.0 * x
        for chosen in ("python", "numpy"):
            f = compile(y, [x, w], backend=chosen)
            assert near(f(2.0, 3.0), y.data, 1e4)
            assert near(f(np.array([2.0, 2.0]), 3.0), [y.data] * 2, 1e4)
    finally:
        del PRIMITIVES[name]


def test_a_value_that_gives_an_int_is_a_float_everywhere() -> None:
    floor = Primitive("test_floor", value=math.floor, partials=lambda y, x: (0.0,))
    try:
        x = Value(94906267.3 * 16, label="x")
        y = floor(x) * floor(x) + floor(x) * 3.0
        for chosen in ("python", "numpy"):
            f = compile(y, [x], backend=chosen)
            assert f(x.data) == y.data
            assert type(f(x.data)) is float
        big = Value(1e200, label="x")
        huge = floor(big) * floor(big)   # of whole numbers of any length this would be no infinity
        assert math.isinf(huge.data)
        assert math.isinf(compile(huge, [big], backend="python")(1e200))
    finally:
        del PRIMITIVES["test_floor"]


# ---- where there is no machine code

@pytest.fixture(params=["missing", "does not load", "old", "does not compile"])
def without_llvm(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
                 require_tool: Callable[[str], None]) -> Iterator[str]:
    """No llvmlite, or one that is of no use; what is said of it."""
    told = {"missing": "it is not installed", "does not load": r"it cannot be loaded \(no libLLVM\)",
            "old": r"0\.44\.0 is installed", "does not compile": r"cannot compile \(LLVM IR parsing error\)"}[request.param]
    if request.param == "missing":
        monkeypatch.setitem(sys.modules, "llvmlite", None)
    elif request.param == "does not load":
        (tmp_path / "llvmlite.py").write_text("raise OSError('no libLLVM')")
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "llvmlite", raising=False)
    else:
        require_tool("llvmlite")
        if request.param == "old":
            monkeypatch.setattr("llvmlite.__version__", "0.44.0")
        else:
            fails = Mock(side_effect=RuntimeError("LLVM IR\nparsing error"))
            monkeypatch.setattr("autograd.compiler.backends.llvm.native.Native", fails)
    no_llvm.cache_clear()
    yield told
    no_llvm.cache_clear()


def test_machine_code_says_which_llvmlite_it_needs(without_llvm: str) -> None:
    x = Value(1.0, label="x")
    with pytest.raises(ImportError, match=rf"llvmlite 0\.46 or newer: .*{without_llvm}.*pip install 'llvmlite>=0\.46'"):
        compile(x * x, [x], backend="llvm")
    with pytest.raises(ImportError, match=r"0\.46"):
        compile_function(module_function, backend="llvm")


@pytest.mark.usefixtures("without_llvm")
def test_auto_does_without_machine_code() -> None:
    x = Value(1.0, label="x")
    f = compile(x * x, [x])
    value, slopes = f.value_and_grad(np.array([2.0, 3.0]))
    assert (value.tolist(), slopes.tolist()) == ([4.0, 9.0], [4.0, 6.0])
    assert f.stats["backend"] == "numpy"


# ---- errors at run time

@pytest.mark.parametrize("reduce", [None, "sum", "mean"])
def test_an_error_names_the_node_and_the_example(backend: str, reduce: str | None) -> None:
    p, w = Value(0.5, label="p"), Value(2.0, label="w")
    f = compile(log(p) * w, [w, p], backend=backend, reduce=reduce)
    with pytest.raises(ValueError, match=r"^log\(-1\) of node 'p': log needs a positive number"):
        f(2.0, -1.0)
    for call in (f, f.grad):
        with pytest.raises(ValueError, match=r"^log\(-3\) of node 'p'") as raised:
            call(2.0, np.array([1.0, 2.0, -3.0, 4.0, -5.0]))
        assert raised.value.__notes__ == ["in example 2 of the batch"]
    many = np.ones(2500)
    many[2345] = 0.0
    with pytest.raises(ValueError, match=r"^log\(0\) of node 'p'") as raised:
        f(2.0, many)
    assert raised.value.__notes__ == ["in example 2345 of the batch"]
    q = p - 1
    q.label = "q"
    g = compile(1 / q, [p], backend=backend, reduce=reduce)
    for at in (1.0, np.array([2.0, 1.0])):
        with pytest.raises(ZeroDivisionError, match=r"^reciprocal\(0\) of node 'q'"):
            g(at)


@pytest.mark.parametrize("reduce", [None, "sum", "mean"])
def test_infinities_and_nans_that_are_right_come_through(backend: str, reduce: str | None) -> None:
    x, w = Value(1.0, label="x"), Value(2.0, label="w")
    f = compile(exp(x) * w, [w, x], backend=backend, reduce=reduce)
    for given in ([1.0, 1000.0], [-math.inf, 1.0], [1.0, math.nan], [1000.0, -1000.0], [math.inf, 3.0]):
        each = [math.inf if t > 700 else math.exp(t) * 2 if t == t else t for t in given]
        true = each if reduce is None else sum(each) / (2 if reduce == "mean" else 1)
        np.testing.assert_allclose(f(2.0, np.array(given)), true, rtol=1e-14)
    g = compile(log(x) * w, [w, x], backend=backend, reduce=reduce)
    assert g(2.0, math.inf) == math.inf
    assert math.isnan(g(2.0, math.nan))
    many = np.zeros(3000)
    many[1], many[-1] = math.inf, -math.inf
    g = compile(x * w, [w, x], backend=backend, reduce=reduce)   # the infinities of both signs meet in the sum
    found = g(1.0, many)
    assert np.array_equal(found, many) if reduce is None else math.isnan(found)


def test_large_numbers_are_not_taken_for_infinite(backend: str) -> None:
    x, w = Value(1.0, label="x"), Value(2.0, label="w")
    f = compile(x * w, [w, x], backend=backend)
    assert f(1e200, np.array([1e100, -1e100, 1e108])).tolist() == [1e300, -1e300, 1e308]
    g = compile(x * w, [w, x], backend=backend, reduce="sum")
    assert near(g.value_and_grad(1e200, np.array([1e100, 2e100])), (3e300, 3e100))
    assert g(1.0, np.array([1.5e308, 1.5e308])) == math.inf   # as of floats
    assert g(1e300, np.full(3, 1e8)) == math.inf


def test_a_nan_gradient_of_finite_numbers_is_an_error_as_of_the_graph(backend: str) -> None:
    x = Value(0.0, label="x")
    y = sqrt(x * x)   # slope ∞ · 0 at 0
    with pytest.raises(FloatingPointError):
        y.backward()
    f = compile(y, [x], backend=backend)
    assert f(0.0) == 0.0
    with pytest.raises(FloatingPointError, match="nan gradient"):
        f.grad(0.0)
    with pytest.raises(FloatingPointError, match="nan gradient") as raised:
        f.grad(np.array([1.0, 0.0]))
    assert raised.value.__notes__ == ["in example 1 of the batch"]
    assert f.grad(np.array([1.0, -2.0])).tolist() == [1.0, -1.0]


def test_a_zero_wins_over_an_infinite_slope(backend: str) -> None:
    x, w = Value(0.0, label="x"), Value(0.0, label="w")
    y = sqrt(x) * w
    y.backward()
    assert x.grad == 0.0
    f = compile(y, [x, w], wrt=(0, 1), backend=backend)
    assert f.grad(0.0, 0.0) == (0.0, 0.0)
    by_x, _ = f.grad(np.array([0.0, 4.0]), np.array([0.0, 1.0]))
    assert by_x.tolist() == [0.0, 0.25]
    g = compile(relu(sqrt(x) - 1), [x], batch=0, reduce="sum", backend=backend)
    assert g.grad(np.array([0.0, 4.0])).tolist() == [0.0, 0.25]


# ---- what is refused

def pair(backend: str = "python", **options: Any) -> Compiled:
    x, w = leaves((2,), "x"), Value(2.0, label="w")
    return compile(w * x[0] + x[1], [w, x], backend=backend, **options)


@pytest.mark.parametrize("args", [(), (1.0,), (1.0, [1.0, 2.0], 3.0)])
def test_a_wrong_number_of_arguments(backend: str, args: Sequence[Any]) -> None:
    f = pair(backend)
    for call in (f, f.value_and_grad, f.grad):
        with pytest.raises(TypeError, match=rf"takes 2 arguments.*given {len(args)}"):
            call(*args)


@pytest.mark.parametrize("batch", [None, 1, (0, 1)], ids=str)
@pytest.mark.parametrize("x", [
    1.0, [1.0], [1.0, 2.0, 3.0], [], np.ones(3), np.ones((4, 3)), np.ones((4, 2, 1)), [[1.0, 2.0], [3.0]], np.ones((0, 2)),
    ["a", "b"], np.array(["a", "b"]), [1j, 2.0], np.array([1j, 2.0]), None, "ab", {"a": 1.0}, [None, 1.0], np.ones((2, 2)) * 1j,
    [[[1.0, 2.0]]], np.array([[None, 1.0]]), np.datetime64("2020-01-01"), [Value(1.0), Value(2.0)], np.float64(2.0),
], ids=lambda x: " ".join(repr(x).split())[:30])
def test_a_wrong_argument_is_named(backend: str, x: Any, batch: Any) -> None:
    f = pair(backend, batch=batch)
    w = np.ones(4) if batch == (0, 1) else 1.0
    with pytest.raises((TypeError, ValueError), match=r"argument 1|batched arguments have"):
        f(w, x)


@pytest.mark.parametrize("given", [np.arange(6.0), np.arange(6.0).reshape(2, 3), [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]],
                                   [0.0, 1.0, 2.0, 3.0, 4.0, 5.0], [[[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]]],
                         ids=["flat", "2x3", "list of 2x3", "flat list", "too deep"])
def test_as_many_numbers_of_another_shape_are_refused(backend: str, given: Any) -> None:
    m = leaves((3, 2), "m")
    x = Value(1.0, label="x")
    f = compile(sum([row[0] * x - row[1] for row in m], 0.0), [m, x], batch=1, backend=backend)
    g = compile(sum([row[0] * x - row[1] for row in m], 0.0), [m, x], batch=(), backend=backend)
    with pytest.raises(ValueError, match=r"argument 0.*\(3, 2\)"):
        f(given, np.ones(3))
    with pytest.raises(ValueError, match=r"argument 0.*\(3, 2\)"):
        g(given, 1.0)


def test_batches_of_different_lengths_and_of_none(backend: str) -> None:
    f = pair(backend, batch=(0, 1))
    with pytest.raises(ValueError, match=r"3, 2 examples.*the same number"):
        f(np.ones(3), np.ones((2, 2)))
    with pytest.raises(ValueError, match="at least one"):
        f(np.ones(0), np.ones((0, 2)))
    h = pair(backend)
    with pytest.raises(ValueError, match="examples"):
        h(np.ones(2), np.ones((3, 2)))
    with pytest.raises(ValueError, match="argument 0"):
        h(np.ones((2, 2)), [1.0, 2.0])
    with pytest.raises(ValueError, match="at least one"):
        h(np.ones(0), [1.0, 2.0])
    with pytest.raises(TypeError, match=r"argument 0.*text"):
        h("1", [1.0, 2.0])
    g = pair(backend, reduce="mean")
    with pytest.raises(ValueError, match="at least one"):
        g(1.0, np.ones((0, 2)))
    assert near(pair(backend)(1.0, np.ones((1, 2))), [2.0])


def test_options_that_do_not_exist() -> None:
    refused: list[tuple[dict[str, Any], str]] = [
        ({"backend": "cuda"}, "'cuda'.*there are.*python, numpy, llvm"), ({"reduce": "max"}, "'max'.*'sum' or 'mean'"),
        ({"wrt": 2}, "wrt=2.*2 arguments"), ({"wrt": (0, 5)}, "wrt"), ({"wrt": "0"}, "wrt"), ({"threads": 0}, "threads=0"),
        ({"batch": 7}, "batch=7.*2 arguments"), ({"batch": (0, -3)}, "batch"), ({"threads": 1.5}, "threads=1.5")]
    for options, message in refused:
        with pytest.raises((ValueError, TypeError), match=message):
            pair(**({"backend": "python"} | options))
        if "wrt" not in options and "batch" not in options:
            with pytest.raises((ValueError, TypeError), match=message):
                compile_function(module_function, **options)(1.0, 2.0)


def test_positions_may_be_numpys_integers_and_others_are_named() -> None:
    assert pair(wrt=np.int64(0)).grad(2.0, [3.0, 4.0]) == 3.0
    assert near(pair(batch=np.int64(1))(2.0, np.ones((3, 2))), [3.0] * 3)
    for bad in (1.5, None, [None], [0.0], object()):
        if bad is not None:
            with pytest.raises((ValueError, TypeError), match="wrt="):
                pair(wrt=bad)
            with pytest.raises((ValueError, TypeError), match="batch="):
                pair(batch=bad)


def test_options_of_a_function_are_checked_at_once() -> None:
    for options in ({"reduce": "max"}, {"threads": 0}, {"backend": "cuda"}):
        with pytest.raises(ValueError, match=str(next(iter(options.values())))):
            compile_function(module_function, **options)


def test_inputs_and_outputs_that_are_no_graph() -> None:
    x, w = Value(1.0, label="x"), Value(2.0, label="w")
    for inputs, named in (([1.0, x], "input 0"), ([x, [w, 2.0]], "input 1"), ([x, 3.0], "input 1"), ("x", "input"),
                          ([None], "input 0"), (3.0, "input")):
        with pytest.raises(TypeError, match=named):
            compile(x * w, inputs)   # type: ignore[arg-type]
    with pytest.raises(ValueError, match="twice"):
        compile(x * w, [x, x])
    with pytest.raises(ValueError, match="twice"):
        compile(x * w, [[x, w], w])
    with pytest.raises(TypeError, match="function"):
        compile_function(x)   # type: ignore[arg-type]
    for outputs in (["a"], None, "text", object()):
        with pytest.raises(TypeError, match=r"compile\(\)|output"):
            compile(outputs, [x])


def test_plain_numbers_among_the_outputs(backend: str) -> None:
    x = Value(1.0, label="x")
    assert compile_function(lambda t: [1.0, t * 2], backend=backend)(3.0) == [1.0, 6.0]
    try:
        assert compile([1.0, x * 2], [x], backend=backend)(3.0) == [1.0, 6.0]
    except TypeError as error:
        assert "output" in str(error)


def test_a_gradient_is_of_one_output(backend: str) -> None:
    x = Value(1.0, label="x")
    f = compile([x, x * x], [x], backend=backend)
    assert f(3.0) == [3.0, 9.0]
    for call in (f.grad, f.value_and_grad):
        with pytest.raises(TypeError, match=r"2 outputs.*one Value.*jacobian"):
            call(3.0)


def test_a_scalar_for_a_batch_is_refused(backend: str) -> None:
    x = Value(1.0, label="x")
    f = compile(x * 2, [x], batch=0, backend=backend)
    with pytest.raises(ValueError, match=r"argument 0.*B"):
        f(5.0)
    g = compile_function(lambda x: x * 2, batch=0, backend=backend)
    with pytest.raises(ValueError, match="batched argument"):
        g(5.0)


# ---- what a compiled function says of itself

def test_a_compiled_function_shows_what_it_computes(backend: str) -> None:
    y, inputs = network_graph()
    f = compile(y, inputs, wrt=(0, 1), batch=(3, 4), reduce="sum", backend=backend)
    assert str(f)   # before the first call, too
    f.value_and_grad(W, BIAS, V, X[:8], Z[:8])
    text, stats = str(f), f.stats
    assert "tanh" in text
    assert f.source
    assert stats["backend"] == backend
    assert stats["nodes"] > 50
    assert stats["seconds"] > 0
    assert all(stats[name] >= 0 for name in ("statements", "flops", "bytes"))
    if backend == "numpy":
        assert stats["statements"] == len(f.source.splitlines())
        assert stats["statements"] < 50 < stats["nodes"]   # rolled
        assert stats["bytes"] > 8 * 8 * 4
    if backend != "python":
        assert text.count("\n") < 30
        assert " @ " in text
    assert repr(f) == f"Compiled(outputs=1, inputs=[12, 4, 4, 3, 1], backend={backend!r})"
    f.stats["nodes"] = 0   # a copy
    assert f.stats["nodes"] == stats["nodes"]


def test_every_small_program_can_be_shown(backend: str) -> None:
    x, w = Value(1.0, label="x"), Value(2.0, label="w")
    for y in (x, Value(2.0) * 3, x * w, x + 1.0, -x, softmax([x, w, x * w])[0], logsumexp(x, w), relu(w) * x, x ** 3 / w):
        for reduce in (None, "sum"):
            f = compile(y, [w, x], wrt=(0, 1), reduce=reduce, backend=backend)
            for args in ((1.0, 2.0), (1.0, np.ones(3))):
                f(*args)
                assert isinstance(str(f), str)
                f.grad(*args)
                assert isinstance(str(f), str)
                assert isinstance(f.source, str)
                assert f.stats["backend"] == backend


def test_python_source_runs_by_itself() -> None:
    x, w = Value(1.0, label="x"), Value(2.0, label="w")
    f = compile(x * w + x / w - 3, [x, w], backend="python")
    f(1.0, 2.0)
    scope: dict[str, Any] = {}
    exec(f.source, scope)
    assert scope["f"]([1.0, 2.0]) == (f(1.0, 2.0),)


# ---- agreement with PyTorch

@pytest.mark.parametrize("activation", ["tanh", "relu", "sigmoid", "softplus"])
def test_a_network_agrees_with_pytorch(backend: str, activation: str) -> None:
    torch = pytest.importorskip("torch")
    import autograd
    act = getattr(autograd, activation)

    def loss(W: Any, b: Any, U: Any, x: Any, z: Any) -> Any:
        hidden = [act(sum([w * t for w, t in zip(row, x, strict=True)], c)) for row, c in zip(W, b, strict=True)]
        scores = [sum([u * h for u, h in zip(row, hidden, strict=True)], 0.0) for row in U]
        return logsumexp(scores) - sum([t * s for t, s in zip(z, scores, strict=True)], 0.0)
    U, target = CHANCE.normal(size=(3, 4)), np.eye(3)[CHANCE.integers(0, 3, 50)]
    f = compile_function(loss, wrt=(0, 1, 2), batch=(3, 4), reduce="mean", backend=backend)
    value, slopes = f.value_and_grad(W, BIAS, U, X[:50], target)
    parameters = [torch.tensor(p, dtype=torch.float64, requires_grad=True) for p in (W, BIAS, U)]
    hidden = getattr(torch.nn.functional, activation)(torch.tensor(X[:50]) @ parameters[0].T + parameters[1])
    true = torch.nn.functional.cross_entropy(hidden @ parameters[2].T, torch.tensor(target))
    true.backward()
    assert near(value, true.item())
    for one, parameter in zip(slopes, parameters, strict=True):
        assert near(one, parameter.grad.numpy())


# ---- nan, poles and sums that only compiled code meets

def test_a_nan_in_relu_is_a_nan_in_its_step_whatever_becomes_of_the_relu(backend: str) -> None:
    """Where relu and step of one number are both computed, the step is made of the relu: of a nan both are nan."""
    f = compile_function(lambda x, c: [step(x), where(c, relu(x), 1.0)], batch=(0, 1), backend=backend)
    found = f(np.array([math.nan, 1.0, -1.0, 0.0]), np.zeros(4))
    assert np.array_equal(found, [[math.nan, 1.0], [1.0, 1.0], [0.0, 1.0], [0.0, 1.0]], equal_nan=True)
    f = compile_function(lambda x, c: [where(c, relu(x), 1.0), step(x)], batch=(0, 1), backend=backend)
    assert np.array_equal(f(np.array([math.nan, 2.0]), np.zeros(2)), [[1.0, math.nan], [1.0, 1.0]], equal_nan=True)


def test_the_pole_of_log1p_is_minus_infinity_in_the_kernel_itself(backend: str) -> None:
    """What takes the infinity away is finite, so that no graph is asked instead of the kernel."""
    f = compile_function(lambda x: sigmoid(log1p(x)), batch=0, backend=backend)
    with errstate(divide="ignore"):
        assert f(np.array([-1.0, 0.0, math.inf])).tolist() == [0.0, 0.5, 1.0]


@pytest.mark.parametrize("n", [1, 2, 5, 12])
def test_sums_over_a_batch_of_products_with_unequal_coefficients(n: int, backend: str) -> None:
    """Σ over the batch of Σ c·a·b with a number c for every product, a and b both varying: each counts with its own."""
    rng = np.random.default_rng(n)
    C, A, B = rng.normal(size=n), rng.normal(size=(7, n)), rng.normal(size=(7, n))

    def f(theta: Any, a: Any, b: Any) -> Any:
        hidden = [[exp(theta[0] * x), exp(theta[0] * y)] for x, y in zip(a, b, strict=True)]
        return sum([c * (x * y) for c, (x, y) in zip(C.tolist(), hidden, strict=True)])
    compiled = compile_function(f, batch=(1, 2), reduce="sum", backend=backend)
    value, slope = compiled.value_and_grad([0.5], A, B)
    terms = C * np.exp(0.5 * (A + B))
    assert value == pytest.approx(terms.sum(), rel=1e-12)
    assert slope == pytest.approx([(terms * (A + B)).sum()], rel=1e-12)
# ---- compiled means the same function

@lru_cache
def weight_of(t: Any) -> float:
    return 5.0 if t == 1.0 else 1.0


@pytest.mark.parametrize("f", [
    lambda t: {1.0: 5.0}.get(t, 1.0) * t, lambda t: 5.0 * t if t in {1.0, 2.0} else t, lambda t: weight_of(t) * t,
    lambda t: 5.0 * t if t in dict.fromkeys([1.0]) else t, lambda t: len({t, 1.0}) * t, lambda t: hash(t) * t,
    lambda t: {1.0: 5.0}.get(t * 1.0, 1.0) * grad(lambda a: a * t, 0)(t),
], ids=["get", "in a set", "a cache", "in a dict", "a set of it", "hash", "a result"])
def test_a_symbol_is_not_looked_up(f: Any, backend: str) -> None:
    with pytest.raises(TraceError, match=r"look-up.*traced value.*1 - abs"):
        compile_function(f, backend=backend)(1.0)


def test_symbols_are_hashed_by_the_engine_and_when_the_trace_has_ended(backend: str) -> None:
    """Derivatives inside a traced function, of any kind, look symbols up by their identity, and so does the compiler."""
    def f(x: Any) -> Any:
        y = x[0] * x[1] ** 2
        hessian_of = hessian(y, x)
        return grad(y, x)[0] + hessian_of[0][1] + jvp(y, x, [1.0, 0.0]) + hvp(y, x, [0.0, 1.0])[0] + len(topological(y))
    assert compile_function(f, backend=backend)([2.0, 3.0]) == f([Value(2.0), Value(3.0)]).data


def caught(t: Any) -> Any:
    try:
        return 5.0 * t if t > 0.5 else t
    except Exception:
        return t


@pytest.mark.parametrize("f", [
    lambda t: 5.0 * t if isinstance(t, float) else t, lambda t: len(str(t)) * t, caught,
    lambda t: t * 2 if hasattr(t, "label") else t], ids=["its type", "its text", "an error that is caught", "what it has"])
@pytest.mark.parametrize("batch", [None, 0])
def test_what_was_traced_is_compared_with_the_function(f: Any, batch: Any, backend: str) -> None:
    """What cannot be told while it is traced is found by calling the function with the numbers that it was given."""
    with pytest.raises(TraceError, match=r"not the function that was traced: value is .* and .* when it is called"):
        compile_function(f, batch=batch, backend=backend)(np.array([1.0, 2.0]) if batch == 0 else 1.0)


def test_the_slope_is_compared_too(backend: str) -> None:
    g = compile_function(lambda x: x * x if x.symbolic else x * literal(x.data), backend=backend)   # of numbers: no attribute
    assert g(3.0) == 9.0
    with pytest.raises(TraceError, match=r"slope is 6\.0 as it was traced, and 3\.0"):
        g.grad(3.0)


def test_functions_of_values_alone_and_those_without_a_number_are_compiled(backend: str) -> None:
    assert compile_function(lambda x: x.exp() * 0.0 + x, backend=backend)(3.0) == 3.0
    f = compile_function(lambda x: log(x) + x, backend=backend)
    with pytest.raises(ValueError, match="log"):
        f(-1.0)
    assert near(f(2.0), math.log(2.0) + 2.0)


def test_a_symbol_that_escapes_is_refused_wherever_it_is_used() -> None:
    kept: list[Any] = []

    def g(x: Any) -> Any:
        if getattr(x, "symbolic", False):
            kept.extend([x, x * 2])
        return x * 3
    assert compile_function(g, backend="python")(1.0) == 3.0
    one = Value(1.0)
    uses: list[Callable[[Any], Any]] = [
        lambda s: s + 1, lambda s: 1 + s, lambda s: s * 2.0, lambda s: one * s, lambda s: (one * 2) * s, lambda s: one * 2 + s,
        lambda s: s - 1, lambda s: -s, lambda s: 1 / s, lambda s: s ** 2, exp, lambda s: where(s, 1.0, 2.0),
        lambda s: sum([s, s]), np.exp, abs, lambda s: one - s, lambda s: grad(s, kept[0]),
        lambda s: jvp(s, [kept[0]], [1.0]), Value, round,
        lambda s: compile(s, [one])]
    for use in uses:
        for s in kept:   # an argument, and a result
            with pytest.raises(TraceError, match=r"kept from|traced value"):
                use(s)
    assert (one * 2 + 1).data == 3.0


# ---- arguments by name, results beside, structures

def test_arguments_by_name(backend: str) -> None:
    f = compile_function(lambda w, x, *, scale: w * x * scale, backend=backend)
    assert f(2.0, 3.0, scale=4.0) == f(x=3.0, w=2.0, scale=4.0) == f(2.0, scale=4.0, x=3.0) == 24.0
    assert f.value_and_grad(2.0, x=3.0, scale=4.0) == (24.0, 12.0)
    assert compile_function(lambda x, n=3.0: x * n, backend=backend)(2.0) == 6.0
    g = compile_function(lambda w, x: w * x, batch=1, reduce="mean", backend=backend)
    assert g.value_and_grad(2.0, x=np.array([1.0, 3.0])) == (4.0, 2.0)
    with pytest.raises(TypeError, match=r"no argument 'scal'.*scale"):
        f(2.0, 3.0, scal=4.0)
    with pytest.raises(TypeError, match=r"argument 1 .*text"):
        f(2.0, "3", scale=4.0)


@pytest.mark.parametrize("reduce", [None, "sum", "mean"])
def test_what_a_function_gives_beside(backend: str, reduce: str | None) -> None:
    def f(w: Any, x: Any) -> Any:
        z = w[0] * x + w[1]
        return z * z, {"z": z, "both": [w[0], x]}
    W2, x = np.array([2.0, 1.0]), np.array([0.0, 1.0, 3.0])
    g = compile_function(f, batch=1, reduce=reduce, backend=backend, has_aux=True)
    plain = compile_function(lambda w, x: f(w, x)[0], batch=1, reduce=reduce, backend=backend)
    (y, aux), slopes = g.value_and_grad(W2, x)
    value, true = plain.value_and_grad(W2, x)
    assert near(y, value)
    assert near(slopes, true)
    assert near(aux["z"], 2 * x + 1)
    assert near(np.array(aux["both"]).T, np.array([[2.0] * 3, x]).T)
    assert near(g.grad(W2, x)[0], true)
    assert near(g(W2, x)[0], value)
    single = compile_function(f, backend=backend, has_aux=True)
    assert single.value_and_grad([2.0, 1.0], 3.0) == ((49.0, {"z": 7.0, "both": [2.0, 3.0]}), [42.0, 14.0])
    with pytest.raises(TypeError, match="a pair"):
        compile_function(lambda x: x, has_aux=True)(1.0)


def test_dicts_and_ragged_lists_are_seen_to_be_batched(backend: str) -> None:
    p = {"a": Value(1.0), "b": [Value(2.0), [Value(3.0)]]}
    f = compile(p["a"] * p["b"][0] + p["b"][1][0], [p], backend=backend)  # type: ignore[index]
    assert f({"b": [2.0, [3.0]], "a": 1.0}) == 5.0
    assert near(f({"b": [np.array([2.0, 3.0]), [np.ones(2)]], "a": np.array([1.0, 2.0])}), [3.0, 7.0])
    x = leaves((3,), "x")
    g = compile(x[0] * x[1] - x[2], [[x[0], [x[1], x[2]]]], backend=backend)
    assert near(g([np.array([2.0, 3.0]), [np.ones(2), np.zeros(2)]]), [2.0, 3.0])
    assert near(g([2.0, [1.0, 0.0]]), 2.0)


def test_an_input_that_the_graph_has_not_is_told(backend: str) -> None:
    x, w, other = Value(1.0, label="x"), Value(2.0, label="w"), Value(2.0, label="w again")
    with pytest.warns(RuntimeWarning, match=r"do not depend on input 1 \('w again'\).*derivative by it is 0") as told:
        f = compile(w * x, [x, other], backend=backend)
    assert told[0].filename == __file__
    assert f.value_and_grad(3.0, 4.0) == (6.0, 2.0)
    compile([x, w * 2], [x, w], backend=backend)   # an input may be an output
    with pytest.warns(RuntimeWarning, match=r"input 0 \(.*and 2 more"):
        compile(x, [leaves((4,), "v"), [x, w], *leaves((4,), "u")], backend=backend)
    compile(x, [[x, w]], backend=backend)   # weights of a network may be idle
    assert compile_function(lambda x, y: x, backend=backend)(1.0, 2.0) == 1.0   # which takes what it is given


@pytest.mark.parametrize("batch", [None, 1])
def test_masked_numbers_are_refused(batch: Any, backend: str) -> None:
    rows = np.ma.masked_greater(np.array([[1.0, 2.0], [3.0, 4.0]]), 3.5)
    with pytest.raises((TypeError, ValueError), match="masked entries"):
        pair(backend, batch=batch)(1.0, rows if batch else rows[1])
    with pytest.raises((TypeError, ValueError), match="masked entries"):
        compile_function(lambda x: x[0] * x[1], batch=None if batch is None else 0, backend=backend)(rows if batch else rows[1])
    assert near(pair(backend)(2.0, np.ma.array([1.0, 2.0])), 4.0)   # a mask that hides nothing


def test_numbers_among_the_outputs_of_an_inner_node(backend: str) -> None:
    c = Value(2.0) * 3
    assert compile([c * 2, 3.0, {"a": c}], [c], backend=backend)(5.0) == [10.0, 3.0, {"a": 5.0}]


# ---- names, errstate

@pytest.mark.parametrize("name", ["µ", "inf", "v_3", "é", "ﬁ", "lambda", "nan", "xp"])
def test_a_row_of_any_name_is_compiled_by_every_backend(name: str, backend: str) -> None:
    row = Primitive(name, value=lambda a, b: a * b - math.exp(a), partials=lambda y, a, b: (b - exp(a), a),
                    array=lambda xp, a, b: a * b - xp.exp(a))
    try:
        x, w = Value(0.2, label="é"), Value(0.3, label="µ")
        y = row(row(x, w), x)
        f = compile(y, [x, w], backend=backend)
        true = y.data, [d.data for d in grad(y, [x, w])]
        assert near(f.value_and_grad(0.2, 0.3), (true[0], true[1][0]))
        assert near(f(np.full(20, 0.2), 0.3), [y.data] * 20)
        assert str(f)
    finally:
        del PRIMITIVES[name]


@pytest.mark.parametrize("reduce", [None, "mean"])
def test_numpys_errstate_of_the_caller_does_not_reach_inside(backend: str, reduce: str | None) -> None:
    x = Value(1.0)
    with np.errstate(all="raise"):
        f = compile(exp(x * 1000) * 1e-200 * 1e-200 + 1e-200 * x, [x], batch=0, reduce=reduce, backend=backend)
        g = compile_function(lambda x: exp(x * 1000) * 1e-200, batch=0, reduce=reduce, backend=backend)
        for h in (f, g):
            value, slope = h.value_and_grad(np.array([5e-324, -1.0, 1.0]))
            assert np.isinf(value).any()
            assert slope.shape == (3,)


# ---- pickles, forks, cycles

def test_pickles_of_several_outputs_share_their_graph() -> None:
    x = [Value(0.1 * i + 0.1) for i in range(12)]
    y: Any = sum([a * b * c for a, b, c in zip(x, x[1:], x[2:], strict=False)], 0.0) * sum(x, 0.0)
    f = compile({"H": hessian(y, x), "y": y}, [x], backend="python")
    again = pickle.loads(pickle.dumps(f))
    assert len(again._function.order) == len(f._function.order)
    assert again([0.3] * 12) == f([0.3] * 12)
    assert len(pickle.dumps(f)) < 40 * len(f._function.order)


def test_a_pickle_of_a_leaf_that_was_assigned(backend: str) -> None:
    c, x = Value(2.0, label="c"), Value(1.0, label="x")
    f = compile([c * x, x + c], [x], backend=backend)
    c.data = 3.0
    assert pickle.loads(pickle.dumps(f))(2.0) == f(2.0) == [6.0, 5.0]


FORKS = """
import os, sys, threading, time, gc
import numpy as np
from autograd import Value, compile, compile_function, exp
from autograd.compiler import compiled

def child(check):
    process = os.fork()
    if process == 0:
        try:
            os._exit(0 if check() else 3)
        finally:
            os._exit(4)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])

x = [Value(0.1), Value(0.2)]
f = compile(exp(x[0] * x[1]) + x[0], [x], batch=0, reduce="sum", threads=2, backend=sys.argv[1])
rows = np.ones((100_000, 2)) * 0.5
true = f.value_and_grad(rows)[0]
print(child(lambda: f.value_and_grad(rows)[0] == true))

inside, go = threading.Event(), threading.Event()
class Slow(compiled.Plan):
    def __init__(self, *args):
        inside.set()
        go.wait(0.5)
        super().__init__(*args)
plan, compiled.Plan = compiled.Plan, Slow
g = compile(x[0] * x[1], [x], backend=sys.argv[1])
thread = threading.Thread(target=lambda: g([1.0, 2.0]))
thread.start()
inside.wait()
compiled.Plan = plan
print(child(lambda: g([3.0, 2.0]) == 6.0 and f.value_and_grad(rows)[0] == true))
thread.join()

def slow(v):
    if v.symbolic:
        inside.set()
        go.wait()
    return v * 2
inside.clear()
thread = threading.Thread(target=lambda: compile_function(slow, backend="python")(1.0))
thread.start()
inside.wait()
print(child(lambda: gc.isenabled() and compile_function(lambda v: v * 3, backend=sys.argv[1])(2.0) == 6.0))
go.set()
thread.join()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
def test_a_forked_child_may_call_and_compile(backend: str) -> None:
    """After threads were used, while another thread compiles, and while another thread traces."""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", FORKS, backend], capture_output=True, text=True, timeout=120,
                          check=False, cwd=Path(__file__).parents[1])
    assert (done.stdout.split(), done.stderr) == (["0", "0", "0"], "")


def test_compiling_leaves_no_cycles(backend: str) -> None:
    def use() -> None:
        f = compile_function(lambda w, x: logsumexp([a * b for a, b in zip(w, x, strict=True)]) ** 4 + w[0] ** -2.0, batch=1,
                             reduce="mean", backend=backend, threads=2)
        f.value_and_grad([1.0, 2.0], np.ones((50, 2)))
        compile_function(sin, backend=backend).value_and_grad(1.0)
        long = Value(0.5)
        y = long
        for _ in range(6000):
            y = sin(y)
        str(compile(y, [long], backend="python"))
    use()
    gc.collect()
    gc.disable()
    try:
        use()
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        left = [type(x).__name__ for x in gc.garbage if type(x).__module__ != "llvmlite.binding.ffi" and type(x) is not dict]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert [name for name in left if name != "LP_LLVMModule"] == []   # llvmlite's own, which hold themselves
