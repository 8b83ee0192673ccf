"""More linear systems: least squares, solving with factors, and older names."""

import torch

from backwardpass.vjps._chain import chained
from backwardpass.vjps._registry import Declined, rule
from backwardpass.vjps.solving import inv as _inv
from backwardpass.vjps.solving import pinv as _pinv
from backwardpass.vjps.solving import solve as _solve


@rule("linalg.inv_ex", latex=r"\text{as linalg.inv}", saved="Y", source="linalg.inv")
def inv_ex(g, y, A, *, check_errors=False):
    return _inv(g[0], y[0], A)


@rule("linalg.solve_ex", latex=r"\text{as linalg.solve}", saved="A, X", source="linalg.solve")
def solve_ex(g, y, A, B, *, left=True, check_errors=False):
    return _solve(g[0], y[0], A, B, left=left)


@rule(
    "pinverse",
    latex=r"\text{as linalg.pinv}",
    saved="A, Y",
    domain="along directions that keep the rank",
    source="linalg.pinv, by an older name",
)
def pinverse(g, y, input, rcond=1e-15):
    return {"input": _pinv(g, y, input)["A"]}


@rule(
    "linalg.pinv.singular",
    "linalg.pinv.hermitian",
    name="pinv of rank r, Hermitian pinv",
    latex=r"\text{as linalg.pinv}",
    saved="A, Y",
    domain="along directions that keep the rank; hermitian: that keep A Hermitian",
    source="linalg.pinv",
)
def pinv_too(g, y, A, *, atol=None, rtol=None, hermitian=False):
    return _pinv(g, y, A)


@rule(
    "linalg.tensorsolve",
    latex=r"\text{as linalg.solve, of A and B as a matrix and a vector}",
    saved="A, X",
    source="movedim, reshape and linalg.solve",
)
def tensorsolve(g, y, A, B, dims=None):
    def solution(A, B):
        at_the_end = A if dims is None else A.movedim(dims, tuple(range(-len(dims), 0)))
        matrix = at_the_end.reshape(B.numel(), -1)
        return torch.linalg.solve(matrix, B.reshape(-1)).reshape(y.shape)

    return chained(g, solution, A=A, B=B)


@rule(
    "linalg.lstsq",
    "linalg.lstsq.grad_oriented",
    name="lstsq",
    latex=r"X = A^+ B,\ r_j = \|A X_j - B_j\|^2:\quad \bar B = (A^+)^{\mathsf H} \bar X + "
    r"2\,(B - A X)\,\bar r",
    saved="A, B, X",
    domain="full rank",
    source="linalg.pinv and products",
    kinks="the residuals depend on X too, but X is where they are smallest: that part is 0",
)
def lstsq(g, y, A, B, rcond=None, *, driver=None):
    vector = A.ndim - 1 == B.ndim and A.shape[:-1] == B.shape

    def solution(A, B):
        right = B.unsqueeze(-1) if vector else B
        X = torch.linalg.pinv(A) @ right
        distance = A @ X - right
        squares = torch.real(distance * distance.conj()).sum(-2)
        return (X.squeeze(-1) if vector else X), squares

    residuals = None
    if len(g) > 1 and g[1] is not None and g[1].numel():
        residuals = g[1].reshape(torch.broadcast_shapes(g[1].shape, y[1].shape))
    return chained((g[0], residuals), solution, A=A, B=B)


@rule(
    "linalg.cond",
    latex=r"\kappa = \sigma_1/\sigma_n:\quad \bar\sigma_1 = \bar y/\sigma_n, \quad "
    r"\bar\sigma_n = -\bar y\,\sigma_1/\sigma_n^2",
    saved="A, the singular values",
    source="linalg.svdvals",
    kinks="other orders than 2 and -2: PyTorch's backward pass raises, because the function has "
    "changed the inverse it saved",
)
def cond(g, y, A, p=None):
    if p not in (None, 2, -2):
        raise Declined("an order other than 2 and -2, for which PyTorch's backward pass raises")

    def condition(A):
        values = torch.linalg.svdvals(A)
        largest, smallest = values[..., 0], values[..., -1]
        return smallest / largest if p == -2 else largest / smallest

    return chained(g, condition, A=A)


@rule(
    "linalg.vander",
    latex=r"\bar x_i = \sum_{k \ge 1} k\,(x_i^{k-1})^*\,\bar Y_{ik}",
    saved="x",
)
def vander(g, y, x, *, N=None):
    k = torch.arange(1, y.shape[-1], dtype=x.dtype.to_real())
    lower = (y[..., :-1] * k).conj()
    return {"x": (g[..., 1:] * lower).sum(-1).reshape(x.shape)}


@rule(
    "triangular_solve",
    latex=r"\text{as linalg.solve\_triangular}; \quad \text{the second output is a copy of } A",
    saved="A, X",
    source="linalg.solve_triangular, by an older name",
)
def triangular_solve(g, y, b, A, upper=True, transpose=False, unitriangular=False):
    def solution(b, A):
        turned = A.transpose(-2, -1) if transpose else A
        X = torch.linalg.solve_triangular(
            turned, b, upper=upper != transpose, unitriangular=unitriangular
        )
        return X, A.clone()

    return chained(tuple(g), solution, b=b, A=A)


def _with_factors(packed, pivots, B, left, adjoint):
    """The solution of A X = B, or of X A = B, with A or its adjoint, for A = P L U."""
    eye = torch.eye(packed.shape[-1], dtype=packed.dtype)
    P = torch.lu_unpack(packed.detach(), pivots, unpack_data=False)[0]
    L, U = packed.tril(-1) + eye, packed.triu()
    lower = {"upper": False, "left": left, "unitriangular": True}
    upper = {"upper": True, "left": left}
    if adjoint:
        L, U = L.transpose(-2, -1).conj(), U.transpose(-2, -1).conj()
        lower, upper = {**lower, "upper": True}, {**upper, "upper": False}
    solve = torch.linalg.solve_triangular
    if left != adjoint:  # P is met first on the left, and on the right by an adjoint
        X = P.transpose(-2, -1) @ B if left else B @ P
        return solve(U, solve(L, X, **lower), **upper)
    X = solve(L, solve(U, B, **upper), **lower)
    return P @ X if left else X @ P.transpose(-2, -1)


SOLVED = r"L\,U\,X = P^{\top} B:\quad \text{linalg.solve\_triangular, twice}"


@rule("linalg.lu_solve", latex=SOLVED, saved="the factors, the pivots, X",
      source="linalg.solve_triangular, twice")  # fmt: skip
def linalg_lu_solve(g, y, LU, pivots, B, *, left=True, adjoint=False):
    return chained(g, lambda LU, B: _with_factors(LU, pivots, B, left, adjoint), LU=LU, B=B)


@rule("lu_solve", latex=SOLVED, saved="the factors, the pivots, X",
      source="linalg.lu_solve, by an older name")  # fmt: skip
def lu_solve(g, y, b, LU_data, LU_pivots):
    return chained(
        g, lambda b, LU_data: _with_factors(LU_data, LU_pivots, b, True, False),
        b=b, LU_data=LU_data,
    )  # fmt: skip
