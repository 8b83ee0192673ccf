"""Run the doctests of each page that was read, in the very build that publishes it."""

import re
import tempfile
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.ext.doctest import DocTestBuilder
from sphinx.util import logging

logger = logging.getLogger(__name__)


class Doctests(DocTestBuilder):
    """The doctest builder, but a failure is a warning that says where it is.

    Examples of docstrings, shown on reference pages, are run with the code by pytest, and here
    only where the page is built.
    """

    docstrings = False

    def __init__(self, app: Sphinx, env: BuildEnvironment):
        super().__init__(app, env)
        self.said: list[str] = []

    def _warn_out(self, text: str) -> None:
        self.said.append(text)

    @staticmethod
    def get_line_number(node) -> int | None:
        # A fence's first example stands on the line below it; a docstring's in another file.
        return None if ":docstring of " in (node.source or "") else node.line

    def test_doc(self, docname: str, doctree) -> None:
        # What one page sets, the next must not find.
        from press.watch import observation

        observation.reset()
        self.said = []
        self.config.doctest_test_doctest_blocks = "default" if self.docstrings else ""
        super().test_doc(docname, doctree)
        report = "".join(self.said)
        for failure in re.split(r"^\*{60,}\n", report, flags=re.MULTILINE):
            if failure.strip():
                line = re.search(r"line (\d+), in", failure)
                logger.warning(
                    "doctest failed:\n%s",
                    failure.rstrip(),
                    location=(docname, int(line.group(1)) if line else None),
                    type="gate",
                    subtype="doctest",
                )


class PageTests(Doctests):
    """The same, lent to a build of HTML: it writes nothing, and is silent about what passes."""

    docstrings = True

    def __init__(self, app: Sphinx, env: BuildEnvironment):
        super().__init__(app, env)
        with tempfile.TemporaryDirectory() as folder:
            self.outdir = Path(folder)  # its log, which nothing is written to
            self.init()
            self.outfile.close()

    def _out(self, text: str) -> None:
        """Say nothing."""


def test_page(app: Sphinx, doctree: nodes.document) -> None:
    """Test a page that was just read, in the process that reads it."""
    if app.builder.name != "doctest" and any(map(_is_test, doctree.findall(nodes.Element))):
        PageTests(app, app.env).test_doc(app.env.docname, doctree)


def _is_test(node: nodes.Element) -> bool:
    return "testnodetype" in node or isinstance(node, nodes.doctest_block)


def setup(app: Sphinx) -> None:
    app.setup_extension("sphinx.ext.doctest")
    app.add_builder(Doctests, override=True)
