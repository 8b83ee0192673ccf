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

# Rules that hand a cotangent on, or a part of it, without computing a number.
MOVES = ("View", "ReshapeAlias", "Transpose", "T", "Permute", "Cat", "Stack", "Expand", "Unbind")
MOVES += ("Split", "Alias", "AsStrided", "Squeeze", "Unsqueeze", "Select", "Slice")


def moves(roots):
    """Whether a node's rule hands on a view of what it received."""
    names = {f"{name}Backward0" for name in MOVES}
    return any(node.name() in names for node in behind(roots))


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
