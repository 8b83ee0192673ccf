"""Keep how many comparisons each script makes: fewer fail a build until they are kept anew.

python -m press.judge.counts                        what differs from what is kept
python -m press.judge.counts --write [SCRIPT...]    keep it; without names, whatever grew
"""

import argparse
import json
import sys

from press import project
from press.judge import compared
from press.observed import store


def made() -> dict[str, int]:
    """The number of comparisons of each script that was executed as it is now."""
    found = {script: store.read(script) for script in project.scripts()}
    return {
        script.relative_to(project.ROOT).as_posix(): len(observed.comparisons)
        for script, observed in found.items()
        if observed is not None
    }


def renewed(kept: dict[str, int], now: dict[str, int], named: list[str]) -> dict[str, int]:
    """What is kept from now on: fewer only of scripts that are named; scripts that are gone go.

    >>> renewed({"a.py": 3, "b.py": 3, "gone.py": 1}, {"a.py": 2, "b.py": 2, "c.py": 1}, ["b.py"])
    {'a.py': 3, 'b.py': 2, 'c.py': 1}
    """
    return {
        script: count if script in named else max(count, kept.get(script, 0))
        for script, count in now.items()
    }


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("script", nargs="*", help="a script that makes fewer, which is meant")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args(arguments)
    kept, now = dict(compared.counts()), made()
    missing = [s for s in project.scripts() if s.relative_to(project.ROOT).as_posix() not in now]
    if missing:
        print(f"{len(missing)} scripts were not executed as they are: nox -s docs", file=sys.stderr)
    for script in sorted({*kept, *now}):
        if kept.get(script) != now.get(script):
            print(f"{script}: {kept.get(script, 0)} kept, {now.get(script, 'not run')} made")
    if options.write:
        now |= {script: kept[script] for script in kept if (project.ROOT / script).is_file()
                and script not in now}  # fmt: skip
        text = json.dumps(renewed(kept, now, options.script), indent=0, sort_keys=True)
        compared.COUNTS.write_text(text + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
