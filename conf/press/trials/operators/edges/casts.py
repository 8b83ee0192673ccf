"""Edge cases of casts, copies and constants."""

import torch

from press.trials.operators.cases import case, edges, inf, nan, normal, number, numbers


@edges("clone", "contiguous", "alias_copy")
def copies():
    yield case("not contiguous", normal(3, 4).mT)
    yield case("one number", number(2.0))
    yield case("nothing", normal(0, 2))


@edges("to")
def to():
    yield case("to the dtype it has", normal(3), torch.float64).real()
    rounded = "the tangent is rounded on the way, where the gradient is not"
    single = case("to single precision", normal(3), torch.float32).real().kink("fewer digits")
    yield single.inexact("forward", 1e-6, rounded)
    half = case("to half, of a number beyond it", numbers(1e6, 1), torch.half).real()
    yield half.kink("fewer digits").inexact("forward", 1e-2, rounded)
    yield case("to complex: the real part", normal(3), torch.complex128)
    yield case("transposed", normal(2, 3).mT, torch.float64)


@edges("double", "float", "half", "bfloat16")
def casts():
    yield case("one number", number(0.1)).real().kink("fewer digits")
    yield case("beyond half precision, NaN", numbers(1e6, nan, 1)).real().kink("fewer digits")


@edges("cdouble", "cfloat", "chalf")
def to_complex():
    yield case("one number", number(0.1)).kink("fewer digits")
    yield case("transposed", normal(2, 3).mT).kink("fewer digits")


@edges("fill")
def fill():
    yield case("with a tensor", normal(2, 3), number(2.0))
    yield case("with infinity", normal(2, 3), inf)


@edges("zero_")
def zero_():
    yield case("transposed", normal(2, 3).mT)
    yield case("of infinity", numbers(inf, nan, 1))


@edges("bernoulli")
def bernoulli():
    yield case("certain either way", numbers(0, 1)).real().kink("at the end of the domain")
    yield case("one number", number(0.3)).real()


@edges("normal")
def normal_():
    told = "with the same seed the draw moves with its parameters, and PyTorch sends zeros"
    yield case("no spread", numbers(1, 2), numbers(0, 0)).real().kink("at the end of the domain")
    yield case("one spread", normal(3), 2.0).real().disagrees(finite=told)


@edges("normal.number_mean")
def normal_number():
    yield case("no spread", 1.5, numbers(0, 0)).real().kink("at the end of the domain")
    yield case("nothing", 1.5, normal(0)).real()


@edges("nextafter")
def nextafter():
    yield case("equal: 0", numbers(1, 2), numbers(1, 5)).real().kink()
    yield case("up and down, broadcast", normal(2, 3), number(0.0)).real()


@edges("sum_to_size")
def sum_to_size():
    yield case("to one number", normal(2, 3), 1)
    yield case("to the same shape", normal(2, 3), 2, 3)


@edges("T", "mT", "H", "mH")
def matrix():
    yield case("not square", normal(2, 3))
    yield case("not contiguous", normal(3, 4)[:, ::2])
    yield case("nothing", normal(0, 2))
