"""What operations make: a Result, which remembers; under no_grad a Constant; a symbol while a function is traced."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from .value import RECORDING, Constant, Result, Value

__all__ = ["no_grad", "recording"]


@contextmanager
def no_grad() -> Iterator[None]:
    """Within it, results are plain numbers in a Value: nothing is recorded, so nothing can be differentiated.

    The setting belongs to the current thread or asyncio task; as a decorator, to the call.

    >>> x = Value(3.0)
    >>> with no_grad():
    ...     y = x * x
    >>> y.data, y.args
    (9.0, ())
    """
    if RECORDING.get().symbolic:
        from .conversion import TraceError
        raise TraceError("no_grad() in a function that is traced: its results would be numbers, and there are none yet; "
                         "leave it out, and differentiate by the arguments that you want")
    with recording(Constant):
        yield


@contextmanager
def recording(kind: type[Value] | None = None) -> Iterator[None]:
    """Within it, operations make a `kind` of Value: by default a Result, or what they make already if that is recorded too."""
    token = RECORDING.set(kind or (Result if RECORDING.get() is Constant else RECORDING.get()))
    try:
        yield
    finally:
        RECORDING.reset(token)
