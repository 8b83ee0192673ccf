"""One step of a backward pass: what arrived, what was freed after it, what was written."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from backwardpass.data.graph import GraphData
from backwardpass.data.passes import How, Step, Written
from backwardpass.read import pytorch
from backwardpass.read.names import Names
from backwardpass.read.saved import SavedReader
from backwardpass.read.trace import meta_of

SMALL = 8  # elements of a tensor whose numbers are noted


class Details:
    """Watches the nodes of one pass, from one step to the next.

    What a step has done is seen when the next one begins: only then has the engine released what
    the node saved. Of tensors only numbers are kept.
    """

    def __init__(self, graph: GraphData, nodes: Sequence[Any]) -> None:
        self.graph = graph
        self.nodes = nodes
        self.saved = SavedReader(Names())
        # Of a leaf before it is written to: its gradient's state, the address that arrived, and
        # whether anything did.
        self.grad_before: tuple[int | None, int | None, int | None, bool] | None = None

    def before(self, step: Step, cotangents: Sequence[Any], done: list[Step]) -> Step:
        """Complete the step before, and note the numbers that arrive at this one."""
        self.after_last(done)
        numbers = [_numbers(cotangent) for cotangent in cotangents]
        self.grad_before = None
        if self.graph.nodes[step.node].kind == "accumulate":
            arrived = _address(cotangents[0]) if cotangents else None
            something = any(cotangent is not None for cotangent in cotangents)
            was, version = pytorch.state(self.nodes[step.node].variable.grad)
            self.grad_before = was, version, arrived, something
        norms, values = tuple(norm for norm, _ in numbers), tuple(few for _, few in numbers)
        return replace(step, norms=norms, values=values)

    def after_last(self, done: list[Step]) -> None:
        """Complete the last step that was made."""
        if not done or done[-1].freed is not None:
            return
        step = done[-1]
        node, described = self.nodes[step.node], self.graph.nodes[step.node]
        wrote: Written | None = None
        with pytorch.unseen():
            held = {saved.field for saved in self.saved.read(node) if not saved.freed}
            if self.grad_before is not None:
                wrote = _written(node.variable.grad, *self.grad_before)
        done[-1] = replace(step, wrote=wrote)
        if all(saved.role != "unknown" for saved in described.saved):
            gone = (s.field for s in described.saved if not s.freed and s.field not in held)
            done[-1] = replace(done[-1], freed=tuple(gone))


def _address(tensor: torch.Tensor | None) -> int | None:
    try:
        return None if tensor is None else tensor.data_ptr()
    except (RuntimeError, NotImplementedError):  # sparse tensors, wrappers of torch.func
        return None


def _written(
    grad: torch.Tensor | None,
    before: int | None,
    version: int | None,
    arrived: int | None,
    something: bool,
) -> Written:
    if grad is None:
        return Written("removed" if something or before is not None else "unchanged", None)
    state = pytorch.state(grad)
    how: How
    if before is None:
        how = "created"
    elif state[0] != before:
        how = "new"
    else:
        how = "unchanged" if state[1] == version else "added in place"
    taken_over = how == "created" and arrived is not None and _address(grad) == arrived
    return Written(how, meta_of(grad), taken_over, _numbers(grad)[1])


def _numbers(cotangent: torch.Tensor | None) -> tuple[float | None, tuple | None]:
    """Compute the norm, and list the numbers where they are few, unseen by any mode or hook."""
    if cotangent is None:
        return None, None
    try:
        with torch.no_grad(), pytorch.undispatched():
            found = cotangent.detach()
            dense = found if found.layout == torch.strided else _entries(found)
            wide = torch.complex128 if dense.is_complex() else torch.float64
            norm = torch.linalg.vector_norm(dense, dtype=wide).item()
            if found.numel() > SMALL:
                return norm, None
            few = found if found.layout == torch.strided else found.to_dense()
            return norm, tuple(few.reshape(-1).tolist())
    except (RuntimeError, NotImplementedError):  # under vmap there are no numbers yet
        return None, None


def _entries(sparse: torch.Tensor) -> torch.Tensor:
    """Give what is not zero, entries for the same place added up."""
    return sparse.coalesce().values() if sparse.layout == torch.sparse_coo else sparse.values()
