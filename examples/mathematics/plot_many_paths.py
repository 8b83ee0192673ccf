r"""
Four paths to one leaf
======================

The rule for a single chain multiplies the derivatives along it.
In a graph a leaf can be reached from the loss in several ways, and then its gradient is the **sum**
of one such product for each path.
This graph has a diamond, a bridge between its two sides and a connection that skips both: four
paths, each of them a product of Jacobians of different shapes.
Look at the table of the four contributions, and at the value that comes out when one is forgotten.
"""

# %%
# Sizes that all differ
# ---------------------
#
# :math:`x` has 4 entries, :math:`b` 3, :math:`c` 2 and :math:`d` 5, so that a matrix in the wrong
# place or the wrong way round does not fit.

import torch

torch.manual_seed(0)


def matrix(rows, columns):
    return torch.randn(rows, columns, dtype=torch.float64)


B, C, E = matrix(3, 4), matrix(2, 4), matrix(2, 3)
P, Q, S = matrix(5, 3), matrix(5, 2), matrix(5, 4)
u = torch.tensor([0.5, -1.0, 2.0, 0.25, -0.75], dtype=torch.float64)
x = torch.tensor([0.3, -0.7, 1.1, 0.4], dtype=torch.float64, requires_grad=True)
print("B", tuple(B.shape), " C", tuple(C.shape), " E", tuple(E.shape))
print("P", tuple(P.shape), " Q", tuple(Q.shape), " S", tuple(S.shape))

# %%
# A graph with four paths
# -----------------------
#
# :math:`x` is used three times and :math:`b` twice:
#
# .. math:: b = \tanh(Bx), \qquad c = \sin(Cx + Eb), \qquad d = Pb + Qc + Sx, \qquad L = u^\top d .

b = torch.tanh(B @ x)
c = torch.sin(C @ x + E @ b)
d = P @ b + Q @ c + S @ x
loss = u @ d
print("loss", loss.item())

# %%
# Where the paths end
# -------------------
#
# ``x`` is used three times, so three edges arrive at its ``AccumulateGrad`` node, and there is one.
# The walk keeps a list of nodes still to visit and a set of those seen; it does not recurse.

waiting, seen, arriving = [loss.grad_fn], set(), []
while waiting:
    node = waiting.pop()
    if node in seen:
        continue
    seen.add(node)
    for target, _ in node.next_functions:
        if target is not None:  # a constant such as B has the edge (None, 0)
            waiting.append(target)
            if target.name().endswith("AccumulateGrad"):
                arriving.append((node.name(), target))
print("edges that arrive at a leaf:", [name for name, _ in arriving])
print("different leaf nodes:       ", len({target for _, target in arriving}))

# %%
# The Jacobian of each connection
# -------------------------------
#
# With :math:`J_{pq}` for the Jacobian of :math:`p` with respect to its argument :math:`q` alone:
#
# .. math::
#
#    J_{bx} = \mathrm{diag}(1 - b^2)\,B, \quad
#    J_{cx} = \mathrm{diag}(\cos(Cx + Eb))\,C, \quad
#    J_{cb} = \mathrm{diag}(\cos(Cx + Eb))\,E,
#
# and :math:`J_{db} = P`, :math:`J_{dc} = Q`, :math:`J_{dx} = S` are the matrices themselves.

x_value = x.detach()
b_value = torch.tanh(B @ x_value)
slope_b = 1 - b_value**2
slope_c = torch.cos(C @ x_value + E @ b_value)
J_bx = slope_b[:, None] * B
J_cx = slope_c[:, None] * C
J_cb = slope_c[:, None] * E
for name, J in (("J_bx", J_bx), ("J_cx", J_cx), ("J_cb", J_cb)):
    print(name, tuple(J.shape))

# %%
# One product for each path
# -------------------------
#
# The cotangent of :math:`d` is :math:`u`.
# A path's contribution is :math:`u^\top` times the Jacobians met on the way from :math:`d` to
# :math:`x`, in that order, and each is a vector with the shape of :math:`x`.

contribution = {
    "d - b - x": u @ P @ J_bx,
    "d - c - x": u @ Q @ J_cx,
    "d - c - b - x": u @ Q @ J_cb @ J_bx,
    "d - x": u @ S,
}
dx = sum(contribution.values())
for path, value in contribution.items():
    print(f"{path:13}", "  ".join(f"{v:8.4f}" for v in value.tolist()))
print(f"{'sum':13}", "  ".join(f"{v:8.4f}" for v in dx.tolist()))

# %%
# The sum is the gradient
# -----------------------
#
# Autograd returns the sum, and says nothing of the four terms.

(x_grad,) = torch.autograd.grad(loss, x, retain_graph=True)
torch.testing.assert_close({"x": dx}, {"x": x_grad})  # by hand, autograd
print(f"{'autograd':13}", "  ".join(f"{v:8.4f}" for v in x_grad.tolist()))

# %%
# A path forgotten
# ----------------
#
# Leaving out one path gives a vector of the right shape and of a plausible size.
# Nothing raises: only a comparison tells.

for path, value in contribution.items():
    wrong = dx - value
    assert not torch.allclose(wrong, dx)
    print(f"without {path:13}", "  ".join(f"{v:8.4f}" for v in wrong.tolist()))

# %%
# Adding before going on
# ----------------------
#
# Two of the four paths share the last step from :math:`b` to :math:`x`.
# Add at :math:`b` first, and that step is made once. With a bar for the gradient of :math:`L`:
#
# .. math:: \bar b = u^\top P + (u^\top Q) J_{cb}, \qquad
#           \bar x = \bar b J_{bx} + (u^\top Q) J_{cx} + u^\top S .
#
# Four paths have become three arrivals at :math:`x`, the three edges counted above.

dc = u @ Q
db = u @ P + dc @ J_cb
dx_merged = db @ J_bx + dc @ J_cx + u @ S
b_grad, c_grad, x_grad = torch.autograd.grad(loss, (b, c, x), retain_graph=True)
torch.testing.assert_close(
    {"b": db, "c": dc, "x, merged": dx_merged},  # by hand
    {"b": b_grad, "c": c_grad, "x, merged": x_grad},  # autograd
)
print("dL/db", db)
print("dL/dc", dc)

# %%
# The graph with its diamond
# --------------------------
#
# Follow the lines from the root: three of them end in the leaf ``x``.

loss.grad_fn

# %%
# What was seen
# -------------
#
# The gradient is a sum over paths, but no one has to enumerate them: a node that waits until all
# its cotangents have arrived, adds them, and only then goes on, gives the same sum.
# With two paths sharing a step that saves one product; where paths multiply it saves nearly all.
