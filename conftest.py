"""What tests compile is kept in a folder of their run, which all its processes share, and never in the user's own."""

from __future__ import annotations

import os
from tempfile import TemporaryDirectory

import pytest


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput") and os.environ.get("XIGRAD_CACHE") != "0":   # workers have the run's environment
        folder = TemporaryDirectory(prefix="xigrad-tests-")
        config.add_cleanup(folder.cleanup)
        os.environ["XIGRAD_CACHE"] = folder.name
