"""What directives that show an observation have in common: finding it, and saying what is wrong."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from press import project
from press.observed import store
from press.observed.records import Observed

Item = TypeVar("Item")


class ObservedDirective(SphinxDirective):
    """A directive whose argument names a script: its path below ``examples``, without ``.py``."""

    required_arguments = 1
    has_content = False

    def run(self) -> list[nodes.Node]:
        script, observed = self.observed(self.arguments[0])
        if not observed.completed:
            return []  # its failure is reported once, by the gallery
        return self.show(script, observed)

    def observed(self, name: str) -> tuple[Path, Observed]:
        """The script of that name, and what was observed of it."""
        try:
            script = project.script(name)
        except LookupError as unknown:
            raise self.error(str(unknown)) from None
        self.env.note_dependency(str(script))
        self.env.note_dependency(str(store.path(script)))
        observed = store.read(script)
        if observed is None:
            raise self.error(f"examples/{name}.py has not been executed by this build")
        return script, observed

    def show(self, script: Path, observed: Observed) -> list[nodes.Node]:
        """The nodes that stand for what ``script`` showed."""
        raise NotImplementedError

    def numbered(self, items: Sequence[Item], number: int, made: str, name: str = "") -> Item:
        """The item of that number, counted from 1, or an error that says how many there are."""
        if not 1 <= number <= len(items):
            raise self.error(
                f"examples/{name or self.arguments[0]}.py {made} {len(items)} times; there is no "
                f"number {number}"
            )
        return items[number - 1]
