"""What fails a build: each gate is a rule about what one script compared, and how.

A gate never looks at Sphinx or at torch, only at the script's source, the comparisons recorded
while it ran, and those of its sabotaged replay.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from press.judge import compared as comparing
from press.judge import source as sources
from press.observed.comparison import BY_HAND, FACTOR, Comparison, Replay, Stillness
from press.observed.failure import Failure

NOTHING_DERIVED = re.compile(r"^# no hand-derived gradient: \S.*", re.MULTILINE)
TOLERANCE_REASON = re.compile(r"# tolerance: \S")


# Each gate by the name a warning carries, in the words of "How this book checks itself".
GATES = {
    "diverges": "a comparison diverges: a wrong value, a wrong shape, a missing name",
    "raises": "a script raises an exception that it does not show on purpose",
    "crash": "a process dies, and the script or page it was on is not finished",
    "caught": "a script is to show an exception, and it is not raised",
    "nothing": "a script compares no gradient derived by hand, and does not say why",
    "nan": "a compared value is NaN",
    "dtype": "a gradient derived by hand is compared in less than double precision",
    "tolerance": "a tolerance is looser than the default of its dtype, without a reason beside it",
    "unrun": "a comparison is written and compares nothing, or a gradient is derived and compared "
    "with nothing",
    "count": "a script makes fewer comparisons than it did, and nobody has said why",
    "data": "sizes, symmetry or real numbers in the data would hide a missing transpose or "
    "conjugate",
    "refused": "a script takes what no replay disturbs, compares unseen, or hides lines that run",
    "replay": "a gradient by hand moves when only autograd is disturbed, a comparison by hand "
    "still passes after autograd was falsified, or the falsified run does not reach its end",
    "drawing": "a graph that a script shows cannot be drawn",
    "operator": "a rule of the operator reference disagrees with autograd, forward mode or finite "
    "differences",
    "formula": "a formula cannot be read",
    "doctest": "an example with a prompt in a chapter does not give the output it shows",
    "answer": "the answer of an exercise cannot be computed, or not be told from a wrong one",
    "claim": "a statement of the inventory lacks its place, or has one that is not there",
    "world": "a claim falls in the world it is tried in, or a stronger one does not; a claim is "
    "tried by nothing, or was changed and not where it is repeated",
    "prompt": "a prompt stands where nothing would run it",
    "message": "PyTorch says something else than an entry of the error index, or nothing; a remedy "
    "asserts nothing",
    "skipped": "a page or a docstring switches off one of its own examples or cells, hides one, "
    "shows code that nothing runs, or expects what nearly anything would match",
    "table": "a cell of a truth table is not what is expected of it",
    "older": "what the oldest PyTorch shows differently has no reason, or a reason is of nothing",
    "address": "a page shows the address of an object, which no other build would show",
}


def judge(
    script: str,
    source: str,
    compared: Sequence[Comparison],
    replayed: Replay | None,
    still: Stillness | None = None,
    symmetric: Mapping[str, int] | None = None,
) -> list[Failure]:
    """Every reason for which ``script`` must not be published; none means it may.

    ``replayed`` is None when the script itself did not reach its end: then there was no replay,
    and only what it compared before it stopped is judged.  ``still`` tells which sides by hand
    moved where only autograd was disturbed, ``symmetric`` which matrices equal their transpose.
    """
    found = [*_diverging(compared), *_not_numbers(compared), *_imprecise(compared)]
    found += _loose(compared, source.splitlines())
    found += [
        *sources.refused(source, {c.line for c in compared if c.kind == BY_HAND}),
        *comparing.by_own_size(compared),
    ]
    found += comparing.tolerances(compared, source.splitlines())
    found += comparing.hidden_by_data(source, compared, symmetric or {})
    passing = {(c.line, c.name) for c in (replayed.comparisons if replayed else ()) if c.passed}
    found += _moved(still or Stillness(), passing)
    if replayed is not None:
        found += [*_nothing_compared(compared, source), *_unmoved(compared, replayed)]
        found += [*comparing.unrun(source, compared), *comparing.fewer(script, compared)]
        found += [
            (line, "caught", "no exception came to this line, which would show nothing of one")
            for line in replayed.uncaught
        ]
    return sorted(
        (Failure(script, line, gate, message) for line, gate, message in found),
        key=lambda failure: (failure.line or 0, failure.gate, failure.message),
    )


Finding = tuple[int | None, str, str]


def _diverging(compared: Sequence[Comparison]) -> Iterator[Finding]:
    for c in compared:
        if not c.passed:
            yield c.line, "diverges", f"{_named(c)} {_difference(c)}"


def _not_numbers(compared: Sequence[Comparison]) -> Iterator[Finding]:
    for c in compared:
        if c.has_nan and c.passed:  # a NaN that diverges is told already
            yield c.line, "nan", f"{_named(c)} contains NaN, and a NaN agrees with nothing"


def _imprecise(compared: Sequence[Comparison]) -> Iterator[Finding]:
    for c in compared:
        if c.kind == BY_HAND and c.passed and not c.exact_dtype:
            by_hand, autograd = c.dtypes
            yield (
                c.line,
                "dtype",
                f"{_named(c)} is compared in {by_hand} against {autograd}; "
                "a comparison by hand is made in float64 on both sides",
            )


def _loose(compared: Sequence[Comparison], lines: Sequence[str]) -> Iterator[Finding]:
    for c in compared:
        reason = any(TOLERANCE_REASON.search(line) for line in lines[c.line - 1 : c.end_line])
        if not c.default_tolerance and not reason:
            yield (
                c.line,
                "tolerance",
                f"{_named(c)} is compared with rtol={c.rtol:g}, atol={c.atol:g}, looser than the "
                'default of its dtype; say why with "# tolerance: <reason>" on that line',
            )


def _nothing_compared(compared: Sequence[Comparison], source: str) -> Iterator[Finding]:
    derives = any(c.kind == BY_HAND for c in compared)
    excuse = NOTHING_DERIVED.search(source)
    if not derives and not excuse:
        yield (
            None,
            "nothing",
            "no gradient derived by hand is compared with autograd; compare one with "
            "torch.testing.assert_close({name: by hand}, {name: autograd}), or say why there is "
            'none in a line "# no hand-derived gradient: <reason>"',
        )
    if derives and excuse:
        line = source[: excuse.start()].count("\n") + 1
        yield line, "nothing", "says that it derives no gradient by hand, and compares one"


def _unmoved(compared: Sequence[Comparison], replayed: Replay) -> Iterator[Finding]:
    """By-hand comparisons that pass although autograd was falsified, or were never reached."""
    if replayed.ended_early is not None:
        yield (
            replayed.line,
            "replay",
            f"the replay with autograd multiplied by {FACTOR} ended early: {replayed.ended_early}",
        )
        return
    first = [(c.call, c.line, c.kind, c.name) for c in compared]
    second = [(c.call, c.line, c.kind, c.name) for c in replayed.comparisons]
    if first != second:
        yield (
            None,
            "replay",
            f"made {len(first)} comparisons, but {len(second)} or others when replayed with "
            f"autograd multiplied by {FACTOR}; which ones are made must not depend on a gradient",
        )
        return
    for c in replayed.comparisons:
        if c.kind == BY_HAND and c.passed and not c.has_nan:  # a NaN is told already
            yield (
                c.line,
                "replay",
                f"{_named(c)} still passes when everything autograd returns is multiplied by "
                f"{FACTOR}: {_why_unmoved(c)}",
            )


def _moved(still: Stillness, passing: set[tuple[int, str]]) -> Iterator[Finding]:
    """Gradients by hand that are others when only what autograd returns is another.

    Those that pass with all of it multiplied are told already.
    """
    for c in still.moved:
        if (c.line, c.name) in passing:
            continue
        yield (
            c.line,
            "replay",
            f"{_named(c)} has another value by hand when the passes it is compared with return "
            "others: it was made from what autograd returned",
        )
    for c in still.untold:
        yield (
            c.line,
            "replay",
            f"{_named(c)} depends on the passes before it on both sides, so where it comes from "
            "cannot be told; compare it where only one side does",
        )


def _why_unmoved(c: Comparison) -> str:
    if c.numel == 0:
        return "it holds no number to compare"
    if c.max_abs == 0:
        return "both sides come from autograd, or every value is zero"
    return "both sides come from autograd, or its values are smaller than the tolerance"


def _named(c: Comparison) -> str:
    if c.kind == BY_HAND:
        return f'gradient "{c.name}", by hand against autograd,'
    return f'equality "{c.name}"'


def _difference(c: Comparison) -> str:
    if c.max_abs is None or c.dtypes[0] != c.dtypes[1] or c.max_abs <= c.atol:
        left, right = map(_described, c.shapes, c.dtypes)
        error = "" if c.max_abs is None else f", largest absolute error {c.max_abs:.3g}"
        return (
            f"cannot be matched: {left} against {right}{error}; "
            "the two sides must have the same names, shapes, dtypes and layouts"
        )
    return (
        f"diverges: {_described(c.shapes[1], c.dtypes[1])}, "
        f"largest absolute error {c.max_abs:.3g}, largest relative error {c.max_rel:.3g}, "
        f"allowed {c.atol:g} + {c.rtol:g} * |expected|"
    )


def _described(shape: tuple[int, ...] | None, dtype: str) -> str:
    return dtype if shape is None else f"shape {shape}, {dtype}"
