"""The loop in machine code makes the steps that are made one by one: bit for bit, wherever it begins and ends."""

from __future__ import annotations

import gc
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("llvmlite")

from test_nn_compiled import BITS, MODELS, OPTIONS, REALS, X, numbers, perturbed

from autograd import Compiled, Value, relu, sqrt
from autograd.compiler import descent as machine
from autograd.compiler.backends.recent import forget
from autograd.compiler.descent import Descent
from nn import (
    ACTIVATIONS,
    MLP,
    OPTIMIZERS,
    SGD,
    Callback,
    Checkpoint,
    CosineAnnealingLR,
    EarlyStopping,
    ExponentialLR,
    LinearRegression,
    LogisticRegression,
    Module,
    Optimizer,
    ReduceLROnPlateau,
    StepLR,
    fit,
)
from nn.saving.archive import read_archive
from nn.schedules import Schedule
from nn.training import looped
from nn.training.looped import LoopedDescent

SCHEDULES: list[Any] = [None, lambda o: StepLR(o, 2, 0.5), lambda o: ExponentialLR(o, 0.9), lambda o: CosineAnnealingLR(o, 4),
                        lambda o: ReduceLROnPlateau(o, factor=0.5, patience=0)]


def mlp() -> MLP:
    return MLP(3, [3, 1], "tanh", rng=0)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many steps each call of machine code made."""
    found, go = list[int](), Descent.go

    def counted(self: Descent, epochs: Any, *args: Any) -> bool:
        left = epochs.left
        try:
            return go(self, epochs, *args)
        finally:
            found.append(left - epochs.left)
    monkeypatch.setattr(Descent, "go", counted)
    return found


def trained(soon: int, make: Callable[[], Module] = mlp, x: Any = X, y: Any = REALS, **options: Any) -> Any:
    """All that a training leaves, from the step `soon` on made in the loop; an error as its text."""
    options = dict[str, Any](optimizer="adam", epochs=7, rng=3, batch_size=5, compiled="llvm") | options
    made = options["optimizer"]
    model = perturbed(make())
    optimizer = OPTIMIZERS[made](model.parameters(), lr=0.02) if isinstance(made, str) else made(model.parameters())
    rows: Any = None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(looped, "SOON", 0)
        patch.setattr(LoopedDescent, "first", soon)
        try:
            rows = fit(model, x, y, **options | {"optimizer": optimizer}).rows
        except (ArithmeticError, RuntimeError) as error:
            rows = str(error)
    return rows, numbers(model), [p.grad for p in model.parameters()], optimizer.t, optimizer.state, optimizer.lr


def same(**options: Any) -> Any:
    """What a training leaves, the same however many of its steps are made in the loop."""
    stepped = trained(10 ** 9, **options)
    for soon in (0, 3):
        assert trained(soon, **options) == stepped
    return stepped


@pytest.mark.parametrize("name", [name for name in MODELS if name != "LeNet" and (name not in ACTIVATIONS or name == "elu")])
def test_every_model(name: str, calls: list[int]) -> None:
    make, x, y = MODELS[name]
    stepped = trained(10 ** 9, make, x, y, epochs=4)
    assert not calls and trained(0, make, x, y, epochs=4) == stepped and sum(calls) >= 4


@pytest.mark.parametrize("option", OPTIONS, ids=str)
def test_every_optimizer(option: tuple[str, dict[str, Any]], calls: list[int]) -> None:
    name, options = option
    for maximize in (False, True):
        made = partial(OPTIMIZERS[name], lr=0.01, maximize=maximize, **options)
        loss = (lambda output, y: -(output - y) ** 2) if maximize else "mse"
        same(make=partial(LinearRegression, 3), optimizer=made, l2=0.1, loss=loss)
    assert sum(calls) > 40 and {name for name, _ in OPTIONS} == set(OPTIMIZERS)


class Lion(Optimizer):
    """The sign of a running mean."""

    slots = ("mean",)

    def update(self, x: Any, g: Any, t: int, *slots: Any) -> Any:
        [m] = slots
        return x - self.lr * np.sign(0.9 * m + 0.1 * g), (0.99 * m + 0.01 * g,)


class Branches(Optimizer):
    def update(self, x: Any, g: Any, t: int, *slots: Any) -> Any:
        return (x - self.lr if g > 0 else x + self.lr), ()


class OfAll(Optimizer):
    """The gradient is cut to a length: a formula of all parameters at once."""

    def update(self, x: Any, g: Any, t: int, *slots: Any) -> Any:
        return x - self.lr * g / np.maximum(1.0, np.sum(np.abs(g))), ()


class Counts(Optimizer):
    calls = 0

    def update(self, x: Any, g: Any, t: int, *slots: Any) -> Any:
        self.calls += 1
        return x - self.lr * g / self.calls, ()


class Aware(Optimizer):
    """It reads how many steps there were from itself."""

    def update(self, x: Any, g: Any, t: int, *slots: Any) -> Any:
        return x - self.lr / (1 + self.t) * g, ()


class Own(SGD):
    def step(self) -> None:
        for p in self.params:
            p.data -= self.lr * p.grad


class Moved(SGD):
    def moved(self, x: Any, g: Any) -> Any:
        return super().moved(x, np.clip(g, -0.1, 0.1))


class Clipped(SGD):
    """Every slope is cut to a range, in the formula itself."""

    def update(self, x: Any, g: Any, t: int, *slots: Any) -> Any:
        return super().update(x, np.minimum(np.maximum(g, -0.05), 0.05), t, *slots)


class Warm(Schedule):
    """A schedule of the user's."""

    def next_lr(self, lr: float) -> float:
        return lr * (1.5 if self.epoch < 3 else 0.8)


KINDS: list[Any] = [*[partial(OPTIMIZERS[name], **options) for name, options in OPTIONS],
                    Lion, Branches, OfAll, Own, Moved, Clipped]


class Looks(Callback):
    """It looks at the parameters, and changes the rate, in the midst of epochs."""

    def __init__(self, fails: int = 0, with_: type[BaseException] = RuntimeError) -> None:
        self.fails, self.error, self.seen = fails, with_, list[float]()

    def on_batch_end(self, state: Any) -> None:
        self.seen += [*numbers(state.model), state.optimizer.lr]
        if state.optimizer.t == 5:
            state.optimizer.lr *= 0.5
        if state.optimizer.t == self.fails:
            raise self.error("enough")


@settings(max_examples=25, deadline=None)
@given(kind=st.sampled_from(KINDS), schedule=st.sampled_from([*SCHEDULES, Warm]), l2=st.sampled_from([0.0, 0.3]),
       size=st.sampled_from([None, 1, 4, 13]), shuffle=st.booleans(), validation=st.sampled_from([None, 0.3]),
       first=st.integers(0, 12), longest=st.sampled_from([1, 2000, machine._LONGEST]), epochs=st.integers(1, 9),
       part=st.sampled_from([slice(None), slice(None, None, -1), slice(1, 3), slice(2)]),
       looks=st.sampled_from([0, 0, None, 1, 7]), error=st.sampled_from([RuntimeError, KeyboardInterrupt]))
def test_every_training(kind: Any, schedule: Any, l2: float, size: int | None, shuffle: bool, validation: float | None,
                        first: int, longest: int, epochs: int, part: slice, looks: int | None, error: Any) -> None:
    """Looked at after every batch, by a callback that never fails (None) or at a step, or not at all (0)."""
    def run(first: int) -> Any:
        watch = Looks(looks or 0, error)
        return watch.seen, trained(
            first, optimizer=lambda params: kind(params[part], lr=0.01), schedule=schedule, l2=l2, epochs=epochs,
            batch_size=size, shuffle=shuffle, validation=validation, make=partial(LinearRegression, 3),
            callbacks=[] if looks == 0 else [watch])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(machine, "_LONGEST", longest)
        assert run(first) == run(10 ** 9)


def test_batches_of_several_chunks() -> None:
    rows = np.random.default_rng(0).normal(size=(2500, 3))
    for size in (None, 2100):
        same(make=partial(LinearRegression, 3), x=rows, y=rows @ [1.0, -2.0, 0.5], batch_size=size, epochs=6)


def test_epochs_that_nobody_looks_at_are_one_call(calls: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    options: dict[str, Any] = {"make": partial(LinearRegression, 3), "epochs": 300}
    assert trained(0, **options)[3] == 900 == sum(calls)
    assert calls[:2] == [1, 2] and max(calls) > 300   # the first is compared; the rest of its epoch; then many


# ---- what stops it

@pytest.mark.parametrize("where", [1, 2, 5, 9])
@pytest.mark.parametrize("size", [None, 5])
def test_ctrl_c_between_two_calls_leaves_a_whole_step(where: int, size: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    left = [where]
    set_ = Descent._set

    def interrupted(self: Descent, **words: int) -> None:
        set_(self, **words)
        left[0] -= "steps" in words
        if not left[0]:
            left[0] -= 1
            raise KeyboardInterrupt
    with monkeypatch.context() as patch:
        patch.setattr(machine, "_LONGEST", 2000)   # a few steps in a call
        patch.setattr(Descent, "_set", interrupted)
        rows, *found = trained(0, epochs=40, batch_size=size)
    t = found[2]
    assert left[0] < 0 and 0 < t < 40 * (1 if size is None else 3)

    class Stop(Callback):
        def on_batch_end(self, state: Any) -> None:
            if state.optimizer.t == t:
                raise KeyboardInterrupt
    again, *expected = trained(10 ** 9, epochs=40, batch_size=size, callbacks=[Stop()])
    assert found == expected and rows[:len(again)] == again and len(rows) == t // (1 if size is None else 3)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no timer signals")
def test_a_real_interrupt_ends_a_training_that_would_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    go = Descent.go

    def interrupted(self: Descent, epochs: Any, *args: Any) -> bool:
        if len(epochs.totals) > 1:   # in the midst of machine code
            signal.setitimer(signal.ITIMER_REAL, 0.01)
        return go(self, epochs, *args)
    model, old = LinearRegression(3), signal.signal(signal.SIGALRM, signal.default_int_handler)
    options: dict[str, Any] = {"optimizer": "sgd", "lr": 1e-6, "compiled": "llvm"}
    gc.disable()   # hypothesis looks on when it collects, and an interrupt there would be lost
    try:
        with monkeypatch.context() as patch:
            patch.setattr(Descent, "go", interrupted)
            history = fit(model, X, REALS, epochs=10 ** 9, **options)
    finally:
        gc.enable()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
    assert history.interrupted and [row["epoch"] for row in history] == [*range(1, len(history) + 1)]
    other = LinearRegression(3)
    assert fit(other, X, REALS, epochs=len(history), **options).rows == history.rows and numbers(other) == numbers(model)


class Root(Module):
    """√(w x): it ends where w falls below 0."""

    def __init__(self) -> None:
        self.w = Value(1.0, label="w")

    def forward(self, x: Any) -> Any:
        return sqrt(self.w * x[0])


@pytest.mark.parametrize("size", [None, 2])
def test_what_is_not_finite_is_told_as_by_the_steps_and_not_made(size: int | None, calls: list[int]) -> None:
    for make, x, y, lr, told in ((Root, [[1.0], [2.0], [4.0]], [0.0] * 3, 0.02, "example X["),
                                 (partial(LinearRegression, 1), [[1e3], [2e3], [3e3]], [1.0] * 3, 1.0, "epoch")):
        rows, *rest = same(make=make, x=x, y=y, batch_size=size, epochs=500, optimizer=partial(SGD, lr=lr))
        assert told in rows and all(np.isfinite(rest[0]))
    assert sum(calls) > 20


class Silenced(Module):
    """relu(√(x w) − 1), whose slope at 0 is 0 though the root's is infinite."""

    def __init__(self) -> None:
        self.w = Value(2.0)

    def forward(self, x: Any) -> Any:
        return relu(sqrt(self.w * x[0]) - 1) + self.w


def test_a_slope_that_only_the_graph_knows_goes_on(calls: list[int]) -> None:
    rows, *_ = same(make=Silenced, x=[[1.0], [2.0], [0.0]], y=[0.5, 1.0, 1.5], batch_size=1, epochs=12)
    assert len(rows) == 12 and calls and 0 in calls


# ---- what looks at it

def test_callbacks_see_and_change_what_they_did(calls: list[int]) -> None:
    class Change(Callback):
        def on_epoch_end(self, state: Any) -> None:
            deepcopy(state)   # as for a trace of the training
            self.seen = [*numbers(state.model), *[p.grad for p in state.model.parameters()], *np.ravel(state.optimizer.state)]
            state.history.rows[-1]["sum"] = sum(self.seen)
            if state.epoch == 3:
                state.optimizer.lr /= 2
            if state.epoch == 4:
                state.model.parameters()[0].data = 0.25
            if state.epoch == 5:
                state.optimizer.momentum = 0.5
    same(optimizer=partial(SGD, lr=0.1, momentum=0.9), callbacks=[Change()])
    assert sum(calls) > 20


def test_an_error_in_a_callback_leaves_the_epoch_before_it() -> None:
    class Fails(Callback):
        def on_epoch_end(self, state: Any) -> None:
            if state.epoch == 4:
                raise RuntimeError("enough")
    rows, *rest = same(callbacks=[Fails()])
    assert rows == "enough" and rest == [*trained(0, epochs=4)[1:]]


def test_early_stopping_and_metrics_are_as_by_the_steps() -> None:
    for more in ({"validation": 0.3}, {"metrics": ["accuracy"]}, {}):
        stopped = same(make=partial(LogisticRegression, 3), y=BITS, epochs=30, callbacks=[EarlyStopping(2, 0.01)], **more)
        assert len(stopped[0]) < 30


def test_early_stopping_restores_the_best_of_parameters_in_another_order(calls: list[int]) -> None:
    stopping = EarlyStopping(3)
    same(optimizer=lambda params: SGD(params[::-1], lr=2.0), epochs=9, callbacks=[stopping])
    best, epoch = stopping.best_parameters, stopping.best_epoch
    assert sum(calls) > 20 and 0 < epoch < 9
    assert trained(10 ** 9, optimizer=lambda params: SGD(params[::-1], lr=2.0), epochs=epoch)[1] == best


@pytest.mark.parametrize("stop", [1, 3, 6])
def test_a_resumed_training_is_the_uninterrupted_one_bit_for_bit(stop: int, tmp_path: Path) -> None:
    options: dict[str, Any] = {"l2": 0.1, "schedule": SCHEDULES[3], "make": partial(LinearRegression, 3)}
    whole = trained(0, epochs=9, **options)
    trained(0, epochs=stop, callbacks=[Checkpoint(tmp_path / "run")], **options)
    for soon in (0, 4, 10 ** 9):
        assert trained(soon, epochs=9, resume=tmp_path / "run", **options) == whole


@settings(max_examples=10, deadline=None)
@given(where=st.integers(1, 25), size=st.sampled_from([None, 5]), every=st.integers(1, 3))
def test_a_training_that_is_interrupted_anywhere_is_resumed_exactly(tmp_path_factory: Any, where: int, size: int | None,
                                                                    every: int) -> None:
    path = tmp_path_factory.mktemp("interrupted") / "run"
    options: dict[str, Any] = {"l2": 0.1, "schedule": SCHEDULES[3], "make": partial(LinearRegression, 3), "batch_size": size,
                               "epochs": 8}
    left, set_ = [where], Descent._set

    def interrupted(self: Descent, **words: int) -> None:
        set_(self, **words)
        left[0] -= "steps" in words
        if left[0] == 0:
            raise KeyboardInterrupt
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(machine, "_LONGEST", 1)   # a step in a call
        patch.setattr(Descent, "_set", interrupted)
        trained(0, callbacks=[Checkpoint(path, every)], **options)
    resumed = {"resume": path, "callbacks": [Checkpoint(path)]} if path.exists() else {}
    found, whole = trained(0, **options, **resumed), trained(10 ** 9, **options)
    assert found[:2] + found[3:] == whole[:2] + whole[3:]   # the gradients are not kept, if no step was left


KILLED = """
import sys, numpy as np, nn
class Say(nn.Callback):
    def on_epoch_end(self, state):
        if state.epoch == 1:
            print("begun", flush=True)
rng = np.random.default_rng(0)
X = rng.normal(size=(300, 3))
nn.fit(nn.LinearRegression(3), X, X @ [1.0, -2.0, 0.5], epochs=10 ** 6, batch_size=7, rng=1, lr=1e-4, compiled="llvm",
       callbacks=[nn.Checkpoint(sys.argv[1]), Say()])
"""


def test_a_training_that_is_killed_leaves_a_checkpoint_that_goes_on_exactly(tmp_path: Path) -> None:
    """At any time: its last checkpoint is whole, and resuming it is what an uninterrupted training would have been."""
    rows = np.random.default_rng(0).normal(size=(300, 3))

    def run(epochs: int, **more: Any) -> Any:
        model = LinearRegression(3)
        history = fit(model, rows, rows @ [1.0, -2.0, 0.5], epochs=epochs, batch_size=7, rng=1, lr=1e-4, compiled="llvm",
                      **more)
        return history.rows, numbers(model)
    for k, wait in enumerate(np.random.default_rng().uniform(0, 0.1, 2)):
        path = tmp_path / f"run{k}"
        process = subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE,
                                   cwd=Path(__file__).parents[1])
        assert process.stdout and process.stdout.readline().strip() == b"begun"
        time.sleep(wait)
        process.kill()
        process.communicate()
        epochs = read_archive(path)[0]["training"]["epoch"]
        assert epochs >= 1
        assert run(epochs + 3, resume=path, callbacks=[Checkpoint(path)]) == run(epochs + 3, callbacks=[Callback()])


def test_a_value_that_the_loss_reads_is_read_at_every_call() -> None:
    def run(soon: int) -> Any:
        weight = Value(1.0)

        class Change(Callback):
            def on_epoch_end(self, state: Any) -> None:
                weight.data /= 2
        return trained(soon, loss=lambda output, y: weight * (output - y) ** 2, callbacks=[Change()])
    assert run(0) == run(10 ** 9)


# ---- again, and several at once

def test_fitting_again_goes_on_from_the_parameters_as_they_are() -> None:
    """As they were left, or set by hand; with the optimiser's own state, if it is the same."""
    def run(first: int) -> Any:
        found, model = [], mlp()
        optimizer = SGD(model.parameters(), lr=0.05, momentum=0.9)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(looped, "SOON", 0)
            patch.setattr(LoopedDescent, "first", first)
            for k in range(4):
                rows = fit(model, X, REALS, optimizer=optimizer, epochs=6, batch_size=5, rng=k, compiled="llvm").rows
                found.append((rows, numbers(model), optimizer.t, optimizer.state))
                if k == 1:
                    model.layers[0].W = np.full((3, 3), 0.25)
                if k == 2:
                    optimizer.momentum = 0.5
        return found
    assert run(0) == run(2) == run(10 ** 9)


def test_models_that_are_fitted_in_threads_at_once_are_as_one_after_another() -> None:
    """They share what is compiled, and no number."""
    def run(seed: int) -> Any:
        model = MLP(3, [3, 1], "tanh", rng=seed)
        rows = fit(model, X, REALS, epochs=150, batch_size=5, rng=seed, compiled="llvm").rows
        return rows, numbers(model)
    forget()
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(run, [0, 1, 2, 3] * 2))
    assert found == [run(seed) for seed in [0, 1, 2, 3] * 2]


class Doubled(MLP):
    """A subclass with another formula."""

    def forward(self, x: Any) -> Any:
        return 2.0 * super().forward(x)


def test_what_is_compiled_is_shared_by_graphs_that_are_the_same_line_by_line() -> None:
    weight, of_itself = Value(1.0, label="weight"), mlp()
    named = mlp()
    named.layers[0].neurons[0].w[0].label = "first"   # which errors would say

    def scaled(by: float) -> Any:
        return lambda output, y: by * (output - y) ** 2

    def by_hand(output: Any, y: Any) -> Any:   # as mse is written
        apart = output - y
        return apart * apart
    shared: list[tuple[Any, Any]] = [
        (Doubled(3, [3, 1], "tanh", rng=0), "mse"), (MLP(3, [3, 1], "relu", rng=0), "mse"),
        (MLP(3, [4, 1], "tanh", rng=0), "mse"), (mlp(), "squared_error"), (mlp(), scaled(2.0)), (mlp(), scaled(3.0)),
        (named, "mse"), (mlp(), by_hand)]
    own: list[tuple[Any, Any]] = [
        (mlp(), lambda output, y: weight * (output - y) ** 2),
        (of_itself, lambda output, y: (output - y) ** 2 + of_itself.layers[0].W[0][0] ** 2)]

    def trains(of: Any, loss: Any, **options: Any) -> list[float]:
        return [row["loss"] for row in fit(deepcopy(of) if of is not of_itself else of, X, REALS, loss=loss, epochs=2, lr=1e-3,
                                           **options)]
    with patch("nn.training.compilation.Compiled", wraps=Compiled) as made:
        forget()
        for seed in range(3):
            fit(MLP(3, [3, 1], "tanh", rng=seed), X, REALS, epochs=2, compiled="numpy")
        assert made.call_count == 1
        for again in range(2):
            for of, loss in (*shared, *own):
                eager = trains(deepcopy(of), loss, compiled=False) if of is not of_itself else None
                found = trains(of, loss, compiled="numpy")
                assert eager is None or found == pytest.approx(eager, rel=1e-12)
            assert made.call_count == len(shared) + (1 + again) * len(own)


def test_a_short_training_takes_a_loop_that_is_at_hand_and_compiles_none(calls: list[int], tmp_path: Path,
                                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XIGRAD_CACHE", str(tmp_path / "cache"))
    forget()

    def run(epochs: int) -> list[int]:
        calls.clear()
        fit(mlp(), X, REALS, epochs=epochs, compiled="llvm")
        return [*calls]
    assert run(50) == [] and sum(run(100)) == 100   # whose loop is then kept
    for _ in range(2):
        assert sum(run(10)) == 10 and run(9) == []
        forget()                                    # in the folder, too


# ---- optimisers of the user

@pytest.mark.parametrize("kind", [Lion, Branches, OfAll, Counts, Aware, Own, Moved], ids=lambda kind: kind.__name__)
def test_an_optimizer_of_the_user(kind: Any, calls: list[int]) -> None:
    same(optimizer=partial(kind, lr=0.01))
    assert (sum(calls) > 20) is (kind is Lion)


def test_a_part_of_the_parameters_or_another_order(calls: list[int]) -> None:
    """Those that stay have their gradient and their part of the penalty."""
    for l2 in (0.0, 0.1):
        for some in (slice(5, 1, -1), slice(1), slice(3, None), slice(None, None, -1)):
            same(optimizer=lambda params, some=some: SGD(params[some], lr=0.1, momentum=0.9), l2=l2)
    assert sum(calls) > 200


def test_long_rows_are_gathered(calls: list[int]) -> None:
    for width in (15, 16, 40):
        rows = np.random.default_rng(0).normal(size=(30, width))
        same(make=partial(LinearRegression, width), x=rows, y=rows @ np.linspace(-1, 1, width), batch_size=7)
    assert sum(calls) > 100
