"""Numbers in (nested) lists, tuples, dicts and arrays: taking them out and putting others in their place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from .conversion import bounded
from .value import Value

__all__ = ["MismatchError", "leaves_of", "matched", "nested", "outline", "shape_of", "shaped", "variables"]


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
        refuse_masked(x)
        return list(np.asarray(x).ravel())
    return [x]


def refuse_masked(x: Any) -> None:
    """TypeError for an array of numpy.ma with entries that are masked: what stands there is no number."""
    if hasattr(x, "filled") and x.mask.any():
        raise TypeError(f"{bounded(x)} has masked entries, which have no number: fill them with .filled(…), or leave them out")


def shape_of(x: Any) -> tuple[int, ...] | None:
    """The shape of a number, an array or a regular nested list; None for what is irregular."""
    if hasattr(x, "shape"):
        return tuple(x.shape)
    if is_flat(x):
        return (len(x),)
    if isinstance(x, (list, tuple)):
        shapes = {shape_of(part) for part in x}
        inner = shapes.pop() if len(shapes) == 1 else None
        return None if inner is None else (len(x), *inner)
    return None if isinstance(x, dict) else ()


def outline(x: Any, width: int = 60) -> str:
    """The structure of `x` in print, without its numbers.

    >>> outline({"a": 2.0, "b": [1.0, 2.0]}), outline([0.0] * 9)
    ("{'a': ·, 'b': [·, ·]}", '[9 numbers]')
    """
    text = _drawn(x)
    return text if len(text) <= width else text[:width - 1] + "…"


def _drawn(x: Any) -> str:
    if isinstance(x, dict):
        return "{" + ", ".join([f"{key!r}: {_drawn(part)}" for key, part in x.items()]) + "}"
    if isinstance(x, (list, tuple)):
        inside = f"{len(x)} numbers" if len(x) > 4 and is_flat(x) else ", ".join(map(_drawn, x))
        return f"[{inside}]" if isinstance(x, list) else f"({inside}{',' * (len(x) == 1)})"
    return f"array of shape {tuple(x.shape)}" if getattr(x, "shape", ()) != () else "·"


class MismatchError(ValueError):
    """What was given is not of the structure of its template."""


def matched(like: Any, x: Any, axes: int = 0) -> list[Any]:
    """The numbers of x in the order of the template `like`, each an array if it has `axes` of its own.

    Keys are matched by name, and lists, tuples and arrays by place. MismatchError, which shows both, for another structure.

    >>> matched({"a": 2.0, "b": 4.0}, {"b": 1.0, "a": 0.0})
    [0.0, 1.0]
    """
    found: list[Any] = []
    stack = [(like, x)]
    while stack:
        part, given = stack.pop()
        if isinstance(part, dict):
            if not (isinstance(given, dict) and given.keys() == part.keys()):
                raise MismatchError(f"{outline(given)} in the place of {outline(part)}")
            stack += [(part[key], given[key]) for key in reversed(part)]
        elif not hasattr(part, "__len__") or getattr(part, "shape", None) == ():
            if (shape := shape_of(given)) is None or len(shape) != axes:
                raise MismatchError(f"{outline(given)} in the place of {outline(part)}")
            found.append(given)
        elif isinstance(given, (str, bytes, dict)) or not hasattr(given, "__len__") or (
                getattr(given, "shape", None) == () or len(given) != len(part)):
            raise MismatchError(f"{outline(given)} in the place of {outline(part)}")
        else:
            refuse_masked(given)
            numeric = not axes and getattr(getattr(given, "dtype", None), "kind", "O") in "fiub"
            parts = given.astype(float).tolist() if numeric else list(given)
            if not axes and is_flat(part) and is_flat(parts):
                found += parts
            else:
                stack += reversed(list(zip(part, parts, strict=True)))
    return found


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
