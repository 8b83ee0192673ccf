r"""
A rule that is differentiated twice
===================================

With ``create_graph=True`` a backward rule is itself recorded, and its result can be differentiated
again. That is right only if what the rule uses has a history where it has a derivative: inputs and
outputs of the function have one, an intermediate of its ``forward`` has none. Here :math:`\sinh^2
x` is differentiated twice at :math:`x = 1`. The first derivative is right with either rule; look at
the second, 4.762 where 7.524 is right, and at the drawing, which shows what is missing. The
decorator that is meant to prevent this, ``once_differentiable``, does so only sometimes.
"""

# %%
# Intermediates are saved
# -----------------------
# :math:`\sinh x = (a - b)/2` with :math:`a = e^x` and :math:`b = e^{-x}`, and its slope is
# :math:`(a + b)/2`. To save :math:`a` and :math:`b` spares two exponentials.

import torch
from torch.autograd import Function, grad, gradcheck, gradgradcheck
from torch.autograd.function import once_differentiable


class SavesIntermediates(Function):
    @staticmethod
    def forward(ctx, x):
        a, b = x.exp(), (-x).exp()
        ctx.save_for_backward(a, b)
        return (a - b) / 2

    @staticmethod
    def backward(ctx, u):
        a, b = ctx.saved_tensors
        return u * (a + b) / 2


# %%
# The input is saved
# ------------------
# The same slope, computed in the backward pass, from something that has a history.


class SavesInput(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return (x.exp() - (-x).exp()) / 2

    @staticmethod
    def backward(ctx, u):
        (x,) = ctx.saved_tensors
        return u * (x.exp() + (-x).exp()) / 2


# %%
# Intermediates are returned
# --------------------------
# What is returned is an output, so it may be saved and has a history. Then the rule has a term
# for each of the three, since :math:`\partial a/\partial x = a` and :math:`\partial b/\partial x =
# -b`.


class ReturnsIntermediates(Function):
    @staticmethod
    def forward(ctx, x):
        a, b = x.exp(), (-x).exp()
        ctx.save_for_backward(a, b)
        return (a - b) / 2, a, b

    @staticmethod
    def backward(ctx, u, u_a, u_b):
        a, b = ctx.saved_tensors
        return u * (a + b) / 2 + u_a * a - u_b * b


def sinh_of(x):
    return ReturnsIntermediates.apply(x)[0]


# %%
# Two derivatives
# ---------------
# For :math:`\sinh^2 x` the first is :math:`2 \sinh x \cosh x`, the second :math:`2\cosh^2 x +
# 2\sinh^2 x`.

x = torch.tensor([1.0], dtype=torch.float64, requires_grad=True)
derivatives = {}
for name, sinh in {
    "saves intermediates": SavesIntermediates.apply,
    "saves its input": SavesInput.apply,
    "returns intermediates": sinh_of,
}.items():
    (first,) = grad(sinh(x) ** 2, x, create_graph=True)
    (second,) = grad(first, x)
    derivatives[name] = first.detach(), second
    print(f"{name:22} first {first.item():.3f}, second {second.item():.3f}")

# %%
# By hand
# -------
# The rule that saved intermediates differentiates :math:`2 \sinh x \cdot \cosh x` as if
# :math:`\cosh x` were a constant, and loses the term :math:`2\sinh^2 x`.

value = x.detach()
sinh_x, cosh_x = value.sinh(), value.cosh()
d1 = 2 * sinh_x * cosh_x
kept, lost = 2 * cosh_x**2, 2 * sinh_x**2
for name, (first, second) in derivatives.items():
    d2 = kept if name == "saves intermediates" else kept + lost
    torch.testing.assert_close(  # by hand, autograd
        {"first": d1, "second": d2}, {"first": first, "second": second}
    )
print(f"kept {kept.item():.3f}, lost {lost.item():.3f}")

# %%
# What is missing, drawn
# ----------------------
# The graph of the first derivative, for the rule that saved intermediates. One path leads to the
# leaf, through the function itself; from the factor :math:`\cosh x` none does.

(first,) = grad(SavesIntermediates.apply(x) ** 2, x, create_graph=True)
first.grad_fn

# %%
# And what is there
# -----------------
# The same for the rule that saved its input: the exponentials of the backward rule were recorded,
# and lead to the leaf as well.

(first,) = grad(SavesInput.apply(x) ** 2, x, create_graph=True)
first.grad_fn

# %%
# Which check sees it
# -------------------
# :func:`torch.autograd.gradcheck` looks at the first derivative and passes all three.

checks = {}
for name, sinh in {
    "saves intermediates": SavesIntermediates.apply,
    "saves its input": SavesInput.apply,
    "returns intermediates": sinh_of,
}.items():
    checks[name] = gradcheck(sinh, x), gradgradcheck(sinh, x, raise_exception=False)
    print(f"{name:22} gradcheck {checks[name][0]}, gradgradcheck {checks[name][1]}")
assert list(checks.values()) == [(True, False), (True, True), (True, True)]

# %%
# Intermediates that may be saved
# -------------------------------
# A mask is made in ``forward`` and has no history, and its derivative is zero away from the kink: a
# constant is right. For :math:`r^2` with :math:`r = m x` the first derivative is :math:`2 m x` and
# the second :math:`2 m`.


class SavesMask(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x > 0)
        return x * (x > 0)

    @staticmethod
    def backward(ctx, u):
        (mask,) = ctx.saved_tensors
        return u * mask


z = torch.tensor([0.7, -1.2, 2.0], dtype=torch.float64, requires_grad=True)
(first,) = grad(SavesMask.apply(z).square().sum(), z, create_graph=True)
(second,) = grad(first.sum(), z)
m = torch.tensor([1.0, 0.0, 1.0], dtype=torch.float64)
d1, d2 = 2 * m * z.detach(), 2 * m
torch.testing.assert_close({"first": d1, "second": d2}, {"first": first.detach(), "second": second})
assert gradcheck(SavesMask.apply, z)
assert gradgradcheck(SavesMask.apply, z)
print("first", first.tolist(), "second", second.tolist())

# %%
# A decorator that is to prevent it
# ---------------------------------
# ``once_differentiable`` says of a rule that it is not to be differentiated. Its result is then
# detached, or made to raise when a pass comes through it, depending on whether the cotangent that
# arrived had a history.


class Once(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    @once_differentiable
    def backward(ctx, u):
        (x,) = ctx.saved_tensors
        return 2 * u * x


# %%
# Silent
# ------
# The gradient :math:`g` of :math:`\sum x^2` is :math:`2x`, so :math:`\sum g x` has the gradient
# :math:`4x`. The seed has no history, :math:`g` comes back detached, and what is left is
# :math:`g = 2x`.

x = torch.tensor([3.0, 5.0], dtype=torch.float64, requires_grad=True)
(g,) = grad(Once.apply(x).sum(), x, create_graph=True)
(silent,) = grad((g * x).sum(), x)
(g_right,) = grad((x * x).sum(), x, create_graph=True)
(right,) = grad((g_right * x).sum(), x)
dx = {"once": 2 * x.detach(), "right": 4 * x.detach()}
torch.testing.assert_close(dx, {"once": silent, "right": right})  # by hand, autograd
print("once_differentiable:", silent.tolist(), " right:", right.tolist())

# %%
# Silent again, and raised
# ------------------------
# With a sine behind the square the cotangent depends on ``x``, and :math:`g = 2x\cos x^2` comes
# back with a node that raises. That node leads nowhere, so :func:`torch.autograd.grad`, which goes
# only where ``x`` is, passes by and gives :math:`g` again. Only ``backward()`` goes everywhere.

(g,) = grad(Once.apply(x).sin().sum(), x, create_graph=True)
(silent,) = grad((g * x).sum(), x, retain_graph=True)
value = x.detach()
dx = 2 * value * torch.cos(value**2)
torch.testing.assert_close({"once, sine": dx}, {"once, sine": silent})  # by hand, autograd
try:
    (g * x).sum().backward()
except RuntimeError as error:
    message = str(error)
    print("backward():", message)
assert message.startswith("trying to differentiate twice a function")
print("grad(..., x):", silent.tolist())

# %%
# What it should have been
# ------------------------
# By hand: the derivative of :math:`2x^2\cos x^2` is :math:`4x\cos x^2 - 4x^3\sin x^2`. Of the
# checks it is again ``gradgradcheck`` that sees the difference.

(g,) = grad((x * x).sin().sum(), x, create_graph=True)
(right,) = grad((g * x).sum(), x)
dx = 4 * value * torch.cos(value**2) - 4 * value**3 * torch.sin(value**2)
torch.testing.assert_close({"right, sine": dx}, {"right, sine": right})  # by hand, autograd
assert gradcheck(Once.apply, x)
assert not gradgradcheck(Once.apply, x, raise_exception=False)
print("right:       ", right.tolist())

# %%
# What was seen
# -------------
# A rule may use what the function was given and what it returned; from between only what has no
# derivative, or the second derivative lacks a term. ``gradgradcheck`` sees it. The decorator
# turns a wrong second derivative into an error in some programs and leaves it wrong in others.
