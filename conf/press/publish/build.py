"""Build the book aside, publish it only when every check passed, and end with what failed.

    python -m press                           the whole book, into _build/html
    python -m press examples/.../plot_x.py    one script, or one chapter, into _build/one
    python -m press --builder doctest         only the doctests of the pages

Sphinx reports a warning once, when it reads a page, and forgets it: built again with nothing
changed, a broken page would pass.  So what a failed or interrupted build has read is thrown away,
and only successful executions are kept.
"""

import argparse
import contextlib
import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import filelock

from press import intact, project
from press.project import BUILD, CONF, ROOT
from press.publish import publication, selection

# What a stage was when its build had ended well.
KEPT = "kept.json"
# A warning as Sphinx writes it to a file: place, level, text over one or more lines, type.
WARNING = re.compile(r"^(?:(?P<place>\S[^\n]*?): )?(?:WARNING|ERROR|CRITICAL|SEVERE): ", re.M)
PLACE = re.compile(r"(?P<path>[^:\n]+\.(?:py|md|rst|yml))(?::(?P<line>\d+))?")
# What Sphinx ends with; where a warning says why, it says the same again.
ENDED = re.compile(r"^(?:Extension error|Sphinx parallel build error):?.*", re.M | re.S)
ANSI = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Problem:
    """One warning: where, what, and what to run to see it again."""

    place: str
    text: str

    def __str__(self) -> str:
        return f"{self.place}: {self.text}" if self.place else self.text

    @property
    def source(self) -> str | None:
        """The script or chapter it is about, as ``nox -s docs --`` takes it."""
        found = PLACE.search(self.place)
        path = found.group("path") if found else ""
        buildable = path.startswith("examples/") or (
            path.startswith("book/") and path.endswith(".md")
        )
        return path if buildable and (ROOT / path).is_file() else None


def main(arguments: list[str] | None = None) -> int:
    """Build; 0 when the book is published, 1 when a check failed, 2 for a wrong call."""
    options = _parser().parse_args(arguments)
    with contextlib.suppress(AttributeError):
        sys.stdout.reconfigure(line_buffering=True)
    only = _resolved(options.page)
    wrong = [only] if isinstance(only, str) else list(project.misplaced())
    if wrong:
        print(*wrong, sep="\n", file=sys.stderr)
        return 2
    asked_by = int(os.environ.get("BACKWARDPASS_ASKED_BY", "0"))
    if asked_by and os.name == "posix" and os.getppid() == asked_by:
        _end_with(asked_by)
    try:
        with _alone():
            return _build(options, only)
    except filelock.Timeout:
        print("Another build is running in this folder; wait until it has ended.", file=sys.stderr)
    except OSError as wrong:
        said = unwritable(wrong)
        if said is None:
            raise
        shutil.rmtree(BUILD / "html.new", ignore_errors=True)
        print(said, file=sys.stderr)
    return 2


# What a folder or a disk says that cannot be written to, and what to do about it.
UNWRITABLE = {
    errno.ENOSPC: "the disk is full; a book takes some 300 MB, make room and build again",
    errno.EDQUOT: "your share of the disk is used up; make room and build again",
    errno.EROFS: "the file system is read-only; build where it may be written",
}


def unwritable(wrong: OSError) -> str | None:
    """One sentence for what keeps a build from writing; None for any other error.

    >>> unwritable(OSError(errno.EROFS, "Read-only file system", "_build/lock"))[:60]
    'Cannot write _build/lock: the file system is read-only; buil'
    """
    if wrong.errno in UNWRITABLE:
        return f"Cannot write {wrong.filename}: {UNWRITABLE[wrong.errno]}. Nothing was published."
    if isinstance(wrong, PermissionError | FileExistsError | NotADirectoryError):
        return (
            f"Cannot write {wrong.filename}: {wrong.strerror}. A build writes to _build and to "
            "book/gallery; both must be folders that may be written."
        )
    return None


def _end_with(asked_by: int) -> None:
    """End this build when the process that asked for it is gone, whatever ended that."""
    gone = threading.Event()

    def look() -> None:
        while os.getppid() == asked_by:
            gone.wait(0.5)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=look, daemon=True).start()


def _alone() -> filelock.FileLock:
    """A lock on the folder: two builds would take each other's pages for their own."""
    BUILD.mkdir(exist_ok=True)
    return filelock.FileLock(BUILD / "lock", timeout=0)


def _build(options: argparse.Namespace, only: Path | None) -> int:
    stage = _stage(options, only)
    _discard_what_cannot_be_trusted(stage)
    began = time.monotonic()
    status = _run_sphinx(stage, options, only)
    seconds = time.monotonic() - began
    problems = _problems(stage)
    if status == 0 and not problems and (stage / "finished").exists():
        _succeed(stage, options, only, seconds)
        return 0
    _fail(stage, status, problems, only, seconds)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("page", nargs="?", help="one script or chapter instead of the whole book")
    parser.add_argument("--builder", choices=("html", "doctest", "linkcheck"), default="html")
    parser.add_argument(
        "--jobs",
        type=_positive,
        default=os.cpu_count() or 1,
        help="scripts and chapters worked on at the same time; by default as many as processors",
    )
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 on, not {text!r}")
    return int(text)


def _resolved(page: str | None) -> Path | str | None:
    """The one page to build, None for the whole book, or what is wrong with the request."""
    if page is None:
        return None
    try:
        return selection.resolve(page)
    except LookupError as wrong:
        return str(wrong)


def _stage(options: argparse.Namespace, only: Path | None) -> Path:
    """Where this kind of build keeps its pages, apart from the others."""
    if only is not None:
        return BUILD / "one" / only.stem
    return BUILD / ("stage" if options.builder == "html" else options.builder)


def _discard_what_cannot_be_trusted(stage: Path) -> None:
    """Throw a stage away whose build did not end well, or one of whose sources is gone."""
    sources = stage / "sources.json"
    try:
        known = json.loads(sources.read_text("utf-8"))
    except (OSError, ValueError):
        known = None  # the last build failed, or was interrupted, or there was none
    lost = known is None or not all((ROOT / path).is_file() for path in known)
    damaged = None if lost else intact.damaged(stage / KEPT)
    if damaged:
        print(f"{damaged[0]} was damaged after the last build: every page is made again.")
    if lost or damaged is None or damaged:
        shutil.rmtree(stage, ignore_errors=True)
    stage.mkdir(parents=True, exist_ok=True)
    for said in (sources, stage / KEPT, stage / "finished", stage / "warnings.txt"):
        said.unlink(missing_ok=True)
    published, old = BUILD / "html", BUILD / "html.old"
    if old.exists() and not published.exists():
        old.rename(published)  # interrupted between the two renames of a publication


def _run_sphinx(stage: Path, options: argparse.Namespace, only: Path | None) -> int:
    """Run sphinx-build, strictly; whatever it started is ended with it."""
    command = [sys.executable, "-m", "sphinx", "-b", options.builder, "-W", "--keep-going"]
    command += ["-j", options.jobs, "-c", CONF, "-d", stage / "doctrees"]
    command += ["-w", stage / "warnings.txt", ROOT / "book", stage / "pages"]
    environment = os.environ | {
        "BACKWARDPASS_JOBS": str(options.jobs),
        "BACKWARDPASS_ONLY": "" if only is None else str(only),
        # Sums over several threads differ in their last bits from run to run, and a process that
        # is forked while torch has threads may wait for one that does not exist.
        "OMP_NUM_THREADS": "1",
        # The debugger inside a kernel cannot work with frozen modules, and says so on stderr.
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        "JUPYTER_PLATFORM_DIRS": "1",
        # Sets are walked through in one order: what PyTorch's tests draw from them is one thing.
        "PYTHONHASHSEED": "0",
    }
    (BUILD / "html").parent.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(
        [str(word) for word in command],
        cwd=ROOT,
        env=environment,
        start_new_session=os.name == "posix",
    )
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), _interrupted)
    try:
        with _watched(process):
            return process.wait()
    finally:
        _end(process)


# Reads until whoever started it has ended, in whatever way; then ends a group of processes.
WATCHMAN = """
import os, signal, sys
sys.stdin.read()
os.killpg(int(sys.argv[1]), signal.SIGKILL)
"""


@contextlib.contextmanager
def _watched(process: subprocess.Popen) -> Iterator[None]:
    """End the group of ``process`` with this one, though this one be killed; POSIX only."""
    if os.name != "posix":
        yield
        return
    watchman = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", WATCHMAN, str(process.pid)],
        stdin=subprocess.PIPE,
        start_new_session=True,  # what ends all of this group shall not end it
    )
    try:
        yield
    finally:
        watchman.kill()
        watchman.wait()
        watchman.stdin.close()


def _interrupted(number: int, frame: object) -> None:
    raise SystemExit(128 + number)


def _end(process: subprocess.Popen) -> None:
    """End the process and all it started: workers, kernels, the renderer of formulas."""
    import psutil

    started = []
    with contextlib.suppress(psutil.NoSuchProcess):
        started = psutil.Process(process.pid).children(recursive=True)
    if process.poll() is None:
        process.kill()
        process.wait()
    for child in started:  # a kernel has a session of its own
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
    if os.name == "posix":
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _problems(stage: Path) -> list[Problem]:
    """What Sphinx warned of, each once; a gate that says more stands for the traceback."""
    try:
        text = ANSI.sub("", (stage / "warnings.txt").read_text("utf-8"))
    except OSError:
        return []
    starts = list(WARNING.finditer(text))
    ends = [*(match.start() for match in starts), len(text)][1:]
    found = {}
    for match, end in zip(starts, ends, strict=True):
        body = ENDED.sub("", text[match.end() : end]).strip().replace(f"{ROOT}{os.sep}", "")
        place = _in_script((match["place"] or "").replace(f"{ROOT}{os.sep}", ""))
        if not body.endswith("[sphinx_gallery.example_error]"):
            found[Problem(place, body)] = None
    return list(found)


def _in_script(place: str) -> str:
    """The place in a script that a place on the page generated from it stands for."""
    found = re.fullmatch(r"book/gallery/(?P<name>.+/plot_\w+)\.rst(?::(?P<line>\d+))?", place)
    if not found:
        return place
    script = f"examples/{found['name']}.py"
    marked = r"^\.\. GENERATED FROM PYTHON SOURCE LINES (\d+)-\d+$"
    try:
        above = (ROOT / "book" / "gallery" / f"{found['name']}.rst").read_text("utf-8")
    except OSError:
        return script
    above = "\n".join(above.splitlines()[: int(found["line"] or 0)])
    marks = list(re.finditer(marked, above, re.MULTILINE))
    if not marks:
        return script
    below = above[marks[-1].end() :].count("\n")  # one empty line, then the block's first line
    return f"{script}:{int(marks[-1].group(1)) + max(below - 2, 0)}"


def _succeed(stage: Path, options: argparse.Namespace, only: Path | None, seconds: float) -> None:
    sources = [*(ROOT / "book").rglob("*.md"), *(ROOT / "examples").rglob("*.py")]
    sources += [path for path in (ROOT / "_static").rglob("*") if path.is_file()]
    listed = sorted(path.relative_to(ROOT).as_posix() for path in sources)
    (stage / "sources.json").write_text(json.dumps(listed), "utf-8")
    kept = [path for part in ("pages", "doctrees") for path in (stage / part).rglob("*")]
    intact.remember(stage / KEPT, (path for path in kept if path.is_file()))
    where = stage / "pages"
    if options.builder == "html" and only is None:
        where = publication.publish(stage / "pages")
    print(f"\n{(stage / 'finished').read_text('utf-8')}; {seconds:.0f} s")
    if options.builder != "html":
        print(f"Nothing to report from {options.builder}.")
    elif only is None:
        print(f"The book is in {where.relative_to(ROOT)}/index.html")
    else:
        page = _page(only)
        print(
            f"One page, its links to others not checked, not published: "
            f"{(where / page).relative_to(ROOT)}"
        )


def _page(only: Path) -> str:
    if only.suffix == ".py":
        relative = only.relative_to(ROOT / "examples")
        return f"gallery/{relative.with_suffix('.html').as_posix()}"
    return only.relative_to(ROOT / "book").with_suffix(".html").as_posix()


def _fail(
    stage: Path, status: int, problems: list[Problem], only: Path | None, seconds: float
) -> None:
    shutil.rmtree(stage / "doctrees", ignore_errors=True)
    print(f"\n{'=' * 79}\nThe build failed after {seconds:.0f} s. Nothing was published.\n")
    for problem in problems:
        print(f"  {str(problem).replace(chr(10), chr(10) + '    ')}\n")
    if not problems:
        print(f"  Sphinx stopped with status {status}; its last lines above say why.\n")
    again = dict.fromkeys(problem.source for problem in problems if problem.source)
    if again:
        print("To see one of them again:")
        for path in again:
            print(f"  nox -s docs -- {path}")
    elif problems:
        print("To see it again:\n  nox -s docs")


if __name__ == "__main__":
    raise SystemExit(main())
