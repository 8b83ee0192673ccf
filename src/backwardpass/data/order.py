"""The order in which the autograd engine runs the nodes of a graph on one CPU thread.

The engine counts, for every node, the edges that still have to deliver a cotangent to it. When the
count reaches zero the node enters a ready queue, and the queue hands out the node with the highest
sequence number, the one created last in the forward pass. `AccumulateGrad` nodes all carry the
highest number there is, so among them the order is decided by the heap itself: the two heap
functions below follow `std::push_heap` and `std::pop_heap` of libstdc++, move for move.
"""

from collections.abc import Sequence


def execution_order(
    targets: Sequence[Sequence[int]], priorities: Sequence[int], roots: Sequence[int]
) -> list[int]:
    """Order the nodes as the engine runs them.

    Parameters
    ----------
    targets
        For every node, the nodes its edges lead to; a node stands as often as it has edges.
    priorities
        For every node, its sequence number.
    roots
        The nodes the backward pass starts from; a node may stand more than once.

    Returns
    -------
    list of int
        Every node reachable from the roots, once, in the order of execution.

    Examples
    --------
    Node 0 sends to 1 and 2, both send to 3; 2 was created after 1, so it runs first.

    >>> execution_order([[1, 2], [3], [3], []], [9, 4, 5, 1], [0])
    [0, 2, 1, 3]
    """
    waiting = [0] * len(targets)
    for successors in targets:
        for target in successors:
            waiting[target] += 1
    heap: list[int] = []
    # The roots hang below one artificial node: one more edge each, delivered in order.
    for root in roots:
        waiting[root] += 1
    for root in roots:
        _deliver(heap, waiting, root, priorities)
    order = []
    while heap:
        node = _pop(heap, priorities)
        order.append(node)
        for target in targets[node]:
            _deliver(heap, waiting, target, priorities)
    return order


def _deliver(heap: list[int], waiting: list[int], node: int, priorities: Sequence[int]) -> None:
    waiting[node] -= 1
    if waiting[node] == 0:
        _push(heap, node, priorities)


def _push(heap: list[int], node: int, priorities: Sequence[int]) -> None:
    heap.append(node)
    _sift_up(heap, len(heap) - 1, node, priorities)


def _sift_up(heap: list[int], hole: int, node: int, priorities: Sequence[int]) -> None:
    while hole > 0 and priorities[heap[(hole - 1) // 2]] < priorities[node]:
        heap[hole] = heap[(hole - 1) // 2]
        hole = (hole - 1) // 2
    heap[hole] = node


def _pop(heap: list[int], priorities: Sequence[int]) -> int:
    first, node = heap[0], heap.pop()
    size = len(heap)
    if size == 0:
        return first
    # libstdc++ sinks the hole to the bottom, preferring the right child, and only then lets the
    # displaced last element rise: with equal priorities this decides who comes next.
    hole = 0
    while 2 * hole + 2 < size:
        child = 2 * hole + 2
        if priorities[heap[child]] < priorities[heap[child - 1]]:
            child -= 1
        heap[hole] = heap[child]
        hole = child
    if 2 * hole + 2 == size:
        heap[hole] = heap[size - 1]
        hole = size - 1
    _sift_up(heap, hole, node, priorities)
    return first
