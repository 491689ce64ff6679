"""log Γ and its derivatives, which `math` lacks or has with fewer digits, and their forms for arrays.

    lgamma(x)         log |Γ(x)|
    digamma(x)        ψ(x) = d/dx log Γ(x)
    polygamma(n, x)   ψ⁽ⁿ⁾(x); ψ⁽⁰⁾ is ψ, and n = −1 means log Γ below

Formulas (numbers of the NIST Digital Library of Mathematical Functions, https://dlmf.nist.gov/5):

    ψ⁽ⁿ⁾(x) = ψ⁽ⁿ⁾(x + 1) + (−1)ⁿ⁺¹ n!/xⁿ⁺¹,   log Γ(x) = log Γ(x + 1) − log x                   5.15.5, 5.5.2, 5.5.1
    ψ⁽ⁿ⁾(x) ~ (−1)ⁿ⁺¹ [(n−1)!/xⁿ + n!/(2xⁿ⁺¹) + Σ B₂ⱼ (2j+n−1)!/(2j)! / x²ʲ⁺ⁿ]                    5.15.9
    ψ(x) ~ log x − 1/(2x) − Σ B₂ⱼ/(2j) / x²ʲ                                                     5.11.2
    log Γ(x) ~ (x − ½) log x − x + ½ log 2π + Σ B₂ⱼ/(2j(2j−1)) / x²ʲ⁻¹                           5.11.1
    π d/dx cot πx = (−1)ⁿ ψ⁽ⁿ⁾(1 − x) − ψ⁽ⁿ⁾(x), n times,   π/sin πx = Γ(x) Γ(1 − x)             5.15.6, 5.5.3

Both right sides of the last line have the period 1, but for a sign, so that trigonometry is not needed: with r = x − ⌊x⌋,

    ψ⁽ⁿ⁾(x) = ψ⁽ⁿ⁾(r) + (−1)ⁿ [ψ⁽ⁿ⁾(1 − x) − ψ⁽ⁿ⁾(1 − r)]   for x < 0, and the same with n = −1 for log |Γ|.

Where terms may cancel (x small or negative) these sums are taken in fixed point, in whole numbers of 2⁻¹²⁸, which Python
adds exactly; what is left is the rounding of the result. So the zeros of log Γ and ψ need no case of their own.

Promises, of floats, measured against mpmath: each of the three, for n ≤ 170 and every x that has a value, zeros included, is
within 2 ulp of the truth, and within 0.51 where fixed point is used. Beyond n = 170 the relative error is less than
n · 2⁻⁵⁰, and where x < 0 the value is nearly always infinite. Those of the forms for arrays stand with them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

__all__ = ["digamma", "digamma_array", "lgamma", "lgamma_array", "polygamma", "polygamma_array", "trigamma_array"]

HALF_LOG_TAU = 0.9189385332046728    # ½ log 2π
DOUBLE_TERMS, FIXED_TERMS = 12, 16   # of the asymptotic series, so that what follows is below the last place …
DOUBLE_FROM, FIXED_FROM = 8, 32      # … from x = n + this on
LAST = 170                           # the last n whose n! is a float
TINY = 2.0 ** -60                    # below it the pole at 0 is all that counts
BITS = 128                           # behind the point of a fixed-point number, for log Γ and ψ
ONE = 1 << BITS
FIXED_LOG_2 = 69314718055994530941723212145817656807550 * ONE // 10 ** 41
FIXED_HALF_LOG_TAU = 91893853320467274178032973640561763986140 * ONE // 10 ** 41


def lgamma(x: float) -> float:
    """log |Γ(x)|, within 2 ulp; `math.lgamma` is not, and has no right digit near its zeros, 1 and 2 and those below −2.

    ValueError at the poles 0, −1, −2, …; overflow is inf.

    >>> lgamma(5.0), lgamma(1 + 2 ** -52)   # log 4!, −γ · 2⁻⁵²
    (3.1780538303479458, -1.2816762426960008e-16)
    """
    if math.isnan(x) or math.isinf(x):
        return abs(x)
    _refuse_pole(x)
    if abs(x) < TINY:
        return -math.log(abs(x))
    if x < DOUBLE_FROM:
        return 0.0 if x in (1.0, 2.0) else _fixed_value(-1, x)
    if x > 2 ** 20:   # here math.lgamma is within 1.6 ulp
        try:
            return math.lgamma(x)
        except OverflowError:
            return math.inf
    return math.fsum([*_times(x - 0.5, math.log(x)), -x, HALF_LOG_TAU, _series(-1, x) / x])


def digamma(x: float) -> float:
    """ψ(x), the derivative of log Γ(x), within 2 ulp.

    ValueError at the poles 0, −1, −2, … and at −inf.

    >>> digamma(1.0)   # −γ
    -0.5772156649015329
    >>> digamma(1.4616321449683623)   # its zero, as nearly as a float can be
    -9.241265521729427e-17
    """
    if math.isnan(x) or x == math.inf:
        return x
    _refuse_pole(x)
    if abs(x) < TINY:
        return -1 / x
    if x < DOUBLE_FROM:
        return _fixed_value(0, x)
    y: float = math.log(x) - (0.5 + _series(0, x) / x) / x
    return y


def polygamma(n: float, x: float) -> float:
    """ψ⁽ⁿ⁾(x), the n-th derivative of ψ, n = 0, 1, 2, …, within 2 ulp for n up to 170.

    ValueError at the poles x = 0, −1, −2, …, at −inf, and for any other n; overflow is ±inf. A nan, as n too, gives nan.

    >>> polygamma(1, 0.5), math.pi ** 2 / 2
    (4.934802200544679, 4.934802200544679)
    """
    if math.isnan(n) or math.isnan(x):
        return math.nan
    if n < 0 or n == math.inf or n != math.floor(n):
        raise ValueError(f"polygamma({n!r}, {x!r}): the order must be a whole number, 0, 1, 2, …")
    if n == 0:
        return digamma(x)
    if x == math.inf:
        return 0.0
    _refuse_pole(x)
    if x < 0 and n % 2 == 0 and x - math.floor(x) == 0.5:
        x = 1 - x   # midway between two poles the other terms of the reflection are equal
    if n > LAST:
        return _high(n, x)
    n = int(n)
    if abs(x) < TINY:
        return _signed(n, _quotient(n, x, n + 1))
    if x < n + DOUBLE_FROM:
        return _fixed_value(n, x)
    y = _quotient(n - 1, x, n)
    return _signed(n, y + y * ((n / 2 + _series(n, x) / x) / x))


def _refuse_pole(x: float) -> None:
    if x == -math.inf or (x <= 0 and x == math.floor(x)):
        raise ValueError("math domain error")


def _signed(n: float, y: float) -> float:
    """(−1)ⁿ⁺¹ y, the sign that ψ⁽ⁿ⁾(x) has for x > 0."""
    return y if n % 2 else -y


# ---- in floating point

@cache
def _bernoulli() -> list[tuple[int, int]]:
    """B₂, B₄, … as (numerator, denominator): B₂ⱼ = (−1)ʲ⁻¹ 2j Tⱼ/(4ʲ(4ʲ − 1)) with the tangent numbers T (Brent and Harvey,
    Fast computation of Bernoulli, tangent and secant numbers, 2011, §6).

    >>> _bernoulli()[:3]   # 1/6, −1/30, 1/42
    [(2, 12), (-8, 240), (96, 4032)]
    """
    t = [math.factorial(j) for j in range(FIXED_TERMS)]
    for k in range(1, FIXED_TERMS):
        for j in range(k, FIXED_TERMS):
            t[j] = (j - k) * t[j - 1] + (j - k + 2) * t[j]
    return [((-1) ** (j - 1) * 2 * j * t[j - 1], 4 ** j * (4 ** j - 1)) for j in range(1, FIXED_TERMS + 1)]


@cache
def _series_terms(n: int) -> list[float]:
    """B₂ⱼ (2j+n−1)!/(2j)!/(n−1)!, the last term first; without the (n−1)! for n < 1."""
    return [b * math.factorial(2 * j + n - 1) / (d * math.factorial(2 * j) * math.factorial(max(n - 1, 0)))
            for j, (b, d) in enumerate(_bernoulli()[:DOUBLE_TERMS], 1)][::-1]


def _series(n: int, x: Any) -> Any:
    """The sum over j in the asymptotic series, without the factor (n−1)!/xⁿ⁺², or 1/xⁿ⁺²; of floats and arrays."""
    w, total = 1 / (x * x), 0.0
    for term in _series_terms(n):
        total = total * w + term
    return total


def _times(a: float, b: float) -> tuple[float, float]:
    """(p, e) with p + e = a · b exactly (Dekker, A floating-point technique for extending the available precision, 1971)."""
    halves = []
    for x in (a, b):
        c = (2.0 ** 27 + 1) * x
        halves += [c - (c - x), x - (c - (c - x))]
    p, (a1, a2, b1, b2) = a * b, halves
    return p, ((a1 * b1 - p) + a1 * b2 + a2 * b1) + a2 * b2


def _quotient(n: int, x: float, k: int) -> float:
    """n!/xᵏ, correctly rounded: of whole numbers, since xᵏ may leave the range where the quotient does not."""
    a, b = x.as_integer_ratio()
    return _rounded(math.factorial(n) * b ** k, a ** k)


def _rounded(a: int, b: int) -> float:
    try:
        return a / b
    except OverflowError:
        return math.inf if (a > 0) == (b > 0) else -math.inf


def _high(n: float, x: float) -> float:
    """ψ⁽ⁿ⁾(x) for n > 170: if x > 0, ±n!/xⁿ⁺¹ · Σ (1 + k/x)⁻⁽ⁿ⁺¹⁾, k = 0, 1, 2, …; else the next pole gives more than 170!"""
    if x < 0:
        return -math.inf if n % 2 == 0 and x - math.floor(x) < 0.5 else math.inf
    try:   # (n − 1)!/xⁿ by Stirling's formula
        y = math.exp(n * (math.log(n / x) - 1) - math.log(n) / 2 + HALF_LOG_TAU + _series(-1, n) / n)
    except OverflowError:
        y = math.inf
    if 0 < y < math.inf and x < n + DOUBLE_FROM:   # the 64th term is less than 2⁻⁷⁰
        y *= n / x * math.fsum([math.exp(-(n + 1) * math.log1p(k / x)) for k in range(64)])
    elif 0 < y < math.inf:
        y += y * ((n / 2 + _series(int(n), x) / x) / x)
    return _signed(n, y)


# ---- in fixed point: numbers x, y, q … are whole, and mean x/2**bits

def _fixed_value(n: int, x: float) -> float:
    """ψ⁽ⁿ⁾(x) of an x ≥ TINY, or ≤ −TINY, which fixed point holds exactly; n = −1 is log |Γ(x)|."""
    bits = BITS + 8 * max(n, 0)   # for 1/xⁿ⁺¹, with x + k up to n + 32
    one = 1 << bits
    a, b = x.as_integer_ratio()
    x_fixed = a * one // b
    if x > -FIXED_FROM:
        return _rounded(_fixed(n, x_fixed, bits), one)
    r = x_fixed % one
    rest = _fixed(n, one - x_fixed, bits) - _fixed(n, one - r, bits)
    return _rounded(_fixed(n, r, bits) + (-rest if n % 2 else rest), one)


def _fixed(n: int, x: int, bits: int) -> int:
    """ψ⁽ⁿ⁾(x); n = −1 is log |Γ(x)|. The recurrence leads from x to where the asymptotic series holds."""
    one = 1 << bits
    square = one << bits
    steps = range(x, (n + FIXED_FROM) << bits, one)
    if n < 0:
        poles = one
        for z in steps:
            poles = poles * z >> bits
    else:
        poles = sum([_power(square // z, n + 1, bits) for z in steps])
    x += len(steps) << bits
    q = square // x
    q2 = q * q >> bits
    series = 0
    for term in _fixed_terms(n, bits):
        series = (series + term) * q2 >> bits
    if n < 0:
        log = _log(x)
        return ((x - ONE // 2) * log >> BITS) - x + FIXED_HALF_LOG_TAU + (series * x >> BITS) - _log(abs(poles))
    if n == 0:
        return _log(x) - q // 2 - series - poles
    qn = _power(q, n, bits)
    y = math.factorial(n) * (qn // n + (qn * q >> bits + 1) + poles) + (qn * series >> bits)
    return y if n % 2 else -y


@cache
def _fixed_terms(n: int, bits: int) -> list[int]:
    """B₂ⱼ (2j+n−1)!/(2j)!, the last term first."""
    return [(b * math.factorial(2 * j + n - 1) << bits) // (d * math.factorial(2 * j))
            for j, (b, d) in enumerate(_bernoulli(), 1)][::-1]


def _power(x: int, n: int, bits: int) -> int:
    """xⁿ, n ≥ 1, by squaring."""
    y = x
    for digit in bin(n)[3:]:
        y = y * y >> bits
        if digit == "1":
            y = y * x >> bits
    return y


def _log(x: int) -> int:
    """log x = e log 2 + log f with f from ⅔ to 4/3, and log f = 2 artanh z, z = (f − 1)/(f + 1) (DLMF §4.6(i)).

    >>> _log(10 * ONE) / ONE == math.log(10)
    True
    """
    e = (3 * x >> 2).bit_length() - BITS
    scale = 1 << BITS + e
    z = (abs(x - scale) << BITS) // (x + scale)
    z2, total, k = z * z >> BITS, 0, 1
    while z:
        total += z // k
        z = z * z2 >> BITS
        k += 2
    return e * FIXED_LOG_2 + 2 * (total if x > scale else -total)


# ---- for arrays, in numpy's functions (xp) and without a branch on x, so that they can be written in other languages too.
# They never raise, and nan stays nan; numpy's warnings are the caller's to silence. For x ≥ −¼ they are within 4 ulp of the
# truth (lgamma_array, beside 1 and 2 too, of max(|y|, 1)), below within 6 ulp of the largest of |y|, 1 and the absolute value
# at 1 − x, which cancels near zeros.

ROOT, ROOT_LOW = 1.4616321449683622, 9.549995429965697e-17   # x₀, the positive zero of ψ, is their sum


def digamma_array(xp: Any, x: Any) -> Any:
    """ψ(x); nan at the poles 0, −1, −2, … and at −inf.

    Below 8, ψ(a) = ψ(a) − ψ(x₀) = h Σ 1/((a + k)(x₀ + k)) with h = a − x₀, by the recurrence for a and for x₀; the rest of
    the sum is the difference of two asymptotic series, with h taken out of it.

    >>> import numpy as np
    >>> digamma_array(np, np.array([1.4616321449683623, 10.5, -0.5]))
    array([-9.24126552e-17,  2.30300103e+00,  3.64899740e-02])
    """
    low, a, angle = _reflected(xp, x)
    h = (a - ROOT) - ROOT_LOW
    b, c = a + DOUBLE_FROM, ROOT + DOUBLE_FROM
    w, difference = 1 / (b * b), 0.0
    for term in _difference_terms():
        difference = difference * w + term
    poles = (0.5 + (b + c) / b / c * difference) / b / c
    for k in reversed(range(DOUBLE_FROM)):   # the smallest first
        poles = poles + 1 / (ROOT + k) / (a + k)
    near = h * poles + xp.log1p(h / c)
    far = xp.log(a) - (0.5 + _series(0, a) / a) / a
    y = xp.where(a < DOUBLE_FROM, near, far)
    y = xp.where(low, y - math.pi / xp.tan(angle), y)
    return xp.where(x <= 0, xp.where(x == xp.floor(x), math.nan, y), y)


@cache
def _difference_terms() -> list[float]:
    """(s(w) − s(v))/(w − v) as a polynomial in w, s being the series of ψ, w = 1/x², v = 1/(x₀ + 8)²; the last term first."""
    found, total, v = [], 0.0, 1 / (ROOT + DOUBLE_FROM) ** 2
    for term in _series_terms(0):
        total = total * v + term
        found.append(total)
    return found


def trigamma_array(xp: Any, x: Any) -> Any:
    """ψ′(x); inf at the poles 0, −1, −2, …, and nan at −inf.

    >>> import numpy as np
    >>> trigamma_array(np, np.array([0.5, 10.5, -0.5]))
    array([4.9348022 , 0.09991696, 8.9348022 ])
    """
    low, a, angle = _reflected(xp, x)
    near = a < DOUBLE_FROM
    poles = 0.0
    for k in reversed(range(DOUBLE_FROM)):
        poles = poles + 1 / ((a + k) * (a + k))
    b = xp.where(near, a + DOUBLE_FROM, a)
    y = (1 + (0.5 + _series(1, b) / b) / b) / b + xp.where(near, poles, 0.0)
    s = xp.sin(angle)
    return xp.where(low, math.pi ** 2 / (s * s) - y, y)


def polygamma_array(n: int) -> Callable[[Any, Any], Any]:
    """The form for arrays of ψ⁽ⁿ⁾, n ≥ 1; at the poles 0, −1, −2, … and at −inf it gives inf for odd n, else nan.

    From 0 on it is within 4 ulp; below −¼ 12 digits of the larger of |y| and |the value at 1 − x| are right.
    Below −¼ by π dⁿ/dxⁿ cot πx = πⁿ⁺¹ Qₙ(cot πx) with Q₀(t) = t, Qₙ₊₁ = −(1 + t²) Qₙ′.

    >>> import numpy as np
    >>> polygamma_array(2)(np, np.array([0.5, -1.5]))
    array([-16.82879664,  -0.23620405])
    """
    def array(xp: Any, x: Any) -> Any:
        low, a, angle = _reflected(xp, x)
        near, poles = a < n + DOUBLE_FROM, 0.0
        for k in reversed(range(n + DOUBLE_FROM)):
            poles = poles + math.factorial(n) / (a + k) ** (n + 1)
        b = xp.where(near, a + (n + DOUBLE_FROM), a)
        y = math.factorial(n - 1) * (1 + (n / 2 + _series(n, b) / b) / b) / b ** n + xp.where(near, poles, 0.0)
        y = y if n % 2 else -y
        t, total = 1 / xp.tan(angle), 0.0
        for c in _cotangent_terms(n):
            total = total * t + c
        y = xp.where(low, (-1) ** n * y - math.pi ** (n + 1) * total, y)
        return xp.where(x <= 0, xp.where(x == xp.floor(x), math.inf if n % 2 else math.nan, y), y)
    return array


@cache
def _cotangent_terms(n: int) -> list[float]:
    """The coefficients of Qₙ, the highest power first."""
    q = [0.0, 1.0]
    for _ in range(n):
        slope = [k * c for k, c in enumerate(q)][1:]
        q = [-(c + d) for c, d in zip([*slope, 0.0, 0.0], [0.0, 0.0, *slope], strict=True)]
    return q[::-1]


def lgamma_array(xp: Any, x: Any) -> Any:
    """log |Γ(x)|; inf at the poles 0, −1, −2, … and at ±inf.

    Up to 8 the recurrence leads to 2 + t with |t| ≤ ½ and the Taylor series there, so that the zeros at 1 and 2 keep their
    digits.

    >>> import numpy as np
    >>> lgamma_array(np, np.array([2 + 1e-15, 10.5, -0.5]))
    array([3.75507923e-16, 1.39406252e+01, 1.26551212e+00])
    """
    low, a, angle = _reflected(xp, x)
    z, product = a, 1.0   # Γ(a) = product · Γ(z)
    for _ in range(DOUBLE_FROM - 2):
        down = z >= 2.5
        z = xp.where(down, z - 1, z)
        product = xp.where(down, product * z, product)
    t = xp.where(a < 0.5, a, xp.where(a < 1.5, a - 1, z - 2))
    taylor = 0.0
    for term in _taylor_terms():
        taylor = (taylor + term) * t
    up = taylor - xp.log(xp.where(a < 0.5, xp.abs(a) * (1 + a), a))
    near = xp.where(a < 1.5, up, taylor + xp.log(product))
    b = xp.maximum(a, float(DOUBLE_FROM))
    far = (b - 0.5) * (xp.log(b) - 1) + (HALF_LOG_TAU - 0.5 + _series(-1, b) / b)
    y = xp.where(a < DOUBLE_FROM, near, far)
    y = xp.where(low, xp.log(math.pi / xp.abs(xp.sin(angle))) - y, y)
    return xp.where(x <= 0, xp.where(x == xp.floor(x), math.inf, y), y)


@cache
def _taylor_terms() -> list[float]:
    """Of log Γ at 2 (DLMF 5.7.3): ψ⁽ᵏ⁻¹⁾(2)/k!, k = 1, 2, …, the last term first; as many as |t| ≤ ½ needs."""
    return [polygamma(k - 1, 2.0) / math.factorial(k) for k in range(1, 27)][::-1]


def _reflected(xp: Any, x: Any) -> tuple[Any, Any, Any]:
    """(x < −¼, 1 − x there and x elsewhere, πx reduced to ±π/2, of which tan and |sin| are those of πx)."""
    low = x < -0.25
    return low, xp.where(low, 1 - x, x), math.pi * (x - xp.rint(x))
