"""Edge cases of indexing: what is read twice, never, or overwritten; ties in sorting."""

from dataclasses import replace

import torch

from press.trials.operators.cases import case, edges, indices, inf, normal, number, numbers, tied


@edges("__getitem__")
def getitem():
    yield case("the same row twice", normal(3, 2), [0, 2, 0])
    yield case("a mask", normal(3, 2), torch.tensor([True, False, True]))
    yield case(
        "slice, new dimension, ellipsis", normal(3, 4, 2), (slice(None, None, 2), None, ..., 1)
    )


@edges("index_select")
def index_select():
    yield case("the same index twice", normal(3, 2), 1, indices(1, 1, 0))
    yield case("one number", number(2.0), 0, indices(0))


@edges("take")
def take():
    yield case("the same index twice, negative", normal(2, 3), indices([0, -1], [0, 4]))
    yield case("one number", number(2.0), indices(0, 0))


@edges("gather")
def gather():
    yield case("the same index twice", normal(3, 2), 0, indices([0, 0], [0, 1]))
    yield case("an index that is smaller", normal(3, 4), 1, indices([2, 2, 0]))
    yield case("nothing is read", normal(3, 2), 0, torch.zeros(0, 2, dtype=torch.long))
    yield case("one number", number(2.0), 0, torch.tensor(0))


@edges("take_along_dim")
def take_along_dim():
    yield case("over all entries", normal(2, 3), indices(0, 5, 5))
    yield case("an index that repeats", normal(2, 3), indices([2, 2]), 1)


@edges("scatter_add")
def scatter_add():
    yield case("the same place twice", normal(3), 0, indices(0, 0, 2), normal(3))
    yield case("an index that is smaller", normal(3, 3), 0, indices([0, 1]), normal(1, 2))


@edges("scatter")
def scatter():
    yield case("a number", normal(3), 0, indices(0, 2), value=5.0).wrt("input")
    yield case("an index that is smaller", normal(3, 3), 1, indices([0, 2]), normal(1, 2))


for _reduce in ("sum", "mean", "amax", "amin", "prod"):

    @edges(f"scatter_reduce.{_reduce}")
    def scatter_reduce(reduce=_reduce):
        x, index, s = numbers(1, 2, 0, 4), indices(0, 0, 2, 0), numbers(1, 3, 2, 1)
        for own in (True, False):
            told = f"ties and zeros, include_self={own}"
            made = case(told, x, 0, index, s, reduce, include_self=own)
            if reduce == "amin" and not own:
                lost = "x ties, has no part in the result, and is given a share that is lost"
                made = made.inexact("autograd", 1.0, lost)
            yield made.kink() if reduce in ("amax", "amin") else made
        if reduce == "amin":
            tie = case("x ties, and has no part", numbers(1, 5), 0, indices(0), numbers(1), reduce,
                       include_self=False)  # fmt: skip
            yield tie.inexact("autograd", 1.0, lost)
        one = number(2.0), 0, torch.tensor(0), number(3.0), reduce
        yield case("one number", *one)
        corner = normal(3, 4), 1, indices([0, 0], [3, 1]), normal(2, 2), reduce
        yield case("an index that is smaller", *corner)
        if reduce == "prod":
            zeros = numbers(0, 3, 0, 2)
            yield case("two zeros in one place", x, 0, index, zeros, reduce)


@edges("index_add")
def index_add():
    yield case("the same row twice, alpha", normal(3, 2), 0, indices(0, 0), normal(2, 2), alpha=-2)
    yield case("columns", normal(2, 3), -1, indices(2, 0), normal(2, 2))


@edges("index_copy")
def index_copy():
    yield case("columns", normal(2, 3), 1, indices(2, 0), normal(2, 2))
    yield case("one number", number(2.0), 0, indices(0), number(3.0))
    yield case("all rows, in another order", normal(3, 2), 0, indices(2, 0, 1), normal(3, 2))


@edges("index_fill")
def index_fill():
    yield case(
        "a tensor for the value, an index twice", normal(2, 3), 1, indices(2, 2), number(5.0)
    )
    yield case("a number", normal(2, 3), 0, indices(1), 5.0)


@edges("index_put")
def index_put():
    yield case("accumulate, the same place twice", normal(3), (indices(0, 0),), normal(2), True)
    yield case("a value that repeats", normal(3, 2), (indices(0, 2),), normal(2))
    yield case("a mask", normal(3), (torch.tensor([True, False, True]),), normal(2))


@edges("masked_select")
def masked_select():
    yield case("a mask that repeats", normal(2, 3), torch.tensor([True, False, True]))
    yield case("an argument that repeats", normal(3), torch.rand(2, 3) > 0.4)


@edges("masked_scatter")
def masked_scatter():
    mask = torch.tensor([True, False, True])
    yield case("a source with entries left over", normal(3), mask, normal(4))
    yield case("a mask that repeats", normal(2, 3), mask, normal(5))


@edges("nn.functional.embedding")
def embedding():
    index, weight = indices(0, 2, 2, 3), normal(4, 3)
    told = "padding_idx gives its row the gradient 0, which is not the derivative"
    yield case("padding_idx", index, weight, 2).disagrees(forward=told, finite=told).real()
    yield case("padding_idx=-1", index, weight, -1).disagrees(forward=told, finite=told).real()
    told = "scale_grad_by_freq divides by the number of reads, which is not the derivative"
    scaled = case("scale_grad_by_freq", index, weight, scale_grad_by_freq=True)
    yield scaled.disagrees(forward=told, finite=told).real()
    yield case("sparse", index, weight, sparse=True).real()


@edges("sort", "msort")
def sort():
    yield case("no tie", normal(4, 3))
    yield case("one number", number(2.0))


@edges("sort")
def sort_ties():
    yield case("ties, stable, descending", tied(3, 6), dim=1, descending=True, stable=True).kink()


@edges("msort")
def msort_ties():
    yield case("ties", tied(6, 2)).kink()


@edges("topk")
def topk():
    yield case("ties", tied(3, 6), 2).kink()
    yield case("the smallest, along the first, unsorted", normal(5, 2), 3, 0, False, False)


@edges("scatter")
def reduced():
    for reduce in ("add", "multiply"):
        made = case(f"reduce={reduce}", normal(3), 0, indices(0, 2), normal(2), reduce=reduce)
        yield made.refuses().real()


@edges("index_add")
def complex_alpha():
    told = "PyTorch multiplies by α where its conjugate belongs"
    made = case("a complex alpha", normal(3), 0, indices(0, 2), normal(2), alpha=1 + 2j)
    made = replace(made, dtypes=(torch.complex128,)).inexact("autograd", inf, told)
    yield made


@edges("index_put")
def one_value():
    yield case("accumulate, one value", normal(3), (indices(0, 0, 2),), number(2.0), True)


@edges("nn.functional.embedding")
def read_often():
    yield case("a row read six times", indices(1, 1, 1, 1, 1, 1, 0), normal(3, 2))
    index, weight = indices(1, 1, 1, 1, 1, 0), normal(3, 2)
    told = "scale_grad_by_freq divides by the number of reads, which is not the derivative"
    scaled = case("a row read five times, scaled", index, weight, scale_grad_by_freq=True)
    yield scaled.disagrees(forward=told, finite=told).real()


@edges("nn.functional.embedding")
def shortened():
    told = "rows that are too long are shortened where they lie"
    made = case("max_norm", indices(0, 2, 2), normal(4, 3), max_norm=0.5, norm_type=1.0)
    yield made.kink(told).real()
