"""Layers: dropout of every kind, embedding bags, segments, unpooling, older names of resampling."""

import math

import torch
from torch.nn import functional as F

from backwardpass.vjps._registry import Declined, rule
from backwardpass.vjps._shared import product_of_others
from backwardpass.vjps.pooling import LARGEST, MATRICES, _at_largest, _separable
from backwardpass.vjps.pooling import interpolate as _interpolate

KEPT = r"\bar x = \frac{[\text{kept}]\,\bar y}{1 - p}"


def _whole(g, y, p, training, inner):
    """Gradient where whole slices along ``inner`` were kept or dropped."""
    if not training:
        return {"input": g}
    kept = y != 0
    for d in inner:
        kept = kept.any(d, keepdim=True)
    scaled = torch.zeros_like(g) if p == 1 else g / (1 - p)
    return {"input": torch.where(kept, scaled, 0)}


ZEROS = "a channel of zeros looks dropped, and its gradient is lost"


@rule("nn.functional.dropout2d", modules="Dropout2d", latex=KEPT + r",\quad \text{whole channels}",
      saved="y, and so which channels were kept", kinks=ZEROS)  # fmt: skip
def dropout2d(g, y, input, p=0.5, training=True, inplace=False):
    return _whole(g, y, p, training, range(2, y.ndim))


@rule("nn.functional.dropout3d", modules="Dropout3d", latex=KEPT + r",\quad \text{whole channels}",
      saved="y, and so which channels were kept", kinks=ZEROS)  # fmt: skip
def dropout3d(g, y, input, p=0.5, training=True, inplace=False):
    return _whole(g, y, p, training, range(y.ndim - 3, y.ndim))


def _saturation(p):
    """Scale a of a kept entry, shift b of all, and where a dropped one lies."""
    floor = 1.7580993408473766  # -λα of selu, to which dropped entries go
    a = 1 / math.sqrt((floor**2 * p + 1) * (1 - p)) if p < 1 else 0.0
    return a, floor * a * p, floor * a * p - floor * a


ALPHA = r"y = a\,(m\,x - (1 - m)\,s) + b:\quad \bar x = a\,[\text{kept}]\,\bar y"


@rule(
    "nn.functional.alpha_dropout",
    "nn.functional.feature_alpha_dropout.with_train",
    "nn.functional.feature_alpha_dropout.without_train",
    name="alpha_dropout",
    also="nn.functional.feature_alpha_dropout",
    modules="AlphaDropout FeatureAlphaDropout",
    latex=ALPHA,
    saved="y, and so which entries were kept",
    kinks="an entry at -s looks dropped; a and b keep mean and variance, s is -λα of selu",
)
def alpha_dropout(g, y, input, p=0.5, training=False, inplace=False):
    if not training or p == 0:
        return {"input": g}
    a, b, dropped = _saturation(p)
    kept = (y - (a * input + b)).abs() < (y - dropped).abs()
    return {"input": torch.where(kept, a * g, 0)}


@rule(
    "nn.functional.rrelu",
    modules="RReLU",
    latex=r"\bar x = \bar y\ (x > 0), \qquad r\,\bar y\ (x \le 0), \qquad "
    r"r = y / x,\ \text{or the mean of the bounds}",
    saved="the slopes; the rule finds them as y / x",
    kinks="0 at x = 0 in training, where y does not tell the slope",
)
def rrelu(g, y, input, lower=1 / 8, upper=1 / 3, training=False, inplace=False):
    slope = torch.where(input == 0, 0, y / input) if training else (lower + upper) / 2
    return {"input": torch.where(input > 0, g, g * slope)}


@rule(
    "nn.functional.adaptive_max_pool3d",
    modules="AdaptiveMaxPool3d",
    latex=LARGEST,
    saved="the indices",
    kinks="of ties in a window the first gets all",
)
def adaptive_max_pool3d(g, y, input, output_size, return_indices=False):
    return _at_largest(F.adaptive_max_pool3d, 3, g, y, input, output_size)


def _at_random(n, g, y, x):
    """The cotangents to the entries that were picked in random regions."""
    if isinstance(y, (tuple, list)):
        return _at_largest(None, n, g, y, x)
    flat, found = x.flatten(-n), y.flatten(-n)
    same = flat.unsqueeze(-1) == found.unsqueeze(-2)
    if bool((same.sum(-2) != 1).any()):
        raise Declined("ties: regions are random, and the result does not tell which entry it is")
    dx = torch.where(same, g.flatten(-n).unsqueeze(-2), 0).sum(-1)
    return {"input": dx.reshape(x.shape)}


@rule("nn.functional.fractional_max_pool2d", modules="FractionalMaxPool2d", latex=LARGEST,
      saved="the indices; the rule finds the entry by its value",
      domain="no ties, or return_indices=True")  # fmt: skip
def fractional_max_pool2d(g, y, input, kernel_size, output_size=None, output_ratio=None,
                          return_indices=False, _random_samples=None):  # fmt: skip
    return _at_random(2, g, y, input)


@rule("nn.functional.fractional_max_pool3d", modules="FractionalMaxPool3d", latex=LARGEST,
      saved="the indices; the rule finds the entry by its value",
      domain="no ties, or return_indices=True")  # fmt: skip
def fractional_max_pool3d(g, y, input, kernel_size, output_size=None, output_ratio=None,
                          return_indices=False, _random_samples=None):  # fmt: skip
    return _at_random(3, g, y, input)


@rule(
    "nn.functional.max_unpool1d",
    "nn.functional.max_unpool1d.grad",
    "nn.functional.max_unpool2d",
    "nn.functional.max_unpool2d.grad",
    "nn.functional.max_unpool3d",
    "nn.functional.max_unpool3d.grad",
    name="max_unpool",
    modules="MaxUnpool1d MaxUnpool2d MaxUnpool3d",
    latex=r"\bar x = \mathrm{gather}(\bar y, k)",
    saved="k",
    kinks="an index that is given twice: one value is kept, and both get its cotangent",
)
def max_unpool(g, y, input, indices, kernel_size, stride=None, padding=0, output_size=None):
    ready = g.flatten(-_unpooled(g, kernel_size, input))
    picked = ready.gather(-1, indices.flatten(-_unpooled(g, kernel_size, input)))
    return {"input": picked.reshape(input.shape)}


def _unpooled(g, kernel_size, x):
    """How many dimensions are pooled: all but batch and channel, or the channel alone."""
    if isinstance(kernel_size, (tuple, list)):
        return len(kernel_size)
    grown = [d for d in range(g.ndim) if g.shape[d] != x.shape[d]]
    return g.ndim - min([2, *grown]) if g.ndim > 3 or not grown else g.ndim - min(grown)


@rule(
    "nn.functional.upsample_nearest",
    latex=MATRICES,
    saved="the shape of x",
    source="interpolate",
)
def upsample_nearest(g, y, input, size=None, scale_factor=None):
    return _interpolate(g, y, input, size, scale_factor, "nearest")


@rule(
    "nn.functional.upsample_bilinear",
    latex=MATRICES,
    saved="the shape of x",
    source="interpolate, with align_corners=True",
)
def upsample_bilinear(g, y, input, size=None, scale_factor=None):
    return _interpolate(g, y, input, size, scale_factor, "bilinear", True)


@rule(
    "_upsample_bilinear2d_aa",
    latex=MATRICES,
    saved="the shape of x",
    source="the matrices are what the function makes of the unit vectors",
)
def upsample_bilinear_aa(g, y, input, output_size, align_corners, *scales, scale_factors=None,
                         scales_h=None, scales_w=None):  # fmt: skip
    r"""
    Linear in $x$, one dimension after the other, with a filter that widens where the image
    shrinks. A matrix of a linear map is its values on the unit vectors: the function itself
    resamples the rows of an identity matrix.
    """
    given = list(scales) or [scales_h, scales_w]
    if scale_factors is not None or (len(given) == 1):
        given = list(scale_factors if scale_factors is not None else given[0] or (None, None))
    matrices = []
    for n, out, scale in zip(input.shape[2:], g.shape[2:], given, strict=True):
        unit = torch.eye(n, dtype=g.dtype)[None, None]
        resampled = torch.ops.aten._upsample_bilinear2d_aa(
            unit, [out, n], align_corners, scale, 1.0
        )
        matrices.append(resampled[0, 0])
    return {"input": _separable(g, matrices)}


def _bags(index, offsets, last):
    """To which bag each index belongs, and the number of bags."""
    if index.ndim == 2:
        return torch.arange(len(index)).repeat_interleave(index.shape[1]), len(index)
    starts = offsets[:-1] if last else offsets
    return torch.bucketize(torch.arange(len(index)), starts, right=True) - 1, len(starts)


@rule(
    "nn.functional.embedding_bag",
    modules="EmbeddingBag",
    latex=r"\bar W_k = \sum_{i\,:\,k_i = k} s_i\,\bar y_{b(i)}, \qquad "
    r"\bar s_i = \langle W_{k_i}, \bar y_{b(i)} \rangle, \qquad s = 1,\ 1/n_b\ \text{or given}",
    saved="k, the bags, s",
    kinks="max: of ties in a bag the first; padding_idx is in no bag; scale_grad_by_freq divides "
    "a row by how often it is read, which is not the derivative",
)
def embedding_bag(g, y, input, weight, offsets=None, max_norm=None, norm_type=2.0,
                  scale_grad_by_freq=False, mode="mean", sparse=False, per_sample_weights=None,
                  include_last_offset=False, padding_idx=None):  # fmt: skip
    index = input.reshape(-1)
    bag, number = _bags(input, offsets, include_last_offset)
    rows = weight[index]
    if max_norm is not None:
        rows = rows * (max_norm / rows.norm(norm_type, 1, keepdim=True).clamp_min(1e-7)).clamp_max(
            1
        )
    kept = torch.ones_like(index, dtype=torch.bool)
    if padding_idx is not None:
        kept = index != padding_idx % len(weight)
    sent = g[bag]
    if mode == "max":
        sent = _first_of(rows, y, bag, kept, number) * sent
    elif mode == "mean":
        sizes = torch.zeros(number, dtype=g.dtype).index_add(0, bag, kept.to(g.dtype))
        sent = sent / sizes[bag].unsqueeze(1)
    own = None
    if per_sample_weights is not None:
        own = torch.where(kept, (rows * sent).sum(1), 0).reshape(per_sample_weights.shape)
        sent = sent * per_sample_weights.reshape(-1, 1)
    sent = torch.where(kept.unsqueeze(1), sent, 0)
    if scale_grad_by_freq:
        sent = sent / index.bincount(minlength=len(weight))[index].unsqueeze(1)
    dW = torch.zeros_like(weight).index_add(0, index, sent)
    return {"weight": dW, "per_sample_weights": own}


def _first_of(rows, y, bag, kept, number):
    """1 at the first entry of each bag, column by column, that is the largest."""
    found = torch.zeros_like(rows)
    for b in range(number):
        own = torch.nonzero((bag == b) & kept).reshape(-1)
        if len(own):
            first = (rows[own] == y[b]).to(rows.dtype).argmax(0)
            found[own[first], torch.arange(rows.shape[1])] = 1
    return found


def _segments(data, lengths, offsets, axis):
    if lengths is None:
        lengths = offsets.diff(dim=-1)
    rows = data.flatten(0, axis - 1) if axis else data.unsqueeze(0)
    for row, sizes in zip(rows, lengths.reshape(-1, lengths.shape[-1]), strict=True):
        yield row, sizes.tolist()


@rule(
    "_segment_reduce.lengths",
    "_segment_reduce.offsets",
    name="segment_reduce",
    latex=r"\bar x_i = \bar y_s\,\partial_i r(x_i \in s), \qquad "
    r"r = \text{sum, mean, max, min or prod}",
    saved="x, y, the lengths",
    kinks="ties share equally; an initial value that is the largest takes a share away from none: "
    "entries below it get 0",
)
def segment_reduce(g, y, data, reduce, *, lengths=None, indices=None, offsets=None, axis=0,
                   unsafe=False, initial=None):  # fmt: skip
    r"""
    Consecutive pieces of $x$ are reduced, each for itself, with the slopes of the reduction: 1,
    $1/n$, the share of a tie, the product of the others and of the initial value.
    """
    dx = torch.zeros_like(data)
    outs = dx.flatten(0, axis - 1) if axis else dx.unsqueeze(0)
    gs = g.flatten(0, axis - 1) if axis else g.unsqueeze(0)
    ys = y.flatten(0, axis - 1) if axis else y.unsqueeze(0)
    pieces = _segments(data, lengths, offsets, axis)
    for (row, sizes), out, g_row, y_row in zip(pieces, outs, gs, ys, strict=True):
        start = 0
        for s, size in enumerate(sizes):
            x = row[start : start + size]
            if size:
                out[start : start + size] = g_row[s] * _slope(x, y_row[s], reduce, initial)
            start += size
    return {"data": dx}


def _slope(x, y, reduce, initial):
    if reduce in ("max", "min"):
        ties = (x == y).to(x.dtype)
        return ties / ties.sum(0).clamp_min(1)
    if reduce == "prod":
        return product_of_others(x, 0) * (1 if initial is None else initial)
    return torch.full_like(x, 1 / len(x) if reduce == "mean" else 1)
