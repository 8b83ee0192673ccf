"""What the book shows on the oldest PyTorch that its scripts are meant for, and what differs there.

``nox -s oldest`` runs it on both, and compares.  What it found is kept in ``measured.json`` under
a key of each script and page that was run; ``reasons.toml`` says of every difference why it is
there, in a person's words.  *On an older PyTorch* shows the two.
"""

import ast
import difflib
import hashlib
import json
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from press.kept import fields, reading
from press.project import REFERENCE, ROOT
from press.trials.older.shown import run

MEASURED = Path(__file__).with_name("measured.json")
REASONS = REFERENCE / "older_pytorch" / "reasons.toml"
FAILED = "cannot run to its end: "
# What is compared, by kind.
KINDS = {
    "script": "gallery scripts",
    "example": "examples with a prompt",
    "message": "programs of the error index",
    "cell": "cells of the truth tables",
}


@dataclass(frozen=True)
class Difference:
    """One thing that the two show differently."""

    kind: str
    where: str  # a script or a page, by its name; a truth table
    what: str  # which of its examples, entries or cells
    older: str
    newer: str

    @property
    def name(self) -> str:
        """What an entry of reasons.toml calls it."""
        return f"{self.where}: {self.what}" if self.what else self.where


@dataclass(frozen=True)
class Reason:
    """Why some things are shown differently, and the names of these differences."""

    title: str
    why: str
    of: tuple[str, ...]


@dataclass(frozen=True)
class Measured:
    """What was run on the two, and what differed."""

    older: str  # their versions
    newer: str
    missing: tuple[str, ...]  # what the instruments would need of the older one
    keys: dict[str, str]  # of scripts and pages as they were then
    counts: dict[str, int]  # how many were compared, by kind
    differences: tuple[Difference, ...]

    def text(self) -> str:
        """As it is kept: a line for each script, page and difference."""
        return fields(asdict(self)) + "\n"


def kept(path: Path = MEASURED) -> Measured:
    """What was measured last.

    Raises
    ------
    KeptError
        The file is of another form.
    """
    with reading(path, "nox -s oldest -- --write"):
        stored = json.loads(path.read_text("utf-8"))
        differences = tuple(Difference(**row) for row in stored.pop("differences"))
        return Measured(
            **stored | {"missing": tuple(stored["missing"]), "differences": differences}
        )


def reasons(path: Path = REASONS) -> tuple[Reason, ...]:
    """Why there are differences, in the order of the page.

    Raises
    ------
    ValueError
        Two reasons for one difference, or a reason without a word.
    """
    found = tuple(
        Reason(entry["title"], entry["why"], tuple(entry["of"]))
        for entry in tomllib.loads(path.read_text("utf-8"))["reason"]
    )
    seen = set()
    for number, reason in enumerate(found, 1):
        if not (reason.title.strip() and reason.why.strip() and reason.of):
            raise ValueError(f"{path.name}, entry {number}: needs a title, why, and of")
        for name in reason.of:
            if name in seen:
                raise ValueError(f"{path.name}, entry {number}: {name} has a reason already")
            seen.add(name)
    return found


def problems(measured: Measured, why: Iterable[Reason]) -> Iterator[str]:
    """Differences that nobody explained, and explanations of what does not differ."""
    names = {difference.name: difference for difference in measured.differences}
    explained = {name for reason in why for name in reason.of}
    for name, difference in names.items():
        if name not in explained:
            yield (
                f"{REASONS.name} has no reason for {name}\n"
                f"  {measured.older}: {difference.older}\n  {measured.newer}: {difference.newer}"
            )
    for name in sorted(explained - names.keys()):
        yield f"{REASONS.name} has a reason for {name}, which does not differ"


def sources() -> dict[str, str]:
    """The key of everything that is run, as it is now: scripts, and pages with examples."""
    scripts = {
        path.relative_to(ROOT).as_posix(): _key(without_prose(path.read_text("utf-8")))
        for path in sorted((ROOT / "examples").rglob("plot_*.py"))
    }
    pages = {}
    for path in sorted((ROOT / "book").rglob("*.md")):
        fences = [(f.marks, f.name, f.body) for f in run(path.read_text("utf-8"))]
        if fences and not path.is_relative_to(ROOT / "book" / "gallery"):
            pages[path.relative_to(ROOT).as_posix()] = _key(json.dumps(fences))
    return scripts | pages


def without_prose(source: str) -> str:
    """The lines of a script that run: a comment may be worded anew.

    >>> print(without_prose('r"Title."' + chr(10) + "# %%" + chr(10) + "x = 1  # one"))
    x = 1  # one
    """
    lines = source.splitlines()
    try:
        first = ast.parse(source).body[:1]
    except SyntaxError:  # the gallery says so
        first = []
    if first and isinstance(first[0], ast.Expr) and isinstance(first[0].value, ast.Constant):
        lines = lines[first[0].end_lineno :]
    return "\n".join(line for line in lines if line.strip() and not line.startswith("#"))


def _key(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def in_scripts(older: dict[str, dict], newer: dict[str, dict]) -> Iterator[Difference]:
    """Scripts that print something else; of an error, its last line."""
    for name, new in newer.items():
        old = older[name]
        if "error" in new:
            raise RuntimeError(f"{name} fails on the newer PyTorch as well:\n{new['error']}")
        said = [old["output"], new["output"]]
        if "error" in old:
            said[0] += f"{FAILED}{old['error'].strip().splitlines()[-1]}\n"
        before, after = (text.splitlines() for text in said)
        matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
        changes = [change for change in matcher.get_opcodes() if change[0] != "equal"]
        if changes:
            yield Difference(
                "script",
                name,
                "",
                "\n".join(line for _, i, j, _, _ in changes for line in before[i:j]),
                "\n".join(line for _, _, _, i, j in changes for line in after[i:j]),
            )


def on_pages(older: dict[str, dict], newer: dict[str, dict]) -> tuple[list[Difference], dict]:
    """Examples and programs of the pages that came to something else, and how many there are.

    What needs the instruments fails on both, and is not counted.
    """
    found, counts = [], {"example": 0, "message": 0}
    for page, new in newer.items():
        old = older[page]
        for ours, theirs in _pairs(page, old.get("examples"), new.get("examples")):
            if theirs["passed"]:
                counts["example"] += 1
                if not ours["passed"]:
                    first = theirs["source"].strip().splitlines()[0]
                    found.append(Difference("example", page, first, ours["got"], theirs["want"]))
        for before, after in zip(old["programs"], new["programs"], strict=True):
            counts["message"] += 1
            texts = ["\n".join(filter(None, _outcome(page, each))) for each in (before, after)]
            if texts[0] != texts[1]:
                what = after["title"] + ("" if after["kind"] == "raises" else f" ({after['kind']})")
                found.append(Difference("message", page, what, *texts))
    return found, counts


def _pairs(page: str, older: dict | None, newer: dict | None) -> Iterable[tuple[dict, dict]]:
    if newer is None:
        return ()
    for found in (older, newer):
        if "error" in found:
            raise RuntimeError(f"the examples of {page} cannot be run: {found['error']}")
    return zip(older["found"], newer["found"], strict=True)


def _outcome(page: str, found: dict) -> tuple[str, str]:
    if "error" in found:
        raise RuntimeError(f'"{found["title"]}" of {page} cannot be run: {found["error"]}')
    return found["found"]["printed"], found["found"]["message"]


def in_tables(older: dict[str, dict], newer: dict[str, dict]) -> tuple[list[Difference], int]:
    """Cells of the truth tables that are others, and how many there are."""
    found, count = [], 0
    for table, new in newer.items():
        for row, cells in new["rows"].items():
            for column, cell in cells.items():
                count += 1
                was = older[table]["rows"][row][column]
                if was != cell:
                    found.append(Difference("cell", table, f"{row}, {column}", was, cell))
    return found, count
