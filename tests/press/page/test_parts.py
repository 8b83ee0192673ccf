"""What is put around and into a page: its foot, its assets, its reading time."""

import re
import types
from pathlib import Path

import pytest
from docutils import nodes
from press.page import assets, citations, footer, reading_time

ROOT = Path(__file__).resolve().parents[3]
STYLES = sorted((ROOT / "_static" / "css").glob("*.css"))


def test_foot_names_the_versions():
    """The foot says which versions the pages were made with, without the name of a build."""
    assert re.fullmatch(r"\d+\.\d+\.\d+", footer.torch_version())
    assert f"made with PyTorch {footer.torch_version()} and Python 3." in footer.made_with()
    assert re.search(r"PyTorch 2\.\d+\.\d+ or newer", footer.made_with())


@pytest.mark.parametrize(
    ("pagename", "source"),
    [
        ("gallery/graph/plot_two_layer_mlp", "examples/graph/plot_two_layer_mlp.py"),
        ("front/checks", "book/front/checks.md"),
        ("gallery/index", None),
        ("genindex", None),
    ],
)  # fmt: skip
def test_source_of_a_page(pagename, source):
    """The file to edit is the chapter, or the script behind a generated page, if there is one."""
    assert footer.source_of(pagename) == source


@pytest.mark.parametrize(("repository", "linked"), [("", False), ("https://host/us/book/", True)])
def test_foot_links_to_the_source_if_it_is_hosted(repository, linked):
    """With a repository a page links to its source and to a form for errors; without, to none."""
    context = {}
    config = types.SimpleNamespace(made_with="versions", repository=repository)
    footer.add_foot(types.SimpleNamespace(config=config), "front/checks", "", context, None)
    assert ("edit_url" in context, "report_url" in context) == (linked, linked)
    if linked:
        assert context["edit_url"] == "https://host/us/book/edit/main/book/front/checks.md"
        assert "title=Error+in+book%2Ffront%2Fchecks.md" in context["report_url"]


@pytest.mark.parametrize(
    ("asset", "body", "kept"),
    [
        ("_static/book.css", "", True),
        ("_static/katex/katex.min.css", '<span class="katex">', True),
        ("_static/katex/katex.min.css", "<p>no formula</p>", False),
        ("_static/clipboard.min.js", '<div class="highlight-python">', True),
        ("_static/clipboard.min.js", "<p>no code</p>", False),
        ("_static/sg_gallery.css", '<div class="sphx-glr-thumbcontainer">', False),
        ("_static/design-tabs.js", '<div class="sd-card">', False),
        ("_static/unknown.js", "", True),
    ],
)
def test_assets_of_a_page(asset, body, kept):
    """A page asks for the assets its markup needs, and for those nothing is known of."""
    context = {
        "body": body,
        "script_files": [],
        "css_files": [types.SimpleNamespace(filename=asset)],
    }
    assets.drop_unused(None, "page", "", context, None)
    assert bool(context["css_files"]) is kept


def test_styles_are_joined_in_the_order_of_their_names(tmp_path, monkeypatch):
    """A page asks for one style; it is written anew only when one of its files changed."""
    for name, rule in (("2_later", "b {}\n"), ("1_sooner", "a {}\n")):
        (tmp_path / "css").mkdir(exist_ok=True)
        (tmp_path / "css" / f"{name}.css").write_text(rule)
    monkeypatch.setattr(assets, "STATIC", tmp_path)
    monkeypatch.setattr(assets.project, "BUILD", tmp_path / "_build")
    joined = tmp_path / "_build/joined/book.css"
    assets.join_styles(None, None)
    assert joined.read_text() == "a {}\n\nb {}\n"
    written = joined.stat().st_mtime_ns
    assets.join_styles(None, None)
    assert joined.stat().st_mtime_ns == written
    (tmp_path / "css/1_sooner.css").write_text("c {}\n")
    assets.join_styles(None, None)
    assert joined.read_text() == "c {}\n\nb {}\n"


def test_reading_time_counts_prose_and_code():
    """Prose and code are counted at speeds of their own, and the sum is rounded up."""
    page = nodes.section()
    page += nodes.title("", "not counted " * 500)
    page += nodes.paragraph("", "word " * reading_time.WORDS_A_MINUTE)
    assert reading_time.reading_minutes(page) == 1
    code = "\n".join(f"line {number}" for number in range(reading_time.LINES_OF_CODE_A_MINUTE))
    page += nodes.literal_block(code, code)
    assert reading_time.reading_minutes(page) == 2
    page += nodes.literal_block(code, f"\n  {code}")  # read before
    assert reading_time.reading_minutes(page) == 2
    page += nodes.paragraph("", "one")
    assert reading_time.reading_minutes(page) == 3


@pytest.mark.parametrize("style_file", STYLES, ids=lambda path: path.name)
def test_rules_of_a_stylesheet_are_closed(style_file):
    """No rule stands in another: a brace that is missing would switch off all that follows."""
    style = style_file.read_text("utf-8")
    depth = 0
    for number, line in enumerate(style.splitlines(), start=1):
        if line and not line.startswith((" ", "}", "*", "/*")) and line.rstrip().endswith("{"):
            assert depth == 0, f"{style_file.name}:{number}: a rule before it is not closed"
        depth += line.count("{") - line.count("}")
    assert depth == 0


def test_entries_of_a_bibliography_are_items_of_its_list():
    """No page has a role that is deprecated; a page without a bibliography is left alone."""
    context = {
        "body": '<div role="list"><div class="citation" role="doc-biblioentry">A</div></div>'
    }
    citations.relabel(None, "bibliography", "", context, None)
    assert context["body"] == '<div role="list"><div class="citation" role="listitem">A</div></div>'
    citations.relabel(None, "search", "", {}, None)
