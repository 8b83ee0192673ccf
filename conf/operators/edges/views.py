"""Edge cases of views: negative dimensions, offsets, sizes of 1."""

from operators.cases import case, edges, normal, number


@edges("expand", "broadcast_to")
def repeated():
    yield case("new and repeated dimensions", normal(3, 1), (2, 3, 4))
    yield case("one number", number(2.0), (2, 3))


@edges("reshape", "view")
def reshaped():
    yield case("a size left open", normal(2, 6), (3, -1))


@edges("flatten")
def flattened():
    yield case("the last two", normal(2, 3, 4), -2)


@edges("unflatten")
def unflattened():
    yield case("a size left open", normal(2, 6), 1, (3, -1))


@edges("squeeze")
def squeezed():
    yield case("one of two", normal(1, 3, 1), -1)
    yield case("not of size 1", normal(2, 3), 0)


@edges("unsqueeze")
def unsqueezed():
    yield case("at the end", normal(2, 3), -1)


@edges("permute")
def permuted():
    yield case("a cycle, negative", normal(2, 3, 4), (-1, 0, 1))


@edges("transpose")
def transposed():
    yield case("negative", normal(2, 3, 4), -1, 0)


@edges("movedim")
def moved():
    yield case("two at once", normal(2, 3, 4), (0, 1), (2, 0))


@edges("diagonal", "linalg.diagonal")
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


@edges("tril", "triu")
def triangles():
    for diagonal in (-1, 0, 2):
        yield case(f"diagonal {diagonal}", normal(3, 4), diagonal)


@edges("select")
def selected():
    yield case("the last", normal(2, 3), 1, -1)


@edges("narrow")
def narrowed():
    yield case("from a negative start", normal(2, 5), 1, -3, 2)


@edges("unfold")
def windows():
    yield case("windows that overlap", normal(7), 0, 3, 2)
    yield case("windows with gaps", normal(2, 7), 1, 2, 3)
