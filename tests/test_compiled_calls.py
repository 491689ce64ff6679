"""Calls of compiled functions: the short ways and the builtin give what the general way gives, bit for bit, or step aside."""

from __future__ import annotations

import gc
import inspect
import pickle
import struct
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograd import Compiled, Value, compile, compile_function, exp, log, sin, sqrt, tanh
from autograd.compiler import CompiledFunction, compiled
from autograd.compiler.backends.choose import no_llvm
from autograd.compiler.backends.llvm import builtin as made_of
from autograd.compiler.backends.llvm.builtin import unavailable
from autograd.compiler.backends.llvm.native import Machine

needs_builtin = pytest.mark.skipif(bool(no_llvm() or unavailable()), reason="there is no builtin here")


def bits(x: Any) -> Any:
    """What a result is, to the last bit; of an array also its type and shape."""
    if type(x) is float:
        return struct.pack("d", x)
    if isinstance(x, np.ndarray):
        return type(x), x.dtype, x.shape, x.tobytes()
    return (type(x), *map(bits, x)) if isinstance(x, (tuple, list)) else x


def outcome(f: Callable[..., Any], args: Any) -> Any:
    try:
        return bits(f(*args))
    except Exception as error:
        return type(error), str(error), getattr(error, "__notes__", [])


def functions(backend: str) -> dict[str, tuple[Compiled, tuple[Any, ...]]]:
    """Of every form of arguments and results a function, and arguments for it."""
    rng = np.random.default_rng(0)
    a, b, c = Value(1.0), Value(1.0), Value(1.0)
    w, W = [Value(0.0) for _ in range(3)], [[Value(0.0) for _ in range(2)] for _ in range(3)]
    line = w[0] * sin(w[1] * a) + w[2]
    rows = sum([tanh(row[0] * a + row[1] * b) for row in W], 0.0)
    theta, M, xs, ys = rng.normal(size=3), rng.normal(size=(3, 2)), rng.normal(size=7), rng.normal(size=7)
    points = rng.normal(size=(7, 2))
    pair = [a, b]
    options: dict[str, Any] = {"backend": backend}
    return {
        "numbers": (compile(exp(-a * b), [a, b], **options), (0.5, 2.0)),
        "by both": (compile(sqrt(a) / b + c, [a, b, c], wrt=(1, 0), **options), (0.5, 2.0, 1.0)),
        "a pole": (compile(log(a) / b, [a, b], **options), (0.5, 2.0)),
        "vector": (compile(line, [w, a], **options), (theta, 0.3)),
        "matrix": (compile(rows, [W, a, b], wrt=(0, 2), **options), (M, 0.3, -0.4)),
        "mean": (compile(line, [w, a], reduce="mean", **options), (theta, xs)),
        "sum of two": (compile((line - b) ** 2, [w, a, b], reduce="sum", wrt=(0, 1), **options), (theta, xs, ys)),
        "each": (compile(line, [w, a], **options), (theta, xs)),
        "of points": (compile(rows, [W, pair], reduce="mean", batch=1, **options), (M, points)),
        "by points": (compile(rows, [pair, W], batch=0, **options), (points, M)),
        "shared numbers": (compile(sin(a * b), [a, b], reduce="sum", **options), (0.7, xs)),
    }


NAMES = list(functions("python"))


@cache
def twins(name: str, derivative: bool) -> tuple[Callable[..., Any], Callable[..., Any], Any, tuple[Any, ...]]:
    """(a function that has a builtin, the same that takes the general way alone, the builtin, arguments)."""
    f, args = functions("llvm")[name]
    general, _ = functions("llvm")[name]
    with patch.object(compiled, "_OFTEN", 1):
        for _ in range(2):
            call(f, derivative)(*args)
    return call(f, derivative), generally(general, derivative), f._builtins[derivative], args


def call(f: Compiled, derivative: bool) -> Callable[..., Any]:
    return f.value_and_grad if derivative else f


def generally(f: Compiled, derivative: bool) -> Callable[..., Any]:
    """The function, which never goes a short way."""
    def run(*args: Any) -> Any:
        with patch.object(compiled, "quick", lambda plan: None):
            return call(f, derivative)(*args)
    return run


class Mine(np.ndarray[Any, Any]):
    """A kind of array that has its own mind about what is computed from it."""

    def __array_finalize__(self, other: Any) -> None:
        self.flag = 1


class Tall(float):
    """A float that is more."""


def misaligned(x: Any) -> Any:
    memory = np.zeros(x.nbytes + 1, np.uint8)[1:]
    made = memory.view(float).reshape(x.shape)
    made[...] = x
    return made


def frozen(x: Any) -> Any:
    x = x.copy()
    x.flags.writeable = False
    return x


PLAIN: dict[str, Callable[[Any], Any]] = {
    "as it is": lambda x: x, "read-only": lambda x: frozen(x) if np.ndim(x) else x,
    "copied": lambda x: x.copy() if np.ndim(x) else x}
ARRAYS: dict[str, Callable[[Any], Any]] = PLAIN | {
    "Fortran": np.asfortranarray, "reversed": lambda x: x[::-1], "columns reversed": lambda x: x[..., ::-1],
    "every other": lambda x: np.repeat(x, 2, axis=-1)[..., ::2], "broadcast": lambda x: np.broadcast_to(x[:1], x.shape),
    "swapped bytes": lambda x: x.astype(">f8"), "float32": lambda x: x.astype(np.float32), "ints": lambda x: x.astype(int),
    "bools": lambda x: x > 0, "long": lambda x: x.astype(np.longdouble), "objects": lambda x: x.astype(object),
    "complex": lambda x: x + 0j, "text": lambda x: x.astype(str), "list": lambda x: x.tolist(),
    "tuple": lambda x: tuple(x.tolist()),
    "subclass": lambda x: x.view(Mine), "masked": lambda x: np.ma.array(x, mask=x > 0), "unmasked": np.ma.array,
    "misaligned": misaligned, "shorter": lambda x: x[:-1], "empty": lambda x: x[:0], "an axis more": lambda x: x[None],
    "an axis less": lambda x: x[0], "0-d": lambda x: np.array(x.flat[0]), "with nan": lambda x: np.where(x > 0, x, np.nan),
    "infinite": lambda x: x * np.inf, "tiny": lambda x: x * 1e-310, "None": lambda x: None, "a number": lambda x: 1.5,
    "long batch": lambda x: np.concatenate([x] * 40)}
NUMBERS: dict[str, Callable[[Any], Any]] = PLAIN | {
    "numpy": np.float64, "float32": np.float32, "0-d": np.array, "int": lambda x: int(x) + 2, "bool": bool,
    "zero": lambda x: 0.0,
    "minus zero": lambda x: -0.0, "nan": lambda x: float("nan"), "infinite": lambda x: -float("inf"), "subclass": Tall,
    "huge": lambda x: 10 ** 400, "text": str, "None": lambda x: None, "complex": complex, "list": lambda x: [x],
    "Value": Value, "batch": lambda x: np.array([x, 2 * x, 3 * x])}


@needs_builtin
@pytest.mark.parametrize("derivative", [False, True], ids=["f", "value_and_grad"])
@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_the_builtin_is_the_general_way_bit_for_bit(name: str, derivative: bool, data: st.DataObject) -> None:
    f, general, builtin, args = twins(name, derivative)
    assert builtin is not None
    made = list(args)
    plain = True
    for i in data.draw(st.sets(st.integers(0, len(args) - 1), max_size=2)):
        kinds = ARRAYS if np.ndim(args[i]) else NUMBERS
        kind = data.draw(st.sampled_from(sorted(kinds)))
        made[i] = kinds[kind](args[i])
        plain &= kind in PLAIN
    found, true = outcome(builtin, made), outcome(general, made)
    assert found == (true if plain else found if found is NotImplemented else true)
    assert outcome(f, made) == true


@pytest.mark.parametrize("derivative", [False, True], ids=["f", "value_and_grad"])
@pytest.mark.parametrize("name", NAMES)
def test_short_ways_are_the_general_way_bit_for_bit(backend: str, name: str, derivative: bool) -> None:
    f, args = functions(backend)[name]
    general, _ = functions(backend)[name]
    for i, x in enumerate(args):
        kinds = ARRAYS if np.ndim(x) else NUMBERS
        for kind in kinds.values():
            made = [*args[:i], kind(x), *args[i + 1:]]
            found, again = [outcome(call(f, derivative), made) for _ in range(2)]
            assert found == again == outcome(generally(general, derivative), made)


@needs_builtin
@pytest.mark.parametrize("name", NAMES)
def test_other_counts_and_names_of_arguments(name: str) -> None:
    for derivative in (False, True):
        f, general, builtin, args = twins(name, derivative)
        for made in ((), args[:-1], (*args, 1.0), args * 50):
            assert builtin(*made) is NotImplemented and outcome(f, made) == outcome(general, made)
        for given_by_name in ({"x": 1.0}, {"self": 1.0}):
            with pytest.raises(TypeError, match="keyword arguments"):
                builtin(*args, **given_by_name)


@needs_builtin
@pytest.mark.parametrize("name", NAMES)
def test_no_reference_is_lost_or_kept(name: str) -> None:
    for derivative in (False, True):
        _, _, builtin, args = twins(name, derivative)
        known = [*args, float, np.ndarray, np.dtype(float), NotImplemented, builtin.__self__]
        declined = [*args[:-1], None]

        def run(n: int, builtin: Any = builtin, args: Any = args, declined: Any = declined) -> None:
            for _ in range(n):
                builtin(*args)
                builtin(*declined)
        run(100)
        before = [sys.getrefcount(x) for x in known], sys.getallocatedblocks()
        run(5000)
        assert [sys.getrefcount(x) for x in known] == before[0]
        assert abs(sys.getallocatedblocks() - before[1]) < 100


@needs_builtin
def test_memory_does_not_grow() -> None:
    _, _, builtin, args = twins("sum of two", True)
    tracemalloc.start()
    try:
        for _ in range(1000):
            builtin(*args)
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(100_000):
            builtin(*args)
        assert tracemalloc.get_traced_memory()[0] - before < 10_000
    finally:
        tracemalloc.stop()


@pytest.fixture
def eager_collector() -> Iterator[None]:
    """The collector runs at every chance that it gets."""
    before = gc.get_threshold()
    gc.set_threshold(1)
    yield
    gc.set_threshold(*before)


@needs_builtin
def test_what_the_collector_calls_may_call_the_builtin(eager_collector: None) -> None:
    _, _, builtin, args = twins("by both", True)
    true, other, inside = outcome(builtin, args), (4.0, -1.0, 3.0), []

    def again(phase: str, info: Any) -> None:
        inside.append(builtin(*other))
    gc.callbacks.append(again)
    try:
        kept = [builtin(*args) for _ in range(3000)]   # kept, so that the interpreter has no old tuples to use again
    finally:
        gc.callbacks.remove(again)
    assert {bits(x) for x in kept} == {true} and {bits(x) for x in inside} == {outcome(builtin, other)}


@needs_builtin
def test_threads_may_call_one_builtin() -> None:
    f, general, _, (theta, xs) = twins("mean", True)
    batches = [xs * k for k in range(1, 9)]
    true = [outcome(general, (theta, x)) for x in batches]

    def run(k: int) -> set[Any]:
        return {outcome(f, (theta, batches[k])) for _ in range(500)}
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(run, range(8))) == [{x} for x in true]


@needs_builtin
def test_a_builtin_is_made_for_what_is_called_often(monkeypatch: pytest.MonkeyPatch) -> None:
    def f() -> Compiled:
        return functions("llvm")["mean"][0]
    args = functions("llvm")["mean"][1]

    def after(n: int, f: Compiled) -> Any:
        for _ in range(n):
            f(*args)
        return f._builtins[0]
    assert after(compiled._OFTEN, f()) is None and after(compiled._OFTEN + 1, f()) is not None
    monkeypatch.setattr(compiled, "_OFTEN", 1)
    assert after(2, f()) is not None
    with patch.object(made_of, "_LONGEST", 1):   # a long call gives the lock of the interpreter away
        assert after(2, f()) is None
    monkeypatch.setenv("XIGRAD_BUILTIN", "0")
    assert after(2, f()) is None


@needs_builtin
def test_other_interpreters_have_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "_OFTEN", 1)
    for place, name, other, told in ((made_of, "_TESTED", ((3, 99),), "tested on CPython 3.99"),
                                     (made_of, "_NUMPY", 1, "binary interface"),
                                     (made_of, "OFFSETS", made_of.OFFSETS | {"flags": 60}, "laid out"),
                                     (made_of, "OFFSETS", made_of.OFFSETS | {"float": 8}, "laid out"),
                                     (sys, "byteorder", "big", "tested on")):
        with patch.object(place, name, other):
            unavailable.cache_clear()
            assert told in unavailable()
            f, args = functions("llvm")["numbers"]
            assert f(*args) == f(*args) and f._builtins == [None, None]
    unavailable.cache_clear()
    assert not unavailable()


@needs_builtin
def test_the_code_has_no_address_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "_OFTEN", 1)
    texts: list[str] = []
    def noted(text: str) -> Machine:
        texts.append(text)
        return Machine(text)
    with patch.object(made_of, "Machine", noted):
        for _ in range(2):
            f, args = functions("llvm")["matrix"]
            for _ in range(2):
                f.value_and_grad(*args)
    assert len(texts) == 2 and texts[0] == texts[1]


@needs_builtin
def test_a_function_with_a_builtin_is_what_it_was() -> None:
    f, args = functions("llvm")["mean"]
    f(*args)
    plain = repr(f), f.source, inspect.signature(f), inspect.signature(f.value_and_grad), f.value_and_grad.__doc__
    with patch.object(compiled, "_OFTEN", 1):
        true = [outcome(f, args) for _ in range(3)][-1]
    assert f._builtins[0] is not None
    assert plain == (repr(f), f.source, inspect.signature(f), inspect.signature(f.value_and_grad), f.value_and_grad.__doc__)
    assert outcome(pickle.loads(pickle.dumps(f)), args) == true
    single = f.value_and_grad(args[0], 0.5)
    assert isinstance(single[0], float) and "value_and_grad" not in vars(f) and outcome(f, args) == true


@needs_builtin
def test_traced_functions_have_it_too() -> None:
    f = compile_function(lambda w, x: exp(-w[0] * x) + w[1], batch=1, reduce="sum", backend="llvm")
    args = np.array([1.0, 2.0]), np.array([0.0, 1.0])
    with patch.object(compiled, "_OFTEN", 1):
        found = {outcome(f.value_and_grad, args) for _ in range(4)}
    assert len(found) == 1 and f.compiled(*args)._builtins[1] is not None
    with patch.object(CompiledFunction, "_for", side_effect=AssertionError("not asked")):
        assert {outcome(f.value_and_grad, args)} == found
    assert outcome(f.value_and_grad, [args[0].tolist(), args[1]]) != found   # which gives a list


@needs_builtin
@pytest.mark.parametrize("first", [0, 1, 2])
def test_a_traced_function_is_traced_for_every_structure_of_its_arguments(first: int) -> None:
    """What it does with a list is not what it does with an array, though both have as many numbers."""
    f = compile_function(lambda x, y: (x + x)[1] * y, backend="llvm")
    kinds = [(np.array([1.0, 2.0]), 3.0), ([1.0, 2.0], 3.0), ((1.0, 2.0), np.float64(3.0))]
    true = [12.0, 6.0, 6.0]
    with patch.object(compiled, "_OFTEN", 1):
        for k in [first] * 3 + [0, 1, 2] * 3 + [2, 1, 0]:
            assert f(*kinds[k]) == true[k]


@needs_builtin
@pytest.mark.parametrize("reduce", [None, "sum", "mean"])
def test_an_argument_may_be_empty(reduce: str | None) -> None:
    x = Value(1.0)
    f = compile(sin(x), [[], x], wrt=(0, 1), reduce=reduce, backend="llvm")
    args = np.zeros(0), np.array([1.0, 2.0, 3.0])
    with patch.object(compiled, "_OFTEN", 1):
        found = {outcome(f.value_and_grad, args) for _ in range(3)}
    assert found == {outcome(generally(f, True), args)} and f._builtins[1] is not None


@needs_builtin
def test_captured_values_are_read_at_every_call() -> None:
    scale, x = Value(2.0), Value(1.0)
    f = compile(scale * x * x, [x], backend="llvm")
    with patch.object(compiled, "_OFTEN", 1):
        assert [f(3.0) for _ in range(3)] == [18.0] * 3
        scale.data = 5.0
        assert f.value_and_grad(3.0) == (45.0, 30.0)
