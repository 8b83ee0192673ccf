"""Edge cases of decompositions: every shape, and what leaves the factors as they are."""

import torch

from press.trials.operators.cases import case, edges, normal, numbers
from press.trials.operators.edges.decompositions import _paired, symmetric


def dominant(m: int, n: int) -> torch.Tensor:
    """A matrix whose pivots are its diagonal, with a distance."""
    return normal(m, n) / 4 + 2 * torch.eye(m, n, dtype=torch.float64)


@edges("cholesky", "linalg.cholesky_ex")
def cholesky():
    for upper in (False, True):
        a = normal(3, 3)
        made = a @ a.mT + 3 * torch.eye(3, dtype=torch.float64)
        yield case(f"upper={upper}", made, upper=upper).real()


@edges("qr")
def qr():
    yield case("tall", normal(4, 2))
    yield case("wide, all of Q", normal(2, 4), False)
    yield case("tall, all of Q", normal(4, 2), False).refuses()


@edges("svd")
def svd():
    for shape in ((4, 2), (2, 4)):
        yield case(f"{shape[0]} by {shape[1]}", normal(*shape)).shown_as(_with_adjoint)


def _with_adjoint(y):
    return _paired((y[0], y[1], y[2].mH))


@edges("svd_lowrank", "pca_lowrank")
def low_rank():
    wide = normal(3, 2) @ normal(2, 5)
    yield case("wide, of rank 2", wide, q=2, **_given()).shown_as(_values).real()
    tall = normal(5, 1) @ normal(1, 3)
    yield case("tall, of rank 1", tall, q=1, **_given()).shown_as(_values).real()


def _given() -> dict:
    return {"niter": 3}


def _values(y):
    return y[1]


@edges("linalg.eig")
def eig():
    yield case("symmetric: real eigenvalues", symmetric(3)).shown_as(lambda y: (y[0], y[1].abs()))
    yield case("a rotation", numbers([0, -1], [1, 0])).shown_as(lambda y: y[0]).real()


@edges("linalg.eigvals")
def eigvals():
    yield case("a rotation", numbers([0, -1], [1, 0])).real()
    triangular = case("triangular", numbers([1, 2, 3], [0, 2, 1], [0, 0, 4]))
    yield triangular.kink("a step may change the order of the eigenvalues")


@edges("linalg.lu", "linalg.lu_factor", "linalg.lu_factor_ex", "lu")
def lu():
    for shape in ((4, 2), (2, 4), (3, 3)):
        yield case(f"{shape[0]} by {shape[1]}", dominant(*shape))
    yield case("rows exchanged", dominant(3, 3).flip(0))


@edges("lu_unpack")
def lu_unpack():
    pivots = torch.tensor([2, 2], dtype=torch.int32)
    yield case("tall", normal(3, 2), pivots)
    yield case("wide", normal(2, 3), pivots)


@edges("linalg.householder_product")
def householder_product():
    yield case("fewer reflections than columns", normal(4, 3), normal(2))
    yield case("none", normal(3, 2), normal(0))
    yield case("one does nothing", normal(3, 2), numbers(0, 0.7))


@edges("ormqr")
def ormqr():
    for left in (True, False):
        for transpose in (False, True):
            told = f"left={left}, transpose={transpose}"
            yield case(told, normal(3, 2), normal(2), normal(3, 3), left, transpose)
