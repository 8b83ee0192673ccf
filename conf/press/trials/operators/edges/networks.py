"""Edge cases of attention: masks of both kinds, weights asked for, projections of their own."""

import torch

from press.trials.operators.cases import case, edges, normal


def _call(label, attn_mask=None, bias=True, separate=False, rows=(2, 3), **options):
    width = 4
    given = [normal(rows[0], 2, width), *(normal(rows[1], 2, width) for _ in range(2))]
    weights = {f"{x}_proj_weight": normal(width, width) for x in "qkv"} if separate else {}
    return case(
        label, *given, width, 2, None if separate else normal(3 * width, width),
        normal(3 * width) if bias else None, None, None, False, 0.0, normal(width, width),
        normal(width), attn_mask=attn_mask, use_separate_proj_weight=separate, **weights,
        **options,
    ).real()  # fmt: skip


@edges("nn.functional.multi_head_attention_forward")
def multi_head_attention():
    yield _call("weights returned", normal(2, 3))
    yield _call("weights of each head", average_attn_weights=False)
    yield _call("no weights", need_weights=False, bias=False)
    forbidden = torch.tensor([[False, True, False], [False, False, True]])
    yield _call("a mask that forbids", forbidden)
    yield _call("projections of their own", separate=True)
