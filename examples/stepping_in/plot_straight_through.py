r"""
A derivative that is not the derivative
=======================================

Rounding has the slope 0 almost everywhere, so nothing in front of it can be trained. The
straight-through estimator keeps the rounded value and pretends that the slope is 1. It can be
written as a :class:`torch.autograd.Function` or, without one, as a sum with a detached part; both
give the same gradients, and a numerical check has to fail on either. Before that: a rectifier of
one's own, whose slope at zero is a choice too. Look at the plot, where weights limited to quarters
learn with the estimator and stay where they are without it.
"""

# %%
# The slope at zero is chosen
# ---------------------------
# At 0 a rectifier has no derivative, and a rule says what stands in for it. This one says 0, as
# PyTorch's own does. One that is often shown zeroes the gradient where the input is negative,
# which leaves 1 at 0; two parts of a program should agree.

import matplotlib.pyplot as plt
import torch
from torch.autograd import Function, gradcheck, gradgradcheck


class Relu(Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x):
        return x.clamp(min=0)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, u):
        (x,) = ctx.saved_tensors
        return torch.where(x > 0, u, 0.0)


# %%
# The other choice
# ----------------
# The same function with the rule that is often shown.


class ReluWithMask(Relu):
    @staticmethod
    def backward(ctx, u):
        (x,) = ctx.saved_tensors
        u = u.clone()
        u[x < 0] = 0
        return u


# %%
# Five rectifiers at -1, 0 and 1
# ------------------------------
# By hand: 0 and 1 at the sides, and at 0 what the rule says. That of ``clamp`` has changed with
# PyTorch 2.14.

of_clamp = 1.0 if torch.__version__ < (2, 14) else 0.0
x = torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64, requires_grad=True)
rectifiers = {
    "torch.relu": (torch.relu, 0.0),
    "torch.where(x > 0, ...)": (Relu.apply, 0.0),
    "u[x < 0] = 0": (ReluWithMask.apply, 1.0),
    "x.clamp(min=0)": (lambda x: x.clamp(min=0), of_clamp),
    "torch.maximum(x, 0)": (lambda x: torch.maximum(x, torch.zeros_like(x)), 0.5),
}
for name, (function, at_zero) in rectifiers.items():
    (slope,) = torch.autograd.grad(function(x).sum(), x)
    dx = torch.tensor([0.0, at_zero, 1.0], dtype=torch.float64)
    torch.testing.assert_close({name: dx}, {name: slope})  # by hand, autograd
    print(f"{name:24} {slope.tolist()}")

# %%
# What the check can say
# ----------------------
# Away from zero both rules pass. At zero the difference quotient is ½ from either side, and every
# slope but ½ fails, PyTorch's own too. Under ``vmap`` the masked write is refused.

away = torch.tensor([-1.0, 0.5, 2.0], dtype=torch.float64, requires_grad=True)
assert gradcheck(Relu.apply, away)
assert gradgradcheck(Relu.apply, away)
assert gradcheck(ReluWithMask.apply, away)
assert not any(gradcheck(f, x, raise_exception=False) for f in (Relu.apply, torch.relu))
print("vmap, where:", torch.func.vmap(torch.func.grad(Relu.apply))(away.detach()).tolist())
try:
    torch.func.vmap(torch.func.grad(ReluWithMask.apply))(away.detach())
except RuntimeError as error:
    message = str(error)
    print("vmap, mask: ", message.partition(" (")[0])
assert message.startswith("vmap: It looks like you're")

# %%
# Straight through, as a function
# -------------------------------
# Rounded to quarters, ties going to the even one. The rule hands on what arrives, so
# :math:`\bar{x} = u`; nothing has to be saved.


def quarters(x):
    return torch.round(4 * x) / 4


class StraightThrough(Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x):
        return quarters(x)

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, u):
        return u


# %%
# Straight through, without one
# -----------------------------
# The value of :math:`x + (q(x) - x)` is :math:`q(x)`. With the bracket detached, only the first
# :math:`x` has a derivative.


def straight_through(x):
    return x + (quarters(x) - x).detach()


x = torch.tensor([0.125, 0.375, 0.7, -1.3], dtype=torch.float64, requires_grad=True)
u = torch.tensor([1.0, 10.0, 100.0, 1000.0], dtype=torch.float64)
(plain,) = torch.autograd.grad(quarters(x), x, u)
(function,) = torch.autograd.grad(StraightThrough.apply(x), x, u)
(trick,) = torch.autograd.grad(straight_through(x), x, u)
torch.testing.assert_close({"function": u, "trick": u}, {"function": function, "trick": trick})
torch.testing.assert_close(StraightThrough.apply(x), straight_through(x))
torch.testing.assert_close(plain, torch.zeros_like(plain))
print("rounded:  ", StraightThrough.apply(x).tolist())
print("gradient: ", function.tolist(), "by rounding alone:", plain.tolist())

# %%
# A check that has to fail
# ------------------------
# The difference quotient of a step function is 0, the rule says 1. A straight-through estimator
# that passes is none; what can be checked is that its gradient is the one intended, as above.

inside = torch.tensor([0.3, 0.7], dtype=torch.float64, requires_grad=True)
results = {}
for name, f in {
    "function": StraightThrough.apply, "trick": straight_through, "rounding alone": quarters
}.items():  # fmt: skip
    results[name] = gradcheck(f, inside, raise_exception=False)
    print(f"{name:15} gradcheck {results[name]}")
assert results == {"function": False, "trick": False, "rounding alone": True}
batched = torch.func.vmap(torch.func.grad(StraightThrough.apply))(inside.detach())
assert batched.tolist() == [1.0, 1.0]

# %%
# Weights in quarters
# -------------------
# A linear model whose weights are rounded before use is fitted to data made with quarters.
# ``train`` returns its losses.

torch.manual_seed(0)
X = torch.randn(40, 3, dtype=torch.float64)
T = X @ torch.tensor([0.5, -1.25, 0.75], dtype=torch.float64)


def train(rounded):
    w, losses = torch.full((3,), 0.1, dtype=torch.float64, requires_grad=True), []
    for _ in range(40):
        loss = (X @ rounded(w) - T).square().mean()
        (gradient,) = torch.autograd.grad(loss, w)
        with torch.no_grad():
            w -= 0.05 * gradient
        losses.append(loss.item())
    return losses


# %%
# With the estimator and without
# ------------------------------
# The loss reaches zero when all weights round to the right quarters.

grey = "#7a7a7a"  # readable on light and on dark
plt.rcParams.update({"figure.facecolor": "none", "axes.facecolor": "none", "text.color": grey,
                     "axes.labelcolor": grey, "axes.edgecolor": grey,
                     "xtick.color": grey, "ytick.color": grey})  # fmt: skip
estimator, alone = train(StraightThrough.apply), train(quarters)
fig, ax = plt.subplots(figsize=(6, 3), layout="constrained")
ax.plot(estimator, color="#0072b2", label="straight through")
ax.plot(alone, color="#d55e00", label="rounding alone")
ax.set(xlabel="step", ylabel="loss")
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False)
plt.show()
assert estimator[-1] < 1e-20
assert set(alone) == {alone[0]}
assert estimator == train(straight_through)

# %%
# What was seen
# -------------
# Where a derivative does not exist, or is of no use, a rule chooses one. The choice at a kink can
# differ between two functions that agree in every value. A straight-through estimator needs no
# function of one's own, and must not pass the numerical check.
