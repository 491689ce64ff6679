"""How thoroughly the tests search, and what they may do without.

XIGRAD_PROFILE   "quick" (the default) and "ci" try the same examples in every run, "thorough" new ones
XIGRAD_REQUIRE   names of commands and packages, with commas between, without which no test runs: what needs one is not skipped
"""

from __future__ import annotations

import importlib.util
import math
import os
import re
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

from autograd import Compiled

settings.register_profile("quick", max_examples=50, deadline=None, derandomize=True)
settings.register_profile("ci", max_examples=150, deadline=None, derandomize=True)
settings.register_profile("thorough", max_examples=5000, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("XIGRAD_PROFILE") or "quick")


def missing(name: str) -> bool:
    """Whether there is neither a command nor a Python package of that name."""
    return not shutil.which(name) and importlib.util.find_spec(name) is None


def pytest_configure() -> None:
    lacking = [name for name in filter(None, os.environ.get("XIGRAD_REQUIRE", "").split(",")) if missing(name)]
    if lacking:
        raise pytest.UsageError(f"XIGRAD_REQUIRE demands {', '.join(lacking)}, which is not installed: install it, or demand "
                                "less, and what needs it is skipped")


@pytest.fixture(scope="session")
def require_tool() -> Callable[[str], None]:
    """Ask for a command or a Python package, as in `require_tool("dot")`: where it is missing the test is skipped."""
    def require(name: str) -> None:
        if missing(name):
            pytest.skip(f"{name} is not installed")
    return require


@pytest.fixture(scope="module")
def dirty_memory() -> Iterator[None]:
    """What numpy allocates without setting it is nan, so that reading it shows."""
    made = np.empty

    def empty(shape: Any, dtype: Any = float, *args: Any, **options: Any) -> Any:
        x = made(shape, dtype, *args, **options)
        if x.dtype == float:
            x.fill(math.nan)
        return x
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(np, "empty", empty)
        yield


@pytest.fixture(scope="session")
def poison() -> Callable[[Compiled], int]:
    """`poison(f)` writes nan into all that a call of a compiled function computes, and says into how many arrays."""
    def poison(f: Compiled) -> int:
        kernel: Any = f._last.kernel   # type: ignore[union-attr]
        count = 0
        numbers = {row for row, _ in kernel.rolled.numbers} if hasattr(kernel, "rolled") else set()
        free = getattr(kernel, "free", [])
        for held in [x for part in free.values() for x in part] if isinstance(free, dict) else free:
            if isinstance(held, tuple):   # numpy: a function and its arrays
                function, buffers, _ = held
                U, arrays = buffers["U"], [buffers["V"]]
                arrays += [x for name, x in function.__globals__.items() if re.fullmatch(r"t\d+", name)]
            else:
                U, arrays = held.U, [held.V, held.S, held.G]
                numbers |= {row for row, _ in kernel.loops.numbers}
            for x in arrays:
                x.fill(math.nan)
                count += 1
            U[[row for row in range(len(U)) if row not in numbers]] = math.nan
        return count
    return poison


@pytest.fixture(params=["python", "numpy", "llvm"])
def backend(request: pytest.FixtureRequest, require_tool: Callable[[str], None]) -> str:
    """Every backend of the compiler; llvm is a tool as `require_tool` has it."""
    if request.param == "llvm":
        require_tool("llvmlite")
    return str(request.param)
