"""What stands in each box of a drawing, and how large the box has to be for it.

Sizes are counted, not measured: every character of the monospaced face is 0.6 em wide, those of
East Asian scripts twice that. So a picture is the same on every machine.
"""

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass

from backwardpass.data.fold import Group, group_of, groups
from backwardpass.data.graph import GraphData, Node, Saved
from backwardpass.show.words import clean, edge_text, label_text, saved_text, shapes_text

ADVANCE = 0.6
LEADING = 1.32
SIDE, ABOVE = 9.0, 7.0
WIDEST = 22  # characters of a line before it is broken
MOST_SAVED = 3
BADGE = 9.0  # radius of the step number's disc
BAND = 5.0  # the stripe that marks a leaf

# What a word that is too long for a line may be broken into.
PIECE = re.compile(r"[^._,:]+?(?:[._,:]+\s*|(?<=[a-z0-9])(?=[A-Z])|\s*$)|[._,:]+\s*")

SIZES = {"name": 13.0, "leaf": 17.0, "tensor": 13.0, "note": 11.0, "edge": 11.5}


# Each kind of node in one of three shapes, some with a word above the name.
LOOKS = {
    "operation": "operation",
    "identity": "operation",
    "copy": "operation",
    "accumulate": "accumulate",
    "function": "function",
    "checkpoint": "function",
    "compiled": "function",
}
WORDS = {
    "function": "Python function",
    "checkpoint": "checkpoint",
    "compiled": "compiled",
    "copy": "in place, on a view",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text, and the style it is set in: a key of `SIZES`."""

    text: str
    style: str

    @property
    def width(self) -> float:
        """In points."""
        return text_width(self.text) * ADVANCE * SIZES[self.style]

    @property
    def height(self) -> float:
        """In points, with its leading."""
        return SIZES[self.style] * LEADING


@dataclass(frozen=True, slots=True)
class Box:
    """A box: its look, its lines, its tooltip, the node it stands for, and that one's module.

    Looks are "operation", "accumulate", "function", "fold" and "stub". A fold stands for the nodes
    between the two of `folded`, both included.
    """

    kind: str
    lines: tuple[Line, ...]
    tooltip: str = ""
    node: int | None = None
    module: str | None = None
    folded: tuple[int, int] | None = None

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in points."""
        wide = max(line.width for line in self.lines)
        high = sum(line.height for line in self.lines)
        if self.kind == "stub":
            return wide + 4, high + 2
        band = BAND if self.kind == "accumulate" else 0
        return wide + 2 * SIDE + band, high + 2 * ABOVE


@dataclass(frozen=True, slots=True)
class Arrow:
    """An edge between two boxes, what is written beside it, and how straight it should be.

    `edge` is the node it leaves and its place among that node's edges, where it stands for one.
    """

    tail: int
    head: int
    label: Line | None = None
    weight: int = 1
    edge: tuple[int, int] | None = None

    @property
    def label_size(self) -> tuple[float, float] | None:
        """Width and height in points."""
        return None if self.label is None else (self.label.width + 6, self.label.height + 2)


def text_width(text: str) -> int:
    """Count characters, wide ones double.

    >>> text_width("ab"), text_width("你")
    (2, 2)
    """
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def wrap(text: str, most: int = WIDEST) -> list[str]:
    """Break a line between words, and a long word inside it.

    A word that is too long is broken after punctuation or an underscore, or before a capital
    letter; what is still too long, where it has to be.

    >>> wrap("model.encoder.layers_0.weight", 16)
    ['model.encoder.', 'layers_0.weight']
    >>> wrap("saves view of model.2.weight, self")
    ['saves view of', 'model.2.weight, self']
    >>> wrap("CompiledFunctionBackward")
    ['CompiledFunction', 'Backward']
    """
    lines = [""]
    for word in re.findall(r"\S+\s*", text):
        if text_width(lines[-1] + word.rstrip()) > most and lines[-1]:
            lines.append("")
        whole = text_width(word.rstrip()) <= most
        for piece in [word] if whole else PIECE.findall(word):
            if text_width(lines[-1] + piece.rstrip()) > most and lines[-1]:
                lines.append("")
            for char in piece:
                if text_width(lines[-1] + char) > most:
                    lines.append("")
                lines[-1] += char
    return [line.strip() for line in lines if line.strip()]


def boxes_and_arrows(
    graph: GraphData, max_nodes: int | None = None
) -> tuple[list[Box], list[Arrow]]:
    """List what a drawing shows: a box for every node or fold, in order, then stubs, and edges."""
    found = groups(graph, max_nodes)
    number_of = group_of(found)
    boxes = [_fold(each) if each.text else _box(graph.nodes[each.first]) for each in found]
    arrows = []
    for number, group in enumerate(found):
        if group.text:
            arrows += _from_fold(graph, found, number_of, number)
            continue
        into_folds: Counter[int] = Counter()
        for place, edge in enumerate(graph.nodes[group.first].edges):
            here = group.first, place
            if edge.target is None:
                arrows.append(Arrow(number, len(boxes), edge=here))
                lines = (Line("no", "note"), Line("gradient", "note"))
                boxes.append(Box("stub", lines, module=graph.nodes[group.first].module))
            elif found[number_of[edge.target]].text:
                into_folds[number_of[edge.target]] += 1
            else:
                text = edge_text(graph, edge.target, edge.input_nr)
                label = Line(text, "edge") if text else None
                # Operations in a column and leaves at its side make a narrow picture.
                leaf = graph.nodes[edge.target].kind == "accumulate"
                weight = 1 if leaf else 8
                arrows.append(Arrow(number, number_of[edge.target], label, weight, here))
        arrows += _bundles(number, into_folds)
    return boxes, arrows


def _from_fold(
    graph: GraphData, found: list[Group], number_of: list[int], number: int
) -> list[Arrow]:
    """Draw the edges that leave a fold, those to one target as one arrow."""
    group = found[number]
    targets = [
        number_of[edge.target]
        for node in graph.nodes[group.first : group.last + 1]
        for edge in node.edges
        if edge.target is not None
    ]
    return _bundles(number, Counter(target for target in targets if target != number))


def _bundles(tail: int, heads: Counter) -> list[Arrow]:
    return [
        Arrow(tail, head, Line(f"{count:,} edges", "edge") if count > 1 else None, 8)
        for head, count in heads.items()
    ]


def _fold(group: Group) -> Box:
    lines = (Line("⋮", "name"), *_lines("note", group.text))
    tooltip = f"{group.first + 1} to {group.last + 1}: {group.text}"
    return Box("fold", lines, tooltip, folded=(group.first, group.last))


def _box(node: Node) -> Box:
    name, label, shape = clean(node.name), label_text(node), shapes_text(node.outputs)
    tensor = f"{label}{':' if len(node.outputs) > 1 and label else ''} {shape}".strip()
    tooltip = [f"{node.index + 1}. {name}", tensor]
    tooltip += [f"saved {saved_text(saved)}" for saved in node.saved]
    if node.kind == "accumulate":
        lines = _lines("note", name) + _lines("leaf", label) + _lines("tensor", shape)
    else:
        lines = _lines("name", name) + _lines("tensor", tensor)
        if node.kind in WORDS:
            lines = _lines("note", WORDS[node.kind]) + lines
        lines += _saved_lines(node)
    return Box(LOOKS[node.kind], tuple(lines), "\n".join(tooltip), node.index, node.module)


def _lines(style: str, text: str) -> list[Line]:
    return [Line(line, style) for line in wrap(text)]


def _saved_lines(node: Node) -> list[Line]:
    """Say in few words what is saved: sources where they are known, else the field's name."""
    if not node.saved:
        return []
    if all(saved.freed for saved in node.saved):
        return _lines("note", "saved: freed")
    words = [_saved_word(saved) for saved in node.saved if not saved.freed]
    lines = _lines("note", f"saves {', '.join(words)}")
    if len(lines) > MOST_SAVED:
        lines = [*lines[: MOST_SAVED - 1], Line(f"… {len(words)} tensors", "note")]
    return lines


def _saved_word(saved: Saved) -> str:
    """Write where a saved tensor comes from; a question mark where it cannot be seen."""
    return f"{saved.field}?" if saved.role == "unknown" else clean(saved.source or saved.field)
