"""A program: a graph without repetition, line by line."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..primitive import Primitive


@dataclass
class Program:
    """Lines n₀ … of operations. The inputs come first: those shared by all examples of a batch, then those that vary.

    ops       the primitive of each line; None for an input or a number
    args      the lines that it takes
    numbers   {line: number} of those that are plain numbers
    varies    whether a line may differ from one example of a batch to the next
    shared, varying   how many inputs are of either kind
    outputs   lines, not necessarily different; of a batch, the first `sums` are summed over the examples
    labels    {line: name} where the graph has one
    """

    shared: int
    varying: int
    sums: int
    ops: list[Primitive | None] = field(default_factory=list)
    args: list[tuple[int, ...]] = field(default_factory=list)
    varies: list[bool] = field(default_factory=list)
    numbers: dict[int, float] = field(default_factory=dict)
    outputs: list[int] = field(default_factory=list)
    labels: dict[int, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """Line by line: n2 = mul(n0, n1)."""
        def line(i: int, op: Primitive | None, of: tuple[int, ...]) -> str:
            if op:
                return f"{op.name}({', '.join([f'n{a}' for a in of])})"
            kind = "varying" if self.varies[i] else "shared"
            return repr(self.numbers[i]) if i in self.numbers else f"{self.labels.get(i, 'an input')}, {kind}"
        return "\n".join([f"n{i} = {line(i, op, of)}" for i, (op, of) in enumerate(zip(self.ops, self.args, strict=True))])
