"""Value: a number that remembers where it came from.   Reverse mode in one sweep:

    y = f(*xs)     a node: `y.data` its number, `y.op` its primitive, `y.args` its arguments
    g = ∂L/∂y      the adjoint, `y.grad`: what arrives from above
    x.grad += g · ∂y/∂x

A leaf is a `Value`; what is computed from it is a `Result`, which adds the operation and the arguments. Arrows point
down only: no node knows its users and there is no cycle, so a graph dies as soon as its root is dropped.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import repeat
from threading import Lock
from typing import Any, NoReturn

from . import primitives as p
from .graph import topological
from .primitive import Primitive, bounded, to_float
from .sweep import blame, check_unchanged, sweep

__all__ = ["Value", "no_grad"]

_clock, _tick = 0, Lock()   # counts assignments to leaves, so that a sweep can tell old numbers from new ones
_new = object.__new__
_add, _mul = p.add, p.mul


class Value:
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

    __slots__ = ("_data", "_time", "grad", "label")
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
            _refuse_number(self)
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
        return NotImplemented if other is NotImplemented else self + constant(-other._data)

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

    def exp(self) -> Value:
        """e to this power."""
        return apply(p.exp, self)

    def log(self) -> Value:
        """The natural logarithm; ValueError unless positive."""
        return apply(p.log, self)

    def sqrt(self) -> Value:
        """The square root; ValueError if negative."""
        return apply(p.sqrt, self)

    def tanh(self) -> Value:
        """The hyperbolic tangent."""
        return apply(p.tanh, self)

    def sigmoid(self) -> Value:
        """1 / (1 + e^(−x)), exact in both tails."""
        return apply(p.sigmoid, self)

    def relu(self) -> Value:
        """max(0, x), with slope 0 at 0."""
        return apply(p.relu, self)

    def sin(self) -> Value:
        """The sine."""
        return apply(p.sin, self)

    def cos(self) -> Value:
        """The cosine."""
        return apply(p.cos, self)

    # ---- a Value among Python's and numpy's numbers

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return self.data == _number(other)  # type: ignore[no-any-return]

    def __ne__(self, other: object) -> bool:
        return self.data != _number(other)  # type: ignore[no-any-return]

    def __lt__(self, other: Any) -> bool:
        return self.data < _number(other)  # type: ignore[no-any-return]

    def __le__(self, other: Any) -> bool:
        return self.data <= _number(other)  # type: ignore[no-any-return]

    def __gt__(self, other: Any) -> bool:
        return self.data > _number(other)  # type: ignore[no-any-return]

    def __ge__(self, other: Any) -> bool:
        return self.data >= _number(other)  # type: ignore[no-any-return]

    def __bool__(self) -> bool:
        return bool(self.data)

    def __float__(self) -> NoReturn:
        raise TypeError(f"float() of {self._name()} would lose its gradient: use .data for the number, "
                        "or autograd's own functions (autograd.exp, not math.exp)")

    __int__ = __complex__ = __float__

    def conjugate(self) -> Value:
        """Itself, being real: what numpy's var and std ask for."""
        return self

    def item(self) -> float:
        """The number, as `.data`."""
        return self.data

    def detach(self) -> Value:
        """A constant of the same number: nothing is differentiated through it."""
        return constant(self.data)

    def __format__(self, spec: str) -> str:
        return format(self._data, spec) if spec else repr(self)

    def __repr__(self) -> str:
        label = "" if self.label is None else f", label={bounded(self.label)}"
        return f"Value(data={self._data!r}, grad={bounded(self.grad)}{label})"

    def _repr_svg_(self) -> str | None:
        from viz import picture_or_none
        return picture_or_none(self)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        from .arrays import apply_ufunc
        return apply_ufunc(ufunc, method, inputs, kwargs)

    @staticmethod
    def __primitive__(op: Primitive, xs: Sequence[Any]) -> Value:
        return apply(op, *[x if isinstance(x, Value) else constant(to_float(x, f"{op.name}()")) for x in xs])

    def _name(self) -> str:
        """How an error calls this node: by its label, else by what it computes."""
        if self.label is not None:
            return f"node {bounded(self.label)}"
        return self.op.called(*[a._data for a in self.args]) if self.op else f"Value({self._data:g})"

    # ---- reverse mode

    def backward(self) -> None:
        """Add ∂self/∂v to the `grad` of every leaf v below; set that of every node between.

        Calling it again doubles the leaves' gradients exactly: zero them between steps. An adjoint of exactly 0
        contributes nothing, even to an infinite slope. RuntimeError if a leaf was assigned after it was used,
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
            sweep(self, order)
            if any([v.grad != v.grad and not v.constant for v in leaves]):
                blame(order, lambda v: v.grad)
            gradients = [0.0 if v.constant else (g or 0.0) + v.grad for v, g in zip(leaves, before, strict=True)]
        finally:   # in one call, which an interrupt cannot enter: all leaves are set, or none
            deque(map(setattr, leaves, repeat("grad"), gradients), maxlen=0)

    # ---- copies: of any depth, without recursion

    def __getstate__(self) -> tuple[Any, dict[str, Any]]:
        return getattr(self, "__dict__", None), {name: getattr(self, name) for name in ("_data", "grad", "label")}

    def __setstate__(self, state: tuple[Any, dict[str, Any]]) -> None:
        for part in state:
            for name, x in (part or {}).items():
                setattr(self, name, x)
        self._time = _clock

    def __copy__(self) -> Value:
        v = _new(type(self))
        v.__setstate__(self.__getstate__())
        v._time = self._time
        if isinstance(v, Result):
            v.op, v.args = self.op, self.args
        return v

    def __deepcopy__(self, memo: dict[int, Any]) -> Value:
        for v in topological(self):
            if id(v) not in memo:
                memo[id(v)] = v.__copy__()
                if v.args:
                    memo[id(v)].args = tuple([memo[id(a)] for a in v.args])
        return memo[id(self)]  # type: ignore[no-any-return]


class Constant(Value):
    """A number that an expression was given as a plain number, or that `detach` or `no_grad` made: no variable."""

    __slots__ = ()
    constant = True


class Result(Value):
    """What an operation computed."""

    __slots__ = ("args", "op")

    def __reduce__(self) -> tuple[Any, ...]:
        order = topological(self)
        check_unchanged(order)
        leaves, results = [v for v in order if not v.args], [v for v in order if v.args]
        place = {v: i for i, v in enumerate([*leaves, *results])}
        labels = {i: v.label for i, v in enumerate(results) if v.label is not None}
        return _assemble, (leaves, [v.op for v in results], [len(v.args) for v in results],
                           [place[a] for v in results for a in v.args], [v._data for v in results], [v.grad for v in results],
                           labels)


_RECORDING: ContextVar[type[Value]] = ContextVar("autograd_recording", default=Result)   # what an operation makes
_recording = _RECORDING.get


def apply(op: Primitive, *args: Value) -> Value:
    """op(*args), recorded."""
    kind = _recording()
    if kind.symbolic:
        y = math.nan
    else:
        data = [a._data for a in args]
        try:
            y = op.value(*data)
        except (ArithmeticError, ValueError):
            y = op.evaluate(*data, names=[a.label for a in args])
        if type(y) is not float:
            y = to_float(y, f"the value of {op.name}")
        if kind is Constant:
            return constant(y)
    v: Any = _new(kind)
    v._data = y
    v._time = _clock
    v.grad = 0.0
    v.label = None
    v.op = op
    v.args = args
    return v  # type: ignore[no-any-return]


@contextmanager
def no_grad() -> Iterator[None]:
    """Within it, results are plain numbers in a Value: nothing is recorded, so nothing can be differentiated.

    The setting belongs to the current thread or asyncio task; as a decorator, to the call.

    >>> x = Value(3.0)
    >>> with no_grad():
    ...     y = x * x
    >>> y.data, y.args
    (9.0, ())
    """
    if _recording().symbolic:
        from .compiler.trace import TraceError
        raise TraceError("no_grad() in a function that is traced: its results would be numbers, and there are none yet; "
                         "leave it out, and differentiate by the arguments that you want")
    with recording(Constant):
        yield


@contextmanager
def recording(kind: type[Value] | None = None) -> Iterator[None]:
    """Within it, operations make a `kind` of Value: by default a Result, or what they make already if that is recorded too."""
    token = _RECORDING.set(kind or (Result if _recording() is Constant else _recording()))
    try:
        yield
    finally:
        _RECORDING.reset(token)


def constant(data: Any) -> Value:
    """A Value that is no variable: nothing is differentiated by it."""
    v = _new(Constant)
    v._data = data
    v._time = _clock
    v.grad = 0.0
    v.label = None
    return v


def _operand(x: Any) -> Any:
    """A number in an expression, as a Constant; NotImplemented for what is none."""
    if type(x) is float:
        return constant(x)
    try:
        return constant(to_float(x))
    except TypeError:
        return NotImplemented


def _refuse_number(v: Value) -> NoReturn:
    from .compiler.trace import TraceError
    raise TraceError(f"the number of {v._name()} is asked for while a function is traced: it is read anew at every call of "
                     "the compiled function, so it cannot decide anything now; use relu, maximum, minimum, abs, or "
                     "where(step(a - b), …, …)")


def _number(x: Any) -> Any:
    return x.data if isinstance(x, Value) else x


def _assemble(leaves: list[Value], ops: list[Primitive], counts: list[int], places: list[int], data: list[float],
              grads: list[float], labels: dict[int, str]) -> Value:
    """The graph that `Result.__reduce__` took apart into columns; `places` are those of the arguments, one after another."""
    nodes, args = list(leaves), iter(places)
    for i, op in enumerate(ops):
        v = _new(Result)
        v.op, v.args = op, tuple([nodes[next(args)] for _ in range(counts[i])])
        v._data, v._time, v.grad, v.label = data[i], _clock, grads[i], labels.get(i)
        nodes.append(v)
    return nodes[-1]


def _method(op: Primitive) -> Callable[..., Value]:
    return lambda self, *others: op(self, *others)  # noqa: PLW0108   # a function binds to its object, a Primitive does not


# numpy computes np.arctan of an object array by calling each element's method of that name.
for _name, _op in {"arcsin": p.asin, "arccos": p.acos, "arctan": p.atan, "tan": p.tan, "sinh": p.sinh, "cosh": p.cosh,
                   "arcsinh": p.asinh, "arccosh": p.acosh, "arctanh": p.atanh, "exp2": p.exp2, "expm1": p.expm1,
                   "log1p": p.log1p, "log2": p.log2, "log10": p.log10, "cbrt": p.cbrt, "fabs": p.abs_,
                   "arctan2": p.atan2, "hypot": p.hypot}.items():
    setattr(Value, _name, _method(_op))
