"""Step 6, run: which backend takes a program."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import cache

from ..program import Program
from .chunks import LONG, SHORT, Kernel
from .python import PythonKernel

__all__ = ["check", "kernel", "no_llvm"]

NAMES = ("auto", "python", "numpy", "llvm")
OLDEST = (0, 46)   # the first llvmlite whose LLVM reads what we write


def check(backend: str) -> None:
    """ValueError unless there is a backend of that name, ImportError if it needs what is not installed."""
    if backend not in NAMES:
        raise ValueError(f"compile(backend={backend!r}): there are {', '.join(NAMES)}")
    if backend == "llvm" and (problem := no_llvm()):
        raise ImportError(f"compile(backend='llvm') needs llvmlite {'.'.join(map(str, OLDEST))} or newer: {problem}; "
                          f"pip install 'llvmlite>={'.'.join(map(str, OLDEST))}'")


@cache
def no_llvm() -> str:
    """Why there can be no machine code here, "" if there can: llvmlite is missing, old, or fails at the smallest program."""
    try:
        import llvmlite
    except ImportError as error:
        return f"it is not installed ({error})"
    except Exception as error:   # a library that it needs, say
        return f"it cannot be loaded ({error})"
    found = llvmlite.__version__
    if tuple([int(part) for part in found.split(".")[:2] if part.isdecimal()]) < OLDEST:
        return f"{found} is installed"
    try:
        from .llvm.native import Native
        smallest = Native("define void @f() {\n  ret void\n}\n", 0, anew=True)   # to be kept until it was called
        smallest.call()
    except Exception as error:
        return f"{found} is installed, and cannot compile ({' '.join(str(error).split())})"
    return ""


def kernel(program: Callable[[bool], Program], backend: str, batched: bool, widths: Sequence[int],
           threads: int | None) -> Kernel:
    """The kernel of `program(lowered)`, whose varying inputs come in arguments of these widths.

    "auto" takes Python for a single example of a short program; else machine code, if llvmlite is there and the program is
    not both irregular and very long; else numpy for a batch.
    """
    auto = backend == "auto"
    if backend == "python" or (auto and not batched and len(program(False).ops) <= SHORT):
        return PythonKernel(program(False))
    lowered, limit = program(True), LONG if auto else sys.maxsize
    if backend == "llvm" or (auto and not no_llvm()):
        from .llvm.kernel import LLVMKernel
        try:
            return LLVMKernel(lowered, widths, threads, batched, limit)
        except NotImplementedError:
            if not auto:
                raise
    try:
        if batched or not auto:
            from .numpy import NumpyKernel
            return NumpyKernel(lowered, widths, threads, batched, limit)
    except NotImplementedError:
        pass
    return PythonKernel(program(False))
