"""The types: the package's own, and what a user's type checker makes of them."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
USER = """
import torch, backwardpass
x = torch.ones(2, requires_grad=True)
graph = backwardpass.trace(x.exp())
reveal_type(graph)
reveal_type(graph.table())
reveal_type(graph.to_svg())
reveal_type(graph.memory().total)
reveal_type(graph.nodes[0].kind)
with backwardpass.record() as recording:
    pass
reveal_type(recording.passes[0])
reveal_type(recording.passes[0].graph)
reveal_type(recording.passes[0].kept_bytes())
graph.nodes[0].kind == "leaf"
backwardpass.trace(x, name={})
backwardpass.Node(0, "AccumulateGrad", "leaf")
backwardpass.tracer
"""


def mypy(folder: Path, kept: str, *arguments: object) -> str:
    """Run mypy in a folder; what it knows of PyTorch is kept for the next run like this one."""
    command = [sys.executable, "-m", "mypy", "--cache-dir", ROOT / ".mypy_cache" / kept]
    done = subprocess.run([*command, *arguments], cwd=folder, capture_output=True, text=True)
    assert done.stderr == ""
    return done.stdout


def test_the_package_has_no_error_of_types():
    """mypy, strict, finds nothing in what reads, shows, records and explains."""
    assert mypy(ROOT, "package").startswith("Success: no issues found in ")


def test_a_user_s_program_sees_the_types(tmp_path):
    """What is returned has its type, and what is wrong is told: ``py.typed`` marks the package."""
    (tmp_path / "user.py").write_text(USER, "utf-8")
    said = mypy(tmp_path, "user", "--strict-equality", "user.py")
    assert re.findall(r'Revealed type is "(.*)"', said) == [
        "backwardpass.graph.Graph",
        "backwardpass.show.table.Table",
        "str",
        "int",
        "Literal['operation'] | Literal['accumulate'] | Literal['function'] | "
        "Literal['checkpoint'] | Literal['compiled'] | Literal['copy'] | Literal['identity']",
        "backwardpass.graph.BackwardPass",
        "backwardpass.graph.Graph",
        "tuple[int, ...]",
    ]
    assert "Non-overlapping equality check" in said
    assert 'Unexpected keyword argument "name" for "trace"' in said
    assert "incompatible type \"Literal['leaf']\"" in said
    assert 'Module has no attribute "tracer"' in said
    assert "Found 4 errors in 1 file" in said
