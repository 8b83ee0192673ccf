"""Which expressions compute the hand-derived side of a comparison: a backward slice of a script.

From the first mapping of each comparison the flow of data is followed back, through assignments,
loops, updates in place and the functions of the script that are called.  Names are resolved to the
assignments that reach them, so a name used again in a later cell is not confused with itself.
"""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

# Calls that stand alone as a statement and change none of their arguments.
PURE = {
    "print", "assert_close", "show", "savefig", "manual_seed", "set_default_dtype", "seed",
    "filterwarnings", "simplefilter", "collect", "set_printoptions", "requires_grad_",
    "retain_grad", "register_hook",
}  # fmt: skip
# Attributes that come into being by a backward pass.
STORED = {"grad"}
PASSES = {"backward"}
SHOWN_ONLY = {"__repr__", "__str__", "__format__"}


@dataclass(eq=False)
class Unit:
    """A statement, or the part of one that assigns one name; what it needs and what is in it."""

    node: ast.stmt
    expressions: tuple[ast.expr, ...] = ()
    needs: set["Unit"] = field(default_factory=set)
    droppable: bool = False  # an update in place, which can be forgotten

    @property
    def line(self) -> int:
        return self.node.lineno


@dataclass(eq=False)
class Function(Unit):
    """A function or class of the script: what it gives back, reads from outside, and changes."""

    parameters: list[str] = field(default_factory=list)
    arguments: dict[str, Unit] = field(default_factory=dict)  # one a parameter: all call sites
    free: set[str] = field(default_factory=set)
    changes: set[str] = field(default_factory=set)  # parameters and outer names
    outside: set[Unit] = field(default_factory=set)  # what free names held where it was called


class Argument(Unit):
    """What a parameter stands for: the arguments of all calls together."""


@dataclass
class Criterion:
    """One comparison: its statement, its two sides, and what each needs."""

    call: ast.Call
    statement: ast.stmt
    hand: set[Unit]
    autograd: set[Unit]
    function: Function | None


@dataclass(frozen=True)
class Part:
    """An expression, or a whole statement, that the hand-derived side is made of."""

    statement: ast.stmt
    expressions: tuple[ast.expr, ...]
    droppable: bool
    shared: bool  # by data flow it feeds autograd's side as well


def hand_side(tree: ast.Module, lines: Iterable[int] | None = None) -> list[Part]:
    """The parts of a script that compute the first mapping of its comparisons, as they stand.

    ``lines`` are those of the calls of ``assert_close`` that were given two mappings, as a run
    shows; without, the calls whose first argument is written as one.
    """
    flow = Flow()
    flow.module(tree)
    chosen = [c for c in flow.criteria if _chosen(c.call, lines)]
    hand, autograd = set(), set()
    for criterion in chosen:
        hand |= _closure(criterion.hand, criterion.function)
        autograd |= _closure(criterion.autograd, criterion.function)
    parts = []
    for unit in hand:
        if unit not in autograd:
            if unit.expressions or unit.droppable:
                parts.append(Part(unit.node, unit.expressions, unit.droppable, False))
            continue
        # One of several values that stand side by side may be by hand, and the others not.
        parts += [Part(unit.node, (e,), False, True) for e in _elements(unit.expressions)]
        if unit.droppable:
            parts.append(Part(unit.node, (), True, True))
    parts += [Part(c.statement, (c.call.args[0],), False, False) for c in chosen]
    return sorted(parts, key=_position)


def _elements(expressions: Iterable[ast.expr]) -> Iterator[ast.expr]:
    for expression in expressions:
        match expression:
            case ast.Tuple(elts=values) | ast.List(elts=values) | ast.Dict(values=values):
                yield from _elements(values)
            case _:
                yield expression


def _chosen(call: ast.Call, lines: Iterable[int] | None) -> bool:
    if len(call.args) < 2:
        return False
    if lines is not None:
        return call.lineno in set(lines)
    return isinstance(call.args[0], ast.Dict | ast.DictComp)


def _position(part: Part) -> tuple:
    first = part.expressions[0] if part.expressions else part.statement
    return part.statement.lineno, first.lineno, first.col_offset


def _closure(units: set[Unit], inside: Function | None) -> set[Unit]:
    """All that ``units`` need.  For a comparison inside a function, its callers' arguments too."""
    pending = list(units)
    if inside is not None:
        pending += inside.outside
    found = set()
    while pending:
        unit = pending.pop()
        if unit in found:
            continue
        found.add(unit)
        # A call reads its arguments where it stands; only from inside they come from anywhere.
        if inside is not None or not isinstance(unit, Argument):
            pending += unit.needs
    return found


def names(node: ast.AST, bound: frozenset[str] = frozenset()) -> Iterator[str]:
    """Names that ``node`` reads, those it binds itself left out."""
    match node:
        case ast.Name(id=name):
            if name not in bound:
                yield name
        case ast.Lambda(args=args, body=body):
            for default in (*args.defaults, *args.kw_defaults):
                if default is not None:
                    yield from names(default, bound)
            yield from names(body, bound | set(_arguments(args)))
        case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
            for generator in node.generators:
                yield from names(generator.iter, bound)
                bound |= {n.id for n in ast.walk(generator.target) if isinstance(n, ast.Name)}
                for test in generator.ifs:
                    yield from names(test, bound)
            parts = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
            for part in parts:
                yield from names(part, bound)
        case _:
            for child in ast.iter_child_nodes(node):
                yield from names(child, bound)


def _arguments(args: ast.arguments) -> list[str]:
    found = [*args.posonlyargs, *args.args, *args.kwonlyargs]
    return [a.arg for a in (*found, args.vararg, args.kwarg) if a is not None]


def root(node: ast.AST) -> str | None:
    """The name that ``a.b[c].d`` begins with."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Starred | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else None


GRADIENTS = "(stored gradients)"  # stands for all .grad; no name of Python looks like it


class Flow:
    """Walk a script in order, knowing of each name which assignments reach the place."""

    def __init__(self) -> None:
        self.units: dict[object, Unit] = {}
        self.env: dict[str, frozenset[Unit]] = {}
        self.alias: dict[str, set[str]] = {}
        self.control: tuple[Unit, ...] = ()
        self.criteria: list[Criterion] = []
        self.function: Function | None = None

    def module(self, tree: ast.Module) -> None:
        self.block(tree.body)

    def block(self, statements: list[ast.stmt]) -> None:
        for statement in statements:
            self.statement(statement)

    def unit(self, node: ast.stmt, *expressions: ast.expr | None, key: object = None) -> Unit:
        """The unit of ``node``, one for both visits of a loop's body."""
        made = self.units.get(key or node)
        if made is None:
            kept = tuple(e for e in expressions if e is not None)
            made = self.units[key or node] = Unit(node, kept)
        made.needs.update(self.control)
        for expression in expressions:
            if expression is not None:
                made.needs |= self.read(expression, made)
        return made

    def read(self, expression: ast.AST, reader: Unit) -> set[Unit]:
        """What reaches the names of ``expression``; calls may change what they are given."""
        needed: set[Unit] = set()
        pending, seen = list(names(expression)), set()
        while pending:
            name = pending.pop()
            if name in seen:
                continue
            seen.add(name)
            if self.function is not None and name not in self.env:
                self.function.free.add(name)
            for unit in self.env.get(name, ()):
                needed.add(unit)
                if isinstance(unit, Function):
                    pending += unit.free
        for node in ast.walk(expression):
            if isinstance(node, ast.Attribute) and node.attr in STORED:
                needed |= self.env.get(GRADIENTS, frozenset())
            elif isinstance(node, ast.Call):
                self.call(node, reader)
        return needed

    def call(self, call: ast.Call, reader: Unit) -> None:
        """A function of the script learns its arguments; what a call changes is changed here."""
        called = getattr(call.func, "attr", None) or getattr(call.func, "id", "")
        if called == "assert_close" and len(call.args) >= 2:
            sides = [self.read_side(side, reader) for side in call.args[:2]]
            known = any(c.call is call for c in self.criteria)
            if not known:
                self.criteria.append(Criterion(call, reader.node, *sides, self.function))
            else:
                at = next(c for c in self.criteria if c.call is call)
                at.hand |= sides[0]
                at.autograd |= sides[1]
        if called in PASSES:
            self.change(GRADIENTS, reader)
        if isinstance(call.func, ast.Attribute) and called.endswith("_") and called[0] != "_":
            self.change(root(call.func.value), reader)
        for function in self.env.get(getattr(call.func, "id", ""), ()):
            if isinstance(function, Function):
                self.enter(function, call, reader)

    def read_side(self, side: ast.expr, reader: Unit) -> set[Unit]:
        return self.read(side, reader) | set(self.control)

    def enter(self, function: Function, call: ast.Call, reader: Unit) -> None:
        given = dict(zip(function.parameters, call.args, strict=False))
        given |= {k.arg: k.value for k in call.keywords if k.arg}
        for name, argument in given.items():
            if name in function.arguments:
                needed = {u for n in names(argument) for u in self.env.get(n, ())}
                if any(
                    isinstance(n, ast.Attribute) and n.attr in STORED for n in ast.walk(argument)
                ):
                    needed |= self.env.get(GRADIENTS, frozenset())
                written = self.units.setdefault((call, name), Unit(reader.node, (argument,)))
                written.needs |= needed | set(self.control)
                function.arguments[name].needs.add(written)
            if name in function.changes:
                self.change(root(argument), reader)
        for name in function.free:
            function.outside |= self.env.get(name, frozenset())
            if name in function.changes:
                self.change(name, reader)

    def change(self, name: str | None, unit: Unit) -> None:
        """``unit`` updates what ``name`` stands for, and its other names."""
        if name is None:
            return
        if self.function is not None and (name in self.function.parameters or name not in self.env):
            self.function.changes.add(name)
            if name not in self.env:
                self.function.free.add(name)
            self.function.needs.add(unit)
        for one in (name, *self.alias.get(name, ())):
            self.env[one] = self.env.get(one, frozenset()) | {unit}

    def bind(self, target: ast.expr, unit: Unit, value: ast.expr | None = None) -> None:
        match target:
            case ast.Name(id=name):
                self.env[name] = frozenset({unit})
                source = {root(value)} - {None, name} if _aliasing(value) else set()
                self.alias[name] = set(source)
                for other in source:
                    self.alias[name] |= self.alias.get(other, set()) - {name}
                    self.alias.setdefault(other, set()).add(name)
            case ast.Tuple(elts=parts) | ast.List(elts=parts):
                for part in parts:
                    self.bind(part, unit, value)
            case ast.Starred(value=inner):
                self.bind(inner, unit, value)
            case ast.Attribute(attr=name) if name in STORED:
                self.change(GRADIENTS, unit)
            case ast.Attribute() | ast.Subscript():
                unit.needs |= self.read(target, unit)
                self.change(root(target), unit)

    def statement(self, s: ast.stmt) -> None:
        match s:
            case ast.FunctionDef() | ast.ClassDef():
                self.define(s)
            case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)) if len(
                targets
            ) == len(values) and not any(isinstance(t, ast.Starred) for t in (*targets, *values)):
                made = [self.unit(s, v, key=(s, i)) for i, v in enumerate(values)]
                for target, unit, value in zip(targets, made, values, strict=True):
                    self.bind(target, unit, value)
            case ast.Assign(targets=targets, value=value):
                indices = [t.slice for t in targets if isinstance(t, ast.Subscript)]
                unit = self.unit(s, value, *indices)
                unit.droppable |= any(isinstance(t, ast.Subscript) for t in targets)
                for target in targets:
                    self.bind(target, unit, value)
            case ast.AnnAssign(target=target, value=value) if value is not None:
                self.bind(target, self.unit(s, value), value)
            case ast.AugAssign(target=target, value=value):
                index = target.slice if isinstance(target, ast.Subscript) else None
                unit = self.unit(s, value, index)
                unit.droppable = True
                unit.needs |= self.read(target, unit)
                self.change(root(target), unit)
            case ast.Expr(value=value):
                self.expression(s, value)
            case ast.Return(value=value) if value is not None:
                unit = self.unit(s, value)
                if self.function is not None:
                    self.function.needs.add(unit)
            case ast.If(test=test) | ast.While(test=test):
                self.branching(s, self.unit(s, test))
            case ast.For(target=target, iter=iterated):
                unit = self.unit(s, iterated)
                self.bind(target, unit, iterated)
                self.branching(s, unit)
            case ast.With(items=items, body=body):
                for number, item in enumerate(items):
                    unit = self.unit(s, item.context_expr, key=(s, number))
                    unit.expressions = ()  # a context is not part of a formula
                    if item.optional_vars is not None:
                        self.bind(item.optional_vars, unit)
                self.block(body)
            case ast.Try():
                self.block(s.body)
                before = dict(self.env)
                for handler in s.handlers:
                    self.block(handler.body)
                self.merge(before)
                self.block(s.orelse)
                self.block(s.finalbody)
            case ast.Assert(test=test):
                self.unit(s, test)
            case ast.Raise(exc=raised) if raised is not None:
                self.unit(s, raised)
            case ast.Delete(targets=targets):
                for target in targets:
                    if isinstance(target, ast.Name):
                        self.env.pop(target.id, None)

    def expression(self, s: ast.Expr, value: ast.expr) -> None:
        unit = self.unit(s, value)
        if isinstance(value, ast.Yield | ast.YieldFrom) and self.function is not None:
            self.function.needs.add(unit)
        if not isinstance(value, ast.Call):
            return
        called = getattr(value.func, "attr", None) or getattr(value.func, "id", "")
        if called in PURE or called in PASSES:
            return
        if isinstance(value.func, ast.Attribute):
            unit.droppable = True
            self.change(root(value.func.value), unit)
        for keyword in value.keywords:
            if keyword.arg == "out":
                unit.droppable = True
                self.change(root(keyword.value), unit)

    def branching(self, s: ast.If | ast.While | ast.For, header: Unit) -> None:
        """Both ways through a branch; the body of a loop twice, so that it can feed itself."""
        outer = self.control
        self.control = (*outer, header)
        loop = not isinstance(s, ast.If)
        for _ in range(2 if loop else 1):
            before = dict(self.env)
            if isinstance(s, ast.While):
                self.unit(s, s.test)  # what the body changed decides whether it runs again
            self.block(s.body)
            after = self.env
            self.env = dict(before)
            if not loop:
                self.block(s.orelse)
            self.merge(after)
        if loop:
            self.block(s.orelse)
        self.control = outer

    def merge(self, other: dict[str, frozenset[Unit]]) -> None:
        for name, units in other.items():
            self.env[name] = self.env.get(name, frozenset()) | units

    def define(self, s: ast.FunctionDef | ast.ClassDef) -> None:
        """A function is one unit that needs what it returns; what it reads comes from callers."""
        made = self.units.get(s)
        if made is None:
            made = self.units[s] = Function(s)
        outer = self.env, self.control, self.function, self.alias
        self.env, self.control, self.function, self.alias = {}, (), made, {}
        if isinstance(s, ast.FunctionDef):
            made.parameters = _arguments(s.args)
            for name in made.parameters:
                argument = made.arguments.setdefault(name, Argument(s))
                self.env[name] = frozenset({argument})
            self.block(s.body)
        else:
            self.class_body(s, made)
        inner = made.free
        self.env, self.control, self.function, self.alias = outer
        for base in (*getattr(s, "bases", ()), *s.decorator_list):
            made.needs |= self.read(base, made)
        if self.function is not None:
            self.function.free |= {name for name in inner if name not in self.env}
        self.env[s.name] = frozenset({made})

    def class_body(self, s: ast.ClassDef, made: Function) -> None:
        for member in s.body:
            if isinstance(member, ast.FunctionDef) and member.name in SHOWN_ONLY:
                continue
            if isinstance(member, ast.FunctionDef):
                self.define(member)
                method = self.units[member]
                made.needs.add(method)
                made.free |= method.free
            else:
                self.statement(member)
                if member in self.units:
                    made.needs.add(self.units[member])
        made.free -= {s.name}


def _aliasing(value: ast.expr | None) -> bool:
    """Whether a value may be another name for what exists: a name, a part, an element, a view."""
    match value:
        case ast.Name() | ast.Attribute() | ast.Subscript():
            return True
        case ast.Call(func=ast.Attribute(attr=name)):
            return name in {"items", "values", "view", "detach", "reshape", "diagonal", "unbind"}
    return False
