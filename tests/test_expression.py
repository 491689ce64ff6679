"""The parser of expressions: what it computes, and what it refuses."""

import math
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograd import Value, grad, topological
from autograd.expression import FUNCTIONS, LONGEST, Expression, ExpressionError, parse


def compute(text: str, **values: float) -> float:
    return parse(text).evaluate({name: Value(x, label=name) for name, x in values.items()}).data


@pytest.mark.parametrize(
    "text",
    [
        "1 + 2*3",
        "-x**2",
        "2**-x",
        "2**3**2",
        "2**-x**2",
        "-(1 - y)*x",
        "x/y/2",
        "x - y - 1",
        "x*-y",
        "--x",
        "+x",
        "(x)",
        "((x))",
        "1/x",
        "2/x",
        "x**0.5",
        "1e3*x",
        ".5*x",
        "5.*x",
        "1.5E-3*x",
        " x\t*\ny ",
        "-2**2",
        "(-2)**2",
        "2*-3**2",
        "x**y**2",
    ],
)
def test_agrees_with_python(text: str) -> None:
    values = {"x": 1.7, "y": 0.3}
    assert compute(text, **values) == eval(" ".join(text.split()), values)  # small whole numbers are the same as floats


@st.composite
def expressions(draw: st.DrawFn, depth: int = 4) -> str:
    if depth == 0 or draw(st.booleans()):
        return draw(st.sampled_from(["x", "y", "1.5", "2.0", "0.25"]))
    a, b = draw(expressions(depth - 1)), draw(expressions(depth - 1))
    return draw(
        st.sampled_from(
            [
                f"{a} + {b}",
                f"{a} - {b}",
                f"{a}*{b}",
                f"{a}/{b}",
                f"-{a}",
                f"({a})",
                f"({a})*({b})",
                f"({a})-({b})",
                f"+{a}*-{b}",
                f"({a})**2.0",
            ]
        )
    )


@given(expressions())
def test_random_expressions_agree_with_python(text: str) -> None:
    try:
        expected = eval(text, {"x": 1.7, "y": 0.3})
    except (ZeroDivisionError, OverflowError):
        return
    try:
        assert compute(text, **{name: {"x": 1.7, "y": 0.3}[name] for name in parse(text).names}) == expected
    except ExpressionError as error:
        assert "too large" in str(error) and not math.isfinite(expected)


def test_functions_and_constants() -> None:
    assert compute("log(exp(x))", x=2.0) == 2.0
    assert compute("ln(e) + cos(pi)") == 0.0
    assert compute("max(x, 2, 3) + min(x, y) + abs(-y)", x=1.0, y=5.0) == 9.0
    assert compute("logsumexp(x, x)", x=0.0) == math.log(2)
    assert compute("e*pi", e=2.0, pi=3.0) == 6.0
    assert compute("−x·2 × 3", x=1.0) == -6.0


def test_every_function_can_be_called() -> None:
    for name in FUNCTIONS:
        for args in ("0.5", "0.5, 0.4", "1.5", "0.5, 0.4, 0.6"):
            try:
                assert math.isfinite(compute(f"{name}({args})"))
                break
            except ExpressionError:
                continue
        else:
            pytest.fail(f"{name} could not be called")


def test_names_in_order_of_appearance() -> None:
    assert parse("b*a + exp(c) - b").names == ("b", "a", "c")
    assert repr(parse("x")) == "Expression('x')"


@pytest.mark.parametrize(
    ("text", "column", "says"),
    [
        ("", 0, "empty"),
        ("   ", 0, "empty"),
        ("x +", 3, "too early"),
        ("(x", 0, "never closed"),
        ("2*(x", 2, "never closed"),
        ("x)", 1, "no '('"),
        ("f(x)", 0, "no function"),
        ("x.real", 1, "no meaning"),
        ("x[0]", 1, "no meaning"),
        ("lambda: 0", 6, "no meaning"),
        ("[x for x in y]", 0, "no meaning"),
        ("'a'", 0, "no meaning"),
        ('"a"', 0, "no meaning"),
        ("{x}", 0, "no meaning"),
        ("x^2", 1, "**"),
        ("x=3", 3, "argument of its own"),
        ("3x", 1, "operator is missing"),
        ("x y", 2, "operator is missing"),
        ("2(x)", 1, "operator is missing"),
        ("(x)(y)", 3, "operator is missing"),
        ("exp", 0, "write exp(…)"),
        ("exp()", 4, "missing before ')'"),
        ("exp(1, 2)", 0, "2 arguments"),
        ("x, y", 1, "no function is open"),
        ("(x, y)", 2, "no function is open"),
        ("*x", 0, "missing before '*'"),
        ("x */ y", 3, "missing"),
        ("x ** ** y", 5, "missing"),
        ("__import__('os')", 0, "no function"),
        ("x if y else z", 2, "operator is missing"),
        ("9**9**9", 1, "too large"),
        ("1e999", 0, "too large"),
        ("1/0", 1, "division by zero"),
        ("2*log(-1)", 2, "log(-1)"),
        ("(-8)**(1/3)", 4, "real power"),
        ("x @ y", 2, "no meaning"),
        ("x; y", 0, "only definitions"),
        ("p = x; y + 1; p", 7, "only definitions"),
        (";", 0, "a definition is missing"),
        ("  ; x", 2, "a definition is missing"),
        ("p = x;; p", 6, "a definition is missing"),
        ("p = x;", 6, "the expression is missing"),
        ("p = x; ", 7, "the expression is missing"),
        ("p = x; p ;", 9, "nothing follows"),
        ("x ; ", 2, "nothing follows"),
        ("p = x; q = p", 12, "no expression follows the definition of 'q'"),
        ("p = x; p = y; p", 7, "'p' is defined twice"),
        ("q = 2*p; p = x; q + p", 6, "'p' is used before it is defined"),
        ("p = p + 1; p", 4, "'p' is used before it is defined"),
        ("p = x; y", 0, "'p' is defined and not used"),
        ("sin = x; sin", 0, "'sin' is a function"),
        ("pi = x; pi", 0, "'pi' is a constant"),
        ("x = y; x", 0, "'x' is defined here, and was given a value"),
        ("p =; p", 3, "right side of ="),
        ("p = ; p", 3, "right side of ="),
        ("p = x +; p", 7, "too early"),
        ("= x; y", 0, "begins with its name"),
        ("x + p = y; p", 6, "begins with its name"),
        ("p = q = x; p", 6, "begins with its name"),
        ("3 = x; y", 2, "begins with its name"),
        ("p == x; p", 2, "a definition has one ="),
        ("p = x; p == y", 9, "a definition has one ="),
        ("(p = x; p)", 3, "begins with its name"),
        ("p = (x; p)", 4, "never closed"),
        ("p = exp(x; p)", 7, "never closed"),
        ("p = x); p", 5, "no '('"),
        ("p = x; p)", 8, "no '('"),
        ("p = x; max(p, y; p)", 10, "never closed"),
        ("p = 2*log(-1); p*x", 6, "log(-1)"),
        ("p = __import__('os'); p", 4, "no function"),
        ("__class__ = x; __class__.a", 24, "no meaning"),
        ("x # y", 2, "no meaning"),
        ("x\x00", 1, "no meaning"),
        ("x := 3", 2, "no meaning"),
        ("a.b.c", 1, "no meaning"),
        ("0x10", 1, "operator is missing"),
        ("unknown*2", 0, "unknown=…"),
        ("sqrt(x-2)", 0, "sqrt"),
        ("expp(x)", 0, "is it exp?"),
        ("\ud800", 0, "no meaning"),
    ],
)
def test_refusals_name_the_place(text: str, column: int, says: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse(text).evaluate({"x": Value(1.0), "y": Value(1.0)})
    message, excerpt, caret = str(caught.value).split("\n")
    assert says in message
    assert (caught.value.at, caret) == (column, " " * (2 + column) + "^")
    assert excerpt.isprintable()


@pytest.mark.parametrize(
    "text",
    [
        "(" * 10_000 + "x" + ")" * 10_000,
        "(" * 4_000 + "x" + ")" * 4_000,
        "-" * 9_000 + "x",
        "exp(" * 2_000 + "x",
        "x**" * 3_000 + "x",
        "x+" * 500_000 + "x",
        "1" * 5_000,
        "x" * 1_000_000,
        "9**" * 50 + "9",
        "(" * 300,
        " " * 1_000_000,
        "é" * 20_000,
        "p=x;" * 500_000 + "p",
        ";" * 500_000,
    ],
    ids=lambda text: text[:6],
)
def test_enormous_input_is_refused_at_once(text: str) -> None:
    calls = 0

    def profile(frame: Any, event: str, arg: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")
    sys.setprofile(profile)
    try:
        with pytest.raises(ExpressionError) as caught:
            parse(text).evaluate({"x": Value(1.0)})
    finally:
        sys.setprofile(None)
    assert calls < LONGEST   # though there may be a million characters; the time: tests/benchmarks/eager.py
    assert max(map(len, str(caught.value).split("\n"))) < 200


def test_long_input_within_the_limits() -> None:
    text = "+".join(["x"] * (LONGEST // 2))
    assert compute(text, x=1.0) == LONGEST // 2
    assert compute("(" * 150 + "x" + ")" * 150, x=1.0) == 1.0


def test_a_definition_is_a_node_of_that_name() -> None:
    x, y = Value(2.0, label="x"), Value(3.0, label="y")
    found = parse("p = x*y; q = p + 1; q*p")
    assert (found.names, found.definitions) == (("x", "y"), ("p", "q"))
    L = found.evaluate({"x": x, "y": y})
    q, p = L.args
    assert (L.data, q.label, p.label, q.args[0]) == (42.0, "q", "p", p)   # one node, however often it is used
    assert grad(L, x).data == 2 * 2 * 3 * 3 + 3


def test_a_definition_names_nothing_that_was_there_before() -> None:
    x, given = Value(2.0, label="x"), Value(2.0) * 3
    parse("p = x; q = given; p*q").evaluate({"x": x, "given": given})
    assert (x.label, given.label) == ("x", None)
    alias = parse("p = x*x; q = p; p*q").evaluate({"x": x})
    assert [a.label for a in alias.args] == ["p", "p"]
    assert compute("a = 2; b = a*3; b", x=1.0) == 6.0   # of numbers alone it is a number


def test_many_definitions_share_what_they_compute() -> None:
    text = "".join([f"a{i + 1} = a{i} + a{i}; " for i in range(400)]) + "a400"
    y = parse(f"a0 = x*1; {text}").evaluate({"x": Value(1.0)})
    assert y.data == 2.0 ** 400 and len(topological(y)) < 500


@given(st.text(max_size=80) | st.text(alphabet="xy0123456789.+-*/()e, \n", max_size=60)
       | st.text(alphabet="xyp=; +*()", max_size=40))
def test_any_text_gives_a_value_or_a_clear_error(text: str) -> None:
    try:
        found = parse(text)
        found.evaluate({name: Value(1.5) for name in found.names})
    except ExpressionError as error:
        assert str(error).count("\n") == 2
        assert 0 <= error.at <= len(text)
    else:
        assert isinstance(found, Expression)
