"""Walk the graph behind some tensors, with a loop, and write down what is there."""

import gc
import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.autograd.graph import GradientEdge, get_gradient_edge
from torch.utils.weak import WeakTensorKeyDictionary

from backwardpass.data.graph import Edge, Kind, Node, TensorMeta
from backwardpass.data.order import execution_order
from backwardpass.graph import Graph
from backwardpass.read import pytorch
from backwardpass.read.foreign import is_node, read_foreign
from backwardpass.read.modules import module_of
from backwardpass.read.names import Names
from backwardpass.read.pytorch import ACCUMULATE, storage_of
from backwardpass.read.saved import SavedReader

SCRIPTED = "torch::jit::(anonymous namespace)::"
KINDS: dict[str, Kind] = {
    ACCUMULATE: "accumulate",
    "torch::autograd::CopySlices": "copy",
    "AliasBackward0": "identity",
}


def trace(root: Any, names: Mapping[str, Any] | torch.nn.Module | None = None) -> Graph:
    """Read the backward graph behind one or more tensors.

    Nothing runs and nothing changes: no hook, no metadata and no reference stays behind. A graph
    that a backward pass has already freed can be read too.

    Parameters
    ----------
    root
        A tensor of any shape that requires grad, a :class:`torch.autograd.graph.Node`, a
        :class:`torch.autograd.graph.GradientEdge`, or a sequence of them. Or one node of an engine
        of your own, if it answers to ``name()``, ``next_functions`` and ``_sequence_nr()`` as
        PyTorch's do; its values are taken for numbers.
    names
        Names for tensors: a mapping, such as ``vars()`` for the variables of the place of the call
        or ``dict(model.named_parameters())``, or a module, which names its parameters and buffers.
        Modules in a mapping name theirs after themselves; what is no tensor is passed over. Without
        `names` nothing is looked up, and nothing is named.

    Returns
    -------
    Graph
        Its nodes in the order in which the engine runs them on one CPU thread.

    Notes
    -----
    PyTorch 2.13 frees a graph by recursion where Python has seen its nodes, whoever showed them to
    it. A chain of more than about 40,000 nodes that has been looked at overflows a stack of 8 MiB
    when it is freed: let go of it in a thread with a larger :func:`threading.stack_size`.

    Python's cyclic garbage collector rests while the graph is read.

    Raises
    ------
    TypeError
        If a root is something else, or `names` is neither mapping nor module, or has a key that is
        no string.
    ValueError
        If a root does not require grad, or there is none, or one name is given to two tensors.

    Examples
    --------
    >>> import torch, backwardpass
    >>> W = torch.ones(3, 2, requires_grad=True)
    >>> x = torch.ones(4, 3)
    >>> y = (x @ W).tanh()
    >>> for node in backwardpass.trace(y, names={"W": W, "x": x, "y": y}).nodes:
    ...     print(node.name, node.outputs[0].shape, [saved.source for saved in node.saved])
    TanhBackward0 (4, 2) ['y']
    MmBackward0 (4, 2) ['x']
    AccumulateGrad (3, 2) []
    """
    with pytorch.unseen():  # a look at a tensor is no use of it
        if is_node(root) and not isinstance(root, torch.autograd.graph.Node):
            return read_foreign(root, names if isinstance(names, Mapping) else {})
        edges = _root_edges(root)
        return read(edges, Names(names))[0]


def read(edges: Sequence[tuple[Any, int]], names: Names) -> tuple[Graph, list[Any]]:
    """Read the graph below some (node, output number) edges.

    Returns the graph, and the engine's nodes in the same order, for as long as the caller wants
    them.
    """
    with _resting_collector():
        return _read(edges, names)


def _read(edges: Sequence[tuple[Any, int]], names: Names) -> tuple[Graph, list[Any]]:
    nodes, successors, position = _walk(edges)
    targets = [
        [position[id(target)] for target, _ in below if target is not None] for below in successors
    ]
    roots = [position[id(node)] for node, _ in edges]
    order = execution_order(targets, [pytorch.sequence_number(node) for node in nodes], roots)
    index = {id(nodes[old]): new for new, old in enumerate(order)}
    leaves = (storage_of(node.variable) for node in nodes if node.name() == ACCUMULATE)
    reader = _NodeReader(names, {storage for storage in leaves if storage is not None})
    described = tuple(
        reader.describe(nodes[old], successors[old], index, new) for new, old in enumerate(order)
    )
    keys = tuple(_key(nodes[old], node) for old, node in zip(order, described, strict=True))
    return (
        Graph(described, tuple(index[id(node)] for node, _ in edges), keys),
        [nodes[old] for old in order],
    )


@contextmanager
def _resting_collector() -> Iterator[None]:
    """Keep the garbage collector out: it would look at every node again and again, in vain."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def edges_of(tensor: Any) -> list[tuple[Any, int]]:
    """Give the edge a cotangent of `tensor` arrives by; none for what takes no part in autograd."""
    if isinstance(tensor, GradientEdge):
        return [(tensor.node, tensor.output_nr)]
    if isinstance(tensor, torch.Tensor) and tensor.requires_grad:
        edge = get_gradient_edge(tensor)
        return [(edge.node, edge.output_nr)]
    return []


def _root_edges(root: Any) -> list[tuple[Any, int]]:
    # A gradient edge is a tuple, and a tensor can be iterated over: both are one root.
    single = isinstance(root, (GradientEdge, torch.Tensor, torch.autograd.graph.Node))
    roots = list(root) if isinstance(root, (list, tuple)) and not single else [root]
    if not roots:
        raise ValueError(
            "trace() needs at least one root;\n"
            "got an empty sequence.\n"
            "Pass the tensor whose backward graph is wanted, such as the loss."
        )
    edges = []
    for item in roots:
        if isinstance(item, torch.autograd.graph.Node):
            edges.append((item, 0))
            continue
        if not isinstance(item, (torch.Tensor, GradientEdge)):
            raise TypeError(
                "trace() needs a tensor, a torch.autograd.graph.Node or GradientEdge, or a "
                "sequence of them;\n"
                f"got an object of type {type(item).__name__}.\n"
                "Pass the tensor whose backward graph is wanted, such as the loss."
            )
        found = edges_of(item)
        if not found and isinstance(item, torch.Tensor):  # a gradient edge is one in any case
            raise ValueError(_without_graph(item))
        edges += found
    return edges


def _without_graph(tensor: torch.Tensor) -> str:
    needs = "trace() needs a tensor that requires grad: it has no backward graph otherwise;\n"
    if pytorch.is_transformed(tensor):
        return needs + (
            f"got a tensor of shape {tuple(tensor.shape)} inside a torch.func transform that "
            "records no graph for it, such as vmap or jvp.\n"
            "Trace the tensor outside the transform, or inside torch.func.grad or vjp."
        )
    if tensor.is_inference():
        return needs + (
            f"got an inference tensor of shape {tuple(tensor.shape)}, made in "
            "torch.inference_mode().\n"
            "Compute it outside inference mode: there nothing is ever recorded."
        )
    return needs + (
        f"got one of shape {tuple(tensor.shape)} with requires_grad=False.\n"
        "Let an input of its computation require grad, outside torch.no_grad()."
    )


def _walk(edges: Sequence[tuple[Any, int]]) -> tuple[list[Any], list[Any], dict[int, int]]:
    """Find every node, what follows it, and its position, keyed by an id that its life keeps."""
    nodes: list[Any] = []
    position: dict[int, int] = {}

    def meet(node: Any) -> None:
        if id(node) not in position:
            position[id(node)] = len(nodes)
            nodes.append(node)

    for node, _ in edges:
        meet(node)
    successors = []
    for node in nodes:  # the list grows while it is walked
        below = node.next_functions
        successors.append(below)
        for target, _ in below:
            if target is not None:
                meet(target)
    return nodes, successors, position


class _NodeReader:
    """Describes nodes; equal descriptions of tensors are shared."""

    def __init__(self, names: Names, leaves: Collection[int]) -> None:
        self.names = names
        self.saved = SavedReader(names, leaves)
        self.metas: dict[tuple, TensorMeta] = {}

    def describe(self, node: Any, below: Any, index: Mapping[int, int], number: int) -> Node:
        outputs = tuple(self._meta(meta) for meta in pytorch.outputs(node))
        name = node.name()
        kind = _kind(node, name, outputs)
        variable = None
        if kind == "accumulate":
            leaf = node.variable
            variable, label = self.saved.variable(leaf), self.names.by_id.get(id(leaf))
        else:
            label = self.names.of_outputs(node, len(outputs))
        edges = tuple(
            Edge(None if target is None else index[id(target)], input_nr)
            for target, input_nr in below
        )
        saved, module = self.saved.read(node), module_of(node)
        name = name.removeprefix("torch::autograd::").removeprefix(SCRIPTED)
        return Node(number, name, kind, label, outputs, saved, edges, module, variable)

    def _meta(self, meta: Any) -> TensorMeta:
        shape = None if meta.is_nested_tensor else tuple(meta.shape)
        key = (shape, meta.dtype, meta.device)
        if key not in self.metas:
            self.metas[key] = TensorMeta(shape, *_type_and_place(meta))
        return self.metas[key]


def _kind(node: Any, name: str, outputs: tuple[TensorMeta, ...]) -> Kind:
    if pytorch.is_python_function(node):
        if pytorch.is_checkpoint(node):
            return "checkpoint"
        return "compiled" if pytorch.is_compiled(node) else "function"
    if name in KINDS:
        return KINDS[name]
    if name != "ViewBackward0" or not outputs:
        return "operation"
    return "identity" if pytorch.viewed_sizes(node) == outputs[0].shape else "operation"


def meta_of(tensor: torch.Tensor) -> TensorMeta:
    """Write down a tensor's shape, dtype and device."""
    return TensorMeta(None if tensor.is_nested else tuple(tensor.shape), *_type_and_place(tensor))


def _type_and_place(it: Any) -> tuple[str, str]:
    return str(it.dtype).removeprefix("torch."), str(it.device)


_leaf_numbers = WeakTensorKeyDictionary()
_next_leaf_number = itertools.count()


def _key(node: Any, described: Node) -> tuple:
    """Tell an engine node from every other of this process without holding it.

    An operation has its sequence number, counted up in each thread. All AccumulateGrad nodes carry
    the same one, but each belongs to one leaf, and leaves can be held weakly.
    """
    if described.kind != "accumulate":
        return (pytorch.sequence_number(node), described.name, described.outputs)
    leaf = node.variable
    if leaf not in _leaf_numbers:
        _leaf_numbers[leaf] = next(_next_leaf_number)
    return ("leaf", _leaf_numbers[leaf])
