r"""
Backpropagation as one triangular solve
=======================================

A program is a list of values, each computed from earlier ones.
Write the local derivatives into a matrix, row by row as the program runs, and everything above the
diagonal stays empty: no value depends on a later one.
The gradients of the output with respect to **all** values of the program then solve one linear
system with a unit triangular matrix, and the backward pass is its back substitution.
Look at the two pictures of one matrix, in the program's order and in another.
"""

# %%
# A program of nine values
# ------------------------
#
# Three leaves, then six operations.
# ``x1``, ``x2`` and ``p`` are used twice, so three paths lead to ``x1``, three to ``x2``, and one
# to ``x3``.

import matplotlib.pyplot as plt
import torch
from matplotlib.colors import ListedColormap

grey = "#7a7a7a"  # readable on light and on dark
plt.rcParams.update({"figure.facecolor": "none", "axes.labelcolor": grey, "axes.titlecolor": grey,
                     "axes.edgecolor": grey, "xtick.color": grey, "ytick.color": grey})  # fmt: skip


def leaf(value):
    return torch.tensor(value, dtype=torch.float64, requires_grad=True)


x1, x2, x3 = leaf(1.7), leaf(0.8), leaf(2.1)
p = x1 * x2
q = torch.sin(x2)
r = p * x3
s = p - q
t = r / s
y = t * x1
print("y", y.item())

# %%
# The matrix of local derivatives
# -------------------------------
#
# Number the values :math:`z_1, \dots, z_9` in the order of the program.
# :math:`M_{ij}` is the derivative of the one operation that made :math:`z_i` with respect to its
# argument :math:`z_j`, and 0 when :math:`z_j` is not an argument.
# The rows of the leaves are empty; :math:`M` is strictly lower triangular.

names = ["x1", "x2", "x3", "p", "q", "r", "s", "t", "y"]
z = {name: value.detach() for name, value in zip(names, (x1, x2, x3, p, q, r, s, t, y))}
local = {
    "p": {"x1": z["x2"], "x2": z["x1"]},
    "q": {"x2": torch.cos(z["x2"])},
    "r": {"p": z["x3"], "x3": z["p"]},
    "s": {"p": 1.0, "q": -1.0},
    "t": {"r": 1 / z["s"], "s": -z["r"] / z["s"] ** 2},
    "y": {"t": z["x1"], "x1": z["t"]},
}
print("edges", sum(len(row) for row in local.values()))

# %%
# Filling it in
# -------------
#
# One entry for each argument of each operation; the rest of the matrix stays zero.

M = torch.zeros(len(names), len(names), dtype=torch.float64)
for row, derivatives in local.items():
    for column, value in derivatives.items():
        M[names.index(row), names.index(column)] = value
print(M.numpy().round(2))

# %%
# The system
# ----------
#
# Write :math:`\bar z_j` for :math:`\partial y / \partial z_j`, the gradient of :math:`z_j`.
# It collects something from every operation that :math:`z_j` is an argument of, and the output
# starts with 1:
#
# .. math:: \bar z_j = \sum_i M_{ij}\, \bar z_i + [\,z_j \text{ is } y\,]
#           \quad\Longleftrightarrow\quad (I - M)^\top \bar z = e_9 .
#
# The matrix has ones on its diagonal and nothing below it, so its determinant is 1 and the solution
# exists.

identity = torch.eye(len(names), dtype=torch.float64)
e_last = identity[-1]
z_bar = torch.linalg.solve((identity - M).T, e_last)
for name, value in zip(names, z_bar.tolist()):
    print(f"dy/d{name:3}{value:9.4f}")

# %%
# All gradients from autograd
# ---------------------------
#
# :func:`torch.autograd.grad` returns the gradient for any value of the graph, leaf or not.

grads = torch.autograd.grad(y, (x1, x2, x3, p, q, r, s, t, y), retain_graph=True)
by_hand, by_autograd = (dict(zip(names, values, strict=True)) for values in (z_bar, grads))
torch.testing.assert_close(by_hand, by_autograd)
print("gradients compared:", len(grads))

# %%
# Back substitution is the reverse sweep
# --------------------------------------
#
# A triangular system is solved from its last row upwards.
# When :math:`\bar z_i` is used it is complete: all that adds to it stands later in the program.
# Each entry of :math:`M` is used once: one multiplication and one addition for each edge.

bar = dict(zip(names, e_last))
multiplications = 0
for row in reversed(names):
    for column, derivative in local.get(row, {}).items():
        bar[column] = bar[column] + bar[row] * derivative
        multiplications += 1
torch.testing.assert_close(torch.stack([bar[name] for name in names]), z_bar)
assert multiplications == M.count_nonzero()
print("multiplications", multiplications)

# %%
# Forward substitution is the forward sweep
# -----------------------------------------
#
# The same matrix without the transpose, from the first row down: :math:`(I - M)\, \dot z = e_1` has
# the derivative of each value with respect to ``x1``. Its last entry is the gradient of ``x1`` that
# the reverse sweep found, after as many multiplications; the other leaves would need a sweep each.

dot, multiplications = dict(zip(names, identity[0])), 0
for row in names:
    for column, derivative in local.get(row, {}).items():
        dot[row] = dot[row] + derivative * dot[column]
        multiplications += 1
z_dot = torch.stack([dot[name] for name in names])
torch.testing.assert_close(z_dot, torch.linalg.solve(identity - M, identity[0]))
torch.testing.assert_close(z_dot[-1], z_bar[0])
assert multiplications == M.count_nonzero()
print("dy/dx1", round(dot["y"].item(), 4), " multiplications", multiplications)

# %%
# Powers of M sort the paths
# --------------------------
#
# :math:`(M^k)_{ij}` is a sum over all paths of :math:`k` edges from :math:`z_i` to :math:`z_j`: the
# product of the local derivatives along each.
# With nine values no path is longer than eight, so the series
# :math:`(I - M)^{-1} = I + M + M^2 + \dots` ends, and its last row is the gradient.

by_length, power = [], identity
for _ in names:
    by_length.append(power[-1])
    power = power @ M
assert not power.any()
torch.testing.assert_close(sum(by_length), z_bar)
for length, row in enumerate(by_length):
    print(length, "edges:", "  ".join(f"{value:8.4f}" for value in row[:3].tolist()))

# %%
# The order of the program
# ------------------------
#
# The same matrix :math:`I - M` twice.
# In the program's order, as in any topological order, it is triangular; in alphabetical order it is
# the same system, but nothing says where to begin.

figure, axes = plt.subplots(1, 2, figsize=(7, 3.5), layout="constrained")
palette = ListedColormap(["#f2f2f2", "#56B4E9", "#0072B2"])  # empty, entry of M, diagonal
filled = (M != 0).int() + 2 * identity.int()
orders = {"order of the program": names, "alphabetical": sorted(names)}
for axis, (title, order) in zip(axes, orders.items()):
    index = [names.index(name) for name in order]
    axis.matshow(filled[index][:, index], cmap=palette)
    axis.set(xticks=range(9), yticks=range(9), xticklabels=order, yticklabels=order, title=title)
    axis.set(xlabel="argument", ylabel="result")
plt.show()

# %%
# The graph of the program
# ------------------------
#
# One line for each entry of :math:`M`, drawn from result to argument; no operation here uses an
# argument twice, or two lines would share an entry.

y.grad_fn

# %%
# What was seen
# -------------
#
# One equation for each value, one coefficient for each pair of value and argument, one
# multiplication for each of those. Transposing the matrix is what turns the sweep round.
