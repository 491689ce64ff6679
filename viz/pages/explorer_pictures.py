"""The explorer's pictures: of the whole graph; or of its groups, and one of the inside of each.

A group is what one box stands for when a large graph is collapsed. There are two ways to find them:

    by label    a labelled result and the operations that only it needs: an unlabelled node joins its users if they
                are all of one group, as it folds into their row of the ξ table
    by module   a layer: its parameters, and every result of which it is the last layer on the way. The layers are ordered
                by where their parameters are first used, so that edges between groups never run in a circle
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Any

from autograd.conversion import bounded
from autograd.value import Value

from ..formulas.names import unicode
from ..formulas.notation import TEXT, width
from ..graphs.picture import PORT, TURNS, arranged
from ..graphs.svg import Box, Link, visible, whole

__all__ = ["Group", "groups_of", "inside", "overview"]

LARGE = 80       # nodes from which on a graph is collapsed without being asked
NUMBER = "0" * 13   # room for a number that is not known yet
ROOM = 24.0         # px more between columns, for the local partial on the live edge


@dataclass(frozen=True)
class Group:
    """A box of the collapsed picture: what it is called, and the places of its nodes in the topological order."""

    name: str
    members: tuple[int, ...]


def groups_of(order: Sequence[Value], names: Mapping[Value, str], collapse: Any) -> list[Group]:
    """The groups, arguments before results; none if the graph is to be drawn whole.

    `collapse` is as for `explore`; TypeError for anything else.
    """
    labelled = any([v.label is not None for v in order[:-1] if v.args])
    if collapse == "auto":
        collapse = "label" if len(order) > LARGE and labelled else None
        groups = groups_of(order, names, collapse)
        return groups if len(groups) <= LARGE else []   # too many boxes to be of help
    if collapse is None:
        return []
    if collapse == "label":
        owner = _by_label(order)
    elif hasattr(collapse, "named_parameters"):
        owner = _by_module(order, _layers(collapse.named_parameters()))
    elif callable(collapse):
        owner = _by_module(order, {v: _name(collapse(v)) for v in order if not v.args})
    else:
        raise TypeError(f"explore(collapse={bounded(collapse)}): 'auto', 'label', None, a module with named_parameters(), or a "
                        "function from a leaf to the name of its group")
    members: dict[Any, list[int]] = {}
    for i, v in enumerate(order):
        members.setdefault(owner[v], []).append(i)
    if len(members) == 1:
        return []
    before: dict[Any, dict[Any, None]] = {key: {} for key in members}
    for v in order:
        before[owner[v]].update({owner[a]: None for a in v.args if owner[a] != owner[v]})
    return [Group(key if isinstance(key, str) else names[key], tuple(members[key]))
            for key in TopologicalSorter(before).static_order()]


def _by_label(order: Sequence[Value]) -> dict[Value, Any]:
    users: dict[Value, set[Any]] = {v: set() for v in order}
    owner: dict[Value, Any] = {}
    for v in reversed(order):
        joins = v.label is None and len(users[v]) == 1
        owner[v] = users[v].pop() if joins else v
        for a in v.args:
            users[a].add(owner[v])
    return owner


def _by_module(order: Sequence[Value], layer: Mapping[Value, str | None]) -> dict[Value, Any]:
    rank: dict[str, int] = {}
    for v in order:
        for a in v.args:
            if name := layer.get(a):
                rank.setdefault(name, len(rank))
    owner: dict[Value, Any] = {}
    users: dict[Value, set[Any]] = {}
    for v in order:
        found = [owner[a] for a in v.args if isinstance(owner[a], str)]
        owner[v] = layer.get(v) or max(found, key=rank.__getitem__, default=v)
        for a in v.args:
            users.setdefault(a, set()).add(owner[v])
    for v, where in users.items():   # a plain number stands where it is used
        if v.constant and len(where) == 1:
            owner[v] = next(iter(where))
    return owner


def _layers(named: Iterable[tuple[str, Value]]) -> dict[Value, str]:
    """layers.0.neurons.3.w.1 belongs to layers.0: a group is named up to the first number."""
    return {p: match[0] if (match := re.match(r".*?\d+", name)) else name for name, p in named}


def _name(name: Any) -> str | None:
    if not (name is None or isinstance(name, str)):
        raise TypeError(f"the function collapse gave {bounded(name)}: it takes a leaf and gives the name of its group, or None")
    return name


# ---- pictures: node i has the id "{prefix}-n{i}", its operand k "{prefix}-e{i}-{k}", group g "{prefix}-g{g}"

def inside(order: Sequence[Value], data: Mapping[str, Any], members: Sequence[int], *, prefix: str, title: str,
           rankdir: str, engine: str | None) -> str:
    """The nodes that are `members`, and what they take from outside, dashed."""
    place = {v: i for i, v in enumerate(order)}
    within = set(members)
    shown = sorted(within | {place[a] for i in within for a in order[i].args})
    at = {i: b for b, i in enumerate(shown)}
    boxes = [_box(order[i], data["nodes"][i], f"n{i}", rankdir, outside=i not in within, root=i == len(order) - 1)
             for i in shown]
    links = [Link(f"e{i}-{k}", at[place[a]], at[i], f"operand {k + 1}") for i in shown if i in within
             for k, a in enumerate(order[i].args)]
    return _arranged(boxes, links, title=title, engine=engine, rankdir=rankdir, prefix=prefix)


def overview(order: Sequence[Value], data: Mapping[str, Any], groups: Sequence[Group], *, prefix: str, rankdir: str,
             engine: str | None) -> str:
    """The groups as boxes; a group of one node is that node."""
    group_of = {i: g for g, group in enumerate(groups) for i in group.members}
    place = {v: i for i, v in enumerate(order)}
    pairs = dict.fromkeys([(g, group_of[place[a]]) for g, group in enumerate(groups) for i in group.members
                           for a in order[i].args if group_of[place[a]] != g])
    boxes = []
    for g, group in enumerate(groups):
        inputs = sum([head == g for head, _ in pairs])
        if len(group.members) == 1:
            i = group.members[0]
            boxes.append(_box(order[i], data["nodes"][i], f"n{i}", rankdir, root=i == len(order) - 1, inputs=inputs))
        else:
            count = f"{len(group.members)} nodes"
            boxes.append(Box(f"g{g}", "group", visible(group.name), "", (("open ▸", count),),
                             f"{whole(group.name)}: {count}", TURNS[rankdir]((0.0, PORT * inputs))))
    links = [Link(f"q{a}-{b}", a, b, f"what {whole(groups[b].name, 60)} takes from {whole(groups[a].name, 60)}")
             for b, a in pairs]
    return _arranged(boxes, links, title=f"The graph in {len(groups)} groups", engine=engine, rankdir=rankdir, prefix=prefix)


def _arranged(boxes: Sequence[Box], links: Sequence[Link], *, rankdir: str, **how: Any) -> str:
    return arranged(boxes, links, nodes=len(boxes), rankdir=rankdir, room=ROOM if rankdir == "LR" else 0.0, **how).svg


def _box(v: Value, node: Mapping[str, Any], key: str, rankdir: str, *, outside: bool = False, root: bool = False,
         inputs: int | None = None) -> Box:
    value = TEXT.number(v.data, 6)
    called = unicode(node["full"]) or node["name"].removeprefix("(").removesuffix(")")
    kind = "more" if outside else "root" if root and v.args else "constant" if v.constant else "result" if v.args else "leaf"
    turn: Callable[[Any], Any] = TURNS[rankdir]
    least = turn((0.0, PORT * (len(v.args) if inputs is None else inputs)))
    op = "" if outside else visible(node["op"])
    if v.constant and v.label is None:
        return Box(key, kind, visible(called), "", (), "a plain number", least)
    rows = [("value", str(value))]
    if node["varies"]:
        rows.append(("grad", NUMBER if width(value) < len(NUMBER) else str(value)))
    if node["mark"]:
        sign, _, words = node["mark"].partition(" ")
        rows.append((sign, words))
    return Box(key, kind, visible(called), op, tuple(rows), whole(" = ".join(filter(None, (called, node["formula"])))), least)
