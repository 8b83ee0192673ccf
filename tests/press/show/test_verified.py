"""What was compared is counted and shown as it was recorded."""

import math
import re

import pytest
from press.observed import store, totals
from press.observed.records import Observed
from press.observed.totals import Totals
from press.show import verified


@pytest.fixture
def observed(comparison):
    """Two scripts that compare, and one that does not."""
    first = comparison(max_abs=1e-9), comparison(kind="equality", max_abs=1.0)
    second = (comparison("v", max_abs=2e-9, line=7),)
    return [
        ("examples/a/plot_x.py", Observed(completed=True, comparisons=first)),
        ("examples/b/plot_y.py", Observed(completed=True, comparisons=second)),
        ("examples/b/plot_z.py", Observed(completed=True)),
    ]


def test_totals(observed):
    """Scripts, comparisons by hand and equalities are counted apart; the worst is one by hand."""
    assert str(Totals.of(observed)) == (
        "3 scripts: 2 comparisons of a gradient by hand with autograd, 1 other equality; "
        'worst error by hand 2e-09 ("v", examples/b/plot_y.py:7)'
    )


def test_totals_of_nothing():
    """A book that compares nothing says so."""
    assert str(Totals.of([])).endswith("worst error by hand 0 (nothing was compared by hand)")


def test_totals_without_an_error(comparison):
    """A comparison whose error is unknown is counted, and is not the worst."""
    unknown = Observed(completed=True, comparisons=(comparison(max_abs=None),))
    total = Totals.of([("examples/a/plot_x.py", unknown)])
    assert (total.by_hand, total.worst) == (1, 0.0)


def test_row(comparison):
    """A row shows the name, the kind, the shape, the error, what is allowed, and the replay."""
    table = verified._table([comparison(max_abs=2e-9)], "caption", "css")
    for shown in ("<code>w</code>", "by hand", "(2, 3)", "2e-09", "1e-07 + 1e-07·|value|", "0.25"):
        assert shown in table


def test_equality_shows_no_replay(comparison):
    """For an equality the replay says nothing."""
    assert "0.25" not in verified._table([comparison(kind="equality")], "caption", "css")


def test_repeated_comparison_is_one_row(comparison):
    """A comparison in a loop is one row: how often, the worst error, the least in the replay."""
    group = [comparison(max_abs=error, replayed_max_abs=1 - error) for error in (0.0, 0.5, 0.25)]
    table = verified._table(group, "caption", "css")
    assert table.count("</tr>") == 2  # the header, and one
    assert "(×\u00a03)" in table
    assert table.count("0.5<") == 2


def test_items_of_two_lists_are_one_row(comparison):
    """An equality of two lists is one row, and no item of it is left out of the worst error."""
    errors = [0.0, 0.5, 0.25]
    items = [comparison(f"a = b [{i}]", "equality", error) for i, error in enumerate(errors)]
    table = verified._table(items, "caption", "css")
    assert "<code>a = b</code> (×\u00a03)" in table
    assert "0.5<" in table
    assert table.count("</tr>") == 2


def test_items_by_hand_stay_apart(comparison):
    """A gradient by hand keeps its own row, whatever its name ends with."""
    table = verified._table([comparison("w [0]"), comparison("w [1]")], "caption", "css")
    assert table.count("</tr>") == 3


def test_long_table_is_summed_up(comparison):
    """The line that opens a folded table counts both kinds, and gives the worst error of all."""
    equality = comparison(kind="equality", max_abs=1.0)
    several = [comparison(f"w{i}", max_abs=i * 1e-9) for i in range(3)]
    assert verified._in_short(several) == "3 by hand, largest error 2e-09"
    assert verified._in_short([*several, equality]) == (
        "3 by hand, 1 other equality, largest error 1"
    )


def test_names_are_escaped(comparison):
    """A name is data of a script, and no markup."""
    table = verified._table([comparison("<b>")], "<i>", "css")
    assert "&lt;b&gt;" in table
    assert not re.search("<[bi]>", table)


def test_numbers():
    """An error is shown with two digits, exact agreement as 0, an unknown one as a dash."""
    shown = [verified._number(error) for error in (None, 0.0, 1.2345e-9, math.nan, math.inf)]
    assert shown == ["–", "0", "1.2e-09", "nan", "inf"]


def test_only_current_observations_count(project):
    """A script that was not run as it is now is not in the ledger."""
    current, stale = project.script("", "a/plot_x"), project.script("", "a/plot_y")
    for script in (current, stale):
        store.write(script, Observed(completed=True))
    before = verified._digest()
    stale.write_text("changed")
    assert [name for name, _ in totals.observations()] == ["examples/a/plot_x.py"]
    assert verified._digest() != before
