"""Edge cases of attention: masks of both kinds, shared heads, rows that see nothing."""

import torch

from press.trials.operators.cases import case, edges, inf, normal, numbers


@edges("nn.functional.scaled_dot_product_attention")
def attention():
    q, k, v = normal(2, 3, 4), normal(2, 5, 4), normal(2, 5, 6)
    yield case("scale", q, k, v, scale=0.3)
    mask = torch.rand(3, 5) > 0.4
    mask[:, 0] = True
    yield case("a mask of booleans that repeats", q, k, v, mask)
    yield case("a mask of numbers that repeats", q, k, v, normal(3, 5))
    yield case("weights that are dropped", q, k, v, dropout_p=0.5)
    yield case("causal", q, k, v, is_causal=True)
    shared = normal(2, 4, 3, 8), normal(2, 2, 5, 8), normal(2, 2, 5, 6)
    yield case("heads that are shared", *shared, enable_gqa=True)
    hidden = numbers([0, 0, 0, 0, -inf], [0, 0, 0, 0, 0], [0, -inf, 0, 0, 0])
    yield case("-∞ in the mask", q, k, v, hidden).wrt("query", "key", "value")
    blind = torch.ones(3, 5, dtype=torch.bool)
    blind[1] = False
    yield case("a row that sees nothing", q, k, v, blind)


@edges("nn.functional.scaled_dot_product_attention")
def shared_unevenly():
    shared = normal(2, 4, 3, 8), normal(2, 2, 5, 8), normal(2, 4, 5, 6)
    yield case("heads of K that are shared, of V that are not", *shared, enable_gqa=True)
