r"""
The optimizer's step inside the backward pass
=============================================

A training loop computes all gradients, then makes a step, then clears them, so at one moment it
holds a gradient for each parameter. Plain SGD, like most optimizers, needs only one of them at a
time. A post-accumulate hook runs when the gradient of one leaf is complete: it can make that
leaf's step and drop the gradient before the next one is computed. The parameters come out the
same to the last bit. Look at the plot of bytes, which were counted and not estimated.
"""

# %%
# A model with layers of different sizes
# --------------------------------------
# Made twice from one seed, so that both start from the same numbers.

from itertools import pairwise

import matplotlib.pyplot as plt
import torch
from torch import nn

grey = "#7a7a7a"  # readable on light and on dark
plt.rcParams.update({"figure.facecolor": "none", "axes.facecolor": "none", "text.color": grey,
                     "axes.labelcolor": grey, "axes.edgecolor": grey,
                     "xtick.color": grey, "ytick.color": grey})  # fmt: skip

widths = (12, 40, 24, 16, 3)


def model():
    torch.manual_seed(0)
    layers = [nn.Linear(n, m) for n, m in pairwise(widths)]
    return nn.Sequential(*(part for layer in layers for part in (layer, nn.Tanh())))


X, T = torch.randn(9, widths[0]), torch.randn(9, widths[-1])
usual, inside = model(), model()
sizes = [p.nbytes for p in usual.parameters()]
print(len(sizes), "parameters of", sizes, "bytes")


# %%
# Counting gradients
# ------------------
# ``held(module)`` is the number of bytes in the gradients that exist at the moment. It is called
# whenever a gradient was completed.


def held(module):
    return sum(p.grad.nbytes for p in module.parameters() if p.grad is not None)


bytes_usual, bytes_inside = [], []
for p in usual.parameters():
    p.register_post_accumulate_grad_hook(lambda p: bytes_usual.append(held(usual)))
print("now:", held(usual))

# %%
# The usual loop
# --------------
# Backward, step, clear.

optimizer = torch.optim.SGD(usual.parameters(), lr=0.1, momentum=0.9)
for _ in range(4):
    (usual(X) - T).square().mean().backward()
    optimizer.step()
    optimizer.zero_grad()
print("gradients held at most:", max(bytes_usual), "bytes")
assert max(bytes_usual) == sum(sizes)

# %%
# A step in the hook
# ------------------
# Each leaf has an optimizer of its own. The hook steps and clears; the loop only runs backward.

optimizers = {p: torch.optim.SGD([p], lr=0.1, momentum=0.9) for p in inside.parameters()}


def step(p):
    bytes_inside.append(held(inside))
    optimizers[p].step()
    optimizers[p].zero_grad()


for p in inside.parameters():
    p.register_post_accumulate_grad_hook(step)
for _ in range(4):
    (inside(X) - T).square().mean().backward()
print("gradients held at most:", max(bytes_inside), "bytes")
assert all(p.grad is None for p in inside.parameters())

# %%
# The same to the last bit
# ------------------------
# :func:`torch.equal` allows no difference at all. The step of a leaf uses its own gradient and its
# own momentum, and the pass no longer needs the old value of that leaf.

pairs = zip(usual.parameters(), inside.parameters(), strict=True)
same = [torch.equal(p, q) for p, q in pairs]
assert all(same)
assert not torch.equal(inside[0].weight, model()[0].weight)
print("bitwise equal:", same)

# %%
# One step by hand
# ----------------
# For :math:`L = \frac{1}{2}\sum (AW^\top - B)^2` the step goes from :math:`W` to
# :math:`W - \eta\,(AW^\top - B)^\top A`.
# When ``backward()`` returns it has been made, so what the pass added up to can be read off
# :math:`W` itself.

A, B = torch.randn(5, 4, dtype=torch.float64), torch.randn(5, 2, dtype=torch.float64)
W = torch.randn(2, 4, dtype=torch.float64)
leaf, eta = W.clone().requires_grad_(), 0.25
sgd = torch.optim.SGD([leaf], lr=eta)
leaf.register_post_accumulate_grad_hook(lambda p: sgd.step())
((A @ leaf.T - B).square().sum() / 2).backward()
by_hand = -eta * (A @ W.T - B).T @ A
torch.testing.assert_close({"step": by_hand}, {"step": leaf.detach() - W})  # by hand, autograd
print("step:", by_hand.flatten().tolist()[:3], "...")

# %%
# Bytes of gradients, as the pass goes on
# ---------------------------------------
# The first of the four passes, with a point for each gradient that was completed.

count = len(sizes)
fig, ax = plt.subplots(figsize=(6, 3), layout="constrained")
for held_bytes, color, label in (
    (bytes_usual, "#d55e00", "step after the pass"),
    (bytes_inside, "#0072b2", "step in a hook"),
):
    ax.step(range(1, count + 1), held_bytes[:count], where="mid", color=color, label=label)
ax.set(xlabel="gradients completed", ylabel="bytes of gradients held")
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False)
plt.show()
assert max(bytes_inside) == max(sizes)

# %%
# What it rules out
# -----------------
# A parameter has changed when the pass returns. A second pass over the same graph, which a
# retained graph would allow, finds a saved weight that is no longer what it was.

x = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
loss = (x @ leaf.T).square().sum()
loss.backward(retain_graph=True)
try:
    loss.backward()
except RuntimeError as error:
    message = str(error)
    print(message.partition(": [")[0])
assert "modified by an inplace operation" in message

# %%
# What was seen
# -------------
# Gradients of all parameters need not be in ``.grad`` at one time. With the step in a hook the most
# that was there is the largest single gradient. Nothing can be done any more with all of them
# together: no norm over the model, no adding up of several passes, no skipping a step because one
# is infinite.
