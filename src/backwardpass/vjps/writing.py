"""Writing into a copy, and putting together: what is overwritten gets 0, what is written its part.

A `*_scatter` function is the assignment `x[...] = s` without the change in place, and has its rule.
"""

import torch

from backwardpass.vjps._registry import rule
from backwardpass.vjps._shared import moved_back, numbered, onto
from backwardpass.vjps.indexing import scatter_reduce
from backwardpass.vjps.movement import pad as _pad

WRITTEN = r"\bar x = \bar y\ \text{with 0 where } s \text{ went}, \qquad \bar s = \bar y[\dots]"
CAT = r"\bar x = \mathrm{cat}(\bar y_1, \bar y_2, \dots)"


def _overwritten(g, place):
    """The cotangent of what was written over, and of what was written; ``place`` is a view."""
    left = g.clone(memory_format=torch.contiguous_format)
    written = place(left).clone()
    place(left).zero_()
    return left, written


@rule("diagonal_scatter", latex=WRITTEN, saved="nothing")
def diagonal_scatter(g, y, input, src, offset=0, dim1=0, dim2=1):
    left, written = _overwritten(g, lambda t: t.diagonal(offset, dim1, dim2))
    return {"input": onto(left, input), "src": onto(written, src)}


@rule("select_scatter", latex=WRITTEN, saved="nothing")
def select_scatter(g, y, input, src, dim, index):
    left, written = _overwritten(g, lambda t: t.select(dim, index))
    return {"input": onto(left, input), "src": onto(written, src)}


def _slice(t, dim, start, end, step):
    key = [slice(None)] * t.ndim
    key[dim] = slice(start, end, step)
    return t[tuple(key)]


@rule("slice_scatter", latex=WRITTEN, saved="nothing")
def slice_scatter(g, y, input, src, dim=0, start=None, end=None, step=1):
    left, written = _overwritten(g, lambda t: _slice(t, dim, start, end, step))
    return {"input": onto(left, input), "src": onto(written, src)}


@rule("slice", latex=r"\bar x[a : b : s] = \bar y,\ \text{0 elsewhere}", saved="nothing")
def slice_(g, y, input, dim=0, start=None, end=None, step=1):
    dx = torch.zeros_like(input)
    _slice(dx, dim, start, end, step).copy_(g)
    return {"input": dx}


def _addresses(size, stride, offset):
    """Where in the storage each entry of such a view lies."""
    found = torch.full((), offset, dtype=torch.long)
    for length, step in zip(size, stride, strict=True):
        found = found.unsqueeze(-1) + step * torch.arange(length)
    return found


@rule(
    "as_strided",
    "as_strided.partial_views",
    "as_strided_copy",
    latex=r"\bar x_i = \frac{1}{c_i} \sum_{j\,:\,\text{address}(y_j) = \text{address}(x_i)} "
    r"\bar y_j, \qquad c_i\ \text{entries of } x \text{ at that address}",
    saved="the sizes and strides of x",
    domain="what lies outside x in its storage is no argument, and gets nothing",
)
def as_strided(g, y, input, size, stride, storage_offset=None):
    r"""
    The result reads the storage of $x$, wherever $x$ itself lies in it. Each entry of either has an
    address; an entry of $x$ collects the cotangents of all results at its address. Where several
    entries of $x$ share one, as in an expanded tensor, they share the sum.
    """
    base = input.storage_offset()
    read = _addresses(size, stride, base if storage_offset is None else storage_offset)
    own = _addresses(input.shape, input.stride(), base)
    addresses = 1 + max((int(a.max()) for a in (read, own) if a.numel()), default=-1)
    sums = g.new_zeros(addresses).index_add_(0, read.reshape(-1), g.reshape(-1))
    sharing = own.reshape(-1).bincount(minlength=addresses)
    return {"input": onto(sums[own] / sharing[own], input)}


@rule(
    "as_strided_scatter",
    latex=WRITTEN,
    saved="nothing",
    domain="x in reading order, and no address twice",
)
def as_strided_scatter(g, y, input, src, size, stride, storage_offset=None):
    offset = 0 if storage_offset is None else storage_offset
    left, written = _overwritten(g, lambda t: t.as_strided(size, stride, offset))
    return {"input": onto(left, input), "src": onto(written, src)}


@rule(
    "index_reduce.mean",
    "index_reduce.prod",
    "index_reduce.amin",
    "index_reduce.amax",
    name="index_reduce",
    latex=r"\text{as scatter\_reduce, with an index for each slice}",
    saved="x, s, k, y",
    kinks="as for scatter_reduce",
)
def index_reduce(g, y, input, dim, index, source, reduce, *, include_self=True):
    if input.ndim == 0:
        places = torch.zeros((1,), dtype=torch.long)
        parts = (t.reshape(1) for t in (g, y, input, source))
        g, y, x, s = parts
        grads = scatter_reduce(g, y, x, 0, places, s, reduce, include_self=include_self)
        return {"input": grads["input"].reshape(()), "source": grads["src"].reshape(source.shape)}
    shape = [1] * source.ndim
    shape[dim] = -1
    places = index.reshape(shape).expand(source.shape)
    grads = scatter_reduce(g, y, input, dim, places, source, reduce, include_self=include_self)
    return {"input": grads["input"], "source": grads["src"]}


@rule(
    "put",
    latex=r"\bar x = \bar y\ \text{with 0 at } k\ \text{(unless accumulate)}, \qquad "
    r"\bar s = \bar y[k]",
    saved="k",
    domain="without an index twice, unless accumulate",
)
def put(g, y, input, index, source, accumulate=False):
    dx = g if accumulate else g.put(index, torch.zeros_like(source, dtype=g.dtype))
    return {"input": onto(dx, input), "source": onto(g.take(index).reshape(source.shape), source)}


def _inside(indices, x):
    """Indices drawn back to where x has entries."""
    return tuple(
        None if k is None else k.clamp(-n, n - 1) for k, n in zip(indices, x.shape, strict=False)
    )


@rule(
    "_unsafe_masked_index",
    latex=r"\bar x_i = \sum_{\text{copies of } x_i \text{ under the mask}} \bar y",
    saved="the mask and the indices",
)
def unsafe_masked_index(g, y, input, mask, indices, fill):
    places = torch.where(mask, numbered(input)[_inside(indices, input)], 0)
    return {"input": moved_back(g, places, input)}


@rule(
    "_unsafe_masked_index_put_accumulate",
    latex=r"\bar x = \bar y, \qquad \bar s = [m]\,\bar y[k]",
    saved="the mask and the indices",
)
def unsafe_masked_index_put(g, y, input, mask, indices, values):
    written = torch.where(mask, g[_inside(indices, input)], 0)
    return {"input": g, "values": onto(written, values)}


@rule("constant_pad_nd", latex=r"\bar x = \bar y\ \text{without the border}", saved="nothing")
def constant_pad_nd(g, y, input, pad, value=0):
    return _pad(g, y, input, pad, "constant", value)


@rule("diagflat", latex=r"\bar x = \mathrm{diagonal}(\bar Y)", saved="nothing")
def diagflat(g, y, input, offset=0):
    return {"input": g.diagonal(offset).reshape(input.shape)}


@rule("block_diag", latex=r"\bar X_k = \bar Y[\text{its block}]", saved="nothing")
def block_diag(g, y, *tensors):
    grads, row, column = [], 0, 0
    for x in tensors:
        rows, columns = (1, x.numel()) if x.ndim < 2 else x.shape
        block = g[row : row + rows, column : column + columns]
        grads.append(onto(block.reshape(x.shape), x))
        row, column = row + rows, column + columns
    return {"tensors": grads}


def _uncat(g, tensors, dim, least):
    """Pieces of ``g`` along ``dim``, for arguments that were given at least ``least`` axes."""
    shapes = [least(x).shape for x in tensors]
    pieces = g.split([shape[dim] for shape in shapes], dim)
    return {"tensors": [onto(p.reshape(x.shape), x) for p, x in zip(pieces, tensors, strict=True)]}


@rule("column_stack", latex=r"\bar x_k = \bar y[\text{its columns}]", saved="nothing")
def column_stack(g, y, tensors):
    return _uncat(g, tensors, 1, lambda x: x if x.ndim > 1 else x.reshape(-1, 1))


@rule("dstack", latex=r"\bar x_k = \bar y[\text{its piece}]", saved="nothing")
def dstack(g, y, tensors):
    return _uncat(g, tensors, 2, torch.atleast_3d)


@rule("hsplit", latex=CAT, saved="nothing")
def hsplit(g, y, input, indices_or_sections, *more):
    return {"input": torch.cat(g, 0 if input.ndim == 1 else 1)}


@rule("vsplit", latex=CAT, saved="nothing")
def vsplit(g, y, input, indices_or_sections, *more):
    return {"input": torch.cat(g, 0)}


@rule("dsplit", latex=CAT, saved="nothing")
def dsplit(g, y, input, indices_or_sections, *more):
    return {"input": torch.cat(g, 2)}


@rule(
    "broadcast_tensors",
    latex=r"\bar x_k = \sum_{\text{repeated dimensions}} \bar y_k",
    saved="nothing",
)
def broadcast_tensors(g, y, *tensors):
    pieces = zip(g, tensors, strict=True)
    return {"tensors": [None if piece is None else onto(piece, x) for piece, x in pieces]}


COPIES = r"\bar x_i = \sum_{\text{copies of } x_i} \bar y"


@rule("combinations", latex=COPIES, saved="nothing")
def combinations(g, y, input, r=2, with_replacement=False):
    places = torch.combinations(numbered(input), r, with_replacement)
    return {"input": moved_back(g, places, input)}


@rule("cartesian_prod", latex=COPIES, saved="nothing")
def cartesian_prod(g, y, *tensors):
    grads = []
    for k, x in enumerate(tensors):
        places = torch.cartesian_prod(
            *(numbered(t) if j == k else torch.zeros(len(t), dtype=torch.long)
              for j, t in enumerate(tensors))
        )  # fmt: skip
        grads.append(moved_back(g, places, x))
    return {"tensors": grads}
