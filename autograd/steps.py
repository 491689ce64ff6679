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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from . import primitives as p
from .conversion import bounded
from .display import natural
from .faults import check_unchanged
from .graph import topological
from .rewritten import in_letters, labels_of, moved, opened, starts_a_sum, without_starts
from .shifts import shifted
from .sweep import dependents
from .value import Value, literal
from .zeros import pullback, pushforward

__all__ = ["Partial", "Rows", "Step", "Steps", "in_order", "steps", "within_sums", "xi_names"]

ROWS = ("auto", "all", "sums", "named")
Rows = str | Sequence[Value | str]   # which rows: one of these words, or the rows themselves or their names
_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


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
    variable and leaf; `labels` those among them that were given a name, by a label or in `names=`."""

    root: Value
    rows: tuple[Step, ...]
    variables: tuple[Value, ...]
    gradient: tuple[float, ...]
    names: dict[Value, str]
    labels: dict[Value, str]


def steps(y: Value, wrt: Value | Iterable[Value] | None = None, rows: Rows = "auto",
          names: Mapping[Value, str] | None = None, alias: bool = False) -> Steps:
    """The ξ table of `y`.

    wrt    the variables; by default every labelled leaf, and where there is none every leaf, but for plain numbers
    rows   "all" operations; "sums", the same, but w1·x1 + w2·x2 + b and every other sum of products is one row; only the
           "named" ones; "auto", named if anything between the leaves and y has a label; or a list of rows, as Values or by
           their names. Operations between rows fold into the row that uses them, and so do a minus sign, a number added to a
           leaf (1 − y), the 0 with which Python's `sum` begins, and what does not depend on the variables. A row has the
           same name whichever rows are asked for, as `xi_names` has it.
    names  what to call nodes, beside their labels; it goes before a label
    alias  rows that have a name are ξ1, ξ2 … too, and all are asked for unless `rows` says otherwise; the root keeps its name

    A plain number that has a name, as the inputs x1, x2 of a network have, is a letter in every formula: the nodes of the
    table are then those of a copy of the graph, as `rewritten.in_letters` makes it, with the same leaves else; and so they
    are where a weighted sum is one node, since the table has its products and sums.

    TypeError if y is not a Value, ValueError for other `rows`; else as `grad`.

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
    if isinstance(rows, str) and rows not in ROWS:
        raise ValueError(f"rows={rows!r}: choose one of {', '.join(ROWS)}, or give a list of rows")
    y, open_ = opened(_summed(y))
    order = topological(y)
    check_unchanged(order)
    labels = labels_of(order, moved(names, open_))
    y, letters = in_letters(y, labels)
    stands = {v: letters[s] for v, s in open_.items()}
    variables = dict.fromkeys([letters.get(x, x) for x in _variables(order, wrt, labels, open_)])
    order, labels = topological(y), {letters[v]: name for v, name in labels.items()}
    depends = dependents(order, variables)
    own = {v: name for v, name in labels.items() if not (alias and v.args) or v is y or v in variables}
    every, called = _layout(y, labels, variables, own)
    if not isinstance(rows, str):
        asked = _asked(rows, every, stands, called)
    elif rows == "named" or (rows == "auto" and not alias and any([v.args and v is not y for v in labels])):
        asked = {*labels}
    else:
        asked = {*every} - (within_sums(order, labels) if rows == "sums" else set())
    chosen = [v for v in every if v in depends and v not in variables and (v is y or v in asked)]
    rest = {*every}.difference(chosen, variables)
    shown = {v: name for v, name in called.items() if not v.args or v not in rest}
    adjoint = pullback(order, {y: 1.0}, variables, symbolic=False)
    gradient = tuple([adjoint.get(x, 0.0) for x in variables])
    tangents = [pushforward(order, {x: 1.0}, chosen, symbolic=False) for x in variables]
    places = {v: i for i, v in enumerate(shown)}
    table = [Step(shown[v], v, _partials(v, places, depends), tuple([t.get(v, 0.0) for t in tangents]), adjoint.get(v, 0.0))
             for v in chosen]
    given = _layout(y, labels, variables, labels)[1] if alias else shown   # in which no two nodes have one name
    return Steps(y, tuple(table), tuple(variables), gradient, shown, {v: given[v] for v in shown if v in labels})


def xi_names(y: Value, names: Mapping[Value, str] | None = None) -> dict[Value, str]:
    """What leaves and rows of `y` are called wherever it is shown: as in `names`, by a label, else x1, x2 … for leaves,
    ξ1, ξ2 … for rows and L for y. Nothing is differentiated, so the names depend on the graph alone.

    >>> x = Value(2.0, label="x")
    >>> list(xi_names((x * x) * 3).values())
    ['x', 'ξ1', 'L']
    """
    y, stands = opened(_summed(y))
    labels = labels_of(topological(y), moved(names, stands))
    back = {s: v for v, s in stands.items()}
    return {back.get(v, v): name for v, name in _layout(y, labels, (), labels)[1].items()}


def _summed(y: Value) -> Value:
    """`y`, or what it is the sum of alone."""
    while starts_a_sum(y) and y.label is None:
        y = y.args[1]
    return y


def _variables(order: Sequence[Value], wrt: Value | Iterable[Value] | None, labels: Mapping[Value, str],
               stands: Mapping[Value, Value]) -> list[Value]:
    """The variables, or what stands for them."""
    wrt = [wrt] if isinstance(wrt, Value) else wrt if wrt is None else list(wrt)
    for x in wrt or ():
        if not isinstance(x, Value):
            raise TypeError(f"wrt has {bounded(x)}: it takes the Values that the expression was built from")
    leaves = in_order([v for v in order if not (v.args or v.constant)], labels)
    return [stands.get(x, x) for x in wrt] if wrt is not None else [v for v in leaves if v in labels] or leaves


def _layout(y: Value, labels: Mapping[Value, str], variables: Iterable[Value],
            own: Mapping[Value, str]) -> tuple[list[Value], dict[Value, str]]:
    """Every row of `y`, and the names of leaves, rows and `variables`, those in `own` kept; rows, leaves and their names depend
    on the graph and its `labels` alone."""
    short, stands = without_starts(y, labels)
    order = topological(short)
    back = {stands[v]: v for v in reversed([*stands])}
    known = {v: labels[back[v]] for v in order if back[v] in labels}
    leaves = [v for v in order if not v.args and (not v.constant or v in known)]
    depends = dependents(order, leaves)
    moving = shifted(order)   # they fold into the row where the shift cancels
    results = [v for v in order if v is short or (v.args and v in depends and v not in moving)]
    rows = [back[v] for v in _rows(short, [v for v in results if v.args], order, known)]
    numbered = dict.fromkeys(rows)
    return rows, _names(y, [*leaves, *[x for x in variables if x not in numbered]], rows, own)


def _rows(y: Value, results: Iterable[Value], order: Iterable[Value], labels: Mapping[Value, str]) -> list[Value]:
    """The results that are rows of their own."""
    uses = Counter([a for v in order for a in v.args])
    subtracted = {a for v in order if v.op is p.add for a in v.args}
    rows: dict[Value, None] = {}
    for v in results:
        inner = v.args[0]   # −(W·X) is one row, as (−W)·X is; 1 − ξ4 is one too
        absorbs = v.op is p.neg and inner in rows and inner not in labels and uses[inner] == 1
        is_step = absorbs and v not in subtracted if v.op is p.neg else not _shifts_a_leaf(v)
        if v is y or v in labels or is_step:
            rows[v] = None
            if absorbs:
                del rows[inner]
    return list(rows)


def within_sums(order: Sequence[Value], labels: Mapping[Value, str]) -> set[Value]:
    """The products and sums, with their minus signs, that only a sum uses and that have no name: w1·x1 in w1·x1 + w2·x2 + b."""
    users: dict[Value, list[Value]] = {}
    for v in order:
        for a in v.args:
            users.setdefault(a, []).append(v)
    found = set[Value]()
    for v in reversed(order):
        if v.op in (p.mul, p.add, p.neg) and v not in labels:
            by = users.get(v, [])
            if len(by) == 1 and (by[0].op is p.add or (by[0].op is p.neg and by[0] in found)):
                found.add(v)
    return found


def _asked(rows: Iterable[Value | str], every: Iterable[Value], stands: Mapping[Value, Value],
           names: Mapping[Value, str]) -> set[Value]:
    """The rows of a list, as Values or names."""
    by_name = {names[v]: v for v in every}
    known = {*every}
    found = set()
    for row in rows:
        v = by_name.get(row) if isinstance(row, str) else stands.get(row, row) if isinstance(row, Value) else None
        if v is None or v not in known:
            raise ValueError(f"rows=[…] has {bounded(row)}, which is no row: there are "
                             f"{bounded([*by_name])}; a part of a row is one when it has a label")
        found.add(v)
    return found


def _shifts_a_leaf(v: Value) -> bool:
    """1 − y, y + 2: a plain number added to a leaf."""
    inner = [a.args[0] if a.op is p.neg else a for a in v.args]
    return v.op is p.add and not any([a.args for a in inner]) and any([a.constant and a.label is None for a in inner])


def _names(y: Value, symbols: Sequence[Value], rows: Sequence[Value], labels: Mapping[Value, str]) -> dict[Value, str]:
    """A different name for every symbol, in the order of the symbols: its label, else x1, x2 … for a variable; then for every
    row, ξ1, ξ2 …, and L for y."""
    taken = {*labels.values(), *[x.label for x in symbols]}
    names: dict[Value, str] = {}
    times = Counter[str]()   # how many have the same label
    for letter, group in (("x", in_order(symbols, labels)), ("ξ", rows)):
        free = (name for i in count(1) if (name := f"{letter}{i}") not in taken)
        for v in group:
            if v not in names:
                label = labels.get(v, v.label if group is symbols else None)
                name = label if label is not None else "L" if v is y and y.args and "L" not in taken else next(free)
                times[name] += 1
                if times[name] > 1:
                    name = next(n for n in _primed(name, times) if n not in taken)
                taken.add(name)
                names[v] = name
    return names


def in_order(symbols: Iterable[Value], labels: Mapping[Value, str]) -> list[Value]:
    """y, z1, z2, z3 of z2, y, z1, z3: where labels differ in their numbers only, they stand in the order of these."""
    places: dict[tuple[str, ...], int] = {}
    keys = {}
    for v in symbols:
        label = labels.get(v, v.label)
        parts = [] if label is None else natural(label)
        keys[v] = places.setdefault(tuple([letters for _, letters in parts]), len(places)), parts
    return sorted(keys, key=keys.__getitem__)


def _primed(name: str, times: Counter[str]) -> Iterator[str]:
    """x′, x″ and x‴ of those that are called x too, then x⁽⁵⁾, as derivatives are written: of a thousand each is short."""
    for k in count(times[name]):
        times[name] = k
        yield name + "′" * (k - 1) if k < 5 else f"{name}⁽{str(k).translate(_RAISED)}⁾"


def _partials(v: Value, places: dict[Value, int], depends: set[Value]) -> tuple[Partial, ...]:
    """By every symbol and row that the row uses, in their places."""
    inner = topological(v, stop=places)
    args = sorted({a for u in inner for a in u.args if a in places and a in depends}, key=places.__getitem__)
    found = pullback(inner, {v: 1.0}, args)
    return tuple([Partial(a, d if isinstance(d := found.get(a, 0.0), Value) else literal(float(d))) for a in args])
