"""Time builds of the book against the limits of its design, all in one run, in a copy of it.

A machine that is busy with something else is slower: run it on a quiet one, and compare ratios.
"""

import argparse
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from press import fences
from press.project import ROOT

# What a build needs; everything else stays where it is.
COPIED = ("book", "conf", "examples", "_static", "src", "pyproject.toml")

# The scripts and cells alone: each page in a fork of one process that has torch and its compiler,
# as state of one, such as a default dtype, is not for the next.
BARE = """
import contextlib, io, json, linecache, os, sys, time
import matplotlib; matplotlib.use("agg")
import torch
torch.optim.SGD([torch.zeros(1)])  # imports the compiler
pages = json.load(sys.stdin)
began = time.perf_counter()
for name, cells in pages.items():
    child = os.fork()
    if child == 0:
        with contextlib.redirect_stdout(io.StringIO()):
            for number, (source, may_raise) in enumerate(cells):
                cell = f"<{name} {number}>"  # what watches reads the lines, as in a notebook
                linecache.cache[cell] = len(source), None, source.splitlines(True), cell
                with contextlib.suppress(Exception if may_raise else ()):
                    exec(compile(source, cell, "exec"), vars(sys.modules["__main__"]))
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        sys.exit(f"{name} failed")
print(time.perf_counter() - began)
"""


@dataclass(frozen=True)
class Timing:
    """One row of the table."""

    what: str
    seconds: float
    limit: float | None
    why: str = ""


def main() -> int:
    """Measure, print the table; 1 when a limit is exceeded."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "--runs", type=int, default=3, help="of each short build; the median counts"
    )
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        copy = Path(folder)
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                ignored = shutil.ignore_patterns("gallery", "__pycache__", "sg_execution_times.rst")
                shutil.copytree(source, copy / name, ignore=ignored)
            else:
                shutil.copy(source, copy / name)
        timings = measure(copy, runs)
    print(table(timings))
    return int(any(t.limit is not None and t.seconds > t.limit for t in timings))


def measure(copy: Path, runs: int) -> list[Timing]:
    """The timings of the book in ``copy``, which they change."""
    scripts = sorted((copy / "examples").rglob("plot_*.py"))
    chapters = sorted((copy / "book").rglob("*.md"))
    executed = [page for page in chapters if cells(page.read_text("utf-8"))]
    cores = os.cpu_count() or 1
    pages = {str(path): [(path.read_text("utf-8"), False)] for path in scripts}
    pages |= {str(path): cells(path.read_text("utf-8")) for path in executed}
    bare = float(_python(copy, "-c", BARE, given=json.dumps(pages)).stdout)
    allowed = bare + 3 * len(executed) / cores + 20
    count = len(chapters) + len(scripts)
    numbers = itertools.count()
    (copy / "_build").mkdir()
    check = [
        "conf/press/trials/operators/run.py",
        "--store",
        "_build/operators.json",
        "--jobs",
        str(cores),
    ]
    operators = _median(1, lambda: _python(copy, *check))
    cold = _median(1, lambda: _build(copy))
    unchanged = _median(runs, lambda: _build(copy))
    # The longest: whatever its part, reading it takes the longest.
    ordinary = max(chapters, key=lambda page: page.stat().st_size)
    chapter = _median(runs, lambda: _build(copy), lambda: _append(ordinary, "\nOne more line.\n"))
    glossary = _median(runs, lambda: _build(copy), lambda: _define(copy, next(numbers)))
    script = _median(
        runs, lambda: _build(copy), lambda: _append(scripts[-1], "\n# One more line.\n")
    )
    return [
        Timing(f"bare execution, {len(scripts)} scripts", bare, None, "and the cells of chapters"),
        Timing("check of the operators", operators, 60.0, "apart from the build"),
        Timing(
            "cold build, replay included",
            cold,
            allowed,
            f"bare + 3 s × {len(executed)} chapters with cells ÷ {cores} cores + 20 s",
        ),
        Timing(f"nothing changed, {count} pages", unchanged, 5.0),
        Timing(f"one chapter changed, {ordinary.stem}", chapter, 12.0),
        Timing("one term changed, one new", glossary, 12.0),
        Timing("one script changed", script, 15.0),
    ]


def cells(page: str) -> list[tuple[str, bool]]:
    """The cells of a chapter, and whether each may raise."""
    return [
        (fence.content, any("raises" in option for option in fence.options.values()))
        for fence in fences.read(page)
        if fence.name == "code-cell"
    ]


def _define(copy: Path, number: int) -> None:
    """Change what the first term of the glossary means, and define one that no page uses."""
    glossary = copy / "book" / "reference" / "glossary.md"
    text = glossary.read_text("utf-8")
    body = next(fence.body for fence in fences.read(text) if fence.name == "glossary")
    more = re.sub(r"^  ", "  Anew: ", body, count=1, flags=re.MULTILINE)
    more += f"\nterm of no page {number}\n  Nothing.\n"
    glossary.write_text(text.replace(body, more), "utf-8")


def table(timings: list[Timing]) -> str:
    """The rows as text, each with its limit."""
    rows = [f"{'':34}{'seconds':>9}{'limit':>9}"]
    for t in timings:
        limit = "" if t.limit is None else f"{t.limit:.1f}"
        verdict = "" if t.limit is None or t.seconds <= t.limit else "  EXCEEDED"
        rows.append(f"{t.what:34}{t.seconds:9.1f}{limit:>9}{verdict}  {t.why}".rstrip())
    return "\n".join(rows)


def _median(runs: int, measured: Callable, before: Callable = lambda: None) -> float:
    found = []
    for _ in range(runs):
        before()
        began = time.perf_counter()
        measured()
        found.append(time.perf_counter() - began)
    return sorted(found)[len(found) // 2]


def _build(copy: Path) -> None:
    done = _python(copy, "-m", "press", check=False)
    if done.returncode:
        sys.exit(re.sub(r"^.*?(?=\n=====)", "", done.stdout, flags=re.DOTALL) + done.stderr[-2000:])


def _append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


def _python(
    copy: Path, *command: str, check: bool = True, given: str | None = None
) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, *command],
        cwd=copy,
        input=given,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        check=check,
        capture_output=True,
        text=True,
    )


if __name__ == "__main__":
    raise SystemExit(main())
