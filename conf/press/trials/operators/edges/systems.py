"""Edge cases of linear systems: vectors, right-hand sides on either side, exchanged rows."""

import torch

from press.trials.operators.cases import case, edges, normal, number, numbers
from press.trials.operators.edges.factors import dominant


@edges("linalg.inv_ex")
def inv_ex():
    yield case("one number", numbers([2.0]))
    yield case("rows exchanged", dominant(3, 3).flip(0))


@edges("linalg.solve_ex")
def solve_ex():
    yield case("a vector", dominant(3, 3), normal(3))
    yield case("from the right", dominant(3, 3), normal(2, 3), left=False)


@edges("pinverse", "linalg.pinv.singular")
def pinverse():
    yield case("tall", normal(4, 2))
    yield case("wide", normal(2, 4))


@edges("linalg.pinv.hermitian")
def hermitian():
    made = dominant(3, 3)
    yield case("symmetric", made + made.mT, hermitian=True).real()
    yield case("negative", -made - made.mT, hermitian=True).real()


@edges("linalg.tensorsolve")
def tensorsolve():
    yield case("two axes", normal(2, 3, 6), normal(2, 3))
    yield case("an axis moved", normal(2, 6, 3), normal(2, 3), (1,))


@edges("linalg.lstsq", "linalg.lstsq.grad_oriented")
def lstsq():
    yield case("tall", normal(4, 2), normal(4, 3))
    yield case("wide", normal(2, 4), normal(2, 1))


@edges("linalg.cond")
def cond():
    for order in (None, -2):
        yield case(f"order {order}", dominant(3, 3), order)
    for order in (1, torch.inf, "fro"):
        yield case(f"order {order}", dominant(3, 3), order).refuses()


@edges("linalg.vander")
def vander():
    yield case("two columns", normal(3), N=2)
    yield case("0 among them", numbers(0, 2), N=4)
    yield case("one number", number(2.0).reshape(1), N=3)


@edges("triangular_solve")
def triangular_solve():
    told = "it reads the triangle that the function does not read"
    for upper, transpose in ((True, False), (False, True)):
        made = case(f"upper={upper}, transpose={transpose}", normal(3, 2), dominant(3, 3), upper)
        made = made if not transpose else case("lower, transposed", normal(3, 2), dominant(3, 3),
                                               False, True)  # fmt: skip
        yield made.inexact("forward", torch.inf, told)


@edges("linalg.lu_solve")
def linalg_lu_solve():
    packed, pivots = torch.linalg.lu_factor(dominant(3, 3).flip(0))
    for left in (True, False):
        for adjoint in (False, True):
            told = f"left={left}, adjoint={adjoint}"
            right = normal(3, 2) if left else normal(2, 3)
            yield case(told, packed, pivots, right, left=left, adjoint=adjoint)


@edges("lu_solve")
def lu_solve():
    packed, pivots = torch.linalg.lu_factor(dominant(3, 3).flip(0))
    yield case("rows exchanged", normal(3, 2), packed, pivots)
    yield case("one column", normal(3, 1), packed, pivots)
