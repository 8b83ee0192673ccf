"""Functions of one number, entry by entry: each is one line, its derivative times the cotangent.

Where the function is holomorphic its derivative enters conjugated.
"""

import math

import torch

from backwardpass.vjps._registry import rule


@rule("exp", latex=r"\bar x = \bar y \odot y^*", saved="y")
def exp(g, y, input):
    return {"input": g * y.conj()}


@rule("exp2", latex=r"\bar x = \ln 2\;\bar y \odot y^*", saved="y")
def exp2(g, y, input):
    return {"input": math.log(2) * g * y.conj()}


@rule("expm1", latex=r"\bar x = \bar y \odot (y + 1)^*", saved="y")
def expm1(g, y, input):
    return {"input": g * (y + 1).conj()}


@rule("log", latex=r"\bar x = \bar y / x^*", saved="x", domain="x > 0, or complex and not 0")
def log(g, y, input):
    return {"input": g / input.conj()}


@rule("log1p", latex=r"\bar x = \bar y / (1 + x)^*", saved="x", domain="x > -1")
def log1p(g, y, input):
    return {"input": g / (1 + input).conj()}


@rule("log2", latex=r"\bar x = \bar y / (x^* \ln 2)", saved="x", domain="x > 0")
def log2(g, y, input):
    return {"input": g / (input.conj() * math.log(2))}


@rule("log10", latex=r"\bar x = \bar y / (x^* \ln 10)", saved="x", domain="x > 0")
def log10(g, y, input):
    return {"input": g / (input.conj() * math.log(10))}


@rule(
    "sqrt",
    latex=r"\bar x = \bar y / (2 y)^*",
    saved="y",
    domain="x > 0",
    kinks="∞ at 0, which PyTorch returns as it is",
)
def sqrt(g, y, input):
    return {"input": g / (2 * y).conj()}


@rule("rsqrt", latex=r"\bar x = -\tfrac12 \bar y \odot (y^3)^*", saved="y", domain="x > 0")
def rsqrt(g, y, input):
    return {"input": -0.5 * g * (y**3).conj()}


@rule("sin", latex=r"\bar x = \bar y \odot \cos x^*", saved="x")
def sin(g, y, input):
    return {"input": g * input.cos().conj()}


@rule("cos", latex=r"\bar x = -\bar y \odot \sin x^*", saved="x")
def cos(g, y, input):
    return {"input": -g * input.sin().conj()}


@rule("tan", latex=r"\bar x = \bar y \odot (1 + y^2)^*", saved="y")
def tan(g, y, input):
    return {"input": g * (1 + y**2).conj()}


@rule(
    "asin",
    latex=r"\bar x = \bar y / (\sqrt{1-x^2})^*",
    saved="x",
    domain="|x| < 1",
    kinks="∞ at ±1",
)
def asin(g, y, input):
    return {"input": g * (1 - input**2).rsqrt().conj()}


@rule(
    "acos",
    latex=r"\bar x = -\bar y / (\sqrt{1-x^2})^*",
    saved="x",
    domain="|x| < 1",
    kinks="-∞ at ±1",
)
def acos(g, y, input):
    return {"input": -g * (1 - input**2).rsqrt().conj()}


@rule("atan", latex=r"\bar x = \bar y / (1 + x^2)^*", saved="x")
def atan(g, y, input):
    return {"input": g / (1 + input**2).conj()}


@rule("sinh", latex=r"\bar x = \bar y \odot \cosh x^*", saved="x")
def sinh(g, y, input):
    return {"input": g * input.cosh().conj()}


@rule("cosh", latex=r"\bar x = \bar y \odot \sinh x^*", saved="x")
def cosh(g, y, input):
    return {"input": g * input.sinh().conj()}


@rule("tanh", latex=r"\bar x = \bar y \odot (1 - y^2)^*", saved="y", modules="Tanh")
def tanh(g, y, input):
    return {"input": g * (1 - y**2).conj()}


@rule("asinh", latex=r"\bar x = \bar y / (\sqrt{1+x^2})^*", saved="x")
def asinh(g, y, input):
    return {"input": g * (1 + input**2).rsqrt().conj()}


@rule("acosh", latex=r"\bar x = \bar y / (\sqrt{x^2-1})^*", saved="x", domain="x > 1")
def acosh(g, y, input):
    return {"input": g * ((input - 1).rsqrt() * (input + 1).rsqrt()).conj()}


@rule("atanh", latex=r"\bar x = \bar y / (1 - x^2)^*", saved="x", domain="|x| < 1")
def atanh(g, y, input):
    return {"input": g / (1 - input**2).conj()}


@rule(
    "sigmoid",
    latex=r"\bar x = \bar y \odot \big(y (1 - y)\big)^*",
    saved="y",
    modules="Sigmoid",
)
def sigmoid(g, y, input):
    return {"input": g * (y * (1 - y)).conj()}


@rule(
    "logit",
    latex=r"\bar x = \frac{\bar y}{x (1 - x)}\ \text{inside}\ [\varepsilon, 1-\varepsilon]",
    saved="x",
    domain="0 < x < 1",
    kinks="0 where eps has moved x; without eps NaN outside [0, 1]; the bounds count as inside",
)
def logit(g, y, input, eps=None):
    low, outside = (0, torch.nan) if eps is None else (eps, 0)
    inside = (input >= low) & (input <= 1 - low)
    return {"input": torch.where(inside, g / (input * (1 - input)), outside)}


@rule("erf", latex=r"\bar x = \tfrac{2}{\sqrt\pi}\,\bar y\,e^{-x^2}", saved="x")
def erf(g, y, input):
    return {"input": 2 / math.sqrt(math.pi) * g * (-(input**2)).exp()}


@rule("erfc", latex=r"\bar x = -\tfrac{2}{\sqrt\pi}\,\bar y\,e^{-x^2}", saved="x")
def erfc(g, y, input):
    return {"input": -2 / math.sqrt(math.pi) * g * (-(input**2)).exp()}


@rule("erfinv", latex=r"\bar x = \tfrac{\sqrt\pi}{2}\,\bar y\,e^{y^2}", saved="y", domain="|x| < 1")
def erfinv(g, y, input):
    return {"input": math.sqrt(math.pi) / 2 * g * (y**2).exp()}


@rule("lgamma", latex=r"\bar x = \bar y\,\psi(x)", saved="x", domain="x not 0, -1, -2, …")
def lgamma(g, y, input):
    return {"input": g * input.digamma()}


@rule("digamma", latex=r"\bar x = \bar y\,\psi'(x)", saved="x", domain="x not 0, -1, -2, …")
def digamma(g, y, input):
    return {"input": g * torch.polygamma(1, input)}


@rule(
    "sinc",
    latex=r"\bar x = \bar y \Big(\frac{\cos \pi x}{x} - \frac{\sin \pi x}{\pi x^2}\Big)^*",
    saved="x",
    kinks="0 at 0, the limit",
)
def sinc(g, y, input):
    x = math.pi * input
    slope = (x * x.cos() - x.sin()) / (x * input)
    return {"input": torch.where(input == 0, 0, g * slope.conj())}


@rule("deg2rad", latex=r"\bar x = \tfrac{\pi}{180}\,\bar y", saved="nothing")
def deg2rad(g, y, input):
    return {"input": g * (math.pi / 180)}


@rule("rad2deg", latex=r"\bar x = \tfrac{180}{\pi}\,\bar y", saved="nothing")
def rad2deg(g, y, input):
    return {"input": g * (180 / math.pi)}
