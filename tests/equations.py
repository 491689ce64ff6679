"""A reader of printed formulas: what stands in a cell of a table, as text, HTML or LaTeX, is read back and computed.

It knows the notation and nothing of what printed it. Numbers are mpmath's, the functions are the TRUTHS.
"""

from __future__ import annotations

import html
import re
import unicodedata
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import permutations
from typing import Any

import pytest
from helpers import TRUTHS

from autograd import Value, topological
from viz.formulas.notation import HTML, LATEX, TEXT, Style

mpmath = pytest.importorskip("mpmath")
mp, mpf = mpmath.mp, mpmath.mpf

ROWS: dict[str, Any] = {**TRUTHS, "lgamma": lambda x: mp.log(abs(mp.gamma(x))), "digamma": mp.digamma,
        "trigamma": lambda x: mp.psi(1, x), **{f"polygamma{n}": (lambda x, n=n: mp.psi(n, x)) for n in range(2, 10)},
        "H": lambda x: ROWS["exceeds"](x, mpf(0))}
SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹⁻"
NORMAL = "0123456789-"
CALLED = {   # functions whose notation is not the name of their row
    "√": "sqrt", "∛": "cbrt", "σ": "sigmoid", "max": "maximum", "min": "minimum", "sgn": "sign", "ψ": "digamma",
    "ψ′": "trigamma",
    "log₂": "log2", "log₁₀": "log10", "arcsin": "asin", "arccos": "acos", "arctan": "atan",
}
LATEX_WORDS: list[tuple[str, Any]] = [   # in this order, what LaTeX writes otherwise than text
    (r"\\def\\arraystretch\{[^}]*\}", ""), (r"\\text\{ (if|else) \}", r" \1 "), (r"\\(left|right)", ""),
    (r"\\cdot(?![a-z])", "·"), (r"\\bmod(?![a-z])", " mod "), (r"\\lfloor(?![a-z])", "⌊"), (r"\\rfloor(?![a-z])", "⌋"),
    (r"\\lceil(?![a-z])", "⌈"), (r"\\rceil(?![a-z])", "⌉"), (r"\\infty(?![a-z])", "∞"), (r"\\?l?vert(?![a-z])", "|"),
    (r"\\operatorname\{([^}]*)\}", lambda m: m[1].replace(r"\_", "_")), (r"\\sqrt\[3\]", "∛"), (r"\\sqrt(?![a-z])", "√"),
    (r"\\log_2", "log₂"), (r"\\log_\{10\}", "log₁₀"), (r"\\psi'", "ψ′"), (r"\\psi\^\{\((\d)\)\}", r"ψ⁽\1⁾"),
    (r"\\psi(?![a-z])", "ψ"), (r"\\sigma(?=\()", "σ"), (r"\\Gamma(?=\()", "Γ"),
]


class Unread(Exception):
    """The formula has a part that is not printed."""


@dataclass
class Reader:
    """Reads formulas of one style, in which names stand for numbers, and those of `vectors` for several."""

    style: Style
    values: Mapping[str, Any]
    vectors: Mapping[str, list[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.names = {str(self.style.symbol(name)): value for name, value in self.values.items()}
        product = {"text": "{}ᵀ·{}", "html": "{}<sup>T</sup>·{}", "latex": r"{}{{}}^{{T}} \cdot {}"}[self.style.name]
        for w, x in permutations(self.vectors, 2):
            if len(self.vectors[w]) == len(self.vectors[x]):
                name = product.format(self.style.symbol(w), self.style.symbol(x))
                self.names[name] = mp.fdot(self.vectors[w], self.vectors[x])

    def number(self, formula: str) -> Any:
        """What the formula says."""
        if "…" in formula or r"\ldots" in formula:
            raise Unread
        self.tokens = [*self._tokens(formula)]
        self.at = 0
        found = self._sum()
        assert self.at == len(self.tokens), f"{formula!r}: {self.tokens[self.at:]} is left"
        return found

    def _tokens(self, text: str) -> list[tuple[str, Any]]:
        found: list[tuple[str, Any]] = []
        for part in self._names_apart(text):
            if isinstance(part, tuple):
                found.append(part)
                continue
            for match in re.finditer(r"(?P<num>\d+(\.\d+)?|∞|nan)|(?P<word>log₁₀|log₂|ψ⁽.⁾|[√∛]|[a-zA-ZσψΓ_][a-z0-9A-Z_]*′?)"
                                     f"|(?P<raised>[{SUPERSCRIPTS}]+)|(?P<sign>\\S)", self._as_text(part)):
                kind = str(match.lastgroup)
                found.append((kind, match[0]))
        return found

    def _as_text(self, part: str) -> str:
        if self.style is HTML:
            return html.unescape(part.replace("<sup>", "^(").replace("</sup>", ")"))
        if self.style is LATEX:
            for pattern, word in LATEX_WORDS:
                part = re.sub(pattern, word, part)
            return part.replace(r"\_", "_").replace("-", "−").replace("\\", "")
        return part

    def _names_apart(self, text: str) -> list[Any]:
        """The text cut at the names, each as ("name", its number): the longest that is there, and no part of a word."""
        parts: list[Any] = [""]
        i = 0
        while i < len(text):
            name = max([n for n in self.names if text.startswith(n, i)], key=len, default="")
            word = re.match(r"\\?[a-zA-Z]+", text[i:])
            inside = parts[-1] and re.search(r"[\w\\]$", str(parts[-1]))
            if name and not inside and (word is None or len(word[0]) <= len(name)):
                parts += [("name", self.names[name]), ""]
                i += len(name)
            else:
                step = len(word[0]) if word and not name else 1
                parts[-1] += text[i:i + step]
                i += step
        return [part for part in parts if part]

    # ---- a sum of products of powers

    def _peek(self) -> tuple[str, Any]:
        return self.tokens[self.at] if self.at < len(self.tokens) else ("end", "")

    def _take(self, sign: str = "") -> Any:
        _, token = self._peek()
        assert not sign or token == sign, f"{token!r} where {sign!r} should be, in {self.tokens}"
        self.at += 1
        return token

    def _sum(self) -> Any:
        total = self._product()
        while self._peek()[1] in ("+", "−"):
            total = total + self._product() if self._take() == "+" else total - self._product()
        return total

    def _product(self) -> Any:
        if self._peek()[1] == "−":
            self._take()
            return -self._product()
        found = self._factor()
        while self._peek()[1] in ("·", "/", "mod"):
            sign = self._take()
            other = self._factor()
            found = found * other if sign == "·" else ROWS["div" if sign == "/" else "mod"](found, other)
        return found

    def _factor(self) -> Any:
        """An atom, or a function of one, and what it is raised to."""
        base = self._atom()
        while True:
            kind, token = self._peek()
            if kind == "raised":
                self._take()
                n = mpf(int(str(token).translate(str.maketrans(SUPERSCRIPTS, NORMAL))))
            elif token == "^":
                self._take()
                n = self._atom()
            else:
                return base
            base = mp.exp(n) if base == "e" else ROWS["pow"](base, n)

    def _atom(self) -> Any:
        kind, token = self._peek()
        self.at += 1
        if kind == "num":
            return mpf(float({"∞": "inf"}.get(str(token), str(token))))   # it stands for the float
        if kind == "name":
            return token
        if token in ("(", "{"):
            return self._bracketed({"(": ")", "{": "}"}[token])
        if token in ("|", "⌊", "⌈"):
            inner = self._sum()
            self._take({"|": "|", "⌊": "⌋", "⌈": "⌉"}[token])
            return abs(inner) if token == "|" else ROWS["floor" if token == "⌊" else "ceil"](inner)
        if token == "[":
            left = self._sum()
            sign = self._take()
            right = self._sum()
            self._take("]")
            return ROWS["equals"](left, right) if sign == "=" else ROWS["step"](left - right if sign == ">" else right - left)
        assert kind == "word", f"{token!r} in {self.tokens}"
        if token == "e":
            return "e" if self._peek()[1] == "^" or self._peek()[0] == "raised" else mp.e
        if token == "frac":
            over, under = self._atom(), self._atom()
            return ROWS["div"](over, under)
        return self._call(str(token))

    def _call(self, name: str) -> Any:
        if name in CALLED or name in ROWS or re.fullmatch("ψ⁽.⁾", name) or name in ("softmax", "Γ"):
            args = [self._atom()] if self._peek()[1] != "(" else self._arguments()
        else:
            raise AssertionError(f"no function is called {name!r}, in {self.tokens}")
        if name == "softmax":
            return mp.exp(args[self._below() - 1]) / sum(map(mp.exp, args))
        if name == "Γ":
            return mp.gamma(*args)
        if name.startswith("ψ⁽"):
            return ROWS[f"polygamma{name[2].translate(str.maketrans(SUPERSCRIPTS, NORMAL))}"](*args)
        return ROWS[CALLED.get(name, name)](*args)

    def _below(self) -> int:
        """The whole number that stands below."""
        if self.style is LATEX:
            self._take("_")
            self._take("{")
            return int(self._bracketed("}"))
        digits = ""
        while self._peek()[1] in [*"₀₁₂₃₄₅₆₇₈₉"]:
            digits += self._take()
        return int(unicodedata.normalize("NFKC", digits))

    def _arguments(self) -> list[Any]:
        self._take("(")
        found = [self._choice()]
        while self._peek()[1] == ",":
            self._take()
            found.append(self._choice())
        self._take(")")
        return found

    def _bracketed(self, end: str) -> Any:
        found = self._choice()
        self._take(end)
        return found

    def _choice(self) -> Any:
        """A sum, or `this if condition else that`."""
        found = self._sum()
        if self._peek()[1] == "if":
            self._take()
            condition = self._sum()
            self._take("else")
            found = ROWS["where"](condition, found, self._sum())
        return found


def legend(note: str, values: Mapping[str, Any]) -> dict[str, list[Any]]:
    """The vectors of a note that says "where w = (w1, w2), x = (x1, x2)"."""
    if not note.startswith("where "):
        return {}
    symbols = {str(TEXT.symbol(name)): value for name, value in values.items()}
    return {name: [symbols[entry] for entry in entries.split(", ")]
            for name, entries in re.findall(r"(\S+) = \(([^()]*)\)", note.splitlines()[0])}


# ---- a graph in mpmath's numbers

def exact(v: Value, at: dict[Value, Any]) -> Any:
    """The number of `v`, from those of the Values in `at`, which it adds to."""
    for u in topological(v, stop=at):
        for a in u.args:
            at.setdefault(a, mpf(a.data))
        if u not in at:
            at[u] = ROWS[u.op.name](*[at[a] for a in u.args]) if u.op else mpf(u.data)
    return at[v]


# ---- tables as they are printed: [[the head's cells], [a row's cells], …] of each

def text_cells(text: str, separator: str = "│") -> list[list[list[str]]]:
    """Of `XiTables.text()`."""
    found = []
    for block in text.split("\n\n"):
        if "┼" not in block:   # a note
            continue
        lines = [line for line in block.splitlines()[1:] if "┼" not in line]
        found.append([[cell.strip() for cell in line.split(separator)] for line in lines])
    return [padded(rows) for rows in found]


def html_cells(text: str) -> list[list[list[str]]]:
    """Of `XiTables.html()`."""
    def inner(e: ET.Element) -> str:
        return html.escape(e.text or "", quote=False) + "".join([
            html.escape(child.tail or "", quote=False) if child.tag == "wbr"   # a place to break
            else ET.tostring(child, "unicode") for child in e])
    return [[[inner(cell) for cell in row] for row in table.iter("tr")] for table in ET.fromstring(text).iter("table")]


def latex_cells(text: str) -> list[list[list[str]]]:
    """Of `XiTables.latex()`."""
    found = []
    for block in re.findall(r"\\begin\{array\}\{l*\}\n(.*?)\n?\\end\{array\}", text, flags=re.DOTALL):
        rows = re.split(r"\s*\\\\(?:\[[^\]]*\])?(?:\s*\\hline)?\s*", block)
        found.append([[cell.strip() for cell in row.split("&")] for row in rows if row.strip()])
    return [padded(rows) for rows in found]


def markdown_cells(text: str) -> list[list[list[str]]]:
    """Of `XiTables.markdown()`."""
    found: list[list[list[str]]] = []
    for line in text.splitlines():
        if line.startswith("**"):
            found.append([])
        elif line.startswith("| "):
            found[-1].append([cell.strip().removeprefix("$").removesuffix("$") for cell in line[2:-2].split(" | ")])
    return found


def padded(rows: list[list[str]]) -> list[list[str]]:
    """Empty cells where a line ends early."""
    return [row + [""] * (len(rows[0]) - len(row)) for row in rows]


FORMATS: dict[str, tuple[Style, Callable[[Any], list[list[list[str]]]]]] = {
    "text": (TEXT, lambda t: text_cells(t.text())),
    "html": (HTML, lambda t: html_cells(t.html())),
    "latex": (LATEX, lambda t: latex_cells(t.latex())),
    "markdown": (LATEX, lambda t: markdown_cells(t.markdown())),
}

