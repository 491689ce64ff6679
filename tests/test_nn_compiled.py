"""fit and predict on compiled graphs: the same numbers as eagerly, for every model, loss and optimiser, on every backend;
what cannot be compiled is told once; everything that `fit` promises holds."""

from __future__ import annotations

import math
import pickle
import random
import warnings
from collections import deque
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest

from autograd import Value, log, no_grad, relu, softmax, sqrt, step, tanh, where
from autograd.compiler import Compiled, TraceError
from autograd.compiler.backends.recent import forget
from nn import (
    ACTIVATIONS,
    GAN,
    LOSSES,
    MLP,
    OPTIMIZERS,
    SGD,
    Adam,
    AvgPool2d,
    Callback,
    Checkpoint,
    Conv2d,
    CosineAnnealingLR,
    EarlyStopping,
    Flatten,
    Layer,
    LeNet,
    LinearRegression,
    LogisticRegression,
    Maxout,
    MaxPool2d,
    Module,
    Neuron,
    OneVsRest,
    Optimizer,
    Perceptron,
    Sequential,
    SoftmaxRegression,
    accuracy,
    cross_entropy,
    eager_gradients,
    fit,
    gate,
    load,
    mse,
    predict,
    save,
)
from nn.data.examples import Examples
from nn.optimizer import put
from nn.training import compilation
from nn.training.compilation import CompiledDescent, forward
from nn.training.reading import snapshot, unchanged
from nn.training.tracing import traced

RNG = np.random.default_rng(0)
X = RNG.normal(size=(13, 3)).round(3).tolist()
IMAGES = RNG.uniform(size=(7, 1, 6, 6)).round(3).tolist()
DIGITS = RNG.uniform(size=(5, 64)).round(3).tolist()
CLASSES = [i % 3 for i in range(13)]
BITS, SIGNS = [i % 2 for i in range(13)], [2 * (i % 2) - 1 for i in range(13)]
BOTH: tuple[Any, ...] = "auto", False
REALS = [a - 2 * b for a, b, _ in X]
WEIGHTS = [[0.5, 0.25, 0.25], [0.0, 1.0, 0.0], [0.125, 0.375, 0.5]] * 4 + [[1.0, 0.0, 0.0]]


class Probable(Module):
    """Probabilities of classes: the softmax of a layer."""

    def __init__(self) -> None:
        self.layer = Layer(3, 3, rng=0)

    def forward(self, x: Any) -> Any:
        return softmax(self.layer(x))


class Tied(Module):
    """The same weights in both layers, as in an autoencoder."""

    def __init__(self) -> None:
        self.w = [[Value(math.sin(3 * i + j)) for j in range(3)] for i in range(2)]
        self.b = [Value(0.0) for _ in range(3)]

    def forward(self, x: Any) -> Any:
        h = [tanh(sum([w * v for w, v in zip(row, x, strict=True)], Value(0.0))) for row in self.w]
        return [sum([self.w[i][j] * h[i] for i in range(2)], self.b[j]) for j in range(3)]


def perturbed(model: Module) -> Module:
    """Away from 0, where many slopes jump."""
    rng = np.random.default_rng(5)
    for p in model.parameters():
        p.data += rng.normal() / 10
    return model


MODELS: dict[str, tuple[Callable[[], Module], Any, Any]] = {
    "MLP": (lambda: MLP(3, [4, 3], rng=0), X, CLASSES), "deep": (lambda: MLP(3, [3, 3, 3, 1], "tanh", rng=0), X, BITS),
    "Neuron": (lambda: Neuron(3, "tanh", rng=0), X, REALS), "LinearRegression": (lambda: LinearRegression(3), X, REALS),
    "LogisticRegression": (lambda: LogisticRegression(3), X, BITS), "OneVsRest": (lambda: OneVsRest(3, 3), X, CLASSES),
    "SoftmaxRegression": (lambda: SoftmaxRegression(3, 3), X, CLASSES), "Perceptron": (lambda: Perceptron(3), X, BITS),
    "Maxout": (lambda: Sequential(Maxout(3, 3, 3, rng=0), Layer(3, 1, rng=1)), X, REALS),
    "gate": (lambda: gate("XOR"), [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]),
    "one number": (lambda: MLP(1, [3, 1], "tanh", rng=0), [x for x, *_ in X], REALS),
    "generator": (lambda: GAN(3, rng=0).generator, [x for x, *_ in X], REALS),
    "discriminator": (lambda: GAN(3, rng=0).discriminator, [x for x, *_ in X], BITS),
    "LeNet": (lambda: LeNet(3, rng=0), DIGITS, CLASSES[:5]), "tied": (Tied, X, X),
    "convolutions": (lambda: Sequential(Conv2d(1, 2, 3, padding=1, activation="relu", rng=0), MaxPool2d(2),
                                        Conv2d(2, 2, 2, stride=2, rng=1), AvgPool2d(1), Flatten(), Layer(2, 3, rng=2)),
                     IMAGES, CLASSES[:7]),
    **{g: (partial(MLP, 3, [4, 1], g, rng=0), X, REALS) for g in ACTIVATIONS if g != "maxout"},
}
LOSS_CASES: list[tuple[str, Callable[[], Module], Any]] = [
    ("squared_error", lambda: MLP(3, [2, 1], rng=0), REALS), ("squared_error", lambda: MLP(3, [3], rng=0), X),
    ("mse", lambda: MLP(3, [2, 1], rng=0), REALS), ("mse", lambda: MLP(3, [3], rng=0), X),
    ("binary_cross_entropy_with_logits", lambda: MLP(3, [2, 1], rng=0), [b / 2 for b in CLASSES]),
    ("binary_cross_entropy_with_logits", lambda: MLP(3, [3], rng=0), WEIGHTS),
    ("binary_cross_entropy", lambda: MLP(3, [2, 1], output="sigmoid", rng=0), BITS),
    ("binary_cross_entropy", lambda: MLP(3, [3], output="sigmoid", rng=0), WEIGHTS),
    ("binary_cross_entropy", lambda: MLP(3, [3], output="sigmoid", rng=0), CLASSES),
    ("binary_cross_entropy_with_logits", lambda: MLP(3, [3], rng=0), CLASSES),
    ("cross_entropy", lambda: MLP(3, [3], rng=0), CLASSES), ("cross_entropy", lambda: MLP(3, [3], rng=0), WEIGHTS),
    ("nll", Probable, CLASSES), ("nll", Probable, WEIGHTS),
    ("hinge", lambda: MLP(3, [2, 1], rng=0), SIGNS), ("hinge", lambda: MLP(3, [3], rng=0), CLASSES),
    ("hinge", lambda: MLP(3, [3], rng=0), WEIGHTS), ("perceptron_loss", lambda: Perceptron(3), SIGNS),
    ("perceptron_loss", lambda: MLP(3, [3], rng=0), [[1, -1, 1]] * 13),
]
OPTIONS: list[tuple[str, dict[str, Any]]] = [
    ("sgd", {}), ("sgd", {"momentum": 0.9}), ("sgd", {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    ("sgd", {"momentum": 0.5, "dampening": 0.5}), ("adam", {}), ("adam", {"amsgrad": True, "weight_decay": 0.1}),
    ("adamw", {}), ("adamw", {"amsgrad": True}), ("rmsprop", {}), ("rmsprop", {"centered": True, "momentum": 0.5}),
    ("adagrad", {}), ("adagrad", {"lr_decay": 0.1, "initial_accumulator_value": 0.5, "weight_decay": 0.1}),
]


def numbers(model: Module) -> list[float]:
    return [p.data for p in model.parameters()]


def both(make: Callable[[], Module], x: Any, y: Any, backend: str, **options: Any) -> None:
    """Compiled and eager losses and parameters agree to 1e-9."""
    found = []
    for compiled in (backend, False):
        model = perturbed(make())
        optimizer = options.get("optimizer", "sgd")
        history = fit(model, x, y, rng=3, compiled=compiled, **options | {"optimizer": deepcopy(optimizer)})
        found.append([x for row in history for x in row.values()] + numbers(model) + [p.grad for p in model.parameters()])
    assert found[0] == pytest.approx(found[1], rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("name", MODELS)
def test_every_model(name: str, backend: str) -> None:
    make, x, y = MODELS[name]
    large = name in ("LeNet", "convolutions")
    if large and backend == "python":
        pytest.skip("straight-line Python of thousands of nodes takes long to compile")
    both(make, x, y, backend, lr=0.02, epochs=3 if large else 100)


@pytest.mark.parametrize("case", LOSS_CASES, ids=lambda c: f"{c[0]}-{np.ndim(c[2])}")
def test_every_loss(case: tuple[str, Callable[[], Module], Any], backend: str) -> None:
    loss, make, y = case
    both(make, X, y, backend, loss=loss, lr=0.02, epochs=20, batch_size=3)   # 5 steps in an epoch, the last of one example
    assert {name for name, *_ in LOSS_CASES} == set(LOSSES)


@pytest.mark.parametrize("option", OPTIONS, ids=str)
def test_every_optimizer(option: tuple[str, dict[str, Any]], backend: str) -> None:
    name, settings = option
    both(lambda: MLP(3, [3, 3], "tanh", rng=0), X, CLASSES, backend, epochs=50, batch_size=7, l2=0.1,
         optimizer=lambda p: OPTIMIZERS[name](p, lr=0.01, **settings))
    assert {name for name, _ in OPTIONS} == set(OPTIMIZERS)


def test_validation_metrics_schedules_and_the_state_of_the_optimizer(backend: str) -> None:
    states = []
    for compiled in (backend, False):
        model = MLP(3, [4, 3], "tanh", rng=0)
        optimizer = Adam(model.parameters(), lr=0.05)
        history = fit(model, X, CLASSES, epochs=9, batch_size=4, rng=0, validation=0.3, compiled=compiled, optimizer=optimizer,
                      metrics={"first": lambda outputs, y: outputs[0][0]}, schedule=lambda o: CosineAnnealingLR(o, 4))
        states.append([*[x for row in history for x in row.values()], *np.ravel(optimizer.state), optimizer.t, optimizer.lr])
    assert states[0] == pytest.approx(states[1], rel=1e-9, abs=1e-9)


def test_a_part_of_the_parameters_in_another_order(backend: str) -> None:
    def part(params: list[Value]) -> Optimizer:
        return SGD(params[5:1:-1], lr=0.1, momentum=0.9)
    both(lambda: MLP(3, [2, 1], "tanh", rng=0), X, REALS, backend, optimizer=part, epochs=10, batch_size=5, l2=0.1)


class Rows(Module):
    """tanh(W x + b), the weights in lists."""

    def __init__(self) -> None:
        self.W = [[Value(math.sin(3 * i + j)) for j in range(3)] for i in range(2)]
        self.b = [Value(0.5), Value(-0.5)]

    def forward(self, x: Any) -> Any:
        return [tanh(sum([w * v for w, v in zip(row[1:], x[1:], strict=True)], row[0] * x[0]) + b)
                for row, b in zip(self.W, self.b, strict=True)]


class Arrays(Rows):
    """The same, in arrays."""

    def __init__(self) -> None:
        super().__init__()
        self.W, self.b = np.array(self.W), np.array(self.b)  # type: ignore[assignment]

    def forward(self, x: Any) -> Any:
        return np.tanh(self.W @ np.array(x) + self.b)


@pytest.mark.parametrize("compiled", [False, "python", "numpy", "llvm"])
def test_weights_in_arrays_are_trained_as_those_in_lists(compiled: Any, tmp_path: Path) -> None:
    if compiled == "llvm":
        pytest.importorskip("llvmlite")
    found = []
    for make in (Rows, Arrays):
        model = make()
        history = fit(model, X * 3, [x[:2] for x in X] * 3, epochs=5, batch_size=5, l2=0.1, rng=0, compiled=compiled,
                      validation=0.2, callbacks=[Checkpoint(tmp_path / make.__name__, every=3)])
        assert min([abs(a - b) for a, b in zip(numbers(model), numbers(make()), strict=True)]) > 0   # all of them move
        resumed = make()
        assert fit(resumed, X * 3, [x[:2] for x in X] * 3, epochs=5, batch_size=5, l2=0.1, rng=0, compiled=compiled,
                   validation=0.2, resume=tmp_path / make.__name__).rows == history.rows
        assert numbers(resumed) == numbers(model)
        found.append([history.rows, model.state_dict(), predict(model, X)])
    assert found[0] == found[1]


# ---- determinism, interrupts, checkpoints, callbacks

def test_the_same_seed_is_the_same_run_bit_for_bit(backend: str) -> None:
    def run() -> tuple[Any, ...]:
        model = MLP(3, [4, 3], rng=0)
        return fit(model, X, CLASSES, epochs=4, batch_size=5, rng=1, validation=0.2, compiled=backend).rows, numbers(model)
    assert run() == run()


def test_resuming_is_bit_for_bit(tmp_path: Path, backend: str) -> None:
    def run(model: Module, epochs: int, **more: Any) -> list[Any]:
        return fit(model, X, CLASSES, epochs=epochs, batch_size=5, rng=1, validation=0.2, compiled=backend, **more).rows
    straight, model, again = (MLP(3, [4, 3], rng=seed) for seed in (0, 0, 9))
    rows = run(straight, 6)
    run(model, 3, callbacks=[Checkpoint(tmp_path / "run")])
    assert run(again, 6, resume=tmp_path / "run") == rows and numbers(again) == numbers(straight)


class Watch(Callback):
    """What a callback sees after every batch; it may raise, or change the parameters."""

    def __init__(self, then: Callable[[Module, int], None] = lambda model, t: None) -> None:
        self.then, self.seen = then, list[Any]()

    def on_batch_end(self, state: Any) -> None:
        self.seen.append([*numbers(state.model), *[p.grad for p in state.model.parameters()], state.optimizer.t])
        self.then(state.model, state.optimizer.t)


def test_a_callback_sees_every_batch_and_may_change_the_parameters(backend: str) -> None:
    def clip(model: Module, t: int) -> None:
        for p in model.parameters():
            p.data = min(max(p.data, -0.5), 0.5)

    class Clip(Callback):
        def on_epoch_end(self, state: Any) -> None:
            clip(state.model, 0)
    for then in (clip, lambda *_: None):
        seen = []
        for compiled in (backend, False):
            watch = Watch(then)
            fit(MLP(3, [3, 1], "tanh", rng=0), X, REALS, epochs=3, batch_size=5, rng=0, lr=0.3, compiled=compiled,
                callbacks=[watch, Clip()])
            seen.append(watch.seen)
        assert np.array(seen[0]) == pytest.approx(np.array(seen[1]), rel=1e-9, abs=1e-9)


def test_ctrl_c_leaves_a_whole_step(backend: str) -> None:
    def stop(model: Module, t: int) -> None:
        if t == 5:
            raise KeyboardInterrupt
    model, watch = MLP(3, [3, 1], "tanh", rng=0), Watch(stop)
    history = fit(model, X, REALS, epochs=9, batch_size=5, rng=0, compiled=backend, callbacks=[watch])
    assert history.interrupted and len(history) == 1 and numbers(model) == watch.seen[-1][:16]


@pytest.mark.parametrize("where", range(1, 7))
def test_ctrl_c_inside_a_step_leaves_a_whole_step(where: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Raised by the gradient's or the optimiser's arithmetic, or while parameters are written: at the `where`-th of them."""
    model = MLP(3, [3, 1], "tanh", rng=0)
    optimizer, left = Adam(model.parameters()), [where]

    def interrupted(f: Callable[..., Any], after: bool) -> Callable[..., Any]:
        def g(*args: Any) -> Any:
            left[0] -= 1
            found = f(*args) if after or left[0] else None
            if not left[0]:
                raise KeyboardInterrupt
            return found
        return g
    monkeypatch.setattr(Adam, "update", interrupted(Adam.update, False))
    monkeypatch.setattr("nn.training.compilation.put", interrupted(put, True))
    history = fit(model, X, REALS, epochs=2, batch_size=7, optimizer=optimizer, shuffle=False)
    steps = optimizer.t
    assert history.interrupted and left[0] < 0
    other = MLP(3, [3, 1], "tanh", rng=0)
    again = Adam(other.parameters())
    monkeypatch.undo()
    if steps:
        fit(other, X, REALS, epochs=(steps + 1) // 2, batch_size=7, optimizer=again, shuffle=False,
            callbacks=[Watch(lambda _, t: (_ for _ in ()).throw(KeyboardInterrupt) if t == steps else None)])
    assert numbers(model) == numbers(other) and optimizer.state == again.state


class Logarithm(Module):
    """log(w·x), which is none for a negative w·x."""

    def __init__(self) -> None:
        self.w = Value(1.0, label="w")

    def forward(self, x: Any) -> Any:
        p: Value = self.w * x[0]
        p.label = "p"
        return log(p)


def test_what_is_not_finite_is_told_as_eagerly(backend: str) -> None:
    model = Logarithm()
    with pytest.raises(FloatingPointError, match=r"^epoch 1, batch 2: example X\[2\]: log\(-1.*\) of node 'p'"):
        fit(model, [[1.0], [1.0], [-1.0], [1.0]], [0.5] * 4, loss="mse", optimizer="sgd", lr=0.0, batch_size=2, shuffle=False,
            compiled=backend)
    assert model.w.data == 1.0
    with pytest.raises(FloatingPointError, match=r"epoch 2, batch 1: example X\[0\]: log"):
        fit(model, [[1.0]], [-5.0], optimizer="sgd", lr=1.0, compiled=backend)
    assert model.w.data == -9.0
    with pytest.raises(FloatingPointError, match="epoch 1: the loss of validation example 1 is nan"):
        fit(Logarithm(), [[1.0]], [0.5], validation=([[1.0], [-1.0]], [0.0, 0.0]), compiled=backend)

    class Root(Module):
        def __init__(self) -> None:
            self.w = Value(0.0)

        def forward(self, x: Any) -> Any:
            return sqrt(self.w) * x[0]
    with pytest.raises(FloatingPointError, match=r"epoch 1, batch 1: example X\[0\]: the gradient of w is -?inf"):
        fit(Root(), [[1.0]], [3.0], loss="mse", compiled=backend)
    line = LinearRegression(1)
    with pytest.raises(FloatingPointError, match=r"epoch \d+, batch 1"):
        fit(line, [[1.0], [2.0]], [1.0, 3.0], optimizer="sgd", lr=1e6, epochs=1000, compiled=backend)
    assert all(map(math.isfinite, numbers(line)))


def test_outputs_that_are_no_probabilities_are_told(backend: str) -> None:
    for value, y in ((1.5, 1), (-0.5, 0), (1.5, 0), (-0.5, 1)):
        model = Neuron(1, bias=False)
        model.load_state_dict({"w.0": value})
        with pytest.raises(ValueError, match=r"binary_cross_entropy: the output .* is no probability") as told:
            fit(model, [[1.0]], [y], loss="binary_cross_entropy", epochs=1, compiled=backend)
        assert told.value.__notes__ == [f"with the example X[0], y[0] = {y}"]
    saturated = MLP(1, [1], output="sigmoid", rng=0)
    saturated.layers[0].neurons[0].w[0].data = 100.0
    history = fit(saturated, [[1.0], [0.0]], [1, 0], loss="binary_cross_entropy", epochs=1, compiled=backend)
    assert history["loss"] == pytest.approx([math.log(2) / 2])   # of the first example log(1 − p) is not needed


def test_a_wrong_target_is_told_as_eagerly() -> None:
    for loss, y, said in (("hinge", [1, 0], "must be −1 or 1"), ("binary_cross_entropy_with_logits", [1, 3], "the target is 3"),
                          ("mse", [[1, 2], [1, 2]], "1 number and the target 2")):
        with pytest.raises(ValueError, match=said):
            fit(MLP(3, [1], rng=0), X[:2], y, loss=loss, epochs=1)


# ---- what cannot be compiled

class Branch(Module):
    """Chooses by its input, or by its parameter."""

    def __init__(self, by: str = "input") -> None:
        self.by, self.w, self.b = by, Value(0.5), Value(0.1)

    def forward(self, x: Any) -> Any:
        z = self.w * x[0] + self.b
        return z if (z > 0 if self.by == "input" else self.w > 0) else z * 0.1


class Dropout(Module):
    """Forgets half of its inputs, by chance of its own or of everybody's."""

    def __init__(self, own: bool) -> None:
        self.rng = random.Random(0) if own else None
        self.layer = Neuron(3, rng=0)

    def forward(self, x: Any) -> Any:
        chance = self.rng or random
        return self.layer([v * (chance.random() < 0.5) for v in x])


class Remembers(Module):
    """Adds its last output, and so depends on the order of the examples."""

    def __init__(self) -> None:
        self.w, self.last = Value(0.5), Value(0.0)

    def parameters(self) -> list[Value]:
        return [self.w]

    def forward(self, x: Any) -> Any:
        y = self.w * x[0] + 0.1 * self.last
        self.last = y.detach() if not y.symbolic else y
        return y


class Frozen(Module):
    """Uses a number of its parameter as a constant."""

    def __init__(self) -> None:
        self.w = Value(0.5)

    def forward(self, x: Any) -> Any:
        with no_grad():
            scale = self.w * 2.0
        return self.w * x[0] * scale


CANNOT: dict[str, tuple[Callable[[], Module], Any, str]] = {
    "input": (Branch, "mse", "a comparison of a traced value.*use relu, maximum"),
    "parameter": (lambda: Branch("parameter"), "mse", "is asked for while a function is traced"),
    "own chance": (lambda: Dropout(True), "mse", "random numbers"), "chance": (lambda: Dropout(False), "mse", "random numbers"),
    "memory": (Remembers, "mse", "remembers its calls"), "frozen": (Frozen, "mse", "no_grad"),
    "loss": (lambda: LinearRegression(3), lambda o, t: (o - t) ** 2 if t > 0 else abs(o - t), "'y0'.*use relu, maximum"),
    "float": (lambda: LinearRegression(3), lambda o, t: (o - float(t)) ** 2, "keep to arithmetic"),
    "Value": (lambda: LinearRegression(3), lambda o, t: (o - Value(t)) ** 2, "use it as it is"),
}


@pytest.mark.parametrize("name", CANNOT)
def test_what_cannot_be_compiled_is_eager_and_told_once(name: str) -> None:
    make, loss, said = CANNOT[name]
    with pytest.warns(RuntimeWarning, match=f"fit\\(\\) trains eagerly, which is slower: .*{said}.*compiled=False") as told:
        fit(make(), X, REALS, loss=loss, epochs=3, batch_size=5, rng=0, validation=0.3)
    assert len(told) == 1 and told[0].filename == __file__
    if name not in ("own chance", "chance"):
        models = make(), make()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            histories = [fit(model, X, REALS, loss=loss, epochs=3, compiled=c) for model, c in
                         zip(models, BOTH, strict=True)]
        assert histories[0].rows == histories[1].rows and numbers(models[0]) == numbers(models[1])
    with pytest.raises(TraceError):
        fit(make(), X, REALS, loss=loss, epochs=1, compiled=True)


def test_what_is_asked_for_is_done_without_a_warning() -> None:
    model = Branch()
    fit(model, X, REALS, epochs=1, compiled=False)
    fit(model, X, REALS, epochs=1, gradients=eager_gradients)
    fit(MLP(3, [2, 1], rng=0), X, REALS, epochs=1)
    with pytest.raises(TraceError, match="a comparison"):
        fit(model, X, REALS, epochs=1, compiled=True)
    with pytest.raises(ValueError, match="give one of them"):
        fit(model, X, REALS, epochs=1, compiled=True, gradients=eager_gradients)
    with pytest.raises(ValueError, match="there are auto, python"):
        fit(MLP(3, [2, 1], rng=0), X, REALS, epochs=1, compiled="fortran")


def test_an_error_of_the_loss_is_its_own() -> None:
    def broken(output: Any, target: Any) -> Any:
        raise KeyError("broken")
    with pytest.raises(KeyError, match="broken"):
        fit(LinearRegression(3), X, REALS, loss=broken, epochs=1)
    with pytest.raises(TypeError, match="must give one Value"):
        fit(LinearRegression(3), X, REALS, loss=lambda o, t: 3.0, epochs=1)  # type: ignore[arg-type,return-value]


def test_losses_of_the_user(backend: str) -> None:
    """Of numbers, of lists, made of ours, with parameters of the model."""
    model = MLP(3, [3], rng=0)
    cases: list[tuple[Any, Any]] = [
        (lambda o, t: cross_entropy(o, t) * 0.9 + mse(o, [1 / 3] * 3) * 0.1, CLASSES),
        (lambda o, t: cross_entropy(o, t) * 0.9 + mse(o, t), WEIGHTS),
        (lambda o, t: cross_entropy(o, 1) + relu(o[0] - t), BITS),
        (lambda o, t: LOSSES["hinge"](o, t) + 0.0, CLASSES), (lambda o, t: LOSSES["hinge"](o, 1) * t, BITS)]
    for loss, y in cases:
        both(lambda: MLP(3, [3], rng=0), X, y, backend, loss=loss, epochs=10, lr=0.02)
    start, found = numbers(model), []
    weights = model.weights()
    for compiled in (backend, False):
        for p, x in zip(model.parameters(), start, strict=True):
            p.data = x
        fit(model, X, CLASSES, loss=lambda o, t: cross_entropy(o, t) + weights[0] * weights[0], epochs=10, compiled=compiled)
        found.append(numbers(model))
    assert found[0] == pytest.approx(found[1], rel=1e-9)


def test_a_model_that_is_made_otherwise_meanwhile_is_compiled_anew(backend: str) -> None:
    class Warm(Module):
        def __init__(self) -> None:
            self.layer, self.t, self.mask = Neuron(3, rng=0), 1.0, np.ones(3)

        def forward(self, x: Any) -> Any:
            return self.layer([m * v for m, v in zip(self.mask.tolist(), x, strict=True)]) * self.t

    class Anneal(Callback):
        def on_epoch_end(self, state: Any) -> None:
            state.model.t *= 0.9
            state.model.mask[0] *= 0.5
            if state.epoch == 2:
                state.model.layer.g = tanh
    both(Warm, X, REALS, backend, epochs=5, callbacks=[Anneal()])
    model = Warm()
    kept = snapshot(model)
    model.layer.w[0].data = 7.0
    assert unchanged(kept)
    model.layer.w.append(Value(1.0))
    assert not unchanged(kept)


@pytest.mark.parametrize("change", [
    lambda m: m.W.__setitem__((0, 1), Value(m.W[0, 1].data)), lambda m: setattr(m, "W", m.W.T),
    lambda m: m.queue.rotate(1), lambda m: m.named.update(b=m.named.pop("a")), lambda m: setattr(m.gains, "up", tanh)])
def test_what_containers_hold_is_watched(change: Callable[[Any], Any]) -> None:
    @dataclass
    class Gains:
        up: Any = relu
    model: Any = Arrays()
    model.queue, model.named, model.gains = deque([tanh, relu]), {"a": tanh}, Gains()
    kept = snapshot(model, mse)
    model.W[0, 0].data = 7.0
    assert unchanged(kept)
    change(model)
    assert not unchanged(kept)


# ---- predictions

@pytest.mark.parametrize("name", MODELS)
def test_predictions_are_the_eager_ones(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make, x, _ = MODELS[name]
    model = perturbed(make())
    many = (list(x) * 40)[:40]
    with no_grad():
        expected = [plain(model(row)) for row in x]
    monkeypatch.setattr("nn.training.compilation.LITTLE", 0)
    for _ in range(2):   # changed parameters are never stale
        found = predict(model, many)
        assert np.array(found)[:len(x)] == pytest.approx(np.array(expected), rel=1e-12, abs=1e-12)
        assert type(found) is list and type(found[0]) is type(expected[0])
        for p in model.parameters():
            p.data *= 1.1
        with no_grad():
            expected = [plain(model(row)) for row in x]


def plain(output: Any) -> Any:
    return [plain(part) for part in output] if isinstance(output, list) else output.data


def test_predictions_that_cannot_be_compiled_are_eager(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nn.training.compilation.LITTLE", 0)
    rows = [[x, 1.0, 0.0] for x in np.linspace(-2, 2, 50)]
    model = Branch()
    with no_grad():
        assert predict(model, rows) == [model(row).data for row in rows]

    class Named(Module):
        def forward(self, x: Any) -> Any:
            return [x[0], [x[0], x[0]]] if len(x) == 3 else None
    assert predict(Named(), rows)[1] == [rows[1][0], [rows[1][0]] * 2]
    with pytest.raises(ValueError, match=r"log\(-1.*\) of node 'p'"):
        predict(Logarithm(), [[1.0]] * 40 + [[-1.0]])
    with pytest.raises(ValueError, match="takes 3 inputs, and was given 2"):
        predict(MLP(3, [1], rng=0), [[1.0, 2.0]] * 50)


def test_few_rows_are_not_worth_a_compilation() -> None:
    model = MLP(3, [30, 1], rng=0)
    assert forward(model, Examples.of(X)).__qualname__.startswith("eager_forward")
    assert forward(model, Examples.of(X * 30)).__qualname__.startswith("_compiled_forward")
    assert accuracy(model, X * 30, BITS * 30) == accuracy(model, X, BITS)


def test_examples_are_arrays_all_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that is compiled makes lists of an array's numbers, or a copy of all of them."""
    def listed(*_: Any) -> Any:
        raise AssertionError("numbers were made lists")
    for name in ("rows", "lists", "__iter__", "__getitem__"):
        monkeypatch.setattr(Examples, name, listed)
    rng = np.random.default_rng(0)
    x, y, model = rng.normal(size=(500, 30)), np.arange(500) % 3, MLP(30, [8, 3], "tanh", rng=0)
    fit(model, x, y, epochs=2, batch_size=100, rng=0, validation=0.2, metrics=["accuracy"], compiled=True)
    assert np.shape(predict(model, x)) == (500, 3)
    descent = CompiledDescent(model, cross_entropy, 0.0, SGD(model.parameters(), lr=0.1), Examples.of(x, y))
    for batch, shared in ((np.arange(500), True), (np.arange(500)[::-1], False), (np.arange(499), False)):
        taken = descent._of(batch)[0]
        assert np.shares_memory(taken, x) is shared and (taken == x[batch]).all()


# ---- nothing compiled is kept

def test_models_stay_what_they_were(tmp_path: Path) -> None:
    model = MLP(3, [8, 1], "tanh", rng=0)
    before = set(vars(model))
    fit(model, X, REALS, epochs=2, callbacks=[EarlyStopping(3)])
    predict(model, X * 50)
    assert set(vars(model)) == before
    save(model, tmp_path / "m")
    for other in (deepcopy(model), pickle.loads(pickle.dumps(model)), load(tmp_path / "m")):
        assert predict(other, X) == predict(model, X)


def test_tracing_leaves_the_model_alone() -> None:
    model = Dropout(True)
    assert model.rng is not None
    state = model.rng.getstate()
    with pytest.raises(TraceError):
        traced(lambda m, _: m([Value(1.0), Value(2.0), Value(3.0)]), model, None, [])
    assert model.rng.getstate() == state


def test_an_optimizer_of_the_user(backend: str) -> None:
    class Signs(Optimizer):
        """A formula of floats only."""

        def update(self, x: float, g: float, t: int, *slots: float) -> Any:
            return (x - self.lr if g > 0 else x + self.lr), ()

    class Own(SGD):
        """A step of its own, on Values."""

        def step(self) -> None:
            for p in self.params:
                p.data -= self.lr * p.grad
    kinds: list[Any] = [Signs, Own]
    for kind in kinds:
        both(lambda: MLP(3, [2, 1], "tanh", rng=0), X, REALS, backend, epochs=5, batch_size=5, optimizer=partial(kind, lr=0.01))


def test_descent_makes_the_steps_of_fit() -> None:
    model = MLP(3, [2, 1], "tanh", rng=0)
    descent = CompiledDescent(model, mse, 0.0, SGD(model.parameters(), lr=0.1), Examples.of(X, REALS))
    before = numbers(model)
    descent.begin()
    total = descent.step(range(13))
    assert numbers(model) == before
    descent.end()
    assert numbers(model) != before
    for p, x in zip(model.parameters(), before, strict=True):
        p.data = x
    assert total == pytest.approx(eager_gradients(model, mse, X, REALS)[0], rel=1e-12)


# ---- compiled means the same function

def caught(output: Any, target: Any) -> Any:
    try:
        weight = 3.0 if target > 0.5 else 1.0
    except Exception:
        weight = 1.0
    return weight * (output - target) ** 2


OTHERWISE: dict[str, tuple[Any, Any, str]] = {
    "a dict": (lambda o, t: {1: 5.0}.get(t, 1.0) * (o - t) ** 2, BITS, "look-up"),
    "a set": (lambda o, t: (5.0 if t in {1.0} else 1.0) * (o - t) ** 2, BITS, "look-up"),
    "its type": (lambda o, t: (5.0 if isinstance(t, (int, float)) else 1.0) * (o - t) ** 2, REALS,
                 r"X\[\d+\], y\[\d+\] = .*value is"),
    "its text": (lambda o, t: len(str(t)) * (o - t) ** 2, REALS, "called with numbers"),
    "an error that is caught": (caught, REALS, "called with numbers"),
    "one class of many": (lambda o, t: cross_entropy(o, t) * (4.0 if repr(t) == "2" else 1.0), CLASSES, "called with numbers"),
    "a slope": (lambda o, t: (o.detach() if isinstance(t, float) else o) * 1.0 + o * 0.0, REALS, "slope"),
}


@pytest.mark.parametrize("name", OTHERWISE)
def test_a_loss_that_is_not_what_was_traced_trains_eagerly(name: str) -> None:
    """Looked up, asked for its type or its text: told once, with what was seen, and then as without compilation."""
    loss, y, said = OTHERWISE[name]
    width = 3 if y is CLASSES else 1
    models = [perturbed(MLP(3, [width], rng=0)) for _ in range(2)]
    with pytest.warns(RuntimeWarning, match=f"fit\\(\\) trains eagerly, which is slower: .*{said}") as told:
        first = fit(models[0], X, y, loss=loss, epochs=3, rng=0)
    assert len(told) == 1
    assert first.rows == fit(models[1], X, y, loss=loss, epochs=3, rng=0, compiled=False).rows
    with pytest.raises(TraceError, match=said):
        fit(MLP(3, [width], rng=0), X, y, loss=loss, epochs=1, compiled=True)


SCALE = 1.0


class Hidden:
    """What nobody can look into."""

    __slots__ = ("scale",)

    def __init__(self) -> None:
        self.scale = 1.0


class Weighted:
    """A loss with an attribute, a class attribute and a method."""

    times = 1.0

    def __init__(self) -> None:
        self.scale = 1.0

    def __call__(self, output: Any, target: Any) -> Any:
        return (output - target) ** 2 * self.scale * self.times

    def method(self, output: Any, target: Any) -> Any:
        return self(output, target)

    def grow(self) -> None:
        self.scale *= 1.5

    def grow_class(self) -> None:
        type(self).times *= 1.5


def grow_global() -> None:
    global SCALE
    SCALE *= 1.5


def changing(kind: str) -> tuple[Any, Callable[[], None]]:
    """(a loss, what changes it): by what it reads."""
    global SCALE
    SCALE, Weighted.times = 1.0, 1.0
    held, hidden, weighted, cfg = {"scale": 1.0}, Hidden(), Weighted(), SimpleNamespace(inner=SimpleNamespace(scale=1.0))
    array = np.ones(2)

    def more() -> None:
        held["scale"] *= 1.5
        hidden.scale *= 1.5
        cfg.inner.scale *= 1.5
        array[1] *= 1.5

    def squared(scale: Any) -> Any:
        return lambda o, t: (o - t) ** 2 * scale()

    def by_default(o: Any, t: Any, d: Any = held) -> Any:
        return (o - t) ** 2 * d["scale"]
    return {
        "a closure": (squared(lambda: held["scale"]), more), "an attribute": (weighted, weighted.grow),
        "of the class": (weighted, weighted.grow_class), "a bound method": (weighted.method, weighted.grow),
        "a partial": (partial(lambda d, o, t: (o - t) ** 2 * d["scale"], held), more), "a default": (by_default, more),
        "a configuration": (squared(lambda: cfg.inner.scale), more), "an array": (squared(lambda: float(array[1])), more),
        "a global": (squared(lambda: SCALE), grow_global), "what nobody sees": (squared(lambda: hidden.scale), more),
    }[kind]


KINDS = ("a closure", "an attribute", "of the class", "a bound method", "a partial", "a default", "a configuration", "an array",
         "a global", "what nobody sees")


@pytest.mark.parametrize("kind", KINDS)
def test_what_changes_between_epochs_is_followed(kind: str, backend: str) -> None:
    """A callback changes what the loss reads: compiled training follows, as eager training does."""
    found = []
    for compiled in (backend, False):
        loss, change = changing(kind)
        model = MLP(3, [1], rng=0)

        class Change(Callback):
            def __init__(self, change: Callable[[], None]) -> None:
                self.change = change

            def on_epoch_end(self, state: Any) -> None:
                self.change()
        history = fit(model, X, REALS, loss=loss, epochs=4, lr=0.05, callbacks=[Change(change)], compiled=compiled)
        found.append([row["loss"] for row in history] + numbers(model))
    assert found[0] == pytest.approx(found[1], rel=1e-9)


def test_what_changes_too_often_is_trained_eagerly_and_what_does_not_matter_is_compiled_once(
        monkeypatch: pytest.MonkeyPatch) -> None:
    made = Mock(wraps=Compiled)
    monkeypatch.setattr(compilation, "Compiled", made)
    for counts in (False, True):   # whether the loss depends on what is changed
        found: list[list[float]] = []
        for compiled in ("auto", False):
            seen = [1.0]

            def loss(o: Any, t: Any, seen: list[float] = seen, counts: bool = counts) -> Any:
                return (o - t) ** 2 * (seen[-1] if counts else len(seen) ** 0)

            class Watch(Callback):
                def on_batch_end(self, state: Any, seen: list[float] = seen) -> None:
                    seen.append(seen[-1] * 1.01)
            made.reset_mock()
            forget()
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                history = fit(MLP(3, [1], rng=0), X, REALS, loss=loss, epochs=8, batch_size=5, rng=0, compiled=compiled,
                              callbacks=[Watch()])
            if compiled:
                assert [str(w.message) for w in told if "eagerly from here on" not in str(w.message)] == []
                assert len(told) == counts
                assert told == [] or told[0].filename == __file__
                assert 2 < made.call_count < 20 if counts else made.call_count == 1
            found.append([row["loss"] for row in history])
        assert found[0] == pytest.approx(found[1], rel=1e-9)


def test_a_loss_that_cannot_be_traced_any_more_is_trained_eagerly() -> None:
    """A change in the middle that compilation cannot follow: one warning, and the numbers of eager training."""
    found = []
    for compiled in ("auto", False):
        branches: list[bool] = []

        def loss(o: Any, t: Any, branches: list[bool] = branches) -> Any:
            return (o - t) ** 2 if not branches or t > 0 else abs(o - t)

        class Change(Callback):
            def on_epoch_end(self, state: Any, branches: list[bool] = branches) -> None:
                branches.extend([True] * (state.epoch == 2))
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            history = fit(MLP(3, [1], rng=0), X, REALS, loss=loss, epochs=5, callbacks=[Change()], compiled=compiled,
                          validation=0.3, rng=0, metrics={"first": lambda outputs, y: outputs[0]})
        assert [w.filename for w in told] == [__file__] * bool(compiled)
        found.append([x for row in history for x in row.values()])
    assert found[0] == pytest.approx(found[1], rel=1e-9)


@pytest.mark.parametrize("where", ["random", "numpy", "closure", "own"])
def test_tracing_and_comparing_draw_no_random_numbers(where: str) -> None:
    """A dropout loss is trained eagerly: with the numbers that it would have drawn without the attempt to compile it."""
    found = []
    for compiled in ("auto", False):
        random.seed(3)
        np.random.seed(3)
        own, legacy = np.random.default_rng(3), random.Random(3)

        draw: Any = {"random": random.random, "numpy": np.random.random, "closure": own.random, "own": legacy.random}[where]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loss = partial(lambda draw, o, t: (o - t) ** 2 * draw(), draw)
            history = fit(MLP(3, [1], rng=0), X, REALS, epochs=3, compiled=compiled, loss=loss)
        found.append([row["loss"] for row in history] + [draw()])
    assert found[0] == found[1]


def test_an_epoch_with_a_callback_draws_no_random_numbers() -> None:
    class Watch(Callback):
        def on_epoch_end(self, state: Any) -> None:
            self.drawn = random.random(), float(np.random.random())
    drawn = []
    for compiled in (True, False):
        random.seed(4)
        np.random.seed(4)
        watch = Watch()
        fit(MLP(3, [1], rng=0), X, REALS, epochs=3, compiled=compiled, callbacks=[watch])
        drawn.append(watch.drawn)
    assert drawn[0] == drawn[1]


class Guarded(Module):
    """w·√x above 0, and w·x elsewhere: √x has no number there."""

    def __init__(self) -> None:
        self.w = Value(0.5, label="w")

    def forward(self, x: Any) -> Any:
        return where(step(x[0]), sqrt(x[0]), x[0]) * self.w


@pytest.mark.parametrize("compiled", [False, "numpy", "llvm"])
def test_where_guards_a_model_in_fit_and_predict(compiled: Any) -> None:
    if compiled == "llvm":
        pytest.importorskip("llvmlite")
    X = np.linspace(-2.0, 2.0, 9)[:, None]
    y = np.where(X[:, 0] > 0, np.sqrt(np.abs(X[:, 0])), X[:, 0])
    model = Guarded()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        history = fit(model, X, y, loss=mse, optimizer=SGD(model.parameters(), 0.1), epochs=60, compiled=compiled)
    assert history["loss"][-1] < 1e-6 and model.w.data == pytest.approx(1.0, abs=1e-3)
    for rows in (1, 10, 100, 20_000):
        found = forward(model, Examples.of(np.full((rows, 1), -2.0)))(Examples.of(np.full((rows, 1), -2.0)))
        assert np.shape(found) == (rows,) and found[0] == found[-1] == -2.0 * model.w.data
