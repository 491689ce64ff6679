"""Numbers in (nested) lists, tuples, dicts and arrays: taking them out and putting others in their place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from .conversion import bounded, to_float
from .value import Value

__all__ = ["MismatchError", "grads", "leaves_of", "matched", "nested", "numbers", "outline", "shape_of", "shaped", "values",
           "variables"]


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
        if any([hasattr(kind, "__len__") for kind in set(map(type, filled.flat))]):   # of structures: nested lists
            return filled.tolist()
        return filled if any(isinstance(x, Value) for x in filled.flat) else filled.astype(float)
    return next(leaves)


def values(x: Any, label: str | None = None) -> Any:
    """A Value for every number of `x`, in its structure: a list of lists for one, an object array for an array.

    label   their name: of a vector w they are w1, w2, …, of a matrix w11, w12, … by row and column, and w1_1, …, w1_12
            where one of them needs two digits. What stands in a dict has its key as its name.

    >>> W = values([[1.0, 2.0], [3.0, 4.0]], label="w")
    >>> W[1][0]
    Value(data=3.0, grad=0.0, label='w21')
    >>> [v.label for v in leaves_of(values({"w": [1.0, 2.0], "b": 0.0}))]
    ['w1', 'w2', 'b']
    """
    paths = _paths(x)
    between = "_" if any([i > 9 for path in paths for i in path if isinstance(i, int)]) else ""
    return shaped(x, [Value(number, _label(label, path, between)) for number, path in zip(leaves_of(x), paths, strict=True)])


def numbers(x: Any) -> Any:
    """The numbers of the Values in `x`, floats in its structure; an array of floats for an object array.

    >>> numbers([Value(1.0), (Value(2.0) * 3.0, 4)])
    [1.0, (6.0, 4.0)]
    """
    return shaped(x, [v.data if isinstance(v, Value) else to_float(v, "numbers()") for v in leaves_of(x)])


def grads(x: Any) -> Any:
    """The gradients that `backward` left in the Values in `x`, floats in its structure; TypeError for what is no Value.

    >>> w = values([2.0, 3.0])
    >>> (w[0] * w[1]).backward()
    >>> grads({"w": w})
    {'w': [3.0, 2.0]}
    """
    return shaped(x, [_gradient(v) for v in leaves_of(x)])


def _gradient(v: Any) -> float:
    if not isinstance(v, Value):
        raise TypeError(f"grads() got {bounded(v)}: a gradient is a Value's, as of those that values() makes of numbers")
    return v.grad or 0.0   # None, as torch's users set it, is none


def _paths(x: Any) -> list[tuple[Any, ...]]:
    """The keys, and the places from 1 on, that lead to each leaf, in the order of `leaves_of`."""
    if isinstance(x, dict):
        return [(f"{key}", *path) for key, part in x.items() for path in _paths(part)]
    if isinstance(x, (list, tuple)):
        return [(i, *path) for i, part in enumerate(x, 1) for path in _paths(part)]
    if _is_array(x):
        import numpy as np
        return [tuple([i + 1 for i in place]) for place in np.ndindex(*x.shape)]
    return [()]


def _label(name: str | None, path: Iterable[Any], between: str) -> str | None:
    """The name, keys with a dot before them, and places, with `between` from the second on."""
    mark = ""
    for part in path:
        if isinstance(part, str):
            name, mark = f"{name}.{part}" if name else part, ""
        elif name:
            name, mark = f"{name}{mark}{part}", between
    return name


def nested(outer: Any, inner: Any, rows: Sequence[Sequence[Any]]) -> Any:
    """A matrix as the structure of `inner` inside that of `outer`; of two arrays, one array of both their shapes."""
    if _is_array(outer) and not isinstance(inner, (list, tuple, dict)):
        import numpy as np
        flat = [x for row in rows for x in row]
        return shaped(np.empty((*outer.shape, *getattr(inner, "shape", ())), dtype=object), flat)
    return shaped(outer, [shaped(inner, row) for row in rows])


def variables(x: Any) -> Any:
    """`x` with a new Value in place of every number, and in place of every Value: one that depends on it."""
    return shaped(x, [_renewed(leaf) if isinstance(leaf, Value) else Value(leaf) for leaf in leaves_of(x)])


def _renewed(x: Value) -> Value:
    """Equal to `x`, but a node apart: ∂/∂y of x·y at y = x is x and not 2x."""
    y = x * 1.0
    y.label = x.label
    return y
