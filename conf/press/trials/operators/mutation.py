"""Each statement of each rule changed, one place at a time, and the cases that have to notice.

A target of the mutation gate is a module of rules.  What autograd says of every case is computed
once, before the gate forks; a mutant runs only the rules that its change reaches, and stops at the
first case that notices.
"""

import ast
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from torch.utils._pytree import tree_flatten

from backwardpass import vjps
from backwardpass.vjps import _registry
from press.trials.mutants.mutants import Outcome
from press.trials.operators import cases as _cases
from press.trials.operators import variants as _variants
from press.trials.operators.another_mind import Rules
from press.trials.operators.check import Check
from press.trials.operators.check import Outcome as Made
from press.trials.operators.check import check as whole_check

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
    judges = {
        name: prepared(name)
        for name, rule in vjps.RULES.items()
        if module == "_shared" or rule.family == module
    }

    _functions(source)  # once, and not in each child

    def run(changed: str) -> Outcome:
        names = reached(module, source, changed, judges)
        return judged(module, changed, names, judges)

    return Rules(f"vjps/{module}", source, run)


Judge = Callable[[Callable], bool]  # whether a gradient is what it has to be, for one case


def prepared(name: str) -> list[Judge]:
    """A judge for each case that the rule as it is passes, and for what else is asked of it."""
    rule, found = vjps.RULES[name], []
    for entry in rule.entries:
        op = _cases.opinfos()[entry]
        dtypes = op.supported_backward_dtypes("cpu") if op.supports_autograd else set()
        for dtype in (torch.float64, torch.complex128):
            if dtype in dtypes:
                bases = []
                for case in (*_few(entry, dtype), *_cases.ours(entry, dtype)):
                    check = Check(rule.gradient, _cases.function(entry), case, dtype)
                    found.append(_fitting(check, rule.gradient))
                    if check.expected and not check.outcome.failed and all(_sizes(case)):
                        bases.append(check)
                for _, made in _variants.asked(entry, rule.family, bases, dtypes):
                    found.append(_agreement(made) if _agreement(made)(rule.gradient) else None)
    return [judge for judge in found if judge is not None]


def _fitting(check: Check, gradient: Callable) -> Judge | None:
    return next((judge for judge in _judges(check) if judge(gradient)), None)


def _agreement(check: Check) -> Judge:
    def agrees(gradient: Callable) -> bool:
        check.gradient = gradient
        return _agrees(check)

    return agrees


def _judges(check: Check) -> list[Judge]:
    """What can be asked of a case: that the rule declines, agrees with autograd, or passes."""
    try:
        answered = check.ask_autograd()
    except (RuntimeError, TypeError, IndexError):  # PyTorch refuses the case
        answered = None
        check.without_autograd()
    if check.cotangent is None:  # no result, or none that has a gradient
        return []

    def declines(gradient: Callable) -> bool:
        check.gradient = gradient
        return check.declines()

    def passes(gradient: Callable) -> bool:  # where autograd is known to be off: all three checks
        return not whole_check(gradient, check.function, check.case, check.dtype).failed

    return [declines] if answered is None else [declines, _agreement(check), passes]


def _few(entry: str, dtype: torch.dtype) -> list[_cases.Case]:
    """Some of the samples, from the whole list, the non-empty ones first."""
    every = list(_cases.samples(entry, dtype))
    telling = [case for case in every if all(n > 0 for n in _sizes(case))] or every
    step = max(1, len(telling) // SAMPLES)
    return telling[::step][:SAMPLES]


def _sizes(case: _cases.Case) -> list[int]:
    leaves = tree_flatten((case.args, case.kwargs))[0]
    return [leaf.numel() for leaf in leaves if isinstance(leaf, torch.Tensor)]


def _agrees(check: Check) -> bool:
    """Whether the rule, as it stands in ``check``, gives what autograd gives, in two layouts."""
    check.outcome = Made("")
    check.compare()
    if check.outcome.raised:
        raise RuntimeError(check.outcome.failed[0][-1])
    return not check.outcome.failed and not check.outcome.declined and not check.outcome.differs


def reached(module: str, source: str, changed: str, judges: dict) -> list[str]:
    """The rules that the changed function is, or is used by."""
    functions = _functions(source)
    pairs = zip(source.splitlines(), changed.splitlines(), strict=True)
    lines = {n for n, (before, after) in enumerate(pairs, 1) if before != after}
    touched = {name for name, f in functions.items() if lines & f.lines}
    while True:  # and what uses those, and so on
        more = {n for n, f in functions.items() if n not in touched and touched & f.names}
        if not more:
            break
        touched |= more
    if module != "_shared":
        return [n for n in judges if vjps.RULES[n].gradient.__name__ in touched]
    using = [n for n in judges if touched & _names(vjps.RULES[n].code)]
    return sorted(using, key=lambda n: len(judges[n]))[-JUDGES:]


@dataclass(frozen=True)
class _Function:
    lines: frozenset[int]
    names: frozenset[str]


@cache
def _functions(source: str) -> dict[str, _Function]:
    """Where each function of a module stands, and what it names."""
    return {
        node.name: _Function(
            frozenset(range(node.lineno, node.end_lineno + 1)), _names(ast.unparse(node))
        )
        for node in ast.parse(source).body
        if isinstance(node, ast.FunctionDef)
    }


@cache
def _names(text: str) -> frozenset[str]:
    return frozenset(n.id for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Name))


def judged(module: str, changed: str, names: list[str], judges: dict) -> Outcome:
    """What the cases of those rules make of the changed module; for a child of its own."""
    gradients = _loaded(module, changed)
    for name in names:
        for judge in judges[name]:
            try:
                if not judge(gradients[name]):
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
