"""A line of the caller's code."""

import linecache
import os
import re
from dataclasses import dataclass
from types import FrameType

_CELL = re.compile(r"[\\/]ipykernel_\d+[\\/]\d+\.py$")


@dataclass(frozen=True, slots=True)
class Place:
    """A line of the caller's code.

    Parameters
    ----------
    filename
        The file it stands in.
    line
        Its number there, counted from 1.
    function
        The function it belongs to; ``"<module>"`` outside of any.

    Examples
    --------
    >>> from backwardpass import Place
    >>> print(Place("/somewhere/train.py", 12, "forward"))
    /somewhere/train.py:12, in forward
    """

    filename: str
    line: int
    function: str

    @property
    def source(self) -> str:
        """The text of the line; empty where the file cannot be read.

        >>> from backwardpass import Place
        >>> Place("/nowhere/train.py", 12, "forward").source
        ''
        """
        return linecache.getline(self.filename, self.line).strip()

    def __str__(self) -> str:
        inside = "" if self.function.startswith("<") else f", in {self.function}"
        source = f": {self.source}" if self.source else ""
        return f"{_short(self.filename)}:{self.line}{inside}{source}"


def _short(filename: str) -> str:
    """Write a path below the current folder without it, and of a notebook's cell none.

    >>> _short("<stdin>"), _short(os.path.join(os.getcwd(), "train.py"))
    ('<stdin>', 'train.py')
    >>> _short("/tmp/ipykernel_71/2384.py")
    'notebook cell'
    """
    if _CELL.search(filename):  # a file that is nowhere, with another name in every session
        return "notebook cell"
    here = os.getcwd() + os.sep
    return filename.removeprefix(here)


def place_of(frame: FrameType | None) -> Place:
    """Give the line that a frame is at."""
    if frame is None:
        return Place("<unknown>", 0, "<unknown>")
    return Place(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name)
