"""Every operator that PyTorch differentiates has a rule, or the reason why it has none."""

import pytest
import torch
from press.trials.operators import coverage

from backwardpass import vjps
from backwardpass.vjps._chain import chained


def test_every_operator_has_a_rule_or_a_reason():
    """None is left out in silence, and no reason outlives its operator."""
    names, ruled = coverage.differentiable(), coverage.covered()
    assert coverage.gaps(names, ruled, coverage.WITHOUT) == []
    assert len(ruled & set(names)) >= 540


def test_an_operator_without_a_rule_is_named():
    """A new operator, or a rule that is gone, is told by its name."""
    names, ruled = coverage.differentiable(), coverage.covered()
    told = coverage.gaps([*names, "brand_new"], ruled - {"cdist"}, coverage.WITHOUT)
    assert told == [
        "cdist has neither a rule nor a reason why not",
        "brand_new has neither a rule nor a reason why not",
    ]


def test_a_chain_goes_back_through_the_rules_of_its_steps():
    """Two ways to one tensor are summed, and what a step does not reach gets zeros."""
    x, w = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0])
    grads = chained(torch.ones(2), lambda x, w: x * x + x.detach() * 5, x=x, w=w)
    torch.testing.assert_close(grads, {"x": 2 * x, "w": torch.zeros(2)})


def test_a_chain_keeps_an_argument_apart_from_a_step_that_returns_it():
    """A step that returns its argument is no step, and does not count twice."""
    x = torch.tensor([1.0, 2.0])
    grads = chained(torch.ones(2), lambda x: x.contiguous() * 3, x=x)
    torch.testing.assert_close(grads["x"], torch.full((2,), 3.0))


def test_a_chain_names_a_step_without_a_rule():
    """It does not pass over it as over a constant."""
    with pytest.raises(NotImplementedError, match="__rpow__ has no rule"):
        chained(torch.ones(2), lambda x: 2**x, x=torch.zeros(2))


@pytest.mark.parametrize("step", [lambda x: x.sin_(), lambda x: x.__setitem__(0, 2.0)])
def test_a_chain_refuses_a_step_in_place(step):
    """What a tensor was before is what rules ask for."""
    with pytest.raises(NotImplementedError, match="changes its argument"):
        chained(torch.ones(2), step, x=torch.zeros(2))


def test_a_chain_uses_the_rule_that_stands_in_the_registry(monkeypatch):
    """A wrong rule of a step makes a wrong chain: reductions check the rules they lean on."""
    from backwardpass.vjps import _chain

    wrong = vjps.rule("nothing", name="nothing", latex="", saved="")(
        lambda g, y, input: {"input": 7 * g}
    )
    rule = vjps.RULES.pop("nothing")
    assert rule.gradient is wrong
    monkeypatch.setattr(_chain, "_by_name", lambda: {"sin": rule})
    assert chained(torch.ones(1), lambda x: x.sin(), x=torch.ones(1))["x"].item() == 7
