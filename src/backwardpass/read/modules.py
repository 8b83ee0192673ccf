"""Which module's forward pass made a node, noted while it runs.

The note is a string in the node's own `metadata`, so it lives and dies with the node, and no other
thread's or model's nodes can be taken for it.
"""

import contextlib
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)

from backwardpass.read import pytorch

KEY = "backwardpass.module"
_used = False  # until modules() is used no node's metadata, made when first looked at, is looked at


@contextmanager
def modules(model: torch.nn.Module) -> Iterator[torch.nn.Module]:
    """Let the nodes that `model` makes inside a ``with`` block know their module.

    :func:`trace` then gives ``Node.module``, and drawings frame the nodes by module. No result
    changes. The hooks on module calls are removed when the block ends; what remains is a string in
    the metadata of each node, until the node dies. What code compiled by :func:`torch.compile`
    calls is not seen.

    Parameters
    ----------
    model
        The module whose parts are to be told apart, by their dotted paths in it.

    Raises
    ------
    TypeError
        If `model` is no :class:`torch.nn.Module`.

    Examples
    --------
    >>> import torch, backwardpass
    >>> model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Tanh())
    >>> with backwardpass.modules(model):
    ...     loss = model(torch.ones(4, 3)).sum()
    >>> for node in backwardpass.trace(loss, names=model).nodes:
    ...     print(node.name, node.label, node.module)
    SumBackward0 None None
    TanhBackward0 None 1
    AddmmBackward0 None 0
    AccumulateGrad 0.bias 0
    TBackward0 None 0
    AccumulateGrad 0.weight 0
    """
    global _used
    if not isinstance(model, torch.nn.Module):
        raise TypeError(
            "modules() needs the torch.nn.Module whose parts are to be told apart;\n"
            f"got an object of type {type(model).__name__}.\n"
            "Pass the model that is called inside the block."
        )
    paths = {id(part): path for path, part in model.named_modules()}
    owners = {
        id(parameter): path
        for path, part in reversed(list(model.named_modules()))
        for parameter in part.parameters(recurse=False)
    }
    calls = threading.local()

    def enter(module: torch.nn.Module, _: Any) -> None:
        if id(module) in paths and not torch.compiler.is_compiling():
            running = calls.__dict__.setdefault("running", [])
            running.append((module, pytorch.next_sequence_number()))

    def leave(module: torch.nn.Module, _: Any, output: Any) -> None:
        if id(module) not in paths or torch.compiler.is_compiling():
            return
        running = calls.__dict__.get("running", [])
        while running:  # calls that ended in an exception lie on top
            entered, start = running.pop()
            if entered is module:
                with pytorch.unseen():
                    _mark(output, start, paths[id(module)], owners)
                return

    _used = True
    quiet = _quiet()
    handles = [register_module_forward_pre_hook(enter)]
    try:
        handles.append(register_module_forward_hook(leave))
        yield model
    finally:
        for handle in handles:
            handle.remove()
        with contextlib.suppress(ValueError):  # the program has set filters of its own since
            cast(list[Any], warnings.filters).remove(quiet)


def _quiet() -> Any:
    """Let a compiled model not warn of the hooks, which look at the module it was made from alone.

    Gives the filter, to be taken out again; other filters stay as they are.
    """
    warnings.filterwarnings(
        "ignore", r"Using `torch\.compile\(module\)` when there are global hooks", UserWarning
    )
    return warnings.filters[0]


def module_of(node: Any) -> str | None:
    """Read what :func:`modules` noted of a node."""
    return node.metadata.get(KEY) if _used else None


def _mark(output: Any, start: int, path: str, owners: dict[int, str]) -> None:
    """Note the path on the nodes made since `start`, but for those an inner module has noted."""
    found: list[Any] = [
        leaf.grad_fn
        for leaf in pytorch.tree_leaves(output)
        if isinstance(leaf, torch.Tensor) and leaf.grad_fn is not None
    ]
    met = set()
    for node in found:  # the list grows while it is walked, and keeps every id from being reused
        if id(node) in met:
            continue
        met.add(id(node))
        if node.name() == pytorch.ACCUMULATE:
            owner = owners.get(id(node.variable))
            if owner is not None:
                node.metadata.setdefault(KEY, owner)
        elif pytorch.sequence_number(node) >= start:
            node.metadata.setdefault(KEY, path)
            found += [below for below, _ in node.next_functions if below is not None]
