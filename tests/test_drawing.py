"""Pictures of graphs: what is in them is checked by parsing them, where it stands by geometry, DOT by Graphviz itself."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import time
from importlib.util import find_spec
from inspect import stack
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest
from commands import running
from hypothesis import given, settings
from hypothesis import strategies as st

from autograd import Value, affine, exp, log, logsumexp, sin, tanh, topological
from viz.graphs import draw_neuron, drawing, engines
from viz.graphs import picture as picture_module
from viz.graphs.drawing import draw, draw_dot, picture_or_none
from viz.graphs.layout import Curve, Point, apart, layout
from viz.graphs.picture import Picture
from viz.graphs.svg import visible, whole

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = [
    "</script><script>alert(1)</script>", '"]; evil [URL="javascript:alert(1)"]; "', "</title><img src=x onerror=alert(1)>",
    "a\\", '\\"', "\\N\\G", "{a|b}<p>", "<b>bold</b>", "&lt;&amp;&#0;", "]]> -->", "'; --",
    "\x00\x1b[31m\x7f\x85\ufffe\uffff", "\ud800", "\n\r\t\u2028", "🎉👩‍👩‍👧", "中文字", "שלום 123", "\u202egnp.exe\u2069\u2066",
    "Z\u0335\u0321\u0322\u0327\u0300\u0301", "x" * 10_000, "", " ",
]
MISSING = {"dot": shutil.which("dot") is None or find_spec("graphviz") is None, "builtin": False}
ENGINES = [pytest.param(name, marks=pytest.mark.skipif(MISSING[name], reason=f"no {name}")) for name in engines.ENGINES]
needs_dot = pytest.mark.skipif(MISSING["dot"], reason="no dot")
posix = pytest.mark.skipif(sys.platform == "win32", reason="a shell script")
Graph = tuple[list[Point], list[tuple[int, int]]]


def lecture() -> Value:
    W, X, y = Value(3, label="W"), Value(3, label="X"), Value(1, label="y")
    L = -y * log(1 / (1 + exp(-(W * X))))
    L.label = "L"
    return L


def chain(labels: list[str]) -> Value:
    """A sum of as many leaves, each labelled."""
    v = Value(0.0, label="start")
    for label in labels:
        v = v + Value(1.0, label=label)
    return v


def operands(v: Value) -> int:
    return sum(len(u.args) for u in topological(v))


def parsed(picture: Picture) -> ElementTree.Element:
    return ElementTree.fromstring(picture.svg)


def groups(picture: Picture, kind: str) -> list[ElementTree.Element]:
    return [g for g in parsed(picture).iter(f"{SVG}g") if kind in (g.get("class") or "").split()]


def texts(g: ElementTree.Element) -> list[str]:
    return [t.text or "" for t in g.iter(f"{SVG}text")]


def ids(picture: Picture) -> list[str]:
    return [e.attrib["id"] for e in parsed(picture).iter() if "id" in e.attrib]


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Boxes and edges, from smaller to larger numbers, with multiple edges."""
    sizes = draw(st.lists(st.tuples(st.floats(20, 150), st.floats(16, 80)), min_size=1, max_size=25))
    edges = []
    for b in range(1, len(sizes)):
        edges += [(a, b) for a in draw(st.lists(st.integers(0, b - 1), max_size=4))]
    return sizes, edges


def points(curve: Curve, steps: int = 8) -> list[Point]:
    """Points along a curve."""
    found = []
    for (x0, y0), (x1, y1), (x2, y2), (x3, y3) in [curve[i:i + 4] for i in range(0, len(curve) - 1, 3)]:
        for t in [k / steps for k in range(steps + 1)]:
            s = 1 - t
            found.append((s**3 * x0 + 3 * s * s * t * x1 + 3 * s * t * t * x2 + t**3 * x3,
                          s**3 * y0 + 3 * s * s * t * y1 + 3 * s * t * t * y2 + t**3 * y3))
    return found


# ---- what is drawn

@pytest.mark.parametrize("engine", ENGINES)
def test_every_node_and_every_operand_is_drawn_once(engine: str) -> None:
    v = lecture()
    picture = draw(v, engine=engine, prefix="p")
    assert picture.engine == engine
    order = topological(v)
    assert {g.get("id") for g in groups(picture, "node")} == {f"p-n{i}" for i in range(len(order))}
    operand = [f"p-e{i}-{k}" for i, u in enumerate(order) for k in range(len(u.args))]
    assert [g.get("id") for g in groups(picture, "edge")] == operand
    assert texts(groups(picture, "root")[0]) == ["L", "×", "data", "0.000123402"]
    assert [texts(g) for g in groups(picture, "constant")] == [["1"]]
    assert {texts(g)[0] for g in groups(picture, "leaf")} == {"W", "X", "y"}
    assert {texts(g)[1] for g in groups(picture, "result")} == {"×", "−x", "exp", "+", "1/x", "log"}


@pytest.mark.parametrize("by", [affine, lambda w, x, b: b + w[0] * x[0] + w[1] * x[1]])
def test_a_sum_of_products_is_one_box_on_request(by: Any) -> None:
    w, x = [[Value(float(i), label=f"{letter}{i}") for i in (1, 2)] for letter in "wx"]
    z = by(w, x, Value(0.5, label="b"))
    y = tanh(z) * (w[0] * x[1] - z)
    picture = draw(y, rows="sums", engine="builtin")
    boxes = [texts(g)[:2] for kind in ("result", "root") for g in groups(picture, kind)]
    assert boxes == [["ξ4", "wᵀ·x + b"], ["ξ5", "tanh"], ["ξ7", "w1·x2 − ξ4"], ["L", "×"]]
    assert len(groups(picture, "node")) == 9 and len(groups(picture, "edge")) == 5 + 1 + 3 + 2
    z.label = "z"
    assert ["z", "wᵀ·x + b"] in [texts(g)[:2] for g in groups(draw(y, rows="sums", depth=3, engine="builtin"), "result")]
    assert "w1·x2" in draw_dot(y, rows="sums").source
    assert "wᵀ·x + 1" in draw(affine(w, x, 1.0), rows="sums", engine="builtin").svg   # as large as w1·x1
    assert texts(groups(draw(w[0] - x[0], rows="sums", engine="builtin"), "root")[0])[1] == "w1 − x1"   # the minus is seen
    long = affine([Value(1.0, label=f"a{2 ** i}") for i in range(9)], [Value(1.0, label=f"c{3 ** i}") for i in range(9)], 1.0)
    assert texts(groups(draw(long, rows="sums", engine="builtin"), "root")[0])[1] == "Σ"


def unplaced(dot: str) -> str:
    return re.sub(r' pos="[^"]*"', "", dot)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("rankdir", ["LR", "TB"])
def test_engines_agree_on_everything_but_places(engine: str, rankdir: str) -> None:
    v = chain(HOSTILE)
    v.backward()
    picture, plain = draw(v, engine=engine, rankdir=rankdir), draw(v, engine="builtin", rankdir=rankdir)
    assert ids(picture) == ids(plain)
    assert texts(parsed(picture)) == texts(parsed(plain))
    assert unplaced(picture.dot) == unplaced(plain.dot) != picture.dot
    assert draw(v, engine=engine, rankdir=rankdir).svg == picture.svg


@pytest.mark.parametrize("engine", ENGINES)
def test_a_times_a_has_two_edges_in_different_places(engine: str) -> None:
    a = Value(3.0, label="a")
    edges = groups(draw(a * a, engine=engine), "edge")
    ends = [[float(n) for n in re.findall(r"[-\d.]+", e.find(f"{SVG}polygon").attrib["points"])] for e in edges]  # type: ignore[union-attr]
    assert len(ends) == 2
    assert ends[0][0] == ends[1][0] and ends[1][1] - ends[0][1] > 10   # the first operand arrives above the second


def test_gradients_are_shown_once_there_are_any_and_never_for_constants() -> None:
    x = Value(2.0, label="x")
    y = x * 3 + Value(4.0)
    assert "grad" not in texts(parsed(draw(y)))
    y.backward()
    assert [texts(g) for g in groups(draw(y), "leaf")] == [["x", "data", "2", "grad", "3"],
                                                             ["x1", "data", "4", "grad", "1"]]
    assert [texts(g) for g in groups(draw(y), "constant")] == [["3"]]


def test_only_the_gradients_of_this_result_are_shown() -> None:
    def graded(v: Value) -> bool:
        return "grad" in texts(parsed(draw(v))) and "grad" in (picture_or_none(v) or "")

    w, x = Value(2.0, label="w"), Value(3.0, label="x")
    h = tanh(w * x)
    first, second = h * 3, h + w
    first.backward()
    assert graded(first) and not graded(second) and not graded(h) and not graded(w * x)
    second.backward()   # h has the gradient of the second now
    assert graded(second) and not graded(first)
    first.backward()
    assert graded(first) and not graded(second)
    w.grad = x.grad = 0.0
    assert not graded(tanh(w * x) * 3)
    first.backward()
    first.backward()
    assert ["w", "data", "2", "grad", f"{w.grad:.6g}"] in [texts(g) for g in groups(draw(first), "leaf")]   # accumulated
    (first * 2).backward()
    assert not graded(first)


def test_results_are_numbered_in_the_order_of_computation_unless_named() -> None:
    a = Value(1.0, label="a")
    b = a + 1
    c = b * b
    c.label = "c"
    d = tanh(c)
    assert [texts(g)[0] for g in groups(draw(d), "node")] == ["a", "1", "", "c", "L"]
    assert [texts(g)[0] for g in groups(draw(d, names={b: "first"}), "result")] == ["first", "c"]
    assert [texts(g)[0] for g in groups(draw(d, names={b: "first", c: "second"}), "node")] == ["a", "1", "first", "second", "L"]


def test_numbers_have_six_digits_and_all_of_them_in_the_tooltip() -> None:
    leaf = groups(draw(Value(-1 / 3, label="x")), "leaf")[0]
    assert texts(leaf)[-1] == "−0.333333"
    assert leaf.findtext(f"{SVG}title") == "x\ndata -0.3333333333333333"
    assert [texts(parsed(draw(Value(float(x)))))[-1] for x in ("inf", "-inf", "nan")] == ["∞", "−∞", "nan"]


def test_ids_begin_with_the_prefix_and_differ_between_pictures() -> None:
    first, second = draw(Value(1.0)), draw(Value(2.0))
    assert not {*ids(first)} & {*ids(second)}
    assert ids(draw(Value(1.0), prefix="mine")) == ["mine", "mine-n0"]
    assert parsed(first).get("role") == "img" and parsed(first).get("aria-label") == "Graph of x1: 1 nodes, 0 edges"


# ---- labels are data

def check_labels(picture: Picture, v: Value) -> None:
    root = parsed(picture)
    tags = {e.tag.removeprefix(SVG) for e in root.iter()}
    assert tags <= {"svg", "g", "rect", "path", "polygon", "text", "title"}
    attributes = {name for e in root.iter() for name in e.attrib}
    assert not [name for name in attributes if name.startswith("on") or "href" in name]
    assert len(groups(picture, "node")) == len(topological(v)) and len(groups(picture, "edge")) == operands(v)
    for e in root.iter():
        assert "\n" not in (e.text or "") or e.tag == f"{SVG}title" or not (e.text or "").strip()
        assert len(e.text or "") <= 700


@pytest.mark.parametrize("label", HOSTILE)
def test_hostile_labels_are_text(label: str) -> None:
    v = tanh(Value(1.0, label=label)) * Value(2.0, label=label)
    v.label = label
    picture = draw(v, engine="builtin")
    check_labels(picture, v)
    if label.strip():
        assert visible(label) in texts(parsed(picture))
        assert whole(label) in (groups(picture, "leaf")[0].findtext(f"{SVG}title") or "")


@given(st.lists(st.text(st.characters(exclude_categories=())), min_size=1, max_size=6))
def test_any_label_is_text(labels: list[str]) -> None:
    v = chain(labels)
    check_labels(draw(v, engine="builtin"), v)


@given(st.text(st.characters(exclude_categories=())), st.integers(1, 40))
def test_visible_text_is_short_and_clean(label: str, limit: int) -> None:
    shown = visible(label, limit)
    assert len(shown) <= 12 * limit + 6
    assert not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2028\u2029\ud800-\udfff\ufffe\uffff]", shown)
    assert shown.count("\u2068") == shown.count("\u2069") <= 1


def texts_by_graphviz(dot: str, *command: str) -> set[str]:
    svg = subprocess.run([*command, "-Tsvg"], input=dot.encode(), capture_output=True, check=True).stdout
    return {(t.text or "").replace("\xa0", " ") for t in ElementTree.fromstring(svg).iter(f"{SVG}text")}


@needs_dot
@pytest.mark.parametrize("rankdir", ["LR", "TB"])
def test_graphviz_reads_the_labels_as_they_are(rankdir: str) -> None:
    labels = [label for label in HOSTILE if label.strip()]
    v = chain(labels)
    picture = draw(v, engine="builtin", rankdir=rankdir)
    shown = {visible(label) for label in labels}
    assert shown <= texts_by_graphviz(picture.dot, "dot")
    assert shown <= texts_by_graphviz(picture.dot, "neato", "-n2")
    assert shown <= texts_by_graphviz(picture.to_graphviz().source, "dot")
    assert shown <= texts_by_graphviz(draw_dot(v, rankdir=rankdir).source, "dot")


@needs_dot
@pytest.mark.parametrize("label", HOSTILE)
def test_graphviz_reads_every_hostile_label_anywhere(label: str) -> None:
    v = tanh(Value(1.0, label=label)) * 2.0
    v.label = label
    neuron = SimpleNamespace(w=[Value(1.0, label=label)], b=Value(0.0, label=label), activation=label)
    pictures = [draw(v, engine="builtin"), draw_neuron(neuron, [Value(2.0, label=label)])]
    for dot in [*[picture.dot for picture in pictures], *[picture.to_graphviz().source for picture in pictures],
                draw_dot(v).source]:
        found = texts_by_graphviz(dot, "dot")
        assert not label.strip() or visible(label).strip() in {text.strip() for text in found}


def graphviz(dot: str, *command: str) -> Any:
    return json.loads(subprocess.run([*command, "-Tjson0"], input=dot.encode(), capture_output=True, check=True).stdout)


@needs_dot
@settings(max_examples=25, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=()) | st.sampled_from('"\\{}|<>&;[]\n')), min_size=1, max_size=8),
       st.sampled_from(["LR", "TB"]))
def test_no_label_changes_the_structure_of_the_dot_file(labels: list[str], rankdir: str) -> None:
    v = chain(labels)
    read = graphviz(draw(v, engine="builtin", rankdir=rankdir, prefix="p").dot, "dot")
    assert [node["id"] for node in read["objects"]] == [f"p-n{i}" for i in range(len(topological(v)))]
    assert len(read["edges"]) == operands(v)
    plain = graphviz(draw_dot(v, rankdir=rankdir).source, "dot")
    assert len(plain["objects"]) == len(topological(v)) + len(labels)   # and the additions
    assert len(plain["edges"]) == operands(v) + len(labels)
    assert not any("URL" in node for node in read["objects"] + plain["objects"])


@needs_dot
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("rankdir", ["LR", "TB"])
def test_the_dot_file_has_the_places_of_the_svg(engine: str, rankdir: str) -> None:
    picture = draw(lecture(), engine=engine, rankdir=rankdir, prefix="p")
    read = graphviz(picture.dot, "neato", "-n2")["objects"]
    found = {node["id"]: [float(x) for x in node["pos"].split(",")] for node in read}
    left = min(x for x, _ in found.values())
    places = {}
    for g in groups(picture, "node"):
        x, y = map(float, re.findall(r"-?[\d.]+", g.attrib["transform"]))
        box = g.find(f"{SVG}rect")
        assert box is not None
        places[g.attrib["id"]] = (x + float(box.attrib["width"]) / 2, -y - float(box.attrib["height"]) / 2)
    bottom, ground = min(y for _, y in found.values()), min(y for _, y in places.values())
    shift = min(x for x, _ in places.values()) - left
    for key, (x, y) in places.items():
        assert found[key] == pytest.approx([x - shift, y - ground + bottom], abs=0.2)


@needs_dot
def test_a_graph_for_graphviz_is_restyled_and_rendered() -> None:
    v = lecture()
    v.backward()
    for graph in (draw(v).to_graphviz(), draw_dot(v)):
        graph.graph_attr["rankdir"] = "TB"
        graph.node_attr["fontname"] = "Courier"
        svg = graph.pipe(format="svg").decode()
        shown = [t.text for t in ElementTree.fromstring(svg).iter(f"{SVG}text")]
        assert "Courier" in svg and {"W", "ξ4", "log"} <= {*shown}
        assert any("−0.000370184" in (text or "") for text in shown)   # the gradient of W
    height, width = (float(x) for x in re.findall(r'<svg width="(\d+)pt" height="(\d+)pt"', svg)[0])
    assert width > height
    assert "grad" not in draw_dot(lecture()).source


# ---- where it stands

def check_places(sizes: list[Point], edges: list[tuple[int, int]], centres: list[Point], curves: list[Curve]) -> None:
    for i, ((w, h), (x, y)) in enumerate(zip(sizes, centres, strict=True)):
        for (v, g), (p, q) in zip(sizes[:i], centres[:i], strict=True):
            assert abs(x - p) > (w + v) / 2 or abs(y - q) > (h + g) / 2, "two boxes overlap"
    for (a, b), curve in zip(edges, curves, strict=True):
        assert len(curve) % 3 == 1
        assert centres[a][0] < centres[b][0]
        assert curve[0] == pytest.approx((centres[a][0] + sizes[a][0] / 2, centres[a][1]))
        assert curve[-1][0] == pytest.approx(centres[b][0] - sizes[b][0] / 2)
        assert abs(curve[-1][1] - centres[b][1]) < sizes[b][1] / 2
    for k, ((_, b), (_, d)) in enumerate(pairwise(edges)):
        assert b != d or curves[k][-1][1] < curves[k + 1][-1][1], "operands are not in order"


@settings(max_examples=50, deadline=None)
@given(graphs())
def test_the_builtin_layout_keeps_boxes_apart_and_curves_out_of_them(graph: Graph) -> None:
    sizes, edges = graph
    centres, curves = layout(sizes, edges)
    check_places(sizes, edges, centres, curves)
    assert (centres, curves) == layout(sizes, edges)
    for curve in curves:
        for x, y in points(curve):
            for (w, h), (p, q) in zip(sizes, centres, strict=True):
                assert abs(x - p) > w / 2 - 0.1 or abs(y - q) > h / 2 - 0.1, "a curve runs through a box"


@pytest.mark.parametrize("engine", ENGINES)
@settings(max_examples=10, deadline=None)
@given(graph=graphs())
def test_every_engine_keeps_boxes_apart_and_operands_in_order(engine: str, graph: Graph) -> None:
    check_places(*graph, *engines.ENGINES[engine](*graph))


def test_a_tree_is_drawn_without_a_crossing() -> None:
    edges = [(0, 4), (1, 4), (2, 5), (3, 5), (4, 6), (5, 6)]
    centres, _ = layout([(40.0, 20.0)] * 7, edges)
    assert [y for _, y in centres[:4]] == sorted(y for _, y in centres[:4])


@given(st.lists(st.tuples(st.floats(-100, 100), st.floats(0.1, 10), st.floats(0, 50)), min_size=1, max_size=8))
def test_apart_is_the_least_squares_solution(rows: list[tuple[float, float, float]]) -> None:
    wanted, weights, gaps = [[row[k] for row in rows] for k in range(3)]
    ys = apart(wanted, weights, gaps[1:])

    def cost(ys: list[float]) -> float:
        return sum(w * (y - wish) ** 2 for y, wish, w in zip(ys, wanted, weights, strict=True))

    assert all(b - a >= gap - 1e-9 for (a, b), gap in zip(pairwise(ys), gaps[1:], strict=True))
    for k in range(len(ys)):   # the problem is convex: no allowed step may lower the cost
        for moved in ([*ys[:k], *[y + 1e-3 for y in ys[k:]]], [*[y - 1e-3 for y in ys[:k + 1]], *ys[k + 1:]]):
            assert cost(moved) >= cost(ys) - 1e-6


# ---- large graphs

def test_a_picture_beyond_the_limit_is_refused_with_advice() -> None:
    x = Value(1.0, label="x")
    for _ in range(200):
        x = x * 0.5
    with pytest.raises(ValueError, match=r"401 nodes, the limit is 300: .*depth=14\d.* limit=401"):
        draw(x)
    assert draw(x, limit=401).nodes == 401
    assert draw(x, depth=3).nodes == 7
    with pytest.raises(ValueError, match="5000 edges"):
        draw(logsumexp(*[Value(1.0)] * 5000))


@pytest.mark.parametrize("engine", ENGINES)
def test_depth_leaves_out_what_is_further_down_and_says_so(engine: str) -> None:
    v = lecture()
    order = topological(v)
    picture = draw(v, engine=engine, depth=2, prefix="p")
    assert [texts(g)[0] for g in groups(picture, "node")] == ["y", "", "… 1 more", "ξ4", "ξ5", "L"]
    cut = order.index(next(u for u in order if u.op and u.op.name == "reciprocal"))
    assert {f"p-m{cut}", f"p-n{cut}", f"p-e{cut}-more"} <= {*ids(picture)}   # places in the whole graph
    assert len(groups(picture, "edge")) == 5
    assert draw(v, engine=engine, depth=0).nodes == 1
    assert draw(v, engine=engine, depth=99).svg == draw(v, engine=engine).svg


def test_operands_that_are_left_out_are_counted() -> None:
    v = logsumexp(*[Value(float(i)) * 2 for i in range(9)])
    assert texts(groups(draw(v, depth=0), "more")[0]) == ["… 9 more"]


def test_a_notebook_gets_a_picture_of_any_graph_or_none() -> None:
    x = Value(1.0, label="x")
    deep = x
    for _ in range(100_000):
        deep = deep * 0.5
    wide = logsumexp(*[Value(1.0) for _ in range(100_000)])
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(stack()) + 150)
    try:
        pictures = [picture_or_none(deep), picture_or_none(wide), picture_or_none(x)]
    finally:
        sys.setrecursionlimit(limit)
    counts = [len(ElementTree.fromstring(svg).findall(f"{SVG}g[@transform]")) for svg in pictures if svg]
    assert 60 < counts[0] <= drawing.GLANCE and counts[1:] == [2, 1]
    assert picture_or_none(logsumexp(*[x] * 5000)) is None
    assert picture_or_none("no Value") is None


def test_it_never_raises_in_a_notebook_even_if_a_label_was_tampered_with() -> None:
    v = Value(1.0)
    v.label = 5
    assert "5" in str(picture_or_none(v))
    v.grad = None   # type: ignore[assignment]
    assert picture_or_none(v)


# ---- files, engines, errors

@needs_dot
def test_a_png_has_twice_the_pixels_of_the_svg_and_a_pdf_its_size(tmp_path: Path) -> None:
    picture = draw(lecture())
    picture.save(tmp_path / "a.png")
    picture.save(tmp_path / "a.PDF")
    width, height = (int(parsed(picture).attrib[name]) for name in ("width", "height"))
    png = (tmp_path / "a.png").read_bytes()
    assert png.startswith(b"\x89PNG")
    assert struct.unpack(">II", png[16:24]) == pytest.approx((2 * width, 2 * height), rel=0.02)
    pdf = (tmp_path / "a.PDF").read_bytes()
    assert pdf.startswith(b"%PDF")
    (box,) = re.findall(rb"/MediaBox *\[ *0 +0 +([\d.]+) +([\d.]+)", pdf)
    assert [float(x) for x in box] == pytest.approx((width, height), rel=0.02)


@pytest.mark.parametrize("name", ["a.svg", "a.DOT"])
def test_save_writes_the_file_its_name_asks_for(tmp_path: Path, name: str) -> None:
    picture = draw(lecture(), engine="builtin")
    (tmp_path / name).write_text("old")
    picture.save(tmp_path / name)
    assert (tmp_path / name).read_text(encoding="utf-8") == (picture.dot if name.lower().endswith("dot") else picture.svg)
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_save_leaves_nothing_behind_where_it_fails(tmp_path: Path) -> None:
    picture = draw(Value(1.0), engine="builtin")
    with pytest.raises(ValueError, match=r"end in \.svg, \.dot, \.png or \.pdf"):
        picture.save(tmp_path / "a.jpg")
    (tmp_path / "a.svg").mkdir()
    with pytest.raises(OSError):
        picture.save(tmp_path / "a.svg")
    assert [p.name for p in tmp_path.iterdir()] == ["a.svg"]


@pytest.fixture
def without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a bare Python."""
    for name in ("graphviz", "graphviz.backend", "graphviz.backend.execute", "graphviz.backend.dot_command"):
        monkeypatch.setitem(sys.modules, name, None)


def stand_in(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str) -> None:
    """A shell script in place of Graphviz's program."""
    (folder / "dot").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "dot").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def check_it_is_done_without(advice: str) -> None:
    picture = draw(lecture())
    assert picture.engine == "builtin"
    with pytest.raises(RuntimeError, match=rf"engine='dot'\) did not work: .*{advice}.*choose 'builtin'"):
        draw(lecture(), engine="dot")
    for name in ("a.png", "a.pdf"):
        with pytest.raises(RuntimeError, match=rf"save\('{name}'\) did not work: .*{advice}.*an .svg does not"):
            picture.save(name)


def test_a_machine_without_graphviz_draws_with_the_builtin_layout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    check_it_is_done_without("failed to execute")
    assert not [*tmp_path.iterdir()]
    assert "ξ1" in draw_dot(lecture()).source and "ξ1" in draw(lecture()).to_graphviz().source   # they run no program


def test_a_bare_python_draws_with_the_builtin_layout(without_the_package: None) -> None:
    check_it_is_done_without("graphviz")
    for make in (draw(lecture()).to_graphviz, lambda: draw_dot(lecture())):
        with pytest.raises(ImportError, match="pip install graphviz"):
            make()


@posix
def test_a_dot_that_answers_nonsense_gives_way(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stand_in(monkeypatch, tmp_path, "echo node n7 x y")
    assert draw(Value(1.0) * 2).engine == "builtin"


@posix
def test_a_dot_that_takes_too_long_is_stopped_and_gives_way(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stand_in(monkeypatch, tmp_path, "exec sleep 600")
    monkeypatch.setattr(engines, "PATIENCE", 0.1)
    monkeypatch.setattr(picture_module, "SAVING", 0.1)
    check_it_is_done_without("stopped after 0.1 seconds")


@posix
def test_ctrl_c_ends_a_drawing_and_the_dot_that_it_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stand_in(monkeypatch, tmp_path, f"echo $$ > {tmp_path}/new && mv {tmp_path}/new {tmp_path}/pid && exec sleep 600")
    code = ("import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"   # a job in the background ignores it
            "from viz.graphs import engines; engines.PATIENCE = 600\n"
            "from autograd import Value; print(Value(2.0)._repr_svg_())")
    with running([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        while not (tmp_path / "pid").exists() and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)   # to Python alone: the program must be ended by it
        output, errors = process.communicate(timeout=60)
        assert output == "" and "KeyboardInterrupt" in errors
        with pytest.raises(ProcessLookupError):
            os.kill(int((tmp_path / "pid").read_text()), 0)


def test_a_tangle_that_would_take_dot_minutes_is_not_given_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def spy(program: str, *_: str) -> bytes:
        asked.append(program)
        raise RuntimeError("no program")

    monkeypatch.setattr(engines, "run", spy)
    x = Value(0.3, label="x")
    y = sin(x)
    assert draw(y).engine == "builtin" and asked == ["dot"]
    for _ in range(139):
        y = y * sin(x)
    assert draw(y).nodes == 280 and asked == ["dot"]
    assert picture_or_none(y) and asked == ["dot"] * 3   # its last operations, from left to right and from top to bottom


def test_no_label_reaches_an_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def spy(*geometry: Any) -> Any:
        seen.append(geometry)
        return layout(*geometry)

    monkeypatch.setitem(engines.ENGINES, "builtin", spy)
    draw(chain(["secret"]), engine="builtin")
    assert "secret" not in engines._sizes_file(*seen[0]) + repr(seen)


@pytest.mark.parametrize(("arguments", "error", "advice"), [
    ({"value": [Value(1.0)]}, TypeError, "draw one Value"),
    ({"value": 1.0}, TypeError, "draw one Value"),
    ({"engine": "neato"}, ValueError, "'dot', 'builtin'"),
    ({"rankdir": "UP"}, ValueError, "'LR' or 'TB'"),
    ({"depth": -1}, ValueError, "at least 0"),
    ({"rows": "named"}, ValueError, "one of all, sums"),
    ({"prefix": 'x" onload="'}, ValueError, "letters"),
])
def test_wrong_arguments_are_told_what_is_right(arguments: dict[str, Any], error: type[Exception], advice: str) -> None:
    with pytest.raises(error, match=advice):
        draw(**{"value": Value(1.0), **arguments})


def test_a_picture_shows_itself_briefly() -> None:
    picture = draw(chain(["x" * 1000]), engine="builtin")
    assert repr(picture) == "<Picture of 3 nodes, placed by builtin>"
    assert picture._repr_svg_().replace(' style="max-width: 100%; height: auto"', "") == picture.svg


def test_a_picture_never_mixes_old_and_new_numbers() -> None:
    x = Value(2.0, label="x")
    y = x * x
    x.data = 5.0
    with pytest.raises(RuntimeError, match="'x'"):
        draw(y)
    assert picture_or_none(y) is None
