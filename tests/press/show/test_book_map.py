"""The map of the book, the line under a title, a page's description and the sitemap."""

import re

import pytest
import yaml
from docutils.core import publish_doctree
from press import project
from press.observed import store
from press.observed.records import Observed
from press.page import counts, description
from press.publish import sitemap
from press.show import book_map


def test_map_knows_every_chapter():
    """Each page that the table of contents lists in a part is on the map, which has no other."""
    contents = yaml.safe_load((project.CONF / "_toc.yml").read_text("utf-8"))
    listed = [page for _, pages in book_map.chapters(contents) for page in pages]
    assert listed == [chapter["file"] for part in contents["parts"] for chapter in part["chapters"]]
    landing = (project.ROOT / "book/index.md").read_text("utf-8")
    (told,) = re.findall(r"^```\{book-map\}\n(.*?)^```$", landing, re.MULTILINE | re.DOTALL)
    assert {line.split(": ")[0] for line in told.splitlines()} <= set(listed)


@pytest.mark.parametrize(
    "page", sorted((project.ROOT / "book").glob("[fgmos]*/*.md")), ids=lambda page: page.stem
)
def test_every_chapter_begins_with_a_sentence(page):
    """A chapter without a line of its own has a first sentence to show."""
    if "gallery" not in page.parts:
        assert re.search(r"\w[^\n]*[.:?]$", book_map.opening(page.read_text("utf-8")))


def test_a_chapter_counts_the_comparisons_it_shows(monkeypatch, comparison):
    """The line names how many comparisons there were, and the worst error of those by hand."""
    script = project.scripts()[0]
    made = (
        comparison("w", max_abs=2.5e-16),
        comparison("b", max_abs=0.0),
        comparison("c", "equality", max_abs=1.0),
    )
    monkeypatch.setattr(store, "read", lambda script: Observed(completed=True, comparisons=made))
    line = counts.told([script], "front/checks.html#ledger")
    assert '<a href="front/checks.html#ledger">3 comparisons</a>' in line
    assert "2 of a gradient derived by hand, the worst error by hand 2.5e-16." in line
    monkeypatch.setattr(store, "read", lambda script: Observed(completed=True))
    assert counts.told([script], "#") == ""


def test_sitemap_names_pages_once():
    """Every page has one address below the book's own."""
    text = sitemap.sitemap("https://example.org/book/", ["a", "b/c&d"])
    assert re.findall("<loc>(.*?)</loc>", text) == [
        "https://example.org/book/a.html",
        "https://example.org/book/b/c&amp;d.html",
    ]


def test_description_is_the_first_paragraph():
    """What is too short to say anything is passed over, what is long is cut between words."""
    first = "A paragraph with enough words to tell somebody what this page is about."
    tree = publish_doctree(f"Title\n=====\n\nShort.\n\n{first}\n\nAnother one.")
    assert description.description(tree) == first
    cut = description.description(publish_doctree("many words " * 40))
    assert cut.endswith(("words …", "many …"))
    assert len(cut) <= description.LONGEST + 2
