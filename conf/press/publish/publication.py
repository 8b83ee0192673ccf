"""Replace the published book by the staged one, all of it at once, and only what differs."""

import filecmp
import os
import re
import shutil
from pathlib import Path
from urllib.parse import unquote

from press import project

# Sphinx's bookkeeping, which is no part of a book.
KEPT_BACK = {".buildinfo", ".doctrees"}


def publish(staged: Path) -> Path:
    """Make ``_build/html`` what is staged; nothing is written where it is that already.

    A published file is never written to: one that is the same is linked into the new book, which
    takes the place of the old one by two renames.
    """
    published, new, old = (project.BUILD / name for name in ("html", "html.new", "html.old"))
    for leftover in (new, old):
        shutil.rmtree(leftover, ignore_errors=True)
    wanted = _wanted(staged)
    same = {path for path in wanted if _same(staged / path, published / path)}
    if same == wanted == _files(published):
        return published
    for path in sorted(wanted):
        (new / path).parent.mkdir(parents=True, exist_ok=True)
        _put(published / path if path in same else staged / path, new / path, link=path in same)
    if published.exists():
        published.rename(old)
    new.rename(published)
    shutil.rmtree(old, ignore_errors=True)
    return published


def _put(source: Path, target: Path, *, link: bool) -> None:
    if link:
        try:
            os.link(source, target)
            return
        except OSError:  # a file system without links
            pass
    shutil.copy2(source, target)


def _same(one: Path, other: Path) -> bool:
    return other.is_file() and filecmp.cmp(one, other, shallow=False)


def _files(folder: Path) -> set[Path]:
    return {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}


def _wanted(staged: Path) -> set[Path]:
    """What is published: all but bookkeeping, and what no page names any more.

    Sphinx only adds to its folders of images and downloads.
    """
    files = {path for path in _files(staged) if not KEPT_BACK & set(path.parts)}
    pages = (staged / path for path in files if path.suffix == ".html")
    text = "\n".join(page.read_text("utf-8") for page in pages)
    links = re.findall(r"""\b_(?:images|downloads)/([^"'?#,\s]+)""", text)
    named = {unquote(link) for link in links}
    return {
        path
        for path in files
        if path.parts[0] not in ("_images", "_downloads")
        or Path(*path.parts[1:]).as_posix() in named
    }
