"""Every formula of the five lectures, as text: what a table prints is what the lecture writes.

A case is a computation in the lecture's symbols, and what stands in the cells of its table:

    ξ1         the variable of a row, in terms of the rows above
    ∂ξ1/∂W     its partial;  (…, …): the same in terms of the leaves too
    dL/dW      the chain rule: in terms of the rows that have a name, where there are any, else of the leaves
    a          = σ(z) = …: the row's number, as a formula and as a decimal

What the lectures write with Σ over examples or classes, or with matrices, stands here for two or three of them, element by
element. Not here, since they are no formulas: shapes and counts (test_nn_layers.py), training rules (test_lectures.py,
test_nn_models.py), graphs of activations (test_plots.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, reduce
from operator import add
from typing import Any

import pytest

from autograd import (
    PRIMITIVES,
    Value,
    exp,
    grad,
    heaviside,
    leaky_relu,
    log,
    log_sigmoid,
    logsumexp,
    maximum,
    minimum,
    paths,
    relu,
    sigmoid,
    sign,
    silu,
    softmax,
    softplus,
    tanh,
)
from nn import (
    ACTIVATIONS,
    GATES,
    MLP,
    OUTPUT_UNITS,
    Layer,
    LogisticRegression,
    Neuron,
    SoftmaxRegression,
    binary_cross_entropy,
    generalised_relu,
    maxout,
    perceptron_loss,
    piecewise_linear,
    squared_error,
)
from viz import XiTables, table
from viz.formulas.algebra import simplify, written
from viz.formulas.notation import TEXT

Cells = Mapping[str, str | tuple[str, str]]
clip = PRIMITIVES["clip"]


def named(symbol: str, v: Any) -> Value:
    """`v` under that name."""
    assert isinstance(v, Value)
    v.label = symbol
    return v


def letters(symbols: str, start: float = 0.3) -> list[Value]:
    """A variable for each, with numbers of their own."""
    return [Value(start + 0.11 * i, label=s) for i, s in enumerate(symbols.split())]


def cross_entropy_of(y: Any, p: Any, label: str = "L") -> Value:
    """−[y log p + (1 − y) log(1 − p)], as all five lectures have it."""
    return named(label, -(y * log(p) + (1 - y) * log(1 - p)))


# ---- §1. CS109B, the ξ tables

def part_a() -> XiTables:
    W, X, y = Value(3.0, label="W"), Value(3.0, label="X"), Value(1.0, label="y")
    return table(named("L_A", -y * log(1 / (1 + exp(-W * X)))), W, rows="all")


def part_b() -> XiTables:
    W, X, y = Value(3.0, label="W"), Value(3.0, label="X"), Value(0.0, label="y")
    return table(named("L_B", -(1 - y) * log(1 - 1 / (1 + exp(-W * X)))), W, rows="all")


def both_parts() -> XiTables:
    W, X, y = letters("W X y")
    return table(cross_entropy_of(y, named("p", 1 / (1 + exp(-W * X)))), W)


def basic(f: Callable[[Value], Value]) -> Callable[[], XiTables]:
    """The functions at a node: `x2 = exp(x)`, `derx2 = exp(x)` …"""
    return lambda: table(named("f", f(Value(0.7, label="x"))))


def minus_ax() -> XiTables:
    a, x = letters("a x")
    return table(named("f", -a * x), x)


ROWS_1_TO_4: dict[str, str | tuple[str, str]] = {
    "ξ1": "−W·X", "∂ξ1/∂W": ("−X", "−X"),
    "ξ2": "e^ξ1", "∂ξ2/∂ξ1": ("e^ξ1", "e^(−W·X)"),
    "ξ3": "1 + ξ2", "∂ξ3/∂ξ2": ("1", "1"),
    "ξ4": "1/ξ3", "∂ξ4/∂ξ3": ("−1/ξ3²", "−1/(1 + e^(−W·X))²"),
}

TABLES: dict[str, tuple[Callable[[], XiTables], Cells]] = {
    "CS109B, part A": (part_a, ROWS_1_TO_4 | {
        "ξ5": "log ξ4", "∂ξ5/∂ξ4": ("1/ξ4", "1 + e^(−W·X)"),
        "L_A": "−y·ξ5", "∂L_A/∂ξ5": ("−y", "−y"),
        "dL_A/dW": "−y·X·e^(−W·X)/(1 + e^(−W·X))"}),
    "CS109B, part B": (part_b, ROWS_1_TO_4 | {
        "ξ5": "1 − ξ4", "∂ξ5/∂ξ4": ("−1", "−1"),
        "ξ6": "log ξ5", "∂ξ6/∂ξ5": ("1/ξ5", "(1 + e^(−W·X))/e^(−W·X)"),
        "L_B": "−(1 − y)·ξ6", "∂L_B/∂ξ6": ("−(1 − y)", "−(1 − y)"),   # erratum: printed (1 − y)·ξ6
        "dL_B/dW": "(1 − y)·X/(1 + e^(−W·X))"}),
    "CS109B, both parts": (both_parts, {
        "p": "1/(1 + e^(−W·X))", "∂p/∂W": ("p·(1 − p)·X", "X·e^(−W·X)/(1 + e^(−W·X))²"),
        "L": "−(y·log p + (1 − y)·log(1 − p))",
        "∂L/∂p": "(p − y)/(p·(1 − p))",   # erratum: −y/p + (1 − y)/(1 − p), printed with −
        "dL/dW": "(p − y)·X"}),
    "CS109B, basic functions: −a·x": (minus_ax, {"∂f/∂x": "−a"}),   # erratum: `derx1`
    "CS109B, basic functions: exp": (basic(exp), {"∂f/∂x": "e^x"}),
    "CS109B, basic functions: 1 + x": (basic(lambda x: 1 + x), {"∂f/∂x": "1"}),
    "CS109B, basic functions: 1/x": (basic(lambda x: 1 / x), {"∂f/∂x": "−1/x²"}),
    "CS109B, basic functions: log": (basic(log), {"∂f/∂x": "1/x"}),
}


# ---- §2. models and losses

def linear_regression() -> XiTables:
    y, x, b0, b1 = letters("y x β0 β1")
    return table(named("f", (y - b0 - b1 * x) ** 2), [b0, b1], rows="named")


def linear_regression_of_two() -> XiTables:
    b0, b1, *data = letters("β0 β1 x1 x2 y1 y2")
    return table(named("f", sum([(y - b0 - b1 * x) ** 2 for x, y in zip(data[:2], data[2:], strict=True)])), [b0, b1],
                 rows="named")


def closed_form() -> XiTables:
    x, y, xs, ys = *letters("x̄ ȳ"), letters("x1 x2"), letters("y1 y2", 0.8)
    b1 = named("β1", sum([(u - x) * (v - y) for u, v in zip(xs, ys, strict=True)]) / sum([(u - x) ** 2 for u in xs]))
    return table(named("β0", y - b1 * x), y)


def the_first_line() -> XiTables:
    b0, b1, x = letters("β0 β1 x")
    return table(named("h", b0 + b1 * x), [b0, b1], rows="named")


def logistic_regression() -> XiTables:
    w, x, b, y = letters("w x b y")
    a = named("a", sigmoid(named("z", w * x + b)))
    return table(cross_entropy_of(y, a), [w, b])


def by_the_activation() -> XiTables:
    a, y = letters("a y")
    return table(cross_entropy_of(y, a), a, rows="named")


def one_part(of_y: bool) -> Callable[[], XiTables]:
    """−y log a, and −(1 − y) log(1 − a)."""
    def made() -> XiTables:
        a, y = letters("a y")
        return table(named("L", -y * log(a) if of_y else -(1 - y) * log(1 - a)), a, rows="named")
    return made


def logistic_from_exp() -> XiTables:
    z, = letters("z")
    return table(named("a", 1 / (1 + exp(-z))), rows="named")


def logistic_model() -> XiTables:
    model, y, x = LogisticRegression(2), *letters("y"), letters("x1 x2")
    return table(named("L", binary_cross_entropy(named("ŷ", model.probability(x)), y)), model=model)


def many_examples() -> XiTables:
    """CS230: two examples of two features."""
    w, b = letters("w1 w2"), Value(0.1, label="b")
    xs, ys = (letters("x⁽¹⁾₁ x⁽¹⁾₂"), letters("x⁽²⁾₁ x⁽²⁾₂", 0.7)), letters("y⁽¹⁾ y⁽²⁾")
    a = [named(s, sigmoid(w[0] * x[0] + w[1] * x[1] + b)) for s, x in zip(("a⁽¹⁾", "a⁽²⁾"), xs, strict=True)]
    losses = [y * log(p) + (1 - y) * log(1 - p) for p, y in zip(a, ys, strict=True)]
    return table(named("J", -(losses[0] + losses[1])), [*w, b])


def ascent(log_likelihood: Callable[[Value, Value], Value]) -> Callable[[], XiTables]:
    """CS109: the log likelihood of two examples, x0 = 1."""
    def made() -> XiTables:
        theta, xs, ys = letters("θ0 θ1"), letters("x⁽¹⁾ x⁽²⁾"), letters("y⁽¹⁾ y⁽²⁾")
        z = [theta[0] + theta[1] * x for x in xs]
        LL = named("LL", reduce(add, [log_likelihood(y, z) for y, z in zip(ys, z, strict=True)]))
        return table(LL, theta, rows="named")
    return made


def softmax_rows(last: bool) -> Callable[[], XiTables]:
    """CS114, CS539: softmax of three, and the cross-entropy of a one-hot y, of which the last is 1 − y1 − y2."""
    def made() -> XiTables:
        z, (y1, y2) = letters("z1 z2 z3"), letters("y1 y2")
        a = [named(f"ŷ{i}", p) for i, p in enumerate(softmax(z), 1)]
        L = y1 * log(a[0]) + y2 * log(a[1]) + (1 - y1 - y2) * log(a[2]) if last else log(a[1])
        return table(named("L", -L), z)
    return made


def softmax_model() -> XiTables:
    model, x, (y1, y2) = SoftmaxRegression(2, 3), letters("x1 x2"), letters("y1 y2")
    a = [named(f"ŷ{i}", p) for i, p in enumerate(softmax([named(f"z{i}", z) for i, z in enumerate(model.z(x), 1)]), 1)]
    return table(named("L", -(y1 * log(a[0]) + y2 * log(a[1]) + (1 - y1 - y2) * log(a[2]))), model=model)


def two_classes() -> XiTables:
    z, y1 = letters("z1 z2"), Value(1.0, label="y1")
    a = [named(f"ŷ{i}", p) for i, p in enumerate(softmax(z), 1)]
    return table(named("L", -(y1 * log(a[0]) + (1 - y1) * log(a[1]))), z)


def negative_log_likelihood() -> XiTables:
    z = letters("z1 z2 z3")
    return table(named("L", logsumexp(z) - z[1]), z, rows="named")


def perceptron() -> XiTables:
    t0, t1, x, y = Value(0.3, label="θ0"), Value(0.2, label="θ1"), Value(0.5, label="x"), Value(-1.0, label="y")
    return table(named("L", perceptron_loss(named("z", t0 + t1 * x), y)), [t0, t1])


def neuron() -> XiTables:
    model = Neuron(2, "sigmoid", rng=0)
    z = named("z", model.z(letters("x1 x2")))
    return table(named("a", model.g(z)), model=model)


def layer() -> XiTables:
    model = Layer(2, 2, "sigmoid", rng=0)
    return table(named("h1", model(letters("x1 x2"))[0]), model=model, rows="named")


def half_square() -> XiTables:
    yhat, y = letters("ŷ y")
    return table(named("L", squared_error(yhat, y)), yhat, rows="named")


def regularised() -> XiTables:
    """CS539: two examples and two weights."""
    n, lam, *rest = letters("n λ L1 L2 Θ1 Θ2")
    return table(named("J", 1 / n * (rest[0] + rest[1]) + lam / (2 * n) * (rest[2] ** 2 + rest[3] ** 2)), rest[2:])


def regularised_model() -> XiTables:
    """The update of CS539 with J differentiated as it is written: λ/n, and not λ, times Θ."""
    n, lam, theta, *data = letters("n λ Θ x⁽¹⁾ x⁽²⁾ y⁽¹⁾ y⁽²⁾")
    a = [named(s, sigmoid(theta * x)) for s, x in zip(("a⁽¹⁾", "a⁽²⁾"), data[:2], strict=True)]
    losses = [-(y * log(p) + (1 - y) * log(1 - p)) for p, y in zip(a, data[2:], strict=True)]
    return table(named("J", (losses[0] + losses[1]) / n + lam / (2 * n) * theta ** 2), theta)


MODELS: dict[str, tuple[Callable[[], XiTables], Cells]] = {
    "CS109B, linear regression": (linear_regression, {
        "f": "(y − β0 − β1·x)²", "df/dβ0": "−2·(y − β0 − β1·x)", "df/dβ1": "−2·x·(y − β0 − β1·x)"}),
    "CS109B, linear regression, Σ": (linear_regression_of_two, {
        "f": "(y1 − β0 − β1·x1)² + (y2 − β0 − β1·x2)²",
        "df/dβ0": "−2·(y1 − β0 − β1·x1) − 2·(y2 − β0 − β1·x2)",
        "df/dβ1": "−2·x1·(y1 − β0 − β1·x1) − 2·x2·(y2 − β0 − β1·x2)"}),
    "CS109B, the closed form": (closed_form, {
        "β1": "((x1 − x̄)·(y1 − ȳ) + (x2 − x̄)·(y2 − ȳ))/((x1 − x̄)² + (x2 − x̄)²)", "β0": "ȳ − β1·x̄"}),
    "CS109B, ∂h/∂β": (the_first_line, {"h": "β0 + β1·x", "∂h/∂β0": "1", "∂h/∂β1": "x"}),   # erratum: "dL/dβ0 = 1"
    "all five, logistic regression": (logistic_regression, {
        "z": "w·x + b", "a": "σ(z)", "L": "−(y·log a + (1 − y)·log(1 − a))",
        "∂L/∂a": "(a − y)/(a·(1 − a))", "∂a/∂z": "a·(1 − a)", "∂z/∂w": "x", "∂z/∂b": "1",
        "dL/dw": "(a − y)·x", "dL/db": "a − y"}),
    "all five, ∂L/∂a": (by_the_activation, {"dL/da": "(a − y)/(a·(1 − a))"}),
    "all five, ∂L/∂a, −y/a": (one_part(True), {"dL/da": "−y/a"}),
    "all five, ∂L/∂a, (1 − y)/(1 − a)": (one_part(False), {"dL/da": "(1 − y)/(1 − a)"}),   # erratum of CS109B and CS109: +
    "all five, σ(z)": (logistic_from_exp, {"a": "1/(1 + e^(−z))", "∂a/∂z": "a·(1 − a)"}),
    "all five, (ŷ − y)xᵢ": (logistic_model, {
        "ŷ": "σ(θ0 + θ1·x1 + θ2·x2)", "dL/dθ0": "ŷ − y", "dL/dθ1": "(ŷ − y)·x1", "dL/dθ2": "(ŷ − y)·x2"}),
    "CS230, (A − Y)Xᵀ": (many_examples, {
        "a⁽¹⁾": "σ(w1·x⁽¹⁾₁ + w2·x⁽¹⁾₂ + b)",
        "∂J/∂a⁽¹⁾": "(a⁽¹⁾ − y⁽¹⁾)/(a⁽¹⁾·(1 − a⁽¹⁾))",   # erratum: printed with a sum over the examples
        "dJ/dw1": "(a⁽¹⁾ − y⁽¹⁾)·x⁽¹⁾₁ + (a⁽²⁾ − y⁽²⁾)·x⁽²⁾₁", "dJ/dw2": "(a⁽¹⁾ − y⁽¹⁾)·x⁽¹⁾₂ + (a⁽²⁾ − y⁽²⁾)·x⁽²⁾₂",
        "dJ/db": "a⁽¹⁾ − y⁽¹⁾ + a⁽²⁾ − y⁽²⁾"}),
    "CS109, ascent": (ascent(lambda y, z: y * log(sigmoid(z)) + (1 - y) * log(1 - sigmoid(z))), {
        "dLL/dθ0": "y⁽¹⁾ − σ(θ0 + θ1·x⁽¹⁾) + y⁽²⁾ − σ(θ0 + θ1·x⁽²⁾)",
        "dLL/dθ1": "(y⁽¹⁾ − σ(θ0 + θ1·x⁽¹⁾))·x⁽¹⁾ + (y⁽²⁾ − σ(θ0 + θ1·x⁽²⁾))·x⁽²⁾"}),
    "CS109, ascent, in stable form": (ascent(lambda y, z: y * log_sigmoid(z) + (1 - y) * log_sigmoid(-z)), {
        "dLL/dθ1": "(y⁽¹⁾ − σ(θ0 + θ1·x⁽¹⁾))·x⁽¹⁾ + (y⁽²⁾ − σ(θ0 + θ1·x⁽²⁾))·x⁽²⁾"}),
    "CS114, CS539, softmax": (softmax_rows(True), {
        "ŷ1": "e^z1/(e^z1 + e^z2 + e^z3)", "ŷ2": "e^z2/(e^z1 + e^z2 + e^z3)", "ŷ3": "e^z3/(e^z1 + e^z2 + e^z3)",
        "∂ŷ1/∂z1": "ŷ1·(1 − ŷ1)", "∂ŷ1/∂z2": "−ŷ1·ŷ2", "∂ŷ1/∂z3": "−ŷ1·ŷ3",
        "∂ŷ2/∂z1": "−ŷ1·ŷ2", "∂ŷ2/∂z2": "ŷ2·(1 − ŷ2)", "∂ŷ2/∂z3": "−ŷ2·ŷ3",
        "∂ŷ3/∂z1": "−ŷ1·ŷ3", "∂ŷ3/∂z2": "−ŷ2·ŷ3", "∂ŷ3/∂z3": "ŷ3·(1 − ŷ3)",
        "L": "−(y1·log ŷ1 + y2·log ŷ2 + (1 − y1 − y2)·log ŷ3)",
        "dL/dz1": "ŷ1 − y1", "dL/dz2": "ŷ2 − y2", "dL/dz3": "ŷ3 − 1 + y1 + y2"}),
    "CS539, −log a_y": (softmax_rows(False), {"L": "−log ŷ2", "∂L/∂ŷ2": "−1/ŷ2", "dL/dz2": "ŷ2 − 1"}),
    "CS539, −log a_y from logits": (negative_log_likelihood, {"dL/dz1": "e^z1/(e^z1 + e^z2 + e^z3)"}),
    "CS114, CS539, (ŷ_c − y_c)xᵢ": (softmax_model, {
        "z1": "b1 + W₁₁·x1 + W₁₂·x2", "∂z1/∂W₁₂": "x2", "∂z1/∂b1": "1",
        "dL/dW₁₁": "(ŷ1 − y1)·x1", "dL/dW₁₂": "(ŷ1 − y1)·x2", "dL/db1": "ŷ1 − y1",
        "dL/dW₂₁": "(ŷ2 − y2)·x1", "dL/dW₂₂": "(ŷ2 − y2)·x2", "dL/db2": "ŷ2 − y2"}),
    "CS539, two classes": (two_classes, {"∂ŷ1/∂z1": "ŷ1·(1 − ŷ1)", "∂ŷ1/∂z2": "−ŷ1·ŷ2", "dL/dz1": "ŷ1 − y1"}),
    "CS539, perceptron": (perceptron, {
        "z": "θ0 + θ1·x", "L": "max(0, −y·z)", "dL/dθ0": "−y·[y·z < 0]", "dL/dθ1": "−y·x·[y·z < 0]"}),
    "CS109, a neuron": (neuron, {"z": "b + w1·x1 + w2·x2", "a": "σ(z)", "∂a/∂z": "a·(1 − a)", "∂z/∂w2": "x2", "∂z/∂b": "1"}),
    "CS109, h = f(Wᵀx + b)": (layer, {   # erratum: ∂h_j/∂θ_ij = h_j(1 − h_j)·x_i, printed with x_j
        "h1": "σ(b1 + W₁₁·x1 + W₁₂·x2)", "∂h1/∂W₁₁": "h1·(1 − h1)·x1", "∂h1/∂W₁₂": "h1·(1 − h1)·x2",
        "∂h1/∂b1": "h1·(1 − h1)"}),
    "CS539, squared error": (half_square, {"L": "0.5·(ŷ − y)·(ŷ − y)", "dL/dŷ": "ŷ − y"}),
    "CS539, J(Θ)": (regularised, {
        "J": "1/n·(L1 + L2) + ξ9", "ξ9": "λ/(2·n)·ξ8", "ξ8": "ξ6 + ξ7", "ξ6": "Θ1²", "dJ/dΘ1": "λ·Θ1/n", "dJ/dΘ2": "λ·Θ2/n"}),
    "CS539, D = Δ/n + λ/n·Θ": (regularised_model, {
        "dJ/dΘ": "(a⁽¹⁾ − y⁽¹⁾)·x⁽¹⁾/n + (a⁽²⁾ − y⁽²⁾)·x⁽²⁾/n + Θ·λ/n"}),
}


# ---- §2. activations: a = g(z)

def activation(g: Callable[..., Value], symbols: str = "z") -> Callable[[], XiTables]:
    return lambda: table(named("a", g(*letters(symbols))), rows="named")


def exponential_tanh(z: Value) -> Value:
    return (exp(z) - exp(-z)) / (exp(z) + exp(-z))


ACTIVATION_TABLE: dict[str, tuple[Callable[[], XiTables], Cells]] = {
    "Heaviside step": (activation(heaviside), {"a": "H(z)", "∂a/∂z": "0"}),
    "sign": (activation(sign), {"a": "sgn z", "∂a/∂z": "0"}),
    "linear": (activation(lambda z: 1 * z), {"da/dz": "1"}),
    "piece-wise linear": (activation(piecewise_linear), {
        "a": "min(max(z + 0.5, 0), 1)", "da/dz": "H(1 − max(z + 0.5, 0))·H(z + 0.5)"}),
    "piece-wise linear, clip": (activation(lambda z: clip(z + 0.5, 0, 1)), {
        "a": "clip(z + 0.5, 0, 1)", "∂a/∂z": "[z + 0.5 = a]"}),
    "logistic": (activation(sigmoid), {"a": "σ(z)", "∂a/∂z": ("a·(1 − a)", "σ(z)·σ(−z)")}),
    "tanh": (activation(tanh), {"a": "tanh z", "∂a/∂z": ("1 − a²", "1/(cosh z)²")}),
    "tanh, by exponentials": (activation(exponential_tanh), {
        "a": "(e^z − e^(−z))/(e^z + e^(−z))", "da/dz": "4·e^z·e^(−z)/(e^z + e^(−z))²"}),
    "ReLU": (activation(relu), {"a": "max(0, z)", "∂a/∂z": "[z > 0]"}),
    "leaky ReLU": (activation(lambda z: maximum(0, z) + 0.01 * minimum(0, z)), {
        "a": "max(0, z) + 0.01·min(0, z)", "da/dz": "H(z) + 0.01·H(−z)"}),
    "leaky ReLU, by relu": (activation(lambda z: leaky_relu(z, 0.01)), {
        "a": "max(0, z) − 0.01·max(0, −z)", "da/dz": "[z > 0] + 0.01·[z < 0]"}),
    "generalised ReLU": (activation(lambda z, a: maximum(0, z) + a * minimum(0, z), "z α"), {
        "a": "max(0, z) + α·min(0, z)", "da/dz": "H(z) + α·H(−z)", "da/dα": "min(0, z)"}),
    "generalised ReLU, by relu": (activation(generalised_relu, "z α"), {
        "a": "max(0, z) − α·max(0, −z)", "da/dz": "[z > 0] + α·[z < 0]", "da/dα": "−max(0, −z)"}),
    "maxout of two": (activation(maxout, "z1 z2"), {
        "a": "max(z1, z2)", "∂a/∂z1": "H(z1 − z2)", "∂a/∂z2": "H(z2 − z1)"}),
    "maxout of three": (activation(maxout, "z1 z2 z3"), {
        "a": "max(z1, z2, z3)", "∂a/∂z2": "[z2 = a]/([z1 = a] + [z2 = a] + [z3 = a])"}),
    "softplus": (activation(softplus), {"a": "log(1 + e^z)", "∂a/∂z": "σ(z)"}),
    "softplus, by exp": (activation(lambda z: log(1 + exp(z))), {"a": "log(1 + e^z)", "da/dz": "e^z/(1 + e^z)"}),
    "swish": (activation(silu), {"a": "z·σ(z)", "da/dz": "(1 + z·σ(−z))·σ(z)"}),
}


# ---- §3. learning

def indices(symbol: str, values: Sequence[Value]) -> list[Value]:
    """a⁽²⁾₁, a⁽²⁾₂ …; of one a⁽³⁾."""
    return [named(symbol + ("₁₂₃"[j] if len(values) > 1 else ""), v) for j, v in enumerate(values)]


def network(biases: bool) -> Callable[[], XiTables]:
    """CS539: two inputs, two hidden units, one output; every a and z by its name."""
    def made() -> XiTables:
        model, y = MLP(2, [2, 1], "sigmoid", "sigmoid", bias=biases, rng=0), Value(1.0, label="y")
        a, z = model.forward_pass(letters("x1 x2"))
        for layer in (0, 1):
            indices(f"z⁽{'²³'[layer]}⁾", z[layer])
            indices(f"a⁽{'²³'[layer]}⁾", a[layer + 1])
        return table(cross_entropy_of(y, a[-1][0]), model=model)
    return made


def one_hidden_unit() -> XiTables:
    x, t1, t2, y = letters("x Θ⁽¹⁾ Θ⁽²⁾ y")
    a2 = named("a⁽²⁾", sigmoid(named("z⁽²⁾", t1 * x)))
    a3 = named("a⁽³⁾", sigmoid(named("z⁽³⁾", t2 * a2)))
    return table(cross_entropy_of(y, a3), [t1, t2])


def deltas(by: str) -> Callable[[], XiTables]:
    """CS114: two hidden units J, two outputs K: δ_K = ŷ − y, δ_J = (W_Kᵀ · δ_K) ⊙ σ′(z_J), ∇ = δ xᵀ."""
    def made() -> XiTables:
        z, y = letters("z_J1 z_J2"), letters("y1 y2")
        W = [letters("W₁₁ W₁₂"), letters("W₂₁ W₂₂", 0.6)]
        a = [named(f"a{j}", sigmoid(v)) for j, v in enumerate(z, 1)]
        zK = [named(f"z_K{k}", row[0] * a[0] + row[1] * a[1]) for k, row in enumerate(W, 1)]
        yhat = [named(f"ŷ{k}", sigmoid(v)) for k, v in enumerate(zK, 1)]
        L = named("L", reduce(add, [-(t * log(p) + (1 - t) * log(1 - p)) for t, p in zip(y, yhat, strict=True)]))
        return table(L, {"J": z, "K": zK, "W": [*z, *W[0], *W[1]]}[by])
    return made


LEARNING: dict[str, tuple[Callable[[], XiTables], Cells]] = {
    "CS539, forward pass": (network(True), {
        "z⁽²⁾₁": "Θ⁽¹⁾₁₀ + Θ⁽¹⁾₁₁·x1 + Θ⁽¹⁾₁₂·x2", "a⁽²⁾₁": "σ(z⁽²⁾₁)",
        "z⁽²⁾₂": "Θ⁽¹⁾₂₀ + Θ⁽¹⁾₂₁·x1 + Θ⁽¹⁾₂₂·x2", "a⁽²⁾₂": "σ(z⁽²⁾₂)",
        "z⁽³⁾": "Θ⁽²⁾₁₀ + Θ⁽²⁾₁₁·a⁽²⁾₁ + Θ⁽²⁾₁₂·a⁽²⁾₂", "a⁽³⁾": "σ(z⁽³⁾)"}),
    "CS539, ∂L/∂Θ⁽²⁾ = a⁽²⁾(a⁽³⁾ − y)": (network(True), {
        "dL/dΘ⁽²⁾₁₀": "a⁽³⁾ − y", "dL/dΘ⁽²⁾₁₁": "(a⁽³⁾ − y)·a⁽²⁾₁", "dL/dΘ⁽²⁾₁₂": "(a⁽³⁾ − y)·a⁽²⁾₂"}),
    "CS539, ∂L/∂Θ⁽¹⁾ = (a⁽³⁾ − y)·Θ⁽²⁾·a⁽²⁾(1 − a⁽²⁾)·x": (network(True), {
        "dL/dΘ⁽¹⁾₁₀": "(a⁽³⁾ − y)·Θ⁽²⁾₁₁·a⁽²⁾₁·(1 − a⁽²⁾₁)", "dL/dΘ⁽¹⁾₁₁": "(a⁽³⁾ − y)·Θ⁽²⁾₁₁·a⁽²⁾₁·(1 − a⁽²⁾₁)·x1",
        "dL/dΘ⁽¹⁾₁₂": "(a⁽³⁾ − y)·Θ⁽²⁾₁₁·a⁽²⁾₁·(1 − a⁽²⁾₁)·x2", "dL/dΘ⁽¹⁾₂₀": "(a⁽³⁾ − y)·Θ⁽²⁾₁₂·a⁽²⁾₂·(1 − a⁽²⁾₂)",
        "dL/dΘ⁽¹⁾₂₁": "(a⁽³⁾ − y)·Θ⁽²⁾₁₂·a⁽²⁾₂·(1 − a⁽²⁾₂)·x1", "dL/dΘ⁽¹⁾₂₂": "(a⁽³⁾ − y)·Θ⁽²⁾₁₂·a⁽²⁾₂·(1 − a⁽²⁾₂)·x2"}),
    "CS539, without biases": (network(False), {
        "dL/dΘ⁽²⁾₁₁": "(a⁽³⁾ − y)·a⁽²⁾₁", "dL/dΘ⁽¹⁾₂₁": "(a⁽³⁾ − y)·Θ⁽²⁾₁₂·a⁽²⁾₂·(1 − a⁽²⁾₂)·x1"}),
    "CS539, one hidden unit": (one_hidden_unit, {
        "dL/dΘ⁽²⁾": "(a⁽³⁾ − y)·a⁽²⁾", "dL/dΘ⁽¹⁾": "(a⁽³⁾ − y)·Θ⁽²⁾·a⁽²⁾·(1 − a⁽²⁾)·x"}),
    "CS114, δ_K": (deltas("K"), {"dL/dz_K1": "ŷ1 − y1", "dL/dz_K2": "ŷ2 − y2"}),
    "CS114, δ_J": (deltas("J"), {   # erratum of CS539: the "intuition" δ = Θᵀδ leaves out a(1 − a)
        "dL/dz_J1": "((ŷ1 − y1)·W₁₁ + (ŷ2 − y2)·W₂₁)·a1·(1 − a1)",
        "dL/dz_J2": "((ŷ1 − y1)·W₁₂ + (ŷ2 − y2)·W₂₂)·a2·(1 − a2)"}),
    "CS114, ∇ = δ xᵀ": (deltas("W"), {   # erratum: printed δ ⊙ x
        "dL/dW₁₁": "(ŷ1 − y1)·a1", "dL/dW₁₂": "(ŷ1 − y1)·a2", "dL/dW₂₁": "(ŷ2 − y2)·a1", "dL/dW₂₂": "(ŷ2 − y2)·a2"}),
}

CASES = TABLES | MODELS | {f"activation, {name}": case for name, case in ACTIVATION_TABLE.items()} | LEARNING


@cache
def printed(case: str) -> dict[str, tuple[str, ...]]:
    """{ξ1: its variable; ∂ξ1/∂W, dL/dW: the derivative, and the same in terms of the leaves}"""
    found: dict[str, tuple[str, ...]] = {}
    (_, *rows), *_ = [one.cells(TEXT) for one in CASES[case][0]().tables]
    for row, variable, by, derivative, leaves in rows:
        if row:
            found[row] = (variable,)
        if by:
            found[by] = (derivative or leaves, leaves)
    return found


@pytest.mark.parametrize(("case", "cell"), [(case, cell) for case, (_, cells) in CASES.items() for cell in cells])
def test_the_table_prints_the_lectures_formula(case: str, cell: str) -> None:
    expected = CASES[case][1][cell]
    found = printed(case)[cell]
    assert (found if isinstance(expected, tuple) else found[0]) == expected


# ---- §1. the values of part A at X = 3, y = 1, W = 3, as the lecture writes them

FORWARD = {   # value, value of the local partial, dξn/dW: the running product from the first row down
    "ξ1": ("−9", "−3", "−3"),
    "ξ2": ("e⁻⁹ = 0.0001234098", "e⁻⁹ = 0.0001234098", "−3·e⁻⁹ = −0.00037022941"),
    "ξ3": ("1 + e⁻⁹ = 1.0001234", "1", "−3·e⁻⁹ = −0.00037022941"),
    "ξ4": ("1/(1 + e⁻⁹) = 0.99987661", "−1/(1 + e⁻⁹)² = −0.99975323",   # erratum: printed without its minus sign,
           "3·e⁻⁹/(1 + e⁻⁹)² = 0.00037013805"),                         # and so all signs from here on
    "ξ5": ("log(1/(1 + e⁻⁹)) = −0.00012340219", "1 + e⁻⁹ = 1.0001234", "3·e⁻⁹/(1 + e⁻⁹) = 0.00037018373"),
    "L_A": ("−log(1/(1 + e⁻⁹)) = 0.00012340219", "−1", "−3·e⁻⁹/(1 + e⁻⁹) = −0.00037018373"),   # …372 where it is cut off
}
BACKWARD = {   # dL/dξn: the running product from the last row up
    "W": "−3·e⁻⁹/(1 + e⁻⁹) = −0.00037018373", "ξ1": "e⁻⁹/(1 + e⁻⁹) = 0.00012339458", "ξ2": "1/(1 + e⁻⁹) = 0.99987661",
    "ξ3": "1/(1 + e⁻⁹) = 0.99987661", "ξ4": "−(1 + e⁻⁹) = −1.0001234", "ξ5": "−1", "L_A": "1",
}


def test_the_forward_table() -> None:
    """Its last column is headed dL/dξn on the slide; it is dξn/dW."""
    head, *rows = part_a().tables[1].cells(TEXT)
    assert head == ["row", "value", "partial", "value of partial", "dξn/dW"]
    assert {name: (value, partial, running) for name, value, _, partial, running in rows} == FORWARD


def test_the_backward_table_stores_the_same_values() -> None:
    head, *rows = part_a().tables[2].cells(TEXT)
    assert head == ["row", "value", "partial", "value of partial", "dL_A/dξn"]
    assert {name: running for name, *_, running in rows} == BACKWARD
    assert {name: (value, partial) for name, value, _, partial, _ in rows[1:]} == {
        name: (value, partial) for name, (value, partial, _) in FORWARD.items()}


@pytest.mark.parametrize("case", ["CS109B, part A", "CS109B, part B"])
def test_the_records_say_what_the_table_prints(case: str) -> None:
    for row in CASES[case][0]().records():
        [partial] = row["partials"]
        assert (row["variable"],) == printed(case)[row["name"]]
        assert (partial["formula"], partial["in_leaves"]) == printed(case)[f"∂{row['name']}/∂{partial['by']}"]


# ---- §3. the multivariable chain rule: the product along each path, the sum over the paths

def paths_to_the_cross_entropy() -> Any:
    y, a = letters("y a")
    return paths(cross_entropy_of(y, a), a)


def paths_to_two_outputs() -> Any:
    z, *w = letters("z W₁ W₂")
    a = named("a", sigmoid(z))
    yhat = [named(f"ŷ{k}", sigmoid(v * a)) for k, v in enumerate(w, 1)]
    return paths(named("L", reduce(add, [-(t * log(p) + (1 - t) * log(1 - p))
                                         for t, p in zip(letters("y1 y2"), yhat, strict=True)])), z)


PATHS: dict[str, tuple[Callable[[], Any], list[tuple[str, str]]]] = {
    "∂L/∂a": (paths_to_the_cross_entropy, [
        ("a → ξ1 → ξ2 → L", "(1/a)·y·(−1)"), ("a → ξ3 → ξ4 → L", "(−1/(1 − a))·(1 − y)·(−1)"),
        ("dL/da", "(a − y)/(a·(1 − a))")]),
    "δ_J": (paths_to_two_outputs, [
        ("z → a → ŷ1 → L", "(a·(1 − a))·(ŷ1·(1 − ŷ1)·W₁)·((ŷ1 − y1)/(ŷ1·(1 − ŷ1)))"),
        ("z → a → ŷ2 → L", "(a·(1 − a))·(ŷ2·(1 − ŷ2)·W₂)·((ŷ2 − y2)/(ŷ2·(1 − ŷ2)))"),
        ("dL/dz", "((ŷ1 − y1)·W₁ + (ŷ2 − y2)·W₂)·a·(1 − a)")]),
}


@pytest.mark.parametrize("case", PATHS)
def test_paths(case: str) -> None:
    found, expected = PATHS[case]
    _, *rows = table(found()).tables[0].cells(TEXT)
    assert [(row[0], row[1]) for row in rows] == expected


# ---- derivatives of derivatives

def test_the_log_likelihood_is_concave() -> None:
    """CS109's erratum: it is said to be convex. Its second derivative is −σ(1 − σ)x²."""
    theta, x, y = letters("θ x y")
    p = sigmoid(theta * x)
    second = grad(grad(y * log(p) + (1 - y) * log(1 - p), theta), theta)
    assert str(written(simplify(second, {theta: "θ", x: "x", y: "y"}), TEXT)) == "−x²·σ(θ·x)·(1 − σ(θ·x))"


# ---- §2. boolean functions, and the tables of the lectures that are in words

@pytest.mark.parametrize(("x1", "x2", "value"), [
    (0, 0, "σ(−30) = 9.3576230·10⁻¹⁴"), (0, 1, "σ(−10) = 4.5397869·10⁻⁵"), (1, 0, "σ(−10) = 4.5397869·10⁻⁵"),
    (1, 1, "σ(10) = 0.9999546")])
def test_boolean_and(x1: float, x2: float, value: str) -> None:
    """CS539: g(−30 + 20x1 + 20x2)."""
    a, b = Value(x1, label="x1"), Value(x2, label="x2")
    found = table(named("h", sigmoid(-30 + 20 * a + 20 * b)), rows="named")
    assert found.tables[0].cells(TEXT)[1][:2] == ["h", "σ(−30 + 20·x1 + 20·x2)"]
    assert found.tables[1].cells(TEXT)[1][1] == value.replace("9.3576230", "9.357623")


@pytest.mark.parametrize("name", GATES)
def test_boolean_functions_are_sums_of_their_weights(name: str) -> None:
    """CS539: OR, NOT x1 AND NOT x2, and XNOR by layering them."""
    theta = GATES[name][-1][0]
    xs = letters(" ".join([f"a{i}" for i in range(1, len(theta))]))
    terms = [f"{'−' if t < 0 else '+'} {abs(t)}·{x.label}" for t, x in zip(theta[1:], xs, strict=True)]
    z = named("z", reduce(add, [t * x for t, x in zip(theta[1:], xs, strict=True)], theta[0]))
    assert table(z, rows="named").tables[0].cells(TEXT)[1][1] == f"{str(theta[0]).replace('-', '−')} {' '.join(terms)}"


def test_the_tables_in_words_say_what_is_computed() -> None:
    """What `ACTIVATIONS` and `OUTPUT_UNITS` print is what the table prints of the function itself."""
    equations = {"sigmoid": "all five, σ(z)", "tanh": "activation, tanh, by exponentials", "relu": "activation, ReLU",
                 "leaky_relu": "activation, leaky ReLU", "generalised_relu": "activation, generalised ReLU",
                 "softplus": "activation, softplus", "swish": "activation, swish"}
    for name, case in equations.items():
        assert ACTIVATIONS[name].equation == printed(case)["a"][0]
    assert f"ŷ = {printed('all five, σ(z)')['a'][0]}" in OUTPUT_UNITS["binary"].cells[1]
