r"""
A training step, line by line
=============================

A training loop is five lines, and each does one thing to the graph, to ``.grad`` or to the
parameters. Here the lines run one at a time, over two iterations, and after each the script counts
what is alive: nodes, bytes saved for backward, gradients, changes of the parameters. Then the
gradients are derived by hand, and the parameters after two steps of plain SGD with them. Look at
the line of the second forward pass, where two graphs exist at once.
"""

# %%
# A model and its optimizer
# -------------------------
# A linear layer, a tanh, a linear layer without bias, and a mean-squared loss. ``N`` examples with
# ``D`` inputs, ``H`` hidden units, ``K`` outputs; two batches, one for each iteration.

import weakref

import torch

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
N, D, H, K, rate = 6, 4, 3, 2, 0.1
batches = [(torch.randn(N, D), torch.randn(N, K)) for _ in range(2)]
model = torch.nn.Sequential(
    torch.nn.Linear(D, H), torch.nn.Tanh(), torch.nn.Linear(H, K, bias=False)
)
start = {name: p.detach().clone() for name, p in model.named_parameters()}
optimizer = torch.optim.SGD(model.parameters(), lr=rate)
mse_loss = torch.nn.functional.mse_loss
print({name: tuple(value.shape) for name, value in start.items()})

# %%
# The graph of one loss
# ---------------------
# What the forward pass records, drawn before anything is trained. The lines below build one such
# graph in every iteration.

mse_loss(model(batches[0][0]), batches[0][1]).grad_fn

# %%
# Witnesses
# ---------
# Weak collections tell what is alive and do not keep it so. A hook enters each storage at the
# moment it is saved, unless it is data or a weight, and each node gets a tag. The leaves'
# ``AccumulateGrad`` nodes are left out: several graphs may have one in common.

own = {t.untyped_storage().data_ptr() for t in (*model.parameters(), *sum(batches, ()))}
storages, tags = weakref.WeakValueDictionary(), weakref.WeakSet()


class Tag:
    """Lives as long as the node whose metadata holds it."""


def pack(t):
    storage = t.untyped_storage()
    if storage.data_ptr() not in own:
        storages[storage.data_ptr()] = storage
    return t


def tag_nodes(root):
    queue = [root]
    for node in queue:  # the list grows while it is read
        tags.add(node.metadata.setdefault("tag", Tag()))
        queue += [child for child, _ in node.next_functions if child and child.next_functions]


print(len(own), "storages would exist without a graph")

# %%
# What is counted
# ---------------
# After each line: nodes alive, bytes alive that were saved for backward, the norm of the first
# weight's gradient, and how often that weight was changed.

weight, total = model[0].weight, 0.0
before, rows = weight._version, []


def state(line, made=None):
    if made is not None:
        tag_nodes(made.grad_fn)
    saved = sum(storage.nbytes() for storage in storages.values())
    rows.append((len(tags), saved))
    grad = "None" if weight.grad is None else f"{weight.grad.norm():.4f}"
    print(f"{line:23}{len(tags):5}{saved:7}   {grad:>7}{weight._version - before:8}")


print("so far", len(tags), "nodes and", len(storages), "saved storages")

# %%
# Two iterations, one line at a time
# ----------------------------------
# The lines of the loop, each followed by its row of the table. Where a line made nodes, ``state``
# is handed its result and tags them first.

print(f"{'':23}nodes  bytes   W1.grad changed")
for X, T in batches:
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        optimizer.zero_grad()
        state("optimizer.zero_grad()")
        y = model(X)
        state("y = model(X)", y)
        loss = mse_loss(y, T)
        state("loss = mse_loss(y, T)", loss)
        loss.backward()
        state("loss.backward()")
        optimizer.step()
        state("optimizer.step()")
        total += loss.item()
        state("total += loss.item()")

# %%
# The numbers by hand
# -------------------
# Saved are the result of the tanh and the prediction, :math:`8NH` and :math:`8NK` bytes. The pass
# lets go of both, and the name ``y`` keeps the second. On the second forward pass the name
# ``loss`` keeps the first graph, while the new one is built up to its loss.

_, forward, with_loss, after_pass, *_, second_forward = rows[:8]
h_bytes, y_bytes = 8 * N * H, 8 * N * K
assert (forward[1], with_loss[1], after_pass[1]) == (h_bytes, h_bytes + y_bytes, y_bytes)
assert second_forward == (forward[0] + with_loss[0], h_bytes)
print(f"tanh {h_bytes} bytes, prediction {y_bytes} bytes")
print(f"second forward: {forward[0]} nodes of the new graph + {with_loss[0]} of the old")

# %%
# One step by hand
# ----------------
# With :math:`h = \tanh(XW_1^\top + b_1)`, :math:`y = hW_2^\top` and :math:`L = \tfrac{1}{NK}\sum
# (y - T)^2`:
#
# .. math::
#
#    \bar{y} = \tfrac{2}{NK}(y - T) \qquad
#    \bar{W}_2 = \bar{y}^\top h \qquad
#    \bar{Z} = (\bar{y} W_2) \odot (1 - h \odot h) \qquad
#    \bar{W}_1 = \bar{Z}^\top X \qquad
#    \bar{b}_1 = \sum_n \bar{Z}_n
#
# and plain SGD then moves every parameter :math:`\theta \leftarrow \theta - \eta \bar{\theta}`.


def gradients(parameters, X, T):
    W1, b1, W2 = parameters.values()
    h = (X @ W1.T + b1).tanh()
    dy = 2 / (N * K) * (h @ W2.T - T)
    dW2 = dy.T @ h
    dZ = (dy @ W2) * (1 - h * h)
    dW1, db1 = dZ.T @ X, dZ.sum(0)
    return dict(zip(parameters, (dW1, db1, dW2)))


parameters = start
for X, T in batches:
    found = gradients(parameters, X, T)
    parameters = {name: value - rate * found[name] for name, value in parameters.items()}
print({name: tuple(gradient.shape) for name, gradient in found.items()})

# %%
# By hand against the loop
# ------------------------
# Both what is left in ``.grad``, which is the second iteration's gradient, and where the
# parameters are after two steps.

torch.testing.assert_close(
    {f"{name}.grad": gradient for name, gradient in found.items()},  # by hand
    {f"{name}.grad": p.grad for name, p in model.named_parameters()},  # autograd
)
torch.testing.assert_close(
    parameters,  # by hand
    {name: p.detach() for name, p in model.named_parameters()},  # autograd
)
print("W2 after two steps", model[2].weight.detach(), sep="\n")

# %%
# Clearing first or last
# ----------------------
# ``zero_grad`` may stand anywhere between a ``step()`` and the next ``backward()``. With momentum,
# so that the optimizer has a memory, the two orders give the same parameters to the last bit.


def trained(zero_last):
    model.load_state_dict(start)
    model.zero_grad()
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
    for X, T in batches * 5:
        if not zero_last:
            optimizer.zero_grad()
        mse_loss(model(X), T).backward()
        optimizer.step()
        if zero_last:
            optimizer.zero_grad()
    return torch.cat([p.detach().flatten() for p in model.parameters()])


print("same to the last bit:", torch.equal(trained(zero_last=False), trained(zero_last=True)))

# %%
# The optimizer does not ask who wrote the gradient
# -------------------------------------------------
# The same two steps with autograd off: the formulas above write ``.grad``, and ``step()`` reads it.

reached = {name: value.clone() for name, value in parameters.items()}
by_formula = {name: torch.nn.Parameter(value.clone()) for name, value in start.items()}
optimizer = torch.optim.SGD(by_formula.values(), lr=rate)
with torch.no_grad():
    for X, T in batches:
        for name, gradient in gradients(by_formula, X, T).items():
            by_formula[name].grad = gradient
        optimizer.step()
for name in reached:
    torch.testing.assert_close(by_formula[name].detach(), reached[name])
print("the same parameters without a graph, a backward pass or a loss")

# %%
# What was seen
# -------------
# The forward lines made nodes and saved tensors, ``backward`` freed the tensors and wrote
# ``.grad``, ``step`` changed the parameters, ``zero_grad`` dropped ``.grad``. No line dropped the
# nodes: they went when their names were given to the results of the next batch.
