r"""
Two training loops that run and are wrong
=========================================

Neither raises. One never clears its gradients, so each step uses the sum of all gradients so far.
The other never uses its batch: the names in the loop's body belong to an earlier one. The
accumulated gradient is derived by hand, step by step, and turns out to be a known optimizer with a
setting nobody would choose. Look at the two orange curves of the figure: what the second loop
prints, and what is so.
"""

# %%
# A regression that can be solved exactly
# ---------------------------------------
# ``T`` is a linear function of the data, so the loss can reach zero. Each batch has fewer examples
# than there are weights: one batch alone does not determine them.

import matplotlib.pyplot as plt
import torch

grey = "#7a7a7a"  # readable on light and on dark
plt.rcParams.update({"figure.facecolor": "none", "axes.facecolor": "none", "text.color": grey,
                     "axes.labelcolor": grey, "axes.edgecolor": grey,
                     "xtick.color": grey, "ytick.color": grey})  # fmt: skip

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
size, D, steps, rate = 4, 6, 240, 0.01
data = torch.randn(10, size, D)
solution = torch.tensor([1.0, -2.0, 0.5, 3.0, -1.5, 0.8])
batches = [(X, X @ solution) for X in data] * (steps // 10)
all_X, all_T = data.flatten(0, 1), data.flatten(0, 1) @ solution


def loss_of(w, X, T):
    return ((X @ w - T) ** 2).mean()


print(len(batches), "steps, loss at the start", f"{loss_of(torch.zeros(D), all_X, all_T):.3f}")

# %%
# The loop as it should be
# ------------------------
# It notes what it would print, the loss of each batch, and the loss on all data.


def train_correctly():
    w = torch.nn.Parameter(torch.zeros(D))
    optimizer, printed, true = torch.optim.SGD([w], lr=rate), [], []
    for X, T in batches:
        optimizer.zero_grad()
        loss = loss_of(w, X, T)
        loss.backward()
        optimizer.step()
        printed.append(loss.item())
        true.append(loss_of(w.detach(), all_X, all_T).item())
    return printed, true


correct = train_correctly()
print(f"printed {correct[0][-1]:.4f}, on all data {correct[1][-1]:.4f}")

# %%
# The batch that is never used
# ----------------------------
# ``X, T`` are left from a line that looked at the first batch, and the loop calls its batch
# something else. The loss falls, on the examples of that batch.


def train_on_stale_data():
    w = torch.nn.Parameter(torch.zeros(D))
    optimizer, printed, true = torch.optim.SGD([w], lr=rate), [], []
    X, T = batches[0]  # left over
    for _batch in batches:
        optimizer.zero_grad()
        loss = loss_of(w, X, T)
        loss.backward()
        optimizer.step()
        printed.append(loss.item())
        true.append(loss_of(w.detach(), all_X, all_T).item())
    return printed, true


stale = train_on_stale_data()
print(f"printed {stale[0][-1]:.4f}, on all data {stale[1][-1]:.4f}")

# %%
# zero_grad forgotten
# -------------------
# The same loop with one line less. It also keeps what it found in ``.grad`` at some of its steps.


def train_without_clearing():
    w = torch.nn.Parameter(torch.zeros(D))
    optimizer, printed, true, grads = torch.optim.SGD([w], lr=rate), [], [], {}
    for step, (X, T) in enumerate(batches):
        loss = loss_of(w, X, T)
        loss.backward()
        grads[step] = w.grad.clone()  # a copy: .grad itself will be added to
        optimizer.step()
        printed.append(loss.item())
        true.append(loss_of(w.detach(), all_X, all_T).item())
    return printed, true, grads, w.detach()


*forgotten, grads, reached = train_without_clearing()
late = forgotten[1][steps // 2 :]
print(f"second half: between {min(late):.1f} and {max(late):.1f} on all data")

# %%
# The accumulated gradient by hand
# --------------------------------
# One batch of ``n`` examples has the gradient :math:`g_k = \tfrac{2}{n} X_k^\top (X_k w_k - T_k)`
# at the weights :math:`w_k` of its step. Nothing is cleared, so at step :math:`k`
#
# .. math::
#
#    \bar{w}_k = \sum_{j \le k} g_j, \qquad w_{k+1} = w_k - \eta\, \bar{w}_k
#
# Each :math:`g_j` belongs to the weights of its own step, and those are gone.

dw, w = torch.zeros(D), torch.zeros(D)
by_hand = {}
for step, (X, T) in enumerate(batches):
    dw = dw + 2 / size * X.T @ (X @ w - T)
    w = w - rate * dw
    by_hand[step] = dw
shown = (0, 1, 2, 10, 50)
torch.testing.assert_close(
    {f"step {k}": by_hand[k] for k in shown},  # by hand
    {f"step {k}": grads[k] for k in shown},  # autograd
)
print("norm of .grad at steps", shown)
print([round(grads[k].norm().item(), 2) for k in shown])

# %%
# It is momentum without friction
# -------------------------------
# SGD with momentum :math:`\mu` keeps :math:`m_k = \mu m_{k-1} + g_k` and steps by
# :math:`\eta m_k`. A gradient that is never cleared is that with :math:`\mu = 1`: a ball on a
# surface without friction, which passes every minimum at full speed and climbs the other side.

w = torch.nn.Parameter(torch.zeros(D))
optimizer = torch.optim.SGD([w], lr=rate, momentum=1.0)
for X, T in batches:
    optimizer.zero_grad()
    loss_of(w, X, T).backward()
    optimizer.step()
torch.testing.assert_close(w.detach(), reached)
print("largest difference", (w.detach() - reached).abs().max().item())

# %%
# Three loops, drawn
# ------------------
# Full lines: loss on all data. Dashed: what the loop that never uses its batch prints.

fig, axis = plt.subplots(figsize=(7, 3.5))
axis.semilogy(forgotten[1], color="#cc79a7", label="zero_grad forgotten")
axis.semilogy(stale[1], color="#d55e00", label="batch never used")
axis.semilogy(stale[0], color="#d55e00", linestyle="--", label="batch never used, as printed")
axis.semilogy(correct[1], color="#0072b2", label="correct")
axis.set(xlabel="step", ylabel="loss")
axis.legend(frameon=False, loc="lower left", fontsize=9)
axis.spines[["top", "right"]].set_visible(False)
fig.tight_layout()
plt.show()

# %%
# What was seen
# -------------
# Without clearing, the weights swing and do not settle, though every single gradient was right. The
# loop that never uses its batch prints a loss that falls as one would hope, and the loss on
# all the data stays far above it.
