"""A session of the command: programs drawn one after another, every way compared with every other, what differs made short."""

from __future__ import annotations

import math
import random
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .compare import Disagreement, clusters, compared
from .programs import (
    ACTIVATIONS,
    CODES,
    LAYOUTS,
    LOSSES,
    SPECIAL,
    WHOLE,
    Choice,
    Program,
    expression,
    network,
    simpler,
    weights_of,
    words_of,
)
from .ways import Way, backends, ways

__all__ = ["Finding", "Session", "drawn", "shrunk"]

TRIES = 300      # how many shorter programs are tried for one disagreement
EXAMPLES = 3     # how many disagreements of one kind are made short; the others are counted


def drawn(seed: int, k: int) -> Program:
    """Program k of a seed: the same in every run."""
    chance, kind = random.Random(f"{seed}/{k}"), k % 8
    if kind == 7:
        sizes = chance.choice(((1, 1), (2, 1), (1, 2), (2, 2), (1, 2, 1), (2, 2, 1), (1, 1, 2)))
        numbers = [round(chance.uniform(-1, 1), 3) for _ in range(weights_of(sizes))]
        program = network(sizes, numbers, chance.choice(ACTIVATIONS), chance.choice(LOSSES))
    else:
        special, smooth, n = kind in (1, 3, 5), kind in (0, 6), chance.choice((1, 2, 3, 4))
        words = words_of(smooth)
        steps = chance.randrange(1, 8 if special else 20)
        choices: list[Choice] = [(chance.choice(words), chance.randrange(CODES)) for _ in range(steps)]
        leaves = [chance.choice(SPECIAL) if special else chance.choice(WHOLE) if kind == 2 else round(chance.uniform(-2, 2), 3)
                  for _ in range(n)]
        program = expression(leaves, choices, chance.choice((3, 5, 8)), special)
    layout = chance.choice(LAYOUTS)
    return replace(program, layout="list" if layout == "array" and "numpy" not in backends() else layout)


@dataclass
class Finding:
    """A disagreement made short, the ways and orders that show it, and how often one of its kind came."""

    program: Program
    disagreement: Disagreement
    place: int
    ways: set[str]
    orders: set[int]
    count: int = 1

    def lines(self) -> list[str]:
        """It as lines to paste, with what the two ways give."""
        d = self.disagreement
        return [*self.program.source(), "", f"f({self.program.call()})   # order {d.order}:",
                f"#   {d.reference.name} gives {d.expected}", f"#   {d.ways[0].name} gives {d.found}"]


@dataclass
class Session:
    """What was seen so far of the programs of a seed.

    others   further ways, as a function of the order: those of other libraries
    """

    seed: int
    orders: Sequence[int] = (1, 2, 3)
    others: Callable[[int], Sequence[Way]] = lambda order: ()
    programs: int = 0
    comparisons: int = 0
    unjudged: int = 0
    disagreements: int = 0
    findings: dict[Any, Finding] = field(default_factory=dict)
    seen: Counter[Any] = field(default_factory=Counter)

    def run(self, k: int) -> list[Finding]:
        """Compare all ways of program k: what was found of a new kind, made short."""
        program, new = drawn(self.seed, k), []
        self.programs += 1
        for order in self.orders:
            outcomes, off = compared(program, program.args, order, self._ways(order, k))
            self.comparisons += len(outcomes) - 1
            self.unjudged += math.inf in off
            for disagreement in clusters(order, outcomes, off):
                self.disagreements += 1
                new += self._found(program, disagreement, k)
        return new

    def _ways(self, order: int, k: int) -> list[Way]:
        """Compiled on Python's backend and one other: machine code, which costs more time than all the rest, for a third."""
        here = backends()
        return [*ways(order, sorted({here[0], here[1 % len(here)] if k // 8 % 3 else here[-1]})), *self.others(order)]

    def _found(self, program: Program, disagreement: Disagreement, k: int) -> list[Finding]:
        names = {re.sub(r", backend='\w+'", "", way.name) for way in disagreement.ways}
        sort = disagreement.kind, frozenset(names)
        self.seen[sort] += 1
        if self.seen[sort] <= EXAMPLES:
            program, disagreement = shrunk(program, disagreement)
            key: Any = disagreement.kind, program.words
        else:
            key = next((key for key, known in self.findings.items() if key[0] == sort[0] and names <= known.ways), sort)
        known = self.findings.get(key)
        if known is None:
            self.findings[key] = Finding(program, disagreement, k, names, {disagreement.order})
            return [self.findings[key]]
        known.count += 1
        known.ways |= names
        known.orders.add(disagreement.order)
        return []


def shrunk(program: Program, disagreement: Disagreement) -> tuple[Program, Disagreement]:
    """A shorter program that shows a disagreement of the same kind between the same two ways."""
    pair = [disagreement.reference, disagreement.ways[0]]
    tries, seen, going = 0, set(), True
    while going and tries < TRIES:
        going = False
        for shorter in simpler(program):
            if shorter in seen:
                continue
            seen.add(shorter)
            tries += 1
            found = clusters(disagreement.order, *compared(shorter, shorter.args, disagreement.order, pair))
            if found and found[0].kind == disagreement.kind:
                program, disagreement, going = shorter, replace(found[0], ways=(pair[1],)), True
                break
            if tries >= TRIES:
                break
    return program, disagreement
