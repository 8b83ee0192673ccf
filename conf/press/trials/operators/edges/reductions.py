"""Edge cases of reductions: ties, zeros, NaN, and every way to name the dimensions."""

import torch

from press.trials.operators.cases import case, edges, inf, nan, normal, number, numbers, tied


@edges("sum", "mean")
def summed():
    yield case("two dimensions, kept", normal(2, 3, 4), (0, -1), True)
    yield case("one dimension, dropped", normal(2, 3, 4), 1)
    yield case("one number", number(2.0))


@edges("nansum", "nanmean")
def without_nan():
    yield case("NaN among the entries", numbers([nan, 1, 2], [3, nan, 4]), 1).real()
    yield case("over all", numbers([nan, 1, 2], [3, nan, 4])).real()


@edges("prod")
def multiplied():
    yield case("one zero", numbers(0, 2, 3))
    yield case("two zeros", numbers(0, 0, 3))
    yield case("one number, along its dimension", number(2.0), 0)
    yield case("along a dimension, a zero in one row", numbers([0, 2, 3], [4, 5, 6]), 1, True)


@edges("var", "std", "var_mean", "std_mean")
def spread_out():
    yield case("correction=0, along the first", normal(4, 3), 0, correction=0)
    yield case(
        "correction=2, two dimensions, kept", normal(2, 3, 4), (0, 2), keepdim=True, correction=2
    )
    yield case("unbiased=False", normal(4, 3), 1, unbiased=False)


@edges("var.unbiased", "std.unbiased", "var_mean.unbiased", "std_mean.unbiased")
def unbiased():
    for counted in (False, True):
        yield case(f"of all entries, unbiased={counted}", normal(4, 3), counted)


@edges("std", "std_mean")
def constant():
    yield case("all entries equal", numbers([2, 2, 2], [1, 2, 3]), 1).kink()


@edges("var")
def too_few():
    yield case("as many as the correction: no number", normal(3, 1), 1, correction=1)


@edges("amax", "amin", "aminmax")
def extremes():
    yield case("ties along a dimension", tied(4, 5), dim=1).kink()
    yield case("no tie, kept", normal(3, 4), dim=0, keepdim=True)


@edges("amax", "amin")
def extremes_of_several():
    yield case("ties over two dimensions, kept", tied(2, 3, 4), (0, 2), True).kink()


@edges("max.reduction_no_dim", "min.reduction_no_dim")
def extremes_of_all():
    yield case("ties", tied(4, 5)).kink()
    yield case("no tie", normal(3, 4))


@edges("max.reduction_with_dim", "min.reduction_with_dim", "mode")
def by_index():
    yield case("ties along the last", tied(4, 5), 1).kink()
    yield case("ties along the first, kept", tied(4, 5), 0, True).kink()
    yield case("one number", number(2.0), 0)


@edges("median", "nanmedian")
def middle():
    yield case("ties, without dim", tied(3, 5)).kink()
    yield case("ties, with dim", tied(3, 5), 1).kink()
    yield case("no tie, with dim, kept", normal(3, 5), 0, True)


@edges("kthvalue")
def smallest():
    yield case("ties", tied(4, 5), 2, 1).kink()
    yield case("no tie, kept", normal(4, 5), 3, 0, True)


@edges("logsumexp")
def smooth_maximum():
    yield case("-∞ among the entries", numbers(-inf, 0, 1), 0).kink("-∞ does not move").real()
    yield case("all -∞: NaN", numbers([-inf, -inf], [0, 1]), 1).real()
    yield case("two dimensions, kept", normal(2, 3, 4), (0, 2), True)


@edges("trace")
def diagonals():
    yield case("wide", normal(2, 4))
    yield case("tall", normal(4, 2))


@edges("nansum", "nanmean")
def infinities():
    yield case("∞ among the entries", numbers(inf, nan, 1)).real().kink("∞ does not move")
    yield (
        case("a row of NaN alone", numbers([nan, nan], [1, 2]), 1).real().kink("NaN does not move")
    )


@edges("amax", "amin", "max.reduction_no_dim", "min.reduction_no_dim")
def nearly_tied():
    yield case("nearly tied", numbers(1, 1 + 1e-10, 1 - 1e-10)).kink()


@edges("amax", "amin")
def extremes_of_nan():
    yield case("NaN among the entries", numbers(1, nan, 2, nan)).kink("NaN does not move")


@edges("max.reduction_no_dim", "min.reduction_no_dim", "median")
def chosen_nan():
    told = "reverse mode gives it to the NaN among the entries, forward mode is NaN"
    made = case("NaN among the entries", numbers(1, nan, 2)).kink("NaN does not move")
    yield made.disagrees(forward=told)


@edges("nanmedian")
def skipped_nan():
    yield case("NaN among the entries", numbers(1, nan, 2)).kink("NaN does not move")


@edges("std", "std_mean")
def nearly_constant():
    yield case("nearly equal", 1e-13 * numbers(1, 2, 4), 0).kink("steps are larger")


@edges("mode", "median", "nanmedian", "max.reduction_with_dim", "min.reduction_with_dim")
def late_ties():
    row = numbers([5, 1, 1, 1, 0], [2, 2, 0, 2, 2], [7, 3, 3, 9, 3])
    yield case("ties of which the first is not returned", row, 1).kink()


@edges("kthvalue")
def ties_of_the_kth():
    row = numbers([5, 1, 1, 1, 0], [2, 2, 0, 2, 2], [7, 3, 3, 9, 3])
    for k in (2, 3, 4):
        yield case(f"ties, k={k}", row, k, 1).kink()


@edges("var", "var_mean")
def fewer_than_the_correction():
    told = "a variance divided by n - c ≤ 0 is ∞; PyTorch divides its gradient by n - c"
    made = case("fewer than the correction", numbers([1, 2], [5, 9]), 1, correction=3)
    yield (
        made.kink("the variance is ∞").inexact("autograd", inf, told).disagrees(forward=told).real()
    )


@edges("var")
def of_all_fewer():
    told = "left of the mean the infinity is negative; PyTorch's is positive"
    made = case("all, fewer than the correction", numbers(1, 2), correction=2)
    yield made.kink("the variance is ∞").inexact("autograd", inf, told).real()


@edges("sum", "nansum", "mean", "nanmean", "prod")
def in_double_precision():
    made = case("dtype: double from single", normal(3, 4).float(), dim=1, dtype=torch.float64)
    yield made.kink("half of the digits").real()
