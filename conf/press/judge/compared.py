"""What a comparison has to be, beside passing: made at all, of all elements, on telling data."""

import ast
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from press.judge import slices
from press.judge import source as sources
from press.observed.comparison import BY_HAND, Comparison

Finding = tuple[int | None, str, str]

# How many comparisons each script made when somebody last said so: `press.judge.counts --write`.
COUNTS = Path(__file__).with_name("counts.json")
# A tolerance is at most so many times the error that is found; else it allows what nobody needs.
MOST_ROOM = 1000
# A formula is off by rounding, some 1e-15 of the largest value; a difference quotient is not.
PRECISE = 1e-12
EQUAL_SIZES = re.compile(r"# equal sizes: \S")
SYMMETRIC = re.compile(r"# symmetric: \S")
TOLERANCE = re.compile(r"# tolerance:\s*(?P<reason>\S.*)")
NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?:e[-+]?\d+)?", re.IGNORECASE)
CONJUGATES = {"conj", "mH", "H", "adjoint", "conj_physical"}


def unrun(text: str, compared: Sequence[Comparison]) -> Iterator[Finding]:
    """Comparisons that are written in a script and compared nothing while it ran."""
    made = {c.line for c in compared}
    for line, name in sources.call_sites(text).items():
        if line not in made:
            yield (
                line,
                "unrun",
                f"{name} did not run here, or had nothing to compare; a comparison that is written "
                "is made, on something",
            )
    yield from sources.uncompared(text)


def fewer(script: str, compared: Sequence[Comparison]) -> Iterator[Finding]:
    """Fewer comparisons than were once made: somebody has to say that this is meant."""
    kept = counts().get(script)
    if kept is not None and len(compared) < kept:
        yield (
            None,
            "count",
            f"made {len(compared)} comparisons, and {kept} when they were last counted; put back "
            f"what is gone, or say that it is meant: python -m press.judge.counts --write {script}",
        )


def counts() -> Mapping[str, int]:
    """The kept number of comparisons of each script, by its path below the root."""
    try:
        return json.loads(COUNTS.read_text("utf-8"))
    except FileNotFoundError:
        return {}


def by_own_size(compared: Sequence[Comparison]) -> Iterator[Finding]:
    """Elements beside a large one are held to their own size, and all to the precision there is."""
    for c in compared:
        if c.kind != BY_HAND or not c.passed or not c.default_tolerance or c.has_nan:
            continue
        if c.own_scale > 1:
            yield (
                c.line,
                "diverges",
                f'gradient "{c.name}", by hand against autograd, has elements that differ by more '
                f"than their own size allows, {c.own_scale:.3g} times as much; a larger one beside "
                "them hides it",
            )
        elif c.exact_dtype and c.to_largest > PRECISE:
            yield (
                c.line,
                "tolerance",
                f'gradient "{c.name}", by hand against autograd, is off by {c.to_largest:.2g} of '
                f"its largest value, and rounding leaves less than {PRECISE:g}; a difference "
                'quotient is no derivation; say why with "# tolerance: <size and reason>"',
            )


def tolerances(compared: Sequence[Comparison], lines: Sequence[str]) -> Iterator[Finding]:
    """A reason for a tolerance names a size; it is that of the error, and the tolerance needed."""
    for c in compared:
        here = (TOLERANCE.search(line) for line in lines[c.line - 1 : c.end_line])
        reason = next((found["reason"] for found in here if found), None)
        if c.default_tolerance or reason is None or c.max_abs is None or not c.passed:
            continue
        named = NUMBER.search(reason)
        if named is None:
            yield c.line, "tolerance", f'"{reason}" names no size; say how large the error may be'
            continue
        size, found = float(named.group()), (c.max_abs, c.max_rel or 0.0)
        if size < min(found):
            yield (
                c.line,
                "tolerance",
                f"the reason names {size:g}, and the error is {c.max_abs:.2g}, "
                f"{c.max_rel:.2g} relative",
            )
        spare = [limit / error for limit, error in zip((c.atol, c.rtol), found, strict=True) if
                 limit and error]  # fmt: skip
        if not spare or min(spare) > MOST_ROOM:
            yield (
                c.line,
                "tolerance",
                f"allowed are {c.atol:g} and {c.rtol:g} of the size, and the error is "
                f"{c.max_abs:.2g}; a tolerance is at most {MOST_ROOM} times what it is for",
            )


def hidden_by_data(
    text: str, compared: Sequence[Comparison], symmetric: Mapping[str, int]
) -> Iterator[Finding]:
    """Sizes and values that would let a transpose or a conjugate go missing."""
    if _multiplies(text) and not EQUAL_SIZES.search(text):
        square = {c.line: c for c in compared if c.kind == BY_HAND and c.is_square}
        for line, c in square.items():
            yield (
                line,
                "data",
                f'gradient "{c.name}" has the shape {c.shapes[1]}, and a transpose may be missing '
                'unseen; let sizes differ, or say why not with "# equal sizes: <reason>"',
            )
    if _multiplies(text) and not SYMMETRIC.search(text):
        for name, line in symmetric.items():
            yield (
                line,
                "data",
                f"{name} equals its transpose, which may be missing unseen; take another, or say "
                'why not with "# symmetric: <reason>"',
            )
    conjugates = _conjugates(text, {c.line for c in compared if c.kind == BY_HAND})
    complex_ = any("complex" in dtype for c in compared for dtype in c.dtypes)
    if conjugates and not complex_:
        yield (
            conjugates,
            "data",
            "a conjugate is taken, and everything that is compared is real: compare complex data",
        )


def _conjugates(text: str, by_hand: set[int]) -> int | None:
    """The line on which a gradient by hand takes a conjugate."""
    try:
        parts = slices.hand_side(ast.parse(text), by_hand)
    except SyntaxError:
        return None
    found = (
        node.lineno
        for part in parts
        for expression in part.expressions
        for node in ast.walk(expression)
        if isinstance(node, ast.Attribute) and node.attr in CONJUGATES
    )
    return min(found, default=None)


def _multiplies(text: str) -> bool:
    names = {"matmul", "mm", "bmm", "einsum", "linear"}
    return bool(
        _first(
            text,
            lambda n: (
                (isinstance(n, ast.BinOp) and isinstance(n.op, ast.MatMult))
                or (isinstance(n, ast.Attribute) and n.attr in names)
            ),
        )
    )


def _first(text: str, wanted) -> int | None:
    """The line of the first node that is ``wanted``."""
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return None
    return min((node.lineno for node in ast.walk(tree) if wanted(node)), default=None)
