"""Local partials in terms of the rows' names: ∂a/∂z is a·(1 − a) where a names σ(z), and ∂ξ2/∂ξ1 of e^ξ1 is e^ξ1."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from autograd import Value
from autograd import primitives as p

from .algebra import Reading, TooLong, known, names_for, renamed
from .expressions import Expr, Product, calls, has_factor, symbol
from .expressions import number as plain

__all__ = ["LocalPartials", "in_names", "short"]

ACTIVATIONS = (p.sigmoid, p.tanh, p.share)     # whose slope is told by their value
CHOICES = (p.maximum, p.minimum, p.clip)       # whose slope tells what is equal to it: [z1 = a]


class LocalPartials:
    """Formulas in terms of what is in `names`; `rows` are the results among them, `labels` those whose name was given.

    >>> from autograd import sigmoid
    >>> from autograd.sweep import formulas
    >>> from viz.formulas.expressions import written
    >>> from viz.formulas.notation import TEXT
    >>> z = Value(0.5, label="z")
    >>> a = sigmoid(z)
    >>> [slope] = formulas(a)
    >>> print(written(LocalPartials({z: "z", a: "a"}, [a], {}).of(a, slope), TEXT))
    a·(1 − a)
    """

    def __init__(self, names: Mapping[Value, str], rows: Iterable[Value], labels: Mapping[Value, str]) -> None:
        self.names = names
        parts = {v: names_for(names, v) for v in rows if v in labels or v.op in (*ACTIVATIONS, *CHOICES)}
        self.named = _longest_first(parts.values())   # what products of factors are in terms of the rows' names
        self._own = {v: _longest_first([part]) for v, part in parts.items()}
        self._named_but = {v: _longest_first([each for u, each in parts.items() if u is not v]) for v in parts}

    def of(self, v: Value, d: Value) -> Expr | None:
        """`d`, a partial of `v`, in terms of what `v` is computed from; and of `v` itself where that gives p·(1 − p)."""
        read = short(lambda: Reading({u: name for u, name in self.names.items() if u is not v}).of(d))
        own = self._own.get(v)
        if own is None or read is None:
            return in_names(read, self.named)
        first, other = in_names(read, {**own, **self.named, **own}), in_names(read, self.named)
        if first is not None and self._in_own_terms(v, first) and first.terms[0][0] > 0:   # p·(1 − p), though 1 − p be q
            return first
        return other if other is not None and self._in_own_terms(v, other) else in_names(read, self._named_but[v])

    def _in_own_terms(self, v: Value, e: Expr) -> bool:
        """Whether it is p·(1 − p), or of an activation's row at all in names only, or says which was chosen."""
        if not e.terms:   # it is 0
            return False
        complement = plain(1.0) + plain(-1.0) * symbol(self.names[v])
        return has_factor(e, complement) or v.op in CHOICES or (v.op in ACTIVATIONS and not any(calls(e.terms)))


def in_names(e: Expr | None, named: Mapping[Product, Expr]) -> Expr | None:
    """`e` in terms of what has a name, where that is shorter; None if nobody could read it."""
    return short(lambda: renamed(known(e), named))


def short(make: Callable[[], Expr]) -> Expr | None:
    """The formula, or None where there is none that anybody could read."""
    try:
        return make()
    except (TooLong, ArithmeticError):
        return None


def _longest_first(parts: Iterable[Mapping[Product, Expr]]) -> dict[Product, Expr]:
    """The longest product first; of one that is q and 1 − p, q."""
    found: dict[Product, Expr] = {}
    for product, way in sorted([item for each in parts for item in each.items()],
                               key=lambda item: (-len(item[0][1]), item[1].measure)):
        found.setdefault(product, way)
    return found
