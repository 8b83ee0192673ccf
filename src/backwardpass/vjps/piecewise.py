"""Functions with a kink: which slope PyTorch takes there is a convention, told in each row."""

import torch

from backwardpass.vjps._registry import rule
from backwardpass.vjps._shared import onto


@rule(
    "abs",
    latex=r"\bar x = \mathrm{Re}(\bar y)\,\mathrm{sgn}(x)",
    saved="x",
    kinks="0 at 0, between the slopes -1 and 1; for complex x the result is real",
)
def abs_(g, y, input):
    return {"input": g * input.sgn()}


@rule(
    "sgn",
    latex=r"\bar x = \frac{\bar y - \mathrm{Re}(\bar y\,y^*)\,y}{|x|}\ \text{(complex)},"
    r"\qquad \bar x = 0\ \text{(real)}",
    saved="x, y",
    kinks="0 at 0",
)
def sgn(g, y, input):
    r"""
    For complex $x$, $y = x/|x|$ moves only along the circle: a step $dx$ changes $y$ by its part at
    right angles to $y$, divided by $|x|$. With the real scalar product
    $\langle a, b\rangle = \mathrm{Re}(a^* b)$ the projection
    $P\,dx = dx - \langle y, dx\rangle\,y$ is symmetric, so the pullback is $P\bar y / |x|$.
    """
    if not input.is_complex():
        return {"input": torch.zeros_like(g)}
    across = (g - (g * y.conj()).real * y) / input.abs()
    return {"input": torch.where(input == 0, 0, across)}


@rule("sign", latex=r"\bar x = 0", saved="nothing", kinks="0 at 0 too, where the function jumps")
def sign(g, y, input):
    return {"input": torch.zeros_like(g)}


@rule(
    "floor",
    "ceil",
    "trunc",
    "round",
    "round.decimals_0",
    "round.decimals_3",
    "round.decimals_neg_3",
    latex=r"\bar x = 0",
    saved="nothing",
    kinks="0 at the jumps too",
    name="floor, ceil, trunc, round",
)
def floor(g, y, input, *, decimals=0):
    return {"input": torch.zeros_like(g)}


@rule(
    "frac",
    latex=r"\bar x = \bar y",
    saved="nothing",
    kinks="1 at the jumps too",
)
def frac(g, y, input):
    return {"input": g}


@rule(
    "maximum",
    "max.binary",
    latex=r"\bar x = \bar y \odot \big([x > z] + \tfrac12 [x = z]\big), \qquad "
    r"\bar z = \bar y - \bar x",
    saved="x, z",
    kinks="a tie is shared, ½ each; where one is NaN both get all of it, and the row's rule for "
    "z, the rest, does not hold",
)
def maximum(g, y, input, other):
    share = torch.where(input == other, g / 2, g)
    return {
        "input": onto(torch.where(input < other, 0, share), input),
        "other": onto(torch.where(other < input, 0, share), other),
    }


@rule(
    "minimum",
    "min.binary",
    latex=r"\bar x = \bar y \odot \big([x < z] + \tfrac12 [x = z]\big), \qquad "
    r"\bar z = \bar y - \bar x",
    saved="x, z",
    kinks="as for maximum",
)
def minimum(g, y, input, other):
    share = torch.where(input == other, g / 2, g)
    return {
        "input": onto(torch.where(input > other, 0, share), input),
        "other": onto(torch.where(other > input, 0, share), other),
    }


@rule(
    "fmax",
    latex=r"\bar x = \bar y \odot [x \ge z\ \text{or}\ z\ \text{is NaN}], \qquad "
    r"\bar z = \bar y - \bar x",
    saved="x, z",
    kinks="a tie goes to the first argument, all of it",
)
def fmax(g, y, input, other):
    first = (input >= other) | other.isnan()
    return {
        "input": onto(torch.where(first, g, 0), input),
        "other": onto(torch.where(first, 0, g), other),
    }


@rule(
    "fmin",
    latex=r"\bar x = \bar y \odot [x \le z\ \text{or}\ z\ \text{is NaN}], \qquad "
    r"\bar z = \bar y - \bar x",
    saved="x, z",
    kinks="a tie goes to the first argument, all of it",
)
def fmin(g, y, input, other):
    first = (input <= other) | other.isnan()
    return {
        "input": onto(torch.where(first, g, 0), input),
        "other": onto(torch.where(first, 0, g), other),
    }


@rule(
    "fmod",
    latex=r"\bar x = \bar y, \qquad \bar z = -\bar y \odot \mathrm{trunc}(x/z)",
    saved="x, z",
    domain="z not 0",
    kinks="at the jumps the formula is used as it stands",
)
def fmod(g, y, input, other):
    quotient = torch.div(input, other, rounding_mode="trunc")
    return {"input": onto(g, input), "other": onto(-g * quotient, other)}


@rule(
    "remainder",
    latex=r"\bar x = \bar y, \qquad \bar z = -\bar y \odot \lfloor x/z \rfloor",
    saved="x, z",
    domain="z not 0",
    kinks="at the jumps the formula is used as it stands",
)
def remainder(g, y, input, other):
    quotient = torch.div(input, other, rounding_mode="floor")
    return {"input": onto(g, input), "other": onto(-g * quotient, other)}


@rule(
    "clamp",
    latex=r"\bar x = \bar y\,[\ell \le x \le u], \qquad \bar\ell = \bar y\,[x < \ell < u], "
    r"\qquad \bar u = \bar y\,[u < x\ \text{or}\ u < \ell]",
    saved="x, ℓ, u",
    kinks="a bound counts as inside: slope 1, where relu6 and hardtanh, the same function, have 0",
)
def clamp(g, y, input, min=None, max=None):
    low = -torch.inf if min is None else min
    high = torch.inf if max is None else max
    below = (input < low) & (low < high)
    above = (input > high) | (low > high)
    return {
        "input": onto(torch.where((input >= low) & (input <= high), g, 0), input),
        "min": onto(torch.where(below, g, 0), min),
        "max": onto(torch.where(above, g, 0), max),
    }


@rule(
    "clamp_min",
    latex=r"\bar x = \bar y\,[x \ge \ell], \qquad \bar\ell = \bar y\,[x < \ell]",
    saved="x, ℓ",
    kinks="at the bound all of it goes to x",
)
def clamp_min(g, y, input, min):
    return {
        "input": onto(torch.where(input >= min, g, 0), input),
        "min": onto(torch.where(input < min, g, 0), min),
    }


@rule(
    "clamp_max",
    latex=r"\bar x = \bar y\,[x \le u], \qquad \bar u = \bar y\,[x > u]",
    saved="x, u",
    kinks="at the bound all of it goes to x",
)
def clamp_max(g, y, input, max):
    return {
        "input": onto(torch.where(input <= max, g, 0), input),
        "max": onto(torch.where(input > max, g, 0), max),
    }


@rule(
    "where",
    latex=r"\bar x = [c]\,\bar y, \qquad \bar z = [\neg c]\,\bar y",
    saved="c",
    kinks="exactly 0 on the branch not taken; a NaN slope further back makes NaN of it again",
)
def where(g, y, condition, input, other):
    return {
        "input": onto(torch.where(condition, g, 0), input),
        "other": onto(torch.where(condition, 0, g), other),
    }


@rule(
    "masked_fill",
    latex=r"\bar x = [\neg m]\,\bar y, \qquad \bar v = \textstyle\sum_{m} \bar y",
    saved="m",
)
def masked_fill(g, y, input, mask, value):
    return {
        "input": onto(torch.where(mask, 0, g), input),
        "value": onto(torch.where(mask, g, 0), value),
    }


@rule(
    "nan_to_num",
    latex=r"\bar x = \bar y\,[x\ \text{finite}]",
    saved="x",
    kinks="0 where a value was replaced",
)
def nan_to_num(g, y, input, nan=None, posinf=None, neginf=None):
    return {"input": torch.where(input.isfinite(), g, 0)}
