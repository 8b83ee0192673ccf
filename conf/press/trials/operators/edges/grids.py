"""Edge cases of sampling: outside, mirrored twice, one entry, every mode and border."""

from itertools import product

from press.trials.operators.cases import case, edges, normal, numbers


@edges("nn.functional.grid_sample")
def grid_sample():
    for mode, border, corners in product(
        ("bilinear", "nearest", "bicubic"), ("zeros", "border", "reflection"), (False, True)
    ):
        told = f"{mode}, {border}, align_corners={corners}, far outside"
        made = case(told, normal(1, 2, 3, 4), 3 * normal(1, 2, 3, 2), mode, border, corners)
        yield made.real()
    yield case("one entry", normal(1, 1, 1, 1), numbers([[[0.2, -0.3]]]), align_corners=True).real()


@edges("grid_sampler_2d")
def grid_sampler_2d():
    yield case("mirrored", normal(1, 2, 3, 4), 2 * normal(1, 2, 3, 2), 0, 2, False).real()
    yield case("cubic", normal(1, 2, 5, 4), normal(1, 2, 3, 2), 2, 0, True).real()


@edges("grid_sampler_3d")
def grid_sampler_3d():
    yield case("mirrored", normal(1, 2, 3, 4, 2), 2 * normal(1, 2, 3, 1, 3), 0, 2, False).real()
    yield case("clamped", normal(1, 1, 3, 2, 2), 2 * normal(1, 2, 1, 1, 3), 0, 1, True).real()
