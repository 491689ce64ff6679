"""To test derivatives with: assertions, strategies for hypothesis, and a command that compares all ways to a derivative.

The assertions need nothing but the engine; the strategies need hypothesis (the extra `testing`) and are loaded when they
are asked for. `python3 -m autograd.testing --minutes 5` draws programs by itself. README.md, beside this file, begins at the
beginning.
"""

from typing import TYPE_CHECKING, Any

from .asserts import assert_derivative, assert_gradients, assert_same
from .programs import Program

if TYPE_CHECKING:
    from .strategies import expressions, networks, points, primitives, values

__all__ = ["Program", "assert_derivative", "assert_gradients", "assert_same", "expressions", "networks", "points", "primitives",
           "values"]


def __getattr__(name: str) -> Any:
    """The strategies are loaded when they are asked for: ImportError says what they need."""
    if name in __all__:
        from . import strategies
        return getattr(strategies, name)
    raise AttributeError(f"module 'autograd.testing' has no attribute {name!r}")
