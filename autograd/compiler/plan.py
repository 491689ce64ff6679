"""A plan: for arguments of which some are batches, with or without the derivative, the program and the kernel that runs it.

Here the steps meet: trace (the derivative), simplify, and a kernel of the backends, which does the others. A call goes from the
user's arguments to arrays, through the kernel, and back to the structure of the outputs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, NamedTuple, NoReturn

from ..conversion import TraceError, bounded, to_float
from ..derive import adjoints
from ..graph import topological
from ..recording import recording
from ..structure import MismatchError, leaves_of, matched, refuse_masked, shape_of, shaped
from ..value import Value, literal
from .arguments import positions
from .backends.choose import kernel
from .backends.chunks import finite
from .backends.python import python_function
from .program import Program
from .simplify import simplify
from .trace import collector_off, condition, evaluated, gradient

__all__ = ["Function", "Plan", "Quick"]

Quick = Callable[[Sequence[Any]], list[Any] | None]   # what Plan.run gives, or None where that has to be asked


class Function:
    """A graph as a function of its arguments, with all that can be said of it before it is called.

    leaves, shapes   of every argument: its Values in order, its shape (None if it is irregular)
    main, aux        the outputs that are reduced, and may be differentiated; others beside them
    ys               all outputs, one after another
    condition        what has to be finite besides the outputs, or None
    order            the nodes between the arguments and all of these, arguments before results
    captured         other leaves, whose numbers are read at every call
    """

    def __init__(self, outputs: Any, arguments: Sequence[Any], wrt: int | Sequence[int], reduce: str | None, backend: str,
                 threads: int | None, has_aux: bool = False) -> None:
        self.outputs, self.arguments, self.wrt, self.has_aux = outputs, arguments, wrt, has_aux
        self.main: Any = outputs[0] if has_aux else outputs
        self.aux: Any = outputs[1] if has_aux else ()
        self.reduce, self.backend, self.threads = reduce, backend, threads
        self.leaves = [leaves_of(argument) for argument in arguments]
        self.shapes = [shape_of(argument) for argument in arguments]
        known = {v for leaves in self.leaves for v in leaves}
        if len(known) < sum(map(len, self.leaves)):
            raise ValueError("compile(): one Value is an input twice; give each once")
        for y in leaves_of(outputs):
            if not isinstance(y, (Value, float, int)):
                raise TypeError(f"compile(): an output is {bounded(y)}: outputs are Values of the graph, or lists of them")
        self.ys = [y if isinstance(y, Value) else literal(float(y)) for y in leaves_of(outputs)]
        self.order = topological(*self.ys, stop=known)
        self.condition, more = condition(self.ys, self.order, known)
        self.order += more
        self.captured = [v for v in self.order if not (v.args or v.constant or v in known)]
        for v in self.captured:
            if v.symbolic:
                raise TraceError(f"{v!r} is no input of what is compiled: it was kept from another trace")


HIDDEN = -2   # the place of what only has to be finite


class Piece(NamedTuple):
    """Some of the program's outputs: what the function gives, or its derivative by one argument."""

    summed: bool                    # over the batch, or kept of each example
    place: int                      # among the results: 0 the outputs, k the derivative by the k-th of `wrt`, −1 the others,
                                    # HIDDEN what only has to be finite
    like: Any                       # whose structure it has,
    size: int                       # so many numbers,
    shape: tuple[int, ...] | None   # in this shape, if it has one


class Plan:
    """A program for given batched arguments, with or without the derivative, and the kernel that runs it.

    shared, varying   positions of the arguments, in the order of the program's inputs: all vary if there is no batch
    xs                the Values by which it differentiates
    shown             how many of the pieces a call gives
    pieces            the program's outputs: first those that are summed over the batch, then those of each example
    """

    def __init__(self, f: Function, derivative: bool, batched: frozenset[int]) -> None:
        if derivative and not isinstance(f.main, Value):
            raise TypeError(f"value_and_grad() of {len(leaves_of(f.main))} outputs: a gradient is of one Value; compile a sum "
                            "of them, or their derivatives as autograd.grad or jacobian gives them")
        self.f, self.batched = f, batched
        self.reference: Callable[[Sequence[float]], Sequence[float]] | None = None   # made when a result is not finite
        self.beside = len(leaves_of(f.aux))
        places = range(len(f.arguments))
        self.wrt = positions(f.wrt, len(places), "wrt") if derivative else []
        self.shared = [i for i in places if batched and i not in batched]
        self.varying = [i for i in places if i not in self.shared]   # of no batch: all, in a batch of one
        summed = bool(f.reduce and batched)
        parts = [(summed, 0, f.main), *([(False, -1, f.aux)] if f.has_aux else [])]
        parts += [(summed and i not in batched, 1 + k, f.arguments[i]) for k, i in enumerate(self.wrt)]
        parts += [(False, HIDDEN, f.condition)] * (f.condition is not None)
        parts.sort(key=lambda part: not part[0])
        self.pieces = [Piece(*part, len(leaves_of(part[2])), shape_of(part[2])) for part in parts]
        self.shown = sum([piece.place != HIDDEN for piece in self.pieces])
        self.places = [(piece, at) for piece, at in zip(self.pieces, self._places(), strict=True) if piece.place != HIDDEN]
        self.xs = [v for piece in self.pieces if piece.place > 0 for v in f.leaves[self.wrt[piece.place - 1]]]
        with collector_off():
            ends, widths = self._ends(), [len(f.leaves[i]) for i in self.varying]
            self.kernel = kernel(lambda lowered: self._program(ends, lowered), f.backend, bool(batched), widths, f.threads)
        if batched or not self.kernel.single:
            import numpy as np
            self.np, self.float = np, np.dtype(float)
        self.quick: Quick | None = None   # a short way, if there is one: see quick.py,
        self.calls = 0                    # how often it was taken,
        self.builtin: Callable[..., Any] | None = None   # and the shortest

    def _places(self) -> list[slice]:
        """Where the pieces stand among the sums, or among the outputs of each example."""
        ends = {True: 0, False: 0}
        found = []
        for piece in self.pieces:
            start, ends[piece.summed] = ends[piece.summed], ends[piece.summed] + piece.size
            found.append(slice(start, ends[piece.summed]))
        return found

    def _ends(self) -> list[Value]:
        """What the program computes: the outputs, and the derivatives by `xs`."""
        f = self.f
        return self._placed(f.ys, gradient({f.main: 1.0}, self.xs, f.order) if self.wrt else [], f.condition)

    def _placed(self, ys: Sequence[Any], slopes: Sequence[Any], condition: Any) -> list[Any]:
        """The outputs, the derivatives by `xs` and the condition, in the order of the pieces."""
        main, rest = len(ys) - self.beside, iter(slopes)
        parts = {0: ys[:main], -1: ys[main:], HIDDEN: [condition]}
        return [x for piece in self.pieces for x in (parts.get(piece.place) or islice(rest, piece.size))]

    def _program(self, ends: Sequence[Value], lowered: bool) -> Program:
        shared, varying = self._inputs()
        return simplify(ends, shared, varying, sum([piece.size for piece in self.pieces if piece.summed]), lowered)

    def _inputs(self) -> tuple[list[Value], list[Value]]:
        """The program's inputs: those that all examples share, and those that vary."""
        f = self.f
        return ([*[v for i in self.shared for v in f.leaves[i]], *f.captured], [v for i in self.varying for v in f.leaves[i]])

    def run(self, args: Sequence[Any]) -> list[Any]:
        """The outputs, and the derivative if it has one, in their structures."""
        captured = [v._data for v in self.f.captured]
        if not self.batched and self.kernel.single:
            x = captured + [number for i in self.varying for number in self._numbers(i, args[i])]
            return self._structured(self._exact(self.kernel.single, x), args)
        shared = [self._array(i, args[i]) for i in self.shared]
        varying = [self._array(i, args[i]) for i in self.varying]
        if captured:
            shared.append(self.np.array(captured))
        if not self.batched:
            varying = [x[None, :] for x in varying]
        B = len(varying[0]) if varying else 1
        for x in varying:
            if len(x) != B or not B:
                raise ValueError(f"the batched arguments have {', '.join([str(len(x)) for x in varying])} examples: "
                                 "they need the same number, at least one")
        sums, each = self.kernel(shared, varying, B)
        if not (finite(sums) and (not each.size or finite(each))):
            sums, each = self._replayed(shared, varying, B, sums, each)
        if not self.batched:
            return self._structured(each[:, 0], args)
        if self.f.reduce == "mean":
            with self.np.errstate(all="ignore"):
                sums *= 1.0 / B
                if each.size:
                    each[self.beside:] *= 1.0 / B   # of a mean, each example's part; what is beside stands first
        return self._arrays(sums, each)

    # ---- arguments as numbers

    def _numbers(self, i: int, x: Any) -> list[float]:
        """Argument i of a single example, or one that all examples share, as floats."""
        if type(x) is float and self.f.shapes[i] == ():
            return [x]
        try:
            found = matched(self.f.arguments[i], x, 0)
        except MismatchError as error:
            self._refuse(i, x, str(error))
        for number in found:
            if getattr(number, "symbolic", False):
                raise TraceError("a compiled function is given numbers, and was given a traced value: call the function that "
                                 "it was made of instead")
        return [to_float(number, f"argument {i} of a compiled function") for number in found]

    def _array(self, i: int, x: Any) -> Any:
        """Argument i as float64 of shape (n,), or (B, n) if it is batched."""
        shape, n, batched = self.f.shapes[i], len(self.f.leaves[i]), i in self.batched
        if type(x) is self.np.ndarray and x.dtype is self.float and shape is not None:   # nearly always, so it is asked first
            if (x.shape[1:] if batched else x.shape) != shape:
                self._refuse(i, x)
            return x if len(shape) == 1 else x.reshape(len(x), n) if batched else x.reshape(n)
        if not batched:
            return self.np.array(self._numbers(i, x))
        try:
            refuse_masked(x)
            if shape is None:   # dicts and ragged lists: every number has the batch's axis
                made, shape = self.np.array(matched(self.f.arguments[i], x, 1)).T, (n,)
            else:
                made = self.np.asarray(x)
            if made.dtype.kind not in "fiub" or made.ndim != 1 + len(shape) or made.shape[1:] != shape:
                self._refuse(i, x)
        except (TypeError, ValueError) as error:
            self._refuse(i, x, str(error) if shape is None or hasattr(x, "filled") else "")
        with self.np.errstate(all="ignore"):   # of a longer float
            return made.astype(float).reshape(len(made), n)

    def _refuse(self, i: int, x: Any, why: str = "") -> NoReturn:
        shape = self.f.shapes[i]
        like = "numbers in the structure it was compiled for" if shape is None else (
            f"numbers of shape ({', '.join([*['B'] * (i in self.batched), *map(str, shape)])})")
        given = f"an array of shape {x.shape} and type {x.dtype}" if hasattr(x, "dtype") else bounded(x)
        raise ValueError(f"argument {i} of a compiled function takes {like}, and was given {given}"
                         + (f": {why}" if why else "")) from None

    # ---- results in their structure

    def _structured(self, found: Sequence[float], args: Sequence[Any]) -> list[Any]:
        """Of a single example: numbers, in the structure of the outputs and of the arguments."""
        made: list[Any] = [None] * self.shown
        for (_, k, like, _, shape), at in self.places:
            if k > 0 and hasattr(args[self.wrt[k - 1]], "dtype"):
                import numpy as np
                made[k] = np.array(found[at], float).reshape(args[self.wrt[k - 1]].shape)
            else:
                made[k] = float(found[at.start]) if shape == () else shaped(like, map(float, found[at]))
        return made

    def _arrays(self, sums: Any, each: Any) -> list[Any]:
        """Of a batch: arrays."""
        made: list[Any] = [None] * self.shown
        for (summed, k, like, _, shape), at in self.places:
            part = sums[at] if summed else each[at]
            if shape is None:
                made[k] = shaped(like, part.tolist() if summed else list(part))
            elif summed:
                made[k] = part.reshape(shape) if shape else float(part[0])
            else:
                made[k] = part.T.reshape(each.shape[1], *shape)
        return made

    # ---- results that are not finite: the graph itself says why, or that they are right

    def _exact(self, run: Callable[[Sequence[float]], Sequence[float]], x: Sequence[float]) -> Sequence[float]:
        """Of one example with the inputs x: what `run` gives, or the graph where that raises or is not finite."""
        try:
            found = run(x)
            if all(map(math.isfinite, found)):
                return found
        except (ArithmeticError, ValueError):
            pass
        return self._by_graph(x)

    def _by_graph(self, x: Sequence[float]) -> list[float]:
        """Of one example with the inputs x: what the graph gives, or raises, naming the node."""
        f, (shared, varying) = self.f, self._inputs()
        made: dict[Value, Value] = {v: Value(number, v.label) for v, number in zip([*shared, *varying], x, strict=True)}
        with recording():
            ys = evaluated(f.ys, made)
            slopes = adjoints({ys[0]: 1.0}, [made[v] for v in self.xs], symbolic=False) if self.xs else []
            return self._placed([y.data for y in ys], slopes, 0.0)

    def _replayed(self, shared: Sequence[Any], varying: Sequence[Any], B: int, sums: Any, each: Any) -> tuple[Any, Any]:
        """The kernel's results, those of examples that are not finite as the graph gives them. Of sums nothing tells which
        example it was: they are added up once more, of all examples."""
        np = self.np
        if self.reference is None:
            self.reference, _ = python_function(self._program(self._ends(), False))
        run, again = self.reference, not finite(sums)
        common = [x for part in shared for x in part.tolist()]
        finite_ones = np.isfinite(each).all(axis=0)
        if again:
            sums = np.zeros_like(sums)
        for b in range(B) if again else np.flatnonzero(~finite_ones).tolist():
            try:
                found = self._exact(run, common + [x for part in varying for x in part[b].tolist()])
            except Exception as error:
                if self.batched:
                    error.add_note(f"in example {b} of the batch")
                raise
            if again:
                with np.errstate(all="ignore"):
                    sums += found[:len(sums)]
            if not finite_ones[b]:
                each[:, b] = found[len(sums):]
        return sums, each
