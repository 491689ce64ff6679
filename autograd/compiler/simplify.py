"""Step 2, simplify: from a graph of symbols to a program without repetition.

    nᵢ = op(n_j, …)     one line for every different operation, arguments before results

Equal operations on equal arguments become one, what depends on plain numbers only becomes a number, and what no output
needs is not there. Every rewriting is exact: the program gives the numbers of the graph, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ..graph import topological
from ..primitive import Primitive
from ..primitives import add, mul, neg
from ..value import Value
from .trace import TraceError

__all__ = ["Program", "simplify"]

_COMMUTE = frozenset((add, mul))


@dataclass
class Program:
    """Lines n₀ … of operations. The inputs come first: those shared by all examples of a batch, then those that vary.

    ops       the primitive of each line; None for an input or a number
    args      the lines that it takes
    numbers   {line: number} of those that are plain numbers
    varies    whether a line may differ from one example of a batch to the next
    shared, varying   how many inputs are of either kind
    outputs   lines, not necessarily different; of a batch, the first `sums` are summed over the examples
    labels    {line: name} where the graph has one
    """

    shared: int
    varying: int
    sums: int
    ops: list[Primitive | None] = field(default_factory=list)
    args: list[tuple[int, ...]] = field(default_factory=list)
    varies: list[bool] = field(default_factory=list)
    numbers: dict[int, float] = field(default_factory=dict)
    outputs: list[int] = field(default_factory=list)
    labels: dict[int, str] = field(default_factory=dict)


def simplify(outputs: Sequence[Value], shared: Sequence[Value], varying: Sequence[Value], sums: int = 0) -> Program:
    """The program that computes `outputs` from the inputs; TraceError if they need a symbol that is neither."""
    program = Program(len(shared), len(varying), sums)
    ops, args, varies, numbers, labels = program.ops, program.args, program.varies, program.numbers, program.labels
    lines: dict[Value, int] = {}
    known: dict[object, int] = {}   # of an operation on lines, or a number: its line

    def line(op: Primitive | None, of: tuple[int, ...], varying: bool) -> int:
        ops.append(op)
        args.append(of)
        varies.append(varying)
        return len(ops) - 1

    def number(x: float) -> int:
        key = ("number", x.hex())   # tells 0.0 from −0.0
        if key not in known:
            known[key] = line(None, (), False)
            numbers[known[key]] = x
        return known[key]

    for v in shared:
        lines[v] = line(None, (), False)
    for v in varying:
        lines[v] = line(None, (), True)
    for v in topological(*outputs, stop=lines):
        if v in lines:
            continue
        op = v.op
        if op is None:
            if v.symbolic:
                raise TraceError(f"{v!r} is no input of what is compiled: it was kept from another trace")
            lines[v] = number(v.data)
            continue
        of = tuple([lines[a] for a in v.args])
        if op in _COMMUTE and of[0] > of[1]:
            of = of[1], of[0]
        key = op, of
        i = known.get(key)
        if i is None:
            i = _rewritten(program, op, of, number)
            if i is None:
                i = line(op, of, True in [varies[a] for a in of])
            known[key] = i
        lines[v] = i
        if v.label is not None:
            labels[i] = v.label
    program.outputs = [lines[v] for v in outputs]
    for v in (*shared, *varying):
        if v.label is not None:
            labels[lines[v]] = v.label
    return program


def _rewritten(program: Program, op: Primitive, of: tuple[int, ...], number: Callable[[float], int]) -> int | None:
    """The line that equals op(*of) exactly and is there already, or a number; None if a new line is needed."""
    numbers = program.numbers
    if numbers and all([a in numbers for a in of]):
        return number(op.ieee(*[numbers[a] for a in of]))
    if op is mul:
        for a, b in (of, of[::-1]):
            if numbers.get(a) == 1.0:
                return b
    if op is neg and program.ops[of[0]] is neg:
        return program.args[of[0]][0]
    return None
