"""Inverses, linear systems and determinants."""

import torch

from backwardpass.vjps._registry import rule
from backwardpass.vjps._shared import onto, product_of_others

GILES = "Giles, Collected matrix derivative results, 2008"


@rule(
    "linalg.inv",
    latex=r"\bar A = -Y^{\mathsf H}\,\bar Y\,Y^{\mathsf H}",
    saved="Y",
    domain="invertible A",
    also="inverse",
)
def inv(g, y, A):
    r"""
    $A Y = I$ gives $dA\,Y + A\,dY = 0$, so $dY = -Y\,dA\,Y$.
    """
    return {"A": -y.mH @ g @ y.mH}


@rule(
    "linalg.pinv",
    latex=r"\bar A = -Y^{\mathsf H} \bar Y Y^{\mathsf H} + (I - A Y)\,\bar Y^{\mathsf H} Y "
    r"Y^{\mathsf H} + Y^{\mathsf H} Y \bar Y^{\mathsf H} (I - Y A)",
    saved="A, Y",
    domain="along directions that keep the rank",
    source="Golub and Pereyra, The differentiation of pseudo-inverses, 1973, theorem 4.3",
)
def pinv(g, y, A, *, atol=None, rtol=None, hermitian=False):
    r"""
    For a constant rank $dY = -Y\,dA\,Y + Y Y^{\mathsf H} dA^{\mathsf H} (I - A Y) +
    (I - Y A)\,dA^{\mathsf H}\,Y^{\mathsf H} Y$. The scalar product with $\bar Y$, term by term:
    $\mathrm{Re}\,\mathrm{tr}(\bar Y^{\mathsf H} P\,dA^{\mathsf H} Q) =
    \langle Q \bar Y^{\mathsf H} P, dA \rangle$.
    """
    gh, yh = g.mH, y.mH
    rows = (gh - A @ (y @ gh)) @ (y @ yh)
    columns = (yh @ y) @ (gh - (gh @ y) @ A)
    return {"A": -yh @ g @ yh + rows + columns}


@rule(
    "linalg.solve",
    latex=r"A X = B:\quad \bar B = A^{-\mathsf H} \bar X, \qquad \bar A = -\bar B X^{\mathsf H}",
    saved="A or its LU factors, X",
    domain="invertible A",
)
def solve(g, y, A, B, *, left=True):
    r"""
    $dA\,X + A\,dX = dB$, so $dX = A^{-1}(dB - dA\,X)$: $\bar B$ solves the adjoint system, and $A$
    gets $-\bar B X^{\mathsf H}$. With `left=False`, $X A = B$, sides change: $-X^{\mathsf H} \bar
    B$.
    """
    is_vector = B.ndim == 1 or B.shape == A.shape[:-1]
    if is_vector:
        g, y = g.unsqueeze(-1), y.unsqueeze(-1)
    dB = torch.linalg.solve(A.mH, g, left=left)
    dA = -dB @ y.mH if left else -y.mH @ dB
    return {"A": onto(dA, A), "B": onto(dB.squeeze(-1) if is_vector else dB, B)}


@rule(
    "linalg.solve_triangular",
    latex=r"\bar B = A^{-\mathsf H} \bar X, \qquad "
    r"\bar A = -\mathrm{tri}(\bar B X^{\mathsf H})",
    saved="A, X",
    domain="no zero on the diagonal",
    kinks="entries outside the triangle are not read, and get 0; unitriangular: the diagonal too",
)
def solve_triangular(g, y, A, B, *, upper, left=True, unitriangular=False):
    dB = torch.linalg.solve_triangular(
        A.mH, g, upper=not upper, left=left, unitriangular=unitriangular
    )
    dA = -dB @ y.mH if left else -y.mH @ dB
    dA = dA.triu(int(unitriangular)) if upper else dA.tril(-int(unitriangular))
    return {"A": onto(dA, A), "B": onto(dB, B)}


@rule(
    "cholesky_solve",
    latex=r"A X = B,\ A = L L^{\mathsf H}:\quad \bar B = A^{-1} \bar X, \qquad "
    r"\bar L = (\bar A + \bar A^{\mathsf H})\,L,\ \bar A = -\bar B X^{\mathsf H}",
    saved="L, X",
)
def cholesky_solve(g, y, B, L, upper=False):
    dB = torch.cholesky_solve(g, L, upper)
    dA = -dB @ y.mH
    dA = dA + dA.mH
    return {"B": onto(dB, B), "L": onto(L @ dA if upper else dA @ L, L)}


@rule(
    "cholesky_inverse",
    latex=r"Y = (L L^{\mathsf H})^{-1}:\quad \bar L = (\bar A + \bar A^{\mathsf H})\,L,\quad "
    r"\bar A = -Y \bar Y Y",
    saved="L, Y",
)
def cholesky_inverse(g, y, L, upper=False):
    dA = -y @ g @ y
    dA = dA + dA.mH
    return {"L": L @ dA if upper else dA @ L}


@rule(
    "linalg.det",
    also="det",
    latex=r"\bar A = \bar y\,\mathrm{cof}(A)^*, \qquad "
    r"\mathrm{cof}(A)^* = (\det U \det V^{\mathsf H})^*\;"
    r"U\,\mathrm{diag}\Big(\prod_{j \ne i} \sigma_j\Big) V^{\mathsf H}",
    saved="A",
    kinks="the short form ȳ y* A⁻ᴴ fails for singular A, where the cofactors are finite",
)
def det(g, y, A):
    r"""
    The determinant is linear in each entry, with the cofactor for a slope. From
    $A = U \Sigma V^{\mathsf H}$ and $\mathrm{cof}(PQ) = \mathrm{cof}(P)\,\mathrm{cof}(Q)$ follows
    the formula above: a unitary matrix has $\mathrm{cof}(U) = \det(U)\,U^*$, and a diagonal one the
    products of the other entries. No division occurs.
    """
    if A.numel() == 0:
        return {"A": torch.empty_like(A)}
    U, S, Vh = torch.linalg.svd(A)
    phase = (torch.linalg.det(U) * torch.linalg.det(Vh)).conj()
    cofactors = (U * product_of_others(S, -1).unsqueeze(-2)) @ Vh
    return {"A": (g * phase)[..., None, None] * cofactors}


@rule(
    "linalg.slogdet",
    also="slogdet",
    latex=r"\bar A = \big(\bar\ell - i\,\mathrm{Im}(\bar s^* s)\big)\,A^{-\mathsf H}",
    saved="s, A",
    domain="invertible A",
    kinks="for real A the sign is constant, and its cotangent is not used",
)
def slogdet(g, y, A):
    r"""
    $d \log\det A = \mathrm{tr}(A^{-1} dA) =: t$. Its real part is $d\ell$, and the sign, a point of
    the unit circle, turns by its imaginary part: $ds = i\,s\,\mathrm{Im}\,t$. So the change of the
    loss is $\bar\ell\,\mathrm{Re}\,t - \mathrm{Im}(\bar s^* s)\,\mathrm{Im}\,t =
    \mathrm{Re}\big[(\bar\ell + i\,\mathrm{Im}(\bar s^* s))\,t\big]$.
    """
    scale = g[1]
    if A.is_complex():
        scale = scale - 1j * (g[0].conj() * y[0]).imag
    return {"A": scale[..., None, None] * torch.linalg.inv(A).mH}


@rule(
    "logdet",
    latex=r"\bar A = \bar y\,A^{-\mathsf H}",
    saved="A",
    domain="real A with a positive determinant, or complex A; invertible",
)
def logdet(g, y, A):
    return {"A": g[..., None, None] * torch.linalg.inv(A).mH}


@rule(
    "matrix_exp",
    also="linalg.matrix_exp",
    latex=r"\bar A = \Big[\exp \begin{pmatrix} A^{\mathsf H} & \bar Y \\ 0 & A^{\mathsf H} "
    r"\end{pmatrix}\Big]_{\text{upper right}}",
    saved="A",
    source="Mathias, A chain rule for matrix functions and applications, 1996",
)
def matrix_exp(g, y, input):
    r"""
    The exponential of $\begin{pmatrix} A & E \\ 0 & A \end{pmatrix}$ has in its upper right corner
    the derivative of $\exp$ at $A$ along $E$: block by block it is the same power series. The
    adjoint of that linear map of $E$ is the map at $A^{\mathsf H}$, applied to $\bar Y$.
    """
    n = input.shape[-1]
    a = input.mH
    block = torch.cat([torch.cat([a, g], -1), torch.cat([0 * a, a], -1)], -2)
    return {"input": torch.matrix_exp(block)[..., :n, n:]}


@rule(
    "linalg.tensorinv",
    latex=r"\bar A = -Y^{\mathsf H}\,\bar Y\,Y^{\mathsf H}\quad\text{for } A \text{ as a matrix}",
    saved="Y",
)
def tensorinv(g, y, A, ind=2):
    rows = A.shape[:ind].numel()
    inverse, cotangent = (t.reshape(-1, rows) for t in (y, g))
    return {"A": (-inverse.mH @ cotangent @ inverse.mH).reshape(A.shape)}
