"""A book is published whole or not at all, and what has not changed is not written."""

import os
from pathlib import Path

import pytest
from press import project
from press.publish import publication


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A folder with a staged book of two pages."""
    monkeypatch.setattr(project, "BUILD", tmp_path / "_build")
    for path in ("index.html", "deep/page.html", ".buildinfo"):
        write(tmp_path, f"_build/stage/pages/{path}", "new")
    return tmp_path


def write(root: Path, path: str, text: str = "") -> None:
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def published(root: Path) -> Path:
    return publication.publish(root / "_build/stage/pages")


def test_publication_replaces_everything(root):
    """Nothing of the old book is left, nothing of Sphinx's bookkeeping is published."""
    write(root, "_build/html/gone.html", "old")
    write(root, "_build/html.new/half.html", "left by an interruption")
    assert published(root) == root / "_build/html"
    assert files(root / "_build") == {
        "html/index.html",
        "html/deep/page.html",
        "stage/pages/index.html",
        "stage/pages/deep/page.html",
        "stage/pages/.buildinfo",
    }


def test_an_unchanged_book_is_left_alone(root):
    """Published again with nothing changed, not even the folder is another."""
    folder = published(root)
    before = folder.stat().st_ino
    assert published(root).stat().st_ino == before


def test_only_what_changed_is_written(root):
    """One page changed: it is written, and the other is the same file as before."""
    folder = published(root)
    page, index = (folder / path for path in ("deep/page.html", "index.html"))
    before = index.stat().st_ino
    write(root, "_build/stage/pages/deep/page.html", "newer")
    published(root)
    assert (page.read_text(), index.stat().st_ino) == ("newer", before)


def test_a_staged_page_written_to_leaves_the_published_one(root):
    """What is published shares no file with the stage, where the next build writes."""
    folder = published(root)
    write(root, "_build/stage/pages/index.html", "half")
    assert (folder / "index.html").read_text() == "new"


@pytest.mark.parametrize("damaged", ["cut", "gone", "added"])
def test_a_published_book_that_was_changed_is_mended(root, damaged):
    """What somebody did to the published book is undone by the next publication."""
    folder = published(root)
    if damaged == "cut":
        (folder / "index.html").write_text("n")
    elif damaged == "gone":
        (folder / "index.html").unlink()
    else:
        (folder / "more.html").write_text("mine")
    published(root)
    assert files(folder) == {"index.html", "deep/page.html"}
    assert (folder / "index.html").read_text() == "new"


def test_without_links_it_is_copied(root, monkeypatch):
    """On a file system without links the book is the same."""
    published(root)
    write(root, "_build/stage/pages/deep/page.html", "newer")

    def refuse(*paths):
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    assert (published(root) / "index.html").read_text() == "new"


def test_images_that_no_page_names_are_left_out(root):
    """Images and downloads are published if a page names them, in whatever attribute."""
    pages = "_build/stage/pages"
    html = '<img src="_images/a.png" srcset="_images/b.png, _images/c%20d.png 2x">'
    write(root, f"{pages}/index.html", html)
    html = '<a href="../_downloads/12ab/x.py?v=1#top"><img src="../_images/e.svg">'
    write(root, f"{pages}/deep/page.html", html)
    kept = {f"_images/{name}" for name in ("a.png", "b.png", "c d.png", "e.svg")}
    kept.add("_downloads/12ab/x.py")
    for path in [*kept, "_images/old.png", "_downloads/34cd/y.py", "_static/unnamed.css"]:
        write(root, f"{pages}/{path}")
    assert files(published(root)) == kept | {"index.html", "deep/page.html", "_static/unnamed.css"}
