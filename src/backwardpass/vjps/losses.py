"""Softmax, and the losses: each ends in a mean or a sum, whose cotangent comes first."""

import torch
from torch.nn import functional as F

from backwardpass.vjps._registry import rule
from backwardpass.vjps._shared import axes, onto


@rule(
    "softmax",
    "softmax.with_dtype",
    also="nn.functional.softmax special.softmax",
    modules="Softmax",
    latex=r"\bar x = y \odot \big(\bar y - \textstyle\sum_i \bar y_i y_i\big)",
    saved="y",
)
def softmax(g, y, input, dim, dtype=None):
    r"""
    $\log y = x - \log\sum e^x$, so $dy_i = y_i\,(dx_i - \sum_j y_j dx_j)$: the Jacobian is
    $\mathrm{diag}(y) - y y^{\top}$. It is symmetric, and times $\bar y$ it is the rule.
    """
    return {"input": onto(y * (g - (g * y).sum(dim, keepdim=True)), input)}


@rule(
    "nn.functional.softmin",
    "nn.functional.softmin.with_dtype",
    modules="Softmin",
    latex=r"\bar x = -y \odot \big(\bar y - \textstyle\sum_i \bar y_i y_i\big)",
    saved="y",
)
def softmin(g, y, input, dim=None, _stacklevel=3, dtype=None):
    return {"input": onto(-y * (g - (g * y).sum(dim, keepdim=True)), input)}


@rule(
    "log_softmax",
    "log_softmax.with_dtype",
    also="nn.functional.log_softmax special.log_softmax",
    modules="LogSoftmax",
    latex=r"\bar x = \bar y - e^{y} \textstyle\sum_i \bar y_i",
    saved="y",
)
def log_softmax(g, y, input, dim, dtype=None):
    r"""
    $y = x - \log\sum e^x$, so $dy_i = dx_i - \sum_j e^{y_j} dx_j$.
    """
    return {"input": onto(g - y.exp() * g.sum(dim, keepdim=True), input)}


def _reduction(reduction, size_average, reduce):
    """The reduction, where the two deprecated arguments may say another."""
    if size_average is None and reduce is None:
        return reduction
    if reduce is False:
        return "none"
    return "sum" if size_average is False else "mean"


def _each(g, reduction, number):
    """The cotangent of each term of a loss that is ``number`` terms, or weights, together."""
    return g / number if reduction == "mean" else g


def _pointwise(g, reduction, *arguments):
    """The cotangent of each term of a loss whose arguments broadcast against each other."""
    shape = torch.broadcast_shapes(*(x.shape for x in arguments))
    return _each(g, reduction, shape.numel()).expand(shape)


def _difference(g, input, target):
    """Their difference, in the precision of the result where one of them has no dimension."""
    return input.to(torch.promote_types(input.dtype, g.dtype)) - target


@rule(
    "nn.functional.cross_entropy",
    modules="CrossEntropyLoss",
    latex=r"\bar x = \frac{\bar y}{W}\,\Big(p \sum_c q_c - q\Big), \qquad "
    r"p = \mathrm{softmax}(x),\quad q = w \odot \big((1 - \epsilon)\,t + \tfrac{\epsilon}{C}\big)",
    saved="log-probabilities, t, w",
)
def cross_entropy(g, y, input, target, weight=None, size_average=None, ignore_index=-100,
                  reduce=None, reduction="mean", label_smoothing=0.0):  # fmt: skip
    r"""
    With $\ell = \log p$ one term of the loss is $-\sum_c q_c \ell_c$, where $q$ holds target,
    class weights and smoothing; a class index $t$ stands for the row of the identity matrix. From
    the rule of log-softmax, $\bar x = \bar\ell - p\sum_c \bar\ell_c$ with
    $\bar\ell_c = -\bar y\,q_c/W$.

    $W$ is 1 unless terms are averaged. With class indices it is the sum of the *weights* of the
    targets that are kept, not their number; with probabilities it is the number of terms. Then the
    target and, without a word in the documentation, the weight have gradients too:
    $\bar t = -\bar y\,(1 - \epsilon)\,w \odot \ell / W$.
    """
    reduction = _reduction(reduction, size_average, reduce)
    classes = 1 if input.ndim > 1 else 0
    logp = input.log_softmax(classes)
    number = input.shape[classes]
    w = torch.ones(number, dtype=input.dtype) if weight is None else weight
    along = [number if d == classes else 1 for d in range(input.ndim)]
    if target.is_floating_point():
        t, kept, total = target, torch.tensor(True), target.numel() / number
    else:
        kept = (target != ignore_index).unsqueeze(classes)
        index = torch.where(kept, target.unsqueeze(classes), 0)
        t = torch.zeros_like(input).scatter(classes, index, 1)
        total = (w[index] * kept).sum()
    smooth = (1 - label_smoothing) * t + label_smoothing / number
    q = w.reshape(along) * smooth * kept
    each = _each(g, reduction, total)
    each = each.unsqueeze(classes) if reduction == "none" else each
    slope = logp.exp() * q.sum(classes, keepdim=True) - q
    grads = {"input": onto(torch.where(kept, each * slope, 0), input)}
    if target.is_floating_point():
        grads["target"] = onto(-each * (1 - label_smoothing) * w.reshape(along) * logp, target)
        if weight is not None:
            grads["weight"] = onto((-each * smooth * logp).movedim(classes, -1), weight)
    return grads


@rule(
    "nn.functional.nll_loss",
    modules="NLLLoss",
    latex=r"\bar x_{n,t_n} = -\frac{\bar y\,w_{t_n}}{W},\ \text{0 elsewhere}",
    saved="t, w",
)
def nll_loss(g, y, input, target, weight=None, size_average=None, ignore_index=-100,
             reduce=None, reduction="mean"):  # fmt: skip
    reduction = _reduction(reduction, size_average, reduce)
    classes = 1 if input.ndim > 1 else 0
    w = torch.ones(input.shape[classes], dtype=input.dtype) if weight is None else weight
    kept = target != ignore_index
    index = torch.where(kept, target, 0)
    each = _each(g, reduction, (w[index] * kept).sum()) * w[index]
    each = torch.where(kept, each, 0)
    dx = torch.zeros_like(input)
    return {"input": dx.scatter(classes, index.unsqueeze(classes), -each.unsqueeze(classes))}


@rule(
    "nn.functional.binary_cross_entropy",
    modules="BCELoss",
    latex=r"\bar p = \bar\ell\,w\,\frac{p - t}{\max(p(1-p),\ 10^{-12})}, \qquad "
    r"\bar t = \bar\ell\,w\,\big(\log(1-p) - \log p\big)",
    saved="p, t, w",
    domain="0 < p < 1",
    kinks="the loss clamps log p at -100, its gradient the divisor at 10⁻¹²: two different cuts, "
    "so at p = 0, t = 1 the gradient is -10¹² where the loss is constant",
)
def binary_cross_entropy(g, y, input, target, weight=None, size_average=None, reduce=None,
                         reduction="mean"):  # fmt: skip
    reduction = _reduction(reduction, size_average, reduce)
    w = 1.0 if weight is None else weight
    each = _pointwise(g, reduction, input) * w
    divisor = (input * (1 - input)).clamp_min(1e-12)
    logs = (1 - input).log() - input.log()
    return {"input": each * (input - target) / divisor, "target": each * logs}


@rule(
    "nn.functional.binary_cross_entropy_with_logits",
    modules="BCEWithLogitsLoss",
    latex=r"\bar x = \bar\ell\,w\,\big(\sigma(x)\,(1 - t) - \pi\,t\,\sigma(-x)\big), \qquad "
    r"\bar t = \bar\ell\,w\,\big(\log\sigma(-x) - \pi \log \sigma(x)\big)",
    saved="x, t, w, π",
    kinks="none; weight w and pos_weight π get no gradient: PyTorch refuses",
)
def bce_with_logits(g, y, input, target, weight=None, size_average=None, reduce=None,
                    reduction="mean", pos_weight=None):  # fmt: skip
    r"""
    One term is $-w\,[\pi\,t \log\sigma(x) + (1-t) \log\sigma(-x)]$, and
    $\frac{d}{dx}\log\sigma(x) = \sigma(-x)$.
    """
    reduction = _reduction(reduction, size_average, reduce)
    w = 1.0 if weight is None else weight
    p = 1.0 if pos_weight is None else pos_weight
    each = _pointwise(g, reduction, input) * w
    slope = (1 - target) * input.sigmoid() - p * target * (-input).sigmoid()
    logs = F.logsigmoid(-input) - p * F.logsigmoid(input)
    return {"input": onto(each * slope, input), "target": onto(each * logs, target)}


def _weighted(g, y, reduction, weight, terms):
    """The cotangent of each term of a weighted sum or mean, and the gradient of the weights."""
    if reduction != "mean":
        return g * weight.conj(), onto(g * terms, weight)
    each = g / weight.sum().conj()
    return each * weight.conj(), onto(each * terms, weight) - each * y.conj()


@rule(
    "nn.functional.mse_loss",
    modules="MSELoss",
    latex=r"\bar x = 2\,\bar\ell\,(x - t), \qquad \bar t = -\bar x, \qquad "
    r"\bar\ell = \bar y / n\ \text{(mean)}",
    saved="x, t",
    kinks="none; n counts the entries after broadcasting",
)
def mse_loss(g, y, input, target, size_average=None, reduce=None, reduction="mean", weight=None):
    r"""
    The slope of $(x - t)^2$ is $2\,(x - t)$. A weighted mean is $y = \sum w\,\ell / \sum w$, with
    $\ell$ the terms: $\bar\ell = \bar y\,w / \sum w$, and $\bar w = \bar y\,(\ell - y) / \sum w$.
    """
    reduction = _reduction(reduction, size_average, reduce)
    each, d, dw = _pointwise(g, reduction, input, target), _difference(g, input, target), None
    if weight is not None:
        each, dw = _weighted(g, y, reduction, weight, d**2)
    slope = 2 * each * d
    return {"input": onto(slope, input), "target": onto(-slope, target), "weight": dw}


@rule(
    "nn.functional.l1_loss",
    modules="L1Loss",
    latex=r"\bar x = \bar\ell\;\mathrm{sgn}(x - t), \qquad \bar t = -\bar x",
    saved="x, t",
    kinks="0 at x = t",
)
def l1_loss(g, y, input, target, size_average=None, reduce=None, reduction="mean", weight=None):
    reduction = _reduction(reduction, size_average, reduce)
    each, d, dw = _pointwise(g, reduction, input, target), _difference(g, input, target), None
    if weight is not None:
        each, dw = _weighted(g, y, reduction, weight, d.abs())
    slope = torch.real(each) * d.sgn()
    return {"input": onto(slope, input), "target": onto(-slope, target), "weight": dw}


@rule(
    "nn.functional.smooth_l1_loss",
    modules="SmoothL1Loss",
    latex=r"\bar x = \bar\ell\,\{d/\beta\ (|d| < \beta);\ \mathrm{sgn}\,d\ (|d| \ge \beta)\}, "
    r"\quad d = x - t, \qquad \bar t = -\bar x",
    saved="x, t",
    kinks="with β = 0 it is l1_loss: 0 at x = t",
)
def smooth_l1_loss(g, y, input, target, size_average=None, reduce=None, reduction="mean", beta=1.0):
    reduction = _reduction(reduction, size_average, reduce)
    d = _difference(g, input, target)
    slope = torch.where(d.abs() < beta, d / beta if beta else d, d.sgn())
    slope = _pointwise(g, reduction, input, target) * slope
    return {"input": onto(slope, input), "target": onto(-slope, target)}


@rule(
    "nn.functional.huber_loss",
    modules="HuberLoss",
    latex=r"\bar x = \bar\ell\;\mathrm{clamp}(x - t,\ -\delta,\ \delta), \qquad \bar t = -\bar x",
    saved="x, t",
)
def huber_loss(g, y, input, target, reduction="mean", delta=1.0, weight=None):
    r"""
    With $c = \mathrm{clamp}(x - t, -\delta, \delta)$ a term is $c\,(x - t) - c^2/2$, and its slope
    $c$. The mean divides by the number of terms with weights too, where that of mse_loss and
    l1_loss divides by the sum of the weights.
    """
    each = _pointwise(g, reduction, input, target)
    c = (input - target).clamp(-delta, delta)
    slope = each * c * (1 if weight is None else weight)
    terms = c * (input - target) - c**2 / 2
    dw = None if weight is None else onto(each * terms, weight)
    return {"input": onto(slope, input), "target": onto(-slope, target), "weight": dw}


@rule(
    "nn.functional.soft_margin_loss",
    modules="SoftMarginLoss",
    latex=r"\bar x = -\bar\ell\,t\,\sigma(-t x)",
    saved="x, t",
    kinks="none; the target gets no gradient: PyTorch refuses",
)
def soft_margin_loss(g, y, input, target, size_average=None, reduce=None, reduction="mean"):
    reduction = _reduction(reduction, size_average, reduce)
    each = _pointwise(g, reduction, input, target)
    return {"input": onto(-each * target * (-target * input).sigmoid(), input)}


@rule(
    "nn.functional.kl_div",
    modules="KLDivLoss",
    latex=r"\bar x = -\bar\ell\,p, \qquad \bar t = \bar\ell\,(\log p - x + 1)\ (t = p), \qquad "
    r"\bar t = \bar\ell\,p\,(t - x + 1)\ (t = \log p)",
    saved="x, t",
    kinks="t = 0: the gradient of t is -∞, and PyTorch returns NaN",
)
def kl_div(g, y, input, target, size_average=None, reduce=None, reduction="mean", log_target=False):
    reduction = _reduction(reduction, size_average, reduce)
    shape = torch.broadcast_shapes(input.shape, target.shape)
    number = input.shape[0] if reduction == "batchmean" and input.ndim else 1
    number = shape.numel() if reduction == "mean" else number
    each = (g / number).expand(shape)
    p = target.exp() if log_target else target
    dt = p * (target - input + 1) if log_target else target.log() + 1 - input
    return {"input": onto(-each * p, input), "target": onto(each * dt, target)}


@rule(
    "nn.functional.poisson_nll_loss",
    modules="PoissonNLLLoss",
    latex=r"\bar x = \bar\ell\,(e^{x} - t)\ \text{or}\ \bar\ell\,\Big(1 - \frac{t}{x + \epsilon}"
    r"\Big), \qquad \bar t = -\bar\ell\,x\ \text{or}\ -\bar\ell\,\log(x + \epsilon)",
    saved="x, t",
    kinks="full=True adds Stirling's terms for t > 1, which reach t only",
)
def poisson_nll_loss(g, y, input, target, log_input=True, full=False, size_average=None, eps=1e-8,
                     reduce=None, reduction="mean"):  # fmt: skip
    reduction = _reduction(reduction, size_average, reduce)
    each = _pointwise(g, reduction, input, target)
    if log_input:
        dx, dt = input.exp() - target, -input
    else:
        dx, dt = 1 - target / (input + eps), -(input + eps).log()
    if full:
        dt = dt + torch.where(target > 1, target.log() + 0.5 / target, 0)
    return {"input": onto(each * dx, input), "target": onto(each * dt, target)}


@rule(
    "nn.functional.gaussian_nll_loss",
    modules="GaussianNLLLoss",
    latex=r"\bar x = \bar\ell\,\frac{x - t}{v}, \qquad \bar t = -\bar x, \qquad "
    r"\bar v = \frac{\bar\ell}{2}\Big(\frac1v - \frac{(x-t)^2}{v^2}\Big)",
    saved="x, t, v",
    kinks="v below eps is replaced by eps, yet gets the gradient of the replaced value",
)
def gaussian_nll_loss(g, y, input, target, var, full=False, eps=1e-6, reduction="mean"):
    if isinstance(var, float):
        var = input.new_full(input.shape, var)
    wide = var.unsqueeze(-1) if var.shape == input.shape[:-1] != input.shape else var
    v = wide.clamp_min(eps)
    each = _pointwise(g, reduction, input, target, v)
    d = input - target
    dv = 0.5 * each * (1 / v - (d / v) ** 2)
    return {
        "input": onto(each * d / v, input),
        "target": onto(-each * d / v, target),
        "var": onto(dv, wide).reshape(var.shape),
    }


@rule(
    "nn.functional.hinge_embedding_loss",
    modules="HingeEmbeddingLoss",
    latex=r"\bar x = \bar\ell\,\{1\ (t = 1);\ -[x \le m]\ (t = -1)\}",
    saved="x, t",
    kinks="at x = m the slope is -1",
)
def hinge_embedding_loss(g, y, input, target, margin=1.0, size_average=None, reduce=None,
                         reduction="mean"):  # fmt: skip
    reduction = _reduction(reduction, size_average, reduce)
    each = _pointwise(g, reduction, input, target)
    near = (target != 1) & (margin - input >= 0)
    dx = torch.where(target != -1, each, 0) - torch.where(near, each, 0)
    return {"input": onto(dx, input), "target": torch.zeros_like(target)}


@rule(
    "nn.functional.margin_ranking_loss",
    modules="MarginRankingLoss",
    latex=r"\bar a = -\bar\ell\,t\,[m > t(a - b)], \qquad \bar b = -\bar a, \qquad "
    r"\bar t = -\bar\ell\,(a - b)\,[m > t(a - b)]",
    saved="a, b, t",
    kinks="where the margin is met exactly: as for clamp_min, all of it",
)
def margin_ranking_loss(g, y, input1, input2, target, margin=0, size_average=None, reduce=None,
                        reduction="mean"):  # fmt: skip
    reduction = _reduction(reduction, size_average, reduce)
    each = _pointwise(g, reduction, input1, input2, target)
    each = torch.where(margin - target * (input1 - input2) >= 0, each, 0)
    return {
        "input1": onto(-each * target, input1),
        "input2": onto(each * target, input2),
        "target": onto(-each * (input1 - input2), target),
    }


@rule(
    "nn.functional.cosine_similarity",
    also="cosine_similarity",
    modules="CosineSimilarity",
    latex=r"\bar a = \frac{\bar y}{|a|}\Big(\frac{b}{|b|} - y\,\frac{a}{|a|}\Big), \qquad "
    r"\bar b\ \text{likewise}",
    saved="a, b, y",
    kinks="a length below eps is replaced by eps outside the graph: the formula is used as if it "
    "still moved, and is not the derivative there",
)
def cosine_similarity(g, y, x1, x2, dim=1, eps=1e-8):
    r"""
    $y = \langle \hat a, \hat b \rangle$ with $\hat a = a/|a|$; a step $da$ moves $\hat a$ by its
    part at right angles to $\hat a$, divided by $|a|$, as in `normalize`.
    """
    g, y = g.unsqueeze(dim), y.unsqueeze(dim)
    both = torch.broadcast_tensors(x1.to(g.dtype), x2.to(g.dtype))
    norms = [x.norm(2, dim, keepdim=True) for x in both]
    lengths = [norm.clamp_min(eps) for norm in norms]
    slopes = []
    for k in (0, 1):
        own = torch.where(norms[k] == 0, 0, both[k] / norms[k])
        slopes.append((both[1 - k] / lengths[1 - k] - y * own) / lengths[k])
    return {"x1": onto(g * slopes[0], x1), "x2": onto(g * slopes[1], x2)}


@rule(
    "nn.functional.pairwise_distance",
    modules="PairwiseDistance",
    latex=r"\bar a = \bar y\,\mathrm{sgn}(d) \Big(\frac{|d|}{y}\Big)^{p-1}, \quad "
    r"d = a - b + \epsilon, \qquad \bar b = -\bar a",
    saved="a, b, y",
)
def pairwise_distance(g, y, x1, x2, p=2.0, eps=1e-6, keepdim=False):
    from backwardpass.vjps.scans import _vector_norm

    g, y = (t if keepdim else t.unsqueeze(-1) for t in (g, y))
    d = x1 - x2 + eps
    grad = _vector_norm(g, y, d, p, axes(d, -1))
    return {"x1": onto(grad, x1), "x2": onto(-grad, x2)}
