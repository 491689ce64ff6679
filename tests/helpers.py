"""What the tests of the engine share: truths of 50 digits and more, distances in ulp, points of the whole double range,
random graphs, and a dual number of mpmath that differentiates them again, independently of the engine.
"""

from __future__ import annotations

import math
import operator
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from mpmath import mp, mpc, mpf

from autograd import PRIMITIVES, Primitive

BITS = 4000                       # of the truths: 1 + 1e-308 is exact, and differences with a step of 2**-1500 are too
LARGEST, SMALLEST = sys.float_info.max, sys.float_info.min   # the smallest normal number: below it, digits run out
EFFORT = max(1, settings().max_examples // 50)               # 1 in the quick profile

# The rows as the package defines them; tests and doctests add others to the table.
ROWS = [p for p in PRIMITIVES.values() if not p.name.startswith(("docs_", "test_"))]
SMOOTH = [p for p in ROWS if p.name not in {"abs", "exceeds", "maximum", "minimum", "relu", "shift", "sign", "step", "where"}]


# ---- truths: each operation once more, from its definition and not from its implementation

def _re(x: Any) -> Any:
    return x.real if isinstance(x, mpc) else x


def _larger(a: Any, b: Any) -> Any:
    return a if _re(a) >= _re(b) else b


def _smaller(a: Any, b: Any) -> Any:
    return a if _re(a) <= _re(b) else b


def _top(*xs: Any) -> Any:
    return max(xs, key=_re)


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + mp.exp(-x))


def _softplus(x: Any) -> Any:
    return x + _log1p(mp.exp(-x)) if _re(x) > 0 else _log1p(mp.exp(x))


def _log1p(x: Any) -> Any:
    return x - x * x / 2 if abs(x) < mpf(2) ** (-BITS // 2) else mp.log(1 + x)


def _logsumexp(*xs: Any) -> Any:
    m = _top(*xs)
    return m if mp.isinf(m) else m + _log1p(mp.fsum([mp.exp(x - m) for x in xs]) - 1)


def _atan2(a: Any, b: Any) -> Any:
    if isinstance(a, mpc) or isinstance(b, mpc):   # up to a constant, which no derivative sees
        return mp.atan(a / b) if abs(a) < abs(b) else -mp.atan(b / a)
    return mp.atan2(a, b)


def _power(x: Any, n: Any) -> Any:
    if n == 0:
        return mpf(1)
    if x == 0:
        return mpf(0) if n > 0 else mp.inf
    if isinstance(n, mpf) and mp.isfinite(n) and n == mp.floor(n) and abs(n) < 2 ** 60:
        return mp.exp(n * mp.log(abs(x))) * (-1) ** int(n) if not isinstance(x, mpc) and x < 0 else x ** int(n)
    return mp.exp(n * mp.log(x))


TRUTHS: dict[str, Callable[..., Any]] = {
    "mul": operator.mul, "add": operator.add, "neg": operator.neg, "div": operator.truediv, "reciprocal": lambda x: 1 / x,
    "exp": mp.exp, "exp2": lambda x: mpf(2) ** x, "expm1": lambda x: x + x * x / 2 if abs(x) < mpf(2) ** -2000 else mp.exp(x) - 1,
    "log": mp.log, "log1p": _log1p, "log2": lambda x: mp.log(x) / mp.log(2), "log10": lambda x: mp.log(x) / mp.log(10),
    "pow": _power, "sqrt": mp.sqrt, "hypot": lambda a, b: mp.sqrt(a * a + b * b),
    "cbrt": lambda x: mp.cbrt(x) if _re(x) > 0 else -mp.cbrt(-x),
    "sigmoid": _sigmoid, "softplus": _softplus, "logsumexp": _logsumexp,
    "step": lambda x: mpf(_re(x) > 0), "sign": lambda x: mp.sign(_re(x)), "abs": lambda x: x if _re(x) > 0 else -x,
    "exceeds": lambda a, b: (1 + mp.sign(_re(a) - _re(b))) / 2, "relu": lambda x: x if _re(x) > 0 else mpf(0),
    "maximum": _larger, "minimum": _smaller, "where": lambda c, a, b: a if c else b,
    "strong_mul": operator.mul, "strong_div": operator.truediv, "shift": _top,
    "sin": mp.sin, "cos": mp.cos, "tan": mp.tan, "asin": mp.asin, "acos": mp.acos, "atan": mp.atan, "atan2": _atan2,
    "sinh": mp.sinh, "cosh": mp.cosh, "tanh": mp.tanh, "asinh": mp.asinh, "acosh": mp.acosh, "atanh": mp.atanh,
    "erf": mp.erf, "erfc": mp.erfc,
}
