"""Derivatives of all nodes, and the algebra of zeros: what 0 is worth where it meets a slope that is not finite.

    0 by kind · anything = 0     of a slope that is 0 whatever the numbers nearby (of step, of the branch that `where` does
                                 not take, of relu below 0) not even one is left that does not exist
    0 · ±inf = 0                 a strong zero: what counts nothing counts nothing, however steep. The derivative of such a
                                 product is not known: it is nan
    0 · nan = nan                an error that names the node, unless a number that was given is nan or infinite itself

An infinity or nan that arises on the way is never lost before the results, unless by these rules. So a plain sweep comes
first, and where its results are finite they need no second look: this file is for the others, and compiled code multiplies as
it likes and asks the graph about what is not finite.

>>> from autograd import Value, relu
>>> x = Value(0.0)
>>> relu(x ** 0.5 - 1).backward()
>>> x.grad
0.0
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import reduce
from itertools import repeat
from typing import Any

from .graph import N, Node
from .primitives import add, div, mul, neg, strong_mul, terms_of, weighted_sum, where
from .sweep import PLAIN, dependents, formulas, forward, number_of, numbers, product, reverse

__all__ = ["Term", "local_partials", "pullback", "pushforward"]

Local = Callable[[Any], "list[Term]"]


def pullback(order: Sequence[N], seeds: Mapping[N, Any], xs: Iterable[N], symbolic: bool = True,
             blame: bool = True) -> dict[N, Any]:
    """The adjoints of `xs` and of all nodes of `order` between them and the seeds, which are the adjoints of the roots.

    They are formulas (Values and plain numbers), or floats if not `symbolic`. FloatingPointError if finite numbers give nan,
    unless it is not to `blame` a node.
    """
    xs = list(xs)
    needed = dependents(order, xs)
    found = reverse(order, seeds, *_plain(symbolic), needed)
    if _finite([found[x] for x in xs if x in found]):
        return found
    local = local_partials(order)
    terms = reverse(order, {v: Term(g) for v, g in seeds.items()}, local, Term.times, needed)
    if blame and any([math.isnan(terms[x].number) for x in xs if x in terms]):
        _blame(order, terms, local)
    return {v: term.x if symbolic else term.number for v, term in terms.items()}


def pushforward(order: Sequence[N], seeds: Mapping[N, Any], ys: Iterable[N], symbolic: bool = True,
                blame: bool = True) -> dict[N, Any]:
    """The tangents of `ys`, those that there are: Σ ∂y/∂x · seed. The `seeds` are the tangents of the variables x.

    They are formulas or floats, and nan is an error, as of `pullback`. One that is not finite comes from the adjoints: what
    counts nothing in y, a sweep from below cannot know.
    """
    found = forward(order, seeds, *_plain(symbolic))
    return {y: found[y] if _finite([found[y]]) else _by_adjoints(order, seeds, y, symbolic, blame) for y in ys if y in found}


def _by_adjoints(order: Sequence[N], seeds: Mapping[N, Any], y: N, symbolic: bool, blame: bool) -> Any:
    adjoint = pullback(order, {y: 1.0}, seeds, symbolic, blame)
    terms = [Term.times(Term(t, by_kind=isinstance(t, PLAIN) and t == 0), Term(adjoint[x]))
             for x, t in seeds.items() if x in adjoint]
    total = reduce(operator.add, [term for term in terms if term], Term(0.0))
    return total.x if symbolic else total.number


def _plain(symbolic: bool) -> tuple[Callable[..., Any], Callable[..., Any]]:
    return (formulas, product) if symbolic else (numbers, operator.mul)


def _finite(found: Iterable[Any]) -> bool:
    return all([getattr(x, "symbolic", False) or math.isfinite(number_of(x)) for x in found])


class Term:
    """A derivative, a number or a Value, that knows whether it is a zero by kind."""

    __slots__ = ("by_kind", "number", "x")

    def __init__(self, x: Any, by_kind: bool = False) -> None:
        self.x, self.number, self.by_kind = x, number_of(x), by_kind

    def __add__(self, other: Term) -> Term:
        return Term(self.x + other.x, self.by_kind and other.by_kind)

    @staticmethod
    def times(g: Term, d: Term) -> Term | None:
        """g · d: of Values a formula that is right for other numbers too."""
        if g.by_kind or d.by_kind:
            zero, other = (d, g) if d.by_kind else (g, d)
            if isinstance(zero.x, PLAIN):
                return None
            y = zero.x * other.x
            return Term(y if math.isfinite(other.number) else where(zero.x, y, 0.0), True)
        if math.isinf(d.number) and _overflowed(d.x):   # g with one factor after the other
            first, *rest = d.x.args
            x = Term.times(g, Term(first))
            return None if x is None else Term(d.x.op(x.x, *rest))
        if g.number == 0 and math.isinf(d.number):
            return Term(strong_mul(g.x, d.x))
        x = product(g.x, d.x)
        return None if x is None else Term(x)


def _overflowed(x: Any) -> bool:
    """Whether x is an infinite product or quotient of finite numbers, or minus such a one, and no pole."""
    op = getattr(x, "op", None)
    if op is neg:
        return _overflowed(x.args[0])
    return (op is mul or (op is div and x.args[1]._data != 0)) and all([math.isfinite(a._data) for a in x.args])


def local_partials(order: Sequence[Node]) -> Local:
    """The function from a node of `order` to its local partials as terms."""
    zeros = _zeros_by_kind(order)

    def local(v: Node) -> list[Term]:
        assert v.op is not None
        return [Term(d, number_of(d) == 0 and (isinstance(d, PLAIN) or v.op.flat or factor in zeros))
                for d, factor in zip(formulas(v), _factors(v) or repeat(None))]   # noqa: B905   # repeat has no end
    return local


def _factors(v: Node) -> Sequence[Any]:
    """What each argument of `v` is multiplied by, if `v` is a product or a sum of products."""
    if v.op is mul or v.op is strong_mul:
        return v.args[::-1]
    return weighted_sum.partials(v, *v.args) if v.op is weighted_sum else ()


def _terms(v: Node) -> list[tuple[Any, ...]]:
    """The terms of which `v` is the sum, each as its factors; none, if it is no sum of products."""
    if v.op is mul or v.op is strong_mul:
        return [v.args]
    if v.op is add or v.op is neg:
        return [(a,) for a in v.args]
    return terms_of(v.args) if v.op is weighted_sum else []


def _zeros_by_kind(order: Sequence[Node]) -> set[Node]:
    """The nodes of `order` that are 0 whatever the numbers nearby."""
    zeros: set[Node] = set()
    for v in order:
        op, args = v.op, v.args
        if v._data != 0:
            continue
        if op is None:
            by_kind = v.constant
        elif op is div:
            by_kind = args[0] in zeros
        elif op is where:
            by_kind = (args[1] if args[0]._data else args[2]) in zeros
        elif terms := _terms(v):
            by_kind = not any([zeros.isdisjoint(factors) for factors in terms])
        else:
            by_kind = op.flat and all([isinstance(d, PLAIN) for d in formulas(v)])   # all of them 0
        if by_kind:
            zeros.add(v)
    return zeros


def _blame(order: Sequence[N], adjoint: Mapping[N, Term], local: Local) -> None:
    """Say where a derivative became nan: FloatingPointError, unless a leaf itself is nan or infinite."""
    if not all([math.isfinite(v._data) for v in order if not v.args]):
        return
    advice = next((v.op.advice for v in order if v.op and not math.isfinite(v._data)), "")
    for v in reversed(order):
        g = adjoint.get(v)
        if v.op and g and not math.isnan(g.number):
            for a, d in zip(v.args, local(v), strict=True):
                term = Term.times(g, d)
                if term is None or a.constant:
                    continue
                if math.isinf(term.number) and math.isfinite(g.number):   # here it became infinite, to meet a 0 below
                    advice = advice or v.op.advice
                if math.isnan(term.number):
                    raise FloatingPointError(f"nan gradient of {a._name()}: {v._name()} has slope {d.number:g} there and "
                                             f"receives {g.number:g} from above; "
                                             f"{advice or v.op.advice or 'it has no derivative'}")
    raise FloatingPointError("nan gradient: infinite contributions of both signs meet in one node"
                             + (f"; {advice}" if advice else ""))
