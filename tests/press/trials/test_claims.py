"""Trials of claims: what each complaint says, counterexamples that run, and what is kept."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from press.trials.claims import Exempt, Refused, assume, claim, control, kept, record, run
from press.trials.claims.trial import attempt
from press.worlds import programs

ROOT = Path(__file__).resolve().parents[3]
WORLD = programs(without=["checkpoint"])


@pytest.fixture(autouse=True)
def registry(monkeypatch):
    """An empty registry."""
    monkeypatch.setattr(record, "CLAIMS", {})
    return record.CLAIMS


def names(roots):
    """The names of the nodes behind the roots, the leaves' apart."""
    nodes = [root.grad_fn for root in roots]
    for node in nodes:
        nodes += {child: 0 for child, _ in node.next_functions if child and child not in nodes}
    return [node.name() for node in nodes]


def anything(roots):
    assert roots


def never_a_sine(roots):
    assert "SinBackward0" not in names(roots), "there is a sine"


def test_a_claim_that_holds_is_counted(registry):
    """Every case is counted once, and the control falls."""
    claim("a", world=WORLD, sample=50)(anything)
    control("a", "No program has a sine.")(never_a_sine)
    outcome = attempt(registry["a"], 50)
    assert (outcome.cases, outcome.held, outcome.complaints) == (50, 50, [])
    assert [row["fell"] for row in outcome.controls] == [True]


def test_a_counterexample_is_made_smaller_and_runs_alone(registry):
    """One leaf and one line are left, and the script raises in an empty namespace."""
    claim("a", world=WORLD)(never_a_sine)
    outcome = attempt(registry["a"], 200)
    assert outcome.complaints[0] == (
        "it does not hold: there is a sine; bound it, or teach the exception"
    )
    lines = outcome.refuted.splitlines()
    assert [line for line in lines if line.startswith("v")] == ["v1 = x0.sin()"]
    with pytest.raises(AssertionError, match="there is a sine"):
        exec(compile(outcome.refuted, "pasted", "exec"), {})


def test_a_falsifier_that_draws_no_case_is_a_complaint(registry):
    """A claim that nothing was asked of has not held."""

    def asks_nothing(roots):
        assume(False)

    claim("a", world=WORLD)(asks_nothing)
    control("a", "No program has a sine.")(never_a_sine)
    assert attempt(registry["a"], 20).complaints == [
        "its falsifier drew no case; widen its world, or take out an assume(...)"
    ]


def test_a_falsifier_that_raises_is_a_complaint(registry):
    """An error of the falsifier is no refutation, and no success either."""

    def broken(roots):
        raise KeyError("a name")

    claim("a", world=WORLD)(broken)
    control("a", "No program has a sine.")(never_a_sine)
    (complaint,) = attempt(registry["a"], 20).complaints
    assert complaint.startswith("its falsifier raised KeyError: 'a name'; let it assert")


def test_a_control_that_survives_is_a_complaint(registry):
    """A falsifier that cannot fail proves nothing."""
    claim("a", world=WORLD, sample=20)(anything)
    control("a", "Programs have roots.")(anything)
    assert attempt(registry["a"], 20).complaints == [
        'its control "Programs have roots." survived 20 programs: the falsifier cannot see what '
        "it is to rule out; widen its world, or mend it"
    ]


def test_a_claim_without_a_control_is_a_complaint(registry):
    """Each claim has a stronger statement that has to fall."""
    claim("a", world=WORLD)(anything)
    assert attempt(registry["a"], 5).complaints == [
        'it has no control; write the stronger statement that has to fall under @control("a", ...)'
    ]


def test_an_exception_has_to_be_met(registry):
    """One that is about no case, or breaks nothing, is to be removed; one that is, is counted."""

    def with_a_sine(roots):
        return "SinBackward0" in names(roots)

    exceptions = [Exempt("a sine", with_a_sine), Exempt("a unicorn", lambda roots: False)]
    claim("a", world=WORLD, exceptions=exceptions, control="None has a sine.")(never_a_sine)
    outcome = attempt(registry["a"], 100)
    assert outcome.exceptions["a sine"] == outcome.cases - outcome.held > 0
    assert outcome.complaints == [
        'the exception "a unicorn" was met by no case; remove it, or widen the world'
    ]
    assert outcome.controls[0]["fell"]


def test_an_id_has_one_falsifier():
    """The second is refused by file and line, and so is a control of nothing."""
    claim("a", world=WORLD)(anything)
    with pytest.raises(Refused, match=r"test_claims.py:\d+ already; give one of them another id"):
        claim("a", world=WORLD)(never_a_sine)
    with pytest.raises(Refused, match="declare it with @claim first"):
        control("b", "Nothing.")(anything)
    with pytest.raises(Refused, match="has no exception that control"):
        claim("c", world=WORLD, control="All.")(anything)


def test_what_is_stored_is_the_same_in_every_process(tmp_path):
    """Two builds store the same bytes, whatever Python's hashes and however many processes."""
    texts = set()
    for number in ("1", "2"):
        store = tmp_path / f"{number}.json"
        module = "press.trials.claims.run"
        command = [sys.executable, "-m", module, "engine-once", "second-pass-saved"]
        subprocess.run(
            [*command, "--store", str(store), "--jobs", number],
            env=os.environ | {"PYTHONHASHSEED": number},
            cwd=ROOT / "conf",
            check=True,
        )
        texts.add(store.read_bytes())
    (text,) = texts
    stored = json.loads(text)
    assert stored["engine-once"]["held"] < stored["engine-once"]["cases"]
    assert not stored["engine-once"]["complaints"]


def test_a_result_is_kept_until_what_it_depends_on_changes(tmp_path, monkeypatch):
    """The key is that of the module; an unchanged claim is not tried again."""
    module = tmp_path / "graph.py"
    source = (
        'from press.trials.claims import claim\n\n\n@claim("a", world=None)\ndef f():\n    ...\n'
    )
    module.write_text(source)
    monkeypatch.setattr(kept, "FALSIFIERS", tmp_path)
    store = tmp_path / "kept.json"
    assert [(one.id, one.line) for one in kept.declared()] == [("a", 4)]
    assert kept.outdated({"a"}, store) == ["a"]
    kept.write({"a": {"key": kept.key(module)}}, store)
    assert kept.outdated({"a"}, store) == []
    module.write_text(source + "\n")
    assert kept.outdated({"a"}, store) == ["a"]
    assert kept.outdated({"b"}, store) == []


def test_a_module_that_cannot_be_imported_is_told(tmp_path):
    """Its claims are stored with what it raised, so that the build can say it."""
    module = tmp_path / "wrong.py"
    module.write_text("1 / 0\n")
    assert run.load([module]) == {
        "wrong.py": "wrong.py raised ZeroDivisionError: division by zero; mend it"
    }


def test_a_search_draws_other_cases_than_a_build(registry):
    """Its seed is another one, and it ends when its time is up."""
    claim("a", world=WORLD)(anything)
    control("a", "No program has a sine.")(never_a_sine)
    seeds = [next(WORLD.cases(seed, 1)).source() for seed in ("a", "search a")]
    assert seeds[0] != seeds[1]
    assert attempt(registry["a"], 10_000, seed="search a", until=0.05).cases < 10_000
