"""The table of primitives: the only file that knows an operation.

    y = f(*xs)     a primitive's value
    ∂y/∂x          its local partials, one per argument, written as functions of (y, *xs)

A row says everything about its operation, once. Partials are arithmetic and other primitives and never branch,
so that one definition serves floats, numpy arrays and Values (derivatives of derivatives, formulas of the ξ table).
They are written for full relative accuracy in the tails, and so that their own derivatives have it: 1/cosh² and not
1−tanh², whose derivative −2·tanh/cosh² cancels nothing. What no row has, that derivatives need, has a row of its own.
docs/ACCURACY.md has the largest errors of every row, of its value and of its first and second derivatives.

Conventions where a derivative does not exist or is a matter of choice:

| point | derivative |
|---|---|
| relu and abs at 0, sign and step anywhere | 0 |
| floor, ceil, round, floor_divide anywhere; mod(a, b) in a | 0; 1 |
| maximum, minimum of equal arguments | shared equally: ½ to each of two, ¼ to each of four, so that max(x, x) has slope 1 |
| clip at a limit | 1 in x |
| x·log y at x = 0 in y | 0, also at y = 0 |
| x**0 in x, anywhere; 0**n in n, for n ≥ 0 | 0 |
| sqrt and cbrt at 0 | +inf |
| hypot at 0 | 0 to each |
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from functools import cache, reduce
from itertools import accumulate
from typing import Any

from . import special
from .primitive import PRIMITIVES, Primitive

POSITIVE, UNIT = (0.2, 4.0), (-0.9, 0.9)
_GAMMA_POLES, _RAISED = "its poles are 0, -1, -2, …", str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")

# Rows that are mentioned above their own line.
abs_: Primitive
cauchy: Primitive
cos: Primitive
cosh: Primitive
digamma: Primitive
direction: Primitive
equals: Primitive
exceeds: Primitive
floor_divide: Primitive
inversion: Primitive
logistic: Primitive
pow_: Primitive
round_: Primitive
sech2: Primitive
semicircle: Primitive
share: Primitive
sign: Primitive
strong_div: Primitive
strong_mul: Primitive
tanh: Primitive
trigamma: Primitive
where: Primitive


@cache
def polygamma(n: int) -> Primitive:
    """The row of ψ⁽ⁿ⁾, a row for every order: an order has no slope. Those beyond 6 are made when they are asked for."""
    if n < 2:
        return trigamma if n else digamma
    row = Primitive(f"polygamma{n}", value=lambda x: special.polygamma(n, x), partials=lambda y, x: (polygamma(n + 1)(x),),
                    array=special.polygamma_array(n), pole=lambda x: math.inf if n % 2 else math.nan,
                    latex=rf"\psi^{{{{({n})}}}}({{0}})", text=f"ψ⁽{str(n).translate(_RAISED)}⁾({{0}})", symbol="ψ⁽ⁿ⁾",
                    domain=POSITIVE, advice=_GAMMA_POLES)
    row.builtin = True
    return row


def total(terms: Sequence[Any]) -> Any:
    """The sum of numbers, arrays or Values, without a 0 in front."""
    return reduce(operator.add, terms)


def weights_and_inputs(args: Sequence[Any]) -> tuple[Sequence[Any], Sequence[Any], Sequence[Any]]:
    """Of a weighted sum's arguments: b, if there is one, in a sequence; the weights w; the inputs x."""
    begin = len(args) % 2
    middle = (len(args) + begin) // 2
    return args[:begin], args[begin:middle], args[middle:]


def terms_of(args: Sequence[Any]) -> list[tuple[Any, ...]]:
    """The terms of a weighted sum, each as its factors: b, if there is one, and the pairs (w, x)."""
    bias, ws, xs = weights_and_inputs(args)
    return [*[(b,) for b in bias], *zip(ws, xs, strict=True)]


def softmax_of(xs: Sequence[Any]) -> list[Any]:
    """exp(x) / Σ exp(x) for each x; subtracting the largest first makes it exact for logits of any size.

    Of each weight w and the sum r of the others it is w/(w + r), whose slope r/(w + r)² loses no digit where w is nearly all.
    """
    return [share(w, rest) for w, rest in _weights(xs)]


def _weights(xs: Sequence[Any]) -> list[tuple[Any, Any]]:
    """exp(x − the largest x) for each x, and the sum of the others: of those before it and of those after it."""
    m = shift(*xs)
    found = [exp(x - m) for x in xs]
    before, after = [*accumulate(found[:-1])], [*accumulate(found[:0:-1])][::-1]
    between = [a + b for a, b in zip(before, after[1:], strict=False)]
    return [*zip(found, [*after[:1], *between, *before[-1:]] or [0.0], strict=True)]


def _weighted_sum(*args: float) -> float:
    bias, ws, xs = weights_and_inputs(args)
    y: float = reduce(operator.add, map(operator.mul, ws, xs), *bias)
    return y


def _weighted_sum_slopes(y: Any, *args: Any) -> tuple[Any, ...]:
    """Of each weight its input, of each input its weight."""
    bias, ws, xs = weights_and_inputs(args)
    return *[1.0 for _ in bias], *xs, *ws


def _is_odd(n: float) -> bool:
    return n % 2 == 1 and n.is_integer()


def _real_power(x: float, n: float) -> float:
    if -math.inf < x < 0 < n % 1:   # Python would go on to a complex number
        raise ValueError("math domain error")
    y: float = x ** n
    return y


def _quotient_pole(a: float, b: float) -> float:
    return math.copysign(math.inf, a) * math.copysign(1.0, b) if a and a == a else math.nan


def _nan_first(choose: Callable[..., float]) -> Callable[..., float]:
    """`choose`, but nan if any argument is: Python's max(1, nan) is 1."""
    return lambda *xs: math.nan if any(x != x for x in xs) else choose(*xs)


def _logsumexp(*xs: float) -> float:
    top = max(range(len(xs)), key=xs.__getitem__)
    m = xs[top]
    if math.isinf(m):
        return m
    return m + math.log1p(math.fsum([math.exp(x - m) for i, x in enumerate(xs) if i != top]))


def _surprisal(x: float, *others: float) -> float:
    m = max((x, *others))
    if math.isinf(m):
        return math.nan if x == math.inf or m < 0 else m
    top = (x, *others).index(m)
    return (m - x) + math.log1p(math.fsum([math.exp(z - m) for i, z in enumerate((x, *others)) if i != top]))


def _surprisal_array(xp: Any, x: Any, *others: Any) -> Any:
    m = reduce(xp.maximum, others, x)
    m = xp.where(xp.isinf(m), 0.0, m)
    return (m - x) + xp.log1p(total([*[xp.exp(z - m) for z in others], xp.expm1(x - m)]))   # of the largest, expm1 is 0


def _surprisal_slopes(xs: Sequence[Any]) -> list[Any]:
    (w, rest), *others = _weights(xs)
    return [-share(rest, w), *[share(v, remaining) for v, remaining in others]]


def _share_slopes(y: Any, a: Any, b: Any) -> tuple[Any, Any]:
    s = a + b
    return b / s / s, -(y / s)


def _shift_array(xp: Any, *xs: Any) -> Any:
    m = reduce(xp.maximum, xs)
    return m + (m - m)   # of an infinity, nan


def _logsumexp_array(xp: Any, *xs: Any) -> Any:
    m = reduce(xp.maximum, xs)
    m = xp.where(xp.isinf(m), 0.0, m)
    return m + xp.log(total([xp.exp(x - m) for x in xs]))


def _shares(xs: Sequence[Any], y: Any) -> list[Any]:
    """The slopes of a maximum or minimum y: 1 shared equally by all x that are y."""
    ties = [equals(x, y) for x in xs]
    count = total(ties)
    return [tie / count for tie in ties]


def _ties(*xs: Any) -> Any:
    """0 where two of them are equal."""
    return reduce(operator.mul, [a - b for i, a in enumerate(xs) for b in xs[:i]], 1.0)


def _lost(a: Any, b: Any) -> Any:
    """0, but nan where a is 0 and b is infinite: where a strong zero silenced an infinity, it is not known how it changes."""
    return where(a, 0.0, b - b)


def _whole(choose: Callable[[float], float]) -> Callable[[float], float]:
    """A whole number near x as a float, of the sign of x; what is no finite number stays."""
    return lambda x: math.copysign(choose(x), x) if math.isfinite(x) else x


def _unclipped(y: Any, x: Any, low: Any, high: Any) -> tuple[Any, Any, Any]:
    """The slopes of clip: 1 to what is the result, to x where it meets a limit."""
    clipped, to_low = 1 - equals(x, y), equals(low, y)
    return equals(x, y), clipped * to_low, clipped * (1 - to_low)


def _xlogy(x: float, y: float) -> float:
    return x * math.log(y) if x or y != y else 0.0


def _xlogy_pole(x: float, y: float) -> float:
    return -math.copysign(math.inf, x) if y == 0 and x == x else math.nan


def _hypot_array(xp: Any, *xs: Any) -> Any:
    if len(xs) == 2:
        return xp.hypot(*xs)
    sizes = [xp.abs(x) for x in xs]
    m = reduce(xp.maximum, sizes)   # beside which no square overflows, or vanishes where it matters
    y = m * xp.sqrt(total([(x / m) * (x / m) for x in sizes]))
    return xp.where(reduce(operator.or_, [x == math.inf for x in sizes]), math.inf, xp.where(m == 0, 0.0, y))


def _sech2_array(xp: Any, x: Any) -> Any:
    e = xp.exp(-2 * xp.abs(x))
    return 4 * e / (1 + e * (2 + e))


def _sech2(x: float) -> float:
    e = math.exp(-2 * abs(x))
    return 4 * e / (1 + e * (2 + e))


def _logistic_array(xp: Any, x: Any) -> Any:
    e = xp.exp(-xp.abs(x))
    return e / (1 + e * (2 + e))


def _logistic(x: float) -> float:
    e = math.exp(-abs(x))
    return e / (1 + e * (2 + e))


def _direction(a: float, b: float) -> float:
    s = _scale(a, b)
    return s * a / math.hypot(s * a, s * b) if a or b != b else 0.0


def _direction_array(xp: Any, a: Any, b: Any) -> Any:
    s = _scale_array(xp, a, b)
    return xp.where((a == 0) & (b == b), 0.0, s * a / xp.hypot(s * a, s * b))


def _scale(a: float, b: float) -> float:
    """A factor for a and b, so that √(a² + b²) neither overflows nor is subnormal."""
    size = abs(a) + abs(b)
    return 0.25 if size > 1e308 else 2.0 ** 600 if size < 1e-290 else 1.0


def _scale_array(xp: Any, a: Any, b: Any) -> Any:
    size = xp.abs(a) + xp.abs(b)
    return xp.where(size > 1e308, 0.25, xp.where(size < 1e-290, 2.0 ** 600, 1.0))


def _cauchy(x: Any) -> Any:
    z = 2.0 ** -26 * x   # its square overflows where the result vanishes, and not before
    return 2.0 ** -52 / (2.0 ** -52 + z * z)


def _inversion(a: float, b: float) -> float:
    s = _scale(a, b)
    h = math.hypot(s * a, s * b)
    t = 2.0 ** 600 if abs(s * a) < min(1.0, 1e-290 * h) else 1.0   # so that a/h is not subnormal on the way
    return t * (s * a) / h / h * (s / t)


def _inversion_array(xp: Any, a: Any, b: Any) -> Any:
    s = _scale_array(xp, a, b)
    h = xp.hypot(s * a, s * b)
    t = xp.where(xp.abs(s * a) < xp.minimum(1.0, 1e-290 * h), 2.0 ** 600, 1.0)
    return t * (s * a) / h / h * (s / t)


def _inverted(a: Any, b: Any) -> tuple[Any, Any]:
    """The slopes (b² − a²)/h⁴ and −2ab/h⁴ of a/h², with h² = a² + b²; halves, since a sum of two numbers may overflow."""
    h = hypot(a, b)
    return 4 * ((0.5 * b - 0.5 * a) / h) * ((0.5 * b + 0.5 * a) / h) / h / h, -2 * (a / h) * (b / h) / h / h


def _sigmoid_array(xp: Any, x: Any) -> Any:
    e = xp.exp(-xp.abs(x))
    return xp.where(x >= 0, 1.0, e) / (1 + e)


def _sigmoid(x: float) -> float:
    if x >= 0:
        return 1 / (1 + math.exp(-x))
    e = math.exp(x)
    return e - e * (e / (1 + e))   # within 1.7 ulp, where e / (1 + e) is within 2.3


def _cbrt(x: float) -> float:
    y = math.cbrt(x)   # some C libraries are 4 ulp off: one step of Newton's makes it 1
    return y - (y - x / (y * y)) / 3 if y and math.isfinite(y) else y


# The six of the lecture, from which the rest could be composed.
mul = Primitive("mul", symbol="×", value=operator.mul, partials=lambda y, a, b: (b, a), array=lambda xp, a, b: a * b,
                latex=r"{0:2} \cdot {1:2}", text="{0:2}·{1:2}", binds=2)
add = Primitive("add", symbol="+", value=operator.add, partials=lambda y, a, b: (1.0, 1.0), array=lambda xp, a, b: a + b,
                latex="{0:1} + {1:1}", text="{0:1} + {1:1}", binds=1)
exp = Primitive("exp", value=math.exp, partials=lambda y, x: (y,), array=lambda xp, x: xp.exp(x),
                latex="e{0:^}", text="e{0:^}", binds=8,
                advice="use sigmoid, softplus or logsumexp, which do not overflow")
log = Primitive("log", value=math.log, partials=lambda y, x: (1 / x,), array=lambda xp, x: xp.log(x),
                pole=lambda x: math.nan if x else -math.inf, latex=r"\log {0:9}", text="log {0:9}", binds=8,
                domain=POSITIVE,
                advice="log needs a positive number; clip it, or use log_sigmoid or logsumexp of the logits")
reciprocal = Primitive("reciprocal", symbol="1/x", value=lambda x: 1 / x, partials=lambda y, x: (-(y * y),),
                       array=lambda xp, x: 1 / x, pole=lambda x: math.copysign(math.inf, x),
                       latex=r"\frac{{1}}{{{0}}}", text="1/{0:8}", binds=2, domain=POSITIVE,
                       advice="division by zero; keep the divisor away from 0")
neg = Primitive("neg", symbol="−x", value=operator.neg, partials=lambda y, x: (-1.0,), array=lambda xp, x: -x,
                latex="-{0:2}", text="−{0:2}", binds=2)

# b + w1·x1 + w2·x2 + … of (b, w1, w2, …, x1, x2, …), added from left to right; without b where their number is even. One node
# in the place of all its products and sums, which tables, pictures and machine code open.
weighted_sum = Primitive("weighted_sum", symbol="Σ", value=_weighted_sum, partials=_weighted_sum_slopes,
                         array=lambda xp, *args: total([reduce(operator.mul, term) for term in terms_of(args)]))

# Quotients, powers and roots. pow(x, n) is differentiable in n too; at 0**0 that slope, 1·log 0, is set to 0.
div = Primitive("div", symbol="÷", value=operator.truediv, partials=lambda y, a, b: (1 / b, -(y / b)),
                array=lambda xp, a, b: a / b,
                pole=_quotient_pole, latex=r"\frac{{{0}}}{{{1}}}", text="{0:2}/{1:8}", binds=2, domain=POSITIVE,
                advice="division by zero; keep the divisor away from 0")
pow_ = Primitive("pow", symbol="xⁿ", value=_real_power, array=lambda xp, x, n: xp.power(x, n),
                 partials=lambda y, x, n: (strong_mul(n, pow_(x, n - 1)), where(x, y * log(x), 0.0)),
                 pole=lambda x, n: math.nan if x else math.copysign(math.inf, x) if _is_odd(n) else math.inf,
                 overflow=lambda x, n: -math.inf if x < 0 and _is_odd(n) else math.inf,
                 latex="{0:9}{1:^}", text="{0:9}{1:^}", binds=8, domain=POSITIVE,
                 advice="a negative base needs a whole number as exponent, and a base of 0 one that is not negative")
sqrt = Primitive("sqrt", symbol="√x", value=lambda x: math.sqrt(x) + 0.0,   # sqrt(-0.0) is 0.0, so that its slope is +inf
                 partials=lambda y, x: (1 / (2 * y),), array=lambda xp, x: xp.sqrt(x) + 0.0,
                 latex=r"\sqrt{{{0}}}", text="√{0:9}", binds=8, domain=POSITIVE,
                 advice="sqrt needs a number that is not negative; at 0 its slope is infinite")
cbrt = Primitive("cbrt", symbol="∛x", value=_cbrt, partials=lambda y, x: (1 / (3 * (y * y)),), array=lambda xp, x: xp.cbrt(x),
                 latex=r"\sqrt[3]{{{0}}}", text="∛{0:9}", binds=8, domain=POSITIVE)
hypot = Primitive("hypot", value=math.hypot, array=_hypot_array,
                  partials=lambda y, *xs: (direction(*xs), direction(*xs[::-1])) if len(xs) == 2 else
                  [strong_div(x, y) for x in xs], domain=POSITIVE)
direction = Primitive("direction", value=_direction, domain=POSITIVE,   # a cosine: of the angle to the first axis
                      array=_direction_array,
                      partials=lambda y, a, b: (direction(b, a) * (direction(b, a) / hypot(a, b)),
                                                -y * (direction(b, a) / hypot(a, b))),
                      latex=r"\frac{{{0}}}{{\sqrt{{{0:9}^{{2}} + {1:9}^{{2}}}}}}", text="{0:2}/√({0:9}² + {1:9}²)", binds=2)

# Exponentials and logarithms.
exp2 = Primitive("exp2", symbol="2ˣ", value=math.exp2, partials=lambda y, x: (math.log(2) * y,), array=lambda xp, x: xp.exp2(x),
                 latex="2{0:^}", text="2{0:^}", binds=8)
expm1 = Primitive("expm1", value=math.expm1, partials=lambda y, x: (exp(x),), array=lambda xp, x: xp.expm1(x),
                  latex="(e{0:^} - 1)", text="(e{0:^} − 1)")
log1p = Primitive("log1p", value=math.log1p, partials=lambda y, x: (1 / (1 + x),), array=lambda xp, x: xp.log1p(x),
                  pole=lambda x: -math.inf if x == -1 else math.nan, domain=POSITIVE,
                  latex=r"\log (1{0:+})", text="log(1{0:+})", binds=8, advice="log1p needs a number above -1")
log2 = Primitive("log2", value=math.log2, partials=lambda y, x: (math.log2(math.e) / x,),
                 array=lambda xp, x: xp.log2(x), pole=lambda x: math.nan if x else -math.inf,
                 latex=r"\log_2 {0:9}", text="log₂ {0:9}", binds=8, domain=POSITIVE, advice="log2 needs a positive number")
log10 = Primitive("log10", value=math.log10, partials=lambda y, x: (math.log10(math.e) / x,),
                  array=lambda xp, x: xp.log10(x), pole=lambda x: math.nan if x else -math.inf,
                  latex=r"\log_{{10}} {0:9}", text="log₁₀ {0:9}", binds=8, domain=POSITIVE,
                  advice="log10 needs a positive number")
xlogy = Primitive("xlogy", value=_xlogy, partials=lambda y, a, b: (log(b), strong_div(a, b)), domain=POSITIVE,
                  array=lambda xp, a, b: xp.where((a == 0) & (b == b), 0.0, a * xp.log(b)), pole=_xlogy_pole,
                  latex=r"{0:2} \cdot \log {1:9}", text="{0:2}·log {1:9}", binds=2,
                  advice="xlogy needs a second number that is positive, or 0 beside a first that is 0")
sigmoid = Primitive("sigmoid", symbol="σ", value=_sigmoid, partials=lambda y, x: (logistic(x),), array=_sigmoid_array,
                    latex=r"\sigma({0})", text="σ({0})")
logistic = Primitive("logistic", symbol="σ′", value=_logistic, array=_logistic_array,
                     partials=lambda y, x: (-y * tanh(0.5 * x),),
                     latex=r"\sigma({0}) \cdot \sigma(-{0:2})", text="σ({0})·σ(−{0:2})", binds=2)
softplus = Primitive("softplus", value=lambda x: math.log1p(math.exp(-abs(x))) + (0.0 if x < 0 else x),
                     partials=lambda y, x: (sigmoid(x),), array=lambda xp, x: xp.log1p(xp.exp(-xp.abs(x))) + xp.maximum(x, 0.0),
                     latex=r"\log (1 + e{0:^})", text="log(1 + e{0:^})", binds=8)
logsumexp = Primitive("logsumexp", value=_nan_first(_logsumexp), partials=lambda y, *xs: softmax_of(xs),
                      array=_logsumexp_array)
surprisal = Primitive("surprisal", value=_nan_first(_surprisal), partials=lambda y, *xs: _surprisal_slopes(xs),
                      array=_surprisal_array, latex=r"-\log \operatorname{{softmax}}({0})_1", text="−log softmax({0})₁",
                    binds=2)   # −log of the softmax: log Σ exp(z − x) of x and the others
share = Primitive("share", value=lambda a, b: a / (a + b), array=lambda xp, a, b: a / (a + b), domain=POSITIVE,
                  partials=_share_slopes, pole=lambda a, b: math.copysign(math.inf, a) if a and a == a else math.nan,
                  latex=r"\frac{{{0}}}{{{0:1}{1:+}}}", text="{0:2}/({0:1}{1:+})", binds=2,
                  advice="the two have no sum to be shares of")

# Kinks: conditions are primitives, so that no derivative branches. H is Heaviside's step, ½ at 0; [x > 0] is 0 there.
step = Primitive("step", flat=True, kink=lambda x: x, value=_nan_first(lambda x: 1.0 if x > 0 else 0.0),
                 partials=lambda y, x: (0.0,), array=lambda xp, x: xp.heaviside(x, 0.0), latex="[{0} > 0]", text="[{0} > 0]")
sign = Primitive("sign", flat=True, symbol="sgn", kink=lambda x: x,
                 value=lambda x: math.copysign(1.0, x) if x and x == x else x, partials=lambda y, x: (0.0,),
                 array=lambda xp, x: xp.sign(x), latex=r"\operatorname{{sgn}} {0:9}", text="sgn {0:9}", binds=8)
exceeds = Primitive("exceeds", flat=True, kink=_ties, value=_nan_first(lambda a, b: 1.0 if a > b else 0.5 if a == b else 0.0),
                    partials=lambda y, a, b: (0.0, 0.0), array=lambda xp, a, b: xp.where(a == b, 0.5, xp.heaviside(a - b, 0.5)),
                    latex=r"\operatorname{{H}}({0:1}{1:-})", text="H({0:1}{1:-})")
equals = Primitive("equals", flat=True, kink=_ties, value=_nan_first(lambda a, b: 1.0 if a == b else 0.0),
                   partials=lambda y, a, b: (0.0, 0.0), latex="[{0} = {1}]", text="[{0} = {1}]",
                   array=lambda xp, a, b: xp.where(a == b, 1.0, xp.where((a != a) | (b != b), xp.nan, 0.0)))
abs_ = Primitive("abs", flat=True, symbol="|x|", value=abs, partials=lambda y, x: (sign(x),), array=lambda xp, x: xp.abs(x),
                 kink=lambda x: x, latex=r"\left|{0}\right|", text="|{0}|", domain=POSITIVE)
relu = Primitive("relu", flat=True, value=lambda x: 0.0 if x <= 0 else x, partials=lambda y, x: (step(x),), kink=lambda x: x,
                 array=lambda xp, x: xp.maximum(x, 0.0), latex=r"\max(0, {0})", text="max(0, {0})", domain=POSITIVE)
maximum = Primitive("maximum", symbol="max", flat=True, value=_nan_first(lambda *xs: max(xs)),
                    partials=lambda y, *xs: (exceeds(*xs), exceeds(*xs[::-1])) if len(xs) == 2 else _shares(xs, y),
                    array=lambda xp, *xs: reduce(xp.maximum, xs), kink=_ties, latex=r"\max({0})", text="max({0})")
minimum = Primitive("minimum", symbol="min", flat=True, value=_nan_first(lambda *xs: min(xs)),
                    partials=lambda y, *xs: (exceeds(*xs[::-1]), exceeds(*xs)) if len(xs) == 2 else _shares(xs, y),
                    array=lambda xp, *xs: reduce(xp.minimum, xs), kink=_ties, latex=r"\min({0})", text="min({0})")
clip = Primitive("clip", flat=True, value=_nan_first(lambda x, low, high: min(max(x, low), high)), partials=_unclipped,
                 array=lambda xp, x, low, high: xp.minimum(xp.maximum(x, low), high), kink=_ties)
where = Primitive("where", flat=True, value=lambda c, a, b: a if c else b, array=lambda xp, c, a, b: xp.where(c, a, b),
                  partials=lambda y, c, a, b: (0.0, abs_(sign(c)), 1 - abs_(sign(c))), kink=lambda c, a, b: c,
                  latex=r"({1} \text{{ if }} {0} \text{{ else }} {2})", text="({1} if {0} else {2})", domain=POSITIVE)

# What derivatives are written with: a strong zero, which an infinite factor does not touch, and a shift that cancels from its
# result.
strong_mul = Primitive("strong_mul", value=lambda a, b: a * b if a else 0.0,
                       partials=lambda y, a, b: (b + _lost(a, b), a + _lost(a, b)),
                       array=lambda xp, a, b: xp.where(a == 0, 0.0, a * b),
                       latex=r"{0:2} \cdot {1:2}", text="{0:2}·{1:2}", binds=2)
strong_div = Primitive("strong_div", value=lambda a, b: a / b if a else 0.0,
                       partials=lambda y, a, b: (1 / b + _lost(a, 1 / b), -(y / b)),
                       array=lambda xp, a, b: xp.where(a == 0, 0.0, a / b), domain=POSITIVE,
                       pole=_quotient_pole, latex=r"\frac{{{0}}}{{{1}}}", text="{0:2}/{1:8}", binds=2,
                       advice="division by zero; keep the divisor away from 0")
shift = Primitive("shift", flat=True, kink=_ties, value=_nan_first(lambda *xs: max(xs) if math.isfinite(max(xs)) else math.nan),
                  partials=lambda y, *xs: (0.0,) * len(xs), array=_shift_array,
                  latex=r"\max({0})", text="max({0})")

# Whole numbers, and what is left; of Python's floats // and % have the same bits.
floor = Primitive("floor", flat=True, value=_whole(math.floor), partials=lambda y, x: (0.0,), array=lambda xp, x: xp.floor(x),
                  kink=lambda x: x - round_(x), latex=r"\lfloor {0} \rfloor", text="⌊{0}⌋", symbol="⌊x⌋")
ceil = Primitive("ceil", flat=True, value=_whole(math.ceil), partials=lambda y, x: (0.0,), array=lambda xp, x: xp.ceil(x),
                 kink=lambda x: x - round_(x), latex=r"\lceil {0} \rceil", text="⌈{0}⌉", symbol="⌈x⌉")
round_ = Primitive("round", flat=True, value=_whole(round), partials=lambda y, x: (0.0,), array=lambda xp, x: xp.rint(x),
                   kink=lambda x: x - floor(x) - 0.5)
mod = Primitive("mod", flat=True, value=operator.mod, partials=lambda y, a, b: (1.0, -floor_divide(a, b)),
                array=lambda xp, a, b: xp.remainder(a, b), kink=lambda a, b: a / b - round_(a / b), domain=POSITIVE,
                latex=r"{0:2} \bmod {1:8}", text="{0:2} mod {1:8}", binds=1,
                advice="division by zero; keep the divisor away from 0")
floor_divide = Primitive("floor_divide", flat=True, value=operator.floordiv, partials=lambda y, a, b: (0.0, 0.0),
                         domain=POSITIVE,
                         array=lambda xp, a, b: xp.floor_divide(a, b), kink=lambda a, b: a / b - round_(a / b),
                         pole=_quotient_pole, latex=r"\lfloor {0:2} / {1:8} \rfloor", text="⌊{0:2}/{1:8}⌋", symbol="⌊a/b⌋",
                         advice="division by zero; keep the divisor away from 0")

# Trigonometric and hyperbolic functions and their inverses.
_FINITE = "its argument must be finite"
sin = Primitive("sin", value=math.sin, partials=lambda y, x: (cos(x),), array=lambda xp, x: xp.sin(x),
                latex=r"\sin {0:9}", text="sin {0:9}", binds=8, advice=_FINITE)
cos = Primitive("cos", value=math.cos, partials=lambda y, x: (-sin(x),), array=lambda xp, x: xp.cos(x),
                latex=r"\cos {0:9}", text="cos {0:9}", binds=8, advice=_FINITE)
tan = Primitive("tan", value=math.tan, partials=lambda y, x: (1 + y * y,), array=lambda xp, x: xp.tan(x),
                latex=r"\tan {0:9}", text="tan {0:9}", binds=8, domain=(-1.4, 1.4), advice=_FINITE)
asin = Primitive("asin", value=math.asin, partials=lambda y, x: (1 / semicircle(x),), domain=UNIT,
                 array=lambda xp, x: xp.arcsin(x), latex=r"\arcsin {0:9}", text="asin {0:9}", binds=8,
                 advice="asin needs a number from -1 to 1")
acos = Primitive("acos", value=math.acos, partials=lambda y, x: (-1 / semicircle(x),), domain=UNIT,
                 array=lambda xp, x: xp.arccos(x), latex=r"\arccos {0:9}", text="acos {0:9}", binds=8,
                 advice="acos needs a number from -1 to 1")
atan = Primitive("atan", value=math.atan, partials=lambda y, x: (cauchy(x),), array=lambda xp, x: xp.arctan(x),
                 latex=r"\arctan {0:9}", text="atan {0:9}", binds=8)
semicircle = Primitive("semicircle", value=lambda x: math.sqrt((1 - x) * (1 + x)), partials=lambda y, x: (-x / y,), domain=UNIT,
                       array=lambda xp, x: xp.sqrt((1 - x) * (1 + x)), latex=r"\sqrt{{1 - {0:9}^{{2}}}}", text="√(1 − {0:9}²)",
                       binds=8, symbol="√(1 − x²)", advice="it needs a number from -1 to 1")
cauchy = Primitive("cauchy", value=_cauchy, partials=lambda y, x: (-2 * y * strong_mul(y, x),),
                   array=lambda xp, x: _cauchy(x), latex=r"\frac{{1}}{{1 + {0:9}^{{2}}}}", text="1/(1 + {0:9}²)", binds=2,
                   symbol="1/(1 + x²)")
atan2 = Primitive("atan2", value=math.atan2, array=lambda xp, a, b: xp.arctan2(a, b), domain=POSITIVE,
                  partials=lambda y, a, b: (inversion(b, a), -inversion(a, b)))
inversion = Primitive("inversion", value=_inversion, array=_inversion_array, domain=POSITIVE,
                      partials=lambda y, a, b: _inverted(a, b),
                      latex=r"\frac{{{0}}}{{{0:9}^{{2}} + {1:9}^{{2}}}}", text="{0:2}/({0:9}² + {1:9}²)", binds=2,
                      advice="the point (0, 0) has no inverse")
sinh = Primitive("sinh", value=math.sinh, partials=lambda y, x: (cosh(x),), array=lambda xp, x: xp.sinh(x),
                 overflow=lambda x: math.copysign(math.inf, x), latex=r"\sinh {0:9}", text="sinh {0:9}", binds=8)
cosh = Primitive("cosh", value=math.cosh, partials=lambda y, x: (sinh(x),), array=lambda xp, x: xp.cosh(x),
                 latex=r"\cosh {0:9}", text="cosh {0:9}", binds=8)
tanh = Primitive("tanh", value=math.tanh, partials=lambda y, x: (sech2(x),), array=lambda xp, x: xp.tanh(x),
                 latex=r"\tanh {0:9}", text="tanh {0:9}", binds=8)
sech2 = Primitive("sech2", value=_sech2, partials=lambda y, x: (-2 * y * tanh(x),), array=_sech2_array,
                  latex=r"\frac{{1}}{{\left(\cosh {0:9}\right)^{{2}}}}", text="1/(cosh {0:9})²", binds=2, symbol="1/cosh²")
asinh = Primitive("asinh", value=math.asinh, partials=lambda y, x: (1 / hypot(1.0, x),),
                  array=lambda xp, x: xp.arcsinh(x))
acosh = Primitive("acosh", value=math.acosh, partials=lambda y, x: (1 / sqrt(x - 1) / sqrt(x + 1),),
                  domain=(1.2, 4.0), array=lambda xp, x: xp.arccosh(x), advice="acosh needs a number of at least 1")
atanh = Primitive("atanh", value=math.atanh, partials=lambda y, x: ((1 / semicircle(x)) * (1 / semicircle(x)),), domain=UNIT,
                  array=lambda xp, x: xp.arctanh(x),
                  pole=lambda x: math.copysign(math.inf, x) if abs(x) == 1 else math.nan,
                  advice="atanh needs a number between -1 and 1")
erf = Primitive("erf", value=math.erf, partials=lambda y, x: (2 / math.sqrt(math.pi) * exp(-(x * x)),))
erfc = Primitive("erfc", value=math.erfc, partials=lambda y, x: (-2 / math.sqrt(math.pi) * exp(-(x * x)),))

# log Γ and its derivatives.
lgamma = Primitive("lgamma", value=special.lgamma, partials=lambda y, x: (digamma(x),), array=special.lgamma_array,
                   pole=lambda x: math.inf, latex=r"\log \Gamma({0})", text="log Γ({0})", binds=8, symbol="log Γ",
                   domain=POSITIVE, advice=_GAMMA_POLES)
digamma = Primitive("digamma", value=special.digamma, partials=lambda y, x: (trigamma(x),), array=special.digamma_array,
                    latex=r"\psi({0})", text="ψ({0})", symbol="ψ", domain=POSITIVE, advice=_GAMMA_POLES)
trigamma = Primitive("trigamma", value=lambda x: special.polygamma(1, x), partials=lambda y, x: (polygamma(2)(x),),
                     array=special.trigamma_array, pole=lambda x: math.nan if x == -math.inf else math.inf,
                     latex=r"\psi'({0})", text="ψ′({0})", symbol="ψ′", domain=POSITIVE, advice=_GAMMA_POLES)


for _n in range(2, 7):
    polygamma(_n)
for _row in PRIMITIVES.values():   # what follows is users' own
    _row.builtin = True
