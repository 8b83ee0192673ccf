"""What the book is configured with is what its tools read: misspelt settings pass silently."""

import importlib.metadata
import inspect
import json
import re
import subprocess
import sys
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest
import sphinxcontrib.katex
import yaml
from jupyter_book.config import get_final_config
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from sphinx_gallery.gen_gallery import DEFAULT_GALLERY_CONF

ROOT = Path(__file__).resolve().parents[2]
CONF = ROOT / "conf"
SETTINGS = yaml.safe_load((CONF / "_config.yml").read_text("utf-8"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))

# Everything up to the point where Sphinx would begin to build.
LOAD = """
import json, sys
from sphinx.application import Sphinx

Sphinx._init_env = Sphinx._init_builder = Sphinx.create_builder = lambda self, *rest: None
book, conf, out = sys.argv[1:]
app = Sphinx(book, conf, out, out, "html", status=None, warning=sys.stderr)
app.setup_extension(app.config.html_theme)  # which the builder of HTML does
print(json.dumps({
    # What conf.py hands over, and whether anybody reads it.
    "settings": {name: name in app.config for name in app.config._raw_config["settings"]},
    "values": {name: getattr(app.config, name) for name in sys.stdin.read().split()},
    "extensions": sorted(app.extensions),
    "unsafe": [e.name for e in app.extensions.values() if not e.parallel_read_safe],
}, default=str))
"""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """The configuration as Sphinx has it, all extensions set up."""
    book = tmp_path_factory.mktemp("book")
    wanted = [*SETTINGS["sphinx"]["config"], "nb_execution_cache_path", "external_toc_path"]
    done = subprocess.run(
        [sys.executable, "-c", LOAD, book, CONF, book / "out"],
        input=" ".join(wanted),
        capture_output=True,
        text=True,
        cwd=book,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) | {"warnings": done.stderr}


# Jupyter Book hands these over whether or not the extension that reads them is loaded.
UNREAD = {"extensions", "comments_config"}


def test_every_setting_is_read(loaded):
    """Each setting handed to Sphinx is one that Sphinx or an extension has registered."""
    assert {name for name, known in loaded["settings"].items() if not known} == UNREAD


@pytest.mark.parametrize("name", sorted(SETTINGS["sphinx"]["config"]))
def test_setting_arrives(loaded, name):
    """What ``_config.yml`` says is what Sphinx has, Jupyter Book's defaults notwithstanding."""
    said, found = SETTINGS["sphinx"]["config"][name], loaded["values"][name]
    if isinstance(said, list):  # extensions add to it, and Sphinx options to files
        assert all(item in (given, [given, {}]) for item, given in zip(found, said, strict=False))
        assert len(found) >= len(said)
    elif isinstance(said, dict):
        assert said.keys() <= found.keys()
    else:
        assert found == said


def test_gallery_settings_are_read():
    """Each setting of sphinx-gallery is one it knows."""
    assert SETTINGS["sphinx"]["config"]["sphinx_gallery_conf"].keys() <= DEFAULT_GALLERY_CONF.keys()


def test_strict(loaded):
    """References are checked, and all that fails is listed, not only the first of it."""
    values = loaded["values"]
    assert values["nitpicky"] is True
    assert values["nb_execution_raise_on_error"] is False
    assert values["sphinx_gallery_conf"]["only_warn_on_example_error"] is True
    assert values["sphinx_gallery_conf"]["reset_modules_order"] == "both"


def test_unwanted_extensions_are_gone(loaded):
    """What Jupyter Book adds and this book does not want is not loaded."""
    unwanted = {
        "sphinx_togglebutton",
        "sphinx_thebe",
        "sphinx_comments",
        "sphinx_book_theme",
        "sphinx_jupyterbook_latex",
        "sphinx.ext.mathjax",
    }
    # Sphinx loads mathjax by itself; what renders mathematics is another extension.
    assert unwanted & set(loaded["extensions"]) <= {"sphinx.ext.mathjax"}


def test_wanted_extensions_are_loaded(loaded):
    """What the book relies on is loaded, Jupyter Book's extensions and its own."""
    wanted = {"myst_nb", "sphinx_external_toc", "sphinx_design", "sphinx_copybutton"}
    assert wanted | set(SETTINGS["sphinx"]["extra_extensions"]) <= set(loaded["extensions"])


def test_pages_can_be_read_in_parallel(loaded):
    """No extension makes Sphinx read one page after another, which it would only warn of."""
    assert loaded["unsafe"] == []


def test_loading_warns_of_nothing(loaded):
    """Loading the configuration warns of nothing."""
    assert loaded["warnings"] == ""


def test_executions_are_kept_for_one_set_of_instruments(loaded):
    """What cells printed is kept below ``_build``, apart for each set of instruments."""
    kept = Path(loaded["values"]["nb_execution_cache_path"])
    assert kept.parent == ROOT / "_build" / "executed"
    assert re.fullmatch("[0-9a-f]{16}", kept.name)


def final_config(**user) -> dict:
    """Jupyter Book's configuration for a YAML file of its own, as ``conf.py`` asks for it."""
    settings, _ = get_final_config(
        user_yaml=user,
        sourcedir=ROOT / "book",
        cli_config={"external_toc_path": "_toc.yml", "latex_individualpages": False},
        raise_on_invalid=True,
    )
    return settings


def test_jupyter_book_returns_settings_of_sphinx():
    """The internal function that ``conf.py`` calls returns what it relies on."""
    settings = final_config(title="T", sphinx={"config": {"html_theme": "furo"}})
    assert settings["html_title"] == "T"
    assert settings["html_theme"] == "furo"
    assert settings["external_toc_path"] == "_toc.yml"
    assert {"myst_nb", "sphinx_external_toc", "sphinx_thebe"} <= set(settings["extensions"])


@pytest.mark.parametrize(
    "user", [{"execute": {"timeout": "soon"}}, {"sphinx": {"extra_extensions": 3}}]
)
def test_jupyter_book_refuses_a_wrong_value(user):
    """A value that Jupyter Book cannot read ends the build instead of being ignored."""
    with pytest.raises(Exception, match="is not of type"):
        final_config(**user)


def test_keys_are_those_of_jupyter_book():
    """Each key of ``_config.yml`` is one of Jupyter Book's: it ignores any other."""
    defaults = yaml.safe_load(files("jupyter_book").joinpath("default_config.yml").read_text())
    assert SETTINGS.keys() <= defaults.keys()
    for section in ("execute", "parse", "html", "sphinx"):
        assert SETTINGS[section].keys() <= defaults[section].keys()


STYLE = ROOT / "_static" / "katex" / "katex.min.css"


def test_katex_style_is_that_of_its_program():
    """The stylesheet for formulas is of the version that renders them."""
    (version,) = re.findall(r'\.katex-version:{1,2}after\{content:"([\d.]+)"', STYLE.read_text())
    assert version == sphinxcontrib.katex.katex_version


def test_katex_fonts_are_there():
    """Each font that the stylesheet names is served, from here, and no other is."""
    urls = re.findall(r"url\(([^)]+)\)", STYLE.read_text())
    assert len(urls) > 15
    assert {STYLE.parent / url for url in urls} == set((STYLE.parent / "fonts").iterdir())


def pins() -> dict[str, str]:
    """Version by name, as ``conf/constraints.txt`` pins it."""
    text = (CONF / "constraints.txt").read_text("utf-8")
    found = re.findall(r"^([\w.-]+)==([\w.]+)", text, re.MULTILINE)
    return {canonicalize_name(name): version for name, version in found}


def direct() -> list[Requirement]:
    """What ``pyproject.toml`` asks for."""
    listed = list(PROJECT["project"]["dependencies"])
    for group in PROJECT["project"].get("optional-dependencies", {}).values():
        listed += group
    for group in PROJECT["dependency-groups"].values():
        listed += [requirement for requirement in group if isinstance(requirement, str)]
    return [Requirement(requirement) for requirement in listed]


def needed() -> set[str]:
    """What is installed because ``pyproject.toml`` asks for it, directly or in turn."""
    found, waiting = set(), direct()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            metadata = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # of another environment: that of nox -s lint
        if name not in found:
            found.add(name)
            inner = map(Requirement, metadata.requires or ())
            # What a package pins itself, as torch its CUDA libraries, needs no second pin.
            waiting += [r for r in inner if not any(s.operator == "==" for s in r.specifier)]
    return found


def test_every_line_is_a_pin_or_a_comment():
    """A constraint names one version of one package, once."""
    lines = (CONF / "constraints.txt").read_text("utf-8").splitlines()
    wrong = [line for line in lines if not re.fullmatch(r"([\w.-]+==[\w.]+)?\s*(#.*)?", line)]
    assert wrong == []
    assert len(pins()) == sum("==" in line.partition("#")[0] for line in lines)


@pytest.mark.parametrize("requirement", direct(), ids=str)
def test_dependency_is_pinned(requirement):
    """What the project asks for is pinned, to a version it allows."""
    pinned = pins()[canonicalize_name(requirement.name)]
    assert requirement.specifier.contains(pinned, prereleases=True)


def test_everything_installed_is_pinned():
    """What is installed in turn is pinned as well, so that two builds have the same packages."""
    with_every_venv = {"pip", "setuptools", "wheel"}
    assert needed() - pins().keys() - with_every_venv == set()
    assert len(needed()) > 50


def test_installed_versions_are_the_pinned():
    """These tests run with the versions that the book is built with."""
    pinned = pins()
    installed = {name: Version(importlib.metadata.version(name)).public for name in needed()}
    assert {n: v for n, v in installed.items() if Version(v) != Version(pinned.get(n, v))} == {}


def test_what_is_taken_from_sphinx_is_there():
    """The private names of Sphinx and sphinx-gallery that the build stands in for, or reads."""
    from press.publish import side_by_side
    from sphinx.builders.html import StandaloneHTMLBuilder
    from sphinx.search import IndexBuilder
    from sphinx_gallery import gen_rst

    index = inspect.getsource(IndexBuilder.feed)
    kept = set(re.findall(r"self\.(_\w+)(?=\[docname\]|\.setdefault)", index))
    assert kept == {*side_by_side.BY_PAGE, *side_by_side.BY_WORD}
    parameters = inspect.signature(StandaloneHTMLBuilder._write_parallel).parameters
    assert list(parameters) == ["self", "docnames", "nproc"]
    parameters = inspect.signature(gen_rst.generate_file_rst).parameters
    assert list(parameters) == ["fname", "target_dir", "src_dir", "gallery_conf"]
