"""Pictures of graphs as SVG and DOT. It uses formulas; plots and pages may use it."""

from .drawing import draw, draw_dot, picture_or_none
from .neuron import draw_neuron
from .picture import Picture

__all__ = [
    "Picture", "draw", "draw_dot", "draw_neuron", "picture_or_none",
]
