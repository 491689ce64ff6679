"""Step 6 for single examples: the program as Python source, one float operation after another, bit-equal to the graph.

A value that one line alone needs stands inside that line. A program of more than `_LONG` lines keeps its values in a list
and runs in pieces, since Python's own compiler slows down on very long functions.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from keyword import iskeyword
from time import perf_counter
from types import FunctionType
from typing import Any
from unicodedata import normalize

from ...conversion import to_float
from ...form import Argument, Call
from ...primitive import Primitive
from ..program import Program

__all__ = ["PythonKernel", "python_function"]

Floats = Sequence[float]
_OPERATORS = {"add": "{} + {}", "multiply": "{} * {}", "negative": "-{}", "divide": "{} / {}"}   # numpy's name → Python's
_EXACT = ("math", "builtins", "autograd.primitives")   # whose functions give floats
_LONG, _DEEP = 5000, 12   # lines in a function; operations inside one another


def python_function(program: Program) -> tuple[Callable[[Floats], tuple[float, ...]], str]:
    """f(x) → outputs, from a sequence of all inputs to a tuple, and its source.

    It raises what the primitives raise, and does not name the node."""
    source, scope = _write(program, "f")
    names = set(scope)
    exec(compile(source, "<compiled>", "exec"), scope)
    pieces = {name: scope.pop(name) for name in scope.keys() - names - {"__builtins__"}}   # a cycle, if they were global to
    return FunctionType(pieces.pop("f").__code__, scope | pieces), source                   # themselves


def _write(program: Program, name: str) -> tuple[str, dict[str, Any]]:
    ops, args, numbers = program.ops, program.args, program.numbers
    uses = [0] * len(ops)
    for of in args:
        for a in of:
            uses[a] += 1
    for a in program.outputs:
        uses[a] += 2   # an output has a name of its own
    computed = [i for i, op in enumerate(ops) if op is not None]
    long = len(computed) > _LONG
    scope: dict[str, Any] = {"inf": float("inf"), "nan": float("nan")}
    templates: dict[tuple[Primitive, int], str] = {}
    text: list[str] = [f"x[{i}]" for i in range(program.shared + program.varying)] + [""] * (
        len(ops) - program.shared - program.varying)
    depth = [0] * len(ops)
    for i, x in numbers.items():
        text[i] = repr(x) if x >= 0 else f"({x!r})"
    lines: list[str] = []
    for i in computed:
        op = ops[i]
        assert op is not None
        of = args[i]
        key = op, len(of)
        if key not in templates:
            templates[key] = _operator(op, len(of)) or f"{_named(op, name, scope)}({', '.join(['{}'] * len(of))})"
        made = templates[key].format(*[text[a] for a in of])
        depth[i] = 1 + max([depth[a] for a in of])
        if uses[i] == 1 and depth[i] < _DEEP:
            text[i] = made if templates[key].endswith(")") else f"({made})"
        else:
            depth[i] = 0
            text[i] = f"v[{i}]" if long else f"v_{i}"
            lines.append(f"    {text[i]} = {made}")
    gives = f"    return ({''.join([text[o] + ', ' for o in program.outputs])})"
    if not long:
        return "\n".join([f"def {name}(x):", *lines, gives, ""]), scope
    cuts = range(0, len(lines), _LONG)
    parts = [[f"def {name}_{k}(x, v):", *lines[k:k + _LONG], ""] for k in cuts]
    main = [f"def {name}(x):", f"    v = [0.0] * {len(ops)}", *[f"    {name}_{k}(x, v)" for k in cuts], gives, ""]
    return "\n".join(["\n".join(part) for part in [*parts, main]]), scope


def _operator(op: Primitive, n: int) -> str:
    """A row of the table that is one of Python's operators, to be filled in; "" if it is none."""
    found = op.formula(n) if op.builtin else 0.0
    if not (isinstance(found, Call) and found.name in _OPERATORS) or any([isinstance(x, Call) for x in found.args]):
        return ""
    return _OPERATORS[found.name].format(*["{}" if isinstance(x, Argument) else repr(x) for x in found.args])


def _named(op: Primitive, function: str, scope: dict[str, Any]) -> str:
    """A name for the row's function, which is put into the scope: its own, unless that means something else there."""
    name = normalize("NFKC", op.name)   # as Python reads identifiers
    while name in scope or iskeyword(name) or re.fullmatch(rf"x|v(_\d+)?|{function}(_\d+)?", name):
        name += "_"
    scope[name] = op.value if getattr(op.value, "__module__", "") in _EXACT else _float(op)
    return name


def _float(op: Primitive) -> Callable[..., float]:
    return lambda *xs: to_float(op.value(*xs), f"the value of {op.name}")


class PythonKernel:
    """Straight-line floats: bit-equal to the graph, one example after another."""

    def __init__(self, program: Program) -> None:
        start = perf_counter()
        self.program, (self.single, self.source) = program, python_function(program)
        lines = sum([op is not None for op in program.ops])
        self.stats = {"backend": "python", "nodes": len(program.ops), "statements": lines, "flops": lines,
                      "bytes": 0, "seconds": perf_counter() - start}

    def __call__(self, shared: Sequence[Any], varying: Sequence[Any], B: int) -> tuple[Any, Any]:
        """Where a primitive raises, nan: the caller asks the graph."""
        import numpy as np
        common = [x for part in shared for x in part.tolist()]
        k = self.program.sums
        sums, each = [0.0] * k, np.empty((len(self.program.outputs) - k, B))
        for b in range(B):
            try:
                found = self.single(common + [x for part in varying for x in part[b].tolist()])
            except (ArithmeticError, ValueError):
                found = (math.nan,) * len(self.program.outputs)
            sums = [a + x for a, x in zip(sums, found, strict=False)]
            each[:, b] = found[k:]
        return np.array(sums), each

    def __str__(self) -> str:
        return self.source
