r"""
Hooks on saved tensors: files, and two things a hook takes away
===============================================================

A pair of hooks decides what becomes of a tensor that is saved: the first gives away something in
its place, and the second makes a tensor of that again. Here tensors go to files that delete
themselves when the graph lets go of them, and the gradients do not change in a single bit. Then
come two things that are lost as soon as any hook is there, even one that does nothing: the check
for changes in place, and the rule by which a graph is freed. Look at the graph that nobody refers
to, and that stays.
"""

# %%
# A folder for the files
# ----------------------
# It goes when the script ends. Files are numbered in the order in which tensors are saved.

import gc
import itertools
import tempfile
import weakref
from pathlib import Path

import torch
from torch.autograd.graph import save_on_cpu, saved_tensors_hooks

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
folder = tempfile.TemporaryDirectory()
numbers = itertools.count()


def files():
    return len(list(Path(folder.name).iterdir()))


print(files(), "files")

# %%
# A file for each tensor
# ----------------------
# What the pack hook returns is kept by the node, and dropped when a saved tensor would be. So an
# object that deletes its file when it goes needs no other bookkeeping. Small tensors stay: their
# file would be larger than they are.


class OnDisk:
    """A tensor in a file that is deleted with this object."""

    def __init__(self, t):
        self.path = Path(folder.name, f"{next(numbers)}.pt")
        torch.save(t, self.path)

    def __del__(self):
        self.path.unlink(missing_ok=True)


def pack(t):
    return OnDisk(t.detach()) if t.numel() >= 1000 else t.detach()


def unpack(kept):
    return torch.load(kept.path) if isinstance(kept, OnDisk) else kept  # reads: what pack wrote


one = pack(torch.ones(1000))
print(files(), "file, and with its object gone:", end=" ")
del one
print(files(), "files")

# %%
# The same gradient, by way of the disk
# -------------------------------------
# :math:`L = \sum_i x_i^2 e^{x_i}` saves the argument of the square, the result of the exponential,
# and both factors of the product, one of which is that result again. A hook sees tensors and not
# storages, so there are four files. The gradient is :math:`\bar x = (2x + x^2)\, e^x`.

x = torch.randn(2000, requires_grad=True)
with saved_tensors_hooks(pack, unpack):
    loss = (x**2 * x.exp()).sum()
print(files(), "files after the forward pass")
loss.backward()
print(files(), "files after the backward pass")
with torch.no_grad():
    dx = (2 * x + x**2) * x.exp()
torch.testing.assert_close({"x": dx}, {"x": x.grad})  # by hand, autograd
(usual,) = torch.autograd.grad((x**2 * x.exp()).sum(), x)
torch.testing.assert_close(x.grad, usual, rtol=0, atol=0)

# %%
# A branch that no small example takes
# ------------------------------------
# A hook with a size limit has two branches, and one of them is not run by a tensor of five numbers.
# This one has a wrong name in it. It is found by the first tensor that is large enough, and not
# before.


def misspelt(t):
    return t.detach() if t.numel() < 1000 else OnDisk(tensor)


with saved_tensors_hooks(misspelt, unpack):
    torch.randn(5, requires_grad=True).exp()
    print("five numbers: no error")
    try:
        torch.randn(1000, requires_grad=True).exp()
    except NameError as error:
        print(f"a thousand:   {type(error).__name__}: {error}")

# %%
# A change in place is no longer noticed
# --------------------------------------
# ``exp`` saves its result, which is then multiplied by 3. Without a hook that is an error. With a
# hook, the check is left to the hook: where it handed on the same storage, the pass reads what is
# there now, and :math:`\bar x = 3e^x \odot u` where it should be :math:`3e^x`, with :math:`u = 3`
# the cotangent that the product passes back. A hook that copies is right.

start = torch.randn(3)
ways = {
    "no hook": None,
    "t.detach()": saved_tensors_hooks(lambda t: t.detach(), lambda t: t),
    "save_on_cpu()": save_on_cpu(),
    "t.detach().clone()": saved_tensors_hooks(lambda t: t.detach().clone(), lambda t: t),
}
gradients = {}
for way, hooks in ways.items():
    x = start.clone().requires_grad_()
    if hooks is None:
        y = x.exp()
    else:
        with hooks:
            y = x.exp()
    y.mul_(3)
    try:
        y.sum().backward()
        gradients[way] = x.grad
        print(f"{way:19} {x.grad}")
    except RuntimeError as error:
        assert "modified by an inplace operation" in str(error)
        print(f"{way:19} {type(error).__name__}: one of the variables ... has been modified")
dx_right, dx_wrong = 3 * start.exp(), 3 * (3 * start.exp())
torch.testing.assert_close(
    # by hand
    {"t.detach()": dx_wrong, "save_on_cpu()": dx_wrong, "t.detach().clone()": dx_right},
    gradients,  # autograd
)

# %%
# A graph that nobody refers to
# -----------------------------
# The tensor that a pack hook is given knows its graph. Returned as it is, the *result* of an
# operation makes the operation's node refer to a tensor that refers to the node. No garbage
# collector sees that circle, as half of it is not made of Python objects.


class Tag:
    """An empty object that lives as long as the node whose metadata holds it."""


def forgotten(pack, operation):
    """A weak reference to the tag of a node, after all names that lead to it are gone."""
    x = torch.randn(4, requires_grad=True)
    with saved_tensors_hooks(pack, lambda t: t):
        y = operation(x * 1)
    y.grad_fn.metadata["tag"] = tag = Tag()
    return weakref.ref(tag)


hooks = {"t": lambda t: t, "t.detach()": lambda t: t.detach()}
for operation, saves in ((torch.sin, "argument"), (torch.exp, "result")):
    for way, pack in hooks.items():
        node = forgotten(pack, operation)
        gc.collect()
        print(f"{operation.__name__} saves its {saves:9} hook returns {way:11} "
              f"node {'stays' if node() else 'is freed'}")  # fmt: skip
        assert (node() is not None) == (saves == "result" and way == "t")

# %%
# What opens the circle
# ---------------------
# A backward pass does, since it drops what was saved. So a leak of this kind shows where graphs
# are made and not run: in an evaluation without ``no_grad``, or in a measurement.

x = torch.randn(4, requires_grad=True)
with saved_tensors_hooks(lambda t: t, lambda t: t):
    y = x.exp()
y.grad_fn.metadata["tag"] = tag = Tag()
node = weakref.ref(tag)
y.sum().backward()
del y, tag
print("after a backward pass the node", "stays" if node() else "is freed")
assert node() is None
folder.cleanup()

# %%
# What was seen
# -------------
# Hooks can put saved tensors anywhere, and the node drops what they returned when it would have
# dropped the tensor. A hook should return something made from the *detached* tensor, and a copy
# where the original may be changed: autograd does not look after either any more.
