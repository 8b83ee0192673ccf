"""What PyTorch saves for the backward pass of one call."""

from collections.abc import Callable

import torch
from torch.utils._pytree import tree_flatten

from press.trials.operators.cases import Case
from press.trials.operators.check import Check


def saved(function: Callable, gradient: Callable, case: Case) -> list[tuple[str, tuple, int]]:
    """What PyTorch saves for backward in this call: its name, shape and bytes of each storage."""
    made = Check(gradient, function, case, torch.float64)
    packed: list[torch.Tensor] = []
    names: dict[int, str] = {}

    def ask(i: int, x: torch.Tensor) -> torch.Tensor:
        names[x.untyped_storage().data_ptr()] = made._named(i)
        return x.requires_grad_() if i in made.wanted else x

    def pack(x: torch.Tensor) -> torch.Tensor:
        packed.append(x.detach())
        return x.detach()

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        results = tree_flatten(made._call(function, ask))[0]
    tensors = [y for y in results if isinstance(y, torch.Tensor)]
    for k, y in enumerate(tensors):
        names.setdefault(y.untyped_storage().data_ptr(), "y" if len(tensors) == 1 else f"y[{k}]")
    found: dict[int, tuple[str, tuple, int]] = {}
    for x in packed:
        storage = x.untyped_storage()
        row = (names.get(storage.data_ptr(), "an intermediate"), tuple(x.shape), storage.nbytes())
        found.setdefault(storage.data_ptr(), row)
    return list(found.values())
