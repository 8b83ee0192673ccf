"""Falsifiers of what the part on memory says: lifetimes, counters, views, sizes, truncation."""

import contextlib
from functools import cache

import torch
from press.trials.claims import assume, claim, control
from press.worlds import Script, World, programs

# A checkpoint keeps nothing until it is run again, and a Function what it likes.
PLAIN = programs(without=["reentrant", "checkpoint", "function"])


def behind(roots):
    """All nodes behind the roots."""
    nodes = list(dict.fromkeys(root.grad_fn for root in roots))
    for node in nodes:
        nodes += {child: 0 for child, _ in node.next_functions if child and child not in nodes}
    return nodes


@cache
def fields(kind):
    """The names under which nodes of a kind show what they saved."""
    return [name for name in dir(kind) if name.startswith("_saved_")]


def keeps(node):
    """Whether a node has its saved tensors, or None where it saved none."""
    found = None
    for field in fields(type(node)):
        try:
            value = getattr(node, field)
        except RuntimeError:
            return False
        values = value if isinstance(value, (tuple, list)) else [value]
        found = True if any(isinstance(one, torch.Tensor) for one in values) else found
    return found


def ones(roots):
    """A seed for each root."""
    return [torch.ones_like(root) for root in roots]


# --- What a pass frees, and when ------------------------------------------------------------------


def kept_as_it_runs(roots):
    """For each node that saved, whether it kept that when it ran, and when the next one did."""
    nodes, ran, seen = behind(roots), [], []
    saved = {node for node in nodes if keeps(node)}
    for node in nodes:

        def note(grads, node=node):
            before = [keeps(last) for last in ran[-1:] if last in saved]
            seen.append((keeps(node) if node in saved else None, before))
            ran.append(node)

        node.register_prehook(note)
    torch.autograd.backward(roots, ones(roots))
    return seen


@claim("freed-as-it-runs", world=PLAIN)
def has_it_then_and_not_later(roots):
    """A hook before each node reads what it saved, and what the node before it still keeps."""
    seen = kept_as_it_runs(roots)
    assert all(now is not False for now, _ in seen), "a node ran without what it had saved"
    assert not any(True in before for _, before in seen), "a node that had run kept a tensor"


@control("freed-as-it-runs", "Saved tensors are freed when the pass has ended.")
def freed_at_the_end(roots):
    seen = kept_as_it_runs(roots)
    assert not any(False in before for _, before in seen)


def kept_after_one_leaf(leaves, roots):
    """Which nodes ran in a pass to the first leaf, and what each keeps afterwards."""
    nodes, ran = behind(roots), set()
    saved = [node for node in nodes if keeps(node)]
    for node in nodes:
        node.register_prehook(lambda grads, node=node: ran.add(node))
    torch.autograd.grad(roots, leaves[0], ones(roots), allow_unused=True)
    return [(node in ran, keeps(node)) for node in saved]


@claim("freed-where-it-ran", world=PLAIN)
def only_what_ran_is_freed(leaves, roots):
    """A pass goes to one leaf; of each node is noted whether it ran and whether it still keeps."""
    for ran, kept in kept_after_one_leaf(leaves, roots):
        assert ran is not kept, "freed without having run" if not ran else "ran, and keeps"


@control("freed-where-it-ran", "A pass frees what the graph had saved.")
def all_is_freed(leaves, roots):
    assert not any(kept for _, kept in kept_after_one_leaf(leaves, roots))


def fail_in_the_middle(roots):
    """Of each leaf, whether its node had run when a node half way raised, and has a gradient."""
    nodes, order = behind(roots), []
    for node in nodes:
        node.register_prehook(lambda grads, node=node: order.append(node))
    torch.autograd.backward(roots, ones(roots), retain_graph=True)
    middle = order[len(order) // 2]
    ends = [node for node in nodes if hasattr(node, "variable")]
    for node in ends:
        node.variable.grad = None
    order.clear()

    def fail(grads):
        raise ZeroDivisionError

    middle.register_prehook(fail)
    with contextlib.suppress(ZeroDivisionError):
        torch.autograd.backward(roots, ones(roots))
    return [(node in order and node is not middle, node.variable.grad is not None) for node in ends]


@claim("failed-pass", world=PLAIN)
def what_had_run_has_its_gradient(roots):
    """The node in the middle of a pass raises; the leaves with a gradient are those reached."""
    for reached, has in fail_in_the_middle(roots):
        assert reached == has


@control("failed-pass", "A pass that raises has already changed some gradients.")
def some_gradient_changed(roots):
    assert any(has for _, has in fail_in_the_middle(roots))


# --- Counters of changes --------------------------------------------------------------------------

# Ways to another tensor in the memory of ``x``, and whether it has the counter of ``x``.
WAYS = {
    "view(-1)": True,
    "detach()": True,
    "unsqueeze(0)": True,
    "narrow(0, 0, 1)": True,
    "expand_as({y})": True,
    "tensor_split(2)[0]": True,
    "split(1)[0]": True,
    "unbind(0)[0].unsqueeze(0)": True,
    "data": False,
    "unsafe_chunk(2)[0]": False,
    "unsafe_split(1)[0]": False,
}


def aliases(choose):
    """A chain of one to three ways from ``x`` to ``y``."""
    ways = [choose.choice(list(WAYS)) for _ in range(choose.randint(1, 3))]
    lines = ["import torch", "", f"x = torch.arange({choose.randint(4, 9)}.0)", "y = x"]
    lines += [f"y = y.{way.format(y='y')}" for way in ways]
    lines.append(f"shares, data = {all(WAYS[way] for way in ways)}, {'data' in ways}")
    return Script("\n".join(lines))


ALIASES = World(
    "aliases",
    "chains of one to three steps from a tensor to another in its memory: views, detach(), .data, "
    "unsafe_split and unsafe_chunk",
    "chains",
    aliases,
)


@claim("in-place-counter", world=ALIASES)
def counted_where_shared(x, y, shares):
    """``y`` is written to, and the counter of ``x`` read before and after."""
    assert x.untyped_storage().data_ptr() == y.untyped_storage().data_ptr()
    before, values = x._version, x.clone()
    y.add_(10)
    assert not torch.equal(x, values), "x did not change"
    assert (x._version > before) is shares


@control(
    "in-place-counter",
    "One counter for a storage: all tensors that lie in it show the same count, except .data.",
)
def one_for_a_storage(x, y, data):
    assume(not data)
    y.add_(10)
    assert x._version == y._version


def change_a_leaf(leaves, roots):
    """Whether a node behind the roots saved the first leaf, and whether a change of it raises."""
    place = leaves[0].untyped_storage().data_ptr()
    saved = False
    for node in behind(roots):
        for field in fields(type(node)):
            value = getattr(node, field)
            for one in value if isinstance(value, (tuple, list)) else [value]:
                if isinstance(one, torch.Tensor):
                    saved |= one.untyped_storage().data_ptr() == place
    with torch.no_grad():
        leaves[0].add_(0)
    try:
        torch.autograd.backward(roots, ones(roots))
    except RuntimeError as error:
        return saved, "modified" in str(error)
    return saved, False


@claim("in-place-compared", world=PLAIN)
def raises_where_saved(leaves, roots):
    """A leaf is written to between the passes; whether it raises is compared with who saved it."""
    saved, raised = change_a_leaf(leaves, roots)
    assert saved == raised


@control("in-place-compared", "A change in place between the passes raises.")
def a_change_raises(leaves, roots):
    assert change_a_leaf(leaves, roots)[1]


def written(choose, to=("",)):
    """A base, two views, and a write into one of the three."""
    n = choose.randint(3, 6)
    cuts = [sorted(choose.sample(range(n + 1), 2)) for _ in range(2)]
    views = ", ".join(f"b[{a}:{b}]" for a, b in cuts)
    write = choose.choice(["mul_(3)", "sin_()", "add_(1)", "mul_(c[0])", "copy_(c[1] * {t})"])
    target = choose.choice("bvw") + choose.choice(to)
    lines = ["import torch", "", f"x = torch.linspace(0.3, 1.7, {n}, dtype=torch.float64)"]
    lines += ["", "", "def f(x):", "    c = 1 + x.flip(0)", "    b = x * c", f"    v, w = {views}"]
    lines.append(f"    {target}.{write.format(t=target)}")
    lines.append("    return torch.cat([b, v, w]).square()")
    return Script("\n".join(lines))


RECORDED = World(
    "written views",
    "functions with a base, two slices of it, and a write into one of the three",
    "functions",
    written,
)
PAST = World(
    "writes past autograd",
    RECORDED.sentence + ", some through .data",
    "functions",
    lambda choose: written(choose, ("", ".data")),
)


def slopes_agree(f, x):
    """Whether autograd and central differences agree along one direction, to six digits."""
    v = torch.linspace(1.0, 2.0, len(x), dtype=torch.float64).cos()
    leaf = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(f(leaf).sum(), leaf)
    ahead, behind_ = (f(x + h * v).sum() for h in (1e-6, -1e-6))
    return torch.isclose(gradient @ v, (ahead - behind_) / 2e-6, rtol=1e-6)


@claim("in-place-views", world=RECORDED)
def gradient_of_the_new_values(f, x):
    """Where no saved tensor was overwritten the gradient is compared with differences."""
    try:
        right = slopes_agree(f, x)
    except RuntimeError as error:
        assume("modified by an inplace operation" not in str(error))
        raise
    assert right


@control("in-place-views", "Without an error the gradient is right.", world=PAST)
def right_without_an_error(f, x):
    try:
        right = slopes_agree(f, x)
    except RuntimeError:
        return
    assert right


# --- Sizes ----------------------------------------------------------------------------------------


def stacks(choose, last=("y",)):
    """A network of random layers, and what is done with its result."""
    layers = ["Tanh()", "GELU()", "ReLU()", "Dropout(0.3)", "SiLU()", "LayerNorm({d})"]
    d, made = choose.randint(2, 5), []
    for _ in range(choose.randint(1, 5)):
        wide = choose.randint(2, 6)
        made.append(f"nn.Linear({d}, {wide})")
        d = wide
        made += [f"nn.{choose.choice(layers).format(d=d)}"] if choose.random() < 0.7 else []
    inputs = made[0][len("nn.Linear(") :].split(",")[0]
    end = choose.choice(last)
    lines = ["import torch", "from torch import nn", "", f"net = nn.Sequential({', '.join(made)})"]
    lines += ["", "", "def run(n):", f"    y = net(torch.randn(n, {inputs}))", f"    return {end}"]
    return Script("\n".join(lines))


STACKS = World(
    "stacks",
    "networks of up to five linear layers of random widths, with activations, dropout and layer "
    "normalization between them",
    "networks",
    stacks,
)
PAIRS = World(
    "pairs",
    STACKS.sentence + ", some with a loss over pairs of rows",
    "networks",
    lambda choose: stacks(choose, ("y", "(y @ y.T).logsumexp(1)")),
)


def kept_bytes(run, n):
    """Bytes that the graph of a batch of n keeps, each storage once."""
    seen, alive = {}, []

    def pack(t):
        alive.append(t.detach())
        seen[t.untyped_storage().data_ptr()] = t.untyped_storage().nbytes()
        return alive[-1]

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        result = run(n)
    del result
    return sum(seen.values())


@claim("saved-linear-in-batch", world=STACKS)
def equal_steps(run):
    """Batches of 3, 5 and 7 are run under a hook that counts storages; the steps are equal."""
    small, middle, large = (kept_bytes(run, n) for n in (3, 5, 7))
    assert large - middle == middle - small


@control(
    "saved-linear-in-batch",
    "What a model keeps is a constant and a multiple of the batch size.",
    world=PAIRS,
)
def equal_steps_for_pairs(run):
    equal_steps(run)


# --- Truncation -----------------------------------------------------------------------------------


def recursion(choose):
    """The sizes and numbers of a recurrent network, its steps and the length of a window."""
    d, k = choose.randint(1, 4), choose.randint(1, 5)
    steps = k * choose.randint(1, 4)
    seed = choose.randrange(10**6)
    return Script(
        f"import torch\n\ng = torch.Generator().manual_seed({seed})\nk = {k}\n"
        f"A = torch.randn({d}, {d}, generator=g, dtype=torch.float64)\n"
        f"X = torch.randn({steps}, {d}, generator=g, dtype=torch.float64)\n"
    )


RECURSIONS = World(
    "recursions",
    "networks h = tanh(A h + x) of up to four states and twenty steps, cut every one to five",
    "networks",
    recursion,
)


def truncated(A, X, k):
    """The gradient of A that a loop with a cut every k steps leaves, for the sum of all states."""
    A = A.clone().requires_grad_()
    h = torch.zeros_like(X[0])
    for start in range(0, len(X), k):
        h, loss = h.detach(), 0
        for x in X[start : start + k]:
            h = torch.tanh(A @ h + x)
            loss = loss + h.sum()
        loss.backward()
    return A.grad


def by_recursion(A, X, k):
    """The same by hand; the cotangent of the state is reset before every window of k."""
    states = [torch.zeros_like(X[0])]
    for x in X:
        states.append(torch.tanh(A @ states[-1] + x))
    dA, dh = torch.zeros_like(A), torch.zeros_like(X[0])
    for t in reversed(range(len(X))):
        if (t + 1) % k == 0:
            dh = torch.zeros_like(dh)
        dz = (dh + 1) * (1 - states[t + 1] ** 2)
        dA += torch.outer(dz, states[t])
        dh = A.T @ dz
    return dA


@claim("truncation-resets", world=RECURSIONS)
def same_as_with_resets(A, X, k):
    """What the loop leaves in ``.grad`` is compared with the recursion by hand."""
    torch.testing.assert_close(truncated(A, X, k), by_recursion(A, X, k))


@control("truncation-resets", "Truncation leaves the gradient as it is.")
def same_without_resets(A, X, k):
    torch.testing.assert_close(truncated(A, X, k), by_recursion(A, X, len(X)))
