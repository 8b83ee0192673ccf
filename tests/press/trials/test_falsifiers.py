"""Walks in the book's falsifiers list a node once, on a graph in which nodes are shared."""

import sys
from pathlib import Path

import pytest
import torch
from press.trials.claims import record, run

FALSIFIERS = Path(__file__).parents[3] / "book/reference/claims/falsifiers"
WALKS = [path.stem for path in sorted(FALSIFIERS.glob("*.py")) if "def behind(" in path.read_text()]


@pytest.fixture
def module(monkeypatch, request):
    """A module of falsifiers, read into a registry of its own."""
    monkeypatch.setattr(record, "CLAIMS", {})
    name = f"falsifiers.{request.param}"
    monkeypatch.setitem(sys.modules, name, None)
    assert run.load([FALSIFIERS / f"{request.param}.py"]) == {}
    return sys.modules[name]


@pytest.mark.parametrize("module", WALKS, indirect=True)
def test_shared_node_is_listed_once(module):
    """Both factors of a product are one node, and the list has it once."""
    y = torch.ones(3, requires_grad=True).exp()
    nodes = module.behind([y * y])
    assert [node.name() for node in nodes] == [
        "MulBackward0", "ExpBackward0", "torch::autograd::AccumulateGrad"
    ]  # fmt: skip


def test_there_are_walks_to_try():
    """Modules of falsifiers that walk graphs are found."""
    assert {"storage", "gradients", "memory"} <= set(WALKS)
