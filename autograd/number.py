"""How a Value stands among Python's and numpy's numbers: methods by name, comparisons, print, and what it refuses.

Nothing here records or differentiates: read value.py first.
"""

from __future__ import annotations

from typing import Any, NoReturn

from . import primitives as p
from .conversion import bounded, to_float
from .primitive import Primitive, carry

__all__ = ["Number"]


class Number:
    """What a Value has of a number, beside its arithmetic; a base without fields."""

    __slots__ = ()
    data: Any
    grad: Any
    label: Any
    _data: float
    _name: Any
    __primitive__: Any

    # ---- functions as methods

    def exp(self) -> Any:
        """e to this power."""
        return self.__primitive__(p.exp, (self,))

    def log(self) -> Any:
        """The natural logarithm; ValueError unless positive."""
        return self.__primitive__(p.log, (self,))

    def sqrt(self) -> Any:
        """The square root; ValueError if negative."""
        return self.__primitive__(p.sqrt, (self,))

    def tanh(self) -> Any:
        """The hyperbolic tangent."""
        return self.__primitive__(p.tanh, (self,))

    def sigmoid(self) -> Any:
        """1 / (1 + e^(−x)), exact in both tails."""
        return self.__primitive__(p.sigmoid, (self,))

    def relu(self) -> Any:
        """max(0, x), with slope 0 at 0."""
        return self.__primitive__(p.relu, (self,))

    def sin(self) -> Any:
        """The sine."""
        return self.__primitive__(p.sin, (self,))

    def cos(self) -> Any:
        """The cosine."""
        return self.__primitive__(p.cos, (self,))

    # ---- what is left of a division, as of Python's floats

    def __mod__(self, other: Any) -> Any:
        return _of_two(p.mod, self, other)

    def __rmod__(self, other: Any) -> Any:
        return _of_two(p.mod, other, self)

    def __floordiv__(self, other: Any) -> Any:
        return _of_two(p.floor_divide, self, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return _of_two(p.floor_divide, other, self)

    def __divmod__(self, other: Any) -> Any:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> Any:
        return other // self, other % self

    # ---- comparisons look at the number, the hash is the identity

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

    def __round__(self, digits: int | None = None) -> NoReturn:
        raise TypeError(f"round() of {self._name()} would lose its gradient: use round(v.data) for the number, f'{{v:.2f}}' to "
                        "print it, or autograd.round for a whole number in the graph")

    def conjugate(self) -> Any:
        """Itself, being real: what numpy's var and std ask for."""
        return self

    def item(self) -> float:
        """The number, as `.data`."""
        return self.data  # type: ignore[no-any-return]

    def __format__(self, spec: str) -> str:
        return format(self._data, spec) if spec else repr(self)

    def __repr__(self) -> str:
        label = "" if self.label is None else f", label={bounded(self.label)}"
        return f"Value(data={self._data!r}, grad={bounded(self.grad)}{label})"

    def _repr_svg_(self) -> str | None:
        from .display import picture
        return picture(self)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        from .arrays import apply_ufunc
        return apply_ufunc(ufunc, method, inputs, kwargs)


def _number(x: Any) -> Any:
    return x.data if isinstance(x, Number) else x


carry(Number)   # numpy computes np.arctan of an object array by calling each element's method of that name


def _of_two(op: Primitive, a: Any, b: Any) -> Any:
    """op(a, b), or NotImplemented where one is no number."""
    for x in (a, b):
        if not isinstance(x, Number):
            try:
                to_float(x)
            except TypeError:
                return NotImplemented
    return op(a, b)
