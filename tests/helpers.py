"""What the tests of the engine share: truths of many digits, distances in ulp, points of the whole double range, random
graphs, and their values and slopes in mpmath's numbers, which owe nothing to the engine.
"""

from __future__ import annotations

import math
import operator
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import reduce
from itertools import product
from typing import Any, NoReturn

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from mpmath import mp, mpc, mpf

from autograd import PRIMITIVES, Primitive, Value, topological
from autograd.primitives import terms_of
from autograd.sweep import numbers
from autograd.testing import Program, expressions, peers

LARGEST, SMALLEST = sys.float_info.max, sys.float_info.min   # below the smallest normal number digits run out
EFFORT = max(1, settings().max_examples // 50)               # 1 in the quick profile

# The table as the package defines it: tests and doctests add rows of their own.
# log Γ and its derivatives have a test file of their own: mpmath takes minutes for them with so many digits.
GAMMA = {name for name in PRIMITIVES if name.endswith("gamma") or name.startswith("polygamma")}
ROWS = [p for p in PRIMITIVES.values() if not p.name.startswith(("docs_", "test_")) and p.name not in GAMMA]

mp.prec = 2600             # of the truths: 1 + 1e-308 is exact
TINY = mpf(2) ** -4000     # of the complex step: sqrt has a slope of 2**2000 at 0, which is infinity to a float


# ---- truths: every operation from its definition, of real and of complex numbers

def re(x: Any) -> Any:
    return x.real if isinstance(x, mpc) else x


def _exp(x: Any) -> Any:
    return mp.exp(x) if re(x) > -1e5 else mpf(0)


def _log1p(x: Any) -> Any:
    return x - x * x / 2 if abs(x) < TINY else mp.log(1 + x)


def _softplus(x: Any) -> Any:
    return x + _log1p(_exp(-x)) if re(x) > 0 else _log1p(_exp(x))


def _logsumexp(*xs: Any) -> Any:
    top = max(range(len(xs)), key=lambda i: re(xs[i]))
    m = xs[top]
    return m if mp.isinf(m) else m + _log1p(mp.fsum([_exp(x - m) for i, x in enumerate(xs) if i != top]))


def _surprisal(x: Any, *others: Any) -> Any:
    if x == mp.inf or max(x, *others, key=re) == -mp.inf:   # ∞ − ∞
        return mp.nan
    return _logsumexp(mpf(0), *[z - x for z in others])


def _power(x: Any, n: Any) -> Any:
    if x == 0 or n == 0:
        return mpf(n == 0)
    if re(x) < 0 and mp.isint(n):
        return mp.exp(n * mp.log(-x)) * (-1 if mp.fmod(n, 2) else 1)
    return mp.exp(n * mp.log(x))


def _hypot(*xs: Any) -> Any:
    return mp.sqrt(sum([x * x for x in xs]))


def _xlogy(x: Any, y: Any) -> Any:
    return mpf(0) if x == 0 else x * mp.log(y)


def _rounded(x: Any) -> Any:
    return mp.nint(re(x))   # halves to the even one


def _weighted_sum(*xs: Any) -> Any:
    terms = [reduce(operator.mul, term) for term in terms_of(xs)]
    if any(mp.isinf(x) for x in xs):   # beside which a product that no float holds is infinite too
        terms = [mp.sign(x) * mp.inf if abs(x) > LARGEST else x for x in terms]
    return sum(terms)


class _Truths(dict[str, Callable[..., Any]]):
    def __missing__(self, name: str) -> NoReturn:
        pytest.fail(f"add a truth for {name} to TRUTHS in tests/helpers.py: its definition, of real and complex numbers")


TRUTHS = _Truths({
    "mul": operator.mul, "add": operator.add, "neg": operator.neg, "div": operator.truediv, "reciprocal": lambda x: 1 / x,
    "exp": mp.exp, "exp2": lambda x: mpf(2) ** x, "expm1": lambda x: x + x * x / 2 if abs(x) < TINY else mp.exp(x) - 1,
    "log": mp.log, "log1p": _log1p, "log2": lambda x: mp.log(x) / mp.log(2), "log10": lambda x: mp.log(x) / mp.log(10),
    "pow": _power, "sqrt": mp.sqrt, "cbrt": lambda x: mp.sign(re(x)) * mp.cbrt(abs(x)),
    "hypot": _hypot, "xlogy": _xlogy,
    "floor": lambda x: mp.floor(re(x)), "ceil": lambda x: mp.ceil(re(x)), "round": _rounded,
    "mod": lambda a, b: a - b * mp.floor(re(a) / re(b)), "floor_divide": lambda a, b: mp.floor(re(a) / re(b)),
    "clip": lambda x, low, high: min(max(x, low, key=re), high, key=re), "sech2": lambda x: 1 / mp.cosh(x) ** 2,
    "direction": lambda a, b: a / _hypot(a, b) if a else mpf(0), "inversion": lambda a, b: a / (a * a + b * b),
    "semicircle": lambda x: mp.sqrt((1 - x) * (1 + x)), "cauchy": lambda x: 1 / (1 + x * x),
    "logistic": lambda x: 1 / (2 + mp.exp(x) + mp.exp(-x)), "sigmoid": lambda x: 1 / (1 + mp.exp(-x)),
    "weighted_sum": _weighted_sum,
    "softplus": _softplus, "logsumexp": _logsumexp,
    "surprisal": _surprisal, "share": lambda a, b: a / (a + b),
    "step": lambda x: mpf(re(x) > 0), "sign": lambda x: mp.sign(re(x)), "abs": lambda x: x if re(x) > 0 else -x,
    "exceeds": lambda a, b: mpf(re(a) > re(b)) + mpf(re(a) == re(b)) / 2, "relu": lambda x: x if re(x) > 0 else mpf(0),
    "equals": lambda a, b: mpf(re(a) == re(b)),
    "maximum": lambda *xs: max(xs, key=re), "minimum": lambda *xs: min(xs, key=re),
    "where": lambda c, a, b: a if c else b, "shift": lambda *xs: mp.nan if mp.isinf(max(xs, key=re)) else re(max(xs, key=re)),
    "strong_mul": lambda a, b: a * b if a else mpf(0), "strong_div": lambda a, b: a / b if a else mpf(0),
    "sin": mp.sin, "cos": mp.cos, "tan": mp.tan, "asin": mp.asin, "acos": mp.acos, "atan": mp.atan, "atan2": mp.atan2,
    "sinh": lambda x: x if abs(x) < TINY else mp.sinh(x), "cosh": mp.cosh, "tanh": mp.tanh,
    "asinh": mp.asinh, "acosh": mp.acosh, "atanh": mp.atanh,
    "erf": mp.erf, "erfc": lambda x: mpf(0) if x > 1e6 else mp.erfc(x),
})
ANALYTIC: dict[str, Callable[..., Sequence[Any]]] = {   # the slopes of what mpmath has for real numbers only, or slowly
    "erf": lambda x: (2 / mp.sqrt(mp.pi) * mp.exp(-x * x),), "erfc": lambda x: (-2 / mp.sqrt(mp.pi) * mp.exp(-x * x),),
    "atan": lambda x: (1 / (1 + x * x),), "cbrt": lambda x: (1 / mp.cbrt(x * x) / 3 if x else mp.inf,),
    "atan2": lambda a, b: (b / (a * a + b * b), -a / (a * a + b * b)),
}
CONSTANT = {"ceil", "equals", "exceeds", "floor", "floor_divide", "round", "shift", "sign", "step"}   # shift cancels
PLAIN: dict[str, Callable[..., Any]] = {          # Python's own, which says where there is no number
    "mul": operator.mul, "add": operator.add, "neg": operator.neg, "div": operator.truediv, "reciprocal": lambda x: 1 / x,
    "semicircle": lambda x: math.sqrt((1 - x) * (1 + x)), "inversion": lambda a, b: a / math.hypot(a, b) / math.hypot(a, b),
    "share": lambda a, b: a / (a + b),
    "abs": abs, "strong_div": lambda a, b: a / b if a else 0.0, "mod": operator.mod, "floor_divide": operator.floordiv,
    "xlogy": lambda a, b: a * math.log(b) if a or b != b else 0.0,
    **{p.name: getattr(math, p.name) for p in ROWS if hasattr(math, p.name) and p.name not in CONSTANT}, "pow": operator.pow,
}


def truth(p: Primitive, xs: Sequence[float]) -> Any:
    """p(*xs) to hundreds of digits; an infinity or nan where that is its limit."""
    if p.name == "atan2" and xs[0] == 0:   # mpmath has no -0.0
        return mpf(math.atan2(*xs))
    return TRUTHS[p.name](*map(mpf, xs))


def slope(p: Primitive, i: int, xs: Sequence[float]) -> Any:
    """∂p/∂xs[i] to hundreds of digits: the complex step Im f(x + ih)/h, which cancels nothing."""
    at = [*map(mpf, xs)]
    if p.name in CONSTANT or (p.name == "where" and i == 0):
        return mpf(0)
    if p.name in ANALYTIC:
        return ANALYTIC[p.name](*at)[i]
    h = (abs(at[i]) or mpf(1)) * TINY
    at[i] = mpc(at[i], h)
    y = TRUTHS[p.name](*at)
    return y.imag / h if isinstance(y, mpc) else mpf(0)


def curvature(p: Primitive, i: int, j: int, xs: Sequence[float]) -> Any:
    """∂²p/∂xs[i]∂xs[j] to many digits: central differences of `slope`, whose digits a step of 2**-600 leaves enough of."""
    with mp.workprec(3600):
        h = min(abs(mpf(xs[j])) or mpf(1), 1) * mpf(2) ** -600
        high, low = (slope(p, i, [*xs[:j], mpf(xs[j]) + d, *xs[j + 1:]]) for d in (h, -h))
        return (high - low) / (2 * h)


def number_at(p: Primitive, xs: Sequence[float]) -> type[Exception] | float:
    """What Python's float and math say of p(*xs): the exception that they raise, or a number, of which only being
    nan, infinite or zero, and its sign, is to be relied on."""
    plain = PLAIN.get(p.name)
    if plain is None:
        return math.nan if any(x != x for x in xs) and p.name not in {"where", "strong_mul"} else float(truth(p, xs))
    try:
        y = plain(*xs)
    except OverflowError:
        y = truth(p, xs)
    except (ValueError, ZeroDivisionError) as error:
        return type(error)
    return ValueError if isinstance(y, (complex, mpc)) else float(y)


# ---- distances and points

def largest_term(p: Primitive, xs: Sequence[float]) -> float:
    """The largest number that the row adds or subtracts at xs, whose rounding its value has; 0 for a row without such sums."""
    terms = {"logsumexp": xs, "surprisal": xs, "weighted_sum": [math.prod(term) for term in terms_of(xs)]}.get(p.name, [])
    return max([abs(x) for x in terms if math.isfinite(x)], default=0.0)


def ulps(y: float, true: Any, scale: float = 0.0) -> float:
    """|y − true| in units of the last place of `true`, or of `scale` if that is larger; 0 for the same infinity or nan."""
    rounded = float(true)
    if y == rounded or (y != y and rounded != rounded):
        return 0.0
    if not (math.isfinite(y) and math.isfinite(rounded)):
        return math.inf
    return float(abs(mpf(y) - true) / mpf(math.ulp(max(abs(rounded), scale))))


def same(a: float, b: float) -> bool:
    """Whether two floats have the same bits, all nans being one."""
    return (a != a and b != b) or (a == b and math.copysign(1.0, a) == math.copysign(1.0, b))


def close(a: float, b: Any, relative: float, absolute: float = 0.0) -> bool:
    """Whether |a − b| ≤ relative·|b| + absolute; the same infinity is close."""
    return bool(a == float(b) or abs(mpf(a) - b) <= relative * abs(b) + absolute)


NUMBERS = [0.0, 0.49, 0.99, 1.0, 1.01, 1.3, 2.0, 3.0, 0.5, 1 / 3, 1e-8, 20.0, 25.0, 40.0, 709.9, 745.2, 1e200, 3e-200, LARGEST,
           SMALLEST, SMALLEST / 3, 5e-324, math.nextafter(1, 0), math.pi / 2]
SPECIAL = [s * x for x in [*NUMBERS, math.inf] for s in (1, -1)] + [math.nan]


def anywhere(p: Primitive, n: int) -> Iterator[list[float]]:
    """Points of the whole double range: the special ones, then n at random, of magnitudes equally likely and near 0.
    Of the shares of two weights, those where these have a sum: weights are at most 1."""
    return (xs for xs in _anywhere(p, n) if p.name != "share" or abs(sum(xs)) < math.inf or not all(map(math.isfinite, xs)))


def _anywhere(p: Primitive, n: int) -> Iterator[list[float]]:
    arity, chance = p.arity or 3, random.Random(p.name)
    if arity <= 2:
        yield from map(list, product(SPECIAL, repeat=arity))
    else:
        yield from ([chance.choice(SPECIAL) for _ in range(arity)] for _ in range(n))
    for i in range(n):
        yield [chance.choice((-1, 1)) * math.ldexp(chance.uniform(1, 2), chance.randint(-1074, 1023)) if i % 2
               else chance.uniform(-1, 1) if i % 4 else chance.uniform(-40, 40) for _ in range(arity)]


def inside(p: Primitive, n: int) -> Iterator[list[float]]:
    """n points of the row's domain, at random."""
    chance = random.Random(p.name)
    for _ in range(n):
        yield [chance.uniform(*p.domain) for _ in range(p.arity or 3)]


# ---- random graphs

SMOOTH = [p for p in ROWS if p.kink is None and not p.name.startswith("strong")]


def on_a_list(program: Program) -> Program:
    """The same as a function of one list."""
    return replace(program, layout="list")


def values_of(program: Program) -> tuple[list[Value], Value]:
    """(new Values of its inputs, the result) of a program on a list."""
    xs = [Value(x, label=f"x{i}") for i, x in enumerate(program.at)]
    return xs, program(xs)


programs = expressions(leaves=4, depth=8, numbers=st.floats(-1.5, 1.5), of=SMOOTH).map(on_a_list).filter(
    lambda program: len(program.at) > 1)


class Exact(peers.Exact):
    """A graph in mpmath's numbers, by the TRUTHS: it knows the graph, and nothing else of the engine."""

    def __init__(self, y: Value, xs: Sequence[Value]) -> None:
        super().__init__(y, xs, TRUTHS)

    first = second = peers.Exact.derivative


def path_sums(y: Value, xs: Sequence[Value]) -> list[float]:
    """Σ over all paths from x to y of |the product of the slopes on it|: what rounding errors of ∂y/∂x are relative to."""
    order = topological(y)
    total = dict.fromkeys(order, 0.0)
    total[y] = 1.0
    for v in reversed(order):
        for a, d in zip(v.args, numbers(v) if v.args else (), strict=True):
            total[a] += total[v] * abs(d)
    return [total.get(x, 0.0) for x in xs]
