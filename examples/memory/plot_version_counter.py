r"""
A counter of changes
====================

A tensor counts its changes in place, together with its views and what was detached from it. A node
notes the count when it saves a tensor and compares when it reads it: another number, and it
refuses. It does not check what was changed or by whom. So a change is harmless where nothing was
saved, an error where something saved was changed, and also an error where a part of it was changed
that the node does not need. Look at the two columns of the last table, and at the tensors that
share memory with ``x`` and not its counter.
"""

# %%
# Who shares a counter
# --------------------
# Nine tensors that came from one, each changed in place: did the counter of ``x`` move, and did
# its values?

import re
import textwrap

import torch

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)

sources = {
    "x": lambda x: x,
    "x[:2], a view": lambda x: x[:2],
    "x.view(2, 2)": lambda x: x.view(2, 2),
    "x.detach()": lambda x: x.detach(),
    "x.data": lambda x: x.data,
    "unsafe_split": lambda x: torch.unsafe_split(x, 2)[0],
    "set_, a storage": lambda x: torch.empty(0).set_(x.untyped_storage(), 0, (4,), (1,)),
    "x.clone()": lambda x: x.clone(),
    "x.to(x.dtype)": lambda x: x.to(x.dtype),
}
unseen = []
for text, make in sources.items():
    x = torch.arange(4.0)
    before = x.clone()
    make(x).add_(10)
    changed = not torch.equal(x, before)
    unseen += [text] if changed and x._version == 0 else []
    print(f"{text:15} version {x._version}  values {'changed' if changed else 'as before'}")

assert unseen == ["x.data", "unsafe_split", "set_, a storage"]

# %%
# What is counted
# ---------------
# A change is counted by the operation and not by its effect: adding 0 counts, and so does writing
# to an empty slice. Under ``no_grad`` it counts as well. Exchanging the storage does not, nor does
# batch norm count what it writes to its running mean.

actions = {
    "x.add_(0)": lambda x: x.add_(0),
    "x[3:3] = 1": lambda x: x[3:3].fill_(1),
    "x[0] = 1": lambda x: x.__setitem__(0, 1),
    "torch.add(x, 1, out=x)": lambda x: torch.add(x, 1, out=x),
    "no_grad: x.add_(1)": lambda x: torch.no_grad()(x.add_)(1),
    "x.unsqueeze_(0)": lambda x: x.unsqueeze_(0),
    "x.requires_grad_()": lambda x: x.requires_grad_(),
    "x.numpy()[0] = 1": lambda x: x.numpy().__setitem__(0, 1),
    "x.data = x + 1": lambda x: setattr(x, "data", x + 1),
    "x a running mean": lambda x: torch.nn.functional.batch_norm(
        torch.randn(4, 3), x, torch.ones(3), training=True
    ),
}
counts = {}
for text, action in actions.items():
    x = torch.arange(3.0)
    action(x)
    counts[text] = x._version
    print(f"{text:23} {x._version}")
assert [text for text, count in counts.items() if not count] == list(counts)[-4:]

# %%
# Noted at saving, compared at reading
# ------------------------------------
# ``sin`` saves its argument ``a``. The change comes before the pass, and the message names the
# tensor and both counts.

w = torch.tensor([0.5, -1.0, 2.0], requires_grad=True)
a = w * 1
y = a.sin()
print("version when saved:", a._version)
a.add_(1)
print("version at the pass:", a._version)
try:
    y.sum().backward()
except RuntimeError as error:
    assert "is at version 1; expected version 0" in str(error)
    print(textwrap.fill(str(error).split(" Hint")[0], 88))

# %%
# The whole storage is one
# ------------------------
# The sine of the second entry is written to the first. What ``sin`` had saved is the second entry,
# and it still has its value, but it lies in the storage that was written to.

a = w * 1
a[0] = a[1].sin()
print("a[1] is unchanged:", a[1].item() == w[1].item())
try:
    a.sum().backward()
except RuntimeError as error:
    named = re.search(r"output 0 of AsStrided(Backward0)?, is at version 1; expected", str(error))
    assert named  # the longer name is that of an older PyTorch
    print(textwrap.fill(str(error).split(" Hint")[0], 88))

# %%
# With a copy of the entry
# ------------------------
# A clone has a storage and a counter of its own. The gradient then is, as the first entry was
# overwritten, :math:`\bar w = (0,\ 1 + \cos w_1,\ 1)`.

w.grad = None
a = w * 1
a[0] = a[1].clone().sin()
a.sum().backward()
with torch.no_grad():
    dw = torch.stack([torch.zeros(()), 1 + w[1].cos(), torch.ones(())])
torch.testing.assert_close({"w": dw}, {"w": w.grad})  # by hand, autograd
print(w.grad)

# %%
# One memory, two counters
# ------------------------
# A square saves ``h``. A chunk that is no view is multiplied by 10, the pass finds nothing changed,
# and :math:`\bar h = 2h` is taken with the new numbers. Told with
# :func:`torch.autograd.graph.increment_version`, it raises.

h = w * 1
y = (h**2).sum()
torch.unsafe_chunk(h.detach(), 2)[0].mul_(10)
(silent,) = torch.autograd.grad(y, h, retain_graph=True)
dh = 2 * w.detach() * torch.tensor([10.0, 10.0, 1.0])
torch.testing.assert_close({"h": dh}, {"h": silent})  # by hand, autograd
torch.autograd.graph.increment_version(h)
try:
    torch.autograd.grad(y, h)
except RuntimeError as error:
    told = str(error).split(":")[0]
assert told.endswith("modified by an inplace operation")
print("in silence:", silent.tolist(), " right:", (2 * w.detach()).tolist())
print("told:", told)

# %%
# Harmless, or not
# ----------------
# An operation makes ``y``, then ``y`` or the argument ``h`` is multiplied by 3 in place. It is an
# error where the storage that was written to had been saved, once a pass comes to it.

operations = {
    "h + 1": (lambda h: h + 1, lambda h: torch.ones_like(h)),
    "h ** 2": (lambda h: h**2, lambda h: 2 * h),
    "h.sin()": (lambda h: h.sin(), lambda h: h.cos()),
    "h.exp()": (lambda h: h.exp(), lambda h: h.exp()),
    "h.tanh()": (lambda h: h.tanh(), lambda h: 1 - h.tanh() ** 2),
    "h.cumsum(0)": (lambda h: h.cumsum(0), lambda h: torch.tensor([3.0, 2.0, 1.0])),
}


def change(operation, which):
    """The gradient of w with y or h multiplied by 3 after the operation, or None if it raises."""
    w.grad = None
    h = w * 1
    y = operation(h)
    (y if which == "y" else h).mul_(3)
    try:
        y.sum().backward()
    except RuntimeError as error:
        assert "modified by an inplace operation" in str(error)
        return None
    return w.grad


found = {(text, which): change(operation, which)
         for text, (operation, _) in operations.items() for which in "yh"}  # fmt: skip
for text in operations:
    words = ["raises" if found[text, which] is None else "works" for which in "yh"]
    print(f"{text:12} y.mul_(3) {words[0]:7} h.mul_(3) {words[1]}")

# %%
# What works is right
# -------------------
# With :math:`y = f(h)` the gradient is :math:`3f'(w)` where the result was multiplied, for the
# product was recorded like any other operation, and :math:`f'(w)` where the argument was: what was
# computed from it before does not change.

by_hand = {}
for text, (_, slope) in operations.items():
    with torch.no_grad():
        by_hand |= {(text, "y"): 3 * slope(w), (text, "h"): slope(w)}
works = {key: gradient for key, gradient in found.items() if gradient is not None}
torch.testing.assert_close(
    {f"{text}, {which}": by_hand[text, which] for text, which in works},  # by hand
    {f"{text}, {which}": gradient for (text, which), gradient in works.items()},  # autograd
)
print(len(works), "of", len(found), "work, and are right")

# %%
# Who saved what was written to
# -----------------------------
# The last table again, with a hook that looks which of ``h`` and ``y`` is saved. The two columns
# say the same.

for text, (operation, _) in operations.items():
    h, seen = w * 1, []
    with torch.autograd.graph.saved_tensors_hooks(
        lambda t, seen=seen: seen.append(t.data_ptr()) or t.detach(), lambda t: t
    ):
        y = operation(h)
    saved = [which for which, t in (("y", y), ("h", h)) if t.data_ptr() in seen]
    raises = [which for which in "yh" if found[text, which] is None]
    assert saved == raises
    print(f"{text:12} saved {' '.join(saved) or '-':2} a change raises {' '.join(raises) or '-'}")

# %%
# A copy when it is changed
# -------------------------
# Under :class:`torch.autograd.graph.allow_mutation_on_saved_tensors` a saved tensor is copied when
# somebody is about to change it, and the pass reads the copy. So :math:`\bar w = \cos w`, as if
# nothing had been changed, in the case that raised above.

with torch.autograd.graph.allow_mutation_on_saved_tensors():
    a = w * 1
    y = a.sin()
    a.add_(1)
    (gradient,) = torch.autograd.grad(y.sum(), w)
with torch.no_grad():
    dw = w.cos()
torch.testing.assert_close({"w": dw}, {"w": gradient})  # by hand, autograd
print(gradient)

# %%
# What was seen
# -------------
# A tensor, its views and what was detached from it count changes together. A counted change of
# something saved raises, when the pass comes there; the counted changes that did not raise gave the
# right gradient. Other ways into the same memory are not counted, and the gradient may be wrong.
