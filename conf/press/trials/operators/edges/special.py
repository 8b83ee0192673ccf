"""Edge cases of special functions: 0, the tails, and the ends of the domain."""

import torch

from press.trials.operators.cases import case, edges, indices, inf, normal, number, numbers

POINTS = {
    "i0": (-3, 0, 0.5, 9), "special.i0e": (-3, 0.5, 90), "special.i1": (-3, 0, 0.5, 9),
    "special.i1e": (-3, 0.5, 90), "special.ndtr": (-9, 0, 2), "special.ndtri": (1e-9, 0.5, 0.99),
    "special.log_ndtr": (-40, -3, 0, 8), "special.erfcx": (-3, 0, 4),
    "special.entr": (1e-9, 0.3, 1, 5), "frexp": (-3, 0.3, 0.7, 1e9),
}  # fmt: skip
for _name, _points in POINTS.items():

    @edges(_name)
    def inside(points=_points):
        told = ", ".join(f"{x:g}" for x in points)
        yield case(f"at {told}", numbers(*points)).real()
        yield case("one number", number(points[1])).real()


@edges("special.i0e", "special.i1e")
def at_the_middle():
    yield case("at 0", numbers(0, 1)).real().kink()


@edges("special.entr")
def entr():
    yield case("at 0: infinite; below: NaN", numbers(0, -1, 0.5)).real()


@edges("special.ndtri")
def ndtri():
    yield case("at 0 and 1: infinite", numbers(0, 1, 0.5)).real()


@edges("special.xlog1py")
def xlog1py():
    yield case("0 log 0", numbers(0, 0, 1), numbers(-1, 0.5, 2)).real().kink()
    yield case("with a number", normal(3), 0.5).real()
    yield case("a number with", 2.0, numbers(0.5, 3)).real()


@edges(*(f"polygamma.polygamma_n_{n}" for n in range(5)))
def polygamma():
    yield case("order 2, below 0", 2, numbers(-1.5, 0.5, 7)).real()
    yield case("order 0, one number", 0, number(0.5)).real()


@edges("special.polygamma.special_polygamma_n_0")
def special_polygamma():
    yield case("order 2", 2, numbers(0.5, 7)).real()
    yield case("order 0, one number", 0, number(0.5)).real()


@edges("mvlgamma.mvlgamma_p_1", "mvlgamma.mvlgamma_p_3", "mvlgamma.mvlgamma_p_5")
def mvlgamma():
    yield case("of order 3", numbers(1.2, 4), 3).real()
    yield case("of order 1, one number", number(0.2), 1).real()


@edges("copysign")
def copysign():
    yield case("0 and -0", numbers(0.0, -2, 2), numbers(-1, 0.0, -0.0)).real().kink()
    yield case("broadcast", normal(2, 3), normal(3)).real()
    yield case("a number's sign", normal(3), -1.0).real()


@edges("ldexp")
def ldexp():
    yield case("a whole power", normal(3), indices(0, 2, 5))
    told = "it raises 2 to whole powers in whole numbers, in which 1/4 is 0"
    below = case("a whole power below 0", normal(3), indices(0, -2, 5))
    yield below.inexact("autograd", inf, told).inexact("forward", inf, told)
    yield case("broadcast", normal(2, 3), normal(3))


@edges("frexp")
def frexp():
    yield case("of 0", numbers(0, 0.3)).real().kink()
    yield case("a power of 2", numbers(1, 2)).real().kink()


@edges("float_power")
def float_power():
    yield case("0 to the 0", numbers(0, 2), numbers(0, 0)).real().kink()
    yield case("a number with", 2.0, normal(3))


@edges("__rdiv__")
def rdiv():
    yield case("of a number", normal(3), 2)
    yield case("by 0: infinite", numbers(0, 2), numbers(1, 1)).real()


@edges("__rmod__")
def rmod():
    yield case("of a number", numbers(0.7, -0.7), 2).real().refuses()
    yield case("broadcast", numbers(0.7), numbers(2, -3)).real()


@edges("i0", "special.i1", "special.ndtr", "special.erfcx")
def far():
    yield case("nothing", torch.empty(0, dtype=torch.float64)).real()
    if inf:
        yield case("far away", numbers(-20, 20)).real()


@edges("ldexp")
def whole_exponents():
    told = "PyTorch raises 2 to a whole power in whole numbers: below 0 the gradient is 0"
    made = case("whole exponents", normal(4), torch.tensor([-2, -1, 0, 3]))
    yield made.inexact("autograd", inf, told).disagrees(forward=told)
