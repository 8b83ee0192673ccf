"""Where boxes and edges go: Graphviz's `dot` algorithm on boxes whose sizes are known.

Graphviz sees no text, so no font is measured, and the same graph comes out the same everywhere.
"""

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

ROOM = (
    '<TABLE BORDER="0" CELLBORDER="0" CELLPADDING="0" CELLSPACING="0" FIXEDSIZE="TRUE" '
    'WIDTH="{:.0f}" HEIGHT="{:.0f}"><TR><TD></TD></TR></TABLE>'
)

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
    """

    size: Size
    centres: tuple[Point, ...]
    curves: tuple[tuple[Point, ...], ...]
    labels: tuple[Point | None, ...]


def place(boxes: Sequence[Size], edges: Sequence[tuple[int, int, Size | None, int]]) -> Layout:
    """Lay out boxes of given sizes (points), and edges.

    An edge is its tail, its head, the size of its label, and its weight: heavy ones come out
    straight.

    Raises
    ------
    RuntimeError
        If neither pygraphviz nor the program `dot` is there, or `dot` fails.
    """
    if not boxes:
        return Layout((0.0, 0.0), (), (), ())
    drawn = json.loads(_run(_bare_dot(boxes, edges)))
    width, height = (float(number) for number in drawn["bb"].split(",")[2:])

    def points(text: str) -> tuple[Point, ...]:
        pairs = (pair.split(",") for pair in text.split())
        return tuple((float(x), height - float(y)) for x, y in pairs)

    centres = {item["name"]: points(item["pos"])[0] for item in drawn["objects"]}
    curves = {edge["id"]: points(edge["pos"]) for edge in drawn.get("edges", ())}
    labels = {edge["id"]: points(edge["lp"])[0] for edge in drawn.get("edges", ()) if "lp" in edge}
    return Layout(
        (width, height),
        tuple(centres[f"n{number}"] for number in range(len(boxes))),
        tuple(curves[f"e{number}"] for number in range(len(edges))),
        tuple(labels.get(f"e{number}") for number in range(len(edges))),
    )


def _bare_dot(boxes: Sequence[Size], edges: Sequence[tuple[int, int, Size | None, int]]) -> str:
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
    return "\n".join([*lines, "}"])


def _run(dot: str) -> str:
    try:
        import pygraphviz
    except ImportError:
        return _run_program(dot)
    return pygraphviz.AGraph(string=dot).draw(format="json0", prog="dot").decode()


def _run_program(dot: str) -> str:
    program = shutil.which("dot")
    if program is None:
        raise RuntimeError(
            "Drawing a graph needs Graphviz: found neither the Python package pygraphviz nor the "
            "program dot.\n"
            "Run: pip install 'pygraphviz>=2' (its wheels carry Graphviz), or install Graphviz."
        )
    done = subprocess.run(
        [program, "-Tjson0"], input=dot, capture_output=True, text=True, encoding="utf-8"
    )
    if done.returncode:
        raise RuntimeError(f"{program} could not lay the graph out:\n{done.stderr.strip()}")
    return done.stdout
