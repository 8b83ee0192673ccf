"""Falsifiers of the methods that chapters teach for finding what is wrong with a gradient."""

import torch
from press.trials.claims import assume, claim, control
from press.worlds import programs

MASKED = programs(without=["reentrant", "function", "checkpoint", "hook"], often=["masked"])


def watch(roots):
    """For each node of a pass, in order: its name, and whether what came and went was finite."""
    nodes = list(dict.fromkeys(root.grad_fn for root in roots))
    for node in nodes:
        for child, _ in node.next_functions:
            if child is not None and child not in nodes:
                nodes.append(child)
    seen = []
    for node in nodes:

        def note(sent, got, node=node):
            seen.append((node.name(), finite(got), finite(sent)))

        node.register_hook(note)
    torch.autograd.backward(roots, [torch.ones_like(root) for root in roots])
    return seen


def finite(tensors):
    """Whether all numbers are finite; what is not there has none."""
    return all(bool(t.isfinite().all()) for t in tensors if t is not None)


@claim("first-nan", world=MASKED)
def finite_in_and_not_out(roots):
    """A square root of a negative number is hidden by a mask; the method has to name its node."""
    seen = watch(roots)
    assume(not all(got and sent for _, got, sent in seen))
    made = {name for name, got, sent in seen if got and not sent}
    assert made == {"SqrtBackward0"}, f"the method names {made}"


@control("first-nan", "The node that made the first NaN is the last one that received none.")
def last_that_received_none(roots):
    seen = watch(roots)
    assume(not all(got and sent for _, got, sent in seen))
    last = [name for name, got, _ in seen if got][-1]
    assert last == "SqrtBackward0", f"the method names {last}"
