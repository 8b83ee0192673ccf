"""Falsifiers of what chapters say about where gradients lie, and what a pass frees."""

import torch
from press.trials.claims import Exempt, claim
from press.worlds import programs

import backwardpass


def behind(roots):
    """All nodes behind the roots."""
    nodes = list(dict.fromkeys(root.grad_fn for root in roots))
    for node in nodes:
        for child, _ in node.next_functions:
            if child is not None and child not in nodes:
                nodes.append(child)
    return nodes


# --- The memory of a gradient ---------------------------------------------------------------------

# Rules that hand on a view of the cotangent, and rules that hand on the cotangent itself.
VIEWS = {f"{name}Backward0" for name in ("View", "ReshapeAlias", "T", "Transpose", "Cat", "Stack")}
ITSELF = {f"{name}Backward0" for name in ("Add", "Sub", "Clone", "Expand", "Sum")}


def moves(roots):
    """Whether a view of a cotangent comes to a leaf with no number computed on the way."""
    return any(node.name() in VIEWS and to_leaf(node) for node in behind(roots))


def to_leaf(node):
    """Whether a leaf is behind a node, or behind more that hand on what they receive."""
    return any(
        hasattr(child, "variable") or (child.name() in VIEWS | ITSELF and to_leaf(child))
        for child, _ in node.next_functions
        if child is not None
    )


@claim(
    "gradient-own-memory",
    world=programs(without=["reentrant"]),
    exceptions=[
        Exempt("a rule handed on a view of a cotangent, as those of view, T and cat do", moves)
    ],
    control="A gradient is stored in memory of its own.",
)
def own_memory(leaves, roots):
    """The storages of all gradients and seeds are compared, and their sizes with the leaves'."""
    seeds = [torch.ones_like(root) for root in roots]
    torch.autograd.backward(roots, seeds)
    stored = [leaf.grad.untyped_storage() for leaf in leaves if leaf.grad is not None]
    places = [storage.data_ptr() for storage in stored]
    assert len(places) == len(set(places)), "two gradients lie in one storage"
    theirs = {seed.untyped_storage().data_ptr() for seed in seeds}
    assert not theirs & set(places), "a gradient lies in the memory of a seed"
    sizes = {storage.nbytes() for storage in stored}
    assert sizes <= {leaves[0].untyped_storage().nbytes()}, "a gradient keeps a larger storage"


# --- A second pass --------------------------------------------------------------------------------


def has_copy_slices(roots):
    """Whether a view was written in place."""
    return any(node.name().endswith("CopySlices") for node in behind(roots))


@claim(
    "second-pass-saved",
    world=programs(without=["reentrant"]),
    exceptions=[Exempt("a view was written in place: CopySlices lets go of its inner node",
                       has_copy_slices)],
    control="A second pass raises exactly where a node of the first had saved a tensor.",
)  # fmt: skip
def raises_where_saved(roots):
    """Two passes are run, and whether the second raises is compared with what nodes had saved."""
    graph = backwardpass.trace(roots)
    saved = any(node.saved for node in graph.nodes)
    seeds = [torch.ones_like(root) for root in roots]
    torch.autograd.backward(roots, seeds)
    try:
        torch.autograd.backward(roots, seeds)
    except RuntimeError:
        assert saved, "nothing had been saved, and a second pass raises"
    else:
        assert not saved, "a tensor had been saved, and a second pass runs"
