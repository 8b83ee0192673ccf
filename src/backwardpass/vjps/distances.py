"""Distances between rows, and the losses made of them."""

import math

import torch
from torch.nn import functional as F

from backwardpass.vjps._chain import chained
from backwardpass.vjps._registry import Declined, rule
from backwardpass.vjps._shared import onto

DISTANCE = r"\bar d_k = \bar y\,\mathrm{sgn}(d_k)\,\Big(\frac{|d_k|}{y}\Big)^{p-1}"
DISTANCE_KINKS = "0 where the distance is 0; p = ∞: every tie gets all of ȳ; p = 0: 0"


def _slopes(g, d, y, p):
    """Gradient of the differences d for their distances y, along the last dimension."""
    if p == 0:
        return torch.zeros_like(d)
    if math.isinf(p):
        slope = d.sgn() * (d.abs() == y)
    elif p == 1:
        slope = d.sgn()
    else:
        slope = torch.where(d == 0, 0, d.sgn() * (d.abs() / y) ** (p - 1))
    return torch.where((y == 0) | (slope == 0), 0, g * slope)


@rule(
    "cdist",
    latex=r"d = a_i - b_j:\quad " + DISTANCE + r", \qquad \bar a_i = \sum_j \bar d_{ij}, \quad "
    r"\bar b_j = -\sum_i \bar d_{ij}",
    saved="a, b, y",
    kinks=DISTANCE_KINKS,
)
def cdist(g, y, x1, x2, p=2.0, compute_mode="use_mm_for_euclid_dist_if_necessary"):
    d = x1.unsqueeze(-2) - x2.unsqueeze(-3)
    slopes = _slopes(g.unsqueeze(-1), d, y.unsqueeze(-1), p)
    return {"x1": onto(slopes.sum(-2), x1), "x2": onto(-slopes.sum(-3), x2)}


@rule(
    "nn.functional.pdist",
    also="pdist",
    latex=r"d = x_i - x_j,\ i < j:\quad " + DISTANCE + r", \qquad \bar x_i = \bar d_{ij},\ "
    r"\bar x_j = -\bar d_{ij},\ \text{summed}",
    saved="x, y",
    kinks=DISTANCE_KINKS,
)
def pdist(g, y, input, p=2.0):
    i, j = torch.triu_indices(len(input), len(input), 1)
    slopes = _slopes(g.unsqueeze(-1), input[i] - input[j], y.unsqueeze(-1), p)
    dx = torch.zeros_like(input)
    return {"input": dx.index_add(0, i, slopes).index_add(0, j, slopes, alpha=-1)}


def _reduced(terms, reduction):
    return {"none": lambda t: t, "mean": torch.mean, "sum": torch.sum}[reduction](terms)


@rule(
    "nn.functional.cosine_embedding_loss",
    modules="CosineEmbeddingLoss",
    latex=r"\ell = 1 - c\ (t = 1), \qquad \max(0,\ c - m)\ (t = -1), \qquad "
    r"c = \frac{\langle a, b \rangle}{\sqrt{(|a|^2 + \epsilon)(|b|^2 + \epsilon)}}",
    saved="a, b, t",
    source="products, sums and clamp_min",
    kinks="c = m: as for clamp_min, all of it",
)
def cosine_embedding_loss(g, y, input1, input2, target, margin=0.0, size_average=None, reduce=None,
                          reduction="mean"):  # fmt: skip
    if size_average is not None or reduce is not None:
        raise Declined("size_average and reduce: use reduction")

    def loss(input1, input2):
        a, b = input1, input2
        lengths = ((a * a).sum(-1) + 1e-12) * ((b * b).sum(-1) + 1e-12)
        cosine = (a * b).sum(-1) / lengths.sqrt()
        far = torch.where(target == -1, (cosine - margin).clamp_min(0), 0.0)
        return _reduced(torch.where(target == 1, 1 - cosine, far), reduction)

    return {**chained(g, loss, input1=input1, input2=input2), "target": torch.zeros_like(target)}


TRIPLET = r"\ell = \max\big(0,\ m + d(a, p) - d(a, n)\big)"


def _triplet(g, distance, anchor, positive, negative, margin, swap, reduction):
    def loss(anchor, positive, negative):
        near, far = distance(anchor, positive), distance(anchor, negative)
        if swap:
            far = torch.minimum(far, distance(positive, negative))
        return _reduced((margin + near - far).clamp_min(0), reduction)

    return chained(g, loss, anchor=anchor, positive=positive, negative=negative)


@rule(
    "nn.functional.triplet_margin_loss",
    modules="TripletMarginLoss",
    latex=TRIPLET,
    saved="a, p, n",
    source="pairwise_distance, minimum and clamp_min",
    kinks="where the margin is met exactly: as for clamp_min, all of it",
)
def triplet_margin_loss(g, y, anchor, positive, negative, margin=1.0, p=2, eps=1e-6, swap=False,
                        size_average=None, reduce=None, reduction="mean"):  # fmt: skip
    if size_average is not None or reduce is not None:
        raise Declined("size_average and reduce: use reduction")

    def distance(a, b):
        return F.pairwise_distance(a, b, p, eps)

    return _triplet(g, distance, anchor, positive, negative, margin, swap, reduction)


@rule(
    "nn.functional.triplet_margin_with_distance_loss",
    modules="TripletMarginWithDistanceLoss",
    latex=TRIPLET + r",\quad d\ \text{given}",
    saved="a, p, n",
    source="the distance's own rules, minimum and clamp_min",
    domain="a distance written with operations that have rules",
)
def triplet_with_distance(g, y, anchor, positive, negative, *, distance_function=None, margin=1.0,
                          swap=False, reduction="mean"):  # fmt: skip
    distance = distance_function or F.pairwise_distance
    return _triplet(g, distance, anchor, positive, negative, margin, swap, reduction)
