"""What the tests of the commands share."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence


def run_command(main: Callable[..., int], words: Sequence[str], encoding: str) -> tuple[int, str, str]:
    """The exit status, what was printed, and what the user was told, by streams of that encoding."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2))
    status = main(words, out, err)
    texts = []
    for stream in (out, err):
        stream.seek(0)
        texts.append(stream.read())
    return status, texts[0], texts[1]
