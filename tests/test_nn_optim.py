"""Optimisers and schedules: the published formulas by hand, torch's numbers where it is installed, exact resuming."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograd import Value, no_grad, sigmoid, tanh
from nn import MLP, Layer, fit
from nn.optim import OPTIMIZERS, SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop
from nn.schedules import CosineAnnealingLR, ExponentialLR, ReduceLROnPlateau, Schedule, StepLR

START = [0.5, -1.2, 2.0, 0.03, -0.7, 1.1]
SETTINGS: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"lr": 0.05}),
    ("SGD", {}),
    ("SGD", {"lr": 0.05, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.05, "momentum": 0.9}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.01}),
    ("SGD", {"lr": 0.05, "momentum": 0.8, "nesterov": True, "weight_decay": 0.01}),
    ("SGD", {"lr": 0.01, "momentum": 0.5, "maximize": True}),
    ("Adam", {}),
    ("Adam", {"lr": 0.05, "betas": (0.8, 0.99), "eps": 1e-6, "weight_decay": 0.05}),
    ("Adam", {"lr": 0.05, "amsgrad": True}),
    ("Adam", {"lr": 0.02, "maximize": True, "weight_decay": 0.05}),
    ("Adam", {"lr": 0.05, "betas": (0.0, 0.9)}),
    ("AdamW", {}),
    ("AdamW", {"lr": 0.05, "weight_decay": 0.2, "amsgrad": True}),
    ("AdamW", {"lr": 0.02, "maximize": True}),
    ("RMSprop", {}),
    ("RMSprop", {"lr": 0.02, "alpha": 0.9, "eps": 1e-6, "weight_decay": 0.05}),
    ("RMSprop", {"lr": 0.01, "momentum": 0.9}),
    ("RMSprop", {"lr": 0.01, "centered": True}),
    ("RMSprop", {"lr": 0.005, "centered": True, "momentum": 0.5, "weight_decay": 0.01, "maximize": True}),
    ("Adagrad", {}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.05}),
    ("Adagrad", {"lr": 0.1, "initial_accumulator_value": 0.5, "eps": 1e-6, "maximize": True}),
]
SCHEDULES: list[tuple[str, dict[str, Any]]] = [
    ("StepLR", {"step_size": 7}),
    ("StepLR", {"step_size": 1, "gamma": 0.97}),
    ("ExponentialLR", {"gamma": 0.93}),
    ("CosineAnnealingLR", {"T_max": 20}),
    ("CosineAnnealingLR", {"T_max": 7, "eta_min": 0.01}),
    ("CosineAnnealingLR", {"T_max": 1}),
    ("ReduceLROnPlateau", {}),
    ("ReduceLROnPlateau", {"patience": 2, "factor": 0.5, "cooldown": 2, "min_lr": 0.02}),
    ("ReduceLROnPlateau", {"patience": 0, "factor": 0.9, "threshold": 0.05, "threshold_mode": "abs"}),
    ("ReduceLROnPlateau", {"patience": 1, "factor": 0.7, "mode": "max"}),
    ("ReduceLROnPlateau", {"patience": 1, "factor": 0.7, "mode": "max", "threshold_mode": "abs", "eps": 0.01}),
]
SCHEDULE_TYPES = {c.__name__: c for c in (StepLR, ExponentialLR, CosineAnnealingLR, ReduceLROnPlateau)}


def named(row: tuple[str, dict[str, Any]]) -> str:
    return f"{row[0]}({', '.join([f'{k}={x}' for k, x in row[1].items()])})"


def loss(w: Any, tanh: Callable[[Any], Any], sigmoid: Callable[[Any], Any]) -> Any:
    """Smooth, not convex, with slopes of many sizes."""
    return ((tanh(w[0] * w[1]) - w[2]) ** 2 + sigmoid(w[3] * 3 + w[4]) * w[5] ** 2 + w[0] ** 2 * 0.1
            + (w[1] - 0.3) ** 2 + 0.001 * w[4] ** 4 + (w[3] - w[5]) ** 2)


def make(name: str, settings: dict[str, Any]) -> tuple[list[Value], Optimizer]:
    w = [Value(x) for x in START]
    return w, OPTIMIZERS[name.lower()](w, **settings)


def descend(w: list[Value], optimizer: Optimizer, schedule: Schedule | None = None, steps: int = 50) -> list[float]:
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        y = loss(w, tanh, sigmoid)
        y.backward()
        optimizer.step()
        losses.append(y.data)
        if isinstance(schedule, ReduceLROnPlateau):
            schedule.step(bumpy(len(losses), y.data))
        elif schedule:
            schedule.step()
    return losses


def bumpy(step: int, y: float) -> float:
    """A metric with improvements, plateaus and setbacks."""
    return y + 0.3 * math.sin(step) + (2.0 if 15 < step < 25 else 0.0)


def distance(xs: list[float], ys: list[float]) -> float:
    """The largest relative difference."""
    return max(abs(x - y) / max(abs(x), abs(y), 1e-300) if x != y else 0.0 for x, y in zip(xs, ys, strict=True))


# ---- as torch

@pytest.mark.parametrize("row", SETTINGS, ids=named)
def test_an_optimizer_takes_the_steps_of_torch(row: tuple[str, dict[str, Any]], record_property: Any) -> None:
    torch = pytest.importorskip("torch")
    name, settings = row
    w, optimizer = make(name, settings)
    losses = descend(w, optimizer)
    v = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in START]
    theirs, found = getattr(torch.optim, name)(v, **settings), []
    for _ in range(50):
        theirs.zero_grad()
        y = loss(v, torch.tanh, torch.sigmoid)
        y.backward()
        theirs.step()
        found.append(y.item())
    worst = max(distance([x.data for x in w], [x.item() for x in v]), distance(losses, found))
    record_property("relative difference", worst)
    assert worst < 1e-10


@pytest.mark.parametrize("row", SCHEDULES, ids=named)
@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_a_schedule_takes_the_steps_of_torch(row: tuple[str, dict[str, Any]], name: str, record_property: Any) -> None:
    torch = pytest.importorskip("torch")
    kind, settings = row
    w, optimizer = make(name, {"lr": 0.05})
    v = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in START]
    theirs = getattr(torch.optim, name)(v, lr=0.05)
    schedule = SCHEDULE_TYPES[kind](optimizer, **settings)
    their_schedule = getattr(torch.optim.lr_scheduler, kind)(theirs, **settings)
    rates, their_rates = [], []
    for step in range(50):
        y = descend(w, optimizer, steps=1)[0]
        theirs.zero_grad()
        loss(v, torch.tanh, torch.sigmoid).backward()
        theirs.step()
        metric = (bumpy(step, y),) if kind == "ReduceLROnPlateau" else ()
        schedule.step(*metric)
        their_schedule.step(*metric)
        rates.append(optimizer.lr)
        their_rates.append(theirs.param_groups[0]["lr"])
    worst = distance([x.data for x in w], [x.item() for x in v])
    record_property("relative difference", worst)
    assert distance(rates, their_rates) < 1e-12
    assert worst < 1e-10


PENALTY = 0.3


def biases(layer: Layer) -> list[Value]:
    return [neuron.b for neuron in layer.neurons if neuron.b is not None]


def in_order(model: MLP) -> list[Value]:
    """The parameters neuron by neuron, the weights before the bias."""
    return [p for layer in model.layers for neuron, b in zip(layer.neurons, biases(layer), strict=True) for p in (*neuron.w, b)]


@pytest.mark.parametrize("batch_size", [None, 4])
@pytest.mark.parametrize("row", [r for r in SETTINGS if "maximize" not in r[1]], ids=named)
def test_fit_trains_a_network_as_torch_does(row: tuple[str, dict[str, Any]], batch_size: int | None,
                                                 record_property: Any) -> None:
    """A network with a penalty on its weights, 50 steps, a new learning rate in every epoch: losses and parameters."""
    torch = pytest.importorskip("torch")
    name, settings = row
    model = MLP(2, [4, 3], activation="tanh", rng=3)
    X = [[math.sin(i), math.cos(2 * i)] for i in range(12)]
    y = [i % 3 for i in range(12)]
    theirs = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.Tanh(), torch.nn.Linear(4, 3)).double()
    with torch.no_grad():
        for linear, layer in zip((theirs[0], theirs[2]), model.layers, strict=True):
            linear.weight.copy_(torch.tensor([[w.data for w in neuron.w] for neuron in layer.neurons], dtype=torch.float64))
            linear.bias.copy_(torch.tensor([bias.data for bias in biases(layer)], dtype=torch.float64))
    epochs, size = (50, 12) if batch_size is None else (17, 4)
    history = fit(model, X, y, optimizer=lambda params: OPTIMIZERS[name.lower()](params, **settings), epochs=epochs,
                  batch_size=batch_size, shuffle=False, l2=PENALTY, schedule=lambda o: CosineAnnealingLR(o, 20))
    optimizer = getattr(torch.optim, name)(theirs.parameters(), **settings)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 20)
    inputs, classes, losses = torch.tensor(X, dtype=torch.float64), torch.tensor(y), []
    for _ in range(epochs):
        total = 0.0
        for start in range(0, 12, size):
            optimizer.zero_grad()
            part = slice(start, start + size)
            penalty = PENALTY / (2 * size) * sum((linear.weight ** 2).sum() for linear in (theirs[0], theirs[2]))
            J = torch.nn.functional.cross_entropy(theirs(inputs[part]), classes[part]) + penalty
            J.backward()
            optimizer.step()
            total += J.item() * size
        schedule.step()
        losses.append(total / 12)
    found = [x for linear in (theirs[0], theirs[2]) for w, b in zip(linear.weight.tolist(), linear.bias.tolist(), strict=True)
             for x in (*w, b)]
    worst = max(distance([p.data for p in in_order(model)], found), distance(history["loss"], losses))
    record_property("relative difference", worst)
    assert worst < 1e-10


# ---- by hand: w = 3, gradients 6 then 2

@pytest.mark.parametrize(("optimizer", "expected"), [
    (lambda w: SGD(w, lr=0.1), [3 - 0.6, 3 - 0.6 - 0.2]),
    (lambda w: SGD(w, lr=0.1, maximize=True), [3.6, 3.8]),
    (lambda w: SGD(w, lr=0.1, weight_decay=0.5), [3 - 0.1 * 7.5, 2.25 - 0.1 * (2 + 0.5 * 2.25)]),
    (lambda w: SGD(w, lr=0.1, momentum=0.5), [2.4, 2.4 - 0.1 * (0.5 * 6 + 2)]),
    (lambda w: SGD(w, lr=0.1, momentum=0.5, dampening=0.5), [2.4, 2.4 - 0.1 * (0.5 * 6 + 0.5 * 2)]),   # not the first
    (lambda w: SGD(w, lr=0.1, momentum=0.5, nesterov=True), [3 - 0.1 * (6 + 0.5 * 6), 2.1 - 0.1 * (2 + 0.5 * 5)]),
    (lambda w: Adam(w, lr=0.1, eps=0.0),
     [2.9, 2.9 - 0.1 * ((0.9 * 0.6 + 0.2) / 0.19) / math.sqrt((0.999 * 0.036 + 0.004) / (1 - 0.999 ** 2))]),
    (lambda w: AdamW(w, lr=0.1, eps=0.0, weight_decay=1.0, betas=(0.0, 0.0)), [3 * 0.9 - 0.1, 2.6 * 0.9 - 0.1]),
    (lambda w: RMSprop(w, lr=0.1, alpha=0.75, eps=0.0), [3 - 0.2, 2.8 - 0.1 * 2 / math.sqrt(0.75 * 9 + 1)]),
    (lambda w: RMSprop(w, lr=0.1, alpha=0.75, eps=0.0, momentum=0.5), [2.8, 2.8 - 0.1 * (0.5 * 2 + 2 / math.sqrt(7.75))]),
    (lambda w: RMSprop(w, lr=0.1, alpha=0.75, eps=0.0, centered=True),
     [3 - 0.6 / math.sqrt(9 - 1.5 ** 2), 3 - 0.6 / math.sqrt(6.75) - 0.2 / math.sqrt(7.75 - (0.75 * 1.5 + 0.5) ** 2)]),
    (lambda w: Adagrad(w, lr=0.1, eps=0.0), [2.9, 2.9 - 0.2 / math.sqrt(40)]),
    (lambda w: Adagrad(w, lr=0.1, eps=0.0, lr_decay=1.0, initial_accumulator_value=28.0),
     [3 - 0.6 / 8, 2.925 - 0.05 * 2 / math.sqrt(68)]),
])
def test_two_steps_by_hand(optimizer: Callable[[list[Value]], Optimizer], expected: list[float]) -> None:
    w = Value(3.0)
    made, found = optimizer([w]), []
    for w.grad in (6.0, 2.0):
        made.step()
        found.append(w.data)
    assert found == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize(("schedule", "expected"), [
    (lambda o: StepLR(o, 2), [1, 0.1, 0.1, 0.01]),
    (lambda o: ExponentialLR(o, 0.5), [0.5, 0.25, 0.125, 0.0625]),
    (lambda o: CosineAnnealingLR(o, 2), [0.5, 0, 0.5, 1]),
    (lambda o: CosineAnnealingLR(o, 4, eta_min=0.5), [0.75 + 0.25 * math.cos(math.pi * k / 4) for k in (1, 2, 3, 4)]),
])
def test_learning_rates_by_hand(schedule: Callable[[Optimizer], Schedule], expected: list[float]) -> None:
    optimizer = SGD([Value(0.0)], lr=1.0)
    made, found = schedule(optimizer), []
    for _ in expected:
        made.step()
        found.append(optimizer.lr)
    assert found == pytest.approx(expected, abs=1e-15)


def test_a_plateau_by_hand() -> None:
    optimizer = SGD([Value(0.0)], lr=1.0)
    schedule = ReduceLROnPlateau(optimizer, patience=1, factor=0.5, cooldown=1, min_lr=0.3)
    found = []
    for metric in (3.0, 2.0, 2.0, math.nan, 2.0, 2.0, 2.0, 1.0, 1.0, 1.0):
        schedule.step(metric)
        found.append(optimizer.lr)
    assert found == [1, 1, 1, 0.5, 0.5, 0.5, 0.3, 0.3, 0.3, 0.3]


# ---- resuming

@pytest.mark.parametrize("row", SETTINGS, ids=named)
def test_an_optimizer_resumes_bit_for_bit(row: tuple[str, dict[str, Any]]) -> None:
    name, settings = row
    w, optimizer = make(name, settings)
    descend(w, optimizer, steps=7)
    saved, numbers = json.loads(json.dumps(optimizer.state_dict(), allow_nan=False)), [x.data for x in w]
    descend(w, optimizer, steps=13)
    again = [Value(x) for x in numbers]
    other = OPTIMIZERS[name.lower()](again, lr=123.0)
    other.load_state_dict(saved)
    descend(again, other, steps=13)
    assert [x.data for x in again] == [x.data for x in w]
    assert other.state_dict() == optimizer.state_dict() and repr(other) == repr(optimizer)


@pytest.mark.parametrize("row", SCHEDULES, ids=named)
def test_a_schedule_resumes_bit_for_bit(row: tuple[str, dict[str, Any]]) -> None:
    kind, settings = row
    w, optimizer = make("Adam", {"lr": 0.05})
    schedule = SCHEDULE_TYPES[kind](optimizer, **settings)
    descend(w, optimizer, schedule, steps=9)
    saved = json.loads(json.dumps([optimizer.state_dict(), schedule.state_dict(), [x.data for x in w]], allow_nan=False))
    descend(w, optimizer, schedule, steps=30)
    again = [Value(x) for x in saved[2]]
    other = Adam(again)
    other_schedule = SCHEDULE_TYPES[kind](other, **settings | {"gamma": 0.5} if "gamma" in settings else settings)
    other.load_state_dict(saved[0])
    other_schedule.load_state_dict(saved[1])
    descend(again, other, other_schedule, steps=30)
    assert ([x.data for x in again], other.lr) == ([x.data for x in w], optimizer.lr)
    assert other_schedule.state_dict() == schedule.state_dict() and repr(other_schedule) == repr(schedule)


@pytest.mark.parametrize("spoil", [
    lambda s: s.update(name="SGD"), lambda s: s.update(t=-1), lambda s: s.update(t=True), lambda s: s.pop("t"),
    lambda s: s.pop("slots"), lambda s: s["slots"].pop("exp_avg"), lambda s: s["slots"]["exp_avg"].pop(),
    lambda s: s["slots"].update(exp_avg=[math.nan] * 6), lambda s: s["slots"].update(exp_avg=["1"] * 6),
    lambda s: s["settings"].update(lr=-1.0), lambda s: s["settings"].update(evil=1), lambda s: s.update(settings=None),
])
def test_a_spoiled_state_is_refused_and_nothing_changes(spoil: Callable[[dict[str, Any]], Any]) -> None:
    w, optimizer = make("Adam", {})
    descend(w, optimizer, steps=3)
    before, state = optimizer.state_dict(), json.loads(json.dumps(optimizer.state_dict()))
    spoil(state)
    with pytest.raises(ValueError, match="Adam"):
        optimizer.load_state_dict(state)
    assert optimizer.state_dict() == before


@pytest.mark.parametrize("spoil", [
    lambda s: s.update(name="ExponentialLR"), lambda s: s.pop("kept"), lambda s: s["kept"].pop("epoch"),
    lambda s: s["kept"].update(epoch=math.inf), lambda s: s["kept"].update(epoch="2"),
    lambda s: s["settings"].update(step_size=0),
])
def test_a_spoiled_schedule_is_refused(spoil: Callable[[dict[str, Any]], Any]) -> None:
    schedule = StepLR(SGD([Value(0.0)]), 3)
    before, state = schedule.state_dict(), json.loads(json.dumps(schedule.state_dict()))
    spoil(state)
    with pytest.raises(ValueError, match="StepLR"):
        schedule.load_state_dict(state)
    assert schedule.state_dict() == before


# ---- what is refused

BAD: list[tuple[str, dict[str, Any]]] = [
    *[(name, {"lr": x}) for name in OPTIMIZERS for x in (-1.0, math.nan, math.inf)],
    *[(name, {"weight_decay": -0.1}) for name in OPTIMIZERS],
    ("sgd", {"momentum": -0.1}), ("sgd", {"dampening": math.nan}), ("sgd", {"nesterov": True}),
    ("sgd", {"nesterov": True, "momentum": 0.5, "dampening": 0.1}),
    *[(name, {"betas": b}) for name in ("adam", "adamw") for b in ((1.0, 0.9), (0.9, -0.1), (0.9,), (0.9, math.nan))],
    *[(name, {"eps": -1e-8}) for name in ("adam", "adamw", "rmsprop", "adagrad")],
    ("rmsprop", {"alpha": 1.0}), ("rmsprop", {"alpha": -0.1}), ("rmsprop", {"momentum": -1.0}),
    ("adagrad", {"lr_decay": -1.0}), ("adagrad", {"initial_accumulator_value": -1.0}),
]


@pytest.mark.parametrize(("name", "settings"), BAD, ids=str)
def test_a_bad_setting_is_named(name: str, settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        OPTIMIZERS[name]([Value(0.0)], **settings)


@pytest.mark.parametrize(("make", "match"), [
    (lambda o: StepLR(o, 0), "step_size"), (lambda o: StepLR(o, 1, -0.5), "gamma"),
    (lambda o: StepLR(o, 1.5), "step_size"),  # type: ignore[arg-type]
    (lambda o: ExponentialLR(o, math.nan), "gamma"), (lambda o: CosineAnnealingLR(o, 0), "T_max"),
    (lambda o: CosineAnnealingLR(o, 3, -1), "eta_min"), (lambda o: ReduceLROnPlateau(o, "least"), "mode"),
    (lambda o: ReduceLROnPlateau(o, threshold_mode="x"), "threshold_mode"),
    (lambda o: ReduceLROnPlateau(o, factor=1.0), "factor"),
    (lambda o: ReduceLROnPlateau(o, patience=-1), "patience"), (lambda o: ReduceLROnPlateau(o, min_lr=-1), "min_lr"),
])
def test_a_bad_schedule_is_named(make: Callable[[Optimizer], Schedule], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        make(SGD([Value(0.0)]))


def test_a_schedule_needs_an_optimizer_and_a_plateau_a_metric() -> None:
    with pytest.raises(TypeError, match="SGD"):
        StepLR([Value(0.0)], 3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="metric"):
        ReduceLROnPlateau(SGD([Value(0.0)])).step()


def test_parameters_are_leaves_that_are_there_once() -> None:
    w, x = Value(1.0, label="w"), Value(1.0)
    with pytest.raises(ValueError, match="no parameters"):
        SGD([])
    with pytest.raises(TypeError, match=r"params\[1\].*not a Value"):
        SGD([w, 2.0])  # type: ignore[list-item]
    for wrong in (w, 3, None):
        with pytest.raises(TypeError, match=r"model\.parameters"):
            SGD(wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="was computed"):
        SGD([w, w * 2])
    with pytest.raises(ValueError, match="is a constant"):
        SGD([w.detach()])
    with pytest.raises(ValueError, match="twice"):
        SGD([w, x, w])
    with no_grad():
        assert len(SGD(iter([w, x])).params) == 2   # equal numbers, two parameters
    with pytest.raises(TypeError, match="SGD\\(lr\\)"):
        SGD([w], lr="0.1")  # type: ignore[arg-type]


# ---- a step is made entirely or not at all

@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_gradient_that_is_no_number_changes_nothing(name: str, bad: float) -> None:
    w = [Value(1.0), Value(2.0, label="second")]
    optimizer = OPTIMIZERS[name](w, lr=0.1)
    w[0].grad, w[1].grad = 1.0, 1.0
    optimizer.step()
    before, numbers = optimizer.state_dict(), [x.data for x in w]
    w[1].grad = bad
    with pytest.raises(FloatingPointError, match="parameter 1 'second'"):
        optimizer.step()
    assert (optimizer.state_dict(), [x.data for x in w]) == (before, numbers)


def test_a_step_that_overflows_or_divides_by_zero_changes_nothing() -> None:
    w = [Value(1.0), Value(1e300)]
    w[0].grad, w[1].grad = 1.0, -1e300
    with pytest.raises(FloatingPointError, match="lower lr=1e\\+10"):
        SGD(w, lr=1e10).step()
    w[1].grad = 0.0
    with pytest.raises(FloatingPointError, match="raise eps"):
        Adam(w, eps=0.0).step()
    assert [x.data for x in w] == [1.0, 1e300]


def test_an_interrupted_step_is_finished() -> None:
    class Slow(Value):
        __slots__ = ("interrupts",)
        interrupts: int

        @property
        def data(self) -> float:
            return self._data

        @data.setter
        def data(self, x: float) -> None:
            if self.interrupts:
                self.interrupts -= 1
                raise KeyboardInterrupt
            self._data = x

    slow = Slow(1.0)
    w, slow.interrupts = [Value(1.0), slow], 1
    w[0].grad = w[1].grad = 1.0
    optimizer = SGD(w, lr=0.5)
    with pytest.raises(KeyboardInterrupt):
        optimizer.step()
    assert [x.data for x in w] == [0.5, 0.5] and optimizer.t == 1


def test_no_gradient_counts_as_zero() -> None:
    w = Value(1.0)
    w.grad = None  # type: ignore[assignment]
    SGD([w], lr=0.1, weight_decay=1.0).step()
    assert w.data == 0.9


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=20), st.sampled_from(sorted(OPTIMIZERS)))
def test_ascent_of_the_negative_is_descent(gradients: list[float], name: str) -> None:
    up, down = Value(0.5), Value(0.5)
    a, b = OPTIMIZERS[name]([up], lr=0.01, maximize=True), OPTIMIZERS[name]([down], lr=0.01)
    for g in gradients:
        up.grad, down.grad = -g, g
        a.step()
        b.step()
        assert up.data == down.data


def test_a_formula_of_floats_that_works_in_place_is_done_once_for_each_parameter() -> None:
    class InPlace(Optimizer):
        slots = ("sum",)

        def update(self, x: float, g: float, t: int, *slots: float) -> Any:
            [s] = slots
            g += self.weight_decay * x
            s += g * g
            return x - self.lr * g / math.sqrt(s), (s,)
    w, by_hand = [Value(1.0), Value(-2.0)], [(1.0, 0.0), (-2.0, 0.0)]
    optimizer = InPlace(w, lr=0.1, weight_decay=0.5)
    for t in range(1, 5):
        for v in w:
            v.grad = 2 * v.data
        made = [optimizer.update(x, 2 * x, t, s) for x, s in by_hand]
        by_hand = [(x, s) for x, (s,) in made]
        optimizer.step()
        assert [(v.data, *slots) for v, slots in zip(w, optimizer.state, strict=True)] == by_hand
