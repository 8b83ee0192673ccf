"""Each key changes with what can affect its kind of work, and with nothing else."""

import importlib.metadata

import pytest
from press import keys
from press import project as places

FILES = {
    "conf/constraints.txt": "torch==2.13.0\n",
    "conf/press/watch/ledger.py": "LEDGER = 1\n",
    "conf/press/watch/replay.py": "REPLAY = 1\n",
    "conf/press/judge/gates.py": "GATES = 1\n",
    "conf/press/page/footer.py": "FOOTER = 1\n",
    "conf/press/show/embed.py": "EMBED = 1\n",
    "conf/press/publish/sitemap.py": "SITEMAP = 1\n",
    "conf/press/gallery/crew.py": "CREW = 1\n",
    "src/backwardpass/__init__.py": "TRACE = 1\n",
    "src/backwardpass/deep/draw.py": "DRAW = 1\n",
    "src/backwardpass/vjps/losses.py": "RULES = 1\n",
}
KINDS = ("scripts", "cells", "pages")


@pytest.fixture
def computed(monkeypatch, tmp_path):
    """A function that computes all keys anew, in a folder of their own."""
    for path, text in FILES.items():
        target = tmp_path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    monkeypatch.setattr(places, "CONF", tmp_path / "conf")
    monkeypatch.setattr(keys, "package", lambda: tmp_path / "src" / "backwardpass")

    def compute() -> dict[str, str]:
        for kind in KINDS:
            getattr(keys, kind).cache_clear()
        return {kind: getattr(keys, kind)() for kind in KINDS}

    yield compute
    for kind in KINDS:
        getattr(keys, kind).cache_clear()


def test_keys_are_stable(computed):
    """With nothing changed each key is the same."""
    assert computed() == computed()


@pytest.mark.parametrize(
    ("path", "again"),
    [
        ("conf/constraints.txt", {"scripts", "cells", "pages"}),
        ("conf/press/watch/ledger.py", {"scripts", "pages"}),
        ("conf/press/judge/gates.py", {"scripts", "pages"}),
        ("conf/press/page/footer.py", {"pages"}),
        ("conf/press/show/embed.py", {"pages"}),
        ("conf/press/publish/sitemap.py", set()),
        ("conf/press/gallery/crew.py", set()),
        ("src/backwardpass/__init__.py", {"scripts", "cells", "pages"}),
        ("src/backwardpass/deep/draw.py", {"scripts", "cells", "pages"}),
        ("src/backwardpass/vjps/losses.py", set()),
    ],
)
def test_a_change_affects_what_it_can(computed, tmp_path, path, again):
    """A changed file makes old what it can affect: a footer no script, the ledger all of them."""
    before = computed()
    with open(tmp_path / path, "a") as file:
        file.write("# Changed.\n")
    after = computed()
    assert {kind for kind in KINDS if after[kind] != before[kind]} == again


@pytest.mark.parametrize("change", ["renamed", "added", "removed", "swapped"])
def test_files_count_with_their_names(computed, tmp_path, change):
    """A file that appears, goes, or trades its content with another is a change as well."""
    before = computed()["scripts"]
    ledger, replay = (tmp_path / f"conf/press/watch/{name}.py" for name in ("ledger", "replay"))
    if change == "renamed":
        ledger.rename(ledger.with_name("other.py"))
    elif change == "added":
        ledger.with_name("new.py").touch()
    elif change == "removed":
        ledger.unlink()
    else:
        texts = ledger.read_text(), replay.read_text()
        ledger.write_text(texts[1])
        replay.write_text(texts[0])
    assert computed()["scripts"] != before


def test_another_torch_makes_everything_old(computed, monkeypatch):
    """Another version of torch is another key for each kind of work."""
    before = computed()
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.0.0")
    after = computed()
    assert all(after[kind] != before[kind] for kind in KINDS)


def test_missing_package_says_what_to_do(monkeypatch):
    """Without the package of the instruments there is no build, and a message says so."""
    monkeypatch.setattr(keys, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match="backwardpass is not installed: pip install"):
        keys.package()
