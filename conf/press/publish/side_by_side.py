"""Write pages side by side, each from its stored form to HTML in one process.

Sphinx resolves and indexes every page in the process that started, one after another, and only
the rest of the work runs elsewhere: on two cores that one process was most of the build's end.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.builders.html import StandaloneHTMLBuilder
from sphinx.environment import BuildEnvironment
from sphinx.environment.adapters.toctree import global_toctree_for_doc
from sphinx.util.build_phase import BuildPhase
from sphinx.util.display import status_iterator
from sphinx.util.parallel import make_chunks

from press.publish.readers import NamedTasks

# What the index of the search holds of each page, and of each word.  The names are Sphinx's own:
# tests/press/test_configuration.py pins them.
BY_PAGE = ("_titles", "_filenames", "_all_titles", "_index_entries")
BY_WORD = ("_mapping", "_title_mapping")


class SideBySide(StandaloneHTMLBuilder):
    """The builder of HTML, with all that concerns one page done in the process that writes it."""

    def _write_parallel(self, docnames: Sequence[str], nproc: int) -> None:
        first, *others = docnames
        self._write_page(first)  # so that every fork has the templates
        # Sphinx leaves out one process for its own part of the work; here that only waits.
        tasks = NamedTasks(nproc + 1)
        chunks = make_chunks(others, nproc + 1)
        done = status_iterator(
            chunks, "writing output... ", "darkgreen", len(chunks), self.app.verbosity
        )

        def collect(chunk: list[str], found: dict) -> None:
            next(done)
            self._add(found)

        for chunk in chunks:
            tasks.add_task(self._write_pages, chunk, collect)
        tasks.join()

    def _write_pages(self, docnames: list[str]) -> dict:
        """In a fork: write some pages; what the process that forked has to know of them."""
        self.images = {}
        if self.indexer is not None:
            for name in (*BY_PAGE, *BY_WORD):
                setattr(self.indexer, name, {})
        for docname in docnames:
            self._write_page(docname)
        found = {"images": self.images}
        if self.indexer is not None:
            found |= {name: getattr(self.indexer, name) for name in (*BY_PAGE, *BY_WORD)}
        return found

    def _write_page(self, docname: str) -> None:
        self.app.phase = BuildPhase.RESOLVING
        doctree = self.env.get_and_resolve_doctree(docname, self)
        self.app.phase = BuildPhase.WRITING
        self.write_doc_serialized(docname, doctree)
        self.write_doc(docname, doctree)

    def _get_local_toctree(self, docname: str, collapse: bool = True, **options) -> str:
        """The contents of the book as ``docname`` shows them; made for each page."""
        if not options.get("titles_only"):
            return super()._get_local_toctree(docname, collapse, **options)
        options.setdefault("includehidden", False)
        tree = global_toctree_for_doc(self._outline, docname, self, collapse=collapse, **options)
        return self.render_partial(tree)["fragment"]

    @cached_property
    def _outline(self) -> "Outline":
        return Outline(self.env)

    def _add(self, found: dict) -> None:
        self.images |= found["images"]
        if self.indexer is None:
            return
        for name in BY_PAGE:
            getattr(self.indexer, name).update(found[name])
        for name in BY_WORD:
            words = getattr(self.indexer, name)
            for word, docnames in found[name].items():
                words.setdefault(word, set()).update(docnames)


class Outline:
    """A book's environment, in which each page's contents are its title and the pages below it.

    Where only titles are shown, Sphinx copies the headings of every page for every page, and
    reads the first page again, to throw them away.  For 140 pages that was a third of the writing.
    """

    def __init__(self, env: BuildEnvironment):
        self._env = env
        self.master_doctree = env.master_doctree
        self.tocs = {docname: title_only(toc) for docname, toc in env.tocs.items()}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._env, name)


def title_only(toc: nodes.bullet_list) -> nodes.bullet_list:
    """A copy of a page's contents, of each title what Sphinx keeps where titles are wanted."""
    kept = toc.deepcopy()
    for item in kept:
        if len(item) > 1:
            below = list(item.findall(addnodes.toctree))
            if below:
                item[1][:] = below
            else:
                item.pop(1)
    return kept


def setup(app: Sphinx) -> None:
    app.add_builder(SideBySide, override=True)
