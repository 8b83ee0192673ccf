"""The figure of caught mutants is shown for the state it was measured of, and for no other."""

from types import SimpleNamespace

import pytest
from press.show import mutation_figure
from press.trials.mutants import results

SCRIPT = "x = 2 * 3\n"


@pytest.fixture
def book(tmp_path, monkeypatch):
    """One script, and a row for it as ``nox -s mutants`` keeps it."""
    folder = tmp_path / "examples" / "part"
    folder.mkdir(parents=True)
    path = folder / "plot_small.py"
    path.write_text(SCRIPT)
    monkeypatch.setattr(results, "EXAMPLES", tmp_path / "examples")
    row = {
        "key": results.key_of("part/plot_small", SCRIPT),
        "mutants": 1205,
        "caught": {"comparison": 1000, "equality": 3, "raised": 200, "timed out": 2},
        "kinds": {"operator": 1000, "sign": 205},
        "equivalent": 4,
    }
    monkeypatch.setattr(results, "kept", lambda: {"part/plot_small": row})
    return path


def shown(subject="scripts"):
    """What the directive puts on its page, as text; the page is marked as one with the figure."""
    env = SimpleNamespace(metadata={"checks": {}}, docname="checks", found_docs={"checks"})
    directive = mutation_figure.MutationFigure.__new__(mutation_figure.MutationFigure)
    directive.arguments = [subject]
    directive.state = SimpleNamespace(document=SimpleNamespace(settings=SimpleNamespace(env=env)))
    return "\n".join(node.astext() for node in directive.run()), env


@pytest.fixture
def rules(tmp_path, monkeypatch, book):
    """A module of rules beside the script, and a row for it."""
    folder = tmp_path / "vjps"
    folder.mkdir()
    path = folder / "small.py"
    path.write_text(SCRIPT)
    monkeypatch.setattr(results, "RULES", folder)
    monkeypatch.setattr(results, "judges", lambda name: [])
    kept = results.kept() | {
        "vjps/small": {
            "key": results.key_of("vjps/small", SCRIPT),
            "mutants": 31,
            "caught": {"comparison": 20, "raised": 11},
            "kinds": {"operator": 31},
            "equivalent": 2,
        }
    }
    monkeypatch.setattr(results, "kept", lambda: kept)
    return path


def test_rules_and_scripts_are_counted_apart(rules, book):
    """Each figure is of its own, and a changed rule leaves the other as it was."""
    text, _ = shown("rules")
    assert "31 of 31 changes were caught: 20 by a comparison, 11 because the changed rule" in text
    assert "1,205 of 1,205 changes were caught" in shown("scripts")[0]
    rules.write_text("x = 2 * 4\n")
    assert "changed since: vjps/small." in shown("rules")[0]
    assert "1,205 of 1,205 changes were caught" in shown("scripts")[0]


def test_the_figure_says_how_many_were_caught_and_how(book):
    """Totals in words, a row for each kind."""
    text, _ = shown()
    assert "1,205 of 1,205 changes were caught: 1,003 by a comparison, 200 because" in text
    assert "2 because it did not end" in text
    assert "operator" in text
    assert "1,000" in text


def test_a_changed_script_makes_it_no_figure(book):
    """The page names what changed, and shows no number."""
    book.write_text("x = 2 * 4\n")
    text, _ = shown()
    assert text.startswith("Not measured for this state of the book; changed since: part/plot_sm")
    assert "1,205" not in text


def test_prose_that_changed_leaves_the_figure(book):
    """A comment is no formula."""
    book.write_text("# %%\n# A heading\n" + SCRIPT)
    assert "1,205 of 1,205" in shown()[0]


def test_a_new_script_makes_it_no_figure(book):
    """What was never measured is not covered by the figure of the others."""
    (book.parent / "plot_other.py").write_text("x = 1\n")
    assert "changed since: part/plot_other." in shown()[0]


def test_a_change_outdates_the_page(book):
    """The page is read again when a script changed, and only then."""
    _, env = shown()
    assert mutation_figure.outdated(None, env, set(), set(), set()) == []
    book.write_text("x = 2 * 4\n")
    assert mutation_figure.outdated(None, env, set(), set(), set()) == ["checks"]


def test_what_waits_to_be_measured_is_named_beside_the_figure(book, monkeypatch):
    """A script that is said to wait is left out of the figure, and named with its reason."""
    (book.parent / "plot_other.py").write_text("x = 1\n")
    monkeypatch.setattr(results, "waiting", lambda: {"part/plot_other": "It is new."})
    text, _ = shown()
    assert "1,205 of 1,205 changes were caught" in text
    assert "Not in this figure: part/plot_other. It is new." in text
    monkeypatch.setattr(results, "waiting", lambda: {"part/plot_small": "It is measured."})
    assert "changed since: part/plot_other." in shown()[0]
