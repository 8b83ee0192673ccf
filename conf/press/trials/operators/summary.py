"""What the check found when it was last looked at, so that a new PyTorch tells what it changed.

``summary.json``, beside this file, holds for each entry and dtype a digest of PyTorch's samples and
the counts of the result; ``python -m press.trials.operators.run --summary`` writes it.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from press import kept

SUMMARY = Path(__file__).with_name("summary.json")
COUNTS = ("samples", "edges", "compared", "empty", "zero", "not finite")
SUMS = ("declined", "refused", "differs")


def summary(torch_version: str, results: dict[str, dict]) -> dict:
    """The part of ``results`` that is kept: a digest of the samples, and the counts."""
    rows = {
        entry: {
            "digest": row["digest"],
            **{kind: row[kind] for kind in COUNTS},
            **{kind: sum(row[kind].values()) for kind in SUMS},
            "asked": row["asked"],
        }
        for result in results.values()
        for entry, row in result["rows"].items()
    }
    return {"torch": torch_version.split("+")[0], "rows": rows}


def read() -> dict:
    """The summary kept in the project."""
    with kept.reading(SUMMARY, "python -m press.trials.operators.run --summary"):
        stored = json.loads(SUMMARY.read_text("utf-8"))
        return {"torch": stored["torch"], "rows": stored["rows"]}


def write(now: dict, whole: bool = True) -> None:
    """Keep ``now``, an entry a line; where it is not the whole, beside what was kept before."""
    if not whole:
        now = now | {"rows": read()["rows"] | now["rows"]}
    kept.write(SUMMARY, kept.fields(now))


def changes(before: dict, now: dict) -> Iterator[str]:
    """What differs, in a few sentences, however much it is.

    >>> row = {"digest": "a", "samples": 9, "compared": 8}
    >>> old = {"torch": "2.13.0", "rows": {"exp float64": row, "log float64": row}}
    >>> new = {"torch": "2.14.0", "rows": {"exp float64": row | {"digest": "b", "samples": 11}}}
    >>> print(*changes(old, new), sep="\\n")
    PyTorch 2.14.0 has other samples than 2.13.0 for exp float64 (9, now 11)
    PyTorch 2.14.0 has nothing under the names log float64
    >>> list(changes(old, old))
    []
    """
    version, old, new = now["torch"], before["rows"], now["rows"]
    common = [entry for entry in new if entry in old]
    moved = [e for e in common if old[e]["digest"] != new[e]["digest"]]
    if moved:
        told = ", ".join(f"{e} ({old[e]['samples']}, now {new[e]['samples']})" for e in moved)
        yield f"PyTorch {version} has other samples than {before['torch']} for {told}"
    results = []
    for entry in common:
        if entry not in moved and old[entry] != new[entry]:
            kinds = [kind for kind in new[entry] if old[entry].get(kind) != new[entry][kind]]
            told = ", ".join(f"{k} {old[entry].get(k)}, now {new[entry][k]}" for k in kinds)
            results.append(f"{entry} ({told})")
    if results:
        yield f"on the same samples other results than before: {'; '.join(results)}"
    for names, told in (
        ([e for e in old if e not in new], f"PyTorch {version} has nothing under the names"),
        ([e for e in new if e not in old], "not looked at before:"),
    ):
        if names:
            yield f"{told} {', '.join(names)}"
