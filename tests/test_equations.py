"""Every printed equation is true: read back from the print of every format and computed, at the point and beside it.

Read are the tables in both layouts, the records for JSON, and what the explorer says.

formula = number            is that number
a row's formula             in terms of the rows before it, and its partials, in the same and in terms of the leaves
the chain rule              the product of the columns
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from equations import FORMATS, Reader, Unread, exact, legend, mp, mpf
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

import nn
from autograd import PRIMITIVES, Value, exp, grad, log, log_softmax, sigmoid, softmax, tanh, topological
from autograd.steps import steps, xi_names
from autograd.sweep import formulas
from autograd.testing import Program, expressions, networks, points
from viz import table
from viz.formulas.columns import sides
from viz.formulas.notation import TEXT
from viz.formulas.tables import XiTables, _ratio
from viz.pages.explorer_data import described

DIGITS = 40
COUNTED: Counter[str] = Counter()
NOTHING: dict[str, Any] = {}
REPORT = os.environ.get("XIGRAD_EQUATIONS")   # a file to which the number of equations that were checked is written


def check(y: Value, wrt: Sequence[Value] | None = None, **options: Any) -> None:
    """Every equation in the tables of `y`, in every format, and in the explorer's data."""
    try:
        found = table(y, wrt, limit=400, **options)
    except FloatingPointError:   # a derivative is nan: there is no table
        return
    beside = {v: mpf(repr(v.data)) * mpf("1.01") + mpf("0.003") for v in found.steps.names if not v.args}
    root = found.steps.root
    order, names = topological(root), xi_names(root)
    with mp.workdps(DIGITS):
        printed = {name: cells(found) for name, (_, cells) in FORMATS.items()}
        records, explorer = found.records(), described(order, leaves_of(order), names)
        for at in ({}, beside):
            checked = Checked(found, at)
            if checked.sound:
                checked.check(printed) if options.get("layout") != "lecture" else checked.lecture(printed)
                checked.records(records)
                checked.explorer(explorer, order, names)


def leaves_of(order: Sequence[Value]) -> list[Value]:
    return [v for v in order if not (v.args or v.constant)]


class Checked:
    """The tables, and what everything in them is, to many digits, where leaves are the numbers `at`."""

    def __init__(self, found: XiTables, at: dict[Value, Any]) -> None:
        self.found, self.beside = found, bool(at)
        self.readers: dict[tuple[str, int], Reader] = {}
        steps = found.steps
        try:
            self.exact = at
            exact(steps.root, at)
            self.partials = [[exact(q.formula, at) for q in step.partials] for step in steps.rows]
            self.sound = not any([isinstance(x, mp.mpc) or not mp.isfinite(x) for x in at.values()])
            if self.sound and not self.beside and any([self.apart(step.value, at[step.node]) for step in steps.rows]):
                self.sound = False   # as x % 2 just below 2, which is rounded to the other side of its jump
                COUNTED["another number"] += 1
        except (ZeroDivisionError, ValueError, OverflowError):
            self.sound = False
        self.values = {name: at[v] for called in (steps.labels, steps.names) for v, name in called.items() if v in at}
        self.leaves = {steps.names[v]: at[v] for v in steps.names if v in at and (not v.args or v in steps.variables)}

    @staticmethod
    def apart(x: float, exact: Any) -> bool:
        """Whether a float is another number altogether: beyond a jump, or subnormal, of few digits."""
        return bool(abs(mpf(x) - exact) > mpf("1e-6") * (abs(exact) + (abs(exact) > mpf("1e-300"))))

    def check(self, printed: dict[str, list[list[list[str]]]]) -> None:
        """The tables of formulas and of both modes."""
        steps = self.found.steps
        gradient = self.adjoints()
        for name, (style, _) in FORMATS.items():
            self.format, self.style = name, style
            (_, *partials), *values = printed[name]
            rows = iter(partials)
            for step, found in zip(steps.rows, self.partials, strict=True):
                for i, q in enumerate(found or [None]):
                    _, variable, *alias, _, derivative, leaves = next(rows)
                    if i == 0:
                        self.same(variable, self.exact[step.node], self.values)
                        called = steps.labels.get(step.node, step.name)
                        assert alias in ([], [""] if called == step.name else [f"= {style.symbol(called)}"])
                    if q is not None:
                        self.same(derivative, q, self.values)
                        self.same(leaves, q, self.leaves)
            of = {_ratio("d", steps.names.get(steps.root, "L"), steps.names[x])(style): x for x in steps.variables}
            for _, _, *_, by, derivative, leaves in rows:
                for cell, env in ((derivative, self.values), (leaves, self.leaves)):
                    if cell:
                        self.same(cell, gradient.get(of[by], mpf(0)), env)
            if not self.beside:
                for (_, *rows_), running in zip(values, (self.forward(), self.backward(gradient)), strict=True):
                    for cells_, (value, partial, *derivatives) in zip(rows_, running, strict=True):
                        _, value_, _, partial_, *derivatives_ = cells_
                        for cell, number in zip((value_, partial_, *derivatives_), (value, partial, *derivatives), strict=True):
                            if cell:
                                self.equation(cell, number)

    def lecture(self, printed: dict[str, list[list[list[str]]]]) -> None:
        """The table of the lecture's layout, with both running derivatives."""
        steps = self.found.steps
        gradient = self.adjoints()
        for name, (style, _) in FORMATS.items():
            self.format, self.style = name, style
            [(_, *rows)] = printed[name]
            starts, lines = rows[:len(steps.variables)], iter(rows[len(steps.variables):])
            for x, (symbol, _, value, _, *running) in zip(steps.variables, starts, strict=True):
                assert symbol == style.symbol(steps.names[x])
                self.number(value, self.exact.get(x, mpf(repr(x.data))))
                self.number(running[-1], gradient.get(x, mpf(0)))
            for step, partials, tangents in zip(steps.rows, self.partials, self.tangents(), strict=True):
                for i, (q, d) in enumerate(zip(step.partials, partials, strict=True)):
                    variable, partial, value, slope, *running = next(lines)
                    if i == 0:
                        self.equals(variable, steps.names[step.node], self.exact[step.node], steps.labels.get(step.node))
                        self.number(value, self.exact[step.node])
                        for cell, number in zip(running, [*tangents, gradient.get(step.node, mpf(0))], strict=True):
                            self.number(cell, number)
                    self.equals(partial, _ratio("∂", step.name, steps.names[q.arg])(style), d)
                    self.number(slope, d)
            of = {_ratio("d", steps.names.get(steps.root, "L"), steps.names[x])(style): x for x in steps.variables}
            for _, closed, *_ in lines:
                derivative, *closed_forms = sides(closed)
                for formula in closed_forms:
                    self.same(formula, gradient.get(of[derivative], mpf(0)), self.values)

    def equals(self, cell: str, name: str, number: Any, alias: str | None = None) -> None:
        """ξ4 = 1/ξ3, or ξ4 = 1/ξ3 = p where ξ4 is called p too."""
        first, formula, *rest = sides(cell)
        assert first in (name, self.style.symbol(name))
        assert rest == ([] if alias in (None, name) else [self.style.symbol(str(alias))])
        self.same(formula, number, self.values)

    def number(self, cell: str, number: Any) -> None:
        """formula = decimal, or a decimal alone; at the point only."""
        if not self.beside:
            self.equation(cell, number)

    def records(self, records: list[dict[str, Any]]) -> None:
        """What JSON says."""
        self.format, self.style = "json", TEXT
        steps = self.found.steps
        gradient = self.adjoints()
        for row, step, partials, tangents in zip(records, steps.rows, self.partials, self.tangents(), strict=True):
            self.same(row["variable"], self.exact[step.node], self.values)
            for q, d in zip(row["partials"], partials, strict=True):
                self.same(q["formula"], d, self.values)
                self.same(q["in_leaves"], d, self.leaves)
            if not self.beside:
                for name, found, number in [("value", row["value"], self.exact[step.node]), *[
                        (f"tangent of {x}", found, t) for (x, found), t in zip(row["tangents"].items(), tangents, strict=True)],
                        ("adjoint", row["adjoint"], gradient.get(step.node, mpf(0)))]:
                    self.close(mpf(found), number, name, 1e-6)

    def explorer(self, data: dict[str, Any], order: Sequence[Value], names: dict[Value, str]) -> None:
        """The formulas of the explorer's nodes, edges and rows."""
        self.format, self.style = "explorer", TEXT
        values = {name: self.exact[v] for v, name in names.items() if v in self.exact}
        for v, node in zip(order, data["nodes"], strict=True):
            if v.args:
                self.same(node["formula"], self.exact[v], values)
        for edge in data["edges"]:
            _, k = map(int, edge["key"].split("-"))
            d = formulas(order[edge["head"]])[k]
            self.same(edge["formula"], exact(d, self.exact) if isinstance(d, Value) else mpf(d), values)
        rows = {step.node: step for step in steps(order[-1], leaves_of(order), "all").rows}
        for row in data["rows"]:
            step = rows.get(order[row["node"]])
            for q, partial in zip(row["partials"], step.partials if step else (), strict=True):
                self.same(q["formula"], exact(partial.formula, self.exact), values)

    def adjoints(self) -> dict[Value, Any]:
        running = {self.found.steps.root: mpf(1)}
        for step, partials in zip(reversed(self.found.steps.rows), reversed(self.partials), strict=True):
            for q, d in zip(step.partials, partials, strict=True):
                running[q.arg] = running.get(q.arg, mpf(0)) + running.get(step.node, mpf(0)) * d
        return running

    def tangents(self) -> list[list[Any]]:
        """dξn/dw of every row, by every variable."""
        steps, rows = self.found.steps, []
        running: list[dict[Value, Any]] = [{x: mpf(1)} for x in steps.variables]
        for step, partials in zip(steps.rows, self.partials, strict=True):
            for t in running:
                t[step.node] = sum([t.get(q.arg, mpf(0)) * d for q, d in zip(step.partials, partials, strict=True)], mpf(0))
            rows.append([t[step.node] for t in running])
        return rows

    def forward(self) -> list[list[Any]]:
        """The numbers of the table of forward mode."""
        return [[self.exact[step.node], d, *[t if i == 0 else None for t in tangents]]
                for step, partials, tangents in zip(self.found.steps.rows, self.partials, self.tangents(), strict=True)
                for i, d in enumerate(partials or [None])]

    def backward(self, gradient: dict[Value, Any]) -> list[list[Any]]:
        """The numbers of the table of backward mode."""
        steps = self.found.steps
        rows: list[list[Any]] = [[self.exact.get(x, mpf(repr(x.data))), None, gradient.get(x, mpf(0))] for x in steps.variables]
        for step, partials in zip(steps.rows, self.partials, strict=True):
            rows += [[self.exact[step.node], d, gradient.get(step.node, mpf(0))] for d in partials or [None]]
        return rows

    def same(self, cell: str, number: Any, values: dict[str, Any]) -> None:
        """The formula in a cell is that number."""
        try:
            found = self.reader(values).number(cell)
        except Unread:
            COUNTED["not printed"] += 1
            return
        except ZeroDivisionError:   # 0/0, where a strong zero is 0 by convention, as the slopes of a length at 0
            assert number == 0, f"{self.format}: {cell!r} divides by 0, and is {mp.nstr(number, 12)}\n{self.found.text()}"
            COUNTED["0/0"] += 1
            return
        COUNTED[self.format] += 1
        self.close(found, number, cell, 1e-9)

    def reader(self, values: dict[str, Any]) -> Reader:
        """A reader of this style; one for each set of names."""
        key = self.style.name, id(values)
        if key not in self.readers:
            self.readers[key] = Reader(self.style, values, legend(self.found.note, values) if values is self.values else {})
        return self.readers[key]

    def equation(self, cell: str, number: Any) -> None:
        """formula = decimal, or a decimal alone: both are that number."""
        formula, _, decimal = cell.rpartition(" = ")
        assert "…" not in cell, f"{cell!r}\n{self.found.text()}"
        if formula:
            self.same(formula, number, NOTHING)
        else:
            COUNTED[self.format] += 1
        self.close(self.reader(NOTHING).number(decimal), number, cell, 1e-6)

    def close(self, found: Any, number: Any, cell: str, relative: float) -> None:
        if isinstance(found, mp.mpc) or not mp.isfinite(number):
            return
        off = abs(found - number) - relative * abs(number)
        if off > mpf("1e-13"):   # where large numbers were added, decimals may be as far off as these are long
            off -= mpf("1e-13") * max([abs(x) for x in self.exact.values()])
        assert off <= mpf("1e-13"), (
            f"{self.format}: {cell!r} is {mp.nstr(found, 12)}, not {mp.nstr(number, 12)}\n{self.found.text()}")


def labelled(program: Program) -> tuple[list[Value], Value]:
    """Its inputs, with names, and its result."""
    xs = [Value(x, label=f"x{i + 1}") for i, x in enumerate(program.at)]
    y = program(*program.structured(xs))
    assume(isinstance(y, Value) and all([v.op.builtin for v in topological(y) if v.op]))   # other tests make rows of their own
    return xs, y


def name_some(y: Value, every: int) -> None:
    """A label for a result, and for every so-many-th after it."""
    for i, v in enumerate([v for v in topological(y) if v.args][1::every], 1) if every else ():
        v.label = f"p{i}"


FEW = settings(max_examples=max(8, settings().max_examples // 5), phases=(Phase.explicit, Phase.reuse, Phase.generate),
               suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.data_too_large, HealthCheck.too_slow])
OPTIONS = st.fixed_dictionaries({"rows": st.sampled_from(["auto", "all", "sums"])}, optional={
    "layout": st.just("lecture"), "alias": st.booleans()}).map(
        lambda options: options | ({"mode": "both"} if "layout" in options else {}))


@FEW
@given(expressions(leaves=3, depth=4, smooth=False), st.booleans(), st.integers(0, 4), OPTIONS)
def test_the_tables_of_any_expression(program: Program, whole: bool, every: int, options: dict[str, Any]) -> None:
    xs, y = labelled(program)
    name_some(y, every)
    check(y, xs if whole else None, **options)


@FEW
@given(expressions(leaves=2, depth=3, smooth=False))
def test_the_tables_of_its_derivatives(program: Program) -> None:
    xs, y = labelled(program)
    try:
        d = grad(y, xs)
    except FloatingPointError:
        return
    for v in d:
        check(v, xs)


@FEW
@given(networks(2, (2, 1)), st.integers(0, 4), OPTIONS)
def test_the_tables_of_networks_and_their_losses(program: Program, every: int, options: dict[str, Any]) -> None:
    xs, y = labelled(program)
    name_some(y, every)
    check(y, xs, **options)


@FEW
@given(st.sampled_from(sorted(PRIMITIVES)), st.data())
def test_the_table_of_every_primitive(name: str, data: st.DataObject) -> None:
    row = PRIMITIVES[name]
    assume(row.builtin)
    xs = [Value(x, label=f"x{i + 1}") for i, x in enumerate(data.draw(points(row, smooth=False)))]
    try:
        y = row(*xs)
    except (ValueError, ArithmeticError):
        return
    check(y, xs)


def test_what_is_wrong_is_found() -> None:
    x = Value(2.0, label="x")
    found = table(log(x * x), [x])
    for cell, number in (("2·x", 4.0), ("log x", 0.6931471805599453), ("e^x = 7.3890561", 7.38905609893065)):
        made = Checked(found, {})
        made.format, made.style = "text", TEXT
        if "=" not in cell:
            made.same(cell, mpf(number), {"x": mpf(2)})
        with pytest.raises(AssertionError):
            made.same(cell.partition(" =")[0], mpf(number) + 1e-6, {"x": mpf(2)})


def test_shifts_are_left_out_only_where_they_cancel() -> None:
    z = [Value(float(i), label=f"z{i}") for i in (1, 2, 3)]
    text = table(-log(softmax(z)[1])).text()
    assert "e²/(e + e² + e³) = 0.24472847" in text and "│ e² = " not in text
    assert "log" in table(log_softmax(z)[1]).text()
    for y in (-log(softmax(z)[1]), log_softmax(z)[1], softmax(z)[0] * softmax(z[:2])[1], PRIMITIVES["shift"](*z) * z[0]):
        check(y)


def test_weighted_sums_are_vectors_where_they_are_asked_for() -> None:
    w, x = [Value(0.5, label="w1"), Value(-2.0, label="w2")], [Value(3.0, label="x1"), Value(0.25, label="x2")]
    b, y = Value(0.75, label="b"), Value(2.0, label="y")
    z = sum([u * v for u, v in zip(w, x, strict=True)], start=b)
    assert "e^(−ξ1)" not in table(sigmoid(-z)).text()
    for L, formula in ((sigmoid(-z), "−wᵀ·x − b"), (sum([u * v for u, v in zip(w, x, strict=True)]) * y, "wᵀ·x"),
                       (z * sum([u * y for u in w]), "wᵀ·x + b")):
        found = table(L, rows="sums")
        assert formula in [row[1] for row in found.tables[0].cells(TEXT)]
        assert found.note == "where w = (w1, w2), x = (x1, x2)"
        check(L, rows="sums")
        check(L, rows="sums", layout="lecture", mode="both")
    model = nn.MLP(2, [2, 1])
    L = (model([1.0, 2.0]) - 1) ** 2
    rows = [row[1] for row in table(L, model=model, rows="sums").tables[0].cells(TEXT)]
    assert {"Θ⁽¹⁾₁ᵀ·x + Θ⁽¹⁾₁₀", "Θ⁽¹⁾₂ᵀ·x + Θ⁽¹⁾₂₀"} <= {*rows}
    check(L, rows="sums")


def test_one_quantity_has_one_name() -> None:
    """The partial of a product is its other factor, by name; that of e^ξ1 is e^ξ1, as in the lecture."""
    a, b = Value(2.0, label="a"), Value(3.0, label="b")
    c = a * b
    d = c + a
    e = c * d
    for v, name in ((c, "c"), (d, "d"), (e, "e")):
        v.label = name
    lines = table(e).text().splitlines()
    assert any("∂e/∂c" in line and line.split("│")[3].strip() == "d" for line in lines)
    h = sigmoid(a)
    h.label = "h"
    assert any("∂L/∂b" in line and line.split("│")[3].strip() == "h" for line in table(b * h).text().splitlines())
    assert "∂ξ1/∂a  │ e^a" in table(exp(a) * b, rows="all").text()
    check(e)
    check(tanh(b * h))


@pytest.fixture(scope="module", autouse=True)
def _report() -> Any:
    yield
    if REPORT:
        with open(REPORT, "a") as file:
            file.write(f"{dict(COUNTED)}\n")
