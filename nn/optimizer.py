"""What all optimisers share: the parameters, a step that is made entirely or not at all, and saving."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping
from itertools import repeat
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from autograd import Value
from autograd.conversion import bounded, to_float

__all__ = ["Array", "Optimizer", "Update", "finite", "put"]

Array = npt.NDArray[np.float64]
Update = tuple[Any, tuple[Any, ...]]   # new parameters and slots: floats, or arrays


class Optimizer:
    """An optimiser of `params`; what kind, its `update` says.

    params   the Values to change: leaves, each once, as `model.parameters()` gives them
    lr       the learning rate; it may be assigned between steps
    """

    slots: ClassVar[tuple[str, ...]] = ()     # names of the numbers kept for each parameter
    settings: ClassVar[tuple[str, ...]] = ("lr", "weight_decay", "maximize")

    def __init__(self, params: Iterable[Value], lr: float, weight_decay: float = 0.0, maximize: bool = False) -> None:
        self.params = _checked(params, type(self).__name__)
        self.lr = self._number("lr", lr)
        self.weight_decay = self._number("weight_decay", weight_decay)
        self.maximize = bool(maximize)
        self.kept: tuple[int, tuple[Any, ...]] = 0, (0.0,) * len(self.slots)   # t; of each slot an array, or the number of all

    @property
    def t(self) -> int:
        """How many steps there were."""
        return self.kept[0]

    @property
    def state(self) -> list[tuple[float, ...]]:
        """The slots of each parameter."""
        return list(zip(*self._columns(), strict=True)) if self.slots else [()] * len(self.params)

    def _columns(self) -> list[list[float]]:
        return [np.broadcast_to(slot, len(self.params)).tolist() for slot in self.kept[1]]

    def update(self, x: Any, g: Any, t: int, *slots: Any) -> Update:
        """The new parameter and its new slots, of floats; or, if its operations take them, of arrays of all parameters.

        Where they take Values too, as arithmetic and numpy's functions do, and it looks at no number, `fit` makes machine code
        of it. `t` and the result may then be Values; `lr` is read at every step, and what else it reads of the optimiser when
        that was changed."""
        raise NotImplementedError

    def decayed(self, x: Any, g: Any) -> Any:
        """The gradient with that of the weight decay."""
        return g + self.weight_decay * x if self.weight_decay else g

    def step(self) -> None:
        """Change every parameter by its `grad` (None counts as 0).

        FloatingPointError if a number would not be finite: then nothing at all is changed.
        """
        x, kept = self.moved(np.array([p.data for p in self.params]), np.array([p.grad or 0.0 for p in self.params]))
        try:
            self._write(x, kept)
        except KeyboardInterrupt:   # half a step would be neither the old parameters nor the new ones
            self._write(x, kept)
            raise

    def _write(self, x: Array, kept: tuple[int, tuple[Any, ...]]) -> None:
        put(self.params, "data", x)
        self.kept = kept

    def moved(self, x: Array, g: Array) -> tuple[Array, tuple[int, tuple[Any, ...]]]:
        """The parameters after a step from x with the gradient g, and what is then `kept`; neither is changed here.

        FloatingPointError naming the first parameter that would not be finite.
        """
        t, g = self.t + 1, -g if self.maximize else g
        with np.errstate(all="ignore"):
            try:
                y, slots = self.update(_fixed(x), _fixed(g), t, *map(_fixed, self.kept[1]))
            except (TypeError, ValueError):   # a formula that takes floats only
                y, slots = self._one_by_one(x, g, t)
            right = all([finite(part) for part in (y, *slots)])
        if not right:
            i = int(np.argmin(np.logical_and.reduce([np.isfinite(np.broadcast_to(part, len(x))) for part in (y, *slots)])))
            raise FloatingPointError(self._place(i, x[i], g[i], f"it would become {y[i]:g}"))
        return y, (t, slots)

    def _one_by_one(self, x: Array, g: Array, t: int) -> Update:
        made = []
        for i, (a, b, slots) in enumerate(zip(x.tolist(), g.tolist(), self.state, strict=True)):
            try:
                y, new = self.update(a, b, t, *slots)
            except ArithmeticError as error:
                raise FloatingPointError(self._place(i, a, b, str(error))) from None
            made.append((y, *new))
        columns = tuple(map(np.array, zip(*made, strict=True)))
        return columns[0], columns[1:]

    def zero_grad(self) -> None:
        """Set every gradient to 0."""
        for p in self.params:
            p.grad = 0.0

    def state_dict(self) -> dict[str, Any]:
        """All that a run needs to be continued, bit for bit, as JSON-able numbers; the parameters are the model's part."""
        return {"name": type(self).__name__, "t": self.t, "settings": {name: getattr(self, name) for name in self.settings},
                "slots": dict(zip(self.slots, self._columns(), strict=True))}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on as the optimiser that gave `state`; ValueError if it was of another kind or size. All or nothing."""
        name = type(self).__name__
        if state.get("name") != name:
            raise ValueError(f"{name}.load_state_dict() got the state of {bounded(state.get('name'))}: make that optimiser")
        try:
            made = type(self)(self.params, **{key: _setting(x) for key, x in dict(state["settings"]).items()})
            columns = [[to_float(x, slot) for x in state["slots"][slot]] for slot in self.slots]
            t = state["t"]
        except (KeyError, TypeError) as error:
            raise ValueError(f"{name}.load_state_dict(): {error} is missing or is no number") from None
        if any([len(column) != len(self.params) for column in columns]):
            raise ValueError(f"{name}.load_state_dict() got numbers for {len(columns[0])} parameters and has "
                             f"{len(self.params)}: make it of the same model")
        if not (type(t) is int and t >= 0) or not all([math.isfinite(x) for column in columns for x in column]):
            raise ValueError(f"{name}.load_state_dict() got numbers that are not finite, or t={bounded(t)}")
        made.kept = t, tuple(map(np.array, columns))
        self.__dict__.update(made.__dict__)

    def _number(self, name: str, x: float, low: float = 0.0, high: float = math.inf) -> float:
        """The hyperparameter as a float in [low, high); ValueError naming it if it is elsewhere."""
        found = to_float(x, f"{type(self).__name__}({name})")
        if not low <= found < high:
            limits = f"≥ {low:g}" if high == math.inf else f"in [{low:g}, {high:g})"
            raise ValueError(f"{type(self).__name__}({name}={found!r}): it must be a finite number {limits}")
        return found

    def _place(self, i: int, x: float, g: float, what: str) -> str:
        label = self.params[i].label
        return (f"{type(self).__name__}.step() at parameter {i}{'' if label is None else ' ' + bounded(label)} = {x:g} with "
                f"gradient {g:g}: {what}; lower lr={self.lr:g}{' or raise eps' if hasattr(self, 'eps') else ''}")

    def __repr__(self) -> str:
        shown = ", ".join([f"{name}={getattr(self, name)!r}" for name in self.settings])
        return f"{type(self).__name__}({len(self.params)} parameters, {shown})"



def finite(x: Any) -> bool:
    """Whether all numbers of an array (n,), or the number x, are finite: by one product, unless that overflows."""
    return math.isfinite(x) if isinstance(x, float) else bool(np.dot(x, x) < math.inf or np.isfinite(x).all())


def put(values: Iterable[Value], name: str, numbers: Array) -> None:
    """Assign numbers to an attribute of Values."""
    deque(map(setattr, values, repeat(name), numbers.tolist()), maxlen=0)


def _fixed(x: Any) -> Any:
    """A view that cannot be changed in place: a formula with `g += …` is one of floats, and must not be half done on arrays."""
    if isinstance(x, np.ndarray):
        x = x.view()
        x.flags.writeable = False
    return x


def _setting(x: Any) -> Any:
    return tuple(x) if isinstance(x, list) else x


def _checked(params: Iterable[Value], name: str) -> list[Value]:
    """`params` as a list of leaves that are each there once."""
    if isinstance(params, Value) or not hasattr(params, "__iter__"):
        raise TypeError(f"{name}() got {bounded(params)}: it takes the list of Values that model.parameters() gives")
    found = list(params)
    if not found:
        raise ValueError(f"{name}() got no parameters: there is nothing to optimise")
    for i, p in enumerate(found):
        if not isinstance(p, Value):
            raise TypeError(f"{name}(): params[{i}] is {bounded(p)}, not a Value; pass model.parameters()")
        if p.constant or p.args:
            raise ValueError(f"{name}(): params[{i}] = {p!r} {'is a constant' if p.constant else 'was computed'}: "
                             "only leaves, made as Value(number), can be changed by a step")
    if len(set(found)) < len(found):
        raise ValueError(f"{name}(): a parameter is there twice and would be changed twice; pass each once")
    return found
