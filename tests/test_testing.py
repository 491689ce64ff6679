"""The toolkit for tests of derivatives: its assertions fail where they should, its programs shrink and print as they run."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from helpers import ROWS, SMOOTH
from hypothesis import find, given, settings
from hypothesis import strategies as st

from autograd import (
    PRIMITIVES,
    Primitive,
    Value,
    asin,
    cos,
    exp,
    grad,
    hessian,
    log,
    log1p,
    primitive,
    relu,
    sigmoid,
    softplus,
    sqrt,
    tanh,
)
from autograd.testing import (
    Program,
    assert_derivative,
    assert_gradients,
    assert_same,
    expressions,
    networks,
    points,
    primitives,
    values,
)
from autograd.testing.compare import FACTOR, Disagreement, bounds, clusters, compared
from autograd.testing.main import main
from autograd.testing.peers import peers
from autograd.testing.programs import LAYOUTS, rows
from autograd.testing.session import Session, drawn, shrunk
from autograd.testing.ways import Outcome, Unjudged, Way, backends, ways

ROOT = Path(__file__).parents[1]
PYTHON = ["python"]
MANY = settings(database=None, derandomize=True, max_examples=2000)   # to find something
PLAIN = [p for p in ROWS if p in rows()]   # without those that other tests make, and those that cancel


@contextmanager
def a_row(name: str, **parts: Any) -> Iterator[Primitive]:
    """A row of the table for a while."""
    row = Primitive(f"test_{name}", **parts)
    try:
        yield row
    finally:
        del PRIMITIVES[row.name]


# ---- assertions

def test_a_right_derivative_passes() -> None:
    assert_derivative(lambda x: x ** 3, lambda x: 3 * x * x, at=[-1.0, 0.0, 2.5], second=lambda x: 6 * x)
    e = math.exp
    assert_derivative(lambda x, y: exp(x) / y, lambda x, y: (e(x) / y, -e(x) / y**2), at=[(0.5, 2.0), (1.0, -3.0)],
                      second=lambda x, y: [[e(x) / y, -e(x) / y**2], [-e(x) / y**2, 2 * e(x) / y**3]])
    assert_derivative(lambda p: p["a"] * p["b"], lambda p: {"a": p["b"], "b": p["a"]}, at={"a": 2.0, "b": 3.0})
    assert_derivative(sqrt, lambda x: math.inf, at=0.0)
    assert_derivative(lambda x: 0 * x, lambda x: 0.0, at=range(3))
    assert_derivative(lambda x: (x - 1) ** 0.5 * 0.0 * x, lambda x: 0.0, at=2)


@pytest.mark.parametrize(("f", "formulas", "at", "told"), [
    (lambda x: x ** 3, {"analytic": lambda x: 3 * x}, [1.0, 2.0, 3.0],
     ["the derivative of", "2 of 3 points", "at 3.0: 27.0", "is 9.0", "ulp away", "all nodes agree"]),
    (lambda x: x ** 3, {"analytic": lambda x: 3 * x * x, "second": lambda x: 3 * x}, 2.0,
     ["the second derivative", "12.0", "6.0"]),
    (lambda x: x * x, {"analytic": lambda x: 2 * x * (1 + 1e-11)}, 1.0, ["4.5e+04 ulp"]),
    (abs, {"analytic": lambda x: 1.0}, [0.0, 1.0], ["1 of 2 points", "at 0.0: 0.0"]),
    (lambda x, y: x * y, {"analytic": lambda x, y: (y, y)}, (2.0, 3.0), ["by number 1 of the arguments: 2.0"]),
    (lambda x, y: x * y, {"analytic": lambda x, y: (y, x), "second": lambda x, y: [[0, 1], [2, 0]]}, (2.0, 3.0),
     ["by the numbers 1 and 0: 1.0", "is 2.0"]),
    (sqrt, {"analytic": lambda x: 1e300}, 0.0, ["inf ulp"]),
    (sqrt, {"analytic": lambda x: math.nan}, 1.0, ["0.5", "nan"]),
    (lambda x: exp(x) * 0, {"analytic": lambda x: 5e-324}, 0.0, ["5e-324"]),
])
def test_a_wrong_derivative_fails_and_says_where(f: Callable[..., Any], formulas: dict[str, Any], at: Any,
                                                 told: list[str]) -> None:
    with pytest.raises(AssertionError) as failure:
        assert_derivative(f, at=at, **formulas)
    for part in told:
        assert part in str(failure.value)


def test_a_wrong_partial_is_named_even_if_it_is_nearly_right() -> None:
    for partials in (lambda y, x: (cos(x) + 1e-1,), lambda y, x: (cos(x) + 1e-6,)):
        with a_row("slope", value=math.sin, partials=partials) as row:
            f = partial(composed, exp, row)
            with pytest.raises(AssertionError, match=r"the partial of test_slope\(0.5\) by its argument 0"):
                assert_derivative(f, lambda x: math.exp(math.sin(x)) * math.cos(x), at=0.5)
            with pytest.raises(AssertionError, match=r"(?s)differences of f gives.*the partial of test_slope"):
                assert_gradients(f, 0.5, order=1, backends=PYTHON)


def composed(f: Any, g: Any, x: Any) -> Any:
    return f(g(x))


def test_what_cannot_be_compared_is_an_error_of_its_own() -> None:
    with pytest.raises(ValueError, match="has 2 numbers, and the analytic one gave 1"):
        assert_derivative(lambda x, y: x * y, lambda x, y: y, at=(1.0, 2.0))
    with pytest.raises(ValueError, match="no point"):
        assert_derivative(exp, exp, at=[])
    with pytest.raises(ValueError, match="log needs a positive") as failure:
        assert_derivative(log, lambda x: 1 / x, at=[1.0, -2.0])
    assert failure.value.__notes__ == ["at the point -2.0"]
    with pytest.raises(TypeError, match="gave 2 numbers"):
        assert_gradients(lambda x: [x, x], 1.0)
    with pytest.raises(TypeError, match="got the text 'x'"):
        assert_gradients(lambda x: "x", 1.0)


def test_an_analytic_nan_asks_for_no_derivative() -> None:
    f = lambda x: (-2.0) ** x   # noqa: E731
    with pytest.raises(FloatingPointError):
        grad(f)(3.0)
    assert_derivative(f, lambda x: math.nan, at=3.0)
    assert_derivative(lambda x: x * math.nan, lambda x: math.nan, at=3.0)


def test_two_forms_of_a_function() -> None:
    assert_same(lambda x: log(1 + exp(x)), softplus, at=[-3.0, 0.0, 30.0], order=2, atol=1e-15)
    assert_same(log, lambda x: log(x * 1), at=[-1.0, 0.0, 1.0, math.inf, math.nan])
    cases: list[tuple[Any, Any, Any, int, str]] = [
        (lambda x: x, lambda x: 2 * x, 3.0, 1, "the value"), (lambda x: x, lambda x: x * x * 0.5 + 0.5, 1.0, 2, "the second"),
        (relu, lambda x: (x + abs(x) + 1e-30 * x) / 2, 0.0, 1, "the derivative"), (log, log1p, 0.0, 1, "ValueError"),
        (lambda x, y: x * y, lambda x, y: x + y, (2.0, 2.0), 2, "by the numbers 0 and 1")]
    for f, g, at, order, told in cases:
        assert_same(f, f, at, order=order)
        with pytest.raises(AssertionError, match=told):
            assert_same(f, g, at, order=order)
    assert_same(lambda x: x, lambda x: x * x * 0.5 + 0.75, 1.0, order=1, atol=0.3)


@pytest.mark.slow
def test_every_way_is_compared() -> None:
    for layout in (3.0, (1.0, 2.0), ([1.0, 2.0],), ({"a": 1.0, "b": [2.0]},)):
        assert_gradients(lambda *args: tanh(sum(leaves(args), 0.0) * leaves(args)[0]), layout, order=3)
    assert_gradients(lambda x: relu(x) * abs(x - 2), [0.0, 1.0, 2.0], backends=PYTHON)
    assert_gradients(lambda x: x if x > 0 else -x, [-1.0, 1.0], backends=PYTHON)   # it cannot be traced: eager ways remain
    assert_gradients(log, [-1.0, 0.0], order=1, backends=PYTHON)                   # every way raises


def leaves(x: Any) -> list[Any]:
    return [z for part in (x.values() if isinstance(x, dict) else x) for z in leaves(part)] if isinstance(
        x, (dict, list, tuple)) else [x]


def test_ways_that_disagree_are_told() -> None:
    with a_row("array", value=math.sin, partials=lambda y, x: (cos(x),),
               array=lambda xp, x: xp.sin(x) + 1e-9) as row, pytest.raises(AssertionError) as failure:
        assert_gradients(Program((0.5,), (("test_array", (0,)),)), order=1, backends=["numpy"])
    assert "backend='numpy'" in str(failure.value) and "(so do " in str(failure.value)
    assert "    return primitive('test_array')(x)" in str(failure.value) and row.name not in PRIMITIVES


def test_there_are_many_ways() -> None:
    for order, least in ((1, 6), (2, 8), (3, 4)):
        assert len({way.name for way in ways(order, ())}) >= least
        for backend in backends():
            assert len({way.name for way in ways(order, [backend])}) >= least + 2


# ---- how far two right answers may be apart

@pytest.mark.parametrize(("f", "at", "digits"), [
    (lambda x: x, 0.1, 99), (lambda x: x * 3, 0.1, 15), (lambda x: (x + 1e10) - 1e10, 0.1, 5),
    (lambda x: exp(-50 * x) * 1e10, 1.01, 14), (lambda x: 1 / (x * x - 1.0), 1 + 1e-10, 5)])
def test_bounds_follow_cancellation(f: Callable[..., Any], at: float, digits: float) -> None:
    y = f(Value(at))
    off, = bounds([y])
    size = abs(y.data)
    assert size * 10.0 ** -(digits + 1.5) <= off + (digits == 99) and off * FACTOR <= size * 10.0 ** (2.5 - digits)


def test_bounds_are_unknown_next_to_kinks_and_beyond_the_range() -> None:
    x = Value(0.1)
    assert bounds([relu(x - 0.1), relu(3 * x - 0.1 - 0.2), relu(x * 0.5)])[1:2] == [math.inf]
    assert math.isfinite(bounds([relu(x * 0.5)])[0]) and bounds([relu(x)])[0] < 1e-16
    assert bounds([x * 1e200 * 1e150 * 1e-300]) == [math.inf]


def test_what_is_the_same() -> None:
    way = Way("a", 1, lambda f, args: [])
    one, invalid = Outcome((1.0, 2.0)), Outcome(error=ValueError("a"))
    for a, b, agree in [
            (one, Outcome((1.0, 2.0 + 1e-15)), True), (one, Outcome((1.0, 2.1)), False), (one, Outcome((1.0,)), False),
            (Outcome((math.nan, math.inf)), Outcome((math.nan, math.inf)), True),
            (Outcome((1.0, math.inf)), Outcome((1.0, -math.inf)), False),
            (Outcome((1.0, 0.0)), Outcome((1.0, -0.0)), True), (Outcome((1.0, 0.0)), Outcome((1.0, math.nan)), False),
            (invalid, Outcome(error=ValueError("b")), True), (invalid, Outcome(error=ZeroDivisionError("a")), False),
            (invalid, one, False), (one, invalid, False),
            (one, Outcome(error=Unjudged("a")), True), (one, Outcome((1.0, 2.1), off=(0.0, 0.2)), True)]:
        assert bool(clusters(1, [(way, a), (way, b)], [1e-16, 1e-15])) != agree, (a, b)


# ---- programs

@given(expressions(smooth=False, of=PLAIN), st.sampled_from(LAYOUTS))
def test_a_program_prints_as_what_it_is(program: Program, layout: str) -> None:
    program = replace(program, layout=layout)
    whole: dict[str, Any] = {}
    exec("\n".join(program.source()), whole)
    line: dict[str, Any] = {}
    exec(f"from autograd import *\nfrom autograd import primitive\nimport numpy as np\n{program!r}", line)
    xs = [Value(x) for x in program.at]
    expected = program(*structured(program, xs)).data
    for f in (whole["f"], line["f"]):
        assert f(*structured(program, [Value(x) for x in program.at])).data == expected
    assert str(program) == repr(program) and "\n" not in repr(program)


def structured(program: Program, xs: list[Any]) -> tuple[Any, ...]:
    import numpy as np
    return (np.array(xs, dtype=object),) if program.layout == "array" else program.structured(xs)


@given(expressions(depth=5, of=SMOOTH))
def test_programs_are_well_conditioned(program: Program) -> None:
    xs = [Value(x) for x in program.at]
    y = program(*xs)
    assert abs(y.data) <= 300 and all(math.isfinite(d.data) for d in grad(y, xs))


def test_special_programs_print_too() -> None:
    for k in range(1, 200, 2):
        program = replace(drawn(7, k), layout="numbers")
        space: dict[str, Any] = {}
        exec("\n".join(program.source()), space)
        a, b = [called(f, program) for f in (program, space["f"])]
        assert repr(a) == repr(b)


def called(f: Callable[..., Any], program: Program) -> Any:
    try:
        return f(*[Value(x) for x in program.at]).data
    except (ArithmeticError, ValueError) as error:
        return type(error)


@pytest.mark.slow
@pytest.mark.parametrize(("word", "text"), [("log", "return log("), ("softmax", "return softmax(x, x)[0]")])
def test_programs_shrink_to_short_ones(word: str, text: str) -> None:
    program = find(expressions(smooth=False), lambda program: word in program.words, settings=MANY)
    assert text in repr(program) and len(program.at) == 1 and len(program.steps) <= 4, program


@pytest.mark.slow
def test_a_failing_example_is_printed_as_a_program() -> None:
    @MANY
    @given(expressions(of=SMOOTH))
    def fails(program: Program) -> None:
        assert "exp" not in program.words
    with pytest.raises(AssertionError) as failure:
        fails()
    assert "def f(x=0.0): return exp(x)" in "\n".join(failure.value.__notes__)


# ---- strategies

@given(values(-2, 3), values())
def test_values_are_new_and_within_their_limits(x: Value, y: Value) -> None:
    assert -2 <= x.data <= 3 and math.isfinite(y.data) and not x.args and x.grad == 0


@given(st.data())
def test_points_are_inside_domains_and_away_from_kinks(data: st.DataObject) -> None:
    p = data.draw(st.sampled_from(ROWS))
    xs = data.draw(points(p))
    assert all([p.domain[0] <= x <= p.domain[1] for x in xs]) and (p.arity is None or len(xs) == p.arity)
    assert math.isfinite(p(*xs)) and (p.kink is None or abs(p.kink(*xs)) > 0)


@pytest.mark.parametrize("name", ["relu", "maximum", "round", "where"])
def test_points_may_be_kinks(name: str) -> None:
    p = primitive(name)
    assert p.kink is not None
    if p.domain[0] <= 0 or name != "relu":
        kink = p.kink
        xs = find(points(p, smooth=False), lambda xs: not abs(kink(*xs)) > 0.25)
        assert all([p.domain[0] <= x <= p.domain[1] for x in xs])


def test_rows_of_ones_own_are_drawn() -> None:
    with a_row("mine", value=lambda x: x * x, partials=lambda y, x: (2 * x,)) as row:
        assert find(primitives(), lambda p: p is row, settings=MANY) is row
        assert find(expressions(), lambda program: row.name in program.words, settings=MANY).words == (row.name,)
        assert_gradients(row, [1.0, 2.0], backends=PYTHON)
    assert find(primitives(smooth=False), lambda p: p.kink is not None).kink


@given(networks())
def test_networks_train(program: Program) -> None:
    assert_gradients(program, order=1, backends=())
    assert len(program.at) >= 3


@pytest.mark.parametrize("first", ["", "from autograd.testing import points; ", "import autograd.testing as t; t.points; "])
def test_hypothesis_knows_values_by_its_entry_point(tmp_path: Path, first: str) -> None:
    """Whichever is imported first."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    info = tmp_path / "xigrad_of_the_test-1.dist-info"
    info.mkdir()
    lines = [f"{name} = {target}" for name, target in project["entry-points"]["hypothesis"].items()]
    (info / "entry_points.txt").write_text("[hypothesis]\n" + "\n".join(lines))
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: xigrad-of-the-test\nVersion: 1\n")
    code = (first + "from hypothesis import find, strategies as st; import sys; assert 'autograd' in sys.modules; "
            "from autograd import Value; print(find(st.from_type(Value), lambda v: v.data > 1).data)")
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True)
    assert done.stdout == "2.0\n"


def test_without_hypothesis_the_assertions_remain() -> None:
    code = ("import sys; sys.modules['hypothesis'] = None\n"
            "from autograd import exp\nfrom autograd.testing import assert_derivative, assert_gradients\n"
            "assert_derivative(exp, exp, at=1.0); assert_gradients(exp, 1.0, backends=['python'])\n"
            "try:\n    from autograd.testing import values\nexcept ImportError as error:\n    print(error)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert "pip install 'xigrad[testing]'" in done.stdout
    code = "import sys, autograd.testing; print([m for m in ('hypothesis', 'numpy', 'mpmath') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True).stdout == "[]\n"


# ---- other libraries

@pytest.mark.slow
def test_mpmath_and_differences_agree_with_the_engine_where_they_judge() -> None:
    others, _ = peers()
    judged = 0
    for k in range(0, 120, 6):
        program = drawn(0, k)
        for order in (1, 2, 3):
            found, off = compared(program, program.args, order, [ways(order, ())[0], *[w for w in others if w.order == order]])
            assert not clusters(order, found, off), program
            judged += sum([not outcome.error for _, outcome in found[1:]])
    assert judged > 30


# ---- the command

def test_the_same_seed_draws_the_same_programs() -> None:
    assert [drawn(3, k) for k in range(40)] == [drawn(3, k) for k in range(40)]
    assert drawn(3, 1) != drawn(4, 1)
    assert {drawn(0, k).layout for k in range(40)} == set(LAYOUTS)


def broken(way: Way, wrong: Callable[[Program], bool]) -> Way:
    """A way that has another first number in programs of some kind."""
    def run(f: Any, args: tuple[Any, ...]) -> Any:
        found = way.run(f, args)
        assert not isinstance(found, Outcome)
        return [float(x.data if isinstance(x, Value) else x) + 1.0 for x in found] if wrong(f) else found
    return Way("broken", way.order, run)


@pytest.mark.slow
def test_disagreements_are_found_grouped_and_made_short() -> None:
    wrong = broken(ways(1, ())[0], lambda program: "tanh" in program.words)
    session = Session(0, (1,), lambda order: [wrong])
    new = [finding for k in range(0, 24, 2) for finding in session.run(k)]
    short = [finding for finding in new if finding.program.words == ("tanh",)]
    assert len(short) == 1 and len(new) < 6 and session.disagreements >= len(new)
    assert session.programs == 12 and session.comparisons > 100
    assert repr(short[0].program) == "def f(x=0.0): return tanh(x)"
    assert len(short[0].lines()) <= 10
    space: dict[str, Any] = {}
    exec("\n".join(short[0].lines()), space)
    assert space["f"](0.5) == math.tanh(0.5)
    assert sum([finding.count for finding in session.findings.values()]) == session.disagreements


def test_shrinking_keeps_the_kind_of_disagreement() -> None:
    steps = (("mul", (0, 1)), ("exp", (2,)), ("add", (3, 0)), ("sin", (4,)), ("mul", (5, 3)))
    program, right = Program((0.75, -1.25), steps, "dict"), ways(1, ())[0]
    wrong = broken(right, lambda program: "sin" in program.words)
    d = Disagreement(1, right, right(program, program.args), (wrong,), wrong(program, program.args))
    shorter, _ = shrunk(program, d)
    assert repr(shorter) == "def f(x=0.0): return sin(x)"


@pytest.mark.slow
def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--programs", "4", "--seed", "4", "--order", "2"]) in (0, 1)
    first = capsys.readouterr().out
    assert main(["--programs", "4", "--seed", "4", "--order", "2"]) in (0, 1)
    assert capsys.readouterr().out == first
    assert "\n4 programs, " in first and " comparisons (" in first and " disagreements" in first
    assert main(["--only", "0", "--seed", "4", "--order", "1"]) == 0
    told = capsys.readouterr().out
    assert "def f(" in told and told.endswith(" 0 disagreements\n")


def test_the_command_line_is_refused_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--order", "4"], ["--minutes", "soon"], ["now"]):
        assert main(arguments) == 2
        told = capsys.readouterr()
        assert told.err.count("\n") == 1 and "--help" in told.err and not told.out


@pytest.mark.slow
@pytest.mark.parametrize("bare", [[], ["-S"]], ids=["all", "the standard library alone"])
def test_the_command_is_a_module(bare: list[str]) -> None:
    command = [sys.executable, *bare, "-m", "autograd.testing", "--programs", "8", "--order", "1"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode in (0, 1) and "\n8 programs, " in done.stdout, done.stdout + done.stderr
    assert ("compiled on python;" in done.stdout) == bool(bare)


# ---- what it is for: the table itself

@given(st.data())
def test_every_way_leads_to_the_derivatives_of_every_row(data: st.DataObject) -> None:
    p = data.draw(st.sampled_from(PLAIN))
    assert_gradients(p, data.draw(points(p, smooth=False)), order=2, backends=PYTHON)


def test_stable_forms_are_the_plain_ones() -> None:
    at = [-5.0, -0.5, 0.0, 0.5, 5.0]
    assert_same(sigmoid, lambda x: 1 / (1 + exp(-x)), at, order=2, atol=1e-15)
    assert_same(tanh, lambda x: (exp(x) - exp(-x)) / (exp(x) + exp(-x)), at, order=2, atol=1e-14)
    assert_derivative(asin, lambda x: 1 / math.sqrt(1 - x * x), at=[-0.5, 0.0, 0.75], second=lambda x: x / (1 - x * x) ** 1.5)
    assert hessian(lambda x: x * x)(1.0) == 2.0


def test_points_may_be_values_and_backends_one_name() -> None:
    assert_derivative(exp, exp, at=[Value(1.0), Value(2.0)])
    assert_gradients(lambda x, y: x * y, at=(Value(1.0), 2.0), backends="python")
    with pytest.raises(ValueError, match="backend='pyhton'"):
        assert_gradients(exp, at=1.0, backends="pyhton")


def test_a_kink_is_not_blamed() -> None:
    with pytest.raises(AssertionError, match="partials of all nodes agree"):
        assert_derivative(relu, lambda x: 0.5, at=0.0)
