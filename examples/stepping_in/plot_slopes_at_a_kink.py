r"""
Who decides at a kink
=====================

Ten functions of PyTorch compute the same values, the larger of :math:`x` and 0. At 0 none of them
has a derivative, and each has to return something: 0, 1, or one half. The same goes for the largest
of several numbers when two are equal: some functions share the gradient among the equal ones,
others give all of it to one. Each convention is written as a formula and compared. Look at the
column for zero: equal values, and three different slopes.
"""

# %%
# Ten ways to write the same
# --------------------------
# Their values agree at each number. NaN is none: four of the ten make 0 of it.

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
x = torch.tensor([-1.5, 0.0, 0.4, 2.5])
zero = torch.zeros(4)
ways = {
    "relu(x)": torch.relu,
    "threshold(x, 0, 0)": lambda x: F.threshold(x, 0, 0),
    "where(x > 0, x, 0)": lambda x: torch.where(x > 0, x, 0.0),
    "fmax(0, x)": lambda x: torch.fmax(zero, x),
    "maximum(x, 0)": lambda x: torch.maximum(x, zero),
    "amax of both": lambda x: torch.stack([x, zero]).amax(0),
    "clamp(x, min=0)": lambda x: x.clamp(min=0),
    "where(x >= 0, x, 0)": lambda x: torch.where(x >= 0, x, 0.0),
    "fmax(x, 0)": lambda x: torch.fmax(x, zero),
    "max(0) of both": lambda x: torch.stack([x, zero]).max(0).values,
}
for way in ways.values():
    torch.testing.assert_close(way(x), torch.tensor([0.0, 0.0, 0.4, 2.5]))
silent = [name for name, way in ways.items() if not way(zero * torch.nan).isnan().any()]
assert silent == ["where(x > 0, x, 0)", "fmax(0, x)", "where(x >= 0, x, 0)", "fmax(x, 0)"]
print(len(ways), "ways, one function; NaN becomes 0 in", silent)

# %%
# Three slopes at zero
# --------------------
# On both sides all agree. The three conventions are :math:`[x > 0]`, :math:`[x \geq 0]` and half of
# each; the cotangent is 3, so that a factor counts. PyTorch 2.14 has changed those of
# ``clamp`` and ``fmax``.

conventions = {
    "[x > 0]": (x > 0).to(x),
    "[x >= 0]": (x >= 0).to(x),
    "half of each": ((x > 0).to(x) + (x >= 0).to(x)) / 2,
}
named = ["[x > 0]"] * 4 + ["half of each"] * 2 + ["[x >= 0]"] * 4
chosen = dict(zip(ways, named, strict=True))
if torch.__version__ >= (2, 14):
    chosen["clamp(x, min=0)"] = "[x > 0]"
    chosen["fmax(0, x)"] = chosen["fmax(x, 0)"] = "half of each"
by_hand, autograd = {}, {}
for name, way in ways.items():
    leaf = x.clone().requires_grad_()
    (autograd[name],) = torch.autograd.grad(way(leaf), leaf, torch.full((4,), 3.0))
    by_hand[name] = 3 * conventions[chosen[name]]
torch.testing.assert_close(by_hand, autograd)  # by hand, autograd
for name, gradient in autograd.items():
    print(f"{name:20} {[slope / 3 for slope in gradient.tolist()]}")

# %%
# Ties: shared, or given to one
# -----------------------------
# Three of four numbers are equal and largest. A function that reduces to a value shares; one that
# also returns an index gives all to the entry with that index.

t = torch.tensor([1.0, 4.0, 4.0, 4.0])
reductions = {
    "t.max()": lambda t: t.max(),
    "t.amax(0)": lambda t: t.amax(0),
    "t.max(0).values": lambda t: t.max(0).values,
    "t.topk(1).values": lambda t: t.topk(1).values[0],
    "t.sort().values[-1]": lambda t: t.sort().values[-1],
    "max_pool1d(t, 4)": lambda t: F.max_pool1d(t[None], 4)[0, 0],
    "t.logsumexp(0)": lambda t: t.logsumexp(0),
}
shares = {}
for name, reduce in reductions.items():
    leaf = t.clone().requires_grad_()
    (shares[name],) = torch.autograd.grad(reduce(leaf), leaf)
    print(f"{name:20} {[round(share, 3) for share in shares[name].tolist()]}")

# %%
# Derived
# -------
# Sharing is :math:`[t_i = \max t]` divided by 3, the number of such entries; the smooth maximum
# has the softmax. Where one entry gets all of it, which one is the function's affair, and only the
# sum is certain.

largest = (t == t.max()).to(t)
relative = torch.exp(t[None] - t[:, None])  # a row for each entry
torch.testing.assert_close(
    {"max": largest / 3, "amax": largest / 3, "logsumexp": 1 / relative.sum(1)},
    {"max": shares["t.max()"], "amax": shares["t.amax(0)"], "logsumexp": shares["t.logsumexp(0)"]},
)
for name in ("t.max(0).values", "t.topk(1).values", "t.sort().values[-1]", "max_pool1d(t, 4)"):
    assert sorted(shares[name].tolist()) == [0, 0, 0, 1]
    print(f"{name:20} gives all to entry {shares[name].argmax().item()}")

# %%
# In one picture
# --------------
# A row for each function, a column for each entry. The first entry is no maximum; only the smooth
# function gives it something.

grey = "#7a7a7a"  # readable on light and on dark
plt.rcParams.update({"figure.facecolor": "none", "axes.facecolor": "none", "text.color": grey,
                     "axes.labelcolor": grey, "axes.edgecolor": grey,
                     "xtick.color": grey, "ytick.color": grey})  # fmt: skip
fig, ax = plt.subplots(figsize=(6, 3), layout="constrained")
grid = torch.stack(list(shares.values()))
ax.imshow(grid, cmap="Blues", vmin=0, vmax=1.4, aspect="auto")
for row, gradient in enumerate(grid):
    for column, share in enumerate(gradient.tolist()):
        color = "white" if share > 0.8 else "black"
        ax.text(column, row, f"{share:.2f}", ha="center", va="center", color=color)
ax.set_yticks(range(len(shares)), list(shares))
ax.set_xticks(range(4), [f"{number:g}" for number in t.tolist()])
plt.show()

# %%
# What a convention can add up to
# -------------------------------
# :math:`\mathrm{relu}(x) - \mathrm{relu}(-x)` is :math:`x`, and its slope at 0 comes out as 0. With
# ``maximum`` it is 1, and with the second ``where`` 2. And the largest plus the smallest of two
# equal numbers is their sum, of which one of them gets twice its due.

for name in ("relu(x)", "maximum(x, 0)", "where(x >= 0, x, 0)"):
    leaf = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad((ways[name](leaf) - ways[name](-leaf)).sum(), leaf)
    print(f"{name:20} minus that of -x: {slope.tolist()}")
    assert slope[1] == {"relu(x)": 0, "maximum(x, 0)": 1, "where(x >= 0, x, 0)": 2}[name]
pair = torch.tensor([1.0, 1.0], requires_grad=True)
print(torch.autograd.grad(pair.max(0).values + pair.min(0).values, pair)[0])
print(torch.autograd.grad(pair.amax(0) + pair.amin(0), pair)[0])

# %%
# What was seen
# -------------
# Functions that are equal are not recorded equally. At a kink each rule has its convention, which
# can change with the version of PyTorch, and sums of such conventions need not be slopes of
# anything.
