"""What hypothesis calls when it is imported, be it in the midst of an import of the strategies: so nothing is imported here."""

from __future__ import annotations


def _hypothesis_setup_hook() -> None:
    """`st.from_type(Value)` is `values()`."""
    from hypothesis import strategies as st

    from ..value import Value

    def values() -> st.SearchStrategy[Value]:
        from .strategies import values
        return values()
    st.register_type_strategy(Value, st.deferred(values))
