"""A graph and a pass as their users have them: the data, and the ways to show it as methods.

Each method is a function of `data` or `show` whose first argument is the graph or the pass; its
documentation stands there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from backwardpass.data import codec, storages
from backwardpass.data.graph import GraphData
from backwardpass.data.passes import PassData
from backwardpass.show import dot, files, memory, svg, table, tree

MOST_ROWS = 1000  # of the table that a notebook displays


class Graph(GraphData):
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

    __slots__ = ()

    def __str__(self) -> str:
        return self.to_text()

    saved_bytes = property(storages.saved_bytes)
    memory = memory.memory
    table = table.tabulate
    to_text = tree.to_text
    to_dot = dot.to_dot
    to_svg = svg.to_svg
    save = files.save
    as_dict = codec.graph_as_dict

    def _repr_html_(self) -> str:
        # The picture is looked at first; a table of many rows would push what follows away.
        first = Graph(self.nodes[:MOST_ROWS], (), self._keys[:MOST_ROWS])
        more = len(self.nodes) - MOST_ROWS
        rest = f"<p>And {more:,} nodes more: graph.table() has all of them.</p>" if more > 0 else ""
        shapes = (
            '<details class="bp-details"><summary>Shapes, node by node</summary>'
            f"{first.table().to_html()}{rest}</details>"
        )
        try:
            return f'<div class="bp-figure">{self.to_svg()}</div>\n{shapes}'
        except RuntimeError as missing:
            # A notebook without Graphviz still shows the table, and why there is no picture.
            return f"<p>{escape(str(missing))}</p>\n{shapes}"

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
        return cls(*codec.graph_fields(data))


@dataclass(frozen=True, slots=True)
class BackwardPass(PassData):
    """One recorded backward pass.

    Parameters
    ----------
    call
        ``"backward"``, which accumulates into leaves, or ``"grad"``, which returns gradients.
    filename
        Where it was called: the first frame outside PyTorch and this package.
    line
        The line of that file.
    retain_graph
        As the engine was told.
    create_graph
        Likewise.
    graph
        The graph behind the pass's roots, read before it ran.
    steps
        The nodes that ran, in order.
    error
        The text of the exception the pass ended with, if any.

    Examples
    --------
    >>> from backwardpass import BackwardPass, Graph
    >>> BackwardPass("grad", "a.py", 1, False, False, Graph((), ()), ()).error is None
    True
    """

    graph: Graph

    as_dict = codec.pass_as_dict

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "BackwardPass":
        """Read a pass from what :meth:`as_dict` wrote.

        Raises
        ------
        ValueError
            If the data was not written by this version's :meth:`as_dict`.

        Examples
        --------
        >>> from backwardpass import BackwardPass, Graph
        >>> empty = BackwardPass("grad", "a.py", 1, False, False, Graph((), ()), ())
        >>> BackwardPass.from_dict(empty.as_dict()) == empty
        True
        """
        return cls(**codec.pass_fields(data) | {"graph": Graph.from_dict(data["graph"])})

    kept_bytes = storages.kept_bytes
