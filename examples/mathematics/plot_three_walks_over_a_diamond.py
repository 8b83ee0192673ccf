r"""
Three walks over a diamond
==========================

Two branches that part and meet again make a diamond, and a diamond is where a backward pass written
in five lines goes wrong. Four such passes walk over the graph that PyTorch recorded and call its
own nodes, so that the local derivatives are right. One passes on too much, one too little, one goes
round again with what is new, and one waits. Look at what the two wrong ones return: numbers of the
right shape, and no error.
"""

# %%
# A diamond
# ---------
# ``p`` is used twice and both uses meet in ``y``. With :math:`p = x^2`, :math:`a = \sin p`,
# :math:`b = 3p` and :math:`y = ab`,
#
# .. math:: \bar{p} = b \cos p + 3a, \qquad \bar{x} = 2x\,\bar{p} .

import matplotlib.pyplot as plt
import torch

grey = "#7a7a7a"  # readable on light and on dark
plt.rcParams.update({"figure.facecolor": "none", "axes.facecolor": "none", "text.color": grey,
                     "axes.labelcolor": grey, "axes.edgecolor": grey,
                     "xtick.color": grey, "ytick.color": grey})  # fmt: skip
torch.set_default_dtype(torch.float64)

x = torch.tensor(0.8, requires_grad=True)
p = x**2
a = torch.sin(p)
b = 3 * p
y = a * b
value = x.detach()
dp = 3 * value**2 * torch.cos(value**2) + 3 * torch.sin(value**2)
dx = 2 * value * dp
grads = torch.autograd.grad(y, (p, x), retain_graph=True)
by_autograd = dict(zip("px", grads, strict=True))
torch.testing.assert_close({"p": dp, "x": dx}, by_autograd)  # by hand first
print("gradient of p", dp.item(), " of x", dx.item())

# %%
# Calling a node
# --------------
# A node can be called: it takes the cotangent of its output and returns one for each edge. Adding
# up what arrives is left to the caller. The node of a leaf is where a walk ends.


def cotangents(node, arrived):
    """Pairs of the next node and what it receives; the node of a leaf has none."""
    if not node.next_functions:
        return []
    sent = node(arrived)
    sent = sent if isinstance(sent, tuple) else (sent,)
    return [(to, s) for (to, _), s in zip(node.next_functions, sent) if to is not None]


for target, sent in cotangents(y.grad_fn, torch.ones(())):
    print(y.grad_fn.name(), "sends", round(sent.item(), 6), "to", target.name())

# %%
# Pass on what has gathered
# -------------------------
# Add what arrives to the node's total, then go on with the total. At the second arrival the first
# is passed on once more.


def greedy(node, arrived, totals):
    totals[node] = totals.get(node, 0) + arrived
    for target, sent in cotangents(node, totals[node]):
        greedy(target, sent, totals)
    return totals


# %%
# Never go twice
# --------------
# Mark each node at its first visit and turn back at the second. What arrives then has nowhere to
# go.


def marked(node, arrived, totals):
    if node not in totals:
        totals[node] = arrived
        for target, sent in cotangents(node, arrived):
            marked(target, sent, totals)
    return totals


# %%
# Pass on what is new
# -------------------
# Go on at once, but with the new part alone. That is right: each walk to the end is one path. It is
# also slow, since what lies behind a meeting point is walked once for each path to it.

calls = []


def new_part(node, arrived, totals):
    totals[node] = totals.get(node, 0) + arrived
    calls.append(node)
    for target, sent in cotangents(node, arrived):
        new_part(target, sent, totals)
    return totals


# %%
# Wait
# ----
# Order the nodes so that none stands before one that leads to it, and give each the sum of all that
# it was sent.


def waiting(root, arrived):
    order, seen, stack = [], set(), [(root, iter(root.next_functions))]
    while stack:
        node, edges = stack[-1]
        target = next((t for t, _ in edges if t is not None and t not in seen), None)
        if target is None:
            order.append(stack.pop()[0])
        else:
            seen.add(target)
            stack.append((target, iter(target.next_functions)))
    totals = {root: arrived}
    for node in reversed(order):
        for target, sent in cotangents(node, totals[node]):
            totals[target] = totals.get(target, 0) + sent
    return totals


# %%
# Four answers
# ------------
# All four call the same nodes. Two of them return the derivative.

one = torch.ones(())
walks = {
    "greedy": lambda root: greedy(root, one, {}),
    "marked": lambda root: marked(root, one, {}),
    "new part": lambda root: new_part(root, one, {}),
    "waiting": lambda root: waiting(root, one),
}
leaf = p.grad_fn.next_functions[0][0]
answers = {name: walk(y.grad_fn)[leaf] for name, walk in walks.items()}
for name, answer in answers.items():
    print(f"{name:8} {answer.item():.6f}, {answer.item() / dx.item():.4f} of the gradient")
torch.testing.assert_close(answers["waiting"], dx)
torch.testing.assert_close(answers["new part"], dx)

# %%
# What the wrong ones computed
# ----------------------------
# Both answers are sums of the right terms. The first counts the branch that arrives first twice,
# the second leaves out the one that arrives last:
#
# .. math:: 2x\,(2\,b\cos p + 3a), \qquad 2x\,b\cos p .

first = 2 * value * 3 * value**2 * torch.cos(value**2)
last = 2 * value * 3 * torch.sin(value**2)
torch.testing.assert_close(answers["greedy"], 2 * first + last)
torch.testing.assert_close(answers["marked"], first)
torch.testing.assert_close(first + last, dx)
print("first branch", first.item(), " last branch", last.item())

# %%
# Diamonds in a row
# -----------------
# With ``y = y + y`` repeated, the gradient is a power of two. One wrong walk stays at 1 for ever,
# and the other outgrows the truth.

depths = range(1, 7)
results = {name: [] for name in walks}
for depth in depths:
    chain = torch.tensor(1.0, requires_grad=True)
    for _ in range(depth):
        chain = chain + chain
    for name, walk in walks.items():
        totals = walk(chain.grad_fn)
        end = next(node for node in totals if not node.next_functions)
        results[name].append(totals[end].item())
for name, series in results.items():
    print(f"{name:8}", series)
calls.clear()
new_part(chain.grad_fn, one, {})
assert len(calls) == 2 ** (depth + 1) - 1
print(f"{depth} diamonds, passing on what is new: {len(calls)} visits to {depth + 1} nodes")
assert results["waiting"] == results["new part"] == [2.0**depth for depth in depths]
assert results["marked"] == [1.0 for _ in depths]

# %%
# Right shapes, wrong numbers
# ---------------------------
# With one diamond the greedy walk still agrees with the gradient, since nothing lies behind the
# meeting point; from the second on it does not.

figure, axes = plt.subplots(figsize=(7, 3.5), layout="constrained")
marks = (("^-", "#d55e00", "greedy: passes on too much"), ("o-", "#e69f00", "marked: never twice"),
         ("s-", "#0072b2", "waiting: the gradient"))  # fmt: skip
for name, (style, color, label) in zip(("greedy", "marked", "waiting"), marks):
    axes.semilogy(depths, results[name], style, color=color, label=label)
axes.set(xlabel="diamonds in a row", ylabel="gradient returned", xticks=list(depths))
axes.legend(frameon=False)
plt.show()

# %%
# The diamond
# -----------
# The two branches meet in the node of the square, which runs once and receives their sum.

y.backward(retain_graph=True)
y.grad_fn

# %%
# What was seen
# -------------
# The rule that each node applies is the easy part of a backward pass. What is difficult is the
# order: a node may run when all that leads to it has run, and not before.
