"""What comes from outside a build: disks that cannot be written, and the end of who asked."""

import errno
import os
import signal
import subprocess
import sys
import types

import pytest
from press.publish import build, highlighting
from sphinx.errors import ExtensionError


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (errno.EROFS, "Cannot write _build/lock: the file system is read-only; build where"),
        (errno.ENOSPC, "Cannot write _build/lock: the disk is full; a book takes some 300 MB"),
        (errno.EACCES, "Cannot write _build/lock: Permission denied. A build writes to _build"),
    ],
)
def test_what_cannot_be_written_is_said_in_a_sentence(code, said):
    """A read-only file system, a full disk and a closed folder each say what to do."""
    assert build.unwritable(OSError(code, os.strerror(code), "_build/lock")).startswith(said)


def test_another_error_is_no_sentence():
    """What is no matter of disks is left as it is."""
    assert build.unwritable(OSError(errno.EINVAL, "Invalid argument", "x")) is None


@pytest.mark.parametrize("code", [errno.EROFS, errno.ENOSPC])
def test_a_build_that_cannot_write_ends_with_the_sentence(monkeypatch, capsys, tmp_path, code):
    """The sentence is all that is printed, with status 2; what was half copied is gone."""

    def fail(options, only):
        (tmp_path / "html.new").mkdir()
        raise OSError(code, os.strerror(code), "page.html")

    monkeypatch.setattr(build, "BUILD", tmp_path)
    monkeypatch.setattr(build, "_build", fail)
    assert build.main([]) == 2
    assert capsys.readouterr().err.startswith("Cannot write page.html: the ")
    assert not (tmp_path / "html.new").exists()


PARENT = """
import os, subprocess, sys

child = subprocess.Popen(
    [sys.executable, "-c", {child!r}], env=os.environ | {{"ASKED_BY": str(os.getpid())}}
)
print(child.pid, flush=True)
sys.stdin.read()
"""
CHILD = """
import os, signal, threading

from press.publish import build

signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
build._end_with(int(os.environ["ASKED_BY"]))
print("looking", flush=True)
threading.Event().wait()
"""


@pytest.mark.skipif(os.name != "posix", reason="processes have parents on POSIX")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_build_ends_with_who_asked_for_it(number):
    """Killed or asked to end, whoever started a build takes it along."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT.format(child=CHILD)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    said = {parent.stdout.readline().strip() for _ in range(2)}
    assert "looking" in said
    parent.send_signal(number)
    parent.wait(timeout=60)
    assert parent.stdout.read() == ""  # at its end: the child has closed it too, by ending
    parent.stdin.close()
    parent.stdout.close()


def app(tmp_path, source):
    static = tmp_path / "_static"
    static.mkdir()
    (static / "sphinx_highlight.js").write_text(source)
    return types.SimpleNamespace(outdir=tmp_path)


def test_marking_spares_drawings(tmp_path):
    """The script that marks found words passes over what is inside a drawing, mended once."""
    made = app(tmp_path, "if (pos >= 0 && other) {}")
    highlighting.spare_drawings(made, None)
    highlighting.spare_drawings(made, None)
    script = tmp_path / "_static" / "sphinx_highlight.js"
    assert script.read_text() == 'if (pos >= 0 && !parent.closest("svg") && other) {}'


def test_another_script_is_an_error(tmp_path):
    """A new version of that script fails the build, where it cannot be mended."""
    with pytest.raises(ExtensionError, match="is not as it was"):
        highlighting.spare_drawings(app(tmp_path, "nothing"), None)


def test_the_script_of_sphinx_is_mended(tmp_path):
    """What Sphinx brings today has the place that is looked for."""
    import sphinx

    source = os.path.join(
        os.path.dirname(sphinx.__file__), "themes/basic/static/sphinx_highlight.js"
    )
    with open(source, encoding="utf-8") as file:
        made = app(tmp_path, file.read())
    highlighting.spare_drawings(made, None)
    assert highlighting.OUTSIDE in (tmp_path / "_static" / "sphinx_highlight.js").read_text()
