"""What a graph keeps alive, counted in bytes: each storage once, however often it is saved."""

from dataclasses import dataclass

from backwardpass import _render
from backwardpass._data import Graph, Node, Saved
from backwardpass._text import clean, label_text

COLUMNS = ("step", "operation", "tensor", "bytes", "new here", "parameters")
NUMBERS = (0, 3, 4, 5)  # the columns that are aligned on the right


@dataclass(frozen=True, slots=True)
class MemoryRow:
    """What one node keeps alive, in bytes.

    Parameters
    ----------
    step
        As in the shape table, its place in the engine's order counted from 1.
    operation
        The node's name.
    tensor
        The names it stands for.
    nbytes
        Of the storages it holds, each once.
    counted
        Those of them that no node before it holds; the column adds up to the total.
    parameters
        Those of `nbytes` that are storages of parameters, alive without the graph too.

    Examples
    --------
    >>> from backwardpass import MemoryRow
    >>> MemoryRow(1, "ExpBackward0", "y", 24, 24, 0).nbytes
    24
    """

    step: int
    operation: str
    tensor: str
    nbytes: int
    counted: int
    parameters: int


@dataclass(frozen=True, slots=True)
class Memory:
    """What a graph keeps alive, in bytes.

    Parameters
    ----------
    rows
        One for each node that holds anything, in the engine's order.
    total
        Of all storages, each counted once: exact where `unknown` is 0.
    parameters
        Those of them that belong to parameters, views of parameters included.
    unknown
        How many saved things have a size that cannot be known: what a pack hook returned, and what
        the operation inside a ``CopySlices`` node saved, which PyTorch does not show.

    Examples
    --------
    >>> import torch, backwardpass
    >>> W = torch.ones(3, 2, requires_grad=True)
    >>> memory = backwardpass.trace((torch.ones(4, 3) @ W).exp().sum()).memory()
    >>> memory.activations, memory.parameters, memory.unknown
    (80, 24, 0)
    """

    rows: tuple[MemoryRow, ...]
    total: int
    parameters: int
    unknown: int

    @property
    def activations(self) -> int:
        """Bytes of everything but parameters, which is what freeing the graph can give back."""
        return self.total - self.parameters

    def to_text(self) -> str:
        """Write columns of plain text."""
        return _render.text(COLUMNS, self._cells(), NUMBERS)

    def to_markdown(self) -> str:
        """Write a Markdown table, the user's text escaped."""
        return _render.markdown(COLUMNS, self._cells(), NUMBERS)

    def to_html(self, caption: str | None = None) -> str:
        """Write an HTML table; `caption` says what it shows."""
        return _render.html(COLUMNS, self._cells(), caption)

    def _repr_html_(self) -> str:
        return self.to_html()

    def _cells(self) -> list[tuple[str, ...]]:
        cells = [
            (
                *(str(row.step), row.operation, row.tensor),
                *(f"{number:,}" for number in (row.nbytes, row.counted, row.parameters)),
            )
            for row in self.rows
        ]
        name = "total" if not self.unknown else f"total, and {self.unknown} of unknown size"
        return [*cells, ("", name, "", "", f"{self.total:,}", f"{self.parameters:,}")]


def memory(graph: Graph) -> Memory:
    """Count what the graph keeps alive; see :meth:`Graph.memory`."""
    of_parameters = {
        saved.storage
        for node in graph.nodes
        for saved in _held(node)
        if saved.role == "parameter" and saved.storage is not None
    }
    rows, unknown = [], 0
    met: set[object] = set()
    for node in graph.nodes:
        storages: dict[object, int] = {}
        unknown += node.kind == "copy"
        for saved in _held(node):
            if saved.nbytes is None and saved.storage is None:
                unknown += 1
            elif saved.storage is None:  # shares with nothing that can be known
                storages[node.index, saved.field] = saved.nbytes
            else:
                storages[saved.storage] = saved.storage_nbytes
        if any(storages.values()):
            counted = sum(size for key, size in storages.items() if key not in met)
            parameters = sum(size for key, size in storages.items() if key in of_parameters)
            label, name = label_text(node), clean(node.name)
            rows.append(
                MemoryRow(node.index + 1, name, label, sum(storages.values()), counted, parameters)
            )
        met |= storages.keys()
    sizes = _sizes(graph)
    return Memory(
        tuple(rows),
        sum(row.counted for row in rows),
        sum(size for storage, size in sizes.items() if storage in of_parameters),
        unknown,
    )


def _held(node: Node) -> tuple[Saved, ...]:
    return node.saved if node.variable is None else (*node.saved, node.variable)


def _sizes(graph: Graph) -> dict[int, int]:
    return {
        saved.storage: saved.storage_nbytes
        for node in graph.nodes
        for saved in _held(node)
        if saved.storage is not None
    }
