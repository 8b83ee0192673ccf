"""Edge cases of views: negative dimensions, offsets, sizes of 1."""

from press.trials.operators.cases import case, edges, normal, number


@edges("expand", "expand_copy", "broadcast_to")
def repeated():
    yield case("new and repeated dimensions", normal(3, 1), (2, 3, 4))
    yield case("one number", number(2.0), (2, 3))


@edges("expand_as")
def repeated_as():
    yield case("new and repeated dimensions", normal(3, 1), normal(2, 3, 4)).wrt("input")
    yield case("one number", number(2.0), normal(2, 3)).wrt("input")


@edges("reshape", "view", "view_copy")
def reshaped():
    yield case("a size left open", normal(2, 6), (3, -1))
    yield case("to a number", normal(1, 1), ())


@edges("reshape_as", "view_as")
def reshaped_as():
    yield case("another shape", normal(2, 6), normal(3, 4)).wrt("input")
    yield case("to a number", normal(1, 1), number(2.0)).wrt("input")


@edges("flatten")
def flattened():
    yield case("the last two", normal(2, 3, 4), -2)
    yield case("the first two", normal(2, 3, 4), 0, 1)
    yield case("one number", number(2.0))


@edges("ravel")
def ravelled():
    yield case("transposed: no view", normal(2, 3).T)
    yield case("one number", number(2.0))


@edges("unflatten")
def unflattened():
    yield case("a size left open", normal(2, 6), 1, (3, -1))
    yield case("the first of two, negative", normal(6, 2), -2, (2, 3))


@edges("squeeze", "squeeze_copy")
def squeezed():
    yield case("one of two", normal(1, 3, 1), -1)
    yield case("not of size 1", normal(2, 3), 0)


@edges("squeeze.multiple")
def squeezed_of_several():
    yield case("one of size 1, one not", normal(1, 3, 1), (0, 1))
    yield case("both ends, negative", normal(1, 3, 1), (-1, -3))


@edges("unsqueeze", "unsqueeze_copy")
def unsqueezed():
    yield case("at the end", normal(2, 3), -1)
    yield case("one number", number(2.0), 0)


@edges("atleast_1d", "atleast_2d", "atleast_3d")
def at_least():
    yield case("one number", number(2.0))
    yield case("a number, a vector and a matrix", number(2.0), normal(3), normal(2, 3))
    yield case("a list", [normal(3), number(2.0)])


@edges("permute", "permute_copy")
def permuted():
    yield case("a cycle, negative", normal(2, 3, 4), (-1, 0, 1))
    yield case("four, no exchange of two", normal(2, 3, 4, 5), (2, 0, 3, 1))


@edges("transpose", "transpose_copy")
def transposed():
    yield case("negative", normal(2, 3, 4), -1, 0)
    yield case("a dimension with itself", normal(2, 3), 1, 1)


@edges("t", "t_copy")
def transposed_matrix():
    yield case("a matrix", normal(2, 3))
    yield case("a vector stays", normal(3))
    yield case("one number", number(2.0))


@edges("movedim")
def moved():
    yield case("two at once", normal(2, 3, 4), (0, 1), (2, 0))
    yield case("one, negative", normal(2, 3, 4), -1, 0)


@edges("diagonal", "diagonal_copy", "linalg.diagonal")
def diagonals():
    for offset in (-1, 0, 2):
        yield case(f"offset {offset}", normal(3, 4), offset=offset)
    yield case("other dimensions", normal(3, 2, 4), offset=1, dim1=0, dim2=2)


@edges("diag")
def diag():
    yield case("of a matrix, below", normal(3, 4), -1)
    yield case("of a vector, above", normal(3), 2)


@edges("diag_embed")
def diag_embed():
    yield case("below, other dimensions", normal(2, 3), -1, 0, 2)
    yield case("above, the dimensions in the other order", normal(2, 3), 2, -1, 0)


@edges("tril", "triu")
def triangles():
    for diagonal in (-1, 0, 2):
        yield case(f"diagonal {diagonal}", normal(3, 4), diagonal)


@edges("select")
def selected():
    yield case("the last", normal(2, 3), 1, -1)
    yield case("down to a number", normal(3), 0, 1)


@edges("narrow", "narrow_copy")
def narrowed():
    yield case("from a negative start", normal(2, 5), 1, -3, 2)
    yield case("the first two rows", normal(4, 3), 0, 0, 2)
    yield case("nothing", normal(2, 5), 1, 3, 0)


@edges("unfold", "unfold_copy")
def windows():
    yield case("windows that overlap", normal(7), 0, 3, 2)
    yield case("windows with gaps", normal(2, 7), 1, 2, 3)


@edges("view_as_real")
def pairs_of_reals():
    yield case("numbers", normal(2, 3))
    yield case("one number", number(2.0))


@edges("view_as_complex")
def pairs_as_complex():
    yield case("pairs", normal(3, 2)).real()
    yield case("one pair", normal(2)).real()


@edges("diagonal")
def diagonal_of_the_first():
    yield case("three dimensions, no option: the first two", normal(3, 3, 3))
    yield case("an offset by its place", normal(3, 4), 1)


@edges("linalg.diagonal")
def diagonal_of_the_last():
    yield case("three dimensions, no option: the last two", normal(3, 3, 3))
    yield case("three sizes, no option", normal(2, 3, 4))
