r"""
What a backward pass costs
==========================

"Backward costs twice the forward pass" is a rule of thumb, and counting shows what it is made of.
Three things are counted here: floating-point operations of matrix products, operators that PyTorch
runs, and bytes they read and write. None of them is a time, and none depends on the machine. Look
at the network with one layer, at what freezing its two halves saves, at the prices of elementwise
operations, where a division costs more than four times as much backward as forward, and at a loop
over the entries of a vector, where no such number holds.
"""

# %%
# Bytes and operators
# -------------------
# A dispatch mode sees each operator with its arguments and its result. A view moves nothing; any
# other operator reads its tensors and writes its result. A dimension that was only expanded is read
# once.

import math
from itertools import pairwise

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


def tensors(values):
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from tensors(value)


def size(tensor):
    """Bytes that a tensor's entries take, expanded dimensions counted once."""
    held = [length for length, stride in zip(tensor.shape, tensor.stride()) if stride]
    return tensor.element_size() * math.prod(held)


class Traffic(TorchDispatchMode):
    """Operators that compute something, and the bytes they read and write."""

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        result = operator(*args, **(kwargs or {}))
        if not operator.is_view and operator is not torch.ops.aten.detach.default:
            self.operators += 1
            self.bytes += sum(map(size, tensors([args, result])))
        return result

    def __enter__(self):
        self.operators = self.bytes = 0
        return super().__enter__()


left, right = torch.randn(3, 5), torch.randn(5)
with Traffic() as traffic:
    _ = left + right
assert (traffic.operators, traffic.bytes) == (1, 8 * (15 + 5 + 15))
print(traffic.operators, "operator,", traffic.bytes // 8, "numbers read or written")

# %%
# A network of L layers
# ---------------------
# :math:`A_l = \tanh(A_{l-1} W_l^\top)`, and the loss is :math:`\langle U, A_L \rangle`. The sizes
# differ from layer to layer. With :math:`P` weights in all and :math:`N` examples, the forward pass
# takes :math:`2NP` floating-point operations.

N, sizes = 6, (7, 10, 8, 12, 5)


def flops(compute, *arguments):
    with FlopCounterMode(display=False) as counter:
        compute(*arguments)
    return counter.get_total_flops()


def run(X, weights):
    activations = [X]
    for W in weights:
        activations.append(torch.tanh(activations[-1] @ W.T))
    return activations


X, U = torch.randn(N, sizes[0]), torch.randn(N, sizes[-1])
weights = [torch.randn(k, d, requires_grad=True) for d, k in pairwise(sizes)]
P = sum(W.numel() for W in weights)
forward = flops(run, X, weights)
assert forward == 2 * N * P
print(f"{len(weights)} layers, {P} weights, forward {forward} FLOPs")

# %%
# Its backward pass by hand
# -------------------------
# With :math:`\bar{Z}_l = \bar{A}_l \odot (1 - A_l^2)` a layer takes two products: one for its
# weight and one to go on. The first layer has nothing behind it.
#
# .. math:: \bar{W}_l = \bar{Z}_l^\top A_{l-1}, \qquad \bar{A}_{l-1} = \bar{Z}_l W_l


def backward(activations, weights):
    dW, dA = {}, U
    for layer in reversed(range(len(weights))):
        dZ = dA * (1 - activations[layer + 1] ** 2)
        dW[f"W{layer + 1}"] = dZ.T @ activations[layer]
        dA = dZ @ weights[layer] if layer else None
    return dW


values = [W.detach() for W in weights]
activations = run(X, values)
dW = backward(activations, values)
run(X, weights)[-1].backward(U)
torch.testing.assert_close(dW, {f"W{i + 1}": W.grad for i, W in enumerate(weights)})  # by hand
print("weights compared:", ", ".join(sorted(dW)))

# %%
# Six operations for each weight and example
# ------------------------------------------
# Counted, the loop by hand and autograd cost the same. Forward and backward together are
# :math:`6NP` less the product that the first layer leaves out.

by_hand = flops(backward, activations, values)
output = run(X, weights)[-1]
autograd = flops(output.backward, U)
assert by_hand == autograd == 4 * N * P - 2 * N * weights[0].numel()
assert forward + autograd == 6 * N * P - 2 * N * weights[0].numel()
print(f"backward {autograd} FLOPs by hand and by autograd, {autograd / forward:.2f} of forward")

# %%
# What freezing saves
# -------------------
# Four layers of equal size, so that each product is one unit. Freezing the layers next to the input
# ends the pass early. Freezing those next to the loss only leaves out their weights' products: the
# cotangent still has to come through.


def units(trained):
    """FLOPs of a backward pass through four layers, as multiples of one product."""
    layers = [torch.randn(9, 9, requires_grad=train) for train in trained]
    output = run(torch.randn(N, 9), layers)[-1]
    return flops(output.backward, torch.randn(N, 9)) // (2 * N * 9 * 9)


for name, trained in {"nothing": (1, 1, 1, 1), "two next to the input": (0, 0, 1, 1),
                      "two next to the loss": (1, 1, 0, 0)}.items():  # fmt: skip
    print(f"{name:22} frozen: {units([bool(t) for t in trained])} products backward, 4 forward")
assert units([True] * 4) == 7
assert (units([False, False, True, True]), units([True, True, False, False])) == (3, 5)

# %%
# Elementwise operations, in bytes
# --------------------------------
# Here arithmetic is not what costs. An operation reads its arguments and writes its result; its
# rule reads what was saved and the cotangent, and writes the gradient, in one operator or in
# several.

n = 1000
x, y = torch.rand(n, requires_grad=True), torch.rand(n, requires_grad=True)
operations = {
    "x + y": lambda: x + y, "exp": lambda: x.exp(), "tanh": lambda: x.tanh(),
    "sigmoid": lambda: x.sigmoid(), "relu": lambda: x.relu(), "x * y": lambda: x * y,
    "sqrt": lambda: x.sqrt(), "log": lambda: x.log(), "sin": lambda: x.sin(),
    "x / y": lambda: x / y, "x ** 3": lambda: x**3,
}  # fmt: skip
seed, ratios, counts = torch.ones(n), {}, {}
for name, operation in operations.items():
    with Traffic() as ahead:
        z = operation()
    with Traffic() as back:
        torch.autograd.grad(z, (x, y) if "y" in name else x, seed)
    ratios[name] = back.bytes / ahead.bytes
    counts[name] = ahead.bytes // (8 * n), back.bytes // (8 * n), back.operators
    print("{:8} {} n numbers forward, {:2} n backward in {} operators".format(name, *counts[name]))
one_operator = dict.fromkeys(("exp", "tanh", "sigmoid", "relu", "log"), (2, 3, 1))
others = {"x * y": (3, 6, 2), "sqrt": (2, 5, 2), "sin": (2, 5, 2), "x / y": (3, 14, 5)}
assert counts == one_operator | others | {"x + y": (3, 0, 0), "x ** 3": (2, 7, 3)}

# %%
# Two rules of thumb, measured
# ----------------------------
# On the left the network: with one layer a backward pass costs one forward pass, and two is the
# limit of many layers. On the right the table above.

depths = range(1, 13)
measured = []
for depth in depths:
    layers = [torch.randn(9, 9, requires_grad=True) for _ in range(depth)]
    ahead = flops(run, torch.randn(N, 9), layers)
    output = run(torch.randn(N, 9), layers)[-1]
    measured.append(flops(output.backward, torch.randn(N, 9)) / ahead)
torch.testing.assert_close(torch.tensor(measured), 2 - 1 / torch.tensor(list(depths)))
figure, (left, right) = plt.subplots(1, 2, figsize=(7, 3.5), layout="constrained")
left.plot(depths, measured, "o-", color="#0072b2")
left.axhline(2, color=grey, ls=":")
left.set(xlabel="layers of equal size", ylabel="backward / forward, FLOPs", ylim=(0, 2.2))
left.set(xticks=range(1, 13, 2))
right.barh(list(ratios), list(ratios.values()), color="#d55e00")
right.set(xlabel="backward / forward, bytes")
right.invert_yaxis()
plt.show()

# %%
# Where the multiple is lost
# --------------------------
# :math:`\sum_i x_i^2`, with the entries taken out one by one. Reading one number is answered by
# writing :math:`n`: the rule of ``x[i]`` makes a vector of zeros with one entry filled. Taken out
# all at once by ``unbind``, they are put together once. The gradient is :math:`2x` either way.


def by_index(x):
    return sum(x[i] * x[i] for i in range(len(x)))


def by_unbind(x):
    return sum(entry * entry for entry in x.unbind())


lost = {}
for take_out in (by_index, by_unbind):
    for n in (10, 100, 1000):
        long = torch.randn(n, requires_grad=True)
        with Traffic() as ahead:
            total = take_out(long)
        with Traffic() as back:
            total.backward()
        torch.testing.assert_close({"long": 2 * long.detach()}, {"long": long.grad})  # by hand
        lost[take_out.__name__, n] = back.bytes / ahead.bytes
    said = ", ".join(f"{lost[take_out.__name__, n]:.1f} for {n}" for n in (10, 100, 1000))
    print(f"{take_out.__name__:10} backward / forward, bytes: {said}")
assert 9 < lost["by_index", 1000] / lost["by_index", 100] < 11
assert max(lost["by_unbind", n] for n in (10, 100, 1000)) < 2

# %%
# What was seen
# -------------
# A layer's backward pass is two products where its forward pass is one, and the first layer's is
# one. What elementwise operations cost is decided by how many operators their rule is written in,
# and by how many numbers these move. A pass is a small multiple of the program where that is so of
# each rule, and reading one entry of a long vector has a rule of which it is not.
