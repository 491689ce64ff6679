"""The graph of one example, made of symbols, and whether it is always the same.

A graph is traced with a symbol in the place of every parameter, so that it belongs to no model: two models, or two trainings of
one, whose graphs are the same line by line share what is compiled. It is traced anew each time, since only so is it known what
the model and the loss do now.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from copy import deepcopy
from hashlib import blake2b
from itertools import chain
from typing import Any

import numpy as np

from autograd import Value, topological
from autograd.compiler import Compiled, TraceError
from autograd.compiler.backends.recent import Recent
from autograd.compiler.trace import Symbol, collector_off, run
from autograd.conversion import to_float
from autograd.structure import leaves_of, shaped
from autograd.value import literal

from ..data.datasets import Array
from ..module import Module

__all__ = ["Graph", "compiled_of", "copied", "flat", "symbols", "traced"]

_TRIES = 1000   # nodes that are traced, over and over, before a graph is believed to be always the same
_RECENT = Recent[tuple["Graph", Compiled]](100_000)   # nodes of the graphs that were compiled last, and their buffers:
_BUFFERS = 4000                                       # as much as so many nodes


class Graph:
    """A graph of symbols: all that a trace gives.

    outputs      in the structure in which the function gave them
    parameters   the symbols in the place of the model's parameters, or these themselves
    inputs       the symbols of an example: lists
    key          the same for graphs that are the same line by line
    nodes        how many there are
    others       leaves besides all these that are no numbers written into the graph
    mixed        whether parameters of the model are in it besides their symbols: a function has them from elsewhere
    shareable    whether it belongs to no model or loss, and is no more than its lines
    """

    def __init__(self, outputs: Any, parameters: list[Value], inputs: list[list[Value]], known: Sequence[Value]) -> None:
        self.outputs, self.parameters, self.inputs = outputs, parameters, inputs
        leaves, ends, others = [*parameters, *chain(*inputs)], leaves_of(outputs), list[Value]()
        place = {v: i for i, v in enumerate(leaves)}
        order = topological(*ends, stop=place)
        alias = {p: i for i, p in enumerate(known) if p is not parameters[i]}
        ops: dict[Any, int] = {}
        kinds, counts, args, numbers = list[int](), list[int](), list[int](), list[float]()
        self.mixed = derived = False
        labels = [v.label for v in leaves]
        for v in order:
            if v.args:
                kinds.append(ops.setdefault(v.op, len(ops)))
                counts.append(len(v.args))
                args += [place[a] for a in v.args]
            elif v in alias:
                place[v], self.mixed = alias[v], True
                continue
            elif v in place:   # an input that is given as it is
                continue
            else:
                kinds.append(-1)
                numbers.append(0.0 if v.symbolic else v._data)
                if not v.constant:
                    others.append(v)
            derived = derived or hasattr(v, "origin")
            place[v] = len(labels)
            labels.append(v.label)
        self.nodes, self.others = len(leaves) + len(order), others
        self.shareable = not (others or derived or any([not p.symbolic for p in parameters]))
        columns = [[len(parameters), *map(len, inputs)], kinds, counts, args, [place[v] for v in ends]]
        parts = [np.array(column, np.int64).tobytes() for column in ([len(column) for column in columns], *columns)]
        digest = blake2b(b"".join([*parts, np.array(numbers, float).tobytes()])).digest()
        self.key: Hashable = tuple(ops), digest, tuple(labels)

    def is_again(self, other: Graph) -> bool:
        """Whether it is line by line the same, with the same Values in it besides its own symbols."""
        return self.key == other.key and all([v is w for v, w in zip(self.others, other.others, strict=True)])


def compiled_of(graph: Graph, make: Callable[[Graph], Compiled], *options: Hashable) -> tuple[Graph, Compiled]:
    """make(graph), or what was made of the same graph with these options, and of which graph that was."""
    if not graph.shareable:
        return graph, make(graph)
    return _RECENT.get((graph.key, options), graph.nodes + _BUFFERS, lambda: (graph, make(graph)))


def traced(graph: Callable[[Any, Any], Any], model: Module, loss: Any, inputs: list[Any],
           parameters: Sequence[Value] | None = None, once: bool = False) -> Graph:
    """The graph of graph(model, loss); TraceError if it does not hold for all numbers. `inputs` are its symbols.

    parameters   the model's, in the order in which they are wanted
    once         whether it is known to be always the same, so that it need not be made twice to be sure
    """
    known = model.parameters() if parameters is None else parameters
    own = [Symbol(p.label) for p in known]
    leaves = [leaves_of(x) for x in inputs]

    def made(of: Any, parameters: Sequence[Value]) -> Graph:
        found = run(lambda: _valued(graph(*of)), [*chain(*leaves), *own])
        return Graph(found, list(parameters), leaves, known)
    with collector_off():
        if once:
            return made(copied((model, loss), known, own), own)
        copy = copied((model, loss), known)
        first, tries, copy = made(copy, known), 1, copied(copy, known, own)
        found = made(copy, own)
        while found.key == first.key:
            tries += 1
            if tries * found.nodes >= _TRIES:
                return first if found.mixed else found
            copy = copied(copy, own)   # a small graph may come out alike by chance, so it is made more often
            found = made(copy, own)
    raise TraceError("called twice, the model or the loss made two different graphs: it draws random numbers, or remembers its "
                     "calls, and would be compiled as it was once")


def copied(x: Any, parameters: Sequence[Value], instead: Sequence[Value] | None = None) -> Any:
    """A copy with the same parameters, or others instead: of what it remembers, and how it draws numbers, but not of them."""
    return deepcopy(x, {id(p): q for p, q in zip(parameters, instead or parameters, strict=True)})


def symbols(like: Any, name: str) -> Any:
    """Symbols in its structure."""
    return shaped(like, [Symbol(f"{name}{i}") for i in range(len(leaves_of(like)))])


def flat(x: Array) -> Array:
    """The numbers of each example in a row, of shape (n, numbers of one)."""
    return x.reshape(len(x), -1)


def _valued(outputs: Any) -> Any:
    return shaped(outputs, [y if isinstance(y, Value) else literal(to_float(y)) for y in leaves_of(outputs)])
