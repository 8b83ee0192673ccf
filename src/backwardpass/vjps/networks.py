"""Attention with its projections, as a reduction: the chain goes back through its steps."""

import math

import torch
from torch.nn import functional as F

from backwardpass.vjps._chain import chained
from backwardpass.vjps._registry import Declined, rule


def _masked(scores, mask):
    """Scores with what a mask adds, or -∞ where it forbids."""
    if mask is None:
        return scores
    return scores.masked_fill(mask, -math.inf) if mask.dtype == torch.bool else scores + mask


def _split(x, heads):
    """(length, N, features) as (N·heads, length, features of a head)."""
    length, N, width = x.shape
    return x.reshape(length, N * heads, width // heads).transpose(0, 1)


@rule(
    "nn.functional.multi_head_attention_forward",
    name="multi_head_attention",
    modules="MultiheadAttention",
    latex=r"O = \mathrm{concat}_h\big(\mathrm{softmax}(\tau\,Q_h K_h^{\top} + M)\,V_h\big)\,W_O"
    r"^{\top} + b_O, \qquad Q, K, V = x W^{\top} + b",
    saved="the projections and the weights of attention",
    source="linear, matmul, softmax; the weights that are returned have a gradient too",
    domain="no dropout, no static_k or static_v",
)
def multi_head_attention(g, y, query, key, value, embed_dim_to_check, num_heads, in_proj_weight,
                         in_proj_bias, bias_k, bias_v, add_zero_attn, dropout_p, out_proj_weight,
                         out_proj_bias, training=True, key_padding_mask=None, need_weights=True,
                         attn_mask=None, use_separate_proj_weight=False, q_proj_weight=None,
                         k_proj_weight=None, v_proj_weight=None, static_k=None, static_v=None,
                         average_attn_weights=True, is_causal=False):  # fmt: skip
    if dropout_p > 0 and training:
        raise Declined("dropout_p > 0: which weights were dropped is no result of the function")
    if static_k is not None or static_v is not None or add_zero_attn:
        raise Declined("static_k, static_v, add_zero_attn: not written out here")
    if query.ndim == 2 or key_padding_mask is not None:
        raise Declined("no batch, or a padding mask: not written out here")

    def attention(query, key, value, **rest):
        E, separate = query.shape[-1], use_separate_proj_weight
        names = ("q_proj_weight", "k_proj_weight", "v_proj_weight")
        W = [rest[n] for n in names] if separate else rest["in_proj_weight"].split(E)
        bias = rest.get("in_proj_bias")
        b = [None] * 3 if bias is None else bias.split(E)
        q, k, v = (F.linear(x, w, c) for x, w, c in zip((query, key, value), W, b, strict=True))
        if "bias_k" in rest:
            k, v = (
                torch.cat([x, rest[n].expand(1, x.shape[1], E)])
                for x, n in ((k, "bias_k"), (v, "bias_v"))
            )
        q, k, v = (_split(x, num_heads) for x in (q, k, v))
        mask = rest.get("attn_mask")
        if mask is not None and "bias_k" in rest:
            mask = F.pad(mask, (0, 1))
        scores = q @ k.transpose(1, 2) / math.sqrt(E / num_heads)
        weights = _masked(scores, mask).softmax(-1)
        merged = (weights @ v).transpose(0, 1).reshape(query.shape)
        out = F.linear(merged, rest["out_proj_weight"], rest.get("out_proj_bias"))
        if not need_weights:
            return out, None
        shown = weights.reshape(-1, num_heads, *weights.shape[1:])
        return out, shown.mean(1) if average_attn_weights else shown

    given = {
        "query": query, "key": key, "value": value, "in_proj_weight": in_proj_weight,
        "in_proj_bias": in_proj_bias, "bias_k": bias_k, "bias_v": bias_v, "attn_mask": attn_mask,
        "out_proj_weight": out_proj_weight, "out_proj_bias": out_proj_bias,
        "q_proj_weight": q_proj_weight, "k_proj_weight": k_proj_weight,
        "v_proj_weight": v_proj_weight,
    }  # fmt: skip
    given = {name: x for name, x in given.items() if x is not None}
    return chained(tuple(g), attention, **given)
