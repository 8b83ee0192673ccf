"""Normalisation: one rule for the centred ones, applied to other dimensions each time."""

import torch
from torch.nn import functional as F

from backwardpass.vjps._registry import rule
from backwardpass.vjps._shared import onto, wide


def _normalised(g, x, dims, eps):
    """``(gradient of x, x̂)`` for x̂ = (x - mean) / sqrt(variance + eps) and its cotangent g.

    x̂ moves by r (dx - mean dx - x̂ mean(x̂ dx)): a symmetric projection, times r.
    """
    g, x = wide(g), wide(x)
    centred = x - x.mean(dims, keepdim=True)
    r = (centred.square().mean(dims, keepdim=True) + eps).rsqrt()
    normal = centred * r
    along = (g * normal).mean(dims, keepdim=True)
    return r * (g - g.mean(dims, keepdim=True) - normal * along), normal


CENTRED = (
    r"\bar x = r\,\Big(\hat g - \overline{\hat g} - \hat x\;\overline{\hat g \odot \hat x}\Big), "
    r"\quad \hat g = \bar y \odot \gamma"
)
PARAMETERS = (
    r"\qquad \bar\gamma = \textstyle\sum \bar y \odot \hat x, \quad \bar\beta = \sum \bar y"
)


@rule(
    "nn.functional.layer_norm",
    also="layer_norm",
    modules="LayerNorm",
    latex=CENTRED + ", " + PARAMETERS,
    saved="x, γ; PyTorch also mean and r",
    kinks="one entry a row: exactly 0, where PyTorch returns rounding noise",
)
def layer_norm(g, y, input, normalized_shape, weight=None, bias=None, eps=1e-05):
    r"""
    Let $\hat x = r\,(x - \mu)$ with $r = (v + \epsilon)^{-1/2}$; an overline is a mean over the
    normalised dimensions. $dv = \overline{2 (x - \mu)\,dx}$ and
    $dr = -\tfrac12 r^3 dv = -r^2\,\overline{\hat x\,dx}$, so
    $d\hat x = r\,\big(dx - \overline{dx} - \hat x\,\overline{\hat x\,dx}\big)$. Each of the three
    terms is a symmetric map of $dx$: the pullback of $\hat g$ is the same expression of $\hat g$.
    """
    dims = tuple(range(-len(normalized_shape), 0))
    dx, normal = _normalised(g if weight is None else g * weight, input, dims, eps)
    return {
        "input": onto(dx, input),
        "weight": onto(g * normal, weight),
        "bias": onto(g, bias),
    }


@rule(
    "nn.functional.rms_norm",
    also="rms_norm",
    modules="RMSNorm",
    latex=r"\bar x = r\,\Big(\hat g - \hat x\;\overline{\hat g \odot \hat x}\Big), \quad "
    r"\hat g = \bar y \odot \gamma, \qquad \bar\gamma = \textstyle\sum \bar y \odot \hat x",
    saved="x, γ; PyTorch also r",
    kinks="eps=None means the machine epsilon, in half precision that of float32; complex x is "
    "squared, not |x|²",
)
def rms_norm(g, y, input, normalized_shape, weight=None, eps=None):
    r"""
    As in layer norm, without the mean: $\hat x = r x$, $r = (\overline{x^2} + \epsilon)^{-1/2}$,
    $dr = -r^3\,\overline{x\,dx}$. Nothing else depends on $x$, so one term falls away. For complex
    numbers every factor is conjugated.
    """
    dims = tuple(range(-len(normalized_shape), 0))
    double = input.dtype in (torch.float64, torch.complex128)
    eps = torch.finfo(torch.float64 if double else torch.float32).eps if eps is None else eps
    x, g = wide(input), wide(g)
    r = (x.square().mean(dims, keepdim=True) + eps).rsqrt().conj()
    normal = x.conj() * r
    scaled = g if weight is None else g * weight.conj()
    dx = r * (scaled - normal * (scaled * normal).mean(dims, keepdim=True))
    return {"input": onto(dx, input), "weight": onto(g * normal, weight)}


def _channels(v, x):
    """A value for each channel, against ``x`` of shape (N, C, ...)."""
    shape = [1] * x.ndim
    shape[min(1, x.ndim - 1)] = -1
    return v.reshape(shape)


def _over_channels(g, normal, weight, bias):
    """Gradients of scale and shift, which have a value for each channel."""
    others = [d for d in range(g.ndim) if d != 1]
    return {
        "weight": None if weight is None else onto((g * normal).sum(others), weight),
        "bias": None if bias is None else onto(g.sum(others), bias),
    }


@rule(
    "nn.functional.group_norm",
    modules="GroupNorm",
    latex=CENTRED + r"\quad\text{over the channels of a group and all positions}",
    saved="x, γ; PyTorch also mean and r",
)
def group_norm(g, y, input, num_groups, weight=None, bias=None, eps=1e-05):
    scaled = g if weight is None else g * _channels(weight, g)
    grouped = (t.unflatten(1, (num_groups, -1)).flatten(2) for t in (scaled, input))
    dx, normal = (t.reshape(input.shape) for t in _normalised(*grouped, -1, eps))
    return {"input": onto(dx, input), **_over_channels(g, normal, weight, bias)}


@rule(
    "nn.functional.instance_norm",
    modules="InstanceNorm1d InstanceNorm2d InstanceNorm3d",
    latex=CENTRED + r"\quad\text{over the positions of a channel}",
    saved="x, γ; PyTorch also mean and r",
    kinks="with use_input_stats=False as batch norm that is not training",
)
def instance_norm(g, y, input, running_mean=None, running_var=None, weight=None, bias=None,
                  use_input_stats=True, momentum=0.1, eps=1e-05):  # fmt: skip
    scaled = g if weight is None else g * _channels(weight, g)
    if use_input_stats:
        dx, normal = _normalised(scaled, input, tuple(range(2, input.ndim)), eps)
    else:
        dx, normal = _with_statistics(scaled, input, running_mean, running_var, eps)
    return {"input": onto(dx, input), **_over_channels(g, normal, weight, bias)}


def _with_statistics(g, x, mean, variance, eps):
    """As ``_normalised``, for statistics that do not depend on x."""
    r = (_channels(variance, x) + eps).rsqrt()
    return g * r, (x - _channels(mean, x)) * r


@rule(
    "nn.functional.batch_norm",
    modules="BatchNorm1d BatchNorm2d BatchNorm3d",
    latex=CENTRED + r"\ \text{over batch and positions;} \qquad "
    r"\text{not training: } \bar x = r\,\hat g",
    saved="x, γ; PyTorch also mean and r, or the running statistics",
    kinks="the running statistics change during the forward pass and get no gradient",
)
def batch_norm(g, y, input, running_mean, running_var, weight=None, bias=None, training=False,
               momentum=0.1, eps=1e-05):  # fmt: skip
    scaled = g if weight is None else g * _channels(weight, g)
    if training:
        dims = tuple(d for d in range(input.ndim) if d != 1)
        dx, normal = _normalised(scaled, input, dims, eps)
    else:
        dx, normal = _with_statistics(scaled, input, running_mean, running_var, eps)
    return {"input": onto(dx, input), **_over_channels(g, normal, weight, bias)}


@rule(
    "nn.functional.local_response_norm",
    modules="LocalResponseNorm",
    latex=r"y = x\,d^{-\beta},\ d = k + \alpha\,\overline{x^2}:\quad \bar x = \bar y\,d^{-\beta} - "
    r"2\alpha\beta\,x\;\overline{\bar y\,x\,d^{-\beta-1}}",
    saved="x",
)
def local_response_norm(g, y, input, size, alpha=1e-4, beta=0.75, k=1.0):
    r"""
    The mean is over a window of `size` channels, zeros beyond the edge. $d_c$ depends on the
    channels of its window, so channel $c$ is reached from the windows that hold it: the same mean,
    mirrored, which matters where `size` is even.
    """
    d = k + alpha * _window_mean(input.square(), size, size // 2)
    inner = g * input * d ** (-beta - 1)
    reached = _window_mean(inner, size, (size - 1) // 2)
    return {"input": g * d**-beta - 2 * alpha * beta * input * reached}


def _window_mean(x, size, before):
    """Mean over channels c - before, ..., of which there are ``size``; zeros beyond the edge."""
    last = F.pad(x.transpose(1, -1), (before, size - 1 - before))
    return last.unfold(-1, size, 1).mean(-1).transpose(1, -1)
