r"""
Three passes to step through
============================

A recurrent network, a hook, a gradient of a gradient: three passes in which something happens that
a formula for one layer does not show. A weight used at every time step gathers one term from each.
A hook changes a cotangent on its way, and everything below sees the changed one. A gradient that
was itself recorded can be run backward. All three gradients are derived by hand. Step through each
drawing, and look at what arrives where.
"""

# %%
# Three time steps
# ----------------
# With :math:`h_t = \tanh(w h_{t-1} + x_t)` and :math:`\delta_t` the cotangent before the tanh,
# :math:`\delta_3 = 1 - h_3^2`, :math:`\delta_t = (1 - h_t^2)\, w\, \delta_{t+1}` and
# :math:`\bar w = \sum_t \delta_t h_{t-1}`. The weight is one leaf: its terms meet in one node.

import torch

torch.set_default_dtype(torch.float64)
w = torch.tensor(0.8, requires_grad=True)
xs = torch.tensor([0.5, -0.3, 0.9])
h0 = torch.tensor(0.2)
h1 = torch.tanh(w * h0 + xs[0])
h2 = torch.tanh(w * h1 + xs[1])
h3 = torch.tanh(w * h2 + xs[2])
h3.grad_fn

# %%
# Its gradient by hand
# --------------------
# Three terms, each the cotangent of one time step times the state that came before it.

h3.backward()
a, b, c = h1.detach(), h2.detach(), h3.detach()
d3 = 1 - c**2
d2 = (1 - b**2) * w.detach() * d3
d1 = (1 - a**2) * w.detach() * d2
torch.testing.assert_close({"w": d3 * b + d2 * a + d1 * h0}, {"w": w.grad})  # by hand, autograd

# %%
# A hook
# ------
# A hook on ``u`` halves what arrives there, so :math:`\bar x = \tfrac12 \cos(e^x) \odot e^x`. The
# node of the sine knows nothing of it, the node of the exponential receives half.

x = torch.tensor([0.4, -0.7, 1.1], requires_grad=True)
u = x.exp()
u.register_hook(lambda cotangent: cotangent / 2)
v = u.sin().sum()
v.grad_fn

# %%
# Half a gradient
# ---------------
# The factor of the hook stands in the gradient of everything below it.

v.backward()
e = x.detach().exp()
torch.testing.assert_close({"x": e.cos() * e / 2}, {"x": x.grad})  # by hand, autograd

# %%
# A gradient of a gradient
# ------------------------
# For :math:`f = \sum_i x_i^4` the gradient is :math:`g = 4x^3`, and with ``create_graph`` it has a
# graph of its own. Run backward, :math:`\sum_i g_i` gives :math:`12 x^2`.

x = torch.tensor([0.5, -1.5, 2.0], requires_grad=True)
f = (x**4).sum()
(g,) = torch.autograd.grad(f, x, create_graph=True)
total = g.sum()

# %%
# Twice by hand
# -------------
# The pass over this graph goes through the nodes that computed :math:`g`.

(second,) = torch.autograd.grad(total, x)
torch.testing.assert_close(
    {"first": 4 * x.detach() ** 3, "second": 12 * x.detach() ** 2},  # by hand
    {"first": g.detach(), "second": second},  # autograd
)

# %%
# What was seen
# -------------
# None of the three needs a rule of its own: terms are added where paths meet, a hook stands between
# two nodes, and the second pass walks a graph that the first one recorded.
