r"""
An operator of one's own
========================

:func:`torch.library.custom_op` makes an operator out of code that PyTorch cannot look into, here
NumPy's. A rule for the backward pass, one for shapes and one for batches are registered one by one,
and each missing piece raises where it is needed. In exchange the operator is one node in the graph,
may stand in a compiled program, and has a test of its own, :func:`torch.library.opcheck`, for what
a numerical check does not see. Look at what that finds, and at the transform that is refused.
"""

# %%
# Forward only
# ------------
# Integrals of :math:`e^{-t^2}` have no closed form, and NumPy sums them up. ``mutates_args`` says
# which arguments are written to: none.

import numpy as np
import torch
from torch.autograd import gradcheck, gradgradcheck

STEPS = 400


@torch.library.custom_op("backward_pass::bell_area", mutates_args=())
def bell_area(x: torch.Tensor) -> torch.Tensor:
    """The integral of exp(-t^2) from 0 to each x, by Simpson's rule."""
    ends = x.numpy()
    t = np.linspace(np.zeros_like(ends), ends, STEPS + 1)
    weights = np.ones(STEPS + 1)
    weights[1:-1:2], weights[2:-1:2] = 4, 2
    return torch.from_numpy(np.tensordot(weights, np.exp(-t * t), 1) * ends / (3 * STEPS))


x = torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64, requires_grad=True)
exact = torch.special.erf(x.detach()) * np.pi**0.5 / 2
torch.testing.assert_close(bell_area(x.detach()), exact)
print(bell_area(x.detach()))

# %%
# Without a rule
# --------------
# The result requires a gradient and has a node. The pass is what raises.

try:
    bell_area(x).sum().backward()
except RuntimeError as error:
    message = str(error)
    print(message)
assert "no autograd formula was registered" in message

# %%
# With a rule
# -----------
# The slope of an integral with respect to its upper end is the integrand:
# :math:`\bar{x} = u \odot e^{-x^2}`. ``setup_context`` saves, as it does for a function.


def setup_context(ctx, inputs, output):
    ctx.save_for_backward(*inputs)


def backward(ctx, u):
    (x,) = ctx.saved_tensors
    return u * torch.exp(-x * x)


bell_area.register_autograd(backward, setup_context=setup_context)
u = torch.tensor([1.0, 10.0, 100.0], dtype=torch.float64)
(grad_x,) = torch.autograd.grad(bell_area(x), x, u)
value = x.detach()
dx = u * torch.exp(-value * value)
torch.testing.assert_close({"x": dx}, {"x": grad_x})  # by hand, autograd
assert gradcheck(bell_area, x)
assert gradgradcheck(bell_area, x)
print(grad_x)

# %%
# The test of operators
# ---------------------
# It wants to know what comes out without computing it, as a compiler does: ``register_fake``
# returns an empty tensor of the right shape and type.

try:
    torch.library.opcheck(bell_area, (x,))
except Exception as error:
    message = str(error)
    print(message.partition(". ")[0])
assert "no fake impl registered" in message
bell_area.register_fake(lambda x: torch.empty_like(x))
for name, verdict in torch.library.opcheck(bell_area, (x,)).items():
    print(f"{name:28} {verdict}")

# %%
# What it finds
# -------------
# This operator says that it writes to nothing, and does. Its value and its gradient may be right;
# a program that reads the argument afterwards is not.


@torch.library.custom_op("backward_pass::doubled", mutates_args=())
def doubled(x: torch.Tensor) -> torch.Tensor:
    return x.mul_(2).clone()


try:
    torch.library.opcheck(doubled, (torch.ones(2),))
except Exception as error:
    message = str(error)
    print(message.partition(" (scroll")[0])
assert "Argument x is not defined as mutable but was mutated" in message

# %%
# In batches, and where it is refused
# -----------------------------------
# With a rule for ``vmap`` the operator runs in batches. :func:`torch.func.grad` does not take it:
# the function that PyTorch makes for the registered rule lacks the methods that a transform needs.

bell_area.register_vmap(lambda info, in_dims, x: (bell_area(x), in_dims[0]))
matrix = torch.stack([value, value / 2])
torch.testing.assert_close(torch.func.vmap(bell_area)(matrix), bell_area(matrix))
try:
    torch.func.grad(lambda x: bell_area(x).sum())(value)
except RuntimeError as error:
    message = str(error)
    print(message.partition(". ")[0])
assert "must override the setup_context staticmethod" in message

# %%
# One node
# --------
# Whatever happens inside, the graph has one node for it.

loss = (bell_area(x) * u).sum()
loss.grad_fn

# %%
# What was seen
# -------------
# An operator is for code from outside and for programs that are compiled. It states more than a
# function does, what it writes to and which shapes come out, and that is checked by ``opcheck``;
# whether its derivative is right is still a question for ``gradcheck``.
