"""Files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

__all__ = ["write_whole"]


def write_whole(path: Path, content: str | bytes, mode: int = 0o666, durable: bool = True) -> None:
    """Put `content` (text as UTF-8) in place of the file: written beside it, renamed.

    mode      who may read and write it, before the process's umask
    durable   whether it is forced to the disk, so that it is whole after a loss of power too
    OSError where it cannot be written; the file is then as it was.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_whole(Path(folder) / "xi.txt", "ξ")
    ...     os.listdir(folder)
    ['xi.txt']
    """
    beside = path.with_name(f".{secrets.token_hex(8)}.part")   # a short name, whatever the file's
    try:
        with open(beside, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    if not durable:
        return
    with contextlib.suppress(OSError):   # the renaming itself; Windows opens no folders
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
