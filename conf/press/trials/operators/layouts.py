"""The same numbers in other places of memory, which must not change what a rule answers."""

import torch


def plain(x: torch.Tensor) -> torch.Tensor:
    """A copy of its own."""
    return x.clone()


def other(x: torch.Tensor) -> torch.Tensor:
    """A view with gaps, lazily conjugated where it is complex and lazily negated where it is real.

    >>> x = torch.tensor([1.0, -2.0])
    >>> y = other(x)
    >>> torch.equal(x, y), y.is_neg(), y.is_contiguous(), other(1j * x).is_conj()
    (True, True, False, True)
    """
    if x.layout is not torch.strided:
        return x.clone()
    if x.is_complex():
        return _with_gaps(x.conj().resolve_conj()).conj()
    if x.dtype in (torch.float64, torch.float32):
        return torch.complex(torch.zeros_like(x), -x).conj().imag
    return _with_gaps(x)


def _with_gaps(x: torch.Tensor) -> torch.Tensor:
    """A view of every second entry of a tensor twice as large."""
    wide = x.new_empty((*x.shape, 2))
    wide[..., 0] = x
    return wide[..., 0]
