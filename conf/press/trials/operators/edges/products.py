"""Edge cases of products: vectors, batches that repeat, factors, and what einsum can write."""

from dataclasses import replace

import torch

from press.trials.operators.cases import case, edges, normal, number, numbers


@edges("matmul", "__rmatmul__")
def matmul():
    yield case("vector times vector", normal(3), normal(3))
    yield case("vector times batch", normal(3), normal(2, 3, 4))
    yield case("batch times vector", normal(2, 4, 3), normal(3))
    yield case("both batches repeat", normal(2, 1, 3, 4), normal(5, 4, 2))


@edges("mm")
def mm():
    yield case("all sizes differ", normal(2, 3), normal(3, 4))
    yield case("over nothing: the result is 0", normal(2, 0), normal(0, 4))
    yield case("a column times a row", normal(2, 1), normal(1, 4))


@edges("bmm")
def bmm():
    yield case("all sizes differ", normal(5, 2, 3), normal(5, 3, 4))
    yield case("over nothing: the result is 0", normal(5, 2, 0), normal(5, 0, 4))
    yield case("a batch of one, rows times columns", normal(1, 1, 3), normal(1, 3, 1))


@edges("mv")
def mv():
    yield case("all sizes differ", normal(2, 3), normal(3))
    yield case("over nothing: the result is 0", normal(2, 0), normal(0))
    yield case("one row", normal(1, 3), normal(3))


@edges("dot", "vdot")
def dot():
    yield case("vectors", normal(4), normal(4))
    yield case("over nothing: the result is 0", normal(0), normal(0))
    yield case("a zero in each", numbers(0, 2, -1), numbers(3, 0, 2))


@edges("inner")
def inner():
    yield case("a matrix and a vector", normal(3, 4), normal(4))
    yield case("a vector and a matrix", normal(4), normal(3, 4))
    yield case("two batches", normal(2, 3, 4), normal(5, 4))
    yield case("a number", normal(), normal(3))


@edges("linalg.vecdot")
def vecdot():
    yield case("along the first dimension, repeated", normal(3, 4), normal(3, 1), dim=0)
    yield case("batches that repeat", normal(2, 1, 3), normal(4, 3))


@edges("outer")
def outer():
    yield case("two lengths", normal(3), normal(4))
    yield case("one entry, and a zero", normal(1), numbers(0, 2, 3))


@edges("nn.functional.linear")
def linear():
    yield case("a vector for the weight", normal(2, 5), normal(5))
    yield case("one row, with a bias", normal(5), normal(3, 5), normal(3))
    yield case("two leading dimensions, with a bias", normal(2, 4, 5), normal(3, 5), normal(3))


@edges("addmm", "addmm.decomposed")
def addmm():
    yield case(
        "beta and alpha, a row added", normal(4), normal(2, 3), normal(3, 4), beta=0.5, alpha=-2
    )
    told = "beta=0: what is added has no part"
    yield case(told, normal(2, 4), normal(2, 3), normal(3, 4), beta=0)


@edges("baddbmm")
def baddbmm():
    yield case(
        "beta and alpha, repeated",
        normal(1, 4),
        normal(5, 2, 3),
        normal(5, 3, 4),
        beta=0.5,
        alpha=-2,
    )


@edges("addbmm")
def addbmm():
    yield case(
        "beta and alpha, repeated", normal(4), normal(5, 2, 3), normal(5, 3, 4), beta=0.5, alpha=-2
    )


@edges("addmv")
def addmv():
    yield case(
        "beta and alpha, a number added", normal(), normal(2, 3), normal(3), beta=0.5, alpha=-2
    )


@edges("addr")
def addr():
    yield case("beta and alpha, a row added", normal(4), normal(3), normal(4), beta=0.5, alpha=-2)


@edges("einsum")
def einsum():
    yield case("without an arrow", "ij,jk", normal(2, 3), normal(3, 4))
    yield case("without an arrow, letters out of order", "ba", normal(2, 3))
    yield case("a trace", "ii", normal(3, 3))
    yield case("a diagonal", "ii->i", normal(3, 3))
    yield case("an ellipsis that repeats", "...ij,...jk", normal(1, 2, 3), normal(5, 3, 4))
    yield case("an ellipsis that one lacks", "...ij,...jk->...ik", normal(2, 3), normal(5, 3, 4))
    yield case("three factors", "ij,jk,kl->il", normal(2, 3), normal(3, 4), normal(4, 5))
    yield case("an index that is summed out", "bij->b", normal(2, 3, 4))
    yield case("a diagonal times a matrix", "iij,jk->ik", normal(2, 2, 3), normal(3, 4))
    yield case("a size of 1 that repeats", "ij,jk->ik", normal(2, 1), normal(3, 4))
    yield case("as a list", "i,i->", [normal(3), normal(3)])


@edges("nn.functional.bilinear")
def bilinear():
    yield case(
        "two leading dimensions", normal(2, 4, 3), normal(2, 4, 5), normal(6, 3, 5), normal(6)
    )
    yield case("no bias", normal(4, 3), normal(4, 5), normal(6, 3, 5))


@edges("tensordot")
def tensordot():
    yield case("one dimension", normal(2, 3), normal(3, 4), 1)
    yield case("named, out of order", normal(2, 3, 4), normal(4, 5, 2), ([0, 2], [2, 0]))
    yield case("none", normal(2), normal(3), 0)


@edges("kron")
def kron():
    yield case("all sizes differ", normal(2, 3), normal(4, 5))
    yield case("of other dimensions", normal(2), normal(3, 4))
    yield case("of other dimensions, the larger first", normal(3, 4), normal(2))
    yield case("numbers", number(2.0), number(3.0))


@edges("linalg.cross", "cross")
def cross():
    yield case("along the first dimension", normal(3, 2), normal(3, 2), dim=0)
    yield case("repeated", normal(2, 3), normal(1, 3))


@edges("linalg.multi_dot")
def multi_dot():
    yield case("vectors at both ends", [normal(2), normal(2, 3), normal(3, 4), normal(4)])
    yield case("two matrices", [normal(2, 3), normal(3, 4)])
    yield case("four, a vector at the end", [normal(2, 3), normal(3, 4), normal(4, 5), normal(5)])


@edges("linalg.matrix_power")
def matrix_power():
    for n in (0, 1, 2, 3, -1, -2):
        yield case(f"power {n}", normal(3, 3) + 3 * torch.eye(3), n)
    yield case("power 0, singular", 0 * normal(3, 3), 0)


FACTORS = {"beta": 2 - 1j, "alpha": 1 + 3j}
ARGUMENTS = {
    "addmm": ((2, 4), (2, 3), (3, 4)),
    "baddbmm": ((5, 2, 4), (5, 2, 3), (5, 3, 4)),
    "addbmm": ((2, 4), (5, 2, 3), (5, 3, 4)),
    "addmv": ((2,), (2, 3), (3,)),
    "addr": ((2, 3), (2,), (3,)),
}
for _name, _shapes in ARGUMENTS.items():

    @edges(_name)
    def complex_factors(shapes=_shapes):
        made = case("complex beta and alpha", *(normal(*shape) for shape in shapes), **FACTORS)
        yield replace(made, dtypes=(torch.complex128,))


@edges("cross")
def first_of_size_three():
    yield case("no dim, three of size 3: the first", normal(3, 3, 3), normal(3, 3, 3))
    yield case("no dim, the first of two", normal(3, 5), normal(3, 5))
    yield case("no dim, in the middle", normal(2, 3, 4), normal(2, 3, 4))
    yield case("dim by its place", normal(2, 3), normal(2, 3), 1)


@edges("linalg.cross")
def last_of_size_three():
    yield case("no dim: the last", normal(3, 3), normal(3, 3))
    yield case("both repeated", normal(2, 1, 3), normal(1, 4, 3))


@edges("einsum")
def sublists():
    a, b = normal(2, 3), normal(3, 4)
    yield case("lists of numbers", a, [0, 1], b, [1, 2])
    yield case("lists of numbers, and one for the result", a, [0, 1], b, [1, 2], [2, 0])
    yield case("lists with an ellipsis", normal(5, 2, 3), [..., 0, 1], b, [1, 2], [..., 2, 0])
    yield case("large letters beside an ellipsis", "...A,AB->...B", normal(5, 2, 3), normal(3, 4))


@edges("kron", "outer")
def of_vectors():
    yield case("vectors", normal(2), normal(3))
