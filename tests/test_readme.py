"""The README shows what the project does now."""

import os
import re
from pathlib import Path

import pytest

import backwardpass

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text("utf-8")
PICTURE = ROOT / "_static" / "two_layer_mlp.svg"


def test_the_picture_is_the_graph_that_the_build_draws(capsys):
    """The README's picture is byte for byte the first drawing of the script it was made from."""
    drawn = _drawing()
    if os.environ.get("REFRESH"):
        PICTURE.write_text(drawn, "utf-8")
    assert PICTURE.read_text("utf-8") == drawn, "run REFRESH=1 nox -s tests -- tests/test_readme.py"


def test_the_picture_is_the_one_the_readme_shows():
    """The README refers to the picture that the test above compares."""
    assert f"(_static/{PICTURE.name})" in README


def test_the_example_runs(monkeypatch, tmp_path, capsys):
    """The Python example of the README runs as it stands, and prints a table."""
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    exec(example, {"__name__": "__main__"})
    assert "AddmmBackward0" in capsys.readouterr().out


def _drawing() -> str:
    """Run the script up to its first drawing, and draw what it would show there."""
    script = ROOT / "examples" / "graph" / "plot_two_layer_mlp.py"
    before, found, _ = script.read_text("utf-8").partition("\nloss.grad_fn\n")
    if not found:
        pytest.fail(f"{script} no longer draws loss.grad_fn")
    names = {"__name__": "__main__"}
    exec(compile(before, str(script), "exec"), names)
    return backwardpass.trace(names["loss"], names=names).to_svg() + "\n"
