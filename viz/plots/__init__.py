"""Plots with matplotlib, which is imported where it draws. It uses `viz.graphs` for the width of text; pages may use it."""

from .activations import plot_activation, plot_activations
from .images import plot_feature_maps, plot_images, plot_weights
from .network import plot_network
from .regions import plot_decision_regions
from .training import plot_gradient_flow, plot_loss, plot_loss_surface

__all__ = [
    "plot_activation", "plot_activations", "plot_decision_regions", "plot_feature_maps", "plot_gradient_flow", "plot_images",
    "plot_loss", "plot_loss_surface", "plot_network", "plot_weights",
]
