r"""
The node of a leaf
==================

A leaf has no ``grad_fn``, and yet the graph leads to it: through a node that adds what arrives to
``.grad``. All uses of the leaf share this node, so what arrives there has been added up already.
It is made when the leaf is first used and goes with the last graph that leads to it. This script
looks at the node, counts how often it runs, and then turns the leaf's flag off and on after the
forward pass. Look at the flag: it is read twice, at different times.
"""

# %%
# Three uses, one node
# --------------------
# ``p`` is used three times, ``q`` once. The edges to ``p`` are collected by a walk.

import weakref

import torch

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
p = torch.tensor([0.5, -1.5, 2.0], requires_grad=True)
q = torch.tensor([1.0, 3.0, -0.5], requires_grad=True)
product = p * p
mixed = p.exp() * q
loss = product.sum() + mixed.sum()
loss.grad_fn

# %%
# The same object over every edge
# -------------------------------
# Both edges of ``p * p`` and the one of ``p.exp()`` have the same end.

ends = [node for node, _ in product.grad_fn.next_functions]
ends += [node for node, _ in mixed.grad_fn.next_functions[0][0].next_functions]
assert all(end is ends[0] for end in ends)
print(len(ends), "edges,", len(set(ends)), "node; its leaf is p:", ends[0].variable is p)

# %%
# First of all that are ready
# ---------------------------
# Nodes are numbered as they are recorded, and of the nodes that are ready the engine takes the one
# with the highest number. An ``AccumulateGrad`` has the highest number there is: a gradient is
# stored as soon as it is complete.

node = ends[0]
assert node._sequence_nr() == 2**64 - 1
print("numbered 2**64 - 1:  ", node._sequence_nr() == 2**64 - 1)
print("later than any other:", node._sequence_nr() > loss.grad_fn._sequence_nr())
print("edges of its own:    ", len(node.next_functions))

# %%
# It runs once, on the sum
# ------------------------
# By hand, each use contributes: the two factors of ``p * p`` a ``p`` each, the exponential
# :math:`e^p \odot q`.
#
# .. math:: \bar{p} = p + p + e^{p} \odot q, \qquad \bar{q} = e^{p}

arrived = []
handle = node.register_prehook(lambda grads: arrived.append(grads[0].clone()))
loss.backward(retain_graph=True)
handle.remove()
with torch.no_grad():
    dp, dq = p + p + p.exp() * q, p.exp()
torch.testing.assert_close({"p": dp, "q": dq}, {"p": p.grad, "q": q.grad})  # by hand
assert len(arrived) == 1
print("runs:", len(arrived), " what arrived is the whole:", torch.equal(arrived[0], p.grad))

# %%
# It does not run for torch.autograd.grad
# ---------------------------------------
# A pass that returns gradients takes them before this node. A hook on the *tensor* sees them, a
# hook on the node does not.

seen = []
handles = [
    p.register_hook(lambda gradient: seen.append("tensor hook")),
    node.register_prehook(lambda grads: seen.append("node hook")),
]
torch.autograd.grad(loss, p, retain_graph=True)
print("grad:    ", seen)
seen.clear()
loss.backward(retain_graph=True)
print("backward:", seen)
assert seen == ["tensor hook", "node hook"]
for handle in handles:
    handle.remove()

# %%
# How long it lives
# -----------------
# A graph holds its nodes, and a leaf does not hold its own: when no graph leads to the leaf any
# more, the node goes, and the next use makes another. A tag in the node's ``metadata`` shows it.


class Tag:
    """An empty object that can be weakly referenced."""


leaf = torch.ones(3, requires_grad=True)
y, z = leaf * 2, leaf * 3
end = y.grad_fn.next_functions[0][0]
end.metadata["tag"] = tag = Tag()
alive = weakref.ref(tag)
del tag, end
print("reached from z as well:", "tag" in z.grad_fn.next_functions[0][0].metadata)
del y
print("one graph left, alive: ", alive() is not None)
del z
print("no graph left, alive:  ", alive() is not None)
assert alive() is None

# %%
# The flag is read when an operation runs
# ---------------------------------------
# Turned on after the forward pass, it comes too late: nothing was recorded, and the pass does not
# reach the leaf.

late = torch.tensor([1.0, 2.0, 3.0])
y = late * p
late.requires_grad_()
y.sum().backward()
assert late.grad is None
print("turned on later: ", late.grad)

# %%
# And read again when the gradient arrives
# ----------------------------------------
# Turned off after the forward pass, it has effect: the node runs, finds that its leaf requires no
# gradient, and stores none. :math:`p` does get :math:`\bar{p} = \text{early}`.

early = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
p.grad = None
y = early * p
ran = []
end = y.grad_fn.next_functions[0][0]
end.register_prehook(lambda grads: ran.append(True))
early.requires_grad_(False)
y.sum().backward()
dp = torch.tensor([1.0, 2.0, 3.0])
torch.testing.assert_close({"p": dp}, {"p": p.grad})  # by hand, autograd
assert early.grad is None
assert ran
print("turned off later:", early.grad, " its node ran:", bool(ran))

# %%
# A view of a leaf is no leaf
# ---------------------------
# It has a node, and so it may not be written to, or the leaf would change and lose what it is. The
# same line is allowed where nothing is recorded: this is how optimizers step.

for name, write in {"leaf": lambda: p.add_(1), "view": lambda: p[1:].add_(1)}.items():
    try:
        write()
    except RuntimeError as error:
        assert "leaf Variable that requires grad" in str(error)
        print(f"{name}: {error}")
with torch.no_grad():
    p[1:].add_(1)
print("under no_grad:", p.tolist(), " still a leaf:", p.is_leaf)

# %%
# A leaf that stopped being one
# -----------------------------
# A tensor that requires nothing may be written to, and what is written may have a history. Then it
# has one too. With ``t`` of which entries 1 and 2 came from :math:`q^2`, the gradient of
# :math:`\sum_i k_i t_i` is :math:`2 q_j k_{j+1}` for the first two entries of ``q`` and 0 for the
# last.

t, k = torch.zeros(3), torch.tensor([4.0, -1.0, 2.5])
print("before:", t.is_leaf, t.requires_grad)
q.grad = None
t[1:] = q[:2] ** 2
(t * k).sum().backward()
dq = torch.cat([2 * q.detach()[:2] * k[1:], torch.zeros(1)])
torch.testing.assert_close({"q": dq}, {"q": q.grad})  # by hand, autograd
print("after: ", t.is_leaf, t.requires_grad, t.grad_fn.name())

# %%
# What was seen
# -------------
# All uses of a leaf meet in one node, which runs once, as early as it can, and stores. It belongs
# to the graphs that lead to it. ``requires_grad`` decides twice: whether an operation is recorded,
# and whether a gradient that arrives is kept.
