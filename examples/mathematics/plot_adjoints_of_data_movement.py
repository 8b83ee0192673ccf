r"""
Adjoints of moving data
=======================

Indexing, padding, permuting, expanding: these operations compute nothing, they put numbers
somewhere else, leave some out or use some twice. Their Jacobians consist of zeros and ones, and
their backward passes are the same movement turned round: every cotangent goes back to where its
entry came from, and what meets there adds. One short loop is the adjoint of all of them. Look at
the columns of the three matrices: an entry that was used twice has two ones in its column.
"""

# %%
# Twelve ways to move data
# ------------------------
# ``x`` has shape (2, 3, 4), three sizes that differ. Some of these drop entries, some use them
# several times, and ``pad`` brings in zeros that come from nowhere.

import matplotlib.pyplot as plt
import torch

grey = "#7a7a7a"  # readable on light and on dark
plt.rcParams.update({"figure.facecolor": "none", "axes.facecolor": "none", "text.color": grey,
                     "axes.labelcolor": grey, "axes.edgecolor": grey, "axes.titlecolor": grey,
                     "xtick.color": grey, "ytick.color": grey})  # fmt: skip

torch.manual_seed(0)
x = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
twice = torch.tensor([0, 0, 1])
moves = {
    "permute": lambda x: x.permute(2, 0, 1), "reshape": lambda x: x.reshape(8, 3),
    "flip": lambda x: x.flip(2), "roll": lambda x: x.roll(1, 2),
    "select": lambda x: x[:, 1], "slice": lambda x: x[..., 1::2],
    "expand": lambda x: x.expand(5, 2, 3, 4), "repeat": lambda x: x.repeat(1, 1, 2),
    "index": lambda x: x[twice], "cat": lambda x: torch.cat([x[:, :2], x], 1),
    "unfold": lambda x: x.unfold(2, 3, 1),
    "pad": lambda x: torch.nn.functional.pad(x, (1, 0, 0, 2)),
}  # fmt: skip
for name, move in moves.items():
    print(f"{name:8} {tuple(x.shape)} -> {tuple(move(x).shape)}")

# %%
# Where each entry came from
# --------------------------
# Number the entries of ``x`` from 1 and move the numbers: each entry of the result then says which
# entry of ``x`` it is a copy of, and a padded 0 says that it is none. No derivative is involved.

numbers = torch.arange(1, x.numel() + 1).view(x.shape)
origins = {name: move(numbers) for name, move in moves.items()}
print("x[0, 0] holds the numbers", numbers[0, 0].tolist())
print("its windows of three     ", origins["unfold"][0, 0].tolist())
print("padded on the left       ", origins["pad"][0, 0].tolist())

# %%
# Zeros and ones
# --------------
# The Jacobian of a movement has a row for each output, with a 1 in the column of its origin. Here
# it is for three movements of a vector with four entries. A row of zeros is a padded output, a
# column with several ones an input used several times, an empty column an input left out.

small = {
    "x[[0, 0, 1]]": lambda x: x[twice],
    "pad(x, (1, 2))": lambda x: torch.nn.functional.pad(x, (1, 2)),
    "x.unfold(0, 2, 1)": lambda x: x.unfold(0, 2, 1).flatten(),
}
ones = "#0072b2"
figure, axes = plt.subplots(1, 3, figsize=(7, 3.5), layout="constrained")
for axis, (title, move) in zip(axes, small.items()):
    origin = move(torch.arange(1, 5))
    M = (origin[:, None] == torch.arange(1, 5)).double()
    rows, columns = M.nonzero(as_tuple=True)
    axis.scatter(columns, rows, s=170, marker="s", color=ones)
    axis.set(title=title, xlabel="input", xticks=range(4), yticks=range(len(M)), aspect="equal")
    axis.set(xlim=(-0.5, 3.5), ylim=(len(M) - 0.5, -0.5))
    axis.set_xticks([0.5, 1.5, 2.5], minor=True)
    axis.set_yticks([row + 0.5 for row in range(len(M) - 1)], minor=True)
    axis.grid(which="minor", color=grey, alpha=0.4)
    axis.tick_params(which="both", length=0)
axes[0].set_ylabel("output")
plt.show()

# %%
# The adjoint: back to the origin, and add
# ----------------------------------------
# Multiplying :math:`u` by that matrix from the left collects, for each input, the cotangents of all
# its copies. The matrix itself is not needed:
#
# .. math:: \bar{x}_j = (u^\top M)_j = \sum_{i \,:\, \text{origin}(i) = j} u_i


def adjoint(origin, u, shape):
    """Add each entry of u to the place its number names; number 0 is dropped."""
    total = torch.zeros(1 + shape.numel(), dtype=u.dtype)
    for place, cotangent in zip(origin.flatten().tolist(), u.flatten()):
        total[place] += cotangent
    return total[1:].view(shape)


u = {name: torch.randn(origin.shape, dtype=torch.float64) for name, origin in origins.items()}
dx = {name: adjoint(origins[name], u[name], x.shape) for name in moves}
print("pad: a cotangent of shape", tuple(u["pad"].shape), "goes home to", tuple(dx["pad"].shape))

# %%
# Twelve adjoints against autograd
# --------------------------------
# One backward pass for each movement, from its own random cotangent.

x_grad = {name: torch.autograd.grad(moves[name](x), x, u[name])[0] for name in moves}
torch.testing.assert_close(dx, x_grad)  # by hand, autograd
counts = {name: origins[name].flatten().bincount(minlength=25)[1:] for name in moves}
for name, count in counts.items():
    print(f"{name:8} entries used {count.min()} to {count.max()} times")

# %%
# The same in one line each
# -------------------------
# What the loop does has a name for each movement. A permutation is undone, a padded border cut off,
# a slice put back among zeros, copies are summed. :meth:`torch.Tensor.sum_to_size` is the adjoint
# of broadcasting: it sums over the dimensions that broadcasting added or stretched.

sliced = torch.zeros(2, 3, 4, dtype=torch.float64)
sliced[..., 1::2] = u["slice"]
first, rest = u["cat"].split((2, 3), dim=1)
first = torch.cat([first, torch.zeros(2, 1, 4, dtype=torch.float64)], dim=1)
one_line = {
    "permute": u["permute"].permute(1, 2, 0), "reshape": u["reshape"].reshape(2, 3, 4),
    "flip": u["flip"].flip(2), "roll": u["roll"].roll(-1, 2), "slice": sliced,
    "expand": u["expand"].sum_to_size(2, 3, 4), "cat": first + rest,
    "repeat": u["repeat"].view(2, 3, 2, 4).sum(2), "pad": u["pad"][:, :3, 1:],
}  # fmt: skip
torch.testing.assert_close(one_line, {name: x_grad[name] for name in one_line})  # by hand, autograd
print(len(one_line), "one-line adjoints")

# %%
# An index that occurs twice adds
# -------------------------------
# ``x[[0, 0, 1]]`` uses entry 0 twice, so its adjoint must add at a repeated place, which is what
# ``index_add`` does. Assigning through an index, ``+=`` included, writes each place once, and which
# of several values stays is not promised.

row = torch.tensor([5.0, 6.0, 7.0], dtype=torch.float64, requires_grad=True)
cotangent = torch.tensor([1.0, 10.0, 100.0], dtype=torch.float64)
row[twice].backward(cotangent)
drow = torch.tensor([1.0 + 10.0, 100.0, 0.0], dtype=torch.float64)
torch.testing.assert_close({"row": drow}, {"row": row.grad})  # by hand, autograd
added, written = torch.zeros(2, 3, dtype=torch.float64)
added.index_add_(0, twice, cotangent)
written[twice] += cotangent
print("autograd     ", row.grad.tolist())
print("index_add    ", added.tolist())
print("zeros[i] += u", written.tolist())

# %%
# Each adjoint, tested without a matrix
# -------------------------------------
# A movement is linear, so it is its own JVP, and :math:`\langle u, Mx\rangle = \langle M^\top u,
# x\rangle` has to hold. That test finds the lost copy of the cell above at once.

with torch.no_grad():
    for name, move in moves.items():
        torch.testing.assert_close((u[name] * move(x)).sum(), (dx[name] * x).sum())
    left, right = cotangent @ row[twice], written @ row
print("twelve movements pass; with += instead of index_add:", left.item(), "against", right.item())

# %%
# Shapes along a chain of movements
# ---------------------------------
# Four movements and a sum, whose matrix is a single row of ones: its adjoint copies one cotangent
# to all entries. Each node turns one of them round. What is saved is an index and never a value:
# places suffice.

rows = x[twice]  # (3, 3, 4)
turned = rows.permute(2, 0, 1)  # (4, 3, 3)
inserted = turned.unsqueeze(1)  # (4, 1, 3, 3)
stretched = inserted.expand(4, 5, 3, 3)
loss = stretched.sum()
loss.backward()
loss.grad_fn

# %%
# How often each entry was used
# -----------------------------
# The gradient of a sum of copies counts them: five of everything, two of row 0, one of row 1.

dx = 5 * torch.tensor([2.0, 1.0], dtype=torch.float64)[:, None, None].expand(2, 3, 4)
torch.testing.assert_close({"x": dx}, {"x": x.grad})  # by hand, autograd
print(x.grad[:, 0, 0].tolist())

# %%
# What was seen
# -------------
# The Jacobian of a movement has one 1 in each row at most. Its transpose sends every cotangent home
# and adds where several arrive, and :meth:`torch.Tensor.sum_to_size`, ``index_add`` and a crop are
# names for that.
