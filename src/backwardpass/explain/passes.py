"""What recorded passes did to a tensor's gradient: wrote it, left it out, brought None."""

import inspect
import linecache
from collections.abc import Mapping, Sequence
from typing import Any

from backwardpass.data.graph import GraphData, Node
from backwardpass.data.passes import PassData
from backwardpass.explain.answer import RECORD, VALUES, Answer, count
from backwardpass.explain.lineage import MOST_PLACES, Lineage
from backwardpass.explain.place import Place
from backwardpass.read import pytorch
from backwardpass.recording.recorder import Recording
from backwardpass.show.words import clean


def after_passes(
    graph: GraphData,
    here: int,
    recording: Recording,
    nodes: Sequence[Any],
    lineage: Lineage | None,
) -> Answer:
    """Answer from recorded passes about the node `here`, which a tensor's gradient arrives at."""
    if not recording.passes:
        saved = [saved for node in graph.nodes for saved in node.saved]
        freed = any(one.freed for one in saved)
        if not freed and any(one.role == "unknown" for one in saved):
            return Answer(
                "backward not run",
                "No backward pass started inside the recorded block.",
                change="Call loss.backward() after the forward pass.",
                next=f"{RECORD}, if a pass outside of the block has run: it cannot be seen with "
                "this PyTorch",
            )
        return Answer(
            "backward not run",
            "No backward pass started inside the recorded block.",
            change="" if freed else "Call loss.backward() after the forward pass.",
            next=RECORD if freed else "",
            seen=("a pass outside of the block has freed this graph",) if freed else (),
        )
    answers = [_of_pass(graph, here, seen, nodes, lineage) for seen in recording.passes]
    found = [answer for answer in answers if answer is not None]
    # A pass that wrote to it explains more than one that did not, and a late one more than an
    # early one.
    order = ("cleared", "removed by a hook", "function returned None", "nothing arrived")
    for cause in order:
        for answer in reversed(found):
            if answer.cause == cause:
                return answer
    if found:
        return found[-1]
    places = tuple(_place_of(seen) for seen in recording.passes[-MOST_PLACES:])
    return Answer(
        "other loss",
        f"{count(len(recording.passes), 'recorded pass')} ran, none of them from this "
        "loss or through it.",
        change="Call backward() on the loss of the same forward pass.",
        places=places,
    )


def _of_pass(
    graph: GraphData, here: int, seen: PassData, nodes: Sequence[Any], lineage: Lineage | None
) -> Answer | None:
    """Say what one pass did to the node; None where it did not go through this loss."""
    there = graph.match(seen.graph)
    if not there.keys() & set(graph.roots):
        return None
    ran = [step for step in seen.steps if step.node == there[here]]
    if not ran:
        return _did_not_run(seen)
    if all(cotangent is None for cotangent in ran[-1].cotangents):
        return _nothing_arrived(seen, there, here, nodes)
    wrote = ran[-1].wrote
    if wrote is not None and wrote.how == "removed":
        return Answer(
            "removed by a hook",
            "The pass gave it a gradient, and a hook on the tensor took it away at once.",
            change="Look at what was registered with register_post_accumulate_grad_hook(): "
            "optimizers that step during the backward pass do this.",
            places=(_place_of(seen),),
        )
    cleared = lineage.cleared_at() if lineage else ()
    return Answer(
        "cleared",
        "The pass gave it a gradient, and it was cleared afterwards.",
        change="Read the gradient before zero_grad(), or before it is set to None.",
        next="" if wrote or cleared else VALUES,
        places=(*cleared, _place_of(seen)),
    )


def _did_not_run(seen: PassData) -> Answer:
    places = (_place_of(seen),)
    if seen.call == "grad":
        return Answer(
            "autograd.grad",
            "torch.autograd.grad() returns gradients, and writes to no .grad.",
            change="Use what it returns, or call backward().",
            places=places,
        )
    if seen.error is not None:
        return Answer(
            "pass raised",
            "The pass ended with an exception before it came to this tensor.",
            change="Mend what raises; then clear the gradients and run the forward pass again.",
            seen=(f"{seen.error.splitlines()[0] if seen.error else 'an exception'}",),
            places=places,
        )
    return Answer(
        "left out",
        "The pass ran without it: it was started with inputs= that do not include it.",
        change="Name it in inputs=, or leave inputs= out.",
        places=places,
    )


def _nothing_arrived(
    seen: PassData, there: Mapping[int, int], here: int, nodes: Sequence[Any]
) -> Answer:
    """Say which nodes had a gradient and sent none towards this one."""
    origins = _origins_of_none(seen, there[here])
    functions = [node for node in origins if node.kind == "function"]
    if not functions:
        names = ", ".join(dict.fromkeys(clean(node.name) for node in origins)) or "nothing"
        return Answer(
            "nothing arrived",
            "The pass came to it, and brought no gradient.",
            seen=(f"a gradient went into {names}, and none came out towards this tensor",),
            places=(_place_of(seen),),
        )
    back = {then: now for now, then in there.items()}
    lines = [_backward_of(nodes[back[node.index]]) for node in functions if node.index in back]
    name = clean(functions[0].name).removesuffix("Backward")
    return Answer(
        "function returned None",
        f"The backward() of {name}, a torch.autograd.Function, got a gradient and returned None "
        "for the input that leads to this tensor.",
        change="Return the gradient in the place of that input: one for each argument of "
        "forward(), in its order.",
        places=(*(line for line in lines if line is not None), _place_of(seen)),
    )


def _origins_of_none(seen: PassData, index: int) -> list[Node]:
    """Follow the None that arrived at a node back to the nodes that had a gradient."""
    arrived = {step.node: step.cotangents for step in seen.steps}
    senders: dict[int, list[int]] = {}
    for node in seen.graph.nodes:
        for edge in node.edges:
            if edge.target is not None:
                senders.setdefault(edge.target, []).append(node.index)
    origins: list[Node] = []
    queue, met = [index], set()
    for receiver in queue:  # the list grows while it is walked
        for sender in senders.get(receiver, ()):
            if sender in met or sender not in arrived:
                continue
            met.add(sender)
            if any(cotangent is not None for cotangent in arrived[sender]):
                origins.append(seen.graph.nodes[sender])
            else:
                queue.append(sender)
    return origins


def _backward_of(node: Any) -> Place | None:
    """Find where the backward of a Python function is written."""
    backward: Any = getattr(pytorch.function_of(node), "backward", None)
    try:
        _, line = inspect.getsourcelines(backward)
        filename = inspect.getsourcefile(backward) or ""
        start = next(
            number
            for number, text in enumerate(linecache.getlines(filename)[line - 1 :], start=line)
            if text.lstrip().startswith("def ")
        )
    except (OSError, TypeError, StopIteration):
        return None
    return Place(filename, start, "backward")


def _place_of(seen: PassData) -> Place:
    return Place(seen.filename, seen.line, "<pass>")
