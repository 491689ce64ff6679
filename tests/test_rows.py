"""One row is one operation: three that the table lacks, each defined in one row, are found everywhere."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import viz
from autograd import (
    PRIMITIVES,
    Primitive,
    Value,
    compile,
    compile_function,
    exp2,
    functions,
    grad,
    gradcheck,
    hessian,
    hvp,
    jacobian,
    jvp,
    primitive,
    tanh,
    topological,
)
from autograd.expression import ExpressionError, parse
from autograd.form import EXPANSIONS, expanded, read
from nn import MLP, fit
from viz.pages.javascript import javascript

NAMES = ("deg2rad", "logaddexp2", "rms")
AT = {"deg2rad": [30.0], "logaddexp2": [0.75, -1.5], "rms": [1.0, -2.0, 0.5]}


def _logaddexp2(a: float, b: float) -> float:
    return max(a, b) + math.log2(1 + 2 ** -abs(a - b))


def _rms(xp: Any, *xs: Any) -> Any:
    total = xs[0] * xs[0]
    for x in xs[1:]:
        total = total + x * x
    return xp.sqrt(total / len(xs))


@pytest.fixture
def rows() -> Iterator[dict[str, Primitive]]:
    """One argument, two, and any number; the first two are functions of numpy."""
    np.exp(Value(1.0))   # numpy was used before   # type: ignore[call-overload]
    made = [
        Primitive("deg2rad", value=math.radians, partials=lambda y, x: (math.pi / 180,), text="rad {0:9}", symbol="rad",
                  array=lambda xp, x: x * (math.pi / 180)),
        Primitive("logaddexp2", value=_logaddexp2, partials=lambda y, a, b: (exp2(a - y), exp2(b - y)),
                  array=lambda xp, a, b: xp.maximum(a, b) + xp.log1p(xp.exp2(-xp.abs(a - b))) / math.log(2)),
        Primitive("rms", value=lambda *xs: math.sqrt(math.fsum([x * x for x in xs]) / len(xs)), array=_rms,
                  partials=lambda y, *xs: [x / y / len(xs) for x in xs], text="rms({0})"),
    ]
    yield {row.name: row for row in made}
    for row in made:
        del PRIMITIVES[row.name]


every_name = pytest.mark.parametrize("name", NAMES)


def values(name: str) -> list[Value]:
    return [Value(x, label=f"x{i + 1}") for i, x in enumerate(AT[name])]


@every_name
def test_values_numbers_and_arrays(name: str, rows: dict[str, Primitive]) -> None:
    row, at, vs = rows[name], AT[name], values(name)
    y = row(*at)
    assert row(*vs).data == y
    assert (2 * row(*vs) - row(*at)).data == y
    assert row(*[np.array([x, x]) for x in at]) == pytest.approx([y, y], rel=1e-15)
    assert [v.data for v in row(*[np.array([v, v]) for v in vs])] == [y, y]


@every_name
def test_derivatives_of_every_order_and_mode(name: str, rows: dict[str, Primitive]) -> None:
    row, vs = rows[name], values(name)
    assert gradcheck(lambda *xs: row(*xs) * tanh(xs[0] / 40), tuple(AT[name]), order=3)
    y = tanh(row(*vs))
    y.backward()
    slopes = [v.grad for v in vs]
    assert [d.data for d in grad(y, vs)] == pytest.approx(slopes, rel=1e-15)
    assert [jvp(y, vs, [float(w is v) for w in vs]).data for v in vs] == pytest.approx(slopes, rel=1e-15)
    curved = np.array([[h.data for h in line] for line in hessian(y, vs)])
    assert np.array([h.data for h in hvp(y, vs, [1.0] * len(vs))]) == pytest.approx(curved.sum(axis=1), rel=1e-12, abs=1e-15)
    assert jacobian(lambda *xs: [row(*xs)], range(len(vs)))(*AT[name])


@every_name
def test_compiled_on_every_backend(name: str, rows: dict[str, Primitive], backend: str) -> None:
    row, at = rows[name], AT[name]
    n = len(at)
    X = np.random.default_rng(0).normal(size=(37, n)) + at
    f = compile_function(lambda x: tanh(row(*x)), batch=0, backend=backend)
    found, slopes = f.value_and_grad(X)
    curvature = compile_function(lambda x: hessian(tanh(row(*x)), x), batch=0, backend=backend)(X)
    for k, xs in enumerate(X.tolist()):
        vs = [Value(x) for x in xs]
        y = tanh(row(*vs))
        assert found[k] == pytest.approx(y.data, rel=1e-13)
        assert slopes[k] == pytest.approx([d.data for d in grad(y, vs)], rel=1e-11, abs=1e-14)
        truth = [[h.data for h in line] for line in hessian(y, vs)]
        assert curvature[k] == pytest.approx(np.array(truth), rel=1e-9, abs=1e-12)


@every_name
def test_tables_pictures_and_pages(name: str, rows: dict[str, Primitive]) -> None:
    row, vs = rows[name], values(name)
    y = row(*vs) * vs[0]
    y.backward()
    text = viz.table(y).text()
    assert {"deg2rad": "rad x1", "logaddexp2": "logaddexp2(x1, x2)", "rms": "rms(x1, x2, x3)"}[name] in text
    assert "operatorname" in viz.table(y).latex()
    assert f">{row.symbol}<" in viz.draw(y, engine="builtin").svg
    assert row.symbol in viz.explore(y).html
    assert javascript(row, len(vs)).startswith("(x0")


def test_numpys_functions_of_values(rows: dict[str, Primitive]) -> None:
    np_: Any = np
    v, w = Value(30.0), Value(2.0)
    assert np_.deg2rad(v).op is rows["deg2rad"]
    assert np_.logaddexp2(v, w).op is rows["logaddexp2"]
    assert np_.logaddexp2(1.0, w).data == rows["logaddexp2"](1.0, 2.0)
    assert [u.op for u in np_.deg2rad(np.array([v, w]))] == [rows["deg2rad"]] * 2   # by a method of that name


@every_name
def test_expressions(name: str, rows: dict[str, Primitive]) -> None:
    vs = values(name)
    y = parse(f"1 + {name}({', '.join([str(v.label) for v in vs])})").evaluate({str(v.label): v for v in vs})
    assert y.data == 1 + rows[name](*AT[name])
    with pytest.raises(ExpressionError, match="does not take 4 arguments" if name != "rms" else "missing"):
        parse(f"{name}(1, 2, 3, 4{',' * (name == 'rms')})")


def test_training(rows: dict[str, Primitive], backend: str) -> None:
    def loss(z: Any, t: Any) -> Any:
        return rows["logaddexp2"](z, -t) + rows["rms"](z, t, z - t)
    X, y = [[0.0, 1.0], [1.0, 0.5], [2.0, -1.0]], [0.0, 1.0, 0.0]
    compiled, eager = MLP(2, [3, 1], rng=0), MLP(2, [3, 1], rng=0)
    one = fit(compiled, X, y, loss=loss, epochs=5, compiled=backend)
    two = fit(eager, X, y, loss=loss, epochs=5, compiled=False)
    assert one["loss"] == pytest.approx(two["loss"], rel=1e-12)


# ---- what a row without an array form, or with one that cannot be read, can do

def test_without_an_array_form_everywhere_but_in_machine_code_and_pages(backend: str) -> None:
    row = Primitive("test_plain", value=lambda x: x * x * x, partials=lambda y, x: (3 * x * x,))
    try:
        x = Value(2.0, label="x")
        if backend == "llvm":
            with pytest.raises(NotImplementedError, match="test_plain: test_plain has no array form; write its array form"):
                compile(row(x), [x], backend=backend)(1.0)
            f = compile(row(x), [x], batch=0)   # "auto" takes another
        else:
            f = compile(row(x), [x], batch=0, backend=backend)
        assert f(np.array([1.0, 2.0])).tolist() == [1.0, 8.0]
        assert f.grad(np.array([1.0, 2.0])).tolist() == [3.0, 12.0]
    finally:
        del PRIMITIVES["test_plain"]


@pytest.mark.parametrize(("array", "why"), [
    (lambda xp, x: x if x > 0 else -x, "branches on a number: use xp.where"),
    (lambda xp, x: xp.add.reduce([x, x]), "is no formula"), (lambda xp, x: math.exp(x), "is no formula"),
    (lambda xp, x: xp.exp(x, out=None), "gives exp the option out"), (lambda xp, x: [x], "gives list, which is no formula"),
    (lambda xp, x: xp.maximum(x, "0"), "gives maximum str '0', which is no number"),
])
def test_an_array_form_that_is_no_formula_says_why(array: Any, why: str, require_tool: Callable[[str], None]) -> None:
    require_tool("llvmlite")
    row = Primitive("test_odd", value=abs, partials=lambda y, x: (1.0,), array=array)
    try:
        x = Value(2.0)
        with pytest.raises(NotImplementedError, match=f"test_odd.*{why}"):
            compile(row(x), [x], backend="llvm")(1.0)
    finally:
        del PRIMITIVES["test_odd"]


def test_numpys_own_functions_in_an_array_form_are_read_too() -> None:
    assert repr(read(lambda xp, x: np.exp(-x) + np.float64(2), 1)) == "add(exp(negative(x0)), 2.0)"
    assert repr(read(lambda xp, x: xp.abs(x) ** 2 % 3 // 1, 1)) == "floor_divide(remainder(power(absolute(x0), 2.0), 3.0), 1.0)"


def test_what_is_expanded_is_what_numpy_computes() -> None:
    """Every function that is written in simpler ones, on numbers of all kinds."""
    special = np.array([0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 7.0, -7.0, 1e-300, 1e300, 5e-324, np.inf, -np.inf, np.nan])
    leaves = {"add", "subtract", "multiply", "divide", "negative", "absolute", "where", "equal", "not_equal", "less", "greater",
              "less_equal", "greater_equal", "logical_and", "logical_or", "fmod", "copysign", "floor", "log1p", "exp"}
    for name, form in EXPANSIONS.items():
        n = form.__code__.co_argcount - 1
        columns = [column.ravel() for column in np.meshgrid(*[special] * n)]
        formula = expanded(read(lambda xp, *xs, name=name: getattr(xp, name)(*xs), n), leaves)
        with np.errstate(all="ignore"):
            known = getattr(np, name)(*columns)
            found = _evaluated(formula, columns)
        if name != "clip":   # numpy's clip with low above high is another matter
            assert np.array_equal(known.astype(float), np.broadcast_to(found, known.shape).astype(float), equal_nan=True) or (
                name == "logaddexp" and np.allclose(known, found, rtol=1e-15, equal_nan=True)), name


def _evaluated(formula: Any, columns: list[Any]) -> Any:
    if isinstance(formula, float):
        return formula
    if hasattr(formula, "place"):
        return columns[formula.place]
    return getattr(np, formula.name)(*[_evaluated(x, columns) for x in formula.args])


# ---- a cell of a notebook that is run twice

def test_a_users_row_is_replaced_and_graphs_keep_theirs() -> None:
    try:
        first = Primitive("test_again", value=lambda x: 2 * x, partials=lambda y, x: (2.0,), array=lambda xp, x: 2 * x)
        x = Value(3.0, label="x")
        old = first(x) + 1
        second = Primitive("test_again", value=lambda x: 5 * x, partials=lambda y, x: (5.0,), array=lambda xp, x: 5 * x)
        new = second(x) + old
        assert primitive("test_again") is second
        assert parse("test_again(x)").evaluate({"x": x}).op is second
        new.backward()
        assert (old.data, new.data, x.grad) == (7.0, 22.0, 7.0)
        for backend in ("python", "numpy", "llvm"):   # both rows in one program
            f = compile(new, [x], backend=backend)
            assert f.value_and_grad(1.0) == (8.0, 7.0)
        assert [v.op for v in topological(copy.deepcopy(old))] == [v.op for v in topological(old)]
        assert pickle.loads(pickle.dumps(second(x))).op is second
        with pytest.raises(pickle.PicklingError, match="test_again was replaced by another of its name: build the graph again"):
            pickle.dumps(old)
    finally:
        del PRIMITIVES["test_again"]


def test_a_row_of_the_project_cannot_be_replaced() -> None:
    for name in list(PRIMITIVES):
        if PRIMITIVES[name].builtin:
            with pytest.raises(ValueError, match=f"'{name}'.*the table has one of this name; choose another"):
                Primitive(name, value=math.exp, partials=lambda y, x: (y,))
    assert functions.exp is PRIMITIVES["exp"]


def test_equal_arguments_of_a_maximum_share_equally() -> None:
    for f, other in ((functions.maximum, 1.0), (functions.minimum, 5.0)):
        xs = [Value(3.0) for _ in range(4)]
        y = f(*xs, other)
        y.backward()
        assert [x.grad for x in xs] == [0.25] * 4
        assert [d.data for d in grad(y, xs)] == [0.25] * 4
        x = Value(math.inf)
        f(x, x, x).backward()
        assert x.grad == 1.0
    assert [v.grad for v in _swept(functions.maximum(*[Value(x) for x in (1.0, 7.0, 2.0)]))] == [0.0, 1.0, 0.0]


def _swept(y: Value) -> list[Value]:
    y.backward()
    return list(y.args)


# ---- what is wrong with a row is told when it is made

@pytest.mark.parametrize(("partials", "told"), [
    (lambda y, a, b: (b,), "2 arguments gave 1 slope"), (lambda y, x: 2 * x, "1 argument gave -"),
    (lambda y, x: (1.0, x), "1 argument gave 2 slopes"), (lambda y, *xs: (1.0,), "2 arguments gave 1 slope"),
], ids=["too few", "a number", "too many", "of any number"])
def test_a_row_has_a_partial_for_every_argument(partials: Any, told: str) -> None:
    with pytest.raises(ValueError, match=f"test_short.*{told}.*one ∂y/∂x for each"):
        Primitive("test_short", value=lambda *xs: xs[0], partials=partials)
    assert "test_short" not in PRIMITIVES


def test_a_row_may_mention_one_that_is_made_later() -> None:
    """Then its partials are counted by every sweep."""
    rows: dict[str, Primitive] = {}
    try:
        rows["sine"] = Primitive("test_sine", value=lambda x, c: math.sin(x), partials=lambda y, x, c: (rows["cosine"](x),))
        rows["cosine"] = Primitive("test_cosine", value=math.cos, partials=lambda y, x: (-rows["sine"](x, 0.0),))
        x, c = Value(0.5), Value(1.0)
        y = rows["sine"](x, c)
        for sweep in (y.backward, lambda: grad(y, c), lambda: jvp(y, [c], [1.0]), lambda: compile(y, [x, c]).grad(0.5, 1.0)):
            with pytest.raises(ValueError, match="argument"):
                sweep()
    finally:
        PRIMITIVES.pop("test_sine", None)
        PRIMITIVES.pop("test_cosine", None)


@pytest.mark.parametrize("p", [p for p in PRIMITIVES.values() if p.builtin], ids=str)
def test_rows_of_the_table_have_a_partial_for_every_argument(p: Primitive) -> None:
    n = p.arity or 3
    xs = [p.domain[0] + (p.domain[1] - p.domain[0]) * (k + 1) / (n + 2) for k in range(n)]
    assert len(p.partials(p.value(*xs), *xs)) == n
