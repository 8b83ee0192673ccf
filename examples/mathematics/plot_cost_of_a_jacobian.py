r"""
What a Jacobian costs
=====================

Time differs from machine to machine; floating-point operations can be counted, and come out the
same everywhere. Counted here: where to put the brackets in a product of matrices, what the backward
pass of a linear layer costs, and what a full Jacobian costs by rows and by columns. For the network
used here a pass costs two or three evaluations, for all shapes of the Jacobian that are tried. Look
at the figure: of two ways to fill one matrix each is many times cheaper than the other somewhere.
"""

# %%
# Counting
# --------
# ``FlopCounterMode`` counts the operations of matrix products: a multiplication and an addition for
# each term, :math:`2abc` for an :math:`(a, b)` by a :math:`(b, c)` matrix. Products with a
# one-dimensional vector and elementwise operations are not counted, so vectors are columns here.

import matplotlib.pyplot as plt
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

grey = "#7a7a7a"  # readable on light and on dark
plt.rcParams.update({"figure.facecolor": "none", "axes.facecolor": "none", "text.color": grey,
                     "axes.labelcolor": grey, "axes.edgecolor": grey,
                     "xtick.color": grey, "ytick.color": grey})  # fmt: skip

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)


def flops(compute, *arguments):
    with FlopCounterMode(display=False) as counter:
        compute(*arguments)
    return counter.get_total_flops()


A, column = torch.randn(5, 7), torch.randn(7, 1)
print("A @ column:      ", flops(torch.matmul, A, column), "= 2 * 5 * 7")
print("A @ column[:, 0]:", flops(torch.matmul, A, column[:, 0]), "counted")

# %%
# Where the brackets go
# ---------------------
# Three maps in a row and one vector. Starting at the vector there are three products of a matrix
# and a column; starting at the other end there are two products of matrices first.

A, B, C = torch.randn(3, 100, 100)
v = torch.randn(100, 1)
vector_first = flops(lambda: A @ (B @ (C @ v)))
matrices_first = flops(lambda: ((A @ B) @ C) @ v)
assert vector_first == 3 * 2 * 100**2
assert matrices_first == 2 * 2 * 100**3 + 2 * 100**2
torch.testing.assert_close(A @ (B @ (C @ v)), ((A @ B) @ C) @ v)
print(f"A (B (C v)): {vector_first:9,}")
print(f"((A B) C) v: {matrices_first:9,}")

# %%
# The backward pass of a linear layer
# -----------------------------------
# Forward, :math:`Z = XW^\top` takes :math:`2NDK`. Backward, :math:`\bar{W} = \bar{Z}^\top X` and
# :math:`\bar{X} = \bar{Z} W` are two products with the same three sizes. When the input requires no
# gradient, the second is left out.

N, D, K = 8, 16, 32
layer, X, dZ = torch.nn.Linear(D, K), torch.randn(N, D, requires_grad=True), torch.randn(N, K)
for data in (X, X.detach()):
    forward = flops(layer, data)
    backward = flops(layer(data).backward, dZ)
    assert forward == 2 * N * D * K
    assert backward == (2 if data.requires_grad else 1) * forward
    print(f"forward {forward}, backward {backward}, input gradient {data.requires_grad}")

# %%
# Two products, by hand
# ---------------------
# These are the two products, and the count of each is that of the forward pass. The loop above ran
# two passes, so weight and bias hold their gradient twice.

assert flops(torch.matmul, dZ.T, X) == flops(torch.matmul, dZ, layer.weight) == forward
dW, db, dX = 2 * dZ.T @ X.detach(), 2 * dZ.sum(0), dZ @ layer.weight.detach()
torch.testing.assert_close(
    {"W": dW, "b": db, "X": dX},  # by hand
    {"W": layer.weight.grad, "b": layer.bias.grad, "X": X.grad},  # autograd
)
print("W", tuple(dW.shape), " X", tuple(dX.shape))

# %%
# A function with a shape to choose
# ---------------------------------
# :math:`f(x) = W_2 \tanh(W_1 x)` goes from :math:`n` inputs through :math:`h` hidden units to
# :math:`m` outputs, and one evaluation costs :math:`F = 2h(n + m)`. Its Jacobian is
#
# .. math:: J = W_2 \, \mathrm{diag}(1 - \tanh^2 W_1 x) \, W_1


def model(n, m, h=8):
    W1, W2, x = torch.randn(h, n), torch.randn(m, h), torch.randn(n, 1)
    slope = 1 - (W1 @ x).tanh() ** 2
    return lambda x: W2 @ (W1 @ x).tanh(), x, W2 @ (slope * W1)


f, x, J = model(n=4, m=6)
print("J", tuple(J.shape), " one evaluation", flops(f, x), "= 2 * 8 * (4 + 6)")

# %%
# One pass costs a few evaluations
# --------------------------------
# A VJP evaluates :math:`f` and runs once through it backwards: :math:`2F`. A JVP carries value and
# tangent along: :math:`2F`, and another :math:`F` on this version of PyTorch, which multiplies the
# zero tangent of each weight as well.

F = flops(f, x)
u = torch.randn(6, 1)
one_vjp = flops(lambda: torch.func.vjp(f, x)[1](u))
one_jvp = flops(lambda: torch.func.jvp(f, (x,), (x,)))
assert (one_vjp, one_jvp) == (2 * F, 3 * F)
print(f"evaluation {F}, VJP {one_vjp}, JVP {one_jvp}")

# %%
# Rows or columns
# ---------------
# :func:`torch.func.jacrev` evaluates once and runs :math:`m` backward passes,
# :func:`torch.func.jacfwd` carries :math:`n` tangents along. The sum of :math:`n` and :math:`m` is
# kept at 36, so all of these functions cost the same to evaluate.

total, shapes, costs = 36, (2, 4, 8, 12, 16, 18, 20, 24, 28, 32, 34), []
for m in shapes:
    f, x, J = model(total - m, m)
    F, rev, fwd = flops(f, x), flops(torch.func.jacrev(f), x), flops(torch.func.jacfwd(f), x)
    assert (rev, fwd) == ((1 + m) * F, (2 + total - m) * F)
    costs.append((m / (total - m), rev / F, fwd / F))
    if m in (4, 18, 32):
        print(f"{m:2} outputs, {total - m:2} inputs: jacrev {rev // F} F, jacfwd {fwd // F} F")

# %%
# The same matrix either way
# --------------------------
# The last shape of the loop, 34 outputs and 2 inputs, against the formula.

matrices = {"jacrev": torch.func.jacrev(f)(x), "jacfwd": torch.func.jacfwd(f)(x)}
torch.testing.assert_close(
    dict.fromkeys(matrices, J),  # by hand
    {name: matrix[:, 0, :, 0] for name, matrix in matrices.items()},  # autograd
)
print("shape as returned", tuple(matrices["jacrev"].shape), " as a matrix", tuple(J.shape))

# %%
# The crossover
# -------------
# Left there are few outputs and many inputs, as in a loss: rows are cheap. On the right it is the
# other way round. The lines cross where :math:`1 + m = 2 + n`, next to the square matrix.

figure, axes = plt.subplots(figsize=(7, 3.5), layout="constrained")
ratios, rev, fwd = zip(*costs)
axes.loglog(ratios, rev, "o-", color="#0072b2", label="jacrev: a pass for each output")
axes.loglog(ratios, fwd, "s-", color="#d55e00", label="jacfwd: a pass for each input")
axes.axvline(1, ymin=0.2, color=grey, ls=":")
axes.set(xlabel="outputs / inputs", ylabel="FLOPs / one evaluation", yticks=[3, 10, 30])
axes.set(yticklabels=[3, 10, 30], xticks=[0.1, 1, 10], xticklabels=[0.1, 1, 10])
axes.minorticks_off()
axes.legend(frameon=False, loc="lower center")
plt.show()

# %%
# The largest tensor of a pass
# ----------------------------
# A dispatch mode sees each operation that runs, and here notes how many numbers it returns. Nothing
# in the backward pass is larger than the largest result of the forward pass; the Jacobian would be.


class Operations(TorchDispatchMode):
    """The number of entries of each result, while the mode is active."""

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        result = operation(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            self.entries.append(result.numel())
        return result

    def __enter__(self):
        self.entries = []
        return super().__enter__()


def step(n):
    """Operations of a forward and of a backward pass through a program of n numbers."""
    x = torch.randn(n, requires_grad=True)
    with Operations() as forward:
        y = x
        for _ in range(7):
            y = torch.sin(y) * x + 0.5
    with Operations() as backward:
        y.backward(torch.ones(n))
    return forward.entries, backward.entries


for n in (10, 1000):
    forward, backward = step(n)
    assert max(backward) == max(forward) == n
    largest = f"{max(forward)} forward, {max(backward)} backward"
    print(f"n = {n:4}: largest result {largest}; entries of J {n * n:,}")

# %%
# The number of operations does not depend on n
# ---------------------------------------------
# The same passes, counted by operations. Each operation of the forward pass is answered by a few,
# and the same few for ten numbers and for a thousand.

counts = {n: [len(entries) for entries in step(n)] for n in (10, 1000)}
assert counts[10] == counts[1000]
assert counts[10] in ([21, 37], [21, 38])  # one more in older versions of PyTorch
for n, (forward, backward) in counts.items():
    print(f"n = {n:4}: {forward} operations forward, {backward} backward")

# %%
# What was seen
# -------------
# Start at the end with the vector. A scalar loss has one output, so its gradient is one row and one
# pass. A full Jacobian takes a pass for each row, or for each column.
