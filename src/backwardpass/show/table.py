"""The shape table of a graph: one row a node, as text, Markdown or HTML."""

from dataclasses import astuple, dataclass

from backwardpass.data.graph import GraphData, Node
from backwardpass.data.passes import PassData
from backwardpass.show import cells
from backwardpass.show.words import clean, label_text, saved_text, shapes_text

COLUMNS = ("step", "operation", "tensor", "shape", "gradient shape", "saved")


@dataclass(frozen=True, slots=True)
class Row:
    """One node, as the table shows it.

    Parameters
    ----------
    step
        Place in the engine's order, counted from 1 as readers count: the node's index plus one.
    operation
        The node's name.
    tensor
        The names it stands for.
    shape
        The shapes of its outputs.
    gradient
        The shapes of the cotangents that arrived; "not run" where none did.
    saved
        What it saved.

    Examples
    --------
    >>> from backwardpass import Row
    >>> Row(1, "SumBackward0", "loss", "()", "()", "").operation
    'SumBackward0'
    """

    step: int
    operation: str
    tensor: str
    shape: str
    gradient: str
    saved: str


@dataclass(frozen=True, slots=True)
class Table:
    """A shape table.

    Parameters
    ----------
    rows
        One for each node, in the engine's order.

    Examples
    --------
    >>> import torch, backwardpass
    >>> x = torch.ones(2, requires_grad=True)
    >>> table = backwardpass.trace(x.sum(), names={"x": x}).table()
    >>> len(table.rows), table.rows[1].tensor
    (2, 'x')
    """

    rows: tuple[Row, ...]

    def _cells(self) -> list[tuple[str, ...]]:
        return [tuple(str(value) for value in astuple(row)) for row in self.rows]

    def to_text(self) -> str:
        """Align the columns with spaces.

        >>> from backwardpass import Row, Table
        >>> print(Table((Row(1, "SumBackward0", "loss", "()", "()", ""),)).to_text())
        step  operation     tensor  shape  gradient shape  saved
           1  SumBackward0  loss    ()     ()
        """
        return cells.text(COLUMNS, self._cells())

    def to_markdown(self) -> str:
        """Write a Markdown table, the user's text escaped.

        >>> from backwardpass import Row, Table
        >>> print(Table((Row(1, "SumBackward0", "a|b", "()", "()", ""),)).to_markdown())
        | step | operation | tensor | shape | gradient shape | saved |
        | ---: | --- | --- | --- | --- | --- |
        | 1 | SumBackward0 | a\\|b | () | () |  |
        """
        return cells.markdown(COLUMNS, self._cells())

    def to_html(self, caption: str | None = None) -> str:
        """Write an HTML table whose cells carry their column's name as ``data-label``.

        Parameters
        ----------
        caption
            A line that says what the table shows.

        Examples
        --------
        >>> from backwardpass import Row, Table
        >>> html = Table((Row(1, "SumBackward0", "a<b", "()", "()", ""),)).to_html()
        >>> '<td data-label="tensor">a&lt;b</td>' in html
        True
        """
        return cells.html(COLUMNS, self._cells(), caption)

    def _repr_html_(self) -> str:
        return self.to_html()


def tabulate(graph: GraphData, backward: PassData | None = None) -> Table:
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
    arrived = {} if backward is None else _gradients(graph, backward)
    return Table(tuple(_row(node, arrived.get(node.index, "not run")) for node in graph.nodes))


def _row(node: Node, gradient: str) -> Row:
    saved = "; ".join(saved_text(saved) for saved in node.saved)
    name = clean(node.name)
    return Row(node.index + 1, name, label_text(node), shapes_text(node.outputs), gradient, saved)


def _gradients(graph: GraphData, backward: PassData) -> dict[int, str]:
    shapes = {step.node: shapes_text(step.cotangents) for step in backward.steps}
    same = graph.match(backward.graph)
    read_back = not (graph._keys and backward.graph._keys)
    if read_back and _structure(graph) == _structure(backward.graph):
        return shapes  # no engine nodes to go by, but the same nodes in the same places
    if not same:
        raise ValueError(
            "table(backward=...) needs a pass that ran over nodes of this graph;\n"
            f"got one over {backward.graph!r}, which shares none with {graph!r}.\n"
            "Pass one recorded while the traced graph was alive."
        )
    return {here: shapes[there] for here, there in same.items() if there in shapes}


def _structure(graph: GraphData) -> tuple:
    return graph.roots, [(node.name, node.outputs, node.edges) for node in graph.nodes]
