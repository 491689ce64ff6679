"""The rows of the table as LLVM code, on one number or on several side by side.

A row's array form is read as a formula of numpy's functions (autograd/form.py). Here is what a library knows of them: LEAVES,
under numpy's names. exp and what is made of it follow the usual reductions: x = n·log 2 + r with |r| ≤ ½ log 2, a polynomial
in r, and a scaling by 2ⁿ in two steps, so that results below the normal range are right. Integers stay in floats, for AVX2
converts and shifts none of 64 bits. All are within a few ulp of the C
library, whose scalar functions serve for the rest.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache

from ....form import Call, Formula, UnreadableError, calls, expanded, is_condition, takes_condition
from ....primitive import Primitive
from ....primitives import sech2
from .code import ROUND, Code, Register

__all__ = ["applied", "applied_together", "llvm_rule"]

Rule = Callable[..., Register]
RULES: dict[Primitive, Rule] = {}   # a row → (code, *registers) → register

_LOG2_HIGH, _LOG2_LOW = 0.693147180369123816490, 1.90821492927058770002e-10   # their sum is log 2 beyond double precision
_EXP = (0.5, 0.16666666666666677, 0.0416666666666667, 0.008333333333321919, 0.0013888888888867442, 0.00019841269885463456,
        2.480158735958728e-05, 2.7557244826979977e-06, 2.7557243460630636e-07, 2.5108835039420712e-08,
        2.0924255282830747e-09)                        # of (eʳ − 1 − r)/r², minimax on ±½ log 2: 2⁻⁵⁹ of r
_LOG = (0.6666666666666731, 0.39999999999435354, 0.28571428738549504, 0.2222219891382916, 0.18183548670675473,
        0.1531441011386829, 0.14792685300599548)       # of (log m − 2q)/qz, minimax for m from √½ to √2: 2⁻⁵⁹ of log m
_PI_2 = (1.5707963267948966, 6.123233995736766e-17, -1.4973849048591833e-33)  # π/2 in three parts
_SIN = (-1.66666666666666324348e-01, 8.33333333332248946124e-03, -1.98412698298579493134e-04, 2.75573137070700676789e-06,
        -2.50507602534068634195e-08, 1.58969099521155010221e-10)              # minimax on ±π/4, as in fdlibm
_COS = (4.16666666666666019037e-02, -1.38888888888741095749e-03, 2.48015872894767294178e-05, -2.75573143513906633035e-07,
        2.08757232129817482790e-09, -1.13596475577881948265e-11)


def llvm_rule(op: Primitive) -> Callable[[Rule], Rule]:
    """Make the decorated function (code, *registers) → register the form of the primitive in the llvm backend: for a row
    whose array form is no formula, as one that a library computes."""
    def register(rule: Rule) -> Rule:
        RULES[op] = rule
        return rule
    return register


def applied(s: Code, op: Primitive, xs: Sequence[Register]) -> Register:
    """op(*xs) as code; NotImplementedError, with the function that is missing, where there is none."""
    return applied_together(s, [op], xs)[0]


def applied_together(s: Code, ops: Sequence[Primitive], xs: Sequence[Register]) -> list[Register]:
    """op(*xs) of each as code, in which what several have in common stands once."""
    outside = s.known
    s.known = {} if outside is None else outside
    found = [RULES[op](s, *xs) if op in RULES else _by_formula(s, op, xs) for op in ops]
    s.known = outside
    return found


def _by_formula(s: Code, op: Primitive, xs: Sequence[Register]) -> Register:
    ready: list[Register] = list(xs)
    for leaf, operands in _lines(op, len(xs)):
        ready.append(leaf(s, *[operand(s, ready) for operand in operands]))
    return ready[-1]


Operand = Callable[[Code, list[Register]], Register]   # what a leaf is given, of the arguments and the results before it


@cache
def _lines(op: Primitive, n: int) -> tuple[tuple[Rule, tuple[Operand, ...]], ...]:
    """The calls of a row's formula in order: a leaf, and its operands."""
    try:
        formula = expanded(op.formula(n), LEAVES)
    except UnreadableError as error:
        missing = f"it needs {error}, which machine code has not" if str(error).isidentifier() else str(error)
        raise NotImplementedError(
            f"the llvm backend has no form of the primitive {op.name}: {missing}; write its array form in functions of xp, "
            "give it one with autograd.compiler.llvm_rule, or use backend='numpy'") from None
    place: dict[Call, int] = {}
    lines = []
    for call in calls(formula):
        operands = tuple([_operand(x, takes_condition(call, i), place) for i, x in enumerate(call.args)])
        lines.append((LEAVES[call.name], operands))
        place[call] = n + len(place)
    if is_condition(formula) or not isinstance(formula, Call):   # as a number, in a line of its own
        lines.append((lambda s, x: x, (_operand(formula, False, place),)))
    return tuple(lines)


def _operand(x: Formula | float, as_condition: bool, place: dict[Call, int]) -> Operand:
    if not isinstance(x, Formula):
        return lambda s, ready: s.compare("une", s.number(x), s.number(0.0)) if as_condition else s.number(x)
    k = place[x] if isinstance(x, Call) else x.place  # type: ignore[attr-defined]
    if is_condition(x) and not as_condition:
        return lambda s, ready: s.select(ready[k], s.number(1.0), s.number(0.0))
    if as_condition and not is_condition(x):
        return lambda s, ready: s.compare("une", ready[k], s.number(0.0))
    return lambda s, ready: ready[k]


# ---- what a library knows

def _whole(s: Code, x: Register, factor: float) -> tuple[Register, Register]:
    """(n, n + ROUND) with the integer n nearest to x · factor, as a float; the last bits of the sum are n's."""
    t = s.fma(x, s.number(factor), s.number(ROUND))
    return s.op("fsub", t, s.number(ROUND)), t


def _clamped(s: Code, x: Register, low: float, high: float) -> Register:
    """x within limits; a nan stays."""
    for how, limit in (("ogt", s.number(low)), ("olt", s.number(high))):
        x = s.select(s.compare(how, limit, x), limit, x)
    return x


def _exponential(s: Code, x: Register) -> tuple[Register, Register, Register, Register]:
    """(n, p, 2ⁿ, eˣ) with eˣ = 2ⁿ·(1 + p): what exp and expm1 of x have in common."""
    x = _clamped(s, x, -746.0, 710.0)
    n, _ = _whole(s, x, 1 / math.log(2))
    minus = s.negated(n)
    r = s.fma(minus, s.number(_LOG2_LOW), s.fma(minus, s.number(_LOG2_HIGH), x))
    p = s.fma(s.op("fmul", r, r), s.polynomial(r, *_EXP), r)   # eʳ − 1
    half, t = _whole(s, n, 0.5)   # 2ⁿ in two factors: alone, each is in the range of normal numbers
    low, high = s.power_of_2(t), s.power_of_2(s.op("fadd", s.op("fsub", n, half), s.number(ROUND)))
    return n, p, s.op("fmul", low, high), s.op("fmul", s.op("fmul", s.op("fadd", p, s.number(1.0)), low), high)


def _exp(s: Code, x: Register) -> Register:
    *_, y = _exponential(s, x)
    return y


def _expm1(s: Code, x: Register) -> Register:
    n, p, power, large = _exponential(s, x)   # 2ⁿ, unless n = 1024
    y = s.op("fadd", s.op("fmul", p, power), s.op("fsub", power, s.number(1.0)))
    y = s.select(s.compare("ogt", n, s.number(60.0)), large, y)
    return s.select(s.compare("oeq", x, s.number(0.0)), x, y)


def _log(s: Code, x: Register) -> Register:
    tiny = s.compare("olt", x, s.number(2.2250738585072014e-308))
    y = s.select(tiny, s.op("fmul", x, s.number(2.0 ** 54)), x)
    b = s.let(f"bitcast {s.type} {y} to {s.ints}")
    d = s.let(f"add {s.ints} {b}, {s.integer(0x3FF0000000000000 - 0x3FE6A09E667F3BCD)}")   # its exponent: e + 1023
    power = s.let(f"and {s.ints} {d}, {s.integer(-1 << 52)}")
    m = s.let(f"bitcast {s.ints} " + s.let(f"sub {s.ints} " + s.let(
        f"add {s.ints} {b}, {s.integer(0x3FF0000000000000)}") + f", {power}") + f" to {s.type}")
    # y = m · 2ᵉ with m between √½ and √2
    f = s.op("fsub", m, s.number(1.0))
    q = s.op("fdiv", f, s.op("fadd", f, s.number(2.0)))
    z = s.op("fmul", q, q)         # log m = 2q(1 + z/3 + z²/5 + …)
    p = s.polynomial(z, *_LOG)
    e = s.let(f"bitcast {s.ints} " + s.let(f"or {s.ints} " + s.let(f"lshr {s.ints} {d}, {s.integer(52)}")
                                           + f", {s.integer(0x4330000000000000)}") + f" to {s.type}")   # 2⁵² + e + 1023
    e = s.op("fsub", e, s.select(tiny, s.number(2.0 ** 52 + 1023 + 54), s.number(2.0 ** 52 + 1023)))
    low = s.fma(e, s.number(_LOG2_LOW), s.op("fmul", s.op("fmul", q, z), p))
    y = s.fma(e, s.number(_LOG2_HIGH), s.fma(q, s.number(2.0), low))
    y = s.select(s.compare("oeq", x, s.number(0.0)), s.number(-math.inf), y)
    y = s.select(s.compare("olt", x, s.number(0.0)), s.number(math.nan), y)
    return s.select(s.compare("ult", x, s.number(math.inf)), s.select(s.compare("uno", x, x), x, y), x)


def _log1p(s: Code, x: Register) -> Register:
    u = s.op("fadd", x, s.number(1.0))
    lost = s.op("fsub", x, s.op("fsub", u, s.number(1.0)))
    y = s.op("fadd", _log(s, u), s.op("fdiv", lost, u))
    keep = s.let(f"or {s.bools} {s.compare('oeq', x, s.number(0.0))}, {s.compare('oeq', x, s.number(math.inf))}")
    pole = s.compare("oeq", x, s.number(-1.0))
    return s.select(keep, x, s.select(pole, s.number(-math.inf), y))


def _tanh(s: Code, x: Register) -> Register:
    _, p, power, y = _exponential(s, s.op("fmul", s.number(-2.0), s.call("fabs", x)))
    e = s.op("fadd", s.op("fmul", p, power), s.op("fsub", power, s.number(1.0)))   # y − 1, which has all its digits
    return s.call("copysign", s.op("fmul", e, _over_more(s, y)), x)


def _sech2(s: Code, x: Register) -> Register:
    *_, y = _exponential(s, s.op("fmul", s.number(-2.0), s.call("fabs", x)))
    inverse = _over_more(s, y)
    return s.op("fmul", s.op("fmul", s.number(4.0), y), s.op("fmul", inverse, inverse))


def _over_more(s: Code, y: Register) -> Register:
    """1/(1 + y): tanh and its slope have one division in common."""
    return s.op("fdiv", s.number(1.0), s.op("fadd", y, s.number(1.0)))


def _cosh(s: Code, x: Register) -> Register:
    e = _exp(s, s.op("fmul", s.call("fabs", x), s.number(0.5)))
    square = s.op("fmul", s.op("fmul", e, s.number(0.5)), e)
    return s.op("fadd", square, s.op("fdiv", s.op("fdiv", s.number(0.5), e), e))


def _sine(s: Code, x: Register, quarter: int, name: str) -> Register:
    n, t = _whole(s, x, 2 / math.pi)
    minus, r = s.negated(n), x
    for part in _PI_2:
        r = s.fma(minus, s.number(part), r)
    z = s.op("fmul", r, r)
    sine = s.fma(s.op("fmul", r, z), s.polynomial(z, *_SIN), r)
    cosine = s.fma(s.op("fmul", z, z), s.polynomial(z, *_COS), s.fma(z, s.number(-0.5), s.number(1.0)))
    i = s.let(f"add {s.ints} {s.let(f'bitcast {s.type} {t} to {s.ints}')}, {s.integer(quarter)}")
    odd, below = [s.let(f"and {s.ints} {i}, {s.integer(bit)}") for bit in (1, 2)]
    odd = s.let(f"bitcast {s.ints} {s.let(f'shl {s.ints} {odd}, {s.integer(62)}')} to {s.type}")   # 2 or 0
    y = s.select(s.compare("une", odd, s.number(0.0)), cosine, sine)   # of a condition on integers LLVM makes a branch
    sign = s.let(f"shl {s.ints} {below}, {s.integer(62)}")
    y = s.let(f"xor {s.ints} {s.let(f'bitcast {s.type} {y} to {s.ints}')}, {sign}")
    y = s.let(f"bitcast {s.ints} {y} to {s.type}")
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
    known, s.known = s.known, None   # what is computed there is not known elsewhere
    far = s.scalar(name, [x])
    s.known = known
    s.lines += [f"  br label %E{k}", f"E{k}:"]
    s.block = f"E{k}"
    return s.let(f"phi {s.type} [{y}, %{before}], [{far}, %F{k}]")


def _sign(s: Code, x: Register) -> Register:
    return s.select(s.compare("one", x, s.number(0.0)), s.call("copysign", s.number(1.0), x), x)


def _heaviside(s: Code, x: Register, at_0: Register) -> Register:
    y = s.select(s.compare("ogt", x, s.number(0.0)), s.number(1.0), s.number(0.0))
    if at_0 != s.number(0.0):
        y = s.select(s.compare("oeq", x, s.number(0.0)), at_0, y)
    return s.select(s.compare("uno", x, x), x, y)


def _chosen(how: str) -> Rule:
    """The larger or the smaller of two; a nan on either side stays."""
    def choose(s: Code, a: Register, b: Register) -> Register:
        y = s.select(s.compare(how, a, b), a, b)
        return y if _is_number(b) else s.select(s.compare("uno", b, b), b, y)
    return choose


def _is_number(x: Register) -> bool:
    return not x.startswith("%")


def _compared(how: str) -> Rule:
    return lambda s, a, b: s.compare(how, a, b)


def _arithmetic(name: str) -> Rule:
    return lambda s, a, b: s.op(name, a, b)


def _logical(name: str) -> Rule:
    return lambda s, a, b: s.let(f"{name} {s.bools} {a}, {b}")


def _intrinsic(name: str) -> Rule:
    return lambda s, *xs: s.call(name, *xs)


def _by_c(name: str) -> Rule:
    return lambda s, *xs: s.scalar(name, xs)


LEAVES: dict[str, Rule] = {   # numpy's name → (code, *registers) → register
    **{name: _arithmetic(f) for name, f in {"add": "fadd", "subtract": "fsub", "multiply": "fmul", "divide": "fdiv"}.items()},
    **{name: _compared(f) for name, f in {"equal": "oeq", "not_equal": "une", "less": "olt", "less_equal": "ole",
                                          "greater": "ogt", "greater_equal": "oge"}.items()},
    **{name: _logical(f) for name, f in {"logical_and": "and", "logical_or": "or"}.items()},
    **{name: _intrinsic(name) for name in ("sqrt", "floor", "ceil", "trunc", "rint", "copysign")},
    "absolute": _intrinsic("fabs"),
    **{name: _by_c(f) for name, f in {
        "power": "pow", "arcsin": "asin", "arccos": "acos", "arctan": "atan", "arctan2": "atan2", "arcsinh": "asinh",
        "arccosh": "acosh", "arctanh": "atanh"}.items()},
    **{name: _by_c(name) for name in ("exp2", "log2", "log10", "cbrt", "hypot", "tan", "sinh", "erf", "erfc", "fmod")},
    "negative": lambda s, x: s.negated(x), "where": lambda s, c, a, b: s.select(c, a, b),
    "logical_not": lambda s, x: s.let(f"xor {s.bools} {x}, {s.truth}"),
    "maximum": _chosen("ugt"), "minimum": _chosen("ult"), "heaviside": _heaviside, "sign": _sign,
    "exp": _exp, "expm1": _expm1, "log": _log, "log1p": _log1p, "tanh": _tanh, "cosh": _cosh,
    "sin": lambda s, x: _sine(s, x, 0, "sin"), "cos": lambda s, x: _sine(s, x, 1, "cos"),
}
llvm_rule(sech2)(_sech2)
