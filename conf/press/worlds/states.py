"""What a tensor is to autograd, and the mode in which something is done with it."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from press.worlds import case

# From the simplest on, each a script that defines ``x``, three float64 numbers.
NUMBERS = "torch.tensor([0.5, 1.5, 2.5], dtype=torch.float64{})"
LEAF = NUMBERS.format(", requires_grad=True")
ORIGINS = {
    "a leaf that requires a gradient": f"x = {LEAF}",
    "a leaf that requires none": f"x = {NUMBERS.format('')}",
    "a parameter": f"x = torch.nn.Parameter({NUMBERS.format('')})",
    "a result": f"p = {LEAF}\nx = p * 2",
    "a view of a leaf": f"p = {LEAF}\nx = p[:]",
    "a view of a result": f"p = {LEAF}\nq = p * 2\nx = q[:]",
    "detached": f"p = {LEAF}\nx = (p * 2).detach()",
    "a result that requires none": f"x = {NUMBERS.format('')} * 2",
    "a result whose graph was freed": f"p = {LEAF}\nx = p.exp()\nx.sum().backward()",
    "made without grad": f"p = {LEAF}\nwith torch.no_grad():\n    x = p * 2",
    "a view made without grad": f"p = {LEAF}\nwith torch.no_grad():\n    x = p[:]",
    "made in inference mode": f"p = {LEAF}\nwith torch.inference_mode():\n    x = p * 2",
    "created in inference mode": f"with torch.inference_mode():\n    x = {LEAF}",
    "written in place": f"p = {LEAF}\nx = p.clone()\nx.mul_(2)",
    "of several outputs": f"p = {LEAF}\nx = (p * 2).view(1, 3).unbind(0)[0]",
}
MODES = {
    "as usual": "torch.enable_grad",
    "without grad": "torch.no_grad",
    "in inference mode": "torch.inference_mode",
    "switched off": "lambda: torch.set_grad_enabled(False)",
}
SENTENCE = (
    "tensors that are leaves or not, require a gradient or not, views, detached, of a graph that "
    "was freed, made without grad or in inference mode; used in each of the four grad modes"
)


@dataclass(frozen=True)
class State:
    """A tensor ``x``, and ``mode``, which makes the context in which it is used.

    >>> print(State("a result", "without grad").source())
    import torch
    <BLANKLINE>
    p = torch.tensor([0.5, 1.5, 2.5], dtype=torch.float64, requires_grad=True)
    x = p * 2
    mode = torch.no_grad
    """

    origin: str
    mode: str

    def source(self) -> str:
        return f"import torch\n\n{ORIGINS[self.origin]}\nmode = {MODES[self.mode]}"

    def names(self) -> dict[str, object]:
        return case.run(self.source())

    def smaller(self) -> Iterator["State"]:
        for origin in ORIGINS:
            if origin == self.origin:
                break
            yield State(origin, self.mode)
        if self.mode != "as usual":
            yield State(self.origin, "as usual")


def states() -> case.World:
    """The world of states: 15 origins in 4 modes."""

    def draw(choose: random.Random) -> State:
        return State(choose.choice(list(ORIGINS)), choose.choice(list(MODES)))

    return case.World("states", SENTENCE, "states", draw)
