"""Run the doctests of each page that was read, in the very build that publishes it."""

import re

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.ext.doctest import DocTestBuilder
from sphinx.util import logging
from sphinx.util.display import status_iterator

logger = logging.getLogger(__name__)


class Doctests(DocTestBuilder):
    """The doctest builder, but a failure is a warning that says where it is."""

    def __init__(self, app: Sphinx, env: BuildEnvironment):
        super().__init__(app, env)
        self.said: list[str] = []

    def _warn_out(self, text: str) -> None:
        self.said.append(text)

    @staticmethod
    def get_line_number(node) -> int | None:
        # A fence's first example stands on the line below it.
        return node.line

    def test_doc(self, docname: str, doctree) -> None:
        # What one page sets, the next must not find.
        from . import observation

        observation.reset()
        self.said = []
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
    """The same, lent to a build of HTML: it writes no page, and is silent about what passes."""

    def __init__(self, app: Sphinx, env: BuildEnvironment):
        super().__init__(app, env)
        self.outdir = app.doctreedir  # where it may leave its log
        self.init()

    def _out(self, text: str) -> None:
        """Say nothing."""


def remember(app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
    """Note which pages this build reads."""
    app.pages_to_test = sorted(docnames)


def test_pages(app: Sphinx, env: BuildEnvironment) -> None:
    """Test the pages that were read, once all of them were."""
    if app.builder.name == "doctest":
        return  # which tests them itself
    tested = [name for name in app.pages_to_test if _has_doctest(env, name)]
    if not tested:
        return
    builder = PageTests(app, env)
    try:
        for docname in status_iterator(tested, "testing pages... ", "brown", len(tested)):
            builder.test_doc(docname, env.get_doctree(docname))
    finally:
        builder.outfile.close()


def _has_doctest(env: BuildEnvironment, docname: str) -> bool:
    return any("testnodetype" in node for node in env.get_doctree(docname).findall(_element))


def _element(node) -> bool:
    return hasattr(node, "attributes")


def setup(app: Sphinx) -> dict:
    app.setup_extension("sphinx.ext.doctest")
    app.add_builder(Doctests, override=True)
    app.pages_to_test = []
    app.connect("env-before-read-docs", remember)
    app.connect("env-updated", test_pages)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
