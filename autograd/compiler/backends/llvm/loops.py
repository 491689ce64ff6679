"""Step 6 compiled: the instructions as LLVM loops over tiles of the batch, a few examples in every register.

A tile is T examples. Its arguments are transposed into V (rows of T numbers), the instructions run on V, and what is summed
over the batch is added to G, which the first tile sets. Matrix products keep a block of results in registers. The last tile
is as short as whole blocks allow, and repeats the batch's last example; those lanes are set to 0 before anything is summed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from ....primitive import Primitive
from ...instructions import Apply, Array, Instruction, Linear, MatMul, Outer, Products, Rolled, RowSum, Spread, affine, by_first
from .code import Code, Register, bits
from .functions import applied, applied_together
from .fuse import Group, columns, fused, is_by_rows
from .native import Native

__all__ = ["LoopProgram", "register_lanes"]

_PART = 20            # instructions in a function
_DEPTH = 256          # terms of a matrix product that stay in the cache while all its rows are computed
Index = Callable[..., str]
Values = Callable[[list[Register]], list[Register]]   # of the arguments of a row
Lane = Callable[[str, dict[int, Register]], None]


def register_lanes() -> int:
    """How many numbers fit into a register of this machine."""
    import llvmlite.binding as llvm
    features = llvm.get_host_cpu_features()
    return 8 if features.get("avx512f") else 4 if features.get("avx") else 2


class LoopProgram:
    """A rolled program as a function f(U, V, G, E, S, sizes, X₀, X₁, …) of addresses.

    U, V    buffers: what the examples share; the rows of a tile     G   the sums
    E, S    (outputs, B): what is kept of every example; scratch     sizes   B, T, tiles and the two strides of every X
    """

    def __init__(self, rolled: Rolled, widths: Sequence[int]) -> None:
        self.rolled, self.widths = rolled, list(widths)
        self.W = W = register_lanes()
        self.block = (8, 3) if W == 8 else (6, 2)   # rows and registers of results that a matrix product keeps
        self.unit = W * self.block[1]               # examples that a block is of: T is a multiple of it
        self.rows_shared, self.rows, self.numbers = rolled.rows_shared, rolled.rows, rolled.numbers
        self.scratch = 0                            # numbers of S for each example of a tile
        self.s = s = Code(W)
        self.lengths: dict[tuple[Primitive, int], int] = {}   # of primitives of so many arguments
        self.T, tiles = self._sizes()
        self.functions: list[str] = []
        once = self._same_arguments([i for i in rolled.body if i.shared])
        s.lines += [part(self.T) for part in self._parts([partial(self._emit, *several) for several in once], 1)]
        varying = [i for i in rolled.body if not i.shared]
        read = [*[x for i in rolled.totals for x in ((i.A, i.B) if isinstance(i, Outer) else (i.A,))], rolled.each[1]]
        groups = fused(varying, rolled.rows, read, self._length)
        self.stored = sum(self.widths) + sum([len(group.stored) * group.size for group in groups])   # rows of V that are used
        parts = self._parts([partial(self._group, group) for group in groups], W)
        s.loop(tiles, lambda t, _: self._tile(t, parts))
        self._after()
        self._compile()

    # ---- the function's beginning and end

    def _sizes(self) -> tuple[Register, Register]:
        """Read B, T, the number of tiles, and the arguments' strides; T and the tiles."""
        s = self.s
        B, T, tiles, *strides = [s.let(f"load i64, ptr {s.let(f'getelementptr i64, ptr %sizes, i64 {k}')}")
                                 for k in range(3 + 2 * len(self.widths))]
        self.B, self.strides = B, list(zip(strides[::2], strides[1::2], strict=True))
        self.last = s.let(f"sub i64 {B}, 1")
        return T, tiles

    def _compile(self) -> None:
        """The source, out of `s` and the functions that it calls, and its machine code."""
        s, given = self.s, "".join([f", ptr noalias readonly %X{k}" for k in range(len(self.widths))])
        self.source = "\n".join([
            *s.globals, *sorted(s.declared), *self.functions,
            "define void @f(ptr noalias %U, ptr noalias %V, ptr noalias %G, ptr noalias %E, ptr noalias %S, "
            f"ptr noalias readonly %sizes{given}) {{", "entry:", *s.lines, "  ret void", "}", ""])
        self.native = Native(self.source, 6 + len(self.widths))
        self.s, self.functions = Code(self.W), []   # they have done their work

    # ---- the order of things

    @staticmethod
    def _same_arguments(body: Sequence[Instruction]) -> list[list[Instruction]]:
        """Primitives of the same rows are done together: as tanh and its slope, they have most of their work in common."""
        found: list[list[Instruction]] = []
        of_rows: dict[object, list[Instruction]] = {}   # primitives by their arguments
        for i in body:
            key = tuple([index.tobytes() for _, index in i.args]) if isinstance(i, Apply) else None
            if key in of_rows:
                of_rows[key].append(i)
                continue
            found.append([i])
            if key:
                of_rows[key] = found[-1]
        return found

    def _length(self, i: Instruction) -> int:
        """About how many operations an instruction is in every row."""
        if not isinstance(i, Apply):
            return 2 * len(columns(i))
        key = i.op, len(i.args)
        if key not in self.lengths:
            applied(code := Code(self.W), i.op, [f"%x{k}" for k in range(len(i.args))])
            self.lengths[key] = len(code.lines)
        return self.lengths[key]

    def _emit(self, *several: Instruction) -> None:
        getattr(self, f"_{type(several[0]).__name__.lower()}")(*several)

    def _parts(self, body: Sequence[Callable[[], None]], lanes: int) -> list[Callable[[Register], str]]:
        """What writes instructions, as functions of T, cut up since LLVM's time grows faster than a function; the calls of
        them."""
        s = self.s
        outside = s.lines, s.block, s.lanes, self.T
        calls: list[Callable[[Register], str]] = []
        for start in range(0, len(body), _PART):
            s.lines, s.block, s.lanes = [], "entry", lanes
            self._of_size("%T")
            for write in body[start:start + _PART]:
                write()
            name = f"@part{len(self.functions)}"
            self.functions.append("\n".join([f"define internal void {name}(ptr noalias %U, ptr noalias %V, i64 %T) {{",
                                             "entry:", *s.lines, "  ret void", "}"]))
            calls.append(f"  call void {name}(ptr %U, ptr %V, i64 {{}})".format)
        s.lines, s.block, s.lanes, self.T = outside
        return calls

    def _of_size(self, T: Register) -> None:
        """From here on a tile has T examples."""
        self.T = T
        self.registers, self.blocks = [self.s.let(f"udiv i64 {T}, {n}") for n in (self.W, self.unit)]

    def _tile(self, t: Register, parts: Sequence[Callable[[Register], str]]) -> None:
        s = self.s
        offset = s.let(f"mul nuw nsw i64 {t}, {self.T}")
        left = s.let(f"sub nsw i64 {self.B}, {offset}")
        blocks = s.let(f"udiv i64 {s.at(self.unit - 1, (left, 1))}, {self.unit}")
        enough = s.let(f"mul nuw nsw i64 {blocks}, {self.unit}")
        last = s.let(f"icmp ult i64 {enough}, {self.T}")
        self._of_size(s.let(f"select i1 {last}, i64 {enough}, i64 {self.T}"))
        self._transpose(offset)
        s.lines += [part(self.T) for part in parts]
        part = s.let(f"icmp ult i64 {left}, {self.T}")
        valid = s.let(f"select i1 {part}, i64 {left}, i64 {self.T}")
        totals = self.rolled.totals
        summed = self._to_clear(totals)
        if len(summed):
            def clear() -> None:
                row = self._ref(summed)

                def one(r: Register, _: Any) -> None:
                    start = s.at(0, (row(r), self.T))
                    count = s.let(f"sub nsw i64 {self.T}, {left}")
                    s.lanes = 1
                    s.loop(count, lambda q, _: s.store(s.number(0.0), "%V", s.at(0, (start, 1), (left, 1), (q, 1))))
                    s.lanes = self.W
                s.loop(len(summed), one)
            s.when(part, clear)
        for i in totals:
            if isinstance(i, Outer):
                self._outer(_in_order(i), offset, valid)
            else:
                self._rowsum(i, offset)
        self._keep(*self.rolled.each, offset, valid)

    @staticmethod
    def _to_clear(totals: Sequence[Outer | RowSum]) -> Array:
        """Rows of V of which what is no example has to be 0 in the sums: of every product, one of the factors."""
        found: Array = np.unique(np.concatenate([np.zeros(0, int), *[i.A for i in totals if isinstance(i, RowSum)]]))
        for i in totals:
            if isinstance(i, Outer):
                more = [np.setdiff1d(factor, found) for factor in (i.A, i.B)]
                found = np.union1d(found, min(more, key=len))
        return found

    def _keep(self, dst: Array, rows: Array, offset: Register, valid: Register) -> None:
        """Rows of V, as far as a tile is `valid`, to E."""
        s = self.s
        if len(dst):
            to, row = self._ref(dst), self._ref(rows)

            def keep(r: Register, _: Any) -> None:
                start, end = s.at(0, (row(r), self.T)), s.at(0, (to(r), self.B), (offset, 1))
                s.lanes = 1
                s.loop(valid, lambda q, _: s.store(s.load("%V", s.at(0, (start, 1), (q, 1))), "%E", s.at(0, (end, 1), (q, 1))))
                s.lanes = self.W
            s.loop(len(dst), keep)

    def _transpose(self, offset: Register) -> None:
        """The arguments' numbers of a tile into V, register by register."""
        s, start = self.s, 0
        for k, width in enumerate(self.widths):
            between, within = self.strides[k]

            def lane(v: Register, _: Any, k: int = k, width: int = width, start: int = start, between: str = between,
                     within: str = within) -> None:
                first = s.at(0, (offset, 1), (v, self.W))
                bases = []
                for q in range(self.W):
                    b = s.at(q, (first, 1))
                    over = s.let(f"icmp ult i64 {b}, {self.last}")
                    bases.append(s.let(f"mul nuw nsw i64 {between}, {s.let(f'select i1 {over}, i64 {b}, i64 {self.last}')}"))

                def one(r: Register, _: Any) -> None:
                    inside = s.let(f"mul nuw nsw i64 {r}, {within}")
                    x = s.gathered(f"%X{k}", [s.let(f"add nuw nsw i64 {base}, {inside}") for base in bases])
                    s.store(x, "%V", s.at(0, (s.at(start, (r, 1)), self.T), (v, self.W)))
                s.loop(width, one)
            if width:
                s.loop(self.registers, lane)
            start += width

    def _after(self) -> None:
        """What is the same in every example."""
        s = self.s
        s.lanes = 1
        repeated = self.rolled.repeated
        for at, sets in by_first(repeated.first):
            to, row, count = self._ref(repeated.dst[at]), self._ref(repeated.A[at]), s.let(f"uitofp i64 {self.B} to double")

            def add(k: Register, _: Any, to: Index = to, row: Index = row, count: Register = count, sets: bool = sets) -> None:
                self._add(to(k), s.op("fmul", count, s.load("%U", row(k))), "0" if sets else "-1")
            s.loop(len(at), add)
        dst, rows = self.rolled.each_shared
        if len(dst):
            to, row = self._ref(dst), self._ref(rows)

            def spread(i: Register, _: Any) -> None:
                x, start = s.load("%U", row(i)), s.at(0, (to(i), self.B))
                s.loop(self.B, lambda b, _: s.store(x, "%E", s.at(0, (start, 1), (b, 1))))
            s.loop(len(dst), spread)

    # ---- where things are

    def _ref(self, index: Array) -> Index:
        """index[i, j, …] as code: by strides, or from a table."""
        s, found = self.s, affine(index)
        if found:
            start, strides = found
            return lambda *at: s.at(start, *zip(at, strides, strict=True))
        name = f"@T{len(s.globals)}"
        s.globals.append(f"{name} = private unnamed_addr constant [{index.size} x i64] ["
                         + ", ".join([f"i64 {x}" for x in index.ravel().tolist()]) + "]")
        strides = [x // index.itemsize for x in np.ascontiguousarray(index).strides]

        def lookup(*at: str) -> str:
            place = s.at(0, *zip(at, strides, strict=True))
            return s.let(f"load i64, ptr {s.let(f'getelementptr i64, ptr {name}, i64 {place}')}")
        return lookup

    def _factors(self, x: Array) -> Index:
        """x[i] as code that loads it: one number, or from a table."""
        s = self.s
        if _same(x):
            return lambda *_: bits(float(x.flat[0]))
        name = f"@T{len(s.globals)}"
        s.globals.append(f"{name} = private unnamed_addr constant [{x.size} x double] ["
                         + ", ".join([f"double {bits(y)}" for y in x.ravel().tolist()]) + "]")
        return lambda i: s.let(f"load double, ptr {s.let(f'getelementptr double, ptr {name}, i64 {i}')}")

    def _add(self, place: str, x: Register, keeps: Register = "-1", lanes: int = 1) -> None:
        """G[place] += x, so many numbers. What `keeps` has no bits of is not kept: where it is 0, G[place] = 0 + x."""
        s, outside = self.s, self.s.lanes
        s.lanes = lanes
        before = s.load("%G", place)
        if keeps != "-1":
            mask = keeps
            if lanes > 1:
                one = s.let(f"insertelement {s.ints} poison, i64 {keeps}, i32 0")
                mask = s.let(f"shufflevector {s.ints} {one}, {s.ints} poison, <{lanes} x i32> zeroinitializer")
            kept = s.let(f"and {s.ints} {s.let(f'bitcast {s.type} {before} to {s.ints}')}, {mask}")
            before = s.let(f"bitcast {s.ints} {kept} to {s.type}")
        s.store(s.op("fadd", before, x), "%G", place)
        s.lanes = outside

    def _keeps(self, offset: Register) -> Register:
        """All bits, but none in the first tile, which sets what the others add to."""
        return self.s.let(f"sext i1 {self.s.let(f'icmp ne i64 {offset}, 0')} to i64")

    # ---- instructions row by row

    def _group(self, group: Group) -> None:
        """Rows of V: of each, all members one after another."""
        first = group.members[0]
        if isinstance(first, MatMul):
            self._matmul(first, group)
        elif not is_by_rows(first):
            self._emit(first)
        else:
            done, s = self._members(group, group.members), self.s

            def row(r: Register, _: Any) -> None:
                lane = done(r)
                s.loop(self.registers, lambda v, _: lane(s.at(0, (v, self.W)), {}))
            s.loop(group.size, row)

    def _members(self, group: Group, members: Sequence[Instruction]) -> Callable[[str], Lane]:
        """Of a row, what writes the members' values in a lane, given those that are in registers."""
        s = self.s
        taken = [[(shared, index, self._ref(index)) for shared, index in columns(i)] for i in members]

        def at_row(r: str) -> Lane:
            rows = {start: s.at(0, (s.at(start, (r, 1)), self.T)) for start in sorted(group.starts)}
            places = [[s.spread("%U", ref(r)) if shared else "" if group.holds(index) else s.at(0, (ref(r), self.T))
                       for shared, index, ref in args] for args in taken]

            def at_lane(lane: str, values: dict[int, Register]) -> None:
                s.known = {}
                for i, args, found in zip(members, taken, places, strict=True):
                    xs = [x if shared else s.load("%V", s.at(0, (x, 1), (lane, 1))) if x else values[int(index[0])]
                          for (shared, index, _), x in zip(args, found, strict=True)]
                    y = self._formula(i, xs)
                    if not i.first:
                        before = values.get(i.start) or s.load("%V", s.at(0, (rows[i.start], 1), (lane, 1)))
                        y = s.op("fadd", before, y)
                    values[i.start] = y
                for start in sorted(group.stored):
                    s.store(values[start], "%V", s.at(0, (rows[start], 1), (lane, 1)))
                s.known = None
            return at_lane
        return at_row

    def _formula(self, i: Instruction, xs: Sequence[Register]) -> Register:
        """What is computed of the columns of an instruction."""
        s = self.s
        if isinstance(i, Apply):
            return applied(s, i.op, xs)
        if isinstance(i, Spread):
            return xs[0]
        assert isinstance(i, (Products, Linear))
        m, total = len(i.C), ""
        for j, c in enumerate(i.C.tolist()):
            x = s.op("fmul", xs[j], xs[m + j]) if isinstance(i, Products) else xs[j]
            x = x if c == 1 else s.negated(x) if c == -1 else s.op("fmul", x, s.number(c))
            total = s.op("fadd", total, x) if total else x
        return total

    def _rows(self, outs: Sequence[Instruction], args: Sequence[tuple[bool, Array]], values: Values) -> None:
        """Row after row of U: what is there (unless it is set first) plus the value of the arguments."""
        s, i = self.s, outs[0]
        found = [affine(index) for _, index in args]
        if i.size >= self.W and all([f and f[1] in ([0], [1]) for f in found]):
            self._along(outs, [(f[0], f[1][0]) for f in found if f], values)
            return
        refs = [self._ref(index) for _, index in args]

        def row(r: Register, _: Any) -> None:
            self._put(outs, values([s.load("%U", ref(r)) for ref in refs]), [s.at(out.start, (r, 1)) for out in outs])
        s.loop(i.size, row)

    def _put(self, outs: Sequence[Instruction], xs: Sequence[Register], places: Sequence[str]) -> None:
        for out, x, place in zip(outs, xs, places, strict=True):
            self.s.store(x if out.first else self.s.op("fadd", self.s.load("%U", place), x), "%U", place)

    def _along(self, outs: Sequence[Instruction], args: Sequence[tuple[int, int]], values: Values) -> None:
        """Rows of U that lie side by side, a register of them at a time."""
        s, i = self.s, outs[0]
        for lanes, first, count in ((self.W, 0, i.size // self.W), (1, i.size // self.W * self.W, i.size % self.W)):
            def run(r: Register, _: Any, lanes: int = lanes, first: int = first) -> None:
                place = s.at(first, (r, lanes))
                xs = [s.load("%U", s.at(start, (place, 1))) if stride else s.spread("%U", str(start)) for start, stride in args]
                self._put(outs, values(xs), [s.at(out.start, (place, 1)) for out in outs])
            if count:
                s.lanes = lanes
                s.loop(count, run)
        s.lanes = 1

    def _apply(self, *several: Apply) -> None:
        self._rows(several, several[0].args, lambda xs: applied_together(self.s, [i.op for i in several], xs))

    def _spread(self, i: Spread) -> None:
        self._rows([i], [(True, i.A)], lambda xs: xs)

    def _products(self, i: Products) -> None:
        self._sum(i, i.C, i.A, i.B)

    def _linear(self, i: Linear) -> None:
        self._sum(i, i.C, i.A, None)

    def _sum(self, i: Instruction, C: Array, A: Array, B: Array | None) -> None:
        """Σ C[j]·A[:, j]·B[:, j]: written out if it is short, else a loop."""
        s, m = self.s, A.shape[1]
        if is_by_rows(i):
            self._rows([i], columns(i), lambda xs: [self._formula(i, xs)])
            return
        refs, factor = [self._ref(x) for x in (A, B) if x is not None], self._factors(C)
        space = "%U" if i.shared else "%V"
        found = [affine(x) for x in (A, B) if x is not None]
        if i.shared and _same(C) and all([f and f[1][1] == 1 for f in found]):
            self._shared_sum(i, float(C[0]), refs, m)
            return

        def row(r: Register, _: Any) -> None:
            out = s.at(i.start, (r, 1))

            def lane(v: Register, _: Any) -> None:
                def place(at: str) -> str:
                    return at if i.shared else s.at(0, (at, self.T), (v, self.W))

                def more(j: Register, total: list[Register]) -> list[Register]:
                    xs = [s.load(space, place(ref(r, j))) for ref in refs]
                    c = s.splat(factor(j))
                    return [s.fma(s.op("fmul", xs[0], c), xs[1], total[0]) if B is not None else s.fma(xs[0], c, total[0])]
                x = s.loop(m, more, [s.number(-0.0)])[0]
                s.store(x if i.first else s.op("fadd", s.load(space, place(out)), x), space, place(out))
            s.loop(1 if i.shared else self.registers, lane)
        s.loop(i.size, row)

    def _shared_sum(self, i: Instruction, c: float, refs: Sequence[Index], m: int) -> None:
        """c · Σ_j A[:, j]·B[:, j] in U, of terms that lie side by side: a register of them at a time."""
        s = self.s

        def part(r: Register, first: int, lanes: int, count: int) -> Register:
            def more(j: Register, total: list[Register]) -> list[Register]:
                xs = [s.load("%U", ref(r, s.at(first, (j, lanes)))) for ref in refs]
                return [s.fma(xs[0], xs[-1], total[0]) if len(xs) == 2 else s.op("fadd", xs[0], total[0])]
            s.lanes = lanes
            x = s.total(s.loop(count, more, [s.number(-0.0)])[0])
            s.lanes = 1
            return x

        def row(r: Register, _: Any) -> None:
            parts = [part(r, first, lanes, count) for first, lanes, count in (
                (0, self.W, m // self.W), (m // self.W * self.W, 1, m % self.W)) if count]
            x = s.op("fmul", parts[0] if len(parts) == 1 else s.op("fadd", *parts), s.number(c))
            out = s.at(i.start, (r, 1))
            s.store(x if i.first else s.op("fadd", s.load("%U", out), x), "%U", out)
        s.loop(i.size, row)

    # ---- matrix products

    @staticmethod
    def _even(n: int, most: int) -> list[tuple[int, int, int]]:
        """(first, size, count) of runs of blocks that cover n rows, nearly equal and none above `most`."""
        blocks = -(-n // most)
        size, larger = divmod(n, blocks)
        runs = [(0, size + 1, larger), (larger * (size + 1), size, blocks - larger)]
        return [run for run in runs if run[2]]

    def _matmul(self, i: MatMul, group: Group) -> None:
        s, (g, r, m), c = self.s, i.W.shape, i.H.shape[2]
        w, h = self._ref(i.W), self._ref(i.H)
        members = group.members[1:]
        bias = members.pop(0) if members and isinstance(members[0], Spread) and members[0].start == i.start else None
        spread = self._ref(bias.A.reshape(g, r, c)) if isinstance(bias, Spread) else None
        after = self._members(group, members) if members else None
        count = self.block[1]

        def block(gi: str, ci: str, rows: Sequence[str], lane: str, low: int, depth: int) -> None:
            places = [s.at(0, (gi, r * c), (row, c), (ci, 1)) for row in rows]   # among the results
            outs = [s.at(0, (s.at(i.start, (place, 1)), self.T), (lane, 1)) for place in places]
            acc: list[Register] = []
            for row, out in zip(rows, outs, strict=True):
                for q in range(count):
                    if low:
                        acc.append(s.load("%V", s.at(q * self.W, (out, 1))))
                    elif q == 0:
                        acc.append(s.spread("%U", spread(gi, row, ci)) if spread else s.number(-0.0))
                    else:
                        acc.append(acc[-1])

            def more(j: Register, acc: list[Register]) -> list[Register]:
                j = s.at(low, (j, 1))
                start = s.at(0, (h(gi, j, ci), self.T), (lane, 1))
                xs = [s.load("%V", s.at(q * self.W, (start, 1))) for q in range(count)]
                ws = [s.spread("%U", w(gi, row, j)) for row in rows]
                return [s.fma(ws[a], xs[q], acc[a * count + q]) for a in range(len(rows)) for q in range(count)]
            done = s.loop(depth, more, acc)
            for a, (place, out) in enumerate(zip(places, outs, strict=True)):
                finish = after(place) if after and low + depth == m else None
                for q, x in enumerate(done[a * count:(a + 1) * count]):
                    if finish:
                        finish(s.at(q * self.W, (lane, 1)), {i.start: x})
                    else:
                        s.store(x, "%V", s.at(q * self.W, (out, 1)))

        def cell(gi: str, ci: str) -> None:
            for low in range(0, m, _DEPTH):
                for first, size, blocks in self._even(r, self.block[0]):
                    def run(b: Register, _: Any, first: int = first, size: int = size, low: int = low) -> None:
                        rows = [s.at(first + a, (b, size)) for a in range(size)]
                        depth = min(_DEPTH, m - low)
                        s.loop(self.blocks, lambda v, _: block(gi, ci, rows, s.at(0, (v, self.unit)), low, depth))
                    s.loop(blocks, run)
        s.loop(g, lambda gi, _: s.loop(c, lambda ci, _: cell(gi, ci)) and None)

    # ---- sums over the batch

    def _wide(self, i: Outer) -> int:
        """How many columns of the result are computed along the registers."""
        A, B, dst = i.oriented
        found, n = affine(dst), B.shape[1] // self.unit * self.unit
        wide = found and found[1][2] == 1 and A.shape[2] == 1 and A.shape[1] >= 4 and n
        return n if wide and all([self._argument(rows[:n, 0]) >= 0 for rows in B]) else 0

    def _outer(self, i: Outer, offset: Register, valid: Register) -> None:
        A, B, dst = i.oriented
        wide = self._wide(i)
        if wide:
            self._outer_wide(float(i.C[0]), A, B[:, :wide], dst[:, :, :wide], offset, valid)
        if wide < B.shape[1]:
            self._outer_lanes(i.C, A, B[:, wide:], dst[:, :, wide:], offset)

    def _outer_lanes(self, C: Array, A: Array, B: Array, dst: Array, offset: Register) -> None:
        """Sums along the lanes: for few columns, or sums over many places."""
        s, (g, _, m) = self.s, A.shape
        a, b, to, factor = self._ref(A), self._ref(B), self._ref(dst), self._factors(C)
        same, keeps = _same(C), self._keeps(offset)
        found = affine(dst)
        along = found is not None and found[1][2] == 1

        def block(gi: str, rows: Sequence[str], columns: Sequence[str]) -> None:
            def term(j: Register, acc: list[Register]) -> Sequence[Register]:
                left = [s.at(0, (a(gi, row, j), self.T)) for row in rows]
                right = [s.at(0, (b(gi, column, j), self.T)) for column in columns]
                scale = None if same else s.splat(factor(j))

                def lane(v: Register, acc: list[Register]) -> list[Register]:
                    xs = [s.load("%V", s.at(0, (start, 1), (v, self.W))) for start in left]
                    if scale:
                        xs = [s.op("fmul", scale, x) for x in xs]
                    acc = [*acc]
                    for q, start in enumerate(right):   # one at a time, for twelve sums leave four registers
                        y = s.load("%V", s.at(0, (start, 1), (v, self.W)))
                        for p, x in enumerate(xs):
                            acc[p * len(right) + q] = s.fma(x, y, acc[p * len(right) + q])
                    return acc
                return s.loop(self.registers, lane, acc)
            acc = s.loop(m, term, [s.number(-0.0)] * (len(rows) * len(columns)))
            for p, row in enumerate(rows):
                sums = acc[p * len(columns):(p + 1) * len(columns)]
                if along and len(columns) == self.W:   # they lie side by side
                    x = s.totals(sums)
                    x = s.op("fmul", x, s.number(float(C[0]))) if same and C[0] != 1 else x
                    self._add(to(gi, row, columns[0]), x, keeps, self.W)
                    continue
                for column, total in zip(columns, sums, strict=True):
                    x = s.total(total)
                    s.lanes = 1
                    if same and C[0] != 1:
                        x = s.op("fmul", x, bits(float(C[0])))
                    s.lanes = self.W
                    self._add(to(gi, row, column), x, keeps)

        whole = B.shape[1] // self.W * self.W if along else 0
        rest = self._even(B.shape[1] - whole, 4) if whole < B.shape[1] else []
        runs = [(0, self.W, whole // self.W), *[(whole + first, size, blocks) for first, size, blocks in rest]]

        def group(gi: Register, _: Any) -> None:
            for first, size, blocks in self._even(A.shape[1], 3):
                def down(x: Register, _: Any, first: int = first, size: int = size) -> None:
                    rows = [s.at(first + p, (x, size)) for p in range(size)]
                    for first_, size_, blocks_ in runs[not whole:]:
                        def across(y: Register, _: Any, first_: int = first_, size_: int = size_) -> None:
                            block(gi, rows, [s.at(first_ + q, (y, size_)) for q in range(size_)])
                        s.loop(blocks_, across)
                s.loop(blocks, down)
        s.loop(g, group)

    def _outer_wide(self, factor: float, A: Array, B: Array, dst: Array, offset: Register, valid: Register) -> None:
        """Columns along the registers: for that the rows of B stand transposed, as those of an argument do."""
        s, g, (first, strides) = self.s, len(A), affine(dst)   # type: ignore[misc]
        a, n, count = self._ref(A[:, :, 0]), B.shape[1], self.block[1]
        keeps = self._keeps(offset)
        for k in range(g):
            columns = B[k, :, 0]
            base, between = self._transposed(columns, offset, valid)

            def block(rows: Sequence[str], column: str, k: int = k, base: str = base, between: str = between) -> None:
                outs = [s.at(first + k * strides[0], (row, strides[1]), (column, 1)) for row in rows]
                starts = [s.at(0, (a(str(k), row), self.T)) for row in rows]
                zero = [s.number(-0.0)] * (len(rows) * count)

                def more(q: Register, acc: list[Register]) -> list[Register]:
                    start = s.at(0, (q, between), (column, 1))
                    xs = [s.load(base, s.at(v * self.W, (start, 1))) for v in range(count)]
                    ws = [s.spread("%V", s.at(0, (at, 1), (q, 1))) for at in starts]
                    return [s.fma(ws[p], xs[v], acc[p * count + v]) for p in range(len(rows)) for v in range(count)]
                done = s.loop(valid, more, zero)
                for p, out in enumerate(outs):
                    for v in range(count):
                        y = done[p * count + v]
                        y = s.op("fmul", y, s.number(factor)) if factor != 1 else y
                        self._add(s.at(v * self.W, (out, 1)), y, keeps, s.lanes)

            def across(y: Register, _: Any) -> None:
                column = s.at(0, (y, self.unit))
                for start, size, blocks in self._even(A.shape[1], self.block[0]):
                    def down(x: Register, _: Any, start: int = start, size: int = size) -> None:
                        block([s.at(start + p, (x, size)) for p in range(size)], column)
                    s.loop(blocks, down)
            s.loop(n // self.unit, across)

    def _argument(self, rows: Array) -> int:
        """The argument of which these rows are neighbouring numbers, or −1."""
        cuts = np.concatenate([[0], np.cumsum(self.widths)])
        k = int(np.searchsorted(cuts, rows[0], "right")) - 1
        lies = k < len(self.widths) and rows[-1] < cuts[k + 1] and np.array_equal(rows, np.arange(rows[0], rows[0] + len(rows)))
        return k if lies else -1

    def _transposed(self, rows: Array, offset: Register, valid: Register) -> tuple[Register, str]:
        """(address, distance between examples) of rows (n,) of an argument in a tile, those of one example side by side: as
        they are given, or else a copy."""
        s, n, k = self.s, len(rows), self._argument(rows)
        place = self.scratch
        self.scratch += n
        base = s.pointer("%S", s.at(0, (str(place), self.T)))
        row = self._ref(rows)

        def copy() -> None:
            def one(r: Register, _: Any) -> None:
                start = s.at(0, (row(r), self.T))
                lanes, s.lanes = s.lanes, 1
                s.loop(valid, lambda q, _: s.store(s.load("%V", s.at(0, (start, 1), (q, 1))), base, s.at(0, (q, n), (r, 1))))
                s.lanes = lanes
            s.loop(n, one)
        between, within = self.strides[k]
        lies = s.let(f"icmp eq i64 {within}, 1")
        given = s.pointer(f"%X{k}", s.at(int(rows[0] - sum(self.widths[:k])), (offset, between)))
        s.when(s.let(f"xor i1 {lies}, true"), copy)
        return s.let(f"select i1 {lies}, ptr {given}, ptr {base}"), s.let(f"select i1 {lies}, i64 {between}, i64 {n}")

    def _rowsum(self, i: RowSum, offset: Register) -> None:
        for at, sets in by_first(i.first):
            self._rowsum_of(i.C[at], i.A[at], i.dst[at], self._keeps(offset) if sets else "-1")

    def _rowsum_of(self, C: Array, A: Array, dst: Array, keeps: Register) -> None:
        s, row, to, factor = self.s, self._ref(A), self._ref(dst), self._factors(C)

        def several(r: Register, first: int, size: int) -> None:
            rows = [s.at(first + p, (r, size)) for p in range(size)]   # each waits for its own sum
            starts = [s.at(0, (row(k), self.T)) for k in rows]
            found = s.loop(self.registers, lambda v, acc: [
                s.op("fadd", x, s.load("%V", s.at(0, (start, 1), (v, self.W)))) for x, start in zip(acc, starts, strict=True)],
                [s.number(-0.0)] * size)
            for k, total in zip(rows, found, strict=True):
                x = s.total(total)
                s.lanes = 1
                x = s.op("fmul", x, factor(k))
                s.lanes = self.W
                self._add(to(k), x, keeps)
        for first, size, blocks in self._even(len(A), 4):
            s.loop(blocks, lambda r, _, first=first, size=size: several(r, first, size))


def _in_order(i: Outer) -> Outer:
    """The same with rows and columns in the order of their sums, if these then lie by strides: a table of places in A or B is
    read once for many products, one of places in the sums for every sum."""
    if affine(i.dst):
        return i
    rows, columns = np.argsort(i.dst[:, :, 0], axis=1)[:, :, None], np.argsort(i.dst[:, 0], axis=1)[:, :, None]
    dst = np.take_along_axis(np.take_along_axis(i.dst, rows, 1), columns.swapaxes(1, 2), 2)
    return Outer(i.C, np.take_along_axis(i.A, rows, 1), np.take_along_axis(i.B, columns, 1), dst) if affine(dst) else i


def _same(x: Array) -> bool:
    return bool((x.flat[0] == x).all())
