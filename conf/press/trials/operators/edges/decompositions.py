"""Edge cases of decompositions: every shape and option, and spectra that are degenerate."""

import torch

from press.trials.operators.cases import case, edges, normal, numbers


def symmetric(n: int) -> torch.Tensor:
    """A symmetric matrix."""
    a = normal(n, n)
    return a + a.mT


@edges("linalg.cholesky")
def cholesky():
    for upper in (False, True):
        a = normal(4, 4)
        yield case(f"upper={upper}", a @ a.mT + 4 * torch.eye(4), upper=upper).real()


@edges("linalg.qr")
def qr():
    yield case("tall", normal(5, 3))
    yield case("wide", normal(3, 5))
    yield case("square, complete", normal(3, 3), "complete")
    yield case("wide, complete", normal(2, 4), "complete")
    yield case("no column", normal(3, 0))
    yield case("tall, complete", normal(4, 2), "complete").refuses()
    yield case("mode r", normal(3, 3), "r").refuses()


@edges("linalg.eigh")
def eigh():
    yield case("the upper triangle", symmetric(4), "U").shown_as(_without_sign).real()
    told = "two equal eigenvalues: those of a matrix that commutes"
    degenerate = numbers([2, 0, 0], [0, 2, 0], [0, 0, 5])
    yield case(told, degenerate).shown_as(lambda y: y[0].sum()).real()


@edges("linalg.eigvalsh")
def eigvalsh():
    yield case("no two equal", symmetric(4)).real()
    yield (
        case("two equal, sum of all", numbers([2, 0, 0], [0, 2, 0], [0, 0, 5]))
        .shown_as(torch.sum)
        .real()
    )


@edges("linalg.svd")
def svd():
    for shape in ((5, 3), (3, 5), (3, 3)):
        for full in (False, True):
            told = f"{shape[0]} by {shape[1]}, full_matrices={full}"
            yield case(told, normal(*shape), full).shown_as(_paired)
    for told, shape in (("tall", (4, 3)), ("wide", (3, 5))):
        yield case(f"{told}, a cotangent of all vectors", normal(*shape), True).real()


@edges("linalg.svdvals")
def svdvals():
    yield case("tall", normal(4, 3))
    yield case("wide", normal(2, 5))
    yield case("two equal, sum of all", numbers([2, 0], [0, 2])).shown_as(torch.sum).real()


def _without_sign(y: tuple) -> tuple:
    """Eigenvalues, and of the vectors what their sign does not change."""
    return y[0], y[1].abs()


def _paired(y: tuple) -> tuple:
    """Singular values, and products of a left and a right vector, whose phases cancel."""
    k = y[1].shape[-1]
    return y[1], (y[0][..., :k] * numbers(*range(1, k + 1))) @ y[2][..., :k, :]
