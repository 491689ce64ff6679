"""Many steps of descent as one function: take the examples of a batch, run the kernel, move the parameters, go on.

A step reads the parameters and what the optimiser keeps of them in one pair of buffers and writes the other; where it is not
finite, the two do not change places, so that the last finite step is what remains. The kernel is called by its address.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ...program import Program
from ..recent import Recent, key_of
from .code import Code, Register
from .functions import applied
from .loops import register_lanes
from .native import Native

__all__ = ["PLACES", "StepsProgram"]

# The words of the table that the function gets, 64 bits each; then three for each argument: the address of its data, that where
# the rows of a batch are put together, and its width.
#   U, M      the parameters with the rest of U, and the slots (slots, moved), each twice: `side` says which are read
#   V, S, G, E  the kernel's                   H  the sums of a chunk
#   g         the gradient, twice              C  columns (columns, P): numbers of each parameter that do not change
#   A         the addends of the cost, (P,)    kernel  its address
#   P, moved  how many parameters there are, and how many of them, the first, are moved
#   sums, outputs  of the kernel: of a batch, and of each example
#   order     the rows of the data, batch after batch, or 0: all as they lie        between     rows of an epoch in `order`
#   size, per examples of a batch, batches of an epoch     full, last   the sizes of a batch, and of an epoch's last one
#   rates     the learning rate of each epoch              totals       the epochs' sums of the cost
#   place     [epoch, batch] of the next step              steps        how many are to be made
#   alive     1, or 0 after a step that was not finite
WORDS = ("U0", "U1", "M0", "M1", "g0", "g1", "V", "G", "H", "E", "S", "C", "A", "kernel", "P", "moved", "sums", "outputs",
         "order", "between", "size", "per", "full", "last", "rates", "totals", "place", "steps", "alive", "side", "t")
PLACES = {name: i for i, name in enumerate(WORDS)}
_SHORT = 16   # numbers, of which fewer are copied sooner one by one than by memcpy
_PLAIN = "noinline optnone "   # of what takes no time: LLVM is then done in a third of it
_RECENT = Recent["StepsProgram"](10_000)   # lines of the rules that were compiled last


class StepsProgram:
    """The function f(table) of `WORDS`: of a rule, whatever the cost and its sizes are. The sizes of a batch are: its examples
    n, the number of its chunks, and of each chunk where it begins and the kernel's sizes.

    rule      the program of a step of one parameter. Shared: lr, t, n. Varying: the parameter, the gradient of the batch's
              sum, its columns, its slots. Outputs: the new parameter, the new slots, the gradient, an addend of the cost
    columns, slots   how many
    arguments        of the cost, besides the parameters
    at_hand          LookupError unless its machine code is kept
    """

    def __init__(self, rule: Program, columns: int, slots: int, arguments: int, at_hand: bool = False) -> None:
        self.columns, self.slots, self.arguments = columns, slots, arguments
        self.declared: set[str] = set()
        functions = [self._update(rule), self._gather(), self._step(), self._steps()]
        self.source = "\n".join([*sorted(self.declared), *functions, ""])
        self.native = Native(self.source, 1, at_hand=at_hand)

    @classmethod
    def of(cls, rule: Program, columns: int, slots: int, arguments: int, at_hand: bool = False) -> StepsProgram:
        """One that was made before in this process, or is made."""
        return _RECENT.get((key_of(rule), columns, slots, arguments), len(rule.ops),
                           partial(cls, rule, columns, slots, arguments, at_hand))

    def _function(self, head: str, s: Code, result: str = "void", attributes: str = "") -> str:
        self.declared |= s.declared
        return "\n".join([f"define {head} {attributes}{{", "entry:", *s.lines, f"  ret {result}", "}"])

    # ---- the optimiser

    def _update(self, rule: Program) -> str:
        """Of all parameters, several at a time: {the sum of their addends, 0 or nan if a number is not finite}."""
        s, W = Code(1), register_lanes()
        shared = {0: "%lr", 1: "%t", 2: "%n"}
        for i, op in enumerate(rule.ops):
            if op and not rule.varies[i]:
                shared[i] = applied(s, op, [_line(s, rule, a, shared) for a in rule.args[i]])
        adds = rule.outputs[-1] not in rule.numbers
        bad = s.let("alloca double")
        s.store(s.number(0.0), bad, "0")

        def some(lanes: int, first: Register, count: Register, moves: bool) -> None:
            """Of `count` times so many parameters; of those that stay, only the gradient and the addend."""
            s.lanes = lanes
            wanted = rule.outputs if moves else rule.outputs[-2:]
            lines = _below(rule, wanted)
            spread = {i: s.splat(x) for i, x in shared.items() if i in lines}

            def one(r: Register, found: list[Register]) -> list[Register]:
                at = s.at(0, (first, 1), (r, lanes))
                rows = [("%U", at), ("%G", s.at(1, (at, 1))),
                        *[("%C", s.at(0, (at, 1), ("%P", k))) for k in range(self.columns)],
                        *[("%M", s.at(0, (at, 1), ("%moved", k))) for k in range(self.slots)]]
                known = spread | {3 + k: s.load(base, place) for k, (base, place) in enumerate(rows) if 3 + k in lines}
                for i, op in enumerate(rule.ops):
                    if op and rule.varies[i] and i in lines:
                        known[i] = applied(s, op, [_line(s, rule, a, known) for a in rule.args[i]])
                *new, gradient, addend = [_line(s, rule, o, known) for o in wanted]
                places = [("%newU", at), *[("%newM", s.at(0, (at, 1), ("%moved", k))) for k in range(self.slots)]]
                for number, (base, place) in zip([*new, gradient], [*places[:len(new)], ("%newg", at)], strict=True):
                    s.store(number, base, place)
                    found = [s.fma(number, s.number(0.0), found[0])]
                if adds:
                    s.store(addend, "%A", at)
                return found
            total = s.total(s.loop(count, one, [s.number(0.0)])[0])
            s.lanes = 1
            s.store(s.op("fadd", s.load(bad, "0"), total), bad, "0")
        whole, rest, still = [s.let(text) for text in (f"udiv i64 %moved, {W}", f"urem i64 %moved, {W}", "sub i64 %P, %moved")]
        s.when(_is_not_0(s, whole), partial(some, W, "0", whole, True))
        s.when(_is_not_0(s, rest), partial(some, 1, s.let(f"sub i64 %moved, {rest}"), rest, True))
        s.when(_is_not_0(s, still), partial(some, 1, "%moved", still, False))
        total = s.number(0.0)
        if adds:   # in their order, as by the steps that are made one by one
            total = s.loop("%P", lambda i, total: [s.op("fadd", total[0], s.load("%A", i))], [total])[0]
        pair = s.let(f"insertvalue {{double, double}} poison, double {total}, 0")
        pair = s.let(f"insertvalue {{double, double}} {pair}, double {s.load(bad, '0')}, 1")
        pointers = ", ".join([f"ptr noalias %{name}" for name in ("U", "M", "G", "C", "A", "newU", "newM", "newg")])
        return self._function(f"internal {{double, double}} @update({pointers}, i64 %P, i64 %moved, double %lr, double %t, "
                              "double %n)", s, f"{{double, double}} {pair}")

    # ---- a step

    def _step(self) -> str:
        """Gather, run the kernel on every chunk, update; what is not finite leaves the state as it was."""
        s = Code(1)
        side = _word(s, "side")
        U, M = [s.let(f"load ptr, ptr {_at(s, '%table', PLACES[name], side)}") for name in ("U0", "M0")]
        new = [s.let(f"load ptr, ptr {_at(s, '%table', PLACES[name], side, -1)}") for name in ("U1", "M1", "g1")]
        V, G, H, E, S, C, A = [_word(s, name, "ptr") for name in ("V", "G", "H", "E", "S", "C", "A")]
        place, per, sums, outputs = _word(s, "place", "ptr"), _word(s, "per"), _word(s, "sums"), _word(s, "outputs")
        epoch, batch = s.let(f"load i64, ptr {place}"), s.let(f"load i64, ptr {_at(s, place, 1)}")
        after = s.let(f"add i64 {batch}, 1")
        ends = s.let(f"icmp eq i64 {after}, {per}")
        sizes = s.let(f"select i1 {ends}, ptr {_word(s, 'last', 'ptr')}, ptr {_word(s, 'full', 'ptr')}")
        n, chunks = s.let(f"load i64, ptr {sizes}"), s.let(f"load i64, ptr {_at(s, sizes, 1)}")
        widths = [_argument(s, k, 2, "i64") for k in range(self.arguments)]
        given = self._gathered(s, s.at(0, (epoch, _word(s, "between")), (batch, _word(s, "size"))), n, widths)
        bad = s.let("alloca double")
        s.store(s.number(0.0), bad, "0")

        def chunk(k: Register, _: object) -> None:
            words = 4 + 2 * self.arguments   # of a chunk: where it begins; its size, its tiles, their number; the strides
            start = _at(s, sizes, 2, k, words)
            first, count = s.let(f"load i64, ptr {start}"), s.let(f"load i64, ptr {_at(s, start, 1)}")
            later = _is_not_0(s, k)
            to = s.let(f"select i1 {later}, ptr {H}, ptr {G}")
            xs = [s.pointer(x, s.at(0, (first, width))) for x, width in zip(given, widths, strict=True)]
            pointers = ", ".join([f"ptr {x}" for x in (U, V, to, E, S, _at(s, start, 1), *xs)])
            s.lines.append(f"  call void {_word(s, 'kernel', 'ptr')}({pointers})")

            def add(i: Register, _: object) -> None:
                s.store(s.op("fadd", s.load(G, i), s.load(H, i)), G, i)
            s.when(later, partial(s.loop, sums, add))

            def look(numbers: Register) -> None:
                found = s.loop(numbers, lambda i, bad: [s.fma(s.load(E, i), s.number(0.0), bad[0])], [s.load(bad, "0")])
                s.store(found[0], bad, "0")
            numbers = s.at(0, (count, outputs))
            s.when(_is_not_0(s, numbers), partial(look, numbers))
        s.loop(chunks, chunk)
        t = s.let(f"add i64 {_word(s, 't')}, 1")
        rate = s.load(_word(s, "rates", "ptr"), epoch)
        numbers = [rate, *[s.let(f"uitofp i64 {x} to double") for x in (t, n)]]
        pair = s.let(f"call {{double, double}} @update({', '.join([f'ptr {x}' for x in (U, M, G, C, A, *new)])}, "
                     f"i64 {_word(s, 'P')}, i64 {_word(s, 'moved')}, {', '.join([f'double {x}' for x in numbers])})")
        cost = s.op("fadd", s.load(G, "0"), s.let(f"extractvalue {{double, double}} {pair}, 0"))
        whole = s.op("fadd", s.load(bad, "0"), s.let(f"extractvalue {{double, double}} {pair}, 1"))
        right = s.compare("oeq", s.fma(cost, s.number(0.0), whole), s.number(0.0))
        _put(s, s.let(f"zext i1 {right} to i64"), "alive")

        def go_on() -> None:
            totals = _word(s, "totals", "ptr")
            s.store(s.op("fadd", s.load(totals, epoch), cost), totals, epoch)
            _put(s, t, "t")
            _put(s, s.let(f"sub i64 1, {side}"), "side")
            s.lines += [f"  store i64 {s.let(f'select i1 {ends}, i64 0, i64 {after}')}, ptr {_at(s, place, 1)}",
                        f"  store i64 {s.at(0, (epoch, 1), (s.let(f'zext i1 {ends} to i64'), 1))}, ptr {place}"]
        s.when(right, go_on)
        return self._function("internal void @step(ptr %table)", s, attributes=_PLAIN)

    def _gathered(self, s: Code, first: Register, n: Register, widths: Sequence[Register]) -> list[Register]:
        """The addresses of the batch's arguments: their rows are put together, unless they lie so."""
        order = _word(s, "order", "ptr")
        gathers = _is_not_0(s, order, "ptr")
        data, rooms = [[_argument(s, k, which, "ptr") for k in range(self.arguments)] for which in (0, 1)]
        rows = _at(s, order, 0, first)
        s.when(gathers, lambda: s.lines.extend([
            f"  call void @gather(ptr {x}, ptr {to}, ptr {rows}, i64 {n}, i64 {width})"
            for x, to, width in zip(data, rooms, widths, strict=True)]))
        return [s.let(f"select i1 {gathers}, ptr {to}, ptr {x}") for x, to in zip(data, rooms, strict=True)]

    def _gather(self) -> str:
        """Put the n rows of that order together."""
        s, copy = Code(1), "@llvm.memcpy.p0.p0.i64"
        s.declared.add(f"declare void {copy}(ptr, ptr, i64, i1)")
        short = s.let(f"icmp ult i64 {s.let('sub i64 %width, 1')}, {_SHORT - 1}")   # and not 0
        long, size = s.let(f"xor i1 {short}, true"), s.let("mul i64 %width, 8")

        def one(i: Register, _: object) -> None:
            row = s.let(f"load i64, ptr {_at(s, '%order', 0, i)}")
            source, target = s.pointer("%data", s.at(0, (row, "%width"))), s.pointer("%room", s.at(0, (i, "%width")))
            s.when(short, lambda: s.loop("%width", lambda j, _: s.store(s.load(source, j), target, j)))
            s.when(long, lambda: s.lines.append(f"  call void {copy}(ptr align 8 {target}, ptr align 8 {source}, i64 {size}, "
                                                "i1 false)"))
        s.loop("%n", one)
        return self._function("internal void @gather(ptr %data, ptr %room, ptr %order, i64 %n, i64 %width)", s)

    def _steps(self) -> str:
        s = Code(1)

        def one(_: Register, __: object) -> None:
            s.when(_is_not_0(s, _word(s, "alive")), lambda: s.lines.append("  call void @step(ptr %table)"))
        s.loop(_word(s, "steps"), one)
        return self._function("void @f(ptr %table)", s, attributes=_PLAIN)


def _line(s: Code, rule: Program, i: int, known: dict[int, Register]) -> Register:
    return s.number(rule.numbers[i]) if i in rule.numbers else known[i]


def _below(rule: Program, outputs: Sequence[int]) -> set[int]:
    """The lines that these need, with themselves."""
    needed = set(outputs)
    for i in range(len(rule.ops) - 1, -1, -1):
        if i in needed:
            needed.update(rule.args[i])
    return needed


def _at(s: Code, base: Register, first: int, i: Register = "0", stride: int = 1) -> Register:
    """The address of a word."""
    return s.let(f"getelementptr i64, ptr {base}, i64 {s.at(first, (i, stride))}")


def _word(s: Code, name: str, type_: str = "i64") -> Register:
    return s.let(f"load {type_}, ptr {_at(s, '%table', PLACES[name])}")


def _argument(s: Code, k: int, which: int, type_: str) -> Register:
    """A word of the argument k: 0 its data, 1 its room, 2 its width."""
    return s.let(f"load {type_}, ptr {_at(s, '%table', len(WORDS) + 3 * k + which)}")


def _is_not_0(s: Code, x: Register, type_: str = "i64") -> Register:
    return s.let(f"icmp ne {type_} {x}, {'null' if type_ == 'ptr' else 0}")


def _put(s: Code, x: Register, name: str) -> None:
    s.lines.append(f"  store i64 {x}, ptr {_at(s, '%table', PLACES[name])}")
