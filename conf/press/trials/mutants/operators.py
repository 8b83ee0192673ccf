"""The wrong formulas next to a right one: a mutation changes one place of one expression.

A mutation is text put in place of text, so that a mutant keeps the lines of its source.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

OPERATORS = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult,
    ast.MatMult: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult,
    ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip
COMPARISONS = {
    ast.Lt: (ast.LtE, ast.Gt), ast.LtE: (ast.Lt, ast.GtE), ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.LtE), ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,), ast.In: (ast.NotIn,), ast.NotIn: (ast.In,),
}  # fmt: skip
# Each way round, for functions and for methods of the same name.
SWAPS = [
    ("sin", "cos"), ("sinh", "cosh"), ("tanh", "sigmoid"), ("exp", "expm1"), ("log", "log1p"),
    ("sqrt", "square"), ("sum", "mean"), ("max", "min"), ("amax", "amin"), ("argmax", "argmin"),
    ("cumsum", "cumprod"), ("zeros", "ones"), ("zeros_like", "ones_like"), ("tril", "triu"),
    ("softmax", "log_softmax"), ("add", "sub"), ("mul", "div"), ("add_", "sub_"),
    ("mul_", "div_"), ("floor", "ceil"), ("new_zeros", "new_ones"), ("logical_and", "logical_or"),
    ("maximum", "minimum"), ("erf", "erfc"),
]  # fmt: skip
FUNCTIONS = {a: b for pair in SWAPS for a, b in (pair, pair[::-1])} | {
    "rsqrt": "sqrt", "reciprocal": "neg", "prod": "sum", "tan": "tanh", "atan": "tanh",
    "relu": "abs", "logsumexp": "sum", "std": "var", "var": "std", "norm": "sum", "cosine": "sin",
}  # fmt: skip
# Calls that give back something of the same shape: without them, the formula lacks a step.
DROPPABLE = {
    "flip", "roll", "tril", "triu", "neg", "abs", "sign", "square", "sqrt", "reciprocal",
    "conj", "cumsum", "exp", "log", "sin", "cos", "tanh", "sigmoid", "relu", "softmax",
    "reversed", "fliplr", "flipud", "clamp", "log_softmax", "rsqrt",
}  # fmt: skip
TRANSPOSES = {"t", "transpose", "permute", "swapaxes", "swapdims", "movedim", "adjoint"}
TRANSPOSED = {"T", "mT", "H", "mH"}
# Position of the dimension among a method's arguments; a function of torch has one more before.
DIMENSIONS = {
    "sum": 0, "mean": 0, "prod": 0, "max": 0, "min": 0, "amax": 0, "amin": 0, "argmax": 0,
    "argmin": 0, "cumsum": 0, "cumprod": 0, "softmax": 0, "log_softmax": 0, "logsumexp": 0,
    "unsqueeze": 0, "squeeze": 0, "flip": 0, "roll": 1, "std": 0, "var": 0, "norm": 1,
    "stack": 0, "cat": 0, "concat": 0, "gather": 0, "scatter_add": 0, "scatter_add_": 0,
    "index_add": 0, "index_add_": 0, "index_select": 0, "select": 0, "narrow": 0, "unbind": 0,
    "any": 0, "all": 0, "repeat_interleave": 1, "split": 1, "chunk": 1, "diff": 1,
}  # fmt: skip
REDUCTIONS = {"sum", "mean", "prod", "amax", "amin", "std", "var", "logsumexp", "any", "all"}
# Functions whose first two arguments cannot change places.
ORDERED = {"matmul", "outer", "mm", "bmm", "mv", "solve", "sub", "div", "pow", "atan2", "kron",
           "chain_matmul", "cross", "ger", "true_divide", "tensordot", "dot_general"}  # fmt: skip
# Values that are no numbers: a sign in front of them would only raise.
NOT_NUMBERS = {
    "zeros", "zeros_like", "new_zeros", "empty", "empty_like", "len", "range", "zip", "enumerate",
    "dict", "list", "tuple", "set", "str", "sorted", "reversed", "iter", "next", "items", "keys",
    "values", "split", "unbind", "chunk", "topk", "fromkeys", "format", "join", "open",
    "getattr", "isinstance", "map", "filter", "slice", "append", "extend", "update",
    "setdefault", "pop", "partial", "Generator", "manual_seed", "frozenset", "qr", "svd",
    "eigh", "eig", "slogdet", "tolist", "backward", "detach", "clone", "item", "double",
    "float", "requires_grad_", "numpy", "contiguous", "defaultdict", "bool", "vjp", "jvp",
    "grad", "nonzero", "size", "any", "all", "is_leaf", "is_floating_point", "is_complex", "isinf",
}  # fmt: skip


@dataclass(frozen=True)
class Mutation:
    """One changed place: what stands there, what is put in its place, and of what kind it is."""

    node: ast.AST
    new: str
    kind: str

    @property
    def old(self) -> str:
        return ast.unparse(self.node)

    def __str__(self) -> str:
        return f"{self.old} → {self.new}"


def mutations(
    expression: ast.expr, loop_names: frozenset[str] = frozenset(), assigned: bool = False
) -> list[Mutation]:
    """Every mutation of ``expression``, in the order of the source, none of them twice.

    ``loop_names`` are names that count: where one is an index, its neighbour is a mutation.
    With ``assigned`` the expression is what a name will stand for, and a bare name in it may lack
    its sign.

    >>> for m in mutations(ast.parse("2 * x.T", mode="eval").body):
    ...     print(f"{m.kind}: {m}")
    sign: 2 * x.T → -(2 * x.T)
    operator: 2 * x.T → 2 / x.T
    factor: 2 * x.T → 2
    factor: 2 * x.T → x.T
    constant: 2 → 3
    transpose: x.T → x
    """
    found = [*_signs(expression, assigned), *_walk(expression, loop_names)]
    unique = {}
    for m in found:
        place = (m.node.lineno, m.node.col_offset, m.node.end_lineno, m.node.end_col_offset, m.new)
        if m.new != m.old:
            unique.setdefault(place, m)
    return sorted(unique.values(), key=lambda m: (m.node.lineno, m.node.col_offset))


def dropped(statement: ast.stmt) -> Mutation:
    """The mutation that leaves a whole statement out: an update in place that was forgotten."""
    return Mutation(statement, "pass", "term")


def given(call: ast.Call) -> Iterator[Mutation]:
    """A minus before what a call is given that stands alone: its own value nobody reads."""
    for argument in call.args:
        yield from _signs(argument, assigned=True)


def augmented(statement: ast.AugAssign) -> Iterator[Mutation]:
    """Another operator in ``x += y``."""
    other = OPERATORS.get(type(statement.op))
    if other:
        new = ast.AugAssign(statement.target, other(), statement.value)
        yield Mutation(statement, ast.unparse(new), "operator")


def _signs(value: ast.expr, assigned: bool) -> Iterator[Mutation]:
    """A minus before each number that ``value`` computes, inside tuples and mappings too."""
    match value:
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            for part in parts:
                yield from _signs(part, assigned)
        case ast.Dict(values=parts):
            for part in parts:
                yield from _signs(part, assigned)
        case ast.ListComp(elt=part) | ast.GeneratorExp(elt=part) | ast.DictComp(value=part):
            yield from _signs(part, assigned)
        case ast.Lambda(body=part):
            yield from _signs(part, assigned)
        case ast.IfExp(body=one, orelse=other):
            yield from _signs(one, assigned)
            yield from _signs(other, assigned)
        case ast.Name() | ast.Subscript() | ast.Attribute() if assigned:
            yield _negated(value)
        case ast.BinOp() if not _textual(value):
            yield _negated(value)
        case ast.Call() if _called(value) not in NOT_NUMBERS and _is_tensor_call(value):
            yield _negated(value)


def _negated(value: ast.expr) -> Mutation:
    return Mutation(value, ast.unparse(ast.UnaryOp(ast.USub(), value)), "sign")


def _textual(value: ast.expr) -> bool:
    """Whether text or lists are put together here rather than numbers."""
    return any(
        isinstance(part, ast.JoinedStr | ast.List | ast.ListComp)
        or (isinstance(part, ast.Constant) and isinstance(part.value, str))
        for part in (value.left, value.right)
    )


def _is_tensor_call(call: ast.Call) -> bool:
    """A method, or a function of a module; a function of the script may return anything."""
    return isinstance(call.func, ast.Attribute)


def _called(call: ast.Call) -> str:
    return getattr(call.func, "attr", None) or getattr(call.func, "id", "")


def _walk(node: ast.AST, loop_names: frozenset[str]) -> Iterator[Mutation]:
    """Mutations of ``node`` and of all it is made of; formatted text is left alone."""
    if isinstance(node, ast.JoinedStr):
        return
    handled: list[ast.AST] = []  # parts that the rule of this node has already seen to
    match node:
        case ast.BinOp():
            yield from _binary(node)
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=number)):
            handled = [node.operand]
            yield Mutation(node, repr(number), "sign")
            yield from _constant(node, -number)
        case ast.UnaryOp(op=ast.USub() | ast.Not() | ast.Invert()):
            yield Mutation(node, ast.unparse(node.operand), "sign")
        case ast.Constant():
            yield from _constant(node, node.value)
        case ast.Compare(ops=[op], left=left, comparators=right):
            for other in COMPARISONS.get(type(op), ()):
                yield _new(node, ast.Compare(left, [other()], right), "comparison")
        case ast.BoolOp(op=op, values=values):
            other = ast.Or() if isinstance(op, ast.And) else ast.And()
            yield _new(node, ast.BoolOp(other, values), "comparison")
        case ast.IfExp(test=test, body=one, orelse=other):
            yield _new(node, ast.IfExp(test, other, one), "comparison")
        case ast.Attribute(value=value, attr=name) if name in TRANSPOSED:
            yield _new(node, value, "transpose")
        case ast.Attribute(value=ast.Name(), attr=name) if name in FUNCTIONS:
            yield _new(node, ast.Attribute(node.value, FUNCTIONS[name]), "function")
        case ast.Subscript(slice=index):
            handled = [index]
            yield from _index(index, loop_names)
        case ast.Call():
            dimension = _dimension(node)
            handled = [node.func] if dimension is None else [node.func, dimension]
            yield from _call(node, dimension)
            if isinstance(node.func, ast.Attribute):
                yield from _walk(node.func.value, loop_names)
            if _called(node) == "range":
                yield from _range(node)
    for child in ast.iter_child_nodes(node):
        if not any(child is part for part in handled) and not isinstance(child, ast.keyword):
            yield from _walk(child, loop_names)
        elif (
            isinstance(child, ast.keyword) and child.value not in handled and child.arg != "strict"
        ):
            # Whether lengths have to agree changes no result.
            yield from _walk(child.value, loop_names)


def _new(node: ast.AST, new: ast.AST, kind: str) -> Mutation:
    return Mutation(node, ast.unparse(new), kind)


def _binary(node: ast.BinOp) -> Iterator[Mutation]:
    left, op, right = node.left, node.op, node.right
    if _textual(node):
        return
    if type(op) in OPERATORS:
        yield _new(node, ast.BinOp(left, OPERATORS[type(op)](), right), "operator")
    if isinstance(op, ast.Sub | ast.Div | ast.MatMult | ast.Pow):
        yield _new(node, ast.BinOp(right, op, left), "swapped")
    match op:
        case ast.Add():
            yield _new(node, left, "term")
            yield _new(node, right, "term")
        case ast.Sub():
            yield _new(node, left, "term")
            yield _new(node, ast.UnaryOp(ast.USub(), right), "term")
        case ast.Mult() | ast.Div():
            yield _new(node, left, "factor")
            if isinstance(op, ast.Mult):
                yield _new(node, right, "factor")
        case ast.Pow():
            yield _new(node, left, "factor")
        case ast.MatMult():
            yield _new(node, left, "factor")
            yield _new(node, right, "factor")


def _constant(node: ast.AST, value: object) -> Iterator[Mutation]:
    """A number next to the one that stands there; True for False."""
    if isinstance(value, bool):
        yield Mutation(node, repr(not value), "constant")
    elif isinstance(value, int):
        yield Mutation(node, repr(value + 1), "constant")
    elif isinstance(value, float):
        yield Mutation(node, repr(value * 1.5 if value else 1.0), "constant")


def _index(index: ast.expr, loop_names: frozenset[str]) -> Iterator[Mutation]:
    match index:
        case ast.Tuple(elts=parts):
            for part in parts:
                yield from _index(part, loop_names)
        case ast.Slice(lower=lower, upper=upper, step=step):
            for name in ("lower", "upper"):
                bound = getattr(index, name)
                if _integer(bound) is not None:
                    parts = {"lower": lower, "upper": upper, "step": step}
                    parts[name] = ast.Constant(_integer(bound) + (1 if name == "lower" else -1))
                    yield _new(index, ast.Slice(**parts), "index")
                elif bound is not None:
                    yield from _index(bound, loop_names)
            if step is not None:
                yield _new(index, ast.Slice(lower, upper), "index")
        case ast.Name(id=name) if name in loop_names:
            yield Mutation(index, f"{name} - 1", "index")
        case ast.BinOp(left=ast.Name(), op=ast.Add() | ast.Sub(), right=ast.Constant()):
            yield _new(index, index.left, "index")
        case _ if _integer(index) is not None:
            number = _integer(index)
            yield Mutation(index, repr(number - 1 if number > 0 else number + 1), "index")
        case ast.Constant() | ast.Name():
            return
        case _:
            yield from _walk(index, loop_names)


def _integer(node: ast.AST | None) -> int | None:
    """The integer that is written there, with its sign, or None."""
    match node:
        case ast.Constant(value=bool()):
            return None
        case ast.Constant(value=int(number)):
            return number
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int(number))):
            return -number
    return None


def _dimension(call: ast.Call) -> ast.expr | None:
    """The argument that says along which dimension, where it is a number or numbers."""
    name = _called(call)
    for keyword in call.keywords:
        if keyword.arg in ("dim", "axis", "dims"):
            return keyword.value
    if name not in DIMENSIONS or not isinstance(call.func, ast.Attribute):
        return None
    position = DIMENSIONS[name] + _is_module(call.func.value)
    if position >= len(call.args):
        return None
    argument = call.args[position]
    numbers = argument.elts if isinstance(argument, ast.Tuple | ast.List) else [argument]
    return argument if all(_integer(n) is not None for n in numbers) else None


def _is_module(node: ast.expr) -> bool:
    """Whether a function is called rather than a method: ``torch.sum``, ``np.sum``, ``F.relu``."""
    root = node
    while isinstance(root, ast.Attribute):
        root = root.value
    return isinstance(root, ast.Name) and root.id in ("torch", "np", "numpy", "F", "nn", "math")


def _call(call: ast.Call, dimension: ast.expr | None) -> Iterator[Mutation]:
    name, method = _called(call), isinstance(call.func, ast.Attribute)
    module = method and _is_module(call.func.value)
    inner = (call.args[0] if call.args else None) if module or not method else call.func.value
    if dimension is not None:
        yield from _other_dimension(call, dimension, name)
    if inner is not None and name in TRANSPOSES:
        yield _new(call, inner, "transpose")
    if inner is not None and name in DROPPABLE:
        yield _new(call, inner, "function")
    if name in FUNCTIONS and (method or name in ("max", "min")):
        other = FUNCTIONS[name]
        func = ast.Attribute(call.func.value, other) if method else ast.Name(other)
        yield _new(call, ast.Call(func, call.args, call.keywords), "function")
    yield from _swapped(call, name, module, method)


def _other_dimension(call: ast.Call, dimension: ast.expr, name: str) -> Iterator[Mutation]:
    number = _integer(dimension)
    if number is not None:
        other = number - 1 if number > 0 else number + 1
        if number == -1:
            other = -2
        yield Mutation(dimension, repr(other), "dimension")
    elif isinstance(dimension, ast.Tuple) and len(dimension.elts) > 1:
        yield _new(dimension, ast.Tuple(dimension.elts[1:], ast.Load()), "dimension")
    if name in REDUCTIONS:
        arguments = [a for a in call.args if a is not dimension]
        keywords = [k for k in call.keywords if k.value is not dimension and k.arg != "keepdim"]
        yield _new(call, ast.Call(call.func, arguments, keywords), "dimension")


def _swapped(call: ast.Call, name: str, module: bool, method: bool) -> Iterator[Mutation]:
    """Arguments that have changed places."""
    args = call.args
    if name == "where" and module and len(args) == 3:
        yield _new(call, ast.Call(call.func, [args[0], args[2], args[1]], []), "swapped")
    elif name in ORDERED and module and len(args) >= 2:
        new = ast.Call(call.func, [args[1], args[0], *args[2:]], call.keywords)
        yield _new(call, new, "swapped")
    elif name in ORDERED and method and not module and args:
        func = ast.Attribute(args[0], call.func.attr)
        new = ast.Call(func, [call.func.value, *args[1:]], call.keywords)
        yield _new(call, new, "swapped")


def _range(call: ast.Call) -> Iterator[Mutation]:
    """One step fewer, where the number of steps is not a literal."""
    stop = call.args[1] if len(call.args) > 1 else call.args[0]
    if _integer(stop) is None:
        yield Mutation(stop, ast.unparse(ast.BinOp(stop, ast.Sub(), ast.Constant(1))), "index")
