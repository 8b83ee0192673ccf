r"""
Zeros, and where they come from
===============================

A gradient of zeros is not a missing one. A factor on the path may be zero: a ReLU whose input is
negative for each example, a sigmoid so far out that its slope is below what the dtype can hold, two
factors that both begin at zero, rounding. Or contributions that are not zero cancel, or no pass
came and somebody wrote zeros. One search tells these apart: from the leaf back, what was sent along
each edge. Look at the last table, and at ``3x - 3x``, in which no node sends a zero.
"""

# %%
# A layer with dead units
# -----------------------
# Four units, of which the second and the last have a bias so low that no example wakes them. Their
# rows of the gradient are zero, the others are not. The first example is all zeros and the first
# bias is 0, so one input of the ReLU is exactly 0.

import torch

torch.manual_seed(0)
X = torch.randn(6, 3, dtype=torch.float64)
X[0] = 0
W = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
b = torch.tensor([0.0, -50.0, 1.0, -70.0], dtype=torch.float64, requires_grad=True)
u = torch.randn(6, 4, dtype=torch.float64)
Z = X @ W.T + b
(u * Z.relu()).sum().backward()
print("units that some example wakes:", (Z > 0).any(dim=0).tolist())
print("rows of the gradient with something in them:", W.grad.any(dim=1).tolist())

# %%
# The same by hand
# ----------------
# The slope of a ReLU is 1 where its input is positive and 0 elsewhere, so with :math:`M = [Z > 0]`
# the gradients are :math:`\bar{W} = (U \odot M)^\top X` and the sum over the rows of
# :math:`U \odot M`. A unit whose column of :math:`M` is zero gets nothing, and with the same
# data no gradient will move its bias.

M = (Z.detach() > 0).double()
torch.testing.assert_close(
    {"W": (u * M).T @ X, "b": (u * M).sum(0)},  # by hand
    {"W": W.grad, "b": b.grad},  # autograd
)
print("share of the gradient's entries that are zero:", (W.grad == 0).double().mean().item())

# %%
# A slope below what the dtype holds
# ----------------------------------
# The sigmoid's rule is :math:`\bar{z} = u\, y (1 - y)` with its own result :math:`y`. In single
# precision :math:`y` is exactly 1 from about 17 on, and the slope exactly zero; double precision
# holds it until about 37.

for dtype in (torch.float32, torch.float64):
    z = torch.arange(0, 60, 1, dtype=dtype, requires_grad=True)
    (slope,) = torch.autograd.grad(z.sigmoid().sum(), z)
    print(f"{dtype}: the slope is zero from z = {int((slope == 0).nonzero()[0])} on")
z = torch.tensor([-3.0, 0.5, 4.0], dtype=torch.float64, requires_grad=True)
(dz,) = torch.autograd.grad(z.sigmoid(), z, torch.tensor([1.0, 2.0, 3.0]).double())
y = z.detach().sigmoid()
by_hand = torch.tensor([1.0, 2.0, 3.0]).double() * y * (1 - y)
torch.testing.assert_close({"z": by_hand}, {"z": dz})  # by hand, autograd

# %%
# Two factors that begin at zero
# ------------------------------
# Each factor of a product is the other's slope: :math:`\bar{a} = u b` and :math:`\bar{b} = u a`.
# With one of them zero the other gets nothing and this one does; with both zero neither does, and
# no step leads away from there. Two adapters that are multiplied begin with one random factor for
# that reason.

for a0, b0 in ((2.0, 0.0), (0.0, 0.0)):
    a, b = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (a0, b0))
    (3 * a * b).backward()
    print(f"a = {a0}, b = {b0}: gradients {a.grad.item()} and {b.grad.item()}")
    if a0:
        assert (a.grad, b.grad) == (3 * b0, 3 * a0)

# %%
# Steps without a slope
# ---------------------
# Rounding, sign and floor are flat between their jumps. PyTorch records them and sends zeros; a
# comparison or an ``argmax`` it does not record at all, and then the gradient is None.

w = torch.tensor([0.2, 1.7], dtype=torch.float64, requires_grad=True)
for name in ("round", "floor", "sign"):
    result = getattr(w, name)()
    (gradient,) = torch.autograd.grad(result.sum(), w)
    assert not gradient.any()
    print(f"{name:6} {result.grad_fn.name():15} {gradient.tolist()}")
print("w > 1  requires grad:", (w > 1).requires_grad)

# %%
# What was sent along each edge
# -----------------------------
# A hook after each node is handed what the node sends and what arrived at it. Kept is whether there
# is anything but zeros in it.


def watch_pass(loss):
    """Run a pass; for each node that ran, what it sent along each edge and what arrived."""
    log, handles, nodes = {}, [], [loss.grad_fn]
    something = lambda tensors: [t is not None and bool(t.any()) for t in tensors]
    for node in nodes:
        note = lambda sent, got, node=node: log.update({node: (something(sent), something(got))})
        handles.append(node.register_hook(note))
        nodes += {below: 0 for below, _ in node.next_functions if below and below not in nodes}
    loss.backward()
    for handle in handles:
        handle.remove()
    return log


# %%
# From the leaf back
# ------------------
# Who sent to this input? If one of them sent something, it was lost on the way: contributions
# cancelled, or a hook took it. If all sent zeros, each is the place if something had arrived at it,
# and otherwise the question is asked there again, for each of its inputs.


def why_zeros(log, leaf):
    causes, asked = set(), [(torch.autograd.graph.get_gradient_edge(leaf).node, 0)]
    if asked[0][0] not in log:
        return {"no pass came here"}
    for node, place in asked:
        into = [(giver, k) for giver in log for k, edge in enumerate(giver.next_functions)
                if edge == (node, place)]  # fmt: skip
        if any(log[giver][0][k] for giver, k in into):
            causes.add("cancelled before " + node.name().split("::")[-1])
            continue
        for giver, _ in into:
            arrived = log[giver][1]
            again = [(giver, number) for number in range(len(arrived))]
            causes |= {giver.name() + " sends zeros"} if any(arrived) else set()
            asked += [] if any(arrived) else [key for key in again if key not in asked]
    return causes


# %%
# Seven causes, one search
# ------------------------
# In the third a branch beside the dead one gets and sends numbers. The softmax has a constant sum:
# its rule subtracts. In half precision a product is below the smallest number. Of the last tensor
# zeros were written and a pass went elsewhere.

v = torch.tensor([0.3, -2.0], requires_grad=True)
cases = {
    "(x - 9).relu()": (lambda x: (x - 9).relu(), "ReluBackward0 sends zeros"),
    "(x + 40).sigmoid()": (lambda x: (x + 40).sigmoid(), "SigmoidBackward0 sends zeros"),
    "relu + v.tanh() * v": (lambda x: (x - 9).relu() + v.tanh() * v, "ReluBackward0 sends zeros"),
    "3 * x - 3 * x": (lambda x: 3 * x - 3 * x, "cancelled before AccumulateGrad"),
    "(x * 2).softmax(0)": (lambda x: (x * 2).softmax(0), "SoftmaxBackward0 sends zeros"),
    "x.half() * 1e-4 * 1e-4": (lambda x: x.half() * 1e-4 * 1e-4, "MulBackward0 sends zeros"),
    "another loss": (lambda x: v * 2, "no pass came here"),
}

# %%
# The seven answers
# -----------------
# Each is compared with the one that was written down.

for text, (function, cause) in cases.items():
    x = torch.tensor([0.5, 0.5], requires_grad=True)
    x.grad = torch.zeros_like(x)
    log = watch_pass(function(x).sum())
    found = why_zeros(log, x)
    assert not x.grad.any()
    assert found == {cause}
    print(f"{text:23} {cause}")

# %%
# What was seen
# -------------
# Zeros arrive, None does not. A node that receives something and sends zeros is a place, and its
# saved tensors say why: a mask without a one, a result at its limit, a factor of zero. Where no
# node does so, contributions cancelled, or no pass came.
