r"""
What an operation saves, and why that is enough
===============================================

The rule for a gradient needs some values of the forward pass, and these are saved. So what is saved
can mostly be read off the rule: an addition keeps nothing, a product both factors, a tanh its
result. Below, a guess is written down for each of fourteen operations on a CPU, a hook looks at
what was saved, and then each gradient is computed by hand *from the saved tensors alone*. Look at
the operations that keep their result instead of their argument, and at ``x * 2``.
"""

# %%
# Names for storages
# ------------------
# The bytes of a tensor belong to its storage. Two tensors in one storage cost as much as one, so
# what is saved is told by naming storages. ``N`` rows of ``D`` numbers, 8 bytes each.

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch.autograd.graph import saved_tensors_hooks

grey = "#7a7a7a"  # readable on light and on dark
plt.rcParams.update({"figure.facecolor": "none", "axes.facecolor": "none", "text.color": grey,
                     "axes.labelcolor": grey, "axes.edgecolor": grey,
                     "xtick.color": grey, "ytick.color": grey})  # fmt: skip

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
N, D, K = 6, 5, 3


def random(*shape):
    return (torch.rand(*shape) + 0.1).requires_grad_()


x, y, row, W, bias = random(N, D), random(N, D), random(D), random(K, D), random(K)
c = torch.rand(N, D)  # a constant: it requires no gradient
data = {"x": x, "y": y, "row": row, "W": W, "bias": bias, "c": c}
print({name: t.untyped_storage().nbytes() for name, t in data.items()}, "bytes")

# %%
# The measurement
# ---------------
# A hook sees every tensor at the moment it is saved. Which storage it lies in tells whether it is
# one of the data, the operation's result, or something made for the purpose.


def watch(operation):
    """The result of operation, and for each storage saved its name and the tensors saved in it."""
    seen = []
    with saved_tensors_hooks(lambda t: seen.append(t) or t.detach(), lambda t: t):
        result = operation()
    names = {t.untyped_storage().data_ptr(): name for name, t in data.items()}
    names[result.untyped_storage().data_ptr()] = "result"
    saved = {}
    for t in seen:
        saved.setdefault(names.get(t.untyped_storage().data_ptr(), "new"), []).append(t)
    return result, saved


result, saved = watch(lambda: x * y)
print("x * y saved", *saved, "and is named", result.grad_fn.name())

# %%
# A guess from the derivative
# ---------------------------
# With a cotangent :math:`u` of the result :math:`r`, the rules are, entry by entry,
#
# .. math::
#
#    x + y:\ u, u \qquad xy:\ uy, ux \qquad e^x:\ ur \qquad \ln x:\ u/x \qquad
#    \tanh x:\ u(1 - r^2) \qquad x^2:\ 2ux
#
# and what stands in a rule besides :math:`u` has to be kept. Some rules are written with the
# result, and that is kept; that of the logarithm could be, as :math:`1/x = e^{-r}`, and is not.

guesses = {
    "x + y": (lambda: x + y, ""),
    "x * y": (lambda: x * y, "x y"),
    "x * c": (lambda: x * c, "c"),
    "x * row": (lambda: x * row, "x row"),
    "x ** 2": (lambda: x**2, "x"),
    "x / y": (lambda: x / y, "x y"),
    "x.log()": (lambda: x.log(), "x"),
    "x.exp()": (lambda: x.exp(), "result"),
    "x.tanh()": (lambda: x.tanh(), "result"),
    "x.sigmoid()": (lambda: x.sigmoid(), "result"),
    "(x - 0.5).relu()": (lambda: (x - 0.5).relu(), "result"),
    "x.softmax(1)": (lambda: x.softmax(1), "result"),
    "x.sum(1)": (lambda: x.sum(1), ""),
    "x @ W.T": (lambda: x @ W.T, "W x"),
}
print(len(guesses), "guesses")

# %%
# Guessed and measured
# --------------------
# The names must agree, and so must the bytes: each named storage counted once.

for text, (operation, guess) in guesses.items():
    result, saved = watch(operation)
    everything = {**data, "result": result}
    by_hand = sum(8 * everything[name].numel() for name in guess.split())
    by_hook = sum(tensors[0].untyped_storage().nbytes() for tensors in saved.values())
    assert sorted(guess.split()) == sorted(saved)
    torch.testing.assert_close(torch.tensor(by_hand), torch.tensor(by_hook))
    print(f"{text:17}{by_hook:4} bytes  {guess or '-'}")

# %%
# Enough for the gradient
# -----------------------
# Each gradient of ``x``, from what the node has saved and a cotangent ``u``.

u = {text: torch.randn_like(operation()) for text, (operation, _) in guesses.items()}
rules = {
    "x + y": lambda u, node: u,
    "x * y": lambda u, node: u * node._saved_other,
    "x * c": lambda u, node: u * node._saved_other,
    "x * row": lambda u, node: u * node._saved_other,
    "x ** 2": lambda u, node: 2 * u * node._saved_self,
    "x / y": lambda u, node: u / node._saved_other,
    "x.log()": lambda u, node: u / node._saved_self,
    "x.exp()": lambda u, node: u * node._saved_result,
    "x.tanh()": lambda u, node: u * (1 - node._saved_result**2),
    "x.sigmoid()": lambda u, node: u * node._saved_result * (1 - node._saved_result),
    "(x - 0.5).relu()": lambda u, node: u * (node._saved_result > 0),
    "x.softmax(1)": lambda u, node: (
        node._saved_result * (u - (u * node._saved_result).sum(1, keepdim=True))
    ),
    "x.sum(1)": lambda u, node: u[:, None].expand(node._saved_self_sym_sizes),
    "x @ W.T": lambda u, node: u @ node._saved_mat2.T,
}
by_rule, by_autograd = {}, {}
for text, (operation, _) in guesses.items():
    result = operation()
    with torch.no_grad():
        by_rule[text] = rules[text](u[text], result.grad_fn)
    (by_autograd[text],) = torch.autograd.grad(result, x, u[text])
# no hand-derived gradient: the rules are given what autograd saved
torch.testing.assert_close(list(by_rule.values()), list(by_autograd.values()))
print(len(by_rule), "gradients from saved tensors alone")

# %%
# The same storage, maybe another object
# --------------------------------------
# An argument comes back as the object that was saved. A result does not: its node would otherwise
# refer to the tensor that refers to the node, and neither would ever be freed. And a product saves
# its second factor as it got it, so a layer saves its weight as the transposed view.

r, z = x.exp(), x @ W.T
for text, saved, original in (
    ("argument of log", x.log().grad_fn._saved_self, x),
    ("result of exp", r.grad_fn._saved_result, r),
    ("W in x @ W.T", z.grad_fn._saved_mat2, W),
):
    same = saved.untyped_storage().data_ptr() == original.untyped_storage().data_ptr()
    assert same
    assert (saved is original) == (original is x)
    print(f"{text:16} same object: {saved is original!s:5} same storage: {same}  "
          f"strides {saved.stride()} of {original.stride()}")  # fmt: skip

# %%
# A number is saved too, out of sight
# -----------------------------------
# A Python number becomes a tensor without dimensions, which the node keeps. Hooks are not shown
# such a number, so a count made with hooks leaves its eight bytes out.

result, saved = watch(lambda: x * 2)
print("seen by the hook:", saved, " kept by the node:", result.grad_fn._saved_other)
assert not saved
assert result.grad_fn._saved_other == 2

# %%
# What needs no gradient, needs no rule
# -------------------------------------
# A linear layer saves its input for the gradient of the weight and its weight for the gradient of
# the input. Where one of the two is not asked for, its rule is not needed and neither is the
# tensor in it.

frozen = W.detach()
for text, operation in {
    "both train": lambda: F.linear(x, W, bias),
    "weight frozen": lambda: F.linear(x, frozen, bias),
    "input is data": lambda: F.linear(x.detach(), W, bias),
    "only the bias trains": lambda: F.linear(x.detach(), frozen, bias),
}.items():
    kept = set(watch(operation)[1])
    assert kept == {"both train": {"x", "W"}, "weight frozen": {"W"}, "input is data": {"x"}}.get(
        text, set()
    )
    print(f"{text:21}", *sorted(kept))

# %%
# Operations made of several
# --------------------------
# Cross-entropy is a log-softmax and a selection. The log-probabilities are saved by both, in one
# storage; the rest is the targets and the sum of the class weights. Layer normalization keeps its
# input and two numbers a row, the mean and :math:`1 / \sqrt{\sigma^2 + \varepsilon}`.

targets = torch.tensor([0, 1, 2, 0, 1, 3])
data |= {"targets": targets}
_, entropy = watch(lambda: F.cross_entropy(x, targets))
result, norm = watch(lambda: F.layer_norm(x, (D,)))
for text, saved in {"cross-entropy": entropy, "layer norm": norm}.items():
    tensors = [(name, tuple(t.shape)) for name, group in saved.items() for t in group]
    print(f"{text:14} {len(tensors)} tensors:", *tensors)
mean, rstd = result.grad_fn._saved_result1, result.grad_fn._saved_result2
torch.testing.assert_close(mean, x.detach().mean(1, keepdim=True))
variance = x.detach().var(1, keepdim=True, correction=0)
torch.testing.assert_close(rstd, 1 / (variance + 1e-5).sqrt())

# %%
# A network, and what its graph keeps
# -----------------------------------
# Two layers with a tanh between them, and a cross-entropy. Each box shows what its node saved. The
# result of the tanh is saved twice, by the tanh and by the product after it.

H = 4
W1, b1, W2, b2 = random(H, D), random(H), random(K, H), random(K)
X = torch.rand(N, D)
targets = torch.tensor([0, 1, 2, 0, 1, 2])
Z1 = F.linear(X, W1, b1)
h = Z1.tanh()
Z2 = F.linear(h, W2, b2)
loss = F.cross_entropy(Z2, targets)
loss.grad_fn

# %%
# A sum over nodes counts too much
# --------------------------------
# Added up node by node, what is saved twice is counted twice. By storage, the network keeps
#
# .. math::
#
#    8\,\bigl(\underbrace{ND}_{X} + \underbrace{NH}_{h} + \underbrace{KH}_{W_2}
#    + \underbrace{NK}_{\text{log-prob.}} + \underbrace{N}_{\text{targets}}
#    + \underbrace{1}_{\text{weight}}\bigr) \text{ bytes.}

kept = []
with saved_tensors_hooks(lambda t: kept.append(t.detach()), lambda t: t):
    loss = F.cross_entropy(F.linear(F.linear(X, W1, b1).tanh(), W2, b2), targets)
by_tensor = sum(t.numel() * t.element_size() for t in kept)
storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in kept}
by_hand = 8 * (N * D + N * H + K * H + N * K + N + 1)
torch.testing.assert_close(torch.tensor(by_hand), torch.tensor(sum(storages.values())))
print(by_tensor, "bytes in", len(kept), "tensors")
print(by_hand, "bytes in", len(storages), "storages")

# %%
# The two counts, drawn
# ---------------------
# A block is a saved tensor. In the second bar those in a storage that was counted already are left
# out: the result of the tanh, and the log-probabilities.

names = {X.data_ptr(): "X", W2.data_ptr(): "W2", targets.data_ptr(): "targets"}
sizes = {8 * N * H: "h", 8 * N * K: "log-prob.", 8: "class weight"}
colors = {"X": "#b0b0b0", "W2": "#cccccc", "targets": "#999999", "h": "#0072b2",
          "log-prob.": "#e69f00", "class weight": "#cc79a7"}  # fmt: skip
fig, axis = plt.subplots(figsize=(7, 2.4))
left, counted = [0, 0], set()
for t in kept:
    size = t.untyped_storage().nbytes()
    name = names.get(t.data_ptr()) or sizes[size]
    for bar in (0, 1) if t.data_ptr() not in counted else (0,):
        label = name if bar == 1 else None
        axis.barh(bar, size, left=left[bar], color=colors[name], edgecolor="white", label=label)
        left[bar] += size
    counted.add(t.data_ptr())
assert left == [by_tensor, by_hand]
axis.set_yticks([0, 1], ["each tensor", "each storage"])
axis.invert_yaxis()
axis.set(xlabel="saved for backward (bytes)")
fig.legend(frameon=False, ncol=6, loc="upper center", fontsize=8)
axis.spines[["top", "right"]].set_visible(False)
fig.tight_layout(rect=(0, 0, 1, 0.9))
plt.show()

# %%
# What was seen
# -------------
# What these operations save is what their rules are written with: nothing where the derivative is
# constant, else an argument, or the result where the rule is written with the result. The saved
# tensors share storages with the data, with results and with each other, so bytes are counted by
# storage.
