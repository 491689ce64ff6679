"""The training movie: what it records, what its page holds, and what a browser makes of it."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import subprocess
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nn
import viz
from autograd import sigmoid, softmax
from viz.pages import movie as source

HOSTILE = '</script><script>document.title="taken"</script><!-- & \u2028\u2029 "\' {{style}} $x$'
X2, Y2 = nn.make_moons(16, noise=0.1, rng=0)


def trained(k: int = 1, epochs: int = 4, y: Any = None, X: Any = None, output: str = "linear",
            **recording: Any) -> tuple[Any, Any, Any]:
    """(the model, its recorder, the history) of a short training."""
    X = X2 if X is None else X
    model = nn.MLP(np.ndim(X), [3, k], "tanh", output, rng=0)
    y = (Y2 if k == 1 else np.arange(len(X)) % k) if y is None else y
    recorder = viz.Recorder(X, y, **{"resolution": 6, **recording})
    return model, recorder, nn.fit(model, X, y, lr=0.1, epochs=epochs, callbacks=[recorder], verbose=False)


def data(movie: viz.Movie) -> Any:
    """What the page's script reads."""
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', movie.html, re.DOTALL)
    return json.loads(text)


def picture(frame: Any, layers: int, n: int = 6) -> Any:
    """The outputs on the grid, as the page decodes them: [layer, row from below, column]."""
    return np.frombuffer(base64.b64decode(frame["picture"]), "<u2").reshape(layers, n, n) / 65535


def along(page: Any, axis: int, n: int) -> Any:
    low, high = page["range"][axis]
    return np.linspace(low, high, n)


def grid(page: Any, n: int = 6) -> list[list[list[float]]]:
    return [[[float(x), float(y)] for x in along(page, 0, n)] for y in along(page, 1, n)]


# ---- the numbers

def test_every_epoch_is_recorded_with_its_loss() -> None:
    _, recorder, history = trained(epochs=4)
    page = data(viz.training_movie(recorder, "Moons"))
    assert [frame["epoch"] for frame in page["frames"]] == [0, 1, 2, 3, 4]
    assert (page["epochs"], page["columns"]) == ([1, 2, 3, 4], {"loss": history["loss"]})
    assert page["loss"] == "binary cross entropy with logits" and page["title"] == "Moons"
    assert page["points"] == X2.tolist() and page["targets"] == Y2.tolist() and page["classes"] == ["class 0", "class 1"]


@pytest.mark.parametrize("output", ["linear", "sigmoid"])
def test_the_last_frame_is_the_model(output: str) -> None:
    model, recorder, _ = trained(output=output)
    page = data(viz.training_movie(recorder))
    drawn, frame = picture(page["frames"][-1], 1)[0], page["frames"][-1]
    for row, points in zip(drawn, grid(page), strict=True):
        for p, x in zip(row, points, strict=True):
            z = model(x)
            assert abs(p - (z if output == "sigmoid" else sigmoid(z)).data) <= 0.51 / 65535
    assert frame["accuracy"] == nn.accuracy(model, X2, Y2)
    assert page["network"] == {"sizes": [2, 3, 1], "activations": ["tanh", output], "columns": [[0, 1], [0, 1, 2], [0]]}
    for layer, numbers in zip(model.layers, frame["net"], strict=True):
        for unit, (b, *ws) in zip(layer.neurons, numbers, strict=True):
            assert np.allclose([b, *ws], [unit.b.data, *[w.data for w in unit.w]], rtol=1e-5)
    assert frame["largest"] == max(abs(p.data) for p in model.parameters())


def test_the_first_frame_is_before_training() -> None:
    _, recorder, _ = trained()
    fresh = nn.MLP(2, [3, 1], "tanh", rng=0)
    page = data(viz.training_movie(recorder))
    assert abs(picture(page["frames"][0], 1)[0, 2, 3] - sigmoid(fresh(grid(page)[2][3])).data) < 1e-5
    assert (picture(page["frames"][0], 1) != picture(page["frames"][-1], 1)).any()


def test_several_classes_have_a_layer_each() -> None:
    model, recorder, _ = trained(3, classes=["a", "b", "c"])
    page = data(viz.training_movie(recorder))
    layers = picture(page["frames"][-1], 3)
    for i, points in enumerate(grid(page)):
        for j, x in enumerate(points):
            expected = [p.data for p in softmax(model(x))]
            assert np.allclose(layers[:, i, j], expected, atol=1e-5)
            assert layers[:, i, j].argmax() == np.argmax(expected)
    assert page["kind"] == "classes" and page["classes"] == ["a", "b", "c"]


def test_several_sigmoids_are_shares_and_no_logits() -> None:
    """One class against the rest: their sum is not 1, and a softmax of them would be nearly flat."""
    found = np.array([[0.9, 0.3, 0.0], [0.2, 0.2, 0.4], [0.0, 0.0, 0.0]])
    shares = source.probabilities(found, True)
    assert np.allclose(shares, [[0.75, 0.25, 0.0], [0.25, 0.25, 0.5], [0.0, 0.0, 0.0]])
    assert np.allclose(source.probabilities(found, False).sum(axis=1), 1)


def test_a_curve_and_a_regression_of_the_plane() -> None:
    xs = np.linspace(-2, 2, 9)
    model, recorder, _ = trained(y=np.sin(xs), X=xs)
    page = data(viz.training_movie(recorder))
    curve = page["frames"][-1]["picture"][0]
    at = along(page, 0, 201)
    assert len(curve) == 201 and np.allclose(curve, [model([float(x)]).data for x in at], rtol=1e-5, atol=1e-5)
    assert page["kind"] == "regression" and page["targets"] == np.sin(xs).tolist() and page["range"][0][0] < -2
    y = X2[:, 0] + X2[:, 1]
    model, recorder, _ = trained(y=y)
    page = data(viz.training_movie(recorder))
    expected = [[(model(x).data - y.min()) / (y.max() - y.min()) for x in row] for row in grid(page)]
    assert np.allclose(picture(page["frames"][-1], 1)[0], np.clip(expected, 0, 1), atol=1e-5)


def test_labels_of_any_kind() -> None:
    recorder = viz.Recorder(X2, np.where(Y2 == 1, "yes", "no"), resolution=3)
    recorder.record(nn.MLP(2, [1], rng=0), 1)
    page = data(viz.training_movie(recorder))
    assert page["classes"] == ["no", "yes"] and page["targets"] == Y2.tolist() and page["epochs"] == []
    recorder = viz.Recorder(X2, 2 * Y2 - 1, resolution=3)   # a perceptron's
    recorder.record(nn.Perceptron(2), 1)
    assert data(viz.training_movie(recorder))["targets"] == Y2.tolist()
    recorder = viz.Recorder(X2, np.eye(2)[Y2], resolution=3)
    recorder.record(nn.SoftmaxRegression(2, 2), 1)
    assert recorder.frames[0]["accuracy"] == 0.5


def test_more_than_two_columns_have_no_regions() -> None:
    model = nn.MLP(3, [20, 2], rng=0)
    recorder = viz.Recorder([[1.0, 2.0, 3.0]] * 4, [0, 1, 0, 1])
    recorder.record(model, 1, loss=0.5)
    page = data(viz.training_movie(recorder))
    assert "picture" not in page["frames"][0] and "range" not in page and page["epochs"] == [1]
    assert page["network"]["columns"][1] == [0, 1, 2, 3, None, 17, 18, 19] and len(page["frames"][0]["net"][0]) == 7


def test_a_model_that_is_no_chain_has_no_diagram() -> None:
    recorder = viz.Recorder(X2, Y2, resolution=3)
    recorder.record(lambda x: x[0], 1)
    assert "network" not in data(viz.training_movie(recorder)) and len(recorder.frames) == 1


def test_a_history_alone() -> None:
    rows = [{"epoch": e, "loss": 1 / e, "val_loss": 2 / e} for e in range(1, 4)]
    page = data(viz.training_movie(nn.History(rows, "mse")))
    assert page["columns"] == {"loss": [1, 1 / 2, 1 / 3], "val_loss": [2, 1, 2 / 3]} and len(page["frames"]) == 3
    long = data(viz.training_movie([float(e) for e in range(1, 2502)]))["frames"]
    assert len(long) < 2000 and long[0]["epoch"] == 1 and long[-1]["epoch"] == 2501
    page = data(viz.training_movie([float(e) for e in range(1, 2502)]))
    assert page["epochs"] == page["columns"]["loss"] == [frame["epoch"] for frame in long]


# ---- how much is recorded

def test_every_and_the_limit_of_frames() -> None:
    epochs = [frame["epoch"] for frame in trained(epochs=7, every=3)[1].frames]
    assert epochs == [0, 3, 6, 7]
    recorder = trained(epochs=21, frames=5)[1]
    epochs = [frame["epoch"] for frame in recorder.frames]
    assert epochs[0] == 0 and epochs[-1] == 21 and len(epochs) <= 5 and len(recorder.rows) == 21
    assert len({b - a for a, b in pairwise(epochs[:-1])}) == 1   # evenly, but for the last


def test_the_page_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "BUDGET", 20_000)
    recorder = trained(epochs=60, resolution=12)[1]
    assert sum(len(json.dumps(frame)) for frame in recorder.frames) <= 22_000
    many = viz.Recorder(np.random.default_rng(0).normal(size=(5000, 2)), np.arange(5000) % 2, resolution=2)
    assert len(many.X) == len(many.y) <= source.POINTS


def test_a_recorder_begins_anew_with_each_training() -> None:
    model, recorder, _ = trained(epochs=3)
    nn.fit(model, X2, Y2, epochs=2, callbacks=[recorder], verbose=False)
    assert [frame["epoch"] for frame in recorder.frames] == [0, 1, 2] and len(recorder.rows) == 2


def test_recording_changes_nothing() -> None:
    plain = nn.MLP(2, [3, 1], "tanh", rng=0)
    nn.fit(plain, X2, Y2, lr=0.1, epochs=4, verbose=False)
    assert trained(epochs=4)[0].state_dict() == plain.state_dict()


# ---- the page

def test_the_page_loads_nothing_and_runs_only_its_own_script(tmp_path: Path) -> None:
    movie = viz.training_movie(trained()[1], HOSTILE)
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', movie.html)
    (style,), (script,) = (re.findall(rf"<{tag}>(.*?)</{tag}>", movie.html, re.DOTALL) for tag in ("style", "script"))
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script)]
    assert policy == (f"default-src 'none'; script-src 'sha256-{digests[1]}'; style-src 'sha256-{digests[0]}'; "
                      "base-uri 'none'; form-action 'none'")
    assert "http" not in movie.html.replace("http-equiv", "").replace("http://www.w3.org/2000/svg", "")
    assert "innerHTML" not in script and "eval(" not in script
    movie.save(tmp_path / "movie.html")
    assert (tmp_path / "movie.html").read_text("utf-8") == movie.html
    assert movie._repr_html_().startswith('<iframe title="Movie" sandbox="allow-scripts"')
    (inside,) = re.findall(r'srcdoc="([^"]*)"', movie._repr_html_())
    assert html.unescape(inside) == movie.html


def test_names_are_data() -> None:
    movie = viz.training_movie(trained(classes=[HOSTILE, "b"], features=[HOSTILE, "\ud800"])[1], HOSTILE)
    assert movie.html.count("<script") == movie.html.count("</script>") == 2 and "<!--" not in movie.html
    page = data(movie)
    assert page["classes"][0] == HOSTILE and page["features"][0] == HOSTILE
    movie.html.encode()   # half a surrogate pair does not stop it
    assert "\u2028" not in movie.html.split("application/json")[1]


@pytest.mark.parametrize(("call", "kind", "says"), [
    (lambda: viz.training_movie(viz.Recorder(X2, Y2)), ValueError, "callbacks="),
    (lambda: viz.training_movie(3), TypeError, "history"),
    (lambda: viz.training_movie([1.0, float("nan")]), ValueError, "nan in epoch 2"),
    (lambda: viz.training_movie([1.0]).save("movie.gif"), ValueError, r"\.html"),
    (lambda: viz.Recorder(X2, Y2, every=0), ValueError, r"every\)=0"),
    (lambda: viz.Recorder(X2, Y2, resolution=101), ValueError, r"resolution\)=101"),
    (lambda: viz.Recorder(X2, Y2, frames=1), ValueError, r"frames\)=1"),
    (lambda: viz.Recorder(X2, Y2[:3]), ValueError, "16 rows"),
    (lambda: viz.Recorder(X2, Y2, features=["a"]), ValueError, "1 names for 2"),
    (lambda: viz.Recorder(X2, Y2, classes=["a"]).record(nn.Neuron(2), 1), ValueError, "1 names for 2"),
    (lambda: viz.Recorder(X2, Y2).record(lambda x: float("inf"), 1), ValueError, "finite"),
    (lambda: viz.Recorder(X2, Y2).record(lambda x: "left", 1), TypeError, "scores"),
])
def test_what_cannot_be_shown_is_told(call: Callable[[], Any], kind: type[Exception], says: str) -> None:
    with pytest.raises(kind, match=says):
        call()


def test_epochs_grow() -> None:
    recorder = viz.Recorder(X2, Y2, resolution=2)
    recorder.record(nn.Neuron(2), 2, loss=1.0)
    with pytest.raises(ValueError, match="recorded already"):
        recorder.record(nn.Neuron(2), 2, loss=1.0)


# ---- the page in a browser

STEPS = """
const press = key =>
  document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
const all = (selector, f) => [...document.querySelectorAll(selector)].map(f);
const state = () => ({
  status: element("status").textContent, live: element("status").ariaLive, slider: element("slider").value,
  back: element("back").disabled, forward: element("forward").disabled, play: element("play").textContent,
  lines: all("#network line", e => [+e.getAttribute("stroke-width"), e.getAttribute("stroke-dasharray")]),
  texts: all("svg text, li, h1", e => e.textContent),
  losses: all("#loss polyline", e => e.getAttribute("points").split(" ").map(p => p.split(",").map(Number))),
});
const pixel = (u, v) => {   // the colour of the plane at a point
  const canvas = element("regions"), scale = canvas.width / canvas.clientWidth, [[a, b], [c, d]] = data.range;
  const x = PAD.left + (u - a) / (b - a) * (canvas.clientWidth - PAD.left - PAD.right);
  const y = canvas.clientHeight - PAD.bottom - (v - c) / (d - c) * (canvas.clientHeight - PAD.top - PAD.bottom);
  return [...canvas.getContext("2d").getImageData(x * scale, y * scale, 1, 1).data];
};
const found = { open: state(), title: document.title, scripts: document.scripts.length };
found.wide = document.documentElement.scrollWidth;
press("ArrowLeft"); found.left = state();
press("Home"); found.home = state();
press("ArrowLeft"); found.stays = state();
press("ArrowRight"); found.right = state();
element("slider").value = 2; element("slider").dispatchEvent(new Event("input", { bubbles: true })); found.slid = state();
press("End"); found.end = state();
if (data.range && data.range.length === 2) found.pixels = PROBES.map(([u, v]) => pixel(u, v));
press(" "); found.playing = state();
press(" "); found.paused = state();
const answer = document.body.appendChild(document.createElement("pre"));
answer.id = "answer"; answer.textContent = JSON.stringify(found);
"""


@pytest.fixture
def browse(require_tool: Callable[[str], None], tmp_path: Path) -> Callable[..., Any]:
    """What the page answers to the keys of STEPS, in a browser without a window."""
    require_tool("chromium")

    def run(movie: viz.Movie, probes: Any = (), width: int = 1000) -> Any:
        script = STEPS.replace("PROBES", json.dumps(probes))
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        page = movie.html.replace("script-src ", f"script-src 'sha256-{digest}' ")
        (tmp_path / "page.html").write_text(page.replace("</body>", f"<script>{script}</script></body>"), "utf-8")
        done = subprocess.run(
            ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
             f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={width},800", "--virtual-time-budget=2000",
             "--dump-dom", (tmp_path / "page.html").as_uri()], capture_output=True, text=True, timeout=120, check=True)
        return json.loads(html.unescape(re.findall(r'<pre id="answer">(.*?)</pre>', done.stdout, re.DOTALL)[0]))
    return run


@pytest.mark.parametrize("model", [
    lambda x: 8 * x[0] - 16 * x[1] + 9,
    lambda x: [0.0, 8 * x[0] - 4, 8 * x[1] - 2],
], ids=["binary", "classes"])
def test_a_browser_paints_points_in_the_colour_of_their_class(browse: Callable[..., Any], model: Callable[[Any], Any]) -> None:
    scores = np.atleast_1d(model([0.0, 0.0]))
    recorder = viz.Recorder(X2, np.arange(16) % max(2, len(scores)), resolution=15)
    recorder.record(model, 1)
    movie = viz.training_movie(recorder)
    probes = [x for row in grid(data(movie), 12)[1:-1] for x in row[1:-1] if min(np.hypot(*(X2 - x).T)) > 0.2]
    seen = set()
    for x, (red, green, blue, _) in zip(probes, browse(movie, probes)["pixels"], strict=True):
        z = sorted([0.0, model(x)] if len(scores) == 1 else model(x))
        if z[-1] - z[-2] > 1:   # not at a border
            expected = int(model(x) > 0) if len(scores) == 1 else int(np.argmax(model(x)))
            assert {blue: 0, red: 1, green: 2}[max(red, green, blue)] == expected   # blue, orange, green
            seen.add(expected)
    assert seen == set(range(max(2, len(scores))))


def test_a_browser_steps_through_the_training(browse: Callable[..., Any]) -> None:
    _, recorder, history = trained(epochs=4)
    page = data(viz.training_movie(recorder))
    found = browse(viz.training_movie(recorder))
    ((loss, accuracy),) = re.findall(r"^Epoch 4 of 4 · loss ([\d.]+) · accuracy ([\d.]+)$", found["open"]["status"])
    assert float(loss) == pytest.approx(history["loss"][-1], rel=0.01)
    assert float(accuracy) == pytest.approx(page["frames"][-1]["accuracy"], rel=0.01)
    assert found["left"]["status"].startswith("Epoch 3 of 4")
    assert found["home"]["status"].startswith("Epoch 0 of 4 · before training")
    assert found["stays"] == found["home"] and found["home"]["back"] and not found["home"]["forward"]
    assert found["right"]["status"].startswith("Epoch 1 of 4") and found["slid"]["slider"] == "2"
    assert found["end"] == found["open"] and found["end"]["forward"]
    assert found["playing"]["play"] == "Pause" and found["playing"]["live"] == "off" and found["playing"]["slider"] == "0"
    assert found["paused"]["play"] == "Play" and found["paused"]["live"] == "polite"
    assert found["wide"] <= 1000

    weights = sorted([w for layer in page["frames"][-1]["net"] for _, *ws in layer for w in ws], key=abs)
    top = max(frame["largest"] for frame in page["frames"])
    assert np.allclose([width for width, _ in found["end"]["lines"]], [0.4 + 5 * abs(w) / top for w in weights])
    assert [dashes != "none" for _, dashes in found["end"]["lines"]] == [w < 0 for w in weights]

    (line,) = found["end"]["losses"]
    (x0, y0), (x1, y1) = line[0], line[-1]
    losses = history["loss"]
    for k, (x, y) in enumerate(line):   # a straight map of (epoch, loss)
        assert x == pytest.approx(x0 + (x1 - x0) * k / 3)
        assert (y - y0) / (y1 - y0) == pytest.approx((losses[k] - losses[0]) / (losses[-1] - losses[0]))


def test_hostile_names_are_text_in_a_browser_and_fit_a_phone(browse: Callable[..., Any]) -> None:
    recorder = trained(3, classes=[HOSTILE, "b", "c"], features=[HOSTILE, "<img src=x onerror=alert(1)>"])[1]
    found = browse(viz.training_movie(recorder, HOSTILE), width=500)
    assert found["scripts"] == 3   # the data, the page's, the test's
    assert any(HOSTILE in text for text in found["open"]["texts"])
    assert found["title"].startswith("</script><script>document.title=") and found["wide"] <= 500


@pytest.mark.parametrize("movie", [
    lambda: viz.training_movie([0.5, 0.25, 0.001]),
    lambda: viz.training_movie(trained(y=np.sin(np.arange(6.0)), X=np.arange(6.0))[1]),
    lambda: viz.training_movie(trained(y=np.arange(16) / 15, resolution=4)[1]),
], ids=["history", "curve", "regression"])
def test_other_movies_open(browse: Callable[..., Any], movie: Callable[[], viz.Movie]) -> None:
    found = browse(movie())
    assert found["open"]["status"].startswith("Epoch ") and len(found["open"]["losses"]) == 1
    assert found["home"] != found["end"]
