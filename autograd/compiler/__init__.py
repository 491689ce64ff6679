"""Compilation: a graph as a program that runs on many numbers at once.

    trace → simplify → flatten → classify → roll → run     a file for each, in this order; to run is for the backends

`compile` takes a graph of Values, `compile_function` a Python function. Derivatives are graphs like any other, so the
compiler knows no rule of differentiation. README.md beside this file follows a small network through every step.
"""

from ..conversion import TraceError
from .backends.llvm.functions import llvm_rule
from .compiled import Compiled, CompiledFunction, compile, compile_function

__all__ = ["Compiled", "CompiledFunction", "TraceError", "compile", "compile_function", "llvm_rule"]
