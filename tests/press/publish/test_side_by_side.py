"""The contents of the book, as each page shows them, are made from titles alone."""

from types import SimpleNamespace

import pytest
from docutils import nodes
from press.publish.side_by_side import Outline, title_only
from sphinx import addnodes
from sphinx.environment.adapters.toctree import global_toctree_for_doc
from sphinx.util.tags import Tags


def entry(docname: str, words: str, *below: nodes.Node, place: str = "") -> nodes.list_item:
    """A title in the contents of a page, with what is below it."""
    link = nodes.reference(
        "", words, internal=True, refuri=docname, anchorname=place and f"#{place}"
    )
    item = nodes.list_item("", addnodes.compact_paragraph("", "", link))
    if below:
        item += nodes.bullet_list("", *below)
    return item


def listing(*docnames: str) -> addnodes.toctree:
    entries = [(None, docname) for docname in docnames]
    return addnodes.toctree("", entries=entries, includefiles=list(docnames), maxdepth=-1)


@pytest.fixture
def env():
    """A book of four pages; one is listed below a heading of another page, one below its title."""
    heading = entry("a", "A heading", entry("a", "Deeper", place="deeper"), place="heading")
    master = nodes.document(None, None)
    master += listing("a", "b")
    return SimpleNamespace(
        master_doctree=master,
        tocs={
            "index": nodes.bullet_list("", entry("index", "Book", listing("a", "b"))),
            "a": nodes.bullet_list("", entry("a", "Page A", heading, listing("c"))),
            "b": nodes.bullet_list("", entry("b", "Page B", entry("b", "One", place="one"))),
            "c": nodes.bullet_list("", entry("c", "Page C")),
        },
        metadata={name: {} for name in ("index", "a", "b", "c")},
        toctree_includes={"index": ["a", "b"], "a": ["c"]},
        config=SimpleNamespace(include_patterns=["**"], exclude_patterns=[]),
        doc2path=lambda docname, base: docname,
    )


@pytest.mark.parametrize("docname", ["index", "a", "b", "c"])
def test_contents_are_those_of_sphinx(env, docname):
    """From titles alone the same tree comes as from every heading of every page."""
    builder = SimpleNamespace(tags=Tags(), get_relative_uri=lambda start, to: f"{start}->{to}")
    options = {"titles_only": True, "maxdepth": -1, "includehidden": True}
    ours, theirs = (
        global_toctree_for_doc(each, docname, builder, **options).pformat()
        for each in (Outline(env), env)
    )
    assert ours == theirs
    assert "Page C" in ours
    assert "A heading" not in ours


def test_headings_are_left_out(env):
    """A page's contents become its title and the pages below it; the original stays as it was."""
    before = env.tocs["a"].pformat()
    kept = title_only(env.tocs["a"])
    assert "Deeper" not in kept.astext()
    assert len(list(kept.findall(addnodes.toctree))) == 1
    assert title_only(env.tocs["b"]).astext().strip() == "Page B"
    assert env.tocs["a"].pformat() == before
