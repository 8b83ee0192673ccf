"""What becomes of a gradient at each operator of PyTorch's tests: measured, and kept as data.

``python -m press.trials.operators.fates`` runs the first samples of every operator and writes
``fates.json``: a gradient, zeros, no attachment, or an exception; and whether there is a second
derivative and a forward mode.  The file says which PyTorch was asked.
"""

import json
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import torch
from torch.autograd import forward_ad
from torch.utils._pytree import tree_flatten, tree_unflatten

from press.trials.operators.cases import ORDER, function, opinfos, samples, seed

FATES = Path(__file__).with_name("fates.json")
FEW, MANY = 6, 40  # samples asked: few where one has a gradient, many before it is said of none
NOTHING = {"reverse": "-", "second": "-", "forward": "-"}  # no argument could have a gradient
DTYPES = (torch.float64, torch.complex128, torch.float32, torch.int64, torch.bool)


def measured(name: str) -> dict[str, str]:
    """The fates of one operator: ``reverse``, ``second`` and ``forward``.

    Over the samples asked, the best that happened: one with a gradient makes a gradient.
    """
    op = opinfos()[name]
    dtype = next((t for t in DTYPES if t in op.supported_dtypes("cpu")), None)
    if dtype is None or not (dtype.is_floating_point or dtype.is_complex):
        return dict(NOTHING)
    found: dict[str, list[str]] = {"reverse": [], "second": [], "forward": []}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number, made in enumerate(_calls(name, dtype)):
            if number == MANY or (number >= FEW and "gradient" in found["reverse"]):
                break
            for kind, fate in _asked(name, made).items():
                found[kind].append(fate)
    if not found["reverse"]:
        return dict(NOTHING)
    return {kind: _best(fates) for kind, fates in found.items()}


def _calls(name: str, dtype: torch.dtype):
    try:
        for made in samples(name, dtype):
            if any(isinstance(x, torch.Tensor) and x.numel() for x in _leaves(made)[0]):
                yield made
    except (RuntimeError, TypeError, ValueError, AssertionError):
        return  # no sample with a gradient, of an operator that has none


def _leaves(made) -> tuple[list, object]:
    return tree_flatten((made.args, made.kwargs))


def _asked(name: str, made) -> dict[str, str]:
    """What becomes of one call."""
    leaves, spec = _leaves(made)
    smooth = list(made.flags) if any(made.flags) else [_is_smooth(x) for x in leaves]
    if not any(smooth):
        return dict(NOTHING)
    fate = {"second": "-", "forward": _forward(name, leaves, smooth, spec)}
    try:
        y, inputs = _attached(name, made, smooth)
    except _REFUSED as refusal:
        if "with respect to argument" in str(refusal) and sum(smooth) > 1:
            first = smooth.index(True)  # another argument has no gradient: ask for this one alone
            alone = tuple(k == first for k in range(len(smooth)))
            return _asked(name, replace(made, flags=alone))
        if "only supported on CUDA" in str(refusal):
            return dict(NOTHING)
        return {**fate, "reverse": f"raises: {_told(refusal)}"}
    if not y:
        return {**fate, "reverse": "not attached"}
    try:
        total = sum(_weighted(t) for t in y)
        grads = torch.autograd.grad(total, inputs, create_graph=True, allow_unused=True)
    except _REFUSED as refusal:
        return {**fate, "reverse": f"raises: {_told(refusal)}"}
    grads = [g for g in grads if g is not None]
    zeros = all(not bool(g.detach().to_dense().any()) for g in grads)
    return {**fate, "reverse": "zeros" if zeros else "gradient", "second": _second(grads, inputs)}


_REFUSED = (RuntimeError, NotImplementedError, TypeError, ValueError, AssertionError)


def _is_smooth(x: object) -> bool:
    return isinstance(x, torch.Tensor) and (x.is_floating_point() or x.is_complex())


def _call(name: str, args, kwargs):
    """The operator as PyTorch's tests call it, or where samples are reordered, as users do."""
    seed(2)
    return (function(name) if name in ORDER else opinfos()[name].op)(*args, **kwargs)


def _attached(name, made, smooth):
    """Results that a gradient can start from, and the arguments it may reach."""
    leaves, spec = _leaves(made)
    inputs, given = [], []
    for x, is_smooth in zip(leaves, smooth, strict=True):
        if is_smooth:
            x = x.detach().clone().requires_grad_()
            inputs.append(x)
            x = x.clone()  # no leaf, because it may be written to
        given.append(x)
    args, kwargs = tree_unflatten(given, spec)
    results = tree_flatten(made.shown(_call(name, args, kwargs)))[0]
    return [y for y in results if isinstance(y, torch.Tensor) and y.requires_grad], inputs


def _weighted(y: torch.Tensor) -> torch.Tensor:
    """A real number that depends on every entry, with another weight for each."""
    y = y.to_dense() if y.layout is not torch.strided else y
    weights = torch.linspace(0.5, 1.5, max(y.numel(), 1), dtype=torch.float64)[: y.numel()]
    terms = torch.view_as_real(y.resolve_conj()).sum(-1) if y.is_complex() else y
    return (terms.reshape(-1).double() * weights).sum()


def _second(grads: list, inputs: list) -> str:
    moving = [g for g in grads if g.requires_grad]
    if not moving:
        return "none to take"
    try:
        torch.autograd.grad(
            sum(_weighted(g * g) for g in moving), inputs, allow_unused=True, retain_graph=True
        )
    except _REFUSED as refusal:
        return f"raises: {_told(refusal)}"
    return "there"


def _forward(name, leaves, smooth, spec) -> str:
    try:
        with forward_ad.dual_level():
            given = [
                forward_ad.make_dual(x.detach().clone(), torch.ones_like(x)) if is_smooth else x
                for x, is_smooth in zip(leaves, smooth, strict=True)
            ]
            args, kwargs = tree_unflatten(given, spec)
            results = tree_flatten(_call(name, args, kwargs))[0]
            tangents = [
                forward_ad.unpack_dual(y).tangent for y in results if isinstance(y, torch.Tensor)
            ]
    except _REFUSED as refusal:
        return f"raises: {_told(refusal)}"
    return "there" if any(t is not None for t in tangents) else "not attached"


def _told(refusal: Exception) -> str:
    return str(refusal).split("\n")[0].split(". ")[0][:110]


def _best(fates: list[str]) -> str:
    order = ("gradient", "there", "zeros", "none to take", "not attached", "-")
    return min(fates, key=lambda fate: order.index(fate) if fate in order else len(order) - 3)


def read() -> dict:
    """What is kept: the version asked, and the fates by operator."""
    return json.loads(FATES.read_text("utf-8"))


def main() -> int:
    """Ask every operator, and keep what was found."""
    torch.set_num_threads(1)
    rows = {name: measured(name) for name in opinfos()}
    lines = ",\n".join(f"{json.dumps(n)}: {json.dumps(row)}" for n, row in rows.items())
    version = torch.__version__.split("+")[0]
    FATES.write_text(f'{{"torch": "{version}", "rows": {{\n{lines}\n}}}}\n', "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
