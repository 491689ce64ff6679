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

__all__ = ["PRIMITIVES", "Primitive", "errstate", "primitive", "to_float"]

PRIMITIVES: dict[str, Primitive] = {}
_VARIADIC = 0x04   # the flag of a code object that takes *args
_IGNORED: ContextVar[frozenset[str]] = ContextVar("autograd_ignored", default=frozenset())


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


class Primitive:
    """A scalar function y = f(*xs), and all that the project knows of it. Making one adds it to `PRIMITIVES`.

    name      what it is called: a Python identifier not yet in the table
    value     floats → float; raises ValueError or ZeroDivisionError where there is no number
    partials  (y, *xs) → one ∂y/∂x per argument; arithmetic and primitives only, no branches
    array     (xp, *xs) → y for whole arrays, xp being numpy; by default `value`, element by element
    pole      what IEEE arithmetic answers where `value` raises: ±inf at a pole, else nan (the default)
    overflow  the answer where `value` overflows; +inf by default
    latex, text   its notation: "{0}" is the first argument, "{0:2}" the same in brackets if it binds
              looser than 2 (1 a sum, 2 a product, 8 a function or power, 9 a symbol), "{0:^}" an exponent
    binds     how tightly the notation itself binds
    domain    an interval inside which it is smooth, for tests
    advice    what to do where it has no number: the last words of the error
    arity     how many arguments it takes, as `partials` says; None for any number

    >>> from autograd import Value
    >>> square = Primitive("docs_square", value=lambda x: x * x, partials=lambda y, x: (2 * x,))
    >>> x = Value(3.0)
    >>> square(x).backward()
    >>> x.grad
    6.0
    """

    __slots__ = ("advice", "arity", "array", "binds", "domain", "latex", "name", "overflow", "partials", "pole", "text",
                 "value")

    def __init__(self, name: str, *, value: Callable[..., float], partials: Callable[..., Any],
                 array: Callable[..., Any] | None = None, pole: Callable[..., float] = lambda *xs: math.nan,
                 overflow: Callable[..., float] = lambda *xs: math.inf,
                 latex: str | None = None, text: str | None = None, binds: int = 9,
                 domain: tuple[float, float] = (-3.0, 3.0), advice: str = "") -> None:
        if not (isinstance(name, str) and name.isidentifier()):
            raise ValueError(f"Primitive({bounded(name)}): the name must be a Python identifier")
        if name in PRIMITIVES:
            raise ValueError(f"Primitive({name!r}): the table has one of this name; choose another")
        self.name, self.value, self.partials, self.pole, self.overflow = name, value, partials, pole, overflow
        self.array = array or (lambda xp, *xs: xp.vectorize(self.ieee, otypes=[float])(*xs))
        self.latex, self.text, self.binds, self.domain, self.advice = latex, text, binds, domain, advice
        code = getattr(partials, "__code__", None)
        self.arity: int | None = None if code is None or code.co_flags & _VARIADIC else code.co_argcount - 1
        PRIMITIVES[name] = self

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
            raise type(error)(f"{self.called(*xs)}{of and ' of '}{of}: {self.advice or error}") from None

    def ieee(self, *xs: float) -> float:
        """f of floats, never raising: nan where it is invalid, ±inf at a pole."""
        with errstate(invalid="ignore", divide="ignore"):
            return self.evaluate(*xs)

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
        return primitive, (self.name,)


def primitive(name: str) -> Primitive:
    """The row of that name; KeyError if the table has none.

    >>> primitive("exp")
    <primitive exp>
    """
    try:
        return PRIMITIVES[name]
    except KeyError:
        raise KeyError(f"no primitive is called {bounded(name)}: define it before it is used or loaded") from None

