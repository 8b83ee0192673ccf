"""Mutants of the operator reference's rules: what judges them, and what becomes of a survivor."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from press.trials.mutants import results
from press.trials.mutants.mutants import Outcome, Target
from press.trials.operators import cases as _cases
from press.trials.operators import mutation

from backwardpass import vjps

# Forward mode compiles formulas of PyTorch's own when it is first used.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")

ROOT = Path(__file__).resolve().parents[3]
RULES = ROOT / "src" / "backwardpass" / "vjps"


@pytest.fixture(autouse=True)
def one_thread():
    """A child has none of its parent's threads, and must not wait for them."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_every_operator_has_two_edge_cases_of_ours():
    """PyTorch's samples alone judge no operator."""
    few = {}
    for rule in vjps.RULES.values():
        for entry in rule.entries:
            known = _cases.opinfos()[entry].supported_backward_dtypes("cpu")
            dtypes = {torch.float64, torch.complex128} & known
            labels = {case.label for dtype in dtypes for case in _cases.ours(entry, dtype)}
            if len(labels) < 2:
                few[entry] = labels
    assert few == {}


def test_edge_cases_stand_in_the_file_of_their_rule():
    """What is kept of a family depends on its file of edge cases, and on no other."""
    next(_cases.ours("exp", torch.float64))
    family = {entry: rule.family for rule in vjps.RULES.values() for entry in rule.entries}
    for entry, functions in _cases.EDGES.items():
        for function in functions:
            assert function.__module__ == f"press.trials.operators.edges.{family[entry]}", entry


def test_each_module_of_rules_is_measured():
    """No family is forgotten, nor the moves they share."""
    names = {results.script_name(path) for path in results.rules()}
    assert names == {f"vjps/{name}" for name in (*vjps.FAMILIES, "_shared")}


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A copy of the rules and of what judges them, for ``results`` to look at."""
    shutil.copytree(ROOT / "conf" / "press" / "trials" / "operators", tmp_path / "operators")
    shutil.copytree(RULES, tmp_path / "vjps")
    monkeypatch.setattr(results, "OPERATORS", tmp_path / "operators")
    monkeypatch.setattr(results, "RULES", tmp_path / "vjps")
    return tmp_path


def key(name: str) -> str:
    return results.key_of(name, (results.RULES / f"{name.removeprefix('vjps/')}.py").read_text())


@pytest.mark.parametrize("path", ["vjps/views.py", "vjps/_shared.py", "vjps/_registry.py",
                                  "operators/edges/views.py", "operators/cases.py",
                                  "operators/check.py", "operators/mutation.py"])  # fmt: skip
def test_whatever_judges_a_rule_outdates_its_measurement(files, path):
    """The key of a module of rules changes with its source, what it shares, and its cases."""
    before, script = key("vjps/views"), results.key_of("part/plot_small", "x = 1\n", [])
    text = (files / path).read_text()
    (files / path).write_text(text + "\n# a comment is no code\n")
    assert key("vjps/views") == before
    (files / path).write_text(text + "\nANOTHER = 1\n")
    assert key("vjps/views") != before
    assert results.key_of("part/plot_small", "x = 1\n", []) == script


@pytest.mark.parametrize("path", ["vjps/losses.py", "operators/edges/losses.py"])
def test_another_family_leaves_a_measurement_and_outdates_what_is_shared(files, path):
    """Rules of every family judge a change of what they share."""
    views, shared = key("vjps/views"), key("vjps/_shared")
    (files / path).write_text((files / path).read_text() + "\nANOTHER = 1\n")
    assert key("vjps/views") == views
    assert key("vjps/_shared") != shared


def judged(module: str, change: tuple[str, str], *rules: str) -> Outcome:
    """What the cases of some rules of a module make of a change, judged in a child."""
    from press.trials.mutants import fork

    source = (RULES / f"{module}.py").read_text("utf-8")
    assert source.count(change[0]) == 1
    judges = {name: mutation.prepared(name) for name in rules}
    changed = source.replace(*change)
    names = mutation.reached(module, source, changed, judges)
    return fork.outcome_of(lambda: mutation.judged(module, changed, names, judges), 30)


def test_a_wrong_rule_is_noticed_by_comparison_and_a_broken_one_raises():
    """The two ways to be caught are told apart; a change of no result is caught by neither."""
    right = 'return {"input": g.transpose(dim0, dim1)}'
    for wrong, outcome in (
        ('return {"input": -g.transpose(dim0, dim1)}', Outcome.COMPARISON),
        ('return {"input": g.transpose(dim0, dim3)}', Outcome.RAISED),
        ('return {"input": g.transpose(dim1, dim0)}', Outcome.SURVIVED),
    ):
        assert judged("views", (right, wrong), "transpose") is outcome


def test_a_change_of_a_helper_reaches_the_rules_that_use_it():
    """Directly or through another helper, and no other rule."""
    source = (RULES / "spectra.py").read_text("utf-8")
    changed = source.replace("min(n, x.shape[d])", "max(n, x.shape[d])")
    assert changed != source
    judges = {name: [] for name, rule in vjps.RULES.items() if rule.family == "spectra"}
    reached = mutation.reached("spectra", source, changed, judges)
    assert {"fft.fft", "fft.rfft", "fft.irfftn"} <= set(reached)
    assert not {"conj", "real", "angle", "fft.fftshift"} & set(reached)


def test_a_rule_that_no_longer_declines_is_noticed():
    """A case that the rule declines has to stay declined, where PyTorch refuses it too."""
    change = ('if mode == "r" or (mode', 'if mode == "q" or (mode')
    assert judged("decompositions", change, "linalg.qr") is Outcome.COMPARISON


def test_where_autograd_is_off_all_three_checks_judge():
    """PyTorch counts an x that ties and has no part; finite differences do not."""
    change = ("ties_x = (input == y) * own", "ties_x = 1.0 * (input == y)")
    assert judged("indexing", change, "scatter_reduce") is Outcome.COMPARISON


def test_every_statement_of_a_rule_is_changed():
    """An update in place is left out, and what it is given gets the other sign."""
    source = "def rule(g, x):\n    dx = x * 0\n    dx.diagonal().copy_(g)\n    return dx\n"
    changes = {m.change for m in Target("vjps/small", source, lambda _: None).mutants()}
    assert {"dx.diagonal().copy_(g) → pass", "g → -g", "dx → -dx"} <= changes
    assert "dx.diagonal().copy_(g) → -dx.diagonal().copy_(g)" not in changes


def test_a_rule_whose_mutant_survives_fails_the_gate_and_is_named(tmp_path):
    """Without edge cases a wrong attention passes: file, line and change are told."""
    ignored = shutil.ignore_patterns("__pycache__", "measured.json", "*.toml")
    for folder in ("conf/press", "src/backwardpass"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=ignored)
    shutil.copy(ROOT / "conf" / "constraints.txt", tmp_path / "conf")
    edges = tmp_path / "conf/press/trials/operators/edges/attention.py"
    edges.write_text('"""No edge case."""\n')
    path = "src/backwardpass/vjps/attention.py"
    sources = [str(tmp_path / "conf"), str(tmp_path / "src")]
    ran = subprocess.run(
        [sys.executable, "-m", "press.trials.mutants.command", "--jobs", "1", tmp_path / path],
        capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sources), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert ran.returncode == 1, ran.stderr
    source = (tmp_path / path).read_text("utf-8").splitlines()
    line = next(n for n, text in enumerate(source, 1) if "S = S + attn_mask" in text)
    assert f"{path}:{line}: operator: no comparison notices\n    S = S + attn_mask" in ran.stdout
    assert "S + attn_mask → S - attn_mask" in ran.stdout
    assert "conf/press/trials/operators/edges" in ran.stdout
    assert (tmp_path / "conf/press/trials/mutants/measured.json").read_text("utf-8").count(
        "vjps/attention"
    ) == 0
