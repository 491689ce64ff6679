"""`dot` and `affine`: one node, in everything that is seen of it the same as the sum written out."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable, Sequence
from copy import deepcopy
from functools import partial, reduce
from operator import add, mul
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograd import (
    Value,
    affine,
    compile_function,
    dot,
    exp,
    grad,
    hessian,
    hvp,
    jvp,
    log,
    no_grad,
    paths,
    relu,
    tanh,
    topological,
)
from autograd.rewritten import opened, shown
from autograd.steps import steps, xi_names
from nn import MLP, Conv2d, Neuron
from viz import draw, explore, table

Sum = Callable[[Sequence[Any], Sequence[Any], Any], Any]
BACKENDS = ("python", "numpy", "llvm")
NUMBERS = st.one_of(st.floats(-3, 3), st.sampled_from((0.0, -0.0, 1e200, -1e200, 5e-324, math.inf, -math.inf, math.nan)))


def written(ws: Sequence[Any], xs: Sequence[Any], b: Any) -> Any:
    """The sum as the hand writes it; without b, if that is None."""
    return reduce(add, [*([] if b is None else [b]), *map(mul, ws, xs)])


def node(ws: Sequence[Any], xs: Sequence[Any], b: Any) -> Any:
    """The same as one node."""
    return dot(ws, xs) if b is None else affine(ws, xs, b)


def bits(x: float) -> str:
    return float(x).hex()


def leaves(numbers: Sequence[float], letter: str) -> list[Value]:
    return [Value(x, label=f"{letter}{i}") for i, x in enumerate(numbers, 1)]


def outcome(f: Callable[[], Any]) -> Any:
    """What f gives, or the type of what it raises."""
    try:
        return f()
    except (ArithmeticError, ValueError) as error:
        return type(error)


@st.composite
def terms(draw: Any) -> tuple[list[float], list[float], float | None]:
    n = draw(st.integers(1, 6))
    some = st.lists(NUMBERS, min_size=n, max_size=n)
    return draw(some), draw(some), draw(st.none() | NUMBERS)


# ---- numbers and derivatives

@given(terms())
def test_it_has_the_bits_and_the_gradient_of_the_sum_written_out(numbers: tuple[Any, Any, Any]) -> None:
    def swept(by: Sum, outer: Callable[[Any], Any]) -> list[str]:
        w, x, b = leaves(numbers[0], "w"), leaves(numbers[1], "x"), None if numbers[2] is None else Value(numbers[2])
        y = outer(by(w, x, b))
        y.backward()
        return [bits(v) for v in (y.data, *[v.grad for v in [*w, *x, *([] if b is None else [b])]])]

    outers: list[Callable[[Any], Any]] = [lambda z: z, relu, lambda z: relu(z - 1) * z, lambda z: exp(z * 0),
                                          lambda z: (z * z) ** 0.5]
    for outer in outers:
        assert outcome(partial(swept, node, outer)) == outcome(partial(swept, written, outer))


@given(terms())
def test_so_have_derivatives_as_values_and_those_of_derivatives(numbers: tuple[Any, Any, Any]) -> None:
    def derivatives(by: Sum) -> list[str]:
        w, x, b = leaves(numbers[0], "w"), leaves(numbers[1], "x"), None if numbers[2] is None else Value(numbers[2])
        z = by(w, x, b)
        y = relu(z) * z
        first = grad(y, [*w, *x])
        return [bits(v.data) for v in (*first, *grad(first[0] * 2.0 + first[-1], [*w, *x]))]

    assert outcome(partial(derivatives, node)) == outcome(partial(derivatives, written))


def test_every_way_to_the_second_derivative() -> None:
    def f(by: Sum, v: Sequence[Any]) -> Any:
        return tanh(by(v[:2], v[2:4], v[4]))
    at, u = [0.5, -0.25, 2.0, 1.0, 0.125], [1.0, -2.0, 0.5, 3.0, 1.0]
    ways: list[Callable[[Any], Any]] = [lambda g: hessian(g)(at), lambda g: hvp(g, at, u)[1], lambda g: jvp(g, at, u)[1],
                                        lambda g: grad(g)(at)]
    for ask in ways:
        mine, theirs = [np.ravel(ask(partial(f, by))) for by in (node, written)]
        assert mine == pytest.approx(theirs, rel=1e-15)


@pytest.mark.parametrize("backend", BACKENDS)
def test_compiled_it_is_the_sum_written_out(backend: str) -> None:
    def cost(by: Sum) -> Any:
        return compile_function(lambda w, x: tanh(by(w[:3], x, w[3])) + by(w[1:4], w[:3], None), batch=1, backend=backend)
    w, x = [0.5, -1.5, 2.0, 0.1], np.random.default_rng(0).normal(size=(5, 3))
    mine, theirs = [cost(by) for by in (node, written)]
    assert np.array_equal(mine(w, x), theirs(w, x))
    for a, b in zip(mine.value_and_grad(w, x), theirs.value_and_grad(w, x), strict=True):
        assert np.array_equal(a, b)


def test_a_zero_by_kind_among_its_factors_is_none_beside_an_infinite_slope() -> None:
    zeros: list[Callable[[Value], Value]] = [lambda v: relu(v - 1), lambda v: 0.0 * v]
    for zero in zeros:
        x, w = Value(0.0, label="x"), Value(2.0, label="w")
        y = dot([zero(x), w], [x ** 0.5, w])
        y.backward()
        assert (x.grad, w.grad) == (0.0, 4.0)


# ---- arguments

def test_numbers_values_and_arrays_mix() -> None:
    assert dot([2, 3.0], [4.0, 5]) == 23.0
    assert affine(np.array([2.0, 3.0]), [4, 5], Value(1.0)).data == 24.0
    assert dot([np.array([1.0, 2.0]), 3.0], [2.0, np.array([1.0, 1.0])]).tolist() == [5.0, 7.0]
    w = Value(2.0)
    assert [a.constant for a in dot([w, 3], [4.0, w]).args] == [False, True, True, False]
    assert (dot([], []), affine([], [], 3.0)) == (0.0, 3.0)
    assert affine([], [], w) is w


def test_other_lengths_are_an_error_that_says_both() -> None:
    for ws, xs in (([1.0], [1.0, 2.0]), ([], [1.0])):
        for by in (dot, lambda ws, xs: affine(ws, xs, 0.0)):
            with pytest.raises(ValueError, match=r"weights and [12] inputs"):
                by(ws, xs)
    neuron = Neuron(2)
    neuron.w.append(Value(1.0))
    with pytest.raises(ValueError, match="3 weights and 2 inputs"):
        neuron([1.0, 2.0])


def test_copies_pickles_and_no_grad() -> None:
    w, x = leaves([1.0, 2.0], "w"), leaves([3.0, 4.0], "x")
    y = affine(w, x, 5.0)
    for other in (deepcopy(y), pickle.loads(pickle.dumps(y))):
        assert other.data == y.data
        assert [a.data for a in other.args] == [a.data for a in y.args]
        other.backward()
        assert [a.grad for a in other.args if a.label] == [3.0, 4.0, 1.0, 2.0]
    with no_grad():
        assert affine(w, x, 5.0).args == ()


# ---- what is seen of it

def neuron_of(by: Sum) -> Value:
    w, x = leaves([0.5, -1.5, 2.0], "w"), leaves([1.0, 2.0, 3.0], "x")
    z = by(w, x, Value(0.25, label="b"))
    z.label = "z"
    L = log(1 + exp(-z)) + by(w[:2], w[1:], None) * z
    L.backward()
    return L  # type: ignore[no-any-return]


@pytest.mark.parametrize("rows", ["auto", "all", "sums", "named"])
def test_a_table_has_its_products_and_sums(rows: str) -> None:
    mine, theirs = [table(neuron_of(by), rows=rows) for by in (node, written)]
    for told in (str, type(mine).html, type(mine).latex, type(mine).markdown):
        assert told(mine) == told(theirs)


def test_pictures_and_pages_have_them_too() -> None:
    mine, theirs = [neuron_of(by) for by in (node, written)]
    assert draw(mine, engine="builtin").svg == draw(theirs, engine="builtin").svg
    assert explore(mine, engine="builtin").html == explore(theirs, engine="builtin").html
    assert list(xi_names(neuron_of(node)).values()) == list(xi_names(neuron_of(written)).values())


def test_opened_it_has_the_gradients_that_the_terms_would_have() -> None:
    for by in (node, written):
        order = topological(opened(neuron_of(by))[0])
        assert [(v.label, v.op and v.op.name, v.data, v.grad) for v in order] == \
            [(v.label, v.op and v.op.name, v.data, v.grad) for v in topological(neuron_of(written))]


def test_the_graph_itself_stays_as_it_was_and_its_values_can_be_asked_for() -> None:
    w, x = leaves([1.0, 2.0], "w"), leaves([3.0, 4.0], "x")
    z = dot(w, x)
    y = tanh(z) + z
    found = steps(y, [z], [y])
    assert [q.number for q in found.rows[0].partials] == [grad(y, z).data]
    assert [path.product for path in paths(y, z)] == [pytest.approx(grad(tanh(z), z).data), 1.0]
    assert "score" in str(table(y, names={z: "score"}, rows=[z, y]))
    assert ">score</text>" in draw(y, names={z: "score"}, engine="builtin").svg
    assert xi_names(y, {z: "score"})[z] == "score"
    assert z.op and z.op.name == "weighted_sum"
    assert shown(y)[1][z].op is not z.op


# ---- in nn

def test_a_unit_sums_up_in_one_node() -> None:
    model = MLP(3, [4, 1], "tanh", rng=0)
    assert [v.op.name for v in topological(model([1.0, 2.0, 3.0])) if v.op] == ["weighted_sum", "tanh"] * 4 + ["weighted_sum"]
    conv = Conv2d(1, 1, 2, padding=1)
    assert [len(z.args) for row in conv.z([[1.0, 2.0], [3.0, 4.0]])[0] for z in row] == [3, 5, 3, 5, 9, 5, 3, 5, 3]


def test_a_window_that_sees_only_padding_gives_the_bias() -> None:
    conv = Conv2d(1, 1, 1, padding=1)
    conv.b = [0.5]
    assert [z.data for z in conv([[0.0]])[0][0]] == [0.5, 0.5, 0.5]
    assert Conv2d(1, 1, 1, padding=1, bias=False)([[0.0]])[0][0][0].data == 0.0
