"""Derivatives without side effects: of Values, as Values to differentiate again; of Python functions, as numbers.

| | of Values | of a Python function |
|---|---|---|
| gradient | `grad(y, xs)` | `grad(f)(x)`, `value_and_grad(f)(x)` |
| Jacobian, Hessian | `jacobian(ys, xs)`, `hessian(y, xs)` | `jacobian(f)(x)`, `hessian(f)(x)` |
| J·v, forward mode | `jvp(ys, xs, v)` | `jvp(f, x, v)` |
| u·J, reverse mode | `vjp(ys, xs, u)` | `vjp(f, x, u)` |
| H·v | `hvp(y, xs, v)` | `hvp(f, x, v)` |

Values, and numbers for functions, stand in (nested) lists, tuples, dicts or arrays, and a derivative has their structure:
`grad(L, W)` of a matrix W has its rows and columns, a Jacobian has the structure of xs in each place of ys.
Given Values, or called inside another derivative, it answers in Values: grad(grad(f)) is the second derivative.
Every form raises RuntimeError if a leaf was assigned after it was used, FloatingPointError if finite numbers give nan.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple, overload

from .conversion import bounded, to_float
from .copies import Place
from .faults import check_unchanged
from .graph import topological
from .guard import guarded
from .recording import recording
from .structure import MismatchError, leaves_of, matched, nested, outline, shaped, variables
from .value import Constant, Value, literal
from .zeros import pullback, pushforward

__all__ = ["grad", "hessian", "hvp", "jacobian", "jvp", "value_and_grad", "vjp"]

Function = Callable[..., Any]
_DEPTH: ContextVar[int] = ContextVar("autograd_depth", default=0)   # of derivatives of functions inside one another


# ---- the two sweeps

class Derivation(NamedTuple):
    """How derivatives were found: what a compiled function does again, on the graph, where it gets no finite numbers.

    sweep   `adjoints`, of the roots among `seeds`, for `ends` below them; or `tangents`, of the variables, for `ends` above
    """

    sweep: Callable[..., list[Any]]
    seeds: dict[Value, Any]
    ends: list[Value]

    def roots(self) -> list[Value]:
        """What is differentiated."""
        return list(self.seeds) if self.sweep is adjoints else self.ends

    def inputs(self) -> list[Value]:
        """All Values that it takes."""
        return [*self.seeds, *[d for d in self.seeds.values() if isinstance(d, Value)], *self.ends]

    def of(self, other: Callable[[Any], Any]) -> Derivation:
        """The same of other nodes: `other` gives the one in place of a node, or of a place."""
        def moved(x: Any) -> Any:
            return other(x) if isinstance(x, (Value, Place)) else x
        return Derivation(self.sweep, {other(v): moved(d) for v, d in self.seeds.items()}, [other(v) for v in self.ends])

    def again(self, made: Mapping[Value, Value]) -> list[Any]:
        """The derivatives with what `made` has in place of the Values."""
        by = self.of(made.__getitem__)
        return by.sweep(by.seeds, by.ends)


def adjoints(seeds: Mapping[Value, Any], xs: Sequence[Value], symbolic: bool = True) -> list[Any]:
    """Σ seed · ∂root/∂x for every x: one reverse sweep."""
    order = topological(*seeds)
    check_unchanged(order)
    adjoint = pullback(order, seeds, xs, symbolic)
    found = [adjoint.get(x, 0.0) for x in xs]
    return _results(found, order, Derivation(adjoints, dict(seeds), list(xs))) if symbolic else found


def tangents(seeds: Mapping[Value, Any], ys: Sequence[Value], symbolic: bool = True) -> list[Any]:
    """Σ ∂y/∂x · seed for every y: one forward sweep."""
    order = topological(*ys)
    check_unchanged(order)
    tangent = pushforward(order, seeds, ys, symbolic)
    found = [tangent.get(y, 0.0) for y in ys]
    return _results(found, order, Derivation(tangents, dict(seeds), list(ys))) if symbolic else found


def _results(found: list[Any], order: Sequence[Value], derivation: Derivation) -> list[Value]:
    """Each as a node of its own, which knows how it was found: a derivative may be a variable of the expression."""
    known, made = set(order), []
    for i, d in enumerate(found):
        x: Any = Slope(d) if not isinstance(d, Value) else d * 1.0 if d in known else d
        if not x.constant or isinstance(x, Slope):
            x.origin = derivation, i
            known.add(x)   # what is the derivative by two variables is two nodes
        made.append(x)
    return made


class Slope(Constant):
    """A derivative that is the same number wherever it is taken."""

    __slots__ = ("origin",)


# ---- derivatives of Values and of functions

@overload
def grad(y: Value, xs: Value) -> Value: ...
@overload
def grad(y: Value, xs: list[Value]) -> list[Value]: ...
@overload
def grad(y: Value, xs: list[list[Value]]) -> list[list[Value]]: ...
@overload
def grad(y: Value, xs: Any) -> Any: ...
@overload
def grad(y: Function, xs: int | Sequence[int] = 0, *, argnums: int | Sequence[int] | None = None) -> Function: ...
def grad(y: Any, xs: Any = 0, *, argnums: int | Sequence[int] | None = None) -> Any:
    """∂y/∂x for every x of `xs`, as Values; or, of a function, the function that computes its gradient.

    y    a Value; nothing of the graph is changed, `.grad` neither
    xs   a Value, or a structure of them as a list or a matrix (the answer has it too); anything in the graph, leaf or not;
         0 for what is not in it
    of a function `y`, `xs` or `argnums` says by which arguments: a position (0 unless given) or several

    >>> x = Value(3.0, label="x")
    >>> dy = grad(x ** 3, x)
    >>> dy.data, grad(dy, x).data
    (27.0, 18.0)
    >>> grad(lambda a, b: a * b ** 2, (0, 1))(2.0, 3.0)
    (9.0, 12.0)
    """
    if not isinstance(y, Value):
        both = value_and_grad(y, xs if argnums is None else argnums)
        return _named(lambda *args, **given: both(*args, **given)[1], "grad", y)
    return shaped(xs, adjoints({y: 1.0}, _values(xs, "grad")))


def value_and_grad(f: Function, argnums: int | Sequence[int] = 0) -> Function:
    """The function that computes (f(x), its gradient): what scipy.optimize.minimize(..., jac=True) takes.

    TypeError if f gives more than one number: a vector has a `jacobian`.

    >>> value_and_grad(lambda x: x[0] ** 2 + 3 * x[1])([2.0, 1.0])
    (7.0, [4.0, 3.0])
    """
    def both(*args: Any, **given: Any) -> Any:
        with _call(f, args, argnums, given) as (xs, inputs, output, symbolic):
            y = _single(output, f)
            derivatives = adjoints({y: 1.0}, xs, symbolic)
            return y if symbolic else y.data, shaped(inputs, derivatives)
    return _named(both, "value_and_grad", _function(f, "value_and_grad"))


@overload
def jacobian(ys: Function, xs: int | Sequence[int] = 0) -> Function: ...
@overload
def jacobian(ys: Any, xs: Any) -> Any: ...
def jacobian(ys: Any, xs: Any = 0) -> Any:
    """[[∂y/∂x for x in xs] for y in ys] as Values; or, of a function, the function that computes its Jacobian.

    ys, xs   Values in any structure: of a matrix xs each ∂y/∂x is a matrix
    Of arrays of shapes m and n the Jacobian is an array of shape (*m, *n).

    >>> jacobian(lambda x: [x[0] * x[1], x[0] / x[1]])([1.0, 2.0])
    [[2.0, 1.0], [0.5, -0.25]]
    """
    if not callable(ys):
        at_all = _values(xs, "jacobian")
        return nested(ys, xs, [adjoints({y: 1.0}, at_all) for y in _values(ys, "jacobian")])

    def matrix(*args: Any, **given: Any) -> Any:
        with _call(ys, args, xs, given) as (at, inputs, output, symbolic):
            rows = [adjoints({y: 1.0}, at, symbolic) for y in _outputs(output)]
            return nested(output, inputs, rows)
    return _named(matrix, "jacobian", ys)


@overload
def hessian(y: Value, xs: list[Value]) -> list[list[Value]]: ...
@overload
def hessian(y: Value, xs: Any) -> Any: ...
@overload
def hessian(y: Function, xs: int = 0) -> Function: ...
def hessian(y: Any, xs: Any = 0) -> Any:
    """The matrix of second derivatives of y as Values; or, of a function, the function that computes it.

    >>> hessian(lambda x: x[0] ** 2 * x[1])([3.0, 5.0])
    [[10.0, 6.0], [6.0, 0.0]]
    """
    if isinstance(y, Value):
        at_all = _values(xs, "hessian")
        return nested(xs, xs, [adjoints({d: 1.0}, at_all) for d in grad(y, at_all)])

    def matrix(*args: Any, **given: Any) -> Any:
        with _call(y, args, xs, given) as (at, inputs, output, symbolic):
            rows = [adjoints({d: 1.0}, at, symbolic) for d in grad(_single(output, y), at)]
            return nested(inputs, inputs, rows)
    return _named(matrix, "hessian", _function(y, "hessian"))


def jvp(y: Any, xs: Any, v: Any) -> Any:
    """Forward mode: the derivative of y along v, in one sweep from the leaves to y (the lecture's dξn/dW column).

    Of a Value or a structure of them, Σ ∂y/∂x · v for each, as Values (v holds numbers or Values, in the structure of xs);
    of a function f at xs, the pair (f(xs), J·v); a tuple xs holds several arguments, and v one direction for each.

    >>> w = Value(3.0)
    >>> jvp(w ** 2, [w], [1.0]).data
    6.0
    >>> jvp(lambda a, b: a * b, (2.0, 3.0), (1.0, 0.0))
    (6.0, 3.0)
    """
    if not callable(y):
        return shaped(y, tangents(_seeds(_values(xs, "jvp"), _flat(xs, v, "jvp", "xs", "v")), _values(y, "jvp")))
    with _call_at(y, xs) as (at, _, output, symbolic):
        found = tangents(_seeds(at, _flat(xs, v, "jvp", "xs", "v")), _outputs(output), symbolic)
        return _result(output, symbolic), shaped(output, found)


def vjp(y: Any, xs: Any, u: Any = 1.0) -> Any:
    """Reverse mode: Σ u · ∂y/∂x for every x, in one sweep from y to the leaves.

    Of Values, Values in the structure of xs; of a function f at xs, the pair (f(xs), u·J), the second in that structure too.

    >>> vjp(lambda x: [x[0] * x[1], x[0]], [2.0, 3.0], [1.0, 10.0])
    ([6.0, 2.0], [13.0, 2.0])
    """
    if not callable(y):
        return shaped(xs, adjoints(_seeds(_values(y, "vjp"), _flat(y, u, "vjp", "y", "u")), _values(xs, "vjp")))
    with _call_at(y, xs) as (at, inputs, output, symbolic):
        found = adjoints(_seeds(_outputs(output), _flat(output, u, "vjp", "y", "u")), at, symbolic)
        return _result(output, symbolic), shaped(inputs, found)


def hvp(y: Any, xs: Any, v: Any) -> Any:
    """The Hessian times v, without the Hessian: forward mode through the gradient.

    Of a Value, Values in the structure of xs; of a function f at xs, the pair (f(xs), H·v), the second in that structure too.

    >>> hvp(lambda x: x[0] ** 2 * x[1], [3.0, 5.0], [1.0, 0.0])
    (45.0, [10.0, 6.0])
    """
    if isinstance(y, Value):
        return jvp(grad(y, xs), xs, v)
    with _call_at(y, xs) as (at, inputs, output, symbolic):
        f = _single(output, y)
        found = tangents(_seeds(at, _flat(xs, v, "hvp", "xs", "v")), grad(f, at), symbolic)
        return f if symbolic else f.data, shaped(inputs, found)


# ---- calling a function with variables in place of numbers

@contextmanager
def _call(f: Function, args: Sequence[Any], argnums: int | Sequence[int],
          given: Mapping[str, Any]) -> Iterator[tuple[list[Value], Any, Any, bool]]:
    """f(*args, **given) with the arguments `argnums` made variables: (the variables, their structure, f's output, whether the
    derivative is asked for in Values)."""
    chosen = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    if not all([isinstance(i, int) and -len(args) <= i < len(args) for i in chosen]):
        raise ValueError(f"argnums={argnums!r} of a function that was given {len(args)} arguments")
    made = list(args)
    for i in chosen:
        made[i] = variables(args[i])
    inputs = made[argnums] if isinstance(argnums, int) else tuple([made[i] for i in chosen])
    depth = _DEPTH.get()
    token = _DEPTH.set(depth + 1)
    try:
        with recording():   # whatever no_grad stands around it: a derivative was asked for
            output = guarded(f, *made, **given)
    finally:
        _DEPTH.reset(token)
    at = leaves_of(tuple([args[i] for i in chosen]))
    yield leaves_of(inputs), inputs, output, depth > 0 or any([isinstance(x, Value) for x in at])


def _call_at(f: Function, xs: Any) -> Any:
    """`_call` by all arguments: a tuple holds several."""
    return _call(f, xs, range(len(xs)), {}) if isinstance(xs, tuple) else _call(f, (xs,), 0, {})


def _function(f: Any, name: str) -> Function:
    if not callable(f):
        raise TypeError(f"{name}() got {bounded(f)}: a derivative is of a Value or of a function")
    return f  # type: ignore[no-any-return]


def _outputs(output: Any) -> list[Value]:
    what = "the result of a function to differentiate"
    return [y if isinstance(y, Value) else literal(to_float(y, what)) for y in leaves_of(output)]


def _result(output: Any, symbolic: bool) -> Any:
    return output if symbolic else shaped(output, [y.data for y in _outputs(output)])


def _single(output: Any, f: Function) -> Value:
    found = _outputs(output)
    if len(found) != 1:
        raise TypeError(f"{getattr(f, '__name__', 'f')} gave {len(found)} numbers: a gradient is of one; use jacobian")
    return found[0]


def _values(xs: Any, name: str) -> list[Value]:
    found = leaves_of(xs)
    for x in found:
        if not isinstance(x, Value):
            raise TypeError(f"{name}() got {bounded(x)}: it needs the Values that the expression was built from")
    return found


def _flat(like: Any, v: Any, name: str, first: str, second: str) -> list[Any]:
    """The numbers of `v` in the order of `like`, of whose structure it is: keys by name, the rest by place."""
    try:
        return matched(like, v)
    except MismatchError as error:
        raise ValueError(f"{name}(): {first} is {outline(like)} and {second} is {outline(v)}: they need the same structure "
                         f"({error})") from None


def _seeds(xs: Sequence[Value], v: Sequence[Any]) -> dict[Value, Any]:
    """{x: its direction}, adding up where one Value stands twice."""
    seeds: dict[Value, Any] = {}
    for x, direction in zip(xs, v, strict=True):
        d = direction if isinstance(direction, Value) else to_float(direction)
        seeds[x] = seeds[x] + d if x in seeds else d
    return seeds


def _named(g: Function, name: str, f: Any) -> Function:
    g.__name__ = f"{name}({getattr(f, '__name__', 'f')})"
    return g
