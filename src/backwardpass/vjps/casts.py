"""Casts, copies and constants: what a number costs in memory changes, its derivative does not."""

import torch

from backwardpass.vjps._registry import rule
from backwardpass.vjps._shared import onto

CAST = r"\bar x = \bar y\ \text{in the dtype of } x"


def _cast(g, x):
    """The cotangent in the dtype of x: of complex numbers that came of real ones, the real part."""
    if g.is_complex() and not x.is_complex():
        g = g.real
    return {"input": g.to(x.dtype)}


@rule("clone", "contiguous", "alias_copy", name="clone", latex=r"\bar x = \bar y", saved="nothing")
def clone(g, y, input, *, memory_format=torch.preserve_format):
    return {"input": g}


@rule(
    "to",
    latex=CAST,
    saved="the dtype of x",
    kinks="to whole numbers the result has no gradient; NaN and rounding are passed over: a number "
    "that became ∞ in the smaller dtype has slope 1",
)
def to(g, y, input, *args, **kwargs):
    r"""
    A cast is the identity up to rounding, and PyTorch differentiates it as the identity. The
    cotangent arrives in the dtype of the result and leaves in that of the argument: a gradient that
    came through half precision has been rounded to it, and a cotangent that is larger than 65504
    is ∞ there.
    """
    return _cast(g, input)


@rule(
    "double",
    "float",
    "half",
    "bfloat16",
    "cdouble",
    "cfloat",
    "chalf",
    name="double, float, half, bfloat16",
    latex=CAST,
    saved="the dtype of x",
    kinks="real to complex: the gradient is the real part; rounding is passed over",
)
def double(g, y, input, memory_format=torch.preserve_format):
    return _cast(g, input)


@rule(
    "fill",
    latex=r"\bar x = 0, \qquad \bar v = \textstyle\sum \bar y",
    saved="nothing",
)
def fill(g, y, input, value):
    return {"input": torch.zeros_like(g), "value": onto(g, value)}


@rule("zero_", latex=r"\bar x = 0", saved="nothing")
def zero_(g, y, input):
    return {"input": torch.zeros_like(g)}


@rule(
    "bernoulli",
    latex=r"\bar x = 0",
    saved="nothing",
    kinks="a draw is attached to the graph and sends zeros: not the derivative of its mean",
)
def bernoulli(g, y, input, p=None, *, generator=None):
    return {"input": torch.zeros_like(g), "p": torch.zeros_like(p) if _is_tensor(p) else None}


@rule(
    "normal",
    "normal.number_mean",
    latex=r"\bar\mu = 0, \qquad \bar\sigma = 0",
    saved="nothing",
    kinks="attached, and sends zeros; with μ + σ ε written out the gradients are ȳ and ȳ ε, which "
    "torch.distributions.Normal.rsample does",
)
def normal(g, y, mean, std=1.0, size=None, *, generator=None, **options):
    zeros = {"mean": mean, "std": std}
    return {name: torch.zeros_like(v) if _is_tensor(v) else None for name, v in zeros.items()}


def _is_tensor(value):
    return isinstance(value, torch.Tensor)


@rule(
    "nextafter",
    latex=r"\bar x = \bar y\,[x \ne z], \qquad \bar z = 0",
    saved="where x = z",
    kinks="0 at x = z, where the result is z",
)
def nextafter(g, y, input, other):
    moved = torch.where(input != other, g, 0)
    return {"input": onto(moved, input), "other": torch.zeros_like(other)}


@rule(
    "sum_to_size",
    latex=r"\bar x = \bar y\ \text{repeated to the shape of } x",
    saved="the shape of x",
)
def sum_to_size(g, y, input, *size):
    return {"input": g.expand(input.shape)}


@rule("T", "mT", name="T, mT", latex=r"\bar X = \bar Y^{\top}", saved="nothing")
def matrix_t(g, y, input):
    return {"input": g.mT if g.ndim > 1 else g}


@rule("H", "mH", name="H, mH", latex=r"\bar X = \bar Y^{\mathsf H}", saved="nothing")
def matrix_h(g, y, input):
    return {"input": g.mH if g.ndim > 1 else g}
