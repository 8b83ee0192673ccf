r"""
Views that are written to
=========================

A view and its base are two tensors in one storage. When one is written to, the values of the other
change as well, and so must its history. Autograd rewires it: the base gets a node that puts a piece
into the rest, and the view a node that takes the piece out of the base. The gradient is right in
both, and derived by hand below. Look at the two drawings, before and after one line of code.
"""

# %%
# A base, a view, a product
# -------------------------
# ``b`` has three entries, ``v`` is the first two of them and ``other`` the last two.

import textwrap

import torch

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
x = torch.tensor([0.5, -1.0, 2.0], requires_grad=True)
c = torch.tensor([4.0, 5.0, 6.0])
b = x * c
v, other = b[:2], b[1:]
print("b was made by", b.grad_fn.name(), "and both views by", v.grad_fn.name())
assert other.grad_fn.name() == v.grad_fn.name() == "SliceBackward0"

# %%
# Before: the graph of the base
# -----------------------------
# The product alone. The view stands in no path from ``b`` to ``x``.

total = b.sum()
total.grad_fn

# %%
# One line
# --------
# ``v`` is multiplied by 3 in place. Now all have other histories: ``b`` was made by CopySlices,
# and the views are cut out of ``b`` anew.

v.mul_(3)
print("b:", b.data.tolist(), " v:", v.data.tolist())
print("b was made by", b.grad_fn.name(), "and v by", v.grad_fn.name())
assert b.grad_fn.name() == "torch::autograd::CopySlices"
assert v.grad_fn.name() == other.grad_fn.name() == "AsStridedBackward0"

# %%
# After: the graph of the base
# ----------------------------
# CopySlices stands for "the base, with the piece multiplied by 3 put back". What arrives for the
# piece goes through the product by 3, what arrives for the rest goes past it.

total = b.sum()
total.grad_fn

# %%
# The gradient by hand
# --------------------
# With :math:`b = (3c_0x_0,\ 3c_1x_1,\ c_2x_2)` and a cotangent :math:`u`, :math:`\bar x = (3, 3, 1)
# \odot c \odot u`. The plain sum has :math:`u = 1`.

u = torch.tensor([0.7, -0.2, 1.1])
(for_sum,) = torch.autograd.grad(total, x, retain_graph=True)
(for_u,) = torch.autograd.grad(b, x, u, retain_graph=True)
factors = torch.tensor([3.0, 3.0, 1.0])
dx_sum, dx_u = factors * c, factors * c * u
torch.testing.assert_close(
    {"sum": dx_sum, "u": dx_u},  # by hand
    {"sum": for_sum, "u": for_u},  # autograd
)
print(for_sum)

# %%
# The view's gradient runs through the base
# -----------------------------------------
# ``v`` is a piece of the new ``b``, so its gradient passes CopySlices too:
# :math:`\bar x = (3, 3, 0) \odot c`.

(for_v,) = torch.autograd.grad(v.sum(), x)
dx_v = torch.tensor([3.0, 3.0, 0.0]) * c
torch.testing.assert_close({"v": dx_v}, {"v": for_v})  # by hand, autograd
print(for_v)

# %%
# The base written to, with a view alive
# --------------------------------------
# The other way round ``b`` is multiplied by 2, and the view follows. Its node, read again, is
# another one, with the edge to the new ``b``. For :math:`\sum v + \sum b` it gives
# :math:`\bar x = 2c \odot (2, 2, 1)`.

b = x * c
v = b[:2]
before = v.grad_fn.name()
b.mul_(2)
print("v was made by", before, "and is now made by", v.grad_fn.name())
target, _ = v.grad_fn.next_functions[0]
print("which leads to", target.name(), "of b:", target is b.grad_fn)
(gradient,) = torch.autograd.grad(v.sum() + b.sum(), x)
dx = 2 * c * torch.tensor([2.0, 2.0, 1.0])
torch.testing.assert_close({"x": dx}, {"x": gradient})  # by hand, autograd

# %%
# Row by row
# ----------
# A buffer that is filled row by row is the usual way into this. Each assignment puts a CopySlices
# in front of the last. With rows :math:`r_i = a_i x`, the gradient of :math:`\sum_i u_i \cdot r_i`
# is :math:`\sum_i a_i u_i`.

a, U = torch.tensor([2.0, -1.0, 0.5, 3.0]), torch.randn(4, 3)
rows = torch.zeros(4, 3)
for i in range(4):
    rows[i] = a[i] * x
node, chain = rows.grad_fn, []
while node is not None and node.name().endswith("CopySlices"):
    chain.append(node)
    node = node.next_functions[0][0]
(gradient,) = torch.autograd.grad(rows, x, U)
dx = (a[:, None] * U).sum(0)
torch.testing.assert_close({"x": dx}, {"x": gradient})  # by hand, autograd
print(len(chain), "CopySlices in a row, for 4 rows; stacked instead:",
      torch.stack([a[i] * x for i in range(4)]).grad_fn.name())  # fmt: skip

# %%
# Views that refuse
# -----------------
# ``split`` and ``unbind`` record one node for all their views, and for a view made without
# recording it is not clear what a change should mean: where a gradient is required, as here, both
# refuse. ``tensor_split`` cuts one by one.


def refused(make):
    b = x * c
    try:
        make(b).mul_(3)
    except RuntimeError as error:
        return textwrap.shorten(str(error), 66, placeholder=" ...")
    return "works"


said = {}
with_no_grad = torch.no_grad()(lambda b: b[:1])
for text, make in {
    "b[:1]": lambda b: b[:1],
    "b.narrow(0, 0, 1)": lambda b: b.narrow(0, 0, 1),
    "b.tensor_split(3)[0]": lambda b: b.tensor_split(3)[0],
    "b.split(1)[0]": lambda b: b.split(1)[0],
    "b.unbind()[0]": lambda b: b.unbind()[0],
    "b[:1].expand(3)": lambda b: b[:1].expand(3),
    "a view of a leaf": lambda b: x[:1],
    "a view under no_grad": with_no_grad,
}.items():
    said[text] = refused(make)
    print(f"{text:21} {said[text]}")
assert [text for text in said if said[text] == "works"] == list(said)[:3]

# %%
# What was seen
# -------------
# Writing to a view or to its base is recorded, and both get the history that belongs to their new
# values. The gradient through either is that of the program as it was written. Views made by
# ``split`` or ``unbind``, and views made without recording, refuse.
