"""gradcheck: a gradient against central differences, as torch.autograd.gradcheck."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .derive import grad
from .graph import topological
from .primitive import errstate
from .structure import leaves_of, shaped, variables
from .sweep import numbers
from .value import Value

__all__ = ["culprit", "differences", "gradcheck"]


def gradcheck(f: Callable[..., Any], inputs: Any, *, eps: float = 1e-6, atol: float = 1e-5, rtol: float = 1e-3,
              order: int = 2, raise_exception: bool = True) -> bool:
    """Whether the derivatives of f at `inputs` agree with central differences.

    inputs   the argument of f (a number, list, array …); a tuple holds several arguments
    eps      the step, relative to numbers beyond 1
    order    2 compares the second derivatives too, 1 the first only
    |analytic − numeric| ≤ atol + rtol·|numeric| must hold for every output and every input; where it does not, an
    AssertionError names the input, both numbers and the node that disagrees (or False is returned on request).

    >>> gradcheck(lambda x, y: x * y ** 2, (2.0, 3.0))
    True
    """
    args = inputs if isinstance(inputs, tuple) else (inputs,)
    try:
        _compare(f, args, eps, atol, rtol, order, "the derivative")
    except AssertionError:
        if raise_exception:
            raise
        return False
    return True


def differences(f: Callable[..., Any], args: Sequence[Any], eps: float = 1e-6) -> list[list[float]]:
    """[[∂output/∂input for each input] for each output] of f(*args), by central differences of its numbers.

    >>> [[round(d, 6) for d in row] for row in differences(lambda x: [x ** 2, 3 * x], [2.0])]
    [[4.0], [3.0]]
    """
    at = [float(x) for x in leaves_of(tuple(args))]
    columns = []
    for i, x in enumerate(at):
        h = eps * max(1.0, abs(x))
        high, low = (_numbers(f, args, [*at[:i], y, *at[i + 1:]]) for y in (x + h, x - h))
        columns.append([(a - b) / ((x + h) - (x - h)) for a, b in zip(high, low, strict=True)])
    return [list(row) for row in zip(*columns, strict=True)]


def _numbers(f: Callable[..., Any], args: Sequence[Any], at: Sequence[float]) -> list[float]:
    return [y.data if isinstance(y, Value) else float(y) for y in leaves_of(f(*variables(shaped(tuple(args), at))))]


def _compare(f: Callable[..., Any], args: Sequence[Any], eps: float, atol: float, rtol: float, order: int, what: str) -> None:
    made = variables(tuple(args))
    xs = leaves_of(made)
    ys = [y if isinstance(y, Value) else Value(y) for y in leaves_of(f(*made))]
    again = leaves_of(f(*made))
    if repr([y.data for y in ys]) != repr([y.data if isinstance(y, Value) else float(y) for y in again]):   # nan is nan
        raise AssertionError("f is not a function: called twice with the same numbers, it gave different ones")
    rows = [grad(y, xs) for y in ys]
    for o, (row, numeric) in enumerate(zip(rows, differences(f, args, eps), strict=True)):
        for i, (a, n) in enumerate(zip(row, numeric, strict=True)):
            if not abs(a.data - n) <= atol + rtol * abs(n):
                raise AssertionError(f"{what} of output {o} by input {i} (at {xs[i].data!r}) is {a.data!r}, "
                                     f"but differences give {n!r}{culprit(ys[o], eps, atol, rtol)}")
    if order > 1:
        def gradient(*args: Any) -> list[Any]:
            at = leaves_of(args)
            return [d for y in leaves_of(f(*args)) if isinstance(y, Value) for d in grad(y, at)]
        _compare(gradient, args, eps, atol, rtol, order - 1, "the second derivative")


def _at_kink(v: Value, eps: float) -> bool:
    """Whether differences of v's row would step over a kink."""
    assert v.op is not None
    with errstate(invalid="ignore", divide="ignore"):
        return v.op.kink is not None and not abs(float(v.op.kink(*[a.data for a in v.args]))) > 2 * eps


def culprit(y: Value, eps: float, atol: float, rtol: float) -> str:
    """The end of a message: the first node whose own partials disagree with differences of its own value, if there is one."""
    for v in topological(y):
        if v.op is not None and not _at_kink(v, eps):
            numeric = differences(v.op, [a.data for a in v.args], eps)[0]
            for k, (d, n) in enumerate(zip(numbers(v), numeric, strict=True)):
                if not v.args[k].constant and not abs(d - n) <= atol + rtol * abs(n):
                    called = v.op.called(*[a.data for a in v.args])
                    return f"; the partial of {called} by its argument {k} is {d!r}, by differences {n:.7g}"
    return ""
