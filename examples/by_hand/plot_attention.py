r"""
Attention, by hand
==================

Scaled dot-product attention is two products with a softmax between them, and its backward pass is
the same three steps the other way round. Below, every step is computed with plain tensors and
compared with autograd, first on four lines of code and then on PyTorch's fused operation. Look at
the row sums of the gradient of the scores, at where the causal mask enters the backward pass, and
at the figure: the weights, the one matrix that grows with the square of the length, need not be
kept.
"""

# %%
# Sizes
# -----
# ``n`` queries and ``m`` keys of width ``d``, and ``m`` values of width ``e``. All differ. The
# scores are divided by the root of ``d``: :math:`\tau = 1/\sqrt{d}`. The output :math:`O` is
# ``out``.

import math

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch.autograd.graph import saved_tensors_hooks

grey = "#7a7a7a"  # readable on light and on dark
plt.rcParams.update({"figure.facecolor": "none", "axes.facecolor": "none", "text.color": grey,
                     "axes.labelcolor": grey, "axes.edgecolor": grey,
                     "xtick.color": grey, "ytick.color": grey})  # fmt: skip

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
n, m, d, e = 4, 6, 3, 5
Q = torch.randn(n, d, requires_grad=True)
K = torch.randn(m, d, requires_grad=True)
V = torch.randn(m, e, requires_grad=True)
dO = torch.randn(n, e)
print("Q", tuple(Q.shape), " K", tuple(K.shape), " V", tuple(V.shape))

# %%
# Forward, in three lines
# -----------------------
# Row ``i`` of ``P`` says how query ``i`` shares its attention among the keys.

S = Q @ K.T / math.sqrt(d)
P = S.softmax(1)
out = P @ V
for t in (S, P):
    t.retain_grad()
out.backward(dO, retain_graph=True)
print("S", tuple(S.shape), " P", tuple(P.shape), " out", tuple(out.shape))

# %%
# Backward, one step at a time
# ----------------------------
# A product :math:`O = PV` gives :math:`\bar P = \bar O V^\top` and :math:`\bar V = P^\top \bar O`.
# The softmax takes from each row of :math:`\bar P` its mean under :math:`P`, and multiplies with
# :math:`P`. The first product gives :math:`\bar Q = \tau \bar S K` and :math:`\bar K = \tau
# \bar S^\top Q`.

q, k, v = Q.detach(), K.detach(), V.detach()
weights = (q @ k.T / math.sqrt(d)).softmax(1)
dP = dO @ v.T
dV = weights.T @ dO
dS = weights * (dP - (dP * weights).sum(1, keepdim=True))
dQ = dS @ k / math.sqrt(d)
dK = dS.T @ q / math.sqrt(d)
torch.testing.assert_close(
    {"P": dP, "V": dV, "S": dS, "Q": dQ, "K": dK},  # by hand
    {"P": P.grad, "V": V.grad, "S": S.grad, "Q": Q.grad, "K": K.grad},  # autograd
)
torch.testing.assert_close(dS.sum(1), torch.zeros(n))
torch.testing.assert_close(dK.sum(0), torch.zeros(d))
assert (dS.sum(0).abs() > 0.01).all()
print("row sums of dS   ", dS.sum(1).numpy().round(12) + 0.0)
print("column sums of dS", dS.sum(0).numpy().round(3))

# %%
# The graph of it
# ---------------
# One node a step, and a view for each transpose. ``P`` is saved twice, by the softmax and by the
# product behind it, in one storage. ``S`` is not saved.

out.grad_fn

# %%
# Without the weights
# -------------------
# The mean that the softmax takes off is :math:`\sum_j \bar P_{ij} P_{ij} = \sum_{jk} \bar O_{ik}
# V_{jk} P_{ij} = \sum_k \bar O_{ik} O_{ik}`: the output holds it. Five shapes, with and without
# leading dimensions, against PyTorch's operation.

by_hand, by_autograd = {}, {}
shapes = (((), 4, 6, 3, 5), ((2,), 3, 5, 4, 2), ((3, 2), 5, 4, 2, 7), ((3,), 6, 2, 5, 5),
          ((2, 4), 5, 7, 3, 3))  # fmt: skip
for lead, n, m, d, e in shapes:
    tensors = {name: torch.randn(*lead, *s, requires_grad=True)
               for name, s in {"Q": (n, d), "K": (m, d), "V": (m, e)}.items()}  # fmt: skip
    dO = torch.randn(*lead, n, e)
    output = F.scaled_dot_product_attention(*tensors.values())
    found = torch.autograd.grad(output, tuple(tensors.values()), dO)
    q, k, v = (t.detach() for t in tensors.values())
    weights = (q @ k.mT / math.sqrt(d)).softmax(-1)
    drop = (dO * (weights @ v)).sum(-1, keepdim=True)
    dS = weights * (dO @ v.mT - drop)
    results = dS @ k / math.sqrt(d), dS.mT @ q / math.sqrt(d), weights.mT @ dO
    for name, mine, theirs in zip("QKV", results, found, strict=True):
        key = f"{name} {tuple(theirs.shape)}"
        by_hand[key], by_autograd[key] = mine, theirs
    node = output.grad_fn.name()
    assert node.startswith("ScaledDotProduct") == (len(lead) == 2 and d == e)
    print(f"{lead!s:7} n {n}  m {m}  d {d}  e {e}: {node}")
torch.testing.assert_close(by_hand, by_autograd)  # by hand, autograd

# %%
# The causal mask
# ---------------
# A query may look at no later key: the scores above the diagonal are set to :math:`-\infty` before
# the softmax, so their weights are 0. In the backward pass :math:`\bar S = P \odot (\ldots)` is 0
# there by itself, and nothing has to be masked a second time, as long as ``P`` is the masked one.
# A mask that is added to the scores has their gradient, which is how autograd's :math:`\bar S` is
# had here.


def attend_backward(q, k, v, dO, hidden):
    """The gradients of Q, K, V and of the scores S; hidden is True where none may look."""
    tau = q.shape[-1] ** -0.5
    weights = (tau * q @ k.mT).masked_fill(hidden, -math.inf).softmax(-1)
    dS = weights * (dO @ v.mT - (dO * (weights @ v)).sum(-1, keepdim=True))
    return {"Q": tau * dS @ k, "K": tau * dS.mT @ q, "V": weights.mT @ dO, "S": dS}


for lead, n, m, d, e in (((), 5, 5, 3, 4), ((2,), 4, 4, 3, 6), ((3, 2), 6, 6, 4, 4),
                         ((2,), 3, 5, 4, 2), ((3,), 7, 4, 2, 3)):  # fmt: skip
    q, k, v, dO = (torch.randn(*lead, *s) for s in ((n, d), (m, d), (m, e), (n, e)))
    hidden = torch.arange(m) > torch.arange(n)[:, None]
    mask = torch.zeros(*lead, n, m).masked_fill(hidden, -math.inf).requires_grad_()
    q, k, v = (t.requires_grad_() for t in (q, k, v))
    causal = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    added = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    # equal sizes: a causal mask is for a sequence and itself
    found = *torch.autograd.grad(causal, (q, k, v), dO), *torch.autograd.grad(added, mask, dO)
    by_hand = attend_backward(q.detach(), k.detach(), v.detach(), dO, hidden)
    torch.testing.assert_close(by_hand, dict(zip("QKVS", found, strict=True)))  # by hand, autograd
    zeros = int((by_hand["S"].abs() < 1e-12).sum())
    assert zeros == mask[..., 0, 0].numel() * (hidden.sum() + 1)
    print(f"{lead!s:7} {n} queries, {m} keys: {zeros} of {mask.numel()} entries of dS are 0")

# %%
# Three mistakes, in numbers
# --------------------------
# The mask is forgotten where the backward pass computes the weights anew; the softmax gets an
# elementwise derivative; the scale is left out. Errors are relative to the gradient of ``Q``. The
# first query sees one key, with a weight of 1 whatever its score: its gradient has to be zero.

n, d, e = 6, 5, 4
q, k, v, dO = (torch.randn(*s) for s in ((n, d), (n, d), (n, e), (n, e)))
hidden = torch.ones(n, n, dtype=torch.bool).triu(1)
tracked = [t.requires_grad_() for t in (q.clone(), k.clone(), v.clone())]
found = torch.autograd.grad(F.scaled_dot_product_attention(*tracked, is_causal=True), tracked, dO)
right = attend_backward(q, k, v, dO, hidden)
del right["S"]
torch.testing.assert_close(right, dict(zip("QKV", found, strict=True)))  # by hand, autograd
forgotten = attend_backward(q, k, v, dO, torch.zeros_like(hidden))
P = (q @ k.T / math.sqrt(d)).masked_fill(hidden, -math.inf).softmax(1)
elementwise = P * (1 - P) * (dO @ v.T) @ k / math.sqrt(d)
for text, wrong in (("mask forgotten", forgotten["Q"]), ("elementwise softmax", elementwise),
                    ("scale left out", right["Q"] * math.sqrt(d))):  # fmt: skip
    relative = (wrong - right["Q"]).norm() / right["Q"].norm()
    print(f"{text:20} error {relative:.2f}  first query {wrong[0].norm():.2f}")
    assert relative > 0.1
    assert (wrong[0].norm() > 0.1) == (text == "mask forgotten")
assert right["Q"][0].norm() < 1e-12
print(f"{'right':20} error 0.00  first query {right['Q'][0].norm():.2f}")

# %%
# What is saved
# -------------
# Bytes by storage, as a hook sees them. The three lines keep ``Q``, ``K``, ``V`` and ``P``. The
# fused operation keeps ``Q``, ``K``, ``V``, ``O`` and, for each row, the logarithm of the sum of
# exponentials: enough to compute a tile of ``P`` again when it is needed.


def kept(attention, length, width=16):
    tensors = [torch.randn(1, 1, length, width, requires_grad=True) for _ in range(3)]
    seen = {}
    with saved_tensors_hooks(
        lambda t: seen.update({t.untyped_storage().data_ptr(): t}) or t.detach(), lambda t: t
    ):
        result = attention(*tensors)
    del result
    return sum(t.untyped_storage().nbytes() for t in seen.values())


def three_lines(q, k, v):
    return (q @ k.mT / math.sqrt(q.shape[-1])).softmax(-1) @ v


lengths = (16, 32, 64, 128, 256, 512)
lines = [kept(three_lines, length) for length in lengths]
fused = [kept(F.scaled_dot_product_attention, length) for length in lengths]
for length, a, b in zip(lengths, lines, fused, strict=True):
    torch.testing.assert_close(torch.tensor(a), torch.tensor(8 * (3 * length * 16 + length**2)))
    torch.testing.assert_close(torch.tensor(b), torch.tensor(8 * (4 * length * 16 + length)))
    print(f"length {length:3}: three lines {a:9,} bytes, fused {b:7,}")

# %%
# Squares and lines
# -----------------
# Both axes are logarithmic. One curve has the slope 2, the other 1.

fig, axis = plt.subplots(figsize=(7, 3.2))
axis.loglog(lengths, lines, "o-", color="#d55e00")
axis.loglog(lengths, fused, "s-", color="#0072b2")
axis.text(lengths[-2] * 0.9, lines[-2], "three lines", color="#d55e00", ha="right")
axis.text(lengths[-2], fused[-2] * 0.55, "fused", color="#0072b2")
axis.set(xlabel="length", ylabel="saved for backward (bytes)")
axis.set_xticks(lengths, [str(length) for length in lengths])
axis.minorticks_off()
axis.spines[["top", "right"]].set_visible(False)
fig.tight_layout()
plt.show()

# %%
# What was seen
# -------------
# Two rules for products and one for the softmax are all there is. Every row of :math:`\bar S` sums
# to zero: attention cares for differences of scores only. A mask acts through the weights, so a
# backward pass that computes them anew has to mask them anew. And the output holds the sum that
# the rule of the softmax needs, which is why the weights need not be kept.
