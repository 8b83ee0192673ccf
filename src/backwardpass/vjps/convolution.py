"""Convolution, for any number of dimensions: a sum of products, one a place in the kernel."""

from collections.abc import Iterator
from itertools import product

import torch
from torch import Tensor
from torch.nn import functional as F

from backwardpass.vjps._registry import rule
from backwardpass.vjps._shared import onto


def _each(value, n: int) -> tuple[int, ...]:
    """An option of a convolution for each of ``n`` dimensions."""
    return (value,) * n if isinstance(value, int) else tuple(value) * (n // len(tuple(value)))


def _windows(kernel, stride, dilation, places) -> Iterator[tuple[tuple, tuple]]:
    """Each place k in the kernel, and what it meets: entries k·dilation + p·stride for all p."""
    for k in product(*map(range, kernel)):
        window = (
            slice(i * d, i * d + (n - 1) * s + 1, s)
            for i, d, s, n in zip(k, dilation, stride, places, strict=True)
        )
        yield k, (..., *window)


def _by_group(t: Tensor, groups: int, dim: int) -> Tensor:
    """A dimension of channels as groups and channels of a group."""
    return t.unflatten(dim, (groups, t.shape[dim] // groups))


def _margins(padding, kernel, dilation) -> list[tuple[int, int]]:
    """Zeros before and after, for each dimension."""
    if padding == "same":
        total = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        return [(t // 2, t - t // 2) for t in total]
    return [(p, p) for p in _each(0 if padding == "valid" else padding, len(kernel))]


def _padded(x: Tensor, margins, sign: int = 1) -> Tensor:
    """``x`` with those margins of zeros, or without them again."""
    return F.pad(x, [sign * m for pair in reversed(margins) for m in pair])


@rule(
    "nn.functional.conv1d",
    "nn.functional.conv2d",
    "nn.functional.conv3d",
    name="conv1d, conv2d, conv3d",
    also="conv1d",
    modules="Conv1d Conv2d Conv3d",
    latex=r"y_{o,p} = \sum_{c,k} W_{o,c,k}\,x_{c,\,sp + dk}:\quad "
    r"\bar x_{c,i} = \sum_{o}\ \sum_{k,p\,:\,sp + dk = i} W^*_{o,c,k}\,\bar y_{o,p}, \quad "
    r"\bar W_{o,c,k} = \sum_{n,p} \bar y_{o,p}\,x^*_{c,\,sp+dk}",
    saved="x, W",
)
def conv(g, y, input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    r"""
    For one place $k$ in the kernel the convolution is a product of the matrix $W_{\cdot\cdot k}$
    with the entries of the padded $x$ that $k$ meets, one every $s$, from $dk$ on. So both
    gradients are those of a product, place by place: $\bar W_{\cdot\cdot k}$ is $\bar y$ times
    the entries met, and $W_{\cdot\cdot k}^{\mathsf H} \bar y$ is added where they stand. Entries
    that no window reaches keep 0; the padding's own gradient is cut off.
    """
    (*kernel,) = weight.shape[2:]
    n = len(kernel)
    stride, dilation = _each(stride, n), _each(dilation, n)
    x, g = (input, g) if input.ndim == n + 2 else (input.unsqueeze(0), g.unsqueeze(0))
    margins = _margins(padding, kernel, dilation)
    x = _by_group(_padded(x, margins), groups, 1)
    cotangent, W = _by_group(g, groups, 1), _by_group(weight, groups, 0)
    dx, dW = torch.zeros_like(x), torch.empty_like(W)
    for k, window in _windows(kernel, stride, dilation, g.shape[2:]):
        dW[(..., *k)] = torch.einsum("bgo...,bgc...->goc", cotangent, x[window].conj())
        dx[window] += torch.einsum("goc,bgo...->bgc...", W[(..., *k)].conj(), cotangent)
    return {
        "input": _padded(dx, margins, -1).reshape(input.shape),
        "weight": dW.flatten(0, 1),
        "bias": onto(g.transpose(0, 1).flatten(1).sum(1), bias),
    }


@rule(
    "nn.functional.conv_transpose1d",
    "nn.functional.conv_transpose2d",
    "nn.functional.conv_transpose3d",
    name="conv_transpose1d, 2d, 3d",
    also="conv_transpose1d",
    modules="ConvTranspose1d ConvTranspose2d ConvTranspose3d",
    latex=r"y_{o,\,sp+dk} \mathrel{+}= W_{c,o,k}\,x_{c,p}:\quad "
    r"\bar x_{c,p} = \sum_{o,k} W^*_{c,o,k}\,\bar y_{o,\,sp+dk}, \quad "
    r"\bar W_{c,o,k} = \sum_{n,p} x^*_{c,p}\,\bar y_{o,\,sp+dk}",
    saved="x, W",
)
def conv_transpose(g, y, input, weight, bias=None, stride=1, padding=0, output_padding=0,
                   groups=1, dilation=1):  # fmt: skip
    r"""
    The forward pass writes where a convolution reads, so its backward pass reads: place by place,
    $\bar x$ is $W_{\cdot\cdot k}^*$ times the entries of $\bar y$ that $k$ wrote. What the padding
    cut off is put back as zeros; the rows that `output_padding` adds got nothing from $x$, only the
    bias.
    """
    (*kernel,) = weight.shape[2:]
    n = len(kernel)
    stride, dilation, padding = _each(stride, n), _each(dilation, n), _each(padding, n)
    batched = input.ndim == n + 2
    x, g = (input, g) if batched else (input.unsqueeze(0), g.unsqueeze(0))
    margins = [(p, p) for p in padding]
    whole = _by_group(_padded(g, margins), groups, 1)
    source, W = _by_group(x, groups, 1), _by_group(weight, groups, 0)
    dx, dW = torch.zeros_like(source), torch.empty_like(W)
    for k, window in _windows(kernel, stride, dilation, x.shape[2:]):
        dW[(..., *k)] = torch.einsum("bgc...,bgo...->gco", source.conj(), whole[window])
        dx += torch.einsum("gco,bgo...->bgc...", W[(..., *k)].conj(), whole[window])
    return {
        "input": dx.reshape(input.shape),
        "weight": dW.flatten(0, 1),
        "bias": onto(g.transpose(0, 1).flatten(1).sum(1), bias),
    }
