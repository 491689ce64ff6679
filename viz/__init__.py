"""Pictures and tables of what `autograd` computes. It reads graphs; it never changes them.

`draw` a graph, typeset the ξ `table` of a computation; `plot_…` activations, losses, regions, networks and gradients
with matplotlib; show a training as a `training_movie`.
"""

try:
    from autograd import PRIMITIVES as _PRIMITIVES  # noqa: F401
except ImportError as error:
    raise ImportError("the package 'autograd' that was found is not xigrad's (HIPS autograd has the same name): "
                      "install xigrad in an environment of its own") from error

from .formulas import Table, XiTables, table, to_ascii
from .graphs import Picture, draw, draw_dot, draw_neuron, picture_or_none
from .pages import Explorer, Movie, Recorder, explore, training_movie
from .plots import (
    plot_activation,
    plot_activations,
    plot_decision_regions,
    plot_feature_maps,
    plot_gradient_flow,
    plot_images,
    plot_loss,
    plot_loss_surface,
    plot_network,
    plot_weights,
)

__all__ = [
    "Explorer", "Movie", "Picture", "Recorder", "Table", "XiTables", "draw", "draw_dot", "draw_neuron", "explore",
    "picture_or_none", "plot_activation", "plot_activations", "plot_decision_regions", "plot_feature_maps",
    "plot_gradient_flow", "plot_images", "plot_loss", "plot_loss_surface", "plot_network", "plot_weights", "table",
    "to_ascii", "training_movie",
]
