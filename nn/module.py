"""Module: a function with parameters.

Its parameters are the leaves that its attributes hold: Values, Modules, and lists, tuples, deques, dicts, numpy arrays and
dataclasses of them, as `walk` finds them. A set has no order, so its parameters would have no names: it is not looked into.
"""

from __future__ import annotations

import inspect
import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import fields, is_dataclass
from typing import Any, ClassVar

import numpy as np

from autograd import Value
from autograd.conversion import to_float
from autograd.structure import leaves_of, shaped
from autograd.value import literal

__all__ = ["Module", "parts_of", "walk"]

_DRAWN = ("rng", "init")   # arguments that choose the first numbers, which a state_dict replaces


class Module:
    """A function whose parameters are found, named, saved and zeroed. A subclass sets attributes and defines `forward`; or,
    as a layer, `z(x)`, what its units sum up, and the activation `g`.

    biases   names of the attributes whose parameters the L2 term leaves out: biases, and what is like them
    inline   whether `repr` shows it in one line, without its parts

    >>> class Line(Module):
    ...     def __init__(self):
    ...         self.w, self.b = [Value(2.0)], Value(1.0)
    ...     def forward(self, x):
    ...         return self.w[0] * x + self.b
    >>> line = Line()
    >>> line(3.0).data, line.state_dict()
    (7.0, {'w.0': 2.0, 'b': 1.0})
    >>> line
    Line(): 2 parameters
    """

    biases: ClassVar[tuple[str, ...]] = ("b", "bias")
    inline: ClassVar[bool] = False

    def __call__(self, x: Any) -> Any:
        """forward(x)."""
        noted = _PASS.get()
        return self.forward(x) if noted is None else noted.through(self, x)

    def forward(self, x: Any) -> Any:
        """What the module computes of x; of a layer, a = g(z)."""
        if not callable(z := getattr(self, "z", None)):
            raise NotImplementedError(f"{type(self).__name__} has no forward(x): define it")
        sums = z(x)
        a = self.activated(sums)
        if (noted := _PASS.get()) is not None:
            noted.note(a, sums)
        return a

    def activated(self, z: Any) -> Any:
        """a = g(z), of each number that a layer sums up."""
        return [self.activated(part) for part in z] if isinstance(z, list) else self.g(z)  # type: ignore[attr-defined]

    def forward_pass(self, x: Any) -> tuple[list[Any], list[Any]]:
        """All a⁽ˡ⁾ and all z⁽ˡ⁾: a⁽¹⁾ = x, z⁽ˡ⁺¹⁾ = Θ⁽ˡ⁾a⁽ˡ⁾ (with a₀ = 1), a⁽ˡ⁺¹⁾ = g(z⁽ˡ⁺¹⁾).

        Each is a list of Values, even of one, or an image; they stand in the order in which the layers are called. The first
        list begins with the input, so it is one longer; of an MLP, Θ⁽ˡ⁾ is `layers[l − 1].theta`. What sums nothing up, as
        a pool, has z = a.
        NotImplementedError for a module with parameters that is neither a layer nor made of layers.

        >>> from nn import MLP
        >>> a, z = MLP(2, [3, 1], rng=0).forward_pass([1.0, 2.0])
        >>> [len(v) for v in a], [len(v) for v in z]
        ([2, 3, 1], [3, 1])
        """
        x = x.tolist() if hasattr(x, "tolist") else x
        told = f"an input of {self.called()}"
        x = shaped(x, [v if isinstance(v, Value) else literal(to_float(v, told)) for v in leaves_of(x)])
        noted = _Pass()
        token = _PASS.set(noted)
        try:
            self(x)
        finally:
            _PASS.reset(token)
        if not noted.z:
            raise _untold(self)
        return [_listed(x), *noted.a], noted.z

    # ---- parameters

    def parameters(self) -> list[Value]:
        """Every parameter once, in the order of definition."""
        return [v for _, v, _ in self._found()]

    def named_parameters(self) -> list[tuple[str, Value]]:
        """(name, parameter) pairs; the name is the path through the attributes: "layers.0.neurons.1.w.0".

        A parameter that is shared has its first name.
        """
        return [(name, v) for name, v, _ in self._found()]

    def weights(self) -> list[Value]:
        """The parameters that the L2 term covers: all that do not stand in one of the attributes `biases`."""
        return [v for _, v, bias in self._found() if not bias]

    def zero_grad(self) -> None:
        """Set every parameter's gradient to 0."""
        for v in self.parameters():
            v.grad = 0.0

    def _found(self) -> Iterator[tuple[str, Value, bool]]:
        """(name, parameter, whether it is a bias): the leaves that are variables."""
        return ((name, x, bias) for name, x, bias in walk(self) if isinstance(x, Value) and not (x.args or x.constant))

    # ---- state

    def state_dict(self) -> dict[str, float]:
        """{name: number} of every parameter. ValueError if two have one name (a dict's key with a dot in it)."""
        named = self.named_parameters()
        state = {name: v.data for name, v in named}
        if len(state) < len(named):
            names = [name for name, _ in named]
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"{type(self).__name__}: two parameters are called {twice!r}: rename an attribute or a key")
        return state

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        """Set every parameter to the number of its name: all of them, or, if there is an error, none.

        KeyError for names that are missing or unexpected, ValueError for a number that is not finite, TypeError for
        what is no number.
        """
        who, mine = type(self).__name__, dict(self.named_parameters())
        missing, unexpected = [n for n in mine if n not in state], [n for n in state if n not in mine]
        for problem, names in (("misses", missing), ("has unexpected", unexpected)):
            if names:
                raise KeyError(f"the state for {who} {problem} {', '.join(map(repr, names[:3]))}{', …' * (len(names) > 3)} "
                               f"({len(names)} of {len(state)} names given, {len(mine)} expected): is it another model's?")
        numbers = {name: to_float(state[name], f"the state of {who}, {name!r},") for name in mine}
        for name, x in numbers.items():
            if not math.isfinite(x):
                raise ValueError(f"the state for {who} has {name!r} = {x}: a parameter is a finite number")
        for name, v in mine.items():
            v.data = numbers[name]

    # ---- structure

    def config(self) -> dict[str, Any]:
        """The constructor's arguments, except those that only choose the first numbers, each read from the attribute
        of its name: numbers and names, for saving, unless an argument was a function. A Module among them is described as
        {"module": its class, "config": its own}.

        TypeError for an argument that is not kept.

        >>> from nn import Layer
        >>> Layer(2, 3, "tanh", rng=0).config()
        {'nin': 2, 'nout': 3, 'activation': 'tanh', 'bias': True}
        """
        for name in self._signature():
            if not hasattr(self, name):
                raise TypeError(f"{type(self).__name__} does not keep its argument {name!r}: "
                                f"set self.{name}, or define config()")
        return {name: _described(getattr(self, name)) for name in self._signature()}

    @classmethod
    def _signature(cls) -> dict[str, inspect.Parameter]:
        if cls.__init__ is object.__init__:
            return {}
        return {name: p for name, p in list(inspect.signature(cls.__init__).parameters.items())[1:] if name not in _DRAWN}

    def called(self) -> str:
        """The constructor's call, without arguments at their defaults: how errors and `repr` name the module."""
        arguments = [(name, getattr(self, name, "…"), p.default) for name, p in self._signature().items()
                     if p.kind is not p.VAR_POSITIONAL]
        shown = [f"{name}={x!r}" for name, x, default in arguments if repr(x) != repr(default)]
        return f"{type(self).__name__}({', '.join(shown)})"

    def __repr__(self) -> str:
        n = len(self.parameters())
        parts = [] if self.inline else [(name, x) for name, x, _ in walk(self, below=False) if isinstance(x, Module)][1:]
        lines = [f"{self.called()}: {n} parameter{'s' * (n != 1)}", *[f"{name}  {part!r}" for name, part in parts]]
        return "\n".join(lines).replace("\n", "\n  ")


class _Pass:
    """The a and z of the layers that are called."""

    def __init__(self) -> None:
        self.a: list[Any] = []
        self.z: list[Any] = []

    def through(self, module: Module, x: Any) -> Any:
        """module(x), noted by the layers in it; by itself, if there are none."""
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


_PASS: ContextVar[_Pass | None] = ContextVar("nn_forward_pass", default=None)


def _untold(module: Module) -> NotImplementedError:
    return NotImplementedError(f"{module.called()} does not tell what it sums up: for forward_pass, make it of layers, or "
                               "define z(x) and the activation g in place of forward(x)")


def _listed(x: Any) -> Any:
    """x, in a list if it is one number."""
    return x if hasattr(x, "__len__") else [x]


def walk(root: Any, below: bool = True) -> Iterator[tuple[str, Any, bool]]:
    """(name, object, whether it stands among a Module's `biases`) of `root` and all that it holds, each object once, in
    the order of definition; without `below`, nothing of what other Modules hold.

    The name is the path of attributes, keys and places: "layers.0.neurons.1.w.0", and "W.0.1" of W[0, 1] in an array.
    """
    seen: dict[int, Any] = {}   # the objects too: the number of one that is gone may become another's
    stack: list[tuple[str, Any, bool]] = [("", root, False)]
    while stack:
        name, x, bias = stack.pop()
        if id(x) in seen:
            continue
        seen[id(x)] = x
        yield name, x, bias
        if isinstance(x, Value) or not (below or x is root or not isinstance(x, Module)):
            continue
        if (parts := parts_of(x)) is not None:
            biases = x.biases if isinstance(x, Module) else ()
            stack += reversed([(f"{name}.{key}" if name else f"{key}", part, bias or key in biases)
                               for key, part in zip(*parts, strict=True)])


def parts_of(x: Any) -> tuple[Iterable[Any], Iterable[Any]] | None:
    """(names, objects) that a Module or a container holds, in order; None for what is neither."""
    if isinstance(x, (list, tuple, deque)):
        return range(len(x)), x
    if x is None or isinstance(x, (str, float, int)):   # nearly all that is left, told at once
        return None
    if isinstance(x, Module):
        x = vars(x)
    if isinstance(x, (dict, Mapping)):   # a dict is told sooner than that it is a Mapping
        return x.keys(), x.values()
    if isinstance(x, np.ndarray):
        return (map(_path, np.ndindex(x.shape or (1,))), x.flat) if x.dtype.kind == "O" else None
    if is_dataclass(x) and not isinstance(x, type):
        names = [field.name for field in fields(x) if hasattr(x, field.name)]
        return names, [getattr(x, name) for name in names]
    return None


def _path(index: tuple[int, ...]) -> str:
    return ".".join(map(str, index))


def _described(x: Any) -> Any:
    if isinstance(x, Module):
        return {"module": type(x).__name__, "config": x.config()}
    if isinstance(x, Mapping):
        return {key: _described(part) for key, part in x.items()}
    if isinstance(x, np.ndarray) and x.dtype.kind == "O":
        x = x.tolist()
    return [_described(part) for part in x] if isinstance(x, (list, tuple, deque)) else x
