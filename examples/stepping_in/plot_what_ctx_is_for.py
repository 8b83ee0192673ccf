r"""
What each method of ctx is for
==============================

The first argument of a :class:`torch.autograd.Function` has half a dozen methods. Each of them
exists because something goes wrong without it, and few of these mistakes raise. Here they
are made, one at a time, on functions of a line or two: a wrong constant, a tensor kept in the
wrong place, a change in place that nobody was told of, an output that has no derivative, a
gradient that did not arrive. Look at the numbers in the pairs of lines: the second is right.
"""

# %%
# A bell
# ------
# :math:`y = e^{-x^2/2}` has the slope :math:`-x\,y`. ``save_for_backward`` takes inputs and
# outputs, here one of each.

import gc
import weakref

import torch
from torch.autograd import Function, gradcheck, gradgradcheck


class Bell(Function):
    @staticmethod
    def forward(ctx, x):
        y = torch.exp(-x * x / 2)
        ctx.save_for_backward(x, y)
        return y

    @staticmethod
    def backward(ctx, u):
        x, y = ctx.saved_tensors
        return -u * x * y


# %%
# A wrong constant
# ----------------
# With a factor 2 too many, the numerical check shows two matrices whose entries have the ratio 2.


class TooSteep(Bell):
    @staticmethod
    def backward(ctx, u):
        return 2 * Bell.backward(ctx, u)


x = torch.tensor([0.5, -1.5], dtype=torch.float64, requires_grad=True)
try:
    gradcheck(TooSteep.apply, x)
except RuntimeError as error:
    message = str(error)
    print(message.partition("\n\n")[0])
assert message.startswith("Jacobian mismatch for output 0 with respect to input 0")

# %%
# The right constant
# ------------------
# By hand: :math:`\bar{x} = -u \odot x \odot e^{-x^2/2}`, with cotangents that differ. A function
# that saved only what it was given and what it returned can be differentiated again as well.

assert gradcheck(Bell.apply, x)
assert gradgradcheck(Bell.apply, x)
u = torch.tensor([1.0, 10.0], dtype=torch.float64)
(grad_x,) = torch.autograd.grad(Bell.apply(x), x, u)
value = x.detach()
dx = -u * value * torch.exp(-value * value / 2)
torch.testing.assert_close({"x": dx}, {"x": grad_x})  # by hand, autograd
print("both checks pass; gradient", grad_x.tolist())

# %%
# A tensor kept as an attribute
# -----------------------------
# ``ctx.x = x`` works as long as nobody writes into ``x``. Then the slope of the square,
# :math:`2x`, is taken at a value that did not go in.


class Kept(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.x = x
        return x * x

    @staticmethod
    def backward(ctx, u):
        return 2 * u * ctx.x


# %%
# And where it belongs
# --------------------
# ``save_for_backward`` notes the version of what it saves.


class Saved(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, u):
        (x,) = ctx.saved_tensors
        return 2 * u * x


# %%
# Written to between forward and backward
# ---------------------------------------
# ``h`` is 3 when the square is taken, and 30 when its slope is. The version of a saved tensor is
# compared; an attribute has none that anybody looks at. By hand, what is computed is
# :math:`2 \cdot 30`, what is right :math:`2 \cdot 3`.

x = torch.tensor([3.0], dtype=torch.float64, requires_grad=True)
wrong, right = 2 * (10 * x.detach()), 2 * x.detach()
h = 1 * x
y = Kept.apply(h)
h.detach().mul_(10)
(grad_x,) = torch.autograd.grad(y, x)
torch.testing.assert_close({"kept": wrong}, {"kept": grad_x})  # by hand, autograd
print("attribute:        ", grad_x.item(), "where", right.item(), "is right")
h = 1 * x
y = Saved.apply(h)
h.detach().mul_(10)
try:
    y.backward()
except RuntimeError as error:
    message = str(error)
    print("save_for_backward:", message.partition(": [")[0])
assert "modified by an inplace operation" in message

# %%
# An output kept as an attribute
# ------------------------------
# It leads to its node, and the node to its attribute: a circle, which stays until the garbage
# collector comes by. ``save_for_backward`` knows an output when it is given one.


class KeptOutput(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.y = x.exp()
        return ctx.y

    @staticmethod
    def backward(ctx, u):
        return u * ctx.y


class SavedOutput(Function):
    @staticmethod
    def forward(ctx, x):
        y = x.exp()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, u):
        (y,) = ctx.saved_tensors
        return u * y


# %%
# Alive without a name
# --------------------
# A weak reference tells whether the output exists after its only name is gone.

alive = {}
gc.disable()
for function in (KeptOutput, SavedOutput):
    y = function.apply(x)
    witness = weakref.ref(y)
    del y
    alive[function.__name__] = witness() is not None
gc.enable()
gc.collect()
print(alive)
assert alive == {"KeptOutput": True, "SavedOutput": False}
for function in (Saved, SavedOutput):
    assert gradcheck(function.apply, x)
    assert gradgradcheck(function.apply, x)

# %%
# A change in place that nobody was told of
# -----------------------------------------
# Both functions double their argument in place. Only ``mark_dirty`` makes the argument's history
# go through the function: then :math:`\bar{w} = 2u`, and without it :math:`\bar{w} = u`, though
# the value was doubled.


class Doubled(Function):
    @staticmethod
    def forward(ctx, x):
        return x.mul_(2)

    @staticmethod
    def backward(ctx, u):
        return 2 * u


class DoubledMarked(Doubled):
    @staticmethod
    def forward(ctx, x):
        ctx.mark_dirty(x)
        return x.mul_(2)


# %%
# The argument used afterwards
# ----------------------------
# The loss reads ``h`` itself. (The gradient through what ``apply`` returned is right in both
# cases.)


def slope_through(function):
    w = torch.tensor([1.0, 4.0], dtype=torch.float64, requires_grad=True)
    h = 1 * w
    function.apply(h)
    assert torch.equal(h, 2 * w)
    return torch.autograd.grad(h, w, torch.tensor([1.0, 10.0], dtype=torch.float64))[0]


unmarked, marked = slope_through(Doubled), slope_through(DoubledMarked)
torch.testing.assert_close({"not told": u, "told": 2 * u}, {"not told": unmarked, "told": marked})
print("without mark_dirty:", unmarked.tolist(), " with:", marked.tolist())
assert gradcheck(lambda w: DoubledMarked.apply(w.clone()), (x,))
assert gradgradcheck(lambda w: DoubledMarked.apply(w.clone()), (x,))

# %%
# An output without a derivative
# ------------------------------
# ``Largest`` returns the largest entry and, as a float, where it stands. The position has no
# derivative. Not marked, it claims to require a gradient, and a loss made of it runs backward.


class Largest(Function):
    @staticmethod
    def forward(ctx, x, mark):
        value, index = x.max(0)
        position = index.to(x.dtype)
        if mark:
            ctx.mark_non_differentiable(position)
        ctx.save_for_backward(index)
        ctx.length = len(x)
        return value, position

    @staticmethod
    def backward(ctx, u, u_position):
        (index,) = ctx.saved_tensors
        return u * torch.nn.functional.one_hot(index, ctx.length).to(u.dtype), None


# %%
# Marked and not
# --------------
# By hand, :math:`\bar{x}` is :math:`u` at the largest entry and zero elsewhere.

data = torch.tensor([1.0, 5.0, 2.0], dtype=torch.float64, requires_grad=True)
for mark in (False, True):
    value, position = Largest.apply(data, mark)
    print(f"marked {mark!s:5}: the position requires a gradient:", position.requires_grad)
    assert position.requires_grad is not mark
(grad_x,) = torch.autograd.grad(7 * value, data)
dx = torch.tensor([0.0, 7.0, 0.0], dtype=torch.float64)
torch.testing.assert_close({"x": dx}, {"x": grad_x})  # by hand, autograd
assert gradcheck(lambda x: Largest.apply(x, True)[0], data)
assert gradgradcheck(lambda x: Largest.apply(x, True)[0], data)

# %%
# A gradient that did not arrive
# ------------------------------
# Of two outputs, :math:`2x` and :math:`3x`, one is used. For the other PyTorch makes a tensor of
# zeros, unless the function asked it not to: then there is ``None``, and a rule has to expect it,
# for all outputs at once as well. ``gradcheck`` tries that too.


class TwoAndThree(Function):
    @staticmethod
    def forward(ctx, x, materialize):
        ctx.set_materialize_grads(materialize)
        return 2 * x, 3 * x

    @staticmethod
    def backward(ctx, u, v):
        arrived.append(v)
        parts = [factor * part for factor, part in ((2, u), (3, v)) if part is not None]
        return sum(parts) if parts else None, None


# %%
# Zeros, or nothing
# -----------------
# A loss of the first output only.

arrived = []
for materialize in (True, False):
    two, three = TwoAndThree.apply(data, materialize)
    (grad_x,) = torch.autograd.grad(two.sum(), data)
    print("materialize", materialize, "-> for the unused output:", arrived[-1])
assert arrived[0].tolist() == [0.0, 0.0, 0.0]
assert arrived[1] is None
for materialize in (True, False):
    assert gradcheck(TwoAndThree.apply, (data, materialize))
    assert gradgradcheck(TwoAndThree.apply, (data, materialize))

# %%
# What was seen
# -------------
# A numerical check finds a wrong constant and nothing of the rest. Tensors belong in
# ``save_for_backward``, which watches their version and breaks the circle of an output; a change
# in place has to be announced; an output without a derivative has to say so; and a rule with
# several outputs receives zeros for those nobody used, or ``None`` if it prefers.
