"""Values among numpy's scalars and arrays: on the left, in ufuncs, as elements."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from helpers import same

from autograd import Value, exp, grad, log, maximum, sigmoid, softmax, softplus, where
from autograd.arrays import UFUNCS
from autograd.primitive import by_ufunc

OPERATORS = [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow]
SCALARS = [np.float64(1.5), np.float32(1.5), np.float16(1.5), np.int64(2), np.uint8(2), np.bool_(True), np.longdouble(1.5)]
NUMBERS_ONLY = {"ceil", "float_power", "floor", "heaviside", "logaddexp"}   # numpy has no loop over objects, or one by math
OFFER = sorted(name for name, f in vars(np).items() if isinstance(f, np.ufunc) and f.nin < 3
               and (name in UFUNCS or by_ufunc(name)))
COMPARISONS = [operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge]


def values(*xs: float) -> Any:
    return np.array([Value(x) for x in xs])


def value(x: float) -> Any:
    """A Value that numpy's annotations let pass."""
    return Value(x)


def data(array: Any) -> list[float]:
    return [v.data if isinstance(v, Value) else v for v in np.ravel(array)]


# ---- scalars and 0-d arrays

@pytest.mark.parametrize("op", OPERATORS)
@pytest.mark.parametrize("x", [*SCALARS, np.array(1.5), np.array(2)], ids=lambda x: f"{x.dtype}{x.ndim}")
def test_a_numpy_scalar_on_either_side(op: Callable[[Any, Any], Any], x: Any) -> None:
    v = Value(0.75)
    for y, known in ((op(x, v), op(float(x), 0.75)), (op(v, x), op(0.75, float(x)))):
        assert isinstance(y, Value)
        assert same(y.data, known)
        assert math.isfinite(grad(y, v).data)


@pytest.mark.parametrize("op", COMPARISONS)
@pytest.mark.parametrize("x", SCALARS, ids=lambda x: str(x.dtype))
def test_comparisons_with_a_numpy_scalar(op: Callable[[Any, Any], Any], x: Any) -> None:
    for v in (Value(float(x)), Value(0.5), Value(7.0)):
        assert bool(op(x, v)) is op(float(x), v.data)
        assert bool(op(v, x)) is op(v.data, float(x))


# ---- ufuncs

@pytest.mark.parametrize("name", OFFER)
def test_every_ufunc_on_offer_computes_what_numpy_computes(name: str) -> None:
    ufunc = getattr(np, name)
    x, y = (1.25, 1.75) if name in {"acosh", "arccosh"} else (0.25, 0.75)
    numbers = (x, y)[:ufunc.nin]
    known = ufunc(*numbers)
    vs = tuple(map(Value, numbers))
    found = ufunc(*vs)
    if isinstance(known, np.bool_):
        assert bool(found) is bool(known)
    else:
        assert isinstance(found, Value)
        assert found.data == pytest.approx(float(known), rel=1e-15)
        slopes = grad(found, vs)
        for i, slope in enumerate(slopes):
            moved = [[z + d * (j == i) for j, z in enumerate(numbers)] for d in (1e-6, -1e-6)]
            numeric = (ufunc(*moved[0]) - ufunc(*moved[1])) / 2e-6
            assert slope.data == pytest.approx(numeric, rel=1e-8, abs=1e-8)   # central differences have 9 or 10 digits
    array = np.array([x, y])
    if name not in NUMBERS_ONLY:
        elementwise = ufunc(*[np.array([Value(z) for z in array]) for _ in range(ufunc.nin)])
        assert data(elementwise) == pytest.approx(list(ufunc(*[array] * ufunc.nin)), rel=1e-15)
    if ufunc.nin == 2:
        for mixed in (ufunc(vs[0], array), ufunc(array, vs[0])):
            assert mixed.shape == (2,)
        assert data(ufunc(vs[0], array)) == pytest.approx(list(ufunc(x, array)), rel=1e-15)
        assert data(ufunc(array, vs[0])) == pytest.approx(list(ufunc(array, x)), rel=1e-15)


def test_the_offer_has_what_numpy_users_reach_for() -> None:
    assert {"add", "subtract", "multiply", "divide", "power", "negative", "exp", "log", "sqrt", "tanh", "sin", "cos", "maximum",
            "minimum", "absolute", "square", "logaddexp", "arctan2", "hypot", "expm1", "log1p", "less", "equal", "floor",
            "ceil", "rint", "remainder", "floor_divide"} <= set(OFFER)


@pytest.mark.parametrize("ufunc", [np.trunc, np.isnan, np.fmod, np.bitwise_and, np.signbit, np.gcd, np.modf],
                         ids=lambda f: f.__name__)
def test_an_unsupported_ufunc_says_so(ufunc: Any) -> None:
    with pytest.raises(TypeError, match=rf"numpy\.{ufunc.__name__}.*has no meaning for a Value: use \.data"):
        ufunc(*[Value(2.0)] * ufunc.nin)


def test_ufunc_methods_and_keywords_say_so() -> None:
    array, v = np.ones(2), value(2.0)
    with pytest.raises(TypeError, match=r"numpy\.add\.outer.*no meaning"):
        np.add.outer(v, array)
    assert np.sum(v) is np.max(v) is v   # of one number, that number
    with pytest.raises(TypeError, match=r"numpy\.add\(where\)"):
        np.add(v, 1.0, where=True)
    with pytest.raises(TypeError, match=r"dtype"):
        np.add(v, 1.0, dtype=float)


def test_a_ufunc_refuses_what_is_no_number() -> None:
    x: Any
    for x in ("1", None, 1j):
        with pytest.raises(TypeError, match=r"numpy\.add"):
            np.add(value(1.0), x)


# ---- arrays

@pytest.mark.parametrize("op", OPERATORS)
def test_a_value_and_an_array_broadcast(op: Callable[[Any, Any], Any]) -> None:
    v, array = Value(0.5), np.array([[1.0, 2.0], [3.0, 4.0]])
    for y, known in ((op(v, array), op(0.5, array)), (op(array, v), op(array, 0.5))):
        assert y.shape == (2, 2)
        assert all(isinstance(e, Value) for e in y.flat)
        assert data(y) == list(known.ravel())
    total = op(v, array).sum()
    total.backward()
    assert v.grad == pytest.approx(sum(grad(op(v, float(x)), v).data for x in array.flat), rel=1e-15)


@pytest.mark.parametrize("op", COMPARISONS)
def test_a_value_and_an_array_compare_element_by_element(op: Callable[[Any, Any], Any]) -> None:
    array = np.array([1.0, 2.0, 3.0])
    for a, b in ((Value(2.0), array), (array, Value(2.0)), (values(1, 2, 3), 2.0), (2.0, values(1, 2, 3)),
                 (values(1, 2, 3), Value(2.0)), (values(1, 2, 3), np.array([2.0, 2.0, 2.0])), (Value(2.0), values(1, 2, 3))):
        plain = [np.array(data(x)) if isinstance(x, np.ndarray) else getattr(x, "data", x) for x in (a, b)]
        found = op(a, b)
        assert found.dtype == bool
        assert found.tolist() == op(*plain).tolist()


def test_object_arrays_of_values() -> None:
    x, w = values(1, 2, 3), values(0.5, -1, 2)
    plain_x, plain_w = np.array(data(x)), np.array(data(w))
    assert data(x + w) == list(plain_x + plain_w)
    assert data(x * 2 - w / x) == list(plain_x * 2 - plain_w / plain_x)
    assert data(x ** 2) == list(plain_x ** 2)
    assert data(-x) == list(-plain_x)
    assert data(abs(w)) == list(abs(plain_w))
    for total, known in ((np.dot(x, w), plain_x @ plain_w), (x @ w, plain_x @ plain_w), (np.sum(x * w), plain_x @ plain_w),
                         ((x * w).sum(), plain_x @ plain_w), (np.mean(x), 2.0), (x.mean(), 2.0), (np.prod(x), 6.0),
                         (sum(x), 6.0), (np.max(x), 3.0), (x.min(), 1.0)):
        assert isinstance(total, Value)
        assert total.data == pytest.approx(float(known), rel=1e-15)
    total = np.mean(np.tanh(x) * np.exp(w))
    total.backward()
    assert [v.grad for v in x] == pytest.approx(list((1 - np.tanh(plain_x) ** 2) * np.exp(plain_w) / 3), rel=1e-14)
    assert np.argmax(w) == 2
    assert np.cumsum(x)[-1].data == 6.0
    assert np.where(w > 0, x, 0.0)[1] == 0.0
    assert data(np.sort(w)) == [-1.0, 0.5, 2.0]


def test_matrices_of_values() -> None:
    a = np.array([[Value(1.0), Value(2.0)], [Value(3.0), Value(4.0)]])
    b = np.array([[0.5, -1.0], [2.0, 0.0]])
    plain = np.array(data(a)).reshape(2, 2)
    for product, known in ((a @ b, plain @ b), (b @ a, b @ plain), (a @ a, plain @ plain), (a.T @ a, plain.T @ plain)):
        assert np.array(data(product)).reshape(2, 2).tolist() == known.tolist()
    assert data(np.sum(a, axis=0)) == [4.0, 6.0]
    assert np.trace(a).data == 5.0
    (a @ b).sum().backward()
    assert [v.grad for v in a.flat] == [-0.5, 2.0, -0.5, 2.0]


def test_in_place_operators_rebind_the_elements() -> None:
    x = values(1, 2)
    first = x[0]
    x += 1
    x *= np.array([2.0, 3.0])
    x -= Value(1.0)
    x /= 2
    assert data(x) == [1.5, 4.0]
    assert first.data == 1.0
    x.sum().backward()
    assert first.grad == 1.0
    x[0] = 7.0
    assert data(x) == [7.0, 4.0]
    out = np.empty(2, dtype=object)
    assert np.add(value(1.0), np.array([1.0, 2.0]), out=out) is out
    assert data(out) == [2.0, 3.0]


def test_a_float_array_cannot_hold_a_value() -> None:
    floats, v = np.ones(2), value(2.0)
    with pytest.raises(TypeError, match="use an array with dtype=object"):
        np.multiply(floats, v, out=floats)
    with pytest.raises(TypeError, match="use an array with dtype=object"):
        floats += v
    with pytest.raises((TypeError, ValueError), match="float"):
        floats[0] = v
    with pytest.raises((TypeError, ValueError), match="float"):
        np.array([v, v], dtype=float)
    with pytest.raises((TypeError, ValueError), match="float"):
        values(1, 2).astype(float)
    assert floats.tolist() == [1.0, 1.0]


def test_arrays_of_values_are_object_arrays() -> None:
    v = value(2.0)
    for array in (np.array([v, 1.0]), np.asarray([[v]]), np.array(v), np.full(3, v), np.asarray(v)):
        assert array.dtype == object
    assert np.array(v)[()] is v
    assert np.array([v, v])[1] is v
    with pytest.raises(TypeError):
        Value(np.array(v))


def test_ufuncs_of_object_arrays_call_our_functions() -> None:
    x = values(0.1, 0.5)
    for name in ("exp", "log", "sqrt", "tanh", "sin", "cos", "tan", "arcsin", "arccos", "arctan", "sinh", "cosh", "arcsinh",
                 "arctanh", "exp2", "expm1", "log1p", "log2", "log10", "cbrt", "square", "negative", "absolute", "fabs",
                 "reciprocal"):
        found = getattr(np, name)(x)
        assert all(isinstance(v, Value) for v in found), name
        assert data(found) == pytest.approx(list(getattr(np, name)(np.array([0.1, 0.5]))), rel=4e-16), name


def test_functions_of_arrays() -> None:
    plain, x = np.array([[-1.0, 0.5], [2.0, 700.0]]), np.array([[Value(-1.0), Value(0.5)], [Value(2.0), Value(700.0)]])
    for f in (exp, sigmoid, softplus):
        assert f(plain).shape == (2, 2)
        assert data(f(x)) == pytest.approx([f(float(z)) for z in plain.flat], rel=1e-15)
    assert maximum(plain, 1.0).tolist() == [[1.0, 1.0], [2.0, 700.0]]
    assert data(maximum(x, 1.0)) == [1.0, 1.0, 2.0, 700.0]
    assert data(maximum(plain, Value(1.0))) == [1.0, 1.0, 2.0, 700.0]
    assert data(maximum(Value(1.0), x)) == [1.0, 1.0, 2.0, 700.0]
    assert where(plain > 0, plain, 0.0).tolist() == [[0.0, 0.5], [2.0, 700.0]]
    assert data(where(x > 0, x, 0.0)) == [0.0, 0.5, 2.0, 700.0]
    assert [p.shape for p in softmax(plain[0], plain[1])] == [(2,), (2,)]
    assert [v.data for v in softmax(values(1, 1))] == [0.5, 0.5]
    empty = exp(np.zeros((0, 3)))
    assert empty.shape == (0, 3)
    with np.errstate(all="raise"):
        assert np.isnan(log(np.array([-1.0]))[0])


def test_integer_and_boolean_arrays() -> None:
    assert exp(np.array([0, 1])).dtype == float
    assert data(Value(2.0) * np.array([1, 2])) == [2.0, 4.0]
    assert data(np.array([True, False]) + Value(1.0)) == [2.0, 1.0]
    assert data(Value(2.0) ** np.arange(3)) == [1.0, 2.0, 4.0]
