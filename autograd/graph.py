"""The one place that walks a graph."""

from __future__ import annotations

from collections.abc import Collection
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
    done: dict[Value, bool] = {}   # False while a node's arguments are still being visited
    stack: list[Value | None] = [*reversed(roots)]
    while stack:
        v = stack.pop()
        if v is None:   # all arguments of the node below are in the order
            v = stack.pop()
            done[v] = True   # type: ignore[index]
            order.append(v)  # type: ignore[arg-type]
        elif v not in done:
            args = v.args
            if args:
                done[v] = False
                stack += v, None
                stack += [a for a in args[::-1] if a not in stop] if stop else args[::-1]
            else:
                done[v] = True
                order.append(v)
        elif not done[v]:
            raise RuntimeError(f"the graph has a cycle through {v!r}: its arguments were tampered with")
    return order
