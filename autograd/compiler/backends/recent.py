"""What was made last, so that the same program is not rolled and written again: a model that is trained once more, say.

Only what no call writes on is shared; a kernel's buffers are its own. Of a program the key says what it computes, not how its
lines are called. XIGRAD_CACHE=0 has everything made anew.
"""

from __future__ import annotations

import hashlib
import os
from collections import OrderedDict
from collections.abc import Callable, Hashable
from itertools import chain
from threading import RLock
from typing import Any, Generic, TypeVar
from weakref import WeakSet

from ...forks import not_while_held
from ...primitive import Primitive
from ..program import Program

__all__ = ["Recent", "anew", "forget", "key_of"]

Made = TypeVar("Made")
_LOOKING = RLock()
not_while_held(_LOOKING)
_ALL: WeakSet[Any] = WeakSet()


def anew() -> bool:
    """Whether the user wants nothing to be used again."""
    return os.environ.get("XIGRAD_CACHE") == "0"


class Recent(Generic[Made]):
    """What was made for the last keys, as long as their sizes sum to no more than `most`.

    >>> recent = Recent[str](most=10)
    >>> for name, size in (("a", 4), ("b", 5), ("a", 4), ("c", 3)):
    ...     made = recent.get(name, size, name.upper)
    >>> list(recent.found)
    ['a', 'c']
    """

    def __init__(self, most: int) -> None:
        self.most = most
        _ALL.add(self)
        self.found: OrderedDict[Hashable, tuple[int, Made]] = OrderedDict()

    def get(self, key: Hashable, size: int, make: Callable[[], Made]) -> Made:
        """What was made for the key, or is made now."""
        if anew():
            return make()
        with _LOOKING:
            if key in self.found:
                self.found.move_to_end(key)
                return self.found[key][1]
        made = make()   # where two threads make it at once, the later one stays
        with _LOOKING:
            self.found[key] = size, made
            while sum([size for size, _ in self.found.values()]) > self.most:
                self.found.popitem(last=False)
        return made


def forget() -> None:
    """Have everything made anew once, as in a new process."""
    with _LOOKING:
        for recent in _ALL:
            recent.found.clear()


def key_of(program: Program) -> Hashable:
    """The same for programs that do the same, line by line."""
    import numpy as np
    ops: dict[Primitive | None, int] = {}
    n = len(program.ops)
    parts = [np.array([n, program.shared, program.varying, program.sums, len(program.outputs), len(program.numbers)]),
             np.fromiter([ops.setdefault(op, len(ops)) for op in program.ops], np.int64, n),
             np.fromiter(map(len, program.args), np.int64, n), np.fromiter(chain(*program.args), np.int64),
             np.array(program.outputs, np.int64), np.array(list(program.numbers), np.int64),
             np.array(list(program.numbers.values()), float)]
    return tuple(ops), hashlib.blake2b(b"".join([part.tobytes() for part in parts])).digest()
