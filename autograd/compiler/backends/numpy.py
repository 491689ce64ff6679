"""Step 6 for batches: the instructions as numpy statements on buffers that are allocated once.

U   what all examples share: a vector           x0, x1, …   the batched arguments, (B, n)
V   what varies: rows of B numbers              G           the sums over the batch

The source is written once; for every size of batch its names are bound to views of buffers of that size. A matrix product
with an argument reads the argument itself; only what other statements need of it is copied into V, transposed.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from types import CodeType, FunctionType
from typing import Any

import numpy as np

from ...form import Argument, Call, Formula, UnreadableError, calls, is_condition
from ..instructions import Apply, Array, Linear, MatMul, Outer, Products, Rolled, RowSum, Spread, affine, by_first
from .chunks import ArrayKernel

__all__ = ["NumpyKernel", "NumpyProgram"]

_UNROLLED = 8    # a shorter sum of products is written out
Buffers = dict[str, Array]


class NumpyProgram:
    """The statements of a rolled program: `bind(B)` gives the function of a batch of B examples.

    source   the body of the function, one statement a line
    """

    def __init__(self, rolled: Rolled, widths: Sequence[int]) -> None:
        self.rolled = rolled
        self.sums = rolled.program.sums
        self.cuts = np.concatenate([[0], np.cumsum(widths)]).astype(int)   # where the arguments begin in V
        self.names: dict[Any, str] = {}
        self.bound: dict[str, Callable[[Buffers], Array]] = {}   # name → the array of it, made of the buffers of a size
        used = ["matmul", "multiply", "add", "subtract", "negative", "take", "copyto", "sign", "not_equal", "einsum"]
        self.constants: dict[str, Any] = {name: getattr(np, name) for name in used} | {"reduce": np.add.reduce}
        self.ones = {row for row, x in rolled.numbers if x == 1}
        self.copied = self._copied()
        self.clipped: dict[Any, str] = {}   # of x: where max(0, x) is
        self.free: dict[Any, list[str]] = {}   # of a shape and type: temporaries that no statement needs any more
        self.lines: list[str] = []
        for instruction in rolled.body:
            getattr(self, f"_{type(instruction).__name__.lower()}")(instruction)
        self._totals()
        self.source = "\n".join(self.lines)
        given = [f"x{k}" for k in range(len(widths))]
        copies = [f"V{k}[...] = x{k}.T" for k in sorted(self.copied)]
        for k in self.copied:
            self.bound[f"V{k}"] = partial(_slice, int(self.cuts[k]), int(self.cuts[k + 1]))
        text = [f"def f({', '.join(['G', *given])}):",
                *[f"    {line}" for line in [*copies, *self.lines, "return"]]]
        module = compile("\n".join(text), "<compiled>", "exec")
        self.code = next(c for c in module.co_consts if isinstance(c, CodeType))

    def bind(self, B: int) -> tuple[Callable[..., None], Buffers, int]:
        """(f(G, x0, …), its buffers, their bytes): U is to be filled before a call, G receives the sums."""
        buffers = {"U": np.zeros(max(self.rolled.rows_shared, 1)), "V": np.empty((self.rolled.rows, B)), "B": np.ones(B)}
        for row, x in self.rolled.numbers:
            buffers["U"][row] = x
        scope = self.constants | {name: make(buffers) for name, make in self.bound.items()}
        own = [x for x in (*buffers.values(), *[scope[name] for name in self.bound])
               if isinstance(x, np.ndarray) and x.base is None]
        return FunctionType(self.code, scope), buffers, sum({id(x): x.nbytes for x in own}.values())

    # ---- names

    def _bind(self, prefix: str, make: Callable[[Buffers], Array]) -> str:
        name = f"{prefix}{len(self.bound)}"
        self.bound[name] = make
        return name

    def _constant(self, x: Any) -> str:
        name = f"c{len(self.constants)}"
        self.constants[name] = x
        return name

    def _temporary(self, shape: tuple[int, ...], shared: bool = False) -> str:
        return self._bind("t", lambda buffers: np.empty(shape if shared else (*shape, buffers["V"].shape[1])))

    def _vector(self, n: int) -> str:
        return self._bind("t", lambda buffers: np.empty(n))

    def _place(self, arg: tuple[bool, Array]) -> Any:
        return arg[0], arg[1].tobytes()

    def _rows(self, shared: bool, index: Array, merge: bool = False) -> str:
        """The name of the rows of U or V; with `merge`, the last index and the batch are one axis."""
        key = shared, index.shape, index.tobytes(), merge
        if key not in self.names:
            self.names[key] = self._viewed(shared, index, merge)
        return self.names[key]

    def _viewed(self, shared: bool, index: Array, merge: bool) -> str:
        found, space = affine(index), "U" if shared else "V"
        if found and not (merge and index.shape[-1] > 1 and found[1][-1] != 1):
            start, strides = found

            def view(buffers: Buffers) -> Array:
                base = buffers[space]
                tail = () if shared else (8,)
                x = np.lib.stride_tricks.as_strided(base[start:], (*index.shape, *base.shape[1:]),
                                                    (*[s * base.strides[0] for s in strides], *tail))
                return _merged(x) if merge else x
            return self._bind(space.lower(), view)
        name = self._temporary(index.shape, shared)
        self.lines.append(f"take({space}, {self._constant(index)}, 0, {name}, 'clip')")
        self.bound[space] = lambda buffers: buffers[space]
        if not merge:
            return name
        made = self.bound[name]

        def copy(buffers: Buffers) -> Array:   # it and its view are one array
            buffers[name] = made(buffers)
            return buffers[name]
        self.bound[name] = copy
        return self._bind("v", lambda buffers: _merged(buffers[name]))

    def _column(self, shared: bool, index: Array, within: bool) -> str:
        """Rows as an operand of an instruction in U (`within`) or in V, where those of U need an axis more."""
        name = self._rows(shared, index)
        if not shared or within:
            return name
        key = name, "column"
        if key not in self.names:
            make = self.bound[name]
            if name.startswith("t"):   # a copy, made at every call: the column must be of the same array
                self.names[key] = self._bind("k", lambda buffers: np.empty((*index.shape, 1)))
                self.lines.append(f"{self.names[key]}[..., 0] = {name}")
            else:
                self.names[key] = self._bind("k", lambda buffers: make(buffers)[..., None])
        return self.names[key]

    def _out(self, shared: bool, start: int, shape: tuple[int, ...]) -> str:
        """The rows that an instruction writes."""
        size = int(np.prod(shape))
        return self._rows(shared, np.arange(start, start + size).reshape(shape))

    # ---- arguments that are read where they are

    def _direct(self, index: Array) -> tuple[int, int, int] | None:
        """(argument, first column, end) if the rows (n,) of V are neighbouring columns of one argument."""
        start = int(index[0])
        k = int(np.searchsorted(self.cuts, start, "right")) - 1
        n = len(index)
        if start >= self.cuts[-1] or start + n > self.cuts[k + 1] or not np.array_equal(index, np.arange(start, start + n)):
            return None
        return k, start - int(self.cuts[k]), start - int(self.cuts[k]) + n

    def _copied(self) -> set[int]:
        """The arguments that more than matrix products need."""
        used: set[int] = set()

        def note(shared: bool, index: Array) -> None:
            if not shared:
                inputs = index[index < self.cuts[-1]]
                used.update((np.searchsorted(self.cuts, np.unique(inputs), "right") - 1).tolist())
        for i in self.rolled.body:
            if isinstance(i, Apply):
                for shared, index in i.args:
                    note(shared, index)
            elif isinstance(i, MatMul):
                if not (i.W.shape[0] == i.H.shape[2] == 1 and i.W.shape[1] > 1 and self._direct(i.H[0, :, 0])):
                    note(False, i.H)
            elif isinstance(i, Products):
                note(i.shared, i.A)
                note(i.shared, i.B)
            elif isinstance(i, Linear):
                note(i.shared, i.A)
        for i in self.rolled.totals:
            if isinstance(i, RowSum):
                note(False, i.A)
            else:
                for side in (i.A, i.B):
                    if not (side.shape[0] == side.shape[2] == 1 and self._direct(side[0, :, 0])):
                        note(False, side)
        note(False, self.rolled.each[1])
        return used

    def _matrix(self, index: Array) -> str:
        """Rows (k,) of V as a matrix (k, B), read from the argument if it is not copied."""
        direct = self._direct(index)
        if direct and direct[0] not in self.copied:
            k, a, b = direct
            whole = a == 0 and b == self.cuts[k + 1] - self.cuts[k]
            return f"x{k}.T" if whole else f"x{k}[:, {a}:{b}].T"
        return self._rows(False, index)

    # ---- instructions

    def _apply(self, i: Apply) -> None:
        """The formula of a primitive, a statement for every call in it; of a row that has none, the whole in one."""
        out = self._out(i.shared, i.start, (i.size,))
        formula = _formula(i)
        if formula is None:
            given = ", ".join([self._column(shared, index, i.shared) for shared, index in i.args])
            self.lines.append(f"{out}[...] = {self._constant(partial(i.op.array, np))}({given})")
            return
        called, place = _called(i), self._place(i.args[0])
        if called == "maximum(x0, 0.0)":
            self.clipped[place] = out
        elif called == "heaviside(x0, 0.0)" and place in self.clipped:   # twice as fast, and a nan stays one
            self.lines.append(f"sign({self.clipped[place]}, out={out})")
            return
        if not isinstance(formula, Call):
            self.lines.append(f"copyto({out}, {self._operand(i, formula, {})})")
            return
        reduced, inside = self._reductions(i, formula)
        order = [call for call in calls(formula) if call not in inside]
        last = {x: k for k, call in enumerate(order) if call not in reduced for x in call.args if isinstance(x, Call)}
        names: dict[Call, str] = {}
        for k, call in enumerate(order):
            dying = [x for x in last if last[x] == k and names[x] != out]
            into = out if call is formula else self._scratch(i, is_condition(call))
            if call in reduced:
                self.constants[f"{call.name}_reduce"] = getattr(np, call.name).reduce
                self.lines.append(f"{call.name}_reduce({reduced[call]}, 1, None, {into})")
            else:
                self._call(i, call, into, names)
            names[call] = into
            for x in dying:
                self.free[self._kind(i, is_condition(x))].append(names[x])

    def _call(self, i: Apply, call: Call, into: str, names: dict[Call, str]) -> None:
        """One call of a formula."""
        if call.name == "where":
            condition, a, b = call.args
            where = self._operand(i, condition, names)
            if not is_condition(condition):
                flags = self._scratch(i, True)
                self.lines.append(f"not_equal({where}, 0.0, {flags})")
                self.free[self._kind(i, True)].append(flags)
                where = flags
            self.lines.append(f"copyto({into}, {self._operand(i, b, names)})")
            self.lines.append(f"copyto({into}, {self._operand(i, a, names)}, where={where})")
            return
        self.constants[call.name] = getattr(np, call.name)
        self.lines.append(f"{call.name}({', '.join([self._operand(i, x, names) for x in call.args])}, out={into})")

    def _reductions(self, i: Apply, formula: Call) -> tuple[dict[Call, str], set[Call]]:
        """Of max(max(x0, x1), x2) … that is one statement over arguments that lie side by side, where the result does: the
        arguments, and the calls inside, which then need none."""
        uses = Counter([x for call in calls(formula) for x in call.args if isinstance(x, Call)])
        reduced: dict[Call, str] = {}
        inside: set[Call] = set()
        for call in reversed(calls(formula)):
            if call.name not in ("maximum", "minimum") or call in inside:
                continue
            chain = [call]   # from the outside in
            while isinstance(x := chain[-1].args[0], Call) and x.name == call.name and uses[x] == 1:
                chain.append(x)
            arguments = [x, *[link.args[1] for link in reversed(chain)]]
            places = [y.place for y in arguments if isinstance(y, Argument)]
            spaces = {i.args[place][0] for place in places}
            if len(places) == len(arguments) > 2 and spaces == {i.shared}:
                reduced[call] = self._rows(i.shared, np.stack([i.args[place][1] for place in places], axis=1))
                inside.update(chain[1:])
        return reduced, inside

    def _operand(self, i: Apply, x: Formula | float, names: dict[Call, str]) -> str:
        if isinstance(x, Call):
            return names[x]
        if isinstance(x, Argument):
            shared, index = i.args[x.place]
            return self._column(shared, index, i.shared)
        return repr(x) if math.isfinite(x) else self._constant(x)  # type: ignore[arg-type]

    def _kind(self, i: Apply, condition: bool) -> Any:
        return i.shared, i.size, condition

    def _scratch(self, i: Apply, condition: bool) -> str:
        """An array for a result inside a formula: one that is free, or a new one."""
        free = self.free.setdefault(self._kind(i, condition), [])
        kind: Any = bool if condition else float
        shape = (i.size,)
        return free.pop() if free else self._bind("t", lambda buffers: np.empty(
            shape if i.shared else (*shape, buffers["V"].shape[1]), kind))

    def _matmul(self, i: MatMul) -> None:
        (g, r, m), c = i.W.shape, i.H.shape[2]
        if r == c == 1 and m <= _UNROLLED:
            out = self._out(False, i.start, (g,))
            for j in range(m):
                a, b = self._column(True, i.W[:, 0, j], False), self._rows(False, i.H[:, j, 0])
                self._accumulate(out, i.first and j == 0, (g,), f"multiply({a}, {b}, {{}})")
        elif r == c == 1 and i.first and set(i.W.flat) <= self.ones:
            self.lines.append(f"reduce({self._rows(False, i.H[:, :, 0])}, 1, None, {self._out(False, i.start, (g,))})")
        elif g == 1 and c == 1:
            out = self._out(False, i.start, (r,))
            self.lines.append(f"matmul({self._rows(True, i.W[0])}, {self._matrix(i.H[0, :, 0])}, {out})")
        else:
            index = np.arange(i.start, i.start + g * r * c).reshape(g, r, c)
            W, H, to = (i.W[0], i.H[0], index[0]) if g == 1 else (i.W, i.H, index)
            self.lines.append(f"matmul({self._rows(True, W)}, {self._rows(False, H, True)}, {self._rows(False, to, True)})")

    def _accumulate(self, out: str, first: bool, shape: tuple[int, ...], statement: str, shared: bool = False) -> None:
        """`statement` into `out`, or into a temporary that is then added to it."""
        into = out if first else self._temporary(shape, shared)
        self.lines.append(statement.format(into))
        if not first:
            self.lines.append(f"add({out}, {into}, {out})")

    def _products(self, i: Products) -> None:
        m = i.A.shape[1]
        out, first = self._out(i.shared, i.start, (i.size,)), i.first
        if m > _UNROLLED:
            a, b = self._rows(i.shared, i.A), self._rows(i.shared, i.B)
            if (i.C != 1).any():
                t = self._temporary(i.A.shape, i.shared)
                self.lines.append(f"multiply({a}, {self._constant(i.C if i.shared else i.C[:, None])}, {t})")
                a = t
            form = "km,km->k" if i.shared else "kmb,kmb->kb"
            self._accumulate(out, first, (i.size,), f"einsum('{form}', {a}, {b}, out={{}})", shared=i.shared)
            return
        for j, c in enumerate(i.C.tolist()):
            a, b = self._rows(i.shared, i.A[:, j]), self._rows(i.shared, i.B[:, j])
            into = out if first else self._temporary((i.size,), i.shared)
            self.lines.append(f"multiply({a}, {b}, {into})")
            if c not in (1.0, -1.0) or (c == -1.0 and first):
                self.lines.append(f"negative({into}, {into})" if c == -1 else f"multiply({into}, {c!r}, {into})")
            if not first:
                self.lines.append(f"{'subtract' if c == -1 else 'add'}({out}, {into}, {out})")
            first = False

    def _linear(self, i: Linear) -> None:
        out, first = self._out(i.shared, i.start, (i.size,)), i.first
        C, m = i.C.tolist(), i.A.shape[1]
        if i.shared and m > _UNROLLED:
            form = f"matmul({self._rows(True, i.A)}, {self._constant(i.C)}, {{}})"
            self._accumulate(out, first, (i.size,), form, shared=True)
            return
        names = [self._rows(i.shared, i.A[:, j]) for j in range(m)]
        rest = range(m)
        if first and m > 1 and sorted(map(abs, C[:2])) == [1, 1] and max(C[:2]) == 1:
            p, q = (0, 1) if C[0] == 1 else (1, 0)
            self.lines.append(f"{'add' if C[q] == 1 else 'subtract'}({names[p]}, {names[q]}, {out})")
            rest, first = range(2, m), False
        for j in rest:
            if not first and C[j] in (1, -1):
                self.lines.append(f"{'add' if C[j] == 1 else 'subtract'}({out}, {names[j]}, {out})")
            else:
                statement = f"negative({names[j]}, {{}})" if C[j] == -1 else f"multiply({names[j]}, {C[j]!r}, {{}})"
                self._accumulate(out, first, (i.size,), statement, shared=i.shared)
            first = False

    def _spread(self, i: Spread) -> None:
        out, a = self._out(i.shared, i.start, (i.size,)), self._column(True, i.A, i.shared)
        self.lines.append(f"copyto({out}, {a})" if i.first else f"add({out}, {a}, {out})")

    # ---- sums over the batch

    def _totals(self) -> None:
        for i in self.rolled.totals:
            (self._outer if isinstance(i, Outer) else self._rowsum)(i)
        repeated = self.rolled.repeated
        for at, sets in by_first(repeated.first):
            self.bound["B"] = lambda buffers: len(buffers["B"])
            self._store(repeated.dst[at], f"B * {self._rows(True, repeated.A[at])}", sets)

    def _outer(self, i: Outer) -> None:
        (A, B, dst), C = i.oriented, i.C
        g, r, m = A.shape
        scaled = (C != 1).any()
        if g == 1 and m == 1:
            a, b = self._matrix(A[0, :, 0]), self._matrix(B[0, :, 0])
            b = b[:-2] if b.endswith(".T") else f"{b}.T"
        elif g == 1:
            a, b = self._rows(False, A[0], True), f"{self._rows(False, B[0], True)}.T"
        else:
            a, b = self._rows(False, A, True), f"{self._rows(False, B, True)}.swapaxes(1, 2)"
        if scaled and not (C[0] == C).all():
            rows = (g, r) if g > 1 else (r,)
            t = self._bind("t", lambda buffers: np.empty((*rows, m * buffers["V"].shape[1])))
            factor = self._bind("k", lambda buffers: np.repeat(C, buffers["V"].shape[1]))
            self.lines.append(f"multiply({a}, {factor}, {t})")
            a, scaled = t, False
        dst = dst if g > 1 else dst[0]
        place = self._place_of(dst)
        into = place or self._bind("t", lambda buffers: np.empty(dst.shape))
        self.lines.append(f"matmul({a}, {b}, {into})")
        if scaled:
            self.lines.append(f"multiply({into}, {float(C[0])!r}, {into})")
        if not place:
            self._store(dst, into, True)

    def _rowsum(self, i: RowSum) -> None:
        self.bound["ones"] = lambda buffers: buffers["B"]
        cuts = np.flatnonzero((np.diff(i.A) != 1) | (np.diff(i.C) != 0)) + 1
        if len(cuts) > 4:   # many short runs: all rows between the first and the last
            parts = [(int(i.A.min()), int(i.A.max()) + 1, np.arange(len(i.A)))]
        else:
            parts = [(int(i.A[at[0]]), int(i.A[at[-1]]) + 1, at) for at in np.split(np.arange(len(i.A)), cuts)]
        names = []
        for low, high, _ in parts:
            names.append(self._vector(high - low))
            self.lines.append(f"matmul({self._rows(False, np.arange(low, high))}, ones, {names[-1]})")
        for t, (low, high, at) in zip(names, parts, strict=True):
            for chosen, sets in by_first(i.first[at]):
                k = at[chosen]
                whole = np.array_equal(i.A[k], np.arange(low, high))
                text = t if whole else f"{t}[{self._constant(i.A[k] - low)}]"
                if (i.C[k] != 1).any():
                    factor = f"{float(i.C[k[0]])!r}" if (i.C[k] == i.C[k[0]]).all() else self._constant(i.C[k])
                    text = f"{factor} * {text}"
                self._store(i.dst[k], text, sets)

    def _store(self, dst: Array, text: str, sets: bool) -> None:
        """G[dst] = text if it `sets` these sums, else G[dst] += text."""
        if not sets and len(np.unique(dst)) < len(dst):
            self.constants["add_at"] = np.add.at
            self.lines.append(f"add_at(G, {self._constant(dst)}, {text})")
        else:
            self.lines.append(f"{self._place_of(dst) or f'G[{self._constant(dst)}]'} {'=' if sets else '+='} {text}")

    def _place_of(self, dst: Array) -> str | None:
        """G[dst] as a view, where it is one."""
        found = affine(dst)
        if found and found[1][-1] == 1 and dst.ndim == 1:
            return f"G[{found[0]}:{found[0] + len(dst)}]"
        if found and dst.ndim == 2 and found[1][1] == 1 and found[1][0] >= dst.shape[1] and (
                found[0] + found[1][0] * dst.shape[0] <= self.sums):
            (start, (apart, _)), (r, c) = found, dst.shape
            return f"G[{start}:{start + apart * r}].reshape({r}, {apart})[:, :{c}]"
        return None


def _slice(first: int, end: int, buffers: Buffers) -> Array:
    return buffers["V"][first:end]


def _merged(x: Array) -> Array:
    """The last two axes as one."""
    if x.flags.c_contiguous:
        return x.reshape(*x.shape[:-2], -1)
    return np.lib.stride_tricks.as_strided(x, (*x.shape[:-2], x.shape[-2] * x.shape[-1]), (*x.strides[:-2], 8))


def _formula(i: Apply) -> Formula | float | None:
    """What an instruction computes, in numpy's functions; None if there are others."""
    try:
        formula = i.op.formula(len(i.args))
    except UnreadableError:
        return None
    known = all([call.name == "where" or isinstance(getattr(np, call.name, None), np.ufunc) for call in calls(formula)])
    return formula if known else None


def _called(i: Apply) -> str:
    """The formula in print, if it is one call."""
    formula = _formula(i)
    return repr(formula) if isinstance(formula, Call) and not any([isinstance(x, Call) for x in formula.args]) else ""


class NumpyKernel(ArrayKernel):
    """Rolled, as numpy statements."""

    def make(self, rolled: Rolled) -> Any:
        """Write the statements."""
        return NumpyProgram(rolled, self.widths)

    def ready(self) -> None:
        """Their buffers are made for a size of chunk when it comes."""
        self.numpy: NumpyProgram = self.made
        self.source = self.numpy.source
        self.free: dict[int, list[Any]] = {}   # size of a chunk → functions that no call is using

    def measures(self) -> dict[str, Any]:
        """What `stats` tells."""
        return {"backend": "numpy", "statements": len(self.numpy.lines), "flops": self.rolled.flops,
                "bytes": sum([bytes_ for free in self.free.values() for _, _, bytes_ in free])}

    def run(self, shared: Sequence[Any], varying: Sequence[Any], B: int) -> tuple[Any, Any]:
        """One chunk, on buffers of its size that nobody else uses now."""
        try:
            f, buffers, bytes_ = self.free[B].pop()
        except (KeyError, IndexError):
            f, buffers, bytes_ = self.numpy.bind(B)
        U, V, G, at = buffers["U"], buffers["V"], np.empty(self.sums), 0
        for x in shared:
            U[at:at + len(x)] = x
            at += len(x)
        with np.errstate(all="ignore"):
            f(G, *varying)
        each = np.empty((self.outputs, B))
        if self.outputs:
            each[self.rolled.each[0]] = V[self.rolled.each[1]]
            each[self.rolled.each_shared[0]] = U[self.rolled.each_shared[1], None]
        if len(self.free) > 2 and B not in self.free:
            self.free = {}
        self.free.setdefault(B, []).append((f, buffers, bytes_))
        return G, each
