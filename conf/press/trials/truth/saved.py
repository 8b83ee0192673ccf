"""What operations save, in which case, and what follows from it."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from .trying import attempt, saved, storages

TITLE = "What operations save"
ROW = "operation"
COLUMNS = (
    "node",
    "saved",
    "bytes",
    "first input only",
    "second input only",
    "second backward",
    "result changed",
    "argument changed",
)


@dataclass(frozen=True)
class Operation:
    """A function of named tensors that require gradients, and of ``others`` that do not."""

    function: Callable[..., torch.Tensor]
    inputs: tuple[str, ...]
    others: tuple[str, ...] = ()


def tensors() -> dict[str, torch.Tensor]:
    """Fresh ones, all sizes different, no entry a tie or a zero, 8 bytes a number."""
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator, dtype=torch.float64) + 0.1

    square = random(5, 5)
    return {
        "x": random(6, 5),
        "y": random(6, 5),
        "row": random(5),
        "W": random(3, 5),
        "b": random(3),
        "m": random(5, 4),
        "scale": random(5),
        "shift": random(5),
        "S": square @ square.T + 5 * torch.eye(5, dtype=torch.float64),
        "image": random(2, 3, 8, 7),
        "kernel": random(4, 3, 3, 3),
        "table": random(10, 4),
        "q": random(2, 3, 6, 4),
        "k": random(2, 3, 7, 4),
        "v": random(2, 3, 7, 4),
        "index": torch.tensor([0, 2, 2, 1]),
        "targets": torch.tensor([0, 1, 2, 0, 1, 3]),
        "mask": torch.arange(30).view(6, 5) % 3 == 0,
    }


def _dropout(x: torch.Tensor) -> torch.Tensor:
    torch.manual_seed(0)
    return F.dropout(x, 0.5)


X, XY = ("x",), ("x", "y")
OPERATIONS = {
    # Arithmetic
    "x + y": Operation(lambda x, y: x + y, XY),
    "x + row": Operation(lambda x, row: x + row, ("x", "row")),
    "x * y": Operation(lambda x, y: x * y, XY),
    "x * x": Operation(lambda x: x * x, X),
    "x * row": Operation(lambda x, row: x * row, ("x", "row")),
    "x * 2": Operation(lambda x: x * 2, X),
    "x / y": Operation(lambda x, y: x / y, XY),
    "x ** 2": Operation(lambda x: x**2, X),
    "x ** y": Operation(lambda x, y: x**y, XY),
    # Functions of one entry
    "exp": Operation(torch.exp, X),
    "log": Operation(torch.log, X),
    "sin": Operation(torch.sin, X),
    "sqrt": Operation(torch.sqrt, X),
    "abs": Operation(torch.abs, X),
    "tanh": Operation(torch.tanh, X),
    "sigmoid": Operation(torch.sigmoid, X),
    "relu": Operation(torch.relu, X),
    "leaky_relu": Operation(F.leaky_relu, X),
    "gelu": Operation(F.gelu, X),
    "silu": Operation(F.silu, X),
    "softplus": Operation(F.softplus, X),
    "clamp(0.2, 0.8)": Operation(lambda x: x.clamp(0.2, 0.8), X),
    "dropout": Operation(_dropout, X),
    # Reductions
    "sum()": Operation(torch.sum, X),
    "mean()": Operation(torch.mean, X),
    "prod()": Operation(torch.prod, X),
    "var()": Operation(torch.var, X),
    "norm()": Operation(lambda x: x.norm(), X),
    "max()": Operation(torch.max, X),
    "max(1)": Operation(lambda x: x.max(1).values, X),
    "logsumexp(1)": Operation(lambda x: x.logsumexp(1), X),
    "cumsum(0)": Operation(lambda x: x.cumsum(0), X),
    "sort(1)": Operation(lambda x: x.sort(1).values, X),
    # Moving data
    "view": Operation(lambda x: x.view(5, 6), X),
    "T": Operation(lambda x: x.T, X),
    "x[0]": Operation(lambda x: x[0], X),
    "x[index]": Operation(lambda x, index: x[index], X, ("index",)),
    "gather": Operation(lambda x, index: x.gather(1, index[:, None]), X, ("index",)),
    "cat": Operation(lambda x, y: torch.cat([x, y]), XY),
    "expand": Operation(lambda row: row.expand(6, 5), ("row",)),
    "clone": Operation(torch.clone, X),
    "float()": Operation(lambda x: x.float(), X),
    "where": Operation(lambda x, y, mask: torch.where(mask, x, y), XY, ("mask",)),
    "masked_fill": Operation(lambda x, mask: x.masked_fill(mask, 0), X, ("mask",)),
    # Layers
    "x @ m": Operation(lambda x, m: x @ m, ("x", "m")),
    "linear": Operation(F.linear, ("x", "W", "b")),
    "conv2d": Operation(F.conv2d, ("image", "kernel")),
    "max_pool2d": Operation(lambda image: F.max_pool2d(image, 2), ("image",)),
    "avg_pool2d": Operation(lambda image: F.avg_pool2d(image, 2), ("image",)),
    "embedding": Operation(lambda table, index: F.embedding(index, table), ("table",), ("index",)),
    "layer_norm": Operation(
        lambda x, scale, shift: F.layer_norm(x, (5,), scale, shift), ("x", "scale", "shift")
    ),
    "batch_norm": Operation(
        lambda x, scale, shift: F.batch_norm(x, None, None, scale, shift, training=True),
        ("x", "scale", "shift"),
    ),
    "attention": Operation(F.scaled_dot_product_attention, ("q", "k", "v")),
    # Losses
    "softmax(1)": Operation(lambda x: x.softmax(1), X),
    "log_softmax(1)": Operation(lambda x: x.log_softmax(1), X),
    "cross_entropy": Operation(F.cross_entropy, X, ("targets",)),
    "mse_loss": Operation(F.mse_loss, XY),
    # Linear algebra
    "inv": Operation(torch.linalg.inv, ("S",)),
    "det": Operation(torch.linalg.det, ("S",)),
    "solve": Operation(lambda S, row: torch.linalg.solve(S, row), ("S", "row")),
    "cholesky": Operation(torch.linalg.cholesky, ("S",)),
    "eigvalsh": Operation(torch.linalg.eigvalsh, ("S",)),
}


def measure() -> dict[str, dict[str, str]]:
    """Try each operation in each case."""
    return {text: _row(operation) for text, operation in OPERATIONS.items()}


def _row(operation: Operation) -> dict[str, str]:
    result, names, total = _kept(operation, operation.inputs)
    alone = [_kept(operation, (name,)) for name in operation.inputs[:2]]
    if len(operation.inputs) == 1:
        alone = []
    first, second = [*(f"{kept}: {size}" for _, kept, size in alone), "", ""][:2]
    return {
        "node": result.grad_fn.name().rpartition("::")[2],
        "saved": names,
        "bytes": str(total),
        "first input only": first.replace("-: 0", "-"),
        "second input only": second.replace("-: 0", "-"),
        "second backward": _twice(operation),
        "result changed": _changed(operation, "result"),
        "argument changed": _changed(operation, "argument"),
    }


def _run(operation: Operation, train: tuple[str, ...]):
    """The result, the leaves by name, and the arguments, which are no leaves where they train."""
    values = tensors()
    leaves = {name: values[name].requires_grad_(name in train) for name in operation.inputs}
    # What is changed in place later must not be a leaf.
    arguments = {name: leaf * 1 if name in train else leaf for name, leaf in leaves.items()}
    others = [values[name] for name in operation.others]
    return operation.function, arguments, others


def _kept(operation: Operation, train: tuple[str, ...]) -> tuple[torch.Tensor, str, int]:
    """The result, the names of what is saved if ``train`` requires gradients, and its bytes."""
    function, arguments, others = _run(operation, train)
    result, seen = saved(lambda: function(*arguments.values(), *others))
    known = dict(zip(operation.others, others, strict=True)) | arguments
    names = {t.untyped_storage().data_ptr(): name for name, t in known.items()}
    # A view of an argument is no result of its own, and neither is an argument handed through.
    names = {result.untyped_storage().data_ptr(): "result"} | names
    found = {t.untyped_storage().data_ptr(): _described(t) for t in seen} | {
        address: name for address, name in names.items() if address in storages(seen)
    }
    counts = Counter(found.values())
    listed = (name if n == 1 else f"{n} × {name}" for name, n in counts.items())
    return result, ", ".join(listed) or "-", sum(storages(seen).values())


def _described(t: torch.Tensor) -> str:
    """Something made for the backward pass alone: its shape, and its dtype if not float64."""
    shape = f"({', '.join(map(str, t.shape))}{',' if t.dim() == 1 else ''})"
    dtype = "" if t.dtype == torch.float64 else f" {str(t.dtype).removeprefix('torch.')}"
    return f"new {shape}{dtype}"


def _twice(operation: Operation) -> str:
    """Whether the node of the operation runs twice; what it leads to is cut off."""
    function, arguments, others = _run(operation, operation.inputs)
    result = function(*arguments.values(), *others)
    seed = torch.ones_like(result)
    torch.autograd.grad(result, list(arguments.values()), seed)
    return attempt(lambda: torch.autograd.grad(result, list(arguments.values()), seed))


def _changed(operation: Operation, which: str) -> str:
    """Whether a pass notices that the result, or the first argument, was changed in place."""
    function, arguments, others = _run(operation, operation.inputs)
    result = function(*arguments.values(), *others)
    seed = torch.ones_like(result)
    target = result if which == "result" else next(iter(arguments.values()))
    shares = _shares(result, arguments.values())
    try:
        with torch.no_grad():  # the change is not recorded: what is asked is who notices
            target.detach().mul_(1)
    except RuntimeError:
        return "cannot be changed"
    answer = attempt(lambda: torch.autograd.grad(result, list(arguments.values()), seed))
    return f"{answer} (a view)" if shares else answer


def _shares(result: torch.Tensor, arguments) -> bool:
    address = result.untyped_storage().data_ptr()
    return any(t.untyped_storage().data_ptr() == address for t in arguments)
