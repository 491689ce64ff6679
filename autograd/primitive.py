"""What a primitive is, what numbers it takes, and what happens where there is no number.

One policy holds everywhere: an invalid operation (log of −1) raises ValueError, a pole (1/0, log of 0) raises
ZeroDivisionError or ValueError as Python's own float and math have it, overflow is infinity, and a nan or an infinity
that is passed in propagates. `errstate` exchanges the two errors for IEEE's nan and infinity.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from .conversion import bounded, to_float
from .form import ALIASES, Call, Formula, UnreadableError, read

__all__ = ["PRIMITIVES", "Primitive", "by_ufunc", "carry", "deferred", "errstate", "no_pole", "pending", "primitive"]

PRIMITIVES: dict[str, Primitive] = {}
_BY_UFUNC: dict[str, Primitive] = {}   # numpy's name of a function → the row that is this function
_CARRIERS: list[type] = []             # classes that have the rows as methods
_CHECKING: ContextVar[bool] = ContextVar("autograd_checking", default=False)
_VARIADIC = 0x04   # the flag of a code object that takes *args
_IGNORED: ContextVar[frozenset[str]] = ContextVar("autograd_ignored", default=frozenset())
_DEFERRED: ContextVar[list[Exception] | None] = ContextVar("autograd_deferred", default=None)


@contextmanager
def errstate(*, invalid: str | None = None, divide: str | None = None) -> Iterator[None]:
    """Within it, an operation that has no number gives IEEE's answer ("ignore") or an error ("raise", the default).

    `invalid` is for what has no limit (log(-1) → nan), `divide` for poles (1/0 → inf), as in numpy.errstate;
    what is not named stays as it was. The setting belongs to the current thread or asyncio task.

    >>> from autograd import Value, log
    >>> with errstate(invalid="ignore", divide="ignore"):
    ...     log(Value(-1)).data, log(Value(0)).data
    (nan, -inf)
    """
    ignored = _IGNORED.get()
    for kind, choice in (("invalid", invalid), ("divide", divide)):
        if choice not in (None, "ignore", "raise"):
            raise ValueError(f"errstate({kind}={choice!r}): choose 'ignore' or 'raise'")
        if choice:
            ignored = ignored | {kind} if choice == "ignore" else ignored - {kind}
    token = _IGNORED.set(ignored)
    try:
        yield
    finally:
        _IGNORED.reset(token)


@contextmanager
def deferred(on: bool = True) -> Iterator[list[Exception]]:
    """Within it, what would be raised is collected, and the operation gives IEEE's answer: guard.py decides what to raise."""
    errors: list[Exception] = []
    token = _DEFERRED.set(errors if on else None)
    try:
        yield errors
    finally:
        _DEFERRED.reset(token)


def pending() -> list[Exception]:
    """What was deferred until now."""
    return _DEFERRED.get() or []


def no_pole(*xs: float) -> float:
    """Of a row without poles, what IEEE arithmetic answers where there is no number."""
    return math.nan


class Primitive:
    """A scalar function y = f(*xs), and all that the project knows of it. Making one adds it to `PRIMITIVES`.

    One row is enough: it works in operators, derivatives of any order, tables, pictures, pages, expressions, under numpy's
    functions and compiled. A row of your own replaces one that you made before under its name; graphs keep the row that
    they were built with.

    name      what it is called: a Python identifier that no row of the project has
    value     floats → float; raises ValueError or ZeroDivisionError where there is no number
    partials  (y, *xs) → one ∂y/∂x per argument; arithmetic and primitives only, no branches
    array     (xp, *xs) → y for whole arrays, in functions of `xp` under numpy's names, and operators; conditions are
              xp.where. Arrays, machine code and pages come of it; by default `value`, element by element, which machine
              code and pages cannot have
    pole      what IEEE arithmetic answers where `value` raises: ±inf at a pole, else nan (the default)
    overflow  the answer where `value` overflows; +inf by default
    latex, text   its notation: "{0}" is the first argument, "{0:2}" the same in brackets if it binds
              looser than 2 (1 a sum, 2 a product, 8 a function or power, 9 a symbol), "{0:^}" an exponent,
              "{0:+}" and "{0:-}" a further term of a sum, added and subtracted;
              of any number of arguments, "{0}" is all of them with commas between
    binds     how tightly the notation itself binds
    symbol    what a box of a picture shows; its name by default
    domain    an interval inside which it is smooth, for tests
    kink      (*xs) → 0 where a slope jumps or is a matter of convention; None where there is no such point
    flat      whether its partials are piecewise constant: one that is 0 then stands for no dependence at all
    advice    what to do where it has no number: the last words of the error
    arity     how many arguments it takes, as `partials` says; None for any number

    >>> from autograd import Value
    >>> square = Primitive("docs_square", value=lambda x: x * x, partials=lambda y, x: (2 * x,))
    >>> x = Value(3.0)
    >>> square(x).backward()
    >>> x.grad
    6.0
    """

    __slots__ = ("_formulas", "_given", "advice", "arity", "array", "binds", "builtin", "domain", "flat", "is_ufunc", "kink",
                 "latex", "name", "overflow", "partials", "pole", "symbol", "text", "ufunc", "value")

    def __init__(self, name: str, *, value: Callable[..., float], partials: Callable[..., Any],
                 array: Callable[..., Any] | None = None, pole: Callable[..., float] = no_pole,
                 overflow: Callable[..., float] = lambda *xs: math.inf,
                 latex: str | None = None, text: str | None = None, binds: int = 9, symbol: str | None = None,
                 domain: tuple[float, float] = (-3.0, 3.0), kink: Callable[..., Any] | None = None,
                 flat: bool = False, advice: str = "") -> None:
        if not (isinstance(name, str) and name.isidentifier()):
            raise ValueError(f"Primitive({bounded(name)}): the name must be a Python identifier")
        known = PRIMITIVES.get(name)
        if known and known.builtin:
            raise ValueError(f"Primitive({name!r}): the table has one of this name; choose another")
        self.name, self.value, self.partials, self.pole, self.overflow = name, value, partials, pole, overflow
        self.array = array or (lambda xp, *xs: xp.vectorize(self.ieee, otypes=[float])(*xs))
        self._given = array
        self._formulas: dict[int, Formula | float] = {}
        self.latex, self.text, self.binds, self.symbol = latex, text, binds, name if symbol is None else symbol
        self.domain, self.kink, self.flat, self.advice = domain, kink, flat, advice
        self.builtin: bool = False
        code = getattr(partials, "__code__", None)
        self.arity: int | None = None if code is None or code.co_flags & _VARIADIC else code.co_argcount - 1
        self._check_partials()
        called = self._called_as()
        self.ufunc, self.is_ufunc = called or name, called is not None
        PRIMITIVES[name] = self
        if by_ufunc(self.ufunc) is None:
            _BY_UFUNC[self.ufunc] = self
            for kind in _CARRIERS:
                _add_method(kind, self)

    def __call__(self, *xs: Any) -> Any:
        """f of numbers is a float, of Values a Value, of arrays an array. An argument's type may define
        `__primitive__(primitive, xs)`, and so decide for itself what a primitive means to it."""
        carrier = None
        if len(xs) != self.arity and (self.arity is not None or not xs):
            raise TypeError(f"{self.name} takes {self.arity or 'at least one'} argument{'s' * ((self.arity or 1) > 1)}, "
                            f"not {len(xs)}")
        for x in xs:
            carrier = carrier or getattr(type(x), "__primitive__", None)
            if getattr(x, "ndim", 0) and hasattr(x, "__array_ufunc__"):
                return self._of_arrays(xs)
        return carrier(self, xs) if carrier else self.evaluate(*[to_float(x, f"{self.name}()") for x in xs])

    def evaluate(self, *xs: float, names: Sequence[str | None] = ()) -> float:
        """f of floats, under the policy of `errstate`; an error tells the `names` of the arguments."""
        try:
            return self.value(*xs)
        except OverflowError:
            return self.overflow(*xs)
        except (ValueError, ZeroDivisionError) as error:
            y = self.pole(*xs)
            if ("divide" if math.isinf(y) else "invalid") in _IGNORED.get():
                return y
            of = ", ".join([f"node {bounded(name)}" for name in names if name is not None])
            told = f"{self.called(*xs)}{of and ' of '}{of}: {self.advice or error}"
            if (errors := _DEFERRED.get()) is None:
                raise type(error)(told) from None
            errors.append(type(error)(told))
            return y

    def ieee(self, *xs: float) -> float:
        """f of floats, never raising: nan where it is invalid, ±inf at a pole."""
        with errstate(invalid="ignore", divide="ignore"):
            return self.evaluate(*xs)

    def formula(self, n: int) -> Formula | float:
        """The array form of n arguments as a formula of numpy's functions. A row of the project without one is a function
        that numpy has not: it is called by its own name.

        UnreadableError, which names the row, where there is no array form or it is no formula.
        """
        if n not in self._formulas:
            array = self._given or (lambda xp, *xs: Call(self.name, *xs))
            if not (self._given or self.builtin):
                raise UnreadableError(f"{self.name} has no array form")
            try:
                self._formulas[n] = read(array, n)
            except UnreadableError as error:
                raise UnreadableError(f"the array form of {self.name} cannot be read: {error}") from None
        return self._formulas[n]

    def _check_partials(self) -> None:
        """ValueError unless there is one partial for each argument. Where it cannot be told yet, since they mention a row that
        is made later, sweeps tell it. (Those of the table do; a test looks at them.)"""
        if _CHECKING.get() or getattr(self.partials, "__module__", "") == "autograd.primitives":
            return
        n, (low, high) = self.arity or 2, self.domain
        xs = [low + (high - low) * (k + 1) / (n + 2) for k in range(n)]
        token = _CHECKING.set(True)   # rows that a partial makes are not checked: each might make another
        try:
            found = self.partials(self.ieee(*xs), *xs)
        except (Exception, KeyboardInterrupt):   # what they raise, they raise when they are asked
            return
        finally:
            _CHECKING.reset(token)
        count = len(list(found)) if hasattr(found, "__iter__") else 0
        if count != n:
            gave = f"{count} slope{'s' * (count != 1)}" if count else bounded(found)
            raise ValueError(f"Primitive({self.name!r}): the partials of {n} argument{'s' * (n != 1)} gave {gave}: they are a "
                             "tuple with one ∂y/∂x for each, as (2 * x,)")

    def _called_as(self) -> str | None:
        """What numpy calls this function, if its array form is one call of it."""
        n = self.arity or 2
        try:
            found = self.formula(n)
        except UnreadableError:
            return None
        whole = isinstance(found, Call) and [getattr(x, "place", None) for x in found.args] == [*range(n)]
        return found.name if whole else None  # type: ignore[union-attr]

    def called(self, *xs: float) -> str:
        """The call as an error shows it: log(-1)."""
        return f"{self.name}({', '.join([f'{x:.6g}' for x in xs[:4]] + ['…'] * (len(xs) > 4))})"

    def _of_arrays(self, xs: tuple[Any, ...]) -> Any:
        import numpy as np
        if any(np.asarray(x).dtype == object for x in xs):
            return np.frompyfunc(self, len(xs), 1)(*[np.asarray(x, dtype=object) for x in xs])
        with np.errstate(all="ignore"):
            return self.array(np, *[np.asarray(x, dtype=float) for x in xs])

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"

    def __reduce__(self) -> tuple[Any, ...]:
        if PRIMITIVES.get(self.name) is not self:
            from pickle import PicklingError
            raise PicklingError(f"the row {self.name} was replaced by another of its name: build the graph again to pickle it")
        return primitive, (self.name,)

    def __deepcopy__(self, memo: dict[int, Any]) -> Primitive:
        return self

    __copy__ = __deepcopy__


def primitive(name: str) -> Primitive:
    """The row of that name; KeyError if the table has none.

    >>> primitive("exp")
    <primitive exp>
    """
    try:
        return PRIMITIVES[name]
    except KeyError:
        raise KeyError(f"no primitive is called {bounded(name)}: define it before it is used or loaded") from None


def carry(kind: type) -> None:
    """Give a class a method for every row that is a function of numpy, and for those that users make, under numpy's names
    for it, unless it has an attribute of that name. (A `__getattr__` would slow every attribute down: a sweep by a third.)
    """
    _CARRIERS.append(kind)
    for row in list(_BY_UFUNC.values()):
        if row.is_ufunc or not row.builtin:
            _add_method(kind, row)


def _add_method(kind: type, row: Primitive) -> None:
    def method(self: Any, *others: Any) -> Any:
        return row(self, *others)
    method.__name__, method.__doc__ = row.ufunc, f"{row.name} of it."
    for name in (row.ufunc, *[alias for alias, known in ALIASES.items() if known == row.ufunc]):
        if getattr(getattr(kind, name, None), "__module__", __name__) == __name__:   # none yet, or one that was made here
            setattr(kind, name, method)


def by_ufunc(name: str) -> Primitive | None:
    """The row that is numpy's function of that name, if there is one: rows of users' own too.

    >>> by_ufunc("arctan2"), by_ufunc("matmul")
    (<primitive atan2>, None)
    """
    row = _BY_UFUNC.get(ALIASES.get(name, name))
    return row if row and PRIMITIVES.get(row.name) is row else None

