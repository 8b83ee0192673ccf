"""Operations on the samples of PyTorch's own tests, with their methods and in-place variants."""

import random
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import islice
from typing import Any

import torch

from press.worlds import case

SENTENCE = (
    "operations that autograd supports, each on samples of PyTorch's own tests of at most "
    "{most} numbers a tensor, as functions, as methods and in place"
)
# No sample of more numbers is printed.
MOST = 64
# How many samples of an operation are looked at.
SAMPLES = 12
PLAIN = (int, float, complex, bool, str, type(None), torch.dtype, type(...))


class NotPrintable(Exception):
    """An argument that no short expression makes."""


@dataclass(frozen=True)
class Operation:
    """A call: ``call(*args, **kwargs)`` of a script; ``operation`` is its name.

    ``fewer`` are other samples of the same operation that have fewer numbers.
    """

    text: str
    size: int
    fewer: tuple["Operation", ...] = field(default=(), compare=False)

    def source(self) -> str:
        return self.text

    def names(self) -> dict[str, object]:
        return case.run(self.text)

    def smaller(self) -> Iterator["Operation"]:
        yield from self.fewer


def operations(
    dtype: torch.dtype = torch.float64,
    *,
    variants: Iterable[str] = ("function", "method", "in-place"),
    only: Callable[[Any], bool] = lambda info: True,
) -> case.World:
    """The world of operations.

    Parameters
    ----------
    dtype : torch.dtype
        The dtype of what requires a gradient.
    variants : iterable of str
        Of ``"function"``, ``"method"`` and ``"in-place"``.
    only : callable
        Which entries of PyTorch's list: takes an ``OpInfo``.
    """
    variants = tuple(variants)

    def draw(choose: random.Random) -> Operation:
        names = _calls(dtype, variants)
        while True:  # most operations have a sample that can be printed
            info, name, variant = choose.choice(names)
            if only(info):
                found = _samples(info.full_name, name, variant, dtype)
                if found:
                    return choose.choice(found)

    return case.World("operations", SENTENCE.format(most=MOST), "calls", draw)


@cache
def _infos() -> dict[str, Any]:
    """PyTorch's list, by names that are used once; importing it takes seconds."""
    with warnings.catch_warnings():  # it tells of packages that only PyTorch's tests need
        warnings.simplefilter("ignore")
        from torch.testing._internal.common_methods_invocations import op_db

    return {
        info.full_name: info
        for info in op_db
        # as_strided reads a storage, of which a printed tensor has only its own numbers.
        if info.supports_autograd and not info.name.startswith("as_strided")
    }


@cache
def _calls(dtype: torch.dtype, variants: tuple[str, ...]) -> list[tuple[Any, str, str]]:
    """Each operation with an expression for it: what is called is what is printed."""
    found = []
    for info in _infos().values():
        if dtype not in info.supported_backward_dtypes("cpu"):
            continue
        expressions = {
            "function": f"torch.{info.name}",
            "method": f"torch.Tensor.{getattr(info.method_variant, '__name__', '')}",
            "in-place": f"torch.Tensor.{getattr(info.inplace_variant, '__name__', '')}",
        }
        wanted = {
            "function": info.op,
            "method": info.method_variant,
            "in-place": info.inplace_variant,
        }
        found += [
            (info, expressions[variant], variant)
            for variant in variants
            if wanted[variant] is not None and _named(expressions[variant]) is wanted[variant]
        ]
    return found


def _named(expression: str) -> object:
    found: object = torch
    for part in expression.split(".")[1:]:
        found = getattr(found, part, None)
    return found


@cache
def _samples(full: str, name: str, variant: str, dtype: torch.dtype) -> tuple[Operation, ...]:
    """The samples of an operation that can be printed, those with the fewest numbers first."""
    info = _infos()[full]
    torch.manual_seed(0)
    found: dict[str, Operation] = {}
    samples = info.sample_inputs("cpu", dtype, requires_grad=True)
    for sample in islice(samples, SAMPLES):
        if variant == "in-place" and sample.broadcasts_input:
            continue
        try:
            values = [_printed(value) for value in (sample.input, *sample.args)]
            named = [f"{key!r}: {_printed(value)}" for key, value in sample.kwargs.items()]
        except NotPrintable:
            continue
        text = _text(name, variant, values, named)
        found.setdefault(text, Operation(text, len(text)))
    ordered = sorted(found.values(), key=lambda operation: (operation.size, operation.text))
    return tuple(Operation(one.text, one.size, tuple(ordered[:i])) for i, one in enumerate(ordered))


def _text(name: str, variant: str, values: list[str], named: list[str]) -> str:
    lines = ["from math import inf, nan", "", "import torch", "", f'operation = "{name}"']
    lines.append(f"call = {name}")
    if variant == "in-place":  # a leaf that requires a gradient cannot be written
        lines[-1] = f"call = lambda x, *args, **kwargs: {name}(x.clone(), *args, **kwargs)"
    lines.append(f"args = ({', '.join(values)}{',' * (len(values) == 1)})")
    lines.append(f"kwargs = {{{', '.join(named)}}}")
    return "\n".join(lines)


def _printed(value: object) -> str:
    """An expression that makes ``value``."""
    if isinstance(value, torch.Tensor):
        return _tensor(value)
    if isinstance(value, list | tuple):
        if type(value) not in (list, tuple):
            raise NotPrintable(type(value).__name__)
        inner = ", ".join(_printed(item) for item in value)
        if isinstance(value, list):
            return f"[{inner}]"
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    if isinstance(value, PLAIN):
        return "..." if value is ... else repr(value)
    raise NotPrintable(type(value).__name__)


def _tensor(value: torch.Tensor) -> str:
    if value.numel() > MOST or value.layout is not torch.strided or type(value) is not torch.Tensor:
        raise NotPrintable("a large or unusual tensor")
    data = value.detach()
    about = f"dtype={data.dtype}" + (", requires_grad=True" if value.requires_grad else "")
    if not data.numel():
        return f"torch.zeros({tuple(data.shape)}, {about})"
    return f"torch.tensor({data.tolist()}, {about})"
