"""What is recorded under each way of not recording, and what may be done with the result."""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass

import torch
from torch.utils.checkpoint import checkpoint

from .trying import attempt, saved, storages, yes

TITLE = "Ways to record, and not to"
ROW = "way"
COLUMNS = (
    "node",
    "requires grad",
    "leaf",
    "saved bytes",
    "version counter",
    "new leaf trains",
    "weight changed inside",
    "result changed later",
    "view changed later",
    "saved later",
    "gradient reaches",
)

N, D, H = 5, 4, 3


def _same(thing):
    return thing


@dataclass(frozen=True)
class Way:
    """A mode around the block, what is set on its layer before, what is done with its result."""

    modes: tuple[Callable[[], AbstractContextManager], ...] = (nullcontext,)
    prepare: Callable[[torch.nn.Module], object] = _same
    finish: Callable[[torch.Tensor], torch.Tensor] = _same
    run: Callable = lambda layer, A: layer(A)
    hides: bool = False  # hooks of its own, so that no other hook sees what is saved


WAYS = {
    "as usual": Way(),
    "eval()": Way(prepare=torch.nn.Module.eval),
    "no_grad()": Way((torch.no_grad,)),
    "set_grad_enabled(False)": Way((lambda: torch.set_grad_enabled(False),)),
    "inference_mode()": Way((torch.inference_mode,)),
    "no_grad(), enable_grad()": Way((torch.no_grad, torch.enable_grad)),
    "inference_mode(), enable_grad()": Way((torch.inference_mode, torch.enable_grad)),
    "inference_mode(), inference_mode(False)": Way(
        (torch.inference_mode, lambda: torch.inference_mode(False))
    ),
    "detach() the result": Way(finish=torch.Tensor.detach),
    "the result's .data": Way(finish=lambda y: y.data),
    "detach() the input": Way(run=lambda layer, A: layer(A.detach())),
    "requires_grad_(False)": Way(prepare=lambda layer: layer.requires_grad_(False)),
    "checkpoint()": Way(run=lambda layer, A: checkpoint(layer, A, use_reentrant=False)),
    "save_on_cpu()": Way((torch.autograd.graph.save_on_cpu,), hides=True),
    "no_grad(), func.grad": Way((torch.no_grad,)),
    "func.grad, no_grad()": Way((torch.no_grad,)),
}


def measure() -> dict[str, dict[str, str]]:
    """Ask each question of each way, on a run of its own."""
    rows = {}
    for text, way in WAYS.items():
        if "func.grad" in text:
            answers = _transformed(outside=text.endswith("func.grad"))
            rows[text] = {column: answers.get(column, "") for column in COLUMNS}
        else:
            rows[text] = {column: ask(way) for column, ask in QUESTIONS.items()}
    return rows


class Run:
    """A scale ``p``, a layer with the weight ``W``, a weight ``v`` of the results; all train."""

    def __init__(self, way: Way, inside: Callable[["Run"], object] = _same):
        generator = torch.Generator().manual_seed(0)

        def random(*shape: int) -> torch.Tensor:
            return torch.randn(*shape, generator=generator, dtype=torch.float64)

        self.X = random(N, D)
        self.leaves = {"p": random(D), "W": random(H, D), "v": random(N, H)}
        for leaf in self.leaves.values():
            leaf.requires_grad_()
        linear = torch.nn.Linear(D, H, bias=False)
        linear.weight = torch.nn.Parameter(self.leaves["W"])
        self.leaves["W"] = linear.weight
        layer = torch.nn.Sequential(linear, torch.nn.Tanh())
        way.prepare(layer)
        A = self.X * self.leaves["p"]

        def block() -> torch.Tensor:
            with ExitStack() as stack:
                for mode in way.modes:
                    stack.enter_context(mode())
                y = way.finish(way.run(layer, A))
                self.inside = inside(self)
                self.view = y[:2]
                return y

        self.block = block

    def __call__(self) -> "Run":
        self.y = self.block()
        return self

    def loss(self) -> torch.Tensor:
        """A loss that has to save ``y``, for the gradient of ``v``."""
        return (self.y * self.leaves["v"]).sum()

    def reached(self) -> str:
        """The names of the leaves that a pass from the loss reaches."""
        self.loss().backward()
        return " ".join(name for name, leaf in self.leaves.items() if leaf.grad is not None)


def _saved_bytes(way: Way) -> str:
    if way.hides:
        return ""
    run = Run(way)
    _, seen = saved(run)
    return str(sum(storages(seen).values()))


def _changed(way: Way, which: str) -> str:
    """Whether the change is refused, noticed by the pass, harmless, or spoils a gradient."""
    run = Run(way)()
    if attempt(lambda: getattr(run, which).add_(1)) == "raises":
        return "raises"
    if attempt(lambda: run.loss().backward()) == "raises":
        return "caught"
    unchanged = Run(way)()
    unchanged.loss().backward()
    # Adding a constant to y changes the gradient of v, and no other.
    right = all(
        unchanged.leaves[name].grad is None
        or torch.equal(unchanged.leaves[name].grad, run.leaves[name].grad)
        for name in ("p", "W")
    )
    return "works" if right else "wrong gradient"


def _reaches(way: Way) -> str:
    try:
        return Run(way)().reached()
    except RuntimeError:
        return "-"


def _new_leaf(way: Way) -> str:
    run = Run(way, lambda run: torch.ones(2, requires_grad=True))()
    attempt(lambda: (run.inside * run.inside).sum().backward())
    return yes(run.inside.grad is not None)


def _weight(way: Way) -> str:
    def change(run: Run) -> str:
        return attempt(lambda: run.leaves["W"].add_(1))

    return Run(way, change)().inside


QUESTIONS: dict[str, Callable[[Way], str]] = {
    "node": lambda way: yes(Run(way)().y.grad_fn is not None),
    "requires grad": lambda way: yes(Run(way)().y.requires_grad),
    "leaf": lambda way: yes(Run(way)().y.is_leaf),
    "saved bytes": _saved_bytes,
    "version counter": lambda way: attempt(lambda: Run(way)().y._version, "yes", "no"),
    "new leaf trains": _new_leaf,
    "weight changed inside": _weight,
    "result changed later": lambda way: _changed(way, "y"),
    "view changed later": lambda way: _changed(way, "view"),
    "saved later": lambda way: attempt(lambda: Run(way)().loss()),
    "gradient reaches": _reaches,
}


def _transformed(outside: bool) -> dict[str, str]:
    """``torch.func.grad`` under ``no_grad()``, or a function under it that holds ``no_grad()``."""
    run = Run(Way())
    seen = {}

    def loss(p: torch.Tensor, W: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        with nullcontext() if outside else torch.no_grad():
            y = torch.tanh(run.X * p @ W.T)
        seen.update(
            {
                "node": yes(y.grad_fn is not None),
                "requires grad": yes(y.requires_grad),
                "leaf": yes(y.is_leaf),
            }
        )
        return (y * v).sum()

    values = [leaf.detach() for leaf in run.leaves.values()]
    with torch.no_grad() if outside else nullcontext():
        gradients = torch.func.grad(loss, argnums=(0, 1, 2))(*values)
    reached = [name for name, g in zip(run.leaves, gradients, strict=True) if g.any()]
    return {**seen, "gradient reaches": " ".join(reached)}
