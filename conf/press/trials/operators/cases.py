"""The cases a rule is checked on: every sample of PyTorch's tests, and edge cases of our own."""

import inspect
import math
import random
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy
import torch
from torch.utils._pytree import tree_flatten, tree_map

from backwardpass import vjps
from press.trials.operators import entries, layouts

# Where OpInfo passes the arguments in another order than the public function takes them.
ORDER: dict[str, Callable] = {
    "where": lambda x, condition, other: ((condition, x, other), {}),
    "einsum": lambda operands, equation: ((equation, *operands), {}),
    "nn.functional.embedding": lambda weight, index, **options: ((index, weight), options),
    "__rmatmul__": lambda a, b: ((b, a), {}),
    "__rpow__": lambda a, b: ((b, a), {}),
}
# The public function, where the entry's name is not its name.
FUNCTION: dict[str, Callable] = {
    "__rmatmul__": torch.matmul,
    "__rpow__": torch.pow,
    "max.binary": torch.max,
    "min.binary": torch.min,
}
# What PyTorch's two modes do not agree on, or what it computes less well than it could, for all
# samples of an entry: the largest error there is, and the reason.  That there is one is asserted.
SIXTH = "its constant 1/6 has single precision"
KNOWN: dict[tuple[str, torch.dtype], dict[str, tuple[float, str]]] = {
    ("nn.functional.hardsigmoid", torch.float64): {
        "autograd": (1e-7, SIXTH),
        "forward": (1e-7, SIXTH),
    },
    ("logcumsumexp", torch.float64): {
        "forward": (1e-5, "its formula for forward mode is less exact"),
    },
    ("logcumsumexp", torch.complex128): {
        "forward": (math.inf, "its formula for forward mode is NaN for complex numbers"),
    },
}
WRONG = "its formula for forward mode is wrong; finite differences agree with reverse mode"
for _dtype in (torch.float64, torch.complex128):
    KNOWN["cholesky_inverse", _dtype] = {
        "forward": (math.inf, WRONG),
    }
# Checks that mean nothing for any sample of an entry.
MEANINGLESS: dict[str, dict[str, str]] = {
    "linalg.norm.subgradients_at_zero": {"finite": "at a kink: the matrix is 0"},
}
for _mine, _more in (
    (ORDER, entries.ORDER),
    (FUNCTION, entries.FUNCTION),
    (MEANINGLESS, entries.MEANINGLESS),
    (KNOWN, entries.KNOWN),
):
    _mine.update(_more)
# What reads memory as it lies, so that the same numbers in another layout are another argument.
LAID_OUT = {"as_strided", "as_strided.partial_views", "as_strided_copy", "as_strided_scatter"}
# So many samples of an entry, and all edge cases, are asked in another layout too.
RELAID = 12
# Arguments that finite differences must leave alone, because the function compares them.
STILL: dict[str, tuple[str, ...]] = {
    "nn.functional.hinge_embedding_loss": ("target",),
    **entries.STILL,
}


def _hermitian(name: str, v: torch.Tensor, arguments: dict) -> torch.Tensor:
    return v + v.mH


def _triangular(name: str, v: torch.Tensor, arguments: dict) -> torch.Tensor:
    if name != "L":
        return v
    return v.triu() if arguments.get("upper") else v.tril()


def _factor(name: str, v: torch.Tensor, arguments: dict) -> torch.Tensor:
    """A step of a Cholesky factor, whose diagonal is real."""
    v = v.triu() if arguments.get("upper") else v.tril()
    return v - 1j * torch.diag_embed(v.diagonal(dim1=-2, dim2=-1).imag) if v.is_complex() else v


# The steps in which an argument may move: the rest of the matrix is not read.
STEPS: dict[str, Callable] = {
    "linalg.cholesky": _hermitian,
    "linalg.eigh": _hermitian,
    "linalg.eigvalsh": _hermitian,
    "cholesky_solve": _triangular,
    "cholesky_inverse": _factor,
}
STEPS.update({name: STEPS[other] for name, other in entries.STEP_OF.items()})


@dataclass(frozen=True)
class Case:
    """One call of the function, and what to look at."""

    label: str
    args: tuple
    kwargs: dict
    only: tuple[str, ...] | None = None  # arguments to differentiate; None: every float tensor
    flags: tuple[bool, ...] | None = None  # ... or leaf by leaf, as OpInfo says
    shown: Callable = lambda y: y  # what of the result is well defined
    skipped: dict[str, str] = field(default_factory=dict)  # check: why it means nothing here
    differs: dict[str, str] = field(default_factory=dict)  # check: why it disagrees with autograd
    known: dict[str, tuple[float, str]] = field(default_factory=dict)  # as KNOWN
    still: tuple[str, ...] = ()  # arguments that finite differences leave alone
    step: Callable = lambda name, v, arguments: v  # makes a tangent one of the domain
    dtypes: tuple[torch.dtype, ...] = (torch.float64, torch.complex128)
    layouts: tuple[Callable, ...] = (layouts.plain, layouts.other)  # in which a rule is asked
    refused: bool = False  # PyTorch has no backward pass, and the rule declines

    def kink(self, reason: str = "at a kink") -> "Case":
        """Finite differences mean nothing here."""
        return replace(self, skipped={**self.skipped, "finite": reason})

    def disagrees(self, **checks: str) -> "Case":
        """Forward mode or finite differences disagree with autograd, which is asserted."""
        return replace(self, differs={**self.differs, **checks})

    def inexact(self, check: str, limit: float, reason: str) -> "Case":
        """PyTorch computes this less well than it could, by at most that much."""
        return replace(self, known={**self.known, check: (limit, reason)})

    def refuses(self) -> "Case":
        """PyTorch has no backward pass here, and the rule has to decline: both are asserted."""
        return replace(self, refused=True)

    def wrt(self, *names: str) -> "Case":
        """Differentiate these arguments only."""
        return replace(self, only=names)

    def real(self) -> "Case":
        """Not to be repeated with complex numbers."""
        return replace(self, dtypes=(torch.float64,))

    def shown_as(self, shown: Callable) -> "Case":
        """Look at a function of the result, which is not well defined itself."""
        return replace(self, shown=shown)


def case(label: str, *args: Any, **kwargs: Any) -> Case:
    """An edge case: why it is one, and the call."""
    return Case(label, args, kwargs)


EDGES: dict[str, list[Callable[[], Iterator[Case]]]] = {}


def edges(*entries: str) -> Callable:
    """Register a function that yields edge cases of ``entries``."""

    def register(function: Callable) -> Callable:
        for entry in entries:
            EDGES.setdefault(entry, []).append(function)
        return function

    return register


@cache
def opinfos() -> dict[str, Any]:
    """PyTorch's description of each operator, by the name its tests use."""
    with warnings.catch_warnings():  # PyTorch's test suite warns of packages it could use
        warnings.simplefilter("ignore")
        from torch.testing._internal.common_methods_invocations import op_db

    return {
        op.name + ("." + op.variant_test_name if op.variant_test_name else ""): op for op in op_db
    }


def seed(number: int) -> None:
    """Seed every generator that a sample, a forward pass or a cotangent may draw from."""
    torch.manual_seed(number)
    random.seed(number)
    numpy.random.seed(number)


def function(entry: str) -> Callable:
    """The public function an entry stands for."""
    return FUNCTION.get(entry) or vjps.forward(entry)


def cases(entry: str, dtype: torch.dtype) -> Iterator[Case]:
    """Every case of an entry in that dtype: PyTorch's samples first, then ours."""
    common = {"still": STILL.get(entry, ()), "step": STEPS.get(entry, Case.step)}
    if entry in LAID_OUT:
        common["layouts"] = (layouts.plain,)
    op = opinfos()[entry]
    none = {} if op.supports_forward_ad else {"forward": "PyTorch has no forward mode here"}
    for number, made in enumerate(samples(entry, dtype)):
        skipped = none | MEANINGLESS.get(entry, {})
        if number == RELAID:
            common["layouts"] = (layouts.plain,)
        yield replace(made, **common, skipped=skipped, known=KNOWN.get((entry, dtype), {}))
    if entry not in LAID_OUT:
        common.pop("layouts", None)
    for made in ours(entry, dtype):
        yield replace(made, **common, skipped=none | made.skipped)


def samples(entry: str, dtype: torch.dtype) -> Iterator[Case]:
    """PyTorch's samples, with what it would differentiate."""
    seed(0)
    op = opinfos()[entry]
    reorder = ORDER.get(entry)
    with warnings.catch_warnings():  # some are made with functions that are deprecated
        warnings.simplefilter("ignore")
        drawn = list(op.sample_inputs("cpu", dtype, requires_grad=True))
    for number, sample in enumerate(drawn):
        args, kwargs = (sample.input, *sample.args), sample.kwargs
        if reorder:
            args, kwargs = reorder(*args, **kwargs)
        leaves, _ = tree_flatten((args, kwargs))
        flags = tuple(isinstance(leaf, torch.Tensor) and leaf.requires_grad for leaf in leaves)
        shown = sample.output_process_fn_grad or (lambda y: y)
        yield Case(f"sample {number}", args, kwargs, flags=flags, shown=shown)


def ours(entry: str, dtype: torch.dtype) -> Iterator[Case]:
    """Our edge cases; in a complex dtype zeros stay zeros and ties stay ties."""
    import press.trials.operators.edges  # noqa: F401  (registers them)

    for function in EDGES.get(entry, ()):
        seed(1)
        for made in function():
            if dtype in made.dtypes:
                label = f"edge: {made.label}"
                args, kwargs = made.args, made.kwargs
                if dtype.is_complex:
                    args, kwargs = tree_map(_complex, (args, kwargs))
                yield replace(made, label=label, args=args, kwargs=kwargs)


def _complex(value: Any) -> Any:
    if isinstance(value, torch.Tensor) and value.is_floating_point():
        return torch.complex(value, 0.5 * torch.sin(2.7 * value))
    return value


def bound(rule: Callable, args: tuple, kwargs: dict) -> inspect.BoundArguments:
    """The arguments by the names of the rule, which are those of the function."""
    return inspect.signature(rule).bind(None, None, *args, **kwargs)


# What edge cases are made of.  Edge modules import all of it.


def normal(*shape: int) -> torch.Tensor:
    """Random numbers in double precision."""
    return torch.randn(shape, dtype=torch.float64)


def positive(*shape: int) -> torch.Tensor:
    """Random numbers between 0.2 and 1.2."""
    return torch.rand(shape, dtype=torch.float64) + 0.2


def numbers(*values: Any) -> torch.Tensor:
    """Those numbers in double precision; nested lists are rows."""
    return torch.tensor(values, dtype=torch.float64)


def number(value: float) -> torch.Tensor:
    """One number, a tensor without dimensions."""
    return torch.tensor(value, dtype=torch.float64)


def indices(*values: Any) -> torch.Tensor:
    """Those whole numbers."""
    return torch.tensor(values)


def tied(*shape: int) -> torch.Tensor:
    """Random whole numbers from 0 to 2, so that many are equal."""
    return torch.randint(0, 3, shape).double()


inf, nan = math.inf, math.nan
