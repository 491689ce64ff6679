"""What users call: the table's functions by name, and what is composed of them.

Each takes a Value, a number or an array, and gives the same; the ones of two arguments mix them.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any, Protocol, overload

from . import primitives as p
from .value import Value, apply

__all__ = [
    "acos",
    "acosh",
    "affine",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "cbrt",
    "ceil",
    "clip",
    "cos",
    "cosh",
    "digamma",
    "dot",
    "erf",
    "erfc",
    "exp",
    "exp2",
    "expm1",
    "floor",
    "gelu",
    "heaviside",
    "hypot",
    "leaky_relu",
    "lgamma",
    "log",
    "log1p",
    "log2",
    "log10",
    "log_sigmoid",
    "log_softmax",
    "logsumexp",
    "maximum",
    "minimum",
    "norm",
    "polygamma",
    "relu",
    "sigmoid",
    "sign",
    "silu",
    "sin",
    "sinh",
    "softmax",
    "softplus",
    "sqrt",
    "step",
    "tan",
    "tanh",
    "where",
    "xlogy",
]


class Unary(Protocol):
    """A function of one argument."""

    @overload
    def __call__(self, x: Value, /) -> Value: ...
    @overload
    def __call__(self, x: float, /) -> float: ...
    @overload
    def __call__(self, x: Any, /) -> Any: ...


class Several(Protocol):
    """A function of any number of arguments."""

    @overload
    def __call__(self, x: Value, /, *xs: Value | float) -> Value: ...
    @overload
    def __call__(self, x: float, y: Value, /, *xs: Value | float) -> Value: ...
    @overload
    def __call__(self, x: float, /, *xs: float) -> float: ...
    @overload
    def __call__(self, x: Any, /, *xs: Any) -> Any: ...


class Binary(Protocol):
    """A function of two arguments."""

    @overload
    def __call__(self, a: Value, b: Value | float, /) -> Value: ...
    @overload
    def __call__(self, a: float, b: Value, /) -> Value: ...
    @overload
    def __call__(self, a: float, b: float, /) -> float: ...
    @overload
    def __call__(self, a: Any, b: Any, /) -> Any: ...


exp: Unary = p.exp
log: Unary = p.log
exp2: Unary = p.exp2
expm1: Unary = p.expm1
log1p: Unary = p.log1p
log2: Unary = p.log2
log10: Unary = p.log10
sqrt: Unary = p.sqrt
cbrt: Unary = p.cbrt
sin: Unary = p.sin
cos: Unary = p.cos
tan: Unary = p.tan
asin: Unary = p.asin
acos: Unary = p.acos
atan: Unary = p.atan
sinh: Unary = p.sinh
cosh: Unary = p.cosh
tanh: Unary = p.tanh
asinh: Unary = p.asinh
acosh: Unary = p.acosh
atanh: Unary = p.atanh
erf: Unary = p.erf
erfc: Unary = p.erfc
sigmoid: Unary = p.sigmoid
softplus: Unary = p.softplus
lgamma: Unary = p.lgamma
digamma: Unary = p.digamma
relu: Unary = p.relu
step: Unary = p.step
sign: Unary = p.sign
floor: Unary = p.floor
ceil: Unary = p.ceil
round: Unary = p.round_   # not in __all__: Python has a function of this name
maximum: Several = p.maximum
minimum: Several = p.minimum
hypot: Several = p.hypot
xlogy: Binary = p.xlogy
atan2: Binary = p.atan2


def where(condition: Any, a: Any, b: Any) -> Any:
    """a where the condition holds (is not 0), else b; the branch that is not taken contributes nothing, not even a nan.

    In a function that is differentiated, trained or compiled, an operation that has no number is no error if only that branch
    has it. Elsewhere Python has raised it before `where` is called: `errstate(invalid="ignore", divide="ignore")` lets it pass.

    >>> x = Value(-2.0)
    >>> y = where(x > 0, x, x * 10)
    >>> y.backward()
    >>> y.data, x.grad
    (-20.0, 10.0)
    """
    return p.where(condition, a, b)


def clip(x: Any, low: Any, high: Any) -> Any:
    """x, but at least `low` and at most `high`; the slope is that of what is the result, at a limit that of x.

    >>> clip(5.0, 0.0, 1.0)
    1.0
    """
    return p.clip(x, low, high)


def dot(ws: Any, xs: Any) -> Any:
    """Σ wᵢxᵢ = wᵀx of two sequences of one length, added from left to right: one node, where Σ written out has 2n − 1.

    Tables, pictures, pages and compiled functions have it as its products and sums. ValueError for different lengths.

    >>> w, x = [Value(2.0), Value(3.0)], [Value(4.0), Value(5.0)]
    >>> y = dot(w, x)
    >>> y.backward()
    >>> y.data, [v.grad for v in w], [v.grad for v in x]
    (23.0, [4.0, 5.0], [2.0, 3.0])
    """
    return _weighted_sum((), ws, xs, "dot") if len(ws) or len(xs) else 0.0


def affine(ws: Any, xs: Any, b: Any) -> Any:
    """b + Σ wᵢxᵢ = wᵀx + b, as `dot`: the sum begins with b.

    >>> affine([2.0, 3.0], [4.0, 5.0], -3.0)
    20.0
    """
    return _weighted_sum((b,), ws, xs, "affine") if len(ws) or len(xs) else b


def _weighted_sum(b: tuple[Any, ...], ws: Any, xs: Any, name: str) -> Any:
    if len(ws) != len(xs):
        raise ValueError(f"{name}() of {len(ws)} weights and {len(xs)} inputs: it needs as many of the one as of the other")
    args = *b, *ws, *xs
    values = all([issubclass(kind, Value) for kind in {*map(type, args)}])
    return apply(p.weighted_sum, *args) if values else p.weighted_sum(*args)


def norm(*xs: Any) -> Any:
    """√(Σ x²) of several arguments or of one sequence: it neither overflows nor vanishes, and its slope at 0 is 0.

    >>> norm([3.0, 4.0]), norm([1e200, 0.0])
    (5.0, 1e+200)
    """
    return p.hypot(*_several(xs, "norm"))


def polygamma(n: int, x: Any) -> Any:
    """ψ⁽ⁿ⁾(x), the n-th derivative of `digamma`; n is a whole number from 0 on, and no variable.

    >>> polygamma(1, 1.0)
    1.6449340668482264
    """
    if not hasattr(n, "__index__") or n < 0:
        raise ValueError(f"polygamma({n!r}, …): the order is a whole number, 0, 1, 2, …")
    return p.polygamma(operator.index(n))(x)


def heaviside(x: Any) -> Any:
    """0 below 0, ½ at 0, 1 above: the lecture's step activation. Its derivative is 0.

    >>> [heaviside(x) for x in (-1.0, 0.0, 1.0)]
    [0.0, 0.5, 1.0]
    """
    return p.exceeds(x, 0.0)


def log_sigmoid(x: Any) -> Any:
    """log σ(x) = −softplus(−x), finite and exact where σ(x) underflows.

    >>> log_sigmoid(-1000.0)
    -1000.0
    """
    return -p.softplus(-x)


def silu(x: Any) -> Any:
    """x · σ(x), also known as swish.

    >>> silu(0.0)
    0.0
    """
    return x * p.sigmoid(x)


def gelu(x: Any) -> Any:
    """x · Φ(x) with Φ the normal distribution, exactly: x/2 · erfc(−x/√2). (Hendrycks and Gimpel, arXiv:1606.08415)

    >>> gelu(-40.0), gelu(40.0)
    (-0.0, 40.0)
    """
    return x * 0.5 * p.erfc(x * -math.sqrt(0.5))


def leaky_relu(x: Any, slope: Any = 0.01) -> Any:
    """max(0, x) + slope · min(0, x); a Value as `slope` is learned.

    >>> leaky_relu(-2.0, 0.5)
    -1.0
    """
    return p.relu(x) - slope * p.relu(-x)


def logsumexp(*xs: Any) -> Any:
    """log Σ exp(x) of several arguments or of one sequence, for numbers of any size: to 2 ulp of the larger of |y| and |x|.

    Of nothing but −inf it is −inf, a limit, and its slopes, which have none, are nan.

    >>> logsumexp(1000.0, 1000.0)
    1000.6931471805599
    """
    return p.logsumexp(*_several(xs, "logsumexp"))


def softmax(*xs: Any) -> list[Any]:
    """[exp(x) / Σ exp(x) for each x], of several arguments or of one sequence, exact for numbers of any size.

    >>> softmax([0.0, 0.0])
    [0.5, 0.5]
    """
    return p.softmax_of(_several(xs, "softmax"))


def log_softmax(*xs: Any) -> list[Any]:
    """[log of softmax for each x]: −log Σ exp(xⱼ − x), exact for numbers of any size, also where a softmax is nearly 1.

    >>> log_softmax(1e8, 1e8), log_softmax(40.0, 0.0)
    ([-0.6931471805599453, -0.6931471805599453], [-4.248354255291589e-18, -40.0])
    """
    found = _several(xs, "log_softmax")
    return [-p.surprisal(x, *found[:i], *found[i + 1:]) for i, x in enumerate(found)]


def _several(xs: Sequence[Any], name: str) -> Sequence[Any]:
    if len(xs) == 1 and hasattr(xs[0], "__iter__"):
        xs = list(xs[0])
    if not xs:
        raise ValueError(f"{name}() of no numbers has no value")
    return xs
