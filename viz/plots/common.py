"""What the plots share: their axes, text that stays text, colours that differ for every eye."""

from __future__ import annotations

import math
from operator import index
from typing import TYPE_CHECKING, Any

from autograd import Value
from autograd.conversion import bounded

from ..graphs.svg import visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's colours, which colour-blind people tell apart; neighbours differ in lightness too, for a copier
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#4d4d4d")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
FINEST = 400   # points along an axis of a plane: 160 000 calls
LINE, SECOND = COLOURS[0], COLOURS[5]
DIVERGING = ("#8c3b00", "#d9822b", "#d2d2d2", "#3f8fca", "#003f7d")   # −max … 0 … +max: as dark on both sides


def import_matplotlib() -> Any:
    """The package; ImportError with the remedy where it is missing."""
    try:
        import matplotlib
    except ImportError as error:
        raise ImportError('plots are drawn with matplotlib, which is not installed: pip install "xigrad[plot]"') from error
    return matplotlib


def new_axes(ax: Axes | None, size: tuple[float, float] = (6.4, 4.4)) -> Axes:
    """`ax`, or, if it is None, the axes of a new figure of pyplot, which becomes the current one."""
    import_matplotlib()
    if ax is None:
        from matplotlib import pyplot
        return pyplot.subplots(figsize=size, layout="constrained")[1]
    if not hasattr(ax, "transData"):
        raise TypeError(f"ax={bounded(ax)}: give one matplotlib Axes, as plt.subplots()[1], or None for a new figure")
    return ax


def literal(text: Any, limit: int = 32) -> str:
    r"""`text` as matplotlib shows it unchanged: in one line, `$` no mathematics, a first `_` no reason to leave it out.

    >>> print(literal("$\\alpha$"), literal("_x"))
    \$\alpha\$  _x
    """
    shown = visible(str(text), limit).replace("$", r"\$")
    return " " + shown if shown.startswith("_") else shown


def number(x: Any) -> float:
    """The float of a Value or of a number."""
    return x.data if isinstance(x, Value) else float(x)


def numbers(x: Any) -> list[float]:
    """The floats of a list or an array of Values or numbers, or of one."""
    return [number(v) for v in (x if hasattr(x, "__iter__") and getattr(x, "shape", None) != () else [x])]


def whole(name: str, n: Any, least: int, most: float = math.inf) -> int:
    """n as an int from `least` to `most`; ValueError that names it otherwise, TypeError if it is no whole number."""
    try:
        found = index(n)
    except TypeError:
        raise TypeError(f"{name}={bounded(n)}: give a whole number") from None
    if not least <= found <= most:
        raise ValueError(f"{name}={n}: give {f'{least} to {most}' if most < math.inf else f'at least {least}'}")
    return found


def spans_decades(xs: list[float]) -> bool:
    """Whether a logarithmic axis fits: positive numbers, the largest more than 20 times the smallest."""
    return bool(xs) and min(xs) > 0 and max(xs) > 20 * min(xs)
