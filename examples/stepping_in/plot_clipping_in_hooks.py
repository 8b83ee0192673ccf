r"""
Clipping in a hook is not clipping the norm
===========================================

A hook that shortens a gradient when its norm is above a limit is easily written, and often shown
as gradient clipping. :func:`torch.nn.utils.clip_grad_norm_` does something else: it waits until
all gradients have been added up, takes one norm over all parameters, and shortens them together.
The hook sees one tensor in one pass. Here both are worked out by hand on a linear regression.
Look at the cosine, which says whether the step still goes downhill the steepest way, and at the
plot, where the limit holds for every pass and not for what they add up to.
"""

# %%
# A regression in two batches
# ---------------------------
# :math:`R = XW^\top + b - T` and :math:`L = \frac{1}{2N}\sum R^2` with :math:`N` examples. The two
# batches differ in size.

import matplotlib.pyplot as plt
import torch

grey = "#7a7a7a"  # readable on light and on dark
plt.rcParams.update({"figure.facecolor": "none", "axes.facecolor": "none", "text.color": grey,
                     "axes.labelcolor": grey, "axes.edgecolor": grey,
                     "xtick.color": grey, "ytick.color": grey})  # fmt: skip

torch.manual_seed(0)
double = {"dtype": torch.float64}
batches = [(torch.randn(n, 4, **double) / 3, 1 + torch.randn(n, 3, **double)) for n in (5, 7)]
W, b = torch.rand(3, 4, **double), torch.rand(3, **double)
limit = 0.25


def loss_of(W, b, X, T):
    return (X @ W.T + b - T).square().sum() / (2 * len(X))


print("examples:", [len(X) for X, _ in batches])

# %%
# The gradient by hand
# --------------------
# With :math:`\bar{R} = R / N`: :math:`\bar{W} = \bar{R}^\top X`, and :math:`\bar{b}` is the sum of
# the rows of :math:`\bar{R}`.


def by_hand(X, T):
    dR = (X @ W.T + b - T) / len(X)
    return dR.T @ X, dR.sum(0)


grads = [by_hand(X, T) for X, T in batches]
leaves = [W.clone().requires_grad_(), b.clone().requires_grad_()]
for X, T in batches:
    loss_of(*leaves, X, T).backward()
(dW, db), (dW_second, db_second) = grads
dW, db = dW + dW_second, db + db_second
torch.testing.assert_close(  # by hand, autograd
    {"W": dW, "b": db}, {"W": leaves[0].grad, "b": leaves[1].grad}
)
print(f"norms: W {dW.norm().item():.2f}, b {db.norm().item():.2f}")

# %%
# Clipped together
# ----------------
# One norm over all parameters, :math:`\nu = \sqrt{\|\bar W\|^2 + \|\bar b\|^2}`, and one factor for
# all, ``limit`` :math:`/\,\nu`. (PyTorch adds a millionth to the norm that it divides by.)

torch.nn.utils.clip_grad_norm_(leaves, limit)
norm = (dW.norm() ** 2 + db.norm() ** 2).sqrt()
clipped = {"W": dW * limit / (norm + 1e-6), "b": db * limit / (norm + 1e-6)}
torch.testing.assert_close(clipped["W"], leaves[0].grad)
torch.testing.assert_close(clipped["b"], leaves[1].grad)
length = (clipped["W"].norm() ** 2 + clipped["b"].norm() ** 2).sqrt()
print(f"norm of both, clipped: {length.item():.5f}")

# %%
# Clipped in hooks
# ----------------
# Every tensor in every pass has its own factor, ``limit`` over its own norm then, and ``.grad``
# is the sum of what is left.


def clip(gradient):
    norm = gradient.norm()
    return gradient * (limit / norm) if norm > limit else gradient


hooked = [W.clone().requires_grad_(), b.clone().requires_grad_()]
for leaf in hooked:
    leaf.register_hook(clip)
for X, T in batches:
    loss_of(*hooked, X, T).backward()
by_itself = {
    "W": sum(of_W * limit / of_W.norm() for of_W, _ in grads),
    "b": sum(of_b * limit / of_b.norm() for _, of_b in grads),
}
torch.testing.assert_close(by_itself["W"], hooked[0].grad)
torch.testing.assert_close(by_itself["b"], hooked[1].grad)
print("norm of each:", [round(value.norm().item(), 4) for value in by_itself.values()])

# %%
# Two directions
# --------------
# A common factor changes the length of a step only. Factors of its own for each tensor turn it.


def cosine(these, those):
    these, those = (torch.cat([part.flatten() for part in parts]) for parts in (these, those))
    return (these @ those / (these.norm() * those.norm())).item()


together, alone = cosine((dW, db), clipped.values()), cosine((dW, db), by_itself.values())
assert abs(together - 1) < 1e-12
assert alone < 0.95
print(f"cosine with the gradient: clipped together {together:.4f}, in hooks {alone:.4f}")

# %%
# Pass by pass
# ------------
# Six passes of accumulation. Nothing keeps the sum of clipped gradients below the limit.

leaf = W.clone().requires_grad_()
leaf.register_hook(clip)
norms = []
for X, T in batches * 3:
    loss_of(leaf, b, X, T).backward()
    norms.append(leaf.grad.norm().item())
assert norms[0] <= limit + 1e-12
assert norms[-1] > 5 * limit
fig, ax = plt.subplots(figsize=(6, 3), layout="constrained")
ax.step(range(1, 7), norms, where="mid", color="#d55e00", label="clipped in a hook")
ax.axhline(limit, linestyle="--", color="#0072b2", label="limit of clip_grad_norm_")
ax.set(xlabel="backward passes", ylabel="norm of W.grad")
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False)
plt.show()

# %%
# An infinite gradient
# --------------------
# Infinity divided by infinity is not a number: a hook of this kind turns an overflow, which can
# be found by looking for infinity, into NaN.

x = torch.zeros(1, requires_grad=True)
x.register_hook(clip)
x.sqrt().sum().backward()
assert x.grad.isnan().all()
print("the slope of the root at 0, clipped:", x.grad.item())

# %%
# What was seen
# -------------
# A hook limits what one pass sends to one tensor. The norm over all parameters, after all passes,
# is not known to any hook; clip after the last ``backward()`` and before the step.
