"""What a graph keeps alive, counted in bytes: each storage once, however often it is saved."""

from dataclasses import dataclass

from backwardpass.data import storages
from backwardpass.data.graph import GraphData
from backwardpass.show import cells
from backwardpass.show.words import clean, label_text

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
        How many saved things have a size that cannot be known: what a pack hook returned, what
        the operation inside a ``CopySlices`` node saved, which PyTorch does not show, and what a
        node of C++ code or TorchScript did, one for each such node.

    Notes
    -----
    What a checkpoint keeps to compute its tensors again counts at each node that asks for them:
    its arguments, the state of the generator of random numbers, and what a selective policy saved.
    What the checkpointed function itself holds on to is not seen, nor are tensors behind other
    Python objects on a `ctx` than lists, tuples and dictionaries. A Python number that PyTorch
    wrapped in a tensor counts with the 8 bytes it takes, and no hook of saved tensors sees it.

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
        return cells.text(COLUMNS, self._cells(), NUMBERS)

    def to_markdown(self) -> str:
        """Write a Markdown table, the user's text escaped."""
        return cells.markdown(COLUMNS, self._cells(), NUMBERS)

    def to_html(self, caption: str | None = None) -> str:
        """Write an HTML table; `caption` says what it shows."""
        return cells.html(COLUMNS, self._cells(), caption)

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


def memory(graph: GraphData) -> Memory:
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
    parameters = storages.of_parameters(graph)
    rows: list[MemoryRow] = []
    whole: dict[storages.Storage, int] = {}
    unknown = 0
    for node in graph.nodes:
        held = storages.held(node)
        unknown += (node.kind == "copy") + sum(storages.storage(node, it)[1] is None for it in held)
        sizes = storages.sizes(node, held)
        if any(sizes.values()):
            new = sum(size for key, size in sizes.items() if key not in whole)
            lasting = sum(size for key, size in sizes.items() if key in parameters)
            name, label = clean(node.name), label_text(node)
            total = sum(sizes.values())
            rows.append(MemoryRow(node.index + 1, name, label, total, new, lasting))
        whole |= sizes
    lasting = sum(size for key, size in whole.items() if key in parameters)
    return Memory(tuple(rows), sum(whole.values()), lasting, unknown)
