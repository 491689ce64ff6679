"""Numbers in (nested) lists, tuples, dicts and arrays: taking them out and putting others in their place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from .value import Value

__all__ = ["leaves_of", "nested", "shaped", "variables"]


def _is_array(x: Any) -> bool:
    return hasattr(x, "__array_ufunc__") and hasattr(x, "ndim") and hasattr(x, "__setitem__")   # numpy's scalars have not


def is_flat(x: Any) -> bool:
    """Whether it is a list or tuple of nothing but numbers and Values: told by the types alone, of long ones quickly."""
    return isinstance(x, (list, tuple)) and all([issubclass(kind, (Value, float, int)) for kind in set(map(type, x))])


def leaves_of(x: Any) -> list[Any]:
    """The numbers (or Values) in `x`, from left to right.

    >>> leaves_of([1, (2, {"a": 3})])
    [1, 2, 3]
    """
    if isinstance(x, dict):
        return [leaf for part in x.values() for leaf in leaves_of(part)]
    if is_flat(x):
        return list(x)
    if isinstance(x, (list, tuple)):
        return [leaf for part in x for leaf in leaves_of(part)]
    if _is_array(x):
        import numpy as np
        return list(np.asarray(x).ravel())
    return [x]


def shaped(like: Any, leaves: Iterable[Any]) -> Any:
    """`leaves` in the structure of `like`.

    >>> shaped([1, (2, {"a": 3})], [7, 8, 9])
    [7, (8, {'a': 9})]
    """
    return _fill(like, iter(leaves))


def _fill(like: Any, leaves: Iterator[Any]) -> Any:
    if isinstance(like, dict):
        return {key: _fill(part, leaves) for key, part in like.items()}
    if isinstance(like, (list, tuple)):
        parts = [_fill(part, leaves) for part in like]
        return parts if isinstance(like, list) else type(like)(*parts) if hasattr(like, "_fields") else tuple(parts)
    if _is_array(like):
        import numpy as np
        filled = np.empty(like.shape, dtype=object)
        for i in np.ndindex(*like.shape):
            filled[i] = next(leaves)
        return filled if any(isinstance(x, Value) for x in filled.flat) else filled.astype(float)
    return next(leaves)


def nested(outer: Any, inner: Any, rows: Sequence[Sequence[Any]]) -> Any:
    """A matrix as the structure of `inner` inside that of `outer`; of two arrays, one array of both their shapes."""
    if _is_array(outer) and (_is_array(inner) or not isinstance(inner, (list, tuple, dict))):
        import numpy as np
        flat = [x for row in rows for x in row]
        return shaped(np.empty((*outer.shape, *getattr(inner, "shape", ())), dtype=object), flat)
    if _is_array(outer):
        return shaped(outer.tolist(), [shaped(inner, row) for row in rows])
    return shaped(outer, [shaped(inner, row) for row in rows])


def variables(x: Any) -> Any:
    """`x` with a new Value in place of every number, and in place of every Value: one that depends on it."""
    return shaped(x, [_renewed(leaf) if isinstance(leaf, Value) else Value(leaf) for leaf in leaves_of(x)])


def _renewed(x: Value) -> Value:
    """Equal to `x`, but a node apart: ∂/∂y of x·y at y = x is x and not 2x."""
    y = x * 1.0
    y.label = x.label
    return y
