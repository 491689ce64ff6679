"""grad, jacobian, hessian, jvp, vjp, hvp and gradcheck: of Values and of functions, nested, on problems whose derivatives
are published.
"""

from __future__ import annotations

import math
from collections import namedtuple
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograd import (
    PRIMITIVES,
    Primitive,
    Value,
    cos,
    errstate,
    exp,
    grad,
    gradcheck,
    grads,
    hessian,
    hvp,
    jacobian,
    jvp,
    log,
    log_softmax,
    no_grad,
    numbers,
    relu,
    sin,
    softmax,
    sqrt,
    tanh,
    topological,
    value_and_grad,
    values,
    vjp,
)
from autograd.check import differences
from autograd.structure import leaves_of, outline, shape_of, shaped

Point = namedtuple("Point", "x y")


def data(x: Any) -> Any:
    """The numbers of Values in nested lists and tuples."""
    return [data(e) for e in x] if isinstance(x, (list, tuple, np.ndarray)) else x.data if isinstance(x, Value) else x


# ---- published problems: More, Garbow, Hillstrom (1981); Himmelblau (1972); Jamil and Yang (2013)

def rosenbrock(x: Any) -> Any:
    return 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2


def rosenbrock_gradient(x: Any) -> list[float]:
    return [-400 * x[0] * (x[1] - x[0] ** 2) - 2 * (1 - x[0]), 200 * (x[1] - x[0] ** 2)]


def rosenbrock_hessian(x: Any) -> list[list[float]]:
    return [[1200 * x[0] ** 2 - 400 * x[1] + 2, -400 * x[0]], [-400 * x[0], 200.0]]


def beale(x: Any) -> Any:
    return (1.5 - x[0] + x[0] * x[1]) ** 2 + (2.25 - x[0] + x[0] * x[1] ** 2) ** 2 + (2.625 - x[0] + x[0] * x[1] ** 3) ** 2


def beale_gradient(x: Any) -> list[float]:
    a, b = x
    r = [c - a + a * b ** k for k, c in ((1, 1.5), (2, 2.25), (3, 2.625))]
    return [sum(2 * r[k - 1] * (b ** k - 1) for k in (1, 2, 3)), sum(2 * r[k - 1] * k * a * b ** (k - 1) for k in (1, 2, 3))]


def booth(x: Any) -> Any:
    return (x[0] + 2 * x[1] - 7) ** 2 + (2 * x[0] + x[1] - 5) ** 2


def himmelblau(x: Any) -> Any:
    return (x[0] ** 2 + x[1] - 11) ** 2 + (x[0] + x[1] ** 2 - 7) ** 2


def powell(x: Any) -> Any:
    return (x[0] + 10 * x[1]) ** 2 + 5 * (x[2] - x[3]) ** 2 + (x[1] - 2 * x[2]) ** 4 + 10 * (x[0] - x[3]) ** 4


def powell_gradient(x: Any) -> list[float]:
    a, b, c, d = 2 * (x[0] + 10 * x[1]), 10 * (x[2] - x[3]), 4 * (x[1] - 2 * x[2]) ** 3, 40 * (x[0] - x[3]) ** 3
    return [a + d, 10 * a + c, b - 2 * c, -b - d]


def powell_hessian(x: Any) -> list[list[float]]:
    c, d = 12 * (x[1] - 2 * x[2]) ** 2, 120 * (x[0] - x[3]) ** 2
    return [[2 + d, 20, 0, -d], [20, 200 + c, -2 * c, 0], [0, -2 * c, 10 + 4 * c, -10], [-d, 0, -10, 10 + d]]


def wood(x: Any) -> Any:
    return (100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2 + 90 * (x[3] - x[2] ** 2) ** 2 + (1 - x[2]) ** 2
            + 10.1 * ((x[1] - 1) ** 2 + (x[3] - 1) ** 2) + 19.8 * (x[1] - 1) * (x[3] - 1))


def wood_gradient(x: Any) -> list[float]:
    return [-400 * x[0] * (x[1] - x[0] ** 2) - 2 * (1 - x[0]), 200 * (x[1] - x[0] ** 2) + 20.2 * (x[1] - 1) + 19.8 * (x[3] - 1),
            -360 * x[2] * (x[3] - x[2] ** 2) - 2 * (1 - x[2]), 180 * (x[3] - x[2] ** 2) + 20.2 * (x[3] - 1) + 19.8 * (x[1] - 1)]


def wood_hessian(x: Any) -> list[list[float]]:
    return [[1200 * x[0] ** 2 - 400 * x[1] + 2, -400 * x[0], 0, 0], [-400 * x[0], 220.2, 0, 19.8],
            [0, 0, 1080 * x[2] ** 2 - 360 * x[3] + 2, -360 * x[2]], [0, 19.8, -360 * x[2], 200.2]]


PROBLEMS: list[tuple[Any, Any, Any, list[float], list[float]]] = [   # f, its gradient, its Hessian, a minimum, the usual start
    (rosenbrock, rosenbrock_gradient, rosenbrock_hessian, [1, 1], [-1.2, 1]),
    (beale, beale_gradient, None, [3, 0.5], [1, 1]),
    (booth, lambda x: [10 * x[0] + 8 * x[1] - 34, 8 * x[0] + 10 * x[1] - 38], lambda x: [[10, 8], [8, 10]], [1, 3], [0, 0]),
    (himmelblau, lambda x: [4 * x[0] * (x[0] ** 2 + x[1] - 11) + 2 * (x[0] + x[1] ** 2 - 7),
                            2 * (x[0] ** 2 + x[1] - 11) + 4 * x[1] * (x[0] + x[1] ** 2 - 7)],
     lambda x: [[12 * x[0] ** 2 + 4 * x[1] - 42, 4 * (x[0] + x[1])], [4 * (x[0] + x[1]), 4 * x[0] + 12 * x[1] ** 2 - 26]],
     [3, 2], [-1, 4]),
    (powell, powell_gradient, powell_hessian, [0, 0, 0, 0], [3, -1, 0, 1]),
    (wood, wood_gradient, wood_hessian, [1, 1, 1, 1], [-3, -1, -3, -1]),
]


@pytest.mark.parametrize(("f", "gradient", "second", "minimum", "start"), PROBLEMS, ids=lambda x: getattr(x, "__name__", ""))
def test_published_problems(f: Any, gradient: Any, second: Any, minimum: list[float], start: list[float]) -> None:
    # analytic and automatic derivatives each lose a few digits of 16 to cancellation: numbers of size 1e4 make 1
    for x in (start, minimum, [0.3 + 0.7 * i for i in range(len(start))], [-1.7 + i for i in range(len(start))]):
        value, found = value_and_grad(f)(x)
        assert value == f([float(z) for z in x])
        assert found == pytest.approx(gradient(x), rel=1e-12, abs=1e-11)
        curvature = hessian(f)(x)
        assert [row[:] for row in curvature] == [list(column) for column in zip(*curvature, strict=True)]
        if second:
            assert np.array(curvature) == pytest.approx(np.array(second(x), dtype=float), rel=1e-12, abs=1e-11)
        vs = [Value(z) for z in x]
        y = f(vs)
        assert data(grad(y, vs)) == found
        assert data(hessian(y, vs)) == curvature
        y.backward()
        assert [v.grad for v in vs] == pytest.approx(found, rel=1e-13, abs=1e-12)   # in another order of the same terms
        for k in range(len(x)):
            unit = [float(i == k) for i in range(len(x))]
            assert hvp(f, x, unit)[1] == pytest.approx(curvature[k], rel=1e-12, abs=1e-11)
            assert jvp(f, x, unit)[1] == pytest.approx(found[k], rel=1e-12, abs=1e-11)
    assert f(minimum) == 0
    assert gradient(minimum) == pytest.approx([0.0] * len(start))
    assert gradcheck(f, [float(z) for z in start])


@pytest.mark.parametrize(("f", "gradient", "second", "minimum", "start"), PROBLEMS, ids=lambda x: getattr(x, "__name__", ""))
def test_scipy_minimises(f: Any, gradient: Any, second: Any, minimum: list[float], start: list[float]) -> None:
    optimize = pytest.importorskip("scipy.optimize")
    found = optimize.minimize(value_and_grad(f), np.array(start, dtype=float), jac=True)
    assert found.fun < 1e-8
    if f is rosenbrock:
        assert found.x == pytest.approx(minimum, rel=1e-5)
        newton = optimize.minimize(f, np.array(start), method="trust-exact", jac=grad(f), hess=hessian(f))
        assert newton.success
        assert newton.x == pytest.approx(minimum, rel=1e-6)
        product = optimize.minimize(f, np.array(start), method="Newton-CG", jac=grad(f),
                                    hessp=lambda x, v: hvp(f, x, v)[1], options={"xtol": 1e-10})
        assert product.x == pytest.approx(minimum, rel=1e-6)


def test_scipy_finds_roots_with_a_jacobian() -> None:
    optimize = pytest.importorskip("scipy.optimize")

    def f(x: Any) -> Any:
        return np.array([x[0] * cos(x[1]) - 4, x[1] * x[0] - x[1] - 5])
    found = optimize.root(f, np.array([6.0, 1.0]), jac=jacobian(f))
    assert found.success
    assert f(found.x) == pytest.approx([0.0, 0.0], abs=1e-9)


# ---- structures

def test_a_derivative_has_the_structure_of_its_argument() -> None:
    assert grad(lambda x: x ** 2)(3.0) == 6.0
    assert type(grad(lambda x: x ** 2)(3)) is float
    assert grad(lambda x: x ** 2)(np.float64(3)) == 6.0
    assert grad(lambda x: x[0] * x[1][0])([2.0, [3.0]]) == [3.0, [2.0]]
    assert grad(lambda x: x[0] * x[1])((2.0, 3.0)) == (3.0, 2.0)
    assert grad(lambda p: p["w"] * p["b"][1])({"w": 2.0, "b": [0.0, 3.0]}) == {"w": 3.0, "b": [0.0, 2.0]}
    found = grad(lambda p: p.x * p.y)(Point(2.0, 3.0))
    assert found == Point(3.0, 2.0)
    assert isinstance(found, Point)
    assert grad(lambda x: 1.0 * x[0])([2.0, []]) == [1.0, []]
    nested = grad(lambda p: (p["a"] ** 2).sum() * p["b"])({"a": np.array([[1.0, 2.0]]), "b": 3})
    assert nested["a"].tolist() == [[6.0, 12.0]]
    assert nested["b"] == 5.0


@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 3), (2, 1, 2), (0,)])
def test_arrays_of_any_shape(shape: tuple[int, ...]) -> None:
    x = np.arange(1.0, 1.0 + math.prod(shape)).reshape(shape)
    value, found = value_and_grad(lambda x: sum(np.ravel(x ** 2), 0.0))(x)
    assert value == np.sum(x ** 2)
    assert isinstance(value, float)
    assert np.shape(found) == shape
    assert np.array_equal(found, 2 * x)
    if shape and x.size:
        assert found.dtype == float
        assert jacobian(np.exp)(x).shape == shape * 2
        assert hessian(lambda x: np.sum(x ** 3))(x).shape == shape * 2
        assert np.array_equal(hessian(lambda x: np.sum(x ** 3))(x).reshape(x.size, x.size), np.diag(6 * x.ravel()))
        value, tangent = jvp(lambda x: x ** 2, x, np.ones(shape))
        assert np.array_equal(value, x ** 2)
        assert np.array_equal(tangent, 2 * x)
        value, cotangent = vjp(lambda x: x ** 2, x, np.ones(shape))
        assert np.array_equal(cotangent, 2 * x)
        value, product = hvp(lambda x: np.sum(x ** 3), x, np.ones(shape))
        assert np.array_equal(product, 6 * x)
        assert product.dtype == float


def test_arguments() -> None:
    def f(a: Any, b: Any, c: Any = 1.0) -> Any:
        return a * b ** 2 * c
    assert grad(f)(2.0, 3.0) == 9.0
    assert grad(f, 1)(2.0, 3.0) == 12.0
    assert grad(f, -1)(2.0, 3.0) == 12.0
    assert grad(f, (1, 0))(2.0, 3.0) == (12.0, 9.0)
    assert grad(f, [2])(2.0, 3.0, 4.0) == (18.0,)
    assert value_and_grad(f, (0, 1))(2.0, 3.0) == (18.0, (9.0, 12.0))
    assert jacobian(f, (0, 1))(2.0, 3.0) == (9.0, 12.0)
    assert hessian(f, 1)(2.0, 3.0) == 4.0
    assert grad(lambda a, b: a * b[1])(2.0, [1, 5.0]) == 5.0   # what is not chosen is passed as it is
    assert grad(lambda a, flag: a if flag == "yes" else -a)(2.0, "yes") == 1.0
    bad: Any
    for bad in (2, -3, (0, 5), "a", 0.5):
        with pytest.raises((ValueError, TypeError)):
            grad(f, bad)(2.0, 3.0)
    with pytest.raises(ValueError, match=r"argnums=3.*given 2 arguments"):
        grad(f, 3)(2.0, 3.0)


def test_the_structure_of_a_jacobian() -> None:
    assert jacobian(lambda x: [x[0] * x[1], x[0]])([2.0, 3.0]) == [[3.0, 2.0], [1.0, 0.0]]
    assert jacobian(lambda x: {"s": x + 1, "p": (2 * x, x * x)})(3.0) == {"s": 1.0, "p": (2.0, 6.0)}
    assert jacobian(lambda x: x ** 2)(3.0) == 6.0
    assert jacobian(lambda x: [2.0, x[0]])(np.array([1.0, 2.0]))[0].tolist() == [0.0, 0.0]
    matrix = jacobian(lambda x: np.array([x[0] * x[1], x[0], 7.0]))(np.array([2.0, 3.0]))
    assert matrix.tolist() == [[3.0, 2.0], [1.0, 0.0], [0.0, 0.0]]
    assert jacobian(softmax)([0.0, 0.0]) == [[0.25, -0.25], [-0.25, 0.25]]


STRUCTURES: list[Any] = [2.0, [2.0, 3.0], (2.0, 3.0), [[1.0, 2.0, 0.5], [3.0, 4.0, -1.0]], [], [[1.0], [2.0, 3.0]],
                         {"W": [[1.0, 2.0]], "b": 3.0}, np.array([[1.0, 2.0], [3.0, 4.0]]), Point(2.0, [3.0]),
                         [np.array([1.0, 2.0]), 0.5]]


def same(found: Any, expected: Any) -> bool:
    """Whether both are of one structure and hold the same numbers."""
    return outline(found, 999) == outline(expected, 999) and leaves_of(found) == pytest.approx(leaves_of(expected), rel=1e-14)


@pytest.mark.parametrize("x", STRUCTURES, ids=outline)
def test_derivatives_of_values_have_the_structure_of_those_of_functions(x: Any) -> None:
    def cubes(x: Any) -> Any:
        found = leaves_of(x)
        return sum([k * v ** 3 + found[0] * v for k, v in enumerate(found, 2)], Value(0.0))

    def both(x: Any) -> Any:
        return {"y": cubes(x), "z": [cubes(x) ** 2]}
    vs, u = values(x), {"y": 1.5, "z": [0.25]}
    v = shaped(x, [0.5 * k for k, _ in enumerate(leaves_of(x))])
    y, ys = cubes(vs), both(vs)
    assert same(numbers(grad(y, vs)), grad(cubes)(x))
    assert same(numbers(hessian(y, vs)), hessian(cubes)(x))
    assert same(numbers(jacobian(ys, vs)), jacobian(both)(x))
    assert same(numbers(jacobian(y, vs)), jacobian(cubes)(x))
    if not isinstance(x, tuple):   # which would be several arguments
        assert same(numbers(jvp(ys, vs, v)), jvp(both, x, v)[1])
        assert same(numbers(vjp(ys, vs, u)), vjp(both, x, u)[1])
        assert same(numbers(hvp(y, vs, v)), hvp(cubes, x, v)[1])
    y.backward()
    assert same(grads(vs), numbers(grad(y, vs)))


@pytest.mark.parametrize("x", STRUCTURES, ids=outline)
def test_values_of_numbers_and_numbers_of_values(x: Any) -> None:
    made = values(x, "w")
    assert same(numbers(made), x) and same(numbers(x), x)
    assert all(type(v) is Value and v.data == number for v, number in zip(leaves_of(made), leaves_of(x), strict=True))
    labels = [v.label for v in leaves_of(made)]
    assert len(set(labels)) == len(labels) and all(label.startswith("w") for label in labels)


def test_labels_are_the_places_counted_from_1() -> None:
    assert [v.label for v in leaves_of(values([[1, 2], [3, 4]], "θ"))] == ["θ11", "θ12", "θ21", "θ22"]
    assert [v.label for v in values(np.ones(2), "x")] == ["x1", "x2"] and values(3, "b").label == "b"
    wide = values(np.zeros((2, 11)), label="w")
    assert (wide[0, 0].label, wide[0, 10].label, wide[1, 0].label) == ("w1_1", "w1_11", "w2_1")
    assert wide.shape == (2, 11) and values([0.0] * 11, "x")[10].label == "x11"
    assert [v.label for v in leaves_of(values({"a": [1.0], "b": {"c": 2.0}}, "m"))] == ["m.a1", "m.b.c"]
    assert values([1.0])[0].label is None


def test_numbers_and_gradients_are_of_what_has_them() -> None:
    x = Value(2.0)
    y = x * x
    y.backward()
    assert grads([x, y, np.array([y, x], dtype=object)])[:2] == [4.0, 1.0] and numbers(np.array([x, y])).dtype == float
    assert shape_of(grads(np.array([[x, y]]))) == (1, 2)
    x.grad = None  # type: ignore[assignment]
    assert grads(x) == 0.0
    bad: Any
    for bad in ("text", [x, None], x):
        with pytest.raises(TypeError):
            values(bad)
    with pytest.raises(TypeError, match=r"numbers\(\) got None"):
        numbers([x, None])
    with pytest.raises(TypeError, match=r"grads\(\) got 1.0: a gradient is a Value's"):
        grads([x, 1.0])


def test_forward_and_reverse_mode_are_the_jacobian_times_a_vector() -> None:
    def f(x: Any) -> Any:
        return [exp(x[0]) * x[1], sin(x[1] * x[2]), x[0] / x[2], relu(x[0]) + tanh(x[2])]
    x, v, u = [0.7, -1.2, 1.9], [1.0, -2.0, 0.5], [0.3, 1.0, -1.5, 2.0]
    matrix = np.array(jacobian(f)(x))
    value, tangent = jvp(f, x, v)
    assert value == f(x)
    assert tangent == pytest.approx(list(matrix @ v), rel=1e-14)
    value, cotangent = vjp(f, x, u)
    assert value == f(x)
    assert cotangent == pytest.approx(list(u @ matrix), rel=1e-14)
    assert np.dot(u, tangent) == pytest.approx(np.dot(cotangent, v), rel=1e-14)
    vs = [Value(z) for z in x]
    ys = f(vs)
    assert data(jvp(ys, vs, v)) == tangent
    assert data(vjp(ys, vs, u)) == cotangent
    assert data(jacobian(ys, vs)) == matrix.tolist()
    assert np.array(differences(f, [x])) == pytest.approx(matrix, rel=1e-8, abs=1e-8)


@given(st.lists(st.floats(-2, 2), min_size=6, max_size=6))
def test_a_hessian_times_a_vector(numbers: list[float]) -> None:
    def f(x: Any) -> Any:
        return exp(x[0] * x[1]) + sin(x[1] + x[2]) * x[0] ** 3 + tanh(x[2])
    x, v = numbers[:3], numbers[3:]
    matrix = np.array(hessian(f)(x))
    value, product = hvp(f, x, v)
    assert value == f(x)
    assert product == pytest.approx(list(matrix @ v), rel=1e-12, abs=1e-10)   # of terms up to 1e3
    assert matrix == pytest.approx(matrix.T, rel=1e-12, abs=1e-12)


def test_several_arguments_in_one_tuple() -> None:
    assert jvp(lambda a, b: [a * b, a], (2.0, 3.0), (1.0, 0.0)) == ([6.0, 2.0], [3.0, 1.0])
    assert vjp(lambda a, b: a * b, (2.0, 3.0)) == (6.0, (3.0, 2.0))
    assert hvp(lambda a, b: a ** 2 * b, (3.0, 5.0), (1.0, 0.0)) == (45.0, (10.0, 6.0))


# ---- derivatives of derivatives

def test_nested_gradients_of_functions() -> None:
    f: Any = sin
    expected = [math.sin, math.cos, lambda x: -math.sin(x), lambda x: -math.cos(x), math.sin, math.cos]
    for known in expected:
        assert f(0.7) == pytest.approx(known(0.7), rel=1e-15)
        f = grad(f)
    assert grad(grad(lambda x: x ** 3))(2.0) == 12.0
    assert grad(grad(grad(lambda x: x ** 3)))(2.0) == 6.0
    assert grad(grad(grad(grad(lambda x: x ** 3))))(2.0) == 0.0
    assert jacobian(grad(rosenbrock))([-1.2, 1.0]) == hessian(rosenbrock)([-1.2, 1.0])
    assert hessian(lambda x: grad(lambda y: x * y ** 2)(3.0) ** 2)(2.0) == 72.0


def test_perturbations_are_not_confused() -> None:
    # Siskind and Pearlmutter, "Perturbation confusion and referential transparency" (2005)
    assert grad(lambda x: x * grad(lambda y: x + y)(1.0))(1.0) == 1.0
    assert grad(lambda x: x * grad(lambda y: x * y)(2.0))(1.0) == 2.0
    assert grad(lambda x: x * grad(lambda y: x * y ** 2)(3.0))(2.0) == 24.0
    assert grad(lambda x: grad(lambda y: x * y)(x))(5.0) == 1.0
    assert grad(grad(lambda y: y ** 3))(2.0) == 12.0
    assert grad(lambda x: grad(lambda x: x ** 2)(x) * x)(3.0) == 12.0
    assert grad(lambda x: jvp(lambda y: x * y, 1.0, 1.0)[1] * x)(3.0) == 6.0
    assert jvp(lambda x: x * jvp(lambda y: x + y, 1.0, 1.0)[1], 1.0, 1.0) == (1.0, 1.0)
    assert jvp(lambda x: grad(lambda y: x * y * y)(x), 3.0, 1.0)[1] == 12.0
    assert grad(lambda x: jvp(lambda y: x * y, x, 1.0)[1])(3.0) == 1.0
    assert grad(lambda x: vjp(lambda y: x * y, x)[1])(3.0) == 1.0
    assert hessian(lambda x: hvp(lambda y: x[0] * y ** 2, x[1], 1.0)[1])([3.0, 5.0]) == [[0.0, 0.0], [0.0, 0.0]]
    shared = Value(3.0, label="shared")
    assert grad(lambda y: shared * y)(shared).data == 3.0
    assert data(jacobian(lambda y: [shared * y[0], y[1]])([shared, shared])) == [[3.0, 0.0], [0.0, 1.0]]
    assert grad(lambda x: value_and_grad(lambda y: x * y)(2.0)[1])(5.0) == 1.0
    outer = Value(3.0)
    inner = grad(lambda y: outer * y)(Value(2.0))
    assert grad(inner * outer, outer).data == 6.0


def test_gradients_of_values_are_values_of_a_graph() -> None:
    x, y = Value(2.0), Value(3.0)
    z = x ** 3 * y
    dx, dy = grad(z, [x, y])
    assert data([dx, dy]) == [36.0, 8.0]
    assert data(grad(dx, [x, y])) == [36.0, 12.0]
    assert grad(grad(dx, x), y).data == 12.0
    penalty = (dx ** 2 + dy ** 2) * 0.5
    penalty.backward()
    assert x.grad == 36 * 36 + 8 * 12
    assert y.grad == 36 * 12
    middle = x * y
    w = exp(middle) + middle * 2
    assert grad(w, middle).data == pytest.approx(math.exp(6) + 2)   # of what is no leaf, too
    assert grad(w, w).data == 1.0
    assert grad(x, x).data == 1.0
    assert data(grad(w, [x, x])) == [grad(w, x).data] * 2
    assert grad(w, Value(1.0)).data == 0.0
    assert data(grad(w, (x, y))) == data(grad(w, [x, y]))
    assert grad(w, []) == []


def test_derivatives_leave_no_trace() -> None:
    x, y = Value(2.0), Value(3.0)
    z = sqrt(x * y + exp(x)) * y
    z.backward()
    order = topological(z)
    before = [(v, v.data, v.grad, v.label, v.op, v.args) for v in order]
    grad(z, [x, y])
    hessian(z, [x, y])
    jacobian([z, x * y], [x, y])
    jvp(z, [x], [1.0])
    vjp([z], [x, y], [2.0])
    hvp(z, [x, y], [1.0, 1.0])
    value_and_grad(lambda a: a * x)(2.0)
    assert [(v, v.data, v.grad, v.label, v.op, v.args) for v in topological(z)] == before
    numbers = np.array([1.0, 2.0])
    structure = [1.0, {"a": 2.0}]
    grad(lambda a: a[0] * a[1])(numbers)
    grad(lambda a: a[0] * a[1]["a"])(structure)
    assert numbers.tolist() == [1.0, 2.0]
    assert structure == [1.0, {"a": 2.0}]


def test_values_as_arguments_of_a_function_are_answered_in_values() -> None:
    x = Value(2.0)
    d = grad(lambda a: a ** 3)(x)
    assert isinstance(d, Value)
    assert grad(d, x).data == 12.0
    value, slope = value_and_grad(lambda a: a[0] * a[1])([x, 3.0])
    assert isinstance(value, Value)
    assert data(slope) == [3.0, 2.0]


def test_constants_and_what_does_not_depend() -> None:
    assert grad(lambda x: 3.0)(2.0) == 0.0
    assert grad(lambda x: Value(3.0))(2.0) == 0.0
    assert hessian(lambda x: 3 * x[0])([2.0, 1.0]) == [[0.0, 0.0], [0.0, 0.0]]
    assert jvp(lambda x: 7, 2.0, 1.0) == (7.0, 0.0)
    assert grad(lambda x: x.detach() * x)(3.0) == 3.0
    x = Value(3.0)
    assert jvp([x * 2, Value(1.0)], [x], [0.0])[0].data == 0.0
    assert jvp(x * x, [x, x], [1.0, 1.0]).data == 12.0   # both directions count
    with no_grad():
        y = x * x
    assert grad(y, x).data == 0.0


# ---- errors

def test_errors_say_what_to_do() -> None:
    x = Value(2.0)
    with pytest.raises(TypeError, match="gave 2 numbers: a gradient is of one; use jacobian"):
        grad(lambda x: [x, x])(2.0)
    with pytest.raises(TypeError, match=r"got 3\.0: a derivative is of a Value or of a function"):
        grad(3.0)(2.0)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match=r"grad\(\) got 2.0: it needs the Values"):
        grad(x * x, [2.0])
    with pytest.raises(TypeError, match="the result of a function to differentiate got"):
        grad(lambda x: "text")(2.0)
    with pytest.raises(TypeError, match="the result of a function to differentiate got"):
        grad(lambda x: None)(2.0)
    with pytest.raises(TypeError, match="convert it with float"):
        grad(lambda x: x)("2")
    with pytest.raises(ValueError, match=r"jvp\(\): xs is .* and v is .*: they need the same structure"):
        jvp(lambda x: x[0] * x[1], [1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match=r"vjp\(\): y is · and u is \[·, ·\]"):
        vjp(lambda x: x[0] * x[1], [1.0, 2.0], [1.0, 1.0])
    with pytest.raises(ValueError, match=r"hvp\(\): xs is \[·, ·\]"):
        hvp(lambda x: x[0] * x[1], [1.0, 2.0], 1.0)
    with pytest.raises(TypeError, match="one real number"):
        jvp(x * x, [x], [None])
    with pytest.raises(ZeroDivisionError):   # an error of the function's own comes through
        grad(lambda x: x / 0)(2.0)
    with pytest.raises(FloatingPointError, match="mul"):
        grad(lambda x: sqrt(x * x))(0.0)
    with pytest.raises(FloatingPointError, match="mul"):   # forward, the same
        jvp(lambda x: sqrt(x * x), 0.0, 1.0)


def test_a_failing_function_leaves_nothing_behind() -> None:
    with pytest.raises(KeyError):
        grad(lambda x: {"yes": x}["no"])(2.0)
    assert type(grad(lambda x: x * x)(3.0)) is float   # numbers again, not Values


def test_names() -> None:
    def f(x: Any) -> Any:
        return x
    assert grad(f).__name__ == "grad(f)"
    assert hessian(f).__name__ == "hessian(f)"
    assert grad(grad(f)).__name__ == "grad(grad(f))"


# ---- gradcheck

@pytest.mark.parametrize(("f", "inputs"), [
    (lambda x: x ** 3, 2.0), (lambda x: [exp(x[0]) * x[1], log(x[1])], [0.5, 2.0]), (rosenbrock, np.array([-1.2, 1.0])),
    (lambda a, b: a @ b, (np.array([1.0, 2.0]), np.array([3.0, -1.0]))), (lambda x: 3.0, 1.0),
    (lambda p: p["a"] / p["b"], {"a": 1.0, "b": 2.0}),
    (lambda x: x * 1e6, 1e5), (lambda x: exp(-x), 1e-8),
])
def test_gradcheck_agrees(f: Callable[..., Any], inputs: Any) -> None:
    assert gradcheck(f, inputs)
    assert gradcheck(f, inputs, order=1)
    assert gradcheck(f, inputs, order=3)


def test_gradcheck_names_the_input_and_the_node() -> None:
    wrong = Primitive("test_wrong_slope", value=lambda a, b: a * b * b, partials=lambda y, a, b: (b * b, a * b))
    try:
        told = (r"the derivative of output 1 by input 1 \(at 3.0\) is .*, but differences give .*; "
                r"the partial of test_wrong_slope\(2, 3\) by its argument 1 is 6.0, by differences")
        with pytest.raises(AssertionError, match=told):
            gradcheck(lambda x: [x[0] * x[1], wrong(x[0], x[1]) * 2], [2.0, 3.0])
        assert gradcheck(lambda x: wrong(x, 3.0), 2.0)   # that argument is right
        assert not gradcheck(lambda x: wrong(2.0, x), 3.0, raise_exception=False)
    finally:
        del PRIMITIVES["test_wrong_slope"]


def test_gradcheck_finds_a_wrong_second_derivative() -> None:
    value_only = Primitive("test_first_order", value=math.sin,
                           partials=lambda y, x: (math.cos(x.data if isinstance(x, Value) else x),))
    try:
        assert gradcheck(value_only, 0.5, order=1)
        with pytest.raises(AssertionError, match="the second derivative of output 0 by input 0"):
            gradcheck(value_only, 0.5)
    finally:
        del PRIMITIVES["test_first_order"]


def test_gradcheck_finds_a_detached_branch_a_kink_and_chance() -> None:
    assert not gradcheck(lambda x: x * x.detach(), 3.0, raise_exception=False)
    assert not gradcheck(relu, 0.0, raise_exception=False)
    assert not gradcheck(lambda x: x * math.floor(x.data), 2.0, raise_exception=False)
    numbers = iter(range(100))
    with pytest.raises(AssertionError, match="not a function"):
        gradcheck(lambda x: x * next(numbers), 2.0)


def test_an_answer_is_a_node_of_its_own() -> None:
    """d(x·y)/dx is y, but labelling it or assigning y must not touch the one through the other."""
    x, y = Value(2.0, label="x"), Value(3.0, label="y")
    gx, gy = grad(x * y, [x, y])
    gx.label = "dL/dx"
    assert (x.label, y.label) == ("x", "y")
    x.data -= 0.1 * gx.data
    y.data -= 0.1 * gy.data
    assert (x.data, y.data) == (2.0 - 0.1 * 3.0, 3.0 - 0.1 * 2.0)


def test_keyword_arguments() -> None:
    assert grad(lambda x, y: x * y)(2.0, y=3.0) == 3.0
    assert grad(lambda x, y: x * y, argnums=1)(2.0, 3.0) == 2.0
    assert hessian(lambda x, n: x ** n)(2.0, n=3) == 12.0


def test_log_softmax_and_softmax_of_infinite_logits() -> None:
    assert log_softmax([-math.inf, 0.0]) == [-math.inf, 0.0]
    assert all(math.isnan(p) for p in softmax([-math.inf, -math.inf]))
    z = [Value(1e8), Value(-1e8)]
    assert [d.data for d in grad(log_softmax(z)[1], z)] == [-1.0, 1.0]


def test_gradients_through_a_power_that_has_no_slope_there() -> None:
    with errstate(invalid="ignore"):
        assert math.isnan((Value(-2.0) ** 0.5).data)
        with pytest.raises(FloatingPointError):
            (Value(-2.0) ** 0.5).backward()


# ---- structures: a direction belongs to an argument by its key and its place, not by the order in memory

def test_directions_are_matched_by_key() -> None:
    def f(p: Any) -> Any:
        return p["a"] / p["b"]
    at, v = {"a": 2.0, "b": 4.0}, {"b": 1.0, "a": 0.0}
    assert jvp(f, at, v) == (0.5, -0.125)
    assert hvp(f, at, v) == (0.5, {"a": -0.0625, "b": 0.0625})
    given = vjp(lambda p: {"u": p["a"], "w": 3 * p["b"]}, at, {"w": 1.0, "u": 0.0})
    assert given == ({"u": 2.0, "w": 12.0}, {"a": 0.0, "b": 3.0})
    assert jvp(lambda q: f(q["inner"][0]), {"inner": [at]}, {"inner": (v,)})[1] == -0.125
    a, b = Value(2.0), Value(4.0)
    assert jvp(a / b, {"a": a, "b": b}, v).data == -0.125
    assert [d.data for d in vjp({"u": a, "w": 3 * b}, [a, b], {"w": 1.0, "u": 0.0})] == [0.0, 3.0]


@pytest.mark.parametrize(("xs", "v"), [
    ([[2.0], 3.0], [1.0, [2.0]]), ({"a": 2.0}, {"b": 2.0}), ({"a": 2.0}, [2.0]), ([2.0, 3.0], {"a": 1.0, "b": 2.0}),
    ([[1.0, 2.0], [3.0, 4.0]], [1.0, 2.0, 3.0, 4.0]), (np.ones((2, 3)), np.ones((3, 2))), (np.ones((2, 3)), np.ones(6)),
    (2.0, [1.0]), ([2.0], 1.0), ({"a": [1.0], "b": 2.0}, {"a": 1.0, "b": [2.0]})], ids=str)
def test_another_structure_of_as_many_numbers_is_refused(xs: Any, v: Any) -> None:
    def f(x: Any) -> Any:
        return sum([leaf * leaf for leaf in leaves_of(x)], 0.0)
    ways: list[Callable[[], Any]] = [lambda: jvp(f, xs, v), lambda: hvp(f, xs, v), lambda: vjp(lambda x: x, xs, v)]
    for refused in ways:
        with pytest.raises(ValueError) as raised:
            refused()
        assert outline(xs) in str(raised.value)
        assert outline(v) in str(raised.value)


def test_arrays_lists_and_tuples_are_places_alike() -> None:
    def f(x: Any) -> Any:
        return x[0] * x[1]
    for v in ([1.0, 2.0], (1.0, 2.0), np.array([1.0, 2.0]), np.array([1.0, 2.0], dtype=object), [np.int8(1), np.array(2.0)]):
        assert jvp(f, [3.0, 4.0], v) == (12.0, 10.0)
        assert jvp(f, np.array([3.0, 4.0]), v) == (12.0, 10.0)
    assert jvp(lambda x: x * x, np.array(3.0), np.array(1.0)) == (9.0, 6.0)


def test_masked_numbers_are_not_differentiated() -> None:
    masked = np.ma.array([1.0, 2.0], mask=[False, True])
    ways: list[Callable[[], Any]] = [lambda: grad(sum)(masked), lambda: jvp(sum, [1.0, 2.0], masked),
                                     lambda: jvp(sum, masked, [1.0, 2.0])]
    for refused in ways:
        with pytest.raises(TypeError, match="masked entries"):
            refused()
    assert grad(lambda x: x[0] * x[1])(np.ma.array([1.0, 2.0])).tolist() == [2.0, 1.0]
