"""LLVM assembly: the lines of one function, its registers, loops and arithmetic on several examples at a time."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

__all__ = ["ROUND", "Code", "Register", "bits"]

ROUND = 1.5 * 2.0 ** 52   # what is added to this becomes a whole number, which is in the last bits of the sum
Register = str


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
        self.known: dict[str, Register] | None = None   # while formulas are written: what holds a text
        self.opposite: dict[Register, Register] = {}

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

    @property
    def truth(self) -> str:
        """Yes in every lane."""
        return "true" if self.lanes == 1 else "<" + ", ".join(["i1 true"] * self.lanes) + ">"

    def let(self, text: str) -> Register:
        """A register that holds `text`: a new one, unless formulas are written that have had it."""
        if self.known and text in self.known:
            return self.known[text]
        self.count += 1
        register = f"%t{self.count}"
        self.lines.append(f"  {register} = {text}")
        if self.known is not None and not text.startswith("load"):   # memory may have changed
            self.known[text] = register
        return register

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

    def when(self, condition: Register, body: Callable[[], object]) -> None:
        """body() if the condition holds."""
        self.count += 1
        k = self.count
        self.lines += [f"  br i1 {condition}, label %Y{k}, label %E{k}", f"Y{k}:"]
        self.block = f"Y{k}"
        known, self.known = self.known, None   # what is computed there is not known elsewhere
        body()
        self.known = known
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

    def gathered(self, base: Register, offsets: Sequence[str]) -> Register:
        """Numbers from memory, side by side, one for every lane."""
        x = "poison"
        for q, offset in enumerate(offsets):
            one = self.let(f"load double, ptr {self.pointer(base, offset)}, align 8")
            x = one if self.lanes == 1 else self.let(f"insertelement {self.type} {x}, double {one}, i32 {q}")
        return x

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

    def totals(self, xs: Sequence[Register]) -> Register:
        """The sums of the lanes of as many values as there are lanes, side by side: half of the lanes less in every round."""
        h, lanes = 1, range(self.lanes)
        while len(xs) > 1:
            places = [q - q % (2 * h) + q % h + (self.lanes if q & h else 0) for q in lanes]
            masks = ["<" + ", ".join([f"i32 {place + more}" for place in places]) + ">" for more in (0, h)]
            xs = [self.op("fadd", *[self.let(f"shufflevector {self.type} {a}, {self.type} {b}, <{self.lanes} x i32> {mask}")
                                    for mask in masks]) for a, b in zip(xs[::2], xs[1::2], strict=True)]
            h *= 2
        return xs[0]

    # ---- arithmetic

    def op(self, name: str, a: Register, b: Register) -> Register:
        """fadd, fsub, fmul, fdiv."""
        return self.let(f"{name} {self.type} {a}, {b}")

    def call(self, name: str, *xs: Register) -> Register:
        """An LLVM intrinsic."""
        if name == "fabs":
            xs = tuple([self.opposite.get(x, x) for x in xs])
        full = f"@llvm.{name}." + ("f64" if self.lanes == 1 else f"v{self.lanes}f64")
        self.declared.add(f"declare {self.type} {full}({', '.join([self.type] * len(xs))})")
        return self.let(f"call {self.type} {full}({', '.join([f'{self.type} {x}' for x in xs])})")

    def fma(self, a: Register, b: Register, c: Register) -> Register:
        """a·b + c."""
        return self.call("fma", a, b, c)

    def negated(self, x: Register) -> Register:
        """−x."""
        y = self.let(f"fneg {self.type} {x}")
        self.opposite[y] = x
        return y

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
        """c₀ + c₁x + …: by Horner's rule, even and odd powers apart if there are many, which waits half as long."""
        if len(coefficients) > 3:
            square = self.op("fmul", x, x)
            return self.fma(self.polynomial(square, *coefficients[1::2]), x, self.polynomial(square, *coefficients[::2]))
        y = self.number(coefficients[-1])
        for c in coefficients[-2::-1]:
            y = self.fma(y, x, self.number(c))
        return y

    def power_of_2(self, t: Register) -> Register:
        """2ⁿ of t = n + ROUND, with an integer n, where that is a normal number."""
        bits = self.let(f"shl {self.ints} {self.let(f'bitcast {self.type} {t} to {self.ints}')}, {self.integer(52)}")
        return self.let(f"bitcast {self.ints} {self.let(f'add {self.ints} {bits}, {self.integer(1023 << 52)}')} to {self.type}")
