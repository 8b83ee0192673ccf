"""Mutants: each kind of wrong formula is made, caught by a good script, missed by a weak one."""

import ast
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from press.judge.slices import hand_side
from press.trials.mutants import fork, results
from press.trials.mutants.mutants import Mutant, Outcome, Target
from press.trials.mutants.operators import mutations
from press.trials.mutants.results import Equivalent, Record
from press.trials.mutants.scripts import Script, plotting, warm_up

ROOT = Path(__file__).resolve().parents[3]

START = """\
import torch
torch.manual_seed(0)
x = torch.tensor([0.3, -1.2, 2.1], dtype=torch.float64, requires_grad=True)
A = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
a, v = A.detach(), x.detach()
"""
END = """
torch.testing.assert_close({"x": dx}, {"x": torch.autograd.grad(loss, x)[0]})
"""


def script(body: str) -> Script:
    return Script("part/plot_small", START + textwrap.dedent(body) + END)


def outcomes(body: str) -> dict[str, str]:
    """Each change of a small script, and what became of it."""
    warm_up()
    return {mutant.change: outcome.words for mutant, outcome in script(body).measure()}


# kind: a right derivation, and the change that has to be among its mutants and be caught
CAUGHT = {
    "operator": ("loss = (x**2 + 3 * x).sum(); dx = 2 * v + 3", "2 * v + 3 → 2 * v - 3"),
    "sign": ("loss = x.cos().sum(); dx = -v.sin()", "-v.sin() → v.sin()"),
    "sign of a name": ("loss = (x * v).sum(); dx = v", "v → -v"),
    "constant": ("loss = (x**2).sum(); dx = 2 * v", "2 → 3"),
    "factor": ("loss = (x**2).sum(); dx = 2 * v", "2 * v → v"),
    "term": ("loss = (x**2 + 3 * x).sum(); dx = 2 * v + 3", "2 * v + 3 → 2 * v"),
    "swapped": ("loss = (x.exp() - x).sum(); dx = v.exp() - 1", "v.exp() - 1 → 1 - v.exp()"),
    "swapped product": ("loss = (x @ A).sum(); dx = a @ torch.ones(4).double()",
                        "a @ torch.ones(4).double() → torch.ones(4).double() @ a"),
    "transpose": ("u = v[[0, 1, 2, 0]]; loss = x @ A @ u; dx = u @ a.T", "a.T → a"),
    "dimension": ("loss = (x @ A).sum(); dx = a.sum(1)", "1 → 0"),
    "no dimension": ("loss = (x @ A).sum(); dx = a.sum(1)", "a.sum(1) → a.sum()"),
    "comparison": ("loss = x.relu().sum(); dx = (v > 0).double()", "v > 0 → v < 0"),
    "index": ("loss = (x[1] * x).sum(); dx = v[1] + v.sum() * torch.eye(3).double()[1]",
              "1 → 0"),
    "function": ("loss = x.sin().sum(); dx = torch.cos(v)", "torch.cos(v) → torch.sin(v)"),
    "sum for mean": ("loss = (x @ A).sum(); dx = a.sum(1)", "a.sum(1) → a.mean(1)"),
    "left out": ("loss = (x * x[0]).sum(); dx = v[0] * torch.ones(3).double(); dx[0] += v.sum()",
                 "dx[0] += v.sum() → pass"),
    "loop": ("""
             loss = (x**3).sum()
             dx = 3 * torch.ones(3).double()
             for step in range(2):
                 dx = dx * v
             """, "2 → 3"),
    "called": ("""
               def slope(value):
                   return 2 * value
               loss = (x**2).sum()
               dx = slope(v)
               """, "2 * value → value"),
}  # fmt: skip


@pytest.mark.parametrize("kind", CAUGHT)
def test_a_good_script_catches_each_kind(kind):
    """The change is among the mutants, and the script's comparison or an exception catches it."""
    body, change = CAUGHT[kind]
    found = outcomes(body)
    assert found[change] in ("comparison", "raised")


# What a weak script lets pass: symmetric data, a 1, a 0, no value on the boundary.
WEAK = {
    "a factor of 1": ("w = torch.ones(3).double(); loss = (w * x).sum(); dx = w * 1.0",
                      "w * 1.0 → w"),
    "symmetric": ("S = torch.eye(3).double() * 2; loss = (S @ x).sum(); dx = S.T.sum(1)",
                  "S.T → S"),
    "a sum of one": ("k = A[:1]; loss = (k.detach().sum() * x).sum(); "
                     "dx = k.detach().sum(0, keepdim=True).sum() * torch.ones(3).double()",
                     "0 → 1"),
    "no boundary": ("loss = x.relu().sum(); dx = (v > 0).double()", "v > 0 → v >= 0"),
}  # fmt: skip


@pytest.mark.parametrize("weakness", WEAK)
def test_a_weak_script_has_a_survivor(weakness):
    """Where the data hide the difference, the mutant survives."""
    body, change = WEAK[weakness]
    assert outcomes(body)[change] == "survived"


def test_only_the_side_by_hand_is_changed():
    """Data and forward pass move both sides together: no mutant of theirs is counted."""
    body = """
    scale = 3.0 * 1.5
    hidden = (x * scale).sin()
    loss = hidden.sum()
    slope = scale * (v * scale).cos()
    unused = 7 * v
    dx = slope
    """
    warm_up()
    lines = {mutant.text for mutant, _ in script(body).measure()}
    assert lines == {"slope = scale * (v * scale).cos()", "dx = slope"}


def test_a_name_used_again_is_not_confused():
    """Only the assignment that reaches the comparison is on its side."""
    source = START + "dx = 5 * v\nloss = (x**2).sum()\ndx = 2 * v\n" + END
    texts = {ast.unparse(part.statement) for part in hand_side(ast.parse(source))}
    assert "dx = 2 * v" in texts
    assert "dx = 5 * v" not in texts


def test_a_helper_that_compares_leads_to_its_callers():
    """With the comparison inside a function, the arguments of its calls are the side by hand."""
    source = START + textwrap.dedent("""
    def check(by_hand, autograd):
        torch.testing.assert_close({"x": by_hand}, {"x": autograd})
    loss = (x**2).sum()
    slope = 2 * v
    check(slope, torch.autograd.grad(loss, x)[0])
    """)
    warm_up()
    found = {m.change: o.words for m, o in Script("part/plot_small", source).measure()}
    assert found["2 * v → v"] == "comparison"
    assert not any("loss" in change for change in found)


def test_an_assert_is_no_comparison():
    """What only a plain assert notices is shown as raised."""
    body = """
    loss = (x * 2).sum()
    n = 1 * 2
    assert n == 2
    dx = torch.full((3,), float(max(n, 2))).double()
    """
    found = outcomes(body)
    assert found["1 * 2 → 1"] == "raised"
    assert found["max(n, 2) → min(n, 2)"] == "survived"


def test_an_equality_is_shown_apart():
    """A comparison of two tensors that fails first is named as such."""
    body = "loss = (x**2).sum(); dx = 2 * v; torch.testing.assert_close(dx, v + v)"
    assert outcomes(body)["2 * v → v"] == "equality"


def test_what_never_ends_is_stopped():
    """A loop whose step is left out is ended by the limit."""
    body = """
    loss = (x**2).sum()
    n, dx = 0, v * 0
    while n < 2:
        dx = dx + v
        n += 1
    """
    found = outcomes(body)
    assert found["n += 1 → pass"] == "timed out"
    assert found["n < 2 → n <= 2"] == "comparison"


def test_a_child_changes_nothing_here(tmp_path):
    """What a child binds, prints, leaves or does to the process stays with the child."""
    here = {"value": 1}

    def run():
        here["value"] = 2
        os.chdir(tmp_path)
        os.environ["MUTANT"] = "yes"
        print("said")
        raise SystemExit(0)

    assert fork.outcome_of(run, limit=5) is Outcome.RAISED
    assert here == {"value": 1}
    assert Path.cwd() != tmp_path
    assert "MUTANT" not in os.environ


def test_a_crash_and_a_memory_hog_are_caught():
    """A child that dies or asks for all memory raised; the parent goes on."""
    assert fork.outcome_of(lambda: os.kill(os.getpid(), signal.SIGKILL), limit=5) is Outcome.RAISED
    assert (
        fork.outcome_of(lambda: bytearray(1 << 42) and Outcome.SURVIVED, limit=5) is Outcome.RAISED
    )
    assert fork.outcome_of(lambda: Outcome.SURVIVED, limit=5) is Outcome.SURVIVED


def test_a_script_that_fails_unchanged_is_an_error():
    """Nothing can be said of a script that does not run."""
    with pytest.raises(RuntimeError, match="fails before anything is changed"):
        outcomes("loss = (x**2).sum(); dx = 3 * v")


def test_a_comparison_without_a_derivation_is_an_error():
    """A side by hand in which nothing is computed cannot be tested."""
    with pytest.raises(ValueError, match="no place to change"):
        Script(
            "part/plot_small",
            START + "loss = (x * v).sum()\n"
            'torch.testing.assert_close({"x": v}, {"x": torch.autograd.grad(loss, x)[0]})',
        ).measure()


def test_a_mutant_keeps_every_line_in_its_place():
    """Text of several lines is replaced by as many, so that other lines keep their numbers."""
    source = "def f(x):\n    y = (\n        2\n        * x\n    )\n    return y\n"
    target = Target("small", source, lambda changed: Outcome.SURVIVED)
    for mutant in target.mutants():
        assert isinstance(mutant, Mutant)
        changed = mutant.applied(source)
        assert len(changed.splitlines()) == len(source.splitlines())
        assert "return" in changed.splitlines()[5]
        ast.parse(changed)


def test_a_target_of_any_kind_can_be_measured():
    """Another client hands over a source and what runs a changed one."""

    def run(source):
        names = {}
        exec(source, names)
        return Outcome.SURVIVED if names["slope"](1.0) == 2.0 else Outcome.COMPARISON

    target = Target("rules/square", "def slope(x):\n    return 2 * x\n", run)
    found = {m.change: fork.outcome_of(lambda m=m: run(m.applied(target.source)), 5).words
             for m in target.mutants()}  # fmt: skip
    assert found["2 * x → x"] == "comparison"
    assert found["2 * x → 2"] == "survived"  # at 1 the factor x cannot be seen


def test_mutations_are_ordered_and_none_is_made_twice():
    """The same source gives the same list."""
    expression = ast.parse("(a @ b.T).sum(0) / n - torch.sin(x[1:, -1]) ** 2", mode="eval").body
    found = [(str(m), m.kind, m.node.lineno, m.node.col_offset) for m in mutations(expression)]
    assert len(set(found)) == len(found)
    assert found == [
        (str(m), m.kind, m.node.lineno, m.node.col_offset) for m in mutations(expression)
    ]
    assert {kind for _, kind, *_ in found} >= {
        "operator", "sign", "constant", "factor", "term", "swapped", "transpose", "dimension",
        "index", "function",
    }  # fmt: skip


def test_cells_that_only_draw_are_left_out():
    """A cell with pyplot is skipped unless something it names is used by what is executed."""
    source = "# %%\na = 1\n# %%\nf = plt.figure()\nb = 2\n# %%\nc = plt\nd = 3\n# %%\nprint(a, d)\n"
    tree = ast.parse(source)
    assert {ast.unparse(s) for s in plotting(tree, source)} == {"f = plt.figure()", "b = 2"}


def record(outcome="survived", text="dx = 2 * v", change="2 → 3"):
    return Record("part/plot_small", 7, text, "constant", change, outcome)


def test_a_survivor_says_where_what_and_what_to_do():
    """The message names script, line, original and change, and ends in the entry to add."""
    text = record().survivor()
    assert text.startswith("examples/part/plot_small.py:7: constant: no comparison notices\n")
    assert "dx = 2 * v" in text
    assert "2 → 3" in text
    assert "sizes" in text
    assert "[[equivalent]]" in text


def test_an_entry_takes_its_survivor_out_and_a_stale_one_is_named():
    """Only a survivor can be equivalent; an entry for one that is caught matches nothing."""
    entry = Equivalent("part/plot_small", "dx = 2 * v", "2 → 3", "because")
    judged = results.judge("part/plot_small", "key", [record()], [entry])
    assert (judged.survivors, len(judged.equivalent), judged.stale) == ([], 1, ())
    judged = results.judge("part/plot_small", "key", [record("comparison")], [entry])
    assert (len(judged.records), judged.stale) == (1, (entry,))
    assert results.judge("part/plot_small", "key", [record()], []).survivors == [record()]


def test_the_entry_a_survivor_prints_can_be_read_back(tmp_path):
    """Pasted with a reason, it is the entry that matches."""
    path = tmp_path / "mutants.toml"
    tricky = record(text="dx = {'a': \"b\"}", change="'a' → \"b\"")
    path.write_text(textwrap.dedent(tricky.entry()).replace("reason = ''", "reason = 'x'"))
    assert results.equivalents(path)[0].matches(tricky)


def test_an_entry_without_a_reason_is_an_error(tmp_path):
    """Declaring something equivalent takes a reason."""
    path = tmp_path / "mutants.toml"
    path.write_text(textwrap.dedent(record().entry()))
    with pytest.raises(ValueError, match="reason"):
        results.equivalents(path)


def test_prose_does_not_outdate_a_measurement_and_code_does():
    """The key is that of the code: comments, title and layout are free to change."""
    key = results.key_of("part/plot_small", '"""Title."""\n# %%\nx = 1\n', [])
    assert key == results.key_of("part/plot_small", '"""Other."""\n# more\n\nx  =  1\n', [])
    assert key != results.key_of("part/plot_small", "x = 2\n", [])
    entry = Equivalent("part/plot_small", "x = 1", "1 → 2", "because")
    assert key != results.key_of("part/plot_small", "x = 1\n", [entry])


def project(root: Path, body: str) -> Path:
    """A miniature project with one script, and this project's command."""
    import shutil

    left = shutil.ignore_patterns("__pycache__", "measured.json", "equivalent.toml", "waiting.toml")
    shutil.copytree(ROOT / "conf" / "press", root / "conf" / "press", ignore=left)
    shutil.copy(ROOT / "conf" / "constraints.txt", root / "conf")
    (root / "examples" / "part").mkdir(parents=True)
    path = root / "examples" / "part" / "plot_small.py"
    path.write_text(START + textwrap.dedent(body) + END)
    return path


def command(root: Path, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "press.trials.mutants.command", "--jobs", "1", *arguments],
        env=os.environ | {"PYTHONPATH": str(root / "conf")},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_fails_on_a_survivor_and_keeps_only_what_is_caught(tmp_path):
    """From a weak script to a good one: named, mended, kept, checked, and outdated again."""
    path = project(tmp_path, "loss = x.relu().sum(); dx = (v > 0).double()")
    weak = command(tmp_path)
    assert weak.returncode == 1, weak.stderr
    assert "examples/part/plot_small.py:6: comparison: no comparison notices" in weak.stdout
    assert "v > 0 → v >= 0" in weak.stdout
    assert (
        json.loads((tmp_path / "conf/press/trials/mutants/measured.json").read_text())["targets"]
        == {}
    )

    path.write_text(path.read_text().replace("-1.2, 2.1", "-1.2, 0.0"))
    good = command(tmp_path)
    assert good.returncode == 0, good.stdout
    kept = json.loads((tmp_path / "conf/press/trials/mutants/measured.json").read_text())["targets"]
    assert kept["part/plot_small"]["mutants"] == sum(kept["part/plot_small"]["caught"].values())
    assert "0 measured" in command(tmp_path).stdout

    assert command(tmp_path, "--check").returncode == 0
    path.write_text(path.read_text().replace("0.3", "0.4"))
    outdated = command(tmp_path, "--check")
    assert outdated.returncode == 1
    assert re.search(
        "measured.json is not what was measured now, for part/plot_small", outdated.stdout
    )


def test_what_waits_is_not_asked_until_it_is_measured(tmp_path):
    """A target that waits is left out of a check; once it is measured, the entry has to go."""
    path = project(tmp_path, "loss = x.relu().sum(); dx = (v > 0).double()")
    waiting = tmp_path / "conf/press/trials/mutants/waiting.toml"
    waiting.write_text('[[waiting]]\ntarget = "part/plot_small"\nreason = "It is weak."\n')
    assert "0 measured" in command(tmp_path, "--check").stdout
    assert command(tmp_path, "--check", "--all").returncode == 1
    path.write_text(path.read_text().replace("-1.2, 2.1", "-1.2, 0.0"))
    command(tmp_path)
    stale = command(tmp_path, "--check")
    assert stale.returncode == 1
    assert "part/plot_small in waiting.toml: it is measured, or gone" in stale.stdout


def test_a_target_waits_for_a_reason(tmp_path):
    """An entry without a reason is refused."""
    path = tmp_path / "waiting.toml"
    path.write_text('[[waiting]]\ntarget = "vjps/layers"\nreason = ""\n')
    with pytest.raises(ValueError, match="needs target and reason"):
        results.waiting(path)
