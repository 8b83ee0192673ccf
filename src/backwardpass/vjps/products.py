"""Products of matrices, and of anything else that einsum can write."""

from collections import Counter

import torch
from torch import Tensor

from backwardpass.vjps._registry import rule
from backwardpass.vjps._shared import conj, onto


@rule(
    "matmul",
    "__rmatmul__",
    latex=r"\bar A = \bar Y B^{\mathsf H}, \qquad \bar B = A^{\mathsf H} \bar Y",
    saved="A, B",
)
def matmul(g, y, input, other):
    r"""
    $dY = dA\,B + A\,dB$. With the scalar product $\langle P, Q\rangle =
    \mathrm{Re}\,\mathrm{tr}(P^{\mathsf H} Q)$,
    $\langle \bar Y, dA\,B\rangle = \langle \bar Y B^{\mathsf H}, dA\rangle$ and
    $\langle \bar Y, A\,dB\rangle = \langle A^{\mathsf H}\bar Y, dB\rangle$. A vector is a matrix
    with one row or one column; a batch dimension that was broadcast is summed.
    """
    A = input if input.ndim > 1 else input.unsqueeze(0)
    B = other if other.ndim > 1 else other.unsqueeze(-1)
    g = g if other.ndim > 1 else g.unsqueeze(-1)
    g = g if input.ndim > 1 else g.unsqueeze(-2)
    return {
        "input": onto(g @ B.mH, A).reshape(input.shape),
        "other": onto(A.mH @ g, B).reshape(other.shape),
    }


@rule(
    "mm", latex=r"\bar A = \bar Y B^{\mathsf H}, \qquad \bar B = A^{\mathsf H} \bar Y", saved="A, B"
)
def mm(g, y, input, mat2):
    return {"input": g @ mat2.mH, "mat2": input.mH @ g}


@rule(
    "bmm",
    latex=r"\bar A = \bar Y B^{\mathsf H}, \qquad \bar B = A^{\mathsf H} \bar Y",
    saved="A, B",
)
def bmm(g, y, input, mat2):
    return {"input": g @ mat2.mH, "mat2": input.mH @ g}


@rule(
    "mv",
    latex=r"\bar A = \bar y\,v^{\mathsf H}, \qquad \bar v = A^{\mathsf H} \bar y",
    saved="A, v",
)
def mv(g, y, input, vec):
    return {"input": g.outer(vec.conj()), "vec": input.mH @ g}


@rule(
    "dot",
    "inner",
    latex=r"\bar a = \bar y\,b^*, \qquad \bar b = \bar y\,a^*",
    saved="a, b",
    name="dot",
)
def dot(g, y, input, other):
    if input.ndim == 0 or other.ndim == 0:
        return {"input": onto(g * other.conj(), input), "other": onto(g * input.conj(), other)}
    rows, more = (x.unsqueeze(0).flatten(0, -2) for x in (input, other))
    G = g.reshape(len(rows), len(more))
    return {
        "input": (G @ more.conj()).reshape(input.shape),
        "other": (G.mT @ rows.conj()).reshape(other.shape),
    }


@rule(
    "vdot",
    latex=r"y = a^{\mathsf H} b:\quad \bar a = \bar y^*\,b, \qquad \bar b = \bar y\,a",
    saved="a, b",
)
def vdot(g, y, input, other):
    return {"input": g.conj() * other, "other": g * input}


@rule(
    "linalg.vecdot",
    latex=r"y = \textstyle\sum a^* b:\quad \bar a = \bar y^*\,b, \qquad \bar b = \bar y\,a",
    saved="a, b",
)
def vecdot(g, y, x, y_, *, dim=-1):
    g = g.unsqueeze(dim)
    x_, z = torch.broadcast_tensors(x, y_)
    return {"x": onto(g.conj() * z, x), "y_": onto(g * x_, y_)}


@rule("outer", latex=r"\bar a = \bar Y b^*, \qquad \bar b = \bar Y^{\top} a^*", saved="a, b")
def outer(g, y, input, vec2):
    return {
        "input": onto((g * vec2.conj()).sum(1), input),
        "vec2": onto((g.mT * input.conj()).sum(1), vec2),
    }


@rule(
    "nn.functional.linear",
    modules="Linear",
    latex=r"\bar X = \bar Y W^*, \qquad \bar W = \bar Y^{\top} X^*, \qquad "
    r"\bar b = \textstyle\sum_n \bar Y_n",
    saved="X, W",
)
def linear(g, y, input, weight, bias=None):
    r"""
    $Y = X W^{\top} + b$: the rule of a product with $B = W^{\top}$, so
    $\bar W = (X^{\mathsf H} \bar Y)^{\top} = \bar Y^{\top} X^*$. All leading dimensions are rows.
    """
    W = weight.reshape(-1, weight.shape[-1])
    rows, X = g.reshape(-1, W.shape[0]), input.reshape(-1, W.shape[1])
    return {
        "input": (rows @ W.conj()).reshape(input.shape),
        "weight": (rows.mT @ X.conj()).reshape(weight.shape),
        "bias": onto(g, bias),
    }


@rule(
    "addmm",
    "addmm.decomposed",
    latex=r"Y = \beta C + \alpha A B:\quad \bar C = \beta^* \bar Y, \quad "
    r"\bar A = \alpha^* \bar Y B^{\mathsf H}, \quad \bar B = \alpha^* A^{\mathsf H} \bar Y",
    saved="A, B",
)
def addmm(g, y, input, mat1, mat2, *, beta=1, alpha=1):
    a = conj(alpha) * g
    return {"input": onto(conj(beta) * g, input), "mat1": a @ mat2.mH, "mat2": mat1.mH @ a}


@rule(
    "baddbmm",
    latex=r"Y = \beta C + \alpha A B:\quad \bar C = \beta^* \bar Y, \quad "
    r"\bar A = \alpha^* \bar Y B^{\mathsf H}, \quad \bar B = \alpha^* A^{\mathsf H} \bar Y",
    saved="A, B",
)
def baddbmm(g, y, input, batch1, batch2, *, beta=1, alpha=1):
    a = conj(alpha) * g
    return {"input": onto(conj(beta) * g, input), "batch1": a @ batch2.mH, "batch2": batch1.mH @ a}


@rule(
    "addbmm",
    latex=r"Y = \beta C + \alpha \textstyle\sum_k A_k B_k:\quad \bar C = \beta^* \bar Y, \quad "
    r"\bar A_k = \alpha^* \bar Y B_k^{\mathsf H}, \quad \bar B_k = \alpha^* A_k^{\mathsf H} \bar Y",
    saved="A, B",
)
def addbmm(g, y, input, batch1, batch2, *, beta=1, alpha=1):
    a = conj(alpha) * g
    return {"input": onto(conj(beta) * g, input), "batch1": a @ batch2.mH, "batch2": batch1.mH @ a}


@rule(
    "addmv",
    latex=r"y = \beta c + \alpha A v:\quad \bar c = \beta^* \bar y, \quad "
    r"\bar A = \alpha^* \bar y\,v^{\mathsf H}, \quad \bar v = \alpha^* A^{\mathsf H} \bar y",
    saved="A, v",
)
def addmv(g, y, input, mat, vec, *, beta=1, alpha=1):
    a = conj(alpha) * g
    return {"input": onto(conj(beta) * g, input), "mat": a.outer(vec.conj()), "vec": mat.mH @ a}


@rule(
    "addr",
    latex=r"Y = \beta C + \alpha\,u v^{\top}:\quad \bar C = \beta^* \bar Y, \quad "
    r"\bar u = \alpha^* \bar Y v^*, \quad \bar v = \alpha^* \bar Y^{\top} u^*",
    saved="u, v",
)
def addr(g, y, input, vec1, vec2, *, beta=1, alpha=1):
    a = conj(alpha) * g
    return {
        "input": onto(conj(beta) * g, input),
        "vec1": a @ vec2.conj(),
        "vec2": a.mT @ vec1.conj(),
    }


def einsum_gradients(g: Tensor, equation: str, *operands: Tensor) -> list[Tensor]:
    """The gradient of each operand of an einsum."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    spare = [c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if c not in equation]
    dots = max(x.ndim - len(t.replace("...", "")) for t, x in zip(terms, operands, strict=True))
    # An ellipsis stands for letters of its own, counted from the last.
    named = "".join(spare[: max(dots, 0)])
    if not arrow:
        times = Counter(left.replace(",", "").replace("...", ""))
        right = "..." * ("..." in left) + "".join(sorted(c for c in times if times[c] == 1))
    terms = [_spelled(t, named, x.ndim) for t, x in zip(terms, operands, strict=True)]
    right = right.replace("...", named)
    size: dict[str, int] = {}
    for t, x in zip(terms, operands, strict=True):
        for c, n in zip(t, x.shape, strict=True):
            size[c] = max(size.get(c, n), n)
    return [_operand(k, g, terms, right, operands, size) for k in range(len(terms))]


def _spelled(term: str, named: str, ndim: int) -> str:
    own = ndim - len(term.replace("...", ""))
    return term.replace("...", named[len(named) - own :])


def _operand(k, g, terms, right, operands, size):
    wanted = "".join(dict.fromkeys(terms[k]))
    others = [j for j in range(len(terms)) if j != k]
    factors = [(right, g)] + [(terms[j], operands[j].conj().to(g.dtype)) for j in others]
    # An index that no other factor has was summed out: ones bring it back.
    known = set("".join(t for t, _ in factors))
    factors += [(c, torch.ones(size[c], dtype=g.dtype)) for c in wanted if c not in known]
    equation = ",".join(t for t, _ in factors) + "->" + wanted
    grad = torch.einsum(equation, *(v for _, v in factors)).expand([size[c] for c in wanted])
    # A repeated index reads a diagonal: write on it.
    whole = grad.new_zeros([size[c] for c in terms[k]])
    axes = [torch.arange(size[c]).reshape([-1 if c == d else 1 for d in wanted]) for c in terms[k]]
    whole[tuple(axes)] = grad
    return onto(whole, operands[k])


@rule(
    "einsum",
    latex=r"Y = \mathrm{einsum}(t_1, \dots, t_n \to t):\quad "
    r"\bar X_k = \mathrm{einsum}(t, \{t_j\}_{j \ne k} \to t_k)\,"
    r"\big(\bar Y, \{X_j^*\}_{j \ne k}\big)",
    saved="all operands",
)
def einsum(g, y, equation, *operands):
    r"""
    The result is linear in each operand, $Y_t = \sum_{\text{other indices}} \prod_j X_{j,t_j}$, so
    $\bar X_{k,t_k} = \sum_{\text{indices not in } t_k} \bar Y_t \prod_{j \ne k} X^*_{j,t_j}$: again
    an einsum, with $\bar Y$ in the place of $X_k$. Three cases need a word more. An index that only
    $X_k$ has was summed out: its gradient is constant along it. An index that occurs twice in $t_k$
    reads a diagonal: the gradient is written on that diagonal. A dimension of size 1 that was
    broadcast is summed.
    """
    if isinstance(equation, Tensor):  # tensors and lists of numbers take turns
        equation, operands = _in_letters(equation, *operands)
        first, *rest = einsum_gradients(g, equation, *operands)
        return {"equation": first, "operands": rest}
    inputs = operands[0] if isinstance(operands[0], (list, tuple)) else operands
    return {"operands": einsum_gradients(g, equation, *inputs)}


def _in_letters(*turns) -> tuple[str, tuple]:
    """The equation of an einsum that is given as tensors and lists of numbers, and the tensors."""
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    terms = ["".join("..." if n is ... else letters[n] for n in listed) for listed in turns[1::2]]
    arrow = ""
    if len(turns) % 2:
        arrow = "->" + "".join("..." if n is ... else letters[n] for n in turns[-1])
    return ",".join(terms) + arrow, turns[: len(turns) // 2 * 2 : 2]


@rule(
    "nn.functional.bilinear",
    also="bilinear",
    modules="Bilinear",
    latex=r"y_k = a^{\top} W_k b + c_k:\quad \bar a = \textstyle\sum_k \bar y_k W_k b, \quad "
    r"\bar b = \sum_k \bar y_k W_k^{\top} a, \quad \bar W_k = \sum_n \bar y_{nk}\, a_n b_n^{\top}",
    saved="a, b, W",
)
def bilinear(g, y, input1, input2, weight, bias=None):
    da, dW, db = einsum_gradients(g, "...i,kij,...j->...k", input1, weight, input2)
    dc = None if bias is None else g.reshape(-1, g.shape[-1]).sum(0)
    return {"input1": da, "input2": db, "weight": dW, "bias": dc}


@rule(
    "tensordot",
    latex=r"\bar A = \mathrm{tensordot}(\bar Y, B^*), \qquad "
    r"\bar B = \mathrm{tensordot}(A^*, \bar Y)\quad\text{over the other's free dimensions}",
    saved="A, B",
)
def tensordot(g, y, a, b, dims=2, out=None):
    if isinstance(dims, int):
        dims = (range(a.ndim - dims, a.ndim), range(dims))
    left, right = ([d % x.ndim for d in listed] for listed, x in zip(dims, (a, b), strict=True))
    letters = "abcdefghijklmnopqrstuvwxyz"
    names_a, names_b = list(letters[: a.ndim]), list(letters[a.ndim : a.ndim + b.ndim])
    for i, j in zip(left, right, strict=True):
        names_b[j] = names_a[i]
    free = [c for c in names_a + names_b if (c in names_a) != (c in names_b)]
    equation = f"{''.join(names_a)},{''.join(names_b)}->{''.join(free)}"
    da, db = einsum_gradients(g, equation, a, b)
    return {"a": da, "b": db}


@rule(
    "kron",
    latex=r"\bar A_{ij} = \langle B, \bar Y_{(i,j)} \rangle, \qquad "
    r"\bar B = \textstyle\sum_{ij} A_{ij}^*\,\bar Y_{(i,j)}, \qquad \bar Y_{(i,j)}\ \text{a block}",
    saved="A, B",
)
def kron(g, y, input, other):
    n = max(input.ndim, other.ndim)
    a = input.reshape((1,) * (n - input.ndim) + input.shape)
    b = other.reshape((1,) * (n - other.ndim) + other.shape)
    blocks = g.reshape([size for pair in zip(a.shape, b.shape, strict=True) for size in pair])
    dims = list(range(2 * n))
    blocks = blocks.permute(dims[::2] + dims[1::2])
    weighted = blocks * a.conj().reshape(a.shape + (1,) * n)
    return {
        "input": onto((blocks * b.conj()).sum(dims[n:]).reshape(input.shape), input),
        "other": onto(weighted.sum(dims[:n]).reshape(other.shape), other),
    }


@rule(
    "linalg.cross",
    latex=r"\bar a = b^* \times \bar y, \qquad \bar b = \bar y \times a^*",
    saved="a, b",
)
def linalg_cross(g, y, input, other, *, dim=-1):
    r"""
    $\langle \bar y, da \times b\rangle$ is a triple product, which a cyclic exchange does not
    change: $\langle b \times \bar y, da\rangle$. Likewise for $b$.
    """
    a, b = (x.conj().to(g.dtype) for x in (input, other))
    return {
        "input": onto(torch.linalg.cross(b, g, dim=dim), input),
        "other": onto(torch.linalg.cross(g, a, dim=dim), other),
    }


@rule(
    "cross",
    latex=r"\bar a = b^* \times \bar y, \qquad \bar b = \bar y \times a^*",
    saved="a, b",
    kinks="none; without dim it takes the first dimension of size 3, linalg.cross the last one",
    source="derived at linalg.cross",
)
def cross(g, y, input, other, dim=None):
    if dim is None:
        dim = y.shape.index(3)
    return linalg_cross(g, y, input, other, dim=dim)


@rule(
    "linalg.multi_dot",
    latex=r"\bar A_k = (A_1 \cdots A_{k-1})^{\mathsf H}\,\bar Y\,(A_{k+1} \cdots A_n)^{\mathsf H}",
    saved="all matrices",
)
def multi_dot(g, y, tensors):
    chain = [x.unsqueeze(0) if k == 0 and x.ndim == 1 else x for k, x in enumerate(tensors)]
    chain = [x.unsqueeze(1) if x.ndim == 1 else x for x in chain]
    g = g.reshape(chain[0].shape[0], chain[-1].shape[1])
    grads = []
    for k, x in enumerate(tensors):
        grad = g
        for before in chain[:k]:
            grad = before.mH @ grad
        for after in reversed(chain[k + 1 :]):
            grad = grad @ after.mH
        grads.append(grad.reshape(x.shape))
    return {"tensors": grads}


@rule(
    "linalg.matrix_power",
    latex=r"\bar A = \sum_{k=1}^{n} (A^{k-1})^{\mathsf H}\,\bar Y\,(A^{n-k})^{\mathsf H}",
    saved="A",
    domain="invertible A for n < 0",
)
def matrix_power(g, y, A, n):
    r"""
    The product rule on $A \cdots A$. For $n < 0$ it is applied to the inverse $B$, and
    $dB = -B\,dA\,B$ gives $\bar A = -B^{\mathsf H} \bar B B^{\mathsf H}$.
    """
    B = A if n >= 0 else torch.linalg.inv(A)
    powers = [torch.linalg.matrix_power(B, k).mH for k in range(abs(n))]
    grad = torch.zeros_like(A)
    for k in range(abs(n)):
        grad = grad + powers[k] @ g @ powers[-1 - k]
    return {"A": grad if n >= 0 else -B.mH @ grad @ B.mH}
