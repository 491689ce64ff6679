"""Calls with arguments as they are given nearly always: a short way, which steps aside for all others.

A quick call gives what Plan.run gives, or None, where an argument is of another kind or structure than these, or where a result
is not finite: then Plan.run is called, which knows every case, and what is to be said of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from ..structure import is_flat, shaped
from ..value import Value
from .plan import Plan, Quick

__all__ = ["quick", "quickest"]

_FLOAT = {float}


def quick(plan: Plan) -> Quick | None:
    """The short way of a plan, if it has one."""
    if None in plan.f.shapes:
        return None
    if not plan.batched:
        return _Single(plan) if plan.kernel.single else None
    if any([piece.shape is None for piece, _ in plan.places]) or plan.f.has_aux or not hasattr(plan.kernel, "small"):
        return None
    return _Batch(plan)


def quickest(plan: Plan) -> Callable[..., Any] | None:
    """A builtin that gives what a call of the function gives, or NotImplemented; None where there is none. See builtin.py."""
    f, batched = plan.f, bool(plan.batched)
    if plan.kernel.stats["backend"] != "llvm" or f.captured or f.has_aux or not (batched or isinstance(f.main, Value)):
        return None
    from .backends.llvm.builtin import Result, builtin
    results, shapes = [], [shape for shape in f.shapes if shape is not None]
    for (summed, k, _, size, shape), at in plan.places:
        if shape is None or (batched and not summed and len(shape) > 1):
            return None
        place = () if not plan.wrt else (k,) if k == 0 or isinstance(f.wrt, int) else (1, k - 1)
        results.append(Result(summed, at.start, size, shape, place))
    if len(shapes) < len(f.shapes):
        return None
    takes = [(i in plan.batched, shape) for i, shape in enumerate(shapes)]
    kernel: Any = plan.kernel
    return builtin(kernel, takes, results, batched and f.reduce == "mean")


class _Single:
    """One example: floats and ints, flat lists of floats and arrays of floats."""

    def __init__(self, plan: Plan) -> None:
        self.kernel, self.captured, self.shapes = plan.kernel, plan.f.captured, plan.f.shapes
        self.parts = [(place, at, plan.wrt[place - 1] if place > 0 else -1, shape == (), like,
                       type(like) is list and is_flat(like)) for (_, place, like, _, shape), at in plan.places]

    def __call__(self, args: Sequence[Any]) -> list[Any] | None:
        if len(args) != len(self.shapes):
            return None
        x: list[float] = [v._data for v in self.captured]
        arrays: dict[int, Any] = {}   # the shapes of those arguments that are arrays
        try:
            for i, (given, shape) in enumerate(zip(args, self.shapes, strict=True)):
                kind = type(given)
                if kind is float or kind is int:
                    if shape != ():
                        return None
                    x.append(float(given))
                elif kind is list:
                    if shape != (len(given),) or set(map(type, given)) != _FLOAT:
                        return None
                    x += given
                elif hasattr(given, "dtype"):
                    import numpy as np
                    if kind is not np.ndarray or given.dtype != float or given.shape != shape:
                        return None
                    arrays[i] = shape
                    x += given.ravel().tolist()
                else:
                    return None
            single = self.kernel.single
            assert single is not None
            found = single(x)
        except (ArithmeticError, ValueError):   # of an operation that has no number; of a huge int
            return None
        if not math.isfinite(sum(found)):   # a sum is finite only if its terms are
            return None
        made: list[Any] = [None] * len(self.parts)
        for place, at, k, scalar, like, flat in self.parts:
            if k in arrays:
                import numpy as np
                made[place] = np.array(found[at], float).reshape(arrays[k])
            elif scalar:
                made[place] = found[at.start]
            else:
                made[place] = list(found[at]) if flat else shaped(like, found[at])
        return made


class _Batch:
    """A small batch for machine code: arrays of floats, and floats where all examples share a number."""

    def __init__(self, plan: Plan) -> None:
        import numpy as np
        self.array, self.float = np.ndarray, np.dtype(float)
        self.kernel: Any = plan.kernel   # which has machine code
        self.captured, self.mean = plan.f.captured, plan.f.reduce == "mean"
        self.takes = [(i in plan.batched, shape or ()) for i, shape in enumerate(plan.f.shapes)]
        self.shared, self.varying = plan.shared, plan.varying
        self.sums = sum([piece.size for piece in plan.pieces if piece.summed])
        self.parts = [(place, summed, shape or (), at) for (summed, place, _, _, shape), at in plan.places]

    def __call__(self, args: Sequence[Any]) -> list[Any] | None:
        if len(args) != len(self.takes):
            return None
        B = -1
        for x, (batched, shape) in zip(args, self.takes, strict=True):
            kind = type(x)
            if kind is self.array and x.dtype is self.float:
                given = x.shape
                if batched:
                    if not given or B not in (-1, given[0]):
                        return None
                    B, given = given[0], given[1:]
                if given != shape:
                    return None
            elif kind is not float or batched or shape != ():
                return None
        small = self.kernel.small(B) if B > 0 else None
        if small is None:
            return None
        if not small.rooms:
            self._divide(small, B)
        for room, x in zip(small.rooms, args, strict=False):
            room[...] = x
        if self.captured:
            small.rooms[-1][...] = [v._data for v in self.captured]
        found = small.run()
        made: list[Any] | None = None
        if math.isfinite(sum(found)):   # a sum is finite only if its terms are
            if self.mean:
                scale = 1.0 / B
                found = [x * scale for x in found]
                small.give(small.r, 0, *found)
            made = [None] * len(self.parts)
            for (place, summed, shape, at), result in zip(self.parts, small.results, strict=True):
                if summed:
                    made[place] = result.copy() if shape else found[at.start]
                else:
                    made[place] = result.copy().T.reshape(B, *shape) if shape else result.copy()
        self.kernel.spare.setdefault(B, []).append(small)
        return made

    def _divide(self, small: Any, B: int) -> None:
        """Find the places in its memory of each argument, then of what is captured, and of each result."""
        rooms: dict[int, Any] = {}
        place = 0
        for i in self.shared:
            shape = self.takes[i][1]
            rooms[i] = small.U[place:place + math.prod(shape)].reshape(shape)
            place += math.prod(shape)
        captured, place = small.U[place:place + len(self.captured)], 0
        for i in self.varying:
            shape = (B, *self.takes[i][1])
            rooms[i] = small.X[place:place + math.prod(shape)].reshape(shape)
            place += math.prod(shape)
        small.rooms = [*[rooms[i] for i in range(len(rooms))], captured]
        sums, each = small.R[:self.sums], small.R[self.sums:].reshape(-1, B)
        small.results = [sums[at].reshape(shape) if summed else each[at] if shape else each[at.start]
                         for _, summed, shape, at in self.parts]
