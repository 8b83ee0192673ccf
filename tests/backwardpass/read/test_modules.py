"""Modules: nodes know which forward pass made them, and nothing else changes."""

import re
import threading
import warnings
import xml.etree.ElementTree as ElementTree

import pytest
import torch
from torch import nn
from torch.nn.modules import module as torch_module
from torch.utils.checkpoint import checkpoint

import backwardpass
from backwardpass.show.frames import module_tree
from backwardpass.show.svg import _along, _frame

SVG = "{http://www.w3.org/2000/svg}"


class Block(nn.Module):
    """Two layers and a sum, of which the sum is the block's own."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3, 4), nn.Linear(4, 3)

    def forward(self, x):
        return x + self.second(self.first(x).tanh())


def paths(model: nn.Module, root: torch.Tensor) -> dict[str, set[str | None]]:
    found: dict[str, set[str | None]] = {}
    for node in backwardpass.trace(root, model).nodes:
        found.setdefault(node.name, set()).add(node.module)
    return found


def test_nodes_carry_the_innermost_path():
    """A node belongs to the innermost module that ran, the model itself being the empty path."""
    model = Block()
    x = torch.ones(2, 3, requires_grad=True)
    with backwardpass.modules(model):
        root = model(x * 1).sum()
    found = paths(model, root)
    assert found["SumBackward0"] == found["MulBackward0"] == {None}
    assert found["AddBackward0"] == found["TanhBackward0"] == {""}
    assert found["AddmmBackward0"] == {"first", "second"}
    assert found["AccumulateGrad"] == {"first", "second", None}


def test_without_the_block_there_is_no_path():
    """Neither before nor after the block does a node know its module."""
    model = Block()
    with backwardpass.modules(model):
        pass
    assert set.union(*paths(model, model(torch.ones(2, 3))).values()) == {None}


def test_another_models_calls_are_not_noted():
    """Only parts of the model that was given count."""
    model, other = Block(), Block()
    with backwardpass.modules(model):
        root = other(torch.ones(2, 3))
    assert set.union(*paths(other, root).values()) == {None}


def hooks() -> tuple[int, ...]:
    """Count the hooks on every module call there are in this process."""
    names = [name for name in vars(torch_module) if re.fullmatch(r"_global_\w+_hooks\w*", name)]
    return tuple(len(getattr(torch_module, name)) for name in sorted(names))


def test_the_hooks_are_gone_whatever_happened():
    """After an exception in the block, in a module or in a hook, no hook is left."""
    before = hooks()
    model = nn.Sequential(nn.Linear(3, 4), Block())
    during = []
    model.register_forward_pre_hook(lambda module, given: during.append(hooks()))
    with pytest.raises(RuntimeError, match="shapes"), backwardpass.modules(model):
        model(torch.ones(2, 3))
    assert during != [before]
    assert hooks() == before


def test_a_module_that_raised_is_left_behind():
    """A call that ended in an exception, caught by the model, does not shift the paths."""

    class Careful(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.wrong, self.right = nn.Linear(5, 3), nn.Linear(3, 3)

        def forward(self, x):
            try:
                return self.wrong(x)
            except RuntimeError:
                return self.right(x).tanh()

    model = Careful()
    with backwardpass.modules(model):
        root = model(torch.ones(2, 3))
    found = paths(model, root)
    assert (found["TanhBackward0"], found["AddmmBackward0"]) == ({""}, {"right"})


def test_threads_do_not_mix():
    """Sequence numbers of two threads overlap; their nodes keep their own paths."""
    model = nn.Sequential(nn.Linear(3, 3), nn.Tanh())
    made = {}

    def work(number: int) -> None:
        with torch.enable_grad():
            outside = torch.ones(2, 3, requires_grad=True).exp()
            made[number] = model(outside)

    with backwardpass.modules(model):
        workers = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    for root in made.values():
        found = paths(model, root)
        assert (found["TanhBackward0"], found["ExpBackward0"]) == ({"1"}, {None})


def test_results_are_the_same_bits():
    """Gradients inside the block are those outside it, checkpointed modules included."""

    def gradients(noted: bool) -> list[torch.Tensor]:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5), Block())
        x = torch.randn(4, 3, requires_grad=True)
        if noted:
            with backwardpass.modules(model):
                checkpoint(model, x, use_reentrant=False).sum().backward()
        else:
            checkpoint(model, x, use_reentrant=False).sum().backward()
        return [x.grad, *(parameter.grad for parameter in model.parameters())]

    for one, other in zip(gradients(True), gradients(False), strict=True):
        assert torch.equal(one, other)


def test_something_else_than_a_module_is_explained():
    """What is no module raises, saying what to pass."""
    with (
        pytest.raises(TypeError, match=r"needs the torch.nn.Module[\s\S]*type function[\s\S]*Pass"),
        backwardpass.modules(lambda x: x),
    ):
        pass


def test_frames_stand_around_their_nodes():
    """In the picture every node lies inside its module's frame, and frames lie in frames."""
    model = nn.Sequential(Block(), nn.ReLU())
    with backwardpass.modules(model):
        root = model(torch.ones(2, 3)).sum()
    graph = backwardpass.trace(root, model)
    picture = ElementTree.fromstring(graph.to_svg())
    frames = {}
    for one in picture.iter(f"{SVG}g"):
        if one.get("class") == "bp-module":
            rect = one.find(f"{SVG}rect")
            left, top, width, height = (float(rect.get(k)) for k in ("x", "y", "width", "height"))
            frames[one.find(f"{SVG}title").text] = (left, top, left + width, top + height)
    assert set(frames) == {"0", "0.first", "0.second", "1"}
    assert inside(frames["0.first"], frames["0"])
    boxes = [one for one in picture.iter(f"{SVG}g") if "bp-node" in one.get("class", "")]
    for node, box in zip(graph.nodes, boxes, strict=False):
        rect = box.find(f"{SVG}rect")
        left, top, width, height = (float(rect.get(k)) for k in ("x", "y", "width", "height"))
        place = (left, top, left + width, top + height)
        for path, frame in frames.items():
            belongs = node.module is not None and f"{node.module}.".startswith(f"{path}.")
            assert inside(place, frame) == belongs, (node, path)


def test_a_path_gives_way_to_an_arrow():
    """A frame's path stands on the left, on the right where an arrow comes in on the left."""
    frame = module_tree(["a.b"])[0]
    start = re.compile(r'<text class="bp-note"[^>]* x="([-0-9.]+)"')
    free = _frame(frame, (0, 0), (200, 90), [])
    taken = _frame(frame, (0, 0), (200, 90), _along(((10, -20), (10, 0), (10, 20), (10, 40))))
    assert float(start.search(free)[1]) == 7
    assert float(start.search(taken)[1]) > 150
    both = [(12, 8), (180, 8)]
    assert _frame(frame, (0, 0), (200, 90), both) == free


def inside(inner: tuple, outer: tuple) -> bool:
    return inner[0] >= outer[0] and inner[1] >= outer[1] and (
        inner[2] <= outer[2] and inner[3] <= outer[3]
    )  # fmt: skip


def test_dot_has_a_cluster_for_each_module():
    """Graphviz reads the frames of to_dot as subgraphs, hostile paths escaped."""
    model = nn.ModuleDict({'a"b': nn.Linear(3, 4), "c": nn.Tanh()})
    with backwardpass.modules(model):
        root = model["c"](model['a"b'](torch.ones(2, 3)))
    dot = backwardpass.trace(root).to_dot()
    assert r'subgraph "cluster_a\"b" {' in dot
    pygraphviz = pytest.importorskip("pygraphviz")
    read = pygraphviz.AGraph(string=dot)
    assert {each.graph_attr["label"] for each in read.subgraphs()} == {'a"b', "c"}


def test_a_module_that_holds_one_other_has_no_frame():
    """Frames that would only repeat another one are left out, at every depth."""
    (outer,) = module_tree(["a.b.c.d", "a.b.c.e", None])
    assert (outer.path, [inner.path for inner in outer.inside]) == (
        "a.b.c",
        ["a.b.c.d", "a.b.c.e"],
    )


def test_a_compiled_model_warns_of_nothing():
    """Around a model that torch.compile wraps no warning is heard, and the filters stay."""
    model = torch.compile(torch.nn.Linear(2, 2), backend="eager")
    before = list(warnings.filters)
    with backwardpass.modules(model):
        model(torch.ones(1, 2)).sum().backward()
    assert list(warnings.filters) == before
