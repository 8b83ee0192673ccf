"""Edge cases of convolution: every option at once, entries no window reaches, no batch."""

from press.trials.operators.cases import case, edges, normal


@edges("nn.functional.conv1d")
def conv1d():
    yield case("entries no window reaches", normal(1, 2, 8), normal(3, 2, 2), normal(3), 3)
    yield case("groups, dilation, padding", normal(2, 4, 9), normal(6, 2, 3), normal(6), 2, 1, 2, 2)
    yield case("same, an even kernel", normal(1, 2, 5), normal(3, 2, 4), padding="same")
    yield case("no batch", normal(2, 6), normal(3, 2, 3))


@edges("nn.functional.conv2d")
def conv2d():
    x = normal(2, 4, 7, 6)
    yield case("all options differ", x, normal(6, 2, 3, 2), normal(6), (2, 1), (1, 2), (1, 2), 2)
    yield case(
        "same, even kernels, dilation", x, normal(3, 4, 2, 4), padding="same", dilation=(3, 1)
    )
    yield case("one channel a group", x, normal(4, 1, 2, 3), groups=4)
    yield case("one stride for both dimensions", x, normal(3, 4, 2, 3), stride=(2,), padding=(1,))


@edges("nn.functional.conv3d")
def conv3d():
    yield case("all options differ", normal(1, 2, 5, 4, 6), normal(4, 1, 2, 3, 2), normal(4),
               (1, 2, 2), (0, 1, 1), (2, 1, 1), 2)  # fmt: skip
    yield case("no batch", normal(2, 3, 4, 3), normal(2, 2, 2, 1, 3))


@edges("nn.functional.conv_transpose1d")
def conv_transpose1d():
    yield case("output_padding", normal(2, 4, 5), normal(4, 3, 3), normal(6), 3, 1, 2, 2)
    yield case(
        "output_padding beyond padding", normal(1, 2, 4), normal(2, 3, 2), normal(3), 3, 0, 2
    )
    yield case("no batch", normal(2, 4), normal(2, 3, 3))


@edges("nn.functional.conv_transpose2d")
def conv_transpose2d():
    yield case("all options differ", normal(2, 4, 5, 3), normal(4, 3, 2, 3), normal(6),
               (2, 3), (1, 0), (1, 2), 2, (2, 1))  # fmt: skip
    yield case("no batch", normal(2, 3, 4), normal(2, 3, 2, 1))


@edges("nn.functional.conv_transpose3d")
def conv_transpose3d():
    yield case("all options differ", normal(1, 2, 3, 2, 4), normal(2, 2, 2, 1, 3), normal(2),
               (1, 2, 2), (0, 0, 1), (0, 1, 0))  # fmt: skip
    yield case("no batch, two groups", normal(4, 2, 3, 2), normal(4, 3, 2, 1, 2), groups=2)
