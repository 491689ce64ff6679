"""Derivatives as a person would write them: −1/(1 + e^(−W·X))², not (−1)·((1/(1 + …))·(1/(1 + …))).

    Expr     a sum of terms:  coefficient · atom^n · atom^n …
    atom     a symbol, a number that is kept as it is, a function of Exprs, or a sum that stays in its brackets

Only what can change no value is done: products and quotients of equal factors merge, equal terms add up, a double
fraction is undone, and terms come over one denominator where that makes them fewer (1 − 1/(1+e) becomes e/(1+e)).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from autograd import Primitive, Value, topological
from autograd import primitives as p

from .notation import Style, Term

LARGEST = 60   # atoms in a formula that anybody reads


class TooLong(Exception):
    """The formula has more than `LARGEST` atoms."""


@dataclass(frozen=True)
class Symbol:
    """A name."""

    name: str


@dataclass(frozen=True)
class Number:
    """A number that would lose its meaning as a decimal: 1/3."""

    x: float


@dataclass(frozen=True)
class Call:
    """A primitive of expressions."""

    op: Primitive
    args: tuple[Expr, ...]


@dataclass(frozen=True, eq=False)
class Sum:
    """A sum as a factor; equal to one of the same terms in another order."""

    terms: tuple[tuple[float, Factors], ...]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sum) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> frozenset[Any]:
        return frozenset([(c, frozenset(factors)) for c, factors in self.terms])


Atom = Symbol | Number | Call | Sum
Factors = tuple[tuple[Atom, float], ...]


@dataclass(frozen=True)
class Expr:
    """A sum of products, and how many atoms it has."""

    terms: tuple[tuple[float, Factors], ...]
    size: int

    def __add__(self, other: Expr) -> Expr:
        found = _collect([*self.terms, *other.terms])
        for atom, n in [(atom, n) for _, factors in found.terms for atom, n in factors if n < 0 and isinstance(atom, Sum)]:
            over = total([(expr([t]) * expr([(1.0, ((atom, -n),))]))._distributed() for t in found.terms])
            if len(over.terms) < len(found.terms):
                return over * expr([(1.0, ((atom, n),))])
        return found

    def __mul__(self, other: Expr) -> Expr:
        if not self.terms or not other.terms:
            return expr([])
        (c, left), (d, right) = self._factored(), other._factored()
        powers: dict[Atom, float] = {}
        for atom, n in (*left, *right):
            powers[atom] = powers.get(atom, 0.0) + n
        factor, kept = c * d, []
        for atom, n in powers.items():
            rest = n
            if isinstance(atom, Number):
                if factor == atom.x:   # 3/3² is 1/3
                    factor, rest = 1.0, n + 1
                if _is_short(factor * atom.x ** rest):   # and 0.5/0.5 is 1
                    factor, rest = factor * atom.x ** rest, 0.0
            if rest:
                kept.append((atom, rest))
        product = expr([(factor, tuple(kept))])
        return product._distributed() if factor == 1 else product

    def __pow__(self, n: float) -> Expr:
        c, factors = self._factored()
        if n % 1 and not (c > 0 and (len(factors) < 2 and all([m == 1 for _, m in factors]))):
            return expr([(1.0, ((Sum(self.terms), n),))])   # (x²)^½ is |x|, and (x·y)^½ may have no factors
        powers = [(atom, m * n) for atom, m in factors]
        if c == 1 or (c > 0 and not factors and _is_short(c ** n)):
            return expr([(c ** n, tuple(powers))])
        if c < 0 and n % 2 in (0, 1):
            sign = expr([((-1.0) ** n, ())])
            return sign * expr([(-c, factors)]) ** n if c != -1 else sign * expr([(1.0, tuple(powers))])
        return expr([(1.0, ((Number(c), n),))]) * expr([(1.0, tuple(powers))])

    def _distributed(self) -> Expr:
        """c · (a + b) as c·a + c·b, if that is all it is."""
        if len(self.terms) == 1 and len(self.terms[0][1]) == 1:
            c, ((atom, n),) = self.terms[0]
            if isinstance(atom, Sum) and n == 1:
                return expr([(c * d, factors) for d, factors in atom.terms])
        return self

    def _factored(self) -> tuple[float, Factors]:
        return self.terms[0] if len(self.terms) == 1 else (1.0, ((Sum(self.terms), 1.0),))

    def number(self) -> float | None:
        """Its value if it is a plain number."""
        return 0.0 if not self.terms else self.terms[0][0] if len(self.terms) == 1 and not self.terms[0][1] else None


def expr(terms: Iterable[tuple[float, Factors]]) -> Expr:
    """The sum of `terms`; TooLong if nobody could read it."""
    terms = tuple(terms)
    size = len(terms) + sum([_size(atom) for _, factors in terms for atom, _ in factors])
    if size > LARGEST:
        raise TooLong
    return Expr(terms, size)


def _size(atom: Atom) -> int:
    if isinstance(atom, Call):
        return 1 + sum([a.size for a in atom.args])
    if isinstance(atom, Sum):
        return 1 + sum([_size(a) for _, factors in atom.terms for a, _ in factors])
    return 1


def number(x: float) -> Expr:
    """A number."""
    return expr([(x, ())] if x else [])


def symbol(name: str) -> Expr:
    """A name."""
    return expr([(1.0, ((Symbol(name), 1.0),))])


def total(parts: Iterable[Expr]) -> Expr:
    """The sum of several, terms that are equal counted together."""
    return _collect([t for part in parts for t in part.terms])


def _collect(terms: Iterable[tuple[float, Factors]]) -> Expr:
    found: dict[frozenset[Any], tuple[float, Factors]] = {}
    for c, factors in terms:
        key = frozenset(factors)
        found[key] = (found[key][0] + c, found[key][1]) if key in found else (c, factors)
    return expr([t for t in found.values() if t[0]])


def _is_short(x: float) -> bool:
    return math.isfinite(x) and float(f"{x:.6g}") == x


def _power(base: Expr, exponent: Expr) -> Expr:
    n = exponent.number()
    return base ** n if n is not None and base.terms else _call(p.pow_, base, exponent)


def _call(op: Primitive, *args: Expr) -> Expr:
    numbers = [a.number() for a in args]
    if None not in numbers and _is_short(y := op.ieee(*numbers)):   # type: ignore[arg-type]
        return number(y)
    return expr([(1.0, ((Call(op, args), 1.0),))])


_RULES: dict[Primitive, Callable[..., Expr]] = {
    p.add: lambda a, b: a + b,
    p.neg: lambda a: a * number(-1.0),
    p.mul: lambda a, b: a * b,
    p.strong_mul: lambda a, b: a * b,
    p.reciprocal: lambda a: a ** -1.0,
    p.div: lambda a, b: a * b ** -1.0,
    p.strong_div: lambda a, b: a * b ** -1.0,
    p.pow_: _power,
    p.sech2: lambda a: _call(p.cosh, a) ** -2.0,
    p.shift: lambda *args: number(0.0),   # it cancels: e^(x−m) / Σ e^(x−m) is e^x / Σ e^x
}


def simplify(v: Value, names: Mapping[Value, str], numeric: bool = False) -> Expr:
    """The formula of `v` in terms of the named Values, or with their numbers put in if `numeric`. TooLong if it is."""
    found: dict[Value, Expr] = {}
    for u in topological(v, stop=names):
        for a in u.args:
            if a not in found:
                found[a] = number(a.data) if numeric else symbol(names[a])
        if (u is not v and u in names) or u.op is None:
            found[u] = symbol(names[u]) if u in names and not numeric else number(u.data)
        elif u.op in (p.reciprocal, p.div) and not found[u.args[-1]].terms:
            raise TooLong   # a division by a plain 0 has no formula
        else:
            args = [found[a] for a in u.args]
            found[u] = _RULES[u.op](*args) if u.op in _RULES else _call(u.op, *args)
    return found[v]


def written(e: Expr, style: Style) -> Term:
    """The expression in print."""
    return style.sum([_written_term(c, factors, style) for c, factors in e.terms]) if e.terms else style.number(0.0)


def _written_term(c: float, factors: Factors, style: Style) -> Term:
    factors = tuple(sorted(factors, key=lambda factor: (Number, Symbol, Call, Sum).index(type(factor[0]))))   # y·X·e^…
    over = [_written_power(atom, n, style) for atom, n in factors if n > 0]
    under = [_written_power(atom, -n, style) for atom, n in factors if n < 0]
    if abs(c) != 1 or not over:
        over.insert(0, style.number(abs(c)))
    term = style.product(over)
    term = style.fraction(term, style.product(under)) if under else term
    return style.negative(term) if c < 0 else term


def _written_power(atom: Atom, n: float, style: Style) -> Term:
    if isinstance(atom, Symbol):
        term = style.symbol(atom.name)
    elif isinstance(atom, Number):
        if _is_short(atom.x ** n):
            return style.number(atom.x ** n)
        term = style.number(atom.x)
    elif isinstance(atom, Call):
        term = style.apply(atom.op, [written(a, style) for a in atom.args])
    else:
        term = style.sum([_written_term(c, factors, style) for c, factors in atom.terms])
    return term if n == 1 else style.power(term, style.number(n))
