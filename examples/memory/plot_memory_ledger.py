r"""
A memory ledger: predicted, then measured
=========================================

What the graph of a block keeps is written down from the shapes alone, item by item, as one would
an account. Then the block runs under a hook that notes each storage once, for several batch sizes,
and the account must be right to the byte each time. The block is that of a transformer, without
its attention. Look at the slope of the line, and at the two largest items in the bar: they belong
to one activation function.
"""

# %%
# The block
# ---------
# Layer normalization, a layer from ``D`` to ``H`` numbers, a GELU, a layer back to ``D``, and the
# input added to it. Numbers are ``float64``, 8 bytes each.

import itertools

import matplotlib.pyplot as plt
import torch
from torch import nn

grey = "#7a7a7a"  # readable on light and on dark
plt.rcParams.update({"figure.facecolor": "none", "axes.facecolor": "none", "text.color": grey,
                     "axes.labelcolor": grey, "axes.edgecolor": grey,
                     "xtick.color": grey, "ytick.color": grey})  # fmt: skip

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
D, H = 10, 40


class Block(nn.Module):
    def __init__(self, activation):
        super().__init__()
        self.norm, self.activation = nn.LayerNorm(D), activation
        self.wide, self.narrow = nn.Linear(D, H), nn.Linear(H, D)

    def forward(self, x):
        return x + self.narrow(self.activation(self.wide(self.norm(x))))


print(sum(p.numel() for p in Block(nn.GELU()).parameters()), "parameters")

# %%
# The account
# -----------
# Each item with the rule that needs it. A GELU needs its argument, and the layer after it needs the
# result. A relu needs its result, which is the same storage.


def account(N, activation):
    """What the graph of the block keeps for N rows, in numbers, item by item."""
    items = {
        "input of the norm": N * D,
        "mean and 1/deviation": 2 * N,
        "normalized, for a weight": N * D,
        "activation's result": N * H,
        "parameters": 2 * D + H * D + D * H,  # scale, shift, and both weights; no bias
    }
    if activation == "GELU":
        items["GELU's argument"] = N * H
    return items


for name, numbers in account(3, "GELU").items():
    print(f"{name:25}{8 * numbers:5} bytes")

# %%
# Predicted from shapes, measured with a hook
# -------------------------------------------
# ``storages`` keeps what it has seen alive, or the address of a storage that was freed could be
# given to another.


def storages(module, x):
    """The bytes of each storage that the graph of module(x) keeps, by address."""
    seen, alive = {}, []

    def pack(t):
        alive.append(t.detach())
        seen[t.untyped_storage().data_ptr()] = t.untyped_storage().nbytes()
        return t.detach()

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        module(x)
    return seen


batches = range(2, 34, 4)
kept = {"GELU": [], "ReLU": []}
for activation, by_hook in kept.items():
    block = Block(getattr(nn, activation)())
    for N in batches:
        x = torch.randn(N, D, requires_grad=True)
        by_hook.append(sum(storages(block, x).values()))
        by_hand = 8 * sum(account(N, activation).values())
        torch.testing.assert_close(torch.tensor(by_hand), torch.tensor(by_hook[-1]))
    print(f"{activation}: {by_hook[0]} bytes for {batches[0]} rows, {by_hook[-1]} for {N}")

# %%
# A constant and a slope
# ----------------------
# The differences between neighbours are all the same: memory is a constant, the parameters, and a
# slope times the batch.

slopes = {}
for activation, by_hook in kept.items():
    steps = {b - a for a, b in itertools.pairwise(by_hook)}
    slopes[activation] = steps.pop() / (8 * batches.step)
    assert not steps
    print(f"{activation}: {slopes[activation]:.0f} numbers a row, "
          f"{by_hook[0] - 8 * slopes[activation] * batches[0]:.0f} bytes besides")  # fmt: skip
assert slopes == {"GELU": 2 * D + 2 + 2 * H, "ReLU": 2 * D + 2 + H}

# %%
# Who keeps it
# ------------
# Left, measured points on the predicted lines. Right, the account for one row.

fig, axes = plt.subplots(1, 2, figsize=(7.4, 3.2), width_ratios=(3, 2))
for (activation, by_hook), color in zip(kept.items(), ("#d55e00", "#0072b2")):
    line = [8 * sum(account(N, activation).values()) / 1024 for N in batches]
    axes[0].plot(batches, line, color=color)
    axes[0].plot(batches, [b / 1024 for b in by_hook], "o", color=color, label=activation)
axes[0].set(xlabel="rows in the batch", ylabel="kept for backward (KiB)", ylim=(0, None))
axes[0].legend(frameon=False)
colors = {"input of the norm": "#56b4e9", "mean and 1/deviation": "#999999",
          "normalized, for a weight": "#009e73", "activation's result": "#e69f00",
          "GELU's argument": "#d55e00"}  # fmt: skip
for bar, activation in enumerate(kept):
    bottom = 0
    items = account(1, activation)
    for name, color in colors.items():
        height = items.get(name, 0)
        axes[1].bar(bar, height, bottom=bottom, color=color, label=name if bar == 0 else None)
        bottom += height
    assert bottom == slopes[activation]
axes[1].set_xticks([0, 1], list(kept))
axes[1].set(ylabel="numbers a row")
fig.legend(*axes[1].get_legend_handles_labels(), loc="upper center", ncol=3, frameon=False,
           fontsize=8)  # fmt: skip
for axis in axes:
    axis.spines[["top", "right"]].set_visible(False)
fig.tight_layout(rect=(0, 0, 1, 0.86))
plt.show()

# %%
# The rule that needs it, by hand
# -------------------------------
# That the account is enough is shown by using nothing else. With :math:`n` the normalized rows,
# :math:`a` and :math:`g` the argument and the result of the GELU, :math:`\Phi` and :math:`\varphi`
# the normal distribution and its density, and :math:`u` the cotangent of the result,
#
# .. math::
#
#    \bar{W}_2 = u^\top g \qquad
#    \bar{a} = uW_2 \odot \bigl(\Phi(a) + a\,\varphi(a)\bigr) \qquad
#    \bar{W}_1 = \bar{a}^\top n

N = 7
block, x, u = Block(nn.GELU()), torch.randn(N, D), torch.randn(N, D)
with torch.no_grad():
    n = block.norm(x)
    a = block.wide(n)
    g = nn.functional.gelu(a)
    distribution = (1 + torch.erf(a / 2**0.5)) / 2
    density = torch.exp(-(a**2) / 2) / (2 * torch.pi) ** 0.5
    dW2 = u.T @ g
    da = u @ block.narrow.weight * (distribution + a * density)
    dW1 = da.T @ n
block(x).backward(u)
torch.testing.assert_close(
    {"W1": dW1, "W2": dW2},  # by hand
    {"W1": block.wide.weight.grad, "W2": block.narrow.weight.grad},  # autograd
)
print("gradients of both weights, from n, a and g alone")

# %%
# The converse: no item can go
# ----------------------------
# An account that is right in sum could still hold a tensor too much and one too few. So each size
# that was predicted is looked for among the storages measured, one by one.

x = torch.randn(N, D, requires_grad=True)
measured = sorted(storages(block, x).values())
items = account(N, "GELU")
items |= {"scale": D, "shift": D, "one weight": H * D, "other weight": D * H, "mean": N,
          "1/deviation": N}  # fmt: skip
del items["parameters"], items["mean and 1/deviation"]
assert measured == sorted(8 * numbers for numbers in items.values())
print(len(measured), "storages, each accounted for")

# %%
# What was seen
# -------------
# The bytes a block keeps follow from its shapes. Parameters are kept once and exist anyway; the
# rest grows with the rows. The GELU is in the widest place and keeps a tensor that nothing else
# needs, so that with a relu the same block keeps two fifths less for a row.
