r"""
Four rules by hand
==================

A square, a weighted sum, a softmax and a sigmoid, each as a :class:`torch.autograd.Function`
whose rule is derived and not looked up. A rule computes :math:`u^\top J` for a whole argument; to
multiply what arrives by "the local derivative" is the special case of a function that works entry
by entry. Every one passes the numerical check of its first and second derivative and runs under
:func:`torch.func.vmap`. Look at the softmax, where the special case gives two zeros too many, and
at the last cell, where a rule that returns nothing runs without complaint.
"""

# %%
# The square
# ----------
# Entry by entry, :math:`\partial y_i/\partial x_j` is :math:`2x_i` for :math:`i = j` and zero
# otherwise, so :math:`\bar{x} = 2 u \odot x`. Computing and saving are two methods, which is what
# the function transforms ask for.

from functools import partial

import torch
from torch.autograd import Function, gradcheck, gradgradcheck

double = {"dtype": torch.float64}


class Square(Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x):
        return x * x

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, u):
        (x,) = ctx.saved_tensors
        return 2 * u * x


# %%
# By hand and by rule
# -------------------
# The cotangents differ, so that an entry in the wrong place is seen.

x = torch.tensor([0.5, -1.0, 3.0], **double, requires_grad=True)
u = torch.tensor([1.0, 10.0, 100.0], **double)
(grad_x,) = torch.autograd.grad(Square.apply(x), x, u)
dx = 2 * u * x.detach()
torch.testing.assert_close({"x": dx}, {"x": grad_x})  # by hand, autograd
print(grad_x.tolist())

# %%
# A weighted sum
# --------------
# :math:`z = w x + (1 - w) y` with one number :math:`w`: every :math:`z_i` depends on it, so its
# gradient is a sum, :math:`\bar{w} = \sum_i u_i (x_i - y_i)`; :math:`\bar{x} = w u` and
# :math:`\bar{y} = (1 - w) u`. Only :math:`\bar{w}` needs the values of ``x`` and ``y``, so they
# are saved only if it is wanted.


class WeightedSum(Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x, y, w):
        return w * x + (1 - w) * y

    @staticmethod
    def setup_context(ctx, inputs, output):
        needed = inputs if ctx.needs_input_grad[2] else inputs[2:]
        ctx.save_for_backward(*needed)

    @staticmethod
    def backward(ctx, u):
        *values, w = ctx.saved_tensors
        to_x, to_y, to_w = ctx.needs_input_grad
        return (
            w * u if to_x else None,
            (1 - w) * u if to_y else None,
            (u * (values[0] - values[1])).sum() if to_w else None,
        )


# %%
# Nothing dropped, nothing kept for nothing
# -----------------------------------------
# A rule that returned ``None`` for ``w`` would be right for a number and silently wrong for a
# tensor that is trained.

y = torch.tensor([2.0, 0.0, 1.0], **double, requires_grad=True)
w = torch.tensor(0.7, **double, requires_grad=True)
grads = torch.autograd.grad(WeightedSum.apply(x, y, w), (x, y, w), u)
ratio = w.item()
by_hand = {"x": ratio * u, "y": (1 - ratio) * u, "w": (u * (x - y).detach()).sum()}
torch.testing.assert_close(by_hand, dict(zip("xyw", grads, strict=True)))  # by hand, autograd
results = [WeightedSum.apply(x, y, v) for v in (w, w.detach())]
saved = [len(result.grad_fn.saved_tensors) for result in results]
print("gradient of w", round(grads[2].item(), 4), "- tensors saved with and without it:", saved)
assert saved == [3, 1]

# %%
# The softmax
# -----------
# :math:`s_i = e^{x_i} / \sum_k e^{x_k}`. Every output depends on every input:
# :math:`J_{ij} = \partial s_i/\partial x_j = s_i(\delta_{ij} - s_j)`. So :math:`\bar{x}_j = \sum_i
# u_i J_{ij} = s_j (u_j - \sum_i u_i s_i)`: no matrix is needed, and only the output is saved. The
# largest entry is subtracted first, which changes no value and keeps the exponentials finite.


class Softmax(Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x):
        e = torch.exp(x - x.max(-1, keepdim=True).values)
        return e / e.sum(-1, keepdim=True)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx, u):
        (s,) = ctx.saved_tensors
        return s * (u - (u * s).sum(-1, keepdim=True))


# %%
# Not entry by entry
# ------------------
# The diagonal alone, :math:`u_j s_j (1 - s_j)`, is what "the gradient that arrives times the local
# derivative" gives. With a seed for the first output it says that the other inputs have no
# influence on it. (By hand :math:`s_i = 1/\sum_k e^{x_k - x_i}`, the same number.)

x = torch.tensor([1.0, 2.0, 3.0], **double, requires_grad=True)
u = torch.tensor([1.0, 0.0, 0.0], **double)
(grad_x,) = torch.autograd.grad(torch.softmax(x, 0), x, u)
(grad_own,) = torch.autograd.grad(Softmax.apply(x), x, u)
value = x.detach()
s = 1 / torch.exp(value[None, :] - value[:, None]).sum(1)
dx = s * (u - (u * s).sum())
diagonal = u * s * (1 - s)
torch.testing.assert_close(  # by hand, autograd
    {"torch": dx, "own": dx}, {"torch": grad_x, "own": grad_own}
)
print("diagonal only:", [round(v, 4) for v in diagonal.tolist()])
print("the rule:     ", [round(v, 4) for v in dx.tolist()])

# %%
# The Jacobian, once
# ------------------
# :func:`torch.autograd.functional.jacobian` of PyTorch's own softmax has the entries that were
# derived.

J = torch.autograd.functional.jacobian(lambda x: torch.softmax(x, 0), x.detach())
by_hand = s[:, None] * (torch.eye(3, **double) - s[None, :])
torch.testing.assert_close({"J": by_hand}, {"J": J})  # by hand, autograd
print(by_hand)

# %%
# The sigmoid
# -----------
# :math:`\sigma(x) = 1/(1 + e^{-x})` has the slope :math:`e^{-x}/(1 + e^{-x})^2`, which is
# :math:`\sigma(1 - \sigma)`. Written with PyTorch's operations the formula has a NaN for a gradient
# far below zero, where :math:`e^{-x}` is infinite. The rule uses the output, an ordinary number.


class Sigmoid(Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x):
        return 1 / (1 + torch.exp(-x))

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx, u):
        (y,) = ctx.saved_tensors
        return u * y * (1 - y)


# %%
# Far below zero
# --------------
# At 2 and -1 all agree; at -800 the formula alone fails.

x = torch.tensor([2.0, -1.0, -800.0], **double, requires_grad=True)
slopes = {}
for name, f in {
    "formula": Sigmoid.forward, "own rule": Sigmoid.apply, "torch": torch.sigmoid
}.items():  # fmt: skip
    (slopes[name],) = torch.autograd.grad(f(x).sum(), x)
    print(f"{name:9}", [round(v, 4) for v in slopes[name].tolist()])
assert slopes["formula"][2].isnan()
e = torch.exp(-x.detach()[:2])
dx = e / (1 + e) ** 2
for name, slope in slopes.items():
    torch.testing.assert_close({name: dx}, {name: slope[:2]})  # by hand, autograd
torch.testing.assert_close(slopes["own rule"], slopes["torch"])

# %%
# All four, checked
# -----------------
# The first derivative and the second.

torch.manual_seed(0)
rows = [torch.randn(4, 3, **double, requires_grad=True) for _ in range(2)]
cases = {
    Square: (rows[0],), Softmax: (rows[0],), Sigmoid: (rows[0],), WeightedSum: (*rows, w)
}  # fmt: skip
for function, inputs in cases.items():
    assert gradcheck(function.apply, inputs)
    assert gradgradcheck(function.apply, inputs)
    print(f"{function.__name__:12} gradcheck and gradgradcheck agree")

# %%
# And in batches
# --------------
# ``vmap`` runs a function on the rows at once. The weight of the sum is the same for all rows.


def gradient(function, *row):
    weights = torch.tensor([1.0, 10.0, 100.0], **double)
    return torch.func.grad(lambda *row: (function.apply(*row) * weights).sum())(*row)


for function, inputs in cases.items():
    inputs = [v.detach() for v in inputs]
    dims = tuple(0 if v.dim() else None for v in inputs)
    together = torch.func.vmap(partial(gradient, function), dims)(*inputs)
    each = [[v[i] if v.dim() else v for v in inputs] for i in range(4)]
    torch.testing.assert_close(together, torch.stack([gradient(function, *row) for row in each]))
    print(f"{function.__name__:12} vmap gives {tuple(together.shape)}, row by row the same")

# %%
# A rule that returns nothing
# ---------------------------
# ``pass`` returns ``None``, which means "no gradient" and is allowed. The pass runs, ``.grad``
# stays ``None``, an optimizer skips the parameter. The check sees it at once.


class Stub(Function):
    @staticmethod
    def forward(ctx, x):
        return torch.softmax(x, -1)

    @staticmethod
    def backward(ctx, u):
        pass


x = rows[0].detach().requires_grad_()
Stub.apply(x).square().sum().backward()
print("x.grad:", x.grad, " gradcheck:", gradcheck(Stub.apply, x, raise_exception=False))
assert x.grad is None
assert not gradcheck(Stub.apply, x, raise_exception=False)

# %%
# What was seen
# -------------
# A rule is a product with a Jacobian, written without the Jacobian. It returns a gradient for
# every argument that may be trained, and saves what those gradients need. A rule that gives none
# raises nothing, so every rule needs a check that can fail.
