"""The graph as a tree of text, for a terminal.

A plain tree would step to the right with every node of a chain. Here only side branches do: of a
node's edges the one whose target runs last goes on in the node's own column.
"""

from backwardpass.data.fold import Group, group_of, groups
from backwardpass.data.graph import GraphData, Node, Saved
from backwardpass.show.words import clean, label_text, shapes_text

WIDEST_SAVED = 3


def to_text(graph: GraphData, max_nodes: int | None = 200) -> str:
    """Write the graph as a tree for the terminal; ``print(graph)`` does the same.

    A node stands once, with its place in the engine's order. Its edges lead to the indented
    branches below it and to the next line of its own column; to a node that stands elsewhere
    an arrow leads, with that node's number.

    Parameters
    ----------
    max_nodes
        Above so many nodes repeated blocks and then the middle are folded, and counted;
        ``None`` folds nothing.

    Examples
    --------
    >>> import torch, backwardpass
    >>> x, W = torch.ones(4, 3), torch.ones(3, 2, requires_grad=True)
    >>> y = (x @ W).tanh()
    >>> print(backwardpass.trace((y * y).sum(), names={"x": x, "W": W, "y": y}))
    1 SumBackward0 ()
    2 MulBackward0 (4, 2)  saves other = y, self = y
    ├─ → 3
    3 TanhBackward0 y (4, 2)  saves result = y
    4 MmBackward0 (4, 2)  saves self = x
    ├─ no gradient
    5 AccumulateGrad W (3, 2)
    """
    found = groups(graph, max_nodes)
    number_of = group_of(found)
    width = len(str(len(graph.nodes)))
    lines: list[str] = []
    written = [False] * len(found)
    promised = [0] * len(found)  # how often a group waits on the stack to go on in some column
    # A group's number, None for an edge without target; the column; whether a branch begins here.
    stack: list[tuple[int | None, int, bool]] = [
        (number_of[root], 0, False) for root in reversed(graph.roots)
    ]
    for root in graph.roots:
        promised[number_of[root]] += 1
    while stack:
        number, depth, begins = stack.pop()
        bars = "│  " * (depth - 1) + ("├─ " if begins else "│  ") if depth else ""
        if number is None:
            lines.append(f"{bars}no gradient")
            continue
        if not begins:
            promised[number] -= 1
        if written[number] or promised[number]:  # above, or further down in a column to the left
            lines.append(f"{bars}→ {found[number].first + 1}")
            continue
        written[number] = True
        lines.append(f"{bars}{_line(graph, found[number], width)}".rstrip())
        targets = _targets(graph, found, number_of, number)
        onward = max((target for target in targets if target is not None), default=None)
        if onward is not None:
            targets.remove(onward)
            stack.append((onward, depth, False))
            promised[onward] += 1
        stack += [(target, depth + 1, True) for target in reversed(targets)]
    return "\n".join(lines)


def _targets(
    graph: GraphData, found: list[Group], number_of: list[int], number: int
) -> list[int | None]:
    """List where a group leads: a node's edges one by one, those from or to a fold only once."""
    group = found[number]
    edges = [edge for node in graph.nodes[group.first : group.last + 1] for edge in node.edges]
    targets = [None if edge.target is None else number_of[edge.target] for edge in edges]
    if group.text:
        return list(dict.fromkeys(t for t in targets if t is not None and t != number))
    met: set[int] = set()
    listed = []
    for target in targets:
        if target is None or not found[target].text or target not in met:
            listed.append(target)
        if target is not None:
            met.add(target)
    return listed


def _line(graph: GraphData, group: Group, width: int) -> str:
    if group.text:
        return f"{'…':>{width}} {group.first + 1}-{group.last + 1}: {group.text}"
    node = graph.nodes[group.first]
    parts = [f"{node.index + 1:>{width}}", clean(node.name), label_text(node)]
    parts.append(shapes_text(node.outputs))
    line = " ".join(part for part in parts if part)
    if node.module:
        line += f"  in {clean(node.module)}"
    return line + _saves(node)


def _saves(node: Node) -> str:
    if not node.saved:
        return ""
    if all(saved.freed for saved in node.saved):
        return "  saved: freed"
    held = [saved for saved in node.saved if not saved.freed]
    words = [_saved_words(saved) for saved in held[:WIDEST_SAVED]]
    if len(held) > WIDEST_SAVED:
        words.append(f"{len(held) - WIDEST_SAVED} more")
    return f"  saves {', '.join(words)}"


def _saved_words(saved: Saved) -> str:
    if saved.role == "unknown":
        return f"{saved.field}?"
    if not saved.source or saved.source in (saved.field, "result"):
        return saved.field
    return f"{saved.field} = {clean(saved.source)}"
