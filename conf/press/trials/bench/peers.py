"""Times `backwardpass.trace` beside other packages on the same graphs, in one process and thread.

`nox -s bench -- peers` runs it. A figure is the median of five runs after one that does not count,
in milliseconds of processor time; where a package raises, the table says what. What the columns
read is not the same:

- trace: nodes, all edges, shapes, saved tensors, names, the engine's order;
- and DOT: the same, written in Graphviz's language;
- torchviz: `make_dot` with attributes and saved tensors, written in the same language;
- torchlens walk: `torchlens.debug.walk_grad_fn`, nodes and edges, without saved tensors;
- torchlens trace: `torchlens.trace`, which runs the forward pass itself, keeping no activation.

Below it stands what a node costs in a chain a hundred times as long, as a multiple.

It fails where trace is slower than torchviz, or raises, or where that multiple reaches two.
"""

import statistics
import sys
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
import torchlens
import torchlens.debug
import torchlens.options
import torchviz
from torch import nn

import backwardpass

TIMES = 5
WORDS = 60  # characters of a message in the table
KEEP_NOTHING = torchlens.options.CaptureOptions(layers_to_save="none")
COLUMNS = ("trace", "and DOT", "torchviz", "torchlens walk", "torchlens trace")


class Chain(nn.Module):
    """One operation after another."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self.length = length
        self.start = nn.Parameter(torch.ones(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.start * x
        for _ in range(self.length):
            y = y.sin()
        return y.sum()


class Wide(nn.Module):
    """A thousand branches side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.ParameterList(nn.Parameter(torch.ones(4)) for _ in range(1000))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.stack([(x * scale).exp() for scale in self.scale]).sum()


class Transformer(nn.Module):
    """Twelve layers of a transformer's encoder, and a loss."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(64, 4, 128, batch_first=True), 12
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.encoder(x).square().mean()


@dataclass
class Problem:
    """A graph, the model that makes it, and what was found: a time, or what was raised."""

    what: str
    model: nn.Module
    x: torch.Tensor
    loss: torch.Tensor
    found: dict[str, float | str] = field(default_factory=dict)


def problems() -> list[Problem]:
    """The graphs to be read; the last one has run its backward pass."""
    rows = []
    four, sequence = torch.full((4,), 0.5), torch.randn(2, 8, 64)
    for what, model, x in [
        ("12-layer transformer", Transformer(), sequence),
        ("wide, 1,000 branches", Wide(), four),
        ("chain of 400", Chain(400), four),
        ("chain of 10,000", Chain(10_000), four),
        ("12 layers, freed", Transformer(), sequence),
    ]:
        loss = model(x)
        if what.endswith("freed"):
            loss.backward()
        rows.append(Problem(what, model, x, loss))
    return rows


def measured(work: Callable[[], object]) -> float | str:
    """The median time of some work, or the exception it ends with."""
    spent = []
    for run in range(TIMES + 1):
        start = time.thread_time()
        try:
            work()
        except Exception as error:
            first, *_ = str(error).splitlines() or [""]
            message = f"{type(error).__name__}: {first}"
            return message if len(message) <= WORDS else message[: WORDS - 1] + "…"
        if run:
            spent.append(1000 * (time.thread_time() - start))
    return statistics.median(spent)


def read_graphs(row: Problem) -> None:
    """Time what reads a graph that is there."""
    names = dict(row.model.named_parameters())
    row.found["trace"] = measured(lambda: backwardpass.trace(row.loss, names))
    row.found["and DOT"] = measured(lambda: backwardpass.trace(row.loss, names).to_dot())
    row.found["torchviz"] = measured(
        lambda: torchviz.make_dot(row.loss, params=names, show_attrs=True, show_saved=True).source
    )
    row.found["torchlens walk"] = measured(
        lambda: torchlens.debug.walk_grad_fn(row.loss, params=names)
    )


def table(rows: list[Problem]) -> str:
    """The figures, each with its multiple of trace's; below them what was raised."""
    lines = [f"{'median ms':22}{'nodes':>7}" + "".join(f"{column:>17}" for column in COLUMNS)]
    raised = []
    for row in rows:
        line = f"{row.what:22}{len(backwardpass.trace(row.loss).nodes):>7,}"
        for column in COLUMNS:
            value = row.found.get(column, "")
            if isinstance(value, str):
                raised += [f"  {row.what}, {column}: {value}"] if value else []
                line += f"{'raises' if value else '-':>17}"
            else:
                ours = row.found["trace"]
                times = "" if column == "trace" else f" {value / ours:5.1f}×"
                line += f"{f'{value:.1f}{times}':>17}"
        lines.append(line)
    return "\n".join([*lines, "", "raised:", *raised])


def growth() -> float:
    """What a node of a long chain costs, as a multiple of what one of a short chain does."""

    def a_node(length: int) -> float:
        y = torch.ones(1, requires_grad=True)
        for _ in range(length):
            y = y + 1
        start = time.thread_time()
        backwardpass.trace(y)
        return (time.thread_time() - start) / length

    found = []

    def work() -> None:
        # The fastest of each counts: others on the machine only slow it down.
        short = min(a_node(2_000) for _ in range(4 * TIMES))
        found.append(min(a_node(200_000) for _ in range(TIMES)) / short)

    # PyTorch frees a chain that Python has seen by recursion.
    threading.stack_size(512 * 1024 * 1024)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return found[0]


def main() -> str | int:
    """Measure, print, and say whether trace was the faster, and its time in proportion."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    warnings.simplefilter("ignore")
    rows = problems()
    for row in rows:
        read_graphs(row)
    # Last, because torchlens wraps the functions of torch when it first traces, and leaves it so.
    for row in rows[:3]:
        row.found["torchlens trace"] = measured(
            lambda row=row: torchlens.trace(row.model, row.x, capture=KEEP_NOTHING)
        )
    print(table(rows))
    multiple = growth()
    print(f"\na node of a chain of 200,000 against one of 2,000: {multiple:.2f}×")
    slower = [
        row.what
        for row in rows
        if isinstance(row.found["trace"], str)
        or (isinstance(row.found["torchviz"], float) and row.found["trace"] > row.found["torchviz"])
    ]
    if slower:
        return f"trace raised, or was slower than torchviz: {', '.join(slower)}"
    return 0 if multiple < 2 else "a node of a long chain costs twice what one of a short one does"


if __name__ == "__main__":
    sys.exit(main())
