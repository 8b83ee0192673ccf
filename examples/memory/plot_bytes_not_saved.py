r"""
What not recording saves, in bytes
==================================

Not recording saves the memory of the tensors a graph would have kept, and of its nodes. How much
that is can be written down before anything runs. Here it is, for a small network and for two
chains: a formula in the sizes of the layers, then a measurement that counts each storage once, and
the two must agree to the byte. Look at the bars of the frozen layers: freezing the first layer of
a network saves nothing that matters, and a chain of additions saves nothing to begin with.
"""

# %%
# Three layers, all sizes different
# ---------------------------------
# ``N`` examples, layers from ``D`` over ``H1`` and ``H2`` to ``K``, without biases, with a tanh
# after the first two and a mean-squared loss. Numbers are ``float64``, so 8 bytes each.

# no hand-derived gradient: what is predicted by hand here are bytes

from contextlib import nullcontext

import matplotlib.pyplot as plt
import torch
from torch.utils.flop_counter import FlopCounterMode

grey = "#7a7a7a"  # readable on light and on dark
plt.rcParams.update({"figure.facecolor": "none", "axes.facecolor": "none", "text.color": grey,
                     "axes.labelcolor": grey, "axes.edgecolor": grey,
                     "xtick.color": grey, "ytick.color": grey})  # fmt: skip

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
N, D, H1, H2, K = 64, 20, 48, 32, 6
X, T = torch.randn(N, D), torch.randn(N, K)
sizes = {"X": N * D, "W1": H1 * D, "h1": N * H1, "W2": H2 * H1, "h2": N * H2, "W3": K * H2,
         "y": N * K, "T": N * K}  # fmt: skip
sizes = {name: 8 * count for name, count in sizes.items()}
print(*(f"{name} {size}" for name, size in sizes.items()), "bytes")

# %%
# What each operation saves
# -------------------------
# A product :math:`hW^\top` saves :math:`h` for the gradient of :math:`W`, and :math:`W` for the
# gradient of :math:`h`, each only if that gradient will be asked for. A tanh saves its result, if
# its input needs a gradient, and that is the same storage as the next product's ``h``. The loss
# saves both its arguments. Written with the sizes, an ordinary run keeps
#
# .. math::
#
#    8\,\bigl( \underbrace{ND}_{X} + \underbrace{NH_1}_{h_1} + \underbrace{H_2H_1}_{W_2}
#    + \underbrace{NH_2}_{h_2} + \underbrace{KH_2}_{W_3} + \underbrace{2NK}_{y,\,T} \bigr)
#
# bytes. ``W1`` is missing, since ``X`` needs no gradient.


def predicted(trains, cut=False):
    """Names of what is kept, if the weights of the layers in trains are trained."""
    if not trains:
        return set()
    first = min(trains)  # after this layer activations need a gradient
    kept = {{1: "X", 2: "h1", 3: "h2"}[layer] for layer in trains}  # for gradients of weights
    kept |= {f"W{layer}" for layer in (2, 3) if layer > first}  # for gradients of inputs
    kept |= {f"h{layer}" for layer in (1, 2) if layer >= first}  # results of tanh
    return kept if cut else kept | {"y", "T"}


usual = predicted({1, 2, 3})
print(*sorted(usual), "take", sum(sizes[name] for name in usual), "bytes")

# %%
# The measurement
# ---------------
# A hook sees every tensor at the moment it is saved. What it notes is the storage, so that a
# weight saved as its own transpose, or an activation saved by two nodes, counts once.


def measured(forward, *arguments):
    """Bytes of each storage saved while forward runs, under the storage's address."""
    saved, alive = {}, []

    def pack(t):
        alive.append(t.detach())  # so that no address is given out twice
        saved[t.untyped_storage().data_ptr()] = t.untyped_storage().nbytes()
        return t.detach()

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        forward(*arguments)
    return saved


net = torch.nn.Sequential(
    torch.nn.Linear(D, H1, bias=False), torch.nn.Tanh(),
    torch.nn.Linear(H1, H2, bias=False), torch.nn.Tanh(),
    torch.nn.Linear(H2, K, bias=False),
)  # fmt: skip


def forward(cut=False):
    y = net(X)
    return torch.nn.functional.mse_loss(y.detach() if cut else y, T)


print("as usual:", sum(measured(forward).values()), "bytes")

# %%
# The ways
# --------
# For each: the layers that train, the mode, and whether the network's result is detached, as one
# does to keep a loss from training it.

everything = {1, 2, 3}
ways = {
    "as usual": (everything, nullcontext, False),
    "eval()": (everything, nullcontext, False),
    "detach() the result": (everything, nullcontext, True),
    "freeze layer 1": ({2, 3}, nullcontext, False),
    "freeze layer 2": ({1, 3}, nullcontext, False),
    "freeze layer 3": ({1, 2}, nullcontext, False),
    "freeze layers 1, 2": ({3}, nullcontext, False),
    "freeze all": (set(), nullcontext, False),
    "no_grad()": (everything, torch.no_grad, False),
    "inference_mode()": (everything, torch.inference_mode, False),
}
print(len(ways), "ways")

# %%
# Two numbers for each
# --------------------
# All that is saved, and what nothing else would keep, which leaves out the data and the weights:
# from the names of what is predicted, and from the storages of what was measured.

others = {t.untyped_storage().data_ptr() for t in (X, T, *net.parameters())}


def from_names(kept):
    sets = kept, kept & {"h1", "h2", "y"}
    return torch.tensor([sum(sizes[name] for name in names) for names in sets])


def from_storages(saved):
    new = sum(size for address, size in saved.items() if address not in others)
    return torch.tensor([sum(saved.values()), new])


print("as usual:", *from_names(usual).tolist(), "bytes")

# %%
# Predicted and measured
# ----------------------
# Both numbers agree in each row, to the byte.

table = {}
for way, (trains, mode, cut) in ways.items():
    net.train(way != "eval()")
    for number in everything:
        net[2 * number - 2].requires_grad_(number in trains)
    kept = predicted(trains, cut) if mode is nullcontext else set()
    with mode():
        saved = measured(forward, cut)
    by_hand, by_hook = from_names(kept), from_storages(saved)
    torch.testing.assert_close(by_hand, by_hook)
    table[way] = {name: sizes[name] for name in sizes if name in kept}
    print(f"{way:20}{by_hook[0]:6} bytes, new {by_hook[1]:5}:  {' '.join(table[way]) or '-'}")

# %%
# What would be saved, drawn
# --------------------------
# Grey is the data and the weights: a graph refers to them and costs nothing there. Colour is what
# exists for the backward pass alone.

colors = {"h1": "#0072b2", "h2": "#56b4e9", "y": "#e69f00"}
order = ["h1", "h2", "y", "W2", "W3", "X", "T"]
fig, axis = plt.subplots(figsize=(7, 3.5))
left = dict.fromkeys(table, 0)
for name in order:
    widths = [table[way].get(name, 0) / 1024 for way in table]
    label = name if name in colors else {"W2": "weights and data"}.get(name)
    axis.barh(list(table), widths, left=list(left.values()), color=colors.get(name, "#b0b0b0"),
              label=label)  # fmt: skip
    left = {way: left[way] + width for way, width in zip(table, widths)}
axis.invert_yaxis()
axis.set(xlabel="saved for backward (KiB)")
axis.legend(frameon=False, loc="lower right")
axis.spines[["top", "right"]].set_visible(False)
fig.tight_layout()
plt.show()

# %%
# Two chains
# ----------
# Twenty sines in a row save the twenty inputs, all of one size; twenty additions of 1 record
# twenty nodes and save nothing. Switching recording off has nothing to save there but the nodes.


def chain(operation, length=20):
    y = start
    for _ in range(length):
        y = operation(y)
    return y


def nodes_behind(y):
    count, node = 0, y.grad_fn
    while node is not None and node.next_functions:
        count, node = count + 1, node.next_functions[0][0]
    return count


start = torch.randn(300, requires_grad=True)
for text, operation, by_hand in (
    ("sin(y)", torch.sin, 20 * 300 * 8),
    ("y + 1", lambda y: y + 1, 0),
):
    for mode in (nullcontext, torch.no_grad):
        with mode():
            total = sum(measured(chain, operation).values())
            nodes = nodes_behind(chain(operation))
        assert total == (by_hand if mode is nullcontext else 0)
        name = "as usual" if mode is nullcontext else mode.__name__
        print(f"{text:7} {name:9} {nodes:2} nodes, {total:6} bytes saved")

# %%
# The arithmetic is the same
# --------------------------
# A product of an ``N`` by ``D`` and a ``D`` by ``H1`` matrix takes :math:`2NDH_1` floating-point
# operations, recorded or not. What a mode can save in time is the bookkeeping of each operation,
# and that does not grow with the size of the tensors.

flops = 2 * N * (D * H1 + H1 * H2 + H2 * K)
for mode in (nullcontext, torch.no_grad, torch.inference_mode):
    with FlopCounterMode(display=False) as counter, mode():
        net(X)
    assert counter.get_total_flops() == flops
    name = "as usual" if mode is nullcontext else mode.__name__
    print(f"{name:14} {counter.get_total_flops()} floating-point operations")

# %%
# What was seen
# -------------
# The prediction held to the byte. ``eval()`` saved what training saves, and a cut after
# the network came when all was saved. Here a tanh and the next product save one activation, and
# freezing frees it only if nothing before it and not the layer after it trains: so it pays from the
# first layer on, without a gap.
