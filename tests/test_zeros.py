"""One algebra of zeros and infinities: every way to a derivative gives the same number, or the same error.

The functions are the rows of the table and compositions that meet poles, kinks, overflow and the ends of domains; the points
are those where they do, and ordinary ones.
"""

from __future__ import annotations

import copy
import math
import pickle
import re
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import pytest
from helpers import EFFORT, GAMMA, ROWS

import autograd
from autograd import (
    PRIMITIVES,
    Value,
    compile_function,
    exp,
    grad,
    hessian,
    hvp,
    hypot,
    jvp,
    log,
    maximum,
    relu,
    sqrt,
    step,
    tanh,
    vjp,
    where,
)
from autograd.compiler import compile
from autograd.steps import steps
from autograd.testing.compare import clusters, compared
from autograd.testing.ways import backends, ways
from autograd.zeros import pullback, pushforward

NAMES = {name: getattr(autograd, name) for name in autograd.__all__} | dict(PRIMITIVES)
COMPOSITIONS = """
    log(x)|log(x * x)|log(abs(x))|log(relu(x))|log(1 - x)|log(x) * 0|x * log(x)|xlogy(x, x)|log(exp(x))|log(sigmoid(x))
    log1p(x)|log1p(-exp(x))|log1p(expm1(x))|exp(log(x))|exp(-1 / x ** 2)|exp(-x * x)|exp(exp(x))|exp(x) / (1 + exp(x))
    1 / (1 + exp(-x))|1 / (1 + exp(-x)) ** 2|1 / (1 / x)|1 / x - 1 / x|x / x|x * x / x|tanh(1 / x)|sigmoid(1 / x)|step(1 / x)
    sqrt(x)|sqrt(x * x)|sqrt(x) ** 2|sqrt(abs(x))|sqrt(relu(x))|sqrt(step(x))|sqrt(sqrt(x))|relu(sqrt(x) - 1)|cbrt(x)
    maximum(sqrt(x), 1)|minimum(sqrt(x), -1)|clip(sqrt(x), 1, 2)|sqrt(clip(x, 0, 2))|cbrt(x) ** 3|abs(cbrt(x))|sqrt(1 - x * x)
    x ** 0|x ** 0.5|x ** 1.5|x ** -1|x ** 2.5 * 0|0 ** x|2 ** x|(x * x) ** 0.5|exp(x) ** -1|(-1) ** x
    where(step(x), 1 + x, exp(x))|where(step(x), sqrt(x), 0)|where(step(x), log(x), 0)|where(x, sin(x) / x, 1)
    where(x, x * log(x), 0)|where(step(x), where(step(1 - x), sqrt(1 - x), 0), log(-x))|where(step(-x), 1 / x, x)
    where(step(x), log(x), log(x))|where(step(x - 1), x, sqrt(x)) * x|step(x) * sqrt(x)|relu(x) * log(x)|sign(x) * cbrt(x)
    tanh(50000 * x)|tanh(x)|0.5 * x * (1 + tanh(0.8 * (x + 0.04 * x ** 3)))|x * sigmoid(x)|softplus(x)|log_sigmoid(x)
    asin(x)|acos(x)|atan(1 / x)|acosh(x)|atanh(x)|asinh(x) - x|tan(x)|sin(1 / x)|cosh(x) - sinh(x)|sech2(x) * cosh(x)
    heaviside(log(x))|floor(log(x))|round(sqrt(x))|x % 1|ceil(1 / x)|erfc(x) / erfc(x)|lgamma(x)|digamma(x) * x
    exp(-hypot(x, y) ** 2)|exp(-sqrt(x * x + y * y) ** 2)|hypot(x, y)|where(step(x * x + y * y), sqrt(x * x + y * y), 0)
    where(step(abs(x) + abs(y)), hypot(x, y), 0)|atan2(x, y)|x / y|where(y, x / y, 0)|x * sqrt(y)|x ** y|x % y|xlogy(x, y)
    logsumexp(x, y)|softmax(x, y)[0]|log_softmax(x, y)[1]|-(y * log(sigmoid(x)) + (1 - y) * log(1 - sigmoid(x)))
    relu(x) * exp(y)|maximum(x, y)|-(log(x) + log(y))|sqrt(x) * sqrt(y)|(x - y) / (x - y)|log(x / y)|step(x) * log(y)
""".replace("\n", "|")
FUNCTIONS = [*filter(None, map(str.strip, COMPOSITIONS.split("|"))),
             *[f"{row.name}({', '.join('xyz'[:row.arity or 2])})" for row in ROWS if row.name.isascii()],
             *[f"{name}(x)" for name in sorted(GAMMA)]]
ONE = [(x,) for x in (0.0, -1.0, 0.5, 1000.0, -1000.0, 1e-300, -0.0, 1.0, 60.0, 711.0, 1e300, math.inf, math.nan, -math.inf)]
TWO = [(0.0, 0.0), (-1.0, 0.5), (0.5, 1000.0), (1.0, 0.0), (0.0, 1.0), (1000.0, -1000.0), (2.0, -1.0), (0.3, 0.7), (1.0, 1.0)]
THREE = [(0.5, 0.0, 1.0), (0.0, 0.5, 2.0), (1.0, 1.0, 1.0), (-1.0, math.nan, 0.0)]


def written(text: str) -> tuple[Callable[..., Any], list[tuple[float, ...]]]:
    """A function of the text, and the points that there are for so many arguments."""
    n = len(set(re.findall(r"\b[xyz]\b", text)))
    points: list[Any] = [ONE, TWO, THREE]
    return eval(f"lambda {', '.join('xyz'[:n])}: {text}", dict(NAMES)), points[n - 1]


def disagreements(f: Callable[..., Any], at: tuple[float, ...], order: int, among: tuple[str, ...]) -> Iterator[str]:
    for found in clusters(order, *compared(f, at, order, ways(order, among))):
        yield f"at {at}, order {order}: {found}"


@pytest.mark.parametrize("text", FUNCTIONS)
def test_every_way_gives_the_same_number_or_the_same_error(text: str) -> None:
    f, points = written(text)
    chosen = points[:3 + EFFORT // 3]
    if text in ("x ** y", "pow(x, y)"):   # 0**n has slope 0 in n: a convention, which its mixed derivatives do not share
        chosen = [at for at in chosen if at != (0.0, 1.0)]
    wrong = [told for at in chosen for order in ((1, 2) if len(at) > 1 else (1, 2, 3))
             for told in disagreements(f, at, order, ("python", "numpy"))]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("text", FUNCTIONS[::max(1, 12 - EFFORT)])
@pytest.mark.skipif("llvm" not in backends(), reason="needs llvmlite")
def test_machine_code_gives_it_too(text: str) -> None:
    f, points = written(text)
    assert not [told for at in points[:2] for order in (1, 2) for told in disagreements(f, at, order, ("llvm",))]


# ---- the rules, by number

@pytest.mark.parametrize(("f", "at", "slope"), [   # by kind: whatever it meets, at any order
    (lambda x: where(step(x), 1 + x, exp(x)), 1000.0, 1.0), (lambda x: relu(sqrt(x) - 1), 0.0, 0.0),
    (lambda x: maximum(sqrt(x), 1.0), 0.0, 0.0), (lambda x: sqrt(step(x)), -1.0, 0.0), (lambda x: sqrt(relu(x)), -1.0, 0.0),
    (lambda x: where(step(x), sqrt(x), 0.0), -1.0, 0.0), (lambda x: where(step(x), log(x), 2 * x), -1.0, 2.0),
], ids=["where", "relu", "maximum", "step", "relu below", "sqrt behind where", "log behind where"])
def test_a_zero_by_kind_is_silent_about_everything(f: Callable[[Any], Any], at: float, slope: float) -> None:
    assert grad(f)(at) == jvp(f, at, 1.0)[1] == vjp(f, at)[1] == slope
    assert hvp(f, at, 1.0)[1] == grad(grad(f))(at) == hessian(f)(at) == grad(grad(grad(f)))(at) == 0.0
    for backend in backends():
        assert compile_function(f, backend=backend).grad(at) == slope
        assert compile_function(hessian(f), backend=backend)(at) == 0.0


@pytest.mark.parametrize("norm", [hypot, lambda x, y: sqrt(x * x + y * y)], ids=["hypot", "sqrt"])
def test_no_finite_second_derivative_is_invented_where_a_factor_vanishes_at_a_pole(norm: Callable[..., Any]) -> None:
    """exp(−‖x‖²) has the Hessian −2I at 0; the formula has 0/0 there."""
    def f(xs: Any) -> Any:
        return exp(-norm(*xs) ** 2)
    assert grad(f)([0.0, 0.0]) == [0.0, 0.0] and jvp(f, [0.0, 0.0], [1.0, 0.0]) == (1.0, 0.0)
    compiled = [compile_function(hessian(f), backend=backend) for backend in backends()]
    x = [Value(0.0, label="a"), Value(0.0, label="b")]
    of_compiled: list[Callable[[], Any]] = [partial(run, [0.0, 0.0]) for run in compiled]
    for second in (lambda: hessian(f)([0.0, 0.0]), lambda: hessian(f(x), x), grad(f(x), x)[0].backward,
                   lambda: hvp(f, [0.0, 0.0], [1.0, 0.0]), *of_compiled):
        with pytest.raises(FloatingPointError, match=r"(strong_mul|direction)\("):
            second()
    assert hessian(f)([0.3, 0.4])[0][0] == pytest.approx((4 * 0.3 ** 2 - 2) * math.exp(-0.25), rel=1e-12)


def test_outside_the_domain_of_the_value_there_is_no_derivative() -> None:
    x = [Value(0.5, label="x"), Value(1.0, label="y")]
    y = -(log(x[0]) + log(x[1]))
    made = [compile(grad(y, x), [x]), compile(hessian(y, x), [x]), compile(jvp(y, x, [1.0, 1.0]), [x])]
    for f in (*made, *[pickle.loads(pickle.dumps(f)) for f in made]):
        assert np.isfinite(f([2.0, 3.0])).all()
        with pytest.raises(ValueError, match=r"log\(-0\.5\) of node 'x'"):
            f([-0.5, 1.0])
    again, x_again = copy.deepcopy((grad(y, x), x))
    with pytest.raises(ValueError, match=r"log\(-0\.5\)"):
        compile(again, [x_again])([-0.5, 1.0])
    floor = compile(grad(PRIMITIVES["floor"](log(x[0])), x[0]), [x[0]])   # even where the derivative is a plain 0
    assert floor(2.0) == 0.0
    with pytest.raises(ValueError, match=r"log\(-1\)"):
        floor(-1.0)


@pytest.mark.parametrize("backend", backends())
def test_a_row_does_not_depend_on_its_neighbours(backend: str) -> None:
    f = compile_function(lambda x: x * tanh(x), batch=0, backend=backend)
    alone, among = f(np.array([-1.0, 2.0, 0.3])), f(np.array([-1.0, 2.0, math.inf, math.nan, -math.inf]))
    assert among[:2].tolist() == alone[:2].tolist() and among[2] == math.inf and math.isnan(among[3])
    slopes = [f.value_and_grad(np.array(x))[1][:2].tolist() for x in ([-1.0, 2.0, 0.3], [-1.0, 2.0, math.inf])]
    assert slopes[0] == slopes[1]


@pytest.mark.parametrize("backend", backends())
def test_a_guarded_operation_is_no_error_in_a_batch(backend: str) -> None:
    f = compile_function(lambda x: where(step(x), sqrt(x) + log(x), x), batch=0, backend=backend)
    value, slope = f.value_and_grad(np.array([4.0, -1.0, -math.inf]))
    assert value.tolist() == [2 + math.log(4), -1.0, -math.inf] and slope.tolist() == [0.5, 1.0, 1.0]
    with pytest.raises(ValueError, match=r"log\(0\)|sqrt\(-1\)"):
        compile_function(lambda x: where(step(x), x, sqrt(x)), batch=0, backend=backend)(np.array([1.0, -1.0]))


def test_a_guard_guards_what_it_drops_alone() -> None:
    with pytest.raises(ValueError, match=r"log\(-1\)"):   # a Python branch on it
        grad(lambda x: x if log(x) > 0 else 2 * x)(-1.0)
    with pytest.raises(ValueError, match=r"sqrt\(-1\)"):   # taken elsewhere
        grad(lambda x: where(step(x), log(x), 0.0) + sqrt(x))(-1.0)
    with pytest.raises(ValueError, match=r"log\(-1\)"):   # never used
        grad(lambda x: [log(x), x][1])(-1.0)
    with pytest.raises(ValueError, match=r"log\(-1\)"):   # where no function is called, nobody knows what is to come
        log(Value(-1.0))


@pytest.mark.parametrize("text", ["where(step(x), 1 + x, exp(x))", "relu(sqrt(x) - 1)", "1 / (1 + exp(-x))"])
def test_the_table_shows_the_same_in_both_directions(text: str) -> None:
    f, points = written(text)
    for (at,) in points:
        if math.isfinite(at) and not (at < 0 and "sqrt" in text):
            x = Value(at, label="x")
            y = f(x)
            found = steps(y)
            forward, reverse = found.rows[-1].tangents[0], found.gradient[0]
            assert forward == reverse == grad(f)(at)
            order = autograd.topological(y)
            assert pushforward(order, {x: 1.0}, order, symbolic=False)[y] == pullback(order, {y: 1.0}, [x], symbolic=False)[x]


def test_rows_that_are_flat_are_those_whose_slopes_have_no_slope() -> None:
    """`flat` is what makes a zero one by kind: exactly the rows whose partials are piecewise constant have it."""
    for row in (*ROWS, *[PRIMITIVES[name] for name in GAMMA]):
        n = row.arity or 2
        low, high = row.domain
        xs = [Value(low + (high - low) * (0.31 + 0.17 * i)) for i in range(n)]
        second = [d.data for g in grad(row(*xs), xs) for d in grad(g, xs)]
        linear = row.name in {"add", "neg"}   # constant everywhere: there is nothing that could be 0
        assert row.flat == (not any(second) and not linear), row.name


def test_products_that_overflow_alone_do_not_overflow_within_another() -> None:
    def entropy(x: Any) -> Any:
        return x * log(x)
    for x in (1e-300, 1e-200):
        of_compiled: list[Callable[[float], Any]] = [
            compile_function(hessian(entropy), backend=backend) for backend in backends()]
        for second in (hessian(entropy), lambda x: jvp(grad(entropy), x, 1.0)[1],
                       *of_compiled):
            assert second(x) == pytest.approx(1 / x, rel=1e-15)


@pytest.mark.parametrize(("f", "at"), [
    (lambda a, b, c: (a - b) + c, (1e17, 1e17, 3.0)), (lambda a, b, c: c + (a - b), (1e17, 1e17, 3.0)),
    (lambda a, b, c: (c - a) + b, (1e17, 1e17, 3.0)), (lambda a, b, c: 0.1 * (a - b) + c, (1e17, 1e17 + 16, 3.0)),
    (lambda a, b, c: (a - b) - (c - 7.0), (1e17, 1.0, 1e17)), (lambda a, b, c: a * 1e9 * 1e-9 + b + c, (1e300, 1.0, 1.0)),
    (lambda a, b, c: a * 0.5 * 2.0 - b + c, (1.7e308, 1e308, 1.0)),
    (lambda a, b, c: a * 1e-9 * 1e9 + b + c, (1e-310, 0.0, 0.0)),
    (lambda a, b, c: sum([a, -b, c, a, -a, c]), (1e17, 1e17, 3.0)),
])
@pytest.mark.parametrize("backend", backends())
def test_sums_of_single_terms_keep_their_order_and_numbers_their_range(f: Callable[..., Any], at: tuple[float, ...],
                                                                       backend: str) -> None:
    """Whichever of the inputs all examples share."""
    expected = f(*at)
    for shared in product((False, True), repeat=3):
        batch = [i for i in range(3) if not shared[i]]
        if batch:
            compiled = compile_function(f, batch=batch, backend=backend)
            found = compiled(*[x if alone else np.array([x, 1.0, x]) for x, alone in zip(at, shared, strict=True)])
            assert found[0] == found[2] == expected, shared
