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
from .functions import applied
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
        self.defined: dict[tuple[Primitive, int, int], str] = {}
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
        last: dict[int, int] = {}   # of a line, the last piece that needs it
        for at, i in enumerate(lines):
            for a in program.args[i]:
                last[a] = at // _PIECE
        free: list[int] = []
        names = []
        for piece in range(-(-len(lines) // _PIECE)):
            mine = lines[piece * _PIECE:(piece + 1) * _PIECE]
            s = Code(self.W if varies else 1)
            known: dict[int, Register] = {}
            for i in mine:
                op = program.ops[i]
                assert op is not None
                known[i] = self._call(s, op, [self._value(s, a, known) for a in program.args[i]])
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

    def _call(self, s: Code, op: Primitive, xs: Sequence[Register]) -> Register:
        """A primitive: in place if it is short, else a call of the function that computes it."""
        key = op, s.lanes, len(xs)
        if key not in self.defined:
            inner = Code(s.lanes)
            y = applied(inner, op, [f"%x{k}" for k in range(len(xs))])
            self.defined[key] = f"@row{len(self.defined)}" if len(inner.lines) > _SHORT else ""
            if self.defined[key]:
                given = ", ".join([f"{s.type} %x{k}" for k in range(len(xs))])
                self.functions.append("\n".join([f"define internal {s.type} {self.defined[key]}({given}) noinline {{", "entry:",
                                                 *inner.lines, f"  ret {s.type} {y}", "}"]))
                self.declared |= inner.declared
        if not self.defined[key]:
            return applied(s, op, xs)
        return s.let(f"call {s.type} {self.defined[key]}({', '.join([f'{s.type} {x}' for x in xs])})")

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
