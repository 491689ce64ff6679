"""LLVM code: registers, loops, and the primitives on vectors of examples.

exp and what is made of it follow the usual reductions: x = n·log 2 + r with |r| ≤ ½ log 2, a polynomial in r, and a scaling
by 2ⁿ in two steps, so that results below the normal range are right. All are within a few ulp of the C library, whose scalar
functions serve for the rest.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence

from ....primitive import Primitive
from ...simplify import SECH2

__all__ = ["RULES", "Code", "llvm_rule"]

Register = str
Rule = Callable[..., Register]
RULES: dict[Primitive | str, Rule] = {}   # name or primitive → (code, *registers) → register

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


def bits(x: float) -> str:
    """A number as LLVM writes it exactly."""
    return f"0x{struct.unpack('<Q', struct.pack('<d', x))[0]:016X}"


class Code:
    """The lines of one function, in which a value is `lanes` examples side by side, or one number."""

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes
        self.lines: list[str] = []
        self.globals: list[str] = []
        self.declared: set[str] = set()
        self.block, self.count = "entry", 0

    # ---- types, constants, loops

    @property
    def type(self) -> str:
        """The type of a value."""
        return "double" if self.lanes == 1 else f"<{self.lanes} x double>"

    @property
    def ints(self) -> str:
        """The type of its bits."""
        return "i64" if self.lanes == 1 else f"<{self.lanes} x i64>"

    @property
    def bools(self) -> str:
        """The type of a comparison."""
        return "i1" if self.lanes == 1 else f"<{self.lanes} x i1>"

    def let(self, text: str) -> Register:
        """A new register that holds `text`."""
        self.count += 1
        self.lines.append(f"  %t{self.count} = {text}")
        return f"%t{self.count}"

    def number(self, x: float) -> str:
        """The number in every lane."""
        return bits(x) if self.lanes == 1 else "<" + ", ".join([f"double {bits(x)}"] * self.lanes) + ">"

    def integer(self, x: int) -> str:
        """The integer in every lane."""
        return str(x) if self.lanes == 1 else "<" + ", ".join([f"i64 {x}"] * self.lanes) + ">"

    def loop(self, n: int | Register, body: Callable[..., Sequence[Register] | None],
             carried: Sequence[Register] = ()) -> Sequence[Register]:
        """body(i, values) for i = 0 … n − 1; what it gives are the next values, at the end the results."""
        if n == 1:
            return body("0", list(carried)) or []
        self.count += 1
        k, before = self.count, self.block
        self.lines += [f"  br label %L{k}", f"L{k}:", ""]
        place, self.block = len(self.lines) - 1, f"L{k}"
        names = [f"%a{k}_{q}" for q in range(len(carried))]
        new = body(f"%i{k}", names) or []
        self.lines += [f"  %n{k} = add nuw nsw i64 %i{k}, 1", f"  %c{k} = icmp ult i64 %n{k}, {n}",
                       f"  br i1 %c{k}, label %L{k}, label %E{k}", f"E{k}:"]
        self.lines[place] = "\n".join([f"  %i{k} = phi i64 [0, %{before}], [%n{k}, %{self.block}]"] + [
            f"  {name} = phi {self.type} [{a}, %{before}], [{b}, %{self.block}]"
            for name, a, b in zip(names, carried, new, strict=True)])
        self.block = f"E{k}"
        return new

    def when(self, condition: Register, body: Callable[[], None]) -> None:
        """body() if the condition holds."""
        self.count += 1
        k = self.count
        self.lines += [f"  br i1 {condition}, label %Y{k}, label %E{k}", f"Y{k}:"]
        self.block = f"Y{k}"
        body()
        self.lines += [f"  br label %E{k}", f"E{k}:"]
        self.block = f"E{k}"

    def at(self, base: int, *terms: tuple[str, int | str]) -> str:
        """base + Σ index · stride."""
        sum_ = str(base)
        for i, stride in terms:
            if stride == 0 or i == "0":
                continue
            if i.isdigit() and isinstance(stride, int):
                term = str(int(i) * stride)
            else:
                term = i if stride == 1 else self.let(f"mul nsw i64 {i}, {stride}")
            if sum_.isdigit() and term.isdigit():
                sum_ = str(int(sum_) + int(term))
            else:
                sum_ = term if sum_ == "0" else self.let(f"add nsw i64 {sum_}, {term}")
        return sum_

    # ---- memory

    def pointer(self, base: Register, offset: str) -> Register:
        """The address of a number."""
        return self.let(f"getelementptr inbounds double, ptr {base}, i64 {offset}")

    def load(self, base: Register, offset: str) -> Register:
        """A value."""
        return self.let(f"load {self.type}, ptr {self.pointer(base, offset)}, align 8")

    def store(self, x: Register, base: Register, offset: str) -> None:
        """Store a value."""
        self.lines.append(f"  store {self.type} {x}, ptr {self.pointer(base, offset)}, align 8")

    def spread(self, base: Register, offset: str) -> Register:
        """One number from memory, in every lane."""
        x = self.let(f"load double, ptr {self.pointer(base, offset)}, align 8")
        return self.splat(x)

    def splat(self, x: Register) -> Register:
        """One number in every lane."""
        if self.lanes == 1:
            return x
        one = self.let(f"insertelement {self.type} poison, double {x}, i32 0")
        return self.let(f"shufflevector {self.type} {one}, {self.type} poison, <{self.lanes} x i32> zeroinitializer")

    def total(self, x: Register) -> Register:
        """The sum of the lanes."""
        if self.lanes == 1:
            return x
        name = f"@llvm.vector.reduce.fadd.v{self.lanes}f64"
        self.declared.add(f"declare double {name}(double, {self.type})")
        return self.let(f"call reassoc double {name}(double {bits(-0.0)}, {self.type} {x})")

    # ---- arithmetic

    def op(self, name: str, a: Register, b: Register) -> Register:
        """fadd, fsub, fmul, fdiv."""
        return self.let(f"{name} {self.type} {a}, {b}")

    def call(self, name: str, *xs: Register) -> Register:
        """An LLVM intrinsic."""
        full = f"@llvm.{name}." + ("f64" if self.lanes == 1 else f"v{self.lanes}f64")
        self.declared.add(f"declare {self.type} {full}({', '.join([self.type] * len(xs))})")
        return self.let(f"call {self.type} {full}({', '.join([f'{self.type} {x}' for x in xs])})")

    def fma(self, a: Register, b: Register, c: Register) -> Register:
        """a·b + c."""
        return self.call("fma", a, b, c)

    def negated(self, x: Register) -> Register:
        """−x."""
        return self.let(f"fneg {self.type} {x}")

    def compare(self, how: str, a: Register, b: Register) -> Register:
        """Of every lane, as LLVM's fcmp."""
        return self.let(f"fcmp {how} {self.type} {a}, {b}")

    def select(self, condition: Register, a: Register, b: Register) -> Register:
        """a where the condition holds, else b."""
        return self.let(f"select {self.bools} {condition}, {self.type} {a}, {self.type} {b}")

    def scalar(self, name: str, xs: Sequence[Register]) -> Register:
        """A function of the C library, lane by lane."""
        self.declared.add(f"declare double @{name}({', '.join(['double'] * len(xs))})")
        if self.lanes == 1:
            return self.let(f"call double @{name}({', '.join([f'double {x}' for x in xs])})")
        y = "poison"
        for q in range(self.lanes):
            of = [self.let(f"extractelement {self.type} {x}, i32 {q}") for x in xs]
            one = self.let(f"call double @{name}({', '.join([f'double {x}' for x in of])})")
            y = self.let(f"insertelement {self.type} {y}, double {one}, i32 {q}")
        return y

    def polynomial(self, x: Register, *coefficients: float) -> Register:
        """c₀ + c₁x + … by Horner's rule."""
        y = self.number(coefficients[-1])
        for c in coefficients[-2::-1]:
            y = self.fma(y, x, self.number(c))
        return y

    def power_of_2(self, n: Register) -> Register:
        """2ⁿ of an integer in the range of normal numbers."""
        biased = self.let(f"add {self.ints} {n}, {self.integer(1023)}")
        return self.let(f"bitcast {self.ints} {self.let(f'shl {self.ints} {biased}, {self.integer(52)}')} to {self.type}")

    def apply(self, op: Primitive, xs: Sequence[Register]) -> Register:
        """A primitive; NotImplementedError if it has no rule."""
        rule = RULES.get(op)
        if rule is None:
            from .... import primitives
            known = op in (vars(primitives).get(op.name), vars(primitives).get(f"{op.name}_"), SECH2)
            rule = RULES.get(op.name) if known else None
        if rule is None:
            raise NotImplementedError(f"the llvm backend has no form of the primitive {op.name}: give it one with "
                                      "autograd.compiler.llvm_rule, or use backend='numpy'")
        return rule(self, *xs)


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

