"""The ξ tables of a computation, typeset: as aligned text, Markdown, HTML or LaTeX, or as pandas DataFrames.

Three tables, as in the lecture: the partial derivatives as formulas; forward mode, where dξn/dw runs from the first row
down; backward mode, where the values are stored going down and dL/dξn then runs from the last row up.
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, reduce
from operator import mul
from typing import TYPE_CHECKING, Any, overload

from autograd import Value, topological
from autograd import primitives as p
from autograd.conversion import bounded
from autograd.path import Paths
from autograd.steps import Partial, Rows, Step, Steps, in_order, steps

from .algebra import Reading, known, simplify, written
from .columns import flowed
from .expressions import Expr, shortest, total
from .expressions import number as plain
from .names import parameter_names
from .notation import LATEX, TEXT, Style, Term, formula, to_ascii, width
from .partials import LocalPartials, in_names, short
from .table import Cell, Shown, Table, stacked, words
from .vectors import Vectors

if TYPE_CHECKING:
    import pandas

MODES = ("forward", "backward", "both")
LAYOUTS = ("tables", "lecture")
PLAIN = 60   # columns of a derivative in terms of the leaves; beside a longer one, it stands in terms of the rows
TITLES = {
    "forward": "Forward mode: the running derivative from the first row down",
    "backward": "Backward mode: values from the first row down, then the running derivative from the last row up",
    "both": "Forward and backward mode: values and dξn/dw from the first row down, then dL/dξn from the last row up",
}
_HEAD = ("row", "value", "partial", "value of partial")


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
        """The rows as dicts of text and numbers, for JSON: name, variable, value, partials, tangents and adjoint; after
        `alias=True` also what a row is called besides, or None."""
        names, make = self.steps.names, _Typesetter(self.steps, 17)
        return [{
            "name": step.name, **({"alias": make.aliases.get(step.node)} if make.aliases else {}),
            "variable": make.variable(step)(TEXT), "value": step.value,
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
          mode: str | None = None, rows: Rows = "auto", layout: str = "tables", alias: bool = False,
          digits: int = 8, limit: int = 200, note: str = "") -> XiTables: ...


def table(y: Any, wrt: Value | Sequence[Value] | None = None, *, model: Any = None, names: Mapping[Value, str] | None = None,
          mode: str | None = None, rows: Rows = "auto", layout: str = "tables", alias: bool = False,
          digits: int = 8, limit: int = 200, note: str = "") -> XiTables | PathTables:
    """The ξ tables of `y`, or, of what `autograd.paths` found, a table with a row for each path and their sum.

    wrt         which variables, as in `autograd.steps.steps`
    rows        which rows, as there: "all", "sums" for w1·x1 + w2·x2 + b in one row, "named", or a list of Values or names
    alias       rows that have a name are ξ1, ξ2 … too, and a column says "= p"; as in `autograd.steps.steps`
    layout      "tables" for one table of formulas and one for each mode; "lecture" for one with all: the variable, its partial,
                the value of both, and the running derivative
    model       a module, or anything with `named_parameters()`: unless `wrt` says otherwise, the variables are those of its
                parameters that `y` was computed from, and those without a label are called as there
    names       what to call nodes, beside what they are called anyhow
    mode        the running derivatives to show: "forward", "backward" or "both"; by default "both", in one table "forward"
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
        given = {"wrt": wrt, "model": model, "names": names, "mode": mode, "alias": alias or None,
                 "rows": None if rows == "auto" else rows, "layout": None if layout == "tables" else layout}
        for name, x in given.items():
            if x is not None:
                raise TypeError(f"table({name}={bounded(x)}) of paths: only digits, limit and note are for these; say the rest "
                                "where the paths are made, or to the table of the Value")
        return _path_tables([y] if isinstance(y, Paths) else y, digits, limit, note)
    if layout not in LAYOUTS:
        raise ValueError(f"table(layout={layout!r}): choose one of {', '.join(LAYOUTS)}")
    mode = ("forward" if layout == "lecture" else "both") if mode is None else mode
    if mode not in MODES:
        raise ValueError(f"table(mode={mode!r}): choose one of {', '.join(MODES)}")
    found = steps(y, _parameters(y, model) if wrt is None and model is not None else wrt, rows,
                  parameter_names(model) | {**(names or {})}, alias)
    if len(found.rows) > limit:
        raise ValueError(f"the table has {len(found.rows)} rows, more than limit={limit}: label the nodes that matter and "
                         "use rows='named', show the table of an intermediate Value, or raise limit=")
    if len(found.variables) > limit:
        raise ValueError(f"the table has {len(found.variables)} variables, more than limit={limit}: say which with wrt=, or "
                         "raise limit=")
    make = _Typesetter(found, digits, vectors=rows == "sums")
    if layout == "lecture":
        tables = [make.lecture(mode)]
    else:
        tables = [make.partials()]
        tables += [make.running("forward")] if mode != "backward" else []
        tables += [make.running("backward")] if mode != "forward" else []
    legend = f"where {make.vectors}" if make.vectors and make.vectors.found else ""
    return XiTables(tuple(tables), "\n".join(filter(None, (legend, note))), steps=found)


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
    found = in_order([p for _, p in model.named_parameters() if p in below], parameter_names(model))
    if not found:
        raise ValueError(f"table(model={bounded(model)}): none of its parameters is among what y was computed from")
    return found


class _Typesetter:
    """Makes the cells of one computation's tables."""

    def __init__(self, found: Steps, digits: int, vectors: bool = False) -> None:
        self.steps, self.names, self.digits = found, found.names, digits
        variables = set(found.variables)
        self.leaves = {v: name for v, name in found.names.items() if not v.args or v in variables}
        self.formulas, self.numbers = Reading(self.leaves), Reading(self.leaves, numeric=True)
        self.root = found.names.get(found.root, "L")
        self.labelled = [step.node for step in found.rows[:-1] if step.node in found.labels]
        self.aliases = {v: found.labels[v] for v in self.labelled if found.labels[v] != found.names[v]}
        self.vectors = Vectors(self.names) if vectors else None
        self.local = LocalPartials(self.names, [step.node for step in found.rows], found.labels)

    def variable(self, step: Step) -> Cell:
        """The row's formula in terms of the rows before it."""
        others = self._others(step)
        if any([u.op is p.shift for u in topological(step.node, stop=others)]):   # it cancels
            e = short(lambda: simplify(step.node, others))
            if e is not None:
                return _expr(e)
        weighted = self.vectors and self.vectors.read(step.node)
        return lambda style: weighted.typeset(others, style) if weighted else formula(step.node, others, style)

    def partial(self, step: Step, partial: Partial) -> Cell:
        """The local partial in terms of the rows before it; and of its own row p, where that gives p·(1 − p)."""
        return _expr(self.local.of(step.node, partial.formula))

    def _in_leaves(self, partial: Partial) -> Expr | None:
        return in_names(short(lambda: self.formulas.of(partial.formula)), {})

    def _others(self, step: Step) -> dict[Value, str]:
        return {v: name for v, name in self.names.items() if v is not step.node}

    def partials(self) -> Table:
        """The formulas of the rows and of their partials; below, the product of the column."""
        rows: list[tuple[Cell, ...]] = []
        for step in self.steps.rows:
            first = [_symbol(step.name), self.variable(step)]
            first += [_is(self.aliases.get(step.node))] if self.aliases else []
            for partial in step.partials:
                rows.append((*first, self._by(step, partial), self.partial(step, partial), _expr(self._in_leaves(partial))))
                first = [_NOTHING] * len(first)
        for derivative, named, product in self._chain_rule():
            rows.append((_NOTHING, _text("chain rule"), *[_NOTHING] * bool(self.aliases), derivative,
                         _NOTHING if named is None else _expr(named), _expr(product)))
        head = ["row", "variable", *["alias"] * bool(self.aliases), "partial", "derivative"]
        return Table("Partial derivatives", (*map(_text, head), _list("in terms of", list(self.leaves.values()))), tuple(rows))

    def running(self, mode: str) -> Table:
        """The values of the rows and of their partials, and the running derivatives of one mode."""
        rows = [*self._starts(mode), *[line for step in self.steps.rows for line in self._lines(step, mode)]]
        return Table(TITLES[mode], (*map(_text, _HEAD), *self._derivatives(mode)), tuple(rows))

    def lecture(self, mode: str) -> Table:
        """All in one: ξ1 = −W·X, ∂ξ1/∂W = −X, the value of both, and the running derivatives."""
        rows = [(name, _NOTHING, value, *rest) for name, value, _, *rest in self._starts(mode)]
        for step in self.steps.rows:
            alias = [_symbol(self.aliases[step.node])] if step.node in self.aliases else []
            variable = _equals(_symbol(step.name), self.variable(step), *alias)
            formulas = [_equals(self._by(step, q), self.partial(step, q)) for q in step.partials] or [_NOTHING]
            for formula_, (_, value, _, *rest) in zip(formulas, self._lines(step, mode), strict=True):
                rows.append((variable, formula_, value, *rest))
                variable = _NOTHING
        for derivative, named, product in self._chain_rule():
            closed = [_expr(e) for e in (named, product) if e is not None]
            rows.append((_text("chain rule"), _equals(derivative, *closed), *[_NOTHING] * (len(self._derivatives(mode)) + 2)))
        head = ("variable", "partial derivative", "value", "value of partial")
        return Table(TITLES[mode], (*map(_text, head), *self._derivatives(mode)), tuple(rows))

    def _chain_rule(self) -> Iterator[tuple[Cell, Expr | None, Expr | None]]:
        """For every variable dL/dw, its formula in terms of rows that have a name where that is another, and of the leaves."""
        for x, named, product in zip(self.steps.variables, self._in_names(), self._products, strict=True):
            if product is not None or named is not None:
                yield _ratio("d", self.root, self.names[x]), None if named == product else named, product

    def _derivatives(self, mode: str) -> list[Cell]:
        """What the running derivatives are called."""
        forward = [_ratio("d", "ξn", self.names[x]) for x in self.steps.variables]
        return forward * (mode != "backward") + [_ratio("d", self.root, "ξn")] * (mode != "forward")

    def _starts(self, mode: str) -> list[tuple[Cell, ...]]:
        """The lines of the variables, to which backward mode leads."""
        rest = [_NOTHING] * (1 + len(self._derivatives(mode)))
        variables = zip(self.steps.variables, self.steps.gradient, strict=True) if mode != "forward" else ()
        return [(_symbol(self.names[x]), self._both(self._numeric(x), x.data), *rest,
                 self._both(self._running_adjoints.get(x), g)) for x, g in variables]

    def _lines(self, step: Step, mode: str) -> Iterator[tuple[Cell, ...]]:
        """A line for every partial of a row: name, value, ∂row/∂arg, its value, and the running derivatives; what is the row's
        stands once."""
        first = _symbol(step.name), self._both(self._numeric(step.node), step.value)
        running: list[Cell] = []
        if mode != "backward":
            running += [self._both(t.get(step.node), d) for t, d in zip(self._running_tangents, step.tangents, strict=True)]
        if mode != "forward":
            running.append(self._both(self._running_adjoints.get(step.node), step.adjoint))
        partials = [(self._by(step, q), self._both(self._numeric(q.formula), q.number)) for q in step.partials]
        for partial in partials or [(_NOTHING, _NOTHING)]:
            yield *first, *partial, *running
            first, running = (_NOTHING, _NOTHING), [_NOTHING] * len(running)

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

    # ---- running products, as formulas with the numbers put in; None where they are too long

    def _numeric(self, v: Value) -> Expr | None:
        return in_names(short(lambda: self.numbers.of(v)), {})

    @cached_property
    def _running_tangents(self) -> list[dict[Value, Expr | None]]:
        return [self._tangents(x) for x in self.steps.variables]

    def _tangents(self, x: Value) -> dict[Value, Expr | None]:
        running: dict[Value, Expr | None] = {x: plain(1.0)}
        for step in self.steps.rows:
            terms = [(self._numeric(q.formula), running[q.arg]) for q in step.partials if q.arg in running]
            if terms:
                running[step.node] = _sum(terms)
        return running

    @cached_property
    def _running_adjoints(self) -> dict[Value, Expr | None]:
        return self._adjoints(lambda v, d: self._numeric(d))

    @cached_property
    def _products(self) -> list[Expr | None]:
        """dL/dw for every variable, in terms of the leaves: the product of the column, summed over the paths."""
        running = self._adjoints(lambda v, d: short(lambda: self.formulas.of(d)))
        return [in_names(running.get(x), {}) for x in self.steps.variables]

    def _in_names(self) -> list[Expr | None]:
        """The same in terms of the rows that have a label, where there are any; else of all rows, where one is too long."""
        if self.labelled:
            names = self.leaves | {v: self.steps.labels[v] for v in self.labelled}
            local = LocalPartials(names, self.labelled, self.steps.labels)
        elif not all(map(_plain, self._products)):
            local = self.local
        else:
            return [None] * len(self._products)
        running = self._adjoints(local.of)
        return [in_names(running.get(x), local.named) for x in self.steps.variables]

    def _adjoints(self, local: Callable[[Value, Value], Expr | None]) -> dict[Value, Expr | None]:
        """dL/dξn as formulas, of the partials d of rows v that `local` has; rows above stand first."""
        running: dict[Value, Expr | None] = {self.steps.root: plain(1.0)}
        for step in reversed(self.steps.rows):
            for partial in step.partials if step.node in running else ():
                term = _sum([(running[step.node], local(step.node, partial.formula))])
                below = running.get(partial.arg, plain(0.0))
                running[partial.arg] = _sum([(term, plain(1.0)), (below, plain(1.0))])
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
    return short(lambda: shortest(total([known(a) * known(b) for a, b in pairs])))


def _text(text: str) -> Cell:
    return lambda style: rf"\text{{{text}}}" if style is LATEX and text else text


_NOTHING = _text("")


def _equals(*cells: Cell) -> Cell:
    """∂ξ1/∂W = −X"""
    return lambda style: " = ".join([cell(style) for cell in cells])


def _is(name: str | None) -> Cell:
    """= p"""
    return lambda style: "" if name is None else f"= {style.symbol(name)}"


def _symbol(name: str) -> Cell:
    return lambda style: style.symbol(name)


def _list(words: str, names: Sequence[str]) -> Cell:
    shown = [*names[:6], *["…"] * (len(names) > 6)]
    return lambda style: ((rf"\text{{{words} }}" if style is LATEX else f"{words} ")
                          + ", ".join([style.symbol(n) if n != "…" else n for n in shown]))


def _expr(e: Expr | None) -> Cell:
    return lambda style: "…" if e is None else written(e, style)


def _plain(e: Expr | None) -> bool:
    text = "…" if e is None else written(e, TEXT)
    return "…" not in text and width(text) <= PLAIN


def _times(factors: Sequence[Expr | None]) -> Expr | None:
    return short(lambda: shortest(reduce(mul, map(known, factors), plain(1.0))))


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
