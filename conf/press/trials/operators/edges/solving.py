"""Edge cases of linear systems and determinants: both sides, vectors, singular matrices."""

import torch

from press.trials.operators.cases import WRONG, case, edges, inf, normal, numbers

eye = torch.eye(3, dtype=torch.float64)


def regular(*batch: int) -> torch.Tensor:
    """A matrix far from singular, without symmetry."""
    return normal(*batch, 3, 3) + 3 * eye


@edges("linalg.inv", "linalg.det", "linalg.slogdet")
def inv():
    yield case("a batch", regular(2))
    yield case("an odd permutation, disturbed", eye[[1, 0, 2]] + 0.1 * normal(3, 3))


@edges("logdet", "matrix_exp")
def logdet():
    yield case("a batch", regular(2))
    yield case("one entry", 2 + normal(1, 1).abs())


@edges("matrix_exp")
def exponentials():
    yield case("no eigenvectors: a Jordan block", torch.diag(torch.ones(2).double(), 1))
    yield case("zero", 0 * normal(2, 2))


@edges("linalg.pinv")
def pinv():
    yield case("tall", normal(4, 3))
    yield case("wide", normal(2, 4))
    told = "rank 1: only steps that keep the rank have a derivative"
    yield case(told, normal(3, 1) @ normal(1, 3), rtol=1e-9).kink(told).real()


@edges("linalg.solve")
def solve():
    yield case("from the right", regular(), normal(2, 3), left=False)
    yield case("one matrix for a batch", regular(), normal(2, 3, 4))
    yield case("a batch for one right-hand side", regular(2), normal(3, 4))
    yield case("a vector", regular(), normal(3))


@edges("linalg.solve_triangular")
def solve_triangular():
    for upper in (False, True):
        for unit in (False, True):
            told = f"upper={upper}, unitriangular={unit}"
            yield case(told, regular(), normal(3, 2), upper=upper, unitriangular=unit)
            right = {"upper": upper, "left": False, "unitriangular": unit}
            yield case(f"{told}, from the right", regular(), normal(2, 3), **right)


@edges("cholesky_solve")
def cholesky_solve():
    for upper in (False, True):
        L = regular().triu() if upper else regular().tril()
        yield case(f"well conditioned, upper={upper}", normal(3, 2), L, upper)


@edges("cholesky_inverse")
def cholesky_inverse():
    for upper in (False, True):
        L = regular().triu() if upper else regular().tril()
        made = case(f"well conditioned, upper={upper}", L, upper).real()
        yield made.disagrees(forward=WRONG)


@edges("linalg.det")
def det():
    yield case("rank 2 of 3", normal(3, 2) @ normal(2, 3))
    yield case("rank 1 of 3: the gradient is 0", normal(3, 1) @ normal(1, 3))
    yield case("zero", 0 * normal(3, 3))
    yield case("one entry", normal(1, 1))


@edges("linalg.tensorinv")
def tensorinv():
    yield case("ind=1", normal(6, 2, 3), 1)
    yield case("ind=2", normal(2, 3, 6), 2)


@edges("linalg.det")
def exactly_singular():
    told = "of an exactly singular matrix PyTorch returns zeros; the cofactors are not"
    for rows in ([[1, 2], [2, 4]], [[1, 2, 3], [4, 5, 6], [7, 8, 9]]):
        made = case(f"exactly singular, {len(rows)} rows", numbers(*rows)).real()
        yield made.inexact("autograd", inf, told).disagrees(forward=told)


@edges("linalg.pinv")
def pinv_options():
    yield case("atol", normal(3, 2), atol=1e-6)
    half = normal(3, 3)
    told = "hermitian: only steps that stay Hermitian have a derivative"
    yield case("hermitian", half + half.mT + 4 * eye, hermitian=True).kink(told).real()
