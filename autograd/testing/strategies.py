"""Strategies for hypothesis: Values, rows of the table, points of their domains, programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..primitive import Primitive, errstate
from ..value import Value
from .programs import ACTIVATIONS, CODES, LOSSES, Program, expression, network, rows, weights_of, words_of

if TYPE_CHECKING:
    from hypothesis import strategies as st
else:
    try:
        from hypothesis import strategies as st
    except ImportError as error:
        raise ImportError("the strategies of autograd.testing need hypothesis: pip install 'xigrad[testing]'") from error

__all__ = ["expressions", "networks", "points", "primitives", "values"]

AWAY = 1e-3   # from a kink: differences with steps of 1e-6 or so do not meet it


def values(min_value: float | None = None, max_value: float | None = None, *, allow_nan: bool = False,
           allow_infinity: bool = False) -> st.SearchStrategy[Value]:
    """New Values of finite numbers of any size, unless limits are given or more is allowed: as hypothesis's `floats`.

    >>> from hypothesis import given
    >>> @given(values(-10, 10))
    ... def test(x):
    ...     (x * x).backward()
    ...     assert x.grad == 2 * x.data
    >>> test()
    """
    return st.floats(min_value, max_value, allow_nan=allow_nan, allow_infinity=allow_infinity).map(Value)


def primitives(smooth: bool = True) -> st.SearchStrategy[Primitive]:
    """Rows of `autograd.PRIMITIVES`, those too that you made; smooth: those that have no kink.

    >>> from hypothesis import find
    >>> find(primitives(), lambda p: p.arity == 1)
    <primitive exp>
    """
    return st.deferred(lambda: st.sampled_from(rows(smooth)))


def points(p: Primitive, smooth: bool = True) -> st.SearchStrategy[tuple[float, ...]]:
    """Arguments of a row inside its domain, one number for each: of a row that takes any number of them, two or three.

    smooth   away from the row's kinks, by 0.001 of what it calls its distance. Otherwise kinks are likely: equal and whole
             arguments, and halves

    >>> from autograd import acosh, where
    >>> from hypothesis import find
    >>> find(points(acosh), lambda x: True)
    (2.0,)
    """
    low, high = p.domain
    number: st.SearchStrategy[float] = st.floats(low, high)
    if not smooth:
        halves = [k / 2 for k in range(-6, 9) if low <= k / 2 <= high]
        number = st.sampled_from(sorted(halves, key=abs)) | number
    drawn = st.integers(p.arity or 2, p.arity or 3).flatmap(lambda n: st.tuples(*[number] * n))
    return drawn.filter(lambda xs: _away(p, xs)) if smooth and p.kink else drawn


def _away(p: Primitive, xs: Sequence[float]) -> bool:
    assert p.kink is not None
    with errstate(invalid="ignore", divide="ignore"):
        return abs(float(p.kink(*xs))) > AWAY


def expressions(leaves: int = 3, depth: int = 4, smooth: bool = True, *, numbers: st.SearchStrategy[float] | None = None,
                of: Sequence[Primitive] | None = None) -> st.SearchStrategy[Program]:
    """Programs of operators, functions and rows, users' own too, with a number for every input: see `Program`.

    leaves    how many inputs there are at most
    depth     how many operations stand one inside another at most
    smooth    without rows that have kinks
    numbers   where the inputs' numbers come from: by default from −2 to 2
    of        the rows that they are made of: by default all, and composed functions as silu

    They are well-conditioned: what would leave a row's domain goes through sin first, what becomes large through tanh. They
    shrink to few operations on simple numbers.

    >>> from autograd import primitive
    >>> from hypothesis import find
    >>> find(expressions(of=[primitive("exp"), primitive("log")]), lambda program: "exp" in program.words)
    def f(x=0.0): return exp(x)
    """
    given = st.floats(-2, 2) if numbers is None else numbers

    def made(words: list[str]) -> st.SearchStrategy[Program]:
        choice = st.tuples(st.sampled_from(words), st.integers(0, CODES - 1))
        return st.builds(expression, st.lists(given, min_size=1, max_size=leaves),
                         st.lists(choice, min_size=1, max_size=3 * depth), st.just(depth))
    return st.deferred(lambda: made(words_of(smooth) if of is None else [p.name for p in of]))


def networks(inputs: int = 2, widths: Sequence[int] = (2, 1)) -> st.SearchStrategy[Program]:
    """Programs that are small networks: layers of these widths at most, an activation between them, and a loss at the end.
    The weights are inputs of the program, after those of the network.

    >>> from hypothesis import find
    >>> find(networks(1, [1]), lambda program: True)
    def f(x=0.0, y=0.0, z=0.0): return ((y + (z * x)) - 1.0) ** 2.0
    """
    def of_sizes(sizes: tuple[int, ...]) -> st.SearchStrategy[Program]:
        n = weights_of(sizes)
        return st.builds(network, st.just(sizes), st.lists(st.floats(-1, 1), min_size=n, max_size=n),
                         st.sampled_from(ACTIVATIONS), st.sampled_from(LOSSES))
    return st.tuples(*[st.integers(1, n) for n in (inputs, *widths)]).flatmap(of_sizes)
