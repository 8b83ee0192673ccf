"""Show what a script's live graph looked like, and the order in which the engine ran it.

``backward-graph``, ``backward-table`` and ``backward-steps`` read the script's sidecar, so a
table can show gradients that a later block of the script computed.
"""

import re
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx

from backwardpass import Graph, Step
from press.fences import Fence, Needs, directive, named_script
from press.observed.records import Observed
from press.show import node_rules
from press.show.directive import ObservedDirective
from press.show.stepper import View, stepper, view
from press.show.tables import framed, raw


def _shown_beside(fence: Fence) -> tuple[str, ...]:
    """The script of a drawing, and that of the one beside it."""
    other = fence.options.get("beside", "").rpartition(" ")[0].strip()
    return (fence.argument, other) if other else (fence.argument,)


@directive("backward-graph", Needs(scripts=_shown_beside))
class BackwardGraph(ObservedDirective):
    """The drawing of the n-th graph a script showed: ``:graph: n``, by default the first.

    ``:beside: graph/plot_other 2``, or ``:beside: 2`` for another graph of the same script, puts a
    second drawing next to it, and one bar of buttons steps through both.
    """

    option_spec = {
        "graph": directives.positive_int,
        "beside": directives.unchanged_required,
    }

    def show(self, script: Path, observed: Observed) -> list[nodes.Node]:
        asked = [(self.arguments[0], self.options.get("graph", 1))]
        if beside := self.options.get("beside"):
            name, _, number = beside.rpartition(" ")
            if not number.isdecimal():
                raise self.error(f'":beside: {beside}" does not end in the number of a graph')
            asked.append((name.strip() or asked[0][0], int(number)))
        again = self._again(tuple(asked))
        views = [self._view(*each, again) for each in asked]
        if None in views:
            return []  # why it could not be drawn is reported once, by the gallery
        for path in node_rules.sources():
            self.env.note_dependency(str(path))
        return [raw(stepper(views, again, self._href))]

    def _view(self, name: str, number: int, again: int) -> View | None:
        script, observed = self.observed(name)
        drawing = self.numbered(observed.drawings, number, "draws a graph", name)
        if not drawing.svg:
            return None
        svg = drawing.svg
        if again > 1:  # a name on a page is given once
            svg = re.sub(r"(bp-[0-9a-f]{12})-(?=title|desc)", rf"\1-{again}-", svg)
        return view(name, number, observed, script.read_text("utf-8"), drawn(svg))

    def _again(self, asked: tuple) -> int:
        """Which showing of these drawings this is on the page, counted from 1."""
        shown = self.env.temp_data.setdefault("bp-drawings", {})
        for each in asked:
            shown[each] = shown.get(each, 0) + 1
        return max(shown[each] for each in asked)

    def _href(self, docname: str) -> str:
        """Where a page of the book is, seen from this one."""
        return "../" * self.env.docname.count("/") + f"{docname}.html"


@directive("backward-table", Needs(scripts=named_script))
class BackwardTable(ObservedDirective):
    """Its shape table: step, operation, tensor, shape, gradient's shape, what is saved."""

    option_spec = {"graph": directives.positive_int}

    def show(self, script: Path, observed: Observed) -> list[nodes.Node]:
        number = self.options.get("graph", 1)
        drawing = self.numbered(observed.drawings, number, "draws a graph")
        table = drawing.table.replace('class="bp-table"', 'class="bp-table bp-shapes"', 1)
        return [raw(framed(table, "Shapes, node by node"))]


@directive("backward-steps", Needs(scripts=named_script))
class BackwardSteps(ObservedDirective):
    """The n-th backward pass a script ran, as its hooks saw it: ``:pass: n``."""

    option_spec = {"pass": directives.positive_int}

    def show(self, script: Path, observed: Observed) -> list[nodes.Node]:
        number = self.options.get("pass", 1)
        recorded = self.numbered(observed.passes, number, "runs a backward pass")
        steps = nodes.enumerated_list(enumtype="arabic", suffix=".", classes=["bp-steps"])
        for step in recorded.steps:
            item = nodes.list_item()
            item += _sentence(recorded.graph, step)
            steps += item
        return [steps]


def drawn(svg: str) -> str:
    """``svg`` in a frame that knows how wide it was drawn: it shrinks only as far as it is read."""
    width = re.search(r'\bwidth="([\d.]+)"', svg)[1]
    return (
        '<div class="bp-frame bp-drawing" role="group" aria-label="Backward graph" '
        f'style="--bp-drawn-width:{width}px">{svg}</div>'
    )


def _sentence(graph: Graph, step: Step) -> nodes.paragraph:
    """``TanhBackward0 (A) receives (5, 3) and sends to AddmmBackward0.``"""
    node = graph.nodes[step.node]
    sentence = nodes.paragraph()
    sentence += nodes.literal("", node.name)
    if node.label:
        sentence += nodes.Text(" of ")
        sentence += nodes.strong("", node.label)
    shapes = ["nothing" if arrived is None else str(arrived.shape) for arrived in step.cotangents]
    sentence += nodes.Text(f" receives {' and '.join(shapes)}")
    targets = [graph.nodes[edge.target] for edge in node.edges if edge.target is not None]
    if targets:
        sentence += nodes.Text(" and sends to ")
        for place, target in enumerate(targets):
            if place:
                sentence += nodes.Text(", ")
            sentence += nodes.literal("", target.name)
            if target.label:
                sentence += nodes.Text(f" of {target.label}")
    elif node.kind == "accumulate":
        sentence += nodes.Text(", and adds it to ")
        sentence += nodes.literal("", f"{node.label or 'the leaf'}.grad")
    sentence += nodes.Text(".")
    return sentence


def setup(app: Sphinx) -> None:
    app.add_js_file("stepper.js", defer="")
