"""What differs on the oldest PyTorch: found, explained, kept, and told of the state it was run."""

import os
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
from docutils import nodes
from press import programs
from press.show import older
from press.trials.older import command, differences, shown
from press.trials.older.differences import Difference, Measured, Reason

CALLED = Difference("script", "part/plot_a", "", "output 0 of ExpBackward0", "output 0 of Exp")
MEASURED = Measured(
    older="2.8.0",
    newer="2.13.0",
    missing=("data",),
    keys={"examples/part/plot_a.py": "0"},
    counts={"script": 2, "example": 3, "message": 4, "cell": 5},
    differences=(CALLED,),
)
WHY = (Reason("Names", "It is *another* name.", ("part/plot_a",)),)


def outcome(output, **more):
    return {"output": output, "files": [], **more}


def test_scripts_are_compared_line_by_line():
    """Only the lines that differ are told, and a script that prints the same is no difference."""
    found = differences.in_scripts(
        {"a": outcome("one\ntwo\nthree\n"), "b": outcome("same\n")},
        {"a": outcome("one\n2\nthree\nfour\n"), "b": outcome("same\n")},
    )
    assert list(found) == [Difference("script", "a", "", "two", "2\nfour")]


def test_a_script_that_raises_there_is_a_difference():
    """Even if it printed all that it prints elsewhere; where it fails on both, that is an error."""
    fails = outcome("one\n", error="Traceback\n  line\nAssertionError: no\n")
    (found,) = differences.in_scripts({"a": fails}, {"a": outcome("one\n")})
    assert (found.older, found.newer) == ("cannot run to its end: AssertionError: no", "")
    with pytest.raises(RuntimeError, match="fails on the newer PyTorch as well"):
        list(differences.in_scripts({"a": fails}, {"a": fails}))


def test_a_script_that_fails_is_never_kept():
    """A reason does not help: what the pages call the oldest PyTorch has to run every script."""
    fails = replace(CALLED, older=f"{differences.FAILED}AssertionError: no")
    found = replace(MEASURED, differences=(fails,))
    (problem,) = command.report(found, found, WHY)
    assert problem == "part/plot_a, on torch 2.8.0: cannot run to its end: AssertionError: no"


def page(*examples, programs=()):
    found = [
        {"source": f"{s}\n", "got": got, "want": want, "passed": got == want}
        for s, got, want in examples
    ]
    return {"examples": {"found": found}, "programs": list(programs)}


def test_examples_that_need_the_instruments_are_not_counted():
    """What fails on both says nothing of PyTorch; what fails only on the older one differs."""
    new = {"front/a": page(("x", "1", "1"), ("import backwardpass", "ImportError", ""))}
    old = {"front/a": page(("x", "2", "1"), ("import backwardpass", "ImportError", ""))}
    found, counts = differences.on_pages(old, new)
    assert found == [Difference("example", "front/a", "x", "2", "1")]
    assert counts == {"example": 1, "message": 0}


def test_programs_are_compared_by_what_they_print_and_raise():
    """An entry is known by its title, what people try below it by its kind too."""

    def program(kind, printed, message):
        return {"title": "Freed", "kind": kind, "found": {"printed": printed, "message": message}}

    new = {"errors/a": {"programs": [program("raises", "", "E: x"), program("fix", "1", "")]}}
    old = {"errors/a": {"programs": [program("raises", "", "E: y"), program("fix", "2", "")]}}
    found, counts = differences.on_pages(old, new)
    assert [(each.name, each.older, each.newer) for each in found] == [
        ("errors/a: Freed", "E: y", "E: x"),
        ("errors/a: Freed (fix)", "2", "1"),
    ]
    assert counts == {"example": 0, "message": 2}


def test_what_cannot_be_run_is_an_error():
    """A page whose process died is not taken for one where nothing differs."""
    with pytest.raises(RuntimeError, match="examples of front/a cannot be run: killed"):
        differences.on_pages(
            {"front/a": {"examples": {"error": "killed"}, "programs": []}},
            {"front/a": page(("x", "1", "1"))},
        )


def test_cells_are_compared():
    """Every cell counts, and one that is another is named by row and column."""
    new = {"modes": {"rows": {"no_grad()": {"node": "no", "leaf": "yes"}}}}
    old = {"modes": {"rows": {"no_grad()": {"node": "yes", "leaf": "yes"}}}}
    found, count = differences.in_tables(old, new)
    assert [each.name for each in found] == ["modes: no_grad(), node"]
    assert count == 2


def test_a_difference_needs_a_reason_and_a_reason_a_difference():
    """Both ways round, by name; with a reason each, there is nothing to say."""
    assert list(differences.problems(MEASURED, WHY)) == []
    (missing,) = differences.problems(MEASURED, ())
    assert missing.startswith("reasons.toml has no reason for part/plot_a\n  2.8.0: output 0")
    (stale,) = differences.problems(replace(MEASURED, differences=()), WHY)
    assert stale == "reasons.toml has a reason for part/plot_a, which does not differ"


def test_what_is_kept_has_to_be_what_is_found():
    """Another outcome fails and is named; it does not where it is about to be kept."""
    found = replace(MEASURED, differences=(replace(CALLED, older="output 0 of exp"),))
    (problem,) = command.report(found, MEASURED, WHY)
    assert "measured.json is not what was found now, for script part/plot_a" in problem
    assert "nox -s oldest -- --write" in problem
    assert command.report(found, None, WHY) == []
    assert command.report(MEASURED, MEASURED, WHY) == []


def test_instruments_that_could_run_there_are_tested_there():
    """Once the oldest PyTorch has all they need, their own bound is too high."""
    (problem,) = command.report(replace(MEASURED, missing=()), None, WHY)
    assert "lower the bound in pyproject.toml" in problem


def test_it_is_kept_as_text_and_read_again(tmp_path):
    """A line for each key and difference, so that a change of one is a change of one line."""
    path = tmp_path / "measured.json"
    path.write_text(MEASURED.text())
    assert differences.kept(path) == MEASURED
    assert sum("plot_a" in line for line in path.read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ('[[reason]]\ntitle = "a"\nwhy = " "\nof = ["a"]', "entry 1: needs a title, why, and of"),
        ('[[reason]]\ntitle = "a"\nwhy = "b"\nof = ["a", "a"]', "entry 1: a has a reason already"),
    ],
)
def test_reasons_that_are_none(tmp_path, text, wrong):
    """An empty reason, and two for one difference, are errors."""
    path = tmp_path / "reasons.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=wrong):
        differences.reasons(path)


def test_this_book_is_as_it_was_measured():
    """What is kept has reasons, and is of the versions that the pages name."""
    measured = differences.kept()
    assert older.wrong(measured, differences.reasons()) == []
    assert {each.kind for each in measured.differences} <= differences.KINDS.keys()
    assert min(measured.counts.values()) > 60


@pytest.mark.parametrize(
    ("one", "other", "shown"),
    [
        ("a", "b", ("a", "b")),
        ("Same. a", "Same. b", ("… a", "… b")),
        ("a. Same.", "b. Same.", ("a. …", "b. …")),
        ("Same. Same. Same.", "Same. Same.", ("… Same. Same.", "… Same.")),
        ("", "Same.", ("", "Same.")),
    ],
)
def test_long_messages_are_cut_to_what_differs(one, other, shown):
    """Sentences that both begin or end with are left out, and never all of a text."""
    assert older.apart(one, other) == shown


def shown_on(env):
    directive = older.OlderPyTorch.__new__(older.OlderPyTorch)
    directive.state = SimpleNamespace(
        document=SimpleNamespace(settings=SimpleNamespace(env=env)),
        nested_parse=lambda lines, offset, node: node.append(nodes.paragraph("", lines[0])),
    )
    directive.get_location = lambda: "page:1"
    return "\n".join(node.astext() for node in directive.run())


def test_the_page_names_what_changed_since(monkeypatch):
    """A script that was changed is no part of the figures, and the page is read again."""
    env = SimpleNamespace(
        metadata={"page": {}},
        docname="page",
        found_docs={"page"},
        app=SimpleNamespace(
            builder=SimpleNamespace(format="html", get_relative_uri=lambda a, b: f"../{b}.html")
        ),
    )
    monkeypatch.setattr(differences, "kept", lambda: MEASURED)
    monkeypatch.setattr(differences, "reasons", lambda: WHY)
    monkeypatch.setattr(older, "torch_version", lambda: "2.13.0")
    monkeypatch.setattr(differences, "sources", lambda: {"examples/part/plot_a.py": "0"})
    text = shown_on(env)
    assert "2.8.0 shows the same as 2.13.0 for 1 of 2 gallery scripts, 3 of 3 examples" in text
    assert '<a href="../gallery/part/plot_a.html">part/plot_a</a>' in text
    assert "It is *another* name." in text
    assert "<code>output 0 of ExpBackward0</code>" in text
    assert "compared: examples" not in text
    assert older.outdated(None, env, set(), set(), set()) == []
    monkeypatch.setattr(differences, "sources", lambda: {"examples/part/plot_a.py": "1"})
    assert older.outdated(None, env, set(), set(), set()) == ["page"]
    assert "not compared: examples/part/plot_a.py." in shown_on(env)


def test_prose_that_changed_leaves_a_script_compared():
    """A title and a comment are not run; a line of code is."""
    script = 'r"""\nTitle\n=====\n"""\n\n# %%\n# A cell\nx = 1\n'
    worded = 'r"""\nAnother\n=======\n"""\n\n# %%\n# Some cell\n\nx = 1\n'
    assert differences.without_prose(script) == differences.without_prose(worded) == "x = 1"


PAGE = """\
# Page

```{testsetup}
y = 2
```

```{doctest}
>>> x = torch.ones(2)
>>> y
3
>>> 1 / 0
Traceback (most recent call last):
ZeroDivisionError: division by zero
>>> import backwardpass
```

## An entry

```{raises}
:draw: x
import torch
torch.ones(2) + torch.ones(3)
---
RuntimeError: The size of tensor a …
```
"""


def test_a_page_is_run_example_by_example(tmp_path, monkeypatch):
    """Names are shared, a message shown is compared, and nothing of this project is there."""
    monkeypatch.setattr(
        "sys.meta_path", [programs.Refusing(("backwardpass", "press")), *sys.meta_path]
    )
    monkeypatch.delitem(sys.modules, "backwardpass", raising=False)
    path = tmp_path / "page.md"
    path.write_text(PAGE)
    found = [(each["got"], each["passed"]) for each in shown.examples(path)]
    assert found == [
        ("", True),
        ("2", False),
        ("ZeroDivisionError: division by zero", True),
        ("ImportError: backwardpass is not there for a program that stands alone", False),
    ]


def test_a_program_of_the_error_index_is_run():
    """Known by the title above it; cut off where the page cuts its message off."""
    ((title, kind, code, written),) = shown.programs(PAGE)
    assert (title, kind) == ("An entry", "raises")
    assert shown.program(code, written) == {"printed": "", "message": written}
    other = shown.program(code, "ValueError: …")
    assert other["message"].startswith("RuntimeError: The size of tensor a (2)")


def test_a_process_that_dies_is_told():
    """A crash of PyTorch is an answer, and the next page is run."""
    assert shown.forked(lambda: os._exit(3))["error"].startswith("the process ended")
    assert shown.forked(lambda: 3) == {"found": 3}
    assert shown.forked(lambda: 1 / 0) == {"error": "ZeroDivisionError: division by zero"}
