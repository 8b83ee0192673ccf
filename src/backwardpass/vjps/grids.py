"""Sampling at places: a value read between entries has a gradient for entries and places."""

import itertools
import math

import torch

from backwardpass.vjps._registry import rule
from backwardpass.vjps._shared import onto

MODES, BORDERS = ("bilinear", "nearest", "bicubic"), ("zeros", "border", "reflection")


def _entries(u, n, corners):
    """Places between -1 and 1 as entries of a row of n, and how far an entry moves for each."""
    return ((u + 1) / 2 * (n - 1), (n - 1) / 2) if corners else ((u + 1) * n / 2 - 0.5, n / 2)


def _reflected(x, n, corners):
    """Mirrored at the ends until inside, and the sign with which a step arrives."""
    low, span = (0, n - 1) if corners else (-0.5, n)
    if span == 0:
        return torch.zeros_like(x), torch.zeros_like(x)
    away, sign = (x - low).abs(), torch.where(x < low, -1.0, 1.0).to(x.dtype)
    times, rest = (away / span).floor(), away.fmod(span)
    even = times % 2 == 0
    return torch.where(even, rest, span - rest) + low, torch.where(even, sign, -sign)


def _inside(x, n, border, corners):
    """A place after the border's rule, and the factor with which a step of it arrives."""
    moved = torch.ones_like(x)
    if border == "zeros":
        return x, moved
    if border == "reflection":
        x, moved = _reflected(x, n, corners)
    return x.clamp(0, n - 1), torch.where((x <= 0) | (x >= n - 1), 0, moved)


def _linear(t):
    """Weights of the two entries beside a place, and their slopes."""
    one = torch.ones_like(t)
    return {0: (1 - t, -one), 1: (t, one)}


def _cubic(t):
    """Weights of the four entries around a place, and their slopes: Keys' kernel with a = -3/4."""
    a, found = -0.75, {}
    for k in (-1, 0, 1, 2):
        s, sign = (t - k).abs(), torch.where(t >= k, 1.0, -1.0).to(t.dtype)
        near = (a + 2) * s**3 - (a + 3) * s**2 + 1, 3 * (a + 2) * s**2 - 2 * (a + 3) * s
        far = a * (s**3 - 5 * s**2 + 8 * s - 4), a * (3 * s**2 - 10 * s + 8)
        weight, slope = near if k in (0, 1) else far
        found[k] = weight, slope * sign
    return found


def _taps(u, n, mode, border, corners):
    """For one dimension: index, weight, slope in u and whether it exists, of each entry read."""
    x, scale = _entries(u, n, corners)
    if mode == "bicubic":  # each of the four is brought inside for itself
        base, table = x.floor(), _cubic(x - x.floor())
    else:
        x, moved = _inside(x, n, border, corners)
        scale = scale * moved
        base = x.round() if mode == "nearest" else x.floor()
        still = {0: (torch.ones_like(x), torch.zeros_like(x))}
        table = still if mode == "nearest" else _linear(x - base)
    for k, (weight, slope) in table.items():
        place = base + k
        if mode == "bicubic":
            place = _inside(place, n, border, corners)[0]
        there = (place >= 0) & (place < n)
        yield torch.where(there, place, 0).long(), weight, slope * scale, there


SAMPLED = (
    r"y = \sum_i w_i(u)\,x_i:\quad \bar x_i = \sum w_i(u)\,\bar y, \qquad "
    r"\bar u = \sum_i w_i'(u)\,\langle x_i, \bar y \rangle"
)


def _sampled(g, x, grid, mode, border, corners):
    n, channels = grid.shape[-1], x.shape[1]
    sizes = x.shape[2:]
    taps = [
        list(_taps(grid[..., n - 1 - d], sizes[d], mode, border, corners)) for d in range(n)
    ]  # the last number of a place is that of the first dimension
    flat, dx = x.flatten(2), torch.zeros_like(x.flatten(2))
    dgrid = torch.zeros_like(grid)
    for chosen in itertools.product(*taps):
        index = torch.zeros_like(chosen[0][0])
        there = torch.ones_like(chosen[0][3])
        for d, (place, _, _, exists) in enumerate(chosen):
            index, there = index * sizes[d] + place, there & exists
        rows = index.flatten(1).unsqueeze(1).expand(-1, channels, -1)
        read = flat.gather(2, rows).reshape(g.shape)
        weight = math.prod(tap[1] for tap in chosen)
        sent = torch.where(there.unsqueeze(1), weight.unsqueeze(1) * g, 0)
        dx.scatter_add_(2, rows, sent.flatten(2))
        along = torch.where(there, (read * g).sum(1), 0)
        for d in range(n):
            others = math.prod(tap[1] for e, tap in enumerate(chosen) if e != d)
            dgrid[..., n - 1 - d] += along * chosen[d][2] * others
    return {"input": onto(dx.reshape(x.shape), x), "grid": onto(dgrid, grid)}


KINKS = (
    "the place is an entry: bilinear takes the slope to the right; at or beyond a border that "
    "clamps the place has gradient 0; nearest: 0 for the place"
)


@rule("nn.functional.grid_sample", latex=SAMPLED, saved="x, the places", kinks=KINKS)
def grid_sample(g, y, input, grid, mode="bilinear", padding_mode="zeros", align_corners=None):
    r"""
    The weights are products of one for each dimension, linear between two entries or cubic among
    four. The result is linear in the entries, so they collect their weights; a place moves every
    weight, by the slope in its dimension times the weights of the others. A place is first scaled
    from $[-1, 1]$ to entries, and brought inside by clamping or mirroring, whose slopes, 0, 1 and
    -1, multiply its own.
    """
    return _sampled(g, input, grid, mode, padding_mode, bool(align_corners))


@rule("grid_sampler_2d", latex=SAMPLED, saved="x, the places", kinks=KINKS,
      source="grid_sample, whose operator it is")  # fmt: skip
def grid_sampler_2d(g, y, input, grid, interpolation_mode, padding_mode, align_corners):
    mode, border = MODES[interpolation_mode], BORDERS[padding_mode]
    return _sampled(g, input, grid, mode, border, align_corners)


@rule("grid_sampler_3d", latex=SAMPLED, saved="x, the places", kinks=KINKS,
      source="grid_sample, whose operator it is")  # fmt: skip
def grid_sampler_3d(g, y, input, grid, interpolation_mode, padding_mode, align_corners):
    mode, border = MODES[interpolation_mode], BORDERS[padding_mode]
    return _sampled(g, input, grid, mode, border, align_corners)
