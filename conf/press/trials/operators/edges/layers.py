"""Edge cases of layers: certain dropout, empty bags and segments, indices given twice."""

import torch

from press.trials.operators.cases import (
    case,
    edges,
    indices,
    inf,
    nan,
    normal,
    numbers,
    positive,
    tied,
)


@edges("nn.functional.dropout2d", "nn.functional.dropout3d")
def channels():
    yield case("everything dropped", normal(2, 3, 4, 2), 1.0).real()
    yield case("not training, NaN", numbers([[[[nan, 1.0]]]]), 0.5, False).real().kink("NaN")


@edges("nn.functional.alpha_dropout", "nn.functional.feature_alpha_dropout.with_train")
def alpha_dropout():
    yield case("half", normal(3, 4, 5), 0.5, True).real()
    yield case("everything dropped", normal(3, 4), 1.0, True).real()


@edges("nn.functional.feature_alpha_dropout.without_train")
def without_train():
    yield case("one number", normal(), 0.5, False)
    yield case("infinity", numbers(inf, 1), 0.5, False).real().kink("∞ does not move")


@edges("nn.functional.rrelu")
def rrelu():
    yield case("slopes drawn", numbers(-3, -1, 2), 0.1, 0.9, True).real()
    yield case("at 0, the mean slope", numbers(-1, 0, 2)).real().kink()


@edges("nn.functional.adaptive_max_pool3d")
def adaptive_max_pool3d():
    yield case("ties", tied(1, 1, 4, 4, 4), 2).real().kink()
    yield case("with indices", normal(1, 2, 3, 3, 3), 2, True).real()


@edges("nn.functional.fractional_max_pool2d")
def fractional_max_pool2d():
    yield case("indices returned, ties", tied(1, 2, 6, 6), 2, 3, None, True).real().kink()
    yield case("no batch", normal(2, 7, 7), 2, 3).real()


@edges("nn.functional.fractional_max_pool3d")
def fractional_max_pool3d():
    yield case("indices returned, ties", tied(1, 1, 5, 5, 5), 2, 2, None, True).real().kink()
    yield case("no batch", normal(1, 5, 5, 5), 2, 2).real()


@edges("nn.functional.max_unpool1d", "nn.functional.max_unpool1d.grad")
def max_unpool1d():
    told = "an index is given twice: one value is kept, and both get its gradient"
    yield case("places exchanged", normal(1, 2, 2), indices([[3, 0], [1, 2]]), 2).real()
    twice = case("an index twice", normal(1, 1, 2), indices([[1, 1]]), 2).real()
    yield twice.inexact("forward", inf, told).inexact("finite", inf, told)


@edges("nn.functional.max_unpool2d", "nn.functional.max_unpool2d.grad")
def max_unpool2d():
    index = torch.tensor([[[[5, 2], [8, 15]]]])
    yield case("no batch", normal(1, 2, 2), index[0], 2).real()
    yield case("an output size", normal(1, 1, 2, 2), index, 2, output_size=(5, 4)).real()


@edges("nn.functional.max_unpool3d", "nn.functional.max_unpool3d.grad")
def max_unpool3d():
    index = torch.tensor([[[[[9, 2]]]]])
    yield case("one plane", normal(1, 1, 1, 1, 2), index, 2).real()
    yield case("no batch", normal(1, 1, 1, 2), index[0], 2).real()


@edges("nn.functional.upsample_nearest", "nn.functional.upsample_bilinear")
def upsample():
    yield case("larger", normal(1, 2, 3, 2), (5, 4)).real()
    yield case("smaller", normal(1, 1, 5, 4), (2, 3)).real()


@edges("_upsample_bilinear2d_aa")
def antialias():
    yield case("smaller", normal(1, 1, 7, 5), [3, 2], False, None, None).real()
    yield case("corners aligned", normal(1, 2, 4, 4), [2, 6], True, None, None).real()


@edges("nn.functional.embedding_bag")
def embedding_bag():
    index, starts = indices(1, 2, 1, 0, 3), indices(0, 2, 2)
    for mode in ("sum", "mean", "max"):
        made = case(f"{mode}, an empty bag", index, normal(4, 3), starts, mode=mode)
        yield made.real()
    yield case("max, ties", index, tied(4, 3), starts, mode="max").real().kink()
    made = case("no padding counted", index, normal(4, 3), starts, padding_idx=1, mode="mean")
    yield made.real()
    made = case("by frequency", index, normal(4, 3), starts, scale_grad_by_freq=True, mode="sum")
    other = "it divides some rows by how often another row is read"
    yield made.real().inexact("autograd", inf, other).inexact("finite", inf, "divided, as told")
    sorted_ = case("by frequency, each once", indices(0, 2, 3), normal(4, 3), indices(0, 1),
                   scale_grad_by_freq=True, mode="sum")  # fmt: skip
    yield sorted_.real()
    weights = positive(5)
    made = case("weights", index, normal(4, 3), starts, mode="sum", per_sample_weights=weights)
    yield made.real()


@edges("_segment_reduce.lengths", "_segment_reduce.offsets")
def segment_reduce():
    for kind in ("max", "min", "sum", "mean", "prod"):
        made = case(f"{kind}, an empty piece", normal(5, 2), kind, lengths=indices(2, 0, 3))
        yield made.real()
    ties = case("ties", tied(6), "max", lengths=indices(3, 3)).real()
    yield ties.kink()
    yield case("prod with a 0", numbers(0, 2, 3), "prod", lengths=indices(3)).real()
    rows = case("rows of their own", normal(2, 4), "sum", offsets=indices([0, 1, 4], [0, 4, 4]),
                axis=1)  # fmt: skip
    yield rows.real()
