"""Check a rule on one case, three times: against autograd, forward mode and finite differences.

The cotangent is random and drawn on what OpInfo says of a result is well defined, then pulled back
to the result itself.  Every call gets fresh copies, because some functions change their arguments.
A rule is asked twice, the second time with the same numbers in another layout of memory, and has to
leave what it was given as it was.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.autograd import forward_ad
from torch.utils._pytree import tree_flatten, tree_unflatten

from backwardpass import vjps
from press.trials.operators import layouts
from press.trials.operators.cases import Case, bound, seed
from press.trials.operators.compare import PRECISION, error, floor, inner, same

AUTOGRAD, FORWARD, FINITE = CHECKS = ("autograd", "forward", "finite")
TOLERANCE = {FORWARD: 1e-9, FINITE: 1e-5}
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
    raised: bool = False  # the rule raised what it should not
    gradients: int = 0


def check(gradient: Callable, function: Callable, case: Case, dtype: torch.dtype) -> Outcome:
    """Check ``gradient``, a rule for ``function``, on ``case``."""
    return Check(gradient, function, case, dtype).run()


class Check:
    """One case: what autograd says of it, and what a rule has to say."""

    def __init__(self, gradient: Callable, function: Callable, case: Case, dtype: torch.dtype):
        self.gradient, self.function, self.case, self.dtype = gradient, function, case, dtype
        self.leaves, self.spec = tree_flatten((case.args, case.kwargs))
        self.outcome = Outcome(case.label)
        self.cotangent: list[torch.Tensor | None] | None = None
        self.expected: dict[int, torch.Tensor] = {}
        self.limits: dict[int, float] = {}  # by leaf, where it is not that of its dtype
        self.undefined = False  # whether nothing is asked where autograd says NaN
        # Which leaf stands at which argument: leaves are replaced by their numbers, and bound.
        args, kwargs = tree_unflatten(list(range(len(self.leaves))), self.spec)
        self.place = {}
        for name, value in bound(gradient, args, kwargs).arguments.items():
            numbers = [i for i in tree_flatten(value)[0] if isinstance(i, int)]
            tensors = [i for i in numbers if isinstance(self.leaves[i], torch.Tensor)]
            self.place |= {i: (name, tensors.index(i) if i in tensors else -1) for i in numbers}
        self.wanted = [i for i, leaf in enumerate(self.leaves) if self._differentiated(i, leaf)]

    def _differentiated(self, i: int, leaf: Any) -> bool:
        if self.case.flags is not None:
            return self.case.flags[i]
        return is_smooth(leaf) and (self.case.only is None or self.place[i][0] in self.case.only)

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
        """All three comparisons, as far as they can be made."""
        outcome = self.outcome
        try:
            answered = self.ask_autograd()
        except (RuntimeError, TypeError, IndexError) as refusal:
            outcome.refused = told = str(refusal).split("\n")[0]
            if self.case.refused:
                if not (self.without_autograd() and self.declines()):
                    outcome.failed.append((AUTOGRAD, "-", "PyTorch refuses it, the rule does not"))
            elif self.case.flags is None:  # a case of ours, which should be one
                outcome.failed.append((AUTOGRAD, "-", f"PyTorch refuses the case: {told}"))
            return outcome
        if self.case.refused:
            outcome.failed.append((AUTOGRAD, "-", "PyTorch does not refuse it, and is said to"))
        elif not answered:
            outcome.refused = "the result has no gradient"
        elif self._compared():
            self._independent(self.found)
        if self.case.flags is None:  # of a sample one is enough, which the whole run sees to
            for name, (_, told) in self.case.known.items():
                if name in outcome.error:
                    outcome.failed.append((name, "all", f"agrees, and is said not to: {told}"))
        return outcome

    def ask_autograd(self, cotangent: list | None = None) -> bool:
        """Set autograd's gradients by leaf, the cotangent and the results; False: there are none.

        The cotangent is drawn unless one is given.
        """
        inputs = {}

        def ask(i: int, x: torch.Tensor) -> torch.Tensor:
            if i in self.wanted:
                inputs[i] = x.requires_grad_()
                x = inputs[i]
            return x

        with torch.enable_grad():
            results, self.result_spec = tree_flatten(self._call(self.function, ask))
        smooth = [isinstance(y, torch.Tensor) and y.requires_grad for y in results]
        roots = [y for y, is_one in zip(results, smooth, strict=True) if is_one]
        if not roots or not inputs:
            return False
        self.cotangent = cotangent or self._drawn(results, smooth)
        pulled = [c for c, is_one in zip(self.cotangent, smooth, strict=True) if is_one]
        grads = torch.autograd.grad(roots, list(inputs.values()), pulled, allow_unused=True)
        self.results = [y.detach() if isinstance(y, torch.Tensor) else y for y in results]
        self.inputs = {i: x.detach() for i, x in inputs.items()}
        dense = (g if g is None or g.layout is torch.strided else g.to_dense() for g in grads)
        # An argument that the call does not use has no gradient, which is a gradient of 0.
        self.unused = {i for i, g in zip(inputs, grads, strict=True) if g is None}
        self.expected = {
            i: torch.zeros_like(x) if g is None else g
            for (i, x), g in zip(self.inputs.items(), dense, strict=True)
        }
        self.floor = floor(self.cotangent)
        return True

    def _drawn(self, results: list, smooth: list[bool]) -> list[torch.Tensor | None]:
        """A random cotangent of what is shown, pulled back to the results."""
        with torch.enable_grad():
            stand_ins = [
                y.detach().clone().requires_grad_(is_one) if isinstance(y, torch.Tensor) else y
                for y, is_one in zip(results, smooth, strict=True)
            ]
            shown = self.case.shown(tree_unflatten(stand_ins, self.result_spec))
        shown = [
            y for y in tree_flatten(shown)[0] if isinstance(y, torch.Tensor) and y.requires_grad
        ]
        seed(3)
        drawn = [torch.randn_like(y) for y in shown]
        roots = [y for y, is_one in zip(stand_ins, smooth, strict=True) if is_one]
        pulled = iter(
            torch.autograd.grad(shown, roots, drawn, materialize_grads=True, allow_unused=True)
        )
        return [next(pulled) if is_one else None for is_one in smooth]

    def by_hand(self, layout: Callable = layouts.plain) -> dict[int, torch.Tensor | None]:
        """The rule's gradients by leaf, computed where autograd records nothing.

        Raises
        ------
        Wrote
            The rule changed what it was given.
        """
        given: list[tuple[str, torch.Tensor, torch.Tensor, int]] = []

        def lent(name: str, value: Any) -> Any:
            if not isinstance(value, torch.Tensor):
                return value
            copy = layout(value.detach())
            given.append((name, copy, value.detach(), copy._version))
            return copy

        named = [f"the argument {self._named(i)}" for i in range(len(self.leaves))]
        leaves = [lent(name, leaf) for name, leaf in zip(named, self.leaves, strict=True)]
        pieces = [lent("its cotangent", c) for c in self.cotangent]
        copies = [lent("the result", y) for y in self.results]
        g, y = tree_unflatten(pieces, self.result_spec), tree_unflatten(copies, self.result_spec)
        args, kwargs = tree_unflatten(leaves, self.spec)
        seed(2)
        with torch.no_grad():
            returned = self.gradient(g, y, *args, **kwargs)
        for name, copy, value, version in given:
            if copy._version != version or not same(copy, value):
                raise Wrote(f"the rule writes to {name}")
        more = sorted(returned.keys() - {name for name, _ in self.place.values()})
        if any(returned[name] is not None for name in more):
            raise Wrote(f"the rule returns a gradient of {', '.join(more)}, which was not given")
        return {i: self._of(returned, i) for i in self.wanted}

    def _of(self, returned: dict, i: int) -> torch.Tensor | None:
        name, position = self.place[i]
        grads = tree_flatten(returned.get(name), is_leaf=lambda v: v is None)[0]
        return grads[position] if position < len(grads) else None

    def without_autograd(self) -> bool:
        """Set results and a random cotangent, of what PyTorch refuses; whether there are any."""
        try:
            with torch.no_grad():
                results, self.result_spec = tree_flatten(self._call(self.function))
        except (RuntimeError, TypeError):
            return False
        seed(3)
        self.results = results
        self.cotangent = [torch.randn_like(y) if is_smooth(y) else None for y in results]
        return True

    def declines(self) -> bool:
        """Whether the rule declines the case; what else it may raise is no answer."""
        try:
            self.by_hand()
        except vjps.Declined:
            return True
        except Exception:
            return False
        return False

    def _compared(self) -> bool:
        """Compare with autograd; whether independent checks make sense afterwards."""
        outcome, expected = self.outcome, self.expected.values()
        self.compare()
        if outcome.declined:
            return False
        if all(right.numel() == 0 for right in expected):
            outcome.trivial = "empty"
        elif not all(bool(right.isfinite().all()) for right in expected):
            outcome.trivial = "not finite"
        elif all(bool((right == 0).all()) for right in expected):
            outcome.trivial = "zero"
        return not outcome.failed and outcome.trivial in ("", "zero")

    def compare(self) -> Outcome:
        """Compare with autograd, in two layouts."""
        outcome = self.outcome
        for layout in self.case.layouts:
            told = "" if layout is layouts.plain else "in another layout of memory: "
            try:
                found = self.by_hand(layout)
            except vjps.Declined as reason:
                outcome.declined = str(reason)
                return outcome
            except Wrote as wrong:
                outcome.failed.append((AUTOGRAD, "-", f"{told}{wrong}"))
                return outcome
            except Exception as wrong:  # a rule that raises is wrong, whatever it raises
                outcome.raised = True
                outcome.failed.append((AUTOGRAD, "-", f"{told}the rule raises {wrong!r}"[:300]))
                return outcome
            self._compare(found, told)
            if layout is layouts.plain:
                self.found = found
            if outcome.failed:
                break
        outcome.gradients += len(self.expected)
        return outcome

    def _compare(self, found: dict, told: str) -> None:
        """Compare what a rule found with what autograd says."""
        outcome, worst = self.outcome, 0.0
        for i, right in self.expected.items():
            dtype = self.leaves[i].dtype
            if found[i] is None and i in self.unused:
                found[i] = torch.zeros_like(right, dtype=dtype)
            off, difference = error(found[i], right, self.floor, dtype, self.undefined)
            limit = self.limits.get(i, PRECISION[dtype])
            if not off <= limit and not self._told(AUTOGRAD, off):
                outcome.failed.append((AUTOGRAD, self._named(i), told + difference))
            worst = max(worst, off)
        if AUTOGRAD not in outcome.differs:
            outcome.error[AUTOGRAD] = worst

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
        mine = sum(inner(found[i], v) for i, v in tangent.items())
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
            off = abs(theirs - mine) / size
            off = math.inf if math.isnan(off) else off
            agrees = off <= max(TOLERANCE[check], self._coarsest()) + noise / size
            if check in self.case.differs:
                self.outcome.differs[check] = self.case.differs[check]
                if agrees:
                    told = f"agrees, and is said not to: {self.case.differs[check]}"
                    self.outcome.failed.append((check, "all", told))
            elif agrees:
                self.outcome.error[check] = off
            elif not self._told(check, off):
                told = f"<g, Jv> = {theirs:.9g}, <J^T g, v> = {mine:.9g}, error {off:.2g}"
                self.outcome.failed.append((check, "all", told))

    def _coarsest(self) -> float:
        """What rounding makes of the least precise argument, where one has half the digits."""
        coarse = [PRECISION[x.dtype] for x in self.inputs.values()]
        return max((limit for limit in coarse if limit > 1e-10), default=0.0)

    def _told(self, check: str, off: float) -> bool:
        """Whether PyTorch is known to be off by that much; noted, never counted as agreement."""
        limit, reason = self.case.known.get(check, (-1.0, ""))
        if not reason or not off <= limit:
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
                return sum(inner(g, m) for g, m in pairs if g is not None and m is not None), 0.0
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
                total += inner(g, (after - before) / (2 * STEP))
                size += (g.abs() * (after.abs() + before.abs())).sum().item()
        if not math.isfinite(total):
            raise _NotMade("the function is not finite beside the point")
        read = [x.dtype for x in (*self.leaves, *self.results) if is_smooth(x)]
        return total, max(torch.finfo(dtype).eps for dtype in read) * size / STEP


def is_smooth(value: Any) -> bool:
    """Whether it is a tensor of numbers that can be differentiated."""
    return isinstance(value, torch.Tensor) and (value.is_floating_point() or value.is_complex())


class Wrote(Exception):
    """A rule changed what it was given, or returned what is no gradient; the message says."""


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
