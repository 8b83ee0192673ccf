"""Everything this package asks of PyTorch that PyTorch does not document.

No other module names a private name of PyTorch. Each function says which names it reads, what it
does on a version that has them not, and where nothing can be done the caller is told so: `None`,
or no answer, and never a guess. :mod:`backwardpass.read.abilities` tells users which of that is so.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

ACCUMULATE = "torch::autograd::AccumulateGrad"
# What an overriding mode is told of these: the switch that `torch.no_grad` and its like turn, and
# attributes whose reading makes no value of the tensor's own.
SWITCH = "_set_grad_enabled"
NO_VALUE = {"grad", "_grad", "_base", "grad_fn"}


def a_node() -> Any:
    """Make a node that has saved something, outside every mode; what is asked of it holds for all.

    `None` where this PyTorch records nothing.
    """
    with torch.inference_mode(False), torch.enable_grad(), unseen(), undispatched():
        return torch.ones((), requires_grad=True, device="cpu").exp().grad_fn


def lacking() -> frozenset[str]:
    """List the names that this version of PyTorch lacks; on 2.13 to 2.15 none."""
    node = a_node()
    asked: dict[str, tuple[Callable[[], Any], tuple[str, ...]]] = {
        "torch._C.": (lambda: torch._C, ("DisableTorchFunction", "_get_dispatch_mode")),
        "torch.autograd.": (lambda: torch.autograd, ("_engine_run_backward", "_get_sequence_nr")),
        "torch.func.": (lambda: torch.func, ("debug_unwrap",)),
        "torch.utils._python_dispatch.": (
            lambda: torch.utils._python_dispatch,
            ("_disable_current_modes",),
        ),
        "torch.utils._pytree.": (lambda: torch.utils._pytree, ("tree_leaves",)),
        "Node.": (lambda: node, ("_sequence_nr", "_input_metadata", "_raw_saved_result")),
        # Of its class: one object lies in the memory of its node.
        "SavedTensor.": (
            lambda: type(node._raw_saved_result),
            ("data", "unpack", "unpack_hook"),
        ),
        "Tensor.": (lambda: torch.Tensor, ("_base", "_version")),
        "UntypedStorage.": (lambda: torch.UntypedStorage(0), ("_cdata",)),
    }
    gone = set()
    for place, (get, names) in asked.items():
        try:
            held = get()
        except (AttributeError, ImportError):
            held = None
        gone |= {place + name for name in names if not hasattr(held, name)}
    return frozenset(gone)


# Looking without being seen.


def unseen() -> AbstractContextManager[Any]:
    """Keep modes and subclasses from taking a look at a tensor for a use of it.

    Reads ``torch._C.DisableTorchFunction``; in every version since 1.5, and needed.
    """
    return torch._C.DisableTorchFunction()


def undispatched() -> AbstractContextManager[Any]:
    """Keep every dispatch mode from seeing what is computed inside.

    Reads ``torch.utils._python_dispatch._disable_current_modes``; without it they see it.
    """
    return nullcontext() if _disable_modes is None else _disable_modes()


try:
    from torch.utils._python_dispatch import _disable_current_modes as _disable_modes
except ImportError:
    _disable_modes = None  # type: ignore[assignment]


def is_symbolic() -> bool:
    """Whether a pass is run to be written down, on tensors of symbolic sizes with no values.

    Reads ``torch._C._get_dispatch_mode`` and its key ``FAKE``; without them it is what
    :func:`torch.compiler.is_compiling` says.
    """
    try:
        mode = torch._C._get_dispatch_mode(torch._C._TorchDispatchModeKey.FAKE)
    except AttributeError:
        return torch.compiler.is_compiling()
    return mode is not None


def is_transformed(tensor: torch.Tensor) -> bool:
    """Whether a tensor lies inside a transform of ``torch.func``.

    Asks :func:`torch.func.debug_unwrap`, which is public; where there is none, no tensor does.
    """
    unwrap = getattr(torch.func, "debug_unwrap", None)
    return unwrap is not None and unwrap(tensor) is not tensor


# Nodes.


def sequence_number(node: Any) -> int:
    """Give the number a node was counted by as its thread recorded it.

    Reads ``Node._sequence_nr``; in every version since 2.1, and needed. Nodes of other engines
    answer to it too, as :func:`backwardpass.trace` asks of them.
    """
    return node._sequence_nr()


def next_sequence_number() -> int:
    """Give the number that the next node of this thread will have.

    Reads ``torch.autograd._get_sequence_nr``; without it a node is made, and its number read.
    """
    try:
        return torch.autograd._get_sequence_nr()
    except AttributeError:
        return sequence_number(a_node()) + 1


def outputs(node: Any) -> Any:
    """Give shape, dtype and device of each output of a node's forward operation.

    Reads ``Node._input_metadata``, called so since a backward takes as inputs what the forward gave
    out; without it there is no answer. Of an entry ``shape``, ``dtype``, ``device`` and
    ``is_nested_tensor`` are read.
    """
    return getattr(node, "_input_metadata", ())


def is_python_function(node: Any) -> bool:
    """Whether a node belongs to a :class:`torch.autograd.Function`.

    Its class derives from one that :mod:`torch.autograd.function` makes public.
    """
    return isinstance(node, torch.autograd.function.BackwardCFunction)


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

    The name ``CompiledFunctionBackward`` and the package ``torch._functorch`` are known on 2.6 to
    2.15; under other names it would be called a function.
    """
    made_by = getattr(function_of(node), "__module__", "")
    return node.name() == "CompiledFunctionBackward" and made_by.startswith("torch._functorch")


def viewed_sizes(node: Any) -> tuple[int, ...] | None:
    """Give the sizes of what a ``ViewBackward0`` node made a view of.

    Reads ``_saved_self_sym_sizes``, numbers and no saved tensor; without them there is no answer.
    """
    sizes = getattr(node, "_saved_self_sym_sizes", None)
    return None if sizes is None else tuple(sizes)


# What nodes have saved.


def saved_fields(node: Any) -> list[str]:
    """List what a node's class can save, by name.

    Reads which attributes begin with ``_raw_saved_``; in every version since 1.9. The ``_saved_``
    ones beside them unpack, and unpacking runs the user's hook, which in a checkpointed graph runs
    the forward pass again.
    """
    prefix = "_raw_saved_"
    return [name.removeprefix(prefix) for name in dir(type(node)) if name.startswith(prefix)]


def saved_in(node: Any, field: str) -> Any:
    """Give what a node saved under a name, packed: one SavedTensor, or several.

    Reads ``_raw_saved_...``; in every version since 1.9.

    Raises
    ------
    RuntimeError
        If it is freed, and is a list or belongs to a Python function.
    """
    return getattr(node, f"_raw_saved_{field}")


def is_sealed(saved: Any) -> bool:
    """Whether what a SavedTensor holds can be had only by unpacking, which may run a user's hook.

    Asks for ``data``, ``unpack`` and ``unpack_hook``, which the SavedTensor of older versions has
    not. Asking for a name that is not there runs nothing.
    """
    kind = type(saved)
    return not all(hasattr(kind, name) for name in ("data", "unpack", "unpack_hook"))


def packed(saved: Any) -> Any:
    """Give what a SavedTensor that is not sealed holds.

    That is a tensor, what a pack hook returned, or `None`. Reads ``SavedTensor.data``.
    """
    return saved.data


def has_hook(saved: Any) -> bool:
    """Whether a pack hook made what a SavedTensor that is not sealed holds.

    Reads ``SavedTensor.unpack_hook``.
    """
    return saved.unpack_hook is not None


def refusal(saved: Any) -> str | None:
    """Give the message with which a SavedTensor without hook refuses to be unpacked, if it does.

    It does once it is freed, and where it is the node's own output and is asked for without the
    node. Calls ``SavedTensor.unpack``, of one that is not sealed.
    """
    try:
        saved.unpack()
    except RuntimeError as error:
        return str(error)
    return None


def is_recomputed(data: Any) -> bool:
    """Whether a packed value is the place that a checkpoint keeps for a tensor it computes again.

    Its class, whatever its name, is one of the module of checkpoints.
    """
    return type(data).__module__ == "torch.utils.checkpoint"


def is_opaque(node: Any) -> bool:
    """Whether PyTorch shows nothing of what a node saved: one of C++ code that it did not generate.

    Such as a ``torch::autograd::Function`` of an extension or what TorchScript made. Their class is
    one for all, ``CppFunction``.
    """
    return type(node).__name__ == "CppFunction"


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


def is_leaf(tensor: torch.Tensor) -> bool:
    """Whether nothing recorded made a tensor: ``Tensor.is_leaf``, of any tensor.

    PyTorch makes the node of a view anew after its base was written to, when it is first asked for,
    and raises where the view was made under ``torch.no_grad()``. What requires no gradient is a
    leaf in any case, and its node is not asked for.
    """
    if not tensor.requires_grad:
        return True
    try:
        return tensor.is_leaf
    except RuntimeError:
        return False


def is_view(tensor: torch.Tensor) -> bool:
    """Whether autograd knows a tensor as a view of another."""
    return whole(tensor) is not tensor


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """Give what a tensor is a view of, or itself; reads ``Tensor._base``."""
    base = tensor._base
    return tensor if base is None else base


def state(tensor: torch.Tensor | None) -> tuple[int | None, int | None]:
    """Tell a tensor apart from another one, and from itself after an in-place operation.

    Reads ``Tensor._cdata`` and ``Tensor._version``; in every version. An id will not do: what takes
    a tensor's place is made while that lives, but its object in Python afterwards.
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
    ``retain_graph``, ``create_graph`` and the inputs; known on 2.6 to 2.15.

    Raises
    ------
    RuntimeError
        If this version has none of that name.
    """
    if not hasattr(torch.autograd, "_engine_run_backward"):
        raise RuntimeError(
            "Recording a backward pass needs the function through which every pass starts;\n"
            f"this PyTorch, {torch.__version__}, has no torch.autograd._engine_run_backward.\n"
            "Trace the graph: that needs no pass, and works here."
        )
    return torch.autograd._engine_run_backward


def set_engine(function: Callable[..., Any]) -> None:
    """Let every backward pass start through another function."""
    torch.autograd._engine_run_backward = function


def running_pass() -> int | None:
    """Number the backward pass that the engine runs on this thread.

    Reads ``torch._C._current_graph_task_id``; without it, and outside of a pass, `None`.
    """
    number = -1 if _task is None else _task()
    return None if number < 0 else number


_task = getattr(torch._C, "_current_graph_task_id", None)


# What a module returns.


def tree_leaves(tree: Any) -> list[Any]:
    """List what a nest of containers holds, those that were registered with PyTorch included.

    Reads ``torch.utils._pytree.tree_leaves``; without it tuples, lists and dictionaries are opened.
    """
    if _tree_leaves is not None:
        return _tree_leaves(tree)
    if isinstance(tree, dict):
        tree = list(tree.values())
    if not isinstance(tree, (tuple, list)):
        return [tree]
    return [leaf for part in tree for leaf in tree_leaves(part)]


try:
    from torch.utils._pytree import tree_leaves as _tree_leaves
except ImportError:
    _tree_leaves = None  # type: ignore[assignment]
