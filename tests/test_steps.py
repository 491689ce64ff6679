"""The ξ table of any expression: rows, names, sums over paths, and print in every format."""

import io
import json
import math
import re
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autograd import (
    Value,
    errstate,
    exp,
    grad,
    heaviside,
    jvp,
    log,
    log1p,
    log_sigmoid,
    logsumexp,
    maximum,
    minimum,
    primitive,
    relu,
    sigmoid,
    step,
    tanh,
)
from autograd.steps import Steps, steps, xi_names
from viz import Table, XiTables, table, to_ascii
from viz.formulas.algebra import TooLong, simplify, written
from viz.formulas.columns import broken
from viz.formulas.expressions import Atom, Call, Expr, Symbol
from viz.formulas.notation import HTML, LATEX, TEXT, formula, width

HOSTILE = [
    "</script><script>alert(1)</script>",
    '"]; evil [URL="javascript:alert(1)',
    "a|b$c`d**e\\f{g}h_i^j~k&l%m#n",
    "\x00\x1b[31m\n\r",
    "\u202eabc",
    "🧮" * 3,
    "x" * 10_000,
    "",
    " ",
    "\\end{array}\\input{/etc/passwd}",
]


def test_named_nodes_are_the_rows_where_there_are_any() -> None:
    w, x = Value(2.0, label="w"), Value(3.0, label="x")
    z = w * x + 1
    z.label = "z"
    L = tanh(z) * 2
    assert [row.name for row in steps(L).rows] == ["z", "L"]
    assert [row.name for row in steps(L, rows="all").rows] == ["ξ1", "z", "ξ2", "L"]
    assert [row.name for row in steps(L, rows="named").rows] == ["z", "L"]


def logistic() -> tuple[Value, Value, Value]:
    """The loss, p and W."""
    W, X, y = Value(3.0, label="W"), Value(3.0, label="X"), Value(1.0, label="y")
    p = 1 / (1 + exp(-W * X))
    p.label = "p"
    return -(y * log(p) + (1 - y) * log(1 - p)), p, W


def names(found: Steps) -> list[str]:
    return [step.name for step in found.rows]


def test_rows_are_chosen_by_value_and_by_name() -> None:
    L, p, W = logistic()
    assert names(steps(L, W, rows=["ξ2", p])) == names(steps(L, W, rows=["p", "ξ2", "L"])) == ["ξ2", "p", "L"]
    assert names(steps(L, W, rows=[])) == ["L"]
    assert steps(L, W, rows=["ξ2"]).gradient == steps(L, W).gradient
    for row in ("ξ99", W, 3, None, [p]):
        with pytest.raises(ValueError, match=r"which is no row: there are .*ξ1"):
            steps(L, W, rows=["ξ2", row])  # type: ignore[list-item]


def test_sums_of_products_are_one_row() -> None:
    w, x = [Value(1.0, label="w1"), Value(2.0, label="w2")], [Value(3.0, label="x1"), Value(4.0, label="x2")]
    b = Value(5.0, label="b")
    z = w[0] * x[0] + w[1] * x[1] + b
    assert names(steps(tanh(z), rows="all")) == ["ξ1", "ξ2", "ξ3", "ξ4", "L"]
    [row, _] = steps(tanh(z), rows="sums").rows
    assert row.name == "ξ4" and [q.number for q in row.partials] == [3.0, 4.0, 1.0, 2.0, 1.0]
    used_twice = w[0] * x[0]
    assert names(steps(used_twice * (used_twice + b), rows="sums")) == ["ξ1", "ξ2", "L"]
    used_twice.label = "h"
    assert names(steps(used_twice + b, rows="sums")) == ["h", "L"]


def test_an_alias_is_beside_the_number_of_a_row() -> None:
    L, p, W = logistic()
    found = steps(L, W, alias=True)
    assert names(found) == [f"ξ{i}" for i in range(1, 10)] + ["L"]
    assert (found.names[p], found.labels[p]) == ("ξ4", "p")
    head, *rows = table(L, W, alias=True).tables[0].cells(TEXT)
    assert head[:4] == ["row", "variable", "alias", "partial"] and rows[3][:3] == ["ξ4", "1/ξ3", "= p"]
    assert [row[2] for row in rows if row[2]] == ["= p"] and rows[-1][3:5] == ["dL/dW", "(p − y)·X"]
    assert names(steps(L, W, rows="named", alias=True)) == ["ξ4", "L"]
    L.label = "L_A"   # the name of the result stays
    assert names(steps(L, W, alias=True))[-1] == "L_A"
    twin = p * 1.0
    twin.label = "p"
    assert {*steps(twin * p, W, alias=True).labels.values()} == {"W", "X", "p", "p′"}


def test_the_lectures_layout_has_all_in_one_table() -> None:
    L, _, W = logistic()
    [one] = table(L, W, alias=True, layout="lecture").tables
    head, *rows = one.cells(TEXT)
    assert head == ["variable", "partial derivative", "value", "value of partial", "dξn/dW"]
    assert rows[3] == ["ξ4 = 1/ξ3 = p", "∂ξ4/∂ξ3 = −1/ξ3²", "1/(1 + e⁻⁹) = 0.99987661", "−1/(1 + e⁻⁹)² = −0.99975323",
                       "3·e⁻⁹/(1 + e⁻⁹)² = 0.00037013805"]
    assert rows[-1] == ["chain rule", "dL/dW = (p − y)·X = (1/(1 + e^(−W·X)) − y)·X", "", "", ""]
    head, first, *_ = table(L, W, layout="lecture", mode="backward").tables[0].cells(TEXT)
    assert head[-1] == "dL/dξn" and first == ["W", "", "3", "", "−3·e⁻⁹/(1 + e⁻⁹) = −0.00037018373"]
    head, *_ = table(L, layout="lecture", mode="both").tables[0].cells(TEXT)
    assert head[4:] == ["dξn/dy", "dξn/dW", "dξn/dX", "dL/dξn"]
    for columns in (80, 120):
        assert max(map(len, table(L, W, layout="lecture").text(width=columns).splitlines())) <= columns


def test_a_name_is_not_divided_by_a_number_to_be_used() -> None:
    x = Value(0.5, label="x")
    p = 1.71 * exp(x)
    p.label = "p"
    rows = table(p * exp(x), x, rows="named").tables[0].cells(TEXT)
    assert [row[3] for row in rows if row[2] == "∂L/∂p"] == ["e^x"]


def test_an_activation_may_have_a_slope_of_0() -> None:
    x = Value(0.5, label="x")
    a = sigmoid(primitive("step")(x))
    a.label = "a"
    rows = table(a * x, x).tables[0].cells(TEXT)
    assert [row[3] for row in rows if row[2] == "∂a/∂x"] == ["0"] and rows[-1][3] == "a"


def test_a_name_is_found_beneath_rows_that_have_none() -> None:
    """p = σ(ξ1) is p also where the formula is in terms of the leaves."""
    h = Value(3.0, label="W") * Value(2.0, label="X")
    p, y = sigmoid(h), Value(1.0, label="y")
    p.label = "p"
    rows = table(-(y * log(p) + (1 - y) * log(1 - p)), rows="all").tables[0].cells(TEXT)
    assert [row[3] for row in rows if row[2] == "dL/dW"] == ["(p − y)·X"]


def test_a_shared_row_sums_over_its_paths() -> None:
    a = Value(3.0, label="a")
    b = a + a
    c = b * b
    found = steps(c)
    assert [(row.name, row.partials[0].number) for row in found.rows] == [("ξ1", 2.0), ("L", 12.0)]
    assert found.gradient == (24.0,)


def test_names_never_clash() -> None:
    leaves = [Value(float(i + 2), label=label) for i, label in enumerate(["x", "x", "ξ1", "L", "x1"])]
    unnamed = Value(7.0)
    y = unnamed
    for v in leaves:
        y = exp(y / 10) * v
    found = steps(y, wrt=[*leaves, unnamed])
    assert len(set(found.names.values())) == len(found.names) >= 10


def test_a_row_has_one_number_whatever_is_asked() -> None:
    """(y − β0 − β1·x)²: by one coefficient or both, its rows are those of the whole table."""
    y, x, b0, b1 = (Value(z, label=label) for z, label in ((5.0, "y"), (2.0, "x"), (0.5, "β0"), (1.5, "β1")))
    L = (y - b0 - b1 * x) ** 2
    named = {v: name for v, name in xi_names(L).items() if v.args}
    assert [*named.values()] == ["ξ1", "ξ2", "ξ3", "L"]
    for wrt, names in (([b0, b1], ["ξ1", "ξ2", "ξ3", "L"]), ([b0], ["ξ1", "ξ3", "L"]), ([b1], ["ξ2", "ξ3", "L"]), (None, [])):
        for rows in ("auto", "all"):
            found = steps(L, wrt, rows).rows
            assert [row.name for row in found] == names or not names
            assert all(named[row.node] == row.name for row in found)
    inner = next(v for v, name in named.items() if name == "ξ2")
    assert [row.name for row in steps(L, inner).rows] == ["ξ3", "L"]
    assert steps(L, inner).names[inner] == "ξ2"


def test_leaves_without_a_label_have_names_beside_those_with_one() -> None:
    w, x = Value(0.123456789012345), Value(2.0, label="x")
    assert "0.123" not in table(w * x).text().split("\n\n")[0]
    assert steps(w * x).names[w] == "x1"
    assert [*steps(w * x, names={w: "slope", x: "t"}).names.values()] == ["slope", "t", "L"]


def total(terms: list[Value]) -> Value:
    """Python's sum, which begins with 0."""
    found = sum(terms)
    assert isinstance(found, Value)
    return found


def test_many_nodes_of_one_label_have_short_names_of_their_own() -> None:
    names = [*xi_names(total([Value(float(i), label="x1") for i in range(2000)])).values()]
    assert names[:6] == ["x1", "x1′", "x1′′", "x1′′′", "x1⁽⁵⁾", "x1⁽⁶⁾"]
    assert len({*names}) == len(names) and max(map(len, names)) < 10


def test_the_0_that_sum_begins_with_is_no_row() -> None:
    w, x, b = (Value(z, label=label) for z, label in ((2.0, "w"), (3.0, "x"), (1.0, "b")))
    plain, summed = tanh(w * x + b * x), tanh(total([w * x, b * x]))
    assert table(plain).text() == table(summed).text()
    alone = total([w * x])
    assert table(alone).text() == table(w * x).text() and steps(alone).gradient == (3.0, 2.0)
    z = total([w * x])
    z.label = "z"
    assert [(row.name, row.value) for row in steps(tanh(z), rows="all").rows] == [("z", 6.0), ("L", tanh(z).data)]
    assert steps(total([w])).rows == ()


class Line:
    """A module that is not of nn."""

    def __init__(self) -> None:
        self.w, self.b = [Value(2.0), Value(0.5)], Value(1.0, label="b")

    def named_parameters(self) -> list[tuple[str, Value]]:
        return [("w.0", self.w[0]), ("w.1", self.w[1]), ("b", self.b), ("unused", Value(0.0))]


def test_a_model_says_by_what_to_differentiate() -> None:
    line, x = Line(), Value(3.0, label="x")
    y = line.w[0] * x + line.w[1] * x * x + line.b
    found = table(y, model=line).steps
    assert [found.names[v] for v in found.variables] == ["w0", "w1", "b"]
    assert found.gradient == (3.0, 9.0, 1.0)
    assert table(y, x, model=line).steps.variables == (x,)
    assert [*table(y, model=line, names={line.w[0]: "slope"}).steps.names.values()][:2] == ["slope", "x"]
    with pytest.raises(ValueError, match="none of its parameters"):
        table(x * 2, model=line)
    with pytest.raises(TypeError, match="named_parameters"):
        table(y, model=3)
    with pytest.raises(ValueError, match="3 variables, more than limit=2"):
        table(x.detach() + line.w[0] + line.w[1] + line.b, model=line, rows="named", limit=2)


def test_a_plain_number_that_has_a_name_is_a_letter() -> None:
    w, x = Value(2.0, label="w"), Value(0.0).detach()
    x.label = "x"
    y = (w * x) ** 2
    text = table(y).text()
    assert [v.label for v in table(y).steps.variables] == ["w"] and table(y).steps.gradient == (0.0,)
    assert "∂ξ1/∂w  │ x " in text and "dL/dw" in text and "dL/dx" not in text


def test_leaves_and_partials_stand_in_the_order_of_their_names() -> None:
    z2, z1, y, z10 = (Value(float(i), label=label) for i, label in enumerate(("z2", "z1", "y", "z10"), 1))
    L = tanh(z2 * z1) * z10 + y * z1
    assert [*steps(L).names.values()][:4] == [v.label for v in steps(L).variables] == ["z1", "z2", "z10", "y"]
    assert [steps(L).names[q.arg] for q in steps(L, rows="named").rows[0].partials] == ["z1", "z2", "z10", "y"]
    assert steps(L, wrt=[z2, z1]).variables == (z2, z1)   # as they are asked for
    W = [Value(1.0, label=label) for label in ("W₂₁", "W₁,₁₀", "W₁₂")]
    assert [*steps(tanh(W[0] * W[1] * W[2])).names.values()][:3] == ["W₁₂", "W₁,₁₀", "W₂₁"]


def test_what_differs_at_0_is_told_apart() -> None:
    """step(0) = 0 and heaviside(0) = ½, as a maximum's slope is where the two are equal."""
    x, y = Value(0.0, label="x"), Value(2.0, label="y")
    assert [str(formula(v, {x: "x", y: "y"})) for v in (step(x), heaviside(x))] == ["[x > 0]", "H(x)"]
    assert formula(heaviside(x), {x: "x"}, LATEX) == r"\operatorname{H}(x)"
    for f, text in ((relu(-x), "−[x < 0]"), (maximum(x, y), "H(x − y)"), (minimum(0.0, x), "H(−x)")):
        assert table(f, x).tables[0].cells(TEXT)[1][4] == text
    assert "[x &lt; 0]" in table(relu(-x), x).html() and "[x < 0]" in table(relu(-x), x).latex()


def test_minus_signs_are_not_doubled() -> None:
    x = Value(0.5, label="x")
    minus = -x
    assert [str(formula(v, {x: "x"})) for v in (-minus, log_sigmoid(-x), log1p(-x))] == ["x", "−log(1 + e^x)", "log(1 − x)"]


def test_variables_of_equal_number_stay_apart() -> None:
    a, b, c = Value(2.0), Value(2.0), Value(2.0)
    assert steps(a * b + b * c, wrt=[b]).gradient == (4.0,)
    assert [row.name for row in steps(a * b + b * c, wrt=[a]).rows] == ["ξ1", "L"]


def test_refusals() -> None:
    with pytest.raises(TypeError, match="needs the Value"):
        steps([Value(1)])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="rows='some'"):
        steps(Value(1), rows="some")
    with pytest.raises(ValueError, match="mode='up'"):
        table(Value(1), mode="up")
    with pytest.raises(ValueError, match="layout='slide'"):
        table(Value(1), layout="slide")
    with pytest.raises(ValueError, match="digits=0"):
        table(Value(1), digits=0)
    y = Value(1.0, label="x")
    for _ in range(300):
        y = exp(y * 0)
    with pytest.raises(ValueError, match="label the nodes that matter"):
        table(y)


def test_assignment_between_forward_and_table_is_noticed() -> None:
    x = Value(2.0, label="x")
    y = x * x
    x.data = 5.0
    with pytest.raises(RuntimeError, match="'x'"):
        steps(y)


@given(st.lists(st.sampled_from(["+", "*", "-", "/", "tanh", "exp", "neg", "log", "pow"]), min_size=1, max_size=8), st.data())
def test_running_derivatives_of_any_expression(operations: list[str], data: st.DataObject) -> None:
    nodes = [Value(0.7, label="a"), Value(1.3, label="b")]
    for operation in operations:
        u, v = (data.draw(st.sampled_from(nodes)) for _ in range(2))
        y = {
            "+": u + v,
            "*": u * v,
            "-": u - v,
            "/": u / (2 + v * v),
            "tanh": tanh(u),
            "exp": exp(u * 0.1),
            "neg": -u,
            "log": log(1 + u * u),
            "pow": u**2,
        }[operation]
        nodes.append(y)
    y, xs = nodes[-1], nodes[:2]
    found = steps(y, wrt=xs)
    names = {v: name for v, name in found.names.items() if not v.args}
    assert found.rows[-1].node is y
    assert list(found.gradient) == pytest.approx([d.data for d in grad(y, xs)], rel=1e-12, abs=1e-300)
    for row in found.rows:
        for tangent, direction in zip(row.tangents, ([1.0, 0.0], [0.0, 1.0]), strict=True):
            assert tangent == pytest.approx(jvp(row.node, xs, direction).data, rel=1e-12, abs=1e-300)
        by_rows = sum(
            q.number * (1.0 if q.arg is xs[0] else 0.0 if q.arg is xs[1] else tangents[q.arg])
            for q in row.partials
            for tangents in [{r.node: r.tangents[0] for r in found.rows}]
        )
        assert by_rows == pytest.approx(row.tangents[0], rel=1e-9, abs=1e-12)  # the row's partials say the same
        for style in (TEXT, HTML, LATEX):
            assert formula(row.node, names, style)
    str(table(y, xs))


FORMULAS: dict[str, Callable[..., Value]] = {
    "2·a": lambda a, b: a + a,
    "a²": lambda a, b: a * a,
    "a³": lambda a, b: a * a * a,
    "b/a": lambda a, b: b * (1 / a),
    "1": lambda a, b: a / a,
    "a": lambda a, b: 1 / (1 / a),
    "e^a/(1 + e^a)": lambda a, b: 1 - 1 / (1 + exp(a)),
    "−(a + b)": lambda a, b: -(a + b),
    "0": lambda a, b: a - a,
    "a + b": lambda a, b: a + b,
    "3·a·b": lambda a, b: a * 3 * b,
    "(a + b)²": lambda a, b: (a + b) * (a + b),
    "log(a + b)": lambda a, b: log(a + b),
    "√(a·b)": lambda a, b: (a * b).sqrt(),
    "a^b": lambda a, b: a**b,
    "1/a²": lambda a, b: a**-2,
    "log(e^a + e^b)": logsumexp,
}


@pytest.mark.parametrize("text", FORMULAS)
def test_formulas_as_a_person_would_write_them(text: str) -> None:
    a, b = Value(2.0, label="a"), Value(5.0, label="b")
    assert str(written(simplify(FORMULAS[text](a, b), {a: "a", b: "b"}), TEXT)) == text


@given(st.floats(0.5, 3), st.floats(0.5, 3))
def test_simplified_formulas_have_the_same_value(a: float, b: float) -> None:
    """What is printed is read back by the parser of expressions and evaluated."""
    from autograd.expression import parse

    x, y = Value(a, label="a"), Value(b, label="b")
    forms: list[Callable[..., Value]] = [
        lambda x, y: (x / y - 1 / x) * exp(-x * y) + y / x,
        lambda x, y: -((1 / (1 + exp(-x))) ** 2) * (x - y) / (x + y),
    ]
    for f in forms:
        v = f(x, y)
        for d in (v, *grad(v, [x, y])):
            text = to_ascii(str(written(simplify(d, {x: "a", y: "b"}), TEXT))).replace("e^", "E**").replace("^", "**")
            assert parse(text).evaluate({"a": x, "b": y, "E": Value(2.718281828459045)}).data == pytest.approx(d.data, rel=1e-9)


# a name: in Unicode, HTML, LaTeX (each accepted by KaTeX 0.19.1 and pdflatex) and ASCII
NAMES = {
    "Θ⁽¹⁾₁₀": ("Θ⁽¹⁾₁₀", "Θ<sup>(1)</sup><sub>10</sub>", r"\Theta^{(1)}_{10}", "Theta^(1)_10"),
    "Θ⁽¹⁾₁₂,₃": ("Θ⁽¹⁾₁₂,₃", "Θ<sup>(1)</sup><sub>12,3</sub>", r"\Theta^{(1)}_{12,3}", "Theta^(1)_12,3"),
    "a⁽²⁾₁": ("a⁽²⁾₁", "a<sup>(2)</sup><sub>1</sub>", "a^{(2)}_{1}", "a^(2)_1"),
    "x⁽ⁱ⁾": ("x⁽ⁱ⁾", "x<sup>(i)</sup>", "x^{(i)}", "x^(i)"),
    "x^(i)": ("x⁽ⁱ⁾", "x<sup>(i)</sup>", "x^{(i)}", "x^(i)"),
    "h⁽ˡ⁾_j": ("h⁽ˡ⁾ⱼ", "h<sup>(l)</sup><sub>j</sub>", "h^{(l)}_{j}", "h^(l)_j"),
    "θ⁽ŷ⁾": ("θ⁽ŷ⁾", "θ<sup>(ŷ)</sup>", r"\theta^{(\hat{y})}", "theta^(yhat)"),
    "θ_ij": ("θᵢⱼ", "θ<sub>ij</sub>", r"\theta_{ij}", "theta_ij"),
    "L_A": ("L_A", "L<sub>A</sub>", "L_{A}", "L_A"),
    "x_max": ("xₘₐₓ", "x<sub>max</sub>", "x_{max}", "x_max"),
    "ŷ": ("ŷ", "ŷ", r"\hat{y}", "yhat"),
    "y\u0302": ("ŷ", "ŷ", r"\hat{y}", "yhat"),
    "x̄": ("x̄", "x̄", r"\bar{x}", "xbar"),
    "w̃": ("w̃", "w̃", r"\tilde{w}", "wtilde"),
    "ẋ": ("ẋ", "ẋ", r"\dot{x}", "xdot"),
    "μ̂_B": ("μ̂_B", "μ̂<sub>B</sub>", r"\hat{\mu}_{B}", "muhat_B"),
    "Β": ("Β", "Β", r"\mathrm{B}", "Beta"),
    "x1": ("x1", "x<sub>1</sub>", "x_{1}", "x1"),
    "x1′": ("x1′", "x<sub>1</sub>′", "x'_{1}", "x1'"),
    "x1⁽⁵⁾": ("x1⁽⁵⁾", "x<sup>(5)</sup><sub>1</sub>", "x^{(5)}_{1}", "x1^(5)"),
    "ξn": ("ξn", "ξ<sub>n</sub>", r"\xi_{n}", "xin"),
    "learning_rate": ("learning_rate", "learning_rate", r"\mathrm{learning\_rate}", "learning_rate"),
    "net.W₁₂": ("net.W₁₂", "net.W<sub>12</sub>", r"\mathrm{net{.}}W_{12}", "net.W_12"),
    "résumé": ("résumé", "résumé", r"\mathrm{r\acute{e}sum\acute{e}}", "resume"),
    "3.5": ("⟨3.5⟩", "⟨3.5⟩", r"\mathrm{3{.}5}", "<3.5>"),
}


@pytest.mark.parametrize("name", NAMES)
def test_names_are_typeset_in_every_medium(name: str) -> None:
    found = (TEXT.symbol(name), HTML.symbol(name), LATEX.symbol(name), to_ascii(TEXT.symbol(name)))
    assert found == NAMES[name]


def test_a_raised_name_is_bracketed_before_it_is_raised() -> None:
    """LaTeX has no x'^2 and no x^{(1)}^2: a double superscript."""
    for name, text, latex in (("Θ⁽¹⁾₁₀", "(Θ⁽¹⁾₁₀)²", r"\left(\Theta^{(1)}_{10}\right)^{2}"),
                              ("ŷ_c", "ŷ_c²", r"\hat{y}_{c}^{2}"), ("x1′", "(x1′)²", r"\left(x'_{1}\right)^{2}")):
        x = Value(3.0, label=name)
        found = table(1 / x)
        assert f"−1/{text}" in found.text() and latex in found.latex()


def test_ascii_of_formulas() -> None:
    assert to_ascii("∂ξ2/∂Θ⁽¹⁾₁₀ = log₂ ŷ + log₁₀ x + e⁻⁹·θᵢⱼ") == "dxi2/dTheta^(1)_10 = log2 yhat + log10 x + e^-9*theta_ij"


@pytest.mark.parametrize("label", HOSTILE)
def test_hostile_labels_stay_text(label: str) -> None:
    x = Value(2.0, label=label)
    found = table(log(x * x) + x)
    root = ET.fromstring(found.html())
    assert {e.tag for e in root.iter()} <= {"div", "table", "caption", "tr", "th", "td", "sup", "sub", "wbr"}
    for text in (found.text(), found.text(ascii=True), found.markdown(), found.latex()):
        assert all(c == "\n" or c.isprintable() for c in text)
        assert (
            "<script" not in text.replace("⟨", "").replace("`", "")
            or "{<}" in text
            or text in (found.text(), found.text(ascii=True))
        )
    for text in (found.markdown(), found.latex()):
        assert "<script" not in text and "\\input" not in text and text.count("\\end{array}") == text.count("\\begin{array}")
    rows = [line for line in found.tables[1].markdown().splitlines() if line.startswith("|")]
    assert len({line.replace("\\|", "").count("|") for line in rows}) == 1
    assert max(map(len, found.text().splitlines())) < 400


def test_columns_line_up_in_terminal_cells() -> None:
    x = Value(2.0, label="数")
    for text in (table(log(x * x)).text(), table(log(x * x)).text(ascii=True)):
        for block in text.split("\n\n"):
            lines = block.splitlines()[1:]
            separator = "│" if "│" in text else "|"
            places = {
                tuple(width(line[:i]) for i, c in enumerate(line) if c in separator + "┼+" and line[i - 1 : i] in " ─-")
                for line in lines
                if not line.startswith(("L +",))
            }
            assert len(places) <= 2, lines


def lecture() -> XiTables:
    W, X, y = Value(3.0, label="W"), Value(3.0, label="X"), Value(1.0, label="y")
    return table(-y * log(1 / (1 + exp(-W * X))), W)


def plain_text(text: str) -> Counter[str]:
    """Its characters, without what only sets it out."""
    return Counter(re.sub(r"[\s│┼─|+:-]", "", text))


def test_a_terminal_of_80_columns_shows_the_lecture_unbroken() -> None:
    found = lecture()
    text = found.text(width=80)
    assert max(map(width, text.splitlines())) <= 80
    assert plain_text(text) == plain_text(found.text())
    assert "\nξ4  │ 1/(1 + e⁻⁹)         │ ∂ξ4/∂ξ3 │ −1/(1 + e⁻⁹)²       │" in text   # columns, not blocks
    assert "\n    │ = 0.99987661        │         │ = −0.99975323       │ " in text
    assert found.text(width=max(map(width, found.text().splitlines()))) == found.text()
    assert found.tables[0].text(width=79) == found.tables[0].text()   # it is narrow enough


@pytest.mark.parametrize("limit", [20, 21, 30, 40, 60, 79, 80, 100, 120, 200])
@pytest.mark.parametrize("ascii", [False, True])
def test_no_line_is_wider_than_it_may_be_and_nothing_is_left_out(limit: int, ascii: bool) -> None:
    w = [Value(0.1 * i, label=f"weight of input {i}") for i in range(9)]
    y = Value(1.0, label="x")
    for _ in range(12):
        y = tanh(y) + y * primitive("sigmoid")(y)
    hostile = log(1 + exp(sum([Value(1.0, label=label) for label in HOSTILE], start=Value(1.0, label="数" * 30))))
    for found in (lecture(), table(logsumexp(*w)), table(y), table(hostile)):
        for one in found.tables:
            text, whole = one.text(ascii, limit), one.text(ascii)
            assert max(map(width, text.splitlines())) <= limit
            if plain_text(text) != plain_text(whole):   # a block for every row: heads stand in each
                _, *rows = one.cells(TEXT)
                squeezed = re.sub(r"\s", "", text)
                for cell in [cell for row in rows for cell in row]:
                    assert re.sub(r"\s", "", to_ascii(cell) if ascii else cell) in squeezed


@given(st.text("abξ1 ·*/+−-=(),.数", max_size=60), st.integers(4, 40))
def test_a_cell_is_broken_without_loss(text: str, limit: int) -> None:
    lines = broken(text, limit)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert max(map(width, lines)) <= limit
    assert (len(lines) == 1) == (width(text) <= limit)


def test_latex_has_titles_and_the_note_and_rows_that_do_not_touch() -> None:
    W = Value(3.0, label="W")
    found = table(log(1 / (1 + exp(-W))), note="50% of ∂ξ4/∂ξ3 & −y·e^(−W): {true}_1 \\input")
    displays = re.findall(r"\\\[\n(.*?)\n\\\]", found.latex(), re.DOTALL)
    assert len(displays) == 4 and [one.latex() for one in found.tables] == displays[:3]
    for one, display in zip(found.tables, displays, strict=False):
        assert display.startswith("\\begin{aligned}\n&\\textbf{" + one.title + "} \\\\\n&{\\def\\arraystretch{1.9}\n")
        assert display.count("\\begin{array}") == display.count("\\end{array}") == 1
    assert displays[3].splitlines()[1] == (
        r"&\text{50${\mathrm{\%}}$ of ${\partial}$${\xi}$4/${\partial}$${\xi}$3 ${\mathrm{\&}}$ ${-}$y${\cdot}$e${\hat{\ }}$"
        r"(${-}$W): ${\mathrm{\{}}$true${\mathrm{\}}}$${\_}$1 ${\mathrm{\backslash }}$input}")
    assert table(log(W), note="Θ⁽¹⁾₁₂ = x²").latex().endswith("&\\text{$\\Theta^{(1)}_{12}$ = $x^{2}$}\n\\end{aligned}\n\\]")


@pytest.mark.parametrize(("formula", "depth"), [
    ("a", 0), (r"\frac{a}{b}", 1), (r"\frac{a}{b}\frac{c}{d}", 1), (r"\frac{\frac{a}{b}}{c}", 2),
    (r"\frac{a}{1 + e^{\frac{b}{c}}}", 2),
    (r"\frac{a}{b}^{2} + \frac{1}{1 + \frac{1}{1 + \frac{1}{x}}}", 3), (r"\mathrm{\{\{} + \frac{x}{\mathrm{\}}}", 1),
])
def test_deeper_fractions_stand_further_apart(formula: str, depth: int) -> None:
    one = Table("t", (lambda style: "head",), ((lambda style: formula,),))
    assert rf"\arraystretch{{{1.4 + 0.5 * depth:.1f}}}" in one.latex()


def test_text_needs_twenty_columns() -> None:
    with pytest.raises(ValueError, match=r"width=19.*20 columns"):
        lecture().text(width=19)


def test_it_prints_as_wide_as_the_terminal_and_in_full_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    found = lecture()
    monkeypatch.setenv("COLUMNS", "50")
    assert str(found) == repr(found) == found.text()   # pytest has standard output in a file
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdout", terminal)
    print(found)
    assert terminal.getvalue() == found.text(width=50) + "\n" == str(found) + "\n"
    assert str(found.tables[0]) == found.tables[0].text(width=50)
    monkeypatch.setenv("COLUMNS", "7")
    assert str(found) == found.text(width=20)


def test_ascii_is_ascii() -> None:
    x = Value(2.0, label="θ")
    assert table(log(x * x)).text(ascii=True).isascii()


def test_records_are_json() -> None:
    x = Value(2.0, label="x")
    records = table(log(x * x), [x]).records()
    assert json.loads(json.dumps(records)) == records
    assert [(r["name"], r["variable"], r["partials"][0]["formula"], r["adjoint"]) for r in records] == [
        ("ξ1", "x·x", "2·x", 0.25),
        ("L", "log ξ1", "1/ξ1", 1.0),
    ]


def test_pandas() -> None:
    pd = pytest.importorskip("pandas")
    frames = table(log(Value(2.0, label="x"))).to_pandas()
    assert len(frames) == 3
    assert all(isinstance(frame, pd.DataFrame) for frame in frames)
    assert list(frames[0].columns[:2]) == ["row", "variable"]


def test_every_primitive_has_a_table() -> None:
    from autograd import PRIMITIVES

    for op in list(PRIMITIVES.values()):
        low, high = op.domain
        xs = [Value(low + (high - low) * (i + 1) / 7, label=f"x{i}") for i in range(op.arity or 3)]
        found = table(op(*xs), rows="sums")
        assert len(found.steps.rows) == 1
        for text in (str(found), found.html(), found.latex(), found.markdown()):
            assert "nan" not in text


def test_long_formulas_are_cut_and_shared_graphs_stay_small() -> None:
    x = Value(1.0, label="x")
    y = x
    for _ in range(60):
        y = tanh(y) + y * primitive("sigmoid")(y)
    text = str(table(y, limit=1000))
    assert "…" in text
    assert max(map(len, text.splitlines())) < 700


def evaluate(e: Expr, values: dict[str, float]) -> float:
    """The number that a printed formula says."""

    def power(atom: Atom, n: Fraction) -> float:
        if isinstance(atom, Symbol):
            x = values[atom.name]
        elif isinstance(atom, Call):
            x = atom.op.ieee(*[evaluate(a, values) for a in atom.args])
        else:
            x = sum(float(c) * math.prod([power(a, m) for a, m in factors]) for c, factors in atom.terms)
        return primitive("pow").ieee(x, float(n))

    return sum(float(c) * math.prod([power(a, m) for a, m in factors]) for c, factors in e.terms)


@settings(max_examples=300)
@given(
    st.lists(
        st.sampled_from(["+", "*", "-", "/", "1/", "exp", "neg", "2", "3", ".5", "square", "root"]), min_size=1, max_size=8
    ),
    st.sampled_from([-3.0, -0.7, 0.5, 2.0, 3.0]),
    st.sampled_from([-2.0, 0.5, 1.0, 3.0]),
    st.data(),
)
def test_every_formula_says_its_number(operations: list[str], a: float, b: float, data: st.DataObject) -> None:
    """With numbers that coincide and with negative ones: what merges, cancels or moves is the same number."""
    x, y = Value(a, label="x"), Value(b, label="y")
    nodes = [x, y]
    with errstate(invalid="ignore", divide="ignore"):
        for operation in operations:
            u, v = (data.draw(st.sampled_from(nodes)) for _ in range(2))
            z = {
                "+": lambda u, v: u + v, "*": lambda u, v: u * v, "-": lambda u, v: u - v, "/": lambda u, v: u / v,
                "1/": lambda u, v: 1 / u, "exp": lambda u, v: exp(u / 4), "neg": lambda u, v: -u, "2": lambda u, v: 2 * u,
                "3": lambda u, v: u / 3, ".5": lambda u, v: u * 0.5, "square": lambda u, v: u**2,
                "root": lambda u, v: (u * v) ** 0.5,
            }[operation](u, v)   # fmt: skip
            nodes.append(z)
        z = nodes[-1]
        try:
            formulas = [z, *grad(z, [x, y])]
        except FloatingPointError:
            return
        for v in formulas:
            for numeric in (False, True):
                try:
                    found = evaluate(simplify(v, {x: "x", y: "y"}, numeric), {"x": a, "y": b})
                except (TooLong, ZeroDivisionError, OverflowError):
                    continue
                if math.isfinite(v.data) and 1e-9 < abs(v.data) < 1e9:   # not what cancels to noise
                    assert found == pytest.approx(v.data, rel=1e-6)
