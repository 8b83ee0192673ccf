r"""
Every gradient of a two-layer MLP, by hand
==========================================

Two linear layers, a tanh between them and a mean-squared loss: ten operations, written one to a
line so that each intermediate has a name. The gradient of every one of them is derived here with
pencil and paper, from the loss back to the parameters, and compared with what autograd computes.
Batch, inputs, hidden units and outputs all have different sizes, so a transpose in the wrong
place cannot pass. Look at the shape table, then at the order in which the nodes ran.
"""

# %%
# Data and parameters
# -------------------
# ``N`` examples with ``D`` inputs each, ``H`` hidden units, ``K`` outputs. Weights have the
# layout of :class:`torch.nn.Linear`, outputs by inputs. ``X`` requires a gradient too, which data
# rarely do: here it shows what flows out at the far end.

import torch

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
N, D, H, K = 5, 4, 3, 2
W1, b1 = torch.randn(H, D, requires_grad=True), torch.randn(H, requires_grad=True)
W2, b2 = torch.randn(K, H, requires_grad=True), torch.randn(K, requires_grad=True)
X, T = torch.randn(N, D, requires_grad=True), torch.randn(N, K)
print("X", tuple(X.shape), "W1", tuple(W1.shape), "W2", tuple(W2.shape), "T", tuple(T.shape))

# %%
# Forward, one operation to a line
# --------------------------------
# Each line records one node. The target ``T`` requires no gradient, so nothing is recorded for
# it.

W1t = W1.T  # (D, H)
p1 = X @ W1t  # (N, H)
z = p1 + b1  # (N, H), b1 is broadcast over the batch
h = z.tanh()  # (N, H)
W2t = W2.T  # (H, K)
p2 = h @ W2t  # (N, K)
y = p2 + b2  # (N, K), b2 is broadcast over the batch
r = y - T  # (N, K)
s = r**2  # (N, K)
loss = s.mean()  # ()
print("loss has shape", tuple(loss.shape), "and was made by", loss.grad_fn.name())

# %%
# What was recorded
# -----------------
# No backward pass has run yet, and the whole graph is there: one node for each of the ten lines,
# and one ``AccumulateGrad`` for each of the five tensors that require a gradient.

loss.grad_fn

# %%
# The gradients by hand
# ---------------------
# A bar marks the gradient of the loss with respect to what is under it, and has the same shape.
# The mean hands :math:`1/NK` to each element, so :math:`\bar{s}_{nk} = 1/NK`; the square
# gives :math:`\bar{r} = 2\,r \odot \bar{s}`; subtracting a constant and adding two terms change
# nothing, so :math:`\bar{y} = \bar{p}_2 = \bar{r}`. A broadcast bias is used once for each
# example, so its gradient is a sum over the batch. A product :math:`p = hA` gives :math:`\bar{h}
# = \bar{p}A^\top` and :math:`\bar{A} = h^\top\bar{p}`, and a transpose is transposed back.
# Finally :math:`\tanh' = 1 - \tanh^2`:
#
# .. math::
#
#    \bar{b}_2 = \sum_n \bar{y}_n \quad (K) \qquad
#    \bar{W}_2 = (h^\top \bar{y})^\top \quad (K, H) \qquad
#    \bar{h} = \bar{y}\, W_2 \quad (N, H)
#
#    \bar{z} = \bar{h} \odot (1 - h \odot h) \quad (N, H) \qquad
#    \bar{b}_1 = \sum_n \bar{z}_n \quad (H)
#
#    \bar{W}_1 = (X^\top \bar{z})^\top \quad (H, D) \qquad
#    \bar{X} = \bar{z}\, W_1 \quad (N, D)

with torch.no_grad():
    ds = torch.full((N, K), 1 / (N * K))
    dr = 2 * r * ds
    dy = dp2 = dr
    db2 = dy.sum(0)
    dW2t, dh = h.T @ dp2, dp2 @ W2
    dW2 = dW2t.T
    dz = dp1 = dh * (1 - h * h)
    db1 = dz.sum(0)
    dW1t, dX = X.T @ dp1, dp1 @ W1
    dW1 = dW1t.T
print("dW1", tuple(dW1.shape), "db1", tuple(db1.shape), "dX", tuple(dX.shape))

# %%
# Watch the nodes run
# -------------------
# A pre-hook on every node writes down the node's name when its turn comes. The hooks hold names
# and not nodes, and are removed after the pass.

order, handles = [], []


def watch(root):
    nodes = [root]
    for node in nodes:  # the list grows while it is read; in this graph no node is met twice
        name = node.name().removeprefix("torch::autograd::")
        name += f" {tuple(node.variable.shape)}" if hasattr(node, "variable") else ""
        handles.append(node.register_prehook(lambda grads, name=name: order.append(name)))
        nodes += [child for child, _ in node.next_functions if child is not None]


watch(loss.grad_fn)
print(len(handles), "nodes are watched")

# %%
# The order in which they ran
# ---------------------------
# ``retain_graph=True`` is for later, when this same graph runs again;
# :meth:`torch.Tensor.retain_grad` keeps the gradients of the intermediates. For the node that
# accumulates a leaf's gradient the shape of the leaf is shown.

intermediates = {
    "s": s, "r": r, "y": y, "p2": p2, "W2t": W2t, "h": h, "z": z, "p1": p1, "W1t": W1t
}  # fmt: skip
for name in intermediates:
    intermediates[name].retain_grad()
loss.backward(retain_graph=True)
for handle in handles:
    handle.remove()
done = [order.index(f"AccumulateGrad {shape}") for shape in ((2,), (2, 3))]
assert max(done) < order.index("TanhBackward0")
assert order[:2] == ["MeanBackward0", "PowBackward0"]
print("\n".join(f"{step:2d} {name}" for step, name in enumerate(order)))

# %%
# Parameters and data: by hand against autograd
# ---------------------------------------------
# Every gradient has the shape of its tensor, and every value agrees.

torch.testing.assert_close(
    {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2, "X": dX},  # by hand
    {"W1": W1.grad, "b1": b1.grad, "W2": W2.grad, "b2": b2.grad, "X": X.grad},  # autograd
)
print("W2.grad", W2.grad, sep="\n")

# %%
# Intermediates: by hand against autograd
# ---------------------------------------
# The derivation is checked at every step, not only where it ends. ``y``, ``p2`` and ``r`` share
# one gradient, and so do ``z`` and ``p1``: an addition passes on what it receives.

torch.testing.assert_close(
    {"s": ds, "r": dr, "y": dy, "p2": dp2, "W2t": dW2t, "h": dh, "z": dz, "p1": dp1, "W1t": dW1t},
    {name: intermediates[name].grad for name in intermediates},  # autograd
)
print("y and p2 like r:", torch.equal(y.grad, r.grad), torch.equal(p2.grad, r.grad))
print("p1 like z:", torch.equal(p1.grad, z.grad))

# %%
# The same model from modules
# ---------------------------
# :class:`torch.nn.Sequential` with the same weights records a smaller graph: a linear layer is
# one ``AddmmBackward0``, the loss one ``MseLossBackward0``. Its input does not require a gradient
# here.

model = torch.nn.Sequential(torch.nn.Linear(D, H), torch.nn.Tanh(), torch.nn.Linear(H, K))
ours = {"0.weight": W1, "0.bias": b1, "2.weight": W2, "2.bias": b2}
model.load_state_dict(ours)
module_loss = torch.nn.functional.mse_loss(model(X.detach()), T)
module_loss.grad_fn

# %%
# Two graphs, the same gradients
# ------------------------------
# Plain equality this time: one autograd result against another.

module_loss.backward()
for name in ours:
    torch.testing.assert_close(model.get_parameter(name).grad, ours[name].grad)
    print(f"{name:8} {tuple(ours[name].shape)!s:6} same gradient")

# %%
# A second backward on a retained graph
# -------------------------------------
# The first pass kept the saved tensors, so the same graph runs again, and ``.grad`` holds the sum
# of two equal gradients. This second call is the default one: it keeps nothing.

first = W1.grad.clone()
loss.backward()
torch.testing.assert_close(
    {"W1": 2 * dW1, "b1": 2 * db1, "W2": 2 * dW2, "b2": 2 * db2, "X": 2 * dX},  # by hand
    {"W1": W1.grad, "b1": b1.grad, "W2": W2.grad, "b2": b2.grad, "X": X.grad},  # autograd
)
print("exactly twice the first:", torch.equal(W1.grad, 2 * first))

# %%
# A third backward, after the default one
# ---------------------------------------
# Now the saved tensors are gone, and the first node that needs one raises. Here that is the square,
# before any parameter was reached.

before = {"W1": W1.grad.clone(), "b2": b2.grad.clone()}
order.clear()
watch(loss.grad_fn)
try:
    loss.backward()
except RuntimeError as error:
    assert "backward through the graph a second time" in str(error)
    print(type(error).__name__, error, sep=": ")
assert order == ["MeanBackward0", "PowBackward0"]
print("nodes whose turn came:", *order)
print("unchanged:", torch.equal(W1.grad, before["W1"]), torch.equal(b2.grad, before["b2"]))

# %%
# What was seen
# -------------
# Ten operations became ten nodes, each with a rule of one line. They ran from the loss back, the
# second layer's parameters receiving their gradients before the first layer's nodes ran. A
# retained graph gave the same gradients again, added to the first; after a default pass it could
# not run.
