r"""
Softmax and cross-entropy, by hand
==================================

In a softmax every output depends on every input, so its derivative is a full matrix for each row,
and "incoming gradient times local derivative" is wrong for it. Put a logarithm and a negative
log-likelihood behind it, and nearly all of that cancels: what is left is the probabilities minus
the targets, divided by the number of examples. Below, each step of the cancellation is computed
with plain tensors and compared with autograd. Look at what the popular mistakes give instead.
"""

# %%
# Three logits
# ------------
# The data of the first derivation: one row, three classes.

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F

grey = "#7a7a7a"  # readable on light and on dark
plt.rcParams.update({"figure.facecolor": "none", "axes.facecolor": "none", "text.color": grey,
                     "axes.labelcolor": grey, "axes.edgecolor": grey,
                     "xtick.color": grey, "ytick.color": grey})  # fmt: skip

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
x = torch.tensor([1.5, -0.5, 0.3])
print("probabilities", x.softmax(0))

# %%
# One row, and its Jacobian
# -------------------------
# With :math:`p_j = e^{x_j} / \sum_k e^{x_k}` the quotient rule gives :math:`\partial p_j / \partial
# x_i = p_j ([i = j] - p_i)`: a matrix, :math:`J = \mathrm{diag}(p) - p p^\top`, without a zero.

p = x.exp() / x.exp().sum()
J = torch.diag(p) - torch.outer(p, p)
torch.testing.assert_close(
    {"J": J},  # by hand
    {"J": torch.func.jacrev(lambda x: x.softmax(0))(x)},  # autograd
)
print(J)

# %%
# Softmax
# -------
# The matrix need not be built. Its product with a cotangent :math:`\bar p` is
#
# .. math:: \bar{x}_i = \sum_j \bar{p}_j\, p_j ([i = j] - p_i)
#           = p_i \Bigl(\bar{p}_i - \sum_j \bar{p}_j\, p_j\Bigr)
#
# one number a row, and then products entry by entry. The classes may lie along any dimension.

shapes = {(4,): 0, (5, 3): 1, (2, 7): 0, (3, 2, 4): 2, (2, 5, 3): 1, (4, 3, 2, 5): -3}
by_hand, by_autograd = {}, {}
for shape, dim in shapes.items():
    x, dp = torch.randn(shape, requires_grad=True), torch.randn(shape)
    (by_autograd[f"{shape} along {dim}"],) = torch.autograd.grad(x.softmax(dim), x, dp)
    p = x.detach().exp() / x.detach().exp().sum(dim, keepdim=True)
    weighted = (dp * p).sum(dim, keepdim=True)
    by_hand[f"{shape} along {dim}"] = p * (dp - weighted)
torch.testing.assert_close(by_hand, by_autograd)  # by hand, autograd
print(len(by_hand), "shapes")

# %%
# Log-softmax
# -----------
# :math:`\ell_j = x_j - \log \sum_k e^{x_k}`, and the derivative of the second term by :math:`x_i`
# is :math:`p_i` for every :math:`j`. So it is subtracted as often as there are cotangents:
#
# .. math:: \bar{x}_i = \bar{\ell}_i - p_i \sum_j \bar{\ell}_j

by_hand, by_autograd = {}, {}
for shape, dim in shapes.items():
    x, dl = torch.randn(shape, requires_grad=True), torch.randn(shape)
    (by_autograd[f"{shape} along {dim}"],) = torch.autograd.grad(x.log_softmax(dim), x, dl)
    logp = x.detach() - x.detach().logsumexp(dim, keepdim=True)
    by_hand[f"{shape} along {dim}"] = dl - logp.exp() * dl.sum(dim, keepdim=True)
torch.testing.assert_close(by_hand, by_autograd)  # by hand, autograd
print(len(by_hand), "shapes")

# %%
# Cross-entropy, one step at a time
# ---------------------------------
# ``N`` examples, ``K`` classes, ``Y`` the targets as rows of the identity matrix. The loss is
# :math:`-\frac{1}{N} \sum_{nk} Y_{nk} \ell_{nk}`, so :math:`\bar\ell = -Y/N`, and a row of it sums
# to :math:`-1/N`. The rule of the log-softmax makes :math:`\bar{x} = -Y/N + p/N` of that.

N, K = 5, 3
x, target = torch.randn(N, K, requires_grad=True), torch.tensor([2, 0, 1, 2, 2])
logp = x.log_softmax(1)
logp.retain_grad()
loss = F.nll_loss(logp, target)
loss.backward()

Y = torch.eye(K)[target]
p = x.detach().exp() / x.detach().exp().sum(1, keepdim=True)
dlogp = -Y / N
dx = (p - Y) / N
torch.testing.assert_close(
    {"logp": dlogp, "x": dx},  # by hand
    {"logp": logp.grad, "x": x.grad},  # autograd
)
torch.testing.assert_close(dx.sum(1), torch.zeros(N))
print(dx)

# %%
# The two nodes
# -------------
# ``cross_entropy`` is these two operations and records these two nodes.

loss = F.cross_entropy(x, target)
loss.grad_fn

# %%
# Positions, and what N counts
# ----------------------------
# With further dimensions behind the classes, as for the pixels of an image, each position is an
# example of its own. An ignored target is none, and with class weights :math:`w` each example
# counts :math:`w_t`. All of it is one formula, in which :math:`m_n` is 0 or 1:
#
# .. math:: \bar{x}_n = \frac{m_n w_{t_n}}{\sum_k m_k w_{t_k}} \, (p_n - Y_n)

by_hand, by_autograd = {}, {}
for shape in ((5, 3), (7, 4), (2, 5, 6), (3, 4, 5, 2), (4, 6, 2, 3, 5)):
    x, w = torch.randn(shape, requires_grad=True), torch.rand(shape[1]) + 0.5
    t = torch.randint(shape[1], (shape[0], *shape[2:]))
    skipped = torch.where(torch.rand(t.shape) < 0.3, -100, t)
    loss = F.cross_entropy(x, skipped, weight=w)
    (by_autograd[str(shape)],) = torch.autograd.grad(loss, x)
    p = (x - x.logsumexp(1, keepdim=True)).detach().exp()
    Y = torch.eye(shape[1])[t].movedim(-1, 1)
    share = w[t] * (skipped >= 0) / w[t][skipped >= 0].sum()
    by_hand[str(shape)] = share.unsqueeze(1) * (p - Y)
    print(f"{shape!s:16} {t.numel():3} targets, {(skipped >= 0).sum():3} counted")
    assert 0 < (skipped >= 0).sum() < t.numel()
torch.testing.assert_close(by_hand, by_autograd)  # by hand, autograd

# %%
# What is saved
# -------------
# Behind the loss stand two nodes, and both save the log-probabilities, in one storage. The logits
# and the probabilities are in none.


def saved(root):
    """Name, attribute and tensor of all that the nodes behind root have saved."""
    nodes = [root]
    for node in nodes:
        nodes += dict.fromkeys(n for n, _ in node.next_functions if n and n not in nodes)
        for attribute in dir(node):
            if attribute.startswith("_saved_"):
                value = getattr(node, attribute)
                if isinstance(value, torch.Tensor):
                    yield node.name(), attribute.removeprefix("_saved_"), value


root = torch.ones(3, requires_grad=True).exp()
assert len(list(saved((root * root).grad_fn))) == 3  # two factors and one result: a node once
x, target = torch.randn(N, K, requires_grad=True), torch.tensor([2, 0, 1, 2, 2])
loss, storages = F.cross_entropy(x, target), {}
for node, name, t in saved(loss.grad_fn):
    storages[t.untyped_storage().data_ptr()] = t.untyped_storage().nbytes()
    print(f"{node:21} {name:13} {tuple(t.shape)!s:7} {t.dtype}")
by_count = 8 * (N * K + N + 1)
torch.testing.assert_close(torch.tensor(sum(storages.values())), torch.tensor(by_count))
names = [(node, name) for node, name, _ in saved(loss.grad_fn)]
assert names[0] == ("NllLossBackward0", "self")
assert names[3] == ("LogSoftmaxBackward0", "result")
assert len(names) == 4
assert len(storages) == 3
print(by_count, "bytes: log-probabilities, targets, and the sum of the weights")

# %%
# Three mistakes, in numbers
# --------------------------
# An elementwise derivative :math:`p(1 - p)` for the softmax; a cross-entropy without the
# :math:`1/N`; the loss divided by all targets although one was ignored.

x, u = torch.tensor([[1.5, -0.5, 0.3], [0.2, 0.9, -1.0]]), torch.tensor([1.0, 0.0, 0.0])
p = x.softmax(1)
right, elementwise = p[0] * (u - (u * p[0]).sum()), u * p[0] * (1 - p[0])
summed = p - torch.eye(3)[[1, 0]]
x.requires_grad_()
both, one = F.cross_entropy(x, torch.tensor([1, 0])), F.cross_entropy(x, torch.tensor([1, -100]))
(d_both,), (d_one,) = torch.autograd.grad(both, x), torch.autograd.grad(one, x)
(d_softmax,) = torch.autograd.grad(x.softmax(1)[0], x, u)
torch.testing.assert_close(
    {"softmax": right, "both": summed / 2, "one": summed[0]},  # by hand
    {"softmax": d_softmax[0], "both": d_both, "one": d_one[0]},  # autograd
)
for text, good, mistaken, how in (
    ("softmax", right, elementwise, "elementwise"),
    ("mean of two", summed[0] / 2, summed[0], "without 1/N"),
    ("one ignored", summed[0], summed[0] / 2, "divided by 2"),
):
    print(f"{text:12}{good.numpy().round(3)!s:24} {how:13}{mistaken.numpy().round(3)}")
    assert abs(good.sum()) < 1e-9
    assert (abs(mistaken.sum()) > 0.1) == (how == "elementwise")
assert not elementwise[1:].any()

# %%
# What a confident mistake sends back
# -----------------------------------
# Two classes, the first is right, and its logit lies ``margin`` above the other's. With :math:`q =
# 1 - p`, cross-entropy sends back :math:`p - 1 = -q`. The mean squared error of the probabilities
# is :math:`q^2`; through the softmax that becomes :math:`-2q \cdot pq`, and at a large mistake
# :math:`p` is nearly zero.

margin = torch.linspace(-9, 5, 141)
x = torch.stack([margin, torch.zeros(141)], 1).requires_grad_()
first = torch.tensor([1.0, 0.0]).expand(141, 2)
(entropy,) = torch.autograd.grad(F.cross_entropy(x, first, reduction="sum"), x)
(squared,) = torch.autograd.grad(F.mse_loss(x.softmax(1), first, reduction="sum") / 2, x)
q = 1 / (1 + margin.exp())
torch.testing.assert_close(
    {"cross-entropy": -q, "squared error": -2 * q**2 * (1 - q)},  # by hand
    {"cross-entropy": entropy[:, 0], "squared error": squared[:, 0]},  # autograd
)
fig, axis = plt.subplots(figsize=(7, 3))
axis.plot(margin, entropy[:, 0], color="#0072b2")
axis.plot(margin, squared[:, 0], color="#d55e00")
axis.text(-8.8, -0.94, "cross-entropy", color="#0072b2")
axis.text(-8.8, -0.12, "squared error of probabilities", color="#d55e00")
axis.set(xlabel="margin of the right class", ylabel="gradient of its logit")
axis.spines[["top", "right"]].set_visible(False)
fig.tight_layout()
plt.show()

# %%
# A logarithm of zero
# -------------------
# Written as two operations the loss overflows: the probability of a class 800 below the largest
# is zero, its logarithm infinite, and its gradient NaN. With the logarithm and the exponential
# joined nothing of the kind is formed.

x = torch.tensor([[800.0, 0.0, 1.0]], requires_grad=True)
joined, apart = F.cross_entropy(x, torch.tensor([1])), -x.softmax(1).log()[0, 1]
(dx_joined,), (dx_apart,) = torch.autograd.grad(joined, x), torch.autograd.grad(apart, x)
assert dx_apart.isnan().any()
assert not dx_joined.isnan().any()
assert joined.item() == 800
assert apart.item() == float("inf")
print("joined", joined.item(), dx_joined)
print("apart ", apart.item(), dx_apart)

# %%
# What was seen
# -------------
# The rule of the softmax needs one sum a row and no matrix. Behind it, log and likelihood leave
# :math:`(p - Y)/N`, each row of which sums to zero. ``N`` counts what is averaged: positions, less
# the ignored ones, each with its class weight. What is kept for it are the log-probabilities.
