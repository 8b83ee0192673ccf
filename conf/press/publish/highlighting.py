"""What marks the words of a search on a page leaves drawings alone.

Sphinx's script asks every element with a found word for its box, and the titles of a drawing have
none: it stopped there, and the rest of the page was not marked.
"""

from pathlib import Path

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

FOUND = "pos >= 0 &&"
OUTSIDE = 'pos >= 0 && !parent.closest("svg") &&'


def spare_drawings(app: Sphinx, exception: Exception | None) -> None:
    """At the end of a build: mend the script that was copied into the book."""
    script = Path(app.outdir, "_static", "sphinx_highlight.js")
    if exception is not None or not script.is_file():
        return
    source = script.read_text("utf-8")
    if OUTSIDE in source:
        return
    if source.count(FOUND) != 1:
        raise ExtensionError(
            f"{script.name} is not as it was: publish/highlighting.py looks for {FOUND!r} once"
        )
    script.write_text(source.replace(FOUND, OUTSIDE), "utf-8")
