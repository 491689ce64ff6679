"""Activations and their derivatives as plots; where one jumps, what the engine says there is drawn."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import autograd
from autograd import Value, errstate, value_and_grad
from autograd.conversion import bounded

from .common import LINE, SECOND, import_matplotlib, literal, new_axes, number, whole

if TYPE_CHECKING:
    import numpy.typing as npt
    from matplotlib.axes import Axes

__all__ = ["plot_activation", "plot_activations"]

Function = Callable[..., Any]
Jump = tuple[float, float, float, float]   # where, the value to its left, at it, to its right
ACTIVATIONS = ("heaviside", "sign", "sigmoid", "tanh", "relu", "leaky_relu", "softplus", "silu")   # of autograd's functions
HAIR = 1e-7   # of the range: how near to a jump its sides are measured


def plot_activation(f: Function | str, ax: Axes | None = None, *, limits: tuple[float, float] = (-4.0, 4.0),
                    name: str | None = None, points: int = 401) -> Axes:
    """An activation and its derivative, which the engine computes. Where one jumps, a dot is its value and a ring is not.

    f       a function of one Value, an activation of `nn.ACTIVATIONS`, or the name of a function of `autograd`. A function
            of any number of arguments, as maxout, is drawn for (z, −z)
    limits  the range of z;  points  how many are computed, at least 2
    name    the title

    With `ax=None` it draws in a new figure. ValueError or TypeError for what is not drawable, ImportError without matplotlib.

    >>> from matplotlib.figure import Figure
    >>> ax = plot_activation("tanh", Figure().subplots(), points=5)
    >>> [line.get_label() for line in ax.lines[-2:]], float(ax.lines[-1].get_ydata()[2])
    (['a = g(z)', 'derivative g′(z)'], 1.0)
    """
    f, called = _activation(f)
    low, high = limits
    if not low < high or not math.isfinite(high - low):
        raise ValueError(f"plot_activation(limits={limits!r}): give two numbers, the smaller one first")
    whole("plot_activation(points)", points, 2)
    zs = [low + (high - low) * i / (points - 1) for i in range(points)]
    both = value_and_grad(f)

    def value(z: float) -> float:
        with errstate(invalid="ignore", divide="ignore"):
            return number(f(Value(z)))

    def slope(z: float) -> float:
        with errstate(invalid="ignore", divide="ignore"):
            try:
                return float(both(z)[1])
            except FloatingPointError:   # there is none
                return math.nan
    ax = new_axes(ax, (5.0, 3.6))
    ax.axhline(0.0, color="#999999", linewidth=0.7, zorder=0)
    ax.axvline(0.0, color="#999999", linewidth=0.7, zorder=0)
    for g, colour, style, label in ((value, LINE, "-", "a = g(z)"), (slope, SECOND, "--", "derivative g′(z)")):
        xs, ys, jumps = _curve(g, zs)
        ax.plot(xs, ys, style, color=colour, linewidth=2.2 if g is value else 1.8, label=label)
        for z, left, here, right in jumps:
            rings = [y for y in (left, right) if not math.isclose(y, here, rel_tol=1e-5, abs_tol=1e-5)]
            ax.scatter([z] * len(rings), rings, s=22, facecolors=ax.get_facecolor(), edgecolors=colour, linewidths=1.3,
                       zorder=3)
            ax.scatter([z], [here], s=22, color=colour, zorder=4)
    ax.set(xlabel="z", title=literal(name or called), xlim=limits)
    ax.legend(loc="best", framealpha=0.9)
    return ax


def plot_activations(functions: Mapping[str, Function] | None = None, *, columns: int = 4,
                     limits: tuple[float, float] = (-4.0, 4.0)) -> npt.NDArray[Any]:
    """A sheet of activations with their derivatives, as the table of the lectures: a new figure, whose axes are returned.

    functions  {name: function of one Value}, as `nn.ACTIVATIONS`; by default those of `autograd` itself
    columns    plots in a row;  limits  the range of z

    >>> axes = plot_activations({"relu": autograd.relu, "softplus": autograd.softplus}, columns=2)
    >>> [ax.get_title() for ax in axes.flat]
    ['relu', 'softplus']
    """
    functions = {name: getattr(autograd, name) for name in ACTIVATIONS} if functions is None else functions
    if not isinstance(functions, Mapping) or not functions:
        raise TypeError(f"plot_activations({bounded(functions)}): give {{name: function}}, as nn.ACTIVATIONS")
    columns = min(whole("plot_activations(columns)", columns, 1), len(functions))
    rows = -(-len(functions) // columns)
    import_matplotlib()
    from matplotlib import pyplot
    figure, axes = pyplot.subplots(rows, columns, figsize=(3.1 * columns, 2.5 * rows + 0.4), layout="constrained",
                                   squeeze=False, sharex=True)
    for ax, (name, f) in zip(axes.flat, functions.items(), strict=False):
        plot_activation(f, ax, limits=limits, name=f"{name}(z, −z)" if _takes_many(f) else name, points=241)
        ax.get_legend().remove()
        ax.set_xlabel("")
    for ax in axes.flat[len(functions):]:
        ax.set_axis_off()
    for ax in axes.flat[len(functions) - columns:len(functions)]:
        ax.set_xlabel("z")
        ax.tick_params(labelbottom=True)
    figure.legend(handles=axes[0, 0].lines[-2:], loc="outside upper center", ncols=2, frameon=False)
    return axes


def _activation(f: Function | str) -> tuple[Function, str]:
    """(the function of one Value, its name)."""
    if isinstance(f, str):
        if f not in autograd.functions.__all__:
            raise ValueError(f"plot_activation({bounded(f)}): no function of autograd has this name; those of nn are "
                             f"nn.ACTIVATIONS[{bounded(f)}], and any function of one Value will do")
        f = getattr(autograd, f)
    if not callable(f):
        raise TypeError(f"plot_activation({bounded(f)}): give a function of one Value, or the name of one of autograd's")
    name = str(getattr(f, "name", None) or getattr(f, "__name__", None) or type(f).__name__)
    return (lambda z: getattr(f, "function", f)(z, -z), f"{name}(z, −z)") if _takes_many(f) else (f, name)


def _takes_many(f: Any) -> bool:
    """Whether it is a Python function of any number of arguments, or an activation's row that holds one."""
    code = getattr(getattr(f, "function", f), "__code__", None)
    return code is not None and bool(code.co_flags & inspect.CO_VARARGS)


def _curve(g: Callable[[float], float], zs: list[float]) -> tuple[list[float], list[float], list[Jump]]:
    """(zs, g(zs), jumps); the curve is interrupted by nan at each jump."""
    ys = [g(z) for z in zs]
    hair = HAIR * (zs[-1] - zs[0])
    places = set(_places(g, list(zip(zs, ys, strict=True)), hair))
    jumps = [(z, g(z - hair), g(z), g(z + hair)) for z in sorted(places)]
    curve = [(z, y) for z, y in zip(zs, ys, strict=True) if all([abs(z - place) > hair for place in places])]
    curve += [side for z, left, _, right in jumps for side in ((z - hair, left), (z, math.nan), (z + hair, right))]
    curve.sort(key=lambda point: point[0])
    return [z for z, _ in curve], [y for _, y in curve], jumps


def _places(g: Callable[[float], float], points: list[tuple[float, float]], hair: float) -> Iterable[float]:
    """Where g jumps: where two neighbours differ, and still do when the interval between them is halved to nothing."""
    finite = [y for _, y in points if math.isfinite(y)] or [0.0]
    much = 1e-3 * (max(finite) - min(finite))
    for left, right in pairwise(points):
        (a, ya), (b, yb) = left, right
        while abs(yb - ya) > much and b - a > hair / 10:
            z = (a + b) / 2
            y = g(z)
            a, ya, b, yb = (a, ya, z, y) if abs(y - ya) >= abs(yb - y) else (z, y, b, yb)
        if abs(yb - ya) > much:
            yield round((a + b) / 2, -math.ceil(math.log10(hair))) + 0.0   # the round number that a person chose
