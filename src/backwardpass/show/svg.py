"""Draw a graph as an SVG element that can stand in a page, and follows the page's colours.

Kinds are told apart by shape and words as well as colour: operations have round corners, leaves
square ones and a band on the left, Python functions cut corners.
"""

import hashlib
import math
import os
import re
from collections.abc import Sequence
from html import escape

from backwardpass.data.graph import GraphData
from backwardpass.show.boxes import BADGE, BAND, LEADING, SIZES, Arrow, Box, Line
from backwardpass.show.drawing import draw
from backwardpass.show.frames import FRAME_FONT, Frame, flat
from backwardpass.show.layout import Layout, Point, Size
from backwardpass.show.palette import attributes, style
from backwardpass.show.words import clean, label_text, shapes_text

MARGIN = 10.0
MOST_DESCRIBED = 60
NOTE_FONT = 11.0
FONT = "ui-monospace, SFMono-Regular, Menlo, Consolas, monospace"

STYLE = f".bp-graph text{{font-family:var(--bp-font,{FONT})}}" + style()


def to_svg(
    graph: GraphData,
    title: str | None = None,
    description: str | None = None,
    prefix: str | None = None,
    max_nodes: int | None = 200,
    timeout: float = 60.0,
) -> str:
    """Draw the graph as an SVG element that can stand in a page.

    Nodes that ran inside :func:`modules` are framed by module. Colours are CSS variables
    (``--bp-...``) with fallbacks that read on white.

    Parameters
    ----------
    title, description
        The accessible name and description; by default both are made from the graph.
    prefix
        Start of the two element ids; by default a hash of the picture. Needed only where one
        page shows the same picture twice.
    max_nodes
        Above so many nodes repeated blocks and then the middle are folded into boxes that say
        how many nodes they stand for; ``None`` folds nothing.
    timeout
        Seconds that Graphviz may take to lay the graph out, in a process of its own.

    Notes
    -----
    A graph in which many edges pass by many others is drawn without shapes beside the edges, or
    with more of it folded than `max_nodes` asks for; and without frames, where Graphviz fails on
    them. A line below the picture says so, and so does its description.

    Raises
    ------
    RuntimeError
        If neither pygraphviz nor the program ``dot`` is there to lay the graph out, or it fails
        whatever is left out.
    LayoutTimeoutError
        If the layout takes longer than `timeout`; it is a `RuntimeError`.
    ValueError
        If `max_nodes` is below 3, or `title` is a file's name: see :meth:`Graph.save`.

    Examples
    --------
    >>> import torch, backwardpass
    >>> x = torch.ones(2, requires_grad=True)
    >>> svg = backwardpass.trace(x.sum()).to_svg(title="A sum")
    >>> svg.startswith("<svg "), "<title id=" in svg
    (True, True)
    """
    refuse_path(title)
    drawing = draw(graph, max_nodes, timeout)
    layout, frames = drawing.layout, flat(drawing.frames)
    picture = _picture(drawing.boxes, drawing.arrows, frames, layout)
    title = clean(title if title is not None else _title(graph))
    folded = [box.tooltip for box in drawing.boxes if box.kind == "fold"]
    description = clean(description if description is not None else _description(graph, folded))
    size = layout.size
    if drawing.note:
        description = f"{description} {drawing.note}"
        picture += f"\n{_note(drawing.note, size)}"
        size = max(size[0], len(drawing.note) * 0.6 * NOTE_FONT), size[1] + 2 * NOTE_FONT
    if prefix is None:
        digest = hashlib.sha256("\n".join([title, description, picture]).encode())
        prefix = f"bp-{digest.hexdigest()[:12]}"
    return _element(size, title, description, escape(prefix), picture)


def refuse_path(title: str | None) -> None:
    """Raise where a path was given in the place of a title."""
    path = isinstance(title, os.PathLike)
    if path or (isinstance(title, str) and re.fullmatch(r"\S+\.(svg|png|pdf|dot|json)", title)):
        raise ValueError(
            "to_svg() returns the picture, and takes a title for it;\n"
            f"got {str(title)!r}, which looks like a file's name.\n"
            f"Write the file with graph.save({str(title)!r})."
        )


def _note(text: str, size: Size) -> str:
    """Write below the picture what was left out of it."""
    return (
        f'<text class="bp-note"{attributes(".bp-note")} x="0" y="{_n(size[1] + 1.6 * NOTE_FONT)}" '
        f'font-size="{NOTE_FONT:g}">{escape(text)}</text>'
    )


def _picture(
    boxes: Sequence[Box], arrows: Sequence[Arrow], frames: Sequence[Frame], layout: Layout
) -> str:
    """Draw frames and lines below the boxes, heads and labels above them."""
    places = [point for curve in layout.curves for point in _along(curve)]
    body = [_frame(frame, *layout.frames[frame.path], places) for frame in frames]
    solid = [boxes[arrow.head].kind != "stub" for arrow in arrows]
    drawn = list(zip(arrows, layout.curves, solid, strict=True))
    body += [_line(arrow, curve, real) for arrow, curve, real in drawn]
    tips: list[list[Point]] = [[] for _ in boxes]
    for arrow, curve, _ in drawn:
        tips[arrow.head].append(curve[-1])
    body += [_box(*each) for each in zip(boxes, layout.centres, tips, strict=True)]
    body += [_head(arrow, curve) for arrow, curve, real in drawn if real]
    body += [
        _edge_label(arrow, arrow.label, centre)
        for arrow, centre in zip(arrows, layout.labels, strict=True)
        if arrow.label is not None and centre is not None
    ]
    return "\n".join(body)


def _element(size: Size, title: str, description: str, prefix: str, picture: str) -> str:
    width, height = (side + 2 * MARGIN for side in size)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="bp-graph" role="img" '
        f'aria-labelledby="{prefix}-title {prefix}-desc" '
        f'viewBox="{-MARGIN:g} {-MARGIN:g} {_n(width)} {_n(height)}" width="{_n(width)}" '
        f'height="{_n(height)}" style="max-width:100%;height:auto" font-family="{FONT}">\n'
        f'<title id="{prefix}-title">{escape(title)}</title>\n'
        f'<desc id="{prefix}-desc">{escape(description)}</desc>\n'
        f"<style>{STYLE}</style>\n{picture}\n</svg>"
    )


def _title(graph: GraphData) -> str:
    roots = [label_text(graph.nodes[root]) or clean(graph.nodes[root].name) for root in graph.roots]
    return f"Backward graph of {', '.join(roots)}" if roots else "Backward graph without nodes"


def _description(graph: GraphData, folded: list[str]) -> str:
    sentences = [f"Nodes {fold}." for fold in folded]
    for node in graph.nodes[:MOST_DESCRIBED]:
        what = " ".join(part for part in (label_text(node), shapes_text(node.outputs)) if part)
        to = [
            "an input without gradient" if edge.target is None else str(edge.target + 1)
            for edge in node.edges
        ]
        sends = f", sends to {' and '.join(to)}" if to else ""
        sentences.append(f"{node.index + 1}: {clean(node.name)}, {what}{sends}.")
    if len(graph.nodes) > MOST_DESCRIBED:
        sentences.append(f"And {len(graph.nodes) - MOST_DESCRIBED} more.")
    return f"{len(graph.nodes)} nodes in the engine's order. " + " ".join(sentences)


def _n(number: float) -> str:
    """Write a coordinate: one decimal, and no minus zero."""
    return f"{round(number, 1) + 0.0:g}" if abs(number) < 100_000 else f"{number:.1f}"


def _box(box: Box, centre: Point, tips: list[Point]) -> str:
    width, height = box.size
    left, top = centre[0] - width / 2, centre[1] - height / 2
    parts = [f'<g class="bp-node bp-{box.kind}"{_stands_for(box)}>']
    if box.tooltip:
        parts.append(f"<title>{escape(box.tooltip)}</title>")
    if box.kind != "stub":
        parts.append(_outline(box.kind, left, top, width, height))
    middle = centre[0] + (BAND / 2 if box.kind == "accumulate" else 0)
    baseline = centre[1] - sum(line.height for line in box.lines) / 2
    for line in box.lines:
        shade = "note" if line.style == "note" else "text"
        weight = ' font-weight="600"' if line.style in ("name", "leaf") else ""
        parts.append(
            f'<text class="bp-{shade}" x="{_n(middle)}" '
            f'y="{_n(baseline + SIZES[line.style] * (LEADING / 2 + 0.34))}" text-anchor="middle" '
            f'font-size="{SIZES[line.style]:g}"{weight}{attributes(f".bp-{shade}")}>'
            f"{escape(line.text)}</text>"
        )
        baseline += line.height
    if box.node is not None:
        corners = [(left + 1, top + 1), (left + width - 1, top + 1)]
        # The left corner, unless an arrow ends there.
        free = [at for at in corners if all(math.dist(at, tip) > BADGE + 2 for tip in tips)]
        parts.append(_badge(box.node + 1, *(free or corners)[0]))
    return "".join([*parts, "</g>"])


def _stands_for(box: Box) -> str:
    """Say which nodes a box stands for, so that a page can point at it: ``3``, or ``3-17``."""
    if box.node is not None:
        return f' data-node="{box.node}"'
    return "" if box.folded is None else ' data-node="{}-{}"'.format(*box.folded)


def _belongs_to(arrow: Arrow) -> str:
    """Say which edge a part of the picture belongs to: the node it leaves, and its place there."""
    return "" if arrow.edge is None else ' data-edge="{}-{}"'.format(*arrow.edge)


def _along(curve: tuple[Point, ...]) -> list[Point]:
    """List points along a curve, close enough that none passes through a word unseen."""
    found = []
    for start in range(0, len(curve) - 3, 3):
        a, b, c, d = curve[start : start + 4]
        pieces = max(2, int(math.dist(a, d) / 4))
        for step in range(pieces + 1):
            s = step / pieces
            r = 1 - s
            weighted = list(
                zip((r**3, 3 * r * r * s, 3 * r * s * s, s**3), (a, b, c, d), strict=True)
            )
            found.append(
                (sum(w * x for w, (x, _) in weighted), sum(w * y for w, (_, y) in weighted))
            )
    return found


def _frame(frame: Frame, corner: Point, opposite: Point, lines: list[Point]) -> str:
    """Draw the frame around a module's nodes, its path in the corner that no arrow crosses."""
    (left, top), (right, bottom) = corner, opposite
    wide = frame.label_size[0]
    # The left one where both are free, and where neither is.
    starts = [left + 7, right - 7 - wide]
    free = [
        start
        for start in starts
        if not any(
            start - 3 < x < start + wide + 3 and top - 1 < y < top + 19 for x, y in lines
        )
    ]  # fmt: skip
    start = (free or starts)[0]
    return (
        f'<g class="bp-module"><title>{escape(clean(frame.path))}</title>'
        f'<rect class="bp-line"{attributes(".bp-line")} fill="none" stroke-width="1" '
        f'stroke-opacity="0.6" x="{_n(left)}" y="{_n(top)}" width="{_n(right - left)}" '
        f'height="{_n(bottom - top)}" rx="6"/>'
        f'<text class="bp-note"{attributes(".bp-note")} x="{_n(start)}" y="{_n(top + 15)}" '
        f'font-size="{FRAME_FONT:g}">'
        f"{escape(frame.text)}</text></g>"
    )


def _outline(kind: str, left: float, top: float, width: float, height: float) -> str:
    if kind == "fold":
        return (
            f'<rect class="bp-line"{attributes(".bp-line")} fill="none" stroke-width="1.3" '
            f'stroke-dasharray="5 3" x="{_n(left)}" y="{_n(top)}" width="{_n(width)}" '
            f'height="{_n(height)}" rx="3"/>'
        )
    look = f'class="bp-box"{attributes(f".bp-{kind} .bp-box")} stroke-width="1.4"'
    if kind == "function":
        cut = 9.0
        right, bottom = left + width, top + height
        corners = [
            (left + cut, top), (right - cut, top), (right, top + cut), (right, bottom - cut),
            (right - cut, bottom), (left + cut, bottom), (left, bottom - cut), (left, top + cut),
        ]  # fmt: skip
        points = " ".join(f"{_n(x)},{_n(y)}" for x, y in corners)
        return f'<polygon {look} points="{points}"/>'
    radius = 8 if kind == "operation" else 1
    place_of = f'x="{_n(left)}" y="{_n(top)}" height="{_n(height)}"'
    rect = f'<rect {look} {place_of} width="{_n(width)}" rx="{radius}"/>'
    if kind == "accumulate":
        band = attributes(".bp-accumulate .bp-band")
        rect += f'<rect class="bp-band"{band} {place_of} width="{BAND:g}"/>'
    return rect


def _badge(step: int, x: float, y: float) -> str:
    """Write the step number in a disc, or a pill where it has many digits, on the box's corner."""
    text = str(step)
    half = BADGE + 3.0 * max(0, len(text) - 2)
    return (
        f'<rect class="bp-badge"{attributes(".bp-badge")} x="{_n(x - half)}" y="{_n(y - BADGE)}" '
        f'width="{_n(2 * half)}" height="{_n(2 * BADGE)}" rx="{_n(BADGE)}"/>'
        f'<text class="bp-text"{attributes(".bp-text")} x="{_n(x)}" y="{_n(y + 3.6)}" '
        f'text-anchor="middle" font-size="10.5">{text}</text>'
    )


def _line(arrow: Arrow, curve: tuple[Point, ...], solid: bool) -> str:
    points = [f"{_n(x)},{_n(y)}" for x, y in curve]
    pieces = "".join(f"C{' '.join(points[i : i + 3])}" for i in range(1, len(points), 3))
    kind, dashes = ("", "") if solid else (" bp-no-gradient", ' stroke-dasharray="3 3"')
    return (
        f'<path class="bp-edge{kind} bp-line"{_belongs_to(arrow)}{attributes(".bp-line")} '
        f'fill="none" stroke-width="1.3"{dashes} d="M{points[0]}{pieces}"/>'
    )


def _head(arrow: Arrow, curve: tuple[Point, ...]) -> str:
    """Draw the arrow's head at the end of a curve, pointing the way the curve goes there."""
    tip = curve[-1]
    before = next((point for point in reversed(curve) if math.dist(point, tip) > 0.5), curve[0])
    length = math.dist(before, tip) or 1.0
    along = ((tip[0] - before[0]) / length, (tip[1] - before[1]) / length)
    foot = (tip[0] - 8 * along[0], tip[1] - 8 * along[1])
    across = (-3.6 * along[1], 3.6 * along[0])
    wings = [(foot[0] + sign * across[0], foot[1] + sign * across[1]) for sign in (1, -1)]
    outline = "L".join(f"{_n(x)},{_n(y)}" for x, y in (tip, *wings))
    edge = _belongs_to(arrow)
    return f'<path class="bp-edge bp-head"{edge}{attributes(".bp-head")} d="M{outline}Z"/>'


def _edge_label(arrow: Arrow, label: Line, centre: Point) -> str:
    return (
        f'<text class="bp-note bp-halo"{_belongs_to(arrow)}{attributes(".bp-note", ".bp-halo")} '
        f'x="{_n(centre[0])}" '
        f'y="{_n(centre[1] + 0.34 * SIZES["edge"])}" text-anchor="middle" '
        f'font-size="{SIZES["edge"]:g}" stroke-width="4" stroke-linejoin="round" '
        f'paint-order="stroke">{escape(label.text)}</text>'
    )
