"""A backward graph as plain data: frozen, comparable, printable as JSON, free of tensors."""

from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["operation", "accumulate", "function", "checkpoint", "compiled", "copy", "identity"]
Role = Literal[
    "parameter",
    "input",
    "result",
    "number",
    "packed",
    "checkpoint",
    "attribute",
    "freed",
    "unknown",
]


@dataclass(frozen=True, slots=True)
class TensorMeta:
    """What the graph knows about a tensor without its numbers.

    Parameters
    ----------
    shape
        Sizes, as a tuple; ``None`` for a nested tensor, which has no single shape.
    dtype
        The element type without the ``torch.`` prefix, such as ``"float64"``.
    device
        Such as ``"cpu"``.

    Examples
    --------
    >>> from backwardpass import TensorMeta
    >>> TensorMeta((3, 4), "float64", "cpu").shape
    (3, 4)
    """

    shape: tuple[int, ...] | None
    dtype: str
    device: str


@dataclass(frozen=True, slots=True)
class Saved:
    """A tensor that a node keeps from the forward pass for its own backward.

    Parameters
    ----------
    field
        Its name in the node: ``"self"``, ``"mat1"``, ``"result"``, ``"tensors[0]"``.
    shape
        Of the saved tensor; ``None`` where it is freed or cannot be seen.
    dtype
        Likewise, without the ``torch.`` prefix.
    nbytes
        Elements times bytes per element; 0 once freed, ``None`` where it cannot be known (sparse
        tensors, what a pack hook returned).
    source
        Where it comes from: a variable's name, ``"view of W"``, ``"result"`` (the node's own
        output), ``"a number"`` (a Python number PyTorch wrapped in a tensor),
        ``"packed by a hook"``, or ``None`` for a tensor without a name.
    freed
        True once a backward pass has released it.
    storage
        A number that tells storages within one graph apart: tensors with the same one share memory.
    storage_nbytes
        The bytes of that storage.
    role
        What it is to the graph: ``"parameter"`` (a leaf the graph accumulates into, an
        :class:`torch.nn.Parameter`, or a view of one), ``"input"`` (any other tensor the operation
        was given), ``"result"`` (made by the operation itself), ``"number"``, ``"packed"`` (by a
        hook), ``"checkpoint"`` (not kept, computed again), ``"attribute"`` (set on the `ctx` of a
        Python function, so no backward pass releases it), ``"freed"``, or ``"unknown"``: PyTorch
        does not let it be seen, and the field may as well be empty or freed; see
        :func:`abilities`.

    Examples
    --------
    >>> from backwardpass import Saved
    >>> Saved("self", (3,), "float32", nbytes=12, source="x").freed
    False
    """

    field: str
    shape: tuple[int, ...] | None = None
    dtype: str | None = None
    nbytes: int | None = None
    source: str | None = None
    freed: bool = False
    storage: int | None = None
    storage_nbytes: int | None = None
    role: Role | None = None


@dataclass(frozen=True, slots=True)
class Edge:
    """Where a node sends one of the cotangents it computes.

    Parameters
    ----------
    target
        Index of the node that receives it; ``None``, PyTorch's ``(None, 0)``, where the operation's
        input needs no gradient or is no tensor, so that nothing is computed for it.
    input_nr
        Which output of the target's forward operation the cotangent belongs to.

    Examples
    --------
    >>> from backwardpass import Edge
    >>> Edge(target=None, input_nr=0)
    Edge(target=None, input_nr=0)
    """

    target: int | None
    input_nr: int


@dataclass(frozen=True, slots=True)
class Node:
    """One backward operation.

    Parameters
    ----------
    index
        Position in ``Graph.nodes``, counted from 0.
    name
        As PyTorch prints it: ``"AddmmBackward0"``, ``"AccumulateGrad"``.
    kind
        ``"operation"``, ``"accumulate"`` (adds into a leaf's ``grad``), ``"function"`` (a
        :class:`torch.autograd.Function` written in Python), ``"checkpoint"`` (re-entrant
        checkpointing: a forward pass to be run again), ``"compiled"`` (what
        :func:`torch.compile` made), ``"copy"`` (an in-place operation on a view, seen from its
        base: ``CopySlices``) or ``"identity"`` (a view of a whole tensor in its own shape, which
        passes its cotangent on).
    label
        The names of the tensors it produced, or of the leaf it accumulates into.
    outputs
        The outputs of the forward operation; an incoming cotangent has the same shapes.
    saved
        What it keeps from the forward pass.
    edges
        Where it sends what it computes.
    module
        Path of the innermost module whose forward pass made it, where that ran inside
        :func:`modules`; ``""`` is the model itself, ``None`` none.
    variable
        The leaf an ``AccumulateGrad`` node keeps alive, described like a saved tensor.

    Examples
    --------
    >>> from backwardpass import Node, TensorMeta
    >>> Node(0, "SumBackward0", "operation", "loss", (TensorMeta((), "float32", "cpu"),)).label
    'loss'
    """

    index: int
    name: str
    kind: Kind
    label: str | None = None
    outputs: tuple[TensorMeta, ...] = ()
    saved: tuple[Saved, ...] = ()
    edges: tuple[Edge, ...] = ()
    module: str | None = None
    variable: Saved | None = None


@dataclass(frozen=True, slots=True, repr=False)
class GraphData:
    """The nodes of a graph, without the ways to show them: see :class:`backwardpass.Graph`."""

    nodes: tuple[Node, ...]
    roots: tuple[int, ...]
    # What tells the engine's nodes apart within this process. Never printed, compared or stored.
    _keys: tuple[Any, ...] = field(default=(), compare=False)

    def __repr__(self) -> str:
        plural = "" if len(self.nodes) == 1 else "s"
        return f"{type(self).__name__}({len(self.nodes)} node{plural}, roots={self.roots})"

    def match(self, other: "GraphData") -> dict[int, int]:
        """Find the nodes of this graph that are the same engine nodes as nodes of another one.

        Parameters
        ----------
        other
            A graph traced in the same process.

        Returns
        -------
        dict
            Index in this graph to index in the other. Empty when either graph was read back with
            :meth:`from_dict`, which knows nothing of the engine's nodes.

        Examples
        --------
        >>> import torch, backwardpass
        >>> x = torch.ones(2, requires_grad=True)
        >>> y = x.exp()
        >>> backwardpass.trace(y.sum()).match(backwardpass.trace(y))
        {1: 0, 2: 1}
        """
        there = {key: index for index, key in enumerate(other._keys)}
        return {i: there[key] for i, key in enumerate(self._keys) if key in there}

    def recorded(self) -> tuple[int, ...]:
        """List the operations in the order in which the forward pass recorded them.

        Returns
        -------
        tuple of int
            Indices of ``Graph.nodes``, without those of leaves, which no operation records. Empty
            for a graph that was read back with :meth:`from_dict`.

        Examples
        --------
        >>> import torch, backwardpass
        >>> x = torch.ones(2, requires_grad=True)
        >>> graph = backwardpass.trace(x.exp().sin().sum())
        >>> [graph.nodes[index].name for index in graph.recorded()]
        ['ExpBackward0', 'SinBackward0', 'SumBackward0']
        """
        numbered = [(key[0], i) for i, key in enumerate(self._keys) if key[0] != "leaf"]
        return tuple(index for _, index in sorted(numbered))

    def sequence_numbers(self) -> tuple[int | None, ...]:
        """List the numbers PyTorch counted the nodes by as it recorded them, in each thread.

        Returns
        -------
        tuple of int or None
            One for each of ``Graph.nodes``; ``None`` for a leaf's, which is not counted. Empty for
            a graph that was read back with :meth:`from_dict`, and for another engine's.

        Examples
        --------
        >>> import torch, backwardpass
        >>> x = torch.ones(2, requires_grad=True)
        >>> last, first, leaf = backwardpass.trace(x.exp().sin()).sequence_numbers()
        >>> last - first, leaf
        (1, None)
        """
        return tuple(None if key[0] == "leaf" else key[0] for key in self._keys)
