"""The rule's own derivative against double backward.

A rule is made of operations that autograd knows, so it can be differentiated: with respect to its
cotangent and to the arguments, the result being what it is of them.  Unless a rule says that it is
not to be differentiated, that is the second derivative.
"""

from collections.abc import Callable

import torch
from torch.utils._pytree import tree_unflatten

from press.trials.operators.cases import seed
from press.trials.operators.check import Check
from press.trials.operators.compare import error

LIMIT = 1e-7


class NotMade(Exception):
    """The comparison cannot be made; the message says why."""


def compared(made: Check) -> float:
    """The largest error of the rule's derivative; ∞ where it cannot be compared.

    Raises
    ------
    NotMade
        PyTorch has no second derivative here.
    """
    try:
        right = _second(made, _by_autograd)
    except RuntimeError as refusal:
        raise NotMade(str(refusal).split("\n")[0][:120]) from None
    mine = _second(made, _by_rule)
    floor = max((1e-3 * r.abs().max().item() for r in right if r.numel()), default=0.0)
    floor = max(floor, made.floor)
    return max((error(m, r, floor)[0] for m, r in zip(mine, right, strict=True)), default=0.0)


def _second(made: Check, gradients: Callable) -> list[torch.Tensor]:
    """Derivatives of a random combination of gradients, by cotangents and arguments."""
    with torch.enable_grad():
        leaves = [x.detach().clone() if isinstance(x, torch.Tensor) else x for x in made.leaves]
        inputs = [leaves[i].requires_grad_() for i in made.wanted]
        args, kwargs = tree_unflatten(leaves, made.spec)
        seed(2)
        results = made.function(*args, **kwargs)
        cotangent = [
            None if c is None else c.detach().clone().requires_grad_() for c in made.cotangent
        ]
        firsts = gradients(made, results, cotangent, args, kwargs, inputs)
        seed(5)
        total = sum(
            torch.real(first.conj() * torch.randn(first.shape, dtype=first.dtype)).sum()
            for first in (
                torch.zeros_like(x) if f is None else f for f, x in zip(firsts, inputs, strict=True)
            )
        )
        asked = [*(c for c in cotangent if c is not None), *inputs]
        if not total.requires_grad:
            return [torch.zeros_like(x) for x in asked]
        found = torch.autograd.grad(total, asked, allow_unused=True)
    return [torch.zeros_like(x) if f is None else f for f, x in zip(found, asked, strict=True)]


def _by_autograd(made, results, cotangent, args, kwargs, inputs) -> list:
    from torch.utils._pytree import tree_flatten

    pairs = zip(tree_flatten(results)[0], cotangent, strict=True)
    roots = [(y, c) for y, c in pairs if c is not None and y.requires_grad]
    return torch.autograd.grad(
        [y for y, _ in roots], inputs, [c for _, c in roots], create_graph=True, allow_unused=True
    )


def _by_rule(made, results, cotangent, args, kwargs, inputs) -> list:
    g = tree_unflatten(cotangent, made.result_spec)
    returned = made.gradient(g, results, *args, **kwargs)
    return [made._of(returned, i) for i in made.wanted]
