"""Walk the graph behind some tensors, with a loop, and write down what is there."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.autograd.graph import GradientEdge, get_gradient_edge
from torch.utils.weak import WeakTensorKeyDictionary

from backwardpass._data import Edge, Graph, Node, TensorMeta
from backwardpass._engine import execution_order
from backwardpass._saved import Names, SavedReader


def trace(root: Any, names: Mapping[str, Any] | None = None) -> Graph:
    """Read the backward graph behind one or more tensors.

    Nothing runs and nothing changes: no hook, no metadata and no reference stays behind. A graph
    that a backward pass has already freed can be read too.

    Parameters
    ----------
    root
        A tensor of any shape that requires grad, a :class:`torch.autograd.graph.Node`, a
        :class:`torch.autograd.graph.GradientEdge`, or a sequence of them.
    names
        Names for tensors, such as ``vars()``, ``globals()`` or ``dict(model.named_parameters())``.
        Modules in it name their parameters; everything else that is no tensor is passed over.

    Returns
    -------
    Graph
        Its nodes in the order in which the engine runs them on one CPU thread.

    Notes
    -----
    PyTorch 2.13 frees a graph by recursion where Python has seen its nodes, whoever showed them to
    it. A chain of more than about 40,000 nodes that has been looked at overflows a stack of 8 MiB
    when it is freed: let go of it in a thread with a larger :func:`threading.stack_size`.

    Raises
    ------
    TypeError
        If a root is something else, or `names` is no mapping.
    ValueError
        If a root does not require grad, or there is none.

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
    with torch._C.DisableTorchFunction():  # a look at a tensor is no use of it
        edges = _root_edges(root)
        return read(edges, Names(names))[0]


def read(edges: Sequence[tuple[Any, int]], names: Names) -> tuple[Graph, list[Any]]:
    """Read the graph below some (node, output number) edges.

    Returns the graph, and the engine's nodes in the same order, for as long as the caller wants
    them.
    """
    nodes, successors, position = _walk(edges)
    targets = [
        [position[id(target)] for target, _ in below if target is not None] for below in successors
    ]
    roots = [position[id(node)] for node, _ in edges]
    order = execution_order(targets, [node._sequence_nr() for node in nodes], roots)
    index = {id(nodes[old]): new for new, old in enumerate(order)}
    reader = _NodeReader(names)
    described = tuple(
        reader.describe(nodes[old], successors[old], index, new) for new, old in enumerate(order)
    )
    keys = tuple(_key(nodes[old], node) for old, node in zip(order, described, strict=True))
    return (
        Graph(described, tuple(index[id(node)] for node, _ in edges), keys),
        [nodes[old] for old in order],
    )


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
        if not found:
            raise ValueError(
                "trace() needs a tensor that requires grad: it has no backward graph otherwise;\n"
                f"got one of shape {tuple(item.shape)} with requires_grad=False.\n"
                "Let an input of its computation require grad, outside torch.no_grad()."
            )
        edges += found
    return edges


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

    def __init__(self, names: Names) -> None:
        self.names = names
        self.saved = SavedReader(names)
        self.metas: dict[tuple, TensorMeta] = {}

    def describe(self, node: Any, below: Any, index: Mapping[int, int], number: int) -> Node:
        outputs = tuple(self._meta(meta) for meta in node._input_metadata)
        name = node.name().removeprefix("torch::autograd::")
        if name == "AccumulateGrad":
            kind, label = "accumulate", self.names.by_id.get(id(node.variable))
        else:
            kind = "function" if isinstance(node, torch._C._FunctionBase) else "operation"
            label = self.names.of_outputs(node, len(outputs))
        edges = tuple(
            Edge(None if target is None else index[id(target)], input_nr)
            for target, input_nr in below
        )
        return Node(number, name, kind, label, outputs, self.saved.read(node), edges)

    def _meta(self, meta: Any) -> TensorMeta:
        shape = None if meta.is_nested_tensor else tuple(meta.shape)
        key = (shape, meta.dtype, meta.device)
        if key not in self.metas:
            self.metas[key] = TensorMeta(shape, *_type_and_place(meta))
        return self.metas[key]


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
        return (node._sequence_nr(), described.name, described.outputs)
    leaf = node.variable
    if leaf not in _leaf_numbers:
        _leaf_numbers[leaf] = next(_next_leaf_number)
    return ("leaf", _leaf_numbers[leaf])
