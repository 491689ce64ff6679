"""The plots draw the numbers they are of, name them as text, leave matplotlib as it was, and refuse what they cannot draw."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autograd
import nn
import viz as package
from autograd import Value, no_grad
from viz.plots.network import read_network

matplotlib: Any = pytest.importorskip("matplotlib")
from matplotlib.collections import LineCollection, QuadMesh  # noqa: E402
from matplotlib.colors import to_rgba  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

plots: Any = package   # matplotlib has no types where it is not installed
HOSTILE = ["$\\alpha$", "a$b", "_hidden", "\\frac{1}{2}", "two\nlines", "</script><b>", "$" * 9, "^_{"]


@pytest.fixture
def ax() -> Any:
    return Figure(figsize=(4, 3)).subplots()


@pytest.fixture(autouse=True)
def _agg(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("MPLBACKEND", "Agg")
    yield
    from matplotlib import pyplot
    pyplot.close("all")


def shown(ax: Any) -> list[str]:
    """Every text of the picture as it is drawn."""
    from matplotlib.text import Text
    ax.figure.canvas.draw()
    texts: list[Any] = [text for text in ax.figure.findobj(Text) if text.get_text() and text.get_visible()]
    return [str(text._preprocess_math(text.get_text())[0]) for text in texts]


def is_mathematics(ax: Any) -> bool:
    from matplotlib.text import Text
    return any(text._preprocess_math(text.get_text())[1] is True for text in ax.figure.findobj(Text)
               if "mathdefault" not in text.get_text())   # matplotlib's own numbers on a logarithmic axis


# ---- activations

@pytest.mark.parametrize("name", [name for name in nn.ACTIVATIONS if name != "maxout"])
def test_an_activation_and_its_derivative_are_drawn_as_they_are(name: str, ax: Any) -> None:
    f = nn.ACTIVATIONS[name]
    plots.plot_activation(f, ax, points=41)
    function, slope = ax.lines[-2:]
    for z, y in function.get_xydata():
        if not math.isnan(y):
            assert y == autograd.Value(f(float(z))).data
    for z, d in slope.get_xydata():
        if not math.isnan(d):
            assert d == autograd.grad(f)(float(z))
    assert {-4.0, 4.0} <= set(function.get_xdata()) and len(function.get_xdata()) >= 40
    assert ax.get_title() == name and ax.get_xlabel() == "z"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a = g(z)", "derivative g′(z)"]
    assert function.get_linestyle() != slope.get_linestyle()   # to be told apart without colour


def dots(ax: Any) -> set[tuple[float, float, bool]]:
    """(z, value, whether filled) of the dots at jumps."""
    paper = to_rgba(ax.get_facecolor())
    return {(float(z), float(y), tuple(c.get_facecolor()[0]) != paper)
            for c in ax.collections for z, y in np.asarray(c.get_offsets()) if len(c.get_offsets())}


@pytest.mark.parametrize(("name", "expected"), [
    ("heaviside", {(0, 0, False), (0, 0.5, True), (0, 1, False)}),
    ("sign", {(0, -1, False), (0, 0, True), (0, 1, False)}),
    ("relu", {(0, 0, True), (0, 1, False)}),                  # of the derivative: 0 at 0
    ("piecewise_linear", {(z, y, y == 0.5) for z in (-0.5, 0.5) for y in (0, 0.5, 1)}),
    ("tanh", set()),
    ("softplus", set()),
])
def test_a_jump_has_rings_and_the_value_that_the_engine_takes(name: str, expected: set[Any], ax: Any) -> None:
    assert dots(plots.plot_activation(nn.ACTIVATIONS[name], ax)) == expected


def test_the_curve_is_not_joined_across_a_jump(ax: Any) -> None:
    plots.plot_activation(autograd.heaviside, ax)
    ys = ax.lines[-2].get_ydata()
    assert set(ys[~np.isnan(ys)]) == {0, 1} and np.isnan(ys).sum() == 1
    steep = plots.plot_activation(lambda z: autograd.sigmoid(200 * z), Figure().subplots())
    assert not dots(steep)   # steep is no jump


def test_a_jump_between_the_computed_points_is_found(ax: Any) -> None:
    plots.plot_activation(lambda z: autograd.heaviside(z - 0.3), ax, points=12)
    assert dots(ax) == {(0.3, 0, False), (0.3, 0.5, True), (0.3, 1, False)}


def test_functions_by_name_constants_and_holes(ax: Any) -> None:
    assert plots.plot_activation("tanh", ax).get_title() == "tanh"
    flat = plots.plot_activation(lambda z: 2.0, Figure().subplots(), name="two")
    assert set(flat.lines[-2].get_ydata()) == {2} and set(flat.lines[-1].get_ydata()) == {0}
    half = plots.plot_activation(autograd.log, Figure().subplots(), points=9)   # nan below 0, −∞ at 0
    ys = half.lines[-2].get_ydata()
    assert np.isnan(ys[:4]).all() and ys[-1] == math.log(4)
    learned = nn.GeneralisedReLU(0.5)
    assert plots.plot_activation(learned, Figure().subplots()).lines[-2].get_ydata()[0] == -2


def test_the_sheet_has_every_activation() -> None:
    axes = plots.plot_activations(nn.ACTIVATIONS)
    titles = [a.get_title() for a in axes.flat]
    assert titles == [name.replace("maxout", "maxout(z, −z)") for name in nn.ACTIVATIONS]
    maxout = axes.flat[titles.index("maxout(z, −z)")].lines[-2].get_xydata()
    assert np.allclose(maxout[~np.isnan(maxout[:, 1]), 1], np.abs(maxout[~np.isnan(maxout[:, 1]), 0]))
    assert plots.plot_activations().shape == (2, 4)
    assert [a.axison for a in plots.plot_activations(dict(list(nn.ACTIVATIONS.items())[:3]), columns=2).flat] == [
        True, True, True, False]


# ---- losses

def test_the_loss_is_the_history(ax: Any) -> None:
    rows = [{"epoch": e, "loss": 1 / e, "val_loss": 1 / e + (e - 3) ** 2, "lr": 0.1} for e in range(1, 31)]
    plots.plot_loss(nn.History(rows, "mse"), ax)
    training, validation, least = ax.lines
    assert training.get_xydata().tolist() == [[row["epoch"], row["loss"]] for row in rows]
    assert validation.get_ydata().tolist() == [row["val_loss"] for row in rows]
    assert least.get_xydata().tolist() == [[3, 1 / 3]]
    assert ax.get_yscale() == "log" and ax.get_ylabel() == "loss (mse)" and ax.get_xlabel() == "epoch"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "training loss", "validation loss", "least: 0.3333 in epoch 3"]


def test_the_scale_of_losses_fits(ax: Any) -> None:
    assert plots.plot_loss([3.0, 2.0, 1.0], ax).get_yscale() == "linear"
    assert plots.plot_loss([3.0, 0.0], Figure().subplots()).get_yscale() == "linear"
    assert plots.plot_loss([3.0, 2.0], Figure().subplots(), log=True).get_yscale() == "log"
    assert plots.plot_loss({"loss": [Value(2.0), 1.0], "accuracy": [0.5, 1]}, Figure().subplots(), names=["accuracy"]
                         ).lines[0].get_ydata().tolist() == [0.5, 1]
    assert plots.plot_loss([2.0], Figure().subplots()).lines[0].get_marker() == "o"   # one epoch is no line


# ---- decision regions

def tiny(k: int, activation: str = "tanh", output: str = "linear") -> nn.MLP:
    return nn.MLP(2, [3, k], activation, output, rng=1)


POINTS = np.array([[0.0, 0.0], [1.0, 0.2], [0.3, 1.5], [-1.0, 0.4], [0.4, -1.2], [2.0, 1.0]])


def mesh(ax: Any) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """(the points of the grid, the class drawn at each)."""
    drawn = next(c for c in ax.collections if isinstance(c, QuadMesh))
    regions = np.asarray(drawn.get_array())
    n = regions.shape[0]
    corners = np.asarray(drawn.get_coordinates())
    centres = (corners[:-1, :-1] + corners[1:, 1:]) / 2
    return centres.reshape(-1, 2), regions.reshape(n * n).astype(int)


@pytest.mark.parametrize("model", [tiny(1), tiny(1, output="sigmoid"), tiny(3), nn.SoftmaxRegression(2, 3)],
                         ids=["logit", "probability", "three", "softmax"])
def test_regions_are_the_predictions_at_the_grid(model: Any, ax: Any) -> None:
    y = [0, 1, 0, 1, 0, 1] if isinstance(model, nn.MLP) and model.nouts[-1] == 1 else [0, 1, 2, 0, 1, 2]
    for i, p in enumerate(model.parameters()):   # not all the same
        p.data += 0.1 * (-1) ** i * (i % 4)
    plots.plot_decision_regions(model, POINTS, y, ax, resolution=13)
    for x, region in zip(*mesh(ax), strict=True):
        found = np.ravel(nn.predict(model, [x.tolist()])[0])
        threshold = 0.5 if getattr(model, "output", "") == "sigmoid" else 0
        assert region == (found.argmax() if len(found) > 1 else found[0] > threshold)
    assert len(set(mesh(ax)[1])) > 1


def test_every_example_stands_with_its_class(ax: Any) -> None:
    y = ["cat", "dog", "cat", "ox", "dog", "ox"]
    plots.plot_decision_regions(tiny(3), POINTS, y, ax, resolution=5, features=["weight", "height"])
    scatters = [c for c in ax.collections if c.get_label() in ("cat", "dog", "ox")]
    for c in scatters:
        assert np.asarray(c.get_offsets()).tolist() == POINTS[np.array(y) == c.get_label()].tolist()
    assert len({c.get_paths()[0].vertices.shape for c in scatters} | {str(c.get_paths()[0].vertices) for c in scatters}) >= 3
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("weight", "height")
    (x0, x1), (y0, y1) = ax.get_xlim(), ax.get_ylim()
    assert x0 < -1 and x1 > 2 and y0 < -1.2 and y1 > 1.5


def test_the_border_is_where_the_score_is_the_threshold(ax: Any) -> None:
    plots.plot_decision_regions(lambda x: x[0] + 2 * x[1], POINTS, [-1, 1, 1, -1, -1, 1], ax, threshold=0.25, resolution=20)
    border = next(c for c in ax.collections if not isinstance(c, QuadMesh))
    points = np.concatenate([path.vertices for path in border.get_paths()])
    assert len(points) > 10 and np.allclose(points @ [1, 2], 0.25, atol=1e-9)


class Nearest:
    """An estimator as scikit-learn's: labels for a table of rows."""

    def predict(self, rows: Any) -> Any:
        return np.where(np.asarray(rows)[:, 0] > 0.5, "right", "left")


def test_what_predicts_labels(ax: Any) -> None:
    y = ["left", "right", "left", "left", "left", "right"]
    plots.plot_decision_regions(Nearest(), POINTS, y, ax, resolution=9)
    at, region = mesh(ax)
    assert (region == (at[:, 0] > 0.5)).all()
    by_row = plots.plot_decision_regions(lambda x: "right" if x[0] > 0.5 else "left", POINTS, y, Figure().subplots(),
                                         resolution=9)
    assert (mesh(by_row)[1] == region).all()
    one_hot = np.eye(3)[[0, 1, 2, 0, 1, 2]]
    drawn = plots.plot_decision_regions(tiny(3), POINTS, one_hot, Figure().subplots(), resolution=5)
    assert len(drawn.get_legend().get_texts()) == 3


def test_scikit_learn_estimators(ax: Any, require_tool: Callable[[str], None]) -> None:
    require_tool("sklearn")
    from sklearn.tree import DecisionTreeClassifier
    tree = DecisionTreeClassifier(random_state=0).fit(POINTS, [0, 1, 2, 0, 1, 2])
    plots.plot_decision_regions(tree, POINTS, [0, 1, 2, 0, 1, 2], ax, resolution=9)
    at, region = mesh(ax)
    assert (tree.predict(at) == region).all()


def test_nothing_is_recorded_of_the_grid(ax: Any) -> None:
    w, seen = Value(2.0), []

    def model(x: list[float]) -> Value:
        seen.append(w * x[0])
        return seen[-1]
    plots.plot_decision_regions(model, POINTS, [0, 1, 0, 1, 0, 1], ax, resolution=4)
    assert len(seen) == 16 and not any(z.args for z in seen) and (w * 1.0).args


# ---- the network

def test_lines_follow_the_weights(ax: Any) -> None:
    model: Any = nn.MLP(2, [3, 1], "tanh", rng=0)
    model.layers[0].neurons[1].b.data = -0.4
    plots.plot_network(model, ax)
    lines: list[Any] = [c for c in ax.collections if isinstance(c, LineCollection)]
    top = max(abs(p.data) for p in model.parameters())
    weights = [w.data for layer in model.layers for w in sorted(
        [w for unit in layer.neurons for w in unit.w], key=lambda w: abs(w.data))]
    widths = np.concatenate([c.get_linewidths() for c in lines])
    assert np.allclose(widths, 0.3 + 3.6 * np.abs(weights) / top)
    colours = np.concatenate([c.get_colors() for c in lines])
    assert [c[2] > c[0] for c in colours] == [w > 0 for w in weights]   # blue, or brown
    solid = [style[1] is None for c in lines for style in c.get_linestyles()]
    assert solid == [w > 0 for w in weights]
    assert len(ax.patches) == 6
    assert ax.patches[3].get_facecolor() != ax.patches[2].get_facecolor() and ax.patches[3].get_facecolor()[2] < 0.7
    assert [t.get_text() for t in ax.get_xticklabels()] == ["2 inputs", "3 tanh", "1 linear"]
    bar = ax.figure.axes[1]
    assert np.allclose(bar.get_ylim(), (-top, top))   # symmetric, though the weights are not


def test_a_line_joins_the_units_of_its_weight(ax: Any) -> None:
    model = nn.Layer(2, 2)
    for unit, row in zip(model.neurons, [[1.0, 2.0], [3.0, 4.0]], strict=True):
        for w, x in zip(unit.w, row, strict=True):
            w.data = x
    plots.plot_network(model, ax, colorbar=False)
    (lines,) = [c for c in ax.collections if isinstance(c, LineCollection)]
    places = [tuple(p.center) for p in ax.patches]   # inputs from the top, then units from the top
    ends = [(places.index(tuple(a)), places.index(tuple(b))) for a, b in lines.get_segments()]
    assert ends == [(0, 2), (1, 2), (0, 3), (1, 3)]   # sorted by |w|
    assert len(ax.figure.axes) == 1


def drawn(ax: Any) -> list[tuple[tuple[float, float], str, tuple[float, float]]]:
    """(from where, the number written on the line, to where), for every line of a network, the first column first."""
    segments = [s for c in ax.collections if isinstance(c, LineCollection) for s in c.get_segments()]
    written = [t for t in ax.texts if t.get_text().lstrip("−").replace(".", "").isdigit()]

    def distance(place: Any, a: Any, b: Any) -> float:
        along = np.dot(place - a, b - a) / np.dot(b - a, b - a)
        return float(np.linalg.norm(place - a - along * (b - a))) if 0 < along < 1 else math.inf
    found: list[Any] = []
    for text in written:
        place = np.array(text.get_position())
        a, b = min(segments, key=lambda s: distance(place, *s))
        assert distance(place, a, b) < 1e-9
        found.append((tuple(map(float, a)), text.get_text(), tuple(map(float, b))))
    return found


def test_a_gate_is_drawn_as_in_the_lecture(ax: Any) -> None:
    plots.plot_network(nn.gate("AND"), ax, weights=True, bias_units=True)
    assert [text for text in shown(ax) if text == "+1"] == ["+1"] and len(ax.patches) == 4
    lines = sorted(drawn(ax), key=lambda line: -line[0][1])   # from the top
    assert [text for _, text, _ in lines] == ["−30", "20", "20"]
    places = [tuple(map(float, p.center)) for p in ax.patches]   # x1, x2, the output, +1
    assert [start for start, *_ in lines] == [places[3], places[0], places[1]] and {end for *_, end in lines} == {places[2]}
    assert len(ax.figure.axes) == 1   # the weights are written, so there is no scale
    paper = to_rgba(ax.get_facecolor())
    assert all(p.get_facecolor() == paper for p in ax.patches)   # a bias is a line, not a colour


def test_bias_units_of_several_layers(ax: Any) -> None:
    plots.plot_network(nn.gate("XNOR"), ax, weights=True, bias_units=True)
    lines = drawn(ax)
    by_end: dict[tuple[float, float], list[str]] = {}
    for _, text, end in sorted(lines, key=lambda line: -line[0][1]):
        by_end.setdefault(end, []).append(text)
    assert [by_end[end] for end in sorted(by_end, key=lambda end: (end[0], -end[1]))] == [
        ["−30", "20", "20"], ["10", "−20", "−20"], ["−10", "20", "20"]]
    assert len(lines) == 9 and len({tuple(t.get_position()) for t in ax.texts}) == len(ax.texts)   # none above another
    assert len(ax.patches) == 7


def test_weights_without_bias_units_and_layers_without_biases(ax: Any) -> None:
    plots.plot_network(nn.gate("OR"), ax, weights=True)
    unit = ax.patches[-1].center
    assert [t.get_text() for t in ax.texts if t.get_position() == unit] == ["−10"]
    bare = plots.plot_network(nn.MLP(2, [2, 1], bias=False, rng=0), Figure().subplots(), weights=True, bias_units=True)
    assert len(bare.patches) == 5 and "+1" not in shown(bare) and len(drawn(bare)) == 6
    mixed = plots.plot_network(nn.Sequential(nn.Layer(2, 2), nn.Layer(2, 1, bias=False)), Figure().subplots(), bias_units=True)
    assert shown(mixed).count("+1") == 1 and len(mixed.figure.axes) == 2


def test_large_layers_are_elided_and_counted(ax: Any) -> None:
    plots.plot_network(nn.MLP(64, [32, 10], rng=0), ax, limit=6)
    texts = shown(ax)
    assert texts.count("⋮") == 3 and {"59 more", "27 more", "5 more"} <= set(texts)
    assert {"x₁", "x₃", "x₆₃", "x₆₄", "ŷ₁", "ŷ₁₀"} <= set(texts) and "x₄" not in texts
    assert len(ax.patches) == 15
    network = read_network(nn.MLP(64, [32, 10], rng=0))
    assert network.places(6)[0] == [0, 1, 2, None, 62, 63] and [len(row) for row in network.numbers(6)[0]] == [6] * 5


@pytest.mark.parametrize("model", [
    nn.Neuron(3, "sigmoid"), nn.LogisticRegression(3), nn.SoftmaxRegression(3, 4), nn.OneVsRest(3, 4),
    nn.Sequential(nn.MLP(3, [4, 2]), nn.Layer(2, 1, bias=False)),
], ids=lambda m: type(m).__name__)
def test_all_dense_models_are_read(model: Any, ax: Any) -> None:
    plots.plot_network(model, ax)
    assert len(ax.patches) == sum(read_network(model).sizes) and read_network(model).sizes[0] == 3


# ---- images

def pictures(ax: Any) -> list[Any]:
    return [image.get_array() for image in ax.images]


def test_images_are_drawn_as_they_are(ax: Any) -> None:
    rows = np.arange(24.0).reshape(4, 6)
    plots.plot_images(rows, (2, 3), ax, titles=[5, "six", 7, 8], columns=3)
    assert np.array_equal(pictures(ax), rows.reshape(4, 2, 3))
    assert {image.get_clim() for image in ax.images} == {(0.0, 23.0)}   # one scale for all
    assert [text.get_text() for text in ax.texts] == ["5", "six", "7", "8"]
    left, right, bottom, top = zip(*[image.get_extent() for image in ax.images], strict=True)
    assert left[3] == left[0] < left[1] < left[2] and top[0] == top[2] > bottom[2] > top[3]   # rows of three, from the top
    assert all(right[i] <= left[i + 1] for i in (0, 1)) and (top[0] - bottom[0]) / (right[0] - left[0]) == pytest.approx(2 / 3)
    assert all(ax.get_xlim()[0] <= a and b <= ax.get_xlim()[1] for a, b in zip(left, right, strict=True))


@pytest.mark.parametrize(("given", "shape"), [
    (range(6), (2, 3)), ([0, 1, 2, 3, 4, 5.0], (1, 2, 3)), ([[0, 1, 2], [3, 4, 5]], None), ([[[0, 1, 2], [3, 4, 5]]], None),
    ([[0, 1, 2], [3, 4, 5]], (2, 3)), ([[[[0, 1, 2], [3, 4, 5]]]], None), ([[[Value(float(3 * r + q)) for q in range(3)]
                                                                             for r in range(2)]], (2, 3)),
    (np.arange(6).reshape(2, 3, 1), (2, 3, 1)), (np.arange(6, dtype=np.uint8), (2, 3)),
])
def test_one_image_in_every_form(given: Any, shape: Any, ax: Any) -> None:
    plots.plot_images(given, shape, ax)
    assert np.array_equal(pictures(ax), [[[0, 1, 2], [3, 4, 5]]])


def test_colours_in_both_orders_and_limits(ax: Any) -> None:
    image = np.arange(24.0).reshape(3, 2, 4)
    first = plots.plot_images(image, (3, 2, 4), ax)
    last = plots.plot_images([np.moveaxis(image, 0, -1)], (2, 4, 3), Figure().subplots())
    assert np.array_equal(pictures(first), pictures(last)) and pictures(first)[0].shape == (2, 4, 3)
    assert pictures(first)[0][1, 2].tolist() == [6 / 23, 14 / 23, 22 / 23]
    cut = plots.plot_images(image, (3, 2, 4), Figure().subplots(), limits=(0, 10))
    assert pictures(cut)[0].max() == 1.0 and pictures(cut)[0][1, 2, 0] == 0.6
    grey = plots.plot_images(image[0], ax=Figure().subplots(), limits=(-1, 1))
    assert grey.images[0].get_clim() == (-1, 1)
    flat = plots.plot_images(np.ones((2, 2)), ax=Figure().subplots())
    assert flat.images[0].get_clim() == (1.0, 2.0)


def test_the_weights_of_units_are_images_on_one_symmetric_scale(ax: Any) -> None:
    layer = nn.Layer(6, 3, rng=0)
    plots.plot_weights(layer, (2, 3), ax)
    assert np.allclose(pictures(ax), [np.reshape([w.data for w in unit.w], (2, 3)) for unit in layer.neurons], atol=0)
    top = max(abs(w.data) for unit in layer.neurons for w in unit.w)
    assert {image.get_clim() for image in ax.images} == {(-top, top)}
    assert [t.get_text() for t in ax.texts] == ["unit 1", "unit 2", "unit 3"]
    colours = ax.images[0].get_cmap()
    assert colours(0.0)[0] > colours(0.0)[2] and colours(1.0)[2] > colours(1.0)[0]   # brown below 0, blue above
    assert np.allclose(ax.figure.axes[1].get_ylim(), (-top, top))


@pytest.mark.parametrize(("model", "n"), [
    (nn.MLP(4, [3, 2], rng=0), 3), (nn.Neuron(4, rng=0), 1), (nn.SoftmaxRegression(4, 5), 5), (nn.OneVsRest(4, 3), 3),
    (nn.Sequential(nn.MLP(4, [2, 2]), nn.Layer(2, 1)), 2), (nn.LogisticRegression(9), 1),
])
def test_of_a_model_the_first_layer_is_drawn(model: Any, n: int, ax: Any) -> None:
    plots.plot_weights(model, ax=ax, titles=range(n), colorbar=False)
    assert len(ax.images) == n and pictures(ax)[0].shape in ((2, 2), (3, 3)) and len(ax.figure.axes) == 1


def test_kernels_of_a_convolution(ax: Any) -> None:
    layer = nn.Conv2d(2, 3, (2, 3), rng=0)
    plots.plot_weights(layer, ax=ax)
    assert np.allclose(pictures(ax), [[[w.data for w in row] for row in kernel] for out in layer.w for kernel in out], atol=0)
    assert [t.get_text() for t in ax.texts] == ["1, 1", "1, 2", "2, 1", "2, 2", "3, 1", "3, 2"]
    assert len({image.get_extent()[3] for image in ax.images}) == 3   # a row for each output
    first = plots.plot_weights(nn.LeNet(rng=0), ax=Figure().subplots(), limit=4)
    assert len(first.images) == 4 and first.get_title() == "the first 4 of 6"


def test_feature_maps_are_what_the_convolutions_give(ax: Any) -> None:
    model, image = nn.LeNet(rng=0), np.linspace(0, 1, 64)
    plots.plot_feature_maps(model, image, ax)
    with no_grad():
        maps = model.modules[0]([image.reshape(8, 8).tolist()])
        deeper = model.modules[2](model.modules[1](maps))
    found = pictures(ax)
    assert len(found) == 1 + 6 + 16 and np.array_equal(found[0], image.reshape(8, 8))
    for mine, given in zip(found[1:], [*maps, *deeper], strict=True):
        assert np.array_equal(mine, [[v.data for v in row] for row in given])
    captions = [t.get_text() for t in ax.texts]
    assert captions == ["input: 8 × 8", "layer 1, Conv2d and tanh: 6 × 8 × 8", "layer 3, Conv2d and tanh: 16 × 2 × 2"]
    assert len({image.get_clim() for image in ax.images}) == 3   # a scale for each layer
    seen: list[Value] = []

    def g(z: Value) -> Value:
        seen.append(z)
        return z
    convolution: Any = model.modules[0]
    convolution.g = g
    again = plots.plot_feature_maps(model, image.reshape(1, 8, 8), Figure().subplots())
    assert len(again.images) == 23 and not any(z.args for z in seen)   # nothing was recorded


# ---- surfaces

def test_the_path_is_that_of_gradient_descent(ax: Any) -> None:
    xs, ys = [0.0, 1.0, 2.0], [1.0, 2.0, 2.0]

    def f(b0: Any, b1: Any) -> Any:
        return sum([(y - b0 - b1 * x) ** 2 for x, y in zip(xs, ys, strict=True)])
    plots.plot_loss_surface(f, (-2, 3), (-1, 2), ax, start=(-1.5, -0.5), rate=0.05, steps=6, resolution=9)
    model: Any = nn.LinearRegression(1)
    model.b.data, model.w[0].data = -1.5, -0.5
    path = [[-1.5, -0.5]]
    for _ in range(6):
        model.descend(xs, ys, rate=0.05, epochs=1)
        path.append([model.b.data, model.w[0].data])
    assert np.allclose(ax.lines[0].get_xydata(), path, rtol=1e-12)
    assert (ax.get_xlim(), ax.get_ylim()) == ((-2, 3), (-1, 2))
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["descent, 6 steps", "start", "end"]
    assert ax.lines[1].get_xydata().tolist() == [path[0]] and np.allclose(ax.lines[2].get_xydata(), [path[-1]])


def test_an_ascent_climbs_and_is_called_so(ax: Any) -> None:
    def likelihood(a: Any, b: Any) -> Any:
        return -(a - 1) ** 2 - 2 * b ** 2
    plots.plot_loss_surface(likelihood, (-1, 2), (-1, 1), ax, start=(0.0, 0.5), rate=0.1, steps=2, maximize=True, resolution=5)
    assert np.allclose(ax.lines[0].get_xydata(), [[0.0, 0.5], [0.2, 0.3], [0.36, 0.18]])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["ascent, 2 steps", "start", "end"]
    levels = ax.collections[0].levels
    assert (np.diff(np.diff(levels)) < 0).all() and math.isclose(levels[-1], -0.0625)   # denser near the largest
    assert ax.figure.axes[1].get_ylabel() == "objective"
    curve: Any = Figure().subplots()
    plots.plot_loss_surface(lambda w: -w * w, ax=curve, start=2.0, rate=0.25, steps=1, maximize=True, resolution=3)
    assert curve.get_ylabel() == "objective" and curve.lines[1].get_xydata().tolist() == [[2.0, -4.0], [1.0, -1.0]]


def test_the_best_of_what_was_maximised_is_the_largest(ax: Any) -> None:
    rows = [{"epoch": 1, "loss": -2.0, "val_loss": -1.5}, {"epoch": 2, "loss": -1.0, "val_loss": -2.5}]
    history = nn.History(rows, "LL", maximize=True)
    plots.plot_loss(history, ax)
    assert "largest: -1.5 in epoch 1" in [text.get_text() for text in ax.get_legend().get_texts()]


def test_a_curve_of_one_parameter_and_a_given_path(ax: Any) -> None:
    plots.plot_loss_surface(lambda w: (w - 1) ** 4, (-1, 2), path=[Value(2.0), 1.5, 1], ax=ax, resolution=7)
    curve, path = ax.lines[:2]
    assert np.allclose(curve.get_xydata(), [[w, (w - 1) ** 4] for w in np.linspace(-1, 2, 7)])
    assert path.get_xydata().tolist() == [[2, 1], [1.5, 0.0625], [1, 0]]


def test_heights_of_a_surface(ax: Any) -> None:
    plots.plot_loss_surface(lambda a, b: a * a + 3 * b, (0, 2), (0, 1), ax, resolution=5)
    levels = ax.collections[0].levels
    assert levels[0] == 0 and levels[-1] == 7 and (np.diff(np.diff(levels)) > 0).all()   # denser near the least
    plots.plot_loss_surface(lambda a, b: autograd.log(a) + b, (-1, 1), (0, 1), Figure().subplots(), resolution=4)   # a hole
    plots.plot_loss_surface(lambda a, b: 1.0, (-1, 1), (0, 1), Figure().subplots(), resolution=4).figure.canvas.draw()   # flat


# ---- gradients

def test_gradient_flow_is_the_mean_and_the_largest_of_each_layer(ax: Any) -> None:
    model = nn.MLP(2, [3, 2, 1], "sigmoid", rng=0)
    (model([1.0, -2.0]) ** 2).backward()
    plots.plot_gradient_flow(model, ax)
    sizes = [[abs(p.grad) for p in layer.parameters()] for layer in model.layers]
    heights = [float(bar.get_height()) for bar in ax.patches]
    assert np.allclose(heights, [sum(g) / len(g) for g in sizes] + [max(g) for g in sizes])
    assert [t.get_text() for t in ax.get_xticklabels()] == ["layers.0 (9)", "layers.1 (8)", "layers.2 (3)"]
    assert ax.get_yscale() == "log"


def test_a_layer_without_gradient_says_so(ax: Any) -> None:
    a, b = Value(1.0), Value(1.0)
    (a * 2).backward()
    plots.plot_gradient_flow([("first.w.0", a), ("second.w.0", b)], ax)
    assert "0" in [t.get_text() for t in ax.texts]


# ---- what they have in common

def calls(ax: Any) -> dict[str, Callable[[], Any]]:
    model = nn.MLP(2, [2, 1], "tanh", rng=0)
    (model([1.0, 2.0]) ** 2).backward()
    return {
        "activation": lambda: plots.plot_activation("relu", ax, points=9),
        "loss": lambda: plots.plot_loss([2.0, 1.0], ax),
        "regions": lambda: plots.plot_decision_regions(model, POINTS, [0, 1] * 3, ax, resolution=4),
        "network": lambda: plots.plot_network(model, ax),
        "surface": lambda: plots.plot_loss_surface(lambda a, b: a * b, (-1, 1), (-1, 1), ax, resolution=4),
        "images": lambda: plots.plot_images([[1, 2], [3, 4]], ax=ax),
        "weights": lambda: plots.plot_weights(nn.Layer(4, 2), ax=ax),
        "maps": lambda: plots.plot_feature_maps(nn.Sequential(nn.Conv2d(1, 2, 2)), [[1, 2, 3], [4, 5, 6]], ax),
        "flow": lambda: plots.plot_gradient_flow(model, ax),
    }


@pytest.mark.parametrize("name", calls(None))
def test_axes_are_used_and_returned_and_settings_kept(name: str) -> None:
    from matplotlib import pyplot
    mine, other = pyplot.figure(), pyplot.figure()
    ax = mine.subplots()
    before, backend = dict(matplotlib.rcParams), matplotlib.get_backend()
    assert calls(ax)[name]() is ax
    assert pyplot.gcf() is other and not other.axes   # the current figure is another one, and stays so
    fresh = calls(None)[name]()
    assert fresh.figure not in (mine, other) and pyplot.gcf() is fresh.figure
    assert dict(matplotlib.rcParams) == before and matplotlib.get_backend() == backend
    fresh.figure.canvas.draw()


@pytest.mark.parametrize("text", HOSTILE)
def test_names_are_text(text: str) -> None:
    visible = text.replace("\n", "␊")
    draws: list[Callable[[Any], Any]] = [
        lambda ax: plots.plot_activation(autograd.tanh, ax, name=text, points=5),
        lambda ax: plots.plot_decision_regions(tiny(1), POINTS, [0, 1] * 3, ax, resolution=3, classes=[text, "b"]),
        lambda ax: plots.plot_decision_regions(tiny(1), POINTS, [0, 1] * 3, ax, resolution=3, features=[text, text]),
        lambda ax: plots.plot_network(nn.Neuron(2), ax, inputs=[text, "b"], outputs=[text]),
        lambda ax: plots.plot_images([[1, 2], [3, 4]], ax=ax, titles=[text]),
        lambda ax: plots.plot_weights(nn.Neuron(4), ax=ax, titles=[text]),
        lambda ax: plots.plot_gradient_flow([(text + ".w", _with_gradient())], ax),
        lambda ax: plots.plot_loss(nn.History([{"epoch": 1, "loss": 1.0, text: 2.0}]), ax, names=[text]),
        lambda ax: plots.plot_loss_surface(lambda w: w, ax=ax, names=[text], resolution=3),
    ]
    for draw in draws:
        ax = draw(Figure().subplots())
        assert any(visible in drawn for drawn in shown(ax)), shown(ax)
        assert not is_mathematics(ax)


def _with_gradient() -> Value:
    v = Value(2.0)
    (v * 3).backward()
    return v


@pytest.mark.parametrize(("call", "kind", "says"), [
    (lambda: plots.plot_activation("swish"), ValueError, "nn.ACTIVATIONS"),
    (lambda: plots.plot_activation(3), TypeError, "function of one Value"),
    (lambda: plots.plot_activation("relu", limits=(1, 1)), ValueError, "limits="),
    (lambda: plots.plot_activation("relu", 3), TypeError, "ax=3"),
    (lambda: plots.plot_activation("relu", points=1), ValueError, r"points\)=1"),
    (lambda: plots.plot_activations([autograd.relu]), TypeError, "nn.ACTIVATIONS"),
    (lambda: plots.plot_activations(columns=0), ValueError, r"columns\)=0"),
    (lambda: plots.plot_loss([]), ValueError, "no epoch"),
    (lambda: plots.plot_loss(3), TypeError, "history"),
    (lambda: plots.plot_loss([1.0, math.nan]), ValueError, "loss is nan in epoch 2"),
    (lambda: plots.plot_loss([{"epoch": 7, "loss": 1.0, "val_loss": math.inf}]), ValueError, "val_loss is inf in epoch 7"),
    (lambda: plots.plot_loss(["low"]), TypeError, "no number"),
    (lambda: plots.plot_loss({"lr": [1.0]}), ValueError, "it has lr"),
    (lambda: plots.plot_decision_regions(tiny(1), [[1, 2, 3]], [0]), ValueError, "3 columns"),
    (lambda: plots.plot_decision_regions(tiny(1), [[1, 2], [3]], [0, 1]), ValueError, "X is no table"),
    (lambda: plots.plot_decision_regions(tiny(1), [[1, math.nan]], [0]), ValueError, r"X\[0\]"),
    (lambda: plots.plot_decision_regions(tiny(1), POINTS, [0, 1]), ValueError, "6 rows"),
    (lambda: plots.plot_decision_regions(tiny(1), POINTS, [0, 1, 2] * 2), ValueError, "1 output"),
    (lambda: plots.plot_decision_regions(tiny(2), POINTS, ["a", "b", "c"] * 2), ValueError, "2 classes"),
    (lambda: plots.plot_decision_regions(tiny(1), POINTS, [0, 1] * 3, classes=["a"]), ValueError, "1 names for 2"),
    (lambda: plots.plot_decision_regions(tiny(1), POINTS, [0, 1] * 3, resolution=1000), ValueError, r"resolution\)=1000"),
    (lambda: plots.plot_decision_regions(Nearest(), POINTS, [0, 1] * 3), ValueError, "y has labels as"),
    (lambda: plots.plot_decision_regions(tiny(1), POINTS, [0, 1] * 3, resolution=2.5), TypeError, "whole number"),
    (lambda: plots.plot_decision_regions(object(), POINTS, [0, 1] * 3), TypeError, "predict"),
    (lambda: plots.plot_decision_regions(lambda x: math.nan, POINTS, [0, 1] * 3), ValueError, "nan"),
    (lambda: plots.plot_network(nn.LeNet()), TypeError, "layer 0 of the model, Conv2d"),
    (lambda: plots.plot_network(nn.Maxout(2, 2)), TypeError, "Maxout"),
    (lambda: plots.plot_network(3), TypeError, "neurons"),
    (lambda: plots.plot_network(nn.Sequential(nn.Layer(2, 3), nn.Layer(2, 1))), ValueError, "layer 1 has 2 weights, and 3"),
    (lambda: plots.plot_network(tiny(1), limit=2), ValueError, r"limit\)=2"),
    (lambda: plots.plot_network(tiny(1), inputs=["a"]), ValueError, "1 names for 2"),
    (lambda: plots.plot_network(nn.Layer(40, 20), weights=True), ValueError, "81 weights .* smaller limit="),
    (lambda: plots.plot_loss_surface(3), TypeError, "function"),
    (lambda: plots.plot_loss_surface(lambda w: w, (2, 1)), ValueError, "x="),
    (lambda: plots.plot_loss_surface(lambda w: w, path=[(1, 2)]), ValueError, "1 finite number"),
    (lambda: plots.plot_loss_surface(autograd.log, (-2, -1)), ValueError, "no finite number"),
    (lambda: plots.plot_loss_surface(lambda w: w, resolution=1), ValueError, r"resolution\)=1"),
    (lambda: plots.plot_images([[1.0] * 400] * 3, (20, 21)), ValueError, r"shape has 420 numbers, and each image has 400"),
    (lambda: plots.plot_images([1.0] * 5, (2, 3)), ValueError, "6 numbers, and the image has 5"),
    (lambda: plots.plot_images([[1.0] * 6, [1.0] * 5], (2, 3)), ValueError, r"image 1 has 5 .* shape=\(2, 3\) takes 6"),
    (lambda: plots.plot_images([[[1, 2], [3, 4]], [[1, 2]]]), ValueError, "image 1 has 2 numbers, and image 0 has 4"),
    (lambda: plots.plot_images([[[1, 2], [3, "x"]]]), ValueError, "image 0 is no table"),
    (lambda: plots.plot_images([1.0] * 4), ValueError, "1 dimension .* give shape="),
    (lambda: plots.plot_images([]), ValueError, "no image"),
    (lambda: plots.plot_images([[1, math.nan]]), ValueError, "image 0 has a number that is not finite"),
    (lambda: plots.plot_images(np.ones((2, 6, 4, 4))), ValueError, r"image 0 has the shape \(6, 4, 4\).* one by one"),
    (lambda: plots.plot_images([[1, 2]], (1, 2, 3, 4)), ValueError, "give .height, width"),
    (lambda: plots.plot_images([[1, 2]], (0, 2)), ValueError, "shape"),
    (lambda: plots.plot_images([[1, 2]], titles="ab"), ValueError, "2 titles for 1"),
    (lambda: plots.plot_images([[1, 2]], limits=(1, 1)), ValueError, "limits="),
    (lambda: plots.plot_images([[1, 2]], columns=0), ValueError, r"columns\)=0"),
    (lambda: plots.plot_images(np.ones((401, 1, 1))), ValueError, "401 images"),
    (lambda: plots.plot_weights(nn.Layer(6, 2)), ValueError, "6 weights, which is no square"),
    (lambda: plots.plot_weights(nn.Layer(6, 2), (2, 2)), ValueError, "4 weights, and a unit has 6"),
    (lambda: plots.plot_weights(nn.Layer(4, 2), (1, 2, 2)), ValueError, "give .height, width"),
    (lambda: plots.plot_weights(nn.Maxout(4, 2)), TypeError, "Maxout"),
    (lambda: plots.plot_weights(3), TypeError, "neurons"),
    (lambda: plots.plot_weights(nn.Layer(4, 2), titles=["a"]), ValueError, "1 titles for 2"),
    (lambda: plots.plot_weights(nn.Layer(4, 2), limit=0), ValueError, r"limit\)=0"),
    (lambda: plots.plot_feature_maps(tiny(1), [1, 2]), TypeError, "no convolution"),
    (lambda: plots.plot_feature_maps(nn.LeNet(), [1.0] * 63), ValueError, "give shape="),
    (lambda: plots.plot_feature_maps(nn.LeNet(), np.ones((2, 64)), shape=(8, 8)), ValueError, "one image, and was given 2"),
    (lambda: plots.plot_gradient_flow(tiny(1)), ValueError, "backward"),
    (lambda: plots.plot_gradient_flow(3), TypeError, "named_parameters"),
    (lambda: plots.plot_gradient_flow([]), TypeError, "named_parameters"),
])
def test_what_cannot_be_drawn_is_told(call: Callable[[], Any], kind: type[Exception], says: str) -> None:
    from matplotlib import pyplot
    with pytest.raises(kind, match=says):
        call()
    assert not pyplot.get_fignums()   # no empty figure stays behind


def run(code: str) -> str:
    root = Path(__file__).parents[1]
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=True).stdout


def test_without_matplotlib_the_remedy_is_named() -> None:
    code = ("import sys; sys.modules['matplotlib'] = None\nimport viz\n"
            "for call in (lambda: viz.plot_loss([1.0]), lambda: viz.plot_activations()):\n"
            "    try: call()\n"
            "    except ImportError as error: print(error)\n")
    assert run(code).count('pip install "xigrad[plot]"') == 2


def test_importing_viz_loads_no_plotting() -> None:
    code = "import sys, viz; print([m for m in ('numpy', 'matplotlib', 'nn') if m in sys.modules])"
    assert run(code) == "[]\n"


def test_plots_work_inside_no_grad(ax: Any) -> None:
    with no_grad():
        plots.plot_activation("tanh", ax, points=5)
    assert float(ax.lines[-1].get_ydata()[2]) == 1.0
