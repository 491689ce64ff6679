"""What a classifier makes of the plane, as a plot.

k outputs of a row x: one score, with a threshold between two classes, or one for each class, the largest wins.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from autograd.conversion import bounded

from .common import COLOURS, FINEST, MARKERS, literal, new_axes, whole
from .outputs import chosen, class_names, class_values, ends_in_sigmoid, examples, outputs, spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_decision_regions"]


def plot_decision_regions(model: Any, X: Any, y: Any, ax: Axes | None = None, *, resolution: int = 100,
                          threshold: float | None = None, classes: Sequence[Any] | None = None,
                          features: Sequence[str] = ("x₁", "x₂"), margin: float = 0.12) -> Axes:
    """The regions of the plane where `model` says each class, the borders between them, and the examples.

    model       a function of a row of two numbers: one score (the second of two classes above `threshold`), a score for
                each class, or a label that is an int or a str; or an object with `predict(rows)`, as scikit-learn's
    X, y        the examples: n rows of two numbers, and their classes, as labels or one-hot rows
    resolution  points along each axis at which the model is asked, 2 to 400; nothing is recorded of the calls
    threshold   of one score; by default ½ if the model ends in a sigmoid, else 0, as for a logit
    classes     the names of the classes, in their order, for the legend; `features`, those of the axes
    margin      how far the plane reaches beyond the examples, as a share of their range

    With `ax=None` it draws in a new figure. ValueError or TypeError for what is not drawable, ImportError without matplotlib.

    >>> from matplotlib.figure import Figure
    >>> ax = plot_decision_regions(lambda x: x[0] - x[1], [[0, 1], [1, 0]], [0, 1], Figure().subplots(), resolution=20)
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['class 0', 'class 1']
    """
    import numpy as np
    rows, labels = examples(X, y, "plot_decision_regions")
    if rows.shape[1] != 2:
        raise ValueError(f"plot_decision_regions: X has {rows.shape[1]} columns and a plane has two: choose them, as "
                         "X[:, [0, 1]], and train the model on those")
    whole("plot_decision_regions(resolution)", resolution, 2, FINEST)
    xs, ys = (spread(column, resolution, margin) for column in rows.T)
    grid = np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2)
    if callable(model):
        found = outputs(model, grid)
    elif hasattr(model, "predict"):
        found = np.asarray(model.predict(grid))
    else:
        raise TypeError(f"plot_decision_regions(model={bounded(model)}): give a function of a row, or an object with "
                        "predict(rows)")
    if found.ndim == 1:
        if isinstance(labels[0], str) != isinstance(found[0], str):
            raise ValueError(f"plot_decision_regions: y has labels as {bounded(labels[0])}, and the model gives "
                             f"{bounded(found[0])}")
        values = np.unique(np.concatenate([labels, found]))
        region = np.searchsorted(values, found)
        levels = [(region == k) - 0.5 for k in range(len(values))]
    else:
        values = class_values(labels, found.shape[1])
        cut = threshold if threshold is not None else 0.5 if ends_in_sigmoid(model) else 0.0
        region = chosen(found, cut)
        levels = [found[:, 0] - cut] if found.shape[1] == 1 else [
            found[:, k] - np.delete(found, k, axis=1).max(axis=1) for k in range(found.shape[1])]
    if len(values) > 20:
        raise ValueError(f"plot_decision_regions: there are {len(values)} different classes: y must hold classes, not "
                         "measurements")
    names = class_names(values, classes)

    ax = new_axes(ax, (6.0, 5.0))
    from matplotlib.colors import ListedColormap, to_rgb
    colours = [COLOURS[k % len(COLOURS)] for k in range(len(values))]
    tints = [tuple(1 - 0.3 * (1 - c) for c in to_rgb(colour)) for colour in colours]
    shape = (resolution, resolution)
    ax.pcolormesh(xs, ys, region.reshape(shape), cmap=ListedColormap(tints), vmin=-0.5, vmax=len(values) - 0.5,
                  shading="nearest", zorder=0, rasterized=True)
    for level in levels:
        if level.min() < 0 < level.max():
            ax.contour(xs, ys, level.reshape(shape), levels=[0.0], colors="#333333", linewidths=1.3, zorder=1)
    for k, value in enumerate(values):
        mine = rows[labels == value]
        ax.scatter(mine[:, 0], mine[:, 1], s=34, color=colours[k], marker=MARKERS[k % len(MARKERS)], edgecolors="black",
                   linewidths=0.7, label=literal(names[k]), zorder=2)
    ax.set(xlabel=literal(features[0]), ylabel=literal(features[1]), xlim=(xs[0], xs[-1]), ylim=(ys[0], ys[-1]))
    ax.legend(loc="best", framealpha=0.9)
    return ax

