"""Values among numpy arrays: np.exp(v), np.float64(2) * v, array * v. Only numpy calls this, so numpy is there."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from . import primitives as p
from .conversion import to_float
from .primitive import by_ufunc

# What numpy has and the table has not: the rows are found by numpy's names for them.
UFUNCS: dict[str, Callable[..., Any]] = {
    "subtract": operator.sub, "float_power": operator.pow, "positive": operator.pos, "conjugate": operator.pos,
    "square": lambda x: x * x, "heaviside": lambda x, h: p.where(x, p.step(x), h), "logaddexp": p.logsumexp,
    "equal": operator.eq, "not_equal": operator.ne, "less": operator.lt, "less_equal": operator.le,
    "greater": operator.gt, "greater_equal": operator.ge,
}
REDUCTIONS = {"add", "multiply", "maximum", "minimum"}
COMPARISONS = {"equal", "not_equal", "less", "less_equal", "greater", "greater_equal"}


def apply_ufunc(ufunc: Any, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """ufunc(*inputs) where one input is a Value: a Value, or an object array of them."""
    name = ufunc.__name__
    if method == "reduce" and name in REDUCTIONS:   # np.sum(v): of one number, that number
        return inputs[0]
    function: Callable[..., Any] | None = by_ufunc(name) or UFUNCS.get(name)
    out = kwargs.pop("out", (None,))[0]
    if function is None or method != "__call__" or kwargs:
        raise TypeError(f"numpy.{'.'.join([name, method][:1 + (method != '__call__')])}({', '.join(kwargs)}) has no meaning "
                        "for a Value: use .data for its number, or a function of autograd")
    if any(np.ndim(x) for x in inputs):
        elementwise: Any = np.frompyfunc(function, len(inputs), 1)
        result = elementwise(*[_boxed(x) if hasattr(type(x), "__primitive__") else x for x in inputs])
        if name in COMPARISONS:
            result = result.astype(bool)
    else:
        result = function(*[x if hasattr(type(x), "__primitive__") else to_float(x, f"numpy.{name}") for x in inputs])
    if out is None:
        return result
    if out.dtype != object:
        raise TypeError(f"an array of {out.dtype} cannot hold a Value: use an array with dtype=object")
    out[...] = result
    return out


def _boxed(x: Any) -> Any:
    box = np.empty((), dtype=object)
    box[()] = x
    return box
