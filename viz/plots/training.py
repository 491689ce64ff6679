"""Plots of a training, with matplotlib: losses, loss surfaces, the flow of gradients.

Every plot takes `ax`, and returns the axes it drew in. With `ax=None` that is a new figure of pyplot, which becomes the current
one; nothing is shown, and no setting of matplotlib is changed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from autograd import Value, errstate, grad, no_grad
from autograd.conversion import bounded

from .common import FINEST, LINE, SECOND, literal, new_axes, number, numbers, spans_decades, whole
from .outputs import history_columns

if TYPE_CHECKING:
    import numpy.typing as npt
    from matplotlib.axes import Axes

    Array = npt.NDArray[Any]

__all__ = ["plot_gradient_flow", "plot_loss", "plot_loss_surface"]

Function = Callable[..., Any]


def plot_loss(history: Any, ax: Axes | None = None, *, names: Sequence[str] = ("loss", "val_loss"),
              log: bool | None = None) -> Axes:
    """The loss over the epochs, and the validation loss with a ring where it is least (largest, if it was maximised).

    history  what `nn.fit` returns, rows as its (dicts with the columns `names`, and epoch), columns {"loss": numbers}, or
             the numbers alone
    names    the columns to draw, of those that are there
    log      whether the axis of the losses is logarithmic: by default if they are positive and span more than a factor of 20

    With `ax=None` it draws in a new figure. ValueError if there is nothing to draw or a number is not finite, ImportError
    without matplotlib.

    >>> from matplotlib.figure import Figure
    >>> ax = plot_loss([1.0, 0.5, 0.01], Figure().subplots())
    >>> ax.lines[0].get_xydata().tolist(), ax.get_yscale()
    ([[1.0, 1.0], [2.0, 0.5], [3.0, 0.01]], 'log')
    """
    epochs, columns = history_columns(history, names, "plot_loss")
    log = spans_decades([x for column in columns.values() for x in column]) if log is None else log
    ax = new_axes(ax)
    best, word = (max, "largest") if getattr(history, "maximize", False) else (min, "least")
    styles = (("-", LINE), ("--", SECOND), ("-.", "#009e73"), (":", "#4d4d4d"))
    for (name, column), (style, colour) in zip(columns.items(), styles * len(columns), strict=False):
        label = {"loss": "training loss", "val_loss": "validation loss"}.get(name, name)
        ax.plot(epochs, column, style, color=colour, linewidth=1.8, label=literal(label),
                marker="o" if len(epochs) == 1 else "")
        if name == "val_loss" and len(column) > 1:
            i = best(range(len(column)), key=column.__getitem__)
            ax.plot([epochs[i]], [column[i]], "o", markersize=7, markerfacecolor="none", markeredgecolor=colour,
                    markeredgewidth=1.6, label=f"{word}: {column[i]:.4g} in epoch {epochs[i]:g}")
    of = getattr(history, "loss_name", "")
    ax.set(xlabel="epoch", ylabel=literal(f"loss ({of.replace('_', ' ')})" if of else "loss", 60))
    if log:
        ax.set_yscale("log")
    from matplotlib.ticker import MaxNLocator
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.grid(alpha=0.25)
    ax.legend()
    return ax


def plot_loss_surface(f: Function, x: tuple[float, float] = (-3.0, 3.0), y: tuple[float, float] | None = None,
                      ax: Axes | None = None, *, path: Sequence[Any] | None = None, start: Any = None, rate: float = 0.1,
                      steps: int = 20, maximize: bool = False, resolution: int = 80,
                      names: Sequence[str] = ("w₁", "w₂")) -> Axes:
    """A loss of one parameter as a curve, of two as a map of heights, and a descent on it.

    f           the loss: a function of one Value, or of two if `y` is given
    x, y        the range of each parameter
    path        the points of a descent: numbers, or pairs; or else
    start       where gradient descent begins: w ← w − rate · df/dw, `steps` times, and the path is drawn
    maximize    whether to ascend instead, w ← w + rate · df/dw, on an objective as a log likelihood
    resolution  points along each axis, 2 to 400;  names  of the parameters

    With `ax=None` it draws in a new figure. ValueError or TypeError for what is not drawable, ImportError without matplotlib.

    >>> from matplotlib.figure import Figure
    >>> ax = plot_loss_surface(lambda w: w ** 2, start=2.0, rate=0.25, steps=2, ax=Figure().subplots())
    >>> ax.lines[1].get_xydata().tolist()
    [[2.0, 4.0], [1.0, 1.0], [0.5, 0.25]]
    """
    import numpy as np
    if not callable(f):
        raise TypeError(f"plot_loss_surface({bounded(f)}): give a function of one parameter, or of two and the range y=")
    whole("plot_loss_surface(resolution)", resolution, 2, FINEST)
    of, way = ("objective", "ascent") if maximize else ("loss", "descent")
    ranges = [x] if y is None else [x, y]
    for name, limits in zip("xy", ranges, strict=False):
        if not (len(limits) == 2 and limits[0] < limits[1] and math.isfinite(limits[1] - limits[0])):
            raise ValueError(f"plot_loss_surface({name}={limits!r}): give two numbers, the smaller one first")

    def height(*w: float) -> float:
        with no_grad(), errstate(invalid="ignore", divide="ignore"):
            return number(f(*map(Value, w)))
    axes = [np.linspace(*limits, resolution) for limits in ranges]
    heights = np.array([height(*w) for w in np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, len(axes)).tolist()])
    if not np.isfinite(heights).any():
        raise ValueError(f"plot_loss_surface: the {of} has no finite number in {', '.join(map(str, ranges))}")
    if path is None and start is not None:
        path = _descent(f, start, len(axes), rate if maximize else -rate, steps)
    points = None if path is None else _points(path, len(axes))

    ax = new_axes(ax, (6.4, 5.0) if y else (6.4, 4.2))
    if y is None:
        ax.plot(axes[0], heights, color=LINE, linewidth=2, label=of)
        ax.set(xlabel=literal(names[0]), ylabel=of, xlim=x)
        if points is not None:
            points = np.column_stack([points, [height(*w) for w in points.tolist()]])
    else:
        _heights(ax, axes, np.ma.masked_invalid(heights.reshape(resolution, resolution)), of, maximize)
        ax.set(xlabel=literal(names[0]), ylabel=literal(names[1]), xlim=x, ylim=y)
    if points is not None:
        from matplotlib.patheffects import Normal, Stroke
        colour = SECOND if y is None else "white"
        ax.plot(points[:, 0], points[:, 1], "-o", color=colour, linewidth=1.6, markersize=4, zorder=3,
                markeredgecolor="black", markeredgewidth=0.7,
                path_effects=[Stroke(linewidth=3.2, foreground="black"), Normal()],
                label=f"{way}, {len(points) - 1} step{'s' * (len(points) != 2)}")
        ax.plot(*points[0], "s", color="white", markersize=8, markeredgecolor="black", label="start", zorder=4)
        ax.plot(*points[-1], "*", color="white", markersize=11, markeredgecolor="black", label="end", zorder=5)
        ax.legend(framealpha=0.9)
    return ax


def _heights(ax: Axes, axes: list[Array], heights: Any, of: str, maximize: bool) -> None:
    """Filled contours, denser near the least height, or the largest, where a descent or an ascent needs them."""
    import numpy as np
    from matplotlib.colors import BoundaryNorm
    low, high = float(heights.min()), float(heights.max())
    shares = np.linspace(0.0, 1.0, 16) ** 3
    levels = low + ((high - low) or 1.0) * (1.0 - shares[::-1] if maximize else shares)
    filled = ax.contourf(*axes, heights, levels=levels, cmap="cividis", norm=BoundaryNorm(levels, 256))
    ax.contour(*axes, heights, levels=levels[1:-1], colors="white", linewidths=0.5, alpha=0.6)
    ax.figure.colorbar(filled, ax=ax, label=of, ticks=levels[::3], format="%.3g")


def _descent(f: Function, start: Any, n: int, rate: float, steps: int) -> list[list[float]]:
    """The points of w ← w + rate · df/dw."""
    gradient = grad(f, tuple(range(n)))
    w = _points([start], n)[0].tolist()
    path = [w]
    for _ in range(steps):
        w = [wi + rate * g for wi, g in zip(w, gradient(*w), strict=True)]
        path.append(w)
    return path


def _points(path: Any, n: int) -> Array:
    """Points of n numbers each, shape (k, n)."""
    import numpy as np
    points = np.array([numbers(p) for p in path], dtype=float)
    if points.ndim != 2 or points.shape[1] != n or not np.isfinite(points).all():
        raise ValueError(f"plot_loss_surface: the path {bounded(path)} must hold points of {n} finite number{'s' * (n > 1)}")
    return points


def plot_gradient_flow(model: Any, ax: Axes | None = None) -> Axes:
    """The mean and the largest |gradient| of each layer's parameters after `backward()`: whether they vanish or explode.

    model   has `named_parameters()`, as nn's; or these pairs (name, Value), or {name: Value}. A layer is what its
            parameters' names have before ".neurons", or before the last part that is no number

    With `ax=None` it draws in a new figure. ValueError if there is no gradient yet or one is not finite, TypeError for
    another argument, ImportError without matplotlib.

    >>> from matplotlib.figure import Figure
    >>> w, b = Value(2.0), Value(1.0)
    >>> ((w * 3.0 + b) ** 2).backward()
    >>> ax = plot_gradient_flow({"line.w.0": w, "line.b": b}, Figure().subplots())
    >>> [float(bar.get_height()) for bar in ax.patches]
    [28.0, 42.0]
    """
    layers: dict[str, list[float]] = {}
    for name, v in _named_parameters(model):
        if not math.isfinite(v.grad):
            raise ValueError(f"plot_gradient_flow: the gradient of {bounded(name)} is {v.grad}: autograd.gradcheck finds where "
                             "it comes from")
        layers.setdefault(_layer(name), []).append(abs(v.grad))
    if not any(g for gradients in layers.values() for g in gradients):
        raise ValueError("plot_gradient_flow: every gradient is 0: call backward() of a loss first, and plot before "
                         "zero_grad()")
    mean, largest = ([statistic(g) for g in layers.values()] for statistic in (lambda g: math.fsum(g) / len(g), max))
    ax = new_axes(ax, (max(4.5, 1.5 + 0.9 * len(layers)), 4.2))
    places = range(len(layers))
    ax.bar([i - 0.2 for i in places], mean, 0.38, color=LINE, label="mean |gradient|")
    ax.bar([i + 0.2 for i in places], largest, 0.38, color="#f7c96b", edgecolor="#4d4d4d", hatch="//",
           label="largest |gradient|")
    if spans_decades([g for g in (*mean, *largest) if g]):
        ax.set_yscale("log")
    for i in places:
        if largest[i] == 0:
            ax.annotate("0", (i, 0.0), xycoords=("data", "axes fraction"), ha="center", va="bottom", fontweight="bold")
    ax.set_xticks(list(places), [literal(f"{name} ({len(g)})") for name, g in layers.items()],
                  rotation=30 if len(layers) > 4 else 0)
    ax.set(xlabel="layer (number of parameters), from the input on", ylabel="|gradient|")
    ax.grid(axis="y", alpha=0.25)
    ax.set_axisbelow(True)
    ax.legend()
    return ax


def _named_parameters(model: Any) -> list[tuple[str, Value]]:
    found = model.named_parameters() if hasattr(model, "named_parameters") else model
    pairs = list(found.items() if isinstance(found, Mapping) else found) if isinstance(found, Iterable) else None
    if not pairs or not all(isinstance(p, tuple) and len(p) == 2 and isinstance(p[1], Value) for p in pairs):
        raise TypeError(f"plot_gradient_flow({bounded(model)}): give a model with named_parameters(), or {{name: Value}}")
    return [(str(name), v) for name, v in pairs]


def _layer(name: str) -> str:
    if ".neurons." in name:
        return name.split(".neurons.", maxsplit=1)[0]
    parts = name.split(".")
    while len(parts) > 1 and parts[-1].isdigit():
        parts.pop()
    return ".".join(parts[:-1]) or parts[0]
