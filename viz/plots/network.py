"""A feed-forward network as a diagram: its units, weights and biases.

A network is read by what it offers: `layers` (or `modules`), each with `neurons`, each with weights `w` and a bias `b`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from autograd.conversion import bounded

from .common import DIVERGING, import_matplotlib, literal, new_axes, number, whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Network", "is_neuron", "layers_of", "plot_network", "read_network", "units_of"]

RADIUS = 0.3   # of a unit, where units of a layer are 1 apart
MOST = 60      # weights that are written out
Edge = tuple[float, tuple[float, float], tuple[float, float]]   # a weight, from where, to where


@dataclass(frozen=True)
class Network:
    """The structure of a network: how many units each layer has, the inputs first, and what they do."""

    sizes: list[int]
    activations: list[str]      # one less than sizes: inputs have none
    neurons: list[list[Any]]

    def places(self, limit: int) -> list[list[int | None]]:
        """Which units of each layer a column of at most `limit` places shows, None where some are left out."""
        return [list(range(n)) if n <= limit else [*range(limit // 2), None, *range(n - (limit - 1) // 2, n)]
                for n in self.sizes]

    def numbers(self, limit: int) -> list[list[list[float]]]:
        """The parameters now, for each layer, for each unit shown: its bias (0 if it has none), then its shown weights."""
        shown = [[i for i in column if i is not None] for column in self.places(limit)]
        return [[[0.0 if (b := getattr(layer[i], "b", None)) is None else number(b), *[number(layer[i].w[k]) for k in before]]
                 for i in mine] for layer, before, mine in zip(self.neurons, shown, shown[1:], strict=False)]

    def largest(self) -> float:
        """The largest |weight| or |bias| of all units; 1 if all are 0."""
        units = [unit for layer in self.neurons for unit in layer]
        return max([abs(number(p)) for unit in units for p in [*unit.w, unit.b if unit.b is not None else 0.0]]) or 1.0


def read_network(model: Any) -> Network:
    """The structure of a model; TypeError or ValueError if it is no chain of layers of neurons."""
    layers = layers_of(model)
    found = []
    for i, layer in enumerate(layers):
        units = units_of(layer)
        if hasattr(layer, "pieces") or not all(map(is_neuron, units)):
            what = "the model" if len(layers) == 1 else f"layer {i} of the model"
            raise TypeError(f"plot_network: {what}, {bounded(layer)}, has no neurons with weights w and a bias b: it draws "
                            "networks of dense layers, as nn.MLP, nn.Layer and nn.Neuron")
        found.append(units)
    sizes = [len(found[0][0].w), *map(len, found)]
    for i, (n, units) in enumerate(zip(sizes, found, strict=False)):
        for unit in units:
            if len(unit.w) != n:
                raise ValueError(f"plot_network: a neuron of layer {i} has {len(unit.w)} weights, and {n} units come before it")
    return Network(sizes, [_called(getattr(layer, "activation", "linear")) for layer in layers], found)


def units_of(layer: Any) -> list[Any]:
    """The neurons of a layer; what has none is one itself."""
    return list(getattr(layer, "neurons", None) or getattr(layer, "models", None) or [layer])


def is_neuron(unit: Any) -> bool:
    """Whether it has a list of weights `w`, numbers, and a bias `b`."""
    w: Any = getattr(unit, "w", None)
    return hasattr(unit, "b") and hasattr(w, "__len__") and len(w) > 0 and not any([hasattr(v, "__len__") for v in w])


def layers_of(model: Any) -> list[Any]:
    """The layers from the input on; a part of a Sequential may have layers itself."""
    parts = getattr(model, "modules", None) or getattr(model, "layers", None)
    if not isinstance(parts, (list, tuple)) or hasattr(model, "pieces"):
        return [model]
    return [layer for part in parts for layer in layers_of(part)]


def _called(g: Any) -> str:
    return g if isinstance(g, str) else str(getattr(g, "name", None) or getattr(g, "__name__", None) or type(g).__name__)


def plot_network(model: Any, ax: Axes | None = None, *, limit: int = 10, inputs: Sequence[str] | None = None,
                 outputs: Sequence[str] | None = None, weights: bool = False, bias_units: bool = False,
                 colorbar: bool | None = None) -> Axes:
    """The units of a network and its weights: lines as thick and as dark as |w|, blue above 0, brown and dashed below.

    model            MLP, Sequential, Layer or Neuron of nn, or what has `layers`, `neurons`, `w` and `b` as they do
    limit            how many places a layer's column has, at least 3; of a larger layer the first and last units are drawn
    inputs, outputs  names of the first and the last units
    weights          whether to write each weight beside its line, and each bias; ValueError if more than 60 are drawn
    bias_units       whether a bias is a line from a unit "+1" before its layer, as the lectures draw it, not a unit's colour
    colorbar         whether to draw the scale, which ends at the largest |parameter| of the network; by default if the weights
                     are not written

    With `ax=None` it draws in a new figure. TypeError or ValueError for what is no chain of
    dense layers, ImportError without matplotlib.

    >>> from matplotlib.figure import Figure
    >>> class Unit:
    ...     w, b, activation = [0.5, -1.0], 0.25, "tanh"
    >>> ax = plot_network(Unit(), Figure().subplots())
    >>> [text.get_text() for text in ax.get_xticklabels()]
    ['2 inputs', '1 tanh']
    """
    network = read_network(model)
    whole("plot_network(limit)", limit, 3)
    for what, names, n in (("inputs", inputs, network.sizes[0]), ("outputs", outputs, network.sizes[-1])):
        if names is not None and len(names) != n:
            raise ValueError(f"plot_network({what}={bounded(list(names))}): {len(names)} names for {n} units")
    columns, numbers = network.places(limit), network.numbers(limit)
    biases = [any([getattr(unit, "b", None) is not None for unit in units]) for units in network.neurons]
    biased = [*[bias_units and has for has in biases], False]
    tallest = max([len(column) + bias for column, bias in zip(columns, biased, strict=True)])
    step = max(3.2 if weights else 2.2, 0.55 * tallest)
    where = [[(step * i, (len(column) + bias - 1) / 2 - bias - k) for k in range(len(column))]
             for i, (column, bias) in enumerate(zip(columns, biased, strict=True))]
    units = [[place for place, i in zip(*pair, strict=True) if i is not None] for pair in zip(where, columns, strict=True)]
    ones = [[(x, y + 1)] if bias else [] for ((x, y), *_), bias in zip(where, biased, strict=True)]
    edges = [[(w, a, b) for b, row in zip(units[i + 1], rows, strict=True)
              for w, a in zip([*row[:1] * biased[i], *row[1:]], ones[i] + units[i], strict=True)]
             for i, rows in enumerate(numbers)]
    written = sum(map(len, edges))
    if weights and written > MOST:
        raise ValueError(f"plot_network(weights=True): {written} weights are more than anybody reads, {MOST}: choose a smaller "
                         f"limit= than {limit}, or leave them out")

    ax = new_axes(ax, (min(12.0, 2.2 + (3.2 if weights else 2.4) * len(columns)),
                       min(8.0, 1.8 + (0.75 if weights else 0.5) * tallest)))
    from matplotlib.cm import ScalarMappable
    from matplotlib.collections import LineCollection
    from matplotlib.colors import LinearSegmentedColormap, Normalize
    from matplotlib.patches import Circle
    top = network.largest()
    norm, colours = Normalize(-top, top), LinearSegmentedColormap.from_list("weights", DIVERGING)

    widest = 3.6 * min(1.0, (40 / max(map(len, edges))) ** 0.5)
    for between in edges:
        between.sort(key=lambda edge: abs(edge[0]))   # the largest on top
        ax.add_collection(LineCollection(
            [[a, b] for _, a, b in between], colors=[colours(norm(w)) for w, _, _ in between], zorder=1,
            linewidths=[0.3 + widest * abs(w) / top for w, _, _ in between],
            linestyles=["-" if w >= 0 else (0, (3, 1.2)) for w, _, _ in between]))
        if weights:
            _write_weights(ax, between)
    for mine, rows, has, bias in zip(units[1:], numbers, biases, biased, strict=False):
        if weights and has and not bias:
            for (x, y), row in zip(mine, rows, strict=True):
                _write(ax, x, y, _short(row[0]))
    ink, paper = import_matplotlib().rcParams["text.color"], ax.get_facecolor()
    fills: list[list[Any]] = [[paper] * len(units[0]), *[
        [paper if bias else colours(norm(row[0])) for row in rows] for rows, bias in zip(numbers, biased, strict=False)]]
    for mine, fill in zip(units, fills, strict=True):
        for place, colour in zip(mine, fill, strict=True):
            ax.add_patch(Circle(place, RADIUS, facecolor=colour, edgecolor=ink, linewidth=1.0, zorder=2))
    for x, y in [place for column in ones for place in column]:
        ax.add_patch(Circle((x, y), RADIUS, facecolor=paper, edgecolor=ink, linewidth=1.0, linestyle=":", zorder=2))
        ax.text(x, y, "+1", ha="center", va="center", fontsize=9, zorder=3)
    for n, column, places in zip(network.sizes, columns, where, strict=True):
        if None in column:
            x, y = places[column.index(None)]
            ax.text(x, y, "⋮", ha="center", va="center", fontsize=14, zorder=3)
            ax.text(x + 0.22, y, f"{n - len(column) + 1} more", ha="left", va="center", fontsize=8, zorder=3,
                    bbox={"boxstyle": "round,pad=0.15", "facecolor": paper, "edgecolor": "none", "alpha": 0.85})
    for i, side, names, letter in ((0, -1, inputs, "x"), (-1, 1, outputs, "ŷ")):
        for (x, y), k in zip(where[i], columns[i], strict=True):
            if k is not None:
                text = names[k] if names is not None else letter + subscript(k + 1) * (network.sizes[i] > 1)
                ax.text(x + side * (RADIUS + 0.12), y, literal(text), ha="right" if side < 0 else "left", va="center")
    captions = ["inputs" if network.sizes[0] > 1 else "input", *network.activations]
    ax.set_xticks([step * i for i in range(len(columns))],
                  [f"{n} {literal(caption, 20)}" for n, caption in zip(network.sizes, captions, strict=True)])
    ax.set(yticks=[], aspect="equal", xlim=(-1.1, step * (len(columns) - 1) + 1.1), ylim=(-tallest / 2, tallest / 2))
    ax.tick_params(axis="x", length=0)
    ax.spines[:].set_visible(False)
    if colorbar or (colorbar is None and not weights):
        ax.figure.colorbar(ScalarMappable(norm, colours), ax=ax, shrink=0.9, label="weight (line; dashed below 0) and bias "
                           + ("(line from +1)" if bias_units else "(unit)"))
    return ax


def _write_weights(ax: Axes, edges: Sequence[Edge]) -> None:
    """Each weight on its line, where no other is written: as near to its beginning as there is room."""
    taken: list[tuple[float, float, float]] = []   # the middle of a number, and half its width
    for w, (x0, y0), (x1, y1) in sorted(edges, key=lambda edge: (-edge[1][1], -edge[2][1])):
        text = _short(w)
        half = 0.075 * len(text)
        shares = [0.3 + 0.05 * i for i in range(10)] + [0.25, 0.2]
        places = [(x0 + t * (x1 - x0), y0 + t * (y1 - y0)) for t in shares]
        x, y = max(places, key=lambda place: min([0.02, *[max(abs(place[0] - a) - half - b, abs(place[1] - c) - 0.24)
                                                          for a, c, b in taken]]))
        taken.append((x, y, half))
        _write(ax, x, y, text)


def _write(ax: Axes, x: float, y: float, text: str) -> None:
    """A number in the picture, on a background of its own."""
    ax.text(x, y, text, ha="center", va="center", fontsize=8, zorder=2.5,
            bbox={"boxstyle": "round,pad=0.12", "facecolor": ax.get_facecolor(), "edgecolor": "none", "alpha": 0.9})


def _short(x: float) -> str:
    return f"{x + 0.0:.3g}".replace("-", "−")


def subscript(n: int) -> str:
    """The number n ≥ 0 as ₁₂."""
    return "".join(["₀₁₂₃₄₅₆₇₈₉"[int(digit)] for digit in str(n)])
