"""Edge cases of pooling: ties, overlap, windows that hang over, padding that counts or not."""

from press.trials.operators.cases import case, edges, normal, tied

for _n in (1, 2, 3):
    _shape = (7, 6, 5)[:_n]

    @edges(f"nn.functional.max_pool{_n}d")
    def max_pool(shape=_shape):
        yield case("ties, windows that overlap", tied(1, 2, *shape), 3, 1, 1).kink()
        yield case("dilation, hanging over", normal(1, 2, *shape), 2, 2, 1, 2, True)

    @edges(f"nn.functional.avg_pool{_n}d")
    def avg_pool(shape=_shape):
        for over in (False, True):
            for counted in (False, True):
                told = f"padding, ceil_mode={over}, count_include_pad={counted}"
                yield case(told, normal(1, 2, *shape), 3, 2, 1, over, counted)
        yield case("no batch", normal(2, *shape), 2)


@edges("nn.functional.avg_pool2d", "nn.functional.avg_pool3d")
def divisor():
    yield case("divisor_override", normal(2, 4, 5, 6), 2, divisor_override=3)


@edges("nn.functional.adaptive_max_pool1d")
def adaptive_max_pool1d():
    yield case("ties, uneven windows", tied(1, 2, 7), 3).kink()
    yield case("more windows than entries, no batch", normal(2, 3), 5)


@edges("nn.functional.adaptive_max_pool2d")
def adaptive_max_pool2d():
    yield case("ties, uneven windows", tied(1, 2, 7, 5), (3, 2)).kink()
    yield case("more windows than entries, no batch", normal(2, 3, 4), (5, 3))


@edges("nn.functional.adaptive_avg_pool1d")
def adaptive_avg_pool1d():
    yield case("uneven windows", normal(1, 2, 7), 3)
    yield case("more windows than entries", normal(1, 2, 3), 5)


@edges("nn.functional.adaptive_avg_pool2d")
def adaptive_avg_pool2d():
    yield case("uneven windows, one dimension kept", normal(1, 2, 7, 5), (3, None))
    yield case("more windows than entries, no batch", normal(2, 3, 4), (5, 3))


@edges("nn.functional.adaptive_avg_pool3d")
def adaptive_avg_pool3d():
    yield case("uneven windows", normal(2, 4, 5, 3), (3, 2, 2))
    yield case("more windows than entries", normal(1, 2, 2, 3, 1), (3, 2, 2))


@edges("nn.functional.interpolate.linear")
def linear():
    for corners in (False, True):
        yield case(
            f"fewer, align_corners={corners}",
            normal(1, 2, 7),
            3,
            mode="linear",
            align_corners=corners,
        )
        yield case(
            f"one, align_corners={corners}",
            normal(1, 2, 4),
            1,
            mode="linear",
            align_corners=corners,
        )
    yield case("a factor", normal(1, 2, 5), scale_factor=1.7, mode="linear")
    told = "a factor, recomputed"
    yield case(told, normal(1, 2, 5), scale_factor=1.7, mode="linear", recompute_scale_factor=True)


@edges("nn.functional.interpolate.bicubic")
def bicubic():
    for corners in (False, True):
        told = f"two sizes, align_corners={corners}"
        yield case(told, normal(1, 2, 5, 4), (7, 3), mode="bicubic", align_corners=corners)


@edges("nn.functional.interpolate.nearest")
def nearest():
    yield case("two factors", normal(1, 2, 4, 5), scale_factor=(1.6, 0.7))
    yield case("fewer", normal(1, 2, 7), 3)


@edges("nn.functional.interpolate.nearest-exact")
def nearest_exact():
    yield case("fewer", normal(1, 2, 7), 3, mode="nearest-exact")
    told = "two factors"
    yield case(told, normal(1, 2, 4, 5), scale_factor=(1.6, 0.7), mode="nearest-exact")


@edges("nn.functional.interpolate.bilinear")
def bilinear():
    for corners in (False, True):
        told = f"more rows, fewer columns, align_corners={corners}"
        yield case(told, normal(1, 2, 3, 5), (4, 2), mode="bilinear", align_corners=corners)


@edges("nn.functional.interpolate.trilinear")
def trilinear():
    for corners in (False, True):
        told = f"three sizes, align_corners={corners}"
        x = normal(1, 2, 3, 5, 2)
        yield case(told, x, (4, 2, 1), mode="trilinear", align_corners=corners)


@edges("nn.functional.interpolate.area")
def area():
    yield case("uneven windows", normal(1, 2, 7, 5), (3, 2), mode="area")
    yield case("a factor", normal(1, 2, 5), scale_factor=1.7, mode="area")


@edges("nn.functional.interpolate.bilinear", "nn.functional.interpolate.bicubic")
def filtered():
    yield case("antialias", normal(1, 1, 4, 5), (2, 3), mode="bilinear", antialias=True)
