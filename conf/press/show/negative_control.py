"""Falsify a gallery script while the book builds, and show the message it fails with.

A check that was never seen to fail proves nothing.  ``negative-control`` changes one line of a
script of this book, runs it under the same observation, and fails the build if it passes.
"""

import contextlib
import io
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives

from press import programs
from press.fences import Needs, directive, named_script
from press.observed.records import Observed
from press.show.directive import ObservedDirective


@directive("negative-control", Needs(scripts=named_script, executes=True))
class NegativeControl(ObservedDirective):
    """``:replace:`` is text that occurs once in the script, ``:by:`` what it becomes."""

    option_spec = {
        "replace": directives.unchanged_required,
        "by": directives.unchanged_required,
    }

    def show(self, script: Path, observed: Observed) -> list[nodes.Node]:
        missing = self.option_spec.keys() - self.options
        if missing:
            raise self.error(f"say what to change with :{':, :'.join(sorted(missing))}:")
        source = script.read_text("utf-8")
        old, new = self.options["replace"], self.options["by"]
        if source.count(old) != 1:
            raise self.error(f"{old!r} occurs {source.count(old)} times in {script.name}, not once")
        failures, raised = falsify(script, source.replace(old, new))
        if raised is not None and not failures:
            raise self.error(
                f"{script.name} ends with an exception before anything diverges, with {old!r} "
                f"replaced by {new!r}: {type(raised).__name__}: {raised}"
            )
        if not failures:
            raise self.error(
                f"{script.name} still passes with {old!r} replaced by {new!r}: "
                "its comparisons do not see this error"
            )
        line = source[: source.index(old)].count("\n")
        before, after = (text.splitlines()[line] for text in (source, source.replace(old, new)))
        return [
            nodes.literal_block("", f"-{before}\n+{after}", language="diff"),
            nodes.literal_block("", "\n".join(failures), language="none", classes=["bp-failure"]),
        ]


def falsify(script: Path, source: str) -> tuple[list[str], Exception | None]:
    """The failures of ``source`` in place of the script, and what it raised."""
    from press.watch import observation  # torch is imported only where something is executed

    with programs.empty_folder(), contextlib.redirect_stdout(io.StringIO()):
        observation.reset()
        try:
            observed, raised = observation.run(script, source)
        finally:
            observation.reset()
    return [str(failure) for failure in observed.failures], raised
