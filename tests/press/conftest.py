"""A project in a temporary folder, for modules that find scripts and sidecars by path."""

import textwrap
from dataclasses import replace
from pathlib import Path

import pytest
from press import keys
from press import project as places
from press.observed.comparison import Comparison
from press.observed.records import Observed
from press.watch import observation


class Project:
    """A root with ``examples/`` and ``book/``, which the extensions take for this project."""

    lines_before = 6  # those that come before the source of a script

    def __init__(self, root: Path):
        self.root = root

    def write(self, path: str, text: str = "") -> Path:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(textwrap.dedent(text), "utf-8")
        return target

    def script(self, source: str, name: str = "part/plot_script") -> Path:
        """Write a gallery script; its imports and one cube with its gradient come first."""
        return self.write(f"examples/{name}.py", CUBE + textwrap.dedent(source))

    def observe(self, source: str) -> tuple[Observed, Exception | None]:
        """What is observed of a script that begins with the cube and goes on with ``source``."""
        return observation.run(self.script(source))


CUBE = """\
import torch

x = torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64, requires_grad=True)
loss = (x**3).sum()
loss.backward()
dx = 3 * x.detach() ** 2
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setattr(places, "ROOT", tmp_path)
    monkeypatch.setattr(places, "CONF", tmp_path / "conf")
    monkeypatch.setattr(places, "EXAMPLES", tmp_path / "examples")
    monkeypatch.setattr(places, "GALLERY", tmp_path / "book" / "gallery")
    monkeypatch.setattr(places, "BOOK", tmp_path / "book")
    monkeypatch.setattr(places, "REFERENCE", tmp_path / "book" / "reference")
    monkeypatch.setattr(keys, "scripts", lambda: "scripts")
    project = Project(tmp_path)
    project.write("conf/constraints.txt", "torch==0\n")
    return project


@pytest.fixture
def comparison():
    """Makes a comparison of two 2 by 3 tensors of which only what matters has to be said."""

    def make(name="w", kind="by hand", max_abs=0.0, **changes) -> Comparison:
        one = Comparison(
            line=3, end_line=3, call=0, kind=kind, name=name, shapes=((2, 3), (2, 3)),
            dtypes=("float64", "float64"), max_abs=max_abs, max_rel=max_abs, rtol=1e-7, atol=1e-7,
            passed=True, has_nan=False, default_tolerance=True, numel=6, replayed_max_abs=0.25,
        )  # fmt: skip
        return replace(one, **changes)

    return make


@pytest.fixture(autouse=True)
def known_state():
    """Whatever a script under test changed is as it was for the next test."""
    yield
    observation.reset()
