"""Miniature books: this project's ``conf/`` around chapters and scripts written by a test."""

import contextlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
# Every process of a build inherits this variable: so whatever outlives the build is found.
MARK = "BACKWARDPASS_TEST_BUILD"
# A script of a miniature book writes its name into this file when it runs.
RAN = "BACKWARDPASS_TEST_RAN"

# What pages show of the reference, and what its directives measure against.
DATA = [
    f"book/reference/{name}"
    for name in ("claims", "older_pytorch", "silent_gradients", "truth_tables")
]

TOC = """\
format: jb-book
root: index
chapters:
{chapters}
  - file: gallery/index
    sections:
      - glob: gallery/*/plot_*
"""
HEADER = "{0}\n{1}\n\nScripts of a miniature book.\n"


@dataclass(frozen=True)
class Built:
    """How one build of a miniature book ended."""

    status: int
    output: str
    ran: tuple[str, ...]  # scripts that were executed, each as often as it was
    survivors: tuple[str, ...]  # processes that outlived the build

    @property
    def summary(self) -> str:
        """What the build ends with, below the log of Sphinx."""
        return self.output.partition("=" * 79)[2]

    @property
    def problems(self) -> list[str]:
        """Each problem the summary lists, on one line."""
        listed = re.findall(r"^  (?! |nox)(.+(?:\n    .*)*)", self.summary, re.MULTILINE)
        return [re.sub(r"\s+", " ", problem) for problem in listed]


class Book:
    """A book in a folder of its own, built like the real one."""

    def __init__(self, root: Path):
        self.root = root
        ignored = shutil.ignore_patterns("__pycache__", "_toc.yml")
        for folder in ("conf", "_static", *DATA):
            shutil.copytree(ROOT / folder, root / folder, ignore=ignored)
        shutil.copy(ROOT / "pyproject.toml", root)
        self.write("examples/GALLERY_HEADER.rst", HEADER.format("Gallery", "======="))
        self.write("book/references.bib", "")
        self.ran = root / "ran.txt"

    def write(self, path: str, text: str) -> Path:
        """Write a file, and the folders it needs; a new part of the gallery gets its header."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, "utf-8")
        header = target.parent / "GALLERY_HEADER.rst"
        if path.startswith("examples/") and not header.exists():
            title = target.parent.name
            header.write_text(HEADER.format(title, "-" * len(title)), "utf-8")
        return target

    def contents(self, *chapters: str) -> None:
        """Write the table of contents: the chapters, then the gallery."""
        listed = "\n".join(f"  - file: {chapter}" for chapter in chapters)
        self.write("conf/_toc.yml", TOC.format(chapters=listed))

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen:
        """Start a build; its output goes to ``log.txt``, which no survivor can keep waiting."""
        self.ran.write_text("")
        self.mark = uuid.uuid4().hex
        package = importlib.util.find_spec("backwardpass").submodule_search_locations[0]
        path = [
            environment.pop("PYTHONPATH", ""),
            str(self.root / "conf"),
            str(Path(package).parent),
        ]
        with open(self.root / "log.txt", "wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "press", *arguments],
                cwd=self.root,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ
                | {
                    "PYTHONPATH": os.pathsep.join(filter(None, path)),
                    MARK: self.mark,
                    RAN: str(self.ran),
                    "OMP_NUM_THREADS": "1",
                }
                | environment,
            )

    def finish(self, process: subprocess.Popen) -> Built:
        """Wait for a build, and collect what it left."""
        try:
            status = process.wait(timeout=300)
        except subprocess.TimeoutExpired:
            self.kill(process)
            pytest.fail(f"the build did not end:\n{self.log()}")
        # What was sent a signal needs a moment to end.
        _, survivors = psutil.wait_procs(self.processes(), timeout=10)
        described = tuple(str(survivor) for survivor in survivors)
        for survivor in survivors:
            survivor.kill()
        return Built(status, self.log(), tuple(self.ran.read_text().split()), described)

    def build(self, *arguments: str, **environment: str) -> Built:
        """Build, and wait for it."""
        return self.finish(self.start(*arguments, **environment))

    def log(self) -> str:
        """The output so far."""
        return (self.root / "log.txt").read_text("utf-8", "replace")

    def processes(self) -> list[psutil.Process]:
        """Every process of the last build that is alive, itself included."""
        return [process for process in psutil.process_iter() if _has(process, self.mark)]

    def kill(self, process: subprocess.Popen) -> None:
        """End every process of a build at once, so that none can tidy up."""
        while members := self.processes():
            for member in members:
                with contextlib.suppress(psutil.NoSuchProcess):
                    member.kill()
            process.wait(timeout=60)
            psutil.wait_procs(members, timeout=60)

    def published(self) -> dict[str, bytes]:
        """Every file a reader would be served."""
        html = self.root / "_build" / "html"
        files = (path for path in sorted(html.rglob("*")) if path.is_file())
        return {path.relative_to(html).as_posix(): path.read_bytes() for path in files}


def _has(process: psutil.Process, mark: str) -> bool:
    try:
        return process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


@pytest.fixture(scope="session")
def make_book(tmp_path_factory):
    """A function that makes an empty miniature book."""
    return lambda name: Book(tmp_path_factory.mktemp(name))
