"""Nodes of a graph are matched with the rules of the operator reference."""

import pytest
import torch
from press.show import node_rules

from backwardpass import vjps

A, B = torch.rand(3, 4, requires_grad=True), torch.rand(4, 2, requires_grad=True)


def test_registry_is_read_as_it_runs():
    """Each rule is found in the source, with its name, formula and family."""
    read = {rule.name: (rule.latex, rule.family) for rule in node_rules.read()}
    assert read == {name: (rule.latex, rule.family) for name, rule in vjps.RULES.items()}


@pytest.mark.parametrize(
    ("result", "rule"),
    [
        (A @ B, "mm"),
        (torch.addmm(torch.rand(2), A, B), "addmm"),
        (A / 3, "div"),
        (A**2, "pow"),
        (2 - A, "rsub"),
        (A.T, "permute"),
        (A.t(), "t"),
        (A.sum(0), "sum"),
        (A.view(4, 3), "reshape, view"),
        (torch.nn.functional.layer_norm(A, (4,)), "layer_norm"),
        (torch.nn.functional.mse_loss(A, torch.rand(3, 4)), "mse_loss"),
        (A.softmax(0), "softmax"),
        (torch.linalg.vector_norm(A), "linalg.vector_norm"),
        (A.max(), "max, min"),
        (A.max(0).values, "max, min with dim"),
        (A.double(), "to"),
        (A[0:1, [1]], "x[key]"),
        (torch.transpose_copy(A, 0, 1), "transpose"),
        (torch.nn.functional.max_pool2d(A[None, None], 2), "max_pool2d"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_node_finds_its_rule(result, rule):
    """The name of a node that PyTorch records leads to the rule of its operation."""
    assert node_rules.rule_of(result.grad_fn.name()).name == rule


@pytest.mark.parametrize("name", ["MulBackward", "ConvolutionBackward0", "AccumulateGrad", "Mul"])
def test_node_without_a_rule(name):
    """A script's own function, a name that several rules share, and a leaf's node have none."""
    assert node_rules.rule_of(name) is None


def test_every_node_that_is_told_has_a_rule():
    """No line of the table leads to an operator without a rule, or to several."""
    known = [name for rule in node_rules.read() for name in rule.names]
    told = {**node_rules.NODES, **node_rules.OTHER_NAMES}
    assert [node for node, entry in told.items() if known.count(entry) != 1] == []
