"""Pooling and resampling: by index, or by one matrix for each dimension."""

import torch
from torch import Tensor
from torch.nn import functional as F

from backwardpass.vjps._registry import Declined, rule
from backwardpass.vjps.convolution import _each

LARGEST = r"\bar x_i = \sum_{p\,:\,k_p = i} \bar y_p, \qquad k_p\ \text{the index of the largest}"


def _at_largest(pool, n, g, y, x, *options):
    """The cotangents to the largest entry of each window over the last ``n`` dimensions."""
    index = y[1] if isinstance(y, (tuple, list)) else pool(x, *options, return_indices=True)[1]
    g = g[0] if isinstance(g, (tuple, list)) else g
    flat = torch.zeros_like(x.flatten(-n))
    return {"input": flat.scatter_add_(-1, index.flatten(-n), g.flatten(-n)).reshape(x.shape)}


@rule("nn.functional.max_pool1d", modules="MaxPool1d", latex=LARGEST, saved="the indices",
      kinks="of ties in a window the first gets all")  # fmt: skip
def max_pool1d(g, y, input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False,
               return_indices=False):  # fmt: skip
    options = kernel_size, stride, padding, dilation, ceil_mode
    return _at_largest(F.max_pool1d, 1, g, y, input, *options)


@rule("nn.functional.max_pool2d", modules="MaxPool2d", latex=LARGEST, saved="the indices",
      kinks="of ties in a window the first gets all")  # fmt: skip
def max_pool2d(g, y, input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False,
               return_indices=False):  # fmt: skip
    options = kernel_size, stride, padding, dilation, ceil_mode
    return _at_largest(F.max_pool2d, 2, g, y, input, *options)


@rule("nn.functional.max_pool3d", modules="MaxPool3d", latex=LARGEST, saved="the indices",
      kinks="of ties in a window the first gets all")  # fmt: skip
def max_pool3d(g, y, input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False,
               return_indices=False):  # fmt: skip
    options = kernel_size, stride, padding, dilation, ceil_mode
    return _at_largest(F.max_pool3d, 3, g, y, input, *options)


@rule("nn.functional.adaptive_max_pool1d", modules="AdaptiveMaxPool1d", latex=LARGEST,
      saved="the indices", kinks="of ties in a window the first gets all")  # fmt: skip
def adaptive_max_pool1d(g, y, input, output_size, return_indices=False):
    return _at_largest(F.adaptive_max_pool1d, 1, g, y, input, output_size)


@rule("nn.functional.adaptive_max_pool2d", modules="AdaptiveMaxPool2d", latex=LARGEST,
      saved="the indices", kinks="of ties in a window the first gets all")  # fmt: skip
def adaptive_max_pool2d(g, y, input, output_size, return_indices=False):
    return _at_largest(F.adaptive_max_pool2d, 2, g, y, input, output_size)


MATRICES = (
    r"y = (M_1 \otimes M_2 \otimes \cdots)\,x:\quad "
    r"\bar x = (M_1^{\top} \otimes M_2^{\top} \otimes \cdots)\,\bar y"
)


def _separable(g: Tensor, matrices: list[Tensor]) -> Tensor:
    """Gradient of x when each of its last dimensions was multiplied by a matrix."""
    for d, matrix in enumerate(reversed(matrices), start=1):
        g = _times(g.movedim(-d, -1), matrix.to(g.dtype)).movedim(-1, -d)
    return g


def _times(g: Tensor, matrix: Tensor) -> Tensor:
    """Their product, in which an entry that a window does not hold is left out, even if it is ∞."""
    if g.isfinite().all():
        return g @ matrix
    return torch.where(matrix == 0, 0, g.unsqueeze(-1) * matrix).sum(-2)


def _average(length, out, kernel, stride, padding, counts_padding, divides) -> Tensor:
    """Row p: the share of each entry in the average over window p."""
    first = torch.arange(out).unsqueeze(1) * stride - padding
    end = first + kernel
    inside = ((torch.arange(length) >= first) & (torch.arange(length) < end)).double()
    if not divides:
        return inside
    if counts_padding:
        return inside / (end.clamp_max(length + padding) - first)
    return inside / (end.clamp_max(length) - first.clamp_min(0))


def _avg_pool(n, g, x, kernel_size, stride, padding, counts_padding, divisor):
    kernel, padding = _each(kernel_size, n), _each(padding, n)
    stride = _each(stride, n) if stride not in (None, (), []) else kernel
    sizes = zip(x.shape[-n:], g.shape[-n:], kernel, stride, padding, strict=True)
    matrices = [_average(*size, counts_padding, divisor is None) for size in sizes]
    return {"input": _separable(g if divisor is None else g / divisor, matrices)}


@rule("nn.functional.avg_pool1d", modules="AvgPool1d", latex=MATRICES, also="avg_pool1d",
      saved="the shape of x", source="derived at avg_pool2d")  # fmt: skip
def avg_pool1d(g, y, input, kernel_size, stride=None, padding=0, ceil_mode=False,
               count_include_pad=True):  # fmt: skip
    return _avg_pool(1, g, input, kernel_size, stride, padding, count_include_pad, None)


@rule("nn.functional.avg_pool2d", modules="AvgPool2d", latex=MATRICES,
      saved="the shape of x")  # fmt: skip
def avg_pool2d(g, y, input, kernel_size, stride=None, padding=0, ceil_mode=False,
               count_include_pad=True, divisor_override=None):  # fmt: skip
    r"""
    The average over a window is an average of averages, one dimension after the other, even where
    padding or a window that hangs over the edge (`ceil_mode`) changes the divisors: they are
    products of one divisor for each dimension. So pooling multiplies each dimension by a matrix
    whose row $p$ is 1/divisor inside window $p$, and the gradient multiplies by its transpose.
    With `divisor_override` the matrices hold 1, and one number divides everything.
    """
    divisor = divisor_override
    return _avg_pool(2, g, input, kernel_size, stride, padding, count_include_pad, divisor)


@rule("nn.functional.avg_pool3d", modules="AvgPool3d", latex=MATRICES,
      saved="the shape of x", source="derived at avg_pool2d")  # fmt: skip
def avg_pool3d(g, y, input, kernel_size, stride=None, padding=0, ceil_mode=False,
               count_include_pad=True, divisor_override=None):  # fmt: skip
    divisor = divisor_override
    return _avg_pool(3, g, input, kernel_size, stride, padding, count_include_pad, divisor)


def _uneven(length: int, out: int) -> Tensor:
    """Row p: the average over entries floor(p n / P) to ceil((p + 1) n / P)."""
    p = torch.arange(out).unsqueeze(1)
    first, end = p * length // out, -(-(p + 1) * length // out)
    inside = (torch.arange(length) >= first) & (torch.arange(length) < end)
    return inside.double() / (end - first)


def _adaptive(n, g, x):
    sizes = zip(x.shape[-n:], g.shape[-n:], strict=True)
    return {"input": _separable(g, [_uneven(*size) for size in sizes])}


@rule("nn.functional.adaptive_avg_pool1d", modules="AdaptiveAvgPool1d", latex=MATRICES,
      also="adaptive_avg_pool1d", saved="the shape of x")  # fmt: skip
def adaptive_avg_pool1d(g, y, input, output_size):
    r"""
    Window $p$ of $P$ over $n$ entries goes from $\lfloor pn/P \rfloor$ to
    $\lceil (p+1)n/P \rceil$: windows may overlap, and differ in length by one. Otherwise as
    avg_pool.
    """
    return _adaptive(1, g, input)


@rule("nn.functional.adaptive_avg_pool2d", modules="AdaptiveAvgPool2d", latex=MATRICES,
      saved="the shape of x", source="derived at adaptive_avg_pool1d")  # fmt: skip
def adaptive_avg_pool2d(g, y, input, output_size):
    return _adaptive(2, g, input)


@rule("nn.functional.adaptive_avg_pool3d", modules="AdaptiveAvgPool3d", latex=MATRICES,
      saved="the shape of x", source="derived at adaptive_avg_pool1d")  # fmt: skip
def adaptive_avg_pool3d(g, y, input, output_size):
    return _adaptive(3, g, input)


def _interpolation(mode: str, length: int, out: int, scale: float | None, corners: bool) -> Tensor:
    """Row p: the weights of the entries that place p of the result is mixed from."""
    if mode == "area":
        return _uneven(length, out)
    step = length / out if scale is None else 1 / scale
    p = torch.arange(out, dtype=torch.float64)
    if mode in ("nearest", "nearest-exact"):
        at = ((p if mode == "nearest" else p + 0.5) * step).floor()
        return _weights(length, [(at, torch.ones(out))])
    between = (length - 1) / max(out - 1, 1)
    at = p * between if corners else (p + 0.5) * step - 0.5
    first, t = at.floor(), at - at.floor()
    if mode == "bicubic":
        return _weights(length, [(first + k, _cubic(t - k)) for k in (-1, 0, 1, 2)])
    return _weights(length, [(first, 1 - t), (first + 1, t)])


def _weights(length: int, terms: list[tuple[Tensor, Tensor]]) -> Tensor:
    """A matrix of those weights at those places; a place beyond the edge is the edge."""
    matrix = torch.zeros(len(terms[0][0]), length, dtype=torch.float64)
    for at, weight in terms:
        place = at.long().clamp(0, length - 1).unsqueeze(1)
        matrix.scatter_add_(1, place, weight.double().unsqueeze(1))
    return matrix


def _cubic(t: Tensor) -> Tensor:
    """Keys' cubic convolution kernel with a = -3/4."""
    a, t = -0.75, t.abs()
    near = (a + 2) * t**3 - (a + 3) * t**2 + 1
    far = a * (t**3 - 5 * t**2 + 8 * t - 4)
    return torch.where(t <= 1, near, far)


@rule(
    "nn.functional.interpolate.nearest",
    "nn.functional.interpolate.nearest-exact",
    "nn.functional.interpolate.linear",
    "nn.functional.interpolate.bilinear",
    "nn.functional.interpolate.trilinear",
    "nn.functional.interpolate.bicubic",
    "nn.functional.interpolate.area",
    name="interpolate",
    modules="Upsample",
    latex=MATRICES,
    saved="the shape of x",
    source="derived below; the bicubic kernel: Keys, Cubic convolution interpolation, 1981",
)
def interpolate(g, y, input, size=None, scale_factor=None, mode="nearest", align_corners=None,
                recompute_scale_factor=None, antialias=False):  # fmt: skip
    r"""
    Each of these modes mixes entries with weights that do not depend on them, one dimension after
    the other. By default, `nearest`, place $p$ of the result is entry $\lfloor p\,n/P \rfloor$ of
    $x$. In the linear and cubic modes it lies at $(p + \tfrac12)\,n/P - \tfrac12$, or at
    $p\,(n-1)/(P-1)$ with `align_corners`; its row holds the weights of the entries around it.
    A `scale_factor` that was given takes the place of $P/n$, unless it is recomputed.
    """
    if antialias:
        raise Declined("antialias=True: the rule has no filter")
    n = input.ndim - 2
    scales = [None] * n
    if scale_factor is not None and not recompute_scale_factor and mode != "area":
        scales = (
            _each(scale_factor, n)
            if isinstance(scale_factor, (tuple, list))
            else [scale_factor] * n
        )
    sizes = zip(input.shape[2:], g.shape[2:], scales, strict=True)
    matrices = [_interpolation(mode, *size, bool(align_corners)) for size in sizes]
    return {"input": _separable(g, matrices)}
