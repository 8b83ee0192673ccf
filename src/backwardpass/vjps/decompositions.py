"""Matrix decompositions: the factors move so that they stay what they are."""

import torch

from backwardpass.vjps._registry import Declined, rule

SEEGER = "Seeger and others, Auto-differentiating linear algebra, 2017"


@rule(
    "linalg.cholesky",
    latex=r"\bar A = \tfrac12\,L^{-\mathsf H} \big(\Phi + \mathrm{tril}(\Phi, -1)^{\mathsf H}\big) "
    r"L^{-1}, \qquad \Phi = \mathrm{tril}(L^{\mathsf H} \bar L)",
    saved="L",
    domain="positive definite A, moved by Hermitian steps",
    source="derived below; Murray, Differentiation of the Cholesky decomposition, 2016",
)
def cholesky(g, y, A, *, upper=False):
    r"""
    $dA = dL\,L^{\mathsf H} + L\,dL^{\mathsf H}$, so
    $L^{-1} dA\,L^{-\mathsf H} = M + M^{\mathsf H}$ with $M = L^{-1} dL$ lower triangular: $M$ is
    its lower triangle, the diagonal halved. Pulled back, $\bar L$ gives $M$ the lower triangle of
    $L^{\mathsf H} \bar L$, which is made Hermitian with its diagonal halved, and $L^{-1}$ on both
    sides goes over as $L^{-\mathsf H}$ and $L^{-1}$. Only one triangle of $A$ is read; among the
    gradients that agree on Hermitian steps PyTorch returns the Hermitian one, and so does this.
    """
    L, dL = (y.mH, g.mH) if upper else (y, g)
    lower = (L.mH @ dL).tril()
    inner = 0.5 * (lower + lower.tril(-1).mH)
    left = torch.linalg.solve_triangular(L.mH, inner, upper=True)
    return {"A": torch.linalg.solve_triangular(L, left, upper=False, left=False)}


@rule(
    "linalg.qr",
    latex=r"\bar A = \big[\bar Q + Q\,\mathrm{herm}\big(\mathrm{triu}(\bar R R^{\mathsf H} - "
    r"Q^{\mathsf H} \bar Q)\big)\big]\,R^{-\mathsf H}",
    saved="Q, R; A where it is wide",
    domain="full rank of the first columns; not mode 'r'; mode 'complete' only for m ≤ n",
    source=SEEGER,
)
def qr(g, y, A, mode="reduced"):
    r"""
    $dA\,R^{-1} = dQ + Q\,dR\,R^{-1}$. Because $Q^{\mathsf H} Q = I$, $Q^{\mathsf H} dQ$ is
    skew-Hermitian, and $dR\,R^{-1}$ is upper triangular with a real diagonal: the lower triangle of
    $Q^{\mathsf H} dA\,R^{-1}$ determines the first, the rest the second. Pulled back,
    $\bar R R^{\mathsf H} - Q^{\mathsf H} \bar Q$ keeps its upper triangle and is completed to a
    Hermitian matrix. A wide $A = (A_1, A_2)$ has $Q, R_1$ from $A_1$ and $R_2 = Q^{\mathsf H} A_2$,
    a product: it adds $A_2 \bar R_2^{\mathsf H}$ to $\bar Q$ and gives $\bar A_2 = Q \bar R_2$.
    """
    m, n = A.shape[-2:]
    if mode == "r" or (mode == "complete" and m > n):
        raise Declined("not differentiable: Q is not determined, or not there")
    k = min(m, n)
    (dQ, dR), (Q, R) = g, y
    dQ = dQ + A[..., k:] @ dR[..., k:].mH
    square, cotangent = R[..., :k], dR[..., :k]
    upper = cotangent @ square.mH - Q.mH @ dQ
    diagonal = torch.diag_embed(upper.diagonal(dim1=-2, dim2=-1).real)
    hermitian = upper.triu(1) + upper.triu(1).mH + diagonal
    first = torch.linalg.solve_triangular(square.mH, dQ + Q @ hermitian, upper=False, left=False)
    return {"A": torch.cat([first, Q @ dR[..., k:]], -1)}


def _gaps(values):
    """λ_j - λ_i, with ∞ on the diagonal, so that a division gives 0 there."""
    gaps = values.unsqueeze(-2) - values.unsqueeze(-1)
    gaps.diagonal(dim1=-2, dim2=-1).fill_(torch.inf)
    return gaps


@rule(
    "linalg.eigh",
    latex=r"\bar A = V \Big[\mathrm{diag}(\bar\lambda) + "
    r"\frac{V^{\mathsf H} \bar V - \bar V^{\mathsf H} V}{2\,(\lambda_j - \lambda_i)}\Big] "
    r"V^{\mathsf H}",
    saved="λ, V",
    domain="Hermitian A moved by Hermitian steps; distinct eigenvalues where V is used; a loss "
    "that does not depend on the phase of an eigenvector",
    source="derived below; " + SEEGER,
)
def eigh(g, y, A, UPLO="L"):
    r"""
    $A V = V \Lambda$ with $V^{\mathsf H} V = I$. Put $dV = V \Omega$, $\Omega$ skew-Hermitian, and
    $M = V^{\mathsf H} dA\,V$: then $M = d\Lambda + \Omega \Lambda - \Lambda \Omega$. The diagonal
    is
    $d\lambda_i = M_{ii}$, the rest $\Omega_{ij} = M_{ij}/(\lambda_j - \lambda_i)$; the diagonal of
    $\Omega$ is the phase, chosen freely, and a loss that is well defined does not see it. So
    $\bar M = \mathrm{diag}(\bar\lambda) + (V^{\mathsf H}\bar V)_{ij}/(\lambda_j - \lambda_i)$; its
    Hermitian part is what Hermitian steps see, and what PyTorch returns.
    """
    (dvalues, dV), (values, V) = g, y
    inner = V.mH @ dV
    rotation = 0.5 * (inner - inner.mH) / _gaps(values)
    return {"A": V @ (rotation + torch.diag_embed(dvalues).to(V.dtype)) @ V.mH}


@rule(
    "linalg.eigvalsh",
    latex=r"\bar A = V\,\mathrm{diag}(\bar\lambda)\,V^{\mathsf H}",
    saved="V, which the function does not return but computes when a gradient is needed",
    domain="Hermitian A moved by Hermitian steps",
)
def eigvalsh(g, y, A, UPLO="L"):
    V = torch.linalg.eigh(A, UPLO).eigenvectors
    return {"A": (V * g.unsqueeze(-2)) @ V.mH}


@rule(
    "linalg.svd",
    once="for a loss that does not see the phases, only the first derivative leaves them out",
    latex=r"\bar A = U \Big[\frac{\Omega_U \Sigma + \Sigma\,\Omega_V}{\sigma_j^2 - \sigma_i^2} + "
    r"\mathrm{diag}\Big(\bar\sigma + \frac{(\Omega_U)_{ii}}{2 \sigma_i}\Big)\Big] V^{\mathsf H} + "
    r"\cdots, \qquad \Omega_X = X^{\mathsf H} \bar X - \bar X^{\mathsf H} X",
    saved="U, σ, V",
    domain="distinct singular values; not 0 where A is not square; a loss that does not depend on "
    "the phase of a pair of singular vectors",
    source="derived below; " + SEEGER,
)
def svd(g, y, A, full_matrices=True, *, driver=None):
    r"""
    Put $dU = U \Omega + U_\perp \cdots$ and $dV$ likewise, and $M = U^{\mathsf H} dA\,V$. Then
    $M = \Omega \Sigma + d\Sigma - \Sigma \Omega'$ with $\Omega, \Omega'$ skew-Hermitian. The
    diagonal gives $d\sigma_i = \mathrm{Re}\,M_{ii}$; the rest, with its adjoint, two equations for
    $\Omega_{ij}$ and $\Omega'_{ij}$ whose determinant is $\sigma_j^2 - \sigma_i^2$. Pulled back
    they
    give the first term; the imaginary part of $M_{ii}$ turns the phase of a pair of vectors, half
    of it each. Where $A$ is not square, $U$ also moves out of its own span, by
    $(I - U U^{\mathsf H})\,dA\,V \Sigma^{-1}$, and $V$ by
    $(I - V V^{\mathsf H})\,dA^{\mathsf H}\,U \Sigma^{-1}$: the terms behind the dots.
    """
    k = min(A.shape[-2:])
    if full_matrices and any(bool(t.any()) for t in (g[0][..., k:], g[2][..., k:, :])):
        raise Declined("a cotangent of the vectors that full_matrices adds, which are arbitrary")
    U, S, V = y[0][..., :k], y[1], y[2].mH[..., :k]
    dU, dS, dV = g[0][..., :k], g[1], g[2].mH[..., :k]
    skew_U, skew_V = (X.mH @ dX - dX.mH @ X for X, dX in ((U, dU), (V, dV)))
    inner = (skew_U * S.unsqueeze(-2) + S.unsqueeze(-1) * skew_V) / _gaps(S.square())
    phase = skew_U.diagonal(dim1=-2, dim2=-1) / (2 * S)
    inner = inner + torch.diag_embed(dS + phase)
    out_U, out_V = ((dX - X @ (X.mH @ dX)) / S.unsqueeze(-2) for X, dX in ((U, dU), (V, dV)))
    return {"A": U @ inner @ V.mH + out_U @ V.mH + U @ out_V.mH}


@rule(
    "linalg.svdvals",
    latex=r"\bar A = U\,\mathrm{diag}(\bar\sigma)\,V^{\mathsf H}",
    saved="U and V, which the function does not return but computes when a gradient is needed",
)
def svdvals(g, y, A, *, driver=None):
    U, _, Vh = torch.linalg.svd(A, full_matrices=False)
    return {"A": (U * g.unsqueeze(-2)) @ Vh}
