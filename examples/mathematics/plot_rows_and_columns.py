r"""
One Jacobian from its rows and from its columns
===============================================

A map with four inputs and three outputs, small enough that its Jacobian can be written down entry
by entry. Forward mode finds that matrix a column at a time, reverse mode a row at a time, and
finite differences find it without any autograd. A backward pass with a seed of several entries
returns a weighted sum of rows, and never a matrix. Look at the last table of numbers: two modes
that run in opposite directions have to agree on one scalar, whatever the matrix is.
"""

# %%
# Four inputs, three outputs
# --------------------------
# A Jacobian that is neither square nor diagonal nor symmetric:
#
# .. math:: f(x) = \left( x_1 x_2 + \sin x_3, \quad x_1 e^{x_4}, \quad x_2^2 x_3 - x_4 \right)

import matplotlib.pyplot as plt
import torch
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patches import Rectangle

grey = "#7a7a7a"  # readable on light and on dark
plt.rcParams.update({"figure.facecolor": "none", "axes.labelcolor": grey, "axes.titlecolor": grey,
                     "axes.edgecolor": grey, "xtick.color": grey, "ytick.color": grey})  # fmt: skip

torch.manual_seed(0)


def f(x):
    return torch.stack(
        [x[0] * x[1] + x[2].sin(), x[0] * x[3].exp(), x[1] ** 2 * x[2] - x[3]],
    )


x = torch.tensor([1.2, -0.7, 0.4, 0.3], dtype=torch.float64)
n, m = 4, 3
print("f(x)", f(x))

# %%
# The matrix by hand
# ------------------
# Rows are outputs and columns are inputs, :math:`J_{ij} = \partial f_i / \partial x_j`:
#
# .. math::
#
#    J = \begin{pmatrix}
#    x_2 & x_1 & \cos x_3 & 0 \\
#    e^{x_4} & 0 & 0 & x_1 e^{x_4} \\
#    0 & 2 x_2 x_3 & x_2^2 & -1
#    \end{pmatrix}

x1, x2, x3, x4 = x
e4 = x4.exp()
J = torch.tensor(
    [
        [x2, x1, x3.cos(), 0],
        [e4, 0, 0, x1 * e4],
        [0, 2 * x2 * x3, x2**2, -1],
    ],
    dtype=torch.float64,
)
print(J.numpy().round(4))

# %%
# Four columns, by forward mode
# -----------------------------
# :func:`torch.func.jvp` takes a tangent :math:`v` with the shape of :math:`x` and returns
# :math:`Jv`. A tangent with a single 1 picks out a column, so all of them take a call for each
# input.

columns = [torch.func.jvp(f, (x,), (v,))[1] for v in torch.eye(n, dtype=torch.float64)]
torch.testing.assert_close(
    {"J, from columns": J},  # by hand
    {"J, from columns": torch.stack(columns, dim=1)},  # autograd
)
print(len(columns), "calls, each returns shape", tuple(columns[0].shape))

# %%
# Three rows, by reverse mode
# ---------------------------
# :func:`torch.autograd.grad` takes a cotangent :math:`u` with the shape of :math:`f(x)` and returns
# :math:`u^\top J`. A cotangent with a single 1 picks out a row, and there is a call for each
# output.

x.requires_grad_()
y = f(x)
rows = [
    torch.autograd.grad(y, x, u, retain_graph=True)[0] for u in torch.eye(m, dtype=torch.float64)
]
torch.testing.assert_close(
    {"J, from rows": J},  # by hand
    {"J, from rows": torch.stack(rows)},  # autograd
)
print(len(rows), "calls, each returns shape", tuple(rows[0].shape))

# %%
# Finite differences, a third witness
# -----------------------------------
# Moving one input by a small step and looking at all outputs gives a column too, to a few digits
# less. No derivative rule is involved.

with torch.no_grad():
    steps = 1e-6 * torch.eye(n, dtype=torch.float64)
    differences = torch.stack([(f(x + h) - f(x - h)) / 2e-6 for h in steps], dim=1)
torch.testing.assert_close(differences, J)
print("agrees within 1e-8:", bool((differences - J).abs().max() < 1e-8))

# %%
# A row is one pass, a column is one pass
# ---------------------------------------
# Left the row that a backward pass returns for the seed :math:`(0, 1, 0)`, right the column that a
# forward-mode pass returns for the tangent :math:`(0, 0, 1, 0)`. Neither pass sees the rest.

palette = LinearSegmentedColormap.from_list("signed", ["#e69f00", "#f2f2f2", "#56b4e9"])
figure, axes = plt.subplots(1, 2, figsize=(7, 3.5), layout="constrained")
corner_and_size = (((-0.5, 0.5), n, 1), ((1.5, -0.5), 1, m))
titles = ("one VJP: a row", "one JVP: a column")
for axis, title, (corner, width, height) in zip(axes, titles, corner_and_size):
    axis.matshow(J, cmap=palette, vmin=-2, vmax=2)
    for i, j in torch.cartesian_prod(torch.arange(m), torch.arange(n)).tolist():
        axis.text(j, i, f"{J[i, j]:.2f}", ha="center", va="center", color="#1a1a1a")
    axis.add_patch(Rectangle(corner, width, height, fill=False, lw=4, color="#d55e00"))
    axis.set(title=title, xlabel="input", ylabel="output", xticks=range(n))
    axis.set(yticks=range(m), xticklabels=range(1, n + 1), yticklabels=range(1, m + 1))
    axis.tick_params(length=0, labeltop=False, labelbottom=True)
plt.show()

# %%
# A seed weights the rows
# -----------------------
# One pass from a seed with several entries returns :math:`u^\top J = \sum_i u_i J_{i\cdot}`, as
# long as the input; one tangent gives :math:`Jv = \sum_j v_j J_{\cdot j}`, as long as the output.
# Neither could be mistaken for the other here.

u = torch.tensor([2.0, -1.0, 0.5], dtype=torch.float64)
v = torch.tensor([0.5, 1.5, -2.0, 3.0], dtype=torch.float64)
uJ = u[0] * J[0] + u[1] * J[1] + u[2] * J[2]
Jv = v[0] * J[:, 0] + v[1] * J[:, 1] + v[2] * J[:, 2] + v[3] * J[:, 3]
(vjp,) = torch.autograd.grad(y, x, u, retain_graph=True)
_, jvp = torch.func.jvp(f, (x.detach(),), (v,))
torch.testing.assert_close({"uJ": uJ, "Jv": Jv}, {"uJ": vjp, "Jv": jvp})  # by hand, autograd
print("u^T J", vjp)
print("J v  ", jvp)

# %%
# The weights may as well stand in the forward pass
# -------------------------------------------------
# The same pass, written as the gradient of a scalar: :math:`L = \sum_i u_i f_i(x)` with constant
# :math:`u`. Then the seed is 1, and the product with :math:`u` sends :math:`u` on its way.

(weighted,) = torch.autograd.grad((u * f(x)).sum(), x)
torch.testing.assert_close({"x, weighted": uJ}, {"x, weighted": weighted})  # by hand, autograd
print("gradient of the weighted sum", weighted)

# %%
# The whole matrix, when asked
# ----------------------------
# Three functions build it. :func:`torch.autograd.functional.jacobian` and
# :func:`torch.func.jacrev` run a VJP for each output, :func:`torch.func.jacfwd` a JVP for each
# input.

matrices = {
    "functional.jacobian": torch.autograd.functional.jacobian(f, x.detach()),
    "jacrev": torch.func.jacrev(f)(x.detach()),
    "jacfwd": torch.func.jacfwd(f)(x.detach()),
}
torch.testing.assert_close(dict.fromkeys(matrices, J), matrices)  # by hand, autograd
for name, matrix in matrices.items():
    print(f"{name:20}{tuple(matrix.shape)}")

# %%
# Two modes check each other
# --------------------------
# For all :math:`u` and :math:`v`, :math:`\langle u, Jv\rangle = \langle J^\top u, v\rangle`. The
# left side takes one JVP, the right side one VJP, and no matrix is needed to compare them. An error
# in one of the modes shows for almost every random pair.

for _ in range(4):
    u, v = torch.randn(m, dtype=torch.float64), torch.randn(n, dtype=torch.float64)
    _, jvp = torch.func.jvp(f, (x.detach(),), (v,))
    (vjp,) = torch.autograd.grad(y, x, u, retain_graph=True)
    torch.testing.assert_close(u @ jvp, vjp @ v)
    print(f"<u, Jv> = {u @ jvp:9.6f}    <J^T u, v> = {vjp @ v:9.6f}")

# %%
# What was seen
# -------------
# Columns from forward mode, rows from reverse mode and differences of function values are one
# matrix. A backward pass returns one combination of its rows, with the seed as weights.
