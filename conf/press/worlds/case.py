"""A case, which is a script that defines names, and a world, which draws cases from a seed."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from types import CodeType
from typing import Protocol


class Case(Protocol):
    """What a world draws: a script, what it defines, and cases that are smaller."""

    def source(self) -> str:
        """The script, ready to be pasted."""

    def names(self) -> dict[str, object]:
        """What the script defines, computed anew."""

    def smaller(self) -> Iterator["Case"]:
        """Simpler cases of the same world, those that drop most first."""


def run(source: str) -> dict[str, object]:
    """The names that a script defines.

    >>> run("x = 2\\ny = x + 1")["y"]
    3
    """
    names: dict[str, object] = {"__name__": "case"}
    exec(_compiled(source), names)
    return names


@cache
def _compiled(source: str) -> CodeType:
    return compile(source, "<case>", "exec")


@dataclass(frozen=True)
class Script:
    """A case that is kept as text; ``fewer`` are the scripts to try in its place."""

    text: str
    fewer: tuple["Script", ...] = ()

    def source(self) -> str:
        return self.text

    def names(self) -> dict[str, object]:
        return run(self.text)

    def smaller(self) -> Iterator[Case]:
        yield from self.fewer


@dataclass(frozen=True)
class World:
    """A domain in one sentence, what one of its cases is called, and how to draw one.

    Parameters
    ----------
    name : str
        A short name, such as ``"programs"``.
    sentence : str
        What it holds, in words that a page can show.
    noun : str
        What a case is called when there are several: ``"programs"``.
    draw : callable
        Takes a :class:`random.Random` and returns a case.
    """

    name: str
    sentence: str
    noun: str
    draw: Callable[[random.Random], Case]

    def cases(self, seed: str, count: int) -> Iterator[Case]:
        """Draw ``count`` cases; the same seed gives the same cases, those drawn before left out.

        A small world may have fewer: drawing ends after twenty cases in a row that are known.
        """
        seen: set[str] = set()
        idle = number = 0
        while len(seen) < count and idle < 20:
            case = self.draw(random.Random(f"{seed} {number}"))
            number += 1
            idle += 1
            if case.source() not in seen:
                seen.add(case.source())
                idle = 0
                yield case
