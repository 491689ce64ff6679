"""Copies of graphs, by copy, deepcopy and pickle: of any depth, without recursion."""

from __future__ import annotations

from typing import Any

from .faults import check_unchanged
from .graph import topological
from .primitive import Primitive

__all__ = ["Copied", "taken_apart"]

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
        for v in topological(self):
            if id(v) not in memo:
                memo[id(v)] = v.__copy__()
                if v.args:
                    memo[id(v)].args = tuple([memo[id(a)] for a in v.args])
        return memo[id(self)]


def taken_apart(root: Any, result: type) -> tuple[Any, ...]:
    """The graph below `root` in columns, for pickle, and the function that puts it together; `result` makes its nodes."""
    order = topological(root)
    check_unchanged(order)
    leaves, results = [v for v in order if not v.args], [v for v in order if v.args]
    place = {v: i for i, v in enumerate([*leaves, *results])}
    labels = {i: v.label for i, v in enumerate(results) if v.label is not None}
    return _assembled, (result, leaves, [v.op for v in results], [len(v.args) for v in results],
                        [place[a] for v in results for a in v.args], [v._data for v in results], [v.grad for v in results],
                        labels)


def _assembled(result: type, leaves: list[Any], ops: list[Primitive], counts: list[int], places: list[int], data: list[float],
               grads: list[float], labels: dict[int, str]) -> Any:
    """The graph that was taken apart; `places` are those of the arguments, one after another."""
    nodes, args, now = list(leaves), iter(places), leaves[0]._now()
    for i, op in enumerate(ops):
        v: Any = _new(result)
        v.op, v.args = op, tuple([nodes[next(args)] for _ in range(counts[i])])
        v._data, v._time, v.grad, v.label = data[i], now, grads[i], labels.get(i)
        nodes.append(v)
    return nodes[-1]
