"""The field above a table: which rows it leaves, and that a table says when it wants one."""

import json
import subprocess
from pathlib import Path

import pytest
from press.page import mathematics
from press.show import tables

SCRIPT = Path(__file__).resolve().parents[3] / "_static" / "filter.js"
CALL = """
const { matching } = require(process.argv[1]);
const [texts, typed] = JSON.parse(require("fs").readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(matching(texts, typed)));
"""
ROWS = ["no_grad() no yes works", "save_on_cpu() yes no Wrong gradient", "x ** 2 x: 240 raises"]


def left(typed: str) -> list[int]:
    """The rows that are left when ``typed`` is in the field."""
    done = subprocess.run(
        [mathematics.program(), "-e", CALL, SCRIPT],
        input=json.dumps([ROWS, typed]),
        capture_output=True,
        encoding="utf-8",
        check=True,
        timeout=120,
    )
    return [row for row, shown in enumerate(json.loads(done.stdout)) if shown]


@pytest.mark.parametrize(
    ("typed", "rows"),
    [
        ("", [0, 1, 2]),
        ("   ", [0, 1, 2]),
        ("no_grad", [0]),
        ("WRONG gradient", [1]),
        ("gradient wrong", [1]),  # in any order
        ("yes no", [0, 1]),
        ("**", [2]),  # a character that a pattern would take for something else
        ("raises works", []),
    ],
)
def test_every_word_has_to_be_there(typed, rows):
    """A row is left if it has all words typed, in any order and case."""
    assert left(typed) == rows


def test_a_table_asks_for_it_by_class():
    """A table with the class is complete without JavaScript: no row of it is hidden."""
    made = tables.table(("way", "node"), [("a", "yes"), ("b", "no")], "Ways", "bp-filter")
    assert 'class="bp-table bp-filter"' in made
    assert "hidden" not in made
