"""Which detector sees which wrong gradient.

A case is two programs of ``book/reference/silent_gradients``, ``<case>.py`` with the mistake and
``<case>_mended.py`` without.  Each runs alone and leaves

- ``x``, the tensor that a gradient is taken for, and ``loss(x)``,
- ``gradient``, what the program took for the gradient, and ``right``, what it should have been,
- where the mistake lies in a function of its own, that function as ``f``.

A detector is asked about both programs: it *sees* the mistake where it objects to the first and
not to the second; where it objects to both, its objection says nothing, and it *errs*.
"""

import warnings
from collections.abc import Callable

import torch
from torch.autograd import forward_ad, gradcheck, gradgradcheck

from . import PROGRAMS

TITLE = "Wrong gradients, and what sees them"
ROW = "case"
# Each case by the name of its program, and its row.
CASES = {
    path.stem: path.stem.replace("_", " ")
    for path in sorted(PROGRAMS.glob("*.py"))
    if not path.stem.endswith("_mended")
}

Names = dict[str, object]  # what a program leaves behind


def source(case: str, mended: bool = False) -> str:
    """The program of a case, as it is printed."""
    return (PROGRAMS / f"{case}{'_mended' if mended else ''}.py").read_text("utf-8")


def run(text: str) -> Names:
    """What the program leaves behind; what it prints is dropped."""
    names: Names = {"__name__": "__main__", "print": lambda *words: None}
    exec(compile(text, "<program>", "exec", dont_inherit=True), names)
    return names


def raises_or_warns(text: str) -> str | None:
    """What a reader of the output is told."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            run(text)
        except Exception:
            return "raises"
    return "warns" if caught else None


def anomaly(text: str) -> str | None:
    """Anomaly mode raises."""
    try:
        with torch.autograd.detect_anomaly():
            run(text)
    except RuntimeError:
        return "sees"
    return None


def _checked(check: Callable[..., bool], asked: str = "f") -> Callable[[str], str | None]:
    """``check`` of the function of that name, or of the loss where there is none."""

    def detector(text: str) -> str | None:
        names = run(text)
        try:
            # A hook of a program is not written for a gradient that is None.
            passed = check(
                names.get(asked, names["loss"]), (_leaf(names["x"]),), check_undefined_grad=False
            )
        except RuntimeError:  # a mismatch, or a backward that cannot be differentiated at all
            return "sees"
        return None if passed else "sees"

    return detector


def adjoint(text: str) -> str | None:
    """For random u and v, the product of u with Jv is that of the VJP of u with v."""
    names = run(text)
    function, x = names.get("f", names["loss"]), _leaf(names["x"])
    generator = torch.Generator().manual_seed(7)
    v = torch.randn(x.shape, generator=generator, dtype=x.dtype)
    try:
        with forward_ad.dual_level():
            value = function(forward_ad.make_dual(x.detach(), v))
            Jv = forward_ad.unpack_dual(value).tangent
    except RuntimeError:
        return "cannot run"
    result = function(x)
    u = torch.randn(result.shape, generator=generator, dtype=x.dtype)
    (pulled,) = torch.autograd.grad(result, x, u)
    Jv = torch.zeros_like(result) if Jv is None else Jv
    return None if torch.isclose((u * Jv).sum(), (pulled * v).sum(), rtol=1e-6) else "sees"


def differences(text: str) -> str | None:
    """Central differences of the loss, entry by entry, beside what the program took for it."""
    names = run(text)
    x, loss, gradient = names["x"].detach(), names["loss"], names["gradient"]
    found, h = torch.empty_like(x), 1e-6
    for index in range(x.numel()):
        step = torch.zeros_like(x)
        step.view(-1)[index] = h
        # Leaves: some losses take a derivative themselves.
        ahead, behind = (loss(_leaf(x + sign * step)).detach() for sign in (1, -1))
        found.view(-1)[index] = (ahead - behind) / (2 * h)
    return None if torch.allclose(found, gradient, rtol=1e-3, atol=1e-5) else "sees"


DETECTORS: dict[str, Callable[[str], str | None]] = {
    "raises or warns": raises_or_warns,
    "gradcheck": _checked(gradcheck),
    "gradcheck of loss": _checked(gradcheck, asked="loss"),
    "gradgradcheck": _checked(gradgradcheck),
    "anomaly mode": anomaly,
    "adjoint test": adjoint,
    "differences": differences,
}
COLUMNS = ("gradient", "mended", *DETECTORS)


def measure() -> dict[str, dict[str, str]]:
    """Run each case and its remedy, and ask each detector about both."""
    return {title: row(source(case), source(case, mended=True)) for case, title in CASES.items()}


def row(broken: str, mended: str) -> dict[str, str]:
    """The cells of one case."""
    dtype = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)  # as in every program, and in what is called of it later
    try:
        with warnings.catch_warnings(), torch.random.fork_rng():
            warnings.simplefilter("ignore")
            cells = {"gradient": verdict(run(broken)), "mended": verdict(run(mended))}
            for name, detector in DETECTORS.items():
                torch.manual_seed(0)
                cells[name] = answer(detector(broken), detector(mended))
            return cells
    finally:
        torch.set_default_dtype(dtype)


def verdict(names: Names) -> str:
    """Whether a program took the right number for its gradient."""
    close = torch.allclose(names["gradient"], names["right"], rtol=1e-9, atol=1e-12)
    return "right" if close else "wrong"


def answer(about_broken: str | None, about_mended: str | None) -> str:
    """What a detector that says the one and the other is worth.

    >>> answer("sees", None), answer(None, None), answer("sees", "sees")
    ('sees', 'silent', 'errs')
    """
    if about_broken is None:
        return "silent" if about_mended is None else "errs"
    if about_broken == "cannot run":
        return about_broken
    return about_broken if about_mended is None else "errs"


def _leaf(x: torch.Tensor) -> torch.Tensor:
    return x.detach().clone().requires_grad_()
