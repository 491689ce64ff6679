"""Programs: short functions of a few numbers, to run on anything, to print as Python, to draw at random and to shrink.

A program is a list of steps; a step is a word (an operator, a function of autograd, a row of the table, users' own too) and
its arguments: whole numbers are places among what there is already, first the inputs and then the steps' results, and floats
are numbers. The last step is the result.

>>> p = Program((0.5, 2.0), (("exp", (0,)), ("mul", (2, 1)), ("add", (3, 2))))
>>> print(p)
def f(x=0.5, y=2.0): a = exp(x); return (a * y) + a
>>> p(0.0, 3.0)
4.0
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from .. import functions
from ..primitive import PRIMITIVES, Primitive, primitive
from ..primitives import shift
from ..recording import no_grad
from ..value import Value

__all__ = ["ACTIVATIONS", "CODES", "LAYOUTS", "LOSSES", "SPECIAL", "WHOLE", "Choice", "Program", "expression", "network",
           "rows", "simpler", "weights_of", "words_of"]

Step = tuple[str, tuple[float, ...]]
Choice = tuple[str, int]   # a word and, in one whole number below CODES so that hypothesis shrinks it well, its arguments
BACK, FREE, NUMBERS = 8, 16, 32   # how far back they may be; from which code on, of how many, one of them is a number
CODES = BACK**3 * NUMBERS
LAYOUTS = ("numbers", "list", "array", "dict", "ragged", "nested")
_INPUTS, _RESULTS = "xyzuvw", "abcdeghijklmnopqrst"   # names; f is the function, and p the argument that holds all
_SIGNS: dict[str, tuple[str, Callable[..., Any]]] = {   # what Python has a sign for, and how it is written
    "add": ("{} + {}", operator.add), "sub": ("{} - {}", operator.sub), "mul": ("{} * {}", operator.mul),
    "div": ("{} / {}", operator.truediv), "pow": ("{} ** {}", operator.pow), "mod": ("{} % {}", operator.mod),
    "floor_divide": ("{} // {}", operator.floordiv), "neg": ("-{}", operator.neg), "abs": ("abs({})", abs),
    "reciprocal": ("1 / {}", lambda x: 1 / x),
}
_COMPOSED = {"sub": 2, "silu": 1, "gelu": 1, "log_sigmoid": 1, "leaky_relu": 1, "heaviside": 1, "softmax": None,
             "log_softmax": None, "norm": None}   # words that are no rows: how many arguments they take
_CALLED = {row: name for name in functions.__all__ if isinstance(row := getattr(functions, name), Primitive)}   # in public
WHOLE = (0.0, 1.0, -1.0, 2.0, -2.0, 3.0, 0.5)
SPECIAL = (*WHOLE, -0.0, math.inf, -math.inf, math.nan, 1e300, -1e300, 1e-300, -1e-300, 5e-324, 1e-20, 711.0, 1000.0, -1000.0,
           60.0, 37.0, -37.0, 1e8, -1e8, 1e17, 0.25, -0.75, 1.0 - 2**-53, 1.0 + 2**-52, 1e200, -1e-200)

ACTIVATIONS = ("tanh", "sigmoid", "softplus", "relu", "sin", "gelu", "silu", "leaky_relu")
LOSSES = ("squares", "logits", "softmax")


@dataclass(frozen=True, repr=False)
class Program:
    """A function with the numbers that it is to be called with: see the head of this file.

    at       one number for every input
    steps    ((word, arguments), …)
    layout   how the function takes its inputs: "numbers" one by one, else in one argument: a "list", an "array", a "dict",
             "ragged" as [x, [y, z]], "nested" as {"x": …, "rest": […]}

    Its repr is a line of Python that defines it, with these numbers as defaults, after `from autograd import *`.
    """

    at: tuple[float, ...]
    steps: tuple[Step, ...]
    layout: str = "numbers"

    @property
    def args(self) -> tuple[Any, ...]:
        """What it is to be called with."""
        return self.structured(self.at)

    def structured(self, inputs: Sequence[Any]) -> tuple[Any, ...]:
        """The arguments in its layout, of one number (or one array of a batch) for every input."""
        names, first, rest = self._names(), inputs[0], list(inputs[1:])
        if self.layout == "numbers":
            return tuple(inputs)
        if self.layout == "array":
            import numpy as np
            return (np.array(inputs, dtype=float).T,)
        return ({"list": list(inputs), "dict": dict(zip(names, inputs, strict=True)), "ragged": [first, rest],
                 "nested": {"x": first, "rest": rest}}[self.layout],)

    def __call__(self, *args: Any) -> Any:
        """The result; without arguments, of its own numbers."""
        found = self._inputs(args or self.args)
        for word, places in self.steps:
            found.append(_function(word)(*[found[a] if isinstance(a, int) else a for a in places]))
        return found[-1]

    def _inputs(self, args: tuple[Any, ...]) -> list[Any]:
        p = args[0]
        match self.layout:
            case "numbers":
                return list(args)
            case "dict":
                return [p[name] for name in self._names()]
            case "ragged":
                return [p[0], *p[1]]
            case "nested":
                return [p["x"], *p["rest"]]
        return list(p)

    def _names(self) -> list[str]:
        return [_INPUTS[i] if i < len(_INPUTS) else f"x{i}" for i in range(len(self.at))]

    @property
    def words(self) -> tuple[str, ...]:
        """The words in it, each once."""
        return tuple(sorted({word for word, _ in self.steps}))

    def source(self) -> list[str]:
        """It as a function in Python, line by line, with what is to be imported first."""
        body = self._body()
        used = {name for name in (_name(word) for word in self.words) if name}
        lines = [f"from autograd import {', '.join(sorted(used))}"] if used else []
        if self.layout == "array":
            lines.append("import numpy as np")
        return [*lines, f"def f({self._signature()}):", *[f"    {line}" for line in body]]

    def __repr__(self) -> str:
        return f"def f({self._signature()}): {'; '.join(self._body())}"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))   # hypothesis and IPython would print the fields

    def call(self) -> str:
        """Its arguments, as they are written in a call."""
        return ", ".join(map(_written, self.args))

    def _signature(self) -> str:
        if self.layout == "numbers":
            return ", ".join([f"{name}={_written(x)}" for name, x in zip(self._names(), self.at, strict=True)])
        return f"p={_written(self.args[0])}"

    def _unpacked(self) -> list[str]:
        names = self._names()
        rest = f"[{', '.join(names[1:])}]"
        match self.layout:
            case "numbers":
                return []
            case "dict":
                return [f"{', '.join(names)} = {', '.join([f'p[{name!r}]' for name in names])}"]
            case "ragged":
                return [f"{names[0]}, {rest} = p"]
            case "nested":
                return [f"{names[0]}, {rest} = p['x'], p['rest']"]
        return [f"[{', '.join(names)}] = p"]

    def _body(self) -> list[str]:
        uses = [a for _, places in self.steps for a in places if isinstance(a, int)]
        texts, free = self._names(), iter([*_RESULTS, *[f"a{i}" for i in range(len(self.steps))]])
        lines = self._unpacked()
        for i, (word, places) in enumerate(self.steps):
            text = _text(word, [texts[a] if isinstance(a, int) else _written(a) for a in places])
            place = len(self.at) + i
            if i == len(self.steps) - 1:
                return [*lines, f"return {text[1:-1] if text.startswith('(') and _bracketed(text) else text}"]
            if uses.count(place) > 1 or len(text) > 70:
                texts.append(name := next(free))
                lines.append(f"{name} = {text[1:-1] if text.startswith('(') and _bracketed(text) else text}")
            else:
                texts.append(text)
        return [*lines, f"return {texts[-1]}"]


def _bracketed(text: str) -> bool:
    """Whether the bracket that opens a text closes at its end."""
    depth = 0
    for i, c in enumerate(text):
        depth += (c == "(") - (c == ")")
        if depth == 0:
            return i == len(text) - 1
    return False


def _written(x: Any) -> str:
    """Numbers as Python reads them, also nan and the infinities."""
    if isinstance(x, dict):
        return f"{{{', '.join([f'{key!r}: {_written(part)}' for key, part in x.items()])}}}"
    if isinstance(x, list):
        return f"[{', '.join(map(_written, x))}]"
    if hasattr(x, "tolist"):
        return f"np.array({_written(x.tolist())})"
    return repr(x) if math.isfinite(x) else f"float('{x}')"


def _text(word: str, args: Sequence[str]) -> str:
    if word in _SIGNS:
        form = _SIGNS[word][0].format(*[f"({x})" if x.startswith("-") else x for x in args])
        return form if word == "abs" else f"({form})"
    args = [x[1:-1] if x.startswith("(") and _bracketed(x) else x for x in args]
    if word in ("softmax", "log_softmax"):
        return f"{word}({', '.join(args)})[0]"
    name = _name(word)
    return f"{f'primitive({word!r})' if name == 'primitive' else name}({', '.join(args)})"


def _name(word: str) -> str | None:
    """What a program imports from autograd for a word; `primitive` where it is a row without a public name."""
    if word in _SIGNS:
        return None
    row = PRIMITIVES.get(word)
    return word if word in functions.__all__ else _CALLED.get(row, "primitive") if row else word


def _function(word: str) -> Callable[..., Any]:
    if word in _SIGNS:
        return _SIGNS[word][1]
    if word in ("softmax", "log_softmax"):
        return lambda *xs: getattr(functions, word)(*xs)[0]
    return getattr(functions, word) if word in _COMPOSED else primitive(word)


_TABLE = frozenset(PRIMITIVES)   # further derivatives of log Γ become rows when they are asked for: no draw depends on that


def rows(smooth: bool = False) -> list[Primitive]:
    """The rows of the table, users' own too; smooth: those without a kink. Not `shift`, whose slopes cancel only where it is
    used in a derivative."""
    return [p for p in PRIMITIVES.values()
            if (p.kink is None or not smooth) and (p.name in _TABLE or not p.builtin) and p is not shift]


# ---- making them of choices, which chance or hypothesis made

class _Growing:
    """A program that is being made, with the number that every place has."""

    def __init__(self, at: Sequence[float]) -> None:
        self.at, self.numbers, self.depth = tuple(at), list(at), [0] * len(at)
        self.steps: list[Step] = []

    def add(self, word: str, *args: float) -> int:
        """One step more: its place."""
        self.steps.append((word, args))
        try:
            with no_grad():   # of Values: Python's own floats go on to complex numbers
                y = _function(word)(*[Value(self.numbers[a] if isinstance(a, int) else a) for a in args]).data
        except (ArithmeticError, ValueError):
            y = math.nan
        self.numbers.append(y)
        self.depth.append(1 + max([self.depth[a] for a in args if isinstance(a, int)], default=0))
        return len(self.numbers) - 1

    def inside(self, a: int, domain: tuple[float, float]) -> int:
        """The place of a number inside the domain: a itself, or the middle of the domain plus a part of sin a."""
        low, high = domain
        if low <= self.numbers[a] <= high:
            return a
        middle, part = (low + high) / 2, self.add("mul", round((high - low) * 0.45, 3), self.add("sin", a))
        return self.add("add", round(middle, 3), part) if middle else part

    def finished(self) -> Program:
        """The program: of the results that nothing uses, the last few are added, and the others left out."""
        used = {a for _, args in self.steps for a in args if isinstance(a, int)}
        for i in [i for i in range(len(self.at), len(self.numbers) - 1) if i not in used][-2:]:
            self.add("add", len(self.numbers) - 1, i)
        return _needed(Program(self.at, tuple(self.steps)))


def _needed(program: Program) -> Program:
    """Without the steps that the result does not need."""
    n, last = len(program.at), len(program.at) + len(program.steps) - 1
    needed = {last}
    for i in reversed(range(len(program.steps))):
        if n + i in needed:
            needed.update([a for a in program.steps[i][1] if isinstance(a, int)])
    kept = [*range(n), *[n + i for i in range(len(program.steps)) if n + i in needed]]
    place = {old: new for new, old in enumerate(kept)}
    return replace(program, steps=tuple([
        (word, tuple([place[a] if isinstance(a, int) else a for a in args]))
        for i, (word, args) in enumerate(program.steps) if n + i in needed]))


def words_of(smooth: bool = False) -> list[str]:
    """All words that expressions can be made of: the rows, and composed functions as silu; smooth: those without a kink."""
    return [*[p.name for p in rows(smooth)], *[w for w in _COMPOSED if not (smooth and w in ("leaky_relu", "heaviside"))]]


def expression(leaves: Sequence[float], choices: Sequence[Choice], depth: int = 1000, special: bool = False) -> Program:
    """The program of these choices, with these numbers as inputs.

    depth     how many operations may stand one inside another
    special   every word takes what comes. Otherwise the program is well-conditioned: what would leave a row's domain goes
              through sin first, and what becomes large through tanh
    """
    made = _Growing(leaves)
    for word, code in choices:
        number, *places = code // BACK**3, code % BACK, code // BACK % BACK, code // BACK**2 % BACK
        arity = _COMPOSED[word] if word in _COMPOSED else PRIMITIVES[word].arity
        near = [i for i in range(len(made.numbers)) if made.depth[i] < depth][::-1]
        args: list[float] = [near[place % len(near)] for place in places[:arity or 2 + places[2] % 2]]
        if number >= FREE and len(args) > 1:
            args[number % 2 - 1] = WHOLE[(number - FREE) // 2 % len(WHOLE)]
        if word in PRIMITIVES and not special:
            low, high = PRIMITIVES[word].domain
            args = [made.inside(a, (low, high)) if isinstance(a, int) else max(low, min(a, high)) for a in args]
        y = made.add(word, *args)
        if not (special or abs(made.numbers[y]) <= 10):
            made.add("tanh", y)
    return made.finished()


def weights_of(sizes: Sequence[int]) -> int:
    """How many numbers a network of these widths has, inputs, weights and biases together."""
    return sizes[0] + sum([(a + 1) * b for a, b in pairwise(sizes)])


def network(sizes: Sequence[int], numbers: Sequence[float], activation: str, loss: str) -> Program:
    """A small network: layers of sums of products, an activation after each but the last, and a loss of what comes out.

    sizes     how many inputs, and how wide the layers are
    numbers   the inputs, then the bias and the weights of every neuron: `weights_of` says how many
    """
    made = _Growing(numbers)
    layer, weight = list(range(sizes[0])), sizes[0]
    for depth, width in enumerate(sizes[1:]):
        outputs = []
        for _ in range(width):
            total = weight
            for i, x in enumerate(layer):
                total = made.add("add", total, made.add("mul", weight + 1 + i, x))
            weight += 1 + len(layer)
            outputs.append(total if depth == len(sizes) - 2 else made.add(activation, total))
        layer = outputs
    if loss == "softmax" and len(layer) > 1:
        made.add("sub", made.add("logsumexp", *layer), layer[0])
        return made.finished()
    terms = [made.add("pow", made.add("sub", z, 1.0), 2.0) if loss == "squares" else
             made.add("sub", made.add("softplus", z), made.add("mul", z, float(i % 2))) for i, z in enumerate(layer)]
    total = terms[0]
    for term in terms[1:]:
        total = made.add("add", total, term)
    return made.finished()


# ---- shrinking

def simpler(program: Program) -> Iterator[Program]:
    """Programs that are a little shorter or simpler than it, the boldest first; each without unused inputs, then with them."""
    for shorter in _simpler(program):
        used = {a for _, args in shorter.steps for a in args if isinstance(a, int)}
        unused = [i for i in range(len(shorter.at)) if i not in used]
        if unused and len(unused) < len(shorter.at):
            yield _without_inputs(shorter, unused)
        yield shorter


def _simpler(program: Program) -> Iterator[Program]:
    n, steps = len(program.at), program.steps
    for i in range(1, len(steps)):   # it ends earlier
        yield _needed(replace(program, steps=steps[:i]))
    for i in reversed(range(len(steps))):   # a step is one of its arguments
        for a in steps[i][1]:
            if isinstance(a, int) and len(steps) > 1:
                yield from _without(program, n + i, a)
    for i in reversed(range(len(steps))):   # a step is a number
        if i < len(steps) - 1:
            yield from _without(program, n + i, 1.0)
            yield from _without(program, n + i, 2.0)
    for i in range(n if n > 1 else 0):   # an input is a number, or another one
        yield from _without(program, i, program.at[i])
        for j in range(i):
            yield from _without(program, i, j)
    if program.layout != "numbers":
        yield replace(program, layout="numbers")
    for i, (word, args) in enumerate(steps):   # fewer arguments, simpler numbers
        if len(args) > 2 and (word in _COMPOSED or PRIMITIVES[word].arity is None):
            for k in range(len(args)):
                yield _needed(replace(program, steps=(*steps[:i], (word, (*args[:k], *args[k + 1:])), *steps[i + 1:])))
        for k, a in enumerate(args):
            if not isinstance(a, int):
                for b in _plainer(a):
                    yield replace(program, steps=(*steps[:i], (word, (*args[:k], b, *args[k + 1:])), *steps[i + 1:]))
    for i, x in enumerate(program.at):
        for y in _plainer(x):
            yield replace(program, at=(*program.at[:i], y, *program.at[i + 1:]))


def _without(program: Program, place: int, instead: float) -> Iterator[Program]:
    """With something else wherever a place is used, if a program is left."""
    steps = tuple([(word, tuple([instead if isinstance(a, int) and a == place else a for a in args]))
                   for word, args in program.steps])
    n = len(program.at)
    if place == n + len(steps) - 1:   # it was the result
        if not isinstance(instead, int) or instead < n:
            return
        steps = steps[:instead - n + 1]
    if all([any([isinstance(a, int) for a in args]) for _, args in steps]):   # a word of numbers alone would be plain Python
        yield _needed(replace(program, steps=steps))


def _without_inputs(program: Program, unused: Sequence[int]) -> Program:
    place = {a: a - sum([i < a for i in unused]) for a in range(len(program.at) + len(program.steps))}
    return replace(program, at=tuple([x for i, x in enumerate(program.at) if i not in unused]), steps=tuple([
        (word, tuple([place[a] if isinstance(a, int) else a for a in args])) for word, args in program.steps]))


def _plainer(x: float) -> list[float]:
    """Numbers that are simpler than x, the simplest first."""
    candidates = [0.0, 1.0, 2.0, -1.0, 0.5, -2.0, *([float(round(x)), round(x, 1), round(x, 2), float(f"{x:.2g}")]
                                                   if math.isfinite(x) and abs(x) < 1e300 else [])]
    rank = _rank(x)
    return [y for y in dict.fromkeys(candidates) if _rank(y) < rank]


def _rank(x: float) -> tuple[int, int, float]:
    """How simple a number looks: the shorter, the smaller."""
    if x != x or math.isinf(x):
        return 3, 0, 0.0
    return len(repr(x)), x < 0 or repr(x) == "-0.0", abs(x)
