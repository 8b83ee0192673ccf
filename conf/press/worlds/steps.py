"""The ways in which a random program computes a value from values it has.

Each value is a vector of four float64 numbers that requires a gradient, so that every way can
follow every other.  ``{a}`` and ``{b}`` are values, ``{new}`` is the result, ``{i}`` a choice.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Way:
    """A line or a few, how many values they take, what they need first, and what they are."""

    text: str
    takes: int = 1
    choices: int = 1
    needs: str = ""
    kinds: frozenset[str] = frozenset()


CUSTOM = """\
class Double(torch.autograd.Function):
    @staticmethod
    def forward(ctx, a):
        return 2 * a

    @staticmethod
    def backward(ctx, u):
        return 2 * u
"""
SOME = """\
class First(torch.autograd.Function):
    @staticmethod
    def forward(ctx, a, b):
        ctx.save_for_backward(b)
        return a * b

    @staticmethod
    def backward(ctx, u):
        (b,) = ctx.saved_tensors
        return u * b, None
"""
TWO = """\
class Both(torch.autograd.Function):
    @staticmethod
    def forward(ctx, a):
        return 2 * a, 3 * a

    @staticmethod
    def backward(ctx, u, v):
        return 2 * u + 3 * v
"""
CHECKPOINT = "from torch.utils.checkpoint import checkpoint\n"
THREAD = """\
import threading


def elsewhere(work):
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
"""


def _way(text: str, takes: int = 1, choices: int = 1, needs: str = "", kinds: str = "") -> Way:
    return Way(text, takes, choices, needs, frozenset(kinds.split()))


# Kinds that are drawn only where a world asks for them.
RARE = {"masked"}
# From the simplest on: shrinking replaces a way by one that stands before it.
WAYS: dict[str, Way] = {
    "double": _way("{new} = {a} * 2"),
    "add": _way("{new} = {a} + {b}", 2),
    "mul": _way("{new} = {a} * {b}", 2),
    "shift": _way("{new} = {a} + 1"),
    "sub": _way("{new} = {a} - {b}", 2),
    "square": _way("{new} = {a} * {a}"),
    "sin": _way("{new} = {a}.sin()"),
    "tanh": _way("{new} = {a}.tanh()"),
    "sigmoid": _way("{new} = {a}.sigmoid()"),
    "relu": _way("{new} = ({a} - 0.5).relu()"),
    "where": _way("{new} = torch.where({a} > 0.5, {a}, {b})", 2),
    "cancel": _way("{new} = {a} * 3 - {a} * 3 + {b}", 2, kinds="cancels"),
    "detach": _way("{new} = {a}.detach() * {b}", 2),
    "sum": _way("{new} = {a}.sum() * {b}", 2),
    "outer": _way("{new} = torch.outer({a}, {b}).sum(0)", 2),
    "index": _way("{new} = {a}[[0, 0, 1, 3]]"),
    "flip": _way("{new} = {a}.flip(0)"),
    "view": _way("{new} = {a}.view(2, 2).flatten()", kinds="view"),
    "transpose": _way("{new} = {a}.view(2, 2).T.reshape(4)"),
    "expand": _way("{new} = {a}.expand(3, 4)[{i}]", choices=3, kinds="view"),
    "cat": _way("{new} = torch.cat([{a}, {b}])[{i}:{i} + 4]", 2, choices=5),
    "stack": _way("{new} = torch.stack([{a}, {b}, {a}]).sum(0)", 2),
    "unbind": _way("{new} = {a}.unbind(0)[{i}] * {b}", 2, 4, kinds="outputs"),
    "unbind rows": _way(
        "{new} = torch.stack([{a}, {b}]).unbind(0)[{i}]", 2, 2, kinds="outputs view"
    ),
    "split": _way("{new} = {a}.split([1, 3])[{i}].sum() * {b}", 2, 2, kinds="outputs"),
    "max": _way("{new} = {a}.max(0).values * {b}", 2, kinds="outputs"),
    "sort": _way("{new} = {a}.sort().values", kinds="outputs"),
    "std_mean": _way("{new} = torch.std_mean({a})[{i}] * {b}", 2, 2, kinds="outputs"),
    "slogdet": _way(
        "{new} = torch.linalg.slogdet({a}.outer({b}) + 3 * torch.eye(4))[1] * {a}",
        2,
        kinds="outputs",
    ),
    "custom": _way("{new} = Double.apply({a})", needs=CUSTOM, kinds="function"),
    "custom, none": _way("{new} = First.apply({a}, {b})", 2, needs=SOME, kinds="function none"),
    "custom, two": _way("{new} = Both.apply({a})[{i}]", 1, 2, TWO, "function outputs"),
    "in place": _way("{new} = {a}.clone()\n{new}.mul_({b})", 2, kinds="in-place"),
    "in place, sin": _way("{new} = {a} + 0\n{new}.sin_()", kinds="in-place"),
    "slice written": _way("{new} = {a} + 1\n{new}[:2] = 0", kinds="in-place written-view"),
    "slice copied": _way("{new} = {a} * 1\n{new}[1:3] = {b}[:2]", 2, kinds="in-place written-view"),
    "slice scaled": _way("{new} = {a} * 1\n{new}[:2].mul_(2)", kinds="in-place written-view"),
    "view then base": _way(
        "base = {a} * 1\n{new} = base.view(2, 2)[{i}].repeat(2)\n"
        "part = base[:3]\nbase.mul_(2)\n{new} = {new} + part.sum()",
        1,
        2,
        kinds="in-place written-view",
    ),
    # A hook is called with None where a rule behind it returned None.
    "hook": _way(
        "{new} = {a} * 1\n{new}.register_hook(lambda u: None if u is None else 2 * u)", kinds="hook"
    ),
    "hook that looks": _way("{new} = {a} * 1\n{new}.register_hook(lambda u: None)", kinds="hook"),
    "retained": _way("{new} = {a} * 1\n{new}.retain_grad()", kinds="retained"),
    "checkpoint": _way(
        "{new} = checkpoint(torch.sin, {a}, use_reentrant=False)",
        needs=CHECKPOINT,
        kinds="checkpoint",
    ),
    "reentrant": _way(
        "{new} = checkpoint(torch.sin, {a}, use_reentrant=True)",
        needs=CHECKPOINT,
        kinds="checkpoint reentrant function",
    ),
    "reentrant, leaf inside": _way(
        "{new} = checkpoint(lambda v: v * x0, {a}, use_reentrant=True)",
        needs=CHECKPOINT,
        kinds="checkpoint reentrant function",
    ),
    "masked": _way("{new} = torch.where({a} > 9, ({a} - 9).sqrt(), {a})", kinds="masked"),
    "thread": _way(
        "def work():\n    global {new}\n    {new} = ({a} * {b}).sin()\n\n\nelsewhere(work)",
        2,
        needs=THREAD,
        kinds="thread",
    ),
}
