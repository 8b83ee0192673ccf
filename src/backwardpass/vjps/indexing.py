"""Indexing: what is read several times collects several cotangents; what is overwritten, none."""

import torch

from backwardpass.vjps._registry import Declined, rule
from backwardpass.vjps._shared import conj, moved_back, numbered, onto, put


@rule(
    "__getitem__",
    name="x[key]",
    latex=r"\bar x_i = \sum_{\text{copies of } x_i} \bar y",
    saved="the key",
)
def getitem(g, y, input, key):
    r"""
    Whatever the key, slices, masks, lists or all together, each entry of the result is a copy of an
    entry of $x$. Indexing the numbers 1, 2, … of the entries with the same key says which.
    """
    return {"input": moved_back(g, numbered(input)[key], input)}


@rule("index_select", latex=r"\bar x = \mathrm{index\_add}(0, k, \bar y)", saved="k")
def index_select(g, y, input, dim, index):
    if input.ndim == 0:
        return {"input": g.reshape(())}
    return {"input": torch.zeros_like(input).index_add_(dim, index.reshape(-1), g)}


@rule("take", latex=r"\bar x_i = \sum_{k_j = i} \bar y_j", saved="k")
def take(g, y, input, index):
    return {"input": moved_back(g, numbered(input).take(index), input)}


@rule("gather", latex=r"\bar x = \mathrm{scatter\_add}(0, k, \bar y)", saved="k")
def gather(g, y, input, dim, index, *, sparse_grad=False):
    return {"input": put(g, dim, index, input)}


@rule("take_along_dim", latex=r"\bar x_i = \sum_{\text{copies of } x_i} \bar y", saved="k")
def take_along_dim(g, y, input, indices, dim=None):
    return {"input": moved_back(g, numbered(input).take_along_dim(indices, dim), input)}


@rule(
    "scatter_add",
    latex=r"\bar x = \bar y, \qquad \bar s = \mathrm{gather}(\bar y, k)",
    saved="k",
    domain="s of the shape of k: PyTorch refuses the backward pass of another",
)
def scatter_add(g, y, input, dim, index, src):
    return {"input": g, "src": g.gather(dim, index)}


@rule(
    "scatter",
    latex=r"\bar x = \bar y\ \text{with 0 at } k, \qquad \bar s = \mathrm{gather}(\bar y, k)",
    saved="k",
    domain="without an index twice: which value wins is not defined; s of the shape of k",
    kinks="with reduce= it has no gradient in PyTorch",
)
def scatter(g, y, input, dim, index, src=None, *, value=None, reduce=None):
    if reduce is not None:
        raise Declined("reduce=: PyTorch has no backward pass for it; scatter_reduce has one")
    ds = g.gather(dim, index) if isinstance(src, torch.Tensor) else None
    return {"input": g.scatter(dim, index, 0), "src": ds}


@rule(
    "scatter_reduce.sum",
    "scatter_reduce.mean",
    "scatter_reduce.amax",
    "scatter_reduce.amin",
    "scatter_reduce.prod",
    name="scatter_reduce",
    latex=r"\bar x = \bar y\,\partial_x r, \quad "
    r"\bar s = \mathrm{gather}(\bar y, k)\,\partial_s r, "
    r"\qquad r = \text{sum, mean, amax, amin or prod of } x_i \text{ and the } s_j \text{ at } i",
    saved="x, s, k, y",
    domain="s of the shape of k",
    kinks="amax and amin: ties share equally; with include_self=False PyTorch still keeps a share "
    "for an x that ties, and loses it; prod: the product of the others, also at zeros",
)
def scatter_reduce(g, y, input, dim, index, src, reduce, *, include_self=True):
    r"""
    At each place $i$ the result reduces $x_i$, unless `include_self=False`, and all $s_j$ whose
    index is $i$. So the slopes are those of the reduction: 1; one over the number of terms; one
    over the number of ties for each term that is the result; the product of the other terms. With
    `include_self=False` a place that nothing is written to keeps $x_i$, with slope 1.
    """
    if input.ndim == 0:
        input, index, src, g, y = (t.reshape(1) for t in (input, index, src, g, y))
        grads = scatter_reduce(g, y, input, 0, index, src, reduce, include_self=include_self)
        return {name: grad.reshape(()) for name, grad in grads.items()}
    s, ones = src, torch.ones_like(src)
    written = torch.zeros_like(input).scatter_add(dim, index, ones)
    own = torch.full_like(input, float(include_self))
    slope_x, slope_s = own, ones
    if reduce == "mean":
        terms = (own + written).clamp_min(1)
        slope_x, slope_s = own / terms, ones / terms.gather(dim, index)
    elif reduce in ("amax", "amin"):
        ties_s = (s == y.gather(dim, index)).to(s.dtype)
        ties_x = (input == y) * own
        ties = (ties_x + torch.zeros_like(input).scatter_add(dim, index, ties_s)).clamp_min(1)
        slope_x, slope_s = ties_x / ties, ties_s / ties.gather(dim, index)
    elif reduce == "prod":
        slope_x, slope_s = _other_factors(input, dim, index, s, include_self)
    dx = g * slope_x if include_self else torch.where(written == 0, g, 0)
    return {"input": dx, "src": g.gather(dim, index) * slope_s}


def _other_factors(x, dim, index, s, include_self):
    """For x and each s the product of the other factors at its place."""
    x_, s_, k_ = x.movedim(dim, -1), s.movedim(dim, -1), index.movedim(dim, -1)
    corner = tuple(slice(0, n) for n in k_.shape[:-1])
    same = k_.unsqueeze(-1) == k_.unsqueeze(-2)  # j, j': written to the same place
    same = same & ~torch.eye(k_.shape[-1], dtype=torch.bool)
    others = torch.where(same, s_.unsqueeze(-2), 1).prod(-1)
    slope_s = others * (x_[corner].gather(-1, k_) if include_self else 1)
    slope_x = torch.ones_like(x_)
    here = k_.unsqueeze(-2) == torch.arange(x_.shape[-1]).unsqueeze(-1)  # i, j: j is written to i
    slope_x[corner] = torch.where(here, s_.unsqueeze(-2), 1).prod(-1)
    return slope_x.movedim(-1, dim), slope_s.movedim(-1, dim)


@rule(
    "index_add",
    latex=r"\bar x = \bar y, \qquad \bar s = \alpha^*\,\bar y[k]",
    saved="k",
    kinks="none; for a complex α PyTorch forgets the conjugate",
)
def index_add(g, y, input, dim, index, source, *, alpha=1):
    picked = g.index_select(dim, index.reshape(-1)) if g.ndim else g
    return {"input": g, "source": (conj(alpha) * picked).reshape(source.shape)}


@rule(
    "index_copy",
    latex=r"\bar x = \bar y\ \text{with 0 at } k, \qquad \bar s = \bar y[k]",
    saved="k",
)
def index_copy(g, y, input, dim, index, source):
    picked = g.index_select(dim, index.reshape(-1))
    return {"input": g.index_fill(dim, index, 0), "source": picked.reshape(source.shape)}


@rule(
    "index_fill",
    latex=r"\bar x = \bar y\ \text{with 0 at } k, \qquad \bar v = \textstyle\sum \bar y[k]",
    saved="k",
    kinks="an index that is given twice is filled once, and counts once",
)
def index_fill(g, y, input, dim, index, value):
    picked = g.index_select(dim, index.unique()) if g.ndim else g
    return {"input": g.index_fill(dim, index, 0), "value": onto(picked, value)}


@rule(
    "index_put",
    latex=r"\bar x = \bar y\ \text{with 0 at } k\ \text{(unless accumulate)}, \qquad "
    r"\bar s = \bar y[k]",
    saved="k",
    domain="without an index twice, unless accumulate",
)
def index_put(g, y, input, indices, values, accumulate=False):
    dx = g if accumulate else g.index_put(indices, torch.zeros_like(values))
    return {"input": dx, "values": onto(g[tuple(indices)], values)}


@rule(
    "masked_select",
    latex=r"\bar x[m] = \bar y,\ \text{0 elsewhere}",
    saved="m",
)
def masked_select(g, y, input, mask):
    shape = torch.broadcast_shapes(input.shape, mask.shape)
    return {"input": onto(g.new_zeros(shape).masked_scatter(mask, g), input)}


@rule(
    "masked_scatter",
    latex=r"\bar x = [\neg m]\,\bar y, \qquad \bar s = \bar y[m],\ \text{then zeros}",
    saved="m",
)
def masked_scatter(g, y, input, mask, source):
    ds = torch.zeros(source.numel(), dtype=g.dtype)
    used = g.masked_select(mask)
    ds[: used.numel()] = used
    dx = torch.where(mask, 0, g)
    return {"input": onto(dx, input), "source": ds.reshape(source.shape)}


@rule(
    "nn.functional.embedding",
    modules="Embedding",
    latex=r"\bar W_k = \sum_{i\,:\,k_i = k} \bar y_i",
    saved="k",
    kinks="padding_idx gives its row 0, scale_grad_by_freq divides a row by how often it is read: "
    "both are not the derivative",
)
def embedding(g, y, input, weight, padding_idx=None, max_norm=None, norm_type=2.0,
              scale_grad_by_freq=False, sparse=False):  # fmt: skip
    index, rows = input.reshape(-1), g.reshape(-1, weight.shape[1])
    if padding_idx is not None:
        rows = torch.where((index == padding_idx % len(weight)).unsqueeze(1), 0, rows)
    if scale_grad_by_freq:
        rows = rows / index.bincount(minlength=len(weight))[index].unsqueeze(1)
    return {"weight": torch.zeros_like(weight).index_add_(0, index, rows)}


@rule(
    "sort",
    latex=r"\bar x[\pi] = \bar y, \qquad \pi\ \text{the indices returned}",
    saved="π",
    kinks="of ties each gets the cotangent of the place it was sorted to",
)
def sort(g, y, input, dim=-1, descending=False, *, stable=False):
    return {"input": put(g[0], dim, y[1], input)}


@rule("msort", latex=r"\bar x[\pi] = \bar y", saved="π")
def msort(g, y, input):
    return {"input": put(g, 0, input.sort(0).indices, input)}


@rule(
    "topk",
    latex=r"\bar x[k] = \bar y,\ \text{0 elsewhere}, \qquad k\ \text{the indices returned}",
    saved="k",
    kinks="of ties the one whose index is returned gets it",
)
def topk(g, y, input, k, dim=-1, largest=True, sorted=True):
    return {"input": put(g[0], dim, y[1], input)}
