r"""
One line of code, how many nodes
================================

A node is recorded for each operation, and an operation is not the same as a line. Some lines
record nothing, though what they start from requires a gradient. Some record one node for a whole
formula, and some a dozen for what looks like one call. The lists below are made by running each
line, counting the nodes recorded meanwhile, and walking the graph behind its result. Then one
formula, a softmax, is recorded in two ways and both are met by hand. Look at the line that records
a node and throws it away, and at what the two graphs save.
"""

# %%
# The nodes behind a result
# -------------------------
# Each node once, whatever number of edges lead to it. The ``AccumulateGrad`` of a leaf belongs to
# no line and is left out.

import torch
import torch.nn.functional as F

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
N, D, K = 2, 3, 4
x = torch.rand(N, D, requires_grad=True)
w, b = torch.randn(K, D, requires_grad=True), torch.randn(K, requires_grad=True)


def recorded(tensor):
    """The names of the nodes behind a tensor, its own first."""
    nodes = [] if tensor.grad_fn is None else [tensor.grad_fn]
    for node in nodes:  # the list grows while it is read
        for child, _ in node.next_functions:
            if child is not None and child not in nodes:
                nodes.append(child)
    return [node.name() for node in nodes if not node.name().endswith("AccumulateGrad")]


def counted(function):
    """What a line returns, and how many numbers for nodes were handed out while it ran."""
    before = (x + 0).grad_fn._sequence_nr()
    result = function()
    return result, (x + 0).grad_fn._sequence_nr() - before - 1


print("(x * x).sum() records", *recorded((x * x).sum()))
assert counted(lambda: (x * x).sum())[1] == 2

# %%
# Lines that record nothing
# -------------------------
# Either the result has no derivative, or there was nothing to do and the same tensor came back, or
# the line cuts what it returns from its history.

nothing = {
    "x > 0": lambda: x > 0, "x.argmax()": lambda: x.argmax(), "x.long()": lambda: x.long(),
    "torch.zeros_like(x)": lambda: torch.zeros_like(x), "x.contiguous()": lambda: x.contiguous(),
    "x.double()": lambda: x.double(), "+x": lambda: +x, "x.detach()": lambda: x.detach(),
    "F.dropout(x, training=False)": lambda: F.dropout(x, training=False),
}  # fmt: skip
for line, function in nothing.items():
    result, number = counted(function)
    assert (number, recorded(result)) == (0, [])
    print(f"{line:30}requires a gradient: {result.requires_grad!s:6} is x: {result is x}")

# %%
# Recorded, and thrown away
# -------------------------
# The indices of a sort have no derivative, and its values do. One operation makes both, so a node
# is recorded; who keeps the indices alone drops it. Looking at the result one would not know.

thrown_away = {
    "x.sort().indices": lambda: x.sort().indices, "x.topk(1).indices": lambda: x.topk(1).indices,
    "x.max(0).indices": lambda: x.max(0).indices, "x.argsort()": lambda: x.argsort(),
}  # fmt: skip
for line, function in thrown_away.items():
    result, number = counted(function)
    assert (number, recorded(result)) == (1, [])
    print(f"{line:30}nodes recorded: {number}, behind the result: {len(recorded(result))}")

# %%
# Lines that record one node
# --------------------------
# Views move no data and are recorded all the same: their rule says where the gradient goes. The
# digit at the end of these names tells overloads apart. Three kinds of power have three
# derivatives.

one = {
    "x.T": x.T, "x[0]": x[0], "x.view(6)": x.view(6), "x.expand(5, 2, 3)": x.expand(5, 2, 3),
    "x.sum()": x.sum(), "x.sum(0)": x.sum(0), "x**2": x**2, "x**x": x**x, "2**x": 2**x,
    "x.round()": x.round(), "x * 0": x * 0, "x.std()": x.std(),
    "F.layer_norm(x, (3,))": F.layer_norm(x, (3,)),
}  # fmt: skip
for line, result in one.items():
    (name,) = recorded(result)
    print(f"{line:23}{name}")
assert recorded(one["x.sum()"]) == ["SumBackward0"]
assert recorded(one["x.sum(0)"]) == ["SumBackward1"]

# %%
# Lines that record several
# -------------------------
# Written as one call, done as several operations. Which, is up to the version of PyTorch.

several = {
    "x[0, 1]": x[0, 1], "x.T.reshape(6)": x.T.reshape(6), "x @ w.T + b": x @ w.T + b,
    "F.linear(x, w, b)": F.linear(x, w, b),
    "F.cross_entropy(x, labels)": F.cross_entropy(x, torch.tensor([0, 2])),
    "torch.einsum('nd,kd->nk', x, w)": torch.einsum("nd,kd->nk", x, w),
}  # fmt: skip
for line, result in several.items():
    names = recorded(result)
    assert len(names) > 1
    print(f"{line:32}{len(names):3}", *(names if len(names) < 4 else [*names[:3], "..."]))

# %%
# Three powers, three derivatives
# -------------------------------
# :math:`x^2` has the derivative :math:`2x`, :math:`2^x` has :math:`2^x \ln 2`, and :math:`x^x` has
# a term for each of the two places of :math:`x`, the base and the exponent.

values = x.detach()
by_hand = {
    "x**2": 2 * values,
    "2**x": 2**values * torch.tensor(2.0).log(),
    "x**x": values * values ** (values - 1) + values**values * values.log(),
}
grads = {line: torch.autograd.grad(one[line].sum(), x)[0] for line in by_hand}
torch.testing.assert_close(by_hand, grads)  # by hand, autograd
print("slopes of x**x", grads["x**x"][0])

# %%
# A softmax in one operation
# --------------------------
# The loss weights the entries of :math:`s` with numbers ``u`` that are all different.

u = torch.randn(N, D)
fused = (x.softmax(1) * u).sum()
fused.grad_fn

# %%
# The same softmax, spelled out
# -----------------------------
# Written with the exponential twice, as one might copy it from a formula.

spelled = (x.exp() / x.exp().sum(1, keepdim=True) * u).sum()
spelled.grad_fn

# %%
# Two graphs, one derivative
# --------------------------
# Raising :math:`x_j` raises :math:`s_j` and lowers all of its row, so
#
# .. math:: \bar{x}_{nj} = s_{nj} \Bigl(u_{nj} - \sum_i s_{ni}\, u_{ni}\Bigr) .

s = values.exp() / values.exp().sum(1, keepdim=True)
dx = s * (u - (s * u).sum(1, keepdim=True))
torch.testing.assert_close(
    {"fused": dx, "spelled out": dx},  # by hand
    {
        "fused": torch.autograd.grad(fused, x, retain_graph=True)[0],
        "spelled out": torch.autograd.grad(spelled, x, retain_graph=True)[0],
    },  # autograd
)
print("gradient of the first row", dx[0])

# %%
# What each of them saves
# -----------------------
# Bytes of the storages that the nodes' saved tensors occupy, each storage counted once. ``u`` is
# among them in both.


def saved_bytes(forward):
    storages = {}

    def pack(tensor):
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = forward()
    return len(recorded(result)), sum(storage.nbytes() for storage in storages.values())


sizes = {}
for name, forward in {
    "fused": lambda: (x.softmax(1) * u).sum(),
    "spelled out": lambda: (x.exp() / x.exp().sum(1, keepdim=True) * u).sum(),
}.items():
    nodes, size = saved_bytes(forward)
    sizes[name] = size
    print(f"{name:12}{nodes} nodes, {size} bytes saved")
assert sizes["fused"] < sizes["spelled out"]

# %%
# What was seen
# -------------
# The graph records operations that ran, and neither lines nor formulas, and a result does not show
# all that was recorded. The fused softmax is one node with a rule of its own: it saves what that
# rule needs and no intermediate.
