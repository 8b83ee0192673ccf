"""What a checkpoint keeps alive so that it can compute its tensors again."""

from typing import Any

import torch

from backwardpass.read import pytorch


def checkpointed(saved: Any) -> dict[str, torch.Tensor] | None:
    """Give what a checkpoint keeps alive to compute a saved tensor again, by name.

    Its arguments, the state of the generator of random numbers, and what a selective policy saved.
    What the checkpointed function itself holds on to is not seen. `None` where it cannot be told.

    Looks into the cells of the SavedTensor's ``unpack_hook`` for the checkpoint's frame, and reads
    its ``saved_args`` (2.13) or ``input_saver`` (before), and the cells of its ``recompute_fn``.
    """
    frame = _frame_of(saved.unpack_hook)
    if frame is None or not hasattr(frame, "recompute_fn"):
        return None
    found: dict[str, torch.Tensor] = {}
    arguments = getattr(frame, "saved_args", None)
    if arguments is None:
        node = getattr(getattr(frame, "input_saver", None), "grad_fn", None)
        if node is None:
            return None
        try:
            arguments = pytorch.saved_in(node, "saved_tensors")
        except RuntimeError:  # freed
            arguments = ()
    for number, argument in enumerate(arguments):
        tensor = pytorch.packed(argument) if hasattr(type(argument), "unpack_hook") else argument
        if isinstance(tensor, torch.Tensor):
            found[f"arguments[{number}]"] = tensor
    for name, held in _cells_of(frame.recompute_fn).items():
        kept = getattr(held, "storage", None) if pytorch.is_recomputed(held) else None
        found |= _tensors_in(held if kept is None else kept, name)
    return found


def _frame_of(hook: Any) -> Any:
    """Find the frame of a checkpoint, in the cells of its hook or of the function it stands for."""
    for _ in range(2):
        cells = _cells_of(hook)
        if "frame" in cells:
            return cells["frame"]
        hook = cells.get("unpack_hook")
    return None


def _cells_of(function: Any) -> dict[str, Any]:
    names = getattr(getattr(function, "__code__", None), "co_freevars", ())
    found = {}
    for name, cell in zip(names, getattr(function, "__closure__", None) or (), strict=False):
        try:
            found[name] = cell.cell_contents
        except ValueError:  # empty
            continue
    return found


def _tensors_in(held: Any, name: str) -> dict[str, torch.Tensor]:
    if isinstance(held, torch.Tensor):
        return {name: held}
    if pytorch.is_recomputed(held) and hasattr(held, "val"):  # a policy's, with the version it had
        return _tensors_in(held.val, name)
    found: dict[str, torch.Tensor] = {}
    if isinstance(held, (list, tuple, dict)):
        inside = held.values() if isinstance(held, dict) else held
        for number, part in enumerate(inside):
            found |= _tensors_in(part, f"{name}[{number}]")
    return found
