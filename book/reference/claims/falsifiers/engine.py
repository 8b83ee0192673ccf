"""Falsifiers of what chapters say about the engine: order, counting, and what runs."""

import threading

import torch
from press.trials.claims import Exempt, claim, control
from press.worlds import programs

ORDERED = programs(without=["reentrant"])


# --- The order of nodes ---------------------------------------------------------------------------


def count_edges(roots):
    """The nodes behind the roots, and the number of edges that arrive at each."""
    missing = dict.fromkeys(roots, 0)
    nodes = list(missing)
    for node in nodes:  # the list grows while it is read
        for child, _ in node.next_functions:
            if child is not None:
                if child not in missing:
                    missing[child] = 0
                    nodes.append(child)
                missing[child] += 1
    return missing


def run_order(roots):
    """The nodes behind the roots, and the order in which a pass runs them."""
    ends = list(dict.fromkeys(root.grad_fn for root in roots))
    missing = count_edges(ends)
    ran = []
    for node in missing:
        node.register_prehook(lambda grads, node=node: ran.append(node))
    torch.autograd.backward(roots, [torch.ones_like(root) for root in roots])
    return missing, ran


def number(node):
    """The sequence number of a node."""
    return node._sequence_nr()


@claim(
    "engine-order",
    world=ORDERED,
    exceptions=[],
)
def highest_number_first(roots):
    """Hooks write down the nodes as they run; none of the ready ones has a higher number."""
    missing, ran = run_order(roots)
    ready = {node for node, count in missing.items() if count == 0}
    for node in ran:
        assert node in ready, f"{node.name()} ran before it was ready"
        highest = max(map(number, ready))
        assert number(node) == highest, f"{node.name()} ran before a higher number"
        ready.remove(node)
        for child, _ in node.next_functions:
            if child is not None:
                missing[child] -= 1
                if missing[child] == 0:
                    ready.add(child)
    assert not ready
    assert len(ran) == len(missing)


@control(
    "engine-order",
    "What is left open are leaves that are ready together, since they have one number.",
    world=programs(without=["reentrant"], often=["thread"]),
)
def only_leaves_share_a_number(roots):
    missing, ran = run_order(roots)
    ready = [node for node, count in missing.items() if count == 0]
    for node in ran:
        inner = [number(other) for other in ready if other.next_functions]
        assert len(inner) == len(set(inner)), "two ready nodes, no leaves, have one number"
        ready.remove(node)
        for child, _ in node.next_functions:
            if child is not None:
                missing[child] -= 1
                if missing[child] == 0:
                    ready.append(child)


@control("engine-order", "Of the ready nodes, the one that was recorded last runs.")
def recorded_last_runs(roots):
    _, ran = run_order(roots)
    inner = [number(node) for node in ran if node.next_functions]
    assert inner == sorted(inner, reverse=True)


# --- The loop as an engine ------------------------------------------------------------------------


def own_engine(roots, choose, outputs):
    """Gradients of leaves by a loop over nodes; ``outputs`` says how many a node has."""
    missing = count_edges([root.grad_fn for root in roots])
    arrived = {node: {} for node in missing}
    for root in roots:
        receive(arrived, root.grad_fn, root.output_nr, torch.ones_like(root))
    ready = [node for node, count in missing.items() if count == 0]
    gradients = {}
    while ready:
        node = ready.pop(choose(ready))
        got = [arrived[node].get(i) for i in range(outputs(node, arrived[node]))]
        if hasattr(node, "variable"):
            gradients[node.variable] = got[0]
            continue
        if callable(node):
            sent = node(*got)
        else:  # of a torch.autograd.Function, to which zeros are given for what did not arrive
            about = zip(got, node._input_metadata, strict=False)
            got = [torch.zeros(m.shape, dtype=m.dtype) if u is None else u for u, m in about]
            sent = node.apply(*got)
        sent = sent if isinstance(sent, tuple) else (sent,)
        for (child, place), cotangent in zip(node.next_functions, sent, strict=True):
            if child is not None:
                receive(arrived, child, place, cotangent)
                missing[child] -= 1
                if missing[child] == 0:
                    ready.append(child)
    return gradients


def receive(arrived, node, place, cotangent):
    """Add what arrives at a place; what a rule left too large is summed, None is nothing."""
    if cotangent is not None:
        cotangent = cotangent.sum_to_size(node._input_metadata[place].shape)
        places = arrived[node]
        places[place] = places[place] + cotangent if place in places else cotangent


def latest(ready):
    """The place of the ready node that has the highest number."""
    return max(range(len(ready)), key=lambda i: number(ready[i]))


def known_outputs(node, arrived):
    """How many outputs a node has, whatever has arrived."""
    return len(node._input_metadata)


def arrived_outputs(node, arrived):
    """As many as arrived: the error of a loop that was tried on nodes with one output."""
    return max(arrived, default=0) + 1


def gradients_of(roots, leaves):
    """What PyTorch's engine stores in each leaf."""
    torch.autograd.backward(roots, [torch.ones_like(root) for root in roots], retain_graph=True)
    return [leaf.grad for leaf in leaves]


LOOPED = programs(without=["hook", "reentrant"])


@claim("engine-loop", world=LOOPED)
def loop_is_an_engine(leaves, roots):
    """The loop's gradients are compared with those that the engine stored."""
    expected = gradients_of(roots, leaves)
    found = own_engine(roots, latest, known_outputs)
    for leaf, gradient in zip(leaves, expected, strict=True):
        torch.testing.assert_close(found.get(leaf), gradient)


@control("engine-loop", "A place for each cotangent that has arrived is enough.")
def arrived_is_enough(leaves, roots):
    gradients_of(roots, leaves)
    try:
        own_engine(roots, latest, arrived_outputs)
    except TypeError as error:
        raise AssertionError(str(error)) from None


@claim("engine-order-rounding", world=LOOPED)
def another_order_differs_by_rounding(leaves, roots):
    """The loop runs as a stack does, the last that became ready first, and the results agree."""
    expected = gradients_of(roots, leaves)
    found = own_engine(roots, lambda ready: -1, known_outputs)
    for leaf, gradient in zip(leaves, expected, strict=True):
        torch.testing.assert_close(found.get(leaf), gradient)


@control("engine-order-rounding", "Gradients do not depend on the order, to the last bit.")
def another_order_same_bits(leaves, roots):
    expected = gradients_of(roots, leaves)
    found = own_engine(roots, lambda ready: -1, known_outputs)
    for leaf, gradient in zip(leaves, expected, strict=True):
        assert torch.equal(found[leaf], gradient)


# --- How often, and which -------------------------------------------------------------------------


def runs(roots, leaves):
    """How often each node behind the roots runs in a pass."""
    counts = dict.fromkeys(count_edges([root.grad_fn for root in roots]), 0)
    for node in counts:

        def count(grads, node=node):
            counts[node] += 1

        node.register_prehook(count)
    torch.autograd.backward(roots, [torch.ones_like(root) for root in roots])
    return counts


def used_inside_and_outside(leaves, roots, kinds):
    """Whether a reentrant checkpoint uses the first leaf, which the rest of the graph uses too."""
    nodes = count_edges([root.grad_fn for root in roots])
    outside = any(getattr(node, "variable", None) is leaves[0] for node in nodes)
    return "reentrant, leaf inside" in kinds and outside


@claim(
    "engine-once",
    world=programs(),
    exceptions=[
        Exempt(
            "a leaf used inside a reentrant checkpoint and outside of it", used_inside_and_outside
        )
    ],
    control="In a pass each node runs once.",
)
def each_node_once(leaves, roots):
    """Hooks count how often each node runs."""
    for node, times in runs(roots, leaves).items():
        assert times == 1, f"{node.name()} ran {times} times"


@claim("engine-leads-somewhere", world=LOOPED)
def only_what_leads_to_it(leaves, roots):
    """The nodes that run for one leaf are compared with those on a way to it."""
    nodes = count_edges([root.grad_fn for root in roots])
    ran = set()
    for node in nodes:
        node.register_prehook(lambda grads, node=node: ran.add(node))
    target = leaves[0]
    seeds = [torch.ones_like(root) for root in roots]
    torch.autograd.grad(roots, target, seeds, allow_unused=True)
    leads = {node for node in nodes if getattr(node, "variable", None) is target}
    for _ in nodes:
        leads |= {n for n in nodes if any(child in leads for child, _ in n.next_functions)}
    inner = {node for node in leads if not hasattr(node, "variable")}
    assert ran == inner


@control("engine-leads-somewhere", "A pass runs all nodes behind its roots but those of leaves.")
def all_nodes_run(leaves, roots):
    nodes = count_edges([root.grad_fn for root in roots])
    ran = set()
    for node in nodes:
        node.register_prehook(lambda grads, node=node: ran.add(node))
    seeds = [torch.ones_like(root) for root in roots]
    torch.autograd.grad(roots, leaves[0], seeds, allow_unused=True)
    assert ran == {node for node in nodes if not hasattr(node, "variable")}


@claim("engine-roots", world=programs(without=["reentrant"]))
def roots_make_one_sum(leaves, roots):
    """One pass from all roots is compared with a pass from their sum."""
    seeds = [torch.ones_like(root) for root in roots]
    one = torch.autograd.grad(roots, leaves, seeds, retain_graph=True, allow_unused=True)
    total = sum(root.sum() for root in roots)
    other = torch.autograd.grad(total, leaves, allow_unused=True)
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b)


@control("engine-roots", "The gradients are those of the last root.")
def last_root_alone(leaves, roots):
    seeds = [torch.ones_like(root) for root in roots]
    one = torch.autograd.grad(roots, leaves, seeds, retain_graph=True, allow_unused=True)
    other = torch.autograd.grad(roots[-1].sum(), leaves, allow_unused=True)
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b)


@claim("engine-thread", world=programs())
def in_the_calling_thread(roots):
    """Hooks note the thread in which each node runs."""
    seen = set()
    for node in count_edges([root.grad_fn for root in roots]):
        node.register_prehook(lambda grads: seen.add(threading.get_ident()))
    torch.autograd.backward(roots, [torch.ones_like(root) for root in roots])
    assert seen == {threading.get_ident()}


@control("engine-thread", "A node runs in the main thread of the program.")
def in_the_main_thread(roots):
    seen = set()
    for node in count_edges([root.grad_fn for root in roots]):
        node.register_prehook(lambda grads: seen.add(threading.get_ident()))
    seeds = [torch.ones_like(root) for root in roots]
    worker = threading.Thread(target=torch.autograd.backward, args=(roots, seeds))
    worker.start()
    worker.join()
    assert seen == {threading.main_thread().ident}
