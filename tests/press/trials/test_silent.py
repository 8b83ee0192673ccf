"""Silent wrong gradients: every program runs alone, and what the page says of the table is so."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from press.show import errors
from press.show import wrong_gradient as extension
from press.trials import truth
from press.trials.truth import command, silent

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "book" / "reference" / "silent_gradients.md").read_text("utf-8")
ROWS = truth.read("silent").rows
DETECTORS = tuple(silent.DETECTORS)
# A program prints these two lines, and leaves these names behind.
PRINTED = re.compile(r"autograd tensor\(.+\)\nright    tensor\(.+\)", re.DOTALL)
ADDED = """
assert torch.allclose(gradient, right, rtol=1e-9, atol=1e-12) is {}
assert loss(x).dim() == 0
"""


def imported(text: str) -> set[str]:
    """The packages that a program imports."""
    return {
        name.partition(".")[0]
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module] if isinstance(node, ast.ImportFrom) else [node.names[0].name])
    }


def seen_by(*detectors: str) -> set[str]:
    """The cases that one of the detectors sees."""
    return {row for row, cells in ROWS.items() if any(cells[d] == "sees" for d in detectors)}


@pytest.mark.parametrize("case", silent.CASES)
def test_every_program_runs_alone(case, tmp_path, monkeypatch):
    """In a namespace and a folder that are empty, the first is wrong and the second right."""
    monkeypatch.chdir(tmp_path)
    for mended in (False, True):
        outcome = errors.run(silent.source(case, mended) + ADDED.format(mended))
        assert PRINTED.fullmatch(outcome.printed), outcome.printed
        warned = ROWS[silent.CASES[case]]["raises or warns"] == "warns" and not mended
        assert (outcome.message or "").startswith("UserWarning: " if warned else ""), outcome
        assert (outcome.message is None) is not warned, outcome
        assert imported(silent.source(case, mended)) == {"torch"}
    assert list(tmp_path.iterdir()) == []


def test_a_program_runs_as_a_script(tmp_path):
    """What a reader copies into a file runs there, in a Python that has nothing of this book."""
    for mended in (False, True):
        program = tmp_path / "program.py"
        program.write_text(silent.source("checkpoint_random", mended) + ADDED.format(mended))
        command = [sys.executable, "-I", program.name]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
        assert (done.returncode, done.stderr) == (0, "")
        assert PRINTED.fullmatch(done.stdout.rstrip("\n")), done.stdout


def test_pairs():
    """Every program has its counterpart, and every case its section on the page, once."""
    names = {path.stem for path in truth.PROGRAMS.glob("*.py")}
    assert names == {*silent.CASES, *(case + extension.MENDED for case in silent.CASES)}
    shown = re.findall(r"^```\{wrong-gradient\} (\w+)$", PAGE, re.MULTILINE)
    assert sorted(shown) == extension.cases() == sorted(silent.CASES)
    assert len(shown) >= 12


def test_no_remedy_is_objected_to():
    """Wrong is wrong, mended is right, and no detector objects to a mended program."""
    assert {cells["gradient"] for cells in ROWS.values()} == {"wrong"}
    assert {cells["mended"] for cells in ROWS.values()} == {"right"}
    assert "errs" not in {cells[d] for cells in ROWS.values() for d in DETECTORS}


def test_what_the_page_says():
    """The reading below the table: which detector sees most, which see nothing alone."""
    differences = seen_by("differences")
    assert len(differences) == max(len(seen_by(detector)) for detector in DETECTORS)
    assert seen_by(*DETECTORS) == differences
    told = {row for row, cells in ROWS.items() if cells["raises or warns"] != "silent"}
    assert told == {"copied by tensor", "broadcast mse loss"}
    assert seen_by("anomaly mode") == {"masked root", "overflow"}
    assert not seen_by("gradgradcheck") - differences
    nothing = {row for row, cells in ROWS.items() if {cells[d] for d in DETECTORS} == {"silent"}}
    assert nothing == {
        "broadcast loss",
        "integer index",
        "stale batch",
        "target not detached",
        "training mode",
    }


def test_a_changed_cell_is_named(tmp_path, monkeypatch, capsys):
    """Negative control: one cell falsified, and the comparison fails with case and detector."""
    stored = truth.path("silent").read_text("utf-8")
    before, row, after = stored.partition('[rows."cut path"]')
    falsified = after.replace('"gradcheck" = "sees"', '"gradcheck" = "silent"', 1)
    assert falsified != after
    (tmp_path / "silent.toml").write_text(before + row + falsified, "utf-8")
    monkeypatch.setattr(truth, "EXPECTED", tmp_path)
    assert command.main(["silent"]) == 1
    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith(
        'truth table "silent", row "cut path", column "gradcheck": '
        'expected "silent", measured "sees"'
    )
    assert last.endswith(" 1 not as stored")


def test_a_program_that_is_no_longer_wrong():
    """A case whose mistake goes away, in a new PyTorch say, is a changed cell in every column."""
    mended = silent.source("wrong_factor", mended=True)
    assert silent.row(mended, mended)["gradient"] == "right"
    cells = silent.row(silent.source("wrong_factor"), mended)
    assert cells == ROWS["wrong factor"]
    assert (cells["gradcheck"], cells["anomaly mode"]) == ("sees", "silent")


def test_a_detector_that_objects_to_both_errs():
    """An objection to the mended program too says nothing about the mistake."""
    wrong = silent.source("wrong_factor")
    assert silent.row(wrong, wrong)["gradcheck"] == "errs"
    assert silent.answer("sees", None) == "sees"
    assert silent.answer(None, "sees") == "errs"
    assert silent.answer(None, None) == "silent"
    assert silent.answer("cannot run", "cannot run") == "cannot run"


def test_raising_and_warning_are_told():
    """A program that raises or warns is no silent one."""
    assert silent.raises_or_warns("import torch\ntorch.ones(2).backward()") == "raises"
    assert silent.raises_or_warns("import warnings\nwarnings.warn('look')") == "warns"
    assert silent.raises_or_warns("import torch") is None


def test_the_page_depends_on_the_programs(monkeypatch, tmp_path):
    """Another program is another state of the table: pages that show it are read again."""
    from press.show import truth_table

    before = truth_table.digest()
    (tmp_path / "new.py").write_text("import torch\n")
    monkeypatch.setattr(truth, "PROGRAMS", tmp_path)
    assert truth_table.digest() != before
