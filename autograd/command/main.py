"""python3 -m autograd: differentiate an expression, show its ξ tables, draw its graph. Needs nothing installed."""

from __future__ import annotations

import argparse
import html
import json
import math
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, count
from pathlib import Path
from typing import Any, TextIO

from ..check import differences
from ..derive import hessian, value_and_grad
from ..display import terminal_width
from ..expression import CONSTANTS, FUNCTIONS, Expression, ExpressionError, parse
from ..graph import topological
from ..steps import ROWS
from ..value import Value
from .columns import DataError, read_columns
from .shell import Parser, Refused, say, takes

LECTURE, AT = "-y*log(1/(1 + exp(-W*X)))", {"y": 1.0, "W": 3.0, "X": 3.0}   # CS109B, part A
READABLE = 400   # nodes of a graph whose table anybody reads
ERRATA = ("The slides of CS109B print ∂ξ4/∂ξ3 without its minus sign, so their signs from ξ4 on, and +0.00037018372, are "
          "wrong: their own closed form −y·X·e^(−W·X)/(1 + e^(−W·X)) gives −0.00037018372.")


@dataclass(frozen=True)
class Result:
    """The value and the derivatives of an expression, or of its sum over the rows of a file."""

    name: str
    title: str
    value: float
    gradient: dict[str, float]
    hessian: list[list[float]] | None
    worst: tuple[str, float, float] | None   # the derivative that differences disagree with most: its name, and both

    @property
    def agrees(self) -> bool:
        """Whether differences confirm the gradient, or were not asked."""
        return self.worst is None or abs(self.worst[1] - self.worst[2]) <= 1e-5 + 1e-3 * abs(self.worst[2])

    def lines(self, digits: int | None) -> list[str]:
        """The result in words, a line each; numbers in full unless `digits` are given."""
        def say(x: float) -> str:
            return repr(x) if digits is None else f"{x:.{digits}g}"
        names = list(self.gradient)
        lines = [self.title, f"{self.name} = {say(self.value)}"]
        lines += [f"d{self.name}/d{name} = {say(d)}" for name, d in self.gradient.items()]
        for a, row in zip(names, self.hessian or [], strict=False):
            lines += [f"d²{self.name}/(d{a} d{b}) = {say(d)}" for b, d in zip(names, row, strict=True)]
        if self.worst:
            name, exact, numeric = self.worst
            lines.append(f"check: central differences {'agree' if self.agrees else 'DISAGREE'}; worst at d{self.name}/d{name}, "
                         f"{exact!r} against {numeric!r}, a difference of {abs(exact - numeric):.2g}")
        return lines

    def data(self) -> dict[str, Any]:
        """The result for JSON."""
        check = self.worst and dict(zip(("variable", "derivative", "differences"), self.worst, strict=True), agrees=self.agrees)
        found = {"title": self.title, "value": self.value, "gradient": self.gradient, "hessian": self.hessian, "check": check}
        return {name: part for name, part in found.items() if part is not None}


def main(argv: Sequence[str] | None = None, out: TextIO | None = None, err: TextIO | None = None) -> int:
    """Run the command. Returns 0, or 1 if --check found a disagreement, or 2, with an error on `err`, for bad input."""
    out, err = out or sys.stdout, err or sys.stderr
    try:
        options = _parser().parse_args([_word(word) for word in (sys.argv[1:] if argv is None else argv)])
        text, status = _run(options, out)
    except (ExpressionError, DataError, Refused) as error:
        text, status, out = f"autograd: {error}\n", 2, err
    except (FloatingPointError, OverflowError, OSError) as error:
        text, status, out = f"autograd: {' '.join(str(error).split())}\n", 2, err
    say(out, text)
    return status


def _run(options: argparse.Namespace, out: TextIO) -> tuple[str, int]:
    """What to print on `out`, and the exit status. A file is written last, when all else has succeeded."""
    words = [word.strip() for word in options.words]
    lecture = not words or _gives_a_number(words[0])   # and p = …; … is an expression
    expression = parse(LECTURE if lecture else words.pop(0))
    given = (AT if lecture else {}) | _assignments(words, expression)
    if options.sum and options.data is None:
        raise Refused("--sum sums over the rows of a file: add --data FILE.csv")
    columns = [name for name in expression.names if name not in given and name not in CONSTANTS]
    rows = [{}] if options.data is None else read_columns(options.data, columns, list(given))
    if len(rows) > 1 and not options.sum:
        raise Refused(f"{options.data} has {len(rows)} rows: add --sum to sum the expression over them")
    wrt = _wrt(options.wrt, ["W"] if lecture else [name for name in given if name in expression.names], given)
    result = _derivatives(expression, given, wrt, rows, options)
    if options.data is not None:
        if options.svg or options.output or options.explore:
            raise Refused("a picture is of one expression: leave out --data, or --svg, --explore and -o")
        return _written(result, None, options, out), int(not result.agrees)

    from viz import draw, explore, table
    variables = {name: Value(x, label=name) for name, x in given.items()}
    y = expression.evaluate(variables)
    if y.args:
        y.label = result.name
    tables = None
    try:
        if len(topological(y)) <= READABLE:
            tables = table(y, [variables[name] for name in wrt], mode=options.mode, rows=options.rows, layout=options.layout,
                           alias=options.alias, digits=options.digits or 8, limit=READABLE, note=ERRATA if lecture else "")
        files: dict[Path, Any] = {}
        if options.explore:
            files[Path(options.explore)] = explore(y, wrt=[variables[name] for name in wrt])
        if (target := _target(options, lecture)) is not None:
            y.backward()
            files[target] = draw(y, rows="sums" if options.rows == "sums" else "all")
    except ValueError as error:
        raise Refused(str(error)) from None
    text = _written(result, tables, options, out)
    if tables is None and options.format == "text":
        text = f"(more than {READABLE} operations: no table)\n\n{text}"
    for target, made in files.items():
        try:
            made.save(target)
        except (ValueError, RuntimeError) as error:
            raise Refused(str(error)) from None
        except OSError as error:
            raise Refused(f"cannot write {target}: {error.strerror}") from None
        text += f"\nwrote {target}\n" if options.format == "text" else ""
    return text, int(not result.agrees)


def _derivatives(expression: Expression, given: Mapping[str, Any], wrt: Sequence[str],
                 rows: Sequence[Mapping[str, Any]], options: argparse.Namespace) -> Result:
    """The sum over the rows (one empty row without data): "the gradient of a sum is the sum of gradients"."""
    def value(row: Mapping[str, Any], xs: Sequence[Any]) -> Value:
        return expression.evaluate({**given, **row, **dict(zip(wrt, xs, strict=True))})

    at = [given[name] for name in wrt]
    found, curvature = [], []
    for i, row in enumerate(rows, 1):
        f = partial(value, row)
        try:
            found.append(value_and_grad(f)(at))
            curvature += [[d for line in hessian(f)(at) for d in line]] if options.second else []
        except ExpressionError as error:
            if options.data is None:
                raise
            raise ExpressionError(f"{options.data}, row {i}: {error.message}", expression.text, error.at) from None
    sum_of_values = math.fsum([v for v, _ in found])
    gradient = [math.fsum(column) for column in zip(*[g for _, g in found], strict=True)]
    flat = [math.fsum(column) for column in zip(*curvature, strict=True)]
    worst = None
    if options.check and wrt:
        def total(xs: Sequence[Any]) -> float:
            return math.fsum([value(row, xs).data for row in rows])
        try:
            numeric = differences(total, [at])[0]
        except ExpressionError as error:
            raise Refused(f"--check: beside these numbers there is no value to compare with ({error.message})") from None
        worst = max(zip(wrt, gradient, numeric, strict=True), key=lambda entry: abs(entry[1] - entry[2]))
    where = f"summed over {len(rows)} rows of {options.data}; " if options.data is not None else ""
    at_numbers = ", ".join([f"{name} = {x:g}" for name, x in given.items()])
    taken = {*expression.names, *expression.definitions}
    symbol = next(name for name in chain(("L", "f"), map("f{}".format, count(1))) if name not in taken)
    definitions, _, last = expression.text.rpartition(";")
    title = f"{definitions}{'; ' * bool(definitions)}{symbol} = {last.strip()}   {where}{at_numbers}".rstrip("; ")
    return Result(symbol, title, sum_of_values, dict(zip(wrt, gradient, strict=True)),
                  [flat[i:i + len(wrt)] for i in range(0, len(flat), len(wrt))] if options.second else None, worst)


def _written(result: Result, tables: Any, options: argparse.Namespace, out: TextIO) -> str:
    """The tables, where there are any, and the result, in the format that was asked for; text as `out` can show it."""
    if options.format == "json":
        data = result.data() | ({"rows": tables.records(), "note": tables.note} if tables else {})
        return json.dumps(_finite(data), indent=2) + "\n"
    lines = "\n".join(result.lines(options.digits))
    if options.format == "text":
        from viz import to_ascii
        from viz.formulas.columns import flowed
        ascii = not takes(out, "ξ∂│·−²⁹")
        columns = terminal_width(out)
        if columns is not None:
            title, *rest = lines.splitlines()   # an expression is copied whole
            lines = "\n".join([title, *[flowed(line, columns) for line in rest]])
        text = (f"{tables.text(ascii, columns)}\n\n" if tables else "") + lines + "\n"
        return to_ascii(text) if ascii else text
    shown = getattr(tables, options.format)() + "\n\n" if tables else ""
    result_lines = {"html": f"<pre>{html.escape(lines)}</pre>", "markdown": "    " + lines.replace("\n", "\n    "),
                    "latex": "% " + lines.replace("\n", "\n% ")}[options.format]
    return f"{shown}{result_lines}\n"


def _finite(x: Any) -> Any:
    """JSON has no inf and nan: they become text."""
    if isinstance(x, dict):
        return {key: _finite(part) for key, part in x.items()}
    if isinstance(x, list):
        return [_finite(part) for part in x]
    return str(x) if isinstance(x, float) and not math.isfinite(x) else x


# ---- the command line

_ASSIGNMENT = re.compile(r"([^\W\d]\w*)\s*=(.*)", re.DOTALL)


def _parser() -> Parser:
    parser = Parser(prog="python3 -m autograd", allow_abbrev=False,
                     formatter_class=argparse.RawDescriptionHelpFormatter, description=(
        "Evaluate and differentiate an expression and show its ξ tables; without one, the lecture's logistic loss,\n"
        f"{LECTURE} at y = 1, W = 3, X = 3."), epilog=(
        "examples: python3 -m autograd 'log(1/(1+exp(-W*X)))' W=3 X=3 --second --check\n"
        "          python3 -m autograd 'p = 1/(1+exp(-W*X)); -(y*log(p) + (1-y)*log(1-p))' W=3 X=3 y=1    (p is a row)\n"
        f"functions: {', '.join(sorted(FUNCTIONS))}\nconstants: pi, e, unless given a value"))
    parser.add_argument("words", nargs="*", metavar="EXPRESSION NAME=NUMBER",
                        help="the expression, after definitions p = …; where it has some, and a number for each variable")
    parser.add_argument("--wrt", metavar="NAMES", help="differentiate by these variables only, separated by commas")
    parser.add_argument("--mode", choices=("forward", "backward", "both"),
                        help="which running derivatives to show: both, or with --layout lecture those of forward mode")
    parser.add_argument("--layout", choices=("tables", "lecture"), default="tables",
                        help="a table of formulas and one for each mode, or all in one as on the lecture's slide")
    parser.add_argument("--rows", type=_rows, default="auto", metavar="ROWS",
                        help="all; sums, for w1*x1 + w2*x2 + b in one row; named; or the names of rows, separated by commas")
    parser.add_argument("--alias", action="store_true", help="number the rows that have a name too, and say = p beside them")
    parser.add_argument("--format", choices=("text", "markdown", "latex", "html", "json"), default="text",
                        help="how to print")
    parser.add_argument("--digits", type=_digits, metavar="N", help="significant digits, 1 to 17")
    parser.add_argument("--svg", metavar="FILE", help="write the picture of the graph (.svg, .dot; by Graphviz .png, .pdf)")
    parser.add_argument("--explore", metavar="FILE", help="write a page that steps through the computation (.html)")
    parser.add_argument("-o", dest="output", metavar="PATH", help="write the picture there; in a folder it is called xi.svg")
    parser.add_argument("--second", action="store_true", help="add the second derivatives")
    parser.add_argument("--check", action="store_true", help="compare the gradient with central differences")
    parser.add_argument("--data", metavar="FILE", help="a CSV file whose columns are variables of the expression")
    parser.add_argument("--sum", action="store_true", help="sum the expression over the rows of the file")
    return parser


def _word(word: str) -> str:
    """Let argparse take -y*log(p), or -x, for an expression: only what looks like an option of ours is one."""
    return word if re.fullmatch(r"--[a-z-]*(=.*)?|-[oh].?[\w./~-]*|[^-].*|", word, re.DOTALL) else " " + word


def _rows(text: str) -> str | list[str]:
    return text if text in ROWS else [name.strip() for name in text.split(",")]


def _digits(text: str) -> int:
    if not (text.isdecimal() and 1 <= int(text) <= 17):
        raise argparse.ArgumentTypeError(f"{text[:20]!r} is not a number from 1 to 17")
    return int(text)


def _gives_a_number(word: str) -> bool:
    """Whether `word` is NAME=NUMBER."""
    match = _ASSIGNMENT.fullmatch(word)
    try:
        return match is not None and float(match[2]) is not None
    except ValueError:
        return False


def _assignments(words: Sequence[str], expression: Expression) -> dict[str, float]:
    given: dict[str, float] = {}
    for word in words:
        match = _ASSIGNMENT.fullmatch(word)
        if match is None:
            raise Refused(f"{word[:60]!r} is no NAME=NUMBER; write the expression as one argument, in quotes")
        name, text = match[1], match[2].strip()
        expression.check_given(name)
        if name not in expression.names:
            raise Refused(f"{name!r} is not in the expression; its variables are {', '.join(expression.names) or 'none'}")
        if name in given:
            raise Refused(f"{name!r} is given twice")
        try:
            given[name] = float(text)
        except ValueError:
            raise Refused(f"{name}={text[:60]!r}: that is not a number") from None
        if math.isinf(given[name]) and "inf" not in text.lower():
            raise Refused(f"{name}={text[:60]}: that is beyond the largest float, 1.8e308")
    return given


def _wrt(asked: str | None, default: Sequence[str], given: Mapping[str, float]) -> list[str]:
    names = list(default) if asked is None else list(dict.fromkeys([name.strip() for name in asked.split(",")]))
    for name in names:
        if name not in given:
            raise Refused(f"--wrt {name[:60]!r}: no variable of that name was given a number; "
                          f"given are {', '.join(given) or 'none'}")
    return names


def _target(options: argparse.Namespace, lecture: bool) -> Path | None:
    if options.svg:
        return Path(options.svg)
    if options.output is None:
        return Path("xi.svg") if lecture else None
    folder = options.output.endswith(("/", os.sep)) or Path(options.output).is_dir()
    return Path(options.output) / "xi.svg" if folder else Path(options.output)
