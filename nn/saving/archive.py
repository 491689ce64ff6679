"""The container of model files: one JSON document and the numbers that it names, read without trust and written in one motion.

A ZIP archive of two members, both stored uncompressed:

    model.json       {"format": "xigrad-model", "version": 1, "model": {"module": "MLP", "config": {its arguments}},
                     "parameters": [their names, in order], "extra": {what the caller adds}, "training": null}
    parameters.npy   their numbers: numpy's format 1.0, '<f8', shape (n,); numpy.load reads the archive as an npz file

"training" is the state of a training, where a Checkpoint wrote the file.
"""

from __future__ import annotations

import io
import json
import math
import os
import struct
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from autograd.conversion import bounded
from autograd.files import write_whole

__all__ = ["LIMIT", "npy", "one_line", "read_archive", "write_archive"]

FORMAT, VERSION = "xigrad-model", 1
LIMIT = 2 ** 28   # bytes of a file: 7 million parameters with their names, more than graphs of scalars are made of
MEMBERS = ["model.json", "parameters.npy"]
KINDS: dict[str, Any] = {"format": str, "version": int, "model": dict, "parameters": list, "extra": dict,
                         "training": (dict, type(None))}


def write_archive(path: str | os.PathLike[str], parts: Mapping[str, Any], numbers: Mapping[str, float]) -> None:
    """Write a model file: the document's model, extra and training, and the parameters by name.

    ValueError for what JSON cannot hold, and for numbers that are not finite.
    """
    for name, x in numbers.items():
        if not math.isfinite(x):
            raise ValueError(f"{name} is {x}: only finite parameters are saved")
    document = {"format": FORMAT, "version": VERSION, **parts, "parameters": list(numbers)}
    texts = {}
    for key, part in document.items():
        try:
            texts[key] = json.dumps(part, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"{key} cannot be written: {error}; it may hold texts, finite numbers, lists and dicts "
                             "(of an array give its .tolist())") from error
    text = "{" + ", ".join([f'"{key}": {part}' for key, part in texts.items()]) + "}"
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as file:
        for name, content in zip(MEMBERS, (text.encode(), npy(list(numbers.values()))), strict=True):
            file.writestr(zipfile.ZipInfo(name), content)   # a fixed date: the same model gives the same bytes
    write_whole(Path(os.path.realpath(path)), archive.getvalue())


def read_archive(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, float]]:
    """(the document, {name: number}) of a model file, checked; ValueError if it is none, OSError if there is none."""
    with open(path, "rb") as file:
        content = file.read(LIMIT + 1)
    try:
        if len(content) > LIMIT:
            raise ValueError(f"it has more than {LIMIT} bytes")
        text, numbers = _members(content)
        document = json.loads(text.decode(), parse_constant=_no_constant)
        _check(document)
        names = document["parameters"]
        header = _npy_header(len(names))
        if not numbers.startswith(header) or len(numbers) != len(header) + 8 * len(names):
            raise ValueError(f"parameters.npy must hold {len(names)} numbers, as '<f8' of shape ({len(names)},)")
        values = struct.unpack(f"<{len(names)}d", numbers[len(header):])
        if not all(map(math.isfinite, values)):
            raise ValueError("a parameter is nan or infinite")
    except Exception as error:   # zipfile and json have many ways of saying that bytes make no sense
        raise ValueError(f"{os.fspath(path)!r} is no model file, or it is damaged: {one_line(error)}") from error
    return document, dict(zip(names, values, strict=True))


def _members(content: bytes) -> list[bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        found = archive.infolist()
        if [member.filename for member in found] != MEMBERS:
            raise ValueError(f"it must hold {' and '.join(MEMBERS)}, not {bounded([member.filename for member in found])}")
        for member in found:
            stored = member.compress_type == zipfile.ZIP_STORED
            if not (stored and member.compress_size == member.file_size <= len(content)):
                raise ValueError(f"{member.filename} must be stored uncompressed")
        return [archive.read(member) for member in found]


def _check(document: Any) -> None:
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ValueError(f"model.json does not say that its format is {FORMAT!r}")
    if document.get("version") is not VERSION:
        raise ValueError(f"its version is {bounded(document.get('version'))}, and this release reads {VERSION}")
    for key, kind in KINDS.items():
        if not isinstance(document.get(key, ...), kind):
            raise ValueError(f"{key} of model.json is {bounded(document.get(key))}")
    names = document["parameters"]
    if document.keys() != KINDS.keys() or not all([isinstance(name, str) for name in names]) or len(set(names)) < len(names):
        raise ValueError("model.json has other keys than it should, or a parameter's name twice")


def _npy_header(n: int) -> bytes:
    text = f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({n},), }}"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", 118) + text.ljust(117).encode() + b"\n"


def npy(numbers: Sequence[float]) -> bytes:
    """The numbers in numpy's format, as numpy.save writes them."""
    return _npy_header(len(numbers)) + struct.pack(f"<{len(numbers)}d", *numbers)


def one_line(error: Exception) -> str:
    """What an error says, in one line of bounded length."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) < 300 else text[:299] + "…"


def _no_constant(text: str) -> float:
    raise ValueError(f"model.json holds {text}")

