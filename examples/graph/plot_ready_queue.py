r"""
The engine's queue, predicted
=============================

The engine that runs a backward pass follows three rules: a node waits for all its cotangents, of
the nodes that are ready the one recorded last runs first, and the node of a leaf counts as last of
all. Here the rules are a Python loop. It predicts the order of a small graph step by step, then of
two hundred random ones, and every prediction is compared with what hooks on the nodes wrote down.
With the nodes called as functions, the same loop is an engine. Look at the column of what waits.
"""

# %%
# A graph in which something waits
# --------------------------------
# ``a`` is used twice, so its node receives two cotangents and cannot run on the first.

import random

import torch

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
p = torch.tensor([0.5, -1.5, 2.0], requires_grad=True)
q = torch.tensor([1.0, 0.4, -0.8], requires_grad=True)
a = p.exp()
b = a.sin()
c = a * q
e = b * c
loss = e.sum()
loss.grad_fn

# %%
# How many cotangents each node waits for
# ---------------------------------------
# Walk from the root and count the edges that arrive. The counts are the first thing the engine
# computes in a pass.


def count_edges(root):
    """The nodes behind a root, and the number of edges that arrive at each."""
    missing, nodes = {root: 0}, [root]
    for node in nodes:  # the list grows while it is read
        for child, _ in node.next_functions:
            if child is not None:
                if child not in missing:
                    missing[child] = 0
                    nodes.append(child)
                missing[child] += 1
    return missing


names = {}
for name, tensor in {"a": a, "b": b, "c": c, "e": e, "loss": loss}.items():
    names[tensor.grad_fn] = name
names[a.grad_fn.next_functions[0][0]] = "p"
names[c.grad_fn.next_functions[1][0]] = "q"
for node, missing in count_edges(loss.grad_fn).items():
    kind = node.name().removeprefix("torch::autograd::")
    print(f"{names[node]:5}{kind:15} waits for {missing}")

# %%
# The queue
# ---------
# A node that has run takes one from the count of each node behind it, and one whose count is zero
# joins the queue. ``_sequence_nr`` is the number a node was given when it was recorded.


def predict(root, show=None):
    """The nodes in the order in which the engine will run them."""
    missing, ready, order = count_edges(root), [root], []
    while ready:
        node = max(ready, key=lambda node: node._sequence_nr())
        if show:
            show(node, ready, missing)
        ready.remove(node)
        order.append(node)
        for child, _ in node.next_functions:
            if child is not None:
                missing[child] -= 1
                if missing[child] == 0:
                    ready.append(child)
    return order


def row(node, ready, missing):
    waiting = [f"{names[n]} for {count}" for n, count in missing.items() if count]
    ready = ", ".join(sorted(names[n] for n in ready))
    print(f"{ready:10}{names[node]:7}{', '.join(waiting)}")


print(f"{'ready':10}{'runs':7}still waiting")
predicted = [names[node] for node in predict(loss.grad_fn, row)]

# %%
# What the engine did
# -------------------
# Hooks that hold names only write down each node as its turn comes. The gradients by hand, with
# :math:`\bar{a}` from both uses:
#
# .. math:: \bar{a} = \cos a \odot a \odot q + \sin a \odot q, \qquad
#    \bar{p} = \bar{a} \odot e^{p}, \qquad \bar{q} = \sin a \odot a

ran, handles = [], []
for node, name in names.items():
    handles.append(node.register_prehook(lambda grads, name=name: ran.append(name)))
loss.backward(retain_graph=True)
for handle in handles:
    handle.remove()
with torch.no_grad():
    da = a.cos() * a * q + a.sin() * q
    dp, dq = da * p.exp(), a.sin() * a
torch.testing.assert_close({"p": dp, "q": dq}, {"p": p.grad, "q": q.grad})  # by hand
assert ran == predicted
print("ran:", *ran)

# %%
# Two hundred random graphs
# -------------------------
# Sums, products and rows of stacks of whatever was computed before, up to sixty operations, several
# outputs in one loss.


def random_loss(seed):
    choose = random.Random(seed)
    values = [torch.rand(3, requires_grad=True) for _ in range(choose.randint(1, 5))]
    for _ in range(choose.randint(3, 60)):
        x, y = choose.choice(values), choose.choice(values)
        row = torch.stack([x, y, x]).unbind(0)[choose.randint(0, 2)]
        values.append(choose.choice([x * y, x + y, x.sin(), row, x.flip(0)]))
    ends = choose.sample(values, min(len(values), choose.randint(1, 6)))
    return sum((end * end).sum() for end in ends)


print("for example", len(count_edges(random_loss(7).grad_fn)), "nodes")

# %%
# Every one of them as predicted
# ------------------------------
# The nodes of leaves all have the same number, so which of several runs first is left open: they
# are written down as "leaf". Everything else has to agree, node by node.

total, as_predicted = 0, 0
for seed in range(200):
    root = random_loss(seed)
    expected = predict(root.grad_fn)
    label, ran = {}, []
    for number, node in enumerate(expected):
        label[node] = number if node.next_functions else "leaf"
    for node, name in label.items():
        node.register_prehook(lambda grads, name=name, ran=ran: ran.append(name))
    root.backward()
    total += len(ran)
    as_predicted += ran == list(label.values())
assert as_predicted == 200
print(f"{as_predicted} of 200 orders as predicted, {total} nodes in all")

# %%
# Leaves that are ready together
# ------------------------------
# Seven leaves receive their gradients from one node. Nothing promises an order among them, and it
# is not the order of the edges.

leaves = [torch.ones(2, requires_grad=True) for _ in range(7)]
stored = []
for number, leaf in enumerate(leaves):
    note = lambda _, number=number: stored.append(number)
    leaf.register_post_accumulate_grad_hook(note)
torch.stack(leaves).sum().backward()
print("stored:", stored)

# %%
# The loop as an engine
# ---------------------
# A node can be called: cotangents of the outputs go in, cotangents of the inputs come out. Keep
# what has arrived for each input, add what arrives twice, and the prediction computes gradients.
# The node of a leaf stores what it is called with, and returns nothing.


@torch.no_grad()
def backward(root, seed):
    arrived = {root: {0: seed}}
    for node in predict(root):
        inputs = arrived.pop(node)
        cotangents = node(*(inputs.get(number) for number in range(max(inputs) + 1)))
        if not isinstance(cotangents, tuple):
            cotangents = (cotangents,)
        for (child, number), cotangent in zip(node.next_functions, cotangents):
            if child is not None:
                there = arrived.setdefault(child, {})
                there[number] = there.get(number, 0) + cotangent


p.grad = q.grad = None
backward(loss.grad_fn, torch.ones(()))
torch.testing.assert_close(p.grad, dp)  # autograd took no part: two plain tensors
torch.testing.assert_close(q.grad, dq)
print("p.grad", p.grad)

# %%
# What was seen
# -------------
# Counting edges and taking the highest number predicts the order of every graph tried. What a pass
# adds to the order is a place for each cotangent that has arrived and not been used.
