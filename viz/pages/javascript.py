"""The rows of the table in JavaScript, for pages that compute: each row's array form, read as a formula and written out.

>>> from autograd import primitive
>>> print(javascript(primitive("softplus")))
(x0) => (Math.log1p(Math.exp(-Math.abs(x0))) + Math.max(x0, 0))
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

from autograd import Primitive
from autograd.form import Argument, Call, Formula, UnreadableError, calls, expanded, is_condition, takes_condition

__all__ = ["PRELUDE", "javascript", "table_of"]

# Of numpy's functions, those that JavaScript writes otherwise.
LEAVES = {
    "add": "({} + {})", "subtract": "({} - {})", "multiply": "({} * {})", "divide": "({} / {})", "fmod": "({} % {})",
    "equal": "({} === {})", "not_equal": "({} !== {})", "less": "({} < {})", "less_equal": "({} <= {})",
    "greater": "({} > {})", "greater_equal": "({} >= {})", "logical_and": "({} && {})", "logical_or": "({} || {})",
    "logical_not": "!{}", "negative": "-{}", "where": "({} ? {} : {})", "exp2": "(2 ** {})", "absolute": "Math.abs({})",
    "maximum": "Math.max({}, {})", "minimum": "Math.min({}, {})", "hypot": "Math.hypot({}, {})",
    "arcsin": "Math.asin({})", "arccos": "Math.acos({})", "arctan": "Math.atan({})", "arctan2": "Math.atan2({}, {})",
    "arcsinh": "Math.asinh({})", "arccosh": "Math.acosh({})", "arctanh": "Math.atanh({})",
    "power": "power({}, {})", "copysign": "copysign({}, {})", "rint": "rint({})", "erf": "erf({})", "erfc": "erfc({})",
    **{name: f"Math.{name}({{}})" for name in (
        "cbrt", "ceil", "cos", "cosh", "exp", "expm1", "floor", "log", "log10", "log1p", "log2", "sin", "sinh", "sqrt", "tan",
        "tanh", "trunc")},
}

# What JavaScript has not, or has with other answers at special numbers. erf is Maclaurin's series (DLMF 7.6.1) near 0, its
# terms from the last; from ½ on erfc is the continued fraction of DLMF 7.9.4, from its end up.
PRELUDE = """\
const copysign = (size, x) => (x < 0 || Object.is(x, -0) ? -1 : 1) * Math.abs(size);
const rint = (x) => { const r = Math.round(x); return copysign(r - x === 0.5 && r % 2 !== 0 ? r - 1 : r, x); };
const power = (x, n) => x === 1 || (x === -1 && Math.abs(n) === Infinity) ? 1 : x ** n;
const erf = (x) => {
  if (!(Math.abs(x) < 0.8)) return x !== x ? x : x < 0 ? erfc(-x) - 1 : 1 - erfc(x);
  let sum = 0;
  for (let k = 20; k > 0; k--) sum = -x * x / k * (1 / (2 * k + 1) + sum);
  return 2 / Math.sqrt(Math.PI) * (x + x * sum);
};
const erfc = (x) => {
  if (!(x >= 0.5)) return x !== x ? x : 1 - erf(x);
  if (x > 28) return 0;
  let f = 0;
  for (let k = 10 + Math.ceil(200 / (x * x)); k > 0; k--) f = k / 2 / (x + f);
  const high = Math.fround(x), low = x - high;   // high * high is exact
  return Math.exp(-high * high) * Math.exp(-low * (x + high)) / ((x + f) * Math.sqrt(Math.PI));
};
"""


def javascript(op: Primitive, n: int | None = None) -> str:
    """An arrow function of `n` numbers (as many as the row takes) that computes the row, with the help of `PRELUDE`.

    NotImplementedError, which names the row and what is missing, where its array form is none that can be written."""
    n = n or op.arity or 2
    try:
        formula = expanded(op.formula(n), LEAVES)
    except UnreadableError as error:
        missing = f"it needs {error}, which pages have not" if str(error).isidentifier() else str(error)
        raise NotImplementedError(f"pages have no form of the primitive {op.name}: {missing}; "
                                  "write its array form in functions of xp") from None
    uses = Counter([x for call in calls(formula) for x in call.args if isinstance(x, Call)])
    text: dict[Call, str] = {}
    lines: list[str] = []

    def operand(x: Formula | float, as_condition: bool) -> str:
        made = text[x] if isinstance(x, Call) else f"x{x.place}" if isinstance(x, Argument) else _number(x)  # type: ignore
        if is_condition(x) == as_condition:
            return made
        return f"({made} !== 0)" if as_condition else f"({made} ? 1 : 0)"
    for call in calls(formula):
        made = LEAVES[call.name].format(*[operand(x, takes_condition(call, i)) for i, x in enumerate(call.args)])
        if uses[call] > 1:
            text[call] = f"y{len(lines)}"
            lines.append(f"const {text[call]} = {made}; ")
        else:
            text[call] = made
    whole = operand(formula, False)
    head = f"({', '.join([f'x{i}' for i in range(n)])}) => "
    return head + (f"{{ {''.join(lines)}return {whole}; }}" if lines else whole)


def table_of(rows: Iterable[Primitive]) -> str:
    """`PRELUDE`, and a constant `rows` with the function of every row by its name."""
    return PRELUDE + "const rows = {\n" + "".join([f"  {row.name}: {javascript(row)},\n" for row in rows]) + "};\n"


def _number(x: float) -> str:
    if math.isfinite(x):
        return repr(x).removesuffix(".0") if math.copysign(1.0, x) > 0 else f"({x!r})"
    return "NaN" if x != x else "Infinity" if x > 0 else "(-Infinity)"
