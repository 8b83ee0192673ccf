"""Executed cells that are kept: used only while they are what was kept, or else made again.

jupyter-cache keeps a database, and a notebook for each execution.  Neither says what is wrong when
it was cut, and both would fail every build from then on.
"""

import json
import shutil
import sqlite3
from pathlib import Path

from sphinx.application import Sphinx

from press import intact

MANIFEST = "kept.json"


def check(folder: Path) -> str | None:
    """Drop what is kept in ``folder`` where a part of it is damaged, and tell which part."""
    wrong = _wrong(folder) if folder.is_dir() else None
    if wrong:
        shutil.rmtree(folder)
    return wrong


def _wrong(folder: Path) -> str | None:
    changed = intact.damaged(folder / MANIFEST) or []
    # A build that was killed has left notebooks without a digest: those have to be whole.
    cut = [path for path in _notebooks(folder) if not _is_whole(path)]
    damaged = [*changed, *(path.relative_to(folder).as_posix() for path in cut)]
    if damaged:
        return damaged[0]
    return None if _is_sound(folder / "global.db") else "global.db"


def _notebooks(folder: Path) -> list[Path]:
    return sorted(folder.glob("executed/*/*.ipynb"))


def _is_whole(notebook: Path) -> bool:
    try:
        return "cells" in json.loads(notebook.read_text("utf-8"))
    except (OSError, ValueError):
        return False


def _is_sound(database: Path) -> bool:
    try:
        connection = sqlite3.Connection(database)
        try:
            return connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        finally:
            connection.close()
    except sqlite3.DatabaseError:
        return False


def remember(app: Sphinx, exception: Exception | None) -> None:
    """At the end of a build, however it ended: keep what each notebook is now."""
    folder = Path(app.config.nb_execution_cache_path)
    if folder.is_dir():
        intact.remember(folder / MANIFEST, _notebooks(folder))
