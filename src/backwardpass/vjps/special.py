"""Special functions, and arithmetic on the parts of a floating-point number.

The Bessel functions and the normal distribution's are differentiated by their own differential
equations, so that what enters the rule is again a function PyTorch computes well.
"""

import math

import torch

from backwardpass.vjps._registry import Declined, rule
from backwardpass.vjps._shared import onto
from backwardpass.vjps.arithmetic import div, pow_
from backwardpass.vjps.piecewise import remainder


@rule("i0", latex=r"\bar x = \bar y\,I_1(x)", saved="x", also="special.i0")
def i0(g, y, input):
    return {"input": g * torch.special.i1(input)}


@rule(
    "special.i0e",
    latex=r"y = e^{-|x|} I_0(x):\quad \bar x = \bar y\,\big(e^{-|x|} I_1(x) - "
    r"\mathrm{sgn}(x)\,y\big)",
    saved="x, y",
    kinks="0 at 0",
)
def i0e(g, y, input):
    return {"input": g * (torch.special.i1e(input) - input.sgn() * y)}


def _over(y, x):
    """y / x for an odd function with slope 1/2 at 0."""
    return torch.where(x.abs() <= torch.finfo(x.dtype).eps, 0.5, y / x)


@rule(
    "special.i1",
    once="at 0 the limit takes the place of the slope, and does not move",
    latex=r"\bar x = \bar y\,\big(I_0(x) - I_1(x)/x\big)",
    saved="x, y",
    kinks="1/2 at 0, the limit",
)
def i1(g, y, input):
    return {"input": g * (torch.special.i0(input) - _over(y, input))}


@rule(
    "special.i1e",
    once="at 0 the limit takes the place of the slope, and does not move",
    latex=r"\bar x = \bar y\,\big(e^{-|x|} I_0(x) - \mathrm{sgn}(x)\,y - y/x\big)",
    saved="x, y",
    kinks="1/2 at 0, the limit",
)
def i1e(g, y, input):
    return {"input": g * (torch.special.i0e(input) - input.sgn() * y - _over(y, input))}


@rule("special.ndtr", latex=r"\bar x = \bar y\,\frac{e^{-x^2/2}}{\sqrt{2\pi}}", saved="x")
def ndtr(g, y, input):
    return {"input": g * (-(input**2) / 2).exp() / math.sqrt(2 * math.pi)}


@rule(
    "special.ndtri",
    latex=r"\bar x = \bar y\,\sqrt{2\pi}\,e^{y^2/2}",
    saved="y",
    domain="0 < x < 1",
    kinks="∞ at 0 and 1",
)
def ndtri(g, y, input):
    return {"input": g * math.sqrt(2 * math.pi) * (y**2 / 2).exp()}


@rule(
    "special.log_ndtr",
    latex=r"\bar x = \bar y\,\sqrt{\tfrac{2}{\pi}}\,\big/\,\mathrm{erfcx}(-x/\sqrt2)",
    saved="x",
)
def log_ndtr(g, y, input):
    r"""
    The slope is $\varphi(x)/\Phi(x)$, of which both parts are 0 in the left tail. With
    $\Phi(x) = \tfrac12\,\mathrm{erfc}(-x/\sqrt2) = \tfrac12\,e^{-x^2/2}\,\mathrm{erfcx}(-x/\sqrt2)$
    the exponential cancels.
    """
    return {"input": g * math.sqrt(2 / math.pi) / torch.special.erfcx(-input / math.sqrt(2))}


@rule(
    "special.erfcx",
    latex=r"y = e^{x^2}\,\mathrm{erfc}(x):\quad \bar x = \bar y\,\big(2 x y - \tfrac{2}{\sqrt\pi}"
    r"\big)",
    saved="x, y",
    kinks="for large x the two terms cancel: about x² digits are lost, as in PyTorch",
)
def erfcx(g, y, input):
    return {"input": g * (2 * input * y - 2 / math.sqrt(math.pi))}


@rule(
    "special.entr",
    latex=r"\bar x = -\bar y\,(\log x + 1)",
    saved="x",
    domain="x > 0",
    kinks="∞ at 0, NaN below",
)
def entr(g, y, input):
    return {"input": -g * (input.log() + 1)}


@rule(
    "special.xlog1py",
    latex=r"\bar x = \bar y\,\log(1 + z), \qquad \bar z = \frac{\bar y\,x}{1 + z}",
    saved="x, z",
    kinks="x = 0 and z ≤ -1: 0",
)
def xlog1py(g, y, input, other):
    z = torch.as_tensor(other).to(g.dtype)
    logs = torch.where((input == 0) & (z <= -1), 0, g * z.log1p())
    return {"input": onto(logs, input), "other": onto(g * input / (1 + z), other)}


@rule(
    "polygamma.polygamma_n_0",
    "polygamma.polygamma_n_1",
    "polygamma.polygamma_n_2",
    "polygamma.polygamma_n_3",
    "polygamma.polygamma_n_4",
    "special.polygamma.special_polygamma_n_0",
    name="polygamma",
    latex=r"\bar x = \bar y\,\psi^{(n+1)}(x)",
    saved="x",
    domain="x not 0, -1, -2, …",
)
def polygamma(g, y, n, input):
    return {"input": g * torch.polygamma(n + 1, input)}


@rule(
    "mvlgamma.mvlgamma_p_1",
    "mvlgamma.mvlgamma_p_3",
    "mvlgamma.mvlgamma_p_5",
    name="mvlgamma",
    latex=r"\bar x = \bar y \sum_{j=0}^{p-1} \psi\big(x - \tfrac j2\big)",
    saved="x",
    domain="x > (p - 1)/2",
    also="special.multigammaln",
)
def mvlgamma(g, y, input, p):
    return {"input": g * sum((input - j / 2).digamma() for j in range(p))}


@rule(
    "copysign",
    latex=r"\bar x = \bar y\,\mathrm{sgn}(x)\,\mathrm{sgn}(y), \qquad \bar z = 0",
    saved="x, y",
    kinks="0 at x = 0; at ±∞ PyTorch divides y by x, which is NaN",
)
def copysign(g, y, input, other):
    ratio = torch.where(input == 0, 0, y / input)
    dz = torch.zeros_like(other) if isinstance(other, torch.Tensor) else None
    return {"input": onto(g * ratio, input), "other": dz}


@rule(
    "ldexp",
    latex=r"\bar x = 2^{z^*} \bar y, \qquad \bar z = \ln 2\;\bar y\,y^*",
    saved="x, z",
)
def ldexp(g, y, input, other):
    scale = torch.pow(2.0, torch.as_tensor(other).to(g.dtype)).conj()
    return {"input": onto(g * scale, input), "other": onto(math.log(2) * g * y.conj(), other)}


@rule(
    "frexp",
    latex=r"x = m\,2^e:\quad \bar x = 2^{-e}\,\bar m",
    saved="e",
    kinks="the exponent is a whole number and has no gradient; at a power of 2 m jumps",
)
def frexp(g, y, input):
    return {"input": g[0] * torch.exp2(-y[1].to(g[0].dtype))}


@rule(
    "float_power",
    latex=r"\text{pow, of arguments cast to double precision}",
    saved="x, p, y",
    kinks="as for pow; the gradients are cast back",
)
def float_power(g, y, input, exponent):
    wide = [v.to(y.dtype) if isinstance(v, torch.Tensor) else v for v in (input, exponent)]
    grads = pow_(g, y, *wide)
    return {
        "input": None if grads["input"] is None else onto(grads["input"], input),
        "exponent": None if grads["exponent"] is None else onto(grads["exponent"], exponent),
    }


@rule(
    "__rdiv__",
    latex=r"y = z / x:\quad \bar z = \bar y / x^*, \qquad \bar x = -\bar y\,(y/x)^*",
    saved="x, z",
    domain="x not 0",
    source="div, with its arguments exchanged",
)
def rdiv(g, y, input, other):
    top = other if isinstance(other, torch.Tensor) else torch.as_tensor(other, dtype=y.dtype)
    grads = div(g, y, top, input)
    return {"input": grads["other"], "other": grads["input"]}


@rule(
    "__rmod__",
    latex=r"y = z - x\,\lfloor z/x \rfloor:\quad \bar z = \bar y, \qquad "
    r"\bar x = -\bar y\,\lfloor z/x \rfloor",
    saved="x, z",
    source="remainder, with its arguments exchanged",
    kinks="at a whole quotient the function jumps",
)
def rmod(g, y, input, other):
    if not isinstance(other, torch.Tensor):
        raise Declined("a number on the left: PyTorch has no backward pass")
    grads = remainder(g, y, other, input)
    return {"input": grads["other"], "other": grads["input"]}
