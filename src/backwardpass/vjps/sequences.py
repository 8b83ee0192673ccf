"""Differences, integrals, quantiles and short-time spectra: reductions to rules.

Each is written out with operations that have rules, and goes back through theirs
(:func:`backwardpass.vjps._chain.chained`); where several lines are enough to say what the operation
computes, they are also its derivation.
"""

import torch
from torch.nn import functional as F

from backwardpass.vjps._chain import chained
from backwardpass.vjps._registry import Declined, rule


@rule(
    "diff",
    latex=r"y_i = x_{i+1} - x_i:\quad \bar x_i = \bar y_{i-1} - \bar y_i,\ n\ \text{times}",
    saved="nothing",
)
def diff(g, y, input, n=1, dim=-1, prepend=None, append=None):
    def differences(input, prepend=None, append=None):
        parts = [x for x in (prepend, input, append) if x is not None]
        x = torch.cat(parts, dim)
        for _ in range(n):
            length = x.shape[dim] - 1
            if length < 0:
                break
            x = x.narrow(dim, 1, length) - x.narrow(dim, 0, length)
        return x

    if n == 0:
        return {"input": g}
    if g.numel() == 0:
        given = {"input": input, "prepend": prepend, "append": append}
        return {k: torch.zeros_like(x) if x is not None else None for k, x in given.items()}
    given = {"prepend": prepend, "append": append}
    return chained(g, differences, input=input, **{k: v for k, v in given.items() if v is not None})


def _slope(x, dim, step, order):
    """Second-order differences inside, one-sided ones at the ends."""
    n = x.shape[dim]
    if isinstance(step, torch.Tensor) and step.ndim == 1:
        h = (step[1:] - step[:-1]).reshape([-1 if d == dim % x.ndim else 1 for d in range(x.ndim)])
    else:
        h = torch.ones([n - 1 if d == dim % x.ndim else 1 for d in range(x.ndim)]).to(x) * step
    steps = (x.narrow(dim, 1, n - 1) - x.narrow(dim, 0, n - 1)) / h
    first, last = steps.narrow(dim, 0, 1), steps.narrow(dim, n - 2, 1)
    if n < 3:
        return torch.cat([first, last], dim)
    left, right = h.narrow(dim, 0, n - 2), h.narrow(dim, 1, n - 2)
    low, high = steps.narrow(dim, 0, n - 2), steps.narrow(dim, 1, n - 2)
    inside = (low * right + high * left) / (left + right)
    if order == 2:
        bend = (high - low) / (left + right)
        first = first - bend.narrow(dim, 0, 1) * left.narrow(dim, 0, 1)
        last = last + bend.narrow(dim, n - 3, 1) * right.narrow(dim, n - 3, 1)
    return torch.cat([first, inside, last], dim)


@rule(
    "gradient",
    latex=r"\bar x = \sum_d D_d^{\top} \bar y_d, \qquad "
    r"D_d\ \text{the differences along } d",
    saved="the spacing",
    kinks="where the spacing is a tensor its own gradient comes too",
)
def gradient(g, y, input, *, spacing=None, dim=None, edge_order=1):
    r"""
    Inside, the slope is the mean of the two neighbouring differences
    $s_i = (x_{i+1} - x_i)/h_i$, each weighted with the other's step:
    $(s_{i-1} h_i + s_i h_{i-1})/(h_{i-1} + h_i)$. At an end it is the one difference there, or for
    `edge_order=2` that of the parabola through three points.
    """
    dims = range(input.ndim) if dim is None else [dim] if isinstance(dim, int) else list(dim)
    several = isinstance(spacing, (tuple, list))

    def slopes(input, spacing=None):
        given = fixed if spacing is None else spacing
        return tuple(_slope(input, d, s, edge_order) for d, s in zip(dims, given, strict=True))

    fixed = list(spacing) if several else [1.0 if spacing is None else spacing] * len(dims)
    moving = several and all(isinstance(s, torch.Tensor) for s in spacing)
    moving = moving and all(s.is_floating_point() or s.is_complex() for s in spacing)
    return chained(tuple(g), slopes, input=input, **({"spacing": fixed} if moving else {}))


def _steps(x, y, dim):
    """Distances of the places x, beside the entries of y along dim."""
    if x.ndim == 1:
        x = x.reshape([-1 if d == dim % y.ndim else 1 for d in range(y.ndim)])
    elif x.ndim < y.ndim:
        x = x.reshape([1] * (y.ndim - x.ndim) + list(x.shape))
    n = x.shape[dim]
    return x.narrow(dim, 1, n - 1) - x.narrow(dim, 0, n - 1)


def _areas(y, x, dx, dim):
    """The trapezoids between neighbours."""
    n = y.shape[dim]
    width = dx if x is None else _steps(x, y, dim)
    return (y.narrow(dim, 1, n - 1) + y.narrow(dim, 0, n - 1)) * width / 2


TRAPEZOIDS = r"a_i = \tfrac12 (y_i + y_{i+1})\,h_i, \quad h_i = x_{i+1} - x_i"


def _integral(g, y, x, dx, dim, total):
    """Gradients of the heights y and the places x."""
    if y.shape[dim] == 0 or g.numel() == 0:
        return {"y": torch.zeros_like(y), "x": None if x is None else torch.zeros_like(x)}
    given = {"y": y} if x is None else {"y": y, "x": x}
    return chained(g, lambda y, x=None: total(_areas(y, x, dx, dim)), **given)


@rule(
    "trapezoid",
    "trapz",
    name="trapezoid",
    latex=r"\int = \textstyle\sum_i a_i, \quad " + TRAPEZOIDS,
    saved="y, x",
)
def trapezoid(g, y_, y, x=None, *, dx=1, dim=-1):
    return _integral(g, y, x, dx, dim, lambda areas: areas.sum(dim))


@rule(
    "cumulative_trapezoid",
    latex=r"\int_k = \textstyle\sum_{i \le k} a_i, \quad " + TRAPEZOIDS,
    saved="y, x",
)
def cumulative_trapezoid(g, y_, y, x=None, *, dx=1, dim=-1):
    return _integral(g, y, x, dx, dim, lambda areas: areas.cumsum(dim))


def _covariance(x, correction, fweights, aweights):
    x = x.reshape(1, -1) if x.ndim < 2 else x
    w = fweights if aweights is None else aweights if fweights is None else fweights * aweights
    if w is None:
        total = x.shape[1]
        centred = x - x.mean(1, keepdim=True)
        weighted = centred
    else:
        total = w.sum(0)
        centred = x - (x * w).sum(1, keepdim=True) / total
        weighted = centred * w
    divisor = total - correction
    if aweights is not None and correction != 0:
        divisor = total - (w * aweights).sum(0) * correction / total
    if float(divisor) <= 0:
        divisor = 0 * divisor
    return (weighted @ centred.mH) / divisor


@rule(
    "cov",
    latex=r"C = \frac{1}{N}\,(X - \mu)\,W\,(X - \mu)^{\mathsf H}:\quad "
    r"\bar X = \frac1N\,(\bar C + \bar C^{\mathsf H})\,(X - \mu)\,W",
    saved="X, the weights",
    kinks="N ≤ 0: division by 0",
)
def cov(g, y, input, *, correction=1, fweights=None, aweights=None):
    r"""
    The mean moves with $X$ too, but its part is multiplied by $\sum_j w_j (x_j - \mu) = 0$. What
    is left is the derivative of a quadratic form. Weights `aweights` have a gradient too, through
    the form, the mean and the divisor.
    """

    def covariance(input, aweights=None):
        return _covariance(input, correction, fweights, aweights).reshape(y.shape)

    moving = {} if aweights is None else {"aweights": aweights}
    return chained(g, covariance, input=input, **moving)


@rule(
    "corrcoef",
    latex=r"R_{ij} = C_{ij} / \sqrt{C_{ii} C_{jj}}",
    saved="X, C",
    kinks="clipped to [-1, 1], where it is inside; of one variable the result is 1 or NaN",
)
def corrcoef(g, y, input):
    def correlation(input):
        C = _covariance(input, 1, None, None)
        scale = torch.real(C.diagonal()).sqrt()
        return (C / scale.unsqueeze(1) / scale.unsqueeze(0)).reshape(y.shape)

    return chained(g, correlation, input=input)


def _between(ordered, ranks, interpolation):
    """What stands at fractional ranks of sorted numbers, along the last dimension."""
    rounded = {"lower": torch.floor, "higher": torch.ceil, "nearest": torch.round}
    if interpolation in rounded:
        return ordered.gather(-1, rounded[interpolation](ranks.detach()).long())
    below = ranks.detach().floor()
    low = ordered.gather(-1, below.long())
    high = ordered.gather(-1, ranks.detach().ceil().long())
    return low + (high - low) * (0.5 if interpolation == "midpoint" else ranks - below)


def _quantile(g, y, input, q, dim, interpolation, skip):
    levels = q if isinstance(q, torch.Tensor) else torch.tensor(q, dtype=input.dtype)

    def quantiles(input, q):
        x = input.reshape(-1) if dim is None or input.ndim == 0 else input.movedim(dim, -1)
        ordered = x.sort(-1)[0]
        last = (~ordered.isnan()).sum(-1, keepdim=True).to(q.dtype) - 1
        if not skip:  # one NaN is the result
            last = torch.full_like(last, x.shape[-1] - 1)
        ranks = last.clamp_min(0) * q.reshape(-1)
        if not skip:
            ranks = torch.where(ordered.isnan().any(-1, keepdim=True), last, ranks)
        found = _between(ordered, ranks, interpolation)  # the levels are last
        return found.movedim(-1, 0).reshape(y.shape)

    given = {"input": input, "q": levels}
    grads = chained(g, quantiles, **given)
    return grads if isinstance(q, torch.Tensor) else {"input": grads["input"]}


QUANTILE = r"y = (1 - w)\,x_{(k)} + w\,x_{(k+1)},\ k + w = q\,(n - 1):\quad "
QUANTILE += r"\bar x_{(k)} = (1 - w)\,\bar y, \quad \bar x_{(k+1)} = w\,\bar y, \quad "
QUANTILE += r"\bar q = (n - 1)\,(x_{(k+1)} - x_{(k)})\,\bar y"


@rule(
    "quantile",
    latex=QUANTILE,
    saved="the order of x, the ranks",
    kinks="of ties the ones that were sorted to k and k + 1; one NaN gets all",
)
def quantile(g, y, input, q, dim=None, keepdim=False, *, interpolation="linear"):
    return _quantile(g, y, input, q, dim, interpolation, False)


@rule(
    "nanquantile",
    latex=QUANTILE + r",\ n\ \text{without NaN}",
    saved="the order of x, the ranks",
    kinks="of ties the ones that were sorted to k and k + 1",
)
def nanquantile(g, y, input, q, dim=None, keepdim=False, *, interpolation="linear"):
    return _quantile(g, y, input, q, dim, interpolation, True)


def _window(window, win_length, n_fft, like):
    """The window in the middle of a frame; ones where there is none."""
    length = n_fft if win_length is None else win_length
    if window is None:
        window = torch.ones(length, dtype=like.dtype.to_real())
    left = (n_fft - length) // 2
    return window if length == n_fft else F.pad(window, (left, n_fft - length - left))


@rule(
    "stft",
    latex=r"y = F\,(w \odot \mathrm{frames}(x))",
    saved="the frames, w",
    source="unfold, a product with the window, and fft or rfft",
)
def stft(g, y, input, n_fft, hop_length=None, win_length=None, window=None, center=True,
         pad_mode="reflect", normalized=False, onesided=None, return_complex=None,
         align_to_window=None):  # fmt: skip
    if align_to_window:
        raise Declined("align_to_window: not written out here")
    hop = n_fft // 4 if hop_length is None else hop_length
    real = not input.is_complex() and (window is None or not window.is_complex())
    half = real if onesided is None else onesided

    def spectra(input, window=None):
        x = input.reshape(-1, input.shape[-1])
        if center:
            x = F.pad(x, (n_fft // 2, n_fft // 2), pad_mode)
        frames = x.unfold(-1, n_fft, hop) * _window(window, win_length, n_fft, input)
        transform = torch.fft.rfft if half else torch.fft.fft
        found = transform(frames, norm="ortho" if normalized else None).transpose(1, 2)
        found = found.reshape(*input.shape[:-1], *found.shape[1:])
        return found if return_complex in (None, True) else torch.view_as_real(found)

    return chained(g, spectra, **({"input": input} if window is None else
                                  {"input": input, "window": window}))  # fmt: skip


@rule(
    "istft",
    latex=r"y = \mathrm{overlap}\big(w \odot F^{-1} x\big) \,/\, \mathrm{overlap}(w^2)",
    saved="the frames, w",
    source="irfft or ifft, a product with the window, and index_add",
)
def istft(g, y, input, n_fft, hop_length=None, win_length=None, window=None, center=True,
          normalized=False, onesided=None, length=None, return_complex=False):  # fmt: skip
    hop = n_fft // 4 if hop_length is None else hop_length
    count = input.shape[-1]
    places = (torch.arange(count).unsqueeze(1) * hop + torch.arange(n_fft)).reshape(-1)
    total = n_fft + hop * (count - 1)

    def overlapped(frames):
        zeros = torch.zeros(len(frames), total, dtype=frames.dtype)
        return torch.index_add(zeros, 1, places, frames.reshape(len(frames), -1))

    def signal(input, window=None):
        x = input.reshape(-1, *input.shape[-2:]).transpose(1, 2)
        norm = "ortho" if normalized else None
        if return_complex:
            frames = torch.fft.ifft(x, norm=norm)
        else:  # of a whole spectrum the second half is not read
            frames = torch.fft.irfft(x[..., : n_fft // 2 + 1], n_fft, norm=norm)
        w = _window(window, win_length, n_fft, input)
        found = overlapped(frames * w)
        weight = overlapped((w * w).expand(1, count, n_fft))
        start = n_fft // 2 if center else 0
        end = total - n_fft // 2 if center else total
        end = end if length is None else min(start + length, total)
        found = found[:, start:end] / weight[:, start:end]
        if length is not None and end - start < length:
            found = F.pad(found, (0, length - (end - start)))
        return found.reshape(*input.shape[:-2], -1)

    return chained(g, signal, **({"input": input} if window is None else
                                 {"input": input, "window": window}))  # fmt: skip


def _dims(input, s, dim):
    if dim is None:
        dim = range(input.ndim) if s is None else range(input.ndim - len(s), input.ndim)
    return [d % input.ndim for d in ((dim,) if isinstance(dim, int) else dim)]


def _hermitian(g, input, s, dim, norm):
    """hfftn: the full transform of all dimensions but the last, and hfft of that."""
    dims = _dims(input, s, dim)

    def transform(input):
        sizes = None if s is None else list(s[:-1])
        whole = torch.fft.fftn(input, sizes, tuple(dims[:-1]), norm) if dims[1:] else input
        return torch.fft.hfft(whole, None if s is None else s[-1], dims[-1], norm)

    return chained(g, transform, input=input)


def _from_hermitian(g, input, s, dim, norm):
    """ihfftn: ihfft of the last dimension, and the inverse transform of the others."""
    dims = _dims(input, s, dim)

    def transform(input):
        half = torch.fft.ihfft(input, None if s is None else s[-1], dims[-1], norm)
        sizes = None if s is None else list(s[:-1])
        return torch.fft.ifftn(half, sizes, tuple(dims[:-1]), norm) if dims[1:] else half

    return chained(g, transform, input=input)


HERMITIAN = r"y = \mathrm{hfft}_{\text{last}}\,F_{\text{others}}\,x"
INVERSE = r"y = F^{-1}_{\text{others}}\,\mathrm{ihfft}_{\text{last}}\,x"


@rule("fft.hfft2", latex=HERMITIAN, saved="the shape of x", source="fftn, then hfft")
def hfft2(g, y, input, s=None, dim=(-2, -1), norm=None):
    return _hermitian(g, input, s, dim, norm)


@rule("fft.hfftn", latex=HERMITIAN, saved="the shape of x", source="fftn, then hfft")
def hfftn(g, y, input, s=None, dim=None, norm=None):
    return _hermitian(g, input, s, dim, norm)


@rule("fft.ihfft2", latex=INVERSE, saved="the shape of x", source="ihfft, then ifftn")
def ihfft2(g, y, input, s=None, dim=(-2, -1), norm=None):
    return _from_hermitian(g, input, s, dim, norm)


@rule("fft.ihfftn", latex=INVERSE, saved="the shape of x", source="ihfft, then ifftn")
def ihfftn(g, y, input, s=None, dim=None, norm=None):
    return _from_hermitian(g, input, s, dim, norm)
