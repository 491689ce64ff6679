"""A row's array form, read: what `array=lambda xp, x: 1 / (1 + xp.exp(-x))` computes, as a formula of numpy's functions.

The array form of a row is written for any `xp`. Given numpy it computes; given the `Recorder` here it writes down what it
calls. A formula is a number, an `Argument` of the row, or a `Call` of a function, under numpy's name, on formulas. So every
target that needs code and not numbers (numpy statements, machine code, JavaScript) reads the one definition, and lists for
itself only what a library knows: exp, log, sin …

>>> print(read(lambda xp, x: xp.where(x >= 0, 1.0, xp.exp(x)) / (1 + xp.exp(-xp.abs(x))), 1))
divide(where(greater_equal(x0, 0.0), 1.0, exp(x0)), add(1.0, exp(negative(absolute(x0)))))
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from typing import Any, NoReturn

__all__ = ["ALIASES", "Argument", "Call", "Formula", "UnreadableError", "calls", "expanded", "is_condition", "read",
           "takes_condition"]

ALIASES = {"abs": "absolute", "fabs": "absolute", "true_divide": "divide", "mod": "remainder", "pow": "power",
           "acos": "arccos", "acosh": "arccosh", "asin": "arcsin", "asinh": "arcsinh", "atan": "arctan", "atan2": "arctan2",
           "atanh": "arctanh"}

# Functions that give yes or no for every number.
CONDITIONS = frozenset(("equal", "greater", "greater_equal", "isfinite", "isinf", "isnan", "less", "less_equal", "logical_and",
                        "logical_not", "logical_or", "not_equal"))


class UnreadableError(TypeError):
    """An array form that does something else than call functions of `xp` on its arguments."""


class Formula:
    """What an array form computes: an Argument or a Call. Arithmetic and comparisons give Calls."""

    __slots__ = ()
    __hash__ = object.__hash__

    def __bool__(self) -> NoReturn:
        raise UnreadableError("it branches on a number: use xp.where(condition, a, b)")

    def __neg__(self) -> Call:
        return Call("negative", self)

    def __abs__(self) -> Call:
        return Call("absolute", self)

    def __invert__(self) -> Call:
        return Call("logical_not", self)

    def __eq__(self, other: object) -> Call:  # type: ignore[override]
        return Call("equal", self, other)

    def __ne__(self, other: object) -> Call:  # type: ignore[override]
        return Call("not_equal", self, other)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Call:
        """numpy's own function instead of that of `xp`."""
        if method != "__call__" or options:
            raise UnreadableError(f"it calls numpy.{ufunc.__name__}.{method}")
        return Call(ufunc.__name__, *inputs)


def _operator(name: str, turned: bool = False) -> Callable[[Formula, Any], Call]:
    return (lambda self, other: Call(name, other, self)) if turned else (lambda self, other: Call(name, self, other))


for _sign, _name in {"add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide", "floordiv": "floor_divide",
                     "mod": "remainder", "pow": "power", "and": "logical_and", "or": "logical_or"}.items():
    setattr(Formula, f"__{_sign}__", _operator(_name))
    setattr(Formula, f"__r{_sign}__", _operator(_name, turned=True))
for _sign, _name in {"lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal"}.items():
    setattr(Formula, f"__{_sign}__", _operator(_name))


class Argument(Formula):
    """Argument `place` of the row, counted from 0."""

    __slots__ = ("place",)

    def __init__(self, place: int) -> None:
        self.place = place

    def __repr__(self) -> str:
        return f"x{self.place}"


class Call(Formula):
    """The function called `name` in numpy, of formulas and numbers."""

    __slots__ = ("args", "name")

    def __init__(self, name: str, *args: Any) -> None:
        self.name = ALIASES.get(name, name)
        for x in args:
            if not isinstance(x, (Formula, int, float)):
                raise UnreadableError(f"it gives {name} {type(x).__name__} {x!r:.40}, which is no number")
        self.args: tuple[Formula | float, ...] = tuple([x if isinstance(x, Formula) else float(x) for x in args])

    def __repr__(self) -> str:
        return f"{self.name}({', '.join(map(repr, self.args))})"


class Recorder:
    """An `xp` whose functions are Calls."""

    nan, inf, pi, e = math.nan, math.inf, math.pi, math.e

    def __getattr__(self, name: str) -> Callable[..., Call]:
        def called(*args: Any, **options: Any) -> Call:
            if options:
                raise UnreadableError(f"it gives {name} the option {next(iter(options))}")
            return Call(name, *args)
        return called


def read(array: Callable[..., Any], n: int) -> Formula | float:
    """The formula of `array(xp, x0, …, x(n−1))`; UnreadableError where it is none."""
    try:
        found = array(Recorder(), *[Argument(i) for i in range(n)])
    except UnreadableError:
        raise
    except Exception as error:
        raise UnreadableError(f"it is no formula of xp's functions ({' '.join(str(error).split()):.200})") from None
    if not isinstance(found, (Formula, int, float)):
        raise UnreadableError(f"it gives {type(found).__name__}, which is no formula of xp's functions")
    return found if isinstance(found, Formula) else float(found)


def calls(formula: Formula | float) -> list[Call]:
    """The Calls of a formula, each once, arguments before what is computed of them."""
    found: dict[Call, None] = {}
    path = [formula]
    while path:
        x = path[-1]
        waiting = [part for part in x.args if isinstance(part, Call) and part not in found] if isinstance(x, Call) else []
        path += waiting
        if not waiting:
            path.pop()
            if isinstance(x, Call):
                found[x] = None
    return list(found)


def is_condition(x: Formula | float) -> bool:
    """Whether it says yes or no, and is no number."""
    return isinstance(x, Call) and x.name in CONDITIONS


def takes_condition(call: Call, i: int) -> bool:
    """Whether argument i of a call is a condition: a number there says yes unless it is 0."""
    return call.name.startswith("logical") or (call.name == "where" and i == 0)


# ---- functions that are made of simpler ones, for a target that has no better way

def _heaviside(xp: Any, x: Any, at_0: Any) -> Any:
    return xp.where(x > 0, 1.0, xp.where(x < 0, 0.0, xp.where(x == 0, at_0, x)))


def _remainder(xp: Any, a: Any, b: Any) -> Any:
    r = xp.fmod(a, b)
    return xp.where(r == 0, xp.copysign(0.0, b), xp.where((b < 0) == (r < 0), r, r + b))


def _floor_divide(xp: Any, a: Any, b: Any) -> Any:
    r = xp.fmod(a, b)
    q = (a - r) / b - xp.where((r != 0) & ((b < 0) != (r < 0)), 1.0, 0.0)   # whole, but for rounding
    below = xp.floor(q)
    whole = xp.where(q - below > 0.5, below + 1, below)
    return xp.where(b == 0, a / b, xp.where(q == 0, xp.copysign(0.0, a / b), whole))


EXPANSIONS: dict[str, Callable[..., Any]] = {
    "square": lambda xp, x: x * x, "reciprocal": lambda xp, x: 1 / x, "positive": lambda xp, x: x,
    "isnan": lambda xp, x: x != x, "isinf": lambda xp, x: xp.abs(x) == math.inf, "isfinite": lambda xp, x: xp.abs(x) < math.inf,
    "sign": lambda xp, x: xp.where(x > 0, 1.0, xp.where(x < 0, -1.0, x)), "heaviside": _heaviside,
    "maximum": lambda xp, a, b: xp.where((a > b) | (a != a), a, b),
    "minimum": lambda xp, a, b: xp.where((a < b) | (a != a), a, b),
    "clip": lambda xp, x, low, high: xp.minimum(xp.maximum(x, low), high),
    "logaddexp": lambda xp, a, b: xp.where(a == b, a + math.log(2), xp.maximum(a, b) + xp.log1p(xp.exp(-xp.abs(a - b)))),
    "remainder": _remainder, "floor_divide": _floor_divide,
}


def expanded(formula: Formula | float, known: Collection[str]) -> Formula | float:
    """The formula in `known` functions only; UnreadableError names one that is neither known nor made of known ones.

    >>> print(expanded(read(lambda xp, x: xp.isinf(x), 1), ("absolute", "equal")))
    equal(absolute(x0), inf)
    """
    made: dict[Call, Formula | float] = {}
    for call in calls(formula):
        args = [made[x] if isinstance(x, Call) else x for x in call.args]
        if call.name in known:
            changed = any([a is not b for a, b in zip(args, call.args, strict=True)])
            made[call] = Call(call.name, *args) if changed else call
        elif call.name in EXPANSIONS:
            made[call] = expanded(EXPANSIONS[call.name](Recorder(), *args), known)
        else:
            raise UnreadableError(call.name)
    return made[formula] if isinstance(formula, Call) else formula
