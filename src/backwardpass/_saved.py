"""Names for tensors, and a look at what a node has saved that runs nothing.

Saved tensors are read through `_raw_saved_*`: reading `_saved_*` unpacks, and unpacking runs the
user's hook, which in a checkpointed graph runs the forward pass again.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import torch
from torch.utils._python_dispatch import _disable_current_modes
from torch.utils.checkpoint import _Holder

from backwardpass._data import Saved

# What a prompt binds to the last value: true of every notebook, and no name anybody chose.
PROMPT_NAMES = re.compile(r"_+|_i*\d+")


class Names:
    """The names of some tensors, asked for by identity, by place in the graph, or by memory.

    Where a tensor has several names the first one counts. Modules give the names of their
    parameters and buffers.
    """

    def __init__(self, namespace: Mapping[str, Any] | torch.nn.Module | None = None) -> None:
        # The tensors are held as long as this object is, so that an id stays theirs.
        self.tensors = _unambiguous(_named_tensors(namespace))
        self.by_id: dict[int, str] = {}
        self.by_place: dict[tuple[int, int], str] = {}
        self.exact: dict[tuple, str] = {}
        self.shared: dict[int, tuple[bool, str]] = {}
        self.nodes = []
        for name, tensor in self.tensors:
            self.by_id.setdefault(id(tensor), name)
            node = _grad_fn(tensor)
            if node is not None:
                self.nodes.append(node)
                self.by_place.setdefault((id(node), tensor.output_nr), name)
            storage = storage_of(tensor)
            if storage is not None:
                self.exact.setdefault(_place_in_memory(tensor, storage), name)
                known = self.shared.get(storage)
                if known is None or (known[0] and not tensor._is_view()):
                    self.shared[storage] = (tensor._is_view(), name)

    def of_outputs(self, node: Any, count: int) -> str | None:
        """Name the tensors that came out of a node, in the order of its outputs."""
        if not self.by_place:
            return None
        names = [self.by_place.get((id(node), number)) for number in range(count)]
        return ", ".join(name for name in names if name) or None

    def of_saved(self, tensor: torch.Tensor, storage: int | None) -> str | None:
        """Name a saved tensor, or the tensor it is a view of."""
        if id(tensor) in self.by_id:
            return self.by_id[id(tensor)]
        if storage is None:
            return None
        name = self.exact.get(_place_in_memory(tensor, storage))
        if name is None and storage in self.shared:
            name = f"view of {self.shared[storage][1]}"
        return name


def _named_tensors(namespace: Mapping[str, Any] | torch.nn.Module | None):
    if isinstance(namespace, torch.nn.Module):
        yield from _tensors_of(namespace)
        return
    if namespace is not None and not isinstance(namespace, Mapping):
        raise TypeError(
            "names has to be a mapping from names to tensors, such as vars() or globals(), or a "
            "torch.nn.Module;\n"
            f"got an object of type {type(namespace).__name__}.\n"
            "Pass names=vars() for the variables of the place of the call."
        )
    for name, value in list((namespace or {}).items()):
        if not isinstance(name, str):
            raise TypeError(
                "names needs a string for the name of every tensor;\n"
                f"got a key of type {type(name).__name__}: {name!r}.\n"
                "Make the keys strings, such as f'layer{number}'."
            )
        if PROMPT_NAMES.fullmatch(name):
            continue
        if isinstance(value, torch.Tensor):
            yield name, value
        elif isinstance(value, torch.nn.Module):
            for path, tensor in _tensors_of(value):
                yield f"{name}.{path}", tensor


def _tensors_of(module: torch.nn.Module):
    yield from module.named_parameters()
    yield from module.named_buffers()


def _unambiguous(named: Iterable[tuple[str, torch.Tensor]]) -> list[tuple[str, torch.Tensor]]:
    """List names and tensors; one name for two tensors would tell the reader a falsehood."""
    tensors: dict[str, torch.Tensor] = {}
    for name, tensor in named:
        other = tensors.setdefault(name, tensor)
        if other is not tensor:
            raise ValueError(
                "names has to give a name to one tensor only;\n"
                f"got {name!r} for two, of shapes {tuple(other.shape)} and {tuple(tensor.shape)}.\n"
                "Rename one: a module's tensors are called by the module's name, a dot and their "
                "path."
            )
    return list(tensors.items())


def _grad_fn(tensor: torch.Tensor) -> Any:
    try:
        return tensor.grad_fn
    except RuntimeError:  # one of several views, overwritten through its base, has none any more
        return None


def storage_of(tensor: torch.Tensor) -> int | None:
    """Tell a tensor's storage apart while it lives; `None` where there is no single one."""
    if tensor.is_nested:  # it has a storage, but no strides in it
        return None
    try:
        return tensor.untyped_storage()._cdata
    except (NotImplementedError, RuntimeError):  # sparse tensors, wrappers of torch.func
        return None


def _place_in_memory(tensor: torch.Tensor, storage: int) -> tuple:
    return (storage, tensor.storage_offset(), tensor.shape, tensor.stride(), tensor.dtype)


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
            self.fields[kind] = [name for name in dir(kind) if name.startswith("_raw_saved_")]
        found = []
        for attribute in self.fields[kind]:
            field = attribute.removeprefix("_raw_saved_")
            try:
                value = getattr(node, attribute)
            except RuntimeError:
                # Lists, and everything of a Python function, raise as a whole once freed.
                found.append(_freed(field))
                continue
            several = isinstance(value, (tuple, list))
            for number, saved in enumerate(value if several else (value,)):
                described = self._describe(saved, f"{field}[{number}]" if several else field)
                if described is not None:
                    found.append(described)
        if isinstance(node, torch._C._FunctionBase):
            found += self._attributes(node)
        return tuple(found)

    def variable(self, leaf: torch.Tensor) -> Saved:
        """Describe the leaf an AccumulateGrad node holds."""
        source = self.names.by_id.get(id(leaf))
        return self._describe_tensor(leaf, "variable", source, "parameter")

    def _describe(self, saved: Any, field: str) -> Saved | None:
        data = saved.data
        if data is None:
            return _freed(field) if _is_freed(saved) else None
        if saved.unpack_hook is not None:
            return self._describe_packed(data, field)
        if data.dim() == 0 and _is_wrapped_number(data):
            return self._describe_tensor(data, field, "a number", "number")
        storage = storage_of(data)
        source = self.names.of_saved(data, storage)
        if source is None and field.startswith("result"):
            source = "result"
        if field.startswith("result"):
            role = "result"
        elif self._is_parameter(data, storage):
            role = "parameter"
        else:
            role = "result" if _is_own_output(saved, data) else "input"
        return self._describe_tensor(data, field, source, role)

    def _is_parameter(self, tensor: torch.Tensor, storage: int | None) -> bool:
        whole = tensor._base if tensor._is_view() else tensor
        return storage in self.parameters or isinstance(whole, torch.nn.Parameter)

    def _describe_packed(self, data: Any, field: str) -> Saved:
        if isinstance(data, _Holder):  # checkpoint keeps a place, and computes the tensor again
            source = "computed again by checkpoint"
            return Saved(field, nbytes=0, source=source, role="checkpoint")
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
        self, tensor: torch.Tensor, field: str, source: str | None, role: str
    ) -> Saved:
        storage = storage_of(tensor)
        nbytes = tensor.numel() * tensor.element_size()
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
    with torch.no_grad(), _disable_current_modes():
        if tensor.layout == torch.sparse_coo:
            parts = [tensor._values(), tensor._indices()]
        elif tensor.layout in (torch.sparse_csr, torch.sparse_bsr):
            parts = [tensor.values(), tensor.crow_indices(), tensor.col_indices()]
        elif tensor.layout in (torch.sparse_csc, torch.sparse_bsc):
            parts = [tensor.values(), tensor.ccol_indices(), tensor.row_indices()]
        else:
            return None, None
        return storage_of(parts[0]), sum(part.untyped_storage().nbytes() for part in parts)


def _is_own_output(saved: Any, data: torch.Tensor) -> bool:
    """Tell what a node made from what it was given: only the first cannot be unpacked without it.

    Without a hook nothing of the user's runs.
    """
    if data.requires_grad:
        return False
    try:
        saved.unpack()
    except RuntimeError as error:
        return "detached" in str(error)
    return False


def _is_freed(saved: Any) -> bool:
    """Tell a released tensor from one that was never there: unpacking only the first raises.

    Without data there is no hook either, so nothing of the user's runs.
    """
    try:
        saved.unpack()
    except RuntimeError:
        return True
    return False


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
