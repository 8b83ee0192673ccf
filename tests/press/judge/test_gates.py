"""What is judged, and in which words; that each gate fails a build is shown by a whole one."""

import dataclasses
import math
import re
from pathlib import Path

import pytest
from press.judge.gates import GATES, Failure, judge
from press.observed.comparison import BY_HAND, EQUALITY, Comparison, Replay

MADE = Comparison(
    line=3,
    end_line=3,
    call=0,
    kind=BY_HAND,
    name="w",
    shapes=((2,), (2,)),
    dtypes=("float64", "float64"),
    max_abs=0.0,
    max_rel=0.0,
    rtol=1e-7,
    atol=1e-7,
    passed=True,
    has_nan=False,
    default_tolerance=True,
    numel=2,
)
DIVERGED = dataclasses.replace(MADE, passed=False, max_abs=1.0, max_rel=0.5)
LOOSE = dataclasses.replace(
    MADE, max_abs=0.5, max_rel=0.25, atol=1.0, rtol=0.5, default_tolerance=False
)
EQUAL = dataclasses.replace(MADE, kind=EQUALITY, name="a = b")


def judged(*made: Comparison, source: str = "", replayed=...) -> list[str]:
    """The failures of a script that made these comparisons; replayed, those by hand diverge."""
    if replayed is ...:
        moved = (c if c.kind == EQUALITY else dataclasses.replace(c, passed=False) for c in made)
        replayed = Replay(tuple(moved), None)
    return [str(failure) for failure in judge("examples/p/plot_x.py", source, made, replayed)]


def test_honest_script_passes():
    """A comparison by hand that passes, and fails when replayed, is no reason not to publish."""
    assert judged(MADE, EQUAL) == []


def test_equality_may_pass_the_replay():
    """Two values that autograd returned may agree, whatever autograd returns."""
    assert judged(MADE, EQUAL, replayed=Replay((DIVERGED, EQUAL), None)) == []


def test_diverging_equality_fails():
    """An equality that does not hold fails like a gradient, under its own name."""
    (failure,) = judged(MADE, dataclasses.replace(EQUAL, passed=False, max_abs=1.0, max_rel=0.5))
    assert failure.startswith('examples/p/plot_x.py:3: equality "a = b" diverges: shape (2,)')


def test_all_failures_are_told_in_order_of_lines():
    """Every failure of a script is told, from the first line to the last."""
    late = dataclasses.replace(DIVERGED, line=9, name="late")
    early = dataclasses.replace(DIVERGED, line=2, name="early")
    failures = judged(late, early, MADE, replayed=None)
    assert [re.search(r":(\d+): gradient", failure).group(1) for failure in failures] == ["2", "9"]


def test_unfinished_script_is_not_said_to_compare_nothing():
    """A script that did not reach its end is judged by what it compared before."""
    assert judged(replayed=None) == []


@pytest.mark.parametrize(
    ("excuse", "accepted"),
    [
        ("# no hand-derived gradient: it only counts nodes", True),
        ("x = 1\n# no hand-derived gradient: it only counts nodes\ny = 2", True),
        ("# no hand-derived gradient:", False),
        ("# no hand-derived gradient:   \nbecause", False),
        ("# no hand-derived gradient", False),
        ("    # no hand-derived gradient: hidden in a block", False),
        ('"# no hand-derived gradient: in a string"', False),
    ],
)
def test_reason_for_no_derivation(excuse, accepted):
    """A script that derives nothing needs a comment, on a line of its own, with a reason."""
    assert (judged(source=excuse) == []) is accepted


def test_reason_and_derivation_contradict_each_other():
    """A script that says it derives nothing, and compares a gradient, is told so at that line."""
    (failure,) = judged(MADE, source="x = 1\n# no hand-derived gradient: it says\n")
    assert failure.startswith("examples/p/plot_x.py:2: says that it derives no gradient by hand")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, "both sides come from autograd, or every value is zero"),
        ({"max_abs": 1e-9}, "or its values are smaller than the tolerance"),
        ({"numel": 0}, "it holds no number to compare"),
    ],
    ids=["from autograd", "tiny", "empty"],
)
def test_unmoved_gradient_is_a_failure(changes, why):
    """A gradient that passes in the replay as well is named, with what may be the reason."""
    still = dataclasses.replace(MADE, **changes)
    (failure,) = judged(MADE, replayed=Replay((still,), None))
    assert failure.startswith(
        'examples/p/plot_x.py:3: gradient "w", by hand against autograd, still'
    )
    assert failure.endswith(why)


@pytest.mark.parametrize(
    ("line", "accepted"),
    [
        ("assert_close(a, b, atol=1)  # tolerance: 1, a sum in another order", True),
        ("assert_close(a, b, atol=1)  # tolerance:", False),
        ("assert_close(a, b, atol=1)  # loose", False),
        ("assert_close(a, b, atol=1)\n# tolerance: on the next line", False),
    ],
)
def test_reason_for_a_tolerance(line, accepted):
    """A loose tolerance needs its reason on a line of the call itself."""
    loose = dataclasses.replace(LOOSE, line=1, end_line=1)
    assert (judged(loose, source=line) == []) is accepted


def test_reason_on_any_line_of_a_call():
    """In a call over several lines the reason may stand on any of them."""
    source = "assert_close(\n    a,\n    b,  # tolerance: 1, a sum in another order\n    atol=1,\n)"
    loose = dataclasses.replace(LOOSE, line=1, end_line=5)
    assert judged(loose, source=source) == []


def test_equality_may_be_in_single_precision():
    """Only gradients by hand have to be in double precision."""
    assert judged(MADE, dataclasses.replace(EQUAL, dtypes=("float32", "float32"))) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"shapes": ((2,), (3,)), "max_abs": None}, "(2,), float64 against shape (3,), float64"),
        ({"shapes": ((2,), None), "dtypes": ("float64", "NoneType"), "max_abs": None}, "NoneType"),
        ({"dtypes": ("float32", "float64"), "max_abs": 2.0}, "largest absolute error 2"),
        ({"max_abs": 0.0}, "layouts"),
    ],
    ids=["shape", "missing", "dtype", "layout"],
)
def test_what_cannot_be_matched_says_why(changes, said):
    """Two sides of other shapes, names, dtypes or layouts are said to be, not to diverge."""
    (failure,) = judged(dataclasses.replace(DIVERGED, **changes), replayed=None)
    assert "cannot be matched" in failure
    assert said in failure


@pytest.mark.parametrize("kind", [BY_HAND, EQUALITY])
def test_nan_that_passes_is_told_once(kind):
    """A NaN that a comparison lets pass is told as such, and not again by the replay."""
    nan = dataclasses.replace(MADE, kind=kind, has_nan=True, max_abs=math.nan, max_rel=math.nan)
    failures = judged(nan, MADE, replayed=Replay((nan, DIVERGED), None))
    assert [failure.endswith("a NaN agrees with nothing") for failure in failures] == [True]


def test_nan_error_is_told_once():
    """A NaN that made a comparison fail is told as its error, and not again."""
    nan = dataclasses.replace(DIVERGED, has_nan=True, max_abs=math.nan, max_rel=math.nan)
    (failure,) = judged(nan, replayed=None)
    assert "largest absolute error nan" in failure


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([MADE, MADE], [DIVERGED]),
        ([MADE], [DIVERGED, DIVERGED]),
        ([MADE], [dataclasses.replace(DIVERGED, name="v")]),
        ([MADE], [dataclasses.replace(DIVERGED, line=4)]),
        ([MADE, EQUAL], [EQUAL, DIVERGED]),
    ],
    ids=["fewer", "more", "other name", "other line", "other order"],
)
def test_replay_has_to_make_the_same_comparisons(first, second):
    """A script that compares other things when replayed was not replayed."""
    (failure,) = judged(*first, replayed=Replay(tuple(second), None))
    assert "must not depend on a gradient" in failure


def test_early_end_of_a_replay_is_a_failure():
    """A replay that ended early says where, and shows nothing about what it did not reach."""
    (failure,) = judged(MADE, replayed=Replay((), "ValueError: too large", 7))
    assert failure.startswith("examples/p/plot_x.py:7: the replay with autograd multiplied by 1.5")
    assert failure.endswith("ValueError: too large")


def test_gate_names_are_those_the_book_lists():
    """Every gate that any extension reports is among those the book says it has."""
    import press

    sources = [path.read_text("utf-8") for path in Path(press.__path__[0]).rglob("*.py")]
    reported = set(re.findall(r'subtype="(\w+)"', "".join(sources)))
    assert reported <= GATES.keys()


def test_failure_without_a_line():
    """A failure that belongs to no line is placed in its file."""
    failure = Failure("examples/p/plot_x.py", None, "nothing", "why")
    assert str(failure) == "examples/p/plot_x.py: why"
