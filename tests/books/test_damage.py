"""What is kept between builds is used while it is whole: damaged, it is made again by itself."""

import os
import re
from pathlib import Path

import pytest

SCRIPT = '''"""
{name}
======

For a test.
"""

# %%
# A figure
# --------
# A line.

import os

import matplotlib.pyplot as plt
import torch

plt.plot([1, 2, 3])

# %%
# A gradient
# ----------
# Of a square.

w = torch.tensor([0.5, 2.0], dtype=torch.float64, requires_grad=True)
w.square().sum().backward()
torch.testing.assert_close({{"w": 2 * w.detach()}}, {{"w": w.grad}})
with open(os.environ["BACKWARDPASS_TEST_RAN"], "a") as ran:
    print("{name}", file=ran)
'''
CHAPTER = """---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

# A chapter

```{code-cell} python
print(6 * 7)
```

```{embed} one/plot_a
:cell: A figure
```

```{doctest}
>>> 1 + 1
2
```
"""
SCRIPTS = ("plot_a", "plot_b", "plot_c", "plot_d")


def cut(path: Path) -> None:
    """Keep the first half of a file, and its date."""
    before, content = path.stat(), path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.fixture(scope="module")
def book(make_book):
    book = make_book("damage")
    for name in SCRIPTS:
        book.write(f"examples/one/{name}.py", SCRIPT.format(name=name))
    book.write("book/index.md", "# A miniature book\n")
    book.write("book/chapter.md", CHAPTER)
    book.contents("chapter")
    return book


@pytest.fixture(scope="module")
def first(book):
    built = book.build("--jobs", "2")
    assert built.status == 0, built.output
    return book.published()


def kept(book, pattern: str) -> Path:
    (found,) = book.root.glob(pattern)
    return found


@pytest.fixture(scope="module")
def gallery(book, first):
    """Of each script something else is cut or gone: its picture, its page, what was observed."""
    folder = book.root / "book/gallery/one"
    cut(folder / "images/sphx_glr_plot_a_001.png")
    cut(folder / "plot_b.rst")
    (folder / "plot_c.rst").unlink()
    cut(folder / "plot_d.observed.json")
    return book.build("--jobs", "2"), book.published()


@pytest.fixture(scope="module")
def executions(book, gallery):
    """The notebook of an executed cell is cut."""
    cut(kept(book, "_build/executed/*/executed/*/base.ipynb"))
    chapter = book.root / "book/chapter.md"
    chapter.write_text(CHAPTER + "\nOne sentence more.\n")
    book.build("--jobs", "2")
    cut(kept(book, "_build/executed/*/global.db"))
    chapter.write_text(CHAPTER)
    return book.build("--jobs", "2"), book.published()


@pytest.fixture(scope="module")
def page(book, executions):
    """A page that waits to be published is cut."""
    cut(book.root / "_build/stage/pages/chapter.html")
    return book.build("--jobs", "2"), book.published()


@pytest.fixture(scope="module")
def stored(book, page):
    """The stored form of a page is cut, and a page that waits is gone."""
    cut(book.root / "_build/stage/doctrees/chapter.doctree")
    (book.root / "_build/stage/pages/index.html").unlink()
    return book.build("--jobs", "2"), book.published()


@pytest.fixture(scope="module")
def older(book, stored):
    """A chapter is wrong, and its file older than every build: it was restored with its date."""
    chapter = book.root / "book/chapter.md"
    chapter.write_text(CHAPTER.replace("\n2\n", "\n3\n"))
    os.utime(chapter, (1_000_000_000, 1_000_000_000))
    return book.build("--jobs", "2")


@pytest.mark.parametrize("name", ["gallery", "executions", "page", "stored"])
def test_damage_is_mended(request, first, name):
    """The next build succeeds and publishes what was published before."""
    built, published = request.getfixturevalue(name)
    assert built.status == 0, built.output
    assert without_checksums(published) == without_checksums(first)


def test_scripts_run_again(gallery):
    """Each script of which something was damaged runs again."""
    assert set(gallery[0].ran) == set(SCRIPTS)


@pytest.mark.parametrize(
    ("name", "damaged"), [("page", "pages/chapter.html"), ("stored", "doctrees/chapter.doctree")]
)
def test_damage_is_told(request, name, damaged):
    """A build that makes every page again says which file was damaged."""
    built, _ = request.getfixturevalue(name)
    assert f"{damaged} was damaged after the last build" in built.output
    assert built.ran == ()


def test_older_chapter_is_read(older):
    """What is out of date is decided by content: the wrong example of an older file is found."""
    assert older.status == 1
    assert any("doctest failed" in problem for problem in older.problems), older.output


def without_checksums(published: dict[str, bytes]) -> dict[str, bytes]:
    """``published`` without two harmless traces of earlier builds that Sphinx leaves.

    A stylesheet that is written at the end has a checksum only from the second build on, and a word
    of the search index that is gone leaves an empty entry.
    """
    trace = re.compile(rb"(?<=\.css)\?v=[0-9a-f]{8}|\"\w+\": \[\](?:, )?")
    return {name: trace.sub(b"", content) for name, content in published.items()}
