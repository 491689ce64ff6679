"""What the commands of this project share: one-line errors, and streams that may have no Unicode."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from typing import NoReturn, TextIO

__all__ = ["Parser", "Refused", "run", "say", "takes"]


class Refused(Exception):
    """What was asked for cannot be done; the message says why and what to do."""


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are Refused, to be shown in one line."""

    def error(self, message: str) -> NoReturn:
        """Refuse the command line."""
        raise Refused(f"{message}; --help tells how it is used")


def run(main: Callable[[], int]) -> NoReturn:
    """Leave the process with main()'s status: 1 if the reader of a pipe has seen enough, 130 after Ctrl-C, both quietly."""
    try:
        status = main()
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    except KeyboardInterrupt:
        status = 130
    sys.exit(status)


def takes(stream: TextIO, text: str) -> bool:
    """Whether the stream's encoding has all characters of `text`."""
    try:
        text.encode(getattr(stream, "encoding", None) or "utf-8")
    except UnicodeError:
        return False
    return True


def say(stream: TextIO, text: str) -> None:
    """Write `text`, its characters escaped where the stream's encoding has not all of them."""
    stream.write(text if takes(stream, text) else text.encode("ascii", "backslashreplace").decode())
