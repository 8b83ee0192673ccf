"""What a clever or a careless author writes that looks right: one script a plant, one build.

Each of these was once published by a green build.
"""

import re
from dataclasses import dataclass

import pytest

TITLE = '"""\nA script\n========\n\nFor a test.\n"""\n\n'
CUBE = """import torch

x = torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64, requires_grad=True)
loss = (x**3).sum()
loss.backward()
value = x.detach()
dx = 3 * value**2
"""
COMPARE = 'torch.testing.assert_close({"x": dx}, {"x": x.grad})\n'
CHAIN = """import torch

x = torch.tensor([0.5, -2.0, 1.5], dtype=torch.float64, requires_grad=True)
a = x**3
a.retain_grad()
a.sin().sum().backward()
da = torch.cos(a.detach())
"""
LAYER = """import torch

torch.manual_seed(0)
X, W, U = (torch.randn(4, 4, dtype=torch.float64) for _ in range(3))
W.requires_grad_()
((X @ W.T) * U).sum().backward()
dW = U.T @ X
"""


@dataclass(frozen=True)
class Plant:
    """A script with something wrong in it, where that is, and what the build says of it."""

    name: str
    source: str
    at: str | None
    gate: str
    says: str


def cube(name: str, code: str, at: str | None, gate: str, says: str) -> Plant:
    return Plant(name, CUBE + code, at, gate, says)


FROM_AUTOGRAD = ".*by hand against autograd, (has another value by hand when the passes|still pass)"
PLANTS = [
    # Autograd, or its kernels, as the side by hand.
    cube(
        "functional_jvp",
        "ones = torch.ones(3, dtype=torch.float64)\n"
        "dx = torch.autograd.functional.jvp(lambda x: x**3, value, ones)[1]\n" + COMPARE,
        "assert_close",
        "replay",
        FROM_AUTOGRAD,
    ),
    cube(
        "before",
        "dx = torch.func.grad(lambda x: (x**3).sum())(value)\n"
        "x.grad = None\n(x**3).sum().backward()\n" + COMPARE,
        "assert_close",
        "replay",
        FROM_AUTOGRAD,
    ),
    cube(
        "imported_unpack",
        "from torch.autograd.forward_ad import dual_level, make_dual, unpack_dual\n\n"
        "with dual_level():\n"
        "    dual = make_dual(value, torch.ones_like(value))\n"
        "    dx = unpack_dual(dual**3).tangent\n" + COMPARE,
        "assert_close",
        "replay",
        FROM_AUTOGRAD,
    ),
    cube(
        "calls_a_node",
        "y = x**3\ndx = y.grad_fn(torch.ones(3, dtype=torch.float64))\n" + COMPARE,
        "dx = y.grad_fn",
        "refused",
        r"y\.grad_fn is a node, called here",
    ),
    cube(
        "calls_a_node_by_name",
        "y = x**3\nnode = y.grad_fn\ndx = node(torch.ones(3, dtype=torch.float64))\n" + COMPARE,
        "dx = node",
        "refused",
        "node is a node, called here",
    ),
    Plant(
        "backward_formula",
        "import torch\n\nx = torch.tensor([0.5, -1.0], dtype=torch.float64, requires_grad=True)\n"
        "y = x.tanh()\ny.sum().backward()\n"
        "dx = torch.ops.aten.tanh_backward(torch.ones_like(y), y.detach())\n" + COMPARE,
        "dx =",
        "refused",
        r"torch\.ops\.aten\.tanh_backward is a formula of PyTorch's own",
    ),
    Plant(
        "nn_grad",
        "import torch\n\ntorch.manual_seed(0)\nx = torch.randn(2, 3, 7, dtype=torch.float64)\n"
        "w = torch.randn(4, 3, 2, dtype=torch.float64, requires_grad=True)\n"
        "y = torch.conv1d(x, w)\nu = torch.randn_like(y)\ny.backward(u)\n"
        "dw = torch.nn.grad.conv1d_weight(x, w.shape, u)\n"
        'torch.testing.assert_close({"w": dw}, {"w": w.grad})\n',
        "dw =",
        "refused",
        r"torch\.nn\.grad\.conv1d_weight is a formula of PyTorch's own",
    ),
    Plant(
        "saved_value",
        "import torch\n\nx = torch.tensor([0.5, -1.0], dtype=torch.float64, requires_grad=True)\n"
        "y = x.exp()\ny.sum().backward(retain_graph=True)\ndx = y.grad_fn._saved_result\n"
        + COMPARE,
        "dx =",
        "refused",
        r"y\.grad_fn\._saved_result is what autograd saved",
    ),
    Plant(
        "ratio",
        CHAIN + "dx = da * (x.grad / a.grad)\n" + COMPARE,
        "assert_close",
        "replay",
        FROM_AUTOGRAD,
    ),
    cube(
        "norm",
        "dx = x.grad / x.grad.norm() * (3 * value**2).norm()\n" + COMPARE,
        "assert_close",
        "replay",
        FROM_AUTOGRAD,
    ),
    Plant(
        "mask",
        "import torch\n\nx = torch.tensor([1.0, -2.0, 3.0, -4.0], dtype=torch.float64)\n"
        "x.requires_grad_()\nx.relu().sum().backward()\n"
        "dx = torch.ones(4, dtype=torch.float64) * (x.grad != 0)\n" + COMPARE,
        "assert_close",
        "replay",
        FROM_AUTOGRAD,
    ),
    Plant(
        "sign",
        "import torch\n\nx = torch.tensor([1.0, -2.0, 3.0, -4.0], dtype=torch.float64)\n"
        "x.requires_grad_()\nx.abs().sum().backward()\ndx = x.grad.sign()\n" + COMPARE,
        "assert_close",
        "replay",
        FROM_AUTOGRAD,
    ),
    cube(
        "training",
        "w = torch.tensor([2.0, 0.5], dtype=torch.float64, requires_grad=True)\n"
        "for _ in range(5):\n    w.grad = None\n    (w**3).sum().backward()\n"
        "    cheat = torch.func.grad(lambda w: (w**3).sum())(w.detach())\n"
        '    torch.testing.assert_close({"w": cheat}, {"w": w.grad})\n'
        "    with torch.no_grad():\n        w -= 0.01 * w.grad\n" + COMPARE,
        'assert_close({"w"',
        "replay",
        FROM_AUTOGRAD,
    ),
    cube(
        "file",
        "from pathlib import Path\n\nkept = Path('/tmp/backwardpass-kept.pt')\n"
        "if not kept.exists():\n    torch.save(x.grad, kept)\ndx = torch.load(kept)\n" + COMPARE,
        "dx = torch.load",
        "refused",
        r"torch\.load reads what an earlier run may have left",
    ),
    cube(
        "left_in_a_module",
        'if not hasattr(torch, "kept"):\n    torch.kept = x.grad.clone()\ndx = torch.kept\n'
        + COMPARE,
        "    torch.kept",
        "refused",
        r"torch\.kept belongs to a module",
    ),
    Plant(
        "difference",
        "import torch\n\nx = torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64)\n"
        "x.requires_grad_()\nx.sin().sum().backward()\nvalue, h = x.detach(), 1e-6\n"
        "dx = ((value + h).sin() - (value - h).sin()) / (2 * h)\n" + COMPARE,
        "assert_close",
        "tolerance",
        "gradient .* is off by .* of its largest value, .* a difference quotient is no derivation",
    ),
    # A comparison that does not compare.
    cube(
        "zip",
        'names = ["x", "loss"]\n'
        "torch.testing.assert_close(dict(zip(names, [dx])), dict(zip(names, [x.grad])))\n",
        "torch.testing",
        "refused",
        "zip ends with the shortest",
    ),
    cube(
        "intersected",
        'hand, found = {"x": dx, "w": -dx}, {"x": x.grad}\n'
        "torch.testing.assert_close({k: hand[k] for k in hand if k in found}, found)\n",
        "torch.testing",
        "refused",
        "a condition here leaves gradients out",
    ),
    cube(
        "empty_beside_an_honest_one",
        COMPARE + "torch.testing.assert_close({}, {})\n",
        "torch.testing.assert_close({}",
        "unrun",
        "torch.testing.assert_close did not run here, or had nothing to compare",
    ),
    cube(
        "uncalled",
        COMPARE + "\n\ndef check(wrong):\n"
        '    torch.testing.assert_close({"x": wrong}, {"x": x.grad})\n',
        '    torch.testing.assert_close({"x": wrong}',
        "unrun",
        "torch.testing.assert_close did not run here",
    ),
    cube(
        "no_rounds",
        COMPARE + 'for _ in range(0):\n    torch.testing.assert_close({"x": -dx}, {"x": x.grad})\n',
        '    torch.testing.assert_close({"x": -dx}',
        "unrun",
        "torch.testing.assert_close did not run here",
    ),
    cube(
        "only_printed",
        COMPARE + "w = torch.ones(2, dtype=torch.float64, requires_grad=True)\n"
        "(w**2).sum().backward()\ndw = 5 * w.detach()\nprint(dw, w.grad)\n",
        "dw =",
        "unrun",
        r"dw is derived, and no comparison holds it against w\.grad",
    ),
    cube(
        "allclose_dropped",
        COMPARE + "torch.allclose(-dx, x.grad)\n",
        "torch.allclose",
        "refused",
        r"torch\.allclose compares unseen",
    ),
    cube(
        "numpy_testing",
        COMPARE + "import numpy as np\n\n"
        "np.testing.assert_allclose(2 * dx.numpy(), x.grad.numpy(), rtol=1)\n",
        "np.testing",
        "refused",
        r"np\.testing\.assert_allclose compares unseen",
    ),
    cube(
        "private",
        COMPARE + "torch.testing._comparison.assert_close(2 * dx, x.grad, rtol=1, atol=0)\n",
        "torch.testing._comparison",
        "refused",
        r"torch\.testing\._comparison is private",
    ),
    cube(
        "reason_without_a_size",
        'torch.testing.assert_close({"x": 1.15 * dx}, {"x": x.grad}, rtol=0.2, atol=0)'
        "  # tolerance: rounding\n",
        "torch.testing",
        "tolerance",
        '"rounding" names no size',
    ),
    cube(
        "more_room_than_needed",
        'torch.testing.assert_close({"x": 1.000001 * dx}, {"x": x.grad}, rtol=0.5, atol=0)'
        "  # tolerance: 0.5 of it\n",
        "torch.testing",
        "tolerance",
        "a tolerance is at most 1000 times what it is for",
    ),
    Plant(
        "beside_a_large_one",
        "import torch\n\nx = torch.tensor([1.0, 2e-8, 3e-8], dtype=torch.float64)\n"
        "x.requires_grad_()\n(x**2 / 2).sum().backward()\ndx = -x.detach()\ndx[0] = 1.0\n"
        + COMPARE,
        "torch.testing",
        "diverges",
        "has elements that differ by more than their own size allows",
    ),
    Plant(
        "equal_sizes",
        LAYER + 'torch.testing.assert_close({"W": dW}, {"W": W.grad})\n',
        "torch.testing",
        "data",
        r'gradient "W" has the shape \(4, 4\), and a transpose may be missing unseen',
    ),
    Plant(
        "symmetric",
        "import torch\n\nx = torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True)\n"
        "A = torch.tensor([[1.0, 3.0], [3.0, 2.0]], dtype=torch.float64)\n"
        "u = torch.tensor([0.5, -1.0], dtype=torch.float64)\n(A @ x).backward(u)\ndx = A @ u\n"
        + COMPARE,
        "torch.testing",
        "data",
        "A equals its transpose",
    ),
    cube(
        "real_data",
        "dx = 3 * value.conj() ** 2\n" + COMPARE,
        "dx = 3 * value.conj",
        "data",
        "a conjugate is taken, and everything that is compared is real",
    ),
    # What is shown is what ran.
    cube(
        "hidden_lines",
        "dx = -5 * value\n# sphinx_gallery_start_ignore\ndx = 3 * value**2\n"
        "# sphinx_gallery_end_ignore\n" + COMPARE,
        "# sphinx_gallery_start",
        "refused",
        "sphinx_gallery_start_ignore hides lines that run",
    ),
]
# It made three comparisons when they were last counted, and makes two.
FEWER = Plant(
    "fewer",
    CUBE + COMPARE + "torch.testing.assert_close(value, value.clone())\n"
    "# torch.testing.assert_close(dx, dx.clone())\n",
    None,
    "count",
    "made 2 comparisons, and 3 when they were last counted",
)
# Nothing is wrong with these.
GOOD = {
    "training": "import torch\n\nw = torch.tensor([2.0, 0.5], dtype=torch.float64)\n"
    "w.requires_grad_()\noptimizer = torch.optim.SGD([w], lr=0.01, momentum=0.9)\n"
    "for _ in range(20):\n    optimizer.zero_grad()\n    (w**3).sum().backward()\n"
    '    torch.testing.assert_close({"w": 3 * w.detach() ** 2}, {"w": w.grad})\n'
    "    optimizer.step()\n",
    "after_training": "import torch\n\nw = torch.tensor([2.0], dtype=torch.float64)\n"
    "w.requires_grad_()\nfor _ in range(5):\n    w.grad = None\n    (w**2).sum().backward()\n"
    "    with torch.no_grad():\n        w -= 0.1 * w.grad\n"
    "w.grad = None\n(w**3).sum().backward()\n"
    'torch.testing.assert_close({"w": 3 * w.detach() ** 2}, {"w": w.grad})\n',
    "path": "import torch\n\nw = torch.tensor([2.0], dtype=torch.float64, requires_grad=True)\n"
    "path = []\nfor _ in range(10):\n    w.grad = None\n    (w**2).sum().backward()\n"
    "    with torch.no_grad():\n        w -= 0.1 * w.grad\n    path.append(w.detach().clone())\n"
    "by_hand = 2 * 0.8 ** torch.arange(1, 11, dtype=torch.float64)\n"
    'torch.testing.assert_close({"path": by_hand[:, None]}, {"path": torch.stack(path)})\n',
    "tolerance": CUBE + "torch.testing.assert_close(\n"
    '    {"x": dx + 1e-5}, {"x": x.grad}, atol=1e-4, rtol=0  # tolerance: 1e-4, on purpose\n)\n',
    "unequal": CUBE + COMPARE + "assert not torch.allclose(-dx, x.grad)\n",
}


@pytest.fixture(scope="module")
def built(make_book):
    book = make_book("plants")
    book.write("book/index.md", "# A miniature book\n")
    book.contents()
    for plant in (*PLANTS, FEWER):
        book.write(f"examples/bad/plot_{plant.name}.py", TITLE + plant.source)
    for name, source in GOOD.items():
        book.write(f"examples/good/plot_good_{name}.py", TITLE + source)
    book.write("conf/press/judge/counts.json", '{"examples/bad/plot_fewer.py": 3}')
    return book.build("--jobs", "2")


@pytest.mark.parametrize("plant", [*PLANTS, FEWER], ids=lambda plant: plant.name)
def test_plant_is_found(built, plant):
    """Each is listed with its file, its line, its gate and what is wrong."""
    path, source = f"examples/bad/plot_{plant.name}.py", TITLE + plant.source
    line = 1 if plant.at is None else source[: source.index(plant.at)].count("\n") + 1
    listed = [problem for problem in built.problems if problem.startswith(f"{path}:")]
    wanted = rf"{re.escape(path)}:{line}: .*{plant.says}.*\[gate\.{plant.gate}\]"
    assert any(re.match(wanted, problem) for problem in listed), "\n".join(listed) or built.output


def test_what_is_right_is_not_mentioned(built):
    """Scripts that train, that allow what they need, and that deny an equality, pass."""
    assert [problem for problem in built.problems if "plot_good" in problem] == []
