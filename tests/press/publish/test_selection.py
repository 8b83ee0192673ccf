"""One page is found by its path, and built with the scripts it shows."""

import re

import pytest
from press.publish import selection


@pytest.fixture
def book(project):
    project.script("", "part/plot_x")
    project.script("", "part/plot_y")
    project.write(
        "book/part/chapter.md",
        """\
        ```{embed} part/plot_x
        :cell: One
        ```
        :::{backward-graph} part/plot_y
        :::
        ```{verified} part/plot_x
        ```
        ```{negative-control} part/plot_missing
        ```
        See {doc}`/gallery/part/plot_z` and ```{embed} in the text.
        """,
    )
    return project


@pytest.mark.parametrize("path", ["examples/part/plot_x.py", "book/part/chapter.md"])
@pytest.mark.parametrize("absolute", [False, True])
def test_resolve(book, path, absolute):
    """A script or a chapter is found from the project's root, or by its absolute path."""
    given = str(book.root / path) if absolute else path
    assert selection.resolve(given) == book.root / path


@pytest.mark.parametrize(
    "path",
    ["", "nowhere.md", "examples/part/plot_z.py", "conf/constraints.txt", "book", "../plot_x.py"],
)
def test_neither_script_nor_chapter(book, path):
    """Anything else is answered with what can be given."""
    with pytest.raises(LookupError, match=r"neither a script .* nor a chapter .*project's root"):
        selection.resolve(path)


def test_scripts_a_chapter_shows(book):
    """A chapter needs each script its directives name, once, whether it exists or not."""
    names = [script.stem for script in selection.needed(book.root / "book/part/chapter.md")]
    assert names == ["plot_x", "plot_y", "plot_missing"]


def test_script_needs_itself(book):
    """A script needs no other."""
    script = book.root / "examples/part/plot_x.py"
    assert selection.needed(script) == [script]


def test_whole_book_is_not_restricted():
    """Without a page the settings are left as they are."""
    settings = {"nitpicky": True}
    selection.apply("", settings)
    assert settings == {"nitpicky": True}


@pytest.mark.parametrize(
    ("path", "runs", "docname"),
    [
        ("examples/part/plot_x.py", ["part/plot_x"], "gallery/part/plot_x"),
        ("book/part/chapter.md", ["part/plot_x", "part/plot_y"], "part/chapter"),
    ],
)
def test_restriction(book, path, runs, docname):
    """Only the page is read, and only the scripts it needs are run."""
    settings = {
        "extensions": ["sphinx_external_toc"],
        "suppress_warnings": [],
        "sphinx_gallery_conf": {},
    }
    selection.apply(path, settings)
    pattern = settings["sphinx_gallery_conf"]["filename_pattern"]
    scripts = ["part/plot_x", "part/plot_y", "part/plot_x_2", "part/xplot_x"]
    assert [s for s in scripts if re.search(pattern, f"/examples/{s}.py")] == runs
    assert settings["root_doc"] == docname
    assert settings["include_patterns"] == [f"{docname}.{'rst' if 'gallery' in docname else 'md'}"]
