"""Many numbers to one: sums, products, variances, and the largest and smallest."""

import torch

from backwardpass.vjps._registry import rule
from backwardpass.vjps._shared import axes, count, onto, product_of_others, put, spread


@rule(
    "sum",
    latex=r"\bar x_i = \bar y",
    saved="nothing",
)
def sum_(g, y, input, dim=None, keepdim=False, *, dtype=None):
    return {"input": onto(spread(g, input, dim, keepdim).expand(input.shape), input)}


@rule("nansum", latex=r"\bar x_i = \bar y\,[x_i\ \text{is not NaN}]", saved="where x is NaN")
def nansum(g, y, input, dim=None, keepdim=False, *, dtype=None):
    return {"input": onto(torch.where(input.isnan(), 0, spread(g, input, dim, keepdim)), input)}


@rule("mean", latex=r"\bar x_i = \bar y / n", saved="nothing")
def mean(g, y, input, dim=None, keepdim=False, *, dtype=None):
    share = spread(g, input, dim, keepdim) / count(input, dim)
    return {"input": onto(share.expand(input.shape), input)}


@rule(
    "nanmean",
    latex=r"\bar x_i = \frac{\bar y}{m}\,[x_i\ \text{is not NaN}], \quad m\ \text{such entries}",
    saved="where x is NaN",
    kinks="NaN where all entries are, from 0 · ∞",
)
def nanmean(g, y, input, dim=None, keepdim=False, *, dtype=None):
    kept = ~input.isnan()
    share = spread(g, input, dim, keepdim) / kept.sum(axes(input, dim), keepdim=True)
    return {"input": onto(share * kept, input)}


@rule(
    "prod",
    latex=r"\bar x_i = \bar y \Big(\prod_{j \ne i} x_j\Big)^*",
    saved="x",
    kinks="the short form ȳ y/x is 0/0 at a zero; the product of the others is not",
)
def prod(g, y, input, dim=None, keepdim=False, *, dtype=None):
    r"""
    The product is linear in each factor, with the product of the others for a slope. It is
    computed as (product of those before) × (product of those after): two cumulative products and
    no division.
    """
    if input.numel() == 0:
        return {"input": torch.empty_like(input)}
    x = input.to(g.dtype)
    if dim is None or input.ndim == 0:
        others = product_of_others(x.reshape(-1), 0).reshape(x.shape)
    else:
        g, others = spread(g, x, dim, keepdim), product_of_others(x, dim)
    return {"input": onto(g * others.conj(), input)}


def _centred(x, dim, unbiased, correction):
    """Distances from the mean, and the divisor of their squares."""
    if unbiased is not None:
        correction = float(unbiased)
    elif correction is None:
        correction = 1.0
    divisor = max(count(x, dim) - correction, 0)
    return x - x.mean(axes(x, dim), keepdim=True), divisor


@rule(
    "var",
    "var.unbiased",
    latex=r"\bar x_i = \frac{2\,\bar y\,(x_i - \mu)}{n - c}",
    saved="x",
    kinks="n ≤ c: division by 0",
)
def var(g, y, input, dim=None, unbiased=None, keepdim=False, *, correction=None):
    r"""
    $y = \sum_i |x_i - \mu|^2 / (n - c)$. The mean moves too, but its part is
    $\sum_i (x_i - \mu)\,d\mu = 0$: what is left is $2(x_i - \mu)$ for each entry.
    """
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    centred, divisor = _centred(input, dim, unbiased, correction)
    return {"input": 2 * spread(g, input, dim, keepdim) * centred / divisor}


@rule(
    "std",
    "std.unbiased",
    latex=r"\bar x_i = \frac{\bar y\,(x_i - \mu)}{(n - c)\,y}",
    saved="x, y",
    kinks="0 where all entries are equal, and y = 0",
)
def std(g, y, input, dim=None, unbiased=None, keepdim=False, *, correction=None):
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    centred, divisor = _centred(input, dim, unbiased, correction)
    g, y = spread(g, input, dim, keepdim), spread(y, input, dim, keepdim)
    return {"input": torch.where(y == 0, 0, g / y) * centred / divisor}


@rule(
    "var_mean",
    "var_mean.unbiased",
    latex=r"\bar x_i = \frac{2\,\bar v\,(x_i - \mu)}{n - c} + \frac{\bar m}{n}",
    saved="x",
)
def var_mean(g, y, input, dim=None, unbiased=None, keepdim=False, *, correction=None):
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    centred, divisor = _centred(input, dim, unbiased, correction)
    dvar, dmean = (spread(piece, input, dim, keepdim) for piece in g)
    return {"input": 2 * dvar * centred / divisor + dmean / count(input, dim)}


@rule(
    "std_mean",
    "std_mean.unbiased",
    latex=r"\bar x_i = \frac{\bar s\,(x_i - \mu)}{(n - c)\,s} + \frac{\bar m}{n}",
    saved="x, s",
    kinks="the first term is 0 where s = 0",
)
def std_mean(g, y, input, dim=None, unbiased=None, keepdim=False, *, correction=None):
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    centred, divisor = _centred(input, dim, unbiased, correction)
    dstd, dmean = (spread(piece, input, dim, keepdim) for piece in g)
    s = spread(y[0], input, dim, keepdim)
    share = torch.where(s == 0, 0, dstd / s) * centred / divisor
    return {"input": share + dmean / count(input, dim)}


def _shared_by_ties(g, y, x, dim=None, keepdim=False):
    """The cotangent, in equal parts, to all entries that are the result."""
    winners = x == spread(y, x, dim, keepdim)
    number = winners.sum(axes(x, dim), keepdim=True)
    share = torch.where(winners, spread(g, x, dim, keepdim) / number, 0)
    return torch.where(number == 0, torch.nan, share)


def _shared_by_all(g, y, x):
    """The same over all entries, where NaN counts as equal to NaN."""
    winners = x.isnan() if y.isnan() else x == y
    return torch.where(winners, g / winners.sum(), 0)


TIES = "ties share equally; max with dim, the same numbers, gives all to the index it returns"


@rule(
    "amax",
    "amin",
    name="amax, amin",
    latex=r"\bar x_i = \bar y\,\frac{[x_i = y]}{\#\{j : x_j = y\}}",
    saved="x, y",
    kinks=TIES,
)
def amax(g, y, input, dim=(), keepdim=False):
    return {"input": _shared_by_ties(g, y, input, dim, keepdim)}


@rule(
    "aminmax",
    latex=r"\bar x_i = \bar a\,\frac{[x_i = a]}{\#\{x_j = a\}} + "
    r"\bar b\,\frac{[x_i = b]}{\#\{x_j = b\}}",
    saved="x, y",
    kinks="ties share equally",
)
def aminmax(g, y, input, *, dim=None, keepdim=False):
    low, high = (_shared_by_ties(g[k], y[k], input, dim, keepdim) for k in (0, 1))
    return {"input": low + high}


@rule(
    "max.reduction_no_dim",
    "min.reduction_no_dim",
    name="max, min",
    latex=r"\bar x_i = \bar y\,\frac{[x_i = y]}{\#\{j : x_j = y\}}",
    saved="x, y",
    kinks="ties share equally; with dim all goes to the index that is returned",
)
def max_(g, y, input):
    return {"input": _shared_by_all(g, y, input)}


def _at_index(g, y, x, dim, keepdim):
    """The cotangent to the entry whose index was returned."""
    return put(spread(g[0], x, dim, keepdim), dim, spread(y[1], x, dim, keepdim), x)


@rule(
    "max.reduction_with_dim",
    "min.reduction_with_dim",
    name="max, min with dim",
    latex=r"\bar x_i = \bar y\,[i = k], \qquad k\ \text{the index returned}",
    saved="k",
    kinks="of ties the one whose index is returned gets all; without dim they share",
)
def max_with_dim(g, y, input, dim, keepdim=False):
    return {"input": _at_index(g, y, input, dim, keepdim)}


@rule(
    "kthvalue",
    latex=r"\bar x_i = \bar y\,[i = k], \qquad k\ \text{the index returned}",
    saved="k",
    kinks="of ties the one whose index is returned gets all",
)
def kthvalue(g, y, input, k, dim=-1, keepdim=False):
    return {"input": _at_index(g, y, input, dim, keepdim)}


@rule(
    "mode",
    latex=r"\bar x_i = \bar y\,[i = k], \qquad k\ \text{the index returned}",
    saved="k",
    kinks="of the equal entries the one whose index is returned gets all",
)
def mode(g, y, input, dim=-1, keepdim=False):
    return {"input": _at_index(g, y, input, dim, keepdim)}


@rule(
    "median",
    "nanmedian",
    latex=r"\bar x_i = \bar y\,[i = k]\ \text{(with dim)}, \qquad "
    r"\bar x_i = \bar y\,\frac{[x_i = y]}{\#\{j : x_j = y\}}\ \text{(without)}",
    saved="k, or x and y",
    kinks="as for max: shared without dim, to the returned index with it",
)
def median(g, y, input, dim=None, keepdim=False):
    if dim is None:
        return {"input": _shared_by_all(g, y, input)}
    return {"input": _at_index(g, y, input, dim, keepdim)}


@rule(
    "logsumexp",
    latex=r"\bar x = \bar y\,(e^{x - y})^*",
    saved="x, y",
    kinks="all entries -∞: NaN, from -∞ + ∞",
    also="special.logsumexp",
)
def logsumexp(g, y, input, dim, keepdim=False):
    g, y = spread(g, input, dim, keepdim), spread(y, input, dim, keepdim)
    return {"input": g * (input - y).exp().conj()}


@rule(
    "trace",
    latex=r"\bar X = \bar y\,I",
    saved="nothing",
)
def trace(g, y, input):
    return {"input": torch.where(torch.eye(*input.shape, dtype=torch.bool), g, 0)}
