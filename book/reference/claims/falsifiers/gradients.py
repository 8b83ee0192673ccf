"""Falsifiers of what chapters say about leaves, their gradients, and what an optimizer does."""

import inspect
import random

import torch
from press.trials.claims import Exempt, assume, claim, control
from press.worlds import Script, World, programs

# --- Flags ----------------------------------------------------------------------------------------

STEPS = [
    "t.requires_grad_()", "t.requires_grad_(False)", "t.detach()", "t[:1]", "t.view(2)", "t.data",
    *["t * 2", "t.clone()", "t.mul_(3)"], *["t.mul_(p)", "t.retain_grad()", "t.detach_()"] * 4,
]  # fmt: skip


def draw_steps(choose: random.Random) -> Script:
    lines = ["import contextlib, torch, warnings", "p = torch.ones(2, requires_grad=True)"]
    lines += ["t = torch.zeros(2)", "seen = [t]"]
    for _ in range(choose.randint(1, 9)):
        mode = choose.choice(["enable_grad", "enable_grad", "enable_grad", "no_grad"])
        step = choose.choice(STEPS).replace("t.view(2)", "t.view(t.shape)")
        lines.append(f"with contextlib.suppress(RuntimeError), torch.{mode}():")
        lines.append(f"    new = {step}")
        lines += ["    t = t if new is None else new", "    seen.append(t)"]
    return Script("\n".join(lines) + "\n")


FLAGS = World("flags", "up to nine steps on a tensor, of twelve kinds.", "sequences", draw_steps)


def flags(seen):
    """The flags of each tensor; a view made in no_grad that was written to refuses to tell."""
    try:
        return [(t.is_leaf, t.requires_grad, t.retains_grad) for t in seen]
    except RuntimeError as error:
        assume("A view was created in no_grad mode" not in str(error))
        raise


@claim("leaf-flags", world=FLAGS)
def node_requires(seen):
    """After each step the flags are read; a tensor with a node requires a gradient."""
    for is_leaf, requires_grad, _ in flags(seen):
        assert is_leaf or requires_grad, "a tensor has a node and requires no gradient"


@control("leaf-flags", "Four states can be reached: a leaf never retains.")
def leaf_never_retains(seen):
    assert not any(is_leaf and retains for is_leaf, _, retains in flags(seen)), "a leaf retains"


# --- One node for each leaf -----------------------------------------------------------------------


def behind(roots):
    nodes = list(dict.fromkeys(root.grad_fn for root in roots))
    for node in nodes:
        nodes += {child: 0 for child, _ in node.next_functions if child and child not in nodes}
    return nodes


def reentrant(roots):
    """Whether a reentrant checkpoint is among the nodes."""
    return any("CheckpointFunction" in node.name() for node in behind(roots))


@claim(
    "leaf-stored-once",
    world=programs(without=["none"], often=["reentrant"]),
    sample=25,
    exceptions=[Exempt("a reentrant checkpoint, whose block has a pass of its own", reentrant)],
    control="All uses of a leaf lead to one AccumulateGrad, which runs once in a pass.",
)
def stored_once(leaves, roots):
    """Hooks after accumulation count how often each leaf's gradient is stored in one pass."""
    stored = dict.fromkeys(leaves, 0)
    for leaf in leaves:

        def count(leaf):
            stored[leaf] += 1

        leaf.register_post_accumulate_grad_hook(count)
    torch.autograd.backward(roots, [torch.ones_like(root) for root in roots])
    assert max(stored.values()) <= 1, f"stored {max(stored.values())} times"


# --- The form of a gradient -----------------------------------------------------------------------

LAYOUTS = {
    "torch.randn(3, 4)": True, "torch.randn(4, 3).T": True, "torch.randn(3, 8)[:, ::2]": False,
    "torch.randn(2, 3, 4).permute(2, 0, 1)": True, "torch.randn(5)": True, "torch.randn(())": True,
    "torch.randn(0, 3)": True, "torch.randn(6, 4)[1:3]": True,
    "torch.randn(1, 3, 1).transpose(0, 1)": True,
    "torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last)": True,
}  # fmt: skip
USES = ["p.sum()", "(p * 2).sum()", "p.double().exp().sum()", "(p + 1).mean()", "p.flip(0).sum()"]
USES += ["torch.where(p > 0, p, 0).sum()", "(p.float() * p).sum()", "p.expand(2, *p.shape).sum()"]


def draw_leaf(choose: random.Random, before: str = "") -> Script:
    layout, dtype = choose.choice(list(LAYOUTS)), choose.choice(["half", "float", "double"])
    use = choose.choice(
        [use for use in USES if not ("flip" in use and layout == "torch.randn(())")]
    )
    lines = ["import torch", "torch.manual_seed(0)", f"p = {layout}.{dtype}().requires_grad_()"]
    if before and choose.random() < 0.5:
        lines.append(before)
    return Script("\n".join([*lines, f"loss = {use}"]) + "\n")


def has_gaps(p):
    return p.numel() < p.untyped_storage().nbytes() // p.element_size() and not p.is_contiguous()


ASSIGNED = "p.grad = torch.zeros(p.shape[::-1], dtype=p.dtype).permute(*range(p.dim())[::-1])"
LEAVES = World(
    "leaves",
    "leaves in ten layouts and three precisions, each used in one of eight ways.",
    "leaves",
    draw_leaf,
)
FILLED = World(
    "filled",
    "the same, and in half of them a gradient that was put there before.",
    "leaves",
    lambda choose: draw_leaf(choose, ASSIGNED),
)


@claim(
    "gradient-form",
    world=LEAVES,
    exceptions=[Exempt("a leaf with gaps in its memory", has_gaps)],
    control="The first gradient is stored with the strides of its leaf.",
)
def form_of_leaf(p, loss):
    """Shape, precision and strides of the stored gradient are compared with the leaf's."""
    loss.backward()
    assert (p.grad.shape, p.grad.dtype) == (p.shape, p.dtype)
    pairs = zip(p.shape, p.stride(), p.grad.stride(), strict=True)
    assert all(a == b for size, a, b in pairs if size > 1) or p.numel() == 0, "other strides"


@control("gradient-form", "Without gaps, all strides of the first gradient are those of its leaf.")
def all_strides_of_leaf(p, loss):
    loss.backward()
    assert has_gaps(p) or p.numel() == 0 or p.grad.stride() == p.stride()


@control(
    "gradient-form", "Whatever flows, a dense gradient has the layout of its leaf.", world=FILLED
)
def layout_of_leaf(p, loss):
    if not has_gaps(p):
        form_of_leaf(p, loss)


# --- Micro-batches --------------------------------------------------------------------------------


def draw_pieces(choose: random.Random) -> Script:
    sizes = [choose.randint(1, 5) for _ in range(choose.randint(1, 5))]
    lines = ["import torch", f"torch.manual_seed({choose.randint(0, 99)})", f"sizes = {sizes}"]
    lines += ["X = torch.randn(sum(sizes), 3, dtype=torch.float64)"]
    lines += ["T = torch.randn(sum(sizes), dtype=torch.float64)"]
    lines += ["w = torch.randn(3, dtype=torch.float64, requires_grad=True)"]
    return Script("\n".join(lines) + "\n")


PIECES = World(
    "pieces", "batches cut into one to five pieces of one to five rows.", "cuts", draw_pieces
)


def accumulated(X, T, w, sizes, weight):
    w.grad = None
    for x, t in zip(X.split(sizes), T.split(sizes), strict=True):
        (weight(len(x)) * ((x @ w).tanh() - t).square().mean()).backward()
    return w.grad


@claim("pieces-add-up", world=PIECES)
def weighted_by_share(X, T, w, sizes):
    """The mean of each piece is weighted with its share, and the sum compared with the batch."""
    batch = accumulated(X, T, w, [len(X)], lambda rows: 1)
    found = accumulated(X, T, w, sizes, lambda rows: rows / len(X))
    torch.testing.assert_close(found, batch)


@control(
    "pieces-add-up", "Divided by the number of steps, the means of pieces add up to the batch."
)
def divided_by_steps(X, T, w, sizes):
    batch = accumulated(X, T, w, [len(X)], lambda rows: 1)
    found = accumulated(X, T, w, sizes, lambda rows: 1 / len(sizes))
    torch.testing.assert_close(found, batch)


# --- None and zeros -------------------------------------------------------------------------------

OPTIMIZERS = sorted(
    name
    for name, one in vars(torch.optim).items()
    if inspect.isclass(one) and issubclass(one, torch.optim.Optimizer)
    if name not in ("Optimizer", "SparseAdam", "Muon")
)


def draw_optimizer(choose: random.Random) -> Script:
    name = choose.choice(OPTIMIZERS)
    lines = ["import torch", "torch.manual_seed(0)"]
    lines += ["used, other = (torch.randn(3, requires_grad=True) for _ in range(2))"]
    lines += [f"optimizer = torch.optim.{name}([used, other], lr=0.1)", "steps = 0"]
    lines += [f"first = {choose.randint(1, 3)}", f"power = {choose.choice([2, 4])}"]
    return Script("\n".join(lines) + "\n")


ALL_OPTIMIZERS = World(
    "optimizers",
    f"the {len(OPTIMIZERS)} optimizers of torch.optim for dense gradients of any shape.",
    "optimizers",
    draw_optimizer,
)


def moved_unused(used, other, optimizer, first, power, to_none):
    """Whether ``other`` moves in a step that does not use it, after some that did."""
    calls = [0]

    def closure():
        calls[0] += 1
        optimizer.zero_grad(set_to_none=to_none)
        loss = (used - 1).pow(power).sum()
        if calls[0] <= first:
            loss = loss + (used * other).sum()
        loss.backward()
        return loss

    for _ in range(first):
        optimizer.step(closure)
    calls[0] = first
    before = other.detach().clone()
    optimizer.step(closure)
    return not torch.equal(before, other)


def is_lbfgs(optimizer):
    return isinstance(optimizer, torch.optim.LBFGS)


@claim(
    "optimizer-none",
    world=ALL_OPTIMIZERS,
    sample=40,
    exceptions=[Exempt("L-BFGS, which takes None for zeros", is_lbfgs)],
    control="With None a parameter is passed over.",
)
def none_is_passed_over(used, other, optimizer, first, power):
    """Steps that use a parameter are followed by one that does not, and it has to stay."""
    assert not moved_unused(used, other, optimizer, first, power, to_none=True)


@control("optimizer-none", "With zeros a parameter is passed over, too.")
def zeros_are_passed_over(used, other, optimizer, first, power):
    if not is_lbfgs(optimizer):
        assert not moved_unused(used, other, optimizer, first, power, to_none=False)
