"""What the commands of this project share: one-line errors, and streams that may have no Unicode."""

from __future__ import annotations

import argparse
from typing import NoReturn, TextIO

__all__ = ["Parser", "Refused", "takes"]


class Refused(Exception):
    """What was asked for cannot be done; the message says why and what to do."""


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are Refused, to be shown in one line."""

    def error(self, message: str) -> NoReturn:
        """Refuse the command line."""
        raise Refused(f"{message}; --help tells how it is used")


def takes(stream: TextIO, text: str) -> bool:
    """Whether the stream's encoding has all characters of `text`."""
    try:
        text.encode(getattr(stream, "encoding", None) or "utf-8")
    except UnicodeError:
        return False
    return True
