"""Formulas in print: as text, HTML or LaTeX, read off a graph and the table of primitives.

A `Term` is a piece of print that knows how tightly it binds: 1 a sum, 2 a product, 8 a function or power, 9 a symbol.
In a primitive's notation "{0:2}" puts the argument in brackets if it binds looser than 2, "{0:^}" raises it, "{0:+}" adds it
to what stands before, and "{0:-}" subtracts it, unless it is 0.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from autograd import Primitive, Value, topological
from autograd import primitives as p
from autograd.display import natural

from .names import latex_word, plain_ascii, read

LONGEST = {"text": 160, "html": 640, "latex": 640}   # characters; a part of a formula that is longer prints as …
_SUPERSCRIPT = str.maketrans("0123456789−", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_SUBSCRIPT = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_ASCII = str.maketrans({"∂": "d", "·": "*", "−": "-", "→": "->", "√": "sqrt", "∛": "cbrt", "…": "...", "′": "'", "│": "|",
                        "─": "-", "┼": "+", "ᵀ": "^T", "⟨": "<", "⟩": ">", "∞": "inf"})


class Term(str):
    """A piece of print, how tightly it `binds`, and the style that it is written in."""

    __slots__ = ("binds", "style")
    binds: int
    style: Style

    def __format__(self, spec: str) -> str:
        if spec == "^":
            return self.style.raised(self)
        if spec == "+":
            return f" {self[0]} {self[1:].lstrip()}" if self[0] in "-−" else f" + {self:1}"
        if spec == "-":
            return "" if self == "0" else f"{self.style.negative(self):+}"
        return self.style.bracketed(self) if spec and self.binds < int(spec) else str(self)


@dataclass(frozen=True)
class Style:
    """How formulas are written in one medium: name is "text", "html" or "latex"."""

    name: str

    def term(self, text: str, binds: int = 9) -> Term:
        """`text` as a Term of this style; … if it is too long."""
        if len(text) > LONGEST[self.name]:
            return self.cut()
        term = Term(text)
        term.binds, term.style = binds, self
        return term

    def cut(self) -> Term:
        """What stands for what is too long."""
        return self.term(r"\ldots " if self.name == "latex" else "…")

    def symbol(self, name: str) -> Term:
        """The name of a row or variable. Names are data: nothing in them is markup."""
        name = "".join([c if c.isprintable() else "�" for c in name])
        name = name if len(name) <= 40 else name[:39] + "…"
        if symbol := read(name):
            # what is raised already is bracketed before it is raised again
            return self.term(getattr(symbol, self.name)(), 8 if symbol.above or symbol.primes else 9)
        if self.name == "latex":
            return self.term(rf"\mathrm{{{latex_word(name)}}}")
        return self.term(html.escape(f"⟨{name}⟩") if self.name == "html" else f"⟨{name}⟩")

    def number(self, x: float, digits: int | None = None) -> Term:
        """A number, to `digits` significant digits, or so many that they say it exactly."""
        text = f"{x + 0.0:.{digits or 6}g}"
        if digits is None and float(text) != x and x == x:
            text = repr(x).removesuffix(".0")
        mantissa, _, exponent = text.partition("e")
        power = 9
        if exponent:
            times, power = (r" \cdot " if self.name == "latex" else "·"), 2
            ten = self.term("10").style.power(self.term("10"), self.number(float(exponent)))
            text = ten if mantissa == "1" else f"{mantissa}{times}{ten}"
        if self.name == "latex":
            text = text.replace("inf", r"\infty").replace("nan", r"\mathrm{nan}")
        else:
            text = text.replace("-", "−").replace("inf", "∞")
        return self.term(text, 2 if x < 0 else power)

    def bracketed(self, term: str) -> str:
        """(term)"""
        return rf"\left({term}\right)" if self.name == "latex" else f"({term})"

    def raised(self, term: Term) -> str:
        """`term` as an exponent; none is written where it is 1."""
        if term == "1":
            return ""
        if self.name == "latex":
            return f"^{{{term}}}"
        if self.name == "html":
            return f"<sup>{term}</sup>"
        return term.translate(_SUPERSCRIPT) if re.fullmatch(r"−?\d+", term) else f"^{term:9}"

    def power(self, base: Term, exponent: Term) -> Term:
        """base to the exponent."""
        return self.term(f"{base:9}{exponent:^}", 8)

    def fraction(self, over: Term, under: Term) -> Term:
        """over / under."""
        return self.term(rf"\frac{{{over}}}{{{under}}}" if self.name == "latex" else f"{over:2}/{under:8}",
                         8 if self.name == "latex" else 2)

    def product(self, factors: list[Term]) -> Term:
        """The factors one beside another."""
        if len(factors) == 1:
            return factors[0]
        texts = [f"{f:9}" if (i and f[0] in "-−") or (self._runs_on(f) and f is not factors[-1]) else f"{f:2}"
                 for i, f in enumerate(factors)]
        return self.term((r" \cdot " if self.name == "latex" else "·").join(texts), 2)

    def _runs_on(self, term: Term) -> bool:
        """log x, which would seem to take in what follows."""
        return term.binds == 8 and re.match(r"\\?[a-z][\w{}]* ", term) is not None and not term.endswith(")")

    def sum(self, terms: list[Term]) -> Term:
        """The terms, a minus sign in front of one taking the place of its plus."""
        text = f"{terms[0]:1}" + "".join([f"{term:+}" for term in terms[1:]])
        return self.term(text, 1 if len(terms) > 1 else terms[0].binds)

    def negative(self, term: Term) -> Term:
        """−term"""
        return self.term(("-" if self.name == "latex" else "−") + (f"{term:9}" if term[0] in "-−" else f"{term:2}"), 2)

    def below(self, term: Term) -> Term:
        """[term < 0]: 1 where it is, else 0."""
        return self.term(f"[{term} {'&lt;' if self.name == 'html' else '<'} 0]")

    def apply(self, op: Primitive, args: list[Term]) -> Term:
        """op(*args) in the notation of its row."""
        if op is p.add:
            return args[1] if args[0] == "0" else self.sum(args)   # sum() begins with 0
        if op in (p.mul, p.strong_mul):
            return self.product(args)
        if op is p.neg:
            return self.negative(args[0])
        if op is p.weighted_sum:
            return self.sum([self.product([*factors]) for factors in p.terms_of(args)])
        template = op.latex if self.name == "latex" else op.text
        if template is None:
            name = rf"\operatorname{{{op.name}}}".replace("_", r"\_") if self.name == "latex" else op.name
            return self.term(f"{name}{self.bracketed(', '.join(args))}")
        if self.name == "html":
            template = html.escape(template)
        if op is p.surprisal:   # −log softmax(z1, z2, z3)₂, of the first that it was given
            given, args = args[0], sorted(args, key=natural)
            place = str(args.index(given) + 1)
            template = template[:-1] + (f"{{{{{place}}}}}" if self.name == "latex" else place.translate(_SUBSCRIPT))
        text = template.format(*args) if op.arity else template.format(", ".join(args))
        return self.term(text if self.name == "latex" else re.sub(r"^(\w+) \(", r"\1(", text), op.binds)   # log(…), log x


TEXT, HTML, LATEX = Style("text"), Style("html"), Style("latex")


def formula(v: Value, names: Mapping[Value, str], style: Style = TEXT) -> Term:
    """The formula of `v` as it was computed, in terms of the named Values below it.

    >>> from autograd import exp
    >>> x = Value(2.0, label="x")
    >>> print(formula(1 / (1 + exp(-x)), {x: "x"}), formula(1 / (1 + exp(-x)), {x: "x"}, LATEX))
    1/(1 + e^(−x)) \\frac{1}{1 + e^{-x}}
    """
    text: dict[Value, Term] = {}
    for u in topological(v, stop=names):
        args = [text[a] if a in text else style.symbol(names[a]) for a in u.args]
        if u is not v and u in names:
            text[u] = style.symbol(names[u])
        elif u.op is None:
            text[u] = style.symbol(names[u]) if u in names else style.number(u.data)
        elif u.op is p.neg and u.args[0].op is p.neg and u.args[0] not in names:   # −(−x)
            text[u] = text.get(x := u.args[0].args[0]) or style.symbol(names[x])
        else:
            text[u] = style.apply(u.op, args)
    return text[v]


def width(text: Iterable[str]) -> int:
    """The columns that `text` takes in a terminal: 2 for a Chinese character or an emoji, 0 for a combining mark.

    >>> width("ξ̂"), width("数")
    (1, 2)
    """
    return sum([0 if unicodedata.category(c) in ("Mn", "Me", "Cf") else 1 + (unicodedata.east_asian_width(c) in "WF")
                for c in text])


def to_ascii(text: str) -> str:
    """`text` for a terminal that has nothing but ASCII: what has no ASCII form becomes ?.

    >>> to_ascii("∂ξ2/∂ξ1 = e⁻⁹")
    'dxi2/dxi1 = e^-9'
    """
    return plain_ascii(text).translate(_ASCII).encode("ascii", "replace").decode()
