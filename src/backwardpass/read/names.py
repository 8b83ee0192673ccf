"""Names for tensors, asked for by identity, by place in the graph, or by memory."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch

from backwardpass.read import pytorch
from backwardpass.read.pytorch import storage_of

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
                if known is None or (known[0] and not pytorch.is_view(tensor)):
                    self.shared[storage] = (pytorch.is_view(tensor), name)

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


def _named_tensors(
    namespace: Mapping[str, Any] | torch.nn.Module | None,
) -> Iterator[tuple[Any, Any]]:
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


def _tensors_of(module: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
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


def _place_in_memory(tensor: torch.Tensor, storage: int) -> tuple:
    return (storage, tensor.storage_offset(), tensor.shape, tensor.stride(), tensor.dtype)
