"""log Γ and its derivatives against truths of many digits, and their forms for arrays against them."""

from __future__ import annotations

import math
import operator
import random
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

import numpy as np
import pytest
from helpers import EFFORT, LARGEST, SMALLEST, SPECIAL, ulps
from hypothesis import given
from hypothesis import strategies as st
from mpmath import mp, mpf

from autograd import Primitive, Value, compile, functions, grad, primitive, special
from autograd.special import BITS, _fixed, digamma, digamma_array, lgamma, lgamma_array, polygamma, trigamma_array

ROOT = 1.4616321449683623   # of ψ
ZEROS = (-2.4570247382208006, -2.7476826467274127, -3.955294284858598, -9.99999972442663,   # of log |Γ| …
         -0.5040830082644554, -1.5734984731623904, -2.6107208684441447, -10.708740838254144)   # … and of ψ
SPACES: dict[str, Callable[[random.Random], float]] = {   # magnitudes equally likely, and the neighbourhoods of poles and zeros
    "denormal": lambda r: r.choice((-1, 1)) * r.randint(1, 2 ** 52) * 5e-324,
    "tiny": lambda r: r.choice((-1, 1)) * 2.0 ** r.uniform(-1022, -58),
    "small": lambda r: r.choice((-1, 1)) * 2.0 ** r.uniform(-60, 0),
    "0 to 12": lambda r: r.uniform(0, 12),
    "beside 1 and 2": lambda r: r.choice((1, 2)) + r.choice((-1, 1)) * 2.0 ** r.uniform(-52, -3),
    "beside the root of ψ": lambda r: ROOT + r.choice((-1, 1)) * 2.0 ** r.uniform(-52, -3),
    "12 to 200": lambda r: r.uniform(12, 200),
    "large": lambda r: 2.0 ** r.uniform(7, 22),
    "huge": lambda r: 2.0 ** r.uniform(22, 1024),
    "-40 to 0": lambda r: -r.uniform(0, 40),
    "beside poles": lambda r: -r.randint(1, 2 ** r.randint(1, 40)) * (1 + r.choice((-1, 1)) * 2.0 ** r.uniform(-52, -20)),
    "midway": lambda r: -r.randint(0, 2 ** r.randint(0, 45)) - 0.5 + r.choice((-1, 0, 1)) * 2.0 ** r.uniform(-50, -3),
    "beside negative zeros": lambda r: r.choice(ZEROS) * (1 + r.choice((-1, 1)) * 2.0 ** r.uniform(-53, -9)),
    "down to -2**52": lambda r: -2.0 ** r.uniform(0, 52),
}
ORDERS: dict[int, Callable[[float], float]] = {
    -1: lgamma, 0: digamma, **{n: partial(polygamma, float(n)) for n in (1, 2, 3, 8)}}
ARRAYS = {-1: lgamma_array, 0: digamma_array, 1: trigamma_array}
every_order = pytest.mark.parametrize("n", ORDERS)
every_array = pytest.mark.parametrize("n", ARRAYS)


def is_pole(x: float) -> bool:
    return x == -math.inf or (x <= 0 and x == math.floor(x))


def points(space: str, count: int) -> Iterator[float]:
    chance = random.Random(space)
    return (x for _ in range(count) if math.isfinite(x := SPACES[space](chance)) and not is_pole(x))


@cache
def cotangents(n: int) -> list[int]:
    """The coefficients of P, the last first, with (d/dx)ⁿ cot x = P(cot x)."""
    p = [0, 1]
    for _ in range(n):
        slope = [k * c for k, c in enumerate(p)][1:]
        p = [-(a + b) for a, b in zip([*slope, 0, 0], [0, 0, *slope], strict=True)]   # cot′ = −1 − cot²
    return p[::-1]


def truth(n: int, at: float) -> Any:
    """ψ⁽ⁿ⁾ of a float, or log |Γ| for n = −1, to 80 digits and more; below 0 by reflection, in which mpmath is slow."""
    with mp.workprec(500):
        x = mpf(at)
        if n == -1:
            return mp.loggamma(x) if x > 0 else mp.log(mp.pi / abs(mp.sinpi(x))) - mp.loggamma(1 - x)
        if x > 0:
            return mp.psi(n, x)
        cot, reflected = mp.cospi(x) / mp.sinpi(x), mpf(0)
        for c in cotangents(n):
            reflected = reflected * cot + c
        return (-1) ** n * mp.psi(n, 1 - x) - mp.pi ** (n + 1) * reflected


@every_order
@pytest.mark.parametrize("space", SPACES)
def test_every_value_is_within_two_ulp_of_the_truth_beside_zeros_and_poles_too(n: int, space: str) -> None:
    for x in points(space, 12 * EFFORT):
        fixed = x < max(n, 0) + 8 and x % 1 != 0.5
        assert ulps(ORDERS[n](x), truth(n, x)) <= (0.51 if fixed else 2), x


def test_fixed_point_keeps_digits_for_a_zero_that_a_float_all_but_meets() -> None:
    for n in (-1, 0):
        for x in (ROOT, 0.1, 1.0, 7.9, 30.9, 1e6, *ZEROS):
            assert abs(_fixed(n, int(mpf(x) * 2 ** BITS), BITS) - truth(n, x) * 2 ** BITS) < 2 ** 10 * max(1, abs(x)), x


@pytest.mark.parametrize("n", [30, 99, 169, 170])
def test_high_orders_are_as_good(n: int) -> None:
    chance = random.Random(n)
    for x in (*(chance.uniform(-3, 3 * n) for _ in range(8 * EFFORT)), n + 7.5, n + 8.5, 1e-3, -1e-3):
        assert ulps(polygamma(float(n), x), truth(n, x)) <= 2, x


@pytest.mark.parametrize("n", [171, 172, 500, 1001, 10 ** 6])
def test_orders_whose_factorial_is_no_float_have_some_digits_fewer(n: int) -> None:
    chance, met = random.Random(n), 0
    for _ in range(20):
        x = n / math.e * math.exp(chance.uniform(-1, 1) * min(600 / n, 1.5))
        with mp.workprec(200):
            weights = mp.fsum([(mpf(x) / (x + k)) ** (n + 1) for k in range(150)])
            true = (-1) ** (n + 1) * mp.exp(mp.loggamma(n + 1) - (n + 1) * mp.log(x)) * weights
        if SMALLEST < abs(true) < LARGEST:
            met += 1
            assert abs(polygamma(float(n), x) / true - 1) < n * 2 ** -50, x
    assert met > 5


def test_known_values() -> None:
    assert lgamma(1.0) == lgamma(2.0) == 0
    assert lgamma(0.5) == math.log(math.pi) / 2
    assert [lgamma(float(k)) for k in (3, 4, 5, 11)] == [math.log(math.factorial(k - 1)) for k in (3, 4, 5, 11)]
    assert digamma(1.0) == -0.5772156649015329
    assert (polygamma(1.0, 1.0), polygamma(1.0, 0.5)) == (math.pi ** 2 / 6, math.pi ** 2 / 2)
    assert polygamma(3.0, 1.0) == float(mp.pi ** 4 / 15)
    assert polygamma(0.0, 0.3) == digamma(0.3)


@pytest.mark.parametrize("x", [0.0, -0.0, -1.0, -2.0, -1e15, -2.0 ** 60, -LARGEST])
def test_a_pole_is_an_error_as_math_has_it(x: float) -> None:
    fs: list[Callable[[float], float]] = [math.lgamma, *ORDERS.values(), partial(polygamma, 171.0), partial(polygamma, 1e300)]
    for f in fs:
        with pytest.raises(ValueError, match="math domain error"):
            f(x)


def test_infinities_and_nan() -> None:
    assert lgamma(math.inf) == lgamma(-math.inf) == math.lgamma(-math.inf) == math.inf
    assert digamma(math.inf) == polygamma(0.0, math.inf) == math.inf
    assert [polygamma(n, math.inf) for n in (1.0, 2.0, 171.0, 1e300)] == [0.0] * 4
    for n, f in ORDERS.items():
        assert math.isnan(f(math.nan))
        if n >= 0:
            with pytest.raises(ValueError, match="math domain error"):
                f(-math.inf)
    assert math.isnan(polygamma(math.nan, 1.0)) and math.isnan(polygamma(171.0, math.nan))


@pytest.mark.parametrize("n", [-1.0, 0.5, 1e-300, -0.5, math.inf, -math.inf])
def test_an_order_is_a_whole_number(n: float) -> None:
    with pytest.raises(ValueError, match=r"polygamma\(.*whole number"):
        polygamma(n, 2.0)


@pytest.mark.parametrize(("n", "x", "y"), [
    (-1, LARGEST, math.inf), (0, 5e-324, -math.inf), (0, -5e-324, math.inf), (1, 1e-200, math.inf), (1, -1e-200, math.inf),
    (2, 1e-200, -math.inf), (2, -1e-200, math.inf), (170, 1e-3, -math.inf), (170, -0.3, math.inf),
    (171, 1.0, math.inf), (172, 1.0, -math.inf), (171, -0.3, math.inf), (172, -0.3, math.inf), (172, -0.7, -math.inf),
    (1e300, 5e-324, -math.inf), (1, LARGEST, 1 / LARGEST), (2, 1e200, 0.0), (170, 1e300, 0.0), (1e300, 1e300, 0.0),
    (1e308, LARGEST, 0.0), (170, -1e15 - 0.5, 0.0),
])
def test_overflow_and_underflow_do_not_raise(n: float, x: float, y: float) -> None:
    assert (lgamma(x) if n < 0 else polygamma(float(n), x)) == y


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_the_recurrence_holds_wherever_one_can_be_added(x: float) -> None:
    if abs(x) > 1e6 or x + 1 - 1 != x or is_pole(x):
        return
    assert math.isclose(digamma(x + 1), digamma(x) + 1 / x, rel_tol=1e-14, abs_tol=1e-14 * (1 + abs(1 / x)))
    assert math.isclose(lgamma(x + 1), lgamma(x) + math.log(abs(x)), rel_tol=1e-14, abs_tol=1e-14 * (1 + abs(lgamma(x))))


# ---- arrays

def array(n: int, xs: Any) -> list[float]:
    with np.errstate(all="ignore"):
        return [float(y) for y in ARRAYS[n](np, np.asarray(xs))]


@every_array
@pytest.mark.parametrize("space", SPACES)
def test_the_form_for_arrays_is_as_near_as_it_says(n: int, space: str) -> None:
    xs = [*points(space, 300 * EFFORT)]
    for x, y in zip(xs, array(n, xs), strict=True):
        true = ORDERS[n](x)
        if x >= -0.25:
            assert ulps(y, true, 1.0 if n < 0 else 0.0) <= 4, x
        else:
            assert ulps(y, true, max(1.0, abs(ORDERS[n](1 - x)))) <= 6, x


def test_the_form_for_arrays_keeps_digits_beside_positive_zeros() -> None:
    for n, space in ((-1, "beside 1 and 2"), (0, "beside the root of ψ")):
        xs = [*points(space, 400)]
        assert max([ulps(y, ORDERS[n](x)) for x, y in zip(xs, array(n, xs), strict=True)]) <= 8
    assert array(-1, [1.0, 2.0]) == [0.0, 0.0]


@every_array
def test_the_form_for_arrays_at_special_points(n: int) -> None:
    at_pole = math.nan if n == 0 else math.inf
    for x, y in zip(SPECIAL, array(n, SPECIAL), strict=True):
        try:
            expected = ORDERS[n](x)
        except ValueError:
            expected = at_pole if math.isfinite(x) else math.nan
        assert ulps(y, mpf(expected), 1.0 if n < 0 or x < 0 else 0.0) <= 4, x


class Lane:
    """An array that cannot be looked into: only arithmetic, comparisons and functions of it exist."""

    def __init__(self, x: Any) -> None:
        self.x = x

    def __bool__(self) -> bool:
        raise AssertionError("a branch on an array")


def plain(x: Any) -> Any:
    assert isinstance(x, (Lane, float, int))
    return x.x if isinstance(x, Lane) else float(x)


def method(f: Callable[..., Any], swapped: bool = False) -> Callable[..., Lane]:
    return lambda a, *b: Lane(f(*[plain(x) for x in ((*b, a) if swapped else (a, *b))]))


for name in ("add", "sub", "mul", "truediv"):
    setattr(Lane, f"__{name}__", method(getattr(operator, name)))
    setattr(Lane, f"__r{name}__", method(getattr(operator, name), swapped=True))
for name in ("lt", "le", "gt", "ge", "eq", "neg"):
    setattr(Lane, f"__{name}__", method(getattr(operator, name)))


class Names:
    """numpy's names without numpy: those that every target of the compiler knows."""

    def __getattr__(self, name: str) -> Callable[..., Lane]:
        assert name in {"abs", "floor", "log", "log1p", "maximum", "rint", "sin", "tan", "where"}
        return method(getattr(np, name))


@every_array
def test_the_form_for_arrays_is_calls_and_operators_alone(n: int) -> None:
    xs = np.array([*SPECIAL, *[x for space in SPACES for x in points(space, 4)]])
    with np.errstate(all="ignore"):
        y = ARRAYS[n](Names(), Lane(xs))
    assert np.array_equal(y.x, array(n, xs), equal_nan=True)


# ---- the rows of the table

ROWS = [primitive(name) for name in ("lgamma", "digamma", "trigamma", "polygamma2", "polygamma3", "polygamma6")]
AT = [0.3, 1.0, 1.4616321449683623, 2.0, 2.7, 9.5, 40.0, -0.3, -2.6, 1e-5]


def test_each_is_the_slope_of_the_one_before() -> None:
    for x in AT:
        for k, row in enumerate(ROWS[:5]):
            v = Value(x)
            y = row(v)
            for n in range(k, k + 3):
                assert y.data == pytest.approx(lgamma(x) if n == 0 else polygamma(n - 1, x), rel=1e-14, abs=1e-14)
                y = grad(y, v)


def test_an_order_of_values_is_a_whole_number() -> None:
    x = Value(0.7)
    for n in range(9):
        assert functions.polygamma(n, x).data == polygamma(n, 0.7)
        assert grad(functions.polygamma(n, x), x).data == polygamma(n + 1, 0.7)
    for bad in (-1, 0.5, "2", Value(1.0)):
        with pytest.raises(ValueError, match="the order is a whole number"):
            functions.polygamma(bad, x)  # type: ignore[arg-type]


def test_poles_are_errors_that_name_the_node() -> None:
    for row in ROWS:
        for x in (0.0, -1.0, -7.0):
            with pytest.raises(ValueError, match=f"{row.name}.*node 'k'.*its poles are 0, -1, -2"):
                row(Value(x, label="k"))


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_compiled(row: Primitive, backend: str) -> None:
    x = Value(0.5)
    f = compile(row(x), [x], batch=0, backend=backend)
    values, slopes = f.value_and_grad(np.array(AT))
    assert values == pytest.approx([row(z) for z in AT], rel=1e-13, abs=1e-13)
    for slope, z in zip(slopes, AT, strict=True):
        assert slope == pytest.approx(grad(row(v := Value(z)), v).data, rel=1e-12)


@pytest.mark.parametrize("n", [1, 2, 3, 6])
def test_the_form_for_arrays_of_any_order(n: int) -> None:
    chance = random.Random(n)
    above = [chance.choice((chance.uniform(0.01, 30), 2.0 ** chance.uniform(-60, 60))) for _ in range(300)]
    below = [-chance.uniform(0.3, 30) for _ in range(300)]
    with np.errstate(all="ignore"):
        for x, y in zip(above, special.polygamma_array(n)(np, np.array(above)), strict=True):
            assert abs(y - polygamma(n, x)) <= 4 * math.ulp(polygamma(n, x)), x
        for x, y in zip(below, special.polygamma_array(n)(np, np.array(below)), strict=True):
            assert abs(y - polygamma(n, x)) <= 1e-12 * max(abs(polygamma(n, x)), abs(polygamma(n, 1 - x))), x
        poles = special.polygamma_array(n)(np, np.array([0.0, -0.0, -3.0]))
    assert all(poles == math.inf) if n % 2 else all(np.isnan(poles))
