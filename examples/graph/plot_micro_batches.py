r"""
Micro-batches that add up to a batch
====================================

A batch too large for memory is run in pieces, and the gradients add up in ``.grad`` before the one
optimizer step. Whether the sum is the gradient of the whole batch depends on how each piece is
weighted, and the usual ``loss / steps`` is right for a mean over pieces of equal size and for
nothing else. Every such sum, the wrong ones included, is derived by hand and met by autograd.
Look at the figure: the error of the usual weights grows with how unequal the pieces are.
"""

# %%
# A batch of eight
# ----------------
# ``N`` examples in the rows of ``X``, a linear model with a tanh, and a squared error for each
# example. The last two examples are outliers, as the end of a sorted file may be.

import matplotlib.pyplot as plt
import torch

grey = "#7a7a7a"  # readable on light and on dark
plt.rcParams.update({"figure.facecolor": "none", "axes.facecolor": "none", "text.color": grey,
                     "axes.labelcolor": grey, "axes.edgecolor": grey,
                     "xtick.color": grey, "ytick.color": grey})  # fmt: skip

torch.manual_seed(1)
torch.set_default_dtype(torch.float64)
N, D = 8, 3
X, t = torch.randn(N, D), torch.randn(N)
t[-2:] += 2
w = torch.randn(D, requires_grad=True)


def errors(w, X, t):
    """One squared error for each example."""
    return ((X @ w).tanh() - t) ** 2


print("errors", [f"{e:.2f}" for e in errors(w, X, t).tolist()])

# %%
# One gradient for each example, by hand
# --------------------------------------
# With :math:`h = \tanh(x_i^\top w)`, example :math:`i` contributes
#
# .. math:: g_i = 2 (h_i - t_i)(1 - h_i^2)\, x_i ,
#
# and every gradient on this page is a weighted sum of these eight rows.

with torch.no_grad():
    h = (X @ w).tanh()
    g = (2 * (h - t) * (1 - h * h))[:, None] * X
dw_mean = g.sum(0) / N
errors(w, X, t).mean().backward()
torch.testing.assert_close({"w, full batch": dw_mean}, {"w, full batch": w.grad})  # by hand
print("rows", tuple(g.shape), " gradient of the mean", w.grad)

# %%
# Accumulating
# ------------
# One backward pass for each piece; ``.grad`` is cleared before the first and left alone until the
# last. A function ``weight`` says what the piece's loss is multiplied by.


def accumulate(sizes, weight, reduce=torch.mean):
    """The gradient that pieces of the given sizes leave in w.grad."""
    w.grad = None
    for X_piece, t_piece in zip(X.split(sizes), t.split(sizes)):
        loss = reduce(errors(w, X_piece, t_piece)) * weight(len(t_piece), len(sizes))
        loss.backward()
    return w.grad


def by_steps(size, steps):
    return 1 / steps


def by_size(size, steps):
    return size / N


print("full batch in one piece:", accumulate([8], by_steps))

# %%
# Equal pieces
# ------------
# A piece of :math:`B` examples has the mean :math:`\frac{1}{B}\sum g_i`. Four pieces of two, each
# divided by 4, give every example :math:`\frac{1}{4} \cdot \frac{1}{2} = \frac{1}{8}`: the gradient
# of the full batch.

dw_equal = 1 / 4 * (g[0:2].mean(0) + g[2:4].mean(0) + g[4:6].mean(0) + g[6:8].mean(0))
equal = accumulate([2, 2, 2, 2], by_steps)
torch.testing.assert_close({"w, 2+2+2+2": dw_equal}, {"w, 2+2+2+2": equal})  # by hand, autograd
torch.testing.assert_close(dw_equal, dw_mean)
print("2+2+2+2, each / 4:", equal)

# %%
# Six and two, divided by the number of steps
# -------------------------------------------
# Now an example of the first piece counts :math:`\frac{1}{2} \cdot \frac{1}{6}` and one of the
# second :math:`\frac{1}{2} \cdot \frac{1}{2}`, three times as much, where either should count
# :math:`\frac{1}{8}`. The formula agrees with autograd, and both disagree with the full batch.

dw_uneven = 1 / 2 * (g[:6].sum(0) / 6 + g[6:].sum(0) / 2)
uneven = accumulate([6, 2], by_steps)
torch.testing.assert_close({"w, 6+2": dw_uneven}, {"w, 6+2": uneven})  # by hand, autograd
assert not torch.allclose(uneven, dw_mean)
print("6+2, each / 2:", uneven)
print("full batch:   ", dw_mean)

# %%
# Six and two, weighted by size
# -----------------------------
# Multiply the mean of each piece by its share of the batch, :math:`\frac{B}{N}`, and every example
# counts :math:`\frac{B}{N} \cdot \frac{1}{B} = \frac{1}{N}` again.

dw_weighted = 6 / 8 * (g[:6].sum(0) / 6) + 2 / 8 * (g[6:].sum(0) / 2)
weighted = accumulate([6, 2], by_size)
torch.testing.assert_close({"w, weighted": dw_weighted}, {"w, weighted": weighted})  # by hand
torch.testing.assert_close(dw_weighted, dw_mean)
print("6+2, each * B/8:", weighted)

# %%
# A sum needs no weights
# ----------------------
# Sums of pieces add up to the sum of all, whatever the sizes. Divided by the number of steps they
# are too small by that factor.

dw_sum, dw_quarter = g.sum(0), g.sum(0) / 4
summed = accumulate([5, 3], lambda size, steps: 1.0, torch.sum)
quarter = accumulate([2, 2, 2, 2], by_steps, torch.sum)
torch.testing.assert_close(
    {"w, sum": dw_sum, "w, sum / 4": dw_quarter},  # by hand
    {"w, sum": summed, "w, sum / 4": quarter},  # autograd
)
print("sum of 5+3:         ", summed)
print("sum of 2+2+2+2, / 4:", quarter)

# %%
# How wrong, and when
# -------------------
# The relative error against the full batch for every way to cut the batch in two, with either kind
# of weight. At four and four the two agree; weighted by size, the error is rounding everywhere.


def relative_error(gradient):
    return ((gradient - dw_mean).norm() / dw_mean.norm()).item()


first = range(1, N)
curves = {
    "each mean / steps": [relative_error(accumulate([k, N - k], by_steps)) for k in first],
    "each mean * B/N": [relative_error(accumulate([k, N - k], by_size)) for k in first],
}
figure, axes = plt.subplots(figsize=(7, 3.5), layout="constrained")
for (label, curve), color, marker in zip(curves.items(), ("#d55e00", "#0072b2"), "os"):
    axes.plot(first, curve, marker + "-", color=color, label=label)
axes.set(xlabel="examples in the first of two pieces", ylabel="relative error of the gradient")
axes.set_xticks(first, [f"{k}+{N - k}" for k in first])
axes.legend(frameon=False)
plt.show()

# %%
# Clip once, after the last piece
# -------------------------------
# :func:`torch.nn.utils.clip_grad_norm_` scales what ``.grad`` holds. Called after every piece it
# works on a partial sum, and what is clipped early counts less. To clip the batch's gradient, clip
# when it is complete: with :math:`\lVert \bar{w} \rVert > c` it becomes :math:`c\,\bar{w} / \lVert
# \bar{w} \rVert`.

bound = 0.1 * dw_mean.norm().item()
accumulate([6, 2], by_size)
torch.nn.utils.clip_grad_norm_([w], bound)
once = w.grad.clone()
w.grad = None
for X_piece, t_piece in zip(X.split([6, 2]), t.split([6, 2])):
    (errors(w, X_piece, t_piece).mean() * len(t_piece) / N).backward()
    torch.nn.utils.clip_grad_norm_([w], bound)
cosine = torch.nn.functional.cosine_similarity
assert abs(cosine(once, dw_mean, dim=0) - 1) < 1e-6
assert cosine(w.grad, dw_mean, dim=0) < 0.9
print("clipped once: norm / bound", f"{once.norm() / bound:.4f}", end=", ")
print("cosine to the full batch", f"{cosine(once, dw_mean, dim=0):.4f}")
print("clipped twice: norm / bound", f"{w.grad.norm() / bound:.4f}", end=", ")
print("cosine to the full batch", f"{cosine(w.grad, dw_mean, dim=0):.4f}")

# %%
# What was seen
# -------------
# ``.grad`` holds a sum, and the weights decide of what. An example must count as much in its piece
# as it would in the batch: the mean of a piece times its share, or a sum without any weight.
