"""Run what the pages show, on the PyTorch of this interpreter: ``python -I shown.py``.

Runs every example with a prompt, and every program of the error index, where nothing of this
project can be imported, and prints as JSON what came of each.  It needs torch and the standard
library only, so that an old PyTorch in an environment of its own can run it.
"""

import doctest
import json
import os
import random
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[4]
if __name__ == "__main__":  # alone: with `-I` nothing of this project is on the path
    sys.path.insert(0, str(ROOT / "conf"))

from press import fences  # noqa: E402  (found through the line above)
from press import programs as isolated  # noqa: E402

BOOK = ROOT / "book"
# What runs, of all that a page has.
PROGRAMS = ("raises", "attempt", "fix")
RUN = ("doctest", "testsetup", *PROGRAMS)
TITLE = re.compile(r"^#+ (.+)$", re.MULTILINE)
FLAGS = doctest.ELLIPSIS | doctest.DONT_ACCEPT_TRUE_FOR_1
# What the instruments read of a saved tensor, so as not to run the hooks of whoever saved it.
NEEDED = ("data", "unpack", "unpack_hook")


class Noting(doctest.DocTestRunner):
    """Notes what each example gave, instead of reporting it."""

    def __init__(self):
        super().__init__(optionflags=FLAGS, verbose=False)
        self.noted = []

    def note(self, example, got, passed):
        want = _said(example.want)
        self.noted.append(
            {"source": example.source, "got": _said(got), "want": want, "passed": passed}
        )

    def report_start(self, out, test, example):
        pass

    def report_success(self, out, test, example, got):
        self.note(example, got, True)

    def report_failure(self, out, test, example, got):
        self.note(example, got, False)

    def report_unexpected_exception(self, out, test, example, exc_info):
        self.note(example, f"{exc_info[0].__name__}: {exc_info[1]}", False)


def _said(text):
    """What an example printed, or the message that it ended with."""
    before, traceback, after = text.partition("Traceback (most recent call last):\n")
    if traceback:
        after = re.split(r"^(?=\S)", after, maxsplit=1, flags=re.MULTILINE)[-1]
    return (before + after).rstrip("\n")


def examples(page):
    """What came of each example of a page, which share their names."""
    import torch

    names = {"torch": torch, "__name__": "__main__"}
    shown = run(page.read_text("utf-8"))
    for fence in shown:
        if fence.name == "testsetup":
            exec(fence.body, names)
    source = "\n".join(fence.body for fence in shown if fence.name == "doctest")
    runner = Noting()
    test = doctest.DocTestParser().get_doctest(source, names, page.name, str(page), 0)
    runner.run(test, out=lambda text: None, clear_globs=False)
    return runner.noted


def program(code, written):
    """What a program printed, and the exception or warning it ended with."""
    ran = isolated.run(code)
    message = " ".join((ran.message or "").split())
    begins = written.removesuffix("…").rstrip()
    if written.endswith("…") and message.startswith(begins):
        message = written
    return {"printed": ran.printed, "message": message}


def programs(text):
    """The programs of a page, each with the title above it and the message it is to end with."""
    lines = text.splitlines()
    for fence in run(text):
        if fence.name in PROGRAMS:
            title = TITLE.findall("\n".join(lines[: fence.line - 1]))[-1]
            code, _, written = fence.content.partition("\n---\n")
            yield title, fence.name, code, " ".join(written.split())


def run(text):
    """The fences of a page that run."""
    return [fence for fence in fences.read(text) if fence.name in RUN]


def forked(work):
    """What ``work`` returns in a process of its own, or how it ended there."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        try:
            answer = {"found": work()}
        except BaseException as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        with os.fdopen(writing, "w") as file:
            json.dump(answer, file)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as file:
        answer = file.read()
    status = os.waitpid(child, 0)[1]
    return json.loads(answer) if answer else {"error": f"the process ended with status {status}"}


def main():
    import torch  # not where an extension imports this module for its pattern

    os.chdir(ROOT)
    sys.dont_write_bytecode = True
    isolated.refuse("backwardpass", "press", "sphinx")
    random.seed(0)
    torch.manual_seed(0)
    torch.set_warn_always(True)
    found = {}
    for page in sorted(BOOK.rglob("*.md")):
        text = page.read_text("utf-8")
        kinds = {fence.name for fence in run(text)}
        if not kinds or page.is_relative_to(BOOK / "gallery"):
            continue
        seen = found[page.relative_to(BOOK).with_suffix("").as_posix()] = {}
        if "doctest" in kinds:
            seen["examples"] = forked(lambda page=page: examples(page))
        seen["programs"] = [
            {"title": title, "kind": kind}
            | forked(lambda code=code, written=written: program(code, written))
            for title, kind, code, written in programs(text)
        ]
    missing = [name for name in NEEDED if not hasattr(torch._C._autograd.SavedTensor, name)]
    print(json.dumps({"torch": torch.__version__, "missing": missing, "pages": found}))


if __name__ == "__main__":
    main()
