"""Machine code kept in a folder of the user's: a program that was compiled once is not compiled again, by no process.

    $XDG_CACHE_HOME/xigrad or ~/.cache/xigrad, on macOS ~/Library/Caches/xigrad, on Windows %LOCALAPPDATA%\\xigrad\\Cache
    XIGRAD_CACHE=/a/whole/path keeps it there, XIGRAD_CACHE=0 keeps nothing

What is read here is run, so it is read only from a folder and a file that belong to the user and that nobody else may write
(on Windows the user's profile sees to that). A file is named by a hash of all that it was made of, and holds a checksum: one
that is damaged or of another origin is as good as none, and is replaced. Files are written beside their place and renamed, so
several processes may do so at once. Where nothing can be kept, as in a home that cannot be written, nothing is, without a word.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import sys
import warnings
from contextlib import suppress
from functools import cache
from pathlib import Path
from time import time

from ....files import write_whole
from ..recent import anew

__all__ = ["LIMIT", "keep", "kept", "key_of"]

LIMIT = 128 << 20   # bytes of all files; beyond it those go first that were not used for the longest time
_MAGIC = b"xigrad machine code 1\n"
_NAME, _UNFINISHED = re.compile(r"[0-9a-f]{64}\.code"), re.compile(r"\.[0-9a-f]+\.part")
_ABANDONED = 3600.0   # seconds after which an unfinished file is that of a process that was killed


def key_of(*parts: str) -> str:
    """A name for what is made of these texts, and of nothing else.

    >>> key_of("ab", "c") == key_of("a", "bc")
    False
    """
    return _digest("\0".join([f"{len(part)} {part}" for part in parts]).encode()).hex()


def kept(key: str) -> bytes | None:
    """The code of that key, if there is any to be trusted."""
    folder = _folder()
    if folder is None:
        return None
    path = folder / f"{key}.code"
    content = _read(path)
    start = len(_MAGIC) + 64
    if content is None or content[:len(_MAGIC)] != _MAGIC or content[len(_MAGIC):start] != _checks(key, content[start:]):
        return None
    with suppress(OSError):
        os.utime(path)   # when it was last used
    return content[start:]


def keep(key: str, code: bytes) -> None:
    """Keep the code, if there is a place for it."""
    folder = _folder()
    if folder is None or len(code) > LIMIT // 4:
        return
    with suppress(OSError):
        write_whole(folder / f"{key}.code", _MAGIC + _checks(key, code) + code, mode=0o600, durable=False)
        _make_room(folder)


def _checks(key: str, code: bytes) -> bytes:
    return bytes.fromhex(key) + _digest(code)


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=32).digest()


def _read(path: Path) -> bytes | None:
    """The file's content, if nobody but the user can have written it."""
    more = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)   # no link; a pipe does not wait for its writer
    with suppress(OSError), open(path, "rb", opener=lambda name, flags: os.open(name, flags | more)) as file:
        found = os.fstat(file.fileno())
        if stat.S_ISREG(found.st_mode) and _is_mine(found) and found.st_size <= LIMIT:
            return file.read()
    return None


def _is_mine(found: os.stat_result) -> bool:
    """Whether it is the user's, and nobody else's to write."""
    return not hasattr(os, "geteuid") or (found.st_uid == os.geteuid() and not found.st_mode & 0o022)


def _folder() -> Path | None:
    """The folder, made if it is not there; None where there can be none, or none that is safe."""
    if anew():
        return None
    chosen = os.environ.get("XIGRAD_CACHE", "")
    try:
        path = _usual() if chosen in ("", "1") else Path(chosen).expanduser()
        if path.is_absolute():
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = path.stat()
            if stat.S_ISDIR(found.st_mode) and _is_mine(found):
                return path
    except (OSError, RuntimeError, ValueError):   # it cannot be made; there is no home; a name that can be none
        pass
    if chosen not in ("", "1"):
        _refused(chosen)
    return None


def _usual() -> Path:
    """The folder by the conventions of the platform."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "xigrad" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "xigrad"
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (given if given.is_absolute() else Path.home() / ".cache") / "xigrad"


@cache
def _refused(chosen: str) -> None:
    """Say once that what was asked for cannot be had."""
    warnings.warn(f"XIGRAD_CACHE={chosen!r} is no folder that can be had for the user alone, so no machine code is kept: give "
                  "the whole path of one that nobody else may write, or 0 to keep none", RuntimeWarning, stacklevel=2)


def _make_room(folder: Path) -> None:
    """Remove what was not used for the longest time, and what was left unfinished."""
    files = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if _NAME.fullmatch(entry.name) or _UNFINISHED.fullmatch(entry.name):
                with suppress(OSError):
                    found = entry.stat(follow_symlinks=False)
                    files.append((found.st_mtime, found.st_size, entry.path))
    total, now = sum([size for _, size, _ in files]), time()
    for used, size, path in sorted(files):
        unfinished = not path.endswith(".code")
        if (used < now - _ABANDONED) if unfinished else total > LIMIT:
            with suppress(OSError):
                os.unlink(path)
                total -= size
