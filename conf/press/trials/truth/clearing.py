"""What each way of clearing a gradient leaves behind, and what an optimizer makes of that."""

from collections.abc import Callable

import torch

from .trying import attempt, yes

TITLE = "Ways to clear a gradient"
ROW = "way"
COLUMNS = (
    "grad afterwards",
    "a name for the old one shows",
    "next pass gives",
    "and writes into",
    "before the first pass",
    "SGD moves",
    "with momentum",
    "with weight decay",
    "Adam moves",
    "outside the optimizer",
)


def _assign(value: Callable[[torch.Tensor], torch.Tensor | None]):
    def clear(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
        for p in model.parameters():
            p.grad = value(p)

    return clear


def _zero(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
    for p in model.parameters():
        p.grad.zero_()


def _multiply(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
    for p in model.parameters():
        p.grad = p.grad * 0


WAYS: dict[str, Callable[[torch.nn.Module, torch.optim.Optimizer], object]] = {
    "nothing": lambda model, optimizer: None,
    "p.grad = None": _assign(lambda p: None),
    "del p.grad": lambda model, optimizer: [delattr(p, "grad") for p in model.parameters()],
    "p.grad.zero_()": _zero,
    "p.grad = p.grad * 0": _multiply,
    "p.grad = torch.zeros_like(p)": _assign(torch.zeros_like),
    "optimizer.zero_grad()": lambda model, optimizer: optimizer.zero_grad(),
    "optimizer.zero_grad(set_to_none=False)": lambda model, optimizer: optimizer.zero_grad(
        set_to_none=False
    ),
    "model.zero_grad()": lambda model, optimizer: model.zero_grad(),
    "model.zero_grad(set_to_none=False)": lambda model, optimizer: model.zero_grad(
        set_to_none=False
    ),
}


class Model(torch.nn.Module):
    """Two weights; an optimizer gets the first, so that the second is outside of it."""

    def __init__(self):
        super().__init__()
        self.inside = torch.nn.Parameter(torch.tensor([1.0, -2.0, 3.0]))
        self.outside = torch.nn.Parameter(torch.tensor([0.5, 4.0]))

    def run(self) -> None:
        """A pass in which the gradient of each weight is a constant."""
        (2 * self.inside).sum().add((3 * self.outside).sum()).backward()


def measure() -> dict[str, dict[str, str]]:
    """Clear in each way after a pass, and look."""
    return {text: _row(clear) for text, clear in WAYS.items()}


def _row(clear) -> dict[str, str]:
    model, optimizer = _trained()
    old = model.inside.grad
    clear(model, optimizer)
    new = model.inside.grad
    # Before the next pass, which writes into what is there.
    afterwards, shown, outside = _shown(new), _shown(old), _shown(model.outside.grad)
    model.run()
    after = model.inside.grad
    return {
        "grad afterwards": afterwards,
        "a name for the old one shows": shown,
        "next pass gives": _shown(after),
        "and writes into": "a new tensor" if after is not new else "the same tensor",
        "before the first pass": attempt(lambda: clear(*_fresh())),
        "SGD moves": _moves(clear, lambda p: torch.optim.SGD(p, lr=0.1)),
        "with momentum": _moves(clear, lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9)),
        "with weight decay": _moves(clear, lambda p: torch.optim.SGD(p, lr=0.1, weight_decay=0.5)),
        "Adam moves": _moves(clear, lambda p: torch.optim.Adam(p, lr=0.1)),
        "outside the optimizer": outside,
    }


def _fresh(optimizer=lambda p: torch.optim.SGD(p, lr=0.1)):
    model = Model()
    return model, optimizer([model.inside])


def _trained():
    model, optimizer = _fresh()
    model.run()
    return model, optimizer


def _shown(gradient: torch.Tensor | None) -> str:
    """A gradient as its first entry, for all of its entries are the same."""
    return "None" if gradient is None else f"{gradient[0].item():g}"


def _moves(clear, make) -> str:
    """Whether a step after clearing still moves the weight, once a step has been made."""
    model, optimizer = _fresh(make)
    model.run()
    optimizer.step()
    clear(model, optimizer)
    before = model.inside.detach().clone()
    optimizer.step()
    return yes(not torch.equal(before, model.inside.detach()))
