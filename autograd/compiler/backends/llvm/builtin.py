"""A call without the interpreter: a builtin of CPython's whose body is machine code, made for one kernel.

The interpreter hands a builtin its arguments as addresses of objects. This one looks whether they are floats and arrays as the
kernel reads them; lets the kernel work on buffers of its own; and makes the floats and arrays of the result. Where an argument
is anything else, where the batch is so large that the lock of the interpreter should be given away, or where a result is not
finite, it gives NotImplemented, and the caller goes the way that knows every case. In order:

    tuples    of the result, if it is more than one thing. To make one may start the collector, and with it any Python code,
              so they are made before anything is read; nothing that comes after can run Python code
    guards    the arguments' types and shapes; all batches have one size B
    inputs    what all examples share is copied to U, what varies is read where it lies
    kernel    the sums in G, the outputs of each example in E
    finite    whether all these are
    results   floats and arrays, which go into the tuples

Types, functions and buffers are found in a table that is the builtin's `self`: the code has no address in it, and can be kept
for other processes. Fields of objects are read where C's macros read them (`OFFSETS`); `unavailable` compares all of them with
what Python says, once, and allows no builtin where they differ, or on an interpreter on which this was not tested.
XIGRAD_BUILTIN=0 has none made.
"""

from __future__ import annotations

import ctypes
import math
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

from ..chunks import MANY
from .code import Code, Register
from .kernel import LLVMKernel, Memory
from .loops import register_lanes
from .native import Machine

__all__ = ["Result", "builtin", "unavailable"]

_TESTED = ((3, 11), (3, 12), (3, 13))   # with the lock, without debugging
_NUMPY = 0x2000000                      # numpy's binary interface, and the places of functions in its table
_NUMPY_VERSION, _NUMPY_NEW = 0, 93
_LONGEST = 50_000                       # operations of a call, some 20 µs, for which no other thread waits
OFFSETS = {"type": 8, "float": 16, "data": 16, "ndim": 24, "shape": 32, "dtype": 56, "flags": 64}   # bytes
_PLAIN = 0x101                          # flags: in C's order, and aligned
WORDS = ("kernel", "U", "V", "G", "E", "S", "sizes", "float", "array", "dtype", "declined",   # of the table
         "new_float", "new_array", "new_tuple", "set_item", "retain", "release")
_API = {"new_float": "PyFloat_FromDouble", "new_tuple": "PyTuple_New", "set_item": "PyTuple_SetItem", "retain": "Py_IncRef",
        "release": "Py_DecRef"}


@dataclass(frozen=True)
class Result:
    """A part of the result: `size` numbers from `start` of the sums, or of the outputs of each example.

    shape   of one example's, or of the sum; () is a float, or of each example an array (B,)
    place   () if it is all that is given, else where it stands in the tuple, and in the tuple within
    """

    summed: bool
    start: int
    size: int
    shape: tuple[int, ...]
    place: tuple[int, ...]


def builtin(kernel: LLVMKernel, takes: Sequence[tuple[bool, tuple[int, ...]]], results: Sequence[Result],
            mean: bool) -> Callable[..., Any] | None:
    """The kernel's builtin, or None where there can be none: it gives what a call gives, or NotImplemented.

    takes   of every argument, whether it is batched and its shape in one example: () is a float
    mean    divide by the number of examples
    """
    most = _largest(kernel)
    if os.environ.get("XIGRAD_BUILTIN") == "0" or not most or unavailable():
        return None
    import numpy as np
    memory = Memory(kernel)
    G, E = [np.empty(n + register_lanes()) for n in (kernel.sums, kernel.outputs * most)]
    sizes = np.array([0, 0, 0, *[x for width in kernel.widths for x in (width, 1)]], np.int64)
    code = Machine(_Writer(kernel, takes, results, mean, most).source)
    api = _numpy_table()
    words = {"kernel": ctypes.cast(kernel.loops.native.call, ctypes.c_void_p).value, "new_array": api[_NUMPY_NEW],
             "float": id(float), "array": id(np.ndarray), "dtype": id(np.dtype(float)), "declined": id(NotImplemented)}
    words |= {name: x.ctypes.data for name, x in
              (("U", memory.U), ("V", memory.V), ("G", G), ("E", E), ("S", memory.S), ("sizes", sizes))}
    words |= {name: ctypes.cast(getattr(ctypes.pythonapi, function), ctypes.c_void_p).value for name, function in _API.items()}
    table = np.array([words[name] for name in WORDS], np.int64)
    definition = _Definition(b"call", code.address("f"), _FASTCALL, None)
    made: Callable[..., Any] = _new_builtin()(ctypes.addressof(definition), table,
                                              (definition, code, kernel.loops.native, memory, G, E, sizes))
    return made


def _largest(kernel: LLVMKernel) -> int:
    """The most examples of a batch for a builtin, 0 if there can be none."""
    work = max(kernel.rolled.flops, kernel.nodes, 1)
    most = min(kernel.lanes, _LONGEST // work, 4 * MANY // max(kernel.outputs, 1))
    return min(most, 1 if not kernel.batched else most)


# ---- the interpreter

_FASTCALL = 0x80


class _Definition(ctypes.Structure):
    """C's PyMethodDef."""

    _fields_ = (("name", ctypes.c_char_p), ("function", ctypes.c_void_p), ("flags", ctypes.c_int), ("doc", ctypes.c_char_p))


def _new_builtin() -> Callable[..., Any]:
    kind = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.py_object, ctypes.py_object)
    return kind(("PyCFunction_NewEx", ctypes.pythonapi))


def _numpy_table() -> Any:
    """The addresses of numpy's functions in C."""
    umath = import_module("numpy._core._multiarray_umath")
    pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
        ("PyCapsule_GetPointer", ctypes.pythonapi))
    return ctypes.cast(pointer(umath._ARRAY_API, None), ctypes.POINTER(ctypes.c_void_p))


@cache
def unavailable() -> str:
    """Why no builtin can be made here, "" if it can: another interpreter than those it was tested on, or other objects."""
    lock = getattr(sys, "_is_gil_enabled", lambda: True)()
    if not (sys.implementation.name == "cpython" and sys.version_info[:2] in _TESTED and sys.platform == "linux" and lock
            and sys.maxsize == 2 ** 63 - 1 and sys.byteorder == "little" and not hasattr(sys, "gettotalrefcount")):
        return f"it was tested on CPython {', '.join([f'{a}.{b}' for a, b in _TESTED])} for Linux, of 64 bits, with the lock"
    import numpy as np
    if float.__basicsize__ != 24 or np.ndarray.__basicsize__ < OFFSETS["flags"] + 4:
        return "floats or arrays have another size here"
    try:
        version = ctypes.CFUNCTYPE(ctypes.c_uint)(_numpy_table()[_NUMPY_VERSION])()
    except (ImportError, AttributeError, ValueError) as error:
        return f"numpy has its functions elsewhere ({error})"
    if version != _NUMPY:
        return f"numpy has the binary interface {version:#x}, and {_NUMPY:#x} was tested"
    return "" if all([_as_expected(x) for x in _samples()]) else "objects are laid out in another way here"


def _samples() -> list[Any]:
    import numpy as np
    x = np.arange(6.0).reshape(2, 3)
    read_only = np.array([7.0])
    read_only.flags.writeable = False
    return [x, x.T, x[:, ::-1], x[0], np.array(2.5), np.zeros((0, 2)), np.arange(3), read_only, 2.5, -0.0, 1e300]


def _as_expected(x: Any) -> bool:
    """Whether the fields of a float or an array are what Python says of it."""
    def field(name: str, kind: Any = ctypes.c_int64) -> Any:
        return kind.from_address(id(x) + OFFSETS[name]).value
    if field("type") != id(type(x)):
        return False
    if isinstance(x, float):
        return bool(field("float", ctypes.c_double) == x)
    shape = (ctypes.c_int64 * x.ndim).from_address(field("shape")) if x.ndim else ()
    return (field("data"), field("ndim", ctypes.c_int), tuple(shape), field("dtype"), field("flags", ctypes.c_int)) == (
        x.__array_interface__["data"][0], x.ndim, x.shape, id(x.dtype), x.flags.num)


# ---- the code

class _Writer:
    """The builtin's function f(self, args, count of args) in LLVM assembly."""

    def __init__(self, kernel: LLVMKernel, takes: Sequence[tuple[bool, tuple[int, ...]]], results: Sequence[Result],
                 mean: bool, most: int) -> None:
        self.s = Code(1)
        self.rooms: list[str] = []   # of a call
        self.kernel, self.takes, self.results, self.mean, self.most = kernel, takes, results, mean, most
        self.words = {name: self._load("ptr", self._load("ptr", "%self", OFFSETS["data"]), 8 * i)
                      for i, name in enumerate(WORDS)}
        self.tuples: dict[tuple[int, ...], Register] = {}
        self._tuples()
        numbers, self.B = self._guards()
        given = self._inputs(numbers)
        self._sizes()
        pointers = [self.words[name] for name in ("U", "V", "G", "E", "S", "sizes")] + given
        self.s.lines.append(f"  call void {self.words['kernel']}({', '.join([f'ptr {x}' for x in pointers])})")
        self._finite()
        self._results()
        self._ends()
        self.source = "\n".join([*sorted(self.s.declared), "define ptr @f(ptr %self, ptr %args, i64 %count) {", "entry:",
                                 *self.rooms, *self.s.lines, "}", ""])

    # ---- memory, branches, calls

    def _load(self, kind: str, base: Register, offset: int) -> Register:
        """What stands so many bytes from an address."""
        return self.s.let(f"load {kind}, ptr {self.s.let(f'getelementptr i8, ptr {base}, i64 {offset}')}")

    def _need(self, condition: Register, otherwise: str = "decline") -> None:
        """Go on if it holds."""
        self.s.count += 1
        self.s.block = f"go{self.s.count}"
        self.s.lines += [f"  br i1 {condition}, label %{self.s.block}, label %{otherwise}", f"{self.s.block}:"]

    def _equal(self, kind: str, a: Register, b: object) -> None:
        self._need(self.s.let(f"icmp eq {kind} {a}, {b}"))

    def _call(self, kind: str, name: str, *arguments: str) -> Register:
        return self.s.let(f"call {kind} {self.words[name]}({', '.join(arguments)})")

    def _made(self, name: str, *arguments: str) -> Register:
        """A new object, unless there is no memory left."""
        x = self._call("ptr", name, *arguments)
        self._need(self.s.let(f"icmp ne ptr {x}, null"), "failed")
        return x

    def _put(self, x: Register, place: tuple[int, ...]) -> None:
        """Give the object away to its tuple."""
        done = self._call("i32", "set_item", f"ptr {self.tuples[place[:-1]]}", f"i64 {place[-1]}", f"ptr {x}")
        self._need(self.s.let(f"icmp eq i32 {done}, 0"), "failed")

    # ---- what happens, in its order

    def _tuples(self) -> None:
        """The tuples of the result, the outer one first, which holds the other from the beginning."""
        s, places = self.s, [result.place for result in self.results if result.place]
        s.lines.append(f"  %outer = call ptr {self.words['new_tuple']}(i64 {1 + max([p[0] for p in places])})" if places
                       else "  %outer = bitcast ptr null to ptr")
        if not places:
            return
        s.lines += ["  %there = icmp ne ptr %outer, null", "  br i1 %there, label %made, label %nothing", "made:"]
        s.block, self.tuples[()] = "made", "%outer"
        if inner := [place for place in places if len(place) > 1]:
            self.tuples[1,] = self._made("new_tuple", f"i64 {len(inner)}")
            self._put(self.tuples[1,], (1,))

    def _guards(self) -> tuple[list[Register], Register]:
        """Of each argument its number, or the address of its numbers; and the size of the batch, 1 if there is none."""
        s, found = self.s, []
        B = ""
        self._equal("i64", "%count", len(self.takes))
        for i, (batched, shape) in enumerate(self.takes):
            x = self._load("ptr", "%args", 8 * i)
            type_ = self._load("ptr", x, OFFSETS["type"])
            if not batched and not shape:
                self._equal("ptr", type_, self.words["float"])
                found.append(self._load("double", x, OFFSETS["float"]))
                continue
            self._equal("ptr", type_, self.words["array"])
            self._equal("ptr", self._load("ptr", x, OFFSETS["dtype"]), self.words["dtype"])
            flags = s.let(f"and i32 {self._load('i32', x, OFFSETS['flags'])}, {_PLAIN}")
            self._equal("i32", flags, _PLAIN)
            self._equal("i32", self._load("i32", x, OFFSETS["ndim"]), batched + len(shape))
            sizes = self._load("ptr", x, OFFSETS["shape"])
            for k, size in enumerate(shape):
                self._equal("i64", self._load("i64", sizes, 8 * (batched + k)), size)
            if batched:
                n = self._load("i64", sizes, 0)
                if B:
                    self._equal("i64", n, B)
                B = n
            found.append(self._load("ptr", x, OFFSETS["data"]))
        if B:
            self._need(s.let(f"icmp ult i64 {s.let(f'sub i64 {B}, 1')}, {self.most}"))   # from 1 to most
        return found, B or "1"

    def _inputs(self, numbers: Sequence[Register]) -> list[Register]:
        """Copy what is shared; the addresses of what varies."""
        s, place, given = self.s, 0, []
        batch = any([batched for batched, _ in self.takes])
        for (batched, shape), x in zip(self.takes, numbers, strict=True):
            n = math.prod(shape)
            if batch and not batched:
                if shape:
                    self._copy(s.pointer(self.words["U"], str(place)), x, str(n))
                else:
                    s.store(x, self.words["U"], str(place))
                place += n
            elif shape or batched:
                given.append(x)
            else:
                given.append(self._room("double", 1))
                s.store(x, given[-1], "0")
        return given

    def _room(self, kind: str, n: int) -> Register:
        """Memory for this call."""
        self.rooms.append(f"  %room{len(self.rooms)} = alloca [{n} x {kind}]")
        return f"%room{len(self.rooms) - 1}"

    def _copy(self, to: Register, source: Register, n: Register) -> None:
        self.s.declared.add("declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)")
        size = str(8 * int(n)) if n.isdigit() else self.s.let(f"mul i64 {n}, 8")
        self.s.lines.append(f"  call void @llvm.memcpy.p0.p0.i64(ptr align 8 {to}, ptr align 8 {source}, i64 {size}, i1 false)")

    def _sizes(self) -> None:
        """B, T and the number of tiles, as LLVMKernel.tiles has them."""
        s, most, unit = self.s, self.kernel.most, self.kernel.loops.unit

        def parts(n: Register, size: Register) -> Register:
            less = s.let(f"sub i64 {size}, 1")
            return s.let(f"udiv i64 {s.let(f'add i64 {n}, {less}')}, {size}")
        step = s.let(f"mul i64 {parts(self.B, str(most))}, {unit}")
        T = s.let(f"mul i64 {parts(self.B, step)}, {unit}")
        for k, x in enumerate((self.B, T, parts(self.B, T))):
            s.lines.append(f"  store i64 {x}, ptr {s.pointer(self.words['sizes'], str(k))}")

    def _finite(self) -> None:
        """Whether all sums and outputs are; a number times 0 is 0, or nan. Behind them is room for a register of zeros."""
        s, W, kernel = self.s, register_lanes(), self.kernel
        for name, n in (("G", str(kernel.sums)), ("E", s.at(0, (self.B, kernel.outputs)) if kernel.outputs else "0")):
            if n == "0":
                continue
            s.lanes = W
            s.store(s.number(0.0), self.words[name], n)
            count = s.let(f"udiv i64 {s.let(f'add i64 {n}, {W - 1}')}, {W}")

            def add(i: Register, bad: list[Register], base: Register = self.words[name]) -> list[Register]:
                return [s.fma(s.load(base, s.at(0, (i, W))), s.number(0.0), bad[0])]
            bad = s.total(s.loop(count, add, [s.number(0.0)])[0])
            s.lanes = 1
            self._need(s.compare("ord", bad, bad))

    def _results(self) -> None:
        """Make the objects, and give what is asked for."""
        s = self.s
        scale = s.op("fdiv", s.number(1.0), s.let(f"uitofp i64 {self.B} to double")) if self.mean else ""
        for result in self.results:
            start = str(result.start) if result.summed else s.at(0, (self.B, result.start))
            numbers = s.pointer(self.words["G" if result.summed else "E"], start)
            x = self._object(result, numbers, scale)
            if result.place:
                self._put(x, result.place)
            else:
                s.lines.append(f"  ret ptr {x}")
        if self.tuples:
            s.lines.append("  ret ptr %outer")

    def _object(self, result: Result, numbers: Register, scale: Register) -> Register:
        """A float, or an array of them: of outputs of each example one in Fortran's order, as they stand in E."""
        s, of_each = self.s, not result.summed and self.kernel.batched
        if not result.shape and not of_each:
            x = s.load(numbers, "0")
            return self._made("new_float", f"double {s.op('fmul', x, scale) if scale else x}")
        sizes = [*([self.B] if of_each else []), *map(str, result.shape)]
        room = self._room("i64", len(sizes))
        for k, size in enumerate(sizes):
            s.lines.append(f"  store i64 {size}, ptr {s.pointer(room, str(k))}")
        x = self._made("new_array", f"ptr {self.words['array']}", f"i32 {len(sizes)}", f"ptr {room}", "i32 12", "ptr null",
                       "ptr null", "i32 0", f"i32 {int(of_each)}", "ptr null")
        data, n = self._load("ptr", x, OFFSETS["data"]), s.at(0, (self.B, result.size)) if of_each else str(result.size)
        if scale and result.size:
            s.loop(n, lambda i, _: s.store(s.op("fmul", s.load(numbers, i), scale), data, i))
        elif result.size:
            self._copy(data, numbers, n)
        return x

    def _ends(self) -> None:
        """The ways out without a result."""
        release = [f"  call void {self.words['release']}(ptr %outer)"] if self.tuples else []
        self.s.lines += ["decline:", *release, f"  call void {self.words['retain']}(ptr {self.words['declined']})",
                         f"  ret ptr {self.words['declined']}", "failed:", *release, "  br label %nothing", "nothing:",
                         "  ret ptr null"]
