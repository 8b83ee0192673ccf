"""Edge cases of writing into a copy: what is written over, read twice, or written nowhere."""

from press.trials.operators.cases import case, edges, indices, inf, normal, numbers, tied


@edges("diagonal_scatter")
def diagonal_scatter():
    yield case("below, not square", normal(4, 3), normal(2), -2)
    yield case("an empty diagonal", normal(2, 2), normal(0), 2)


@edges("select_scatter")
def select_scatter():
    yield case("from the end", normal(3, 2), normal(3), 1, -1).real()
    yield case("over infinity", numbers([inf, 1.0], [2.0, 3.0]), normal(2), 0, 0).real()


@edges("slice_scatter")
def slice_scatter():
    yield case("a step", normal(5, 2), normal(2, 2), 0, 1, None, 2).real()
    yield case("from the end", normal(2, 4), normal(2, 2), -1, -2, None).real()
    yield case("nothing", normal(3), normal(0), 0, 2, 1).real()


@edges("slice")
def slice_():
    yield case("beyond the end", normal(3, 2), 0, 1, 9, 1)
    yield case("a step, from the end", normal(5), -1, -4, None, 2)


@edges("as_strided", "as_strided.partial_views", "as_strided_copy")
def as_strided():
    yield case("windows that overlap", normal(5), (3, 3), (1, 1), 0)
    yield case("every entry the same", normal(3), (2, 2), (0, 0), 1)
    yield case("nothing", normal(3), (0,), (1,), 0)


@edges("as_strided_scatter")
def as_strided_scatter():
    told = "it keeps the gradient where the source was written, and drops it everywhere else"
    made = case("every second", normal(6), normal(2), (2,), (2,), 1)
    yield made.inexact("autograd", inf, told)
    yield case("one row of a matrix", normal(2, 3), normal(3), (3,), (1,), 3).inexact(
        "autograd", inf, told
    )


@edges("index_reduce.mean", "index_reduce.prod", "index_reduce.amin", "index_reduce.amax")
def index_reduce():
    """The name of the reduction is read off the entry by the registration below."""
    yield from ()


for _kind in ("mean", "prod", "amin", "amax"):

    @edges(f"index_reduce.{_kind}")
    def reduced(kind=_kind):
        index = indices(0, 2, 0)
        yield case("twice to one place", normal(3, 2), 0, index, normal(3, 2), kind).real()
        only = case("without x", normal(3), 0, index, normal(3), kind, include_self=False)
        yield only.real()
        ties = case("ties", tied(3, 4), 0, index, tied(3, 4), kind).real()
        yield ties if kind == "mean" else ties.kink()


@edges("put")
def put():
    yield case("from the end", normal(2, 3), indices(-1, 0), normal(2))
    yield case("twice, added", normal(2, 3), indices(1, 1, 4), normal(3), True)


@edges("_unsafe_masked_index")
def unsafe_masked_index():
    mask = indices(1, 0, 1).bool()
    yield case("outside under the mask", normal(4), mask, [indices(3, 9, 0)], 2.0)
    yield case("twice", normal(4), mask | True, [indices(3, 3, 0)], 2.0)


@edges("_unsafe_masked_index_put_accumulate")
def unsafe_masked_index_put():
    mask = indices(1, 0, 1).bool()
    yield case("outside under the mask", normal(4), mask, [indices(3, 9, 0)], normal(3))
    yield case("twice", normal(4), mask | True, [indices(3, 3, 0)], normal(3))


@edges("constant_pad_nd")
def constant_pad_nd():
    yield case("cut off at one side", normal(2, 4), (-1, 2), 3.0)
    yield case("nothing is left", normal(2), (-1, -1))


@edges("diagflat")
def diagflat():
    yield case("of a matrix, below", normal(2, 2), -1)
    yield case("of nothing", normal(0))


@edges("block_diag")
def block_diag():
    yield case("a row and a matrix", normal(3), normal(2, 2))
    yield case("one number and nothing", normal(), normal(0, 2), normal(1, 1))


@edges("column_stack", "dstack")
def stacks():
    yield case("two rows of numbers", [normal(3), normal(3)])
    yield case("of one", [normal(2, 2)])


@edges("hsplit")
def hsplit():
    yield case("along the only axis", normal(4), 2)
    yield case("at places", normal(2, 5), [1, 4])


@edges("vsplit")
def vsplit():
    yield case("at places", normal(5, 2), [1, 4])
    yield case("an empty piece", normal(3, 2), [0, 1])


@edges("dsplit")
def dsplit():
    yield case("at places", normal(2, 1, 5), [1, 4])
    yield case("in halves", normal(1, 2, 4), 2)


@edges("broadcast_tensors")
def broadcast_tensors():
    yield case("both are repeated", normal(3, 1), normal(2))
    yield case("one alone", normal(3))
    yield case("against nothing", normal(1, 0), normal(2, 1))


@edges("combinations")
def combinations():
    yield case("of three, with repetition", normal(4), 3, True)
    yield case("more than there are", normal(2), 3)


@edges("cartesian_prod")
def cartesian_prod():
    yield case("one alone", normal(3))
    yield case("with nothing", normal(3), normal(0))
