r"""
Where the gradient is after a pass
==================================

A backward pass computes a gradient for every tensor on its way and keeps few of them. Which ones
depends on what a tensor is and on what was asked of it; the table below is made by running a pass
over nine tensors and looking. Then one leaf is followed closely: which hook still sees ``None``,
which object ``.grad`` is after a second pass, in which layout and precision it is stored, and whose
memory it is. Look at the leaves that have no gradient, at the tensor that is no leaf and has one,
and at three passes of 1 that make 4.
"""

# %%
# In double precision
# -------------------
# A gradient by hand is compared in ``float64``, so that is the default here.

import warnings

import torch

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
print(torch.get_default_dtype())

# %%
# Nine tensors, one pass
# ----------------------
# All but ``unused`` take part in :math:`L = \sum_i k_i c_i w_i^2 + \sum_i \text{cut}_i`. A gradient
# is computed for ``w``, for ``cut`` and for everything made from ``w``. The three intermediates
# differ only in what was asked of them.

w, unused = torch.randn(3, requires_grad=True), torch.randn(2, requires_grad=True)
c, k = torch.randn(3), torch.tensor([0.5, -2.0, 3.0])
scale = k * 1  # computed, from tensors that require no gradient
cut = w.detach().clone().requires_grad_()  # cut off from w: a leaf of its own
square = w * w
weighted = square * c
scaled = weighted * scale
square.retain_grad()
loss = scaled.sum() + cut.sum()
loss.backward(retain_graph=True)
scaled.retain_grad()  # too late for this pass
print("loss", loss.item())

# %%
# Where the gradient is
# ---------------------
# ``is_leaf`` and ``requires_grad`` say whether a pass *could* store a gradient there,
# ``retains_grad`` whether it was asked to, and the last column what is there.

names = ("w", "unused", "c", "scale", "cut", "square", "weighted", "scaled", "loss")
print(f"{'':9}{'is_leaf':9}{'requires_grad':15}{'retains_grad':14}.grad")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # reading .grad where none can be warns; shown below
    for name in names:
        t = globals()[name]
        flags = f"{t.is_leaf!s:9}{t.requires_grad!s:15}{t.retains_grad!s:14}"
        print(f"{name:9}{flags}{'None' if t.grad is None else 'a tensor'}")
    have = [name for name in names if globals()[name].grad is not None]
    assert have == ["w", "cut", "square"]
    assert scaled.retains_grad

# %%
# The graph of the pass
# ---------------------
# Everything that requires a gradient and took part is in it; ``c`` and ``scale`` are constants, and
# of ``unused`` the graph knows nothing.

loss.grad_fn

# %%
# The stored ones, by hand
# ------------------------
# :math:`\bar{w} = 2 k \odot c \odot w`, the retained :math:`\bar{s} = k \odot c` of the square, and
# ones for the leaf that was cut off.

dw, dsquare, dcut = 2 * k * c * w.detach(), k * c, torch.ones(3)
torch.testing.assert_close(
    {"w": dw, "square": dsquare, "cut": dcut},  # by hand
    {"w": w.grad, "square": square.grad, "cut": cut.grad},  # autograd
)
print("w.grad", w.grad)

# %%
# The combinations that do not exist
# ----------------------------------
# A result of something that requires a gradient requires one, and only a leaf may decide otherwise.
# A tensor that requires none cannot retain one. And reading where nothing can be is answered by a
# warning.

for attempt in (lambda: weighted.requires_grad_(False), lambda: c.retain_grad()):
    try:
        attempt()
    except RuntimeError as error:
        assert "leaf variables" in str(error) or "can't retain_grad" in str(error)
        print(str(error).split(". ")[0])
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    print("weighted.grad is", weighted.grad)
print(str(caught[0].message).split(". ")[0])

# %%
# Returned and stored nowhere
# ---------------------------
# :func:`torch.autograd.grad` returns a gradient for any tensor of the graph and touches no
# ``.grad``. Here is the one that the pass above had computed and dropped, :math:`k`.

w_before, cut_before = w.grad.clone(), cut.grad.clone()
(grad_weighted,) = torch.autograd.grad(loss, weighted, retain_graph=True)
dweighted = k
torch.testing.assert_close({"weighted": dweighted}, {"weighted": grad_weighted})  # by hand
print("w.grad unchanged:", torch.equal(w.grad, w_before))

# %%
# Stored where it is told to
# --------------------------
# ``inputs`` names the tensors that receive a gradient, leaves or not. All others are left alone,
# and the nodes behind the named ones do not run.

loss.backward(inputs=[weighted])
torch.testing.assert_close({"weighted": dweighted}, {"weighted": weighted.grad})  # by hand
print("w.grad unchanged:", torch.equal(w.grad, w_before))
print("cut.grad unchanged:", torch.equal(cut.grad, cut_before))

# %%
# Who writes it, and when
# -----------------------
# A leaf's node is its ``AccumulateGrad``. Hooks before, at and after it note what ``p.grad`` holds
# when they are called. They are registered in the opposite order.

p = torch.tensor([2.0, -1.0, 0.5], requires_grad=True)
edges = (p * p).grad_fn.next_functions
accumulate = edges[0][0]
log = []
accumulate.register_hook(lambda *_: log.append(("node, after it ran", p.grad)))
p.register_post_accumulate_grad_hook(lambda leaf: log.append(("post-accumulate", leaf.grad)))
accumulate.register_prehook(lambda *_: log.append(("node, before it runs", p.grad)))
p.register_hook(lambda gradient: log.append(("tensor", p.grad)))
(p * p).sum().backward()
print("both edges of p * p lead to the node of p:", edges[0] == edges[1], accumulate.variable is p)
order = ["tensor", "node, before it runs", "post-accumulate", "node, after it ran"]
assert [hook for hook, _ in log] == order
assert [seen is None for _, seen in log] == [True, True, False, False]
for hook, seen in log:
    print(f"{hook:22}", None if seen is None else seen.tolist())

# %%
# A second pass changes the object that is there
# ----------------------------------------------
# Whoever kept ``p.grad`` holds a reference to a tensor that the next pass adds to. A pass that
# creates a graph adds out of place, and ``p.grad`` is another object then.

kept, copied = p.grad, p.grad.clone()
(p * p).sum().backward()
dp = 2 * (2 * p.detach())
torch.testing.assert_close({"p": dp}, {"p": p.grad})  # by hand, autograd
assert p.grad is kept
print("same object:", p.grad is kept, " kept", kept.tolist(), " copied", copied.tolist())
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # about the cycle from p to its gradient and back
    (p * p).sum().backward(create_graph=True)
assert p.grad is not kept
print("with create_graph, same object:", p.grad is kept, " kept", kept.tolist())
p.grad = None  # breaks the cycle

# %%
# Moved in or copied
# ------------------
# The first gradient becomes ``.grad`` without a copy when it lies as the leaf does and nobody else
# holds it. Someone may: a seed that flows to two leaves unchanged, or a list that a hook fills.

addresses, held = [], []
handle = p.register_hook(lambda gradient: addresses.append(gradient.data_ptr()))
(p * k).sum().backward()
print("moved in:             ", p.grad.data_ptr() == addresses[-1])
p.grad = None
keeper = p.register_hook(held.append)
(p * k).sum().backward()
print("moved in when kept:   ", p.grad.data_ptr() == addresses[-1])
a, b, seed = torch.zeros(3, requires_grad=True), torch.zeros(3, requires_grad=True), torch.ones(3)
(a + b).backward(seed)
print("two leaves, addresses:", len({a.grad.data_ptr(), b.grad.data_ptr(), seed.data_ptr()}))
for hook in (handle, keeper):
    hook.remove()
assert len({a.grad.data_ptr(), b.grad.data_ptr(), seed.data_ptr()}) == 3

# %%
# Moved in, and somebody else's memory
# ------------------------------------
# "Nobody else holds it" is asked of the tensor and not of its memory. A reshaped seed is a new
# tensor over the caller's memory: it becomes ``.grad``, and from then on each pass adds into the
# seed that the next one starts from.

leaf, seed = torch.zeros(2, 3, requires_grad=True), torch.ones(6)
for _ in range(3):
    leaf.view(6).backward(seed)
assert leaf.grad.eq(4).all()
assert seed.eq(4).all()
print("three passes of ones:", leaf.grad.tolist(), " the seed is now", seed.tolist())
aside, seed = torch.zeros(2, 3, requires_grad=True), torch.ones(6)
aside.register_hook(torch.clone)  # what a hook returns is nobody's view
for _ in range(3):
    aside.view(6).backward(seed)
torch.testing.assert_close({"aside": torch.full((2, 3), 3.0)}, {"aside": aside.grad})  # by hand
print("with a hook that copies:", aside.grad.tolist())

# %%
# Two leaves, one memory
# ----------------------
# No seed is needed for it. Two parameters that are reshaped and added receive two views of one
# cotangent, and clipping their norm to 1 scales the same six numbers twice.

first, second = torch.zeros(2, 3, requires_grad=True), torch.zeros(3, 2, requires_grad=True)
rising = torch.arange(1.0, 7)
((first.view(6) + second.view(6)) * rising).sum().backward()
by_hand = rising.view(2, 3), rising.view(3, 2)
torch.testing.assert_close(dict(enumerate(by_hand)), {0: first.grad, 1: second.grad})  # by hand
print("one memory:", first.grad.data_ptr() == second.grad.data_ptr())
norm = torch.nn.utils.clip_grad_norm_([first, second], 1.0)
clipped = torch.cat([first.grad.flatten(), second.grad.flatten()]).norm()
torch.testing.assert_close(clipped, 1 / norm)  # and not 1
print(f"norm {norm.item():.2f}, after clipping it to 1: {clipped.item():.3f}")

# %%
# Which lines hand on memory
# --------------------------
# Each line with a seed of its own. A view whose cotangent comes in the layout of the leaf is moved
# in; where the rule computes, or the layout differs, a copy is made. A slice of a joined cotangent
# keeps the whole of it alive.

lines = {
    "x + 1": lambda x: x + 1, "x * 1": lambda x: x * 1, "x.T": lambda x: x.T,
    "x[:1]": lambda x: x[:1], "x.view(6)": lambda x: x.view(6), "x[None]": lambda x: x[None],
    "x.reshape(3, 2)": lambda x: x.reshape(3, 2),
    "torch.cat([x, c])": lambda x: torch.cat([x, x.detach()]),
    "torch.stack([x, c])": lambda x: torch.stack([x, x.detach()]),
}  # fmt: skip
shared = []
for line, function in lines.items():
    leaf = torch.zeros(2, 3, requires_grad=True)
    result = function(leaf)
    seed = torch.ones(result.shape)
    result.backward(seed)
    if leaf.grad.untyped_storage().data_ptr() == seed.untyped_storage().data_ptr():
        shared.append(line)
        assert leaf.grad.untyped_storage().nbytes() == seed.numel() * 8
assert shared == list(lines)[4:]
print("in the seed's memory:", "; ".join(shared))

# %%
# The layout is the leaf's
# ------------------------
# What flows out of a sum is one number that pretends to be a matrix, with strides of 0. Stored are
# the strides of the leaf, those of a transposed matrix for the first one here. A leaf with gaps in
# its memory, such as every second column of a matrix, gets a gradient without them. A gradient that
# was put there before the pass keeps the strides it has, and is added to.

transposed = torch.randn(4, 3).T.requires_grad_()
gaps = torch.randn(3, 8)[:, ::2].requires_grad_()
for leaf in (transposed, gaps):
    flowing = []
    leaf.register_hook(lambda gradient, seen=flowing: seen.append(gradient.stride()))
    leaf.sum().backward()
    assert flowing[0] == (0, 0)
    assert leaf.grad.stride() != (0, 0)
    print("leaf", leaf.stride(), " flowing", flowing[0], " stored", leaf.grad.stride())
leaf = torch.randn(3, 4, requires_grad=True)
leaf.grad = torch.zeros(4, 3).T
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    (leaf * 2).sum().backward()
assert (leaf.stride(), leaf.grad.stride()) == ((4, 1), (1, 3))
assert "do not obey the gradient layout contract" in str(caught[0].message)
print("leaf", leaf.stride(), " put there before:", leaf.grad.stride(), " and a warning")

# %%
# So is the precision
# -------------------
# A float32 leaf that was used in double precision: the conversion has a node, whose rule converts
# back. A rule that returns double precision for such a leaf is converted by the engine on the way
# out of the node, before the leaf's hooks. An assignment by hand is refused.


class Double(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 1

    @staticmethod
    def backward(ctx, u):
        return u.double() / 3  # not the precision of x


for use in (lambda x: x.double() / 3, Double.apply):
    single, seen = torch.ones(3, dtype=torch.float32, requires_grad=True), []
    single.register_hook(lambda gradient, seen=seen: seen.append(gradient.dtype))
    use(single).sum().backward()
    assert seen == [torch.float32]
    assert single.grad.dtype is torch.float32
    print("arrives as", seen[0], " stored as", single.grad.dtype)
try:
    single.grad = torch.ones(3, dtype=torch.float64)
except RuntimeError as error:
    assert "assign a gradient with dtype 'double' to a tensor with" in str(error)
    print(str(error).split(". ")[0])

# %%
# What was seen
# -------------
# ``.grad`` is written by a leaf's ``AccumulateGrad``, or by a request: ``retain_grad`` before the
# pass, or ``inputs``. Without ``create_graph`` a dense one stays one object until it is cleared.
# Its memory may be that of a seed or of another gradient: who writes into gradients looks first.
