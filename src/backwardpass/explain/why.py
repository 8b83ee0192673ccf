"""Why a tensor has no gradient: from the graph, from a recorded pass, from a watched forward pass.

Each tier is asked only for what the one before it cannot know, and an answer says what was seen.
Where what was seen allows more than one cause the answer is "unknown", and says what to run next.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from backwardpass.data.graph import GraphData, Node
from backwardpass.explain.answer import CHANGE, RECORD, UNSEEN, WATCH, Answer, answered, count
from backwardpass.explain.lineage import Lineage
from backwardpass.explain.passes import after_passes
from backwardpass.explain.watch import Watch
from backwardpass.read import pytorch
from backwardpass.read.names import Names
from backwardpass.read.pytorch import storage_of
from backwardpass.read.trace import edges_of, read
from backwardpass.recording.recorder import Recording
from backwardpass.show.words import clean, shape_text

MOST_LEAVES = 6


def why_no_grad(
    tensor: torch.Tensor,
    loss: torch.Tensor,
    *,
    recording: Recording | None = None,
    watched: Watch | None = None,
    names: Mapping[str, Any] | torch.nn.Module | None = None,
) -> Answer:
    """Say why the ``grad`` of a tensor is None after a backward pass from a loss.

    Nothing runs and nothing changes. The graph alone tells some causes; with a recording of the
    backward pass, and with a watched forward pass, it is told what happened and on which line.

    Parameters
    ----------
    tensor
        The tensor whose gradient is missed, of any shape.
    loss
        The tensor the backward pass is started from.
    recording
        What :func:`record` gave for the backward pass.
    watched
        What :func:`watch` gave for the forward pass.
    names
        Names for the leaves that the loss does reach, as in :func:`trace`.

    Returns
    -------
    Answer
        Its ``cause`` is one of these. From the graph: "has a gradient", "inference
        tensor", "no derivative" (it is no floating point tensor), "does not require grad", "loss
        without a graph", "not reached", "not a leaf". With a recording: "backward not run", "other
        loss", "pass raised", "autograd.grad", "left out", "function returned None", "nothing
        arrived", "cleared", "removed by a hook". With a watch: "detached", "recording was off",
        "inside a function", "no derivative", "copied", "new leaf", "frozen", "left PyTorch", "not
        used", "bound to another tensor". And "unknown", where what was seen allows several.

    Raises
    ------
    TypeError
        If an argument is of another type.

    Examples
    --------
    >>> import torch, backwardpass
    >>> w = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> h = w * 3
    >>> loss = h.sum()
    >>> loss.backward()
    >>> print(backwardpass.why_no_grad(h, loss))
    not a leaf: It is no leaf: MulBackward0 made it, and it was not asked to retain its
      gradient.
      seen: the backward pass from the loss goes through it
      to change: If its gradient is wanted, call retain_grad() on it before the backward
        pass. If it is meant to be a parameter, compute its value first and let the
        result require a gradient: requires_grad_(), or torch.nn.Parameter.

    Of a leaf that the loss reaches the graph cannot tell what became of its gradient; a recording
    of the pass can.

    >>> optimizer = torch.optim.SGD([w], lr=0.1)
    >>> loss = (w * 3).sum()
    >>> with backwardpass.record(values=True) as recording:
    ...     loss.backward()
    >>> optimizer.step()
    >>> optimizer.zero_grad()
    >>> backwardpass.why_no_grad(w, loss).cause
    'unknown'
    >>> print(backwardpass.why_no_grad(w, loss, recording=recording))  # doctest: +ELLIPSIS
    cleared: The pass gave it a gradient, and it was cleared afterwards.
      at: ...: loss.backward()
      to change: Read the gradient before zero_grad(), or before it is set to None.
    """
    _check(tensor, loss, recording, watched)
    with pytorch.unseen():
        return _answer(tensor, loss, recording, watched, names)


def _answer(
    tensor: torch.Tensor,
    loss: torch.Tensor,
    recording: Recording | None,
    watched: Watch | None,
    names: Mapping[str, Any] | torch.nn.Module | None,
) -> Answer:
    if (tensor.is_leaf or tensor.retains_grad) and tensor.grad is not None:
        what = f"a gradient of shape {tuple(tensor.grad.shape)} and norm {_norm(tensor.grad):.3g}"
        return Answer("has a gradient", f"It has {what}.")
    if tensor.is_inference():
        return answered("inference tensor", "It was made in torch.inference_mode().")
    lineage = None if watched is None else Lineage(watched, tensor, loss)
    if not tensor.requires_grad:
        return _without_grad(tensor, loss, lineage)
    if not loss.requires_grad:
        return _loss_without_graph(loss, lineage)
    graph, nodes = read(edges_of(loss), Names(names))
    here = _place_in(nodes, graph, tensor)
    if here is None:
        return _not_reached(tensor, graph, nodes, lineage)
    if not tensor.is_leaf and not tensor.retains_grad:
        return _not_a_leaf(tensor, lineage)
    if recording is None:
        return _reached(graph)
    return after_passes(graph, here, recording, nodes, lineage)


def _check(tensor: Any, loss: Any, recording: Any, watched: Any) -> None:
    wanted: list[tuple[str, Any, type | tuple[type, ...], str]] = [
        ("tensor", tensor, torch.Tensor, "Pass the tensor whose gradient is missed"),
        ("loss", loss, torch.Tensor, "Pass the tensor that backward() was called on"),
        ("recording", recording, (Recording, type(None)), "Pass what backwardpass.record() gave"),
        ("watched", watched, (Watch, type(None)), "Pass what backwardpass.watch() gave"),
    ]
    for name, given, kinds, advice in wanted:
        if not isinstance(given, kinds):
            kind = kinds[0] if isinstance(kinds, tuple) else kinds
            raise TypeError(
                f"why_no_grad() needs a {kind.__name__} for {name};\n"
                f"got an object of type {type(given).__name__}.\n"
                f"{advice}."
            )


# The first tier: the graph alone.


def _without_grad(tensor: torch.Tensor, loss: torch.Tensor, lineage: Lineage | None) -> Answer:
    if lineage is not None:
        answer = lineage.of_the_tensor()
        if answer is not None:
            return answer
    if not (tensor.is_floating_point() or tensor.is_complex()):
        kind = str(tensor.dtype).removeprefix("torch.")
        return answered("no derivative", f"Its dtype is {kind}, which cannot require a gradient.")
    seen = []
    twin = _twin(tensor, loss)
    if twin is not None:
        seen.append(
            "the loss reaches another tensor that has the same memory: this one is a detach() or "
            ".data of it, or of a view of it"
        )
    return Answer(
        "does not require grad",
        "It does not require a gradient. Nobody asked for one (requires_grad=True), or it was "
        "computed from tensors that require none, under torch.no_grad(), or through detach(), "
        ".data, NumPy, .item() or torch.tensor(), or it was frozen with requires_grad_(False).",
        change=CHANGE["frozen"] if tensor.is_leaf and twin is None else "",
        next="" if lineage else WATCH,
        seen=tuple(seen),
    )


def _loss_without_graph(loss: torch.Tensor, lineage: Lineage | None) -> Answer:
    if lineage is not None:
        answer = lineage.between()
        if answer is not None:
            return answer
    where = "in torch.inference_mode()" if loss.is_inference() else "from tensors that require no "
    where += "" if loss.is_inference() else "gradient, or where recording was off"
    return Answer(
        "loss without a graph",
        f"The loss requires no gradient itself: it was computed {where}. Its backward() raises.",
        next=UNSEEN if lineage else WATCH,
        seen=(f"the loss has shape {tuple(loss.shape)}, and no grad_fn",),
    )


def _not_reached(
    tensor: torch.Tensor, graph: GraphData, nodes: Sequence[Any], lineage: Lineage | None
) -> Answer:
    if lineage is not None:
        answer = lineage.between()
        if answer is not None:
            return answer
    if any(node.kind == "checkpoint" for node in graph.nodes):
        return Answer(
            "unknown",
            "No path is recorded from the loss to it; but one leads through a re-entrant "
            "checkpoint, which records what it computes only when the pass comes to it.",
            next=f"{RECORD}; or use checkpoint(..., use_reentrant=False), whose graph can be read",
        )
    leaves = [
        (described, node.variable)
        for described, node in zip(graph.nodes, nodes, strict=True)
        if described.kind == "accumulate"
    ]
    storage = storage_of(tensor)
    seen = [f"the loss reaches {_leaves([node for node, _ in leaves])}"]
    if storage is not None and storage in [storage_of(leaf) for _, leaf in leaves]:
        seen.append("one of them has the same memory, and is another tensor")
    behind = _behind(tensor, {id(leaf) for _, leaf in leaves})
    if behind:
        seen.append(
            f"this tensor was itself computed from {count(behind, 'of these leaves')}: the loss "
            "was computed from the leaf and not from it"
        )
    return Answer(
        "not reached",
        "It requires a gradient, and no path leads from the loss to it: the loss was computed "
        "without it, or the path was cut on the way.",
        next=UNSEEN if lineage else WATCH,
        seen=tuple(seen),
    )


def _not_a_leaf(tensor: torch.Tensor, lineage: Lineage | None) -> Answer:
    made_by = tensor.grad_fn.name() if tensor.grad_fn else "something"
    if lineage is not None:
        answer = lineage.of_a_name()
        if answer is not None:
            return answer
    return answered(
        "not a leaf",
        f"It is no leaf: {made_by} made it, and it was not asked to retain its gradient.",
        seen=("the backward pass from the loss goes through it",),
        places=lineage.made_at() if lineage else (),
    )


def _reached(graph: GraphData) -> Answer:
    saved = [saved for node in graph.nodes for saved in node.saved]
    if any(one.freed for one in saved):
        fact = "a backward pass has run over this graph and freed what it had saved"
        because = "A pass has run: it did not write to this tensor, or what it wrote was cleared."
    elif any(one.role == "unknown" for one in saved):
        fact = "whether a backward pass has freed this graph cannot be seen with this PyTorch"
        because = "backward() has not run, or what it wrote was cleared."
    else:
        fact = "no backward pass has freed anything of this graph"
        because = (
            "backward() has not run, or it ran with retain_graph=True, or over a graph that saves "
            "nothing, and what it wrote was cleared."
        )
    return Answer(
        "unknown",
        f"The loss reaches it, and it may have a gradient. {because}",
        next=RECORD,
        seen=(fact,),
    )


# Where a tensor stands in the graph, and what is told of leaves.


def _place_in(nodes: Sequence[Any], graph: GraphData, tensor: torch.Tensor) -> int | None:
    """Find the node a tensor's gradient arrives at, if an edge leads to that very output."""
    ((wanted, number),) = edges_of(tensor)
    found = [place for place, node in enumerate(nodes) if _is(node, wanted, tensor)]
    if not found:
        return None
    index = found[0]
    if index in graph.roots or len(graph.nodes[index].outputs) == 1:
        return index
    arrives = any(
        edge.target == index and edge.input_nr == number
        for node in graph.nodes
        for edge in node.edges
    )
    return index if arrives else None


def _is(node: Any, wanted: Any, tensor: torch.Tensor) -> bool:
    """Tell the node of a tensor; PyTorch may show a leaf's as two objects with one variable."""
    return node is wanted or (node.name().endswith("AccumulateGrad") and node.variable is tensor)


def _twin(tensor: torch.Tensor, loss: torch.Tensor) -> Any:
    """Find a leaf of the loss that shares memory with a tensor."""
    storage = storage_of(tensor)
    if storage is None or not loss.requires_grad:
        return None
    graph, nodes = read(edges_of(loss), Names())
    for described, node in zip(graph.nodes, nodes, strict=True):
        if described.kind == "accumulate" and storage_of(node.variable) == storage:
            return node.variable
    return None


def _behind(tensor: torch.Tensor, leaves: set[int]) -> int:
    """Count the leaves of the loss that a tensor was itself computed from."""
    if tensor.is_leaf:
        return 0
    graph, nodes = read(edges_of(tensor), Names())
    pairs = zip(graph.nodes, nodes, strict=True)
    return sum(one.kind == "accumulate" and id(node.variable) in leaves for one, node in pairs)


def _leaves(leaves: Sequence[Node]) -> str:
    if not leaves:
        return "no leaf"
    named = [
        f"{clean(leaf.label)} {shape_text(leaf.outputs[0])}" if leaf.label
        else f"one of shape {shape_text(leaf.outputs[0])}"
        for leaf in leaves[:MOST_LEAVES]
    ]  # fmt: skip
    more = len(leaves) - MOST_LEAVES
    tail = f", and {more} more" if more > 0 else ""
    return f"{count(len(leaves), 'leaf')}: {', '.join(named)}{tail}"


def _norm(grad: torch.Tensor) -> float:
    with torch.no_grad():
        dense = grad.coalesce().values() if grad.layout == torch.sparse_coo else grad
        return float(torch.linalg.vector_norm(dense.detach().to(torch.float64)))
