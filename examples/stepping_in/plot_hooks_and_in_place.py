r"""
Hooks and changes in place
==========================

An in-place operation gives a name to a new value, and with it a new node. A hook that was put on
the tensor before belongs to the old value, one put on it afterwards to the new one, though both
were registered on the same Python object. The other way round, a hook may itself change the
gradient it is handed in place, and then it changes it for everybody who holds that tensor. Look at
the two numbers 201 and 300 that should be equal, and at what a full backward hook on a module
forbids.
"""

# %%
# One object, two hooks, two gradients
# ------------------------------------
# ``h`` holds :math:`3x`, then in place :math:`\sin 3x`, and :math:`L = \sum_i c_i h_i`. The
# gradient with respect to the new value is :math:`c`, with respect to the old one
# :math:`c \odot \cos 3x`.

import re

import torch

torch.manual_seed(0)
x = torch.tensor([0.4, 2.0], dtype=torch.float64, requires_grad=True)
c = torch.tensor([1.0, 5.0], dtype=torch.float64)
seen = {}
h = 3 * x
h.register_hook(lambda gradient: seen.update(before=gradient.clone()))
h.retain_grad()
h.sin_()
h.register_hook(lambda gradient: seen.update(after=gradient.clone()))
(c * h).sum().backward()
print("hook put on before sin_:", seen["before"].tolist())
print("hook put on after sin_: ", seen["after"].tolist())

# %%
# By hand
# -------
# The chain rule takes :math:`c` through the sine, to the old value, and through the factor to
# :math:`x`: :math:`\bar{x} = 3 c \odot \cos 3x`. What was retained is the gradient of the new
# value: ``retain_grad`` moves with the object, a hook does not.

after = c
before = after * torch.cos(3 * x.detach())
dx = 3 * before
torch.testing.assert_close(  # by hand, autograd
    {"h after": after, "h before": before, "x": dx},
    {"h after": seen["after"], "h before": seen["before"], "x": x.grad},
)
torch.testing.assert_close(h.grad, seen["after"])
print("x.grad:", x.grad.tolist())

# %%
# A hook that changes what it is handed
# -------------------------------------
# Two branches, :math:`w = x` and :math:`y = 2x`, are added. A hook on ``y`` is to make its
# gradient a hundred times as large, so with :math:`\bar{y} = 100` and :math:`\bar{w} = 1` one
# expects 201.


def run(hook, first="w"):
    x = torch.tensor([2.0], dtype=torch.float64, requires_grad=True)
    if first == "w":
        w, y = 1 * x, 2 * x  # y is recorded last, so its node runs first
    else:
        y, w = 2 * x, 1 * x
    y.register_hook(hook)
    (y + w).sum().backward()
    return x.grad


returned = run(lambda gradient: 100 * gradient)
in_place = run(lambda gradient: gradient.mul_(100))
print("returned:", returned.item(), " in place:", in_place.item())
assert (returned.item(), in_place.item()) == (2 * 100 + 1, 2 * 100 + 100)

# %%
# By hand, both
# -------------
# The addition hands one and the same tensor to both branches. Changed in place, it is 100 for
# ``w`` as well: :math:`2 \cdot 100 + 100`.

dy = torch.tensor([100.0], dtype=torch.float64)
dw = torch.tensor([1.0], dtype=torch.float64)
right = 2 * dy + dw
wrong = 2 * dy + dy
torch.testing.assert_close(  # by hand, autograd
    {"returned": right, "in place": wrong}, {"returned": returned, "in place": in_place}
)
print("the difference is the other branch's:", (wrong - right).item(), "=", (dy - dw).item())

# %%
# It depends on the order of two lines
# ------------------------------------
# The node recorded last runs first. With the lines swapped, ``w`` has run before the hook does
# its damage, and the result is right. Such an error comes and goes with unrelated edits.

swapped = run(lambda gradient: gradient.mul_(100), first="y")
torch.testing.assert_close(swapped, returned)
print("in place, the two lines swapped:", swapped.item())

# %%
# The caller's own tensor can be hit
# ----------------------------------
# A seed is handed on like any other gradient.

x = torch.tensor([2.0, 3.0], requires_grad=True)
y = 2 * x
y.register_hook(lambda gradient: gradient.mul_(100))
seed = torch.tensor([1.0, 10.0])
y.backward(seed)
assert seed.tolist() != [1.0, 10.0]
print("the seed after the pass:", seed.tolist())

# %%
# A hook on a module puts a node around it
# ----------------------------------------
# :meth:`torch.nn.Module.register_full_backward_hook` has to catch the gradients of all outputs and
# of all inputs of a module. It does so with an extra node behind the inputs and one before the
# outputs.


def nodes(tensor):
    node, names = tensor.grad_fn, []
    while node is not None:
        names.append(node.name().removeprefix("torch::autograd::"))
        node = node.next_functions[0][0] if node.next_functions else None
    return names


layer = torch.nn.Tanh()
batch = torch.ones(2, 3, requires_grad=True)
plain = nodes(layer(batch))
layer.register_full_backward_hook(lambda module, grad_inputs, grad_outputs: None)
hooked = nodes(layer(batch))
print("without:", *plain)
print("with:   ", *hooked)
assert hooked == ["BackwardHookFunctionBackward", plain[0], hooked[0], plain[1]]

# %%
# And forbids in-place operations on its output
# ---------------------------------------------
# The output is now a view made by that node, and a view of a function of one's own may not be
# written to.

try:
    layer(batch).add_(1)
except RuntimeError as error:
    message = str(error)
    print(message.partition(". ")[0])
# An older PyTorch puts Backward behind the name.
assert re.match("Output 0 of BackwardHookFunction(Backward)? is a view", message)

# %%
# What was seen
# -------------
# A hook belongs to the value that a tensor has when the hook is put on. It changes a gradient by
# returning another one; whoever writes into the one it was handed changes other branches,
# depending on which of them has already run, and even the caller's seed.
