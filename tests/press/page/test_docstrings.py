"""Reference pages: what is made of a docstring and of a signature, and that examples are run."""

import re

import pytest
from press import project
from press.page import docstrings
from press.publish import inventory

import backwardpass


@pytest.mark.parametrize(
    ("lines", "shown"),
    [
        (["Write.", "", ">>> 1", "1"], ["Write.", "", ".. rubric:: Examples", "", ">>> 1", "1"]),
        ([".. rubric:: Examples", "", ">>> 1"], [".. rubric:: Examples", "", ">>> 1"]),
        (["No example."], ["No example."]),
    ],
)  # fmt: skip
def test_a_short_docstring_gets_a_heading_for_its_example(lines, shown):
    """What has no section of examples gets one; what has one, or no example, is left alone."""
    docstrings.summary_sections(None, "function", "f", None, {}, lines)
    assert lines == shown


def test_private_parameters_are_not_shown():
    """A private parameter of a dataclass is no part of what a reader may call."""
    given = "(nodes: tuple[Node, ...], roots: tuple[int, ...], _keys: tuple[Any, ...] = ())"
    shown, _ = docstrings.public_signature(None, "class", "Graph", None, {}, given, None)
    assert shown == "(nodes: tuple[Node, ...], roots: tuple[int, ...])"
    assert docstrings.public_signature(None, "module", "m", None, {}, None, None) is None


def test_every_listed_name_is_an_entry():
    """Both lists of names can be read, and Python's says where each name stands."""
    for name in ("torch", "python"):
        listing = (inventory.CONF / "inventories" / f"{name}.txt").read_text("utf-8")
        names = [line for line in listing.splitlines() if line and not line.startswith("#")]
        assert len(inventory.entries(listing, f"{name}.txt")) == len(names)
        assert name == "torch" or all(len(line.split()) == 3 for line in names)


@pytest.mark.parametrize("name", backwardpass.__all__)
def test_public_names_have_an_entry_and_an_example(name):
    """Each is on the reference page, has a tested example, and lists its parameters one by one."""
    page = (project.ROOT / "book" / "reference" / "backwardpass.md").read_text("utf-8")
    assert re.search(rf"^\.\. auto\w+:: {name}$", page, re.MULTILINE)
    said = getattr(backwardpass, name).__doc__
    assert ">>> " in said
    # Napoleon would repeat the one description for each of several names.
    assert not re.search(r"^    \w+, [\w, ]+\n     +\S", said, re.MULTILINE)
