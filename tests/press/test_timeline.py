"""The timeline is the one place where the steps of a build are connected, and it is complete."""

import ast
import inspect
import re
from pathlib import Path
from types import SimpleNamespace

import press
import pytest
from press import timeline
from sphinx.errors import ExtensionError

PRESS = Path(press.__path__[0])
SOURCES = {path: path.read_text("utf-8") for path in sorted(PRESS.rglob("*.py"))}


def test_nothing_connects_anywhere_else():
    """No other module of the press has a call of ``connect``."""
    connecting = [
        path.relative_to(PRESS).as_posix()
        for path, source in SOURCES.items()
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "connect"
    ]
    assert connecting == ["timeline.py"]


def test_every_module_that_registers_is_loaded():
    """Each module with a ``setup`` is in the table of modules, once, but for the table itself."""
    registering = {
        ".".join(("press", *path.relative_to(PRESS).with_suffix("").parts))
        for path, source in SOURCES.items()
        if re.search(r"^def setup\(app", source, re.MULTILINE)
    }
    names = [module.__name__ for module in timeline.MODULES]
    assert {*names, "press.timeline"} == registering
    assert len(set(names)) == len(names)


def test_each_step_stands_once():
    """No step is in the table twice."""
    steps = [str(step) for step in timeline.STEPS]
    assert len(set(steps)) == len(steps)


def test_steps_of_one_event_stand_in_the_order_they_are_called():
    """The table can be read from top to bottom: within an event priorities never fall."""
    seen: dict[str, int] = {}
    for step in timeline.STEPS:
        assert step.priority >= seen.get(step.event, 0), step
        seen[step.event] = step.priority


def test_another_priority_has_its_reason_beside_it():
    """A step that is not called at the usual priority says why, or stands by one that does."""
    lines = inspect.getsource(timeline).splitlines()
    table = [line for line in lines if re.match(r"    Step\(", line)]
    assert len(table) == len(timeline.STEPS)
    reasons = {line.split("(")[1].split(",")[0]: "" for line in table}
    for line in table:
        if re.search(r", \d+\)", line):
            event = line.split("(")[1].split(",")[0]
            reasons[event] += line.partition("#")[2]
    changed = [line for line in table if re.search(r", \d+\)", line)]
    assert [line for line in changed if not reasons[line.split("(")[1].split(",")[0]]] == []


def test_a_step_outside_the_table_is_refused(monkeypatch):
    """A module that connects by itself ends the build with what to do; others may connect."""

    def step(app: object) -> None:
        pass

    step.__module__ = "press.show.new"
    connected = []
    app = SimpleNamespace()

    def connect(*arguments):
        connected.append(arguments)

    app.add_config_value = lambda *arguments: None
    app.connect = connect
    app.add_directive = connect
    theirs = SimpleNamespace(setup=lambda app: app.connect("doctree-read", print))
    ours = SimpleNamespace(setup=lambda app: app.connect("doctree-read", step))
    monkeypatch.setattr(timeline, "MODULES", (theirs, ours))
    with pytest.raises(ExtensionError, match=r"press\.show\.new connects step to doctree-read .*"):
        timeline.setup(app)
    assert [arguments[:2] for arguments in connected] == [("doctree-read", print)]


def test_a_directive_that_declares_nothing_is_refused(monkeypatch):
    """A directive of the press that does not say what it needs ends the build with what to do."""
    silent = type("Silent", (), {"__module__": "press.show.new"})
    added = []
    app = SimpleNamespace(
        add_config_value=lambda *arguments: None,
        connect=lambda *arguments: None,
        add_directive=lambda name, *arguments: added.append(name),
    )
    theirs = SimpleNamespace(setup=lambda app: app.add_directive("theirs", SimpleNamespace))
    ours = SimpleNamespace(setup=lambda app: app.add_directive("silent", silent))
    monkeypatch.setattr(timeline, "MODULES", (theirs, ours))
    with pytest.raises(ExtensionError) as raised:
        timeline.setup(app)
    assert added == ["theirs"]
    assert str(raised.value) == (
        "press.show.new adds the directive silent and does not say what it needs; write "
        '@fences.directive("silent", fences.Needs(...)) above its class instead'
    )
