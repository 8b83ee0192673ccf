r"""
The order in which hooks run
============================

PyTorch has hooks on tensors, on nodes before and after they run, on leaves after their gradient
was added, and it writes the gradient that :meth:`torch.Tensor.retain_grad` asked for. Here one
backward pass runs with all of them in place, and each writes down what it could see. Then one of
them multiplies what arrives by ten: what ends up in ``.grad`` of an intermediate depends on which
one. The last table says which calls run which hooks. Look at the line of the node's pre-hook in
the first log: the retained gradient is already there.
"""

# %%
# One intermediate between a leaf and a loss
# ------------------------------------------
# :math:`h = 3x` and :math:`L = \sum_i h_i^2`. ``chain`` makes them anew, since a hook belongs to
# the tensor or node it was put on.

import torch


def chain():
    x = torch.tensor([0.5, -1.0], dtype=torch.float64, requires_grad=True)
    h = 3 * x
    return x, h, h.square().sum()


x, h, loss = chain()
loss.grad_fn

# %%
# A hook of every kind
# --------------------
# The registrations are shuffled on purpose. ``note`` makes a hook that takes any arguments, writes
# its name and what ``.grad`` holds at that moment, and returns nothing, so the gradient goes on
# as it is.

log = []


def note(name):
    def hook(*_):
        grads = ["None" if t.grad is None else str(t.grad.tolist()) for t in (h, x)]
        log.append((name, *grads))

    return hook


# %%
# Registered in one order, run in another
# ---------------------------------------
# ``node`` is the node of the product that made ``h``, and ``leaf_node`` the ``AccumulateGrad`` of
# ``x``.

node = h.grad_fn
leaf_node = next(target for target, _ in node.next_functions if target is not None)
x.register_post_accumulate_grad_hook(note("leaf, post-accumulate"))
node.register_hook(note("node, after it ran"))
leaf_node.register_prehook(note("leaf's node, before it runs"))
node.register_prehook(note("node, before it runs"))
h.register_hook(note("tensor, first"))
h.retain_grad()
h.register_hook(note("tensor, second"))
x.register_hook(note("leaf, as a tensor"))
leaf_node.register_hook(note("leaf's node, after it ran"))
print("registered:", len(log), "have run")

# %%
# The log
# -------
# Of the eight only the two on ``h`` itself run in the order in which they were registered.

loss.backward()
print(f"{'':28} {'h.grad':14} x.grad")
for name, of_h, of_x in log:
    print(f"{name:28} {of_h:14} {of_x}")
names = [name for name, _, _ in log]
assert names[:3] == ["tensor, first", "tensor, second", "node, before it runs"]
assert names[3:5] == ["node, after it ran", "leaf, as a tensor"]
assert names[5:7] == ["leaf's node, before it runs", "leaf, post-accumulate"]
assert [of_h == "None" for _, of_h, _ in log] == [True] * 2 + [False] * 6
assert [of_x == "None" for _, _, of_x in log] == [True] * 6 + [False] * 2

# %%
# Ten times, on the node
# ----------------------
# By hand, :math:`\bar{h} = 2h`. The pre-hook comes after the retained gradient was written, so
# ``h.grad`` is what arrived, and only what leaves the node is ten times as large:
# :math:`\bar{x} = 3 \cdot 10 \, \bar{h}`. Which was registered first makes no difference.

for retained_first in (True, False):
    x, h, loss = chain()
    if retained_first:
        h.retain_grad()
    h.grad_fn.register_prehook(lambda grads: (10 * grads[0],))
    h.retain_grad()
    loss.backward()
    dh = 2 * h.detach()
    dx = 3 * 10 * dh
    torch.testing.assert_close({"h": dh, "x": dx}, {"h": h.grad, "x": x.grad})  # by hand, autograd
    print("retained first:", retained_first, h.grad.tolist(), x.grad.tolist())

# %%
# Ten times, on the tensor
# ------------------------
# A tensor hook is part of what the gradient of ``h`` *is*: now :math:`\bar{h} = 10 \cdot 2h`, and
# :math:`\bar{x} = 3\bar{h}`. Registered after ``retain_grad`` it is still seen in ``h.grad``,
# because the retained gradient is written after all tensor hooks.

x, h, loss = chain()
h.retain_grad()
h.register_hook(lambda gradient: 10 * gradient)
loss.backward()
dh = 10 * 2 * h.detach()
dx = 3 * dh
torch.testing.assert_close({"h": dh, "x": dx}, {"h": h.grad, "x": x.grad})  # by hand, autograd
print("h.grad", h.grad.tolist(), "x.grad", x.grad.tolist())

# %%
# Which call runs which hook
# --------------------------
# :func:`torch.autograd.grad` stops where the gradient it was asked for arrives. That gradient has
# passed the tensor hooks; the node behind it never runs, and neither do its hooks.

calls = {
    "loss.backward()": lambda loss, h, x: loss.backward(),
    "loss.backward(inputs=[x])": lambda loss, h, x: loss.backward(inputs=[x]),
    "grad(loss, x)": lambda loss, h, x: torch.autograd.grad(loss, x),
    "grad(loss, h)": lambda loss, h, x: torch.autograd.grad(loss, h),
}
ran = {}

# %%
# The table
# ---------
# A dot says that the hook did not run.


def hooked(seen):
    x, h, loss = chain()
    h.register_hook(lambda *_: seen.append("h hook"))
    h.grad_fn.register_prehook(lambda *_: seen.append("node pre"))
    h.grad_fn.register_hook(lambda *_: seen.append("node post"))
    x.register_hook(lambda *_: seen.append("x hook"))
    x.register_post_accumulate_grad_hook(lambda *_: seen.append("x post"))
    return loss, h, x


kinds = ["h hook", "node pre", "node post", "x hook", "x post"]
print(" " * 26, *(f"{kind:9}" for kind in kinds))
for text, call in calls.items():
    ran[text] = []
    call(*hooked(ran[text]))
    row = ["runs" if kind in ran[text] else "." for kind in kinds]
    print(f"{text:26}", *(f"{cell:9}" for cell in row))
assert ran["loss.backward()"] == ran["loss.backward(inputs=[x])"] == kinds
assert ran["grad(loss, x)"] == kinds[:-1]
assert ran["grad(loss, h)"] == ["h hook"]

# %%
# What was seen
# -------------
# A gradient that arrives at a tensor passes its tensor hooks in the order they were registered,
# is written to ``.grad`` if that was asked for, and only then meets the hooks of the node. At a
# leaf the same order holds, with ``AccumulateGrad`` as the node: the tensor hook sees the old
# ``.grad``, the post-accumulate hook the new one.
