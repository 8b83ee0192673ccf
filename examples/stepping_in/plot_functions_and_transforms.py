r"""
A function under the transforms
===============================

A :class:`torch.autograd.Function` with ``forward`` and ``backward`` works with ``backward()`` and
with little else. Batches of gradients, Jacobians and forward mode each need one more piece:
``setup_context``, a rule for ``vmap``, and ``jvp``. Here one function is written four times, with
one piece more each time, and everything is tried on all four. Look at the table, which is the
result of running it; then at a ``jvp`` that is wrong, and at the check that does not notice.
"""

# %%
# The function
# ------------
# :math:`y = x e^x` has the slope :math:`(1 + x)e^x`. For a tangent :math:`v` forward mode wants
# :math:`(1 + x)e^x \odot v`, for a cotangent :math:`u` reverse mode wants :math:`u \odot
# (1 + x)e^x`: one diagonal matrix, two products.

import numpy as np
import torch
from torch.autograd import Function, gradcheck, gradgradcheck


class OneMethod(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * torch.exp(x)

    @staticmethod
    def backward(ctx, u):
        (x,) = ctx.saved_tensors
        return u * (1 + x) * torch.exp(x)


# %%
# Computing and saving apart
# --------------------------
# A transform runs ``forward`` on tensors of its own kind and decides itself what is recorded, so
# there must be a method that only saves.


class TwoMethods(OneMethod):
    @staticmethod
    def forward(x):
        return x * torch.exp(x)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)


# %%
# A rule for batches, and one for tangents
# ----------------------------------------
# ``generate_vmap_rule`` declares that the methods are made of operations which ``vmap`` knows.
# ``jvp`` is to forward mode what ``backward`` is to reverse mode.


class WithVmap(TwoMethods):
    generate_vmap_rule = True


class WithJvp(WithVmap):
    @staticmethod
    def jvp(ctx, v):
        (x,) = ctx.saved_tensors
        return (1 + x) * torch.exp(x) * v


# %%
# What works
# ----------
# Each cell was tried. ``jacrev`` needs no rule for batches, since only cotangents come in batches
# there; ``hessian`` is forward mode over reverse mode, and wants everything.

x = torch.tensor([0.5, -1.5, 1.0], dtype=torch.float64)
ways = {
    "backward": lambda f: torch.autograd.grad(f(x.requires_grad_()).sum(), x),
    "func.grad": lambda f: torch.func.grad(lambda x: f(x).sum())(x.detach()),
    "vmap(grad)": lambda f: torch.func.vmap(torch.func.grad(f))(x.detach()),
    "jacrev": lambda f: torch.func.jacrev(f)(x.detach()),
    "jvp": lambda f: torch.func.jvp(f, (x.detach(),), (torch.ones_like(x.detach()),)),
    "hessian": lambda f: torch.func.hessian(lambda x: f(x).sum())(x.detach()),
}
works = {}
print(" " * 11, *(f"{way:11}" for way in ways))
for function in (OneMethod, TwoMethods, WithVmap, WithJvp):
    row = []
    for way in ways.values():
        try:
            way(function.apply)
            row.append(True)
        except (RuntimeError, NotImplementedError):
            row.append(False)
    works[function.__name__] = row
    print(f"{function.__name__:11}", *(f"{'works' if cell else 'raises':11}" for cell in row))
assert [sum(row) for row in works.values()] == [1, 3, 4, 6]

# %%
# By hand
# -------
# The slope, the tangent along :math:`v`, and the second derivative :math:`(2 + x)e^x`.

v = torch.tensor([1.0, 10.0, 100.0], dtype=torch.float64)
value = x.detach()
f = WithJvp.apply
got = {
    "reverse": torch.func.grad(lambda x: (v * f(x)).sum())(value),
    "forward": torch.func.jvp(f, (value,), (v,))[1],
    "second": torch.func.vmap(torch.func.grad(torch.func.grad(f)))(value),
}
slope, second = (1 + value) * torch.exp(value), (2 + value) * torch.exp(value)
torch.testing.assert_close(got["second"], second)
torch.testing.assert_close(got["reverse"], v * slope)
torch.testing.assert_close(got["forward"], slope * v)
leaf = value.clone().requires_grad_()
(first,) = torch.autograd.grad(f(leaf), leaf, v, create_graph=True)
(again,) = torch.autograd.grad(first.sum(), leaf)
torch.testing.assert_close(  # by hand, autograd
    {"first": v * slope, "second": v * second}, {"first": first, "second": again}
)
print("first ", first.tolist())
print("second", again.tolist())

# %%
# All of it checked
# -----------------
# Neither forward mode nor batches are checked unless it is asked for.

assert gradcheck(f, leaf, check_forward_ad=True, check_batched_grad=True)
assert gradcheck(f, leaf, check_forward_ad=True, check_batched_forward_grad=True)
assert gradgradcheck(f, leaf, check_fwd_over_rev=True)
for function in (OneMethod, TwoMethods, WithVmap):
    assert gradcheck(function.apply, leaf)
    assert gradgradcheck(function.apply, leaf)
print("forward mode, reverse mode, batches, second derivatives: right")

# %%
# A tangent that is wrong
# -----------------------
# The rule of a product was forgotten in ``jvp`` only. The check that is usually called passes.


class WrongJvp(WithVmap):
    @staticmethod
    def jvp(ctx, v):
        (x,) = ctx.saved_tensors
        return x * torch.exp(x) * v


print("gradcheck:", gradcheck(WrongJvp.apply, leaf))
try:
    gradcheck(WrongJvp.apply, leaf, check_forward_ad=True)
except RuntimeError as error:
    message = str(error)
    print("with check_forward_ad=True:", message.partition(",\n")[0])
assert message.startswith("Jacobian computed with forward mode mismatch")

# %%
# Where PyTorch cannot look inside
# --------------------------------
# NumPy knows no batched tensors, so no rule can be generated. ``vmap`` is then a method: it is
# given the arguments with the batch as one more dimension, and where that dimension is, and
# returns the result with the place of the batch in it. :math:`\sinh' = \cosh` and back.


class Hyperbolic(Function):
    @staticmethod
    def forward(x, which):
        return torch.from_numpy(np.asarray((np.sinh, np.cosh)[which](x.detach().numpy())))

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, ctx.which = inputs
        ctx.save_for_backward(x)

    @staticmethod
    def backward(ctx, u):
        (x,) = ctx.saved_tensors
        return u * Hyperbolic.apply(x, 1 - ctx.which), None

    @staticmethod
    def vmap(info, in_dims, x, which):
        return Hyperbolic.apply(x, which), in_dims[0]


# %%
# Differentiated, in batches, twice
# ---------------------------------
# The rule calls the function itself, so it can be differentiated as often as one likes.


def sinh(x):
    return Hyperbolic.apply(x, 0)


assert gradcheck(sinh, leaf)
assert gradgradcheck(sinh, leaf)
matrix = torch.stack([value, 2 * value])
batched = torch.func.vmap(torch.func.grad(lambda row: (v * sinh(row)).sum()))(matrix)
torch.testing.assert_close(batched, v * torch.cosh(matrix))
(first,) = torch.autograd.grad(sinh(leaf), leaf, v)
dx = v * (torch.exp(value) + torch.exp(-value)) / 2
torch.testing.assert_close({"x": dx}, {"x": first})  # by hand, autograd
print(batched)

# %%
# What was seen
# -------------
# Transforms, batches and forward mode ask each for a piece of its own, and what is missing raises.
# What is there and wrong does not: a ``jvp`` is checked only with ``check_forward_ad=True``.
