"""What saved tensors keep alive, in bytes, each storage counted once however often it is saved."""

from collections.abc import Sequence

from backwardpass.data.graph import GraphData, Node, Saved
from backwardpass.data.passes import PassData

# A storage's number; or a node's index and a field, for what shares memory with nothing known.
Storage = int | tuple[int, str]


def held(node: Node) -> tuple[Saved, ...]:
    """List what a node keeps alive: what it saved, and the leaf it accumulates into."""
    return node.saved if node.variable is None else (*node.saved, node.variable)


def sizes(node: Node, kept: Sequence[Saved]) -> dict[Storage, int]:
    """Give the storages of some tensors that a node keeps, and the bytes of each.

    Those of unknown size are left out.

    >>> from backwardpass import Saved
    >>> twice = [Saved("self", nbytes=8, storage=0, storage_nbytes=80), Saved("mask", nbytes=3)]
    >>> sizes(Node(5, "MulBackward0", "operation"), [*twice, twice[0]])
    {0: 80, (5, 'mask'): 3}
    """
    return {key: size for saved in kept for key, size in [storage(node, saved)] if size is not None}


def storage(node: Node, saved: Saved) -> tuple[Storage, int | None]:
    """Give the storage of one tensor that a node keeps, and its bytes where they are known."""
    if saved.storage is None:
        return (node.index, saved.field), saved.nbytes
    return saved.storage, saved.storage_nbytes


def of_parameters(graph: GraphData) -> set[Storage]:
    """Collect the storages of parameters, which are alive without the graph too."""
    return {
        saved.storage
        for node in graph.nodes
        for saved in held(node)
        if saved.role == "parameter" and saved.storage is not None
    }


def saved_bytes(graph: GraphData) -> int:
    """Bytes of memory that saved tensors keep alive, each storage counted once.

    What is freed, and what a pack hook keeps out of sight, is not counted; :meth:`memory` has
    the nodes one by one, and the leaves.

    Raises
    ------
    ValueError
        If the graph was read where PyTorch shows no saved tensor; see :func:`abilities`.

    Examples
    --------
    >>> import torch, backwardpass
    >>> x = torch.ones(10, dtype=torch.float64, requires_grad=True)
    >>> backwardpass.trace((x * x).sum()).saved_bytes  # x, saved twice, kept once
    80
    """
    _check_seen(graph, "saved_bytes")
    found: dict[Storage, int] = {}
    for node in graph.nodes:
        found |= sizes(node, node.saved)
    return sum(found.values())


def kept_bytes(seen: PassData) -> tuple[int, ...]:
    """Bytes of saved tensors that the graph still keeps after each step, parameters apart.

    Needs a pass recorded with ``values=True``. A storage counts until the last node that has it
    saved lets go of it; something else may keep it alive longer.

    Raises
    ------
    ValueError
        If the pass was recorded without ``values=True``, or where PyTorch shows no saved tensor;
        see :func:`abilities`.

    Examples
    --------
    >>> import torch, backwardpass
    >>> x = torch.ones(10, dtype=torch.float64, requires_grad=True)
    >>> with backwardpass.record(values=True) as recording:
    ...     x.exp().sin().sum().backward()
    >>> recording.passes[0].kept_bytes()  # after sum, sin, exp, AccumulateGrad
    (80, 80, 0, 0)
    """
    _check_seen(seen.graph, "kept_bytes()")
    parameters = of_parameters(seen.graph)
    place: dict[tuple[int, str], Storage] = {}
    holders: dict[Storage, int] = {}
    size: dict[Storage, int] = {}
    for node in seen.graph.nodes:
        for saved in node.saved:
            key, nbytes = storage(node, saved)
            if nbytes is not None and key not in parameters:
                place[node.index, saved.field] = key
                holders[key] = holders.get(key, 0) + 1
                size[key] = nbytes
    kept, after = sum(size.values()), []
    for step in seen.steps:
        if step.freed is None:
            raise ValueError(
                "kept_bytes() needs a pass that was recorded with record(values=True);\n"
                "got one without values.\n"
                "Record it again with values=True."
            )
        for key in (place[step.node, f] for f in step.freed if (step.node, f) in place):
            holders[key] -= 1
            kept -= size[key] if holders[key] == 0 else 0
        after.append(kept)
    return tuple(after)


def _check_seen(graph: GraphData, what: str) -> None:
    """Raise `ValueError` where the sizes of saved tensors are not known at all."""
    unseen = sum(saved.role == "unknown" for node in graph.nodes for saved in node.saved)
    if unseen:
        raise ValueError(
            f"{what} needs a graph whose saved tensors were seen;\n"
            f"got one that was read with {unseen} of them out of sight.\n"
            "backwardpass.abilities()['saved tensors'] says what the PyTorch that read it lacks; "
            "nodes of C++ code and TorchScript show none with any. "
            "memory() counts the rest, and how many sizes are unknown."
        )
