"""Drawing: everything of the graph is in the picture, which is the same everywhere."""

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import torch

import backwardpass
from backwardpass.show.boxes import Box, Line, boxes_and_arrows, wrap
from backwardpass.show.svg import _box

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = 'a"b<i>&|c\\N\n\x00'


class Twice(torch.autograd.Function):
    """A node of the kind "function"."""

    @staticmethod
    def forward(ctx, x):
        return 2 * x

    @staticmethod
    def backward(ctx, u):
        return 2 * u


def sample(name: str = "x") -> backwardpass.Graph:
    x = torch.ones(2, 3, requires_grad=True)
    a, b = Twice.apply(x * x).unbind(0)
    return backwardpass.trace((a + b * torch.ones(3)).sum(), {name: x})


def parts(svg: str, name: str) -> list[ElementTree.Element]:
    """Find the elements of a class."""
    root = ElementTree.fromstring(svg)
    return [one for one in root.iter() if name in one.get("class", "").split()]


def test_every_node_and_edge_is_drawn():
    """A box a node, an arrow an edge, parallel ones too, a stub for an input without gradient."""
    graph = sample()
    svg = graph.to_svg()
    assert len(parts(svg, "bp-node")) == len(graph.nodes) + 1
    assert len(parts(svg, "bp-head")) == 8
    assert len(parts(svg, "bp-no-gradient")) == 1


def test_kinds_differ_in_shape_and_words():
    """Round corners, a band and cut corners tell the kinds apart without colour."""
    (function,) = parts(sample().to_svg(), "bp-function")
    (accumulate,) = parts(sample().to_svg(), "bp-accumulate")
    operation = parts(sample().to_svg(), "bp-operation")[0]
    assert function.find(f"{SVG}polygon") is not None
    assert "Python function" in [text.text for text in function.iter(f"{SVG}text")]
    assert [rect.get("class") for rect in accumulate.iter(f"{SVG}rect")][:2] == [
        "bp-box",
        "bp-band",
    ]
    assert operation.find(f"{SVG}rect").get("rx") == "8"


def test_edges_say_what_travels_along_them():
    """An edge is labelled with its cotangent's shape, and the input where there are several."""
    _, arrows = boxes_and_arrows(sample())
    labels = [arrow.label.text for arrow in arrows if arrow.label]
    assert labels == [
        "(3,)",
        "input 0: (3,)",
        "(3,)",
        "input 1: (3,)",
        "(2, 3)",
        "(2, 3)",
        "(2, 3)",
        "(2, 3)",
    ]


def test_a_step_number_gives_way_to_an_arrow():
    """The number stands on the left corner, on the right one where an arrow ends on the left."""
    box = Box("operation", (Line("AddBackward0", "name"),), "", 0)
    left, top = -box.size[0] / 2, -box.size[1] / 2
    badge = re.compile(r'class="bp-badge"[^>]* x="([-0-9.]+)"')
    free, taken = _box(box, (0, 0), []), _box(box, (0, 0), [(left + 3, top)])
    assert float(badge.search(free).group(1)) < 0 < float(badge.search(taken).group(1))


def test_the_picture_has_a_name_and_a_description():
    """The element is an image labelled by its title and description, whatever is in them."""
    root = ElementTree.fromstring(sample().to_svg(title="A & <b>", prefix="one"))
    assert (root.get("role"), root.get("aria-labelledby")) == ("img", "one-title one-desc")
    assert root.find(f"{SVG}title").text == "A & <b>"
    assert root.find(f"{SVG}title").get("id") == "one-title"
    described = root.find(f"{SVG}desc").text
    assert described.startswith("7 nodes in the engine's order. 1: SumBackward0, (), sends to 2.")
    assert "sends to 4 and an input without gradient." in described


def test_ids_are_made_from_the_picture():
    """Different pictures have different ids, the same one the same."""
    ids = [re.search(r'id="([^"]+)"', sample(name).to_svg()).group(1) for name in "xxy"]
    assert ids[0] == ids[1] != ids[2]


def test_the_element_fits_into_a_page():
    """No prolog and no doctype, a view box, and a width that gives way."""
    svg = sample().to_svg()
    assert svg.startswith("<svg ")
    root = ElementTree.fromstring(svg)
    assert root.get("style") == "max-width:100%;height:auto"
    assert root.get("viewBox").split()[2:] == [root.get("width"), root.get("height")]


def test_every_colour_is_a_variable_with_a_fallback():
    """The page can set every colour; without it each has a plain value, in attributes too."""
    svg = sample().to_svg()
    style = parts(svg, "bp-graph")[0].find(f"{SVG}style").text
    colours = re.findall(r"(?:fill|stroke):([^;]+);", style)
    assert len(colours) >= 10
    assert all(re.fullmatch(r"var\(--bp-[a-z-]+,#[0-9a-f]{6}\)", one) for one in colours)
    assert all(box.get("fill").startswith("#") for box in parts(svg, "bp-box"))


def test_the_users_text_is_escaped_in_the_picture():
    """A name of any signs is text in the SVG, on one line."""
    (accumulate,) = parts(sample(HOSTILE).to_svg(), "bp-accumulate")
    assert 'a"b<i>&|c\\N \ufffd' in [text.text for text in accumulate.iter(f"{SVG}text")]


def test_the_users_text_is_escaped_in_dot():
    """Graphviz reads back the very name that was written."""
    pygraphviz = pytest.importorskip("pygraphviz")
    dot = sample(HOSTILE).to_dot()
    assert r'label="AccumulateGrad\na\"b<i>&amp;|c\\N' in dot
    read = pygraphviz.AGraph(string=dot)
    assert len(read.edges()) == 9


def test_text_fits_its_box():
    """Long names are broken, and no line is wider than the box around it."""
    graph = sample("model.encoder.layers_0.self_attention.in_projection_weight" * 2)
    boxes, _ = boxes_and_arrows(graph)
    for box in boxes:
        assert max(line.width for line in box.lines) < box.size[0] <= 260
    assert wrap("a" * 50, 20) == ["a" * 20, "a" * 20, "a" * 10]
    assert wrap("SavesIntermediatesBackward") == ["SavesIntermediates", "Backward"]
    assert wrap("MulBackward0") == ["MulBackward0"]


def test_long_names_are_broken_where_a_word_of_them_begins():
    """Neither a class name nor a module's path is broken inside a word."""
    assert wrap("CompiledFunctionBackward") == ["CompiledFunction", "Backward"]
    assert wrap("torch::autograd::CopySlices", 18) == ["torch::autograd::", "CopySlices"]
    assert wrap("view of model.2.weight, self", 16) == ["view of", "model.2.weight,", "self"]


def test_a_long_list_of_saved_tensors_is_shortened():
    """A box says how many tensors are saved where their names would fill it."""
    lstm = torch.nn.LSTM(3, 4)
    boxes, _ = boxes_and_arrows(backwardpass.trace(lstm(torch.ones(5, 2, 3))[0]))
    notes = [line.text for line in boxes[0].lines if line.style == "note"]
    assert len(notes) == 3
    assert re.fullmatch(r"… \d+ tensors", notes[-1])


DRAW = """
import torch, backwardpass
torch.manual_seed(0)
x = torch.ones(2, 3, requires_grad=True)
W = torch.ones(4, 3, requires_grad=True)
h = torch.nn.functional.linear(x, W).tanh()
graph = backwardpass.trace((h * h).sum(), vars())
print(graph.to_svg(), graph.to_dot(), graph.table().to_text(), graph.as_dict())
model = torch.nn.Sequential(torch.nn.Linear(3, 3), *[torch.nn.Tanh() for _ in range(9)])
with backwardpass.modules(model), backwardpass.record(model, values=True) as recording:
    loss = model(x).sum()
    loss.backward()
graph = backwardpass.trace(loss, model)
print(graph.to_svg(max_nodes=9), graph.to_dot(), graph, graph.memory().to_markdown())
print(recording.passes[0].as_dict()["steps"])
"""


def run(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-X", "utf8", "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    )
    assert done.stderr == ""
    return done.stdout


def test_the_same_input_gives_the_same_bytes(tmp_path):
    """Neither hash seeds, nor fonts, nor what ran before shows in a picture."""
    fonts = tmp_path / "fonts.conf"
    fonts.write_text("<fontconfig></fontconfig>")
    before = "import torch\nfor _ in range(99): torch.ones(1, requires_grad=True) * 2\n"
    first = run(DRAW, PYTHONHASHSEED="1")
    second = run(before + DRAW, PYTHONHASHSEED="2", FONTCONFIG_FILE=str(fonts))
    assert first == second
    assert "0x" not in first


def test_importing_does_not_load_graphviz():
    """pygraphviz is loaded when something is drawn, not before."""
    assert run("import sys, backwardpass; print('pygraphviz' in sys.modules)") == "False\n"


def test_the_program_dot_draws_the_same(monkeypatch, tmp_path):
    """Without pygraphviz the program dot lays the graph out."""
    pytest.importorskip("pygraphviz")
    expected = sample().to_svg()
    program = Path(tmp_path, "dot")
    program.write_text(
        f"#!{sys.executable}\n"
        "import sys, pygraphviz\n"
        "assert sys.argv[1:] == ['-Tjson0']\n"
        "graph = pygraphviz.AGraph(string=sys.stdin.read())\n"
        "sys.stdout.buffer.write(graph.draw(format='json0', prog='dot'))\n"
    )
    program.chmod(0o755)
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert sample().to_svg() == expected
    program.write_text(f"#!{sys.executable}\nimport sys\nsys.exit('no memory')\n")
    with pytest.raises(RuntimeError, match=r"could not lay the graph out:\nno memory"):
        sample().to_svg()


def test_without_graphviz_one_error_says_what_to_install(monkeypatch):
    """Neither pygraphviz nor dot: one message with the remedy; a notebook still gets the table."""
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(RuntimeError, match=r"neither .*pygraphviz.* nor .*dot[\s\S]*pip install"):
        sample().to_svg()
    shown = sample()._repr_html_()
    assert "pip install" in shown
    assert '<table class="bp-table">' in shown
    assert "<svg" not in shown


def test_a_notebook_shows_picture_and_table():
    """The rich display is the drawing, then the table."""
    shown = sample()._repr_html_()
    assert shown.index("<svg") < shown.index('<table class="bp-table">')
