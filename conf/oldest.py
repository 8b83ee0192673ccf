"""Run on the oldest PyTorch what the book shows, and compare with what is kept of it.

    python conf/oldest.py --python OLDER          compare
    python conf/oldest.py --python OLDER --write  and keep what was found

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

CONF = Path(__file__).resolve().parent
sys.path.insert(0, str(CONF))

import older  # noqa: E402  (found through the line above)


def said(python: str, *arguments: str) -> object:
    """What a program of this folder prints, run by ``python``."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [python, *arguments],
            capture_output=True,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1", "MPLCONFIGDIR": folder},
        )
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments[:2])} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout)


def run(python: str) -> dict:
    """Everything that is compared, as ``python`` does it."""
    examples = CONF.parent / "examples"
    scripts = sorted(examples.rglob("plot_*.py"))
    names = [path.relative_to(examples).with_suffix("").as_posix() for path in scripts]
    alone = said(python, "-I", str(CONF / "alone.py"), "bare", "", "", *map(str, scripts))
    pages = said(python, "-I", str(CONF / "older" / "shown.py"))
    tables = said(python, str(CONF / "tables.py"), "--json")
    return {**pages, "scripts": dict(zip(names, alone, strict=True)), "tables": tables["tables"]}


def measure(python: str) -> older.Measured:
    """What differs between the PyTorch of ``python`` and that of this interpreter."""
    with ThreadPoolExecutor() as threads:
        old, new = threads.map(run, (python, sys.executable))
    differences = list(older.in_scripts(old["scripts"], new["scripts"]))
    on_pages, counts = older.on_pages(old["pages"], new["pages"])
    in_tables, cells = older.in_tables(old["tables"], new["tables"])
    return older.Measured(
        *(found["torch"].partition("+")[0] for found in (old, new)),
        missing=tuple(old["missing"]),
        keys=older.sources(),
        counts={"script": len(new["scripts"]), **counts, "cell": cells},
        differences=(*differences, *on_pages, *in_tables),
    )


def report(
    found: older.Measured, kept: older.Measured | None, why: tuple[older.Reason, ...]
) -> list[str]:
    """Everything that is not as it should be; ``kept`` is None where ``found`` is to be kept."""
    problems = list(older.problems(found, why))
    problems += [
        f"{each.where}, on torch {found.older}: {each.older}"
        for each in found.differences
        if each.kind == "script" and older.FAILED in each.older
    ]
    if not found.missing:
        problems.append(
            f"torch {found.older} has what the instruments need of it: test them there, and lower "
            "the bound in pyproject.toml"
        )
    if kept is not None and found != kept:
        names = [f"{each.kind} {each.name}" for each in {*found.differences} ^ {*kept.differences}]
        problems.append(
            f"{older.MEASURED.name} is not what was found now"
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
    problems = report(found, None if options.write else older.kept(), older.reasons())
    if options.write:
        older.MEASURED.write_text(found.text(), "utf-8")
    for problem in problems:
        print(f"\n{problem}")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
