r"""
Which nodes run, and where
==========================

A backward pass need not run the whole graph behind its root. It runs the nodes that lead to where
a gradient was asked for, once each, even if several roots lead to them; and on a CPU it runs them
in the thread that called it. A rule may start a pass of its own. The lists on this page were
written by hooks. Look at the rows of the first table, in which the same graph is run in seven
ways.
"""

# %%
# Four operations, two leaves
# ---------------------------
# A pre-hook on each node, those of the leaves included, notes its name.

import threading

import torch

torch.set_default_dtype(torch.float64)
x = torch.tensor([0.5, -1.0, 2.0], requires_grad=True)
w = torch.tensor([1.5, 0.3, -0.7], requires_grad=True)
a = x.exp()
b = w.sin()
c = a * b
loss = c.sum()
ran = []


def watch(node, name):
    node.register_prehook(lambda grads: ran.append(name))


for name, tensor in {"a": a, "b": b, "c": c, "loss": loss}.items():
    watch(tensor.grad_fn, name)
for name, tensor in {"x": a, "w": b}.items():
    watch(tensor.grad_fn.next_functions[0][0], name)
loss.grad_fn

# %%
# Asked for one thing or another
# ------------------------------
# :func:`torch.autograd.grad` and the argument ``inputs`` name where a gradient is wanted. Nodes
# that do not lead there stay out, and so do nodes behind it.

calls = {
    "backward()": lambda: loss.backward(retain_graph=True),
    "backward(inputs=[w])": lambda: loss.backward(inputs=[w], retain_graph=True),
    "grad(loss, x)": lambda: torch.autograd.grad(loss, x, retain_graph=True),
    "grad(loss, (x, w))": lambda: torch.autograd.grad(loss, (x, w), retain_graph=True),
    "grad(loss, c)": lambda: torch.autograd.grad(loss, c, retain_graph=True),
    "grad(loss, (c, a))": lambda: torch.autograd.grad(loss, (c, a), retain_graph=True),
    "grad(loss, loss)": lambda: torch.autograd.grad(loss, loss, retain_graph=True),
}
results, rows = {}, {}
for name, call in calls.items():
    ran.clear()
    results[name] = call()
    rows[name] = " ".join(ran)
    print(f"{name:21}", rows[name])
expected = "loss c b w a x, loss c b w, loss c a, loss c b a, loss, loss c, "
assert list(rows.values()) == expected.split(", ")

# %%
# What they returned
# ------------------
# All of them are the same derivatives, by hand :math:`\bar{x} = \sin w \odot e^x`, :math:`\bar{w} =
# \cos w \odot e^x` and :math:`\bar{a} = \sin w`.

with torch.no_grad():
    dx, dw, da = w.sin() * x.exp(), w.cos() * x.exp(), w.sin()
torch.testing.assert_close(
    {"x": dx, "x and w": (dx, dw), "a": da, "w, twice": 2 * dw},  # by hand
    {
        "x": results["grad(loss, x)"][0],
        "x and w": results["grad(loss, (x, w))"],
        "a": results["grad(loss, (c, a))"][1],
        "w, twice": w.grad,  # two passes stored it
    },  # autograd
)
print("x.grad was stored once, w.grad twice:", torch.equal(x.grad, dx))

# %%
# Two roots, one behind the other
# -------------------------------
# With :math:`v = s^2` and :math:`r = v^3`, a pass from both gives :math:`v` a seed of its own and a
# cotangent from :math:`r`. Its node waits for both and runs once:
#
# .. math:: \bar{v} = 1 + 3 v^2, \qquad \bar{s} = 2 s\, \bar{v}

s = torch.tensor([1.5, -0.5], requires_grad=True)
v = s**2
r = v**3
arrived = []
v.grad_fn.register_prehook(lambda grads: arrived.append(grads[0].clone()))
torch.autograd.backward([r, v], [torch.ones(2), torch.ones(2)])
dv = 1 + 3 * s.detach() ** 4
ds = 2 * s.detach() * dv
torch.testing.assert_close({"v": dv, "s": ds}, {"v": arrived[0], "s": s.grad})  # by hand, autograd
assert len(arrived) == 1
print("the node of v ran", len(arrived), "time; s.grad", s.grad)

# %%
# An output that was not used
# ---------------------------
# ``unbind`` has three outputs and the loss uses the last. For the others ``None`` arrives, which
# the rule of ``unbind`` reads as zeros.

M = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, -6.0]], requires_grad=True)
row = M.unbind(0)[2]
arrived = []
row.grad_fn.register_prehook(lambda grads: arrived.append([g is not None for g in grads]))
(row**3).sum().backward()
dM = torch.zeros(3, 2)
dM[2] = 3 * M.detach()[2] ** 2
torch.testing.assert_close({"M": dM}, {"M": M.grad})  # by hand, autograd
print("something arrived for output 0, 1, 2:", arrived[0])

# %%
# In the thread that called
# -------------------------
# For tensors on a CPU. So a debugger stops in a hook or in a rule written in Python as it does
# anywhere else, and two threads run two passes.

where = []
s.grad = None


def one_pass():
    y = (s * s).sum()
    y.grad_fn.register_prehook(lambda grads: where.append(threading.current_thread().name))
    y.backward()


one_pass()
worker = threading.Thread(target=one_pass, name="worker")
worker.start()
worker.join()
ds = 2 * (2 * s.detach())
torch.testing.assert_close({"s": ds}, {"s": s.grad})  # by hand, autograd: two passes
assert where == [threading.current_thread().name, "worker"]
print("ran in:", where)

# %%
# A pass inside a pass
# --------------------
# The rule of this function runs a forward pass and :func:`torch.autograd.grad` when its turn comes.
# The engine starts again inside itself, and goes on where it was.


class Cube(torch.autograd.Function):
    """x**3, whose rule has its derivative computed by another pass."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, u):
        (x,) = ctx.saved_tensors
        with torch.enable_grad():
            inner = x.detach().requires_grad_()
            return torch.autograd.grad(inner**3, inner, u)


s.grad = None
u = torch.tensor([0.5, 4.0])
(Cube.apply(s) * u).sum().backward()
ds = 3 * s.detach() ** 2 * u
torch.testing.assert_close({"s": ds}, {"s": s.grad})  # by hand, autograd
print("s.grad", s.grad)

# %%
# What was seen
# -------------
# In all seven calls the nodes on a way from a root to what was asked for ran, each once, when what
# leads to it in this pass had arrived, and the others did not.
