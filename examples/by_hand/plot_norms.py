r"""
Layer norm, RMS norm and batch norm, by hand
============================================

A normalisation divides by a number that it computed from the same data. That number moves when an
entry moves, and forgetting it is the classic mistake of this derivation. Below, the statistics get
gradients of their own, step by step, and then one formula for all three layers: what arrives, less
its mean, less its part along the output. Look at what is left when the statistics are taken for
constants, and at batch norm in evaluation, where they are.
"""

# %%
# Data
# ----
# ``N`` rows of ``D`` numbers, a scale ``gamma`` and a shift ``beta`` for each column, and a
# cotangent ``dY`` of the result.

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F

grey = "#7a7a7a"  # readable on light and on dark
plt.rcParams.update({"figure.facecolor": "none", "axes.facecolor": "none", "text.color": grey,
                     "axes.labelcolor": grey, "axes.edgecolor": grey,
                     "xtick.color": grey, "ytick.color": grey})  # fmt: skip

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
eps = 1e-5
N, D = 4, 5
X = (2 * torch.randn(N, D) + 3).requires_grad_()
gamma, beta = (torch.rand(D) + 0.5).requires_grad_(), torch.randn(D, requires_grad=True)
dY = torch.randn(N, D)
print("X", tuple(X.shape), " gamma and beta", tuple(gamma.shape))

# %%
# Layer norm, forward
# -------------------
# Mean, variance, one over the root, and then a product: a line for each.

mean = X.mean(1, keepdim=True)
centred = X - mean
var = centred.square().mean(1, keepdim=True)
r = (var + eps).rsqrt()
normal = centred * r
Y = gamma * normal + beta
for t in (mean, centred, var, r, normal):
    t.retain_grad()
Y.backward(dY, retain_graph=True)
torch.testing.assert_close(Y, F.layer_norm(X, (D,), gamma, beta, eps))
print(*(f"{name} {tuple(t.shape)}" for name, t in {"mean": mean, "r": r, "Y": Y}.items()))

# %%
# Backward, a line for each
# -------------------------
# ``r`` was used by all entries of a row, so its gradient is a sum. Through ``var`` it comes back to
# ``centred``, which therefore gets a second part, and through ``mean`` to ``X``.

with torch.no_grad():
    dnormal = gamma * dY
    dr = (dnormal * centred).sum(1, keepdim=True)
    dvar = -dr * r**3 / 2
    dcentred = dnormal * r + dvar * 2 * centred / D
    dmean = -dcentred.sum(1, keepdim=True)
    dX = dcentred + dmean / D
    dgamma, dbeta = (dY * normal).sum(0), dY.sum(0)
torch.testing.assert_close(
    {"normal": dnormal, "r": dr, "var": dvar, "centred": dcentred, "X": dX,
     "gamma": dgamma, "beta": dbeta},  # by hand
    {"normal": normal.grad, "r": r.grad, "var": var.grad, "centred": centred.grad, "X": X.grad,
     "gamma": gamma.grad, "beta": beta.grad},  # autograd
)  # fmt: skip
torch.testing.assert_close(dX.sum(1), torch.zeros(N))
print("row sums of dX", dX.sum(1).numpy().round(12) + 0.0)

# %%
# The graph of the lines
# ----------------------
# ``centred`` is used twice, by the square and by the product. Both paths lead back to it, and what
# they bring is added there.

Y.grad_fn

# %%
# In one formula
# --------------
# Put together, with :math:`\hat g = \gamma \odot \bar y` and an overline for the mean of a row,
#
# .. math:: \bar{x} = r \left( \hat g - \overline{\hat g}
#           - \hat x \; \overline{\hat g \odot \hat x} \right)
#
# Shapes of two to four dimensions, the last one or two of them normalised.


def layer_norm_backward(x, gamma, dy, dims):
    centred = x - x.mean(dims, keepdim=True)
    r = 1 / (centred.square().mean(dims, keepdim=True) + eps).sqrt()
    normal, g = centred * r, gamma * dy
    along = (g * normal).mean(dims, keepdim=True)
    return r * (g - g.mean(dims, keepdim=True) - normal * along), dy * normal


by_hand, by_autograd = {}, {}
for shape, last in {(4, 5): 1, (7, 3): 1, (2, 3, 6): 1, (3, 4, 5): 2, (2, 4, 3, 5): 2}.items():
    x, dy = torch.randn(shape, requires_grad=True), torch.randn(shape)
    w = (torch.rand(shape[-last:]) + 0.5).requires_grad_()
    b = torch.randn(shape[-last:], requires_grad=True)
    found = torch.autograd.grad(F.layer_norm(x, w.shape, w, b, eps), (x, w, b), dy)
    dims, others = tuple(range(-last, 0)), tuple(range(len(shape) - last))
    dx, dw = layer_norm_backward(x.detach(), w.detach(), dy, dims)
    by_hand |= {
        f"x {shape}": dx,
        f"weight {shape}": dw.sum(others),
        f"bias {shape}": dy.sum(others),
    }
    by_autograd |= dict(zip((f"{n} {shape}" for n in ("x", "weight", "bias")), found, strict=True))
torch.testing.assert_close(by_hand, by_autograd)  # by hand, autograd
print(len(by_hand), "gradients")

# %%
# RMS norm
# --------
# No mean is taken off, :math:`r = (\overline{x^2} + \epsilon)^{-1/2}`, and one of the three terms
# goes with it: :math:`\bar{x} = r (\hat g - \hat x \, \overline{\hat g \odot \hat x})`.

by_hand, by_autograd = {}, {}
for shape in ((4, 5), (7, 3), (6,), (2, 3, 6), (3, 5, 2, 4)):
    x, dy = torch.randn(shape, requires_grad=True), torch.randn(shape)
    w = (torch.rand(shape[-1]) + 0.5).requires_grad_()
    found = torch.autograd.grad(F.rms_norm(x, w.shape, w, eps), (x, w), dy)
    with torch.no_grad():
        r = 1 / (x.square().mean(-1, keepdim=True) + eps).sqrt()
        normal, g = x * r, w * dy
        dx = r * (g - normal * (g * normal).mean(-1, keepdim=True))
        dw = (dy * normal).reshape(-1, shape[-1]).sum(0)
    by_hand |= {f"x {shape}": dx, f"weight {shape}": dw}
    by_autograd |= {f"x {shape}": found[0], f"weight {shape}": found[1]}
torch.testing.assert_close(by_hand, by_autograd)  # by hand, autograd
print(len(by_hand), "gradients")

# %%
# Batch norm, in training and in evaluation
# -----------------------------------------
# In training the means run over the batch and all positions, for each channel: the same formula
# over other dimensions. In evaluation ``r`` comes from running statistics, which are constants:
# :math:`\bar x = r \hat g`, entry by entry.

by_hand, by_autograd = {}, {}
for shape in ((6, 3), (4, 2), (5, 3, 2), (3, 4, 2, 5), (2, 3, 4, 2, 3)):
    C, dims = shape[1], (0, *range(2, len(shape)))
    wide = (C, *[1] * (len(shape) - 2))
    x, dy = torch.randn(shape, requires_grad=True), torch.randn(shape)
    w, running = torch.rand(C) + 0.5, (torch.randn(C), torch.rand(C) + 0.5)
    trained = F.batch_norm(x, None, None, w, training=True, eps=eps)
    evaluated = F.batch_norm(x, *running, w, training=False, eps=eps)
    (by_autograd[f"training {shape}"],) = torch.autograd.grad(trained, x, dy)
    (by_autograd[f"evaluation {shape}"],) = torch.autograd.grad(evaluated, x, dy)
    dx, _ = layer_norm_backward(x.detach(), w.reshape(wide), dy, dims)
    r = 1 / (running[1] + eps).sqrt()
    by_hand |= {f"training {shape}": dx, f"evaluation {shape}": dy * (w * r).reshape(wide)}
torch.testing.assert_close(by_hand, by_autograd)  # by hand, autograd
print(len(by_hand), "gradients")

# %%
# The mistake, in numbers
# -----------------------
# Statistics taken for constants leave :math:`r \hat g`. One term more takes the mean into account
# and not the variance. Both have the right shape.

x, dy = torch.tensor([1.0, 2.0, 3.0, 6.0], requires_grad=True), torch.tensor([1.0, 0.0, 0.0, 0.0])
(found,) = torch.autograd.grad(F.layer_norm(x, (4,), eps=eps), x, dy)
right, _ = layer_norm_backward(x.detach(), torch.tensor(1.0), dy, 0)
torch.testing.assert_close({"x": right}, {"x": found})  # by hand, autograd
r = 1 / (x.detach().var(correction=0) + eps).sqrt()
for text, dx in (
    ("both depend on x", right),
    ("variance constant", r * (dy - dy.mean())),
    ("both constant", r * dy),
):
    print(f"{text:18}{dx.numpy().round(4)!s:36} sum {dx.sum() + 0.0:.2f}")
    normal = (x - x.mean()).detach() * r
    zeros = [(dx.sum()).abs().item() < 1e-9, (dx @ normal).abs().item() < 1e-4]
    assert zeros == [text != "both constant", text == "both depend on x"]

# %%
# A step that leaves the output where it was
# ------------------------------------------
# Scaling a row, or adding to it, changes nothing behind the norm, so the gradient has no part along
# ``x - mean`` or along ones. Here the loss is a random weighting of the output and a row is scaled
# by a factor: the loss stays, and the gradient shrinks by that factor.

weighting, row = torch.randn(8), torch.randn(8)
factors, sizes = torch.tensor([0.25, 0.5, 1.0, 2.0, 4.0, 8.0]), []
for factor in factors:
    x = (factor * row).requires_grad_()
    (dx,) = torch.autograd.grad(F.layer_norm(x, (8,), eps=0.0), x, weighting)
    torch.testing.assert_close(dx @ x.detach(), torch.tensor(0.0))
    sizes.append(dx.norm())
torch.testing.assert_close(torch.stack(sizes) * factors, sizes[2].expand(6))
fig, axis = plt.subplots(figsize=(7, 3))
axis.loglog(factors, sizes, "o-", color="#0072b2")
axis.set(xlabel="factor on the row", ylabel="size of its gradient")
axis.set_xticks(factors, [f"{factor:g}" for factor in factors.tolist()])
axis.set_yticks([0.25, 1, 4, 16], ["1/4", "1", "4", "16"])
axis.minorticks_off()
axis.spines[["top", "right"]].set_visible(False)
fig.tight_layout()
plt.show()

# %%
# What is saved
# -------------
# The input itself, and for each row or channel the mean and ``r``: the output can be computed from
# these. RMS norm is no single operation here: its nodes keep the normalised rows too.


def bytes_saved(root):
    """Bytes that the nodes behind root have saved, each storage once; and how many nodes."""
    nodes, storages = [root], {}
    for node in nodes:
        nodes += dict.fromkeys(n for n, _ in node.next_functions if n and n not in nodes)
        values = [getattr(node, a) for a in dir(node) if a.startswith("_saved_")]
        kept = [t.untyped_storage() for t in values if isinstance(t, torch.Tensor)]
        storages |= {storage.data_ptr(): storage.nbytes() for storage in kept}
    return sum(storages.values()), len(nodes)


root = torch.ones(3, requires_grad=True).exp()
assert bytes_saved((root * root).grad_fn) == (24, 3)  # what is shared is counted once
x = torch.randn(N, D, requires_grad=True)
layers = {
    "layer_norm": (F.layer_norm(x, (D,), gamma, beta), N * D + 2 * D + 2 * N),
    "batch_norm": (F.batch_norm(x, None, None, gamma, beta, training=True), N * D + D + 2 * D),
    "rms_norm": (F.rms_norm(x, (D,), gamma), 2 * N * D + D + N),
}
for name, (y, numbers) in layers.items():
    kept, nodes = bytes_saved(y.grad_fn)
    print(f"{name:11} {kept:4} bytes behind {y.grad_fn.name()}")
    torch.testing.assert_close(torch.tensor(kept), torch.tensor(8 * numbers))
    assert (nodes > 4) == (name == "rms_norm")  # separate operations, on a CPU

# %%
# What was seen
# -------------
# Each statistic is a node with a gradient of its own, and putting them together leaves what
# arrives, less its mean, less its part along the output, times ``r``. Which dimensions the mean is
# over is all that tells layer norm from batch norm. In evaluation batch norm is a product with a
# constant.
