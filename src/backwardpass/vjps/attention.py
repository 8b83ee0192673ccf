"""Attention: two products and a softmax between them."""

import math

import torch

from backwardpass.vjps._registry import Declined, rule
from backwardpass.vjps._shared import onto


@rule(
    "nn.functional.scaled_dot_product_attention",
    latex=r"\bar V = P^{\top} \bar O, \qquad \bar S = P \odot "
    r"\big(\bar O V^{\top} - \mathrm{rowsum}(\bar O \odot O)\big), \qquad "
    r"\bar Q = \tau \bar S K, \qquad \bar K = \tau \bar S^{\top} Q",
    saved="Q, K, V, O; what PyTorch saves depends on the kernel it chooses",
    kinks="a row whose entries are all masked has output and gradient 0",
    source="derived below; the row sum of O: Dao and others, FlashAttention, 2022, appendix B.2",
)
def scaled_dot_product_attention(g, y, query, key, value, attn_mask=None, dropout_p=0.0,
                                 is_causal=False, scale=None, enable_gqa=False):  # fmt: skip
    r"""
    $S = \tau Q K^{\top} + \text{mask}$, $P = \mathrm{softmax}(S)$ along rows, $O = P V$. Products
    give $\bar V = P^{\top}\bar O$ and $\bar P = \bar O V^{\top}$. The rule of softmax needs
    $\sum_j \bar P_{ij} P_{ij}$, and that is $\sum_j \sum_d \bar O_{id} V_{jd} P_{ij} =
    \sum_d \bar O_{id} O_{id}$: the result itself holds it, so that the weights need not be kept.
    A mask that was added has the gradient $\bar S$, summed where it was broadcast. With
    `enable_gqa` several query heads share a head of $K$ and $V$, which sums over them.
    """
    if dropout_p > 0:
        raise Declined("dropout_p > 0: which weights were dropped is no result of the function")
    K, V = key, value
    if enable_gqa:
        K, V = (t.repeat_interleave(query.shape[-3] // t.shape[-3], -3) for t in (key, value))
    tau = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    S = tau * query @ K.mT
    if is_causal:
        S = S.masked_fill(torch.ones_like(S, dtype=torch.bool).triu(1), -math.inf)
    soft = attn_mask is not None and attn_mask.dtype != torch.bool
    if soft:
        S = S + attn_mask
    elif attn_mask is not None:
        S = S.masked_fill(~attn_mask, -math.inf)
    P = S.softmax(-1).nan_to_num(0)
    dS = P * (g @ V.mT - (g * y).sum(-1, keepdim=True))
    dK, dV = tau * dS.mT @ query, P.mT @ g
    if enable_gqa:
        heads = ((dK, key.shape[-3]), (dV, value.shape[-3]))
        dK, dV = (t.unflatten(-3, (n, -1)).sum(-3) for t, n in heads)
    return {
        "query": onto(tau * dS @ K, query),
        "key": onto(dK, key),
        "value": onto(dV, value),
        "attn_mask": onto(dS, attn_mask) if soft else None,
    }
