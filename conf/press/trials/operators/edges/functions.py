"""Edge cases of functions of one number: the ends of the domain, 0, and where others would lose."""

from dataclasses import replace

import torch

from press.trials.operators.cases import case, edges, inf, number, numbers

INSIDE = {
    "exp": (-30, 0, 2), "exp2": (-30, 0, 2), "expm1": (-30, 0, 1e-9, 2), "log": (0.01, 1, 50),
    "log1p": (-0.5, 0, 1e-9, 50), "log2": (0.01, 1, 8), "log10": (0.01, 1, 100),
    "sqrt": (0.01, 1, 9), "rsqrt": (0.01, 1, 9), "sin": (-4, 0, 1, 30), "cos": (-4, 0, 1, 30),
    "tan": (-1, 0, 1.2), "asin": (-0.9, 0, 0.5), "acos": (-0.9, 0, 0.5), "atan": (-30, 0, 2),
    "sinh": (-3, 0, 2), "cosh": (-3, 0, 2), "tanh": (-3, 0, 0.5), "asinh": (-30, 0, 2),
    "acosh": (1.1, 2, 30), "atanh": (-0.9, 0, 0.5), "sigmoid": (-8, 0, 3), "erf": (-2, 0, 1),
    "erfc": (-2, 0, 1), "erfinv": (-0.9, 0, 0.5), "lgamma": (-1.5, 0.5, 1, 7),
    "digamma": (-1.5, 0.5, 1, 7), "sinc": (-1.5, 0.5, 1), "deg2rad": (-90, 0, 45),
    "rad2deg": (-1, 0, 2), "logit": (0.01, 0.5, 0.8),
}  # fmt: skip
for _name, _points in INSIDE.items():

    @edges(_name)
    def inside(points=_points):
        told = ", ".join(f"{x:g}" for x in points)
        yield case(f"at {told}", numbers(*points))
        yield case("one number", number(points[-1]))


@edges("sqrt", "rsqrt", "log", "log2", "log10")
def at_zero():
    yield case("at 0: infinite", numbers(0, 1)).real()


@edges("asin", "acos", "atanh")
def at_one():
    yield case("at ±1: infinite", numbers(-1, 1, 0.5)).real()


@edges("sinc")
def at_the_middle():
    yield case("at 0", numbers(0, 0.25))


@edges("exp", "tanh", "sigmoid")
def far():
    yield case("at ±∞", numbers(-inf, 1)).real().kink("∞ does not move")


@edges("logit")
def clamped():
    yield case("eps: inside, at the bounds, beyond", numbers(0.05, 0.1, 0.5, 0.9, 0.95), 0.1).kink()
    yield case("outside [0, 1]: NaN", numbers(-1, 0.5, 2))
    yield case("eps, all inside", numbers(0.2, 0.7), 0.1)


@edges("acosh")
def left_of_the_cut():
    left = replace(
        case("left of 0, off the cut", numbers(-0.5, -2, -3)), dtypes=(torch.complex128,)
    )
    yield left


@edges("sinc")
def near_the_middle():
    yield case("beside 0", numbers(9e-4, -5e-4))
