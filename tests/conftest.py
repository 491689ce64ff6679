"""How thoroughly the tests search, and what they may do without.

XIGRAD_PROFILE   "quick" (the default) and "ci" try the same examples in every run, "thorough" new ones
XIGRAD_REQUIRE   names of tools, with commas between, whose absence fails a test instead of skipping it
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable

import pytest
from hypothesis import settings

settings.register_profile("quick", max_examples=50, deadline=None, derandomize=True)
settings.register_profile("ci", max_examples=300, deadline=None, derandomize=True)
settings.register_profile("thorough", max_examples=5000, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("XIGRAD_PROFILE") or "quick")


@pytest.fixture(scope="session")
def require_tool() -> Callable[[str], None]:
    """Ask for a command or a Python package, as in `require_tool("dot")`: where it is missing the test is skipped."""
    def require(name: str) -> None:
        if not shutil.which(name) and importlib.util.find_spec(name) is None:
            demanded = name in os.environ.get("XIGRAD_REQUIRE", "").split(",")
            (pytest.fail if demanded else pytest.skip)(f"{name} is not installed")
    return require


@pytest.fixture(params=["python", "numpy", "llvm"])
def backend(request: pytest.FixtureRequest, require_tool: Callable[[str], None]) -> str:
    """Every backend of the compiler; llvm is a tool as `require_tool` has it."""
    if request.param == "llvm":
        require_tool("llvmlite")
    return str(request.param)
