"""Processes that are forked: in the child only the thread that forked runs on, and what the others held is never let go."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

__all__ = ["in_forked_child", "not_while_held"]

_register: Callable[..., None] = getattr(os, "register_at_fork", lambda **_: None)   # there are systems without forks


def in_forked_child(remake: Callable[[], Any]) -> None:
    """Call `remake` in every process that is forked."""
    _register(after_in_child=remake)


def not_while_held(lock: Any) -> None:
    """Let every fork wait until no thread holds the (reentrant) lock: what it guards is whole in the child."""
    _register(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)
