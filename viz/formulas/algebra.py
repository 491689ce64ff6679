"""Derivatives as a person would write them: −1/(1 + e^(−W·X))², not (−1)·((1/(1 + …))·(1/(1 + …))).

A graph is read into an `Expr` in terms of the Values that have names, and the shortest way to write that is chosen. What was
given a name stays a name: σ′(h) is p·(1 − p) where p names σ(h).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import reduce
from operator import mul

from autograd import Primitive, Value, topological
from autograd import primitives as p
from autograd.shifts import shifted

from .expressions import (
    LARGEST,
    Call,
    Expr,
    Product,
    TooLong,
    call,
    calls,
    fraction,
    is_monomial,
    is_rest,
    number,
    replaced,
    shortest,
    symbol,
    total,
    written,
)

__all__ = ["Reading", "TooLong", "known", "names_for", "renamed", "simplify", "written"]

_INVERSE = Fraction(-1)


def _power(base: Expr, exponent: Expr) -> Expr:
    n = exponent.number()
    return base ** n if n is not None and base.terms else _call(p.pow_, base, exponent)


def _call(op: Primitive, *args: Expr) -> Expr:
    numbers = [a.number() for a in args]
    if None not in numbers:
        y = op.ieee(*map(float, numbers))   # type: ignore[arg-type]
        if math.isfinite(y) and float(f"{y:.6g}") == y:
            return number(y)
    return call(op, *args)


_RULES: dict[Primitive, Callable[..., Expr]] = {
    p.add: lambda a, b: a + b,
    p.neg: lambda a: number(-1.0) * a,
    p.mul: lambda a, b: a * b,
    p.strong_mul: lambda a, b: a * b,
    p.weighted_sum: lambda *args: total([reduce(mul, factors) for factors in p.terms_of(args)]),
    p.reciprocal: lambda a: a ** _INVERSE,
    p.div: lambda a, b: a * b ** _INVERSE,
    p.strong_div: lambda a, b: a * b ** _INVERSE,
    p.pow_: _power,
    p.share: lambda a, b: a * (a + b) ** _INVERSE,
    p.logistic: lambda a: _call(p.sigmoid, a) * _call(p.sigmoid, _minus(a)),
    p.sech2: lambda a: _call(p.cosh, a) ** Fraction(-2),
    p.exceeds: lambda a, b: _call(p.exceeds, a + _minus(b), number(0.0)),
    p.cauchy: lambda a: (number(1.0) + a * a) ** _INVERSE,
    p.inversion: lambda a, b: a * (a * a + b * b) ** _INVERSE,
    p.logsumexp: lambda *xs: _call(p.log, total([_call(p.exp, x) for x in xs])),
    p.surprisal: lambda *xs: _call(p.log, total([_call(p.exp, x) for x in xs])) + _minus(xs[0]),
    p.shift: lambda *args: number(0.0),   # of what does not change with it: e^(x−m) / Σ e^(x−m) is e^x / Σ e^x
}
_OF_TWO = (p.share, p.inversion)   # whose divisor is a sum of both
_DIVISIONS = (p.reciprocal, p.div, p.strong_div, p.share, p.inversion)


class Reading:
    """Graphs read as formulas in terms of the named Values, or with their numbers put in if `numeric`."""

    def __init__(self, names: Mapping[Value, str], numeric: bool = False) -> None:
        self.names = {v: _number(v.data) if numeric else symbol(name) for v, name in names.items()}
        self.found = dict(self.names)   # None where there is no formula

    def of(self, v: Value) -> Expr:
        """The formula of `v`, the shortest way; TooLong if there is none."""
        if v not in self.names:
            moving = v in shifted(topological(v, stop=self.names))
            found = dict(self.names) if moving else self.found   # what a shift moves is written with it, where it is asked for
            for u in topological(v, stop=found):
                if u not in found:
                    found[u] = self._read(u, [found[a] for a in u.args], keep=moving)
            return known(found[v])
        return known(self.names[v])

    def _read(self, u: Value, args: list[Expr | None], keep: bool) -> Expr | None:
        if u.op is None:
            return _number(u.data)
        try:
            read = [known(a) for a in args]
            if u.op in _DIVISIONS and not read[-1].terms and not (u.op in _OF_TWO and read[0].terms):
                return None   # a division by a plain 0 has no formula
            rule = _RULES.get(u.op) if not (u.op is p.shift and keep) else None
            e = rule(*read) if rule else _call(u.op, *read)
            return shortest(e) if rule and not (u.op is p.neg and is_rest(read[0])) else e   # −(1 − y), as it was computed
        except TooLong:
            return None


def _number(x: float) -> Expr | None:
    try:
        return number(x)
    except TooLong:
        return None


def known(e: Expr | None) -> Expr:
    """`e`, if there is one; else TooLong."""
    if e is None:
        raise TooLong
    return e


def simplify(v: Value, names: Mapping[Value, str], numeric: bool = False,
             parts: Mapping[Product, Expr] | None = None) -> Expr:
    """The formula of `v` in terms of the named Values, or with their numbers put in if `numeric`; `parts` are products that
    have a name. TooLong if nobody could read it."""
    return renamed(Reading(names, numeric).of(v), parts or {})


def renamed(e: Expr, named: Mapping[Product, Expr]) -> Expr:
    """`e` in terms of what has a name, where that is shorter; TooLong if nobody could read it."""
    for parts in (_complements(e), named):
        if parts and (other := replaced(e, parts)) != e:
            other = shortest(other)
            e = other if other.measure[1] <= e.measure[1] else e
    if e.size > LARGEST:
        raise TooLong
    return e


def names_for(names: Mapping[Value, str], v: Value) -> dict[Product, Expr]:
    """{a product: what it is in terms of the name of `v`}: of p = σ(h), σ(h) is p and σ(−h) is 1 − p."""
    name = symbol(names[v])
    rest = number(1.0) + _minus(name)
    try:
        e = Reading({u: called for u, called in names.items() if u is not v}).of(v)
        if is_monomial(e):   # w·x stays what it is
            return {}
        left = fraction(number(1.0) + _minus(e))
    except TooLong:
        return {}
    found: dict[Product, Expr] = {}
    if e.terms and (a := _as_call(e)) and a.op in _COMPLEMENTS:
        pattern, way = _COMPLEMENTS[a.op](*a.args)
        found[pattern] = replaced(way, {e.terms[0]: name})
    for product, way in [(left, rest), (e, name), (left * e ** _INVERSE, rest * name ** _INVERSE)]:
        if len(product.terms) == 1 and product.terms[0][1] and abs(product.terms[0][0]) == 1:   # sin x stays, of p = 1.7·sin x
            found[product.terms[0]] = way
    return found


def _as_call(e: Expr) -> Call | None:
    """The call that `e` is, if it is one."""
    (_, factors), *_ = e.terms
    return a if factors and isinstance(a := factors[0][0], Call) and e == call(a.op, *a.args) else None


def _complements(e: Expr) -> dict[Product, Expr]:
    """σ(−h) as 1 − σ(h), where both are in `e`; and tanh(h/2) as σ(h) − σ(−h), where one is."""
    found: dict[Product, Expr] = {}
    within = dict.fromkeys(sorted(calls(e.terms, p.sigmoid), key=lambda a: a.args[0].measure))
    for a in within:
        pattern, way = _COMPLEMENTS[p.sigmoid](*a.args)
        if pattern[1][0][0] in within and call(a.op, *a.args).terms[0] not in found:
            found[pattern] = way
    for a in calls(e.terms, p.tanh) if within else ():
        h = number(2.0) * a.args[0]
        if not {Call(p.sigmoid, (h,)), Call(p.sigmoid, (_minus(h),))}.isdisjoint(within):
            found[call(a.op, *a.args).terms[0]] = number(2.0) * call(p.sigmoid, h) + number(-1.0)
    return found


def _minus(e: Expr) -> Expr:
    return number(-1.0) * e


# What 1 − σ(h) and 1 − tanh²(h) are as one product.
_COMPLEMENTS: dict[Primitive, Callable[[Expr], tuple[Product, Expr]]] = {
    p.sigmoid: lambda h: (call(p.sigmoid, _minus(h)).terms[0], number(1.0) + _minus(call(p.sigmoid, h))),
    p.tanh: lambda h: ((call(p.cosh, h) ** Fraction(-2)).terms[0], number(1.0) + _minus(call(p.tanh, h) ** Fraction(2))),
}
