"""The harness that checks the rules of ``backwardpass.vjps``, and the pages made from it."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from press.show import operator_pages, operators
from press.trials.operators import summary
from press.trials.operators.cases import KNOWN, WRONG, bound, case, cases, function, opinfos
from press.trials.operators.check import check
from sphinx.errors import ExtensionError

from backwardpass import vjps

# Forward mode compiles formulas of PyTorch's own when it is first used.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")

RULES = Path(vjps.__file__).parent


def failures(name: str, gradient, dtype: torch.dtype = torch.float64) -> list[tuple]:
    """What the harness says of ``gradient`` in place of a rule: case, check, argument, error."""
    found = []
    for entry in vjps.RULES[name].entries:
        for made in cases(entry, dtype):
            outcome = check(gradient, function(entry), made, dtype)
            found += [(made.label, *failure) for failure in outcome.failed]
    return found


@pytest.mark.parametrize("path", sorted(RULES.glob("*.py")), ids=lambda path: path.stem)
def test_rules_do_not_lean_on_autograd(path):
    """No rule names autograd, in whatever spelling."""
    code = re.sub(r'^("""|>>>).*', "", path.read_text("utf-8"), flags=re.MULTILINE)
    if path.stem == "__init__":  # its example compares with autograd
        code = code[code.index("from importlib") :]
    for word in ("torch.autograd", "torch.func", "requires_grad", ".backward(", "grad_fn", "vjp("):
        assert word not in code, f"{path.name} names {word}"


def test_importing_the_package_imports_no_rule():
    """``import backwardpass`` stays light."""
    code = "import backwardpass, sys; assert 'backwardpass.vjps' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_rules_run_where_autograd_records_nothing():
    """A rule that asks autograd for its gradient fails."""

    def leaning(g, y, input):
        x = input.requires_grad_()
        return {"input": torch.autograd.grad(x.exp(), x, g)[0]}

    assert any("does not require grad" in error for *_, error in failures("exp", leaning))


@pytest.mark.parametrize(
    ("argument", "factor", "check_name"), [("input", 1.001, "autograd"), ("other", -1, "autograd")]
)
def test_a_falsified_rule_is_named_with_case_argument_and_error(argument, factor, check_name):
    """A factor in one gradient of a rule is told where it stands, and of which argument."""

    def falsified(g, y, input, other):
        grads = vjps.RULES["mul"].gradient(g, y, input, other)
        return {**grads, argument: factor * grads[argument]}

    label, made, named, error = failures("mul", falsified)[0]
    assert (label, made, named) == ("sample 0", check_name, argument)
    assert f"relative error {abs(factor - 1):.3g}" in error


@pytest.mark.parametrize("wrong", [None, "shape", "dtype"])
def test_a_gradient_that_cannot_be_compared_fails(wrong):
    """A gradient that is missing, of another shape or dtype never counts as compared."""

    def other(g, y, input):
        right = g * y
        return {"input": {None: None, "shape": right[None], "dtype": right.float()}[wrong]}

    made = case("any", torch.rand(3, dtype=torch.float64))
    outcome = check(other, torch.exp, made, torch.float64)
    assert [failure[:2] for failure in outcome.failed] == [("autograd", "input")]


def test_the_independent_checks_see_what_autograd_has_wrong():
    """A function whose backward is wrong agrees with its own rule, and with nothing else."""

    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return 2 * x

        @staticmethod
        def backward(ctx, g):
            return 3 * g

    made = case("any", torch.rand(3, dtype=torch.float64))
    made = replace(made, skipped={"forward": "the function has none"})
    outcome = check(lambda g, y, x: {"x": 3 * g}, Wrong.apply, made, torch.float64)
    assert [failure[0] for failure in outcome.failed] == ["finite"]


def test_empty_and_zero_gradients_are_told_apart():
    """What has no entries, or only zeros, is no evidence."""
    kinds = []
    for x in (torch.zeros(0), torch.ones(3)):
        made = case("any", x.double())
        kinds.append(check(lambda g, y, x: {"x": 0 * x}, torch.floor, made, torch.float64).trivial)
    assert kinds == ["empty", "zero"]


def test_a_disagreement_that_is_gone_fails():
    """A case that is said to disagree with forward mode has to."""
    made = case("any", torch.rand(3, dtype=torch.float64)).disagrees(forward="so it is said")
    outcome = check(vjps.RULES["exp"].gradient, torch.exp, made, torch.float64)
    assert outcome.failed == [("forward", "all", "agrees, and is said not to: so it is said")]


def test_forward_mode_of_cholesky_inverse_is_wrong():
    """The one formula of PyTorch's found wrong: finite differences and the product rule agree."""
    assert KNOWN["cholesky_inverse", torch.float64]["forward"][1] == WRONG
    torch.manual_seed(0)
    eye = torch.eye(3, dtype=torch.float64)
    L = torch.randn(3, 3, dtype=torch.float64).tril() + 3 * eye
    v = torch.randn(3, 3, dtype=torch.float64).tril()
    with torch.autograd.forward_ad.dual_level():
        dual = torch.cholesky_inverse(torch.autograd.forward_ad.make_dual(L, v))
        forward = torch.autograd.forward_ad.unpack_dual(dual).tangent
    inverse = torch.linalg.inv(L @ L.mT)
    right = -inverse @ (v @ L.mT + L @ v.mT) @ inverse
    differences = (
        torch.cholesky_inverse(L + 1e-6 * v) - torch.cholesky_inverse(L - 1e-6 * v)
    ) / 2e-6
    torch.testing.assert_close(differences, right)
    assert (forward - right).abs().max() > 0.01


def test_a_rule_has_the_signature_of_its_function():
    """Every rule can be called as its function is, and answers for operators that exist."""
    for rule in vjps.RULES.values():
        for entry in rule.entries:
            assert entry in opinfos()
            dtype = next(t for t in (torch.float64, torch.complex128) if t in _backward(entry))
            made = next(cases(entry, dtype))
            assert bound(rule.gradient, made.args, made.kwargs).arguments


def _backward(entry: str) -> set[torch.dtype]:
    return opinfos()[entry].supported_backward_dtypes("cpu")


def test_the_modules_of_a_rule_call_its_function():
    """A class of torch.nn stands in a row because it computes the function of the row."""
    for rule in vjps.RULES.values():
        names = {entry.split(".")[-1] for entry in rule.entries} | {rule.name}
        names |= {entry.removeprefix("nn.functional.").split(".")[0] for entry in rule.entries}
        names |= {"hardtanh"} if rule.name == "relu6" else set()  # ReLU6 is a Hardtanh
        for module in rule.modules:
            owner = getattr(torch.nn, module)
            source = "".join(map(_source, owner.__mro__))
            assert any(re.search(rf"(F|torch|input)\.{re.escape(n)}\(", source) for n in names), (
                module
            )


def _source(owner: type) -> str:
    from inspect import getsource

    return getsource(owner) if owner.__module__.startswith("torch.nn.modules") else ""


def test_a_page_with_one_rule_needs_its_family_alone(tmp_path):
    """A chapter that shows a rule has one family checked; the overview, all of them."""
    pages = {
        "rule": "```{operator-rule} layer_norm\n```\n",
        "two": "```{operator-rule} softmax\n```\n\n```{operator-rule} linear\n```\n",
        "overview": "```{operator-overview}\n```\n",
        "none": "No directive.\n",
    }
    for name, text in pages.items():
        (tmp_path / f"{name}.md").write_text(text)
    needed = {name: operators.needed([tmp_path / f"{name}.md"]) for name in pages}
    assert needed == {
        "rule": {"normalisation"}, "two": {"losses", "products"}, "overview": {"all"}, "none": None,
    }  # fmt: skip


def test_the_family_of_every_rule_is_read_from_the_sources():
    """Without importing a rule, and so without torch."""
    assert {name: operators.family_of(name) for name in vjps.RULES} == {
        name: rule.family for name, rule in vjps.RULES.items()
    }


def test_a_page_that_names_no_rule_is_told(tmp_path):
    """The page and the name stand in the message."""
    page = tmp_path / "page.md"
    page.write_text("```{operator-rule} layernorm\n```\n")
    with pytest.raises(ExtensionError, match=r"page\.md: operator-rule layernorm: there is"):
        operators.needed([page])


def test_a_rule_is_registered_once():
    """An operator that has a rule cannot get another."""
    with pytest.raises(ValueError, match="exp has a rule already, exp; an operator is registered"):
        vjps.rule("exp", latex="", saved="")(lambda g, y, input: {})


def test_many_failures_are_told_in_few_sentences():
    """A change that breaks many rules is not a wall of text."""
    failed = [[f"rule {k % 40}", "e", "sample 0", "autograd", "x", "error"] for k in range(400)]
    told = list(operator_pages.complaints({"failures": failed, "changes": ["something moved"]}))
    assert len(told) == operator_pages.SHOWN_FAILURES + 2
    assert told[-2].startswith("400 failures in all; also of the rules rule 10, rule 11")
    assert (
        told[-1]
        == "something moved; look at it, then run python -m press.trials.operators.run --summary"
    )


def test_a_new_torch_tells_which_samples_and_results_changed():
    """The kept summary and a new one are compared in sentences."""
    before = summary.read()
    now = {"torch": "9.9", "rows": {entry: dict(row) for entry, row in before["rows"].items()}}
    now["rows"]["exp float64"]["digest"] = "another"
    now["rows"]["log float64"]["compared"] += 1
    del now["rows"]["sin float64"]
    first, second, third = summary.changes(before, now)
    assert first.startswith("PyTorch 9.9 has other samples than 2.13.0 for exp float64 (")
    assert re.search(r"other results than before: log float64 \(compared \d+, now \d+\)$", second)
    assert third == "PyTorch 9.9 has nothing under the names sin float64"
