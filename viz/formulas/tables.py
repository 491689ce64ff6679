"""The ξ tables of a computation, typeset: as aligned text, Markdown, HTML or LaTeX, or as pandas DataFrames.

Three tables, as in the lecture: the partial derivatives as formulas; forward mode, where dξn/dw runs from the first row
down; backward mode, where the values are stored going down and dL/dξn then runs from the last row up.
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, reduce
from operator import mul
from typing import TYPE_CHECKING, Any, overload

from autograd import Value, topological
from autograd import primitives as p
from autograd.conversion import bounded
from autograd.path import Paths
from autograd.steps import Partial, Step, Steps, steps

from .algebra import Reading, TooLong, known, names_for, renamed, simplify, written
from .columns import flowed
from .expressions import Expr, Product, calls, has_factor, shortest, symbol, total
from .expressions import number as plain
from .names import parameter_names
from .notation import LATEX, TEXT, Style, Term, formula, to_ascii
from .table import Cell, Shown, Table, stacked, words

if TYPE_CHECKING:
    import pandas

MODES = ("forward", "backward", "both")
_HEAD = ("row", "value", "partial", "value of partial")
ACTIVATIONS = (p.sigmoid, p.tanh, p.share)   # whose slope is told by their value


@dataclass(frozen=True, repr=False)
class Tables(Shown):
    """Tables that belong together, and a note below them. They print as text, and show as HTML in Jupyter."""

    tables: tuple[Table, ...]
    note: str = ""

    def text(self, ascii: bool = False, width: int | None = None) -> str:
        """All tables as aligned text; no line is longer than `width`, as for `Table.text`."""
        note = to_ascii(self.note) if ascii else self.note
        note = note if width is None else flowed(note, width)
        return "\n\n".join([t.text(ascii, width) for t in self.tables] + [note] * bool(note))

    def markdown(self) -> str:
        """All tables in Markdown."""
        return "\n\n".join([t.markdown() for t in self.tables] + [self.note] * bool(self.note))

    def html(self) -> str:
        """All tables in HTML."""
        return f"<div>{''.join([t.html() for t in self.tables])}{f'<p>{html.escape(self.note)}</p>' * bool(self.note)}</div>"

    def latex(self) -> str:
        r"""All tables, and the note, as displayed formulas: a part of a document, or of a page with KaTeX or MathJax."""
        note = [rf"\text{{{words(line)}}}" for line in flowed(self.note, 80).splitlines() if line]
        parts = [table.latex() for table in self.tables] + [stacked(note)] * bool(note)
        return "\n\n".join([f"\\[\n{part}\n\\]" for part in parts])

    def to_pandas(self) -> list[pandas.DataFrame]:
        """A DataFrame for each table."""
        return [t.to_pandas() for t in self.tables]


@dataclass(frozen=True, repr=False)
class XiTables(Tables):
    """The ξ tables of a Value; `.steps` are the numbers."""

    steps: Steps = field(kw_only=True)

    def records(self) -> list[dict[str, Any]]:
        """The rows as dicts of text and numbers, for JSON: name, variable, value, partials, tangents and adjoint."""
        names, make = self.steps.names, _Typesetter(self.steps, 17)
        return [{
            "name": step.name, "variable": make.variable(step)(TEXT), "value": step.value,
            "partials": [{"by": names[q.arg], "formula": make.partial(step, q)(TEXT),
                          "in_leaves": _expr(make._in_leaves(q))(TEXT), "value": q.number} for q in step.partials],
            "tangents": {names[x]: t for x, t in zip(self.steps.variables, step.tangents, strict=True)},
            "adjoint": step.adjoint,
        } for step in self.steps.rows]


@dataclass(frozen=True, repr=False)
class PathTables(Tables):
    """The tables of the paths to a Value, one for each variable; `.paths` are the numbers."""

    paths: tuple[Paths, ...] = field(kw_only=True)

    def records(self) -> list[dict[str, Any]]:
        """The rows as dicts of text and numbers, for JSON: the nodes of a path, its factors, their product; and the sums."""
        rows: list[dict[str, Any]] = []
        for found in self.paths:
            make, steps = _Typesetter(found.steps, 17), {step.node: step for step in found.steps.rows}
            derivative = f"d{make.root}/d{make.names[found.variable]}"
            for path in found:
                factors = [{"of": make.names[v], "by": make.names[q.arg], "formula": make.partial(steps[v], q)(TEXT),
                            "value": q.number} for v, q in zip(path.nodes[1:], path.factors, strict=True)]
                rows.append({"derivative": derivative, "path": found.names(path), "factors": factors, "product": path.product})
            rows.append({"derivative": derivative, "sum": found.derivative})
        return rows


@overload
def table(y: Paths | Sequence[Paths], *, digits: int = 8, limit: int = 200, note: str = "") -> PathTables: ...


@overload
def table(y: Value, wrt: Value | Sequence[Value] | None = None, *, model: Any = None, names: Mapping[Value, str] | None = None,
          mode: str = "both", rows: str = "auto", digits: int = 8, limit: int = 200, note: str = "") -> XiTables: ...


def table(y: Any, wrt: Value | Sequence[Value] | None = None, *, model: Any = None, names: Mapping[Value, str] | None = None,
          mode: str = "both", rows: str = "auto", digits: int = 8, limit: int = 200, note: str = "") -> XiTables | PathTables:
    """The ξ tables of `y`, or, of what `autograd.paths` found, a table with a row for each path and their sum.

    wrt, rows   which variables and rows, as in `autograd.steps.steps`
    model       a module, or anything with `named_parameters()`: unless `wrt` says otherwise, the variables are those of its
                parameters that `y` was computed from, and those without a label are called as there
    names       what to call nodes, beside what they are called anyhow
    mode        "forward", "backward" or "both"
    digits      significant digits of the decimals, 1 to 17
    limit       ValueError if there are more rows, variables or paths, or factors of a path: nobody reads them
    note        a sentence that is shown below

    >>> from autograd import log
    >>> x = Value(2.0, label="x")
    >>> print(table(log(x * x), mode="backward"))
    Partial derivatives
    row │ variable   │ partial │ derivative │ in terms of x
    ────┼────────────┼─────────┼────────────┼──────────────
    ξ1  │ x·x        │ ∂ξ1/∂x  │ 2·x        │ 2·x
    L   │ log ξ1     │ ∂L/∂ξ1  │ 1/ξ1       │ 1/x²
        │ chain rule │ dL/dx   │            │ 2/x
    <BLANKLINE>
    Backward mode: values from the first row down, then the running derivative from the last row up
    row │ value             │ partial │ value of partial │ dL/dξn
    ────┼───────────────────┼─────────┼──────────────────┼───────
    x   │ 2                 │         │                  │ 1
    ξ1  │ 4                 │ ∂ξ1/∂x  │ 4                │ 0.25
    L   │ log 4 = 1.3862944 │ ∂L/∂ξ1  │ 0.25             │ 1
    """
    if not 1 <= digits <= 17:
        raise ValueError(f"table(digits={digits!r}): a float has 1 to 17 significant digits")
    if isinstance(y, (Paths, list, tuple)):
        return _path_tables([y] if isinstance(y, Paths) else y, digits, limit, note)
    if mode not in MODES:
        raise ValueError(f"table(mode={mode!r}): choose one of {', '.join(MODES)}")
    found = steps(y, _parameters(y, model) if wrt is None and model is not None else wrt, rows,
                  parameter_names(model) | {**(names or {})})
    if len(found.rows) > limit:
        raise ValueError(f"the table has {len(found.rows)} rows, more than limit={limit}: label the nodes that matter and "
                         "use rows='named', show the table of an intermediate Value, or raise limit=")
    if len(found.variables) > limit:
        raise ValueError(f"the table has {len(found.variables)} variables, more than limit={limit}: say which with wrt=, or "
                         "raise limit=")
    make = _Typesetter(found, digits)
    tables = [make.partials()]
    tables += [make.forward()] if mode != "backward" else []
    tables += [make.backward()] if mode != "forward" else []
    return XiTables(tuple(tables), note, steps=found)


def _path_tables(found: Sequence[Paths], digits: int, limit: int, note: str) -> PathTables:
    """A table for each variable."""
    if not found:
        raise ValueError("table() got an empty list: give a Value, or what autograd.paths gives")
    for each in found:
        if not isinstance(each, Paths):
            raise TypeError(f"table() got a list with {bounded(each)}: it takes a Value, or what autograd.paths gives")
        longest = max([len(path.factors) for path in each], default=0)
        if max(len(each), longest) > limit:
            raise ValueError(f"the table has {len(each)} path{'s' * (len(each) != 1)}, of up to {longest} factors, and limit="
                             f"{limit}: list the paths to an intermediate Value, name the nodes that matter, or raise limit=")
    return PathTables(tuple([_Typesetter(each.steps, digits).paths(each) for each in found]), note, paths=tuple(found))


def _parameters(y: Value, model: Any) -> list[Value]:
    """The parameters of `model` that `y` was computed from."""
    if not hasattr(model, "named_parameters"):
        raise TypeError(f"table(model={bounded(model)}): a module, or anything with named_parameters()")
    below = dict.fromkeys(topological(y)) if isinstance(y, Value) else {}
    found = [p for _, p in model.named_parameters() if p in below]
    if not found:
        raise ValueError(f"table(model={bounded(model)}): none of its parameters is among what y was computed from")
    return found


class _Typesetter:
    """Makes the cells of one computation's tables."""

    def __init__(self, found: Steps, digits: int) -> None:
        self.steps, self.names, self.digits = found, found.names, digits
        variables = set(found.variables)
        self.leaves = {v: name for v, name in found.names.items() if not v.args or v in variables}
        self.formulas, self.numbers = Reading(self.leaves), Reading(self.leaves, numeric=True)
        self.root = found.names.get(found.root, "L")
        self.labelled = [step.node for step in found.rows[:-1] if step.node.label is not None]
        named = {step.node: names_for(self.names, step.node) for step in found.rows
                 if step.node.label is not None or step.node.op in ACTIVATIONS}
        self.named = _longest_first(named.values())   # what products of factors are in terms of the rows' names
        self.named_but = {v: _longest_first([parts for u, parts in named.items() if u is not v]) for v in named}

    def variable(self, step: Step) -> Cell:
        """The row's formula in terms of the rows before it."""
        others = self._others(step)
        if any([u.op is p.shift for u in topological(step.node, stop=others)]):   # it cancels
            e = _short(lambda: simplify(step.node, others))
            if e is not None:
                return _expr(e)
        return lambda style: formula(step.node, others, style)

    def partial(self, step: Step, partial: Partial) -> Cell:
        """The local partial in terms of the rows before it; and of its own row p, where that gives p·(1 − p)."""
        read = _short(lambda: Reading(self._others(step)).of(partial.formula))
        with_own = _renamed(read, self.named)
        if with_own is not None and self._in_own_terms(step, with_own):
            return _expr(with_own)
        return _expr(_renamed(read, self.named_but.get(step.node, self.named)))

    def _in_own_terms(self, step: Step, e: Expr) -> bool:
        """Whether it is p·(1 − p), or of an activation's row at all in names only."""
        complement = plain(1.0) + plain(-1.0) * symbol(step.name)
        return has_factor(e, complement) or (step.node.op in ACTIVATIONS and not any(calls(e.terms)))

    def _in_leaves(self, partial: Partial) -> Expr | None:
        return _renamed(_short(lambda: self.formulas.of(partial.formula)), {})

    def _others(self, step: Step) -> dict[Value, str]:
        return {v: name for v, name in self.names.items() if v is not step.node}

    def partials(self) -> Table:
        rows: list[tuple[Cell, ...]] = []
        for step in self.steps.rows:
            name, variable = _symbol(step.name), self.variable(step)
            for partial in step.partials:
                rows.append((name, variable, self._by(step, partial), self.partial(step, partial),
                             _expr(self._in_leaves(partial))))
                name = variable = _text("")
        for x, named, product in zip(self.steps.variables, self._in_names(), self._products, strict=True):
            if product is not None or named is not None:
                rows.append((_text(""), _text("chain rule"), _ratio("d", self.root, self.names[x]),
                             _text("") if named in (None, product) else _expr(named), _expr(product)))
        head = ("row", "variable", "partial", "derivative")
        return Table("Partial derivatives", (*map(_text, head), _list("in terms of", list(self.leaves.values()))), tuple(rows))

    def forward(self) -> Table:
        rows = []
        running = [self._running_tangents(x) for x in self.steps.variables]
        for step in self.steps.rows:
            cells = self._values(step)
            tangents = [self._both(t.get(step.node), d) for t, d in zip(running, step.tangents, strict=True)]
            for i, (name, value, by, partial) in enumerate(cells):
                rows.append((name, value, by, partial, *(tangents if i == 0 else [_text("")] * len(tangents))))
        head = [*map(_text, _HEAD), *[_ratio("d", "ξn", self.names[x]) for x in self.steps.variables]]
        return Table("Forward mode: the running derivative from the first row down", tuple(head), tuple(rows))

    def backward(self) -> Table:
        running = self._running_adjoints
        nothing = _text("")
        rows = [(_symbol(self.names[x]), self._both(self._numeric(x), x.data), nothing, nothing, self._both(running.get(x), g))
                for x, g in zip(self.steps.variables, self.steps.gradient, strict=True)]
        for step in self.steps.rows:
            for i, cells in enumerate(self._values(step)):
                rows.append((*cells, self._both(running.get(step.node), step.adjoint) if i == 0 else _text("")))
        head = (*map(_text, _HEAD), _ratio("d", self.root, "ξn"))
        title = "Backward mode: values from the first row down, then the running derivative from the last row up"
        return Table(title, head, tuple(rows))

    def paths(self, found: Paths) -> Table:
        """A row for each path: its nodes, its factors as formulas and as numbers, their product; below, the sum."""
        steps = {step.node: step for step in self.steps.rows}
        rows: list[tuple[Cell, ...]] = []
        for path in found:
            factors = [self.partial(steps[v], q) for v, q in zip(path.nodes[1:], path.factors, strict=True)]
            exact = _times([self._numeric(q.formula) for q in path.factors]) if math.isfinite(path.product) else None
            values = [_decimal(q.number, self.digits) for q in path.factors]
            rows.append((_arrows(found.names(path)), _side_by_side(factors), _side_by_side(values),
                         self._both(exact, path.product)))
        x = found.variable
        exact = self._running_adjoints.get(x) if rows else None
        closed = [e for e in (*self._in_names(), *self._products) if e is not None] if rows else [plain(0.0)]
        rows.append((_ratio("d", self.root, self.names[x]), _expr(min(closed, key=lambda e: e.size, default=None)),
                     _text("sum"), self._both(exact, found.derivative)))
        head = tuple(map(_text, ("path", "factors", "values", "product")))
        return Table("Paths: the product of the partials along each, and the sum over the paths", head, tuple(rows))

    def _values(self, step: Step) -> list[tuple[Cell, Cell, Cell, Cell]]:
        """(name, value, by, partial) for every partial of a row; name and value stand once."""
        value = self._both(self._numeric(step.node), step.value)
        cells = [(_text(""), _text(""), self._by(step, q), self._both(self._numeric(q.formula), q.number))
                 for q in step.partials] or [(_text(""), _text(""), _text(""), _text(""))]
        return [(_symbol(step.name), value, *cells[0][2:]), *cells[1:]]

    # ---- running products, as formulas with the numbers put in; None where they are too long

    def _numeric(self, v: Value) -> Expr | None:
        return _renamed(_short(lambda: self.numbers.of(v)), {})

    def _running_tangents(self, x: Value) -> dict[Value, Expr | None]:
        running: dict[Value, Expr | None] = {x: plain(1.0)}
        for step in self.steps.rows:
            running[step.node] = _sum([(self._numeric(q.formula), running[q.arg]) for q in step.partials if q.arg in running])
            if not any(q.arg in running for q in step.partials):
                del running[step.node]
        return running

    @cached_property
    def _running_adjoints(self) -> dict[Value, Expr | None]:
        return self._adjoints(lambda partial: self._numeric(partial.formula))

    @cached_property
    def _products(self) -> list[Expr | None]:
        """dL/dw for every variable, in terms of the leaves: the product of the column, summed over the paths."""
        running = self._adjoints(lambda partial: _short(lambda: self.formulas.of(partial.formula)))
        return [_renamed(running.get(x), {}) for x in self.steps.variables]

    def _in_names(self) -> list[Expr | None]:
        """The same in terms of the rows that have a label, where there are any; else of all rows, where it is too long."""
        if self.labelled:
            names = self.leaves | {v: self.names[v] for v in self.labelled}
        elif None in self._products:
            names = self.names
        else:
            return [None] * len(self._products)
        reading = Reading(names)
        running = self._adjoints(lambda partial: _renamed(_short(lambda: reading.of(partial.formula)), self.named))
        return [_renamed(running.get(x), self.named) for x in self.steps.variables]

    def _adjoints(self, local: Callable[[Partial], Expr | None]) -> dict[Value, Expr | None]:
        running: dict[Value, Expr | None] = {self.steps.root: plain(1.0)}
        for step in reversed(self.steps.rows):
            for partial in step.partials if step.node in running else ():
                term = _sum([(running[step.node], local(partial))])
                before = running.get(partial.arg, plain(0.0))
                running[partial.arg] = _sum([(before, plain(1.0)), (term, plain(1.0))])
        return running

    # ---- cells

    def _both(self, exact: Expr | None, decimal: float) -> Cell:
        """The number as the lecture writes it and as a decimal: 1 + e⁻⁹ = 1.0001234."""
        def cell(style: Style) -> str:
            short = style.number(decimal, self.digits)
            if exact is None or exact.number() is not None:
                return short
            text = written(exact, TEXT)
            if "…" in text or len(text) > 34 or re.search(r"\.\d{8}", text):   # too long, or decimals anyway
                return short
            return f"{written(exact, style)} = {short}"
        return cell

    def _by(self, step: Step, partial: Partial) -> Cell:
        return _ratio("∂", step.name, self.names[partial.arg])


def _ratio(d: str, of: str, by: str) -> Cell:
    """∂ξ2/∂ξ1"""
    def cell(style: Style) -> str:
        sign = {"d": r"\mathrm{d}", "∂": r"\partial "}[d] if style is LATEX else d
        return f"{sign}{style.symbol(of)}/{sign}{style.symbol(by)}"
    return cell


def _sum(pairs: Sequence[tuple[Expr | None, Expr | None]]) -> Expr | None:
    """Σ a·b; None if a part is unknown or the result too long."""
    return _short(lambda: shortest(total([known(a) * known(b) for a, b in pairs])))


def _renamed(e: Expr | None, named: Mapping[Product, Expr]) -> Expr | None:
    return _short(lambda: renamed(known(e), named))


def _longest_first(parts: Iterable[Mapping[Product, Expr]]) -> dict[Product, Expr]:
    return dict(sorted([item for each in parts for item in each.items()], key=lambda item: -len(item[0][1])))


def _short(make: Callable[[], Expr]) -> Expr | None:
    try:
        return make()
    except (TooLong, ArithmeticError):
        return None


def _text(text: str) -> Cell:
    return lambda style: rf"\text{{{text}}}" if style is LATEX and text else text


def _symbol(name: str) -> Cell:
    return lambda style: style.symbol(name)


def _list(words: str, names: Sequence[str]) -> Cell:
    shown = [*names[:6], *["…"] * (len(names) > 6)]
    return lambda style: ((rf"\text{{{words} }}" if style is LATEX else f"{words} ")
                          + ", ".join([style.symbol(n) if n != "…" else n for n in shown]))


def _simple(v: Value, names: Mapping[Value, str]) -> Cell:
    return _expr(_short(lambda: simplify(v, names)))


def _expr(e: Expr | None) -> Cell:
    return lambda style: "…" if e is None else written(e, style)


def _times(factors: Sequence[Expr | None]) -> Expr | None:
    return _short(lambda: shortest(reduce(mul, map(known, factors), plain(1.0))))


def _arrows(names: Sequence[str]) -> Cell:
    """x → ξ1 → L; of a long path both ends."""
    shown = [*names[:4], None, *names[-4:]] if len(names) > 9 else names
    return lambda style: (r" \to " if style is LATEX else " → ").join(["…" if n is None else style.symbol(n) for n in shown])


def _decimal(x: float, digits: int) -> Cell:
    return lambda style: style.number(x, digits)


def _side_by_side(factors: Sequence[Cell]) -> Cell:
    """A product whose factors stay as they are, each in brackets unless it is a symbol, a function or a power."""
    def cell(style: Style) -> str:
        terms = [t if isinstance(t := factor(style), Term) else style.term(t) for factor in factors]
        if len(terms) > 1:
            terms = [t if t.binds >= 8 else style.term(style.bracketed(t)) for t in terms]
        return style.product(terms or [style.number(1.0)])
    return cell
