r"""
Seven Functions that pass
=========================

``gradcheck`` calls a function at a few points, seeds its backward with ones, and compares two
matrices. Whatever shows itself only outside that routine is outside its view. Each of the seven
Functions here passes, and each gives a wrong number in a short program that uses it; beside that
number stands the right one, derived by hand. Look at the last column, and at what the program does
that the check does not.
"""

# %%
# Seven Functions
# ---------------
# All of them compute one of three things: :math:`e^x`, :math:`3x`, or :math:`x^2`. What is wrong
# stands behind each.

import torch
from torch.autograd import Function, grad, gradcheck

torch.set_default_dtype(torch.float64)


class WrongValue(Function):
    forward = staticmethod(lambda ctx, x: (ctx.save_for_backward(x), x.exp() + 100)[1])
    backward = staticmethod(lambda ctx, u: u * ctx.saved_tensors[0].exp())


class WritesArgument(Function):
    forward = staticmethod(lambda ctx, x: (3 * x, x.data.fill_(4))[0])
    backward = staticmethod(lambda ctx, u: 3 * u)


class WritesCotangent(Function):
    forward = staticmethod(lambda ctx, x: 3 * x)
    backward = staticmethod(lambda ctx, u: u.mul_(3))


# %%
# Four more
# ---------
# One keeps its argument as an attribute, one keeps an intermediate result, one returns nothing for
# its second argument, and one forgets the conjugate that a complex argument needs.


class KeepsAttribute(Function):
    forward = staticmethod(lambda ctx, x: (setattr(ctx, "x", x), x**2)[1])
    backward = staticmethod(lambda ctx, u: 2 * u * ctx.x)


class KeepsIntermediate(Function):
    forward = staticmethod(lambda ctx, x: (ctx.save_for_backward(x.exp()), x.exp())[1])
    backward = staticmethod(lambda ctx, u: u * ctx.saved_tensors[0])


class NothingForSecond(Function):
    forward = staticmethod(lambda ctx, x, w: (ctx.save_for_backward(w), x * w)[1])
    backward = staticmethod(lambda ctx, u: (u * ctx.saved_tensors[0], None))


class NoConjugate(Function):
    forward = staticmethod(lambda ctx, x: (ctx.save_for_backward(x), x**2)[1])
    backward = staticmethod(lambda ctx, u: 2 * u * ctx.saved_tensors[0])


x = torch.tensor([0.5, -1.2, 0.7], requires_grad=True)
w = torch.tensor([2.0, -3.0, 1.5])
for function in (WrongValue, WritesCotangent, KeepsAttribute, KeepsIntermediate, NoConjugate):
    print(f"{function.__name__:18}", gradcheck(function.apply, x.clone()))
print(f"{'WritesArgument':18}", gradcheck(WritesArgument.apply, x.clone()))
print(f"{'NothingForSecond':18}", gradcheck(NothingForSecond.apply, (x.clone(), w)))

# %%
# Seven programs
# --------------
# Each returns what it computed, which wrong number that has to be, and what is right. The argument
# is used again after ``WritesArgument`` has written to it; two branches share one cotangent; a
# tensor is changed after the forward pass; a second derivative is taken; the weight is to be
# trained; a number is complex.

p, q = x.detach(), w.detach()  # plain numbers for what is derived by hand
u = torch.tensor([1.5, -0.5, 3.0])  # the cotangent of each result


def value():
    return WrongValue.apply(x), p.exp() + 100, p.exp()


def two_uses():
    shared = x.clone()
    first, second = WritesArgument.apply(shared), shared**2
    return grad(first + second, x, u)[0], 11 * u, (3 + 2 * p) * u


def two_branches():
    other = x.clone()
    return grad(WritesCotangent.apply(x) + other, x, u.clone())[0], 6 * u, 4 * u


def changed_later():
    shared = x.clone()
    squared = KeepsAttribute.apply(shared)
    shared.detach().fill_(4)
    return grad(squared, x, u)[0], 8 * u, 2 * p * u


# %%
# The other three
# ---------------
# The second derivative of :math:`e^x\cdot x` is :math:`(2 + x)\,e^x`; the gradient of a weight is
# the other factor; and PyTorch's gradient of :math:`\mathrm{Re}(c^2)` is :math:`2\bar{c}`, with the
# conjugate.


def second_derivative():
    ones = torch.ones(3)
    (first,) = grad(KeepsIntermediate.apply(x) * x, x, ones, create_graph=True)
    torch.testing.assert_close(first.detach(), (1 + p) * p.exp())  # the gradient is right
    return grad(first, x, u)[0], 2 * p.exp() * u, (2 + p) * p.exp() * u


def trained_weight():
    weight = q.clone().requires_grad_()
    x_grad, found = grad(NothingForSecond.apply(x, weight), (x, weight), u, allow_unused=True)
    torch.testing.assert_close(x_grad, q * u)  # the first argument's is right
    return found, None, p * u


def complex_number():
    c = torch.complex(p, q).requires_grad_()
    (found,) = grad(NoConjugate.apply(c).real, c, u)
    return found.imag, 2 * q * u, -2 * q * u


# %%
# Computed and right
# ------------------
# The first entry of each. None of these programs raised or warned, and each wrong number is the one
# predicted.

programs = (
    value,
    two_uses,
    two_branches,
    changed_later,
    second_derivative,
    trained_weight,
    complex_number,
)
right = {}
for program in programs:
    computed, predicted, right[program.__name__] = program()
    if predicted is None:
        print(f"{program.__name__:18}{computed!s:>8} for {right[program.__name__][0]:8.3f}")
        continue
    torch.testing.assert_close(computed, predicted)
    assert not torch.allclose(computed, right[program.__name__])
    print(f"{program.__name__:18}{computed[0].item():8.3f} for {right[program.__name__][0]:8.3f}")

# %%
# The right ones are right
# ------------------------
# The same programs with operations of PyTorch in place of the Functions.

c = torch.complex(p, q).requires_grad_()
weight = q.clone().requires_grad_()
(first,) = grad(x.exp() * x, x, torch.ones(3), create_graph=True)
autograd = {
    "two_uses": grad(3 * x + x**2, x, u)[0],
    "two_branches": grad(3 * x + x, x, u)[0],
    "changed_later": grad(x**2, x, u)[0],
    "second_derivative": grad(first, x, u)[0],
    "trained_weight": grad(x * weight, weight, u)[0],
    "complex_number": grad((c**2).real, c, u)[0].imag,
    "slope of WrongValue": grad(WrongValue.apply(x), x, u)[0],
}
by_hand = right | {"slope of WrongValue": p.exp() * u}
torch.testing.assert_close(by_hand.pop("value"), x.detach().exp())
torch.testing.assert_close(by_hand, autograd)  # by hand, autograd
print(", ".join(by_hand))

# %%
# What was seen
# -------------
# A check of one call at a time cannot see what a call does to others: to its argument, to the
# cotangent it was handed, to what it kept. And it cannot see arguments that it was not asked about:
# complex ones, those without ``requires_grad``, and second derivatives.
