"""What the tables have in common: trying something, and looking at what is saved meanwhile."""

from collections.abc import Callable

import torch


def yes(answer: object) -> str:
    """A truth value as a cell."""
    return "yes" if answer else "no"


def attempt(action: Callable[[], object], works: str = "works", fails: str = "raises") -> str:
    """``works``, or ``fails`` where ``action`` raises; a gradient that is None raises as well."""
    try:
        action()
    except (RuntimeError, AttributeError, TypeError):
        return fails
    return works


def saved(operation: Callable[[], object]) -> tuple[object, list[torch.Tensor]]:
    """The result of ``operation``, and each tensor saved meanwhile, detached."""
    seen: list[torch.Tensor] = []

    def pack(t: torch.Tensor) -> torch.Tensor:
        seen.append(t.detach())
        return t.detach()

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        result = operation()
    return result, seen


def storages(tensors: list[torch.Tensor]) -> dict[int, int]:
    """The bytes of each storage that ``tensors`` lie in, by its address."""
    found = {}
    for t in tensors:
        storage = t.untyped_storage()
        found[storage.data_ptr()] = storage.nbytes()
    return found
