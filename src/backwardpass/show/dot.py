"""A graph in Graphviz's DOT language, for programs that draw it their own way."""

from backwardpass.data.graph import GraphData, Node
from backwardpass.show.frames import Frame, module_tree
from backwardpass.show.words import clean, edge_text, label_text, shapes_text

SHAPES = {
    "operation": "shape=box style=rounded",
    "accumulate": "shape=box style=bold",
    "function": "shape=octagon",
    "checkpoint": "shape=octagon",
    "compiled": "shape=octagon",
    "copy": "shape=box style=rounded",
    "identity": "shape=box style=rounded",
}


def to_dot(graph: GraphData) -> str:
    """Write the graph in Graphviz's DOT language, labels escaped.

    Examples
    --------
    >>> import torch, backwardpass
    >>> x = torch.ones(2, requires_grad=True)
    >>> print(backwardpass.trace(x.sum(), names={"x": x}).to_dot())
    digraph {
      rankdir=TB
      node [fontname="monospace" fontsize=12]
      edge [fontname="monospace" fontsize=10]
      n0 [shape=box style=rounded label="SumBackward0\\n()"]
      n1 [shape=box style=bold label="AccumulateGrad\\nx (2,)"]
      n0 -> n1 [label="(2,)"]
    }
    """
    lines = [
        "digraph {",
        "  rankdir=TB",
        '  node [fontname="monospace" fontsize=12]',
        '  edge [fontname="monospace" fontsize=10]',
    ]
    lines += [
        f"  n{node.index} [{SHAPES[node.kind]} label={_quoted(*_label(node))}]"
        for node in graph.nodes
    ]
    for node in graph.nodes:
        for number, edge in enumerate(node.edges):
            if edge.target is None:
                stub = f"n{node.index}_{number}"
                lines.append(f"  {stub} [shape=plaintext label={_quoted('no gradient')}]")
                lines.append(f"  n{node.index} -> {stub} [style=dashed]")
            else:
                label = _quoted(edge_text(graph, edge.target, edge.input_nr))
                lines.append(f"  n{node.index} -> n{edge.target} [label={label}]")
    lines += _clusters(module_tree([node.module for node in graph.nodes]))
    return "\n".join([*lines, "}"])


def _clusters(frames: list[Frame], indent: str = "  ") -> list[str]:
    lines = []
    for frame in frames:
        lines.append(f"{indent}subgraph {_quoted(f'cluster_{frame.path}')} {{")
        lines.append(f"{indent}  label={_quoted(clean(frame.path))}")
        lines += _clusters(frame.inside, indent + "  ")
        lines += [f"{indent}  n{index}" for index in frame.members]
        lines.append(f"{indent}}}")
    return lines


def _label(node: Node) -> list[str]:
    tensor = " ".join(part for part in (label_text(node), shapes_text(node.outputs)) if part)
    return [clean(node.name), tensor]


def _quoted(*lines: str) -> str:
    """Quote lines as a DOT string, which knows backslash sequences and HTML's entities.

    >>> print(_quoted('say "<a&b>"', "C:\\\\N"))
    "say \\"<a&amp;b>\\"\\nC:\\\\N"
    """
    escaped = [
        line.replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;") for line in lines
    ]
    return '"' + "\\n".join(escaped) + '"'
