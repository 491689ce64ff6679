"""`where` as a guard: an operation that has no number is no error, as long as only a `where` sees it that does not take it.

Python computes both branches of where(step(x), log(x), 0.0) before `where` is called. Within `guarded`, as everywhere that
this package calls a function of its user's, log(-1) is nan for the moment, and an error when the function has returned and the
nan is taken, by the result or by anything else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from .conversion import to_float
from .graph import topological
from .primitive import deferred
from .primitives import where
from .recording import recording
from .structure import leaves_of, shaped
from .value import RECORDING, Constant, Value, literal

__all__ = ["guarded", "settle"]


def guarded(f: Callable[..., Any], *args: Any, **given: Any) -> Any:
    """f(*args, **given); an error of an operation that no `where` drops is raised afterwards.

    >>> from autograd import log, step, where
    >>> guarded(lambda x: where(step(x), log(x), 0.0), Value(-1.0)).data
    0.0
    >>> guarded(lambda x: where(step(x), 0.0, log(x)), Value(-1.0))
    Traceback (most recent call last):
    ValueError: log(-1): log needs a positive number; clip it, or use log_sigmoid or logsumexp of the logits
    """
    with deferred() as errors:
        try:
            result = f(*args, **given)
        except Exception:
            raise_first(errors)   # which led to it
            raise
    if not errors:
        return result
    if RECORDING.get() is Constant:   # there is no graph to tell by
        with recording():
            return guarded(f, *args, **given)
    if any([not isinstance(x, Value) for x in leaves_of(args)]):   # nor one of plain numbers: of their graph, then
        try:
            values = shaped(args, [x if isinstance(x, Value) else literal(to_float(x)) for x in leaves_of(args)])
        except TypeError:   # they are no numbers
            pass
        else:
            with deferred() as again, suppress(Exception):
                result, errors = f(*values, **given), again
    settle(errors, [y for y in leaves_of(result) if isinstance(y, Value)])
    return result


def raise_first(errors: list[Exception]) -> None:
    """Raise the first of the errors, if there is one, and keep none: a frame in its traceback would hold it in a cycle."""
    if errors:
        error = errors[0]
        errors.clear()
        try:
            raise error from None
        finally:
            del error


def settle(errors: list[Exception], roots: Iterable[Value], all_of_them: bool = True) -> None:
    """Raise what an operation raised that the roots need; or, if `all_of_them` have to be told by these graphs, the first
    error of an operation that is not in them: a branch may depend on it."""
    if not errors:
        return
    order = topological(*roots)
    needed = set(roots)
    dropped = 0
    for v in reversed(order):
        if v in needed:
            needed.update(v.args if v.op is not where else (v.args[0], v.args[1] if v.args[0]._data else v.args[2]))
    for v in order:
        if v.op and (v in needed or all_of_them):
            try:
                v.op.value(*[a._data for a in v.args])
            except (ValueError, ZeroDivisionError):
                if v in needed:
                    called = v.op.called(*[a._data for a in v.args])
                    raise_first([error for error in errors if called in str(error)] or [*errors])
                dropped += 1
            except OverflowError:
                pass
    if all_of_them and dropped < len(errors):
        raise_first(errors)
