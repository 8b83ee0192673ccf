"""Every comparison is recorded as it was made, and nothing else is."""

import math
import textwrap

import numpy as np
import pytest
import torch
from press.observed.comparison import BY_HAND, EQUALITY
from press.watch.ledger import Ledger, watch

FILENAME = "plot_script.py"
# Names that a source under test may use.
VALUES = {
    "torch": torch,
    "np": np,
    "a": torch.tensor([1.0, 2.0], dtype=torch.float64),
    "b": torch.tensor([1.0, 2.5], dtype=torch.float64),
}


def ledger_of(source: str, *, filename: str = FILENAME, raises: bool = False) -> Ledger:
    """What is recorded of ``source``, run as a file of that name."""
    source = textwrap.dedent(source)
    ledger = Ledger(FILENAME, source, raises=raises)
    with watch(ledger):
        exec(compile(source, filename, "exec"), dict(VALUES))
    return ledger


def test_call_is_transparent():
    """A comparison that fails raises what it would raise unobserved, with the same message."""
    source = "torch.testing.assert_close({'w': a}, {'w': b})"
    with pytest.raises(AssertionError) as unobserved:
        exec(source, dict(VALUES))
    with pytest.raises(AssertionError) as observed:
        ledger_of(source, raises=True)
    assert str(observed.value) == str(unobserved.value)


def test_patch_is_undone():
    """After watching, even a script that raises, torch's function is in its place."""
    real = torch.testing.assert_close
    with pytest.raises(ZeroDivisionError):
        ledger_of("torch.testing.assert_close(a, a)\n1 / 0")
    assert torch.testing.assert_close is real


@pytest.mark.parametrize(
    "source",
    [
        "from torch.testing import assert_close\nassert_close(a, b)",
        "import torch.testing as t\nt.assert_close(a, b)",
        "torch.testing.assert_close(actual=a, expected=b)",
        "torch.testing.assert_close(a, expected=b, msg='mine')",
        "try:\n    torch.testing.assert_close(a, b)\nexcept AssertionError:\n    pass",
        "def check(x, y):\n    torch.testing.assert_close(x, y)\n\n\ncheck(a, b)",
        "[torch.testing.assert_close(x, y) for x, y in [(a, b)]]",
    ],
    ids=["imported", "renamed", "by name", "message", "swallowed", "in a function", "in a list"],
)
def test_every_way_to_call_is_seen(source):
    """However a script calls it, the comparison is recorded with its error."""
    (comparison,) = ledger_of(source)
    assert (comparison.passed, comparison.max_abs, comparison.max_rel) == (False, 0.5, 0.2)


def test_calls_of_others_are_not_recorded():
    """A comparison made by another file, as by a library the script uses, is not the script's."""
    assert ledger_of("torch.testing.assert_close(a, b - b + a)", filename="library.py") == []


def test_two_mappings_are_by_hand():
    """Two mappings compare by hand against autograd, a name at a time; two tensors do not."""
    made = ledger_of(
        """
        torch.testing.assert_close({"w": a, "b": b}, {"w": a, "b": b})
        torch.testing.assert_close(a, a)
        torch.testing.assert_close([a, b], [a, b])
        """
    )
    assert [(c.kind, c.name, c.call, c.line) for c in made] == [
        (BY_HAND, "w", 0, 2),
        (BY_HAND, "b", 0, 2),
        (EQUALITY, "a = a", 1, 3),
        (EQUALITY, "[a, b] = [a, b] [0]", 2, 4),
        (EQUALITY, "[a, b] = [a, b] [1]", 2, 4),
    ]


def test_one_mapping_is_not_by_hand():
    """A mapping against something else is no comparison of gradients, and fails."""
    (comparison,) = ledger_of('torch.testing.assert_close({"w": a}, a)')
    assert (comparison.kind, comparison.passed) == (EQUALITY, False)


def test_nested_names():
    """A name in a structure of structures is the path to it."""
    made = ledger_of('torch.testing.assert_close({"one": {"w": [a, b]}}, {"one": {"w": [a, a]}})')
    assert [(c.name, c.passed) for c in made] == [("one, w, 0", True), ("one, w, 1", False)]


def test_missing_names_are_failures():
    """A name on one side only is compared with nothing, and fails."""
    made = ledger_of('torch.testing.assert_close({"w": a, "b": b}, {"w": a, "c": b})')
    assert {c.name: (c.passed, c.shapes, c.max_abs) for c in made} == {
        "w": (True, ((2,), (2,)), 0.0),
        "b": (False, ((2,), None), None),
        "c": (False, (None, (2,)), None),
    }


def test_each_gradient_passes_or_fails_by_itself():
    """One gradient that diverges does not hide the others of its call."""
    by_hand, autograd = '{"x": b, "y": a, "z": b}', '{"x": a, "y": a, "z": a}'
    made = ledger_of(f"torch.testing.assert_close({by_hand}, {autograd})")
    assert [c.passed for c in made] == [False, True, False]


def test_place_of_a_call_over_several_lines():
    """A call is placed from its first line to its last, whatever line it names."""
    (comparison,) = ledger_of("torch.testing.assert_close(\n    a,\n    a,\n    msg='',\n)\n")
    assert (comparison.line, comparison.end_line) == (1, 5)


def test_loop_records_every_turn():
    """In a loop each turn is a call of its own, on the same line."""
    made = ledger_of("for x in (a, b, a):\n    torch.testing.assert_close(x, a)")
    assert [(c.line, c.call, c.passed) for c in made] == [(2, 0, True), (2, 1, False), (2, 2, True)]


COMPLEX = "torch.tensor([1 + 2j], dtype=torch.complex128)"


@pytest.mark.parametrize(
    ("left", "right", "max_abs", "max_rel", "passed"),
    [
        ("a", "a", 0.0, 0.0, True),
        ("a", "-a", 4.0, 2.0, False),
        ("1.001 * a", "a", 0.002, 0.001, False),
        ("a", "0 * a", 2.0, math.inf, False),
        ("a[:0]", "a[:0]", 0.0, 0.0, True),
        ("a", "a[:1]", None, None, False),
        ("a", "a[None]", None, None, False),
        ("a / 0", "a / 0", 0.0, 0.0, True),
        ("a / 0", "-a / 0", math.inf, math.nan, False),
        ("a * torch.nan", "a", math.nan, math.nan, False),
        (COMPLEX, f"{COMPLEX}.conj()", 4.0, 4 / math.sqrt(5), False),
        ("torch.tensor([True])", "torch.tensor([False])", 1.0, math.inf, False),
        ("1", "3", 2.0, 2 / 3, False),
        ("0.5", "0.5", 0.0, 0.0, True),
        ("a.to_sparse()", "b.to_sparse()", 0.5, 0.2, False),
        ("np.array([1.0])", "np.array([1.5])", 0.5, 1 / 3, False),
        ('"text"', "a", None, None, False),
        ("None", "a", None, None, False),
    ],
)  # fmt: skip
def test_errors(left, right, max_abs, max_rel, passed):
    """The largest absolute and relative error are those of the values, or unknown."""
    (comparison,) = ledger_of(f"torch.testing.assert_close({left}, {right})")
    assert comparison.passed is passed
    for found, expected in ((comparison.max_abs, max_abs), (comparison.max_rel, max_rel)):
        assert found == (expected if expected is None else pytest.approx(expected, nan_ok=True))


@pytest.mark.parametrize(
    ("call", "default"),
    [
        ("a, a", True),
        ("a, a, rtol=1e-7, atol=1e-7", True),
        ("a, a, rtol=0, atol=0", True),
        ("a, a, rtol=1e-6, atol=0", False),
        ("a, a, rtol=0, atol=1e-6", False),
        ("a.float(), a.float(), rtol=1.3e-6, atol=1e-5", True),
        ("a.float(), a.float(), rtol=1.3e-6, atol=1e-4", False),
        ("1.0, 1.0, rtol=1e-7, atol=0", True),
        ("1, 2, rtol=1, atol=0", False),
    ],
)
def test_tolerance(call, default):
    """A tolerance is loose when either part of it exceeds the default of the dtypes compared."""
    (comparison,) = ledger_of(f"torch.testing.assert_close({call})")
    assert comparison.default_tolerance is default


@pytest.mark.parametrize(
    ("left", "right", "has_nan"),
    [("a * np.nan", "a * np.nan", True), ("a", "a * np.nan", True), ("a / 0", "a / 0", False)],
)
def test_nan_is_seen(left, right, has_nan):
    """A NaN on either side is known, also where it lets a comparison pass."""
    (comparison,) = ledger_of(f"torch.testing.assert_close({left}, {right}, equal_nan=True)")
    assert comparison.has_nan is has_nan


@pytest.mark.parametrize(("number", "dtype"), [("0.1", "float64"), ("1j", "complex128")])
def test_python_numbers_are_in_double_precision(number, dtype):
    """A Python number is recorded with the precision it has."""
    (comparison,) = ledger_of(f"torch.testing.assert_close({number}, {number})")
    assert comparison.dtypes == (dtype, dtype)


@pytest.mark.parametrize(
    ("left", "right", "exact"),
    [
        ("a", "a", True),
        ("a.cfloat()", "a.cfloat()", False),
        (COMPLEX, COMPLEX, True),
        ("a.float()", "a", False),
        ("a", "a.float()", False),
        ("a.half()", "a.half()", False),
    ],
)
def test_exact_dtype(left, right, exact):
    """Only double precision on both sides, real or complex, is exact."""
    (comparison,) = ledger_of(f"torch.testing.assert_close({left}, {right}, check_dtype=False)")
    assert comparison.exact_dtype is exact


def test_holds_numbers_only():
    """A recorded comparison keeps no tensor: nothing that was compared lives longer for it."""
    import weakref

    witnesses = []
    source = "t = a + 1\nkeep(t)\ntorch.testing.assert_close({'t': t}, {'t': t})\ndel t"
    ledger = Ledger(FILENAME, source)
    keep = lambda tensor: witnesses.append(weakref.ref(tensor.untyped_storage()))  # noqa: E731
    with watch(ledger):
        exec(compile(source, FILENAME, "exec"), VALUES | {"keep": keep})
    assert len(ledger) == 1
    assert witnesses[0]() is None
