"""Formulas as people write them: notation, simplification, the ξ tables. All of `viz` may use it."""

from .notation import to_ascii
from .table import Table
from .tables import XiTables, table

__all__ = [
    "Table", "XiTables", "table", "to_ascii",
]
