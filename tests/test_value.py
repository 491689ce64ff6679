"""Value: what it takes, what it computes, how it compares and prints, and backward()."""

from __future__ import annotations

import copy
import datetime
import math
import operator
import pickle
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from helpers import same
from hypothesis import example, given
from hypothesis import strategies as st

from autograd import Value, errstate, exp, grad, jvp, log, no_grad, relu, sigmoid, sqrt, tanh, topological, where
from autograd.steps import steps

floats = st.floats(allow_nan=True, allow_infinity=True) | st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.0, 0.5, -8.0, 1 / 3, 1e308])


# ---- what it takes

@pytest.mark.parametrize(("x", "data"), [
    (3, 3.0), (True, 1.0), (-0.0, -0.0), (Fraction(1, 3), 1 / 3), (Decimal("0.1"), 0.1), (10**300, 1e300), (math.inf, math.inf),
    (np.float64(1.5), 1.5), (np.float32(0.1), float(np.float32(0.1))), (np.float16(2.0), 2.0), (np.int8(-3), -3.0),
    (np.uint64(2**63), 2.0**63), (np.bool_(True), 1.0), (np.longdouble(2.5), 2.5), (np.array(4.0), 4.0), (np.array(4), 4.0),
    (np.array(True), 1.0), (np.array(2.5, dtype=object), 2.5),
], ids=repr)
def test_one_real_number_becomes_a_float(x: Any, data: float) -> None:
    v = Value(x)
    assert type(v.data) is float
    assert same(v.data, data)
    assert (v.grad, v.label, v.op, v.args) == (0.0, None, None, ())
    w = Value(0.0)
    w.data = x
    assert same(w.data, data)
    assert same((Value(1.0) * x).data, data)
    assert same((x * Value(1.0)).data, data)


NO_NUMBERS = [
    ("1.5", "convert it with float"), (b"1", "convert it with float"), (bytearray(b"1"), "convert it with float"),
    (np.str_("1"), "convert it with float"), (None, "one real number"), ([1.0], "one real number"), ((1.0,), "one real number"),
    ({}, "one real number"), (set(), "one real number"), (object(), "one real number"), (1j, "one real number"),
    (np.complex128(1), "one real number"), (np.array(1j), "one real number"), (np.array("1"), "one real number"),
    (np.datetime64("2020-01-01"), "one real number"), (np.timedelta64(3, "s"), "one real number"),
    (datetime.date(2020, 1, 1), "one real number"), (np.array([1.0]), "one Value of each element"),
    (np.array([1.0, 2.0]), "one Value of each element"), (np.array([]), "one Value of each element"),
    (np.zeros((2, 0)), "one Value of each element"), (Value(1.0), "use it as it is"),
    (lambda: 1.0, "one real number"), (float, "one real number"),
]


@pytest.mark.parametrize(("x", "advice"), NO_NUMBERS, ids=lambda x: type(x).__name__)
def test_what_is_no_number_is_refused_with_advice(x: Any, advice: str) -> None:
    with pytest.raises(TypeError, match=advice):
        Value(x)
    v = Value(2.0)
    with pytest.raises(TypeError, match=advice):
        v.data = x
    assert v.data == 2.0


@pytest.mark.parametrize("x", [x for x, _ in NO_NUMBERS if not isinstance(x, (Value, np.ndarray, np.generic))],
                         ids=lambda x: type(x).__name__)
@pytest.mark.parametrize("op", [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow])
def test_an_operator_leaves_what_is_no_number_to_the_other_operand(op: Callable[[Any, Any], Any], x: Any) -> None:
    for a, b in ((Value(2.0), x), (x, Value(2.0))):
        with pytest.raises(TypeError, match=r"unsupported operand|can only concatenate|can't multiply|can't concat"):
            op(a, b)
    assert Value(2.0).__add__(x) is NotImplemented
    assert Value(2.0).__rpow__(x) is NotImplemented


def test_a_huge_int_is_an_overflow() -> None:
    huge, v = 10**400, Value(2.0)
    makes: list[Callable[[], Any]] = [lambda: Value(huge), lambda: v + huge, lambda: huge * v, lambda: v ** -huge]
    for make in makes:
        with pytest.raises(OverflowError, match="scale it first"):
            make()


def test_an_object_that_knows_its_number_is_taken() -> None:
    class Metres:
        def __float__(self) -> float:
            return 2.5

    class Hostile:
        def __float__(self) -> float:
            raise TypeError("no")

        def __repr__(self) -> str:
            raise RuntimeError("never")
    assert Value(Metres()).data == 2.5
    with pytest.raises(TypeError):
        Value(Hostile())
    with pytest.raises(TypeError, match="a label is a str"):
        Value(1.0, label=3)  # type: ignore[arg-type]


# ---- what it computes

MIXTURES: list[Callable[[float], Any]] = [float, Value, np.float64, Fraction, np.array]


@pytest.mark.parametrize("op", [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow])
@given(a=floats, b=floats, left=st.sampled_from(MIXTURES), right=st.sampled_from(MIXTURES))
@example(a=-8.0, b=1 / 3, left=Value, right=Value)
@example(a=-3.0, b=709.9, left=Value, right=Value)
@example(a=0.0, b=-1.0, left=Value, right=float)
@example(a=1e200, b=2.0, left=Value, right=float)
@example(a=1.0, b=0.0, left=float, right=Value)
@example(a=0.0, b=0.0, left=Value, right=np.float64)
def test_operators_have_the_bits_and_the_errors_of_floats(
        op: Callable[[Any, Any], Any], a: float, b: float, left: Callable[[float], Any], right: Callable[[float], Any]) -> None:
    if left is not Value and right is not Value:
        left = Value
    x = a if left is Fraction and not math.isfinite(a) else left(a)
    y = b if right is Fraction and not math.isfinite(b) else right(b)
    if not (isinstance(x, Fraction) and a == 0) and not (isinstance(y, Fraction) and b == 0):   # Fraction has no -0.0
        try:
            expected = op(a, b)
        except OverflowError:   # infinity instead, or nothing where it would be complex
            if a < 0 and b % 1:
                with pytest.raises(ValueError, match="a negative base"):
                    op(x, y)
                return
            expected = -math.inf if a < 0 and b % 2 == 1 else math.inf
        except ZeroDivisionError as error:
            with pytest.raises(type(error)):
                op(x, y)
            return
        if isinstance(expected, complex):
            with pytest.raises(ValueError, match="a negative base"):
                op(x, y)
            return
        v = op(x, y)
        assert isinstance(v, Value)
        assert same(v.data, expected)


@given(a=floats, n=st.integers(-5, 5), flag=st.booleans())
def test_operators_with_ints_and_bools_have_the_bits_of_floats(a: float, n: int, flag: bool) -> None:
    v = Value(a)
    for k in (n, flag, np.int32(n), np.bool_(flag)):
        f = float(k)
        for op in (operator.add, operator.sub, operator.mul):
            assert same(op(v, k).data, op(a, f))
            assert same(op(k, v).data, op(f, a))
        if k:
            assert same((v / k).data, a / f)
        if a:
            assert same((k / v).data, f / a)


@given(a=floats)
def test_signs_and_absolute_values_have_the_bits_of_floats(a: float) -> None:
    v = Value(a)
    assert same((-v).data, -a)
    assert same(abs(v).data, abs(a))
    assert +v is v


def test_a_quotient_is_correctly_rounded() -> None:
    assert (Value(49.0) / 49.0).data == (49.0 / Value(49.0)).data == 1.0
    assert 49 * (1 / 49) != 1


def test_invalid_operations_never_become_complex() -> None:
    makes: list[Callable[[], Any]] = [lambda: Value(-8) ** (1 / 3), lambda: (-8) ** Value(1 / 3),
                                      lambda: sqrt(Value(-1)), lambda: log(Value(-1))]
    for make in makes:
        with pytest.raises(ValueError):
            make()
    assert ((Value(1e200) * 1e200).data, (Value(1e200) ** 2).data, exp(Value(1000)).data) == (math.inf,) * 3
    assert (1 / (1 + exp(Value(1000)))).data == 0.0


def test_sum_and_augmented_assignment() -> None:
    xs = [Value(1.0), Value(2.0), Value(3.0)]
    total = sum(xs)
    assert isinstance(total, Value)
    total.backward()
    assert (total.data, [x.grad for x in xs]) == (6.0, [1.0, 1.0, 1.0])
    x = y = Value(2.0)
    y += 1
    assert (x.data, y.data, x is y) == (2.0, 3.0, False)
    y *= x
    y -= 1
    y /= 2
    y **= 2
    y.backward()
    assert (y.data, x.grad) == (6.25, 2 * 2.5 * (2 * 2 + 1) / 2)
    product: Any = math.prod(xs)
    assert product.data == 6.0


# ---- among Python's numbers

def test_comparisons_look_at_the_number() -> None:
    a, b, nan = Value(1.0), Value(2.0), Value(math.nan)
    for x, y in ((1.0, 2.0), (2.0, 1.0), (1.0, 1.0), (math.nan, 1.0), (0.0, -0.0), (math.inf, 1.0)):
        for op in (operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge):
            known = op(x, y)
            for compared in (op(Value(x), Value(y)), op(Value(x), y), op(x, Value(y)), op(np.float64(x), Value(y))):
                assert compared is known
    assert a == Fraction(1)
    assert Fraction(1) == a
    assert a != "1"
    assert a not in (None, [1])
    assert nan != nan
    with pytest.raises(TypeError, match="not supported"):
        operator.lt(a, "1")
    assert sorted([b, a])[0] is a
    assert max(a, b) is b


def test_the_hash_is_the_identity() -> None:
    a, b = Value(1.0), Value(1.0)
    assert len({a, b, a}) == 2
    assert {a: "a"}[a] == "a"
    h = hash(a)
    a.data = 5.0
    assert hash(a) == h


def test_a_truth_value_is_that_of_the_number() -> None:
    assert [bool(Value(x)) for x in (0.0, -0.0, 1e-300, math.nan)] == [False, False, True, True]


@pytest.mark.parametrize("f", [float, int, complex, math.exp, math.sqrt, math.floor, math.fsum, round],
                         ids=lambda f: f.__name__)
def test_what_would_lose_the_gradient_is_refused(f: Callable[[Any], Any]) -> None:
    v = Value(2.0, label="w")
    with pytest.raises(TypeError) as raised:
        f([v] if f is math.fsum else v)
    assert "node 'w'" in str(raised.value)
    assert ".data" in str(raised.value)
    assert "autograd" in str(raised.value)


def test_what_is_left_of_a_division_is_that_of_floats() -> None:
    for a, b in ((7.5, 2.0), (-7.5, 2.0), (7.5, -2.0), (-1e-20, 3.0), (5.0, math.inf), (-5.0, math.inf), (6.0, 3)):
        v, w = Value(a), Value(b)
        pairs: list[tuple[Any, Any]] = [(v, w), (v, b), (a, w)]
        for x, y in pairs:
            assert [z.data for z in divmod(x, y)] == [*divmod(a, b)] == [(x // y).data, (x % y).data]
    v, w = Value(7.5), Value(2.0)
    (v % w + v // w).backward()
    assert (v.grad, w.grad) == (1.0, -3.0)
    for op in (operator.mod, operator.floordiv):
        with pytest.raises(ZeroDivisionError, match="node 'n'"):
            op(v, Value(0.0, label="n"))
        for other in ("%s", None, [1.0]):
            with pytest.raises(TypeError):
                op(v, other)


def test_what_has_no_derivative_is_no_operator() -> None:
    for op in (operator.matmul, operator.and_, operator.lshift):
        with pytest.raises(TypeError, match="unsupported operand"):
            op(Value(3.0), 2)
    with pytest.raises(TypeError):
        pow(Value(2.0), 2, 3)  # type: ignore[call-overload]
    with pytest.raises(TypeError):
        len(Value(1.0))  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        iter(Value(1.0))  # type: ignore[call-overload]
    with pytest.raises(AttributeError):
        Value(1.0).gard = 3.0  # type: ignore[attr-defined]


def test_format_and_item() -> None:
    v = Value(2.0 / 3)
    assert f"{v:.3f}" == "0.667"
    assert f"{v:>10.2e}" == "  6.67e-01"
    assert f"{v}" == repr(v) == str(v) == "Value(data=0.6666666666666666, grad=0.0)"
    assert v.item() == v.data
    assert type(v.item()) is float
    assert repr(Value(1, label="w")) == "Value(data=1.0, grad=0.0, label='w')"


@pytest.mark.parametrize("label", ["a\nb", "x" * 10**6, "\x00\x1b[31m", "'\"\\", "<script>", "ξ", "\u2028\u2029",
                                   "", "\ud800", "%s{0}"])
def test_repr_is_one_bounded_line_whatever_the_label(label: str) -> None:
    v = Value(1.0, label=label)
    text = repr(v)
    assert len(text) < 150
    assert len(text.splitlines()) == 1
    assert text.startswith("Value(data=1.0, grad=0.0, label=")
    v.grad = ["evil\n"] * 1000  # type: ignore[assignment]
    assert len(repr(v)) < 200
    assert len(repr(v).splitlines()) == 1


# ---- assignment

def test_the_data_of_a_result_cannot_be_assigned() -> None:
    x = Value(2.0)
    y = (x * 3) + 1
    with pytest.raises(AttributeError, match=r"add\(6, 1\) was computed.*assign to a leaf"):
        y.data = 5.0
    assert y.data == 7.0
    for attribute in ("op", "args"):
        with pytest.raises(AttributeError):
            setattr(x, attribute, None)


LATER: list[Callable[[Value, Value], Any]] = [
    lambda y, _: y.backward(), grad, lambda y, x: grad(y, [x]), lambda y, x: jvp(y, [x], [1.0]),
    lambda y, _: steps(y).rows, lambda y, _: pickle.dumps(y),
]


@pytest.mark.parametrize("use", LATER, ids=["backward", "grad", "grads", "jvp", "steps", "pickle"])
@pytest.mark.parametrize("between", [False, True])
def test_an_assignment_between_forward_and_backward_is_an_error(use: Callable[[Value, Value], Any], between: bool) -> None:
    x, w = Value(2.0, label="x"), Value(5.0, label="w")
    y = x * w
    y = y if between else exp(y / 10) + x
    x.data = 3.0
    if between:   # a node built after the assignment on one built before it
        y = exp(y / 10) + w
    with pytest.raises(RuntimeError, match=r"label='x'.*was assigned after.*build the expression again"):
        use(y, w)
    assert (x.grad, w.grad) == (0.0, 0.0)
    y = x * w
    use(y, w)
    y.backward()
    assert w.grad in (3.0, 6.0)


def test_an_assignment_of_the_same_number_or_to_another_graph() -> None:
    x, other = Value(2.0), Value(1.0)
    y = x * x
    other.data = 7.0
    y.backward()
    assert x.grad == 4.0
    z = x * other
    z.backward()
    assert other.grad == 2.0


def test_an_assignment_while_training() -> None:
    w = Value(5.0)
    for _ in range(60):
        w.grad = 0.0
        loss = (w - 3) ** 2
        loss.backward()
        w.data -= 0.25 * w.grad
    assert w.data == pytest.approx(3.0, rel=1e-12)


# ---- backward

@given(a=st.floats(-1e3, 1e3), b=st.floats(-1e3, 1e3))
def test_backward_twice_doubles_the_leaves_bit_for_bit_and_nothing_between(a: float, b: float) -> None:
    x, y = Value(a), Value(b)
    middle = x * y + tanh(x)
    z = middle * middle + relu(y) * sigmoid(x)
    z.backward()
    once, inner = (x.grad, y.grad), middle.grad
    z.backward()
    assert (x.grad, y.grad) == (2 * once[0], 2 * once[1])
    assert (middle.grad, z.grad) == (inner, 1.0)


def test_two_roots_add_up_in_the_leaves_and_each_is_fresh_between() -> None:
    x = Value(3.0)
    shared = x * x
    first, second = shared * 2, shared + x
    first.backward()
    assert (x.grad, shared.grad) == (12.0, 2.0)
    second.backward()
    assert (x.grad, shared.grad) == (12.0 + 7.0, 1.0)
    assert first.grad == 1.0   # not of this graph


def test_backward_adds_to_what_is_there() -> None:
    x = Value(3.0)
    x.grad = 10
    (x * 2).backward()
    assert x.grad == 12.0
    x.grad = 0
    (x * 2).backward()
    assert x.grad == 2.0
    x.grad = None  # type: ignore[assignment]
    assert "grad=None" in repr(x)
    (x * 2).backward()
    assert x.grad == 2.0
    x.grad = np.float32(1.0)  # type: ignore[assignment]
    (x * 2).backward()
    assert x.grad == 3.0


def test_backward_of_a_leaf() -> None:
    x = Value(3.0)
    x.backward()
    assert x.grad == 1.0
    x.backward()
    assert x.grad == 2.0


def test_the_same_node_twice_and_unused_inputs() -> None:
    x, unused = Value(3.0), Value(1.0)
    (x * x).backward()
    assert (x.grad, unused.grad) == (6.0, 0.0)
    x.grad = 0.0
    (x + x).backward()
    assert x.grad == 2.0
    x.grad = 0.0
    (x - x).backward()
    assert x.grad == 0.0
    (x / x).backward()
    assert x.grad == pytest.approx(0.0, abs=1e-16)   # 1/3 - (3/3)/3
    x.grad = 0.0
    (x ** x).backward()
    assert x.grad == pytest.approx(27 * (1 + math.log(3)), rel=1e-15)
    assert grad(x * 2, unused).data == 0.0


def test_an_adjoint_of_zero_is_a_strong_zero() -> None:
    x = Value(0.0)
    relu(sqrt(x) - 1).backward()
    assert x.grad == 0.0
    (sqrt(x) * 0.0).backward()
    assert x.grad == 0.0
    assert grad(relu(sqrt(x) - 1), x).data == 0.0
    (relu(x - 1) * sqrt(x)).backward()   # its own adjoint is relu(-1)
    assert x.grad == 0.0
    sqrt(x).backward()
    assert x.grad == math.inf
    with pytest.raises(FloatingPointError, match=r"nan gradient of node 'r': mul\(0, 0\) has slope 0 there and receives inf"):
        r = Value(0.0, label="r")
        sqrt(r * r).backward()


def test_a_nan_gradient_of_finite_numbers_names_the_node_and_changes_no_leaf() -> None:
    x, w = Value(1000.0, label="x"), Value(1.0, label="w")
    w.grad = 5.0
    y = exp(x * w) / (1 + exp(x * w))   # ∞/∞
    with pytest.raises(FloatingPointError, match=r"nan gradient of .*div\(inf, inf\) has slope nan there.*use sigmoid"):
        y.backward()
    assert (x.grad, w.grad) == (0.0, 5.0)
    asks: list[Callable[[], Any]] = [lambda: grad(y, x), lambda: grad(y, [w, x]), lambda: jvp(y, [x], [1.0])]
    for ask in asks:
        with pytest.raises(FloatingPointError, match="use sigmoid"):
            ask()


@pytest.mark.parametrize("x", [-1000.0, 1000.0, -1e8])
def test_the_sigmoid_written_by_hand_saturates(x: float) -> None:
    v = Value(x)
    y = 1 / (1 + exp(-v))
    y.backward()
    assert (y.data, v.grad) == (float(x > 0), 0.0)
    z = sigmoid(v)
    z.backward()
    assert (z.data, v.grad) == (float(x > 0), 0.0)


def test_infinite_contributions_of_both_signs_are_told() -> None:
    x = Value(0.0)
    with pytest.raises(FloatingPointError, match="infinite contributions of both signs"):
        (sqrt(x) - sqrt(x)).backward()
    assert x.grad == 0.0


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_nan_or_an_infinity_of_the_users_propagates(bad: float) -> None:
    makes: list[Callable[[Value, Value], Value]] = [
        lambda x, y: x * y, lambda x, y: exp(x) * y, lambda x, y: x / y + x * x, lambda x, y: x - x * y,
        lambda x, y: tanh(x) + y, lambda x, y: relu(x) * 0 + y]
    for make in makes:
        x, y = Value(bad), Value(2.0)
        make(x, y).backward()
        assert isinstance(x.grad, float)
        (Value(2.0) * bad).backward()
    x = Value(bad)
    (x * x).backward()
    assert same(x.grad, 2 * bad)


def test_a_power_of_a_negative_base_with_a_variable_exponent() -> None:
    base, exponent = Value(-2.0, label="b"), Value(3.0, label="n")
    y = base ** exponent
    assert y.data == -8.0
    assert grad(y, base).data == 12.0
    with pytest.raises(FloatingPointError, match=r"node 'n'.*pow\(-2, 3\)"):
        grad(y, exponent)
    with pytest.raises(FloatingPointError, match="node 'n'"):
        y.backward()
    assert (base.grad, exponent.grad) == (0.0, 0.0)
    y = base ** 3
    y.backward()
    assert base.grad == 12.0


@pytest.mark.parametrize(("x", "n", "slopes"), [
    (0.0, 0.0, (0.0, 0.0)), (0.0, 1.0, (1.0, 0.0)), (0.0, 2.0, (0.0, 0.0)), (0.0, 0.5, (math.inf, 0.0)),
    (5.0, 0.0, (0.0, math.log(5))),
    (2.0, 3.0, (12.0, 8 * math.log(2))), (2.0, -1.0, (-0.25, math.log(2) / 2)),
])
def test_slopes_of_a_power(x: float, n: float, slopes: tuple[float, float]) -> None:
    base, exponent = Value(x), Value(n)
    (base ** exponent).backward()
    assert (base.grad, exponent.grad) == pytest.approx(slopes, rel=1e-15)
    base.grad = 0.0
    (base ** n).backward()
    assert base.grad == pytest.approx(slopes[0], rel=1e-15)
    exponent.grad = 0.0
    (x ** exponent).backward()
    assert exponent.grad == pytest.approx(slopes[1], rel=1e-15)


def test_a_negative_number_to_a_whole_power_and_to_zero() -> None:
    x = Value(-1.5)
    for n in range(-4, 5):
        assert grad(x ** n, x).data == pytest.approx(n * (-1.5) ** (n - 1), rel=1e-15)
        assert grad(grad(x ** n, x), x).data == pytest.approx(n * (n - 1) * (-1.5) ** (n - 2), rel=1e-15)
    zero = Value(0.0)
    assert [grad(zero ** n, zero).data for n in range(4)] == [0.0, 1.0, 0.0, 0.0]
    assert [grad(grad(zero ** n, zero), zero).data for n in range(4)] == [0.0, 0.0, 2.0, 0.0]


def test_an_interrupted_backward_leaves_the_leaves_alone() -> None:
    from autograd import PRIMITIVES, Primitive

    def interrupted(y: float, x: float) -> tuple[float]:
        raise KeyboardInterrupt
    op = Primitive("test_interrupted", value=lambda x: x, partials=interrupted)
    try:
        x = Value(2.0)
        x.grad = 7.0
        y = op(x * 3) * x
        with pytest.raises(KeyboardInterrupt):
            y.backward()
        assert x.grad == 7.0
        (x * x).backward()
        assert x.grad == 11.0
    finally:
        del PRIMITIVES["test_interrupted"]


# ---- constants, no_grad, detach

def test_no_grad_records_nothing() -> None:
    x = Value(3.0)
    with no_grad():
        results = [x * x, x + 1, 2 - x, x / 2, x ** 2, exp(x), -x, abs(x), where(x, x, 1.0)]
        with no_grad():
            pass
        assert (x * 2).args == ()
    assert [v.args for v in results] == [()] * len(results)
    assert results[0].data == 9.0
    (results[0] * x).backward()
    assert (x.grad, results[0].grad) == (9.0, 0.0)
    assert (x * x).args == (x, x)

    @no_grad()
    def predict(v: Value) -> Value:
        return v * 2
    assert predict(x).args == ()
    with pytest.raises(ZeroDivisionError), no_grad():
        x / 0
    assert (x * x).args


def test_detach_is_a_constant() -> None:
    x = Value(3.0)
    fixed = x.detach()
    y = x * fixed
    y.backward()
    assert (x.grad, fixed.grad, fixed.data) == (3.0, 0.0, 3.0)
    assert fixed.constant
    assert not x.constant


def test_constants_get_no_gradient() -> None:
    x = Value(3.0)
    y = x * 5 + 7
    y.backward()
    for v in topological(y):
        if v.constant:
            assert v.grad == 0.0


# ---- the API that micrograd's users know

@pytest.mark.parametrize(("name", "value", "slope"), [
    ("relu", 0.5, 1.0), ("tanh", math.tanh(0.5), 1 - math.tanh(0.5) ** 2), ("exp", math.exp(0.5), math.exp(0.5)),
    ("log", math.log(0.5), 2.0), ("sigmoid", 1 / (1 + math.exp(-0.5)), 1 / (2 + 2 * math.cosh(0.5))),
    ("sqrt", math.sqrt(0.5), 0.5 / math.sqrt(0.5)), ("sin", math.sin(0.5), math.cos(0.5)),
    ("cos", math.cos(0.5), -math.sin(0.5)),
])
def test_methods(name: str, value: float, slope: float) -> None:
    x = Value(0.5)
    y = getattr(x, name)()
    y.backward()
    assert (y.data, x.grad) == pytest.approx((value, slope), rel=1e-15)


# ---- copies

def graph() -> tuple[Value, Value, Value]:
    a, b = Value(2.0, label="a"), Value(3.0, label="b")
    inner = a * b
    inner.label = "inner"
    y = exp(inner / 10) + inner * 2 + a ** 2
    y.label = "y"
    y.backward()
    return a, b, y


@pytest.mark.parametrize("copied", [copy.deepcopy, *[lambda y, k=k: pickle.loads(pickle.dumps(y, k)) for k in range(2, 6)]],
                         ids=["deepcopy", "pickle2", "pickle3", "pickle4", "pickle5"])
def test_a_copy_is_an_independent_graph_of_the_same_bits(copied: Callable[[Value], Value]) -> None:
    a, b, y = graph()
    other = copied(y)
    before, after = topological(y), topological(other)
    assert [(v.data, v.grad, v.label, v.op, v.constant, type(v)) for v in before] == \
           [(v.data, v.grad, v.label, v.op, v.constant, type(v)) for v in after]
    assert not {*before} & {*after}
    place = {v: i for i, v in enumerate(before)}, {v: i for i, v in enumerate(after)}
    assert [[place[0][u] for u in v.args] for v in before] == [[place[1][u] for u in v.args] for v in after]
    grads = (a.grad, b.grad)
    other.backward()
    assert (a.grad, b.grad) == grads
    twin = {v.label: v for v in after}
    assert (twin["a"].grad, twin["b"].grad) == (2 * a.grad, 2 * b.grad)
    twin["a"].data = 9.0
    assert a.data == 2.0
    y.backward()
    with pytest.raises(RuntimeError):
        other.backward()


def test_what_is_copied_together_stays_shared() -> None:
    a, b, y = graph()
    ways: list[Callable[[Any], Any]] = [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]
    for copied in ways:
        one, two, root = copied([a, b, y])
        leaves = [v for v in topological(root) if v.label in {"a", "b"}]
        assert leaves[0] is one
        assert leaves[1] is two
    roots = copy.deepcopy([y, y * 2])
    assert roots[1].args[0] is roots[0]
    again = pickle.loads(pickle.dumps({"first": y, "second": y}))
    assert again["first"] is again["second"]


def test_leaves_constants_and_subclasses_are_pickled() -> None:
    for v in (Value(1.5, label="w"), Value(math.nan), Value(-0.0), Value(2.0).detach()):
        again = pickle.loads(pickle.dumps(v))
        assert type(again) is type(v)
        assert same(again.data, v.data)
        assert (again.label, again.grad, again.constant) == (v.label, v.grad, v.constant)
    again = pickle.loads(pickle.dumps(Parameter(2.0)))
    assert isinstance(again, Parameter)
    assert again.data == 2.0


class Parameter(Value):
    """A leaf with an attribute of its own."""

    __slots__ = ("decay",)


def test_a_shallow_copy_shares_the_arguments() -> None:
    a, _, y = graph()
    twin = copy.copy(y)
    assert twin is not y
    assert twin.args == y.args
    assert (twin.data, twin.label) == (y.data, y.label)
    leaf = copy.copy(a)
    leaf.data = 7.0
    assert a.data == 2.0


# ---- tampering

@pytest.mark.parametrize("n", [1, 2, 3, 5000])
def test_a_cycle_raises_and_never_hangs(n: int) -> None:
    x = Value(1.0)
    first = y = x * 1.0
    for _ in range(n - 1):
        y = y + 1.0
    first.args = (x, y)  # type: ignore[misc]   # y is above first, and now below it
    uses: list[Callable[[], Any]] = [y.backward, lambda: grad(y, x), lambda: topological(y), lambda: copy.deepcopy(y),
                                     lambda: pickle.dumps(y), lambda: jvp(y, [x], [1.0])]
    for use in uses:
        with pytest.raises(RuntimeError, match="cycle"):
            use()
    first.args = (x, x)  # type: ignore[misc]


def test_errstate_and_values() -> None:
    x = Value(0.0)
    with errstate(divide="ignore"):
        y = 1 / x
        assert y.data == math.inf
        y.backward()
        assert x.grad == -math.inf
        assert (log(x).data, (x ** -1).data, (3 / x).data) == (-math.inf, math.inf, math.inf)
    with errstate(invalid="ignore"):
        assert math.isnan((Value(-8) ** (1 / 3)).data)
