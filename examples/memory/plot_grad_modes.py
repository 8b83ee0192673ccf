r"""
Ways not to record, asked the same questions
============================================

``no_grad``, ``inference_mode``, ``detach``, ``requires_grad_(False)`` and ``eval`` are often taken
for each other. Here one block of a small network runs under each of them, with a trainable tensor
before the block and another after it, and the same nine questions are put to what comes out: was
a node recorded, what was saved, may the result be changed, how far does the gradient get. The
table is made of the answers. Look at its last two columns, and at the row of ``eval()``.
"""

# %%
# A block in the middle
# ---------------------
# ``p`` scales the inputs, the block multiplies by ``W`` and takes a tanh, and ``v`` weights what
# comes out. All three require a gradient. Only the block will run under the modes; what is before
# it and after it is recorded as usual.

from contextlib import nullcontext

import matplotlib.pyplot as plt
import torch

grey = "#7a7a7a"  # readable on light and on dark
plt.rcParams.update({"figure.facecolor": "none", "axes.facecolor": "none", "text.color": grey,
                     "xtick.color": grey, "ytick.color": grey})  # fmt: skip

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
N, D, H = 5, 4, 3
X = torch.randn(N, D)
start = {"p": torch.randn(D), "W": torch.randn(H, D), "v": torch.randn(N, H)}
block = torch.nn.Sequential(torch.nn.Linear(D, H, bias=False), torch.nn.Tanh())
print({name: tuple(value.shape) for name, value in start.items()})

# %%
# The gradients by hand
# ---------------------
# With :math:`A_n = X_n \odot p` for each row, :math:`h = \tanh(AW^\top)` and :math:`L = \sum h
# \odot v`:
#
# .. math::
#
#    \bar{v} = h \qquad
#    \bar{Z} = v \odot (1 - h \odot h) \qquad
#    \bar{W} = \bar{Z}^\top A \qquad
#    \bar{p} = \sum_n (\bar{Z} W)_n \odot X_n
#
# No mode changes these numbers. A mode decides which of them are computed.

p, W, v = start.values()
A = X * p
h = (A @ W.T).tanh()
dv = h
dZ = v * (1 - h * h)
dW = dZ.T @ A
dp = ((dZ @ W) * X).sum(0)
by_hand = {"p": dp, "W": dW, "v": dv}
print({name: tuple(gradient.shape) for name, gradient in by_hand.items()})

# %%
# Six ways to run the block
# -------------------------
# Each is three things: what is set on the block, the mode it runs in, and what is done to its
# result.


def nothing(thing):
    return thing


ways = {
    "as usual": (nothing, nullcontext, nothing),
    "no_grad()": (nothing, torch.no_grad, nothing),
    "inference_mode()": (nothing, torch.inference_mode, nothing),
    "detach()": (nothing, nullcontext, torch.Tensor.detach),
    "requires_grad_(False)": (lambda block: block.requires_grad_(False), nullcontext, nothing),
    "eval()": (torch.nn.Module.eval, nullcontext, nothing),
}
print(*ways, sep="\n")

# %%
# One run
# -------
# Every run starts from fresh leaves. The block can be watched by a hook that sees each tensor
# saved in it and notes its storage, so that two tensors in one storage count once.


def run(way, watch=nullcontext):
    """Run the block one way: its output y, the leaves, and the mode it ran in."""
    prepare, mode, finish = ways[way]
    leaves = {name: torch.nn.Parameter(value.clone()) for name, value in start.items()}
    block[0].weight = leaves["W"]
    prepare(block.train())
    A = X * leaves["p"]
    with watch(), mode():
        y = finish(block(A))
    return y, leaves, mode


def saved_bytes(way):
    saved = {}

    def pack(t):
        saved[t.untyped_storage().data_ptr()] = t.untyped_storage().nbytes()
        return t.detach()

    run(way, lambda: torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t))
    return sum(saved.values())


print("saved in the block:", saved_bytes("as usual"), "bytes")
print("A, W and h hold:   ", 8 * (N * D + H * D + N * H), "bytes")

# %%
# Questions that need a trial
# ---------------------------
# May ``y`` be changed in place, and is the change caught by the pass? May ``W`` be changed inside
# the mode? Does a loss that multiplies by ``y``, and so has to save it, accept it? And which
# leaves does its pass reach?


def attempt(action, failure="raises"):
    try:
        action()
    except RuntimeError:
        return failure
    return "yes"


def change_result(way):
    y, leaves, _ = run(way)
    if attempt(lambda: y.add_(1)) == "raises":
        return "raises"
    return attempt(lambda: (y * leaves["v"]).sum().backward(), "caught")


def change_weight(way):
    _, leaves, mode = run(way)
    with mode():
        return attempt(lambda: leaves["W"].add_(1))


def use(way):
    y, leaves, _ = run(way)
    return attempt(lambda: (y * leaves["v"]).sum())


def gradients(way):
    y, leaves, _ = run(way)
    attempt(lambda: (y * leaves["v"]).sum().backward())
    return {name: leaf.grad for name, leaf in leaves.items() if leaf.grad is not None}


print("a trial, as usual:", change_result("as usual"))

# %%
# Nine questions
# --------------
# Short names for the columns: "grad" is ``requires_grad``, "bytes" is what was saved in the block,
# "version" asks for a version counter. Every question gets a run of its own, since some of them
# spoil the result. The gradients that arrive are kept for comparison.

questions = {
    "node": lambda way: run(way)[0].grad_fn is not None,
    "grad": lambda way: run(way)[0].requires_grad,
    "leaf": lambda way: run(way)[0].is_leaf,
    "bytes": saved_bytes,
    "version": lambda way: attempt(lambda: run(way)[0]._version, "no"),
    "y.add_": change_result,
    "W.add_": change_weight,
    "loss": use,
    "reaches": lambda way: " ".join(gradients(way)) or "-",
}
answers = {way: [ask(way) for ask in questions.values()] for way in ways}
arrived = {way: gradients(way) for way in ways}
print(len(answers) * len(questions), "questions asked")

# %%
# torch.func.grad and the modes
# -----------------------------
# :func:`torch.func.grad` turns recording on for the function it differentiates, whatever the mode
# around it, and a mode inside the function still counts. What is not reached has a gradient of
# zeros here. Three of the questions are asked of ``y`` inside the function.


def run_func(outer, inner):
    """The answers for y inside the differentiated function, and the gradients not all zero."""
    seen = {}

    def loss(p, W, v):
        A = X * p
        with inner():
            y = torch.func.functional_call(block, {"0.weight": W}, (A,))
        seen.update(node=y.grad_fn is not None, grad=y.requires_grad, leaf=y.is_leaf)
        return (y * v).sum()

    with outer():
        results = torch.func.grad(loss, argnums=(0, 1, 2))(*start.values())
    found = {name: result for name, result in zip(start, results) if result.any()}
    return [*seen.values(), "", "", "", "", "", " ".join(found)], found


func_ways = {
    "func.grad in no_grad()": (torch.no_grad, nullcontext),
    "no_grad() in func.grad": (nullcontext, torch.no_grad),
}
for way, modes in func_ways.items():
    answers[way], arrived[way] = run_func(*modes)
    print(f"{way:22} reaches {answers[way][-1]}")

# %%
# The truth table
# ---------------
# Made of the answers, nothing typed. ``-`` stands where there is no pass, and the two last rows
# were not asked everything. Of the first six rows only those of an ordinary run and of ``eval()``
# are the same.

words = {True: "yes", False: "no"}
table = {
    way: [words[a] if isinstance(a, bool) else str(a) for a in row] for way, row in answers.items()
}
assert table["eval()"] == table["as usual"]
assert len({tuple(table[way]) for way in ways}) == len(ways) - 1
widths = [4, 4, 4, 5, 7, 6, 6, 6, 7]
for way, row in {"": list(questions), **table}.items():
    print(f"{way:22}", *(f"{answer:>{width}}" for answer, width in zip(row, widths)))

# %%
# The table as a picture
# ----------------------
# Blue is what an ordinary recorded run answers, amber is another answer, and purple an exception.

colors = {"usual": "#56b4e9", "other": "#e69f00", "raises": "#cc79a7", "": "none"}
labels = {"grad": "requires\ngrad", "bytes": "saved\nbytes", "version": "version\ncounter",
          "loss": "in a\nloss"}  # fmt: skip
fig, axis = plt.subplots(figsize=(6.2, 3.7))
for i, row in enumerate(table.values()):
    for j, answer in enumerate(row):
        kind = "usual" if answer == table["as usual"][j] else "other"
        kind = answer if answer in ("raises", "") else "raises" if answer == "-" else kind
        axis.add_patch(plt.Rectangle((j + 0.03, i + 0.06), 0.94, 0.88, color=colors[kind], lw=0))
        axis.text(j + 0.5, i + 0.5, answer, ha="center", va="center", fontsize=8.5, color="black")
axis.set(xlim=(0, len(questions)), ylim=(len(table), 0))
axis.set_xticks([j + 0.5 for j in range(len(questions))],
                [labels.get(head, head) for head in questions], fontsize=8)  # fmt: skip
axis.set_yticks([i + 0.5 for i in range(len(table))], table, fontsize=9, family="monospace")
axis.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
axis.spines[:].set_visible(False)
fig.tight_layout()
plt.show()

# %%
# What arrives is right, or does not arrive
# -----------------------------------------
# Every gradient that was delivered, in every mode, against the derivation above. Each leaf has one
# path to the loss here, so a cut path leaves nothing, mostly without a word. A leaf with two paths
# would be left with a part of its gradient.

for way, found in arrived.items():
    missing = [name for name in start if name not in found]
    print(f"{way:22} right: {' '.join(found) or '-':6} not there: {' '.join(missing) or '-'}")
arrived = {f"{way}: {name}": g for way, found in arrived.items() for name, g in found.items()}
torch.testing.assert_close(
    {text: by_hand[text.split(": ")[1]] for text in arrived},  # by hand
    arrived,  # autograd
)

# %%
# What was seen
# -------------
# ``eval()`` gave the row of an ordinary run. ``no_grad`` and ``detach`` gave the same tensor, and
# differ in what was saved for it. Inference mode refuses what the others allow. Of the five, only
# ``requires_grad_(False)`` stopped at the block's own weight and let the gradient through to ``p``.
