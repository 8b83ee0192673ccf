"""More decompositions: LU, eigenvalues of any matrix, Householder products, and older names."""

import torch
from torch import Tensor

from backwardpass.vjps._registry import Declined, rule
from backwardpass.vjps._shared import onto
from backwardpass.vjps.decompositions import cholesky as _cholesky
from backwardpass.vjps.decompositions import qr as _qr
from backwardpass.vjps.decompositions import svd as _svd


@rule(
    "cholesky",
    "linalg.cholesky_ex",
    name="cholesky, cholesky_ex",
    latex=r"\text{as linalg.cholesky}",
    saved="L",
    domain="positive definite A, moved by Hermitian steps",
    source="linalg.cholesky",
)
def cholesky(g, y, A, upper=False, *, check_errors=False):
    first = not isinstance(g, Tensor)
    return _cholesky(g[0] if first else g, y[0] if first else y, A, upper=upper)


@rule("qr", latex=r"\text{as linalg.qr}", saved="Q, R", source="linalg.qr, by an older name")
def qr(g, y, input, some=True):
    return {"input": _qr(g, y, input, "reduced" if some else "complete")["A"]}


@rule(
    "svd",
    once="for a loss that does not see the phases, only the first derivative leaves them out",
    latex=r"\text{as linalg.svd, with}\ V\ \text{in place of}\ V^{\mathsf H}",
    saved="U, σ, V",
    source="linalg.svd, by an older name",
)
def svd(g, y, input, some=True, compute_uv=True):
    if not compute_uv:
        raise Declined("compute_uv=False returns zeros for vectors: linalg.svdvals has the rule")
    g, y = (g[0], g[1], g[2].mH), (y[0], y[1], y[2].mH)
    return {"input": _svd(g, y, input, not some)["A"]}


def _of_low_rank(g, y, A):
    """The rule of svd with the singular triples that were computed, where they are all of A."""
    U, S, V = y
    rest = torch.linalg.matrix_norm(A - (U * S.unsqueeze(-2)) @ V.mH)
    size = torch.linalg.matrix_norm(A)
    if bool((rest > 1e4 * torch.finfo(S.dtype).eps * size).any()):
        raise Declined("A has a higher rank than q: what is computed depends on a random start")
    return _svd((g[0], g[1], g[2].mH), (U, S, V.mH), _Shaped(A, S.shape[-1]), False)["A"]


class _Shaped:
    """What the rule of svd asks of A: a shape, whose smaller side is the number of triples."""

    def __init__(self, A: Tensor, q: int):
        self.shape = (*A.shape[:-2], min(A.shape[-2], q), min(A.shape[-1], q))


LOW_RANK = "rank of A at most q: otherwise a random start decides what is computed"


@rule(
    "svd_lowrank",
    once="double backward goes through the steps of the algorithm",
    latex=r"\text{as linalg.svd, for}\ A = U \Sigma V^{\mathsf H}\ \text{of rank}\ q",
    saved="U, σ, V",
    domain=LOW_RANK,
    source="linalg.svd",
)
def svd_lowrank(g, y, A, q=6, niter=2, M=None):
    r"""
    With $A$ of rank $q$ the iteration finds its range exactly, and a step $dA$ out of the range
    changes what was found to second order only: the derivative is that of the decomposition.
    """
    dA = _of_low_rank(g, y, A if M is None else A - M)
    return {"A": dA, "M": None if M is None else onto(-dA, M)}


@rule(
    "pca_lowrank",
    once="double backward goes through the steps of the algorithm",
    latex=r"\text{as svd\_lowrank, of}\ A - \text{the mean of its rows}",
    saved="U, σ, V",
    domain=LOW_RANK,
    source="svd_lowrank",
)
def pca_lowrank(g, y, A, q=None, center=True, niter=2):
    if not center:
        return {"A": _of_low_rank(g, y, A)}
    dA = _of_low_rank(g, y, A - A.mean(-2, keepdim=True))
    return {"A": dA - dA.mean(-2, keepdim=True)}


@rule(
    "linalg.eig",
    latex=r"\bar A = V^{-\mathsf H} \Big[\mathrm{diag}(\bar\lambda) + \frac{V^{\mathsf H} \bar V - "
    r"V^{\mathsf H} V\,\mathrm{diag}(\mathrm{Re}\,V^{\mathsf H} \bar V)}"
    r"{(\lambda_j - \lambda_i)^*}\Big] V^{\mathsf H}",
    saved="λ, V",
    domain="distinct eigenvalues; a loss that does not depend on the phase of an eigenvector",
    source="derived below; Boeddeker and others, 2017",
)
def eig(g, y, A):
    r"""
    $A V = V \Lambda$. Put $dV = V C$: then $V^{-1} dA\,V = d\Lambda + C \Lambda - \Lambda C$, so
    $d\lambda_i = P_{ii}$ and $C_{ij} = P_{ij}/(\lambda_j - \lambda_i)$ with $P = V^{-1} dA\,V$. The
    diagonal of $C$ keeps the columns at length 1, which subtracts from each column of $\bar V$ its
    part along itself: $\bar V - V\,\mathrm{diag}(\mathrm{Re}\,V^{\mathsf H} \bar V)$.
    """
    (dvalues, dV), (values, V) = g, y
    inner = V.mH @ dV
    along = torch.real(inner.diagonal(dim1=-2, dim2=-1)).unsqueeze(-2)
    gaps = (values.unsqueeze(-2) - values.unsqueeze(-1)).conj().resolve_conj()
    rotation = (inner - (V.mH @ V) * along) / gaps
    P = rotation.clone()
    P.diagonal(dim1=-2, dim2=-1).copy_(dvalues)
    return {"A": onto(torch.linalg.solve(V.mH, P @ V.mH), A)}


@rule(
    "linalg.eigvals",
    latex=r"\bar A = V^{-\mathsf H}\,\mathrm{diag}(\bar\lambda)\,V^{\mathsf H}",
    saved="V, which the function does not return but computes when a gradient is needed",
    domain="a matrix that has a basis of eigenvectors",
)
def eigvals(g, y, A):
    V = torch.linalg.eig(A).eigenvectors
    return {"A": onto(torch.linalg.solve(V.mH, g.unsqueeze(-1) * V.mH), A)}


def _plu(gL, gU, P, L, U):
    """Gradient of A = P L U."""
    m, n, k = L.shape[-2], U.shape[-1], L.shape[-1]
    top, square = L[..., :k, :], U[..., :, :k]
    below, right = L[..., k:, :], U[..., :, k:]
    g_below, g_right = gL[..., k:, :], gU[..., :, k:]
    lower = top.mH @ gL[..., :k, :] - g_right @ right.mH
    upper = gU[..., :, :k] @ square.mH - below.mH @ g_below
    inner = lower.tril(-1) + upper.triu()
    solve = torch.linalg.solve_triangular
    if m > n:  # the rows below are those of a product with U
        inner = torch.cat([solve(top.mH, inner, upper=True, unitriangular=True), g_below], -2)
        inner = solve(square.mH, inner, upper=False, left=False)
    else:
        inner = torch.cat([solve(square.mH, inner, upper=False, left=False), g_right], -1)
        inner = solve(top.mH, inner, upper=True, unitriangular=True)
    return P @ inner


LU = (
    r"\bar A = P L^{-\mathsf H} \big[\mathrm{tril}(L^{\mathsf H} \bar L, -1) + "
    r"\mathrm{triu}(\bar U U^{\mathsf H})\big] U^{-\mathsf H}"
)


@rule(
    "linalg.lu",
    latex=LU,
    saved="P, L, U",
    domain="full rank; pivots that do not change",
    kinks="where two pivots tie the factors jump",
    source="derived below",
)
def lu(g, y, A, *, pivot=True):
    r"""
    $P^{\top} dA = dL\,U + L\,dU$, so $L^{-1} P^{\top} dA\,U^{-1} = L^{-1} dL + dU\,U^{-1}$: a
    strictly lower triangle and an upper one, which do not mix. Rows below a tall $A$, and columns
    right of a wide one, are products, $A_2 = L_2 U$ and $A_2 = L U_2$: they take their cotangent as
    it is, and what they owe to the factor they share is subtracted from it.
    """
    P, L, U = y
    P = torch.eye(A.shape[-2], dtype=A.dtype) if P.numel() == 0 else P
    gL, gU = (torch.zeros_like(f) if c is None else c for f, c in ((L, g[1]), (U, g[2])))
    return {"A": _plu(gL.tril(-1), gU.triu(), P, L, U)}


def _factors(packed):
    """L and U, which are kept in one matrix."""
    m, n = packed.shape[-2:]
    k = min(m, n)
    L = packed[..., :, :k].tril(-1) + torch.eye(m, k, dtype=packed.dtype)
    return L, packed[..., :k, :].triu()


def _packed(g, y, A, pivots):
    """Gradient of A from that of its packed factors."""
    L, U = _factors(y)
    k = L.shape[-1]
    P = torch.lu_unpack(y, pivots, unpack_data=False)[0]
    return _plu(g[..., :, :k].tril(-1), g[..., :k, :].triu(), P, L, U)


@rule(
    "linalg.lu_factor",
    "linalg.lu_factor_ex",
    name="lu_factor",
    latex=LU + r",\quad L \text{ and } U \text{ in one matrix}",
    saved="the factors, the pivots",
    domain="full rank; pivots that do not change",
)
def lu_factor(g, y, A, *, pivot=True, check_errors=False):
    return {"A": _packed(g[0], y[0], A, y[1])}


@rule(
    "lu",
    latex=LU + r",\quad L \text{ and } U \text{ in one matrix}",
    saved="the factors, the pivots",
    domain="full rank; pivots that do not change",
    source="lu_factor, by an older name",
)
def old_lu(g, y, A, pivot=True, get_infos=False, out=None):
    return {"A": _packed(g[0], y[0], A, y[1])}


@rule(
    "lu_unpack",
    latex=r"\bar X = \mathrm{tril}(\bar L, -1) + \mathrm{triu}(\bar U)",
    saved="nothing",
)
def lu_unpack(g, y, LU_data, LU_pivots, unpack_data=True, unpack_pivots=True):
    k = min(LU_data.shape[-2:])
    dx = torch.zeros_like(LU_data)
    if unpack_data:
        dx[..., :, :k] += g[1].tril(-1)
        dx[..., :k, :] += g[2].triu()
    return {"LU_data": dx}


def _reflectors(A, k):
    """v of each reflection I - τ v v^H: 1 on the diagonal of A, what is below it, 0 above."""
    return A[..., :, :k].tril(-1) + torch.eye(A.shape[-2], k, dtype=A.dtype)


def _product_back(g, start, V, tau, order, adjoint):
    """Gradients through H_1 ... applied to ``start`` one after the other, in that order.

    Each step is Y = X - t v (v^H X), t the scalar of the reflection or its conjugate.
    """
    steps, x = [], start
    for i in order:
        v, t = V[..., :, i : i + 1], tau[..., i : i + 1, None]
        t = t.conj() if adjoint else t
        steps.append((i, x, v, t))
        x = x - t * (v @ (v.mH @ x))
    dV, dtau = torch.zeros_like(V), torch.zeros_like(tau)
    for i, x, v, t in reversed(steps):
        row, grow = v.mH @ x, v.mH @ g
        dt = -(grow.conj() * row).sum((-2, -1)).conj()
        dtau[..., i] = dt.conj() if adjoint else dt
        dV[..., :, i : i + 1] = -(t.conj() * (g @ row.mH)) - t * (x @ grow.mH)
        g = g - t.conj() * (v @ grow)
    return g, dV, dtau


REFLECTED = (
    r"Y = X - \tau\,v\,(v^{\mathsf H} X):\quad \bar X = \bar Y - \tau^*\,v\,(v^{\mathsf H} \bar Y),"
    r"\quad \bar\tau = -\langle v\,v^{\mathsf H} X, \bar Y \rangle, \quad "
    r"\bar v = -\tau^* \bar Y X^{\mathsf H} v - \tau\,X \bar Y^{\mathsf H} v"
)


@rule(
    "linalg.householder_product",
    latex=REFLECTED,
    saved="A, τ",
    kinks="A on and above the diagonal is not read",
)
def householder_product(g, y, A, tau):
    r"""
    $Q = H_1 \cdots H_k$ applied to the first columns of the identity, with
    $H_i = I - \tau_i v_i v_i^{\mathsf H}$. Each application is bilinear in $X$ and $\tau$ and
    quadratic in $v$; the chain goes back through them one after the other.
    """
    k = tau.shape[-1]
    start = torch.eye(*A.shape[-2:], dtype=A.dtype).expand(A.shape)
    _, dV, dtau = _product_back(g, start, _reflectors(A, k), tau, range(k - 1, -1, -1), False)
    dA = torch.zeros_like(A)
    dA[..., :, :k] = dV.tril(-1)
    return {"A": dA, "tau": dtau}


@rule("ormqr", latex=REFLECTED, saved="A, τ, B", kinks="A on and above the diagonal is not read")
def ormqr(g, y, input, tau, other, left=True, transpose=False):
    r"""
    $Q B$, or $Q^{\mathsf H} B$, by the same chain, which starts with $B$; products from the right
    are those of the adjoint, $B Q = (Q^{\mathsf H} B^{\mathsf H})^{\mathsf H}$.
    """
    k = tau.shape[-1]
    adjoint = transpose if left else not transpose
    order = range(k) if adjoint else range(k - 1, -1, -1)
    start, cotangent = (other, g) if left else (other.mH, g.mH)
    V = _reflectors(input, k)
    dB, dV, dtau = _product_back(cotangent, start, V, tau, order, adjoint)
    dA = torch.zeros_like(input)
    dA[..., :, :k] = dV.tril(-1)
    return {"input": dA, "tau": dtau, "other": dB if left else dB.mH}
