"""Truth tables: what PyTorch does, found out by trying, and compared with what is expected of it.

A module of this package is a table.  It has a ``TITLE``, the name of its rows ``ROW`` and of its
``COLUMNS``, and ``measure()``, which tries and returns each cell as text.  The same table as data
is ``book/reference/truth_tables/<name>.toml``: the cells expected, and the version of torch that
gave them.  ``nox -s tables`` compares the two, and with ``-- --write`` stores what it measured.
"""

import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from press.project import REFERENCE

FOLDER = Path(__file__).parent
EXPECTED = REFERENCE / "truth_tables"
PROGRAMS = REFERENCE / "silent_gradients"  # what the table of that name runs
NAMES = ("modes", "leaves", "saved", "clearing", "silent")

Rows = dict[str, dict[str, str]]  # the cells of a table, by row and column


@dataclass(frozen=True)
class Difference:
    """One cell that is not what is expected; None where a table lacks the cell."""

    table: str
    row: str
    column: str
    expected: str | None
    measured: str | None

    def __str__(self) -> str:
        return (
            f'truth table "{self.table}", row "{self.row}", column "{self.column}": '
            f"expected {_quoted(self.expected)}, measured {_quoted(self.measured)}"
        )


@dataclass(frozen=True)
class Expected:
    """A table as it is stored: the version of torch that it was measured with, and its cells."""

    torch: str
    rows: Rows


def path(name: str) -> Path:
    """Where the cells expected of the table ``name`` are stored."""
    return EXPECTED / f"{name}.toml"


def read(name: str) -> Expected:
    """The cells expected of the table ``name``; none where none are stored."""
    try:
        stored = tomllib.loads(path(name).read_text("utf-8"))
    except FileNotFoundError:
        return Expected("", {})
    return Expected(stored.get("torch", ""), stored.get("rows", {}))


def written(torch: str, rows: Mapping[str, Mapping[str, str]]) -> str:
    """A table as TOML, a line for each cell, so that a change of one cell is a change of one line.

    >>> print(written("2.0", {"x + y": {"saved": "-"}}))
    torch = "2.0"
    <BLANKLINE>
    [rows."x + y"]
    "saved" = "-"
    <BLANKLINE>
    """
    lines = [f"torch = {json.dumps(torch)}", ""]
    for row, cells in rows.items():
        lines.append(f"[rows.{json.dumps(row, ensure_ascii=False)}]")
        for column, cell in cells.items():
            name, value = (json.dumps(text, ensure_ascii=False) for text in (column, cell))
            lines.append(f"{name} = {value}")
        lines.append("")
    return "\n".join(lines)


def differences(name: str, expected: Rows, measured: Rows) -> Iterator[Difference]:
    """Every cell in which the two differ, in the order of the measured table.

    >>> expected = {"no_grad()": {"node": "no", "leaf": "yes"}}
    >>> for each in differences("modes", expected, {"no_grad()": {"node": "yes", "leaf": "yes"}}):
    ...     print(each)
    truth table "modes", row "no_grad()", column "node": expected "no", measured "yes"
    """
    for row in dict.fromkeys([*measured, *expected]):
        old, new = expected.get(row, {}), measured.get(row, {})
        for column in dict.fromkeys([*new, *old]):
            if old.get(column) != new.get(column):
                yield Difference(name, row, column, old.get(column), new.get(column))


def _quoted(cell: str | None) -> str:
    return "no such cell" if cell is None else f'"{cell}"'
