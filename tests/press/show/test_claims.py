"""The inventory of claims: what can be a row, where a place may point, and what is counted.

That a wrong row fails a build is shown in ``test_everything_wrong.py``.
"""

import json
import re
import types
from collections import Counter
from pathlib import Path

import pytest
from docutils import nodes
from press.show import claims
from sphinx_exercise.nodes import exercise_subtitle

ROOT = Path(__file__).resolve().parents[3]
PARTS = '[graph]\ntitle = "The graph"\nfinished = false\n'
ROW = {
    "says": "Nodes are tensors.",
    "verdict": "false",
    "so": "They are operations.",
    "topic": "graph",
    "part": "graph",
}


def row(name: str, **changes) -> str:
    """A row as it is written, with some of its fields changed, or left out where None."""
    given = {key: value for key, value in (ROW | changes).items() if value is not None}
    return "\n".join([f"[{name}]", *(f"{k} = {json.dumps(v)}" for k, v in given.items()), ""])


@pytest.fixture
def inventory(project):
    """A function that writes rows into an inventory and reads it."""
    project.write("book/reference/claims/parts.toml", PARTS)

    def read(text: str, file: str = "x"):
        project.write(f"book/reference/claims/{file}.toml", text)
        return claims.load()

    return read


def test_a_row_is_read(inventory):
    """A row knows its name, its words, and the line it stands in."""
    (claim,), failures = inventory("# A comment\n\n" + row("D-11", place="page#section"))
    assert failures == []
    assert (claim.name, claim.says, claim.place) == ("D-11", ROW["says"], "page#section")
    assert claim.source == "book/reference/claims/x.toml:3"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (row("D-11", so=None), "D-11 lacks so"),
        (row("D-11", so=" "), "D-11 has nothing under so"),
        (row("D-11", plaec="a#b"), "D-11 has plaec, which no row has"),
        (row("D-11", verdict="wrong"), "D-11 has the verdict 'wrong'; there are: true, false, "),
        (row("D-11", part="grahp"), "D-11 belongs to the part 'grahp'; there are: graph"),
        (row("D-11", place="page"), "D-11 has the place 'page', which is not page#section"),
        (row("D-11", place="a#b", needs_none="x"), "D-11 has a place, and says that it needs none"),
        (row("claim"), "claim is no row: it begins with"),
        ("D-11 = 3\n", "D-11 is no row"),
        (row("D-11") + row("D-11"), "cannot be read: Cannot declare ('D-11',) twice"),
    ],
)
def test_a_wrong_row_is_named(inventory, text, message):
    """What is wrong with a row is said with its name, and it is no claim."""
    read, (failure,) = inventory(text)
    assert read == []
    assert failure.message.startswith(message)


def test_a_name_occurs_once(inventory):
    """Two files with one name: the second row is refused, with where the first one stands."""
    inventory(row("D-11"), "a")
    read, (failure,) = inventory(row("D-10") + row("D-11"), "b")
    assert [claim.source for claim in read] == [
        "book/reference/claims/a.toml:1",
        "book/reference/claims/b.toml:1",
    ]
    assert failure.source == "book/reference/claims/b.toml:7"
    assert failure.message == "D-11 is a row of book/reference/claims/a.toml:1 already"


# --- The book's own -------------------------------------------------------------------------------


def test_every_statement_is_in_the_inventory():
    """No row of a document is missing, and none was invented: they are numbered from 1 on."""
    read, failures = claims.load()
    assert failures == []
    counted = Counter(claim.name[0] for claim in read)
    assert counted == {"M": 30, "D": 42, "A": 70, "S": 48, "N": 129, "E": 29}
    for letter, count in counted.items():
        numbers = [int(c.name[2:]) for c in read if c.name[0] == letter]
        assert numbers == list(range(1, count + 1))


def test_verdicts_of_the_inventory():
    """How often each verdict was given, beside the official statements: a change is meant."""
    verdicts = Counter(c.verdict for c in claims.load()[0] if c.name[0] != "E")
    assert verdicts == {
        "true": 153,
        "false": 26,
        "imprecise": 78,
        "outdated": 3,
        "requirement": 49,
        "not checked": 10,
    }


def test_rows_are_sentences():
    """What is said and what is so are sentences, and refer to no other row."""
    for claim in claims.load()[0]:
        assert claim.says.endswith((".", "?")), claim
        assert claim.so.endswith("."), claim
        assert not re.search(r"\b[A-Z]-\d", claim.says + claim.so), claim


# --- Places ---------------------------------------------------------------------------------------


class Environment:
    """As much of a build environment as a place needs."""

    def __init__(self, **attributes):
        self.found_docs = {"graph/nodes", "reference/claims"}
        self.metadata = {
            "graph/nodes": {"myst_slugs": {"what-it-is": [3, "what-it-is-1", "What it is"]}},
            "reference/claims": {},
        }
        self.titles = {"graph/nodes": nodes.title("", "Nodes")}
        labels = {"edges": ("graph/nodes", "edges", "Two numbers")}
        self.std = types.SimpleNamespace(
            anonlabels={"edges": ("graph/nodes", "edges"), "bare": ("graph/nodes", "bare")},
            labels=labels,
        )
        exercise = nodes.container("", exercise_subtitle("", "Two edges"))
        self.sphinx_exercise_registry = {"ex-one": {"docname": "graph/nodes", "node": exercise}}
        vars(self).update(attributes)

    def get_domain(self, name):
        assert name == "std"
        return self.std


@pytest.mark.parametrize(
    ("place", "found"),
    [
        ("graph/nodes#what-it-is", ("graph/nodes", "what-it-is-1", "What it is")),
        ("graph/nodes#edges", ("graph/nodes", "edges", "Two numbers")),
        ("graph/nodes#bare", ("graph/nodes", "bare", "Nodes")),
        ("graph/nodes#ex-one", ("graph/nodes", "ex-one", "Two edges")),
    ],
)
def test_a_place_is_a_section_a_label_or_an_exercise(place, found):
    """A place names a page, and on it a section's title, a label or an exercise."""
    assert claims.resolve(Environment(), place) == found


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("graph/edges#what-it-is", "there is no page graph/edges"),
        ("graph/nodes#what-it-was", "graph/nodes has no section what-it-was"),
        ("reference/claims#edges", "reference/claims has no section edges"),
        ("reference/claims#ex-one", "reference/claims has no section ex-one"),
    ],
)
def test_a_place_that_is_not_there(place, message):
    """A page that is gone, and a section that is on another page, are no places."""
    with pytest.raises(LookupError, match=message):
        claims.resolve(Environment(), place)


def test_pages_are_read_again_when_a_row_changes(inventory):
    """A page that shows rows is out of date when any row of the inventory is another."""
    inventory(row("D-11"))
    shown = {"claims": ["D-11"], "claims_digest": claims.digest()}
    env = Environment()
    env.metadata["reference/claims"] |= shown
    assert claims.outdated(None, env, set(), set(), set()) == []
    inventory(row("D-11", verdict="true"))
    assert claims.outdated(None, env, set(), set(), set()) == ["reference/claims"]
    inventory(row("D-11"))
    inventory(row("D-12"), "y")
    assert claims.outdated(None, env, set(), set(), set()) == ["reference/claims"]
