"""The promises of accuracy: row by row, on fewer points than the table in docs/ACCURACY.md, and of losses on every backend."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from accuracy import INNER, worst
from helpers import ROWS
from mpmath import mp, mpf

from autograd import Primitive, Value, compile_function, grad, hessian, log, log_softmax, logsumexp, sigmoid, softmax, tanh
from nn import binary_cross_entropy_with_logits, cross_entropy

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "ACCURACY.md"


@pytest.mark.parametrize("p", ROWS, ids=lambda p: p.name)
def test_slopes_and_second_derivatives_keep_their_digits_over_the_whole_range(p: Primitive) -> None:
    found = worst(p, n=60 if p.arity == 1 else 200, every=3)
    assert found.points > 8
    assert found.value[0] <= (1.2e-15 if p.name == "erfc" else 7e-16), found
    assert found.first[0] <= 1e-12, found
    assert found.second[0] <= 1e-10, found
    assert bool(found.second[1]) <= (p.name not in INNER)


def test_the_document_is_of_the_rows_of_the_table() -> None:
    rows = [line.split(" | ") for line in DOCUMENT.read_text(encoding="utf-8").splitlines() if line.startswith("| ")][1:]
    assert [row[0].removeprefix("| ") for row in rows] == [p.name for p in ROWS]
    for name, _, _, first, second in rows:
        assert float(first) <= 1e-12, name
        assert second == "— |" or float(second.removesuffix(" |")) <= 1e-10, name


# ---- compositions and compiled code

def ways(f: Callable[..., Any], backend: str) -> list[Callable[[list[float]], Any]]:
    """The Hessian of f, a function of a list: of Values, compiled for an example, compiled for a batch."""
    compiled = compile_function(hessian(f), backend=backend)
    batch = compile_function(hessian(f), batch=0, backend=backend)
    return [hessian(f), compiled, lambda x: batch([x, x])[1]]


@pytest.mark.parametrize(("f", "x", "known"), [   # of 50-digit arithmetic
    (lambda x: sigmoid(x[0]), 1e-20, -1.25e-21), (lambda x: tanh(x[0]), 300.0, -2.1203172424034486e-260),
    (lambda x: x[0] * log(x[0]), 1e-100, 1e100),
])
def test_second_derivatives_near_0_and_in_the_tails_eager_and_compiled(
        f: Callable[..., Any], x: float, known: float, backend: str) -> None:
    for way in ways(f, backend):
        assert float(way([x])[0][0]) == pytest.approx(known, rel=1e-10, abs=0.0)


LOGITS = [[37.0, 0.0], [0.0, -40.0, -50.0], [300.0, 0.0, -1.0], [5.0, 5.0, -700.0], [1e5 + 0.1, 1e5 - 30.0, -1e5],
          [1e8, 1e8 + 1, -1e8], [1e308, 1e308, 0.0], [-1e308, 0.0, -5.0], [0.3, -0.2, 0.9, 4.0]]


def truths(z: list[float], k: int) -> tuple[Any, list[Any]]:
    """−log of the softmax of class k, and its slopes."""
    with mp.workdps(700):
        e = [mp.exp(mpf(x) - max(z)) for x in z]
        others = sum(e) - e[k]
        return mp.log(1 + others / e[k]) if e[k] > mpf(10) ** -600 else max(z) - mpf(z[k]) + mp.log(sum(e)), [
            -others / sum(e) if j == k else x / sum(e) for j, x in enumerate(e)]


def assert_close(found: Any, true: Any) -> None:
    """To 1e-12; below the smallest normal number digits run out, and beyond the largest there is infinity."""
    if abs(true) > 1.7e308:
        assert found == math.inf
    else:
        assert abs(mpf(float(found)) - true) <= 1e-12 * abs(true) + mpf(10) ** -307, (found, float(true))


@pytest.mark.parametrize("z", LOGITS, ids=str)
def test_cross_entropy_is_exact_for_logits_of_any_size_on_every_backend(z: list[float], backend: str) -> None:
    of_index = compile_function(cross_entropy, backend=backend)
    batch = compile_function(cross_entropy, batch=(0, 1), backend=backend)
    for k in range(len(z)):
        value, slopes = truths(z, k)
        xs = [*map(Value, z)]
        L = cross_entropy(xs, k)
        L.backward()
        one, many = of_index.value_and_grad(z, float(k)), batch.value_and_grad([z, z], [float(k)] * 2)
        for y, ds in ((L.data, [x.grad for x in xs]), one, (many[0][1], many[1][1]),
                      (-log_softmax(z)[k], [-d.data for d in grad(log_softmax(xs)[k], xs)])):
            assert_close(y, value)
            for d, true in zip(ds, slopes, strict=True):
                assert_close(d, true)


@pytest.mark.parametrize("z", [37.0, -37.0, 800.0, 1e5 + 0.1, -1e8, 1e308, -1e308, 1e-300])
def test_binary_cross_entropy_is_exact_for_logits_of_any_size_on_every_backend(z: float, backend: str) -> None:
    f = compile_function(binary_cross_entropy_with_logits, backend=backend)
    batch = compile_function(binary_cross_entropy_with_logits, batch=(0, 1), backend=backend)
    for y in (0.0, 1.0):
        value, slopes = truths([0.0, z], int(y))
        many = batch.value_and_grad([z, z], [y, y])
        for found, slope in (f.value_and_grad(z, y), (many[0][1], many[1][1])):
            assert_close(found, value)
            assert_close(slope, slopes[1])


@pytest.mark.parametrize("z", [z for z in LOGITS if max(map(abs, z)) < 1e6], ids=str)
def test_the_slope_of_softmax_is_p_times_the_others(z: list[float], backend: str) -> None:
    with mp.workdps(700):
        e = [mp.exp(mpf(x) - max(z)) for x in z]
        p = [x / sum(e) for x in e]
        known = [[p[i] * sum(q for j, q in enumerate(p) if j != i) if i == k else -p[i] * p[k] for k in range(len(z))]
                 for i in range(len(z))]
    xs = [*map(Value, z)]
    compiled = compile_function(lambda x: [grad(y, x) for y in softmax(x)], batch=0, backend=backend)
    for found in ([[d.data for d in grad(y, xs)] for y in softmax(xs)], compiled([z, z])[1],
                  *[way(z) for way in ways(logsumexp, backend)]):
        for row, true in zip(found, known, strict=True):
            for d, t in zip(row, true, strict=True):
                assert_close(d, t)
