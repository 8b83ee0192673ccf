"""Activations: functions of one number with a name in torch.nn.functional."""

import math

import torch

from backwardpass.vjps._registry import rule
from backwardpass.vjps._shared import onto

# PyTorch takes several entries at a time, and those that are left over one by one.
PLACED = (
    "at NaN the rule passes ȳ on, and PyTorch does so or not by the entry's place in the tensor"
)


@rule(
    "nn.functional.relu",
    also="relu",
    modules="ReLU",
    latex=r"\bar x = \bar y\,[x > 0]",
    saved="x",
    kinks="0 at 0",
)
def relu(g, y, input, inplace=False):
    return {"input": torch.where(input <= 0, 0, g)}


@rule(
    "nn.functional.relu6",
    modules="ReLU6",
    latex=r"\bar x = \bar y\,[0 < x < 6]",
    saved="x",
    kinks="0 at 0 and at 6; clamp(x, 0, 6), the same function, has 1; " + PLACED,
)
def relu6(g, y, input, inplace=False):
    return {"input": torch.where((input <= 0) | (input >= 6), 0, g)}


@rule(
    "nn.functional.hardtanh",
    modules="Hardtanh",
    latex=r"\bar x = \bar y\,[\ell < x < u]",
    saved="x",
    kinks="0 at both bounds; " + PLACED,
)
def hardtanh(g, y, input, min_val=-1.0, max_val=1.0, inplace=False):
    return {"input": torch.where((input <= min_val) | (input >= max_val), 0, g)}


@rule(
    "nn.functional.hardsigmoid",
    modules="Hardsigmoid",
    latex=r"\bar x = \tfrac16 \bar y\,[-3 < x < 3]",
    saved="x",
    kinks="0 at both bounds",
)
def hardsigmoid(g, y, input, inplace=False):
    return {"input": torch.where((input > -3) & (input < 3), g / 6, 0)}


@rule(
    "nn.functional.hardswish",
    modules="Hardswish",
    latex=r"\bar x = \bar y\;\{0\ (x \le -3);\ \tfrac{2x+3}{6}\ (\text{between});\ 1\ (x \ge 3)\}",
    saved="x",
    kinks="0 at -3 and 1 at 3: the slopes outside; " + PLACED,
)
def hardswish(g, y, input, inplace=False):
    between = torch.where(input < 3, g * (2 * input + 3) / 6, g)
    return {"input": torch.where(input <= -3, 0, between)}


@rule(
    "nn.functional.leaky_relu",
    modules="LeakyReLU",
    latex=r"\bar x = \bar y\,\{1\ (x > 0);\ a\ (x \le 0)\}",
    saved="x",
    kinks="a at 0",
)
def leaky_relu(g, y, input, negative_slope=0.01, inplace=False):
    return {"input": torch.where(input > 0, g, negative_slope * g)}


@rule(
    "nn.functional.prelu",
    also="prelu",
    modules="PReLU",
    latex=r"\bar x = \bar y\,\{1\ (x > 0);\ w_c\ (x \le 0)\}, \qquad "
    r"\bar w_c = \textstyle\sum \bar y\,\min(x, 0)",
    saved="x, w",
    kinks="w at 0",
)
def prelu(g, y, input, weight):
    w = weight.reshape([-1 if d == 1 else 1 for d in range(input.ndim)])
    dw = onto(torch.where(input > 0, 0, g * input), w)
    return {"input": torch.where(input > 0, g, w * g), "weight": dw.reshape(weight.shape)}


@rule(
    "nn.functional.elu",
    modules="ELU",
    latex=r"\bar x = \bar y\,\{1\ (x > 0);\ \alpha e^{x}\ (x \le 0)\}",
    saved="x",
    kinks="α at 0; with α = 1 there is no kink; " + PLACED,
)
def elu(g, y, input, alpha=1.0, inplace=False):
    return {"input": torch.where(input <= 0, g * alpha * input.exp(), g)}


@rule(
    "nn.functional.celu",
    modules="CELU",
    latex=r"\bar x = \bar y\,\{1\ (x > 0);\ e^{x/\alpha}\ (x \le 0)\}",
    saved="x",
    kinks=PLACED,
)
def celu(g, y, input, alpha=1.0, inplace=False):
    return {"input": torch.where(input <= 0, g * (input / alpha).exp(), g)}


@rule(
    "nn.functional.selu",
    modules="SELU",
    latex=r"\bar x = \lambda \bar y\,\{1\ (x > 0);\ \alpha e^{x}\ (x \le 0)\}",
    saved="x",
    kinks="λα at 0; " + PLACED,
    source="the constants α and λ: Klambauer and others, Self-Normalizing Neural Networks, 2017",
)
def selu(g, y, input, inplace=False):
    scale, alpha = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717
    return {"input": scale * torch.where(input <= 0, g * alpha * input.exp(), g)}


@rule(
    "nn.functional.gelu",
    modules="GELU",
    latex=r"\bar x = \bar y\,\big(\Phi(x) + x\,\varphi(x)\big)",
    saved="x",
)
def gelu(g, y, input, *, approximate="none"):
    r"""
    $y = x\,\Phi(x)$ with the normal distribution $\Phi$ and its density $\varphi$: the product
    rule. With `approximate="tanh"` $\Phi$ is replaced by $\tfrac12(1 + \tanh u)$,
    $u = \sqrt{2/\pi}\,(x + 0.044715\,x^3)$, whose derivative
    $\tfrac12 (1 - \tanh^2 u)\,u'$ takes the place of $\varphi$.
    """
    if approximate == "tanh":
        tanh = (math.sqrt(2 / math.pi) * (input + 0.044715 * input**3)).tanh()
        cumulative = 0.5 * (1 + tanh)
        inner = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * input**2)
        density = 0.5 * (1 - tanh**2) * inner
    else:
        cumulative = 0.5 * (1 + (input / math.sqrt(2)).erf())
        density = (-(input**2) / 2).exp() / math.sqrt(2 * math.pi)
    return {"input": g * (cumulative + input * density)}


@rule(
    "nn.functional.silu",
    modules="SiLU",
    latex=r"\bar x = \bar y\,\big(\sigma + x\,\sigma(1 - \sigma)\big), \quad \sigma = \sigma(x)",
    saved="x",
)
def silu(g, y, input, inplace=False):
    s = input.sigmoid()
    return {"input": g * (s + input * s * (1 - s))}


@rule(
    "nn.functional.mish",
    modules="Mish",
    latex=r"\bar x = \bar y\,\big(t + x\,(1 - t^2)\,\sigma(x)\big), \quad t = \tanh \log(1 + e^x)",
    saved="x",
)
def mish(g, y, input, inplace=False):
    t = torch.logaddexp(input, torch.zeros_like(input)).tanh()
    return {"input": g * (t + input * (1 - t**2) * input.sigmoid())}


@rule(
    "nn.functional.softplus",
    modules="Softplus",
    latex=r"\bar x = \bar y\,\{\sigma(\beta x)\ (\beta x \le \tau);\ 1\ (\beta x > \tau)\}",
    saved="x",
    kinks="the function and its slope jump a little at the threshold τ, where the first case holds",
)
def softplus(g, y, input, beta=1, threshold=20):
    return {"input": torch.where(beta * input > threshold, g, g * (beta * input).sigmoid())}


@rule(
    "nn.functional.logsigmoid",
    modules="LogSigmoid",
    latex=r"\bar x = \bar y\,\sigma(-x)",
    saved="x",
)
def logsigmoid(g, y, input):
    return {"input": g * (-input).sigmoid()}


@rule(
    "nn.functional.softsign",
    modules="Softsign",
    latex=r"\bar x = \frac{\bar y}{(1 + |x|)^2}\ \text{(real)}, \qquad "
    r"\bar x = \frac{\bar y}{1 + |x|} - \frac{\mathrm{Re}(\bar y^* x)\,\mathrm{sgn}\,x}"
    r"{(1 + |x|)^2}\ \text{(complex)}",
    saved="x",
)
def softsign(g, y, input):
    r"""
    $y = x/s$ with $s = 1 + |x|$, so $dy = dx/s - x\,ds/s^2$ with
    $ds = \mathrm{Re}(\mathrm{sgn}(x)^* dx)$. The first term pulls $\bar y$ back to $\bar y/s$; the
    second gives $s$ the real number $-\mathrm{Re}(\bar y^* x)/s^2$, which goes on to $x$ along
    $\mathrm{sgn}(x)$. For real $x$ the two terms add up to the short form.
    """
    s = 1 + input.abs()
    return {"input": g / s - (g.conj() * input).real * input.sgn() / s**2}


@rule(
    "nn.functional.tanhshrink",
    modules="Tanhshrink",
    latex=r"\bar x = \bar y \odot (\tanh^2 x)^*",
    saved="x",
)
def tanhshrink(g, y, input):
    return {"input": g * (input.tanh() ** 2).conj()}


@rule(
    "nn.functional.softshrink",
    modules="Softshrink",
    latex=r"\bar x = \bar y\,[|x| > \lambda]",
    saved="x",
    kinks="0 at ±λ; " + PLACED,
)
def softshrink(g, y, input, lambd=0.5):
    return {"input": torch.where(input.abs() <= lambd, 0, g)}


@rule(
    "nn.functional.hardshrink",
    modules="Hardshrink",
    latex=r"\bar x = \bar y\,[|x| > \lambda]",
    saved="x",
    kinks="0 at ±λ, where the function jumps; " + PLACED,
)
def hardshrink(g, y, input, lambd=0.5):
    return {"input": torch.where(input.abs() <= lambd, 0, g)}


@rule(
    "nn.functional.threshold",
    also="threshold",
    modules="Threshold",
    latex=r"\bar x = \bar y\,[x > \tau]",
    saved="x",
    kinks="0 at the threshold",
)
def threshold(g, y, input, threshold, value, inplace=False):
    return {"input": torch.where(input <= threshold, 0, g)}


@rule(
    "nn.functional.glu",
    modules="GLU",
    latex=r"x = (a, b):\quad \bar a = \bar y\,\sigma(b), \qquad "
    r"\bar b = \bar y\,a\,\sigma(b)(1 - \sigma(b))",
    saved="x",
)
def glu(g, y, input, dim=-1):
    a, b = input.chunk(2, dim)
    s = b.sigmoid()
    return {"input": torch.cat([g * s, g * a * s * (1 - s)], dim)}


@rule(
    "nn.functional.dropout",
    modules="Dropout",
    latex=r"\bar x = \frac{\bar y \odot m}{1 - p}, \qquad m = [y \ne 0]",
    saved="y, and so which entries were kept",
    kinks="an entry that is 0 looks dropped: its own gradient is lost, which PyTorch, saving the "
    "mask, does not lose",
)
def dropout(g, y, input, p=0.5, training=True, inplace=False):
    if not training:
        return {"input": g}
    return {"input": torch.where(y == 0, 0, g / (1 - p))}
