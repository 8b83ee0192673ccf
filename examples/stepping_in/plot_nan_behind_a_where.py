r"""
NaN behind a where
==================

``torch.where(x > 0, x.sqrt(), 0)`` gives numbers for negative ``x`` as well, and its gradient at
zero is NaN. The mask works forward and works backward, and that is the trouble: backward it makes a
zero, the slope of the square root is infinite, and zero times infinity is NaN. A hook on each node
shows which made it: one that receives finite numbers and sends others. A mask before the root, not
after it, keeps it from being made, and the gradient by hand is that of the safe version. Look at
the graph with a healthy branch, on which finite numbers still arrive after the first NaN.
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
# A hook after each node is handed what arrived and what the node sends. On this chain the NaN is
# there from the square root on.


def watch_pass(loss):
    """Run a pass; name, what arrived and what was sent, for each node that ran, in order."""
    seen, handles, nodes = [], [], [loss.grad_fn]
    for node in nodes:
        name = node.name().split("::")[-1]
        note = lambda sent, got, name=name: seen.append((name, got, sent))
        handles.append(node.register_hook(note))
        nodes += {below: 0 for below, _ in node.next_functions if below and below not in nodes}
    loss.backward()
    for handle in handles:
        handle.remove()
    return seen


seen = watch_pass(loss)
for name, arrived, _ in seen:
    print(f"{name:15} receives {arrived[0].tolist()}")

# %%
# Where it was made
# -----------------
# Finite in, not finite out. Only with a branch beside does this differ from "the last node that
# received finite numbers": the branch recorded first runs last, and its numbers are healthy.


def finite(tensors):
    return all(t is None or bool(t.isfinite().all()) for t in tensors)


def makers(seen):
    return [name for name, arrived, sent in seen if finite(arrived) and not finite(sent)]


v = torch.tensor([0.3, -2.0, 1.0], dtype=torch.float64, requires_grad=True)
branches = (v.tanh() * v).sum() + (u * torch.where(x > 0, x.sqrt(), 0.0)).sum()
beside = watch_pass(branches)
last = [name for name, arrived, _ in beside if finite(arrived)][-1]
assert makers(seen) == makers(beside) == ["SqrtBackward0"]
assert last == "AccumulateGrad"
print("finite in, not finite out:", makers(seen), "and with a branch", makers(beside))
print("the last to receive finite numbers, with a branch:", last)

# %%
# Made between two nodes
# ----------------------
# Two finite numbers whose sum is too large for the dtype: no node sends anything but finite
# numbers, and infinity arrives. A hook on a tensor can do the same.

w = torch.ones(1, dtype=torch.float16, requires_grad=True)
summed = watch_pass((w * 60000 + w * 50000).sum())
assert makers(summed) == []
assert w.grad.isinf()
print("makers:", makers(summed), " w.grad:", w.grad.item())

# %%
# Zero times infinity
# -------------------
# The rule of the root is :math:`\bar{x} = \bar{y} / (2 \sqrt{x})`. With the masked cotangent 0 it
# is :math:`0 / 0` at zero, and :math:`0 / \mathrm{NaN}` at the negative number.

((arrived,), (sent,)) = next(tensors for name, *tensors in seen if name == "SqrtBackward0")
slope = 0.5 / x.detach().sqrt()
print("cotangent", arrived)
print("slope    ", slope)
print("product  ", arrived * slope)
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
# A value that is masked away is still differentiated, and its slope meets the zero of the mask. The
# node that made the NaN received finite numbers and sent others; if there is no such node, it was
# made between two. The remedy is before the operation: an argument it can bear, or one operation in
# the place of two.
