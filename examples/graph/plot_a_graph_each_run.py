r"""
A graph for each run
====================

The graph grows while the forward pass runs, a node for each operation, and the next forward pass
makes other nodes. So a function with a loop and a branch in it has no graph of its own: each run
has one, of the branches that were taken. Here a function decides by looking at its values how
often to go round and what to do, and the derivative of the path it took is written by hand. Look
at the two drawings: one function, two graphs.
"""

# %%
# A node for each line, as it runs
# --------------------------------
# The number of nodes behind the latest result, the leaf's own included, after each line. No
# backward pass has been near it.

import torch

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)


def nodes_of(root):
    nodes = [root]
    for node in nodes:  # the list grows while it is read
        for child, _ in node.next_functions:
            if child is not None and child not in nodes:
                nodes.append(child)
    return nodes


x = torch.tensor([0.5, -1.5, 2.0], requires_grad=True)
y = x * x
print("y = x * x     ", len(nodes_of(y.grad_fn)))
y = y + x
print("y = y + x     ", len(nodes_of(y.grad_fn)))
loss = y.sum()
print("loss = y.sum()", len(nodes_of(loss.grad_fn)))
assert len(nodes_of((x * x).grad_fn)) == 2  # the leaf's node is met twice, and listed once
assert len(nodes_of(loss.grad_fn)) == 4

# %%
# A backward pass adds nothing and takes no node away
# ---------------------------------------------------
# The nodes before and after are the same objects. The gradient is that of :math:`\sum x_i^2 +
# x_i`.

before = nodes_of(loss.grad_fn)
loss.backward()
after = nodes_of(loss.grad_fn)
dx = 2 * x.detach() + 1
torch.testing.assert_close({"x": dx}, {"x": x.grad})  # by hand, autograd
assert before == after
print("nodes before and after:", len(before), len(after), " the same:", before == after)

# %%
# The next forward pass makes other nodes
# ---------------------------------------
# The same three operations once more. Only the leaf's node is shared: graphs that live together
# have it in common. What tells two nodes apart is identity, ``is``: addresses that Python prints
# are used again.

again = nodes_of((x * x + x).sum().grad_fn)
shared = [node for node in again if node in after]
assert len(shared) == 1
assert shared[0].variable is x
print("shared:", [node.name().removeprefix("torch::autograd::") for node in shared])
print("asked twice, one node:", loss.grad_fn is loss.grad_fn)

# %%
# A function that decides
# -----------------------
# While an entry is larger than 1 the vector is halved and lowered if its sum is positive, and
# squashed with a tanh and raised otherwise. ``path`` notes what was done.


def settle(x):
    path = ""
    while x.abs().max() > 1:
        if x.sum() > 0:
            x, path = 0.5 * x - 0.4, path + "h"
        else:
            x, path = x.tanh() + 0.3, path + "t"
    return x, path


starts = {
    "first": [3.0, -3.0, 4.5],
    "second": [-5.5, 4.5, -2.0],
    "third": [0.2, -0.4, 0.9],
}
leaves = {name: torch.tensor(start, requires_grad=True) for name, start in starts.items()}
runs = {name: settle(leaf) for name, leaf in leaves.items()}
for name, (result, path) in runs.items():
    count = 0 if path == "" else len(nodes_of(result.grad_fn))
    print(f"{name:7} path {path or 'none':5} nodes {count}  returned its argument:", end=" ")
    print(result is leaves[name])

# %%
# The first run
# -------------
# Two halvings and a tanh, each with its addition. Nothing in this graph knows that there was a
# loop.

first = runs["first"][0]
first.grad_fn

# %%
# The second run
# --------------
# Another start, another path, other nodes. The sums that were compared with 0 are in neither
# graph: they were recorded as well, but nothing that was returned leads to them.

second = runs["second"][0]
second.grad_fn

# %%
# The gradient of the path
# ------------------------
# Along a path the slopes multiply: ½ for a halving, :math:`1 - \tanh^2` for a squashing, for each
# entry. With weights ``u`` for the entries of the result,
#
# .. math::
#
#    \bar{x} = u \odot \prod_k \sigma_k, \qquad
#    \sigma_k = \tfrac12 \ \text{or}\ 1 - \tanh^2 x_k .
#
# The conditions contribute nothing. They are treated as if no small change could reverse them.

u = torch.tensor([1.0, -2.0, 0.7])


def by_hand(start, path):
    value, slope = torch.tensor(start), torch.ones(3)
    for step in path:
        if step == "h":
            value, slope = 0.5 * value - 0.4, 0.5 * slope
        else:
            squashed = value.tanh()
            value, slope = squashed + 0.3, (1 - squashed * squashed) * slope
    return u * slope


torch.testing.assert_close(
    {name: by_hand(starts[name], path) for name, (_, path) in runs.items()},  # by hand
    {name: torch.autograd.grad(y, leaves[name], u)[0] for name, (y, _) in runs.items()},  # autograd
)
print("gradient of the second run", by_hand(starts["second"], runs["second"][1]))

# %%
# What was seen
# -------------
# Forward operations build the graph, and a backward pass neither adds nodes nor removes any. A loop
# is as many nodes as it had rounds, and a branch not taken has none.
