r"""
What keeps a graph alive
========================

A graph is freed like any other object: with the last reference to it. What it saved goes earlier,
while a backward pass runs. Weak references show both, since they tell whether an object is alive
without keeping it so. Three training loops that report the same running loss keep everything, the
nodes only, or nothing. Look at the figure: which curves lie at zero on the left, and which on the
right.
"""

# %%
# Two kinds of witness
# --------------------
# A weak reference tells whether an object is alive and does not keep it so. A tensor's bytes
# belong to its storage, so a weak reference to the storage tells whether they are still there.

import weakref

import matplotlib.pyplot as plt
import torch

grey = "#7a7a7a"  # readable on light and on dark
plt.rcParams.update({"figure.facecolor": "none", "axes.facecolor": "none", "text.color": grey,
                     "axes.labelcolor": grey, "axes.edgecolor": grey,
                     "xtick.color": grey, "ytick.color": grey})  # fmt: skip

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)


def alive(witnesses):
    return sum(witness() is not None for witness in witnesses)


t = torch.ones(3)
witness = weakref.ref(t.untyped_storage())
t = t.view(3, 1)  # another tensor, the same storage
print("storage with a view of it left:", alive([witness]))
del t
print("storage with nothing left:     ", alive([witness]))

# %%
# A tag for every node
# --------------------
# Nodes of PyTorch's own cannot be weakly referenced, so each gets a tag that can. The
# ``AccumulateGrad`` nodes of the leaves are left out: several graphs may have one in common.


class Tag:
    """An empty object that lives as long as the node whose metadata holds it."""


def tag_nodes(root):
    """Weak references to the tags of root and the operation nodes behind it."""
    tags, nodes = [], [root]
    for node in nodes:  # the list grows while it is read
        node.metadata["tag"] = tag = Tag()
        tags.append(weakref.ref(tag))
        for child, _ in node.next_functions:
            if child is not None and child.next_functions and child not in nodes:
                nodes.append(child)
    return tags


x = torch.rand(6, requires_grad=True)
loss = x.sin().exp().sum()
tags = tag_nodes(loss.grad_fn)
print(len(tags), "nodes tagged,", alive(tags), "alive")

# %%
# Nodes: from the forward pass to the last reference
# --------------------------------------------------
# A backward pass does not end a node's life. Dropping the tensor that leads to it does, with or
# without a backward pass.

loss.backward()
print("nodes after backward:", alive(tags))
assert alive(tags) == len(tags) > 0
del loss
print("nodes after del loss:", alive(tags))
assert not alive(tags)

# %%
# What counts as a reference
# --------------------------
# One forward pass each time, and one thing kept from it. An intermediate keeps the part of the
# graph behind it; a detached tensor and a Python number keep nothing.

keepers = {
    "loss": lambda loss, h: loss,
    "[loss]": lambda loss, h: [loss],
    "loss.grad_fn": lambda loss, h: loss.grad_fn,
    "h": lambda loss, h: h,
    "loss.detach()": lambda loss, h: loss.detach(),
    "loss.item()": lambda loss, h: loss.item(),
}
living = {}
for text, keep in keepers.items():
    h = x.sin()
    loss = h.exp().sum()
    tags, kept = tag_nodes(loss.grad_fn), keep(loss, h)
    del loss, h
    living[text] = alive(tags)
    print(f"kept {text:14} {living[text]} of {len(tags)} nodes alive")
assert list(living.values()) == [3, 3, 3, 1, 0, 0]

# %%
# Saved tensors: freed one by one, while the pass runs
# ----------------------------------------------------
# Each ``sin`` saves its input. A pre-hook on each of those nodes counts, when its turn comes, how
# many of the six storages are alive. A node frees what it saved as soon as it has run.


def chain(length):
    """x through length sines; returns the end, the storages saved on the way, counts to come."""
    end, storages, counts = x * 1, [], []
    for _ in range(length):
        storages.append(weakref.ref(end.untyped_storage()))
        end = end.sin()
        end.grad_fn.register_prehook(lambda grads: counts.append(alive(storages)))
    return end.sum(), storages, counts


loss, storages, counts = chain(6)
loss.backward()
print("default:     ", counts, "and after the pass", alive(storages))
assert [*counts, alive(storages)] == [6, 5, 4, 3, 2, 1, 0]
loss, storages, counts = chain(6)
loss.backward(retain_graph=True)
print("retain_graph:", counts, "and after the pass", alive(storages))
assert [*counts, alive(storages)] == [6] * 7

# %%
# One training step
# -----------------
# A linear model with a tanh and a mean-squared loss, ``N`` examples a step. The backward pass needs
# the result of the tanh and, for the product, ``r``. After the step the graph alone holds both.

N, D, steps = 50, 8, 12
batches = [(torch.randn(N, D), torch.randn(N)) for _ in range(steps)]


def step(w, X, t):
    """The loss of one batch, and witnesses of the two storages its graph saved."""
    h = (X @ w).tanh()
    r = h - t
    return (r * r).mean(), [weakref.ref(h.untyped_storage()), weakref.ref(r.untyped_storage())]


start = torch.randn(D)
loss, saved = step(start.clone().requires_grad_(), *batches[0])
print([witness().nbytes() for witness in saved], "bytes before backward")
loss.backward()
print(alive(saved), "storages after backward")

# %%
# A running loss, counted
# -----------------------
# A running loss over all steps, with ``.grad`` left to add up. After each step the bytes and the
# nodes of all steps so far that are still alive are counted.


def train(w, how):
    total, saved, tags, history = 0.0, [], [], []
    for X, t in batches:
        loss, witnesses = step(w, X, t)
        saved += witnesses
        tags += tag_nodes(loss.grad_fn)
        if how != "total += loss":
            loss.backward()
        total += loss.item() if how.endswith("item()") else loss
        del loss
        history.append((sum(s().nbytes() for s in saved if s() is not None), alive(tags)))
    return total, history


first_step = train(start.clone().requires_grad_(), "total += loss")[1][0]
print("after the first step, without a backward pass:", *first_step, "(bytes, nodes)")

# %%
# Three ways to add up the loss
# -----------------------------
# The same loop three times, from the same start.

ways = ("total += loss", "backward, total += loss", "backward, total += loss.item()")
weights = {how: start.clone().requires_grad_() for how in ways}
results = {how: train(weights[how], how) for how in ways}
for how in ways:
    kept_bytes, kept_nodes = results[how][1][-1]
    print(f"{how:31} {kept_bytes:5} bytes saved and {kept_nodes:2} nodes alive")
    assert (kept_bytes > 0, kept_nodes > 0) == (how == ways[0], how != ways[2])

# %%
# Alive after each step
# ---------------------
# Without a backward pass both grow. A backward in each step frees what was saved, and the nodes
# still pile up behind ``total``, which is itself a node. The number of the loss keeps nothing.

fig, axes = plt.subplots(1, 2, figsize=(7, 3.5))
for how, color, marker in zip(ways, ("#d55e00", "#0072b2", "#009e73"), "os^"):
    for axis, kept in zip(axes, zip(*results[how][1])):
        axis.plot(range(1, steps + 1), kept, color=color, marker=marker,
                  markersize=12 - 4 * ways.index(how), label=how)  # fmt: skip
ticks = range(0, steps + 1, 3)
axes[0].set(xlabel="step", xticks=ticks, ylabel="saved for backward (bytes)")
axes[1].set(xlabel="step", xticks=ticks, ylabel="nodes of past steps")
fig.legend(*axes[0].get_legend_handles_labels(), loc="upper center", ncol=3, frameon=False)
fig.tight_layout(rect=(0, 0, 1, 0.9))
plt.show()

# %%
# The gradients do not differ
# ---------------------------
# One backward of the total gives what twelve small ones added up, so nothing was bought with the
# memory. With :math:`h = \tanh(Xw)` and :math:`r = h - t`, summed over the steps,
#
# .. math::
#
#    \bar{w} = \sum_{\text{steps}} X^\top \left( \tfrac{2}{N}\, r \odot (1 - h \odot h) \right)

results["total += loss"][0].backward()
dw = torch.zeros(D)
for X, t in batches:
    h = (X @ start).tanh()
    dw += X.T @ (2 / N * (h - t) * (1 - h * h))
torch.testing.assert_close(
    dict.fromkeys(ways, dw),  # by hand
    {how: w.grad for how, w in weights.items()},  # autograd
)
print("w.grad", weights["total += loss"].grad, sep="\n")

# %%
# What was seen
# -------------
# A saved tensor dies when its node has run, unless the pass retains it; a node dies with the last
# reference to anything in front of it. A running loss that is a tensor is such a reference.
