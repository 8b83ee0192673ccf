"""Edge cases of distances: rows that are equal, every order, ties of the largest."""

import torch

from press.trials.operators.cases import case, edges, inf, normal, numbers, tied


@edges("cdist")
def cdist():
    for p in (0.5, 1.0, 2.0, 3.0, inf):
        yield case(f"order {p:g}", normal(3, 2), normal(4, 2), p).real()
    yield case("equal rows", numbers([1, 2]), numbers([1, 2], [0, 1])).real().kink()
    yield case("ties of the largest", tied(2, 3), tied(3, 3), inf).real().kink()
    yield case("many rows, by a product", normal(30, 2), normal(27, 2)).real()
    yield case("batches that broadcast", normal(2, 1, 3, 2), normal(3, 4, 2)).real()


@edges("nn.functional.pdist")
def pdist():
    for p in (0.5, 1.0, 2.0, 3.0, inf):
        yield case(f"order {p:g}", normal(4, 3), p).real()
    yield case("equal rows", numbers([1, 2], [1, 2], [0, 1])).real().kink()
    yield case("one row", normal(1, 3)).real()


@edges("nn.functional.cosine_embedding_loss")
def cosine_embedding_loss():
    signs = torch.tensor([1, -1, -1])
    yield case("both signs", normal(3, 4), normal(3, 4), signs, 0.1).real()
    yield case("one row, of sign 1", normal(2), normal(2), torch.tensor(1)).real()
    yield case("summed", normal(3, 4), normal(3, 4), signs, reduction="sum").real()


@edges("nn.functional.triplet_margin_loss")
def triplet_margin_loss():
    for options in ({"swap": True}, {"p": 1, "reduction": "none"}, {"margin": 9.0}):
        yield case(f"{options}", normal(4, 3), normal(4, 3), normal(4, 3), **options).real()


@edges("nn.functional.triplet_margin_with_distance_loss")
def with_distance():
    yield case("the usual distance", normal(4, 3), normal(4, 3), normal(4, 3)).real()
    made = case(
        "1 - cosine, swapped", normal(4, 3), normal(4, 3), normal(4, 3),
        distance_function=_angle, swap=True, reduction="none",
    )  # fmt: skip
    yield made.real()


def _angle(a, b):
    return 1 - torch.nn.functional.cosine_similarity(a, b)
