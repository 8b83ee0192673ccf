"""Everything this package asks of PyTorch that PyTorch does not document.

No other module names a private name of PyTorch. Each function says which names it reads and on
which versions they are known; :func:`missing` says which of them the version at hand has not.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch.utils._python_dispatch import _disable_current_modes
from torch.utils._pytree import tree_leaves
from torch.utils.checkpoint import _Holder

ACCUMULATE = "torch::autograd::AccumulateGrad"
# What an overriding mode is told of these: the switch that `torch.no_grad` and its like turn, and
# attributes whose reading makes no value of the tensor's own.
SWITCH = "_set_grad_enabled"
NO_VALUE = {"grad", "_grad", "_base", "grad_fn"}

__all__ = ["tree_leaves"]


def missing() -> list[str]:
    """List the private names that this version of PyTorch lacks; on 2.13 to 2.15 none.

    A node's own are asked for of one node, made for it outside every mode.
    """
    with torch.enable_grad(), unseen(), undispatched():
        node = torch.ones((), requires_grad=True, device="cpu").exp().grad_fn
    asked = [
        (torch._C, "DisableTorchFunction"),
        (torch._C, "_FunctionBase"),
        (torch._C, "_get_dispatch_mode"),
        (torch._C._functorch, "is_functorch_wrapped_tensor"),
        (torch.autograd, "_engine_run_backward"),
        (torch.autograd, "_get_sequence_nr"),
        (node, "_sequence_nr"),
        (node, "_input_metadata"),
        (node, "_raw_saved_result"),
        (torch.Tensor, "_is_view"),
        (torch.Tensor, "_base"),
        (torch.Tensor, "_cdata"),
        (torch.Tensor, "_version"),
    ]
    return [name for place, name in asked if not hasattr(place, name)]


# Looking without being seen.


def unseen() -> AbstractContextManager[Any]:
    """Keep modes and subclasses from taking a look at a tensor for a use of it.

    Reads ``torch._C.DisableTorchFunction``; in every version since 1.5.
    """
    return torch._C.DisableTorchFunction()


def undispatched() -> AbstractContextManager[Any]:
    """Keep every dispatch mode from seeing what is computed inside.

    Reads ``torch.utils._python_dispatch._disable_current_modes``; known on 2.13 to 2.15.
    """
    return _disable_current_modes()


def is_symbolic() -> bool:
    """Whether a pass is run to be written down, on tensors of symbolic sizes with no values.

    Reads ``torch._C._get_dispatch_mode`` and its key ``FAKE``; known on 2.13 to 2.15.
    """
    return torch._C._get_dispatch_mode(torch._C._TorchDispatchModeKey.FAKE) is not None


def is_transformed(tensor: torch.Tensor) -> bool:
    """Whether a tensor lies inside a transform of ``torch.func``.

    Reads ``torch._C._functorch.is_functorch_wrapped_tensor``; known on 2.13 to 2.15.
    """
    return torch._C._functorch.is_functorch_wrapped_tensor(tensor)


# Nodes.


def sequence_number(node: Any) -> int:
    """Give the number a node was counted by as its thread recorded it.

    Reads ``Node._sequence_nr``; in every version since 2.1. Nodes of other engines answer to it
    too, as :func:`backwardpass.trace` asks of them.
    """
    return node._sequence_nr()


def next_sequence_number() -> int:
    """Give the number that the next node of this thread will have.

    Reads ``torch.autograd._get_sequence_nr``; known on 2.13 to 2.15.
    """
    return torch.autograd._get_sequence_nr()


def outputs(node: Any) -> Any:
    """Give shape, dtype and device of each output of a node's forward operation.

    Reads ``Node._input_metadata``, called so since a backward takes as inputs what the forward gave
    out; known on 2.13 to 2.15. Of an entry ``shape``, ``dtype``, ``device`` and
    ``is_nested_tensor`` are read.
    """
    return node._input_metadata


def is_python_function(node: Any) -> bool:
    """Whether a node belongs to a :class:`torch.autograd.Function`.

    Reads ``torch._C._FunctionBase``; in every version since 1.0.
    """
    return isinstance(node, torch._C._FunctionBase)


def function_of(node: Any) -> type | None:
    """Give the :class:`torch.autograd.Function` whose backward a node runs; `None` of another node.

    Reads ``_forward_cls`` of the node's class; in every version since 1.0.
    """
    return getattr(type(node), "_forward_cls", None)


def is_checkpoint(node: Any) -> bool:
    """Whether a Python node is one of re-entrant checkpointing, by the module of its function."""
    return getattr(function_of(node), "__module__", "") == "torch.utils.checkpoint"


def is_compiled(node: Any) -> bool:
    """Whether a Python node was made by :func:`torch.compile`, by its name and function's module.

    The name ``CompiledFunctionBackward`` and the package ``torch._functorch`` are known on 2.13 to
    2.15.
    """
    made_by = getattr(function_of(node), "__module__", "")
    return node.name() == "CompiledFunctionBackward" and made_by.startswith("torch._functorch")


def viewed_sizes(node: Any) -> tuple[int, ...]:
    """Give the sizes of what a ``ViewBackward0`` node made a view of.

    Reads ``_saved_self_sym_sizes``, numbers and no saved tensor; known on 2.13 to 2.15.
    """
    return tuple(node._saved_self_sym_sizes)


# What nodes have saved.


def saved_fields(node: Any) -> list[str]:
    """List what a node's class can save, by name.

    Reads which attributes begin with ``_raw_saved_``; known on 2.13 to 2.15. The ``_saved_`` ones
    beside them unpack, and unpacking runs the user's hook, which in a checkpointed graph runs the
    forward pass again.
    """
    prefix = "_raw_saved_"
    return [name.removeprefix(prefix) for name in dir(type(node)) if name.startswith(prefix)]


def saved_in(node: Any, field: str) -> Any:
    """Give what a node saved under a name, packed: one SavedTensor, or several.

    Reads ``_raw_saved_...``; known on 2.13 to 2.15.

    Raises
    ------
    RuntimeError
        If it is freed, and is a list or belongs to a Python function.
    """
    return getattr(node, f"_raw_saved_{field}")


def packed(saved: Any) -> Any:
    """Give what a SavedTensor holds: a tensor, what a pack hook returned, or `None`.

    Reads ``SavedTensor.data``; known on 2.13 to 2.15.
    """
    return saved.data


def has_hook(saved: Any) -> bool:
    """Whether a pack hook made what a SavedTensor holds.

    Reads ``SavedTensor.unpack_hook``; known on 2.13 to 2.15.
    """
    return saved.unpack_hook is not None


def refusal(saved: Any) -> str | None:
    """Give the message with which a SavedTensor without hook refuses to be unpacked, if it does.

    It does once it is freed, and where it is the node's own output and is asked for without the
    node. Calls ``SavedTensor.unpack``; known on 2.13 to 2.15.
    """
    try:
        saved.unpack()
    except RuntimeError as error:
        return str(error)
    return None


def is_recomputed(data: Any) -> bool:
    """Whether a packed value is the place that a checkpoint keeps for a tensor it computes again.

    Reads ``torch.utils.checkpoint._Holder``; known on 2.13 to 2.15.
    """
    return isinstance(data, _Holder)


# Tensors.


def storage_of(tensor: torch.Tensor) -> int | None:
    """Tell a tensor's storage apart while it lives; `None` where there is no single one.

    Reads ``UntypedStorage._cdata``; in every version since 2.0.
    """
    if tensor.is_nested:  # it has a storage, but no strides in it
        return None
    try:
        return tensor.untyped_storage()._cdata
    except (NotImplementedError, RuntimeError):  # sparse tensors, wrappers of torch.func
        return None


def is_view(tensor: torch.Tensor) -> bool:
    """Whether autograd knows a tensor as a view of another; reads ``Tensor._is_view``."""
    return tensor._is_view()


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """Give what a tensor is a view of, or itself; reads ``Tensor._base``."""
    return tensor._base if tensor._is_view() and tensor._base is not None else tensor


def state(tensor: torch.Tensor | None) -> tuple[int | None, int | None]:
    """Tell a tensor apart from another one, and from itself after an in-place operation.

    Reads ``Tensor._cdata`` and ``Tensor._version``; in every version since 0.4.
    """
    if tensor is None:
        return None, None
    return tensor._cdata, None if tensor.is_inference() else tensor._version


def parts(tensor: torch.Tensor) -> list[torch.Tensor]:
    """List the dense tensors a sparse one is made of, its values first; none of another layout.

    Reads ``_values`` and ``_indices``, which, unlike the public two, ask for no coalesced tensor.
    """
    if tensor.layout == torch.sparse_coo:
        return [tensor._values(), tensor._indices()]
    if tensor.layout in (torch.sparse_csr, torch.sparse_bsr):
        return [tensor.values(), tensor.crow_indices(), tensor.col_indices()]
    if tensor.layout in (torch.sparse_csc, torch.sparse_bsc):
        return [tensor.values(), tensor.ccol_indices(), tensor.row_indices()]
    return []


# The way into the engine.


def engine() -> Callable[..., Any]:
    """Give the function through which every backward pass starts.

    Reads ``torch.autograd._engine_run_backward``, called with the outputs, their gradients,
    ``retain_graph``, ``create_graph`` and the inputs; known on 2.13 to 2.15.
    """
    return torch.autograd._engine_run_backward


def set_engine(function: Callable[..., Any]) -> None:
    """Let every backward pass start through another function."""
    torch.autograd._engine_run_backward = function
