"""Training scripts with one mistake each: the answer names the mistake, and the very line.

A script says in comments what is to be found: `# cause:` the cause, `# here` on the line, `# needs:
recording` where a watched forward pass cannot tell, `# raises:` what its last line raises.
"""

import re
from contextlib import nullcontext
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


def run(path: Path) -> dict:
    """Run a script, watched and recorded, and give its variables."""
    source = path.read_text("utf-8")
    space = {"__name__": "__main__"}
    before = torch.is_grad_enabled()
    expected = told(source, "raises")
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
