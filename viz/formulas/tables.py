"""The ξ tables of a computation, typeset: as aligned text, Markdown, HTML or LaTeX, or as pandas DataFrames.

Three tables, as in the lecture: the partial derivatives as formulas; forward mode, where dξn/dw runs from the first row
down; backward mode, where the values are stored going down and dL/dξn then runs from the last row up.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from autograd import Value
from autograd.display import terminal_width
from autograd.steps import Partial, Step, Steps, steps

from .algebra import Expr, TooLong, simplify, total, written
from .algebra import number as plain
from .columns import LEAST, fitted, flowed
from .notation import HTML, LATEX, TEXT, Style, formula, to_ascii

if TYPE_CHECKING:
    import pandas

MODES = ("forward", "backward", "both")
_CELL = "text-align: left; vertical-align: baseline; white-space: nowrap; padding: 0.15em 1.2em 0.15em 0"
_RULE, _WRAP = "border-bottom: 1px solid", '<wbr style="white-space: normal"/>'
_TABLE, _CAPTION = "border-collapse: collapse; margin: 0.5em 0 1.2em", "text-align: left; font-weight: bold; padding: 0.3em 0"
_HEAD = ("row", "value", "partial", "value of partial")
Cell = Callable[[Style], str]   # what stands in a cell, in each style


class Shown:
    """What has `text` and `html`: it prints as text, as wide as the terminal if it goes to one, and is HTML in a notebook."""

    def text(self, ascii: bool = False, width: int | None = None) -> str:
        """The text."""
        raise NotImplementedError

    def html(self) -> str:
        """The HTML."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return self.text(width=terminal_width())

    def _repr_html_(self) -> str:
        return self.html()


@dataclass(frozen=True, repr=False)
class Table(Shown):
    """A title, the head of each column, and rows of cells. Prints as text, shows as HTML in Jupyter."""

    title: str
    head: tuple[Cell, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def cells(self, style: Style) -> list[list[str]]:
        """The head and the rows in one style."""
        return [[cell(style) for cell in row] for row in (self.head, *self.rows)]

    def text(self, ascii: bool = False, width: int | None = None) -> str:
        """Columns aligned by spaces, a rule below the head; in Unicode, or in ASCII where a terminal has nothing else.

        No line is longer than `width`, at least 20, if there is one: cells go on in a second line, or there is a block for
        every row. ValueError for a smaller one.
        """
        if width is not None and width < LEAST:
            raise ValueError(f"text(width={width!r}): a table needs {LEAST} columns")
        rows = [[to_ascii(c) if ascii else c for c in row] for row in self.cells(TEXT)]
        text = fitted(self.title, rows, width)
        return to_ascii(text) if ascii else text

    def markdown(self) -> str:
        """A table of GitHub's Markdown, its formulas as $LaTeX$."""
        rows = [[f"${c}$".replace("|", r"\vert ") if c else "" for c in row] for row in self.cells(LATEX)]
        lines = ["| " + " | ".join(row) + " |" for row in rows]
        return "\n".join([f"**{self.title}**\n", lines[0], "|" + "---|" * len(self.head), *lines[1:]])

    def html(self) -> str:
        """A table of HTML, a th for each column and each row."""
        head, *rows = self.cells(HTML)
        lines = ["<tr>" + "".join([f'<th scope="col" style="{_CELL}; {_RULE}">{c}</th>' for c in head]) + "</tr>"]
        lines += [f'<tr><th scope="row" style="{_CELL}">{row[0]}</th>'
                  + "".join([f'<td style="{_CELL}">{_wrappable(c)}</td>' for c in row[1:]]) + "</tr>" for row in rows]
        caption = f'<caption style="{_CAPTION}">{html.escape(self.title)}</caption>'
        return f'<table style="{_TABLE}">{caption}{"".join(lines)}</table>'

    def latex(self) -> str:
        r"""The title above an array, for math mode in LaTeX (with amsmath), KaTeX and MathJax.

        Rows stand further apart the deeper their fractions are: \arraystretch is what LaTeX and KaTeX measure, MathJax measures
        the fractions.
        """
        cells = self.cells(LATEX)
        head, *rows = [" & ".join(row) for row in cells]
        stretch = 1.4 + 0.5 * max([_nested_fractions(cell) for row in cells for cell in row])
        array = [rf"{{\def\arraystretch{{{stretch:.1f}}}", rf"\begin{{array}}{{{'l' * len(cells[0])}}}", rf"{head} \\ \hline",
                 " \\\\\n".join(rows), r"\end{array}}"]
        return _stacked([rf"\textbf{{{_words(self.title)}}}", "\n".join(array)])

    def to_pandas(self) -> pandas.DataFrame:
        """The cells as text, in a DataFrame."""
        import pandas as pd
        head, *rows = self.cells(TEXT)
        return pd.DataFrame(rows, columns=head)


def _wrappable(cell: str) -> str:
    """HTML of "formula = number" that may go on in a second line before the number."""
    formula, equals, number = cell.rpartition(" = ")
    return f"{formula} {_WRAP}= {number}" if equals else cell


def _stacked(rows: Sequence[str]) -> str:
    """LaTeX, one below the other."""
    return "\n".join([r"\begin{array}{l}", " \\\\\n".join(rows), r"\end{array}"])


def _words(text: str) -> str:
    r"""`text` for \text{…}: letters of formulas, and what LaTeX reads otherwise, in math mode."""
    special = {"∂": r"\partial", "·": r"\cdot", "−": "-", "…": r"\ldots", "^": r"\hat{\ }"}
    return "".join([c if c.isascii() and (c.isalnum() or c in " .,:;()=+-/'!?") else
                    f"${{{special.get(c) or LATEX.symbol(c)}}}$" for c in text])


def _nested_fractions(formula: str) -> int:
    r"""How deep \frac stands within \frac."""
    deepest = 0
    inside, due = [0], [0]   # of every brace that is open: how many fractions it is in, how many parts of one are still to come
    for token in re.findall(r"\\frac(?={)|\\.|[{}]", formula):
        if token == r"\frac":
            due[-1] = 2
        elif token == "{":
            part = due[-1] > 0
            due[-1] -= part
            inside.append(inside[-1] + part)
            due.append(0)
            deepest = max(deepest, inside[-1])
        elif token == "}":
            inside.pop()
            due.pop()
    return deepest


@dataclass(frozen=True, repr=False)
class XiTables(Shown):
    """The ξ tables of a Value. Prints as text, shows as HTML in Jupyter; `.steps` are the numbers."""

    steps: Steps
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
        note = [rf"\text{{{_words(line)}}}" for line in flowed(self.note, 80).splitlines() if line]
        parts = [table.latex() for table in self.tables] + [_stacked(note)] * bool(note)
        return "\n\n".join([f"\\[\n{part}\n\\]" for part in parts])

    def to_pandas(self) -> list[pandas.DataFrame]:
        """A DataFrame for each table."""
        return [t.to_pandas() for t in self.tables]

    def records(self) -> list[dict[str, Any]]:
        """The rows as dicts of text and numbers, for JSON: name, variable, value, partials, tangents and adjoint."""
        names, make = self.steps.names, _Typesetter(self.steps, 17)
        return [{
            "name": step.name, "variable": make.variable(step)(TEXT), "value": step.value,
            "partials": [{"by": names[q.arg], "formula": make.partial(step, q)(TEXT),
                          "in_leaves": _simple(q.formula, make.leaves)(TEXT), "value": q.number} for q in step.partials],
            "tangents": {names[x]: t for x, t in zip(self.steps.variables, step.tangents, strict=True)},
            "adjoint": step.adjoint,
        } for step in self.steps.rows]



def table(y: Value, wrt: Value | Sequence[Value] | None = None, *, mode: str = "both", rows: str = "auto", digits: int = 8,
          limit: int = 200, note: str = "") -> XiTables:
    """The ξ tables of `y`.

    wrt, rows   which variables and rows, as in `autograd.steps.steps`
    mode        "forward", "backward" or "both"
    digits      significant digits of the decimals, 1 to 17
    limit       ValueError if there are more rows: nobody reads them
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
    if mode not in MODES:
        raise ValueError(f"table(mode={mode!r}): choose one of {', '.join(MODES)}")
    if not 1 <= digits <= 17:
        raise ValueError(f"table(digits={digits!r}): a float has 1 to 17 significant digits")
    found = steps(y, wrt, rows)
    if len(found.rows) > limit:
        raise ValueError(f"the table has {len(found.rows)} rows, more than limit={limit}: label the nodes that matter and "
                         "use rows='named', show the table of an intermediate Value, or raise limit=")
    make = _Typesetter(found, digits)
    tables = [make.partials()]
    tables += [make.forward()] if mode != "backward" else []
    tables += [make.backward()] if mode != "forward" else []
    return XiTables(found, tuple(tables), note)


class _Typesetter:
    """Makes the cells of one computation's tables."""

    def __init__(self, found: Steps, digits: int) -> None:
        self.steps, self.names, self.digits = found, found.names, digits
        variables = set(found.variables)
        self.leaves = {v: name for v, name in found.names.items() if not v.args or v in variables}
        self.root = found.names.get(found.root, "L")

    def variable(self, step: Step) -> Cell:
        """The row's formula in terms of the rows before it."""
        return lambda style: formula(step.node, self._others(step), style)

    def partial(self, step: Step, partial: Partial) -> Cell:
        """The local partial in terms of the rows before it."""
        return _simple(partial.formula, self._others(step))

    def _others(self, step: Step) -> dict[Value, str]:
        return {v: name for v, name in self.names.items() if v is not step.node}

    def partials(self) -> Table:
        rows: list[tuple[Cell, ...]] = []
        for step in self.steps.rows:
            name, variable = _symbol(step.name), self.variable(step)
            for partial in step.partials:
                rows.append((name, variable, self._by(step, partial), self.partial(step, partial),
                             _simple(partial.formula, self.leaves)))
                name = variable = _text("")
        for x, product in zip(self.steps.variables, self._products(), strict=True):
            if product is not None:
                rows.append((_text(""), _text("chain rule"), _ratio("d", self.root, self.names[x]), _text(""), _expr(product)))
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
        running = self._running_adjoints()
        rows = [(_symbol(self.names[x]), self._both(plain(x.data), x.data), _text(""), _text(""), self._both(running.get(x), g))
                for x, g in zip(self.steps.variables, self.steps.gradient, strict=True)]
        for step in self.steps.rows:
            for i, cells in enumerate(self._values(step)):
                rows.append((*cells, self._both(running.get(step.node), step.adjoint) if i == 0 else _text("")))
        head = (*map(_text, _HEAD), _ratio("d", self.root, "ξn"))
        title = "Backward mode: values from the first row down, then the running derivative from the last row up"
        return Table(title, head, tuple(rows))

    def _values(self, step: Step) -> list[tuple[Cell, Cell, Cell, Cell]]:
        """(name, value, by, partial) for every partial of a row; name and value stand once."""
        value = self._both(self._numeric(step.node), step.value)
        cells = [(_text(""), _text(""), self._by(step, q), self._both(self._numeric(q.formula), q.number))
                 for q in step.partials] or [(_text(""), _text(""), _text(""), _text(""))]
        return [(_symbol(step.name), value, *cells[0][2:]), *cells[1:]]

    # ---- running products, as formulas with the numbers put in; None where they are too long

    def _numeric(self, v: Value) -> Expr | None:
        return _short(lambda: simplify(v, self.leaves, numeric=True))

    def _running_tangents(self, x: Value) -> dict[Value, Expr | None]:
        running: dict[Value, Expr | None] = {x: plain(1.0)}
        for step in self.steps.rows:
            running[step.node] = _sum([(self._numeric(q.formula), running[q.arg]) for q in step.partials if q.arg in running])
            if not any(q.arg in running for q in step.partials):
                del running[step.node]
        return running

    def _running_adjoints(self) -> dict[Value, Expr | None]:
        return self._adjoints(lambda partial: self._numeric(partial.formula))

    def _products(self) -> list[Expr | None]:
        """dL/dw for every variable, in terms of the leaves: the product of the column, summed over the paths."""
        running = self._adjoints(lambda partial: _short(lambda: simplify(partial.formula, self.leaves)))
        return [running.get(x) for x in self.steps.variables]

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
            if len(text) > 34 or re.search(r"\.\d{8}", text):   # too long, or decimals anyway
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
    return _short(lambda: total([_known(a) * _known(b) for a, b in pairs]))


def _known(e: Expr | None) -> Expr:
    if e is None:
        raise TooLong
    return e


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
