"""A mutant: one place of one source changed.  And what can become of it."""

import ast
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from press.judge.slices import Part

from .operators import Mutation, augmented, dropped, given, mutations


class Outcome(IntEnum):
    """What became of a mutant; the number is the exit status of the child that ran it."""

    SURVIVED = 0
    COMPARISON = 81  # a comparison by hand was the first to fail
    EQUALITY = 82  # a comparison of two tensors was the first to fail
    RAISED = 83  # anything else raised, a plain assert included, before a comparison did
    TIMED_OUT = 84  # it ran longer than the limit
    MOVED = 85  # the other side of the comparison moved with it: not a change by hand

    @property
    def caught(self) -> bool:
        return self not in (Outcome.SURVIVED, Outcome.MOVED)

    @property
    def words(self) -> str:
        return self.name.lower().replace("_", " ")


@dataclass(frozen=True)
class Mutant:
    """One mutation of one source, with the text of the line it is on."""

    script: str
    line: int
    text: str
    mutation: Mutation

    @property
    def kind(self) -> str:
        return self.mutation.kind

    @property
    def change(self) -> str:
        return str(self.mutation)

    def applied(self, source: str) -> str:
        """``source`` with the mutation in place, every other line where it was."""
        node = self.mutation.node
        lines = source.splitlines(keepends=True)
        first, last = lines[node.lineno - 1].encode(), lines[node.end_lineno - 1].encode()
        new = self.mutation.new
        if isinstance(node, ast.expr) and not isinstance(node, ast.Slice):
            new = f"({new})"
        before, after = first[: node.col_offset].decode(), last[node.end_col_offset :].decode()
        padding = "\n" * (node.end_lineno - node.lineno)
        if padding and isinstance(node, ast.stmt):
            after = padding + after.lstrip("\n") if after.strip() else padding + after
        elif padding:
            new = f"{new[:-1]}{padding})" if new.endswith(")") else new
        lines[node.lineno - 1 : node.end_lineno] = [before + new + after]
        return "".join(lines)


@dataclass(frozen=True)
class Target:
    """Anything that can be mutated: a source, and what runs a mutated one and says the outcome.

    ``run`` is called in a child of its own; what it raises counts as ``Outcome.RAISED``.
    ``parts`` are the expressions to change; without, those of every function body in ``source``.
    """

    name: str
    source: str
    run: Callable[[str], Outcome]
    parts: tuple[Part, ...] | None = None

    def mutants(self) -> list[Mutant]:
        parts = self.parts
        if parts is None:
            parts = function_parts(ast.parse(self.source))
        return [mutant for part in parts for mutant in of_part(self.name, self.source, part)]


def of_part(name: str, source: str, part: Part, tree: ast.Module | None = None) -> list[Mutant]:
    """All mutants of one part."""
    loops = counting_names(tree or ast.parse(source))
    assigned = isinstance(part.statement, ast.Assign | ast.AugAssign | ast.Return)
    found = [m for expression in part.expressions for m in mutations(expression, loops, assigned)]
    called = part.statement.value if isinstance(part.statement, ast.Expr) else None
    if isinstance(called, ast.Call) and called in part.expressions:
        found = [m for m in found if m.node is not called or m.kind != "sign"]
        found += given(called)
    if isinstance(part.statement, ast.AugAssign):
        found += augmented(part.statement)
    if part.droppable:
        found.append(dropped(part.statement))
    lines = source.splitlines()
    return [Mutant(name, m.node.lineno, lines[m.node.lineno - 1].strip(), m) for m in found]


def counting_names(tree: ast.AST) -> frozenset[str]:
    """Names that ``range`` or ``enumerate`` counts with."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.For | ast.comprehension) and isinstance(node.iter, ast.Call):
            called = getattr(node.iter.func, "id", "")
            target = node.target
            if called == "enumerate" and isinstance(target, ast.Tuple):
                target = target.elts[0]
            if called in ("range", "enumerate") and isinstance(target, ast.Name):
                found.add(target.id)
    return frozenset(found)


def function_parts(tree: ast.Module) -> tuple[Part, ...]:
    """What the functions of a module assign, return and update, and call for its effect."""
    found = []
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef):
            continue
        for s in _statements(function.body):
            match s:
                case ast.Assign(value=value) | ast.Return(value=value) if value is not None:
                    found.append(Part(s, (value,), False, False))
                case ast.AugAssign(value=value):
                    found.append(Part(s, (value,), True, False))
                case ast.Expr(value=ast.Call() as call):
                    found.append(Part(s, (call,), True, False))
                case ast.If(test=test) | ast.While(test=test):
                    found.append(Part(s, (test,), False, False))
                case ast.For(iter=iterated):
                    found.append(Part(s, (iterated,), False, False))
    return tuple(found)


def _statements(body: list[ast.stmt]) -> list[ast.stmt]:
    found = []
    for s in body:
        if isinstance(s, ast.FunctionDef | ast.ClassDef):
            continue
        found.append(s)
        for name in ("body", "orelse", "finalbody"):
            found += _statements(getattr(s, name, []))
    return found
