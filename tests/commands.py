"""What the tests of the commands share."""

from __future__ import annotations

import io
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any


@contextmanager
def running(command: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A process in a group of its own; whatever is left of the group when the block ends, in whatever way, is killed."""
    with subprocess.Popen(command, text=True, start_new_session=True, **options) as process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError, PermissionError):   # there is none; on macOS, only what has ended
                os.killpg(process.pid, signal.SIGKILL)


def run_command(main: Callable[..., int], words: Sequence[str], encoding: str) -> tuple[int, str, str]:
    """The exit status, what was printed, and what the user was told, by streams of that encoding."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2))
    status = main(words, out, err)
    texts = []
    for stream in (out, err):
        stream.seek(0)
        texts.append(stream.read())
    return status, texts[0], texts[1]
