"""What else is asked of a case: other dtypes, several at once, infinite cotangents, extremes.

Each variant is a ``Check`` that autograd has answered, so that a rule, or a changed one, has only
to be compared.  Values are those of double precision, computed from the same
rounded numbers: a rule may be as far off as the dtype allows, or as PyTorch itself is.
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch.utils._pytree import tree_unflatten

from press.trials.operators import cases as _cases
from press.trials.operators.cases import inf, nan
from press.trials.operators.check import AUTOGRAD, Check, is_smooth
from press.trials.operators.compare import PRECISION, error

DTYPES = (torch.float32, torch.float16, torch.bfloat16, torch.complex64)
REFUSED = (RuntimeError, TypeError, IndexError, ValueError, AssertionError)
MORE = 4.0  # a rule may be that many times as far off as PyTorch is, in a dtype with few digits
# Of functions of one number, and of several: kinks, what is next to them, what overflows.
POINTS = (nan, inf, -inf, 0.0, -0.0, 1e-13, -1e-13, 1e-5, 0.5, -0.5, 1.0, -1.0, 2.0, -2.0, 3.0,
          -3.0, 6.0, 20.0, 21.0, -60.0, 90.0, 800.0, -800.0, 1e300, -1e300)  # fmt: skip
PAIRS = (nan, inf, -inf, 0.0, 1e-13, 1.0, -2.0, 800.0)
TRIPLES = (nan, inf, 0.0, 1.0, -2.0)
# Entries whose gradient at NaN depends on where in the tensor it stands: several are computed at
# a time, and the rest one by one.
PLACED = {f"nn.functional.{name}" for name in ("relu6", "hardtanh", "hardswish", "elu", "celu",
          "selu", "softshrink", "hardshrink")}  # fmt: skip
# Where a function of real numbers is defined, and its derivative asked.
DEFINED = {"acosh": (1.0, inf), "special.log_ndtr": (-60.0, inf)}
DEFINED |= {f"mvlgamma.mvlgamma_p_{p}": (p / 2, inf) for p in (1, 3, 5)}
# Not asked for extremes, with the reason.
APART = {
    "nn.functional.dropout": "an entry that is 0 looks dropped",
    "nn.functional.rrelu": "the slope is drawn, and read off the result",
    "polar": "its result does not tell the direction of a length of 0, or below",
}
# At NaN PyTorch gives these what they have at 0.
AS_AT_ZERO = {"special.i1", "special.i1e"}
# Families whose gradients are sums of products: with ∞ among them the order of the sums decides.
SUMS = ("products", "normalisation", "convolution", "attention", "solving", "decompositions",
        "spectra", "grids", "distances", "systems", "factors")  # fmt: skip
ORDERED = {
    "logcumsumexp": "PyTorch takes the logarithm of the cotangent",
    "prod": "PyTorch selects where several factors are 0, and multiplies elsewhere",
    "cumprod": "PyTorch selects where a factor is 0, and multiplies elsewhere",
    "nn.functional.embedding_bag": "PyTorch adds to the entry that was largest, and reads the rest",
    "_segment_reduce.lengths": "PyTorch multiplies by the number of ties",
    "_segment_reduce.offsets": "PyTorch multiplies by the number of ties",
    "gradient": "weights multiply, and may be 0",
    "quantile": "weights multiply, and may be 0",
    "nanquantile": "weights multiply, and may be 0",
    "nn.functional.normalize": "PyTorch selects where a length is below eps",
}
# Where a whole number for an argument makes PyTorch wrong, which an edge case says.
WHOLE = {"ldexp"}
# Compared in shape and dtype alone where digits are few, with the reason.
ROUNDED = {
    "nn.functional.scaled_dot_product_attention":
    "the result holds the sum that the rule subtracts, rounded to half precision",
    "corrcoef": "of one row the gradient is 0, and 1 - 1 is rounding noise",
}  # fmt: skip
ENTRYWISE = {"add", "sub", "rsub", "lerp", "addcmul", "addcdiv", "nn.functional.glu"}


def _with(base: Check, leaves: list[Any], wanted: list[int] | None = None) -> Check:
    """The case with other leaves, differentiated in the same places, or in ``wanted``."""
    args, kwargs = tree_unflatten(leaves, base.spec)
    kept = base.wanted if wanted is None else wanted
    known = {check: told for check, told in base.case.known.items() if check == AUTOGRAD}
    flags = tuple(i in kept for i in range(len(leaves)))
    case = replace(base.case, args=args, kwargs=kwargs, flags=flags, known=known, differs={})
    return Check(base.gradient, base.function, case, base.dtype)


def _doubled(x: Any) -> Any:
    if not is_smooth(x):
        return x
    return x.to(torch.complex128 if x.is_complex() else torch.float64)


def _against_double(low: Check) -> Check | None:
    """``low``, to be compared with double precision; None where PyTorch has no answer."""
    high = _with(low, [_doubled(x) for x in low.leaves], low.wanted)
    try:
        if not low.ask_autograd():
            return None
        if not high.ask_autograd([_doubled(c) for c in low.cotangent]):
            return None
    except REFUSED:
        return None
    coarsest = max(PRECISION.get(c.dtype, 0.0) for c in low.cotangent if c is not None)
    pairs = zip(low.results, high.results, strict=True)
    rounded = [
        error(y, right, high.floor, y.dtype)[0]
        for y, right in pairs
        if is_smooth(y) and is_smooth(right)
    ]
    off = max(rounded, default=0.0)
    if off > 1e-9:  # the rule is given the result, which may cancel
        coarsest = max(coarsest, 1e3 * off)
    for i, right in high.expected.items():
        dtype = low.leaves[i].dtype
        off, _ = error(low.expected[i], right, high.floor, dtype)
        low.limits[i] = max(PRECISION[dtype], coarsest, MORE * off)
    low.expected, low.floor = high.expected, high.floor
    return low


def in_dtype(base: Check, dtype: torch.dtype) -> Check | None:
    """The case in another dtype."""
    real = dtype.to_real()

    def cast(x: Any) -> Any:
        return x.to(dtype if x.is_complex() else real) if is_smooth(x) else x

    return _against_double(_with(base, [cast(x) for x in base.leaves]))


def mixed(base: Check, entry: str = "") -> Iterator[Check]:
    """One argument in single precision, real, whole, or a number without dimensions."""
    smooth = [i for i, x in enumerate(base.leaves) if is_smooth(x)]
    if len(smooth) < 2:
        return
    for i in smooth[:3]:
        x = base.leaves[i]
        others = {j: base.leaves[j].to(_single(base.leaves[j])) for j in smooth if j != i}
        yield from _mixed(base, {i: x.to(_single(x))})
        if x.numel():
            yield from _mixed(base, others | {i: x.flatten()[0]})
        if x.is_complex():
            yield from _mixed(base, {i: x.real.clone()})
        if i != smooth[0] and not x.is_complex() and entry not in WHOLE:
            yield from _mixed(base, {i: (3 * x).round().long()}, i)


def _single(x: torch.Tensor) -> torch.dtype:
    return torch.complex64 if x.is_complex() else torch.float32


def _mixed(base: Check, changed: dict[int, torch.Tensor], whole: int = -1) -> Iterator[Check]:
    leaves = [changed.get(i, x) for i, x in enumerate(base.leaves)]
    try:
        made = _against_double(_with(base, leaves, [i for i in base.wanted if i != whole]))
    except REFUSED:
        return
    if made is not None:
        yield made


def infinite(base: Check, entry: str, family: str) -> Check | None:
    """The case with ±∞ and NaN in the cotangent; what autograd says is NaN is not asked."""
    if family in SUMS or entry in ORDERED or "linear_cross_entropy" in entry:
        return None
    if any(isinstance(x, torch.Tensor) and x.is_complex() for x in (*base.leaves, *base.results)):
        return None
    made = _with(base, base.leaves)
    cycle = torch.tensor([inf, 1.0, -inf, 1.0, nan, 1.0, 1.0], dtype=torch.float64)

    def struck(c: torch.Tensor | None) -> torch.Tensor | None:
        if c is None:
            return None
        factors = cycle.repeat(c.numel() // 7 + 1)[: c.numel()].reshape(c.shape)
        return torch.where(factors == 1, c, factors.to(c.dtype))

    try:
        answered = made.ask_autograd([struck(c) for c in base.cotangent])
    except REFUSED:
        return None
    made.undefined = True
    asked = answered and any(bool((~e.isnan()).any()) for e in made.expected.values())
    return made if asked else None


def is_entrywise(entry: str) -> bool:
    """Whether each entry of the result comes of one entry of each argument."""
    from torch.testing._internal.opinfo.core import BinaryUfuncInfo, UnaryUfuncInfo

    op = _cases.opinfos()[entry]
    if entry in APART:
        return False
    if entry in ENTRYWISE or isinstance(op, UnaryUfuncInfo | BinaryUfuncInfo):
        return True
    return entry in _activations()


def _activations() -> set[str]:
    from backwardpass import vjps

    return {e for rule in vjps.RULES.values() if rule.family == "activations" for e in rule.entries}


def extreme(base: Check, entry: str) -> Check | None:
    """A function of single entries at NaN, infinities, kinks and what is beside them."""
    smooth = [i for i, x in enumerate(base.leaves) if is_smooth(x)]
    others = [x for i, x in enumerate(base.leaves) if i not in smooth]
    if not 0 < len(smooth) <= 3 or any(isinstance(x, torch.Tensor) for x in others):
        return None
    low, high = DEFINED.get(entry, (-inf, inf))
    values = {1: POINTS, 2: PAIRS, 3: TRIPLES}[len(smooth)]
    values = [
        x
        for x in values
        if low <= x <= high or (math.isnan(x) and entry not in PLACED | AS_AT_ZERO)
    ]
    grid = torch.tensor(list(itertools.product(values, repeat=len(smooth))), dtype=torch.float64)
    leaves = list(base.leaves)
    for i, column in zip(smooth, grid.mT, strict=True):
        leaves[i] = column.clone()
    made = _with(base, leaves)
    try:
        answered = made.ask_autograd()
    except REFUSED:
        return None
    return made if answered else None


def told(limit: float) -> bool:
    """Whether a limit asks anything of the numbers."""
    return math.isfinite(limit) and limit < 0.5


def asked(
    entry: str, family: str, bases: list[Check], dtypes: set[torch.dtype]
) -> Iterator[tuple[str, Check]]:
    """The variants of the bases of one entry, which have been compared: what kind, and the check.

    ``dtypes`` are those that PyTorch says have a gradient.
    """
    samples = [base for base in bases if not base.case.label.startswith("edge")]
    edges = [base for base in bases if base.case.label.startswith("edge")]
    few = samples[:1] + edges[:1]
    is_complex = bool(bases) and bases[0].dtype.is_complex
    for dtype in DTYPES:
        if dtype in dtypes and dtype.is_complex == is_complex:
            made = (in_dtype(base, dtype) for base in few)
            for low in filter(None, made):
                if entry in ROUNDED and dtype.itemsize == 2:
                    low.limits = dict.fromkeys(low.limits, inf)
                yield str(dtype).removeprefix("torch."), low
    for base in few[:1]:
        yield from (("mixed", made) for made in mixed(base, entry))
    struck = (infinite(base, entry, family) for base in samples[:2] + edges[:4])
    yield from (("infinite", made) for made in struck if made)
    if not is_complex and is_entrywise(entry):
        found = (extreme(base, entry) for base in samples[:1] + edges[:6])
        yield from (("extreme", made) for made in found if made)
