"""Where boxes and edges go: Graphviz's `dot` algorithm on boxes whose sizes are known.

Graphviz sees no text, so no font is measured, and the same graph comes out the same everywhere.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

from backwardpass.show.frames import Frame, flat

ROOM = (
    '<TABLE BORDER="0" CELLBORDER="0" CELLPADDING="0" CELLSPACING="0" FIXEDSIZE="TRUE" '
    'WIDTH="{:.0f}" HEIGHT="{:.0f}"><TR><TD></TD></TR></TABLE>'
)

LARGE = 300  # boxes and edges; from here on a layout may take longer than somebody waits
IN_ANOTHER_PROCESS = """
import sys, pygraphviz
graph = pygraphviz.AGraph(string=sys.stdin.buffer.read().decode())
sys.stdout.buffer.write(graph.draw(format="json0", prog="dot"))
"""

Point = tuple[float, float]
Size = tuple[float, float]


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
    """

    size: Size
    centres: tuple[Point, ...]
    curves: tuple[tuple[Point, ...], ...]
    labels: tuple[Point | None, ...]
    frames: dict[str, tuple[Point, Point]] = field(default_factory=dict)


class LayoutTimeoutError(RuntimeError):
    """Graphviz took longer to lay a graph out than it was given.

    Examples
    --------
    >>> import backwardpass
    >>> issubclass(backwardpass.LayoutTimeoutError, RuntimeError)
    True
    """


def place(
    boxes: Sequence[Size],
    edges: Sequence[tuple[int, int, Size | None, int]],
    frames: Sequence[Frame] = (),
    timeout: float = 60.0,
) -> Layout:
    """Lay out boxes of given sizes (points), and edges, some boxes inside frames.

    An edge is its tail, its head, the size of its label, and its weight: heavy ones come out
    straight.

    Raises
    ------
    RuntimeError
        If neither pygraphviz nor the program `dot` is there, or `dot` fails.
    LayoutTimeoutError
        If it takes longer than `timeout` seconds.
    """
    if not boxes:
        return Layout((0.0, 0.0), (), (), ())
    large = len(boxes) + len(edges) > LARGE
    try:
        drawn = json.loads(_run(_bare_dot(boxes, edges, frames), timeout, large))
    except subprocess.TimeoutExpired:
        raise LayoutTimeoutError(
            f"The layout has to be ready in timeout={timeout:g} seconds;\n"
            f"Graphviz was given {len(boxes):,} boxes and {len(edges):,} edges, and was not done.\n"
            "Fold more of the graph with a smaller max_nodes, or allow more time with timeout."
        ) from None
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
    )


def _cluster(frame: Frame) -> str:
    return f"cluster_{frame.number}"


def _clusters(frames: Sequence[Frame]) -> list[str]:
    lines = []
    for frame in frames:
        members = "".join(f"n{member};" for member in frame.members)
        room = ROOM.format(*frame.label_size)
        lines.append(f"subgraph {_cluster(frame)} {{ label=<{room}> labeljust=l margin=8 {members}")
        lines += [*_clusters(frame.inside), "}"]
    return lines


def _bare_dot(
    boxes: Sequence[Size],
    edges: Sequence[tuple[int, int, Size | None, int]],
    frames: Sequence[Frame] = (),
) -> str:
    lines = [
        "digraph {",
        "graph [rankdir=TB nodesep=0.18 ranksep=0.16]",
        'node [shape=box fixedsize=true label=""]',
        "edge [dir=none]",
    ]
    for number, (width, height) in enumerate(boxes):
        lines.append(f"n{number} [width={width / 72:.4f} height={height / 72:.4f}]")
    for number, (tail, head, label, weight) in enumerate(edges):
        # An empty HTML table of fixed size keeps the label's room.
        room = "" if label is None else f" label=<{ROOM.format(*label)}>"
        lines.append(f"n{tail} -> n{head} [id=e{number} weight={weight}{room}]")
    return "\n".join([*lines, *_clusters(frames), "}"])


def _run(dot: str, timeout: float, large: bool) -> str:
    try:
        import pygraphviz
    except ImportError:
        return _run_program(dot, timeout)
    if large:  # C code of this process cannot be told to stop, another process can
        return _run_command([sys.executable, "-c", IN_ANOTHER_PROCESS], dot, timeout)
    return pygraphviz.AGraph(string=dot).draw(format="json0", prog="dot").decode()


def _run_program(dot: str, timeout: float) -> str:
    program = shutil.which("dot")
    if program is None:
        raise RuntimeError(
            "Drawing a graph needs Graphviz: found neither the Python package pygraphviz nor the "
            "program dot.\n"
            "Run: pip install 'pygraphviz>=2' (its wheels carry Graphviz), or install Graphviz."
        )
    return _run_command([program, "-Tjson0"], dot, timeout)


def _run_command(command: list[str], dot: str, timeout: float) -> str:
    done = subprocess.run(
        command, input=dot, capture_output=True, text=True, encoding="utf-8", timeout=timeout
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]} could not lay the graph out:\n{done.stderr.strip()}")
    return done.stdout
