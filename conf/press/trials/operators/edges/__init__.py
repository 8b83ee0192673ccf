"""Edge cases of our own, a module for each family: ties, zeros, kinks, options never sampled."""

from importlib import import_module
from pathlib import Path

for _path in sorted(Path(__file__).parent.glob("[a-z]*.py")):
    import_module(f"press.trials.operators.edges.{_path.stem}")
