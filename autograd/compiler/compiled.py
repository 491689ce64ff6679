"""What `compile` gives: a function of numbers and arrays, with its derivative."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from operator import index
from threading import Lock
from typing import Any, NoReturn

from ..derive import adjoints
from ..graph import topological
from ..primitive import bounded, to_float
from ..structure import is_flat, leaves_of, shaped
from ..value import Value, constant, recording
from .backends import choose as backends
from .simplify import Program, simplify
from .trace import Symbol, TraceError, collector_off, gradient, tracing

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
        _check(reduce, backend, threads)
        n = len(arguments)
        self.outputs, self.arguments = _cut(_copied(outputs), [_copied(x) for x in arguments])
        chosen = _positions(0 if wrt is None else wrt, n, "wrt") if n or wrt is not None else [0]
        self.wrt: int | tuple[int, ...] = tuple(chosen) if hasattr(wrt, "__iter__") else chosen[0]
        self.batch = None if batch is None else frozenset(_positions(batch, n, "batch"))
        self.reduce, self.backend, self.threads = reduce, backend, threads
        self._ready()

    def _ready(self) -> None:
        self._leaves = [leaves_of(argument) for argument in self.arguments]
        self._shapes = [_shape(argument) for argument in self.arguments]
        known = {v for leaves in self._leaves for v in leaves}
        if len(known) < sum(map(len, self._leaves)):
            raise ValueError("compile(): one Value is an input twice; give each once")
        for y in leaves_of(self.outputs):
            if not isinstance(y, (Value, float, int)):
                raise TypeError(f"compile(): an output is {bounded(y)}: outputs are Values of the graph, or lists of them")
        self._ys = [y if isinstance(y, Value) else constant(float(y)) for y in leaves_of(self.outputs)]
        self._order = topological(*self._ys, stop=known)
        self._captured = [v for v in self._order if not (v.args or v.constant or v.symbolic or v in known)]
        self._plans: dict[Any, _Plan] = {}
        self._lock = Lock()
        self._last: _Plan | None = None

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
        return f"Compiled(outputs={len(self._ys)}, inputs={[len(leaves) for leaves in self._leaves]}, backend={self.backend!r})"

    def __str__(self) -> str:
        return str(self._shown().kernel)

    def __getstate__(self) -> dict[str, Any]:
        return {name: x for name, x in vars(self).items() if not name.startswith("_")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._ready()

    # ---- from arguments to a plan's inputs, and back to the structure of the outputs

    def _run(self, args: Sequence[Any], derivative: bool) -> list[Any]:
        if len(args) != len(self.arguments):
            raise TypeError(f"{self!r} takes {len(self.arguments)} arguments and was given {len(args)}")
        batched = self._batched(args) if self.batch is None else self.batch
        plan = self._plans.get((derivative, batched)) or self._made(derivative, batched)
        self._last = plan
        return plan.run(args)

    def _batched(self, args: Sequence[Any]) -> frozenset[int]:
        """The positions of the arguments that have an axis more than their template."""
        return frozenset([i for i, x in enumerate(args)
                          if type(x) is not float and len(_shape(x) or ()) > len(self._shapes[i] or ())])

    def _made(self, derivative: bool, batched: frozenset[int]) -> _Plan:
        with self._lock:
            key = derivative, batched
            if key not in self._plans:
                self._plans[key] = _Plan(self, derivative, batched)
            return self._plans[key]

    def _shown(self) -> _Plan:
        single = len(self._ys) == 1 and isinstance(self.outputs, Value)
        return self._last or self._made(single, self.batch or frozenset())


class _Plan:
    """A program for given batched arguments, with or without the derivative, and the kernel that runs it.

    The program's outputs are `pieces`: first those that are summed over the batch, then those of each example.
    """

    def __init__(self, f: Compiled, derivative: bool, batched: frozenset[int]) -> None:
        if derivative and not isinstance(f.outputs, Value):
            raise TypeError(f"value_and_grad() of {len(f._ys)} outputs: a gradient is of one Value; compile a sum of them, "
                            "or their derivatives as autograd.grad or jacobian gives them")
        self.f, self.batched = f, batched
        self.reference: Callable[[Sequence[float]], Sequence[float]] | None = None   # made when a result is not finite
        places = range(len(f.arguments))
        self.wrt = _positions(f.wrt, len(places), "wrt") if derivative else []
        self.shared = [i for i in places if batched and i not in batched]
        self.varying = [i for i in places if i not in self.shared]   # of no batch: all, in a batch of one
        summed = bool(f.reduce and batched)
        pieces = [(summed, 0, f.outputs)]
        pieces += [(summed and i not in batched, 1 + k, f.arguments[i]) for k, i in enumerate(self.wrt)]
        pieces.sort(key=lambda piece: not piece[0])
        self.pieces = [(total, k, x, len(leaves_of(x)), _shape(x)) for total, k, x in pieces]
        self.xs = [v for _, k, *_ in self.pieces if k for v in f._leaves[self.wrt[k - 1]]]
        with collector_off():
            ends = self._ends()
            widths = [len(f._leaves[i]) for i in self.varying]
            self.kernel = backends.kernel(lambda lowered: self._program(ends, lowered), f.backend, bool(batched), widths,
                                          f.threads)
        if batched or not self.kernel.single:
            import numpy as np
            self.np, self.float = np, np.dtype(float)

    def _ends(self) -> list[Value]:
        """What the program computes: the outputs, and the derivatives by `xs`."""
        return [*self.f._ys, *(gradient({self.f.outputs: 1.0}, self.xs, self.f._order) if self.wrt else [])]

    def _program(self, ends: Sequence[Value], lowered: bool) -> Program:
        f = self.f
        return simplify(ends, [v for i in self.shared for v in f._leaves[i]] + f._captured,
                        [v for i in self.varying for v in f._leaves[i]],
                        sum([n for total, _, _, n, _ in self.pieces if total]), lowered)

    def run(self, args: Sequence[Any]) -> list[Any]:
        """The outputs, and the derivative if it has one, in their structures."""
        captured = [v._data for v in self.f._captured]
        if not self.batched and self.kernel.single:
            x = captured + [number for i in self.varying for number in self._numbers(i, args[i])]
            return self._structured(self._exact(self.kernel.single, x), args)
        shared = [self._array(i, args[i]) for i in self.shared]
        varying = [self._array(i, args[i]) for i in self.varying]
        if captured:
            shared.append(self.np.array(captured))
        if not self.batched:
            varying = [x[None, :] for x in varying]
        B = len(varying[0]) if varying else 1
        for x in varying:
            if len(x) != B or not B:
                raise ValueError(f"the batched arguments have {', '.join([str(len(x)) for x in varying])} examples: "
                                 "they need the same number, at least one")
        sums, each = self.kernel(shared, varying, B)
        if not (backends.finite(sums) and (not each.size or backends.finite(each))):
            sums, each = self._replayed(shared, varying, B, sums, each)
        if not self.batched:
            return self._structured(each[:, 0], args)
        if self.f.reduce == "mean":
            sums *= 1.0 / B
            if each.size:
                each *= 1.0 / B   # of a mean, each example's part
        return self._arrays(sums, each)

    # ---- arguments

    def _numbers(self, i: int, x: Any) -> list[float]:
        """Argument i of a single example as floats."""
        if type(x) is float and self.f._shapes[i] == ():
            return [x]
        try:
            found = _matched(self.f.arguments[i], x, 0)
        except _Mismatch:
            self._refuse(i, x)
        for number in found:
            if getattr(number, "symbolic", False):
                raise TraceError("a compiled function is given numbers, and was given a traced value: call the function that "
                                 "it was made of instead")
        return [to_float(number, f"argument {i} of a compiled function") for number in found]

    def _array(self, i: int, x: Any) -> Any:
        """Argument i as float64 of shape (n,), or (B, n) if it is batched."""
        shape, n, batched = self.f._shapes[i], len(self.f._leaves[i]), i in self.batched
        if type(x) is self.np.ndarray and x.dtype is self.float and shape is not None:   # nearly always, so it is asked first
            if (x.shape[1:] if batched else x.shape) != shape:
                self._refuse(i, x)
            return x if len(shape) == 1 else x.reshape(len(x), n) if batched else x.reshape(n)
        if not batched:
            return self.np.array(self._numbers(i, x))
        try:
            if shape is None:   # dicts and ragged lists: every number has the batch's axis
                made, shape = self.np.array(_matched(self.f.arguments[i], x, 1)).T, (n,)
            else:
                made = self.np.asarray(x)
            if made.dtype.kind not in "fiub" or made.ndim != 1 + len(shape) or made.shape[1:] != shape:
                self._refuse(i, x)
        except (TypeError, ValueError, _Mismatch):
            self._refuse(i, x)
        return made.astype(float).reshape(len(made), n)

    def _refuse(self, i: int, x: Any) -> NoReturn:
        shape = self.f._shapes[i]
        like = "numbers in the structure it was compiled for" if shape is None else (
            f"numbers of shape ({', '.join([*['B'] * (i in self.batched), *map(str, shape)])})")
        given = f"an array of shape {x.shape} and type {x.dtype}" if hasattr(x, "dtype") else bounded(x)
        raise ValueError(f"argument {i} of a compiled function takes {like}, and was given {given}") from None

    # ---- results in their structure

    def _structured(self, found: Sequence[float], args: Sequence[Any]) -> list[Any]:
        """Of a single example: numbers, in the structure of the outputs and of the arguments."""
        made: list[Any] = [None] * len(self.pieces)
        start = 0
        for _, k, template, n, shape in self.pieces:
            part = found[start:start + n]
            start += n
            if k and hasattr(args[self.wrt[k - 1]], "dtype"):
                import numpy as np
                made[k] = np.array(part, float).reshape(args[self.wrt[k - 1]].shape)
            else:
                made[k] = float(part[0]) if shape == () else shaped(template, map(float, part))
        return made

    def _arrays(self, sums: Any, each: Any) -> list[Any]:
        """Of a batch: arrays."""
        made: list[Any] = [None] * len(self.pieces)
        places = {True: 0, False: 0}
        for total, k, template, n, shape in self.pieces:
            start = places[total]
            places[total] += n
            part = sums[start:start + n] if total else each[start:start + n]
            if shape is None:
                made[k] = shaped(template, part.tolist() if total else list(part))
            elif total:
                made[k] = part.reshape(shape) if shape else float(part[0])
            else:
                made[k] = part.T.reshape(each.shape[1], *shape)
        return made

    # ---- results that are not finite: the graph itself says why, or that they are right

    def _exact(self, run: Callable[[Sequence[float]], Sequence[float]], x: Sequence[float]) -> Sequence[float]:
        """Of one example with the inputs x: what `run` gives, or the graph where that raises or is not finite."""
        try:
            found = run(x)
            if all(map(math.isfinite, found)):
                return found
        except (ArithmeticError, ValueError):
            pass
        return self._by_graph(x)

    def _by_graph(self, x: Sequence[float]) -> list[float]:
        """Of one example with the inputs x: what the graph gives, or raises, naming the node."""
        f = self.f
        inputs = [v for i in self.shared for v in f._leaves[i]] + f._captured + [v for i in self.varying for v in f._leaves[i]]
        made: dict[Value, Value] = {v: Value(number, v.label) for v, number in zip(inputs, x, strict=True)}
        with recording():
            _rebuild(f._order, made)
            slopes = adjoints({made[f._ys[0]]: 1.0}, [made[v] for v in self.xs], symbolic=False) if self.xs else []
            return [made[y].data for y in f._ys] + slopes

    def _replayed(self, shared: Sequence[Any], varying: Sequence[Any], B: int, sums: Any, each: Any) -> tuple[Any, Any]:
        """The kernel's results again, example by example, as the graph gives them."""
        np = self.np
        if self.reference is None:
            self.reference, _ = backends.python_function(self._program(self._ends(), False))
        run = self.reference
        common = [x for part in shared for x in part.tolist()]
        sums, each = np.zeros_like(sums), np.empty((len(each), B))
        for b in range(B):
            try:
                found = self._exact(run, common + [x for part in varying for x in part[b].tolist()])
            except Exception as error:
                if self.batched:
                    error.add_note(f"in example {b} of the batch")
                raise
            with np.errstate(over="ignore", invalid="ignore"):
                sums += found[:len(sums)]
            each[:, b] = found[len(sums):]
        return sums, each


class CompiledFunction:
    """A function that is traced and compiled when it is first called with arguments of a structure: see `compile_function`."""

    def __init__(self, f: Callable[..., Any], wrt: int | Sequence[int] | None, batch: int | Sequence[int] | None,
                 reduce: str | None, backend: str, threads: int | None) -> None:
        if not callable(f):
            raise TypeError(f"compile_function() got {bounded(f)}: it takes a function; of Values use compile")
        _check(reduce, backend, threads)
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
        batch = _positions(self.batch, len(args), "batch") if self.batch is not None else []
        key = tuple([_key(x, i in batch) for i, x in enumerate(args)])
        if key not in self._made:
            self._made[key] = self._trace(args, batch)
        return self._made[key]

    def _trace(self, args: Sequence[Any], batch: Sequence[int]) -> Compiled:
        names = list(getattr(getattr(self.f, "__code__", None), "co_varnames", ()))
        symbols = []
        for i, x in enumerate(args):
            example = _example(x) if i in batch else x
            name = names[i] if i < len(names) else f"x{i}"
            leaves = leaves_of(example)
            one = len(leaves) == 1 and not hasattr(example, "__len__")
            symbols.append(shaped(example, [Symbol(name if one else f"{name}{k}") for k in range(len(leaves))]))
        with tracing():
            outputs = self.f(*symbols)
        found = leaves_of(outputs)
        outputs = shaped(outputs, [y if isinstance(y, Value) else constant(to_float(y, "the result of a traced function"))
                                   for y in found])
        return Compiled(outputs, symbols, batch=batch, **self.options)

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_made": {}}

    def __repr__(self) -> str:
        return f"<{self.__name__}>"


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


def _check(reduce: str | None, backend: str, threads: int | None) -> None:
    """ValueError or ImportError for an option that cannot be had."""
    if reduce not in (None, "sum", "mean"):
        raise ValueError(f"compile(reduce={bounded(reduce)}): choose None, 'sum' or 'mean'")
    if threads is not None and not (isinstance(threads, int) and threads >= 1):
        raise ValueError(f"compile(threads={bounded(threads)}): a number of threads is a whole number from 1")
    backends.check(backend)


# ---- structures

class _Mismatch(Exception):
    """An argument is not of the structure of its template."""


def _matched(like: Any, x: Any, axes: int) -> list[Any]:
    """The numbers of x in the order of the template `like`, each an array if it has `axes` of its own."""
    if isinstance(like, dict):
        if not (isinstance(x, dict) and x.keys() == like.keys()):
            raise _Mismatch
        return [number for name, part in like.items() for number in _matched(part, x[name], axes)]
    if not hasattr(like, "__len__"):
        if len(_shape(x) or ()) != axes:
            raise _Mismatch
        return [x]
    if isinstance(x, (str, bytes, dict)) or not hasattr(x, "__len__") or getattr(x, "shape", None) == () or len(x) != len(like):
        raise _Mismatch
    parts = x.astype(float).tolist() if not axes and getattr(getattr(x, "dtype", None), "kind", "O") in "fiub" else list(x)
    if not axes and is_flat(like) and is_flat(parts):
        return parts
    return [number for part, given in zip(like, parts, strict=True) for number in _matched(part, given, axes)]


def _shape(x: Any) -> tuple[int, ...] | None:
    """The shape of a number, an array or a regular nested list; None for what is irregular."""
    if hasattr(x, "shape"):
        return tuple(x.shape)
    if is_flat(x):
        return (len(x),)
    if isinstance(x, (list, tuple)):
        shapes = {_shape(part) for part in x}
        inner = shapes.pop() if len(shapes) == 1 else None
        return None if inner is None else (len(x), *inner)
    return None if isinstance(x, dict) else ()


def _key(x: Any, batched: bool, inside: bool = False) -> Any:
    """What a function's trace depends on: the structure of an argument, and whether it is a batch."""
    if isinstance(x, dict):
        return "dict", tuple([(name, _key(part, batched, True)) for name, part in x.items()])
    if hasattr(x, "shape"):
        return "array", tuple(x.shape[1:] if batched else x.shape)
    if isinstance(x, (list, tuple)):
        if not batched or inside:
            return type(x), tuple([_key(part, batched, inside) for part in x])
        return _key(x[0], False) if x else ()
    return ()


def _example(x: Any, inside: bool = False) -> Any:
    """The first example of a batch: an array, or a list of examples; in a dict, arrays."""
    if isinstance(x, dict):
        return {name: _example(part, True) for name, part in x.items()}
    if inside and isinstance(x, (list, tuple)):
        return [_example(part, True) for part in x]
    if not (hasattr(x, "__len__") and getattr(x, "shape", None) != () and len(x)):
        raise ValueError(f"a batched argument of a compiled function has its examples in front, and was {bounded(x)}")
    return x[0]


def _positions(chosen: int | Sequence[int], n: int, name: str) -> list[int]:
    """Argument positions as a list of numbers from 0; ValueError if there is no such argument."""
    try:
        found = [index(i) for i in (chosen if hasattr(chosen, "__iter__") else [chosen])]
    except TypeError:
        found = [n]
    for i in found:
        if not -n <= i < n:
            raise ValueError(f"compile({name}={bounded(chosen)}) of a function of {n} arguments: give positions from 0 "
                             f"to {n - 1}")
    return [i % n for i in found]


def _rebuild(order: Sequence[Value], made: dict[Value, Value]) -> None:
    """Make every node of `order` anew that `made` has not, out of what it has in place of its arguments."""
    for v in order:
        if v not in made:
            made[v] = v.op(*[made[a] for a in v.args]) if v.op else v
            if v.op:
                made[v].label = v.label


def _copied(x: Any) -> Any:
    """The structure again, so that a list may change after it was given."""
    return list(x) if type(x) is list and is_flat(x) else shaped(x, leaves_of(x))


def _cut(outputs: Any, arguments: list[Any]) -> tuple[Any, list[Any]]:
    """The graph with symbols in place of inputs that were computed themselves: nothing below them belongs to the function."""
    inputs = [v for argument in arguments for v in leaves_of(argument)]
    if not any([v.args for v in inputs]):
        return outputs, arguments
    made: dict[Value, Value] = {v: Symbol(v.label) for v in inputs}
    with tracing():
        _rebuild(topological(*leaves_of(outputs), stop=made), made)
    return (shaped(outputs, [made[y] for y in leaves_of(outputs)]),
            [shaped(x, [made[v] for v in leaves_of(x)]) for x in arguments])

