"""An answer to the question why a gradient is missing, and what to change by cause."""

import textwrap
from dataclasses import dataclass
from typing import Literal

from backwardpass.explain.place import Place

WIDTH = 84  # columns of an answer's text
WATCH = "the forward pass inside «with backwardpass.watch() as watched:», then ask with watched="
RECORD = (
    "the backward pass inside «with backwardpass.record() as recording:», then ask with recording="
)
# Where a watch has seen no cut although there is one.
UNSEEN = (
    "the way from the tensor to the loss piece by piece: ask of one result after the other with "
    "trace(result). A watch does not see other threads, compiled or scripted code, functions under "
    "torch.func, or what ran before the block; and checkpoint(..., use_reentrant=True) records "
    "nothing if none of its inputs requires a gradient: pass use_reentrant=False"
)
VALUES = "record(values=True), which tells whether a hook took it away during the pass"

# From the graph; from a recorded pass; from a watched forward pass.
Cause = Literal[
    "unknown", "has a gradient", "inference tensor", "does not require grad",
    "loss without a graph", "not reached", "not a leaf",
    "backward not run", "other loss", "pass raised", "autograd.grad", "left out",
    "function returned None", "nothing arrived", "cleared", "removed by a hook",
    "detached", "recording was off", "inside a function", "no derivative", "copied", "new leaf",
    "frozen", "left PyTorch", "not used", "bound to another tensor",
]  # fmt: skip

# What to change, by cause.
CHANGE: dict[Cause, str] = {
    "no derivative": "Keep to floating point on the way from the tensor to the loss, or give the "
    "step a derivative of its own with a torch.autograd.Function.",
    "inference tensor": "Make it, and compute with it, outside torch.inference_mode(); "
    "a clone made outside can require a gradient.",
    "not a leaf": "If its gradient is wanted, call retain_grad() on it before the backward pass. "
    "If it is meant to be a parameter, compute its value first and let the result require a "
    "gradient: requires_grad_(), or torch.nn.Parameter.",
    "detached": "Leave the detaching out on the way from the tensor to the loss; detach what is "
    "logged or kept.",
    "recording was off": "Move the line out of torch.no_grad(), set_grad_enabled(False) or "
    "inference_mode(), or end the mode before it.",
    "inside a function": "Pass the tensor to apply() and return its gradient from backward(): what "
    "a torch.autograd.Function computes in forward() is not recorded.",
    "copied": "Use the tensor itself, or torch.stack for several; torch.tensor copies numbers.",
    "new leaf": "Compute with the result itself; a Parameter or requires_grad_() begins a new "
    "graph there.",
    "frozen": "Call requires_grad_(True) on it before the forward pass, if it is to be trained.",
    "left PyTorch": "Stay with tensors between the tensor and the loss.",
    "bound to another tensor": "Update in place, under torch.no_grad(), or make the final value "
    "first and let that require a gradient; ask about, and give the optimizer, the tensor that "
    "the loss was computed with.",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """Why a tensor has no gradient.

    Parameters
    ----------
    cause
        A few words, of a fixed list: see :func:`why_no_grad`.
    because
        What is so, in a sentence or two.
    change
        What to change; empty where the cause is not known yet.
    next
        What to run to learn more; empty where there is no need to.
    seen
        The facts the answer rests on, each a line.
    places
        The lines of code in question, the most telling first.

    Examples
    --------
    >>> from backwardpass import Answer
    >>> print(Answer("not a leaf", "It is no leaf.", change="Call retain_grad()."))
    not a leaf: It is no leaf.
      to change: Call retain_grad().
    """

    cause: Cause
    because: str
    change: str = ""
    next: str = ""
    seen: tuple[str, ...] = ()
    places: tuple[Place, ...] = ()

    def to_text(self) -> str:
        """Write the answer, what was seen, what to change and what to run, a line each.

        >>> from backwardpass import Answer
        >>> Answer("unknown", "Nothing is wrong.", next="Record the pass.").to_text()
        'unknown: Nothing is wrong.\\n  to run: Record the pass.'
        """
        lines = _wrapped(f"{self.cause}: {self.because}", "  ")
        lines += [f"  at: {place}" for place in self.places]  # as long as the line of code is
        for what, texts in [("seen", self.seen), ("to change", (self.change,))]:
            lines += [line for text in texts if text for line in _wrapped(f"  {what}: {text}")]
        lines += _wrapped(f"  to run: {self.next}") if self.next else []
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.to_text()


def _wrapped(text: str, indent: str = "    ") -> list[str]:
    return textwrap.wrap(
        text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def answered(
    cause: Cause, because: str, seen: tuple[str, ...] = (), places: tuple[Place, ...] = ()
) -> Answer:
    """Answer with what is to be changed for a cause that always asks for the same change."""
    return Answer(cause, because, change=CHANGE[cause], seen=seen, places=places)


def count(number: int, what: str) -> str:
    """Count in words a reader reads.

    >>> count(1, "leaf"), count(2, "leaf"), count(2, "recorded pass")
    ('1 leaf', '2 leaves', '2 recorded passes')
    """
    if number == 1 or what.startswith("of "):
        return f"{number} {what}"
    plurals = {"leaf": "leaves", "recorded pass": "recorded passes"}
    return f"{number} {plurals.get(what, what + 's')}"
