"""A table and its formats: aligned text, Markdown, HTML, LaTeX, a pandas DataFrame."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from autograd.display import terminal_width

from .columns import LEAST, fitted, sides
from .names import ABOVE, BELOW
from .notation import HTML, LATEX, TEXT, Style, to_ascii

if TYPE_CHECKING:
    import pandas

__all__ = ["Cell", "Shown", "Table", "stacked", "words"]

_CELL = "text-align: left; vertical-align: baseline; white-space: nowrap; padding: 0.15em 1.2em 0.15em 0"
_RULE, _WRAP = "border-bottom: 1px solid", '<wbr style="white-space: normal"/>'
_TABLE, _CAPTION = "border-collapse: collapse; margin: 0.5em 0 1.2em", "text-align: left; font-weight: bold; padding: 0.3em 0"
BREAKS, RAISED = r"\s(),.:;=+−/·-", "".join([*ABOVE, *BELOW])   # between names; what stands above or below in one
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
        return stacked([rf"\textbf{{{words(self.title)}}}", "\n".join(array)])

    def to_pandas(self) -> pandas.DataFrame:
        """The cells as text, in a DataFrame."""
        import pandas as pd
        head, *rows = self.cells(TEXT)
        return pd.DataFrame(rows, columns=head)


def _wrappable(cell: str) -> str:
    """HTML of "formula = number" that may go on in a second line before the number."""
    *formulas, number = sides(cell)
    return f"{' = '.join(formulas)} {_WRAP}= {number}" if formulas else cell


def stacked(rows: Sequence[str]) -> str:
    """LaTeX of amsmath, one below the other."""
    return "\n".join([r"\begin{aligned}", " \\\\\n".join([f"&{row}" for row in rows]), r"\end{aligned}"])


def words(text: str) -> str:
    r"""`text` for \text{…}: letters of formulas, and what LaTeX reads otherwise, in math mode."""
    special = {"∂": r"\partial", "·": r"\cdot", "−": "-", "…": r"\ldots", "^": r"\hat{\ }"}
    parts = re.split(f"([^{BREAKS}]*[{RAISED}][^{BREAKS}]*)", text)   # what is neither is Θ⁽¹⁾₁₀, a name as a whole
    return "".join([f"${LATEX.symbol(part)}$" if i % 2 else "".join([
        c if c.isascii() and (c.isalnum() or c in " .,:;()=+-/'!?") else f"${{{special.get(c) or LATEX.symbol(c)}}}$"
        for c in part]) for i, part in enumerate(parts)])


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
