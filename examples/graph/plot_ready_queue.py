r"""
The engine's queue, predicted
=============================

The engine that runs a backward pass follows three rules: a node waits for all its cotangents, of
the nodes that are ready the one recorded last runs first, and the node of a leaf counts as last of
all. Here the rules are a Python loop. It predicts the order of a small graph step by step, then of
two hundred random ones, and each prediction is compared with what hooks on the nodes wrote down.
With the nodes called as functions, the same loop is an engine, and runs sixteen ordinary losses.
Look at the column of what waits.
"""

# %%
# A graph in which something waits
# --------------------------------
# ``a`` is used twice, so its node receives two cotangents and cannot run on the first.

import random
import threading

import torch

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
p = torch.tensor([0.5, -1.5, 2.0], requires_grad=True)
q = torch.tensor([1.0, 0.4, -0.8], requires_grad=True)
a = p.exp()
b = a.sin()
c = a * q
e = b * c
loss = e.sum()
loss.grad_fn

# %%
# How many cotangents each node waits for
# ---------------------------------------
# Walk from the root and count the edges that arrive. The counts are the first thing the engine
# computes in a pass.


def count_edges(root):
    """The nodes behind a root, and the number of edges that arrive at each."""
    missing, nodes = {root: 0}, [root]
    for node in nodes:  # the list grows while it is read
        for child, _ in node.next_functions:
            if child is not None:
                if child not in missing:
                    missing[child] = 0
                    nodes.append(child)
                missing[child] += 1
    return missing


names = {}
for name, tensor in {"a": a, "b": b, "c": c, "e": e, "loss": loss}.items():
    names[tensor.grad_fn] = name
names[a.grad_fn.next_functions[0][0]] = "p"
names[c.grad_fn.next_functions[1][0]] = "q"
for node, missing in count_edges(loss.grad_fn).items():
    kind = node.name().removeprefix("torch::autograd::")
    print(f"{names[node]:5}{kind:15} waits for {missing}")
waits = {names[node]: count for node, count in count_edges(loss.grad_fn).items()}
assert waits == {"loss": 0, "a": 2} | dict.fromkeys("ebcqp", 1)

# %%
# The queue
# ---------
# A node that has run takes one from the count of each node behind it, and one whose count is zero
# joins the queue. ``_sequence_nr`` is the number a node was given when it was recorded.


def predict(root, show=None):
    """The nodes in the order in which the engine will run them."""
    missing, ready, order = count_edges(root), [root], []
    while ready:
        node = max(ready, key=lambda node: node._sequence_nr())
        if show:
            show(node, ready, missing)
        ready.remove(node)
        order.append(node)
        for child, _ in node.next_functions:
            if child is not None:
                missing[child] -= 1
                if missing[child] == 0:
                    ready.append(child)
    return order


def row(node, ready, missing):
    waiting = [f"{names[n]} for {count}" for n, count in missing.items() if count]
    ready = ", ".join(sorted(names[n] for n in ready))
    print(f"{ready:10}{names[node]:7}{', '.join(waiting)}")


print(f"{'ready':10}{'runs':7}still waiting")
predicted = [names[node] for node in predict(loss.grad_fn, row)]
assert predicted == ["loss", *"ecqbap"]

# %%
# What the engine did
# -------------------
# Hooks that hold names only write down each node as its turn comes. The gradients by hand, with
# :math:`\bar{a}` from both uses:
#
# .. math:: \bar{a} = \cos a \odot a \odot q + \sin a \odot q, \qquad
#    \bar{p} = \bar{a} \odot e^{p}, \qquad \bar{q} = \sin a \odot a

ran, handles = [], []
for node, name in names.items():
    handles.append(node.register_prehook(lambda grads, name=name: ran.append(name)))
loss.backward(retain_graph=True)
for handle in handles:
    handle.remove()
with torch.no_grad():
    da = a.cos() * a * q + a.sin() * q
    dp, dq = da * p.exp(), a.sin() * a
torch.testing.assert_close({"p": dp, "q": dq}, {"p": p.grad, "q": q.grad})  # by hand
assert ran == predicted
print("ran:", *ran)

# %%
# Two hundred random graphs
# -------------------------
# Sums, products and rows of stacks of whatever was computed before, up to sixty operations, several
# outputs in one loss.


def random_loss(seed):
    choose = random.Random(seed)
    values = [torch.rand(3, requires_grad=True) for _ in range(choose.randint(1, 5))]
    for _ in range(choose.randint(3, 60)):
        x, y = choose.choice(values), choose.choice(values)
        row = torch.stack([x, y, x]).unbind(0)[choose.randint(0, 2)]
        values.append(choose.choice([x * y, x + y, x.sin(), row, x.flip(0)]))
    ends = choose.sample(values, min(len(values), choose.randint(1, 6)))
    return sum((end * end).sum() for end in ends)


print("for example", len(count_edges(random_loss(7).grad_fn)), "nodes")

# %%
# Every one of them as predicted
# ------------------------------
# The nodes of leaves all have the same number, so which of several runs first is left open: they
# are written down as "leaf". The others were recorded by one thread, so that their numbers differ,
# and have to agree node by node.

total, as_predicted = 0, 0
for seed in range(200):
    root = random_loss(seed)
    expected = predict(root.grad_fn)
    label, ran = {}, []
    for number, node in enumerate(expected):
        label[node] = number if node.next_functions else "leaf"
    for node, name in label.items():
        node.register_prehook(lambda grads, name=name, ran=ran: ran.append(name))
    root.backward()
    total += len(ran)
    as_predicted += ran == list(label.values())
assert as_predicted == 200
print(f"{as_predicted} of 200 orders as predicted, {total} nodes in all")

# %%
# Leaves that are ready together
# ------------------------------
# Seven leaves receive their gradients from one node. Nothing promises an order among them, and it
# is not the order of the edges.

leaves = [torch.ones(2, requires_grad=True) for _ in range(7)]
stored = []
for number, leaf in enumerate(leaves):
    note = lambda _, number=number: stored.append(number)
    leaf.register_post_accumulate_grad_hook(note)
torch.stack(leaves).sum().backward()
assert sorted(stored) == list(range(7))
print("stored:", stored)

# %%
# Numbers that are equal
# ----------------------
# Each thread counts for itself, so two threads that record a chain of six each use the same six
# numbers. Which of two equal ones runs first is left open: of this graph the rules predict the
# order within each chain, and not how the engine mixes the two.

chains = {}


def record(name):
    value = torch.ones(2, requires_grad=True)
    chains[name] = []
    for _ in range(6):
        value = value * 1.5
        chains[name].append(value)


for name in ("one", "other"):
    worker = threading.Thread(target=record, args=[name])
    worker.start()
    worker.join()
numbers = {name: [v.grad_fn._sequence_nr() for v in chain] for name, chain in chains.items()}
assert numbers["one"] == numbers["other"]
ran = []
for name, chain in chains.items():
    for place, value in enumerate(chain):
        note = lambda _, place=(name, place): ran.append(place)
        value.grad_fn.register_prehook(note)
(chains["one"][-1] + chains["other"][-1]).sum().backward()
for name in chains:
    assert [place for chain, place in ran if chain == name] == [5, 4, 3, 2, 1, 0]
last = (torch.ones(2, requires_grad=True) * 2).grad_fn._sequence_nr()
undone = (torch.ones(2, requires_grad=True) // 2).grad_fn  # an operation without a derivative
on_top = undone._sequence_nr() == 2**64 - 1  # the number of a leaf; older versions count it
assert on_top or undone._sequence_nr() == last + 1
print("numbers of each chain:", numbers["one"])
print(undone.name(), "has the top number as well" if on_top else "is counted like any other")

# %%
# The loop as an engine
# ---------------------
# A node can be called: cotangents of its outputs go in, those of its inputs come out. Four things
# have to be right beside the order. One place for each output that the node has, whether something
# arrived there or not. ``None``, from a rule that returns it or an output nobody used, is passed
# over; a function of one's own has ``apply`` and is handed zeros for it. What does not fit is
# summed to the shape and converted to the precision that the next node expects. And the seed
# belongs to one output of the root. The node of a leaf stores what it is called with.


@torch.no_grad()
def backward(loss, seed):
    arrived = {loss.grad_fn: {loss.output_nr: seed}}
    for node in predict(loss.grad_fn):
        there, places = arrived.pop(node, {}), list(node._input_metadata)
        if not there:
            continue  # nothing but None was sent here
        if hasattr(node, "apply"):
            zeros = [torch.zeros(place.shape, dtype=place.dtype) for place in places]
            sent = node.apply(*(there.get(number, zero) for number, zero in enumerate(zeros)))
        else:
            sent = node(*(there.get(number) for number in range(len(places))))
        for edge, cotangent in zip(node.next_functions, sent if type(sent) is tuple else [sent]):
            if edge[0] is not None and cotangent is not None:
                receive(arrived, *edge, cotangent)


def receive(arrived, node, number, cotangent):
    expected, there = node._input_metadata[number], arrived.setdefault(node, {})
    cotangent = cotangent.sum_to_size(expected.shape).to(expected.dtype)
    there[number] = there[number] + cotangent if number in there else cotangent


p.grad = q.grad = None
backward(loss, torch.ones(()))
torch.testing.assert_close(p.grad, dp)  # autograd took no part: two plain tensors
torch.testing.assert_close(q.grad, dq)
print("p.grad", p.grad)

# %%
# Sixteen ordinary losses
# -----------------------
# Several outputs of which one is used, a rule that returns ``None``, broadcasting, a change of
# precision, a write into a view, a second derivative, modules. The same graph is run by the loop
# and then by PyTorch.


class First(torch.autograd.Function):
    """Two results, and no gradient for the second argument."""

    @staticmethod
    def forward(ctx, a, b):
        ctx.save_for_backward(a)
        return a**2, b * 3

    @staticmethod
    def backward(ctx, u, v):
        return 2 * u * ctx.saved_tensors[0], None


def into_a_view(t):
    t[:1].mul_(2)
    return t


M, v = torch.randn(3, 3, requires_grad=True), torch.randn(3, requires_grad=True)
lstm, norm = torch.nn.LSTM(3, 4), torch.nn.LayerNorm(3)
square = lambda: M @ M.T + 3 * torch.eye(3)
losses = {
    "first of unbind": lambda: M.unbind(0)[0], "first of split": lambda: M.split([1, 2])[0],
    "svdvals": lambda: torch.linalg.svdvals(M), "eigh": lambda: torch.linalg.eigh(square())[0],
    "std": lambda: torch.std_mean(M)[0], "slogdet": lambda: torch.linalg.slogdet(square())[1],
    "LSTM": lambda: lstm(M[:, None])[0], "a Function": lambda: First.apply(M * 1, v * 1)[0],
    "its other result": lambda: First.apply(M * 1, v * 1)[1].sum() + M.sum(),
    "broadcast": lambda: M + v, "linear": lambda: norm(torch.nn.functional.linear(M, M, v).tanh()),
    "single": lambda: M.float().double() * v, "max": lambda: M.max(0).values,
    "a view": lambda: into_a_view(M * 1), "where": lambda: torch.where(M > 0, M, v),
    "second": lambda: torch.autograd.grad((M**3).sum(), M, create_graph=True)[0],
}  # fmt: skip
leaves = [M, v, *lstm.parameters(), *norm.parameters()]


def stored(run, result):
    for leaf in leaves:
        leaf.grad = None
    run((result**2).sum())
    grads = [torch.zeros_like(leaf) if leaf.grad is None else leaf.grad for leaf in leaves]
    return torch.cat([gradient.flatten() for gradient in grads])


for function in losses.values():
    result = function()
    ours = stored(lambda loss: backward(loss, torch.ones(())), result)
    torch.testing.assert_close(ours, stored(lambda loss: loss.backward(), result))
print(f"{len(losses)} losses, the same gradients: {', '.join(losses)}")

# %%
# What was seen
# -------------
# Counting edges and taking the highest number predicted the order of all two hundred graphs, up to
# numbers that are equal. What a pass adds to the order is a place for each cotangent that has
# arrived and not been used.
