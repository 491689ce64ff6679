"""What all optimisers share: the parameters, a step that is made entirely or not at all, and saving."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from autograd import Value
from autograd.primitive import bounded, to_float

__all__ = ["Optimizer", "Update"]

Update = tuple[float, tuple[float, ...]]


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
        self.t = 0
        self.state: list[tuple[float, ...]] = [(0.0,) * len(self.slots)] * len(self.params)

    def update(self, x: float, g: float, t: int, *slots: float) -> Update:
        """The new parameter and its new slots."""
        raise NotImplementedError

    def step(self) -> None:
        """Change every parameter by its `grad` (None counts as 0).

        FloatingPointError if a number would not be finite: then nothing at all is changed.
        """
        made, t = [], self.t + 1
        for i, (p, slots) in enumerate(zip(self.params, self.state, strict=True)):
            x, g = p.data, -(p.grad or 0.0) if self.maximize else p.grad or 0.0
            try:
                y, new = self.update(x, g, t, *slots)
            except ArithmeticError as error:
                raise FloatingPointError(self._place(i, x, g, str(error))) from None
            if not all(map(math.isfinite, (y, *new))):
                raise FloatingPointError(self._place(i, x, g, f"it would become {y:g}"))
            made.append((y, new))
        try:
            self._write(t, made)
        except KeyboardInterrupt:   # half a step would be neither the old parameters nor the new ones
            self._write(t, made)
            raise

    def _write(self, t: int, made: list[Update]) -> None:
        for p, (x, _) in zip(self.params, made, strict=True):
            p.data = x
        self.t, self.state = t, [new for _, new in made]

    def zero_grad(self) -> None:
        """Set every gradient to 0."""
        for p in self.params:
            p.grad = 0.0

    def state_dict(self) -> dict[str, Any]:
        """All that a run needs to be continued, bit for bit, as JSON-able numbers; the parameters are the model's part."""
        return {"name": type(self).__name__, "t": self.t, "settings": {name: getattr(self, name) for name in self.settings},
                "slots": {name: [state[i] for state in self.state] for i, name in enumerate(self.slots)}}

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
        made.t = t
        made.state = list(zip(*columns, strict=True)) if columns else made.state
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
