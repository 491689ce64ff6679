"""The loop in machine code makes the steps that are made one by one: bit for bit, wherever it begins and ends."""

from __future__ import annotations

import signal
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("llvmlite")

from test_nn_compiled import BITS, MODELS, OPTIONS, REALS, X, numbers, perturbed

from autograd import Value, relu, sqrt
from autograd.compiler import descent as machine
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


@settings(max_examples=12, deadline=None)
@given(option=st.sampled_from(OPTIONS), schedule=st.sampled_from(SCHEDULES), l2=st.sampled_from([0.0, 0.3]),
       size=st.sampled_from([None, 1, 4, 13]), shuffle=st.booleans(), validation=st.sampled_from([None, 0.3]),
       soon=st.integers(0, 12), longest=st.sampled_from([1, 2000, machine._LONGEST]), epochs=st.integers(1, 9))
def test_every_training(option: tuple[str, dict[str, Any]], schedule: Any, l2: float, size: int | None, shuffle: bool,
                        validation: float | None, soon: int, longest: int, epochs: int) -> None:
    options: dict[str, Any] = {
        "optimizer": partial(OPTIMIZERS[option[0]], lr=0.01, **option[1]), "schedule": schedule, "l2": l2, "epochs": epochs,
        "batch_size": size, "shuffle": shuffle, "validation": validation, "make": partial(LinearRegression, 3)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(machine, "_LONGEST", longest)
        assert trained(soon, **options) == trained(10 ** 9, **options)


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
    try:
        with monkeypatch.context() as patch:
            patch.setattr(Descent, "go", interrupted)
            history = fit(model, X, REALS, epochs=10 ** 9, **options)
    finally:
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


def test_a_value_that_the_loss_reads_is_read_at_every_call() -> None:
    def run(soon: int) -> Any:
        weight = Value(1.0)

        class Change(Callback):
            def on_epoch_end(self, state: Any) -> None:
                weight.data /= 2
        return trained(soon, loss=lambda output, y: weight * (output - y) ** 2, callbacks=[Change()])
    assert run(0) == run(10 ** 9)


# ---- optimisers of the user

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
