"""Every gate is seen red: a miniature book in which everything is wrong, one thing a file.

One build has to list every problem at once, with its file, its line, and what is wrong;
another one, with nothing changed, has to list them again; and once the sources are mended
a third has to publish the book, with nothing cleaned by hand.
"""

import re
from dataclasses import dataclass

import pytest

TITLE = '"""\nA script\n========\n\nFor a test.\n"""\n\n'
# x³ has the gradient 3x²: 3, 12 and 27 at these values.
CUBE = """
import torch

x = torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64, requires_grad=True)
loss = (x**3).sum()
loss.backward()
dx = 3 * x.detach() ** 2
"""
COMPARE = 'torch.testing.assert_close({"x": dx}, {"x": x.grad})\n'
HONEST = TITLE + CUBE + COMPARE
# A product of square matrices: a missing transpose leaves the shape as it should be.
PRODUCT = """
import torch

torch.manual_seed(0)
A, B, C = (torch.randn(3, 3, dtype=torch.float64) for _ in range(3))
A.requires_grad_()
((A @ B) * C).sum().backward()
"""


@dataclass(frozen=True)
class Wrong:
    """One thing that is wrong with a script, or a chapter."""

    name: str
    source: str
    message: str  # a regular expression, for the whole message
    at: str | None = "assert_close("  # text of the line it names; None: the first line of the file

    @property
    def script(self) -> str:
        return f"examples/bad/plot_{self.name}.py"

    @property
    def chapter(self) -> str:
        return f"book/bad/{self.name}.md"

    @property
    def line(self) -> int:
        return 1 if self.at is None else 1 + self.source[: self.source.index(self.at)].count("\n")


def cube(name: str, code: str, message: str, **options) -> Wrong:
    """A script that derives the gradient of x³, and something goes wrong in ``code``."""
    return Wrong(name, TITLE + CUBE + code, message, **options)


def diverges(gradient: str, shape: str, error: str, relative: str) -> str:
    return (
        rf'gradient "{gradient}", by hand against autograd, diverges: shape {re.escape(shape)}, '
        rf"float64, largest absolute error {error}, largest relative error {relative}, "
        r"allowed 1e-07 \+ 1e-07 \* \|expected\|"
    )


def still_passes(gradient: str, why: str) -> str:
    return (
        rf'gradient "{gradient}", by hand against autograd, still passes when everything autograd '
        rf"returns is multiplied by 1\.5: {why}"
    )


FROM_AUTOGRAD = "both sides come from autograd, or every value is zero"
TOO_SMALL = "both sides come from autograd, or its values are smaller than the tolerance"

SCRIPTS = [
    # What is derived is wrong.
    cube("wrong_sign", "dx = -dx\n" + COMPARE, diverges("x", "(3,)", "54", "2")),
    cube("wrong_factor", "dx *= 1.001\n" + COMPARE, diverges("x", "(3,)", "0.027", "0.001")),
    Wrong(
        "missing_transpose",
        TITLE + PRODUCT + 'torch.testing.assert_close({"A": C @ B}, {"A": A.grad})\n',
        diverges("A", "(3, 3)", r"[\d.]+", r"[\d.]+"),
    ),
    cube(
        "shapes",
        'torch.testing.assert_close({"x": dx[:2]}, {"x": x.grad})\n',
        r'gradient "x", by hand against autograd, cannot be matched: shape \(2,\), float64 against '
        r"shape \(3,\), float64; the two sides must have the same names, shapes and dtypes",
    ),
    cube(
        "names",
        'torch.testing.assert_close({"y": dx}, {"x": x.grad})\n',
        r'gradient "y", by hand against autograd, cannot be matched: shape \(3,\), float64 against '
        "NoneType; .*",
    ),
    cube(
        "dtypes",
        'torch.testing.assert_close({"x": dx.float()}, {"x": x.grad})\n',
        r'gradient "x", by hand against autograd, cannot be matched: shape \(3,\), float32 against '
        r"shape \(3,\), float64; .*",
    ),
    cube(
        "one_of_several",
        "for factor in (1, 1, 2, 1):\n"
        "    try:\n"
        '        torch.testing.assert_close({f"x{factor}": factor * dx}, {f"x{factor}": x.grad})\n'
        "    except AssertionError:\n"
        '        print("a failure that nobody sees")\n',
        diverges("x2", "(3,)", "27", "1"),
    ),
    cube(
        "equality",
        COMPARE + "torch.testing.assert_close(2 * loss, loss)\n",
        r'equality "2 \* loss = loss" diverges: shape \(\), float64, largest absolute error 20, .*',
        at="torch.testing.assert_close(2",
    ),
    # What is compared cannot be compared.
    cube(
        "nan",
        COMPARE + "dx, gradient = dx * torch.nan, x.grad * torch.nan\n"
        'torch.testing.assert_close({"n": dx}, {"n": gradient}, equal_nan=True)\n',
        'gradient "n", by hand against autograd, contains NaN, and a NaN agrees with nothing',
        at='assert_close({"n"',
    ),
    cube(
        "nan_on_one_side",
        'torch.testing.assert_close({"x": dx / 0 * 0}, {"x": x.grad})\n',
        diverges("x", "(3,)", "nan", "nan"),
    ),
    cube(
        "float32",
        'torch.testing.assert_close({"x": dx.float()}, {"x": x.grad.float()})\n',
        'gradient "x", by hand against autograd, is compared in float32 against float32; '
        "a comparison by hand is made in float64 on both sides",
    ),
    cube(
        "tolerance",
        'torch.testing.assert_close({"x": dx}, {"x": x.grad}, atol=1, rtol=0)\n',
        'gradient "x", by hand against autograd, is compared with rtol=0, atol=1, looser than the '
        'default of its dtype; say why with "# tolerance: <reason>" on that line',
    ),
    cube(
        "tolerance_without_reason",
        COMPARE + "torch.testing.assert_close(loss, loss, atol=0, rtol=1)  # tolerance:\n",
        'equality "loss = loss" is compared with rtol=1, atol=0, looser .*',
        at="assert_close(loss",
    ),
    # Nothing is derived.
    Wrong(
        "nothing_compared",
        TITLE + CUBE + 'print("no comparison")\n',
        "no gradient derived by hand is compared with autograd; compare one with .*, "
        'or say why there is none in a line "# no hand-derived gradient: <reason>"',
        at=None,
    ),
    Wrong(
        "nothing_and_no_reason",
        TITLE + CUBE + "# no hand-derived gradient:\n",
        "no gradient derived by hand is compared with autograd; .*",
        at=None,
    ),
    cube(
        "only_an_equality",
        "torch.testing.assert_close(dx, x.grad)\n",
        "no gradient derived by hand is compared with autograd; .*",
        at=None,
    ),
    cube(
        "nothing_and_yet",
        "# no hand-derived gradient: says who?\n" + COMPARE,
        "says that it derives no gradient by hand, and compares one",
        at="# no hand",
    ),
    # What is compared comes from autograd, or cannot fail.
    cube(
        "itself",
        'torch.testing.assert_close({"x": x.grad}, {"x": x.grad})\n',
        still_passes("x", FROM_AUTOGRAD),
    ),
    cube("clone", "dx = x.grad.clone()\n" + COMPARE, still_passes("x", FROM_AUTOGRAD)),
    cube(
        "numpy",
        "import numpy as np\n\n"
        "dx = torch.from_numpy(np.array(x.grad.numpy(), copy=True))\n" + COMPARE,
        still_passes("x", FROM_AUTOGRAD),
    ),
    cube(
        "list",
        "dx = torch.tensor([value for value in x.grad.tolist()], dtype=torch.float64)\n" + COMPARE,
        still_passes("x", FROM_AUTOGRAD),
    ),
    cube(
        "another_way",
        "dx = torch.func.grad(lambda x: (x**3).sum())(x.detach())\n" + COMPARE,
        still_passes("x", FROM_AUTOGRAD),
    ),
    cube(
        "forward_mode",
        "cube = lambda x: x**3\n"
        "ones = torch.ones(3, dtype=torch.float64)\n"
        "_, dx = torch.func.jvp(cube, (x.detach(),), (ones,))\n" + COMPARE,
        still_passes("x", FROM_AUTOGRAD),
    ),
    cube(
        "zeros",
        "(zero,) = torch.autograd.grad((x * torch.zeros_like(x)).sum(), x)\n"
        'torch.testing.assert_close({"x": -17 * zero.new_zeros(3)}, {"x": zero})\n',
        still_passes("x", FROM_AUTOGRAD),
    ),
    cube(
        "empty",
        'torch.testing.assert_close({"x": dx[:0]}, {"x": x.grad[:0]})\n',
        still_passes("x", "it holds no number to compare"),
    ),
    cube(
        "tiny",
        'torch.testing.assert_close({"x": 1e-10 * dx}, {"x": 1e-10 * x.grad})\n',
        still_passes("x", TOO_SMALL),
    ),
    cube(
        "one_of_two",
        'torch.testing.assert_close({"x": dx, "copy": x.grad}, {"x": x.grad, "copy": x.grad})\n',
        still_passes("copy", FROM_AUTOGRAD),
    ),
    cube(
        "ends_early",
        COMPARE + 'if x.grad[0] > 4:\n    raise ValueError("larger than was foreseen")\n',
        r"the replay with autograd multiplied by 1\.5 ended early: "
        "ValueError: larger than was foreseen",
        at="    raise",
    ),
    cube(
        "depends_on_a_gradient",
        COMPARE + "if x.grad[0] < 4:\n    torch.testing.assert_close(loss, loss)\n",
        r"made 2 comparisons, but 1 or others when replayed with autograd multiplied by 1\.5; "
        "which ones are made must not depend on a gradient",
        at=None,
    ),
    # The script itself.
    cube(
        "raises",
        COMPARE + '\n\ndef fail():\n    raise ValueError("one line\\nand another")\n\n\nfail()\n',
        "raises ValueError: one line and another",
        at="    raise",
    ),
    cube("exits", "import sys\n\nsys.exit(3)\n", "raises SystemExit: 3", at="sys.exit"),
    cube("syntax", COMPARE + "x = = 1\n", "raises SyntaxError: invalid syntax", at="x = = 1"),
    cube("address", COMPARE + "print(object())\n", "the page shows an object's address, 0x.*"),
    cube(
        "formula",
        "# %%\n# .. math:: \\frac{1}{\n\n" + COMPARE,
        r".*KaTeX.*",
        at="# .. math",
    ),
    cube(
        "draws",
        COMPARE + "loss.grad_fn\n",
        "the graph cannot be drawn: Drawing a graph needs Graphviz: .*"
        r"Run: pip install 'pygraphviz>=2' \(its wheels carry Graphviz\), or install Graphviz\.",
        at="loss.grad_fn",
    ),
]
