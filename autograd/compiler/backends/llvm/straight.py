"""Step 6 for graphs without regularity: an LLVM instruction for every line, in functions of some dozens of lines.

LLVM's time grows faster than the length of a function, so the program is cut into pieces; what a piece leaves for another
lies in a row of U (what all examples share, computed once) or of V (a register of examples at a time), reused when free.

Around a call of a function, as tanh, all registers are saved in memory. So lines are ordered by depth: how many such functions
follow each other on the way to them. Those of one depth do not need each other, and the same ones are computed in a loop.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np

from ....primitive import Primitive
from ...program import Program
from .code import Code, Register, bits
from .functions import applied, applied_together
from .loops import LoopProgram, register_lanes

__all__ = ["StraightProgram"]

_PIECE = 50   # groups of lines in a function
_SHORT = 8    # instructions of a primitive that is written in place
_MANY = 8     # so many calls of a function are a loop


@dataclass
class Piece:
    """What one function computes: groups of lines that have their arguments in common. If they are `alike`, the primitives of
    all groups are the same, and no group needs another."""

    alike: bool = False
    groups: list[list[int]] = field(default_factory=list)


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
        self.globals: list[str] = []   # of all functions
        pieces = [self._pieces([i for i, op in enumerate(program.ops) if op and program.varies[i] == varies], varies)
                  for varies in (False, True)]
        s = self._code(self.W)
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

    def _code(self, lanes: int) -> Code:
        """From here on, that of a new function."""
        self.s = Code(lanes)
        self.s.globals = self.globals
        return self.s

    def _pieces(self, lines: Sequence[int], varies: bool) -> list[str]:
        """Functions for the lines, in the order of their calls; what a later one or an output needs is given a row."""
        program, outputs = self.program, set(self.program.outputs)
        pieces = self._cut(lines, self.W if varies else 1)
        last: dict[int, int] = {}   # of a line, the last piece that needs it
        for k, piece in enumerate(pieces):
            last |= {a: k for together in piece.groups for i in together for a in program.args[i]}
        free: list[int] = []
        names = []
        for k, piece in enumerate(pieces):
            mine = [i for together in piece.groups for i in together]
            s = self._code(self.W if varies else 1)
            if piece.alike:
                self._alike(piece.groups, varies)
            else:
                known = self._one_by_one(piece.groups)
                for i in mine:
                    if i in outputs or last.get(i, -1) > k or not varies:
                        self.place[i] = free.pop() if free and varies else self._row(varies)
                        s.store(known[i], "%V" if varies else "%U", str(self.place[i] * s.lanes))
            if varies:
                ended = [a for i in mine for a in program.args[i] if last[a] == k and a not in outputs]
                free += sorted({self.place[a] for a in ended if a in self.place and program.varies[a] and program.ops[a]})
            names.append(name := f"{'varying' if varies else 'shared'}{k}")
            self.declared |= s.declared
            self.functions.append("\n".join([f"define internal void @{name}(ptr noalias %U, ptr noalias %V) {{", "entry:",
                                             *s.lines, "  ret void", "}"]))
        return names

    def _cut(self, lines: Sequence[int], lanes: int) -> list[Piece]:
        """The lines in the order of their depth, and in that of the program where it is the same. Those that call a function
        of the same arguments are together: as tanh and its slope, they may have most of their work in common."""
        ops, args = self.program.ops, self.program.args
        long = {i for i in lines if (op := ops[i]) and self._is_long(op, lanes, len(args[i]))}
        within = self._within(lines, long)
        after: dict[int, int] = {}   # of a line, the least depth of those that need it
        plain: dict[int, list[int]] = {}
        calls: dict[int, dict[tuple[int, ...], list[int]]] = {}   # at a depth, by arguments
        for i in lines:
            depth = max([after.get(a, 0) for a in args[i]])
            after[i] = depth + (i in long)
            if i in long:
                calls.setdefault(depth, {}).setdefault(args[i], []).append(i)
            elif i not in within:
                plain.setdefault(depth, []).extend(self._with(i, within))
        pieces = [Piece()]
        for depth in sorted({*plain, *calls}):
            loops: dict[object, list[list[int]]] = {}
            for together in calls.get(depth, {}).values():
                together.sort(key=lambda i: str(ops[i]))
                loops.setdefault((self._ops(together), self._kinds(together[0])), []).append(together)
            few = [together for groups in loops.values() if len(groups) < _MANY for together in groups]
            for together in [*[[i] for i in plain.get(depth, ())], *few]:
                if pieces[-1].alike or len(pieces[-1].groups) >= _PIECE:
                    pieces.append(Piece())
                pieces[-1].groups.append(together)
            pieces += [Piece(True, groups) for groups in loops.values() if len(groups) >= _MANY]
        return [piece for piece in pieces if piece.groups]

    def _within(self, lines: Sequence[int], long: Collection[int]) -> set[int]:
        """The lines that stand right before the only one that needs them, so that they are in a register then."""
        program = self.program
        uses, user = Counter([a for i in lines for a in program.args[i]]), {a: i for i in lines for a in program.args[i]}
        return {i for i in lines if uses[i] == 1 and i not in long and user[i] not in long} - {*program.outputs}

    def _with(self, i: int, within: Collection[int]) -> list[int]:
        """Line i, and before it those that stand there."""
        order, path = [], [i]
        while path:
            order.append(path.pop())
            path += [a for a in self.program.args[order[-1]] if a in within]
        return order[::-1]

    def _kinds(self, i: int) -> tuple[object, ...]:
        """Of every argument of a line, the number that it is, or whether it varies."""
        program = self.program
        return tuple([bits(program.numbers[a]) if a in program.numbers else program.varies[a] for a in program.args[i]])

    def _one_by_one(self, groups: Sequence[Sequence[int]]) -> dict[int, Register]:
        """The values of the lines, each computed where it stands."""
        known: dict[int, Register] = {}
        for together in groups:
            xs = [self._value(self.s, a, known) for a in self.program.args[together[0]]]
            known |= zip(together, self._call(self.s, self._ops(together), xs), strict=True)
        return known

    def _ops(self, lines: Sequence[int]) -> tuple[Primitive, ...]:
        return tuple([op for i in lines if (op := self.program.ops[i])])

    def _alike(self, groups: Sequence[Sequence[int]], varies: bool) -> None:
        """The same primitives of many arguments, in a loop: the results of each lie in rows side by side. Where a row is one
        number, a register of rows at a time."""
        program, s, n, W = self.program, self.s, len(groups), self.s.lanes
        ops, space = self._ops(groups[0]), "%V" if varies else "%U"
        starts = []
        for lines in zip(*groups, strict=True):
            places = [self._row(varies) for _ in lines]
            self.place |= zip(lines, places, strict=True)
            starts.append(places[0])
        columns = list(zip(*[program.args[together[0]] for together in groups], strict=True))
        refs = [None if column[0] in program.numbers else self._ref(np.array([self.place[a] for a in column]))
                for column in columns]

        def rows(first: int, lanes: int, count: int) -> None:
            def some(k: Register, _: object) -> None:
                at = s.at(first, (k, lanes // W))
                xs = []
                for (a, *_rest), ref in zip(columns, refs, strict=True):
                    if ref is None:
                        xs.append(s.number(program.numbers[a]))
                    elif varies and not program.varies[a]:
                        xs.append(s.spread("%U", ref(at)))
                    elif W > 1:
                        xs.append(s.load("%V", s.at(0, (ref(at), W))))
                    else:
                        xs.append(s.gathered(space, [ref(s.at(q, (at, 1))) for q in range(lanes)]))
                for start, y in zip(starts, applied_together(s, ops, xs), strict=True):
                    s.store(y, space, s.at(start * W, (at, W)))
            s.lanes = lanes
            s.loop(count, some)
        lanes = W if W > 1 else register_lanes()
        whole, rest = divmod(n * W, lanes)
        rows(0, lanes, whole)
        if rest:
            rows(n - rest, 1, rest)

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
