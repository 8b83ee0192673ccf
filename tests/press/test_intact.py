"""What is kept carries digests: cut, changed or gone, it is known not to be what it was."""

import os

import pytest
from press import intact
from press.gallery import executed


@pytest.fixture
def manifest(tmp_path):
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text(name)
    intact.remember(tmp_path / "kept.json", tmp_path.glob("*.txt"))
    return tmp_path / "kept.json"


def test_what_is_as_it_was_is_not_damaged(manifest):
    """Whole files are used, whatever their dates say."""
    os.utime(manifest.with_name("a.txt"), (1, 1))
    assert intact.damaged(manifest) == []


@pytest.mark.parametrize("change", ["x.txt", "", None])
def test_another_content_is_damage(manifest, change):
    """A file that was changed, cut or deleted is named, though its date stayed."""
    path = manifest.with_name("a.txt")
    before = path.stat()
    path.unlink()
    if change is not None:
        path.write_text(change)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert intact.damaged(manifest) == ["a.txt"]


@pytest.mark.parametrize("text", [None, "", "[]", '{"a.txt": '])
def test_without_digests_nothing_is_known(manifest, text):
    """Where there are no digests, or they are cut, that is told apart from whole files."""
    manifest.unlink()
    if text is not None:
        manifest.write_text(text)
    assert intact.damaged(manifest) is None


@pytest.mark.parametrize("damage", ["notebook", "database", "gone"])
def test_damaged_executions_are_dropped(tmp_path, damage):
    """Executed cells are dropped, all of them, when a notebook or the database is damaged."""
    pytest.importorskip("jupyter_cache").get_cache(tmp_path / "cells").db.dispose()
    folder = tmp_path / "cells"
    notebook = folder / "executed/abc/base.ipynb"
    notebook.parent.mkdir(parents=True)
    notebook.write_text('{"cells": []}')
    assert executed.check(folder) is None
    intact.remember(folder / executed.MANIFEST, [notebook])
    if damage == "notebook":
        notebook.write_text('{"cells": [')
    elif damage == "gone":
        notebook.unlink()
    else:
        (folder / "global.db").write_bytes((folder / "global.db").read_bytes()[:5000])
    assert executed.check(folder) in ("executed/abc/base.ipynb", "global.db")
    assert not folder.exists()
