"""What a model and a loss read beside their arguments, and whether it is still the same.

A compiled graph has the numbers in it that were there when it was traced. So everything is remembered that a function may
take numbers from: what Modules, containers and instances hold, arrays, the closures, defaults, globals and bound objects of
functions. Libraries are not looked into. What is not found here, the comparison with the eager loss finds.
"""

from __future__ import annotations

import random
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from operator import is_
from types import BuiltinMethodType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from autograd import Primitive, Value

from ..module import Module, parts_of

__all__ = ["Reading", "chance_kept", "snapshot", "unchanged"]

_OURS = ("autograd", "nn", "viz")
_GENERATORS = random.Random, np.random.RandomState, np.random.Generator
_CONTAINERS = frozenset((list, tuple, dict, deque, np.ndarray))
_LARGEST = 1 << 22   # numbers of an array that is copied to be compared


class Reading:
    """All that `roots` read.

    kept         (an object, what it holds)
    generators   of random numbers
    ours         whether it is nothing but modules and functions of this package, which remember no calls and draw nothing
    """

    def __init__(self, *roots: Any) -> None:
        reached = list(_reached(*roots))
        self.kept = [(x, held) for x, held in reached if held is not None]
        self.generators = [x for x, _ in reached if isinstance(x, _GENERATORS)]
        self.ours = all([_is_ours(x) for x, _ in reached])


def snapshot(*roots: Any) -> list[tuple[Any, Any]]:
    """(an object, what it holds) of all that `roots` read."""
    return Reading(*roots).kept


def unchanged(kept: Iterable[tuple[Any, Any]]) -> bool:
    """Whether each of them holds the same objects, and each array the same numbers."""
    return all([np.array_equal(x, held) if isinstance(held, np.ndarray) else
                len(now := _held(x)) == len(held) and all(map(is_, now, held)) for x, held in kept])


@contextmanager
def chance_kept(found: Iterable[Any]) -> Iterator[None]:
    """Within it random numbers may be drawn: afterwards the generators `found`, and those of the modules random and
    numpy.random, give those that they would have given."""
    states: list[tuple[Any, Any]] = [(random.setstate, random.getstate()), (np.random.set_state, np.random.get_state())]
    for x in found:
        if isinstance(x, random.Random):
            states.append((x.setstate, x.getstate()))
        elif isinstance(x, np.random.RandomState):
            states.append((x.set_state, x.get_state()))
        else:
            states.append((partial(setattr, x.bit_generator, "state"), x.bit_generator.state))
    try:
        yield
    finally:
        for put, state in states:
            put(state)


def _reached(*roots: Any) -> Iterator[tuple[Any, Any]]:
    """(object, what it holds or None) of `roots` and all that they hold, each object once."""
    seen: dict[int, Any] = {}   # the objects too: the number of one that is gone may become another's
    stack = [*roots]
    while stack:
        x = stack.pop()
        if x is None or isinstance(x, (Value, str, float, int)) or id(x) in seen:
            continue
        seen[id(x)] = x
        held = _held(x)
        yield x, held
        if isinstance(held, list):
            stack += held


def _held(x: Any) -> Any:
    """The names and objects in a Module, dict or instance, the objects in another container, what a function reads, a copy of
    an array of numbers; else None."""
    if (parts := parts_of(x)) is not None:
        return [*(parts[0] if isinstance(x, (Module, dict)) else ()), *parts[1], *_class_of(x)]
    if isinstance(x, np.ndarray):
        return x.copy() if x.size <= _LARGEST else None
    if isinstance(x, FunctionType):
        return _read_by(x) if _users(x.__module__) else None
    if isinstance(x, (MethodType, BuiltinMethodType)):
        return [getattr(x, "__func__", None), x.__self__]
    if isinstance(x, partial):
        return [x.func, *x.args, *x.keywords, *x.keywords.values()]
    if isinstance(x, property):
        return [x.fget]
    if isinstance(x, (staticmethod, classmethod)):
        return [x.__func__]
    if isinstance(x, type):
        return [*vars(x).values(), *x.__bases__] if _users(x.__module__) else None
    if hasattr(x, "__dict__") and not isinstance(x, (ModuleType, Primitive)) and not _library(type(x).__module__):
        return [*vars(x), *vars(x).values(), *_class_of(x)]
    return None


def _is_ours(x: Any) -> bool:
    """Whether it is a function or an object of this package, or a container, which holds what is told by itself."""
    of = x if isinstance(x, FunctionType) else type(x)
    return of in _CONTAINERS or str(of.__module__).partition(".")[0] in _OURS


def _class_of(x: Any) -> list[Any]:
    return [type(x)] if _users(type(x).__module__) else []


def _read_by(f: FunctionType) -> list[Any]:
    """What is in a function's closure and defaults, its globals that its code mentions, and what it may take out of these if
    they are modules."""
    found = [*(f.__defaults__ or ()), *(f.__kwdefaults__ or {}).values()]
    for cell in f.__closure__ or ():
        try:
            found.append(cell.cell_contents)
        except ValueError:   # not filled yet
            continue
    names, codes = set[str](), [f.__code__]
    while codes:
        code = codes.pop()
        names.update(code.co_names)
        codes += [c for c in code.co_consts if isinstance(c, CodeType)]
    for name in sorted(names & f.__globals__.keys()):
        x = f.__globals__[name]
        found.append(x)
        if isinstance(x, ModuleType):
            found += [vars(x)[n] for n in sorted(names & vars(x).keys())]
    return found


@cache
def _users(module: str | None) -> bool:
    """Whether it is the user's own module, in which classes and functions are looked into."""
    return not _library(module) and str(module).partition(".")[0] not in sys.stdlib_module_names


@cache
def _library(module: str | None) -> bool:
    file = getattr(sys.modules.get(str(module)), "__file__", None) or ""
    return str(module).partition(".")[0] in _OURS or "site-packages" in file or "dist-packages" in file
