"""Edge cases of scans and norms: zeros, ties, and every order."""

import torch

from press.trials.operators.cases import case, edges, inf, normal, number, numbers, tied

ORDERS = (-inf, -1.5, 0, 0.5, 1, 1.5, 2, 3, inf)


@edges("cumsum", "cumprod", "logcumsumexp")
def scanned():
    yield case("along the first dimension", normal(4, 3), 0)
    yield case("one number", number(2.0), 0)
    yield case("one entry", numbers(2), 0)


@edges("cumprod")
def zeros():
    yield case("nothing", normal(0), 0)
    yield case("one zero", numbers(2, 0, 3, 4), 0)
    yield case("two zeros", numbers(2, 0, 3, 0, 5), 0)


@edges("cummax", "cummin")
def running():
    yield case("ties", tied(3, 6), 1).kink()
    yield case("no tie, along the first", normal(5, 2), 0)
    yield case("one number", number(2.0), 0)


@edges("linalg.vector_norm")
def orders():
    for p in ORDERS:
        yield case(f"zeros and equal sizes, order {p}", numbers(2, -2, 0, 1), p).kink()
        yield case(f"order {p}, rows, kept", normal(3, 4), p, 1, True)
    for p in (0, 1, 2, 3, inf):
        yield case(f"all zeros, order {p}", numbers(0, 0, 0), p).kink()


@edges("linalg.matrix_norm")
def matrices():
    for p in ("fro", "nuc", 1, -1, 2, -2, inf, -inf):
        yield case(f"order {p}", normal(3, 4), p)
        yield case(f"order {p}, other dimensions, kept", normal(3, 2, 4), p, (0, 2), True)
    for p in (1, inf, -1):
        yield case(f"ties, order {p}", numbers([1, -2], [2, 1]), p).kink()


@edges("linalg.norm")
def either():
    yield case("no order: all entries", normal(3, 4))
    yield case("an order, one dimension", normal(3, 4), 3, 1)
    yield case("two dimensions, no order", normal(2, 3, 4), None, (0, 2))
    yield case("two dimensions, an order", normal(2, 3, 4), 1, (-1, 0))
    yield case("one dimension in a tuple, an order", normal(3, 4), 3, (1,))
    yield case("a matrix, order 1", normal(3, 4), 1)


@edges("linalg.norm.subgradients_at_zero")
def at_zero():
    for p in ("fro", 1, 2, inf):
        yield case(f"a matrix that is 0, order {p}", 0 * normal(2, 3), p).kink()


@edges("norm.fro", "norm.nuc")
def of_matrices():
    for p in ("fro", "nuc"):
        yield case(f"wide, {p}", normal(2, 3), p)
        yield case(f"other dimensions, kept, {p}", normal(3, 2, 4), p, (0, 2), True)


@edges("norm.inf")
def largest():
    for p in (inf, -inf):
        yield case(f"equal sizes, order {p}", numbers(2, -2, 1, 1), p).kink()
        yield case(f"order {p}, rows, kept", normal(3, 4), p, 1, True)


@edges("norm")
def older():
    yield case("p = 1, rows, kept", normal(3, 4), 1, 1, True)
    yield case("p = 2 at 0", numbers(0, 0)).kink()
    yield case("nuc", normal(3, 4), "nuc")


@edges("dist")
def apart():
    for p in (1, 2, 3, inf):
        yield case(f"order {p}", normal(4), normal(4), p)
    yield case("equal", numbers(1, 2), numbers(1, 2)).kink()
    yield case("both repeated", normal(3, 1), normal(1, 4))


@edges("nn.functional.normalize")
def unit():
    yield case("order 1, along the first", normal(3, 4), 1.0, 0)
    yield case("order 3", normal(3, 4), 3.0)
    yield case("shorter than eps", numbers([3e-3, 4e-3], [3, 4]), eps=0.1)
    yield case("zero", numbers([0, 0], [3, 4])).kink()
    yield case("exactly as long as eps", numbers([3, 4], [6, 8]), eps=5.0).kink()


@edges("renorm")
def shortened():
    yield case("some slices too long", normal(4, 3), 2, 0, 1.5)
    yield case("order 1, along the last", normal(3, 4), 1, 1, 2.0)
    yield case("exactly as long as allowed", numbers([3, 4], [6, 8]), 2, 0, 5.0).kink()
    told = "the step is larger than the numbers"
    yield case("very short ones", 1e-6 * normal(4, 3), 2, 0, 1e-6).kink(told)


@edges("logcumsumexp")
def steep():
    told = "its formula for forward mode loses what is far below the largest"
    yield case("800 after 0", numbers(0, 800, 1), 0).real().disagrees(forward=told)
    yield case("0 after 800", numbers(800, 0, -800), 0).real()


for _name in (
    "linalg.vector_norm",
    "linalg.matrix_norm",
    "linalg.norm",
    "norm",
    "cumsum",
    "cumprod",
):

    @edges(_name)
    def in_double_precision(name=_name):
        along = (0,) if name.startswith("cum") else ()
        made = case("dtype: double from single", normal(3, 4).float(), *along, dtype=torch.float64)
        yield made.kink("half of the digits").real()
