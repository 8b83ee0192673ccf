"""The harness that checks the rules of ``backwardpass.vjps``."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from backwardpass import vjps
from operators.cases import bound, cases, function, opinfos
from operators.check import check

RULES = sorted(vjps.RULES)


def failures(name: str, gradient, dtype: torch.dtype = torch.float64) -> list[tuple]:
    """What the harness says of ``gradient`` in the place of a rule: label, check, argument, error."""
    found = []
    for entry in vjps.RULES[name].entries:
        for case in cases(entry, dtype):
            outcome = check(gradient, function(entry), case, dtype)
            found += [(case.label, *failure) for failure in outcome.failed]
    return found


@pytest.mark.parametrize("path", sorted(Path(vjps.__file__).parent.glob("*.py")), ids=lambda p: p.stem)
def test_rules_do_not_lean_on_autograd(path):
    """No rule names autograd, in whatever spelling."""
    source = path.read_text("utf-8")
    code = "\n".join(line for line in source.splitlines() if not line.startswith(">>>"))
    for word in ("torch.autograd", "torch.func", "requires_grad", "backward(", "grad_fn", "jvp("):
        if path.stem != "__init__":
            assert word not in code, f"{path.name} names {word}"


def test_importing_the_package_imports_no_rule():
    """``import backwardpass`` stays light."""
    code = "import backwardpass, sys; assert 'backwardpass.vjps' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_falsified_rule_is_named_with_sample_argument_and_error():
    """A factor in one gradient of a rule is told where it stands, and of which argument."""

    def falsified(g, y, input, other):
        grads = vjps.RULES["mul"].gradient(g, y, input, other)
        return {**grads, "other": 1.001 * grads["other"]}

    first = failures("mul", falsified)[0]
    assert first[:3] == ("sample 0", "autograd", "other")
    assert "relative error 0.001" in first[3]


def test_a_rule_has_the_signature_of_its_function():
    """Every sample of PyTorch can be bound to the rule that answers for it."""
    for rule in vjps.RULES.values():
        for entry in rule.entries:
            assert entry in opinfos()
            case = next(cases(entry, torch.float64))
            assert bound(rule.gradient, case.args, case.kwargs).arguments
