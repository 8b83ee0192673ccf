"""What is drawn of a graph, and where: as much of it as can be laid out."""

from collections.abc import Sequence
from dataclasses import dataclass

from backwardpass.data.graph import GraphData
from backwardpass.show.boxes import Arrow, Box, boxes_and_arrows
from backwardpass.show.frames import Frame, module_tree
from backwardpass.show.graphviz import MissingError
from backwardpass.show.layout import FRAMES, MOST, Edge, Layout, place, rows_passed

COARSEST = 12  # boxes that any layout is done with at once


@dataclass(frozen=True, slots=True)
class Drawing:
    """Boxes, arrows and frames with their places, and a sentence on what was left out, if any."""

    boxes: Sequence[Box]
    arrows: Sequence[Arrow]
    frames: Sequence[Frame]
    layout: Layout
    note: str = ""


def edges_of(arrows: Sequence[Arrow]) -> list[Edge]:
    """Give arrows as a layout takes them."""
    return [(arrow.tail, arrow.head, arrow.label_size, arrow.weight) for arrow in arrows]


def draw(graph: GraphData, max_nodes: int | None, timeout: float) -> Drawing:
    """Lay a graph out: folded further than asked where it has to be, unless nothing may be folded.

    Raises
    ------
    RuntimeError
        If Graphviz is not there, or fails whatever is left out.
    LayoutTimeoutError
        If all of it takes longer than `timeout` seconds.
    ValueError
        If `max_nodes` is below 3.
    """
    most, share = max_nodes, timeout
    boxes, arrows = boxes_and_arrows(graph, most)
    while most is not None:
        coarser = max(COARSEST, min(most, len(graph.nodes)) // 2)
        if coarser >= most:
            break
        if rows_passed(len(boxes), edges_of(arrows)) <= MOST:
            try:
                share /= 2  # so that what is coarser has a chance too
                return _laid_out(boxes, arrows, (share, timeout), max_nodes, most)
            except MissingError:
                raise
            except RuntimeError:
                pass
        most = coarser
        boxes, arrows = boxes_and_arrows(graph, most)
    return _laid_out(boxes, arrows, (share, timeout), max_nodes, most)


def _laid_out(
    boxes: Sequence[Box],
    arrows: Sequence[Arrow],
    times: tuple[float, float],
    asked: int | None,
    most: int | None,
) -> Drawing:
    frames = module_tree([box.module for box in boxes])
    layout = place([box.size for box in boxes], edges_of(arrows), frames, *times)
    left_out = list(layout.without)
    note = f"Drawn without {' and '.join(left_out)}" if left_out else ""
    if most != asked:
        note += f"{', folded' if note else 'Folded'} to {most} boxes instead of {asked}"
    note += ": more than can be laid out." if note else ""
    shown = [] if FRAMES in left_out else frames
    return Drawing(boxes, arrows, shown, layout, note)
