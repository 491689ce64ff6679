"""Machine code out of LLVM assembly."""

from __future__ import annotations

import ctypes

from .cache import keep, kept, key_of

__all__ = ["Native"]

_LEVEL = 2   # how hard LLVM tries; 1 gives the same code as fast, 0 code that is twice as long


class Native:
    """The machine code of a function `f` in LLVM assembly, which takes pointers. It runs without the interpreter's lock.

    anew      compile, whatever is kept
    at_hand   do not compile: LookupError unless it is kept
    """

    def __init__(self, text: str, arguments: int, anew: bool = False, at_hand: bool = False) -> None:
        import llvmlite
        import llvmlite.binding as llvm
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        triple, cpu, features = llvm.get_default_triple(), llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()
        machine = llvm.Target.from_triple(triple).create_target_machine(cpu=cpu, features=features, opt=_LEVEL)
        version = f"{llvmlite.__version__} {llvm.llvm_version_info}"
        key = key_of(version, triple, cpu, features, str(_LEVEL), text)
        code = None if anew else kept(key)
        if code is None:
            if at_hand:
                raise LookupError("this machine code is not kept")
            code = machine.emit_object(llvm.parse_assembly(text))
            if not anew:
                keep(key, code)
        self.engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)   # which keeps the code alive
        self.engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        self.engine.finalize_object()
        self.call = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * arguments)(self.engine.get_function_address("f"))
