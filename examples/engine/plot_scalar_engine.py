r"""
An autograd engine for scalars
==============================

What :meth:`torch.Tensor.backward` does can be written in a hundred lines of plain Python, for
numbers instead of tensors. The parts keep their names: a node holds a rule and what the rule has
to remember, an edge leads to the node of an argument, ``AccumulateGrad`` adds to the gradient of a
leaf, and the engine runs a node when all it waits for has arrived. Two hundred random programs are
then run by this engine and by PyTorch. Look at what a walk that does not wait gets wrong.
"""

# %%
# Values and nodes
# ----------------
# A ``Value`` is a number with a gradient. What made it is its ``grad_fn``, a ``Node``: the rule of
# the operation, what the rule needs from the forward pass, and one edge for each argument. Nodes
# are numbered as they are made.

import heapq
import itertools
import math
import random

import matplotlib.pyplot as plt
import torch


class Value:
    def __init__(self, data, requires_grad=False, grad_fn=None):
        self.data, self.grad, self.grad_fn = data, None, grad_fn
        self.requires_grad = requires_grad or grad_fn is not None
        self.accumulate_grad = None


class Node:
    made = 0

    def __init__(self, name, rule, saved, arguments):
        self.label, self.rule, self.saved = name, rule, saved
        self.next_functions = tuple((edge_to(a), 0) for a in arguments)
        Node.made += 1
        self.number = Node.made

    def name(self):
        return self.label

    def _sequence_nr(self):
        return self.number


# %%
# Leaves
# ------
# A leaf that requires a gradient gets one node that adds what arrives, whatever uses the leaf. It
# is numbered above all others, so it runs as soon as it can. Where no gradient is needed the edge
# leads to ``None``.


class AccumulateGrad(Node):
    def __init__(self, leaf):
        super().__init__("AccumulateGrad", None, (), ())
        self.variable, self.number = leaf, math.inf

    def add(self, u):
        leaf = self.variable
        leaf.grad = u if leaf.grad is None else leaf.grad + u


def edge_to(value):
    if value.grad_fn is None and value.requires_grad and value.accumulate_grad is None:
        value.accumulate_grad = AccumulateGrad(value)
    return value.grad_fn or value.accumulate_grad


x = Value(3.0, requires_grad=True)
print("the same node for every use:", edge_to(x) is edge_to(x))
print("a constant has none:", edge_to(Value(2.0)))

# %%
# Operations
# ----------
# An operation computes a number, and records a node if one of its arguments requires a gradient.
# ``save`` chooses what the node keeps: it gets the arguments and the result.


def operation(name, forward, save, rule):
    def apply(*arguments):
        arguments = [a if isinstance(a, Value) else Value(float(a)) for a in arguments]
        numbers = [a.data for a in arguments]
        result = forward(*numbers)
        if not any(a.requires_grad for a in arguments):
            return Value(result)
        return Value(result, grad_fn=Node(name, rule, save(*numbers, result), arguments))

    return apply


# %%
# Nine rules
# ----------
# A rule takes the cotangent ``u`` and returns one for each argument, that is :math:`u` times
# :math:`\partial y / \partial a`: for :math:`y = a + b` twice 1, for :math:`ab` the other factor,
# for :math:`a / b` first :math:`1/b` and then :math:`-a/b^2 = -y/b`. For :math:`e^a` it is the
# result, for :math:`\log a` it is :math:`1/a`, for :math:`\tanh a` it is :math:`1 - y^2`. The
# slope of the positive part is 1 where the result is positive; at 0 it is 0, as PyTorch has it.

rules = {
    # the result, what to save, and the cotangents of the arguments
    "Add": (lambda a, b: a + b, lambda a, b, y: (), lambda u: (u, u)),
    "Sub": (lambda a, b: a - b, lambda a, b, y: (), lambda u: (u, -u)),
    "Neg": (lambda a: -a, lambda a, y: (), lambda u: (-u,)),
    "Mul": (lambda a, b: a * b, lambda a, b, y: (a, b), lambda u, a, b: (u * b, u * a)),
    "Div": (lambda a, b: a / b, lambda a, b, y: (b, y), lambda u, b, y: (u / b, -u * y / b)),
    "Exp": (math.exp, lambda a, y: (y,), lambda u, y: (u * y,)),
    "Log": (math.log, lambda a, y: (a,), lambda u, a: (u / a,)),
    "Tanh": (math.tanh, lambda a, y: (y,), lambda u, y: (u * (1 - y * y),)),
    "Relu": (lambda a: max(a, 0.0), lambda a, y: (y,), lambda u, y: (u * (y > 0),)),
}
made = {name: operation(name, *rule) for name, rule in rules.items()}
add, sub, neg, mul, div, exp, log, tanh, relu = made.values()

# %%
# Powers
# ------
# For :math:`y = a^n` with a fixed number :math:`n` the slope is :math:`n a^{n-1}`. At :math:`n =
# 0` that is 0 for every :math:`a`, and has to be said: Python cannot raise 0 to the power of -1.


def power(a, n):
    return operation(
        "Pow",
        lambda a: a**n,
        lambda a, y: (a,),
        lambda u, a: (u * n * a ** (n - 1) if n else 0.0,),
    )(a)


def slopes(base, n):
    ours = power(Value(base, requires_grad=True), n).grad_fn.rule(1.0, base)[0]
    theirs = torch.tensor(base, dtype=torch.float64, requires_grad=True)
    (theirs**n).backward()
    return ours, theirs.grad.item()


for n in (3, -2, 0.5):
    ours, theirs = slopes(1.7, n)
    torch.testing.assert_close({"a": ours}, {"a": theirs})  # by hand, autograd
    print(f"slope of a**{n} at 1.7: {ours:.6f}")
ours, theirs = slopes(0.0, 0)
torch.testing.assert_close(ours, theirs)  # 0 on both sides

# %%
# Operators
# ---------
# With numbers on either side: Python tries ``Value.__rsub__`` where a number stands on the left.

Value.__add__ = Value.__radd__ = add
Value.__mul__ = Value.__rmul__ = mul
Value.__neg__ = neg
Value.__sub__ = sub
Value.__rsub__ = lambda b, a: sub(a, b)
Value.__truediv__ = div
Value.__rtruediv__ = lambda b, a: div(a, b)
Value.__pow__ = power
x = Value(3.0, requires_grad=True)
print((2 * x - 1).data, (1 - x / 2).data, (6 / x).data, (x**2).data)

# %%
# The engine
# ----------
# First a loop over the graph counts how many cotangents each node waits for. Then nodes run: what
# arrives at a node is added up until nothing is missing, and only then does it enter the heap of
# those that are ready. The one made last comes out first; a ticket decides between equals.


def backward(root, u=1.0, retain_graph=False):
    waiting, found = {edge_to(root): 0}, [edge_to(root)]
    for node in found:
        for target, _ in node.next_functions:
            if target is not None and target not in waiting:
                waiting[target] = 0
                found.append(target)
            if target is not None:
                waiting[target] += 1
    arrived, ready, order, ticket = {found[0]: u}, [], [], itertools.count()
    heapq.heappush(ready, (-found[0].number, next(ticket), found[0]))
    while ready:
        node = heapq.heappop(ready)[-1]
        order.append(node.name())
        for target, sent in run(node, arrived.pop(node), retain_graph):
            arrived[target] = arrived.get(target, 0.0) + sent
            waiting[target] -= 1
            if waiting[target] == 0:
                heapq.heappush(ready, (-target.number, next(ticket), target))
    return order


# %%
# Running one node
# ----------------
# A node that adds to a leaf sends nothing on. Every other applies its rule to what it saved, and
# lets that go afterwards unless it is told to retain it. A node that had saved nothing has nothing
# to miss.


def run(node, u, retain_graph):
    if isinstance(node, AccumulateGrad):
        node.add(u)
        return []
    if node.saved is None:
        raise RuntimeError(f"{node.name()} runs a second time, and what it saved has been freed")
    sent = zip(node.next_functions, node.rule(u, *node.saved))
    if node.saved and not retain_graph:
        node.saved = None
    return [(target, part) for (target, _), part in sent if target is not None]


# %%
# A diamond
# ---------
# Two paths lead from ``y`` to ``x``, and both go through the square ``a``:
#
# .. math:: a = x^2, \quad y = a \cdot (a + x), \quad
#           \bar{x} = (2a + x) \cdot 2x + a = 4x^3 + 3x^2

x = Value(3.0, requires_grad=True)
a = x**2
y = a * (a + x)
order = backward(y, retain_graph=True)
dx = 4 * 3.0**3 + 3 * 3.0**2
torch.testing.assert_close(x.grad, dx)  # by formula
print("x.grad", x.grad, "in the order", *order)

# %%
# The graph it built
# ------------------
# This is the graph of that ``y``, drawn like those of PyTorch.

y.grad_fn

# %%
# Without waiting
# ---------------
# The first idea is to recurse: a node adds what arrives to its own total and passes the *total* on
# at once. The node of ``a`` is reached twice. The second time it sends what it had already sent
# the first time once more.


def at_once(node, u, total):
    total[node] = total.get(node, 0.0) + u
    if not isinstance(node, AccumulateGrad):
        parts = node.rule(total[node], *node.saved)
        for (target, _), part in zip(node.next_functions, parts):
            if target is not None:
                at_once(target, part, total)
    return total


wrong = at_once(y.grad_fn, 1.0, {})[edge_to(x)]
print("at once:", wrong, " waiting:", x.grad, " by formula:", dx)
# What the shorter way through a had sent, (a + x) times 2x, was sent again.
assert wrong == dx + (3.0**2 + 3.0) * 2 * 3.0

# %%
# Two hundred random programs
# ---------------------------
# Each makes eight values out of two leaves, by operations and arguments drawn at random; earlier
# values are used again and again. Bounded functions keep the numbers small, and denominators and
# arguments of logarithms positive. The same program runs on our values and on tensors.


steps = [
    lambda f, p, q, c: p + q, lambda f, p, q, c: p - c * q, lambda f, p, q, c: p * q,
    lambda f, p, q, c: c - p, lambda f, p, q, c: p / (q * q + c),
    lambda f, p, q, c: c / (p * p + 1),
    lambda f, p, q, c: f.tanh(p) ** 3, lambda f, p, q, c: f.exp(f.tanh(q)),
    lambda f, p, q, c: f.log(p**2 + c), lambda f, p, q, c: f.relu(p - q) - p,
]  # fmt: skip


def program(seed, leaves, functions, steps=steps):
    draw, values = random.Random(seed), list(leaves)
    for _ in range(8):
        step, p, q = draw.choice(steps), draw.choice(values), draw.choice(values)
        values.append(step(functions, p, q, draw.uniform(0.5, 2.0)))
    return values[-1] + values[-2] * values[-3] if len(steps) > 6 else values[-1] + values[-2]


class Ours:
    exp, log, tanh, relu = map(staticmethod, (exp, log, tanh, relu))


dx, dy, grads = (torch.empty(*size, dtype=torch.float64) for size in ((200,), (200,), (2, 200)))
for seed in range(200):
    leaves = Value(0.7, requires_grad=True), Value(-1.3, requires_grad=True)
    backward(program(seed, leaves, Ours))
    dx[seed], dy[seed] = (leaf.grad or 0.0 for leaf in leaves)
    tensors = torch.tensor([0.7, -1.3], dtype=torch.float64, requires_grad=True)
    program(seed, tensors.unbind(), torch).backward()
    grads[:, seed] = tensors.grad
torch.testing.assert_close({"x": dx, "y": dy}, {"x": grads[0], "y": grads[1]})  # by hand, autograd
print("largest gradient", f"{grads.abs().max().item():.3g}", "in", len(dx), "programs")

# %%
# A second pass
# -------------
# :math:`y = x \cdot x + 2x` has the slope 8 at 3. A retained pass and another one add up to 16, as
# in PyTorch; a third raises, because the second freed what the product had saved. A sum can run
# as often as it likes, and so can a difference and a change of sign.

ours, theirs = Value(3.0, requires_grad=True), torch.tensor(3.0, requires_grad=True)
y, t = ours * ours + 2 * ours, theirs * theirs + 2 * theirs
backward(y, retain_graph=True), backward(y)
t.backward(retain_graph=True), t.backward()
torch.testing.assert_close({"x": ours.grad}, {"x": theirs.grad.item()})  # by hand, autograd
print("after two passes", ours.grad)
for again in (lambda: backward(y), t.backward):
    try:
        again()
    except RuntimeError as error:
        print("the third raises:", str(error).split(" (")[0])
z = 1 - ours + (-ours - 2)
backward(z), backward(z)
print("sums and differences, twice:", ours.grad)  # 16 - 2 * 2

# %%
# Which programs run twice
# ------------------------
# Two hundred more, of steps that mostly save nothing. The second pass raises in some, and where it
# does here it does in PyTorch.


def raises(run, value):
    try:
        run(value)
    except RuntimeError:
        return True
    return False


saving_little = [
    lambda f, p, q, c: p + q, lambda f, p, q, c: c - p, lambda f, p, q, c: p - q,
    lambda f, p, q, c: -q, lambda f, p, q, c: p - c, lambda f, p, q, c: f.tanh(p),
]  # fmt: skip
raised = []
for seed in range(200):
    ours = program(seed, [Value(0.7, True), Value(-1.3, True)], Ours, saving_little)
    leaves = [torch.tensor(at, requires_grad=True) for at in (0.7, -1.3)]
    theirs = program(seed, leaves, torch, saving_little)
    backward(ours), theirs.backward()
    raised.append(raises(backward, ours))
    assert raised[-1] is raises(torch.autograd.backward, theirs)
assert 20 < sum(raised) < 180
print(f"{sum(raised)} of {len(raised)} second passes raise, in both")

# %%
# A hundred thousand nodes
# ------------------------
# Nothing here recurses, so a long chain is only long. Python's limit would stop a recursive walk
# near 1,000.

x = Value(0.0, requires_grad=True)
y = x
for _ in range(100_000):
    y = y + 1
backward(y)
torch.testing.assert_close(x.grad, 1.0)
print("y", y.data, " x.grad", x.grad)

# %%
# It learns
# ---------
# A network with one input, three hidden units and one output follows seven points of a curve, once
# on our engine and once on PyTorch's, from the same start. After forty steps of gradient descent
# the two have the same losses.

start = [0.9, -0.4, 0.3, 0.1, -0.2, 0.5, 0.6, -0.7, 0.8, 0.05]
points = [(-1.4 + 0.45 * i, math.sin(-2.0 + 0.9 * i)) for i in range(7)]


def mean_loss(p, functions):
    loss = 0.0
    for at, wanted in points:
        hidden = [functions.tanh(p[i] * at + p[3 + i]) for i in range(3)]
        loss = loss + (sum(p[6 + i] * hidden[i] for i in range(3)) + p[9] - wanted) ** 2
    return loss / len(points)


ours = [Value(number, requires_grad=True) for number in start]
theirs = [torch.tensor(number, dtype=torch.float64, requires_grad=True) for number in start]
losses = {"ours": [], "PyTorch": []}
for _ in range(40):
    loss, reference = mean_loss(ours, Ours), mean_loss(theirs, torch)
    losses["ours"].append(loss.data), losses["PyTorch"].append(reference.item())
    backward(loss), reference.backward()
    for parameter, tensor in zip(ours, theirs):
        parameter.data, parameter.grad = parameter.data - 0.2 * parameter.grad, None
        tensor.data, tensor.grad = tensor.data - 0.2 * tensor.grad, None
torch.testing.assert_close(losses["ours"], losses["PyTorch"])
print(f"loss {losses['ours'][0]:.4f}, after 40 steps {losses['ours'][-1]:.4f}")

# %%
# The two curves
# --------------
# One covers the other.

grey = "#7a7a7a"  # readable on light and on dark
plt.rcParams.update({"figure.facecolor": "none", "axes.facecolor": "none", "text.color": grey,
                     "axes.labelcolor": grey, "axes.edgecolor": grey,
                     "xtick.color": grey, "ytick.color": grey})  # fmt: skip
figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
axes.plot(losses["PyTorch"], color="#d08a1d", linewidth=5, alpha=0.6, label="PyTorch")
axes.plot(losses["ours"], color="#3f78c9", linewidth=1.5, label="this engine")
axes.set(xlabel="step", ylabel="loss")
axes.legend(frameon=False)
plt.show()

# %%
# What was seen
# -------------
# Rules multiply along edges, the engine adds what meets at a node, and a node runs once all of it
# is there. That is the whole difference between a walk that gets diamonds wrong and one that does
# not. What a node keeps decides whether it can run again.
