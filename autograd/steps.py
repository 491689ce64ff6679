"""The ξ table as data: a computation row by row, with every row's partial derivatives and running derivatives.

    ξn                  a row: an intermediate of the computation, in terms of the rows before it
    ∂ξn/∂ξm             its local partial by a row (or variable) m that it uses
    dξn/dw              forward mode: the running derivative from the first row down
    dL/dξn              backward mode: the running derivative from the last row up

Source: CS109B, Review of Neural Networks, the ξ tables of the logistic likelihood. No typesetting here: a formula is a
Value, which knows its number and how it is computed, and `names` says which Values are symbols.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from . import primitives as p
from .conversion import bounded
from .faults import check_unchanged
from .graph import topological
from .shifts import shifted
from .sweep import dependents
from .value import Value, literal
from .zeros import pullback, pushforward

__all__ = ["Partial", "Step", "Steps", "steps", "xi_names"]


@dataclass(frozen=True, slots=True)
class Partial:
    """∂row/∂arg: by the row or variable `arg`, as a `formula` in terms of the rows that the row uses."""

    arg: Value
    formula: Value

    @property
    def number(self) -> float:
        """The value of the local partial."""
        return self.formula.data


@dataclass(frozen=True, slots=True)
class Step:
    """One row: the `node`, its `partials`, dnode/dw for every variable w (`tangents`), dL/dnode (`adjoint`)."""

    name: str
    node: Value
    partials: tuple[Partial, ...]
    tangents: tuple[float, ...]
    adjoint: float

    @property
    def value(self) -> float:
        """The number that the row computes."""
        return self.node.data


@dataclass(frozen=True, slots=True)
class Steps:
    """The rows of the computation of `root`. `variables` are what it is differentiated by; `names` has every row,
    variable and labelled leaf."""

    root: Value
    rows: tuple[Step, ...]
    variables: tuple[Value, ...]
    gradient: tuple[float, ...]
    names: dict[Value, str]


def steps(y: Value, wrt: Value | Sequence[Value] | None = None, rows: str = "auto") -> Steps:
    """The ξ table of `y`.

    wrt    the variables; by default every labelled leaf, and where there is none every leaf that is not a plain number
    rows   "all" operations, only the "named" ones, or "auto": named if anything between the leaves and y has a label.
           Operations between rows fold into the row that uses them, and so do a minus sign, a number added to a leaf
           (1 − y), and what does not depend on the variables.

    TypeError if y is not a Value, ValueError for another `rows`; else as `grad`.

    >>> from autograd import exp, log
    >>> W, X, y = Value(3, label="W"), Value(3, label="X"), Value(1, label="y")
    >>> for row in steps(-y * log(1 / (1 + exp(-W * X))), wrt=[W]).rows:
    ...     print(row.name, row.value, row.tangents[0])
    ξ1 -9.0 -3.0
    ξ2 0.00012340980408667956 -0.0003702294122600387
    ξ3 1.0001234098040868 -0.0003702294122600387
    ξ4 0.9998766054240137 0.0003701380492945467
    ξ5 -0.0001234021897233402 0.00037018372795869517
    L 0.0001234021897233402 -0.00037018372795869517
    """
    if not isinstance(y, Value):
        raise TypeError(f"steps() got {bounded(y)}: it needs the Value at the end of a computation")
    if rows not in ("auto", "all", "named"):
        raise ValueError(f"steps(rows={rows!r}): choose 'auto', 'all' or 'named'")
    order = topological(y)
    check_unchanged(order)
    variables = _variables(order, wrt)
    depends = dependents(order, variables)
    chosen, names = _layout(y, order, variables, depends, rows)
    adjoint = pullback(order, {y: 1.0}, variables, symbolic=False)
    gradient = tuple([adjoint.get(x, 0.0) for x in variables])
    tangents = [pushforward(order, {x: 1.0}, chosen, symbolic=False) for x in variables]
    table = [Step(names[v], v, _partials(v, names, depends), tuple([t.get(v, 0.0) for t in tangents]), adjoint.get(v, 0.0))
             for v in chosen]
    return Steps(y, tuple(table), tuple(variables), gradient, names)


def xi_names(y: Value, rows: str = "all") -> dict[Value, str]:
    """What the ξ table of `y` calls its leaves and rows; nothing is differentiated.

    >>> x = Value(2.0, label="x")
    >>> list(xi_names((x * x) * 3).values())
    ['x', 'ξ1', 'L']
    """
    order = topological(y)
    variables = _variables(order, None)
    return _layout(y, order, variables, dependents(order, variables), rows)[1]


def _variables(order: Sequence[Value], wrt: Value | Iterable[Value] | None) -> dict[Value, None]:
    """The variables, as a set in order: a list of Values would compare their numbers."""
    wrt = [wrt] if isinstance(wrt, Value) else wrt
    for x in wrt or ():
        if not isinstance(x, Value):
            raise TypeError(f"wrt has {bounded(x)}: it takes the Values that the expression was built from")
    leaves = [v for v in order if not v.args]
    return dict.fromkeys(wrt if wrt is not None else [v for v in leaves if v.label is not None]
                         or [v for v in leaves if not v.constant])


def _layout(y: Value, order: Sequence[Value], variables: dict[Value, None], depends: set[Value],
            rows: str) -> tuple[list[Value], dict[Value, str]]:
    """The nodes that are rows, and the names of rows and symbols."""
    if rows == "auto":
        rows = "named" if any([v.args and v.label is not None and v is not y for v in order]) else "all"
    moving = shifted(order)   # they fold into the row where the shift cancels
    results = [v for v in order if v.args and v in depends and v not in variables and (v is y or v not in moving)]
    chosen = _rows(y, results, order, rows == "named")
    symbols = [v for v in order if v in variables or (not v.args and v.label is not None)]
    return chosen, _names(y, [*symbols, *variables], chosen)


def _rows(y: Value, results: Iterable[Value], order: Iterable[Value], named: bool) -> list[Value]:
    """The results that are rows of their own."""
    uses = Counter([a for v in order for a in v.args])
    subtracted = {a for v in order if v.op is p.add for a in v.args}
    rows: dict[Value, None] = {}
    for v in results:
        inner = v.args[0]   # −(W·X) is one row, as (−W)·X is; 1 − ξ4 is one too
        absorbs = v.op is p.neg and inner in rows and inner.label is None and uses[inner] == 1
        is_step = absorbs and v not in subtracted if v.op is p.neg else not _shifts_a_leaf(v)
        if v is y or v.label is not None or (is_step and not named):
            rows[v] = None
            if absorbs:
                del rows[inner]
    return list(rows)


def _shifts_a_leaf(v: Value) -> bool:
    """1 − y, y + 2: a plain number added to a leaf."""
    inner = [a.args[0] if a.op is p.neg else a for a in v.args]
    return v.op is p.add and not any([a.args for a in inner]) and any([a.constant for a in inner])


def _names(y: Value, symbols: Sequence[Value], rows: Sequence[Value]) -> dict[Value, str]:
    """A different name for every symbol: its label, else x1, x2 … for a variable, ξ1, ξ2 … for a row and L for y."""
    taken = {v.label for v in (*symbols, *rows)}
    names: dict[Value, str] = {}
    used = set()
    for letter, group in (("x", symbols), ("ξ", rows)):
        free = (name for i in count(1) if (name := f"{letter}{i}") not in taken)
        for v in group:
            if v not in names:
                name = str(v.label) if v.label is not None else "L" if v is y and y.args and "L" not in taken else next(free)
                while name in used:
                    name += "′"
                names[v] = name
                used.add(name)
    return names


def _partials(v: Value, names: dict[Value, Any], depends: set[Value]) -> tuple[Partial, ...]:
    inner = topological(v, stop=names)
    args = list(dict.fromkeys([a for u in inner for a in u.args if a in names and a in depends]))
    found = pullback(inner, {v: 1.0}, args)
    return tuple([Partial(a, d if isinstance(d := found.get(a, 0.0), Value) else literal(float(d))) for a in args])
