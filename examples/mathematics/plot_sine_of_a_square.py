r"""
The sine of a square, backward
==============================

The smallest chain that shows the whole method is the sine of a square: two operations, two local
derivatives, one product.
Here :math:`x` is a vector and the outputs do not count equally, so the backward pass starts from a
cotangent that is not all ones.
Each step is derived, coded by hand and compared with autograd, the value in the middle of the chain
included.
Look at the order in which the factors are multiplied: the two orders give one answer at very
different costs.
"""

# %%
# The forward chain
# -----------------
#
# One intermediate value, :math:`a = x^2`, and one output, :math:`y = \sin a`, both elementwise.
# ``a`` is not a leaf, so autograd keeps its gradient only when it is asked to.

import torch
from torch.utils.flop_counter import FlopCounterMode

x = torch.tensor([0.6, -1.2, 2.0, 0.9], dtype=torch.float64, requires_grad=True)
a = x**2
a.retain_grad()
y = torch.sin(a)
for name, value in (("x", x), ("a", a), ("y", y)):
    print(name, value.tolist())

# %%
# The local derivatives
# ---------------------
#
# Each operation knows the derivative of its own output with respect to its own input, and nothing
# about the rest of the chain:
#
# .. math:: \frac{\partial a_i}{\partial x_i} = 2 x_i, \qquad
#           \frac{\partial y_i}{\partial a_i} = \cos a_i .
#
# The values of :math:`x` and :math:`a` are those of the forward pass, which is why it keeps them.

x_value, a_value = x.detach(), a.detach()
slope_square = 2 * x_value
slope_sine = torch.cos(a_value)
print("da/dx", slope_square)
print("dy/da", slope_sine)

# %%
# Backward by hand
# ----------------
#
# Let the scalar of interest be :math:`L = \sum_i u_i y_i` with :math:`u = (1.5, -0.5, 2, 0.3)`.
# Then :math:`\partial L / \partial y_i = u_i`: the weights are the cotangent the pass starts from.
# From there each operation multiplies what arrives by its own slope:
#
# .. math:: \frac{\partial L}{\partial a_i} = u_i \cos a_i, \qquad
#           \frac{\partial L}{\partial x_i} = \frac{\partial L}{\partial a_i}\, 2 x_i .

u = torch.tensor([1.5, -0.5, 2.0, 0.3], dtype=torch.float64)
dy = u
da = dy * slope_sine
dx = da * slope_square
print("dL/da", da)
print("dL/dx", dx)

# %%
# The same from autograd
# ----------------------
#
# :meth:`torch.Tensor.backward` takes the cotangent as its argument.
# The last node it reaches adds to ``x.grad``; ``a.grad`` is there because it was asked for.
# The graph is retained so that it can be drawn below with all that it saved.

y.backward(u, retain_graph=True)
torch.testing.assert_close({"a": da, "x": dx}, {"a": a.grad, "x": x.grad})  # by hand, autograd
print("a.grad", a.grad)
print("x.grad", x.grad)

# %%
# Ones are a choice
# -----------------
#
# The pass of ``y.sum()`` starts from ones.
# Its result is the product of the slopes alone, and it is another vector: the gradient belongs to
# the weighted sum, not to :math:`y`.

(ones_grad,) = torch.autograd.grad(torch.sin(x**2).sum(), x)
dx_ones = torch.cos(x_value**2) * 2 * x_value
torch.testing.assert_close({"x (ones)": dx_ones}, {"x (ones)": ones_grad})  # by hand, autograd
print("weights u", dx)
print("ones     ", dx_ones)

# %%
# The order of multiplication
# ---------------------------
#
# Written with Jacobians, the gradient is :math:`u^\top J_{\sin} J_{\text{square}}`.
# Matrix multiplication is associative, so the brackets may go anywhere, but they are paid for:
# :math:`(u^\top J_{\sin}) J_{\text{square}}` only ever multiplies a row by a matrix, while
# :math:`u^\top (J_{\sin} J_{\text{square}})` builds a product of matrices first.
# Autograd takes the first, and for an elementwise operation it multiplies by the diagonal alone.

J_sine, J_square, row = torch.diag(slope_sine), torch.diag(slope_square), u[None]
with FlopCounterMode(display=False) as row_first:
    left = (row @ J_sine) @ J_square
with FlopCounterMode(display=False) as matrices_first:
    right = row @ (J_sine @ J_square)
torch.testing.assert_close(left[0], dx)
torch.testing.assert_close(right[0], dx)
print("row first:     ", row_first.get_total_flops(), "FLOPs")
print("matrices first:", matrices_first.get_total_flops(), "FLOPs")

# %%
# The graph that was walked
# -------------------------
#
# The forward pass left one node for each operation and one for the leaf.
# Each operation's node computes its slope from the one tensor it saved: the square from ``x``, the
# sine from ``a``.

y.grad_fn

# %%
# What was seen
# -------------
#
# A backward pass is a running product that starts at the output: take the cotangent, multiply by
# the slope of the last operation, hand the result to the operation before it.
# No vector in it is longer than a value of the forward pass, because the pass builds no Jacobian.
