"""A neuron as the lectures draw it: inputs, weights, the sum Σ, the activation, the output. Source: CS114; CS230, Section 3."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autograd import Value, no_grad
from autograd.conversion import bounded

from ..formulas.notation import TEXT
from ..formulas.notation import width as columns
from .dot import BARE, head, html, spline
from .layout import Point
from .picture import Picture
from .svg import CELL, INK, LINE, MONOSPACE, STYLES, _xml, visible

__all__ = ["draw_neuron"]

STEP, UNIT, REACH = 40.0, 26.0, 320.0   # px: between inputs, the radius of Σ, from the inputs to it
WEIGHT = 0.3                            # how far along it the weights stand


def draw_neuron(neuron: Any, x: Sequence[Any] | None = None, *, unit: int | None = None, limit: int = 16) -> Picture:
    """The picture of one unit: z = b + Σ wᵢxᵢ, and a = g(z), which is called ŷ at the end of a model.

    neuron   anything with `w`, a list of weights, and, as far as it has them, `b`, the bias, and `activation`, a name; or
             `link_name`, the name of its output unit, and `link`, which makes of a list of z one of ŷ, as the lectures' models
    x        the inputs, numbers or Values; with them the picture has z, and the output if the neuron can be called
    unit     of a layer, or a model with several outputs, which one is drawn, from 0
    limit    how many inputs are drawn, at least 2; those left out in the middle are counted

    TypeError unless the neuron has weights, ValueError if there are not as many inputs as weights, or no such unit.

    >>> class Gate:
    ...     w, b, activation = [Value(20.0), Value(20.0)], Value(-30.0), "sigmoid"
    >>> draw_neuron(Gate())
    <Picture of 6 nodes, placed by draw_neuron>
    """
    layer = None
    if unit is not None:
        layer, units = neuron, getattr(neuron, "neurons", None) or getattr(neuron, "models", None) or ()
        if not 0 <= unit < len(units):
            raise ValueError(f"draw_neuron(unit={bounded(unit)}): {bounded(neuron)} has "
                             + (f"the units 0 to {len(units) - 1}" if units else "no units; leave it out"))
        neuron = units[unit]
    weights = getattr(neuron, "w", None)
    if not isinstance(weights, (list, tuple)) or not weights:
        raise TypeError(f"draw_neuron() got {bounded(neuron)}: it takes one neuron, whose w is a list of weights; "
                        "of a layer choose one with unit=0")
    if x is not None and len(x) != len(weights):
        raise ValueError(f"draw_neuron(x=…) has {len(x)} inputs, the neuron has {len(weights)} weights")
    if limit < 2:
        raise ValueError(f"draw_neuron(limit={bounded(limit)}): draw at least 2 inputs")
    bias = getattr(neuron, "b", None)
    rows = [] if bias is None else [("1", f"{_label(bias, 'b')} = {_number(bias)}")]
    for i, w in enumerate(weights):
        name = f"x{i + 1}" if x is None else f"{_label(x[i], f'x{i + 1}')} = {_number(x[i])}"
        rows.append((name, f"{_label(w, f'w{i + 1}')} = {_number(w)}"))
    extra = len(rows) - limit
    if extra > 0:
        rows[limit // 2:limit // 2 + extra] = [(f"… {extra} more", "")]
    index, z = "" if unit is None else "".join(["₀₁₂₃₄₅₆₇₈₉"[int(digit)] for digit in str(unit + 1)]), ""
    if x is not None:
        total = sum([_plain(w) * _plain(v) for w, v in zip(weights, x, strict=True)], _plain(bias or 0.0))
        z = f"z{index} = {TEXT.number(total, 6)}"
    return _picture(rows, z, *_output(neuron, x, layer, unit, index))


def _output(neuron: Any, x: Sequence[Any] | None, layer: Any, unit: int | None, index: str) -> tuple[str, str]:
    """(the activation or output unit, as σ; what comes out, as ŷ = σ(z) = 0.5)."""
    model = layer if hasattr(layer, "link") else neuron
    output = getattr(model, "link_name", None)
    activation = output if isinstance(output, str) else getattr(neuron, "activation", None) or "linear"
    name = activation if isinstance(activation, str) else getattr(activation, "__name__", "g")
    g = visible({"sigmoid": "σ"}.get(name, name))
    result = f"{'a' if output is None else 'ŷ'}{index} = " + (
        f"z{index}" if name == "linear" else f"{g}(z){index}" if name == "softmax" else f"{g}(z{index})")
    if x is None or not callable(neuron):
        return g, result
    if hasattr(model, "link"):
        with no_grad():
            zs, at = (model.z(x), unit or 0) if model is layer else ([model.z(x)], 0)
            return g, f"{result} = {_number(model.link(zs)[at])}"
    return g, f"{result} = {_number(neuron(x))}" if output is None else result


def _picture(rows: Sequence[tuple[str, str]], z: str, activation: str, output: str) -> Picture:
    """`rows` are what comes in, and by which weight."""
    left = 23 + CELL * max([columns(name) for name, _ in rows])
    sigma = left + REACH
    box = max(58.0, CELL * columns(activation) + 22)
    door = sigma + UNIT + max(50.0, CELL * columns(z) + 24)   # the activation's left border
    end = door + box + 50
    width, height = end + CELL * columns(output) + 22, max(STEP * len(rows), 2 * UNIT) + 28
    middle = height / 2
    first = middle - STEP * (len(rows) - 1) / 2
    lines, weights, texts = [], [], [
        (door + box / 2, middle + 4, activation, "middle"), ((sigma + UNIT + door) / 2, middle - 8, z, "middle"),
        (end + 8, middle + 4, output, "start")]
    fill, border, *_ = STYLES["result"]
    root_fill, root_border, *_ = STYLES["root"]
    dot = [*head("neuron", "LR"),
           _placed("sum", "Σ", sigma, middle, (2 * UNIT, 2 * UNIT),
                   f'shape=circle fontsize=24 style=filled fillcolor="{fill}" color="{border}"'),
           _placed("activation", activation, door + box / 2, middle, (box, 40.0),
                   f'style=filled fillcolor="{root_fill}" color="{root_border}"'),
           _placed("output", output, end + 8 + CELL * columns(output) / 2, middle)]
    for i, (name, weight) in enumerate(rows):
        y = first + STEP * i
        texts.append((left - 11, y + 4, name, "end"))
        if weight:
            lines.append((left, y, sigma - UNIT, middle))
            weights.append((left + WEIGHT * REACH, y + WEIGHT * REACH / (REACH - UNIT) * (middle - y) + 4, weight, "middle"))
            dot += [_placed(f"x{i}", name, left - 11 - CELL * columns(name) / 2, y),
                    _link(f"x{i} -> sum", lines[-1], weight, *weights[-1][:2])]
    lines += [(sigma + UNIT, middle, door, middle), (door + box, middle, end, middle)]
    dot += [_link("sum -> activation", lines[-2], z, (sigma + UNIT + door) / 2, middle - 8),
            _link("activation -> output", lines[-1])]
    title = f"A neuron: {len(rows)} inputs, their sum, the activation {activation}"
    svg = [f'<svg xmlns="http://www.w3.org/2000/svg" class="neuron" role="img" aria-label="{_xml(title)}" width="{width:.0f}" '
           f'height="{height:.0f}" viewBox="0 0 {width:.1f} {height:.1f}" font-family="{MONOSPACE}" font-size="12" '
           f'fill="{INK}">',
           f'<rect class="background" width="{width:.1f}" height="{height:.1f}" rx="8" fill="#fff"/>',
           *[_arrow(*line) for line in lines],
           *[f'<circle cx="{left:.1f}" cy="{y:.1f}" r="5" fill="{STYLES["leaf"][1]}"/>' for _, y, *_ in lines[:-2]],
           f'<circle cx="{sigma:.1f}" cy="{middle:.1f}" r="{UNIT}" fill="{fill}" stroke="{border}" stroke-width="1.2"/>',
           f'<rect x="{door:.1f}" y="{middle - 20:.1f}" width="{box:.1f}" height="40" rx="4" fill="{root_fill}" '
           f'stroke="{root_border}" stroke-width="1.2"/>',
           f'<text x="{sigma:.1f}" y="{middle + 8:.1f}" text-anchor="middle" font-size="24">Σ</text>', *map(_text, texts),
           *[f'<rect x="{tx - CELL * columns(text) / 2 - 3:.1f}" y="{ty - 12:.1f}" width="{CELL * columns(text) + 6:.1f}" '
             f'height="16" fill="#fff"/>' for tx, ty, text, _ in weights], *map(_text, weights), "</svg>"]
    return Picture("\n".join(svg) + "\n", "\n".join([*dot, "}"]) + "\n", "draw_neuron", len(rows) + 3)


def _text(at: tuple[float, float, str, str]) -> str:
    x, y, text, anchor = at
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{_xml(text)}</text>'


def _arrow(x: float, y: float, to_x: float, to_y: float) -> str:
    length = ((to_x - x) ** 2 + (to_y - y) ** 2) ** 0.5
    ux, uy = (to_x - x) / length, (to_y - y) / length
    foot = (to_x - 7 * ux, to_y - 7 * uy)
    sides = " ".join([f"{foot[0] + s * 3 * uy:.1f},{foot[1] - s * 3 * ux:.1f}" for s in (-1, 1)])
    return (f'<path d="M{x:.1f} {y:.1f}L{foot[0]:.1f} {foot[1]:.1f}" stroke="{LINE}" stroke-width="1.2"/>'
            f'<polygon points="{to_x:.1f},{to_y:.1f} {sides}" fill="{LINE}"/>')


def _label(v: Any, default: str) -> str:
    label = getattr(v, "label", None)
    return visible(default if label is None else str(label))


def _plain(v: Any) -> float:
    return float(v.data if isinstance(v, Value) else v)


def _number(v: Any) -> str:
    return str(TEXT.number(_plain(v), 4))


def _placed(key: str, text: str, x: float, y: float, size: Point | None = None, style: str = "shape=plaintext") -> str:
    """A node of DOT where the SVG has it."""
    width, height = size or (CELL * columns(text), 20.0)
    return (f'  {key} [label=<{html(text)}> {style} width="{width / 72:.4f}" height="{height / 72:.4f}" '
            f'pos="{x:.1f},{-y:.1f}"]')


def _link(ends: str, line: tuple[float, float, float, float], label: str = "", x: float = 0.0, y: float = 0.0) -> str:
    """An edge of DOT where the SVG has it, and what is written on it around (x, y)."""
    text = f'<TABLE BORDER="0" {BARE} BGCOLOR="white"><TR><TD>{html(label)}</TD></TR></TABLE>'
    return (f'  {ends} [pos="{spline([line[:2]] * 3 + [line[2:]])}"'
            + f' label=<{text}> lp="{x:.1f},{4 - y:.1f}"' * bool(label) + "]")
