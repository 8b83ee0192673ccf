"""Edge cases of margins, labels and sequences: the margin met, no label, a path there is not."""

import torch
from torch import nn

from press.trials.operators.cases import case, edges, indices, inf, normal, numbers, positive


@edges("nn.functional.multi_margin_loss")
def multi_margin_loss():
    for options in ({"p": 2, "weight": positive(3)}, {"reduction": "sum"}, {"margin": 3.0}):
        yield case(f"{sorted(options)}", normal(2, 3), indices(2, 0), **options).real().wrt("input")
    yield case("the margin met", numbers([1, 0, 2]), indices(0)).real().kink()


@edges("nn.functional.multilabel_margin_loss")
def multilabel_margin_loss():
    yield case("two labels, then others", normal(4), indices(2, 0, -1, 1)).real()
    yield case("no label", normal(2, 3), torch.full((2, 3), -1)).real()
    rows = torch.tensor([[1, -1, 0], [0, 2, 1]])
    yield case("every class is one", normal(2, 3), rows, reduction="sum").real()


@edges("nn.functional.multilabel_soft_margin_loss")
def multilabel_soft_margin_loss():
    yield case("far", numbers([-90, 90, 0.5]), numbers([1, 0, 1])).real()
    yield case("not averaged", normal(2, 3), positive(2, 3), reduction="none").real()


@edges(
    "nn.functional.linear_cross_entropy",
    "nn.functional.linear_cross_entropy.chunked",
    "nn.functional.linear_cross_entropy.chunked_none",
)
def linear_cross_entropy():
    target = indices(2, -100, 0)
    made = case("one ignored", normal(3, 4), normal(5, 4), target, linear_bias=normal(5))
    yield made.real()
    made = case("smoothed", normal(3, 4), normal(5, 4), indices(2, 1, 0), label_smoothing=0.2)
    yield made.real()
    made = case(
        "in chunks", normal(3, 4), normal(5, 4), indices(2, 1, 0),
        options=nn.LinearCrossEntropyOptions(batch_chunk_size=2),
    )  # fmt: skip
    yield made.real().inexact("forward", inf, "in chunks it sends 0, without a word")


@edges("nn.functional.ctc_loss")
def ctc_loss():
    told = "the gradient is that of the logits, as if x were their log_softmax"

    def of(*shape):
        return normal(*shape).log_softmax(-1)

    made = case("a label twice, one row", of(5, 4), indices(1, 1, 2), (5,), (3,))
    yield made.real().inexact("finite", inf, told)
    flat = indices(1, 2, 3, 3, 1)
    made = case("labels in one row, the blank last", of(6, 2, 5), flat, (6, 4), (2, 3), 4)
    yield made.real().inexact("finite", inf, told)
    made = case("no path, 0 asked for", of(2, 1, 3), indices(1, 1, 1), (2,), (3,), 0, "sum", True)
    yield made.real()
    made = case("no label at all", of(3, 1, 3), torch.zeros(1, 0).long(), (3,), (0,))
    yield made.real().inexact("finite", inf, told)
