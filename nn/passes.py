"""A forward pass that is listed: while it goes on, every layer that is called notes its z and its a."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from itertools import repeat
from typing import Any

import numpy as np

from autograd import Value
from autograd.conversion import to_float
from autograd.structure import leaves_of, shape_of, shaped
from autograd.value import literal

__all__ = ["PASS", "Pass", "listed_layers"]


class Pass:
    """The a and z of the layers that were called so far."""

    def __init__(self) -> None:
        self.a: list[Any] = []
        self.z: list[Any] = []

    def through(self, module: Any, x: Any) -> Any:
        """module.forward(x), noted by the layers in it; by itself, if there are none."""
        layers = len(self.z)
        y = module.forward(x)
        if len(self.z) == layers and hasattr(x, "__len__"):   # of one number it is an activation, and a layer's part
            if module.parameters():
                raise _untold(module)
            self.note(y, y)
        return y

    def note(self, a: Any, z: Any) -> None:
        """A layer gave a of z."""
        self.a.append(_listed(a))
        self.z.append(_listed(z))


PASS: ContextVar[Pass | None] = ContextVar("nn_forward_pass", default=None)


def listed_layers(module: Any, x: Any, called: Callable[..., str]) -> tuple[list[Any], list[Any]]:
    """([x, a of every layer], [z of every layer]), as `Module.forward_pass` tells; called(i) is a plain input's name."""
    x = x.tolist() if hasattr(x, "tolist") else x
    told, shape = f"an input of {module.called()}", shape_of(x)
    if shape and len(shape) == 3 and shape[0] == 1:   # an image of one channel
        shape = shape[1:]
    names = repeat(None) if shape is None else [called(*[i + 1 for i in place]) for place in np.ndindex(shape or (1,))]
    x = shaped(x, [v if isinstance(v, Value) else literal(to_float(v, told), name)
                   for v, name in zip(leaves_of(x), names, strict=False)])
    noted = Pass()
    token = PASS.set(noted)
    try:
        module(x)
    finally:
        PASS.reset(token)
    if not noted.z:
        raise _untold(module)
    return [_listed(x), *noted.a], noted.z


def _untold(module: Any) -> NotImplementedError:
    return NotImplementedError(f"{module.called()} does not tell what it sums up: for forward_pass, make it of layers, or "
                               "define z(x) and the activation g in place of forward(x)")


def _listed(x: Any) -> Any:
    """x, in a list if it is one number."""
    return x if hasattr(x, "__len__") else [x]
