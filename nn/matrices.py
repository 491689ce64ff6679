"""Weights as the lectures write them: matrices that are read as Values and set as numbers."""

from __future__ import annotations

import math
from typing import Any

from autograd import Value
from autograd.conversion import bounded, to_float
from autograd.structure import leaves_of, outline, shape_of

from .module import Module

__all__ = ["Parameters", "assigned"]


class Parameters:
    """An attribute of a Module that holds Values, in lists or alone. What is assigned to it once it is there must have its
    shape: numbers become those of its Values, other Values take their place."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, module: Module | None, owner: type | None = None) -> Any:
        if module is None:
            return self
        if self.name not in vars(module):
            raise AttributeError(f"{type(module).__name__} has no {self.name} yet")
        return vars(module)[self.name]

    def __set__(self, module: Module, given: Any) -> None:
        held = vars(module)
        held[self.name] = assigned(module, self.name, held[self.name], given) if self.name in held else given


def assigned(module: Module, name: str, mine: Any, given: Any) -> Any:
    """What stands in the place of the Values `mine`: they themselves, with the numbers `given`; or what is given, if it is
    Values. All of them, or, if there is an error, none.

    ValueError for another shape, a number that is not finite and a bias that is not there, TypeError for what is no number.
    """
    where = f"{module.called()}.{name}"
    if mine is None or leaves_of(mine) == []:
        raise ValueError(f"{where}: it has no bias: make it with bias=True")
    given = given.to_numpy() if hasattr(given, "to_numpy") else given
    leaves, shape, expected = leaves_of(given), shape_of(given), shape_of(mine)
    if shape != expected:
        told = bounded(given) if shape == () else shape or outline(given)
        raise ValueError(f"{where} has the shape {expected}, and was given {told}")
    if all([isinstance(x, Value) for x in leaves]):
        return given.tolist() if hasattr(given, "tolist") else given
    numbers = [to_float(x, where) for x in leaves]
    for v, x in zip(leaves_of(mine), numbers, strict=True):
        if not math.isfinite(x):
            raise ValueError(f"{where} was given {x}: a parameter is a finite number")
        if not isinstance(v, Value) or v.args:
            raise ValueError(f"{where} holds {v!r}, which is no parameter: give a Value for each")
    for v, x in zip(leaves_of(mine), numbers, strict=True):
        v.data = x
    return mine
