"""What a user calls: `compile` and `compile_function`, and the functions of numbers and arrays that they give.

A `Compiled` makes a plan (plan.py) for every way in which it is called: with the derivative or without, and with which
arguments batched. A `CompiledFunction` makes a `Compiled` for every structure of its arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any

from ..conversion import bounded, to_float
from ..structure import leaves_of, shaped
from ..value import Value, literal
from .arguments import check_options, copied, first_example, positions, shape_of, structure_key
from .plan import Function, Plan
from .trace import Symbol, cut, tracing

__all__ = ["Compiled", "CompiledFunction", "compile", "compile_function"]


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

    TypeError or ValueError says what is wrong with an argument. Results that are not finite are computed once more on the
    graph, so that errors are those of the graph, naming the node. (On arrays an infinity on the way that no result shows, as in
    1/(1/x) at 0, is no error.)

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
    return Compiled(outputs, arguments, wrt=wrt, batch=batch, reduce=reduce, backend=backend, threads=threads)


def compile_function(f: Callable[..., Any], *, wrt: int | Sequence[int] | None = None,
                     batch: int | Sequence[int] | None = None, reduce: str | None = None, backend: str = "auto",
                     threads: int | None = None) -> CompiledFunction:
    """`f` compiled: traced once for every structure of its arguments, when it is first called with one.

    f takes numbers, (nested) lists, dicts or arrays, as `grad` and `value_and_grad` have it; `batch` says which arguments
    have the examples' axis in front: f itself sees one example. The other options are those of `compile`.
    Values that f uses from outside are read at every call; plain numbers from outside stay what they were.
    TraceError if f needs to know a number: a branch on one holds for that number only.

    >>> import numpy as np
    >>> f = compile_function(lambda w, x: (w[0] * x + w[1]) ** 2, batch=1, reduce="mean")
    >>> f.value_and_grad(np.array([2.0, 1.0]), np.array([0.0, 1.0]))
    (5.0, array([3., 4.]))
    """
    return CompiledFunction(f, wrt, batch, reduce, backend, threads)


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
                 threads: int | None = None) -> None:
        check_options(reduce, backend, threads)
        n = len(arguments)
        self.outputs, self.arguments = cut(copied(outputs), [copied(x) for x in arguments])
        chosen = positions(0 if wrt is None else wrt, n, "wrt") if n or wrt is not None else [0]
        self.wrt: int | tuple[int, ...] = tuple(chosen) if hasattr(wrt, "__iter__") else chosen[0]
        self.batch = None if batch is None else frozenset(positions(batch, n, "batch"))
        self.reduce, self.backend, self.threads = reduce, backend, threads
        self._prepare()

    def _prepare(self) -> None:
        self._function = Function(self.outputs, self.arguments, self.wrt, self.reduce, self.backend, self.threads)
        self._plans: dict[Any, Plan] = {}
        self._lock = Lock()
        self._last: Plan | None = None

    def __call__(self, *args: Any) -> Any:
        """The outputs."""
        return self._run(args, False)[0]

    def value_and_grad(self, *args: Any) -> tuple[Any, Any]:
        """(the output, its derivative); TypeError unless the output is one Value."""
        value, *slopes = self._run(args, True)
        return value, slopes[0] if isinstance(self.wrt, int) else tuple(slopes)

    def grad(self, *args: Any) -> Any:
        """The derivative alone."""
        return self.value_and_grad(*args)[1]

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
        return {name: x for name, x in vars(self).items() if not name.startswith("_")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._prepare()

    # ---- plans, each made when it is first needed

    def _run(self, args: Sequence[Any], derivative: bool) -> list[Any]:
        if len(args) != len(self.arguments):
            raise TypeError(f"{self!r} takes {len(self.arguments)} arguments and was given {len(args)}")
        batched = self._batched(args) if self.batch is None else self.batch
        plan = self._plans.get((derivative, batched)) or self._plan(derivative, batched)
        self._last = plan
        return plan.run(args)

    def _batched(self, args: Sequence[Any]) -> frozenset[int]:
        """The positions of the arguments that have an axis more than their template."""
        return frozenset([i for i, x in enumerate(args)
                          if type(x) is not float and len(shape_of(x) or ()) > len(self._function.shapes[i] or ())])

    def _plan(self, derivative: bool, batched: frozenset[int]) -> Plan:
        with self._lock:
            key = derivative, batched
            if key not in self._plans:
                self._plans[key] = Plan(self._function, derivative, batched)
            return self._plans[key]

    def _shown(self) -> Plan:
        single = len(self._function.ys) == 1 and isinstance(self.outputs, Value)
        return self._last or self._plan(single, self.batch or frozenset())


class CompiledFunction:
    """A function that is traced and compiled when it is first called with arguments of a structure: see `compile_function`."""

    def __init__(self, f: Callable[..., Any], wrt: int | Sequence[int] | None, batch: int | Sequence[int] | None,
                 reduce: str | None, backend: str, threads: int | None) -> None:
        if not callable(f):
            raise TypeError(f"compile_function() got {bounded(f)}: it takes a function; of Values use compile")
        check_options(reduce, backend, threads)
        self.f = f
        self.options: dict[str, Any] = {"wrt": wrt, "reduce": reduce, "backend": backend, "threads": threads}
        self.batch = batch
        self._made: dict[Any, Compiled] = {}
        self.__name__ = f"compiled({getattr(f, '__name__', 'f')})"

    def __call__(self, *args: Any) -> Any:
        """What the function gives."""
        return self.compiled(*args)(*args)

    def value_and_grad(self, *args: Any) -> tuple[Any, Any]:
        """(what the function gives, its derivative by the arguments `wrt`)."""
        return self.compiled(*args).value_and_grad(*args)

    def grad(self, *args: Any) -> Any:
        """The derivative alone."""
        return self.value_and_grad(*args)[1]

    def compiled(self, *args: Any) -> Compiled:
        """The `Compiled` for arguments of this structure."""
        batch = positions(self.batch, len(args), "batch") if self.batch is not None else []
        key = tuple([structure_key(x, i in batch) for i, x in enumerate(args)])
        if key not in self._made:
            self._made[key] = self._trace(args, batch)
        return self._made[key]

    def _trace(self, args: Sequence[Any], batch: Sequence[int]) -> Compiled:
        names = list(getattr(getattr(self.f, "__code__", None), "co_varnames", ()))
        symbols = []
        for i, x in enumerate(args):
            example = first_example(x) if i in batch else x
            name = names[i] if i < len(names) else f"x{i}"
            leaves = leaves_of(example)
            one = len(leaves) == 1 and not hasattr(example, "__len__")
            symbols.append(shaped(example, [Symbol(name if one else f"{name}{k}") for k in range(len(leaves))]))
        with tracing():
            outputs = self.f(*symbols)
        found = leaves_of(outputs)
        outputs = shaped(outputs, [y if isinstance(y, Value) else literal(to_float(y, "the result of a traced function"))
                                   for y in found])
        return Compiled(outputs, symbols, batch=batch, **self.options)

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_made": {}}

    def __repr__(self) -> str:
        return f"<{self.__name__}>"
