"""Scans, which keep every partial result, and norms, which keep one number."""

import math

import torch

from backwardpass.vjps._registry import rule
from backwardpass.vjps._shared import axes, onto, put, spread


def _from_the_end(g, dim):
    """For each entry the sum of the entries from it on."""
    return g.flip(dim).cumsum(dim).flip(dim) if g.ndim else g


@rule("cumsum", latex=r"\bar x_k = \sum_{i \ge k} \bar y_i", saved="nothing")
def cumsum(g, y, input, dim, *, dtype=None):
    return {"input": onto(_from_the_end(g, dim), input)}


@rule(
    "cumprod",
    latex=r"\bar x_k = \Big(\prod_{j<k} x_j\Big)^* h_k, \qquad "
    r"h_k = \bar y_k + x_{k+1}^*\,h_{k+1}",
    saved="x",
    kinks="the short form with a division by x is 0/0 at a zero; the recurrence is not",
)
def cumprod(g, y, input, dim, *, dtype=None):
    r"""
    $y_i = \prod_{j \le i} x_j$ depends on $x_k$ for $i \ge k$, with slope
    $\prod_{j<k} x_j \cdot \prod_{k<j\le i} x_j$. So
    $\bar x_k = \big(\prod_{j<k} x_j\big) \sum_{i\ge k} \bar y_i \prod_{k<j\le i} x_j$. The sum,
    $h_k$, is its first term $\bar y_k$, plus $x_{k+1}$ times the same sum one place further on.
    """
    if input.numel() == 0 or input.ndim == 0:
        return {"input": onto(g, input)}
    x, h = input.movedim(dim, 0).conj(), list(g.movedim(dim, 0))
    for k in range(len(h) - 2, -1, -1):
        h[k] = h[k] + x[k + 1] * h[k + 1]
    before = torch.cat([torch.ones_like(x[:1]), x[:-1]]).cumprod(0)
    return {"input": onto((before * torch.stack(h)).movedim(0, dim), input)}


@rule(
    "cummax",
    "cummin",
    name="cummax, cummin",
    latex=r"\bar x_k = \sum_{i : k_i = k} \bar y_i, \qquad k_i\ \text{the indices returned}",
    saved="the indices",
    kinks="of ties the latest is returned, and gets all",
)
def cummax(g, y, input, dim):
    return {"input": put(g[0], dim, y[1], input)}


@rule(
    "logcumsumexp",
    latex=r"\bar x_k = \sum_{i \ge k} \bar y_i\,(e^{x_k - y_i})^*",
    saved="x, y",
)
def logcumsumexp(g, y, input, dim):
    r"""
    $y_i = \log \sum_{k \le i} e^{x_k}$, so $\partial y_i / \partial x_k = e^{x_k - y_i}$ for
    $k \le i$. The rule writes all pairs $(k, i)$ out: no exponent is larger than 0, and nothing
    overflows. PyTorch saves the square and takes logarithms of $|\bar y|$ instead.
    """
    if input.ndim == 0:
        return {"input": g}
    x, y, g = (t.movedim(dim, -1) for t in (input, y, g))
    slopes = (x.unsqueeze(-1) - y.unsqueeze(-2)).exp().conj()
    earlier = torch.ones_like(slopes, dtype=torch.bool).triu()
    terms = torch.where(earlier, slopes * g.unsqueeze(-2), 0)
    return {"input": terms.sum(-1).movedim(-1, dim)}


def _vector_norm(g, y, x, p, dim):
    """Of a norm whose result and cotangent have the reduced dimensions back."""
    if p == 0:
        return torch.zeros_like(x)
    if math.isinf(p):
        ties = x.abs() == y
        return g * x.sgn() * ties / ties.sum(axes(x, dim), keepdim=True)
    ratio = torch.where(x == 0, 0, (x.abs() / y) ** (p - 1))
    return g * x.sgn() * ratio


@rule(
    "linalg.vector_norm",
    latex=r"\bar x_i = \bar y\,\mathrm{sgn}(x_i)\,\Big(\frac{|x_i|}{y}\Big)^{p-1}",
    saved="x, y",
    kinks="0 at x = 0 for every p; p = ±∞: ties share equally; p = 0: 0",
)
def vector_norm(g, y, input, ord=2, dim=None, keepdim=False, *, dtype=None):
    r"""
    From $y^p = \sum_i |x_i|^p$: $p\,y^{p-1} dy = \sum_i p\,|x_i|^{p-1}\,d|x_i|$, and
    $d|x_i| = \mathrm{Re}(\mathrm{sgn}(x_i)^* dx_i)$. Divide by $p\,y^{p-1}$. For $p = \pm\infty$
    the norm is the largest or smallest $|x_i|$.
    """
    g, y = spread(g, input, dim, keepdim), spread(y, input, dim, keepdim)
    return {"input": onto(_vector_norm(g, y, input, ord, dim), input)}


def _of_singular_values(g, y, x, ord):
    """Matrix norms that are a function of the singular values, as U diag(their gradient) V^H."""
    U, S, Vh = torch.linalg.svd(x, full_matrices=False)
    if ord == "nuc":
        share = torch.ones_like(S)
    else:
        ties = (y[..., 0] == S).to(S.dtype)
        share = ties / ties.sum(-1, keepdim=True)
    return g * ((U * share.unsqueeze(-2)) @ Vh)


def _matrix_norm(g, y, x, ord, dim):
    """``g`` and ``y`` have the reduced dimensions ``dim`` back."""
    if ord == "fro":
        return _vector_norm(g, y, x, 2, dim)
    rows, columns = dim
    if ord in ("nuc", 2, -2):
        last = [t.movedim((rows, columns), (-2, -1)) for t in (g, y, x)]
        return _of_singular_values(*last, ord).movedim((-2, -1), (rows, columns))
    summed, compared = (rows, columns) if abs(ord) == 1 else (columns, rows)
    sums = x.abs().sum(summed, keepdim=True)
    ties = sums == (sums.amax if ord > 0 else sums.amin)(compared, keepdim=True)
    return g * x.sgn() * ties / ties.sum(compared, keepdim=True)


@rule(
    "linalg.matrix_norm",
    latex=r"\bar X = \bar y\,X / y\ \text{(Frobenius)}, \qquad "
    r"\bar X = \bar y\,U V^{\mathsf H}\ \text{(nuclear)}, \qquad "
    r"\bar X = \bar y\,u_1 v_1^{\mathsf H}\ \text{(2)}",
    saved="X, y; the singular vectors where they are needed",
    domain="nuclear: full rank; 2 and -2: a simple singular value",
    kinks="1 and ∞: ties of column or row sums share equally",
)
def matrix_norm(g, y, A, ord="fro", dim=(-2, -1), keepdim=False, *, dtype=None):
    r"""
    Frobenius is the vector norm of all entries; 1 and ∞ are the largest sum of absolute values in
    a column or row, so the cotangent goes to $\mathrm{sgn}$ of its entries. The others are
    functions $h$ of the singular values, and $d\sigma_i = \mathrm{Re}(u_i^{\mathsf H} dX\,v_i)$
    because the factors in $X = U \Sigma V^{\mathsf H}$ move at right angles to themselves. Hence
    $\bar X = U\,\mathrm{diag}(\partial h/\partial \sigma)\,V^{\mathsf H}\,\bar y$.
    """
    dim = tuple(d % A.ndim for d in dim)
    g, y = spread(g, A, dim, keepdim), spread(y, A, dim, keepdim)
    return {"A": onto(_matrix_norm(g, y, A, ord, dim), A)}


@rule(
    "linalg.norm",
    "linalg.norm.subgradients_at_zero",
    latex=r"\text{the vector norm, or with two dimensions and an order the matrix norm}",
    saved="x, y",
    kinks="as for the two it chooses from",
)
def linalg_norm(g, y, A, ord=None, dim=None, keepdim=False, *, dtype=None):
    pair = isinstance(dim, (tuple, list)) and len(dim) == 2
    matrix = ord is not None and (pair or (dim is None and A.ndim == 2))
    if matrix:
        ordered = (0, 1) if dim is None else tuple(d % A.ndim for d in dim)
        g, y = spread(g, A, ordered, keepdim), spread(y, A, ordered, keepdim)
        return {"A": onto(_matrix_norm(g, y, A, ord, ordered), A)}
    g, y = spread(g, A, dim, keepdim), spread(y, A, dim, keepdim)
    return {"A": onto(_vector_norm(g, y, A, 2 if ord is None else ord, dim), A)}


@rule(
    "norm",
    "norm.fro",
    "norm.inf",
    "norm.nuc",
    latex=r"\text{the vector norm of order}\ p, \ \text{or the nuclear norm of a matrix}",
    saved="x, y",
    kinks="as for linalg.vector_norm and linalg.matrix_norm",
)
def norm(g, y, input, p="fro", dim=None, keepdim=False, dtype=None):
    if p == "nuc":
        ordered = (0, 1) if dim is None else tuple(d % input.ndim for d in dim)
        g, y = spread(g, input, ordered, keepdim), spread(y, input, ordered, keepdim)
        return {"input": onto(_matrix_norm(g, y, input, p, ordered), input)}
    g, y = spread(g, input, dim, keepdim), spread(y, input, dim, keepdim)
    return {"input": onto(_vector_norm(g, y, input, 2 if p == "fro" else p, dim), input)}


@rule(
    "dist",
    latex=r"\bar a = \bar y\,\mathrm{sgn}(d)\,(|d|/y)^{p-1}, \quad d = a - b, \qquad "
    r"\bar b = -\bar a",
    saved="a, b, y",
    kinks="0 at a = b; for p = 0 PyTorch's backward pass raises",
)
def dist(g, y, input, other, p=2):
    d = _vector_norm(g, y, input - other, p, None)
    return {"input": onto(d, input), "other": onto(-d, other)}


@rule(
    "nn.functional.normalize",
    latex=r"y = x / s,\ s = \max(\|x\|, \varepsilon):\quad \bar x = \frac{\bar y}{s} - "
    r"\frac{\mathrm{Re}\,\langle y, \bar y \rangle}{s}\,\nabla\|x\|\;[\|x\| \ge \varepsilon]",
    saved="x, y",
    kinks="at x = 0 the slope is 1/ε, 10¹² by default",
)
def normalize(g, y, input, p=2.0, dim=1, eps=1e-12):
    r"""
    $dy = dx/s - x\,ds/s^2 = (dx - y\,ds)/s$. So $\bar s = -\mathrm{Re}\langle y, \bar y\rangle/s$,
    summed along the dimension; it reaches $x$ through the norm, unless the norm is below
    $\varepsilon$ and $s$ does not move.
    """
    length = input.norm(p, dim, keepdim=True)
    s = length.clamp_min(eps)
    ds = -(y.conj() * g).real.sum(dim, keepdim=True) / s
    through = _vector_norm(ds * (length >= eps), length, input, p, dim)
    return {"input": g / s + through}


@rule(
    "renorm",
    latex=r"\bar x = \bar y\ (\|x\| \le m), \qquad \bar x = c\,\bar y - c\,"
    r"\frac{\mathrm{Re}\,\langle x, \bar y\rangle}{\|x\|}\,\nabla\|x\|,\ c = \frac{m}{\|x\|}",
    saved="x",
    source="derived below",
)
def renorm(g, y, input, p, dim, maxnorm):
    r"""
    Each slice along `dim` longer than $m$ is scaled by $c = m/(\|x\| + 10^{-7})$. Then
    $dy = c\,dx + x\,dc$ with $dc = -c\,d\|x\|/(\|x\| + 10^{-7})$, which is the second term.
    """
    over = tuple(d for d in range(input.ndim) if d != dim % input.ndim)
    length = torch.linalg.vector_norm(input, p, over, keepdim=True)
    c = maxnorm / (length + 1e-7)
    dc = (input.conj() * g).real.sum(over, keepdim=True)
    scaled = c * g + _vector_norm(-dc * c / (length + 1e-7), length, input, p, over)
    return {"input": torch.where(length > maxnorm, scaled, g)}
