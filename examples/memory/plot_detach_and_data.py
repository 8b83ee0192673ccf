r"""
detach, .data and NumPy: one memory, one counter or none
========================================================

``detach`` copies nothing. The tensor it returns has the same memory and shares the counter by
which autograd notices that a saved tensor was changed. ``.data`` and ``.numpy()`` have the same
memory and do not touch that counter. So the same write, through three doors, is an error, or a
gradient that is wrong without a word. Further down ``detach`` stands in the middle of a loss,
where it removes one term of the product rule. Look at the bars that outgrow their frames.
"""

# %%
# Who shares what
# ---------------
# Five ways to get a tensor without history out of ``x``. Each is then changed: is ``x`` changed
# with it, and does the counter of ``x`` know?

import textwrap

import matplotlib.pyplot as plt
import numpy as np
import torch

grey = "#7a7a7a"  # readable on light and on dark
plt.rcParams.update({"figure.facecolor": "none", "axes.facecolor": "none", "text.color": grey,
                     "axes.labelcolor": grey, "axes.edgecolor": grey,
                     "xtick.color": grey, "ytick.color": grey})  # fmt: skip

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
doors = {
    "x.detach()": lambda x: x.detach(),
    "x.data": lambda x: x.data,
    "x.detach().numpy()": lambda x: torch.from_numpy(x.detach().numpy()),
    "x.detach().clone()": lambda x: x.detach().clone(),
    "x.clone().detach()": lambda x: x.clone().detach(),
}
unseen = []
for text, door in doors.items():
    x = torch.randn(4, requires_grad=True)
    before, other = x.detach().clone(), door(x)
    other.mul_(3)
    changed = not torch.equal(x, before)
    unseen += [text] if changed and not x._version else []
    print(f"{text:19} x changed: {changed!s:5}  version of x: {x._version}")
assert unseen == ["x.data", "x.detach().numpy()"]

# %%
# A saved tensor, changed behind the graph's back
# -----------------------------------------------
# :math:`L = \sum_i c_i x_i^2` saves ``x``. Between forward and backward the values of ``x`` are
# multiplied by 3, through each door.

x_start, c = torch.randn(4), torch.tensor([0.5, -2.0, 1.0, 3.0])
gradients = {}
for text, door in doors.items():
    x = x_start.clone().requires_grad_()
    loss = (c * x**2).sum()
    door(x).mul_(3)
    try:
        loss.backward()
        gradients[text] = x.grad
        print(f"{text:19} {np.round(x.grad.numpy(), 3)}")
    except RuntimeError as error:
        assert "modified by an inplace operation" in str(error)
        said = textwrap.shorten(f"{type(error).__name__}: {error}", 64, placeholder=" ...")
        print(f"{text:19} {said}")

# %%
# By hand: the right gradient and the wrong one
# ---------------------------------------------
# The loss was computed with :math:`x`, so its gradient is :math:`\bar{x}_i = 2 c_i x_i`. A node
# that finds :math:`3x` where it had saved :math:`x` returns :math:`2 c_i \cdot 3 x_i`. Both are
# what was found: the right one through a copy, the wrong one through ``.data`` and NumPy.

dx_right, dx_wrong = 2 * c * x_start, 2 * c * (3 * x_start)
torch.testing.assert_close(
    {"x.data": dx_wrong, "numpy": dx_wrong, "copy": dx_right, "copy 2": dx_right},  # by hand
    dict(zip(("x.data", "numpy", "copy", "copy 2"), gradients.values(), strict=True)),  # autograd
)
print("off by a factor of", (gradients["x.data"] / dx_right)[0].item())

# %%
# The same, drawn
# ---------------
# A bar that ends where its frame does is right. The door that raised has no bars.

fig, axes = plt.subplots(1, len(doors), figsize=(7.4, 3), sharey=True)
for axis, text in zip(axes, doors):
    if text in gradients:
        right = (gradients[text] - dx_right).abs().max() < 1e-12
        color = "#009e73" if right else "#d55e00"
        axis.bar(range(4), gradients[text], width=0.4, color=color)
    else:
        axis.text(1.5, 10, "raises", ha="center")
    axis.bar(range(4), dx_right, width=0.85, fill=False, edgecolor=grey)
    axis.set_title(text.replace("().", "()\n."), fontsize=9, family="monospace", color=grey)
    axis.set(xticks=range(4))
    axis.spines[["top", "right"]].set_visible(False)
axes[0].set(ylabel="x.grad")
fig.supxlabel("entry of x", fontsize=10, color=grey)
fig.tight_layout()
plt.show()

# %%
# detach in the middle: one term less
# -----------------------------------
# For :math:`a = \sin s` and :math:`b = s^2` the product rule gives the gradient of :math:`\sum ab`
# two terms. With ``b`` detached the second is left out; the value of the loss is the same.
#
# .. math:: \bar{s} = b \odot \cos s + 2s \odot a \qquad\text{becomes}\qquad
#           \bar{s} = b \odot \cos s

s = torch.randn(5, requires_grad=True)
a, b = s.sin(), s**2
(whole,) = torch.autograd.grad((a * b).sum(), s, retain_graph=True)
(part,) = torch.autograd.grad((a * b.detach()).sum(), s, retain_graph=True)
(other_part,) = torch.autograd.grad((a.detach() * b).sum(), s)
with torch.no_grad():
    ds_through_a, ds_through_b = s**2 * s.cos(), 2 * s * s.sin()
torch.testing.assert_close(
    # by hand
    {"whole": ds_through_a + ds_through_b, "a": ds_through_a, "b": ds_through_b},
    {"whole": whole, "a": part, "b": other_part},  # autograd
)
print("through a:   ", part)
print("through both:", whole)

# %%
# Only the copy is cut
# --------------------
# ``b.detach()`` above left ``b`` as it was: it still had its node, and gradients flowed through it
# when it was used itself. :meth:`torch.Tensor.detach_` is the one that cuts the tensor.

b = s**2
print("b.detach():", b.detach().grad_fn, " b afterwards:", b.grad_fn.name())
b.detach_()
print("b after b.detach_():", b.grad_fn, b.requires_grad)

# %%
# A gradient that belongs to no loss
# ----------------------------------
# In two numbers :math:`s, t` the loss :math:`s \cdot \operatorname{detach}(t) + t` has the
# gradient :math:`(t, 1)`. If it were the gradient of any function, the derivative of its first
# entry by :math:`t`, 1, would equal that of its second by :math:`s`, 0. So finite differences of
# this loss do not agree with autograd.


def loss_of(s, t):
    return s * t.detach() + t


s, t = (torch.tensor(value, requires_grad=True) for value in (0.7, -1.9))
found = torch.autograd.grad(loss_of(s, t), (s, t))
step = 1e-6
with torch.no_grad():
    ds, dt = t.clone(), torch.ones(())
    slope = (loss_of(s, t + step) - loss_of(s, t - step)) / (2 * step)
torch.testing.assert_close({"s": ds, "t": dt}, {"s": found[0], "t": found[1]})  # by hand, autograd
print("by t: autograd", found[1].item(), " finite difference", round(slope.item(), 4))

# %%
# A detach that changes nothing
# -----------------------------
# A log-sum-exp subtracts the maximum :math:`m` and adds it again, so that nothing overflows. Its
# value does not depend on :math:`m`: detached, the gradient is the whole one,
# :math:`e^{x_i} / \sum_k e^{x_k}`, and finite differences agree.


def log_sum_exp(x):
    m = x.max().detach()
    return (x - m).exp().sum().log() + m


x = torch.tensor([0.5, -1.0, 2.0], requires_grad=True)
(found,) = torch.autograd.grad(log_sum_exp(x), x)
dx = x.detach().exp() / x.detach().exp().sum()
torch.testing.assert_close({"x": dx}, {"x": found})  # by hand, autograd
print("finite differences agree:", torch.autograd.gradcheck(log_sum_exp, x))

# %%
# What was seen
# -------------
# Writing through ``detach`` is caught, writing through ``.data`` or NumPy is not and gave three
# times the gradient. In a loss, ``detach`` takes out the terms that run through the copy, and what
# is left need not be the gradient of anything; where these terms add up to zero, it is.
