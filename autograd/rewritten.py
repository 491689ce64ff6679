"""Graphs as they are shown: the same computation with other nodes.

    opened           b + w1·x1 + w2·x2 as its products and sums, where it is one node
    without_starts   no 0 with which Python's `sum` begins
    in_letters       a leaf for every plain number that has a name

Each gives `y` anew and what stands in it for each node that y had. Leaves are those of y; a result is copied, with its number,
label and gradient, if anything below it changes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from functools import reduce
from typing import Any

from . import primitives as p
from .graph import topological
from .primitive import Primitive
from .value import Value

__all__ = ["in_letters", "labels_of", "moved", "opened", "shown", "starts_a_sum", "without_starts"]

Rewritten = tuple[Value, dict[Value, Value]]


def shown(y: Value, names: Mapping[Value, str] | None = None) -> Rewritten:
    """`y` opened and without starts, as pictures have it."""
    y, stands = opened(y)
    y, further = without_starts(y, moved(names, stands))
    return y, {v: further[s] for v, s in stands.items()}


def moved(names: Mapping[Value, str] | None, stands: Mapping[Value, Value]) -> dict[Value, str]:
    """The names, of what stands for their nodes."""
    return {stands.get(v, v): name for v, name in (names or {}).items()}


def opened(y: Value) -> Rewritten:
    """`y` with the products and sums of every weighted sum, which has the last sum in its place. Their gradients are its own,
    as of every term of a sum.

    >>> from autograd import affine
    >>> w, x, b = [Value(2.0), Value(3.0)], [Value(4.0), Value(5.0)], Value(1.0)
    >>> [v.op.name for v in topological(opened(affine(w, x, b))[0]) if v.args]
    ['mul', 'add', 'mul', 'add']
    """
    return _rewritten(y, topological(y), _is_closed, _open)


def _is_closed(v: Value) -> bool:
    return v.op is p.weighted_sum and len(v.args) > 1


def _open(v: Value, stands: Mapping[Value, Value]) -> Value:
    """The last sum of `v` over what stands for its arguments."""
    def made(op: Primitive) -> Callable[[Value, Value], Value]:
        def node(a: Value, b: Value) -> Value:
            u: Any = _copied(v, (a, b), v)
            u.op, u._data, u.label = op, op.value(a._data, b._data), None
            return u  # type: ignore[no-any-return]
        return node
    times, plus = made(p.mul), made(p.add)
    last: Value = reduce(plus, [reduce(times, factors) for factors in p.terms_of([stands[a] for a in v.args])])
    last.label = v.label
    return last


def without_starts(y: Value, names: Mapping[Value, str] | None = None) -> Rewritten:
    """`y` without the 0 with which Python's `sum` begins.

    >>> a, b = Value(2.0, label="a"), Value(3.0, label="b")
    >>> len(topological(sum([a, b]))), len(topological(without_starts(sum([a, b]))[0]))
    (5, 3)
    """
    order = topological(y)
    labels = labels_of(order, names)
    uses = Counter([a for v in order for a in v.args])

    def summed(v: Value, stands: Mapping[Value, Value]) -> Value:
        rest = v.args[1]
        if v not in labels:
            return stands[rest]
        if stands[rest].args and rest not in labels and uses[rest] == 1:   # it has this name then
            return _copied(stands[rest], stands[rest].args, v)
        return _over(v, stands)
    return _rewritten(y, order, starts_a_sum, summed)


def starts_a_sum(v: Value) -> bool:
    """0 + x, as Python's sum() computes it first."""
    return v.op is p.add and v.args[0].constant and v.args[0].label is None and v.args[0]._data == 0


def in_letters(y: Value, names: Mapping[Value, str] | None = None) -> Rewritten:
    """`y` with a leaf for every plain number that has a name, so that ∂(w1·x1)/∂w1 is x1.

    >>> w, x = Value(2.0, label="w"), Value(3.0, label="x").detach()
    >>> x.label = "x"
    >>> [v.constant for v in topological(in_letters(w * x)[0])]
    [False, False, False]
    """
    order = topological(y)
    letters = {v for v in labels_of(order, names) if v.constant}
    return _rewritten(y, order, letters.__contains__, lambda v, _: Value(v._data, v.label))


def labels_of(order: Iterable[Value], names: Mapping[Value, str] | None) -> dict[Value, str]:
    """The nodes that have a name of their own."""
    given: Mapping[Value, str] = {} if names is None else names
    return {v: str(name) for v in order if (name := given.get(v, v.label)) is not None}


def _rewritten(y: Value, order: Sequence[Value], chosen: Callable[[Value], bool],
               anew: Callable[[Value, Mapping[Value, Value]], Value]) -> Rewritten:
    """`y` with anew(v, what stands for the nodes below) in place of the `chosen` nodes v."""
    if not any(map(chosen, order)):
        return y, dict(zip(order, order, strict=True))
    stands: dict[Value, Value] = {}
    for v in order:
        stands[v] = anew(v, stands) if chosen(v) else _over(v, stands)
    return stands[y], stands


def _over(v: Value, stands: Mapping[Value, Value]) -> Value:
    """`v` over what stands for its arguments: itself, if that is they."""
    args = tuple([stands[a] for a in v.args])
    return v if all([a is b for a, b in zip(args, v.args, strict=True)]) else _copied(v, args, v)


def _copied(v: Value, args: tuple[Value, ...], like: Value) -> Value:
    made: Any = copy(v)
    made.args, made.label, made.grad = args, like.label, like.grad
    if hasattr(v, "origin"):
        made.origin = v.origin
    return made  # type: ignore[no-any-return]
