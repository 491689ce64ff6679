"""Graphs of a million nodes, small stacks, threads and processes: what no formula shows.

What needs limits, threads or a process end of its own runs in a child process: `child(f, …)` calls f there and returns its
last line of output.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import pickle
import random
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from autograd import PRIMITIVES, Primitive, Value, exp, grad, hessian, jvp, log, no_grad, tanh, topological

MILLION = 10**6
SMALL = 2048 if sys.version_info[:2] == (3, 13) else 256   # kB; CPython 3.13 needs 1024 to free any long chain of objects


def child(f: Callable[..., None], *args: Any, **variables: str) -> str:
    """Call f(*args) in a new Python; AssertionError with its last words unless that ends with status 0."""
    code = f"import test_scale; test_scale.{f.__name__}(*{args!r})"
    here = Path(__file__).resolve().parent
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(here), str(here.parent)])} | variables
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{f.__name__}{args} ended with {done.returncode}: {done.stderr[-2000:]}"
    assert not done.stderr, done.stderr[-2000:]
    return done.stdout.strip().rpartition("\n")[2]


# ---- depth and width

def chain(n: int) -> tuple[Value, Value]:
    """The pair of x, which is used n + 1 times, and y = xⁿ⁺¹, by n multiplications."""
    x = y = Value(1.0)
    for _ in range(n):
        y = y * x
    return x, y


def live_deep(n: int) -> None:
    """All that happens to a chain of n nodes, from birth to death, under a recursion limit of 200."""
    limit, alone = sys.getrecursionlimit(), Value(0.0)
    sys.setrecursionlimit(200)
    try:
        x, y = chain(n)
        y.backward()
        assert x.grad == n + 1
        for again in (pickle.loads(pickle.dumps(y)), deepcopy(y)):
            order = topological(again)
            assert len(order) == n + 1
            assert order[0].grad == n + 1
            again.backward()
            assert order[0].grad == 2 * (n + 1)
            del again, order
        assert repr(y) == "Value(data=1.0, grad=1.0)"
        del y
        assert sys.getrefcount(x) == sys.getrefcount(alone)
    finally:
        sys.setrecursionlimit(limit)


def live_deep_in_a_small_thread(n: int) -> None:
    failures: list[BaseException] = []

    def work() -> None:
        try:
            live_deep(n)
        except BaseException as error:
            failures.append(error)
    threading.stack_size(SMALL * 1024)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert not failures, failures


def add_up(n: int) -> None:
    """A sum of n leaves."""
    xs = [Value(i) for i in range(n)]
    total = sum(xs, Value(0.0))
    total.backward()
    assert total.data == n * (n - 1) / 2
    assert {x.grad for x in xs} == {1.0}


def differentiate_twice(n: int) -> None:
    sys.setrecursionlimit(200)
    x, y = chain(n)
    first = grad(y, x)
    assert first.data == jvp(y, [x], [1.0]).data == n + 1
    assert grad(first, x).data == (n + 1) * n


def exit_with(n: int) -> None:
    """Leave the graph to the end of the interpreter, from three places."""
    module = sys.modules["test_scale"]
    for name in ("alive", "derivative"):
        x, y = chain(n)
        y.backward()
        setattr(module, name, y if name == "alive" else grad(y, [x]))
    x.label = "kept"
    threading.current_thread().graph = y  # type: ignore[attr-defined]
    print("done")


@pytest.mark.slow
def test_a_chain_of_a_million_nodes_and_uses_of_a_leaf_lives_and_dies_without_recursion() -> None:
    child(live_deep, MILLION)


@pytest.mark.slow
def test_a_million_terms() -> None:
    child(add_up, MILLION)


def test_a_deep_chain_lives_in_a_thread_with_a_small_stack() -> None:
    child(live_deep_in_a_small_thread, 50_000)


def test_a_deep_chain_has_a_second_derivative() -> None:
    child(differentiate_twice, 20_000)


def test_the_interpreter_exits_with_a_deep_graph_alive() -> None:
    assert child(exit_with, 100_000) == "done"


def test_two_to_the_sixty_paths() -> None:
    x = y = Value(1.0)
    for _ in range(60):
        y = y + y
    y.backward()
    assert x.grad == 2.0**60
    assert grad(y, x).data == 2.0**60
    assert jvp(y, [x], [1.0]).data == 2.0**60
    assert deepcopy(y).data == pickle.loads(pickle.dumps(y)).data == 2.0**60


@pytest.mark.parametrize("build", [chain, lambda n: (0, sum([Value(1.0) for _ in range(n)], Value(0.0)))], ids=["chain", "sum"])
def test_every_node_is_visited_a_bounded_number_of_times(build: Callable[[int], tuple[Any, Value]]) -> None:
    def calls(n: int) -> int:
        """How many Python and C functions backward() and grad() call on a graph of n nodes."""
        y, count = build(n)[1], 0

        def profile(frame: Any, event: str, arg: Any) -> None:
            nonlocal count
            count += event in ("call", "c_call")
        sys.setprofile(profile)
        try:
            y.backward()
            grad(y, topological(y)[:1])
        finally:
            sys.setprofile(None)
        return count
    assert calls(4000) < 2.1 * calls(2000)


# ---- life and death of nodes

def expression(x: Value, w: Value) -> Value:
    """Some of everything: sharing, constants, n-ary and unary nodes."""
    p = 1 / (1 + exp(-w * x))
    return -log(p) + tanh(p * w) ** 2 + abs(x - 3) * 0.5


def count_garbage() -> None:
    """Print how many objects the collector finds in cycles after everything was done once and dropped."""
    def everything() -> None:
        x, w = Value(1.5), Value(-0.5, label="w")
        y = expression(x, w)
        y.backward()
        grad(grad(y, x), w)
        hessian(y, [x, w])
        hessian(lambda v: expression(v[0], v[1]))([1.5, -0.5])
        jvp(lambda v: v * v, 2.0, 1.0)
        with no_grad():
            expression(x, w)
        deepcopy(y)
        pickle.loads(pickle.dumps(y))
        repr(y)
        for fails in (lambda: log(Value(-1.0)), lambda: Value("a"), lambda: y + "a", lambda: float(y)):
            with suppress(ValueError, TypeError):
                fails()
    everything()   # imports and caches
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    everything()
    gc.collect()
    print(json.dumps([repr(o)[:200] for o in gc.garbage]))
    gc.set_debug(0)


def test_nothing_makes_a_reference_cycle() -> None:
    assert json.loads(child(count_garbage)) == []


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
def test_graphs_die_by_reference_count() -> None:
    x, w, alone = Value(1.5), Value(-0.5), Value(0.0)
    counts = []
    for _ in range(50):
        y = expression(x, w)
        y.backward()
        grad(grad(y, x), w)
        counts.append(len(gc.get_objects()))
    assert counts[-1] - counts[1] < 48   # an object for each rebuilding; the rest of the process makes one now and then
    del y
    assert sys.getrefcount(x) == sys.getrefcount(w) == sys.getrefcount(alone)


# ---- processes

def random_graph() -> None:
    """Print the numbers and gradients, to the bit, of a random graph with sharing, and its derivatives of derivatives."""
    rng = random.Random(7)
    shapes: list[Callable[[Value, Value], Value]] = [
        lambda a, b: a + b, lambda a, b: a * b / (1 + a * a), lambda a, b: tanh(a) - b, lambda a, b: exp(-(a * a)) + b]
    xs = [Value(rng.uniform(0.5, 2.0)) for _ in range(10)]
    nodes = list(xs)
    for _ in range(300):
        a, b = rng.choice(nodes), rng.choice(nodes)
        nodes.append(rng.choice(shapes)(a, b))
    y = sum(nodes, Value(0.0))
    y.backward()
    second = [h for row in hessian(y, xs[:2]) for h in row]
    print([v.data.hex() for v in [*nodes, y, *second]], [v.grad.hex() for v in nodes])


def test_numbers_are_the_same_to_the_bit_in_every_process() -> None:
    outputs = {child(random_graph, PYTHONHASHSEED=seed, PYTHONMALLOC=malloc)
               for seed, malloc in (("0", "pymalloc"), ("1", "malloc"), ("random", "pymalloc"))}
    assert len(outputs) == 1


def unpickle(hexadecimal: str) -> None:
    x, y = pickle.loads(bytes.fromhex(hexadecimal))
    y.backward()
    print(x.grad.hex(), y.data.hex(), x.label)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_of_any_protocol_goes_to_another_process(protocol: int) -> None:
    x, w = Value(1.5, label="x"), Value(-0.5)
    y = expression(x, w)
    there = child(unpickle, pickle.dumps((x, y), protocol).hex())
    y.backward()
    assert there == f"{x.grad.hex()} {y.data.hex()} x"


def test_copies_share_nothing_with_the_original() -> None:
    x, w = Value(1.5), Value(-0.5)
    y = expression(x, w)
    for again in (deepcopy(y), pickle.loads(pickle.dumps(y))):
        again.backward()
        assert (x.grad, w.grad) == (0.0, 0.0)
        assert not {id(v) for v in topological(again)} & {id(v) for v in topological(y)}


# ---- threads and tasks

def test_threads_build_and_differentiate_graphs_of_their_own() -> None:
    def work(seed: int) -> tuple[float, float]:
        rng = random.Random(seed)
        x = Value(rng.uniform(1, 2))
        y = Value(0.0)
        for _ in range(300):
            y = tanh(y * x + rng.uniform(-1, 1))
            x.data = x.data   # a leaf's new number is a new time: of other threads' graphs none is older for it
            y = Value(y.data) * x + rng.uniform(-1, 1)
            y.backward()
        return x.grad, y.data
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            together = list(pool.map(work, range(32)))
    finally:
        sys.setswitchinterval(interval)
    assert together == [work(seed) for seed in range(32)]


def test_no_grad_holds_in_its_own_thread_only() -> None:
    inside, seen = threading.Event(), threading.Event()

    def quiet() -> bool:
        with no_grad():
            inside.set()
            seen.wait(10)
            return bool((Value(2.0) * 3).args)

    def recording() -> bool:
        inside.wait(10)
        recorded = bool((Value(2.0) * 3).args)
        seen.set()
        return recorded
    with ThreadPoolExecutor(2) as pool:
        results = [pool.submit(quiet), pool.submit(recording)]
    assert [r.result() for r in results] == [False, True]


def test_no_grad_holds_in_its_own_task_only() -> None:
    async def task(quiet: bool) -> list[bool]:
        seen = []
        for _ in range(3):
            if quiet:
                with no_grad():
                    await asyncio.sleep(0)
                    seen.append(bool((Value(2.0) * 3).args))
            await asyncio.sleep(0)
            seen.append(bool((Value(2.0) * 3).args))
        return seen

    async def both() -> list[list[bool]]:
        return list(await asyncio.gather(task(True), task(False)))
    assert asyncio.run(both()) == [[False, True] * 3, [True] * 3]


# ---- interruptions

def test_an_interrupted_backward_leaves_the_leaves_as_they_were() -> None:
    interrupts: list[BaseException] = []

    def partials(y: Any, x: Any) -> tuple[Any]:
        if interrupts:
            raise interrupts.pop()
        return (2 * x,)
    try:
        square = Primitive("test_scale_square", value=lambda x: x * x, partials=partials)
        x, w = Value(3.0), Value(5.0)
        (x * w).backward()
        y = square(x) * w + square(w) * x
        interrupts.append(KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            y.backward()
        assert (x.grad, w.grad) == (5.0, 3.0)
        y.backward()
        assert (x.grad, w.grad) == (5.0 + 2 * 3 * 5 + 25, 3.0 + 9 + 2 * 5 * 3)
    finally:
        del PRIMITIVES["test_scale_square"]
