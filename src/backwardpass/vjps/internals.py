"""Operators that other functions are made of: what a graph's nodes are named after."""

import torch

from backwardpass.vjps._chain import chained
from backwardpass.vjps._registry import rule
from backwardpass.vjps.losses import softmax as _softmax
from backwardpass.vjps.normalisation import batch_norm as _batch_norm
from backwardpass.vjps.normalisation import layer_norm as _layer_norm


@rule(
    "native_layer_norm",
    latex=r"\text{as layer\_norm}",
    saved="x, γ, mean and r",
    source="layer_norm, whose result is the first of three",
    kinks="mean and r, the other two, carry no gradient",
)
def native_layer_norm(g, y, input, normalized_shape, weight, bias, eps):
    return _layer_norm(g[0], y[0], input, normalized_shape, weight, bias, eps)


@rule(
    "native_group_norm",
    latex=r"\text{as group\_norm; mean and}\ r = (v + \epsilon)^{-1/2}\ \text{have gradients too}",
    saved="x, γ, mean and r",
    source="sums, products and rsqrt",
)
def native_group_norm(g, y, input, weight, bias, N, C, HxW, group, eps):
    shape = [1, C] + [1] * (input.ndim - 2)

    def normed(input, weight=None, bias=None):
        rows = input.reshape(N, group, C * HxW // group)
        mean = rows.mean(-1, keepdim=True)
        centred = rows - mean
        r = ((centred * centred).mean(-1, keepdim=True) + eps).rsqrt()
        found = (centred * r).reshape(input.shape)
        found = found if weight is None else found * weight.reshape(shape)
        found = found if bias is None else found + bias.reshape(shape)
        return found, mean.reshape(N, group), r.reshape(N, group)

    given = {"input": input, "weight": weight, "bias": bias}
    return chained(tuple(g), normed, **{k: v for k, v in given.items() if v is not None})


@rule(
    "native_batch_norm",
    latex=r"\text{as batch\_norm}",
    saved="x, γ, mean and r",
    source="batch_norm, whose result is the first of three",
    kinks="mean and r, the other two, carry no gradient",
)
def native_batch_norm(g, y, input, weight, bias, running_mean, running_var, training, momentum,
                      eps):  # fmt: skip
    return _batch_norm(
        g[0], y[0], input, running_mean, running_var, weight, bias, training, momentum, eps
    )


@rule(
    "_native_batch_norm_legit",
    latex=r"\text{as batch\_norm, with or without running statistics}",
    saved="x, γ, mean and r",
    source="batch_norm, whose result is the first of three",
)
def native_batch_norm_legit(g, y, input, weight, bias, *rest):
    mean, variance = (None, None) if len(rest) == 3 else rest[:2]
    training, momentum, eps = rest[-3:]
    return _batch_norm(g[0], y[0], input, mean, variance, weight, bias, training, momentum, eps)


@rule(
    "_batch_norm_with_update",
    latex=r"\text{as batch\_norm, training}",
    saved="x, γ, mean and r",
    source="batch_norm, whose result is the first of four",
)
def batch_norm_with_update(g, y, input, weight, bias, running_mean, running_var, momentum, eps):
    return _batch_norm(
        g[0], y[0], input, running_mean, running_var, weight, bias, True, momentum, eps
    )


@rule(
    "torch.ops.aten._safe_softmax.default",
    name="_safe_softmax",
    latex=r"\text{as softmax}",
    saved="y",
    kinks="a row of -∞ has the result 0, and the gradient 0",
    source="softmax",
)
def safe_softmax(g, y, input, dim, dtype=None):
    return _softmax(g, y, input, dim, dtype)


@rule(
    "_softmax_backward_data",
    latex=r"b = p \odot (g - \textstyle\sum g\,p):\quad \bar g = p \odot (\bar b - "
    r"\textstyle\sum \bar b\,p), \quad \bar p = \bar b\,(g - \textstyle\sum g\,p) - "
    r"g \textstyle\sum \bar b\,p",
    saved="g, p",
    source="derived below",
)
def softmax_backward_data(g, y, grad_output, output, dim, input_dtype):
    r"""
    The rule of softmax, differentiated: it is linear in $g$, with the symmetric matrix
    $\mathrm{diag}(p) - p p^{\top}$, and quadratic in $p$.
    """
    sent = (g * output).sum(dim, keepdim=True)
    first = grad_output - (grad_output * output).sum(dim, keepdim=True)
    return {"grad_output": output * (g - sent), "output": g * first - grad_output * sent}


@rule(
    "native_dropout_backward",
    latex=r"b = s\,[m]\,g:\quad \bar g = s\,[m]\,\bar b",
    saved="m",
)
def native_dropout_backward(g, y, grad_output, mask, scale):
    return {"grad_output": torch.where(mask, scale * g, 0)}


@rule(
    "max_pool2d_with_indices_backward",
    latex=r"b = \text{scatter of } g \text{ to } k:\quad \bar g = \mathrm{gather}(\bar b, k), "
    r"\qquad \bar x = 0",
    saved="k",
    source="the rule of max_pool2d is linear in the cotangent, and moves by jumps with x",
)
def max_pool2d_backward(g, y, grad_output, input, kernel_size, stride, padding, dilation, ceil_mode,
                        indices):  # fmt: skip
    picked = g.flatten(-2).gather(-1, indices.flatten(-2))
    return {"grad_output": picked.reshape(indices.shape), "input": torch.zeros_like(input)}
