"""Complex numbers and Fourier transforms: a cotangent is one real number for each real number."""

import torch
from torch import Tensor

from backwardpass.vjps._registry import rule
from backwardpass.vjps._shared import onto


@rule("conj", "conj_physical", latex=r"\bar x = \bar y^*", saved="nothing")
def conj(g, y, input):
    return {"input": g.conj()}


@rule("resolve_conj", "resolve_neg", latex=r"\bar x = \bar y", saved="nothing")
def resolve_conj(g, y, input):
    return {"input": g}


@rule("real", latex=r"\bar x = \bar y", saved="nothing", kinks="the gradient is real")
def real(g, y, input):
    return {"input": g.to(input.dtype)}


@rule("imag", latex=r"\bar x = i\,\bar y", saved="nothing", domain="complex x")
def imag(g, y, input):
    return {"input": 1j * g}


@rule("complex", latex=r"\bar a = \mathrm{Re}\,\bar y, \qquad \bar b = \mathrm{Im}\,\bar y",
      saved="nothing")  # fmt: skip
def complex_(g, y, real, imag):
    return {"real": onto(g.real, real), "imag": onto(g.imag, imag)}


@rule(
    "polar",
    latex=r"y = r\,e^{i\varphi}:\quad \bar r = \mathrm{Re}(\bar y^*\,\mathrm{sgn}\,y), \qquad "
    r"\bar\varphi = -\mathrm{Im}(\bar y^*\,y)",
    saved="y",
    domain="r > 0",
    kinks="at r = 0 the gradient of r is 0, not the derivative: y does not tell the direction",
)
def polar(g, y, abs, angle):
    r"""
    $dy = e^{i\varphi} dr + i\,y\,d\varphi$, and $\mathrm{Re}(\bar y^* i\,y) =
    -\mathrm{Im}(\bar y^* y)$; for $r > 0$, $e^{i\varphi} = \mathrm{sgn}\,y$.
    """
    return {"abs": onto((g.conj() * y.sgn()).real, abs), "angle": onto(-(g.conj() * y).imag, angle)}


@rule(
    "angle",
    latex=r"\bar x = \bar y\,\frac{i\,x}{|x|^2}\ \text{(complex)}, \qquad 0\ \text{(real)}",
    saved="x",
    kinks="0 at 0",
)
def angle(g, y, input):
    r"""
    $\varphi = \mathrm{Im} \log x$, so $d\varphi = \mathrm{Im}(dx/x) = \mathrm{Re}(-i\,dx/x)$, and
    the cotangent is $\bar y\,(-i/x)^* = \bar y\,i\,x/|x|^2$.
    """
    if not input.is_complex():
        return {"input": torch.zeros_like(input)}
    return {"input": torch.where(input == 0, 0, 1j * g * input / input.abs() ** 2)}


# The adjoint of a transform scaled by 1/n, 1/sqrt(n) or not at all is scaled alike; PyTorch's names
# for the scale of a transform and of its inverse are exchanged.
ADJOINT_NORM = {None: "forward", "backward": "forward", "forward": "backward", "ortho": "ortho"}
FOURIER = r"y = F\,\mathrm{fit}(x):\quad \bar x = \mathrm{fit}^{\top}(F^{\mathsf H}\,\bar y)"


def _fitted(x: Tensor, sizes: dict[int, int]) -> Tensor:
    """``x`` cut off or continued with zeros to those sizes; its own adjoint, with the old sizes."""
    for d, n in sizes.items():
        x = x.narrow(d, 0, min(n, x.shape[d]))
        shape = list(x.shape)
        shape[d] = n - x.shape[d]
        x = torch.cat([x, x.new_zeros(shape)], d)
    return x


def _axes(x: Tensor, s, dim) -> tuple[int, ...]:
    """The dimensions of a transform over several."""
    if dim is None:
        dim = range(x.ndim) if s is None else range(x.ndim - len(s), x.ndim)
    return tuple(d % x.ndim for d in ((dim,) if isinstance(dim, int) else dim))


def _adjoint(inverse: bool, g: Tensor, x: Tensor, dims, norm) -> Tensor:
    """Gradient of x for a transform of all of ``dims``."""
    transform = torch.fft.fftn if inverse else torch.fft.ifftn
    full = transform(g, dim=dims, norm=ADJOINT_NORM[norm])
    return onto(_fitted(full, {d: x.shape[d] for d in dims}), x)


@rule("fft.fft", latex=FOURIER, saved="the shape of x")
def fft(g, y, input, n=None, dim=-1, norm=None):
    r"""
    The transform is linear, so its pullback is its adjoint. The matrix
    $F_{kj} = e^{-2\pi i\,kj/n}$ is symmetric, and $F^{\mathsf H} = F^*$ is the inverse transform
    without its factor $1/n$. `n` cuts $x$ off or continues it with zeros; the adjoint continues
    with zeros, or cuts off.
    """
    return {"input": _adjoint(False, g, input, (dim,), norm)}


@rule("fft.ifft", latex=FOURIER, saved="the shape of x")
def ifft(g, y, input, n=None, dim=-1, norm=None):
    return {"input": _adjoint(True, g, input, (dim,), norm)}


@rule("fft.fft2", latex=FOURIER, saved="the shape of x")
def fft2(g, y, input, s=None, dim=(-2, -1), norm=None):
    return {"input": _adjoint(False, g, input, _axes(input, s, dim), norm)}


@rule("fft.ifft2", latex=FOURIER, saved="the shape of x")
def ifft2(g, y, input, s=None, dim=(-2, -1), norm=None):
    return {"input": _adjoint(True, g, input, _axes(input, s, dim), norm)}


@rule("fft.fftn", latex=FOURIER, saved="the shape of x")
def fftn(g, y, input, s=None, dim=None, norm=None):
    return {"input": _adjoint(False, g, input, _axes(input, s, dim), norm)}


@rule("fft.ifftn", latex=FOURIER, saved="the shape of x")
def ifftn(g, y, input, s=None, dim=None, norm=None):
    return {"input": _adjoint(True, g, input, _axes(input, s, dim), norm)}


HALF = r"\bar x = \mathrm{Re}\,\mathrm{fit}^{\top}\big(F^{\mathsf H}\,(\bar y, 0)\big)"


def _adjoint_half(g: Tensor, x: Tensor, n: int | None, dims: tuple[int, ...], norm) -> Tensor:
    """Gradient of real x, transformed over ``dims``, of the last of which half is kept."""
    whole = x.shape[dims[-1]] if n in (None, -1) else n
    return _adjoint(False, _fitted(g, {dims[-1]: whole}), x, dims, norm)


@rule("fft.rfft", latex=HALF, saved="the shape of x")
def rfft(g, y, input, n=None, dim=-1, norm=None):
    r"""
    The first half of the transform of a real $x$: the full transform, then a cut. The adjoint
    continues $\bar y$ with zeros, applies $F^{\mathsf H}$, and keeps the real part. That is not the
    inverse of rfft: the mirrored half, which irfft would supply, has no cotangent.
    """
    return {"input": _adjoint_half(g, input, n, (dim,), norm)}


@rule("fft.rfft2", latex=HALF, saved="the shape of x")
def rfft2(g, y, input, s=None, dim=(-2, -1), norm=None):
    return {"input": _adjoint_half(g, input, s and s[-1], _axes(input, s, dim), norm)}


@rule("fft.rfftn", latex=HALF, saved="the shape of x")
def rfftn(g, y, input, s=None, dim=None, norm=None):
    return {"input": _adjoint_half(g, input, s and s[-1], _axes(input, s, dim), norm)}


MIRRORED = (
    r"\bar x = \mathrm{fit}^{\top}\big(c \odot \mathrm{rfft}(\bar y)\big), \qquad "
    r"c = 1\ \text{at } 0 \text{ and } n/2,\ \text{2 between}"
)


def _adjoint_mirrored(g: Tensor, x: Tensor, dims: tuple[int, ...], norm) -> Tensor:
    """Gradient of x, half of a transform, for the real result of its inverse."""
    last = dims[-1]
    n = g.shape[last]
    half = torch.fft.rfft(g, dim=last, norm=ADJOINT_NORM[norm])
    k = torch.arange(half.shape[last])
    twice = 2 - 1.0 * ((k == 0) | (2 * k == n))
    half = half * twice.reshape([-1 if d == last % g.ndim else 1 for d in range(g.ndim)])
    half = _fitted(half, {last: x.shape[last]})
    return onto(half, x) if len(dims) == 1 else _adjoint(True, half, x, dims[:-1], norm)


@rule("fft.irfft", latex=MIRRORED, saved="the shape of x")
def irfft(g, y, input, n=None, dim=-1, norm=None):
    r"""
    $y_j = \frac1n \mathrm{Re} \sum_k c_k\,x_k\,e^{2\pi i\,jk/n}$ over $0 \le k \le n/2$: an entry
    between the ends stands for its mirror image too, hence $c_k = 2$. So
    $\bar x_k = \frac{c_k}{n} \sum_j \bar y_j\,e^{-2\pi i\,jk/n}$.
    """
    return {"input": _adjoint_mirrored(g, input, (dim,), norm)}


@rule("fft.irfft2", latex=MIRRORED, saved="the shape of x")
def irfft2(g, y, input, s=None, dim=(-2, -1), norm=None):
    return {"input": _adjoint_mirrored(g, input, _axes(input, s, dim), norm)}


@rule("fft.irfftn", latex=MIRRORED, saved="the shape of x")
def irfftn(g, y, input, s=None, dim=None, norm=None):
    return {"input": _adjoint_mirrored(g, input, _axes(input, s, dim), norm)}


@rule("fft.hfft", latex=r"y = n\;\mathrm{irfft}(x^*)", saved="the shape of x")
def hfft(g, y, input, n=None, dim=-1, norm=None):
    return {"input": _adjoint_mirrored(g, input, (dim,), ADJOINT_NORM[norm]).conj()}


@rule("fft.ihfft", latex=r"y = \mathrm{rfft}(x)^* / n", saved="the shape of x")
def ihfft(g, y, input, n=None, dim=-1, norm=None):
    return {"input": _adjoint_half(g.conj(), input, n, (dim,), ADJOINT_NORM[norm])}


@rule("fft.fftshift", latex=r"\bar x = \mathrm{ifftshift}(\bar y)", saved="nothing")
def fftshift(g, y, input, dim=None):
    return {"input": torch.fft.ifftshift(g, dim)}


@rule("fft.ifftshift", latex=r"\bar x = \mathrm{fftshift}(\bar y)", saved="nothing")
def ifftshift(g, y, input, dim=None):
    return {"input": torch.fft.fftshift(g, dim)}
