"""What can be wrong with a graph: a leaf that was assigned after it was used."""

from __future__ import annotations

from collections.abc import Sequence

from .graph import Node

__all__ = ["check_unchanged"]


def check_unchanged(order: Sequence[Node]) -> None:
    """RuntimeError if a leaf was assigned after a node of `order` was computed from it; TraceError for a symbol that was kept
    from a function that was traced."""
    if order:
        order[-1]._data   # noqa: B018   # which such a symbol refuses
    newest = max([v._time for v in order if not v.args], default=0)
    for v in order:
        if v._time < newest:
            for a in v.args:
                if a._time > v._time:
                    raise RuntimeError(f"the data of {a!r} was assigned after {v._name()} was computed from its old "
                                       "number: build the expression again, or differentiate before assigning")
