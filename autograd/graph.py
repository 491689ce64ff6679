"""The one place that walks a graph."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .value import Value

__all__ = ["topological"]


def topological(*roots: Value, stop: Collection[Value] = ()) -> list[Value]:
    """The roots and the nodes below them, each once, arguments before results; what `stop` holds is not entered.

    Iterative, so of any depth; in the order of computation, so the same in every run. RuntimeError for a cycle,
    which only tampering can make.

    >>> from autograd import Value
    >>> a, b = Value(2, label="a"), Value(3, label="b")
    >>> [v.label or v.op.name for v in topological(a * b + a)]
    ['a', 'b', 'mul', 'add']
    """
    order: list[Value] = []
    done: set[Value] = set()
    rest: dict[Value, Iterator[Value]] = {}   # of a node with many arguments, those not yet looked at
    unchecked = 1000                          # how long a path may be before it is looked through for a cycle
    for root in roots:
        path = [] if root in done else [root]   # from the root down; in a graph without a cycle no node is on it twice
        while path:
            v = path[-1]
            args: Iterable[Value] = v.args
            if len(v.args) > 2:
                args = rest.setdefault(v, iter(args))
            for a in args:
                if a not in done and a not in stop:
                    if a.args:
                        path.append(a)
                        break
                    done.add(a)
                    order.append(a)
            else:
                done.add(v)
                order.append(path.pop())
                continue
            if a in rest or len(path) > unchecked:
                unchecked = 2 * len(path)
                if len(set(path)) < len(path):
                    raise RuntimeError(f"the graph has a cycle through {v!r}: its arguments were tampered with")
    return order
