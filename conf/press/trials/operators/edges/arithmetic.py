"""Edge cases of arithmetic: numbers for tensors, broadcasting both ways, zeros."""

from dataclasses import replace

import torch

from press.trials.operators.cases import case, edges, inf, normal, number, numbers, positive

COMPLEX = (torch.complex128,)


@edges("add", "sub", "rsub")
def sums():
    yield case("a number for the other argument, alpha", normal(3), 2.5, alpha=-0.5)
    yield case("both arguments are repeated, alpha", normal(3, 1), normal(1, 4), alpha=3)
    yield case("one number against a matrix", number(2.0), normal(2, 3))


@edges("add", "sub", "rsub")
def complex_sums():
    yield replace(case("a complex alpha", normal(3), normal(3), alpha=2 - 1j), dtypes=COMPLEX)


@edges("addcmul", "addcdiv")
def complex_value():
    made = case("a complex value", normal(3), normal(3), positive(3), value=2 - 1j)
    yield replace(made, dtypes=COMPLEX)


@edges("mul", "div.no_rounding_mode", "true_divide")
def products():
    yield case("a number for the other argument", normal(3), 2.5)
    yield case("both arguments are repeated", normal(3, 1), positive(1, 4))
    yield case("zeros in the first argument", numbers(0, -1, 2), numbers(3, 4, 5))


@edges("div.trunc_rounding", "div.floor_rounding")
def rounded():
    for mode in ("trunc", "floor"):
        told = f"rounding_mode={mode}"
        yield case(told, numbers(-5.5, 5.5), numbers(2, 2), rounding_mode=mode).real()


@edges("pow")
def powers():
    yield case("0 to the powers 0, 1, 2, 3", numbers(0, 0, 0, 0), numbers(0, 1, 2, 3)).kink().real()
    yield case("a number for the exponent, at 0", numbers(0, 1, 2), 2.0)
    yield case("the exponent 0", numbers(0, 1, 2), 0.0)
    yield case("an exponent below 1 at 0: infinite", numbers(0, 1), 0.5).real()
    yield case("a negative base, a whole exponent", numbers(-2, -3), 3).real()
    yield case("both are repeated", positive(3, 1), normal(1, 2))


@edges("__rpow__")
def powers_of_a_number():
    yield case("2 to the powers in a tensor", 2.0, normal(4)).real()
    yield case("1 to the powers in a tensor, one number", 1.0, number(0.7)).real()


@edges("reciprocal", "square", "neg", "positive")
def one_argument():
    yield case("negative and positive", numbers(-2, 0.5, 3))
    yield case("one number", number(1.5))


@edges("reciprocal")
def poles():
    yield case("at 0: infinite", numbers(0, 1)).real()


@edges("lerp")
def between():
    yield case("a number for the weight", normal(3), normal(3), 0.3)
    yield case("three arguments, each repeated", normal(3, 1), normal(1, 4), positive(4))
    yield case("weights 0, 1 and beyond", normal(4), normal(4), numbers(0, 1, -1, 2))


@edges("addcmul", "addcdiv")
def three():
    yield case("value, all repeated", normal(3, 1), normal(4), positive(2, 1, 1), value=-2)
    yield case("one number each", number(1.0), number(2.0), number(3.0), value=0.5)


@edges("xlogy")
def entropy():
    yield case("x = 0 and z > 0", numbers(0, 0), numbers(0.5, 2))
    yield case("x = 0 and z ≤ 0", numbers(0), numbers(-1)).kink("outside the domain").wrt("input")
    yield case("x = z = 0: NaN for z", numbers(0), numbers(0))
    yield case("a number for x", 2.0, positive(3))
    yield case("a number for z", positive(3), 2.0)


@edges("atan2")
def angles():
    yield case("the axes and all quadrants", numbers(0, 1, -1, 1, -2), numbers(1, 0, 0, -3, -1))
    told = "at the origin reverse mode gives 0, forward mode NaN"
    yield case("the origin", numbers(0.0), numbers(0.0)).kink().disagrees(forward=told)
    yield case("both are repeated", normal(3, 1), normal(1, 4))


@edges("hypot")
def lengths():
    yield case("one side 0", numbers(0, -3), numbers(2, 0))
    yield case("the origin: NaN", numbers(0.0), numbers(0.0))


@edges("logaddexp", "logaddexp2")
def sums_of_exponentials():
    yield case("equal arguments", numbers(1, -2), numbers(1, -2)).real()
    yield case("far apart", numbers(50, -50), numbers(-50, 50)).real()
    yield case("one is -∞", numbers(-inf, 1), numbers(2, -inf)).real().kink("-∞ does not move")


@edges("__radd__", "__rsub__", "__rmul__")
def reflected():
    yield case("broadcast", normal(3), normal(2, 3))
    yield case("with a number", normal(3), 2)


@edges("mul")
def by_a_complex_number():
    yield replace(case("a complex number", normal(3), 2 - 3j), dtypes=COMPLEX)
    yield case("four dimensions", normal(2, 1, 2, 3), normal(2, 3, 1, 3))


@edges("pow")
def powers_at_zero():
    yield case("0 to negative powers", numbers(0, 0), numbers(-1, -0.5)).real()
    yield case("0 to tiny powers", numbers(0, 0, 0), numbers(1e-9, -1e-9, 1)).kink().real()
    yield case("whole exponents in a tensor", positive(3), torch.tensor([2, 3, 0]))


@edges("logaddexp", "logaddexp2")
def large_exponentials():
    yield case("one is ∞", numbers(inf, 1), numbers(2, inf)).real().kink("∞ does not move")
    yield case("both are ±∞", numbers(inf, -inf), numbers(inf, -inf)).real()
    yield case("large", numbers(2000, -2000, 1), numbers(1999, -1999.5, 3000)).real()


@edges("hypot")
def tiny_lengths():
    yield case("tiny and huge", numbers(3e-180, 3e180), numbers(4e-180, 4e180)).kink("tiny")


@edges("atan2")
def tiny_angles():
    yield case("small", numbers(3e-9, -1e-9), numbers(4e-9, 2e-9)).kink("small")
