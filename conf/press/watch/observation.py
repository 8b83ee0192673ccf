"""One run of one script, observed: comparisons, drawings, backward passes, and the replay.

Observation changes no result: what a script prints and computes is the same without it.
"""

import ast
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from unittest import mock

import torch

import backwardpass
from press import project
from press.judge import gates
from press.observed.comparison import Comparison, Replay
from press.observed.failure import Failure
from press.observed.records import Drawing, Observed
from press.watch.ledger import Ledger, watch
from press.watch.lines import RunningLines
from press.watch.passes import Passes
from press.watch.replay import replay
from press.watch.stillness import stillness

# A script that trains runs thousands of passes, and a page shows a few: so many are recorded from
# the start, and from each drawing on.
MOST_PASSES = 50


@dataclass(frozen=True)
class Asked:
    """A graph that a script showed, before what ran over it later is known."""

    title: str
    line: int
    graph: backwardpass.Graph
    lines: tuple[int | None, ...]


class Observation:
    """Watch a script from :meth:`start` to :meth:`finish`.

    Parameters
    ----------
    script
        Path of the script, as its frames name it.
    source
        What is executed, by default the script as it lies there.
    """

    def __init__(self, script: Path, source: str | None = None):
        self.script = script
        self.source = script.read_text("utf-8") if source is None else source
        self.passes = Passes()
        self.ledger = Ledger(str(script), self.source, passes=self.passes)
        self._asked: list[Asked] = []
        self.printed: list[str] = []  # by whoever runs the script
        self._recording = None
        self._most = MOST_PASSES
        self._open = ExitStack()
        self._running = RunningLines(str(script))

    def start(self) -> None:
        """Begin to watch.  Must be paired with :meth:`finish`, or :meth:`abandon`."""
        self._open.enter_context(self.passes.watched())
        self._open.enter_context(watch(self.ledger))
        filename = str(self.script)
        names = RunningScript(filename)
        self._open.enter_context(mock.patch.object(sys, "exit", _refuse_to_exit))
        self._open.enter_context(mock.patch.object(os, "_exit", _only_in_a_fork()))

        def is_wanted(called_from: str) -> bool:
            return called_from == filename and len(self._recording.passes) < self._most

        recorder = backwardpass.record(names, only=is_wanted, values=True)
        self._recording = self._open.enter_context(recorder)
        self._open.callback(self._running.stop)
        self._running.start()

    def abandon(self) -> None:
        """Stop watching, and leave everything as it was."""
        self._open.close()

    def draw(self, node: torch.autograd.graph.Node, names: dict, title: str, line: int) -> int:
        """Trace and draw the graph behind ``node``; its number among the script's drawings."""
        graph = backwardpass.trace(node, names=names)
        self._most = len(self._recording.passes) + MOST_PASSES
        # The line that recorded each node; of another engine's nothing is known.
        lines = tuple(self._running.at(number) for number in graph.sequence_numbers())
        self._asked.append(Asked(title, line, graph, lines))
        return len(self._asked)

    def passed(self, line: int) -> None:
        """After a block that ends on ``line``: follow its lines no further than drawings need."""
        if line >= last_shown(self.source):
            self._running.stop()

    def finish(self, *, completed: bool = True) -> Observed:
        """Stop watching, replay, and return what is kept and shown.

        ``completed`` tells whether the script reached its end; if not, there is no replay.
        """
        self.abandon()
        passes = self._recording.passes
        where = self.script.relative_to(project.ROOT).as_posix()
        drawings, undrawn = [], []
        for asked in self._asked:
            try:
                drawings.append(_drawing(asked, passes))
            except RuntimeError as error:  # its message says what to install
                drawings.append(Drawing(asked.title, asked.line, asked.graph, asked.lines))
                undrawn.append(Failure(where, asked.line, "drawing", str(error)))
        replayed, still = None, None
        if completed:
            replayed = replay(str(self.script), self.source)
            still = stillness(str(self.script), self.source, self.ledger, self.passes)
        symmetric = self.ledger.symmetric
        failures = undrawn + gates.judge(
            where, self.source, self.ledger, replayed, still, symmetric
        )
        return Observed(
            completed=completed,
            comparisons=_with_errors_of(self.ledger, replayed),
            drawings=tuple(drawings),
            passes=tuple(passes),
            failures=tuple(failures),
            printed="".join(self.printed),
        )


class RunningScript(Mapping):
    """The variables of the script that is running now, found on the stack when they are needed.

    A mapping made when the script starts would not hold what it defines later, and one that is
    kept would keep its tensors alive.
    """

    def __init__(self, filename: str):
        self.filename = filename

    def _variables(self) -> dict:
        frame = sys._getframe(1)
        while frame is not None:
            if frame.f_code.co_filename == self.filename:
                return frame.f_globals
            frame = frame.f_back
        return {}

    def __getitem__(self, name: str) -> object:
        return self._variables()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._variables()))

    def __len__(self) -> int:
        return len(self._variables())


def last_shown(source: str) -> int:
    """The line of the last expression whose value a page may draw; 0 where there is none.

    >>> last_shown("x = f()\\nx.grad_fn\\nprint(x)")
    2
    >>> last_shown("it is no Python")
    0
    """
    try:
        statements = ast.parse(source).body
    except SyntaxError:  # sphinx-gallery says so
        return 0
    shown = (
        statement.end_lineno
        for statement in statements
        if isinstance(statement, ast.Expr) and not isinstance(statement.value, ast.Call)
    )
    return max(shown, default=0)


def run(script: Path, source: str | None = None) -> tuple[Observed, Exception | None]:
    """Run a script from start to end under observation, outside the gallery.

    Returns what was observed, and the exception the script ended with, if it did.
    """
    observation = Observation(script, source)
    error = None
    observation.start()
    try:
        code = compile(observation.source, str(script), "exec", dont_inherit=True)
        exec(code, {"__name__": "__main__", "__doc__": ""})
    except Exception as raised:
        error = raised
    finally:
        observation.abandon()
    return observation.finish(completed=error is None), error


def _refuse_to_exit(status: object = None) -> None:
    """Stand in for ``sys.exit``, which would end the whole build, and say that it succeeded."""
    raise RuntimeError(f"sys.exit({status!r}) was called; a script has to reach its last line")


def _only_in_a_fork() -> Callable[[int], None]:
    """Stand in for ``os._exit``: it ends a process that the script forked, and no other."""
    here, real = os.getpid(), os._exit

    def leave(status: int) -> None:
        if os.getpid() != here:
            real(status)
        raise RuntimeError(f"os._exit({status!r}) was called; a script has to reach its last line")

    return leave


def reset() -> None:
    """Bring every piece of global state that a script may have changed to one known state."""
    import random

    import numpy as np

    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float32)
    torch.set_grad_enabled(True)
    torch.autograd.set_detect_anomaly(False)
    if torch.are_deterministic_algorithms_enabled():  # setting it imports torch's whole compiler
        torch.use_deterministic_algorithms(False)
    # A warning shown once in a process would appear on the page that happens to run first.
    torch.set_warn_always(True)
    if "matplotlib" in sys.modules:
        import matplotlib.pyplot as plt

        plt.close("all")


def _drawing(asked: Asked, passes: Sequence[backwardpass.BackwardPass]) -> Drawing:
    """The drawing and the shape table of a graph, gradients from the first pass that ran it.

    A pass over another graph may share leaves with this one: it has not run it.
    """
    graph, roots = asked.graph, set(asked.graph.roots)
    matches = ((index, graph.match(seen.graph)) for index, seen in enumerate(passes))
    ran = {index: places for index, places in matches if roots <= places.keys()}
    first = passes[next(iter(ran))] if ran else None
    return Drawing(
        asked.title,
        asked.line,
        graph,
        asked.lines,
        svg=graph.to_svg(title=asked.title),
        table=graph.table(first).to_html(),
        # As the drawing is asked: which of its nodes a node of the pass is.
        passes={
            index: {there: here for here, there in places.items()} for index, places in ran.items()
        },
        recorded=graph.recorded(),
    )


def _with_errors_of(
    compared: Sequence[Comparison], replayed: Replay | None
) -> tuple[Comparison, ...]:
    """The comparisons as kept: each with its error in the replay beside the one that counts."""
    again = () if replayed is None else replayed.comparisons
    return tuple(
        replace(comparison, replayed_max_abs=again[index].max_abs)
        if index < len(again)
        else comparison
        for index, comparison in enumerate(compared)
    )
