"""What was observed is found again as long as nothing changed it depends on, and never after."""

import json
import os
import re

import pytest
from press import keys
from press import project as places
from press.observed import store
from press.observed.failure import Failure
from press.observed.records import Observed

FIRST = Observed(completed=False, failures=(Failure("a.py", 1, "nan", "first"),))


def test_read_what_was_written(project, comparison):
    """What was written is read again."""
    script = project.script("")
    observed = Observed(completed=True, comparisons=(comparison("w", shapes=(None, (2, 3))),))
    store.write(script, observed)
    assert store.read(script).comparisons == observed.comparisons


def test_changed_script_was_not_observed(project):
    """Once the script changed, what was observed of it is not found."""
    script = project.script("")
    store.write(script, Observed(completed=True))
    script.write_text(script.read_text() + "# Changed.\n")
    assert store.read(script) is None


def test_changed_instrument_was_not_used(project, monkeypatch):
    """Once the instruments changed, what they observed before is not found."""
    script = project.script("")
    store.write(script, Observed(completed=True))
    monkeypatch.setattr(keys, "scripts", lambda: "others")
    assert store.read(script) is None


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "null", "{}", '{"key": 1}', '"text"', '{"key": 1, "completed": true}'],
)
def test_damaged_sidecar_is_none(project, content):
    """A sidecar that is cut off, or something else, is as good as none."""
    script = project.script("")
    store.write(script, Observed(completed=True))
    store.path(script).write_text(content)
    assert store.read(script) is None


def test_missing_sidecar_is_none(project):
    """A script that was never observed has no observation."""
    assert store.read(project.script("")) is None


def test_written_all_or_nothing(project, monkeypatch):
    """An interruption while a sidecar is written leaves the one that was there."""
    script = project.script("")
    store.write(script, FIRST)

    def interrupted(*paths):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    monkeypatch.setattr("pathlib.Path.replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        store.write(script, Observed(completed=True))
    assert store.read(script).failures == FIRST.failures


def test_same_observation_same_bytes(project):
    """Written twice, a sidecar has the same bytes."""
    script = project.script("")
    store.write(script, FIRST)
    first = store.path(script).read_bytes()
    store.write(script, store.read(script))
    assert store.path(script).read_bytes() == first
    assert json.loads(first)["failures"][0]["message"] == "first"


def test_scripts_in_order(project):
    """Scripts come in the order of the gallery: by part, then by name."""
    for name in ("b/plot_one", "a/plot_two", "a/plot_one", "a/helper"):
        project.write(f"examples/{name}.py")
    names = [places.name(script) for script in places.scripts()]
    assert names == ["a/plot_one", "a/plot_two", "b/plot_one"]


def test_script_by_name(project):
    """A name in a directive leads to its script, and back."""
    script = project.script("", "part/plot_one")
    assert places.script("part/plot_one") == script
    assert places.name(script) == "part/plot_one"


@pytest.mark.parametrize(
    ("existing", "listed"),
    [(["a/plot_one", "b/plot_two"], "a/plot_one, b/plot_two"), ([], "none")],
)
def test_unknown_script_lists_the_known(project, existing, listed):
    """A name that is no script's is answered with those there are."""
    for name in existing:
        project.script("", name)
    with pytest.raises(LookupError) as raised:
        places.script("a/plot_three")
    assert str(raised.value) == (
        f'there is no script "a/plot_three" in examples/; there are: {listed}'
    )


HEADED = ["examples/a/GALLERY_HEADER.rst", "examples/b/GALLERY_HEADER.rst"]


@pytest.mark.parametrize(
    ("paths", "said"),
    [
        (["examples/a/plot_one.py", "examples/b/plot_two.py"], []),
        (["examples/plot_one.py"], ["examples/plot_one.py: no build would run it; a script is"]),
        (["examples/a/one.py"], ["examples/a/one.py: no build would run it; a script is"]),
        (["examples/a/plot one.py"], ["examples/a/plot one.py: no build would run it"]),
        (["examples/a/c/plot_one.py"], ["examples/a/c/plot_one.py: no build would run it"]),
        (["examples/c/plot_one.py"], [".*its folder has no GALLERY_HEADER.rst"]),
        (
            ["examples/a/plot_one.py", "examples/b/plot_one.py"],
            ["examples/b/plot_one.py: examples/a/plot_one.py has the same file name"],
        ),
    ],
    ids=["none", "no part", "no plot_", "space", "too deep", "no header", "same name"],
)
def test_misplaced(project, paths, said):
    """A script that no build would run, or would take for another, is named with the reason."""
    for path in [*HEADED, *paths]:
        project.write(path)
    found = list(places.misplaced())
    assert len(found) == len(said)
    assert all(map(re.match, said, found))


def test_orphans_are_removed(project):
    """What was generated from a script that is gone is removed, and nothing else."""
    project.script("", "a/plot_kept")
    kept = [
        "book/gallery/a/plot_kept.rst",
        "book/gallery/a/plot_kept.observed.json",
        "book/gallery/a/images/sphx_glr_plot_kept_001.png",
        "book/gallery/a/images/thumb/sphx_glr_plot_kept_thumb.png",
        "book/gallery/a/index.rst",
        "book/gallery/index.rst",
    ]
    gone = [
        "book/gallery/a/plot_gone.rst",
        "book/gallery/a/plot_gone.py.md5",
        "book/gallery/a/plot_gone.observed.json",
        "book/gallery/a/plot_kept_2.zip",
        "book/gallery/a/images/sphx_glr_plot_gone_001.png",
        "book/gallery/a/images/thumb/sphx_glr_plot_gone_thumb.png",
        "book/gallery/b/plot_kept.rst",
        "book/gallery/b/images/sphx_glr_plot_kept_001.png",
        "book/gallery/b/index.rst",
    ]
    for path in [*kept, *gone]:
        project.write(path)
    removed = {path.relative_to(project.root).as_posix() for path in places.remove_orphans()}
    assert removed == set(gone)
    files = (path for path in places.GALLERY.rglob("*") if path.is_file())
    left = {path.relative_to(project.root).as_posix() for path in files}
    assert left == set(kept)
    assert not (places.GALLERY / "b").exists()
