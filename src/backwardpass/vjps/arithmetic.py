"""Sums, products, quotients and powers, with broadcasting."""

import torch

from backwardpass.vjps._registry import rule
from backwardpass.vjps._shared import conj, onto


@rule("add", "__radd__", latex=r"\bar x = \bar y, \qquad \bar z = \alpha^* \bar y", saved="nothing")
def add(g, y, input, other, *, alpha=1):
    return {"input": onto(g, input), "other": onto(conj(alpha) * g, other)}


@rule("sub", latex=r"\bar x = \bar y, \qquad \bar z = -\alpha^* \bar y", saved="nothing")
def sub(g, y, input, other, *, alpha=1):
    return {"input": onto(g, input), "other": onto(-conj(alpha) * g, other)}


@rule(
    "rsub", "__rsub__", latex=r"\bar x = -\alpha^* \bar y, \qquad \bar z = \bar y", saved="nothing"
)
def rsub(g, y, input, other, *, alpha=1):
    return {"input": onto(-conj(alpha) * g, input), "other": onto(g, other)}


@rule(
    "mul",
    "__rmul__",
    latex=r"\bar x = \bar y \odot z^*, \qquad \bar z = \bar y \odot x^*",
    saved="x, z",
)
def mul(g, y, input, other):
    return {"input": onto(g * conj(other), input), "other": onto(g * conj(input), other)}


@rule(
    "div.no_rounding_mode",
    "true_divide",
    "div.trunc_rounding",
    "div.floor_rounding",
    name="div",
    latex=r"\bar x = \bar y / z^*, \qquad \bar z = -\bar y \odot (y/z)^*",
    saved="y, z",
    domain="z not 0",
    kinks="with a rounding mode the result is piecewise constant: 0, also where it jumps",
)
def div(g, y, input, other, *, rounding_mode=None):
    if rounding_mode is not None:
        zero = torch.zeros_like(g)
        return {"input": onto(zero, input), "other": onto(zero, other)}
    return {"input": onto(g / conj(other), input), "other": onto(-g * conj(y / other), other)}


@rule(
    "pow",
    "__rpow__",
    latex=r"\bar x = \bar y \odot (p\,x^{p-1})^*, \qquad \bar p = \bar y \odot (y \log x)^*",
    saved="x, p, y",
    domain="for the exponent, x > 0 where x is real",
    kinks="at p = 0 the gradient of x is 0, also at x = 0, where the formula is 0 · ∞; "
    "at x = 0 and p ≥ 0 the gradient of p is 0",
)
def pow_(g, y, input, exponent):
    x, p = (torch.as_tensor(v).to(g.dtype) for v in (input, exponent))
    less = (p if isinstance(exponent, torch.Tensor) else exponent) - 1
    dx = torch.where(p == 0, 0, g * (p * x**less).conj())
    still = (x == 0) & (p.real >= 0) & p.isreal()
    dp = torch.where(still, 0, g * (y * x.log()).conj())
    return {"input": onto(dx, input), "exponent": onto(dp, exponent)}


@rule("reciprocal", latex=r"\bar x = -\bar y \odot (y^2)^*", saved="y", domain="x not 0")
def reciprocal(g, y, input):
    return {"input": -g * (y * y).conj()}


@rule("square", latex=r"\bar x = 2\,\bar y \odot x^*", saved="x")
def square(g, y, input):
    return {"input": 2 * g * input.conj()}


@rule("neg", latex=r"\bar x = -\bar y", saved="nothing")
def neg(g, y, input):
    return {"input": -g}


@rule("positive", latex=r"\bar x = \bar y", saved="nothing")
def positive(g, y, input):
    return {"input": g}


@rule(
    "lerp",
    latex=r"y = x + w(z - x):\quad \bar x = (1-w)^*\bar y, \quad \bar z = w^*\bar y, \quad "
    r"\bar w = \bar y \odot (z-x)^*",
    saved="x, z, w",
)
def lerp(g, y, input, end, weight):
    return {
        "input": onto(g * conj(1 - weight), input),
        "end": onto(g * conj(weight), end),
        "weight": onto(g * conj(end - input), weight),
    }


@rule(
    "addcmul",
    latex=r"y = x + v\,a b:\quad \bar x = \bar y, \quad \bar a = v^*\bar y \odot b^*, \quad "
    r"\bar b = v^*\bar y \odot a^*",
    saved="a, b",
)
def addcmul(g, y, input, tensor1, tensor2, *, value=1):
    return {
        "input": onto(g, input),
        "tensor1": onto(g * conj(value * tensor2), tensor1),
        "tensor2": onto(g * conj(value * tensor1), tensor2),
    }


@rule(
    "addcdiv",
    latex=r"y = x + v\,a/b:\quad \bar x = \bar y, \quad \bar a = v^*\bar y / b^*, \quad "
    r"\bar b = -v^*\bar y \odot (a/b^2)^*",
    saved="a, b",
    domain="b not 0",
)
def addcdiv(g, y, input, tensor1, tensor2, *, value=1):
    return {
        "input": onto(g, input),
        "tensor1": onto(g * conj(value / tensor2), tensor1),
        "tensor2": onto(-g * conj(value * tensor1 / tensor2**2), tensor2),
    }


@rule(
    "xlogy",
    latex=r"\bar x = \bar y \odot \log z, \qquad \bar z = \bar y \odot x / z",
    saved="x, z",
    domain="z > 0",
    kinks="x = 0 and z ≤ 0: the gradient of x is 0; x = z = 0: that of z is NaN, from 0/0",
)
def xlogy(g, y, input, other):
    x, z = (torch.as_tensor(v).to(g.dtype) for v in (input, other))
    dx = torch.where((x == 0) & (z <= 0), 0, g * z.log())
    return {"input": onto(dx, input), "other": onto(g * x / z, other)}


@rule(
    "atan2",
    latex=r"\bar a = \bar y\,\frac{b}{a^2+b^2}, \qquad \bar b = -\bar y\,\frac{a}{a^2+b^2}",
    saved="a, b",
    domain="not both 0",
    kinks="at the origin both gradients are 0",
)
def atan2(g, y, input, other):
    scale = g / (input**2 + other**2)
    scale = torch.where((input == 0) & (other == 0), 0, scale)
    return {"input": onto(scale * other, input), "other": onto(-scale * input, other)}


@rule(
    "hypot",
    latex=r"\bar a = \bar y\,a/y, \qquad \bar b = \bar y\,b/y",
    saved="a, b, y",
    domain="not both 0",
    kinks="at the origin both gradients are NaN, from 0/0; the norm of the same two numbers has 0",
)
def hypot(g, y, input, other):
    return {"input": onto(g * (input / y), input), "other": onto(g * (other / y), other)}


@rule(
    "logaddexp",
    latex=r"\bar x = \frac{\bar y}{(1 + e^{z-x})^*}, \qquad "
    r"\bar z = \frac{\bar y}{(1 + e^{x-z})^*}",
    saved="x, z",
    kinks="x = z = ±∞ gives NaN, from ∞ - ∞",
)
def logaddexp(g, y, input, other):
    return {
        "input": onto(g / (1 + (other - input).exp()).conj(), input),
        "other": onto(g / (1 + (input - other).exp()).conj(), other),
    }


@rule(
    "logaddexp2",
    latex=r"\bar x = \frac{\bar y}{1 + 2^{z-x}}, \qquad \bar z = \frac{\bar y}{1 + 2^{x-z}}",
    saved="x, z",
    kinks="x = z = ±∞ gives NaN, from ∞ - ∞",
)
def logaddexp2(g, y, input, other):
    return {
        "input": onto(g / (1 + (other - input).exp2()), input),
        "other": onto(g / (1 + (input - other).exp2()), other),
    }
