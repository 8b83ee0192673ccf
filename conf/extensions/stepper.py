"""Step through a recorded pass: the drawing, a list of what happened, and a bar of buttons.

The list is the data.  Each of its items names the node it is about and the edges it is sent along,
so that ``_static/stepper.js`` has only to show one item at a time and to point at the drawing.
Without JavaScript, and on paper, the drawing and the whole list stand.
"""

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from html import escape
from itertools import zip_longest

from . import code_lines, mathematics, node_rules

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


@dataclass
class Phase:
    """A stretch of steps: the forward pass, or one backward pass."""

    title: str
    items: list[str] = field(default_factory=list)
    line: int | None = None  # of the script, which started it


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


def view(name: str, number: int, observed: dict, source: str, svg: str) -> View:
    """The n-th drawing of a script, ``svg`` in its frame, with the steps recorded over it."""
    drawing = observed["drawings"][number - 1]
    phases = [_forward(drawing, source), *_backward(drawing, observed["passes"])]
    phases = [phase for phase in phases if phase.items]
    ran = {node["name"] for node in drawing["graph"]["nodes"]}
    rules = {name: rule for name in sorted(ran) if (rule := node_rules.rule_of(name))}
    return View(name, number, drawing["title"], svg, phases, rules)


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
    from .operator_pages import label

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

    >>> view_count([View("a", 1, "", "", [Phase("Forward", ["<li></li>"] * 3)], {})])
    '3 steps were recorded.'
    """
    return f"{' and '.join(str(view.steps) for view in views)} steps were recorded."


def _listed(phase: Phase) -> str:
    items = "".join(phase.items)
    line = "" if phase.line is None else f' data-line="{phase.line}"'
    title = f'<p class="bp-phase-title">{escape(phase.title)}</p>'
    return f'{title}<ol class="bp-steps"{line}>{items}</ol>'


def _item(
    node: int | None,
    edges: list[str],
    sentences: list[str],
    arrived: list[str] = (),
    freed: bool = False,
    rule: str = "",
    line: int | None = None,
) -> str:
    """One step; its sentences are HTML, what comes from a script in them escaped."""
    about = "" if node is None else f' data-node="{node}"'
    sent = f' data-edges="{" ".join(edges)}"' if edges else ""
    came = f' data-from="{" ".join(arrived)}"' if arrived else ""
    gone = " data-freed" if freed else ""
    applies = f' data-rule="{escape(rule)}"' if rule else ""
    stands = "" if line is None else f' data-line="{line}"'
    return f"<li{about}{sent}{came}{gone}{applies}{stands}>{' '.join(sentences)}</li>"


# --- The forward pass ----------------------------------------------------------------------------


def _forward(drawing: dict, source: str) -> Phase:
    """When each node was recorded, by which line, and what it saved."""
    phase = Phase("Forward")
    nodes = drawing["graph"]["nodes"]
    lines = source.splitlines()
    made_by = assignments(source)
    for index in drawing.get("recorded", ()):
        node = nodes[index]
        line = _line(drawing, index) or _line_of(node, made_by, drawing["line"])
        by = f" by <code>{escape(lines[line - 1].strip())}</code>" if line else ""
        said = [f"{_name(node)} is recorded{by}."]
        if node["saved"]:
            said.append(f"It saves {_joined(map(_saved, node['saved']))}.")
        elif node["kind"] != "accumulate":
            said.append("It saves nothing.")
        targets = [edge["target"] for edge in node["edges"] if edge["target"] is not None]
        if targets:
            said.append(f"Its edges lead to {_joined(_name(nodes[t]) for t in targets)}.")
        phase.items.append(_item(index, list(_edges(node)), said, line=line))
    return phase


def _line(drawing: dict, index: int | None) -> int | None:
    """The line that recorded a node of the drawing, as it was observed."""
    lines = drawing.get("lines")
    return lines[index] if lines and index is not None else None


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


def _line_of(node: dict, made_by: dict[str, list[int]], drawn_on: int) -> int | None:
    """The last line before the drawing that binds the name of the node's result.

    So the lines of an engine are found that PyTorch does not count the nodes of.
    """
    if node["kind"] == "accumulate" or not node["label"]:
        return None
    before = [line for line in made_by.get(node["label"], ()) if line <= drawn_on]
    return max(before, default=None)


# --- A backward pass -----------------------------------------------------------------------------


def _backward(drawing: dict, passes: list[dict]) -> Iterator[Phase]:
    ran = dict(list(drawing.get("passes", {}).items())[:MOST_PASSES])
    for number, (index, same) in enumerate(ran.items(), start=1):
        recorded = passes[int(index)]
        title = "Backward" if len(ran) == 1 else f"Backward {number}"
        options = [name for name in ("retain_graph", "create_graph") if recorded[name]]
        if options:
            title += f" ({', '.join(options)})"
        phase = Phase(title, line=recorded["line"])
        senders: dict[int, list[tuple[int, int]]] = {}
        for step in recorded["steps"]:
            item = _ran(recorded["graph"]["nodes"], step, same, senders, drawing)
            phase.items.append(item)
        if recorded["error"]:
            told = recorded["error"].strip().splitlines()[0]
            phase.items.append(_item(None, [], [f"It raises: {escape(told)}"]))
        yield phase


def _ran(nodes: list[dict], step: dict, same: dict, senders: dict, drawing: dict) -> str:
    """What one node received, sent on, let go of and wrote."""
    node = nodes[step["node"]]
    shown = same.get(str(step["node"]))
    said = [f"{_name(node)} receives {_arrived(step)}"]
    came_from = senders.get(node["index"], [])
    if len(came_from) > 1:
        names = _joined(_name(nodes[sender]) for sender, _ in came_from)
        said[0] += f", the sum of {len(came_from)} cotangents, from {names}"
    said[0] += "."
    for place in _places(node):
        target = node["edges"][place]["target"]
        senders.setdefault(target, []).append((node["index"], place))
    if _places(node):
        said.append(f"It sends {_sent(nodes, node)}.")
    if step.get("freed"):
        said.append(f"It lets go of {_joined(f'<code>{escape(f)}</code>' for f in step['freed'])}.")
    if step.get("wrote"):
        said.append(_wrote(node, step["wrote"]))
    edges = [] if shown is None else [f"{shown}-{place}" for place in _places(node)]
    arrived = [f"{same[str(sender)]}-{place}" for sender, place in came_from if str(sender) in same]
    rule = node["name"] if node_rules.rule_of(node["name"]) else ""
    freed, line = bool(step.get("freed")), _line(drawing, shown)
    return _item(shown, edges, said, arrived, freed, rule, line)


def _sent(nodes: list[dict], node: dict) -> str:
    parts = []
    for edge in node["edges"]:
        if edge["target"] is None:
            continue
        target = nodes[edge["target"]]
        outputs = target["outputs"]
        shape = outputs[edge["input_nr"]]["shape"] if edge["input_nr"] < len(outputs) else None
        parts.append(f"{_shape(shape)} to {_name(target)}")
    return _joined(parts)


def _wrote(node: dict, wrote: dict) -> str:
    grad = f"<code>{escape(node['label'] or 'the leaf')}.grad</code>"
    tensor = wrote.get("tensor")
    shape = None if tensor is None else tensor["shape"]
    now = _values(wrote.get("values"), shape) or ("" if shape is None else _shape(shape))
    holds = f" and holds {now}" if now else ""
    if wrote["how"] == "created":
        return f"{grad} was <code>None</code>; it is created{holds}."
    if wrote["how"] == "added in place":
        return f"It is added to {grad} in place{', which now' + holds[4:] if now else ''}."
    if wrote["how"] == "new":
        return f"{grad} is replaced by the sum{', which' + holds[4:] if now else ''}."
    return f"{grad} is {escape(wrote['how'])}."


def _arrived(step: dict) -> str:
    parts = []
    for place, cotangent in enumerate(step["cotangents"]):
        if cotangent is None:
            parts.append("nothing")
            continue
        values = _values((step.get("values") or {place: None})[place], cotangent["shape"])
        norm = (step.get("norms") or {place: None})[place]
        about = values or (f"norm {_number(norm)}" if norm is not None else "")
        parts.append(f"{_shape(cotangent['shape'])}{f', {about}' if about else ''}")
    return " and ".join(parts) or "nothing"


def _values(values: list | None, shape: list | None) -> str:
    """Numbers that are listed row by row, as the tensor of that shape is printed."""
    if not values:
        return ""
    if not shape or len(values) == 1:
        return f"<code>{_number(values[0])}</code>"
    css = ' class="bp-matrix"' if len(shape) > 1 else ""
    return f"<code{css}>{_nested(list(map(_number, values)), shape)}</code>"


def _nested(numbers: list[str], shape: list[int], depth: int = 1) -> str:
    """A tensor as PyTorch prints it: a row a line.

    >>> print(_nested(list("abcdef"), [3, 2]))
    [[a, b],
     [c, d],
     [e, f]]
    """
    if len(shape) == 1:
        return f"[{', '.join(numbers)}]"
    each = len(numbers) // shape[0]
    rows = (numbers[at : at + each] for at in range(0, len(numbers), each))
    between = "," + "\n" * (len(shape) - 1) + " " * depth
    return f"[{between.join(_nested(row, shape[1:], depth + 1) for row in rows)}]"


def _number(value: object) -> str:
    if isinstance(value, list):  # a complex number
        sign = "" if str(value[1]).startswith("-") else "+"
        return f"{_number(value[0])}{sign}{_number(value[1])}i"
    return escape(f"{value:.4g}" if isinstance(value, float) else str(value))


# --- Words ---------------------------------------------------------------------------------------


def _name(node: dict) -> str:
    label = f" of <strong>{escape(node['label'])}</strong>" if node["label"] else ""
    return f"<code>{escape(node['name'])}</code>{label}"


def _saved(saved: dict) -> str:
    what = escape(saved["source"] or saved["field"])
    bytes_of = "" if saved["nbytes"] is None else f" ({saved['nbytes']:,} B)"
    return f"<code>{what}</code>{bytes_of}"


def _shape(shape: list | None) -> str:
    return "nested" if shape is None else escape(str(tuple(shape)))


def _joined(parts) -> str:
    *most, last = parts
    return f"{', '.join(most)} and {last}" if most else last


def _places(node: dict) -> list[int]:
    return [place for place, edge in enumerate(node["edges"]) if edge["target"] is not None]


def _edges(node: dict) -> Iterator[str]:
    for place in _places(node):
        yield f"{node['index']}-{place}"


TAGS = re.compile(r"<[^>]+>")


def plain(item: str) -> str:
    """The text of an item, without its markup.

    >>> plain('<li data-node="1"><code>Exp</code> runs.</li>')
    'Exp runs.'
    """
    return TAGS.sub("", item)
