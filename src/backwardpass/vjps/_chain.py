"""The chain rule over rules: an operation written with others goes back through theirs.

A reduction calls :func:`chained` with the operation written out.  Each step is noted while it is
computed, a function and its arguments, and the notes are read from the end: the rule of each step
turns the cotangent of its result into those of its arguments, and what reaches a tensor in several
ways is summed.
"""

import inspect
import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode, resolve_name
from torch.utils._pytree import tree_flatten, tree_map

from backwardpass.vjps._registry import RULES, Rule, public_name

# A function of Python's operators, whose rule has another name.
SPELLED = {"rdiv": "__rdiv__"}
# Called with its arguments exchanged, which its rule does not know.
EXCHANGED = {"__rpow__", "__rmatmul__"}
_IN_PLACE = re.compile(
    r"[a-z]\w*[a-z0-9]_|__i(add|sub|mul|div|truediv|floordiv|mod|pow|and|or|xor)__|__setitem__"
)
# What makes a constant of its argument.
CONSTANT = {"detach", "zeros_like", "ones_like", "new_zeros", "new_ones", "new_full", "full_like"}


def chained(g: Any, function: Callable, /, **arguments: Any) -> dict[str, Any]:
    """Gradients of ``arguments``, from the cotangent of ``function(**arguments)``.

    Parameters
    ----------
    g
        The cotangent: of the structure of the result, None where an output has none.
    function
        The operation, written with operations that have rules.
    arguments
        Its arguments, tensors or lists of tensors; those that are None have no gradient.

    Returns
    -------
    dict
        For each argument its gradient, of its shape and dtype.

    Raises
    ------
    NotImplementedError
        A step has no rule; the message names it.

    Examples
    --------
    >>> x = torch.tensor([1.0, 2.0])
    >>> chained(torch.tensor(1.0), lambda x: (x.sin() * x).sum(), x=x)["x"]
    tensor([1.3818, 0.0770])
    """
    # A step may return its argument, so each argument becomes a tensor of its own.
    own = tree_map(lambda v: v.view_as(v) if isinstance(v, Tensor) else v, arguments)
    with _Steps(own) as noted:
        result = function(**own)
    cotangents: dict[int, Tensor] = {}
    for piece, y in zip(_flat(g), _flat(result), strict=True):
        _collect(cotangents, y, piece)
    for step in reversed(noted.steps):
        for x, grad in step.back(cotangents):
            _collect(cotangents, x, grad)
    return {
        name: tree_map(lambda x: _found(cotangents, x), value)
        for name, value in own.items()
        if value is not None
    }


def _flat(value: Any) -> list:
    return tree_flatten(value, is_leaf=lambda v: v is None)[0]


def _collect(cotangents: dict[int, Tensor], x: Any, grad: Tensor | None) -> None:
    if isinstance(x, Tensor) and grad is not None:
        known = cotangents.get(id(x))
        cotangents[id(x)] = grad if known is None else known + grad


def _found(cotangents: dict[int, Tensor], x: Any) -> Tensor | None:
    if not isinstance(x, Tensor):
        return None
    grad = cotangents.get(id(x))
    return torch.zeros_like(x) if grad is None else grad


class _Step:
    """A function that was called, with what and with what result."""

    def __init__(self, rule: Rule, args: tuple, kwargs: dict, result: Any):
        self.rule, self.args, self.kwargs, self.result = rule, args, kwargs, result

    def back(self, cotangents: dict[int, Tensor]) -> Iterator[tuple[Any, Tensor | None]]:
        """Each argument with the cotangent that the rule sends to it."""
        outputs = _flat(self.result)
        pieces = [cotangents.get(id(y)) if isinstance(y, Tensor) else None for y in outputs]
        if all(piece is None for piece in pieces):
            return
        pieces = [
            torch.zeros_like(y) if piece is None and _is_smooth(y) else piece
            for piece, y in zip(pieces, outputs, strict=True)
        ]
        single = isinstance(self.result, Tensor)
        g = pieces[0] if single else type(self.result)(pieces)
        grads = self.rule.gradient(g, self.result, *self.args, **self.kwargs)
        signature = inspect.signature(self.rule.gradient)
        given = signature.bind(None, None, *self.args, **self.kwargs).arguments
        for name, grad in grads.items():
            if grad is not None and name in given:
                sent = [grad] if isinstance(grad, Tensor) else _flat(grad)
                yield from zip(_flat(given[name]), sent, strict=True)


class _Steps(TorchFunctionMode):
    """Notes the steps that an argument reaches, while they are computed."""

    def __init__(self, arguments: Any):
        super().__init__()
        self.steps: list[_Step] = []
        self.kept = [x for x in _flat(arguments) if isinstance(x, Tensor)]
        self.reached = {id(x) for x in self.kept}

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        given = {id(v) for v in _flat((args, kwargs)) if isinstance(v, Tensor)}
        word = func.__name__
        if given & self.reached and (_IN_PLACE.fullmatch(word) or "out" in kwargs):
            raise NotImplementedError(
                f"{word} changes its argument, and a reduction has no step for that; "
                "write it with the function that returns a new tensor"
            )
        result = func(*args, **kwargs)
        fresh = [y for y in _flat(result) if _is_smooth(y) and id(y) not in given]
        if fresh and given & self.reached:
            rule = _rule_of(func)
            if rule is not None:
                self.steps.append(_Step(rule, args, kwargs, result))
                self.kept += fresh  # kept alive, so that its identity stays its own
                self.reached |= {id(y) for y in fresh}
        return result


def _is_smooth(value: Any) -> bool:
    return isinstance(value, Tensor) and (value.is_floating_point() or value.is_complex())


def _rule_of(func: Callable) -> Rule | None:
    """The rule of a function that was called; None for one that makes a constant."""
    path = resolve_name(func).removesuffix(".__get__").removeprefix("torch.")
    path = path.removeprefix("functional.").removeprefix("Tensor.")
    word = path.rpartition(".")[2]
    if word in CONSTANT:
        return None
    plain = word.strip("_")
    for name in (path, SPELLED.get(plain, plain)):
        found = _by_name().get(name)
        if found is not None and word not in EXCHANGED:
            return found
    raise NotImplementedError(
        f"{resolve_name(func)} has no rule, and a reduction goes back through it; "
        "write the step with operations that have rules"
    )


@cache
def _by_name() -> dict[str, Rule]:
    found: dict[str, Rule] = {}
    for rule in RULES.values():
        for entry in (*rule.entries, *rule.also):
            found.setdefault(entry, rule)
            try:
                name = public_name(entry)
            except ValueError:  # newer than this PyTorch, so nobody calls it
                continue
            found.setdefault(name.removeprefix("torch.").removeprefix("Tensor."), rule)
    return found
