"""What is kept between builds carries digests, and is used only while it is what was kept.

A file that was cut, changed or lost is found whatever its date says: times are never compared.
"""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path


def digest(path: Path) -> str | None:
    """SHA-256 of a file, or None where there is none that can be read.

    >>> digest(Path("there/is/no/such/file")) is None
    True
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def remember(manifest: Path, paths: Iterable[Path]) -> None:
    """Write into ``manifest`` what each of ``paths``, which lie below its folder, is now."""
    folder = manifest.parent
    found = {path.relative_to(folder).as_posix(): digest(path) for path in sorted(paths)}
    unfinished = manifest.with_name(f"{manifest.name}.new")
    unfinished.write_text(json.dumps(found, indent=0) + "\n", "utf-8")
    unfinished.replace(manifest)


def damaged(manifest: Path) -> list[str] | None:
    """The files that are not as they were remembered, by name; None where nothing was."""
    try:
        kept = json.loads(manifest.read_text("utf-8"))
        return [name for name, was in kept.items() if digest(manifest.parent / name) != was]
    except (OSError, ValueError, AttributeError):
        return None
