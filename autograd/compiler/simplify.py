"""Step 2, simplify: from a graph of symbols to a program without repetition.

    nᵢ = op(n_j, …)     one line for every different operation, arguments before results

Equal operations on equal arguments become one, what depends on plain numbers only becomes a number, and what no output
needs is not there. Every rewriting is exact: the program gives the numbers of the graph, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, reduce
from typing import Any

from ..conversion import TraceError
from ..graph import topological
from ..primitive import Primitive
from ..primitives import (
    add,
    div,
    exp,
    expm1,
    log,
    log1p,
    logsumexp,
    mul,
    neg,
    pow_,
    reciprocal,
    share,
    shift,
    surprisal,
    terms_of,
    weighted_sum,
)
from ..value import Value
from .program import Program

__all__ = ["simplify"]


_COMMUTE = frozenset((add, mul))
_WRITTEN_OUT = frozenset((logsumexp, surprisal, share, shift))
_POWERS = (-2.0, -1.0, 1.0, 2.0, 3.0, 4.0)


def simplify(outputs: Sequence[Value], shared: Sequence[Value], varying: Sequence[Value], sums: int = 0,
             lowered: bool = False) -> Program:
    """The program that computes `outputs` from the inputs; TraceError if they need a symbol that is neither.

    `lowered`: for arrays, logsumexp, surprisal and their derivative, the softmax, are written out, so that they share their
    exponentials and the sum of these, and small whole powers are products.
    """
    program = Program(len(shared), len(varying), sums)
    ops, args, varies, numbers, labels = program.ops, program.args, program.varies, program.numbers, program.labels
    lines: dict[Value, int] = {}
    whole: set[int] = set()   # lines that are their own shift
    known: dict[Any, int] = {}   # of an operation on lines, a number, or the terms of a sum: its line

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

    def emit(op: Primitive, *of: int) -> int:
        """The line of op(*of): one that is there, or a new one."""
        if op in _COMMUTE and of[0] > of[1]:
            of = of[1], of[0]
        elif op is shift:
            of = tuple(sorted(of))
        key = op, *of
        i = known.get(key)
        if i is None:
            if True in [a in numbers for a in of]:
                i = _of_numbers(op, of, numbers, number)
            elif op is neg and ops[of[0]] is neg:
                i = args[of[0]][0]
            if i is None and lowered and op is pow_ and numbers.get(of[1]) in _POWERS:
                i = power(of[0], numbers[of[1]])
            elif i is None and lowered and op in _WRITTEN_OUT:
                i = written_out(op, of)
            if i is None:
                i = line(op, of, True in [varies[a] for a in of])
            known[key] = i
            if op is neg and of[0] in whole:
                vanishes(of[0])
        return i

    def pair(op: Primitive, a: int, b: int) -> int:
        """`emit` of a sum or product, written out."""
        if a > b:
            a, b = b, a
        i = known.get((op, a, b))
        if i is None:
            if a == b or a in numbers or b in numbers:
                return emit(op, a, b)
            known[op, a, b] = i = len(ops)
            ops.append(op)
            args.append((a, b))
            varies.append(varies[a] or varies[b])
        return i

    def summed(terms: Sequence[int]) -> int:
        """The line of the sum of these lines, and of the terms of those that are sums: one, however they come."""
        found, path = [], [*terms]
        while path:
            i = path.pop()
            if ops[i] is add:
                path += args[i]
            else:
                found.append(i)
        terms = tuple(sorted(found))
        if ("sum", terms) not in known:
            known["sum", terms] = reduce(partial(emit, add), terms)
        return known["sum", terms]

    def unshifted(x: int) -> int:
        """The line of shift(x), which is x: and x − shift(x), which is there for its slope, is 0."""
        whole.add(x)
        if (neg, x) in known:
            vanishes(x)
        return x

    def vanishes(x: int) -> None:
        """From now on x + −x is 0."""
        known[(add, *sorted((x, known[neg, x])))] = number(0.0)

    def written_out(op: Primitive, of: tuple[int, ...]) -> int:
        if op is share:
            return emit(div, of[0], summed(of))
        if op is shift:
            return unshifted(*of) if len(of) == 1 else line(op, of, True in [varies[a] for a in of])
        m = emit(shift, *of)
        minus = emit(neg, m)
        apart = [emit(add, x, minus) for x in of]
        weights = [emit(exp, x) for x in apart]
        if op is logsumexp:
            return emit(add, m, emit(log, summed(weights)))
        rest = reduce(partial(emit, add), [*weights[1:], emit(expm1, apart[0])])
        return emit(add, emit(neg, apart[0]), emit(log1p, rest))

    def power(x: int, n: float) -> int:
        if n < 0:
            return emit(reciprocal, power(x, -n))
        return x if n == 1 else emit(mul, x, power(x, n - 1)) if n != 4 else power(power(x, 2), 2)

    for v in shared:
        lines[v] = line(None, (), False)
    for v in varying:
        lines[v] = line(None, (), True)
    for v in topological(*outputs, stop=lines):
        op = v.op
        if op is not None:
            if v in lines:   # an output that is an input
                continue
            of = v.args
            if op is add or op is mul:   # nearly all
                i = pair(op, lines[of[0]], lines[of[1]])
            elif op is weighted_sum:
                i = reduce(partial(pair, add), [reduce(partial(pair, mul), term) for term in terms_of([lines[a] for a in of])])
            else:
                i = emit(op, *[lines[a] for a in of])
            lines[v] = i
            if v.label is not None:
                labels[i] = v.label
        elif v not in lines:
            if v.symbolic:
                raise TraceError(f"{v!r} is no input of what is compiled: it was kept from another trace")
            lines[v] = number(v.data)
    emit = pair = power = None  # type: ignore[assignment]  # noqa: F811   # each is in its own closure: a cycle
    program.outputs = [lines[v] for v in outputs]
    for v in (*shared, *varying):
        if v.label is not None:
            labels[lines[v]] = v.label
    return _needed(program)


def _needed(program: Program) -> Program:
    """The program without the lines that no output needs: those of a sum that another one contains, say."""
    n, args = program.shared + program.varying, program.args
    needed = [True] * n + [False] * (len(args) - n)
    for i in program.outputs:
        needed[i] = True
    for i in range(len(args) - 1, n - 1, -1):   # arguments stand before results
        if needed[i]:
            for a in args[i]:
                needed[a] = True
    if all(needed):
        return program
    first = needed.index(False)   # all before it stay where they are
    kept = [i for i in range(first, len(args)) if needed[i]]
    place = [*range(first), *[0] * (len(args) - first)]
    for at, i in enumerate(kept, first):
        place[i] = at
    return Program(program.shared, program.varying, program.sums, program.ops[:first] + [program.ops[i] for i in kept],
                   args[:first] + [(place[of[0]], place[of[1]]) if len(of) == 2 else tuple([place[a] for a in of])
                                   for of in [args[i] for i in kept]],   # nearly all are two, which is twice as fast
                   program.varies[:first] + [program.varies[i] for i in kept],
                   {place[i]: x for i, x in program.numbers.items() if needed[i]}, [place[i] for i in program.outputs],
                   {place[i]: x for i, x in program.labels.items() if needed[i]})


def _of_numbers(op: Primitive, of: tuple[int, ...], numbers: dict[int, float], number: Callable[[float], int]) -> int | None:
    """The line that equals op(*of), where some of `of` are numbers, if that needs no operation."""
    if all([a in numbers for a in of]):
        return number(op.ieee(*[numbers[a] for a in of]))
    for a, b in (of, of[::-1]) if op in _COMMUTE else ():
        if op is mul and numbers.get(a) == 1.0:
            return b
    return None
