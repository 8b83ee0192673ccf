"""The truth tables: what is stored is what PyTorch does, and a cell that is not is named."""

import tomllib

import pytest
import torch
from press.trials import truth
from press.trials.truth import command, modes, saved, trying

VERSION = torch.__version__.partition("+")[0]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A copy of the stored tables that a test may falsify."""
    for name in truth.NAMES:
        (tmp_path / f"{name}.toml").write_bytes(truth.path(name).read_bytes())
    monkeypatch.setattr(truth, "EXPECTED", tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", truth.NAMES)
def test_stored_is_measured(name):
    """Every cell stored is what the PyTorch installed here does."""
    table = command.measured(name)
    found = truth.differences(name, truth.read(name).rows, table["rows"])
    assert [str(difference) for difference in found] == []
    assert truth.read(name).torch == VERSION


def test_a_falsified_cell_is_named(folder, capsys):
    """One cell changed: the command fails, and names table, row, column, and both answers."""
    stored = folder / "modes.toml"
    before, row, after = stored.read_text().partition('[rows."no_grad()"]')
    stored.write_text(before + row + after.replace('"leaf" = "yes"', '"leaf" = "no"', 1))
    assert command.main(["modes"]) == 1
    first, last = capsys.readouterr().out.splitlines()
    assert first == (
        'truth table "modes", row "no_grad()", column "leaf": expected "no", measured "yes" '
        f"(expected of torch {VERSION}, this is {VERSION})"
    )
    assert last.endswith(" 1 not as stored")


def test_another_torch_is_noticed(monkeypatch, capsys):
    """A torch that behaves otherwise changes the cells it changes, and no others."""
    monkeypatch.setattr(torch, "relu", torch.nn.functional.silu)
    monkeypatch.setitem(saved.OPERATIONS, "relu", saved.Operation(torch.relu, ("x",)))
    assert command.main(["saved"]) == 1
    *named, _ = capsys.readouterr().out.splitlines()
    assert [line.partition(": expected")[0] for line in named] == [
        f'truth table "saved", row "relu", column "{column}"'
        for column in ("node", "saved", "result changed", "argument changed")
    ]


def test_rows_that_come_and_go():
    """A row that is not stored, or not measured any more, is a difference in each of its cells."""
    found = truth.differences("t", {"old": {"a": "1"}}, {"new": {"a": "1", "b": "2"}})
    assert [str(difference) for difference in found] == [
        'truth table "t", row "new", column "a": expected no such cell, measured "1"',
        'truth table "t", row "new", column "b": expected no such cell, measured "2"',
        'truth table "t", row "old", column "a": expected "1", measured no such cell',
    ]


def test_writing_stores_what_was_measured(folder, capsys):
    """With --write the differences are told, stored, and gone."""
    (folder / "leaves.toml").unlink()
    assert command.main(["leaves", "--write"]) == 0
    assert "expected no such cell" in capsys.readouterr().out
    assert command.main(["leaves"]) == 0


def test_unknown_table(capsys):
    """A name that is no table is refused with those there are."""
    with pytest.raises(SystemExit):
        command.main(["leafs"])
    assert "no table leafs; there are modes, leaves, saved, clearing" in capsys.readouterr().err


def test_what_is_written_is_read():
    """Quotes, backslashes and other characters come through TOML unchanged."""
    rows = {'a "quoted" \\ row': {"x → y": "2 × new (6, 1)", "tab": "\t"}}
    assert tomllib.loads(truth.written("2.0", rows)) == {"torch": "2.0", "rows": rows}


def test_a_wrong_gradient_is_told_from_a_right_one():
    """A change that no version counter sees is found by the gradient it spoils."""
    assert modes._changed(modes.WAYS["save_on_cpu()"], "y") == "wrong gradient"
    copying = modes.Way(
        (lambda: torch.autograd.graph.saved_tensors_hooks(torch.clone, lambda t: t),)
    )
    assert modes._changed(copying, "y") == "works"


def test_storages_are_counted_once():
    """Two tensors in one storage cost as much as the storage."""
    x = torch.zeros(6, 5, dtype=torch.float64, requires_grad=True)
    _, seen = trying.saved(lambda: x * x[:2].repeat(3, 1) * 1)
    assert sum(trying.storages([x, x[0], x.T]).values()) == 240
    assert len(seen) == 2


def test_measuring_twice_gives_the_same():
    """A table does not depend on what ran before it, or a build would not be repeatable."""
    torch.manual_seed(7)
    first = command.measured("saved")
    torch.manual_seed(8)
    assert command.measured("saved") == first


def test_a_build_measures_once(tmp_path, monkeypatch):
    """A second process of one build reads what the first measured; another state measures anew."""
    from press.show import truth_table

    told = []

    def trial():
        told.append("tried")
        return {"torch": VERSION, "tables": {"saved": {}}}

    monkeypatch.setattr(truth_table, "_measured", trial)
    for key, times in (("one", 1), ("one", 1), ("other", 2)):
        truth_table.measured.cache_clear()
        assert truth_table.measured(key, str(tmp_path)) == (VERSION, {"saved": {}})
        assert len(told) == times
    truth_table.measured.cache_clear()
