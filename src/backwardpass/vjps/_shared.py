"""The few moves that many rules share."""

import math

import torch
from torch import Tensor


def onto(grad: Tensor, argument: object) -> Tensor | None:
    """``grad`` of a broadcast result as the gradient of ``argument``; None for a number.

    What was repeated is summed; a real argument of a complex result keeps the real part; the
    gradient has the argument's dtype.

    >>> onto(torch.ones(2, 3), torch.zeros(3))
    tensor([2., 2., 2.])
    """
    if not isinstance(argument, Tensor):
        return None
    if not argument.is_complex():
        grad = torch.real(grad)
    return grad.sum_to_size(argument.shape).to(argument.dtype)


def conj(value: Tensor | complex) -> Tensor | complex:
    """The complex conjugate of a tensor or of a number."""
    return value.conj() if isinstance(value, Tensor) else value.conjugate()


def axes(x: Tensor, dim: int | tuple[int, ...] | None) -> tuple[int, ...]:
    """The dimensions that a reduction over ``dim`` removes: all where it names none."""
    if dim is None or dim in ((), []):
        return tuple(range(x.ndim))
    named = (dim,) if isinstance(dim, int) else dim
    return tuple(sorted(d % x.ndim for d in named)) if x.ndim else ()


def spread(reduced: Tensor, x: Tensor, dim: int | tuple[int, ...] | None, keepdim: bool) -> Tensor:
    """``reduced`` with the dimensions back that its reduction removed from ``x``."""
    if not keepdim:
        for d in axes(x, dim):
            reduced = reduced.unsqueeze(d)
    return reduced


def count(x: Tensor, dim: int | tuple[int, ...] | None) -> int:
    """How many entries of ``x`` a reduction over ``dim`` makes one of."""
    return math.prod(x.shape[d] for d in axes(x, dim))


def product_of_others(x: Tensor, dim: int) -> Tensor:
    """For each entry along ``dim`` the product of all the others, without a division.

    >>> product_of_others(torch.tensor([0.0, 2.0, 3.0]), 0)
    tensor([6., 0., 0.])
    """
    ones, n = torch.ones_like(x.narrow(dim, 0, 1)), x.shape[dim]
    before = torch.cat([ones, x.narrow(dim, 0, n - 1)], dim).cumprod(dim)
    after = torch.cat([ones, x.flip(dim).narrow(dim, 0, n - 1)], dim).cumprod(dim).flip(dim)
    return before * after


def numbered(x: Tensor) -> Tensor:
    """The entries of ``x`` replaced by their place 1, 2, ... in reading order; 0 is no place.

    >>> numbered(torch.zeros(2, 2))
    tensor([[1, 2],
            [3, 4]])
    """
    return torch.arange(1, x.numel() + 1).reshape(x.shape)


def moved_back(grad: Tensor, places: Tensor, x: Tensor) -> Tensor:
    """Gradient of ``x`` when each entry of the result is a copy of the entry of ``x`` in its place.

    ``places`` is what the operation makes of :func:`numbered`: copies of one entry are summed.
    """
    flat = grad.new_zeros(x.numel() + 1)
    return flat.index_add_(0, places.reshape(-1), grad.reshape(-1))[1:].reshape(x.shape)


def put(grad: Tensor, dim: int, index: Tensor, x: Tensor) -> Tensor:
    """Gradient of ``x`` when the result holds the entries of ``x`` at ``index`` along ``dim``."""
    return torch.zeros_like(x).scatter_add_(dim, index, grad)


def wide(x: Tensor) -> Tensor:
    """``x`` in single precision where it has fewer digits: a square of 300 is ∞ in half precision.

    >>> wide(torch.ones(1, dtype=torch.float16)).dtype, wide(torch.ones(1).double()).dtype
    (torch.float32, torch.float64)
    """
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
