"""Text → Values, safely: a parser of its own, which knows numbers, names, the operators and this project's functions.

    text     { name = sum ; } sum               the definitions first, each used only after it; then the expression
    sum      product { (+|−) product }          product   unary { (*|/|//|%) unary }
    unary    { + | − } power                    power     atom [ ** unary ]
    atom     number | name | function(sum, …) | ( sum )

Nothing is ever evaluated as Python. Dijkstra's shunting-yard algorithm turns the text into a postfix program without
recursion, so nesting costs no stack; length and depth are limited all the same.
"""

from __future__ import annotations

import inspect
import math
import operator
import re
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from difflib import get_close_matches
from typing import Any

from . import functions, primitives
from .conversion import bounded
from .primitive import PRIMITIVES, Primitive, deferred, pending
from .value import Value

__all__ = ["CONSTANTS", "FUNCTIONS", "Expression", "ExpressionError", "parse"]

LONGEST, DEEPEST = 10_000, 200   # characters; open brackets, signs and powers
CONSTANTS = {"pi": math.pi, "e": math.e}

FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{name: getattr(functions, name) for name in functions.__all__
       if name not in ("affine", "dot", "softmax", "log_softmax", "where", "polygamma")},
    "abs": primitives.abs_, "ln": primitives.log,
    "max": primitives.maximum, "min": primitives.minimum, "round": primitives.round_,
}
_TOKEN = re.compile(r"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"
                    r"|(?P<name>[^\W\d]\w*)|(?P<sign>\*\*|//|[-+*/%(),−·×]))")
_DEFINED = re.compile(r"\s*([^\W\d]\w*)\s*=(?!=)")
_DEFINES = -1   # stands in a program where an operation has the number of its arguments
_PLAIN = {"−": "-", "·": "*", "×": "*"}
_BINARY = {"+": (1, operator.add), "-": (1, operator.sub), "*": (2, operator.mul), "/": (2, operator.truediv),
           "//": (2, operator.floordiv), "%": (2, operator.mod), "**": (4, operator.pow)}
_UNARY = {"+": (3, operator.pos), "-": (3, operator.neg)}


class ExpressionError(ValueError):
    """What is wrong with an expression, and where: `str` shows the message, the text and a caret under the place."""

    def __init__(self, message: str, text: str, at: int) -> None:
        start = max(0, at - 40)
        shown = "".join([c if c.isprintable() else " " for c in text[start:start + 72]])
        before = "…" * (start > 0)
        super().__init__(f"{message}\n  {before}{shown}{'…' * (len(text) > start + 72)}\n  {' ' * (len(before) + at - start)}^")
        self.message, self.at = message, at


class Expression:
    """A parsed expression: `text`, the `names` of its variables and its `definitions`, in order of appearance; `evaluate`."""

    def __init__(self, text: str, program: list[tuple[Any, int, int]]) -> None:
        self.text, self._program = text, program
        self._defined = {what: at for what, n, at in program if n == _DEFINES}
        self.definitions = tuple(self._defined)
        names = dict.fromkeys([what for what, _, _ in program if isinstance(what, str)])
        self.names = tuple([name for name in names if name not in self._defined])

    def place(self, name: str) -> int:
        """Where the definition of `name` stands in the text."""
        return self._defined[name]

    def check_given(self, name: str) -> None:
        """ExpressionError, at the definition, if the name of a value that is given is defined here."""
        if name in self._defined:
            raise ExpressionError(f"{bounded(name)} is defined here, and was given a value too: leave out one of them",
                                  self.text, self.place(name))

    def evaluate(self, values: Mapping[str, Value]) -> Value:
        """The Value of the expression; what has no variable in it is computed as plain numbers.

        A definition's name becomes the label of what it computes, so that it is a row of the ξ table.
        ExpressionError for a name without a value (pi and e have theirs) or with two, and where an operation has no number.

        >>> parse("x**2 + 1").evaluate({"x": Value(3.0)}).data
        10.0
        >>> parse("p = x**2; p + p").evaluate({"x": Value(3.0)}).args[0].label
        'p'
        """
        for name in values:
            self.check_given(name)
        stack: list[Any] = []
        known: dict[str, Any] = dict(values)
        given = set(values.values())
        for what, n, at in self._program:
            if n == _DEFINES:
                y = known[what] = stack.pop()
                if isinstance(y, Value) and y.args and y.label is None and y not in given:   # p = x names nothing new
                    y.label = what
            elif isinstance(what, str):
                if what not in known and what not in CONSTANTS:
                    raise ExpressionError(f"{what!r} has no value: add {what}=…", self.text, at)
                stack.append(known.get(what, CONSTANTS.get(what)))
            elif n == 0:
                stack.append(what)
            else:
                args = stack[-n:]
                del stack[-n:]
                stack.append(self._apply(what, args, at))
        return stack[0] if isinstance(stack[0], Value) else Value(stack[0])

    def _apply(self, function: Callable[..., Any], args: list[Any], at: int) -> Any:
        try:
            before = len(pending())
            with nullcontext() if any([isinstance(x, Value) for x in args]) else deferred(False):   # of numbers, at once
                y = function(*args)
            if errors := pending()[before:]:
                pending()[before:] = [ExpressionError(str(error), self.text, at) for error in errors]
            if isinstance(y, complex):
                raise ValueError("a negative number has no real power of a fraction")
        except OverflowError:
            y = math.inf
        except (ValueError, ArithmeticError) as error:
            raise ExpressionError(str(error), self.text, at) from None
        if not isinstance(y, Value) and not math.isfinite(y):
            raise ExpressionError("this number is too large", self.text, at)
        return y

    def __repr__(self) -> str:
        return f"Expression({bounded(self.text)})"


def parse(text: str) -> Expression:
    """The expression that `text` says. ExpressionError, with the place, for anything but the grammar above.

    >>> parse("log(1/(1 + exp(-W*X)))").names
    ('W', 'X')
    >>> parse("p = 1/(1 + exp(-W*X)); -(y*log(p) + (1-y)*log(1-p))").definitions
    ('p',)
    >>> parse("__import__('os')")
    Traceback (most recent call last):
    autograd.expression.ExpressionError: '__import__' is no function here
      __import__('os')
      ^
    """
    if len(text) > LONGEST:
        raise ExpressionError(f"the expression has {len(text)} characters, {LONGEST} are allowed", text, LONGEST)
    program: list[tuple[Any, int, int]] = []
    used: dict[str, int] = {}      # every name, and where it stands first
    defined: set[str] = set()
    start = 0
    for end in [*[i for i, c in enumerate(text) if c == ";"], len(text)]:
        definition = _DEFINED.match(text, start, end)
        if definition:
            _check_definition(definition[1], definition.start(1), defined, text)
        elif not text[start:end].strip() and (defined or end < len(text)):
            raise ExpressionError("a definition is missing before this ';'" if end < len(text) else
                                  "the expression is missing after the definitions", text, end)
        part = _postfix(text, definition.end() if definition else start, end)
        for what, _, at in part:
            if isinstance(what, str):
                used.setdefault(what, at)
        program += part
        if definition:
            name = definition[1]
            if name in used:
                raise ExpressionError(f"{bounded(name)} is used before it is defined", text, used[name])
            if end == len(text):
                raise ExpressionError(f"no expression follows the definition of {bounded(name)}: add one after a ';' (a "
                                      "variable's number is an argument of its own)", text, end)
            program.append((name, _DEFINES, definition.start(1)))
            defined.add(name)
        elif not text[end + 1:].strip() and end < len(text):
            raise ExpressionError("nothing follows this ';': leave it out", text, end)
        elif end < len(text):
            raise ExpressionError("only definitions, p = …, stand before a ';'", text, end - len(text[start:end].lstrip()))
        start = end + 1
    found = Expression(text, program)
    for name in found.definitions:
        if name not in used:
            raise ExpressionError(f"{bounded(name)} is defined and not used", text, found.place(name))
    return found


def _check_definition(name: str, place: int, defined: set[str], text: str) -> None:
    """Refuse a name that means something else already."""
    if name in defined:
        raise ExpressionError(f"{bounded(name)} is defined twice", text, place)
    if name in CONSTANTS or _function(name):
        raise ExpressionError(f"{bounded(name)} is a {'constant' if name in CONSTANTS else 'function'}: give the definition "
                              "another name", text, place)


def _postfix(text: str, start: int, end: int) -> list[tuple[Any, int, int]]:
    """The sum that text[start:end] says, arguments before what is computed of them: each a number, name or function, how
    many arguments it has, and its place in the text."""
    program: list[tuple[Any, int, int]] = []
    pending: list[tuple[str, int, Any, int]] = []  # (sign, precedence, function, place), waiting for what is right of it
    counts: list[int] = []                         # arguments so far of each open bracket
    operand = False                                # whether what stands directly left is a complete operand
    at = start

    def flush(precedence: int) -> None:
        while pending and pending[-1][0] != "(" and pending[-1][1] >= precedence:
            sign, _, function, place = pending.pop()
            program.append((function, 1 if sign == "unary" else 2, place))

    def fail(message: str, place: int) -> ExpressionError:
        return ExpressionError(message, text, place)

    while match := _TOKEN.match(text, at, end):
        kind, token, place, at = match.lastgroup, match[match.lastgroup or 0], match.start(match.lastgroup or 0), match.end()
        token = _PLAIN.get(token, token)
        if len(pending) > DEEPEST:
            raise fail(f"nested more than {DEEPEST} deep", place)
        if (kind != "sign" or token == "(") and operand:
            raise fail(f"an operator is missing before {token!r}", place)
        if kind == "number":
            if math.isinf(float(token)):
                raise fail("this number is too large", place)
            program.append((float(token), 0, place))
            operand = True
        elif kind == "name":
            following = _TOKEN.match(text, at, end)
            if following and following["sign"] == "(":
                called = _function(token)
                if called is None:
                    near = get_close_matches(token, FUNCTIONS, n=1)
                    raise fail(f"{bounded(token)} is no function here{f': is it {near[0]}?' if near else ''}", place)
                pending.append(("(", 0, called, place))
                counts.append(1)
                at = following.end()
            elif token in FUNCTIONS:
                raise fail(f"{token} is a function: write {token}(…)", place)
            else:
                program.append((token, 0, place))
                operand = True
        elif token == "(":
            pending.append(("(", 0, None, place))
            counts.append(1)
        elif token in (")", ","):
            if not operand:
                raise fail(f"a number, a name or '(' is missing before {token!r}", place)
            flush(0)
            if not pending or (token == "," and pending[-1][2] is None):
                raise fail(f"no function is open before {token!r}" if token == "," else "no '(' is open before ')'", place)
            if token == ",":
                counts[-1] += 1
                operand = False
            else:
                _, _, function, opened = pending.pop()
                given = counts.pop()
                if function is not None:
                    if not _takes(function, given):
                        name = re.match(r"\w+", text[opened:])
                        raise fail(f"{name and name[0]} does not take {given} argument{'s' * (given > 1)}", opened)
                    program.append((function, given, opened))
        elif operand:
            precedence, function = _BINARY[token]
            flush(precedence + (token == "**"))
            pending.append(("binary", precedence, function, place))
            operand = False
        elif token in _UNARY:
            pending.append(("unary", *_UNARY[token], place))
        else:
            raise fail(f"a number, a name or '(' is missing before {token!r}", place)

    if rest := text[at:end].lstrip():
        sign = "==" if rest.startswith("==") else rest[0]
        remedy = {"^": ": a power is written **", "==": ": a definition has one =, p = …",
                  "=": ": a definition begins with its name, p = …, and a number is an argument of its own, W=3"}.get(sign, "")
        raise fail(f"{bounded(sign)} has no meaning here{remedy}", end - len(rest))
    if not operand:
        message = "ends too early" if program or pending else "is empty"
        raise fail(f"the {'right side of =' if start and message == 'is empty' else 'expression'} {message}",
                   start + len(text[start:end].rstrip()))
    flush(0)
    if pending:
        raise fail("this '(' is never closed", text.index("(", pending[-1][3]))
    return program


def _function(name: str) -> Callable[..., Any] | None:
    """The function of that name: one of ours, or a row that a user added to the table."""
    row = PRIMITIVES.get(name)
    return FUNCTIONS.get(name) or (row if row and not row.builtin else None)


def _takes(function: Callable[..., Any], n: int) -> bool:
    """Whether `function` can be called with n arguments."""
    if isinstance(function, Primitive):
        return n == function.arity or function.arity is None
    try:
        inspect.signature(function).bind(*[0] * n)
    except TypeError:
        return False
    return True
