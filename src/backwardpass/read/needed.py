"""Without what of PyTorch nothing can be read, and the one message that says so."""

from operator import attrgetter
from typing import Any

OLDEST = "2.6"
# Public but one; where any is missing no node can be reached, walked or told from another.
NAMES = (
    "autograd.graph.Node",
    "autograd.graph.GradientEdge",
    "autograd.graph.get_gradient_edge",
    "compiler.is_compiling",
    "overrides.TorchFunctionMode",
    "utils.weak.WeakTensorKeyDictionary",
    "_C.DisableTorchFunction",
)
OF_A_NODE = ("next_functions", "name", "metadata", "register_prehook", "_sequence_nr")
STILL = (
    "What needs no PyTorch still works: graphs and passes kept as JSON are read with "
    "Graph.from_dict() and BackwardPass.from_dict(), tabulated, counted and drawn."
)


def check() -> None:
    """Raise where this PyTorch cannot be served.

    Raises
    ------
    ImportError
        If there is no PyTorch, if it records no graphs, or if it lacks a name that is needed.
    """
    try:
        import torch.autograd.graph
        import torch.overrides
        import torch.utils.weak
    except ImportError as error:
        raise ImportError(_told(f"importing it ended in: {error}"), name="torch") from error
    problem = wrong_with(torch)
    if problem:
        raise ImportError(_told(f"PyTorch {torch.__version__}, {problem}"), name="torch")


def wrong_with(torch: Any) -> str | None:
    """Say what keeps a PyTorch from being served; `None` where nothing does."""
    lacking = [f"torch.{name}" for name in NAMES if not _has(torch, name)]
    if lacking:
        return f"which lacks {', '.join(lacking)}"
    try:
        with torch.inference_mode(False), torch.enable_grad(), torch._C.DisableTorchFunction():
            node = torch.ones((), requires_grad=True, device="cpu").exp().grad_fn
    except (AttributeError, RuntimeError) as error:
        return f"which was built without autograd: {error}"
    if node is None:
        return "which was built without autograd: it records no graph"
    missing = [f"Node.{name}" for name in OF_A_NODE if not hasattr(node, name)]
    return f"which lacks {', '.join(missing)}" if missing else None


def _has(torch: Any, name: str) -> bool:
    try:
        attrgetter(name)(torch)
    except AttributeError:
        return False
    return True


def _told(found: str) -> str:
    return (
        f"backwardpass reads live graphs of PyTorch {OLDEST} or newer, built with autograd;\n"
        f"found {found}.\n"
        f"Install a PyTorch that has it: pip install 'torch>={OLDEST}'.\n"
        f"{STILL}"
    )
