"""Module: a function with parameters.

Its parameters are the leaves that its attributes hold: Values, Modules, and lists, tuples, deques, dicts, numpy arrays and
dataclasses of them, as `walk` finds them. A set has no order, so its parameters would have no names: it is not looked into.
"""

from __future__ import annotations

import inspect
import math
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import fields, is_dataclass
from functools import wraps
from typing import Any, ClassVar

import numpy as np

from autograd import Value
from autograd.conversion import to_float

from .passes import PASS, listed_layers

__all__ = ["Module", "parts_of", "walk"]

_DRAWN = ("rng", "init")   # arguments that choose the first numbers, which a state_dict replaces


class Module:
    """A function whose parameters are found, named, saved and zeroed. A subclass sets attributes and defines `forward`; or,
    as a layer, `z(x)`, what its units sum up, and the activation `g`.

    biases   names of the attributes whose parameters the L2 term leaves out: biases, and what is like them
    inline   whether `repr` shows it in one line, without its parts

    When it is made, its parameters get labels, by which tables, pictures and errors call them: w1, W₁₂ and b for what
    the attributes w, W and b hold, as the lectures have it in nn's own layers, with the path to a part in front where two
    parts have a W₁₂. A label that a parameter was given stays.

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

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "__init__" in vars(cls):
            cls.__init__ = labelling(cls.__init__)  # type: ignore[method-assign]

    def __post_init__(self) -> None:   # a dataclass calls it
        label(self)

    def __call__(self, x: Any) -> Any:
        """forward(x)."""
        noted = PASS.get()
        return self.forward(x) if noted is None else noted.through(self, x)

    def forward(self, x: Any) -> Any:
        """What the module computes of x; of a layer, a = g(z)."""
        if not callable(z := getattr(self, "z", None)):
            raise NotImplementedError(f"{type(self).__name__} has no forward(x): define it")
        sums = z(x)
        a = self.activated(sums)
        if (noted := PASS.get()) is not None:
            noted.note(a, sums)
        return a

    def activated(self, z: Any) -> Any:
        """a = g(z), of each number that a layer sums up."""
        return [self.activated(part) for part in z] if isinstance(z, list) else self.g(z)  # type: ignore[attr-defined]

    def forward_pass(self, x: Any) -> tuple[list[Any], list[Any]]:
        """All a⁽ˡ⁾ and all z⁽ˡ⁾: a⁽¹⁾ = x, z⁽ˡ⁺¹⁾ = Θ⁽ˡ⁾a⁽ˡ⁾ (with a₀ = 1), a⁽ˡ⁺¹⁾ = g(z⁽ˡ⁺¹⁾).

        Each is a list of Values, even of one, or an image; they stand in the order in which the layers are called. The first
        list begins with the input, plain numbers being called x1, x2 …, so it is one longer; of an MLP, Θ⁽ˡ⁾ is
        `layers[l − 1].theta`. What sums nothing up, as a pool, has z = a.
        NotImplementedError for a module with parameters that is neither a layer nor made of layers.

        >>> from nn import MLP
        >>> a, z = MLP(2, [3, 1], rng=0).forward_pass([1.0, 2.0])
        >>> [len(v) for v in a], [len(v) for v in z]
        ([2, 3, 1], [3, 1])
        """
        return listed_layers(self, x, lambda *place: indexed("x", *place))

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

    def _symbols(self) -> dict[Value, str]:
        """What each parameter is called in print."""
        found: dict[Value, tuple[str, str]] = {}
        for name, x, _ in walk(self):
            if isinstance(x, Module) and type(x)._symbols is not Module._symbols and x is not self:
                found = {p: (f"{name}.", symbol) for p, symbol in symbols_of(x).items()} | found
            elif isinstance(x, Value) and not (x.args or x.constant) and x not in found:
                m = _ATTRIBUTE.fullmatch(name)
                found[x] = (m[1] or "", indexed(m[2], *[int(i) + 1 for i in re.findall(r"\d+", m[3])])) if m else ("", name)
        one = len({symbol for _, symbol in found.values()}) == len(found)
        return {p: symbol if one else path + symbol for p, (path, symbol) in found.items()}

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


# ---- names in print

_ATTRIBUTE = re.compile(r"(.*\.)?([^.\d][^.]*)((?:\.\d+)*)", re.DOTALL)   # net.w.0.1: path, attribute, places
_SYMBOL = re.compile(r"(.*?)(?:⁽([^⁾]*)⁾)?([₀-₉\d,]*)", re.DOTALL)          # Θ⁽¹⁾₁₂: letter, what stands above, below
_LOWERED, _RAISED = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"), str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_MADE: ContextVar[bool] = ContextVar("nn_made", default=False)              # whether a Module's constructor runs
_NAMED: ContextVar[tuple[int, ...]] = ContextVar("nn_named", default=())    # the Modules whose symbols are looked for


def labelling(init: Callable[..., None]) -> Callable[..., None]:
    """A constructor that labels the parameters, when it is done: the outermost one, of a subclass and of what holds others."""
    @wraps(init)
    def made(self: Module, *args: Any, **kwargs: Any) -> None:
        if _MADE.get():
            init(self, *args, **kwargs)
            return
        token = _MADE.set(True)
        try:
            init(self, *args, **kwargs)
        finally:
            _MADE.reset(token)
        label(self)
    return made


def label(module: Module) -> None:
    """Give the parameters their names in print, unless they have labels of their own."""
    symbols = symbols_of(module)
    before: dict[Value, str] = {}   # what the parts call them
    if any([p.label is not None for p in symbols]):
        for _, part, _ in walk(module, below=False):
            if isinstance(part, Module) and part is not module:
                before = symbols_of(part) | before
    for p, symbol in symbols.items():
        if p.label is None or p.label == before.get(p):
            p.label = symbol


def symbols_of(x: Any) -> dict[Value, str]:
    """What a Module calls its parameters in print; nothing of anything else, and of one that is in itself."""
    if not isinstance(x, Module) or id(x) in _NAMED.get():
        return {}
    token = _NAMED.set((*_NAMED.get(), id(x)))
    try:
        return x._symbols()
    finally:
        _NAMED.reset(token)


def indexed(letter: str, *places: int) -> str:
    """x1 of x and 1, W₁₂ of W, 1 and 2, W₁₂,₃ of W, 12 and 3.

    >>> indexed("x", 1), indexed("W", 1, 2), indexed("W", 12, 3)
    ('x1', 'W₁₂', 'W₁₂,₃')
    """
    between = "," if max(places, default=0) > 9 else ""
    below = between.join(map(str, places))
    if letter[-1:].isdigit() and below:
        return f"{letter}_{below}"
    return letter + (below if len(places) < 2 else below.translate(_LOWERED))


def numbered(parts: Iterable[Any]) -> dict[Value, str]:
    """The symbols of several Modules, the k-th of those that have parameters marked with ⁽ᵏ⁾ if there are several.

    >>> class Line(Module):
    ...     def __init__(self):
    ...         self.w, self.b = [Value(2.0)], Value(1.0)
    >>> list(numbered([Line(), Line()]).values())
    ['w⁽¹⁾₁', 'b⁽¹⁾', 'w⁽²⁾₁', 'b⁽²⁾']
    """
    found = [symbols for part in parts if (symbols := symbols_of(part))]
    if len(found) == 1:
        return found[0]
    marked: dict[Value, str] = {}
    for k, symbols in enumerate(found, 1):
        for p, symbol in symbols.items():
            if p not in marked:   # what two share has its first name
                marked[p] = raised(symbol, k)
    return marked


def raised(symbol: str, k: int) -> str:
    """Θ⁽¹⁾₁₂ as Θ⁽ᵏ,¹⁾₁₂, w1 as w⁽ᵏ⁾₁."""
    m = _SYMBOL.fullmatch(symbol)
    assert m is not None
    return f"{m[1]}⁽{str(k).translate(_RAISED)}{',' + m[2] if m[2] else ''}⁾{m[3].translate(_LOWERED)}"


def matrix(letter: str, rows: Sequence[Sequence[Value]], first: int = 1) -> dict[Value, str]:
    """W₁₁, W₁₂ … of the rows of W; the columns are counted from `first`. As `indexed`, in a third of the time."""
    lowered = [str(j).translate(_LOWERED) for j in range(first + max([len(row) for row in rows], default=0))]
    found: dict[Value, str] = {}
    for i, row in enumerate(rows, 1):
        near = letter + str(i).translate(_LOWERED)
        far = near + ","
        for j, p in enumerate(row, first):
            found[p] = (near if i < 10 > j else far) + lowered[j]
    return found


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
