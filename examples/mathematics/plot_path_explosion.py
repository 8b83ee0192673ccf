r"""
Two to the power of fifty paths
===============================

Doubling a value fifty times with ``y = y + y`` records fifty nodes, and each has two edges to the
one before it.
The number of paths from the end to the leaf is :math:`2^{50}`, about :math:`10^{15}`, and the
gradient is the sum over all of them.
A walk that follows each path makes :math:`2^{51} - 1` calls; a walk that waits at each node until
everything has arrived visits 51.
Look at the two curves of the figure: the exact answer costs no more than a chain does.
"""

# %%
# Fifty doublings
# ---------------
#
# The derivative of :math:`y + y` with respect to each of its two inputs is 1, so every path
# contributes exactly 1 and the gradient counts the paths:
#
# .. math:: y_{k+1} = y_k + y_k, \qquad
#           \frac{d y_{50}}{d x} = \sum_{\text{paths}} 1 = 2^{50} .

from collections import Counter

import matplotlib.pyplot as plt
import torch

grey = "#7a7a7a"  # readable on light and on dark
plt.rcParams.update({"figure.facecolor": "none", "axes.facecolor": "none", "text.color": grey,
                     "axes.labelcolor": grey, "axes.edgecolor": grey,
                     "xtick.color": grey, "ytick.color": grey})  # fmt: skip


def doublings(n):
    """x, and x doubled n times."""
    x = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    y = x
    for _ in range(n):
        y = y + y
    return x, y


# %%
# The gradient is a count
# -----------------------
#
# A power of two has one bit set, so float64 holds :math:`2^{50}` exactly and autograd returns it
# exactly.

x, y = doublings(50)
dx = torch.tensor(2.0**50, dtype=torch.float64)
y.backward()
torch.testing.assert_close({"x": dx}, {"x": x.grad})  # by hand, autograd
assert x.grad.item() == 2**50
print(f"{int(x.grad):,} = 2**50")

# %%
# Follow every path
# -----------------
#
# The shortest backward walk one can write calls itself for each edge.
# With :math:`C(n)` calls for :math:`n` doublings, :math:`C(0) = 1` and
# :math:`C(n) = 1 + 2\,C(n-1)`, hence :math:`C(n) = 2^{n+1} - 1`.


def calls(node):
    """Calls made by a recursion that visits a node once for each path that leads to it."""
    return 1 + sum(calls(target) for target, _ in node.next_functions if target is not None)


sizes = list(range(1, 16))
counted = [calls(doublings(n)[1].grad_fn) for n in sizes]
assert counted == [2 ** (n + 1) - 1 for n in sizes]
for n in (1, 2, 3, 5, 10, 15):
    print(f"n = {n:2}  calls {counted[n - 1]:6,}")

# %%
# How much each node has to wait for
# ----------------------------------
#
# One walk over the graph, each node once, counts the edges that lead to each node.


def arrivals(root):
    """For each node, the number of edges that lead to it."""
    count, waiting = {root: 0}, [root]
    while waiting:
        for target, _ in waiting.pop().next_functions:
            if target not in count:
                count[target] = 0
                waiting.append(target)
            count[target] += 1
    return count


for edges, nodes in sorted(Counter(arrivals(y.grad_fn).values()).items()):
    print(f"nodes with {edges} edges that lead to them: {nodes}")

# %%
# Wait until everything has arrived
# ---------------------------------
#
# Now run a node only when that many contributions have been added to it.
# The last operation starts with 1, and with slopes of 1 what is passed along is a number of paths.


def sweep(root):
    """The nodes in the order in which they run, and the number of paths from root to each."""
    missing = arrivals(root)
    paths = dict.fromkeys(missing, 0) | {root: 1}
    order, ready = [], [root]
    while ready:
        node = ready.pop()
        order.append(node)
        for target, _ in node.next_functions:
            paths[target] += paths[node]
            missing[target] -= 1
            if missing[target] == 0:
                ready.append(target)
    return order, paths


# %%
# Each node once
# --------------
#
# The same graph of fifty doublings, run in that order: each edge is followed once.

order, paths = sweep(y.grad_fn)
edges = sum(len(node.next_functions) for node in order)
assert [paths[node] for node in order] == [2**k for k in range(51)]
torch.testing.assert_close(torch.tensor(float(paths[order[-1]]), dtype=torch.float64), dx)
print(f"paths to {order[-1].name()}: {paths[order[-1]]:,}")
print(f"nodes run: {len(order)}, edges followed: {edges}")

# %%
# Calls against visits
# --------------------
#
# On a logarithmic axis the recursion is a straight line: it multiplies by two with each doubling.
# The sweep adds one.

figure, axes = plt.subplots(figsize=(7, 3.5), layout="constrained")
visits = [len(sweep(doublings(n)[1].grad_fn)[0]) for n in sizes]
axes.semilogy(sizes, counted, "o-", color="#D55E00", label="calls of the recursion")
axes.semilogy(sizes, visits, "s-", color="#0072B2", label="nodes visited by the sweep")
axes.set(xlabel="number of doublings", ylabel="nodes visited, repeats counted")
axes.legend(frameon=False)
plt.show()

# %%
# Parallel edges in the drawing
# -----------------------------
#
# Three doublings: two lines between each pair of neighbours, eight paths from the root to the leaf.
# A backward pass through it returns their number.

x, y = doublings(3)
y.backward()
print("gradient", x.grad.item())
y.grad_fn

# %%
# What was seen
# -------------
#
# The sum over paths defines the gradient; it is not how one computes it.
# Adding what arrives at a node before going on uses each edge once, and the work is that of the
# forward pass however many paths there are.
