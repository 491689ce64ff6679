"""Step 6 for graphs without regularity: an LLVM instruction for every line, in functions of a few hundred lines.

LLVM's time grows faster than the length of a function, so the program is cut into pieces; what a piece leaves for another
lies in a row of U (what all examples share, computed once) or of V (a register of examples at a time), reused when free.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ....primitive import Primitive
from ...program import Program
from .code import Code, Register
from .functions import applied, applied_together
from .loops import LoopProgram, register_lanes

__all__ = ["StraightProgram"]

_PIECE = 300
_SHORT = 8   # instructions of a primitive that is written in place


class StraightProgram(LoopProgram):
    """A program as a function of the same addresses as LoopProgram's; a tile is one register of examples."""

    def __init__(self, program: Program, widths: Sequence[int], batched: bool) -> None:
        self.program, self.widths = program, list(widths)
        self.W = self.unit = register_lanes() if batched else 1
        self.scratch, self.numbers = 0, []
        self.defined: dict[tuple[tuple[Primitive, ...], int, int], str] = {}   # functions of primitives, lanes and arguments
        self.long: dict[tuple[Primitive, int, int], bool] = {}
        self.functions: list[str] = []
        self.declared: set[str] = set()
        self.rows_shared, self.rows = program.shared, program.varying
        self.place: dict[int, int] = {i: i for i in range(program.shared)}   # of a line, its row of U or V
        self.place |= {program.shared + i: i for i in range(program.varying)}
        pieces = [self._pieces([i for i, op in enumerate(program.ops) if op and program.varies[i] == varies], varies)
                  for varies in (False, True)]
        s = self.s = Code(self.W)
        self.T = str(self.W)
        self.registers = "1"
        _, tiles = self._sizes()
        s.lines += [f"  call void @{name}(ptr %U, ptr %V)" for name in pieces[0]]
        sums = [(k, o) for k, o in enumerate(program.outputs[:program.sums])]
        each = [(k, o) for k, o in enumerate(program.outputs[program.sums:])]
        totals = [(k, o) for k, o in sums if program.varies[o]]
        first = self.rows
        self.rows += len(totals)
        if totals:
            s.loop(len(totals), lambda k, _: s.store(s.number(0.0), "%V", s.at(first * self.W, (k, self.W))))
        s.loop(tiles, lambda t, _: self._one(t, pieces[1], totals, first, [(k, o) for k, o in each if program.varies[o]]))
        s.lanes = 1
        if program.sums:
            s.loop(program.sums, lambda k, _: s.store(s.number(0.0), "%G", k))
        s.lanes = self.W
        if totals:
            to = self._ref(np.array([k for k, _ in totals]))
            s.loop(len(totals), lambda k, _: self._add(to(k), s.total(s.load("%V", s.at(first * self.W, (k, self.W))))))
        self._constants([(k, o) for k, o in sums if not program.varies[o]], [(k, o) for k, o in each if not program.varies[o]])
        s.declared |= self.declared
        self._compile()
        del self.program

    def _pieces(self, lines: Sequence[int], varies: bool) -> list[str]:
        """Functions for the lines, in their order; what a later one or an output needs is given a row."""
        program, outputs = self.program, set(self.program.outputs)
        pieces: list[list[list[int]]] = []
        lanes, left = self.W if varies else 1, 0
        for together in self._together(lines, lanes):
            if left <= 0:
                pieces.append([])
                left = _PIECE
            pieces[-1].append(together)
            left -= len(together)
        last: dict[int, int] = {}   # of a line, the last piece that needs it
        for piece, groups in enumerate(pieces):
            last |= {a: piece for together in groups for i in together for a in program.args[i]}
        free: list[int] = []
        names = []
        for piece, groups in enumerate(pieces):
            mine = [i for together in groups for i in together]
            s = Code(lanes)
            known: dict[int, Register] = {}
            for together in groups:
                xs = [self._value(s, a, known) for a in program.args[together[0]]]
                ops = tuple([op for i in together if (op := program.ops[i])])
                known |= zip(together, self._call(s, ops, xs), strict=True)
            for i in mine:
                if i in outputs or last.get(i, -1) > piece or not varies:
                    self.place[i] = free.pop() if free and varies else self._row(varies)
                    s.store(known[i], "%V" if varies else "%U", str(self.place[i] * s.lanes))
            if varies:
                ended = [a for i in mine for a in program.args[i] if last[a] == piece and a not in outputs]
                free += sorted({self.place[a] for a in ended if a in self.place and program.varies[a] and program.ops[a]})
            name = f"{'varying' if varies else 'shared'}{piece}"
            self.declared |= s.declared
            self.functions.append("\n".join([f"define internal void @{name}(ptr noalias %U, ptr noalias %V) {{", "entry:",
                                             *s.lines, "  ret void", "}"]))
            names.append(name)
        return names

    def _together(self, lines: Sequence[int], lanes: int) -> list[list[int]]:
        """The lines in order, but those that call a function at once where others call one of the same arguments: as tanh and
        its slope, they may have most of their work in common."""
        found: list[list[int]] = []
        calls: dict[tuple[int, ...], list[int]] = {}   # of arguments
        for i in lines:
            op, of = self.program.ops[i], self.program.args[i]
            if not (op and self._is_long(op, lanes, len(of))):
                found.append([i])
            elif of in calls:
                calls[of].append(i)
            else:
                calls[of] = [i]
                found.append(calls[of])
        return found

    def _row(self, varies: bool) -> int:
        if varies:
            self.rows += 1
            return self.rows - 1
        self.rows_shared += 1
        return self.rows_shared - 1

    def _value(self, s: Code, i: int, known: dict[int, Register]) -> Register:
        program = self.program
        if i in program.numbers:
            return s.number(program.numbers[i])
        if i not in known:
            known[i] = (s.load("%V", str(self.place[i] * s.lanes)) if program.varies[i] else s.spread("%U", str(self.place[i])))
        return known[i]

    def _call(self, s: Code, ops: tuple[Primitive, ...], xs: Sequence[Register]) -> list[Register]:
        """Primitives of the same arguments: one in place if it is short, else a call of the function that computes them."""
        if len(ops) == 1 and not self._is_long(ops[0], s.lanes, len(xs)):
            return [applied(s, ops[0], xs)]
        type_ = self._result(s, len(ops))
        y = s.let(f"call {type_} {self._function(ops, s.lanes, len(xs))}({', '.join([f'{s.type} {x}' for x in xs])})")
        return [y] if len(ops) == 1 else [s.let(f"extractvalue {type_} {y}, {k}") for k in range(len(ops))]

    def _is_long(self, op: Primitive, lanes: int, n: int) -> bool:
        """Whether a primitive of n arguments is more than a few instructions."""
        key = op, lanes, n
        if key not in self.long:
            inner = Code(lanes)
            applied(inner, op, [f"%x{k}" for k in range(n)])
            self.long[key] = len(inner.lines) > _SHORT
        return self.long[key]

    def _function(self, ops: tuple[Primitive, ...], lanes: int, n: int) -> str:
        """The name of the function of n arguments that computes the primitives."""
        key = ops, lanes, n
        if key not in self.defined:
            self.defined[key] = name = f"@row{len(self.defined)}"
            s = Code(lanes)
            ys, type_ = applied_together(s, ops, [f"%x{k}" for k in range(n)]), self._result(s, len(ops))
            y = ys[0] if len(ops) == 1 else "poison"
            for k, one in enumerate(ys if len(ops) > 1 else []):
                y = s.let(f"insertvalue {type_} {y}, {s.type} {one}, {k}")
            given = ", ".join([f"{s.type} %x{k}" for k in range(n)])
            self.functions.append("\n".join([f"define internal {type_} {name}({given}) noinline {{", "entry:", *s.lines,
                                             f"  ret {type_} {y}", "}"]))
            self.declared |= s.declared
        return self.defined[key]

    @staticmethod
    def _result(s: Code, n: int) -> str:
        """The type of what a function gives, a value or several."""
        return s.type if n == 1 else f"{{{', '.join([s.type] * n)}}}"

    def _one(self, t: Register, pieces: Sequence[str], totals: Sequence[tuple[int, int]], first: int,
             each: Sequence[tuple[int, int]]) -> None:
        """A tile."""
        s = self.s
        offset = s.at(0, (t, self.W))
        self._transpose(offset)
        s.lines += [f"  call void @{name}(ptr %U, ptr %V)" for name in pieces]
        left = s.let(f"sub nsw i64 {self.B}, {offset}")
        if totals:
            row = self._ref(np.array([self.place[o] for _, o in totals]))
            inside = ""
            if self.W > 1:
                one = s.let(f"insertelement {s.ints} poison, i64 {left}, i32 0")
                every = s.let(f"shufflevector {s.ints} {one}, {s.ints} poison, <{self.W} x i32> zeroinitializer")
                lanes = "<" + ", ".join([f"i64 {q}" for q in range(self.W)]) + ">"
                inside = s.let(f"icmp slt {s.ints} {lanes}, {every}")

            def add(k: Register, _: object) -> None:
                x, place = s.load("%V", s.at(0, (row(k), self.W))), s.at(first * self.W, (k, self.W))
                x = s.select(inside, x, s.number(0.0)) if inside else x
                s.store(s.op("fadd", s.load("%V", place), x), "%V", place)
            s.loop(len(totals), add)
        if each:
            part = s.let(f"icmp ult i64 {left}, {self.W}")
            valid = s.let(f"select i1 {part}, i64 {left}, i64 {self.W}")
            self._keep(np.array([k for k, _ in each]), np.array([self.place[o] for _, o in each]), offset, valid)

    def _constants(self, sums: Sequence[tuple[int, int]], each: Sequence[tuple[int, int]]) -> None:
        """Outputs that are the same in every example."""
        s, numbers = self.s, self.program.numbers
        s.lanes = 1
        count = s.let(f"uitofp i64 {self.B} to double")
        for k, o in sums:
            x = s.number(numbers[o]) if o in numbers else s.load("%U", str(self.place[o]))
            self._add(str(k), s.op("fmul", count, x))
        for k, o in each:
            x = s.number(numbers[o]) if o in numbers else s.load("%U", str(self.place[o]))
            start = s.at(0, (str(k), self.B))
            s.loop(self.B, lambda b, _, x=x, start=start: s.store(x, "%E", s.at(0, (start, 1), (b, 1))))
