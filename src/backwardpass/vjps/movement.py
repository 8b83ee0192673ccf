"""Moving data: each entry of the result is a copy of an entry of an argument, or a constant."""

import torch
from torch.nn import functional as F

from backwardpass.vjps._registry import rule
from backwardpass.vjps._shared import moved_back, numbered, onto

COPIES = r"\bar x_i = \sum_{\text{copies of } x_i} \bar y"


@rule(
    "cat", latex=r"\bar x_k = \bar y[\text{its piece}]", saved="nothing", also="concat concatenate"
)
def cat(g, y, tensors, dim=0):
    lengths = [0 if x.shape == (0,) else x.shape[dim] for x in tensors]
    pieces = zip(g.split(lengths, dim), tensors, strict=True)
    return {"tensors": [onto(piece.reshape(x.shape), x) for piece, x in pieces]}


@rule("stack", latex=r"\bar x_k = \bar y[k]", saved="nothing")
def stack(g, y, tensors, dim=0):
    return {"tensors": [onto(piece, x) for piece, x in zip(g.unbind(dim), tensors, strict=True)]}


@rule("hstack", latex=r"\bar x_k = \bar y[\text{its piece}]", saved="nothing")
def hstack(g, y, tensors):
    dim = 0 if tensors[0].ndim < 2 else 1
    lengths = [1 if x.ndim == 0 else x.shape[dim] for x in tensors]
    pieces = zip(g.split(lengths, dim), tensors, strict=True)
    return {"tensors": [onto(piece.reshape(x.shape), x) for piece, x in pieces]}


@rule("vstack", latex=r"\bar x_k = \bar y[\text{its rows}]", saved="nothing", also="row_stack")
def vstack(g, y, tensors):
    lengths = [1 if x.ndim < 2 else x.shape[0] for x in tensors]
    pieces = zip(g.split(lengths), tensors, strict=True)
    return {"tensors": [onto(piece.reshape(x.shape), x) for piece, x in pieces]}


@rule(
    "split",
    "split.list_args",
    "split_with_sizes",
    "split_with_sizes_copy",
    "unsafe_split",
    name="split",
    latex=r"\bar x = \mathrm{cat}(\bar y_1, \bar y_2, \dots)",
    saved="nothing",
)
def split(g, y, tensor, split_size_or_sections, dim=0):
    return {"tensor": torch.cat(g, dim)}


@rule(
    "chunk",
    "unsafe_chunk",
    latex=r"\bar x = \mathrm{cat}(\bar y_1, \bar y_2, \dots)",
    saved="nothing",
)
def chunk(g, y, input, chunks, dim=0):
    return {"input": torch.cat(g, dim)}


@rule("tensor_split", latex=r"\bar x = \mathrm{cat}(\bar y_1, \bar y_2, \dots)", saved="nothing")
def tensor_split(g, y, input, indices_or_sections, dim=0):
    return {"input": torch.cat(g, dim)}


@rule(
    "unbind",
    "unbind_copy",
    latex=r"\bar x = \mathrm{stack}(\bar y_1, \bar y_2, \dots)",
    saved="nothing",
)
def unbind(g, y, input, dim=0):
    return {"input": torch.stack(g, dim)}


@rule("flip", latex=r"\bar x = \mathrm{flip}(\bar y)", saved="nothing")
def flip(g, y, input, dims, *more):
    return {"input": g.flip(dims, *more)}


@rule("fliplr", latex=r"\bar x = \mathrm{fliplr}(\bar y)", saved="nothing")
def fliplr(g, y, input):
    return {"input": g.fliplr()}


@rule("flipud", latex=r"\bar x = \mathrm{flipud}(\bar y)", saved="nothing")
def flipud(g, y, input):
    return {"input": g.flipud()}


@rule("roll", latex=r"\bar x = \mathrm{roll}(\bar y,\ -s)", saved="nothing")
def roll(g, y, input, shifts, dims=()):
    back = [-s for s in shifts] if isinstance(shifts, (tuple, list)) else -shifts
    return {"input": g.roll(back, dims)}


@rule("rot90", latex=r"\bar x = \mathrm{rot90}(\bar y,\ -k)", saved="nothing")
def rot90(g, y, input, k=1, dims=(0, 1)):
    return {"input": g.rot90(-k, dims)}


@rule("repeat", latex=COPIES, saved="nothing")
def repeat(g, y, input, repeats, *more):
    return {"input": moved_back(g, numbered(input).repeat(repeats, *more), input)}


@rule("tile", latex=COPIES, saved="nothing")
def tile(g, y, input, dims, *more):
    return {"input": moved_back(g, numbered(input).tile(dims, *more), input)}


@rule("repeat_interleave", latex=COPIES, saved="the numbers of copies")
def repeat_interleave(g, y, input, repeats, dim=None, *, output_size=None):
    return {"input": moved_back(g, numbered(input).repeat_interleave(repeats, dim), input)}


@rule(
    "nn.functional.pad.constant",
    "nn.functional.pad.reflect",
    "nn.functional.pad.replicate",
    "nn.functional.pad.replicate_negative",
    "nn.functional.pad.circular",
    name="pad",
    modules="ConstantPad1d ReflectionPad2d ReplicationPad2d CircularPad1d ZeroPad2d",
    latex=COPIES,
    saved="nothing",
)
def pad(g, y, input, pad, mode="constant", value=None):
    r"""
    Whatever the mode, an entry of the result is a copy of an entry of $x$, or the constant. Padding
    the numbers 1, 2, … of the entries, with 0 for the constant, says which.
    """
    places = F.pad(numbered(input).double(), pad, mode).long()
    return {"input": moved_back(g, places, input)}


@rule(
    "nn.functional.unfold",
    name="F.unfold",
    modules="Unfold",
    latex=r"\bar x_i = \sum_{\text{windows that hold } i} \bar y",
    saved="nothing",
)
def unfold(g, y, input, kernel_size, dilation=1, padding=0, stride=1):
    places = F.unfold(numbered(input).double(), kernel_size, dilation, padding, stride)
    return {"input": moved_back(g, places.round().long(), input)}


@rule(
    "nn.functional.pixel_shuffle",
    also="pixel_shuffle",
    modules="PixelShuffle",
    latex=r"\bar x = \mathrm{pixel\_unshuffle}(\bar y)",
    saved="nothing",
)
def pixel_shuffle(g, y, input, upscale_factor):
    return {"input": F.pixel_unshuffle(g, upscale_factor)}


@rule(
    "nn.functional.pixel_unshuffle",
    also="pixel_unshuffle",
    modules="PixelUnshuffle",
    latex=r"\bar x = \mathrm{pixel\_shuffle}(\bar y)",
    saved="nothing",
)
def pixel_unshuffle(g, y, input, downscale_factor):
    return {"input": F.pixel_shuffle(g, downscale_factor)}


@rule(
    "nn.functional.channel_shuffle",
    also="channel_shuffle",
    modules="ChannelShuffle",
    latex=r"\bar x = \text{the channels of } \bar y \text{ in their old order}",
    saved="nothing",
)
def channel_shuffle(g, y, input, groups):
    return {"input": F.channel_shuffle(g, input.shape[1] // groups)}


@rule(
    "meshgrid.variadic_tensors",
    "meshgrid.list_of_tensors",
    latex=r"\bar x_k = \sum_{\text{other dimensions}} \bar y_k",
    saved="nothing",
    name="meshgrid",
)
def meshgrid(g, y, *tensors, indexing=None):
    inputs = tensors[0] if isinstance(tensors[0], (tuple, list)) else tensors
    grads = []
    for k, (piece, x) in enumerate(zip(g, inputs, strict=True)):
        own = 1 - k if indexing == "xy" and k < 2 and len(inputs) > 1 else k
        grads.append(piece.movedim(own, 0).reshape(x.numel(), -1).sum(1).reshape(x.shape))
    return {"tensors": grads}
