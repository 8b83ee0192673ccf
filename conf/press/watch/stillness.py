"""The side by hand stands still: disturbed are only the passes that it is compared with.

A comparison says that autograd returns what was derived.  So where autograd returns something
else, the derived side has to be, to the last bit, what it was.  A script that trains before it
compares is different from then on, whichever side one looks at: there the disturbance begins after
the last pass that later ones depend on.
"""

import ast
import contextlib
from collections.abc import Sequence
from contextlib import ExitStack

from press import programs
from press.observed.comparison import BY_HAND, Comparison, Stillness
from press.watch.ledger import Ledger, watch
from press.watch.passes import Ended, Passes

# So often a script is run again, each time with the disturbance beginning later.
MOST_RUNS = 6


class _Done(BaseException):
    """Every comparison that was asked about has been made."""


def stillness(
    filename: str, source: str, compared: Sequence[Comparison], passes: Sequence[str]
) -> Stillness:
    """Which sides by hand stand still; ``compared`` and ``passes`` are of the undisturbed run.

    Each place in the script is asked about once, the first time it compares.
    """
    asked = _Asked(filename, source, compared, list(passes))
    begin: int | None = 0
    while asked.waiting and begin is not None and len(asked.begun) < MOST_RUNS:
        ended = asked.run(begin)
        begin = asked.next_beginning(max(1, ended - begin))
    if asked.waiting:  # what is compared is a way through many passes: all of them are others
        asked.run(0, to_the_end=True)
    return Stillness(tuple(asked.moved), tuple(compared[i] for i in asked.waiting.values()))


class _Asked:
    """The places that are still asked about, and what was found of the others."""

    def __init__(self, filename: str, source: str, compared: Sequence[Comparison], passes: list):
        self.filename, self.source = filename, source
        self.compared, self.passes = compared, passes
        self.moved: list[Comparison] = []
        self.begun: list[int] = []
        self.ended: set[int] = set()
        self.waiting: dict[tuple[int, str], int] = {}
        for index, c in enumerate(compared):
            if c.kind == BY_HAND and c.passed:
                self.waiting.setdefault((c.line, c.name), index)

    def run(self, begin: int, *, to_the_end: bool = False) -> int:
        """Disturb from the pass ``begin`` on; the number of the pass at which that run ended."""
        self.begun.append(begin)
        known = None if to_the_end else self.passes
        last = max(self.waiting.values())
        ledger, passes = _run(self.filename, self.source, known, begin, last)
        for index, (was, now) in enumerate(zip(self.compared, ledger, strict=False)):
            place = (was.line, was.name)
            if (now.line, now.name) != place or self.waiting.get(place) != index:
                continue
            steady, other = (a == b for a, b in zip(was.digests, now.digests, strict=True))
            if steady and (not other or begin == 0):
                del self.waiting[place]  # what does not move at all is told by the other replay
            elif not steady and not to_the_end:
                self.moved.append(was)
                del self.waiting[place]
        ended = max(begin, len(passes) - 1)
        self.ended.add(ended)
        return ended

    def next_beginning(self, window: int) -> int | None:
        """Where to begin next: a step before the first that waits, or where a run had to end."""
        if not self.waiting:
            return None
        first = min(self.compared[index].after for index in self.waiting.values())
        places = (first - window, *sorted(self.ended, reverse=True))
        return next((p for p in places if 0 < p < first and p not in self.begun), None)


def _run(
    filename: str, source: str, known: list[str] | None, begin: int, last: int
) -> tuple[Ledger, Passes]:
    """Run the script with the passes from number ``begin`` on disturbed, as far as is asked."""
    from press.watch import observation

    passes = Passes(begin, known)
    ledger = Ledger(filename, source, raises=False, passes=passes)
    record = ledger.record

    def recorded(*comparison) -> None:
        record(*comparison)
        if len(ledger) > last:
            raise _Done

    ledger.record = recorded
    observation.reset()
    with ExitStack() as around:
        around.enter_context(passes.watched())
        around.enter_context(watch(ledger))
        around.enter_context(programs.quietly())
        around.enter_context(programs.empty_folder())
        code = compile(unasserted(source), filename, "exec", dont_inherit=True)
        with contextlib.suppress(Exception, SystemExit, Ended, _Done):
            exec(code, {"__name__": "__main__", "__doc__": ""})
    return ledger, passes


class _Unasserted(ast.NodeTransformer):
    def visit_Assert(self, node: ast.Assert) -> ast.Try:
        handler = ast.ExceptHandler(ast.Name("Exception", ast.Load()), None, [ast.Pass()])
        return ast.copy_location(ast.Try([ast.Expr(node.test)], [handler], [], []), node)


def unasserted(source: str) -> ast.Module:
    """The program in which an assert computes what it would, and raises nothing.

    Left out, the passes in it would be missing, and every one after them have another number.

    >>> ast.unparse(unasserted("assert f(x) == 1, 'no'"))
    'try:\\n    f(x) == 1\\nexcept Exception:\\n    pass'
    """
    return ast.fix_missing_locations(_Unasserted().visit(ast.parse(source)))
