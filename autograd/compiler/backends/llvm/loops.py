"""Step 6 compiled: the instructions as LLVM loops over tiles of the batch, a few examples in every register.

A tile is T examples. Its arguments are transposed into V (rows of T numbers), the instructions run on V, and what is summed
over the batch is added to G, which the first tile sets. Matrix products keep a block of results in registers. The last tile
is as short as whole blocks allow, and repeats the batch's last example; those lanes are set to 0 before anything is summed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...instructions import Apply, Array, Instruction, Linear, MatMul, Outer, Products, Rolled, RowSum, Spread, affine, by_first
from .code import Code, Register, bits
from .functions import applied_together
from .native import Native

__all__ = ["LoopProgram", "register_lanes"]

_UNROLLED = 16        # a shorter sum is written out
_PART = 20            # instructions in a function
_DEPTH = 256          # terms of a matrix product that stay in the cache while all its rows are computed
Index = Callable[..., str]
Values = Callable[[list[Register]], list[Register]]   # of the arguments of a row


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
        body = self._fused(rolled.body)
        self.T, tiles = self._sizes()
        self.functions: list[str] = []
        s.lines += [part(self.T) for part in self._parts([i for i in body if i[0].shared], 1)]
        parts = self._parts([i for i in body if not i[0].shared], W)
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
    def _fused(body: Sequence[Instruction]) -> list[list[Instruction]]:
        """Instructions that are done together: a matrix product and the bias that is added to its rows; primitives of the same
        rows, as tanh and its slope, which have most of their work in common."""
        found: list[list[Instruction]] = []
        of_rows: dict[object, list[Instruction]] = {}   # primitives by their arguments
        for i in body:
            before = found[-1] if found else []
            if isinstance(i, Apply):
                key = i.shared, *[(shared, index.tobytes()) for shared, index in i.args]
                if key in of_rows:
                    of_rows[key].append(i)
                    continue
                of_rows[key] = [i]
                found.append(of_rows[key])
            elif (isinstance(i, Spread) and len(before) == 1 and isinstance(before[0], MatMul)
                    and (before[0].start, before[0].size, before[0].shared) == (i.start, i.size, i.shared)):
                before.append(i)
            else:
                found.append([i])
        return found

    def _emit(self, together: Sequence[Instruction]) -> None:
        getattr(self, f"_{type(together[0]).__name__.lower()}")(*together)

    def _parts(self, body: Sequence[Sequence[Instruction]], lanes: int) -> list[Callable[[Register], str]]:
        """The instructions as functions of T, cut up since LLVM's time grows faster than a function; the calls of them."""
        s = self.s
        outside = s.lines, s.block, s.lanes, self.T
        calls: list[Callable[[Register], str]] = []
        for start in range(0, len(body), _PART):
            s.lines, s.block, s.lanes = [], "entry", lanes
            self._of_size("%T")
            for i in body[start:start + _PART]:
                self._emit(i)
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
        summed = np.unique(np.concatenate([i.A.ravel() for i in totals])) if totals else np.zeros(0, int)
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
            (self._outer if isinstance(i, Outer) else self._rowsum)(i, offset, valid)
        self._keep(*self.rolled.each, offset, valid)

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
                self._add(to(k), s.op("fmul", count, s.load("%U", row(k))), "true" if sets else "")
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

    def _add(self, place: str, x: Register, begins: Register = "", lanes: int = 1) -> None:
        """G[place] += x, so many numbers; where that `begins` the sum, G[place] = 0 + x, whatever was there."""
        s, outside = self.s, self.s.lanes
        s.lanes = lanes
        before = s.load("%G", place)
        if begins:
            before = s.select(begins, s.number(0.0), before)
        s.store(s.op("fadd", before, x), "%G", place)
        s.lanes = outside

    def _begins(self, offset: Register, lanes: int = 1) -> Register:
        """In every lane, whether this is the first tile, which sets what the others add to."""
        s = self.s
        first = s.let(f"icmp eq i64 {offset}, 0")
        if lanes == 1:
            return first
        one = s.let(f"insertelement <{lanes} x i1> poison, i1 {first}, i32 0")
        return s.let(f"shufflevector <{lanes} x i1> {one}, <{lanes} x i1> poison, <{lanes} x i32> zeroinitializer")

    # ---- instructions row by row

    def _rows(self, outs: Sequence[Instruction], args: Sequence[tuple[bool, Array]], values: Values) -> None:
        """Row after row of each: what is there (unless it is set first) plus the value of the arguments."""
        s, i = self.s, outs[0]
        found = [affine(index) for _, index in args]
        if i.shared and i.size >= self.W and all([f and f[1] in ([0], [1]) for f in found]):
            self._along(outs, [(f[0], f[1][0]) for f in found if f], values)
            return
        refs = [(shared, self._ref(index)) for shared, index in args]

        def row(r: Register, _: Any) -> None:
            at = [(shared, ref(r)) for shared, ref in refs]
            places = [s.at(out.start, (r, 1)) for out in outs]
            if i.shared:
                self._put(outs, values([s.load("%U", place) for _, place in at]), "%U", places)
                return
            fixed = {q: s.spread("%U", place) for q, (shared, place) in enumerate(at) if shared}
            starts = {q: s.at(0, (place, self.T)) for q, (shared, place) in enumerate(at) if not shared}
            to = [s.at(0, (place, self.T)) for place in places]

            def lane(v: Register, _: Any) -> None:
                xs = values([fixed[q] if q in fixed else s.load("%V", s.at(0, (starts[q], 1), (v, self.W)))
                             for q in range(len(at))])
                self._put(outs, xs, "%V", [s.at(0, (place, 1), (v, self.W)) for place in to])
            s.loop(self.registers, lane)
        s.loop(i.size, row)

    def _put(self, outs: Sequence[Instruction], xs: Sequence[Register], base: Register, places: Sequence[str]) -> None:
        for out, x, place in zip(outs, xs, places, strict=True):
            self.s.store(x if out.first else self.s.op("fadd", self.s.load(base, place), x), base, place)

    def _along(self, outs: Sequence[Instruction], args: Sequence[tuple[int, int]], values: Values) -> None:
        """Rows of U that lie side by side, a register of them at a time."""
        s, i = self.s, outs[0]
        for lanes, first, count in ((self.W, 0, i.size // self.W), (1, i.size // self.W * self.W, i.size % self.W)):
            def run(r: Register, _: Any, lanes: int = lanes, first: int = first) -> None:
                place = s.at(first, (r, lanes))
                xs = [s.load("%U", s.at(start, (place, 1))) if stride else s.spread("%U", str(start)) for start, stride in args]
                self._put(outs, values(xs), "%U", [s.at(out.start, (place, 1)) for out in outs])
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

        def term(c: float, xs: Sequence[Register]) -> Register:
            x = s.op("fmul", *xs) if len(xs) == 2 else xs[0]
            return x if c == 1 else s.negated(x) if c == -1 else s.op("fmul", x, s.number(c))
        if m <= _UNROLLED:
            columns = [(i.shared, A[:, j]) for j in range(m)]
            if B is not None:
                columns += [(i.shared, B[:, j]) for j in range(m)]

            def value(xs: list[Register]) -> list[Register]:
                total = ""
                for j in range(m):
                    x = term(float(C[j]), [xs[j]] if B is None else [xs[j], xs[m + j]])
                    total = s.op("fadd", total, x) if total else x
                return [total]
            self._rows([i], columns, value)
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

    def _matmul(self, i: MatMul, bias: Spread | None = None) -> None:
        s, (g, r, m), c = self.s, i.W.shape, i.H.shape[2]
        w, h = self._ref(i.W), self._ref(i.H)
        spread = self._ref(bias.A.reshape(g, r, c)) if bias else None
        count = self.block[1]

        def block(gi: str, ci: str, rows: Sequence[str], lane: str, low: int, depth: int) -> None:
            outs = [s.at(0, (s.at(i.start, (gi, r * c), (row, c), (ci, 1)), self.T), (lane, 1)) for row in rows]
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
            for a, out in enumerate(outs):
                for q in range(count):
                    s.store(done[a * count + q], "%V", s.at(q * self.W, (out, 1)))

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
        found = affine(dst)
        wide = found and (found[1][2] == 1 or dst.shape[2] == 1) and A.shape[2] == 1 and A.shape[1] >= 4
        return B.shape[1] // self.unit * self.unit if wide else 0

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
        same, begins = _same(C), self._begins(offset)

        def block(gi: str, rows: Sequence[str], columns: Sequence[str]) -> None:
            def term(j: Register, acc: list[Register]) -> Sequence[Register]:
                left = [s.at(0, (a(gi, row, j), self.T)) for row in rows]
                right = [s.at(0, (b(gi, column, j), self.T)) for column in columns]
                scale = None if same else s.splat(factor(j))

                def lane(v: Register, acc: list[Register]) -> list[Register]:
                    xs = [s.load("%V", s.at(0, (start, 1), (v, self.W))) for start in left]
                    ys = [s.load("%V", s.at(0, (start, 1), (v, self.W))) for start in right]
                    if scale:
                        xs = [s.op("fmul", scale, x) for x in xs]
                    return [s.fma(x, y, acc[p * len(ys) + q]) for p, x in enumerate(xs) for q, y in enumerate(ys)]
                return s.loop(self.registers, lane, acc)
            acc = s.loop(m, term, [s.number(-0.0)] * (len(rows) * len(columns)))
            for p, row in enumerate(rows):
                for q, column in enumerate(columns):
                    x = s.total(acc[p * len(columns) + q])
                    s.lanes = 1
                    if same and C[0] != 1:
                        x = s.op("fmul", x, bits(float(C[0])))
                    s.lanes = self.W
                    self._add(to(gi, row, column), x, begins)

        def group(gi: Register, _: Any) -> None:
            for first, size, blocks in self._even(A.shape[1], 3):
                def down(x: Register, _: Any, first: int = first, size: int = size) -> None:
                    rows = [s.at(first + p, (x, size)) for p in range(size)]
                    for first_, size_, blocks_ in self._even(B.shape[1], 4):
                        def across(y: Register, _: Any, first_: int = first_, size_: int = size_) -> None:
                            block(gi, rows, [s.at(first_ + q, (y, size_)) for q in range(size_)])
                        s.loop(blocks_, across)
                s.loop(blocks, down)
        s.loop(g, group)

    def _outer_wide(self, factor: float, A: Array, B: Array, dst: Array, offset: Register, valid: Register) -> None:
        """Columns along the registers: for that the rows of B stand transposed, as an argument does already."""
        s, g, (first, strides) = self.s, len(A), affine(dst)   # type: ignore[misc]
        a, n, count = self._ref(A[:, :, 0]), B.shape[1], self.block[1]
        begins = self._begins(offset, s.lanes)
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
                        self._add(s.at(v * self.W, (out, 1)), y, begins, s.lanes)

            def across(y: Register, _: Any) -> None:
                column = s.at(0, (y, self.unit))
                for start, size, blocks in self._even(A.shape[1], self.block[0]):
                    def down(x: Register, _: Any, start: int = start, size: int = size) -> None:
                        block([s.at(start + p, (x, size)) for p in range(size)], column)
                    s.loop(blocks, down)
            s.loop(n // self.unit, across)

    def _transposed(self, rows: Array, offset: Register, valid: Register) -> tuple[Register, str]:
        """(address, distance between examples) of the rows (n,) of a tile, those of one example side by side."""
        s, n = self.s, len(rows)
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
        cuts = np.concatenate([[0], np.cumsum(self.widths)])
        k = int(np.searchsorted(cuts, rows[0], "right")) - 1
        if k < len(self.widths) and rows[-1] < cuts[k + 1] and np.array_equal(rows, np.arange(rows[0], rows[0] + n)):
            between, within = self.strides[k]
            lies = s.let(f"icmp eq i64 {within}, 1")
            given = s.pointer(f"%X{k}", s.at(int(rows[0] - cuts[k]), (offset, between)))
            s.when(s.let(f"xor i1 {lies}, true"), copy)
            return (s.let(f"select i1 {lies}, ptr {given}, ptr {base}"),
                    s.let(f"select i1 {lies}, i64 {between}, i64 {n}"))
        copy()
        return base, str(n)

    def _rowsum(self, i: RowSum, offset: Register, valid: Register) -> None:
        for at, sets in by_first(i.first):
            self._rowsum_of(i.C[at], i.A[at], i.dst[at], self._begins(offset) if sets else "")

    def _rowsum_of(self, C: Array, A: Array, dst: Array, begins: Register) -> None:
        s, row, to, factor = self.s, self._ref(A), self._ref(dst), self._factors(C)

        def one(r: Register, _: Any) -> None:
            start = s.at(0, (row(r), self.T))
            x = s.loop(self.registers, lambda v, acc: [s.op("fadd", acc[0], s.load("%V", s.at(0, (start, 1), (v, self.W))))],
                       [s.number(-0.0)])[0]
            x = s.total(x)
            s.lanes = 1
            x = s.op("fmul", x, factor(r))
            s.lanes = self.W
            self._add(to(r), x, begins)
        s.loop(len(A), one)


def _same(x: Array) -> bool:
    return bool((x.flat[0] == x).all())
