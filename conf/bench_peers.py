"""Times `backwardpass.trace` against torchviz on the same graphs, in one process and one thread.

Run by hand, in the book's environment with torchviz added: `python conf/bench_peers.py`. Each
figure is the median of five, in milliseconds of processor time. It fails where trace is slower.
"""

import statistics
import sys
import time
from collections.abc import Callable

import torch
import torchviz
from torch import nn

import backwardpass

TIMES = 5
DEEP = 400  # torchviz recurses once a node, and ends near 1,000


def transformer() -> tuple[torch.Tensor, dict]:
    """The loss of twelve layers of a transformer's encoder."""
    model = nn.TransformerEncoder(nn.TransformerEncoderLayer(64, 4, 128, batch_first=True), 12)
    loss = model(torch.randn(2, 8, 64)).square().mean()
    return loss, dict(model.named_parameters())


def deep() -> tuple[torch.Tensor, dict]:
    """A chain."""
    x = torch.ones(4, requires_grad=True)
    y = x
    for _ in range(DEEP):
        y = y.sin()
    return y.sum(), {"x": x}


def wide() -> tuple[torch.Tensor, dict]:
    """A thousand branches side by side."""
    x = torch.ones(4, requires_grad=True)
    branches = [(x * torch.ones(4, requires_grad=True)).exp() for _ in range(1000)]
    return torch.stack(branches).sum(), {"x": x}


def median_ms(work: Callable[[], object]) -> float:
    """Time some work, after one run that does not count."""
    work()
    spent = []
    for _ in range(TIMES):
        start = time.thread_time()
        work()
        spent.append(1000 * (time.thread_time() - start))
    return statistics.median(spent)


def compare(make: Callable[[], tuple[torch.Tensor, dict]]) -> bool:
    """Print one line of figures, and tell whether trace was the faster."""
    loss, names = make()
    traced = median_ms(lambda: backwardpass.trace(loss, names))
    written = median_ms(lambda: backwardpass.trace(loss, names).to_dot())
    peer = median_ms(
        lambda: torchviz.make_dot(loss, params=names, show_attrs=True, show_saved=True).source
    )
    print(
        f"{make.__name__:12} {len(backwardpass.trace(loss).nodes):5} nodes   trace {traced:6.1f}   "
        f"trace and DOT {written:6.1f}   torchviz {peer:6.1f}   "
        f"{peer / traced:.1f} and {peer / written:.1f} times"
    )
    return traced < peer


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(0)
    faster = [compare(make) for make in (transformer, deep, wide)]
    sys.exit(0 if all(faster) else "trace was slower than torchviz")
