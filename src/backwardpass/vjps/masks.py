"""Reductions under a mask, as ``torch.masked`` has them: what is left out is a constant.

Each replaces what the mask leaves out by the number that changes nothing, and reduces: the rule is
that of the reduction, behind that of ``where``, which sends nothing to what was replaced.
"""

import math

import torch

from backwardpass.vjps._chain import chained
from backwardpass.vjps._registry import rule

BEHIND = (
    r"\bar x = [m]\;\text{the gradient of the reduction of}\ \mathrm{where}(m, x, e), \quad e = "
)


def _kept(x, mask, neutral):
    """``x`` with the neutral element where the mask leaves it out."""
    return x if mask is None else torch.where(mask, x, neutral)


def _number(x, mask, dim):
    """How many entries are reduced to each result, with the reduced dimensions kept."""
    if mask is None:
        return torch.ones_like(x).sum(dim, keepdim=True)
    return mask.expand(x.shape).to(x.dtype.to_real()).sum(dim, keepdim=True)


def _all(x, dim):
    if dim is None or dim == ():
        return tuple(range(x.ndim))
    return tuple(d % max(x.ndim, 1) for d in ((dim,) if isinstance(dim, int) else dim))


def _cast(x, dtype):
    return x if dtype is None else x.to(dtype)


def _through(g, y, input, reduce, neutral, mask, dtype=None):
    """Back through a reduction of one argument, whatever shape its result has."""
    return chained(
        g, lambda input: reduce(_kept(_cast(input, dtype), mask, neutral)).reshape(y.shape),
        input=input,
    )  # fmt: skip


@rule("masked.sum", latex=BEHIND + "0", saved="m")
def masked_sum(g, y, input, dim=None, *, keepdim=False, dtype=None, mask=None):
    return _through(g, y, input, lambda x: x.sum(_all(x, dim)), 0, mask, dtype)


@rule("masked.prod", latex=BEHIND + "1", saved="x, m")
def masked_prod(g, y, input, dim=None, *, keepdim=False, dtype=None, mask=None):
    def product(x):
        for d in sorted(_all(x, dim), reverse=True):
            x = x.prod(d)
        return x

    return _through(g, y, input, product, 1, mask, dtype)


@rule("masked.cumsum", latex=BEHIND + "0", saved="m")
def masked_cumsum(g, y, input, dim, *, dtype=None, mask=None):
    return _through(g, y, input, lambda x: x.cumsum(dim), 0, mask, dtype)


@rule("masked.cumprod", latex=BEHIND + "1", saved="x, m")
def masked_cumprod(g, y, input, dim, *, dtype=None, mask=None):
    return _through(g, y, input, lambda x: x.cumprod(dim), 1, mask, dtype)


@rule("masked.amax", latex=BEHIND + r"-\infty", saved="x, y, m", kinks="ties share equally")
def masked_amax(g, y, input, dim=None, *, keepdim=False, dtype=None, mask=None):
    return _through(g, y, input, lambda x: x.amax(_all(x, dim)), -math.inf, mask, dtype)


@rule("masked.amin", latex=BEHIND + r"\infty", saved="x, y, m", kinks="ties share equally")
def masked_amin(g, y, input, dim=None, *, keepdim=False, dtype=None, mask=None):
    return _through(g, y, input, lambda x: x.amin(_all(x, dim)), math.inf, mask, dtype)


@rule(
    "masked.mean",
    latex=r"\bar x = [m]\;\bar y \,/\, \textstyle\sum m",
    saved="m",
    kinks="nothing is kept: NaN forwards, and 0 backwards, which the mask selects",
)
def masked_mean(g, y, input, dim=None, *, keepdim=False, dtype=None, mask=None):
    def mean(x):
        dims = _all(x, dim)
        return x.sum(dims, keepdim=True) / _number(x, mask, dims)

    return _through(g, y, input, mean, 0, mask, dtype)


@rule(
    "masked.median",
    latex=BEHIND + r"\mathrm{NaN}\ \text{(nanmedian)}",
    saved="the index, m",
    kinks="of ties the one whose index nanmedian returns",
)
def masked_median(g, y, input, dim=-1, *, keepdim=False, dtype=None, mask=None):
    return _through(g, y, input, lambda x: x.nanmedian(dim)[0], math.nan, mask, dtype)


@rule(
    "masked.norm",
    latex=BEHIND + r"0,\ \text{and}\ \infty\ \text{for order}\ -\infty",
    saved="x, y, m",
    kinks="as for linalg.vector_norm",
)
def masked_norm(g, y, input, ord=2.0, dim=None, *, keepdim=False, dtype=None, mask=None):
    neutral = math.inf if ord == -math.inf else 0

    def norm(x):
        return torch.linalg.vector_norm(x, ord, _all(x, dim))

    return _through(g, y, input, norm, neutral, mask, dtype)


def _variance(x, dim, mask, unbiased, correction):
    dims = _all(x, dim)
    if correction is None:
        correction = 1 if unbiased is None else int(unbiased)
    number = _number(x, mask, dims)
    centre = _kept(x, mask, 0).sum(dims, keepdim=True) / number
    distance = _kept(x - centre, mask, 0)
    squares = torch.real(distance * distance.conj()).sum(dims, keepdim=True)
    return squares / (torch.real(number) - correction).clamp_min(0)


@rule(
    "masked.var",
    latex=r"\bar x_i = [m_i]\,\frac{2\,\bar y\,(x_i - \mu)}{\sum m - c}",
    saved="x, m",
    kinks="Σm ≤ c: division by 0",
)
def masked_var(g, y, input, dim=None, unbiased=None, *, correction=None, keepdim=False, dtype=None,
               mask=None):  # fmt: skip
    def variance(input):
        return _variance(_cast(input, dtype), dim, mask, unbiased, correction).reshape(y.shape)

    return chained(g, variance, input=input)


@rule(
    "masked.std",
    latex=r"\bar x_i = [m_i]\,\frac{\bar y\,(x_i - \mu)}{(\sum m - c)\,y}",
    saved="x, m",
    kinks="y = 0: 0/0",
)
def masked_std(g, y, input, dim=None, unbiased=None, *, correction=None, keepdim=False, dtype=None,
               mask=None):  # fmt: skip
    def deviation(input):
        found = _variance(_cast(input, dtype), dim, mask, unbiased, correction)
        return found.sqrt().reshape(y.shape)

    return chained(g, deviation, input=input)


@rule("masked.softmax", latex=BEHIND + r"-\infty", saved="y, m", kinks="nothing is kept: NaN")
def masked_softmax(g, y, input, dim, *, dtype=None, mask=None):
    return _through(g, y, input, lambda x: x.softmax(dim), -math.inf, mask, dtype)


@rule("masked.log_softmax", latex=BEHIND + r"-\infty", saved="y, m", kinks="nothing is kept: NaN")
def masked_log_softmax(g, y, input, dim, *, dtype=None, mask=None):
    return _through(g, y, input, lambda x: x.log_softmax(dim), -math.inf, mask, dtype)


@rule("masked.softmin", latex=BEHIND + r"\infty", saved="y, m", kinks="nothing is kept: NaN")
def masked_softmin(g, y, input, dim, *, dtype=None, mask=None):
    return _through(g, y, input, lambda x: (-x).softmax(dim), math.inf, mask, dtype)


@rule(
    "masked.normalize",
    latex=r"y = x / s,\ s = \max(\|x\|, \varepsilon)",
    saved="x, m",
    kinks="where the norm is ε exactly, half",
)
def masked_normalize(g, y, input, ord, dim, *, eps=1e-12, dtype=None, mask=None):
    def normalized(x):
        length = torch.linalg.vector_norm(x, ord, _all(x, dim), keepdim=True)
        return x / torch.maximum(length, torch.full_like(length, eps))

    return _through(g, y, input, normalized, 0, mask, dtype)


@rule("masked.logsumexp", latex=BEHIND + r"-\infty", saved="x, y, m")
def masked_logsumexp(g, y, input, dim=None, *, keepdim=False, dtype=None, mask=None):
    return _through(g, y, input, lambda x: x.logsumexp(_all(x, dim)), -math.inf, mask, dtype)


@rule(
    "masked.logaddexp",
    latex=r"\bar a = [m_a]\,\bar y\,e^{a - y}, \qquad \bar b = [m_b]\,\bar y\,e^{b - y}",
    saved="a, b, the masks",
)
def masked_logaddexp(g, y, input, other, *, dtype=None, input_mask=None, other_mask=None):
    def added(input, other):
        a, b = _cast(input, dtype), _cast(other, dtype)
        return torch.logaddexp(_kept(a, input_mask, -math.inf), _kept(b, other_mask, -math.inf))

    return chained(g, added, input=input, other=other)
