"""Weighted sums as the lectures write them: w1·x1 + w2·x2 + b is wᵀ·x + b, where w = (w1, w2) and x = (x1, x2)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from autograd import Value
from autograd import primitives as p

from .notation import TEXT, Style, Term, formula

__all__ = ["Vectors", "WeightedSum"]


@dataclass(frozen=True, slots=True)
class WeightedSum:
    """±wᵀ·x + rest: the names of w and x, and the other terms, each with whether it is subtracted."""

    minus: bool
    w: str
    x: str
    rest: tuple[tuple[bool, Value], ...]

    def typeset(self, names: Mapping[Value, str], style: Style) -> Term:
        """In one style; `names` is what the other terms are written in."""
        template = {"text": "{}ᵀ", "html": "{}<sup>T</sup>", "latex": "{}{{}}^{{T}}"}[style.name]
        transposed = style.term(template.format(style.symbol(self.w)))
        terms = [(self.minus, style.product([transposed, style.symbol(self.x)]))]
        terms += [(minus, style.symbol(names[v]) if v in names else formula(v, names, style)) for minus, v in self.rest]
        return style.sum([style.negative(t) if minus else t for minus, t in terms])


@dataclass
class Vectors:
    """The vectors of one computation, {name: its entries}, found in the weighted sums of what has `names`.

    >>> w, x, b = [Value(1.0), Value(2.0)], [Value(3.0), Value(4.0)], Value(5.0)
    >>> names = {w[0]: "w1", w[1]: "w2", x[0]: "x1", x[1]: "x2", b: "b"}
    >>> vectors = Vectors(names)
    >>> print(vectors.read(w[0] * x[0] + w[1] * x[1] + b).typeset(names, TEXT), "where", vectors)
    wᵀ·x + b where w = (w1, w2), x = (x1, x2)
    """

    names: Mapping[Value, str]
    found: dict[str, list[str]] = field(default_factory=dict)

    def read(self, v: Value) -> WeightedSum | None:
        """`v` as a weighted sum, if it has two products or more of entries of two vectors."""
        products, rest = list[tuple[bool, Value]](), list[tuple[bool, Value]]()
        for minus, u in self._terms(v):
            is_product = u.op is p.mul and u not in self.names and {*u.args} <= {*self.names}
            (products if is_product else rest).append((minus, u))
        signs = {minus for minus, _ in products}
        if len(products) < 2 or len(signs) > 1:
            return None
        for w, places, ws in _vectors([self.names[u.args[0]] for _, u in products]):
            for x, others, xs in _vectors([self.names[u.args[1]] for _, u in products]):
                if places == others and w != x and self._agrees(w, ws) and self._agrees(x, xs):
                    self.found |= {w: ws, x: xs}
                    return WeightedSum(signs.pop(), w, x, tuple(rest))
        return None

    def _terms(self, v: Value) -> Iterator[tuple[bool, Value]]:
        """What `v` is the sum of, from left to right, with whether it is subtracted; but for the 0 that Python's `sum` adds."""
        waiting = [(False, v)]
        while waiting:
            minus, u = waiting.pop()
            if u.op in (p.add, p.neg) and (u is v or u not in self.names):
                waiting += [(minus != (u.op is p.neg), a) for a in reversed(u.args)]
            elif u.args or u in self.names or u.data != 0:
                yield minus, u

    def _agrees(self, name: str, entries: Sequence[str]) -> bool:
        """Whether the vector may be called so: nothing else is."""
        return self.found.get(name, entries) == entries and name not in self.names.values()

    def __str__(self) -> str:
        return ", ".join([f"{TEXT.symbol(name)} = ({', '.join([TEXT.symbol(e) for e in _ends(entries)])})"
                          for name, entries in self.found.items()])


def _vectors(names: Sequence[str]) -> Iterator[tuple[str, list[int], list[str]]]:
    """What a vector of these entries can be called, their places, from 0 or 1 on, and they in order; W₁ of W₁₁ and W₁₂."""
    digits = min([len(re.search(r"[0-9₀-₉]*$", name)[0]) for name in names])   # type: ignore[index]
    for k in range(1, digits + 1):
        stem, *more = {name[:-k].rstrip(",") for name in names}
        places = [int(unicodedata.normalize("NFKC", name[-k:])) for name in names]
        if stem and not more and sorted(places) in ([*range(len(names))], [*range(1, len(names) + 1)]):
            yield stem, places, [name for _, name in sorted(zip(places, names, strict=True))]


def _ends(entries: Sequence[str]) -> list[str]:
    return [*entries] if len(entries) < 7 else [*entries[:2], "…", entries[-1]]
