"""Which rule of the operator reference a node of a graph applies, by the node's name.

The registry is read as source: its own module imports torch, and pages are read without it.
"""

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from press import project

# Where PyTorch's name of a node is not that of the operation, or is that of several: the name in
# PyTorch's operator tests.
OTHER_NAMES = {
    "div": "div.no_rounding_mode",
    "native_layer_norm": "nn.functional.layer_norm",
    "native_batch_norm": "nn.functional.batch_norm",
    "unsafe_view": "view",
}
PREFIXES = ("nn.functional.", "linalg.", "special.")


@dataclass(frozen=True)
class Shown:
    """What a page shows of a rule."""

    name: str
    latex: str
    family: str
    names: frozenset[str]  # of the operations it answers for


def rule_of(node: str) -> Shown | None:
    """The rule that a node of this name applies; None where the reference has none, or several.

    >>> rule_of("AddmmBackward0").name, rule_of("MseLossBackward0").name
    ('addmm', 'mse_loss')
    >>> rule_of("AccumulateGrad") is None
    True
    """
    found = re.fullmatch(r"([A-Z]\w*?)Backward\d+", node)  # a script's own Function has no number
    if not found:
        return None
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", found[1]).lower()
    fitting = [rule for rule in read() if OTHER_NAMES.get(name, name) in rule.names]
    return fitting[0] if len(fitting) == 1 else None


def sources() -> list[Path]:
    """The modules of the registry, a family each."""
    return sorted((project.ROOT / "src/backwardpass/vjps").glob("[!_]*.py"))


@cache
def read() -> tuple[Shown, ...]:
    """Every rule of the registry."""
    return tuple(rule for path in sources() for rule in _rules(path))


def _rules(path: Path):
    texts: dict[str, str] = {}  # the module's own constants, which a formula may consist of
    for statement in ast.parse(path.read_text("utf-8")).body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            texts[statement.targets[0].id] = _text(statement.value, texts)
        if not isinstance(statement, ast.FunctionDef):
            continue
        for call in statement.decorator_list:
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "rule":
                entries = [_text(argument, texts) for argument in call.args]
                told = {option.arg: _text(option.value, texts) for option in call.keywords}
                names = [*entries, *told.get("also", "").split()]
                yield Shown(
                    told.get("name") or entries[0].removeprefix("nn.functional."),
                    told["latex"],
                    path.stem,
                    frozenset(form for name in names for form in _forms(name)),
                )


def _text(value: ast.expr, texts: dict[str, str]) -> str:
    if isinstance(value, ast.Constant):
        return str(value.value)
    if isinstance(value, ast.Name):
        return texts.get(value.id, "")
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Add):
        return _text(value.left, texts) + _text(value.right, texts)
    return ""


def _forms(entry: str) -> set[str]:
    """How a node may name an operation that PyTorch's tests name so."""
    short = next((entry.removeprefix(p) for p in PREFIXES if entry.startswith(p)), entry)
    return {entry, short, entry.replace(".", "_")}
