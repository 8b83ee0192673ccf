"""What a script may not say: comparisons nobody watches, and what a replay cannot falsify.

A replay disturbs what passes of autograd return.  A node called as a function, an operator of
PyTorch's backward formulas, a value that a node saved, or one that an earlier run left in a file
come from autograd or its formulas all the same, and are not disturbed: they are refused by name.
"""

import ast
import re
from collections.abc import Iterable, Iterator

from press.judge import slices

Finding = tuple[int | None, str, str]

WATCHED = "torch.testing.assert_close is what the build watches"
ONLY_DISTURBED = "no replay disturbs it; derive the gradient from tensors of the script"
# Comparisons that are not watched, by the last name of what is called.
UNWATCHED = {
    "allclose", "isclose", "array_equal", "array_equiv", "assert_allclose", "assert_array_equal",
    "assert_equal", "assert_almost_equal", "assert_array_almost_equal", "assert_approx_equal",
    "assert_array_max_ulp", "assert_allclose_nulp",
}  # fmt: skip
# What reads a value that an earlier run may have left.
READS_FILES = {
    "open", "load", "loadtxt", "genfromtxt", "fromfile", "memmap", "read_text", "read_bytes",
    "from_file", "load_state_dict_from_url", "fdopen", "mmap",
}  # fmt: skip
HIDDEN = re.compile(r"^[ \t]*#[ \t]*(sphinx_gallery_(?:start|end)_ignore)\b", re.MULTILINE)
BACKWARD_FORMULA = re.compile(r"_backward(?:_\w+)?$")
# Names with the same ending that are something else.
NO_FORMULA = {
    "register_full_backward_hook", "register_full_backward_pre_hook", "set_backward",
    "register_backward_hook", "setup_backward", "once_backward",
}  # fmt: skip
HOLDS_NODES = {"grad_fn", "next_functions"}
# Beside a line that reads a file of the script's own.
REASON = re.compile(r"# reads: \S")


def refused(source: str, by_hand: Iterable[int] | None = None) -> list[Finding]:
    """What ``source`` may not say, each with its line.

    ``by_hand`` are the lines of the calls that compare by hand, where a run has shown them.

    >>> refused("import torch\\nassert torch.allclose(a, b)")[0][:2]
    (2, 'refused')
    >>> refused("assert not torch.allclose(a, b)")
    []
    """
    found: list[Finding] = [
        (source[: hidden.start()].count("\n") + 1, "refused", f"{hidden[1]} hides lines that run")
        for hidden in HIDDEN.finditer(source)
    ]
    try:
        tree = ast.parse(source)
    except SyntaxError:  # said where it is run
        return found
    found += [(line, "refused", message) for line, message in _files(tree, source.splitlines())]
    for rule in (_unwatched, _formulas, _nodes_called, _left_in_modules, _cut_short):
        found += [(line, "refused", message) for line, message in rule(tree)]
    found += [(line, "refused", message) for line, message in _from_autograd(tree, by_hand)]
    return found


def _dotted(node: ast.AST) -> str:
    """``a.b.c`` as it is written, or as much of its end as is names."""
    names = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    if isinstance(node, ast.Name):
        names.append(node.id)
    return ".".join(reversed(names))


def _calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def _unwatched(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """``allclose`` and its like, where they are to be true; NumPy's and private comparisons."""
    negated = {
        id(node.operand)
        for node in ast.walk(tree)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and id(node) not in negated:
            name = _dotted(node.func)
            if name.rpartition(".")[2] in UNWATCHED:
                yield node.lineno, f"{name} compares unseen; {WATCHED}"
        elif isinstance(node, ast.Attribute) and node.attr == "_comparison":
            yield node.lineno, f"{_dotted(node)} is private; {WATCHED}"
        elif isinstance(node, ast.ImportFrom) and node.module:
            if re.search(r"numpy\.testing|testing\._\w+", node.module):
                yield node.lineno, f"{node.module} compares unseen; {WATCHED}"
            for alias in node.names:
                if alias.name in UNWATCHED:
                    yield node.lineno, f"{alias.name} compares unseen; {WATCHED}"


def _formulas(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """PyTorch's own backward formulas, called as functions."""
    for node in ast.walk(tree):
        name = ""
        if isinstance(node, ast.Attribute):
            name = _dotted(node)
            is_formula = BACKWARD_FORMULA.search(node.attr) and node.attr not in NO_FORMULA
            inside = re.search(r"(?:^|\.)(?:ops|aten|_C|_VF|_nn)\.", f"{name}.")
            if not (is_formula and inside) and not re.search(r"\bnn\.grad\b", name):
                continue
        elif isinstance(node, ast.ImportFrom) and node.module:
            if not re.search(r"\bnn\.grad\b", f"{node.module}.{node.names[0].name}"):
                continue
            name = node.module
        elif isinstance(node, ast.Call) and _dotted(node.func) == "getattr" and node.args:
            name = _dotted(node.args[0])
            if not re.search(r"(?:^|\.)(?:ops|aten|_C|_VF|_nn)\b", name):
                continue
        if name:
            yield node.lineno, f"{name} is a formula of PyTorch's own; {ONLY_DISTURBED}"


def _nodes_called(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """A node of the graph that is called as a function, by whatever name of the script."""
    nodes: set[str] = set()
    for node in ast.walk(tree):
        value = getattr(node, "value", None) or getattr(node, "iter", None)
        if isinstance(node, ast.Assign | ast.NamedExpr | ast.For | ast.comprehension) and (
            _is_node(value)
        ):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            nodes |= {n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)}
    for call in _calls(tree):
        called = call.func
        if isinstance(called, ast.Attribute) and called.attr == "__call__":
            called = called.value
        if _is_node(called) or (isinstance(called, ast.Name) and called.id in nodes):
            yield call.lineno, f"{ast.unparse(called)} is a node, called here; {ONLY_DISTURBED}"


def _is_node(value: ast.AST | None) -> bool:
    """Whether that is a node, or nodes: ``y.grad_fn``, ``y.grad_fn.next_functions[0][0]``."""
    while isinstance(value, ast.Subscript):
        value = value.value
    if isinstance(value, ast.Call) and _dotted(value.func) == "getattr":
        return any(isinstance(a, ast.Constant) and a.value in HOLDS_NODES for a in value.args)
    return isinstance(value, ast.Attribute) and value.attr in HOLDS_NODES


def _writes(call: ast.Call) -> bool:
    """Whether a file is opened to be written only, which leaves a replay nothing to read.

    >>> calls = ("open(a, 'w')", "open(a, 'w+')", "open(a, m)")
    >>> [_writes(ast.parse(call, mode="eval").body) for call in calls]
    [True, False, False]
    """
    modes = [*call.args[1:2], *(word.value for word in call.keywords if word.arg == "mode")]
    mode = modes[0].value if modes and isinstance(modes[0], ast.Constant) else ""
    return isinstance(mode, str) and bool(set("wax") & set(mode)) and "+" not in mode


def _files(tree: ast.Module, lines: list[str]) -> Iterator[tuple[int, str]]:
    for call in _calls(tree):
        name = _dotted(call.func).rpartition(".")[2]
        if name in READS_FILES and not _writes(call) and not REASON.search(lines[call.lineno - 1]):
            yield (
                call.lineno,
                f"{_dotted(call.func)} reads what an earlier run may have left; a script computes "
                "all that it shows",
            )


def _left_in_modules(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Values left where the next run of the script, in the same process, finds them."""
    modules = {
        (alias.asname or alias.name).partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    for node in ast.walk(tree):
        targets: Iterable[ast.AST] = ()
        if isinstance(node, ast.Assign):
            targets = node.targets
        elif isinstance(node, ast.AugAssign | ast.AnnAssign):
            targets = [node.target]
        elif isinstance(node, ast.Call) and _dotted(node.func) == "setattr" and node.args:
            targets = [ast.Attribute(node.args[0], "")]
        for target in targets:
            place = target.value if isinstance(target, ast.Subscript) else target
            name = _dotted(place)
            if isinstance(place, ast.Attribute) and name.partition(".")[0] in modules:
                yield (
                    node.lineno,
                    f"{name.rstrip('.')} belongs to a module, which the next run finds as this "
                    "one left it; keep values in the script",
                )


def _cut_short(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """What may lose gradients on the way into a comparison: it would pass without them."""
    for node in ast.walk(tree):
        compares = any(_compares(call) for call in _calls(node)) if _is_statement(node) else False
        if not compares:
            continue
        parts = [node.iter] if isinstance(node, ast.For) else [node]
        for part in (inner for whole in parts for inner in ast.walk(whole)):
            if isinstance(part, ast.Call) and _dotted(part.func) == "zip":
                strict = any(k.arg == "strict" for k in part.keywords)
                if not strict and len(part.args) > 1:
                    yield part.lineno, "zip ends with the shortest: say strict=True"
            elif isinstance(part, ast.DictComp) and any(g.ifs for g in part.generators):
                yield part.lineno, "a condition here leaves gradients out of the comparison"
            elif isinstance(part, ast.BinOp) and isinstance(part.op, ast.BitAnd):
                yield part.lineno, "names that only one side has are lost here; compare them all"


def _is_statement(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr | ast.For)


def _compares(call: ast.Call) -> bool:
    return _dotted(call.func).rpartition(".")[2] == "assert_close"


def _from_autograd(tree: ast.Module, by_hand: Iterable[int] | None) -> Iterator[tuple[int, str]]:
    """Values that a node saved, and numbers typed, where they make the side by hand."""
    seen = set()
    for part in slices.hand_side(tree, by_hand):
        for expression in part.expressions or (part.statement,):
            for node in ast.walk(expression):
                saved = _saved(node)
                if saved and node.lineno not in seen:
                    seen.add(node.lineno)
                    yield (
                        node.lineno,
                        f"{saved} is what autograd saved, in a gradient by hand; {ONLY_DISTURBED}",
                    )


def _saved(node: ast.AST) -> str | None:
    if isinstance(node, ast.Attribute) and re.match(r"_(?:raw_)?saved_", node.attr):
        return ast.unparse(node)
    if isinstance(node, ast.Call) and _dotted(node.func) == "getattr":
        text = ast.unparse(node)
        return text if "_saved_" in text else None
    return None


def call_sites(source: str) -> dict[int, str]:
    """The line of each comparison that is written in a script, with the name it is called by.

    >>> call_sites("from torch.testing import assert_close as same\\nsame(a, b)\\n")
    {2: 'same'}
    """
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return {}
    names = {"assert_close"}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            names |= {a.asname for a in node.names if a.name == "assert_close" and a.asname}
        elif isinstance(node, ast.Assign) and _dotted(node.value).endswith("assert_close"):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    named = ((call.lineno, _dotted(call.func)) for call in _calls(tree))
    return {line: name for line, name in named if name.rpartition(".")[2] in names}


def uncompared(source: str) -> list[Finding]:
    """Gradients that a script derives and never compares: ``dW``, where there is a ``W.grad``.

    >>> uncompared("dW = f(x)\\nprint(dW, W.grad)")[0][:2]
    (1, 'unrun')
    """
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return []
    stored = {
        node.value.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr == "grad"
        and isinstance(node.value, ast.Name)
    }
    derived: dict[str, int] = {}
    for node in ast.walk(tree):
        is_name = isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        if is_name and node.id.startswith("d") and node.id[1:] in stored:
            derived.setdefault(node.id, node.lineno)
    used = _flows_into_comparisons(tree)
    return [
        (
            line,
            "unrun",
            f"{name} is derived, and no comparison holds it against {name[1:]}.grad",
        )
        for name, line in derived.items()
        if name not in used
    ]


def _flows_into_comparisons(tree: ast.Module) -> set[str]:
    """Names that are read in a comparison, or in what such names were made of."""
    made: dict[str, set[str]] = {}
    used: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign | ast.For):
            value = node.iter if isinstance(node, ast.For) else node.value
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            reads = {n.id for n in ast.walk(value or node) if isinstance(n, ast.Name)}
            for target in targets:
                for name in (n.id for n in ast.walk(target) if isinstance(n, ast.Name)):
                    made.setdefault(name, set()).update(reads)
        elif isinstance(node, ast.Call):
            names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
            if _compares(node):
                used |= names
            elif isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name):
                made.setdefault(node.func.value.id, set()).update(names)  # a list that is filled
        elif isinstance(node, ast.Return) and node.value is not None:
            used |= {n.id for n in ast.walk(node.value) if isinstance(n, ast.Name)}
    pending = list(used)
    while pending:
        new = made.get(pending.pop(), set()) - used
        used |= new
        pending += new
    return used
