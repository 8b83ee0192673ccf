"""Edge cases of functions with a kink: on it, and on both sides of it."""

import torch

from press.trials.operators.cases import case, edges, inf, nan, normal, number, numbers, tied


@edges("abs", "sgn", "sign")
def around_zero():
    yield case("-1, 0, 2", numbers(-1, 0, 2)).kink()
    yield case("on both sides", numbers(-1, 3, 2))


@edges("floor", "ceil", "trunc", "round", "frac")
def steps():
    yield case("on the jumps", numbers(-1, 0, 2)).kink()
    yield case("between", numbers(-1.3, 0.2, 2.7))


for _digits in (0, 3, -3):

    @edges(f"round.decimals_{_digits}".replace("-", "neg_"))
    def rounded(digits=_digits):
        x = 10.0**-digits * numbers(-1.5, 0, 0.5, 2)
        yield case("on the jumps", x, decimals=digits).kink()
        yield case("between", 10.0**-digits * numbers(-1.3, 0.2, 2.7), decimals=digits)


@edges("maximum", "minimum", "max.binary", "min.binary")
def two():
    yield case("ties", tied(4, 5), tied(4, 5)).kink()
    yield case("no tie, both repeated", normal(3, 1), normal(1, 4))
    told = "the formula gives NaN's argument nothing; autograd gives both all of it"
    yield (
        case("one is NaN", numbers(nan, 1, 2), numbers(0, nan, 1))
        .disagrees(forward="with a NaN reverse mode gives both all of it, forward mode half")
        .kink(told)
    )


@edges("fmax")
def larger():
    told = "of a tie reverse mode gives the first all, forward mode another share"
    yield case("ties", tied(4, 5), tied(4, 5)).kink().disagrees(forward=told)


@edges("fmin")
def smaller():
    yield case("ties", tied(4, 5), tied(4, 5)).kink()


@edges("fmax", "fmin")
def two_without_nan():
    yield case("one is NaN", numbers(nan, 1, 2), numbers(0, nan, 1)).kink("NaN does not move")
    yield case("both repeated", normal(3, 1), normal(1, 4))


@edges("fmod", "remainder")
def quotients():
    yield case("all signs", numbers(5.5, -5.5, 5.5, -5.5), numbers(2, 2, -2, -2))
    yield case("a number for the divisor", numbers(5.5, -5.5), 2.0)
    yield case("exact multiples", numbers(4, -4), numbers(2, 2)).kink()
    yield case("both repeated", normal(3, 1) * 9, numbers(1.5, -2.5))


@edges("clamp")
def clamped():
    yield case("inside, on and beyond two numbers", numbers(-1, 0, 0.5, 1, 2), 0.0, 1.0).kink()
    yield case("only min", numbers(-1, 0, 2), 0.0).kink()
    yield case("only max", numbers(-1, 0, 2), max=0.0).kink()
    low, high = numbers(0, 0, 0, 0, 0), numbers(1, 1, 1, 1, 1)
    yield case("tensors, on the bounds too", numbers(-1, 0, 0.5, 1, 2), low, high).kink()
    yield case(
        "tensors, off the bounds", numbers(-1, 0.5, 2), numbers(0, 0.1, 0.2), numbers(1, 1, 1.5)
    )
    yield case("bounds crossed: always max", numbers(0, 1, 2, 3), numbers(2), numbers(1)).kink()
    told = "at x < min = max reverse mode gives all three 0, forward mode gives min 1"
    yield (
        case("equal bounds", numbers(0.0), numbers(1.0), numbers(1.0))
        .kink()
        .disagrees(forward=told)
    )
    yield case("repeated bounds", normal(3, 4), normal(4) - 1, normal(3, 1) + 1)


@edges("clamp_min")
def clamped_from_below():
    yield case("below, on, above", numbers(-1, 0, 2), 0.0).kink()
    yield case("a tensor, a tie", numbers(-1, 0, 2), numbers(0, 0, 0)).kink()
    yield case("both repeated", normal(3, 1), normal(1, 4))


@edges("clamp_max")
def clamped_from_above():
    yield case("below, on, above", numbers(-1, 0, 2), 0.0).kink()
    yield case("a tensor, a tie", numbers(-1, 0, 2), numbers(0, 0, 0)).kink()
    yield case("both repeated", normal(3, 1), normal(1, 4))


@edges("where")
def chosen():
    yield case("a number for the other", torch.tensor([True, False, True]), normal(3), 0.0)
    yield case("all repeated", torch.tensor([[True], [False], [True]]), normal(1, 4), number(2.0))
    told = "NaN in what is not taken"
    yield case(told, torch.tensor([True, False]), numbers(1, nan), numbers(nan, 1)).kink(told)


@edges("masked_fill")
def filled():
    yield case(
        "a tensor for the value", normal(2, 3), torch.tensor([True, False, True]), number(2.0)
    )
    yield case("nothing masked", normal(2), torch.tensor([False, False]), 1.0)


@edges("nan_to_num")
def replaced():
    yield case("NaN and ±∞", numbers(nan, inf, -inf, 1)).kink("what was replaced does not move")
    yield case("with values", numbers(nan, inf, -inf, 1), 1.0, 2.0, 3.0).kink("it does not move")
    yield case("nothing to replace", normal(3))


@edges("fmax", "fmin")
def two_nan():
    yield case("both are NaN", numbers(nan, nan, 1), numbers(nan, 1, nan)).kink("NaN does not move")


@edges("fmod", "remainder")
def by_infinity():
    made = case("by ±∞", numbers(5.5, -5.5, 5.5, -5.5), numbers(inf, inf, -inf, -inf))
    yield made.kink("∞ does not move")


@edges("sgn")
def beside_zero():
    yield case("beside 0", numbers(1e-13, -1e-14)).kink("the step is larger")
