"""Step through a recorded pass: the drawing, a list of what happened, and a bar of buttons.

The list is the data.  Each of its items names the node it is about and the edges it is sent along,
so that ``_static/stepper.js`` has only to show one item at a time and to point at the drawing.
Without JavaScript, and on paper, the drawing and the whole list stand.
"""

import ast
from collections.abc import Callable
from dataclasses import dataclass, replace
from html import escape
from itertools import zip_longest

from backwardpass import Graph, Node
from backwardpass.show import steps
from backwardpass.show.steps import Phase
from press.observed.records import Observed
from press.page import code_lines, mathematics
from press.show import node_rules

# A list longer than this is not printed below a drawing: nobody steps through it.
MOST_STEPS = 400
MOST_PASSES = 3

BUTTONS = (
    ("first", "|‹", "To the beginning"),
    ("back", "‹", "One step back"),
    ("next", "›", "One step on"),
    ("last", "›|", "To the end"),
    ("play", "Play", "Play"),
)

# Seen without JavaScript, in a browser that is too old, and where the script does not arrive.
WITHOUT = (
    "The whole recording, step by step. Buttons that show one step at a time, and point at it in "
    "the drawing, need JavaScript and a browser of 2022 or newer."
)


@dataclass(frozen=True)
class View:
    """One drawing, and what was recorded over it."""

    name: str
    number: int
    title: str
    svg: str
    phases: list[Phase]
    rules: dict[str, node_rules.Shown]

    @property
    def steps(self) -> int:
        return sum(len(phase.items) for phase in self.phases)

    @property
    def identity(self) -> str:
        return f"{code_lines.stem(self.name)}-{self.number}"


def view(name: str, number: int, observed: Observed, source: str, svg: str) -> View:
    """The n-th drawing of a script, ``svg`` in its frame, with the steps recorded over it."""
    drawing = observed.drawings[number - 1]
    graph = drawing.graph
    lines = {index: line for index, line in enumerate(drawing.lines) if line}
    written = _written(graph, lines, drawing.line, source)
    ran = list(drawing.passes.items())[:MOST_PASSES]
    passes = [(observed.passes[index], places) for index, places in ran]
    phases = [
        steps.forward(graph, drawing.recorded, written),
        *steps.backward(passes, lines),
    ]
    phases = [phase for phase in phases if phase.items]
    names = sorted({node.name for node in graph.nodes})
    rules = {name: rule for name in names if (rule := node_rules.rule_of(name))}
    return View(name, number, drawing.title, svg, phases, rules)


def stepper(views: list[View], again: int = 1, href: Callable[[str], str] = str) -> str:
    """HTML of one drawing, or of several with one bar of buttons for all.

    A drawing that no pass was recorded over is returned as it is.

    Parameters
    ----------
    again
        Which showing of these drawings this is on their page: names on a page are given once.
    href
        Where a page of the book is, seen from the page that shows them.
    """
    # Side by side stands what each of them has: no pass runs beside nothing.
    fewest = min(len(view.phases) for view in views)
    views = [replace(view, phases=view.phases[:fewest]) for view in views]
    count = max(view.steps for view in views)
    if any(len(view.phases) < 2 for view in views):
        return "".join(view.svg for view in views)
    if count > MOST_STEPS:
        told = (
            f"{count:,} steps were recorded over this drawing, more than the {MOST_STEPS} that are "
            "listed. <code>backwardpass.record</code> has them all."
        )
        return "".join(view.svg for view in views) + f'<p class="bp-too-long">{told}</p>'
    identity = "steps-" + "-beside-".join(view.identity for view in views)
    identity += f"-again-{again}" if again > 1 else ""
    told = " and ".join(view.title for view in views)
    shown = "".join(_shown(view, len(views) > 1, href) for view in views)
    return (
        f'<div class="bp-stepper" id="{escape(identity)}" role="group" '
        f'aria-label="Step through {escape(told)}">'
        f'<div class="bp-views">{shown}</div>{_controls(views, count)}</div>'
    )


def _shown(view: View, titled: bool, href: Callable[[str], str]) -> str:
    title = f'<p class="bp-view-title">{escape(view.title)}</p>' if titled else ""
    return (
        f'<div class="bp-view" data-recording="{escape(view.name)} {view.number}" '
        f'data-code="{escape(code_lines.prefix(view.name))}">{title}{view.svg}'
        f'<div class="bp-told"><p class="bp-without">{WITHOUT}</p>'
        f"{''.join(map(_listed, view.phases))}{_rules(view, href)}</div></div>"
    )


def _rules(view: View, href: Callable[[str], str]) -> str:
    """The formula behind each kind of node; the bar shows that of the node which runs."""
    from press.show.operator_pages import label

    found = []
    for name, rule in view.rules.items():
        place = f"{href(f'operators/{rule.family}')}#{label(rule.name)}"
        formula = mathematics.render(rule.latex)
        found.append(
            f'<li data-name="{escape(name)}"><code>{escape(name)}</code> applies the rule of '
            f'<span class="bp-formula"><a href="{escape(place)}">{escape(rule.name)}</a>: '
            f"{formula}</span></li>"
        )
    return f'<p class="bp-phase-title">Rules</p><ul class="bp-rules">{"".join(found)}</ul>' * bool(
        found
    )


def _controls(views: list[View], count: int) -> str:
    buttons = "".join(
        f'<button type="button" data-go="{go}" aria-label="{label}" title="{label}">'
        f'<span aria-hidden="true">{sign}</span></button>'
        for go, sign, label in BUTTONS
    )
    starts, at = [], 1
    for phases in zip_longest(*(view.phases for view in views)):
        titles = dict.fromkeys(phase.title for phase in phases if phase)
        title = escape(" / ".join(titles))
        starts.append(f'<button type="button" class="bp-phase" data-to="{at}">{title}</button>')
        at += max(len(phase.items) for phase in phases if phase)
    opening = f"{view_count(views)} Press ›, or the right arrow key."
    said = f'<p class="bp-said" role="status">{opening}</p>'
    said += '<p class="bp-said" role="status"></p>' * (len(views) - 1)
    return (
        f'<div class="bp-controls"><div class="bp-saids">{said}</div>'
        f'<div class="bp-buttons">{buttons}'
        f'<a class="bp-share" href="#" title="Link to this step">Link</a></div>'
        f'<input type="range" min="0" max="{at - 1}" value="0" aria-label="Step">'
        f'<div class="bp-phases">{"".join(starts)}</div></div>'
    )


def view_count(views: list[View]) -> str:
    """How many steps there are.

    >>> view_count([View("a", 1, "", "", [Phase("Forward", [steps.Item(())] * 3)], {})])
    '3 steps were recorded.'
    """
    return f"{' and '.join(str(view.steps) for view in views)} steps were recorded."


def _listed(phase: Phase) -> str:
    return steps.listed(phase, node_rules.rule_of)


def _written(
    graph: Graph, lines: dict[int, int], drawn_on: int, source: str
) -> dict[int, tuple[int, str]]:
    """The line that recorded each node, as it was observed or as the script names its result."""
    text, made_by = source.splitlines(), assignments(source)
    found = {node.index: _line_of(node, made_by, drawn_on) for node in graph.nodes} | lines
    return {index: (line, text[line - 1].strip()) for index, line in found.items() if line}


def assignments(source: str) -> dict[str, list[int]]:
    """The lines on which a script binds each name, at its top level.

    >>> assignments("x = 1\\ny = x.exp()\\nx, z = y")
    {'x': [1, 3], 'y': [2], 'z': [3]}
    """
    found: dict[str, list[int]] = {}
    for statement in ast.parse(source).body:
        if not isinstance(statement, ast.Assign) or statement.lineno != statement.end_lineno:
            continue
        for target in statement.targets:
            for name in ast.walk(target):
                if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store):
                    found.setdefault(name.id, []).append(statement.lineno)
    return found


def _line_of(node: Node, made_by: dict[str, list[int]], drawn_on: int) -> int | None:
    """The last line before the drawing that binds the name of the node's result.

    So the lines of an engine are found that PyTorch does not count the nodes of.
    """
    if node.kind == "accumulate" or not node.label:
        return None
    return max((line for line in made_by.get(node.label, ()) if line <= drawn_on), default=None)
