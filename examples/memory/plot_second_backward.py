r"""
A second backward, operation by operation
=========================================

"Backward runs once per graph" is often stated, and for many operations it is not so. What a
backward pass frees is the tensors the graph had saved. Of sixteen operations, each run backward
twice without ``retain_graph``, those that saved none run again. One node saves none and does not:
``CopySlices``. After it come the exact message, the three ways to keep the saved tensors, and what
a second pass that fails has already done to ``.grad``. Look at ``x * 2``, and at the last
comparison.
"""

# %%
# Sixteen operations
# ------------------
# Each takes a 2 by 3 matrix ``x``. Guess, before reading on, which of them can run backward
# twice.

import textwrap

import torch

torch.manual_seed(0)
x = torch.rand(2, 3, dtype=torch.float64, requires_grad=True)
m = torch.rand(3, 4, dtype=torch.float64)
operations = {
    "x + 1": lambda: x + 1, "-x": lambda: -x, "x.sum()": lambda: x.sum(),
    "x.mean()": lambda: x.mean(), "x.view(6)": lambda: x.view(6), "x[0]": lambda: x[0],
    "torch.cat([x, x])": lambda: torch.cat([x, x]), "x.cumsum(0)": lambda: x.cumsum(0),
    "x * 2": lambda: x * 2, "x * x": lambda: x * x, "x ** 2": lambda: x**2,
    "x.exp()": lambda: x.exp(), "x.relu()": lambda: x.relu(), "x.max()": lambda: x.max(),
    "x @ m": lambda: x @ m, "x.softmax(0)": lambda: x.softmax(0),
}  # fmt: skip
print(len(operations), "operations")

# %%
# Saved tensors, and a second backward
# ------------------------------------
# What a node saved is readable as ``_saved_...``: sizes, dimensions, numbers, and sometimes
# tensors.


def saved_tensors(node):
    names = [name for name in dir(node) if name.startswith("_saved_")]
    return [name for name in names if isinstance(getattr(node, name), torch.Tensor)]


for text, operation in operations.items():
    y = operation()
    saved = saved_tensors(y.grad_fn)
    y.backward(torch.ones_like(y))
    try:
        y.backward(torch.ones_like(y))
        second = "works"
    except RuntimeError:
        second = "raises"
    assert (second == "raises") == bool(saved)
    print(f"{text:18} second backward {second:7} {' '.join(saved) or 'no tensor saved'}")

# %%
# Twice is twice the gradient
# ---------------------------
# A cumulative sum over the rows saves nothing. Row ``i`` is part of the sums in rows ``i`` and
# below, so its gradient is the sum of their cotangents ``u``, and two passes add up:
#
# .. math:: \bar{x}_i = 2 \sum_{k \ge i} u_k

x.grad = None
u = torch.rand(2, 3, dtype=torch.float64)
y = x.cumsum(0)
y.backward(u)
y.backward(u)
dx = 2 * torch.stack([u[0] + u[1], u[1]])
torch.testing.assert_close({"x": dx}, {"x": x.grad})  # by hand, autograd
print(x.grad)

# %%
# Nothing saved, and once only
# ----------------------------
# ``CopySlices`` is the node of a tensor into a piece of which something was written. A hook sees
# nothing saved, and still it runs once: it keeps a node, the rule for the piece, and a pass that
# does not retain lets go of it. The row written over has :math:`\bar{x}_0 = 0`, and two passes add
# :math:`\bar{x}_1 = 2 u_1`; the third raises.

x.grad, seen = None, []
with torch.autograd.graph.saved_tensors_hooks(lambda t: seen.append(t) or t, lambda t: t):
    y = x + 1
    y[0] = 0
y.backward(u, retain_graph=True)
y.backward(u)
try:
    y.backward(u)
except RuntimeError as error:
    third = str(error).split(" (")[0]
assert y.grad_fn.name() == "torch::autograd::CopySlices"
assert not seen
assert third == "Trying to backward through the graph a second time"
dx = 2 * torch.stack([torch.zeros(3, dtype=torch.float64), u[1]])
torch.testing.assert_close({"x": dx}, {"x": x.grad})  # by hand, autograd
print(y.grad_fn.name(), "tensors saved:", len(seen), " without retaining:", third)

# %%
# The nodes are still there
# -------------------------
# After a default backward through ``exp``, the node, its name and its edges can be read as
# before. The saved result cannot, and the message is the one a second backward gives.

y = x.exp().sum()
y.backward()
node = y.grad_fn.next_functions[0][0]
print(node.name(), "leads to", node.next_functions[0][0].name())
try:
    print(node._saved_result)
except RuntimeError as error:
    assert "saved tensors after they have already been freed" in str(error)
    print(textwrap.fill(f"{type(error).__name__}: {error}", 80))

# %%
# Three ways to keep them
# -----------------------
# ``retain_graph=True`` keeps what was saved, and ``create_graph=True`` implies it. The third is to
# leave a node out: :func:`torch.autograd.grad` frees only in the nodes it runs, so a pass to ``x``
# leaves the branch of ``w`` as it was. The addition, which both branches share, saves nothing.


def kept(tensor):
    try:
        return bool(saved_tensors(tensor.grad_fn))
    except RuntimeError:
        return False


w = torch.rand(4, dtype=torch.float64, requires_grad=True)
y, z = x.exp(), w.sin()
total = y.sum() + z.sum()
for option in ({"retain_graph": True}, {"create_graph": True}, {}):
    torch.autograd.grad(total, x, **option)
    assert (kept(y), kept(z)) == (bool(option), True)
    print(f"grad(total, x, {option}): exp {kept(y)}, sin {kept(z)}")

# %%
# The branch that was left out still works
# ----------------------------------------
# The pass to ``w`` runs after the default pass to ``x``, on the same graph, and :math:`\bar{w} =
# \cos w`. Going to ``x`` once more raises.

(grad_w,) = torch.autograd.grad(total, w)
dw = w.detach().cos()
torch.testing.assert_close({"w": dw}, {"w": grad_w})  # by hand, autograd
try:
    torch.autograd.grad(total, x)
except RuntimeError as error:
    print("grad(total, w) works; grad(total, x):", str(error).split(" (")[0])

# %%
# A retained pass, then the default one
# -------------------------------------
# For the sum of :math:`e^{x}` the gradient is :math:`e^{x}`, and after two passes :math:`\bar{x}
# = 2e^{x}`. The second pass may be the default one: nothing comes after it.

x.grad = None
y = x.exp().sum()
y.backward(retain_graph=True)
y.backward()
dx = 2 * x.detach().exp()
torch.testing.assert_close({"x": dx}, {"x": x.grad})  # by hand, autograd
print(x.grad)

# %%
# A pass that fails has already changed gradients
# -----------------------------------------------
# ``w`` is reached through a product, which saves; ``b`` through a sum, which does not. The second
# backward runs the branch of ``b``, adds to ``b.grad``, and only then comes to the product and
# raises. So :math:`\bar{w} = c` was added once and :math:`\bar{b} = 1` twice:

w = torch.rand(3, dtype=torch.float64, requires_grad=True)
b = torch.rand(4, dtype=torch.float64, requires_grad=True)
c = torch.rand(3, dtype=torch.float64)
loss = (w * c).sum() + b.sum()
loss.backward()
try:
    loss.backward()
except RuntimeError as error:
    print(str(error).split(" (")[0])
dw, db = c, torch.full((4,), 2.0, dtype=torch.float64)
torch.testing.assert_close({"w": dw, "b": db}, {"w": w.grad, "b": b.grad})  # by hand, autograd
print("b.grad", b.grad)

# %%
# What was seen
# -------------
# In the table whether a second backward works is decided by whether the node had saved a tensor.
# Multiplying by the number 2 saves one: the number became a tensor. CopySlices saves none and runs
# once, since the node inside it is let go. Nodes and edges outlive the pass, and a pass that raises
# may leave some gradients added to and others not.
