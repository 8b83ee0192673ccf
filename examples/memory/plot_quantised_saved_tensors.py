r"""
Saved tensors in eight bits, and the error that buys
====================================================

A pack hook may keep something else than the tensor it was given: here whole numbers of one byte
and a scale, an eighth of the memory. The backward pass then computes with other values than the
forward pass did, and its gradients are off. By how much follows from the rules that use the saved
tensors, so it can be bounded beforehand, entry by entry. Look at the distance between bound and
error, and at how both fall with each bit.
"""

# %%
# Two layers
# ----------
# :math:`Z_1 = XW_1^\top`, :math:`h = \tanh Z_1`, :math:`Z_2 = hW_2^\top`, and a cotangent
# :math:`u` of :math:`Z_2`. All sizes differ.

import matplotlib.pyplot as plt
import torch
from torch.autograd.graph import saved_tensors_hooks

grey = "#7a7a7a"  # readable on light and on dark
plt.rcParams.update({"figure.facecolor": "none", "axes.facecolor": "none", "text.color": grey,
                     "axes.labelcolor": grey, "axes.edgecolor": grey,
                     "xtick.color": grey, "ytick.color": grey})  # fmt: skip

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
N, D, H, K = 20, 12, 9, 4
X, u = torch.randn(N, D), torch.randn(N, K)
W1 = (torch.randn(H, D) / D**0.5).requires_grad_()
W2 = (torch.randn(K, H) / H**0.5).requires_grad_()


def forward():
    return (X @ W1.T).tanh() @ W2.T


print("result", tuple(forward().shape))

# %%
# A tensor in few bits
# --------------------
# The largest entry becomes the largest whole number, and every entry the nearest one. What comes
# back differs from the original by at most half of the scale.


def quantise(t, bits):
    """Whole numbers of one byte, and the scale that belongs to them."""
    scale = t.abs().max() / (2 ** (bits - 1) - 1)
    return (t / scale).round().to(torch.int8), scale


def restore(packed):
    numbers, scale = packed
    return numbers * scale


numbers, scale = quantise(X, 8)
error = (restore((numbers, scale)) - X).abs().max()
assert error <= scale / 2
print(f"{X.nbytes} bytes become {numbers.nbytes}, error {error:.4f}, half of the scale "
      f"{scale / 2:.4f}")  # fmt: skip

# %%
# The hooks
# ---------
# The first is given what is to be saved and returns what is kept, the second makes a tensor of it
# again. Parameters are handed through: they are kept by the model anyway, and to round them would
# win nothing. Handed through means detached, as a hook should not return what it was given.


def compressed(bits, log):
    weights = {W1.data_ptr(), W2.data_ptr()}

    def pack(t):
        kept = t.detach() if t.data_ptr() in weights else quantise(t.detach(), bits)
        log.append((t.nbytes, 0 if torch.is_tensor(kept) else kept[0].nbytes))
        return kept

    def unpack(kept):
        return kept if torch.is_tensor(kept) else restore(kept)

    return saved_tensors_hooks(pack, unpack)


log = []
with compressed(8, log):
    forward()
print("(bytes before, bytes kept):", log)

# %%
# The gradients that come out
# ---------------------------
# The product of the second layer saved :math:`h` and the first one :math:`X`; the tanh saved
# :math:`h` as well. Write :math:`\tilde h, \tilde X` for what comes back. The rules are what they
# are, with other numbers in them:
#
# .. math::
#
#    \bar W_2 = u^\top \tilde h \qquad
#    \bar Z_1 = uW_2 \odot (1 - \tilde h \odot \tilde h) \qquad
#    \bar W_1 = \bar Z_1^\top \tilde X


def gradients(h, X):
    """By hand, from what was saved."""
    dW2 = u.T @ h
    dZ1 = (u @ W2) * (1 - h * h)
    dW1 = dZ1.T @ X
    return {"W1": dW1, "W2": dW2}


with torch.no_grad():
    h = (X @ W1.T).tanh()
    by_hand = gradients(restore(quantise(h, 8)), restore(quantise(X, 8)))
    exact = gradients(h, X)


def by_autograd(bits):
    with compressed(bits, []):
        Z2 = forward()
    return dict(zip(("W1", "W2"), torch.autograd.grad(Z2, (W1, W2), u)))


found = by_autograd(8)
torch.testing.assert_close(by_hand, found)  # by hand, autograd
for name in found:
    print(f"{name}: off by at most {(found[name] - exact[name]).abs().max():.5f}")

# %%
# Without the hooks
# -----------------
# The same formulas with the tensors as they were give autograd's gradients as they are.

plain = dict(zip(("W1", "W2"), torch.autograd.grad(forward(), (W1, W2), u)))
torch.testing.assert_close(exact, plain)  # by hand, autograd
print({name: tuple(gradient.shape) for name, gradient in plain.items()})

# %%
# A bound beforehand
# ------------------
# Let :math:`\delta_h` and :math:`\delta_X` be half of the scales. The second gradient is linear in
# :math:`h`. The first has :math:`|\tilde h^2 - h^2| = |\tilde h - h||\tilde h + h| \le \delta_h
# (2|h| + \delta_h)` in it, and then an error of each factor of a product. Entry by entry, with
# :math:`G = |uW_2|`:
#
# .. math::
#
#    \begin{aligned}
#    |\Delta \bar W_2| &\le |u|^\top \delta_h \\
#    |\Delta \bar Z_1| &\le E = G \odot \delta_h (2|h| + \delta_h) \\
#    |\Delta \bar W_1| &\le E^\top (|X| + \delta_X) + |\bar Z_1|^\top \delta_X
#    \end{aligned}


def bounds(bits):
    delta_h, delta_X = (quantise(t, bits)[1] / 2 for t in (h, X))
    G = (u @ W2).abs()
    E = G * delta_h * (2 * h.abs() + delta_h)
    dZ1 = G * (1 - h * h)
    W1_bound = E.T @ (X.abs() + delta_X) + dZ1.sum(0)[:, None] * delta_X
    W2_bound = (u.abs().sum(0) * delta_h)[:, None].expand(K, H)
    return {"W1": W1_bound, "W2": W2_bound, "Z1": E}


with torch.no_grad():
    limits = bounds(8)
for name, gradient in found.items():
    off, limit = (gradient - exact[name]).abs(), limits[name]
    assert (off <= limit).all()
    print(f"{name}: within its bound in all {limit.numel()} entries, at most "
          f"{(off / limit).max():.0%} of it")  # fmt: skip

# %%
# The bound can nearly be reached
# -------------------------------
# Errors of rounding have either sign and mostly cancel. For an entry :math:`(i, j)` of either
# gradient the worst would be that they conspire: for each row :math:`n` the sign of the error of
# :math:`h_{ni}` and of :math:`X_{nj}` that does the most harm. That reaches the bounds for
# ``Z1`` and ``W2``, and for ``W1`` it falls short by less than two per cent.

with torch.no_grad():
    delta_h, delta_X = (quantise(t, 8)[1] / 2 for t in (h, X))
    dZ1 = (u @ W2) * (1 - h**2)
    harm, Z1_harm = [], []
    for h_sign, X_sign in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
        Z1_off = (u @ W2) * (1 - (h + h_sign * delta_h) ** 2)
        Z1_harm.append((Z1_off - dZ1).abs())
        whole = Z1_off[:, :, None] * (X + X_sign * delta_X)[:, None, :]
        harm.append(whole - dZ1[:, :, None] * X[:, None, :])
    harm = torch.stack(harm)
    worst = torch.maximum(harm.amax(0).sum(0), (-harm).amax(0).sum(0))
    ratio = limits["W1"] / worst
torch.testing.assert_close(limits["Z1"], torch.stack(Z1_harm).amax(0))
torch.testing.assert_close(limits["W2"], (u.abs() * delta_h).sum(0)[:, None].expand(K, H))
assert ratio.min() >= 1
assert ratio.max() < 1.02
print(f"bound over worst case, for W1: {ratio.min():.4f} to {ratio.max():.4f}")

# %%
# Bit by bit
# ----------
# One more bit halves the scale and with it the bound. The error follows, and stays below it for
# every entry of every run.

bits = range(3, 9)
largest = {"W1": [], "W2": []}
allowed = {"W1": [], "W2": []}
for number in bits:
    found = by_autograd(number)
    with torch.no_grad():
        limits = bounds(number)
    for name, gradient in found.items():
        off, limit = (gradient - exact[name]).abs(), limits[name]
        assert (off <= limit).all()
        largest[name].append(off.max().item())
        allowed[name].append(limit.max().item())
print({name: [round(value, 4) for value in values] for name, values in largest.items()})

# %%
# Drawn
# -----
# Points are the largest error of an entry, lines the largest bound.

fig, axis = plt.subplots(figsize=(7, 3.2))
for name, color in (("W1", "#0072b2"), ("W2", "#d55e00")):
    axis.semilogy(bits, allowed[name], color=color, label=f"bound for {name}")
    axis.semilogy(bits, largest[name], "o", color=color, label=f"error of {name}")
axis.set(xlabel="bits a number", ylabel="largest error of the gradient")
axis.legend(frameon=False)
axis.spines[["top", "right"]].set_visible(False)
fig.tight_layout()
plt.show()

# %%
# What was seen
# -------------
# With eight bits for sixty-four the gradients were those of the formulas with rounded tensors in
# them, and stayed within a bound that was known before the pass. The forward pass is not touched:
# what it returns is exact.
