"""A graph too large to be looked at, made smaller: repeated blocks first, then the middle.

Nodes stand in the engine's order, in which every edge leads forward. So a stretch of neighbours can
be folded into one without making a circle.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from backwardpass.data.graph import GraphData, Node

FEWEST = 3  # a beginning, a fold and an end


@dataclass(frozen=True, slots=True)
class Group:
    """Neighbouring nodes shown as one: from `first` to `last`, and what is said of them."""

    first: int
    last: int
    text: str = ""  # empty for a node that stands for itself

    @property
    def count(self) -> int:
        """How many nodes it stands for."""
        return self.last - self.first + 1


def groups(graph: GraphData, max_nodes: int | None) -> list[Group]:
    """Divide the graph into at most `max_nodes` groups, most of them of one node.

    Raises
    ------
    ValueError
        If `max_nodes` is below 3.
    """
    if max_nodes is not None and max_nodes < FEWEST:
        raise ValueError(
            f"max_nodes has to be at least {FEWEST}, or None to fold nothing;\n"
            f"got {max_nodes!r}.\n"
            "A folded graph has a beginning, a fold and an end."
        )
    size = len(graph.nodes)
    if max_nodes is None or size <= max_nodes:
        return [Group(index, index) for index in range(size)]
    found = _fold_repeats([_look(node) for node in graph.nodes])
    if len(found) > max_nodes:
        before = max_nodes // 2
        after = max_nodes - before - 1
        first, last = found[before].first, found[len(found) - after - 1].last
        middle = Group(first, last, f"{last - first + 1:,} nodes folded")
        found = [*found[:before], middle, *found[len(found) - after :]]
    return found


def group_of(found: Sequence[Group]) -> list[int]:
    """Give for every node the number of its group."""
    return [number for number, group in enumerate(found) for _ in range(group.count)]


def _look(node: Node) -> tuple:
    """Give what nodes share that count as repeated: all but their tensors' names and targets."""
    return node.name, node.outputs, tuple(edge.target is None for edge in node.edges)


def _fold_repeats(looks: list) -> list[Group]:
    """Leave the first of at least three equal blocks in a row, and fold the others into one.

    >>> for group in _fold_repeats(list("sabababat")):
    ...     print(group)
    Group(first=0, last=0, text='')
    Group(first=1, last=1, text='')
    Group(first=2, last=2, text='')
    Group(first=3, last=6, text='2 × nodes 2-3 again: 4 nodes')
    Group(first=7, last=7, text='')
    Group(first=8, last=8, text='')
    """
    runs = _repeats(looks)
    found: list[Group] = []
    at = 0
    for start, period, times in runs:
        found += [Group(index, index) for index in range(at, start + period)]
        at = start + period * times
        more = times - 1
        block = f"{start + 1}-{start + period}" if period > 1 else f"{start + 1}"
        plural = "s" if period > 1 else ""
        text = f"{more:,} × node{plural} {block} again: {more * period:,} nodes"
        found.append(Group(start + period, at - 1, text))
    return found + [Group(index, index) for index in range(at, len(looks))]


def _repeats(looks: list) -> list[tuple[int, int, int]]:
    """Find stretches that do not overlap, as (start, period, times), the longest first chosen."""
    numbers: dict = {}
    line = [numbers.setdefault(look, len(numbers)) for look in looks]
    last: dict[int, int] = {}
    distances: Counter = Counter()
    for place, number in enumerate(line):
        if number in last:
            distances[place - last[number]] += 1
        last[number] = place
    candidates = []
    # The rarest nodes of a block come once in it, so its length is among the distances.
    likely = sorted(distances, key=lambda distance: (-distances[distance] * distance, distance))
    for period in likely[:8]:
        run = 0
        for place in range(len(line) - period + 1):
            if place < len(line) - period and line[place] == line[place + period]:
                run += 1
                continue
            times = run // period + 1
            if times >= 3:
                candidates.append((place - run, period, times))
            run = 0
    # What folds the most comes first, in the shortest blocks.
    candidates.sort(key=lambda one: (-one[1] * (one[2] - 1), one[1], one[0]))
    chosen: list[tuple[int, int, int]] = []
    for start, period, times in candidates:
        end = start + period * times
        if all(end <= other or start >= other + size * many for other, size, many in chosen):
            chosen.append((start, period, times))
    return sorted(chosen)
