"""Edge cases of softmax and losses: every reduction, option and kind of target."""

import torch

from press.trials.operators.cases import (
    case,
    edges,
    indices,
    inf,
    normal,
    number,
    numbers,
    positive,
)

REDUCTIONS = ("none", "mean", "sum")


@edges("softmax", "log_softmax", "nn.functional.softmin")
def distributions():
    yield case("along the first dimension", normal(4, 3), 0)
    yield case("large numbers", numbers(1000, 1001, 999), 0)
    yield case("one number", number(2.0), 0)


for _name in ("softmax", "log_softmax", "nn.functional.softmin"):

    @edges(f"{_name}.with_dtype")
    def of_a_dtype():
        yield case("a dtype, along the first dimension", normal(4, 3), 0, dtype=torch.float64)
        yield case("a dtype, one number", number(2.0), 0, dtype=torch.float64)


@edges("softmax")
def masked():
    yield case("-∞ among the entries", numbers(-inf, 0, 1), 0).kink("-∞ does not move")


@edges("nn.functional.cross_entropy")
def cross_entropy():
    x, t, w = normal(5, 3), indices(0, 2, 1, 1, 0), numbers(1, 2, 3)
    some = indices(0, 2, 1, -100, 0)
    yield case("smoothing", x, t, label_smoothing=0.1)
    for reduction in REDUCTIONS:
        options = {"reduction": reduction, "label_smoothing": 0.3}
        yield case(
            f"weights, an ignored target, smoothing, {reduction}", x, some, w, **options
        ).wrt("input")
        p = normal(5, 3).softmax(1)
        yield case(f"probabilities, weights, smoothing, {reduction}", x, p, w, **options)
    p = normal(2, 3, 4).softmax(1)
    yield case("probabilities at positions, weights", normal(2, 3, 4), p, w)
    yield case("probabilities alone", x, normal(5, 3).softmax(1))
    yield case("no batch", normal(3), torch.tensor(2))
    yield case("no batch, probabilities", normal(3), normal(3).softmax(0), label_smoothing=0.2)
    yield case(
        "positions, smoothing", normal(2, 3, 4), torch.randint(3, (2, 4)), label_smoothing=0.2
    )
    yield case("another ignored index", x, t, ignore_index=1)


@edges("nn.functional.nll_loss")
def nll():
    x, t, w = normal(5, 3), indices(0, 2, 1, -100, 0), numbers(1, 2, 3)
    for reduction in REDUCTIONS:
        yield case(f"weights, an ignored target, {reduction}", x, t, w, reduction=reduction).wrt(
            "input"
        )
    yield case("no batch", normal(3), torch.tensor(2))
    yield case("positions", normal(2, 3, 4), torch.randint(3, (2, 4)))


@edges("nn.functional.binary_cross_entropy")
def bce():
    p, t = positive(4, 3) * 0.7, positive(4, 3) * 0.7
    for reduction in REDUCTIONS:
        yield case(f"weights, {reduction}", p, t, positive(3), reduction=reduction).wrt(
            "input", "target"
        )
    told = "the loss is clamped, and finite differences see no slope"
    single = "its constant 1e-12 has single precision"
    for p, t in ((0, 1), (1, 0)):
        made = case(f"p = {p}, t = {t}", numbers(p, 0.5), numbers(t, t)).kink(told).wrt("input")
        made = made.inexact("autograd", 1e-8, single)
        yield made.disagrees(forward="forward mode is NaN where the loss is clamped")
    yield case("the target where p is 0 or 1", numbers(0, 1, 0.4), numbers(0.2, 0.7, 1)).wrt(
        "target"
    )


@edges("nn.functional.binary_cross_entropy_with_logits")
def bce_with_logits():
    x, t = normal(4, 3), positive(4, 3) * 0.7
    for reduction in REDUCTIONS:
        options = {"weight": positive(4, 1), "pos_weight": positive(3), "reduction": reduction}
        yield case(f"both weights, {reduction}", x, t, **options).wrt("input", "target")
    yield case("large logits", numbers(-40, 40), numbers(1, 0))


POINTWISE = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")


@edges(*(f"nn.functional.{name}" for name in POINTWISE))
def pointwise():
    for reduction in REDUCTIONS:
        yield case(f"{reduction}", normal(4, 3), normal(4, 3), reduction=reduction)
    yield case("equal", numbers(1, 2), numbers(1, 2)).kink()


@edges("nn.functional.mse_loss", "nn.functional.l1_loss", "nn.functional.huber_loss")
def weighted():
    x, t, w = normal(4, 3), 2 * normal(4, 3), positive(4, 3)
    for reduction in REDUCTIONS:
        yield case(f"weights, {reduction}", x, t, weight=w, reduction=reduction)


@edges("nn.functional.mse_loss", "nn.functional.l1_loss")
def repeated():
    yield case("a repeated input, weights", normal(3), normal(4, 3), weight=positive(3))
    yield case("a repeated target", normal(4, 3), normal(3))


@edges("nn.functional.smooth_l1_loss")
def smooth():
    yield case("beta=0.3, on both sides", numbers(0, 0, 0), numbers(0.1, -0.2, 2), beta=0.3)
    yield case("beta=0", normal(4), normal(4), beta=0.0)


@edges("nn.functional.huber_loss")
def huber():
    yield case("delta=0.3, on both sides", numbers(0, 0, 0), numbers(0.1, -0.2, 2), delta=0.3)


@edges("nn.functional.kl_div")
def divergence():
    x, p = normal(4, 3).log_softmax(1), normal(4, 3).softmax(1)
    for reduction in (*REDUCTIONS, "batchmean"):
        yield case(f"{reduction}", x, p, reduction=reduction)
        yield case(f"logarithms, {reduction}", x, p.log(), reduction=reduction, log_target=True)
    yield case("a probability of 0", x[0], numbers(0, 0.5, 0.5)).wrt("input")


@edges("nn.functional.poisson_nll_loss")
def poisson():
    x, t = positive(4), positive(4) * 3
    for log_input in (True, False):
        for full in (True, False):
            yield case(f"log_input={log_input}, full={full}", x, t, log_input, full, eps=0.1)
    yield case("full, a target of 1", x, numbers(1, 0.5, 2, 1), full=True).kink("Stirling's jump")


@edges("nn.functional.gaussian_nll_loss")
def gaussian():
    x, t = normal(4, 3), normal(4, 3)
    yield case("a variance for each row, sum", x, t, positive(4, 1), reduction="sum")
    yield case("variances, full, none", x, t, positive(4, 3), full=True, reduction="none")
    yield case("one number for all variances", x, t, 0.7)
    told = "below eps the variance is replaced outside the graph: its gradient is not the slope"
    yield case(
        "a variance below eps", numbers(1, 2), numbers(0, 0), numbers(0.1, 2), eps=0.5
    ).disagrees(finite=told, forward=told)


@edges("nn.functional.hinge_embedding_loss")
def hinge():
    yield (
        case("both targets, on the margin too", numbers(0.5, 2, 1, 1), numbers(1, -1, -1, 1))
        .kink()
        .wrt("input")
    )
    yield case(
        "margin=2, none", numbers(0.5, 2.5, 1), numbers(1, -1, -1), 2.0, reduction="none"
    ).wrt("input")


@edges("nn.functional.margin_ranking_loss")
def ranking():
    a, b, t = numbers(1, 2, 3), numbers(2, 1, 3.5), numbers(1, -1, 1)
    yield case("margin=0.3", a, b, t, 0.3)
    yield case("targets that are no signs", a, b, numbers(0.5, 2, 0.25), 0.7)
    yield case("exactly on the margin", numbers(1.0), numbers(1.0), numbers(1.0)).kink()


@edges("nn.functional.cosine_similarity", "nn.functional.pairwise_distance")
def pairs():
    yield case("rows", normal(3, 4), normal(3, 4))
    yield case("one against all", normal(3, 4), normal(1, 4))


@edges("nn.functional.cosine_similarity")
def short():
    yield case("shorter than eps", numbers([3e-3, 4e-3]), numbers([1, 2]), eps=0.1).disagrees(
        finite="below eps the length is replaced outside the graph",
        forward="below eps the length is replaced outside the graph",
    )
    yield case("along the first dimension", normal(3, 4), normal(3, 4), 0)
    yield case("zero", numbers([0, 0]), numbers([1, 2])).kink()


@edges("nn.functional.pairwise_distance")
def orders():
    yield case("order 1, kept", normal(3, 4), normal(3, 4), 1.0, keepdim=True)
    yield case("order 3, eps=0.1", normal(3, 4), normal(3, 4), 3.0, 0.1)
    yield case("the largest difference", normal(2, 3, 4), normal(2, 3, 4), inf)


@edges("nn.functional.soft_margin_loss")
def soft_margin():
    for reduction in REDUCTIONS:
        made = case(f"{reduction}", normal(4, 3), normal(4, 3).sign(), reduction=reduction)
        yield made.wrt("input")


LEGACY = {
    "both": {"size_average": True, "reduce": True}, "a sum": {"size_average": False},
    "neither": {"reduce": False},
}  # fmt: skip
for _name in ("mse_loss", "l1_loss", "soft_margin_loss", "smooth_l1_loss", "kl_div",
              "poisson_nll_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits",
              "hinge_embedding_loss"):  # fmt: skip

    @edges(f"nn.functional.{_name}")
    def legacy(name=_name):
        signs = name in ("soft_margin_loss", "hinge_embedding_loss")
        target = numbers([1, -1, 1], [-1, 1, -1]) if signs else positive(2, 3) * 0.8
        for told, options in LEGACY.items():
            made = case(f"deprecated: {told}", positive(2, 3) * 0.8, target, **options)
            yield made.wrt("input").real()


@edges("nn.functional.cross_entropy", "nn.functional.nll_loss")
def legacy_classes():
    for told, options in LEGACY.items():
        yield case(f"deprecated: {told}", normal(2, 3), indices(2, 0), **options)


@edges("nn.functional.margin_ranking_loss")
def legacy_ranking():
    for told, options in LEGACY.items():
        pair = normal(4), normal(4), numbers(1, -1, 1, -1)
        yield case(f"deprecated: {told}", *pair, **options).wrt("input1", "input2").real()


@edges("nn.functional.cross_entropy", "nn.functional.nll_loss")
def nothing_left():
    for reduction in ("mean", "sum", "none"):
        told = f"all targets ignored, {reduction}"
        made = case(told, normal(2, 3), indices(1, 1), ignore_index=1, reduction=reduction)
        made = made.kink("the mean of nothing is NaN")
        if reduction == "mean":
            made = made.disagrees(forward="forward mode keeps the 0/0 of the mean, reverse gives 0")
        yield made


@edges("nn.functional.cross_entropy")
def smoothed():
    for smoothing in (0.95, 1.0):
        told = f"label_smoothing={smoothing}"
        yield case(told, normal(2, 3), indices(2, 0), label_smoothing=smoothing)


@edges("nn.functional.smooth_l1_loss")
def narrow():
    yield case("β = 10⁻⁴", numbers(1, 2, 3), numbers(0.99995, 2, 4), beta=1e-4).wrt("input").kink()


@edges("nn.functional.mse_loss")
def negative_weights():
    yield case("weights below 0", normal(3), normal(3), weight=numbers(-1, 3, 0.5))


@edges("nn.functional.kl_div")
def batches():
    made = case(
        "batchmean, a target for all rows", normal(4, 3), positive(3), reduction="batchmean"
    )
    yield made.real()
    made = case("batchmean, one row for all targets", normal(3), positive(4, 3),
                reduction="batchmean")  # fmt: skip
    yield made.real()
    told = "t log t has the slope -∞ at 0, PyTorch says NaN"
    zero = case("t = 0", normal(2), numbers(0, 0.5)).real()
    yield zero.inexact("autograd", inf, told)


@edges("nn.functional.poisson_nll_loss")
def stirling_at_zero():
    told = "Stirling's terms count above 1 only; PyTorch multiplies what it leaves out by 0, NaN"
    made = case("t = 0, full", normal(2), numbers(0, 3), full=True).real().kink("one sided")
    yield made.inexact("autograd", inf, told)
