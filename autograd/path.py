"""The paths from a variable to a result: dL/dz is the product of the partials along each path, summed over the paths.

    z → ξ1 → … → L      a path: every row uses the one before it
    ∂ξ1/∂z, …, ∂L/∂ξn   its factors, the local partials of the ξ table; their product is the path's share of dL/dz

Source: the multivariable chain rule, CS114, CS230. A row that uses another twice has one partial by it, ∂(x·x)/∂x = 2·x, and
so is one step of a path. The shift of softmax, which cancels, is on no path.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, overload

from .conversion import bounded
from .graph import topological
from .primitives import shift
from .steps import Partial, Rows, Step, Steps, steps
from .sweep import dependents, reverse
from .value import Value
from .zeros import Term, local_partials

__all__ = ["Path", "Paths", "paths"]

MOST = 10**30   # a number of paths beyond which they are not counted


@dataclass(frozen=True, slots=True)
class Path:
    """One path: its `nodes`, from the variable to the result; `factors[i]`, the partial of nodes[i + 1] by nodes[i]; their
    `product`."""

    nodes: tuple[Value, ...]
    factors: tuple[Partial, ...]
    product: float


@dataclass(frozen=True, slots=True, repr=False)
class Paths(Sequence[Path]):
    """The paths from `variable` to the root of `steps`, along whose rows they go. Their products sum to `derivative`."""

    steps: Steps
    variable: Value
    derivative: float
    found: tuple[Path, ...]

    def names(self, path: Path) -> list[str]:
        """What the ξ table calls the nodes of a path."""
        return [self.steps.names[v] for v in path.nodes]

    def __repr__(self) -> str:
        return f"<{len(self)} path{'s' * (len(self) != 1)}: derivative {self.derivative:g}>"

    def __len__(self) -> int:
        return len(self.found)

    @overload
    def __getitem__(self, i: int) -> Path: ...

    @overload
    def __getitem__(self, i: slice) -> tuple[Path, ...]: ...

    def __getitem__(self, i: int | slice) -> Path | tuple[Path, ...]:
        return self.found[i]


@overload
def paths(y: Value, z: Value, rows: Rows = "auto", limit: int = 1000) -> Paths: ...


@overload
def paths(y: Value, z: Sequence[Value], rows: Rows = "auto", limit: int = 1000) -> list[Paths]: ...


def paths(y: Value, z: Value | Sequence[Value], rows: Rows = "auto", limit: int = 1000) -> Paths | list[Paths]:
    """Every path from z to y, with the partials along it as formulas and numbers, and their product.

    z       a Value that y was computed from, a leaf or a result; of a list of them, a list of Paths
    rows    which nodes the paths go along, as in `autograd.steps.steps`: those that are rows of the ξ table
    limit   ValueError if there are more paths, with their number: it doubles wherever two ways meet

    Products sum to `derivative`, the number that `grad` gives, up to rounding. Zeros and infinities meet along a path as they
    do in a sweep (zeros.py), from y down; FloatingPointError where the sweep cancels what the paths, one by one, make
    infinite, and else as `grad`.

    >>> from autograd import exp
    >>> x = Value(2.0, label="x")
    >>> a = x * x
    >>> found = paths(a * exp(a / 4), x)
    >>> for path in found:
    ...     print(" → ".join(found.names(path)), [q.number for q in path.factors], path.product)
    x → ξ1 → ξ2 → ξ3 → L [4.0, 0.25, 2.718281828459045, 4.0] 10.87312731383618
    x → ξ1 → L [4.0, 2.718281828459045] 10.87312731383618
    >>> found.derivative
    21.74625462767236
    """
    if isinstance(z, Value):
        return _paths(y, z, rows, limit)
    variables: Any = z if hasattr(z, "__iter__") else [z]
    return [_paths(y, x, rows, limit) for x in variables]


def _paths(y: Value, z: Value, rows: Rows, limit: int) -> Paths:
    found = steps(y, [z], rows)
    [z] = found.variables
    n = _count(found, z)
    if n > limit:
        raise ValueError(f"there are {n if n < MOST else 'more than 10**30'} paths from {bounded(found.names[z])} to "
                         f"{bounded(found.names[found.root])}, more than limit={limit}: grad() sums over them without listing "
                         "any; name the nodes that matter and use rows='named', list the paths to an intermediate Value, or "
                         "raise limit=")
    listed = tuple(_listed(found, z))
    [derivative] = found.gradient
    if math.isnan(sum([path.product for path in listed])) and not math.isnan(derivative):
        raise FloatingPointError(f"the paths from {bounded(found.names[z])} have infinite products, which sum to no number: a "
                                 f"sweep adds up before it multiplies, and gives {derivative:g}")
    return Paths(found, z, derivative, listed)


def _edges(found: Steps) -> Iterator[tuple[Step, Partial]]:
    """Every row with each of its partials."""
    return ((step, q) for step in found.rows if step.node.op is not shift for q in step.partials)


def _count(found: Steps, z: Value) -> int:
    """How many paths there are: to a row as many as lead to what it uses."""
    counts = Counter({z: 1})
    for step, q in _edges(found):
        counts[step.node] = min(counts[step.node] + counts[q.arg], MOST)
    return counts[found.root]


def _listed(found: Steps, z: Value) -> Iterator[Path]:
    """The paths, depth first, from z up."""
    terms = _terms(found)
    uses: dict[Value, list[tuple[Step, Partial]]] = {}
    for step, q in _edges(found):
        uses.setdefault(q.arg, []).append((step, q))
    if z is found.root:
        yield Path((z,), (), 1.0)
    trail: list[tuple[Step, Partial]] = []
    waiting = [iter(uses.get(z, ()))]
    while waiting:
        edge = next(waiting[-1], None)
        if edge is None:
            waiting.pop()
            del trail[-1:]
            continue
        trail.append(edge)
        if edge[0].node is found.root:
            yield Path((z, *[step.node for step, _ in trail]), tuple([q for _, q in trail]),
                       _product([terms[step.node, q.arg] for step, q in trail]))
            trail.pop()
        else:
            waiting.append(iter(uses[edge[0].node]))


def _terms(found: Steps) -> dict[tuple[Value, Value], Term]:
    """{(row, what it uses): its local partial}, as a term that knows whether it is a zero by kind."""
    local, terms = local_partials(topological(found.root)), {}
    for step in found.rows:
        args = [q.arg for q in step.partials]
        inner = topological(step.node, stop=found.names)
        adjoint = reverse(inner, {step.node: Term(1.0)}, local, Term.times, dependents(inner, args))
        terms.update({(step.node, a): adjoint.get(a) or Term(0.0, by_kind=True) for a in args})
    return terms


def _product(factors: Sequence[Term]) -> float:
    """The product of a path's factors, the last of them first, as a sweep from the result down has them."""
    product: Term | None = Term(1.0)
    for factor in reversed(factors):
        product = product and Term.times(product, factor)
    return product.number if product else 0.0
