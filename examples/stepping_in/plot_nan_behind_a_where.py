r"""
NaN behind a where
==================

``torch.where(x > 0, x.sqrt(), 0)`` gives finite numbers for every ``x``, and its gradient at zero
is NaN. The mask works forward and works backward, and that is the trouble: backward it makes a
zero, the slope of the square root is infinite, and zero times infinity is NaN. A hook on each node
shows where the first one is born. A mask before the root, not after it, keeps it from being born,
and the gradient by hand is that of the safe version. Look at the node that receives a finite
gradient and sends one that is not.
"""

# %%
# Finite forward, NaN backward
# ----------------------------
# Four numbers, of which one is zero and one negative. The value is what one wanted, the gradient
# is wrong in two places: at the zero, and at the negative number, whose root was NaN before it was
# masked. The graph is below.

import torch

x = torch.tensor([4.0, 0.0, 9.0, -1.0], dtype=torch.float64, requires_grad=True)
u = torch.tensor([1.0, 2.0, -3.0, 4.0], dtype=torch.float64)
y = torch.where(x > 0, x.sqrt(), 0.0)
loss = (u * y).sum()
loss.backward(retain_graph=True)
print("value   ", y.detach())
print("gradient", x.grad)
loss.grad_fn

# %%
# What arrives at each node
# -------------------------
# A hook before each node writes down the gradient that arrives. The engine's order is the way
# from the loss to the leaf, so the node before the first NaN is the one that made it.


def watch_pass(loss, seen):
    handles, nodes = [], [loss.grad_fn]
    for node in nodes:
        note = lambda arrived, node=node: seen.append((node.name(), arrived[0]))
        handles.append(node.register_prehook(note))
        nodes += [below for below, _ in node.next_functions if below and below not in nodes]
    loss.backward()
    for handle in handles:
        handle.remove()


seen = []
watch_pass(loss, seen)
for name, arrived in seen:
    print(f"{name.split('::')[-1]:15} receives {arrived.tolist()}")

# %%
# Where it was born
# -----------------
# The square root received finite numbers, with zeros where the mask is, and what came after it
# received NaN.

finite = [name for name, arrived in seen if arrived.isfinite().all()]
others = [name for name, arrived in seen if not arrived.isfinite().all()]
assert finite[-1] == "SqrtBackward0"
print("last to receive finite numbers:", finite[-1])
print("first to receive NaN:          ", others[0].split("::")[-1])

# %%
# Zero times infinity
# -------------------
# The rule of the root is :math:`\bar{x} = \bar{y} / (2 \sqrt{x})`. With the masked cotangent 0 it
# is :math:`0 / 0` at zero, and :math:`0 / \mathrm{NaN}` at the negative number.

arrived = dict(seen)["SqrtBackward0"]
slope = 0.5 / x.detach().sqrt()
print("cotangent", arrived)
print("slope    ", slope)
print("product  ", arrived * slope)
sent = dict(seen)["torch::autograd::AccumulateGrad"]
assert torch.equal((arrived * slope).isnan(), sent.isnan())
torch.testing.assert_close((arrived * slope)[[0, 2]], sent[[0, 2]])

# %%
# The mask before the root
# ------------------------
# Give the root a number it can bear where the result is thrown away anyway. Then its slope is
# finite there, and the zero of the mask stays a zero. For :math:`x_i > 0` the gradient is
# :math:`\bar{x}_i = u_i / (2 \sqrt{x_i})`, and 0 elsewhere.

x.grad = None
positive = x > 0
safe = torch.where(positive, x, 1.0)
(u * torch.where(positive, safe.sqrt(), 0.0)).sum().backward()
dx = torch.zeros(4, dtype=torch.float64)
dx[positive] = u[positive] / (2 * x.detach()[positive].sqrt())
torch.testing.assert_close({"x": dx}, {"x": x.grad})  # by hand, autograd
print(x.grad)

# %%
# What anomaly detection says
# ---------------------------
# :class:`torch.autograd.detect_anomaly` stops the pass at the node that sends the NaN, and its
# warning carries the lines of the forward pass. It runs every node under watch, so it is for the
# search and not for training.

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    try:
        with torch.autograd.detect_anomaly():
            (u * torch.where(x > 0, x.sqrt(), 0.0)).sum().backward()
    except RuntimeError as error:
        assert "SqrtBackward0" in str(error)
        print(error)

# %%
# Other roots of the same tree
# ----------------------------
# The logarithm of a softmax that has come to zero is infinite, and its gradient NaN; computed in
# one step it is neither. For :math:`z = (0, 1000)` and a cotangent :math:`u` the gradient is
# :math:`u - p \sum_k u_k` with the softmax :math:`p = (0, 1)`.

z = torch.tensor([0.0, 1000.0], dtype=torch.float64, requires_grad=True)
c = torch.tensor([3.0, 5.0], dtype=torch.float64)
(two_steps,) = torch.autograd.grad(z.softmax(0).log(), z, c)
(one_step,) = torch.autograd.grad(z.log_softmax(0), z, c)
p = torch.tensor([0.0, 1.0], dtype=torch.float64)
torch.testing.assert_close({"z": c - p * c.sum()}, {"z": one_step})  # by hand, autograd
print("softmax, then log:", two_steps)
print("log_softmax:      ", one_step)

# %%
# What was seen
# -------------
# A value that is masked away is still differentiated, and its slope meets the zero of the mask.
# The node that makes the first NaN is the last one that receives none. The remedy is before the
# operation: an argument it can bear, or one operation in the place of two.
