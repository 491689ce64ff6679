"""Random graphs with sharing: every way to a derivative agrees with the truth and with every other way."""

from __future__ import annotations

import copy
import math
import os
import pickle
import random
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import SMALLEST, SMOOTH, Exact, on_a_list, path_sums, programs, values_of
from hypothesis import assume, given
from hypothesis import strategies as st
from mpmath import mpf

from autograd import Value, grad, gradcheck, hessian, hvp, jacobian, jvp, topological, value_and_grad, vjp
from autograd.check import differences
from autograd.sweep import dependents
from autograd.testing import Program
from autograd.testing.programs import CODES, expression
from autograd.zeros import pullback, pushforward


def well_conditioned(y: Value, xs: list[Value]) -> list[float]:
    """The path sums, which are the scales of errors; graphs that magnify by a million are left out."""
    sums = path_sums(y, xs)
    assume(max(sums) < 1e6)
    return sums


@given(programs)
def test_values_and_gradients_are_those_of_the_truth(program: Program) -> None:
    xs, y = values_of(program)
    sums, exact = well_conditioned(y, xs), Exact(y, xs)
    assert abs(y.data - exact.value()) <= 1e-12 * (1 + sum(sums))
    y.backward()
    for i, x in enumerate(xs):
        assert abs(x.grad - exact.first(i)) <= 1e-9 * sums[i] + 1e-12, i   # of all paths together; 1e-12 for cos(acos(0))


@given(programs)
def test_second_derivatives_are_those_of_the_truth(program: Program) -> None:
    xs, y = values_of(program)
    sums, exact = well_conditioned(y, xs), Exact(y, xs)
    matrix = hessian(y, xs)
    for i, row in enumerate(matrix):
        scales = path_sums(grad(y, xs[i]), xs)
        for j, found in enumerate(row[:i + 1]):
            true = exact.second(i, j)
            assert abs(found.data - true) <= 1e-8 * (abs(true) + scales[j] + sums[i] + sums[j]) + 1e-12, (i, j)
            assert abs(found.data - matrix[j][i].data) <= 1e-8 * (abs(true) + scales[j] + sums[i] + sums[j]) + 1e-12


@given(programs)
def test_all_ways_to_a_gradient_agree(program: Program) -> None:
    xs, y = values_of(program)
    sums = well_conditioned(y, xs)
    y.backward()
    of_values = [d.data for d in grad(y, xs)]
    value, of_function = value_and_grad(program)(list(program.at))
    assert value == y.data == program(list(program.at))   # of floats, too
    assert of_values == of_function == [x.grad for x in xs]   # the same terms in the same order: the same bits
    assert jacobian(program)(list(program.at)) == of_function
    assert vjp(program, list(program.at), 1.0) == (value, of_function)
    for i in range(len(xs)):
        unit = [float(i == j) for j in range(len(xs))]
        assert abs(jvp(y, xs, unit).data - of_values[i]) <= 1e-11 * sums[i] + SMALLEST   # forward, sums have another order
        assert abs(jvp(program, list(program.at), unit)[1] - of_values[i]) <= 1e-11 * sums[i] + SMALLEST


@given(programs)
def test_the_fast_sweep_is_the_plain_one(program: Program) -> None:
    xs, y = values_of(program)
    y.backward()
    order = topological(y)
    plain = pullback(order, {y: 1.0}, xs, symbolic=False)
    for v in order:
        if v in xs or v.args:
            assert v.grad == plain.get(v, 0.0) or v not in dependents(order, xs)


@given(programs, st.lists(st.floats(-2, 2), min_size=4, max_size=4), st.floats(-2, 2))
def test_forward_and_reverse_mode_are_transposes(program: Program, direction: list[float], u: float) -> None:
    xs, y = values_of(program)
    sums = well_conditioned(y, xs)
    v = direction[:len(xs)]
    tangent = jvp(y, xs, v).data
    cotangent = [d.data for d in vjp(y, xs, u)]
    scale = sum(s * abs(d) for s, d in zip(sums, v, strict=True)) * abs(u)
    assert abs(u * tangent - math.fsum(c * d for c, d in zip(cotangent, v, strict=True))) <= 1e-11 * scale + SMALLEST
    numeric = pushforward(topological(y), dict(zip(xs, v, strict=True)), [y], symbolic=False).get(y, 0.0)
    assert tangent == numeric   # formulas and numbers have the same bits


@given(programs, st.lists(st.floats(-1, 1), min_size=4, max_size=4))
def test_a_hessian_times_a_vector_agrees_with_the_hessian(program: Program, direction: list[float]) -> None:
    xs, y = values_of(program)
    well_conditioned(y, xs)
    v = direction[:len(xs)]
    matrix = [[d.data for d in row] for row in hessian(y, xs)]
    scale = max(max(path_sums(d, xs)) for d in grad(y, xs))
    for i, found in enumerate(hvp(y, xs, v)):
        known = math.fsum(h * d for h, d in zip(matrix[i], v, strict=True))
        assert abs(found.data - known) <= 1e-9 * scale + SMALLEST


@given(programs)
def test_differences_agree(program: Program) -> None:
    xs, y = values_of(program)
    at = list(program.at)
    second = max(max(path_sums(d, xs)) for d in grad(y, xs))
    assume(max(second, *path_sums(y, xs)) < 1e3)
    for d, numeric in zip(grad(y, xs), differences(program, [at])[0], strict=True):
        assert abs(d.data - numeric) <= 1e-5 * (1 + second)   # the step is 1e-6, and third derivatives are not much larger
    assert gradcheck(program, at, order=1, atol=1e-5 * (1 + second))


@given(programs)
def test_the_same_graph_has_the_same_bits_in_every_copy_and_every_run(program: Program) -> None:
    xs, y = values_of(program)
    y.backward()
    again, z = values_of(program)
    z.backward()
    assert [v.data.hex() for v in topological(y)] == [v.data.hex() for v in topological(z)]
    assert [x.grad.hex() for x in xs] == [x.grad.hex() for x in again]
    for twin in (copy.deepcopy(z), pickle.loads(pickle.dumps(z))):
        leaves = [v for v in topological(twin) if v.label]
        for v in leaves:
            v.grad = 0.0
        twin.backward()
        assert [v.grad.hex() for v in leaves] == [v.grad.hex() for v in topological(y) if v.label]


def random_program(seed: int) -> Program:
    chance = random.Random(seed)
    choices = [(chance.choice(SMOOTH).name, chance.randrange(CODES)) for _ in range(200)]
    return on_a_list(expression([chance.uniform(-1, 1) for _ in range(5)], choices))


def print_bits() -> None:
    program = random_program(1)
    xs, y = values_of(program)
    y.backward()
    print([y.data.hex(), *[x.grad.hex() for x in xs], *[d.data.hex() for d in hvp(y, xs, [1.0] * 5)]])


def test_bits_do_not_depend_on_the_hash_seed() -> None:
    here = Path(__file__).resolve().parent
    bits = set()
    for seed in ("0", "1"):
        env = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join([str(here), str(here.parent)])}
        done = subprocess.run([sys.executable, "-c", "import test_dags; test_dags.print_bits()"], env=env,
                              capture_output=True, text=True, check=True)
        bits.add(done.stdout)
    assert len(bits) == 1
    assert "0x" in bits.pop()


def test_a_long_random_graph() -> None:
    program = random_program(2)
    xs, y = values_of(program)
    sums, exact = path_sums(y, xs), Exact(y, xs)
    y.backward()
    for i, x in enumerate(xs):
        assert abs(x.grad - exact.first(i)) <= 1e-9 * sums[i] + 1e-12


def test_a_term_in_every_row_of_the_table() -> None:
    """One graph in which every smooth row takes part, with every leaf in every row."""
    a, b = Value(0.6, label="a"), Value(0.7, label="b")
    total = Value(0.0)
    for p in SMOOTH:
        lo, hi = p.domain
        middle = (lo + hi) / 2 + (hi - lo) * 0.1 * (a * b - 0.3)
        total = total + p(*[middle, middle * b, middle * a][:p.arity or 3]) * b if p.name != "acosh" else total + p(middle)
    exact = Exact(total, [a, b])
    total.backward()
    sums = path_sums(total, [a, b])
    for i, x in enumerate((a, b)):
        assert abs(x.grad - exact.first(i)) <= 1e-13 * sums[i]
    for i, row in enumerate(hessian(total, [a, b])):
        for j, found in enumerate(row):
            assert found.data == pytest.approx(float(exact.second(i, j)), rel=1e-11)
    assert isinstance(exact.value(), mpf)


# ---- the two programs by which micrograd is tested, and the example of its front page

def test_micrograds_sanity_check() -> None:
    x = Value(-4.0)
    z = 2 * x + 2 + x
    q = z.relu() + z * x
    h = (z * z).relu()
    y = h + q + q * x
    y.backward()
    # by hand: z = -10, z' = 3; q = 0 + 40, q' = z'x + z = -22; h = 100, h' = 2zz' = -60; y' = h' + q' + q'x + q
    assert y.data == 100 + 40 - 160
    assert x.grad == -60 - 22 + 88 + 40


def test_micrograds_example_with_more_operations() -> None:
    a, b = Value(-4.0), Value(2.0)
    c = a + b
    d = a * b + b**3
    c += c + 1
    c += 1 + c + (-a)
    d += d * 2 + (b + a).relu()
    d += 3 * d + (b - a).relu()
    e = c - d
    f = e**2
    g = f / 2.0
    g += 10.0 / f
    assert f"{g.data:.4f}" == "24.7041"
    g.backward()
    assert f"{a.grad:.4f}" == "138.8338"
    assert f"{b.grad:.4f}" == "645.5773"
    exact = Exact(g, [a, b])
    assert (a.grad, b.grad) == pytest.approx((float(exact.first(0)), float(exact.first(1))), rel=1e-15)
    assert g.data == pytest.approx(24.70408163265306, rel=1e-15)
