"""What is written for one small graph, compared with files; REFRESH=1 writes them again."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import torch

import backwardpass
from backwardpass.data import codec

GOLDEN = Path(__file__).with_name("golden")


class Scale(torch.autograd.Function):
    """A Python function that saves what it was given."""

    @staticmethod
    def forward(ctx, x, scale):
        ctx.save_for_backward(scale)
        return scale * x

    @staticmethod
    def backward(ctx, u):
        (scale,) = ctx.saved_tensors
        return scale * u, None


def rounded(data: Any) -> Any:
    """Leave of every number what all processors agree on."""
    if isinstance(data, dict):
        return {key: rounded(value) for key, value in data.items()}
    if isinstance(data, list):
        return [rounded(value) for value in data]
    return float(f"{data:.4g}") if isinstance(data, float) else data


def written() -> dict[str, str]:
    """Write one graph and its backward pass in every way there is."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2))
    with torch.no_grad():
        for number, parameter in enumerate(model.parameters(), start=1):
            parameter.fill_(number / 4)
    x, scale = torch.full((5, 3), 0.5), torch.tensor([2.0, 4.0])
    with backwardpass.modules(model):
        y = Scale.apply(model(x), scale)
    first, _ = y.split([1, 4])
    loss = (first - y[0]).sum() + y.relu_().mean()
    names = {"model": model, "x": x, "y": y, "loss": loss, "scale": scale}
    graph = backwardpass.trace(loss, names)
    with backwardpass.record(names, values=True) as recording:
        loss.backward()
    (seen,) = recording.passes
    steps = rounded(seen.as_dict() | {"filename": "", "line": 0, "graph": None})
    return {
        "graph.dot": graph.to_dot(),
        "graph.json": json.dumps(graph.as_dict(), indent=1),
        "memory.md": graph.memory().to_markdown(),
        "memory.txt": graph.memory().to_text(),
        "pass.json": json.dumps(steps, indent=1, allow_nan=False),
        "table.html": graph.table(seen).to_html("Shapes"),
        "table.md": graph.table(seen).to_markdown(),
        "table.txt": graph.table(seen).to_text(),
        "tree.txt": graph.to_text(),
        "tree_folded.txt": graph.to_text(max_nodes=9),
    }


@pytest.mark.needs("saved tensors")
@pytest.mark.parametrize(
    "name",
    [
        "graph.dot",
        "graph.json",
        "memory.md",
        "memory.txt",
        "pass.json",
        "table.html",
        "table.md",
        "table.txt",
        "tree.txt",
        "tree_folded.txt",
    ],
)
def test_what_is_written_is_what_was_written_before(name):
    """The same bytes as in the file of that name."""
    text = written()[name] + "\n"
    path = GOLDEN / name
    if os.environ.get("REFRESH"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
    assert path.read_text("utf-8") == text, "if it should differ: REFRESH=1 pytest this file"


def keys_of(data: Any) -> set[str]:
    """Collect every key of dictionaries inside dictionaries and lists."""
    if isinstance(data, list):
        return set().union(*map(keys_of, data)) if data else set()
    if not isinstance(data, dict):
        return set()
    return set(data) | keys_of(list(data.values()))


def test_the_format_is_what_its_description_says():
    """Every key that is written is described, and every key that is described is written."""
    described = codec.__doc__.partition("A complex number")[0]
    named = set(re.findall(r"``(\w+)``", described))
    files = [json.loads((GOLDEN / name).read_text("utf-8")) for name in ("graph.json", "pass.json")]
    assert keys_of(files) == named
