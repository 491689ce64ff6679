"""The compiler stage by stage: what each gives means what the program means, and has the form that the next one needs."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from helpers import EFFORT

import autograd.primitives as p
from autograd import PRIMITIVES, Primitive, Value, atan2, compile, compile_function, cos, grad, logsumexp, relu, sin, tanh
from autograd.compiler import roll as stage_5
from autograd.compiler.backends.llvm.code import Code
from autograd.compiler.backends.llvm.functions import applied_together
from autograd.compiler.backends.llvm.fuse import fused
from autograd.compiler.backends.llvm.kernel import LLVMKernel
from autograd.compiler.classify import KINDS, Forms, Kind, classify
from autograd.compiler.flatten import NOTHING, flatten
from autograd.compiler.instructions import Apply, Linear, MatMul, Outer, Products, Rolled, RowSum, Spread
from autograd.compiler.match import bicliques
from autograd.compiler.program import Program
from autograd.compiler.roll import levels, packs_of, roll
from autograd.compiler.simplify import simplify
from autograd.compiler.trace import Symbol, gradient, tracing
from autograd.graph import topological
from nn.optim import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop

SEEDS = range(40 * EFFORT)


# ---- programs, and what they mean

def some_program(seed: int) -> Program:
    """A random graph of shared and varying inputs. Of a batch its value and slopes are summed, and a few outputs are kept."""
    chance = random.Random(seed)
    shared = [Symbol(f"w{i}") for i in range(chance.randint(1, 6))]
    varying = [Symbol(f"x{i}") for i in range(chance.randint(1, 5))]
    operations: list[Callable[[Any, Any], Any]] = [
        lambda a, b: a + b, lambda a, b: a + b, lambda a, b: a * b, lambda a, b: a * b, lambda a, b: a - b, lambda a, b: -a,
        lambda a, b: chance.choice([2.0, -1.0, 0.5, 1e-12]) * a, lambda a, b: tanh(a),
        lambda a, b: sin(a), lambda a, b: relu(a)]
    with tracing():
        nodes: list[Any] = [*shared, *varying]
        for _ in range(chance.randint(3, 50)):
            nodes.append(chance.choice(operations)(chance.choice(nodes), chance.choice(nodes)))
        factors = [1, -2.0, *nodes, *nodes]
        y = sum([chance.choice(nodes) * chance.choice(factors) for _ in range(chance.randint(1, 14))], 0.5)
        y = chance.choice([y, y, y + shared[0], tanh(y), y * y])
        kept = [chance.choice(nodes) for _ in range(chance.randint(0, 3))]
        more = [chance.choice([y, *nodes]) for _ in range(chance.randint(0, 2))]
    assert isinstance(y, Value)
    summed = [y, *gradient({y: 1.0}, shared, topological(y)), *more]
    return simplify([*summed, *kept], shared, varying, len(summed), lowered=True)


def network_program() -> Program:
    """The value and the slopes of a network of two hidden layers with shared filters, so that all instructions occur."""
    W, V, c = [Symbol(f"W{i}") for i in range(6)], [Symbol(f"V{i}") for i in range(8)], [Symbol(f"c{i}") for i in range(2)]
    x, t = [Symbol(f"x{i}") for i in range(5)], Symbol("t")
    with tracing():
        h: list[Any] = [relu(W[3 * f] * x[i] + W[3 * f + 1] * x[i + 1] + W[3 * f + 2]) for f in range(2) for i in range(4)]
        z = sum([v * a for v, a in zip(V, h, strict=True)], 0.0) + c[0] * c[1] + sum([2.0 * a for a in h], 0.0)
        L = (z - t) ** 2 + sum([0.1 * w * w for w in [*W, *V]], 0.0) + z * 3.0
    parameters = [*W, *V, *c]
    outputs = [L, *gradient({L: 1.0}, parameters, topological(L))]
    return simplify(outputs, parameters, [*x, t], len(outputs), lowered=True)


PROGRAMS: list[Any] = [*SEEDS, "network"]


def program_of(name: int | str) -> Program:
    return network_program() if name == "network" else some_program(int(name))


def inputs_of(program: Program, B: int, seed: int = 0) -> tuple[Any, Any]:
    """Numbers for the inputs: (shared,) and (varying, B)."""
    rng = np.random.default_rng(seed)
    return rng.uniform(-1, 1, program.shared), rng.uniform(-1, 1, (program.varying, B))


def meaning(program: Program, shared: Any, varying: Any) -> list[Any]:
    """Every line's number, or numbers (B,): operation after operation."""
    values: list[Any] = [*shared, *varying]
    for i, (op, of) in enumerate(zip(program.ops, program.args, strict=True)):
        if i >= len(values):
            values.append(op.array(np, *[values[a] for a in of]) if op else program.numbers[i])
    return values


def lines_of(forms: Forms, program: Program, values: Sequence[Any]) -> dict[int, Any]:
    """The lines that `classify` knows, its own too, each computed from its terms."""
    found = {i: values[i] for i, op in enumerate(program.ops) if op is None} | dict(forms.lines.numbers)
    for i in [*levels(program, forms), *np.flatnonzero(forms.lines.only_summed).tolist()]:
        if forms.lines.is_sum[i]:
            found[i] = sum([C * found[A] * (found[B] if B != NOTHING else 1.0) for C, A, B in terms_of(forms, i)], 0.0)
            if forms.lines.shared_part[i] != NOTHING:
                found[i] = found[i] + found[int(forms.lines.shared_part[i])]
        else:
            op = program.ops[i]
            assert op is not None
            found[i] = op.array(np, *[found[a] for a in program.args[i]])
    return found


def terms_of(forms: Forms, line: int) -> list[tuple[float, int, int]]:
    """(C, A, B) of every term of a sum."""
    at, terms = slice(forms.starts[KINDS * line], forms.starts[KINDS * line + KINDS]), forms.terms
    return list(zip(terms.C[at].tolist(), terms.A[at].tolist(), terms.B[at].tolist(), strict=True))


def close(a: Any, b: Any) -> bool:
    return bool(np.allclose(a, b, rtol=1e-10, atol=1e-10))


def softmax_program() -> Program:
    """The cross-entropy of two hidden units and three classes, with its slopes."""
    W, x, t = [Symbol(f"W{i}") for i in range(12)], [Symbol(f"x{i}") for i in range(3)], [Symbol(f"t{i}") for i in range(3)]
    with tracing():
        h = [tanh(sum([W[3 * j + i] * x[i] for i in range(3)])) for j in range(2)]
        z = [W[6 + 2 * k] * h[0] + W[7 + 2 * k] * h[1] for k in range(3)]
        L = logsumexp(*z) - sum([a * b for a, b in zip(t, z, strict=True)])
    outputs = [L, *gradient({L: 1.0}, W, topological(L))]
    return simplify(outputs, W, [*x, *t], len(outputs), lowered=True)


# ---- simplify

@pytest.mark.parametrize("name", [*PROGRAMS, "softmax"])
def test_a_program_has_no_line_that_nothing_needs(name: int | str) -> None:
    program = softmax_program() if name == "softmax" else program_of(name)
    inputs = program.shared + program.varying
    used = {*range(inputs), *program.outputs}.union(*program.args)
    assert used == set(range(len(program.ops)))


# ---- flatten and classify

@pytest.mark.parametrize("name", PROGRAMS)
def test_a_flat_sum_is_its_line(name: int | str) -> None:
    program = program_of(name)
    flat, values = flatten(program), meaning(program, *inputs_of(program, 3))
    terms = flat.terms
    sums: dict[int, Any] = dict.fromkeys(np.flatnonzero(flat.is_sum).tolist(), 0.0)
    for root, C, A, B in zip(*[x.tolist() for x in (terms.root, terms.C, terms.A, terms.B)], strict=True):
        sums[root] = sums[root] + C * values[A] * (values[B] if B != NOTHING else 1.0)
    assert all([close(sums[i], values[i]) for i in sums])
    there = flat.computed | np.array([op is None for op in program.ops])
    assert there[terms.A].all() and there[terms.B[terms.B != NOTHING]].all() and there[program.outputs].all()


def test_numbers_are_not_multiplied_out_of_their_range() -> None:
    x = Symbol("x")
    with tracing():
        y: Any = x
        for _ in range(50):
            y = (y + x) * 1e-8
    terms = flatten(simplify([y], [], [x])).terms
    assert abs(terms.C).min() >= 1e-200


@pytest.mark.parametrize("name", PROGRAMS)
def test_classified_lines_mean_the_same_and_are_of_their_kind(name: int | str) -> None:
    program = program_of(name)
    forms, values = classify(program, flatten(program)), meaning(program, *inputs_of(program, 3))
    found = lines_of(forms, program, values)
    assert all([close(x, values[i]) for i, x in found.items() if i < len(values)])
    assert set(program.outputs) <= set(found)
    t, varies = forms.terms, forms.lines.varies
    mixed, alike, linear = [t.kind == kind for kind in Kind]
    assert not varies[t.A[mixed]].any() and varies[t.B[mixed]].all() and (t.C[mixed] == 1).all()
    assert (varies[t.A[alike]] == varies[t.B[alike]]).all() and (varies[t.root[alike]] == varies[t.A[alike]]).all()
    assert (t.B[linear] == NOTHING).all() and (varies[t.A[linear]] == varies[t.root[linear]]).all()
    assert not forms.lines.only_summed[t.root[mixed]].any()
    for kind in Kind:
        for i in np.flatnonzero(forms.lines.is_sum)[:20]:
            C, A, _ = forms.of(np.array([i]), kind)
            assert len(C) == A.shape[1] == forms.count(i, kind) == ((t.root == i) & (t.kind == kind)).sum()


def test_lines_are_made_for_the_sake_of_the_form() -> None:
    """A long sum becomes a product with numbers; a number in a weight's product becomes a weight."""
    w, x = Symbol("w"), [Symbol(f"x{i}") for i in range(12)]
    with tracing():
        y = tanh(sum([0.5 * a for a in x], 0.0)) + tanh(-3.0 * (w * x[0]) + x[1])
    program = simplify([y], [w], x, 0)
    forms = classify(program, flatten(program))
    made = range(len(program.ops), len(forms.lines.varies))
    assert [forms.lines.numbers[i] for i in made if i in forms.lines.numbers] == [0.5]
    assert [terms_of(forms, i) for i in made if forms.lines.is_sum[i]] == [[(-3.0, 0, NOTHING)]]
    assert Counter(forms.terms.kind.tolist())[Kind.SHARED_TIMES_VARYING] == 13


# ---- packs and matrix products

@pytest.mark.parametrize("name", PROGRAMS)
def test_packs_are_computed_after_their_arguments_and_are_of_one_form(name: int | str) -> None:
    program = program_of(name)
    forms = classify(program, flatten(program))
    lines, level, packs = forms.lines, levels(program, forms), packs_of(program, forms)
    assert Counter([i for pack in packs for i in pack.lines.tolist()]) == Counter(list(level))
    computed: set[int] = {i for i, op in enumerate(program.ops) if op is None} | set(lines.numbers)
    for pack in packs:
        members = pack.lines.tolist()
        shapes = set()
        for i in members:
            of = [x for _, *AB in terms_of(forms, i) for x in AB] + [int(lines.shared_part[i])] if pack.op is None else (
                program.args[i])
            assert computed.issuperset(set(of) - {NOTHING})
            assert (bool(lines.varies[i]), level[i]) == (pack.varies, pack.level)
            shapes.add((tuple([C for C, *_ in terms_of(forms, i)]), bool(lines.shared_part[i] == NOTHING)) if pack.op is None
                       else (program.ops[i], tuple([bool(lines.varies[a]) for a in of])))
        assert len(shapes) == 1
        computed |= set(members)


@pytest.mark.parametrize("seed", range(30))
def test_every_pair_is_in_one_biclique_and_everybody_in_it_meets_everybody(seed: int) -> None:
    rng = np.random.default_rng(seed)
    meets = rng.random((6, 7)) < rng.choice([0.3, 0.6, 1.0])
    meets[rng.integers(6)] = meets[rng.integers(6)]   # two that meet the same
    a, b = np.nonzero(meets)
    if not len(a):
        return
    order = rng.permutation(len(a))
    a, b = a[order], b[order]
    groups = list(bicliques(a, b))
    assert Counter(np.concatenate([g.ravel() for g in groups]).tolist()) == Counter(range(len(a)))
    for g in groups:
        assert (a[g] == a[g[:, :, :1]]).all() and (b[g] == b[g[:, :1, :]]).all()


def test_a_dense_layer_is_one_product_forward_one_backward_and_one_over_the_batch() -> None:
    W = [[Symbol(f"W{i}_{j}") for j in range(4)] for i in range(3)]
    V = [[Symbol(f"V{i}_{j}") for j in range(3)] for i in range(2)]
    x = [Symbol(f"x{j}") for j in range(4)]
    with tracing():
        h: list[Any] = [tanh(sum([w * a for w, a in zip(row, x, strict=True)], 0.0)) for row in W]
        z: list[Any] = [sin(sum([w * a for w, a in zip(row, h, strict=True)], 0.0)) for row in V]
        L = z[0] * z[1]
    parameters = [w for row in [*W, *V] for w in row]
    outputs = [L, *gradient({L: 1.0}, parameters, topological(L))]
    rolled = roll(simplify(outputs, parameters, x, len(outputs), lowered=True))
    products = [i for i in rolled.body if isinstance(i, MatMul)]
    assert [i.W.shape for i in products] == [(1, 3, 4), (1, 2, 3), (1, 3, 2)]
    assert (products[1].W[0] == products[2].W[0].T).all()   # V h, and Vᵀ δ
    assert sorted([i.dst.size for i in rolled.totals if isinstance(i, Outer)]) == [1, 6, 12]


# ---- instructions

def run(rolled: Rolled, shared: Any, varying: Any) -> tuple[Any, Any]:
    """The sums and each example's outputs: every instruction as its docstring has it. What nobody wrote is nan."""
    B = varying.shape[1]
    U, V = np.full(max(rolled.rows_shared, 1), math.nan), np.full((rolled.rows, B), math.nan)
    U[:len(shared)], V[:len(varying)] = shared, varying
    for row, number in rolled.numbers:
        U[row] = number
    for i in rolled.body:
        space = U if i.shared else V
        if isinstance(i, Apply):
            made = i.op.array(np, *[V[at] if not of_U else U[at] if i.shared else U[at, None] for of_U, at in i.args])
        elif isinstance(i, MatMul):
            made = np.einsum("grm,gmcb->grcb", U[i.W], V[i.H]).reshape(i.size, B)
        elif isinstance(i, Spread):
            made = U[i.A] if i.shared else U[i.A, None]
        else:
            C = i.C if i.shared else i.C[:, None]
            made = (C * space[i.A] * (space[i.B] if isinstance(i, Products) else 1.0)).sum(axis=1)
            assert isinstance(i, (Products, Linear))
        rows = slice(i.start, i.start + i.size)
        space[rows] = made if i.first else space[rows] + made
    sums = np.full(rolled.program.sums, math.nan)
    for i in rolled.totals:
        if isinstance(i, Outer):
            sums[i.dst] = np.einsum("j,grjb,gcjb->grc", i.C, V[i.A], V[i.B])
        else:
            put(sums, i.dst, i.C * V[i.A].sum(axis=1), i.first)
    put(sums, rolled.repeated.dst, B * U[rolled.repeated.A], rolled.repeated.first)
    each = np.full((len(rolled.program.outputs) - len(sums), B), math.nan)
    each[rolled.each[0]] = V[rolled.each[1]]
    each[rolled.each_shared[0]] = U[rolled.each_shared[1], None]
    return sums, each


def put(sums: Any, dst: Any, numbers: Any, first: Any) -> None:
    for to, number, sets in zip(dst, numbers, first, strict=True):
        sums[to] = number if sets else sums[to] + number


@pytest.mark.parametrize("name", PROGRAMS)
def test_instructions_mean_what_the_program_means(name: int | str) -> None:
    program, B = program_of(name), 4
    shared, varying = inputs_of(program, B)
    rolled, values = roll(program), [np.broadcast_to(x, B) for x in meaning(program, shared, varying)]
    sums, each = run(rolled, shared, varying)
    assert close(sums, [values[o].sum() for o in program.outputs[:program.sums]])
    assert close(each, np.array([values[o] for o in program.outputs[program.sums:]]).reshape(each.shape))


def test_all_instructions_occur() -> None:
    """So that the test above is of all of them."""
    rolled = [roll(program_of(name)) for name in PROGRAMS]
    assert {type(i) for r in rolled for i in r.body} == {Apply, MatMul, Products, Linear, Spread}
    assert {type(i) for r in rolled for i in r.totals} == {Outer, RowSum}
    firsts = [bool(k) for r in rolled for i in [*r.totals, r.repeated] if not isinstance(i, Outer) for k in i.first]
    assert {*firsts} == {True, False} and any([len(r.repeated.A) for r in rolled])


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_first_of_a_sum_sets_it_and_all_others_add(name: int | str) -> None:
    rolled = roll(program_of(name))
    begun: list[int] = []
    for i in [*rolled.totals, rolled.repeated]:
        first = np.full(i.dst.size, True) if isinstance(i, Outer) else i.first
        for to, sets in zip(i.dst.ravel().tolist(), first.tolist(), strict=True):
            assert sets == (to not in begun)
            begun.append(to)
    assert set(begun) == set(range(rolled.program.sums))


@pytest.mark.parametrize("B", [1, 3, 300])
def test_sums_are_set_whatever_was_in_memory(backend: str, B: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of products, rows, one row twice, what is the same in every example, and several of these.

    Finite numbers are in the memory: where a result is not finite, the graph is asked, and a fault would not show."""
    made = np.empty

    def empty(*args: Any, **options: Any) -> Any:
        x = made(*args, **options)
        if x.dtype == float:
            x.fill(7.25)
        return x
    monkeypatch.setattr(np, "empty", empty)
    w, x = [Value(0.0) for _ in range(3)], [Value(0.0) for _ in range(4)]
    row, twice = tanh(x[0]), sin(x[1])
    outputs = [x[0] * x[1], row, twice + twice * 3.0 + x[2], w[0] * w[1], row + x[2] * x[3] + w[2], w[0] * x[3] + 2.0 * x[0],
               w[2], x[2] * x[2] + x[3] * x[3] + w[0] * x[0], row, x[0] + x[1] + x[2] + x[3] + sin(x[3])]
    wide = [Value(0.0) for _ in range(30)]   # a layer of 6 × 30: some backend computes it in another way than small ones
    layer = [[Value(0.0) for _ in wide] for _ in range(6)]
    loss = sum([tanh(sum([a * b for a, b in zip(row, wide, strict=True)], 0.0)) for row in layer], 0.0)
    rng = np.random.default_rng(0)
    at, X, W, Z = rng.normal(size=3), rng.normal(size=(B, 4)), rng.normal(size=(6, 30)), rng.normal(size=(B, 30))
    found = []
    for name in ("python", backend):
        f = compile(outputs, [w, x], batch=1, reduce="sum", backend=name)
        g = compile(loss, [layer, wide], batch=1, reduce="sum", backend=name)
        for _ in range(2):   # again, on buffers that have been used
            found.append([*f(at, X), *np.ravel(g.value_and_grad(W, Z)[1])])
    assert np.allclose(found, found[0], rtol=1e-12, atol=1e-12)


def test_what_is_added_to_several_products_finds_them_stored() -> None:
    """A sum whose rows are the results of two products takes them from memory, even if its own value is in a register."""
    W, h, rows = np.arange(8).reshape(1, 2, 4), np.arange(4).reshape(1, 4, 1), np.arange(4, 8)
    body = [MatMul(False, 4, 2, True, W, h), MatMul(False, 6, 2, True, W, h),
            Linear(False, 4, 4, False, np.ones(1), np.arange(4)[:, None]), Apply(False, 8, 4, True, p.tanh, [(False, rows)])]
    groups = fused(body, 12, [np.arange(8, 12)], lambda i: 1)
    assert [len(group.members) for group in groups] == [1, 1, 2]
    assert groups[0].stored == {4} and groups[1].stored == {6} and 8 in groups[2].stored


@pytest.mark.parametrize("tiles, more", [(0, 1), (1, -1), (1, 0), (1, 1), (1, 9), (2, -9), (2, 1), (3, 8)])
def test_the_last_tile_may_be_a_short_one(tiles: int, more: int, require_tool: Callable[[str], None]) -> None:
    require_tool("llvmlite")
    w, x = [Value(0.0) for _ in range(30)], [Value(0.0) for _ in range(5)]
    h = [tanh(sum([w[5 * j + i] * x[i] for i in range(5)], 0.0)) for j in range(6)]
    f, g = [compile(sum([a * a for a in h], 0.0), [w, x], wrt=(0, 1), batch=1, reduce="sum", backend=name)
            for name in ("llvm", "numpy")]
    rng = np.random.default_rng(0)
    W = rng.normal(size=30)
    f.value_and_grad(W, rng.normal(size=(1, 5)))
    kernel: Any = f._last.kernel  # type: ignore[union-attr]
    X = rng.normal(size=(tiles * kernel.most + more, 5))
    found, true = f.value_and_grad(W, X), g.value_and_grad(W, X)
    assert np.isclose(found[0], true[0], rtol=1e-13)
    assert all([np.allclose(a, b, rtol=1e-12, atol=1e-12) for a, b in zip(found[1], true[1], strict=True)])


@pytest.mark.parametrize("lanes", [2, 4, 8])
def test_sums_of_lanes_lie_side_by_side(lanes: int, require_tool: Callable[[str], None]) -> None:
    require_tool("llvmlite")
    from autograd.compiler.backends.llvm.native import Native
    s = Code(lanes)
    s.store(s.totals([s.load("%x", str(lanes * k)) for k in range(lanes)]), "%y", "0")
    x, y = np.arange(lanes * lanes) ** 2.0, np.zeros(lanes)
    text = "\n".join(["define void @f(ptr %x, ptr %y) {", *s.lines, "  ret void", "}"])
    code = Native(text, 2)   # to be kept until it was called
    code.call(x.ctypes.data, y.ctypes.data)
    assert y.tolist() == x.reshape(lanes, lanes).sum(axis=1).tolist()


# ---- primitives of the same argument are computed together

NUMBERS = [0.0, 5e-324, 1e-300, 1e-8, 0.3, math.pi / 4, 1.0, math.pi / 2, 2.5, 7.0, 20.0, 36.5, 100.0, 372.7, 709.7, 710.5,
           746.0, 99999.0, 1e6, 1e22, 1e308, math.inf]
POINTS = np.array([*NUMBERS, *[-x for x in NUMBERS], math.nan])


@pytest.mark.parametrize("B, straight", [(len(POINTS), False), (len(POINTS), True), (None, True)])
def test_primitives_together_give_what_each_gives_alone(B: int | None, straight: bool, require_tool: Callable[[str], None],
                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    """Bit for bit: tanh and its slope, sin and cos, softplus and its slopes, …."""
    require_tool("llvmlite")
    monkeypatch.setenv("XIGRAD_CACHE", "0")   # what was made for the same program is of the other kind
    if straight:
        monkeypatch.setattr(stage_5, "_PACKS", 0)
    rows = [op for op in PRIMITIVES.values() if op.builtin and op.arity == 1 and "gamma" not in op.name]

    def numbers(ops: Sequence[Primitive]) -> Any:
        x = Symbol("x")
        with tracing():
            outputs = [op(x) for op in ops]
        kernel = LLVMKernel(simplify(outputs, [], [x], 0, lowered=True), [1], None, batched=B is not None)
        assert kernel.rolled.irregular == straight
        if B:
            return kernel([], [POINTS[:, None]], B)[1]
        return np.concatenate([kernel([], [np.array([[x]])], 1)[1] for x in POINTS], axis=1)
    together = numbers(rows)
    assert len(together) == len(rows) > 30
    for op, found in zip(rows, together, strict=True):
        alone = numbers([op])[0]
        same = (found.view(np.int64) == alone.view(np.int64)) | (np.isnan(found) & np.isnan(alone))
        assert same.all(), (op, POINTS[~same])


@pytest.mark.parametrize("B", [None, 7])
@pytest.mark.parametrize("count", [7, 8, 21])   # calls that are a loop, and too few for one
def test_calls_of_one_depth_are_a_loop_where_they_are_many(B: int | None, count: int, require_tool: Callable[[str], None],
                                                           monkeypatch: pytest.MonkeyPatch) -> None:
    """Of arguments that vary, that are shared, that are numbers; with and without a slope beside them; one after another."""
    require_tool("llvmlite")
    monkeypatch.setenv("XIGRAD_CACHE", "0")
    monkeypatch.setattr(stage_5, "_PACKS", 0)
    w, x = [Value(1.0) for _ in range(count)], [Value(1.0) for _ in range(count)]
    pairs = list(zip(w, x, strict=True))
    once: list[Any] = [f(a, b) for a, b in pairs for f in (
        lambda a, b: tanh(a * x[0] + b), lambda a, b: atan2(b, 3.0), atan2, lambda a, b: sin(b) * cos(b), lambda a, b: sin(a))]
    twice = [tanh(a * w[0] - b) for a, b in pairwise(once)]
    outputs = [sum([*once, *twice], 0.0), twice[3], w[1] * w[2], once[2]]
    rng = np.random.default_rng(0)
    at = rng.normal(size=count), rng.normal(size=count if B is None else (B, count))
    found, true = [compile([*grad(outputs[0], [*w, *x]), *outputs], [w, x], batch=None if B is None else 1, backend=name)(*at)
                   for name in ("llvm", "python")]
    assert all([np.allclose(a, b, rtol=1e-12, atol=1e-12) for a, b in zip(found, true, strict=True)])


@pytest.mark.parametrize("ops", [(p.tanh, p.sech2), (p.sin, p.cos), (p.softplus, p.sigmoid, p.logistic)], ids=str)
@pytest.mark.parametrize("lanes", [1, 4])
def test_what_primitives_have_in_common_stands_once(ops: Sequence[Primitive], lanes: int) -> None:
    def length(ops: Sequence[Primitive]) -> int:
        applied_together(code := Code(lanes), ops, ["%x"])
        return len(code.lines)
    assert length(ops) < 0.8 * sum([length([op]) for op in ops])


# ---- optimisers are graphs too

def optimisers() -> list[Optimizer]:
    w = [Value(1.0)]
    return [SGD(w, 0.1), SGD(w, 0.1, momentum=0.9, dampening=0.5), SGD(w, 0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
            Adam(w, 0.1), Adam(w, 0.1, amsgrad=True, weight_decay=0.1), AdamW(w, 0.1), AdamW(w, 0.1, amsgrad=True),
            RMSprop(w, 0.1), RMSprop(w, 0.1, momentum=0.9, centered=True, weight_decay=0.1), Adagrad(w, 0.1),
            Adagrad(w, 0.1, lr_decay=0.5, initial_accumulator_value=0.2)]


@pytest.mark.parametrize("k", range(len(optimisers())), ids=[f"{type(o).__name__}{k}" for k, o in enumerate(optimisers())])
def test_an_update_is_compiled_like_any_function(k: int, backend: str) -> None:
    """Three steps of one parameter; and of many at once, as of a batch."""
    optimiser, rng, n = optimisers()[k], np.random.default_rng(0), 5
    x, slots = 1.5, [float(slot) for slot in optimiser.kept[1]]
    xs, many = rng.normal(size=n), [np.full(n, slot) for slot in slots]
    for t in (1, 2, 3):   # a number of the trace: what depends on it (1 − βᵗ, t == 1) is computed there
        def update(x: Any, g: Any, *slots: Any, t: int = t) -> Any:
            return optimiser.update(x, g, t, *slots)
        one = compile_function(update, backend=backend)
        batched = compile_function(update, backend=backend, batch=range(2 + len(slots)))
        g, gs = float(rng.normal()), rng.normal(size=n)
        true_x, true_slots = update(x, g, *slots)
        found_x, found_slots = one(x, g, *slots)
        for found, true in zip([found_x, *found_slots], [true_x, *true_slots], strict=True):
            assert found == true if backend == "python" else abs(found - true) <= 1e-15 * max(1.0, abs(true))
        x, slots = float(true_x), [float(slot) for slot in true_slots]
        true_xs, true_many = update(xs, gs, *many)
        found_xs, found_many = batched(xs, gs, *many)
        for found, true in zip([found_xs, *found_many], [true_xs, *true_many], strict=True):
            assert found.shape == (n,) and np.allclose(found, true, rtol=1e-14, atol=1e-15)
        xs, many = true_xs, [np.broadcast_to(slot, n) for slot in true_many]
