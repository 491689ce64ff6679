"""Assertions about derivatives: against a formula, against another form of the function, against every other way.

What they have in common: `at` is one point or many. A number is a point of a function of one number, a tuple is a point with
one part for each argument, and anything else that can be gone through (a list, an array, a range) holds points. A function of
one list has its points in tuples, as in `at=([1.0, 2.0],)`. Of Values the numbers are taken.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from ..check import culprit
from ..compiler.backends.choose import check
from ..conversion import TraceError, bounded
from ..structure import leaves_of, shaped
from ..sweep import number_of
from ..value import Value
from .compare import clusters, compared, ulps
from .peers import differences
from .programs import Program
from .ways import built, outcome, targets, ways

__all__ = ["assert_derivative", "assert_gradients", "assert_same"]

ORDERS = {1: "the derivative", 2: "the second derivative"}


def assert_derivative(f: Callable[..., Any], analytic: Callable[..., Any], at: Any, *, second: Callable[..., Any] | None = None,
                      rtol: float = 1e-12, atol: float = 0.0) -> None:
    """The derivative of f is the analytic one: |found − analytic| ≤ rtol·|analytic| + atol for every number at every point.

    f          a function of one or many arguments (numbers, lists, dicts, arrays) that gives one number
    analytic   its derivative as a function of the same arguments: for one argument in its structure (a number for a number, a
               list for a list), for several a tuple with a part for each
    at         one point, or many: see the head of this module
    second     the second derivative, where that is to hold too: a number, or the matrix by all numbers in the arguments

    AssertionError says how many points are off, and of the worst one both numbers, the distance in ulp, and the node whose
    partial disagrees with differences. An infinity must be the same infinity. An analytic nan says that there is no
    derivative: nan or FloatingPointError must be found. What f or analytic raises is passed on, with the point.

    >>> from autograd import log, sigmoid
    >>> assert_derivative(lambda x: log(1 + x * x), lambda x: 2 * x / (1 + x * x), at=[-2.0, 0.0, 0.5])
    >>> assert_derivative(lambda x, y: x * y ** 2, lambda x, y: (y ** 2, 2 * x * y), at=(3.0, 2.0))
    >>> assert_derivative(sigmoid, lambda x: sigmoid(x), at=[0.0, 1.0])
    Traceback (most recent call last):
    AssertionError: the derivative of sigmoid is off at 2 of 2 points, most at 1.0: 0.19661193324148185, where the analytic \
one is 0.7310585786300049, 4.81e+15 ulp away; to seven digits the partials of all nodes agree with differences
    """
    __tracebackhide__ = True   # pytest shows the test, not this
    formulas = [(1, analytic), *([(2, second)] if second else [])]
    wrong: list[tuple[float, str, str, Value]] = []
    points = _points(at)
    for args in points:
        for order, formula in formulas:
            with _at(args):
                y, xs = built(f, args)
                expected = [number_of(d) for d in leaves_of(formula(*args))]
            found = _found(order, y, xs)
            if len(expected) != len(found):
                raise ValueError(f"{ORDERS[order]} at {_shown(args)} has {len(found)} numbers, and the analytic one gave "
                                 f"{len(expected)}: for one argument it has its structure, for several it is a tuple")
            far, i = _worst(found, expected, rtol, atol)
            if far > 1:
                wrong.append((far, f"{ORDERS[order]} of {_name(f)} is off",
                              f"{_shown(args)}{_by(order, i, len(xs))}: {found[i]!r}, where the analytic one is "
                              f"{expected[i]!r}, {ulps(found[i], expected[i]):.3g} ulp away", y))
                break
    if wrong:
        _, what, where, y = max(wrong, key=lambda entry: entry[0])
        raise AssertionError(f"{what} at {len(wrong)} of {len(points)} points, most at {where}{_blamed(y)}")


def assert_same(f: Callable[..., Any], g: Callable[..., Any], at: Any, *, order: int = 1, rtol: float = 1e-12,
                atol: float = 0.0) -> None:
    """Two forms of one function agree in value and gradient, and of order 2 in second derivatives, at every point.

    |f − g| ≤ rtol·|g| + atol must hold for each number, an infinity or nan must be the same, and where one form raises the
    other must raise an error of the same type. AssertionError tells the worst point, both numbers and their distance in ulp.

    >>> from autograd import exp, log, sigmoid, softplus
    >>> assert_same(lambda x: -log(sigmoid(x)), lambda x: softplus(-x), at=[-3.0, 0.0, 3.0], order=2)
    >>> assert_same(lambda x: log(1 + exp(x)), softplus, at=[-40.0, 0.0])
    Traceback (most recent call last):
    AssertionError: the value of <lambda> and of softplus differs at 1 of 2 points, most at -40.0: 0.0 and \
4.248354255291589e-18, 5.51e+15 ulp apart
    """
    __tracebackhide__ = True   # pytest shows the test, not this
    wrong: list[tuple[float, str, str]] = []
    points = _points(at)
    for args in points:
        a, b = [outcome(partial(_derivatives, h, args, order)) for h in (f, g)]
        if a.error or b.error:
            if a.kind != b.kind:
                wrong.append((math.inf, "the outcome", f"{_shown(args)}: {a} and {b}"))
            continue
        far, i = _worst(a.numbers, b.numbers, rtol, atol)
        if far > 1:
            n = len(leaves_of(args))
            what = "the value" if i == 0 else ORDERS[1 if i <= n else 2]
            by = "" if i == 0 else _by(1, i - 1, n) if i <= n else _by(2, i - 1 - n, n)
            wrong.append((far, what, f"{_shown(args)}{by}: {a.numbers[i]!r} and {b.numbers[i]!r}, "
                          f"{ulps(a.numbers[i], b.numbers[i]):.3g} ulp apart"))
    if wrong:
        _, what, where = max(wrong, key=lambda entry: entry[0])
        raise AssertionError(f"{what} of {_name(f)} and of {_name(g)} differs at {len(wrong)} of {len(points)} points, "
                             f"most at {where}")


def assert_gradients(f: Callable[..., Any], at: Any = None, *, order: int = 2,
                     backends: str | Sequence[str] | None = None) -> None:
    """Every way to the derivatives of f agrees with every other, at every point: the same numbers, or the same type of error.

    f          a function that gives one number; a `Program` has a point of its own, if none is given
    order      1 compares value and gradient, 2 the second derivatives too, 3 also ∂³f/∂x²∂y
    backends   of compiled ways: those that are installed, unless given; ValueError for one that there is not

    The ways: reverse mode by `backward`, `grad` and `vjp`, forward mode, graphs of derivatives, derivatives of functions,
    compiled graphs and traced functions on every backend, alone and in a batch, and differences. Numbers may be as far apart as
    rounding can take them, which is computed along the graph (autograd/testing/compare.py), differences further; where that
    says nothing, next to a kink, say, they are not judged. A function that cannot be traced is not compiled.

    >>> from autograd import relu, tanh
    >>> assert_gradients(lambda x, y: tanh(x * y) + relu(x), at=[(0.5, 2.0), (0.0, 1.0)], backends=["python"])
    """
    __tracebackhide__ = True   # pytest shows the test, not this
    backends = [backends] if isinstance(backends, str) else backends
    for backend in backends or ():
        check(backend)
    for args in _points(at) if at is not None else [f.args]:  # type: ignore[attr-defined]
        y = None
        with suppress(ArithmeticError, ValueError):   # which all ways must raise
            y, _ = built(f, args)
        told = []
        for k in range(1, order + 1):
            outcomes, off = compared(f, args, k, [*ways(k, backends), *[way for way in differences() if way.order == k]])
            judged = [(way, found) for way, found in outcomes if not isinstance(found.error, TraceError)]
            told += [f"  order {k}: {d}{_others(len(d.ways))}{_blamed(y) if y is not None and d.found.off else ''}"
                     for d in clusters(k, judged, off)]
        if told:
            raise AssertionError("\n".join([f"ways to the derivatives of {_name(f)} at {_shown(args)} disagree:", *told,
                                            *(f.source() if isinstance(f, Program) else ())]))


# ---- points and numbers

def _points(at: Any) -> list[tuple[Any, ...]]:
    def plain(x: Any) -> Any:
        """With the numbers of Values: what is tested makes its own."""
        return shaped(x, [v.data if isinstance(v, Value) else v for v in leaves_of(x)])
    if isinstance(at, tuple):
        return [plain(at)]
    if isinstance(at, (dict, Value)) or not isinstance(at, Iterable) or getattr(at, "ndim", 1) == 0:
        return [(plain(at),)]
    points = [plain(point) if isinstance(point, tuple) else (plain(point),) for point in at]
    if not points:
        raise ValueError("at holds no point: nothing would be tested")
    return points


@contextmanager
def _at(args: tuple[Any, ...]) -> Iterator[None]:
    """Within it, an error tells the point."""
    try:
        yield
    except Exception as error:
        error.add_note(f"at the point {_shown(args)}")
        raise


def _found(order: int, y: Value, xs: Sequence[Value]) -> list[float]:
    try:
        return [d.data for d in targets(order, y, xs)][order == 1:]
    except FloatingPointError:
        return [math.nan] * len(xs) ** order


def _derivatives(f: Callable[..., Any], args: tuple[Any, ...], order: int) -> list[Value]:
    y, xs = built(f, args)
    return [d for k in range(1, order + 1) for d in targets(k, y, xs)]


def _worst(found: Sequence[float], expected: Sequence[float], rtol: float, atol: float) -> tuple[float, int]:
    """(how many times the distance is what is allowed, of which of the numbers): the worst, and of equals the first."""
    excess = [_excess(a, b, rtol, atol) for a, b in zip(found, expected, strict=True)]
    return max(excess), excess.index(max(excess))


def _excess(found: float, expected: float, rtol: float, atol: float) -> float:
    """How many times the distance is what is allowed; inf where it cannot be measured."""
    if found == expected or (found != found and expected != expected):
        return 0.0
    allowed = rtol * abs(expected) + atol
    distance = abs(found - expected)
    if not (math.isfinite(distance) and math.isfinite(allowed)):
        return math.inf
    return distance / allowed if allowed else math.inf


# ---- words of messages

def _shown(args: tuple[Any, ...]) -> str:
    return bounded(args[0] if len(args) == 1 else args)


def _by(order: int, i: int, n: int) -> str:
    return "" if n == 1 else f" by number {i} of the arguments" if order == 1 else f" by the numbers {i // n} and {i % n}"


def _name(f: Any) -> str:
    return repr(f) if isinstance(f, Program) else getattr(f, "__name__", None) or getattr(f, "name", None) or bounded(f)


def _others(n: int) -> str:
    return f" (so do {n - 1} others)" if n > 1 else ""


def _blamed(y: Value) -> str:
    """The node whose partial is not what differences give: first to three digits, then to seven."""
    for eps, atol, rtol in ((1e-6, 1e-5, 1e-3), (1e-5, 1e-7, 1e-7)):
        try:
            found = culprit(y, eps, atol, rtol)
        except (ArithmeticError, ValueError):   # next to the border of a domain
            return ""
        if found:
            return found
    return "; to seven digits the partials of all nodes agree with differences"
