"""A look at what a node has saved that runs nothing of the user's."""

from collections.abc import Collection
from typing import Any

import torch

from backwardpass.data.graph import Role, Saved
from backwardpass.read import pytorch
from backwardpass.read.checkpoints import checkpointed
from backwardpass.read.names import Names
from backwardpass.read.pytorch import storage_of


class SavedReader:
    """Describes what nodes keep, and numbers the storages in the order they are met.

    `parameters` are the storages of the graph's leaves: what shares memory with one is the leaf, or
    a view of it.
    """

    def __init__(self, names: Names, parameters: Collection[int] = ()) -> None:
        self.names = names
        self.parameters = parameters
        self.fields: dict[type, list[str]] = {}
        self.storages: dict[int, int] = {}

    def read(self, node: Any) -> tuple[Saved, ...]:
        """List the saved tensors of a node; what was never there is left out."""
        kind = type(node)
        if kind not in self.fields:
            self.fields[kind] = pytorch.saved_fields(node)
        found = [Saved("something", role="unknown")] if pytorch.is_opaque(node) else []
        again: dict[str, torch.Tensor] = {}
        for field in self.fields[kind]:
            try:
                value = pytorch.saved_in(node, field)
            except RuntimeError:
                # Lists, and everything of a Python function, raise as a whole once freed.
                found.append(_freed(field))
                continue
            several = isinstance(value, (tuple, list))
            for number, saved in enumerate(value if several else (value,)):
                described = self._describe(saved, f"{field}[{number}]" if several else field)
                if described is not None:
                    found.append(described)
                    if described.role == "checkpoint":
                        again |= checkpointed(saved) or {}
        found += [self._for_checkpoint(name, tensor) for name, tensor in again.items()]
        if pytorch.is_python_function(node):
            found += self._attributes(node)
        return tuple(found)

    def variable(self, leaf: torch.Tensor) -> Saved:
        """Describe the leaf an AccumulateGrad node holds."""
        source = self.names.by_id.get(id(leaf))
        return self._describe_tensor(leaf, "variable", source, "parameter")

    def _describe(self, saved: Any, field: str) -> Saved | None:
        if pytorch.is_sealed(saved):
            return Saved(field, role="unknown")
        data = pytorch.packed(saved)
        if data is None:
            # Unpacking raises for what was released, and not for what was never there. Without
            # data there is no hook either, so nothing of the user's runs.
            return None if pytorch.refusal(saved) is None else _freed(field)
        if pytorch.has_hook(saved):
            return self._describe_packed(data, field, saved)
        if data.dim() == 0 and _is_wrapped_number(data):
            return self._describe_tensor(data, field, "a number", "number")
        storage = storage_of(data)
        source = self.names.of_saved(data, storage)
        if source is None and field.startswith("result"):
            source = "result"
        role: Role
        if field.startswith("result"):
            role = "result"
        elif self._is_parameter(data, storage):
            role = "parameter"
        else:
            role = "result" if _is_own_output(saved, data) else "input"
        return self._describe_tensor(data, field, source, role)

    def _is_parameter(self, tensor: torch.Tensor, storage: int | None) -> bool:
        if storage in self.parameters:
            return True
        return isinstance(pytorch.whole(tensor), torch.nn.Parameter)

    def _for_checkpoint(self, name: str, tensor: torch.Tensor) -> Saved:
        """Describe what a checkpoint keeps, which lives as long as anything that it computes."""
        storage = storage_of(tensor)
        role: Role = "parameter" if self._is_parameter(tensor, storage) else "input"
        source = self.names.of_saved(tensor, storage)
        return self._describe_tensor(tensor, f"checkpoint.{name}", source, role)

    def _describe_packed(self, data: Any, field: str, saved: Any) -> Saved:
        if pytorch.is_recomputed(data):  # checkpoint keeps a place, and computes the tensor again
            source = "computed again by checkpoint"
            size = None if checkpointed(saved) is None else 0
            return Saved(field, nbytes=size, source=source, role="checkpoint")
        if isinstance(data, (tuple, list)):
            tensors = [part for part in data if isinstance(part, torch.Tensor)]
            data = tensors[0] if len(tensors) == 1 else None
        if isinstance(data, torch.Tensor):
            return self._describe_tensor(data, field, "packed by a hook", "packed")
        return Saved(field, source="packed by a hook", role="packed")

    def _attributes(self, node: Any) -> list[Saved]:
        """Find tensors set on a Python function's `ctx`, alone or in a list, tuple or dict."""
        found = []
        for name, value in vars(node).items():
            if isinstance(value, (list, tuple)):
                inside = [(f"{name}[{number}]", part) for number, part in enumerate(value)]
            elif isinstance(value, dict):
                inside = [(f"{name}[{key!r}]", part) for key, part in value.items()
                          if isinstance(key, (str, int))]  # fmt: skip
            else:
                inside = [(name, value)]
            for path, tensor in inside:
                if isinstance(tensor, torch.Tensor):
                    source = self.names.of_saved(tensor, storage_of(tensor))
                    found.append(self._describe_tensor(tensor, f"ctx.{path}", source, "attribute"))
        return found

    def _describe_tensor(
        self, tensor: torch.Tensor, field: str, source: str | None, role: Role
    ) -> Saved:
        storage = storage_of(tensor)
        nbytes: int | None = tensor.numel() * tensor.element_size()
        storage_nbytes = None if storage is None else tensor.untyped_storage().nbytes()
        if storage is None and tensor.layout != torch.strided:
            storage, nbytes = _of_parts(tensor)
            storage_nbytes = nbytes
        return Saved(
            field,
            shape=None if tensor.is_nested else tuple(tensor.shape),
            dtype=str(tensor.dtype).removeprefix("torch."),
            nbytes=nbytes,
            source=source,
            storage=None if storage is None else self._number(storage),
            storage_nbytes=storage_nbytes,
            role=role,
        )

    def _number(self, storage: int) -> int:
        return self.storages.setdefault(storage, len(self.storages))


def _freed(field: str) -> Saved:
    return Saved(field, nbytes=0, freed=True, role="freed")


def _of_parts(tensor: torch.Tensor) -> tuple[int | None, int | None]:
    """Count a sparse tensor's indices and values; its values tell it apart."""
    with torch.no_grad(), pytorch.undispatched():
        parts = pytorch.parts(tensor)
        if not parts:
            return None, None
        return storage_of(parts[0]), sum(part.untyped_storage().nbytes() for part in parts)


def _is_own_output(saved: Any, data: torch.Tensor) -> bool:
    """Tell what a node made from what it was given: only the first cannot be unpacked without it.

    Without a hook nothing of the user's runs.
    """
    if data.requires_grad:
        return False
    return "detached" in (pytorch.refusal(saved) or "")


# PyTorch wraps a Python number in a tensor of the widest type, which never widens another tensor.
_WIDE_TO_NARROW = {
    torch.int64: torch.empty((), dtype=torch.int32, device="cpu"),
    torch.float64: torch.empty((), dtype=torch.float32, device="cpu"),
    torch.complex128: torch.empty((), dtype=torch.complex64, device="cpu"),
}


def _is_wrapped_number(tensor: torch.Tensor) -> bool:
    """Tell the 2 of ``x * 2`` from ``torch.tensor(2)``."""
    narrow = _WIDE_TO_NARROW.get(tensor.dtype)
    return narrow is not None and torch.result_type(tensor, narrow) == narrow.dtype
