"""Model files without pickle. It uses the flat part and `nn.lectures`; training writes its checkpoints with it."""

from .models import load, load_extra, register, save

__all__ = [
    "load", "load_extra", "register", "save",
]
