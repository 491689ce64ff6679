"""The five lectures' formulas and numbers, computed."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograd import Value, exp, grad, log, logsumexp, maximum, minimum, relu, sigmoid, sign, silu, softmax, softplus, tanh
from autograd.functions import heaviside, leaky_relu
from autograd.steps import Steps, steps
from viz import table
from viz.formulas.algebra import simplify, written
from viz.formulas.notation import TEXT, formula

E9 = math.exp(-9)
moderate = st.floats(-4, 4)
probability = st.floats(0.01, 0.99)


def close(a: float, b: float, rel: float = 1e-12) -> bool:
    """Equal to `rel`, relative to numbers of size 1 and more: the closed forms themselves round."""
    return math.isclose(a, b, rel_tol=rel, abs_tol=rel)


def part_a(W: Value, X: Value, y: Value) -> Value:
    return -y * log(1 / (1 + exp(-W * X)))


def part_b(W: Value, X: Value, y: Value) -> Value:
    return -(1 - y) * log(1 - 1 / (1 + exp(-W * X)))


def leaves(y: float = 1) -> tuple[Value, Value, Value]:
    return Value(3, label="W"), Value(3, label="X"), Value(y, label="y")


def symbolic(found: Steps) -> list[tuple[str, str, str, str]]:
    """(row, variable, partial by the row before, the same in terms of the leaves), as text."""
    only_leaves = {v: name for v, name in found.names.items() if not v.args}
    rows = []
    for step in found.rows:
        others = {v: name for v, name in found.names.items() if v is not step.node}
        partial = step.partials[-1]
        rows.append(
            (
                step.name,
                str(formula(step.node, others)),
                str(written(simplify(partial.formula, others), TEXT)),
                str(written(simplify(partial.formula, only_leaves), TEXT)),
            )
        )
    return rows


class TestXiTables:
    """CS109B, the ξ tables of the two parts of the logistic likelihood."""

    def test_part_a_has_the_lectures_rows_and_formulas(self) -> None:
        W, X, y = leaves()
        assert symbolic(steps(part_a(W, X, y), wrt=[W])) == [
            ("ξ1", "−W·X", "−X", "−X"),
            ("ξ2", "e^ξ1", "e^ξ1", "e^(−W·X)"),
            ("ξ3", "1 + ξ2", "1", "1"),
            ("ξ4", "1/ξ3", "−1/ξ3²", "−1/(1 + e^(−W·X))²"),
            ("ξ5", "log ξ4", "1/ξ4", "1 + e^(−W·X)"),
            ("L", "−y·ξ5", "−y", "−y"),
        ]

    def test_part_b_has_the_lectures_rows_and_formulas(self) -> None:
        W, X, y = leaves(0)
        assert symbolic(steps(part_b(W, X, y), wrt=[W])) == [
            ("ξ1", "−W·X", "−X", "−X"),
            ("ξ2", "e^ξ1", "e^ξ1", "e^(−W·X)"),
            ("ξ3", "1 + ξ2", "1", "1"),
            ("ξ4", "1/ξ3", "−1/ξ3²", "−1/(1 + e^(−W·X))²"),
            ("ξ5", "1 − ξ4", "−1", "−1"),
            ("ξ6", "log ξ5", "1/ξ5", "(1 + e^(−W·X))/e^(−W·X)"),
            ("L", "−(1 − y)·ξ6", "−(1 − y)", "−(1 − y)"),
        ]

    @pytest.mark.parametrize("part", [part_a, part_b])
    def test_the_rows_are_the_same_without_naming_the_variable(self, part: Callable[..., Value]) -> None:
        W, X, y = leaves()
        L = part(W, X, y)
        assert [(row.name, row.value) for row in steps(L).rows] == [(row.name, row.value) for row in steps(L, wrt=[W]).rows]

    @pytest.mark.parametrize(
        "form",
        [
            lambda W, X, y: -y * log(1 / (1 + exp(-W * X))),
            lambda W, X, y: -y * log(1 / (1 + exp(-(W * X)))),
            lambda W, X, y: -(y * log(1 / (1 + exp(-(W * X))))),
        ],
    )
    def test_however_the_minus_sign_is_written(self, form: Callable[..., Value]) -> None:
        W, X, y = leaves()
        assert [row[:2] for row in symbolic(steps(form(W, X, y), wrt=[W]))] == [
            ("ξ1", "−W·X"),
            ("ξ2", "e^ξ1"),
            ("ξ3", "1 + ξ2"),
            ("ξ4", "1/ξ3"),
            ("ξ5", "log ξ4"),
            ("L", "−y·ξ5"),
        ]

    def test_part_a_evaluated(self) -> None:
        W, X, y = leaves()
        found = steps(part_a(W, X, y), wrt=[W])
        q = 1 / (1 + E9)
        expected = [  # value, local partial, dξn/dW, dL/dξn
            (-9, -3, -3, q * E9),
            (E9, E9, -3 * E9, q),
            (1 + E9, 1, -3 * E9, q),
            (q, -q * q, 3 * E9 * q * q, -(1 + E9)),
            (log(q), 1 + E9, 3 * E9 * q, -1),
            (-log(q), -1, -3 * E9 * q, 1),
        ]
        for row, numbers in zip(found.rows, expected, strict=True):
            for got, want in zip((row.value, row.partials[-1].number, row.tangents[0], row.adjoint), numbers, strict=True):
                assert math.isclose(got, want, rel_tol=1e-15)  # one or two roundings

    def test_the_derivative_to_the_last_bit(self) -> None:
        W, X, y = leaves()
        L = part_a(W, X, y)
        L.backward()
        found = steps(L, wrt=[W])
        assert W.grad == found.gradient[0] == found.rows[-1].tangents[0] == -0.00037018372795869517

    def test_part_b_evaluated(self) -> None:
        W, X, y = leaves(0)
        found = steps(part_b(W, X, y), wrt=[W])
        assert math.isclose(found.gradient[0], 3 / (1 + E9), rel_tol=1e-12)  # 1 − ξ4 has lost 13 of 53 bits

    def test_products_of_the_columns(self) -> None:
        W, X, y = leaves()
        assert "−y·X·e^(−W·X)/(1 + e^(−W·X))" in table(part_a(W, X, y), [W]).text()
        assert "(1 − y)·X/(1 + e^(−W·X))" in table(part_b(W, X, y), [W]).text()

    def test_numbers_print_as_in_the_lecture(self) -> None:
        W, X, y = leaves()
        text = table(part_a(W, X, y), [W]).text()
        for number in ("−9", "e⁻⁹", "1 + e⁻⁹", "1/(1 + e⁻⁹)", "log(1/(1 + e⁻⁹))", "3·e⁻⁹/(1 + e⁻⁹)²", "−0.00037018373"):
            assert number in text

    @given(W=moderate, X=moderate, y=st.floats(0, 1))
    def test_closed_forms(self, W: float, X: float, y: float) -> None:
        w, x, t = Value(W), Value(X), Value(y)
        e = math.exp(-W * X)
        assert close(grad(part_a(w, x, t), w).data, -y * X * e / (1 + e))
        assert close(grad(part_b(w, x, t), w).data, (1 - y) * X / (1 + e), 1e-9)  # 1 − ξ4 cancels


class TestModels:
    """Closed-form gradients of the models, written as scalar expressions."""

    @given(st.lists(st.tuples(moderate, moderate), min_size=2, max_size=6), moderate, moderate)
    def test_linear_regression(self, points: list[tuple[float, float]], at0: float, at1: float) -> None:
        b0, b1 = Value(at0), Value(at1)
        f: Value = sum(((y - b0 - b1 * x) ** 2 for x, y in points), Value(0))
        d0, d1 = grad(f, [b0, b1])
        residuals = [y - at0 - at1 * x for x, y in points]
        size = sum(abs(r) for r in residuals) + 1
        assert abs(d0.data + 2 * math.fsum(residuals)) < 1e-12 * size
        assert abs(d1.data + 2 * math.fsum(r * x for r, (x, _) in zip(residuals, points, strict=True))) < 1e-11 * size

    def test_gradient_descent_reaches_the_closed_form(self) -> None:
        xs, ys = [1.0, 2.0, 3.0, 5.0], [2.1, 3.9, 6.2, 9.8]
        mx, my = sum(xs) / 4, sum(ys) / 4
        slope = sum((x - mx) * (y - my) for x, y in zip(xs, ys, strict=True)) / sum((x - mx) ** 2 for x in xs)
        b0, b1 = Value(0.0), Value(0.0)
        for _ in range(4000):
            f: Value = sum(((y - b0 - b1 * x) ** 2 for x, y in zip(xs, ys, strict=True)), Value(0))
            b0.grad = b1.grad = 0.0
            f.backward()
            b0.data -= 0.02 * b0.grad
            b1.data -= 0.02 * b1.grad
        assert math.isclose(b1.data, slope, rel_tol=1e-9)
        assert math.isclose(b0.data, my - slope * mx, rel_tol=1e-9)

    @given(st.lists(moderate, min_size=1, max_size=4), moderate, st.sampled_from([0.0, 1.0]))
    def test_logistic_regression(self, x: list[float], b: float, y: float) -> None:
        w, bias = [Value(0.3 * i - 0.4) for i in range(len(x))], Value(b)
        z = sum((wi * xi for wi, xi in zip(w, x, strict=True)), bias)
        p = sigmoid(z)
        L = -(y * log(p) + (1 - y) * log(1 - p))
        *dw, db = grad(L, [*w, bias])
        assert close(db.data, p.data - y, 1e-9)  # 1 − p cancels in this form of the loss
        assert all(close(d.data, (p.data - y) * xi, 1e-9) for d, xi in zip(dw, x, strict=True))

    @given(probability, st.sampled_from([0.0, 1.0]))
    def test_the_factors_one_by_one(self, at: float, y: float) -> None:
        a = Value(at)
        assert close(grad(-(y * log(a) + (1 - y) * log(1 - a)), a).data, (at - y) / (at * (1 - at)), 1e-12)
        z = Value(math.log(at / (1 - at)))
        assert close(grad(sigmoid(z), z).data, at * (1 - at), 1e-12)

    def test_many_examples_and_ascent(self) -> None:
        X = [[1.0, 0.5, -1.2], [1.0, -0.3, 0.8], [1.0, 1.5, 0.1]]
        Y = [1.0, 0.0, 1.0]
        theta = [Value(0.0) for _ in range(3)]  # the intercept is x0 = 1
        LL = sum(
            (
                y * log(p) + (1 - y) * log(1 - p)
                for x, y in zip(X, Y, strict=True)
                for p in [sigmoid(sum((t * xi for t, xi in zip(theta, x, strict=True)), Value(0)))]
            ),
            Value(0),
        )
        for j, d in enumerate(grad(LL, theta)):
            assert close(d.data, sum((y - 0.5) * x[j] for x, y in zip(X, Y, strict=True)))

    @given(st.lists(moderate, min_size=2, max_size=5))
    def test_softmax_jacobian_and_cross_entropy(self, logits: list[float]) -> None:
        z = [Value(x) for x in logits]
        a = softmax(z)
        assert close(sum(p.data for p in a), 1)
        for i, p in enumerate(a):
            for j, d in enumerate(grad(p, z)):
                assert close(d.data, p.data * (1 - p.data) if i == j else -p.data * a[j].data)
        for k in range(len(z)):
            L = logsumexp(z) - z[k]
            assert close(L.data, -math.log(a[k].data), 1e-9)
            assert all(close(d.data, a[c].data - (c == k)) for c, d in enumerate(grad(L, z)))

    def test_boolean_and(self) -> None:
        g = [sigmoid(-30.0 + 20 * a + 20 * b) for a, b in ((0, 0), (0, 1), (1, 0), (1, 1))]
        assert [round(x) for x in g] == [0, 0, 0, 1]
        assert g[1] == g[2] == sigmoid(-10.0)
        assert math.isclose(g[0], math.exp(-30) / (1 + math.exp(-30)), rel_tol=1e-15)

    def test_xnor_by_layers(self) -> None:
        for a, b in ((0, 0), (0, 1), (1, 0), (1, 1)):
            both, neither = sigmoid(-30.0 + 20 * a + 20 * b), sigmoid(10.0 - 20 * a - 20 * b)
            assert round(sigmoid(-10 + 20 * both + 20 * neither)) == (a == b)

    @given(st.lists(moderate, min_size=12, max_size=12), st.tuples(moderate, moderate), st.sampled_from([0.0, 1.0]))
    def test_backpropagation_by_layers(self, at: list[float], x: tuple[float, float], y: float) -> None:
        """CS539: ∂L/∂Θ⁽²⁾ = (a⁽³⁾−y)·a⁽²⁾ and ∂L/∂Θ⁽¹⁾ = (a⁽³⁾−y)·Θ⁽²⁾·a⁽²⁾(1−a⁽²⁾)·x."""
        inputs = (1.0, *x)  # a0 = 1
        first = [[Value(0.3 * v) for v in at[3 * i : 3 * i + 3]] for i in range(3)]
        second = [Value(0.3 * v) for v in at[8:12]]
        hidden = [sigmoid(sum((t * a for t, a in zip(row, inputs, strict=True)), Value(0))) for row in first]
        a2 = [1.0, *[h.data for h in hidden]]
        a3 = sigmoid(sum((t * h for t, h in zip(second[1:], hidden, strict=True)), second[0]))
        L = -(y * log(a3) + (1 - y) * log(1 - a3))
        delta = a3.data - y
        for d, a in zip(grad(L, second), a2, strict=True):
            assert close(d.data, delta * a, 1e-9)
        for row, t, a in zip(first, second[1:], a2[1:], strict=True):
            for d, xi in zip(grad(L, row), inputs, strict=True):
                assert close(d.data, delta * t.data * a * (1 - a) * xi, 1e-9)

    def test_parameter_counts(self) -> None:
        assert sum((s + 1) * t for s, t in pairwise([3, 3, 1])) == 3 * 4 + 1 * 4

    def test_perturbing_each_weight_agrees(self) -> None:
        """Trial and error, the slow alternative: one forward pass for every weight."""
        w = [Value(v) for v in (0.2, -0.5, 0.9)]

        def loss(w: Sequence[float | Value]) -> Value:
            return tanh(w[0] * 1.5 + w[1] * -2.0 + w[2]) ** 2 + 0 * w[0]  # type: ignore[return-value]

        for i, d in enumerate(grad(loss(w), w)):
            h = 1e-6
            up, down = ([Value(v.data + s * h * (i == j)) for j, v in enumerate(w)] for s in (1, -1))
            assert math.isclose(d.data, (loss(up).data - loss(down).data) / (2 * h), rel_tol=1e-8)


@pytest.mark.parametrize(
    ("f", "equation", "slope"),
    [
        (heaviside, lambda z: 0.0 if z < 0 else 1.0, lambda z: 0.0),
        (sign, lambda z: math.copysign(1, z), lambda z: 0.0),
        (lambda z: minimum(maximum(z + 0.5, 0.0), 1.0), lambda z: min(max(z + 0.5, 0), 1), lambda z: float(-0.5 < z < 0.5)),
        (sigmoid, lambda z: 1 / (1 + math.exp(-z)), lambda z: math.exp(-z) / (1 + math.exp(-z)) ** 2),
        (tanh, math.tanh, lambda z: 1 / math.cosh(z) ** 2),
        (relu, lambda z: max(0.0, z), lambda z: float(z > 0)),
        (lambda z: leaky_relu(z, 0.1), lambda z: z if z > 0 else 0.1 * z, lambda z: 1.0 if z > 0 else 0.1),
        (softplus, lambda z: math.log(1 + math.exp(z)), lambda z: 1 / (1 + math.exp(-z))),
        (
            silu,
            lambda z: z / (1 + math.exp(-z)),
            lambda z: 1 / (1 + math.exp(-z)) + z * math.exp(-z) / (1 + math.exp(-z)) ** 2,
        ),
    ],
    ids=["heaviside", "sign", "piecewise", "logistic", "tanh", "relu", "leaky", "softplus", "swish"],
)
@given(at=st.floats(-5, 5).filter(lambda z: min(abs(z), abs(abs(z) - 0.5)) > 1e-3))
def test_activations(f: Callable[..., Value], equation: Callable[..., float], slope: Callable[..., float], at: float) -> None:
    z = Value(at)
    assert close(f(z).data, equation(at))
    assert close(grad(f(z), z).data, slope(at))


def test_activations_at_their_kinks() -> None:
    z = Value(0.0)
    assert (heaviside(z).data, sign(z).data, relu(z).data) == (0.5, 0.0, 0.0)
    assert [grad(f, z).data for f in (heaviside(z), sign(z), relu(z), abs(z))] == [0.0, 0.0, 0.0, 0.0]


def test_generalised_relu_learns_its_slope() -> None:
    z, alpha = Value(-2.0), Value(0.25)
    y = maximum(z, 0.0) + alpha * minimum(z, 0.0)
    assert (y.data, *[d.data for d in grad(y, [z, alpha])]) == (-0.5, 0.25, -2.0)
