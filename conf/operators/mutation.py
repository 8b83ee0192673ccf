"""Each statement of each rule changed, one place at a time, and the cases that have to notice.

A target of the mutation gate is a module of rules.  What autograd says of every case is computed
once, before the gate forks; a mutant runs only the rules that its change reaches, and stops at the
first case that notices.
"""

import ast
import sys
import warnings
from collections.abc import Callable
from functools import cache

import torch
from mutation.mutants import Outcome, Target
from torch.utils._pytree import tree_flatten

from backwardpass import vjps
from backwardpass.vjps import _registry
from operators import cases as _cases
from operators.check import _Check, _error

# A change moves a gradient by more than this, and rounding, PyTorch's constants too, by less.
TOLERANCE = 1e-6
# Of PyTorch's samples that many an entry and dtype; all edge cases.
SAMPLES = 8
# Rules that judge a change of a function all families share.
JUDGES = 12


def warm_up() -> None:
    """Import once what every process would: PyTorch's description of its operators."""
    warnings.simplefilter("ignore")  # PyTorch's samples, and forward mode, warn of much
    torch.set_num_threads(1)
    _cases.opinfos()
    next(_cases.ours("exp", torch.float64), None)


def target(module: str, source: str):
    """The module as a target: its source, and what runs a changed one."""
    checks = {
        name: prepared(name)
        for name, rule in vjps.RULES.items()
        if module == "_shared" or rule.family == module
    }

    def run(changed: str) -> Outcome:
        return judged(module, changed, reached(module, source, changed, checks), checks)

    return Target(f"vjps/{module}", source, run)


def prepared(name: str) -> list[tuple[_Check, dict | None]]:
    """The cases of a rule with what autograd says of each; None where the rule has to decline."""
    found = []
    for entry in vjps.RULES[name].entries:
        op = _cases.opinfos()[entry]
        for dtype in (torch.float64, torch.complex128):
            if not (op.supports_autograd and dtype in op.supported_backward_dtypes("cpu")):
                continue
            made = [*_few(entry, dtype), *_cases.ours(entry, dtype)]
            for case in made:
                check = _Check(vjps.RULES[name].gradient, _cases.function(entry), case, dtype)
                try:
                    expected = check._autograd()
                except (RuntimeError, TypeError):  # PyTorch refuses the case
                    expected = None
                    check.without_autograd()
                if check.cotangent is None:  # no result, or none that has a gradient
                    continue
                if check.declines():
                    found.append((check, None))
                elif expected is not None and _agrees(check, expected):
                    found.append((check, expected))
    return found


def _few(entry: str, dtype: torch.dtype) -> list[_cases.Case]:
    """Some of the samples, from the whole list, the non-empty ones first."""
    every = list(_cases.samples(entry, dtype))
    telling = [case for case in every if all(n > 0 for n in _sizes(case))] or every
    step = max(1, len(telling) // SAMPLES)
    return telling[::step][:SAMPLES]


def _sizes(case: _cases.Case) -> list[int]:
    leaves = tree_flatten((case.args, case.kwargs))[0]
    return [leaf.numel() for leaf in leaves if isinstance(leaf, torch.Tensor)]


def _agrees(check: _Check, expected: dict) -> bool:
    """Whether the rule, as it stands in ``check``, gives what autograd gives."""
    found = check._by_hand()
    floor = 1e-3 * max(
        (c.abs().max().item() for c in check.cotangent if c is not None and c.numel()), default=0.0
    )
    for i, right in expected.items():
        mine = torch.zeros_like(right) if found[i] is None and i in check.unused else found[i]
        if not _error(mine, right, floor + 1e-300)[0] <= TOLERANCE:
            return False
    return True


def reached(module: str, source: str, changed: str, checks: dict) -> list[str]:
    """The rules that the changed function is, or is used by."""
    before, after = _functions(source), _functions(changed)
    touched = {name for name in before if before[name] != after.get(name)}
    while True:  # and what uses those, and so on
        more = {n for n, text in before.items() if n not in touched and touched & _names(text)}
        if not more:
            break
        touched |= more
    if module != "_shared":
        return [n for n in checks if vjps.RULES[n].gradient.__name__ in touched]
    using = [n for n in checks if touched & _names(vjps.RULES[n].code)]
    return sorted(using, key=lambda n: len(checks[n]))[-JUDGES:]


@cache
def _names(text: str) -> frozenset[str]:
    return frozenset(n.id for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Name))


def _functions(source: str) -> dict[str, str]:
    tree = ast.parse(source).body
    return {n.name: ast.unparse(n) for n in tree if isinstance(n, ast.FunctionDef)}


def judged(module: str, changed: str, names: list[str], checks: dict) -> Outcome:
    """What the cases of those rules make of the changed module; for a child of its own."""
    gradients = _loaded(module, changed)
    for name in names:
        for check, expected in checks[name]:
            check.gradient = gradients[name]
            try:
                if not (check.declines() if expected is None else _agrees(check, expected)):
                    return Outcome.COMPARISON
            except Exception:  # a changed rule may raise anything
                return Outcome.RAISED
    return Outcome.SURVIVED


def _loaded(module: str, changed: str) -> dict[str, Callable]:
    """The rules with the changed module in place of its original."""
    space = {"__name__": f"backwardpass.vjps.{module}"}
    kept = dict(_registry.RULES)
    _registry.RULES.clear()
    exec(compile(changed, f"{module}.py", "exec"), space)
    if module != "_shared":
        return {name: rule.gradient for name, rule in _registry.RULES.items()}
    for family in vjps.FAMILIES:
        owner = vars(sys.modules[f"backwardpass.vjps.{family}"])
        owner.update(
            {name: value for name, value in space.items() if name in owner and name[0] != "_"}
        )
    return {name: rule.gradient for name, rule in kept.items()}
