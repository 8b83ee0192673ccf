"""The fences of a chapter: one reader of Markdown for all, and what each directive needs.

This module needs the standard library alone, as an old PyTorch's interpreter reads pages with it.
"""

import importlib
import pkgutil
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

MARKS = re.compile(r"^\s*(`{3,}|~{3,}|:{3,})\s*(.*)$")
DIRECTIVE = re.compile(r"\{([\w:.-]+)\}\s*(.*)$")
OPTION = re.compile(r"\s*:(\w[\w-]*):\s*(.*)$")
SETTING = re.compile(r"\s*(\w[\w-]*)\s*:\s*(.*)$")


@dataclass(frozen=True)
class Fence:
    """A directive of a page, as it is written there.

    Parameters
    ----------
    name, argument, options
        As in ``{name} argument`` and ``:option: value``.
    body
        The lines inside of it, each with its end, options included.
    line, end
        The lines that open and close it, counted from 1.
    marks
        What it is opened with, such as three backticks.
    depth
        How many fences are around it.
    """

    name: str
    argument: str
    body: str
    line: int
    end: int
    marks: str
    depth: int = 0
    options: dict[str, str] = field(default_factory=dict)

    @property
    def content(self) -> str:
        """The body without its options."""
        return "".join(self.body.splitlines(keepends=True)[_count_of_options(self.body) :])


def lines(source: str) -> Iterator[tuple[int, str, tuple[str, ...]]]:
    """Each line with its number and what the fences say that are open there, from the outermost.

    A line that opens or closes a fence is left out.

    >>> list(lines("a" + chr(10) + "```{doctest}" + chr(10) + ">>> 1" + chr(10) + "```"))
    [(1, 'a', ()), (3, '>>> 1', ('{doctest}',))]
    """
    opened: list[tuple[str, str]] = []
    for number, line in enumerate(source.splitlines(), start=1):
        fence = MARKS.match(line)
        if fence and opened and _closes(fence, opened[-1][0]):
            opened.pop()
        elif fence and (fence.group(2) or not opened):
            opened.append((fence.group(1), fence.group(2)))
        else:
            yield number, line, tuple(info for _, info in opened)


def read(source: str) -> list[Fence]:
    """The directives of a page, also those inside of others, in the order in which they begin.

    What stands in a fence that is no directive is shown, and is none.

    >>> page = "````{solution} a\\n```{doctest}\\n:hide:\\n>>> 1\\n1\\n```\\n````\\n"
    >>> [(fence.name, fence.argument, fence.depth, fence.line) for fence in read(page)]
    [('solution', 'a', 0, 1), ('doctest', '', 1, 2)]
    >>> read(page)[1].options, read(page)[1].content
    ({'hide': ''}, '>>> 1\\n1\\n')
    >>> read("```python\\n1\\n```\\n")
    []
    """
    text = source.splitlines(keepends=True)
    opened: list[tuple[re.Match, int]] = []
    found = []
    for number, line in enumerate(text, start=1):
        fence = MARKS.match(line.rstrip("\n"))
        if fence and opened and _closes(fence, opened[-1][0].group(1)):
            start, at = opened.pop()
            around = [info.group(2) for info, _ in opened]
            named = DIRECTIVE.match(start.group(2))
            if named and all(DIRECTIVE.match(info) for info in around):
                body = "".join(text[at : number - 1])
                found.append(
                    Fence(
                        named.group(1),
                        named.group(2).strip(),
                        body,
                        at,
                        number,
                        start.group(1),
                        len(around),
                        _options(body),
                    )
                )
        elif fence and (fence.group(2) or not opened):
            opened.append((fence, number))
    return sorted(found, key=lambda fence: fence.line)


def expanded(source: str, names: tuple[str, ...], text: Callable[[Fence], str]) -> str:
    """The page with the Markdown that ``text`` makes in place of each directive of these names.

    >>> page = "a\\n```{x} 1\\n```\\nb\\n"
    >>> expanded(page, ("x",), lambda fence: f"<{fence.argument}>")
    'a\\n<1>\\nb\\n'
    """
    written = source.splitlines(keepends=True)
    for fence in reversed(read(source)):  # from below: the lines above keep their numbers
        if fence.name in names:
            written[fence.line - 1 : fence.end] = [text(fence) + "\n"]
    return "".join(written)


def of(page: Path) -> list[Fence]:
    """The directives of the page at that path; none of one that is no Markdown."""
    return read(page.read_text("utf-8")) if page.suffix == ".md" and page.is_file() else []


def _closes(fence: re.Match, opened: str) -> bool:
    marks, info = fence.groups()
    return not info and marks[0] == opened[0] and len(marks) >= len(opened)


def _count_of_options(body: str) -> int:
    """How many lines at the beginning of a body are options: ``:a: b``, or between hyphens."""
    rows = body.splitlines()
    if rows and rows[0].strip() == "---":
        closing = [n for n, row in enumerate(rows[1:], start=2) if row.strip() == "---"]
        return closing[0] if closing else 0
    return next((n for n, row in enumerate(rows) if not OPTION.match(row)), len(rows))


def _options(body: str) -> dict[str, str]:
    rows = body.splitlines()[: _count_of_options(body)]
    pattern = SETTING if rows and rows[0].strip() == "---" else OPTION
    named = (pattern.match(row) for row in rows)
    return {row.group(1): row.group(2).strip() for row in named if row}


def no_script(fence: Fence) -> tuple[str, ...]:
    """For a directive that shows nothing of a script."""
    return ()


def named_script(fence: Fence) -> tuple[str, ...]:
    """For a directive whose argument is the name of a script."""
    return (fence.argument,)


@dataclass(frozen=True)
class Needs:
    """What has to be there before a directive can be read.

    Parameters
    ----------
    scripts
        The names of the scripts that have to have run, of one fence.
    executes
        Whether reading it runs code, for which torch is imported.
    """

    scripts: Callable[[Fence], tuple[str, ...]] = no_script
    executes: bool = False


NOTHING = Needs()
# Directives of Sphinx that run something while a page is read.
OF_OTHERS = {name: Needs(executes=True) for name in ("doctest", "testcode")}
DIRECTIVES: dict[str, type] = {}


def directive(name: str, needs: Needs) -> Callable[[type], type]:
    """Declare a directive of the press: its name on a page, and what it needs."""

    def declare(kind: type) -> type:
        kind.needs = needs
        DIRECTIVES[name] = kind
        return kind

    return declare


@cache
def declared() -> dict[str, Needs]:
    """What each directive needs, by its name; the modules that declare them are imported."""
    for package in ("press.show", "press.page"):
        for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
            importlib.import_module(f"{package}.{module.name}")
    return OF_OTHERS | {name: kind.needs for name, kind in DIRECTIVES.items()}


def scripts(page: Path) -> list[str]:
    """The names of the scripts that have to run for a page, each once."""
    needs = declared()
    names = (name for fence in of(page) for name in needs.get(fence.name, NOTHING).scripts(fence))
    return list(dict.fromkeys(names))


def executes(page: Path) -> bool:
    """Whether reading a page runs code, cells apart, which have processes of their own."""
    needs = declared()
    return any(needs.get(fence.name, NOTHING).executes for fence in of(page))
