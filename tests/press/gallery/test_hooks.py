"""The hooks around a script: what is dropped before it runs, and what is reported after."""

import types
import zipfile

import pytest
from press import intact
from press import project as places
from press.gallery import hooks
from press.observed import store
from press.observed.failure import Failure
from press.observed.records import Observed


def test_forgets_what_a_run_left(project):
    """Before a script runs, what its earlier run left is gone, its thumbnail included."""
    script = project.script("", "part/plot_x")
    gone = [
        "plot_x.observed.json",
        "plot_x.py.md5",
        "images/sphx_glr_plot_x_001.png",
        "images/sphx_glr_plot_x_012.png",
        "images/thumb/sphx_glr_plot_x_thumb.png",
    ]
    kept = ["plot_x.rst", "plot_x_2.py.md5", "images/sphx_glr_plot_x_2_001.png"]
    for path in [*gone, *kept]:
        project.write(f"book/gallery/part/{path}")
    hooks._forget(script)
    folder = places.GALLERY / "part"
    left = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert left == set(kept)


@pytest.mark.parametrize(
    ("observed", "current"),
    [
        (Observed(completed=True), True),
        (Observed(completed=True, failures=(Failure("a.py", 1, "nan", ""),)), False),
        (Observed(completed=False), False),
        (None, False),
    ],
    ids=["passed", "failed", "raised", "never ran"],
)
def test_only_success_is_kept(project, observed, current):
    """A script runs again unless its last run, under these instruments, passed."""
    script = project.script("", "part/plot_x")
    mark = project.write("book/gallery/part/plot_x.py.md5", "0")
    if observed is not None:
        store.write(script, observed)
        intact.remember(hooks._kept(script), hooks._made(script))
    hooks.prepare(None)
    assert mark.exists() is current


@pytest.mark.parametrize("suffix", [".rst", ".zip", ".observed.json", ".kept.json"])
def test_what_is_not_whole_is_made_again(project, suffix):
    """A script runs again when a file that was made of it is not what it was."""
    script = project.script("", "part/plot_x")
    for made in (".py.md5", ".rst", ".zip"):
        project.write(f"book/gallery/part/plot_x{made}", "whole")
    store.write(script, Observed(completed=True))
    intact.remember(hooks._kept(script), hooks._made(script))
    hooks.prepare(None)
    assert store.outdated() == []
    project.write(f"book/gallery/part/plot_x{suffix}", "cut")
    hooks.prepare(None)
    assert store.outdated() == [script]


@pytest.mark.parametrize(
    ("frames", "error", "line"),
    [
        ('  File "{0}", line 3, in <module>', "ValueError: simple", 3),
        ('  File "{0}", line 9, in <module>\n  File "{0}", line 4, in f', "KeyError: 1", 4),
        ('  File "{0}", line 3, in <module>\n  File "/lib/torch.py", line 70', "TypeError", 3),
        ('  File "{0}", line 3, in <module>', "ValueError: one\ntwo\n\n  three", 3),
        ('  File "{0}", line 5\n    x = = 1\n        ^', "SyntaxError: invalid", 5),
        ("", "ImportError: no line", None),
    ],
    ids=["simple", "in a function", "in a library", "several lines", "syntax", "no line"],
)
def test_what_was_raised(project, frames, error, line):
    """An exception is told whole, at the innermost line of the script."""
    script = project.script("", "part/plot_x")
    trace = f"Traceback (most recent call last):\n{frames.format(script)}\n{error}\n"
    failure = hooks._raised(script, trace)
    assert (failure.line, failure.message) == (line, f"raises {error}")
    assert failure.script == "examples/part/plot_x.py"


def test_cell_title():
    """A block belongs to the nearest title above it."""
    source = "# %%\n# One\n# ---\n\nx = 1\n\n# %%\n# Two\n# ===\n\ny = 2\n\nz = 3\n"
    titles = [hooks._cell_title(types.SimpleNamespace(lineno=n), source) for n in (1, 5, 11, 13)]
    assert titles == ["Graph", "One", "Two", "Two"]


def test_archives_are_undated(tmp_path):
    """An archive has the same bytes whenever it was made, and the same content."""
    archives = [tmp_path / "one.zip", tmp_path / "two.zip"]
    for archive, year in zip(archives, (2001, 2020), strict=True):
        with zipfile.ZipFile(archive, "w") as written:
            for name in ("b.py", "a.ipynb") if year == 2001 else ("a.ipynb", "b.py"):
                written.writestr(zipfile.ZipInfo(name, (year, 5, 6, 7, 8, 10)), name)
        hooks._undate(archive)
    assert archives[0].read_bytes() == archives[1].read_bytes()
    with zipfile.ZipFile(archives[0]) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {
            "a.ipynb": b"a.ipynb",
            "b.py": b"b.py",
        }
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_toctrees_of_sphinx_gallery_are_dropped():
    """The front page of the gallery keeps its text and loses its toctrees; no other page does."""
    page = "Gallery\n=======\n\n.. toctree::\n   :hidden:\n\n   /gallery/plot_x\n\n\nText.\n"
    index, other = [page], [page]
    hooks.without_toctrees(None, "gallery/index", index)
    hooks.without_toctrees(None, "gallery/part/plot_x", other)
    assert index == ["Gallery\n=======\n\nText.\n"]
    assert other == [page]
