r"""
Zeros, and where they come from
===============================

A gradient of zeros is not a missing one: the path is there, and somewhere on it a factor is zero.
Four places make such factors: a ReLU whose input is negative for every example, a sigmoid so far
out that its slope is below what the dtype can hold, two factors that both begin at zero, and
rounding. Here each is looked for in the same way, node by node from the loss: which node receives
something and sends nothing. Look at the units of the ReLU, of which some live.
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
# :math:`U \odot M`. A unit whose column of :math:`M` is zero gets nothing, and never will: with
# the same data nothing changes its bias.

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
# What was seen
# -------------
# Zeros arrive, None does not. The node that receives something and sends zeros is the place: its
# saved tensors say why, a mask without a one, a result at its limit, a factor of zero.
