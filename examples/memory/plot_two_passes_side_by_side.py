r"""
Two passes side by side
=======================

One function, run backward twice, with one thing changed between the two: the graph is freed or
retained, one factor is recorded or not, the inner values are saved or computed again. Each pair of
drawings shows what that one thing changes. The gradients are derived by hand, and where the change
must not move them both are compared with the same numbers. Look at what each node saves, and at
what it has let go of once it has run.
"""

# %%
# One function of three numbers
# -----------------------------
# For :math:`y = \sum_i s_i \sin s_i` with :math:`s = x^2` the gradient is
# :math:`\bar x = 2x \odot (\sin s + s \odot \cos s)`.

import torch
from torch.utils.checkpoint import checkpoint

torch.set_default_dtype(torch.float64)
x = torch.tensor([0.5, -1.2, 2.0], requires_grad=True)
s = x.detach() ** 2
dx = 2 * x.detach() * (s.sin() + s * s.cos())
print("by hand:", dx)

# %%
# To be freed
# -----------
# The square, the sine and the product save what their rules will need.

square = x**2
y = (square * square.sin()).sum()
y.grad_fn

# %%
# A pass that frees
# -----------------
# It lets go of a saved tensor as soon as its node has run, so that there is no second one.

(freed,) = torch.autograd.grad(y, x)
torch.testing.assert_close({"x": dx}, {"x": freed})  # by hand, autograd
try:
    torch.autograd.grad(y, x)
except RuntimeError as error:
    assert "Trying to backward through the graph a second time" in str(error)
    print(str(error).split(" (")[0])

# %%
# To be retained
# --------------
# The same lines, recorded once more.

square = x**2
y = (square * square.sin()).sum()
y.grad_fn

# %%
# A pass that retains
# -------------------
# The same nodes do the same work and let go of nothing. A second pass finds all it needs.

(retained,) = torch.autograd.grad(y, x, retain_graph=True)
(again,) = torch.autograd.grad(y, x)
torch.testing.assert_close({"first": dx, "again": dx}, {"first": retained, "again": again})

# %%
# One factor not recorded
# -----------------------
# Under ``no_grad`` the sine is a number like any other: its path is missing from the drawing.

square = x**2
with torch.no_grad():
    factor = square.sin()
y = (square * factor).sum()
y.grad_fn

# %%
# A path less
# -----------
# It is missing from the gradient too, which is :math:`2x \odot \sin s`.

(partial,) = torch.autograd.grad(y, x)
torch.testing.assert_close({"x": 2 * x.detach() * s.sin()}, {"x": partial})  # by hand, autograd

# %%
# Saved
# -----
# An exponential between two sines: each of the three nodes saves one tensor.


def inner(x):
    """sin(exp(sin x))"""
    return x.sin().exp().sin()


y = inner(x).sum()
y.grad_fn

# %%
# The gradient of the three
# -------------------------
# With :math:`e = \exp(\sin x)` it is :math:`\cos e \odot e \odot \cos x`.

(plain,) = torch.autograd.grad(y, x)
e = x.detach().sin().exp()
by_hand = e.cos() * e * x.detach().cos()
torch.testing.assert_close({"x": by_hand}, {"x": plain})  # by hand, autograd

# %%
# To be computed again
# --------------------
# Checkpointed, the same three nodes stand in the graph and have saved nothing yet.

y = checkpoint(inner, x, use_reentrant=False).sum()
y.grad_fn

# %%
# A pass that computes again
# --------------------------
# The first node that asks for what it would have saved makes the function run once more.

(recomputed,) = torch.autograd.grad(y, x)
torch.testing.assert_close({"x": by_hand}, {"x": recomputed})  # by hand, autograd
torch.testing.assert_close(plain, recomputed, rtol=0, atol=0)

# %%
# What was seen
# -------------
# Freeing and checkpointing change what is kept and leave the gradient alone, the second to the last
# bit. Not recording a factor changes the graph, and with it the gradient.
