"""Views and shapes: the same numbers, seen otherwise; the gradient is seen back."""

import torch

from backwardpass.vjps._registry import rule
from backwardpass.vjps._shared import moved_back, numbered, onto

RESHAPED = r"\bar x = \mathrm{reshape}(\bar y,\ \text{shape of } x)"


@rule(
    "expand",
    "broadcast_to",
    "expand_as",
    "expand_copy",
    name="expand, broadcast_to",
    latex=r"\bar x = \sum_{\text{repeated dimensions}} \bar y",
    saved="nothing",
)
def expand(g, y, input, *sizes, **named):
    return {"input": onto(g, input)}


@rule(
    "reshape",
    "view",
    "reshape_as",
    "view_as",
    "view_copy",
    name="reshape, view",
    latex=RESHAPED,
    saved="nothing",
)
def reshape(g, y, input, *shape, **named):
    return {"input": g.reshape(input.shape)}


@rule("flatten", modules="Flatten", latex=RESHAPED, saved="nothing")
def flatten(g, y, input, start_dim=0, end_dim=-1):
    return {"input": g.reshape(input.shape)}


@rule("ravel", latex=RESHAPED, saved="nothing")
def ravel(g, y, input):
    return {"input": g.reshape(input.shape)}


@rule("unflatten", modules="Unflatten", latex=RESHAPED, saved="nothing")
def unflatten(g, y, input, dim, sizes):
    return {"input": g.reshape(input.shape)}


@rule("squeeze", "squeeze.multiple", "squeeze_copy", latex=RESHAPED, saved="nothing")
def squeeze(g, y, input, dim=None, *more):
    return {"input": g.reshape(input.shape)}


@rule("unsqueeze", "unsqueeze_copy", latex=RESHAPED, saved="nothing")
def unsqueeze(g, y, input, dim):
    return {"input": g.reshape(input.shape)}


@rule("atleast_1d", "atleast_2d", "atleast_3d", latex=RESHAPED, saved="nothing")
def atleast_1d(g, y, *tensors):
    if isinstance(g, torch.Tensor):
        return {"tensors": [g.reshape(tensors[0].shape)]}
    inputs = tensors[0] if isinstance(tensors[0], (list, tuple)) else tensors
    return {"tensors": [piece.reshape(x.shape) for piece, x in zip(g, inputs, strict=True)]}


@rule(
    "permute",
    "permute_copy",
    latex=r"\bar x = \mathrm{permute}(\bar y,\ \pi^{-1})",
    saved="nothing",
)
def permute(g, y, input, dims, *more):
    dims = (dims, *more) if isinstance(dims, int) else dims
    back = sorted(range(input.ndim), key=lambda d: dims[d] % input.ndim)
    return {"input": g.permute(back)}


@rule(
    "transpose",
    "transpose_copy",
    latex=r"\bar X = \bar Y^{\top}",
    saved="nothing",
    also="swapaxes swapdims",
)
def transpose(g, y, input, dim0, dim1):
    return {"input": g.transpose(dim0, dim1)}


@rule("t", "t_copy", latex=r"\bar X = \bar Y^{\top}", saved="nothing")
def t(g, y, input):
    return {"input": g.t()}


@rule("movedim", latex=r"\bar x = \mathrm{movedim}(\bar y,\ \text{back})", saved="nothing")
def movedim(g, y, input, source, destination):
    return {"input": g.movedim(destination, source)}


def _on_diagonal(g, x, offset, dim1, dim2):
    """Zeros like ``x``, with ``g`` on one of its diagonals."""
    dx = torch.zeros_like(x)
    dx.diagonal(offset, dim1, dim2).copy_(g)
    return dx


@rule(
    "diagonal",
    "diagonal_copy",
    latex=r"\bar X = \mathrm{diag}(\bar y),\ \text{0 elsewhere}",
    saved="nothing",
)
def diagonal(g, y, input, offset=0, dim1=0, dim2=1):
    return {"input": _on_diagonal(g, input, offset, dim1, dim2)}


@rule(
    "linalg.diagonal",
    latex=r"\bar A = \mathrm{diag}(\bar y),\ \text{0 elsewhere}",
    saved="nothing",
    kinks="none; without options it reads the last two dimensions, torch.diagonal the first two",
)
def linalg_diagonal(g, y, A, *, offset=0, dim1=-2, dim2=-1):
    return {"A": _on_diagonal(g, A, offset, dim1, dim2)}


@rule("diag_embed", latex=r"\bar x = \mathrm{diagonal}(\bar Y)", saved="nothing")
def diag_embed(g, y, input, offset=0, dim1=-2, dim2=-1):
    return {"input": g.diagonal(offset, dim1, dim2)}


@rule(
    "diag",
    latex=r"\bar x = \mathrm{diagonal}(\bar Y)\ \text{or}\ \bar X = \mathrm{diag}(\bar y)",
    saved="nothing",
)
def diag(g, y, input, diagonal=0):
    if input.ndim == 1:
        return {"input": g.diagonal(diagonal)}
    return {"input": _on_diagonal(g, input, diagonal, 0, 1)}


@rule("tril", latex=r"\bar X = \mathrm{tril}(\bar Y, k)", saved="nothing")
def tril(g, y, input, diagonal=0):
    return {"input": g.tril(diagonal)}


@rule("triu", latex=r"\bar X = \mathrm{triu}(\bar Y, k)", saved="nothing")
def triu(g, y, input, diagonal=0):
    return {"input": g.triu(diagonal)}


@rule(
    "select",
    latex=r"\bar x[k] = \bar y,\ \text{0 elsewhere}",
    saved="nothing",
)
def select(g, y, input, dim, index):
    dx = torch.zeros_like(input)
    dx.select(dim, index).copy_(g)
    return {"input": dx}


@rule(
    "narrow",
    "narrow_copy",
    latex=r"\bar x[a : a + \ell] = \bar y,\ \text{0 elsewhere}",
    saved="nothing",
)
def narrow(g, y, input, dim, start, length):
    dx = torch.zeros_like(input)
    dx.narrow(dim, int(start), length).copy_(g)
    return {"input": dx}


@rule(
    "unfold",
    "unfold_copy",
    latex=r"\bar x_i = \sum_{\text{windows that hold } i} \bar y",
    saved="nothing",
    kinks="entries of several windows collect several cotangents",
)
def unfold(g, y, input, dimension, size, step):
    return {"input": moved_back(g, numbered(input).unfold(dimension, size, step), input)}


@rule("view_as_real", latex=r"\bar z = \bar y_0 + i\,\bar y_1", saved="nothing")
def view_as_real(g, y, input):
    return {"input": torch.view_as_complex(g.contiguous())}


@rule(
    "view_as_complex",
    latex=r"\bar x = (\mathrm{Re}\,\bar z,\ \mathrm{Im}\,\bar z)",
    saved="nothing",
)
def view_as_complex(g, y, input):
    return {"input": torch.view_as_real(g.resolve_conj())}
