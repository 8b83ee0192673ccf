"""A graph as a file, of the kind that its name ends in."""

import json
import os
from pathlib import Path

from backwardpass.data.codec import graph_as_dict
from backwardpass.data.graph import GraphData
from backwardpass.show import graphviz
from backwardpass.show.boxes import SIZES, Box
from backwardpass.show.dot import to_dot
from backwardpass.show.drawing import draw, edges_of
from backwardpass.show.layout import LayoutTimeoutError, Words, bare_dot, font
from backwardpass.show.svg import to_svg

ENDINGS = (".svg", ".png", ".pdf", ".dot", ".json")


def save(
    graph: GraphData,
    path: str | os.PathLike[str],
    *,
    title: str | None = None,
    max_nodes: int | None = 200,
    timeout: float = 60.0,
) -> Path:
    """Write the graph into a file, as what its name ends in says.

    ``.svg`` is the picture of :meth:`to_svg`; ``.png`` and ``.pdf`` have the same boxes, painted
    by Graphviz; ``.dot`` is the text of :meth:`to_dot`, and ``.json`` what :meth:`as_dict` gives.

    Parameters
    ----------
    path
        The file, which is written over if it is there.
    title
        The accessible name of an ``.svg``.
    max_nodes, timeout
        As in :meth:`to_svg`; ``.dot`` and ``.json`` hold all of the graph.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    ValueError
        If the name ends in something else, or `max_nodes` is below 3.
    OSError
        If the file cannot be written.
    RuntimeError
        If a picture is asked for and cannot be laid out, as in :meth:`to_svg`.

    Examples
    --------
    >>> import tempfile, torch, backwardpass
    >>> x = torch.ones(2, requires_grad=True)
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = backwardpass.trace(x.sum()).save(f"{folder.name}/sum.svg")
    >>> path.name, path.read_text("utf-8")[:5]
    ('sum.svg', '<svg ')
    >>> folder.cleanup()
    """
    path = Path(path)
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise ValueError(
            f"save() needs a file's name that ends in one of {', '.join(ENDINGS)};\n"
            f"got {str(path)!r}.\n"
            "Name the file by the kind that is wanted, such as 'graph.svg'."
        )
    if ending in (".png", ".pdf"):
        path.write_bytes(_painted(graph, ending[1:], max_nodes, timeout))
        return path
    if ending == ".svg":
        text = to_svg(graph, title, max_nodes=max_nodes, timeout=timeout)
    elif ending == ".dot":
        text = to_dot(graph)
    else:
        text = json.dumps(graph_as_dict(graph), allow_nan=False)
    path.write_text(text + "\n", "utf-8")
    return path


def _painted(graph: GraphData, form: str, max_nodes: int | None, timeout: float) -> bytes:
    """Let Graphviz paint the boxes that it found places for."""
    drawing = draw(graph, max_nodes, timeout)
    if not drawing.boxes:
        return graphviz.run("digraph {}", timeout, form)
    labelled = [label is not None for label in drawing.layout.labels]
    edges = [
        (tail, head, size if shown else None, weight)
        for (tail, head, size, weight), shown in zip(
            edges_of(drawing.arrows), labelled, strict=True
        )
    ]
    words = Words(
        [_text(box) for box in drawing.boxes],
        [
            "" if arrow.label is None else font(arrow.label.text, SIZES["edge"])
            for arrow in drawing.arrows
        ],
    )
    dot = bare_dot([box.size for box in drawing.boxes], edges, drawing.frames, words, drawing.note)
    try:
        return graphviz.run(dot, timeout, form)
    except graphviz.TooLongError:
        raise LayoutTimeoutError(
            f"The picture has to be ready in timeout={timeout:g} seconds;\n"
            f"Graphviz was given {len(drawing.boxes):,} boxes, and was not done.\n"
            "Fold more of the graph with a smaller max_nodes, or allow more time with timeout."
        ) from None


def _text(box: Box) -> str:
    return "<BR/>".join(
        font(line.text, SIZES[line.style], line.style in ("name", "leaf")) for line in box.lines
    )
