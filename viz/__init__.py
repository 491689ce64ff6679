"""Pictures and tables of what `autograd` computes. It reads graphs; it never changes them.

`draw` a graph, typeset the ξ `table` of a computation.
"""

try:
    from autograd import PRIMITIVES as _PRIMITIVES  # noqa: F401
except ImportError as error:
    raise ImportError("the package 'autograd' that was found is not xigrad's (HIPS autograd has the same name): "
                      "install xigrad in an environment of its own") from error

from .drawing import Picture, draw, picture_or_none
from .notation import to_ascii
from .tables import Table, XiTables, table

__all__ = ["Picture", "Table", "XiTables", "draw", "picture_or_none", "table", "to_ascii"]
