r"""
Stable forms
============

The logarithm of one plus an exponential is smooth everywhere, and its gradient, the sigmoid, lies
between 0 and 1. Written with three operations its gradient is NaN for large arguments, and others
of its kind lose their digits where no NaN gives them away. Four functions are written as the
formula says and in a stable form, in ``float32``, and the gradients of both are compared with a
formula by hand in ``float64``. Look at where each naive curve leaves the floor.
"""

# %%
# Four functions, twice
# ---------------------
# Beside each pair stands its derivative by hand, in a form that neither overflows nor cancels.

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F


def sigmoid(x):  # by hand: the exponential is never of a positive number
    e = torch.exp(-x.abs())
    return torch.where(x >= 0, 1 / (1 + e), e / (1 + e))


functions = {
    "log(1 + exp(x))": (
        lambda x: torch.log(1 + torch.exp(x)),
        F.softplus,
        lambda x: sigmoid(x),
    ),
    "1 / (1 + exp(-x))": (
        lambda x: 1 / (1 + torch.exp(-x)),
        torch.sigmoid,
        lambda x: sigmoid(x) * sigmoid(-x),
    ),
    "log(sigmoid(x))": (
        lambda x: torch.log(torch.sigmoid(x)),
        F.logsigmoid,
        lambda x: sigmoid(-x),
    ),
    "log(softmax([x, 0]))[0]": (
        lambda x: torch.log(torch.stack([x, torch.zeros_like(x)]).softmax(0))[0],
        lambda x: torch.stack([x, torch.zeros_like(x)]).log_softmax(0)[0],
        lambda x: sigmoid(-x),
    ),
}
print(*functions, sep="\n")

# %%
# The formulas are right
# ----------------------
# In ``float64`` and where nothing overflows, autograd of the stable form agrees with them.

moderate = torch.tensor([-3.1, -0.4, 0.0, 0.9, 5.2], dtype=torch.float64, requires_grad=True)
by_hand, autograd = {}, {}
for name, (_, stable, slope) in functions.items():
    (autograd[name],) = torch.autograd.grad(stable(moderate).sum(), moderate)
    by_hand[name] = slope(moderate.detach())
torch.testing.assert_close(by_hand, autograd)  # by hand, autograd
print(len(by_hand), "slopes agree")

# %%
# One number each
# ---------------
# At :math:`\pm 100`, in ``float32``.

for name, (naive, stable, _) in functions.items():
    for number in (-100.0, 100.0):
        slopes = []
        for form in (naive, stable):
            x = torch.tensor(number, requires_grad=True)
            slopes.append(torch.autograd.grad(form(x), x)[0].item())
        print(f"{name:24} at {number:6}: naive {slopes[0]:<12.4g} stable {slopes[1]:.4g}")

# %%
# Three operations
# ----------------
# The sigmoid written out, at -100. The exponential saved its result, which is infinite; the
# reciprocal sends zero to it.

x = torch.tensor(-100.0, requires_grad=True)
e = torch.exp(-x)
y = 1 / (1 + e)
y.backward(retain_graph=True)
print(f"exp(-x) = {e.item()}, value {y.item()}, gradient {x.grad.item()}")
y.grad_fn

# %%
# Before it is NaN
# ----------------
# The relative error of the gradient against the formula, on a grid. The floor is the spacing of
# ``float32``; a curve that ends has become NaN.

grey = "#7a7a7a"  # readable on light and on dark
plt.rcParams.update({"figure.facecolor": "none", "axes.facecolor": "none", "text.color": grey,
                     "axes.labelcolor": grey, "axes.edgecolor": grey,
                     "axes.titlecolor": grey,
                     "xtick.color": grey, "ytick.color": grey})  # fmt: skip
grid = torch.linspace(-60, 120, 721, dtype=torch.float64)
fig, axes = plt.subplots(2, 2, figsize=(8, 5), layout="constrained", sharex=True, sharey=True)
for ax, (name, (naive, stable, slope)) in zip(axes.flat, functions.items()):
    right = slope(grid)
    for form, label, color in ((naive, "naive", "#d55e00"), (stable, "stable", "#0072b2")):
        x = grid.float().requires_grad_()
        (gradient,) = torch.autograd.grad(form(x).sum(), x)
        error = (gradient.double() - right).abs() / right
        ax.semilogy(grid, error.clamp(min=1e-9), color=color, label=label, lw=1.2)
    ax.set(title=name, ylim=(3e-10, 3))
    ax.spines[["top", "right"]].set_visible(False)
axes[0, 0].legend(frameon=False)
for ax in axes[1]:
    ax.set_xlabel("x")
for ax in axes[:, 0]:
    ax.set_ylabel("relative error")
plt.show()

# %%
# Where it begins
# ---------------
# The first place, going outward from 0, at which the gradient of the naive form is off by a
# hundredth, and the first at which it is no number.

for name, (naive, _, slope) in functions.items():
    told = []
    for sign in (-1, 1):
        x = (sign * torch.linspace(0, 120, 481)).requires_grad_()
        (gradient,) = torch.autograd.grad(naive(x).sum(), x)
        right = slope(x.detach().double())
        off = ~((gradient.double() - right).abs() <= 0.01 * right)
        places = (off, gradient.isnan())
        told += [f"{x[bad][0].item():g}" if bad.any() else "never" for bad in places]
    print(f"{name:24} off {told[0]:>7} {told[2]:>7}   NaN {told[1]:>7} {told[3]:>7}")
    if name == "log(sigmoid(x))":
        assert 10 < float(told[2]) < 16
        assert told[3] == "never"

# %%
# What was seen
# -------------
# A NaN is the visible half. The logarithm of a sigmoid loses its slope digit by digit on the other
# side of 0, where it never is NaN. A stable form is one operation whose rule was written with its
# result in mind.
