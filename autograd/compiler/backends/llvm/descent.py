"""Many steps of descent as one function: take the examples of a batch, run the kernel, move the parameters, go on.

A step reads the parameters and what the optimiser keeps of them in one pair of buffers and writes the other; where it is not
finite, the two do not change places, so that the last finite step is what remains. The kernel is called by its address.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ...program import Program
from .code import Code, Register
from .functions import applied
from .loops import register_lanes
from .native import Native

__all__ = ["PLACES", "StepsProgram"]

# The words of the table that the function gets, 64 bits each; then two addresses for each argument: its data, and where the
# rows of a batch are put together.
#   U, M      the parameters with the rest of U, and the slots (slots, P), each twice: `side` says which are read
#   V, S, G, E  the kernel's                   H  the sums of a chunk
#   g         the gradient, twice              C  columns (columns, P): numbers of each parameter that do not change
#   A         the addends of the cost, (P,)    kernel  its address
#   order     the rows of the data, batch after batch, or 0: all as they lie        between     rows of an epoch in `order`
#   size, per examples of a batch, batches of an epoch     full, last   the sizes of a batch, and of an epoch's last one
#   totals    the epochs' sums of the cost                 place        [epoch, batch] of the next step
#   steps     how many are to be made                      alive        1, or 0 after a step that was not finite
WORDS = ("U0", "U1", "M0", "M1", "g0", "g1", "V", "G", "H", "E", "S", "C", "A", "kernel", "order", "between", "size",
         "per", "full", "last", "totals", "place", "steps", "alive", "side", "t", "lr")
PLACES = {name: i for i, name in enumerate(WORDS)}


class StepsProgram:
    """The function f(table) of `WORDS`. The sizes of a batch are: its examples n, the number of its chunks, and of each chunk
    where it begins and the kernel's sizes.

    rule      the program of a step of one parameter. Shared: lr, t, n. Varying: the parameter, the gradient of the batch's
              sum, its columns, its slots. Outputs: the new parameter, the new slots, the gradient, an addend of the cost
    parameters, columns, slots, outputs, sums   how many: `outputs` are the kernel's for each example
    widths    of the arguments
    """

    def __init__(self, rule: Program, parameters: int, columns: int, slots: int, outputs: int, sums: int,
                 widths: Sequence[int]) -> None:
        self.parameters, self.columns, self.slots, self.outputs, self.sums = parameters, columns, slots, outputs, sums
        self.widths = widths
        self.declared: set[str] = set()
        functions = [self._update(rule), self._step(), self._steps()]
        self.source = "\n".join([*sorted(self.declared), *functions, ""])
        self.native = Native(self.source, 1)

    def _function(self, head: str, s: Code, result: str = "void") -> str:
        self.declared |= s.declared
        return "\n".join([f"define {head} {{", "entry:", *s.lines, f"  ret {result}", "}"])

    # ---- the optimiser

    def _update(self, rule: Program) -> str:
        """Of all parameters, several at a time: {the sum of their addends, 0 or nan if a number is not finite}."""
        s, W, P = Code(1), register_lanes(), self.parameters
        shared = {0: "%lr", 1: "%t", 2: "%n"}
        for i, op in enumerate(rule.ops):
            if op and not rule.varies[i]:
                shared[i] = applied(s, op, [_line(s, rule, a, shared) for a in rule.args[i]])
        adds = rule.outputs[-1] not in rule.numbers

        def some(lanes: int, first: int, count: int, bad: Register) -> Register:
            if not count:
                return bad
            s.lanes = lanes
            spread = {i: s.splat(x) for i, x in shared.items()}

            def one(r: Register, bad: list[Register]) -> list[Register]:
                place = s.at(first, (r, lanes))
                rows = [("%U", 0), ("%G", 1), *[("%C", k * P) for k in range(self.columns)],
                        *[("%M", k * P) for k in range(self.slots)]]
                known = spread | {3 + k: s.load(base, s.at(at, (place, 1))) for k, (base, at) in enumerate(rows)}
                for i, op in enumerate(rule.ops):
                    if op and rule.varies[i]:
                        known[i] = applied(s, op, [_line(s, rule, a, known) for a in rule.args[i]])
                x, *slots, gradient, addend = [_line(s, rule, o, known) for o in rule.outputs]
                for number, base, at in ((x, "%newU", 0), (gradient, "%newg", 0), *[(y, "%newM", k * P)
                                                                                   for k, y in enumerate(slots)]):
                    s.store(number, base, s.at(at, (place, 1)))
                    bad = [s.fma(number, s.number(0.0), bad[0])]
                if adds:
                    s.store(addend, "%A", place)
                return bad
            bad = s.total(s.loop(count, one, [s.number(0.0) if lanes > 1 else bad])[0])
            s.lanes = 1
            return bad
        bad = some(1, P // W * W, P % W, some(W, 0, P // W, s.number(0.0)))
        total = s.number(0.0)
        if adds:   # in their order, as by the steps that are made one by one
            total = s.loop(P, lambda i, total: [s.op("fadd", total[0], s.load("%A", i))], [total])[0]
        pair = s.let(f"insertvalue {{double, double}} poison, double {total}, 0")
        pair = s.let(f"insertvalue {{double, double}} {pair}, double {bad}, 1")
        pointers = ", ".join([f"ptr noalias %{name}" for name in ("U", "M", "G", "C", "A", "newU", "newM", "newg")])
        return self._function(f"internal {{double, double}} @update({pointers}, double %lr, double %t, double %n)", s,
                              f"{{double, double}} {pair}")

    # ---- a step

    def _step(self) -> str:
        """Gather, run the kernel on every chunk, update; what is not finite leaves the state as it was."""
        s = Code(1)
        side = _word(s, "side")
        U, M = [s.let(f"load ptr, ptr {_at(s, '%table', PLACES[name], side)}") for name in ("U0", "M0")]
        new = [s.let(f"load ptr, ptr {_at(s, '%table', PLACES[name], side, -1)}") for name in ("U1", "M1", "g1")]
        V, G, H, E, S, C, A = [_word(s, name, "ptr") for name in ("V", "G", "H", "E", "S", "C", "A")]
        place, per = _word(s, "place", "ptr"), _word(s, "per")
        epoch, batch = s.let(f"load i64, ptr {place}"), s.let(f"load i64, ptr {_at(s, place, 1)}")
        after = s.let(f"add i64 {batch}, 1")
        ends = s.let(f"icmp eq i64 {after}, {per}")
        sizes = s.let(f"select i1 {ends}, ptr {_word(s, 'last', 'ptr')}, ptr {_word(s, 'full', 'ptr')}")
        n, chunks = s.let(f"load i64, ptr {sizes}"), s.let(f"load i64, ptr {_at(s, sizes, 1)}")
        given = self._gathered(s, s.at(0, (epoch, _word(s, "between")), (batch, _word(s, "size"))), n)

        def chunk(k: Register, bad: list[Register]) -> list[Register]:
            words = 4 + 2 * len(self.widths)   # of a chunk: where it begins; its size, its tiles, their number; the strides
            start = _at(s, sizes, 2, k, words)
            first, count = s.let(f"load i64, ptr {start}"), s.let(f"load i64, ptr {_at(s, start, 1)}")
            later = s.let(f"icmp ne i64 {k}, 0")
            to = s.let(f"select i1 {later}, ptr {H}, ptr {G}")
            xs = [s.pointer(x, s.at(0, (first, width))) for x, width in zip(given, self.widths, strict=True)]
            pointers = ", ".join([f"ptr {x}" for x in (U, V, to, E, S, _at(s, start, 1), *xs)])
            s.lines.append(f"  call void {_word(s, 'kernel', 'ptr')}({pointers})")

            def add(i: Register, _: object) -> None:
                s.store(s.op("fadd", s.load(G, i), s.load(H, i)), G, i)
            s.when(later, partial(s.loop, self.sums, add))
            if not self.outputs:
                return bad
            return [*s.loop(s.at(0, (count, self.outputs)), lambda i, bad: [s.fma(s.load(E, i), s.number(0.0), bad[0])], bad)]
        bad = s.loop(chunks, chunk, [s.number(0.0)])[0]
        t = s.let(f"add i64 {_word(s, 't')}, 1")
        numbers = [_word(s, "lr", "double"), *[s.let(f"uitofp i64 {x} to double") for x in (t, n)]]
        pair = s.let(f"call {{double, double}} @update({', '.join([f'ptr {x}' for x in (U, M, G, C, A, *new)])}, "
                     f"{', '.join([f'double {x}' for x in numbers])})")
        cost = s.op("fadd", s.load(G, "0"), s.let(f"extractvalue {{double, double}} {pair}, 0"))
        bad = s.op("fadd", bad, s.let(f"extractvalue {{double, double}} {pair}, 1"))
        right = s.compare("oeq", s.fma(cost, s.number(0.0), bad), s.number(0.0))
        _put(s, s.let(f"zext i1 {right} to i64"), "alive")

        def go_on() -> None:
            totals = _word(s, "totals", "ptr")
            s.store(s.op("fadd", s.load(totals, epoch), cost), totals, epoch)
            _put(s, t, "t")
            _put(s, s.let(f"sub i64 1, {side}"), "side")
            s.lines += [f"  store i64 {s.let(f'select i1 {ends}, i64 0, i64 {after}')}, ptr {_at(s, place, 1)}",
                        f"  store i64 {s.at(0, (epoch, 1), (s.let(f'zext i1 {ends} to i64'), 1))}, ptr {place}"]
        s.when(right, go_on)
        return self._function("internal void @step(ptr %table)", s)

    def _gathered(self, s: Code, first: Register, n: Register) -> list[Register]:
        """The addresses of the batch's arguments: their rows are put together, unless they lie so."""
        order = _word(s, "order", "ptr")
        gathers = s.let(f"icmp ne ptr {order}, null")
        data, rooms = [[s.let(f"load ptr, ptr {_at(s, '%table', len(WORDS) + 2 * k + which)}") for k in range(len(self.widths))]
                       for which in (0, 1)]
        copy = "@llvm.memcpy.p0.p0.i64"
        self.declared.add(f"declare void {copy}(ptr, ptr, i64, i1)")

        def one(i: Register, _: object) -> None:
            row = s.let(f"load i64, ptr {_at(s, order, 0, s.at(0, (first, 1), (i, 1)))}")
            for x, to, width in zip(data, rooms, self.widths, strict=True):
                source, target = s.pointer(x, s.at(0, (row, width))), s.pointer(to, s.at(0, (i, width)))
                s.lines.append(f"  call void {copy}(ptr align 8 {target}, ptr align 8 {source}, i64 {8 * width}, i1 false)")
        s.when(gathers, partial(s.loop, n, one))
        return [s.let(f"select i1 {gathers}, ptr {to}, ptr {x}") for x, to in zip(data, rooms, strict=True)]

    def _steps(self) -> str:
        s = Code(1)

        def one(_: Register, __: object) -> None:
            s.when(s.let(f"icmp ne i64 {_word(s, 'alive')}, 0"), lambda: s.lines.append("  call void @step(ptr %table)"))
        s.loop(_word(s, "steps"), one)
        return self._function("void @f(ptr %table)", s)


def _line(s: Code, rule: Program, i: int, known: dict[int, Register]) -> Register:
    return s.number(rule.numbers[i]) if i in rule.numbers else known[i]


def _at(s: Code, base: Register, first: int, i: Register = "0", stride: int = 1) -> Register:
    """The address of a word."""
    return s.let(f"getelementptr i64, ptr {base}, i64 {s.at(first, (i, stride))}")


def _word(s: Code, name: str, type_: str = "i64") -> Register:
    return s.let(f"load {type_}, ptr {_at(s, '%table', PLACES[name])}")


def _put(s: Code, x: Register, name: str) -> None:
    s.lines.append(f"  store i64 {x}, ptr {_at(s, '%table', PLACES[name])}")
