"""Edge cases of moving data: pieces of several sizes, nothing, and back again."""

from press.trials.operators.cases import case, edges, indices, normal, number


@edges("cat")
def cat():
    yield case("pieces of several sizes, negative dim", [normal(2, 1), normal(2, 3)], -1)
    yield case("with an empty vector", [normal(2, 3), normal(0)])


@edges("stack")
def stack():
    yield case("at the end", [normal(2, 3), normal(2, 3)], -1)
    yield case("three numbers", [number(1.0), number(2.0), number(3.0)])


@edges("hstack")
def hstack():
    yield case("vectors", [normal(2), normal(3)])
    yield case("numbers", [number(1.0), number(2.0)])
    yield case("one vector alone", [normal(3)])
    yield case("matrices", [normal(2, 1), normal(2, 3)])


@edges("vstack")
def vstack():
    yield case("a vector and a matrix", [normal(3), normal(2, 3)])
    yield case("numbers", [number(1.0), number(2.0)])
    yield case("more than matrices", [normal(2, 3, 2), normal(1, 3, 2)])


@edges("split", "unsafe_split")
def split():
    yield case("a last piece that is smaller", normal(5, 2), 2)
    yield case("one piece, along the last", normal(2, 3), 4, -1)


@edges("split.list_args", "split_with_sizes", "split_with_sizes_copy")
def split_list():
    yield case("pieces of several sizes", normal(2, 6), [1, 2, 3], -1)
    yield case("an empty piece", normal(3, 2), [1, 0, 2])


@edges("chunk", "unsafe_chunk")
def chunk():
    yield case("fewer than asked for", normal(5), 4)
    yield case("a last piece that is smaller, along the last", normal(2, 5), 2, -1)


@edges("tensor_split")
def tensor_split():
    yield case("at indices, one piece empty", normal(5, 2), (1, 1, 4))
    yield case("a number of pieces, along the last", normal(2, 7), 3, -1)


@edges("unbind", "unbind_copy")
def unbind():
    yield case("along the last", normal(2, 3), -1)
    yield case("a vector into numbers", normal(3))


@edges("flip")
def flip():
    yield case("two of three", normal(2, 3, 4), (0, -1))
    yield case("one of two", normal(2, 3), (1,))
    yield case("no dimension", normal(2, 3), ())


@edges("fliplr")
def fliplr():
    yield case("a matrix", normal(2, 3))
    yield case("three dimensions", normal(2, 3, 4))


@edges("flipud")
def flipud():
    yield case("a vector", normal(3))
    yield case("three dimensions", normal(2, 3, 4))


@edges("roll")
def roll():
    yield case("over all entries", normal(2, 3), 2)
    yield case("two dimensions", normal(2, 3), (1, -2), (0, 1))


@edges("rot90")
def rot90():
    yield case("backwards, other dimensions", normal(2, 3, 4), -1, (1, 2))
    yield case("three quarters, the dimensions exchanged", normal(2, 3), 3, (1, 0))


@edges("repeat")
def repeat():
    yield case("a new dimension too", normal(2, 3), 2, 1, 3)
    yield case("one number", number(2.0), 3)
    yield case("never: nothing is left", normal(2, 3), 0, 2)


@edges("tile")
def tile():
    yield case("fewer numbers than dimensions", normal(2, 3), (2,))
    yield case("more numbers than dimensions", normal(3), (2, 1, 2))


@edges("repeat_interleave")
def repeat_interleave():
    yield case("as often as a tensor says, once never", normal(3, 2), indices(2, 0, 1), 0)
    yield case("all entries", normal(2, 3), 2)


@edges("nn.functional.pad.constant")
def pad():
    yield case("negative on one side", normal(2, 5), (-1, 2))
    yield case("a value", normal(2, 3), (1, 1, 0, 2), "constant", 5.0)
    yield case("one entry", normal(1), (1, 2))
    yield case("nothing but the padding", normal(0), (1, 2))


@edges("nn.functional.pad.replicate_negative")
def pad_negative():
    yield case("negative on both sides", normal(1, 2, 6), (-1, -2), "replicate")
    yield case("negative on one side", normal(1, 2, 4, 5), (-1, 2, 1, -2), "replicate")


@edges("nn.functional.pad.reflect", "nn.functional.pad.replicate", "nn.functional.pad.circular")
def pad_modes():
    mode = "reflect"
    yield case(f"two sides, {mode}", normal(1, 2, 4), (2, 1), mode)
    yield case("replicate", normal(1, 2, 4), (2, 1), "replicate")
    yield case("circular", normal(1, 2, 4), (2, 1), "circular")


@edges("nn.functional.unfold")
def unfold():
    yield case("overlap, padding, stride", normal(1, 2, 5, 4), (3, 2), 1, 1, 2)
    yield case("gaps, dilation, no batch", normal(2, 5, 6), 2, (2, 1), 0, (1, 3))


@edges("nn.functional.pixel_shuffle")
def pixel_shuffle():
    yield case("factor 2", normal(1, 8, 2, 3), 2)
    yield case("factor 3, no batch", normal(9, 1, 2), 3)


@edges("nn.functional.pixel_unshuffle")
def pixel_unshuffle():
    yield case("factor 2", normal(1, 2, 4, 6), 2)
    yield case("factor 3, no batch", normal(1, 3, 6), 3)


@edges("nn.functional.channel_shuffle")
def channel_shuffle():
    yield case("two groups of three", normal(1, 6, 2, 2), 2)
    yield case("three groups of two", normal(2, 6, 3), 3)


@edges("meshgrid.variadic_tensors")
def meshgrid():
    yield case("xy", normal(2), normal(3), indexing="xy")
    yield case("three, ij", normal(2), normal(3), normal(4), indexing="ij")
    yield case("four, xy", normal(2), normal(3), normal(4), normal(5), indexing="xy")


@edges("meshgrid.list_of_tensors")
def meshgrid_of_a_list():
    yield case("xy, one is a number", [normal(2), number(2.0), normal(3)], indexing="xy")
    yield case("one", [normal(3)], indexing="xy")


@edges("cat", "stack", "hstack", "vstack")
def promoted():
    pieces = [normal(2, 3), normal(2, 3).float(), normal(2, 3)]
    yield case("one in single precision", pieces).kink("half of the digits").real()


@edges("flip")
def flipped_by_places():
    yield case("one dimension", normal(2, 3), (1,))
