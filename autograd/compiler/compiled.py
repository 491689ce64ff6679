"""What a user calls: `compile` and `compile_function`, and the functions of numbers and arrays that they give.

A `Compiled` makes a plan (plan.py) for every way in which it is called: with the derivative or without, and with which
arguments batched. A `CompiledFunction` makes a `Compiled` for every structure of its arguments.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from threading import RLock
from typing import Any

from ..conversion import TraceError, bounded, to_float
from ..copies import assembled, taken_apart, with_origins
from ..forks import not_while_held
from ..structure import leaves_of, shape_of, shaped, variables
from ..value import Value, literal
from .arguments import check_options, copied, first_example, positions, structure_key
from .compare import different, of_function, of_trace, quiet
from .plan import Function, Plan
from .quick import quick, quickest
from .trace import Symbol, SymbolicResult, cut, run

__all__ = ["Compiled", "CompiledFunction", "compile", "compile_function"]

_PLANNING = RLock()   # plans are made one at a time, and none is half made where a process is forked
not_while_held(_PLANNING)
_OFTEN = 500          # quick calls, after which a builtin is made: it takes as long as some thousand of them
_LARGE = 200_000      # nodes, beyond which a traced function is not compared with itself: that takes as long as to trace it


def compile(outputs: Any, inputs: Sequence[Any], *, wrt: int | Sequence[int] | None = None,
            batch: int | Sequence[int] | None = None, reduce: str | None = None, backend: str = "auto",
            threads: int | None = None) -> Compiled:
    """The function of `inputs` that the graph of `outputs` describes, with its derivative.

    outputs   a Value, or (nested) lists of Values
    inputs    the function's arguments: each a Value, or a (nested) list or array of Values, of the graph. Other leaves are
              read at every call; plain numbers stay
    wrt       by which arguments `value_and_grad` differentiates: a position, or several; by default the first
    batch     which arguments have one number, or list, for each example, and so an axis more, in front. By default those
              that are given so when it is called
    reduce    what becomes of the examples' results: None keeps each, "sum" and "mean" add them up
    backend   "python", "numpy", "llvm" (needs llvmlite: the extra `jit`), or "auto"
    threads   how many examples' worth of work may run at a time; the result does not depend on it

    A RuntimeWarning tells of an input (a Value, or all of a list) that the outputs do not depend on.
    TypeError or ValueError says what is wrong with an argument. Results that are not finite are computed once more on the
    graph, so that errors are those of the graph, naming the node.

    >>> from autograd import Value, exp
    >>> w, x = Value(2.0, label="w"), Value(3.0, label="x")
    >>> f = compile(exp(-w * x), [w, x])
    >>> f(0.0, 5.0), f.value_and_grad(0.0, 5.0)
    (1.0, (1.0, -5.0))
    """
    arguments = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
    for i, argument in enumerate(arguments):
        for v in leaves_of(argument):
            if not isinstance(v, Value):
                raise TypeError(f"compile(): input {i} has {bounded(v)}: inputs are Values of the graph, or lists of them")
    f = Compiled(outputs, arguments, wrt=wrt, batch=batch, reduce=reduce, backend=backend, threads=threads)
    if unused := f._unused():
        warnings.warn(f"compile(): the outputs do not depend on {unused}: were they made of another Value? (The derivative by "
                      "it is 0; leave it out, or filter this warning, if that is meant)", RuntimeWarning, stacklevel=2)
    return f


def compile_function(f: Callable[..., Any], *, wrt: int | Sequence[int] | None = None,
                     batch: int | Sequence[int] | None = None, reduce: str | None = None, backend: str = "auto",
                     threads: int | None = None, has_aux: bool = False) -> CompiledFunction:
    """`f` compiled: traced once for every structure of its arguments, when it is first called with one.

    f takes numbers, (nested) lists, dicts or arrays, as `grad` and `value_and_grad` have it; `batch` says which arguments
    have the examples' axis in front: f itself sees one example. The other options are those of `compile`.
    has_aux   f gives a pair: what it computes, which alone is reduced and differentiated, and other numbers that are wanted
              too: `value_and_grad` gives ((y, aux), slopes) and `grad` (slopes, aux). Of a batch, aux has B in front
    Arguments may be given by name; `wrt` and `batch` count them in the order of f's parameters.
    Values that f uses from outside are read at every call; plain numbers from outside stay what they were.
    TraceError if f needs to know a number: a branch on one holds for that number only. When f was traced, it is also called
    with the numbers that were given, the first of a batch: TraceError if it gives something else, in value or slope, than what
    was traced (graphs of more than 200,000 nodes are not compared).

    >>> import numpy as np
    >>> f = compile_function(lambda w, x: (w[0] * x + w[1]) ** 2, batch=1, reduce="mean")
    >>> f.value_and_grad(np.array([2.0, 1.0]), np.array([0.0, 1.0]))
    (5.0, array([3., 4.]))
    """
    return CompiledFunction(f, wrt, batch, reduce, backend, threads, has_aux)


class Compiled:
    """A compiled graph: call it with numbers or arrays, one for each of the inputs it was compiled for.

    `f(*args)`                  the outputs, in their structure
    `f.value_and_grad(*args)`   (the output, its derivative by the arguments `wrt`, each in the structure of its argument)
    `print(f)`, `f.source`      the program that runs
    `f.stats`                   its size and cost

    A batch of B examples gives arrays with B in front; with reduce="sum" or "mean" the sum or mean over the batch, and
    of derivatives by arguments that all examples share. Examples' own derivatives have B in front in any case.
    It can be pickled (and is compiled again when loaded) and called from several threads.
    """

    def __init__(self, outputs: Any, arguments: Sequence[Any], *, wrt: int | Sequence[int] | None = None,
                 batch: int | Sequence[int] | None = None, reduce: str | None = None, backend: str = "auto",
                 threads: int | None = None, has_aux: bool = False) -> None:
        check_options(reduce, backend, threads)
        n = len(arguments)
        self.outputs, self.arguments = cut(copied(outputs), [copied(x) for x in arguments])
        chosen = positions(0 if wrt is None else wrt, n, "wrt") if n or wrt is not None else [0]
        self.wrt: int | tuple[int, ...] = tuple(chosen) if hasattr(wrt, "__iter__") else chosen[0]
        self.batch = None if batch is None else frozenset(positions(batch, n, "batch"))
        self.reduce, self.backend, self.threads, self.has_aux = reduce, backend, threads, has_aux
        self._prepare()

    def _prepare(self) -> None:
        self._function = Function(self.outputs, self.arguments, self.wrt, self.reduce, self.backend, self.threads, self.has_aux)
        self._plans: dict[Any, Plan] = {}
        self._usual: list[Plan | None] = [None, None]   # without the derivative and with it: which ran last
        self._ran: bool | None = None                   # which of the two,
        self._builtins: list[Callable[..., Any] | None] = [None, None]   # and their builtins

    def __call__(self, *args: Any) -> Any:
        """The outputs."""
        builtin, self._ran = self._builtins[0], False
        if builtin is not None and (given := builtin(*args)) is not NotImplemented:
            return given
        found = self._run(args, False)
        return tuple(found) if self.has_aux else found[0]

    def value_and_grad(self, *args: Any) -> tuple[Any, Any]:
        """(the output, its derivative); TypeError unless the output is one Value."""
        builtin, self._ran = self._builtins[1], True
        if builtin is not None and (given := builtin(*args)) is not NotImplemented:
            return given   # type: ignore[no-any-return]
        value, *slopes = self._run(args, True)
        if self.has_aux:
            value = value, slopes.pop()
        return value, slopes[0] if isinstance(self.wrt, int) else tuple(slopes)

    def grad(self, *args: Any) -> Any:
        """The derivative alone; (it, aux) if there are other outputs beside."""
        value, slopes = self.value_and_grad(*args)
        return (slopes, value[1]) if self.has_aux else slopes

    @property
    def source(self) -> str:
        """The source of the program that ran last, or that will run for a single example."""
        return self._shown().kernel.source

    @property
    def stats(self) -> dict[str, Any]:
        """What the program costs: backend, nodes, statements, flops of an example, bytes of buffers, seconds to make."""
        return dict(self._shown().kernel.stats)

    def __repr__(self) -> str:
        inputs = [len(leaves) for leaves in self._function.leaves]
        return f"Compiled(outputs={len(self._function.ys)}, inputs={inputs}, backend={self.backend!r})"

    def __str__(self) -> str:
        return str(self._shown().kernel)

    def __getstate__(self) -> dict[str, Any]:
        ys = self._function.ys
        return {name: x for name, x in vars(self).items() if not name.startswith("_")} | {
            "outputs": shaped(self.outputs, [0.0] * len(ys)), "graph": taken_apart(ys, SymbolicResult)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.outputs = shaped(self.outputs, assembled(*self.__dict__.pop("graph")))
        self._prepare()

    # ---- plans, each made when it is first needed

    def _run(self, args: Sequence[Any], derivative: bool) -> list[Any]:
        usual = self._usual[derivative]
        if usual is not None and usual.quick is not None and (found := usual.quick(args)) is not None:
            usual.calls = calls = usual.calls + 1
            if calls == _OFTEN:
                self._builtins[derivative] = usual.builtin = quickest(usual)
            return found
        if len(args) != len(self.arguments):
            raise TypeError(f"{self!r} takes {len(self.arguments)} arguments and was given {len(args)}")
        batched = self._batched(args) if self.batch is None else self.batch
        plan = self._plans.get((derivative, batched)) or self._plan(derivative, batched)
        self._usual[derivative], self._builtins[derivative] = plan, plan.builtin
        return plan.run(args)

    def _batched(self, args: Sequence[Any]) -> frozenset[int]:
        """The positions of the arguments that have an axis more than their template."""
        return frozenset([i for i, x in enumerate(args) if type(x) is not float and self._has_axis(i, x)])

    def _has_axis(self, i: int, x: Any) -> bool:
        like, shape = self.arguments[i], self._function.shapes[i]
        while shape is None:   # dicts and ragged lists: the first number in them says it
            with suppress(Exception):   # another structure, which is refused when its numbers are taken
                key = next(iter(like)) if isinstance(like, dict) else 0
                like, x = like[key], x[key]
                shape = shape_of(like)
                continue
            return False
        return len(shape_of(x) or ()) > len(shape)

    def _unused(self) -> str:
        """The inputs of which the outputs need no number, in words. (Of a list, some may be idle, as a network's weights.)"""
        needed = {v for y in (*self._function.order, *self._function.ys) for v in (y, *y.args)}
        lost = [(i, leaves[0]) for i, leaves in enumerate(self._function.leaves) if leaves and needed.isdisjoint(leaves)]
        if lost:   # the derivative of 3x is a number, and of a graph that has x
            needed = set(with_origins(self._function.ys))
            lost = [(i, v) for i, v in lost if needed.isdisjoint(self._function.leaves[i])]
        named = ", ".join([f"input {i}" + (f" ({bounded(v.label)})" if v.label is not None else "") for i, v in lost[:3]])
        return named + (f" and {len(lost) - 3} more" if len(lost) > 3 else "")

    def _plan(self, derivative: bool, batched: frozenset[int]) -> Plan:
        with _PLANNING:
            key = derivative, batched
            if key not in self._plans:
                with quiet():
                    plan = Plan(self._function, derivative, batched)
                    plan.quick = quick(plan)
                    self._plans[key] = plan
            return self._plans[key]

    @property
    def _last(self) -> Plan | None:
        """The plan that ran last."""
        return None if self._ran is None else self._usual[self._ran]

    def _shown(self) -> Plan:
        single = isinstance(self._function.main, Value)
        return self._last or self._plan(single, self.batch or frozenset())


@dataclass
class _Traced:
    """A function that was traced, and whether its value and its slopes were compared with the function's own."""

    compiled: Compiled
    compared: dict[bool, bool]   # with the derivative, or without
    alone: bool                  # whether no other is made for floats and arrays that a builtin of this one takes


class CompiledFunction:
    """A function that is traced and compiled when it is first called with arguments of a structure: see `compile_function`."""

    def __init__(self, f: Callable[..., Any], wrt: int | Sequence[int] | None, batch: int | Sequence[int] | None,
                 reduce: str | None, backend: str, threads: int | None, has_aux: bool = False) -> None:
        if not callable(f):
            raise TypeError(f"compile_function() got {bounded(f)}: it takes a function; of Values use compile")
        check_options(reduce, backend, threads)
        self.f = f
        self.options: dict[str, Any] = {"wrt": wrt, "reduce": reduce, "backend": backend, "threads": threads,
                                        "has_aux": has_aux}
        self.batch = batch
        self._made: dict[Any, _Traced] = {}
        self._usual: Compiled | None = None        # that of the last call, if no other takes what its builtin takes
        self._batches: dict[int, list[int]] = {}   # of so many arguments, the places of those that are batched
        self.__name__ = f"compiled({getattr(f, '__name__', 'f')})"

    def __call__(self, *args: Any, **given: Any) -> Any:
        """What the function gives."""
        usual = self._usual
        if usual is not None and not given and (quickest := usual._builtins[0]) is not None:
            usual._ran = False
            if (found := quickest(*args)) is not NotImplemented:
                return found
        traced, values = self._for(args, given, False)
        return traced(*values)

    def value_and_grad(self, *args: Any, **given: Any) -> tuple[Any, Any]:
        """(what the function gives, its derivative by the arguments `wrt`)."""
        usual = self._usual
        if usual is not None and not given and (quickest := usual._builtins[1]) is not None:
            usual._ran = True
            if (found := quickest(*args)) is not NotImplemented:
                return found   # type: ignore[no-any-return]
        traced, values = self._for(args, given, True)
        return traced.value_and_grad(*values)

    def grad(self, *args: Any, **given: Any) -> Any:
        """The derivative alone; (it, aux) if there are other outputs beside."""
        traced, values = self._for(args, given, True)
        return traced.grad(*values)

    def compiled(self, *args: Any, **given: Any) -> Compiled:
        """The `Compiled` for arguments of this structure: it takes them one after another."""
        return self._for(args, given, None)[0]

    def _for(self, args: Sequence[Any], given: Mapping[str, Any], derivative: bool | None) -> tuple[Compiled, Sequence[Any]]:
        """(what is compiled for these arguments, the arguments one after another), compared if it is to be called."""
        names: tuple[str, ...] = ()
        if given:
            args, given = self._bound(args, given)
            names = tuple(given)
            args = [*args, *given.values()]
        batch = self._batches.get(len(args))
        if batch is None:
            batch = positions(self.batch, len(args), "batch") if self.batch is not None else []
            self._batches[len(args)] = batch
        key = names, *[() if type(x) is float else structure_key(x, i in batch) for i, x in enumerate(args)]
        if key not in self._made:
            alone = not names and all([
                part[1:] != ((),) or i in batch if part[:1] == ("array",) else part == () and i not in batch
                for i, part in enumerate(key[1:])])
            self._made[key] = _Traced(self._trace(args, names, batch), {}, alone)
        found = self._made[key]
        if derivative is not None and derivative not in found.compared:
            self._compare(found.compiled, args, names, batch, derivative)
            found.compared[derivative] = True
        self._usual = found.compiled if found.alone else None
        return found.compiled, args

    def _bound(self, args: Sequence[Any], given: Mapping[str, Any]) -> tuple[Sequence[Any], Mapping[str, Any]]:
        """Arguments by place, and those that can be given by name only; TypeError as from f for names that it has not."""
        from inspect import signature
        try:
            f = signature(self.f)
        except (TypeError, ValueError):   # written in C
            return args, given
        unknown = [name for name in given if name not in f.parameters]
        try:
            bound = f.bind(*args, **given)
        except TypeError as error:
            told = f"it has no argument {unknown[0]!r}" if unknown else error
            raise TypeError(f"{self.__name__}: {told}; its arguments are {f}") from None
        return bound.args, bound.kwargs

    def _called(self, values: Sequence[Any], names: Sequence[str]) -> Any:
        n = len(values) - len(names)
        return self.f(*values[:n], **dict(zip(names, values[n:], strict=True)))

    def _trace(self, args: Sequence[Any], names: Sequence[str], batch: Sequence[int]) -> Compiled:
        code = getattr(self.f, "__code__", None)
        called = [*getattr(code, "co_varnames", ())[:getattr(code, "co_argcount", 0)]][:len(args) - len(names)]
        called += [f"x{i}" for i in range(len(called), len(args) - len(names))] + list(names)
        symbols = []
        for i, (x, name) in enumerate(zip(args, called, strict=True)):
            example = first_example(x) if i in batch else x
            leaves = leaves_of(example)
            for leaf in leaves:
                if not isinstance(leaf, Value):   # which the compiled function refuses with its advice
                    to_float(leaf, f"argument {i} ({name}) of a compiled function")
            one = len(leaves) == 1 and not hasattr(example, "__len__")
            symbols.append(shaped(example, [Symbol(name if one else f"{name}{k}") for k in range(len(leaves))]))
        outputs = run(lambda: self._called(symbols, names), leaves_of(symbols))
        if self.options["has_aux"] and not (isinstance(outputs, (tuple, list)) and len(outputs) == 2):
            raise TypeError(f"compile_function(has_aux=True): {self.__name__} gave {bounded(outputs)}, and is to give a pair "
                            "(y, aux)")
        found = leaves_of(outputs)
        outputs = shaped(outputs, [y if isinstance(y, Value) else literal(to_float(y, "the result of a traced function"))
                                   for y in found])
        return Compiled(outputs, symbols, batch=batch, **self.options)

    def _compare(self, compiled: Compiled, args: Sequence[Any], names: Sequence[str], batch: Sequence[int],
                 derivative: bool) -> None:
        """TraceError if f, called with these numbers, gives something else than what was traced."""
        f = compiled._function
        if len(f.order) > _LARGE or (derivative and not isinstance(f.main, Value)):
            return
        at = [first_example(x) if i in batch else x for i, x in enumerate(args)]
        chosen = positions(compiled.wrt, len(at), "wrt") if derivative else []
        for form in (variables,) if derivative else (deepcopy, variables):   # numbers, or Values where f takes no numbers
            with suppress(Exception):   # what f does not take, or has no number, is for the compiled function to tell
                made = [form(x) for x in at]
                xs = [v for i in chosen for v in leaves_of(made[i])]
                true = of_function(partial(self._called, made, names), xs)
                leaves = [v for part in f.leaves for v in part]
                traced, largest = of_trace(f.ys, leaves, leaves_of(at), [v for i in chosen for v in f.leaves[i]])
                if told := different(true, traced, largest):
                    break
                return
        else:
            return
        raise TraceError(f"{self.__name__} is not the function that was traced: {told}, of {bounded(at)}. It asks for what a "
                         "traced value has not (its type, its text, its place in a dict), catches a TraceError, draws random "
                         "numbers or remembers its calls: use where(step(a - b), …, …), or do not compile it")

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_made": {}, "_usual": None}

    def __repr__(self) -> str:
        return f"<{self.__name__}>"
