"""A recorded pass step by step, in words: the list that stands beside a drawing.

A phase is the forward pass or one backward pass. Each of its items says in HTML what happened at
one node, and names the parts of the drawing it is about as the drawing does: a node by its index,
an edge by the node it leaves and its place among that node's edges.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from backwardpass.data.graph import GraphData, Node, Saved, TensorMeta
from backwardpass.data.passes import PassData, Step, Written

# Of an edge: the node it leaves, and its place there.
Place = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Item:
    """One step: its sentences, and what they are about in the drawing.

    Parameters
    ----------
    sentences
        HTML, the user's text escaped.
    node
        The node's index in the drawn graph; ``None`` where it is not drawn.
    edges
        Those that a cotangent leaves by.
    arrived
        Those that one came by.
    freed
        Whether saved tensors were let go of.
    ran
        The name of the node, where it ran.
    line
        The line of the program that recorded the node, where it is known.
    """

    sentences: tuple[str, ...]
    node: int | None = None
    edges: tuple[Place, ...] = ()
    arrived: tuple[Place, ...] = ()
    freed: bool = False
    ran: str = ""
    line: int | None = None


@dataclass(slots=True)
class Phase:
    """A stretch of steps: the forward pass, or one backward pass, and the line that started it."""

    title: str
    items: list[Item] = field(default_factory=list)
    line: int | None = None


def forward(
    graph: GraphData, recorded: Iterable[int], written: Mapping[int, tuple[int, str]]
) -> Phase:
    """Say when each node was recorded, by which line, and what it saved.

    Parameters
    ----------
    graph
        The graph that is drawn.
    recorded
        Its nodes in the order in which they were recorded, as :meth:`Graph.recorded` gives them.
    written
        For a node the number and the text of the line that recorded it, where they are known.

    Examples
    --------
    >>> import torch, backwardpass
    >>> x = torch.ones(2, requires_grad=True)
    >>> graph = backwardpass.trace(x.exp().sum(), names={"x": x})
    >>> for item in forward(graph, graph.recorded(), {1: (2, "y = x.exp()")}).items:
    ...     print(item.line, *item.sentences[:2])
    2 <code>ExpBackward0</code> is recorded by <code>y = x.exp()</code>. It saves <code>result</code> (8 B).
    None <code>SumBackward0</code> is recorded. It saves nothing.
    """  # noqa: E501
    phase = Phase("Forward")
    for node in (graph.nodes[index] for index in recorded):
        line, code = written.get(node.index, (None, ""))
        by = f" by <code>{escape(code)}</code>" if line else ""
        said = [f"{_name(node)} is recorded{by}."]
        if node.saved:
            said.append(f"It saves {_joined(map(_saved, node.saved))}.")
        elif node.kind != "accumulate":
            said.append("It saves nothing.")
        targets = [graph.nodes[target] for _, target in _sends(node)]
        if targets:
            said.append(f"Its edges lead to {_joined(map(_name, targets))}.")
        edges = tuple((node.index, place) for place, _ in _sends(node))
        phase.items.append(Item(tuple(said), node.index, edges, line=line))
    return phase


def backward(
    passes: Sequence[tuple[PassData, Mapping[int, int]]], lines: Mapping[int, int]
) -> Iterator[Phase]:
    """Say what each node of some passes received, sent, let go of and wrote.

    Parameters
    ----------
    passes
        Each with the indices its nodes have in the graph that is drawn, as :meth:`Graph.match`
        gives them.
    lines
        For a drawn node the line that recorded it, where it is known.

    Examples
    --------
    >>> import torch, backwardpass
    >>> x = torch.tensor(3.0, requires_grad=True)
    >>> with backwardpass.record(values=True) as recording:
    ...     x.exp().backward()
    >>> (phase,) = backward([(recording.passes[0], {0: 0, 1: 1})], {})
    >>> print(*phase.items[1].sentences)
    <code>AccumulateGrad</code> receives (), <code>20.09</code>. <code>the leaf.grad</code> was \
<code>None</code>; it is created and holds <code>20.09</code>.
    """
    for number, (seen, drawn) in enumerate(passes, start=1):
        title = "Backward" if len(passes) == 1 else f"Backward {number}"
        options = [name for name in ("retain_graph", "create_graph") if getattr(seen, name)]
        if options:
            title += f" ({', '.join(options)})"
        phase = Phase(title, line=seen.line)
        senders: dict[int, list[Place]] = {}
        for step in seen.steps:
            phase.items.append(_ran(seen.graph, step, senders, drawn, lines))
        if seen.error:
            first = seen.error.strip().splitlines()[0]
            phase.items.append(Item((f"It raises: {escape(first)}",)))
        yield phase


def listed(phase: Phase, has_rule: Callable[[str], object] = lambda name: None) -> str:
    """Write a phase as a title and a list, for a page; `has_rule` says which nodes have a rule.

    >>> print(listed(Phase("Forward", [Item(("It runs.",), 3, ((3, 0),), line=7)])))
    <p class="bp-phase-title">Forward</p>\
<ol class="bp-steps"><li data-node="3" data-edges="3-0" data-line="7">It runs.</li></ol>
    """
    items = "".join(_item(item, has_rule) for item in phase.items)
    line = "" if phase.line is None else f' data-line="{phase.line}"'
    title = f'<p class="bp-phase-title">{escape(phase.title)}</p>'
    return f'{title}<ol class="bp-steps"{line}>{items}</ol>'


def _item(item: Item, has_rule: Callable[[str], object]) -> str:
    about = "" if item.node is None else f' data-node="{item.node}"'
    sent = f' data-edges="{_edges(item.edges)}"' if item.edges else ""
    came = f' data-from="{_edges(item.arrived)}"' if item.arrived else ""
    gone = " data-freed" if item.freed else ""
    applies = f' data-rule="{escape(item.ran)}"' if item.ran and has_rule(item.ran) else ""
    stands = "" if item.line is None else f' data-line="{item.line}"'
    return f"<li{about}{sent}{came}{gone}{applies}{stands}>{' '.join(item.sentences)}</li>"


def _edges(places: Iterable[Place]) -> str:
    return " ".join(f"{node}-{place}" for node, place in places)


# What one node did.


def _ran(
    graph: GraphData,
    step: Step,
    senders: dict[int, list[Place]],
    drawn: Mapping[int, int],
    lines: Mapping[int, int],
) -> Item:
    """Tell one step, and note in `senders` by which edges it sends to which nodes."""
    node, shown = graph.nodes[step.node], drawn.get(step.node)
    came_from = senders.get(node.index, [])
    said = [f"{_name(node)} receives {_arrived(step)}{_sum_of(graph, came_from)}."]
    for place, target in _sends(node):
        senders.setdefault(target, []).append((node.index, place))
    if _sends(node):
        said.append(f"It sends {_sent(graph, node)}.")
    if step.freed:
        said.append(f"It lets go of {_joined(f'<code>{escape(f)}</code>' for f in step.freed)}.")
    if step.wrote:
        said.append(_wrote(node, step.wrote))
    return Item(
        tuple(said),
        shown,
        () if shown is None else tuple((shown, place) for place, _ in _sends(node)),
        tuple((drawn[sender], place) for sender, place in came_from if sender in drawn),
        bool(step.freed),
        node.name,
        None if shown is None else lines.get(shown),
    )


def _sum_of(graph: GraphData, came_from: Sequence[Place]) -> str:
    if len(came_from) < 2:
        return ""
    names = _joined(_name(graph.nodes[sender]) for sender, _ in came_from)
    return f", the sum of {len(came_from)} cotangents, from {names}"


def _sent(graph: GraphData, node: Node) -> str:
    parts = []
    for edge in node.edges:
        if edge.target is not None:
            target = graph.nodes[edge.target]
            there = edge.input_nr < len(target.outputs)
            shape = target.outputs[edge.input_nr].shape if there else None
            parts.append(f"{_shape(shape)} to {_name(target)}")
    return _joined(parts)


def _wrote(node: Node, wrote: Written) -> str:
    grad = f"<code>{escape(node.label or 'the leaf')}.grad</code>"
    now = "" if wrote.tensor is None else _shape(wrote.tensor.shape)
    now = _values(wrote.values, wrote.tensor) or now
    holds = f" and holds {now}" if now else ""
    if wrote.how == "created":
        return f"{grad} was <code>None</code>; it is created{holds}."
    if wrote.how == "added in place":
        return f"It is added to {grad} in place{f', which now holds {now}' if now else ''}."
    if wrote.how == "new":
        return f"{grad} is replaced by the sum{f', which holds {now}' if now else ''}."
    return f"{grad} is {escape(wrote.how)}."


def _arrived(step: Step) -> str:
    parts = []
    for place, cotangent in enumerate(step.cotangents):
        if cotangent is None:
            parts.append("nothing")
            continue
        values = _values(step.values[place] if step.values else None, cotangent)
        norm = step.norms[place] if step.norms else None
        about = values or (f"norm {_number(norm)}" if norm is not None else "")
        parts.append(f"{_shape(cotangent.shape)}{f', {about}' if about else ''}")
    return " and ".join(parts) or "nothing"


# Words.


def _values(values: Sequence[Any] | None, tensor: TensorMeta | None) -> str:
    """Write numbers that are listed row by row as PyTorch prints a tensor of that shape."""
    if not values:
        return ""
    shape = tensor.shape if tensor is not None else None
    if not shape or len(values) == 1:
        return f"<code>{_number(values[0])}</code>"
    style = ' class="bp-matrix"' if len(shape) > 1 else ""
    return f"<code{style}>{_nested(list(map(_number, values)), shape)}</code>"


def _nested(numbers: list[str], shape: Sequence[int], depth: int = 1) -> str:
    """Write a tensor as PyTorch prints it: a row a line.

    >>> print(_nested(list("abcdef"), [3, 2]))
    [[a, b],
     [c, d],
     [e, f]]
    """
    if len(shape) == 1:
        return f"[{', '.join(numbers)}]"
    each = len(numbers) // shape[0]
    rows = (numbers[at : at + each] for at in range(0, len(numbers), each))
    between = "," + "\n" * (len(shape) - 1) + " " * depth
    return f"[{between.join(_nested(row, shape[1:], depth + 1) for row in rows)}]"


def _number(value: object) -> str:
    """Write a number in four digits.

    >>> _number(1 / 3), _number(2 - 0.5j), _number(float("-inf")), _number(7)
    ('0.3333', '2-0.5i', '-inf', '7')
    """
    if isinstance(value, complex):
        sign = "" if str(value.imag).startswith("-") else "+"
        return f"{_number(value.real)}{sign}{_number(value.imag)}i"
    return f"{value:.4g}" if isinstance(value, float) else escape(str(value))


def _name(node: Node) -> str:
    label = f" of <strong>{escape(node.label)}</strong>" if node.label else ""
    return f"<code>{escape(node.name)}</code>{label}"


def _saved(saved: Saved) -> str:
    size = "" if saved.nbytes is None else f" ({saved.nbytes:,} B)"
    return f"<code>{escape(saved.source or saved.field)}</code>{size}"


def _shape(shape: tuple[int, ...] | None) -> str:
    return "nested" if shape is None else str(shape)


def _joined(parts: Iterable[str]) -> str:
    *most, last = parts
    return f"{', '.join(most)} and {last}" if most else last


def _sends(node: Node) -> list[Place]:
    """List the edges that lead somewhere: place and target."""
    edges = enumerate(node.edges)
    return [(place, edge.target) for place, edge in edges if edge.target is not None]
