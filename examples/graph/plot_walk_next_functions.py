r"""
Walking the graph by hand
=========================

Everything a picture of a backward graph shows can be read in plain PyTorch: a tensor's
``grad_fn`` is its node, and a node's ``next_functions`` are its edges, each a pair of a node and
an input number. This script walks a small graph that has the cases a careless walk gets wrong:
two parallel edges, an edge that leads nowhere, a node with two outputs, and a chain too deep for
recursion. Look at the second number of each pair, which is easily dropped.
"""

# %%
# Five operations
# ---------------
# The rows of ``M`` come out of one operation with two outputs. The first row is multiplied by
# itself, then by the second row, then by a constant ``c`` that requires no gradient.

import sys
import weakref

import torch

torch.manual_seed(0)
M = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
c = torch.tensor([0.5, -2.0, 3.0], dtype=torch.float64)
top, bottom = M.unbind(0)
square = top * top
product = square * bottom
scaled = product * c
loss = scaled.sum()
print("nodes of the six results:")
print(*(t.grad_fn.name() for t in (top, bottom, square, product, scaled, loss)), sep=", ")

# %%
# The graph as the build draws it
# -------------------------------
# Everything in this drawing is found again below, with a loop.

loss.grad_fn

# %%
# A walk with a loop
# ------------------
# Nodes are numbered when first met, so the numbers follow from the graph and not from addresses.
# An edge keeps both of its numbers, its place in ``next_functions`` and the input it arrives at.


def walk(root):
    """Number every node once, and list every edge as (from, place, to, input number)."""
    number, queue, edges = {root: 0}, [root], []
    for node in queue:  # the list grows while it is read: a queue, and no recursion
        for place, (child, input_nr) in enumerate(node.next_functions):
            if child is not None and child not in number:
                number[child] = len(queue)
                queue.append(child)
            edges.append((number[node], place, number.get(child), input_nr))
    return queue, edges


nodes, edges = walk(loss.grad_fn)
for number, node in enumerate(nodes):
    print(number, node.name())

# %%
# The edges
# ---------
# An edge leaves a node at the place of one forward input and arrives at a numbered input of the
# next node. Input ``i`` of a backward node is the gradient of the operation's output ``i``:
# ``top`` and ``bottom`` are outputs 0 and 1 of one node, which takes two gradients.

for start, place, end, input_nr in edges:
    target = "nothing" if end is None else f"node {end}, input {input_nr}"
    print(f"node {start}, forward input {place} -> {target}")
assert len(edges) == 8
assert [edge[2:] for edge in edges if edge[0] == 3] == [(4, 0), (4, 0)]
assert (2, 1, 4, 1) in edges
print("output numbers of top and bottom:", top.output_nr, bottom.output_nr)

# %%
# Parallel edges, and an edge to nowhere
# --------------------------------------
# ``top * top`` has two edges with the same end: the gradient must arrive twice. A walk that
# collects neighbours in a set keeps one of them. The constant is an edge too, ``(None, 0)``, so
# that place ``k`` always belongs to forward input ``k``.

print([(child.name(), input_nr) for child, input_nr in square.grad_fn.next_functions])
print([(child and child.name(), input_nr) for child, input_nr in scaled.grad_fn.next_functions])
real = [(start, end) for start, _, end, _ in edges if end is not None]
print(f"{len(nodes)} nodes, {len(edges)} edges, of which {len(real)} lead to a node")
print(f"pairs of neighbours, kept in a set: {len(set(real))}")

# %%
# The number decides the gradient
# -------------------------------
# With :math:`t` and :math:`b` the rows of ``M``, the loss is :math:`\sum_i t_i t_i b_i c_i`. The
# two parallel edges add up to a factor 2, and the input number decides which row receives what:
#
# .. math:: \bar{t} = 2\, t \odot b \odot c, \qquad \bar{b} = t \odot t \odot c
#
# Lose an edge and the first row is half of this; lose the numbers and the rows are mixed up.

t, b = M.detach().unbind(0)
dM = torch.stack([2 * t * b * c, t * t * c])
loss.backward()
torch.testing.assert_close({"M": dM}, {"M": M.grad})  # by hand, autograd
print("M.grad", M.grad, sep="\n")

# %%
# Not a tensor, not a Function
# ----------------------------
# A node is a backward operation: no tensor, and not a :class:`torch.autograd.Function` that could
# run the forward. The rule of a product has no use for the output either: it can be freed while the
# node lives. An ``AccumulateGrad`` holds the leaf it belongs to.

x = torch.ones(3, requires_grad=True)
output = x * 2
node, alive = output.grad_fn, weakref.ref(output)
print("Node:", isinstance(node, torch.autograd.graph.Node))
print("Tensor:", isinstance(node, torch.Tensor))
print("Function:", isinstance(node, torch.autograd.Function))
del output
assert alive() is None
print("the output is alive:", alive() is not None)
print("the leaf is held:", node.next_functions[0][0].variable is x)

# %%
# A chain deeper than Python's stack
# ----------------------------------
# Graphs of recurrent models are deep. The loop above does not mind; a recursive walk ends at
# Python's recursion limit.


def count_recursively(node):
    return 1 + sum(count_recursively(child) for child, _ in node.next_functions if child)


deep = x
for _ in range(2 * sys.getrecursionlimit()):
    deep = deep + 1
queue, _ = walk(deep.grad_fn)
print("the loop meets every node:", len(queue) == 2 * sys.getrecursionlimit() + 1)
try:
    count_recursively(deep.grad_fn)
except RecursionError as error:
    print("the recursion ends with", type(error).__name__)
else:
    raise AssertionError("the recursion came to an end")

# %%
# What was seen
# -------------
# Nodes are backward operations and edges are (node, input number) pairs. Both numbers of an edge,
# its place and its input number, carry information: parallel edges add, and a node with several
# outputs is entered by number.
