"""The parts of the driver: what is trusted, what is published, and how a problem is told.

That they work together is shown by ``test_life_of_a_book.py``.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import filelock
import psutil
import pytest
from press import intact
from press import project as places
from press.publish import build


@pytest.fixture
def root(tmp_path, monkeypatch):
    """An empty project, which the driver takes for this one."""
    monkeypatch.setattr(build, "ROOT", tmp_path)
    monkeypatch.setattr(build, "BUILD", tmp_path / "_build")
    monkeypatch.setattr(places, "ROOT", tmp_path)
    monkeypatch.setattr(places, "EXAMPLES", tmp_path / "examples")
    monkeypatch.setattr(places, "BOOK", tmp_path / "book")
    (tmp_path / "_build").mkdir()
    return tmp_path


def write(root, path: str, text: str = "") -> None:
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, "utf-8")


def files(folder) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def problems(root, warnings: str) -> list[str]:
    """What is told of the warnings in a file that Sphinx wrote."""
    write(root, "_build/stage/warnings.txt", warnings.replace("ROOT", str(root)))
    return [str(problem) for problem in build._problems(root / "_build/stage")]


@pytest.mark.parametrize(
    ("warning", "told"),
    [
        ("ROOT/book/a.md:7: WARNING: no label [ref.ref]", "book/a.md:7: no label [ref.ref]"),
        ("ROOT/book/a.md: WARNING: no line", "book/a.md: no line"),
        ("WARNING: nowhere", "nowhere"),
        ("ROOT/book/a.md:7: ERROR: worse", "book/a.md:7: worse"),
        ("\x1b[91mROOT/book/a.md:7: WARNING: red\x1b[39;49;00m", "book/a.md:7: red"),
        ("ROOT/book/a.md:7: WARNING: one\n  two\n\nthree", "book/a.md:7: one\n  two\n\nthree"),
        ("ROOT/book/a.md:7: WARNING: in ROOT/conf/x.py", "book/a.md:7: in conf/x.py"),
    ],
    ids=["place", "no line", "no place", "error", "colour", "several lines", "paths"],
)
def test_warning_is_told_as_a_problem(root, warning, told):
    """A warning is told with its place below the root, and all of its text."""
    assert problems(root, warning) == [told]


def test_warnings_are_told_once_in_their_order(root):
    """What Sphinx says twice is told once; the order is Sphinx's."""
    assert problems(root, "WARNING: b\nWARNING: a\nWARNING: b\n") == ["b", "a"]


def test_traceback_of_a_script_is_told_by_its_gate(root):
    """The traceback sphinx-gallery warns of is left out: a gate says the same, shorter."""
    traceback = "WARNING: plot_x\n\nTraceback\n [sphinx_gallery.example_error]\n"
    assert problems(root, f"{traceback}WARNING: b") == ["b"]


def test_no_warnings_file(root):
    """A build that ended before Sphinx began has no problems to tell."""
    assert build._problems(root / "_build/stage") == []


GENERATED = """Title

.. GENERATED FROM PYTHON SOURCE LINES 12-15

First
-----

.. GENERATED FROM PYTHON SOURCE LINES 30-34

Second
"""


@pytest.mark.parametrize(
    ("place", "script"),
    [
        ("book/gallery/p/plot_x.rst:5", "examples/p/plot_x.py:12"),
        ("book/gallery/p/plot_x.rst:6", "examples/p/plot_x.py:13"),
        ("book/gallery/p/plot_x.rst:10", "examples/p/plot_x.py:30"),
        ("book/gallery/p/plot_x.rst:1", "examples/p/plot_x.py"),
        ("book/gallery/p/plot_x.rst", "examples/p/plot_x.py"),
        ("book/gallery/p/plot_gone.rst:4", "examples/p/plot_gone.py"),
        ("book/gallery/index.rst:4", "book/gallery/index.rst:4"),
        ("book/p/chapter.md:4", "book/p/chapter.md:4"),
    ],
)
def test_place_on_a_generated_page_is_one_in_the_script(root, place, script):
    """Nobody can mend a generated page: a problem on it is told where it stands in the script."""
    write(root, "book/gallery/p/plot_x.rst", GENERATED)
    assert build._in_script(place) == script


@pytest.mark.parametrize(
    ("place", "source"),
    [
        ("examples/p/plot_x.py:3", "examples/p/plot_x.py"),
        ("book/p/chapter.md:3", "book/p/chapter.md"),
        ("book/p/gone.md:3", None),
        ("conf/_toc.yml", None),
        ("", None),
    ],
)
def test_what_to_build_again(root, place, source):
    """A problem of a script or chapter names what to build to see it again, if that exists."""
    write(root, "examples/p/plot_x.py")
    write(root, "book/p/chapter.md")
    assert build.Problem(place, "text").source == source


@pytest.fixture
def stage(root):
    """A stage left by a build that succeeded."""
    for path in ("book/a.md", "examples/p/plot_x.py", "_static/book.css"):
        write(root, path)
    write(root, "_build/stage/pages/a.html")
    listed = ["book/a.md", "examples/p/plot_x.py", "_static/book.css"]
    write(root, "_build/stage/sources.json", json.dumps(listed))
    stage = root / "_build/stage"
    intact.remember(stage / build.KEPT, [stage / "pages/a.html"])
    return stage


@pytest.mark.parametrize("damage", ["cut", "gone", "unknown"])
def test_damaged_stage_is_thrown_away(stage, damage):
    """A stage in which a page was cut, or of which nothing is known, is made again."""
    if damage == "cut":
        (stage / "pages/a.html").write_text("cut")
    else:
        (stage / ("pages/a.html" if damage == "gone" else build.KEPT)).unlink()
    build._discard_what_cannot_be_trusted(stage)
    assert files(stage) == set()


def test_stage_of_a_success_is_kept(stage):
    """What a successful build read is used again, but it has to succeed again."""
    build._discard_what_cannot_be_trusted(stage)
    assert files(stage) == {"pages/a.html"}


@pytest.mark.parametrize("gone", ["book/a.md", "examples/p/plot_x.py", "_static/book.css"])
def test_stage_with_a_deleted_source_is_discarded(root, stage, gone):
    """When a chapter, a script or a static file is gone, so is everything made with it."""
    (root / gone).unlink()
    build._discard_what_cannot_be_trusted(stage)
    assert files(stage) == set()


@pytest.mark.parametrize("sources", [None, "", "["], ids=["none", "empty", "cut off"])
def test_stage_of_a_failure_is_discarded(stage, sources):
    """What a failed or interrupted build has read is thrown away."""
    path = stage / "sources.json"
    path.unlink() if sources is None else path.write_text(sources)
    build._discard_what_cannot_be_trusted(stage)
    assert files(stage) == set()


def test_interrupted_publication_is_undone(root, stage):
    """Ended between two renames, the book that was published is put back."""
    write(root, "_build/html.old/index.html", "old")
    build._discard_what_cannot_be_trusted(stage)
    assert (root / "_build/html/index.html").read_text() == "old"


def test_page_that_is_neither(root, capsys):
    """A wrong path is answered at once, with what can be given."""
    assert build.main(["book/nowhere.md"]) == 2
    assert "book/nowhere.md is neither a script" in capsys.readouterr().err


def test_misplaced_scripts(root, capsys):
    """Scripts that would not run are named, and nothing is built."""
    write(root, "examples/plot_x.py")
    assert build.main([]) == 2
    assert capsys.readouterr().err.startswith("examples/plot_x.py: no build would run it")


@pytest.mark.parametrize("jobs", ["0", "-1", "two", "1.5"])
def test_jobs_that_are_no_number(jobs, capsys):
    """A number of jobs has to be one."""
    with pytest.raises(SystemExit) as ended:
        build.main([f"--jobs={jobs}"])
    assert ended.value.code == 2
    assert "must be a whole number from 1 on" in capsys.readouterr().err


def test_two_builds_at_once(root, capsys):
    """A second build in one folder is refused, and says why."""
    with filelock.FileLock(root / "_build/lock"):
        assert build.main([]) == 2
    assert "Another build is running in this folder" in capsys.readouterr().err


def test_build_folder_that_is_a_file(root, capsys):
    """Where something else bears the name of the folder, it is named, and left as it is."""
    (root / "_build").rmdir()
    (root / "_build").write_text("mine")
    assert build.main([]) == 2
    assert f"Cannot write {root / '_build'}: File exists." in capsys.readouterr().err
    assert (root / "_build").read_text() == "mine"


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="permissions are POSIX")
def test_folder_that_may_not_be_written(root, monkeypatch, capsys):
    """Without the permission to write, a build says where it wanted to, and ends."""
    user = os.geteuid()
    with tempfile.TemporaryDirectory() as name:  # where, unlike in root's, anybody may look
        folder = Path(name)
        monkeypatch.setattr(build, "BUILD", folder / "_build")
        monkeypatch.setattr(places, "EXAMPLES", folder / "examples")
        folder.chmod(0o555)
        try:
            if user == 0:  # who may write everywhere
                os.seteuid(65534)
            assert build.main([]) == 2
        finally:
            os.seteuid(user)
            folder.chmod(0o755)
        said = capsys.readouterr().err
        wanted = folder / "_build"
        assert said.startswith(f"Cannot write {wanted}: Permission denied. A build writes to")
        assert files(folder) == set()


def test_success_that_did_not_reach_the_end(root, monkeypatch, capsys):
    """Status 0 of a process that something ended early publishes nothing."""
    monkeypatch.setattr(build, "_run_sphinx", lambda *arguments: 0)
    write(root, "_build/html/index.html", "old")
    assert build.main([]) == 1
    assert "Nothing was published" in capsys.readouterr().out
    assert (root / "_build/html/index.html").read_text() == "old"


def test_failure_without_a_warning_is_told(root, monkeypatch, capsys):
    """When Sphinx stops without a warning, its status is told."""
    monkeypatch.setattr(build, "_run_sphinx", lambda *arguments: 3)
    assert build.main([]) == 1
    assert "Sphinx stopped with status 3; its last lines above say why." in capsys.readouterr().out


TREE = """
import subprocess, sys
sleeper = [sys.executable, "-c", "import threading; threading.Event().wait()"]
children = [
    subprocess.Popen(sleeper),
    subprocess.Popen(sleeper, start_new_session=True),
]
print(*(child.pid for child in children), flush=True)
children[0].wait()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="sessions are POSIX")
def test_ends_every_process_it_started():
    """Children end with the build, also those with a session of their own."""
    process = subprocess.Popen(
        [sys.executable, "-c", TREE], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    children = [psutil.Process(int(pid)) for pid in process.stdout.readline().split()]
    build._end(process)
    process.stdout.close()
    assert process.returncode == -signal.SIGKILL
    _, alive = psutil.wait_procs(children, timeout=10)
    assert alive == []


GROUP = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import threading; threading.Event().wait()"])
print(child.pid, flush=True)
child.wait()
"""
DRIVER = """
import subprocess, sys
sys.path.insert(0, sys.argv[1])
from press.publish import build

group = subprocess.Popen(
    [sys.executable, "-c", sys.argv[2]], stdout=subprocess.PIPE, text=True, start_new_session=True
)
with build._watched(group):
    print(group.pid, group.stdout.readline(), flush=True)
    sys.stdin.readline()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="sessions are POSIX")
@pytest.mark.parametrize("killed", [True, False], ids=["killed", "ended"])
def test_what_was_started_ends_with_a_driver_that_is_killed(killed):
    """What a driver had started ends when it is killed, and not when it ends by itself."""
    with subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(build.CONF), GROUP],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as driver:
        group = [psutil.Process(int(pid)) for pid in driver.stdout.readline().split()]
        others = [p for p in psutil.Process(driver.pid).children() if p not in group]
        if killed:
            driver.kill()
        else:
            driver.communicate("\n", timeout=60)
    try:
        _, watching = psutil.wait_procs(others, timeout=10)
        assert len(others) == 1
        assert watching == []
        _, alive = psutil.wait_procs(group, timeout=10 if killed else 0)
        assert len(alive) == (0 if killed else 2)
    finally:
        for process in reversed(group):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
