r"""
No gradient, or a gradient of zeros
===================================

A parameter that a step does not use has either no gradient, ``None``, or one that was filled with
zeros before. To an optimizer these are two different things: it passes over a parameter without a
gradient, and with zeros it does everything it always does. What it remembers from earlier steps, or
adds by itself, then moves a parameter that took no part. Each step is computed by hand here. Look
at the figure: a parameter used in four of twelve steps, cleared in two ways.
"""

# %%
# A parameter that is used now and then
# -------------------------------------
# ``e`` belongs to a part of a model that some batches reach and others do not. When it is used the
# loss is :math:`\frac{1}{2}\lVert a \odot e - t\rVert^2`, with the gradient :math:`a \odot (a \odot
# e - t)`.

import matplotlib.pyplot as plt
import torch

grey = "#7a7a7a"  # readable on light and on dark
plt.rcParams.update({"figure.facecolor": "none", "axes.facecolor": "none", "text.color": grey,
                     "axes.labelcolor": grey, "axes.edgecolor": grey,
                     "xtick.color": grey, "ytick.color": grey})  # fmt: skip

torch.set_default_dtype(torch.float64)
a, t = torch.tensor([1.0, -0.5, 2.0]), torch.tensor([2.0, 3.0, -1.0])
start = torch.tensor([0.3, -1.2, 0.8])
lr = 0.03


def loss_of(e):
    return 0.5 * ((a * e - t) ** 2).sum()


def gradient(e):
    """By hand."""
    return a * (a * e - t)


e = start.clone().requires_grad_()
loss_of(e).backward()
torch.testing.assert_close({"e": gradient(start)}, {"e": e.grad})  # by hand, autograd
print("e.grad", e.grad)

# %%
# Three ways to clear, three results
# ----------------------------------
# Before a first pass there is nothing to fill with zeros. An optimizer's ``zero_grad`` drops the
# gradient, unless it is told to fill it; and it clears the parameters it was given and no others.

fresh, other = start.clone().requires_grad_(), start.clone().requires_grad_()
try:
    fresh.grad.zero_()
except AttributeError as error:
    assert "'NoneType' object has no attribute 'zero_'" in str(error)
    print("zero_() before the first pass:", error)
optimizer = torch.optim.SGD([e], lr=lr)
for options in ({"set_to_none": False}, {}):
    (loss_of(e) + loss_of(other)).backward()
    optimizer.zero_grad(**options)
    print(f"zero_grad({options or ''}):", e.grad, " the other:", "kept" if other.grad.any() else "")

# %%
# One step with a gradient, one without
# -------------------------------------
# The same two calls of ``step`` for several optimizers. Between them the gradient is cleared, by
# ``None`` or by zeros, and no pass runs. The table tells whether the second call moved ``e``.


def used_then_unused(make, set_to_none):
    """The parameter after a step with a gradient, and after another one without a pass."""
    e = start.clone().requires_grad_()
    optimizer = make([e])
    loss_of(e).backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=set_to_none)
    after_first = e.detach().clone()
    optimizer.step()
    return after_first, e.detach()


makers = {
    "SGD": lambda p: torch.optim.SGD(p, lr=lr),
    "SGD, momentum": lambda p: torch.optim.SGD(p, lr=lr, momentum=0.9),
    "SGD, weight decay": lambda p: torch.optim.SGD(p, lr=lr, weight_decay=0.5),
    "Adam": lambda p: torch.optim.Adam(p, lr=lr),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=lr),
}
print(f"{'second step moves e:':22}{'None':8}zeros")
for name, make in makers.items():
    moved = [not torch.equal(*used_then_unused(make, none)) for none in (True, False)]
    print(f"{name:22}{moved[0]!s:8}{moved[1]}")
    assert moved == [False, name != "SGD"]

# %%
# The step that zeros make, by hand
# ---------------------------------
# With momentum :math:`\mu`, :math:`m \leftarrow \mu m + g` and :math:`e \leftarrow e - \eta m`: a
# gradient of zero still leaves :math:`\mu m`. With weight decay :math:`\lambda` the gradient is
# :math:`g + \lambda e` before anything else, and never zero.

g = gradient(start)
momentum_1 = start - lr * g
momentum_2 = momentum_1 - lr * 0.9 * g
decay_1 = start - lr * (g + 0.5 * start)
decay_2 = decay_1 - lr * 0.5 * decay_1
momentum = used_then_unused(makers["SGD, momentum"], set_to_none=False)
decay = used_then_unused(makers["SGD, weight decay"], set_to_none=False)
torch.testing.assert_close(
    {"momentum": [momentum_1, momentum_2], "decay": [decay_1, decay_2]},  # by hand
    {"momentum": momentum, "decay": decay},  # autograd and the optimizer
)
print("momentum:    ", momentum_1, "->", momentum_2)
print("weight decay:", decay_1, "->", decay_2)

# %%
# Used in four of twelve steps
# ----------------------------
# A training run with momentum and weight decay, in which every third batch reaches ``e``. By hand,
# a step with ``None`` is left out, and a step with zeros is the formula with :math:`g = 0`.


def by_hand(zeros):
    """e after each step."""
    e, m, path = start, None, []
    for step in range(12):
        used = step % 3 == 0
        if used or zeros:
            g = (gradient(e) if used else 0) + 0.05 * e
            m = g if m is None else 0.9 * m + g
            e = e - lr * m
        path.append(e)
    return torch.stack(path)


def by_optimizer(zeros):
    e, path = start.clone().requires_grad_(), []
    optimizer = torch.optim.SGD([e], lr=lr, momentum=0.9, weight_decay=0.05)
    for step in range(12):
        optimizer.zero_grad(set_to_none=not zeros)
        if step % 3 == 0:
            loss_of(e).backward()
        optimizer.step()
        path.append(e.detach().clone())
    return torch.stack(path)


paths = {"None": by_optimizer(zeros=False), "zeros": by_optimizer(zeros=True)}
torch.testing.assert_close({"None": by_hand(False), "zeros": by_hand(True)}, paths)  # by hand first
for name, path in paths.items():
    print(f"{name:6}e after twelve steps", path[-1])

# %%
# A parameter that moves while nothing uses it
# --------------------------------------------
# The last entry of ``e`` over the steps; the marked ones used it. With ``None`` it waits between
# them. With zeros it goes on where it last went, and passes its best value, the dotted line, in a
# step that did not use it.

figure, axes = plt.subplots(figsize=(7, 3.5), layout="constrained")
for (name, path), color in zip(paths.items(), ("#0072b2", "#d55e00")):
    values = torch.cat([start[None], path])[:, 2]
    axes.plot(range(13), values, color=color, label=name)
    axes.plot(range(1, 13, 3), values[1::3], "o", color=color)
best = t[2] / a[2]
passes_it = int((paths["zeros"][:, 2] < best).nonzero()[0])
assert passes_it % 3 != 0  # in a step that did not use it
axes.axhline(best, color=grey, ls=":")
axes.set(xlabel="steps", ylabel="last entry of e", xticks=range(0, 13, 3))
axes.legend(title="cleared to", frameon=False)
plt.show()

# %%
# Nothing checks that a gradient is fresh
# ---------------------------------------
# A step uses what it finds. Three steps after one pass apply the same gradient three times:
# :math:`e - 3 \eta g`.

e = start.clone().requires_grad_()
optimizer = torch.optim.SGD([e], lr=lr)
loss_of(e).backward()
for _ in range(3):
    optimizer.step()
thrice = start - 3 * lr * gradient(start)
torch.testing.assert_close({"e": thrice}, {"e": e.detach()})  # by hand, autograd and the optimizer
print("after three steps", e.detach())

# %%
# What was seen
# -------------
# Zeros are a gradient, and momentum, weight decay and Adam's averages act on it. ``None`` is the
# absence of one, and the optimizer passes on. It is also what ``zero_grad`` leaves by default.
