"""The explorer in a real browser: Debian's Chromium, driven by Playwright. It has no network, and every message on its console,
every request and every dialog fails the test at hand.
"""

from __future__ import annotations

import html
import json
import math
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import reduce
from html.parser import HTMLParser
from operator import add
from pathlib import Path
from random import Random
from typing import Any
from xml.etree import ElementTree

import pytest
from helpers import ROWS, anywhere, inside, largest_term
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autograd import PRIMITIVES, Primitive, Value, cos, errstate, exp, grad, log, sqrt, tanh, topological
from autograd.functions import relu
from autograd.rewritten import opened
from autograd.sweep import dependents, numbers
from autograd.zeros import pushforward
from nn import MLP, Layer, LinearRegression, LogisticRegression, Neuron, OneVsRest, Perceptron, SoftmaxRegression
from viz import draw, draw_neuron, explore, table
from viz.formulas.notation import TEXT
from viz.graphs.engines import ENGINES
from viz.pages.explorer_data import trace
from viz.pages.javascript import PRELUDE, javascript, table_of

CHROMIUM = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync"]
NASTY = [
    "</script><script>alert(1)</script>", '"]; evil [URL="javascript:alert(1)"]; "', "</title><img src=x onerror=alert(1)>",
    "<!--<script>", "]]>", "{{script}}", "\\u003cb\\u003e", "a\\", '\\"', "'; alert(1); '", "&lt;b&gt;", "${alert(1)}",
    "\x00\x1b[31m\x7f\x85\ufffe", "\ud800", "\n\r\t\u2028\u2029", "🎉👩‍👩‍👧", "中文", "שלום 1", "\u202egnp.exe\u2066",
    "x" * 10_000, " ", "__proto__", "constructor", "L", "(x)",
]

GREEK = {"alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu", "xi",
         "pi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega", "vartheta", "varpi", "varrho", "varsigma"}
ACCENTS = {"hat", "bar", "tilde", "dot", "ddot", "vec", "check", "acute", "grave", "breve", "mathring"}
SYMBOLS = {"\\" + name for name in {"backslash", "sim", "wedge", "vert", "mathrm", "tanh", "text", "cosh", "frac", *ACCENTS,
                                    *GREEK, *map(str.capitalize, GREEK)}}
ANY_CHARACTER = st.characters(exclude_categories=()) | st.sampled_from("<>&\"'/\\{}$`()%\u2028")


class Page:
    """The explorer's page, as somebody uses it."""

    def __init__(self, browser: Any) -> None:
        self.context = browser.new_context(viewport={"width": 1300, "height": 900}, reduced_motion="reduce")
        self.tab = self.context.new_page()
        self.problems: list[str] = []
        self.tab.on("console", lambda message: self.problems.append(message.text))
        self.tab.on("pageerror", lambda error: self.problems.append(str(error)))
        self.tab.on("dialog", self._dialog)
        self.tab.on("request", self._request)
        self.folder = tempfile.TemporaryDirectory()

    def close(self) -> None:
        self.context.close()
        self.folder.cleanup()

    def _dialog(self, dialog: Any) -> None:
        self.problems.append(f"a dialog: {dialog.message}")
        dialog.dismiss()

    def _request(self, request: Any) -> None:
        if not request.url.startswith("file:"):
            self.problems.append(f"a request: {request.url}")

    def open(self, v: Value, place: str = "", **options: Any) -> Page:
        return self.open_html(explore(v, **{"engine": "builtin"} | options).html, place)

    def open_html(self, text: str, place: str = "") -> Page:
        path = Path(self.folder.name, "page.html")
        path.write_text(text, encoding="utf-8")
        self.tab.goto("about:blank")
        self.tab.goto(path.as_uri() + place)
        return self

    def ask(self, script: str, argument: Any = None) -> Any:
        return self.tab.evaluate(script, argument)

    def text(self, selector: str) -> str:
        return str(self.ask("s => document.querySelector(s).textContent", selector))

    def click(self, name: str) -> None:
        self.ask("id => document.getElementById(id).click()", name)

    def press(self, key: str) -> None:
        self.tab.keyboard.press(key)

    @property
    def step(self) -> int:
        return int(re.findall(r"\d+", self.text("#count"))[0])

    @property
    def last(self) -> int:
        return int(re.findall(r"\d+", self.text("#count"))[1])

    def numbers(self, selector: str) -> list[float]:
        """The exact numbers behind what an element shows."""
        return [float(x) for x in self.ask("""s => [...document.querySelectorAll(s)]
            .flatMap(e => [...e.querySelectorAll("[value], [data-value]")])
            .map(e => e.getAttribute("value") ?? e.dataset.value)""", selector)]

    def table(self) -> dict[str, tuple[float | None, float | None, str]]:
        """Of every row: its value and its derivative, as far as they are known, and how that is written."""
        rows = self.ask("""() => [...document.querySelectorAll("#rows tr")].map(tr => [tr.cells[0].firstChild.data,
            tr.cells[2].dataset.value ?? null, tr.cells[4].dataset.value ?? null, tr.cells[4].textContent])""")
        return {name: (value and float(value), d and float(d), text) for name, value, d, text in rows}

    def boxes(self) -> dict[str, list[str]]:
        """Of every node of the first picture, what it shows: its value and its derivative."""
        return dict(self.ask("""() => [...document.querySelectorAll(".picture")][0].querySelectorAll(".node").values()
            .map(g => [g.id, [...g.querySelectorAll(".value, .grad")].map(t => t.textContent)]).toArray()"""))


@pytest.fixture(scope="module")
def browser(require_tool: Callable[[str], None]) -> Iterator[Any]:
    require_tool("chromium")
    require_tool("playwright")
    from playwright.sync_api import sync_playwright
    with sync_playwright() as playwright:   # of this module only: it keeps an event loop running
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def shared(browser: Any) -> Iterator[Page]:
    page = Page(browser)
    yield page
    page.close()


@pytest.fixture
def page(shared: Page) -> Iterator[Page]:
    shared.problems.clear()
    shared.tab.set_viewport_size({"width": 1300, "height": 900})
    yield shared
    assert shared.problems == []


def lecture() -> Value:
    W, X, y = Value(3, label="W"), Value(3, label="X"), Value(1, label="y")
    return -y * log(1 / (1 + exp(-W * X)))


def doubled() -> Value:
    a = Value(1.0, label="a")
    b = a + a
    b.label = "b"
    c = b + b
    c.label = "c"
    return c


def network() -> tuple[MLP, Value]:
    model = MLP(2, [3, 1], activation="relu", rng=0)
    x = [Value(1.0, label="x1"), Value(-2.0, label="x2")]
    return model, (model(x) - Value(1.0, label="t")) ** 2


def dag(size: int, seed: int = 1, labels: bool = False) -> Value:
    """A random graph of about `size` nodes, no more, whose results are shared."""
    random = Random(seed)
    for tries in range(size, size // 2, -1):
        vs = [Value(random.uniform(0.5, 1.5), label=f"x{i}") for i in range(tries // 4)]
        while len(vs) < tries:
            a, b = random.choice(vs[-20:]), random.choice(vs[-20:])
            vs.append(random.choice([a * b, a + b, tanh(a)]))
            if labels and len(vs) % 10 == 0:
                vs[-1].label = f"h{len(vs)}"
        used = {a for v in vs for a in v.args}
        y = reduce(add, [v for v in vs if v not in used])
        if len(topological(y)) <= size:
            return y
    raise AssertionError


def adjoints(v: Value) -> dict[Value, float]:
    order = topological(v)
    for leaf in order:
        if not leaf.args:
            leaf.grad = 0.0
    v.backward()
    return {u: u.grad for u in order}


def same(a: float | None, b: float) -> bool:
    return a == b or (a is not None and math.isnan(a) and math.isnan(b))


# ---- the file

def test_the_file_is_small_and_asks_for_nothing() -> None:
    text = explore(lecture()).html
    assert len(text.encode()) <= 100_000
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy
    assert re.fullmatch(r"default-src 'none'; script-src 'sha256-\S+'; style-src 'sha256-\S+'; base-uri 'none'; "
                        r"form-action 'none'", policy[1])
    assert not re.findall(r'(?:src|href|action|srcset)\s*=|@import|url\(|fetch\(|XMLHttp|WebSocket|innerHTML|eval\(', text)


@pytest.mark.parametrize("labels", [False, True])
def test_300_nodes_fit_in_a_megabyte(labels: bool) -> None:
    for engine in (None, "builtin"):
        assert len(explore(dag(300, labels=labels), engine=engine).html.encode()) <= 1_000_000


def test_save_writes_html_whole_or_not_at_all(tmp_path: Path) -> None:
    page = explore(lecture(), engine="builtin")
    page.save(tmp_path / "a.html")
    assert (tmp_path / "a.html").read_text(encoding="utf-8") == page.html
    with pytest.raises(ValueError, match=r"end in \.html"):
        page.save(tmp_path / "a.svg")
    with pytest.raises(OSError):
        page.save(tmp_path / "no" / "a.html")
    assert [p.name for p in tmp_path.iterdir()] == ["a.html"]
    assert re.fullmatch(r"<Explorer of 12 nodes, \d+ kB of HTML>", repr(page))


@pytest.mark.parametrize(("arguments", "error", "advice"), [
    ({"value": 1.0}, TypeError, "one Value"),
    ({"rankdir": "UP"}, ValueError, "'LR' or 'TB'"),
    ({"engine": "neato"}, ValueError, "'builtin'"),
    ({"wrt": Value(2.0)}, TypeError, "built from"),
    ({"wrt": [3]}, TypeError, "built from"),
    ({"collapse": "layers"}, TypeError, "'label'"),
    ({"collapse": lambda v: 7}, TypeError, "name of its group"),
])
def test_wrong_arguments_are_told_what_is_right(arguments: dict[str, Any], error: type[Exception], advice: str) -> None:
    with pytest.raises(error, match=advice):
        explore(**{"value": lecture(), **arguments})


def test_large_graphs_are_refused_with_advice() -> None:
    x = Value(1.0, label="x")
    for _ in range(200):
        x = x * 0.5
    with pytest.raises(ValueError, match=r"401 boxes in one picture, the limit is 300.*collapse=model.*limit=401"):
        explore(x)
    for _ in range(400):
        x = x * 0.5
    with pytest.raises(ValueError, match=r"1201 nodes, the limit is 900.*limit=401"):
        explore(x)


# ---- stepping

def test_every_step_forward_and_back_shows_the_engines_numbers(page: Page) -> None:
    """All of them, to the last bit: operands, partials, terms, running sums, rows, boxes, in both modes."""
    v = lecture()
    order = topological(v)
    check_backward(page.open(v), order)
    check_forward(page, order)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_random_graphs_show_the_engines_numbers(page: Page, seed: int) -> None:
    v = dag(40, seed)
    check_backward(page.open(v), topological(v))
    check_forward(page, topological(v))


def walk(page: Page, button: str) -> list[tuple[list[float], str]]:
    """Press a button until it can no more: the numbers of the equation at every step, and all that is written."""
    return [([float(x) for x in shown], text) for shown, text in page.ask("""button => { const found = [];
        while (!document.getElementById(button).disabled) {
            document.getElementById(button).click();
            found.push([[...document.querySelectorAll("#equation [value], #equation [data-value]")]
                .map(e => e.getAttribute("value") ?? e.dataset.value), document.querySelector("main").textContent]);
        }
        return found; }""", button)]


def check_backward(page: Page, order: list[Value]) -> None:
    truth = adjoints(order[-1])
    results = [u for u in order if u.args]
    varying = dependents(order, [x for x in order if not (x.args or x.constant)])
    edges = [(i, k) for i in reversed(range(len(order))) for k, a in enumerate(order[i].args) if a in varying]
    assert page.last == len(results) + 1 + len(edges)
    start = page.text("main")
    steps = walk(page, "next")
    expected = [[u.data] for u in results] + [[1.0]]
    for (i, k), term, total in trace(order, edges):
        d = numbers(order[i])[k]
        expected.append([truth[order[i]], d, term, d, total])
    assert [shown for shown, _ in steps] == expected
    shown_rows = page.table()
    for u in order:
        if u.label is not None:
            assert shown_rows[u.label][:2] == (u.data, truth[u])
    assert {*[row[1] for row in shown_rows.values()]} <= {truth[u] for u in varying}
    for i, u in enumerate(order):
        if u in varying:
            assert page.boxes()[f"x-n{i}"] == [str(TEXT.number(u.data, 6)), str(TEXT.number(truth[u], 6))]
    assert [text for _, text in walk(page, "back")] == [*[text for _, text in reversed(steps[:-1])], start]


def check_forward(page: Page, order: list[Value]) -> None:
    leaves = [x for x in order if not (x.args or x.constant)]
    varying = dependents(order, leaves)
    page.ask("() => { const m = document.getElementById('mode'); m.value = 'forward'; m.onchange(); }")
    for n, x in enumerate(leaves[:4]):
        page.ask("n => { const m = document.getElementById('leaf'); m.value = n; m.onchange(); }", n)
        page.press("Home")
        tangent = pushforward(order, {x: 1.0}, order, symbolic=False)
        for u, (shown, _) in zip([u for u in order if u.args], walk(page, "next"), strict=True):
            into = [k for k, a in enumerate(u.args) if a in varying]
            slopes = [numbers(u)[k] for k in into]
            terms = [x for k, d in zip(into, slopes, strict=True) for x in (d, tangent.get(u.args[k], 0.0))]
            assert shown == ([u.data, *terms, tangent.get(u, 0.0), *slopes] if into else [u.data])
        for name, (_, d, _) in page.table().items():
            found = [u for u in order if u.label == name]
            assert not found or d == tangent.get(found[0], 0.0)


def test_the_equation_is_written_out(page: Page) -> None:
    page.open(lecture(), "#step=12")
    assert page.text("#equation .big") == "dL/dξ4 += (−1) × 1.00012 = −1.00012"
    assert "∂ξ5/∂ξ4 = 1/ξ4 = 1.00012" in page.text("#equation")
    assert page.text("tr.live th") == "ξ4" and page.text("tr[aria-current=step] th") == "ξ4"
    assert page.text("#log li:last-child") == "dL/dξ4 += (−1) × 1.00012 = −1.00012"
    assert page.ask("() => document.querySelectorAll('#log li').length") == 13
    assert page.text("svg .tag") == "×1.00012"
    assert page.text("h1") == "L = −y·log(1/(1 + e^(−W·X)))"


def test_a_shared_node_keeps_its_running_sum(page: Page) -> None:
    x = Value(3.0, label="x")
    page.open(x * x + 3 * x)
    page.press("End")
    assert page.table()["x"] == (3.0, 9.0, "0 → 3 → 6 → 9")
    assert "running sum, 3 of 3" in page.text("#equation")
    assert "All 3 contributions have arrived" in page.text("#say")
    page.press("ArrowLeft")
    assert page.table()["x"][2] == "0 → 3 → 6"


def total(terms: list[Value]) -> Value:
    """Python's sum, which begins with 0."""
    found = sum(terms)
    assert isinstance(found, Value)
    return found


def data_of(v: Value, **options: Any) -> Any:
    """What the page is given."""
    text = explore(v, engine="builtin", **options).html
    return json.loads(re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)[0])


def test_what_is_used_twice_has_a_partial_by_each_operand_and_their_sum_is_the_tables(page: Page) -> None:
    a, b = Value(2.0, label="a"), Value(3.0, label="b")
    e = a * b
    e.label = "e"
    page.open(e * e * 4)
    assert "∂ξ1/∂e = 2·e = 12" in page.text("#rows")
    found = set()
    for _ in range(page.last):
        page.press("ArrowRight")
        found |= {*re.findall(r"(∂\S?ξ1/∂e) = \S+ = (\d+)", page.text("#equation"))}
    assert found == {("∂₁ξ1/∂e", "6"), ("∂₂ξ1/∂e", "6")}
    x = Value(2.0, label="x")
    assert [edge["nth"] for edge in data_of(x * (1 - x))["edges"]] == ["₁", "", "", ""]   # by way of 1 − x too
    assert {edge["nth"] for edge in data_of(lecture())["edges"]} == {""}


@pytest.mark.parametrize("make", [
    lecture, doubled, lambda: network()[1], lambda: dag(40, 1), lambda: dag(40, 2, labels=True),
    lambda: total([Value(2.0, label="w") * 3, Value(3.0)]) * Value(2.0, label="y"),
])
def test_table_picture_and_page_call_a_number_alike(make: Callable[[], Value]) -> None:
    v = make()
    leaves = [u for u in topological(v) if not u.args]
    shown = {(node["name"], node["value"]) for node in data_of(v)["nodes"]}
    for wrt in (None, [u for u in leaves if not u.constant][:1]):
        for rows in ("auto", "all", "named"):
            found = table(v, wrt, rows=rows).steps
            assert {(TEXT.symbol(row.name), row.value) for row in found.rows} <= shown
    drawn = {node.find("{*}text").text: node.find("{*}title").text   # type: ignore[union-attr]
             for node in ElementTree.fromstring(draw(v, engine="builtin").svg).iterfind(".//{*}g[@id]")
             if node.get("class", "").startswith("node")}
    for row in table(v, rows="all").steps.rows:
        assert f"data {row.value!r}" in str(drawn[row.name])


def test_the_0_that_sum_begins_with_is_no_step() -> None:
    a, b = Value(2.0, label="a"), Value(3.0, label="b")
    plain, summed = a * b + b * b, total([a * b, b * b])
    assert data_of(summed) == data_of(plain)
    assert draw(summed, engine="builtin").svg == draw(plain, engine="builtin").svg
    assert explore(summed, wrt=a, engine="builtin").nodes == 5


def test_buttons_slider_keys_and_play(page: Page) -> None:
    page.open(lecture())
    for control, step in (("next", 1), ("next", 2), ("back", 1), ("last", page.last), ("first", 0)):
        page.click(control)
        assert page.step == step
    last = page.last
    for key, step in (("ArrowRight", 1), ("End", last), ("ArrowRight", last), ("ArrowLeft", last - 1), ("Home", 0)):
        page.press(key)
        assert page.step == step
    page.tab.locator("#slider").fill("7")
    assert page.step == 7
    assert page.tab.locator("#slider").get_attribute("aria-valuetext") == f"Forward pass · node 7 of 8, step 7 of {last}"
    page.tab.locator("#slider").focus()
    page.press("ArrowRight")
    assert page.step == 8


def test_play_goes_on_until_it_is_paused_or_over(browser: Any) -> None:
    with closing(Page(browser)) as page:
        clock = page.tab.clock
        clock.install(time=0)
        clock.pause_at(1000)   # time passes when it is told to
        page.open(lecture())
        page.tab.locator("#speed").select_option("very fast")
        page.ask("() => document.activeElement.blur()")
        page.press(" ")
        assert page.text("#play") == "pause"
        clock.run_for(8 * 80)
        assert page.step == 8
        page.press(" ")
        assert page.text("#play") == "play"
        clock.run_for(1000)
        assert page.step == 8
        page.click("play")
        clock.run_for(80 * page.last)
        assert page.ask("() => document.getElementById('next').disabled")
        assert page.text("#play") == "play"
        assert page.step == page.last
        assert page.problems == []


def test_every_control_is_reached_and_used_by_keyboard_alone(page: Page) -> None:
    page.open(doubled())
    found = []
    for _ in range(16):
        page.press("Tab")
        found.append(page.ask("() => document.activeElement.id || document.activeElement.className"))
        if found[-1]:
            assert page.ask("() => getComputedStyle(document.activeElement).outlineStyle") != "none"
    expected = ["theme", "next", "slider", "mode", "predict", "picture", "log"]
    assert [name for name in dict.fromkeys(found) if name in expected] == expected
    assert page.ask("""() => [...document.querySelectorAll("button, input, select")].every(e => e.getAttribute("aria-label")
        || e.labels?.length || e.textContent.trim())""")
    assert page.ask("""() => document.querySelector("[aria-live=polite]").contains(document.getElementById("say"))
        && !!document.querySelector("table > caption")
        && [...document.querySelectorAll("tbody th")].every(th => th.scope === "row")
        && [...document.querySelectorAll("thead th")].every(th => th.scope === "col" && th.textContent)""")


def test_a_deep_link_opens_its_step_and_the_address_follows(page: Page) -> None:
    page.open(lecture(), "#step=12")
    assert page.step == 12
    page.press("ArrowRight")
    page.tab.wait_for_function("() => location.hash === '#step=13'")
    page.ask("() => { location.hash = '#step=5&mode=forward&by=1'; }")
    page.tab.wait_for_function("() => document.getElementById('count').textContent === 'step 5 of 8'")
    assert page.text("#running") == "dξn/dW"
    for place, step in (("#step=999", 19), ("#step=-3", 0), ("#step=x", 0), ("#mode=nonsense&by=77", 0), ("#%zz", 0)):
        assert page.open(lecture(), place).step == step


def test_prediction_says_right_and_wrong_and_hides_what_is_asked(page: Page) -> None:
    page.open(1 / Value(2.0, label="x") * 3)
    page.click("predict")
    page.press("ArrowRight")
    assert page.text("#question") == "ξ1 = " and page.text("#equation").endswith("= ?") and page.boxes()["x-n1"][0] == "?"
    answer = page.tab.locator("#answer")
    for text, verdict in (("0.7", "✗ Wrong"), ("half", "Type a number"), ("1/2", "✓ Right: 0.5")):
        answer.fill(text)
        answer.press("Enter")
        assert page.text("#verdict").startswith(verdict)
    assert page.text("#log li:last-child") == "ξ1 = 0.5" and page.boxes()["x-n1"][0] == "0.5"
    answer.press("Enter")   # goes on
    assert page.step == 2
    for text in ("3/2", "1", "3"):   # L, dL/dL, dL/dξ1
        answer.fill(text)
        answer.press("Enter")
        assert page.text("#verdict").startswith("✓")
        answer.press("Enter")
    assert page.step == 5 and page.table()["x"][1:] == (None, "?")
    assert "?" in page.text("#equation .big") and "?" in page.text("#log li:last-child")
    assert -0.75 not in page.numbers("main")
    for text, right in (("0.75", False), ("-.75", True)):
        answer.fill(text)
        answer.press("Enter")
        assert page.text("#verdict").startswith("✓" if right else "✗")
    assert page.table()["x"][1] == -0.75


@pytest.mark.parametrize("text", ["-0.25", "−0.25", "-1/4", "-2.5e-1", " -.25 ", "-0.2499", "-25/100"])
def test_prediction_takes_a_number_as_people_write_it(page: Page, text: str) -> None:
    page.open(1 / Value(2.0, label="x"), "#step=3")
    page.click("predict")
    page.tab.locator("#answer").fill(text)
    page.press("Enter")
    assert page.text("#verdict").startswith("✓")


def test_prediction_tells_a_term_from_a_sum_and_shows_on_request(page: Page) -> None:
    x = Value(3.0, label="x")
    page.open(x * x)
    page.click("predict")
    page.press("End")
    page.tab.locator("#answer").fill("3")
    page.press("Enter")
    assert "add it to the sum" in page.text("#verdict")
    page.click("show")
    assert page.text("#verdict") == "It is 6." and page.table()["x"][1] == 6.0
    page.press("ArrowRight")   # in the field the arrows move the cursor
    assert page.step == page.last


def test_the_wrong_order_gives_a_wrong_number_and_says_what_is_right(page: Page) -> None:
    page.open(doubled(), "#mode=wrong")
    page.press("End")
    assert page.table()["a"] == (1.0, 2.0, "0 → 1 → 2  ✗ right: 4")
    assert "Wrong: dc/da = 2 in this order; right is 4" in page.text("#outcome")
    page.press("ArrowLeft")
    assert "Too early: b passes on 1 before all its contributions have arrived; its full sum is 2" in page.text("#say")
    page.tab.locator("#mode").select_option("backward")
    page.ask("() => document.activeElement.blur()")
    page.press("End")
    assert page.table()["a"][1] == 4.0 and "Done: dc/da = 4" in page.text("#outcome")
    page.open(lecture())
    assert page.ask("() => document.querySelector('option[value=wrong]').disabled")


def test_nan_infinity_and_dead_relu_are_marked_in_words(page: Page) -> None:
    x = Value(1000.0, label="x")
    with errstate(invalid="ignore", divide="ignore"):
        e = exp(x)
        y = (e - e) + relu(Value(-2.0, label="z")) + sqrt(Value(0.0, label="s"))
    page.open(y)
    marks = page.ask("() => [...document.querySelectorAll('.mark')].map(m => m.textContent)")
    assert marks == ["⚠ ∞ arose here", "⚠ nan arose here", "⊘ dead ReLU", "⚠ slope not finite"]
    drawn = page.ask("() => [...document.querySelectorAll('svg text')].map(t => t.textContent)")
    assert {"∞ arose here", "nan arose here", "dead ReLU", "slope not finite", "⚠", "⊘"} <= {*drawn}
    page.press("ArrowRight")
    assert "⚠ ∞ arose here" in page.text("#say") and page.numbers("#equation") == [math.inf]
    page.press("End")
    assert page.table()["z"][1] == 0.0 and page.table()["s"][1] == math.inf
    x = Value(0.0, label="x")
    page.open(sqrt(x * x))   # backward() of it raises, and says where
    page.press("End")
    assert math.isnan(page.table()["x"][1] or 0.0) and "= nan" in page.text("#log")


# ---- large graphs

def test_a_step_among_300_nodes_writes_each_of_them_once(page: Page) -> None:
    v = dag(300)
    page.open(v)
    assert page.ask("() => document.querySelectorAll('svg .node').length") == len(topological(v))
    page.press("End")
    truth = adjoints(v)
    shown = page.table()
    for u in topological(v):
        if u.label is not None:
            assert shown[u.label][:2] == (u.data, truth[u])
    changes = page.ask("""() => [...Array(60)].map(() => { const watch = new MutationObserver(() => {});
        watch.observe(document, {subtree: true, childList: true, attributes: true, characterData: true});
        document.getElementById("back").click(); return watch.takeRecords().length; })""")
    assert min(changes) > 0 and max(changes) <= len(topological(v)) + 60   # the time: tests/benchmarks/explorer.py


@pytest.mark.parametrize("by", ["module", "label", "function"])
def test_groups_open_and_follow_the_step(page: Page, by: str) -> None:
    model, v = network()
    if by == "label":
        for k, unit in enumerate([u for u in topological(v) if u.op and u.op.name == "relu"]):
            unit.label = f"h{k}"
    layer = {p: name[:8] for name, p in model.named_parameters()}
    collapse = {"module": model, "label": "label", "function": layer.get}[by]
    first = {"module": "layers.0", "label": "h0", "function": "layers.0"}[by]
    page.open(v, collapse=collapse)
    shown = "() => [...document.querySelectorAll('.picture')].filter(p => !p.hidden).length"
    names = page.ask("() => [...document.querySelectorAll('svg .group .name')].map(t => t.textContent)")
    assert first in names and page.ask(shown) == 1
    box = page.tab.locator(".group", has_text=first).first
    box.click()
    assert page.ask(shown) == 2
    assert page.text("#open option:checked") == first
    box.click()
    assert page.ask(shown) == 1
    page.tab.locator("#open").select_option("the step's group")
    page.ask("() => document.activeElement.blur()")
    assert page.ask("""() => { while (!document.getElementById("next").disabled) {
        document.getElementById("next").click();
        for (const p of document.querySelectorAll(".picture:not([hidden])")) if (!p.querySelector(".node.live")) return false;
        } return true; }""")   # every picture that is shown has the step
    inside_boxes = {int(n) for n in re.findall(r'id="x\d+-n(\d+)"', page.ask("() => document.documentElement.outerHTML"))}
    every = {int(n) for n in re.findall(r'id="x-n(\d+)"', page.ask("() => document.documentElement.outerHTML"))}
    assert inside_boxes | every == set(range(len(topological(opened(v)[0]))))   # nothing is lost by folding


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.booleans())
def test_groups_of_any_graph_have_no_circle(seed: int, by_label: bool) -> None:
    random = Random(seed)
    v = dag(30, seed)
    for u in topological(v):
        if random.random() < 0.3:
            u.label = f"n{random.randrange(9)}"
    groups = {u: random.choice("abc") for u in topological(v) if not u.args}
    explore(v, collapse="label" if by_label else groups.get, engine="builtin")


# ---- labels are data

def spoiled(labels: list[str]) -> Value:
    v = Value(2.0, label=labels[0])
    for label in labels:
        v = tanh(v) * Value(0.5, label=label)
        v.label = label
    return v


def check_labels(page: Page, labels: list[str], **options: Any) -> None:
    tags = "() => [...new Set([...document.querySelectorAll('*')].map(e => e.localName))].sort().join()"
    page.open(spoiled(["plain"] * len(labels)), **options)
    plain = page.ask(tags)
    page.open(spoiled(labels), **options)
    assert page.ask(tags) == plain
    assert page.ask("() => document.scripts.length") == 2
    assert not page.ask("""() => [...document.querySelectorAll("*")].flatMap(e => [...e.attributes])
        .some(a => /^on|href|^src$/.test(a.name))""")
    assert page.ask("() => document.documentElement.scrollWidth <= innerWidth")
    page.press("End")
    assert page.step == page.last > 0
    rows = page.ask("() => [...document.querySelectorAll('#rows th')].map(th => th.firstChild.data)")
    assert all(len(name) <= 48 for name in rows)


@pytest.mark.parametrize("label", NASTY)
def test_nasty_labels_are_text(page: Page, label: str) -> None:
    check_labels(page, [label])
    shown = "".join(page.ask("() => [...document.querySelectorAll('#rows th')].map(th => th.firstChild.data)"))
    if label.isprintable() and len(label) < 40:
        assert label.strip() in shown.replace("\u2068", "").replace("\u2069", "")


@pytest.mark.slow
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(labels=st.lists(st.text(ANY_CHARACTER, max_size=60), min_size=1, max_size=4),
       collapse=st.sampled_from([None, "label"]))
def test_any_labels_are_text(page: Page, labels: list[str], collapse: Any) -> None:
    check_labels(page, labels, collapse=collapse)


def test_words_from_right_to_left_do_not_turn_the_formula_around(page: Page) -> None:
    page.open(Value(2.0, label="שלום") * 3 - 1)
    assert page.text("#rows tr:nth-child(2) td") == "\u2068שלום\u2069·3"


def test_an_injected_script_could_not_run(page: Page) -> None:
    text = explore(lecture()).html.replace("<main>", "<script>alert(1)</script><img src='http://127.0.0.1:9/x'><main>")
    page.open_html(text)
    page.press("End")
    assert page.step == page.last
    blocked, page.problems[:] = page.problems[:], []
    assert len(blocked) == 3 and len([p for p in blocked if "violates the following Content Security Policy" in p]) == 2


# ---- in a notebook, on paper, on small screens

def test_it_works_in_a_notebooks_cell(page: Page) -> None:
    cell = explore(lecture())._repr_html_()
    assert re.match(r'<iframe title="[^"]+" sandbox="allow-scripts" srcdoc="', cell)
    page.open_html(f"<!doctype html><meta charset='utf-8'><title>notebook</title><p>before</p>{cell}<p>after</p>")
    frame = page.tab.frame_locator("iframe")
    for _ in range(3):
        frame.locator("#next").click()
    assert frame.locator("#count").text_content() == "step 3 of 19"
    frame.locator("#count").press("ArrowRight")
    assert (frame.locator("#count").text_content() or "").startswith("step 4")
    page.tab.wait_for_timeout(300)   # no address is written there
    assert html.unescape(re.findall('srcdoc="(.*?)"', cell, re.DOTALL)[0]) == explore(lecture()).html


class Untrusted(HTMLParser):
    """What remains of HTML where frames are taken away: the text outside attributes."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.text = ""
        self.feed(markup)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_notebook_that_is_not_trusted_shows_a_line_of_text(page: Page) -> None:
    cell = explore(lecture())._repr_html_()
    text = Untrusted(cell).text
    assert text.startswith("Explorer: a page that moves") and "trust it" in text and len(text) < 200
    page.open_html(f"<!doctype html><title>notebook</title>{cell}")
    assert "trust" not in page.ask("() => document.body.innerText")   # where the frame is, it is not seen


def test_a_page_whose_script_does_not_run_says_so(page: Page) -> None:
    page.open(lecture())
    assert page.ask("() => document.getElementById('still')") is None
    for sandbox, seen in (("allow-scripts", 0), ("", 1)):
        page.open_html(f"<!doctype html><title>n</title>{explore(lecture())._repr_html_()}".replace("allow-scripts", sandbox))
        frame = page.tab.frame_locator("iframe")
        frame.locator("svg .node").first.wait_for()
        assert frame.locator("#still").count() == seen
    page.problems[:] = [p for p in page.problems if "Blocked script execution" not in p]


def test_the_cells_of_a_row_stand_on_one_line_and_break_before_their_number(page: Page) -> None:
    L = lecture()
    found, heights = table(L, topological(L)[1]), {}
    for width in (1100, 700):
        page.open_html(f"<!doctype html><title>n</title><div style='width: {width}px'>{found._repr_html_()}</div>")
        lines = page.ask("""() => [...document.querySelectorAll("tr")].map(tr => [...tr.children].map(cell => {
            const range = document.createRange();
            range.setStart(cell, 0);
            range.collapse(true);
            const mark = document.createElement("span");   // an empty inline block stands on the line
            mark.style.display = "inline-block";
            range.insertNode(mark);
            return mark.getBoundingClientRect().bottom; }))""")
        for cells in lines:
            assert max(cells) - min(cells) < 0.5
        heights[width] = page.ask("() => [...document.querySelectorAll('tr')].map(tr => tr.getBoundingClientRect().height)")
    assert max(heights[700]) > 1.4 * max(heights[1100])


@pytest.mark.parametrize("engine", ["builtin", None])
@pytest.mark.parametrize("width", [1000, 600])
def test_a_picture_is_no_wider_than_a_notebooks_cell(page: Page, width: int, engine: str | None) -> None:
    deep = wide = Value(0.3, label="x")
    for _ in range(20):
        deep = tanh(deep)
    for i in range(30):
        wide = wide + Value(float(i), label=f"a long name, number {i}")
    pictures = [draw(lecture(), engine=engine)._repr_svg_(), *[v._repr_svg_() or "" for v in (lecture(), deep, wide)]]
    cells = "".join([f"<div style='width: {width}px'>{svg}</div>" for svg in pictures])
    page.open_html(f"<!doctype html><title>notebook</title>{cells}")
    boxes = page.ask("""() => [...document.querySelectorAll("svg")].map(svg => [svg.getBoundingClientRect().width,
        svg.getBoundingClientRect().height, svg.viewBox.baseVal.width, svg.viewBox.baseVal.height])""")
    for w, h, whole_w, whole_h in boxes:
        assert w == pytest.approx(min(width, whole_w), abs=1)
        assert h == pytest.approx(w * whole_h / whole_w, rel=0.02)   # the whole of it, and nothing beside it
    assert boxes[2][2] < 200 < boxes[2][3]   # a chain goes down


@pytest.mark.parametrize("width", [400, 1600])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_readable_on_small_and_large_screens_by_day_and_night(page: Page, width: int, scheme: Any) -> None:
    page.tab.set_viewport_size({"width": width, "height": 900})
    page.tab.emulate_media(color_scheme=scheme)
    page.open(lecture(), "#step=12")
    assert page.ask("() => document.documentElement.scrollWidth <= innerWidth")
    assert page.ask("""() => { const size = document.querySelector("svg .name").getBoundingClientRect().height;
        const tags = [...document.querySelectorAll(".node.live")].map(e => e.getBoundingClientRect());
        const box = document.querySelector(".picture").getBoundingClientRect();
        return size >= 9 && tags.every(r => r.left >= box.left - 1 && r.right <= box.right + 1); }""")
    contrasts = page.ask("""() => { const light = c => { const [r, g, b] = c.match(/[\\d.]+/g).map(x => { x /= 255;
            return x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4; }); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
        const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
        const under = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor;
            if (!/, 0\\)$/.test(c)) return c; } };
        return ["#phase", "#say", "#equation b", "td", "tr.live td", "#log li:last-child", "h1", "#equation .what"].map(s => {
            const e = document.querySelector(s); return ratio(getComputedStyle(e).color, under(e)); }); }""")
    page.tab.emulate_media(color_scheme=None)
    assert min(contrasts) >= 4.5
    before = page.ask("() => getComputedStyle(document.body).backgroundColor")
    page.click("theme")
    assert page.ask("() => getComputedStyle(document.body).backgroundColor") != before


def test_on_paper_everything_is_there_but_the_controls(page: Page) -> None:
    page.open(lecture(), "#step=12")
    page.tab.emulate_media(media="print")
    assert page.ask("() => getComputedStyle(document.getElementById('controls')).display") == "none"
    assert page.ask("() => [...document.querySelectorAll('.scroll')].every(e => e.scrollHeight <= e.clientHeight + 1)")
    page.tab.emulate_media(media="screen")


# ---- other pictures

def test_the_graph_of_a_gradient_is_drawn_and_explored(page: Page) -> None:
    x = Value(2.0, label="x")
    g: Any = grad(x ** 3 * tanh(x), x)
    order = topological(g)
    picture = draw(g, engine="builtin", prefix="p")
    assert picture.nodes == len(order) and len(re.findall('class="node', picture.svg)) == len(order)
    assert len(re.findall('class="edge"', picture.svg)) == sum(len(u.args) for u in order)
    assert f">{g.data:.6g}<" in picture.svg
    page.open(g)
    page.press("End")
    second = grad(g, x).data
    assert page.table()["x"][1] == adjoints(g)[x] == pytest.approx(second, rel=1e-12)


def test_a_neuron_is_drawn_as_in_the_lecture() -> None:
    neuron = Neuron(2, "sigmoid")
    neuron.load_state_dict({"w.0": 20, "w.1": 20, "b": -30})
    texts = re.findall("<text[^>]*>([^<]*)</text>", draw_neuron(neuron, [1.0, 1.0]).svg)
    assert {"1", "x1 = 1", "x2 = 1", "b = −30", "w1 = 20", "w2 = 20", "Σ", "z = 10", "σ", "a = σ(z) = 1"} == {*texts}
    many = re.findall("<text[^>]*>([^<]*)</text>", draw_neuron(Neuron(40, "tanh", bias=False, rng=0)).svg)
    assert "… 24 more" in many and "x1" in many and "x40" in many and "x20" not in many and "b = 0" not in many
    for wrong, error in ((Layer(2, 2), TypeError), (3, TypeError), (Value(1.0), TypeError)):
        with pytest.raises(error, match="one neuron"):
            draw_neuron(wrong)
    with pytest.raises(ValueError, match="3 inputs, the neuron has 2 weights"):
        draw_neuron(neuron, [1, 2, 3])
    with pytest.raises(ValueError, match="at least 2"):
        draw_neuron(neuron, limit=1)


def unit_of(picture: Any) -> tuple[str, str, str]:
    """(z, the output unit, what comes out) of a neuron's picture."""
    texts = re.findall("<text[^>]*>([^<]*)</text>", picture.svg)
    [z] = [text for text in texts if text.startswith("z")]
    return texts[1], z, next(text for text in texts if text[0] in "aŷ" and " = " in text)


@pytest.mark.parametrize(("model", "unit", "z", "output"), [
    (LogisticRegression, "σ", "z = 1.5", "ŷ = σ(z) = 0.8176"),
    (Perceptron, "sign", "z = 1.5", "ŷ = sign(z) = 1"),
    (LinearRegression, "linear", "z = 1.5", "ŷ = z = 1.5"),
    (Neuron, "linear", "z = 1.5", "a = z = 1.5"),
])
def test_a_models_neuron_has_its_output_unit(model: Any, unit: str, z: str, output: str) -> None:
    neuron = model(2)
    neuron.theta = [0.5, 3.0, -1.0]
    assert unit_of(draw_neuron(neuron, [1.0, 2.0])) == (unit, z, output)
    assert neuron([1.0, 2.0]).data == 1.5   # what it computes is z, as before


def test_one_unit_of_several() -> None:
    model: Any = SoftmaxRegression(2, 3)
    model.b = [0.0, 1.0, 2.0]
    for k, (z, y) in enumerate(zip(("0", "1", "2"), ("0.09003", "0.2447", "0.6652"), strict=True)):
        index = "₁₂₃"[k]
        assert unit_of(draw_neuron(model, [1.0, 2.0], unit=k)) == (
            "softmax", f"z{index} = {z}", f"ŷ{index} = softmax(z){index} = {y}")
    assert unit_of(draw_neuron(model.neurons[1], [1.0, 2.0])) == ("softmax", "z = 1", "ŷ = softmax(z)")   # it takes them all
    rest: Any = OneVsRest(2, 3)
    rest.models[1].b = 2.0
    assert unit_of(draw_neuron(rest, [1.0, 2.0], unit=1)) == ("σ", "z₂ = 2", "ŷ₂ = σ(z₂) = 0.8808")
    assert unit_of(draw_neuron(rest.models[1], [1.0, 2.0])) == ("σ", "z = 2", "ŷ = σ(z) = 0.8808")
    layer: Any = Layer(2, 12, "tanh", rng=0)
    assert unit_of(draw_neuron(layer, [1.0, 2.0], unit=11))[2].startswith("a₁₂ = tanh(z₁₂) = ")
    for wrong, k, says in ((layer, 12, "units 0 to 11"), (layer, -1, "units 0 to 11"), (Neuron(2), 0, "no units; leave")):
        with pytest.raises(ValueError, match=says):
            draw_neuron(wrong, unit=k)
    for network in (model, rest, layer):
        with pytest.raises(TypeError, match="unit=0"):
            draw_neuron(network)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(labels=st.lists(st.text(ANY_CHARACTER, max_size=40), min_size=1, max_size=4))
def test_labels_are_text_in_every_engine_and_format(labels: list[str]) -> None:
    v = spoiled(labels)
    plain = spoiled(["plain"] * len(labels))
    for engine in ENGINES:
        try:
            picture = draw(v, engine=engine)
        except RuntimeError:
            assert engine != "builtin"
            continue
        root, expected = [[e.get("class") for e in ElementTree.fromstring(p.svg).iter() if e.tag.endswith("}g")]
                          for p in (picture, draw(plain, engine=engine))]
        assert root == expected
        assert {e.tag.rpartition("}")[2] for e in ElementTree.fromstring(picture.svg).iter()} <= {
            "svg", "g", "rect", "path", "polygon", "text", "title"}
    found, model = table(v), table(plain)
    assert {e.tag for e in ElementTree.fromstring(found.html()).iter()} <= {
        "div", "table", "caption", "tr", "th", "td", "sup", "sub", "wbr"}
    latex = found.latex()
    assert latex.count("{") - latex.count(r"\{") == latex.count("}") - latex.count(r"\}")
    notation = {r"\cosh", r"\tanh", r"\frac", r"\left", r"\right", r"\cdot", r"\ldots"}   # which depends on the length of names
    assert not set(re.findall(r"\\[A-Za-z]+", latex)) - SYMBOLS - notation - set(re.findall(r"\\[A-Za-z]+", model.latex()))
    assert "%" not in latex.replace(r"\%", "") and "$" not in latex.replace(r"\$", "")


@pytest.mark.parametrize("label", NASTY)
def test_a_neurons_labels_are_text(label: str) -> None:
    neuron = Neuron(1, "linear")
    neuron.w[0].label = label
    neuron.activation = label
    root = ElementTree.fromstring(draw_neuron(neuron, [Value(1.0, label=label)]).svg)
    assert {e.tag.rpartition("}")[2] for e in root.iter()} <= {"svg", "rect", "path", "polygon", "circle", "text"}


def test_the_data_in_the_page_is_json_that_ends_nothing() -> None:
    text = explore(spoiled(NASTY), engine="builtin", collapse=None).html
    data = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert len(data) == 1 and not re.search("[<>&\u2028\u2029]", data[0])
    assert len(json.loads(data[0])["nodes"]) == len(topological(spoiled(NASTY)))


# ---- the rows of the table in JavaScript

def computed_in_the_page(page: Page, row: Primitive, points: list[list[float]]) -> list[float]:
    """What JavaScript makes of a row at the points; numbers cross over as texts, which JSON has for all of them."""
    texts = [[repr(x) for x in xs] for xs in points]
    found = page.ask(f"""points => {{ {PRELUDE}
        const f = {javascript(row, len(points[0]))};
        const number = text => ({{nan: NaN, inf: Infinity, "-inf": -Infinity}})[text] ?? Number(text);
        return points.map(xs => String(f(...xs.map(number)))); }}""", texts)
    return [float(text) for text in found]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_row_in_javascript_computes_what_the_engine_computes(page: Page, row: Primitive) -> None:
    page.tab.goto("about:blank")
    points = [*anywhere(row, 1000), *inside(row, 1000)]
    for xs, y in zip(points, computed_in_the_page(page, row, points), strict=True):
        each = row.ieee(*xs)
        scale = largest_term(row, xs)
        if math.isfinite(each) and math.isfinite(y):
            assert abs(y - each) <= 4 * math.ulp(max(abs(each), scale)), (xs, y, each)
        else:
            assert y == each or (y != y and each != each), (xs, y, each)


def test_a_row_of_a_users_own_in_javascript_and_one_that_has_no_form(page: Page) -> None:
    page.tab.goto("about:blank")
    try:
        bump = Primitive("test_bump", value=lambda x: 0.0 if abs(x) >= 1 else math.exp(-1 / (1 - x * x)),
                         partials=lambda y, x: (-2 * x * y / ((1 - x * x) * (1 - x * x)),),
                         array=lambda xp, x: xp.where(xp.abs(x) < 1, xp.exp(-1 / (1 - x * x)), 0.0))
        points = [[x / 100] for x in range(-150, 150)]
        assert computed_in_the_page(page, bump, points) == pytest.approx([bump(*xs) for xs in points], rel=1e-14)
        plain = Primitive("test_plain", value=math.sin, partials=lambda y, x: (cos(x),))
        with pytest.raises(NotImplementedError, match="test_plain: test_plain has no array form; write its array form"):
            javascript(plain)
        other = Primitive("test_other", value=math.sin, partials=lambda y, x: (cos(x),), array=lambda xp, x: xp.sinc(x))
        with pytest.raises(NotImplementedError, match="test_other: it needs sinc, which pages have not"):
            javascript(other)
        v = bump(Value(0.5, label="x")) * 2   # the page itself steps through any row
        v.backward()
        assert "test_bump" in page.open(v).tab.content()
    finally:
        for name in ("test_bump", "test_plain", "test_other"):
            PRIMITIVES.pop(name, None)


def test_the_table_in_javascript_is_one_text(page: Page) -> None:
    page.tab.goto("about:blank")
    assert page.ask(f"() => {{ {table_of(ROWS)} return Object.keys(rows); }}") == [row.name for row in ROWS]
