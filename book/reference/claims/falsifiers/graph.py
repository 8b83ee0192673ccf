"""Falsifiers of what chapters say about the graph: what is recorded, and what nodes receive."""

import torch
from press.trials.claims import assume, claim, control
from press.worlds import models, operations, programs, states

import backwardpass

PROGRAMS = programs(without=["reentrant"])


def behind(roots):
    """All nodes behind the roots."""
    nodes = list(dict.fromkeys(root.grad_fn for root in roots))
    for node in nodes:
        for child, _ in node.next_functions:
            if child is not None and child not in nodes:
                nodes.append(child)
    return nodes


def ones(roots):
    """A seed of ones for each root."""
    return [torch.ones_like(root) for root in roots]


def recorded():
    """How many nodes this thread has recorded so far, the one that is made to ask included."""
    return (torch.ones(1, requires_grad=True) + 0).grad_fn._sequence_nr()


# --- What is recorded -----------------------------------------------------------------------------


@claim("node-if-enabled", world=states())
def node_if_enabled(x, mode):
    """A product is made of the tensor in the mode, and whether it has a node is looked at."""
    with mode():
        expected = torch.is_grad_enabled() and x.requires_grad
        y = x * 2
    assert (y.grad_fn is not None) is expected


@control("node-if-enabled", "An operation records a node if one of its inputs requires a gradient.")
def node_if_required(x, mode):
    with mode():
        y = x * 2
    assert (y.grad_fn is not None) is x.requires_grad


def results(call, args, kwargs):
    """The tensors that a call returns."""
    return [
        result
        for result in torch.utils._pytree.tree_leaves(call(*args, **kwargs))
        if isinstance(result, torch.Tensor)
    ]


def can_have_derivative(result):
    """Whether a tensor's numbers are real or complex."""
    return result.is_floating_point() or result.is_complex()


@claim("result-kind", world=operations())
def no_gradient_of_integers(call, args, kwargs):
    """Operations are called on arguments that require a gradient; their results are looked at."""
    for result in results(call, args, kwargs):
        assert can_have_derivative(result) or not result.requires_grad


@control("result-kind", "Each result of an operation on what requires a gradient requires one.")
def all_results_require(call, args, kwargs):
    for result in results(call, args, kwargs):
        assert result.requires_grad


# --- What a pass does to the graph ----------------------------------------------------------------


# A pass from several roots makes a node of its own to begin with, which takes a number.
@claim(
    "pass-adds-no-node",
    world=programs(roots=1, often=["checkpoint"]),
)
def no_node_added(roots, kinds):
    """Nodes are listed before and after, and their numbers say whether a pass recorded others than
    those of calls from Python, of which there are none without a checkpoint.
    """
    nodes = behind(roots)
    before = recorded()
    with CallsFromPython() as calls:
        torch.autograd.backward(roots, ones(roots))
    assert recorded() == before + 1 + calls.nodes, "a rule recorded a node"
    assert not calls.nodes or "checkpoint" in kinds, "a node was recorded without a checkpoint"
    assert behind(roots) == nodes


class CallsFromPython(torch.overrides.TorchFunctionMode):
    """Counts the nodes that calls from Python record: in a pass, those of a forward run again."""

    nodes = 0

    def __torch_function__(self, function, types, args=(), kwargs=None):
        before = torch._C._autograd._get_sequence_nr()
        try:
            return function(*args, **(kwargs or {}))
        finally:  # a checkpoint leaves its block by an exception
            self.nodes += torch._C._autograd._get_sequence_nr() - before


@control("pass-adds-no-node", "A pass without create_graph records no node.")
def no_node_by_checkpoints(roots):
    before = recorded()
    torch.autograd.backward(roots, ones(roots))
    assert recorded() == before + 1


@control("pass-adds-no-node", "A backward pass records no node.", world=PROGRAMS)
def no_node_even_then(leaves, roots):
    before = recorded()
    torch.autograd.grad(roots, leaves, ones(roots), create_graph=True, allow_unused=True)
    assert recorded() == before + 1


@claim("node-receives-shape", world=PROGRAMS)
def receives_its_shape(roots):
    """What arrives at each node is compared with the shape of the output it is for."""
    wrong = []
    for node in behind(roots):

        def look(grads, node=node):
            for grad, about in zip(grads, node._input_metadata, strict=True):
                if grad is not None and list(grad.shape) != list(about.shape):
                    wrong.append(node.name())

        node.register_prehook(look)
    torch.autograd.backward(roots, ones(roots))
    assert not wrong, wrong


@control("node-receives-shape", "What a rule returns has the shape of the input it is for.")
def rules_return_the_shape(roots):
    for root in roots:  # called by hand: what hooks see the engine has summed already
        node = root.grad_fn
        assume(callable(node) and len(node._input_metadata) == 1)
        sent = node(torch.ones_like(root))
        for grad, (child, place) in zip(as_tuple(sent), node.next_functions, strict=True):
            if grad is not None and child is not None:
                assert list(grad.shape) == list(child._input_metadata[place].shape)


def as_tuple(sent):
    """What a node returns, in a tuple where it is one tensor."""
    return sent if isinstance(sent, tuple) else (sent,)


@claim("second-pass-doubles", world=PROGRAMS)
def second_pass_doubles(leaves, roots):
    """A retained graph runs twice, each time with seeds of its own; gradients are compared."""
    torch.autograd.backward(roots, ones(roots), retain_graph=True)
    first = [None if leaf.grad is None else leaf.grad.clone() for leaf in leaves]
    torch.autograd.backward(roots, ones(roots))
    for leaf, once in zip(leaves, first, strict=True):
        torch.testing.assert_close(leaf.grad, None if once is None else 2 * once)


@control("second-pass-doubles", "After a pass without retain_graph a graph cannot run again.")
def never_again(leaves, roots):
    torch.autograd.backward(roots, ones(roots))
    try:
        torch.autograd.backward(roots, ones(roots))
    except RuntimeError:
        return
    raise AssertionError("it ran again")


@claim("create-graph-leads-back", world=programs(without=["function", "checkpoint"]))
def leads_back(leaves, roots):
    """Where a gradient requires one, the graph behind it is searched for nodes of the leaves."""
    grads = torch.autograd.grad(roots, leaves, ones(roots), create_graph=True, allow_unused=True)
    grads = [grad for grad in grads if grad is not None and grad.requires_grad]
    assume(grads)
    theirs = {
        leaf for node in behind(grads) if (leaf := getattr(node, "variable", None)) is not None
    }
    assert theirs & set(leaves)


@control("create-graph-leads-back", "With create_graph=True each gradient has a graph behind it.")
def each_has_a_graph(leaves, roots):
    grads = torch.autograd.grad(roots, leaves, ones(roots), create_graph=True, allow_unused=True)
    assert all(grad is None or grad.requires_grad for grad in grads)


# --- Outputs that nobody used ---------------------------------------------------------------------


def several(info):
    """Whether an operation of PyTorch's list may return several tensors."""
    return info.name.rpartition(".")[2] in SEVERAL


SEVERAL = {
    "unbind", "split", "chunk", "sort", "topk", "max", "min", "std_mean", "var_mean", "slogdet",
    "svd", "eigh", "qr", "aminmax", "kthvalue", "mode", "median", "cummax", "cummin", "frexp",
    "tensor_split", "unsafe_split", "hsplit", "meshgrid", "lu_factor", "lu", "lstsq", "solve_ex",
}  # fmt: skip


@claim("engine-undefined", world=operations(variants=["function"], only=several), sample=60)
def counts_as_zero(call, args, kwargs):
    """One output alone is summed, then the others with a factor of zero beside it."""
    made = [result for result in results(call, args, kwargs) if result.requires_grad]
    assume(len(made) > 1)
    inputs = [leaf for leaf in torch.utils._pytree.tree_leaves((args, kwargs)) if is_leaf(leaf)]
    alone = made[0].sum()
    beside = sum((other * 0).sum() for other in made[1:]) + alone
    for root in (alone, beside):
        assume(root.isfinite())
    first = torch.autograd.grad(alone, inputs, retain_graph=True, allow_unused=True)
    second = torch.autograd.grad(beside, inputs, allow_unused=True)
    for a, b in zip(first, second, strict=True):
        a = torch.zeros_like(b) if a is None and b is not None else a
        torch.testing.assert_close(a, b, equal_nan=True)


def is_leaf(value):
    """Whether a value is a tensor that a gradient can be asked for."""
    return isinstance(value, torch.Tensor) and value.requires_grad


@control("engine-undefined", "A node receives a tensor for each of its outputs.")
def a_tensor_for_each(call, args, kwargs):
    made = [result for result in results(call, args, kwargs) if result.requires_grad]
    assume(len(made) > 1 and made[0].grad_fn is made[1].grad_fn)
    missing = []
    made[0].grad_fn.register_prehook(lambda grads: missing.extend(g is None for g in grads))
    made[0].sum().backward()
    assert not any(missing)


# --- Leaves ---------------------------------------------------------------------------------------


def of_a_leaf(x):
    """Whether a tensor is a leaf that requires a gradient, or a view of one."""
    leaf = x if x._base is None else x._base
    return leaf.is_leaf and leaf.requires_grad


@claim("leaf-in-place", world=states())
def leaf_is_not_written(x, mode):
    """The tensor is doubled in place, and whether that raises is compared with what it is."""
    assume(not x.is_inference())
    with mode():
        expected = torch.is_grad_enabled() and of_a_leaf(x)
        said = ""
        try:
            x.mul_(2)
        except RuntimeError as error:
            said = str(error)
    assume("multiple views" not in said)
    assert bool(said) is expected, said


@control("leaf-in-place", "A leaf that requires a gradient cannot be changed in place.")
def leaf_is_never_written(x, mode):
    assume(x.is_leaf and x.requires_grad and not x.is_inference())
    with mode():
        try:
            x.mul_(2)
        except RuntimeError:
            return
    raise AssertionError("it was changed")


# --- The instruments ------------------------------------------------------------------------------


@claim("trace-order", world=PROGRAMS)
def traced_as_run(roots):
    """A trace lists the nodes, and hooks write them down as they run."""
    graph = backwardpass.trace(roots)
    ran = []
    for node in behind(roots):
        node.register_prehook(lambda grads, node=node: ran.append(node.name()))
    torch.autograd.backward(roots, ones(roots))
    listed = [node.name for node in graph.nodes]
    assert len(listed) == len(ran)
    assert [name.rpartition("::")[2] for name in ran] == [n.rpartition("::")[2] for n in listed]


@control("trace-order", "Nodes run in the order in which a walk from the root first meets them.")
def run_as_met(roots):
    nodes = behind(roots)
    ran = []
    for node in nodes:
        node.register_prehook(lambda grads, node=node: ran.append(node))
    torch.autograd.backward(roots, ones(roots))
    assert ran == nodes


@claim("record-each-once", world=PROGRAMS)
def recorded_each_once(roots):
    """The steps of a recorded pass are compared with the nodes of its graph, each once."""
    with backwardpass.record() as recording:
        torch.autograd.backward(roots, ones(roots))
    (seen,) = recording.passes
    assert sorted(step.node for step in seen.steps) == list(range(len(seen.graph.nodes)))


@control("record-each-once", "A pass to one leaf runs each node of the graph.")
def recorded_all(leaves, roots):
    with backwardpass.record() as recording:
        torch.autograd.grad(roots, leaves[:1], ones(roots), allow_unused=True)
    (seen,) = recording.passes
    assert len(seen.steps) == len(behind(roots))


# --- Training -------------------------------------------------------------------------------------


@claim("sgd-step", world=models(), sample=40)
def sgd_by_hand(model, loss):
    """A step of torch.optim.SGD is compared with the formula."""
    loss.backward()
    expected = [p.detach() - 0.1 * p.grad for p in model.parameters()]
    torch.optim.SGD(model.parameters(), lr=0.1, foreach=False).step()
    for parameter, value in zip(model.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.detach(), value)


@control("sgd-step", "A step of SGD with momentum and weight decay is the same formula.")
def sgd_with_more(model, loss):
    loss.backward()
    expected = [p.detach() - 0.1 * p.grad for p in model.parameters()]
    torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1).step()
    for parameter, value in zip(model.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.detach(), value)


def trained(model, x, clear):
    """The parameters after three steps, with gradients cleared at one of three places."""
    torch.manual_seed(0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for _ in range(3):
        if clear == "first":
            optimizer.zero_grad()
        output = model(x)
        output = output[0] if isinstance(output, tuple) else output
        loss = (output * output).mean()
        if clear == "before backward":
            optimizer.zero_grad()
        loss.backward()
        if clear == "before step":
            optimizer.zero_grad()
        optimizer.step()
        if clear == "last":
            optimizer.zero_grad()
    return [p.detach().clone() for p in model.parameters()]


def trained_from_here(model, x, places):
    """What training gives with each place of zero_grad, from the same parameters."""
    start = {name: value.clone() for name, value in model.state_dict().items()}
    found = []
    for clear in places:
        model.load_state_dict(start)
        model.zero_grad()
        found.append(trained(model, x, clear))
    return found


@claim("clear-anywhere", world=models(), sample=30)
def cleared_anywhere(model, x):
    """Three steps are made with the gradients cleared first, before backward, or last."""
    first, *others = trained_from_here(model, x, ["first", "before backward", "last"])
    for other in others:
        assert all(torch.equal(a, b) for a, b in zip(first, other, strict=True))


@control("clear-anywhere", "zero_grad() may stand anywhere in the loop.")
def cleared_before_step(model, x):
    first, other = trained_from_here(model, x, ["first", "before step"])
    assert all(torch.equal(a, b) for a, b in zip(first, other, strict=True))


@claim("modules-change-nothing", world=models(), sample=30)
def modules_change_nothing(model, x):
    """A model runs outside and inside of modules(); outputs and gradients are compared."""

    def run():
        torch.manual_seed(0)
        output = model(x)
        output = output[0] if isinstance(output, tuple) else output
        parameters = list(model.parameters())
        return [output, *torch.autograd.grad(output.sum(), parameters, allow_unused=True)]

    model.eval()
    plain = run()
    with backwardpass.modules(model):
        watched = run()
    for a, b in zip(plain, watched, strict=True):
        assert a is b is None or torch.equal(a, b)


@control("modules-change-nothing", "Each node behind a loss knows the module that made it.")
def all_nodes_know(model, x):
    with backwardpass.modules(model):
        output = model(x)
        output = output[0] if isinstance(output, tuple) else output
        graph = backwardpass.trace(output.sum())
    assert all(node.module for node in graph.nodes)
