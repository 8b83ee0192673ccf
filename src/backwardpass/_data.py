"""A backward graph as plain data: frozen, comparable, printable as JSON, free of tensors."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from backwardpass._memory import Memory
    from backwardpass._record import BackwardPass
    from backwardpass._table import Table


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
        Python function, so no backward pass releases it) or ``"freed"``.

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
    role: str | None = None


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
    kind: str
    label: str | None = None
    outputs: tuple[TensorMeta, ...] = ()
    saved: tuple[Saved, ...] = ()
    edges: tuple[Edge, ...] = ()
    module: str | None = None
    variable: Saved | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Graph:
    """A backward graph, its nodes in the order in which the engine runs them on one CPU thread.

    Parameters
    ----------
    nodes
        ``nodes[i].index == i``.
    roots
        Indices of the nodes a backward pass starts from, in the order given to :func:`trace`.

    Examples
    --------
    >>> import torch, backwardpass
    >>> from backwardpass import Graph
    >>> x = torch.ones(2, requires_grad=True)
    >>> graph = backwardpass.trace(x.exp().sum())
    >>> graph
    Graph(3 nodes, roots=(0,))
    >>> Graph.from_dict(graph.as_dict()) == graph
    True
    """

    nodes: tuple[Node, ...]
    roots: tuple[int, ...]
    # What tells the engine's nodes apart within this process. Never printed, compared or stored.
    _keys: tuple[Any, ...] = field(default=(), compare=False)

    def __repr__(self) -> str:
        plural = "" if len(self.nodes) == 1 else "s"
        return f"Graph({len(self.nodes)} node{plural}, roots={self.roots})"

    def __str__(self) -> str:
        return self.to_text()

    @property
    def saved_bytes(self) -> int:
        """Bytes of memory that saved tensors keep alive, each storage counted once.

        What is freed, and what a pack hook keeps out of sight, is not counted; :meth:`memory` has
        the nodes one by one, and the leaves.

        >>> import torch, backwardpass
        >>> x = torch.ones(10, dtype=torch.float64, requires_grad=True)
        >>> backwardpass.trace((x * x).sum()).saved_bytes  # x, saved twice, kept once
        80
        """
        storages: dict[int, int] = {}
        rest = 0
        for saved in (saved for node in self.nodes for saved in node.saved):
            if saved.storage is not None:
                storages[saved.storage] = saved.storage_nbytes or 0
            else:
                rest += saved.nbytes or 0
        return sum(storages.values()) + rest

    def match(self, other: "Graph") -> dict[int, int]:
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

    def memory(self) -> "Memory":
        """Count the bytes the graph keeps alive: by node, in total, and parameters apart.

        Examples
        --------
        >>> import torch, backwardpass
        >>> x = torch.ones(10, dtype=torch.float64, requires_grad=True)
        >>> memory = backwardpass.trace((x * x).exp().sum(), names={"x": x}).memory()
        >>> memory.total, memory.parameters, memory.activations
        (160, 80, 80)
        >>> print(memory.to_text())
        step  operation       tensor  bytes  new here  parameters
           2  ExpBackward0               80        80           0
           3  MulBackward0               80        80          80
           4  AccumulateGrad  x          80         0          80
              total                               160          80
        """
        from backwardpass._memory import memory

        return memory(self)

    def table(self, backward: "BackwardPass | None" = None) -> "Table":
        """Tabulate the graph: step, operation, tensor, shape, gradient shape, saved.

        Parameters
        ----------
        backward
            A recorded pass over this graph, or over one that shares nodes with it; it fills in the
            gradient shapes, which are "not run" without it.

        Raises
        ------
        ValueError
            If the pass ran over none of this graph's nodes.

        Examples
        --------
        >>> import torch, backwardpass
        >>> x = torch.ones(2, 3, requires_grad=True)
        >>> loss = x.exp().sum()
        >>> print(backwardpass.trace(loss, names={"x": x, "loss": loss}).table().to_text())
        step  operation       tensor  shape   gradient shape  saved
           1  SumBackward0    loss    ()      not run
           2  ExpBackward0            (2, 3)  not run         result (2, 3), 24 B
           3  AccumulateGrad  x       (2, 3)  not run
        """
        from backwardpass._table import tabulate

        return tabulate(self, backward)

    def to_text(self, max_nodes: int | None = 200) -> str:
        """Write the graph as a tree for the terminal; ``print(graph)`` does the same.

        A node stands once, with its place in the engine's order. Its edges lead to the indented
        branches below it and to the next line of its own column; to a node that stands elsewhere
        an arrow leads, with that node's number.

        Parameters
        ----------
        max_nodes
            Above so many nodes repeated blocks and then the middle are folded, and counted;
            ``None`` folds nothing.

        Examples
        --------
        >>> import torch, backwardpass
        >>> x, W = torch.ones(4, 3), torch.ones(3, 2, requires_grad=True)
        >>> y = (x @ W).tanh()
        >>> print(backwardpass.trace((y * y).sum(), names={"x": x, "W": W, "y": y}))
        1 SumBackward0 ()
        2 MulBackward0 (4, 2)  saves other = y, self = y
        ├─ → 3
        3 TanhBackward0 y (4, 2)  saves result = y
        4 MmBackward0 (4, 2)  saves self = x
        ├─ no gradient
        5 AccumulateGrad W (3, 2)
        """
        from backwardpass._tree import to_text

        return to_text(self, max_nodes)

    def to_dot(self) -> str:
        """Write the graph in Graphviz's DOT language, labels escaped.

        Examples
        --------
        >>> import torch, backwardpass
        >>> x = torch.ones(2, requires_grad=True)
        >>> print(backwardpass.trace(x.sum(), names={"x": x}).to_dot())
        digraph {
          rankdir=TB
          node [fontname="monospace" fontsize=12]
          edge [fontname="monospace" fontsize=10]
          n0 [shape=box style=rounded label="SumBackward0\\n()"]
          n1 [shape=box style=bold label="AccumulateGrad\\nx (2,)"]
          n0 -> n1 [label="(2,)"]
        }
        """
        from backwardpass._dot import to_dot

        return to_dot(self)

    def to_svg(
        self,
        title: str | None = None,
        description: str | None = None,
        prefix: str | None = None,
        max_nodes: int | None = 200,
        timeout: float = 60.0,
    ) -> str:
        """Draw the graph as an SVG element that can stand in a page.

        Nodes that ran inside :func:`modules` are framed by module. Colours are CSS variables
        (``--bp-...``) with fallbacks that read on white.

        Parameters
        ----------
        title, description
            The accessible name and description; by default both are made from the graph.
        prefix
            Start of the two element ids; by default a hash of the picture. Needed only where one
            page shows the same picture twice.
        max_nodes
            Above so many nodes repeated blocks and then the middle are folded into boxes that say
            how many nodes they stand for; ``None`` folds nothing.
        timeout
            Seconds that Graphviz may take to lay out a large graph.

        Raises
        ------
        RuntimeError
            If neither pygraphviz nor the program ``dot`` is there to lay the graph out.
        LayoutTimeoutError
            If the layout takes longer than `timeout`; it is a `RuntimeError`.
        ValueError
            If `max_nodes` is below 3.

        Examples
        --------
        >>> import torch, backwardpass
        >>> x = torch.ones(2, requires_grad=True)
        >>> svg = backwardpass.trace(x.sum()).to_svg(title="A sum")
        >>> svg.startswith("<svg "), "<title id=" in svg
        (True, True)
        """
        from backwardpass._svg import to_svg

        return to_svg(self, title, description, prefix, max_nodes, timeout)

    def _repr_html_(self) -> str:
        # The picture is looked at first; a table of many rows would push what follows away.
        table = (
            '<details class="bp-details"><summary>Shapes, node by node</summary>'
            f"{self.table().to_html()}</details>"
        )
        try:
            return f'<div class="bp-figure">{self.to_svg()}</div>\n{table}'
        except RuntimeError as missing:
            # A notebook without Graphviz still shows the table, and why there is no picture.
            from html import escape

            return f"<p>{escape(str(missing))}</p>\n{table}"

    def as_dict(self) -> dict[str, Any]:
        """Turn the graph into lists, dictionaries, strings and numbers, as JSON has them.

        Examples
        --------
        >>> import torch, backwardpass
        >>> x = torch.ones(2, requires_grad=True)
        >>> backwardpass.trace(x.sum()).as_dict()["nodes"][0]["edges"]
        [{'target': 1, 'input_nr': 0}]
        """
        from backwardpass._json import graph_as_dict

        return graph_as_dict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Graph":
        """Read a graph from what :meth:`as_dict` wrote.

        Raises
        ------
        ValueError
            If the data was not written by this version's :meth:`as_dict`.

        Examples
        --------
        >>> from backwardpass import Graph
        >>> Graph.from_dict({"format": 1, "roots": [], "nodes": []})
        Graph(0 nodes, roots=())
        """
        from backwardpass._json import graph_from_dict

        return graph_from_dict(data)
