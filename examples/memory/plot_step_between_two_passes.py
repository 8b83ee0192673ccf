r"""
An optimizer step between two backward passes
=============================================

Two losses share a graph, as in adversarial training: a critic is trained with one and what it
judges with the other. Written in the order "backward, step, backward", the step changes weights
that the second pass needs. It raises, and should. Four ways out give four gradients: two are right,
one is right for another question, and one is wrong without a word. Look at the bar that differs
from its frame.
"""

# %%
# A generator and a critic
# ------------------------
# ``N`` noise vectors in ``X`` become points :math:`F = XW_g^\top`. The critic gives each the number
# :math:`s = \tanh(FA^\top)\,w`. It is trained to make the mean of :math:`s` small, the generator
# to make it large.

import textwrap

import matplotlib.pyplot as plt
import torch

grey = "#7a7a7a"  # readable on light and on dark
plt.rcParams.update({"figure.facecolor": "none", "axes.facecolor": "none", "text.color": grey,
                     "axes.labelcolor": grey, "axes.edgecolor": grey,
                     "xtick.color": grey, "ytick.color": grey})  # fmt: skip

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
N, Q, D, H, rate = 7, 2, 3, 4, 0.5
X = torch.randn(N, Q)
start = {"Wg": torch.randn(D, Q), "A": torch.randn(H, D), "w": torch.randn(H)}


def fresh():
    return {name: value.clone().requires_grad_() for name, value in start.items()}


def score(F, p):
    return (F @ p["A"].T).tanh() @ p["w"]


p = fresh()
print("scores", tuple(score(X @ p["Wg"].T, p).shape))

# %%
# The gradients by hand
# ---------------------
# With :math:`h = \tanh(FA^\top)` and :math:`L` the mean of :math:`s`:
#
# .. math::
#
#    \bar w = \tfrac1N h^\top \mathbf 1 \qquad
#    \bar Z = \tfrac1N \mathbf 1 w^\top \odot (1 - h \odot h) \qquad
#    \bar A = \bar Z^\top F \qquad
#    \bar W_g = (\bar Z A)^\top X
#
# The generator's loss is :math:`-L`, so its gradient has the other sign. All weights are those that
# the forward pass had.


def gradients(Wg, A, w):
    """Of the mean score, with respect to the generator's weight and to the critic's."""
    F = X @ Wg.T
    h = (F @ A.T).tanh()
    dZ = w / N * (1 - h * h)
    return {"Wg": (dZ @ A).T @ X, "A": dZ.T @ F, "w": h.sum(0) / N}


def stepped(old):
    """The critic's weights after one step with the gradients by hand."""
    grads = gradients(**old)
    return {**old, **{name: old[name] - rate * grads[name] for name in ("A", "w")}}


for name, gradient in gradients(**start).items():
    print(name, tuple(gradient.shape))

# %%
# Backward, step, backward
# ------------------------
# The step is an operation in place on ``A`` and ``w``, and the generator's pass needs both. A step
# of an optimizer runs under ``no_grad``, and it counts.

p = fresh()
critic = torch.optim.SGD([p["A"], p["w"]], lr=rate)
L = score(X @ p["Wg"].T, p).mean()
L.backward(retain_graph=True, inputs=[p["A"], p["w"]])
before = p["A"]._version
critic.step()
print("version of A:", before, "then", p["A"]._version)
try:
    (-L).backward(inputs=[p["Wg"]])
except RuntimeError as error:
    assert "modified by an inplace operation" in str(error)
    print(textwrap.fill(str(error).split(" Hint")[0], 88))
dA, dw = gradients(**start)["A"], gradients(**start)["w"]
torch.testing.assert_close(
    {"A": dA, "w": dw},  # by hand
    {"A": p["A"].grad, "w": p["w"].grad},  # autograd
)

# %%
# Four ways out
# -------------
# First both passes and then the step. Or another forward pass for the generator, through the critic
# as it is after its step. Or leave to torch what is changed, and have it copied. Or write through
# ``.data``, which nothing notices.


def both_then_step(p, critic):
    L = score(X @ p["Wg"].T, p).mean()
    L.backward(retain_graph=True, inputs=[p["A"], p["w"]])
    (-L).backward(inputs=[p["Wg"]])
    critic.step()


def forward_again(p, critic):
    score((X @ p["Wg"].T).detach(), p).mean().backward()
    critic.step()
    (-score(X @ p["Wg"].T, p).mean()).backward(inputs=[p["Wg"]])


def allow_mutation(p, critic):
    with torch.autograd.graph.allow_mutation_on_saved_tensors():
        L = score(X @ p["Wg"].T, p).mean()
        L.backward(retain_graph=True, inputs=[p["A"], p["w"]])
        critic.step()
        (-L).backward(inputs=[p["Wg"]])


def through_data(p, critic):
    L = score(X @ p["Wg"].T, p).mean()
    L.backward(retain_graph=True, inputs=[p["A"], p["w"]])
    for name in ("A", "w"):
        p[name].data -= rate * p[name].grad
    (-L).backward(inputs=[p["Wg"]])


ways = (both_then_step, forward_again, allow_mutation, through_data)
found = {}
for way in ways:
    p = fresh()
    way(p, torch.optim.SGD([p["A"], p["w"]], lr=rate))
    found[way.__name__] = p["Wg"].grad
    print(f"{way.__name__:15} {p['Wg'].grad.flatten()[:3]}")

# %%
# Which gradient each is
# ----------------------
# Two passes before the step, or copies, give the gradient at the old weights, as the forward pass
# was computed. Another forward pass gives that at the new ones. Through ``.data`` the pass mixes
# them: the tanh kept its result, made with the old ``A``, and both products find the new ``A`` and
# ``w``. That is the gradient of nothing that was computed.

new = stepped(start)
dWg_old, dWg_new = -gradients(**start)["Wg"], -gradients(**new)["Wg"]
slope_old = 1 - ((X @ start["Wg"].T) @ start["A"].T).tanh() ** 2
dZ_mixed = new["w"] / N * slope_old
dWg_mixed = -((dZ_mixed @ new["A"]).T @ X)
by_hand = {
    "both_then_step": dWg_old,
    "forward_again": dWg_new,
    "allow_mutation": dWg_old,
    "through_data": dWg_mixed,
}
torch.testing.assert_close(by_hand, found)  # by hand, autograd
torch.testing.assert_close(
    {"A": new["A"], "w": new["w"]},  # by hand
    {"A": p["A"].detach(), "w": p["w"].detach()},  # autograd, and the step
)
for way, gradient in found.items():
    distances = {name: (gradient - dWg).abs().max() for name, dWg in
                 {"old": dWg_old, "new": dWg_new}.items()}  # fmt: skip
    print(f"{way:15}", *(f"{name} weights: off by {d:.3f}  " for name, d in distances.items()))

# %%
# Drawn
# -----
# Frames are the gradient at the weights of the forward pass that was made. Where a bar differs from
# its frame, the gradient belongs to no weights.

frames = {"both_then_step": dWg_old, "forward_again": dWg_new, "allow_mutation": dWg_old,
          "through_data": dWg_old}  # fmt: skip
fig, axes = plt.subplots(1, len(ways), figsize=(7.4, 2.8), sharey=True)
for axis, (way, gradient) in zip(axes, found.items()):
    right = (gradient - frames[way]).abs().max() < 1e-12
    entries = range(gradient.numel())
    color = "#009e73" if right else "#d55e00"
    axis.bar(entries, gradient.flatten().tolist(), width=0.45, color=color)
    axis.bar(entries, frames[way].flatten().tolist(), width=0.85, fill=False, edgecolor=grey)
    axis.set_title(way, fontsize=9, family="monospace", color=grey)
    axis.set(xticks=entries)
    axis.spines[["top", "right"]].set_visible(False)
axes[0].set(ylabel="gradient of the generator")
fig.supxlabel("entry of the weight", fontsize=10, color=grey)
fig.tight_layout()
plt.show()

# %%
# What was seen
# -------------
# A step changes saved tensors in place, so a second pass through them raises. The gradient at the
# old weights comes from both passes before the step, or from copies; that at the new weights from
# another forward pass. A step that is not counted gives neither.
