"""Terms of the glossary: which uses become links, and which pages a changed glossary outdates."""

import types
from collections import defaultdict

import pytest
from docutils import nodes
from docutils.utils import new_document
from press.page import terms
from sphinx import addnodes

GLOSSARY = """\
# Glossary

```{{glossary}}
{}
```
"""


class Book:
    """A glossary, and pages that were read with it."""

    def __init__(self, project):
        self.project = project
        self.env = types.SimpleNamespace(
            docname="",
            metadata=defaultdict(dict),
            found_docs=set(),
            doc2path=lambda docname: str(project.root / "book" / f"{docname}.md"),
        )
        self.app = types.SimpleNamespace(env=self.env)

    def define(self, *defined: str) -> None:
        entries = "\n\n".join(f"{term}\n  What {term} means." for term in defined)
        terms.GLOSSARY.parent.mkdir(parents=True, exist_ok=True)
        terms.GLOSSARY.write_text(GLOSSARY.format(entries), "utf-8")
        terms._defined.cache_clear()

    def read(self, *children: nodes.Node, name: str = "part/page") -> list[str]:
        """Read a page; the links to terms on it, as «term: words that lead to it»."""
        doctree = new_document(name)
        doctree += children
        self.project.write(f"book/{name}.md", doctree.astext())
        self.env.docname = name
        self.env.found_docs.add(name)
        terms.link(self.app, doctree)
        links = doctree.findall(addnodes.pending_xref)
        return [f"{link['reftarget']}: {link.astext()}" for link in links]

    def outdated(self) -> list[str]:
        return terms.outdated(self.app, self.env, set(), set(), set())


@pytest.fixture
def book(project, monkeypatch):
    monkeypatch.setattr(terms, "GLOSSARY", project.root / "book/reference/glossary.md")
    book = Book(project)
    book.define("leaf", "saved tensor", "tensor", "pass")
    return book


def sentence(*parts: object) -> nodes.paragraph:
    paragraph = nodes.paragraph()
    for part in parts:
        paragraph += nodes.Text(part) if isinstance(part, str) else part
    return paragraph


def explicit(target: str) -> nodes.Node:
    return addnodes.pending_xref("", nodes.inline("", target), reftype="term", reftarget=target)


def test_first_use_is_linked(book):
    """The first use of a term leads to it, in the words of the page; later ones do not."""
    found = book.read(sentence("Leaves and a Leaf."), sentence("Another leaf, two passes."))
    assert found == ["leaf: Leaf", "pass: passes"]


def test_longer_term_comes_first(book):
    """Of two terms in the same words the longer one is meant; the other is linked elsewhere."""
    assert book.read(sentence("A saved tensor is kept.")) == ["saved tensor: saved tensor"]
    found = book.read(sentence("Saved tensors stay; a tensor goes."))
    assert found == ["saved tensor: Saved tensors", "tensor: tensor"]


def test_words_are_whole(book):
    """A term in another word is not that term."""
    assert book.read(sentence("A leaflet, a bypass, tensorial.")) == []


@pytest.mark.parametrize(
    "node",
    [
        nodes.title("", "A leaf"),
        nodes.paragraph("", "", nodes.literal("", "leaf")),
        nodes.paragraph("", "", nodes.reference("", "leaf", refuri="x")),
        nodes.literal_block("", "leaf"),
        nodes.paragraph("", "", nodes.math("", "leaf")),
    ],
    ids=["title", "literal", "link", "code", "formula"],
)
def test_only_sentences_have_links(book, node):
    """A term in a title, in code, in a formula or in another link is left alone."""
    assert book.read(node) == []
    assert book.read(node.deepcopy(), sentence("A leaf.")) == ["leaf: leaf"]


def test_list_items_are_sentences(book):
    """A term is linked wherever a paragraph stands, also below emphasis."""
    item = nodes.list_item("", nodes.paragraph("", "", nodes.emphasis("", "a leaf")))
    assert book.read(nodes.bullet_list("", item)) == ["leaf: leaf"]


@pytest.mark.parametrize("name", ["gallery/part/plot_x", "reference/cheat_sheet"])
def test_pages_without_links(book, name):
    """Scripts' pages and the reference have only the links that their authors made."""
    assert book.read(sentence("A leaf."), name=name) == []
    book.define("tensor", "words")
    assert book.outdated() == []
    book.read(sentence("See ", explicit("tensor"), "."), name=name)
    book.define("words")
    assert book.outdated() == [name]


def test_without_a_glossary(book):
    """A book without a glossary has no links, and no error."""
    terms.GLOSSARY.unlink()
    assert book.read(sentence("A leaf.")) == []
    assert book.outdated() == []


def test_what_a_term_means_outdates_no_page(book):
    """Other words for a definition, or another order, change no other page."""
    book.read(sentence("A leaf."))
    text = terms.GLOSSARY.read_text("utf-8")
    terms.GLOSSARY.write_text(text.replace("What leaf means", "Something else"), "utf-8")
    terms._defined.cache_clear()
    assert book.outdated() == []
    book.define("pass", "tensor", "saved tensor", "leaf")
    assert book.outdated() == []


def test_new_term_outdates_the_pages_that_use_it(book):
    """A page whose source has the words of a new term is read again, and no other."""
    book.read(sentence("A leaf and its version counters."), name="part/uses")
    book.read(sentence("A leaf."), name="part/other")
    book.define("leaf", "saved tensor", "tensor", "pass", "version counter")
    assert book.outdated() == ["part/uses"]
    book.read(sentence("A leaf and its version counters."), name="part/uses")
    assert book.outdated() == []


def test_lost_term_outdates_the_pages_that_lead_to_it(book):
    """A page that leads to a term that is gone is read again, by itself or by its author's link."""
    book.read(sentence("A leaf."), name="part/linked")
    book.read(sentence("See ", explicit("Leaf"), "."), name="part/explicit")
    book.read(sentence("A tensor."), name="part/other")
    book.define("saved tensor", "tensor", "pass")
    assert sorted(book.outdated()) == ["part/explicit", "part/linked"]
