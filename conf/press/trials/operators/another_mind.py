"""Changes that a careless author makes rather than a machine: thresholds, branches, ties, dtypes.

They are tried on the rules beside those of :mod:`press.trials.mutants.operators`.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from press.trials.mutants.mutants import Mutant, Target
from press.trials.mutants.operators import Mutation


@dataclass(frozen=True)
class Rules(Target):
    """A module of rules, with the changes of both authors."""

    def mutants(self) -> list[Mutant]:
        lines = self.source.splitlines()
        more = [
            Mutant(self.name, m.node.lineno, lines[m.node.lineno - 1].strip(), m)
            for m in changes(ast.parse(self.source))
        ]
        return super().mutants() + more


def changes(tree: ast.Module) -> list[Mutation]:
    """Every change of a module's functions, none of them twice.

    >>> for m in changes(ast.parse("def f(g, x, n=2):\\n    return where(x > 0, g * conj(n), 0)")):
    ...     print(f"{m.kind}: {m}")
    threshold: x > 0 → x > 1e-12
    branch: x > 0 → (x > 0) & (x > -50)
    conjugate: conj(n) → n
    option: n → 2
    """
    found: dict[tuple, Mutation] = {}
    for function in tree.body:
        if isinstance(function, ast.FunctionDef):
            for mutation in _of_function(function):
                node = mutation.node
                found.setdefault((node.lineno, node.col_offset, mutation.new), mutation)
    return list(found.values())


def _of_function(function: ast.FunctionDef) -> Iterator[Mutation]:
    defaults = _defaults(function)
    for statement in function.body:
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
            continue  # the derivation
        for node in ast.walk(statement):
            yield from _of_node(node)
            if isinstance(node, ast.Name) and _is_read(node) and node.id in defaults:
                yield Mutation(node, ast.unparse(defaults[node.id]), "option")
        if isinstance(statement, ast.Return) and function.args.args:
            yield from _written(statement, function.args.args[0].arg)


def _is_read(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Load)


def _defaults(function: ast.FunctionDef) -> dict[str, ast.expr]:
    """The options of a function, and what they are unless they are given."""
    args = function.args
    positional = args.args[len(args.args) - len(args.defaults) :]
    pairs = [*zip(positional, args.defaults, strict=True)]
    pairs += [(a, d) for a, d in zip(args.kwonlyargs, args.kw_defaults, strict=True) if d]
    return {a.arg: d for a, d in pairs}


def _of_node(node: ast.AST) -> Iterator[Mutation]:
    match node:
        case ast.Compare(ops=[ast.Gt() | ast.GtE() | ast.Lt() | ast.LtE() | ast.Eq()],
                         comparators=[ast.Constant(value=0)]):  # fmt: skip
            yield from _thresholds(node)
        case ast.Call(func=ast.Name(id="conj"), args=[inner]):
            yield Mutation(node, ast.unparse(inner), "conjugate")
        case ast.Call(func=ast.Attribute(value=inner, attr="conj"), args=[]):
            yield Mutation(node, ast.unparse(inner), "conjugate")
        case ast.Call(func=ast.Attribute(value=inner, attr="exp"), args=[]):
            yield Mutation(node, f"{_held(inner)}.clamp(max=50).exp()", "clamp")
        case ast.Call(func=ast.Attribute(value=inner, attr=name)) if name.startswith("clamp"):
            yield Mutation(node, ast.unparse(inner), "clamp")
        case ast.Call(func=ast.Attribute(attr="where"), args=[condition, one, other]):
            zero = isinstance(other, ast.Constant) and other.value == 0
            if zero:  # a mask that multiplies
                yield Mutation(node, f"({ast.unparse(one)}) * ({ast.unparse(condition)})", "tie")
        case ast.Attribute(value=ast.Name(), attr="dtype"):
            yield Mutation(node, "torch.float64", "dtype")


def _held(node: ast.expr) -> str:
    return f"({ast.unparse(node)})"


def _thresholds(node: ast.Compare) -> Iterator[Mutation]:
    left, op = ast.unparse(node.left), node.ops[0]
    if any(word in left for word in ("sum", "numel", "ndim", "number")):  # whole numbers
        return
    if isinstance(op, ast.Eq):
        yield Mutation(node, f"abs({left}) < 1e-12", "threshold")
        return
    sign = {ast.Gt: ">", ast.GtE: ">=", ast.Lt: "<", ast.LtE: "<="}[type(op)]
    yield Mutation(node, f"{left} {sign} 1e-12", "threshold")
    yield Mutation(node, f"({ast.unparse(node)}) & ({left} > -50)", "branch")


def _written(statement: ast.Return, cotangent: str) -> Iterator[Mutation]:
    """The cotangent, doubled where it lies, before the rule answers."""
    if cotangent == "g" and isinstance(statement.value, ast.Dict):
        text = ast.unparse(statement.value)
        every = "[t.mul_(2) for t in (g if isinstance(g, (tuple, list)) else [g]) if t is not None]"
        doubled = f"({every}, {text})[1]"
        yield Mutation(statement.value, doubled, "written")
