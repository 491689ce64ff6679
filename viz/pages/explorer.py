"""`explore` a computation: one HTML file that steps through it, forward and backward, edge by edge.

The page is explorer.html with explorer.css, explorer.js, the pictures and the data put in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autograd.conversion import bounded
from autograd.faults import check_unchanged
from autograd.graph import topological
from autograd.rewritten import moved, shown
from autograd.steps import xi_names
from autograd.value import Value

from ..formulas.names import parameter_names
from ..formulas.notation import formula
from ..graphs.picture import check_choices
from .explorer_data import described, isolated, symbols_of
from .explorer_pictures import groups_of, inside, overview
from .page import Page, page

__all__ = ["Explorer", "explore"]

@dataclass(frozen=True, slots=True, repr=False)
class Explorer(Page):
    """A page that steps through a graph of `nodes` nodes."""

    nodes: int

    def __repr__(self) -> str:
        return f"<Explorer of {self.nodes} nodes, {len(self.html.encode()) // 1000} kB of HTML>"


def explore(value: Value, *, wrt: Value | Sequence[Value] | None = None, collapse: Any = "auto", rankdir: str = "LR",
            engine: str | None = None, limit: int = 300, names: Mapping[Value, str] | None = None) -> Explorer:
    """A page that shows how `value` is computed and differentiated, step by step.

    wrt        the variables that forward mode can differentiate by; by default every leaf that is not a plain number
    collapse   what to fold into boxes that open: None for nothing, "label" for what only a labelled result needs, a module
               (anything with `named_parameters()`) for its layers, or a function from a leaf to the name of its group, or None;
               "auto" is "label" for a large graph that has labels
    rankdir    "LR" draws from left to right, "TB" from top to bottom
    engine     what places the boxes, as for `draw`
    limit      how many boxes a picture may have, and a third of how many nodes the page may have

    names      what to call nodes, beside what they are called in every ξ table of `value`, `autograd.steps.xi_names`

    The 0 with which Python's `sum` begins is no step; a weighted sum that is one node is its products and sums.
    TypeError unless `value` is a Value, or for another `wrt` or `collapse`; ValueError for another choice, or a graph beyond
    the limit; RuntimeError as for `draw`.

    >>> a = Value(1.0, label="a")
    >>> b = a + a
    >>> explore(b + b, engine="builtin").nodes
    3
    """
    if not isinstance(value, Value):
        raise TypeError(f"explore() got {bounded(value)}: it takes one Value, for example a loss or one output of a network")
    check_choices("explore", engine, rankdir)
    check_unchanged(topological(value))
    given = parameter_names(collapse) | {**(names or {})}
    value, stands = shown(value, given)
    order = topological(value)
    if len(order) > 3 * limit:
        raise ValueError(_advice(len(order), "nodes", 3 * limit, (len(order) + 2) // 3))
    given = moved(given, stands)
    called = xi_names(value, given)
    groups = groups_of(order, symbols_of(order, called), collapse)
    largest = max([len(groups), *[len(group.members) for group in groups]]) if groups else len(order)
    if largest > limit:
        raise ValueError(_advice(largest, "boxes in one picture", limit, largest))
    data = described(order, _variables(order, stands, wrt), called, given)
    data["groups"] = [group.members for group in groups]
    data["names"] = [group.name for group in groups]
    how: dict[str, Any] = {"rankdir": rankdir, "engine": engine}
    if groups:
        pictures = {"all": overview(order, data, groups, prefix="x", **how)}
        for g, group in enumerate(groups):
            if len(group.members) > 1:
                pictures[str(g)] = inside(order, data, group.members, prefix=f"x{g}", title=f"Inside {group.name}", **how)
    else:
        pictures = {"all": inside(order, data, range(len(order)), prefix="x", title=f"A graph of {len(order)} nodes", **how)}
    found = "".join([f'<div class="picture" data-group="{key}" tabindex="0">{svg}</div>' for key, svg in pictures.items()])
    return Explorer(page("explorer", _title(value, called, data["nodes"][-1]), data, pictures=found), len(order))


def _title(value: Value, names: Mapping[Value, str], node: Mapping[str, Any]) -> str:
    labelled = {v: name for v, name in names.items() if not v.args or v.label is not None}
    whole = formula(value, labelled)
    return isolated(f"{node['name']} = {node['formula'] if '…' in whole else whole}") if value.args else node["name"]


def _advice(count: int, what: str, limit: int, enough: int) -> str:
    return (f"explore() would have {count} {what}, the limit is {limit}: explore a Value in the middle, fold layers with "
            f"collapse=model or labelled results with collapse='label', or show all of it with limit={enough}")


def _variables(order: Sequence[Value], stands: Mapping[Value, Value], wrt: Value | Sequence[Value] | None) -> list[Value]:
    if wrt is None:
        return [v for v in order if not (v.args or v.constant)]
    found = [wrt] if isinstance(wrt, Value) else list(wrt)
    for x in found:
        if not isinstance(x, Value) or x not in stands:
            raise TypeError(f"explore(wrt=…) has {bounded(x)}: it takes Values that the expression was built from")
    return [stands[x] for x in found]
