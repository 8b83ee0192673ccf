r"""
How a gradient grows through time
=================================

A linear recurrence multiplies its state by one matrix in every step, and its backward pass
multiplies the gradient by the transpose as often. If each step makes it ten per cent longer, thirty
steps make it seventeen times as long; if ten per cent shorter, less than a twentieth is left. The
norms are taken from the states' own gradients and drawn for three matrices, and the gradients of
states and of the matrix are computed by hand. A tanh in each step is added last. Look at how
straight the lines are.
"""

# %%
# Three matrices that turn, and one factor each
# ---------------------------------------------
# ``Q`` is a rotation in four dimensions, not symmetric: it changes no length. Times ``s`` it
# changes every length by ``s``.

import matplotlib.pyplot as plt
import torch

grey = "#7a7a7a"  # readable on light and on dark
plt.rcParams.update({"figure.facecolor": "none", "axes.facecolor": "none", "text.color": grey,
                     "axes.labelcolor": grey, "axes.edgecolor": grey,
                     "xtick.color": grey, "ytick.color": grey})  # fmt: skip

torch.manual_seed(0)
steps, scales = 30, (0.9, 1.0, 1.1)
# equal sizes: a state is multiplied by the same matrix at every step
Q, _ = torch.linalg.qr(torch.randn(4, 4, dtype=torch.float64))
start = torch.randn(3, 4, dtype=torch.float64)
c = torch.randn(3, 4, dtype=torch.float64)
torch.testing.assert_close((start @ Q).norm(dim=1), start.norm(dim=1))  # it keeps lengths

# %%
# Forward, keeping the gradient of every state
# --------------------------------------------
# A state is a batch of three rows, :math:`H_t = H_{t-1} W^\top`, and the loss weighs the last one
# with ``c``. Intermediates keep their gradient if they are asked to.


def run(scale, bend=lambda h: h):
    W = (scale * Q).requires_grad_()
    states = [start.clone().requires_grad_()]
    for _ in range(steps):
        states.append(bend(states[-1] @ W.T))
        states[-1].retain_grad()
    (c * states[-1]).sum().backward()
    return W, states


W, states = run(1.1)
print(f"first gradient {states[0].grad.norm():.3f}, last {states[-1].grad.norm():.3f}")

# %%
# The gradients by hand
# ---------------------
# From the last state back, :math:`\bar{H}_{t-1} = \bar{H}_t W`, and every step adds
# :math:`\bar{H}_t^\top H_{t-1}` to the gradient of the matrix.

dH = [None] * steps + [c]
dW = torch.zeros(4, 4, dtype=torch.float64)
for t in range(steps, 0, -1):
    dW += dH[t].T @ states[t - 1].detach()
    dH[t - 1] = dH[t] @ W.detach()
torch.testing.assert_close(
    {"W": dW, "first state": dH[0], "state 20": dH[20]},  # by hand
    {"W": W.grad, "first state": states[0].grad, "state 20": states[20].grad},  # autograd
)

# %%
# A power of the factor
# ---------------------
# The rotation keeps lengths, so the norm at step :math:`t` is :math:`s^{T-t}` times that at the
# end. On an axis of powers that is a straight line.

fig, axes = plt.subplots(figsize=(6, 3.2), layout="constrained")
for scale, color in zip(scales, ("#0072b2", "#e69f00", "#d55e00"), strict=True):
    _, states = run(scale)
    norms = torch.stack([state.grad.norm() for state in states])
    law = scale ** (steps - torch.arange(steps + 1, dtype=torch.float64)) * c.norm()
    torch.testing.assert_close(norms, law)
    axes.semilogy(norms, color=color, label=f"factor {scale}")
axes.set(xlabel="step", ylabel="norm of the state's gradient")
axes.spines[["top", "right"]].set_visible(False)
axes.legend(frameon=False)
plt.show()

# %%
# A tanh in every step
# --------------------
# Its slope is at most 1 and usually less, so the gradient shrinks also where the matrix alone
# would keep it. The factor that one step makes is the ratio of two neighbours.

for scale in scales:
    _, states = run(scale, torch.tanh)
    norms = [state.grad.norm() for state in states]
    print(f"factor {scale}: first {norms[0]:.2e}, last {norms[-1]:.2f}, "
          f"a step makes {(norms[0] / norms[-1]) ** (1 / steps):.2f}")  # fmt: skip

# %%
# Clipping shortens, and does not turn
# ------------------------------------
# :func:`torch.nn.utils.clip_grad_norm_` divides a gradient that is too long by its length over the
# limit. The direction stays, and so does what made it long.

W, _ = run(1.1)
before = W.grad.clone()
length = torch.nn.utils.clip_grad_norm_([W], max_norm=1.0)
torch.testing.assert_close(W.grad, before / before.norm())
print(f"length before {length:.1f}, after {W.grad.norm():.6f}")

# %%
# What was seen
# -------------
# A gradient that explodes or vanishes does so by a factor a step, and the norms of neighbours say
# which. It is a property of what the steps multiply by, not of the loss: clipping deals with its
# length, another matrix or another cell with its cause.
