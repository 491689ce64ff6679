"""The product along each path, summed over the paths: the derivative, of any graph; and its table in every format."""

import json
import math
from typing import Any

import pytest
from helpers import path_sums, programs, values_of
from hypothesis import given, settings

from autograd import Value, exp, grad, log, paths, relu, sign, sin, softmax, sqrt, topological
from autograd.expression import parse
from autograd.path import Path, Paths
from autograd.testing import Program
from viz import table, to_ascii
from viz.formulas.notation import TEXT


def lecture(y: float = 1.0) -> tuple[Value, Value, Value]:
    """(L, W, p) of the whole logistic loss."""
    W, X, target = Value(3, label="W"), Value(3, label="X"), Value(y, label="y")
    p = 1 / (1 + exp(-W * X))
    return -(target * log(p) + (1 - target) * log(1 - p)), W, p


def shape(found: Paths) -> list[tuple[str, list[float], float]]:
    """Every path as text, its factors' numbers, its product."""
    return [(" ".join(found.names(path)), [q.number for q in path.factors], path.product) for path in found]


def test_the_lecture_has_a_path_for_each_part() -> None:
    L, W, _ = lecture()
    found = paths(L, W)
    assert [" ".join(found.names(path)) for path in found] == ["W ξ1 ξ2 ξ3 ξ4 ξ5 ξ6 L", "W ξ1 ξ2 ξ3 ξ4 ξ7 ξ8 ξ9 L"]
    assert [path.product for path in found] == [found.derivative, 0.0]   # y = 1: part B counts nothing
    assert found.derivative == grad(L, W).data == -0.00037018372795869517
    assert [path.product == 0 for path in paths(*lecture(0.0)[:2])] == [True, False]


def test_the_paths_of_a_small_graph() -> None:
    x, y = Value(2.0, label="x"), Value(3.0, label="y")
    a = x * x                                        # an operand used twice is one step, of 2x
    assert shape(paths(a, x)) == [("x L", [4.0], 4.0)]
    assert shape(paths(x * y + x, x)) == [("x ξ1 L", [3.0, 1.0], 3.0), ("x L", [1.0], 1.0)]
    assert shape(paths(a * a, x)) == [("x ξ1 L", [4.0, 8.0], 32.0)]
    found = paths((a + y) * (a - y), x)
    assert shape(found) == [("x ξ1 ξ2 L", [4.0, 1.0, 1.0], 4.0), ("x ξ1 ξ3 L", [4.0, 1.0, 7.0], 28.0)]
    assert (len(found), found.derivative, found.variable, found.steps.root.data) == (2, 32.0, x, 7.0)
    assert repr(found) == "<2 paths: derivative 32>" and repr(found[:1][0].factors[0].number) == "4.0"


def test_from_an_intermediate_from_the_result_and_from_nowhere() -> None:
    x, y = Value(2.0, label="x"), Value(3.0, label="y")
    a = x * y
    L = a * exp(a) + x
    assert [names for names, *_ in shape(paths(L, a))] == ["ξ1 ξ2 ξ3 L", "ξ1 ξ3 L"]   # by the name that the table of L has
    assert shape(paths(L, L)) == [("L", [], 1.0)] and paths(L, L).derivative == 1.0
    assert shape(paths(x, x)) == [("x", [], 1.0)]
    assert (shape(paths(L, Value(5.0))), paths(L, Value(5.0)).derivative) == ([], 0.0)
    assert (shape(paths(y * 2, x)), paths(y * 2, x).derivative) == ([], 0.0)


def test_of_several_variables_and_of_named_rows() -> None:
    L, W, p = lecture()
    p.label = "p"
    by_W, by_p = paths(L, [W, p])
    assert [names for names, *_ in shape(by_W)] == ["W p L"] and [names for names, *_ in shape(by_p)] == ["p L"]
    assert by_W.derivative == grad(L, W).data and by_p.derivative == grad(L, p).data
    assert [names for names, *_ in shape(paths(L, W, rows="all"))] == ["W ξ1 ξ2 ξ3 p ξ4 ξ5 L", "W ξ1 ξ2 ξ3 p ξ6 ξ7 ξ8 L"]


def test_zeros_and_infinities_meet_as_in_a_sweep() -> None:
    z = Value(0.0, label="z")
    strong = paths(relu(sqrt(z) - 1) + z, z)
    assert [path.product for path in strong] == [0.0, 1.0] and math.inf in [q.number for q in strong[0].factors]
    assert strong.derivative == grad(relu(sqrt(z) - 1) + z, z).data == 1.0
    flat = paths(sign(z) * sqrt(z), z)   # 0 by kind · √0, and 0 · ∞
    assert [path.product for path in flat] == [0.0, 0.0] and flat.derivative == 0.0
    pole = paths(sqrt(z) * 2, z)
    assert shape(pole) == [("z ξ1 L", [math.inf, 2.0], math.inf)] and pole.derivative == math.inf
    assert "∞" in table(pole).text() and "inf" in table(pole).text(ascii=True)


def test_what_no_sum_of_products_gives_is_an_error() -> None:
    z = Value(0.0, label="z")
    b = sqrt(z)
    L = b * 2.0 - b * 2.0 + z   # a sweep adds up 2 − 2 before it meets the infinite slope
    assert grad(L, z).data == 1.0
    with pytest.raises(FloatingPointError, match=r"from 'z' have infinite products.* gives 1"):
        paths(L, z)


def test_paths_are_counted_before_they_are_listed() -> None:
    w = v = Value(0.5, label="w")
    for _ in range(60):
        v = sin(v) + exp(v)
        v = v * 0.1
    with pytest.raises(ValueError, match=f"there are {2**60} paths from 'w' to 'L', more than limit=1000"):
        paths(v, w)
    for _ in range(10_000):
        v = sin(v) + exp(-v)
    with pytest.raises(ValueError, match=r"more than 10\*\*30 paths"):
        paths(v, w)
    short = sin(w) + exp(w)
    assert len(paths(short, w, limit=2)) == 2
    with pytest.raises(ValueError, match="limit=1:"):
        paths(short, w, limit=1)


def test_a_long_path_needs_no_recursion() -> None:
    x = y = Value(0.5, label="x")
    for _ in range(5_000):
        y = sin(y)
    [path] = paths(y, x)
    assert len(path.factors) == 5_000 and path.product == grad(y, x).data
    with pytest.raises(ValueError, match="1 path, of up to 5000 factors, and limit=200"):
        table(paths(y, x))
    y = x
    for _ in range(30):
        y = exp(-y)
    assert "x → ξ1 → ξ2 → ξ3 → … → ξ27 → ξ28 → ξ29 → L" in table(paths(y, x)).text()


def test_the_shift_of_softmax_is_on_no_path() -> None:
    z = [Value(float(i), label=f"z{i}") for i in range(3)]
    L = -log(softmax(z)[1])
    assert [len(found) for found in paths(L, z)] == [1, 1, 1]
    assert [found.derivative for found in paths(L, z)] == pytest.approx([d.data for d in grad(L, z)], rel=1e-15)


@given(programs)
@settings(max_examples=60, deadline=None)
def test_products_sum_to_the_derivative(program: Program) -> None:
    xs, y = values_of(program)
    if len(topological(y)) > 40 or not y.args:
        return
    try:
        derivatives = [d.data for d in grad(y, xs)]
        listed = paths(y, xs, limit=200)
    except (ValueError, FloatingPointError):
        return
    for found, d, scale in zip(listed, derivatives, path_sums(y, xs), strict=True):
        assert found.derivative == d or (math.isnan(d) and math.isnan(found.derivative))
        if math.isfinite(scale):
            assert math.fsum([path.product for path in found]) == pytest.approx(d, rel=0, abs=1e-12 * scale + 1e-300)


# ---- the table

def value(text: str, names: dict[str, float]) -> float:
    """A printed formula, read back and evaluated."""
    text = to_ascii(text).replace("e^", "E**").replace("^", "**")
    return parse(text).evaluate({to_ascii(n): Value(x) for n, x in names.items()} | {"E": Value(math.e)}).data


def test_every_printed_factor_is_its_number() -> None:
    x, y = Value(2.0, label="x"), Value(0.5, label="y")
    a = x * y
    L = (a * exp(-a) + log(x + a)) / (1 + a * a) - x
    found = paths(L, [x, y, a])
    numbers = {name: v.data for each in found for v, name in each.steps.names.items()}
    records = table(found).records()
    assert len([row for row in records if "path" in row]) == sum(map(len, found)) > 6
    for row in records:
        for q in row.get("factors", []):
            assert value(q["formula"], numbers) == pytest.approx(q["value"], rel=1e-12)
    assert [row["sum"] for row in records if "sum" in row] == [d.data for d in grad(L, [x, y, a])]
    for each in found:   # the cells, and the sum of the whole in terms of the leaves
        *rows, last = table(each, digits=17).tables[0].cells(TEXT)[1:]
        for _, factors, values, product in rows:
            exact = value(product.rpartition(" = ")[2], {})
            assert value(factors, numbers) == pytest.approx(exact, rel=1e-12)
            assert value(values, {}) == pytest.approx(exact, rel=1e-12)
        if "…" not in last[1]:
            assert value(last[1], numbers) == pytest.approx(value(last[3].rpartition(" = ")[2], {}), rel=1e-12)


def test_the_table_ends_in_the_lectures_line() -> None:
    L, W, p = lecture()
    p.label = "p"
    *_, last = table(paths(L, W)).text().split("\n")
    assert [cell.strip() for cell in last.split("│")][:3] == ["dL/dW", "(p − y)·X", "sum"]


def test_the_table_as_text() -> None:
    x = Value(2.0, label="x")
    assert table(paths(log(x * x) + x, x)).text() == """\
Paths: the product of the partials along each, and the sum over the paths
path            │ factors        │ values   │ product
────────────────┼────────────────┼──────────┼────────
x → ξ1 → ξ2 → L │ (2·x)·(1/ξ1)·1 │ 4·0.25·1 │ 1
x → L           │ 1              │ 1        │ 1
dL/dx           │ 1 + 2/x        │ sum      │ 2"""


def test_the_table_in_every_format() -> None:
    L, W, p = lecture()
    found = table(paths(L, [W, p]), note="a note")
    assert str(found) == repr(found) == found.text() and found.text().endswith("a note")
    assert found.text().count("Paths:") == 2 and "xi1 -> xi2" in found.text(ascii=True) and found.text(ascii=True).isascii()
    assert r"W \to \xi_{1} \to" in found.latex() and r"W \to \xi_{1} \to" in found.markdown()
    assert "W → ξ<sub>1</sub> →" in found.html() == found._repr_html_()
    assert list(found.to_pandas()[0].columns) == ["path", "factors", "values", "product"]
    assert json.loads(json.dumps(found.records()))[-1] == {"derivative": "dL/dξ4", "sum": grad(L, p).data}


def test_hostile_labels_stay_text() -> None:
    x = Value(2.0, label="</script>|$a$\n\\end{array}")
    found = table(paths(x * x + x, x))
    assert "<script" not in found.html() and "</script>" not in found.html()
    assert found.latex().count("\\end{array}") == 1
    assert all(c == "\n" or c.isprintable() for c in found.text())


def untyped(*args: Any) -> Any:
    return args


@pytest.mark.parametrize(("call", "kind", "says"), [
    (lambda x: paths(*untyped(3, x)), TypeError, "steps"),
    (lambda x: paths(*untyped(x * x, [3])), TypeError, "wrt has 3"),
    (lambda x: paths(*untyped(x * x, 3)), TypeError, "wrt has 3"),
    (lambda x: paths(x * x, x, rows="some"), ValueError, "rows='some'"),
    (lambda x: table([]), ValueError, "empty list"),
    (lambda x: table([x]), TypeError, r"autograd\.paths"),
    (lambda x: table(paths(sin(x) + x, x), limit=1), ValueError, "2 paths, of up to 2 factors, and limit=1"),
    (lambda x: table(paths(x * x, x), digits=0), ValueError, "digits=0"),
    (lambda x: table(paths(x * x, x), layout="lecture"), TypeError, "layout='lecture'.* of paths"),  # type: ignore[call-overload]
    (lambda x: table(paths(x * x, x), x), TypeError, "wrt=.* of paths"),  # type: ignore[call-overload]
    (lambda x: paths(exp(x * x), x, rows=["x"]), ValueError, "'x', which is no row"),
])
def test_refusals(call: Any, kind: type[Exception], says: str) -> None:
    with pytest.raises(kind, match=says):
        call(Value(2.0, label="x"))


def test_a_path_is_data() -> None:
    x = Value(2.0, label="x")
    [path] = paths(x * 3, x)
    assert isinstance(path, Path) and path.nodes[0] is x and path.factors[0].arg is x and path.factors[0].formula.data == 3


def test_paths_go_along_the_rows_that_are_asked_for() -> None:
    x = Value(2.0, label="x")
    y = exp(x * x)
    assert [shape(paths(y, x, rows=rows)) for rows in (["ξ1"], [])] == [shape(paths(y, x)), shape(paths(y, x, rows="named"))]
