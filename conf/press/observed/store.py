"""What was observed of a script, as JSON beside its page, and the key that says it is current."""

import hashlib
import json
from functools import lru_cache
from pathlib import Path

from press import keys, project
from press.observed.records import Observed


def key(source: str) -> str:
    """Key under which what was observed of ``source`` is current."""
    return hashlib.sha256(f"{keys.scripts()}\0{source}".encode()).hexdigest()


def path(script: Path) -> Path:
    """Where the sidecar of ``script`` lies: beside the page made from it."""
    return (project.GALLERY / script.relative_to(project.EXAMPLES)).with_suffix(".observed.json")


def read(script: Path) -> Observed | None:
    """What was observed of ``script`` as it is now, or None where it has to run (again)."""
    try:
        stored = path(script)
        kept_under, observed = _parsed(stored, stored.stat().st_mtime_ns)
        current = kept_under == key(script.read_text("utf-8"))
    # Missing, cut off by an interruption, or of another form.
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return observed if current else None


@lru_cache(maxsize=256)
def _parsed(stored: Path, modified: int) -> tuple[str, Observed]:
    """The key and the contents of a sidecar, which a build asks for a dozen times."""
    data = json.loads(stored.read_text("utf-8"))
    return data["key"], Observed.from_dict(data)


def outdated() -> list[Path]:
    """Scripts that have to run: never observed as they are now, or not without a failure."""
    kept = ((script, read(script)) for script in project.scripts())
    return [
        script
        for script, observed in kept
        if observed is None or observed.failures or not observed.completed
    ]


def write(script: Path, observed: Observed) -> None:
    """Store ``observed`` under the key of the script's present source, all of it or nothing."""
    target = path(script)
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_suffix(".new")
    text = json.dumps({"key": key(script.read_text("utf-8")), **observed.as_dict()})
    unfinished.write_text(text + "\n", "utf-8")
    unfinished.replace(target)
