"""Every name of a function, called in every way: as sampled, bare, by keyword, numbers apart.

What no case reached is told: a name without a comparison, an option that always had its default.
"""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from torch.utils._pytree import tree_map

from backwardpass import vjps
from press.trials.operators.cases import Case, bound
from press.trials.operators.check import Check
from press.trials.operators.variants import REFUSED

# Methods that take their arguments in another order than the function.
METHODS: dict[str, Callable] = {
    "torch.Tensor.where": lambda condition, x, other: x.where(condition, other),
    "torch.Tensor.polygamma": lambda n, x: x.polygamma(n),
    "torch.Tensor.__rpow__": lambda x, exponent: exponent.__rpow__(x),
    "torch.Tensor.__rmatmul__": lambda x, other: other.__rmatmul__(x),
}
# Names that no case of ours can call, with the reason.
UNCALLED: dict[str, str] = {
    "torch.zero_": "it writes to its argument, a leaf",
    "torch.as_strided_scatter": "PyTorch is wrong in every case, and the rule is compared apart",
    "torch.Tensor.as_strided_scatter": "PyTorch is wrong in every case",
}
# Without options they ask for more vectors than a matrix of that rank has.
NOT_BARE = {"svd_lowrank", "pca_lowrank"}
# Options that no case needs to move, with the reason.
SILENT = "it says how PyTorch computes, and changes no number"
UNMOVED: dict[str, str] = {
    "inplace": "the argument is a leaf, which must not be written to",
    "driver": SILENT, "_stacklevel": SILENT, "sparse_grad": "the gradient is sparse",
    "out": "a function that writes its result has no gradient", "output_size": SILENT,
    "return_indices": "what it returns besides has no gradient", "sorted": SILENT,
    "stable": SILENT, "check_errors": "it says whether an error is raised",
    "_random_samples": "without, the seed draws them",
    "generator": "it draws, and has no gradient", "memory_format": SILENT,
    "size_average": "deprecated", "reduce": "deprecated",
}  # fmt: skip

# ... of one rule: a reduction under a mask hands it to the reduction.
HANDED = "it is handed to an operation whose own rule is asked"
LATER = "no case moves it yet"
UNMOVED_OF: dict[tuple[str, str], str] = {
    ("stft", "align_to_window"): LATER, ("istft", "length"): LATER, ("istft", "normalized"): LATER,
    ("masked.median", "keepdim"): HANDED, ("_safe_softmax", "dtype"): HANDED,
    ("bernoulli", "p"): "the argument in its place gets 0 either way",
    ("pinverse", "rcond"): HANDED, ("pinv of rank r, Hermitian pinv", "atol"): HANDED,
    ("pinv of rank r, Hermitian pinv", "rtol"): HANDED, ("lstsq", "rcond"): LATER,
    ("embedding_bag", "max_norm"): LATER, ("embedding_bag", "norm_type"): LATER,
    ("embedding_bag", "sparse"): LATER, ("segment_reduce", "indices"): LATER,
    ("triplet_margin_loss", "eps"): LATER, ("triangular_solve", "unitriangular"): LATER,
    ("svd", "compute_uv"): LATER, ("linalg.lu", "pivot"): LATER, ("lu_factor", "pivot"): LATER,
    ("lu", "pivot"): LATER, ("lu_unpack", "unpack_data"): LATER,
    ("lu_unpack", "unpack_pivots"): LATER,
}  # fmt: skip
UNMOVED_OF |= {
    ("multi_head_attention", name): LATER
    for name in ("is_causal", "key_padding_mask", "static_k", "static_v", "training")
}
UNMOVED_OF |= {(name, "dtype"): HANDED for name in vjps.RULES if name.startswith("masked.")}


def named(name: str) -> Callable:
    """The function or method of that name."""
    return METHODS.get(name) or vjps.forward(name)


def calls(rule: Callable, case: Case) -> Iterator[Case]:
    """The case as it is, bare, by keyword, and with its last numbers apart."""
    flags = None
    args, kwargs = case.args, case.kwargs
    yield case
    if kwargs and rule.__name__ not in NOT_BARE:
        yield _called(case, "bare", args, {}, flags)
    if len(args) > 1:
        parameters = list(inspect.signature(rule).parameters.values())[2:]
        plain = parameters[: len(args)]
        if all(p.kind is p.POSITIONAL_OR_KEYWORD for p in plain) and len(plain) == len(args):
            by_name = {p.name: v for p, v in zip(plain[1:], args[1:], strict=True)}
            yield _called(case, "by keyword", args[:1], by_name | kwargs, flags)
        if isinstance(args[-1], tuple | list) and all(isinstance(n, int) for n in args[-1]):
            yield _called(case, "apart", (*args[:-1], *args[-1]), kwargs, flags)


def _called(case: Case, how: str, args: tuple, kwargs: dict, flags: None) -> Case:
    return replace(case, label=f"{case.label}, {how}", args=args, kwargs=kwargs, flags=flags)


def checked(rule: vjps.Rule, name: str, cases: list[Case]) -> Iterator[tuple[Check | None, str]]:
    """Each call that PyTorch accepts under that name, answered by autograd; or what is wrong."""
    function = named(name)
    for case in cases:
        for call in calls(rule.gradient, case):
            if not _accepted(function, call):
                continue
            try:
                bound(rule.gradient, call.args, call.kwargs)
            except TypeError as refusal:
                yield None, f"{name} takes {call.label}, the rule does not: {refusal}"
                continue
            made = Check(rule.gradient, function, call, torch.float64)
            try:
                if made.ask_autograd():
                    yield made, ""
            except REFUSED:
                continue


def _accepted(function: Callable, call: Case) -> bool:
    """Whether PyTorch computes the call, of copies, because some functions write."""
    args, kwargs = tree_map(
        lambda v: v.detach().clone() if isinstance(v, torch.Tensor) else v, (call.args, call.kwargs)
    )
    try:
        with torch.no_grad():
            function(*args, **kwargs)
    except REFUSED:
        return False
    return True


def moved(rule: Callable, cases: list[Case]) -> set[str]:
    """The options of a rule that have another value than their default in one of the cases."""
    signature = inspect.signature(rule)
    found = set()
    for case in cases:
        for name, value in bound(rule, case.args, case.kwargs).arguments.items():
            default = signature.parameters[name].default
            if isinstance(value, torch.Tensor) or (value is not default and value != default):
                found.add(name)
    return found


def options(rule: vjps.Rule) -> set[str]:
    """The options of a rule that a case has to move: its arguments that have a default."""
    parameters = inspect.signature(rule.gradient).parameters.values()
    found = {p.name for p in parameters if p.default is not p.empty} - UNMOVED.keys()
    return {name for name in found if (rule.name, name) not in UNMOVED_OF}
