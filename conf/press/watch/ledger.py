"""Record every ``torch.testing.assert_close`` a script makes, without changing what it does.

Two mappings compare gradients derived *by hand* (first) with those of autograd (second).
Anything else is another *equality*: counted, but apart.
"""

import ast
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from unittest import mock

import torch

from press.observed.comparison import BY_HAND, EQUALITY, Comparison
from press.watch.passes import digest

# What an element of a gradient by hand may be off, of its own size and of the largest element's.
RELATIVE, ROUNDING = 1e-7, 1e-12


class Ledger(list[Comparison]):
    """The comparisons of one run of one script, in the order they were made."""

    def __init__(
        self,
        filename: str,
        source: str,
        *,
        raises: bool = True,
        passes: Sequence[str] = (),
    ):
        super().__init__()
        self.passes = passes
        # Matrices of the script that equal their transpose, by name, and where that was seen.
        self.symmetric: dict[str, int] = {}
        self.filename = filename
        self.raises = raises
        self.calls = 0
        self._call_sites = _call_sites(source)

    def record(self, line: int, actual: object, expected: object, options: dict) -> None:
        """Enter each pair of one call, compared on its own by the real ``assert_close``."""
        by_hand = isinstance(actual, Mapping) and isinstance(expected, Mapping)
        title, end_line = self._call_sites.get(line, ("two values", line))
        for path, left, right in _pairs(actual, expected):
            name = ", ".join(str(part) for part in path) if by_hand else title
            if path and not by_hand:
                name += f" [{', '.join(str(part) for part in path)}]"
            kind = BY_HAND if by_hand else EQUALITY
            where = {"line": line, "end_line": end_line, "call": self.calls}
            where |= {"after": len(self.passes)}
            self.append(_compare(left, right, options, kind=kind, name=name, **where))
        self.calls += 1

    def look_at(self, variables: Mapping[str, object], line: int) -> None:
        """Note which matrices of the script equal their transpose where it compares by hand."""
        if not self or self[-1].kind != BY_HAND:
            return
        for name, value in list(variables.items()):
            if name not in self.symmetric and _is_symmetric(value):
                self.symmetric[name] = line


def _is_symmetric(value: object) -> bool:
    """Whether a matrix equals its transpose and is neither diagonal nor of one number."""
    if not isinstance(value, torch.Tensor) or value.ndim != 2 or value.layout != torch.strided:
        return False
    if value.shape[0] != value.shape[1] or value.shape[0] < 2 or not value.is_floating_point():
        return False
    value = value.detach()
    off_diagonal = value - value.diag().diag()
    return bool(torch.equal(value, value.mT) and off_diagonal.any())


@contextmanager
def watch(ledger: Ledger) -> Iterator[Ledger]:
    """Enter into ``ledger`` each comparison made from its file while the context is open.

    With ``ledger.raises`` the call behaves as it would unobserved; without, it never raises,
    so that a replay reaches the comparisons after the first one that fails.
    """
    real = torch.testing.assert_close

    def assert_close(actual, expected, **options):
        __tracebackhide__ = True
        caller = sys._getframe(1)
        if caller.f_code.co_filename != ledger.filename:
            real(actual, expected, **options)
            return
        with mock.patch.object(torch.testing, "assert_close", real):
            ledger.record(caller.f_lineno, actual, expected, options)
            ledger.look_at(caller.f_globals, caller.f_lineno)
        if ledger.raises:
            real(actual, expected, **options)

    with mock.patch.object(torch.testing, "assert_close", assert_close):
        yield ledger


def _pairs(
    actual: object, expected: object, path: tuple = ()
) -> Iterator[tuple[tuple, object, object]]:
    """Walk two nested structures side by side; what has no partner is paired with None."""
    if isinstance(actual, Mapping) and isinstance(expected, Mapping):
        for key in dict.fromkeys([*actual, *expected]):
            yield from _pairs(actual.get(key), expected.get(key), (*path, key))
    elif _is_sequence(actual) and _is_sequence(expected) and len(actual) == len(expected):
        for index, (left, right) in enumerate(zip(actual, expected, strict=True)):
            yield from _pairs(left, right, (*path, index))
    else:
        yield path, actual, expected


def _is_sequence(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _compare(left: object, right: object, options: dict, **where) -> Comparison:
    try:
        torch.testing.assert_close(left, right, **options)
        passed = True
    except Exception:  # whatever assert_close raises: a mismatch, or values it cannot compare
        passed = False
    a, b = _tensor(left), _tensor(right)
    rtol, atol, default = _tolerances(a, b, options)
    max_abs, max_rel = _errors(a, b)
    own_scale, to_largest = _to_scale(a, b)
    return Comparison(
        **where,
        shapes=(None if a is None else tuple(a.shape), None if b is None else tuple(b.shape)),
        dtypes=(_dtype(a, left), _dtype(b, right)),
        max_abs=max_abs,
        max_rel=max_rel,
        rtol=rtol,
        atol=atol,
        passed=passed,
        has_nan=any(t is not None and bool(t.isnan().any()) for t in (a, b)),
        default_tolerance=default,
        numel=0 if b is None else b.numel(),
        digests=(digest(left), digest(right)),
        own_scale=own_scale,
        to_largest=to_largest,
        is_square=b is not None and b.ndim >= 2 and b.shape[-1] == b.shape[-2] > 1,
    )


def _tensor(value: object) -> torch.Tensor | None:
    """The numbers of ``value`` as a strided tensor that shares nothing with a graph."""
    if isinstance(value, torch.Tensor):
        value = value.detach()
        return value if value.layout is torch.strided else value.to_dense()
    if isinstance(value, (bool, int, float, complex)):
        # assert_close reads a Python float as double precision, and so do we.
        dtype = {float: torch.float64, complex: torch.complex128}.get(type(value))
        return torch.tensor(value, dtype=dtype)
    try:
        return torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError):
        return None


def _dtype(tensor: torch.Tensor | None, value: object) -> str:
    return type(value).__name__ if tensor is None else str(tensor.dtype).removeprefix("torch.")


def _tolerances(
    a: torch.Tensor | None, b: torch.Tensor | None, options: dict
) -> tuple[float, float, bool]:
    from torch.testing._comparison import default_tolerances

    dtypes = [t.dtype for t in (a, b) if t is not None]
    rtol, atol = default_tolerances(*dtypes) if dtypes else (0.0, 0.0)
    given_rtol, given_atol = options.get("rtol"), options.get("atol")
    default = (given_rtol is None or given_rtol <= rtol) and (
        given_atol is None or given_atol <= atol
    )
    return (
        float(rtol if given_rtol is None else given_rtol),
        float(atol if given_atol is None else given_atol),
        default,
    )


def _errors(a: torch.Tensor | None, b: torch.Tensor | None) -> tuple[float | None, float | None]:
    """Largest absolute and relative error, or None where the two cannot be subtracted.

    Equal values differ by 0, infinities included; a NaN on either side is an error of NaN.
    """
    if a is None or b is None or a.shape != b.shape:
        return None, None
    if a.numel() == 0:
        return 0.0, 0.0
    wide = torch.complex128 if a.is_complex() or b.is_complex() else torch.float64
    a, b = a.to(wide), b.to(wide)
    difference = torch.where(a == b, torch.zeros_like(a), a - b).abs()
    relative = torch.where(difference == 0, difference, difference / b.abs())
    return _largest(difference), _largest(relative)


def _to_scale(a: torch.Tensor | None, b: torch.Tensor | None) -> tuple[float, float]:
    """The largest error by each element's own size, and beside the largest value of all.

    An element is allowed the relative tolerance of its own size; or, where a sum cancels, what
    rounding leaves of the largest.

    >>> large, small = torch.tensor([1.0, 5e-8]), torch.tensor([1.0, -5e-8])
    >>> _to_scale(large.double(), small.double())[0] > 1
    True
    """
    if a is None or b is None or a.shape != b.shape or a.numel() == 0:
        return 0.0, 0.0
    if not a.dtype.is_floating_point and not a.is_complex():
        return 0.0, 0.0
    wide = torch.complex128 if a.is_complex() or b.is_complex() else torch.float64
    a, b = a.to(wide), b.to(wide)
    difference = torch.where(a == b, torch.zeros_like(a), a - b).abs()
    largest = torch.where(b.isfinite(), b, torch.zeros_like(b)).abs().max()
    allowed = RELATIVE * b.abs() + ROUNDING * largest
    return _largest(difference / allowed.clamp_min(1e-300)), _largest(
        difference / largest.clamp_min(1e-300)
    )


def _largest(values: torch.Tensor) -> float:
    return math.nan if bool(values.isnan().any()) else values.max().item()


def _call_sites(source: str) -> dict[int, tuple[str, int]]:
    """Line of each call of ``assert_close``: the expressions it compares, and its last line."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return {}
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and len(node.args) >= 2:
            name = getattr(node.func, "attr", None) or getattr(node.func, "id", None)
            if name == "assert_close":
                left, right = (ast.unparse(argument) for argument in node.args[:2])
                found[node.lineno] = f"{left} = {right}", node.end_lineno
    return found
