r"""
Checkpointing: eleven per cent, or ninety
=========================================

A checkpointed block keeps its input in the place of what it would save, and runs a second time when
the backward pass comes to it. What that saves depends on what the block would have kept. Of two
stacks of eight blocks that return tensors of the same shape, one saves a ninth by it and the other
eight ninths. Both are predicted from the shapes. Then the length of a segment is varied, and the
peak is counted storage by storage. Look at the two ends of the last curve: both cost as much as no
checkpoints.
"""

# %%
# Two stacks
# ----------
# Eight blocks of a layer with a tanh, and eight of two layers with a GELU between them, four times
# as wide. ``N`` rows of ``D`` numbers in ``float32``, 4 bytes each.

# no hand-derived gradient: bytes are predicted by hand here, and gradients equal those without

import weakref

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import checkpoint, set_checkpoint_early_stop
from torch.utils.flop_counter import FlopCounterMode

grey = "#7a7a7a"  # readable on light and on dark
plt.rcParams.update({"figure.facecolor": "none", "axes.facecolor": "none", "text.color": grey,
                     "axes.labelcolor": grey, "axes.edgecolor": grey,
                     "xtick.color": grey, "ytick.color": grey})  # fmt: skip

torch.manual_seed(0)
N, D, H, blocks = 32, 64, 256, 8
stacks = {
    "Linear, Tanh": [nn.Sequential(nn.Linear(D, D), nn.Tanh()) for _ in range(blocks)],
    "Linear, GELU, Linear": [
        nn.Sequential(nn.Linear(D, H), nn.GELU(), nn.Linear(H, D)) for _ in range(blocks)
    ],
}
X = torch.randn(N, D)
for name, stack in stacks.items():
    print(f"{name:21} {sum(p.numel() for block in stack for p in block.parameters())} parameters")

# %%
# What the graph keeps
# --------------------
# A hook notes each storage that is saved. Parameters are left out: they exist anyway. The hook
# returns a detached tensor, because one that returns a *result* as it came would make it refer to
# its own graph.


def run(stack, checkpointed):
    h = X
    for block in stack:
        h = checkpoint(block, h, use_reentrant=False) if checkpointed else block(h)
    return h


def kept(stack, checkpointed):
    """Bytes that the graph of a stack keeps, without its parameters."""
    seen, alive = {}, []
    known = {p.untyped_storage().data_ptr() for block in stack for p in block.parameters()}

    def pack(t):
        alive.append(t.detach())
        seen[t.untyped_storage().data_ptr()] = t.untyped_storage().nbytes()
        return t.detach()

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        run(stack, checkpointed)
    return sum(size for address, size in seen.items() if address not in known)


print(kept(stacks["Linear, Tanh"], False), "bytes")

# %%
# Predicted and measured
# ----------------------
# A tanh's result is the next block's input, so the first stack keeps ``X`` and eight results. The
# second keeps for each block its input, the GELU's argument and its result. With checkpoints both
# keep eight inputs: :math:`X` and the results of all blocks but the last.
#
# .. math::
#
#    4\,(1 + 8)ND \;\to\; 4 \cdot 8ND
#    \qquad\text{and}\qquad
#    4 \cdot 8\,(ND + 2NH) \;\to\; 4 \cdot 8ND

predicted = {
    ("Linear, Tanh", False): 4 * (1 + blocks) * N * D,
    ("Linear, Tanh", True): 4 * blocks * N * D,
    ("Linear, GELU, Linear", False): 4 * blocks * (N * D + 2 * N * H),
    ("Linear, GELU, Linear", True): 4 * blocks * N * D,
}
for (name, checkpointed), by_hand in predicted.items():
    by_hook = kept(stacks[name], checkpointed)
    torch.testing.assert_close(torch.tensor(by_hand), torch.tensor(by_hook))
    print(f"{name:21} {'checkpointed' if checkpointed else 'as usual':13}{by_hook:7} bytes")

# %%
# The forward pass runs twice
# ---------------------------
# Counted in floating-point operations. A forward pass of the stack takes :math:`F`, a backward
# pass :math:`2F`, less the gradient that ``X`` does not need. With checkpoints exactly
# one :math:`F` is added to the backward pass, if every block is run again to its end.


def flops(stack, checkpointed, early_stop):
    """Floating-point operations of the forward and of the backward pass."""
    with set_checkpoint_early_stop(early_stop):
        with FlopCounterMode(display=False) as forward:
            loss = run(stack, checkpointed).sum()
        with FlopCounterMode(display=False) as backward:
            loss.backward()
    return torch.tensor([forward.get_total_flops(), backward.get_total_flops()])


for name, stack in stacks.items():
    plain = flops(stack, False, False)
    whole = flops(stack, True, False)
    torch.testing.assert_close(whole - plain, torch.tensor([0, plain[0]]))
    F = 2 * N * blocks * (D * D if name == "Linear, Tanh" else 2 * D * H)
    assert plain[0] == F
    print(f"{name:21} as usual {(plain / F).tolist()} F, checkpointed {(whole / F).tolist()} F")

# %%
# Or stops early
# --------------
# By default a block is left as soon as the last tensor that it had saved is there again. The tanh
# saves its result, so its block runs to the end. After the GELU nothing is saved that the last
# layer computes, and that layer, half of the work, is not run a second time.

for name, part in {"Linear, Tanh": 1, "Linear, GELU, Linear": 0.5}.items():
    extra = flops(stacks[name], True, True) - flops(stacks[name], False, True)
    F = flops(stacks[name], False, True)[0]
    assert extra[1] == part * F
    print(f"{name:21} {extra[1] / F:.1f} F added")

# %%
# The same gradients
# ------------------
# Recomputing gives the numbers that were there before, to the last bit, and so the gradients are
# equal without a tolerance.

for name, stack in stacks.items():
    parameters = [p for block in stack for p in block.parameters()]
    plain = torch.autograd.grad(run(stack, False).square().sum(), parameters)
    recomputed = torch.autograd.grad(run(stack, True).square().sum(), parameters)
    for one, other in zip(plain, recomputed, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
    print(f"{name:21} {len(plain)} gradients equal")

# %%
# A witness below autograd
# ------------------------
# The peak of a whole step is counted now, forward and backward. A dispatch mode sees every
# operation, also those of the second run, and keeps a weak reference to the storage of each tanh's
# result.


class Watch(TorchDispatchMode):
    """Counts the results of tanh made, and the most that were alive at one time."""

    def __init__(self):
        super().__init__()
        self.results, self.peak = [], 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        out = operation(*args, **(kwargs or {}))
        if operation is torch.ops.aten.tanh.default:
            self.results.append(weakref.ref(out.untyped_storage()))
        self.peak = max(self.peak, sum(result() is not None for result in self.results))
        return out


with Watch() as watch:
    torch.ones(2).tanh()
    torch.ones(2).tanh()
print(len(watch.results), "made,", watch.peak, "alive at one time")

# %%
# Segments of several layers
# --------------------------
# ``n`` layers of a product and a tanh, checkpointed in segments of ``k``. Between the passes the
# inputs of the segments are alive, :math:`n/k - 1` without the data. When a segment is run again,
# its ``k`` results join them:
#
# .. math:: \text{peak} = \frac nk - 1 + k

n = 36
weights = [torch.randn(D, D, requires_grad=True) for _ in range(n)]


def segment(h, *weights):
    for W in weights:
        h = (h @ W.T).tanh()
    return h


def step(k):
    """The most results alive at one time, and how many were made, in segments of k layers."""
    with Watch() as watch:
        h = X
        for start in range(0, n, k):
            h = checkpoint(segment, h, *weights[start : start + k], use_reentrant=False)
        loss = h.sum()
        del h
        loss.backward()
    return watch.peak, len(watch.results)


with Watch() as watch:
    segment(X, *weights).sum().backward()
usual = watch.peak, len(watch.results)
print("without checkpoints: peak", usual[0], "of", usual[1], "made")

# %%
# The rule of the root
# --------------------
# The sum of :math:`n/k` and :math:`k` is least where both are :math:`\sqrt n`. For each ``k``
# that divides ``n`` each result is made twice, as the last layer of a segment saves its own.

lengths = [k for k in range(1, n + 1) if n % k == 0]
peaks = {}
for k in lengths:
    peaks[k], made = step(k)
    torch.testing.assert_close(torch.tensor(n // k - 1 + k), torch.tensor(peaks[k]))
    assert made == 2 * n
print(peaks)
best = min(peaks, key=peaks.get)
assert best**2 == n
print("least for segments of", best)

# %%
# Drawn
# -----
# The line is the prediction for every ``k``, points are measured.

fig, axis = plt.subplots(figsize=(7, 3.2))
axis.plot(range(1, n + 1), [n / k - 1 + k for k in range(1, n + 1)], color="#56b4e9",
          label="n/k − 1 + k")  # fmt: skip
axis.plot(lengths, peaks.values(), "o", color="#0072b2", label="counted")
axis.axhline(usual[0], color="#d55e00", linestyle="--", label="without checkpoints")
axis.annotate(f"k = {best}: {peaks[best]}", (best, peaks[best]), (best, peaks[best] - 8),
              ha="center", color=grey)  # fmt: skip
axis.set(xlabel="layers in a segment, k", ylabel="tensors alive at the peak", ylim=(0, None))
axis.legend(frameon=False, loc="center right")
axis.spines[["top", "right"]].set_visible(False)
fig.tight_layout()
plt.show()

# %%
# Dropout gets its mask again
# ---------------------------
# The second run has to draw the same random numbers, so the state of the generator is kept and
# restored. Without that the output was computed with one mask and the gradient with another. With
# the loss a plain sum, the gradient *is* the mask, doubled as the output is.

ones = torch.ones(12, requires_grad=True)
for preserve in (True, False):
    torch.manual_seed(3)
    drop = nn.Dropout(0.5)
    y = checkpoint(drop, ones, use_reentrant=False, preserve_rng_state=preserve)
    (gradient,) = torch.autograd.grad(y.sum(), ones)
    assert torch.equal(y, gradient) == preserve
    print(f"preserve_rng_state={preserve}: gradient equals output: {torch.equal(y, gradient)}")

# %%
# What was seen
# -------------
# A checkpoint exchanges what a block keeps for the block's input, and one more run of what is
# needed of it. It pays where much is kept inside for little that goes in. For this chain the best
# segments have the length of the root, and segments of a single layer save nothing.
