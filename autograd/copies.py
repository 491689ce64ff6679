"""Copies of graphs, by copy, deepcopy and pickle: of any depth, without recursion."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from .faults import check_unchanged
from .graph import topological
from .primitive import Primitive

__all__ = ["Copied", "assembled", "beyond", "one_assembled", "taken_apart", "with_origins"]

_new = object.__new__


class Copied:
    """What a Value needs to be copied; a base without fields."""

    __slots__ = ()
    op: Any
    args: Any
    constant: bool
    label: Any
    grad: float
    _data: float
    _time: int
    _now: Any
    _name: Any
    detach: Any

    def __getstate__(self) -> tuple[Any, dict[str, Any]]:
        return getattr(self, "__dict__", None), {name: getattr(self, name) for name in ("_data", "grad", "label")}

    def __setstate__(self, state: tuple[Any, dict[str, Any]]) -> None:
        for part in (*state, {"_time": self._now()}):
            for name, x in (part or {}).items():
                setattr(self, name, x)

    def __copy__(self) -> Any:
        v: Any = _new(type(self))
        v.__setstate__(self.__getstate__())
        v._time = self._time
        if self.args:
            v.op, v.args = self.op, self.args
        return v

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        order = with_origins([self])
        for v in order:
            if id(v) not in memo:
                memo[id(v)] = v.__copy__()
                if v.args:
                    memo[id(v)].args = tuple([memo[id(a)] for a in v.args])
        for v in order:
            if hasattr(v, "origin"):
                derivation, i = v.origin
                memo[id(v)].origin = derivation.of(lambda v: memo[id(v)]), i
        return memo[id(self)]


def with_origins(roots: Sequence[Any]) -> list[Any]:
    """The nodes below the roots, and below what those that are derivatives were derived from."""
    order = topological(*roots)
    return order + beyond(order)


def beyond(order: Sequence[Any], stop: Iterable[Any] = ()) -> list[Any]:
    """The nodes that derivatives in `order` were derived from, beyond `order` and `stop`, arguments before results."""
    known, more, new = {*order, *stop}, list[Any](), order
    while derivations := {id(v.origin[0]): v.origin[0] for v in new if hasattr(v, "origin")}.values():
        new = topological(*[v for by in derivations for v in by.inputs() if v not in known], stop=known)
        known.update(new)
        more += new
    return more


def taken_apart(roots: Sequence[Any], result: type) -> tuple[Any, ...]:
    """The graph below `roots` in columns, for pickle: `assembled` puts it together, of nodes that are a `result`.

    If these are symbols their numbers are left out, and it does not matter what was assigned to a leaf."""
    order = with_origins(roots)
    known = not getattr(result, "symbolic", False)
    if known:
        check_unchanged(order)
    leaves, results = [v for v in order if not v.args], [v for v in order if v.args]
    place = {v: i for i, v in enumerate([*leaves, *results])}
    labels = {i: v.label for i, v in enumerate(results) if v.label is not None}
    derived = [v for v in order if hasattr(v, "origin")]
    derivations = {id(v.origin[0]): v.origin[0] for v in derived}
    number = {key: k for k, key in enumerate(derivations)}
    return (result, leaves, [v.op for v in results], [len(v.args) for v in results],
            [place[a] for v in results for a in v.args], [v._data for v in results] if known else [],
            [v.grad for v in results] if known else [], labels, [place[v] for v in roots],
            [by.of(lambda v: Place(place[v])) for by in derivations.values()],
            [(place[v], number[id(v.origin[0])], v.origin[1]) for v in derived])


class Place(int):
    """A node's place, where a number may stand too."""


def assembled(result: Any, leaves: list[Any], ops: list[Primitive], counts: list[int], places: list[int], data: list[float],
              grads: list[float], labels: dict[int, str], roots: list[int], derivations: Sequence[Any] = (),
              origins: Sequence[tuple[int, int, int]] = ()) -> list[Any]:
    """The roots of the graph that was taken apart; `places` are those of the arguments, one after another."""
    nodes, args, now = list(leaves), iter(places), result._now()
    for i, op in enumerate(ops):
        v: Any = _new(result)
        v.op, v.args = op, tuple([nodes[next(args)] for _ in range(counts[i])])
        v._time, v.grad, v.label = now, 0.0, labels.get(i)
        if data:
            v._data, v.grad = data[i], grads[i]
        nodes.append(v)
    made = [by.of(nodes.__getitem__) for by in derivations]
    for at, k, i in origins:
        nodes[at].origin = made[k], i
    return [nodes[i] for i in roots]


def one_assembled(*columns: Any) -> Any:
    """The root of a graph that has one."""
    return assembled(*columns)[0]
