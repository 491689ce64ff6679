"""Names in print: Θ⁽¹⁾₁₀, a⁽²⁾₁, x⁽ⁱ⁾, θ_ij, L_A, ŷ, x1′, in Unicode, HTML, LaTeX and ASCII.

A name is data. What reads as a symbol is written as one:

    path       net. of net.W₁₂: the modules that a parameter is in
    base       a letter with its accents, or a word
    below      its indices: 1 of x1 and of x₁, ij of θ_ij and of θᵢⱼ
    above      (1) of Θ⁽¹⁾ and of Θ^(1)
    primes     ′

Any other word is written as it is, and what is neither is no business of this file.
"""

from __future__ import annotations

import html
import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

__all__ = ["Name", "latex_word", "parameter_names", "plain_ascii", "read", "unicode"]


def _shifted(kind: str) -> dict[str, str]:
    """{a raised or lowered character: what it is}"""
    places = (0xB2, 0xB3, 0xB9, *range(0x2B0, 0x2B9), *range(0x2E1, 0x2E4), *range(0x1D2C, 0x1D6B), *range(0x1D9B, 0x1DC0),
              *range(0x2070, 0x209D), 0x2C7C, 0x2C7D)
    return {chr(c): found[1] for c in places if (found := _decomposed(chr(c)))[0] == kind}


def _decomposed(c: str) -> tuple[str, str]:
    kind, _, rest = unicodedata.decomposition(c).partition(" ")
    return kind, unicodedata.normalize("NFKC", c) if rest else ""


ABOVE, BELOW = _shifted("<super>"), _shifted("<sub>")
_RAISED, _LOWERED = ({c: s for s, c in reversed(table.items())} for table in (ABOVE, BELOW))
_SUP, _SUB = "".join(ABOVE), "".join(BELOW)
_MARKS = "\u0300-\u036f\u20d0-\u20dc"
_LETTER = rf"(?![{_SUP}{_SUB}])[^\W\d_][{_MARKS}]*"
_WORD = rf"(?:(?![{_SUP}{_SUB}])[\w{_MARKS}])+"
_PRIMES = "[′'″‴]*"
_HIGH = rf"⁽(?:(?![{_SUB}])[\w{_MARKS}⁺⁻⁼,])+⁾|[{_SUP}](?:[{_SUP},]*[{_SUP}])?"   # θ⁽ŷ⁾ too, though no ŷ can be raised
_LOW = rf"[{_SUB}](?:[{_SUB},]*[{_SUB}])?"
_INDEX = rf"(?:(?![{_SUP}{_SUB}])[^\W_]){{1,8}}"
_TYPED = rf"\^\({_INDEX}\)"
_NAME = re.compile(
    rf"(?P<path>(?:{_LETTER}{_WORD}\.|{_LETTER}\.)(?:{_WORD}\.)*)?"
    rf"(?:(?P<letter>{_LETTER})(?P<index>[0-9]{{1,8}}|(?<=ξ)n)?|(?P<word>{_WORD}))"
    rf"(?P<primes>{_PRIMES})(?P<above>{_HIGH}|{_TYPED})?(?P<below>{_LOW}|(?(letter)_{_INDEX}(?:,{_INDEX})*|(?!)))?"
    rf"(?P<higher>{_HIGH}|{_TYPED})?(?P<more>{_PRIMES})")
_GREEK = {c: unicodedata.name(c).split()[-1].lower().replace("lamda", "lambda")
          for c in map(chr, [*range(0x391, 0x3AA), *range(0x3B1, 0x3CA)]) if c.isalpha()}
_CAPITALS = {c: name.capitalize() for c, name in _GREEK.items() if c.isupper()}
_VARIANTS = {"ϑ": "vartheta", "ϕ": "phi", "ϖ": "varpi", "ϱ": "varrho", "ϵ": "epsilon", "ς": "varsigma"}
_LATIN = dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΧο", "ABEZHIKMNOPTXo", strict=True))   # LaTeX has no names for these
_ACCENTS = {"\u0302": "hat", "\u0304": "bar", "\u0305": "bar", "\u0303": "tilde", "\u0307": "dot", "\u0308": "ddot",
            "\u20d7": "vec", "\u030c": "check", "\u0301": "acute", "\u0300": "grave", "\u0306": "breve", "\u030a": "mathring"}
_SPOKEN = {"\u0302": "hat", "\u0304": "bar", "\u0305": "bar", "\u0303": "tilde", "\u0307": "dot", "\u20d7": "vec"}
# In math mode, and safe where LaTeX stands in Markdown: no <tag, no `code`, no **bold**.
_SPECIAL = {"\\": r"\backslash ", "~": r"\sim ", "^": r"\wedge ", " ": r"\ ", "|": r"\vert ", "`": "'", "′": "'",
            "…": r"\ldots ", "�": "{?}",
            **{c: "\\" + c for c in "{}$&#_%"}, **{c: f"{{{c}}}" for c in "<>*[]!()-+/=:;,.\"'?@"}}


@dataclass(frozen=True, slots=True)
class Name:
    """A name that reads as a symbol, taken apart; `above` and `below` are plain text."""

    path: str
    base: str
    index: str    # the part of what stands below that is written on the line, as 1 of x1
    primes: int
    above: str
    below: str

    def text(self) -> str:
        """In Unicode: θ_ij as θᵢⱼ, L_A as it is, since no character is a lowered A."""
        below = _in(_LOWERED, self.below) if not self.index else None if self.below else ""
        above = "".join([_RAISED.get(c, c) for c in self.above])
        return (self.path + self.base + self.index + above
                + (below if below is not None else f"_{self.below}") + "′" * self.primes)

    def html(self) -> str:
        """With <sup> and <sub>."""
        below = self._indices()
        return (html.escape(self.path + self.base) + f"<sup>{html.escape(self.above)}</sup>" * bool(self.above)
                + f"<sub>{html.escape(below)}</sub>" * bool(below) + "′" * self.primes)

    def latex(self) -> str:
        """For math mode, of LaTeX and of KaTeX."""
        path = rf"\mathrm{{{latex_word(self.path)}}}" if self.path else ""
        letters = unicodedata.normalize("NFD", self.base)
        single = sum([not unicodedata.combining(c) for c in letters]) == 1 and (letters[0] in _GREEK or letters[0].isascii()
                                                                               or letters[0] in _VARIANTS)
        base, below = latex_word(self.base), self._indices()
        return (path + (base.rstrip() if single and not letters[0].isdigit() else rf"\mathrm{{{base}}}") + "'" * self.primes
                + f"^{{{latex_word(self.above, '(),')}}}" * bool(self.above)
                + f"_{{{latex_word(below, ',')}}}" * bool(below))

    def _indices(self) -> str:
        return ",".join(filter(None, (self.index, self.below)))


@lru_cache(maxsize=4096)
def read(name: str) -> Name | None:
    """`name` as a symbol; None if it is none.

    >>> read("Θ⁽¹⁾₁₀").latex(), read("ŷ").latex(), read("learning_rate").text(), read("a b")
    ('\\\\Theta^{(1)}_{10}', '\\\\hat{y}', 'learning_rate', None)
    """
    m = _NAME.fullmatch(name)
    if m is None:
        return None
    primes = sum([{"″": 2, "‴": 3}.get(c, 1) for c in m["primes"] + m["more"]])
    above = "".join([ABOVE.get(c, c) for c in (m["above"] or "") + (m["higher"] or "")]).replace("^", "")
    below = "".join([BELOW.get(c, c) for c in m["below"] or ""]).removeprefix("_")
    base = unicodedata.normalize("NFC", m["letter"] or m["word"])
    return Name(m["path"] or "", base, m["index"] or "", primes, above, below)


def unicode(name: str) -> str:
    """`name` in Unicode, as it is if it is no symbol.

    >>> unicode("θ_ij"), unicode("x^(i)"), unicode("a b")
    ('θᵢⱼ', 'x⁽ⁱ⁾', 'a b')
    """
    found = read(name) if len(name) <= 80 else None
    return found.text() if found else name


def latex_word(word: str, plain: str = "") -> str:
    """Letters for math mode: Greek and accented ones by their commands, what is special to LaTeX escaped but for `plain`.

    >>> print(latex_word("μ̂"), latex_word("50%"), latex_word("数"))
    \\hat{\\mu} 50\\% \\text{数}
    """
    made = []
    for letter in re.findall(rf"[\s\S][{_MARKS}]*", unicodedata.normalize("NFC", word)):
        base, *marks = list(unicodedata.normalize("NFD", letter))
        if not all([mark in _ACCENTS for mark in marks]):
            base, marks = letter, []
        text = base if base in plain else _latex_letter(base)
        for mark in marks:
            text = rf"\{_ACCENTS[mark]}{{{text.rstrip()}}}"
        made.append(text)
    return "".join(made)


def _latex_letter(c: str) -> str:
    if c in _LATIN:
        return rf"\mathrm{{{_LATIN[c]}}}" if c != "ο" else "o"
    name = _VARIANTS.get(c) or _CAPITALS.get(c) or _GREEK.get(c)
    return rf"\{name} " if name else _SPECIAL.get(c) or (c if c.isascii() else rf"\text{{{c}}}")


def plain_ascii(text: str) -> str:
    """The symbols in `text` in ASCII.

    >>> plain_ascii("Θ⁽¹⁾₁₀ + ŷ + log₂ x₁ + e⁻⁹")
    'Theta^(1)_10 + yhat + log2 x_1 + e^−9'
    """
    text = re.sub(_HIGH, lambda m: "^" + "".join([ABOVE.get(c, c) for c in m[0]]), text)
    text = re.sub(rf"((?:\blog)?)({_LOW})", lambda m: m[1] + "_" * (not m[1]) + "".join([BELOW.get(c, c) for c in m[2]]), text)
    text = unicodedata.normalize("NFD", text)
    text = re.sub(rf"(?<![^\W\d_])([^\W\d_])([{_MARKS}]+)(?![^\W\d_])",   # one letter alone: in words accents are left out
                  lambda m: m[1] + "".join([_SPOKEN.get(c, "") for c in m[2]]), text)
    text = re.sub(rf"(?<=[^\W\d_])[{_MARKS}]+", "", text)
    return "".join([_CAPITALS.get(c) or _GREEK.get(c) or _VARIANTS.get(c) or c for c in text])


def parameter_names(module: Any) -> dict[Any, str]:
    """What a module (anything with `named_parameters()`) calls those of its parameters that have no label, in short:
    layers.0.neurons.2.w.1 is w0_2_1, unless that names two of them. None of anything else."""
    whole = {p: name for name, p in getattr(module, "named_parameters", list)() if p.label is None}
    short = {p: (re.findall(r"[^\W\d]+", name) or ["x"])[-1] + "_".join(re.findall(r"\d+", name)) for p, name in whole.items()}
    return short if len({*short.values()}) == len(short) else whole


def _in(table: dict[str, str], text: str) -> str | None:
    """Each character of `text` in its raised or lowered form; None if one has none. A comma stays."""
    found = [c if c == "," else table.get(c, "") for c in text]
    return "".join(found) if all(found) else None
