"""The command: random programs, every way to their derivatives compared with every other, for some minutes."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from ..command.shell import Parser, Refused, say
from .peers import peers
from .session import Finding, Session, drawn
from .ways import Way, backends

__all__ = ["main"]

HELP = """Draws programs (expressions, graphs with sharing, networks; in lists, dicts and arrays; at ordinary numbers,
kinks, infinities and nan), and compares every way to their values and derivatives up to the third order: reverse and forward
mode, graphs of derivatives, compiled in Python, numpy and machine code, of one example and in a batch, and PyTorch, JAX and
mpmath where they are installed. What differs is made short and printed as lines to paste. Exit status 1 if anything differs."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: its exit status."""
    parser = Parser(prog="python3 -m autograd.testing", description=HELP)
    parser.add_argument("--minutes", type=float, default=1.0, help="for how long (1)")
    parser.add_argument("--programs", type=int, help="how many programs, instead of for how long")
    parser.add_argument("--seed", type=int, default=0, help="other numbers draw other programs (0)")
    parser.add_argument("--only", type=int, metavar="K", help="program K of the seed alone, which is printed")
    parser.add_argument("--order", type=int, choices=(1, 2, 3), default=3, help="up to which order of derivatives (3)")
    try:
        given = parser.parse_args(arguments)
    except Refused as refused:
        say(sys.stderr, f"python3 -m autograd.testing: {refused}\n")
        return 2
    others, absent = peers()

    def further(order: int) -> list[Way]:
        return [way for way in others if way.order == order]
    session = Session(given.seed, tuple(range(1, given.order + 1)), further)
    say(sys.stdout, f"seed {given.seed}; compiled on {', '.join(backends())}"
                    f"{f'; not installed, so skipped: {chr(44).join(absent)}' if absent else ''}\n")
    if given.only is not None:
        say(sys.stdout, "\n".join(drawn(given.seed, given.only).source()) + "\n")
        _tell(session.run(given.only))
    else:
        k, end = 0, time.monotonic() + 60 * given.minutes
        while k < given.programs if given.programs is not None else time.monotonic() < end:
            _tell(session.run(k))
            k += 1
    say(sys.stdout, f"\n{session.programs} programs, {session.comparisons} comparisons ({session.unjudged} of an order of a "
                    f"program too ill-conditioned to judge the numbers), {session.disagreements} disagreements"
                    f"{f' of {len(session.findings)} kinds' if session.findings else ''}\n")
    for finding in sorted(session.findings.values(), key=lambda found: -found.count):
        say(sys.stdout, f"{finding.count:6}  {finding.disagreement.kind}, order {', '.join(map(str, sorted(finding.orders)))}, "
                        f"program {finding.place}: {finding.program!r}\n")
    return 1 if session.findings else 0


def _tell(findings: Sequence[Finding]) -> None:
    for finding in findings:
        say(sys.stdout, f"\n# program {finding.place}: {finding.disagreement.kind}\n" + "\n".join(finding.lines()) + "\n")
        sys.stdout.flush()
