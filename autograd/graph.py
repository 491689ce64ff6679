"""A graph, and the one place that walks it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any, Protocol, TypeVar

from .primitive import Primitive

__all__ = ["N", "Node", "topological"]


class Node(Protocol):
    """What sweeps ask of a node: a Value is one. A leaf has no `op` and no `args`."""

    op: Primitive | None
    args: tuple[Any, ...]
    constant: bool
    label: str | None
    grad: float
    _data: float
    _time: int

    def _name(self) -> str: ...

    def detach(self) -> Any:
        """A constant of the same number."""


N = TypeVar("N", bound=Node)


def topological(*roots: N, stop: Collection[N] = ()) -> list[N]:
    """The roots and the nodes below them, each once, arguments before results; what `stop` holds is not entered.

    Iterative, so of any depth; in the order of computation, so the same in every run. RuntimeError for a cycle,
    which only tampering can make.

    >>> from autograd import Value
    >>> a, b = Value(2, label="a"), Value(3, label="b")
    >>> [v.label or v.op.name for v in topological(a * b + a)]
    ['a', 'b', 'mul', 'add']
    """
    order: list[N] = []
    done: set[N] = set()
    rest: dict[N, Iterator[N]] = {}   # of a node with many arguments, those not yet looked at
    unchecked = 1000                          # how long a path may be before it is looked through for a cycle
    for root in roots:
        path = [] if root in done else [root]   # from the root down; in a graph without a cycle no node is on it twice
        while path:
            v = path[-1]
            args: Iterable[N] = v.args
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
