"""Value: a number that remembers where it came from.   Reverse mode in one sweep:

    y = f(*xs)     a node: `y.data` its number, `y.op` its primitive, `y.args` its arguments
    g = ∂L/∂y      the adjoint, `y.grad`: what arrives from above
    x.grad += g · ∂y/∂x

A leaf is a `Value`; what is computed from it is a `Result`, which adds the operation and the arguments; a number that was
written into an expression is a `Constant`. Arrows point down only: no node knows its users and there is no cycle, so a graph
dies as soon as its root is dropped. How a Value stands among Python's and numpy's numbers is told in number.py, how graphs
are copied in copies.py.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from contextvars import ContextVar
from itertools import repeat
from threading import Lock
from typing import Any

from . import primitives as p
from .conversion import TraceError, bounded, to_float
from .copies import Copied, one_assembled, taken_apart
from .faults import check_unchanged
from .forks import in_forked_child
from .graph import topological
from .number import Number
from .primitive import Primitive
from .sweep import sweep
from .zeros import pullback

__all__ = ["Constant", "Result", "Value", "apply", "literal"]

_clock, _tick = 0, Lock()   # counts assignments to leaves, so that a sweep can tell old numbers from new ones
in_forked_child(lambda: globals().update(_tick=Lock()))
_new = object.__new__
_add, _mul = p.add, p.mul


class Value(Number, Copied):
    """A scalar that can be differentiated.

    data    the number; anything that float() takes exactly one real number from. On a leaf it can be assigned.
    label   the name it has in tables, pictures and errors
    grad    after `backward()` of a result: the derivative of that result with respect to this value

    Numbers mix in on both sides (int, float, bool, Fraction, numpy scalars), comparisons look at the number,
    the hash is the identity, as of a torch tensor.

    >>> a, b = Value(2.0, label="a"), Value(-3.0, label="b")
    >>> c = a * b + a ** 2
    >>> c.backward()
    >>> c.data, a.grad, b.grad
    (-2.0, 1.0, 2.0)
    """

    __slots__ = ("_data", "_time", "grad", "label")   # _data is the number itself; .data is how others may read and set it
    op: Primitive | None = None
    args: tuple[Value, ...] = ()
    constant = False   # whether it is no variable
    symbolic = False   # whether it stands for a number that is not known

    def __init__(self, data: Any, label: str | None = None) -> None:
        if label is not None and not isinstance(label, str):
            raise TypeError(f"Value(label={bounded(label)}): a label is a str")
        self._data = to_float(data)
        self._time = _clock
        self.grad: float = 0.0
        self.label = label

    @property
    def data(self) -> float:
        """The number, a Python float."""
        if _recording().symbolic and not self.constant:
            raise TraceError(f"the number of {self._name()} is asked for while a function is traced: it is read anew at every "
                             "call of the compiled function, so it cannot decide anything now; use relu, maximum, minimum, "
                             "abs, or where(step(a - b), …, …)")
        return self._data

    @data.setter
    def data(self, data: Any) -> None:
        global _clock
        if self.args:
            raise AttributeError(f"the data of {self._name()} was computed and cannot be assigned: "
                                 "assign to a leaf and build the expression again")
        self._data = to_float(data, "Value.data")
        with _tick:
            _clock += 1
            self._time = _clock

    # ---- arithmetic: add and mul are written out, being nearly all nodes of most graphs (tests/benchmarks/eager.py)

    def __add__(self, other: Any) -> Value:
        if not isinstance(other, Value):
            other = _operand(other)
            if other is NotImplemented:
                return NotImplemented
        kind = _recording()
        v: Any = _new(kind)
        v._data = self._data + other._data
        v._time = _clock
        v.grad = 0.0
        v.label = None
        if kind is not Constant:
            v.op = _add
            v.args = (self, other)
        return v  # type: ignore[no-any-return]

    def __mul__(self, other: Any) -> Value:
        if not isinstance(other, Value):
            other = _operand(other)
            if other is NotImplemented:
                return NotImplemented
        kind = _recording()
        v: Any = _new(kind)
        v._data = self._data * other._data
        v._time = _clock
        v.grad = 0.0
        v.label = None
        if kind is not Constant:
            v.op = _mul
            v.args = (self, other)
        return v  # type: ignore[no-any-return]

    def __radd__(self, other: Any) -> Value:
        other = _operand(other)
        return NotImplemented if other is NotImplemented else other + self

    def __rmul__(self, other: Any) -> Value:
        other = _operand(other)
        return NotImplemented if other is NotImplemented else other * self

    def __neg__(self) -> Value:
        return apply(p.neg, self)

    def __pos__(self) -> Value:
        return self

    def __abs__(self) -> Value:
        return apply(p.abs_, self)

    def __sub__(self, other: Any) -> Value:
        if isinstance(other, Value):
            return self + -other
        other = _operand(other)
        return NotImplemented if other is NotImplemented else self + literal(-other._data)

    def __rsub__(self, other: Any) -> Value:
        other = _operand(other)
        return NotImplemented if other is NotImplemented else other + -self

    def __truediv__(self, other: Any) -> Value:
        other = other if isinstance(other, Value) else _operand(other)
        return NotImplemented if other is NotImplemented else apply(p.div, self, other)

    def __rtruediv__(self, other: Any) -> Value:
        other = _operand(other)
        if other is NotImplemented:
            return NotImplemented
        return apply(p.reciprocal, self) if other._data == 1 else apply(p.div, other, self)

    def __pow__(self, other: Any) -> Value:
        other = other if isinstance(other, Value) else _operand(other)
        return NotImplemented if other is NotImplemented else apply(p.pow_, self, other)

    def __rpow__(self, other: Any) -> Value:
        other = _operand(other)
        return NotImplemented if other is NotImplemented else apply(p.pow_, other, self)

    def detach(self) -> Value:
        """A constant of the same number: nothing is differentiated through it."""
        return literal(self.data)

    @staticmethod
    def __primitive__(op: Primitive, xs: Sequence[Any]) -> Value:
        return apply(op, *[x if isinstance(x, Value) else literal(to_float(x, f"{op.name}()")) for x in xs])

    def _name(self) -> str:
        """How an error calls this node: by its label, else by what it computes."""
        if self.label is not None:
            return f"node {bounded(self.label)}"
        return self.op.called(*[a._data for a in self.args]) if self.op else f"Value({self._data:g})"

    @staticmethod
    def _now() -> int:
        return _clock

    # ---- reverse mode

    def backward(self) -> None:
        """Add ∂self/∂v to the `grad` of every leaf v below; set that of every node between.

        Calling it again doubles the leaves' gradients exactly: zero them between steps. An adjoint of exactly 0
        contributes nothing, even to an infinite slope (zeros.py). RuntimeError if a leaf was assigned after it was used,
        or if nothing was recorded, FloatingPointError if finite numbers give a gradient that is nan; the leaves'
        gradients are then as before.
        """
        if self.constant:
            raise RuntimeError(f"{self!r} is a constant: it was detached or computed under no_grad, so there is nothing "
                               "to differentiate")
        order = topological(self)
        check_unchanged(order)
        leaves = [v for v in order if not v.args]
        gradients = before = [v.grad for v in leaves]
        try:
            if not (sweep(self, order) and all([v.constant or math.isfinite(v.grad) for v in leaves])):
                found = pullback(order, {self: 1.0}, [v for v in leaves if not v.constant], symbolic=False)
                for v in order:
                    v.grad = found.get(v, 0.0)
            gradients = [0.0 if v.constant else (g or 0.0) + v.grad for v, g in zip(leaves, before, strict=True)]
        finally:   # in one call, which an interrupt cannot enter: all leaves are set, or none
            deque(map(setattr, leaves, repeat("grad"), gradients), maxlen=0)


class Constant(Value):
    """A number that an expression was given as a plain number, or that `detach` or `no_grad` made: no variable."""

    __slots__ = ()
    constant = True


class Result(Value):
    """What an operation computed."""

    __slots__ = ("args", "op", "origin")   # origin: of a derivative, how it was found

    def __reduce__(self) -> tuple[Any, ...]:
        return one_assembled, taken_apart([self], Result)


RECORDING: ContextVar[type[Value]] = ContextVar("autograd_recording", default=Result)   # what an operation makes
_recording = RECORDING.get


def apply(op: Primitive, *args: Value) -> Value:
    """op(*args), recorded."""
    kind = _recording()
    if kind.symbolic:   # which has no number
        v: Any = _new(kind)
    else:
        data = [a._data for a in args]
        try:
            y = op.value(*data)
        except (ArithmeticError, ValueError):
            y = op.evaluate(*data, names=[a.label for a in args])
        if type(y) is not float:
            y = to_float(y, f"the value of {op.name}")
        if kind is Constant:
            return literal(y)
        v = _new(kind)
        v._data = y
    v._time = _clock
    v.grad = 0.0
    v.label = None
    v.op = op
    v.args = args
    return v  # type: ignore[no-any-return]


def literal(data: float, label: str | None = None) -> Value:
    """A number written into an expression: a Constant, made without the checks at the door."""
    v: Any = _new(Constant)
    v._data = data
    v._time = _clock
    v.grad = 0.0
    v.label = label
    return v  # type: ignore[no-any-return]


def _operand(x: Any) -> Any:
    """A number in an expression, as a Constant; NotImplemented for what is none."""
    if type(x) is float:
        return literal(x)
    try:
        return literal(to_float(x))
    except TypeError:
        return NotImplemented
