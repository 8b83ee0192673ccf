r"""
Who frees what, and when
========================

A graph of five nodes that save, and eight things that may happen to it: a pass, a pass that
retains, one that goes to a single leaf, one that fails half way, a name deleted, a loss in a list.
After each, weak references tell how many of the saved tensors and of the nodes are alive. The
counts are predicted from two rules. Look at the pass that fails: it has freed exactly what it ran.
"""

# %%
# A graph with two branches
# -------------------------
# Three sines behind ``x`` and two behind ``w``, each of which saves its argument. No name is left
# for anything but the loss, so that what is alive is alive because of it.

# no hand-derived gradient: what is predicted by hand here are counts

import contextlib
import weakref

import torch

torch.manual_seed(0)


class Tag:
    """An empty object that lives as long as the node whose metadata holds it."""


def build(fail=False):
    """The leaves, the loss, and witnesses of the storages saved and of the nodes."""
    x, w = torch.rand(4, requires_grad=True), torch.rand(3, requires_grad=True)
    storages, nodes, ends = [], [], []
    for leaf, length in ((x, 3), (w, 2)):
        h = leaf * 1
        for number in range(length):
            storages.append(weakref.ref(h.untyped_storage()))
            h = h.sin()
            h.grad_fn.metadata["tag"] = tag = Tag()
            nodes.append(weakref.ref(tag))
            if fail and leaf is x and number == 1:
                h.register_hook(lambda gradient: 1 / 0)
        ends.append(h.sum())
    return x, w, ends[0] + ends[1], storages, nodes


def alive(witnesses):
    return sum(witness() is not None for witness in witnesses)


x, w, loss, storages, nodes = build()
print("after the forward pass:", alive(storages), "saved,", alive(nodes), "nodes")

# %%
# What may happen
# ---------------
# Each takes the loss and the leaves, and returns what it keeps.


def forget(loss, x, w):
    return None


def backward(loss, x, w):
    loss.backward()
    return loss


def retain(loss, x, w):
    loss.backward(retain_graph=True)
    return loss


def grad_of_x(loss, x, w):
    torch.autograd.grad(loss, x)
    return loss


def both_in_turn(loss, x, w):
    torch.autograd.grad(loss, x)
    torch.autograd.grad(loss, w)
    return loss


def in_a_list(loss, x, w):
    return [loss]


def fail_half_way(loss, x, w):
    with contextlib.suppress(ZeroDivisionError):
        loss.backward()
    return loss


def item(loss, x, w):
    return loss.item()


print("eight events")

# %%
# Predicted
# ---------
# Two rules: a pass frees what the nodes it ran had saved, unless it retains; and a node, with what
# it still keeps, lives as long as something leads to it. The failing pass runs the branch of ``w``,
# whose sum was recorded last, then the last sine of ``x``, and raises before the second, whose
# result has the hook. It has run three of the five.

predicted = {
    forget: (0, 0),
    backward: (0, 5),
    retain: (5, 5),
    grad_of_x: (2, 5),
    both_in_turn: (0, 5),
    in_a_list: (5, 5),
    fail_half_way: (2, 5),
    item: (0, 0),
}
print({event.__name__: counts for event, counts in predicted.items()})

# %%
# Counted
# -------
# The counts agree, and afterwards the kept thing is dropped, which frees the rest.

for event, counts in predicted.items():
    x, w, loss, storages, nodes = build(fail=event is fail_half_way)
    kept = event(loss, x, w)
    del loss
    found = alive(storages), alive(nodes)
    torch.testing.assert_close(torch.tensor(counts), torch.tensor(found))
    del kept
    assert alive(storages) == alive(nodes) == 0
    print(f"{event.__name__:14} {found[0]} of 5 saved, {found[1]} of 5 nodes")

# %%
# What a failed pass leaves
# -------------------------
# The branch that ran is used up, and its leaf has its gradient. The other leaf has none, and its
# first two sines could still run. The loss cannot.

x, w, loss, storages, nodes = build(fail=True)
fail_half_way(loss, x, w)
print("x.grad:", x.grad, " w.grad:", w.grad)
try:
    loss.backward()
except RuntimeError as error:
    print("again:", str(error).split(" (")[0])

# %%
# What was seen
# -------------
# Saved tensors are freed by the pass that runs their node, also in a pass that does not come to its
# end, or with the node. Nodes go when nothing leads to them any more.
