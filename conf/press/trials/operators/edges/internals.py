"""Edge cases of operators inside of others."""

import torch

from press.trials.operators.cases import case, edges, indices, inf, normal, numbers, positive


@edges("native_layer_norm")
def native_layer_norm():
    yield case("without parameters", normal(3, 4), (4,), None, None, 1e-5).real()
    yield case("two dimensions", normal(2, 3, 2), (3, 2), normal(3, 2), None, 0.1).real()


@edges("native_group_norm")
def native_group_norm():
    yield case("without parameters", normal(2, 4, 3), None, None, 2, 4, 3, 2, 1e-5).real()
    made = case("a group a channel", normal(1, 3, 4), normal(3), normal(3), 1, 3, 4, 3, 0.1)
    yield made.real()


@edges("native_batch_norm", "_native_batch_norm_legit")
def native_batch_norm():
    for training in (True, False):
        made = case(
            f"training={training}", normal(4, 3, 2), normal(3), normal(3), normal(3), positive(3),
            training, 0.1, 1e-5,
        )  # fmt: skip
        yield made.real().wrt("input", "weight", "bias")


@edges("_batch_norm_with_update")
def with_update():
    for shape in ((4, 3), (2, 3, 2, 2)):
        made = case(
            f"{len(shape)} dimensions", normal(*shape), normal(3), normal(3), normal(3),
            positive(3), 0.1, 1e-5,
        )  # fmt: skip
        yield made.real().wrt("input", "weight", "bias")


@edges("torch.ops.aten._safe_softmax.default")
def safe_softmax():
    yield case("a row of -∞", numbers([-inf, -inf], [1, 2]), 1).real().kink("∞ does not move")
    yield case("one entry", normal(3, 1), 1).real()


@edges("_softmax_backward_data")
def softmax_backward_data():
    for dim in (0, 1):
        made = case(f"axis {dim}", normal(2, 3), positive(2, 3), dim, torch.float64)
        yield made.real()


@edges("native_dropout_backward")
def native_dropout_backward():
    mask = indices(1, 0, 1).bool()
    yield case("∞ behind the mask", numbers(1, inf, 2), mask, 2.0).real().kink("∞ does not move")
    yield case("everything kept", normal(3), mask | True, 1.0).real()


@edges("max_pool2d_with_indices_backward")
def max_pool2d_backward():
    x = normal(1, 1, 4, 4)
    index = torch.nn.functional.max_pool2d(x, 2, return_indices=True)[1]
    options = ([2, 2], [2, 2], [0, 0], [1, 1], False, index)
    yield case("windows apart", normal(1, 1, 2, 2), x, *options).real()
    index = torch.nn.functional.max_pool2d(x, 3, 1, return_indices=True)[1]
    options = ([3, 3], [1, 1], [0, 0], [1, 1], False, index)
    yield case("windows that overlap", normal(1, 1, 2, 2), x, *options).real()
