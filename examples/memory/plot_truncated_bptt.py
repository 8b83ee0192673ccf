r"""
Truncated backpropagation through time
======================================

A recurrent network carries a state from step to step, and its graph grows with the sequence. Cut
with ``detach`` after every ``k`` steps, each window can be run backward at once and dropped. Values
do not change, the gradient does: it loses the paths that cross a cut. Both gradients are derived
here, for a product of numbers first and then for a network, and what is alive is counted. Look at
the curve of memory, and at how much of the gradient each length of window keeps.
"""

# %%
# A product of equal numbers
# --------------------------
# ``T`` steps, each of which multiplies the state by ``w``.

import weakref

import matplotlib.pyplot as plt
import torch

grey = "#7a7a7a"  # readable on light and on dark
plt.rcParams.update({"figure.facecolor": "none", "axes.facecolor": "none", "text.color": grey,
                     "axes.labelcolor": grey, "axes.edgecolor": grey,
                     "xtick.color": grey, "ytick.color": grey})  # fmt: skip

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
T, w = 6, torch.tensor(0.9, requires_grad=True)
print("value", (w**T).item())

# %%
# A power, cut in pieces
# ----------------------
# :math:`h_t = w h_{t-1}` from :math:`h_0 = 1` gives :math:`h_T = w^T`, with the gradient
# :math:`T w^{T-1}`: each of the ``T`` places where :math:`w` is used contributes
# :math:`w^{T-1}`. With cuts, only the places after the last cut do, ``k`` of them.


def power(w, k):
    """The T-th power of w, cut before every k-th step but the first."""
    h = torch.ones(())
    for t in range(T):
        if t % k == 0:
            h = h.detach()
        h = w * h
    return h


by_hand, by_autograd = {}, {}
for k in (6, 3, 2, 1):
    by_hand[f"k = {k}"] = k * w.detach() ** (T - 1)
    (by_autograd[f"k = {k}"],) = torch.autograd.grad(power(w, k), w)
    print(f"k = {k}: value {power(w, k).item():.6f}, gradient {by_autograd[f'k = {k}'].item():.5f}")
torch.testing.assert_close(by_hand, by_autograd)  # by hand, autograd

# %%
# A network that reads a sequence
# -------------------------------
# :math:`h_t = \tanh(h_{t-1}A^\top + x_tB^\top)`, and each step adds :math:`\langle c_t, h_t
# \rangle` to the loss. ``N`` sequences of ``steps`` inputs of ``D`` numbers, and a state of ``H``.

N, steps, D, H = 5, 24, 3, 8
x, c = torch.randn(steps, N, D), torch.randn(steps, N, H)
# equal sizes: a state follows a state
A = (torch.randn(H, H) / H**0.5).requires_grad_()
B = torch.randn(H, D).requires_grad_()


def step(h, t):
    return (h @ A.T + x[t] @ B.T).tanh()


print("first state", tuple(step(torch.zeros(N, H), 0).shape))

# %%
# By hand, with a reset
# ---------------------
# Backward in time, the cotangent of a state is what its own step asks for and what comes from the
# next one:
#
# .. math::
#
#    \bar h_t = c_t + \bar z_{t+1} A \qquad
#    \bar z_t = \bar h_t \odot (1 - h_t \odot h_t) \qquad
#    \bar A = \sum_t \bar z_t^\top h_{t-1} \qquad
#    \bar B = \sum_t \bar z_t^\top x_t
#
# At the end of a window nothing comes from the next step. That is all truncation does.


def gradients(k):
    """By hand, for windows of k steps."""
    with torch.no_grad():
        states = [torch.zeros(N, H)]
        for t in range(steps):
            states.append(step(states[-1], t))
        dA, dB, carried = torch.zeros(H, H), torch.zeros(H, D), None
        for t in reversed(range(steps)):
            dh = c[t] if (t + 1) % k == 0 else c[t] + carried
            dz = dh * (1 - states[t + 1] ** 2)
            dA += dz.T @ states[t]
            dB += dz.T @ x[t]
            carried = dz @ A
    return {"A": dA, "B": dB}


print({name: tuple(gradient.shape) for name, gradient in gradients(steps).items()})

# %%
# The loop
# --------
# A window ends with a backward pass and a cut. ``alive`` counts, after each step, the states that
# something still refers to, by a weak reference to the storage of each.


def train(k):
    """Accumulate gradients in windows of k steps; return how many states were alive, by step."""
    A.grad = B.grad = None
    h, loss, born, alive = torch.zeros(N, H), 0, [], []
    for t in range(steps):
        h = step(h, t)
        born.append(weakref.ref(h.untyped_storage()))
        loss = loss + (c[t] * h).sum()
        alive.append(sum(state() is not None for state in born))
        if (t + 1) % k == 0:
            loss.backward()
            h, loss = h.detach(), 0
    return alive


alive = train(4)
print("alive after each step:", *alive)

# %%
# Both gradients
# --------------
# For each length of window tried, autograd gives what was derived. One window of all steps is the
# full gradient.

lengths = (1, 2, 3, 4, 6, 8, 12, 24)
counts, found = {}, {}
for k in lengths:
    counts[k] = train(k)
    found[k] = {"A": A.grad, "B": B.grad}
    torch.testing.assert_close(gradients(k), found[k])  # by hand, autograd
full = found[steps]
for k in lengths:
    off = {name: (found[k][name] - full[name]).norm() / full[name].norm() for name in full}
    print(f"k = {k:2}  missing of A {off['A']:.2f}, of B {off['B']:.2f}")

# %%
# What is alive is bounded
# ------------------------
# In the full pass the states pile up, ``steps`` of them. With windows there are at most the ``k``
# of the window, and the one that it began with, which the first product has saved.

state_bytes = 8 * N * H
for k in lengths:
    peak = max(counts[k])
    by_hand = k + 1 if k < steps else steps
    torch.testing.assert_close(torch.tensor(by_hand), torch.tensor(peak))
    print(f"k = {k:2}  at most {peak:2} states, {peak * state_bytes:5} bytes")

# %%
# Longer sequences cost no more
# -----------------------------
# The same windows over a sequence twice as long: the full pass keeps twice as much, a window the
# same.

x, c = torch.cat([x, x.flip(0)]), torch.cat([c, c.flip(0)])
steps = 2 * steps
for k in (4, steps):
    print(f"k = {k:2}  at most {max(train(k)):2} states for {steps} steps")
assert max(train(4)) == max(counts[4])
assert max(train(steps)) == steps

# %%
# Drawn
# -----
# Left, the states alive after each step of the first sequence. Right, how far the gradient of ``A``
# is from the full one, in its own size.

fig, axes = plt.subplots(1, 2, figsize=(7.4, 3.1))
for k, color in ((24, "#d55e00"), (8, "#e69f00"), (4, "#0072b2")):
    label = "full" if k == 24 else f"k = {k}"
    axes[0].step(range(1, 25), counts[k], where="mid", color=color, label=label)
axes[0].set(xlabel="step", ylabel="states alive")
axes[0].legend(frameon=False)
missing = [((found[k]["A"] - full["A"]).norm() / full["A"].norm()).item() for k in lengths]
axes[1].plot(lengths, missing, "o-", color="#0072b2")
axes[1].set(xlabel="length of a window, k", ylabel="missing of A's gradient", ylim=(-0.03, None))
for axis in axes:
    axis.spines[["top", "right"]].set_visible(False)
fig.tight_layout()
plt.show()

# %%
# What was seen
# -------------
# A cut removes the paths that cross it and leaves all others as they were. Memory is that of a
# window, whatever the length of the sequence, and what the gradient lacks depends on how far back
# the loss depends on its past.
