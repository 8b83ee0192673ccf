"""Compare two gradients: shape and dtype first, then where they are not finite, then values."""

import math
from typing import Any

import torch

# Largest error relative to the largest entry of the gradient, or to a thousandth of the cotangent
# where that is larger: a gradient that is exactly 0 is rounding noise in practice.
PRECISION = {
    torch.float64: 1e-10, torch.complex128: 1e-10, torch.float32: 2e-5, torch.complex64: 2e-5,
    torch.float16: 2e-2, torch.bfloat16: 1e-1,
}  # fmt: skip


def error(
    mine: Any,
    right: torch.Tensor,
    floor: float,
    dtype: torch.dtype | None = None,
    undefined: bool = False,
) -> tuple[float, str]:
    """Largest difference relative to the largest entry; ∞ where other places are not finite.

    NaN, which no limit admits, where the two have another shape or dtype.

    ``dtype`` is that of the argument, where ``right`` was computed in another.  With ``undefined``
    nothing is asked where ``right`` is NaN.

    >>> error(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.5]), 1e-3)
    (0.2, 'relative error 0.2, largest expected value 2.5')
    >>> error(torch.tensor([torch.inf]), torch.tensor([-torch.inf]), 1e-3)
    (inf, 'an infinity of the other sign')
    """
    if not isinstance(mine, torch.Tensor):
        return math.nan, f"the rule returns {mine!r}, autograd a gradient"
    dtype = dtype or right.dtype
    if mine.shape != right.shape or mine.dtype != dtype:
        told = f"shape {tuple(mine.shape)}, {mine.dtype} against {tuple(right.shape)}, {dtype}"
        return math.nan, told
    if right.dtype is torch.complex32:  # which cannot be compared
        right = right.to(torch.complex64)
    mine = mine.to(right.dtype)
    asked = ~right.isnan() if undefined else torch.ones_like(right, dtype=torch.bool)
    finite = right.isfinite()
    if not torch.equal(finite & asked, mine.isfinite() & asked) or not torch.equal(
        right.isnan() & asked, mine.isnan() & asked
    ):
        return math.inf, "NaN or infinity in other places than autograd's"
    infinite = right.isinf() & asked
    if not right.is_complex() and not torch.equal(mine[infinite], right[infinite]):
        return math.inf, "an infinity of the other sign"
    a, b = mine[finite], right[finite]
    if a.numel() == 0 or torch.equal(a, b):
        return 0.0, ""
    largest = b.abs().max().item()
    worst = (a - b).abs().max().item() / max(largest, floor)
    worst = float(f"{worst:.6g}")
    return worst, f"relative error {worst:.3g}, largest expected value {largest:.3g}"


def floor(cotangent: list[torch.Tensor | None]) -> float:
    """Below this a gradient is taken for 0."""
    sizes = (
        c[c.isfinite()].abs().max().item()
        for c in cotangent
        if c is not None and bool(c.isfinite().any())
    )
    return 1e-3 * max(sizes, default=0.0) + 1e-300


def same(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether all numbers are the same, NaN too."""
    if a.dtype is torch.complex32:  # which cannot be compared
        a, b = a.to(torch.complex64), b.to(torch.complex64)
    return torch.equal(a, b) or bool(((a == b) | ((a != a) & (b != b))).all())


def inner(a: torch.Tensor, b: torch.Tensor) -> float:
    """The real scalar product."""
    return (a.conj() * b).real.sum().item() if a.is_complex() else (a * b).sum().item()
