"""Sums of products, and the shortest way to write one: over one denominator, with common factors in front, or as it is.

    Expr     a sum of terms:  coefficient · atom^n · atom^n …
    atom     a symbol, a function of Exprs, or a sum that stays in its brackets

Coefficients and exponents are exact: a float is the decimal that it prints as. What is done can change no value: products and
quotients of equal factors merge, equal terms add up, a factor that divides a sum is taken out or cancelled.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import Any

from autograd import Primitive
from autograd import primitives as p
from autograd.display import natural

from .notation import TEXT, Style, Term

LARGEST = 60    # atoms in a formula that anybody reads
WORKING = 400   # atoms in one that may still become shorter
DEEPEST = 30    # brackets in brackets
_SET_OUT = str.maketrans("", "", "()−")


class TooLong(Exception):
    """The formula has more atoms than anybody reads, or none that could be written."""


class _Part:
    """What a product is made of."""

    inside: tuple[tuple[Product, ...], ...] = ()   # the sums that stand in it
    shell: int = 2                                 # the characters around them: brackets, or its name

    @cached_property
    def depth(self) -> int:
        """How deep its brackets are nested."""
        return 1 + max(map(_depth, self.inside)) if self.inside else 0

    @cached_property
    def measure(self) -> tuple[int, int]:
        """How many additions stand in it, but not in the argument of a function, which one takes in as a whole; and about how
        many characters it has in print."""
        additions, length = 0, self.shell
        for more, longer in map(_measure, self.inside):
            additions += more if isinstance(self, Sum) else 0
            length += longer
        return additions, length

    @cached_property
    def natural(self) -> tuple[list[tuple[int, str]], int]:
        """What it is sorted by: its text, by number where names have one, z9 before z10; and what has minus signs behind."""
        text = self._text
        return natural(text.translate(_SET_OUT)), text.count("−")

    @property
    def _text(self) -> str:
        return str(_written_power(self, ONE, TEXT))   # type: ignore[arg-type]


class _Unordered:
    """Equal to one of its class that has the same terms in another order."""

    terms: tuple[Product, ...]

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    @cached_property
    def _key(self) -> frozenset[Any]:
        return frozenset([(c, frozenset(factors)) for c, factors in self.terms])


@dataclass(frozen=True)
class Symbol(_Part):
    """A name."""

    name: str

    @property
    def shell(self) -> int:  # type: ignore[override]
        """Its name."""
        return len(self.name)


@dataclass(frozen=True)
class Call(_Part):
    """A primitive of expressions."""

    op: Primitive
    args: tuple[Expr, ...]

    @cached_property
    def inside(self) -> tuple[tuple[Product, ...], ...]:  # type: ignore[override]
        """Its arguments."""
        return tuple([a.terms for a in self.args])

    @property
    def shell(self) -> int:  # type: ignore[override]
        """The name and brackets."""
        return len(self.op.name) + 2

    @property
    def _text(self) -> str:
        return " ".join([self.op.name, *[written(a, TEXT) for a in self.args]])


@dataclass(frozen=True, eq=False)
class Sum(_Unordered, _Part):
    """A sum as a factor."""

    terms: tuple[Product, ...]

    @cached_property
    def inside(self) -> tuple[tuple[Product, ...], ...]:  # type: ignore[override]
        """Itself."""
        return (self.terms,)


def _depth(terms: Iterable[Product]) -> int:
    return max([atom.depth for _, factors in terms for atom, _ in factors], default=0)


Atom = Symbol | Call | Sum
Factors = tuple[tuple[Atom, Fraction], ...]
Product = tuple[Fraction, Factors]
Powers = dict[Atom, Fraction]
ONE = Fraction(1)


@dataclass(frozen=True, eq=False)
class Expr(_Unordered):
    """A sum of products, and how many atoms it has."""

    terms: tuple[Product, ...]
    size: int

    @cached_property
    def measure(self) -> tuple[int, int]:
        """How many additions it has outside of functions, and about how many characters in print: what a reader takes in."""
        return _measure(self.terms)

    def __add__(self, other: Expr) -> Expr:
        return total([self, other])

    def __mul__(self, other: Expr) -> Expr:
        if not self.terms or not other.terms:
            return expr([])
        product = expr([_times(self._factored(), other._factored())])
        return product._distributed() if product.terms[0][0] == 1 else product

    def __pow__(self, n: Fraction) -> Expr:
        c, factors = self._factored()
        root = _power(c, n)
        splits = n.denominator == 1 or (c > 0 and len(factors) < 2 and all([m == 1 for _, m in factors]))
        if root is None or not splits:
            return expr([(ONE, ((Sum(self.terms), n),))])   # (x²)^½ is |x|, and (x·y)^½ may have no factors
        return expr([(root, tuple([(atom, m * n) for atom, m in factors]))])

    def _distributed(self) -> Expr:
        """1 · (a + b) as a + b, if that is all it is."""
        if len(self.terms) == 1 and len(self.terms[0][1]) == 1:
            c, ((atom, n),) = self.terms[0]
            if isinstance(atom, Sum) and n == 1:
                return expr([(c * d, factors) for d, factors in atom.terms])
        return self

    def _factored(self) -> Product:
        return self.terms[0] if len(self.terms) == 1 else (ONE, ((Sum(self.terms), ONE),))

    def number(self) -> Fraction | None:
        """Its value if it is a plain number."""
        return Fraction(0) if not self.terms else self.terms[0][0] if len(self.terms) == 1 and not self.terms[0][1] else None


def expr(terms: Iterable[Product]) -> Expr:
    """The sum of `terms`; TooLong if it is beyond hope."""
    terms = tuple(terms)
    size = len(terms) + sum([_size(atom) for _, factors in terms for atom, _ in factors])
    if size > WORKING or _depth(terms) > DEEPEST or not all([_is_writable(c) for c, _ in terms]):
        raise TooLong
    return Expr(terms, size)


def _is_writable(c: Fraction) -> bool:
    top, bottom = c.numerator.bit_length(), c.denominator.bit_length()
    return abs(top - bottom) < 1000 and top + bottom < 4000


def _power(c: Fraction, n: Fraction) -> Fraction | None:
    """cⁿ, if that is a number that can be written."""
    if c == 1:
        return c
    if n.denominator == 1:
        return c ** n.numerator if abs(n) <= 16 else None
    if abs(n) > 16 or n.denominator > 16 or not 1e-300 < c < 1e300:
        return None
    root = Fraction(repr(float(c) ** (1 / n.denominator)))
    return root ** n.numerator if root ** n.denominator == c else None


def _size(atom: Atom) -> int:
    if isinstance(atom, Call):
        return 1 + sum([a.size for a in atom.args])
    if isinstance(atom, Sum):
        return 1 + sum([_size(a) for _, factors in atom.terms for a, _ in factors])
    return 1


def number(x: float) -> Expr:
    """A number; TooLong if it is not finite, or too large or small to be written."""
    if not math.isfinite(x):
        raise TooLong
    return expr([(Fraction(repr(float(x))), ())] if x else [])


@lru_cache(maxsize=4096)   # a table reads each of its n partials in terms of n names: 1.5x on 100 rows
def symbol(name: str) -> Expr:
    """A name."""
    return expr([(ONE, ((Symbol(name), ONE),))])


def call(op: Primitive, *args: Expr) -> Expr:
    """A primitive of expressions, as one atom."""
    return expr([(ONE, ((Call(op, args), ONE),))])


def total(parts: Iterable[Expr]) -> Expr:
    """The sum of several, terms that are equal counted together."""
    return expr(_collected([t for part in parts for t in part.terms]))


def _collected(terms: Iterable[Product]) -> list[Product]:
    found: dict[frozenset[Any], Product] = {}
    for c, factors in terms:
        key = frozenset(factors)
        found[key] = (found[key][0] + c, found[key][1]) if key in found else (c, factors)
    return [t for t in found.values() if t[0]]


def _times(a: Product, b: Product) -> Product:
    powers: Powers = {}
    for atom, n in (*a[1], *b[1]):
        powers[atom] = powers.get(atom, Fraction(0)) + n
    return a[0] * b[0], tuple([(atom, n) for atom, n in powers.items() if n])


# ---- the shortest of several ways to write it

def shortest(e: Expr) -> Expr:
    """`e`, or what is equal to it and simpler: with fewer sums in it, or as few and shorter in print.

    >>> y, p, one = symbol("y"), symbol("p"), number(1.0)
    >>> rest, p_rest = one + number(-1.0) * y, one + number(-1.0) * p
    >>> print(written(shortest(rest * p_rest ** Fraction(-1) + number(-1.0) * y * p ** Fraction(-1)), TEXT))
    (p − y)/(p·(1 − p))
    """
    if e.size > 2 * LARGEST or (len(e.terms) == 1 and not any([isinstance(atom, Sum) for atom, _ in e.terms[0][1]])):
        return e
    best = e = _signed(e)
    for way in map(_gathered, _other_ways(e)):
        saved = e.measure[0] - way.measure[0]   # what opens brackets saves an addition for each, or does not make more terms
        if _simpler(way, best) and (saved >= len(_brackets(e) - _brackets(way)) or len(way.terms) <= len(e.terms)):
            best = way
    return _signed(best)


def fraction(e: Expr) -> Expr:
    """`e` as one product or quotient; TooLong if that is nothing to read."""
    return e if len(e.terms) == 1 else next(_other_ways(e), e)


def has_factor(e: Expr, part: Expr) -> bool:
    """Whether the one term of `e` has the sum `part` as a factor, or it is that."""
    return e == part or (len(e.terms) == 1 and (Sum(part.terms), ONE) in e.terms[0][1])


def is_monomial(e: Expr) -> bool:
    """Whether it is a product of names, and a number."""
    return len(e.terms) == 1 and all([isinstance(atom, Symbol) for atom, _ in e.terms[0][1]])


def is_rest(e: Expr) -> bool:
    """Whether it is 1 − y, of a name or function y."""
    if len(e.terms) != 2:
        return False
    (c, left), (d, right) = e.terms
    return c == 1 and not left and d == -1 and len(right) == 1 and right[0][1] == 1


def calls(terms: Iterable[Product], op: Primitive | None = None) -> Iterator[Call]:
    """Every call that stands in them, of any primitive or of this one."""
    for _, factors in terms:
        for atom, _ in factors:
            if isinstance(atom, Call) and op in (None, atom.op):
                yield atom
            for inner in atom.inside:
                yield from calls(inner, op)


def _brackets(e: Expr) -> set[Atom]:
    """The sums that it has as factors."""
    return {atom for _, factors in e.terms for atom, n in factors if n > 0 and isinstance(atom, Sum)}


def _simpler(way: Expr, than: Expr) -> bool:
    additions, length = way.measure
    before, longest = than.measure
    if additions != before:
        return additions < before
    if (len(way.terms) == 1) != (len(than.terms) == 1):   # a product stays one, and a sum becomes one that is no longer
        return length <= longest and len(way.terms) == 1
    return length < longest


def _measure(terms: Sequence[Product]) -> tuple[int, int]:
    """(how many additions outside of functions, about how many characters) it has in print."""
    additions = len(terms) - 1
    length = 3 * additions + (len(terms) > 0 and terms[0][0] < 0)
    for c, factors in terms:
        under, alone = 0, abs(c) == 1 and len(factors) > 0
        length += max(len(factors) - 1, 0) + (0 if alone else bool(factors) + len(str(abs(c))))
        for atom, n in factors:
            more, longer = atom.measure
            additions += more
            length += longer + (abs(n) != 1)
            under += n < 0
        length += 2 * (under > 1) + 2 * (alone and under == len(factors))   # brackets, and 1/
    return additions, length


def _other_ways(e: Expr) -> Iterator[Expr]:
    try:
        over, under = _over_one_denominator(e)
    except TooLong:
        return
    if not over:
        yield expr([])
        return
    factor, over = _content(over)
    factor = _times(factor, under)
    factor, over = _without(factor, over, [s for s, n in under[1] if isinstance(s, Sum) and n < 0])
    below = [s for s, n in factor[1] if isinstance(s, Sum) and n < 0]
    yield _signed(_with(*_without(factor, over, dict.fromkeys(_sums(e.terms)))))
    if len(over) > 1:
        for s, by in [(u, terms) for u in below for terms in (u.terms, u.terms[::-1])]:   # (quotient · s + remainder) / s
            quotient, rest = _divided(over, by)
            if quotient and rest:
                shared, rest = _content(rest)
                part = _with(_times(shared, (ONE, ((s, -ONE),))), rest)
                yield _signed(_with(_times(factor, (ONE, ((s, ONE),))), [*part.terms, *quotient]))
        yield expr(_collected([_times(t, factor) for t in over]))


def _without(factor: Product, over: list[Product], sums: Iterable[Sum]) -> tuple[Product, list[Product]]:
    """factor · over, with those of the sums as factors that divide `over`."""
    for s in sums:
        while len(over) > 1 and len(s.terms) > 1:
            quotient, rest = _divided(over, s.terms)
            if rest:
                break
            factor, over = _times(factor, (ONE, ((s, ONE),))), quotient
    return factor, over


def _gathered(e: Expr) -> Expr:
    """ŷ·(y1 + y2 + y3) − y for ŷ·y1 + ŷ·y2 + ŷ·y3 − y: terms that share a factor, if that is shorter in print."""
    parts, rest = list[Expr](), list(e.terms)
    while len(rest) > 2:
        times = Counter([atom for _, factors in rest for atom, n in factors if n == 1])
        shared = max(times, key=times.__getitem__, default=None)
        if shared is None or times[shared] < 2:
            break
        within = [t for t in rest if (shared, ONE) in t[1]]
        parts.append(_with(*_content(within)))
        rest = [t for t in rest if (shared, ONE) not in t[1]]
    found = total([*parts, expr(rest)]) if parts else e
    return found if found.measure[1] < e.measure[1] else e


def _signed(e: Expr) -> Expr:
    """p − y for −(y − p), and −p·(1 − p) for p·(p − 1); −(1 − y)/q stays."""
    sign, factors = e._factored()
    for i, (s, n) in enumerate(factors if abs(sign) == 1 else ()):
        if isinstance(s, Sum) and n == 1 and len(s.terms) == 2 and s.terms[0][0] * s.terms[1][0] < 0:
            (d, right), (c, left) = sorted(s.terms, key=lambda t: t[0])
            turned = expr([(-d, right), (-c, left)])
            if sign < 0:
                stays = is_rest(expr([(c, left), (d, right)])) and any([m < 0 or atom == right[0][0] for atom, m in factors])
            else:
                stays = not is_rest(turned) or all([atom != left[0][0] for atom, _ in factors])
            if not stays:
                return expr([(-sign, (*factors[:i], (Sum(turned.terms), n), *factors[i + 1:]))])._distributed()
    return e


def _with(factor: Product, terms: Sequence[Product]) -> Expr:
    """factor · (the sum of terms)"""
    return expr([factor]) * expr(terms)


def _sums(terms: Iterable[Product]) -> Iterator[Sum]:
    for _, factors in terms:
        for atom, _ in factors:
            if isinstance(atom, Sum):
                yield atom
                yield from [a for _, inner in atom.terms for a, _ in inner if isinstance(a, Sum)]


def _over_one_denominator(e: Expr) -> tuple[list[Product], Product]:
    """(terms without brackets or denominators, what they all stand over, as a factor)."""
    terms = list(e.terms)
    under: Powers = {}
    for _ in range(8):   # brackets within brackets
        low: Powers = {}
        for _, factors in terms:
            for atom, n in factors:
                low[atom] = min(low.get(atom, Fraction(0)), n)
        for atom, n in low.items():
            if n < 0:
                under[atom] = under.get(atom, Fraction(0)) + n
        lift = (ONE, tuple([(atom, -n) for atom, n in low.items() if n < 0]))
        lifted = [_times(t, lift) for t in terms]
        terms = _collected([t for product in lifted for t in _without_brackets(product)])
        if terms == lifted and not lift[1]:
            break
    return terms, (ONE, tuple(under.items()))


def _without_brackets(product: Product) -> list[Product]:
    """The product multiplied out; TooLong if that is."""
    c, factors = product
    found: list[Product] = [(c, tuple([(a, n) for a, n in factors if not _opens(a, n)]))]
    for atom, n in factors:
        if _opens(atom, n):
            assert isinstance(atom, Sum)
            for _ in range(int(n)):
                found = _collected([_times(t, u) for t in found for u in atom.terms])
                if len(found) > LARGEST:
                    raise TooLong
    return found


def _opens(atom: Atom, n: Fraction) -> bool:
    return isinstance(atom, Sum) and n.denominator == 1 and 0 < n <= 6


def _content(terms: Sequence[Product]) -> tuple[Product, list[Product]]:
    """The factor that all terms share, with the sign and number of the first if all numbers are alike; and what is left."""
    shared: Powers = dict(terms[0][1])
    for _, factors in terms[1:]:
        powers = dict(factors)
        shared = {atom: min(n, powers[atom]) for atom, n in shared.items() if atom in powers and (n > 0) == (powers[atom] > 0)}
    alike = len({abs(c) for c, _ in terms}) == 1
    c = terms[0][0] if alike and len(terms) == 1 else abs(terms[0][0]) if alike else ONE
    if all([d < 0 for d, _ in terms]):
        c = -abs(c)
    factor = (c, tuple(shared.items()))
    inverse = (1 / c, tuple([(atom, -n) for atom, n in shared.items()]))
    return factor, [_times(t, inverse) for t in terms]


def _divided(terms: Sequence[Product], by: Sequence[Product]) -> tuple[list[Product], list[Product]]:
    """(quotient, remainder) of polynomials, a function before a name."""
    atoms = list(dict.fromkeys([atom for _, factors in (*by, *terms) for atom, _ in factors]))
    atoms.sort(key=lambda atom: isinstance(atom, Symbol))
    left, divisor = _polynomial(terms, atoms), _polynomial(by, atoms)
    lead = max(divisor)
    quotient: Polynomial = {}
    rest: Polynomial = {}
    while left and len(quotient) + len(rest) < LARGEST:
        top = max(left)
        power = tuple([a - b for a, b in zip(top, lead, strict=True)])
        if min(power, default=0) < 0:
            rest[top] = left.pop(top)
            continue
        quotient[power] = c = left[top] / divisor[lead]
        for place, d in divisor.items():
            at = tuple([a + b for a, b in zip(place, power, strict=True)])
            left[at] = left.get(at, Fraction(0)) - c * d
            if not left[at]:
                del left[at]
    return _products(quotient, atoms), _products(rest | left, atoms)


Polynomial = dict[tuple[Fraction | int, ...], Fraction]   # {the exponents of some atoms: the coefficient}


def _polynomial(terms: Sequence[Product], atoms: Sequence[Atom]) -> Polynomial:
    found = {}
    for c, factors in terms:
        powers = {atom: int(n) if n.denominator == 1 else n for atom, n in factors}
        found[tuple([powers.get(atom, 0) for atom in atoms])] = c
    return found


def _products(polynomial: Polynomial, atoms: Sequence[Atom]) -> list[Product]:
    return [(c, tuple([(atom, Fraction(n)) for atom, n in zip(atoms, powers, strict=True) if n]))
            for powers, c in polynomial.items()]


# ---- in other words

def replaced(e: Expr, parts: Mapping[Product, Expr]) -> Expr:
    """`e` with every product of factors that stands in `parts` written as what it is there."""
    return total([_replaced(t, parts) for t in e.terms])


def _replaced(product: Product, parts: Mapping[Product, Expr]) -> Expr:
    c, factors = product
    found = expr([(c, ())])
    powers = dict(factors)
    for (d, pattern), name in parts.items():
        while times := _contains(powers, pattern):
            for atom, n in pattern:
                powers[atom] -= n * times
            found = found * name ** Fraction(times) * expr([(d ** -times, ())])
    for atom, n in powers.items():
        if n:
            found = found * _rebuilt(atom, parts) ** n
    return found


def _contains(powers: Powers, pattern: Factors) -> int:
    """How often the product of `powers` has the factors of the pattern: whole times, or none; also as a divisor."""
    if not pattern or any([not powers.get(atom) for atom, _ in pattern]):
        return 0
    ratios = [powers[atom] / n for atom, n in pattern]
    if min(ratios) >= 1:
        return int(min(ratios))
    return -int(-max(ratios)) if max(ratios) <= -1 else 0


def _rebuilt(atom: Atom, parts: Mapping[Product, Expr]) -> Expr:
    if isinstance(atom, Sum):
        return shortest(replaced(expr(atom.terms), parts))
    if isinstance(atom, Call):
        return call(atom.op, *[replaced(a, parts) for a in atom.args])
    return expr([(ONE, ((atom, ONE),))])


# ---- in print

def written(e: Expr, style: Style) -> Term:
    """The expression in print; … if a part of it is too long."""
    text = style.sum([_written_term(t, style) for t in _in_line(e.terms)]) if e.terms else style.number(0.0)
    cut = style.cut()
    return cut if cut in text and not any([cut in style.symbol(name) for name in _names(e.terms)]) else text


def _in_line(terms: Sequence[Product]) -> Sequence[Product]:
    """e^z1 + e^z2 for e^z2 + e^z1: values of one function stand in the order of their arguments, and terms that differ in
    numbers, as w1·x1 and w2·x2, in theirs; 1 + x·y for x·y + 1; and b − a for −a + b."""
    if len(terms) == 1:
        return terms
    calls = [[atom for atom, _ in factors if isinstance(atom, Call)] for _, factors in terms]
    if all([len(each) == 1 for each in calls]) and len({each[0].op for each in calls}) == 1:
        order = sorted(range(len(terms)), key=lambda i: calls[i][0].natural)
        terms = [terms[i] for i in order]
    plain = next((i for i, (c, factors) in enumerate(terms) if c > 0 and not factors), None)
    if plain and not all([len(f) < 2 and all([isinstance(a, Symbol) and n == 1 for a, n in f]) for _, f in terms]):
        terms = [terms[plain], *terms[:plain], *terms[plain + 1:]]
    else:
        first = next((i for i, (c, _) in enumerate(terms) if c > 0), 0)
        terms = [*terms[first:], *terms[:first]]
    alike: dict[Any, list[int]] = {}
    for i, t in enumerate(terms):
        alike.setdefault(_shape(t), []).append(i)
    if len(alike) < len(terms):
        places = dict(zip([i for at in alike.values() for i in at],
                          [t for at in alike.values() for t in sorted([terms[i] for i in at], key=_numbers)], strict=True))
        terms = [places[i] for i in range(len(terms))]
    return terms


def _shape(term: Product) -> tuple[bool, tuple[Any, ...]]:
    """What it is but for numbers."""
    c, factors = term
    return c > 0, tuple(sorted([(*[part for _, part in atom.natural[0]], n) for atom, n in factors], key=str))


def _numbers(term: Product) -> list[Any]:
    return sorted([atom.natural for atom, _ in term[1]])


def _written_term(product: Product, style: Style) -> Term:
    c, _ = product
    factors = _ordered(product[1])
    over = [_written_power(atom, n, style) for atom, n in factors if n > 0]
    under = [_written_power(atom, -n, style) for atom, n in factors if n < 0]
    top, bottom = _coefficient(abs(c), exact=bool(under))
    if top != 1 or not over:
        over.insert(0, style.number(top))
    if bottom != 1:
        under.insert(0, style.number(bottom))
    term = style.product(over)
    term = style.fraction(term, style.product(under)) if under else term
    return style.negative(term) if c < 0 else term


def _coefficient(c: Fraction, exact: bool) -> tuple[float, float]:
    """The number over 1 if it is a decimal, else over a number: 0.5, and 1 over 3; `exact` 1 over 2 and over 4 too."""
    x = float(c)
    if (c != Fraction(repr(x)) and max(c.numerator, c.denominator) < 10_000) or (exact and c.denominator in (2, 4)):
        return float(c.numerator), float(c.denominator)
    return x, 1.0


def _ordered(factors: Factors) -> list[tuple[Atom, Fraction]]:
    """(p − y)·X, (σ(w·x) − y)·x, p·(1 − p), σ(z)·(1 − σ(z)) and x·(p + y): a difference stands behind what it is a difference
    of, and else in front."""
    names = [f for f in factors if isinstance(f[0], Symbol)]
    bases = [str(f[0].name).rstrip("0123456789") for f in names if isinstance(f[0], Symbol)]   # a1·a2, and y·X
    names = [f for _, f in sorted(zip(bases, names, strict=True), key=lambda f: (bases.index(f[0]), f[1][0].natural))]
    calls = sorted([f for f in factors if isinstance(f[0], Call)], key=lambda f: f[0].natural)
    plain, before = [*names, *calls], list[tuple[Atom, Fraction]]()
    behind: list[list[tuple[Atom, Fraction]]] = [[] for _ in plain]
    for f in factors:
        if isinstance(f[0], Sum):
            within = {atom for _, inner in f[0].terms for atom, _ in inner}
            places = [i for i, (atom, _) in enumerate(plain) if atom in within]
            if places:
                behind[places[-1]].append(f)
            elif not names or _subtracts(f[0]):
                before.append(f)
            else:
                behind[len(names) - 1].append(f)
    return [*before, *[each for f, sums in zip(plain, behind, strict=True) for each in (f, *sums)]]


def _subtracts(s: Sum) -> bool:
    """Whether it is a difference, or has one in brackets."""
    return any([c < 0 or any([isinstance(atom, Sum) and _subtracts(atom) for atom, _ in factors]) for c, factors in s.terms])


def _names(terms: Iterable[Product]) -> Iterator[str]:
    for _, factors in terms:
        for atom, _ in factors:
            if isinstance(atom, Symbol):
                yield atom.name
            for inner in atom.inside:
                yield from _names(inner)


def _written_power(atom: Atom, n: Fraction, style: Style) -> Term:
    if isinstance(atom, Symbol):
        term = style.symbol(atom.name)
    elif isinstance(atom, Call):
        terms = atom.args[0].terms
        if atom.op is p.step and len(terms) == 1 and terms[0][0] < 0:   # [−x > 0]
            term = style.below(written(expr([(-terms[0][0], terms[0][1])])._distributed(), style))
        else:
            term = style.apply(atom.op, [written(a, style) for a in atom.args])
    else:
        term = style.sum([_written_term(t, style) for t in _in_line(atom.terms)])
    return term if n == 1 else style.power(term, style.number(float(n)))
