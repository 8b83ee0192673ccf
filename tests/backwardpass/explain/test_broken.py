"""Training scripts with one mistake each: the answer names the mistake, and the very line.

A script says in comments what is to be found: `# cause:` the cause, `# here` on the line, `# needs:
recording` where a watched forward pass cannot tell, `# raises:` what its last line raises.
"""

import math
import re
from contextlib import nullcontext
from itertools import pairwise
from pathlib import Path

import pytest
import torch

import backwardpass

SCRIPTS = sorted(Path(__file__).with_name("broken").glob("*.py"))


def told(source: str, what: str) -> str | None:
    """Read what a script says of itself."""
    found = re.search(rf"^# {what}: (.+)$", source, re.MULTILINE)
    return found and found[1]


def line_of(source: str, mark: str) -> int | None:
    """Find the line that carries a mark."""
    lines = [n for n, text in enumerate(source.splitlines(), 1) if text.endswith(f"# {mark}")]
    return lines[0] if lines else None


def run(path: Path, expected: str | None = None) -> dict:
    """Run a script, watched and recorded, and give its variables."""
    source = path.read_text("utf-8")
    space = {"__name__": "__main__"}
    before = torch.is_grad_enabled()
    expected = expected or told(source, "raises")
    ends = pytest.raises((RuntimeError, ValueError), match=expected) if expected else nullcontext()
    torch.manual_seed(0)
    try:
        with backwardpass.watch() as watched, backwardpass.record(values=True) as recording, ends:
            exec(compile(source, str(path), "exec"), space)
    finally:
        torch.set_grad_enabled(before)
    return space | {"watched": watched, "recording": recording}


@pytest.mark.filterwarnings("ignore:.*copy construct:UserWarning")
@pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad=True:UserWarning")
@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_the_mistake_is_found(path):
    """With all that was seen cause and line are named; with less, nothing that is not so."""
    source = path.read_text("utf-8")
    space = run(path)
    ask = (space["asked"], space["loss"])
    answer = backwardpass.why_no_grad(*ask, recording=space["recording"], watched=space["watched"])
    assert answer.cause == told(source, "cause"), str(answer)
    line = line_of(source, "here")
    if line and answer.cause != "inference tensor":
        assert (answer.places[0].filename, answer.places[0].line) == (str(path), line), str(answer)
    seen = told(source, "seen")
    if seen:
        off = f"{path}:{line_of(source, 'off')}"
        assert any(fact.startswith(seen.replace("{off}", off)[:60]) for fact in answer.seen) or any(
            f":{line_of(source, 'off')}" in fact for fact in answer.seen
        )
    assert answer.change or answer.next

    alone = backwardpass.why_no_grad(*ask)
    graph_causes = {"inference tensor", "no derivative", "does not require grad", "not a leaf"}
    graph_causes |= {"loss without a graph", "not reached", "unknown"}
    assert alone.cause in graph_causes
    if told(source, "needs") == "recording":
        assert alone.cause == "unknown"
        assert "record()" in alone.next
    elif alone.cause not in ("not a leaf", "inference tensor"):
        assert "watch()" in alone.next


def other(name: str, expected: str | None = None) -> dict:
    """Run one of the scripts whose symptom is another than a missing gradient."""
    return run(Path(__file__).with_name("symptoms") / f"{name}.py", expected)


def arrived(seen: backwardpass.BackwardPass) -> list[tuple[str, float]]:
    """Name each node that ran, with the norm of what arrived at it."""
    return [(seen.graph.nodes[step.node].name, step.norms[0]) for step in seen.steps]


def test_the_node_that_makes_a_nan():
    """The last node to receive numbers is the root."""
    (seen,) = other("nan_behind_a_mask")["recording"].passes
    numbers = [name for name, norm in arrived(seen) if math.isfinite(norm)]
    assert numbers[-1] == "SqrtBackward0"
    assert math.isnan(arrived(seen)[-1][1])


def test_a_graph_that_grows():
    """Nodes and bytes rise by the same amount in every step."""
    graphs = [backwardpass.trace(total) for total in other("running_loss_as_tensor")["totals"]]
    sizes = [len(graph.nodes) for graph in graphs]
    held = [graph.memory().activations for graph in graphs]
    assert {later - earlier for earlier, later in pairwise(sizes)} == {5}
    assert len({later - earlier for earlier, later in pairwise(held)}) == 1


@pytest.mark.needs("saved tensors")
def test_the_pass_that_freed_what_a_second_one_needs():
    """The second pass shares operations with the first, which had freed them."""
    space = other("state_carried_on", "a second time")
    first, second = space["recording"].passes
    assert second.error.startswith("Trying to backward through the graph a second time")
    assert (first.error, first.line) == (None, second.line)
    shared = second.graph.match(first.graph)
    freed = {node.index for node in second.graph.nodes if any(s.freed for s in node.saved)}
    assert freed <= set(shared)
    assert {second.graph.nodes[index].kind for index in freed} == {"operation"}
    by_right = [i for i in shared if second.graph.nodes[i].kind == "accumulate"]
    assert len(shared) > len(by_right) == 4


def test_gradients_that_add_up():
    """From the second step on a pass adds to what is there."""
    passes = other("gradients_not_cleared")["recording"].passes
    wrote = [{step.wrote.how for step in seen.steps if step.wrote} for seen in passes]
    assert wrote == [{"created"}, {"added in place"}, {"added in place"}]


def test_the_factor_of_a_step():
    """Each product makes the gradient twice as long."""
    (seen,) = other("exploding_recurrence")["recording"].passes
    norms = [norm for name, norm in arrived(seen) if name == "MmBackward0"]
    assert {later / earlier for earlier, later in pairwise(norms)} == {2.0}


def test_the_mode_shows_in_the_graph():
    """Dropout makes a product in training mode, and nothing in evaluation mode."""
    space = other("dropout_in_evaluation")
    model = space["model"]
    in_training = backwardpass.trace(model.train()(torch.randn(5, 3)).square().mean())
    names = [node.name for node in backwardpass.trace(space["loss"]).nodes]
    assert "MulBackward0" not in names
    assert [node.name for node in in_training.nodes].count("MulBackward0") == 1


def test_a_wrong_rule_shows_its_factor():
    """What goes in and what comes out of the Function differ by two."""
    (seen,) = other("wrong_rule")["recording"].passes
    norms = dict(arrived(seen))
    assert norms["AccumulateGrad"] == 2 * norms["IdentityBackward"]
