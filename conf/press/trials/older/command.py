"""Run on the oldest PyTorch what the book shows, and compare with what is kept of it.

    python -m press.trials.older.command --python OLDER          compare
    python -m press.trials.older.command --python OLDER --write  and keep what was found

OLDER is the interpreter of an environment with that PyTorch, NumPy and Matplotlib.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from press.kept import KeptError
from press.project import CONF, name, scripts
from press.trials.older import differences

HERE = Path(__file__).parent


def said(python: str, *arguments: str) -> object:
    """What a program of this folder prints, run by ``python``."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [python, *arguments],
            capture_output=True,
            text=True,
            env=os.environ
            | {"OMP_NUM_THREADS": "1", "MPLCONFIGDIR": folder, "PYTHONPATH": str(CONF)},
        )
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments[:2])} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout)


def run(python: str) -> dict:
    """Everything that is compared, as ``python`` does it."""
    paths = scripts()
    alone = said(python, "-I", str(HERE / "alone.py"), "bare", "", "", *map(str, paths))
    pages = said(python, "-I", str(HERE / "shown.py"))
    tables = said(python, "-m", "press.trials.truth.command", "--json")
    return {
        **pages,
        "scripts": dict(zip(map(name, paths), alone, strict=True)),
        "tables": tables["tables"],
    }


def measure(python: str) -> differences.Measured:
    """What differs between the PyTorch of ``python`` and that of this interpreter."""
    with ThreadPoolExecutor() as threads:
        old, new = threads.map(run, (python, sys.executable))
    in_scripts = list(differences.in_scripts(old["scripts"], new["scripts"]))
    on_pages, counts = differences.on_pages(old["pages"], new["pages"])
    in_tables, cells = differences.in_tables(old["tables"], new["tables"])
    return differences.Measured(
        *(found["torch"].partition("+")[0] for found in (old, new)),
        missing=tuple(old["missing"]),
        keys=differences.sources(),
        counts={"script": len(new["scripts"]), **counts, "cell": cells},
        differences=(*in_scripts, *on_pages, *in_tables),
    )


def report(
    found: differences.Measured,
    kept: differences.Measured | None,
    why: tuple[differences.Reason, ...],
) -> list[str]:
    """Everything that is not as it should be; ``kept`` is None where ``found`` is to be kept."""
    problems = list(differences.problems(found, why))
    problems += [
        f"{each.where}, on torch {found.older}: {each.older}"
        for each in found.differences
        if each.kind == "script" and differences.FAILED in each.older
    ]
    if not found.missing:
        problems.append(
            f"torch {found.older} has what the instruments need of it: test them there, and lower "
            "the bound in pyproject.toml"
        )
    if kept is not None and found != kept:
        names = [f"{each.kind} {each.name}" for each in {*found.differences} ^ {*kept.differences}]
        problems.append(
            f"{differences.MEASURED.name} is not what was found now"
            + (f", for {'; '.join(sorted(names))}" if names else "")
            + ":\n  run nox -s oldest -- --write, and commit the file"
        )
    return problems


def main(arguments: list[str] | None = None) -> int:
    """Return 1 where something is not as it is kept, or has no reason."""
    parser = argparse.ArgumentParser(prog="nox -s oldest --", description=__doc__.splitlines()[0])
    parser.add_argument("--python", required=True, help="an interpreter with the oldest PyTorch")
    parser.add_argument("--write", action="store_true", help="keep what was found")
    options = parser.parse_args(arguments)
    found = measure(options.python)
    for kind, count in found.counts.items():
        others = sum(each.kind == kind for each in found.differences)
        print(f"{kind}: {count} on torch {found.older} and {found.newer}, {others} differ")
    try:
        before = None if options.write else differences.kept()
    except KeptError as error:
        print(error)
        return 1
    problems = report(found, before, differences.reasons())
    if options.write:
        differences.MEASURED.write_text(found.text(), "utf-8")
    for problem in problems:
        print(f"\n{problem}")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
