"""Which tensors are leaves, which require a gradient, and which hold one after a pass."""

import copy
from collections.abc import Callable

import torch

from .trying import attempt, yes

TITLE = "Leaf, requires_grad, and who holds a gradient"
ROW = "tensor"
COLUMNS = (
    "leaf",
    "requires grad",
    "made by",
    "retains grad",
    "grad after a pass",
    "requires_grad_()",
    "requires_grad_(False)",
    "add_(1)",
    "under no_grad",
)


def _parameter() -> torch.Tensor:
    return torch.tensor([1.0, 2.0, 3.0], requires_grad=True)


def _unrecorded(make: Callable[[torch.Tensor], torch.Tensor], mode=torch.no_grad):
    def made(p: torch.Tensor) -> torch.Tensor:
        with mode():
            return make(p)

    return made


def _retained(p: torch.Tensor) -> torch.Tensor:
    result = p * 2
    result.retain_grad()
    return result


def _cut(p: torch.Tensor) -> torch.Tensor:
    return (p * 2).detach_()


def _gradient(p: torch.Tensor) -> torch.Tensor:
    (p * p).sum().backward()
    gradient, p.grad = p.grad, None
    return gradient


def _differentiable_gradient(p: torch.Tensor) -> torch.Tensor:
    (gradient,) = torch.autograd.grad((p**3).sum(), p, create_graph=True)
    return gradient


def _saved_and_loaded(p: torch.Tensor) -> torch.Tensor:
    return torch.nn.ParameterDict({"p": torch.nn.Parameter(p.detach())}).state_dict()["p"]


# How each is made of a leaf p that requires a gradient.
TENSORS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "p": lambda p: p,
    "nn.Parameter(data)": lambda p: torch.nn.Parameter(torch.tensor([1.0, 2.0, 3.0])),
    "data": lambda p: torch.tensor([1.0, 2.0, 3.0]),
    "data * 3": lambda p: torch.tensor([1.0, 2.0, 3.0]) * 3,
    "p * 2": lambda p: p * 2,
    "p * 2, retain_grad()": _retained,
    "p[:2]": lambda p: p[:2],
    "p.clone()": lambda p: p.clone(),
    "p.double()": lambda p: p.double(),
    "p.float()": lambda p: p.float(),
    "p.detach()": lambda p: p.detach(),
    "(p * 2).detach_()": _cut,
    "p.data": lambda p: p.data,
    "p > 0": lambda p: p > 0,
    "p.argmax()": lambda p: p.argmax(),
    "p.long()": lambda p: p.long(),
    "torch.zeros_like(p)": torch.zeros_like,
    "copy.deepcopy(p)": copy.deepcopy,
    "p's entry in state_dict()": _saved_and_loaded,
    "p's gradient": _gradient,
    "p's gradient, create_graph": _differentiable_gradient,
    "p * 2 under no_grad()": _unrecorded(lambda p: p * 2),
    "p[:2] under no_grad()": _unrecorded(lambda p: p[:2]),
    "p * 2 in inference_mode()": _unrecorded(lambda p: p * 2, torch.inference_mode),
    "p[:2] in inference_mode()": _unrecorded(lambda p: p[:2], torch.inference_mode),
}


def measure() -> dict[str, dict[str, str]]:
    """Ask each question of each tensor, made anew."""
    return {text: _row(make) for text, make in TENSORS.items()}


def _row(make: Callable[[torch.Tensor], torch.Tensor]) -> dict[str, str]:
    def fresh() -> torch.Tensor:
        return make(_parameter())

    t = fresh()
    return {
        "leaf": yes(t.is_leaf),
        "requires grad": yes(t.requires_grad),
        "made by": t.grad_fn.name().rpartition("::")[2] if t.grad_fn else "-",
        "retains grad": yes(t.retains_grad),
        "grad after a pass": _after_a_pass(fresh()),
        "requires_grad_()": _flag(fresh(), True),
        "requires_grad_(False)": _flag(fresh(), False),
        "add_(1)": _add(fresh()),
        "under no_grad": _unrecorded(_add)(fresh()),
    }


def _after_a_pass(t: torch.Tensor) -> str:
    """Whether ``t`` holds a gradient after a pass from a loss that saves it."""
    try:
        (t * t).sum().backward()
    except RuntimeError:
        return "no pass"
    return yes(t.grad is not None)


def _flag(t: torch.Tensor, value: bool) -> str:
    before = t.requires_grad
    if attempt(lambda: t.requires_grad_(value)) == "raises":
        return "raises"
    return "as it was" if t.requires_grad == before else "set"


def _add(t: torch.Tensor) -> str:
    return attempt(lambda: t.add_(1))
