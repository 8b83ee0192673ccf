"""Tensors as programs meet them: shapes, contents, dtypes, layouts, and a subclass."""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from press.worlds import case

# From the simplest on: shrinking replaces a kind by the first of its line.
SHAPES = ((3,), (), (1,), (0,), (2, 3), (1, 1, 1), (0, 3))
CONTENTS = {
    "distinct numbers": (0.75, -1.5, 2.0, 0.25, -0.5, 1.25),
    "ties": (1.0, 1.0, 0.5, 0.5, 1.0, 1.0),
    "zeros": (0.0,),
    "a zero of each sign": (0.0, -0.0),
    "infinities": (1.0, float("inf"), float("-inf"), 2.0),
    "a NaN": (1.0, float("nan"), 2.0),
    "large and small numbers": (6e4, 6e-5, -6e4),
}
DTYPES = ("float64", "float32", "float16", "bfloat16", "complex128")
LAYOUTS = {
    "contiguous": "{x}",
    "transposed": "{x}.mT.contiguous().mT if {x}.dim() > 1 else {x}",
    "every other": "torch.stack([{x}, {x}], -1).flatten()[::2].view({x}.shape)",
    "with an offset": "torch.cat([{x}.flatten(), {x}.flatten()])[{x}.numel():].view({x}.shape)",
    "expanded": "{x}.flatten()[:1].sum().expand({x}.shape)",
}
SUBCLASS = "class Tagged(torch.Tensor):\n    pass\n"
SENTENCE = (
    "tensors that are 0-d, empty, of size one or larger; with ties, zeros of both signs, "
    "infinities, NaN, large and small numbers; of dtypes {dtypes}; contiguous, transposed, "
    "strided, with an offset or expanded; and of a subclass of Tensor"
)


@dataclass(frozen=True)
class Value:
    """One tensor ``x``, a leaf that requires a gradient.

    >>> print(Value().source())
    import torch
    x = torch.tensor([0.75, -1.5, 2.0], dtype=torch.float64)
    x = x.requires_grad_()
    """

    shape: tuple[int, ...] = (3,)
    content: str = "distinct numbers"
    dtype: str = "float64"
    layout: str = "contiguous"
    tagged: bool = False

    def source(self) -> str:
        count = 1
        for size in self.shape:
            count *= size
        numbers = [CONTENTS[self.content][i % len(CONTENTS[self.content])] for i in range(count)]
        shaped = f".reshape{self.shape}" if len(self.shape) != 1 else ""
        special = " ".join(map(str, numbers))
        lines = ["from math import inf, nan\n"] if "inf" in special or "nan" in special else []
        lines += ["import torch"]
        lines += [f"\n\n{SUBCLASS}\n"] if self.tagged else []
        made = f"torch.tensor({numbers}, dtype=torch.{self.dtype}){shaped}"
        lines.append(f"x = {made.replace('.reshape()', '.reshape(())')}")
        if self.layout != "contiguous":
            lines.append(f"x = {LAYOUTS[self.layout].format(x='x')}")
        lines.append(f"x = x{'.as_subclass(Tagged)' if self.tagged else ''}.requires_grad_()")
        return "\n".join(lines)

    def names(self) -> dict[str, object]:
        return case.run(self.source())

    def smaller(self) -> Iterator["Value"]:
        for change in (
            {"tagged": False},
            {"layout": "contiguous"},
            {"dtype": DTYPES[0]},
            {"content": "distinct numbers"},
            {"shape": (3,)},
        ):
            other = replace(self, **change)
            if other != self:
                yield other


def values(dtypes: Iterable[str] = DTYPES, contents: Iterable[str] = ()) -> case.World:
    """The world of tensors, of some dtypes and contents alone where they are named."""
    dtypes, contents = tuple(dtypes), tuple(contents) or tuple(CONTENTS)

    def draw(choose: random.Random) -> Value:
        return Value(
            choose.choice(SHAPES),
            choose.choice(contents),
            choose.choice(dtypes),
            choose.choice(list(LAYOUTS)),
            choose.random() < 0.2,
        )

    sentence = SENTENCE.format(dtypes=", ".join(dtypes))
    if contents != tuple(CONTENTS):
        sentence += f"; of contents only {', '.join(contents)}"
    return case.World("values", sentence, "tensors", draw)
