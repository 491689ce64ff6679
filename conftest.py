"""What tests and doctests leave behind, nowhere else: compiled code goes to a folder of the run, which all its processes share,
and the rows that a page of documentation makes end with it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from tempfile import TemporaryDirectory

import pytest


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput") and os.environ.get("XIGRAD_CACHE") != "0":   # workers have the run's environment
        folder = TemporaryDirectory(prefix="xigrad-tests-")
        config.add_cleanup(folder.cleanup)
        os.environ["XIGRAD_CACHE"] = folder.name


@pytest.fixture(autouse=True)
def rows_end_with_their_page(request: pytest.FixtureRequest) -> Iterator[None]:
    """The rows of a doctest would stay in the table, for random tests to draw, when the names that they use are gone."""
    if not isinstance(request.node, pytest.DoctestItem):
        yield
        return
    from autograd import PRIMITIVES
    before = dict(PRIMITIVES)
    yield
    PRIMITIVES.clear()
    PRIMITIVES.update(before)
