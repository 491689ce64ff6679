"""Compilation: a graph as a program that runs on many numbers at once.

    trace → simplify → roll → run         one file for each, in this order

`compile` takes a graph of Values, `compile_function` a Python function. Derivatives are graphs like any other, so the
compiler knows no rule of differentiation.
"""

from ..conversion import TraceError
from .backends.llvm.functions import llvm_rule
from .compiled import Compiled, CompiledFunction, compile, compile_function

__all__ = ["Compiled", "CompiledFunction", "TraceError", "compile", "compile_function", "llvm_rule"]
