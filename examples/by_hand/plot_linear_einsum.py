r"""
Linear layers, broadcasting and einsum, by hand
===============================================

A product of matrices has two gradients, each a product of what arrives with the other factor, and
a transpose in the right place. Broadcasting adds sums, and an einsum says all of it in letters: the
rule for an operand is the same einsum with two places exchanged. Below, each is written out with
plain tensors, and one function of a dozen lines differentiates any einsum without a repeated
letter. Look at the missing transpose, which a square layer of ones does not notice.
"""

# %%
# Sizes
# -----
# ``N`` examples, ``D`` inputs, ``K`` outputs, all different, and a cotangent ``dZ`` of the result.

import torch
import torch.nn.functional as F

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
N, D, K = 5, 4, 3
X = torch.randn(N, D, requires_grad=True)
W = torch.randn(K, D, requires_grad=True)
b = torch.randn(K, requires_grad=True)
dZ = torch.randn(N, K)
print("X", tuple(X.shape), " W", tuple(W.shape), " b", tuple(b.shape), " dZ", tuple(dZ.shape))

# %%
# One entry at a time
# -------------------
# :math:`Z_{nk} = \sum_d X_{nd} W_{kd} + b_k`. An entry of ``W`` is in a whole column of ``Z``, one
# for each example, and its gradient is a sum over that column. Loops first, no matrix algebra:

Z = F.linear(X, W, b)
dX, dW, db = torch.zeros(N, D), torch.zeros(K, D), torch.zeros(K)
for n in range(N):
    x, dz = X.detach()[n], dZ[n]
    for k in range(K):
        db[k] += dz[k]
        for j in range(D):
            dW[k, j] += dz[k] * x[j]
            dX[n, j] += dz[k] * W.detach()[k, j]
found = dict(zip(("X", "W", "b"), torch.autograd.grad(Z, (X, W, b), dZ), strict=True))
torch.testing.assert_close({"X": dX, "W": dW, "b": db}, found)  # by hand, autograd
print(*(f"d{name} {tuple(t.shape)}" for name, t in found.items()))

# %%
# The same sums, as products
# --------------------------
# The three loops are :math:`\bar X = \bar Z W`, :math:`\bar W = \bar Z^\top X` and a sum over rows.
# With further dimensions in front, every position is an example: they are flattened into ``N``.

by_hand, by_autograd = {}, {}
for lead, D, K in (((5,), 4, 3), ((7,), 2, 6), ((2, 3), 5, 4), ((3, 2, 4), 2, 5), ((), 6, 3)):
    x, w = torch.randn(*lead, D, requires_grad=True), torch.randn(K, D, requires_grad=True)
    b, dz = torch.randn(K, requires_grad=True), torch.randn(*lead, K)
    found = torch.autograd.grad(F.linear(x, w, b), (x, w, b), dz)
    rows = dz.reshape(-1, K)
    dx, dw = dz @ w.detach(), rows.T @ x.detach().reshape(-1, D)
    case = f"{(*lead, D)} to {K}"
    by_hand |= {f"x {case}": dx, f"w {case}": dw, f"b {case}": rows.sum(0)}
    by_autograd |= dict(zip((f"{name} {case}" for name in "xwb"), found, strict=True))
torch.testing.assert_close(by_hand, by_autograd)  # by hand, autograd
print(len(by_hand), "gradients")

# %%
# A layer on a sequence
# ---------------------
# Three dimensions go through the layer as two, and a view on each side says so.

tokens = torch.randn(2, 7, 4, requires_grad=True)
weight, bias = torch.randn(3, 4, requires_grad=True), torch.randn(3, requires_grad=True)
scores = F.linear(tokens, weight, bias)
scores.grad_fn

# %%
# Broadcasting
# ------------
# A number that was used many times gets the sum of what its uses send back. Dimensions that were
# put in front are summed away, those stretched from 1 are summed and kept.


def summed_to(g, shape):
    """g, summed over every dimension that broadcasting had added or stretched."""
    extra = g.ndim - len(shape)
    dims = [i for i in range(g.ndim) if i < extra or g.shape[i] != shape[i - extra]]
    return (g.sum(dims) if dims else g).reshape(shape)  # g.sum([]) sums everything


by_hand, by_autograd = {}, {}
for first, second in (((4, 3), (3,)), ((4, 1), (1, 3)), ((2, 4, 3), (4, 1)), ((5,), (2, 1, 5)),
                      ((), (2, 3)), ((3, 1, 2), (3, 4, 2))):  # fmt: skip
    a, c = torch.randn(first, requires_grad=True), torch.randn(second, requires_grad=True)
    dy = torch.randn((a * c).shape)
    found = torch.autograd.grad(a * c, (a, c), dy)
    da, dc = summed_to(dy * c.detach(), first), summed_to(dy * a.detach(), second)
    by_hand |= {f"first of {first} * {second}": da, f"second of {first} * {second}": dc}
    by_autograd |= {f"first of {first} * {second}": found[0],
                    f"second of {first} * {second}": found[1]}  # fmt: skip
torch.testing.assert_close(by_hand, by_autograd)  # by hand, autograd
print(len(by_hand), "gradients")

# %%
# Any einsum
# ----------
# A sum of products is linear in each operand. The gradient of one is the einsum in which it changes
# places with the result. A letter that only this operand has was summed over, so its gradient is
# the same along it: a vector of ones supplies the letter.


def einsum_backward(equation, g, *operands):
    """The gradients of all operands, no letter being twice in one."""
    inputs, output = equation.split("->")
    letters = inputs.split(",")
    size = {c: n for word, t in zip(letters, operands, strict=True)
            for c, n in zip(word, t.shape, strict=True)}  # fmt: skip
    grads = []
    for i, wanted in enumerate(letters):
        words = [output, *letters[:i], *letters[i + 1 :]]
        tensors = [g, *operands[:i], *operands[i + 1 :]]
        alone = [c for c in wanted if c not in "".join(words)]
        words, tensors = words + alone, tensors + [torch.ones(size[c]) for c in alone]
        grads.append(torch.einsum(",".join(words) + "->" + wanted, *tensors))
    return grads


sizes = dict(zip("abcdefg", (2, 3, 4, 5, 6, 7, 3), strict=True))
by_hand, by_autograd = {}, {}
for equation in ("ab,cb->ac", "abc,acd->abd", "a,b->ab", "abcd,abed->abce", "ab->b", "ab,b->",
                 "abc,cd,da->bd", "abc,b->ca", "fe,ge,e->fg"):  # fmt: skip
    inputs, output = equation.split("->")
    shapes = [[sizes[c] for c in word] for word in inputs.split(",")]
    operands = [torch.randn(shape, requires_grad=True) for shape in shapes]
    g = torch.randn([sizes[c] for c in output])
    found = torch.autograd.grad(torch.einsum(equation, *operands), operands, g)
    mine = einsum_backward(equation, g, *(t.detach() for t in operands))
    for i, (hand, auto) in enumerate(zip(mine, found, strict=True)):
        by_hand[f"{equation}, {i}"], by_autograd[f"{equation}, {i}"] = hand, auto
torch.testing.assert_close(by_hand, by_autograd)  # by hand, autograd
print(len(by_hand), "gradients of 9 equations")

# %%
# The missing transpose
# ---------------------
# :math:`\bar W = \bar Z^\top X`. Its transpose has the shape of ``W`` when the layer is square, and
# then nothing raises. On ones even the numbers agree.

# equal sizes: the mistake that only a square layer hides; the last one is none
# symmetric: so do ones, of which every product is symmetric
for name, x, dz in (
    ("square, ones", torch.ones(5, 3), torch.ones(5, 3)),
    ("square, random", torch.randn(5, 3), torch.randn(5, 3)),
    ("4 to 3, random", torch.randn(5, 4), torch.randn(5, 3)),
):
    w = torch.randn(dz.shape[1], x.shape[1], requires_grad=True)
    (found,) = torch.autograd.grad(x @ w.T, w, dz)
    torch.testing.assert_close({name: dz.T @ x}, {name: found})  # by hand, autograd
    wrong = x.T @ dz
    error = (wrong - found).norm() / found.norm() if wrong.shape == found.shape else None
    told = f"shape {tuple(wrong.shape)}" if error is None else f"error {error:.2f}"
    print(f"{name:15} with the transpose missing: {told}")
    outcome = "raises" if error is None else "right" if error == 0 else "wrong"
    expected = {"square, ones": "right", "square, random": "wrong", "4 to 3, random": "raises"}
    assert outcome == expected[name]
    assert outcome != "wrong" or 0.5 < error < 2

# %%
# What is saved
# -------------
# A linear layer keeps its input and its weight, the bias not. An einsum of three operands goes two
# at a time, and keeps what it computed on the way.


def storages_saved(root):
    """Bytes of each storage that the nodes behind root have saved; and how many nodes."""
    nodes, storages = [root], {}
    for node in nodes:
        nodes += dict.fromkeys(n for n, _ in node.next_functions if n and n not in nodes)
        values = [getattr(node, a) for a in dir(node) if a.startswith("_saved_")]
        kept = [t.untyped_storage() for t in values if isinstance(t, torch.Tensor)]
        storages |= {storage.data_ptr(): storage.nbytes() for storage in kept}
    return list(storages.values()), len(nodes)


root = torch.ones(3, requires_grad=True).exp()
assert storages_saved((root * root).grad_fn) == ([24], 3)  # what is shared is counted once
x, w, b = torch.randn(5, 4, requires_grad=True), torch.randn(3, 4, requires_grad=True), bias
for name, y, numbers in (
    ("linear", F.linear(x, w, b), [5 * 4, 3 * 4]),
    ("nd,kd->nk", torch.einsum("nd,kd->nk", x, w), [5 * 4, 3 * 4]),
    ("nd,kd,k->n", torch.einsum("nd,kd,k->n", x, w, b), [5 * 4, 3 * 4, 5 * 3, 3]),
):
    saved, _ = storages_saved(y.grad_fn)
    print(f"{name:11} {sum(saved):4} bytes:", *sorted(saved))
    assert sorted(saved) == sorted(8 * number for number in numbers)

# %%
# What was seen
# -------------
# Every gradient here is a sum over the uses of an entry. For a linear layer the sum is a product of
# matrices, for a broadcast entry a plain sum, for an einsum the einsum with two places exchanged.
# Shapes find a missing transpose unless they are square, and numbers find it unless they are ones.
