"""Edge cases of reductions under a mask: a row without anything, infinity behind the mask."""

import torch

from press.trials.operators.cases import case, edges, inf, nan, normal, numbers, positive, tied

MASK = torch.tensor([[True, False, True], [False, True, True]])
NONE = torch.tensor([[True, False, True], [False, False, False]])


def _three(label, x, *args, **options):
    yield case(f"{label}, along rows", x, *args, **options, mask=MASK)
    yield case(f"{label}, nothing masked", x, *args, **options)


def _behind():
    """Infinity and NaN, which the mask leaves out."""
    return numbers([0.5, inf, 1.5], [nan, -1.0, 2.0])


@edges("masked.sum", "masked.prod", "masked.mean", "masked.amax", "masked.amin")
def reductions():
    yield from _three("all", normal(2, 3))
    made = case("infinity and NaN behind the mask", _behind(), 1, mask=MASK)
    yield made.real().kink("∞ does not move")


@edges("masked.sum", "masked.prod", "masked.amax", "masked.amin")
def nothing():
    yield case("a row without anything", normal(2, 3), 1, mask=NONE)


@edges("masked.amax", "masked.amin")
def ties():
    yield case("ties", tied(2, 3), 1, mask=MASK).real().kink()


@edges("masked.cumsum", "masked.cumprod")
def scans():
    yield from _three("first axis", normal(2, 3), 0)


@edges("masked.median")
def median():
    yield case("an even number", normal(2, 3), 1, mask=MASK).real()
    yield case("all", normal(2, 3), 0).real()


@edges("masked.norm")
def norm():
    for order in (1.0, 3.0, inf, -inf, 0):
        made = case(f"order {order:g}", normal(2, 3), order, 1, mask=MASK).real()
        yield made if order else made.kink()


@edges("masked.var", "masked.std")
def variances():
    yield case("two kept", normal(2, 3), 1, mask=MASK)
    yield case("without correction", normal(2, 3), None, False, mask=MASK)


@edges("masked.softmax", "masked.log_softmax", "masked.softmin", "masked.logsumexp")
def soft():
    yield case("two kept", normal(2, 3), 1, mask=MASK).real()
    yield case("all", normal(2, 3), 0).real()


@edges("masked.normalize")
def normalize():
    yield case("two kept", normal(2, 3), 2.0, 1, mask=MASK)
    yield case("a large eps", positive(2, 3) / 9, 1.0, 1, eps=2.0, mask=MASK)


@edges("masked.logaddexp")
def logaddexp():
    yield case("one masked", normal(3), normal(3), other_mask=MASK[0]).real()
    yield case("neither", normal(3), normal(3)).real()
