"""Where boxes and edges go: Graphviz's `dot` algorithm on boxes whose sizes are known.

Graphviz sees no text, so no font is measured, and the same graph comes out the same everywhere.
What it cannot lay out, or not soon enough, is tried again with less in it: how much is left out is
told by the graph, and by the clock only where Graphviz is given up.
"""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape

from backwardpass.show import graphviz
from backwardpass.show.frames import FRAME_FONT, Frame, flat

ROOM = (
    '<TABLE BORDER="0" CELLBORDER="0" CELLPADDING="0" CELLSPACING="0" FIXEDSIZE="TRUE" '
    'WIDTH="{:.0f}" HEIGHT="{:.0f}"><TR><TD>{}</TD></TR></TABLE>'
)

# What a layout costs grows with the rows that its edges pass by. Up to so many there is room for
# labels on the edges, and up to so many it is ready in a second or two.
MOST_WITH_LABELS = 1000
MOST = 2500
LABELS, FRAMES = "shapes beside the edges", "frames around modules"

Point = tuple[float, float]
Size = tuple[float, float]
Edge = tuple[int, int, Size | None, int]


@dataclass(frozen=True, slots=True)
class Layout:
    """Positions in points, y downwards.

    Parameters
    ----------
    size
        Width and height of the whole.
    centres
        Of the boxes, in the order given.
    curves
        For every edge, its points: a start, then three for each cubic Bézier piece.
    labels
        For every edge, the centre of its label; ``None`` where it has none.
    frames
        For the path of every frame, its upper left and lower right corner.
    without
        What was left out so that a layout was found.
    """

    size: Size
    centres: tuple[Point, ...]
    curves: tuple[tuple[Point, ...], ...]
    labels: tuple[Point | None, ...]
    frames: dict[str, tuple[Point, Point]] = field(default_factory=dict)
    without: tuple[str, ...] = ()


class LayoutTimeoutError(RuntimeError):
    """Graphviz took longer to lay a graph out than it was given.

    Examples
    --------
    >>> import backwardpass
    >>> issubclass(backwardpass.LayoutTimeoutError, RuntimeError)
    True
    """


def rows_passed(boxes: int, edges: Sequence[Edge]) -> int:
    """Count the rows that edges pass by, which is what a layout costs.

    >>> rows_passed(3, [(0, 1, None, 1), (1, 2, None, 1), (0, 2, None, 1)])
    1
    """
    row = [0] * boxes
    for tail, head, _, _ in sorted(edges, key=lambda edge: edge[0]):  # they lead forward
        row[head] = max(row[head], row[tail] + 1)
    return sum(max(0, row[head] - row[tail] - 1) for tail, head, _, _ in edges)


def place(
    boxes: Sequence[Size],
    edges: Sequence[Edge],
    frames: Sequence[Frame] = (),
    timeout: float = 60.0,
    of: float | None = None,
) -> Layout:
    """Lay out boxes of given sizes (points), and edges, some boxes inside frames.

    An edge is its tail, its head, the size of its label, and its weight: heavy ones come out
    straight. `of` is the time that was asked for, where this is a share of it.

    Raises
    ------
    RuntimeError
        If neither pygraphviz nor the program `dot` is there, or `dot` fails whatever is left out.
    LayoutTimeoutError
        If it takes longer than `timeout` seconds.
    """
    if not boxes:
        return Layout((0.0, 0.0), (), (), ())
    end = time.monotonic() + timeout
    failed: Exception = graphviz.TooLongError()
    for labelled, framed, without in _ways(boxes, edges, frames):
        # Half of what is left, so that the next one has a chance too.
        left = end - time.monotonic()
        if left <= timeout / 32:
            break
        try:
            dot = bare_dot(boxes, labelled, framed)
            drawn = json.loads(graphviz.run(dot, left / 2))
            return _read(drawn, boxes, labelled, framed, without)
        except graphviz.MissingError:
            raise
        except (RuntimeError, KeyError, graphviz.TooLongError) as error:
            failed = error
    if isinstance(failed, graphviz.TooLongError):
        raise LayoutTimeoutError(
            f"The layout has to be ready in timeout={of or timeout:g} seconds;\n"
            f"Graphviz was given {len(boxes):,} boxes and {len(edges):,} edges, and was not done.\n"
            "Fold more of the graph with a smaller max_nodes, or allow more time with timeout."
        ) from None
    if isinstance(failed, KeyError):
        raise RuntimeError("Graphviz lost a box or an edge, whatever was left out.") from None
    raise failed


def _ways(
    boxes: Sequence[Size], edges: Sequence[Edge], frames: Sequence[Frame]
) -> Iterator[tuple[Sequence[Edge], Sequence[Frame], tuple[str, ...]]]:
    """List what can be asked for, from all of it to boxes and lines alone."""
    bare = [(tail, head, None, weight) for tail, head, _, weight in edges]
    labelled = any(edge[2] is not None for edge in edges)
    if not labelled or rows_passed(len(boxes), edges) <= MOST_WITH_LABELS:
        yield edges, frames, ()
    if labelled:
        yield bare, frames, (LABELS,)
    if frames:
        yield bare, (), (LABELS, FRAMES) if labelled else (FRAMES,)


def _read(
    drawn: dict,
    boxes: Sequence[Size],
    edges: Sequence[Edge],
    frames: Sequence[Frame],
    without: tuple[str, ...],
) -> Layout:
    """Read what Graphviz gave; `KeyError` where it lost something, as it does to some frames."""
    width, height = (float(number) for number in drawn["bb"].split(",")[2:])

    def points(text: str) -> tuple[Point, ...]:
        pairs = (pair.split(",") for pair in text.split())
        return tuple((float(x), height - float(y)) for x, y in pairs)

    centres, corners = {}, {}
    for item in drawn["objects"]:
        if "pos" in item:
            centres[item["name"]] = points(item["pos"])[0]
        elif "bb" in item:
            left, low, right, high = (float(number) for number in item["bb"].split(","))
            corners[item["name"]] = ((left, height - high), (right, height - low))
    curves = {edge["id"]: points(edge["pos"]) for edge in drawn.get("edges", ())}
    labels = {edge["id"]: points(edge["lp"])[0] for edge in drawn.get("edges", ()) if "lp" in edge}
    return Layout(
        (width, height),
        tuple(centres[f"n{number}"] for number in range(len(boxes))),
        tuple(curves[f"e{number}"] for number in range(len(edges))),
        tuple(labels.get(f"e{number}") for number in range(len(edges))),
        {frame.path: corners[_cluster(frame)] for frame in flat(frames)},
        without,
    )


def _cluster(frame: Frame) -> str:
    return f"cluster_{frame.number}"


@dataclass(frozen=True, slots=True)
class Words:
    """What is written into boxes and beside edges, for a picture that Graphviz itself paints."""

    boxes: Sequence[str]
    edges: Sequence[str]


def bare_dot(
    boxes: Sequence[Size],
    edges: Sequence[Edge],
    frames: Sequence[Frame] = (),
    words: Words | None = None,
    note: str = "",
) -> str:
    """Write boxes, edges and frames in Graphviz's language, by their sizes alone, or with words."""
    below = f" labelloc=b label=<{font(note, FRAME_FONT)}>" if note else ""
    lines = [
        "digraph {",
        f"graph [rankdir=TB nodesep=0.18 ranksep=0.16{below}]",
        'node [shape=box fixedsize=true label=""]',
        "edge [dir=none]" if words is None else "edge []",
    ]
    for number, (width, height) in enumerate(boxes):
        text = "" if words is None else f" label=<{words.boxes[number]}>"
        lines.append(f"n{number} [width={width / 72:.4f} height={height / 72:.4f}{text}]")
    for number, (tail, head, label, weight) in enumerate(edges):
        # An HTML table of fixed size keeps the label's room; it is empty where only that is asked.
        text = "" if words is None else words.edges[number]
        room = "" if label is None else f" label=<{_room(label, text)}>"
        lines.append(f"n{tail} -> n{head} [id=e{number} weight={weight}{room}]")
    return "\n".join([*lines, *_clusters(frames, words is not None), "}"])


def _clusters(frames: Sequence[Frame], worded: bool) -> list[str]:
    lines = []
    for frame in frames:
        members = "".join(f"n{member};" for member in frame.members)
        room = _room(frame.label_size, font(frame.text, FRAME_FONT) if worded else "")
        lines.append(
            f"subgraph {_cluster(frame)} {{ label=<{room}> labeljust=l labelloc=t margin=8 "
            f"{members}"
        )
        lines += [*_clusters(frame.inside, worded), "}"]
    return lines


def _room(size: Size, text: str) -> str:
    return ROOM.format(*size, text)


def font(text: str, size: float, bold: bool = False) -> str:
    """Write a line as Graphviz's HTML has it."""
    inner = f"<B>{escape(text)}</B>" if bold else escape(text)
    return f'<FONT FACE="monospace" POINT-SIZE="{size:g}">{inner}</FONT>'
