"""One step of a backward pass: what arrived, what was freed after it, what was written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.utils._python_dispatch import _disable_current_modes

from backwardpass._data import Graph, TensorMeta
from backwardpass._json import meta_as_dict, meta_from_dict, number_as_data, number_from_data
from backwardpass._saved import Names, SavedReader
from backwardpass._trace import meta_of

SMALL = 8  # elements of a tensor whose numbers are noted


@dataclass(frozen=True, slots=True)
class Written:
    """What an AccumulateGrad node did to its leaf's ``grad``.

    Parameters
    ----------
    how
        ``"created"`` where there was none, ``"added in place"``, ``"new"`` (a new tensor, the sum,
        took the place of the old one), ``"unchanged"``, or ``"removed"`` (by a hook on the leaf).
    tensor
        The ``grad`` there is now; ``None`` where there is none.
    taken_over
        Whether its memory is that of the cotangent that arrived, which was not copied.
    values
        The numbers of ``grad`` now, row by row, if it has at most 8 elements; ``None`` otherwise.

    Examples
    --------
    >>> import torch, backwardpass
    >>> x = torch.ones(3, requires_grad=True)
    >>> with backwardpass.record(values=True) as recording:
    ...     for _ in range(2):
    ...         x.exp().sum().backward()
    >>> [seen.steps[-1].wrote.how for seen in recording.passes]
    ['created', 'added in place']
    """

    how: str
    tensor: TensorMeta | None
    taken_over: bool = False
    values: tuple | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One node that ran.

    Parameters
    ----------
    node
        Its index in the pass's graph.
    cotangents
        What arrived, one for each output of the forward operation and of its shape; ``None`` where
        nothing did.
    norms
        The Euclidean norm of each cotangent, in double precision; ``None`` for one that did not
        arrive or whose numbers cannot be read. ``None`` as a whole, like the three fields after it,
        in a pass recorded without ``values=True``.
    values
        The numbers of each cotangent of at most 8 elements, row by row; ``None`` for a larger one.
    freed
        Fields of the saved tensors that the node let go of, after it ran and before the next one.
    wrote
        What an AccumulateGrad node did; ``None`` for other nodes.

    Examples
    --------
    >>> from backwardpass import Step, TensorMeta
    >>> Step(node=0, cotangents=(TensorMeta((), "float32", "cpu"),)).node
    0
    >>> import torch, backwardpass
    >>> x = torch.tensor([3.0, 4.0], requires_grad=True)
    >>> with backwardpass.record(values=True) as recording:
    ...     (x * x).sum().backward()
    >>> for step in recording.passes[0].steps:
    ...     print(step.values, step.norms, step.freed)
    ((1.0,),) (1.0,) ()
    ((1.0, 1.0),) (1.4142135623730951,) ('other', 'self')
    ((6.0, 8.0),) (10.0,) ()
    """

    node: int
    cotangents: tuple[TensorMeta | None, ...]
    norms: tuple[float | None, ...] | None = None
    values: tuple[tuple | None, ...] | None = None
    freed: tuple[str, ...] | None = None
    wrote: Written | None = None


class Details:
    """Watches the nodes of one pass, from one step to the next.

    What a step has done is seen when the next one begins: only then has the engine released what
    the node saved. Of tensors only numbers are kept.
    """

    def __init__(self, graph: Graph, nodes: Sequence[Any]) -> None:
        self.graph = graph
        self.nodes = nodes
        self.saved = SavedReader(Names())
        self.grad_before: tuple | None = None

    def before(self, step: Step, cotangents: Sequence[Any], done: list[Step]) -> Step:
        """Complete the step before, and note the numbers that arrive at this one."""
        self.after_last(done)
        numbers = [_numbers(cotangent) for cotangent in cotangents]
        self.grad_before = None
        if self.graph.nodes[step.node].kind == "accumulate":
            arrived = _address(cotangents[0]) if cotangents else None
            something = any(cotangent is not None for cotangent in cotangents)
            self.grad_before = (*_state(self.nodes[step.node].variable.grad), arrived, something)
        norms, values = tuple(norm for norm, _ in numbers), tuple(few for _, few in numbers)
        return replace(step, norms=norms, values=values)

    def after_last(self, done: list[Step]) -> None:
        """Complete the last step that was made."""
        if not done or done[-1].freed is not None:
            return
        step = done[-1]
        node, described = self.nodes[step.node], self.graph.nodes[step.node]
        wrote = None
        with torch._C.DisableTorchFunction():
            held = {saved.field for saved in self.saved.read(node) if not saved.freed}
            if described.kind == "accumulate":
                wrote = _written(node.variable.grad, *self.grad_before)
        freed = tuple(s.field for s in described.saved if not s.freed and s.field not in held)
        done[-1] = replace(step, freed=freed, wrote=wrote)


def _state(grad: torch.Tensor | None) -> tuple[int | None, int | None]:
    """Tell a gradient apart from another one, and from itself after an in-place operation."""
    if grad is None:
        return None, None
    return grad._cdata, None if grad.is_inference() else grad._version


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
    state = _state(grad)
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
        with torch.no_grad(), _disable_current_modes():
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


def kept_bytes(graph: Graph, steps: Sequence[Step]) -> tuple[int, ...]:
    """Follow what a graph keeps; see :meth:`BackwardPass.kept_bytes`."""
    if any(step.freed is None for step in steps):
        raise ValueError(
            "kept_bytes() needs a pass that was recorded with record(values=True);\n"
            "got one without values.\n"
            "Record it again with values=True."
        )
    of_parameters = {
        saved.storage
        for node in graph.nodes
        for saved in (*node.saved, *([node.variable] if node.variable else ()))
        if saved.role == "parameter"
    }
    holders: dict[object, int] = {}
    sizes: dict[object, int] = {}
    storage_of: dict[tuple[int, str], object] = {}
    for node in graph.nodes:
        for saved in node.saved:
            if saved.nbytes is None or saved.storage in of_parameters - {None}:
                continue
            key = (node.index, saved.field) if saved.storage is None else saved.storage
            storage_of[node.index, saved.field] = key
            holders[key] = holders.get(key, 0) + 1
            sizes[key] = saved.nbytes if saved.storage is None else saved.storage_nbytes
    kept = sum(sizes.values())
    after = []
    for step in steps:
        for field in step.freed:
            key = storage_of.get((step.node, field))
            if key is not None:
                holders[key] -= 1
                kept -= sizes[key] if holders[key] == 0 else 0
        after.append(kept)
    return tuple(after)


def step_as_dict(step: Step) -> dict[str, Any]:
    """Turn a step into plain data; what was not observed has no key."""
    data: dict[str, Any] = {
        "node": step.node,
        "cotangents": [meta_as_dict(meta) for meta in step.cotangents],
    }
    if step.norms is None:
        return data
    wrote = step.wrote and {
        "how": step.wrote.how,
        "tensor": meta_as_dict(step.wrote.tensor),
        "taken_over": step.wrote.taken_over,
        "values": _values_as_data(step.wrote.values),
    }
    values = [_values_as_data(few) for few in step.values]
    norms = [number_as_data(norm) for norm in step.norms]
    return data | {"norms": norms, "values": values, "freed": list(step.freed), "wrote": wrote}


def step_from_dict(data: Mapping[str, Any]) -> Step:
    """Undo :func:`step_as_dict`."""
    step = Step(data["node"], tuple(meta_from_dict(meta) for meta in data["cotangents"]))
    if "norms" not in data:
        return step
    wrote = data["wrote"]
    return replace(
        step,
        norms=tuple(number_from_data(norm) for norm in data["norms"]),
        values=tuple(map(_values_from_data, data["values"])),
        freed=tuple(data["freed"]),
        wrote=wrote
        and Written(
            wrote["how"],
            meta_from_dict(wrote["tensor"]),
            wrote["taken_over"],
            _values_from_data(wrote["values"]),
        ),
    )


def _values_as_data(few: tuple | None) -> list | None:
    return None if few is None else [number_as_data(number) for number in few]


def _values_from_data(few: list | None) -> tuple | None:
    return None if few is None else tuple(number_from_data(number) for number in few)
