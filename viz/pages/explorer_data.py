"""What the explorer shows, as data for JSON: every node and edge, both sweeps, the rows of the ξ table. No pictures here.

    edge        a node's use of one operand: i-k is operand k of node i of the topological order
    ∂₁v/∂e      the partial of an edge, by operand 1, where v uses e more than once: ∂v/∂e, as the ξ table has it, is the sum
    trace       a backward pass edge by edge: [edge, the term g·d that it adds, the sum that its operand has then]

Every number is the engine's. A finite one is a JSON number, which keeps all its digits; nan, inf and −inf are text.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from autograd.graph import topological
from autograd.rewritten import in_letters
from autograd.steps import Step, steps
from autograd.sweep import dependents, formulas, numbers
from autograd.value import Value, literal
from autograd.zeros import Term, local_partials, pushforward

from ..formulas.algebra import written
from ..formulas.notation import TEXT, formula
from ..formulas.partials import LocalPartials
from ..graphs.svg import whole

__all__ = ["described", "isolated", "symbols_of"]

Edge = tuple[int, int]
_LOWERED = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefe\U00010800-\U00010fff\U0001e800-\U0001efff]+")


def symbols_of(order: Sequence[Value], names: Mapping[Value, str]) -> dict[Value, str]:
    """How every node is written: a node without a name, by its formula in terms of the others."""
    return {v: isolated(TEXT.symbol(names[v]) if v in names else f"{formula(v, names):9}") for v in order}


def described(order: Sequence[Value], variables: Sequence[Value], names: Mapping[Value, str],
              given: Container[Value] = ()) -> dict[str, Any]:
    """The nodes, edges, sweeps and rows; forward mode by each of the `variables`. Of the nodes with `names`, those that have a
    label or are in `given` were named by somebody."""
    place = {v: i for i, v in enumerate(order)}
    twins = topological(in_letters(order[-1], names)[0])   # in whose formulas a plain number has its name
    at = {twin: i for i, twin in enumerate(twins)}
    called = {twin: names[v] for v, twin in zip(order, twins, strict=True) if v in names}
    needed = dependents(order, [v for v in order if not (v.args or v.constant)])
    symbols = symbols_of(order, names)
    edges = [(i, k) for i in reversed(range(len(order))) for k, a in enumerate(order[i].args) if a in needed]
    where = {edge: e for e, edge in enumerate(edges)}
    several = [_reached_twice(v, names) if v.args else set() for v in order]
    right, wrong = trace(order, edges), trace(order, impatient(order, edges))
    rows, row_of = _rows(twins, called, [twins[place[v]] for v in order if not (v.args or v.constant)])
    labelled = {twin: called[twin] for v, twin in zip(order, twins, strict=True)
                if twin in called and (v in given or v.label is not None)}
    local = LocalPartials(called, [twin for twin in called if twin.args], labelled)

    def partial(twin: Value, d: Value | float) -> str:
        e = local.of(twin, d if isinstance(d, Value) else literal(float(d)))
        return isolated("…" if e is None else written(e, TEXT))
    name_of = dict(zip(twins, symbols.values(), strict=True))
    tangents = [pushforward(order, {x: 1.0}, order, symbolic=False, blame=False) for x in variables]
    found = {
        "nodes": [{
            "name": symbols[v], "full": "" if v.label is None else whole(names.get(v, "")), "op": v.op.symbol if v.op else "",
            "formula": isolated(formula(v, names)) if v.args else "", "args": [place[a] for a in v.args], "value": v.data,
            "mark": mark(v), "row": row_of.get(twin, -1), "varies": v in needed}
            for v, twin in zip(order, twins, strict=True)],
        "edges": [{"head": i, "tail": place[order[i].args[k]], "key": f"{i}-{k}", "partial": numbers(order[i])[k],
                   "nth": str(k + 1).translate(_LOWERED) if order[i].args[k] in several[i] else "",
                   "formula": partial(twins[i], formulas(twins[i])[k])} for i, k in edges],
        "backward": [(where[edge], term, total) for edge, term, total in right],
        "wrong": [(where[edge], term, total) for edge, term, total in wrong],
        "rows": [{"node": at[v], "partials": [
            {"name": f"∂{name_of[v]}/∂{name_of[p.arg]}", "formula": partial(v, p.formula), "value": p.number}
            for p in (step.partials if step else ())]} for v, step in rows],
        "variables": [{"node": place[x], "nodes": [place[v] for v in t], "tangents": [*t.values()]}
                      for x, t in zip(variables, tangents, strict=True)],
    }
    return {key: _portable(part) for key, part in found.items()}


def _reached_twice(v: Value, names: Mapping[Value, str]) -> set[Value]:
    """What `v` uses more than once, in its row: ∂v/∂e is then the sum of several edges' partials, and not one of them."""
    uses = Counter([a for u in topological(v, stop=names) if u is v or u not in names for a in u.args])
    return {a for a, n in uses.items() if n > 1}


def trace(order: Sequence[Value], edges: Iterable[Edge]) -> list[tuple[Edge, float, float]]:
    """The chain rule, edge by edge in the given order."""
    nothing, local = Term(0.0, by_kind=True), cache(local_partials(order))
    total = {order[-1]: Term(1.0)}
    found = []
    for i, k in edges:
        v, a = order[i], order[i].args[k]
        term = Term.times(total.get(v, nothing), local(v)[k])
        if term is not None:
            total[a] = total[a] + term if a in total else term
        found.append(((i, k), (term or nothing).number, total.get(a, nothing).number))
    return found


def impatient(order: Sequence[Value], edges: Sequence[Edge]) -> Iterator[Edge]:
    """A wrong order: depth first, so that a node passes its adjoint on with the first contribution, not the last."""
    place = {v: i for i, v in enumerate(order)}
    below: dict[int, list[Edge]] = {}
    for edge in edges:
        below.setdefault(edge[0], []).append(edge)
    stack = below.pop(len(order) - 1, [])[::-1]
    while stack:
        i, k = stack.pop()
        yield i, k
        stack += below.pop(place[order[i].args[k]], [])[::-1]


def mark(v: Value) -> str:
    """A word on what went wrong at this node, and here first; empty if nothing did."""
    operands = [a.data for a in v.args]
    if math.isnan(v.data):
        return "" if any(map(math.isnan, operands)) else f"⚠ nan {'arose' if operands else 'given'} here"
    if not all(map(math.isfinite, operands)):
        return ""
    if math.isinf(v.data):
        return f"⚠ ∞ {'arose' if operands else 'given'} here"
    if v.op is None:
        return ""
    if v.op.name == "relu" and operands[0] <= 0:
        return "⊘ dead ReLU"
    return "" if all(map(math.isfinite, numbers(v))) else "⚠ slope not finite"


def isolated(text: str) -> str:
    """Words that run from right to left, kept from turning the formula around them."""
    return _RIGHT_TO_LEFT.sub("\u2068\\g<0>\u2069", text)


def _rows(order: Sequence[Value], names: Mapping[Value, str],
          leaves: Sequence[Value]) -> tuple[list[tuple[Value, Step | None]], dict[Value, int]]:
    """The rows of the ξ table, leaves first, and for every node its row: that which it folds into, if it has none."""
    try:
        found = {step.node: step for step in steps(order[-1], leaves, "all", names).rows}
    except FloatingPointError:   # the gradient is nan: the explorer shows where
        found = {}
    rows = [v for v in order if v in names and not v.args] + [v for v in order if v in names and v.args]
    row_of = {v: i for i, v in enumerate(rows)}
    for v in reversed(order):
        for a in v.args:
            if v in row_of:
                row_of.setdefault(a, row_of[v])
    return [(v, found.get(v)) for v in rows], row_of


def _portable(x: Any) -> Any:
    """JSON has no nan and no infinity: they become text."""
    if isinstance(x, dict):
        return {key: _portable(part) for key, part in x.items()}
    if isinstance(x, (list, tuple)):
        return [_portable(part) for part in x]
    return repr(x) if isinstance(x, float) and not math.isfinite(x) else x
