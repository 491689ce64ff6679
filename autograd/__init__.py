"""A scalar reverse-mode automatic differentiation engine: a Value records what is computed from it.

>>> W, X, y = Value(3, label="W"), Value(3, label="X"), Value(1, label="y")
>>> L = -y * log(1 / (1 + exp(-W * X)))
>>> L.backward()
>>> W.grad
-0.00037018372795869517
"""

from typing import TYPE_CHECKING, Any

from . import functions
from .check import gradcheck
from .derive import grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp
from .functions import *  # noqa: F403
from .graph import topological
from .primitive import PRIMITIVES, Primitive, errstate, primitive
from .recording import no_grad
from .structure import grads, numbers, values
from .value import Value

if TYPE_CHECKING:
    from .compiler import Compiled, TraceError, compile_function
    from .compiler import compile as compile  # not in __all__: Python has a function of this name
    from .path import paths

__all__ = [  # noqa: PLE0604
    "PRIMITIVES", "Compiled", "Primitive", "TraceError", "Value", "compile_function", "errstate", "grad",
    "gradcheck", "grads", "hessian", "hvp", "jacobian", "jvp", "no_grad", "numbers", "paths", "primitive", "topological",
    "value_and_grad", "values", "vjp",
    *functions.__all__,
]


def __getattr__(name: str) -> Any:
    """The compiler, and the listing of paths, are loaded when they are asked for."""
    if name in ("Compiled", "TraceError", "compile", "compile_function"):
        from . import compiler
        return getattr(compiler, name)
    if name == "paths":
        from .path import paths
        return paths
    raise AttributeError(f"module 'autograd' has no attribute {name!r}")
