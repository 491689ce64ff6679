"""LLVM code: registers, loops, and the primitives on vectors of examples.

exp and what is made of it follow the usual reductions: x = n·log 2 + r with |r| ≤ ½ log 2, a polynomial in r, and a scaling
by 2ⁿ in two steps, so that results below the normal range are right. All are within a few ulp of the C library, whose scalar
functions serve for the rest.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from ....primitive import Primitive
from .code import RULES, Code, Register, Rule

__all__ = ["RULES", "Code", "llvm_rule"]

_LIBM = ("exp2", "log2", "log10", "cbrt", "hypot", "tan", "asin", "acos", "atan", "atan2", "sinh", "asinh", "acosh", "atanh",
         "erf", "erfc", "pow")
_LOG2_HIGH, _LOG2_LOW = 0.693147180369123816490, 1.90821492927058770002e-10   # their sum is log 2 beyond double precision
_PI_2 = (1.5707963267948966, 6.123233995736766e-17, -1.4973849048591833e-33)  # π/2 in three parts
_SIN = (-1.66666666666666324348e-01, 8.33333333332248946124e-03, -1.98412698298579493134e-04, 2.75573137070700676789e-06,
        -2.50507602534068634195e-08, 1.58969099521155010221e-10)              # minimax on ±π/4, as in fdlibm
_COS = (4.16666666666666019037e-02, -1.38888888888741095749e-03, 2.48015872894767294178e-05, -2.75573143513906633035e-07,
        2.08757232129817482790e-09, -1.13596475577881948265e-11)


def llvm_rule(op: Primitive) -> Callable[[Rule], Rule]:
    """Make the decorated function (code, *registers) → register the form of the primitive in the llvm backend."""
    def register(rule: Rule) -> Rule:
        RULES[op] = rule
        return rule
    return register


# ---- the primitives

def _rule(f: Rule) -> Rule:
    RULES[f.__name__.strip("_")] = f
    return f


def _reduced(s: Code, x: Register) -> tuple[Register, Register]:
    """(n, r) with x = n·log 2 + r: n an integer as a float."""
    n = s.call("rint", s.op("fmul", x, s.number(1 / math.log(2))))
    minus = s.negated(n)
    return n, s.fma(minus, s.number(_LOG2_LOW), s.fma(minus, s.number(_LOG2_HIGH), x))


def _powers_of_2(s: Code, n: Register) -> tuple[Register, Register]:
    """Two powers of 2 whose product is 2ⁿ, of n an integer as a float: alone, each is in the range of normal numbers."""
    i = s.let(f"fptosi {s.type} {n} to {s.ints}")
    half = s.let(f"ashr {s.ints} {i}, {s.integer(1)}")
    return s.power_of_2(half), s.power_of_2(s.let(f"sub {s.ints} {i}, {half}"))


def _clamped(s: Code, x: Register, low: float, high: float) -> Register:
    return s.call("minnum", s.call("maxnum", x, s.number(low)), s.number(high))


@_rule
def _exp(s: Code, x: Register) -> Register:
    n, r = _reduced(s, _clamped(s, x, -746.0, 710.0))
    p = s.polynomial(r, *[1 / math.factorial(j) for j in range(14)])
    low, high = _powers_of_2(s, n)
    y = s.op("fmul", s.op("fmul", p, low), high)
    return s.select(s.compare("uno", x, x), x, y)


@_rule
def _expm1(s: Code, x: Register) -> Register:
    n, r = _reduced(s, _clamped(s, x, -60.0, 710.0))
    p = s.fma(s.op("fmul", r, r), s.polynomial(r, *[1 / math.factorial(j) for j in range(2, 15)]), r)
    low, high = _powers_of_2(s, n)
    small = s.op("fmul", low, high)   # 2ⁿ, unless n = 1024
    y = s.op("fadd", s.op("fmul", p, small), s.op("fsub", small, s.number(1.0)))
    large = s.op("fmul", s.op("fmul", s.op("fadd", p, s.number(1.0)), low), high)
    y = s.select(s.compare("ogt", n, s.number(60.0)), large, y)
    y = s.select(s.compare("oeq", x, s.number(0.0)), x, y)
    return s.select(s.compare("uno", x, x), x, y)


@_rule
def _log(s: Code, x: Register) -> Register:
    tiny = s.compare("olt", x, s.number(2.2250738585072014e-308))
    y = s.select(tiny, s.op("fmul", x, s.number(2.0 ** 54)), x)
    b = s.let(f"bitcast {s.type} {y} to {s.ints}")
    e = s.let(f"ashr {s.ints} {s.let(f'sub {s.ints} {b}, {s.integer(0x3FE6A09E667F3BCD)}')}, {s.integer(52)}")
    m = s.let(f"bitcast {s.ints} " + s.let(f"sub {s.ints} {b}, " + s.let(f"shl {s.ints} {e}, {s.integer(52)}"))
              + f" to {s.type}")   # y = m · 2ᵉ with m between √½ and √2
    f = s.op("fsub", m, s.number(1.0))
    q = s.op("fdiv", f, s.op("fadd", f, s.number(2.0)))
    z = s.op("fmul", q, q)         # log m = 2q(1 + z/3 + z²/5 + …)
    p = s.polynomial(z, *[2 / j for j in range(3, 24, 2)])
    e = s.let(f"sitofp {s.ints} {e} to {s.type}")
    e = s.op("fadd", e, s.select(tiny, s.number(-54.0), s.number(0.0)))
    low = s.fma(e, s.number(_LOG2_LOW), s.op("fmul", s.op("fmul", q, z), p))
    y = s.fma(e, s.number(_LOG2_HIGH), s.fma(q, s.number(2.0), low))
    y = s.select(s.compare("oeq", x, s.number(0.0)), s.number(-math.inf), y)
    y = s.select(s.compare("olt", x, s.number(0.0)), s.number(math.nan), y)
    return s.select(s.compare("ult", x, s.number(math.inf)), s.select(s.compare("uno", x, x), x, y), x)


@_rule
def _log1p(s: Code, x: Register) -> Register:
    u = s.op("fadd", x, s.number(1.0))
    lost = s.op("fsub", x, s.op("fsub", u, s.number(1.0)))
    y = s.op("fadd", _log(s, u), s.op("fdiv", lost, u))
    keep = s.let(f"or {s.bools} {s.compare('oeq', x, s.number(0.0))}, {s.compare('oeq', x, s.number(math.inf))}")
    pole = s.compare("oeq", x, s.number(-1.0))
    return s.select(keep, x, s.select(pole, s.number(-math.inf), y))


@_rule
def _tanh(s: Code, x: Register) -> Register:
    size = s.call("fabs", x)
    e = _expm1(s, s.op("fmul", s.call("minnum", size, s.number(30.0)), s.number(-2.0)))
    y = s.op("fdiv", s.negated(e), s.op("fadd", e, s.number(2.0)))
    return s.select(s.compare("uno", x, x), x, s.call("copysign", y, x))


@_rule
def _cosh(s: Code, x: Register) -> Register:
    e = _exp(s, s.op("fmul", s.call("fabs", x), s.number(0.5)))
    square = s.op("fmul", s.op("fmul", e, s.number(0.5)), e)
    return s.op("fadd", square, s.op("fdiv", s.op("fdiv", s.number(0.5), e), e))


@_rule
def _sech2(s: Code, x: Register) -> Register:
    e = _exp(s, s.op("fmul", s.call("fabs", x), s.number(-2.0)))
    more = s.op("fadd", e, s.number(1.0))
    return s.op("fdiv", s.op("fmul", e, s.number(4.0)), s.op("fmul", more, more))


@_rule
def _sigmoid(s: Code, x: Register) -> Register:
    e = _exp(s, s.negated(s.call("fabs", x)))
    top = s.select(s.compare("oge", x, s.number(0.0)), s.number(1.0), e)
    return s.op("fdiv", top, s.op("fadd", e, s.number(1.0)))


@_rule
def _softplus(s: Code, x: Register) -> Register:
    rest = _log1p(s, _exp(s, s.negated(s.call("fabs", x))))
    return s.op("fadd", rest, s.select(s.compare("olt", x, s.number(0.0)), s.number(0.0), x))


def _sine(s: Code, x: Register, quarter: int, name: str) -> Register:
    n = s.call("rint", s.op("fmul", x, s.number(2 / math.pi)))
    minus, r = s.negated(n), x
    for part in _PI_2:
        r = s.fma(minus, s.number(part), r)
    z = s.op("fmul", r, r)
    sine = s.fma(s.op("fmul", r, z), s.polynomial(z, *_SIN), r)
    cosine = s.fma(s.op("fmul", z, z), s.polynomial(z, *_COS), s.fma(z, s.number(-0.5), s.number(1.0)))
    i = s.let(f"add {s.ints} " + s.let(f"fptosi {s.type} {_clamped(s, n, -1e6, 1e6)} to {s.ints}") + f", {s.integer(quarter)}")
    odd = s.let(f"icmp ne {s.ints} {s.let(f'and {s.ints} {i}, {s.integer(1)}')}, {s.integer(0)}")
    below = s.let(f"icmp ne {s.ints} {s.let(f'and {s.ints} {i}, {s.integer(2)}')}, {s.integer(0)}")
    y = s.select(odd, cosine, sine)
    y = s.select(below, s.negated(y), y)
    if name == "sin":
        y = s.select(s.compare("oeq", x, s.number(0.0)), x, y)   # sin −0 is −0
    # far from 0 the reduction needs more digits of π: the C library has them
    near = s.compare("olt", s.call("fabs", x), s.number(1e5))
    every = near
    if s.lanes > 1:
        reduce = f"@llvm.vector.reduce.and.v{s.lanes}i1"
        s.declared.add(f"declare i1 {reduce}({s.bools})")
        every = s.let(f"call i1 {reduce}({s.bools} {near})")
    s.count += 1
    k, before = s.count, s.block
    s.lines += [f"  br i1 {every}, label %E{k}, label %F{k}", f"F{k}:"]
    far = s.scalar(name, [x])
    s.lines += [f"  br label %E{k}", f"E{k}:"]
    s.block = f"E{k}"
    return s.let(f"phi {s.type} [{y}, %{before}], [{far}, %F{k}]")


RULES["sin"] = lambda s, x: _sine(s, x, 0, "sin")
RULES["cos"] = lambda s, x: _sine(s, x, 1, "cos")


@_rule
def _step(s: Code, x: Register) -> Register:
    y = s.select(s.compare("ogt", x, s.number(0.0)), s.number(1.0), s.number(0.0))
    return s.select(s.compare("uno", x, x), x, y)


@_rule
def _sign(s: Code, x: Register) -> Register:
    return s.select(s.compare("one", x, s.number(0.0)), s.call("copysign", s.number(1.0), x), x)


@_rule
def _exceeds(s: Code, a: Register, b: Register) -> Register:
    y = s.select(s.compare("ogt", a, b), s.number(1.0), s.number(0.0))
    y = s.select(s.compare("oeq", a, b), s.number(0.5), y)
    return s.select(s.compare("uno", a, b), s.number(math.nan), y)


def _larger(s: Code, *xs: Register, how: str = "ugt") -> Register:
    y = xs[0]
    for x in xs[1:]:   # a nan on either side stays
        more = s.select(s.compare(how, x, y), x, y)
        y = s.select(s.compare("uno", y, y), y, more)
    return y


def _strong(name: str) -> Rule:
    return lambda s, a, b: s.select(s.compare("oeq", a, s.number(0.0)), s.number(0.0), s.op(name, a, b))


RULES |= {name: (lambda s, *xs, name=name: s.scalar(name, xs)) for name in _LIBM}
RULES |= {
    "add": lambda s, a, b: s.op("fadd", a, b),
    "mul": lambda s, a, b: s.op("fmul", a, b),
    "div": lambda s, a, b: s.op("fdiv", a, b),
    "neg": lambda s, x: s.negated(x),
    "reciprocal": lambda s, x: s.op("fdiv", s.number(1.0), x),
    "sqrt": lambda s, x: s.op("fadd", s.call("sqrt", x), s.number(0.0)),
    "abs": lambda s, x: s.call("fabs", x),
    "relu": lambda s, x: s.select(s.compare("ole", x, s.number(0.0)), s.number(0.0), x),
    "maximum": _larger, "shift": _larger,
    "minimum": lambda s, a, b: _larger(s, a, b, how="ult"),
    "where": lambda s, c, a, b: s.select(s.compare("une", c, s.number(0.0)), a, b),
    "strong_mul": _strong("fmul"), "strong_div": _strong("fdiv"),
}

