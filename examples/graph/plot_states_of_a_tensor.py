r"""
The states a tensor can be in
=============================

Three flags decide what a backward pass does for a tensor: ``is_leaf``, ``requires_grad`` and
``retains_grad``. Eight combinations can be written down. Which of them exist is found out by
trying: every sequence of up to four operations out of seven is run on a fresh tensor, and the
states that came up are listed with the shortest way there. Then each state is asked what it allows
and what a pass leaves in it. Look at the two combinations that never came up.
"""

# %%
# Seven things one can do to a tensor
# -----------------------------------
# Each takes a tensor ``t`` and returns what the name ``t`` means afterwards. ``p`` is a leaf that
# requires a gradient.

import contextlib
import itertools

import torch

torch.set_default_dtype(torch.float64)
p = torch.tensor([2.0, -1.0, 0.5], requires_grad=True)


def retain(t):
    t.retain_grad()
    return t


operations = {
    "t.requires_grad_()": lambda t: t.requires_grad_(),
    "t.requires_grad_(False)": lambda t: t.requires_grad_(False),
    "t.retain_grad()": retain,
    "t.mul_(3)": lambda t: t.mul_(3),
    "t.mul_(p)": lambda t: t.mul_(p),
    "t = t.detach()": lambda t: t.detach(),
    "t.detach_()": lambda t: t.detach_(),
}
print(sum(7**length for length in range(5)), "sequences of up to four")

# %%
# Every sequence, run
# -------------------
# A sequence that raises leads nowhere. Shorter ones are tried first, so the first way to a state is
# a shortest one.


def run(sequence):
    t = torch.tensor([1.0, 2.0, 4.0])
    for name in sequence:
        t = operations[name](t)
    return t


def state(t):
    return t.is_leaf, t.requires_grad, t.retains_grad


ways = {}
for length in range(5):
    for sequence in itertools.product(operations, repeat=length):
        with contextlib.suppress(RuntimeError):
            ways.setdefault(state(run(sequence)), sequence)
print(len(ways), "of 8 combinations came up")

# %%
# The eight combinations
# ----------------------
# A fresh tensor is a leaf that requires nothing. In the other rows, what it takes to get there.

print("leaf   requires  retains  shortest way")
for flags in itertools.product((True, False), repeat=3):
    way = "not reached" if flags not in ways else ", ".join(ways[flags]) or "a fresh tensor"
    print(f"{flags[0]!s:7}{flags[1]!s:10}{flags[2]!s:9}{way.replace('t.', '')}")
assert (False, False, False) not in ways
assert (False, False, True) not in ways

# %%
# A flag that was left behind
# ---------------------------
# In the two rows with a leaf that retains, the request is left from a time when the tensor was no
# leaf. On a leaf itself :meth:`torch.Tensor.retain_grad` does nothing, and need not: a leaf keeps
# its gradient anyway.

leaf = torch.zeros(2, requires_grad=True)
leaf.retain_grad()
print("asked of a leaf:         ", leaf.retains_grad)
t = run(["t.mul_(p)", "t.retain_grad()", "t.detach_()"])
print("left behind by detach_():", t.retains_grad, " requires a gradient:", t.requires_grad)

# %%
# What each state allows
# ----------------------
# The four states without left-over flags, and four requests to each.

ordinary = [(True, False, False), (True, True, False), (False, True, False), (False, True, True)]
requests = ["t.requires_grad_()", "t.requires_grad_(False)", "t.retain_grad()", "t.mul_(3)"]
names = ["constant", "leaf to train", "intermediate", "retaining one"]
print(f"{'':25}" + "".join(f"{name:15}" for name in names))
for request in requests:
    answers = []
    for flags in ordinary:
        try:
            after = state(operations[request](run(ways[flags])))
            answers.append("no change" if after == flags else names[ordinary.index(after)])
        except RuntimeError:
            answers.append("raises")
    print(f"{request:25}" + "".join(f"{answer:15}" for answer in answers))
    refused = {"t.requires_grad_(False)": [2, 3], "t.retain_grad()": [0], "t.mul_(3)": [1]}
    assert [i for i in range(4) if answers[i] == "raises"] == refused.get(request, [])

# %%
# The messages
# ------------
# One for each kind of refusal.

for flags, request in (
    ((True, False, False), "t.retain_grad()"),
    ((True, True, False), "t.mul_(3)"),
    ((False, True, False), "t.requires_grad_(False)"),
):
    try:
        operations[request](run(ways[flags]))
    except RuntimeError as error:
        assert "leaf" in str(error).lower() or "requires_grad=False" in str(error)
        print(f"{request}: {str(error).split('. ')[0]}")

# %%
# What a pass leaves in each
# --------------------------
# With :math:`L = \sum_i k_i t_i\, p_i` the gradient of ``t`` is :math:`k \odot p` wherever one is
# kept. The constant gets none, the intermediate is passed through.

k = torch.tensor([1.0, -2.0, 0.25])
grads = {}
for name, flags in zip(names, ordinary):
    t = run(ways[flags])
    (k * t * p).sum().backward()
    if t.is_leaf or t.retains_grad:  # reading elsewhere warns
        grads[name] = t.grad
dt = k * p.detach()
constant = grads.pop("constant")
assert constant is None
torch.testing.assert_close(
    {"leaf to train": dt, "retaining one": dt},  # by hand
    grads,  # autograd
)
print("kept by", *grads, sep=", ")

# %%
# Only numbers that have small changes
# ------------------------------------
# Whatever the state, a tensor of integers or truth values can require no gradient.

for dtype in (torch.float32, torch.bfloat16, torch.complex64, torch.int64, torch.bool):
    try:
        torch.zeros(2, dtype=dtype).requires_grad_()
        print(f"{dtype!s:15} may require a gradient")
    except RuntimeError as error:
        assert "can require gradients" in str(error)
        print(f"{dtype!s:15} {error}")

# %%
# What was seen
# -------------
# Six of eight combinations exist, two of them by accident. There is no tensor with a node that
# requires no gradient: requiring one is what having a node means.
