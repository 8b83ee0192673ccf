"""Losses over classes and labellings: margins, labels of several kinds, and sequences (CTC)."""

import math

import torch
from torch.nn import functional as F

from backwardpass.vjps._chain import chained
from backwardpass.vjps._registry import Declined, rule
from backwardpass.vjps._shared import onto


def _only_reduction(size_average, reduce):
    if size_average is not None or reduce is not None:
        raise Declined("size_average and reduce: use reduction")


def _each(g, reduction, number):
    """The cotangent of each of ``number`` terms."""
    g = g / number if reduction == "mean" else g
    return g if reduction == "none" else g.expand(number)


@rule(
    "nn.functional.multi_margin_loss",
    modules="MultiMarginLoss",
    latex=r"z_i = m - x_t + x_i:\quad \bar x_i = \frac{\bar\ell\,w_t}{C}\,p\,z_i^{p-1}\,[z_i > 0]"
    r"\ (i \ne t), \qquad \bar x_t = -\sum_{i \ne t} \bar x_i",
    saved="x, t, w",
    kinks="0 at z = 0",
)
def multi_margin_loss(g, y, input, target, p=1, margin=1.0, weight=None, size_average=None,
                      reduce=None, reduction="mean"):  # fmt: skip
    _only_reduction(size_average, reduce)
    x = input.reshape(-1, input.shape[-1] if input.ndim else 1)
    t = target.reshape(-1, 1)
    each = _each(g.reshape(-1) if reduction == "none" else g, reduction, len(x)).unsqueeze(1)
    z = margin - x.gather(1, t) + x
    scale = each / x.shape[1] * (1 if weight is None else weight[t])
    slope = torch.where(z > 0, scale * (1 if p == 1 else 2 * z), 0).scatter(1, t, 0)
    dx = slope.scatter(1, t, -slope.sum(1, keepdim=True))
    return {"input": dx.reshape(input.shape)}


@rule(
    "nn.functional.multilabel_margin_loss",
    modules="MultiLabelMarginLoss",
    latex=r"\ell = \frac1C \sum_{j \in T} \sum_{i \notin T} \max(0,\ 1 - x_j + x_i)",
    saved="x, which classes are labels",
    kinks="0 where 1 = x_j - x_i; labels count up to the first -1",
)
def multilabel_margin_loss(g, y, input, target, size_average=None, reduce=None, reduction="mean"):
    _only_reduction(size_average, reduce)
    x = input.reshape(-1, input.shape[-1] if input.ndim else 1)
    t = target.reshape(x.shape)
    each = _each(g.reshape(-1) if reduction == "none" else g, reduction, len(x))
    counted = (t == -1).cumsum(1) == 0
    labels = torch.zeros_like(x).scatter_add(1, t.clamp_min(0), counted.to(x.dtype))
    z = 1 - x.unsqueeze(2) + x.unsqueeze(1)  # label j, other class i
    pairs = (z > 0) & (labels == 0).unsqueeze(1)
    slope = torch.where(pairs, labels.unsqueeze(2), 0) / x.shape[1]
    dx = (slope.sum(1) - slope.sum(2)) * each.unsqueeze(1)
    return {"input": torch.where(slope.sum(1) + slope.sum(2) == 0, 0, dx).reshape(input.shape)}


@rule(
    "nn.functional.multilabel_soft_margin_loss",
    modules="MultiLabelSoftMarginLoss",
    latex=r"\bar x_c = \frac{\bar\ell\,w_c}{C}\,\big(\sigma(x_c) - t_c\big)",
    saved="x, t, w",
)
def multilabel_soft_margin_loss(g, y, input, target, weight=None, size_average=None, reduce=None,
                                reduction="mean"):  # fmt: skip
    r"""
    A term is $-t \log \sigma(x) - (1 - t) \log \sigma(-x)$, with slopes
    $-t\,\sigma(-x) + (1 - t)\,\sigma(x) = \sigma(x) - t$.
    """
    _only_reduction(size_average, reduce)
    classes = input.shape[-1]
    rows = input.numel() // classes
    each = g if reduction == "none" else (g / rows if reduction == "mean" else g)
    each = each.unsqueeze(-1) if reduction == "none" else each
    scale = each / classes * (1 if weight is None else weight)
    logs = F.logsigmoid(-input) - F.logsigmoid(input)
    return {
        "input": onto(scale * (input.sigmoid() - target), input),
        "target": onto(scale * logs, target),
    }


@rule(
    "nn.functional.linear_cross_entropy",
    "nn.functional.linear_cross_entropy.chunked",
    "nn.functional.linear_cross_entropy.chunked_none",
    once="in chunks double backward answers otherwise",
    name="linear_cross_entropy",
    latex=r"z = x W^{\top} + b:\quad \bar z\ \text{of cross\_entropy}, \qquad "
    r"\bar x = \bar z\,W, \quad \bar W = \bar z^{\top} x, \quad \bar b = \textstyle\sum \bar z",
    saved="x, W, t: never all logits at once, where it works in chunks",
    source="linear and cross_entropy",
)
def linear_cross_entropy(g, y, input, linear_weight, target, *, linear_bias=None, weight=None,
                         reduction="mean", ignore_index=None, label_smoothing=0.0,
                         options=None):  # fmt: skip
    shape = (*input.shape[:-1], *linear_weight.shape[:-1])
    ignored = -100 if ignore_index is None else ignore_index

    def loss(input, linear_weight, target=target, linear_bias=None, weight=weight):
        rows = linear_weight.reshape(-1, input.shape[-1])
        shift = None if linear_bias is None else linear_bias.reshape(-1)
        return F.cross_entropy(
            F.linear(input, rows, shift).reshape(shape), target, weight, ignore_index=ignored,
            reduction=reduction, label_smoothing=label_smoothing,
        )  # fmt: skip

    given = {"input": input, "linear_weight": linear_weight, "linear_bias": linear_bias}
    if target.is_floating_point():
        given |= {"target": target, "weight": weight}
    return chained(g, loss, **{name: x for name, x in given.items() if x is not None})


def _extended(labels, blank):
    """The labels with a blank before, between and after."""
    found = torch.full((2 * len(labels) + 1,), blank)
    found[1::2] = labels
    return found


def _paths(logp, extended, blank):
    """Log-probability of all prefixes of the labelling that end at (t, s): the forward pass."""
    T, S = len(logp), len(extended)
    alpha = torch.full((T, S), -math.inf, dtype=logp.dtype)
    alpha[0, :2] = logp[0, extended[:2]]
    skips = torch.zeros(S, dtype=torch.bool)  # from s - 2: over a blank, between two labels
    skips[2:] = (extended[2:] != blank) & (extended[2:] != extended[:-2])
    lowest = torch.tensor([-math.inf, -math.inf], dtype=logp.dtype)
    for t in range(1, T):
        before = torch.cat([lowest, alpha[t - 1]])
        two = torch.where(skips, before[:-2], -math.inf)
        ways = torch.stack([before[2:], before[1:-1], two])
        alpha[t] = torch.logsumexp(ways, 0) + logp[t, extended]
    return alpha


def _occupied(logp, labels, blank):
    """Log-probability of each class at each time, over all paths of the labelling; its sum."""
    extended = _extended(labels, blank)
    alpha = _paths(logp, extended, blank)
    beta = _paths(logp.flip(0), extended.flip(0), blank).flip((0, 1))
    total = torch.logsumexp(alpha[-1, -2:], 0)
    through = alpha + beta - logp[:, extended]  # both passes hold the class at t
    found = torch.full_like(logp, -math.inf)
    for s, label in enumerate(extended):
        found[:, label] = torch.logaddexp(found[:, label], through[:, s])
    return found, total


@rule(
    "nn.functional.ctc_loss",
    modules="CTCLoss",
    latex=r"\bar x_{tk} = \bar\ell\,\Big(e^{x_{tk}} - \frac{1}{P} \sum_{s\,:\,l_s = k} "
    r"\frac{\alpha_t(s)\,\beta_t(s)}{e^{x_{tk}}}\Big)",
    saved="x, the labels, α, the loss",
    source="derived below; Graves and others, Connectionist temporal classification, 2006, "
    "equations 14 to 16",
    kinks="the gradient is that of the logits, as if x were their log_softmax and nothing else: "
    "not the derivative in x, and the same again behind log_softmax; a labelling that no path "
    "spells has the loss ∞ and with zero_infinity the gradient 0",
)
def ctc_loss(g, y, log_probs, targets, input_lengths, target_lengths, blank=0, reduction="mean",
             zero_infinity=False):  # fmt: skip
    r"""
    $P = \sum_\pi \prod_t e^{x_{t \pi_t}}$ over all paths that spell the labelling. A path either
    has class $k$ at time $t$ or not, so $\partial \log P / \partial x_{tk}$ is the share of $P$ in
    which it has. Forward and backward variables hold it: $\alpha_t(s)$ sums the prefixes that end
    at place $s$ of the labelling with its blanks, $\beta_t(s)$ the suffixes that begin there; both
    contain $e^{x_{tk}}$, once too often. PyTorch adds $e^{x_{tk}}$, which is what `log_softmax`
    would add behind it.
    """
    batched = log_probs.ndim == 3
    x = log_probs if batched else log_probs.unsqueeze(1)
    N = x.shape[1]
    lengths = torch.as_tensor(input_lengths).reshape(-1).tolist()
    sizes = torch.as_tensor(target_lengths).reshape(-1).tolist()
    flat = targets.ndim == 1 and batched
    rows = targets.split(sizes) if flat else targets.reshape(N, -1)
    each = g.reshape(-1) if reduction == "none" else g.expand(N)
    dx = torch.zeros_like(x)
    for n in range(N):
        T, share = lengths[n], each[n]
        if reduction == "mean":
            share = share / (N * max(sizes[n], 1))
        found, total = _occupied(x[:T, n], rows[n][: sizes[n]], blank)
        slope = x[:T, n].exp() - (found - total).exp()
        impossible = zero_infinity and bool(total == -math.inf)
        dx[:T, n] = 0 if impossible else share * slope
    return {"log_probs": dx if batched else dx.squeeze(1)}
