"""fit: the cost as it is written, batches, seeds, executors, what stops it, what it tells, and going on from a checkpoint."""

from __future__ import annotations

import io
import math
import signal
import sys
import textwrap
import time
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import running
from hypothesis import given
from hypothesis import strategies as st

from autograd import Value, log, sqrt
from nn import (
    MLP,
    SGD,
    Adam,
    Checkpoint,
    CosineAnnealingLR,
    EarlyStopping,
    LinearRegression,
    Module,
    Neuron,
    ReduceLROnPlateau,
    StepLR,
    fit,
    load,
    minimize,
)
from nn.data.examples import Examples
from nn.losses import binary_cross_entropy_with_logits, cross_entropy, mse
from nn.training.callbacks import Callback
from nn.training.gradients import Cost, eager_gradients, executor_gradients
from nn.training.scores import accuracy, confusion_matrix, predict
from nn.training.state import History, TrainingState

ROOT = Path(__file__).parents[1]
RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 2)).round(2).tolist()
Y = [int(a * b > 0) for a, b in X]
Z = [a + 2 * b for a, b in X]


def mlp(seed: int = 0, outputs: int = 1) -> MLP:
    return MLP(2, [3, outputs], activation="tanh", rng=seed)


def numbers(model: Module) -> list[float]:
    return [p.data for p in model.parameters()]


class Quiet(Callback):
    """Counts what it is told."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def on_fit_start(self, state: TrainingState) -> None:
        self.events.append("start")

    def on_batch_end(self, state: TrainingState) -> None:
        self.events.append("batch")

    def on_epoch_end(self, state: TrainingState) -> None:
        self.events.append(f"epoch {state.epoch}")

    def on_fit_end(self, state: TrainingState) -> None:
        self.events.append("end")


class StopAt(Callback):
    """Raises `error` at the end of a batch."""

    def __init__(self, batch: int, error: type[BaseException]) -> None:
        self.left, self.error, self.seen = batch, error, list[float]()

    def on_batch_end(self, state: TrainingState) -> None:
        self.left -= 1
        if not self.left:
            self.seen = numbers(state.model)
            raise self.error


# ---- the cost

@given(st.integers(0, 1000), st.floats(0, 3), st.integers(1, 20))
def test_the_gradient_is_that_of_the_cost_as_it_is_written(seed: int, l2: float, n: int) -> None:
    model, batch = mlp(seed), list(range(n))

    def J() -> float:
        weights = [w.data for w in model.weights()]
        return (sum(mse(model(X[i]), Z[i]).data for i in batch) / n) + l2 / (2 * n) * sum(w * w for w in weights)
    assert Cost(model, mse, l2, eager_gradients)(Examples.of(X, Z), batch) / n == pytest.approx(J(), rel=1e-13)
    for p in model.parameters():
        x, h = p.data, 1e-5
        p.data = x + h
        up = J()
        p.data = x - h
        down = J()
        p.data = x
        assert p.grad == pytest.approx((up - down) / (2 * h), rel=1e-6, abs=1e-7)   # differences have about 9 digits


def test_the_penalty_covers_the_weights_and_no_biases() -> None:
    model = Neuron(2, rng=0)
    for p in model.parameters():
        p.data = 3.0
    history = fit(model, [[0.0, 0.0]] * 4, [3.0] * 4, loss="mse", optimizer="sgd", lr=1.0, l2=0.5, epochs=1)
    assert dict(model.named_parameters())["b"].data == 3.0
    assert [w.data for w in model.weights()] == [3 - 0.5 / 4 * 3] * 2
    assert history["loss"] == [0.5 / (2 * 4) * 18]


def test_a_full_batch_is_descent_by_hand() -> None:
    model, other = mlp(), mlp()
    history = fit(model, X, Z, loss="mse", optimizer="sgd", lr=0.1, epochs=5, compiled=False)
    losses = []
    for _ in range(5):
        total, sums = eager_gradients(other, mse, X, Z)
        losses.append(total / len(X))
        for p, g in zip(other.parameters(), sums, strict=True):
            p.data -= 0.1 * (g / len(X))
    assert numbers(model) == numbers(other) and history["loss"] == losses


def test_linear_regression_reaches_the_closed_form() -> None:
    line = LinearRegression(1)
    xs, ys = [1.0, 2.0, 3.0, 5.0], [1.0, 2.5, 2.0, 4.0]
    fit(line, [[x] for x in xs], ys, optimizer="sgd", lr=0.05, epochs=3000)
    mx, my = sum(xs) / 4, sum(ys) / 4
    slope = sum((x - mx) * (y - my) for x, y in zip(xs, ys, strict=True)) / sum((x - mx) ** 2 for x in xs)
    assert predict(line, [[0.0], [1.0]]) == pytest.approx([my - slope * mx, my - slope * mx + slope], rel=1e-12)


# ---- batches and chance

@pytest.mark.parametrize(("size", "steps"), [(None, 1), (20, 1), (30, 1), (7, 3), (1, 20)])
def test_an_epoch_has_a_step_for_every_batch(size: int | None, steps: int) -> None:
    quiet = Quiet()
    fit(mlp(), X, Z, epochs=2, batch_size=size, rng=0, callbacks=[quiet])
    assert quiet.events == ["start", *["batch"] * steps, "epoch 1", *["batch"] * steps, "epoch 2", "end"]


@pytest.mark.parametrize("size", [1, 6, 20])
def test_the_same_seed_is_the_same_run(size: int) -> None:
    def run(rng: Any) -> tuple[list[float], list[dict[str, Any]]]:
        model = mlp()
        history = fit(model, X, Z, epochs=3, batch_size=size, rng=rng, validation=0.25)
        return numbers(model), history.rows
    assert run(5) == run(5) == run(np.random.default_rng(5))
    assert run(5) != run(6)


def test_every_example_is_seen_once_in_an_epoch_and_in_order_without_shuffling() -> None:
    seen: list[Any] = []

    def spy(model: Module, loss: Any, xs: Any, ys: Any) -> Any:
        seen.append(list(zip(xs, ys, strict=True)))
        return eager_gradients(model, loss, xs, ys)
    rows = [(list(map(float, x)), z) for x, z in zip(X, Z, strict=True)]
    fit(mlp(), X, Z, epochs=1, batch_size=8, shuffle=False, gradients=spy)
    assert seen == [rows[:8], rows[8:16], rows[16:]]
    seen.clear()
    fit(mlp(), X, Z, epochs=2, batch_size=8, rng=1, gradients=spy)
    first, second = [e for batch in seen[:3] for e in batch], [e for batch in seen[3:] for e in batch]
    assert first != second and sorted(first) == sorted(second) == sorted(rows)


def test_no_randomness_is_used_or_asked_for_without_need() -> None:
    rng = np.random.default_rng(3)
    before = rng.bit_generator.state
    fit(mlp(), X, Z, epochs=2, rng=rng)
    fit(mlp(), X, Z, epochs=2, batch_size=3, shuffle=False, rng=rng)
    assert rng.bit_generator.state == before


# ---- the seam

def run_with(gradients: Any) -> tuple[list[float], list[float]]:
    model = mlp(outputs=2)
    history = fit(model, X, Y, loss="cross_entropy", epochs=3, batch_size=13, rng=2, gradients=gradients)
    return numbers(model), history["loss"]


def test_the_sums_do_not_depend_on_the_number_of_workers() -> None:
    runs = []
    for workers in (1, 2, 3):
        with ThreadPoolExecutor(workers) as pool:
            runs.append(run_with(executor_gradients(pool, shards=4)))
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        runs.append(run_with(executor_gradients(pool, shards=4)))
    assert runs[0] == runs[1] == runs[2] == runs[3]
    eager = run_with(None)
    assert runs[0][0] == pytest.approx(eager[0], rel=1e-12) and runs[0][1] == pytest.approx(eager[1], rel=1e-12)


def test_one_shard_is_the_eager_sum() -> None:
    with ThreadPoolExecutor(2) as pool:
        assert run_with(executor_gradients(pool, shards=1)) == run_with(eager_gradients)
        with pytest.raises(ValueError, match="shards"):
            executor_gradients(pool, shards=0)


def test_a_worker_works_on_a_copy() -> None:
    model = mlp()
    before = numbers(model)
    with ThreadPoolExecutor(2) as pool:
        total, sums = executor_gradients(pool)(model, mse, X, Z)
    assert {p.grad for p in model.parameters()} == {0.0} and numbers(model) == before
    expected = eager_gradients(model, mse, X, Z)
    assert total == pytest.approx(expected[0]) and sums == pytest.approx(expected[1])


def test_an_error_in_a_worker_is_told_as_in_the_eager_run() -> None:
    class Broken(Executor):
        def submit(self, f: Any, /, *args: Any, **kwargs: Any) -> Any:
            raise RuntimeError("no worker")
    with pytest.raises(RuntimeError, match="no worker"):
        run_with(executor_gradients(Broken()))
    with ThreadPoolExecutor(2) as pool, pytest.raises(FloatingPointError, match=r"example X\[1\]: log\(-1\)"):
        fit(Neuron(1, bias=False), [[1.0]] * 3, [1.0, -1.0, 1.0], loss=lambda o, t: o * log(Value(t)), epochs=1,
            gradients=executor_gradients(pool))


# ---- losses and targets

@pytest.mark.parametrize(("model", "y", "name"), [
    (mlp(), Y, "binary_cross_entropy_with_logits"), (mlp(), [float(t) for t in Y], "binary_cross_entropy_with_logits"),
    (mlp(), [[t] for t in Y], "binary_cross_entropy_with_logits"),
    (mlp(), [t > 0 for t in Y], "binary_cross_entropy_with_logits"),
    (mlp(), Z, "mse"), (mlp(), [2 * t - 1 for t in Y], "mse"), (mlp(outputs=2), Y, "cross_entropy"),
    (mlp(outputs=2), np.array(Y, dtype=float), "cross_entropy"), (mlp(outputs=2), [[t, 1 - t] for t in Y], "cross_entropy"),
    (mlp(outputs=2), X, "mse"),
])
def test_the_loss_suits_the_targets(model: Module, y: Any, name: str) -> None:
    assert fit(model, X, y, epochs=1).loss_name == name


def test_a_loss_has_a_name() -> None:
    def my_loss(output: Any, target: Any) -> Any:
        return (output - target) ** 4
    assert fit(mlp(), X, Z, loss=my_loss, epochs=1).loss_name == "my_loss"
    assert fit(mlp(), X, [2 * t - 1 for t in Y], loss="hinge", epochs=1).loss_name == "hinge"
    with pytest.raises(ValueError, match="there are auto, squared_error"):
        fit(mlp(), X, Z, loss="mae")
    with pytest.raises(TypeError, match="must give one Value"):
        fit(mlp(), X, Z, loss=lambda o, t: o.data, compiled=False)


@pytest.mark.parametrize(("X_", "y", "match"), [
    ([], [], "X is empty"), ([[1.0, 2.0], [1.0]], [0, 1], r"X\[1\] has shape \(1,\)"),
    (X, Y[:-1], "y has 19 targets and X has 20"),
    ([[1.0, 2.0], [1.0, math.nan]], [0, 1], r"X\[1\]\[1\] is nan"), ([[1.0, math.inf]], [0], r"X\[0\]\[1\] is inf"),
    (np.array([[1.0, np.nan]]), [0], r"X\[0\]\[1\] is nan"), ([[1.0, 2.0]], [math.nan], r"y\[0\] is nan"),
    ([[1.0, 2.0], 3.0], [0, 1], r"X\[1\] has shape \(\)"), ([[1.0, 2.0], [[1.0], [1.0]]], [0, 1], r"X\[1\] has shape \(2, 1\)"),
    ([[1.0, [2.0]]], [0], r"X\[0\] has parts of different shapes"), (X[:2], [[1, 0], [1]], r"y\[1\] has shape \(1,\)"),
    ([[1.0, 2.0, 3.0]], [0], "3"),
])
def test_data_that_do_not_fit_are_told_by_their_place(X_: Any, y: Any, match: str) -> None:
    model = mlp()
    before = numbers(model)
    with pytest.raises(ValueError, match=match):
        fit(model, X_, y, epochs=1)
    assert numbers(model) == before


@pytest.mark.parametrize(("X_", "y", "match"), [
    ([["a", 1.0]], [0], r"X\[0\]\[0\] got the text 'a'"), ([[None, 1.0]], [0], r"X\[0\]\[0\]"), ("abc", [0], "X is 'abc'"),
    (3, [0], "X is 3"), ([[1.0, 2.0]], None, "y is None"), ([[1.0, 2.0]], ["yes"], r"y\[0\] got the text 'yes'"),
])
def test_what_is_no_number_is_a_type_error(X_: Any, y: Any, match: str) -> None:
    with pytest.raises(TypeError, match=match):
        fit(mlp(), X_, y, epochs=1)


def test_a_class_beyond_the_outputs_is_named() -> None:
    with pytest.raises(ValueError, match=r"y\[3\] is the class 2, but the model has the outputs 0 to 1"):
        fit(mlp(outputs=2), X[:4], [0, 1, 0, 2])


@pytest.mark.parametrize(("options", "match"), [
    ({"epochs": -1}, "epochs"), ({"epochs": 1.5}, "epochs"), ({"batch_size": 0}, "batch_size"), ({"l2": -1.0}, "l2"),
    ({"l2": math.nan}, "l2"), ({"optimizer": "sdg"}, "there are sgd, adam"), ({"lr": -1.0}, "lr"), ({"metrics": ["f1"]}, "f1"),
    ({"validation": 0.0}, "validation"), ({"validation": 1.0}, "validation"), ({"validation": 0.01}, "holds out 0"),
    ({"validation": (X, Y[:3])}, "yv has 3 targets"), ({"validation": ([], [])}, "Xv is empty"),
])
def test_a_bad_argument_is_named(options: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        fit(mlp(), X, Y, **{"epochs": 1} | options)


def test_optimizer_and_schedule_belong_together() -> None:
    model = mlp()
    sgd = SGD(model.parameters(), lr=0.1)
    with pytest.raises(ValueError, match="give one of them"):
        fit(model, X, Z, optimizer=sgd, lr=0.5)
    with pytest.raises(ValueError, match="not the model's"):
        fit(model, X, Z, optimizer=SGD(mlp().parameters()))
    with pytest.raises(ValueError, match="belongs to another optimizer"):
        fit(model, X, Z, schedule=StepLR(sgd, 1))
    with pytest.raises(TypeError, match="must be an Optimizer"):
        fit(model, X, Z, optimizer=lambda params: params)  # type: ignore[arg-type,return-value]
    with pytest.raises(TypeError, match="must be a Schedule"):
        fit(model, X, Z, schedule=lambda optimizer: optimizer)  # type: ignore[arg-type,return-value]
    first = model.layers[0].parameters()
    rest = [p.data for p in model.layers[1].parameters()]
    fit(model, X, Z, optimizer=SGD(first, lr=0.1), epochs=1)   # a part of the model may be trained
    assert [p.data for p in model.layers[1].parameters()] == rest


# ---- what is told

def test_the_history_has_a_row_per_epoch() -> None:
    history = fit(mlp(), X, Y, epochs=3, optimizer=lambda p: SGD(p, lr=0.5), schedule=lambda o: StepLR(o, 1, 0.1), rng=0,
                  metrics=["accuracy"], validation=0.25, batch_size=4)
    assert list(history.rows[0]) == ["epoch", "loss", "lr", "accuracy", "val_loss", "val_accuracy"]
    assert history["epoch"] == [1, 2, 3] and history["lr"] == pytest.approx([0.5, 0.05, 0.005]) and len(history) == 3
    assert all(0 <= row["val_accuracy"] <= 1 for row in history) and "epoch=3" in repr(history) and len(repr(history)) < 200
    with pytest.raises(KeyError, match="it has epoch, loss"):
        history["los"]
    assert repr(History()) == "History(; no epoch)"


def test_the_history_becomes_a_data_frame() -> None:
    pytest.importorskip("pandas")
    frame = fit(mlp(), X, Y, epochs=3).to_pandas()
    assert list(frame.index) == [1, 2, 3] and list(frame.columns) == ["loss", "lr"]
    assert len(History().to_pandas()) == 0


def test_validation_and_metrics_are_of_the_model_after_the_epoch() -> None:
    model = mlp()
    history = fit(model, X, Y, validation=(X[:5], Y[:5]), epochs=2, metrics={"first": lambda outputs, y: outputs[0] + y[0]})
    outputs = predict(model, X[:5])
    expected = sum(binary_cross_entropy_with_logits(Value(o), t).data for o, t in zip(outputs, Y, strict=False)) / 5
    assert history["val_loss"][-1] == pytest.approx(expected, rel=1e-12)
    assert history["val_first"][-1] == outputs[0] + Y[0]


def test_a_plateau_watches_the_validation_loss() -> None:
    model, seen = mlp(), []

    class Spy(ReduceLROnPlateau):
        def step(self, metric: float | None = None) -> None:
            seen.append(metric)
            super().step(metric)
    history = fit(model, X, Y, epochs=3, schedule=Spy, validation=(X[:5], Y[:5]))
    assert seen == history["val_loss"]
    seen.clear()
    assert fit(model, X, Y, epochs=3, schedule=Spy)["loss"] == seen


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_it_is_silent_unless_asked(capsys: pytest.CaptureFixture[str]) -> None:
    fit(mlp(), X, Y, epochs=2)
    assert capsys.readouterr() == ("", "")
    fit(mlp(), X, Y, epochs=2, verbose=True)
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("epoch 1/2: loss 0.") and err.count("\n") == 2
    terminal = Terminal()
    fit(mlp(), X, Y, epochs=2, verbose=False, out=terminal)
    assert terminal.getvalue() == ""


def test_a_bar_is_drawn_on_a_terminal() -> None:
    pytest.importorskip("tqdm")
    terminal = Terminal()
    fit(mlp(), X, Y, epochs=2, out=terminal)
    assert "2/2" in terminal.getvalue() and "loss 0." in terminal.getvalue()


def test_without_tqdm_a_terminal_gets_lines_only_if_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tqdm", None)
    quiet, told = Terminal(), Terminal()
    fit(mlp(), X, Y, epochs=2, out=quiet)
    fit(mlp(), X, Y, epochs=2, out=told, verbose=True)
    assert quiet.getvalue() == "" and told.getvalue().startswith("epoch 1/2: loss")


# ---- what stops it

@pytest.mark.parametrize("batch", [1, 4, 7])
def test_ctrl_c_keeps_the_last_batch_and_the_finished_epochs(batch: int) -> None:
    model, stop = mlp(), StopAt(batch, KeyboardInterrupt)
    history = fit(model, X, Z, epochs=9, batch_size=5, rng=0, callbacks=[stop, EarlyStopping(3)])
    assert history.interrupted and len(history) == (batch - 1) // 4 and "interrupted" in repr(history)
    assert numbers(model) == stop.seen != numbers(mlp())


def test_ctrl_c_inside_a_batch_leaves_the_step_before() -> None:
    model, calls = mlp(), []

    def interrupted(*args: Any) -> Any:
        calls.append(numbers(model))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return eager_gradients(*args)
    history = fit(model, X, Z, epochs=9, gradients=interrupted)
    assert history.interrupted and len(history) == 2 and numbers(model) == calls[-1]


def test_another_error_is_not_swallowed() -> None:
    with pytest.raises(ZeroDivisionError):
        fit(mlp(), X, Z, callbacks=[StopAt(1, ZeroDivisionError)])


class Logarithm(Module):
    """log(w·x), which is none for a negative w·x."""

    def __init__(self) -> None:
        self.w = Value(1.0, label="w")

    def forward(self, x: Any) -> Value:
        p: Value = self.w * x[0]
        p.label = "p"
        return log(p)


def test_a_loss_that_is_no_number_is_told_with_epoch_batch_example_and_node() -> None:
    model = Logarithm()
    with pytest.raises(FloatingPointError, match=r"^epoch 1, batch 2: example X\[2\]: log\(-1.*\) of node 'p'"):
        fit(model, [[1.0], [1.0], [-1.0], [1.0]], [0.5] * 4, loss="mse", optimizer="sgd", lr=0.0, batch_size=2, shuffle=False)
    assert model.w.data == 1.0
    with pytest.raises(FloatingPointError, match=r"epoch 2, batch 1: example X\[0\]: log"):
        fit(model, [[1.0]], [-5.0], optimizer="sgd", lr=1.0)
    assert model.w.data == -9.0   # after the last finite step


def test_an_overflow_is_told_with_its_node() -> None:
    model = Neuron(1, bias=False)
    model.load_state_dict(dict.fromkeys(model.state_dict(), 1e+200))
    with pytest.raises(FloatingPointError, match=r"epoch 1, batch 1: example X\[1\]: .*(inf|overflow|pow|mul)"):
        fit(model, [[0.0], [1.0]], [0.0, 3.0], loss="mse")
    assert numbers(model) == [1e200]


def test_a_step_that_diverges_is_told_and_not_made() -> None:
    model = LinearRegression(1)
    with pytest.raises(FloatingPointError, match=r"epoch \d+, batch 1"):
        fit(model, [[1.0], [2.0]], [1.0, 3.0], optimizer="sgd", lr=1e6, epochs=1000)
    assert all(map(math.isfinite, numbers(model)))


def test_a_sum_that_overflows_is_told() -> None:
    model = Neuron(1, bias=False)
    model.load_state_dict(dict.fromkeys(model.state_dict(), 1e+154))
    with pytest.raises(FloatingPointError, match="epoch 1, batch 1: the sum of the losses is inf"):
        fit(model, [[1.0]] * 3, [0.0, 0.0, 0.5], loss="mse")


def test_a_gradient_that_is_no_number_is_told_by_its_parameter() -> None:
    class Root(Module):
        def __init__(self) -> None:
            self.w = Value(0.0)

        def forward(self, x: Any) -> Value:
            return sqrt(self.w) * float(x[0])
    with pytest.raises(FloatingPointError, match=r"epoch 1, batch 1: example X\[0\]: the gradient of w is -?inf"):
        fit(Root(), [[1.0]], [3.0], loss="mse", compiled=False)


def test_examples_are_counted_as_they_were_given() -> None:
    """Also where some of the rows are held out."""
    X_ = [[1.0]] * 30 + [[-1.0]]
    for seed in range(3):
        with pytest.raises(FloatingPointError, match=r"epoch 1, batch \d: example X\[30\]: log|validation example \d* is nan"):
            fit(Logarithm(), X_, [0.5] * 31, loss="mse", lr=0.0, batch_size=7, validation=0.1, rng=seed)


def test_a_validation_loss_that_is_no_number_stops_too() -> None:
    with pytest.raises(FloatingPointError, match="epoch 1: the loss of validation example 1 is nan"):
        fit(Logarithm(), [[1.0]], [0.5], validation=([[1.0], [-1.0]], [0.0, 0.0]))


def test_a_wrong_target_for_the_users_loss_keeps_its_own_error() -> None:
    def picky(output: Value, target: float) -> Value:
        if target == 2:
            raise ValueError("two is no target")
        return output * target
    with pytest.raises(ValueError, match="two is no target") as told:
        fit(mlp(), X[:3], [1.0, 2.0, 3.5], loss=picky, compiled=False)
    assert told.value.__notes__ == ["with the example X[1], y[1] = 2.0"]


def test_early_stopping_restores_the_best() -> None:
    losses = iter([5.0, 4.0, 3.0, 3.5, 2.95, 3.2, 9.0])
    model, kept = mlp(), []

    def spy(outputs: Any, y: Any) -> float:
        kept.append(numbers(model))
        return next(losses)
    stopping = EarlyStopping(patience=2, min_delta=0.1, monitor="m")
    history = fit(model, X, Y, metrics={"m": spy}, callbacks=[stopping])
    assert len(history) == 5 and (stopping.best, stopping.best_epoch) == (3.0, 3) and numbers(model) == kept[2]
    losses = iter([math.nan, 0.1, 0.5, math.nan, 0.4, 0.5])
    kept.clear()
    stopping = EarlyStopping(patience=3, monitor="m", mode="max", restore_best=False)
    history = fit(model, X, Y, metrics={"m": spy}, callbacks=[stopping])
    assert len(history) == 6 and stopping.best_epoch == 3 and numbers(model) == kept[-1]


def test_early_stopping_starts_anew_and_restores_without_stopping() -> None:
    stopping, model = EarlyStopping(patience=50), LinearRegression(1)
    for _ in range(2):
        history = fit(model, [[1.0], [2.0]], [1.0, 3.0], optimizer="sgd", lr=0.5, epochs=4, callbacks=[stopping])
        assert stopping.best == min(history["loss"]) and numbers(model) == stopping.best_parameters
    with pytest.raises(ValueError, match="patience"):
        EarlyStopping(0)
    with pytest.raises(ValueError, match="min_delta"):
        EarlyStopping(min_delta=-1)
    with pytest.raises(ValueError, match="mode"):
        EarlyStopping(mode="best")
    with pytest.raises(ValueError, match="the history has epoch, loss"):
        fit(mlp(), X, Z, callbacks=[EarlyStopping(monitor="accuracy")])


def test_a_callback_may_stop_the_training_and_have_only_some_methods() -> None:
    class Three:
        def on_epoch_end(self, state: TrainingState) -> None:
            state.stop = state.epoch == 3
    assert len(fit(mlp(), X, Z, callbacks=[Three()])) == 3
    assert len(fit(mlp(), X, Z, epochs=0)) == 0


# ---- checkpoints

def arguments(model: Module, path: Path | None, epochs: int = 8, rng: Any = 4) -> dict[str, Any]:
    return {"optimizer": Adam(model.parameters(), lr=0.05), "schedule": lambda o: CosineAnnealingLR(o, 6), "epochs": epochs,
            "batch_size": 6, "l2": 0.01, "rng": rng, "validation": 0.2, "metrics": ["accuracy"],
            "callbacks": [*([Checkpoint(path, extra={"a": 1})] if path else []), EarlyStopping(5)]}


@pytest.mark.parametrize("stop", [1, 7, 12])
def test_a_resumed_training_is_the_uninterrupted_one_bit_for_bit(tmp_path: Path, stop: int) -> None:
    straight, model, again = mlp(), mlp(), mlp(seed=9)
    expected = fit(straight, X, Y, **arguments(straight, None))
    options = arguments(model, tmp_path / "run")
    options["callbacks"].append(StopAt(stop, ZeroDivisionError))
    with pytest.raises(ZeroDivisionError):
        fit(model, X, Y, **options)
    if stop <= 3:
        assert not (tmp_path / "run").exists()
        return
    history = fit(again, X, Y, **arguments(again, tmp_path / "run", rng=4), resume=tmp_path / "run")
    assert history.rows == expected.rows and numbers(again) == numbers(straight)
    assert numbers(load(tmp_path / "run")) != numbers(mlp())


def test_a_training_without_a_seed_resumes_with_the_rows_it_held_out(tmp_path: Path) -> None:
    rng, model, again = np.random.default_rng(), mlp(), mlp()
    state = rng.bit_generator.state
    fit(model, X, Y, **arguments(model, tmp_path / "run", epochs=3, rng=rng))
    resumed = fit(again, X, Y, **arguments(again, None, rng=None), resume=tmp_path / "run")
    rng.bit_generator.state, straight = state, mlp()
    assert fit(straight, X, Y, **arguments(straight, None, rng=rng)).rows == resumed.rows


def test_a_metric_that_is_no_number_survives_a_checkpoint(tmp_path: Path) -> None:
    found = iter([math.nan, math.inf, -1.0])
    numbers_of = {"m": lambda outputs, y: next(found)}
    fit(mlp(), X, Y, epochs=2, metrics=numbers_of, callbacks=[Checkpoint(tmp_path / "run")])
    history = fit(mlp(), X, Y, epochs=3, metrics=numbers_of, resume=tmp_path / "run")
    assert list(map(str, history["m"])) == ["nan", "inf", "-1.0"]


def test_a_finished_training_resumes_to_its_end(tmp_path: Path) -> None:
    model, again = mlp(), mlp(3)
    history = fit(model, X, Y, **arguments(model, tmp_path / "run"))
    assert fit(again, X, Y, **arguments(again, None), resume=tmp_path / "run").rows == history.rows
    assert numbers(again) == numbers(model)


@pytest.mark.parametrize(("change", "match"), [
    ({"loss": "mse"}, "another loss"), ({"schedule": None}, "another schedule"), ({"callbacks": []}, "another callbacks"),
    ({"optimizer": "sgd"}, "'Adam': make that optimiser"), ({"validation": None, "batch_size": None}, "random generator"),
])
def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path, change: dict[str, Any], match: str) -> None:
    model, other = mlp(), mlp(5)
    fit(model, X, Y, **arguments(model, tmp_path / "run", epochs=2))
    before = numbers(other)
    with pytest.raises(ValueError, match=match):
        fit(other, X, Y, **arguments(other, None) | change, resume=tmp_path / "run")
    assert numbers(other) == before
    with pytest.raises(ValueError, match="cannot be resumed"):
        fit(MLP(2, [4, 1]), X, Y, resume=tmp_path / "run")
    with pytest.raises(FileNotFoundError):
        fit(model, X, Y, resume=tmp_path / "none")


def test_a_checkpoint_is_written_when_it_is_due(tmp_path: Path) -> None:
    written = []

    class Watch(Callback):
        def on_epoch_end(self, state: TrainingState) -> None:
            if (tmp_path / "run").exists():
                written.append(state.epoch)
                (tmp_path / "run").unlink()
    fit(mlp(), X, Z, epochs=8, callbacks=[Checkpoint(tmp_path / "run", every=3), Watch()])
    assert written == [4, 7] and (tmp_path / "run").exists()   # after 3, 6 and, the last, 8
    with pytest.raises(ValueError, match="every"):
        Checkpoint(tmp_path / "run", every=0)
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


class Unknown(LinearRegression):
    """A user's class, which `load` does not know."""


def test_a_users_module_can_be_checkpointed_and_resumed(tmp_path: Path) -> None:
    model, again = Unknown(2), Unknown(2)
    fit(model, X, Z, epochs=3, callbacks=[Checkpoint(tmp_path / "run")])
    fit(again, X, Z, epochs=3, resume=tmp_path / "run")
    assert numbers(again) == numbers(model)
    with pytest.raises(ValueError, match="a class that is not known here"):
        load(tmp_path / "run")


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_a_kill_at_any_moment_leaves_a_loadable_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "run"
    program = textwrap.dedent("""
        import sys
        from pathlib import Path
        from nn import MLP, Checkpoint, fit
        path = Path(sys.argv[1])
        fit(MLP(1, [8, 1], rng=0), [[0.0], [1.0]], [0.0, 2.0], epochs=10**6, callbacks=[Checkpoint(path)],
            resume=path if path.exists() else None)
    """)
    epochs = [0]
    for delay in (0.0, 0.013, 0.037, 0.061):
        before = path.stat().st_mtime_ns if path.exists() else 0
        with running([sys.executable, "-c", program, str(path)], cwd=ROOT) as process:   # killed at its end
            deadline = time.monotonic() + 60
            while not (path.exists() and path.stat().st_mtime_ns > before):
                assert process.poll() is None and time.monotonic() < deadline
                time.sleep(0.001)
            time.sleep(delay)
        load(path)
        model = MLP(1, [8, 1], rng=1)
        done = fit(model, [[0.0], [1.0]], [0.0, 2.0], epochs=0, resume=path)   # nothing more than what the file holds
        epochs.append(len(done))
    assert epochs == sorted(set(epochs))


# ---- predictions and scores

def test_predictions_are_plain_numbers() -> None:
    assert all(type(o) is float for o in predict(mlp(), np.array(X)))
    assert np.shape(predict(mlp(outputs=3), X)) == (20, 3)
    with pytest.raises(ValueError, match="X is empty"):
        predict(mlp(), [])


class Same(Module):
    """Gives the row itself; of one number, the number."""

    def forward(self, x: Any) -> Any:
        return x if len(x) > 1 else x[0]


@pytest.mark.parametrize(("X_", "y", "threshold", "expected"), [
    ([[-1.0], [2.0], [0.0]], [0, 1, 1], 0.0, 2 / 3), ([[-1.0], [2.0], [0.1]], [-1, 1, 1], 0.0, 1.0),
    ([[0.4], [0.6]], [0, 1], 0.5, 1.0), ([[1.0, 2.0, 0.0], [3.0, 2.0, 1.0]], [1, 2], 0.0, 0.5),
    ([[1.0, 2.0, 0.0], [3.0, 2.0, 1.0]], [[0, 1, 0], [1, 0, 0]], 0.0, 1.0),
])
def test_accuracy_counts_the_right_classes(X_: Any, y: Any, threshold: float, expected: float) -> None:
    assert accuracy(Same(), X_, y, threshold) == pytest.approx(expected)


def test_the_confusion_matrix_has_truth_in_rows() -> None:
    assert confusion_matrix([0, 1, 2, 2], [0, 2, 2, 1], 3) == [[1, 0, 0], [0, 0, 1], [0, 1, 1]]
    with pytest.raises(ValueError, match="2 truths and 1"):
        confusion_matrix([0, 1], [0], 2)
    with pytest.raises(ValueError, match="example 1 is of class 2"):
        confusion_matrix([0, 2], [0, 0], 2)


# ---- batch methods

@pytest.mark.parametrize("method", ["L-BFGS-B", "CG", "BFGS"])
def test_minimize_finds_the_minimum_of_the_cost(method: str) -> None:
    pytest.importorskip("scipy")
    line = LinearRegression(2)
    result = minimize(line, X, Z, l2=0.5, method=method, maxiter=200)
    A = np.column_stack([X, np.ones(20)])
    best = np.linalg.solve(2 * A.T @ A / 20 + np.diag([0.5, 0.5, 0]) / 20, 2 * A.T @ np.array(Z) / 20)
    found = dict(line.named_parameters())
    assert numbers(line) == list(result.x) and result.success and result.fun > 0
    assert sorted(p.data for p in found.values()) == pytest.approx(sorted(best), abs=1e-4)


def test_minimize_trains_a_network_and_leaves_it_alone_on_an_error() -> None:
    pytest.importorskip("scipy")
    model = mlp(outputs=2)
    assert minimize(model, X, Y, l2=0.1).fun < 0.3 and accuracy(model, X, Y) > 0.9
    before = numbers(model)

    def broken(output: Any, target: Any) -> Any:
        return log(Value(-1.0)) if numbers(model) != before else cross_entropy(output, target)
    with pytest.raises(FloatingPointError, match=r"log\(-1\)"):
        minimize(model, X, Y, loss=broken)
    assert numbers(model) == before


def test_without_scipy_the_way_out_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    with pytest.raises(ImportError, match=r"pip install scipy; nn\.fit needs nothing more"):
        minimize(mlp(), X, Y)
