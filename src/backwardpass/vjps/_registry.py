"""The registry: what the book says of a rule stands beside the rule, and nowhere else."""

import ast
import sys
from collections.abc import Callable
from dataclasses import dataclass
from inspect import cleandoc, getsource, isgetsetdescriptor
from operator import attrgetter
from textwrap import dedent

import torch

RULES: dict[str, "Rule"] = {}
# Where an entry's name is looked for: what has no other name is an operator of ATen.
OWNERS = {"torch": torch, "torch.Tensor": torch.Tensor, "torch.ops.aten": torch.ops.aten}


class Declined(Exception):
    """A rule does not answer for an option; the message is the reason."""


@dataclass(frozen=True)
class Rule:
    """A vector-Jacobian product derived by hand, and what is known of it."""

    name: str
    gradient: Callable  # (g, y, *arguments of the function) -> {argument: gradient}
    entries: tuple[str, ...]  # the operators of PyTorch's own test suite it answers for
    latex: str
    saved: str  # what the rule reads, of y and of the arguments
    domain: str
    kinks: str
    source: str
    also: tuple[str, ...]  # other names of the function, below torch
    modules: tuple[str, ...]  # classes of torch.nn that call it
    family: str
    once: str = ""  # why differentiating the rule is not the second derivative

    @property
    def derivation(self) -> str:
        """How the formula comes about, in Markdown; empty where it is one line."""
        return cleandoc(self.gradient.__doc__ or "")

    @property
    def code(self) -> str:
        """The rule as it runs, without its derivation."""
        source = dedent(getsource(self.gradient))
        function = ast.parse(source).body[0]
        lines = source.splitlines()
        # The decorator stays out: what it says stands around the code.
        signature = lines[function.lineno - 1 : function.body[0].lineno - 1]
        first = function.body[1 if self.gradient.__doc__ else 0]
        return "\n".join([*signature, *lines[first.lineno - 1 :]])

    @property
    def helpers(self) -> dict[str, str]:
        """Functions and constants of the family's module that the rule uses, as source."""
        module = sys.modules[self.gradient.__module__]
        own = _definitions(getsource(module))
        found: dict[str, str] = {}
        todo = [self.code]
        while todo:
            names = {n.id for n in ast.walk(ast.parse(todo.pop())) if isinstance(n, ast.Name)}
            for name in own:
                if name in names and name not in found and name != self.gradient.__name__:
                    found[name] = own[name]
                    todo.append(own[name])
        return {name: own[name] for name in own if name in found}


def rule(
    *entries: str,
    latex: str,
    saved: str,
    domain: str = "everywhere",
    kinks: str = "none",
    source: str = "",
    also: str = "",
    modules: str = "",
    name: str = "",
    once: str = "",
) -> Callable[[Callable], Callable]:
    """Register the decorated function as the rule for ``entries``.

    ``entries`` are names of PyTorch's operator tests (``linalg.solve``, ``max.reduction_no_dim``);
    the function under test is the longest prefix that names one, :func:`forward` finds it.

    A rule made of differentiable operations can itself be differentiated, which the check compares
    with double backward; where that is not so, ``once`` says why.

    Raises
    ------
    ValueError
        An entry has a rule already; or a function has a derivation nowhere: no docstring, and no
        ``source``.
    """

    def register(gradient: Callable) -> Callable:
        title = name or entries[0].removeprefix("nn.functional.")
        registered = Rule(
            title,
            gradient,
            entries,
            latex,
            saved,
            domain,
            kinks,
            source or ("derived below" if gradient.__doc__ else "one line"),
            tuple(also.split()),
            tuple(modules.split()),
            gradient.__module__.rpartition(".")[2],
            once,
        )
        taken = {entry: known.name for known in RULES.values() for entry in known.entries}
        twice = [entry for entry in entries if entry in taken]
        if title in RULES or twice:
            raise ValueError(
                f"{', '.join(twice) or title} has a rule already, "
                f"{taken[twice[0]] if twice else title}; an operator is registered once"
            )
        RULES[title] = registered
        return gradient

    return register


def _definitions(source: str) -> dict[str, str]:
    """Top-level functions without a decorator, and constants that are no text, by name."""
    found = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef) and not node.decorator_list:
            found[node.name] = ast.get_source_segment(source, node)
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict):
            found[node.targets[0].id] = ast.get_source_segment(source, node)
    return found


def forward(entry: str) -> Callable:
    """The public function that an entry tests.

    >>> forward("nn.functional.pad.reflect").__name__, forward("max.reduction_no_dim").__name__
    ('pad', 'max')
    """
    return _found(entry)[1]


def public_name(entry: str) -> str:
    """The name a reader would call it by.

    >>> public_name("nn.functional.pad.reflect"), public_name("expand"), public_name("linalg.inv")
    ('torch.nn.functional.pad', 'torch.Tensor.expand', 'torch.linalg.inv')
    >>> public_name("mT"), public_name("slice")
    ('torch.Tensor.mT', 'torch.ops.aten.slice')
    """
    return _found(entry)[0]


def _found(entry: str) -> tuple[str, Callable]:
    words = entry.removeprefix("torch.").split(".")
    for end in range(len(words), 0, -1):
        for name, owner in OWNERS.items():
            found = owner
            for word in words[:end]:
                found = getattr(found, word, None)
            if isgetsetdescriptor(found):  # an attribute that is computed, x.mT
                found = attrgetter(words[end - 1])
            if callable(found):
                return ".".join((name, *words[:end])), found
    raise ValueError(f"{entry} names no function of torch and no method of torch.Tensor")
