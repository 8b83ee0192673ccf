r"""
What each check finds
=====================

A backward rule can be checked in four ways that cost very different amounts. A difference along one
direction costs two evaluations; ``gradcheck`` builds two whole Jacobians and compares every entry;
its fast mode compares one number; ``gradgradcheck`` differentiates the rule itself. Here each runs
on one right rule and on six wrong ones, its evaluations are counted, and a table shows which wrong
rules it lets pass. Look at the last row: one rule is wrong, and its gradient is right.
"""

# %%
# A function and its rule
# -----------------------
# :math:`y = A \sin x` with a square matrix that is not symmetric, so that a forgotten transpose has
# the right shape. With :math:`J = A\,\mathrm{diag}(\cos x)`,
#
# .. math:: \bar{x} = u^\top J = \cos x \odot A^\top u .

import warnings

import torch
from torch.autograd import gradcheck, gradgradcheck

torch.manual_seed(3)
torch.set_default_dtype(torch.float64)
A = torch.randn(5, 5)
x = torch.randn(5, requires_grad=True)
u = torch.randn(5)
dx = torch.cos(x.detach()) * (A.T @ u)
(x_grad,) = torch.autograd.grad(A @ torch.sin(x), x, u)
torch.testing.assert_close({"x": dx}, {"x": x_grad})  # by hand, autograd
print("by hand", dx)

# %%
# Seven rules
# -----------
# The first is right. Five have one mistake each. The last computes the cosine in the forward pass
# and saves it as a plain number, which no derivative flows through.

rules = {
    "right": lambda x, u, c: torch.cos(x) * (A.T @ u),
    "transpose missing": lambda x, u, c: torch.cos(x) * (A @ u),
    "sine for cosine": lambda x, u, c: torch.sin(x) * (A.T @ u),
    "sign": lambda x, u, c: -torch.cos(x) * (A.T @ u),
    "one per cent too much": lambda x, u, c: 1.01 * torch.cos(x) * (A.T @ u),
    "last entry dropped": lambda x, u, c: torch.cos(x) * (A.T @ u) * (x != x[-1]),
    "cosine saved as a constant": lambda x, u, c: c * (A.T @ u),
}
print(len(rules), "rules")

# %%
# One Function, the rule to choose
# --------------------------------
# Forward and backward runs are counted, whoever asks for them.

runs = {"forward": 0, "backward": 0}


class Layer(torch.autograd.Function):
    """A sin(x), with the backward rule that is handed in."""

    @staticmethod
    def forward(ctx, x, rule):
        runs["forward"] += 1
        ctx.rule = rule
        ctx.save_for_backward(x, torch.cos(x))
        return A @ torch.sin(x)

    @staticmethod
    def backward(ctx, u):
        runs["backward"] += 1
        x, cosine = ctx.saved_tensors
        return ctx.rule(x, u, cosine.detach()), None


def layer(rule):
    return lambda x: Layer.apply(x, rule)


print("right rule:", Layer.apply(x, rules["right"]).shape)

# %%
# The directional check
# ---------------------
# The rule's answer is a vector; its product with a direction :math:`v` is one number, and a central
# difference along :math:`v` is that number without the rule:
#
# .. math:: \langle \bar{x}, v \rangle \approx
#           \left\langle u, \frac{f(x + hv) - f(x - hv)}{2h} \right\rangle .


def directional(f, x, h=1e-5):
    """Does one backward pass agree with one difference quotient along a random direction?"""
    generator = torch.Generator().manual_seed(0)
    u, v = torch.randn(5, generator=generator), torch.randn(5, generator=generator)
    (x_bar,) = torch.autograd.grad(f(x), x, u)
    with torch.no_grad():
        difference = (f(x + h * v) - f(x - h * v)) / (2 * h)
    return bool((x_bar @ v - u @ difference).abs() <= 1e-8 + 1e-6 * (u @ difference).abs())


print("right rule:", directional(layer(rules["right"]), x))

# %%
# Four checks, seven rules
# ------------------------
# Each check reads the rule it is given, and either finds a mistake or lets the rule pass.

checks = {
    "directional": directional,
    "fast": lambda f, x: gradcheck(f, x, fast_mode=True, raise_exception=False),
    "gradcheck": lambda f, x: gradcheck(f, x, raise_exception=False),
    "gradgradcheck": lambda f, x: gradgradcheck(f, x, raise_exception=False),
}
widths = {name: max(len(name), len("passes")) for name in checks}
print(f"{'':26}", *(name.ljust(width) for name, width in widths.items()), sep="  ")
passed = {}
for rule_name, rule in rules.items():
    for name, check in checks.items():
        passed[rule_name, name] = check(layer(rule), x)
    marks = {name: "passes" if passed[rule_name, name] else "found" for name in checks}
    print(f"{rule_name:26}", *(marks[name].ljust(widths[name]) for name in checks), sep="  ")
    assert passed[rule_name, "directional"] == passed[rule_name, "fast"]
    assert passed[rule_name, "directional"] == passed[rule_name, "gradcheck"]
found = {name: [rule for rule in rules if not passed[rule, name]] for name in checks}
assert len(found["gradcheck"]) == 5
assert found["gradgradcheck"] == ["cosine saved as a constant"]

# %%
# What the table says
# -------------------
# The three first-order checks agree about every rule. ``gradgradcheck`` asks another question: is
# the derivative of the rule the derivative of what the rule returns? A rule that is wrong by a
# factor may be differentiated perfectly, and a right one may not.

first_order = ("directional", "fast", "gradcheck")
for rule_name in rules:
    expected = rule_name in ("right", "cosine saved as a constant")
    assert all(passed[rule_name, name] == expected for name in first_order)
assert passed["right", "gradgradcheck"]
assert passed["sign", "gradgradcheck"]
assert not passed["cosine saved as a constant", "gradgradcheck"]
print("sign wrong, gradgradcheck passes:", passed["sign", "gradgradcheck"])
print("constant saved, gradcheck passes:", passed["cosine saved as a constant", "gradcheck"])

# %%
# The second derivative that is wrong
# -----------------------------------
# For :math:`L = \langle u, A \sin x \rangle` the second derivative is diagonal,
# :math:`-\sin x \odot A^\top u`. Through the saved constant it comes out as zero, and in silence.

ones = torch.ones(5)
ddx = -torch.sin(x.detach()) * (A.T @ u)
second = {}
for name in ("right", "cosine saved as a constant"):
    (first,) = torch.autograd.grad(Layer.apply(x, rules[name]), x, u, create_graph=True)
    connected = first + 0 * x  # keeps a path to x where the rule has none
    (second[name],) = torch.autograd.grad(connected, x, ones)
    print(f"{name:28}{second[name].tolist()[:2]}")
torch.testing.assert_close({"second": ddx}, {"second": second["right"]})  # by hand, autograd
torch.testing.assert_close(second["cosine saved as a constant"], torch.zeros(5))

# %%
# What each check costs
# ---------------------
# Counted on the right rule, with five inputs and five outputs. ``gradcheck`` runs its backward
# passes twice, to see whether they give the same bits, and two more with undefined gradients.

for name, check in checks.items():
    runs.update(forward=0, backward=0)
    assert check(layer(rules["right"]), x)
    print(f"{name:14} forward {runs['forward']:2}, backward {runs['backward']:2}")
    if name == "directional":
        assert runs == {"forward": 3, "backward": 1}

# %%
# In float32
# ----------
# A right rule fails in ``float32``: the default step of :math:`10^{-6}` is far to the left of the
# valley for that precision. PyTorch warns, and goes on. A larger step and looser tolerances let the
# rule pass, and mistakes of that size with it.

x32 = torch.randn(5, dtype=torch.float32, requires_grad=True)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    cube = gradcheck(lambda x: x**3, x32, raise_exception=False)
    loose = gradcheck(lambda x: x**3, x32, eps=1e-2, atol=1e-2, raise_exception=False)
assert (cube, loose) == (False, True)
print("x**3 in float32:", cube, " with eps=1e-2, atol=1e-2:", loose)
print(str(caught[0].message).strip().replace(". ", ".\n"))

# %%
# What was seen
# -------------
# One number along a random direction found every mistake that a whole Jacobian finds, for two
# evaluations more than the pass itself. No first-order check sees that a second derivative is
# wrong.
