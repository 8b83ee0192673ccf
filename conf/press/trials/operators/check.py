"""Check a rule on one case, three times: against autograd, forward mode and finite differences.

The cotangent is random and drawn on what OpInfo says of a result is well defined, then pulled back
to the result itself.  Every call gets fresh copies, because some functions change their arguments.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.autograd import forward_ad
from torch.utils._pytree import tree_flatten, tree_unflatten

from backwardpass import vjps
from press.trials.operators.cases import Case, bound, seed

AUTOGRAD, FORWARD, FINITE = CHECKS = ("autograd", "forward", "finite")
# Largest error relative to the largest entry of the gradient, or to a thousandth of the cotangent
# where that is larger: a gradient that is exactly 0 is rounding noise in practice.
TOLERANCE = {AUTOGRAD: 1e-10, FORWARD: 1e-9, FINITE: 1e-5}
STEP = 1e-6


@dataclass
class Outcome:
    """What became of one case."""

    label: str
    error: dict[str, float] = field(default_factory=dict)  # by check, where it was made
    failed: list[tuple[str, str, str]] = field(default_factory=list)  # check, argument, what
    skipped: dict[str, str] = field(default_factory=dict)  # check: why it was not made
    differs: dict[str, str] = field(default_factory=dict)  # check: why it disagrees, as told
    declined: str = ""  # by the rule, with its reason
    refused: str = ""  # by PyTorch, in its words
    trivial: str = ""  # "empty", "zero" or "not finite"
    gradients: int = 0


def check(gradient: Callable, function: Callable, case: Case, dtype: torch.dtype) -> Outcome:
    """Check ``gradient``, a rule for ``function``, on ``case``."""
    return _Check(gradient, function, case, dtype).run()


class _Check:
    def __init__(self, gradient: Callable, function: Callable, case: Case, dtype: torch.dtype):
        self.gradient, self.function, self.case, self.dtype = gradient, function, case, dtype
        self.leaves, self.spec = tree_flatten((case.args, case.kwargs))
        self.outcome = Outcome(case.label)
        self.cotangent: list[torch.Tensor | None] | None = None
        # Which leaf stands at which argument: leaves are replaced by their numbers, and bound.
        args, kwargs = tree_unflatten(list(range(len(self.leaves))), self.spec)
        self.place = {}
        for name, value in bound(gradient, args, kwargs).arguments.items():
            for position, leaf in enumerate(tree_flatten(value)[0]):
                self.place[leaf] = (name, position)
        self.wanted = [i for i, leaf in enumerate(self.leaves) if self._differentiated(i, leaf)]

    def _differentiated(self, i: int, leaf: Any) -> bool:
        if self.case.flags is not None:
            return self.case.flags[i]
        is_float = isinstance(leaf, torch.Tensor) and (
            leaf.is_floating_point() or leaf.is_complex()
        )
        return is_float and (self.case.only is None or self.place[i][0] in self.case.only)

    def _call(self, function: Callable, change: Callable = lambda i, x: x) -> Any:
        """Call with fresh copies of every tensor, each changed first, from the same seed."""
        leaves = [
            change(i, leaf.detach().clone()) if isinstance(leaf, torch.Tensor) else leaf
            for i, leaf in enumerate(self.leaves)
        ]
        args, kwargs = tree_unflatten(leaves, self.spec)
        seed(2)
        return function(*args, **kwargs)

    def run(self) -> Outcome:
        outcome = self.outcome
        mixed = {
            leaf.dtype.to_real()
            for leaf in self.leaves
            if isinstance(leaf, torch.Tensor) and (leaf.is_floating_point() or leaf.is_complex())
        }
        if len(mixed) > 1:
            outcome.refused = "arguments of several precisions"
            return outcome
        try:
            expected = self._autograd()
        except (RuntimeError, TypeError) as refusal:  # NotImplementedError is a RuntimeError
            outcome.refused = told = str(refusal).split("\n")[0]
            if self.case.refused:
                if not (self.without_autograd() and self.declines()):
                    outcome.failed.append((AUTOGRAD, "-", "PyTorch refuses it, the rule does not"))
            elif self.case.flags is None:  # a case of ours, which should be one
                outcome.failed.append((AUTOGRAD, "-", f"PyTorch refuses the case: {told}"))
            return outcome
        if self.case.refused:
            outcome.failed.append((AUTOGRAD, "-", "PyTorch does not refuse it, and is said to"))
            return outcome
        if expected is None:
            outcome.refused = "the result has no gradient"
            return outcome
        try:
            found = self._by_hand()
        except vjps.Declined as reason:
            outcome.declined = str(reason)
            return outcome
        except Exception as wrong:  # a rule that raises is wrong, whatever it raises
            outcome.failed.append((AUTOGRAD, "-", f"the rule raises {wrong!r}"[:300]))
            return outcome
        if self._compared(found, expected):
            self._independent(found)
        if self.case.flags is None:  # of a sample one is enough, which the whole run sees to
            for name, (_, told) in self.case.known.items():
                if name in outcome.error:
                    outcome.failed.append((name, "all", f"agrees, and is said not to: {told}"))
        return outcome

    def _autograd(self) -> dict[int, torch.Tensor] | None:
        """Autograd's gradients by leaf; sets the cotangent and the results."""
        inputs = {}

        def ask(i: int, x: torch.Tensor) -> torch.Tensor:
            if i in self.wanted:
                inputs[i] = x.requires_grad_()
                x = inputs[i]
            return x

        with torch.enable_grad():
            result = self._call(lambda *a, **k: self.function(*a, **k), ask)
            results, self.result_spec = tree_flatten(result)
            smooth = [isinstance(y, torch.Tensor) and y.requires_grad for y in results]
            roots = [y for y, is_smooth in zip(results, smooth, strict=True) if is_smooth]
            if not roots or not inputs:
                return None
            stand_ins = [
                y.detach().clone().requires_grad_(is_smooth) if isinstance(y, torch.Tensor) else y
                for y, is_smooth in zip(results, smooth, strict=True)
            ]
            shown = self.case.shown(tree_unflatten(stand_ins, self.result_spec))
            shown = [
                y for y in tree_flatten(shown)[0] if isinstance(y, torch.Tensor) and y.requires_grad
            ]
        seed(3)
        drawn = [torch.randn_like(y) for y in shown]
        pulled = torch.autograd.grad(
            shown,
            [y for y, is_smooth in zip(stand_ins, smooth, strict=True) if is_smooth],
            drawn,
            materialize_grads=True,
            allow_unused=True,
        )
        grads = torch.autograd.grad(roots, list(inputs.values()), pulled, allow_unused=True)
        pieces = iter(pulled)
        self.cotangent = [next(pieces) if is_smooth else None for is_smooth in smooth]
        self.results = [y.detach() if isinstance(y, torch.Tensor) else y for y in results]
        self.inputs = {i: x.detach() for i, x in inputs.items()}
        dense = (g if g is None or g.layout is torch.strided else g.to_dense() for g in grads)
        # An argument that the call does not use has no gradient, which is a gradient of 0.
        self.unused = {i for i, g in zip(inputs, grads, strict=True) if g is None}
        return {
            i: torch.zeros_like(x) if g is None else g
            for (i, x), g in zip(self.inputs.items(), dense, strict=True)
        }

    def _by_hand(self) -> dict[int, torch.Tensor | None]:
        """The rule's gradients by leaf, computed where autograd records nothing."""
        copies = [v.clone() if isinstance(v, torch.Tensor) else v for v in self.results]
        pieces = [None if c is None else c.clone() for c in self.cotangent]
        g, y = tree_unflatten(pieces, self.result_spec), tree_unflatten(copies, self.result_spec)
        with torch.no_grad():
            returned = self._call(lambda *a, **k: self.gradient(g, y, *a, **k))
        found = {}
        for i in self.wanted:
            name, position = self.place[i]
            grads = tree_flatten(returned.get(name), is_leaf=lambda v: v is None)[0]
            found[i] = grads[position] if position < len(grads) else None
        return found

    def without_autograd(self) -> bool:
        """Set results and a random cotangent, of what PyTorch refuses; whether there are any."""
        try:
            with torch.no_grad():
                results, self.result_spec = tree_flatten(self._call(self.function))
        except (RuntimeError, TypeError):
            return False
        seed(3)
        self.results = results
        self.cotangent = [torch.randn_like(y) if _is_smooth(y) else None for y in results]
        return True

    def declines(self) -> bool:
        """Whether the rule declines the case; what else it may raise is no answer."""
        try:
            self._by_hand()
        except vjps.Declined:
            return True
        except Exception:
            return False
        return False

    def _compared(self, found: dict, expected: dict) -> bool:
        """Compare with autograd; whether independent checks make sense afterwards."""
        outcome = self.outcome
        floor = 1e-3 * max(
            (c.abs().max().item() for c in self.cotangent if c is not None and c.numel()),
            default=0.0,
        )
        self.floor = floor + 1e-300
        worst = 0.0
        for i, right in expected.items():
            name = self._named(i)
            mine = found[i]
            if mine is None and i in self.unused:
                mine = found[i] = torch.zeros_like(right)
            error, difference = _error(mine, right, self.floor)
            if not error <= TOLERANCE[AUTOGRAD] and not self._told(AUTOGRAD, error):
                outcome.failed.append((AUTOGRAD, name, difference))
            worst = max(worst, error)
            outcome.gradients += 1
        if AUTOGRAD not in outcome.differs:
            outcome.error[AUTOGRAD] = worst
        if all(right.numel() == 0 for right in expected.values()):
            outcome.trivial = "empty"
        elif not all(bool(right.isfinite().all()) for right in expected.values()):
            outcome.trivial = "not finite"
        elif all(bool((right == 0).all()) for right in expected.values()):
            outcome.trivial = "zero"
        return not outcome.failed and outcome.trivial in ("", "zero")

    def _named(self, i: int) -> str:
        name, position = self.place[i]
        several = sum(1 for other, _ in self.place.values() if other == name) > 1
        return f"{name}[{position}]" if several else name

    def _independent(self, found: dict[int, torch.Tensor]) -> None:
        """``<g, Jv>`` against ``<J^T g, v>`` along a random ``v``, with J v made in two ways."""
        seed(4)
        tangent = {i: torch.randn_like(x) for i, x in self.inputs.items()}
        args = tree_unflatten(self.leaves, self.spec)
        arguments = bound(self.gradient, *args).arguments
        for i, v in tangent.items():
            name = self.place[i][0]
            tangent[i] = 0 * v if name in self.case.still else self.case.step(name, v, arguments)
        mine = sum(_inner(found[i], v) for i, v in tangent.items())
        size = sum((found[i].abs() * v.abs()).sum().item() for i, v in tangent.items())
        size += self.floor
        for check, made in ((FORWARD, self._forward_mode), (FINITE, self._finite_differences)):
            if check in self.case.skipped:
                self.outcome.skipped[check] = self.case.skipped[check]
                continue
            try:
                theirs, noise = made(tangent)
            except _NotMade as reason:
                self.outcome.skipped[check] = str(reason)
                continue
            if not noise <= 1e-3 * size:
                self.outcome.skipped[check] = "rounding is as large as the difference"
                continue
            error = abs(theirs - mine) / size
            agrees = error <= TOLERANCE[check] + noise / size
            if check in self.case.differs:
                self.outcome.differs[check] = self.case.differs[check]
                if agrees:
                    told = f"agrees, and is said not to: {self.case.differs[check]}"
                    self.outcome.failed.append((check, "all", told))
            elif agrees:
                self.outcome.error[check] = error
            elif not self._told(check, error):
                told = f"<g, Jv> = {theirs:.9g}, <J^T g, v> = {mine:.9g}, error {error:.2g}"
                self.outcome.failed.append((check, "all", told))

    def _told(self, check: str, error: float) -> bool:
        """Whether PyTorch is known to be off by that much; noted, never counted as agreement."""
        limit, reason = self.case.known.get(check, (-1.0, ""))
        if not reason or error > limit:
            return False
        self.outcome.differs[check] = reason
        return True

    def _forward_mode(self, tangent: dict) -> tuple[float, float]:
        def dual(i: int, x: torch.Tensor) -> torch.Tensor:
            return forward_ad.make_dual(x, tangent[i]) if i in tangent else x

        try:
            with forward_ad.dual_level():
                results = tree_flatten(self._call(self.function, dual))[0]
                moved = [
                    forward_ad.unpack_dual(y).tangent if isinstance(y, torch.Tensor) else None
                    for y in results
                ]
                pairs = zip(self.cotangent, moved, strict=True)
                return sum(_inner(g, m) for g, m in pairs if g is not None and m is not None), 0.0
        except (RuntimeError, NotImplementedError) as missing:
            raise _NotMade(_without_names(str(missing))) from None

    def _finite_differences(self, tangent: dict) -> tuple[float, float]:
        def at(step: float) -> list:
            with torch.no_grad():
                return tree_flatten(
                    self._call(
                        self.function, lambda i, x: x + step * tangent[i] if i in tangent else x
                    )
                )[0]

        total = size = 0.0
        for g, after, before in zip(self.cotangent, at(STEP), at(-STEP), strict=True):
            if g is not None:
                total += _inner(g, (after - before) / (2 * STEP))
                size += (g.abs() * (after.abs() + before.abs())).sum().item()
        if not math.isfinite(total):
            raise _NotMade("the function is not finite beside the point")
        return total, torch.finfo(torch.float64).eps * size / STEP


def _is_smooth(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and (value.is_floating_point() or value.is_complex())


class _NotMade(Exception):
    """A check cannot be made; the message says why."""


def _without_names(message: str) -> str:
    for said, meant in (
        ("Trying to use forward AD with", "PyTorch has no forward mode here"),
        ("forward mode AD", "PyTorch has no forward mode here"),
    ):
        if said in message:
            return meant
    return message.split("\n")[0][:120]


def _error(mine: Any, right: torch.Tensor, floor: float) -> tuple[float, str]:
    """Largest difference relative to the largest entry; ∞ where the two cannot be compared."""
    if not isinstance(mine, torch.Tensor):
        return math.inf, f"the rule returns {mine!r}, autograd a gradient"
    if mine.shape != right.shape or mine.dtype != right.dtype:
        return math.inf, (
            f"shape {tuple(mine.shape)}, {mine.dtype} against {tuple(right.shape)}, {right.dtype}"
        )
    finite = right.isfinite()
    if not torch.equal(finite, mine.isfinite()) or not torch.equal(right.isnan(), mine.isnan()):
        return math.inf, "NaN or infinity in other places than autograd's"
    a, b = mine[finite], right[finite]
    if a.numel() == 0 or torch.equal(a, b):
        return 0.0, ""
    error = ((a - b).abs().max() / max(b.abs().max().item(), floor)).item()
    return error, f"relative error {error:.3g}, largest expected value {b.abs().max():.3g}"


def _inner(a: torch.Tensor, b: torch.Tensor) -> float:
    """The real scalar product."""
    return (a.conj() * b).real.sum().item() if a.is_complex() else (a * b).sum().item()


def saved(function: Callable, gradient: Callable, case: Case) -> list[tuple[str, tuple, int]]:
    """What PyTorch saves for backward in this call: its name, shape and bytes of each storage."""
    made = _Check(gradient, function, case, torch.float64)
    packed: list[torch.Tensor] = []
    names: dict[int, str] = {}

    def ask(i: int, x: torch.Tensor) -> torch.Tensor:
        names[x.untyped_storage().data_ptr()] = made._named(i)
        return x.requires_grad_() if i in made.wanted else x

    def pack(x: torch.Tensor) -> torch.Tensor:
        packed.append(x.detach())
        return x.detach()

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        results = tree_flatten(made._call(function, ask))[0]
    tensors = [y for y in results if isinstance(y, torch.Tensor)]
    for k, y in enumerate(tensors):
        names.setdefault(y.untyped_storage().data_ptr(), "y" if len(tensors) == 1 else f"y[{k}]")
    found: dict[int, tuple[str, tuple, int]] = {}
    for x in packed:
        storage = x.untyped_storage()
        row = (names.get(storage.data_ptr(), "an intermediate"), tuple(x.shape), storage.nbytes())
        found.setdefault(storage.data_ptr(), row)
    return list(found.values())
