"""Wrong rules that the cases have to refute: written by somebody who did not write the cases."""

import inspect
from pathlib import Path

import pytest
import torch
from press.trials.mutants import fork
from press.trials.mutants.mutants import Outcome
from press.trials.operators import mutation
from press.trials.operators.cases import case, cases, function
from press.trials.operators.check import Check, check

from backwardpass import vjps

pytestmark = [
    pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore"),
]

# Module, rule, what stands there and what is put in its place.
WRONG = [
    ("activations", "relu", "input <= 0, 0, g", "input <= 1e-12, 0, g"),
    ("activations", "relu", "torch.where(input <= 0, 0, g)", "g * (input > 0)"),
    ("activations", "leaky_relu", "input > 0, g, negative_slope", "y > 0, g, negative_slope"),
    ("activations", "hardtanh", "(input <= min_val) |", "((input <= min_val) & (input > -1e6)) |"),
    ("activations", "prelu", "torch.where(input > 0, 0, g * input)",
     "torch.where(input > 0, 0, g * input.clamp(min=-50))"),
    ("activations", "celu", "(input / alpha).exp()", "(input / abs(alpha)).exp()"),
    ("activations", "elu", "g * alpha * input.exp()", "g * (alpha or 1.0) * input.exp()"),
    ("functions", "acosh", "((input - 1).rsqrt() * (input + 1).rsqrt())", "(input**2 - 1).rsqrt()"),
    ("functions", "sinc", "input == 0, 0", "input.abs() < 1e-3, 0"),
    ("functions", "acos", "-g * (1 - input**2).rsqrt()",
     "-g * ((1 - input**2).rsqrt() * torch.where(input.isreal() & (input == 1), -1, 1))"),
    ("functions", "sqrt", "g / (2 * y).conj()", "g / torch.where(y == 0, -y, 2 * y).conj()"),
    ("arithmetic", "mul", "onto(g * conj(other), input)",
     "onto(g * (conj(other) if isinstance(other, torch.Tensor) else other), input)"),
    ("arithmetic", "mul", "onto(g * conj(other), input)",
     "onto(g * (other if g.ndim == 4 else conj(other)), input)"),
    ("arithmetic", "logaddexp2", "g / (1 + (other - input).exp2()), input",
     "g * 2**input / (2**input + 2**other), input"),
    ("arithmetic", "pow", "(x == 0) & (p.real >= 0)", "(x == 0)"),
    ("scans", "logcumsumexp", "torch.where(earlier, slopes * g.unsqueeze(-2), 0)",
     "slopes * g.unsqueeze(-2) * earlier"),
    ("reductions", "kthvalue",
     "def kthvalue(g, y, input, k, dim=-1, keepdim=False):\n"
     "    return {\"input\": _at_index(g, y, input, dim, keepdim)}",
     "def kthvalue(g, y, input, k, dim=-1, keepdim=False):\n"
     "    v = spread(y[0], input, dim, keepdim)\n"
     "    first = (input == v).to(torch.int8).argmax(dim, keepdim=True) if input.ndim else y[1]\n"
     "    return {\"input\": put(spread(g[0], input, dim, keepdim), dim, first, input)}"),
    ("reductions", "nansum", "input.isnan(), 0", "~input.isfinite(), 0"),
    ("reductions", "nanmean", "kept.sum(axes(input, dim), keepdim=True)",
     "kept.sum(axes(input, dim), keepdim=True).clamp_min(1)"),
    ("reductions", "amax, amin", "winners = x == spread(y, x, dim, keepdim)",
     "winners = (x - spread(y, x, dim, keepdim)).abs() <= 1e-9"),
    ("reductions", "std_mean", "s == 0, 0", "s < 1e-12, 0"),
    ("losses", "cross_entropy", "label_smoothing / number", "min(label_smoothing, 0.9) / number"),
    ("losses", "smooth_l1_loss", "d / beta if beta else d", "d / max(beta, 1e-3) if beta else d"),
    ("losses", "mse_loss", "reduction, weight, d**2", "reduction, weight.abs(), d**2"),
    ("losses", "kl_div", "input.shape[0] if", "shape[0] if"),
    ("losses", "mse_loss", "if size_average is None and reduce is None:", "if True:"),
    ("losses", "nll_loss", "each = torch.where(kept, each, 0)", "each = each * kept"),
    ("products", "einsum", "if c not in equation]", "]"),
    ("products", "cross", "dim = y.shape.index(3)", "dim = -1"),
    ("indexing", "index_put", "onto(g[tuple(indices)], values)",
     "(g[tuple(indices)] if values.ndim == 0 and accumulate else onto(g[tuple(indices)], values))"),
    ("indexing", "embedding", "index.bincount(minlength=len(weight))",
     "index.bincount(minlength=len(weight)).clamp_max(3)"),
    ("indexing", "index_add", "conj(alpha) * picked", "alpha * picked"),
    ("piecewise", "where", "torch.where(condition, g, 0)", "g * condition"),
    ("piecewise", "fmin", "(input <= other) | other.isnan()",
     "(input <= other) | (other.isnan() & ~input.isnan())"),
    ("piecewise", "fmod", "-g * quotient, other", "-g * input / other, other"),
    ("arithmetic", "hypot", "g * (input / y), input",
     "g * (input / (input**2 + other**2).sqrt()), input"),
    ("solving", "linalg.det", "(U * product_of_others(S, -1).unsqueeze(-2)) @ Vh",
     "(torch.linalg.det(A).abs()[..., None, None]"
     " * (U / S.clamp_min(1e-300).unsqueeze(-2)) @ Vh)"),
    ("pooling", "avg_pool2d", "matrix.to(g.dtype)", "matrix"),
    ("normalisation", "rms_norm", "x, g = wide(input), wide(g)", "x, g = input, g"),
]  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread():
    """A child has none of its parent's threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("module", "rule", "right", "wrong"), WRONG, ids=[f"{w[1]}: {w[3][:50]}" for w in WRONG]
)
def test_a_wrong_rule_is_refuted(module, rule, right, wrong):
    """A threshold moved, a clamp added, a conjugate or an option lost: some case notices."""
    source = (Path(vjps.__file__).parent / f"{module}.py").read_text("utf-8")
    assert right in source, "the text to change is not there"
    changed = source.replace(right, wrong)
    compile(changed, module, "exec")
    judges = {rule: mutation.prepared(rule)}
    outcome = fork.outcome_of(lambda: mutation.judged(module, changed, [rule], judges), 60)
    assert outcome in (Outcome.COMPARISON, Outcome.RAISED)


@pytest.mark.parametrize(
    "name", ["exp", "mul", "softmax", "cat", "linalg.solve", "conv1d, conv2d, conv3d"]
)
@pytest.mark.parametrize("what", ["its cotangent", "the result", "the argument"])
def test_a_rule_that_writes_to_what_it_is_given_fails(name, what):
    """Whatever it returns, and whether it writes to the cotangent, the result or an argument."""
    rule = vjps.RULES[name]

    def writing(g, y, *args, **kwargs):
        found = rule.gradient(g, y, *args, **kwargs)
        tensors = args[0] if isinstance(args[0], list | tuple) else args[:1]
        target = {"its cotangent": g, "the result": y, "the argument": tensors[0]}[what]
        target.data.fill_(123)
        return found

    writing.__signature__ = inspect.signature(rule.gradient)
    entry = rule.entries[0]
    made = next(c for c in cases(entry, torch.float64) if all(n for n in mutation._sizes(c)))
    outcome = check(writing, function(entry), made, torch.float64)
    assert f"the rule writes to {what}" in outcome.failed[0][-1]


def test_a_rule_that_returns_too_much_fails():
    """A gradient of what is no argument is named."""
    made = case("any", torch.rand(3, dtype=torch.float64))
    outcome = check(lambda g, y, x: {"x": g * y, "z": g}, torch.exp, made, torch.float64)
    assert outcome.failed[0][-1] == "the rule returns a gradient of z, which was not given"


def test_the_sign_of_an_infinity_is_compared():
    """∞ where autograd has -∞ is no agreement."""
    made = Check(
        lambda g, y, x: {"x": (g / (2 * y)).abs()},
        torch.sqrt,
        case("at 0", torch.zeros(4, dtype=torch.float64)),
        torch.float64,
    )
    assert made.ask_autograd()
    assert made.compare().failed[0][-1] == "an infinity of the other sign"


@pytest.mark.parametrize("at", [64])
def test_nan_in_hardtanh_depends_on_its_place(at):
    """What the rules say of NaN: alone it passes the cotangent on; among many it may not."""
    for name in ("hardtanh", "relu6", "softshrink", "hardshrink"):
        found = []
        for number in (1, at):
            x = torch.full((number,), torch.nan, dtype=torch.float64, requires_grad=True)
            getattr(torch.nn.functional, name)(x).sum().backward()
            found.append(set(x.grad.tolist()))
        assert found[0] == {1.0}
        assert found[1] <= {0.0, 1.0}
