"""Results are kept in one way, and a file of another form is answered with what to run."""

import json
from types import SimpleNamespace

import pytest
from press import kept
from press.trials.mutants import results
from press.trials.older import differences
from press.trials.operators import summary


def test_all_or_nothing(tmp_path, monkeypatch):
    """An interruption while results are written leaves those that were there."""
    path = tmp_path / "new" / "kept.json"
    kept.write(path, "1")

    def interrupted(*paths):
        raise KeyboardInterrupt

    monkeypatch.setattr("pathlib.Path.replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        kept.write(path, "2")
    assert path.read_text() == "1\n"


@pytest.mark.parametrize(
    "record",
    [{}, {"a": 1}, {"a": {}}, {"a": {"c": [1], "b": "é"}}, {"a": ({"b": 1}, {"b": 2}), "c": []}],
)
def test_a_record_is_json_with_a_line_a_row(record):
    """What is written is read again, and each row has a line of its own."""
    text = kept.fields(record)
    assert json.loads(text) == json.loads(json.dumps(record))
    for value in record.values():
        rows = value.values() if isinstance(value, dict) else value if value != 1 else ()
        assert all(any(json.dumps(row, ensure_ascii=False) in line for line in text.splitlines())
                   for row in rows)  # fmt: skip


def test_what_is_kept_has_the_form_that_is_written():
    """The files of the project are those that would be written now."""
    assert results.as_text(results.kept()) == results.MEASURED.read_text("utf-8")
    assert differences.kept().text() == differences.MEASURED.read_text("utf-8")


OLDER = {
    "a list": "[]",
    "no rows": '{"scripts": {}}',
    "rows without a key": '{"targets": {"a": {"mutants": 3}}, "rows": 1, "differences": [{}]}',
    "cut off": '{"targets": {',
    "nothing": "",
}


@pytest.mark.parametrize("form", OLDER)
@pytest.mark.parametrize("reader", [results.kept, differences.kept])
def test_another_form_says_what_to_run(tmp_path, form, reader):
    """A kept result of an older form is answered in one line with the command that makes it."""
    path = tmp_path / "measured.json"
    path.write_text(OLDER[form])
    with pytest.raises(kept.KeptError) as raised:
        reader(path)
    message = str(raised.value)
    assert message.startswith("measured.json cannot be read, perhaps an older version wrote it (")
    assert "; write it anew: nox -s " in message
    assert "\n" not in message


def test_a_summary_of_another_form_says_what_to_run(tmp_path, monkeypatch):
    """The summary of the operators says so as well."""
    monkeypatch.setattr(summary, "SUMMARY", tmp_path / "summary.json")
    summary.SUMMARY.write_text('{"torch": "2.0"}')
    with pytest.raises(kept.KeptError, match=r"anew: python -m press\.trials\..*--summary$"):
        summary.read()


def test_a_summary_is_read_as_it_was_written(tmp_path, monkeypatch):
    """What the check of the operators keeps is what it reads."""
    monkeypatch.setattr(summary, "SUMMARY", tmp_path / "summary.json")
    now = {"torch": "2.0", "rows": {"exp float64": {"digest": "a"}, "add float64": {}}}
    summary.write(now)
    assert summary.read() == now


def _env(**marks):
    """An environment whose pages ``a`` to ``c`` were read in these states; ``c`` is gone."""
    metadata = {name: {"mark": state} for name, state in marks.items()} | {"plain": {}}
    return SimpleNamespace(metadata=metadata, found_docs={"a", "b", "plain"})


def test_pages_of_another_state_are_outdated():
    """Only pages with the mark, and of another state, are read again; of those that are there."""
    assert kept.outdated(_env(a="1", b="2", c="1"), "mark", lambda: "2") == ["a"]


def test_no_page_asks_for_no_state():
    """Where no page shows what is kept, its state is not computed."""
    assert kept.outdated(_env(), "mark", lambda: 1 / 0) == []


def test_a_state_that_cannot_be_told_outdates_all():
    """Pages that show what cannot be read are read again, and say so."""

    def state():
        raise kept.KeptError("write it anew")

    assert kept.outdated(_env(a="1", b="2"), "mark", state) == ["a", "b"]
