"""Descent in one call: steps of an optimiser on a compiled cost, from the gathering of a batch to the new parameters.

θ, X, …   the cost's arguments: P parameters, which all examples share, and arrays with the examples in front
slots     what the optimiser keeps of every parameter, of shape (slots, P)
columns   other numbers of every parameter, which stay, of shape (columns, P)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ctypes import c_void_p, cast
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..conversion import TraceError, to_float
from ..value import Value, literal
from .compiled import Compiled
from .program import Program
from .simplify import simplify
from .trace import Symbol, run

__all__ = ["Descent", "Epochs", "Rule", "traced_rule"]

Array = npt.NDArray[Any]
Rule = Callable[..., Sequence[Any]]
_LONGEST = 10_000_000   # operations of one call, a few milliseconds: for so long it does not hear of Ctrl-C


@dataclass
class Epochs:
    """Some epochs in a row, and how far they are: `place` is [epoch, batch] of the next step.

    order    the numbers of the examples as they are taken, (epochs, n), or (n,) if they are the same in every epoch
    size     examples in a batch; an epoch's last one may have fewer
    rates    the learning rate of each epoch, where that is known before
    totals   the sums of the costs of each epoch's batches
    """

    order: Array
    size: int
    epochs: int
    rates: Array | None = None
    totals: Array = field(init=False)
    place: Array = field(init=False)

    def __post_init__(self) -> None:
        self.n = self.order.shape[-1]
        self.per = -(-self.n // self.size)
        self.words = np.zeros(2 + self.epochs, np.int64)   # of both, so that one address tells where they are
        self.place, self.totals = self.words[:2], self.words[2:].view(np.float64)

    @property
    def left(self) -> int:
        """How many steps are to be made."""
        epoch, batch = self.place.tolist()
        return int((self.epochs - epoch) * self.per - batch)

    def again(self) -> Epochs:
        """The same epochs from here, to be made apart from these."""
        made = replace(self)
        made.place[:] = self.place
        return made

    def batch(self) -> Array:
        """The examples of the next step."""
        epoch, batch = self.place.tolist()
        order = self.order if self.order.ndim == 1 else self.order[epoch]
        return order if self.per == 1 else order[batch * self.size:(batch + 1) * self.size]

    def add(self, total: float) -> None:
        """A step is made, before which the cost of its batch was `total`."""
        epoch, batch = self.place.tolist()
        self.totals[epoch] += total
        self.place[:] = (epoch, batch + 1) if batch + 1 < self.per else (epoch + 1, 0)


class Descent:
    """Steps of descent on `cost` by `rule`, in machine code. NotImplementedError if there can be none.

    cost   compiled for (θ, X, …), of which all but θ are batched, with reduce="sum" and machine code
    rule   (x, s, columns, slots, lr, t, n) → (new x, new slots, g, addend): of one parameter, of which s is the gradient of
           the sum over a batch of n examples, in step t. It is traced. g is kept; what the addends of all parameters sum to
           is added to the cost; or what `traced_rule` gives of it
    moved  how many of the parameters, the first, are moved: all, or the others stay and have only a gradient and an addend
    at_hand   LookupError unless the machine code of the rule is there already, in this process or in the user's folder
    data   the arguments' arrays, (examples, numbers of one)

    >>> from autograd import Value
    >>> from autograd.compiler import compile
    >>> w, x, y = Value(0.0), Value(0.0), Value(0.0)
    >>> cost = compile((w * x - y) ** 2, [[w], [x], [y]], batch=(1, 2), reduce="sum", backend="llvm")
    >>> descent = Descent(cost, lambda x, s, columns, slots, lr, t, n: (x - lr * s / n, [], s / n, 0.0), 0, np.empty((0, 1)))
    >>> epochs = Epochs(np.arange(4), 4, epochs=50)
    >>> descent.load(np.array([0.0]), np.empty((0, 1)), 0)
    >>> descent.go(epochs, [np.array([[1.0], [2], [3], [4]]), np.array([[2.0], [4], [6], [8]])], lr=0.05), descent.x.round(9)
    (True, array([2.]))
    """

    def __init__(self, cost: Compiled, rule: Rule | Program, slots: int, columns: Array, moved: int | None = None,
                 at_hand: bool = False) -> None:
        from .backends.llvm.descent import PLACES, StepsProgram
        from .backends.llvm.kernel import LLVMKernel
        plan = cost._plan(True, frozenset(range(1, len(cost.arguments))))
        kernel, self.captured = plan.kernel, plan.f.captured
        if not isinstance(kernel, LLVMKernel) or cost.reduce != "sum":
            raise NotImplementedError("the cost is not a sum in machine code")
        self.kernel, self.widths, self.P = kernel, list(kernel.widths), kernel.sums - 1
        k = self.moved = self.P if moved is None else moved
        program, loops = rule if isinstance(rule, Program) else traced_rule(rule, len(columns), slots), kernel.loops
        self.program = StepsProgram.of(program, len(columns), slots, len(self.widths), at_hand)
        self.work = max(kernel.rolled.flops, kernel.nodes), len(program.ops) * self.P   # of an example, and of an update
        self.U, self.M = np.zeros((2, max(loops.rows_shared, 1))), np.zeros((2, slots, k))
        for row, x in loops.numbers:
            self.U[:, row] = x
        self.g = np.zeros((2, self.P))
        self.rooms = {"V": np.empty(loops.rows * kernel.most), "S": np.empty(loops.scratch * kernel.most),
                      "G": np.empty(kernel.sums), "H": np.empty(kernel.sums), "E": np.empty(kernel.outputs * kernel.lanes),
                      "C": np.ascontiguousarray(columns), "A": np.empty(self.P)}
        self.rooms |= {f"{name}{k}": x[k] for name, x in (("U", self.U), ("M", self.M), ("g", self.g)) for k in (0, 1)}
        table, self.places = np.zeros(len(PLACES) + 3 * len(self.widths), np.int64), PLACES
        self.address, self.table = _address(table), table.data   # which gives and takes Python's integers
        self._set(kernel=cast(loops.native.call, c_void_p).value or 0, P=self.P, moved=k, sums=kernel.sums,
                  outputs=kernel.outputs, **{name: _address(x) for name, x in self.rooms.items()})
        self.given: tuple[Sequence[Array], int, int] | None = None   # last: the data, n, and the size of its batches

    def load(self, x: Array, slots: Any, t: int, gradient: Any = 0.0) -> None:
        """Begin at the parameters x, after t steps; a slot is an array, or the number of all parameters."""
        self.U[:, :self.P], self.g[0] = x, gradient   # on both sides, for those that stay
        for own, slot in zip(self.M[0], slots, strict=True):
            own[:] = slot
        self._set(side=0, t=t)

    @property
    def x(self) -> Array:
        """The parameters, a copy."""
        found: Array = self.U[self._word("side"), :self.P]
        return found.copy()

    @property
    def kept(self) -> tuple[int, tuple[Array, ...]]:
        """How many steps there were, and the slots, copies."""
        return self._word("t"), tuple(self.M[self._word("side")].copy())

    @property
    def gradient(self) -> Array:
        """The gradient of the last step, a copy."""
        found: Array = self.g[self._word("side")]
        return found.copy()

    def go(self, epochs: Epochs, data: Sequence[Array], lr: float, most: int | None = None) -> bool:
        """Make all steps of the epochs, or `most`, at the rate lr, unless the epochs have rates of their own. False if one
        would not be finite: those before it are made.

        data   the arguments without θ: all examples, or, of a single batch that is always the same, those in its order
        """
        n, size = epochs.n, epochs.size
        if self.given is None or self.given[0] is not data or self.given[1:] != (n, size):
            self._take(data, n, size)
        for start, v in enumerate(self.captured, self.P):
            self.U[:, start] = v.data
        order = np.ascontiguousarray(epochs.order, np.int64)
        rates = np.full(epochs.epochs, lr) if epochs.rates is None else np.ascontiguousarray(epochs.rates, float)
        self._set(rates=_address(rates), order=_address(order) if epochs.per > 1 else 0, between=n if order.ndim > 1 else 0,
                  place=(words := _address(epochs.words)), totals=words + 16, alive=1)
        left, at_once = min(epochs.left, most or epochs.left), self.at_once(size)
        while left and self._word("alive"):
            self._set(steps=min(left, at_once))
            left -= min(left, at_once)
            self.program.native.call(self.address)
        return bool(self._word("alive"))

    def at_once(self, size: int) -> int:
        """How many steps on batches of that size take so long that one should look what else is to be done."""
        return max(1, _LONGEST // (self.work[0] * size + self.work[1]))

    def _take(self, data: Sequence[Array], n: int, size: int) -> None:
        """The data of the calls to come, in batches of `size` examples."""
        held = [np.ascontiguousarray(x, np.float64) for x in data]
        batch = min(n, size)
        rooms = [np.empty((batch, width)) for width in self.widths]
        sizes = [self._sizes(batch), self._sizes(n % size or batch)]
        words = [word for x, room, width in zip(held, rooms, self.widths, strict=True)
                 for word in (_address(x), _address(room), width)]
        for place, word in enumerate(words, len(self.places)):
            self.table[place] = word
        self._set(full=_address(sizes[0]), last=_address(sizes[1]), size=size, per=-(-n // size))
        self.given = data, n, size
        self.alive = held, rooms, sizes   # whose addresses are in use

    def _sizes(self, n: int) -> Array:
        """Of a batch of n examples: n, the number of its chunks, and of each where it begins and the kernel's sizes."""
        chunks, strides = self.kernel.chunks(n), [x for width in self.widths for x in (width, 1)]
        return np.array([n, len(chunks), *[x for a, b in chunks for x in (a, *self.kernel.tiles(b - a), *strides)]], np.int64)

    def _set(self, **words: int) -> None:
        for name, x in words.items():
            self.table[self.places[name]] = x

    def _word(self, name: str) -> int:
        return self.table[self.places[name]]


def traced_rule(rule: Rule, columns: int, slots: int) -> Program:
    """The program of a rule; TraceError if it does not hold for all numbers, or is another when it is called again."""
    x, s, lr, t, n = [Symbol(name) for name in ("x", "s", "lr", "t", "n")]
    others, kept = [[Symbol(f"{name}{k}") for k in range(count)] for name, count in (("column", columns), ("slot", slots))]

    def program() -> Program:
        outputs = run(lambda: _flat(rule(x, s, others, kept, lr, t, n), slots), [x, s, *others, *kept, lr, t, n])
        return simplify(outputs, [lr, t, n], [x, s, *others, *kept], 0, lowered=True)
    found, again = program(), program()
    if found != again:
        raise TraceError("called twice, a rule of descent was not the same: it draws random numbers, or remembers its calls")
    return found


def _flat(outputs: Sequence[Any], slots: int) -> list[Value]:
    x, new, g, addend = outputs
    if len(new) != slots:
        raise TraceError(f"a rule of descent gave {len(new)} slots, and has {slots}")
    return [v if isinstance(v, Value) else literal(to_float(v)) for v in (x, *new, g, addend)]


def _address(x: Array) -> int:
    return int(x.__array_interface__["data"][0])
